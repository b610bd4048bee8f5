//! Writes: the children of a job, its finalizer, its pods.
//!
//! - **In**: children as they should be, and what was read before. **Out**: the fewest writes that
//!   make them so, and the same children as applied.
//! - **Always**: any prefix of these writes may be all that happens; the next round goes on from
//!   there. A change of something that exists, and a deletion, carry the UID and the version that
//!   were read; what is missing is created and never applied over something that came since. So a
//!   decision made on old facts fails instead of doing harm, and nobody else's object is written.
//! - **Deliberately absent**: decisions; server-side apply, which cannot say "only if it is not
//!   there", and could so take over an object that came between look and write.

mod children;
mod ensure;
mod refused;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use serde_json::{Value, json};
use weir_crds::kube::StreamJob;

pub(crate) use self::refused::refusal_of;
use crate::answers::RefusedWrite;
use crate::build::{Applied, Children, Owner, Prepared};
use crate::context::Context;
use crate::decide::{Actions, NotBegun, OneShot, Plan};
use crate::names;
use crate::observe::{Observed, Version};
use crate::validate::Refusal;

/// A write failed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The API server did not take it.
    #[error("writing {what} {name}: {source}")]
    Write {
        /// Its kind.
        what: &'static str,
        /// Its name.
        name: String,
        /// The API server's answer.
        source: kube::Error,
    },
    /// It was not even tried: an object of that name is somebody else's.
    #[error("{}", .0.message)]
    InTheWay(Refusal),
}

impl ApplyError {
    /// The facts were old, or somebody was faster: a new look will tell.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        let Self::Write { source: kube::Error::Api(status), .. } = self else { return false };
        matches!(status.code, 404 | 409)
    }

    /// What the cluster does not let the job have, and what a person can do about it.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::InTheWay(refusal) => Some(refusal.clone()),
            Self::Write { what, name, source } => refusal_of(what, name, source),
        }
    }
}

/// Carries out a plan: what only follows the spec, then its actions in the order of their fields.
/// None when the next round has to follow at once: the job itself was changed, or the cluster has
/// refused something that the plan did not know of.
///
/// # Errors
/// The first write that failed; what came before it stands.
pub async fn apply(
    context: &Context,
    observed: &Observed,
    plan: &Plan,
    children: Children<Prepared>,
) -> Result<Option<Children<Applied>>, ApplyError> {
    let applier = Applier { client: &context.client, owner: &observed.owner };
    let actions = &plan.actions;
    if actions.accept {
        let written = applier.change_job(&children).await;
        outcome(context, observed, written, RefusedWrite::Spec)?;
        return Ok(None);
    }
    if actions.record_published.is_some() {
        applier.change_job(&children).await?;
        return Ok(None);
    }
    let Owner { namespace, name, .. } = &observed.owner;
    let now = context.clock.elapsed();
    let wanted = children::fingerprint(observed, actions, &children);
    if !context.requeue.knows_children(namespace, name, &wanted, now) {
        let written = applier.apply_children(observed, &children).await;
        match outcome(context, observed, written, RefusedWrite::Child)? {
            Outcome::Done => context.requeue.remember_children(namespace, name, wanted, now),
            Outcome::RefusedAsKnown => {}
            Outcome::Refused => return Ok(None),
        }
    }
    let written = applier.act(actions, observed, &children).await;
    if outcome(context, observed, written, RefusedWrite::of_action)? == Outcome::Refused {
        return Ok(None);
    }
    begin(context, observed, actions).await;
    Ok(Some(children.applied()))
}

/// What came of a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is done.
    Done,
    /// The cluster refuses it, which the plan knew: the rest of it goes on.
    RefusedAsKnown,
    /// The cluster refuses it, which has to be known before anything else is done.
    Refused,
}

impl RefusedWrite {
    /// Most of a pod is the user's.
    fn of_action(refusal: Refusal) -> Self {
        match refusal.reason {
            refused::INVALID_TEMPLATE => Self::Spec(refusal),
            _ => Self::Child(refusal),
        }
    }
}

/// Remembers what the cluster refuses, for as long as the job is not on its way out: that is told,
/// and tried again.
fn outcome(
    context: &Context,
    observed: &Observed,
    written: Result<(), ApplyError>,
    of: fn(Refusal) -> RefusedWrite,
) -> Result<Outcome, ApplyError> {
    let Err(error) = written else { return Ok(Outcome::Done) };
    let leaving = observed.job.metadata.deletion_timestamp.is_some();
    let refusal = error.refusal().filter(|_| !leaving).ok_or(error)?;
    let now = context.clock.elapsed();
    let (uid, generation) = (&observed.owner.uid, observed.job.metadata.generation.unwrap_or(0));
    let news = context.answers.remember_refused(uid, generation, of(refusal), now);
    Ok(if news { Outcome::Refused } else { Outcome::RefusedAsKnown })
}

