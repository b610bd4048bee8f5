//! How pods are found, and who may connect to them.

use serde_json::{Value, json};

use super::Owner;
use crate::names::{self, CONTROL_PORT, EXCHANGE_PORT, HTTP_PORT};

/// Names for all worker pods.
#[must_use]
pub fn build_workers(owner: &Owner) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owner.metadata(&names::workers(&owner.name), None),
        "spec": {
            "clusterIP": "None",
            // Workers must find each other before they can become ready.
            "publishNotReadyAddresses": true,
            "selector": {names::JOB: owner.name, names::COMPONENT: "worker"},
            "ports": [
                {"name": "control", "port": CONTROL_PORT, "targetPort": "control",
                 "protocol": "TCP"},
                {"name": "http", "port": HTTP_PORT, "targetPort": "http", "protocol": "TCP"},
            ],
        },
    })
}

/// Where workers look for their coordinator first: ordinal 0 of the active revision.
#[must_use]
pub fn build_coordinator(owner: &Owner, revision: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owner.metadata(&names::coordinator(&owner.name), None),
        "spec": {
            "type": "ClusterIP",
            "publishNotReadyAddresses": true,
            "selector": {
                names::JOB: owner.name,
                names::REVISION: revision,
                "apps.kubernetes.io/pod-index": "0",
            },
            "ports": [
                {"name": "control", "port": CONTROL_PORT, "targetPort": "control",
                 "protocol": "TCP"},
            ],
        },
    })
}

/// How many workers a drain of nodes may take at a time. A pod that is not ready never blocks it.
#[must_use]
pub fn build_budget(owner: &Owner, max_unavailable: u32) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": owner.metadata(&names::workers(&owner.name), None),
        "spec": {
            "maxUnavailable": max_unavailable,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": {names::JOB: owner.name, names::COMPONENT: "worker"}},
        },
    })
}

/// Control and data ports are for the job's own pods and the operator; probes and metrics are for
/// everybody.
#[must_use]
pub fn build_network_policy(owner: &Owner) -> Value {
    let port = |port: u16| json!({"port": port, "protocol": "TCP"});
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": owner.metadata(&names::workers(&owner.name), None),
        "spec": {
            "podSelector": {"matchLabels": {names::JOB: owner.name, names::COMPONENT: "worker"}},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [{"podSelector": {"matchLabels": {names::JOB: owner.name}}}],
                    "ports": [port(CONTROL_PORT), port(EXCHANGE_PORT)],
                },
                {
                    "from": [{"namespaceSelector": {"matchLabels": {
                        "kubernetes.io/metadata.name": owner.operator_namespace,
                    }}}],
                    "ports": [port(CONTROL_PORT)],
                },
                {"ports": [port(HTTP_PORT)]},
            ],
        },
    })
}
