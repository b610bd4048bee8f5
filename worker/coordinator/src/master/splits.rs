//! Hands out a source's splits (see `weir_engine::source` for the rule this rests on).
//!
//! Everything assigned before an attempt's `Trigger` was sent belongs to the readers at that
//! cut, because messages to a worker keep their order; everything else is in
//! [`SourceSplits::at_cut`], taken at the moment the `Trigger` is sent.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_engine::message::Round;
use weir_engine::source::{Assignment, Pending, Split, SplitAssignment};
use weir_protocol::Subtask;
use xxhash_rust::xxh3::xxh3_64;

use super::plan::PlanSource;

/// The enumerator's side of a source at a cut, as kept in the manifest.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EnumeratorState {
    /// Version of this encoding.
    #[serde(default)]
    pub format: u32,
    /// `SplitEnumerator::snapshot`; absent before the first discovery.
    #[serde(default)]
    pub snapshot: Option<Bytes>,
    /// Every split that will ever exist has been found.
    #[serde(default)]
    pub complete: bool,
    /// Found, and not read by anyone at the cut.
    #[serde(default)]
    pub unassigned: Vec<Split>,
}

/// What is to be told to one reader.
pub(super) type ToReader = (Subtask, SplitAssignment);

/// How far discovery has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Discovery {
    /// No answer yet.
    Open,
    /// Answered, and will look again.
    Repeats,
    /// Nothing else will ever be found.
    Complete,
}

/// Splits that nobody reads, in order. What is asked of all of them at every turn is kept, since
/// there may be many and each is handed out in a turn of its own.
#[derive(Clone, Debug, Default)]
struct Unassigned {
    splits: VecDeque<Split>,
    /// How many have each lower bound; a source's first splits may have none.
    bounds: BTreeMap<Option<i64>, usize>,
    size: u64,
}

impl Unassigned {
    fn pop_front(&mut self) -> Option<Split> {
        let split = self.splits.pop_front()?;
        self.size -= split.size;
        let bound = bound(&split);
        if let Some(count) = self.bounds.get_mut(&bound) {
            *count -= 1;
            if *count == 0 {
                self.bounds.remove(&bound);
            }
        }
        Some(split)
    }

    /// No row of any of them is below it; absent when that is not known of all.
    fn lower_bound(&self) -> Option<i64> {
        self.bounds.first_key_value().and_then(|(bound, _)| *bound)
    }
}

impl Extend<Split> for Unassigned {
    fn extend<I: IntoIterator<Item = Split>>(&mut self, found: I) {
        for split in found {
            self.size += split.size;
            *self.bounds.entry(bound(&split)).or_default() += 1;
            self.splits.push_back(split);
        }
    }
}

/// A split that was read in part has shown its watermark: no later row is below it.
fn bound(split: &Split) -> Option<i64> {
    split.lower_bound.max(split.watermark)
}

/// One source's splits in one term.
#[derive(Clone, Debug)]
pub(super) struct SourceSplits {
    source: PlanSource,
    unassigned: Unassigned,
    snapshot: Option<Bytes>,
    discovery: Discovery,
    /// Readers that asked and got nothing, in the order in which they asked.
    waiting: VecDeque<Subtask>,
    /// Splits each reader was given; eager sources are spread evenly by it.
    given: Vec<u64>,
    /// How often more splits were found in this term.
    round: Round,
    /// What each reader was last told about the rest; empty until readers exist.
    told: Vec<Option<(Pending, Round)>>,
    started: bool,
}

impl SourceSplits {
    /// The source at the beginning of a term: what readers held at the cut comes back first,
    /// in order, then what nobody had read.
    #[must_use]
    pub(super) fn restore(
        source: PlanSource,
        parallelism: u32,
        stored: Option<EnumeratorState>,
        reading: Vec<Split>,
    ) -> Self {
        let stored = stored.unwrap_or_default();
        let discovery = match (stored.complete, &stored.snapshot) {
            (true, _) => Discovery::Complete,
            (false, Some(_)) => Discovery::Repeats,
            (false, None) => Discovery::Open,
        };
        let mut unassigned = Unassigned::default();
        unassigned.extend(reading.into_iter().chain(stored.unassigned));
        Self {
            source,
            unassigned,
            snapshot: stored.snapshot,
            discovery,
            waiting: VecDeque::new(),
            given: vec![0; parallelism as usize],
            round: Round::default(),
            told: vec![None; parallelism as usize],
            started: false,
        }
    }

    /// What the enumerator is made from.
    #[must_use]
    pub(super) fn snapshot(&self) -> Option<Bytes> {
        self.snapshot.clone()
    }

    /// Whether there is anything to look for.
    #[must_use]
    pub(super) fn is_complete(&self) -> bool {
        self.discovery == Discovery::Complete
    }

    /// Every reader is deployed and waits.
    pub(super) fn start(&mut self) -> Vec<ToReader> {
        self.started = true;
        self.hand_out()
    }

