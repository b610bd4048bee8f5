//! The sink: rows to files that appear whole, once, when their epoch is committed.
//!
//! ```text
//! rows ─▶ partition ─▶ encode ─▶ queue ═▶ stage (local files | bucket)
//!                                           │ barrier: committables, items of open files
//!                                           ▼
//!                              manifest ─▶ committer: final names appear
//! ```
//!
//! What always holds (PROTOCOL section 6):
//! - A final name appears by one atomic act (a link, a completed upload) and only in the
//!   committer; readers never see part of a file, and no file is empty.
//! - A file's final name is made once, with a random part, and is never used for anything else.
//! - Nothing of a term is changed by another: a restore copies, or completes what its
//!   checkpoint names.

mod committer;
mod encode;
mod local;
mod partition;
mod payload;
mod policy;
mod remote;
mod replace;
mod stage;
#[cfg(test)]
mod tests;
mod whole;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use weir_engine::OperatorError;
use weir_engine::env::Clock;
use weir_engine::operator::{Context, Operator, OperatorFactory};
use weir_protocol::Term;

use super::location::Root;
use super::store::Stores;
use super::{format, list};
use crate::options::Options;
use crate::table::{Guarantee, Place, Problem, SinkParts, Table};
use committer::FileCommitter;
use encode::Encoder;
use local::LocalStage;
use partition::Layout;
use policy::Policy;
use remote::{Bucket, RemoteStage};
use replace::Replacing;
use stage::{Queue, Stage};
use whole::Rule;
use writer::FileWriter;

/// Where files are staged, below the sink's path.
pub(crate) const STAGING: &str = ".staging";
/// As Flink names the directory of NULL.
pub(crate) const DEFAULT_PARTITION: &str = "__DEFAULT_PARTITION__";

/// A part of a name that no other term, process or file has.
pub(crate) fn fresh(term: Term) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{term}-{}", &random[..12])
}

/// Options that only a source reads, so that one table can be read and written.
pub(crate) fn allow_source_options(options: &mut Options<'_>) {
    for key in super::SOURCE_OPTIONS {
        options.allow(key);
    }
}

/// Options of Flink's that say which files hold the rows, and to whom a finished partition is told
/// when; none says which rows there are, and the rolling policy alone says which files.
const IDLE: [&str; 14] = [
    "auto-compaction",
    "compaction.file-size",
    "compaction.parallelism",
    "partition.time-extractor.class",
    "partition.time-extractor.kind",
    "partition.time-extractor.timestamp-formatter",
    "partition.time-extractor.timestamp-pattern",
    "sink.partition-commit.delay",
    "sink.partition-commit.policy.class",
    "sink.partition-commit.policy.class.parameters",
    "sink.partition-commit.success-file.name",
    "sink.partition-commit.trigger",
    "sink.partition-commit.watermark-time-zone",
    "sink.shuffle-by-partition.enable",
];
const POLICY: &str = "sink.partition-commit.policy.kind";

/// Options that only a sink reads, so that one table can be read and written.
pub(crate) fn allow_sink_options(options: &mut Options<'_>) {
    options.allow("sink.parallelism");
    options.prefixed("sink.rolling-policy.");
    IDLE.iter().chain([&POLICY]).for_each(|key| options.allow(key));
}

/// Reads what changes nothing here; what a plan says of it. Where a policy is given, options of it
/// count.
fn read_idle(options: &mut Options<'_>) -> Option<(String, String)> {
    IDLE.iter().chain([&POLICY]).for_each(|key| options.allow(key));
    for key in ["auto-compaction", "sink.shuffle-by-partition.enable"] {
        options.bool(key, false);
    }
    options.memory("compaction.file-size");
    options.number("compaction.parallelism");
    let has_policy = options.is_given(POLICY);
    let counts = |key: &str| has_policy && whole::OF_POLICY.contains(&key);
    let given = IDLE.into_iter().filter(|key| options.is_given(key) && !counts(key));
    let given: Vec<&str> = given.collect();
    (!given.is_empty()).then(|| ("settings without effect".to_owned(), given.join(", ")))
}

