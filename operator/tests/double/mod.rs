//! A Kubernetes API server and its controllers in this process, for tests.
//!
//! - **In**: HTTP requests of a real [`kube::Client`] (no sockets), and what a test asks directly.
//! - **Out**: answers, watch events and `Status` bodies as the real server writes them.
//! - **Always**: it is deterministic; nothing moves by itself: controllers act when a test calls
//!   [`Cluster::step`] or [`Cluster::settle`], time passes by [`Cluster::advance`]. What the real
//!   server refuses (conflicts, immutable fields, preconditions, a terminating namespace) it
//!   refuses too, and a write that changes nothing changes no resource version.
//! - **Deliberately absent**: authorisation, admission, discovery, schemas of Kubernetes' own
//!   types, volumes, scheduling. Custom resources are checked by the reader of their crate.
//!
//! ```text
//!   test ── Cluster ─────────────┐ create, get, edit, delete (never counted, never failing)
//!                                ▼
//!   operator ── Connection ──► store ◄── step(): statefulset, kubelet, garbage, namespace, node
//!              (faults, count)   │
//!                                └──► log ──► watches, stale lists
//! ```
//!
//! ```ignore
//! let cluster = Cluster::new();
//! let connection = cluster.connect("weir-operator");
//! connection.die_after(3, Last::Lost);             // the third write is applied, its answer lost
//! let client = connection.client();                // a kube::Client
//! cluster.create(&job);                            // as a user
//! reconcile(client, …).await;                      // fails once the connection is dead
//! assert!(connection.is_dead());
//! cluster.settle();                                // pods start, owners' children vanish, …
//! let pods: Vec<Pod> = cluster.list("default");
//! ```
#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]
#![allow(unreachable_pub, reason = "`pub` marks what tests may use")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

mod apply;
mod connection;
mod controllers;
mod http_api;
mod kinds;
mod pods;
mod refuse;
mod rules;
mod selector;
mod store;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use kube::Resource;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::connection::{Connection, Last, Request};
pub use self::pods::PodOutcome;
use self::store::{Key, Store};

/// A cluster: an API server's objects, and the controllers that act on them when stepped.
/// Clones are the same cluster.
#[derive(Clone)]
pub struct Cluster {
    store: Arc<Mutex<Store>>,
}

impl Cluster {
    /// A cluster with the namespaces `default` and `weir-system`, three nodes (`node-0` to
    /// `node-2`) and the resource types that Weir uses. Its clock stands at
    /// 2030-01-01T00:00:00Z.
    pub fn new() -> Self {
        let store = Store::new();
        Self { store: Arc::new(Mutex::new(store)) }
    }

    /// A connection to the API server with its own faults and its own count of writes.
    /// `name` stands for the field manager where a request names none.
    pub fn connect(&self, name: &str) -> Connection {
        Connection::new(self.store.clone(), name)
    }

