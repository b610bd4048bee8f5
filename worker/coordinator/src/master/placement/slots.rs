//! Which worker runs which subtask.
//!
//! All vertices' subtasks of one number share a place (a slot holds one subtask of each
//! vertex), so that forward edges stay in the process. Workers get shares in proportion to
//! their slots, and each keeps the key groups that it holds already as far as its share goes.

use std::collections::BTreeMap;

use weir_checkpoint::manifest::Assignment;
use weir_protocol::{KeyGroupRange, Subtask, WorkerId};

/// Which worker's slot runs the subtasks of each number: position = subtask.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct SlotAssignment(pub(crate) Vec<WorkerId>);

impl SlotAssignment {
    /// What a manifest says of it, if it says it of all subtasks.
    #[must_use]
    pub(crate) fn of(assignment: &Assignment) -> Option<Self> {
        let placed: BTreeMap<_, _> =
            assignment.placements.iter().map(|p| (p.subtask.0, p.worker)).collect();
        let workers = (0..assignment.parallelism).map(|subtask| placed.get(&subtask).copied());
        let workers: Option<Vec<WorkerId>> = workers.collect();
        workers.filter(|workers| !workers.is_empty()).map(Self)
    }

    /// The job's parallelism.
    #[must_use]
    pub(crate) fn parallelism(&self) -> u32 {
        self.0.len() as u32
    }

    /// The worker of a subtask; subtask 0 of single vertices runs beside the other subtasks 0.
    #[must_use]
    pub(crate) fn worker(&self, subtask: Subtask) -> Option<WorkerId> {
        self.0.get(subtask.0 as usize).copied()
    }

    /// The workers that have something to run, each once, in order.
    #[must_use]
    pub(crate) fn workers(&self) -> Vec<WorkerId> {
        let mut workers = self.0.clone();
        workers.sort_unstable();
        workers.dedup();
        workers
    }
}

/// Spreads `parallelism` subtasks over the workers (worker → slots). `None` without workers.
///
/// With more subtasks than slots, workers take more than one per slot.
#[must_use]
pub(crate) fn assign_slots(
    parallelism: u32,
    max_parallelism: u32,
    workers: &BTreeMap<WorkerId, u32>,
    now: Option<&SlotAssignment>,
) -> Option<SlotAssignment> {
    if workers.is_empty() || parallelism == 0 {
        return None;
    }
    let mut room = shares(parallelism, workers);
    let mut places: Vec<Option<WorkerId>> = vec![None; parallelism as usize];
    if let Some(now) = now {
        for (_, subtask, worker) in overlaps(parallelism, max_parallelism, now) {
            let Some(left) = room.get_mut(&worker).filter(|left| **left > 0) else {
                continue;
            };
            if let Some(place @ None) = places.get_mut(subtask as usize) {
                *place = Some(worker);
                *left -= 1;
            }
        }
    }
    // The rest in order, so that neighbours share a worker.
    let mut free = room.into_iter().flat_map(|(worker, left)| (0..left).map(move |_| worker));
    let placed: Option<Vec<WorkerId>> =
        places.into_iter().map(|place| place.or_else(|| free.next())).collect();
    placed.map(SlotAssignment)
}

/// How many subtasks each worker takes: first up to its slots, evenly; then evenly beyond.
fn shares(parallelism: u32, workers: &BTreeMap<WorkerId, u32>) -> BTreeMap<WorkerId, u32> {
    let mut shares: BTreeMap<WorkerId, u32> = workers.keys().map(|w| (*w, 0)).collect();
    for _ in 0..parallelism {
        // The emptiest in relation to its slots; the lowest ordinal among equals.
        let next = workers
            .iter()
            .min_by_key(|(worker, slots)| {
                let held = u64::from(shares.get(worker).copied().unwrap_or(0));
                ((held << 32) / u64::from((**slots).max(1)), **worker)
            })
            .map(|(worker, _)| *worker);
        if let Some(share) = next.and_then(|worker| shares.get_mut(&worker)) {
            *share += 1;
        }
    }
    shares
}

