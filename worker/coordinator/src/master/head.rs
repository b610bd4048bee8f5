//! The newest manifest of the job's chain, as the core decides by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_checkpoint::{CommitId, Manifest, PendingCommit};
use weir_protocol::{Epoch, OperatorCounts, OperatorUid, Version};

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

    /// The checkpoint whose state it holds; 0 before the first.
    pub(super) fn epoch(&self) -> Epoch {
        self.manifest.epoch().unwrap_or_default()
    }

    /// The checkpoint with which another program of the job has read all that this one can.
    pub(super) fn finished_before(&self, plan: &Plan) -> Option<Epoch> {
        let sources: Vec<_> = plan.sources().map(|(vertex, _)| vertex.head()).collect();
        let is_bounded = plan.sources().all(|(_, source)| source.bounded);
        let has_changed = self.manifest.plan_hash != plan.hash;
        let has_finished = is_bounded && has_changed && self.manifest.has_finished(&sources);
        has_finished.then(|| self.epoch())
    }

    /// The smallest watermark of the plan's sources.
    pub(super) fn event_time(&self, plan: &Plan) -> Option<i64> {
        let stored = plan.sources().map(|(vertex, _)| vertex.head());
        let stored = stored.filter(|uid| self.manifest.operators.contains_key(uid));
        let marks: Option<Vec<i64>> =
            stored.map(|uid| self.manifest.watermark(&uid)?.least()).collect();
        marks.and_then(|marks| marks.into_iter().min())
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
