//! Scheduler and kubelets: pods get a node, an address and the status that a test decides.

use serde_json::{Value, json};

use super::super::pods::PodOutcome;
use super::super::store::Store;
use super::{Done, NODES, all, is_deleted, text, write_status};

pub(super) fn step(store: &mut Store) -> Done {
    for (key, pod) in all(store, "", "pods") {
        let node = text(&pod, "/spec/nodeName").to_owned();
        if store.lost_nodes.contains(&node) {
            continue;
        }
        if is_deleted(&pod) {
            if store.hold_terminations || pod["metadata"]["deletionGracePeriodSeconds"] == 0 {
                continue;
            }
            store.delete(&key, &json!({"gracePeriodSeconds": 0}), false).ok()?;
            return Some(format!("kubelet: removed pod {}", key.name));
        }
        if matches!(text(&pod, "/status/phase"), "Succeeded" | "Failed") {
            continue;
        }
        let outcome = (store.pod_outcome)(&pod);
        if outcome == PodOutcome::Unchanged {
            continue;
        }
        if node.is_empty() && !matches!(outcome, PodOutcome::Unschedulable(_)) {
            let Some(node) = roomiest(store) else {
                continue;
            };
            let mut bound = pod;
            bound["spec"]["nodeName"] = node.as_str().into();
            store.update(&key, None, bound, "scheduler", false).ok()?;
            return Some(format!("scheduler: bound pod {} to {node}", key.name));
        }
        let status = status(store, &pod, &outcome);
        if write_status(store, &key, status) {
            return Some(format!("kubelet: pod {} is {outcome:?}", key.name));
        }
    }
    None
}

/// The living node with the fewest pods.
fn roomiest(store: &Store) -> Option<String> {
    let pods = all(store, "", "pods");
    let load = |node: &str| pods.iter().filter(|(_, p)| text(p, "/spec/nodeName") == node).count();
    let living = NODES.into_iter().filter(|node| !store.lost_nodes.contains(*node));
    living.min_by_key(|node| load(node)).map(str::to_owned)
}

/// The status of a pod on a lost node, if it does not yet say so.
pub(super) fn unready(store: &Store, pod: &Value) -> Option<Value> {
    let mut status = pod["status"].clone();
    let now = store.now();
    let conditions = status["conditions"].as_array_mut()?;
    let ready = conditions.iter_mut().find(|condition| condition["type"] == "Ready")?;
    if ready["status"] == "False" {
        return None;
    }
    ready["status"] = "False".into();
    ready["lastTransitionTime"] = now.into();
    Some(status)
}

fn status(store: &mut Store, pod: &Value, outcome: &PodOutcome) -> Value {
    let before = &pod["status"];
    let conditions = |store: &Store, scheduled: Value, ready: bool| {
        let ready = json!({"status": if ready { "True" } else { "False" }});
        let mut list = Vec::new();
        for (kind, mut condition) in
            [("PodScheduled", scheduled), ("ContainersReady", ready.clone()), ("Ready", ready)]
        {
            condition["type"] = kind.into();
            let known = before["conditions"].as_array().into_iter().flatten();
            let known = known.into_iter().find(|known| known["type"] == kind);
            condition["lastTransitionTime"] = match known {
                Some(known) if known["status"] == condition["status"] => {
                    known["lastTransitionTime"].clone()
                }
                _ => store.now().into(),
            };
            list.push(condition);
        }
        Value::Array(list)
    };
    if let PodOutcome::Unschedulable(message) = outcome {
        let scheduled = json!({"status": "False", "reason": "Unschedulable", "message": message});
        let mut status =
            json!({"phase": "Pending", "conditions": conditions(store, scheduled, false)});
        if let Some(list) = status["conditions"].as_array_mut() {
            list.truncate(1);
        }
        return status;
    }
    let phase = match outcome {
        PodOutcome::Ended { exit_code: 0, .. } => "Succeeded",
        PodOutcome::Ended { .. } => "Failed",
        // Containers that never ran leave the pod pending.
        PodOutcome::ImagePullBackOff(_) | PodOutcome::Waiting { .. } => "Pending",
        _ => "Running",
    };
    let address = match text(before, "/podIP") {
        "" => store.address(244),
        known => known.to_owned(),
    };
    let ready = *outcome == PodOutcome::Ready;
    let started = match &before["startTime"] {
        Value::Null => store.now().into(),
        known => known.clone(),
    };
    json!({
        "phase": phase,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "hostIP": "192.168.0.1",
        "startTime": started,
        "conditions": conditions(store, json!({"status": "True"}), ready),
        "containerStatuses": containers(store, pod, outcome),
    })
}

fn containers(store: &Store, pod: &Value, outcome: &PodOutcome) -> Value {
    let specs = pod["spec"]["containers"].as_array().into_iter().flatten();
    let shown = specs.enumerate().map(|(index, spec)| {
        let name = text(spec, "/name");
        let old = pod["status"]["containerStatuses"].get(index).cloned().unwrap_or_default();
        let since = |pointer: &str| match old.pointer(pointer) {
            Some(Value::String(known)) => known.clone(),
            _ => store.now(),
        };
        let terminated = |exit_code: i32, message: &str, pointer: &str| {
            json!({"terminated": {
                "exitCode": exit_code,
                "reason": if exit_code == 0 { "Completed" } else { "Error" },
                "message": message,
                "startedAt": since(&format!("{pointer}/startedAt")),
                "finishedAt": since(&format!("{pointer}/finishedAt")),
            }})
        };
        let waiting = |reason: &str, message: &str| {
            json!({"waiting": {"reason": reason, "message": message}})
        };
        let (state, last, restarts) = match outcome {
            PodOutcome::ImagePullBackOff(message) => {
                (waiting("ImagePullBackOff", message), json!({}), 0)
            }
            PodOutcome::Waiting { reason, message } => (waiting(reason, message), json!({}), 0),
            PodOutcome::CrashLoopBackOff { exit_code, message, restarts } if index == 0 => (
                waiting(
                    "CrashLoopBackOff",
                    &format!("back-off restarting failed container={name}"),
                ),
                terminated(*exit_code, message, "/lastState/terminated"),
                *restarts,
            ),
            PodOutcome::Ended { exit_code, message } => {
                (terminated(*exit_code, message, "/state/terminated"), json!({}), 0)
            }
            _ => {
                let restarts = old["restartCount"].as_i64().unwrap_or(0) as i32;
                let last = match &old["lastState"] {
                    Value::Null => json!({}),
                    last => last.clone(),
                };
                let running = json!({"running": {"startedAt": since("/state/running/startedAt")}});
                (running, last, restarts)
            }
        };
        let up = !state["running"].is_null();
        json!({
            "name": name,
            "image": spec["image"],
            "imageID": format!("sha256:{}", text(spec, "/image")),
            "ready": up && *outcome != PodOutcome::NotReady,
            "started": up,
            "restartCount": restarts,
            "state": state,
            "lastState": last,
        })
    });
    shown.collect()
}
