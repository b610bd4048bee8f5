//! Workers that go, tasks that fail, and the end of the work.

use weir_engine::Fault;
use weir_protocol::WorkerId;
use weir_protocol::control::{self, to_worker};

use super::backoff::Restart;
use super::event::{Action, Ending, Reply};
use super::machine::JobMaster;
use super::state::{Ask, Phase, State, Stop, Why};

/// Why tasks cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    /// A worker was lost: survivors go on at once.
    LostWorker,
    /// A task or a source said so. `blamed` is the worker whose connection broke, if that was it.
    Error { fault: Fault, blamed: Option<WorkerId> },
}

impl JobMaster {
    /// A worker is no longer there.
    pub(super) fn lose(&mut self, id: WorkerId, why: &str) {
        let Some(worker) = self.workers.remove(&id) else {
            return;
        };
        self.links.remove(&worker.link);
        self.out.push(Action::Disconnect { link: worker.link });
        self.commits.worker_gone(id);
        self.stopping.remove(&id);
        self.prefetcher_gone(id);
        if self.assigned.as_ref().is_some_and(|s| s.workers().contains(&id)) {
            let message = format!("worker {id} was lost: {why}");
            self.explain(id, &message);
            self.fail_tasks(message, Cause::LostWorker);
        }
    }

    /// A worker that others could not reach turns out to be lost: that is the reason to show, and
    /// nothing is waited for.
    fn explain(&mut self, id: WorkerId, lost: &str) {
        let why = match &mut self.state {
            State::Recovering { until_ms, why } => {
                if matches!(why, Why::Recover { blamed, .. } if *blamed == Some(id)) {
                    *until_ms = self.now;
                }
                why
            }
            State::Changing { why, .. } => why,
            _ => return,
        };
        let Why::Recover { message, blamed, .. } = why else { return };
        if blamed.take_if(|b| *b == id).is_some() {
            lost.clone_into(message);
            self.stats.failure.clone_from(message);
            self.backoff.was_lost_worker();
        }
    }

    /// The term's tasks cannot go on.
    pub(super) fn fail_tasks(&mut self, message: String, cause: Cause) {
        // Those of a rescale go on if its seal fails. The first cause says more than its effects.
        if let State::Changing { why: Why::Rescale(_), phase: Phase::Sealing { failed } } =
            &mut self.state
        {
            failed.get_or_insert((message, cause));
            return;
        }
        let began = match std::mem::replace(&mut self.state, State::Opening) {
            // No task runs: nothing of theirs can fail. A late cause says more than its effect.
            other @ (State::Opening
            | State::Starting { .. }
            | State::Ended(_)
            | State::Recovering { .. }
            | State::Changing {
                phase: Phase::Sealing { .. } | Phase::Committing, ..
            }) => {
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
                match stop {
                    Stop::Finish => {}
                    Stop::Save(saving) => {
                        self.ask_again(Ask::Stop(saving), &message);
                    }
                    Stop::Drain(saving) => {
                        self.ask_again(Ask::Drain(saving), &message);
                    }
                }
                self.now
            }
        };
        self.stats.restarts += 1;
        self.forget_prefetches();
        self.stats.failure.clone_from(&message);
        self.step("tasks failed");
        let (restart, blamed) = match cause {
            Cause::Error { fault, blamed } => {
                self.stats.task_failure.clone_from(&self.stats.failure);
                let restart = self.backoff.failed(&self.config.restart, fault, self.now);
                if fault == Fault::User && self.backoff.user_errors() == 1 {
                    self.first_user_error.clone_from(&message);
                }
                (restart, blamed)
            }
            Cause::LostWorker => (self.backoff.lost_worker(&self.config.restart, self.now), None),
        };
        match restart {
            // Later ones may be consequences of the first, or the same from another task.
            Restart::GiveUp => {
                let first = std::mem::take(&mut self.first_user_error);
                self.end(Ending::Failed(first));
            }
            Restart::After(wait) => {
                self.stop_tasks();
                let why = Why::Recover { began_ms: began, message, blamed };
                self.state = State::Recovering { until_ms: self.now + wait, why };
            }
        }
    }

    /// Tells every worker with tasks to end them.
    pub(super) fn stop_tasks(&mut self) {
        let Some(assigned) = &self.assigned else { return };
        for worker in assigned.workers() {
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
        if let Some(saving) = self.draining.take() {
            self.refuse(&Ask::Drain(saving), &format!("the job has ended: {reason}"));
        }
        for (_, copy) in std::mem::take(&mut self.copying) {
            let reply = Reply::Refused(format!("the job has ended: {reason}"));
            self.out.push(Action::Reply { id: copy.request, reply });
        }
        // A coordinator that has or gets a successor lets its workers go: they are not shut down.
        if !matches!(ending, Ending::Fenced(_) | Ending::SteppedDown) {
            let workers: Vec<WorkerId> = self.workers.keys().copied().collect();
            let end = self.job_end(&ending);
            for worker in workers {
                let shutdown = control::Shutdown { reason: reason.clone(), end: Some(end.clone()) };
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
        Ending::Fenced(message) => message.clone(),
        Ending::SteppedDown => "its process was told to end and hands the job over".to_owned(),
    }
}
