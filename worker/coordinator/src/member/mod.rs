//! The worker's end of the control protocol.
//!
//! What enters: messages of the coordinator, events of the tasks. What leaves: acks of stored
//! state, commits carried out, heartbeats.
//!
//! What always holds: messages of a term below the newest one seen are ignored; a broken
//! connection ends the tasks at once, since the coordinator has given them up at the same
//! moment; what was frozen and not published stays in the ledger until the term ends.

mod commit;
mod compaction;
mod freeze;
mod host;
mod prefetch;
mod report;
mod restore;
mod segments;
mod session;
mod work;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use weir_checkpoint::manifest::INLINE_LIMIT;
use weir_checkpoint::steps::Steps;
use weir_checkpoint::{DataReader, Nonces, SegmentCache, Store};
use weir_engine::graph::JobGraph;
use weir_protocol::control::{JobEnd, RunState, Shutdown, TaskStats};
use weir_protocol::{Term, WorkerId};
use weir_state::merge::policy::Limits;

pub use host::{HostedTasks, TaskHost};

use crate::link::Connect;
use session::{Session, SessionEnd};

/// First wait after a connection that could not be made, and the longest.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// A coordinator that was lost a moment ago is likely to be back the next: for so long no wait is
/// longer than that.
const EAGER: (Duration, Duration) = (Duration::from_secs(10), Duration::from_millis(250));

/// Stored tables that hold no more bytes come into memory as a whole when tasks begin: reading so
/// much at once takes less than the batches would wait that need it piece by piece.
const RESIDENT_BYTES: u64 = 64 << 20;
/// And no more than this part of what state may hold.
const RESIDENT_PART: u64 = 8;
/// The part of what state may hold that a merge reads: beside that it holds what it writes.
const MERGE_PART: u64 = 16;

/// Who a worker is.
#[derive(Clone, Debug)]
pub struct MemberConfig {
    /// Its ordinal.
    pub worker: WorkerId,
    /// Random, new with every start of the process.
    pub incarnation: String,
    /// Where its data exchange listens; empty when nobody else needs it.
    pub exchange_address: String,
    /// Where its control service listens; empty where it has none.
    pub control_address: String,
    /// Subtasks of each vertex that it can run.
    pub slots: u32,
    /// Where names of state objects come from.
    pub nonces: Nonces,
    /// Who is told of protocol steps.
    pub steps: Steps,
}

/// Why a member has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemberEnd {
    /// The coordinator said so, or was one of this process and has ended.
    Shutdown {
        /// Why.
        reason: String,
        /// How the job has ended; absent when only this worker is not wanted.
        end: Option<JobEnd>,
    },
}

/// What a member shows of itself.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MemberView {
    /// It holds a connection to a coordinator.
    pub attached: bool,
    /// The newest term whose coordinator has handed its role over.
    pub released: Option<Term>,
    /// When the other end last closed the connection; none while another one is held.
    pub closed: Option<Instant>,
    /// When a coordinator last answered it.
    pub heard: Option<Instant>,
    /// The newest term that it has heard of.
    pub term: Term,
    /// Where the job is, as the coordinator last said; unspecified before it did.
    pub state: RunState,
    /// Its tasks.
    pub tasks: Vec<TaskStats>,
}

/// A worker's end of the control protocol.
pub struct Member {
    pub(crate) config: MemberConfig,
    pub(crate) graph: Arc<JobGraph>,
    pub(crate) host: Arc<dyn TaskHost>,
    /// The job's folder.
    pub(crate) store: Arc<dyn Store>,
    pub(crate) reader: DataReader,
    /// Segments near this worker; it outlives terms and connections.
    pub(crate) cache: SegmentCache,
    pub(crate) inline_limit: usize,
    /// When segments of state tables are merged.
    pub(crate) merges: Limits,
    /// Stored tables that hold no more come into memory as a whole when tasks begin.
    pub(crate) resident_bytes: u64,
    view: watch::Sender<MemberView>,
    /// The process was told to end.
    leaving: watch::Sender<bool>,
}

