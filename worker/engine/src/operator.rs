//! What an operator's author writes against.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::ArrayRef;
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use weir_protocol::{Attempt, Counter, KeyGroupRange, OperatorCounts, OperatorUid, Subtask, Term};
pub use weir_protocol::{Committable, StateSchema};
use weir_state::segment::Segment;
use weir_state::sorted::Age;
pub use weir_state::table::TableSpec;
use weir_state::table::{self, Groups, StoredTable, Table};

use crate::env::Clock;
use crate::group_load::GroupLoad;
use crate::{Batch, EngineError, OperatorError, Watermark};

/// Whether an operator has more to do for the message it was last given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Progress {
    /// The message is dealt with.
    Done,
    /// Call [`Operator::resume`] once the output has drained; no other call comes before it
    /// has answered `Done`.
    More,
}

/// One step of a chain. Called by one thread at a time, never concurrently.
///
/// Work per call is bounded: about one batch in, a few batches out; whoever has more returns
/// [`Progress::More`]. Nothing blocks: I/O happens on the runtime of [`Context::io`], and an
/// operator that waits for it answers `false` from [`Operator::is_ready`].
pub trait Operator: Send {
    /// The state tables that the operator keeps, always the same ones. The engine freezes, stores,
    /// restores, sweeps and accounts them; the operator only reads and writes rows.
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        Vec::new()
    }

    /// The keys of which it is going to look at rows, or write parts of them, for a batch. The engine
    /// brings them into memory before [`Operator::on_batch`] is called; rows of other keys may not
    /// be there. Rows that are only put or removed in an ordered table, whatever is there, need not be
    /// named.
    ///
    /// # Errors
    /// Any error ends the attempt.
    fn keys_of(&mut self, input: usize, batch: &Batch) -> Result<Vec<TableKeys>, OperatorError> {
        let _ = (input, batch);
        Ok(Vec::new())
    }

    /// The same for the next [`Operator::resume`]: whoever finds out while it works, at a watermark
    /// or a tick of timers, answers [`Progress::More`] and names them here.
    ///
    /// # Errors
    /// Any error ends the attempt.
    fn keys_to_resume(&mut self) -> Result<Vec<TableKeys>, OperatorError> {
        Ok(Vec::new())
    }

    /// Takes over stored state; called once, before anything else, and only when there is some. Its
    /// tables hold then what was stored of them.
    ///
    /// # Errors
    /// When the state is damaged or of a version that this operator cannot read.
    fn restore(&mut self, cx: &mut Context, state: Restored) -> Result<(), OperatorError> {
        let _ = (cx, state);
        Ok(())
    }

    /// Whether a message can be taken now. Whoever answers `false` wakes the task through
    /// [`Context::waker`] when that changes.
    fn is_ready(&mut self, cx: &mut Context) -> bool {
        let _ = cx;
        true
    }

    /// Rows from input `input`.
    ///
    /// # Errors
    /// Any error ends the attempt; see [`EngineError`].
    fn on_batch(
        &mut self,
        cx: &mut Context,
        input: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress, OperatorError>;

    /// The merged watermark has advanced. The task forwards it once this is `Done`.
    ///
    /// # Errors
    /// Any error ends the attempt.
    fn on_watermark(
        &mut self,
        cx: &mut Context,
        mark: Watermark,
        out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        let _ = (cx, mark, out);
        Ok(Progress::Done)
    }

    /// The watermark that leaves once the operator is done with `mark`: an earlier one where rows
    /// leave behind it that are older. A chain ends with such an operator, because what stands behind it
    /// is restored to what has left. Never falls while `mark` does not.
    fn outgoing(&self, mark: Watermark) -> Watermark {
        mark
    }

    /// Whether it can go on after [`Progress::More`]: what it waits for outside is there. Whoever
    /// answers `false` wakes the task through [`Context::waker`] when that changes; until then nothing
    /// passes, so that it ought not to be long.
    fn can_resume(&mut self, cx: &mut Context) -> bool {
        let _ = cx;
        true
    }

    /// Goes on after [`Progress::More`].
    ///
    /// # Errors
    /// Any error ends the attempt.
    fn resume(&mut self, cx: &mut Context, out: &mut Output) -> Result<Progress, OperatorError> {
        let _ = (cx, out);
        Ok(Progress::Done)
    }

    /// Something is about to pass that rows may not come behind: a barrier, idleness (others'
    /// watermarks then go on without this task), or the end. Whatever is held back for the next
    /// operator and not part of a snapshot (local pre-aggregates) leaves now; the task passes the
    /// message on once this is `Done`.
    ///
    /// # Errors
    /// Any error ends the attempt.
    fn flush(&mut self, cx: &mut Context, out: &mut Output) -> Result<Progress, OperatorError> {
        let _ = (cx, out);
        Ok(Progress::Done)
    }

    /// Freezes what changed since the last freeze beside its tables, in O(chunks). Encoding and
    /// uploading happen after processing has resumed. A frozen delta belongs to the next *published*
    /// manifest: the member hands it on when the attempt fails, so an operator never freezes it again.
    ///
    /// # Errors
    /// Any error declines the attempt and ends the term's tasks.
    fn on_barrier(
        &mut self,
        cx: &mut Context,
        request: SnapshotRequest,
    ) -> Result<Snapshot, OperatorError> {
        let _ = (cx, request);
        Ok(Snapshot::default())
    }

    /// Called about every 100 ms of processing time, unless the task is frozen or aligning.
    ///
    /// # Errors
    /// Any error ends the attempt.
    fn on_tick(&mut self, cx: &mut Context, out: &mut Output) -> Result<(), OperatorError> {
        let _ = (cx, out);
        Ok(())
    }

    /// Whether time begins anew with this operator: watermarks from above but the last one, and what
    /// is said of idle inputs, stop at it; [`Operator::own_watermark`] takes their place. A chain
    /// ends with such an operator, as with one that holds watermarks back.
    fn keeps_own_time(&self) -> bool {
        false
    }

    /// Asked at every tick: the watermark that leaves now, of an operator that keeps its own time.
    fn own_watermark(&mut self, cx: &Context) -> Option<Watermark> {
        let _ = cx;
        None
    }

    /// Tells of the rows that it keeps by key beside its tables: hashes of their keys, of at most about
    /// `most` rows, evenly spread, and for how many rows each of them stands. For people to look at.
    ///
    /// # Errors
    /// When a key cannot be read, which is a bug; nothing ends because of it.
    fn count_keys(
        &self,
        most: usize,
        count: &mut dyn FnMut(&[u64], u64),
    ) -> Result<(), OperatorError> {
        let _ = (most, count);
        Ok(())
    }

    /// Memory that the operator holds beside its tables, in bytes; accounted to the state pool.
    fn state_bytes(&self) -> usize {
        0
    }
}

