//! What the coordinator shows of itself.

use std::collections::BTreeMap;

use weir_protocol::Epoch;
use weir_protocol::control::{
    self, CoordinatorReport, JobEnd, JobStatus, OperationStep, OperatorShown, RunState, TaskStats,
    job_end,
};

use super::JobMaster;
use super::failure::describe;
use crate::master::checkpoints;
use crate::master::event::Ending;

/// What is remembered for others to see; nothing is decided by it.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// What went wrong last.
    pub(super) failure: String,
    /// The checkpoint with which another program of this job had finished, where it has left this
    /// one nothing to read.
    pub(super) finished_before: Option<Epoch>,
    /// The savepoint behind which the job was stopped.
    pub(super) last_savepoint: Option<JobEnd>,
    /// How often each protocol step was taken; for tests alone.
    steps: BTreeMap<&'static str, u64>,
    /// What people look at; what workers show of it is theirs.
    pub(super) looks: Vec<control::Look>,
    /// What the job was busy with from when on: of the change under way, or of the last one.
    marks: Vec<(u64, &'static str)>,
}

/// Marks that are kept: a job that fails again and again makes more and more of them.
const MAX_MARKS: usize = 64;

impl Notes {
    pub(super) fn step(&mut self, name: &'static str) {
        *self.steps.entry(name).or_default() += 1;
    }

    /// Takes notice of what the job is busy with.
    pub(super) fn mark(&mut self, name: &'static str, now_ms: u64) {
        if self.marks.last().is_some_and(|(_, last)| *last == name) {
            return;
        }
        if self.marks.len() >= MAX_MARKS {
            self.marks.remove(0);
        }
        self.marks.push((now_ms, name));
    }

    /// What it was busy with from `began_ms` until now, in order.
    pub(super) fn steps_since(&self, began_ms: u64, now_ms: u64) -> Vec<OperationStep> {
        let ends = self.marks.iter().skip(1).map(|(at, _)| *at).chain([now_ms]);
        let mut steps: Vec<OperationStep> = Vec::new();
        for (&(from, name), to) in self.marks.iter().zip(ends) {
            let (from, to) = (from.max(began_ms), to.min(now_ms));
            let name = if name.is_empty() { "run on" } else { name };
            match steps.last_mut() {
                _ if to <= from => {}
                Some(last) if last.name == name => last.ms += to - from,
                _ => steps.push(OperationStep { name: name.to_owned(), ms: to - from }),
            }
        }
        steps
    }
}

impl JobMaster {
    /// A picture of the job as it is now.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        let tasks: Vec<TaskStats> = self.workers.tasks().collect();
        let remaining = self.sources.unread() + tasks.iter().map(|t| t.remaining).sum::<u64>();
        let tally = self.checkpoints.tally();
        JobStatus {
            job: self.config.job.0.clone(),
            term: self.term().0,
            state: self.run_state().into(),
            parallelism: self.placement.parallelism(),
            workers: self.workers.len() as u32,
            restarts: self.lifecycle.restarts(),
            epoch: tally.epoch.0,
            checkpoint_bytes: tally.bytes,
            checkpoint_ms: tally.took_ms,
            failed_attempts: tally.failed,
            tasks,
            failure: self.notes.failure.clone(),
            total: self.sources.found(),
            operations: self.requests.reports().to_vec(),
            remaining,
            counted_before: (self.checkpoints.counted_before().iter())
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
        let tally = self.checkpoints.tally();
        let has_checkpoint = self.head.epoch().0 > 0;
        CoordinatorReport {
            status: None,
            head: self.head.manifest.version.0,
            lineage: self.head.manifest.lineage.0.clone(),
            checkpoint_path: String::new(),
            checkpoint_at_ms: if has_checkpoint { tally.published_at_ms } else { 0 },
            restored_epoch: tally.restored.unwrap_or_default().0,
            bounded: self.plan.sources().all(|(_, source)| source.bounded),
            end: self.ending().map(|ending| self.job_end(ending)),
            assigned: self.placement.workers().into_iter().map(|worker| worker.0).collect(),
            checkpoint_problem: self.checkpoint_problem(),
            published: tally.published,
            unchanged: tally.unchanged,
            led: tally.restored.is_some(),
            source_problem: self.sources.problem(),
            task_problem: self.lifecycle.task_problem(self.now),
        }
    }

    /// What tasks show because somebody looks.
    pub(in crate::master) fn shown(&self) -> Vec<OperatorShown> {
        match self.notes.looks.is_empty() {
            true => Vec::new(),
            false => self.workers.shown().cloned().collect(),
        }
    }

    /// How many attempts are over, and the newest of them.
    pub(in crate::master) fn checkpoint_records(&self) -> (u64, &checkpoints::Records) {
        let records = self.checkpoints.records();
        (records.count(), records)
    }

    fn checkpoint_problem(&self) -> String {
        if self.may_checkpoint() {
            return self.checkpoints.tally().problem.clone();
        }
        let why = self.commits.last_problem().unwrap_or("its sinks have not answered yet");
        format!(
            "output of {} checkpoints waits to be committed, so that no new one is taken: {why}",
            self.commits.versions()
        )
    }

    /// An ending, as workers and operators are told.
    pub(super) fn job_end(&self, ending: &Ending) -> JobEnd {
        let saved = self.notes.last_savepoint.clone().unwrap_or_default();
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
        end.message = describe(ending);
        if let Ending::Failed(message) | Ending::Fenced(message) = ending {
            end.message.clone_from(message);
        }
        if matches!(ending, Ending::Finished) {
            let tally = self.checkpoints.tally();
            (end.epoch, end.bytes) = (tally.epoch.0, tally.bytes);
            end.message = self.finished_words();
        }
        end
    }

    /// A program that found everything read has written nothing, and says so.
    fn finished_words(&self) -> String {
        match self.notes.finished_before {
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
    pub(in crate::master) fn status_key(&self) -> (RunState, &'static str, [u64; 8]) {
        let tally = self.checkpoints.tally();
        let counts = [
            self.term().0,
            u64::from(self.placement.parallelism()),
            self.workers.len() as u64,
            self.lifecycle.restarts(),
            tally.epoch.0,
            tally.failed,
            self.sources.found(),
            self.requests.reports().last().map_or(0, |operation| operation.at_ms),
        ];
        (self.run_state(), self.phase_name(), counts)
    }

    /// Where the job is, without the steps on the way.
    #[must_use]
    pub fn run_state(&self) -> RunState {
        self.lifecycle.run_state()
    }

    /// Where in its state the job is; empty where that has no parts.
    pub(in crate::master) fn phase_name(&self) -> &'static str {
        self.lifecycle.phase_name()
    }

    /// Milliseconds since 1970, for display.
    pub(super) fn wall_ms(&self) -> u64 {
        self.config.began_at_ms.saturating_add(self.now)
    }

    /// How often each protocol step was taken: which paths a test or a chaos run has covered.
    #[must_use]
    pub fn steps(&self) -> &BTreeMap<&'static str, u64> {
        &self.notes.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_an_operation_add_up_to_its_time() {
        let mut notes = Notes::default();
        for (at, name) in [(0, "wait for workers"), (50, ""), (400, "checkpoint"), (400, "commit")]
        {
            notes.mark(name, at);
        }
        notes.mark("restore", 470);
        let steps = notes.steps_since(300, 500);
        let steps: Vec<_> = steps.iter().map(|step| (step.name.as_str(), step.ms)).collect();
        assert_eq!(steps, [("run on", 100), ("commit", 70), ("restore", 30)]);
    }
}
