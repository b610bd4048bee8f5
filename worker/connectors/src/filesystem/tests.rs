//! The source against real files: every format and packing, resumed everywhere.

mod bounds;
mod faults;
mod growth;
mod listing;
mod marks;
mod ordered;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use object_store::{ObjectStoreExt, PutPayload};
use weir_engine::source::{SourcePoll, Split, SplitEnumerator};
use weir_protocol::Counter;

use super::*;
use crate::formats::Format;
use crate::formats::avro::{AvroFile, AvroOptions, Codec};
use crate::formats::parquet::{ParquetOptions, ParquetRows};
use crate::testing::{MemoryStores, context, runtime, table};

/// Enough for several batches and for chunks to end within records.
const ROWS: usize = 40_000;

fn columns() -> Vec<(&'static str, DataType)> {
    vec![("id", DataType::Int64), ("name", DataType::Utf8)]
}

fn rows() -> RecordBatch {
    let ids = Int64Array::from_iter_values(0..ROWS as i64);
    let names =
        StringArray::from_iter_values((0..ROWS).map(|i| format!("{}ä", "x".repeat(i % 97))));
    RecordBatch::try_from_iter([
        ("id", Arc::new(ids) as ArrayRef),
        ("name", Arc::new(names) as ArrayRef),
    ])
    .unwrap()
}

fn encoded(format: &str, packing: &str) -> Vec<u8> {
    let rows = rows();
    let mut plain = Vec::new();
    match format {
        "json" => Format::Json(Default::default())
            .encoder(rows.schema())
            .unwrap()
            .encode(&rows, &mut plain)
            .unwrap(),
        "csv" => Format::Csv(Default::default())
            .encoder(rows.schema())
            .unwrap()
            .encode(&rows, &mut plain)
            .unwrap(),
        "avro" => {
            let options = AvroOptions { codec: Codec::Null, ..AvroOptions::default() };
            let mut file = AvroFile::new(rows.schema(), options).unwrap();
            file.write(&rows).unwrap();
            file.end_block().unwrap();
            plain = file.take();
        }
        _ => {
            let options = ParquetOptions { row_group_bytes: 200_000, ..ParquetOptions::default() };
            let mut writer = ParquetRows::new(&rows.schema(), &options).unwrap();
            for at in (0..ROWS).step_by(1000) {
                writer.write(&rows.slice(at, 1000)).unwrap();
            }
            plain = writer.finish().unwrap();
        }
    }
    match packing {
        ".gz" => {
            // Two members, as `cat a.gz b.gz` makes them.
            let mut packed = Vec::new();
            for part in [&plain[..plain.len() / 3], &plain[plain.len() / 3..]] {
                let mut encoder =
                    flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
                encoder.write_all(part).unwrap();
                packed = encoder.finish().unwrap();
            }
            packed
        }
        ".zst" => zstd::encode_all(&plain[..], 1).unwrap(),
        ".bz2" => {
            let mut packed = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            packed.write_all(&plain).unwrap();
            packed.finish().unwrap()
        }
        ".xz" => {
            let options = lzma_rust2::XzOptions::with_preset(0);
            let mut packed = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
            packed.write_all(&plain).unwrap();
            packed.finish().unwrap()
        }
        _ => plain,
    }
}

struct Bench {
    io: tokio::runtime::Runtime,
    directory: tempfile::TempDir,
    stores: MemoryStores,
}

