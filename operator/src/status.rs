//! What is said about a job: conditions and figures, from the facts and the decision. Pure.
//!
//! Conditions mean what kstatus (Flux) and Argo CD take them for: `Stalled` is true when a person
//! has to act, also while an older revision runs; `Reconciling` while something is under way.
//! `Ready` speaks of the spec as it stands, so that whoever waits for it after an edit
//! (`kubectl wait --for=condition=Ready`) learns whether that edit runs: it is False while another
//! revision does, be it because the newest was refused, and absent where the spec asks for rest,
//! which is nothing to wait for and nothing to be alarmed by.
//! Nothing is changed that says the same: an idle round writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use weir_crds::kube::{
    CheckpointStatus, CoordinatorStatus, Failure, Failures, JobState, LastOperation,
    OperationStatus, OperationStep, ParallelismStatus, RestoredFrom, Revisions, SavepointStatus,
    StreamJobStatus, WorkersStatus,
};

use crate::clock::age;
use crate::decide::{Coordinator, Decision, Facts, StopKind, Stopped};
use crate::names;
use crate::observe::LastFailure;
use crate::workers::OperationReport;

/// The newest checkpoint is shown at most this often when nothing else changes.
const REFRESH: Duration = Duration::from_secs(30);
/// Longest message of a condition; Kubernetes allows 32 KiB.
const LONGEST: usize = 4000;

/// The status of a job after `decision`. `was` is the one that stands.
#[must_use]
pub fn build_status(
    facts: &Facts,
    decision: &Decision,
    last_failure: Option<&LastFailure>,
    unhealthy_after: Duration,
    was: &StreamJobStatus,
) -> StreamJobStatus {
    let view = &decision.view;
    let running = view.running.as_deref();
    let coordinator = running.and_then(|revision| facts.coordinator(revision));
    let report = coordinator.map(|coordinator| coordinator.view);
    let job = report.and_then(|report| report.status.as_ref());
    let mut status = was.clone();
    status.observed_generation = Some(facts.job.generation);
    status.state = Some(view.state);
    // One that was refused the chain it found has nothing to say about the job: that is another's.
    let leads = coordinator.filter(|it| it.end.is_none() || it.has_published());
    if let (Some(coordinator), Some(job)) = (leads, job) {
        status.restarts = Some(restarts(was, running, &coordinator, job.restarts));
        status.coordinator = Some(CoordinatorStatus {
            pod: coordinator.pod.to_owned(),
            process: coordinator.incarnation.to_owned(),
            restarts: job.restarts,
        });
        status.term = Some(coordinator.term);
        status.parallelism = Some(ParallelismStatus { actual: job.parallelism });
        if let Some(report) = report {
            status.last_checkpoint = last_checkpoint(report, job, was);
            if report.restored_epoch > 0 {
                status.restored_from =
                    Some(RestoredFrom { path: None, epoch: report.restored_epoch });
            }
        }
    } else if running.is_none() {
        status.parallelism = Some(ParallelismStatus { actual: 0 });
        status.coordinator = None;
    }
    let ended = facts.sets.iter().filter_map(|set| set.stopped.as_ref());
    if let Some(savepoint) = ended.filter_map(last_savepoint).max_by_key(|it| it.0) {
        status.last_savepoint = Some(savepoint.1);
    }
    let target = facts.target.as_ref().ok().map(|target| target.revision.clone());
    status.revisions = Some(Revisions {
        current: running.map(str::to_owned),
        target,
        stable: facts.stable().map(str::to_owned),
    });
    let count = |pods: usize| u32::try_from(pods).unwrap_or(u32::MAX);
    let selector = names::worker_selector(&facts.job.name);
    status.workers = Some(WorkersStatus {
        ready: count(facts.pods.iter().filter(|pod| pod.ready).count()),
        replicas: count(facts.pods.len()),
        selector: Some(selector),
    });
    status.operation =
        view.operation.as_ref().filter(|it| !it.id.is_empty()).map(|operation| OperationStatus {
            id: operation.id.clone(),
            type_: operation.kind.to_owned(),
            step: Some(operation.step.to_owned()),
            attempt: Some(operation.attempt),
            deadline: operation.deadline.map(Time),
            message: Some(operation.message.clone()),
        });
    if let Some(newest) = job.and_then(|job| job.operations.iter().max_by_key(|it| it.at_ms)) {
        status.last_operation = Some(last_operation(newest));
    }
    status.failures = failures(facts, last_failure, was);
    status.conditions = conditions(facts, decision, unhealthy_after, was);
    status
}

