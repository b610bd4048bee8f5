//! Looks: everything that a decision about one job rests on. First what can be read
//! ([`observe`]), then, once it is known what the spec stands for, what can only be asked ([`ask()`]).
//!
//! - **In**: the API server and the job's worker processes. **Out**: one [`Observed`], and the
//!   [`crate::decide::Facts`].
//! - **Always**: read from the API server itself, never from a cache that may lag behind this
//!   operator's own writes. A worker that does not answer within two seconds is left out.
//! - **Deliberately absent**: writes, and conclusions.

mod ask;
mod nodes;
mod problem;
mod read;

use std::collections::BTreeMap;
use std::time::Duration;

pub use ask::ask;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
pub use nodes::Heartbeats;
use read::{has_published, read_failure, read_one_shot, read_plan_pod, read_set};
use serde::de::DeserializeOwned;
use weir_crds::kube::StreamJob;

use crate::build::Owner;
use crate::clock::Clock;
use crate::config::Defaults;
use crate::context::Context;
use crate::decide::{LastFailure, OneShot, PlanPod, PodFacts, Problem, SetFacts};
use crate::names;
use crate::ownership::{Whose, whose};
use crate::validate::{Program, read_program};
use crate::workers::Workers;

/// Workers that are asked at the same time.
const CALLS_AT_ONCE: usize = 32;
/// Pods that lack for this long have a reason worth looking for.
const PATIENCE: Duration = Duration::from_secs(3);

/// A read failed.
#[derive(Debug, thiserror::Error)]
#[error("reading {what} of job {namespace}/{name}: {source}")]
pub struct ObserveError {
    what: &'static str,
    namespace: String,
    name: String,
    source: kube::Error,
}

/// What was read about a job.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When.
    pub now: Timestamp,
    /// The job.
    pub job: StreamJob,
    /// Whose children are looked at.
    pub owner: Owner,
    /// The defaults that it was accepted with, as the job says or else its sets; the installation's
    /// before it is accepted.
    pub defaults: Defaults,
    /// The job itself says with which defaults it was accepted.
    pub defaults_recorded: bool,
    /// The job has published checkpoints, by whatever says so.
    pub published: bool,
    /// The root below which it has, where that is recorded.
    pub published_root: Option<String>,
    /// The program that `spec.sqlFrom` names. A job on its way out needs none any more.
    pub program: Option<Program>,
    /// Nothing can be created in its namespace any more.
    pub namespace_terminating: bool,
    /// Its StatefulSets, with the version that was read.
    pub sets: Vec<(SetFacts, Version)>,
    /// Its worker pods, with the version that was read.
    pub pods: Vec<(PodFacts, Version)>,
    /// The last end of a worker process that Kubernetes knows of.
    pub last_failure: Option<LastFailure>,
    /// The pod that deletes its state.
    pub state_pod: Option<(OneShot, Version)>,
    /// Pods that plan a program in its own image.
    pub plan_pods: Vec<(PlanPod, Version)>,
}

/// Which object, in which version, a decision is about: the precondition of its deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its resource version.
    pub resource_version: String,
}

impl Version {
    pub(crate) fn of(object: &impl ResourceExt) -> Self {
        Self {
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            resource_version: object.resource_version().unwrap_or_default(),
        }
    }
}

impl ObserveError {
    fn new(what: &'static str, namespace: &str, name: &str, source: kube::Error) -> Self {
        Self { what, namespace: namespace.to_owned(), name: name.to_owned(), source }
    }
}

/// Reads everything about the job; none when it is gone.
///
/// # Errors
/// The API server did not answer a read.
pub async fn observe(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<Option<Observed>, ObserveError> {
    let observer = Observer {
        client: &context.client,
        workers: context.workers.as_ref(),
        clock: &context.clock,
        heartbeats: &context.heartbeats,
    };
    observer.observe(context, namespace, name).await
}

/// Reads about one job.
struct Observer<'a> {
    client: &'a Client,
    workers: &'a dyn Workers,
    clock: &'a Clock,
    heartbeats: &'a Heartbeats,
}