impl Bench {
    fn new() -> Self {
        Self { io: runtime(), directory: tempfile::tempdir().unwrap(), stores: MemoryStores::new() }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn put(&self, key: &str, content: &[u8]) {
        let payload = PutPayload::from(content.to_vec());
        self.io.block_on(self.stores.0.put(&object_store::path::Path::from(key), payload)).unwrap();
    }

    fn place(&self) -> Place {
        Place { base: self.directory.path().to_owned(), ..Place::default() }
    }

    fn source(&self, table: &Table) -> Arc<dyn Source> {
        let all: Vec<usize> = (0..table.schema.fields().len()).collect();
        source_with(table, &all, &self.place(), &self.stores).map(|parts| parts.source).unwrap()
    }

    fn simple(&self, path: &str, format: &str) -> Arc<dyn Source> {
        self.source(&table(
            &[("connector", "filesystem"), ("path", path), ("format", format)],
            &columns(),
        ))
    }

    fn discover(
        &self,
        enumerator: &mut Box<dyn SplitEnumerator>,
    ) -> Result<Vec<Split>, EngineError> {
        self.io.block_on(enumerator.discover())
    }

    fn splits(&self, source: &Arc<dyn Source>) -> Vec<Split> {
        self.discover(&mut source.enumerator(None).unwrap()).unwrap()
    }

    /// Reads a split from its position; `each` is told the position behind every batch.
    fn read(
        &self,
        source: &Arc<dyn Source>,
        split: &Split,
        mut each: impl FnMut(&Bytes, &RecordBatch),
    ) -> Result<Vec<RecordBatch>, EngineError> {
        let mut cx = context(self.io.handle(), 1, 0, 1);
        let mut reader = source.reader(&cx)?;
        reader.add(&cx, 7, split)?;
        let mut batches = Vec::new();
        loop {
            match reader.poll(&mut cx)? {
                SourcePoll::Rows { split: 7, records } => {
                    each(&reader.position(7), &records);
                    batches.push(records);
                }
                SourcePoll::Finished { split: 7 } => return Ok(batches),
                SourcePoll::Pending => std::thread::sleep(Duration::from_micros(200)),
                other => panic!("{other:?}"),
            }
        }
    }

    fn message(&self, source: &Arc<dyn Source>, split: &Split) -> String {
        self.read(source, split, |_, _| {})
            .unwrap_err()
            .message
            .replace(self.directory.path().to_str().unwrap(), "")
    }
}

fn joined(batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(&batches[0].schema(), batches).unwrap()
}

/// Reads whole, then from behind every batch; all must agree.
fn resumes_everywhere(bench: &Bench, source: &Arc<dyn Source>) {
    let splits = bench.splits(source);
    assert_eq!(splits.len(), 1);
    let split = &splits[0];
    let mut cuts = Vec::new();
    let mut seen = 0;
    let calm = bench
        .read(source, split, |position, records| {
            seen += records.num_rows();
            cuts.push((seen, position.clone()));
        })
        .unwrap();
    // Blocks of Avro are whole in a batch, and the last one may be more than what was missing.
    let is_avro = split.id.contains(".avro");
    let most = if is_avro { 8192 + 8192 } else { 8192 };
    assert!(calm.iter().all(|batch| batch.num_rows() <= most));
    assert!(cuts.len() >= if is_avro { 3 } else { 4 }, "{} batches", cuts.len());
    let calm = joined(&calm);
    assert_eq!(calm.columns(), rows().columns());
    for (seen, position) in cuts {
        let split = Split { position, ..split.clone() };
        let rest = bench.read(source, &split, |_, _| {}).unwrap();
        let read: usize = rest.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(read, ROWS - seen);
        if read > 0 {
            assert_eq!(joined(&rest), calm.slice(seen, read));
        }
    }
}

#[test]
fn every_format_and_packing_goes_on_exactly_behind_any_batch() {
    let bench = Bench::new();
    for (format, packing) in [
        ("json", ""),
        ("json", ".gz"),
        ("json", ".zst"),
        ("csv", ""),
        ("csv", ".gz"),
        ("csv", ".zst"),
        ("csv", ".bz2"),
        ("csv", ".xz"),
        ("parquet", ""),
        ("avro", ""),
        ("avro", ".gz"),
    ] {
        let name = format!("{format}{packing}/data.{format}{packing}");
        let content = encoded(format, packing);
        bench.write(&name, &content);
        resumes_everywhere(&bench, &bench.simple(&name, format));
        bench.put(&name, &content);
        resumes_everywhere(&bench, &bench.simple(&format!("s3://b/{name}"), format));
    }
}

#[test]
fn a_position_is_behind_the_rows_that_were_given_out_while_others_wait() {
    let bench = Bench::new();
    // Two requests, and fewer rows in the first than a batch has.
    let rows = |from: i64, to: i64| {
        let ids = Int64Array::from_iter_values(from..to);
        let names = StringArray::from_iter_values((from..to).map(|_| "y".repeat(3000)));
        RecordBatch::try_from_iter([
            ("id", Arc::new(ids) as ArrayRef),
            ("name", Arc::new(names) as ArrayRef),
        ])
        .unwrap()
    };
    let all = rows(0, 4000);
    for format in ["json", "csv", "parquet"] {
        let encoding = match format {
            "json" => Some(Format::Json(Default::default())),
            "csv" => Some(Format::Csv(Default::default())),
            _ => None,
        };
        let (content, total) = match &encoding {
            Some(format) => {
                let mut content = Vec::new();
                let mut encoder = format.encoder(all.schema()).unwrap();
                encoder.encode(&all, &mut content).unwrap();
                (content, 4000)
            }
            // Several row groups, of which each is a request.
            None => (encoded("parquet", ""), ROWS),
        };
        let name = format!("data.{format}");
        bench.put(&name, &content);
        let source = bench.simple(&format!("s3://b/{name}"), format);
        let split = bench.splits(&source).remove(0);
        let mut cx = context(bench.io.handle(), 1, 0, 1);
        let mut reader = source.reader(&cx).unwrap();
        if encoding.is_some() {
            bench.stores.0.hold(8 << 20);
        }
        reader.add(&cx, 7, &split).unwrap();
        let (mut given, mut position) = (0, reader.position(7));
        let mut held_up = 0;
        loop {
            match reader.poll(&mut cx).unwrap() {
                SourcePoll::Rows { records, .. } => {
                    if given == 0 && encoding.is_none() {
                        bench.stores.0.hold(1);
                    }
                    given += records.num_rows();
                    position = reader.position(7);
                }
                SourcePoll::Pending => {
                    assert_eq!(reader.position(7), position, "{format}: only rows move it");
                    assert!(reader.owes(7), "{format}: the silence is the store's");
                    let read = cx.metrics.get(Counter::Bytes);
                    if (encoding.is_none() && given > 0) || read == 8 << 20 {
                        // What was read is decoded, and waits for the rest of its batch.
                        held_up += 1;
                        bench.stores.0.release();
                    }
                    std::thread::yield_now();
                }
                SourcePoll::Finished { .. } => break,
                other => panic!("{other:?}"),
            }
        }
        assert!(held_up > 0 && given == total && !reader.owes(7), "{format}");
    }
}

#[test]
fn records_longer_than_chunks_are_read() {
    let bench = Bench::new();
    let mut content = String::new();
    let lengths = [10, 70_000, 1 << 20, 5, 3 << 20, 6 << 20, 1, 65_536, 65_535];
    for (id, length) in lengths.iter().enumerate() {
        content.push_str(&format!("{{\"id\":{id},\"name\":\"{}\"}}\n", "y".repeat(*length)));
    }
    // No newline at the end.
    content.pop();
    bench.write("long.json", content.as_bytes());
    let source = bench.simple("long.json", "json");
    let read = joined(&bench.read(&source, &bench.splits(&source)[0], |_, _| {}).unwrap());
    let found: Vec<usize> =
        read.column(1).as_string::<i32>().iter().map(|s| s.unwrap().len()).collect();
    assert_eq!(found, lengths);
}

#[test]
fn metadata_and_directories_become_columns() {
    let bench = Bench::new();
    bench.write("in/day=2024-01-02/to=A%2FB/x.json", b"{\"id\":5}\n{\"id\":6}\n");
    bench.write("in/day=2024-01-03/to=__HIVE_DEFAULT_PARTITION__/y.json", b"{\"id\":7}\n");
    let mut table = table(
        &[("connector", "filesystem"), ("path", "in"), ("format", "json")],
        &[
            ("to", DataType::Utf8),
            ("n", DataType::Utf8),
            ("id", DataType::Int64),
            ("s", DataType::Int64),
            ("t", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
            ("day", DataType::Date32),
            ("p", DataType::Utf8),
        ],
    );
    table.metadata =
        [(1, "file.name"), (3, "file.size"), (4, "file.modification-time"), (6, "file.path")]
            .map(|(i, key)| (i, key.to_owned()))
            .into();
    table.partitioned_by = vec![5, 0];
    let source = bench.source(&table);
    let splits = bench.splits(&source);
    let read = joined(&bench.read(&source, &splits[0], |_, _| {}).unwrap());
    let text = |i: usize| {
        read.column(i).as_string::<i32>().iter().map(|s| s.unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(text(0), ["A/B", "A/B"]);
    assert_eq!(text(1), ["x.json", "x.json"]);
    assert_eq!(read.column(2).as_primitive::<Int64Type>().values(), &[5, 6]);
    assert_eq!(read.column(3).as_primitive::<Int64Type>().values(), &[18, 18]);
    assert_eq!(read.column(5).as_primitive::<arrow::datatypes::Date32Type>().value(0), 19_724);
    assert_eq!(text(6)[0], splits[0].id);
    let read = joined(&bench.read(&source, &splits[1], |_, _| {}).unwrap());
    assert!(read.column(0).is_null(0), "Hive's name");
    bench.write("in/day=2024-01-04/to=__DEFAULT_PARTITION__/z.json", b"{\"id\":8}\n");
    let split = bench.splits(&source).remove(2);
    let read = joined(&bench.read(&source, &split, |_, _| {}).unwrap());
    assert!(read.column(0).is_null(0), "Flink's name");
    let default = |name: &str| crate::table::OptionValue {
        value: name.into(),
        at: crate::table::Position::default(),
    };
    let mut named = table.clone();
    named.options.insert("partition.default-name".into(), default("none"));
    let read = joined(&bench.read(&bench.source(&named), &split, |_, _| {}).unwrap());
    assert_eq!(read.column(0).as_string::<i32>().value(0), "__DEFAULT_PARTITION__");

    // What no value of the type is is told by file.
    bench.write("typed/day=2024-01-02T10%3A00/a.json", b"{\"id\":5}\n");
    let mut typed = self::table(
        &[("connector", "filesystem"), ("path", "typed"), ("format", "json")],
        &[("id", DataType::Int64), ("day", DataType::Date32)],
    );
    typed.partitioned_by = vec![1];
    let typed = bench.source(&typed);
    let split = bench.splits(&typed).remove(0);
    let cx = context(bench.io.handle(), 1, 0, 1);
    let message = typed.reader(&cx).unwrap().add(&cx, 0, &split).unwrap_err().message;
    assert!(
        message.ends_with(
            "/a.json: the directory 'day=…': column `day`: 2024-01-02T10:00 is not a DATE, whose form is \"2001-01-31\"; rename it"
        ),
        "{message}"
    );

    // Only what is wanted, in the order in which it is wanted; also without any content.
    let parts = source_with(&table, &[6, 2], &bench.place(), &bench.stores).unwrap();
    let read = joined(&bench.read(&parts.source, &splits[0], |_, _| {}).unwrap());
    assert_eq!(read.column(1).as_primitive::<Int64Type>().values(), &[5, 6]);
    let parts = source_with(&table, &[], &bench.place(), &bench.stores).unwrap();
    assert_eq!(bench.read(&parts.source, &splits[0], |_, _| {}).unwrap()[0].num_rows(), 2);
}

#[test]
fn wrong_options_are_refused_all_at_once() {
    let mut table = table(
        &[
            ("connector", "filesystem"),
            ("path", "gs://b/x"),
            ("format", "jsno"),
            ("source.monitor-interval", "1 ms"),
            ("source.path.regex-pattern", "("),
            ("json.ignore-parse-errors", "true"),
            ("pathh", "x"),
            ("sink.rolling-policy.file-size", "1 MB"),
        ],
        &columns(),
    );
    table.metadata = [(0, "file.nam".to_owned())].into();
    let problems =
        source(&table, &[0], &Place { base: Path::new("/").to_owned(), ..Place::default() })
            .err()
            .unwrap();
    let messages: Vec<_> =
        problems.iter().map(|p| p.message.lines().next().unwrap_or_default()).collect();
    assert_eq!(
        messages,
        [
            "column 'id': metadata 'file.nam' is unknown for connector 'filesystem'; give one of: file.path, file.name, file.size, file.modification-time",
            "'path': 'gs://' is not supported; use a local path, 'file://' or 's3://'",
            "'format' = 'jsno' is not known; did you mean 'json'?",
            "'source.monitor-interval' is less than 100 ms; directories cannot be listed that often",
            "'source.path.regex-pattern' is not a regular expression: regex parse error:",
            "option 'pathh' is unknown for connector 'filesystem'; did you mean 'path'?",
        ]
    );
}

#[test]
#[ignore = "measures; run with --release"]
fn bytes_arrive_faster_than_any_decoder_takes_them() {
    let bench = Bench::new();
    bench.write("big.json", &vec![b'x'; 1 << 30]);
    let source = bench.simple("big.json", "json");
    let file = position::Position::decode(&bench.splits(&source)[0]).unwrap().file;
    let waker = weir_engine::operator::Waker::none();
    let began = weir_engine::env::instant();
    let start = fetch::Start { offset: 0, growing: None };
    let mut chunks = fetch::Chunks::open(bench.io.handle(), waker, file, None, start);
    let mut bytes = 0;
    loop {
        match chunks.next().unwrap() {
            fetch::Next::Chunk(chunk) => {
                bytes += chunk.end - fetch::HEADROOM;
                chunks.recycle(chunk.buffer);
            }
            fetch::Next::Pending | fetch::Next::InLine(_) => std::thread::yield_now(),
            fetch::Next::Cut | fetch::Next::End => break,
        }
    }
    let rate = bytes as f64 / began.elapsed().as_secs_f64() / 1e9;
    assert!(rate > 2.0, "{rate:.2} GB/s");
    println!("{rate:.2} GB/s");
}
