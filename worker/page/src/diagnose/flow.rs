//! Findings about rows on their way: who is slow, who waits, what is lost.

use weir_protocol::view::{Finding, Severity, Snapshot, SplitView, SubtaskView, VertexView};

use super::{BUSY, HELD, SOME_ROWS, name, scale};
use crate::words::{count, duration, event_second, percent, rate};

/// A split is silent from here on, and others count as speaking up to here.
const SILENT_MS: u64 = 30_000;
const SPEAKING_MS: u64 = 5_000;
/// A silent split holds event time back when others are so far ahead.
const AHEAD_MS: i64 = 10_000;
/// So many times the mean of the others makes one subtask the odd one out.
const SKEWED: f64 = 2.5;
/// A key group is what makes a subtask the odd one out when it has so much of its rows.
const HOT: f64 = 0.3;

/// The chain that everything before it waits for: fully busy, not held back itself.
pub(super) fn bottleneck(snapshot: &Snapshot) -> Option<Finding> {
    let busy = |v: &&VertexView| {
        let worst = busiest(v);
        worst.is_some_and(|s| s.time.busy >= BUSY && s.time.held < 0.3)
    };
    // Of several in a row the last one decides how fast the others are.
    snapshot.vertices.iter().rev().filter(busy).find_map(|vertex| {
        let before: Vec<&VertexView> = before(snapshot, vertex).collect();
        let held = before.iter().map(|v| v.most(|t| t.held)).fold(0.0, f64::max);
        let backlog: u64 = vertex.operators.iter().map(|o| o.backlog).sum();
        let is_fed = if vertex.is_source() { backlog > 0 } else { held >= HELD };
        (is_fed && !snapshot.job.bounded).then(|| slow(snapshot, vertex, held, backlog))
    })
}

fn slow(snapshot: &Snapshot, vertex: &VertexView, held: f64, backlog: u64) -> Finding {
    let busy = vertex.most(|t| t.busy);
    let waiting = match vertex.is_source() {
        true => format!("{} wait outside", count(backlog)),
        false => format!("what feeds it is held back {} of the time", percent(held)),
    };
    let evidence = format!(
        "{} busy, {waiting}; {} rows/s over {} subtasks",
        percent(busy),
        rate(if vertex.is_source() { vertex.out_rate() } else { vertex.in_rate() }),
        vertex.subtasks.len()
    );
    let sink = vertex.operators.last().filter(|_| vertex.is_sink() && vertex.operators.len() <= 2);
    let place = sink.map_or_else(|| name(vertex), |sink| sink.name.clone());
    let (fix, command) = match sink {
        Some(sink) => (
            format!(
                "look at what {} writes to ({}): it takes rows more slowly than they come",
                sink.name, sink.connector
            ),
            None,
        ),
        None => scale(snapshot).unwrap_or_else(|| ("make its work smaller".to_owned(), None)),
    };
    let (code, cause) = match sink {
        Some(_) => ("slowSink", "takes rows more slowly than the job gives them"),
        None => ("bottleneck", "is the bottleneck"),
    };
    Finding {
        code: code.into(),
        severity: Severity::Warning,
        place,
        vertex: Some(vertex.id),
        cause: cause.into(),
        evidence,
        fix,
        command,
    }
}

/// Chains that feed a chain.
fn before<'a>(
    snapshot: &'a Snapshot,
    vertex: &'a VertexView,
) -> impl Iterator<Item = &'a VertexView> {
    let edges = snapshot.edges.iter().filter(move |edge| edge.to == vertex.id);
    edges.filter_map(|edge| snapshot.vertices.iter().find(|v| v.id == edge.from))
}

fn busiest(vertex: &VertexView) -> Option<&SubtaskView> {
    vertex.subtasks.iter().max_by(|a, b| a.time.busy.total_cmp(&b.time.busy))
}

