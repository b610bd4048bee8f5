//! Metrics of one worker, in Prometheus' text format.
//!
//! Everything is read when it is asked for: nothing on the data path counts twice. Counters of
//! tasks begin anew when tasks are deployed anew, which `rate()` takes for a restart.
//!
//! What always holds: at most 10 series a subtask; base units; counters end in `_total`; the job
//! is named by the labels `namespace` and `streamjob`.

use std::collections::BTreeMap;

use prometheus::core::Collector;
use prometheus::{CounterVec, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use weir_protocol::Counter;
use weir_protocol::control::{CoordinatorReport, JobStatus, OperatorStats, TaskStats};

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

/// The exposition of this moment.
///
/// # Errors
/// When a name or a label is not one, which a test would have found.
pub(crate) fn render(shared: &Shared, settings: &Settings) -> prometheus::Result<String> {
    let job = Job { namespace: &shared.identity.namespace, name: &shared.identity.name };
    let registry = Registry::new();
    let view = shared.member();
    worker(&job, &registry, settings, view.attached)?;
    tasks(&job, &registry, settings, &view.tasks)?;
    ends(&job, &registry, settings, &view.tasks)?;
    if let Some(coordinator) = shared.coordinator() {
        coordinated(&job, &registry, settings, &coordinator.report())?;
    }
    TextEncoder::new().encode_to_string(&registry.gather())
}

/// Of the worker itself.
fn worker(
    job: &Job<'_>,
    registry: &Registry,
    settings: &Settings,
    is_attached: bool,
) -> prometheus::Result<()> {
    let attached = job.gauge(
        registry,
        "weir_worker_attached",
        "1 while the worker holds a connection to the job's coordinator.",
        &[],
    )?;
    attached.with_label_values(&job.labels(&[])).set(i64::from(is_attached));
    let limit = job.gauge(
        registry,
        "weir_state_limit_bytes",
        "Memory that this worker's state may take.",
        &[],
    )?;
    limit.with_label_values(&job.labels(&[])).set(settings.state_limit as i64);
    Ok(())
}

/// The job that every series is about.
struct Job<'a> {
    namespace: &'a str,
    name: &'a str,
}

