//! Workers that go, tasks that fail, and the end of the work.

use weir_protocol::WorkerId;
use weir_protocol::control::{self, to_worker};

use super::JobMaster;
use crate::master::event::{Action, Ending};
use crate::master::lifecycle::{self, Cause, Interrupted, Why};
use crate::master::requests::{self, Ask};
use crate::master::{checkpoints, commits, workers};

impl JobMaster {
    pub(super) fn tell_workers(&mut self, event: workers::Event) {
        let outcomes = self.workers.on(event, self.now);
        self.follow_workers(outcomes);
    }

    fn follow_workers(&mut self, outcomes: Vec<workers::Outcome>) {
        for outcome in outcomes {
            match outcome {
                workers::Outcome::TellToStop(worker) => {
                    self.send(worker, to_worker::Kind::Stop(control::Stop {}));
                }
                workers::Outcome::Disconnect(link) => self.out.push(Action::Disconnect { link }),
            }
        }
    }

    /// A worker is no longer there.
    pub(super) fn lose(&mut self, worker: WorkerId, why: &str) {
        let lost = self.workers.on(workers::Event::Lost(worker), self.now);
        if lost.is_empty() {
            return;
        }
        self.follow_workers(lost);
        self.tell_commits(commits::Event::WorkerGone(worker));
        self.tell_requests(requests::Event::WorkerLost(worker));
        if self.placement.workers().contains(&worker) {
            let message = format!("worker {worker} was lost: {why}");
            let lost = lifecycle::Event::WorkerLost { worker, message: message.clone() };
            self.tell_lifecycle(lost);
            self.fail_tasks(message, Cause::LostWorker);
        }
    }

    /// The term's tasks cannot go on.
    pub(super) fn fail_tasks(&mut self, message: String, cause: Cause) {
        self.tell_lifecycle(lifecycle::Event::TasksFailed { message, cause });
    }

    pub(super) fn on_interrupted(&mut self, by: String, what: Interrupted) {
        self.tell_checkpoints(checkpoints::Event::TasksEnded { why: by.clone() });
        match what {
            Interrupted::Deploying(Why::Rescale { rescale, .. }) => {
                // Sealed: it goes forward at the new parallelism.
                let why = format!("the job restarts at parallelism {}: {by}", rescale.target);
                self.tell_requests(requests::Event::Refuse { ask: Ask::begun(rescale), why });
            }
            Interrupted::Held(hold) => {
                if let Some(ask) = hold.asked() {
                    self.tell_requests(requests::Event::Again { ask, why: by.clone() });
                }
            }
            Interrupted::Deploying(Why::Start | Why::Recover { .. }) | Interrupted::Running => {}
        }
        self.tell_requests(requests::Event::TasksFailed);
        self.notes.failure = by;
        self.step("tasks failed");
    }

    /// Tells every worker with tasks to end them.
    pub(super) fn stop_tasks(&mut self) {
        if self.placement.slots().is_some() {
            let until_ms = self.now + self.config.stop_timeout_ms;
            let workers = self.placement.workers();
            self.tell_workers(workers::Event::Stop { workers, until_ms });
        }
    }

    /// The coordinator's work is over.
    pub(super) fn end(&mut self, ending: Ending) {
        let reason = describe(&ending);
        self.tell_requests(requests::Event::Ended { reason: reason.clone() });
        // A coordinator that has or gets a successor lets its workers go: they are not shut down.
        if !matches!(ending, Ending::Fenced(_) | Ending::SteppedDown) {
            let end = self.job_end(&ending);
            for worker in self.workers.ids() {
                let shutdown = control::Shutdown { reason: reason.clone(), end: Some(end.clone()) };
                self.send(worker, to_worker::Kind::Shutdown(shutdown));
            }
        }
        if let Ending::Failed(message) = &ending {
            self.notes.failure.clone_from(message);
        }
        self.step("ended");
        self.out.push(Action::End(ending.clone()));
        self.tell_lifecycle(lifecycle::Event::Ended(ending));
    }
}

/// An ending in words.
pub(super) fn describe(ending: &Ending) -> String {
    match ending {
        Ending::Finished => "finished".to_owned(),
        Ending::Stopped { savepoint } => format!("stopped with savepoint {savepoint}"),
        Ending::Failed(message) => format!("failed: {message}"),
        Ending::Fenced(message) => message.clone(),
        Ending::SteppedDown => "its process was told to end and hands the job over".to_owned(),
    }
}
