//! Stopping a set behind a savepoint, for whatever reason.

use std::time::Duration;

use weir_crds::DesiredState;
use weir_crds::kube::JobState;

use super::{
    Coordinator, Degraded, Event, Facts, Plan, ProblemClass, SOON, Scale, SetFacts, StopKind,
    Stopped, unrefused,
};
use crate::clock::age;
use crate::names::operation_id;
use crate::workers::{DrainRequest, JobEnd, Operation, SavepointRequest, job_end, operation};

/// Why a set is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal<'a> {
    /// Its user asked for it.
    Suspend,
    /// Its user asked for the last result first.
    Drain,
    /// Another revision takes its place.
    Replace(&'a str),
    /// The job is being deleted.
    Delete,
}

impl Goal<'_> {
    fn kind(self) -> &'static str {
        match self {
            Self::Suspend => "Suspend",
            Self::Drain => "Drain",
            Self::Replace(_) => "Upgrade",
            Self::Delete => "Delete",
        }
    }

    fn state(self) -> JobState {
        match self {
            Self::Suspend => JobState::Suspending,
            Self::Drain => JobState::Draining,
            Self::Replace(_) => JobState::Upgrading,
            Self::Delete => JobState::Deleting,
        }
    }

    fn to(self) -> String {
        match self {
            Self::Replace(revision) => format!("upgrade-{revision}"),
            other => other.kind().to_lowercase(),
        }
    }
}

/// What the next step towards a stop is.
#[derive(Debug)]
pub(super) enum Step {
    /// Ask for it.
    Begin(Box<Operation>),
    /// It is under way, or its coordinator has to come back first.
    Wait(String),
    /// Event from when on nobody coordinates the job, so that waiting for it has an end.
    Mark,
    /// It has ended, or there is nothing to be saved.
    Ended(Stopped, Option<Event>),
}

/// The next step to stop `set` for `goal`.
pub(super) fn step(facts: &Facts, set: &SetFacts, goal: Goal<'_>) -> Step {
    match facts.coordinator(&set.revision) {
        Some(coordinator) => match coordinator.end {
            Some(end) => Step::Ended(stopped(facts, set, &coordinator, end), None),
            None => ask(facts, set, &coordinator, goal),
        },
        None => without_coordinator(facts, set, goal),
    }
}

/// Id of the stop of this run of the set, and name of its savepoint. The term is no part of it: a
/// coordinator that took over finds the savepoint that its predecessor had completed. Only a
/// refusal is followed by another attempt.
pub(super) fn stop_id(facts: &Facts, set: &SetFacts, goal: Goal<'_>) -> String {
    stop_attempt(facts, set, goal).0
}

fn stop_attempt(facts: &Facts, set: &SetFacts, goal: Goal<'_>) -> (String, u32) {
    let (since, to) = (set.since.to_string(), goal.to());
    let parts = [facts.job.uid.as_str(), &set.uid, &since, &to];
    match facts.coordinator(&set.revision) {
        Some(coordinator) => unrefused(&coordinator, &parts),
        None => (operation_id(&parts), 1),
    }
}

fn ask(facts: &Facts, set: &SetFacts, coordinator: &Coordinator<'_>, goal: Goal<'_>) -> Step {
    let id = stop_id(facts, set, goal);
    let kind = match goal {
        Goal::Drain => operation::Kind::Drain(DrainRequest { name: id.clone() }),
        _ => operation::Kind::Savepoint(SavepointRequest { name: id.clone(), stop: true }),
    };
    Step::Begin(Box::new(Operation { id, term: coordinator.term, kind: Some(kind) }))
}

fn stopped(facts: &Facts, set: &SetFacts, coordinator: &Coordinator<'_>, end: &JobEnd) -> Stopped {
    let drained = facts.job.desired == DesiredState::Drained
        || end.savepoint == stop_id(facts, set, Goal::Drain);
    let kind = match end.kind() {
        job_end::Kind::Failed => StopKind::Lost,
        _ if drained => StopKind::Drained,
        job_end::Kind::Finished => StopKind::Finished,
        _ => StopKind::Stopped,
    };
    Stopped {
        kind,
        savepoint: end.savepoint.clone(),
        path: end.path.clone(),
        epoch: end.epoch,
        message: end.message.clone(),
        parallelism: coordinator.parallelism,
        at_ms: facts.now.as_millisecond(),
    }
}

/// How the job of `set` ended, when its coordinator says so, whoever asked for it.
pub(super) fn ended(facts: &Facts, set: &SetFacts) -> Option<Stopped> {
    let coordinator = facts.coordinator(&set.revision)?;
    let end = coordinator.end?;
    (end.kind() != job_end::Kind::Failed).then(|| stopped(facts, set, &coordinator, end))
}