/// A call that fails is made again in the next round, under the same id; so is one that is refused,
/// and the next round says why.
async fn begin(context: &Context, observed: &Observed, actions: &Actions) {
    let Some((ip, operation)) = &actions.begin else { return };
    let id = &operation.id;
    let refused = match context.workers.begin(ip, operation.clone()).await {
        Ok(reply) => Some(reply.refused).filter(|refused| !refused.is_empty()),
        Err(error) => {
            tracing::info!(id, %error, "not begun");
            return;
        }
    };
    if let Some(refused) = &refused {
        tracing::info!(id, refused, "not begun");
    }
    let refused = refused.map(|message| NotBegun { id: id.clone(), message });
    let now = context.clock.elapsed();
    context.answers.remember_begun(&observed.owner.uid, refused, now);
}

fn failed(what: &'static str, name: &str) -> impl FnOnce(kube::Error) -> ApplyError {
    let name = name.to_owned();
    move |source| ApplyError::Write { what, name, source }
}

/// Writes for one job.
struct Applier<'a> {
    client: &'a Client,
    owner: &'a Owner,
}

impl Applier<'_> {
    /// One write: the change of the job's own metadata.
    async fn change_job(&self, children: &Children<Prepared>) -> Result<(), ApplyError> {
        let Some(patch) = &children.job else { return Ok(()) };
        let jobs: Api<StreamJob> = self.api();
        let name = &self.owner.name;
        let written = jobs.patch_metadata(name, &manager(), &Patch::Merge(patch)).await;
        written.map(drop).map_err(failed("StreamJob", name))
    }

    /// Carries out actions, in the order of their fields.
    async fn act(
        &self,
        actions: &Actions,
        observed: &Observed,
        children: &Children<Prepared>,
    ) -> Result<(), ApplyError> {
        for (name, patch) in &children.scaled {
            let read = observed.sets.iter().find(|(set, _)| set.name == *name);
            if let Some((_, version)) = read {
                self.scale(version, patch.clone()).await?;
            }
        }
        // Created and never applied: whoever decided on old facts must not change a set that exists.
        if let Some(set) = &children.set {
            self.create("StatefulSet", set).await?;
        }
        let sets: Api<StatefulSet> = self.api();
        for (set, version) in &observed.sets {
            if actions.delete_sets.contains(&set.name) {
                delete(&sets, "StatefulSet", version, DeleteParams::background()).await?;
            }
        }
        let pods: Api<Pod> = self.api();
        for (pod, version) in &observed.pods {
            if actions.give_up.contains(&pod.name) {
                let now = DeleteParams::default().grace_period(0);
                delete(&pods, "Pod", version, now).await?;
            }
        }
        for (pod, version) in &observed.plan_pods {
            if actions.delete_plans.contains(&pod.name) {
                delete(&pods, "Pod", version, DeleteParams::default()).await?;
            }
        }
        if let Some(pod) = &children.plan_pod
            && observed
                .plan_pods
                .iter()
                .all(|(it, _)| Some(&it.revision) != children.revision.as_ref())
        {
            self.create("Pod", pod).await?;
        }
        match (&children.state_pod, &observed.state_pod) {
            (Some(pod), None) => self.create("Pod", pod).await?,
            (Some(_), Some((OneShot::Failed(_), version))) => {
                delete(&pods, "Pod", version, DeleteParams::default()).await?;
            }
            _ => {}
        }
        if actions.release {
            self.remove_children().await?;
            self.change_job(children).await?;
        }
        Ok(())
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.owner.namespace)
    }

    /// One write, of the version that was read.
    async fn scale(&self, version: &Version, mut patch: Value) -> Result<(), ApplyError> {
        patch["metadata"]["uid"] = json!(version.uid);
        patch["metadata"]["resourceVersion"] = json!(version.resource_version);
        let sets: Api<StatefulSet> = self.api();
        let written = sets.patch(&version.name, &manager(), &Patch::Merge(patch)).await;
        written.map(drop).map_err(failed("StatefulSet", &version.name))
    }
}

/// An object that belongs to a job, in the job's namespace.
pub(crate) trait Child:
    kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
    + Clone
    + std::fmt::Debug
    + serde::Serialize
    + serde::de::DeserializeOwned
{
}

impl<K> Child for K where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned
{
}

fn manager() -> PatchParams {
    PatchParams { field_manager: Some(names::MANAGER.to_owned()), ..PatchParams::default() }
}

/// Deletes what was read, and nothing that took its name or changed since.
pub(crate) async fn delete<K>(
    api: &Api<K>,
    what: &'static str,
    version: &Version,
    params: DeleteParams,
) -> Result<(), ApplyError>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let only = Preconditions {
        uid: Some(version.uid.clone()),
        resource_version: Some(version.resource_version.clone()),
    };
    let deleted = api.delete(&version.name, &params.preconditions(only)).await;
    match deleted {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop).map_err(failed(what, &version.name)),
    }
}
