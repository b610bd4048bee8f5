//! The objects, their versions and their history: what etcd and the generic part of an API server
//! do for every type alike.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::apply::{self, Owners};
use super::kinds::{self, Kind};
use super::pods::PodOutcome;
use super::refuse::Refusal;
use super::rules;

/// Identifies an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(kind: &Kind, namespace: &str, name: &str) -> Self {
        let namespace = if kind.namespaced { namespace } else { "" };
        Self { kind: *kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    fn order(&self) -> (&str, &str, &str, &str) {
        (self.kind.group, self.kind.plural, &self.namespace, &self.name)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.qualified(), self.namespace, self.name)
    }
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    Added,
    Modified,
    Deleted,
    /// Nothing: watches that asked for bookmarks learn the version.
    Bookmark,
}

/// An entry of the history.
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) key: Key,
    pub(super) happened: Happened,
    /// After the change; of a deletion the last state.
    pub(super) value: Value,
    /// Before the change.
    pub(super) before: Option<Value>,
}

struct Object {
    value: Value,
    owners: Owners,
}

/// How a patch is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PatchKind {
    Merge,
    Strategic,
    Json,
    Apply { force: bool },
}

/// Everything the server holds.
pub(super) struct Store {
    objects: BTreeMap<Key, Object>,
    pub(super) log: Vec<Change>,
    /// Watches cannot start before this version.
    pub(super) compacted: u64,
    pub(super) version: u64,
    pub(super) now_ms: i64,
    uids: u64,
    names: u64,
    addresses: u32,
    wake: watch::Sender<u64>,
    pub(super) pod_outcome: Box<dyn Fn(&Value) -> PodOutcome + Send>,
    pub(super) hold_terminations: bool,
    pub(super) lost_nodes: BTreeSet<String>,
}

/// 2030-01-01T00:00:00Z
const START_MS: i64 = 1_893_456_000_000;

impl Store {
    pub(super) fn new() -> Self {
        let mut store = Self {
            objects: BTreeMap::new(),
            log: Vec::new(),
            compacted: 0,
            version: 0,
            now_ms: START_MS,
            uids: 0,
            names: 0,
            addresses: 0,
            wake: watch::Sender::new(0),
            pod_outcome: Box::new(super::controllers::calm),
            hold_terminations: false,
            lost_nodes: BTreeSet::new(),
        };
        super::controllers::furnish(&mut store);
        store
    }

    /// Time as the server writes it.
    pub(super) fn now(&self) -> String {
        let seconds = self.now_ms.div_euclid(1000);
        Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.now_ms += i64::try_from(by.as_millis()).unwrap_or(0);
    }

    /// Told of every change; the value means nothing.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }

    /// Lets every watch look again.
    pub(super) fn wake(&self) {
        self.wake.send_modify(|count| *count += 1);
    }