/// A chain that is held back where nobody behind it is seen to be busy.
pub(super) fn held_back(snapshot: &Snapshot) -> Option<Finding> {
    // The last one in the direction of the rows is nearest to the cause.
    let vertex = snapshot.vertices.iter().rev().find(|v| v.most(|t| t.held) >= HELD)?;
    let behind = snapshot.edges.iter().filter(|edge| edge.from == vertex.id);
    let behind: Vec<String> = behind
        .filter_map(|edge| snapshot.vertices.iter().find(|v| v.id == edge.to))
        .map(|v| format!("{} is {} busy", name(v), percent(v.most(|t| t.busy))))
        .collect();
    let fix = match behind.is_empty() {
        true => "its own sink or its state on disk takes the time: see checkpoints and the sink",
        false => "several small causes, such as little CPU for its workers: give them more",
    };
    let behind =
        if behind.is_empty() { "nothing reads from it".to_owned() } else { behind.join(", ") };
    Some(Finding {
        code: "backPressure".into(),
        severity: Severity::Note,
        place: name(vertex),
        vertex: Some(vertex.id),
        cause: "is held back".into(),
        evidence: format!("{} of the time; {behind}", percent(vertex.most(|t| t.held))),
        fix: fix.into(),
        command: None,
    })
}

/// One subtask of a chain gets far more rows than the others.
pub(super) fn skew(snapshot: &Snapshot) -> Vec<Finding> {
    let by_key = |vertex: &&VertexView| {
        snapshot.edges.iter().any(|edge| edge.to == vertex.id && edge.exchange == "hash")
    };
    snapshot.vertices.iter().filter(by_key).filter_map(|v| skewed(snapshot, v)).collect()
}

fn skewed(snapshot: &Snapshot, vertex: &VertexView) -> Option<Finding> {
    let all = vertex.in_rate();
    let most = vertex.subtasks.iter().max_by(|a, b| a.in_rate.total_cmp(&b.in_rate))?;
    let others = vertex.subtasks.len().checked_sub(1).filter(|n| *n > 0)? as f64;
    let mean = (all - most.in_rate) / others;
    if all < SOME_ROWS || most.in_rate < SKEWED * mean.max(all / 100.0) {
        return None;
    }
    let by = snapshot.edges.iter().find(|e| e.to == vertex.id && !e.by.is_empty());
    let by = by.map_or_else(String::new, |edge| edge.by.join(", "));
    // It only matters once that subtask has no time left.
    let severity = if most.time.busy >= 0.7 { Severity::Warning } else { Severity::Note };
    let times = match mean > 0.0 {
        true => format!("{:.1} × the mean of the others", most.in_rate / mean),
        false => "all of the rows".to_owned(),
    };
    let hot = hot_group(vertex, most);
    let (heat, fix) = match hot {
        // More subtasks do not divide a key group.
        Some((group, share)) if share >= HOT => (
            format!("; key group {group} has {} of them", percent(share)),
            format!(
                "rows go to subtasks by {by}: one value of it, or a few that share key group \
                 {group}, are most of them, and no parallelism divides a key group; group by more \
                 columns first, then by these"
            ),
        ),
        Some((group, share)) => (
            format!("; its hottest key group, {group}, has {} of them", percent(share)),
            format!(
                "rows go to subtasks by {by}: several values are most of them; at a higher \
                 parallelism they are spread over more subtasks, or group by more columns first, \
                 then by these"
            ),
        ),
        None => (
            String::new(),
            format!(
                "rows go to subtasks by {by}: a few values are most of them; group by more columns \
                 first, then by these"
            ),
        ),
    };
    Some(Finding {
        code: "skew".into(),
        severity,
        place: name(vertex),
        vertex: Some(vertex.id),
        cause: format!("has most of its rows in subtask {}", most.subtask),
        evidence: format!(
            "subtask {} takes {} rows/s, {times}, and is {} busy{heat}",
            most.subtask,
            rate(most.in_rate),
            percent(most.time.busy)
        ),
        fix,
        command: None,
    })
}

/// The key group for which most rows of a subtask come, and its share of them; absent where rows
/// carry no key into a state, or it is too early to say.
fn hot_group(vertex: &VertexView, subtask: &SubtaskView) -> Option<(u32, f64)> {
    let hottest = vertex.operators.iter().find(|o| !o.hottest.is_empty())?;
    let hot = hottest.hottest.iter().find(|hot| hot.subtask == subtask.subtask)?;
    // Both are measured, over times that are not quite the same.
    Some((hot.group, (hot.in_rate / subtask.in_rate).min(1.0)))
}

/// A split that gives nothing and holds event time back for all.
pub(super) fn silent_split(snapshot: &Snapshot) -> Vec<Finding> {
    snapshot.vertices.iter().filter(|v| v.is_source()).filter_map(holds).collect()
}

