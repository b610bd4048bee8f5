//! What goes into a task and what comes out of it, besides rows.

use std::sync::Arc;

use weir_protocol::view::RowsView;
use weir_protocol::{
    Attempt, KeyGroupRange, OperatorCounts, OperatorUid, Subtask, VertexId, WorkerId,
};
use weir_state::table::Layer;

use crate::operator::{OperatorMetrics, Snapshot};
use crate::source::{Split, SplitAssignment};
use crate::{EngineError, Watermark};

/// What the member tells a task. Commands of one task keep their order.
#[derive(Clone, Debug)]
pub enum TaskCommand {
    /// Source tasks only: splits to read, and what is known of those still to come.
    AddSplits(SplitAssignment),
    /// Source tasks only: record positions and emit a barrier. Other tasks see the barrier in
    /// their input.
    Trigger(TriggerRequest),
    /// State that was frozen is published.
    Follow(Follow),
    /// The attempt failed. Inputs that wait for its barrier are read again.
    Abandon(Attempt),
    /// A task that froze for this attempt goes on.
    Resume(Attempt),
    /// Source tasks only: nothing more is read, and event time comes to its end. Splits keep their
    /// positions for later barriers.
    Drain,
    /// Somebody looks at these operators: what the task shows of them stands in its next report,
    /// once. Asked again for as long as somebody looks.
    Look(Vec<Look>),
}

/// An operator that somebody looks at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look {
    /// Which.
    pub uid: OperatorUid,
    /// Rows that it gives are looked at as well, or those that it takes where it gives none.
    pub rows: bool,
}

/// What a task shows of an operator that somebody looks at.
#[derive(Clone, PartialEq, Debug)]
pub struct OperatorShown {
    /// Which.
    pub uid: OperatorUid,
    /// The key groups of the task.
    pub groups: KeyGroupRange,
    /// Rows of state in memory, about, by key group of these; empty when it keeps no state tables.
    pub state_rows: Vec<u64>,
    /// Rows that have passed since it was looked at before; absent when none did.
    pub rows: Option<RowsView>,
}

/// The segments of a table of which a task goes on from now on.
#[derive(Clone, Debug)]
pub struct Follow {
    /// The table's operator.
    pub uid: OperatorUid,
    /// Its name.
    pub table: String,
    /// The segments.
    pub layers: Vec<Layer>,
    /// They hold what was frozen for this attempt and before.
    pub up_to: Attempt,
}

/// A checkpoint's cut, asked of the sources.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TriggerRequest {
    /// The coordinator's number of the try.
    pub attempt: Attempt,
    /// Tasks stay frozen behind the barrier.
    pub freeze: bool,
    /// Every operator writes all of its keyed state.
    pub full: bool,
    /// Open files are rolled.
    pub last: bool,
}

/// What a task tells the member.
pub enum TaskEvent {
    /// The barrier has passed; here is what was frozen behind it.
    Frozen(Box<FrozenTask>),
    /// A source task has no split left to read and has not been told that none will come.
    SplitRequest {
        /// Its vertex.
        vertex: VertexId,
        /// Its subtask.
        subtask: Subtask,
        /// Splits that go back to the enumerator, with how far they were read.
        returned: Vec<Split>,
    },
    /// State of this worker that no published checkpoint holds fills its memory; told once until
    /// more is published.
    CheckpointWanted,
    /// The task has sent or received `End` everywhere and has nothing left to do. It stays
    /// available for barriers: an attempt triggered later is answered with its final state.
    Finished {
        /// Its vertex.
        vertex: VertexId,
        /// Its subtask.
        subtask: Subtask,
    },
    /// The task cannot go on; the attempt and the term's tasks end.
    Failed {
        /// Its vertex.
        vertex: VertexId,
        /// Its subtask.
        subtask: Subtask,
        /// Place, cause and fix.
        error: EngineError,
    },
    /// The exchange connection to a worker broke or was refused; the attempt and the term's
    /// tasks end.
    PeerLost {
        /// The worker at the other end.
        worker: WorkerId,
        /// What happened.
        error: EngineError,
    },
}

/// One task's share of an attempt.
pub struct FrozenTask {
    /// The attempt.
    pub attempt: Attempt,
    /// The task's vertex.
    pub vertex: VertexId,
    /// The task's subtask.
    pub subtask: Subtask,
    /// What each operator of the chain froze.
    pub operators: Vec<(OperatorUid, Snapshot)>,
    /// What each operator of the chain, its source included, had counted at the cut.
    pub counts: Vec<(OperatorUid, OperatorCounts)>,
    /// A source's splits with their positions behind the last row that was emitted.
    pub splits: Option<(OperatorUid, Vec<Split>)>,
    /// The merged input watermark at the cut.
    pub watermark: Option<Watermark>,
    /// From the first barrier to the last, in microseconds.
    pub align_us: u64,
    /// Freezing itself, in microseconds: the pause of the task.
    pub freeze_us: u64,
}

/// What a task has done so far.
#[derive(Clone, Debug)]
pub struct TaskReport {
    /// Its vertex.
    pub vertex: VertexId,
    /// Its subtask.
    pub subtask: Subtask,
    /// Counters per operator of the chain, in order.
    pub operators: Vec<(OperatorUid, Arc<OperatorMetrics>, usize)>,
    /// Merged watermark.
    pub watermark: Option<Watermark>,
    /// Bytes or rows that its splits still hold.
    pub remaining: u64,
    /// Microseconds spent stepping, waiting for output room, waiting for input, aligning: together
    /// the time since the task began, what it waits for just now included.
    pub time: TimeInState,
    /// What a source reads, the splits that are furthest behind first; at most [`SHOWN_SPLITS`].
    pub splits: Vec<SplitReport>,
    /// Of what somebody looks at, where there is something new.
    pub shown: Vec<OperatorShown>,
}

/// Splits of a task that are shown.
pub const SHOWN_SPLITS: usize = 32;

/// A split that a task reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SplitReport {
    /// Its name.
    pub id: String,
    /// Where it stands in event time, once it does.
    pub watermark: Option<Watermark>,
    /// Since when it has given no rows.
    pub silent_since: std::time::Instant,
    /// It was declared idle: watermarks do not wait for it.
    pub idle: bool,
    /// Bytes or rows that it still holds.
    pub remaining: u64,
}

/// Where a task's time goes, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TimeInState {
    /// Stepping.
    pub busy: u64,
    /// Not stepped because its output has no room.
    pub backpressured: u64,
    /// Nothing to read.
    pub idle: u64,
    /// Inputs blocked behind a barrier.
    pub aligning: u64,
}
