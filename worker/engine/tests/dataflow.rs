//! Whole dataflows on real threads and real sockets.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{Cluster, Seen, graph, position, split, uid};
use weir_engine::Watermark;
use weir_engine::source::Pending;
use weir_engine::task::{FrozenTask, TaskCommand, TaskEvent, TriggerRequest};
use weir_protocol::Attempt;

fn trigger(attempt: u64, freeze: bool) -> TaskCommand {
    let attempt = Attempt(attempt);
    TaskCommand::Trigger(TriggerRequest { attempt, freeze, full: false, last: false })
}

async fn run_to_end(workers: u32, parallelism: u32, each: i64) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut cluster = Cluster::start(&graph(&seen), workers, parallelism).await;
    for s in 0..parallelism {
        let start = i64::from(s) * each;
        cluster.assign(s, vec![split(start, start + each)], Pending::Ended);
    }
    cluster.finished().await;
    let seen = seen.lock().expect("lock");
    let mut numbers = seen.numbers.clone();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..each * i64::from(parallelism)).collect::<Vec<_>>());
    for marks in seen.marks.values() {
        assert!(marks.is_sorted());
        assert_eq!(marks.last(), Some(&Watermark::MAX));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_arrives_once_at_any_parallelism() {
    for parallelism in [1, 2, 3, 7] {
        run_to_end(1, parallelism, 10_000).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_exchange_rows_over_sockets() {
    run_to_end(3, 3, 100_000).await;
    run_to_end(2, 5, 20_000).await;
}

async fn frozen(cluster: &mut Cluster, attempt: u64) -> Vec<FrozenTask> {
    let mut tasks = Vec::new();
    while tasks.len() < 2 * cluster.parallelism as usize {
        if let TaskEvent::Frozen(task) = cluster.event().await
            && task.attempt == Attempt(attempt)
        {
            tasks.push(*task);
        }
    }
    tasks
}

/// Rows before the cut at the sources and at the sinks.
fn cut(tasks: &[FrozenTask], each: i64, sources: i64) -> (i64, i64) {
    let mut left = 0;
    let mut counted = 0;
    for task in tasks {
        if let Some((_, splits)) = &task.splits {
            left += splits
                .iter()
                .map(|s| {
                    let (at, end) = position(s);
                    end - at
                })
                .sum::<i64>();
        }
        for (operator, snapshot) in &task.operators {
            assert_eq!(*operator, uid("remember"));
            let text = std::str::from_utf8(&snapshot.items[0]).expect("utf-8");
            counted += text.parse::<i64>().expect("a number");
        }
    }
    (each * sources - left, counted)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_barrier_cuts_sources_and_sinks_at_the_same_row() {
    let (each, parallelism) = (3_000_000, 3);
    for workers in [1, 3] {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut cluster = Cluster::start(&graph(&seen), workers, parallelism).await;
        for s in 0..parallelism {
            let start = i64::from(s) * each;
            cluster.assign(s, vec![split(start, start + each)], Pending::Unknown);
        }
        for attempt in 1..=5 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            cluster.command_sources(&trigger(attempt, false));
            let tasks = frozen(&mut cluster, attempt).await;
            let (read, counted) = cut(&tasks, each, i64::from(parallelism));
            assert_eq!(read, counted, "attempt {attempt}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_task_gives_nothing_until_it_is_resumed() {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut cluster = Cluster::start(&graph(&seen), 1, 2).await;
    for s in 0..2 {
        let start = i64::from(s) * 1_000_000;
        cluster.assign(s, vec![split(start, start + 1_000_000)], Pending::Ended);
    }
    cluster.command_sources(&trigger(1, true));
    let tasks = frozen(&mut cluster, 1).await;
    let (read, counted) = cut(&tasks, 1_000_000, 2);
    assert_eq!(read, counted);
    let frozen_at = seen.lock().expect("lock").numbers.len();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(seen.lock().expect("lock").numbers.len(), frozen_at);
    for tasks in &cluster.tasks {
        tasks.command_all(&TaskCommand::Resume(Attempt(1)));
    }
    cluster.finished().await;
    assert_eq!(seen.lock().expect("lock").numbers.len(), 2_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_tasks_still_answer_barriers() {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut cluster = Cluster::start(&graph(&seen), 1, 2).await;
    for s in 0..2 {
        cluster.assign(s, vec![split(0, 500)], Pending::Ended);
    }
    cluster.finished().await;
    cluster.command_sources(&trigger(7, false));
    let tasks = frozen(&mut cluster, 7).await;
    assert!(tasks.iter().all(|t| t.splits.as_ref().is_none_or(|(_, s)| s.is_empty())));
}
