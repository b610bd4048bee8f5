//! One term of one coordinator: publishes, remembers commits, collects.

mod collect;
mod publish;
mod roll_back;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_protocol::{Term, Version};

use super::next::Memory;
use super::settle::Candidate;
use super::{Chain, MAX_UNCOMMITTED_VERSIONS};
use crate::manifest::{CommitId, Manifest, PendingCommit};
use crate::steps;

pub use collect::{CollectError, Collected};
pub use publish::{PublishError, Published};
pub use roll_back::{Destroyed, RollBackEnd, RollBackError};

#[derive(Debug)]
struct Undecided {
    mine: Candidate,
    void: Option<Candidate>,
}

#[derive(Debug)]
struct State {
    head: Arc<Manifest>,
    memory: Memory,
    undecided: Option<Undecided>,
    fenced: Option<Version>,
    swept: bool,
    /// What the store said last about the undecided manifest.
    problem: Option<String>,
}

/// Proof of having sealed: only who holds one publishes, commits, starts tasks or deletes.
#[derive(Clone, Debug)]
pub struct WriterTerm {
    chain: Chain,
    term: Term,
    state: Arc<Mutex<State>>,
    /// Held for the length of a publication: there is never a second one undecided.
    publishing: Arc<tokio::sync::Mutex<()>>,
}

impl WriterTerm {
    pub(super) fn begin(chain: Chain, head: Arc<Manifest>) -> Self {
        let state = State {
            head: head.clone(),
            memory: Memory::default(),
            undecided: None,
            fenced: None,
            swept: false,
            problem: None,
        };
        Self {
            chain,
            term: head.term,
            state: Arc::new(Mutex::new(state)),
            publishing: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.term
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The newest manifest of this writer that counts.
    #[must_use]
    pub fn head(&self) -> Arc<Manifest> {
        self.state().head.clone()
    }

    /// The version at which this writer found itself fenced, if it did.
    #[must_use]
    pub fn fenced(&self) -> Option<Version> {
        self.state().fenced
    }

    /// What is to be committed, in order: listed by the head and not acknowledged. Empty while
    /// a roll-back is unfinished, for the output that it destroys.
    #[must_use]
    pub fn pending(&self) -> Vec<PendingCommit> {
        let state = self.state();
        let destroyed = state.head.roll_back.as_ref().map(|r| &r.destroy);
        state
            .head
            .pending
            .iter()
            .filter(|p| !state.memory.acknowledged.contains(&p.id()))
            .filter(|p| destroyed.is_none_or(|d| !d.contains(&p.id())))
            .cloned()
            .collect()
    }

    /// Whether a piece of output is known to be committed.
    #[must_use]
    pub fn is_committed(&self, id: CommitId) -> bool {
        let state = self.state();
        id.epoch <= state.head.version
            && (state.memory.acknowledged.contains(&id)
                || !state.head.pending.iter().any(|p| p.id() == id))
    }

    /// Versions whose output is not committed.
    #[must_use]
    pub fn uncommitted_versions(&self) -> usize {
        self.pending().iter().map(|p| p.epoch).collect::<BTreeSet<_>>().len()
    }

    /// Whether a new attempt may start (rule 7). False also turns CheckpointHealthy false.
    #[must_use]
    pub fn may_start_attempt(&self) -> bool {
        let state = self.state();
        let free = state.undecided.is_none() && state.fenced.is_none();
        drop(state);
        free && self.uncommitted_versions() < MAX_UNCOMMITTED_VERSIONS
    }

    /// Output of `epoch` that is known to be committed, by its index there; the next manifest
    /// no longer lists it.
    pub async fn commits_acknowledged(&self, epoch: Version, indices: &[u32]) {
        {
            let mut state = self.state();
            let pending: BTreeSet<CommitId> =
                state.head.pending.iter().map(PendingCommit::id).collect();
            let ids = indices.iter().map(|&index| CommitId { epoch, index });
            state.memory.acknowledged.extend(ids.filter(|id| pending.contains(id)));
        }
        self.chain.options.steps.reached(steps::COMMIT_ACKNOWLEDGED).await;
    }

    /// Why the store has not decided about the manifest that is on its way, while it has not.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.state().problem.clone()
    }

    /// What is known to be committed although the head still lists it.
    #[must_use]
    pub fn acknowledged(&self) -> BTreeSet<CommitId> {
        self.state().memory.acknowledged.clone()
    }

    /// The savepoint or operation no longer needs the versions that it pinned; the next manifest
    /// lets them go.
    pub fn unpin(&self, name: &str) {
        self.state().memory.unpinned.insert(name.to_owned());
    }
}
