//! The children of a job, as they should be. Pure: golden files show what a job becomes.
//!
//! - **In**: a job's identity and what was accepted of its spec.
//! - **Out**: whole objects, ready to be applied.
//! - **Always**: pods meet the `restricted` Pod Security Standard, mount no token, and are the
//!   same for the same revision whatever else is edited.
//! - **Deliberately absent**: replicas of an existing set, which the lifecycle decides; owner
//!   references, for which a deletion would not wait ([`crate::ownership`]).
//!
//! ```text
//!  StreamJob J ─┬─ StatefulSet J-R ── pods J-R-0 … (command: weir pod)
//!               ├─ ConfigMap J-R          job.yaml, never changed
//!               ├─ Service J-workers      headless
//!               ├─ Service J-coordinator  ordinal 0 of the active revision
//!               ├─ PodDisruptionBudget J-workers, NetworkPolicy J-workers
//!               ├─ Pod J-plan-R           only while another image's program is planned
//!               └─ Pod J-state-…          only while a deleted job's state is deleted
//! ```

mod children;
mod merge;
mod network;
mod patch;
mod pod;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use children::{Applied, Children, Prepared, Served, build};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
pub use network::{build_budget, build_coordinator, build_network_policy, build_workers};
pub use pod::{build_plan_pod, build_set, build_state_pod};
use weir_crds::kube::StreamJob;

use crate::decide::Facts;
use crate::names;
use crate::validate::Accepted;

/// Whose children are built.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The job's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// Where the operator runs, which may reach the workers.
    pub operator_namespace: String,
}

impl Owner {
    /// The owner of `job`'s children, by an operator in this namespace.
    #[must_use]
    pub fn of(job: &StreamJob, operator_namespace: &str) -> Self {
        Self {
            name: job.name_any(),
            namespace: job.namespace().unwrap_or_default(),
            uid: job.uid().unwrap_or_default(),
            operator_namespace: operator_namespace.to_owned(),
        }
    }

    /// Metadata of a child: its name, and labels that say whose it is ([`crate::ownership`]).
    fn metadata(&self, name: &str, revision: Option<&str>) -> ObjectMeta {
        let mut labels = names::labels(&self.name);
        labels.insert(names::JOB_UID.to_owned(), self.uid.clone());
        if let Some(revision) = revision {
            labels.insert(names::REVISION.to_owned(), revision.to_owned());
        }
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some(labels),
            ..ObjectMeta::default()
        }
    }
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// The program of a revision, which no later edit reaches.
#[must_use]
pub fn build_config(owner: &Owner, accepted: &Accepted) -> ConfigMap {
    let name = names::revisioned(&owner.name, &accepted.revision);
    ConfigMap {
        metadata: owner.metadata(&name, Some(&accepted.revision)),
        immutable: Some(true),
        data: Some([("job.yaml".to_owned(), accepted.manifest.clone())].into()),
        ..ConfigMap::default()
    }
}

/// With what the pods of a set begin.
#[derive(Clone, Copy, Debug)]
pub struct Begin<'a> {
    /// Revisions that they may take the job over from, newest first.
    pub supersedes: &'a [String],
    /// The newest revision known to be stable.
    pub stable: Option<&'a str>,
    /// The job has published, so that its state has to be there.
    pub must_exist: bool,
    /// When they are asked for.
    pub since: Timestamp,
}

impl<'a> Begin<'a> {
    /// With what the pods of the spec's set begin now.
    #[must_use]
    pub fn of(facts: &'a Facts, accepted: &Accepted, supersedes: &'a [String]) -> Self {
        Self {
            supersedes,
            stable: facts.stable(),
            must_exist: facts.published || accepted.adopt.is_some(),
            since: facts.now,
        }
    }
}

/// What the operator keeps on a set it creates.
fn set_annotations(accepted: &Accepted, begin: &Begin<'_>) -> BTreeMap<String, String> {
    let resolved = serde_json::to_string(&accepted.resolved).unwrap_or_default();
    let mut annotations = BTreeMap::from([
        (names::SINCE.to_owned(), begin.since.to_string()),
        (names::RESOLVED.to_owned(), resolved),
    ]);
    if let Some(stable) = begin.stable {
        annotations.insert(names::STABLE.to_owned(), stable.to_owned());
    }
    if begin.must_exist {
        annotations.insert(names::PUBLISHED.to_owned(), accepted.state_root.clone());
    }
    annotations
}
