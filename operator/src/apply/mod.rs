//! Writes: the children of a job, its finalizer, its pods.
//!
//! - **In**: a decision and what was read before it. **Out**: the fewest writes that carry it out.
//! - **Always**: any prefix of these writes may be all that happens; the next round goes on from
//!   there. A change of something that exists carries the version that was read, a deletion its
//!   UID as well, so a decision made on old facts fails instead of doing harm.
//! - **Deliberately absent**: decisions.

mod children;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use weir_crds::kube::StreamJob;

use crate::build::{self, Owner};
use crate::config::Defaults;
use crate::decide::{Decision, Scale, predecessors};
use crate::names;
use crate::observe::{Observed, Version};
use crate::validate::{Accepted, Refusal};

/// A write failed.
#[derive(Debug, thiserror::Error)]
#[error("writing {what} {name}: {source}")]
pub struct ApplyError {
    what: &'static str,
    name: String,
    /// The API server's answer.
    #[source]
    pub source: kube::Error,
}

impl ApplyError {
    /// The facts were old, or somebody was faster: a new look will tell.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(&self.source, kube::Error::Api(status) if matches!(status.code, 404 | 409))
    }

    /// What is wrong with the user's part of a child that the API server calls invalid. Most of a
    /// pod is the user's: resources, volumes, tolerations, the template as a whole.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let kube::Error::Api(status) = &self.source else { return None };
        (status.code == 422 && matches!(self.what, "StatefulSet" | "Pod")).then(|| {
            Refusal::new(
                "InvalidTemplate",
                format!(
                    "spec.workers: the cluster refuses the pods that it asks for: {}; correct \
                     that field of workers or of workers.podTemplate",
                    status.message
                ),
            )
        })
    }
}

fn failed(what: &'static str, name: &str) -> impl FnOnce(kube::Error) -> ApplyError {
    let name = name.to_owned();
    move |source| ApplyError { what, name, source }
}

/// Writes for one job.
pub struct Applier<'a> {
    /// The API server.
    pub client: &'a Client,
    /// Whose children are written.
    pub owner: &'a Owner,
}

