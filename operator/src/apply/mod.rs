//! Writes: the children of a job, its finalizer, its pods.
//!
//! - **In**: a decision and what was read before it. **Out**: the fewest writes that carry it out.
//! - **Always**: any prefix of these writes may be all that happens; the next round goes on from
//!   there. A change of something that exists, and a deletion, carry the UID and the version that
//!   were read; what is missing is created and never applied over something that came since. So a
//!   decision made on old facts fails instead of doing harm, and nobody else's object is written.
//! - **Deliberately absent**: decisions; server-side apply, which cannot say "only if it is not
//!   there", and could so take over an object that came between look and write.

mod children;
mod ensure;

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
            Self::Write { what, name, source: kube::Error::Api(status) } => {
                refused(what, name, status.code, &status.message)
            }
            Self::Write { .. } => None,
        }
    }
}

/// The API server's own refusals by their code and words. Most of a pod is the user's: resources,
/// volumes, tolerations, the template as a whole.
fn refused(what: &str, name: &str, code: u16, words: &str) -> Option<Refusal> {
    let says = |part: &str| words.contains(part);
    if code == 422 && matches!(what, "StatefulSet" | "Pod") && !says("webhook") {
        return Some(Refusal::new(
            "InvalidTemplate",
            format!(
                "spec.workers: the cluster refuses the pods that it asks for: {words}; correct \
                 that field of workers or of workers.podTemplate"
            ),
        ));
    }
    let for_good = matches!(code, 400 | 402 | 403 | 405..=407 | 411..=428);
    // A webhook that does not answer is told like one that says no.
    if says("is being terminated") || !(for_good || code >= 500 && says("webhook")) {
        return None;
    }
    let (reason, fix) = if says("exceeded quota") {
        ("QuotaExceeded", "raise the namespace's ResourceQuota, or delete what uses it up")
    } else if says("webhook") {
        (
            "AdmissionDenied",
            "correct what it names in spec.workers, or ask those who run that webhook",
        )
    } else if says("cannot create resource") || says("cannot patch resource") {
        ("OperatorForbidden", "give the operator the rights that its chart lists")
    } else {
        ("Refused", "the cluster's answer above names what forbids it")
    };
    Some(Refusal::new(
        reason,
        format!("{what} {name} cannot be written: {words}; {fix}; it is tried again"),
    ))
}

