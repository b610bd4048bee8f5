//! The job's way from term to term: where it is, what is due there, and what a failure leads to.
//!
//! Enters: what has happened to the term and its tasks. Leaves: what was interrupted by it, and
//! whether tasks are to be stopped or the job is given up. [`Lifecycle::decide_due`] says what the
//! passage of time and the state of the others ([`Facts`]) make due; the owner carries it out and
//! tells of it. What always holds: no two terms at a time, and a sealed rescale never goes back.

mod backoff;
mod due;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_engine::Fault;
use weir_protocol::control::RunState;
use weir_protocol::{Attempt, WorkerId};

use super::config::MasterConfig;
use super::event::Ending;
use super::requests::{Rescale, Saving};
pub use backoff::RestartPolicy;
use backoff::{Backoff, Restart};
pub(super) use due::{Due, Facts};
pub(super) use state::{Cause, Hold, Why};
use state::{HoldPhase, Phase, State};

/// What happens to the job.
#[derive(Debug)]
pub(super) enum Event {
    /// The chain was read, and can be gone on from.
    Opened { has_workers: bool },
    /// A worker has attached.
    WorkerCame,
    /// The next term is being sealed.
    Sealing(Why),
    /// Its seal counts.
    Sealed,
    /// Its seal could not be tried.
    SealFailed { message: String },
    /// These workers were told to build and restore tasks.
    Deploying { workers: BTreeSet<WorkerId>, moved: u32 },
    /// One of them has.
    Deployed(WorkerId),
    /// All have, and readers were told.
    Running,
    /// The frozen attempt of a hold was triggered.
    Held(Hold),
    /// It was published.
    Published { attempt: Attempt },
    /// The savepoint of a hold is being copied.
    Copying,
    /// The job is not to be held after all; says why.
    Released { why: String },
    /// A worker is lost that has or had tasks.
    WorkerLost { worker: WorkerId, message: String },
    /// The tasks cannot go on.
    TasksFailed { message: String, cause: Cause },
    /// The coordinator's work is over.
    Ended(Ending),
}

/// What comes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// The term in force is new. `parallelism` is set by a rescale; `is_first` says that this
    /// coordinator has sealed none before, and checks what it restores.
    TermBegan { is_first: bool, parallelism: Option<u32> },
    /// A rescale was not sealed: the tasks go on, unless something has happened to them.
    GoesOn { rescale: Rescale, why: String, failed: Option<(String, Cause)> },
    /// The tasks of the new term run.
    Runs { why: Why, moved: u32 },
    /// A held job goes on; who asked may be tried again.
    Released { hold: Hold, why: String },
    /// An earlier failure turns out to be this.
    Explained(String),
    /// The tasks cannot go on, and what that has interrupted.
    Interrupted { by: String, what: Interrupted },
    /// Tasks are to be ended.
    StopTasks,
    /// The job cannot go on; says why.
    GivenUp(String),
}

/// What a failure of the tasks has interrupted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Interrupted {
    /// A deployment, and why it was made.
    Deploying(Why),
    Running,
    Held(Hold),
}

/// Where the job is, and how often it has failed on the way.
#[derive(Debug)]
pub(super) struct Lifecycle {
    config: Arc<MasterConfig>,
    state: State,
    backoff: Backoff,
    /// The first of the user errors that are being counted.
    first_user_error: String,
    restarts: u64,
    /// Why the tasks failed last, if they did so by themselves.
    task_failure: String,
}

impl Lifecycle {
    /// Nothing has happened yet.
    pub(super) fn new(config: Arc<MasterConfig>) -> Self {
        Self {
            config,
            state: State::Opening,
            backoff: Backoff::default(),
            first_user_error: String::new(),
            restarts: 0,
            task_failure: String::new(),
        }
    }

    /// An event that has no meaning in the state changes nothing.
    pub(super) fn on(&mut self, event: Event, now_ms: u64) -> Vec<Outcome> {
        match event {
            Event::Opened { has_workers } => {
                if self.is_opening() {
                    self.state = State::Starting { since_ms: has_workers.then_some(now_ms) };
                }
            }
            Event::WorkerCame => {
                if let State::Starting { since_ms: since_ms @ None } = &mut self.state {
                    *since_ms = Some(now_ms);
                }
            }
            Event::Sealing(why) => {
                if let State::Starting { .. } | State::Recovering { .. } | State::Held { .. } =
                    &self.state
                {
                    self.state = State::Changing { why, phase: Phase::Sealing { failed: None } };
                }
            }
            Event::Sealed => return self.on_sealed(),
            Event::SealFailed { message } => return self.on_seal_failed(message, now_ms),
            Event::Deploying { workers: waiting, moved } => {
                if let State::Changing { phase: phase @ Phase::Committing, .. } = &mut self.state {
                    let until_ms = now_ms + self.config.deploy_timeout_ms;
                    *phase = Phase::Deploying { waiting, until_ms, moved };
                }
            }
            Event::Deployed(worker) => {
                if let State::Changing { phase: Phase::Deploying { waiting, .. }, .. } =
                    &mut self.state
                {
                    waiting.remove(&worker);
                }
            }
            Event::Running => return self.on_running(now_ms),
            Event::Held(hold) => {
                if self.is_running() {
                    self.state = State::Held { hold, phase: HoldPhase::Cut };
                }
            }
            Event::Published { attempt } => {
                if let State::Held { phase: phase @ HoldPhase::Cut, .. } = &mut self.state {
                    let until_ms = now_ms + self.config.checkpoint_timeout_ms;
                    *phase = HoldPhase::Commits { attempt, until_ms };
                }
            }
            Event::Copying => {
                if let State::Held { phase, .. } = &mut self.state
                    && let HoldPhase::Commits { attempt, .. } = *phase
                {
                    *phase = HoldPhase::Copy { attempt };
                }
            }
            Event::Released { why } => {
                if let State::Held { hold, .. } = &self.state {
                    let hold = hold.clone();
                    self.state = State::Running;
                    return vec![Outcome::Released { hold, why }];
                }
            }
            Event::WorkerLost { worker, message } => {
                return self.explain(worker, &message, now_ms).into_iter().collect();
            }
            Event::TasksFailed { message, cause } => {
                return self.on_tasks_failed(message, cause, now_ms);
            }
            Event::Ended(ending) => self.state = State::Ended(ending),
        }
        Vec::new()
    }

