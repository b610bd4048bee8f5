//! Kafka: topics as sources and sinks.
//!
//! What enters: a table with `'connector' = 'kafka'` or `'upsert-kafka'`. What leaves: a source with
//! one split per partition, or an at-least-once sink. Of upserts, a message takes the place of the
//! one before of its key, and one without a value says that the row is gone.
//!
//! What always holds: positions are the checkpoint's, never the consumer group's, which only
//! shows them to people; a partition is read from a number that was fixed before anybody read;
//! rows that the broker no longer has are an error, not a jump; passwords never stand in a
//! message.
//!
//! Deliberately absent: consumer groups' assignment of partitions (the coordinator assigns) and
//! transactions (exactly once).

mod batch;
mod client;
mod delivery;
mod enumerator;
mod fetch;
mod format;
mod jaas;
mod layout;
mod offsets;
mod properties;
mod reader;
mod rows;
mod settings;
mod sink;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_engine::veil::Veil;

use self::client::{Subject, Topics};
use self::enumerator::Plan;
use self::layout::Columns;
use self::offsets::{Bound, Startup};
use self::properties::Properties;
use self::reader::KafkaSource;
use self::rows::DecoderFactory;
use self::settings::{SinkSettings, SourceSettings};
use self::sink::{EncoderFactory, IN_FLIGHT_BYTES, SinkMaker};
use crate::formats;
use crate::options::Options;
use crate::table::{Guarantee, Place, Problem, SinkParts, SourceParts, Table};

/// The part of a message that a format is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Value,
    /// The value where the message says whether its row comes or goes.
    Upsert,
    Key,
}

/// What messages are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rows {
    /// Rows, or what their format says.
    Told,
    /// The rows of their keys.
    Upserts,
}

/// Columns that somebody wants of a part.
type Wanted<'a> = Option<&'a Columns>;
/// Finds a part's decoder; what is wrong with its options goes to the problems.
type FindDecoder<'a> = &'a dyn Fn(Part, Wanted<'_>, &mut Options<'_>) -> Option<DecoderFactory>;
/// Finds a part's encoder.
type FindEncoder<'a> = &'a dyn Fn(Part, Wanted<'_>, &mut Options<'_>) -> Option<EncoderFactory>;

/// A source with the columns of `projection`: indices in the table's schema.
///
/// # Errors
/// Every problem with the table's options.
pub fn source(
    table: &Table,
    projection: &[usize],
    place: &Place,
) -> Result<SourceParts, Vec<Problem>> {
    build_source(table, Rows::Told, projection, place, &format::decoder)
}

/// A source of `'upsert-kafka'`: the columns of `projection`, and behind them whether each row comes
/// or goes ([`formats::changes`]); of one that goes, only the primary key counts.
///
/// # Errors
/// Every problem with the table's options.
pub fn upserts(
    table: &Table,
    projection: &[usize],
    place: &Place,
) -> Result<SourceParts, Vec<Problem>> {
    build_source(table, Rows::Upserts, projection, place, &format::decoder)
}

/// A sink that writes each row at least once.
///
/// # Errors
/// Every problem with the table's options.
pub fn sink(table: &Table, place: &Place) -> Result<SinkParts, Vec<Problem>> {
    build_sink(table, Rows::Told, place, &format::encoder)
}

/// A sink of `'upsert-kafka'`: what became of each primary key in a batch, at least once. All rows
/// of a key have to come through one subtask, in order.
///
/// # Errors
/// Every problem with the table's options.
pub fn upsert_sink(table: &Table, place: &Place) -> Result<SinkParts, Vec<Problem>> {
    build_sink(table, Rows::Upserts, place, &format::encoder)
}

fn subject(mut veil: Veil, table: &Table, properties: &Properties) -> Arc<Subject> {
    // What the environment gave is already covered, as its reference.
    properties.secrets.iter().for_each(|secret| veil.cover_as(secret, "******"));
    Arc::new(Subject { table: table.name.clone(), servers: properties.servers.clone(), veil })
}