    /// The enumerator has looked. `again` tells whether it will look once more.
    pub(super) fn discovered(
        &mut self,
        found: Vec<Split>,
        snapshot: Bytes,
        again: bool,
    ) -> Vec<ToReader> {
        // Every reader is told, whoever gets the splits: one that has nothing to read is idle, and
        // must not be taken for so beside those that read what was found now. Before the first
        // answer none is.
        self.round.0 += u64::from(self.discovery != Discovery::Open && !found.is_empty());
        self.unassigned.extend(found);
        self.snapshot = Some(snapshot);
        self.discovery = if again { Discovery::Repeats } else { Discovery::Complete };
        self.hand_out()
    }

    /// A reader has nothing left.
    pub(super) fn requested(&mut self, subtask: Subtask) -> Vec<ToReader> {
        if !self.waiting.contains(&subtask) && (subtask.0 as usize) < self.told.len() {
            self.waiting.push_back(subtask);
        }
        self.hand_out()
    }

    /// The enumerator's share of a cut, to be taken when `Trigger` is sent.
    #[must_use]
    pub(super) fn at_cut(&self) -> EnumeratorState {
        EnumeratorState {
            format: 1,
            snapshot: self.snapshot.clone(),
            complete: self.discovery == Discovery::Complete,
            unassigned: self.unassigned.splits.iter().cloned().collect(),
        }
    }

    /// Bytes or rows of the splits that nobody reads yet.
    #[must_use]
    pub(super) fn unassigned_size(&self) -> u64 {
        self.unassigned.size
    }

    fn hand_out(&mut self) -> Vec<ToReader> {
        if !self.started {
            return Vec::new();
        }
        let mut batches: Vec<Vec<Split>> = vec![Vec::new(); self.told.len()];
        match self.source.assignment {
            Assignment::Pull => {
                while !self.unassigned.splits.is_empty()
                    && let Some(subtask) = self.waiting.pop_front()
                {
                    let split = self.unassigned.pop_front();
                    if let Some(batch) = batches.get_mut(subtask.0 as usize) {
                        batch.extend(split);
                    }
                }
            }
            Assignment::Eager => {
                while let Some(split) = self.unassigned.pop_front() {
                    let subtask = decide_reader(&split.id, &self.given);
                    if let Some(given) = self.given.get_mut(subtask) {
                        *given += 1;
                    }
                    if let Some(batch) = batches.get_mut(subtask) {
                        batch.push(split);
                    }
                }
            }
        }
        let (pending, round) = (self.pending(), self.round);
        let told = self.told.iter_mut().zip(batches).enumerate();
        told.filter_map(|(subtask, (told, splits))| {
            let changed = told.replace((pending, round)) != Some((pending, round));
            (changed || !splits.is_empty())
                .then(|| (Subtask(subtask as u32), SplitAssignment { splits, pending, round }))
        })
        .collect()
    }

    /// What is known of the splits that nobody reads.
    fn pending(&self) -> Pending {
        if self.discovery == Discovery::Open {
            return Pending::Unknown;
        }
        if self.unassigned.splits.is_empty() {
            return match self.discovery {
                Discovery::Complete if self.source.bounded => Pending::Ended,
                _ => Pending::None,
            };
        }
        self.unassigned.lower_bound().map_or(Pending::Unknown, Pending::Above)
    }
}