    fn on_sealed(&mut self) -> Vec<Outcome> {
        let State::Changing { why, phase: phase @ Phase::Sealing { .. } } = &mut self.state else {
            return Vec::new();
        };
        *phase = Phase::Committing;
        let parallelism = match why {
            Why::Rescale { rescale, .. } => Some(rescale.target),
            Why::Start | Why::Recover { .. } => None,
        };
        vec![Outcome::TermBegan { is_first: *why == Why::Start, parallelism }]
    }

    fn on_seal_failed(&mut self, message: String, now_ms: u64) -> Vec<Outcome> {
        let (why, failed) = match std::mem::replace(&mut self.state, State::Opening) {
            State::Changing { why, phase: Phase::Sealing { failed } } => (why, failed),
            other => {
                self.state = other;
                return Vec::new();
            }
        };
        if let Why::Rescale { rescale, .. } = why {
            // Not sealed: the old assignment goes on.
            self.state = State::Running;
            return vec![Outcome::GoesOn { rescale, why: message, failed }];
        }
        self.task_failure.clone_from(&message);
        match self.backoff.failed(&self.config.restart, Fault::External, now_ms) {
            Restart::After(wait) => {
                let until_ms = now_ms + wait.max(self.config.restart.initial_ms);
                self.state = State::Recovering { until_ms, why };
                Vec::new()
            }
            Restart::GiveUp => vec![Outcome::GivenUp(message)],
        }
    }

    fn on_running(&mut self, now_ms: u64) -> Vec<Outcome> {
        match std::mem::replace(&mut self.state, State::Running) {
            State::Changing { why, phase: Phase::Deploying { moved, .. } } => {
                self.backoff.running(now_ms);
                vec![Outcome::Runs { why, moved }]
            }
            other => {
                self.state = other;
                Vec::new()
            }
        }
    }

    /// A worker that others could not reach turns out to be lost: that is the reason to show, and
    /// nothing is waited for.
    fn explain(&mut self, lost: WorkerId, text: &str, now_ms: u64) -> Option<Outcome> {
        let why = match &mut self.state {
            State::Recovering { until_ms, why } => {
                if matches!(why, Why::Recover { blamed, .. } if *blamed == Some(lost)) {
                    *until_ms = now_ms;
                }
                why
            }
            State::Changing { why, .. } => why,
            _ => return None,
        };
        let Why::Recover { message, blamed, .. } = why else { return None };
        blamed.take_if(|blamed| *blamed == lost)?;
        text.clone_into(message);
        self.backoff.was_lost_worker();
        Some(Outcome::Explained(message.clone()))
    }

    fn on_tasks_failed(&mut self, message: String, cause: Cause, now_ms: u64) -> Vec<Outcome> {
        // Those of a rescale go on if its seal fails. The first cause says more than its effects.
        if let State::Changing { why: Why::Rescale { .. }, phase: Phase::Sealing { failed } } =
            &mut self.state
        {
            failed.get_or_insert((message, cause));
            return Vec::new();
        }
        let what = match std::mem::replace(&mut self.state, State::Opening) {
            // No task runs: nothing of theirs can fail. A late cause says more than its effect.
            other @ (State::Opening
            | State::Starting { .. }
            | State::Ended(_)
            | State::Recovering { .. }
            | State::Changing {
                phase: Phase::Sealing { .. } | Phase::Committing, ..
            }) => {
                self.state = other;
                return Vec::new();
            }
            State::Changing { why, phase: Phase::Deploying { .. } } => Interrupted::Deploying(why),
            State::Running => Interrupted::Running,
            State::Held { hold, .. } => Interrupted::Held(hold),
        };
        let began_ms = match &what {
            Interrupted::Deploying(Why::Recover { began_ms, .. }) => *began_ms,
            _ => now_ms,
        };
        self.restarts += 1;
        let policy = &self.config.restart;
        let (restart, blamed) = match cause {
            Cause::Error { fault, blamed } => {
                self.task_failure.clone_from(&message);
                let restart = self.backoff.failed(policy, fault, now_ms);
                if fault == Fault::User && self.backoff.user_errors() == 1 {
                    self.first_user_error.clone_from(&message);
                }
                (restart, blamed)
            }
            Cause::LostWorker => (self.backoff.lost_worker(policy, now_ms), None),
        };
        let interrupted = Outcome::Interrupted { by: message.clone(), what };
        let next = match restart {
            // Later ones may be consequences of the first, or the same from another task.
            Restart::GiveUp => {
                let first = std::mem::take(&mut self.first_user_error);
                Outcome::GivenUp(if first.is_empty() { message } else { first })
            }
            Restart::After(wait) => {
                let why = Why::Recover { began_ms, message, blamed };
                self.state = State::Recovering { until_ms: now_ms + wait, why };
                Outcome::StopTasks
            }
        };
        vec![interrupted, next]
    }