impl Job<'_> {
    fn names<'b>(&self, more: &[&'b str]) -> Vec<&'b str> {
        ["namespace", "streamjob"].into_iter().chain(more.iter().copied()).collect()
    }

    fn labels<'b>(&'b self, more: &[&'b str]) -> Vec<&'b str> {
        [self.namespace, self.name].into_iter().chain(more.iter().copied()).collect()
    }

    fn gauge(
        &self,
        registry: &Registry,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntGaugeVec> {
        registered(registry, IntGaugeVec::new(Opts::new(name, help), &self.names(labels))?)
    }

    fn seconds(
        &self,
        registry: &Registry,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<GaugeVec> {
        registered(registry, GaugeVec::new(Opts::new(name, help), &self.names(labels))?)
    }

    fn counter(
        &self,
        registry: &Registry,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        registered(registry, IntCounterVec::new(Opts::new(name, help), &self.names(labels))?)
    }

    fn seconds_counter(
        &self,
        registry: &Registry,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<CounterVec> {
        registered(registry, CounterVec::new(Opts::new(name, help), &self.names(labels))?)
    }
}

fn registered<F: Collector + Clone + 'static>(
    registry: &Registry,
    family: F,
) -> prometheus::Result<F> {
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

fn tasks(
    job: &Job<'_>,
    registry: &Registry,
    settings: &Settings,
    tasks: &[TaskStats],
) -> prometheus::Result<()> {
    let by = ["task", "subtask"];
    let busy =
        job.seconds_counter(registry, "weir_task_busy_seconds_total", "Time spent on rows.", &by)?;
    let held = job.seconds_counter(
        registry,
        "weir_task_backpressured_seconds_total",
        "Time spent waiting for room downstream.",
        &by,
    )?;
    let idle = job.seconds_counter(
        registry,
        "weir_task_idle_seconds_total",
        "Time spent without anything to do.",
        &by,
    )?;
    let aligning = job.seconds_counter(
        registry,
        "weir_task_aligning_seconds_total",
        "Time in which inputs waited for a checkpoint's barrier.",
        &by,
    )?;
    let rows_in = job.counter(
        registry,
        "weir_task_rows_in_total",
        "Rows that came into the task's first operator.",
        &by,
    )?;
    let rows_out = job.counter(
        registry,
        "weir_task_rows_out_total",
        "Rows that left the task's last operator.",
        &by,
    )?;
    let mark = job.seconds(
        registry,
        "weir_task_watermark_timestamp_seconds",
        "Event time up to which the task has seen everything.",
        &by,
    )?;
    let state =
        job.gauge(registry, "weir_state_bytes", "Memory that the task's state takes.", &by)?;
    let seconds = |us: u64| us as f64 / 1e6;
    for task in tasks {
        let unnamed = task.vertex.to_string();
        let name = settings.vertices.get(task.vertex as usize).unwrap_or(&unnamed);
        let subtask = task.subtask.to_string();
        let labels = job.labels(&[name, &subtask]);
        busy.with_label_values(&labels).inc_by(seconds(task.busy_us));
        held.with_label_values(&labels).inc_by(seconds(task.backpressured_us));
        idle.with_label_values(&labels).inc_by(seconds(task.idle_us));
        aligning.with_label_values(&labels).inc_by(seconds(task.aligning_us));
        let (first, last) = (task.operators.first(), task.operators.last());
        rows_in.with_label_values(&labels).inc_by(first.map_or(0, |o| of(o, Counter::RowsIn)));
        rows_out.with_label_values(&labels).inc_by(last.map_or(0, |o| of(o, Counter::RowsOut)));
        // The ends of time are no times that a graph could show.
        if let Some(at) = task.watermark.filter(|at| *at != i64::MIN && *at != i64::MAX) {
            mark.with_label_values(&labels).set(at as f64 / 1e3);
        }
        let bytes: u64 = task.operators.iter().map(|o| o.state_bytes).sum();
        state.with_label_values(&labels).set(bytes as i64);
    }
    Ok(())
}

/// Sources and sinks: one series each on a worker, not one a subtask.
fn ends(
    job: &Job<'_>,
    registry: &Registry,
    settings: &Settings,
    tasks: &[TaskStats],
) -> prometheus::Result<()> {
    let read =
        job.counter(registry, "weir_source_rows_total", "Rows read by this worker.", &["source"])?;
    let read_bytes = job.counter(
        registry,
        "weir_source_bytes_total",
        "Bytes read by this worker.",
        &["source"],
    )?;
    let splits = job.counter(
        registry,
        "weir_source_splits_total",
        "Files or partitions that this worker has read to their ends, or as far as they went.",
        &["source"],
    )?;
    let written = job.counter(
        registry,
        "weir_sink_rows_total",
        "Rows given to the sink by this worker.",
        &["sink"],
    )?;
    let written_bytes = job.counter(
        registry,
        "weir_sink_bytes_total",
        "Bytes given to the sink by this worker.",
        &["sink"],
    )?;
    let dropped = job.counter(
        registry,
        "weir_task_rows_dropped_total",
        "Rows that went nowhere, by reason.",
        &["reason"],
    )?;
    for operator in tasks.iter().flat_map(|t| &t.operators) {
        for lost in Counter::ALL.into_iter().filter(|counter| counter.loses()) {
            dropped.with_label_values(&job.labels(&[lost.name()])).inc_by(of(operator, lost));
        }
        match settings.ends.get(&operator.uid) {
            Some((name, "source")) => {
                read.with_label_values(&job.labels(&[name])).inc_by(of(operator, Counter::RowsOut));
                splits
                    .with_label_values(&job.labels(&[name]))
                    .inc_by(of(operator, Counter::Splits));
                let bytes = of(operator, Counter::Bytes);
                read_bytes.with_label_values(&job.labels(&[name])).inc_by(bytes);
            }
            Some((name, _)) => {
                written
                    .with_label_values(&job.labels(&[name]))
                    .inc_by(of(operator, Counter::RowsIn));
                let bytes = of(operator, Counter::Bytes);
                written_bytes.with_label_values(&job.labels(&[name])).inc_by(bytes);
            }
            None => {}
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
    registry: &Registry,
    settings: &Settings,
    report: &CoordinatorReport,
) -> prometheus::Result<()> {
    let unknown = JobStatus::default();
    let status = report.status.as_ref().unwrap_or(&unknown);
    let info = job.gauge(
        registry,
        "weir_job_info",
        "1, with what the job runs.",
        &["revision", "version"],
    )?;
    info.with_label_values(&job.labels(&[&settings.revision, env!("CARGO_PKG_VERSION")])).set(1);
    let state =
        job.gauge(registry, "weir_job_state", "1 for the state that the job is in.", &["state"])?;
    state.with_label_values(&job.labels(&[status.state().name()])).set(1);
    let ms = |ms: u64| ms as f64 / 1e3;
    for (name, help, value) in [
        (
            "weir_job_parallelism",
            "Subtasks of each operator that can be divided.",
            u64::from(status.parallelism),
        ),
        ("weir_job_workers", "Workers that are attached.", u64::from(status.workers)),
        (
            "weir_job_term",
            "WriterTerm of the coordinator; grows with every take-over.",
            status.term,
        ),
        ("weir_checkpoint_epoch", "Number of the newest checkpoint.", status.epoch),
        (
            "weir_checkpoint_bytes",
            "State that the newest checkpoint names.",
            status.checkpoint_bytes,
        ),
    ] {
        let gauge = job.gauge(registry, name, help, &[])?;
        gauge.with_label_values(&job.labels(&[])).set(value as i64);
    }
    for (name, help, value) in [
        (
            "weir_checkpoint_duration_seconds",
            "From the trigger of the newest checkpoint to its publication.",
            ms(status.checkpoint_ms),
        ),
        (
            "weir_checkpoint_interval_seconds",
            "Time between checkpoints, as configured.",
            ms(settings.interval_ms),
        ),
        (
            "weir_checkpoint_last_success_timestamp_seconds",
            "When the newest checkpoint was published; 0: never.",
            ms(report.checkpoint_at_ms),
        ),
    ] {
        let gauge = job.seconds(registry, name, help, &[])?;
        gauge.with_label_values(&job.labels(&[])).set(value);
    }
    let restarts = job.counter(
        registry,
        "weir_job_restarts_total",
        "Restarts of the tasks since the coordinator began.",
        &[],
    )?;
    restarts.with_label_values(&job.labels(&[])).inc_by(status.restarts);
    let attempts = job.counter(
        registry,
        "weir_checkpoint_attempts_total",
        "Attempts at a checkpoint, by result.",
        &["result"],
    )?;
    for (result, count) in [("published", report.published), ("failed", status.failed_attempts)] {
        attempts.with_label_values(&job.labels(&[result])).inc_by(count);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn exposition() -> String {
        let job = Job { namespace: "flights", name: "delays" };
        let registry = Registry::new();
        let uids = [("a", ("airports".to_owned(), "source")), ("z", ("out".to_owned(), "sink"))];
        let settings = Settings {
            revision: "0011aabb".into(),
            state_limit: 1 << 20,
            interval_ms: 10_000,
            vertices: vec!["airports -> window".into(), "out".into()],
            ends: uids.into_iter().map(|(uid, end)| (uid.to_owned(), end)).collect(),
        };
        let operator = |uid: &str| OperatorStats { uid: uid.into(), ..OperatorStats::default() };
        let task = |vertex, subtask, uid| TaskStats {
            vertex,
            subtask,
            operators: vec![operator(uid)],
            watermark: Some(1_000),
            ..TaskStats::default()
        };
        let stats = [task(0, 0, "a"), task(0, 1, "a"), task(1, 0, "z"), task(1, 1, "z")];
        worker(&job, &registry, &settings, true).expect("names are right");
        tasks(&job, &registry, &settings, &stats).expect("names are right");
        ends(&job, &registry, &settings, &stats).expect("names are right");
        let report = CoordinatorReport::default();
        coordinated(&job, &registry, &settings, &report).expect("names are right");
        TextEncoder::new().encode_to_string(&registry.gather()).expect("it encodes")
    }

    #[test]
    fn every_family_follows_the_naming_rules() {
        let text = exposition();
        let mut families = 0;
        for line in text.lines().filter_map(|l| l.strip_prefix("# TYPE ")) {
            families += 1;
            let (name, kind) = line.split_once(' ').expect("name and type");
            let prefix = ["task", "source", "sink", "state", "checkpoint", "job", "worker"];
            assert!(prefix.iter().any(|p| name.starts_with(&format!("weir_{p}_"))), "{name}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
            assert!(
                !["_ms", "_millis", "_us", "_kb", "_mb"].iter().any(|unit| name.contains(unit)),
                "{name}: base units only"
            );
            assert!(text.contains(&format!("# HELP {name} ")), "{name} says what it is");
        }
        assert!(families >= 20, "{families} families");
        let series = text.lines().filter(|l| !l.starts_with('#'));
        for line in series {
            assert!(line.contains(r#"namespace="flights""#), "{line}");
            assert!(line.contains(r#"streamjob="delays""#), "{line}");
            assert!(!line.contains("job=\"\"") && !line.contains("{job="), "{line}");
        }
    }

    #[test]
    fn alerts_ask_for_metrics_that_exist() {
        let alerts = include_str!("../../../charts/weir/files/alerts.yaml");
        let text = exposition();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let names = alerts.split(|c| !is_name(c)).filter(|word| word.starts_with("weir_"));
        let names: BTreeSet<&str> = names.collect();
        assert!(names.len() >= 8, "{names:?}");
        for name in names {
            assert!(text.contains(&format!("# TYPE {name} ")), "an alert asks for {name}");
        }
    }

    #[test]
    fn a_subtask_has_at_most_ten_series() {
        let text = exposition();
        let of_one = text
            .lines()
            .filter(|l| l.contains(r#"task="airports -> window""#) && l.contains(r#"subtask="1""#));
        let of_one: BTreeSet<&str> = of_one.collect();
        assert!((8..=10).contains(&of_one.len()), "{of_one:#?}");
    }
}
