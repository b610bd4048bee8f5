//! The Kafka connector against a real broker: what the one in the process cannot do.
//!
//! `WEIR_KAFKA=host:port` names a plaintext listener of a broker that creates topics only when
//! asked; `security` names the others. Topics are made anew for every test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail the test")]

mod positions;
mod security;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{
    DataType, Field, Int32Type, Int64Type, Schema, TimeUnit, TimestampMillisecondType,
};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::runtime::Runtime;
use weir_connectors::kafka;
use weir_connectors::table::{OptionValue, Place, Position, Table};
use weir_engine::env::{Clock, instant};
use weir_engine::operator::{Context, Operator, OperatorMetrics, Output, SnapshotRequest, Waker};
use weir_engine::source::{Source, SourcePoll, SourceReader, Split, SplitEnumerator};
use weir_engine::{Batch, EngineError, Fault};
use weir_protocol::{Attempt, Counter, KeyGroupRange, Subtask, Term};

const WAIT: Duration = Duration::from_secs(30);
const EARLIEST: (&str, &str) = ("scan.startup.mode", "earliest-offset");
const BOUNDED: (&str, &str) = ("scan.bounded.mode", "latest-offset");

fn servers() -> String {
    std::env::var("WEIR_KAFKA").expect("WEIR_KAFKA names a broker as host:port")
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built")
}

/// A topic of its own for a test.
struct Topic {
    name: String,
    admin: AdminClient<DefaultClientContext>,
    io: Runtime,
}

impl Topic {
    fn new(name: &str, partitions: i32) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers());
        let admin: AdminClient<_> = config.create().unwrap();
        let io = runtime();
        let name = format!("{name}-{}", uuid::Uuid::new_v4());
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let made = io.block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        Self { name, admin, io }
    }

    fn producer(&self, options: &[(&str, &str)]) -> BaseProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers());
        for (key, value) in options {
            config.set(*key, *value);
        }
        config.create().unwrap()
    }

    fn send(
        &self,
        producer: &BaseProducer,
        partition: i32,
        numbers: std::ops::Range<i64>,
        timestamp: Option<i64>,
    ) {
        for n in numbers {
            let value = format!("{{\"n\":{n},\"s\":\"row {n}\"}}");
            let mut record =
                BaseRecord::<str, str>::to(&self.name).partition(partition).payload(&value);
            record.timestamp = timestamp;
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
    }

    fn write(&self, partition: i32, numbers: std::ops::Range<i64>) {
        let producer = self.producer(&[]);
        self.send(&producer, partition, numbers, None);
        producer.flush(WAIT).unwrap();
    }

    /// Writes in a transaction and ends it.
    fn transaction(&self, numbers: std::ops::Range<i64>, commit: bool) {
        let producer = self.open_transaction(numbers);
        if commit {
            producer.commit_transaction(WAIT).unwrap();
        } else {
            producer.abort_transaction(WAIT).unwrap();
        }
    }

    fn open_transaction(&self, numbers: std::ops::Range<i64>) -> BaseProducer {
        let id = format!("id-{}", uuid::Uuid::new_v4());
        let producer = self.producer(&[("transactional.id", &id)]);
        producer.init_transactions(WAIT).unwrap();
        producer.begin_transaction().unwrap();
        self.send(&producer, 0, numbers, None);
        producer.flush(WAIT).unwrap();
        producer
    }

    fn delete_before(&self, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.name, partition, Offset::Offset(offset)).unwrap();
        self.io.block_on(self.admin.delete_records(&list, &AdminOptions::new())).unwrap();
    }

    fn table(&self, options: &[(&str, &str)]) -> Table {
        let mut all = vec![("topic", self.name.as_str()), ("format", "json")];
        all.extend_from_slice(options);
        table(&servers(), &all, &[("n", DataType::Int64), ("s", DataType::Utf8)])
    }
}

fn table(servers: &str, options: &[(&str, &str)], columns: &[(&str, DataType)]) -> Table {
    let at = Position::default();
    let mut all = BTreeMap::from([
        ("connector".to_owned(), OptionValue { value: "kafka".into(), at }),
        ("properties.bootstrap.servers".to_owned(), OptionValue { value: servers.into(), at }),
    ]);
    for (key, value) in options {
        all.insert((*key).to_owned(), OptionValue { value: (*value).into(), at });
    }
    let fields: Vec<_> =
        columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect();
    Table {
        name: "t".into(),
        schema: Arc::new(Schema::new(fields)),
        metadata: BTreeMap::new(),
        primary_key: Vec::new(),
        partitioned_by: Vec::new(),
        declared: Vec::new(),
        not_null: Vec::new(),
        part_not_null: Vec::new(),
        event_time: None,
        options: all,
        output: Default::default(),
    }
}

