//! What the coordinator shows of itself.

use weir_protocol::control::{
    self, CoordinatorReport, JobEnd, JobStatus, RunState, TaskStats, job_end,
};

use super::event::Ending;
use super::machine::JobMaster;
use super::place::SlotAssignment;
use super::state::{State, Why};

impl JobMaster {
    /// A picture of the job as it is now.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        let tasks: Vec<TaskStats> =
            self.workers.values().flat_map(|w| w.stats.iter().cloned()).collect();
        let unread: u64 = self.splits.values().map(|s| s.unassigned_size()).sum();
        let remaining = unread + tasks.iter().map(|t| t.remaining).sum::<u64>();
        JobStatus {
            job: self.config.job.0.clone(),
            term: self.term().0,
            state: self.run_state().into(),
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
            counted_before: self
                .counted_before
                .iter()
                .filter(|(_, counts)| !counts.is_zero())
                .map(|(uid, counts)| {
                    let counts = control::OperatorCounts { counts: (*counts).into() };
                    (uid.0.clone(), counts)
                })
                .collect(),
        }
    }

    /// What the coordinator says of itself, without the job's status and the checkpoint's place.
    #[must_use]
    pub fn coordinator_report(&self) -> CoordinatorReport {
        let assigned = self.assigned.as_ref().map(SlotAssignment::workers).unwrap_or_default();
        CoordinatorReport {
            status: None,
            head: self.head.manifest.version.0,
            lineage: self.head.manifest.lineage.0.clone(),
            checkpoint_path: String::new(),
            checkpoint_at_ms: if self.epoch().0 == 0 { 0 } else { self.stats.published_at_ms },
            restored_epoch: self.stats.restored.unwrap_or_default().0,
            bounded: self.plan.sources().all(|(_, source)| source.bounded),
            end: match &self.state {
                State::Ended(ending) => Some(self.job_end(ending)),
                _ => None,
            },
            assigned: assigned.into_iter().map(|worker| worker.0).collect(),
            checkpoint_problem: self.checkpoint_problem(),
            published: self.stats.published,
            unchanged: self.stats.unchanged,
            led: self.stats.restored.is_some(),
            source_problem: self.source_problem(),
            task_problem: self.task_problem(),
        }
    }

    fn task_problem(&self) -> String {
        let failing = self.backoff.is_failing(self.now);
        if failing { self.stats.task_failure.clone() } else { String::new() }
    }

    fn source_problem(&self) -> String {
        let problems: Vec<&str> = self.stats.source_problem.values().map(String::as_str).collect();
        problems.join("\n")
    }

    fn checkpoint_problem(&self) -> String {
        if self.may_checkpoint() {
            return self.stats.attempt_problem.clone();
        }
        let why = self.commits.last_problem().unwrap_or("its sinks have not answered yet");
        format!(
            "output of {} checkpoints waits to be committed, so that no new one is taken: {why}",
            self.commits.versions()
        )
    }

    /// An ending, as workers and operators are told.
    #[must_use]
    pub fn job_end(&self, ending: &Ending) -> JobEnd {
        let saved = self.stats.last_savepoint.clone().unwrap_or_default();
        let mut end = match ending {
            Ending::Stopped { savepoint } => JobEnd { path: savepoint.clone(), ..saved },
            _ => JobEnd::default(),
        };
        let kind = match ending {
            Ending::Finished => job_end::Kind::Finished,
            Ending::Stopped { .. } => job_end::Kind::Stopped,
            Ending::Failed(_) => job_end::Kind::Failed,
            // To everybody else the same: the job goes on elsewhere.
            Ending::Fenced(_) | Ending::SteppedDown => job_end::Kind::Fenced,
        };
        end.set_kind(kind);
        end.message = super::failure::describe(ending);
        if let Ending::Failed(message) | Ending::Fenced(message) = ending {
            end.message.clone_from(message);
        }
        if matches!(ending, Ending::Finished) {
            (end.epoch, end.bytes) = (self.stats.epoch.0, self.stats.checkpoint_bytes);
            end.message = self.finished_words();
        }
        end
    }

    /// A program that found everything read has written nothing, and says so.
    fn finished_words(&self) -> String {
        match self.stats.finished_before {
            None => "all sources have ended and every result is written".to_owned(),
            Some(epoch) => format!(
                "the job had finished with checkpoint {}, before its program was changed: nothing \
                 was left to read, and the changed program has written nothing; create the job \
                 under another name to read everything again",
                epoch.0
            ),
        }
    }

    /// What makes a status worth showing at once when it differs from the last one shown.
    pub(super) fn status_key(&self) -> (RunState, &'static str, [u64; 8]) {
        let counts = [
            self.term().0,
            u64::from(self.parallelism),
            self.workers.len() as u64,
            self.stats.restarts,
            self.stats.epoch.0,
            self.stats.failed_attempts,
            self.stats.total,
            self.stats.operations.last().map_or(0, |o| o.at_ms),
        ];
        (self.run_state(), self.phase_name(), counts)
    }

    /// Where the job is, without the steps on the way.
    #[must_use]
    pub fn run_state(&self) -> RunState {
        match &self.state {
            State::Opening | State::Starting { .. } => RunState::Starting,
            State::Changing { why, .. } | State::Recovering { why, .. } => match why {
                Why::Start => RunState::Starting,
                Why::Recover { .. } => RunState::Recovering,
                Why::Rescale(_) => RunState::Rescaling,
            },
            State::Running(_) => RunState::Running,
            State::Rescaling { .. } => RunState::Rescaling,
            State::Stopping { .. } => RunState::Stopping,
            State::Ended(Ending::Finished) => RunState::Finished,
            State::Ended(Ending::Stopped { .. }) => RunState::Stopped,
            State::Ended(Ending::Failed(_)) => RunState::Failed,
            State::Ended(Ending::Fenced(_) | Ending::SteppedDown) => RunState::Fenced,
        }
    }

    /// How often each protocol step was taken: which paths a test or a chaos run has covered.
    #[must_use]
    pub fn steps(&self) -> &std::collections::BTreeMap<&'static str, u64> {
        &self.stats.steps
    }
}
