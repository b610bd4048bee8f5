//! A program that another image is to run is planned in that image, before the running revision is
//! stopped for it: only its own image knows what it can do.

use super::{Facts, OneShot, PlanCheck, PlanPod, ProblemClass, Target};
use crate::validate::Refusal;
use crate::workers::PlanReply;

impl PlanCheck {
    /// What a coordinator's answer says.
    #[must_use]
    pub fn of(reply: &PlanReply) -> Self {
        if !reply.errors.is_empty() {
            return Self::Refused(Refusal::new("DoesNotPlan", reply.errors.join("\n")));
        }
        if reply.dropped.is_empty() {
            return Self::Fits;
        }
        let names: Vec<String> = reply.dropped.iter().map(|name| format!("\"{name}\"")).collect();
        let names = names.join(", ");
        Self::Refused(Refusal::new(
            "DropsState",
            format!(
                "spec.sql: the new program would drop the state of {names}; to allow it set \
                 state.allowDroppedState: [{names}]"
            ),
        ))
    }
}

/// What the target's pod says about its program, and why it says nothing yet.
pub(super) fn answer(facts: &Facts, target: &Target) -> (PlanCheck, String) {
    let pod = facts.plan_pods.iter().find(|pod| pod.revision == target.revision && !pod.deleting);
    let Some(pod) = pod else {
        return (PlanCheck::Unknown, "the new program is planned in its own image".to_owned());
    };
    if pod.outcome == OneShot::Succeeded {
        return (PlanCheck::Fits, String::new());
    }
    let Some(problem) = &pod.problem else {
        let message = format!("pod {} plans the new program in its own image", pod.name);
        return (PlanCheck::Unknown, message);
    };
    match problem.class {
        ProblemClass::Refused => {
            let refusal = Refusal::new("DoesNotPlan", problem.message.clone());
            (PlanCheck::Refused(refusal), String::new())
        }
        ProblemClass::Lasting => {
            let message = format!(
                "spec.image: the new program could not be planned in image {}: {}",
                target.image, problem.message
            );
            (PlanCheck::Refused(Refusal::new("NotPlanned", message)), String::new())
        }
        ProblemClass::Passing => (PlanCheck::Unknown, problem.message.clone()),
    }
}

/// Pods whose answer is not wanted (any more), or that will give none. One that refuses stays: it
/// is the record of the check, and looks again by itself.
pub(super) fn not_wanted(facts: &Facts, wanted: bool) -> Vec<String> {
    let target = facts.target.as_ref().ok().filter(|_| wanted);
    let lost = |pod: &PlanPod| matches!(pod.outcome, OneShot::Failed(_));
    let keep = |pod: &PlanPod| target.is_some_and(|it| it.revision == pod.revision) && !lost(pod);
    let pods = facts.plan_pods.iter().filter(|pod| !pod.deleting && !keep(pod));
    pods.map(|pod| pod.name.clone()).collect()
}
