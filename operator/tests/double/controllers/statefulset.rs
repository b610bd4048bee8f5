//! The StatefulSet controller: `name-0`, `name-1`, … of the template, as many as wanted.

use serde_json::{Value, json};

use super::super::store::{Key, Store};
use super::{Done, all, is_deleted, kind, text, write_status};

pub(super) fn step(store: &mut Store) -> Done {
    all(store, "apps", "statefulsets").into_iter().find_map(|(key, set)| one(store, &key, &set))
}

fn one(store: &mut Store, key: &Key, set: &Value) -> Done {
    let uid = text(set, "/metadata/uid");
    let wanted = set["spec"]["replicas"].as_i64().unwrap_or(1).max(0);
    let mine: Vec<(i64, Key, Value)> = all(store, "", "pods")
        .into_iter()
        .filter(|(pod, _)| pod.namespace == key.namespace)
        .filter(|(_, value)| value["metadata"]["ownerReferences"][0]["uid"] == uid)
        .filter_map(|(pod, value)| {
            let ordinal = pod.name.strip_prefix(&format!("{}-", key.name))?.parse().ok()?;
            Some((ordinal, pod, value))
        })
        .collect();
    let revision = format!("{}-{}", key.name, fingerprint(&set["spec"]["template"]));
    if !is_deleted(set) {
        let done = scale(store, key, set, &mine, wanted, &revision);
        if done.is_some() {
            return done;
        }
    }
    let count = |fits: &dyn Fn(&Value) -> bool| mine.iter().filter(|(.., pod)| fits(pod)).count();
    let of_revision =
        |pod: &Value| pod["metadata"]["labels"]["controller-revision-hash"] == revision;
    let status = json!({
        "observedGeneration": set["metadata"]["generation"],
        "replicas": mine.len(),
        "readyReplicas": count(&|pod| is_ready(pod)),
        "availableReplicas": count(&|pod| is_ready(pod)),
        "currentReplicas": count(&of_revision),
        "updatedReplicas": count(&of_revision),
        "currentRevision": revision,
        "updateRevision": revision,
        "collisionCount": 0,
    });
    write_status(store, key, status).then(|| format!("statefulset: status of {}", key.name))
}

fn scale(
    store: &mut Store,
    key: &Key,
    set: &Value,
    mine: &[(i64, Key, Value)],
    wanted: i64,
    revision: &str,
) -> Done {
    let parallel = set["spec"]["podManagementPolicy"] == "Parallel";
    for ordinal in 0..wanted {
        match mine.iter().find(|(known, ..)| *known == ordinal) {
            // One that has ended makes room for its successor.
            Some((_, pod, value)) if is_ended(value) && !is_deleted(value) => {
                store.delete(pod, &json!({"gracePeriodSeconds": 0}), false).ok()?;
                return Some(format!("statefulset: deleted ended pod {}", pod.name));
            }
            Some((.., value)) if !parallel && !is_ready(value) => return None,
            Some(_) => {}
            None => {
                let pod = pod(key, set, ordinal, revision);
                // A terminating namespace takes no new pods; the controller tries again for ever.
                store.create(&kind("", "pods"), &key.namespace, pod, "statefulset", false).ok()?;
                return Some(format!("statefulset: created pod {}-{ordinal}", key.name));
            }
        }
    }
    let surplus = mine.iter().filter(|(ordinal, ..)| *ordinal >= wanted);
    let (_, pod, _) =
        surplus.filter(|(.., value)| !is_deleted(value)).max_by_key(|(ordinal, ..)| *ordinal)?;
    store.delete(pod, &Value::Null, false).ok()?;
    Some(format!("statefulset: deleted pod {}", pod.name))
}

fn pod(key: &Key, set: &Value, ordinal: i64, revision: &str) -> Value {
    let mut pod = set["spec"]["template"].clone();
    let name = format!("{}-{ordinal}", key.name);
    pod["metadata"]["name"] = name.as_str().into();
    let labels = &mut pod["metadata"]["labels"];
    labels["statefulset.kubernetes.io/pod-name"] = name.as_str().into();
    labels["apps.kubernetes.io/pod-index"] = ordinal.to_string().into();
    labels["controller-revision-hash"] = revision.into();
    pod["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "name": key.name,
        "uid": set["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    }]);
    pod["spec"]["hostname"] = name.into();
    pod["spec"]["subdomain"] = set["spec"]["serviceName"].clone();
    pod
}

fn is_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|known| known["type"] == "Ready" && known["status"] == "True")
}

/// A short hash of a template (FNV-1a).
fn fingerprint(template: &Value) -> String {
    let bytes = template.to_string().into_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:010x}", hash >> 24)
}
