//! The connector against a cluster in the same process. What that cluster cannot do
//! (transactions, deleted rows, deleted topics) is tested against real brokers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use weir_engine::env::instant;
use weir_engine::operator::{Operator, Output, SnapshotRequest};
use weir_engine::source::Split;
use weir_engine::{Batch, Fault};
use weir_protocol::Attempt;

use super::testing::*;
use crate::table::Guarantee;
use crate::testing::{context, runtime};

mod raw;
mod upserts;

const EARLIEST: (&str, &str) = ("scan.startup.mode", "earliest-offset");
const BOUNDED: (&str, &str) = ("scan.bounded.mode", "latest-offset");
const TOPIC: (&str, &str) = ("topic", "t");

fn position(split: &Split) -> serde_json::Value {
    serde_json::from_slice(&split.position).unwrap()
}

#[test]
fn a_bounded_table_is_read_to_the_end_it_had_at_the_start() {
    let mock = cluster("t", 3);
    for partition in 0..2 {
        write(&mock, "t", partition, 0..20_000);
    }
    let io = runtime();
    let source = source(&numbers(&mock.bootstrap_servers(), &[TOPIC, EARLIEST, BOUNDED]), &[0])
        .unwrap()
        .source;
    assert!(source.is_bounded());
    let (enumerator, splits) = discover(&io, &source, None).unwrap();
    assert_eq!(enumerator.interval(), None);
    let ids: Vec<_> = splits.iter().map(|s| (s.id.as_str(), s.size)).collect();
    assert_eq!(ids, [("t/0", 20_000), ("t/1", 20_000), ("t/2", 0)]);
    // Newer than the job: not its rows.
    write(&mock, "t", 0, 0..10);
    write(&mock, "t", 2, 0..10);

    let mut cx = context(io.handle(), 1, 0, 1);
    let mut reader = source.reader(&cx).unwrap();
    for (index, split) in splits.iter().enumerate() {
        reader.add(&cx, index, split).unwrap();
    }
    let mut read = Read::default();
    read_until(&mut *reader, &mut cx, &mut read, |r| r.finished.len() == 3).unwrap();
    for split in 0..2 {
        assert_eq!(read.numbers(split), (0..20_000).collect::<Vec<_>>());
    }
    assert_eq!(read.rows(), 40_000);
    assert!(read.batches.iter().all(|(_, batch)| batch.num_rows() <= 8192));
}

