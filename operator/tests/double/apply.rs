//! Patches: merge, JSON and server-side apply with its owners of fields.
//!
//! Fields are told apart as the real server does it, as far as Weir's objects need it: maps by
//! field, the lists of the table below by their key, everything else as one value.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// One step into an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A field of a map.
    Field(String),
    /// The item of a keyed list with this key, or of a set with this value.
    Item(String),
}

/// A way to a field.
pub(super) type Path = Vec<Step>;
/// Which manager has which fields.
pub(super) type Owners = BTreeMap<String, BTreeSet<Path>>;

/// How the items of a list are told apart.
enum List {
    Keyed(&'static [&'static str]),
    Set,
    Atomic,
}

/// Maps that are one value.
const ATOMIC_MAPS: [&str; 8] = [
    "selector",
    "nodeSelector",
    "fieldRef",
    "secretKeyRef",
    "configMapKeyRef",
    "resourceFieldRef",
    "podSelector",
    "namespaceSelector",
];

fn list_kind(path: &[Step]) -> List {
    let field = path.iter().rev().find_map(|step| match step {
        Step::Field(name) => Some(name.as_str()),
        Step::Item(_) => None,
    });
    let within =
        |name: &str| path.iter().any(|step| matches!(step, Step::Field(known) if known == name));
    match field.unwrap_or_default() {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets" => List::Keyed(&["name"]),
        "volumeMounts" => List::Keyed(&["mountPath"]),
        "ports" if within("containers") || within("initContainers") => {
            List::Keyed(&["containerPort", "protocol"])
        }
        "ports" if within("spec") && !within("ingress") && !within("egress") => {
            List::Keyed(&["port", "protocol"])
        }
        "conditions" => List::Keyed(&["type"]),
        "ownerReferences" => List::Keyed(&["uid"]),
        "topologySpreadConstraints" => List::Keyed(&["topologyKey", "whenUnsatisfiable"]),
        "hostAliases" => List::Keyed(&["ip"]),
        "finalizers" => List::Set,
        _ => List::Atomic,
    }
}

fn item_key(item: &Value, keys: &[&str]) -> String {
    let part = |key: &&str| match (&item[*key], *key) {
        (Value::Null, "protocol") => "\"TCP\"".to_owned(),
        (value, _) => value.to_string(),
    };
    keys.iter().map(part).collect::<Vec<_>>().join(",")
}

fn is_atomic_map(path: &[Step]) -> bool {
    matches!(path.last(), Some(Step::Field(name)) if ATOMIC_MAPS.contains(&name.as_str()))
}

/// Every field of `value` that can be owned, with its value.
pub(super) fn leaves(value: &Value) -> BTreeMap<Path, Value> {
    let mut found = BTreeMap::new();
    collect(value, &mut Vec::new(), &mut found);
    found.retain(|path, _| !is_of_the_server(path));
    found
}

/// What the server itself writes belongs to nobody.
fn is_of_the_server(path: &[Step]) -> bool {
    let field = |at: usize| match path.get(at) {
        Some(Step::Field(name)) => name.as_str(),
        _ => "",
    };
    match field(0) {
        "apiVersion" | "kind" => true,
        "metadata" => {
            !matches!(field(1), "labels" | "annotations" | "finalizers" | "ownerReferences")
        }
        _ => false,
    }
}

fn collect(value: &Value, path: &mut Path, found: &mut BTreeMap<Path, Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() && !is_atomic_map(path) => {
            for (name, value) in fields {
                path.push(Step::Field(name.clone()));
                collect(value, path, found);
                path.pop();
            }
        }
        Value::Array(items) => match list_kind(path) {
            List::Keyed(keys) => {
                for item in items {
                    path.push(Step::Item(item_key(item, keys)));
                    // That the item is there at all is a field of its own.
                    found.insert(path.clone(), Value::Null);
                    collect(item, path, found);
                    path.pop();
                }
            }
            List::Set => {
                for item in items {
                    path.push(Step::Item(item.to_string()));
                    found.insert(path.clone(), item.clone());
                    path.pop();
                }
            }
            List::Atomic => {
                found.insert(path.clone(), value.clone());
            }
        },
        _ => {
            found.insert(path.clone(), value.clone());
        }
    }
}