/// Keys of one of an operator's tables.
#[derive(Clone, Debug)]
pub struct TableKeys {
    /// Which of [`Operator::tables`].
    pub table: usize,
    /// A column per column of the table's key.
    pub keys: Vec<ArrayRef>,
    /// How many there are; they may repeat.
    pub rows: usize,
}

/// What is asked of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotRequest {
    /// The attempt that it is taken for.
    pub attempt: Attempt,
    /// Write all keyed state, not only what changed: superseded segments can then go.
    pub full: bool,
    /// The job stops or hands over after this attempt: open files are rolled, so that nothing
    /// outside the chain is needed.
    pub last: bool,
}

/// The frozen state of one operator's subtask.
#[derive(Default)]
pub struct Snapshot {
    /// Keyed state; encoded off the task's thread.
    pub keyed: Option<Box<dyn Frozen>>,
    /// What changed in the operator's tables, which the engine adds.
    pub tables: Vec<table::Frozen>,
    /// Values that are not keyed. On restore they are dealt out evenly over the subtasks.
    pub items: Vec<Bytes>,
    /// A sink's pre-commit: finishes flushing what was written before the barrier. On restore
    /// into another attempt or term it is the manifest's committables that count.
    pub pre_commit: Option<BoxFuture<'static, Result<PreCommitted, OperatorError>>>,
}

/// What a sink has made ready for publication.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PreCommitted {
    /// To be committed once the manifest that lists them is published.
    pub committables: Vec<Committable>,
    /// Values to restore the writer from (open files), as [`Snapshot::items`], for those that
    /// are only known after flushing.
    pub items: Vec<Bytes>,
}

/// Keyed state frozen in memory, to be encoded into segments later.
pub trait Frozen: Send {
    /// Encodes it. Called once, on an I/O thread.
    ///
    /// # Errors
    /// When a column cannot be encoded.
    fn encode(self: Box<Self>) -> Result<Vec<Segment>, EngineError>;
}

/// Stored state handed to a subtask.
#[derive(Default, Debug)]
pub struct Restored {
    /// Segments in the order in which they apply. They may hold groups of other subtasks, to
    /// be skipped by [`Segment::blocks_in`] with the context's range.
    pub segments: Vec<Segment>,
    /// What is stored of each table, by its name; the engine gives it to [`Operator::tables`].
    pub tables: BTreeMap<String, StoredTable>,
    /// The subtask's share of the items.
    pub items: Vec<Bytes>,
    /// The merged watermark at the cut. Of key groups that come from several subtasks it is the
    /// smallest: where splits are idle, subtasks do not pass every watermark at the same cut.
    pub watermark: Option<Watermark>,
    /// Key groups whose watermark was above that. Windows which it completes were given out.
    pub ahead: Vec<(KeyGroupRange, Watermark)>,
}

