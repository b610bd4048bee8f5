//! What happens to checkpoints, and what comes of it.

use std::collections::BTreeMap;

use weir_checkpoint::{CheckpointBody, EnumeratorState, Manifest};
use weir_protocol::control;
use weir_protocol::{Attempt, OperatorUid, VertexId};

use crate::master::head::Head;
use crate::master::plan::TaskId;
use crate::master::requests::Saving;

/// What an attempt is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// The interval is over. It is published only if something has changed.
    Interval,
    /// A savepoint, behind which the job goes on.
    Savepoint(Saving),
    /// The tasks stay frozen behind it. With `is_last` the job is to end there; `pin` is the name of
    /// the savepoint that is made from it.
    Hold { is_last: bool, pin: Option<String> },
}

impl Purpose {
    /// Whether tasks stay frozen behind the barrier.
    pub(crate) fn freezes(&self) -> bool {
        matches!(self, Self::Hold { .. })
    }

    /// Whether tasks finish what they have open: a savepoint refers to nothing outside its folder,
    /// so open files are rolled for it.
    pub(crate) fn is_last(&self) -> bool {
        match self {
            Self::Interval => false,
            Self::Savepoint(_) => true,
            Self::Hold { is_last, .. } => *is_last,
        }
    }

    pub(crate) fn pin(&self) -> Option<&str> {
        match self {
            Self::Interval => None,
            Self::Savepoint(saving) => Some(&saving.name),
            Self::Hold { pin, .. } => pin.as_deref(),
        }
    }
}

/// What happens to checkpoints.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// The chain was read.
    Opened(&'a Head),
    /// A term begins from this manifest.
    Sealed(&'a Head),
    /// Tasks run from here on.
    TasksBegan,
    /// No task runs any more, or none whose attempts count; says why.
    TasksEnded { why: String },
    /// An attempt begins.
    Begin {
        purpose: Purpose,
        /// Operators that write all of their state.
        full: Vec<OperatorUid>,
        /// The enumerators' share, taken now: whatever is assigned after this stays the
        /// enumerator's at this cut.
        enumerators: BTreeMap<VertexId, EnumeratorState>,
        tasks: Vec<TaskId>,
    },
    /// A worker's memory fills with state that no published checkpoint holds.
    Wanted,
    /// A task has acknowledged.
    Acknowledged(control::Ack),
    /// All have: the manifest is put together on top of `head`. `uncommitted` is how many pieces
    /// of output are not known to be committed.
    Assemble { head: &'a Head, parallelism: u32, uncommitted: usize },
    /// The attempt's manifest is now the head.
    Published { attempt: Attempt, before: &'a Manifest, head: &'a Head, wall_ms: u64 },
    /// The store has not decided about the attempt's manifest, which may still count.
    Undecided { attempt: Attempt, why: String },
    /// The attempt will not be published.
    Failed { attempt: Attempt, why: String },
    /// Time has passed.
    Tick,
}

/// What comes of it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Outcome {
    /// To be sent to every worker with tasks.
    Trigger(control::Trigger),
    /// Every task has acknowledged: [`Event::Assemble`] is awaited.
    AllAcknowledged,
    /// The attempt would add nothing to the chain and is given up.
    Unchanged { attempt: Attempt },
    /// To be published.
    Publish(Box<CheckpointBody>),
    /// The attempt that was under way is published; workers are to be told.
    Published { published: control::Published, purpose: Purpose },
    /// The attempt came to nothing; what was frozen for it belongs to the next one.
    Abandoned { attempt: Attempt, purpose: Purpose, why: String },
    /// The tasks have ended while a savepoint was being taken.
    Interrupted { saving: Saving, why: String },
}