/// Pairs of a future subtask and a worker that holds some of its key groups, largest share
/// first.
fn overlaps(parallelism: u32, max: u32, now: &SlotAssignment) -> Vec<(usize, u32, WorkerId)> {
    let mut held: BTreeMap<(u32, WorkerId), usize> = BTreeMap::new();
    for subtask in 0..parallelism {
        let range = KeyGroupRange::of_subtask(Subtask(subtask), parallelism, max);
        for (other, worker) in now.0.iter().enumerate() {
            let theirs = KeyGroupRange::of_subtask(Subtask(other as u32), now.parallelism(), max);
            let common = common(range, theirs);
            if common > 0 {
                *held.entry((subtask, *worker)).or_default() += common;
            }
        }
    }
    let mut pairs: Vec<_> = held.into_iter().map(|((s, w), common)| (common, s, w)).collect();
    pairs.sort_by_key(|(common, subtask, worker)| (usize::MAX - common, *subtask, *worker));
    pairs
}

fn common(a: KeyGroupRange, b: KeyGroupRange) -> usize {
    a.intersection(b).len()
}

/// Key groups that have to be loaded by another task when one assignment replaces another: those
/// outside the best pairing of tasks on the same worker.
#[must_use]
pub(crate) fn count_moved(from: &SlotAssignment, to: &SlotAssignment, max_parallelism: u32) -> u32 {
    let mut pairs = Vec::new();
    for (s, worker) in to.0.iter().enumerate() {
        let range = KeyGroupRange::of_subtask(Subtask(s as u32), to.parallelism(), max_parallelism);
        for (o, holder) in from.0.iter().enumerate() {
            let theirs =
                KeyGroupRange::of_subtask(Subtask(o as u32), from.parallelism(), max_parallelism);
            let common = common(range, theirs);
            if holder == worker && common > 0 {
                pairs.push((common, s, o));
            }
        }
    }
    pairs.sort_by_key(|(common, s, o)| (usize::MAX - common, *s, *o));
    let (mut taken, mut given) = (vec![false; to.0.len()], vec![false; from.0.len()]);
    let mut kept = 0;
    for (common, s, o) in pairs {
        if !taken[s] && !given[o] {
            (taken[s], given[o]) = (true, true);
            kept += common as u32;
        }
    }
    max_parallelism.saturating_sub(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(of: &[(u32, u32)]) -> BTreeMap<WorkerId, u32> {
        of.iter().map(|(w, s)| (WorkerId(*w), *s)).collect()
    }

    fn slots(workers: &[u32]) -> SlotAssignment {
        SlotAssignment(workers.iter().copied().map(WorkerId).collect())
    }

    #[test]
    fn subtasks_fill_slots_in_proportion_and_then_share_them() {
        let two = workers(&[(0, 1), (1, 1)]);
        assert_eq!(assign_slots(2, 720, &two, None), Some(slots(&[0, 1])));
        assert_eq!(assign_slots(4, 720, &two, None), Some(slots(&[0, 0, 1, 1])));
        assert_eq!(
            assign_slots(4, 720, &workers(&[(0, 3), (1, 1)]), None),
            Some(slots(&[0, 0, 0, 1]))
        );
        assert_eq!(assign_slots(4, 720, &workers(&[]), None), None);
    }

    #[test]
    fn a_worker_keeps_key_groups_that_it_holds() {
        let four = workers(&[(0, 1), (1, 1), (2, 1), (3, 1)]);
        let wider = assign_slots(4, 720, &four, Some(&slots(&[0, 1]))).unwrap();
        assert_eq!(wider, slots(&[0, 2, 1, 3]));
        assert_eq!(count_moved(&slots(&[0, 1]), &wider, 720), 360);
        // One process alone: half of the groups change their task all the same.
        assert_eq!(count_moved(&slots(&[0, 0]), &slots(&[0, 0, 0, 0]), 720), 360);
        assert_eq!(count_moved(&slots(&[0, 1]), &slots(&[0, 1]), 720), 0);
    }

    #[test]
    fn survivors_take_over_a_lost_workers_subtasks() {
        let survivors = workers(&[(0, 1), (2, 1)]);
        let now = slots(&[0, 1, 2]);
        let taken = assign_slots(3, 720, &survivors, Some(&now)).unwrap();
        assert_eq!(taken.worker(Subtask(0)), Some(WorkerId(0)));
        assert_eq!(taken.worker(Subtask(1)), Some(WorkerId(0)));
        assert_eq!(taken.worker(Subtask(2)), Some(WorkerId(2)));
    }
}
