//! A small faithful model of worker processes and their store, behind the operator's calls.
//!
//! - **In**: the cluster's pods, and the operator's calls. **Out**: reports, as workers give them.
//! - **Always**: the store outlives every process; a new coordinator goes on from its head at the
//!   next term; an operation is carried out at the step after it was begun, once for each id.
//! - **Deliberately absent**: data. A row is a number that grows.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

pub mod scenarios;
pub mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use parking_lot::Mutex;
use serde_json::Value;
use weir_operator::workers::{
    BeginReply, CallError, CoordinatorReport, JobEnd, JobStatus, Operation, OperationKind,
    OperationOutcome, OperationReport, PlanReply, RunState, TerminateReply, WorkerReport, Workers,
    job_end, operation,
};

use crate::double::{Cluster, PodOutcome};

/// Rows after which a bounded job has read everything.
const BOUND: u64 = 6;

/// What the store holds of one job.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// The job that it belongs to.
    pub job_uid: String,
    /// The revision that led last.
    pub revision: String,
    pub term: u64,
    pub epoch: u64,
    pub parallelism: u32,
    pub savepoints: BTreeSet<String>,
    pub finished: bool,
    pub rows: u64,
}

#[derive(Clone, Debug)]
struct Process {
    pod: String,
    namespace: String,
    job: String,
    job_uid: String,
    revision: String,
    supersedes: Vec<String>,
    must_exist: bool,
    adopts: String,
    uid: String,
    ordinal: u32,
    wanted: u32,
    ip: String,
    bounded: bool,
    silent: bool,
    /// Names of what is set in its environment.
    variables: BTreeSet<String>,
    coordinates: Option<Leadership>,
}

#[derive(Clone, Debug, Default)]
struct Leadership {
    term: u64,
    restored: u64,
    published_ms: u64,
    parallelism: u32,
    assigned: Vec<u32>,
    pending: Option<Operation>,
    done: Vec<OperationReport>,
    published: u64,
    end: Option<JobEnd>,
}

#[derive(Default)]
struct World {
    chains: BTreeMap<String, Chain>,
    processes: BTreeMap<String, Process>,
    bad: BTreeSet<String>,
    bounded: BTreeSet<String>,
    lost_nodes: BTreeSet<String>,
    /// UIDs of pods whose processes were told of their deletion.
    left: BTreeSet<String>,
    stuck: BTreeMap<String, PodOutcome>,
    violations: Vec<String>,
    collected: BTreeSet<String>,
    /// UIDs of jobs that have published.
    published: BTreeSet<String>,
    refuse_savepoints: u32,
}

/// The processes and the store of all jobs. Clones are the same.
#[derive(Clone, Default)]
pub struct Model {
    world: Arc<Mutex<World>>,
}

impl Model {
    /// Plays the pods of `cluster`.
    pub fn attach(cluster: &Cluster) -> Self {
        let model = Self::default();
        let world = model.world.clone();
        cluster.decide_pods(move |pod| outcome(&mut world.lock(), pod));
        model
    }

    /// The store of a job.
    pub fn chain(&self, namespace: &str, job: &str) -> Option<Chain> {
        self.world.lock().chains.get(&format!("{namespace}/{job}")).cloned()
    }

    /// Somebody removes the store of a job.
    pub fn lose_chain(&self, namespace: &str, job: &str) {
        self.world.lock().chains.remove(&format!("{namespace}/{job}"));
    }

    /// What must never have happened, and did.
    pub fn violations(&self) -> Vec<String> {
        self.world.lock().violations.clone()
    }

    /// Pods of `revision` (or all, for an empty one) fare like this from now on.
    pub fn stick(&self, revision: &str, outcome: Option<PodOutcome>) {
        let mut world = self.world.lock();
        match outcome {
            Some(outcome) => world.stuck.insert(revision.to_owned(), outcome),
            None => world.stuck.remove(revision),
        };
    }

    /// The next savepoints fail.
    pub fn refuse_savepoints(&self, times: u32) {
        self.world.lock().refuse_savepoints = times;
    }

