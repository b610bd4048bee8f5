//! Nodes: their leases, and what the node controller makes of a lease that stands still.

use serde_json::{Value, json};

use super::super::store::{Key, Store};
use super::{Done, NODE_LEASES, all, create, is_deleted, kind, text, write_status};
use k8s_openapi::jiff::Timestamp;

/// How often a node renews its lease.
const RENEW_MS: i64 = 10_000;
/// After this long without a renewal a node counts as lost.
const GRACE_MS: i64 = 40_000;
/// How long pods tolerate an unreachable node by default.
const TOLERATION_MS: i64 = 300_000;

pub(super) fn join(store: &mut Store, node: &str) {
    let value = json!({
        "metadata": {"name": node, "labels": {"kubernetes.io/hostname": node}},
        "spec": {},
        "status": {"conditions": [ready(store, "True", "KubeletReady")]},
    });
    create(store, "", "nodes", "", value);
    let lease = json!({
        "metadata": {"name": node},
        "spec": {
            "holderIdentity": node,
            "leaseDurationSeconds": 40,
            "renewTime": micro(store.now_ms),
        },
    });
    create(store, "coordination.k8s.io", "leases", NODE_LEASES, lease);
}

pub(super) fn step(store: &mut Store) -> Done {
    for (key, node) in all(store, "", "nodes") {
        let lost = store.lost_nodes.contains(&key.name);
        let lease_key = Key::new(&kind("coordination.k8s.io", "leases"), NODE_LEASES, &key.name);
        let Some(mut lease) = store.get(&lease_key).cloned() else {
            continue;
        };
        let renewed = millis(text(&lease, "/spec/renewTime"));
        let still = store.now_ms - renewed;
        if !lost && still >= RENEW_MS {
            lease["spec"]["renewTime"] = micro(store.now_ms).into();
            store.update(&lease_key, None, lease, &key.name, false).ok()?;
            return Some(format!("nodes: {} renewed its lease", key.name));
        }
        let done = match still >= GRACE_MS {
            true => mark_lost(store, &key, node),
            false => mark_ready(store, &key, node),
        };
        if done.is_some() {
            return done;
        }
    }
    None
}

fn mark_lost(store: &mut Store, key: &Key, mut node: Value) -> Done {
    let name = &key.name;
    if text(&node, "/status/conditions/0/status") != "Unknown" {
        let conditions = json!([ready(store, "Unknown", "NodeStatusUnknown")]);
        write_status(store, key, json!({"conditions": conditions}));
        return Some(format!("nodes: {name} is not ready"));
    }
    if node["spec"]["taints"].is_null() {
        let taint = |effect: &str| {
            json!({
                "key": "node.kubernetes.io/unreachable",
                "effect": effect,
                "timeAdded": store.now(),
            })
        };
        node["spec"]["taints"] = json!([taint("NoSchedule"), taint("NoExecute")]);
        store.update(key, None, node, "node-controller", false).ok()?;
        return Some(format!("nodes: {name} is tainted"));
    }
    let since = millis(text(&node, "/spec/taints/1/timeAdded"));
    for (pod_key, pod) in all(store, "", "pods") {
        if text(&pod, "/spec/nodeName") != name {
            continue;
        }
        if let Some(status) = super::kubelet::unready(store, &pod) {
            write_status(store, &pod_key, status);
            return Some(format!("nodes: pod {} is not ready", pod_key.name));
        }
        if store.now_ms - since >= TOLERATION_MS && !is_deleted(&pod) {
            store.delete(&pod_key, &Value::Null, false).ok()?;
            return Some(format!("nodes: evicted pod {}", pod_key.name));
        }
    }
    None
}

fn mark_ready(store: &mut Store, key: &Key, mut node: Value) -> Done {
    let name = &key.name;
    if text(&node, "/status/conditions/0/status") != "True" {
        let conditions = json!([ready(store, "True", "KubeletReady")]);
        write_status(store, key, json!({"conditions": conditions}));
        return Some(format!("nodes: {name} is ready"));
    }
    if !node["spec"]["taints"].is_null() {
        node["spec"]["taints"] = Value::Null;
        store.update(key, None, node, "node-controller", false).ok()?;
        return Some(format!("nodes: {name} has lost its taint"));
    }
    None
}

fn ready(store: &Store, status: &str, reason: &str) -> Value {
    json!({
        "type": "Ready",
        "status": status,
        "reason": reason,
        "lastTransitionTime": store.now(),
    })
}

fn micro(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.6}")
}

fn millis(text: &str) -> i64 {
    text.parse::<Timestamp>().map(Timestamp::as_millisecond).unwrap_or(0)
}
