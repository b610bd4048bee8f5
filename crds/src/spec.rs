//! What a user asks of a job: every field of `spec`, with its default.
//!
//! One set of definitions serves the engine, which reads manifests without Kubernetes, and the
//! operator, for which the same types are a custom resource. The comments on the fields are what
//! `kubectl explain` shows, so they are written for users.

#![allow(clippy::duplicated_attributes, reason = "columns of the same type are no duplicates")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{duration, limits};

/// What is wanted of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(
    feature = "kube",
    derive(kube::CustomResource, schemars::JsonSchema),
    kube(
        group = "weir.dev",
        version = "v1alpha1",
        kind = "StreamJob",
        plural = "streamjobs",
        shortname = "sj",
        category = "all",
        namespaced,
        status = "crate::status::StreamJobStatus",
        derive = "PartialEq",
        doc = "A streaming job: a program in SQL, a parallelism and a place for state. Weir keeps it running, correct and fast through failures, edits, rescaling and deletion.",
        scale(
            spec_replicas_path = ".spec.parallelism",
            status_replicas_path = ".status.workers.replicas",
            label_selector_path = ".status.workers.selector"
        ),
        printcolumn(
            name = "State",
            type_ = "string",
            json_path = ".status.state",
            description = "What the job is doing."
        ),
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Ready\")].status",
            description = "Whether the newest spec runs and publishes checkpoints; empty while it asks for rest."
        ),
        printcolumn(
            name = "Parallelism",
            type_ = "integer",
            json_path = ".status.parallelism.actual",
            description = "Subtasks that every operator has now."
        ),
        printcolumn(
            name = "Restarts",
            type_ = "integer",
            json_path = ".status.restarts",
            description = "Times the job restarted from a checkpoint."
        ),
        printcolumn(
            name = "Last checkpoint",
            type_ = "date",
            json_path = ".status.lastCheckpoint.time",
            description = "When the newest checkpoint was published."
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
    )
)]
pub struct StreamJobSpec {
    /// The program: statements of Flink SQL, separated by semicolons. Exactly one of sql and
    /// sqlFrom is given. At most 128 KiB.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sql: String,
    /// Where the program stands instead, if not in sql. When its text changes, the job is
    /// upgraded as if sql had been edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql_from: Option<SqlFrom>,
    /// The worker image. Without it the operator's default; which one that was is recorded in
    /// the annotation weir.dev/resolved, so an upgrade of the operator restarts no job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Subtasks of every operator that can be divided, and the number of worker pods. At least 1
    /// and at most maxParallelism. An edit, kubectl scale or an autoscaler rescales the running
    /// job. To pause a job set desiredState: Suspended.
    pub parallelism: u32,
    /// Number of key groups, and so the largest parallelism that this job's state can ever have.
    /// Cannot be changed: state is divided by it.
    pub max_parallelism: u32,
    /// Running; Suspended: take a savepoint and stop; Drained: let all sources end where they are,
    /// close every window, write every result and stop. Running after Drained goes on behind the
    /// last row that was read, and event time begins anew with the rows that follow: none is late
    /// because of the drain. A window that the drain closed early opens again for them and gives
    /// another result, of these rows alone, so that each row counts once over both results.
    pub desired_state: DesiredState,
    /// Any text. A change of it restarts the job from a fresh savepoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_token: Option<String>,
    /// Where state is kept, and how often it is saved.
    pub state: State,
    /// How a changed program, image or template takes the place of the running one.
    pub upgrade: Upgrade,
    /// What happens after a failure.
    pub restart: Restart,
    /// How long a node must have been silent before its worker pod is given up and replaced.
    #[serde(with = "duration::text")]
    #[cfg_attr(feature = "kube", schemars(with = "String"))]
    pub node_lost_timeout: Duration,
    /// What happens to the running job and its state when the resource is deleted.
    pub deletion: Deletion,
    /// The pods that do the work.
    pub workers: Workers,
    /// Who may connect to the workers.
    pub network_policy: NetworkPolicy,
}

/// Where a program is read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub struct SqlFrom {
    /// A key of a ConfigMap in the job's namespace.
    pub config_map_key_ref: ConfigMapKeyRef,
}

/// A key of a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub struct ConfigMapKeyRef {
    /// Name of the ConfigMap.
    pub name: String,
    /// The key whose value is the program.
    pub key: String,
}