    /// Whether the process of a pod has handed its work on before it was ended.
    pub fn has_left(&self, pod_uid: &str) -> bool {
        self.world.lock().left.contains(pod_uid)
    }

    /// Processes on `node` answer no more.
    pub fn lose_node(&self, node: &str) {
        self.world.lock().lost_nodes.insert(node.to_owned());
    }

    /// Processes start and end with their pods; then every coordinator does one thing.
    pub fn step(&self, cluster: &Cluster) {
        let configs: Vec<ConfigMap> = cluster.list("");
        let pods: Vec<Pod> = cluster.list("");
        let now = u64::try_from(cluster.now_ms()).unwrap();
        let mut world = self.world.lock();
        for config in configs {
            let Some(revision) = config.labels().get("weir.dev/revision") else { continue };
            let text = config.data.clone().unwrap_or_default().remove("job.yaml");
            let text = text.unwrap_or_default();
            if text.contains("BAD") {
                world.bad.insert(revision.clone());
            }
            if text.contains("BOUNDED") {
                world.bounded.insert(revision.clone());
            }
        }
        world.sync(&pods);
        world.coordinate(now);
        world.act(now);
    }
}

fn outcome(world: &mut World, pod: &Value) -> PodOutcome {
    let labels = &pod["metadata"]["labels"];
    if labels["app.kubernetes.io/component"] == "state" {
        let job = labels["weir.dev/job"].as_str().unwrap();
        let namespace = pod["metadata"]["namespace"].as_str().unwrap();
        let place = format!("{namespace}/{job}");
        let command = pod["spec"]["containers"][0]["command"].to_string();
        assert!(command.contains(&place), "{command}");
        world.chains.remove(&place);
        world.collected.insert(place);
        return PodOutcome::Ended { exit_code: 0, message: String::new() };
    }
    let revision = labels["weir.dev/revision"].as_str().unwrap_or_default();
    let image = pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    if image.contains("missing") {
        return PodOutcome::ImagePullBackOff("manifest unknown".to_owned());
    }
    let plans = labels["app.kubernetes.io/component"] == "plan";
    if plans && !world.bad.contains(revision) {
        return PodOutcome::Ended { exit_code: 0, message: String::new() };
    }
    if let Some(outcome) = world.stuck.get(revision).or_else(|| world.stuck.get("")) {
        return outcome.clone();
    }
    if world.bad.contains(revision) {
        return PodOutcome::CrashLoopBackOff {
            exit_code: 2,
            message: "sql:1:8: table \"BAD\" not found".to_owned(),
            restarts: 3,
        };
    }
    PodOutcome::Ready
}

impl World {
    fn sync(&mut self, pods: &[Pod]) {
        let mut alive = BTreeSet::new();
        for pod in pods {
            let labels = pod.labels();
            if labels.get("app.kubernetes.io/component").is_none_or(|it| it != "worker") {
                continue;
            }
            let status = pod.status.clone().unwrap_or_default();
            let containers = status.container_statuses.unwrap_or_default();
            let runs = containers
                .iter()
                .any(|it| it.state.as_ref().is_some_and(|state| state.running.is_some()));
            if !runs {
                continue;
            }
            let uid = pod.uid().unwrap();
            let spec = pod.spec.as_ref().unwrap();
            let worker = spec.containers.iter().find(|it| it.name == "worker").unwrap();
            let env = |name: &str| {
                let found = worker.env.iter().flatten().find(|it| it.name == name);
                found.and_then(|it| it.value.clone()).unwrap_or_default()
            };
            let revision = labels["weir.dev/revision"].clone();
            let silent = spec.node_name.as_ref().is_some_and(|node| self.lost_nodes.contains(node));
            let silent = silent || self.left.contains(&uid);
            alive.insert(uid.clone());
            let process = self.processes.entry(uid.clone()).or_insert_with(|| Process {
                uid,
                must_exist: pod
                    .annotations()
                    .get("weir.dev/must-exist")
                    .is_some_and(|it| it == "true"),
                pod: pod.name_any(),
                namespace: pod.namespace().unwrap(),
                job: labels["weir.dev/job"].clone(),
                job_uid: env("WEIR_JOB_UID"),
                adopts: env("WEIR_ADOPT_UID"),
                revision: revision.clone(),
                supersedes: pod
                    .annotations()
                    .get("weir.dev/supersedes")
                    .map(|list| list.split(',').map(str::to_owned).collect())
                    .unwrap_or_default(),
                ordinal: pod.name_any().rsplit_once('-').unwrap().1.parse().unwrap(),
                wanted: env("WEIR_PARALLELISM").parse().unwrap(),
                ip: status.pod_ip.clone().unwrap(),
                bounded: self.bounded.contains(&revision),
                silent,
                variables: worker.env.iter().flatten().map(|it| it.name.clone()).collect(),
                coordinates: None,
            });
            process.silent = silent;
        }
        self.processes.retain(|uid, _| alive.contains(uid));
    }