fn holds(vertex: &VertexView) -> Option<Finding> {
    let splits: Vec<(&SubtaskView, &SplitView)> =
        vertex.subtasks.iter().flat_map(|s| s.splits.iter().map(move |split| (s, split))).collect();
    let active = || splits.iter().filter(|(_, split)| !split.idle);
    let (subtask, slowest) =
        active().min_by_key(|(_, split)| split.watermark.unwrap_or(i64::MIN))?;
    let speaking = active().filter(|(_, split)| split.silent_ms < SPEAKING_MS);
    let ahead = speaking.filter_map(|(_, split)| split.watermark).max()?;
    let gap = slowest.watermark.map(|mark| ahead.saturating_sub(mark));
    if slowest.silent_ms < SILENT_MS || gap.is_some_and(|gap| gap < AHEAD_MS) {
        return None;
    }
    let stands = match slowest.watermark {
        Some(mark) => format!("it stands at {}", event_second(mark)),
        None => "it has given no row at all".to_owned(),
    };
    Some(Finding {
        code: "silentSplit".into(),
        severity: Severity::Critical,
        place: vertex.operators.first().map_or_else(|| vertex.name.clone(), |o| o.name.clone()),
        vertex: Some(vertex.id),
        cause: format!("waits for split {}, which is silent: no window closes", slowest.id),
        evidence: format!(
            "silent for {}; {stands}, others are at {}; subtask {}",
            duration(slowest.silent_ms as f64 / 1e3),
            event_second(ahead),
            subtask.subtask
        ),
        fix:
            "set 'scan.watermark.idle-timeout' on the table (such as '1 min'), so that event time \
              goes on without it, or let it speak"
                .into(),
        command: None,
    })
}

/// Subtasks of a source that have nothing to read while others are busy.
pub(super) fn too_few_splits(snapshot: &Snapshot) -> Vec<Finding> {
    if snapshot.job.bounded {
        return Vec::new();
    }
    let short = |vertex: &&VertexView| {
        let without = vertex.subtasks.iter().filter(|s| s.splits.is_empty()).count();
        let with = vertex.subtasks.len() - without;
        without > 0 && with > 0 && vertex.most(|t| t.busy) >= 0.7
    };
    let sources = snapshot.vertices.iter().filter(|v| v.is_source()).filter(short);
    sources
        .map(|vertex| {
            let with = vertex.subtasks.iter().filter(|s| !s.splits.is_empty()).count();
            Finding {
                code: "fewSplits".into(),
                severity: Severity::Warning,
                place: name(vertex),
                vertex: Some(vertex.id),
                cause: "has fewer splits than subtasks".into(),
                evidence: format!(
                    "{with} of {} subtasks have something to read, the busiest is {} busy",
                    vertex.subtasks.len(),
                    percent(vertex.most(|t| t.busy))
                ),
                fix: "give the topic more partitions; more parallelism alone does not help".into(),
                command: None,
            }
        })
        .collect()
}

/// Rows that go nowhere.
pub(super) fn lost_rows(snapshot: &Snapshot) -> Vec<Finding> {
    let operators = snapshot.vertices.iter().flat_map(|v| v.operators.iter().map(move |o| (v, o)));
    let mut findings = Vec::new();
    for (vertex, operator) in operators {
        let late = operator.counts[weir_protocol::Counter::Late];
        if late > 0 && operator.late_rate > 0.0 {
            findings.push(Finding {
                code: "lateRows".into(),
                severity: Severity::Warning,
                place: operator.name.clone(),
                vertex: Some(vertex.id),
                cause: "drops rows that come too late".into(),
                evidence: format!(
                    "{} rows/s now, {} so far",
                    rate(operator.late_rate),
                    count(late)
                ),
                fix: "let the WATERMARK of the table wait longer for rows that are out of order"
                    .into(),
                command: None,
            });
        }
        let malformed = operator.counts[weir_protocol::Counter::Malformed];
        if malformed > 0 {
            findings.push(Finding {
                code: "malformedRows".into(),
                severity: Severity::Note,
                place: operator.name.clone(),
                vertex: Some(vertex.id),
                cause: "skips records that it cannot read".into(),
                evidence: format!("{} so far", count(malformed)),
                fix: "correct what writes them, or the columns of the table".into(),
                command: None,
            });
        }
    }
    findings
}
