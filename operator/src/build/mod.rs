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

mod merge;
mod network;
mod pod;
#[cfg(test)]
mod tests;

use k8s_openapi::jiff::Timestamp;
pub use network::{build_budget, build_coordinator, build_network_policy, build_workers};
pub use pod::{build_plan_pod, build_set, build_state_pod};
use serde_json::{Value, json};

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
    /// Metadata of a child: its name, and labels that say whose it is ([`crate::ownership`]).
    fn metadata(&self, name: &str, revision: Option<&str>) -> Value {
        let mut labels = names::labels(&self.name);
        labels.insert(names::JOB_UID.to_owned(), self.uid.clone());
        if let Some(revision) = revision {
            labels.insert(names::REVISION.to_owned(), revision.to_owned());
        }
        json!({
            "name": name,
            "namespace": self.namespace,
            "labels": labels,
        })
    }
}

/// The program of a revision, which no later edit reaches.
#[must_use]
pub fn build_config(owner: &Owner, accepted: &Accepted) -> Value {
    let name = names::revisioned(&owner.name, &accepted.revision);
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owner.metadata(&name, Some(&accepted.revision)),
        "immutable": true,
        "data": {"job.yaml": accepted.manifest},
    })
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

/// What the operator keeps on a set it creates.
fn set_annotations(accepted: &Accepted, begin: &Begin<'_>) -> Value {
    let mut annotations = json!({
        names::SINCE: begin.since.to_string(),
        names::RESOLVED: serde_json::to_string(&accepted.resolved).unwrap_or_default(),
    });
    if let Some(stable) = begin.stable {
        annotations[names::STABLE] = json!(stable);
    }
    if begin.must_exist {
        annotations[names::PUBLISHED] = json!(accepted.state_root);
    }
    annotations
}