/// Who an operator's subtask is and what it may use.
pub struct Context {
    /// The operator's stable name.
    pub uid: OperatorUid,
    /// The operator's name for people.
    pub name: Arc<str>,
    /// Which of the parallel instances this is.
    pub subtask: Subtask,
    /// How many instances there are.
    pub parallelism: u32,
    /// Number of key groups of the job.
    pub max_parallelism: u32,
    /// The key groups that this subtask owns.
    pub key_groups: KeyGroupRange,
    /// The term that this task belongs to; part of every name a sink stages under.
    pub term: Term,
    /// Wall-clock time for processing-time policies.
    pub clock: Clock,
    /// Where I/O runs; never blocked on.
    pub io: tokio::runtime::Handle,
    /// Wakes the task from any thread.
    pub waker: Waker,
    /// Counters of this operator.
    pub metrics: Arc<OperatorMetrics>,
}

impl Context {
    /// The key groups that the subtask's tables hold.
    #[must_use]
    pub fn groups(&self) -> Groups {
        Groups { range: self.key_groups, of: self.max_parallelism }
    }

    /// When something is frozen for an attempt: what orders the segments of a table.
    #[must_use]
    pub fn age(&self, attempt: Attempt) -> Age {
        Age { term: self.term, attempt }
    }
}

/// Wakes a task: it will be stepped soon. Cheap and safe to call from anywhere, any number of
/// times.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// A waker that calls `wake`.
    #[must_use]
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// A waker that wakes nobody, for tests.
    #[must_use]
    pub fn none() -> Self {
        Self::new(|| {})
    }

    /// Wakes the task.
    pub fn wake(&self) {
        (self.0)();
    }
}

/// What an operator counts about itself; read by status and metrics.
#[derive(Default, Debug)]
pub struct OperatorMetrics {
    counts: [AtomicU64; Counter::ALL.len()],
    /// Of an operator that keeps state by key.
    groups: OnceLock<GroupLoad>,
}

impl OperatorMetrics {
    /// Adds to a counter.
    pub fn add(&self, counter: Counter, n: usize) {
        self.counts[counter as usize].fetch_add(n as u64, Ordering::Relaxed);
    }

    /// A counter.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.counts[counter as usize].load(Ordering::Relaxed)
    }

    /// From now on it is counted for which key groups rows come. A second call changes nothing.
    pub fn count_groups(&self, load: GroupLoad) {
        self.groups.get_or_init(|| load);
    }

    /// For which key groups rows come; only of an operator that keeps state by key.
    #[must_use]
    pub fn groups(&self) -> Option<&GroupLoad> {
        self.groups.get()
    }

    /// What it has counted so far.
    #[must_use]
    pub fn counts(&self) -> OperatorCounts {
        Counter::ALL.into_iter().map(|counter| (counter, self.get(counter))).collect()
    }
}

/// A named output of an operator; the main one has no name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum OutputTag {
    /// The result.
    Main,
    /// Rows dropped as late, in the schema of the operator's input.
    Late,
    /// Rows that could not be processed.
    Errors,
}

/// Collects what an operator gives out during one call. The chain passes it on in order.
#[derive(Default, Debug)]
pub struct Output {
    batches: Vec<(OutputTag, Batch)>,
}

impl Output {
    /// Rows for the next operator; empty batches are dropped.
    pub fn push(&mut self, batch: Batch) {
        self.push_to(OutputTag::Main, batch);
    }

    /// Rows for a named output; dropped where nothing listens.
    pub fn push_to(&mut self, tag: OutputTag, batch: Batch) {
        if batch.num_rows() > 0 {
            self.batches.push((tag, batch));
        }
    }

    /// Takes what was collected, in order.
    pub fn take(&mut self) -> Vec<(OutputTag, Batch)> {
        std::mem::take(&mut self.batches)
    }

    /// Whether nothing was collected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}

/// Makes the parallel instances of an operator. Every process builds the same factories from
/// the same program; nothing executable travels over the wire.
pub trait OperatorFactory: Send + Sync {
    /// A fresh instance for the subtask that `cx` names.
    ///
    /// # Errors
    /// When the instance cannot be set up, for example because credentials are missing.
    fn create(&self, cx: &Context) -> Result<Box<dyn Operator>, OperatorError>;
}

impl<F> OperatorFactory for F
where
    F: Fn(&Context) -> Result<Box<dyn Operator>, OperatorError> + Send + Sync,
{
    fn create(&self, cx: &Context) -> Result<Box<dyn Operator>, OperatorError> {
        self(cx)
    }
}