/// The coordinator that `was` shows, where `now` had to take the job over from it: the same
/// revision runs, in another process, under a later term.
#[must_use]
pub fn predecessor<'a>(
    was: &'a StreamJobStatus,
    running: Option<&str>,
    now: &Coordinator<'_>,
) -> Option<&'a CoordinatorStatus> {
    let before = was.coordinator.as_ref()?;
    let current = was.revisions.as_ref().and_then(|revisions| revisions.current.as_deref());
    let later = was.term.is_some_and(|term| term < now.term) && now.view.restored_epoch > 0;
    let same = running.is_some() && current == running;
    (same && later && before.process != now.incarnation).then_some(before)
}

/// Restarts so far: a coordinator counts its own, and takes over by one.
fn restarts(
    was: &StreamJobStatus,
    running: Option<&str>,
    now: &Coordinator<'_>,
    counted: u64,
) -> u64 {
    let before = was.restarts.unwrap_or(0);
    match &was.coordinator {
        Some(it) if it.process == now.incarnation => before + counted.saturating_sub(it.restarts),
        // Written by an earlier version, about the same term.
        None if was.term == Some(now.term) => before.max(counted),
        _ => before + counted + u64::from(predecessor(was, running, now).is_some()),
    }
}

fn last_checkpoint(
    report: &crate::workers::CoordinatorReport,
    job: &crate::workers::JobStatus,
    was: &StreamJobStatus,
) -> Option<CheckpointStatus> {
    let shown = was.last_checkpoint.clone();
    let millis = i64::try_from(report.checkpoint_at_ms).ok().filter(|millis| *millis > 0);
    let Some(at) = millis.and_then(|millis| Timestamp::from_millisecond(millis).ok()) else {
        return shown;
    };
    // Whole seconds: that is what the API server keeps.
    let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
    let fresh = shown
        .as_ref()
        .and_then(|it| it.time.as_ref())
        .is_some_and(|time| at >= time.0 && age(at, time.0) < REFRESH);
    if fresh {
        return shown;
    }
    Some(CheckpointStatus {
        epoch: job.epoch,
        path: Some(report.checkpoint_path.clone()).filter(|path| !path.is_empty()),
        time: Some(Time(at)),
        bytes: Some(job.checkpoint_bytes),
    })
}

fn last_savepoint(stopped: &Stopped) -> Option<(i64, SavepointStatus)> {
    if stopped.savepoint.is_empty() {
        return None;
    }
    let time = Timestamp::from_millisecond(stopped.at_ms).ok()?;
    let time = Timestamp::from_second(time.as_second()).unwrap_or(time);
    let path = Some(stopped.path.clone()).filter(|path| !path.is_empty());
    let savepoint =
        SavepointStatus { name: stopped.savepoint.clone(), path, time: Some(Time(time)) };
    Some((stopped.at_ms, savepoint))
}

fn last_operation(report: &OperationReport) -> LastOperation {
    LastOperation {
        type_: report.kind.clone(),
        result: if report.refused.is_empty() { "Succeeded" } else { "Failed" }.to_owned(),
        downtime_ms: Some(report.pause_ms),
        steps: vec![OperationStep { name: "total".to_owned(), ms: report.total_ms }],
    }
}