    /// Where nobody coordinates, the lowest ordinal takes over at the next term.
    fn coordinate(&mut self, now: u64) {
        let jobs: BTreeSet<(String, String, String)> = self
            .processes
            .values()
            .filter(|process| !process.silent)
            .map(|it| (it.namespace.clone(), it.job.clone(), it.revision.clone()))
            .collect();
        for (namespace, job, revision) in jobs {
            let place = format!("{namespace}/{job}");
            let peers =
                |it: &&mut Process| it.namespace == namespace && it.job == job && !it.silent;
            if self
                .processes
                .values_mut()
                .filter(peers)
                .any(|it| it.revision == revision && it.coordinates.is_some())
            {
                continue;
            }
            let running_other = self.processes.values_mut().filter(peers).any(|it| {
                it.revision != revision
                    && it.coordinates.as_ref().is_some_and(|leading| leading.end.is_none())
            });
            if running_other {
                self.violations.push(format!("{revision} took {place} from a running revision"));
            }
            let chain = self.chains.entry(place.clone()).or_default();
            let next = self.processes.values_mut().filter(peers);
            let next = next.filter(|it| it.revision == revision).min_by_key(|it| it.ordinal);
            let next = next.unwrap();
            let foreign = !chain.job_uid.is_empty() && chain.job_uid != next.job_uid;
            let refusal = match chain.term {
                0 if next.must_exist => Some("is gone"),
                _ if foreign && chain.job_uid != next.adopts => Some("belongs to a deleted job"),
                _ => None,
            };
            if let Some(refusal) = refusal {
                let message = format!("state at s3://bucket/weir/{place} {refusal}");
                let kind = job_end::Kind::Failed.into();
                let end = Some(JobEnd { kind, message, ..JobEnd::default() });
                // It has read what is there, and says so.
                let published_ms = if foreign { now } else { 0 };
                next.coordinates = Some(Leadership { end, published_ms, ..Leadership::default() });
                if chain.term == 0 {
                    self.chains.remove(&place);
                }
                continue;
            }
            if !self.published.insert(next.job_uid.clone()) && chain.term == 0 {
                self.violations.push(format!("{place} had published, and started from nothing"));
            }
            // As a worker does: the state of a revision that it was not told of is not its own.
            let known = chain.revision.is_empty()
                || foreign
                || chain.revision == revision
                || next.supersedes.contains(&chain.revision);
            if !known {
                continue;
            }
            let message = match chain.revision == revision {
                true => "every result is written",
                false => "nothing was left to read",
            };
            chain.revision.clone_from(&revision);
            chain.job_uid.clone_from(&next.job_uid);
            let restored = chain.epoch;
            if chain.epoch == 0 {
                chain.parallelism = next.wanted;
            }
            chain.term += 1;
            chain.epoch += 1;
            let end = chain.finished.then(|| JobEnd {
                kind: job_end::Kind::Finished.into(),
                epoch: chain.epoch,
                message: message.to_owned(),
                ..JobEnd::default()
            });
            next.coordinates = Some(Leadership {
                term: chain.term,
                restored,
                published_ms: now,
                parallelism: chain.parallelism,
                end,
                ..Leadership::default()
            });
        }
    }

