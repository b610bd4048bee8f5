//! The newest manifest of the job's chain, as the core decides by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_checkpoint::{CommitId, Manifest, PendingCommit};
use weir_protocol::{OperatorCounts, OperatorUid, Version};

use super::plan::Plan;

/// The head, and what is known beside it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Head {
    /// What it says.
    pub manifest: Arc<Manifest>,
    /// When the checkpoint whose state it holds was published, in milliseconds since 1970; for
    /// display.
    pub written_ms: i64,
    /// Output that it lists and that is known to be committed.
    pub committed: BTreeSet<CommitId>,
    /// Operators that begin anew, since they cannot read what it holds of them: the next manifest
    /// takes nothing of it over.
    pub renewed: BTreeSet<OperatorUid>,
}

impl Head {
    /// A manifest that nothing else is known of.
    #[must_use]
    pub fn new(manifest: Arc<Manifest>) -> Self {
        Self { manifest, ..Self::default() }
    }

    /// Output that it lists and that is not known to be committed, in order.
    pub fn uncommitted(&self) -> impl Iterator<Item = &PendingCommit> {
        self.manifest.pending.iter().filter(|p| !self.committed.contains(&p.id()))
    }

    /// A manifest that repeats it stands at `version`.
    pub(super) fn repeated_at(&mut self, version: Version) {
        Arc::make_mut(&mut self.manifest).version = version;
    }

    /// Lets go of what an operator cannot read.
    pub(super) fn renew(&mut self, uid: OperatorUid) {
        if let Some(entry) = Arc::make_mut(&mut self.manifest).operators.get_mut(&uid) {
            entry.state.segments.clear();
            entry.state.tables.clear();
        }
        self.renewed.insert(uid);
    }

    /// Operators that must write all of their state at the next attempt.
    pub(super) fn must_write_full(&self) -> Vec<OperatorUid> {
        self.manifest.foreign_operators()
    }

    /// Operators that should.
    pub(super) fn should_write_full(&self) -> Vec<OperatorUid> {
        self.manifest.operators_to_write_full()
    }

    /// What the operators that are still in the plan had counted.
    pub(super) fn counts(&self, plan: &Plan) -> BTreeMap<OperatorUid, OperatorCounts> {
        let operators = self.manifest.operators.iter();
        let planned = operators.filter(|(uid, _)| plan.operator(uid).is_some());
        planned.map(|(uid, entry)| (uid.clone(), entry.state.counts)).collect()
    }
}