    /// The next address of `10.<net>.x.y`.
    pub(super) fn address(&mut self, net: u8) -> String {
        self.addresses += 1;
        format!("10.{net}.{}.{}", self.addresses / 250, 1 + self.addresses % 250)
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key).map(|object| &object.value)
    }

    /// The objects of a kind, by namespace and name; an empty namespace means everywhere.
    pub(super) fn of_kind(&self, kind: &Kind, namespace: &str) -> Vec<(&Key, &Value)> {
        let fits = |key: &Key| {
            key.kind == *kind
                && (namespace.is_empty() || !kind.namespaced || key.namespace == namespace)
        };
        let found = self.objects.iter().filter(|(key, _)| fits(key));
        found.map(|(key, object)| (key, &object.value)).collect()
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.objects.keys().cloned().collect()
    }

    /// The objects of a kind as they were at a version.
    pub(super) fn at(&self, version: u64, kind: &Kind, namespace: &str) -> Vec<Value> {
        let mut then = BTreeMap::new();
        for change in self.log.iter().take_while(|change| change.version <= version) {
            let wanted = change.key.kind == *kind
                && (namespace.is_empty() || change.key.namespace == namespace);
            match change.happened {
                Happened::Added | Happened::Modified if wanted => {
                    then.insert(change.key.clone(), change.value.clone());
                }
                Happened::Deleted => {
                    then.remove(&change.key);
                }
                _ => {}
            }
        }
        then.into_values().collect()
    }

    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
        self.wake();
    }

    pub(super) fn bookmark(&mut self) {
        let key = Key::new(&kinds::KINDS[0], "", "");
        let (version, value) = (self.version, Value::Null);
        let happened = Happened::Bookmark;
        self.log.push(Change { version, key, happened, value, before: None });
        self.wake();
    }

    pub(super) fn history(&self) -> Vec<String> {
        let shown =
            |change: &Change| format!("{} {:?} {}", change.version, change.happened, change.key);
        self.log.iter().map(shown).collect()
    }

    /// Creates an object; the server fills in what it owns.
    pub(super) fn create(
        &mut self,
        kind: &Kind,
        namespace: &str,
        mut value: Value,
        manager: &str,
        dry: bool,
    ) -> Result<Value, Refusal> {
        apply::drop_nulls(&mut value);
        let generated = value["metadata"]["generateName"].as_str().map(str::to_owned);
        let name = match (value["metadata"]["name"].as_str(), generated) {
            (Some(name), _) => name.to_owned(),
            (None, Some(prefix)) => {
                self.names += 1;
                format!("{prefix}{:05}", self.names)
            }
            (None, None) => {
                let fault = (
                    "metadata.name".to_owned(),
                    "Required value: name or generateName is required".to_owned(),
                );
                return Err(Refusal::invalid(kind, "", &[fault]));
            }
        };
        let key = Key::new(kind, namespace, &name);
        let owner = format!("{manager}/Update/");
        let owners = apply::take_over(&Owners::new(), &Value::Null, &value, &owner);
        self.insert(key, value, owners, dry)
    }

    fn insert(
        &mut self,
        key: Key,
        mut value: Value,
        owners: Owners,
        dry: bool,
    ) -> Result<Value, Refusal> {
        self.check_namespace(&key)?;
        if self.objects.contains_key(&key) {
            return Err(Refusal::already_exists(&key));
        }
        if key.kind.status && !self.is_furniture(&key) {
            value.as_object_mut().map(|fields| fields.remove("status"));
        }
        let given = value["metadata"].clone();
        let mut metadata = json!({
            "name": key.name,
            "uid": self.next_uid(),
            "creationTimestamp": self.now(),
        });
        if key.kind.namespaced {
            metadata["namespace"] = key.namespace.clone().into();
        }
        if key.kind.generation {
            metadata["generation"] = 1.into();
        }
        for free in ["labels", "annotations", "finalizers", "ownerReferences", "generateName"] {
            if !given[free].is_null() {
                metadata[free] = given[free].clone();
            }
        }
        value["apiVersion"] = key.kind.api_version().into();
        value["kind"] = key.kind.kind.into();
        value["metadata"] = metadata;
        rules::complete_new(self, &key, &mut value)?;
        if dry {
            return Ok(value);
        }
        Ok(self.commit(key, Some((value, owners)), Happened::Added))
    }

    fn is_furniture(&self, key: &Key) -> bool {
        matches!(key.kind.plural, "nodes" | "namespaces")
    }

    /// Content cannot be created where no namespace is, or where one is being deleted.
    fn check_namespace(&self, key: &Key) -> Result<(), Refusal> {
        if !key.kind.namespaced {
            return Ok(());
        }
        let Some(namespaces) = kinds::find("", "namespaces") else {
            return Ok(());
        };
        let namespace = Key::new(&namespaces, "", &key.namespace);
        match self.get(&namespace) {
            None => Err(Refusal::not_found(&namespace)),
            Some(found) if !found["metadata"]["deletionTimestamp"].is_null() => {
                Err(Refusal::terminating_namespace(key))
            }
            Some(_) => Ok(()),
        }
    }

    /// Replaces an object (PUT), or one subresource of it.
    pub(super) fn update(
        &mut self,
        key: &Key,
        subresource: Option<&str>,
        mut value: Value,
        manager: &str,
        dry: bool,
    ) -> Result<Value, Refusal> {
        let Some(live) = self.objects.get(key) else {
            return Err(Refusal::not_found(key));
        };
        self.check_versions(key, &live.value, &value)?;
        apply::drop_nulls(&mut value);
        let owner = format!("{manager}/Update/{}", subresource.unwrap_or_default());
        let proposed = self.restrict(key, subresource, value)?;
        let owners = apply::take_over(&live.owners, &live.value, &proposed, &owner);
        self.replace(key, proposed, owners, dry)
    }

    /// Patches an object, or one subresource of it. Server-side apply creates what is missing.
    pub(super) fn patch(
        &mut self,
        key: &Key,
        subresource: Option<&str>,
        patch: &Value,
        how: PatchKind,
        manager: &str,
        dry: bool,
    ) -> Result<Value, Refusal> {
        let sub = subresource.unwrap_or_default();
        if let PatchKind::Apply { force } = how {
            return self.apply(
                key,
                subresource,
                patch,
                &format!("{manager}/Apply/{sub}"),
                force,
                dry,
            );
        }
        let Some(live) = self.objects.get(key) else {
            return Err(Refusal::not_found(key));
        };
        let mut value = live.value.clone();
        match how {
            PatchKind::Merge => apply::merge_patch(&mut value, patch),
            PatchKind::Strategic if key.kind.group == "weir.dev" => {
                return Err(Refusal::unsupported_patch());
            }
            PatchKind::Strategic => apply::strategic_patch(&mut value, patch),
            PatchKind::Json | PatchKind::Apply { .. } => {
                apply::json_patch(&mut value, patch).map_err(|why| {
                    let path = ("patch".to_owned(), why);
                    Refusal::invalid(&key.kind, &key.name, &[path])
                })?;
            }
        }
        self.check_versions(key, &live.value, &value)?;
        apply::drop_nulls(&mut value);
        let proposed = self.restrict(key, subresource, value)?;
        let owner = format!("{manager}/Update/{sub}");
        let owners = apply::take_over(&live.owners, &live.value, &proposed, &owner);
        self.replace(key, proposed, owners, dry)
    }

    fn apply(
        &mut self,
        key: &Key,
        subresource: Option<&str>,
        wanted: &Value,
        owner: &str,
        force: bool,
        dry: bool,
    ) -> Result<Value, Refusal> {
        let mut wanted = wanted.clone();
        apply::drop_nulls(&mut wanted);
        if wanted["apiVersion"] != key.kind.api_version() || wanted["kind"] != key.kind.kind {
            return Err(Refusal::bad_request(format!(
                "the apply patch must name apiVersion {} and kind {}",
                key.kind.api_version(),
                key.kind.kind
            )));
        }
        if let Some(name) = wanted["metadata"]["name"].as_str()
            && name != key.name
        {
            return Err(Refusal::bad_request(format!(
                "name in the body ({name}) does not match the name in the path ({})",
                key.name
            )));
        }
        if subresource == Some("status") {
            let status = wanted["status"].clone();
            let metadata = json!({
                "uid": wanted["metadata"]["uid"],
                "resourceVersion": wanted["metadata"]["resourceVersion"],
            });
            wanted = json!({"metadata": metadata, "status": status});
            apply::drop_nulls(&mut wanted);
        } else if key.kind.status {
            wanted.as_object_mut().map(|fields| fields.remove("status"));
        }
        let Some(live) = self.objects.get(key) else {
            if subresource.is_some() {
                return Err(Refusal::not_found(key));
            }
            if let Some(uid) = wanted["metadata"]["uid"].as_str() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(Refusal::conflict(key, &why));
            }
            let owners = apply::apply(&json!({}), &Owners::new(), &wanted, owner, force);
            let (_, owners) = owners.map_err(|fields| Refusal::apply_conflict(key, &fields))?;
            return self.insert(key.clone(), wanted, owners, dry);
        };
        self.check_versions(key, &live.value, &wanted)?;
        let (value, owners) = apply::apply(&live.value, &live.owners, &wanted, owner, force)
            .map_err(|fields| Refusal::apply_conflict(key, &fields))?;
        let proposed = self.restrict(key, subresource, value)?;
        self.replace(key, proposed, owners, dry)
    }

    /// A stated UID or version must be the object's.
    fn check_versions(&self, key: &Key, live: &Value, stated: &Value) -> Result<(), Refusal> {
        let (live, stated) = (&live["metadata"], &stated["metadata"]);
        if let Some(uid) = stated["uid"].as_str().filter(|uid| !uid.is_empty())
            && live["uid"] != uid
        {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                live["uid"].as_str().unwrap_or_default()
            );
            return Err(Refusal::conflict(key, &why));
        }
        if let Some(version) = stated["resourceVersion"].as_str().filter(|text| !text.is_empty())
            && live["resourceVersion"] != version
        {
            return Err(Refusal::modified(key));
        }
        Ok(())
    }

    /// Undoes what the endpoint does not write: the status, or everything else; and what only
    /// the server writes.
    fn restrict(
        &self,
        key: &Key,
        subresource: Option<&str>,
        mut value: Value,
    ) -> Result<Value, Refusal> {
        let Some(live) = self.get(key) else {
            return Err(Refusal::not_found(key));
        };
        let status = match subresource {
            Some("status") => {
                let status = value["status"].take();
                value = live.clone();
                status
            }
            _ if key.kind.status => live["status"].clone(),
            _ => value["status"].take(),
        };
        value["status"] = status;
        value["apiVersion"] = live["apiVersion"].clone();
        value["kind"] = live["kind"].clone();
        let metadata = &mut value["metadata"];
        if let Some(fields) = metadata.as_object_mut() {
            fields.remove("managedFields");
        }
        for fixed in [
            "name",
            "namespace",
            "generateName",
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "generation",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        ] {
            metadata[fixed] = live["metadata"][fixed].clone();
        }
        apply::drop_nulls(&mut value);
        Ok(value)
    }

    fn replace(
        &mut self,
        key: &Key,
        mut value: Value,
        owners: Owners,
        dry: bool,
    ) -> Result<Value, Refusal> {
        let Some(live) = self.objects.get(key) else {
            return Err(Refusal::not_found(key));
        };
        let before = live.value.clone();
        rules::check_change(key, &before, &mut value)?;
        if value == before {
            if !dry && let Some(live) = self.objects.get_mut(key) {
                live.owners = owners;
            }
            return Ok(before);
        }
        if key.kind.generation && rules::wanted(&before) != rules::wanted(&value) {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            value["metadata"]["generation"] = generation.into();
        }
        if dry {
            return Ok(value);
        }
        let value = self.commit(key.clone(), Some((value, owners)), Happened::Modified);
        self.finish_deletion(key);
        Ok(value)
    }

    /// Deletes as the options say (`DeleteOptions`, or null). The object where it stays for now
    /// (finalizers, grace period), `None` where it is gone.
    pub(super) fn delete(
        &mut self,
        key: &Key,
        options: &Value,
        dry: bool,
    ) -> Result<Option<Value>, Refusal> {
        let Some(live) = self.get(key) else {
            return Err(Refusal::not_found(key));
        };
        let (mut value, metadata) = (live.clone(), &live["metadata"]);
        let stated = &options["preconditions"];
        if let Some(uid) = stated["uid"].as_str()
            && metadata["uid"] != uid
        {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                metadata["uid"].as_str().unwrap_or_default()
            );
            return Err(Refusal::conflict(key, &why));
        }
        if let Some(version) = stated["resourceVersion"].as_str()
            && metadata["resourceVersion"] != version
        {
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {}",
                metadata["resourceVersion"].as_str().unwrap_or_default()
            );
            return Err(Refusal::conflict(key, &why));
        }
        if dry {
            return Ok(Some(value));
        }
        let grace = rules::grace_period(key, &value, options);
        match metadata["deletionTimestamp"].is_null() {
            true => {
                let deletion = self.now();
                let metadata = &mut value["metadata"];
                metadata["deletionTimestamp"] = deletion.into();
                metadata["deletionGracePeriodSeconds"] = grace.into();
                if let Some(generation) = metadata["generation"].as_i64() {
                    metadata["generation"] = (generation + 1).into();
                }
                let finalizer = match options["propagationPolicy"].as_str() {
                    Some("Foreground") => Some("foregroundDeletion"),
                    Some("Orphan") => Some("orphan"),
                    _ => None,
                };
                if let Some(finalizer) = finalizer {
                    match metadata["finalizers"].as_array_mut() {
                        Some(finalizers) => finalizers.push(finalizer.into()),
                        None => metadata["finalizers"] = json!([finalizer]),
                    }
                }
            }
            // A second deletion can only shorten the grace period.
            false if metadata["deletionGracePeriodSeconds"].as_i64() > Some(grace) => {
                value["metadata"]["deletionGracePeriodSeconds"] = grace.into();
            }
            false => return Ok(Some(value)),
        }
        let gone = rules::is_to_vanish(&value);
        let owners = self.objects.get(key).map(|object| object.owners.clone()).unwrap_or_default();
        if gone {
            self.commit(key.clone(), None, Happened::Deleted);
            return Ok(None);
        }
        Ok(Some(self.commit(key.clone(), Some((value, owners)), Happened::Modified)))
    }

    /// Removes an object whose deletion nothing holds up any longer.
    fn finish_deletion(&mut self, key: &Key) {
        if self.get(key).is_some_and(rules::is_to_vanish) {
            self.commit(key.clone(), None, Happened::Deleted);
        }
    }

    /// Removes an object without asking anybody.
    pub(super) fn vanish(&mut self, key: &Key) {
        self.commit(key.clone(), None, Happened::Deleted);
    }

    /// The one place where an object changes.
    fn commit(&mut self, key: Key, next: Option<(Value, Owners)>, happened: Happened) -> Value {
        self.version += 1;
        let before = self.get(&key).cloned();
        let (mut value, owners) = match next {
            Some(next) => next,
            None => (before.clone().unwrap_or(Value::Null), Owners::new()),
        };
        value["metadata"]["resourceVersion"] = self.version.to_string().into();
        match happened {
            Happened::Deleted => {
                self.objects.remove(&key);
            }
            _ => {
                self.objects.insert(key.clone(), Object { value: value.clone(), owners });
            }
        }
        let version = self.version;
        self.log.push(Change { version, key, happened, value: value.clone(), before });
        self.wake();
        value
    }

    fn next_uid(&mut self) -> String {
        self.uids += 1;
        format!("{:08x}-0000-4000-8000-{:012x}", self.uids, self.uids)
    }
}