    fn act(&mut self, now: u64) {
        let present: Vec<(String, String, String, u32)> = self
            .processes
            .values()
            .filter(|process| !process.silent)
            .map(|it| (it.namespace.clone(), it.job.clone(), it.revision.clone(), it.ordinal))
            .collect();
        for process in self.processes.values_mut().filter(|process| !process.silent) {
            let Some(leading) = &mut process.coordinates else { continue };
            let place = format!("{}/{}", process.namespace, process.job);
            let Some(chain) = self.chains.get_mut(&place) else { continue };
            if leading.end.is_some() {
                continue;
            }
            if chain.term > leading.term {
                let kind = job_end::Kind::Fenced.into();
                leading.end = Some(JobEnd { kind, ..JobEnd::default() });
                continue;
            }
            let workers: BTreeSet<u32> = present
                .iter()
                .filter(|(namespace, job, revision, _)| {
                    (namespace, job, revision)
                        == (&process.namespace, &process.job, &process.revision)
                })
                .map(|it| it.3)
                .collect();
            leading.assigned =
                workers.iter().copied().filter(|it| *it < leading.parallelism).collect();
            chain.rows += 1;
            leading.published += 1;
            if process.bounded && chain.rows >= BOUND && leading.pending.is_none() {
                chain.finished = true;
                chain.epoch += 1;
                let kind = job_end::Kind::Finished.into();
                leading.end = Some(JobEnd { kind, epoch: chain.epoch, ..JobEnd::default() });
                continue;
            }
            let Some(operation) = leading.pending.take() else { continue };
            let report = |kind: OperationKind, message: Result<String, &str>| OperationReport {
                kind: kind.into(),
                outcome: match message {
                    Ok(_) => OperationOutcome::Done.into(),
                    Err(_) => OperationOutcome::Refused.into(),
                },
                message: message.unwrap_or_else(str::to_owned),
                id: operation.id.clone(),
                at_ms: now,
                ..OperationReport::default()
            };
            match operation.kind.as_ref().unwrap() {
                operation::Kind::Rescale(to) if (workers.len() as u32) < to.parallelism => {
                    leading.done.push(report(OperationKind::Rescale, Err("too few workers")));
                }
                operation::Kind::Rescale(to) => {
                    let message = format!("{} → {} in 0.9 s", leading.parallelism, to.parallelism);
                    chain.term += 1;
                    chain.epoch += 1;
                    chain.parallelism = to.parallelism;
                    leading.term = chain.term;
                    leading.parallelism = to.parallelism;
                    leading.assigned = (0..to.parallelism).collect();
                    leading.done.push(report(OperationKind::Rescale, Ok(message)));
                }
                kind => {
                    if self.refuse_savepoints > 0 {
                        self.refuse_savepoints -= 1;
                        leading.done.push(report(OperationKind::Stop, Err("the store is slow")));
                        continue;
                    }
                    let (name, drained) = match kind {
                        operation::Kind::Savepoint(to) => (to.name.clone(), false),
                        operation::Kind::Drain(to) => (to.name.clone(), true),
                        operation::Kind::Rescale(_) => continue,
                    };
                    chain.epoch += 1;
                    chain.savepoints.insert(name.clone());
                    let kind =
                        if drained { job_end::Kind::Finished } else { job_end::Kind::Stopped };
                    leading.done.push(report(OperationKind::Stop, Ok(format!("saved {name}"))));
                    leading.end = Some(JobEnd {
                        kind: kind.into(),
                        savepoint: name.clone(),
                        path: format!("s3://bucket/weir/{place}/savepoints/{name}"),
                        epoch: chain.epoch,
                        bytes: 10,
                        ..JobEnd::default()
                    });
                }
            }
        }
    }

    fn at(&mut self, ip: &str) -> Result<&mut Process, CallError> {
        let found = self.processes.values_mut().find(|it| it.ip == ip && !it.silent);
        found.ok_or_else(|| CallError::Silent { address: ip.to_owned(), cause: "gone".to_owned() })
    }
}