/// The reader of an eager source's split: the one that its id's hash points at, or the next one
/// that has been given fewer, so that partitions are spread evenly.
fn decide_reader(id: &str, given: &[u64]) -> usize {
    let readers = given.len().max(1);
    let start = (xxh3_64(id.as_bytes()) % readers as u64) as usize;
    (0..readers)
        .map(|step| (start + step) % readers)
        .min_by_key(|reader| given.get(*reader).copied().unwrap_or(0))
        .unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(id: &str, lower_bound: Option<i64>) -> Split {
        Split { id: id.into(), position: Bytes::new(), watermark: None, lower_bound, size: 1 }
    }

    fn source(assignment: Assignment, bounded: bool, parallelism: u32) -> SourceSplits {
        SourceSplits::restore(PlanSource { bounded, assignment }, parallelism, None, vec![])
    }

    fn ids(message: &ToReader) -> Vec<&str> {
        message.1.splits.iter().map(|s| s.id.as_str()).collect()
    }

    #[test]
    fn pull_answers_requests_in_split_order_and_tells_everyone_what_remains() {
        let mut splits = source(Assignment::Pull, true, 2);
        let first = splits.start();
        assert_eq!(first.len(), 2);
        assert!(first.iter().all(|(_, a)| a.pending == Pending::Unknown && a.splits.is_empty()));
        assert!(splits.requested(Subtask(1)).is_empty());
        let found = vec![split("a", Some(10)), split("b", Some(20)), split("c", Some(30))];
        let sent = splits.discovered(found, Bytes::new(), false);
        assert_eq!(ids(&sent[1]), ["a"]);
        assert_eq!(sent[0].1.pending, Pending::Above(20));
        let sent = splits.requested(Subtask(0));
        assert_eq!((ids(&sent[0]), sent[0].1.pending), (vec!["b"], Pending::Above(30)));
        assert_eq!((ids(&sent[1]), sent[1].1.pending), (vec![], Pending::Above(30)));
        let sent = splits.requested(Subtask(1));
        assert_eq!(ids(&sent[1]), ["c"]);
        assert!(sent.iter().all(|(_, a)| a.pending == Pending::Ended));
        assert!(splits.requested(Subtask(0)).is_empty(), "it knows already that nothing comes");
    }

    #[test]
    fn eager_spreads_partitions_evenly_and_always_alike() {
        let mut splits = source(Assignment::Eager, false, 3);
        splits.start();
        let found: Vec<_> = (0..9).map(|p| split(&format!("t/{p}"), None)).collect();
        let sent = splits.discovered(found.clone(), Bytes::new(), true);
        assert!(sent.iter().all(|(_, a)| a.splits.len() == 3 && a.pending == Pending::None));
        let mut again = source(Assignment::Eager, false, 3);
        again.start();
        assert_eq!(again.discovered(found, Bytes::new(), true), sent);
        assert!(splits.at_cut().unassigned.is_empty());
    }

    #[test]
    fn every_reader_is_told_that_splits_were_found_whoever_gets_them() {
        let mut splits = source(Assignment::Pull, false, 3);
        splits.start();
        splits.discovered(vec![], Bytes::new(), true);
        for subtask in 0..3 {
            splits.requested(Subtask(subtask));
        }
        let sent = splits.discovered(vec![split("a", None)], Bytes::new(), true);
        assert_eq!(sent.iter().map(ids).collect::<Vec<_>>(), [vec!["a"], vec![], vec![]]);
        assert!(sent.iter().all(|(_, a)| (a.pending, a.round) == (Pending::None, Round(1))));
        assert!(splits.discovered(vec![], Bytes::new(), true).is_empty());
    }

    #[test]
    fn a_split_is_the_readers_or_the_enumerators_at_a_cut_and_never_both() {
        let mut splits = source(Assignment::Pull, true, 1);
        splits.start();
        splits.discovered(vec![split("a", None), split("b", None)], Bytes::new(), false);
        let before = splits.requested(Subtask(0));
        assert_eq!(ids(&before[0]), ["a"]);
        let cut = splits.at_cut();
        let after = splits.requested(Subtask(0));
        assert_eq!(ids(&after[0]), ["b"]);
        // The cut holds what was assigned after it, and only that.
        assert_eq!(cut.unassigned, [split("b", None)]);
        let mut restored = SourceSplits::restore(
            PlanSource { bounded: true, assignment: Assignment::Pull },
            1,
            Some(cut),
            vec![split("a", None)],
        );
        assert!(restored.is_complete());
        restored.start();
        assert_eq!(ids(&restored.requested(Subtask(0))[0]), ["a"]);
        assert_eq!(ids(&restored.requested(Subtask(0))[0]), ["b"]);
        assert!(restored.requested(Subtask(0)).is_empty());
    }

    #[test]
    fn a_bounded_source_that_was_read_to_its_end_ends_again_after_a_restore() {
        let stored = EnumeratorState {
            format: 1,
            snapshot: Some(Bytes::new()),
            complete: true,
            unassigned: vec![],
        };
        let plan = PlanSource { bounded: true, assignment: Assignment::Pull };
        let mut splits = SourceSplits::restore(plan, 2, Some(stored), vec![]);
        assert!(splits.start().iter().all(|(_, a)| a.pending == Pending::Ended));
    }

    #[test]
    fn the_rest_is_above_the_smallest_bound_left_and_unknown_while_one_has_none() {
        let mut splits = source(Assignment::Pull, true, 1);
        splits.start();
        let bounds = [Some(30), None, Some(10), Some(40), Some(10), Some(20)];
        let found = bounds.iter().zip(["a", "b", "c", "d", "e", "f"]);
        let found = found.map(|(bound, id)| split(id, *bound)).collect();
        let sent = splits.discovered(found, Bytes::new(), false);
        assert!(sent.is_empty(), "the reader knows already that nothing is known");
        assert_eq!((splits.unassigned_size(), splits.pending()), (6, Pending::Unknown));
        let rest = [
            Pending::Unknown,
            Pending::Above(10),
            Pending::Above(10),
            Pending::Above(10),
            Pending::Above(20),
            Pending::Ended,
        ];
        for (pending, left) in rest.into_iter().zip((0..6).rev()) {
            let sent = splits.requested(Subtask(0));
            assert_eq!((splits.unassigned_size(), sent[0].1.pending), (left, pending));
        }
    }

    #[test]
    fn a_half_read_split_holds_the_watermark_at_what_it_had_shown() {
        let mut half = split("a", Some(5));
        half.watermark = Some(50);
        let plan = PlanSource { bounded: true, assignment: Assignment::Pull };
        let stored = EnumeratorState { complete: true, ..EnumeratorState::default() };
        let mut splits = SourceSplits::restore(plan, 1, Some(stored), vec![half]);
        assert_eq!(splits.start()[0].1.pending, Pending::Above(50));
    }
}
