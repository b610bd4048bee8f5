//! What the state that the job is in makes due: by the passage of time, and by what the other
//! machines say of theirs.

use weir_engine::Fault;
use weir_protocol::Attempt;

use super::Lifecycle;
use super::state::{Cause, Hold, HoldPhase, Phase, State, Why};

/// What is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    /// The next term is to begin.
    Seal(Why),
    /// Tasks are to be built.
    Deploy,
    /// All tasks are built: they are to run.
    Run,
    /// A deployment has taken too long.
    Fail { message: String, cause: Cause },
    /// The job runs: what it does next is to be chosen.
    Choose,
    /// The output of a held job was not committed in time: it goes on.
    Resume { attempt: Attempt },
    /// The job's last output is committed.
    Finish,
    /// The savepoint of this name is to be copied.
    Copy { name: String },
}

/// What the state of the others makes possible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) workers: usize,
    /// Of all of them.
    pub(crate) slots: u32,
    /// The parallelism in force.
    pub(crate) parallelism: u32,
    /// Everything that the head lists is committed.
    pub(crate) is_committed: bool,
    /// No earlier task runs.
    pub(crate) have_stopped: bool,
}

impl Lifecycle {
    /// What is due now, if anything is.
    #[must_use]
    pub(crate) fn decide_due(&self, facts: Facts, now_ms: u64) -> Option<Due> {
        match &self.state {
            State::Opening | State::Ended(_) => None,
            State::Starting { since_ms } => {
                let config = &self.config;
                let is_tired = since_ms.is_some_and(|since| now_ms >= since + config.patience_ms);
                let are_enough = facts.slots >= facts.parallelism
                    && facts.workers >= config.least_workers as usize;
                let are_all = config.survivors.is_some_and(|n| facts.workers >= n as usize);
                let is_ready = facts.workers > 0 && (are_enough || are_all || is_tired);
                is_ready.then_some(Due::Seal(Why::Start))
            }
            State::Recovering { until_ms, why } => {
                let is_ready = now_ms >= *until_ms && facts.workers > 0;
                is_ready.then(|| Due::Seal(why.clone()))
            }
            State::Changing { phase: Phase::Sealing { .. }, .. } => None,
            State::Changing { phase: Phase::Committing, .. } => {
                let is_ready = facts.is_committed && facts.have_stopped && facts.workers > 0;
                is_ready.then_some(Due::Deploy)
            }
            State::Changing { phase: Phase::Deploying { waiting, until_ms, .. }, .. } => {
                let Some(first) = waiting.first() else { return Some(Due::Run) };
                (now_ms >= *until_ms).then(|| Due::Fail {
                    message: format!(
                        "worker {first} has not restored its tasks within {} s",
                        self.config.deploy_timeout_ms / 1000
                    ),
                    cause: Cause::error(Fault::External),
                })
            }
            State::Running => Some(Due::Choose),
            State::Held { hold, phase: HoldPhase::Commits { attempt, until_ms } } => match hold {
                Hold::Rescale { rescale, frozen_ms } if facts.is_committed => {
                    let (rescale, frozen_ms) = (rescale.clone(), *frozen_ms);
                    let from = facts.parallelism;
                    Some(Due::Seal(Why::Rescale { rescale, from, frozen_ms }))
                }
                Hold::Rescale { .. } => {
                    (now_ms >= *until_ms).then_some(Due::Resume { attempt: *attempt })
                }
                _ if !facts.is_committed => None,
                Hold::Finish => Some(Due::Finish),
                Hold::Save(saving) | Hold::Drain(saving) => {
                    Some(Due::Copy { name: saving.name.clone() })
                }
            },
            State::Held { phase: HoldPhase::Cut | HoldPhase::Copy { .. }, .. } => None,
        }
    }

    /// When something will be due by the passage of time alone.
    #[must_use]
    pub(crate) fn next_ms(&self, has_workers: bool) -> Option<u64> {
        match &self.state {
            State::Starting { since_ms } => since_ms.map(|since| since + self.config.patience_ms),
            State::Recovering { until_ms, .. } => has_workers.then_some(*until_ms),
            State::Changing { phase: Phase::Deploying { until_ms, .. }, .. }
            | State::Held { phase: HoldPhase::Commits { until_ms, .. }, .. } => Some(*until_ms),
            State::Opening
            | State::Changing { phase: Phase::Sealing { .. } | Phase::Committing, .. }
            | State::Running
            | State::Held { phase: HoldPhase::Cut | HoldPhase::Copy { .. }, .. }
            | State::Ended(_) => None,
        }
    }
}
