//! What has to be asked before a decision, because no read tells it.

use super::{Facts, PlanCheck, stop};
use weir_crds::DesiredState;

/// What is to be asked, and whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// The cluster, by a dry run, whether it would take the set of the spec's revision: pods are
    /// not given up for others that it would refuse.
    pub dry_run: bool,
    /// The coordinator at this address, whether the spec's program fits.
    pub plan_at: Option<String>,
}

/// What has to be known before a running revision gives way to the spec's. Pure: it rests on the
/// same facts as the decision, apart from the answers.
#[must_use]
pub fn questions(facts: &Facts) -> Questions {
    let none = Questions::default();
    let wanted = facts.job.desired == DesiredState::Running
        && facts.job.deleted_at.is_none()
        && facts.is_accepted()
        && facts.blocked.is_none();
    let Some(target) = facts.target.as_ref().ok().filter(|_| wanted) else { return none };
    let Some(old) = facts.acting().filter(|set| set.revision != target.revision) else {
        return none;
    };
    let coordinator = facts.coordinator(&old.revision);
    match coordinator.filter(|coordinator| coordinator.end.is_none()) {
        // A coordinator can only speak for its own image; the program is planned by a pod.
        Some(_) if old.image != target.image => none,
        Some(coordinator) if target.check == PlanCheck::Unknown => {
            Questions { dry_run: true, plan_at: Some(coordinator.ip.to_owned()) }
        }
        Some(_) => none,
        None => {
            let goal = stop::Goal::Replace(&target.revision);
            let ends = matches!(stop::step(facts, old, goal), stop::Step::Ended(..));
            let made = facts.sets.iter().any(|set| set.revision == target.revision);
            Questions { dry_run: ends && !made, plan_at: None }
        }
    }
}
