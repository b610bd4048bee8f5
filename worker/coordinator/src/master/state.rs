//! Where the coordinator is. Every variant holds only what is valid there.

use std::collections::{BTreeMap, BTreeSet};

use weir_protocol::control::TaskStats;
use weir_protocol::{Attempt, Epoch, Version, VertexId, WorkerId};

use super::attempt::PendingCheckpoint;
use super::event::{Ending, LinkId, RequestId};
use super::failure::Cause;

/// The coordinator's state machine.
///
/// ```text
/// Opening → Starting → Changing: Sealing → Committing → Deploying → Running ⇄ Rescaling
///                         ▲  ▲                                        │  │  └──► Changing
///                         │  └──────────── Recovering ◄── failure ────┘  ▼
///                         └───────────────────┘                       Stopping → Ended
/// ```
#[derive(Debug)]
pub(super) enum State {
    /// The chain has not been read yet.
    Opening,
    /// Waits for workers.
    Starting {
        /// When the first worker came.
        since_ms: Option<u64>,
    },
    /// Goes to the next term.
    Changing { why: Why, phase: Phase },
    /// The tasks run.
    Running(Live),
    /// The tasks run or are frozen for a rescale that is not sealed yet.
    Rescaling { live: Live, rescale: Rescale, phase: HoldPhase },
    /// The tasks run or are frozen for the job's end.
    Stopping { live: Live, stop: Stop, phase: HoldPhase },
    /// The tasks are stopped; the next term begins at `until_ms`, or when a worker comes.
    Recovering { until_ms: u64, why: Why },
    /// Nothing happens any more.
    Ended(Ending),
}

/// Why a new term begins.
#[derive(Clone, Debug)]
pub(super) enum Why {
    Start,
    Recover {
        began_ms: u64,
        message: String,
        /// The worker whose connection broke, where another one said so first.
        blamed: Option<WorkerId>,
    },
    Rescale(Rescale),
}

/// The steps of a change of term.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// The seal is on its way to the store.
    Sealing {
        /// What has happened to the tasks that are frozen for a rescale: they go on from where they
        /// are only if the seal fails and nothing has.
        failed: Option<(String, Cause)>,
    },
    /// What the head lists is being committed, and earlier tasks end.
    Committing,
    /// Tasks are being built and restored.
    Deploying { waiting: BTreeSet<WorkerId>, until_ms: u64 },
}

/// Running tasks.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    pub(super) checkpoint: Option<PendingCheckpoint>,
    /// The savepoint that the checkpoint is for.
    pub(super) saving: Option<Saving>,
    pub(super) next_checkpoint_ms: u64,
    /// From the last one to that.
    pub(super) pace_ms: u64,
}

/// A savepoint under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Saving {
    pub(super) name: String,
    pub(super) request: RequestId,
    pub(super) tries: u32,
}

/// What a frozen job waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum HoldPhase {
    /// The frozen attempt.
    Cut,
    /// Its commits, until the given time.
    Commits { attempt: Attempt, until_ms: u64 },
    /// The copy of the savepoint.
    Copy { attempt: Attempt },
}

/// A change of parallelism, or of placement alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rescale {
    /// Absent when the coordinator rebalances by itself.
    pub(super) request: Option<RequestId>,
    /// The parallelism before; known once the change is sealed.
    pub(super) from: u32,
    pub(super) target: u32,
    pub(super) began_ms: u64,
    /// When the frozen attempt was triggered: output pauses from here.
    pub(super) frozen_ms: u64,
    pub(super) tries: u32,
    /// Key groups that change their task; known once the new assignment is.
    pub(super) moved: u32,
    /// What the workers have read ahead.
    pub(super) ahead: Ahead,
}

impl Rescale {
    pub(super) fn new(request: Option<RequestId>, from: u32, target: u32, now: u64) -> Self {
        let ahead = Ahead::Unasked;
        Self { request, from, target, began_ms: now, frozen_ms: now, tries: 0, moved: 0, ahead }
    }
}

/// How far the workers of a rescale are with reading the state that will be theirs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ahead {
    /// Nobody was asked.
    Unasked,
    /// Workers read.
    Reading(Prefetching),
    /// As much is cached as will be.
    Done,
}

/// A prefetch under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Prefetching {
    pub(super) id: u64,
    /// Who has not answered.
    pub(super) waiting: BTreeSet<WorkerId>,
    /// When the rescale goes on without it.
    pub(super) until_ms: u64,
    /// How often workers were asked: checkpoints are published while they read.
    pub(super) rounds: u32,
    /// Objects that they were asked for.
    pub(super) objects: BTreeSet<String>,
}

/// How the job is to end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// All tasks have finished.
    Finish,
    /// With a savepoint.
    Save(Saving),
    /// With a savepoint, after all sources were told to end and every task has finished.
    Drain(Saving),
}

impl Stop {
    /// The savepoint that it waits for.
    pub(super) fn saving(&self) -> Option<&Saving> {
        match self {
            Self::Finish => None,
            Self::Save(saving) | Self::Drain(saving) => Some(saving),
        }
    }
}

/// Something asked that has not begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    Save(Saving),
    Stop(Saving),
    Drain(Saving),
    Rescale(Rescale),
}

impl Ask {
    pub(super) fn request(&self) -> Option<RequestId> {
        match self {
            Self::Save(saving) | Self::Stop(saving) | Self::Drain(saving) => Some(saving.request),
            Self::Rescale(rescale) => rescale.request,
        }
    }
}

/// A savepoint that is being copied behind the running job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Copying {
    pub(super) request: RequestId,
    pub(super) version: Version,
    pub(super) watermark: Option<i64>,
}

/// A registered worker.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) link: LinkId,
    pub(super) incarnation: String,
    pub(super) address: String,
    pub(super) control: String,
    pub(super) slots: u32,
    pub(super) heard_ms: u64,
    pub(super) stats: Vec<TaskStats>,
    pub(super) state_bytes: u64,
}

/// Counters for status.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    pub(super) restarts: u64,
    pub(super) failed_attempts: u64,
    pub(super) failure: String,
    pub(super) epoch: Epoch,
    pub(super) checkpoint_bytes: u64,
    pub(super) checkpoint_ms: u64,
    pub(super) total: u64,
    /// What the first seal of this coordinator restored.
    pub(super) restored: Option<Epoch>,
    /// When the newest checkpoint was published, in milliseconds since 1970.
    pub(super) published_at_ms: u64,
    /// Why attempts fail, while they do.
    pub(super) attempt_problem: String,
    /// Why the tasks failed last, if they did so by themselves.
    pub(super) task_failure: String,
    /// Why sources cannot look for splits, while they cannot.
    pub(super) source_problem: BTreeMap<VertexId, String>,
    /// The checkpoint with which another program of this job had finished, where it has left this
    /// one nothing to read.
    pub(super) finished_before: Option<Epoch>,
    /// The savepoint behind which the job was stopped.
    pub(super) last_savepoint: Option<weir_protocol::control::JobEnd>,
    pub(super) operations: Vec<weir_protocol::control::OperationReport>,
    /// Checkpoints that were published.
    pub(super) published: u64,
    /// Attempts that had nothing new to publish.
    pub(super) unchanged: u64,
    /// How often each protocol step was taken; for tests alone.
    pub(super) steps: BTreeMap<&'static str, u64>,
}