/// Whether a job runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum DesiredState {
    /// It runs.
    #[default]
    Running,
    /// A savepoint is taken and the pods are removed; Running continues from it.
    Suspended,
    /// Sources end, every window is closed, every result is written, the pods are removed; Running
    /// goes on behind the last row.
    Drained,
}

/// Where state is kept, and how often it is saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub struct State {
    /// The place of checkpoints: s3://bucket/prefix, or for a local run a directory. The job's own
    /// folder below it is made of its namespace and name. Without it the operator's default,
    /// recorded in the annotation weir.dev/resolved. Cannot be changed: state would stay behind.
    /// Once a checkpoint is there, the job never starts without it: where it is gone, the job says
    /// so and waits. In a cluster a directory has to be on a volume that outlives pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Automatic checkpoints.
    pub checkpoint: Checkpoint,
    /// UID of a deleted job of this name whose state is taken over. Without it a job never
    /// touches the state of another, and refuses to start where such state lies. With it, the job
    /// refuses to start where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopt: Option<String>,
    /// Names of operators (as weir plan shows them) whose state may be dropped because the
    /// program no longer has them, or keeps something else in their place. Anything not named here
    /// is never dropped.
    pub allow_dropped_state: Vec<String>,
}

/// Automatic checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub struct Checkpoint {
    /// From the start of one checkpoint to the start of the next. Results of transactional sinks
    /// show with the checkpoint that commits them. After a start, a failure or a rescale the first
    /// checkpoints come sooner, at a pace that slows down to this.
    #[serde(with = "duration::text")]
    #[cfg_attr(feature = "kube", schemars(with = "String"))]
    pub interval: Duration,
    /// A checkpoint that takes longer is given up; its work is handed on to the next.
    #[serde(with = "duration::text")]
    #[cfg_attr(feature = "kube", schemars(with = "String"))]
    pub timeout: Duration,
    /// Published checkpoints that are kept.
    pub retained: u32,
    /// Once a checkpoint is overdue for this long, the condition CheckpointHealthy is False.
    #[serde(with = "duration::text")]
    #[cfg_attr(feature = "kube", schemars(with = "String"))]
    pub unhealthy_after: Duration,
}

/// How a changed program, image or template takes the place of the running one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub struct Upgrade {
    /// Recreate: a savepoint, then the old version stops and the new one starts from it.
    pub strategy: UpgradeStrategy,
    /// A version that has not published a checkpoint within this time after its start counts as
    /// failed.
    #[serde(with = "duration::text")]
    #[cfg_attr(feature = "kube", schemars(with = "String"))]
    pub progress_deadline: Duration,
}

/// The way of an upgrade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum UpgradeStrategy {
    /// A savepoint, then the old version stops and the new one starts from it.
    #[default]
    Recreate,
}

/// What happens after a failure: the job restarts from its newest checkpoint, after a pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub struct Restart {
    /// The pause before a restart; it doubles with each failure in a row.
    pub backoff: Backoff,
    /// Running this long without a failure sets the pause back to its initial length.
    #[serde(with = "duration::text")]
    #[cfg_attr(feature = "kube", schemars(with = "String"))]
    pub reset_after: Duration,
}

/// A pause that doubles with each failure in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub struct Backoff {
    /// The pause after the first failure.
    #[serde(with = "duration::text")]
    #[cfg_attr(feature = "kube", schemars(with = "String"))]
    pub initial: Duration,
    /// The longest pause.
    #[serde(with = "duration::text")]
    #[cfg_attr(feature = "kube", schemars(with = "String"))]
    pub max: Duration,
}

/// What happens to the running job and its state when the resource is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub struct Deletion {
    /// Savepoint: take one before the pods are removed, whether the resource is deleted in the
    /// background, in the foreground (as Argo CD does) or with --cascade=orphan; a job's pods never
    /// stay behind. Checkpoint: remove them at once and keep the newest checkpoint. When the whole
    /// namespace is deleted, Kubernetes ends its pods at once and no savepoint can be promised: the
    /// newest checkpoint is kept, and an event about the namespace, in the namespace default, says
    /// so. Delete or suspend such jobs first.
    pub policy: DeletionPolicy,
    /// The longest that deletion waits for the savepoint.
    #[serde(with = "duration::text")]
    #[cfg_attr(feature = "kube", schemars(with = "String"))]
    pub timeout: Duration,
    /// What happens when the savepoint did not come in time. KeepCheckpoint: the pods are removed
    /// and the newest checkpoint is kept.
    pub on_timeout: DeletionTimeout,
    /// Retain: the state stays in the object store, and a job that names this one's UID in
    /// state.adopt can take it over; Delete: it is deleted, savepoints included, by a pod that runs
    /// once. In a namespace that is itself being deleted no pod can start: there the state stays,
    /// and an event about the namespace, in the namespace default, names the command that deletes it.
    pub state_retention: StateRetention,
}

