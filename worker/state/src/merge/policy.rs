//! Which segments to merge next: a pure decision.
//!
//! For every key group the segments form layers, by age; the youngest are *deltas*, one of each
//! checkpoint. Once there are [`Limits::deltas`] of them they are merged, together with the next
//! older layer if it is at most twice as large as what is merged already, and so on down.
//!
//! So layers grow from young to old, each more than twice as large as the one above: there are
//! few of them, a row is rewritten a few times on its way down, and the oldest, the base, once
//! for every half of it that changed.
//!
//! A decision is for one range of key groups, small enough that its inputs stay below
//! [`Limits::step`]; the rest of the range follows in later decisions. Nothing here waits, and
//! nothing ever holds a barrier: whoever finds [`Debt`] too large takes batches more slowly.

use weir_protocol::KeyGroupRange;

use crate::sorted::Ages;

/// A published segment as a manifest names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layer {
    /// The key groups for which it counts.
    pub range: KeyGroupRange,
    /// The ages it speaks for.
    pub ages: Ages,
    /// Its bytes for these groups.
    pub bytes: u64,
}

/// What a decision goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// So many deltas of a key group are merged.
    pub deltas: usize,
    /// Bytes that one merge should read at most; a key group is never cut, however large.
    pub step: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deltas: 8, step: 64 << 20 }
    }
}

/// The next older layer is merged, too, if it is at most this many times what is merged already.
const RATIO: u64 = 2;

/// A merge that is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// For these key groups.
    pub range: KeyGroupRange,
    /// Of these layers, by their position in what was given.
    pub inputs: Vec<usize>,
    /// Whether nothing older is left out.
    pub complete: bool,
}

/// What reads and restores pay for merges that have not been done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Debt {
    /// Layers of the key group that has most.
    pub layers: usize,
    /// Bytes above the bases.
    pub bytes: u64,
}

/// A range of key groups in which every layer covers all or nothing.
struct Piece {
    range: KeyGroupRange,
    /// Positions of its layers, youngest first.
    layers: Vec<usize>,
}

impl Layer {
    /// Its bytes in a part of its range, as if all groups were equally large.
    fn bytes_in(&self, range: KeyGroupRange) -> u64 {
        let start = self.range.start.max(range.start);
        let both = KeyGroupRange { start, end: self.range.end.min(range.end) };
        let share = u128::from(self.bytes) * both.len() as u128;
        (share / self.range.len().max(1) as u128) as u64
    }
}

/// The most urgent merge of the layers of `range`, if one is due: that of the piece with most
/// layers, the first of several.
#[must_use]
pub fn decide(range: KeyGroupRange, layers: &[Layer], limits: &Limits) -> Option<Due> {
    let due = pieces(range, layers).into_iter().filter_map(|piece| {
        let (count, complete) = inputs(&piece, layers, limits)?;
        Some((piece, count, complete))
    });
    let (piece, count, complete) =
        due.min_by_key(|(piece, ..)| (std::cmp::Reverse(piece.layers.len()), piece.range.start))?;
    let inputs = piece.layers[..count].to_vec();
    let bytes: u64 = inputs.iter().map(|&i| layers[i].bytes_in(piece.range)).sum();
    let groups = piece.range.len() as u64;
    // As many groups as fit in a step, at least one.
    let fit = (groups * limits.step / bytes.max(1)).clamp(1, groups);
    let end = piece.range.start + fit as u16;
    Some(Due { range: KeyGroupRange { end, ..piece.range }, inputs, complete })
}

/// How far merging is behind.
#[must_use]
pub fn debt(range: KeyGroupRange, layers: &[Layer]) -> Debt {
    let mut debt = Debt::default();
    for piece in pieces(range, layers) {
        debt.layers = debt.layers.max(piece.layers.len());
        if let Some((_, above)) = piece.layers.split_last() {
            debt.bytes += above.iter().map(|&i| layers[i].bytes_in(piece.range)).sum::<u64>();
        }
    }
    debt
}

/// How many of the youngest layers are to be merged, and whether these are all.
fn inputs(piece: &Piece, layers: &[Layer], limits: &Limits) -> Option<(usize, bool)> {
    let bytes = |i: &usize| layers[*i].bytes_in(piece.range);
    let is_delta = |i: &&usize| layers[**i].ages.lo == layers[**i].ages.hi;
    let mut count = piece.layers.iter().take_while(is_delta).count();
    if count < limits.deltas.max(2) {
        return None;
    }
    let mut merged: u64 = piece.layers[..count].iter().map(bytes).sum();
    while let Some(next) = piece.layers.get(count)
        && bytes(next) <= merged * RATIO
    {
        merged += bytes(next);
        count += 1;
    }
    Some((count, count == piece.layers.len()))
}