#[test]
fn messages_that_were_fetched_and_wait_are_owed() {
    let mock = cluster("t", 3);
    write(&mock, "t", 0, 0..9);
    write(&mock, "t", 2, 0..9);
    let io = runtime();
    let source =
        source(&numbers(&mock.bootstrap_servers(), &[TOPIC, EARLIEST]), &[0]).unwrap().source;
    let (_, splits) = discover(&io, &source, None).unwrap();
    let mut cx = context(io.handle(), 1, 0, 1);
    let mut reader = source.reader(&cx).unwrap();
    for (index, split) in splits.iter().enumerate() {
        assert!(!reader.owes(index));
        reader.add(&cx, index, split).unwrap();
    }
    let start = weir_engine::env::instant();
    while !(reader.owes(0) && reader.owes(2)) {
        assert!(start.elapsed() < Duration::from_secs(20), "nothing came");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(!reader.owes(1), "of it nothing is known to come");
    read_until(&mut *reader, &mut cx, &mut Read::default(), |read| read.rows() == 18).unwrap();
    assert!((0..3).all(|index| !reader.owes(index)));
}

#[test]
fn a_reader_goes_on_exactly_where_the_last_one_was() {
    let mock = cluster("t", 1);
    write(&mock, "t", 0, 0..30_000);
    let io = runtime();
    let source =
        source(&numbers(&mock.bootstrap_servers(), &[TOPIC, EARLIEST]), &[0]).unwrap().source;
    assert!(!source.is_bounded());
    let (_, splits) = discover(&io, &source, None).unwrap();
    let mut cx = context(io.handle(), 1, 0, 1);

    let mut first = source.reader(&cx).unwrap();
    first.add(&cx, 0, &splits[0]).unwrap();
    let mut read = Read::default();
    read_until(&mut *first, &mut cx, &mut read, |r| r.rows() > 0).unwrap();
    let cut = first.position(0);
    drop(first);

    let mut second = source.reader(&cx).unwrap();
    second.add(&cx, 7, &Split { position: cut, ..splits[0].clone() }).unwrap();
    let mut rest = Read::default();
    let before = read.rows();
    read_until(&mut *second, &mut cx, &mut rest, |r| before + r.rows() >= 30_000).unwrap();
    let numbers: Vec<_> = read.numbers(0).into_iter().chain(rest.numbers(7)).collect();
    assert_eq!(numbers, (0..30_000).collect::<Vec<_>>());
}

#[test]
fn starts_are_numbers_before_anybody_reads() {
    let mock = cluster("t", 2);
    write(&mock, "t", 0, 0..5);
    let io = runtime();
    let servers = mock.bootstrap_servers();
    for (options, expected) in [
        (&[("scan.startup.mode", "latest-offset")][..], [5, 0]),
        (&[EARLIEST], [0, 0]),
        (
            &[
                ("scan.startup.mode", "specific-offsets"),
                ("scan.startup.specific-offsets", "partition:0,offset:3"),
            ],
            [3, 0],
        ),
    ] {
        let mut all = vec![TOPIC];
        all.extend_from_slice(options);
        let source = source(&numbers(&servers, &all), &[0]).unwrap().source;
        let (_, splits) = discover(&io, &source, None).unwrap();
        let starts: Vec<_> =
            splits.iter().map(|s| position(s)["offset"].as_i64().unwrap()).collect();
        assert_eq!(starts, expected, "{options:?}");
    }
}

#[test]
fn a_known_partition_is_not_found_again_and_a_new_one_starts_at_the_beginning() {
    let mock = cluster("a", 1);
    write(&mock, "a", 0, 0..5);
    let io = runtime();
    let servers = mock.bootstrap_servers();
    let latest = [
        ("topic-pattern", "[ab]"),
        ("scan.startup.mode", "latest-offset"),
        ("scan.topic-partition-discovery.interval", "1 s"),
    ];
    let source = source(&numbers(&servers, &latest), &[0]).unwrap().source;
    let (mut enumerator, splits) = discover(&io, &source, None).unwrap();
    assert_eq!(enumerator.interval(), Some(Duration::from_secs(1)));
    assert_eq!(splits.len(), 1);
    assert_eq!(position(&splits[0])["offset"], 5);
    assert!(io.block_on(enumerator.discover()).unwrap().is_empty());

    let snapshot = enumerator.snapshot();
    mock.create_topic("b", 1, 1).unwrap();
    mock.create_topic("bb", 1, 1).unwrap();
    write(&mock, "b", 0, 0..3);
    let (restored, found) = discover(&io, &source, Some(snapshot)).unwrap();
    assert_eq!(found.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["b/0"]);
    assert_eq!(position(&found[0])["offset"], 0);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&restored.snapshot()).unwrap()["partitions"],
        serde_json::json!({"a": [0], "b": [0]})
    );
}

#[test]
fn a_restored_bounded_table_finds_no_further_partitions() {
    let mock = cluster("a", 1);
    write(&mock, "a", 0, 0..5);
    let io = runtime();
    let options = [("topic-pattern", "[ab]"), EARLIEST, BOUNDED];
    let source = source(&numbers(&mock.bootstrap_servers(), &options), &[0]).unwrap().source;
    let (enumerator, splits) = discover(&io, &source, None).unwrap();
    assert_eq!(splits.len(), 1);
    mock.create_topic("b", 1, 1).unwrap();
    let (_, found) = discover(&io, &source, Some(enumerator.snapshot())).unwrap();
    assert_eq!(found, []);
}