/// Clauses of `CREATE TABLE` that would change nothing.
fn refuse_clauses(rows: Rows, options: &mut Options<'_>) {
    if rows == Rows::Told && !options.table().primary_key.is_empty() {
        options.refuse_table("'kafka' tables hold rows that are never replaced, so PRIMARY KEY has no meaning; remove it, and name the columns of the messages' key in 'key.fields', or use connector 'upsert-kafka'");
    }
    if !options.table().partitioned_by.is_empty() {
        options.refuse_table("PARTITIONED BY is for files; remove it: rows with equal 'key.fields' go to one partition");
    }
}

/// Bytes that librdkafka fetches ahead for one reader, in its unit.
const FETCH_AHEAD_KB: &str = "16384";

/// The group that positions are shown under when the user names none.
fn default_group(job: &str) -> String {
    format!("weir.{}", job.replace('/', "."))
}

fn build_source(
    table: &Table,
    rows: Rows,
    projection: &[usize],
    place: &Place,
    decoder: FindDecoder<'_>,
) -> Result<SourceParts, Vec<Problem>> {
    let mut options = Options::new(table);
    let settings = settings::source(rows, &mut options);
    let mut layout = layout::source(rows, &mut options, projection);
    if rows == Rows::Told && has_kinds(&mut options) {
        layout.add_kinds();
    }
    let idle_after = options.duration("scan.watermark.idle-timeout");
    let parallelism = options.parallelism("scan.parallelism");
    options.allow("sink.parallelism");
    refuse_clauses(rows, &mut options);
    let value = decoder(rows.value(&mut options), Some(&layout.value), &mut options);
    let key = decoder(Part::Key, layout.key.as_ref(), &mut options);
    let mut details = source_details(&options, &settings);
    details.extend(parallelism);
    details.extend(settings.properties.passed_over());
    let veil = options.veil();
    let problems = options.finish();
    let Some(value) = value.filter(|_| problems.is_empty()) else { return Err(problems) };
    let SourceSettings { topics, startup, bound, interval, skip_lost, mut properties } = settings;
    properties.resolve_files(&place.base);
    let subject = subject(veil, table, &properties);
    let named_group = properties.config.contains_key("group.id");
    let group = match properties.config.get("group.id") {
        Some(group) => group.clone(),
        None => default_group(&place.job),
    };
    let eof = if bound == Bound::Unbounded { "false" } else { "true" };
    let defaults = [
        ("client.id", "weir"),
        // librdkafka's own default, and Kafka's, would show rows of aborted transactions.
        ("isolation.level", "read_committed"),
        ("queued.max.messages.kbytes", FETCH_AHEAD_KB),
        // A second's pause after each full buffer, by default.
        ("fetch.queue.backoff.ms", "5"),
        ("check.crcs", "true"),
        ("socket.keepalive.enable", "true"),
    ];
    let fixed = [
        ("group.id", group.as_str()),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("enable.partition.eof", eof),
    ];
    let config = properties.client(&defaults, &fixed);
    let plan =
        Plan { topics, startup, bound, interval, named_group, commit: properties.commit_offsets };
    let source = KafkaSource {
        plan: Arc::new(plan),
        layout: Arc::new(layout),
        subject,
        cluster: config.clone(),
        config,
        skip_lost,
        value,
        key,
    };
    Ok(SourceParts { source: Arc::new(source), idle_after, details })
}

impl Rows {
    /// Which part the value is; of upserts the key has a format too.
    fn value(self, options: &mut Options<'_>) -> Part {
        match self {
            Self::Told => Part::Value,
            Self::Upserts => {
                if !options.is_given("key.format") {
                    options.refuse_table(
                        "'key.format' is missing; give 'json', 'csv', 'raw' or 'avro'",
                    );
                }
                Part::Upsert
            }
        }
    }
}

/// Whether the format of values has kinds of rows.
fn has_kinds(options: &mut Options<'_>) -> bool {
    let given = ["format", "value.format"].into_iter().find_map(|key| options.reveal(key));
    given.is_some_and(formats::has_kinds)
}

