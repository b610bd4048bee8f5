//! Tables of upserts.

use weir_engine::batch::RowKind;

use super::*;
use crate::formats::changes::kinds_of;
use crate::kafka::{upsert_sink, upserts};
use crate::table::{Place, Table};

fn table(servers: &str, options: &[(&str, &str)]) -> Table {
    let mut all = vec![
        ("connector", "upsert-kafka"),
        ("properties.bootstrap.servers", servers),
        TOPIC,
        ("key.format", "json"),
        ("value.format", "json"),
    ];
    all.extend_from_slice(options);
    let columns = [("id", DataType::Int64), ("city", DataType::Utf8), ("o", DataType::Int64)];
    let mut table = crate::testing::table(&all, &columns);
    table.metadata = BTreeMap::from([(2, "offset".into())]);
    table.primary_key = vec![0];
    table
}

fn records(records: &[(Option<&str>, Option<&str>)]) -> Vec<(Option<String>, Option<String>)> {
    let own = |text: &Option<&str>| text.map(ToOwned::to_owned);
    records.iter().map(|(key, value)| (own(key), own(value))).collect()
}

fn read(table: &Table, projection: &[usize]) -> Result<RecordBatch, weir_engine::EngineError> {
    let io = runtime();
    let source = upserts(table, projection, &Place::default()).expect("no problem").source;
    let (_, splits) = discover(&io, &source, None)?;
    let mut cx = context(io.handle(), 1, 0, 1);
    let mut reader = source.reader(&cx)?;
    reader.add(&cx, 0, &splits[0])?;
    let mut read = Read::default();
    read_until(&mut *reader, &mut cx, &mut read, |r| !r.finished.is_empty())?;
    Ok(read.batches.remove(0).1)
}

#[test]
fn a_message_without_a_value_is_a_row_that_goes_by_its_key() {
    let mock = cluster("t", 1);
    let said = records(&[
        (Some(r#"{"id":1}"#), Some(r#"{"id":1,"city":"Bonn"}"#)),
        (Some(r#"{"id":2}"#), None),
        (Some(r#"{"id":1}"#), None),
        (Some(r#"{"id":3}"#), Some(r#"{"id":3,"city":null}"#)),
    ]);
    write_records(&mock, "t", 0, said);
    let batch = read(&table(&mock.bootstrap_servers(), &[BOUNDED]), &[0, 1, 2]).expect("rows");
    let ids: Vec<_> = batch.column(0).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(ids, [Some(1), Some(2), Some(1), Some(3)]);
    let cities: Vec<_> = batch.column(1).as_string::<i32>().iter().collect();
    assert_eq!(cities, [Some("Bonn"), None, None, None]);
    assert_eq!(batch.column(2).as_primitive::<Int64Type>().values(), &[0, 1, 2, 3]);
    let (comes, goes) = (RowKind::Insert, RowKind::Delete);
    assert_eq!(*kinds_of(batch.column(3)).expect("kinds"), [comes, goes, goes, comes]);
}

#[test]
fn a_message_without_a_key_is_no_upsert() {
    let mock = cluster("t", 1);
    write_records(&mock, "t", 0, records(&[(None, Some(r#"{"id":1,"city":"Bonn"}"#))]));
    let error = read(&table(&mock.bootstrap_servers(), &[BOUNDED]), &[0, 1]).expect_err("no key");
    assert_eq!(
        error.to_string(),
        "table 't': 't/0', the message at offset 0 has no key, which tells the rows of an 'upsert-kafka' table apart; write it with a key, or read the topic with connector 'kafka'"
    );
}

#[test]
fn a_batch_leaves_one_message_per_key() {
    let mock = cluster("t", 1);
    let servers = mock.bootstrap_servers();
    let io = runtime();
    let mut cx = context(io.handle(), 1, 0, 1);
    let mut written = table(&servers, &[]);
    written.schema = Arc::new(written.schema.project(&[0, 1]).expect("columns"));
    written.metadata.clear();
    let parts = upsert_sink(&written, &Place::default()).expect("no problem");
    let mut writer = parts.factory.create(&cx).expect("made");
    wait_ready(&mut *writer, &mut cx);
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1, 1, 1, 2, 3])),
        Arc::new(arrow::array::StringArray::from(vec!["a", "a", "b", "c", "d"])),
    ];
    let rows = RecordBatch::try_new(Arc::clone(&written.schema), columns).expect("a batch");
    let kinds = [
        RowKind::Insert,
        RowKind::UpdateBefore,
        RowKind::UpdateAfter,
        RowKind::Insert,
        RowKind::Delete,
    ];
    let batch = Batch::new(rows).with_kinds(Some(kinds.into()));
    let _ = writer.on_batch(&mut cx, 0, batch, &mut Output::default()).expect("taken");
    let snapshot = writer.on_barrier(&mut cx, BARRIER).expect("taken");
    io.block_on(snapshot.pre_commit.expect("it waits")).expect("arrived");
    let batch = read(&table(&servers, &[BOUNDED]), &[0, 1]).expect("rows");
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[1, 2, 3]);
    let cities: Vec<_> = batch.column(1).as_string::<i32>().iter().collect();
    assert_eq!(cities, [Some("b"), Some("c"), None]);
}

#[test]
fn what_has_no_meaning_for_upserts_is_refused() {
    let refused = |table: &Table| {
        let sides = [
            upserts(table, &[0], &Place::default()).err(),
            upsert_sink(table, &Place::default()).err(),
        ];
        let problems = sides.into_iter().flatten().flatten();
        let mut messages: Vec<String> = problems.map(|problem| problem.message).collect();
        messages.sort();
        messages.dedup();
        messages
    };
    let with = |option: (&str, &str)| {
        let mut table = table("b:9092", &[option]);
        table.metadata.clear();
        refused(&table)
    };
    assert_eq!(with(("key.json.ignore-parse-errors", "true")), [""; 0]);
    let expected = "'key.fields' is for connector 'kafka'; the key of an 'upsert-kafka' table is its PRIMARY KEY, so remove it";
    assert_eq!(with(("key.fields", "id")), [expected]);
    let startup = with(("scan.startup.mode", "latest-offset"));
    assert!(startup[0].starts_with("option 'scan.startup.mode' is unknown"), "{startup:?}");
    let mut without = table("b:9092", &[]);
    without.primary_key.clear();
    without.metadata.clear();
    assert_eq!(
        refused(&without),
        [
            "an 'upsert-kafka' table needs PRIMARY KEY (…) NOT ENFORCED: the columns of the messages' key, by which a row takes the place of the one before"
        ]
    );
    let mut changes = table("b:9092", &[]);
    changes.options.remove("value.format");
    assert_eq!(
        refused(&changes).first().map(String::as_str),
        Some("'value.format' is missing; give 'json', 'csv', 'raw' or 'avro'")
    );
}