fn context(io: &Runtime) -> Context {
    Context {
        uid: "op".into(),
        name: "test".into(),
        subtask: Subtask(0),
        parallelism: 1,
        max_parallelism: 128,
        key_groups: KeyGroupRange::all(128),
        term: Term(1),
        clock: Clock::manual(0),
        io: io.handle().clone(),
        waker: Waker::none(),
        metrics: Arc::new(OperatorMetrics::default()),
    }
}

fn source(table: &Table, projection: &[usize]) -> Arc<dyn Source> {
    let place = Place { job: "ns/job".into(), ..Place::default() };
    kafka::source(table, projection, &place).unwrap().source
}

fn discover(
    io: &Runtime,
    source: &Arc<dyn Source>,
) -> Result<(Box<dyn SplitEnumerator>, Vec<Split>), EngineError> {
    let mut enumerator = source.enumerator(None)?;
    let splits = io.block_on(enumerator.discover())?;
    Ok((enumerator, splits))
}

fn field(stored: &[u8], name: &str) -> i64 {
    serde_json::from_slice::<serde_json::Value>(stored).unwrap()[name].as_i64().unwrap()
}

/// Polls until `enough`, or an error.
fn poll_until(
    reader: &mut dyn SourceReader,
    cx: &mut Context,
    mut enough: impl FnMut(SourcePoll) -> bool,
) -> Result<(), EngineError> {
    let start = instant();
    loop {
        assert!(start.elapsed() < WAIT, "nothing more came");
        match reader.poll(cx)? {
            other @ SourcePoll::Returned { .. } => panic!("{other:?}"),
            SourcePoll::Pending => std::thread::sleep(Duration::from_millis(2)),
            polled => {
                if enough(polled) {
                    return Ok(());
                }
            }
        }
    }
}

fn numbers(records: &RecordBatch) -> Vec<i64> {
    records.column(0).as_primitive::<Int64Type>().values().to_vec()
}

