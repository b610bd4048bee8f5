//! A job that tests draw, here and in what draws jobs elsewhere.

use weir_protocol::view::{
    CheckpointView, Finding, JobView, OperatorView, Severity, Snapshot, SubtaskView, TimeShares,
    TotalsView, VertexView,
};

/// Delays of flights an hour, in two chains of 2 and 32 subtasks, with one finding.
#[must_use]
pub fn airport_delays() -> Snapshot {
    let operator = |name: &str, kind: &str, out_rate| OperatorView {
        name: name.into(),
        kind: kind.into(),
        out_rate,
        in_rate: 1_900.0,
        stateful: kind == "window aggregate",
        state_bytes: 48_000_000,
        backlog: if kind == "source" { 1_204 } else { 0 },
        ..OperatorView::default()
    };
    let subtask = |busy, held| SubtaskView {
        time: TimeShares { busy, held, idle: 0.0, aligning: 0.0 },
        ..SubtaskView::default()
    };
    let job = JobView {
        name: "airport-delays".into(),
        state: "Running".into(),
        workers: 4,
        parallelism: 4,
        restarts: 1,
        ..JobView::default()
    };
    let checkpoint = CheckpointView {
        at_ms: 11_518_000,
        took_ms: 38,
        bytes: 1_234_567,
        interval_ms: 10_000,
        ..CheckpointView::default()
    };
    let totals = TotalsView {
        in_rate: 112_000.0,
        out_rate: 1_900.0,
        freshness_s: Some(4.0),
        ..TotalsView::default()
    };
    let read = VertexView {
        operators: vec![operator("kafka flights", "source", 112_000.0)],
        subtasks: vec![subtask(0.1, 0.8), subtask(0.3, 0.0)],
        ..VertexView::default()
    };
    let counted = VertexView {
        operators: vec![
            operator("hourly count", "window aggregate", 1_900.0),
            operator("filesystem delays", "sink", 0.0),
        ],
        subtasks: (0..32).map(|at| subtask(f64::from(at) / 32.0, 0.0)).collect(),
        ..VertexView::default()
    };
    let finding = Finding {
        place: "hourly count".into(),
        cause: "is the bottleneck".into(),
        evidence: "97 % busy".into(),
        fix: "run it at a higher parallelism".into(),
        severity: Severity::Warning,
        ..Finding::default()
    };
    Snapshot {
        at_ms: 11_520_000,
        job,
        totals,
        checkpoint,
        vertices: vec![read, counted],
        findings: vec![finding],
        ..Snapshot::default()
    }
}
