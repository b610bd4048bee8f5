//! Measures the Kafka source: rows per second of processor time, JSON to projected columns.
//!
//! `kafka_read <host:port> <topic> <fill rows> [partitions]`: fills the topic when it has fewer
//! rows, then reads it once. Processor time is this process's, its clients' threads included.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use weir_connectors::kafka;
use weir_connectors::table::{OptionValue, Place, Position, Table};
use weir_engine::env::{Clock, instant};
use weir_engine::operator::{Context, OperatorMetrics, Waker};
use weir_engine::source::SourcePoll;
use weir_protocol::{Counter, KeyGroupRange, Subtask, Term};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, servers, topic, rows, rest @ ..] = arguments.as_slice() else {
        println!("usage: kafka_read <host:port> <topic> <rows> [partitions]");
        return;
    };
    let rows: u64 = rows.parse().unwrap();
    let partitions: i32 = rest.first().map_or(2, |p| p.parse().unwrap());
    let io =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    fill(&io, servers, topic, rows, partitions);
    for _ in 0..3 {
        read(&io, servers, topic);
    }
}

fn fill(io: &tokio::runtime::Runtime, servers: &str, topic: &str, rows: u64, partitions: i32) {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        .set("linger.ms", "50")
        .set("queue.buffering.max.messages", "0");
    let admin: AdminClient<_> = config.create().unwrap();
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let made = io.block_on(admin.create_topics([&new], &AdminOptions::new())).unwrap();
    if made[0].is_err() {
        return;
    }
    let producer: BaseProducer = config.create().unwrap();
    for n in 0..rows {
        let value = format!(
            r#"{{"auction":{},"bidder":{},"price":{},"channel":"channel-{}","url":"https://www.nexmark.com/item.htm?query={n}&page=1","dateTime":"2026-01-01 {:02}:{:02}:{:02}.{:03}","extra":"{:016x}"}}"#,
            1000 + n % 997,
            n % 10_007,
            n * 7919 % 1_000_003,
            n % 100,
            n / 3_600_000 % 24,
            n / 60_000 % 60,
            n / 1000 % 60,
            n % 1000,
            n.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        );
        let record = BaseRecord::<(), str>::to(topic)
            .partition((n % partitions as u64) as i32)
            .payload(&value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        if n % 10_000 == 0 {
            producer.poll(Duration::ZERO);
            while producer.in_flight_count() > 200_000 {
                producer.poll(Duration::from_millis(5));
            }
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

fn read(io: &tokio::runtime::Runtime, servers: &str, topic: &str) {
    let options = [
        ("connector", "kafka"),
        ("properties.bootstrap.servers", servers),
        ("topic", topic),
        ("format", "json"),
        ("scan.startup.mode", "earliest-offset"),
        ("scan.bounded.mode", "latest-offset"),
    ];
    let option = |value: &str| OptionValue { value: value.into(), at: Position::default() };
    let table = Table {
        name: "bids".into(),
        schema: Arc::new(Schema::new(vec![
            Field::new("auction", DataType::Int64, true),
            Field::new("bidder", DataType::Int64, true),
            Field::new("price", DataType::Int64, true),
            Field::new("channel", DataType::Utf8, true),
            Field::new("url", DataType::Utf8, true),
            Field::new("dateTime", DataType::Timestamp(TimeUnit::Millisecond, None), true),
            Field::new("extra", DataType::Utf8, true),
        ])),
        metadata: BTreeMap::new(),
        primary_key: Vec::new(),
        partitioned_by: Vec::new(),
        declared: Vec::new(),
        not_null: Vec::new(),
        part_not_null: Vec::new(),
        event_time: None,
        options: options.iter().map(|(key, value)| ((*key).to_owned(), option(value))).collect(),
        output: Default::default(),
    };
    // What a count per auction and window needs.
    let source = kafka::source(&table, &[0, 5], &Place::default()).unwrap().source;
    let mut enumerator = source.enumerator(None).unwrap();
    let splits = io.block_on(enumerator.discover()).unwrap();

    let (wake, woken) = channel();
    let mut cx = context(io, wake);
    let (start, cpu) = (instant(), cpu_seconds());
    let mut reader = source.reader(&cx).unwrap();
    for (index, split) in splits.iter().enumerate() {
        reader.add(&cx, index, split).unwrap();
    }
    let (mut rows, mut batches, mut ended) = (0, 0, 0);
    while ended < splits.len() {
        match reader.poll(&mut cx).unwrap() {
            SourcePoll::Rows { records, .. } => {
                rows += records.num_rows();
                batches += 1;
            }
            SourcePoll::Finished { .. } => ended += 1,
            other @ SourcePoll::Returned { .. } => panic!("{other:?}"),
            SourcePoll::Pending => {
                let _ = woken.recv_timeout(Duration::from_secs(1));
                while woken.try_recv().is_ok() {}
            }
        }
    }
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let bytes = cx.metrics.get(Counter::Bytes);
    println!(
        "{rows} rows of {} B in {batches} batches: {:.0} rows per CPU-second ({:.0} ns a row), {:.0} rows per second",
        bytes / rows.max(1) as u64,
        rows as f64 / cpu,
        cpu * 1e9 / rows as f64,
        rows as f64 / wall,
    );
}

fn context(io: &tokio::runtime::Runtime, wake: Sender<()>) -> Context {
    Context {
        uid: "read".into(),
        name: "read".into(),
        subtask: Subtask(0),
        parallelism: 1,
        max_parallelism: 128,
        key_groups: KeyGroupRange::all(128),
        term: Term(1),
        clock: Clock::System,
        io: io.handle().clone(),
        waker: Waker::new(move || {
            let _ = wake.send(());
        }),
        metrics: Arc::new(OperatorMetrics::default()),
    }
}

/// User and system time of this process, from Linux's process table.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    // The unit that Linux reports in, on every architecture that it runs on.
    ticks / 100.0
}
