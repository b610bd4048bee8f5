//! What keeps pods from working, in words that name the place, the cause and the fix. Pure.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;

use crate::decide::{Problem, ProblemClass};

/// Exit code of a worker that refuses its program or manifest.
const REFUSED: i32 = 2;
/// Name of the container whose state counts.
const WORKER: &str = "worker";
/// Longest message that is carried on; conditions and events have limits of their own.
const LONGEST: usize = 1000;

/// What keeps a pod from working, if anything does. `answers`: its worker has just answered a
/// call, so that what happened before no longer counts.
#[must_use]
pub(super) fn pod_problem(pod: &Pod, answers: bool) -> Option<Problem> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let status = pod.status.as_ref()?;
    if pod.metadata.deletion_timestamp.is_some() || answers {
        return None;
    }
    let problem = |reason: &str, message: String, class, exit_code| Problem {
        object: name.to_owned(),
        reason: reason.to_owned(),
        message: shorten(&message),
        class,
        exit_code,
    };
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let unscheduled = conditions.iter().find(|it| {
        it.type_ == "PodScheduled"
            && it.status == "False"
            && it.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unscheduled {
        let why = condition.message.as_deref().unwrap_or("no reason given");
        let fix = if why.contains("persistentvolumeclaim") {
            "create that claim, or correct spec.workers.volumes"
        } else {
            "add nodes, or ask for less in spec.workers.resources, nodeSelector or parallelism"
        };
        let message = format!("pod {name} finds no node: {why}; {fix}");
        return Some(problem("Unschedulable", message, ProblemClass::Passing, None));
    }
    if status.phase.as_deref() == Some("Failed") && status.container_statuses.is_none() {
        let reason = status.reason.as_deref().unwrap_or("Failed");
        let why = status.message.as_deref().unwrap_or("no message");
        let message = format!("pod {name} failed ({reason}): {why}");
        return Some(problem(reason, message, ProblemClass::Passing, None));
    }
    let container = containers(status).find(|container| container.name == WORKER)?;
    let last = ended(container.state.as_ref()).or_else(|| ended(container.last_state.as_ref()));
    if let Some(ended) = &last
        && ended.exit_code == REFUSED
    {
        let words = if ended.message.is_empty() {
            format!("pod {name} refuses its program; kubectl logs {name} says why")
        } else {
            ended.message.clone()
        };
        return Some(problem("Refused", words, ProblemClass::Refused, Some(REFUSED)));
    }
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    if let Some(waiting) = waiting {
        let reason = waiting.reason.as_deref().unwrap_or_default();
        let why = waiting.message.as_deref().unwrap_or_default();
        return match reason {
            "ImagePullBackOff"
            | "ErrImagePull"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable" => {
                let image = &container.image;
                let message = format!(
                    "pod {name} cannot have image {image} ({reason}): {why}; check spec.image and \
                     the registry's credentials (imagePullSecrets in workers.podTemplate)"
                );
                Some(problem(reason, message, ProblemClass::Lasting, None))
            }
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                let message = config_error(name, namespace, reason, why);
                Some(problem(reason, message, ProblemClass::Lasting, None))
            }
            "CrashLoopBackOff" => {
                let words = last.map_or_else(|| why.to_owned(), |ended| ended.words());
                let count = container.restart_count;
                let message = format!("pod {name} crashed {count} times; the last time: {words}");
                Some(problem(reason, message, ProblemClass::Lasting, None))
            }
            _ => None,
        };
    }
    let now = ended(container.state.as_ref())?;
    let message = format!("pod {name} ended: {}", now.words());
    Some(problem(&now.reason, message, ProblemClass::Passing, Some(now.exit_code)))
}

/// How often the worker container was started again.
#[must_use]
pub(super) fn restarts(pod: &Pod) -> u32 {
    let status = pod.status.as_ref();
    let worker = status.and_then(|status| containers(status).find(|it| it.name == WORKER));
    worker.and_then(|container| u32::try_from(container.restart_count).ok()).unwrap_or(0)
}