#[test]
fn positions_that_cannot_be_shown_hold_nobody_up() {
    let mock = cluster("t", 1);
    write(&mock, "t", 0, 0..5);
    let io = runtime();
    let source =
        source(&numbers(&mock.bootstrap_servers(), &[TOPIC, EARLIEST]), &[0]).unwrap().source;
    let (mut enumerator, splits) = discover(&io, &source, None).unwrap();
    mock.broker_down(1).unwrap();
    let start = instant();
    for _ in 0..5 {
        io.block_on(enumerator.on_published(&splits));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    mock.broker_up(1).unwrap();
}

#[test]
fn clauses_that_would_change_nothing_are_refused() {
    let mut table = numbers("b:9092", &[TOPIC, EARLIEST]);
    table.primary_key = vec![0];
    table.partitioned_by = vec![0];
    let Err(problems) = source(&table, &[0]) else { panic!("accepted") };
    assert_eq!(problems.len(), 2);
    assert!(problems[0].message.contains("PRIMARY KEY has no meaning; remove it"));
}

#[test]
fn positions_are_shown_as_the_groups_and_a_new_job_can_start_there() {
    let mock = cluster("t", 1);
    write(&mock, "t", 0, 0..9);
    let io = runtime();
    let servers = mock.bootstrap_servers();
    let group = [TOPIC, ("scan.startup.mode", "group-offsets"), ("properties.group.id", "g")];
    let source_of = |extra: &[(&str, &str)]| {
        let mut all = group.to_vec();
        all.extend_from_slice(extra);
        source(&numbers(&servers, &all), &[0]).unwrap().source
    };
    let Err(error) = discover(&io, &source_of(&[]), None) else { panic!("started nowhere") };
    assert_eq!(error.fault, Fault::User);
    assert!(
        error.message.contains("has no position in 't/0'; set 'properties.auto.offset.reset'"),
        "{error}"
    );

    let source = source_of(&[("properties.auto.offset.reset", "earliest")]);
    let (mut enumerator, mut splits) = discover(&io, &source, None).unwrap();
    assert_eq!(position(&splits[0])["offset"], 0);
    splits[0].position = r#"{"v":1,"topic":"t","partition":0,"offset":4}"#.into();
    io.block_on(enumerator.on_published(&splits));

    let (_, splits) = discover(&io, &source_of(&[]), None).unwrap();
    assert_eq!(position(&splits[0])["offset"], 4);
}

#[test]
fn tombstones_are_no_rows_and_no_errors() {
    let mock = cluster("t", 1);
    let row =
        |key: Option<&str>, value: Option<&str>| (key.map(str::to_owned), value.map(str::to_owned));
    let records = vec![
        row(Some("1"), None),
        row(Some("2"), Some("20")),
        row(None, Some("30")),
        row(Some("4"), Some("skip")),
    ];
    write_records(&mock, "t", 0, records);
    let io = runtime();
    let mut table = numbers(
        &mock.bootstrap_servers(),
        &[
            TOPIC,
            EARLIEST,
            BOUNDED,
            ("key.format", "n"),
            ("key.fields", "k"),
            ("value.fields-include", "EXCEPT_KEY"),
        ],
    );
    let columns = [
        ("n", DataType::Int64),
        ("k", DataType::Int64),
        ("o", DataType::Int64),
        ("p", DataType::Int32),
        ("w", DataType::Utf8),
    ];
    table.schema = crate::testing::table(&[], &columns).schema;
    table.metadata =
        BTreeMap::from([(2, "offset".into()), (3, "partition".into()), (4, "topic".into())]);
    let source = source(&table, &[0, 1, 2, 3, 4]).unwrap().source;
    let (_, splits) = discover(&io, &source, None).unwrap();
    let mut cx = context(io.handle(), 1, 0, 1);
    let mut reader = source.reader(&cx).unwrap();
    reader.add(&cx, 0, &splits[0]).unwrap();
    let mut read = Read::default();
    read_until(&mut *reader, &mut cx, &mut read, |r| !r.finished.is_empty()).unwrap();
    assert_eq!(read.batches.len(), 1);
    let batch = &read.batches[0].1;
    let ints =
        |column: usize| batch.column(column).as_primitive::<Int64Type>().iter().collect::<Vec<_>>();
    assert_eq!(ints(0), [Some(20), Some(30)]);
    assert_eq!(ints(1), [Some(2), None]);
    assert_eq!(ints(2), [Some(1), Some(2)]);
    assert_eq!(batch.column(3).as_primitive::<Int32Type>().values(), &[0, 0]);
    assert_eq!(batch.column(4).as_string::<i32>().value(1), "t");
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&reader.position(0)).unwrap()["offset"],
        4
    );
}

