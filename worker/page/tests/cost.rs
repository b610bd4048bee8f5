//! What the page costs a job while nobody looks: time for each look at the job, and memory of a day.
//! Alone in this file, so that nothing else runs in its process.

#![expect(clippy::unwrap_used, reason = "a failure here is the test's")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use weir_page::{Hub, Ledger, Program};
use weir_protocol::view::{
    CheckpointRecord, CheckpointTask, EdgeView, KeyGroupView, OperatorView, Snapshot, SplitView,
    SubtaskView, TimeShares, VertexView,
};

const CHAINS: u32 = 20;
const SUBTASKS: u32 = 8;

/// A job of twenty chains with two operators each, eight subtasks of each chain.
fn snapshot(at_ms: u64) -> Snapshot {
    let operator = |uid: String, kind: &str| OperatorView {
        name: format!("operator {uid}"),
        uid,
        kind: kind.into(),
        stateful: kind == "aggregate",
        in_rate: 1_000.0,
        hottest: vec![KeyGroupView::default(); 3],
        ..OperatorView::default()
    };
    let subtask = |subtask| SubtaskView {
        subtask,
        in_rate: 125.0,
        time: TimeShares { busy: 0.3, idle: 0.7, ..TimeShares::default() },
        watermark: Some(at_ms as i64),
        splits: vec![SplitView { id: format!("topic-{subtask}"), ..SplitView::default() }],
        ..SubtaskView::default()
    };
    let chain = |id: u32| VertexView {
        id,
        name: format!("chain {id}"),
        operators: vec![
            operator(format!("{id}-a"), if id == 0 { "source" } else { "aggregate" }),
            operator(format!("{id}-b"), "calc"),
        ],
        subtasks: (0..SUBTASKS).map(subtask).collect(),
    };
    let edge =
        |to: u32| EdgeView { from: to - 1, to, exchange: "hash".into(), ..EdgeView::default() };
    Snapshot {
        at_ms,
        vertices: (0..CHAINS).map(chain).collect(),
        edges: (1..CHAINS).map(edge).collect(),
        ..Snapshot::default()
    }
}

fn checkpoint(attempt: u64) -> Arc<CheckpointRecord> {
    let task = |n| CheckpointTask {
        vertex: n / SUBTASKS,
        subtask: n % SUBTASKS,
        ..CheckpointTask::default()
    };
    let tasks = (0..CHAINS * SUBTASKS).map(task).collect();
    Arc::new(CheckpointRecord { attempt, epoch: attempt, tasks, ..CheckpointRecord::default() })
}

/// Memory of this process that is in use, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

/// Processor time of this process so far; in steps of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// The limit is a hundredth of a core and 5 MB, for a job that is looked at once a second.
#[test]
fn a_day_of_history_takes_less_than_a_hundredth_of_a_core_and_five_megabytes() {
    let hub = Hub::new(Program { places: BTreeMap::new(), ..Program::default() });
    let mut checkpoints: Vec<Arc<CheckpointRecord>> = Vec::new();
    let mut publish = |at_ms: u64, look: u64| {
        if look.is_multiple_of(10) {
            // The coordinator's, which the page shares.
            checkpoints.push(checkpoint(look));
            let most = checkpoints.len().saturating_sub(100);
            checkpoints.drain(..most);
        }
        hub.publish(snapshot(at_ms), checkpoints.clone());
        hub.log(&format!("line {look} of a log that says something from time to time"));
    };
    // What a first look allocates once is not the history's.
    publish(0, 0);
    let before = resident();
    // A day by the minute, then ten minutes by the second: both rings are full.
    let (day, second) = (1_440, 600);
    (1..=day).for_each(|minute| publish(minute * 60_000, minute));
    let began = cpu();
    (1..=second).for_each(|n| publish(day * 60_000 + n * 1_000, n));
    let spent = cpu().saturating_sub(began);
    hub.happened(&Ledger::default());

    let grown = resident().saturating_sub(before);
    let share = spent.as_secs_f64() / second as f64;
    println!("{:.2} % of a core, {:.1} MB", share * 100.0, grown as f64 / 1e6);
    assert!(share < 0.01, "{:.2} % of a core", share * 100.0);
    assert!(grown < 5 << 20, "{:.1} MB", grown as f64 / 1e6);
    assert_eq!(hub.snapshot().vertices.len(), CHAINS as usize);
}
