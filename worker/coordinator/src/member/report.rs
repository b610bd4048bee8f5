//! What tasks say of themselves, as messages.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use weir_engine::env::instant;
use weir_engine::group_load::{self, GroupLoad};
use weir_engine::rows::MAX_ROWS;
use weir_engine::task::{OperatorShown, TaskReport};
use weir_engine::{EngineError, Fault};
use weir_protocol::OperatorUid;
use weir_protocol::control::{self, from_worker};

pub(super) fn failed_message(error: EngineError, peer: Option<u32>) -> from_worker::Kind {
    let fault = match error.fault {
        Fault::User => control::Fault::User,
        Fault::External => control::Fault::External,
        Fault::Internal => control::Fault::Internal,
    };
    from_worker::Kind::Failed(control::Failed { message: error.message, fault: fault.into(), peer })
}

pub(super) fn task_stats(report: &TaskReport) -> control::TaskStats {
    let now = instant();
    let operators =
        report.operators.iter().map(|(uid, metrics, state_bytes)| control::OperatorStats {
            uid: uid.0.clone(),
            counts: metrics.counts().into(),
            state_bytes: *state_bytes as u64,
            hottest: metrics.groups().map_or_else(Vec::new, |load| hottest(load, now)),
        });
    let splits = report.splits.iter().map(|split| control::SplitStats {
        id: split.id.clone(),
        watermark: split.watermark.map(|w| w.0),
        silent_ms: now.saturating_duration_since(split.silent_since).as_millis() as u64,
        idle: split.idle,
        remaining: split.remaining,
    });
    control::TaskStats {
        vertex: report.vertex.0,
        subtask: report.subtask.0,
        operators: operators.collect(),
        watermark: report.watermark.map(|w| w.0),
        remaining: report.remaining,
        busy_us: report.time.busy,
        backpressured_us: report.time.backpressured,
        idle_us: report.time.idle,
        aligning_us: report.time.aligning,
        splits: splits.collect(),
        worker: 0,
    }
}

fn hottest(load: &GroupLoad, now: Instant) -> Vec<control::GroupRate> {
    let hottest = load.hottest(now, group_load::HOTTEST).into_iter();
    hottest.map(|(group, rate)| control::GroupRate { group: group.0.into(), rate }).collect()
}

/// What tasks show of the operators that somebody looks at, by their uids. Of a worker's many tasks only
/// the newest rows are told: as many as are shown. A task that is held answers nobody, and is the one
/// that people look for: for how many rows a key group comes is known without it.
pub(super) fn shown(
    reports: &[TaskReport],
    looks: &BTreeSet<String>,
) -> Vec<control::OperatorShown> {
    let now = instant();
    let all = reports.iter().flat_map(|report| report.shown.iter().map(move |s| (report, s)));
    let mut all: Vec<_> = all.collect();
    let passed_ms = |shown: &OperatorShown| shown.rows.as_ref().map_or(0, |rows| rows.at_ms);
    all.sort_by_key(|(_, shown)| Reverse(passed_ms(shown)));
    let mut told: BTreeMap<&OperatorUid, usize> = BTreeMap::new();
    let each = all.into_iter().map(|(report, shown)| {
        let load = report.operators.iter().find(|(uid, ..)| *uid == shown.uid);
        let load = load.and_then(|(_, metrics, _)| metrics.groups());
        let told = told.entry(&shown.uid).or_default();
        let rows = shown.rows.as_ref().filter(|_| *told < MAX_ROWS);
        *told += rows.map_or(0, |rows| rows.rows.len());
        control::OperatorShown {
            uid: shown.uid.0.clone(),
            subtask: report.subtask.0,
            first_group: shown.groups.start.into(),
            rates: load.map(|load| load.rates(now)).unwrap_or_default(),
            state_rows: shown.state_rows.clone(),
            // Names and texts always encode.
            rows_json: rows.and_then(|rows| serde_json::to_vec(rows).ok()).unwrap_or_default(),
        }
    });
    let mut shown: Vec<control::OperatorShown> = each.collect();
    for report in reports {
        for (uid, metrics, _) in &report.operators {
            let has_answered = report.shown.iter().any(|shown| shown.uid == *uid);
            if has_answered || !looks.contains(&uid.0) {
                continue;
            }
            let Some(load) = metrics.groups() else { continue };
            shown.push(control::OperatorShown {
                uid: uid.0.clone(),
                subtask: report.subtask.0,
                first_group: load.range().start.into(),
                rates: load.rates(now),
                ..control::OperatorShown::default()
            });
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use weir_engine::operator::OperatorMetrics;
    use weir_engine::task::TimeInState;
    use weir_protocol::{KeyGroupRange, Subtask, VertexId};

    use super::*;

    #[test]
    fn of_a_task_that_is_held_the_rates_are_shown_without_its_answer() {
        let groups = |start| KeyGroupRange { start, end: start + 2 };
        let report = |subtask: u32, answers: bool| {
            let metrics = OperatorMetrics::default();
            let range = groups(2 * subtask as u16);
            metrics.count_groups(GroupLoad::new(range, 4));
            let answer = OperatorShown {
                uid: "sums".into(),
                groups: range,
                state_rows: vec![1, 2],
                rows: None,
            };
            TaskReport {
                vertex: VertexId(1),
                subtask: Subtask(subtask),
                operators: vec![
                    ("sums".into(), Arc::new(metrics), 0),
                    ("out".into(), Arc::default(), 0),
                ],
                watermark: None,
                remaining: 0,
                time: TimeInState::default(),
                splits: Vec::new(),
                shown: Vec::from_iter(answers.then_some(answer)),
            }
        };
        let reports = [report(0, true), report(1, false)];
        let looks = |uids: &[&str]| uids.iter().map(|uid| (*uid).to_owned()).collect();
        let shown_of = |uids: &[&str]| {
            let all = shown(&reports, &looks(uids)).into_iter();
            all.map(|s| (s.subtask, s.first_group, s.rates.len(), s.state_rows)).collect::<Vec<_>>()
        };
        assert_eq!(shown_of(&["sums", "out"]), [(0, 0, 2, vec![1, 2]), (1, 2, 2, vec![])]);
        // The last answer of a task, of which nobody asks any more.
        assert_eq!(shown_of(&["out"]).len(), 1);
    }
}
