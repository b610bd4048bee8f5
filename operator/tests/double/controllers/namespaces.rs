//! The namespace controller: empties namespaces that are being deleted, then removes them.

use serde_json::{Value, json};

use super::super::store::Store;
use super::{Done, all, is_deleted, write_status};

pub(super) fn step(store: &mut Store) -> Done {
    for (key, value) in all(store, "", "namespaces") {
        if !is_deleted(&value) {
            continue;
        }
        if write_status(store, &key, json!({"phase": "Terminating"})) {
            return Some(format!("namespaces: {} is terminating", key.name));
        }
        let content: Vec<_> =
            store.keys().into_iter().filter(|inner| inner.namespace == key.name).collect();
        for inner in &content {
            if store.get(inner).is_some_and(|value| !is_deleted(value)) {
                let deleted = store.delete(inner, &Value::Null, false);
                deleted.unwrap_or_else(|refusal| panic!("{}", refusal.message));
                return Some(format!("namespaces: deleted {inner}"));
            }
        }
        if content.is_empty() {
            store.vanish(&key);
            return Some(format!("namespaces: removed {}", key.name));
        }
    }
    None
}