/// Reads a bounded table to its end.
fn read_all(io: &Runtime, table: &Table) -> Vec<i64> {
    let source = source(table, &[0]);
    let (_, splits) = discover(io, &source).unwrap();
    let mut cx = context(io);
    let mut reader = source.reader(&cx).unwrap();
    for (index, split) in splits.iter().enumerate() {
        reader.add(&cx, index, split).unwrap();
    }
    let (mut rows, mut ended) = (Vec::new(), 0);
    poll_until(&mut *reader, &mut cx, |polled| {
        match polled {
            SourcePoll::Rows { records, .. } => rows.extend(numbers(&records)),
            SourcePoll::Finished { .. } => ended += 1,
            other @ SourcePoll::Returned { .. } => panic!("{other:?}"),
            SourcePoll::Pending => {}
        }
        ended == splits.len()
    })
    .unwrap();
    rows
}

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn partitions_added_while_running_start_at_their_beginning() {
    let topic = Topic::new("grown", 1);
    topic.write(0, 0..10);
    let source = source(&topic.table(&[("scan.startup.mode", "latest-offset")]), &[0]);
    let (mut enumerator, splits) = discover(&topic.io, &source).unwrap();
    assert_eq!(splits.len(), 1);
    let more = NewPartitions::new(&topic.name, 2);
    let answers =
        topic.io.block_on(topic.admin.create_partitions([&more], &AdminOptions::new())).unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    topic.write(1, 100..110);
    // A broker may tell of a partition later than it takes rows for it: enumerators ask again.
    let began = instant();
    let mut found = Vec::new();
    while found.is_empty() && began.elapsed() < WAIT {
        found = topic.io.block_on(enumerator.discover()).unwrap();
    }
    assert_eq!(
        found.iter().map(|s| s.id.clone()).collect::<Vec<_>>(),
        [format!("{}/1", topic.name)]
    );
    assert_eq!(field(&found[0].position, "offset"), 0);
}

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn metadata_and_keys_become_columns() {
    let topic = Topic::new("columns", 1);
    let producer = topic.producer(&[]);
    let record = BaseRecord::to(&topic.name)
        .key(r#"{"id":7}"#)
        .payload(r#"{"n":1,"s":"x"}"#)
        .timestamp(1_700_000_000_123);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(WAIT).unwrap();
    let options = [
        EARLIEST,
        BOUNDED,
        ("key.format", "json"),
        ("key.fields", "k_id"),
        ("key.fields-prefix", "k_"),
        ("value.fields-include", "EXCEPT_KEY"),
    ];
    let mut table = topic.table(&options);
    let columns = [
        ("n", DataType::Int64),
        ("k_id", DataType::Int64),
        ("at", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("kind", DataType::Utf8),
        ("epoch", DataType::Int32),
    ];
    table.schema = crate::table("", &[], &columns).schema;
    table.metadata = BTreeMap::from([
        (2, "timestamp".into()),
        (3, "timestamp-type".into()),
        (4, "leader-epoch".into()),
    ]);
    let source = source(&table, &[4, 3, 2, 1, 0]);
    let (_, splits) = discover(&topic.io, &source).unwrap();
    let mut cx = context(&topic.io);
    let mut reader = source.reader(&cx).unwrap();
    reader.add(&cx, 0, &splits[0]).unwrap();
    let mut batch = None;
    poll_until(&mut *reader, &mut cx, |polled| match polled {
        SourcePoll::Rows { records, .. } => {
            batch = Some(records);
            false
        }
        _ => true,
    })
    .unwrap();
    let batch = batch.unwrap();
    assert_eq!(batch.schema(), source.schema());
    assert_eq!(batch.column(0).as_primitive::<Int32Type>().values(), &[0]);
    assert_eq!(batch.column(1).as_string::<i32>().value(0), "CreateTime");
    assert_eq!(
        batch.column(2).as_primitive::<TimestampMillisecondType>().value(0),
        1_700_000_000_123
    );
    assert_eq!(batch.column(3).as_primitive::<Int64Type>().value(0), 7);
    assert_eq!(batch.column(4).as_primitive::<Int64Type>().value(0), 1);
    assert!(cx.metrics.get(Counter::Bytes) > 0);
}

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn published_positions_are_the_groups_for_others_to_see() {
    let topic = Topic::new("shown", 1);
    topic.write(0, 0..10);
    let group = format!("g-{}", uuid::Uuid::new_v4());
    let source = source(&topic.table(&[EARLIEST, ("properties.group.id", &group)]), &[0]);
    let (mut enumerator, mut splits) = discover(&topic.io, &source).unwrap();
    splits[0].position =
        format!(r#"{{"v":1,"topic":"{}","partition":0,"offset":6}}"#, topic.name).into();
    topic.io.block_on(enumerator.on_published(&splits));
    let other: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers())
        .set("group.id", &group)
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition(&topic.name, 0);
    let found = other.committed_offsets(list, WAIT).unwrap();
    assert_eq!(found.elements()[0].offset(), Offset::Offset(6));
}

fn ready(writer: &mut dyn Operator, cx: &mut Context) {
    let start = instant();
    while !writer.is_ready(cx) {
        assert!(start.elapsed() < WAIT, "the writer never got ready");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn what_the_sink_writes_the_source_reads() {
    let topic = Topic::new("round", 3);
    let mut table = topic.table(&[("key.format", "csv"), ("key.fields", "n")]);
    let columns = [
        ("n", DataType::Int64),
        ("s", DataType::Utf8),
        ("at", DataType::Timestamp(TimeUnit::Millisecond, None)),
    ];
    table.schema = crate::table("", &[], &columns).schema;
    table.metadata = BTreeMap::from([(2, "timestamp".into())]);
    let mut cx = context(&topic.io);
    let mut writer = kafka::sink(&table, &Place::default()).unwrap().factory.create(&cx).unwrap();
    let rows = 50_000i64;
    for start in (0..rows).step_by(5000) {
        let numbers = start..start + 5000;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(numbers.clone())),
            Arc::new(StringArray::from_iter_values(numbers.clone().map(|n| format!("\"{n}\"")))),
            Arc::new(TimestampMillisecondArray::from_iter_values(
                numbers.map(|n| 1_700_000_000_000 + n),
            )),
        ];
        ready(&mut *writer, &mut cx);
        let batch = Batch::new(RecordBatch::try_new(table.schema.clone(), columns).unwrap());
        let _ = writer.on_batch(&mut cx, 0, batch, &mut Output::default()).unwrap();
    }
    let request = SnapshotRequest { attempt: Attempt(1), full: false, last: true };
    let snapshot = writer.on_barrier(&mut cx, request).unwrap();
    topic.io.block_on(snapshot.pre_commit.unwrap()).unwrap();
    drop(writer);

    table.options.extend(topic.table(&[EARLIEST, BOUNDED]).options);
    let source = source(&table, &[0, 1, 2]);
    let (_, splits) = discover(&topic.io, &source).unwrap();
    assert!(splits.iter().all(|split| split.size > 0), "keys spread over all partitions");
    let mut reader = source.reader(&cx).unwrap();
    for (index, split) in splits.iter().enumerate() {
        reader.add(&cx, index, split).unwrap();
    }
    let (mut found, mut ended) = (Vec::new(), 0);
    poll_until(&mut *reader, &mut cx, |polled| {
        match polled {
            SourcePoll::Rows { records, .. } => {
                let text = records.column(1).as_string::<i32>();
                let at = records.column(2).as_primitive::<TimestampMillisecondType>();
                for (row, n) in numbers(&records).into_iter().enumerate() {
                    assert_eq!(text.value(row), format!("\"{n}\""));
                    assert_eq!(at.value(row), 1_700_000_000_000 + n);
                    found.push(n);
                }
            }
            SourcePoll::Finished { .. } => ended += 1,
            other @ SourcePoll::Returned { .. } => panic!("{other:?}"),
            SourcePoll::Pending => {}
        }
        ended == 3
    })
    .unwrap();
    found.sort_unstable();
    assert_eq!(found, (0..rows).collect::<Vec<_>>());
}
