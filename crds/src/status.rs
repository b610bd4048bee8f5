//! What the operator says about a job. For display: everything here can be derived again from the
//! chain's head, the children and their annotations, so losing it loses nothing.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator has seen of a job, and what it is doing about it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamJobStatus {
    /// The metadata.generation that this status speaks about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What the job is doing, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,
    /// Ready, Reconciling, Stalled, Degraded, CheckpointHealthy, SpecAccepted and Complete, each
    /// with its reason and a message that names the cause and the fix. Ready speaks of the spec as
    /// it stands: it is False while another revision runs, because the newest is refused or not
    /// there yet, and absent while the job rests as its spec asks, suspended or drained.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Term of the coordinator: grows by one with each that takes over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<u64>,
    /// Times the job restarted from a checkpoint, under whichever coordinator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u64>,
    /// The worker that coordinates the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinator: Option<CoordinatorStatus>,
    /// Versions of the job: each is a hash of what needs a restart to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revisions: Option<Revisions>,
    /// The parallelism that the job has, which follows spec.parallelism.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<ParallelismStatus>,
    /// The worker pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<WorkersStatus>,
    /// The newest published checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_checkpoint: Option<CheckpointStatus>,
    /// The newest savepoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_savepoint: Option<SavepointStatus>,
    /// What the running job was restored from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<RestoredFrom>,
    /// The lifecycle operation that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationStatus>,
    /// The lifecycle operation that ended last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_operation: Option<LastOperation>,
    /// Failures of worker processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<Failures>,
}

/// What a job is doing, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JobState {
    /// Accepted, or waiting until it can be.
    Pending,
    /// Its pods start; no checkpoint of this start is published yet.
    Starting,
    /// It runs.
    Running,
    /// It restarts from a checkpoint after a failure.
    Recovering,
    /// Its parallelism is changing.
    Rescaling,
    /// A new revision takes the place of the running one.
    Upgrading,
    /// A savepoint is being taken, then it stops.
    Suspending,
    /// It is stopped; its state is kept.
    Suspended,
    /// Its sources are ended and its results written.
    Draining,
    /// It has been drained; its state is kept.
    Drained,
    /// All its sources have ended and every result is written.
    Finished,
    /// It cannot run; a condition says why.
    Failed,
    /// It is being deleted.
    Deleting,
    /// A word of a later version.
    #[serde(other)]
    Unknown,
}

/// The worker that coordinates the job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CoordinatorStatus {
    /// Its pod.
    pub pod: String,
    /// Its process: another one after a crash of the worker.
    pub process: String,
    /// Restarts of the job that this process has counted.
    pub restarts: u64,
}

/// Versions of the job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Revisions {
    /// The one that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The one that the spec asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The newest that has published checkpoints for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<String>,
}

/// The parallelism that the job has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ParallelismStatus {
    /// Subtasks that every operator has now.
    pub actual: u32,
}

/// The worker pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkersStatus {
    /// Pods that are ready.
    pub ready: u32,
    /// Pods that there are.
    pub replicas: u32,
    /// Label selector of the pods, as text; for kubectl scale and autoscalers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

/// A published checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckpointStatus {
    /// Its number.
    pub epoch: u64,
    /// Its manifest in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// When it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// Bytes of state that it refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// A savepoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SavepointStatus {
    /// Its name.
    pub name: String,
    /// Its manifest in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// When it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
}

/// What a job was restored from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RestoredFrom {
    /// The manifest in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The checkpoint's number.
    pub epoch: u64,
}

/// A lifecycle operation that is under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationStatus {
    /// A function of what it goes from and to.
    pub id: String,
    /// What kind it is: Start, Rescale, Upgrade, Suspend, Drain, Restart, Delete.
    #[serde(rename = "type")]
    pub type_: String,
    /// The step it is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// How often this step has been tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// When it is given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The lifecycle operation that ended last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LastOperation {
    /// What kind it was.
    #[serde(rename = "type")]
    pub type_: String,
    /// Succeeded, Failed or Cancelled.
    pub result: String,
    /// How long no results came because of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downtime_ms: Option<u64>,
    /// How long each of its steps took.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<OperationStep>,
}

/// A step of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationStep {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub ms: u64,
}

/// Failures of worker processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Failures {
    /// How many there were; it never falls.
    pub count: u64,
    /// Those that each pod which is still there has had, by its UID: they are part of the count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_pods: Option<BTreeMap<String, u32>>,
    /// The newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Failure>,
}

/// A failure of a worker process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Failure {
    /// The pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// One word, such as Error, OOMKilled, CrashLoopBackOff or ImagePullBackOff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The process's exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The process's last words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
}