/// Writes `wanted` over `live`, list items by their keys.
fn merge(live: &mut Value, wanted: &Value, path: &mut Path) {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) if !is_atomic_map(path) => {
            for (name, value) in wanted {
                path.push(Step::Field(name.clone()));
                match live.get_mut(name) {
                    Some(known) => merge(known, value, path),
                    None => {
                        live.insert(name.clone(), value.clone());
                    }
                }
                path.pop();
            }
        }
        (Value::Array(live), Value::Array(wanted)) => match list_kind(path) {
            List::Keyed(keys) => {
                for item in wanted {
                    let key = item_key(item, keys);
                    path.push(Step::Item(key.clone()));
                    match live.iter_mut().find(|known| item_key(known, keys) == key) {
                        Some(known) => merge(known, item, path),
                        None => live.push(item.clone()),
                    }
                    path.pop();
                }
            }
            List::Set => {
                for item in wanted {
                    if !live.contains(item) {
                        live.push(item.clone());
                    }
                }
            }
            List::Atomic => live.clone_from(wanted),
        },
        (live, wanted) => *live = wanted.clone(),
    }
}

/// Takes the field at `path` out of `value`, and maps and lists that become empty by it.
fn remove(value: &mut Value, path: &[Step], walked: &mut Path) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    match (step, value) {
        (Step::Field(name), Value::Object(fields)) => {
            if rest.is_empty() {
                fields.remove(name);
            } else if let Some(inner) = fields.get_mut(name) {
                walked.push(step.clone());
                remove(inner, rest, walked);
                walked.pop();
                if is_empty(inner) {
                    fields.remove(name);
                }
            }
        }
        (Step::Item(key), Value::Array(items)) => {
            let at = match list_kind(walked) {
                List::Keyed(keys) => items.iter().position(|item| item_key(item, keys) == *key),
                _ => items.iter().position(|item| item.to_string().as_str() == key.as_str()),
            };
            if let Some(at) = at {
                if rest.is_empty() {
                    items.remove(at);
                } else {
                    walked.push(step.clone());
                    remove(&mut items[at], rest, walked);
                    walked.pop();
                }
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// `.spec.template.spec.containers["worker"].image`
pub(super) fn show(path: &Path) -> String {
    path.iter()
        .map(|step| match step {
            Step::Field(name) => format!(".{name}"),
            Step::Item(key) => format!("[{key}]"),
        })
        .collect()
}

/// Applies `wanted` as `manager`: the outcome and its owners, or the fields of others that it
/// would change, each with its manager.
pub(super) fn apply(
    live: &Value,
    owners: &Owners,
    wanted: &Value,
    manager: &str,
    force: bool,
) -> Result<(Value, Owners), Vec<(String, String)>> {
    let before = leaves(live);
    let asked = leaves(wanted);
    let mut owners = owners.clone();
    let mut conflicts = Vec::new();
    for (path, value) in &asked {
        let Some(known) = before.get(path).filter(|known| *known != value) else {
            continue;
        };
        let _ = known;
        for (other, fields) in &mut owners {
            if other != manager && fields.contains(path) {
                if force {
                    fields.remove(path);
                } else {
                    let name = other.split('/').next().unwrap_or(other).to_owned();
                    conflicts.push((name, show(path)));
                }
            }
        }
    }
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    let mut outcome = live.clone();
    let had = owners.remove(manager).unwrap_or_default();
    // An item before its own fields: without its key it could not be found.
    for path in had.iter().filter(|path| !asked.contains_key(*path)) {
        let others =
            owners.values().any(|fields| fields.iter().any(|field| field.starts_with(path)));
        let still_asked = asked.keys().any(|field| field.starts_with(path));
        if !others && !still_asked {
            remove(&mut outcome, path, &mut Vec::new());
        }
    }
    merge(&mut outcome, wanted, &mut Vec::new());
    owners.insert(manager.to_owned(), asked.into_keys().collect());
    owners.retain(|_, fields| !fields.is_empty());
    Ok((outcome, owners))
}

/// The owners after `manager` changed `before` into `after` by other means than apply.
pub(super) fn take_over(owners: &Owners, before: &Value, after: &Value, manager: &str) -> Owners {
    let (before, after) = (leaves(before), leaves(after));
    let changed: BTreeSet<Path> = after
        .iter()
        .filter(|(path, value)| before.get(*path) != Some(value))
        .map(|(path, _)| path.clone())
        .collect();
    let mut owners = owners.clone();
    for (other, fields) in &mut owners {
        fields.retain(|path| {
            after.contains_key(path) && (other == manager || !changed.contains(path))
        });
    }
    owners.entry(manager.to_owned()).or_default().extend(changed);
    owners.retain(|_, fields| !fields.is_empty());
    owners
}

/// RFC 7386.
pub(super) fn merge_patch(live: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *live = patch.clone();
        return;
    };
    if !live.is_object() {
        *live = Value::Object(Map::new());
    }
    if let Value::Object(live) = live {
        for (name, value) in fields {
            if value.is_null() {
                live.remove(name);
            } else {
                merge_patch(live.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

/// Kubernetes' strategic merge: as [`merge_patch`], list items by their keys.
pub(super) fn strategic_patch(live: &mut Value, patch: &Value) {
    let nulls = |value: &Value| {
        let mut paths = Vec::new();
        null_paths(value, &mut Vec::new(), &mut paths);
        paths
    };
    for path in nulls(patch) {
        remove(live, &path, &mut Vec::new());
    }
    let mut wanted = patch.clone();
    drop_nulls(&mut wanted);
    merge(live, &wanted, &mut Vec::new());
}

fn null_paths(value: &Value, path: &mut Path, found: &mut Vec<Path>) {
    if let Value::Object(fields) = value {
        for (name, value) in fields {
            path.push(Step::Field(name.clone()));
            match value {
                Value::Null => found.push(path.clone()),
                value => null_paths(value, path, found),
            }
            path.pop();
        }
    }
}

/// Takes fields out that are null: the server stores none.
pub(super) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// RFC 6902: add, remove, replace and test. The message names the operation that failed.
pub(super) fn json_patch(live: &mut Value, patch: &Value) -> Result<(), String> {
    for operation in patch.as_array().into_iter().flatten() {
        let op = operation["op"].as_str().unwrap_or_default();
        let pointer = operation["path"].as_str().unwrap_or_default();
        let missing = || format!("{op} operation does not apply: doc is missing path: {pointer}");
        if op == "test" {
            if live.pointer(pointer).unwrap_or(&Value::Null) != &operation["value"] {
                return Err(format!("testing value {pointer} failed"));
            }
            continue;
        }
        let (parent, last) = pointer.rsplit_once('/').ok_or_else(missing)?;
        let last = last.replace("~1", "/").replace("~0", "~");
        let value = operation["value"].clone();
        match (op, live.pointer_mut(parent).ok_or_else(missing)?) {
            ("add", Value::Object(fields)) => {
                fields.insert(last, value);
            }
            ("replace", Value::Object(fields)) => {
                *fields.get_mut(&last).ok_or_else(missing)? = value;
            }
            ("remove", Value::Object(fields)) => {
                fields.remove(&last).ok_or_else(missing)?;
            }
            ("add", Value::Array(items)) if last == "-" => items.push(value),
            (op, Value::Array(items)) => {
                let at: usize = last.parse().map_err(|_| missing())?;
                match op {
                    "add" if at <= items.len() => items.insert(at, value),
                    "replace" if at < items.len() => items[at] = value,
                    "remove" if at < items.len() => {
                        items.remove(at);
                    }
                    _ => return Err(missing()),
                }
            }
            _ => return Err(missing()),
        }
    }
    Ok(())
}
