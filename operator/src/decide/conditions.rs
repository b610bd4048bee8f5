//! What is said about a job in the words of Kubernetes' conditions.
//!
//! Conditions mean what kstatus (Flux) and Argo CD take them for: `Stalled` is true when a person
//! has to act, also while an older revision runs; `Reconciling` while something is under way.
//! `Ready` speaks of the spec as it stands, so that whoever waits for it after an edit
//! (`kubectl wait --for=condition=Ready`) learns whether that edit runs: it is False while another
//! revision does, be it because the newest was refused, and absent where the spec asks for rest,
//! which is nothing to wait for and nothing to be alarmed by.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use weir_crds::kube::JobState;

use super::facts::{Facts, StopKind};
use super::plan::Plan;
use crate::clock::age;

/// Longest message of a condition; Kubernetes allows 32 KiB.
const LONGEST: usize = 4000;

struct Said {
    status: Option<bool>,
    reason: String,
    message: String,
}

fn said(status: bool, reason: &str, message: impl Into<String>) -> Said {
    Said { status: Some(status), reason: reason.to_owned(), message: message.into() }
}

/// The conditions of a job of which this is planned.
pub(super) fn conditions(facts: &Facts, plan: &Plan) -> Vec<Condition> {
    let view = &plan.view;
    let state = state_word(view.state);
    let coordinator = view.running.as_deref().and_then(|it| facts.coordinator(it));
    let ready = coordinator.is_some_and(|coordinator| coordinator.is_ready());
    let refusal = view.refusal.as_ref();
    let degraded = view.degraded.as_ref();
    let waiting = view.operation.as_ref().map(|operation| operation.message.as_str());
    let explained = degraded.map(|it| it.message.as_str()).or(waiting).unwrap_or_default();

    let target = facts.target.as_ref().ok().map(|target| target.revision.as_str());
    let newest = view.running.is_some() && view.running.as_deref() == target;
    let ready = match view.state {
        JobState::Finished => Some(said(true, "Finished", finished_words(facts, plan))),
        JobState::Deleting => Some(said(false, state, explained)),
        JobState::Suspended | JobState::Drained if view.operation.is_none() => None,
        _ => Some(match refusal {
            Some(refusal) => said(false, "SpecRefused", refusal.message.clone()),
            None if ready && newest => said(true, "Running", ""),
            None if ready => said(false, "OtherRevision", explained),
            None => said(false, state, explained),
        }),
    };
    let reconciling = match (&view.operation, view.stalled) {
        (Some(operation), false) => said(true, operation.kind, operation.message.clone()),
        _ if view.state == JobState::Recovering => {
            let failure = coordinator.and_then(|it| it.view.status.as_ref());
            let failure = failure.map(|status| status.failure.clone()).unwrap_or_default();
            said(true, "Recovering", failure)
        }
        _ => said(false, "Settled", ""),
    };
    let stalled = match (refusal, degraded, view.stalled) {
        (Some(refusal), _, _) => said(true, "SpecRefused", refusal.message.clone()),
        (None, Some(degraded), true) => said(true, degraded.reason, degraded.message.clone()),
        _ => said(false, "NotStalled", ""),
    };
    let degraded = match degraded {
        Some(degraded) => said(true, degraded.reason, degraded.message.clone()),
        None => said(false, "AsExpected", ""),
    };
    let accepted = match (refusal, &facts.target) {
        (Some(refusal), _) => said(false, refusal.reason, refusal.message.clone()),
        (None, Ok(_)) => said(true, "Accepted", ""),
        (None, Err(refusal)) => said(false, refusal.reason, refusal.message.clone()),
    };
    let complete = match view.state {
        JobState::Finished => said(true, "Finished", finished_words(facts, plan)),
        _ => said(false, state, ""),
    };
    let checkpoints = checkpoint_health(facts, plan);
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
    .filter_map(|(type_, said)| Some(condition(facts, type_, said?)))
    .collect()
}

/// What the coordinator said at the end: a program may have found nothing to read.
fn finished_words<'a>(facts: &'a Facts, plan: &'a Plan) -> &'a str {
    let recorded = facts.sets.iter().filter_map(|set| set.stopped.as_ref());
    let ended =
        plan.actions.scale.iter().filter_map(|scale| scale.stopped.as_ref()).chain(recorded);
    let ended = ended.filter(|stopped| stopped.kind == StopKind::Finished);
    let newest = ended.max_by_key(|stopped| stopped.at_ms);
    newest
        .map(|stopped| stopped.message.as_str())
        .filter(|words| !words.is_empty())
        .unwrap_or("all sources have ended and every result is written")
}

fn checkpoint_health(facts: &Facts, plan: &Plan) -> Said {
    let unhealthy_after = facts.job.unhealthy_after;
    let running = plan.view.running.as_deref();
    let Some(coordinator) = running.and_then(|revision| facts.coordinator(revision)) else {
        return Said { status: None, reason: "NotRunning".into(), message: String::new() };
    };
    let report = coordinator.view;
    if !report.checkpoint_problem.is_empty() {
        return said(false, "Failing", report.checkpoint_problem.clone());
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

fn condition(facts: &Facts, type_: &str, said: Said) -> Condition {
    let status = match said.status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let before = facts.status.conditions.iter().find(|condition| condition.type_ == type_);
    let since = match before.filter(|before| before.status == status) {
        Some(before) => before.last_transition_time.clone(),
        None => Time(Timestamp::from_second(facts.now.as_second()).unwrap_or(facts.now)),
    };
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: said.reason,
        message: said.message.chars().take(LONGEST).collect(),
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
