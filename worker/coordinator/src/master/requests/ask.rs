//! What is asked of the job, and what it carries along until it is answered.

use std::collections::BTreeSet;

use weir_protocol::{Version, WorkerId};

use crate::master::event::RequestId;

/// A savepoint that is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Saving {
    pub(crate) name: String,
    pub(crate) request: RequestId,
    pub(crate) tries: u32,
}

impl Saving {
    pub(crate) fn new(name: String, request: RequestId) -> Self {
        Self { name, request, tries: 0 }
    }
}

/// A change of parallelism, or of placement alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rescale {
    /// Absent when the coordinator rebalances by itself.
    pub(crate) request: Option<RequestId>,
    pub(crate) target: u32,
    pub(crate) began_ms: u64,
    pub(crate) tries: u32,
}

impl Rescale {
    pub(crate) fn new(request: Option<RequestId>, target: u32, now_ms: u64) -> Self {
        Self { request, target, began_ms: now_ms, tries: 0 }
    }
}

/// How far the workers of a rescale are with reading the state that will be theirs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ahead {
    /// Nobody was asked.
    Unasked,
    /// Workers read.
    Reading(Prefetching),
    /// As much is cached as will be.
    Done,
}

/// A prefetch under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Prefetching {
    pub(crate) id: u64,
    /// Who has not answered.
    pub(crate) waiting: BTreeSet<WorkerId>,
    /// When the rescale goes on without it.
    pub(crate) until_ms: u64,
    /// How often workers were asked: checkpoints are published while they read.
    pub(crate) rounds: u32,
    /// Objects that they were asked for.
    pub(crate) objects: BTreeSet<String>,
}

/// Something asked that has not begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ask {
    /// A savepoint, behind which the job goes on.
    Save(Saving),
    /// The end, behind a savepoint.
    Stop(Saving),
    /// The end of all sources, then the job's, behind a savepoint.
    Drain(Saving),
    /// Other slots.
    Rescale { rescale: Rescale, ahead: Ahead },
}

impl Ask {
    /// A rescale that had begun: what was to be read ahead was.
    pub(crate) fn begun(rescale: Rescale) -> Self {
        Self::Rescale { rescale, ahead: Ahead::Done }
    }

    pub(crate) fn is_rescale(&self) -> bool {
        matches!(self, Self::Rescale { .. })
    }

    /// Who waits for an answer; nobody where the coordinator asked itself.
    pub(crate) fn request(&self) -> Option<RequestId> {
        match self {
            Self::Save(saving) | Self::Stop(saving) | Self::Drain(saving) => Some(saving.request),
            Self::Rescale { rescale, .. } => rescale.request,
        }
    }

    pub(crate) fn tries_mut(&mut self) -> &mut u32 {
        match self {
            Self::Save(saving) | Self::Stop(saving) | Self::Drain(saving) => &mut saving.tries,
            Self::Rescale { rescale, .. } => &mut rescale.tries,
        }
    }
}

/// A savepoint that is being copied behind the running job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Copying {
    pub(crate) request: RequestId,
    pub(crate) version: Version,
    /// The smallest watermark of the sources at it.
    pub(crate) watermark: Option<i64>,
}