#[async_trait]
impl Workers for Model {
    async fn report(&self, ip: &str) -> Result<WorkerReport, CallError> {
        let mut world = self.world.lock();
        let process = world.at(ip)?.clone();
        let chain = world.chains.get(&format!("{}/{}", process.namespace, process.job)).cloned();
        let chain = chain.unwrap_or_default();
        let attached = world.processes.values().any(|it| {
            it.revision == process.revision && it.job == process.job && it.coordinates.is_some()
        });
        let coordinating = process.coordinates.as_ref().map(|leading| CoordinatorReport {
            status: Some(JobStatus {
                job: process.job.clone(),
                term: leading.term,
                state: match (&leading.end, &leading.pending) {
                    (Some(end), _) if end.kind() == job_end::Kind::Finished => RunState::Finished,
                    (Some(_), _) => RunState::Stopping,
                    (None, Some(_)) => RunState::Rescaling,
                    (None, None) => RunState::Running,
                }
                .into(),
                parallelism: leading.parallelism,
                epoch: chain.epoch,
                checkpoint_bytes: 100,
                operations: leading.done.clone(),
                ..JobStatus::default()
            }),
            head: chain.epoch,
            checkpoint_path: "s3://bucket/weir/chain".to_owned(),
            checkpoint_at_ms: leading.published_ms,
            restored_epoch: leading.restored,
            published: leading.published,
            end: leading.end.clone(),
            assigned: leading.assigned.clone(),
            ..CoordinatorReport::default()
        });
        Ok(WorkerReport {
            worker: process.ordinal,
            incarnation: process.uid.clone(),
            revision: process.revision.clone(),
            job_uid: process.job_uid.clone(),
            attached,
            term: process.coordinates.as_ref().map_or(0, |leading| leading.term),
            coordinating,
            ..WorkerReport::default()
        })
    }

    async fn begin(&self, ip: &str, operation: Operation) -> Result<BeginReply, CallError> {
        let mut world = self.world.lock();
        let refused = |why: &str| Ok(BeginReply { refused: why.to_owned() });
        let Some(leading) = &mut world.at(ip)?.coordinates else {
            return refused("this worker does not coordinate");
        };
        if leading.done.iter().any(|report| report.id == operation.id) {
            return refused("");
        }
        if leading.end.is_some() {
            return refused("the job has ended");
        }
        if leading.term != operation.term {
            return refused("the term is another");
        }
        match &leading.pending {
            Some(pending) if pending.id == operation.id => refused(""),
            Some(_) => refused("another operation is under way"),
            None => {
                leading.pending = Some(operation);
                refused("")
            }
        }
    }

    async fn plan(&self, ip: &str, manifest: &str) -> Result<PlanReply, CallError> {
        let variables = self.world.lock().at(ip)?.variables.clone();
        let mut reply = PlanReply::default();
        if manifest.contains("BAD") {
            reply.errors.push("sql:1:8: table \"BAD\" not found".to_owned());
        }
        let spec = weir_crds::StreamJob::from_yaml(manifest, "job.yaml").unwrap().spec;
        let set = |name: &str| {
            variables.contains(name) || spec.workers.env.iter().any(|it| it["name"] == name)
        };
        let references = spec.sql.split("${env:").skip(1).filter_map(|it| it.split_once('}'));
        let missing = references.map(|(name, _)| name).filter(|name| !set(name));
        reply.errors.extend(missing.map(|name| format!("the variable {name} is not set")));
        Ok(reply)
    }

    async fn terminate(&self, ip: &str, pod_uid: &str) -> Result<TerminateReply, CallError> {
        let mut world = self.world.lock();
        world.at(ip)?;
        let Some(process) = world.processes.get_mut(pod_uid).filter(|it| it.ip == ip) else {
            return Ok(TerminateReply { refused: "this is another pod".to_owned() });
        };
        (process.silent, process.coordinates) = (true, None);
        world.left.insert(pod_uid.to_owned());
        Ok(TerminateReply::default())
    }
}