/// Container restarts, and the last end of a process that Kubernetes knows of. It counts by pod,
/// and those that have gone are still part of the count.
fn failures(facts: &Facts, last: Option<&LastFailure>, was: &StreamJobStatus) -> Option<Failures> {
    let failed = facts.pods.iter().filter(|pod| pod.restarts > 0);
    let of_pods: BTreeMap<String, u32> =
        failed.map(|pod| (pod.uid.clone(), pod.restarts)).collect();
    let last = last.map(|last| Failure {
        pod: Some(last.pod.clone()),
        reason: Some(last.reason.clone()),
        exit_code: Some(last.exit_code),
        message: Some(cut(&last.message)).filter(|message| !message.is_empty()),
        time: None,
    });
    let Some(was) = &was.failures else {
        let count = of_pods.values().copied().map(u64::from).sum();
        return last.map(|last| Failures { count, of_pods: Some(of_pods), last: Some(last) });
    };
    let count = match &was.of_pods {
        Some(counted) => {
            let before = |uid: &String| counted.get(uid).copied().unwrap_or(0);
            let new = of_pods.iter().map(|(uid, now)| u64::from(now.saturating_sub(before(uid))));
            was.count + new.sum::<u64>()
        }
        // Written by an earlier version, about the pods that were there.
        None => was.count.max(of_pods.values().copied().map(u64::from).sum()),
    };
    Some(Failures { count, of_pods: Some(of_pods), last: last.or_else(|| was.last.clone()) })
}

struct Said {
    status: Option<bool>,
    reason: String,
    message: String,
}

fn said(status: bool, reason: &str, message: impl Into<String>) -> Said {
    Said { status: Some(status), reason: reason.to_owned(), message: message.into() }
}

fn conditions(
    facts: &Facts,
    decision: &Decision,
    unhealthy_after: Duration,
    was: &StreamJobStatus,
) -> Vec<Condition> {
    let view = &decision.view;
    let state = state_word(view.state);
    let coordinator = view.running.as_deref().and_then(|it| facts.coordinator(it));
    let ready = coordinator.is_some_and(|coordinator| coordinator.is_ready());
    let refusal = view.refusal.as_ref();
    let problem = view.problem.as_ref();
    let waiting = view.operation.as_ref().map(|operation| operation.message.as_str());
    let explained = problem.map(|it| it.message.as_str()).or(waiting).unwrap_or_default();

    let target = facts.target.as_ref().ok().map(|target| target.revision.as_str());
    let newest = view.running.is_some() && view.running.as_deref() == target;
    let ready = match view.state {
        JobState::Finished => Some(said(true, "Finished", finished_words(facts, decision))),
        JobState::Deleting => Some(said(false, state, explained)),
        JobState::Suspended | JobState::Drained if view.operation.is_none() => None,
        _ => Some(match refusal {
            Some(refusal) => said(false, "SpecRefused", refusal.message.clone()),
            None if ready && newest => said(true, "Running", ""),
            None if ready => said(false, "OtherRevision", explained),
            None => said(false, state, explained),
        }),
    };
    let reconciling = match (&view.operation, view.stuck) {
        (Some(operation), false) => said(true, operation.kind, operation.message.clone()),
        _ if view.state == JobState::Recovering => {
            let failure = coordinator.and_then(|it| it.view.status.as_ref());
            let failure = failure.map(|status| status.failure.clone()).unwrap_or_default();
            said(true, "Recovering", failure)
        }
        _ => said(false, "Settled", ""),
    };
    let stalled = match (refusal, problem, view.stuck) {
        (Some(refusal), _, _) => said(true, "SpecRefused", refusal.message.clone()),
        (None, Some(problem), true) => said(true, problem.reason, problem.message.clone()),
        _ => said(false, "NotStalled", ""),
    };
    let degraded = match problem {
        Some(problem) => said(true, problem.reason, problem.message.clone()),
        None => said(false, "AsExpected", ""),
    };
    let accepted = match (refusal, &facts.target) {
        (Some(refusal), _) => said(false, refusal.reason, refusal.message.clone()),
        (None, Ok(_)) => said(true, "Accepted", ""),
        (None, Err(refusal)) => said(false, refusal.reason, refusal.message.clone()),
    };
    let complete = match view.state {
        JobState::Finished => said(true, "Finished", finished_words(facts, decision)),
        _ => said(false, state, ""),
    };
    let checkpoints = checkpoint_health(facts, decision, unhealthy_after);
    [
        ("Ready", ready),
        ("Reconciling", Some(reconciling)),
        ("Stalled", Some(stalled)),
        ("Degraded", Some(degraded)),
        ("CheckpointHealthy", Some(checkpoints)),
        ("SpecAccepted", Some(accepted)),
        ("Complete", Some(complete)),
    ]
    .into_iter()
    .filter_map(|(type_, said)| Some(condition(facts, type_, said?, was)))
    .collect()
}