impl Applier<'_> {
    /// Takes the job: from now on it cannot go before its state is as it is to be, and the
    /// defaults that it was accepted with are fixed. One write.
    ///
    /// # Errors
    /// The API server refused the write, or the job has changed since it was read.
    pub async fn accept(&self, job: &StreamJob, resolved: &Defaults) -> Result<(), ApplyError> {
        let mut finalizers = job.finalizers().to_vec();
        if !finalizers.iter().any(|it| it == names::FINALIZER) {
            finalizers.push(names::FINALIZER.to_owned());
        }
        let resolved = serde_json::to_string(resolved).unwrap_or_default();
        self.patch_job(
            job,
            json!({
                "resourceVersion": job.resource_version(),
                "finalizers": finalizers,
                "annotations": {names::RESOLVED: resolved},
            }),
        )
        .await
    }

    async fn patch_job(&self, job: &StreamJob, metadata: Value) -> Result<(), ApplyError> {
        let jobs: Api<StreamJob> = Api::namespaced(self.client.clone(), &self.owner.namespace);
        let name = job.name_any();
        let patch = Patch::Merge(json!({"metadata": metadata}));
        let written = jobs.patch_metadata(&name, &manager(), &patch).await;
        written.map(drop).map_err(failed("StreamJob", &name))
    }

    /// Carries out a decision, in the order of its fields; what only follows the spec is there
    /// ([`Applier::apply_children`]). `accepted` is the spec, when it can be
    /// run.
    ///
    /// # Errors
    /// The first write that failed; what came before it stands.
    pub async fn apply(
        &self,
        decision: &Decision,
        observed: &Observed,
        accepted: Option<&Accepted>,
    ) -> Result<(), ApplyError> {
        for scale in &decision.scale {
            let read = observed.sets.iter().find(|(set, _)| set.name == scale.name);
            if let Some((_, version)) = read {
                self.scale(scale, version).await?;
            }
        }
        if let (Some(replicas), Some(accepted)) = (decision.create, accepted) {
            self.create_set(accepted, replicas, observed).await?;
        }
        let sets: Api<StatefulSet> = self.api();
        for (set, version) in &observed.sets {
            if decision.delete_sets.contains(&set.name) {
                delete(&sets, "StatefulSet", version, DeleteParams::background()).await?;
            }
        }
        let pods: Api<Pod> = self.api();
        for (pod, version) in &observed.pods {
            if decision.give_up.contains(&pod.name) {
                let now = DeleteParams::default().grace_period(0);
                delete(&pods, "Pod", version, now).await?;
            }
        }
        for (pod, version) in &observed.plan_pods {
            if decision.delete_plans.contains(&pod.name) {
                delete(&pods, "Pod", version, DeleteParams::default()).await?;
            }
        }
        if decision.plan_pod
            && let Some(accepted) = accepted
            && observed.plan_pods.iter().all(|(pod, _)| pod.revision != accepted.revision)
        {
            let pod = build::build_plan_pod(self.owner, accepted);
            self.create::<Pod>("Pod", pod).await?;
        }
        if decision.collect_state
            && let Some(accepted) = accepted
        {
            self.collect_state(observed, accepted).await?;
        }
        if decision.release {
            let finalizers = observed.job.finalizers().iter();
            let kept: Vec<&String> = finalizers.filter(|it| *it != names::FINALIZER).collect();
            let version = observed.job.resource_version();
            let metadata = json!({"resourceVersion": version, "finalizers": kept});
            self.patch_job(&observed.job, metadata).await?;
        }
        Ok(())
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.owner.namespace)
    }

    /// One write: replicas and the note of how the job ended change together.
    async fn scale(&self, scale: &Scale, version: &Version) -> Result<(), ApplyError> {
        let stopped = scale.stopped.as_ref().and_then(|it| serde_json::to_string(it).ok());
        let mut patch = json!({
            "metadata": {
                "uid": version.uid,
                "resourceVersion": version.resource_version,
                "annotations": {
                    names::STOPPED: stopped,
                    names::SINCE: scale.since.to_string(),
                    names::STOPPING: scale.stopping.map(|time| time.to_string()),
                    names::STABLE: scale.stable,
                },
            },
            "spec": {"replicas": scale.replicas},
        });
        if let Some(supersedes) = &scale.supersedes {
            let annotations = json!({ names::SUPERSEDES: supersedes.join(",") });
            patch["spec"]["template"] = json!({"metadata": {"annotations": annotations}});
        }
        let sets: Api<StatefulSet> = self.api();
        let written = sets.patch(&scale.name, &manager(), &Patch::Merge(patch)).await;
        written.map(drop).map_err(failed("StatefulSet", &scale.name))
    }

    /// Created and never applied: whoever decided on old facts must not change a set that exists.
    async fn create_set(
        &self,
        accepted: &Accepted,
        replicas: u32,
        observed: &Observed,
    ) -> Result<(), ApplyError> {
        let set = self.desired_set(accepted, replicas, observed);
        self.create::<StatefulSet>("StatefulSet", set).await
    }

    /// Why the cluster would refuse the spec's set, if it would. Nothing is written.
    ///
    /// # Errors
    /// It did not answer, or not about the set.
    pub async fn try_set(
        &self,
        accepted: &Accepted,
        observed: &Observed,
    ) -> Result<Option<Refusal>, ApplyError> {
        let set = self.desired_set(accepted, observed.job.spec.parallelism, observed);
        match self.post::<StatefulSet>("StatefulSet", set, true).await {
            // It exists from an earlier time.
            Err(error) if error.is_conflict() => Ok(None),
            Err(error) => error.refusal().map(Some).ok_or(error),
            Ok(()) => Ok(None),
        }
    }

    fn desired_set(&self, accepted: &Accepted, replicas: u32, observed: &Observed) -> Value {
        let sets = observed.sets.iter().map(|(set, _)| set);
        let supersedes = predecessors(&accepted.revision, sets);
        let known = observed.sets.iter().map(|(set, _)| set).filter(|set| set.stable.is_some());
        let stable = known.max_by_key(|set| set.since).and_then(|set| set.stable.as_deref());
        let now = observed.now;
        build::build_set(self.owner, accepted, replicas, &supersedes, stable, now)
    }

    async fn collect_state(
        &self,
        observed: &Observed,
        accepted: &Accepted,
    ) -> Result<(), ApplyError> {
        match &observed.state_pod {
            None => {
                let pod = build::build_state_pod(self.owner, accepted);
                self.create::<Pod>("Pod", pod).await
            }
            Some((crate::decide::OneShot::Failed(_), version)) => {
                delete(&self.api::<Pod>(), "Pod", version, DeleteParams::default()).await
            }
            Some(_) => Ok(()),
        }
    }

    async fn create<K: Child>(&self, what: &'static str, object: Value) -> Result<(), ApplyError> {
        self.post::<K>(what, object, false).await
    }

    /// `dry`: only to see whether it would be taken.
    async fn post<K: Child>(
        &self,
        what: &'static str,
        object: Value,
        dry: bool,
    ) -> Result<(), ApplyError> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let broken = |error| failed(what, &name)(kube::Error::SerdeError(error));
        let object: K = serde_json::from_value(object).map_err(broken)?;
        let params = PostParams { field_manager: Some(names::MANAGER.to_owned()), dry_run: dry };
        let created = self.api::<K>().create(&params, &object).await;
        created.map(drop).map_err(failed(what, &name))
    }
}

/// An object that belongs to a job, in the job's namespace.
trait Child:
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
async fn delete<K>(
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