#[test]
fn a_broken_message_is_named_by_partition_and_offset() {
    let mock = cluster("t", 1);
    let record = |value: &str| (None, Some(value.to_owned()));
    write_records(&mock, "t", 0, vec![record("1"), record("x")]);
    let io = runtime();
    let source =
        source(&numbers(&mock.bootstrap_servers(), &[TOPIC, EARLIEST]), &[0]).unwrap().source;
    let (_, splits) = discover(&io, &source, None).unwrap();
    let mut cx = context(io.handle(), 1, 0, 1);
    let mut reader = source.reader(&cx).unwrap();
    reader.add(&cx, 0, &splits[0]).unwrap();
    let error = read_until(&mut *reader, &mut cx, &mut Read::default(), |_| false).unwrap_err();
    assert_eq!(
        error.message,
        "table 't': 't/0', value of the message at offset 1, byte 0: 'x' is not a number"
    );
    assert_eq!(error.fault, Fault::User);
}

#[test]
fn a_missing_topic_is_named() {
    let mock = cluster("t", 1);
    mock.topic_error("gone", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    let io = runtime();
    let source = source(&numbers(&mock.bootstrap_servers(), &[("topic", "gone"), EARLIEST]), &[0])
        .unwrap()
        .source;
    let Err(error) = discover(&io, &source, None) else { panic!("found it") };
    assert_eq!(error.fault, Fault::User);
    assert!(error.message.starts_with("table 't': looking for topic 'gone': "), "{error}");
    assert!(error.message.ends_with("create the topic, or correct 'topic'"), "{error}");
}

#[test]
fn brokers_that_are_away_end_a_start_in_time_and_are_named() {
    // A port that nobody listens on: bound, and closed again.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let servers = format!("127.0.0.1:{port}");
    let io = runtime();
    let source = source(&numbers(&servers, &[TOPIC, EARLIEST]), &[0]).unwrap().source;
    let start = instant();
    let Err(error) = discover(&io, &source, None) else { panic!("found it") };
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    assert_eq!(error.fault, Fault::External);
    let begin =
        format!("table 't': looking for topic 't': Kafka at '{servers}' cannot be reached: ");
    assert!(error.message.starts_with(&begin), "{error}");
    assert!(error.message.contains("Connection refused"), "{error}");
    assert!(error.message.contains("check 'properties.bootstrap.servers'"), "{error}");
}

#[test]
fn a_reader_waits_for_a_broker_that_comes_back() {
    let mock = cluster("t", 1);
    write(&mock, "t", 0, 0..5);
    let io = runtime();
    let options = [TOPIC, EARLIEST, ("properties.reconnect.backoff.max.ms", "200")];
    let source = source(&numbers(&mock.bootstrap_servers(), &options), &[0]).unwrap().source;
    let (mut enumerator, splits) = discover(&io, &source, None).unwrap();
    let mut cx = context(io.handle(), 1, 0, 1);
    let mut reader = source.reader(&cx).unwrap();
    reader.add(&cx, 0, &splits[0]).unwrap();
    let mut read = Read::default();
    read_until(&mut *reader, &mut cx, &mut read, |r| r.rows() == 5).unwrap();
    mock.broker_down(1).unwrap();
    // Once a job has started, looking for partitions never fails it.
    assert!(io.block_on(enumerator.discover()).unwrap().is_empty());
    mock.broker_up(1).unwrap();
    write(&mock, "t", 0, 5..9);
    read_until(&mut *reader, &mut cx, &mut read, |r| r.rows() == 9).unwrap();
    assert_eq!(read.numbers(0), (0..9).collect::<Vec<_>>());
}

/// All numbers in a topic, by partition, with their keys.
fn written(
    servers: &str,
    topic: &str,
    partitions: i32,
    count: usize,
) -> BTreeMap<i32, Vec<(Option<String>, i64)>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "check")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut found: BTreeMap<i32, Vec<_>> = BTreeMap::new();
    let start = instant();
    let mut rows = 0;
    while rows < count && start.elapsed() < Duration::from_secs(10) {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let number = text(message.payload().unwrap()).parse().unwrap();
        found.entry(message.partition()).or_default().push((message.key().map(text), number));
        rows += 1;
    }
    found
}