/// The last end of the worker container: reason, exit code and its words.
#[must_use]
pub(super) fn last_end(pod: &Pod) -> Option<(String, i32, String)> {
    let container = containers(pod.status.as_ref()?).find(|it| it.name == WORKER)?;
    let ended = ended(container.state.as_ref()).or_else(|| ended(container.last_state.as_ref()))?;
    Some((ended.reason, ended.exit_code, ended.message))
}

/// What a Kubernetes event says about pods that it does not create.
#[must_use]
pub(super) fn set_problem(set: &str, message: &str) -> Problem {
    let says = |words: &str| message.contains(words);
    let (reason, fix) = if says("exceeded quota") {
        ("QuotaExceeded", "raise the namespace's ResourceQuota or lower spec.workers.resources")
    } else if says("violates PodSecurity") {
        let fix = "remove from spec.workers.podTemplate and volumes what the namespace's pod \
                   security standard forbids";
        ("FailedCreate", fix)
    } else if says("service account") {
        ("FailedCreate", "create it, or correct spec.workers.serviceAccountName")
    } else {
        ("FailedCreate", "the cluster's answer above names what forbids them")
    };
    let message = format!("{set} has too few pods: {message}; {fix}");
    Problem {
        object: set.to_owned(),
        reason: reason.to_owned(),
        message: shorten(&message),
        class: ProblemClass::Passing,
        exit_code: None,
    }
}

/// Since when a pod with a node waits for its volumes or its network. What it lacks stands in
/// events only.
#[must_use]
pub(super) fn prepares_since(pod: &Pod) -> Option<Timestamp> {
    let status = pod.status.as_ref()?;
    let worker = containers(status).find(|container| container.name == WORKER)?;
    let waiting = worker.state.as_ref()?.waiting.as_ref()?;
    let prepares = waiting.reason.as_deref() == Some("ContainerCreating");
    status.start_time.as_ref().filter(|_| prepares).map(|time| time.0)
}

/// What a Kubernetes event says about a pod that is not given what it starts with.
#[must_use]
pub(super) fn mount_problem(pod: &str, message: &str) -> Problem {
    Problem {
        object: pod.to_owned(),
        reason: "FailedMount".to_owned(),
        message: shorten(&format!(
            "pod {pod} cannot start (FailedMount): {message}; create what is missing, or correct \
             spec.workers.volumes"
        )),
        class: ProblemClass::Passing,
        exit_code: None,
    }
}

fn config_error(pod: &str, namespace: &str, reason: &str, why: &str) -> String {
    // The kubelet says: secret "weir-s3" not found.
    let missing = why.strip_prefix("secret \"").and_then(|rest| rest.split_once("\" not found"));
    if let Some((secret, _)) = missing {
        return format!(
            "secret \"{secret}\" is missing in namespace {namespace} (workers.envFrom): kubectl \
             create secret generic {secret} -n {namespace} --from-literal=AWS_ACCESS_KEY_ID=… \
             --from-literal=AWS_SECRET_ACCESS_KEY=…"
        );
    }
    format!(
        "pod {pod} cannot start ({reason}): {why}; check env, envFrom, volumes and podTemplate in \
         spec.workers"
    )
}

struct Ended {
    reason: String,
    exit_code: i32,
    message: String,
}

impl Ended {
    fn words(&self) -> String {
        let code = self.exit_code;
        if self.message.is_empty() {
            format!("{} (exit code {code})", self.reason)
        } else {
            format!("{} (exit code {code}): {}", self.reason, self.message)
        }
    }
}

fn ended(state: Option<&ContainerState>) -> Option<Ended> {
    let end = state?.terminated.as_ref()?;
    Some(Ended {
        reason: end.reason.clone().unwrap_or_else(|| "Error".to_owned()),
        exit_code: end.exit_code,
        message: end.message.clone().unwrap_or_default().trim().to_owned(),
    })
}