fn failed(what: &'static str, name: &str) -> impl FnOnce(kube::Error) -> ApplyError {
    let name = name.to_owned();
    move |source| ApplyError::Write { what, name, source }
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

    /// Notes on the job that its state exists, and where: from now on it never starts without it.
    ///
    /// # Errors
    /// The API server refused the write, or the job has changed since it was read.
    pub async fn note_published(&self, job: &StreamJob, root: &str) -> Result<(), ApplyError> {
        let version = job.resource_version();
        let annotations = json!({names::PUBLISHED: root});
        self.patch_job(job, json!({"resourceVersion": version, "annotations": annotations})).await
    }

    async fn patch_job(&self, job: &StreamJob, metadata: Value) -> Result<(), ApplyError> {
        let jobs: Api<StreamJob> = Api::namespaced(self.client.clone(), &self.owner.namespace);
        let name = job.name_any();
        let mut metadata = metadata;
        metadata["uid"] = json!(self.owner.uid);
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
            if let Some((set, version)) = read {
                let of_set = accepted.filter(|accepted| accepted.revision == set.revision);
                let template =
                    of_set.map(|accepted| self.desired_set(accepted, scale.replicas, observed));
                self.scale(scale, version, accepted, template).await?;
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
            self.remove_children().await?;
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

    /// One write: replicas and the note of how the job ended change together, and what earlier
    /// versions did not note of it. `template`: of the set as it would be made now.
    async fn scale(
        &self,
        scale: &Scale,
        version: &Version,
        accepted: Option<&Accepted>,
        template: Option<Value>,
    ) -> Result<(), ApplyError> {
        let stopped = scale.stopped.as_ref().and_then(|it| serde_json::to_string(it).ok());
        let mut patch = json!({
            "metadata": {
                "uid": version.uid,
                "resourceVersion": version.resource_version,
                "labels": {names::JOB_UID: self.owner.uid},
                "ownerReferences": null,
                "annotations": {
                    names::STOPPED: stopped,
                    names::SINCE: scale.since.to_string(),
                    names::STOPPING: scale.stopping.map(|time| time.to_string()),
                    names::STABLE: scale.stable,
                    names::PUBLISHED: scale.published,
                },
            },
            "spec": {"replicas": scale.replicas},
        });
        if let Some(resolved) = accepted.and_then(|it| serde_json::to_string(&it.resolved).ok()) {
            patch["metadata"]["annotations"][names::RESOLVED] = json!(resolved);
        }
        // Pods that run are left alone: the set replaces none because of another template.
        let mut annotations = serde_json::Map::new();
        if scale.published.is_some() {
            annotations.insert(names::MUST_EXIST.to_owned(), json!("true"));
        }
        if let Some(supersedes) = &scale.supersedes {
            annotations.insert(names::SUPERSEDES.to_owned(), json!(supersedes.join(",")));
        }
        if !annotations.is_empty() {
            patch["spec"]["template"] = json!({"metadata": {"annotations": annotations}});
        }
        // A set that is resumed gets the pods that it would get if it were made now.
        if let (Some(_), Some(set)) = (&scale.supersedes, template) {
            patch["spec"]["template"]["spec"] = set["spec"]["template"]["spec"].clone();
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
            // A webhook that cannot be asked without consequences says nothing about the set.
            Err(error) if error.to_string().contains("does not support dry run") => Ok(None),
            Err(error) => error.refusal().map(Some).ok_or(error),
            Ok(()) => Ok(None),
        }
    }

    fn desired_set(&self, accepted: &Accepted, replicas: u32, observed: &Observed) -> Value {
        let sets = observed.sets.iter().map(|(set, _)| set);
        let supersedes = predecessors(&accepted.revision, sets);
        let known = observed.sets.iter().map(|(set, _)| set).filter(|set| set.stable.is_some());
        let stable = known.max_by_key(|set| set.since).and_then(|set| set.stable.as_deref());
        let begin = build::Begin {
            supersedes: &supersedes,
            stable,
            must_exist: observed.published || accepted.adopt.is_some(),
            since: observed.now,
        };
        build::build_set(self.owner, accepted, replicas, &begin)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cluster_refuses_for_good_is_told_apart_from_what_passes() {
        let quota = "statefulsets.apps \"x\" is forbidden: exceeded quota: small";
        let says_no = "admission webhook \"a.b\" denied the request: no";
        let silent = "failed calling webhook \"a.b\": context deadline exceeded";
        let rights = "services is forbidden: User \"weir\" cannot create resource \"services\"";
        let leaving = "unable to create new content because it is being terminated";
        for (what, code, words, reason) in [
            ("StatefulSet", 403, quota, Some("QuotaExceeded")),
            ("Service", 403, says_no, Some("AdmissionDenied")),
            ("StatefulSet", 422, says_no, Some("AdmissionDenied")),
            ("StatefulSet", 500, silent, Some("AdmissionDenied")),
            ("StatefulSet", 422, "spec.template: wrong", Some("InvalidTemplate")),
            ("ConfigMap", 422, "data: too long", Some("Refused")),
            ("Service", 403, rights, Some("OperatorForbidden")),
            ("Service", 403, leaving, None),
            ("Service", 409, "the object has been modified", None),
            ("Service", 404, "not found", None),
            ("Service", 429, "too many requests", None),
            ("Service", 500, "etcdserver: request timed out", None),
        ] {
            let refusal = refused(what, "flights-workers", code, words);
            assert_eq!(refusal.as_ref().map(|it| it.reason), reason, "{code} {words}");
            assert!(refusal.is_none_or(|it| it.message.contains(words)), "{words}");
        }
    }
}
