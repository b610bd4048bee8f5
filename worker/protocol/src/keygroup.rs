//! Key groups: the unit in which keyed state is owned, moved and stored.
//!
//! `key_group = hash % max_parallelism`, where `hash` is the canonical key hash of
//! `weir-state`. A subtask owns a contiguous range of groups, so a rescale moves ranges.

use serde::{Deserialize, Serialize};

use crate::Subtask;

/// The largest `maxParallelism` a job may ask for; key groups fit in 16 bits.
pub const MAX_KEY_GROUPS: u32 = 32_768;

/// One key group, `0..max_parallelism`.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct KeyGroup(pub u16);

impl KeyGroup {
    /// The group of a key with this canonical hash, in a job with `max_parallelism` groups.
    #[must_use]
    pub fn of_hash(hash: u64, max_parallelism: u32) -> Self {
        // `max_parallelism` is at most MAX_KEY_GROUPS, so the remainder fits.
        Self((hash % u64::from(max_parallelism.max(1))) as u16)
    }

    /// The subtask that owns this group at the given parallelism.
    #[must_use]
    pub fn owner(self, parallelism: u32, max_parallelism: u32) -> Subtask {
        Subtask((u64::from(self.0) * u64::from(parallelism) / u64::from(max_parallelism)) as u32)
    }
}

/// A contiguous, half-open range of key groups.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct KeyGroupRange {
    /// First group of the range.
    pub start: u16,
    /// One past the last group of the range.
    pub end: u16,
}

impl KeyGroupRange {
    /// All groups of a job.
    #[must_use]
    pub fn all(max_parallelism: u32) -> Self {
        Self { start: 0, end: max_parallelism as u16 }
    }

    /// The groups that `subtask` owns at the given parallelism: exactly those whose
    /// [`KeyGroup::owner`] it is.
    #[must_use]
    pub fn of_subtask(subtask: Subtask, parallelism: u32, max_parallelism: u32) -> Self {
        let p = u64::from(parallelism);
        let m = u64::from(max_parallelism);
        let first = |s: u64| (s * m).div_ceil(p) as u16;
        let s = u64::from(subtask.0);
        Self { start: first(s), end: first(s + 1) }
    }

    /// Whether the group lies in the range.
    #[must_use]
    pub fn contains(self, group: KeyGroup) -> bool {
        self.start <= group.0 && group.0 < self.end
    }

    /// Whether the ranges share a group.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The groups that both have; empty at their larger start where they share none.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        let start = self.start.max(other.start);
        Self { start, end: self.end.min(other.end).max(start) }
    }

    /// Number of groups in the range.
    #[must_use]
    pub fn len(self) -> usize {
        usize::from(self.end.saturating_sub(self.start))
    }

    /// Whether the range holds no group.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_owners_agree_for_every_parallelism() {
        for max in [1, 2, 7, 128, 720] {
            for p in 1..=max.min(64) {
                for s in 0..p {
                    let range = KeyGroupRange::of_subtask(Subtask(s), p, max);
                    for g in 0..max as u16 {
                        let owned = KeyGroup(g).owner(p, max) == Subtask(s);
                        assert_eq!(owned, range.contains(KeyGroup(g)), "{g} of {max} at {s}/{p}");
                    }
                }
            }
        }
    }
}
