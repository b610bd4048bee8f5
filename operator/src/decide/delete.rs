//! The end of a job: savepoint, pods, state, and at last the finalizer. Never later than its
//! deadline: a resource that cannot be deleted blocks its whole namespace.

use std::time::Duration;

use weir_crds::kube::JobState;
use weir_crds::{DeletionPolicy, StateRetention};

use super::{Decision, Facts, Note, OneShot, SOON, stop};
use crate::clock::age;

/// What deleting the state may take beyond `spec.deletion.timeout`, before it is left to a
/// person.
const COLLECT: Duration = Duration::from_secs(120);

pub(super) fn decide(facts: &Facts) -> Decision {
    let mut decision = Decision::rest(JobState::Deleting);
    decision.again = SOON;
    if !facts.job.held {
        // Never accepted, or released already: nothing of it is ours to keep.
        return decision;
    }
    let since = facts.job.deleted_at.unwrap_or(facts.now);
    let waited = age(facts.now, since);
    let late = waited >= facts.job.deletion.timeout;
    let over = waited >= facts.job.deletion.timeout + COLLECT;

    if let Some(set) = facts.acting() {
        decision.view.running = Some(set.revision.clone());
        let save = facts.job.deletion.policy == DeletionPolicy::Savepoint && !late;
        if save && !stop::take(facts, set, stop::Goal::Delete, &mut decision) {
            return decision;
        }
        if late && facts.job.deletion.policy == DeletionPolicy::Savepoint {
            decision.notes.push(Note::warning(
                "NoSavepoint",
                &facts.job.uid,
                format!(
                    "no savepoint within spec.deletion.timeout ({}); the newest checkpoint is kept",
                    weir_crds::format_duration(facts.job.deletion.timeout)
                ),
            ));
        }
        if save {
            // The end is noted in this round; the set is deleted in the next.
            return decision;
        }
    }
    decision.operation(facts.job.uid.clone(), ("Delete", "Stop"), "its pods are being removed");
    decision.delete_sets =
        facts.sets.iter().filter(|set| !set.deleting).map(|set| set.name.clone()).collect();
    let gone = facts.sets.is_empty() && facts.pods.is_empty();
    if !gone && !over {
        decision.give_up.extend(super::lost_pods(facts));
        return decision;
    }
    if facts.job.deletion.state_retention == StateRetention::Retain {
        return release(decision);
    }
    if facts.namespace_terminating {
        decision.notes.push(Note::warning(
            "StateKept",
            &facts.job.uid,
            "the namespace is being deleted, so no pod can start that would delete the job's \
             state: it stays in the object store",
        ));
        return release(decision);
    }
    if !gone {
        decision.notes.push(kept(facts, "its pods are still there"));
        return release(decision);
    }
    match &facts.state_pod {
        Some(OneShot::Succeeded) => release(decision),
        Some(OneShot::Failed(words)) if over => {
            decision.notes.push(kept(facts, words));
            release(decision)
        }
        _ if over => {
            decision.notes.push(kept(facts, "it took too long"));
            release(decision)
        }
        _ => {
            decision.collect_state = true;
            decision.operation(
                facts.job.uid.clone(),
                ("Delete", "State"),
                "its state is being deleted",
            );
            decision
        }
    }
}

fn kept(facts: &Facts, cause: &str) -> Note {
    Note::warning(
        "StateKept",
        &facts.job.uid,
        format!(
            "the job's state could not be deleted ({cause}): it stays in the object store; delete \
             it with: weir state delete <root>/<namespace>/{} --uid {}",
            facts.job.name, facts.job.uid
        ),
    )
}

fn release(mut decision: Decision) -> Decision {
    decision.release = true;
    decision
}