fn batch(numbers: std::ops::Range<i64>) -> Batch {
    let schema = crate::testing::table(&[], &[("n", DataType::Int64)]).schema;
    let column = Arc::new(Int64Array::from_iter_values(numbers));
    Batch::new(RecordBatch::try_new(schema, vec![column]).unwrap())
}

const BARRIER: SnapshotRequest = SnapshotRequest { attempt: Attempt(1), full: false, last: false };

/// Waits until the writer takes rows.
fn wait_ready(writer: &mut dyn Operator, cx: &mut weir_engine::Context) {
    let start = instant();
    while !writer.is_ready(cx) {
        assert!(start.elapsed() < Duration::from_secs(30), "the writer never got ready");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_was_written_before_a_barrier_has_arrived_when_its_pre_commit_ends() {
    let mock = cluster("out", 2);
    let io = runtime();
    let mut cx = context(io.handle(), 1, 0, 1);
    let options = [("topic", "out"), ("key.format", "n"), ("key.fields", "n")];
    let mut table = numbers(&mock.bootstrap_servers(), &options);
    table.schema = crate::testing::table(&[], &[("n", DataType::Int64)]).schema;
    let parts = sink(&table).unwrap();
    assert_eq!(parts.guarantee, Guarantee::AtLeastOnce);
    let mut writer = parts.factory.create(&cx).unwrap();
    wait_ready(&mut *writer, &mut cx);
    let mut out = Output::default();
    let _ = writer.on_batch(&mut cx, 0, batch(0..5000), &mut out).unwrap();
    let snapshot = writer.on_barrier(&mut cx, BARRIER).unwrap();
    let pre_committed = io.block_on(snapshot.pre_commit.unwrap()).unwrap();
    assert!(pre_committed.committables.is_empty());
    let found = written(&mock.bootstrap_servers(), "out", 2, 5000);
    let mut numbers: Vec<_> = found
        .values()
        .flatten()
        .map(|(key, n)| {
            assert_eq!(key.as_deref(), Some(n.to_string().as_str()));
            *n
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..5000).collect::<Vec<_>>());
    // By key: both partitions get some.
    assert!(
        found.values().all(|rows| rows.len() > 1000),
        "{:?}",
        found.values().map(Vec::len).collect::<Vec<_>>()
    );
}

#[test]
fn partitioners_place_rows_as_they_say() {
    let mock = cluster("out", 3);
    mock.create_topic("fixed", 3, 1).unwrap();
    let io = runtime();
    let mut cx = context(io.handle(), 1, 4, 5);
    for (topic, partitioner, expected) in
        [("out", "round-robin", [(0, 3), (1, 3), (2, 3)].as_slice()), ("fixed", "fixed", &[(1, 9)])]
    {
        let options = [("topic", topic), ("sink.partitioner", partitioner)];
        let parts = sink(&numbers(&mock.bootstrap_servers(), &options)).unwrap();
        let mut writer = parts.factory.create(&cx).unwrap();
        wait_ready(&mut *writer, &mut cx);
        let _ = writer.on_batch(&mut cx, 0, batch(0..9), &mut Output::default()).unwrap();
        let snapshot = writer.on_barrier(&mut cx, BARRIER).unwrap();
        io.block_on(snapshot.pre_commit.unwrap()).unwrap();
        let found = written(&mock.bootstrap_servers(), topic, 3, 9);
        let counts: Vec<_> = found.iter().map(|(p, rows)| (*p, rows.len())).collect();
        assert_eq!(counts, expected, "{partitioner}");
    }
}

#[test]
fn a_full_buffer_holds_the_job_back_until_rows_have_arrived() {
    let mock = cluster("out", 1);
    mock.broker_round_trip_time(-1, Duration::from_millis(200)).unwrap();
    let io = runtime();
    let mut cx = context(io.handle(), 1, 0, 1);
    let options = [("topic", "out"), ("properties.buffer.memory", "65536")];
    let parts = sink(&numbers(&mock.bootstrap_servers(), &options)).unwrap();
    let mut writer = parts.factory.create(&cx).unwrap();
    wait_ready(&mut *writer, &mut cx);
    let _ = writer.on_batch(&mut cx, 0, batch(0..4000), &mut Output::default()).unwrap();
    assert!(!writer.is_ready(&mut cx), "4000 rows are more than 64 KiB");
    wait_ready(&mut *writer, &mut cx);
}

#[test]
fn a_row_that_cannot_be_delivered_fails_the_checkpoint_and_the_writer() {
    let mock = cluster("out", 1);
    let io = runtime();
    let mut cx = context(io.handle(), 1, 0, 1);
    let options = [
        ("topic", "out"),
        ("properties.delivery.timeout.ms", "1500"),
        ("properties.linger.ms", "0"),
    ];
    let parts = sink(&numbers(&mock.bootstrap_servers(), &options)).unwrap();
    let mut writer = parts.factory.create(&cx).unwrap();
    wait_ready(&mut *writer, &mut cx);
    mock.broker_down(1).unwrap();
    let _ = writer.on_batch(&mut cx, 0, batch(0..10), &mut Output::default()).unwrap();
    let snapshot = writer.on_barrier(&mut cx, BARRIER).unwrap();
    let error = io.block_on(snapshot.pre_commit.unwrap()).unwrap_err();
    assert_eq!(error.fault, Fault::External, "{error}");
    assert!(error.message.starts_with("table 't': writing to topic 'out': Kafka at "), "{error}");
    assert!(writer.is_ready(&mut cx), "so that the error is told");
    assert_eq!(
        writer.on_batch(&mut cx, 0, batch(0..1), &mut Output::default()).unwrap_err(),
        error
    );
    assert_eq!(writer.on_tick(&mut cx, &mut Output::default()).unwrap_err(), error);
}

#[test]
fn a_sink_whose_brokers_are_away_fails_in_time() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let io = runtime();
    let mut cx = context(io.handle(), 1, 0, 1);
    let parts = sink(&numbers(&format!("127.0.0.1:{port}"), &[("topic", "out")])).unwrap();
    let mut writer = parts.factory.create(&cx).unwrap();
    assert!(!writer.is_ready(&mut cx));
    wait_ready(&mut *writer, &mut cx);
    let error = writer.on_tick(&mut cx, &mut Output::default()).unwrap_err();
    assert!(error.message.contains("looking for topic 'out': Kafka at '127.0.0.1:"), "{error}");
    assert!(error.message.contains("cannot be reached"), "{error}");
}

#[test]
fn a_sink_that_keeps_no_promise_says_so() {
    let options = [("topic", "out"), ("sink.delivery-guarantee", "none"), ("properties.acks", "1")];
    assert_eq!(sink(&numbers("b:9092", &options)).unwrap().guarantee, Guarantee::None);
}

#[test]
fn every_problem_with_a_table_is_reported_at_once() {
    let options =
        [("scan.startup.mode", "earliest"), ("properties.fetch.min.byte", "1"), ("topik", "t")];
    let problems = match source(&numbers("b:9092", &options), &[0]) {
        Ok(_) => panic!("accepted"),
        Err(problems) => problems,
    };
    let messages: Vec<_> = problems.into_iter().map(|p| p.message).collect();
    expect_test::expect![[r#"
        'topic' is missing; name a topic, or several separated by ';', or give 'topic-pattern'
        'scan.startup.mode' = 'earliest' is not known; did you mean 'earliest-offset'?
        'properties.fetch.min.byte' is not a setting that Weir's Kafka client takes; did you mean 'properties.fetch.min.bytes'?
        option 'topik' is unknown for connector 'kafka'; did you mean 'topic'?
    "#]]
    .assert_eq(&(messages.join("\n") + "\n"));
}
