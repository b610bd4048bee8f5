//! The lifecycle: from what is known about a job to what is to be done next. Pure.
//!
//! - **In**: [`Facts`]. **Out**: one [`Plan`]: actions, conditions, events. Every word that a user
//!   reads of it is made here.
//! - **Always**: a decision follows from facts that outlive this process, so another operator, or
//!   this one after a crash, decides the same. Taking the same decision twice does no harm.
//! - **Deliberately absent**: waiting. What takes time is looked at again in the next round.
//!
//! ```text
//!            no set           set alive                  set at 0 replicas
//!  Running   create ────────► rescale, replace ◄──────── resume (unless Finished)
//!  Suspended nothing          stop with savepoint ─────► stays
//!  Drained   nothing          drain ───────────────────► stays
//!  deleted   release          stop with savepoint ─────► delete set, state, release
//!
//!  stop: Begin(op-…) ─► coordinator reports its end ─► one write: end recorded, 0 replicas
//! ```

mod check;
mod conditions;
mod coordinator;
mod delete;
mod events;
mod facts;
mod plan;
mod questions;
mod run;
mod stop;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use coordinator::Coordinator;
pub use facts::{
    Facts, JobFacts, LastFailure, NotBegun, OneShot, PlanCheck, PlanPod, PodFacts, Problem,
    ProblemClass, SetFacts, StopKind, Stopped, Target, predecessors,
};
pub use plan::{Actions, Degraded, Event, OperationView, Plan, Scale, View};
pub use questions::{Questions, questions};
use weir_crds::DesiredState;
use weir_crds::kube::JobState;

use crate::names::operation_id;

/// The next look while something is under way.
pub const SOON: Duration = Duration::from_millis(500);
/// The next look at a job that runs.
pub const POLL: Duration = Duration::from_secs(5);
/// The next look at a job that ends by itself: somebody may wait for its end.
pub const BOUNDED: Duration = Duration::from_secs(2);
/// The next look at a job that neither runs nor changes.
pub const IDLE: Duration = Duration::from_secs(60);

/// Decides what to do next, and what to say.
#[must_use]
pub fn decide(facts: &Facts) -> Plan {
    let mut plan = match on_the_job_first(facts) {
        Some(plan) => plan,
        None => on_what_is_its_own(facts),
    };
    say_why_not_begun(facts, &mut plan);
    events::of_the_coordinator(facts, &mut plan);
    plan.conditions = conditions::conditions(facts, &plan);
    plan
}

/// What has to stand on the job before anything else is done: that it is taken, and that it has
/// published. Both change the job, so the next round reads it anew.
fn on_the_job_first(facts: &Facts) -> Option<Plan> {
    let target = facts.target.as_ref().ok().filter(|_| facts.job.deleted_at.is_none())?;
    let mut plan = Plan::rest(JobState::Pending);
    plan.again = Duration::ZERO;
    if !facts.is_accepted() {
        plan.actions.accept = true;
    } else if !facts.job.published_recorded && facts.has_published() {
        plan.actions.record_published = Some(target.root.clone());
    } else {
        return None;
    }
    Some(plan)
}

fn on_what_is_its_own(facts: &Facts) -> Plan {
    let mut plan = decide_lifecycle(facts);
    plan.actions.delete_plans = check::not_wanted(facts, plan.actions.plan_pod);
    let former = facts.sets.iter().filter(|set| set.former).map(|set| set.name.clone());
    plan.actions.delete_sets.extend(former);
    record_on_sets(facts, &mut plan);
    plan
}

/// That the coordinator would not begin the operation when it was asked last.
fn say_why_not_begun(facts: &Facts, plan: &mut Plan) {
    let begun = plan.actions.begin.as_ref().map(|(_, operation)| &operation.id);
    let refused = facts.not_begun.as_ref().filter(|refused| Some(&refused.id) == begun);
    if let (Some(refused), Some(view)) = (refused, &mut plan.view.operation) {
        view.message = format!("{}; not begun: {}", view.message, refused.message);
    }
}

