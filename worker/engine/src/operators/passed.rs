//! How far event time has passed an operator, by key group.

use arrow::array::ArrayRef;
use weir_protocol::{KeyGroup, KeyGroupRange};
use weir_state::hash::hash_columns;

use crate::operator::Restored;
use crate::{EventTime, Watermark};

/// What was given out up to which time.
///
/// Behind a restore there may be key groups of subtasks that were ahead of the others: of these
/// more was given out than the merged watermark says, and is late until that has caught up.
#[derive(Debug)]
pub(super) struct Passed {
    done: EventTime,
    ahead: Vec<(KeyGroupRange, Watermark)>,
}

impl Default for Passed {
    fn default() -> Self {
        Self { done: EventTime::MIN, ahead: Vec::new() }
    }
}

impl Passed {
    pub(super) fn restore(state: Restored) -> Self {
        let done = state.watermark.map_or(EventTime::MIN, |mark| mark.0);
        Self { done, ahead: state.ahead }
    }

    /// The merged watermark; it never falls.
    pub(super) fn advance(&mut self, mark: Watermark) {
        self.done = self.done.max(mark.0);
        self.ahead.retain(|(_, ahead)| ahead.0 > self.done);
    }

    /// Of every key group, or more.
    pub(super) fn done(&self) -> EventTime {
        self.done
    }

    /// Per row of keys how far their key groups are.
    pub(super) fn of(&self, keys: &[ArrayRef], rows: usize, groups: u32) -> Vec<EventTime> {
        if self.ahead.is_empty() {
            return vec![self.done; rows];
        }
        let hashes = hash_columns(keys, rows);
        let group = |&hash: &u64| KeyGroup::of_hash(hash, groups);
        hashes.values().iter().map(group).map(|g| done_of(g, self.done, &self.ahead)).collect()
    }
}

/// How far a key group is.
pub(super) fn done_of(
    group: KeyGroup,
    done: EventTime,
    ahead: &[(KeyGroupRange, Watermark)],
) -> EventTime {
    let own = ahead.iter().find(|(range, _)| range.contains(group));
    own.map_or(done, |(_, mark)| mark.0.max(done))
}
