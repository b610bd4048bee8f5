//! Metrics of one worker, in Prometheus' text format.
//!
//! Everything is read when it is asked for: nothing on the data path counts twice. Counters of
//! tasks begin anew when tasks are deployed anew, which `rate()` takes for a restart.
//!
//! What always holds: at most 10 series a subtask; the names and labels of [`families`].

mod families;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use prometheus::{CounterVec, GaugeVec, Opts, Registry, TextEncoder};
use weir_page::Hub;
use weir_page::traces::parts;
use weir_protocol::Counter;
use weir_protocol::control::{CoordinatorReport, JobStatus, OperatorStats, TaskStats};
use weir_protocol::view::{AttemptResult, CheckpointRecord, Snapshot};

use self::families::Family;
use super::role::Role;
use super::shared::Shared;
use crate::cli::WorkerArgs;
use crate::memory;

/// What the metrics say besides what changes.
pub(crate) struct Settings {
    revision: String,
    state_limit: usize,
    interval_ms: u64,
    /// Names of vertices, by number.
    vertices: Vec<String>,
    /// What sources and sinks there are: uid → (name, kind).
    ends: BTreeMap<String, (String, &'static str)>,
}

impl Settings {
    pub(crate) fn of(args: &WorkerArgs, role: &Role) -> Self {
        let operators = role.graph().vertices.iter().flat_map(|v| &v.chain);
        let ends = operators
            .filter(|(info, _)| matches!(info.kind, "source" | "sink"))
            .map(|(info, _)| (info.uid.0.clone(), (info.name.clone(), info.kind)));
        Self {
            revision: args.cluster.revision.clone(),
            state_limit: memory::state_bytes(args.memory.as_deref()).unwrap_or_default(),
            interval_ms: role.master().checkpoint_interval_ms,
            vertices: role.graph().vertices.iter().map(|v| v.name.clone()).collect(),
            ends: ends.collect(),
        }
    }
}

/// The exposition of this moment. `hub`: what the job's page shows, where the job is coordinated.
///
/// # Errors
/// When a name or a label is not one, which a test would have found.
pub(crate) fn render(
    shared: &Shared,
    hub: &Hub,
    settings: &Settings,
) -> prometheus::Result<String> {
    let job = Job::new(&shared.identity.namespace, &shared.identity.name);
    let view = shared.member();
    worker(&job, settings, view.attached)?;
    tasks(&job, settings, &view.tasks)?;
    ends(&job, settings, &view.tasks)?;
    if let Some(coordinator) = shared.coordinator() {
        let report = coordinator.report();
        coordinated(&job, settings, &report)?;
        checkpoints(&job, &report, settings, coordinator.checkpoints().iter().map(AsRef::as_ref))?;
        seen(&job, &hub.snapshot())?;
    }
    job.text()
}

/// The job that every series is about, and what is said of it.
struct Job<'a> {
    namespace: &'a str,
    name: &'a str,
    registry: Registry,
}

impl<'a> Job<'a> {
    fn new(namespace: &'a str, name: &'a str) -> Self {
        Self { namespace, name, registry: Registry::new() }
    }

    /// The series of a family, none so far.
    fn family(&self, family: &Family) -> prometheus::Result<Series<'_>> {
        let labels: Vec<&str> =
            ["namespace", "streamjob"].iter().chain(family.labels).copied().collect();
        let opts = Opts::new(family.name, family.help);
        let of = if family.is_counter() {
            let counters = CounterVec::new(opts, &labels)?;
            self.registry.register(Box::new(counters.clone()))?;
            Of::Counters(counters)
        } else {
            let gauges = GaugeVec::new(opts, &labels)?;
            self.registry.register(Box::new(gauges.clone()))?;
            Of::Gauges(gauges)
        };
        Ok(Series { job: self, of })
    }

    /// A family of one series.
    fn put(&self, family: &Family, value: f64) -> prometheus::Result<()> {
        self.family(family)?.put(&[], value);
        Ok(())
    }

    fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

enum Of {
    Counters(CounterVec),
    Gauges(GaugeVec),
}

struct Series<'a> {
    job: &'a Job<'a>,
    of: Of,
}