fn source_details(options: &Options<'_>, settings: &SourceSettings) -> BTreeMap<String, String> {
    let topics = match &settings.topics {
        Topics::List(names) => options.detail("topic", names.join(";")),
        Topics::Pattern(pattern) => options.detail("topic-pattern", pattern),
    };
    let starts = match &settings.startup {
        Startup::Earliest => "earliest-offset",
        Startup::Latest => "latest-offset",
        Startup::Group(_) => "group-offsets",
        Startup::Timestamp(_) => "timestamp",
        Startup::Specific(_) => "specific-offsets",
    };
    let ends = match &settings.bound {
        Bound::Unbounded => "never",
        Bound::Latest => "latest-offset",
        Bound::Timestamp(_) => "timestamp",
        Bound::Specific(_) => "specific-offsets",
    };
    BTreeMap::from([
        ("topic".to_owned(), topics),
        ("servers".to_owned(), settings.properties.servers.clone()),
        ("starts".to_owned(), starts.to_owned()),
        ("ends".to_owned(), ends.to_owned()),
    ])
}

fn build_sink(
    table: &Table,
    rows: Rows,
    place: &Place,
    encoder: FindEncoder<'_>,
) -> Result<SinkParts, Vec<Problem>> {
    let mut options = Options::new(table);
    let settings = settings::sink(rows, &mut options);
    let mut layout = layout::sink(rows, &mut options);
    layout.has_kinds = rows == Rows::Told && has_kinds(&mut options);
    options.allow("scan.watermark.idle-timeout");
    options.allow("scan.parallelism");
    let parallelism = options.parallelism("sink.parallelism");
    refuse_clauses(rows, &mut options);
    let value = encoder(rows.value(&mut options), Some(&layout.value), &mut options);
    let key = encoder(Part::Key, layout.key.as_ref(), &mut options);
    let shown = options.detail("topic", &settings.topic);
    let veil = options.veil();
    let problems = options.finish();
    let Some(value) = value.filter(|_| problems.is_empty()) else { return Err(problems) };
    let SinkSettings { topic, partitioner, flush, mut properties } = settings;
    properties.resolve_files(&place.base);
    let mut details = BTreeMap::from([
        ("topic".to_owned(), shown),
        ("servers".to_owned(), properties.servers.clone()),
    ]);
    details.extend(parallelism);
    details.extend(properties.passed_over());
    // An idempotent producer repeats nothing by itself, but asks for settings that a user may
    // have set otherwise.
    let set = |name: &str| properties.config.get(name).map(String::as_str);
    let idempotent = matches!(set("acks"), None | Some("all" | "-1"))
        && set("retries") != Some("0")
        && set("max.in.flight.requests.per.connection")
            .is_none_or(|n| n.parse().is_ok_and(|n: u32| n <= 5));
    let defaults = [
        ("client.id", "weir"),
        ("enable.idempotence", if idempotent { "true" } else { "false" }),
        ("message.timeout.ms", "120000"),
        ("socket.keepalive.enable", "true"),
    ];
    let fixed = [
        // As Kafka's Java client; librdkafka's own choice would send keys elsewhere.
        ("partitioner", "murmur2_random"),
        // The sink counts bytes itself and holds the job back.
        ("queue.buffering.max.messages", "0"),
        ("queue.buffering.max.kbytes", "2147483647"),
    ];
    let limit = properties.buffer_bytes.unwrap_or(IN_FLIGHT_BYTES).clamp(1 << 16, 1 << 30);
    let maker = SinkMaker {
        subject: subject(veil, table, &properties),
        topic,
        config: properties.client(&defaults, &fixed),
        layout: Arc::new(layout),
        partitioner,
        flush,
        limit: usize::try_from(limit).unwrap_or(1 << 30),
        value,
        key,
    };
    Ok(SinkParts {
        factory: Arc::new(maker),
        committer: None,
        guarantee: if flush { Guarantee::AtLeastOnce } else { Guarantee::None },
        single: false,
        details,
    })
}