/// Nobody can be asked for a savepoint. A job that never ran, or whose pods cannot start, is
/// stopped at once: its newest checkpoint is all there is. Else its coordinator is given time to
/// come back, for as long as a start may take.
fn without_coordinator(facts: &Facts, set: &SetFacts, goal: Goal<'_>) -> Step {
    let lost = Stopped { at_ms: facts.now.as_millisecond(), ..Stopped::default() };
    let never_started = facts.pods_of(&set.revision).all(|pod| pod.ip.is_none());
    let unrecoverable = facts.problem(&set.revision);
    let unrecoverable =
        unrecoverable.filter(|problem| never_started || problem.class > ProblemClass::Passing);
    if let Some(problem) = unrecoverable {
        let event = Event::normal(
            "NoSavepoint",
            &set.uid,
            format!(
                "revision {} is stopped without a savepoint, since it does not run ({}); its \
                 newest checkpoint is kept",
                set.revision, problem.reason
            ),
        );
        return Step::Ended(lost, Some(event));
    }
    let gone = facts.pods_of(&set.revision).next().is_none();
    if goal == Goal::Delete && gone && facts.namespace_terminating {
        return Step::Ended(lost, None);
    }
    let Some(since) = set.stopping else { return Step::Mark };
    let left = facts.job.progress_deadline.saturating_sub(age(facts.now, since));
    if left > Duration::ZERO {
        return Step::Wait("no coordinator answers; it is given time to come back".to_owned());
    }
    let event = Event::warning(
        "NoSavepoint",
        &set.uid,
        format!(
            "revision {} is stopped without a savepoint: nobody has coordinated it since {since}; \
             its newest checkpoint is kept",
            set.revision
        ),
    );
    Step::Ended(lost, Some(event))
}

/// Carries out a step of stopping `set`. True when the set is being written to 0 replicas.
pub(super) fn take(facts: &Facts, set: &SetFacts, goal: Goal<'_>, plan: &mut Plan) -> bool {
    let (id, attempt) = stop_attempt(facts, set, goal);
    let at = |step| (goal.kind(), step);
    plan.view.state = goal.state();
    plan.again = SOON;
    match step(facts, set, goal) {
        Step::Begin(operation) => {
            let ip = facts.coordinator(&set.revision).map(|coordinator| coordinator.ip.to_owned());
            plan.actions.begin = ip.map(|ip| (ip, *operation));
            plan.operation(id, at("Savepoint"), "a savepoint is being taken");
            plan.attempt(attempt);
        }
        Step::Wait(message) => plan.operation(id, at("Coordinator"), message),
        Step::Mark => {
            plan.actions.scale.push(Scale { stopping: Some(facts.now), ..Scale::keep(set) });
            plan.operation(id, at("Coordinator"), "no coordinator answers");
        }
        Step::Ended(stopped, event) => {
            plan.events.extend(event);
            if !stopped.savepoint.is_empty() {
                plan.events.push(Event::normal(
                    "Savepoint",
                    &stopped.savepoint,
                    format!("saved as {} (epoch {})", stopped.savepoint, stopped.epoch),
                ));
            }
            plan.operation(id, at("Stop"), "its pods are being removed");
            plan.actions.scale.push(Scale {
                replicas: 0,
                stopped: Some(stopped),
                stopping: None,
                ..Scale::keep(set)
            });
            return true;
        }
    }
    false
}

/// The plan for a job that is not to run.
pub(super) fn decide(facts: &Facts, goal: Goal<'_>) -> Plan {
    let (busy, rest) = match goal {
        Goal::Drain => (JobState::Draining, JobState::Drained),
        _ => (JobState::Suspending, JobState::Suspended),
    };
    let Some(set) = facts.acting() else {
        let newest = facts.sets.iter().filter_map(|set| set.stopped.as_ref());
        let newest = newest.max_by_key(|stopped| stopped.at_ms);
        let finished = newest.is_some_and(|stopped| stopped.kind == StopKind::Finished);
        let mut plan = Plan::rest(if finished { JobState::Finished } else { rest });
        if !facts.pods.is_empty() {
            // Its pods are still on their way out.
            plan.view.state = if finished { JobState::Finished } else { busy };
            plan.operation("".to_owned(), (goal.kind(), "Stop"), "its pods are being removed");
        }
        return plan;
    };
    let mut plan = Plan::rest(busy);
    plan.actions.serve = Some(set.revision.clone());
    plan.view.running = Some(set.revision.clone());
    take(facts, set, goal, &mut plan);
    if let Some(problem) = facts.problem(&set.revision) {
        plan.view.degraded = Some(Degraded::new("PodsNotRunning", problem.message.clone()));
    }
    plan
}
