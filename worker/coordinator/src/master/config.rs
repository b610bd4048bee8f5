//! What a job asks of its coordinator.

use weir_protocol::JobName;

use super::lifecycle::RestartPolicy;

/// Settings of one job's coordinator. Times are in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MasterConfig {
    /// `namespace/name`.
    pub job: JobName,
    /// What time it was (milliseconds since 1970) when the coordinator's own time was 0; only for
    /// times that people read.
    pub began_at_ms: u64,
    /// The parallelism that the job's manifest asks for.
    pub parallelism: u32,
    /// Go on at the parallelism of the newest checkpoint when there is one (on Kubernetes, where
    /// the manifest is the operator's to follow by rescales).
    pub keep_parallelism: bool,
    /// From one checkpoint's trigger to the next.
    pub checkpoint_interval_ms: u64,
    /// An attempt that is not acknowledged by then is given up.
    pub checkpoint_timeout_ms: u64,
    /// How long a start waits for all slots after the first worker has come, before it runs more
    /// than one subtask per slot on those that are there.
    pub patience_ms: u64,
    /// A start waits for so many workers, and subtasks spread over so many, also where the slots
    /// of fewer would do. 1 where slots say everything (a pod per slot).
    pub least_workers: u32,
    /// A start with fewer slots than subtasks waits for no more workers than these, where it is
    /// known how many there are: survivors that take over.
    pub survivors: Option<u32>,
    /// How long a rescale waits for the slots it needs.
    pub rescale_wait_ms: u64,
    /// How long a rescale lets its workers read ahead while the job runs.
    pub prefetch_ms: u64,
    /// A worker that is silent for so long is lost.
    pub silence_ms: u64,
    /// A deployment that is not ready by then has failed.
    pub deploy_timeout_ms: u64,
    /// A worker whose tasks have not stopped by then is cut off.
    pub stop_timeout_ms: u64,
    /// Versions that may have uncommitted output before attempts pause.
    pub max_uncommitted: usize,
    /// Restarts.
    pub restart: RestartPolicy,
    /// Operators whose state may be dropped, by name or uid.
    pub allow_dropped_state: Vec<String>,
}

impl MasterConfig {
    /// The defaults of the API.
    #[must_use]
    pub fn new(job: JobName, parallelism: u32) -> Self {
        Self {
            job,
            began_at_ms: 0,
            parallelism,
            keep_parallelism: false,
            checkpoint_interval_ms: 10_000,
            checkpoint_timeout_ms: 300_000,
            patience_ms: 10_000,
            least_workers: 1,
            survivors: None,
            rescale_wait_ms: 300_000,
            prefetch_ms: 60_000,
            silence_ms: 4_000,
            deploy_timeout_ms: 300_000,
            stop_timeout_ms: 10_000,
            max_uncommitted: 8,
            restart: RestartPolicy::default(),
            allow_dropped_state: Vec::new(),
        }
    }
}