impl Member {
    /// A member that is not connected yet. `store` is the job's folder
    /// (`weir_checkpoint::Chain::store`).
    #[must_use]
    pub fn new(
        config: MemberConfig,
        graph: Arc<JobGraph>,
        host: Arc<dyn TaskHost>,
        store: Arc<dyn Store>,
    ) -> Self {
        let reader = DataReader::new(store.clone());
        let state = host.state_pool().limit() as u64;
        let step = (state / MERGE_PART).clamp(1 << 20, Limits::default().step);
        let resident_bytes = RESIDENT_BYTES.min(state / RESIDENT_PART);
        Self {
            config,
            graph,
            host,
            store,
            reader,
            cache: SegmentCache::none(),
            inline_limit: INLINE_LIMIT,
            merges: Limits { step, ..Limits::default() },
            resident_bytes,
            view: watch::Sender::default(),
            leaving: watch::Sender::default(),
        }
    }

    /// Keeps the segments that it writes and reads in `cache`.
    #[must_use]
    pub fn with_cache(mut self, cache: SegmentCache) -> Self {
        self.reader = self.reader.with_cache(cache.clone());
        self.cache = cache;
        self
    }

    /// Makes objects of state that is larger than so many bytes; in simulations, where all state
    /// is small.
    #[must_use]
    pub fn with_inline_limit(mut self, bytes: usize) -> Self {
        self.inline_limit = bytes;
        self
    }

    /// Merges segments of state tables by other limits; in simulations, where there are few.
    #[must_use]
    pub fn with_merges(mut self, limits: Limits) -> Self {
        self.merges = limits;
        self
    }

    /// Brings stored tables into memory as a whole that hold no more than so many bytes.
    #[must_use]
    pub fn with_resident_bytes(mut self, bytes: u64) -> Self {
        self.resident_bytes = bytes;
        self
    }

    /// What it shows of itself, from now on.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<MemberView> {
        self.view.subscribe()
    }

    /// Takes leave of the coordinator, which gives the tasks of this worker to others at once.
    /// Returns when the coordinator has let it go; the member connects no more.
    pub async fn leave(&self) {
        self.leaving.send_replace(true);
        // An error is impossible: the member holds the sender.
        self.view.subscribe().wait_for(|view| !view.attached).await.ok();
    }

    /// Waits until the process is told to end.
    pub(crate) async fn leaves(&self) {
        self.leaving.subscribe().wait_for(|leaving| *leaving).await.ok();
    }

    pub(crate) fn show(&self, change: impl FnOnce(&mut MemberView)) {
        self.view.send_modify(change);
    }

    /// State that lies elsewhere (a job that starts from another job's savepoint) is read from
    /// `store` for addresses below `url`.
    #[must_use]
    pub fn with_foreign(mut self, url: &str, store: Arc<dyn Store>) -> Self {
        self.reader = self.reader.with_foreign(url, store);
        self
    }

    /// Connects, serves, and connects again, until the coordinator shuts it down or, in this
    /// process, has ended.
    pub async fn run(&self, coordinator: &dyn Connect) -> MemberEnd {
        let mut wait = RECONNECT.0;
        let mut lost = Instant::now();
        loop {
            if *self.leaving.borrow() {
                // Whoever told it so ends the process.
                std::future::pending::<()>().await;
            }
            match coordinator.connect().await {
                Ok(link) => match Session::new(self, link).serve().await {
                    SessionEnd::Shutdown(Shutdown { reason, end }) => {
                        return MemberEnd::Shutdown { reason, end };
                    }
                    SessionEnd::Broken { served: true } => {
                        (wait, lost) = (RECONNECT.0, Instant::now());
                    }
                    SessionEnd::Broken { served: false } => {}
                },
                Err(error) if coordinator.has_ended() => {
                    return MemberEnd::Shutdown { reason: error.to_string(), end: None };
                }
                Err(error) => tracing::debug!(%error, "trying again"),
            }
            let longest = if lost.elapsed() < EAGER.0 { EAGER.1 } else { RECONNECT.1 };
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(longest),
                () = coordinator.news() => wait = RECONNECT.0,
            }
        }
    }
}