/// What has to stand on a set and does not: that the job has published, for its next pods, and
/// whose it is, where an earlier version said so in a way for which no deletion waits. One change
/// of a set a round.
fn record_on_sets(facts: &Facts, plan: &mut Plan) {
    let root = facts.target.as_ref().ok().map(|target| target.root.clone());
    let stays = |set: &&SetFacts| !set.deleting && !plan.actions.delete_sets.contains(&set.name);
    let sets: Vec<&SetFacts> = facts.sets.iter().filter(stays).collect();
    for set in sets {
        let has_published = facts.coordinator(&set.revision).is_some_and(|it| it.has_published());
        let mut known = (facts.published || has_published) && facts.job.deleted_at.is_none();
        let scale = plan.actions.scale.iter_mut().find(|scale| scale.name == set.name);
        if let Some(stopped) = scale.as_ref().and_then(|scale| scale.stopped.as_ref()) {
            known |= stopped.epoch > 0;
        }
        let published = set.published.clone().or_else(|| root.clone().filter(|_| known));
        match scale {
            Some(scale) => scale.published = published,
            None if set.tied || published != set.published => {
                plan.actions.scale.push(Scale { published, ..Scale::keep(set) });
            }
            None => {}
        }
    }
}

fn decide_lifecycle(facts: &Facts) -> Plan {
    if facts.job.deleted_at.is_some() {
        return delete::decide(facts);
    }
    let mut plan = match facts.job.desired {
        DesiredState::Running => run::decide(facts),
        DesiredState::Suspended => stop::decide(facts, stop::Goal::Suspend),
        DesiredState::Drained => stop::decide(facts, stop::Goal::Drain),
    };
    if let Err(refusal) = &facts.target {
        plan.view.refusal = Some(refusal.clone());
    }
    if let Some(blocked) = &facts.blocked {
        plan.events.push(Event::warning(blocked.reason, &facts.job.uid, blocked.message.clone()));
        plan.view.degraded.get_or_insert(blocked.clone().into());
        plan.view.stalled |= facts.job.desired == DesiredState::Running;
        plan.again = plan.again.min(POLL);
    }
    plan.actions.give_up.extend(lost_pods(facts));
    for pod in &plan.actions.give_up {
        plan.events.push(Event::warning(
            "NodeLost",
            pod,
            format!(
                "pod {pod} is given up: its node has been silent for longer than \
                 spec.nodeLostTimeout; a new one starts on another node"
            ),
        ));
    }
    plan
}

/// Id of an operation that the coordinator has not refused yet, and which attempt it is. Its refusals stand in its reports,
/// of which it keeps a bounded number, so that a later attempt has an id of its own and yet needs
/// no record here.
fn unrefused(coordinator: &Coordinator<'_>, parts: &[&str]) -> (String, u32) {
    let refused = |id: &str| {
        let status = coordinator.view.status.as_ref();
        status.is_some_and(|status| {
            status.operations.iter().any(|report| report.id == id && report.refused().is_some())
        })
    };
    let (mut id, mut tries) = (operation_id(parts), 1);
    for attempt in 1..ATTEMPTS {
        if !refused(&id) {
            break;
        }
        tries = attempt + 1;
        let attempt = attempt.to_string();
        let again: Vec<&str> = parts.iter().copied().chain([attempt.as_str()]).collect();
        id = operation_id(&again);
    }
    (id, tries)
}

/// Attempts of one operation that have ids of their own.
const ATTEMPTS: u32 = 64;

/// Pods of dead nodes: nobody there would end them, and a StatefulSet never replaces a pod whose
/// end it has not seen. The fence in the chain keeps such a pod from doing harm if it lives.
fn lost_pods(facts: &Facts) -> impl Iterator<Item = String> {
    facts
        .pods
        .iter()
        .filter(|pod| pod.node_lost && pod.report.is_none())
        .map(|pod| pod.name.clone())
}
