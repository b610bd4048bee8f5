//! Rule 6: what was frozen belongs to the next *published* manifest.

use std::collections::BTreeMap;

use weir_protocol::{Attempt, OperatorUid, Subtask};

/// Keeps what was frozen for attempts until one that included it is published.
///
/// One ledger per worker and term; it dies with the term, and with it the rows it holds, which
/// the next term reads again. One attempt runs at a time: an attempt is triggered only after
/// the one before was published or abandoned, else the same delta would be in two manifests.
#[derive(Debug)]
pub struct FrozenLedger<T> {
    entries: BTreeMap<(OperatorUid, Subtask), Vec<(Attempt, T)>>,
}

impl<T> Default for FrozenLedger<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl<T: Clone> FrozenLedger<T> {
    /// Nothing frozen.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what an operator's subtask froze for an attempt.
    pub fn freeze(&mut self, uid: &OperatorUid, subtask: Subtask, attempt: Attempt, frozen: T) {
        self.entries.entry((uid.clone(), subtask)).or_default().push((attempt, frozen));
    }

    /// What the subtask's ack of `attempt` carries: everything since the last published
    /// manifest, oldest first.
    #[must_use]
    pub fn included(&self, uid: &OperatorUid, subtask: Subtask, attempt: Attempt) -> Vec<T> {
        self.entries
            .get(&(uid.clone(), subtask))
            .into_iter()
            .flatten()
            .filter(|(frozen_for, _)| *frozen_for <= attempt)
            .map(|(_, frozen)| frozen.clone())
            .collect()
    }

    /// A manifest that included `attempt` counts: what it carried is out of the ledger's hands, and
    /// is given back.
    pub fn published(&mut self, attempt: Attempt) -> Vec<(OperatorUid, Subtask, T)> {
        let mut carried = Vec::new();
        self.entries.retain(|(uid, subtask), frozen| {
            for (_, entry) in frozen.extract_if(.., |(frozen_for, _)| *frozen_for <= attempt) {
                carried.push((uid.clone(), *subtask, entry));
            }
            !frozen.is_empty()
        });
        carried
    }

    /// Whether nothing waits to be published.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
