//! Bare values, and what stands beside them.

use arrow::array::{Array, BinaryBuilder, MapBuilder, MapFieldNames, StringArray, StringBuilder};

use super::*;
use crate::formats::metadata::Type;
use crate::table::{Place, Table};

/// Texts as values, and their headers.
fn lines(servers: &str) -> Table {
    let options = [
        ("connector", "kafka"),
        ("properties.bootstrap.servers", servers),
        TOPIC,
        EARLIEST,
        BOUNDED,
        ("format", "raw"),
    ];
    let headers = Type::BytesByText.data_type();
    let mut table =
        crate::testing::table(&options, &[("line", DataType::Utf8), ("headers", headers)]);
    table.metadata = BTreeMap::from([(1, "headers".into())]);
    table
}

#[test]
fn values_and_headers_are_read_as_they_were_written() {
    let mock = cluster("t", 1);
    let io = runtime();
    let mut cx = context(io.handle(), 1, 0, 1);
    let table = lines(&mock.bootstrap_servers());
    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let mut headers = MapBuilder::new(Some(names), StringBuilder::new(), BinaryBuilder::new());
    headers.keys().append_value("a");
    headers.values().append_value(b"\xff\0");
    headers.keys().append_value("nothing");
    headers.values().append_null();
    headers.append(true).expect("as many values as keys");
    headers.append(true).expect("none");
    headers.append(false).expect("none");
    let texts = StringArray::from(vec![Some("one"), Some(""), None]);
    let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(texts), Arc::new(headers.finish())];
    let rows = RecordBatch::try_new(Arc::clone(&table.schema), columns).expect("a batch");

    let parts = crate::kafka::sink(&table, &Place::default()).expect("no problem");
    let mut writer = parts.factory.create(&cx).expect("made");
    wait_ready(&mut *writer, &mut cx);
    let _ = writer.on_batch(&mut cx, 0, Batch::new(rows), &mut Output::default()).expect("taken");
    let snapshot = writer.on_barrier(&mut cx, BARRIER).expect("taken");
    io.block_on(snapshot.pre_commit.expect("it waits")).expect("arrived");

    let source = crate::kafka::source(&table, &[0, 1], &Place::default()).expect("none").source;
    let (_, splits) = discover(&io, &source, None).expect("found");
    let mut reader = source.reader(&cx).expect("made");
    reader.add(&cx, 0, &splits[0]).expect("added");
    let mut read = Read::default();
    read_until(&mut *reader, &mut cx, &mut read, |r| !r.finished.is_empty()).expect("read");
    let rows = &read.batches[0].1;
    let texts: Vec<_> = rows.column(0).as_string::<i32>().iter().collect();
    assert_eq!(texts, [Some("one"), Some(""), None], "NULL is a message without a value");
    let headers = rows.column(1).as_map();
    assert_eq!(headers.null_count(), 0, "a message without headers has none");
    assert_eq!(headers.value_offsets(), &[0, 1, 1, 1]);
    assert_eq!(headers.keys().as_string::<i32>().value(0), "a");
    assert_eq!(headers.values().as_binary::<i32>().value(0), b"\xff\0");
}
