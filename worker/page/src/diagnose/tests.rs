//! A finding each, from the smallest snapshot that shows it, and none from a calm job.

use weir_protocol::view::{
    CheckpointView, EdgeView, JobView, KeyGroupView, MemoryView, OperatorView, Severity, SplitView,
    SubtaskView, TimeShares, TotalsView,
};
use weir_protocol::{Counter, OperatorCounts};

use super::*;

fn time(busy: f64, held: f64) -> TimeShares {
    TimeShares { busy, held, idle: 1.0 - busy - held, aligning: 0.0 }
}

fn vertex(id: u32, name: &str, kind: &str, subtasks: Vec<SubtaskView>) -> VertexView {
    let operator = OperatorView {
        uid: format!("uid-{name}"),
        name: name.into(),
        kind: kind.into(),
        connector: "kafka".into(),
        ..OperatorView::default()
    };
    VertexView { id, name: name.into(), operators: vec![operator], subtasks }
}

fn subtask(subtask: u32, in_rate: f64, time: TimeShares) -> SubtaskView {
    SubtaskView { subtask, in_rate, out_rate: in_rate, time, ..SubtaskView::default() }
}

/// Two subtasks each of: flights → count → delays, at 1,000 rows/s.
fn calm() -> Snapshot {
    let two = |busy| (0..2).map(|s| subtask(s, 500.0, time(busy, 0.0))).collect::<Vec<_>>();
    let edge = |from, to, exchange: &str, by: &[&str]| EdgeView {
        from,
        to,
        exchange: exchange.into(),
        by: by.iter().map(|c| (*c).to_owned()).collect(),
        ..EdgeView::default()
    };
    Snapshot {
        at_ms: 1_000_000,
        job: JobView {
            namespace: "default".into(),
            name: "delays".into(),
            state: "Running".into(),
            parallelism: 2,
            max_parallelism: 720,
            ..JobView::default()
        },
        totals: TotalsView { in_rate: 1000.0, out_rate: 20.0, ..TotalsView::default() },
        checkpoint: CheckpointView {
            at_ms: 995_000,
            interval_ms: 10_000,
            timeout_ms: 300_000,
            usual_ms: 40,
            ..CheckpointView::default()
        },
        memory: MemoryView { limit_bytes: 1_000_000, most_bytes: 20_000, state_bytes: 40_000 },
        vertices: vec![
            vertex(0, "flights", "source", two(0.2)),
            vertex(1, "count by origin", "window aggregate", two(0.3)),
            vertex(2, "delays", "sink", two(0.1)),
        ],
        edges: vec![edge(0, 1, "hash", &["origin"]), edge(1, 2, "rebalance", &[])],
        ..Snapshot::default()
    }
}

fn only(snapshot: &Snapshot) -> Finding {
    let findings = diagnose(snapshot);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.into_iter().next().unwrap()
}

#[test]
fn a_calm_job_has_no_findings() {
    assert_eq!(diagnose(&calm()), []);
}

#[test]
fn the_bottleneck_is_who_is_busy_while_others_wait_for_it() {
    let mut job = calm();
    job.vertices[0].subtasks.iter_mut().for_each(|s| s.time = time(0.1, 0.88));
    job.vertices[1].subtasks.iter_mut().for_each(|s| s.time = time(0.97, 0.0));
    let found = only(&job);
    assert_eq!((found.code.as_str(), found.place.as_str()), ("bottleneck", "count by origin"));
    assert!(found.evidence.starts_with("97 % busy, what feeds it is held back 88 %"), "{found:?}");
    assert_eq!(found.command.as_deref(), Some("kubectl -n default scale sj/delays --replicas=4"));
    job.job.manifest = "job.yaml".into();
    assert_eq!(only(&job).fix, "set spec.parallelism: 4 in job.yaml and save it");
    // A busy chain that nobody waits for is no bottleneck.
    job.vertices[0].subtasks.iter_mut().for_each(|s| s.time = time(0.1, 0.0));
    assert_eq!(diagnose(&job), []);
}

#[test]
fn a_slow_sink_is_named() {
    let mut job = calm();
    job.vertices[1].subtasks.iter_mut().for_each(|s| s.time = time(0.1, 0.8));
    job.vertices[2].subtasks.iter_mut().for_each(|s| s.time = time(0.95, 0.0));
    let found = only(&job);
    assert_eq!((found.code.as_str(), found.place.as_str()), ("slowSink", "delays"));
    assert!(found.fix.contains("delays writes to (kafka)"), "{found:?}");
}

#[test]
fn back_pressure_without_a_busy_cause_is_told_as_that() {
    let mut job = calm();
    job.vertices[0].subtasks.iter_mut().for_each(|s| s.time = time(0.1, 0.7));
    let found = only(&job);
    assert_eq!((found.code.as_str(), found.place.as_str()), ("backPressure", "flights"));
    assert_eq!(found.evidence, "70 % of the time; count by origin is 30 % busy");
}