/// What the coordinator said at the end: a program may have found nothing to read.
fn finished_words<'a>(facts: &'a Facts, decision: &'a Decision) -> &'a str {
    let noted = facts.sets.iter().filter_map(|set| set.stopped.as_ref());
    let ended = decision.scale.iter().filter_map(|scale| scale.stopped.as_ref()).chain(noted);
    let ended = ended.filter(|stopped| stopped.kind == StopKind::Finished);
    let newest = ended.max_by_key(|stopped| stopped.at_ms);
    newest
        .map(|stopped| stopped.message.as_str())
        .filter(|words| !words.is_empty())
        .unwrap_or("all sources have ended and every result is written")
}

fn checkpoint_health(facts: &Facts, decision: &Decision, unhealthy_after: Duration) -> Said {
    let running = decision.view.running.as_deref();
    let Some(coordinator) = running.and_then(|revision| facts.coordinator(revision)) else {
        return Said { status: None, reason: "NotRunning".into(), message: String::new() };
    };
    let report = coordinator.view;
    if !report.checkpoint_trouble.is_empty() {
        return said(false, "Failing", report.checkpoint_trouble.clone());
    }
    let at = i64::try_from(report.checkpoint_at_ms).unwrap_or(0);
    let since = if at > 0 {
        Timestamp::from_millisecond(at).unwrap_or(facts.now)
    } else {
        running.and_then(|revision| facts.set(revision)).map_or(facts.now, |set| set.since)
    };
    // A job whose state does not change publishes nothing: only what it says itself counts then.
    let tried = report.status.as_ref().is_some_and(|status| status.failed_attempts > 0);
    if age(facts.now, since) > unhealthy_after && (tried || at == 0) {
        return said(
            false,
            "Late",
            format!(
                "no checkpoint since {since}, longer than state.checkpoint.interval and \
                 unhealthyAfter together ({}); look at the job's sinks and store",
                weir_crds::format_duration(unhealthy_after)
            ),
        );
    }
    match at {
        0 => Said { status: None, reason: "None".into(), message: String::new() },
        _ => said(true, "Published", ""),
    }
}

fn condition(facts: &Facts, type_: &str, said: Said, was: &StreamJobStatus) -> Condition {
    let status = match said.status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let before = was.conditions.iter().find(|condition| condition.type_ == type_);
    let since = match before.filter(|before| before.status == status) {
        Some(before) => before.last_transition_time.clone(),
        None => Time(Timestamp::from_second(facts.now.as_second()).unwrap_or(facts.now)),
    };
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: said.reason,
        message: cut(&said.message),
        observed_generation: Some(facts.job.generation),
        last_transition_time: since,
    }
}

fn state_word(state: JobState) -> &'static str {
    match state {
        JobState::Pending => "Pending",
        JobState::Starting => "Starting",
        JobState::Running => "Running",
        JobState::Recovering => "Recovering",
        JobState::Rescaling => "Rescaling",
        JobState::Upgrading => "Upgrading",
        JobState::Suspending => "Suspending",
        JobState::Suspended => "Suspended",
        JobState::Draining => "Draining",
        JobState::Drained => "Drained",
        JobState::Finished => "Finished",
        JobState::Failed => "Failed",
        JobState::Deleting => "Deleting",
        JobState::Unknown => "Unknown",
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