fn containers(
    status: &k8s_openapi::api::core::v1::PodStatus,
) -> impl Iterator<Item = &ContainerStatus> {
    status.container_statuses.iter().flatten()
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value) -> Pod {
        let metadata = json!({"name": "flights-0a1b-0", "namespace": "shop"});
        serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap()
    }

    fn worker(state: Value, last: Value) -> Value {
        json!({"containerStatuses": [{
            "name": "worker", "image": "weir:9", "imageID": "", "ready": false, "restartCount": 3,
            "state": state, "lastState": last,
        }]})
    }

    #[test]
    fn a_missing_secret_is_named_with_the_command_that_makes_it() {
        let waiting = json!({"waiting": {
            "reason": "CreateContainerConfigError", "message": "secret \"weir-s3\" not found"}});
        let problem = pod_problem(&pod(worker(waiting, json!({}))), false).unwrap();
        assert_eq!(problem.class, ProblemClass::Lasting);
        assert!(problem.message.contains("kubectl create secret generic weir-s3 -n shop"));
    }

    #[test]
    fn a_refused_program_is_said_in_the_workers_own_words() {
        let end = json!({"terminated": {"exitCode": 2, "message": "sql:9:14: no column dist\n"}});
        for (state, last) in [
            (end.clone(), json!({})),
            (json!({"waiting": {"reason": "CrashLoopBackOff"}}), end.clone()),
            (json!({"running": {}}), end),
        ] {
            let problem = pod_problem(&pod(worker(state, last)), false).unwrap();
            assert_eq!(problem.class, ProblemClass::Refused);
            assert_eq!(problem.message, "sql:9:14: no column dist");
        }
    }

    #[test]
    fn a_pod_that_answers_has_no_problem_left() {
        let last = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        assert!(pod_problem(&pod(worker(json!({"running": {}}), last)), true).is_none());
    }

    #[test]
    fn a_pod_that_waits_for_its_volumes_says_since_when() {
        let creating = json!({"waiting": {"reason": "ContainerCreating"}});
        let mut status = worker(creating, json!({}));
        status["startTime"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(prepares_since(&pod(status)).unwrap().as_second(), 1_767_225_600);
        assert_eq!(prepares_since(&pod(worker(json!({"running": {}}), json!({})))), None);
        let problem = mount_problem("flights-0a1b-0", "secret \"tls\" not found");
        assert!(problem.message.contains("spec.workers.volumes"), "{}", problem.message);
    }

    #[test]
    fn each_reason_to_wait_has_a_place_a_cause_and_a_fix() {
        let image = json!({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}});
        let problem = pod_problem(&pod(worker(image, json!({}))), false).unwrap();
        assert!(problem.message.contains("weir:9") && problem.message.contains("spec.image"));

        let crash = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let last = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        let problem = pod_problem(&pod(worker(crash, last)), false).unwrap();
        assert!(problem.message.contains("crashed 3 times"), "{}", problem.message);
        assert!(problem.message.contains("OOMKilled (exit code 137)"));

        let none = json!({"conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/2 nodes are available"}]});
        let problem = pod_problem(&pod(none), false).unwrap();
        assert_eq!(problem.class, ProblemClass::Passing);
        assert!(problem.message.contains("0/2 nodes"));

        let claim = json!({"conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "persistentvolumeclaim \"x\" not found"}]});
        let problem = pod_problem(&pod(claim), false).unwrap();
        assert!(problem.message.contains("spec.workers.volumes"), "{}", problem.message);

        let quota = set_problem("flights-0a1b", "pods \"x\" is forbidden: exceeded quota: small");
        assert_eq!(quota.reason, "QuotaExceeded");
        let account = "error looking up service account shop/x: serviceaccount \"x\" not found";
        let account = set_problem("flights-0a1b", account);
        assert!(account.message.contains("spec.workers.serviceAccountName"), "{}", account.message);
        let forbidden = set_problem("flights-0a1b", "violates PodSecurity \"restricted:latest\"");
        assert!(forbidden.message.contains("spec.workers.podTemplate"), "{}", forbidden.message);
    }
}
