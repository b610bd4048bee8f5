//! Workers that go, tasks that fail, and the end of the work.

use weir_engine::Fault;
use weir_protocol::WorkerId;
use weir_protocol::control::{self, to_worker};

use super::backoff::Restart;
use super::event::{Action, Ending, Reply};
use super::machine::Master;
use super::state::{Ask, Phase, State, Stop, Why};

impl Master {
    /// A worker is no longer there.
    pub(super) fn lose(&mut self, id: WorkerId, why: &str) {
        let Some(worker) = self.workers.remove(&id) else {
            return;
        };
        self.links.remove(&worker.link);
        self.out.push(Action::Disconnect { link: worker.link });
        self.commits.worker_gone(id);
        self.stopping.remove(&id);
        if self.spread.as_ref().is_some_and(|s| s.workers().contains(&id)) {
            self.fail_tasks(format!("worker {id} was lost: {why}"), None);
        }
    }

    /// The term's tasks cannot go on. `fault` is `None` when a worker was lost: then survivors go
    /// on at once.
    pub(super) fn fail_tasks(&mut self, message: String, fault: Option<Fault>) {
        let began = match std::mem::replace(&mut self.state, State::Opening) {
            // No task runs: nothing of theirs can fail. A late cause says more than its effect.
            other @ (State::Opening
            | State::Starting { .. }
            | State::Ended(_)
            | State::Recovering { .. }
            | State::Changing { phase: Phase::Sealing | Phase::Committing, .. }) => {
                self.state = other;
                return;
            }
            State::Changing { why, phase: Phase::Deploying { .. } } => match why {
                Why::Recover { began_ms, .. } => began_ms,
                Why::Start => self.now,
                Why::Rescale(rescale) => {
                    // Sealed: it goes forward at the new parallelism.
                    let why =
                        format!("the job restarts at parallelism {}: {message}", rescale.target);
                    self.refuse(&Ask::Rescale(rescale), &why);
                    self.now
                }
            },
            State::Running(live) => {
                if let Some(saving) = live.saving {
                    self.ask_again(Ask::Save(saving), &message);
                }
                self.now
            }
            State::Rescaling { rescale, .. } => {
                self.ask_again(Ask::Rescale(rescale), &message);
                self.now
            }
            State::Stopping { stop, .. } => {
                if let Stop::Save(saving) = stop {
                    self.ask_again(Ask::Stop(saving), &message);
                }
                self.now
            }
        };
        self.stats.restarts += 1;
        self.stats.failure.clone_from(&message);
        self.step("tasks failed");
        let restart = match fault {
            Some(fault) => self.backoff.failed(&self.config.restart, fault, self.now),
            None => self.backoff.lost_worker(&self.config.restart, self.now),
        };
        match restart {
            Restart::GiveUp => self.end(Ending::Failed(message)),
            Restart::After(wait) => {
                self.stop_tasks();
                let why = Why::Recover { began_ms: began, message };
                self.state = State::Recovering { until_ms: self.now + wait, why };
            }
        }
    }

    /// Tells every worker with tasks to end them.
    pub(super) fn stop_tasks(&mut self) {
        let Some(spread) = &self.spread else { return };
        for worker in spread.workers() {
            if self.workers.contains_key(&worker) && self.stopping.insert(worker) {
                self.send(worker, to_worker::Kind::Stop(control::Stop {}));
            }
        }
        self.stopping_until_ms = self.now + self.config.stop_timeout_ms;
    }

    /// The coordinator's work is over.
    pub(super) fn end(&mut self, ending: Ending) {
        let reason = describe(&ending);
        for ask in std::mem::take(&mut self.asks) {
            self.refuse(&ask, &format!("the job has ended: {reason}"));
        }
        for (_, copy) in std::mem::take(&mut self.copying) {
            let reply = Reply::Refused(format!("the job has ended: {reason}"));
            self.out.push(Action::Reply { id: copy.request, reply });
        }
        // A fenced coordinator's workers are its successor's: they are let go, not shut down.
        if !matches!(ending, Ending::Fenced(_)) {
            let workers: Vec<WorkerId> = self.workers.keys().copied().collect();
            for worker in workers {
                let shutdown = control::Shutdown { reason: reason.clone() };
                self.send(worker, to_worker::Kind::Shutdown(shutdown));
            }
        }
        if let Ending::Failed(message) = &ending {
            self.stats.failure.clone_from(message);
        }
        self.step("ended");
        self.out.push(Action::End(ending.clone()));
        self.state = State::Ended(ending);
    }
}

/// An ending in words.
pub(super) fn describe(ending: &Ending) -> String {
    match ending {
        Ending::Finished => "finished".to_owned(),
        Ending::Stopped { savepoint } => format!("stopped with savepoint {savepoint}"),
        Ending::Failed(message) => format!("failed: {message}"),
        Ending::Fenced(message) => format!("another coordinator has taken over: {message}"),
    }
}