impl Observer<'_> {
    async fn observe(
        &self,
        context: &Context,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Observed>, ObserveError> {
        let failed =
            |what: &'static str| move |source| ObserveError::new(what, namespace, name, source);
        let jobs: Api<StreamJob> = Api::namespaced(self.client.clone(), namespace);
        let Some(job) = jobs.get_opt(name).await.map_err(failed("the resource"))? else {
            return Ok(None);
        };
        let uid = job.uid().unwrap_or_default();
        // From here on every line of the round's log says which job it is about, and which state
        // of its spec.
        tracing::Span::current().record("uid", &uid).record("generation", job.metadata.generation);
        let resolved = |annotations: &BTreeMap<String, String>| {
            let text = annotations.get(names::RESOLVED)?;
            serde_json::from_str::<Defaults>(text).ok()
        };
        let program = self.program(&job, namespace).await.map_err(failed("the program"))?;
        let namespace_terminating = job.metadata.deletion_timestamp.is_some()
            && self.terminating(namespace).await.map_err(failed("the namespace"))?;
        let label = format!("{}={name}", names::JOB);
        let sets = list::<StatefulSet>(self.client, namespace, &label);
        let pods = list::<Pod>(self.client, namespace, &label);
        let (sets, pods) = futures::join!(sets, pods);
        let (sets, pods) = (sets.map_err(failed("StatefulSets"))?, pods.map_err(failed("pods"))?);

        let now = self.clock.now();
        let theirs = |set: &&StatefulSet| matches!(whose(*set, name, &uid), Whose::Other(_));
        // Not the job's, and in its way only where they have the name of one of its own.
        let foreign: Vec<String> = sets.iter().filter(theirs).filter_map(|it| it.uid()).collect();
        let sets: Vec<StatefulSet> = sets.into_iter().filter(|set| !theirs(&set)).collect();
        let ours = sets.iter().filter(|set| whose(*set, name, &uid) == Whose::Ours);
        let recovered = ours.filter_map(|set| resolved(set.annotations())).next_back();
        let own = resolved(job.annotations());
        let mut set_facts = Vec::with_capacity(sets.len());
        for set in &sets {
            let problem = self.set_problem(set, namespace, now).await;
            let whose = whose(set, name, &uid);
            set_facts.push((read_set(set, &whose, now, problem), Version::of(set)));
        }
        let of_foreign =
            |pod: &&Pod| pod.owner_references().iter().any(|owner| foreign.contains(&owner.uid));
        let pods: Vec<Pod> = pods.into_iter().filter(|pod| !of_foreign(&pod)).collect();
        let recorded = job.annotations().get(names::PUBLISHED).cloned();
        let published_root =
            recorded.or_else(|| set_facts.iter().find_map(|(set, _)| set.published.clone()));
        let published = published_root.is_some() || has_published(&job, &set_facts);
        let is_worker = |pod: &&Pod| component(pod) == Some("worker");
        let (workers, others): (Vec<&Pod>, Vec<&Pod>) = pods.iter().partition(is_worker);
        let last_failure = workers.iter().filter_map(|pod| read_failure(pod)).next_back();
        let calls: Vec<_> = workers.into_iter().map(|pod| self.pod(pod).boxed()).collect();
        let mut pod_facts: Vec<(PodFacts, Version)> =
            futures::stream::iter(calls).buffer_unordered(CALLS_AT_ONCE).collect().await;
        pod_facts.sort_by(|a, b| (&a.0.revision, a.0.ordinal).cmp(&(&b.0.revision, b.0.ordinal)));
        let timeout = job.spec.node_lost_timeout;
        for (pod, _) in &mut pod_facts {
            // From the first silence on: pods of a silent node are called ready for 50 s more, and
            // the job's own patience would begin only then.
            if let (None, Some(node)) = (&pod.report, &pod.node) {
                pod.node_lost =
                    self.heartbeats.is_lost(self.client, self.clock, node, timeout).await;
            }
        }
        let wanted = names::state_pod(name, &uid);
        let plans = others.iter().filter(|pod| component(pod) == Some("plan"));
        let plan_pods = plans.map(|pod| (read_plan_pod(pod), Version::of(*pod))).collect();
        let state_pod = others.into_iter().find(|pod| pod.name_any() == wanted);
        let state_pod = state_pod.map(|pod| (read_one_shot(pod), Version::of(pod)));
        Ok(Some(Observed {
            now,
            owner: Owner::of(&job, &context.namespace),
            defaults_recorded: own.is_some(),
            defaults: own.or(recovered).unwrap_or_else(|| context.defaults.clone()),
            job,
            published,
            published_root,
            program,
            namespace_terminating,
            sets: set_facts,
            pods: pod_facts,
            last_failure,
            state_pod,
            plan_pods,
        }))
    }

    async fn pod(&self, pod: &Pod) -> (PodFacts, Version) {
        let status = pod.status.as_ref();
        let ip = status.and_then(|status| status.pod_ip.clone()).filter(|ip| !ip.is_empty());
        let report = match &ip {
            Some(ip) => self.workers.report(ip).await.ok(),
            None => None,
        };
        let answers = report.as_ref().is_some_and(|report| report.problem.is_empty());
        let mut found = problem::pod_problem(pod, answers);
        if found.is_none()
            && let Some(since) = problem::prepares_since(pod)
            && crate::clock::age(self.clock.now(), since) >= PATIENCE
        {
            found = self.mount_problem(pod).await;
        }
        if found.is_none()
            && let Some(report) = &report
            && !report.problem.is_empty()
        {
            found = Some(Problem {
                object: pod.name_any(),
                reason: "WorkerProblem".to_owned(),
                message: report.problem.clone(),
                class: crate::decide::ProblemClass::Passing,
                exit_code: None,
            });
        }
        let conditions = status.and_then(|status| status.conditions.as_deref());
        let ready = conditions
            .unwrap_or_default()
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True");
        let facts = PodFacts {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            revision: pod.labels().get(names::REVISION).cloned().unwrap_or_default(),
            ordinal: names::ordinal(&pod.name_any()).unwrap_or(0),
            ready,
            deleting: pod.metadata.deletion_timestamp.is_some(),
            ip,
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            node_lost: false,
            problem: found,
            restarts: problem::restarts(pod),
            report,
        };
        (facts, Version::of(pod))
    }

    async fn program(
        &self,
        job: &StreamJob,
        namespace: &str,
    ) -> Result<Option<Program>, kube::Error> {
        if job.metadata.deletion_timestamp.is_some() {
            return Ok(Some(Ok(String::new())));
        }
        let Some(from) = &job.spec.sql_from else { return Ok(None) };
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let map = maps.get_opt(&from.config_map_key_ref.name).await?;
        let program = read_program(from, namespace, map.map(|map| map.data.unwrap_or_default()));
        Ok(Some(program))
    }

    async fn terminating(&self, namespace: &str) -> Result<bool, kube::Error> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = namespaces.get_opt(namespace).await?;
        Ok(namespace.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()))
    }

    /// Why a set has too few pods: the API server's refusals stand in events only. Best effort.
    async fn set_problem(
        &self,
        set: &StatefulSet,
        namespace: &str,
        now: Timestamp,
    ) -> Option<Problem> {
        let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
        let there = set.status.as_ref().map_or(0, |status| status.replicas);
        let made = set.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
        if there >= wanted || crate::clock::age(now, made) < PATIENCE {
            return None;
        }
        let name = set.name_any();
        let message = self.newest_event(namespace, &name, "FailedCreate").await?;
        Some(problem::set_problem(&name, &message))
    }

    /// Why a pod is not given its volumes. Best effort.
    async fn mount_problem(&self, pod: &Pod) -> Option<Problem> {
        let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
        let message = self.newest_event(&namespace, &name, "FailedMount").await?;
        Some(problem::mount_problem(&name, &message))
    }

    async fn newest_event(&self, namespace: &str, object: &str, reason: &str) -> Option<String> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let fields = format!("involvedObject.name={object},reason={reason}");
        let found = events.list(&ListParams::default().fields(&fields)).await.ok()?;
        found.items.into_iter().max_by_key(event_time)?.message
    }
}

fn event_time(event: &Event) -> Option<Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    last.or_else(|| event.event_time.as_ref().map(|time| time.0))
}

async fn list<K>(client: &Client, namespace: &str, label: &str) -> Result<Vec<K>, kube::Error>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    Ok(api.list(&ListParams::default().labels(label)).await?.items)
}

/// What a pod is for.
pub(crate) fn component(pod: &Pod) -> Option<&str> {
    pod.labels().get(names::COMPONENT).map(String::as_str)
}
