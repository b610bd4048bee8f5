//! References to segments of state tables, and how those of one table add up to its rows.
//!
//! A reference speaks for key groups and for ages. For one key group it is void once another one
//! speaks for all of its ages: what a merge wrote stands for what was merged, wherever either is
//! listed, and of two that speak for the same the one that is listed last counts (it is a copy).
//! That is the whole rule, and [`counting`] is the only place that knows it: what a manifest keeps,
//! what a subtask is given and what it reads are asked of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_protocol::KeyGroupRange;
use weir_state::sorted::{Ages, Footer};

use super::Place;
use crate::Nonce;

/// A segment of a state table, in the store or inline.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSegment {
    /// The table's name; unique within its operator.
    pub table: String,
    /// Where its bytes are.
    pub place: Place,
    /// Length in bytes.
    pub len: u64,
    /// How many bytes from its end on say what is where in it.
    pub tail: u64,
    /// The id that its bytes must have.
    pub id: Nonce,
    /// The key groups that it speaks for, also where it has no row.
    pub range: KeyGroupRange,
    /// The ages that it speaks for.
    #[serde(with = "packed_ages")]
    pub ages: Ages,
    /// Rows, tombstones among them.
    pub rows: u64,
}

impl TableSegment {
    /// To a segment of this table with this footer that is stored there.
    #[must_use]
    pub fn new(table: &str, footer: &Footer, place: Place) -> Self {
        Self {
            table: table.to_owned(),
            place,
            len: footer.bytes(),
            tail: footer.tail(),
            id: Nonce(footer.id),
            range: footer.range,
            ages: footer.ages,
            rows: footer.rows,
        }
    }
}

/// The references that count for groups of `range`, in the order given, each with the groups for
/// which it does: ranges in order that share none.
#[must_use]
pub fn counting(
    segments: &[TableSegment],
    range: KeyGroupRange,
) -> Vec<(&TableSegment, Vec<KeyGroupRange>)> {
    let mut tables: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, segment) in segments.iter().enumerate().filter(|(_, s)| s.range.overlaps(range)) {
        tables.entry(&segment.table).or_default().push(at);
    }
    let mut counts: BTreeMap<usize, Vec<KeyGroupRange>> = BTreeMap::new();
    for own in tables.into_values() {
        sweep(segments, own, range, &mut counts);
    }
    counts.into_iter().filter_map(|(at, ranges)| Some((segments.get(at)?, ranges))).collect()
}

