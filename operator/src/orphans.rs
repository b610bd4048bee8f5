//! What a job has left behind that went without its operator: its finalizer was taken away by hand,
//! or it was removed while none ran.
//!
//! - **In**: StatefulSets that bear a job's UID. **Out**: deletions of all that bears a UID whose
//!   job is gone.
//! - **Always**: whether a job is gone is read from the API server itself, never from a list that
//!   may be old; deletions carry the version that was read. State in the object store is kept.
//! - **Deliberately absent**: leftovers of jobs without a set, which cost nothing and are removed
//!   when a job of that name comes again. The garbage collector cannot do this work
//!   ([`crate::ownership`] says why).

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};
use weir_crds::kube::StreamJob;

use crate::apply::{ApplyError, Child, delete};
use crate::names;
use crate::observe::{Version, component};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(60);

/// A look that failed; the next one begins anew.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// A read failed.
    #[error("looking for {what} of jobs that are gone: {source}")]
    Read {
        /// What was to be read.
        what: &'static str,
        /// The API server's answer.
        source: kube::Error,
    },
    /// A deletion failed.
    #[error(transparent)]
    Delete(#[from] ApplyError),
}

/// Looks once a minute, for ever. `namespace`: the only one, or empty for all.
pub async fn keep_sweeping(client: Client, namespace: String) {
    loop {
        if let Err(error) = sweep(&client, &namespace).await {
            tracing::warn!(%error, "what jobs have left behind was not removed");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Removes what belongs to jobs that are gone. How many jobs these were.
///
/// # Errors
/// A read or a deletion failed; what was deleted before stays so.
pub async fn sweep(client: &Client, namespace: &str) -> Result<usize, SweepError> {
    let sets: Api<StatefulSet> = match namespace {
        "" => Api::all(client.clone()),
        namespace => Api::namespaced(client.clone(), namespace),
    };
    let ours = format!("app.kubernetes.io/managed-by={},{}", names::MANAGER, names::JOB_UID);
    // What the API server has at hand is enough to become suspicious.
    let found = sets.list_metadata(&ListParams::default().labels(&ours).match_any()).await;
    let found = found.map_err(|source| SweepError::Read { what: "StatefulSets", source })?;
    let owners: BTreeSet<(String, String, String)> = found
        .items
        .iter()
        .filter(|set| set.metadata.deletion_timestamp.is_none())
        .filter_map(|set| {
            let label = |name: &str| set.labels().get(name).cloned();
            Some((set.namespace()?, label(names::JOB)?, label(names::JOB_UID)?))
        })
        .collect();
    let mut gone = 0;
    for (namespace, job, uid) in owners {
        let jobs: Api<StreamJob> = Api::namespaced(client.clone(), &namespace);
        let known = jobs.get_metadata_opt(&job).await;
        let known = known.map_err(|source| SweepError::Read { what: "the resource", source })?;
        if known.is_some_and(|job| job.uid().as_ref() == Some(&uid)) {
            continue;
        }
        tracing::warn!(namespace, job, uid, "the job is gone; what it left behind is removed");
        remove(client, &namespace, &uid).await?;
        gone += 1;
    }
    Ok(gone)
}

/// Removes all that bears the UID.
async fn remove(client: &Client, namespace: &str, uid: &str) -> Result<(), SweepError> {
    remove_all::<StatefulSet>(client, namespace, uid, "StatefulSet", |_| true).await?;
    remove_all::<Service>(client, namespace, uid, "Service", |_| true).await?;
    let what = "PodDisruptionBudget";
    remove_all::<PodDisruptionBudget>(client, namespace, uid, what, |_| true).await?;
    remove_all::<NetworkPolicy>(client, namespace, uid, "NetworkPolicy", |_| true).await?;
    // Workers go with their set.
    let one_shot = |pod: &Pod| component(pod) != Some("worker");
    remove_all::<Pod>(client, namespace, uid, "Pod", one_shot).await?;
    remove_all::<ConfigMap>(client, namespace, uid, "ConfigMap", |_| true).await
}

async fn remove_all<K: Child>(
    client: &Client,
    namespace: &str,
    uid: &str,
    what: &'static str,
    chosen: impl Fn(&K) -> bool,
) -> Result<(), SweepError> {
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let label = format!("{}={uid}", names::JOB_UID);
    let found = api.list(&ListParams::default().labels(&label)).await;
    let found = found.map_err(|source| SweepError::Read { what, source })?;
    for object in found.items.iter().filter(|object| chosen(object)) {
        let managed = object.labels().get("app.kubernetes.io/managed-by");
        if managed.is_some_and(|it| it == names::MANAGER)
            && object.meta().deletion_timestamp.is_none()
        {
            delete(&api, what, &Version::of(object), DeleteParams::background()).await?;
        }
    }
    Ok(())
}