fn pieces(range: KeyGroupRange, layers: &[Layer]) -> Vec<Piece> {
    let inside = |cut: &u16| range.start <= *cut && *cut <= range.end;
    let mut cuts: Vec<u16> = layers.iter().flat_map(|l| [l.range.start, l.range.end]).collect();
    cuts.extend([range.start, range.end]);
    cuts.retain(inside);
    cuts.sort_unstable();
    cuts.dedup();
    let piece = |pair: &[u16]| {
        let range = KeyGroupRange { start: pair[0], end: pair[1] };
        let mut here: Vec<usize> =
            (0..layers.len()).filter(|&i| layers[i].range.overlaps(range)).collect();
        here.sort_by_key(|&i| std::cmp::Reverse(layers[i].ages.hi));
        Piece { range, layers: here }
    };
    cuts.windows(2).map(piece).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weir_protocol::{Attempt, Term};

    use super::*;
    use crate::sorted::Age;

    fn age(attempt: u64) -> Age {
        Age { term: Term(1), attempt: Attempt(attempt) }
    }

    /// Does what is due until nothing is; gives the bytes that were written.
    fn settle(range: KeyGroupRange, layers: &mut Vec<Layer>, limits: &Limits) -> u64 {
        let mut written = 0;
        while let Some(due) = decide(range, layers, limits) {
            let mut inputs: Vec<Layer> = due.inputs.iter().map(|&i| layers[i]).collect();
            inputs.sort_by_key(|layer| layer.ages.hi);
            assert!(inputs.len() > 1 && inputs.iter().all(|l| l.range.overlaps(due.range)));
            let lo = if due.complete { Age::ZERO } else { inputs[0].ages.lo };
            let ages = Ages { lo, hi: inputs[inputs.len() - 1].ages.hi };
            // Neighbours: what is left out is older or younger than all of them.
            let left = (0..layers.len()).filter(|i| !due.inputs.contains(i)).map(|i| layers[i]);
            let left = left.filter(|layer| layer.range.overlaps(due.range));
            for layer in left {
                assert!(layer.ages.hi < ages.lo || ages.hi < layer.ages.lo);
                assert!(!due.complete || layer.ages.lo > ages.hi);
            }
            let bytes: u64 = inputs.iter().map(|layer| layer.bytes_in(due.range)).sum();
            assert!(bytes <= limits.step || due.range.len() == 1);
            let mut kept = Vec::new();
            for (i, layer) in layers.iter().enumerate() {
                if !due.inputs.contains(&i) {
                    kept.push(*layer);
                    continue;
                }
                let before = KeyGroupRange { end: due.range.start, ..layer.range };
                let after = KeyGroupRange { start: due.range.end, ..layer.range };
                for range in [before, after].into_iter().filter(|range| !range.is_empty()) {
                    kept.push(Layer { range, bytes: layer.bytes_in(range), ..*layer });
                }
            }
            // Half of what the deltas bring replaces older rows.
            let base = inputs[0].bytes_in(due.range);
            let merged = Layer { range: due.range, ages, bytes: base + (bytes - base) / 2 };
            written += merged.bytes;
            kept.push(merged);
            *layers = kept;
        }
        written
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn layers_stay_few_and_steps_small_however_checkpoints_come(
            deltas in prop::collection::vec((1_u64..2_000_000, 0_u16..16, 1_u16..=16), 1..100),
            step in prop_oneof![Just(1_u64 << 20), Just(64 << 20)],
        ) {
            let range = KeyGroupRange { start: 0, end: 16 };
            let limits = Limits { step, ..Limits::default() };
            let mut layers = Vec::new();
            for (i, (bytes, start, len)) in deltas.into_iter().enumerate() {
                let range = KeyGroupRange { start, end: (start + len).min(16) };
                layers.push(Layer { range, ages: Ages::at(age(i as u64 + 1)), bytes });
                settle(KeyGroupRange { start: 0, end: 16 }, &mut layers, &limits);
                // Deltas that wait, and layers of which each is more than twice the one above.
                prop_assert!(debt(range, &layers).layers < 8 + 24, "{layers:?}");
            }
            for group in 0..16 {
                let group = KeyGroupRange { start: group, end: group + 1 };
                let mut ages: Vec<Ages> =
                    layers.iter().filter(|l| l.range.overlaps(group)).map(|l| l.ages).collect();
                ages.sort_by_key(|ages| ages.hi);
                prop_assert!(ages.windows(2).all(|pair| pair[0].hi < pair[1].lo));
            }
            prop_assert_eq!(decide(range, &layers, &limits), None);
        }
    }

    #[test]
    fn a_large_state_is_rewritten_a_few_times_at_most() {
        let range = KeyGroupRange { start: 0, end: 128 };
        let base = Layer { range, ages: Ages { lo: Age::ZERO, hi: age(1) }, bytes: 8 << 30 };
        let mut layers = vec![base];
        let (mut brought, mut written) = (0, 0);
        for i in 0..400 {
            let bytes = 40 << 20;
            brought += bytes;
            layers.push(Layer { range, ages: Ages::at(age(i + 2)), bytes });
            written += settle(range, &mut layers, &Limits::default());
            let debt = debt(range, &layers);
            assert!(debt.layers <= 8 + 5, "{debt:?}");
        }
        let amplification = written as f64 / brought as f64;
        assert!(amplification < 5.0, "{amplification}");
    }
}