    #[must_use]
    pub(super) fn is_opening(&self) -> bool {
        matches!(self.state, State::Opening)
    }

    /// Whether a seal is on its way to the store.
    #[must_use]
    pub(super) fn is_sealing(&self) -> bool {
        matches!(self.state, State::Changing { phase: Phase::Sealing { .. }, .. })
    }

    /// Whether the job is in a term, or on its way into one.
    #[must_use]
    pub(super) fn is_in_term(&self) -> bool {
        matches!(self.state, State::Changing { .. } | State::Running | State::Held { .. })
    }

    /// Whether the tasks run and nothing holds them.
    #[must_use]
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running)
    }

    /// The savepoint of this name, if the job is held until it is copied, and behind which attempt.
    #[must_use]
    pub(super) fn copying(&self, name: &str) -> Option<(&Saving, Attempt)> {
        let State::Held { hold, phase: HoldPhase::Copy { attempt } } = &self.state else {
            return None;
        };
        hold.saving().filter(|saving| saving.name == name).map(|saving| (saving, *attempt))
    }

    /// How the work ended, once it has.
    #[must_use]
    pub(super) fn ending(&self) -> Option<&Ending> {
        match &self.state {
            State::Ended(ending) => Some(ending),
            _ => None,
        }
    }

    /// How often tasks failed.
    #[must_use]
    pub(super) fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Why the tasks fail, while they fail again and again; empty otherwise.
    #[must_use]
    pub(super) fn task_problem(&self, now_ms: u64) -> String {
        let is_failing = self.backoff.is_failing(now_ms);
        if is_failing { self.task_failure.clone() } else { String::new() }
    }

    /// Where the job is, without the steps on the way.
    #[must_use]
    pub(super) fn run_state(&self) -> RunState {
        match &self.state {
            State::Opening | State::Starting { .. } => RunState::Starting,
            State::Changing { why, .. } | State::Recovering { why, .. } => match why {
                Why::Start => RunState::Starting,
                Why::Recover { .. } => RunState::Recovering,
                Why::Rescale { .. } => RunState::Rescaling,
            },
            State::Running => RunState::Running,
            State::Held { hold, .. } if hold.is_rescale() => RunState::Rescaling,
            State::Held { .. } => RunState::Stopping,
            State::Ended(Ending::Finished) => RunState::Finished,
            State::Ended(Ending::Stopped { .. }) => RunState::Stopped,
            State::Ended(Ending::Failed(_)) => RunState::Failed,
            State::Ended(Ending::Fenced(_) | Ending::SteppedDown) => RunState::Fenced,
        }
    }

    /// Where in its state the job is; empty where that has no parts.
    #[must_use]
    pub(super) fn phase_name(&self) -> &'static str {
        match &self.state {
            State::Opening => "reading the newest checkpoint",
            State::Starting { .. } => "waiting for workers",
            State::Recovering { .. } => "waiting to begin again",
            State::Changing { phase: Phase::Sealing { .. }, .. } => "beginning the next term",
            State::Changing { phase: Phase::Committing, .. } => "committing what is published",
            State::Changing { phase: Phase::Deploying { .. }, .. } => "restoring tasks",
            State::Running | State::Held { .. } | State::Ended(_) => "",
        }
    }

    /// What it is busy with, as a step of an operation; empty while tasks run and nothing holds them.
    #[must_use]
    pub(super) fn step_name(&self) -> &'static str {
        match &self.state {
            State::Opening | State::Starting { .. } => "wait for workers",
            State::Recovering { .. } => "stop what is left",
            State::Changing { phase: Phase::Sealing { .. }, .. } => "begin the next term",
            State::Changing { phase: Phase::Committing, .. }
            | State::Held { phase: HoldPhase::Commits { .. }, .. } => "commit",
            State::Changing { phase: Phase::Deploying { .. }, .. } => "restore",
            State::Held { phase: HoldPhase::Cut, .. } => "checkpoint",
            State::Held { phase: HoldPhase::Copy { .. }, .. } => "copy the savepoint",
            State::Running | State::Ended(_) => "",
        }
    }
}
