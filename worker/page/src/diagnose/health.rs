//! Findings about the job as a whole: whether it runs, whether its state is safe, what memory is
//! left.

use weir_protocol::view::{Finding, Severity, Snapshot};

use crate::words::{bytes, duration, percent, took};

/// A live job without a checkpoint for so many intervals, and at least so long, is in danger.
const INTERVALS: u64 = 10;
const AT_LEAST_MS: u64 = 180_000;
/// A task that works or waits for more than this share of its time has something to do.
const STUCK: f64 = 0.5;
/// Parts of a checkpoint below are nobody's trouble.
const SHORT_MS: u64 = 1_000;

/// The job has ended without having finished.
pub(super) fn ended(snapshot: &Snapshot) -> Option<Finding> {
    let job = &snapshot.job;
    (job.state == "Failed").then(|| Finding {
        code: "failed".into(),
        severity: Severity::Critical,
        place: job.name.clone(),
        cause: "cannot go on".into(),
        evidence: if job.ending.is_empty() { job.failure.clone() } else { job.ending.clone() },
        fix: "correct the cause and start it again: it goes on from the newest checkpoint".into(),
        ..Finding::default()
    })
}

/// Tasks fail again and again.
pub(super) fn tasks_fail(snapshot: &Snapshot) -> Option<Finding> {
    let job = &snapshot.job;
    let times = if job.restarts == 1 {
        "1 restart".to_owned()
    } else {
        format!("{} restarts", job.restarts)
    };
    (!job.task_problem.is_empty()).then(|| Finding {
        code: "restarting".into(),
        severity: Severity::Critical,
        place: job.name.clone(),
        cause: "fails and starts again".into(),
        evidence: format!("{times}; {}", job.task_problem),
        fix: "correct the cause; the job goes on from the newest checkpoint by itself".into(),
        ..Finding::default()
    })
}

/// A source does not know what to read.
pub(super) fn source_waits(snapshot: &Snapshot) -> Option<Finding> {
    let problem = &snapshot.job.source_problem;
    (!problem.is_empty()).then(|| Finding {
        code: "sourceWaits".into(),
        severity: Severity::Critical,
        place: snapshot.job.name.clone(),
        cause: "cannot find out what to read".into(),
        evidence: problem.clone(),
        fix: "make it reachable; the job looks again by itself".into(),
        ..Finding::default()
    })
}

/// Checkpoints that fail, that are overdue, or that take long, and what takes the time.
pub(super) fn checkpoints(snapshot: &Snapshot) -> Option<Finding> {
    let checkpoint = &snapshot.checkpoint;
    let finding = |code: &str, severity, cause: &str, evidence: String, fix: &str| Finding {
        code: code.into(),
        severity,
        place: "checkpoints".into(),
        cause: cause.into(),
        evidence,
        fix: fix.into(),
        ..Finding::default()
    };
    let age_ms = snapshot.at_ms.saturating_sub(checkpoint.at_ms.max(snapshot.job.began_at_ms));
    if !checkpoint.problem.is_empty() {
        let newest = match checkpoint.at_ms {
            0 => "there is none yet".to_owned(),
            at => {
                let age_ms = snapshot.at_ms.saturating_sub(at);
                format!("the newest is {} old", duration(age_ms as f64 / 1e3))
            }
        };
        let since = format!("{}; {newest}", checkpoint.problem);
        let fix = "correct the cause; until then a failure repeats what came after the newest one";
        return Some(finding(
            "checkpointsFail",
            Severity::Critical,
            "are not published",
            since,
            fix,
        ));
    }
    let is_live = snapshot.job.state == "Running";
    let overdue_ms = (INTERVALS * checkpoint.interval_ms).max(AT_LEAST_MS);
    // A job in which nothing changes publishes none, and needs none; one that is stuck does.
    let is_stuck = snapshot.vertices.iter().any(|v| v.most(|t| t.busy + t.held) > STUCK);
    let is_moving = snapshot.totals.in_rate > 0.0 || is_stuck;
    if is_live && is_moving && age_ms > overdue_ms {
        let evidence = format!(
            "none for {}, one is due every {}",
            duration(age_ms as f64 / 1e3),
            took(checkpoint.interval_ms)
        );
        let fix = "see which task answers last under Checkpoints";
        return Some(finding(
            "checkpointsOverdue",
            Severity::Critical,
            "are overdue",
            evidence,
            fix,
        ));
    }
    let usual = checkpoint.usual_ms;
    if usual < SHORT_MS {
        return None;
    }
    let is_slow = usual * 2 > checkpoint.interval_ms || usual * 2 > checkpoint.timeout_ms;
    if checkpoint.store_ms * 2 > usual && checkpoint.store_ms >= SHORT_MS {
        let evidence = format!("{} of {} is the store's", took(checkpoint.store_ms), took(usual));
        let fix = "look at the store of spec.state.root: its latency, throttling and distance";
        let severity = if is_slow { Severity::Warning } else { Severity::Note };
        return Some(finding("slowStore", severity, "wait for the store", evidence, fix));
    }
    if checkpoint.align_ms * 2 > usual && checkpoint.align_ms >= SHORT_MS {
        let evidence = format!(
            "barriers wait for each other {} of {}",
            took(checkpoint.align_ms),
            took(usual)
        );
        let fix = "barriers travel with the rows: remove what holds rows back";
        let severity = if is_slow { Severity::Warning } else { Severity::Note };
        return Some(finding("slowBarriers", severity, "wait for barriers", evidence, fix));
    }
    is_slow.then(|| {
        let evidence = format!(
            "{} on average, one is due every {}",
            took(usual),
            took(checkpoint.interval_ms)
        );
        let fix = "see which task answers last under Checkpoints, or set a longer interval";
        finding("slowCheckpoints", Severity::Warning, "take long", evidence, fix)
    })
}

/// State that fills its memory.
pub(super) fn memory(snapshot: &Snapshot) -> Option<Finding> {
    let memory = &snapshot.memory;
    let share = memory.most_bytes as f64 / memory.limit_bytes as f64;
    (memory.limit_bytes > 0 && share >= 0.85).then(|| Finding {
        code: "stateNearLimit".into(),
        severity: Severity::Warning,
        place: "state".into(),
        cause: "nearly fills a worker's memory".into(),
        evidence: format!(
            "{} of {} ({})",
            bytes(memory.most_bytes),
            bytes(memory.limit_bytes),
            percent(share)
        ),
        fix: "give workers more memory, use more of them, or let state end: windows, TTL".into(),
        ..Finding::default()
    })
}
