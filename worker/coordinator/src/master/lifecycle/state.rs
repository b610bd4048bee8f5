//! Where the job is. Every variant holds only what is valid there.

use std::collections::BTreeSet;

use weir_engine::Fault;
use weir_protocol::{Attempt, WorkerId};

use crate::master::event::Ending;
use crate::master::requests::{Ask, Rescale, Saving};

/// The job's state machine.
///
/// ```text
/// Opening → Starting → Changing: Sealing → Committing → Deploying → Running ⇄ Held → Ended
///                         ▲  ▲                                        │        │
///                         │  └──────────── Recovering ◄── failure ────┴────────┤
///                         └─────────────────── a held rescale is sealed ───────┘
/// ```
#[derive(Debug)]
pub(crate) enum State {
    /// The chain has not been read yet.
    Opening,
    /// Waits for workers.
    Starting {
        /// When the first worker came, once one has.
        since_ms: Option<u64>,
    },
    /// Goes to the next term.
    Changing { why: Why, phase: Phase },
    /// The tasks run.
    Running,
    /// The tasks run or are frozen, for a rescale that is not sealed yet or for the job's end.
    Held { hold: Hold, phase: HoldPhase },
    /// The tasks are stopped; the next term begins at `until_ms`, or when a worker comes.
    Recovering { until_ms: u64, why: Why },
    /// Nothing happens any more.
    Ended(Ending),
}

/// Why a new term begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    Start,
    Recover {
        began_ms: u64,
        message: String,
        /// The worker whose connection broke, where another one said so first.
        blamed: Option<WorkerId>,
    },
    Rescale {
        rescale: Rescale,
        /// The parallelism before.
        from: u32,
        /// When the frozen attempt was triggered: output pauses from here.
        frozen_ms: u64,
    },
}

/// The steps of a change of term.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// The seal is on its way to the store.
    Sealing {
        /// What has happened to the tasks that are frozen for a rescale: they go on from where they
        /// are only if the seal fails and nothing has.
        failed: Option<(String, Cause)>,
    },
    /// What the head lists is being committed, and earlier tasks end.
    Committing,
    /// Tasks are being built and restored.
    Deploying {
        waiting: BTreeSet<WorkerId>,
        until_ms: u64,
        /// Key groups that change their task.
        moved: u32,
    },
}

/// What a running job is held for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Hold {
    /// Other slots.
    Rescale {
        rescale: Rescale,
        /// When the frozen attempt was triggered.
        frozen_ms: u64,
    },
    /// The end: all tasks have finished.
    Finish,
    /// The end, with a savepoint.
    Save(Saving),
    /// The end, with a savepoint, after all sources were told to end and every task has finished.
    Drain(Saving),
}

impl Hold {
    /// The savepoint that it waits for.
    pub(crate) fn saving(&self) -> Option<&Saving> {
        match self {
            Self::Rescale { .. } | Self::Finish => None,
            Self::Save(saving) | Self::Drain(saving) => Some(saving),
        }
    }

    /// What had been asked, if somebody had.
    pub(crate) fn asked(self) -> Option<Ask> {
        match self {
            Self::Rescale { rescale, .. } => Some(Ask::begun(rescale)),
            Self::Finish => None,
            Self::Save(saving) => Some(Ask::Stop(saving)),
            Self::Drain(saving) => Some(Ask::Drain(saving)),
        }
    }

    /// Whether the job goes on behind it.
    pub(crate) fn is_rescale(&self) -> bool {
        matches!(self, Self::Rescale { .. })
    }
}

/// What a held job waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum HoldPhase {
    /// The frozen attempt.
    Cut,
    /// Its commits, until the given time.
    Commits { attempt: Attempt, until_ms: u64 },
    /// The copy of the savepoint.
    Copy { attempt: Attempt },
}

/// Why tasks cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// A worker was lost: survivors go on at once.
    LostWorker,
    /// A task or a source said so. `blamed` is the worker whose connection broke, if that was it.
    Error { fault: Fault, blamed: Option<WorkerId> },
}

impl Cause {
    /// An error that no other worker is to blame for.
    pub(crate) fn error(fault: Fault) -> Self {
        Self::Error { fault, blamed: None }
    }
}
