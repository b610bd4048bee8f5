//! How pods are found, and who may connect to them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Owner, labels};
use crate::names::{self, CONTROL_PORT, EXCHANGE_PORT, HTTP_PORT};

/// Names for all worker pods.
#[must_use]
pub fn build_workers(owner: &Owner) -> Service {
    Service {
        metadata: owner.metadata(&names::workers(&owner.name), None),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            // Workers must find each other before they can become ready.
            publish_not_ready_addresses: Some(true),
            selector: Some(worker_labels(owner)),
            ports: Some(vec![port("control", CONTROL_PORT), port("http", HTTP_PORT)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// Where workers look for their coordinator first: ordinal 0 of the active revision.
#[must_use]
pub fn build_coordinator(owner: &Owner, revision: &str) -> Service {
    let selector = labels([
        (names::JOB, owner.name.as_str()),
        (names::REVISION, revision),
        ("apps.kubernetes.io/pod-index", "0"),
    ]);
    Service {
        metadata: owner.metadata(&names::coordinator(&owner.name), None),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(selector),
            ports: Some(vec![port("control", CONTROL_PORT)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// A port of worker pods, by the name that it has there.
fn port(name: &str, port: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: port.into(),
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}

fn worker_labels(owner: &Owner) -> BTreeMap<String, String> {
    labels([(names::JOB, owner.name.as_str()), (names::COMPONENT, "worker")])
}

pub(super) fn matching(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

/// How many workers a drain of nodes may take at a time. A pod that is not ready never blocks it.
#[must_use]
pub fn build_budget(owner: &Owner, max_unavailable: u32) -> PodDisruptionBudget {
    let max_unavailable = i32::try_from(max_unavailable).unwrap_or(i32::MAX);
    PodDisruptionBudget {
        metadata: owner.metadata(&names::workers(&owner.name), None),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(max_unavailable)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            selector: Some(matching(worker_labels(owner))),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}

/// Control and data ports are for the job's own pods and the operator; probes and metrics are for
/// everybody.
#[must_use]
pub fn build_network_policy(owner: &Owner) -> NetworkPolicy {
    let to = |ports: &[u16]| {
        let port = |port: &u16| NetworkPolicyPort {
            port: Some(IntOrString::Int((*port).into())),
            protocol: Some("TCP".to_owned()),
            ..NetworkPolicyPort::default()
        };
        Some(ports.iter().map(port).collect())
    };
    let own_pods = NetworkPolicyPeer {
        pod_selector: Some(matching(labels([(names::JOB, owner.name.as_str())]))),
        ..NetworkPolicyPeer::default()
    };
    let namespace = ("kubernetes.io/metadata.name", owner.operator_namespace.as_str());
    let operator = NetworkPolicyPeer {
        namespace_selector: Some(matching(labels([namespace]))),
        ..NetworkPolicyPeer::default()
    };
    NetworkPolicy {
        metadata: owner.metadata(&names::workers(&owner.name), None),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(matching(worker_labels(owner))),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![
                NetworkPolicyIngressRule {
                    from: Some(vec![own_pods]),
                    ports: to(&[CONTROL_PORT, EXCHANGE_PORT]),
                },
                NetworkPolicyIngressRule { from: Some(vec![operator]), ports: to(&[CONTROL_PORT]) },
                NetworkPolicyIngressRule { from: None, ports: to(&[HTTP_PORT]) },
            ]),
            ..NetworkPolicySpec::default()
        }),
    }
}
