//! The end of a job: savepoint, pods, state, what else is its own, and at last the finalizer. Never
//! later than its deadline: a resource that cannot be deleted blocks its whole namespace.
//!
//! However it is deleted (in the background, in the foreground, orphaning) it ends like this: what
//! belongs to it has no owner references ([`crate::ownership`]). Only the deletion of its whole
//! namespace leaves no time: that deletes pods like everything else, and nothing new can start.

use std::time::Duration;

use weir_crds::kube::JobState;
use weir_crds::{DeletionPolicy, DesiredState, StateRetention};

use super::{Event, Facts, OneShot, Plan, SOON, stop};
use crate::clock::age;

/// What deleting the state may take beyond `spec.deletion.timeout`, before it is left to a
/// person.
const COLLECT: Duration = Duration::from_secs(120);

pub(super) fn decide(facts: &Facts) -> Plan {
    let mut plan = Plan::rest(JobState::Deleting);
    plan.again = SOON;
    if !facts.job.has_finalizer {
        // Never accepted, or released already: nothing of it is ours to keep.
        return plan;
    }
    let since = facts.job.deleted_at.unwrap_or(facts.now);
    let waited = age(facts.now, since);
    let late = waited >= facts.job.deletion.timeout;
    let over = waited >= facts.job.deletion.timeout + COLLECT;

    if facts.namespace_terminating
        && facts.job.deletion.policy == DeletionPolicy::Savepoint
        && facts.job.desired == DesiredState::Running
    {
        plan.events.push(Event::warning(
            "NamespaceDeleted",
            &facts.job.uid,
            format!(
                "the namespace is being deleted, and its pods go at once: there is a savepoint \
                 only if one is complete before they end; the newest checkpoint is kept, and a \
                 job of this name that is to go on from it needs state.adopt: {}",
                facts.job.uid
            ),
        ));
    }
    if let Some(set) = facts.acting() {
        plan.view.running = Some(set.revision.clone());
        let save = facts.job.deletion.policy == DeletionPolicy::Savepoint && !late;
        if save && !stop::take(facts, set, stop::Goal::Delete, &mut plan) {
            return plan;
        }
        if late && facts.job.deletion.policy == DeletionPolicy::Savepoint {
            plan.events.push(Event::warning(
                "NoSavepoint",
                &facts.job.uid,
                format!(
                    "no savepoint within spec.deletion.timeout ({}); the newest checkpoint is kept",
                    weir_crds::format_duration(facts.job.deletion.timeout)
                ),
            ));
        }
        if save {
            // The end is recorded in this round; the set is deleted in the next.
            return plan;
        }
    }
    plan.operation(facts.job.uid.clone(), ("Delete", "Stop"), "its pods are being removed");
    plan.actions.delete_sets =
        facts.sets.iter().filter(|set| !set.deleting).map(|set| set.name.clone()).collect();
    let gone = facts.sets.is_empty() && facts.pods.is_empty();
    if !gone && !over {
        plan.actions.give_up.extend(super::lost_pods(facts));
        return plan;
    }
    if facts.job.deletion.state_retention == StateRetention::Retain {
        return release(plan);
    }
    if facts.namespace_terminating {
        let cause = "the namespace is being deleted, so no pod can start that would do it";
        plan.events.push(kept(facts, cause));
        return release(plan);
    }
    if !gone {
        plan.events.push(kept(facts, "its pods are still there"));
        return release(plan);
    }
    if let Err(refusal) = &facts.target {
        // Nobody knows where it is.
        plan.events.push(kept(facts, &refusal.message));
        return release(plan);
    }
    match &facts.state_pod {
        Some(OneShot::Succeeded) => release(plan),
        Some(OneShot::Failed(words)) if over => {
            plan.events.push(kept(facts, words));
            release(plan)
        }
        _ if over => {
            plan.events.push(kept(facts, "it took too long"));
            release(plan)
        }
        _ => {
            plan.actions.collect_state = true;
            plan.operation(
                facts.job.uid.clone(),
                ("Delete", "State"),
                "its state is being deleted",
            );
            plan
        }
    }
}

fn kept(facts: &Facts, cause: &str) -> Event {
    Event::warning(
        "StateKept",
        &facts.job.uid,
        format!(
            "the job's state could not be deleted ({cause}): it stays in the object store; delete \
             it with: weir state delete {}/{}/{} --uid {}",
            facts.target.as_ref().map_or("<root>", |target| target.root.as_str()),
            facts.job.namespace,
            facts.job.name,
            facts.job.uid
        ),
    )
}

fn release(mut plan: Plan) -> Plan {
    plan.actions.release = true;
    plan
}
