//! The double keeps the rules of the real API server: what the other tests rely on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

mod controllers;
#[path = "../double/mod.rs"]
mod double;
mod faults;
mod watches;
mod writes;

use std::time::Duration;

use double::{Cluster, Last, PodOutcome};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Service};
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchEvent,
    WatchParams,
};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use weir_crds::kube::StreamJob;

fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn config(name: &str, data: Value) -> ConfigMap {
    object(json!({"metadata": {"name": name}, "data": data}))
}

fn set(name: &str, replicas: i32) -> StatefulSet {
    object(json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "serviceName": "workers",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "worker", "image": "weir:1"}]},
            },
        },
    }))
}

fn job(name: &str) -> StreamJob {
    object(json!({
        "apiVersion": "weir.dev/v1alpha1",
        "kind": "StreamJob",
        "metadata": {"name": name},
        "spec": {"sql": "INSERT INTO a SELECT * FROM b"},
    }))
}

fn api<K>(client: &Client) -> Api<K>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    Api::namespaced(client.clone(), "default")
}

/// Code and message of the refusal.
fn refused<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> (u16, String) {
    match result.unwrap_err() {
        kube::Error::Api(status) => (status.code, status.message),
        other => panic!("{other}"),
    }
}

fn manager(name: &str) -> PatchParams {
    PatchParams::apply(name)
}

fn apply(value: &impl Serialize) -> Patch<Value> {
    Patch::Apply(serde_json::to_value(value).unwrap())
}

#[test]
fn a_new_cluster_is_at_rest() {
    let cluster = Cluster::new();
    assert_eq!(cluster.step(), None);
    assert_eq!(cluster.list::<Node>("").len(), 3);
}
