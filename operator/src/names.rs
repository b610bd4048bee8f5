//! Names, labels and ids. Every name is a function of what it names, so that a step that is
//! repeated after a crash finds what it made before.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// Field manager of everything that the operator writes.
pub const MANAGER: &str = "weir-operator";
/// Holds a deleted job until its state is as `spec.deletion` asks.
pub const FINALIZER: &str = "weir.dev/state";
/// On a job: the defaults that it was accepted with, as JSON. On its StatefulSets too, since a
/// `kubectl replace` takes the annotations of a job away.
pub const RESOLVED: &str = "weir.dev/resolved";
/// On a StatefulSet: how its job ended, as JSON; only meaningful with 0 replicas.
pub const STOPPED: &str = "weir.dev/stopped";
/// On a StatefulSet: when its pods were asked for, RFC 3339. Part of operation ids, so that each
/// run of a set has its own.
pub const SINCE: &str = "weir.dev/since";
/// On a StatefulSet: since when it is to be stopped although nobody coordinates it, RFC 3339.
pub const STOPPING: &str = "weir.dev/stopping";
/// On the pods of a StatefulSet: revisions that they take the job over from, newest first,
/// separated by commas. The worker refuses the state of any other revision than its own.
pub const SUPERSEDES: &str = "weir.dev/supersedes";
/// On a child: hash of what was applied, so that an unchanged child is not written again.
pub const APPLIED: &str = "weir.dev/applied";
/// On a job and on its StatefulSets: the root below which it has published checkpoints. Whoever
/// bears it never starts without that state.
pub const PUBLISHED: &str = "weir.dev/published";
/// On the pods of a StatefulSet: "true" where the job's state has to be there already.
pub const MUST_EXIST: &str = "weir.dev/must-exist";
/// On a StatefulSet: the newest revision that has published checkpoints for a while, itself or
/// one that came before.
pub const STABLE: &str = "weir.dev/stable";
/// Label: name of the job.
pub const JOB: &str = "weir.dev/job";
/// Label: UID of the job. What bears it belongs to that job, and goes with it.
pub const JOB_UID: &str = "weir.dev/job-uid";
/// Label: revision of the job.
pub const REVISION: &str = "weir.dev/revision";
/// Label: what a pod is for.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Control port of a worker.
pub const CONTROL_PORT: u16 = 7101;
/// Data port of a worker.
pub const EXCHANGE_PORT: u16 = 7102;
/// Probes and metrics of a worker.
pub const HTTP_PORT: u16 = 7103;

/// Name of the StatefulSet and of the ConfigMap of a revision.
#[must_use]
pub fn revisioned(job: &str, revision: &str) -> String {
    format!("{job}-{revision}")
}

/// Name of what is about all worker pods of a job: the Service by which they are found, their
/// PodDisruptionBudget, their NetworkPolicy. Never the job's plain name, by which its user may well
/// call an object of his own.
#[must_use]
pub fn workers(job: &str) -> String {
    format!("{job}-workers")
}

/// Name of the Service of a job's coordinator.
#[must_use]
pub fn coordinator(job: &str) -> String {
    format!("{job}-coordinator")
}

/// Name of the one-shot pod that deletes a job's state.
#[must_use]
pub fn state_pod(job: &str, uid: &str) -> String {
    format!("{job}-state-{}", short_hash(&[uid, "state"]))
}

/// Name of the one-shot pod that plans a revision's program in its own image.
#[must_use]
pub fn plan_pod(job: &str, revision: &str) -> String {
    format!("{job}-plan-{revision}")
}

/// Labels of every child.
#[must_use]
pub fn labels(job: &str) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", "weir"),
        ("app.kubernetes.io/instance", job),
        ("app.kubernetes.io/managed-by", MANAGER),
        (JOB, job),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// Selects the worker pods of a job, of any revision.
#[must_use]
pub fn worker_selector(job: &str) -> String {
    format!("{JOB}={job},{COMPONENT}=worker")
}

/// The number behind a StatefulSet pod's last dash.
#[must_use]
pub fn ordinal(pod: &str) -> Option<u32> {
    pod.rsplit_once('-')?.1.parse().ok()
}

/// Id of an operation: a function of what it goes from and to, so that asking twice is asking
/// once.
#[must_use]
pub fn operation_id(parts: &[&str]) -> String {
    format!("op-{}", hash(parts, 6))
}

/// Eight hexadecimal digits over `parts`.
#[must_use]
pub fn short_hash(parts: &[&str]) -> String {
    hash(parts, 4)
}

fn hash(parts: &[&str], bytes: usize) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_id_depends_on_every_part_and_on_where_it_ends() {
        assert_eq!(operation_id(&["a", "b"]), operation_id(&["a", "b"]));
        assert_ne!(operation_id(&["ab", "c"]), operation_id(&["a", "bc"]));
        assert!(operation_id(&["a"]).starts_with("op-"));
    }

    #[test]
    fn names_stay_within_what_kubernetes_takes_for_the_longest_job_name() {
        let job = "j".repeat(40);
        // Pods of a StatefulSet carry its name and a revision label of the controller (11 more)
        // in a label of at most 63 characters.
        assert!(revisioned(&job, "0123abcd").len() <= 52);
        assert!(plan_pod(&job, "0123abcd").len() <= 63);
        assert!(state_pod(&job, "uid").len() <= 63);
        assert!(coordinator(&job).len() <= 63);
    }
}