/// The parts of a filesystem sink.
pub(crate) fn sink(
    table: &Table,
    place: &Place,
    stores: Arc<dyn Stores>,
) -> Result<SinkParts, Vec<Problem>> {
    let mut options = Options::new(table);
    allow_source_options(&mut options);
    let idle = read_idle(&mut options);
    let rule = Rule::read(&mut options);
    let single = rule.is_some() || table.output.overwrites.is_some();
    let real = if single { "one task" } else { "the job's" };
    let parallelism = options.parallelism_beside("sink.parallelism", real);
    let location = super::read_location(&mut options, place);
    if location.as_ref().is_some_and(|location| !location.pattern.is_empty()) {
        options.refuse("path", "'path' of a sink names one directory; remove '*' and '?'");
    }
    let format = format::read(&mut options);
    let policy = read_policy(&mut options);
    let default = options.reveal("partition.default-name").unwrap_or(DEFAULT_PARTITION).to_owned();
    for (i, key) in &table.metadata {
        let name = table.schema.fields().get(*i).map_or("", |field| field.name());
        options.refuse_table(format!("column '{name}': metadata '{key}' of files cannot be written; make it VIRTUAL or remove it"));
    }
    super::check_directories(&mut options);
    let layout = read_layout(table, default);
    if layout.written.is_empty() {
        options.refuse_table(
            "every column is in PARTITIONED BY; at least one must be written into the files",
        );
    }
    let store = match location.as_ref().map(|location| &location.root) {
        Some(Root::Remote { bucket, .. }) => stores
            .open(bucket)
            .map_err(|why| options.refuse("path", why))
            .ok()
            .map(|store| Bucket { name: bucket.clone(), store }),
        _ => None,
    };
    let encoder = format.map(|format| Encoder { format, schema: layout.schema.clone() });
    if let Some(Err(error)) = encoder.as_ref().map(Encoder::open) {
        options.refuse("format", error.message);
    }
    let shown = location.as_ref().map_or_else(String::new, |l| options.detail("path", l));
    let problems = options.finish();
    let (Some(location), Some(encoder), true) = (location, encoder, problems.is_empty()) else {
        return Err(problems);
    };
    let mut details = BTreeMap::from([
        ("connector".to_owned(), "filesystem".to_owned()),
        ("path".to_owned(), shown.clone()),
        ("format".to_owned(), encoder.format.name().to_owned()),
    ]);
    details.extend(parallelism);
    details.extend(idle);
    details.extend(rule.iter().map(|rule| ("partition commit".to_owned(), rule.shown())));
    let replaced = table.output.overwrites.as_ref().map(|fixed| layout.replaced(fixed));
    if let Some(replaced) = &replaced {
        let what = match replaced.as_deref() {
            None => "partitions that rows come for".to_owned(),
            Some("") => "all files".to_owned(),
            Some(directory) => directory.to_owned(),
        };
        let how = "at the job's end; rows are written by one task";
        details.insert("overwrites".to_owned(), format!("{what}, {how}"));
    }
    let uid = place.operator.uid.clone();
    // In front of all that the job does; the data plane's clock may be a test's.
    let planned_ms = Clock::System.now_ms();
    let factory = move |cx: &Context| -> Result<Box<dyn Operator>, OperatorError> {
        let (stage, blocks): (Box<dyn Stage>, bool) = match (&location.root, &store) {
            (Root::Remote { key, .. }, Some(bucket)) => {
                let (bucket, key) = (bucket.clone(), key.clone());
                let stage = RemoteStage::new(bucket, key, cx.term, encoder.is_parquet());
                (Box::new(stage), false)
            }
            (Root::Local(root), _) => (Box::new(LocalStage::new(root.clone(), cx.term)), true),
            (Root::Remote { .. }, None) => {
                return Err(weir_engine::EngineError::internal("the bucket was not opened"));
            }
        };
        let stage = match &replaced {
            None => stage,
            Some(replaced) => {
                let location = location.clone();
                let store = store.as_ref().map(|bucket| bucket.store.clone());
                let place = list::Place { location, store, regex: None };
                let mark = rule.as_ref().map(|rule| rule.name.clone());
                let replaced = replaced.clone();
                Box::new(Replacing::new(stage, cx.term, place, replaced, mark, planned_ms))
            }
        };
        let queue = Queue::start(cx, stage, blocks);
        let (layout, encoder, rule) = (layout.clone(), encoder.clone(), rule.clone());
        let (uid, shown) = (uid.clone(), shown.clone());
        Ok(Box::new(FileWriter::new(uid, shown, layout, policy, encoder, rule, queue)))
    };
    let factory: Arc<dyn OperatorFactory> = Arc::new(factory);
    let committer = Arc::new(FileCommitter::new(stores));
    Ok(SinkParts {
        factory,
        committer: Some(committer),
        guarantee: Guarantee::ExactlyOnce,
        single,
        details,
    })
}

fn read_policy(options: &mut Options<'_>) -> Policy {
    const MINUTE_MS: i64 = 60_000;
    let mut ms = |name: &str, default: i64| {
        let given = options.duration(&format!("sink.rolling-policy.{name}"));
        given.map_or(default, |given| i64::try_from(given.as_millis()).unwrap_or(i64::MAX))
    };
    let (rollover_ms, inactivity_ms) =
        (ms("rollover-interval", 30 * MINUTE_MS), ms("inactivity-interval", 30 * MINUTE_MS));
    let check_ms = ms("check-interval", MINUTE_MS);
    let file_size = options.memory("sink.rolling-policy.file-size").unwrap_or(128 << 20);
    if file_size == 0 {
        options.refuse(
            "sink.rolling-policy.file-size",
            "'sink.rolling-policy.file-size' is 0; give a size such as '128 MB'",
        );
    }
    Policy { file_size, rollover_ms, inactivity_ms, check_ms }
}

fn read_layout(table: &Table, default: String) -> Layout {
    let fields = table.schema.fields();
    let name = |i: usize| fields.get(i).map(|field| field.name().clone()).unwrap_or_default();
    let written: Vec<usize> =
        (0..fields.len()).filter(|i| !table.partitioned_by.contains(i)).collect();
    let schema =
        Schema::new(written.iter().filter_map(|&i| fields.get(i).cloned()).collect::<Vec<_>>());
    Layout {
        directories: table.partitioned_by.iter().map(|&i| (i, name(i))).collect(),
        written,
        schema: Arc::new(schema),
        default,
    }
}
