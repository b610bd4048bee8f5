//! The controllers of a cluster: each looks at the store and does one thing when it is its turn.
//!
//! - **In**: the store. **Out**: one write, and words for it; nothing when all is as it should be.
//! - **Always**: the order is fixed and nothing is random, so a scenario always runs alike.

mod garbage;
mod kubelet;
mod namespaces;
mod nodes;
mod statefulset;

use serde_json::{Value, json};

use super::kinds::{self, Kind};
use super::pods::PodOutcome;
use super::store::{Key, Store};

/// What a controller did.
type Done = Option<String>;

/// The nodes that there are.
const NODES: [&str; 3] = ["node-0", "node-1", "node-2"];
/// Where the nodes' leases are.
const NODE_LEASES: &str = "kube-node-lease";

pub(super) fn step(store: &mut Store) -> Done {
    let controllers: [fn(&mut Store) -> Done; 5] =
        [garbage::step, namespaces::step, statefulset::step, kubelet::step, nodes::step];
    controllers.into_iter().find_map(|controller| controller(store))
}

/// What a new cluster has.
pub(super) fn furnish(store: &mut Store) {
    for namespace in ["default", "weir-system", NODE_LEASES] {
        let value = json!({"metadata": {"name": namespace}});
        create(store, "", "namespaces", "", value);
    }
    for node in NODES {
        nodes::join(store, node);
    }
}

/// What becomes of pods where a test decides nothing.
pub(super) fn calm(pod: &Value) -> PodOutcome {
    match pod["spec"]["restartPolicy"].as_str() {
        Some("Never") => PodOutcome::Ended { exit_code: 0, message: String::new() },
        _ => PodOutcome::Ready,
    }
}

fn kind(group: &str, plural: &str) -> Kind {
    kinds::find(group, plural).unwrap_or_else(|| panic!("there is no {plural}.{group}"))
}

fn create(store: &mut Store, group: &str, plural: &str, namespace: &str, value: Value) {
    let created = store.create(&kind(group, plural), namespace, value, "controller", false);
    created.unwrap_or_else(|refusal| panic!("{}", refusal.message));
}

/// Writes the status of an object; whether that changed anything.
fn write_status(store: &mut Store, key: &Key, status: Value) -> bool {
    let Some(known) = store.get(key) else {
        return false;
    };
    // As informed controllers do: what stands there already is not written again.
    if known["status"] == status {
        return false;
    }
    let mut value = known.clone();
    let before = store.version;
    value["status"] = status;
    let written = store.update(key, Some("status"), value, "controller", false);
    written.unwrap_or_else(|refusal| panic!("{}", refusal.message));
    store.version != before
}

/// Keys and values of a kind, everywhere.
fn all(store: &Store, group: &str, plural: &str) -> Vec<(Key, Value)> {
    let found = store.of_kind(&kind(group, plural), "");
    found.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn is_deleted(value: &Value) -> bool {
    !value["metadata"]["deletionTimestamp"].is_null()
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
