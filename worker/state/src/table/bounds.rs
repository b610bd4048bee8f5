//! Expiry bounds: below them rows are gone, however many copies segments still hold.

use serde::{Deserialize, Serialize};
use weir_protocol::{KeyGroup, KeyGroupRange};

/// A bound per range of key groups.
///
/// A bound never falls for a key group. It is kept by range because after a rescale the groups
/// of a table come from several, each with a bound of its own: one smaller bound for all of them
/// would bring back rows that were gone.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bounds(Vec<(KeyGroupRange, i64)>);

impl Bounds {
    /// Whether nothing has expired.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Rows of the group whose first order column is below this are gone.
    #[must_use]
    #[inline]
    pub fn get(&self, group: KeyGroup) -> i64 {
        // One entry but shortly after a rescale.
        self.0.iter().find(|(range, _)| range.contains(group)).map_or(i64::MIN, |(_, bound)| *bound)
    }

    /// The lowest bound of the groups of a range.
    #[must_use]
    pub fn lowest(&self, range: KeyGroupRange) -> i64 {
        let inside =
            |r: &KeyGroupRange| r.end.min(range.end).saturating_sub(r.start.max(range.start));
        let pieces = self.0.iter().filter(|(r, _)| r.overlaps(range));
        let covered: usize = pieces.clone().map(|(r, _)| usize::from(inside(r))).sum();
        let lowest = pieces.map(|(_, bound)| *bound).min();
        lowest.filter(|_| covered == range.len()).unwrap_or(i64::MIN)
    }

    /// The bound of a group in the form in which encoded orders are compared by number.
    #[inline]
    pub(crate) fn word(&self, group: KeyGroup) -> u64 {
        (self.get(group) ^ i64::MIN) as u64
    }

    /// Raises the bound of a range of groups; where it is higher already, it stays.
    pub fn raise(&mut self, range: KeyGroupRange, bound: i64) {
        let old = std::mem::take(&mut self.0);
        let mut cuts: Vec<u16> = old.iter().flat_map(|(r, _)| [r.start, r.end]).collect();
        cuts.extend([range.start, range.end]);
        cuts.sort_unstable();
        cuts.dedup();
        let before = Self(old);
        for pair in cuts.windows(2) {
            let piece = KeyGroupRange { start: pair[0], end: pair[1] };
            let group = KeyGroup(piece.start);
            let raised = if range.contains(group) { bound } else { i64::MIN };
            let value = before.get(group).max(raised);
            if value == i64::MIN {
                continue;
            }
            match self.0.last_mut() {
                Some((last, same)) if *same == value && last.end == piece.start => {
                    last.end = piece.end;
                }
                _ => self.0.push((piece, value)),
            }
        }
    }

    /// Takes over what `other` knows of the groups of `range`.
    pub fn raise_all(&mut self, other: &Self, range: KeyGroupRange) {
        for (theirs, bound) in &other.0 {
            let start = theirs.start.max(range.start);
            let end = theirs.end.min(range.end);
            if start < end {
                self.raise(KeyGroupRange { start, end }, *bound);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bound_is_the_highest_that_its_group_was_raised_to(
            raises in prop::collection::vec((0_u16..20, 0_u16..20, -5_i64..5), 0..12),
        ) {
            let mut bounds = Bounds::default();
            let mut model = [i64::MIN; 20];
            for (a, b, bound) in raises {
                let range = KeyGroupRange { start: a.min(b), end: a.max(b) };
                bounds.raise(range, bound);
                for (group, model) in model.iter_mut().enumerate() {
                    if range.contains(KeyGroup(group as u16)) {
                        *model = (*model).max(bound);
                    }
                }
            }
            for (group, model) in model.iter().enumerate() {
                prop_assert_eq!(bounds.get(KeyGroup(group as u16)), *model);
            }
            prop_assert!(bounds.0.windows(2).all(|w| w[0].0.end <= w[1].0.start));
        }
    }
}
