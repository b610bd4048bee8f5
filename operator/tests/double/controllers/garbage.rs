//! The garbage collector: what belongs only to objects that are gone goes too.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::rules;
use super::super::store::{Key, Store};
use super::{Done, is_deleted, text};

pub(super) fn step(store: &mut Store) -> Done {
    let keys = store.keys();
    let mut alive = BTreeSet::new();
    let mut foreground = BTreeSet::new();
    for key in &keys {
        if let Some(value) = store.get(key) {
            let uid = text(value, "/metadata/uid").to_owned();
            if rules::finalizers(value).iter().any(|name| name == "foregroundDeletion") {
                foreground.insert(uid.clone());
            }
            alive.insert(uid);
        }
    }
    for key in &keys {
        let Some(value) = store.get(key) else {
            continue;
        };
        let owners = owners(value);
        let orphaned = !owners.is_empty() && owners.iter().all(|uid| !alive.contains(uid));
        let dragged = owners.iter().any(|uid| foreground.contains(uid));
        if (orphaned || dragged) && !is_deleted(value) {
            let policy = if dragged { "Foreground" } else { "Background" };
            let deleted = store.delete(key, &json!({"propagationPolicy": policy}), false);
            deleted.unwrap_or_else(|refusal| panic!("{}", refusal.message));
            return Some(format!("garbage: deleted {key}"));
        }
    }
    keys.iter().find_map(|key| release(store, key, &keys))
}

fn owners(value: &Value) -> Vec<String> {
    let listed = value["metadata"]["ownerReferences"].as_array();
    let uids = listed.into_iter().flatten().filter_map(|owner| owner["uid"].as_str());
    uids.map(str::to_owned).collect()
}

/// Takes the collector's own finalizers away when there is nothing left to wait for.
fn release(store: &mut Store, key: &Key, keys: &[Key]) -> Done {
    let value = store.get(key)?;
    let finalizers = rules::finalizers(value);
    let mine = finalizers.iter().find(|name| *name == "foregroundDeletion" || *name == "orphan")?;
    let uid = text(value, "/metadata/uid").to_owned();
    let mut value = value.clone();
    let children: Vec<&Key> = keys
        .iter()
        .filter(|child| store.get(child).is_some_and(|value| owners(value).contains(&uid)))
        .collect();
    if mine == "orphan" {
        for child in children {
            let mut orphan = store.get(child).cloned()?;
            if let Some(listed) = orphan["metadata"]["ownerReferences"].as_array_mut() {
                listed.retain(|owner| owner["uid"] != uid.as_str());
            }
            store.update(child, None, orphan, "garbage", false).ok()?;
        }
    } else if !children.is_empty() {
        return None;
    }
    let left: Vec<&String> = finalizers.iter().filter(|name| *name != mine).collect();
    value["metadata"]["finalizers"] = json!(left);
    store.update(key, None, value, "garbage", false).ok()?;
    Some(format!("garbage: released {key}"))
}