/// Goes from key group to key group, with those segments of one table at hand that speak for it:
/// there are few, however many subtasks and merges have cut the groups up.
fn sweep(
    segments: &[TableSegment],
    mut waiting: Vec<usize>,
    range: KeyGroupRange,
    counts: &mut BTreeMap<usize, Vec<KeyGroupRange>>,
) {
    let within = |at: usize| segments[at].range.intersection(range);
    let mut cuts: Vec<u16> =
        waiting.iter().flat_map(|&at| [within(at).start, within(at).end]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    waiting.sort_unstable_by_key(|&at| std::cmp::Reverse(within(at).start));
    let mut here: Vec<usize> = Vec::new();
    for piece in cuts.windows(2).map(|cut| KeyGroupRange { start: cut[0], end: cut[1] }) {
        here.retain(|&at| within(at).end > piece.start);
        while let Some(next) = waiting.pop_if(|at| within(*at).start == piece.start) {
            here.push(next);
        }
        for &at in here.iter().filter(|&&at| !is_void(segments, &here, at)) {
            let ranges = counts.entry(at).or_default();
            match ranges.last_mut().filter(|last| last.end == piece.start) {
                Some(last) => last.end = piece.end,
                None => ranges.push(piece),
            }
        }
    }
}

/// Whether one of the segments that speak for the same key group speaks for all ages of this one.
fn is_void(segments: &[TableSegment], here: &[usize], at: usize) -> bool {
    let ages = segments[at].ages;
    here.iter().any(|&other| {
        let others = segments[other].ages;
        other != at && others.contain(ages) && (others != ages || other > at)
    })
}

/// Those of the references that count for any group of `range`, in the order given.
#[must_use]
pub fn share(segments: &[TableSegment], range: KeyGroupRange) -> Vec<TableSegment> {
    counting(segments, range).into_iter().map(|(segment, _)| segment.clone()).collect()
}

/// What an operator's references are once a manifest publishes `new` on top of `previous`.
#[must_use]
pub fn compose(previous: &[TableSegment], new: Vec<TableSegment>) -> Vec<TableSegment> {
    let all: Vec<TableSegment> = previous.iter().cloned().chain(new).collect();
    share(&all, KeyGroupRange { start: 0, end: u16::MAX })
}

/// Ages as `[[term, attempt], [term, attempt]]`: a manifest holds many.
mod packed_ages {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use weir_protocol::{Attempt, Term};
    use weir_state::sorted::{Age, Ages};

    pub(super) fn serialize<S: Serializer>(ages: &Ages, to: S) -> Result<S::Ok, S::Error> {
        [ages.lo, ages.hi].map(|age| (age.term.0, age.attempt.0)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Ages, D::Error> {
        let [lo, hi] = <[(u64, u64); 2]>::deserialize(from)?
            .map(|(term, attempt)| Age { term: Term(term), attempt: Attempt(attempt) });
        Ok(Ages { lo, hi })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weir_protocol::{Attempt, Blob, KeyGroup, Term};
    use weir_state::sorted::Age;

    use super::*;

    const GROUPS: u16 = 8;

    fn segment(id: u128, range: (u16, u16), ages: (u64, u64)) -> TableSegment {
        let age = |attempt| Age { term: Term(1), attempt: Attempt(attempt) };
        TableSegment {
            table: "t".to_owned(),
            place: Place::Inline(Blob::default()),
            len: 1,
            tail: 1,
            id: Nonce(id),
            range: KeyGroupRange { start: range.0, end: range.1 },
            ages: Ages { lo: age(ages.0), hi: age(ages.1) },
            rows: 1,
        }
    }

    /// Which segments count for a group, by the letter of the rule.
    fn naive(segments: &[TableSegment], group: KeyGroup) -> Vec<u128> {
        let here: Vec<_> = segments.iter().filter(|s| s.range.contains(group)).collect();
        let is_void = |at: usize| {
            (0..here.len()).any(|other| {
                let (this, other_ages) = (here[at].ages, here[other].ages);
                other != at
                    && other_ages.lo <= this.lo
                    && this.hi <= other_ages.hi
                    && (other_ages != this || other > at)
            })
        };
        (0..here.len()).filter(|at| !is_void(*at)).map(|at| here[at].id.0).collect()
    }

    proptest! {
        #[test]
        fn what_counts_is_the_same_for_the_manifest_a_share_and_a_group(
            found in prop::collection::vec((0..GROUPS, 1..GROUPS, 1_u64..6, 0_u64..4), 0..12),
            cut in 0..=GROUPS,
        ) {
            let segments: Vec<_> = (0..)
                .zip(found)
                .map(|(id, (start, len, lo, more))| {
                    segment(id, (start, (start + len).min(GROUPS)), (lo, lo + more))
                })
                .collect();
            let composed = (0..=segments.len()).map(|new| {
                compose(&compose(&[], segments[..new].to_vec()), segments[new..].to_vec())
            });
            for composed in composed {
                for (start, end) in [(0, cut), (cut, GROUPS)] {
                    let range = KeyGroupRange { start, end };
                    let shared = share(&composed, range);
                    for group in (start..end).map(KeyGroup) {
                        let counted: Vec<u128> = counting(&shared, range)
                            .into_iter()
                            .filter(|(_, ranges)| ranges.iter().any(|r| r.contains(group)))
                            .map(|(segment, _)| segment.id.0)
                            .collect();
                        prop_assert_eq!(counted, naive(&segments, group));
                    }
                }
            }
        }
    }

    #[test]
    fn a_merge_of_some_groups_leaves_the_others_to_what_was_merged() {
        let segments =
            [segment(1, (0, 8), (1, 1)), segment(2, (0, 8), (2, 2)), segment(3, (2, 4), (1, 2))];
        let counts = counting(&segments, KeyGroupRange { start: 0, end: 8 });
        let ranges = |at: usize| counts[at].1.iter().map(|r| (r.start, r.end)).collect::<Vec<_>>();
        assert_eq!(
            [ranges(0), ranges(1), ranges(2)],
            [vec![(0, 2), (4, 8)], vec![(0, 2), (4, 8)], vec![(2, 4)]]
        );
    }

    #[test]
    fn tables_do_not_void_each_other() {
        let mut other = segment(2, (0, 8), (0, 9));
        other.table = "u".to_owned();
        assert_eq!(compose(&[segment(1, (0, 8), (1, 1))], vec![other]).len(), 2);
    }
}
