//! What the coordinator shows of itself.

use weir_protocol::control::{JobStatus, TaskStats};

use super::event::Ending;
use super::machine::Master;
use super::state::{State, Why};

impl Master {
    /// A picture of the job as it is now.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        let tasks: Vec<TaskStats> =
            self.workers.values().flat_map(|w| w.stats.iter().cloned()).collect();
        let unread: u64 = self.splits.values().map(|s| s.unassigned_size()).sum();
        let remaining = unread + tasks.iter().map(|t| t.remaining).sum::<u64>();
        JobStatus {
            job: self.config.job.0.clone(),
            term: self.head.term.0,
            state: self.state_name().to_owned(),
            parallelism: self.parallelism,
            workers: self.workers.len() as u32,
            restarts: self.stats.restarts,
            epoch: self.stats.epoch.0,
            checkpoint_bytes: self.stats.checkpoint_bytes,
            checkpoint_ms: self.stats.checkpoint_ms,
            failed_attempts: self.stats.failed_attempts,
            tasks,
            failure: self.stats.failure.clone(),
            total: self.stats.total,
            operations: self.stats.operations.clone(),
            remaining,
        }
    }

    /// What makes a status worth showing at once when it differs from the last one shown.
    pub(super) fn status_key(&self) -> (&'static str, [u64; 7]) {
        let counts = [
            self.head.term.0,
            u64::from(self.parallelism),
            self.workers.len() as u64,
            self.stats.restarts,
            self.stats.epoch.0,
            self.stats.failed_attempts,
            self.stats.total,
        ];
        (self.state_name(), counts)
    }

    /// The state's name, as `kubectl get` shows it.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        match &self.state {
            State::Opening | State::Starting { .. } => "Starting",
            State::Changing { why, .. } | State::Recovering { why, .. } => match why {
                Why::Start => "Starting",
                Why::Recover { .. } => "Recovering",
                Why::Rescale(_) => "Rescaling",
            },
            State::Running(_) => "Running",
            State::Rescaling { .. } => "Rescaling",
            State::Stopping { .. } => "Stopping",
            State::Ended(Ending::Finished) => "Finished",
            State::Ended(Ending::Stopped { .. }) => "Stopped",
            State::Ended(Ending::Failed(_)) => "Failed",
            State::Ended(Ending::Fenced(_)) => "Fenced",
        }
    }

    /// How often each protocol step was taken: which paths a test or a chaos run has covered.
    #[must_use]
    pub fn steps(&self) -> &std::collections::BTreeMap<&'static str, u64> {
        &self.stats.steps
    }
}
