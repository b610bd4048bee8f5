//! What was done, as traces of OpenTelemetry: one for each attempt at a checkpoint, each operation and
//! each round of the operator; never one for a row.
//!
//! - **In**: what the page shows anyway, once it is over: nothing is measured twice, and nothing on
//!   the way of rows knows of it.
//! - **Out**: spans to a collector ([`Exporter`]), where `OTEL_EXPORTER_OTLP_ENDPOINT` names one.
//! - **Always**: ids are made of what they name, so that what is sent twice is the same, and no
//!   context has to travel; nobody waits for a collector.

mod export;
#[cfg(test)]
mod tests;

use weir_protocol::view::{AttemptResult, CheckpointRecord, CheckpointTask, OperationView};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

pub use export::Exporter;

/// Tasks of a checkpoint that are shown: the slowest.
const MAX_TASKS: usize = 16;

/// What took some time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    trace: u128,
    id: u64,
    /// The span that it is a part of; 0: none.
    parent: u64,
    /// What was done.
    pub name: String,
    /// Microseconds since 1970.
    pub begin_us: u64,
    /// Microseconds since 1970.
    pub end_us: u64,
    /// What is known of it.
    pub attributes: Vec<(&'static str, String)>,
    /// Why it failed; empty where it did not.
    pub problem: String,
}

impl Span {
    /// A trace's first span. `of`: what it is, and nothing else is.
    #[must_use]
    pub fn root(name: &str, of: &str, begin_us: u64, end_us: u64) -> Self {
        let of = format!("{name} of {of}");
        Self {
            trace: xxh3_128(of.as_bytes()).max(1),
            id: xxh3_64(of.as_bytes()).max(1),
            parent: 0,
            name: name.to_owned(),
            begin_us,
            end_us,
            attributes: Vec::new(),
            problem: String::new(),
        }
    }

    /// A part of this one, told from others by its name and `which`.
    fn part(&self, name: &str, which: &str, begin_us: u64, end_us: u64) -> Self {
        let of = format!("{name} {which} of {}", self.id);
        Self {
            trace: self.trace,
            id: xxh3_64(of.as_bytes()).max(1),
            parent: self.id,
            name: name.to_owned(),
            begin_us,
            end_us,
            attributes: Vec::new(),
            problem: String::new(),
        }
    }

    /// With something that is known of it.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }
}

/// An attempt at a checkpoint: its slowest tasks with their parts, and the publication. `job`:
/// `namespace/name`; `name_of`: the names of tasks.
#[must_use]
pub fn of_checkpoint(
    job: &str,
    record: &CheckpointRecord,
    name_of: impl Fn(u32) -> String,
) -> Vec<Span> {
    let end_us = record.at_ms * 1_000;
    let begin_us = end_us.saturating_sub(record.took_ms * 1_000);
    let which = format!("{job} attempt {} at {}", record.attempt, record.at_ms);
    let mut root = Span::root("checkpoint", &which, begin_us, end_us)
        .with("weir.job", job)
        .with("weir.attempt", record.attempt)
        .with("weir.purpose", &record.purpose);
    match record.result {
        AttemptResult::Published => {
            root = root.with("weir.epoch", record.epoch).with("weir.bytes", record.written_bytes);
        }
        AttemptResult::Failed => root.problem.clone_from(&record.problem),
    }
    let mut slowest: Vec<&CheckpointTask> = record.tasks.iter().collect();
    slowest
        .sort_by_key(|task| std::cmp::Reverse(parts(task).iter().map(|part| part.1).sum::<u64>()));
    let mut spans = Vec::new();
    for task in slowest.into_iter().take(MAX_TASKS) {
        let which = format!("{}/{}", task.vertex, task.subtask);
        let mut at_us = begin_us;
        let whole: u64 = parts(task).iter().map(|part| part.1).sum();
        let of_task = root
            .part("task", &which, begin_us, begin_us + whole)
            .with("weir.task", name_of(task.vertex))
            .with("weir.subtask", task.subtask)
            .with("weir.bytes", task.bytes);
        for (name, took_us) in parts(task) {
            spans.push(of_task.part(name, "", at_us, at_us + took_us));
            at_us += took_us;
        }
        spans.push(of_task);
    }
    if record.result == AttemptResult::Published {
        let acknowledged_us = begin_us + record.acknowledged_ms * 1_000;
        spans.push(root.part("publish", "", acknowledged_us.min(end_us), end_us));
    }
    spans.push(root);
    spans
}

/// What the parts of a task's share of a checkpoint took, in order: microseconds.
#[must_use]
pub fn parts(task: &CheckpointTask) -> [(&'static str, u64); 4] {
    [
        ("trigger", task.trigger_us),
        ("align", task.align_us),
        ("freeze", task.freeze_us),
        ("upload", task.upload_us),
    ]
}

/// An operation and its steps, the last of which end with it. `job`: `namespace/name`.
#[must_use]
pub fn of_operation(job: &str, done: &OperationView) -> Vec<Span> {
    let end_us = done.at_ms * 1_000;
    let which = format!("{job} {} at {}", done.kind, done.at_ms);
    let mut root =
        Span::root("operation", &which, end_us.saturating_sub(done.total_ms * 1_000), end_us)
            .with("weir.job", job)
            .with("weir.type", &done.kind)
            .with("weir.message", &done.message)
            .with("weir.pause_ms", done.pause_ms);
    if done.outcome == "refused" {
        root.problem.clone_from(&done.message);
    }
    let all_us: u64 = done.steps.iter().map(|step| step.ms * 1_000).sum();
    let mut at_us = end_us.saturating_sub(all_us);
    let mut spans = Vec::new();
    for (number, step) in done.steps.iter().enumerate() {
        let step_end_us = at_us + step.ms * 1_000;
        spans.push(root.part(&step.name, &number.to_string(), at_us, step_end_us));
        at_us = step_end_us;
    }
    spans.push(root);
    spans
}
