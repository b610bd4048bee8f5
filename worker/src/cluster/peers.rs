//! Where the other workers are that look for a coordinator, as far as this one was told.
//!
//! A pod that is replaced gets a new address, which the newest manifest does not know. Workers that
//! look for their coordinator ask whomever they can reach, and so tell where they are; whoever was
//! asked passes that on.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use weir_protocol::WorkerId;
use weir_protocol::control::Candidate;

/// A worker that looks for its coordinator asks several times a second; one that has not for so
/// long has found it, or is gone.
const ASKS_WITHIN: Duration = Duration::from_secs(5);
/// Candidates that are remembered: those of a job of the largest parallelism, and some.
const MOST: usize = 65_536;

/// Other workers of the same revision that look for a coordinator, by ordinal.
#[derive(Default)]
pub(crate) struct PeerRegistry(BTreeMap<u32, Entry>);

struct Entry {
    candidate: Candidate,
    at: Instant,
    source: Source,
}

/// How a candidate became known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// It asked this worker. Only that is told to others, so that no rumour lives for ever.
    Itself,
    /// Another worker has told of it.
    Another,
}

impl PeerRegistry {
    /// Takes notice of a candidate.
    pub(crate) fn add(&mut self, candidate: Candidate, source: Source) {
        let now = Instant::now();
        self.0.retain(|_, entry| now.duration_since(entry.at) < ASKS_WITHIN);
        let known = self.0.get(&candidate.worker);
        // What a worker says of itself is newer than what is said about it.
        let better = source == Source::Itself || known.is_none_or(|e| e.source == Source::Another);
        if better && (known.is_some() || self.0.len() < MOST) {
            self.0.insert(candidate.worker, Entry { candidate, at: now, source });
        }
    }

    /// Where a worker has last been, `host:port`.
    pub(crate) fn address(&self, worker: WorkerId) -> Option<String> {
        let entry = self.0.get(&worker.0).filter(|entry| entry.at.elapsed() < ASKS_WITHIN);
        entry.map(|entry| entry.candidate.control.clone())
    }

    /// Those that have asked this worker lately.
    pub(crate) fn first_hand(&self) -> impl Iterator<Item = &Candidate> {
        let asked =
            |entry: &&Entry| entry.source == Source::Itself && entry.at.elapsed() < ASKS_WITHIN;
        self.0.values().filter(asked).map(|entry| &entry.candidate)
    }
}
