//! What the coordinator's core is told, and what it wants done.

use bytes::Bytes;
use weir_checkpoint::CheckpointBody;
use weir_checkpoint::manifest::Assignment;
use weir_engine::EngineError;
use weir_engine::source::Split;
use weir_protocol::control::{FromWorker, Look, ToWorker};
use weir_protocol::{Attempt, Epoch, Term, Version, VertexId};

use super::head::Head;

/// A worker's connection; never used again within a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

/// A question that waits for a [`Reply`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The chain was read for the first time.
    Opened {
        /// Its newest manifest, if the job has run before.
        head: Option<Head>,
    },
    /// A worker said something. Its first message is `Hello`.
    Message {
        /// Over which connection.
        link: LinkId,
        /// What.
        message: FromWorker,
    },
    /// A connection ended.
    LinkClosed {
        /// Which.
        link: LinkId,
    },
    /// The take-over counts.
    Sealed {
        /// The sealing manifest: the new term, repeating what the chain's head said.
        head: Head,
    },
    /// The take-over could not be tried; the store is away.
    SealFailed {
        /// Why.
        message: String,
    },
    /// The attempt's manifest counts.
    Published {
        /// The attempt.
        attempt: Attempt,
        /// The manifest: now the head.
        head: Head,
    },
    /// The attempt's place in the chain was given up.
    Voided {
        /// The attempt.
        attempt: Attempt,
        /// The place that is now void.
        version: Version,
        /// Why.
        message: String,
    },
    /// The attempt's manifest was never put.
    NotPublished {
        /// The attempt.
        attempt: Attempt,
        /// Why.
        message: String,
    },
    /// The store does not decide yet about the attempt's manifest; it is asked again.
    Undecided {
        /// The attempt.
        attempt: Attempt,
        /// What it says.
        message: String,
    },
    /// The store does not answer; it is tried again.
    StoreProblem {
        /// What it says.
        message: String,
    },
    /// The job cannot be run from what is stored.
    Unusable {
        /// Why, and what to do.
        message: String,
    },
    /// Another coordinator holds the job.
    Fenced {
        /// Who, as far as known.
        message: String,
    },
    /// A savepoint was copied, or was not.
    SavepointDone {
        /// Its name.
        name: String,
        /// Where it is, or why not.
        result: Result<SavepointInfo, String>,
    },
    /// An enumerator has looked.
    Discovered {
        /// The term for which it looks.
        term: Term,
        /// The source.
        vertex: VertexId,
        /// What it found, and its state after that.
        result: Result<Found, EngineError>,
    },
    /// An enumerator could not look, and will try again.
    NotDiscovered {
        /// The term for which it looks.
        term: Term,
        /// The source.
        vertex: VertexId,
        /// Why.
        message: String,
    },
    /// Someone asks.
    Request {
        /// To be repeated in the reply.
        id: RequestId,
        /// What.
        request: Request,
        /// The id under which it is reported as an operation; empty when nobody will look.
        operation: String,
    },
    /// People look at these operators from now on; nothing is decided by it.
    Look {
        /// Which, all of them.
        looks: Vec<Look>,
    },
    /// The process was told to end: the role is to be handed over.
    StepDown,
    /// Time has passed: at least [`super::JobMaster::next_deadline`] is reached.
    Tick,
}

/// What an enumerator found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// Splits that were not known before.
    pub splits: Vec<Split>,
    /// The enumerator's state after finding them.
    pub snapshot: Bytes,
    /// It will look again.
    pub again: bool,
    /// How many more of the splits that were given back, in order, the snapshot knows of.
    pub taken_back: usize,
    /// `SplitEnumerator::held`.
    pub held: Option<i64>,
}

/// A savepoint that is complete.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavepointInfo {
    /// Bytes copied.
    pub bytes: u64,
    /// Where it is.
    pub path: String,
}

/// What operators, the command line and pages ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Take a savepoint; then stop the job, if asked.
    Savepoint {
        /// Its name in the store.
        name: String,
        /// Whether the job stops behind it.
        stop: bool,
    },
    /// Let sources end where they are, close every window, then stop with a savepoint.
    Drain {
        /// The savepoint's name.
        name: String,
    },
    /// Run at another parallelism.
    Rescale {
        /// The parallelism.
        parallelism: u32,
    },
}

/// The answer to a [`Request`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// The savepoint is complete.
    Saved {
        /// The checkpoint that it is a copy of.
        epoch: Epoch,
        /// Bytes and place.
        info: SavepointInfo,
        /// The smallest watermark of the job at it, in milliseconds.
        watermark: Option<i64>,
    },
    /// The job runs at the new parallelism.
    Rescaled {
        /// From the request to the running job.
        total_ms: u64,
        /// From the frozen cut to the running job.
        pause_ms: u64,
        /// Key groups that changed their task.
        groups_moved: u32,
    },
    /// It did not come to it; says why, and what to do.
    Refused(String),
}

/// How the coordinator's work ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Every source has ended and the last output is committed.
    Finished,
    /// Stopped with a savepoint.
    Stopped {
        /// Its path.
        savepoint: String,
    },
    /// The job cannot go on; ready to be shown.
    Failed(String),
    /// Another coordinator holds the job. This process never coordinates again.
    Fenced(String),
    /// The process was told to end, and has told its workers that the role is free.
    SteppedDown,
}

/// Something to be done, in the order given.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Send to a worker.
    Send {
        /// Over which connection.
        link: LinkId,
        /// What.
        message: ToWorker,
    },
    /// End a connection, after what was sent on it.
    Disconnect {
        /// Which.
        link: LinkId,
    },
    /// Take over, or go to the next term of the same writer.
    Seal {
        /// The intended assignment.
        assignment: Assignment,
    },
    /// Publish an attempt's manifest.
    Publish {
        /// What it adds.
        body: Box<CheckpointBody>,
    },
    /// Committables are known to be committed; the next manifest need not list them.
    Acknowledged {
        /// Epoch that first listed them.
        epoch: Epoch,
        /// Their positions there.
        indices: Vec<u32>,
    },
    /// Delete what the newest manifest dropped.
    Collect,
    /// Copy a pinned checkpoint to a savepoint's folder.
    CopySavepoint {
        /// Its name.
        name: String,
        /// The checkpoint.
        version: Version,
    },
    /// Make the term's enumerator of a source; let it look unless everything has been found.
    Enumerate {
        /// The term; answers carry it.
        term: Term,
        /// The source.
        vertex: VertexId,
        /// What to make it from.
        snapshot: Option<Bytes>,
        /// What readers gave back that the snapshot does not know of.
        returned: Vec<Split>,
        /// Whether to look.
        look: bool,
    },
    /// Readers gave splits back: they are the enumerator's.
    TakeBack {
        /// The source.
        vertex: VertexId,
        /// Its splits.
        splits: Vec<Split>,
    },
    /// Tell a source's enumerator which positions are safe.
    ShowPositions {
        /// The source.
        vertex: VertexId,
        /// Its splits.
        splits: Vec<Split>,
    },
    /// Answer a question.
    Reply {
        /// Which.
        id: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// The coordinator's work has ended; connections close after what was sent on them.
    End(Ending),
}