    /// Creates an object as a user; its namespace is `default` where none is given.
    /// Panics with the server's message when it is refused.
    pub fn create<K>(&self, object: &K) -> K
    where
        K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        self.try_create(object).unwrap_or_else(|status| panic!("{status}"))
    }

    /// As [`Self::create`], the server's `Status` body where it refuses.
    pub fn try_create<K>(&self, object: &K) -> Result<K, Value>
    where
        K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        let mut value = serde_json::to_value(object).unwrap();
        value["apiVersion"] = K::api_version(&()).into();
        value["kind"] = K::kind(&()).into();
        let namespace = object.meta().namespace.as_deref().unwrap_or("default");
        let created = self.store.lock().create(&kind::<K>(), namespace, value, "user", false);
        created.map(read).map_err(|refusal| refusal.body())
    }

    /// The object, if it exists. Cluster-wide kinds take any namespace.
    pub fn get<K>(&self, namespace: &str, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let key = Key::new(&kind::<K>(), namespace, name);
        self.store.lock().get(&key).cloned().map(read)
    }

    /// All objects of a kind in a namespace, by name; an empty namespace means everywhere.
    pub fn list<K>(&self, namespace: &str) -> Vec<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let store = self.store.lock();
        let found = store.of_kind(&kind::<K>(), namespace);
        found.into_iter().map(|(_, value)| read(value.clone())).collect()
    }

    /// Edits an object as a user with `kubectl edit` would: `change` gets the whole object.
    /// Panics when it does not exist or the server refuses the outcome.
    pub fn edit<K>(&self, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) -> K
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.try_edit::<K>(namespace, name, change).unwrap_or_else(|status| panic!("{status}"))
    }

    /// As [`Self::edit`], the server's `Status` body where it refuses.
    pub fn try_edit<K>(
        &self,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<K, Value>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let key = Key::new(&kind::<K>(), namespace, name);
        let mut store = self.store.lock();
        let mut value = store.get(&key).unwrap_or_else(|| panic!("there is no {key}")).clone();
        change(&mut value);
        store.update(&key, None, value, "user", false).map(read).map_err(|refusal| refusal.body())
    }

    /// Writes the status subresource of an object as a controller or kubelet would.
    pub fn edit_status<K>(&self, namespace: &str, name: &str, change: impl FnOnce(&mut Value))
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let key = Key::new(&kind::<K>(), namespace, name);
        let mut store = self.store.lock();
        let mut value = store.get(&key).unwrap_or_else(|| panic!("there is no {key}")).clone();
        change(&mut value["status"]);
        store.update(&key, Some("status"), value, "user", false).unwrap();
    }

    /// Changes the object that a request is about as somebody else would, so that its version is
    /// another. Whether there was one.
    pub fn touch(&self, uri: &str) -> bool {
        let request = http::Request::builder().uri(uri).body(()).unwrap();
        let Ok(call) = http_api::Call::read(&request.into_parts().0, &[]) else { return false };
        let key = call.key();
        let mut store = self.store.lock();
        let Some(mut value) = store.get(&key).cloned() else { return false };
        let version = store.version.to_string();
        value["metadata"]["annotations"]["somebody"] = version.into();
        store.update(&key, None, value, "somebody", false).unwrap();
        true
    }

    /// Deletes an object as a user (in the background, with the default grace period).
    pub fn delete<K>(&self, namespace: &str, name: &str)
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.delete_by::<K>(namespace, name, "Background");
    }

    /// Deletes an object as `kubectl delete --cascade=…`: `Background`, `Foreground` or `Orphan`.
    pub fn delete_by<K>(&self, namespace: &str, name: &str, propagation: &str)
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let key = Key::new(&kind::<K>(), namespace, name);
        let options = serde_json::json!({"propagationPolicy": propagation});
        let deleted = self.store.lock().delete(&key, &options, false);
        deleted.unwrap_or_else(|refusal| panic!("{}", refusal.body()));
    }

    /// Deletes an object without grace, as somebody who gives up a lost node's pod.
    pub fn delete_now<K>(&self, namespace: &str, name: &str)
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let key = Key::new(&kind::<K>(), namespace, name);
        let options = serde_json::json!({"gracePeriodSeconds": 0});
        let deleted = self.store.lock().delete(&key, &options, false);
        deleted.unwrap_or_else(|refusal| panic!("{}", refusal.body()));
    }

    /// Lets one controller do one thing: garbage collector, namespaces, StatefulSets, kubelets,
    /// nodes, in this order. Says what was done; `None` when there is nothing to do.
    pub fn step(&self) -> Option<String> {
        controllers::step(&mut self.store.lock())
    }

    /// Steps until there is nothing to do; panics when that never happens.
    pub fn settle(&self) {
        for _ in 0..10_000 {
            if self.step().is_none() {
                return;
            }
        }
        panic!("the controllers never come to rest");
    }

    /// Decides what becomes of pods, from the next step on. It is asked about every pod that is
    /// not being deleted, at each step: its answer may depend on what the test did in between.
    /// Without it: pods that restart are Ready, one-shot pods end with exit code 0. It must not
    /// call the cluster.
    pub fn decide_pods(&self, outcome: impl Fn(&Value) -> PodOutcome + Send + 'static) {
        self.store.lock().pod_outcome = Box::new(outcome);
    }

    /// Kubelets stop removing pods that are being deleted, until `false`: as if their processes
    /// took their whole grace period.
    pub fn hold_terminations(&self, hold: bool) {
        self.store.lock().hold_terminations = hold;
    }

    /// A node's power fails: its pods no longer change, its lease is no longer renewed, and after
    /// 40 s of [`Self::advance`] the node is not ready and carries the `unreachable` taint.
    pub fn lose_node(&self, node: &str) {
        self.store.lock().lost_nodes.insert(node.to_owned());
    }

    /// A lost node comes back.
    pub fn return_node(&self, node: &str) {
        self.store.lock().lost_nodes.remove(node);
    }

    /// Lets time pass for the server's clock (creation and deletion times, leases).
    pub fn advance(&self, by: Duration) {
        self.store.lock().advance(by);
    }

    /// The server's clock, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.store.lock().now_ms
    }

    /// Sends a bookmark on every watch that asked for them.
    pub fn bookmark(&self) {
        self.store.lock().bookmark();
    }

    /// Forgets history: watches and lists from before now are answered with `410 Gone`.
    pub fn compact(&self) {
        self.store.lock().compact();
    }

    /// The newest resource version.
    pub fn version(&self) -> u64 {
        self.store.lock().version
    }

    /// Every change so far, for a test's message: version, what happened, to which object.
    pub fn history(&self) -> Vec<String> {
        self.store.lock().history()
    }
}

fn kind<K: Resource<DynamicType = ()>>() -> kinds::Kind {
    let (group, plural) = (K::group(&()), K::plural(&()));
    kinds::find(&group, &plural).unwrap_or_else(|| panic!("the double has no {plural}.{group}"))
}

fn read<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}
