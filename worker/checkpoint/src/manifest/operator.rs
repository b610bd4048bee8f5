//! An operator's state at a cut: what one of its subtasks hands over, what a manifest holds of all
//! of them, and what one is handed back. The sum and the share of it are here, too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_protocol::{Blob, KeyGroupRange, OperatorCounts, Split, StateSchema, Subtask};
use weir_state::table::TableSpec;

use super::segments::{self, Place, SegmentRef};
use super::tables::{self, TableSegment};

/// The state of an operator, of one subtask or of all of them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorState {
    /// Keyed state, in the order in which it applies. What a subtask hands over, and what a
    /// [`CheckpointBody`](crate::CheckpointBody) adds, is only what is new: everything that was
    /// frozen since the last published manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentRef>,
    /// The same for state tables, which their ages put in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableSegment>,
    /// Values that are not keyed, in the order of subtasks; complete at every checkpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Blob>,
    /// Sources: the splits being read, each with its position; complete at every checkpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<Split>,
    /// What was counted up to the cut, for display: by a subtask since its task began, in a manifest
    /// since the job's first row, so that rows which are read again after a failure count once.
    #[serde(default, skip_serializing_if = "OperatorCounts::is_zero")]
    pub counts: OperatorCounts,
}

impl OperatorState {
    /// Adds what the next subtask hands over.
    pub fn add(&mut self, more: &Self) {
        self.segments.extend(more.segments.iter().cloned());
        self.tables.extend(more.tables.iter().cloned());
        self.items.extend(more.items.iter().cloned());
        self.splits.extend(more.splits.iter().cloned());
        self.counts = self.counts + more.counts;
    }

    /// What it is once this, which was handed over, is published on top of `before`.
    #[must_use]
    pub fn on_top_of(self, before: Option<&Self>) -> Self {
        let nothing = Self::default();
        let before = before.unwrap_or(&nothing);
        Self {
            segments: segments::compose(&before.segments, self.segments),
            tables: tables::compose(&before.tables, self.tables),
            ..self
        }
    }

    /// Whether this, handed over for all subtasks, says anything that `before` does not. Counts
    /// alone say nothing.
    #[must_use]
    pub fn differs_from(&self, before: &Self) -> bool {
        !self.segments.iter().all(SegmentRef::is_empty_delta)
            || !self.tables.is_empty()
            || self.items != before.items
            || self.splits != before.splits
    }

    /// One subtask's share: the segments that count for its key groups, every n-th item. Splits are
    /// handed out anew, and what was counted is not counted again.
    #[must_use]
    pub fn share(&self, subtask: Subtask, subtasks: u32, range: KeyGroupRange) -> Self {
        let items = self.items.iter().skip(subtask.0 as usize).step_by(subtasks.max(1) as usize);
        Self {
            segments: segments::share(&self.segments, range),
            tables: tables::share(&self.tables, range),
            items: items.cloned().collect(),
            ..Self::default()
        }
    }

    /// Whether nothing would be lost without it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.has_keyed() && self.items.is_empty() && self.splits.is_empty()
    }

    /// Whether it holds keyed state.
    #[must_use]
    pub fn has_keyed(&self) -> bool {
        !self.segments.is_empty() || !self.tables.is_empty()
    }

    /// The references of each table, by its name.
    #[must_use]
    pub fn by_table(&self) -> BTreeMap<String, Vec<TableSegment>> {
        let mut tables: BTreeMap<String, Vec<TableSegment>> = BTreeMap::new();
        for segment in &self.tables {
            tables.entry(segment.table.clone()).or_default().push(segment.clone());
        }
        tables
    }

    /// Where every piece of keyed state lies.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.segments.iter().map(|s| &s.place).chain(self.tables.iter().map(|t| &t.place))
    }

    /// The same, to be changed.
    pub fn places_mut(&mut self) -> impl Iterator<Item = &mut Place> {
        let segments = self.segments.iter_mut().map(|s| &mut s.place);
        segments.chain(self.tables.iter_mut().map(|t| &mut t.place))
    }

    /// Bytes of its segments and items.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let segments: u64 = self.segments.iter().map(|s| s.len).sum();
        let tables: u64 = self.tables.iter().map(|t| t.len).sum();
        segments + tables + self.items.iter().map(|item| item.0.len() as u64).sum::<u64>()
    }
}

/// What a manifest holds of one operator.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorEntry {
    /// For people.
    pub name: String,
    /// What sort of operator it is, for the check at restore.
    pub kind: String,
    /// Of its keyed state.
    pub schema: StateSchema,
    /// Its state tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableSpec>,
    /// Of all its subtasks.
    pub state: OperatorState,
    /// Sources: the enumerator's side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enumerator: Option<EnumeratorState>,
}

impl OperatorEntry {
    /// Whether dropping it would lose anything.
    #[must_use]
    pub fn holds_state(&self) -> bool {
        !self.state.is_empty() || self.enumerator.is_some()
    }

    /// Whether some of its state lies outside the job's own data: it must write everything at the
    /// first checkpoint.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.state.places().any(Place::is_foreign)
    }

    /// Whether it is a source that was read to its end.
    #[must_use]
    pub fn is_read(&self) -> bool {
        let ended = self.enumerator.as_ref().filter(|e| e.complete && e.unassigned.is_empty());
        ended.is_some() && self.state.splits.is_empty()
    }

    /// Whether this, published on top of `before`, would say anything new. Counts alone do not.
    #[must_use]
    pub fn differs_from(&self, before: &Self) -> bool {
        self.state.differs_from(&before.state) || self.enumerator != before.enumerator
    }
}

/// The enumerator's side of a source at a cut.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnumeratorState {
    /// Version of this encoding.
    #[serde(default)]
    pub format: u32,
    /// `SplitEnumerator::snapshot`; absent before the first discovery.
    #[serde(default)]
    pub snapshot: Option<Blob>,
    /// Every split that will ever exist has been found.
    #[serde(default)]
    pub complete: bool,
    /// Found, and not read by anyone at the cut.
    #[serde(default)]
    pub unassigned: Vec<Split>,
    /// Given back by readers before the cut, and not known to `snapshot` yet; in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returned: Vec<Split>,
    /// `SplitEnumerator::held` with the snapshot, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<i64>,
}