#[test]
fn skew_names_the_subtask_and_the_columns() {
    let mut job = calm();
    job.vertices[1].subtasks[0].in_rate = 900.0;
    job.vertices[1].subtasks[0].time = time(0.8, 0.0);
    job.vertices[1].subtasks[1].in_rate = 100.0;
    let found = only(&job);
    assert_eq!((found.code.as_str(), found.severity), ("skew", Severity::Warning));
    assert_eq!(found.cause, "has most of its rows in subtask 0");
    assert!(found.evidence.contains("900 rows/s, 9.0 × the mean of the others"), "{found:?}");
    assert!(found.fix.starts_with("rows go to subtasks by origin"), "{found:?}");
    // A hot key group is named, with what can be done about one.
    let hot = |group, subtask, in_rate| KeyGroupView { group, subtask, in_rate };
    job.vertices[1].operators[0].hottest = vec![hot(412, 0, 783.0), hot(3, 1, 20.0)];
    let found = only(&job);
    assert!(found.evidence.ends_with("; key group 412 has 87 % of them"), "{found:?}");
    assert!(found.fix.contains("no parallelism divides a key group"), "{found:?}");
    // Several that are warm: more subtasks do help.
    job.vertices[1].operators[0].hottest = vec![hot(412, 0, 90.0), hot(3, 0, 80.0)];
    let found = only(&job);
    assert!(
        found.evidence.ends_with("; its hottest key group, 412, has 10 % of them"),
        "{found:?}"
    );
    assert!(found.fix.contains("at a higher parallelism"), "{found:?}");
    // Rows that go in turn cannot be skewed by keys.
    job.edges[0].exchange = "rebalance".into();
    assert_eq!(diagnose(&job), []);
}

#[test]
fn a_silent_split_that_holds_event_time_is_named() {
    let mut job = calm();
    let split = |id: &str, watermark, silent_ms| SplitView {
        id: id.into(),
        watermark,
        silent_ms,
        ..SplitView::default()
    };
    job.vertices[0].subtasks[0].splits = vec![split("flights-3", Some(0), 240_000)];
    job.vertices[0].subtasks[1].splits = vec![split("flights-1", Some(600_000), 20)];
    let found = only(&job);
    assert_eq!((found.code.as_str(), found.severity), ("silentSplit", Severity::Critical));
    assert!(found.cause.contains("split flights-3"), "{found:?}");
    assert!(found.evidence.starts_with("silent for 4 min"), "{found:?}");
    assert!(found.fix.contains("scan.watermark.idle-timeout"), "{found:?}");
    // Declared idle, it holds nobody.
    job.vertices[0].subtasks[0].splits[0].idle = true;
    assert_eq!(diagnose(&job), []);
}

#[test]
fn more_subtasks_than_splits_are_told_when_it_matters() {
    let mut job = calm();
    job.vertices[0].subtasks[0].splits =
        vec![SplitView { id: "p0".into(), ..SplitView::default() }];
    assert_eq!(diagnose(&job), []);
    job.vertices[0].subtasks[0].time = time(0.85, 0.0);
    assert_eq!(
        only(&job).evidence,
        "1 of 2 subtasks have something to read, the busiest is 85 % busy"
    );
}

#[test]
fn what_makes_checkpoints_slow_is_told() {
    let mut job = calm();
    job.checkpoint.usual_ms = 6_000;
    job.checkpoint.store_ms = 5_000;
    let found = only(&job);
    assert_eq!((found.code.as_str(), found.severity), ("slowStore", Severity::Warning));
    assert_eq!(found.evidence, "5 s of 6 s is the store's");
    (job.checkpoint.store_ms, job.checkpoint.align_ms) = (100, 4_000);
    assert_eq!(only(&job).code, "slowBarriers");
    job.checkpoint.align_ms = 100;
    assert_eq!(only(&job).code, "slowCheckpoints");
}

#[test]
fn checkpoints_that_fail_or_are_overdue_are_critical() {
    let mut job = calm();
    job.checkpoint.problem = "checkpoint attempt 7 failed: disk full".into();
    let found = only(&job);
    assert_eq!((found.code.as_str(), found.severity), ("checkpointsFail", Severity::Critical));
    assert_eq!(found.evidence, "checkpoint attempt 7 failed: disk full; the newest is 5.0 s old");
    job.checkpoint.problem.clear();
    job.checkpoint.at_ms = 100_000;
    assert_eq!(only(&job).code, "checkpointsOverdue");
    // Nothing changes, nothing has to be saved.
    job.totals.in_rate = 0.0;
    assert_eq!(diagnose(&job), []);
}

#[test]
fn state_that_nearly_fills_its_memory_is_told() {
    let mut job = calm();
    job.memory.most_bytes = 910_000;
    assert_eq!(only(&job).evidence, "910 kB of 1.0 MB (91 %)");
}

#[test]
fn rows_that_are_lost_are_told() {
    let mut job = calm();
    let counts = OperatorCounts::default().with(Counter::Late, 12);
    job.vertices[1].operators[0].counts = counts;
    assert_eq!(diagnose(&job), [], "they were late long ago");
    job.vertices[1].operators[0].late_rate = 1.5;
    assert_eq!(only(&job).evidence, "1.5 rows/s now, 12 so far");
    job.vertices[1].operators[0].late_rate = 0.0;
    job.vertices[0].operators[0].counts = OperatorCounts::default().with(Counter::Malformed, 3);
    assert_eq!(only(&job).code, "malformedRows");
}

#[test]
fn a_job_that_fails_says_why_and_the_worst_comes_first() {
    let mut job = calm();
    job.memory.most_bytes = 990_000;
    job.job.task_problem = "task \"delays\" 0: disk full".into();
    job.job.restarts = 3;
    let codes: Vec<String> = diagnose(&job).into_iter().map(|f| f.code).collect();
    assert_eq!(codes, ["restarting", "stateNearLimit"]);
    job.job.task_problem.clear();
    job.job.source_problem = "source \"flights\": no broker".into();
    assert_eq!(diagnose(&job)[0].code, "sourceWaits");
    job.job.state = "Failed".into();
    job.job.ending = "division by zero".into();
    assert_eq!(diagnose(&job)[0].evidence, "division by zero");
}
