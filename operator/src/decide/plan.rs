//! A program that another image is to run is planned in that image, before the running revision is
//! stopped for it: only its own image knows what it can do.

use super::{Facts, OneShot, Plan, PlanPod, Target, TroubleClass};
use crate::validate::Refusal;

/// What the target's pod says about its program, and why it says nothing yet.
pub(super) fn answer(facts: &Facts, target: &Target) -> (Plan, String) {
    let pod = facts.plan_pods.iter().find(|pod| pod.revision == target.revision && !pod.deleting);
    let Some(pod) = pod else {
        return (Plan::Unknown, "the new program is planned in its own image".to_owned());
    };
    if pod.outcome == OneShot::Succeeded {
        return (Plan::Fits, String::new());
    }
    let Some(trouble) = &pod.trouble else {
        let message = format!("pod {} plans the new program in its own image", pod.name);
        return (Plan::Unknown, message);
    };
    match trouble.class {
        TroubleClass::Refused => {
            let refusal = Refusal::new("DoesNotPlan", trouble.message.clone());
            (Plan::Refused(refusal), String::new())
        }
        TroubleClass::Lasting => {
            let message = format!(
                "spec.image: the new program could not be planned in image {}: {}",
                target.image, trouble.message
            );
            (Plan::Refused(Refusal::new("NotPlanned", message)), String::new())
        }
        TroubleClass::Passing => (Plan::Unknown, trouble.message.clone()),
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