impl Series<'_> {
    /// Adds to a counter, sets a gauge.
    fn put(&self, labels: &[&str], value: f64) {
        let labels: Vec<&str> =
            [self.job.namespace, self.job.name].iter().chain(labels).copied().collect();
        match &self.of {
            Of::Counters(counters) => counters.with_label_values(&labels).inc_by(value),
            Of::Gauges(gauges) => gauges.with_label_values(&labels).set(value),
        }
    }
}

fn from_ms(ms: u64) -> f64 {
    ms as f64 / 1e3
}

fn from_us(us: u64) -> f64 {
    us as f64 / 1e6
}

/// Of the worker itself.
fn worker(job: &Job<'_>, settings: &Settings, is_attached: bool) -> prometheus::Result<()> {
    job.put(&families::WORKER_ATTACHED, f64::from(u8::from(is_attached)))?;
    job.put(&families::STATE_LIMIT, settings.state_limit as f64)
}

type OfTask = (&'static Family, fn(&TaskStats) -> f64);

/// What is known of every task.
const OF_TASKS: [OfTask; 7] = [
    (&families::TASK_BUSY, |task| from_us(task.busy_us)),
    (&families::TASK_BACKPRESSURED, |task| from_us(task.backpressured_us)),
    (&families::TASK_IDLE, |task| from_us(task.idle_us)),
    (&families::TASK_ALIGNING, |task| from_us(task.aligning_us)),
    (&families::TASK_ROWS_IN, |task| {
        task.operators.first().map_or(0, |o| of(o, Counter::RowsIn)) as f64
    }),
    (&families::TASK_ROWS_OUT, |task| {
        task.operators.last().map_or(0, |o| of(o, Counter::RowsOut)) as f64
    }),
    (&families::STATE, |task| task.operators.iter().map(|o| o.state_bytes).sum::<u64>() as f64),
];

fn tasks(job: &Job<'_>, settings: &Settings, tasks: &[TaskStats]) -> prometheus::Result<()> {
    let labels = |task: &TaskStats| {
        let number = task.vertex.to_string();
        let name = settings.vertices.get(task.vertex as usize).cloned().unwrap_or(number);
        [name, task.subtask.to_string()]
    };
    for (family, value) in OF_TASKS {
        let series = job.family(family)?;
        for task in tasks {
            let [name, subtask] = labels(task);
            series.put(&[&name, &subtask], value(task));
        }
    }
    let watermarks = job.family(&families::TASK_WATERMARK)?;
    for task in tasks {
        // The ends of time are no times that a graph could show.
        if let Some(at) = task.watermark.filter(|at| *at != i64::MIN && *at != i64::MAX) {
            let [name, subtask] = labels(task);
            watermarks.put(&[&name, &subtask], at as f64 / 1e3);
        }
    }
    Ok(())
}

/// Sources and sinks: one series each on a worker, not one a subtask.
fn ends(job: &Job<'_>, settings: &Settings, tasks: &[TaskStats]) -> prometheus::Result<()> {
    let read = [
        (job.family(&families::SOURCE_ROWS)?, Counter::RowsOut),
        (job.family(&families::SOURCE_BYTES)?, Counter::Bytes),
        (job.family(&families::SOURCE_SPLITS)?, Counter::Splits),
    ];
    let written = [
        (job.family(&families::SINK_ROWS)?, Counter::RowsIn),
        (job.family(&families::SINK_BYTES)?, Counter::Bytes),
    ];
    let dropped = job.family(&families::TASK_ROWS_DROPPED)?;
    for operator in tasks.iter().flat_map(|t| &t.operators) {
        for lost in Counter::ALL.into_iter().filter(|counter| counter.loses()) {
            dropped.put(&[lost.name()], of(operator, lost) as f64);
        }
        let Some((name, kind)) = settings.ends.get(&operator.uid) else { continue };
        let all = if *kind == "source" { &read[..] } else { &written[..] };
        for (series, counter) in all {
            series.put(&[name], of(operator, *counter) as f64);
        }
    }
    Ok(())
}

/// What a counter of an operator stands at.
fn of(operator: &OperatorStats, counter: Counter) -> u64 {
    operator.counts.get(counter.name()).copied().unwrap_or(0)
}

/// What only the coordinator's process knows.
fn coordinated(
    job: &Job<'_>,
    settings: &Settings,
    report: &CoordinatorReport,
) -> prometheus::Result<()> {
    let unknown = JobStatus::default();
    let status = report.status.as_ref().unwrap_or(&unknown);
    let version = env!("CARGO_PKG_VERSION");
    job.family(&families::JOB_INFO)?.put(&[&settings.revision, version], 1.0);
    job.family(&families::JOB_STATE)?.put(&[status.state().name()], 1.0);
    job.put(&families::JOB_PARALLELISM, f64::from(status.parallelism))?;
    job.put(&families::JOB_WORKERS, f64::from(status.workers))?;
    job.put(&families::JOB_TERM, status.term as f64)?;
    job.put(&families::JOB_RESTARTS, status.restarts as f64)?;
    let ended = job.family(&families::OPERATION_AT)?;
    let took = job.family(&families::OPERATION_DURATION)?;
    let paused = job.family(&families::OPERATION_PAUSE)?;
    // The newest of a kind is what stays.
    for done in &status.operations {
        let kind = done.kind().name();
        ended.put(&[kind, done.outcome().name()], from_ms(done.at_ms));
        took.put(&[kind], from_ms(done.total_ms));
        paused.put(&[kind], from_ms(done.pause_ms));
    }
    Ok(())
}

/// The newest checkpoint, and how attempts went. `records`: those that are over, oldest first.
fn checkpoints<'a>(
    job: &Job<'_>,
    report: &CoordinatorReport,
    settings: &Settings,
    records: impl DoubleEndedIterator<Item = &'a CheckpointRecord>,
) -> prometheus::Result<()> {
    let unknown = JobStatus::default();
    let status = report.status.as_ref().unwrap_or(&unknown);
    job.put(&families::CHECKPOINT_EPOCH, status.epoch as f64)?;
    job.put(&families::CHECKPOINT_BYTES, status.checkpoint_bytes as f64)?;
    job.put(&families::CHECKPOINT_DURATION, from_ms(status.checkpoint_ms))?;
    job.put(&families::CHECKPOINT_INTERVAL, from_ms(settings.interval_ms))?;
    job.put(&families::CHECKPOINT_AT, from_ms(report.checkpoint_at_ms))?;
    let attempts = job.family(&families::CHECKPOINT_ATTEMPTS)?;
    attempts.put(&["published"], report.published as f64);
    attempts.put(&["failed"], status.failed_attempts as f64);
    attempts.put(&["unchanged"], report.unchanged as f64);

    let phases = job.family(&families::CHECKPOINT_PHASE)?;
    let written = job.family(&families::CHECKPOINT_WRITTEN)?;
    let Some(newest) = records.rev().find(|record| record.result == AttemptResult::Published)
    else {
        return Ok(());
    };
    let mut longest: BTreeMap<&str, u64> = BTreeMap::new();
    for (phase, took_us) in newest.tasks.iter().flat_map(parts) {
        let most_us = longest.entry(phase).or_default();
        *most_us = took_us.max(*most_us);
    }
    longest.into_iter().for_each(|(phase, took_us)| phases.put(&[phase], from_us(took_us)));
    let publish_ms = newest.took_ms.saturating_sub(newest.acknowledged_ms);
    phases.put(&["publish"], from_ms(publish_ms));
    written.put(&[], newest.written_bytes as f64);
    Ok(())
}

/// What the job's page says of it.
fn seen(job: &Job<'_>, snapshot: &Snapshot) -> prometheus::Result<()> {
    let findings = job.family(&families::JOB_FINDING)?;
    for finding in &snapshot.findings {
        findings.put(&[&finding.code, finding.severity.name(), &finding.place], 1.0);
    }
    for (family, value) in [
        (&families::JOB_FRESHNESS, snapshot.totals.freshness_s),
        (&families::JOB_PROGRESS, snapshot.totals.progress),
    ] {
        let series = job.family(family)?;
        if let Some(value) = value {
            series.put(&[], value);
        }
    }
    Ok(())
}