/// What is saved before the pods of a deleted job are removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum DeletionPolicy {
    /// A savepoint is taken first.
    #[default]
    Savepoint,
    /// Nothing: the newest checkpoint is what remains.
    Checkpoint,
}

/// What happens to a deletion whose savepoint does not come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum DeletionTimeout {
    /// The pods are removed; the newest checkpoint is what remains.
    #[default]
    KeepCheckpoint,
}

/// Whether state outlives its job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum StateRetention {
    /// It stays in the object store.
    #[default]
    Retain,
    /// It is deleted with the job.
    Delete,
}

/// The pods that do the work.
///
/// Kubernetes' own types stand here as they were written: a value that this version cannot read
/// must not keep the operator from reading every other job. `kube::Pods` reads them one job at a
/// time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub struct Workers {
    /// CPU and memory of a worker. Default: requests of 500m and 1Gi, a memory limit of 1Gi.
    /// Memory pools are shares of the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Value>,
    /// Account of the worker pods, for example for access to a bucket by workload identity. Its
    /// token for the API server is never mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Environment of the workers. SQL options read it as ${env:NAME}, which keeps secrets out of
    /// manifests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<Value>,
    /// Secrets and ConfigMaps all of whose keys become environment variables, for example the
    /// credentials of the object store.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_from: Vec<Value>,
    /// Volumes of the worker pods, as in a pod.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Value>,
    /// Where the workers see these volumes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volume_mounts: Vec<Value>,
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the worker pods accept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Value>,
    /// The rest of the pod template (affinity, topology spread, side cars, …), merged below what
    /// Weir sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<Value>,
    /// How many workers a node drain may take at a time.
    pub disruption_budget: DisruptionBudget,
    /// Whether the job's page may show a few of the newest rows of an operator, while somebody
    /// looks at it. The page listens on loopback in the pods: whoever may forward a port to them
    /// sees these rows then. A change of it restarts the job from a fresh savepoint.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub show_rows: bool,
}

/// How many workers a node drain may take at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub struct DisruptionBudget {
    /// Workers that may be missing at the same time because of evictions. 0 refuses every
    /// eviction: node drains then wait until the job is suspended or deleted.
    pub max_unavailable: u32,
}

/// Who may connect to the workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub struct NetworkPolicy {
    /// Whether data and control ports are open to the job's own workers and the operator only.
    pub enabled: bool,
}

impl Default for StreamJobSpec {
    fn default() -> Self {
        Self {
            sql: String::new(),
            sql_from: None,
            image: None,
            parallelism: 1,
            max_parallelism: limits::DEFAULT_MAX_PARALLELISM,
            desired_state: DesiredState::default(),
            restart_token: None,
            state: State::default(),
            upgrade: Upgrade::default(),
            restart: Restart::default(),
            node_lost_timeout: Duration::from_secs(40),
            deletion: Deletion::default(),
            workers: Workers::default(),
            network_policy: NetworkPolicy::default(),
        }
    }
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5 * 60),
            retained: 3,
            unhealthy_after: Duration::from_secs(3 * 60),
        }
    }
}

impl Default for Upgrade {
    fn default() -> Self {
        Self {
            strategy: UpgradeStrategy::default(),
            progress_deadline: Duration::from_secs(5 * 60),
        }
    }
}

impl Default for Restart {
    fn default() -> Self {
        Self { backoff: Backoff::default(), reset_after: Duration::from_secs(10 * 60) }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}

impl Default for Deletion {
    fn default() -> Self {
        Self {
            policy: DeletionPolicy::default(),
            timeout: Duration::from_secs(10 * 60),
            on_timeout: DeletionTimeout::default(),
            state_retention: StateRetention::default(),
        }
    }
}

impl Default for DisruptionBudget {
    fn default() -> Self {
        Self { max_unavailable: 1 }
    }
}

impl Default for NetworkPolicy {
    fn default() -> Self {
        Self { enabled: true }
    }
}
