//! The state of the whole job at one cut: what a manifest says and a deployment restores.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use weir_checkpoint::manifest::{Mark, is_foreign};
use weir_engine::operator::{Committable, StateSchema};
use weir_engine::source::Split;
use weir_protocol::control::{self, OperatorState, RestoreState, SegmentRef};
use weir_protocol::{
    Epoch, KeyGroupRange, OperatorCounts, OperatorUid, Subtask, Term, Version, VertexId, WorkerId,
};

use super::attempt::{PendingCheckpoint, TaskAck};
use super::place::Spread;
use super::plan::Plan;
use super::splits::{EnumeratorState, SourceSplits};

/// The newest manifest of the job's chain.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Head {
    /// The writer's term.
    pub term: Term,
    /// Its place in the chain.
    pub version: Version,
    /// The checkpoint whose state it holds; 0 before the first.
    pub epoch: Epoch,
    /// The state's lineage.
    pub lineage: String,
    /// Bytes of state that it names.
    pub bytes: u64,
    /// When it was written, in milliseconds since 1970; for display.
    pub written_ms: i64,
    /// Where its subtasks ran; absent where that was never said.
    pub spread: Option<Spread>,
    /// Every window was closed and all output committed, by sources that had ended.
    pub over: bool,
    /// What it says.
    pub cut: Cut,
}

impl Head {
    /// Whether the job had finished with it, by these sources among its own: everything was read,
    /// and a program of no other sources has nothing to read.
    #[must_use]
    pub fn has_finished<'a>(&self, sources: impl IntoIterator<Item = &'a OperatorUid>) -> bool {
        let mut sources = sources.into_iter().peekable();
        let is_read = |uid: &OperatorUid| {
            self.cut.operators.get(uid).is_some_and(|source| {
                let ended =
                    source.enumerator.as_ref().filter(|e| e.complete && e.unassigned.is_empty());
                ended.is_some() && source.splits.is_empty()
            })
        };
        self.over && sources.peek().is_some() && sources.all(is_read)
    }
}

/// The job's state at a cut.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Cut {
    /// The parallelism that the job ran at.
    pub parallelism: u32,
    /// Its number of key groups.
    pub max_parallelism: u32,
    /// The plan that wrote it.
    pub plan_hash: String,
    /// State per operator. Chains keep splits and watermark under their first operator.
    pub operators: BTreeMap<OperatorUid, OperatorCut>,
    /// Staged output that is not known to be committed, with the epoch that first listed it, in
    /// order.
    pub committables: Vec<Pending>,
    /// How much staged output the manifest lists: more than `committables` where some of it was
    /// known to be committed when the manifest was read, or has become so since.
    pub listed: usize,
    /// Operators that should write all of their state at the next attempt.
    pub write_full: Vec<OperatorUid>,
    /// Operators whose state lies outside the job's folder: they must.
    pub foreign: Vec<OperatorUid>,
}

/// Staged output that is listed by the chain and not known to be committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending {
    /// The manifest that listed it first.
    pub epoch: Epoch,
    /// The lineage that it was published under; not the head's where the job was started over
    /// meanwhile.
    pub lineage: String,
    /// Its position there.
    pub index: u32,
    /// What to commit.
    pub committable: Committable,
}

impl Cut {
    /// What the operators that are still in the plan had counted.
    pub(super) fn counts(&self, plan: &Plan) -> BTreeMap<OperatorUid, OperatorCounts> {
        let planned = self.operators.iter().filter(|(uid, _)| plan.operator(uid).is_some());
        planned.map(|(uid, operator)| (uid.clone(), operator.counts)).collect()
    }

    /// Objects of the job's folder that hold keyed state.
    pub(super) fn objects(&self) -> BTreeSet<&str> {
        let segments = self.operators.values().flat_map(|operator| &operator.segments);
        segments.map(|s| s.path.as_str()).filter(|p| !p.is_empty() && !is_foreign(p)).collect()
    }

    /// Those that `next` does not list any more.
    pub(super) fn objects_without(&self, next: &Self) -> Vec<String> {
        self.objects().difference(&next.objects()).map(|object| (*object).to_owned()).collect()
    }
}

/// One operator's state, of all its subtasks.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OperatorCut {
    /// Its name for people.
    pub name: String,
    /// What sort of operator it is.
    pub kind: String,
    /// Encoding of its keyed state.
    pub schema: Option<StateSchema>,
    /// Keyed state, in the order in which it applies.
    pub segments: Vec<SegmentRef>,
    /// Values that are not keyed, in the order of subtasks.
    pub items: Vec<Bytes>,
    /// Sources: splits being read.
    pub splits: Vec<Split>,
    /// Sources: the enumerator's side.
    pub enumerator: Option<EnumeratorState>,
    /// First operators of chains: the merged watermark of the subtasks.
    pub watermark: Option<Mark>,
    /// What it had counted since the job's first row.
    pub counts: OperatorCounts,
}

impl OperatorCut {
    /// Whether dropping it would lose anything.
    #[must_use]
    pub fn holds_state(&self) -> bool {
        !self.segments.is_empty()
            || !self.items.is_empty()
            || !self.splits.is_empty()
            || self.enumerator.is_some()
    }
}

/// What an attempt adds to the chain.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Body {
    /// The parallelism that the job runs at.
    pub parallelism: u32,
    /// Per operator: new segments, and everything else whole.
    pub operators: BTreeMap<OperatorUid, OperatorCut>,
    /// Staged output that this manifest lists first, in order.
    pub committables: Vec<Committable>,
    /// Pinned for this savepoint.
    pub pin: Option<String>,
}

/// What an attempt's acks say. `before` is what operators had counted when the term's tasks began,
/// `head` the newest manifest.
#[must_use]
pub(super) fn build_body(
    plan: &Plan,
    parallelism: u32,
    checkpoint: &PendingCheckpoint,
    before: &BTreeMap<OperatorUid, OperatorCounts>,
    head: &Cut,
) -> Body {
    let mut body = Body { parallelism, ..Body::default() };
    for vertex in &plan.vertices {
        let subtasks = plan.subtasks(vertex.id, parallelism);
        let acks: Vec<&TaskAck> =
            (0..subtasks).filter_map(|s| checkpoint.ack(vertex.id, Subtask(s))).collect();
        for (position, planned) in vertex.operators.iter().enumerate() {
            let mut cut = OperatorCut {
                name: planned.name.clone(),
                kind: planned.kind.to_owned(),
                schema: planned.state.clone(),
                counts: before.get(&planned.uid).copied().unwrap_or_default(),
                ..OperatorCut::default()
            };
            for ack in &acks {
                let Some(part) = ack.operators.get(&planned.uid) else {
                    continue;
                };
                cut.segments.extend(part.segments.iter().cloned());
                cut.items.extend(part.items.iter().cloned());
                cut.splits.extend(part.splits.iter().cloned());
                cut.counts = cut.counts + part.counts;
                body.committables.extend(part.committables.iter().cloned());
            }
            if position == 0 {
                cut.enumerator = checkpoint.enumerators.get(&vertex.id).cloned();
                let marks: Vec<_> = acks.iter().map(|ack| ack.watermark).collect();
                cut.watermark = if vertex.source.is_some() {
                    // Splits bring their own watermarks along, to whichever reader.
                    Mark::of(&marks).and_then(|mark| mark.least()).map(Mark::Even)
                } else {
                    let head = head.operators.get(&planned.uid).and_then(|o| o.watermark.as_ref());
                    keep_ahead(&marks, head, plan.max_parallelism)
                };
            }
            body.operators.insert(planned.uid.clone(), cut);
        }
    }
    body
}

/// Whether publishing `body` would say nothing that `head` does not. `uncommitted` is how much of
/// the output that the head lists is not known to be committed.
#[must_use]
pub(super) fn is_unchanged(head: &Cut, plan: &Plan, body: &Body, uncommitted: usize) -> bool {
    let nothing = OperatorCut::default();
    body.committables.is_empty()
        && head.listed <= uncommitted
        && head.plan_hash == plan.hash
        && head.parallelism == body.parallelism
        && body.operators.iter().all(|(uid, now)| {
            let before = head.operators.get(uid).unwrap_or(&nothing);
            // Watermarks may move without anything being read; that alone is not worth a version.
            now.segments.is_empty()
                && now.items == before.items
                && now.splits == before.splits
                && now.enumerator == before.enumerator
        })
}

/// The splits of every source at the beginning of a term.
#[must_use]
pub(super) fn build_splits(
    plan: &Plan,
    parallelism: u32,
    cut: &Cut,
) -> BTreeMap<VertexId, SourceSplits> {
    let sources = plan.sources().map(|(vertex, source)| {
        let stored = cut.operators.get(&vertex.head());
        let subtasks = plan.subtasks(vertex.id, parallelism);
        let reading = stored.map(|s| s.splits.clone()).unwrap_or_default();
        let enumerator = stored.and_then(|s| s.enumerator.clone());
        (vertex.id, SourceSplits::restore(source, subtasks, enumerator, reading))
    });
    sources.collect()
}

/// What each worker has to build and restore.
#[must_use]
pub(super) fn build_deploys(
    plan: &Plan,
    spread: &Spread,
    cut: &Cut,
    addresses: &BTreeMap<WorkerId, String>,
) -> BTreeMap<WorkerId, control::Deploy> {
    let parallelism = spread.parallelism();
    let placements: Vec<control::Placement> = plan
        .tasks(parallelism)
        .filter_map(|(vertex, subtask)| {
            let worker = spread.worker(subtask)?;
            Some(control::Placement { vertex: vertex.0, subtask: subtask.0, worker: worker.0 })
        })
        .collect();
    let workers = spread.workers();
    let peers: Vec<control::Peer> = workers
        .iter()
        .map(|worker| control::Peer {
            worker: worker.0,
            exchange_address: addresses.get(worker).cloned().unwrap_or_default(),
        })
        .collect();
    let mut restore = build_restores(plan, spread, cut);
    let deploys = workers.into_iter().map(|worker| {
        let deploy = control::Deploy {
            parallelism,
            peers: peers.clone(),
            placements: placements.clone(),
            restore: restore.remove(&worker).unwrap_or_default(),
        };
        (worker, deploy)
    });
    deploys.collect()
}

/// What each worker restores.
#[must_use]
pub(super) fn build_restores(
    plan: &Plan,
    spread: &Spread,
    cut: &Cut,
) -> BTreeMap<WorkerId, Vec<RestoreState>> {
    let parallelism = spread.parallelism();
    let mut restore: BTreeMap<WorkerId, Vec<RestoreState>> = BTreeMap::new();
    for vertex in &plan.vertices {
        let subtasks = plan.subtasks(vertex.id, parallelism);
        let watermark = cut.operators.get(&vertex.head()).and_then(|o| o.watermark.as_ref());
        for planned in &vertex.operators {
            let stored = cut.operators.get(&planned.uid);
            // An operator that began a chain of its own when it was stored goes on from there.
            let watermark = stored.and_then(|s| s.watermark.as_ref()).or(watermark);
            if stored.is_none() && watermark.is_none() {
                continue;
            }
            for subtask in (0..subtasks).map(Subtask) {
                let Some(worker) = spread.worker(subtask) else {
                    continue;
                };
                let range = KeyGroupRange::of_subtask(subtask, subtasks, plan.max_parallelism);
                let (watermark, ahead) = match watermark {
                    Some(mark) => reached(mark, range, plan.max_parallelism),
                    None => (None, Vec::new()),
                };
                let state = stored.map(|s| share(&planned.uid, s, subtask, subtasks, range));
                restore.entry(worker).or_default().push(RestoreState {
                    subtask: subtask.0,
                    state: Some(state.unwrap_or_else(|| OperatorState {
                        uid: planned.uid.0.clone(),
                        ..OperatorState::default()
                    })),
                    watermark,
                    ahead,
                });
            }
        }
    }
    restore
}

/// What subtasks say of themselves, but for key groups that were ahead of that in the head: a rescale
/// gave them to a subtask that is behind, and windows that they have given out stay closed.
fn keep_ahead(marks: &[Option<i64>], head: Option<&Mark>, max_parallelism: u32) -> Option<Mark> {
    let Some(Mark::Uneven(before)) = head else { return Mark::of(marks) };
    let by_group = |marks: &[Option<i64>]| -> Vec<Option<i64>> {
        let subtasks = marks.len() as u32;
        let ranges = (0..subtasks)
            .map(|subtask| KeyGroupRange::of_subtask(Subtask(subtask), subtasks, max_parallelism));
        let of_range = |(range, mark): (KeyGroupRange, &Option<i64>)| {
            std::iter::repeat_n(*mark, usize::from(range.end - range.start))
        };
        ranges.zip(marks).flat_map(of_range).collect()
    };
    let (before, now) = (by_group(before), by_group(marks));
    if before.iter().zip(&now).all(|(before, now)| before <= now) {
        return Mark::of(marks);
    }
    // As many as there are key groups: each stands for itself.
    let furthest = before.iter().zip(&now).map(|(before, now)| *before.max(now));
    Mark::of(&furthest.collect::<Vec<_>>())
}

/// The watermark that all key groups of a range have reached, and those that were ahead of it.
fn reached(
    mark: &Mark,
    range: KeyGroupRange,
    max_parallelism: u32,
) -> (Option<i64>, Vec<control::GroupsAhead>) {
    let marks = match mark {
        Mark::Even(mark) => return (Some(*mark), Vec::new()),
        Mark::Uneven(marks) => marks,
    };
    let stored = (0..).map(Subtask).zip(marks);
    let parts: Vec<(u16, u16, Option<i64>)> = stored
        .map(|(subtask, mark)| {
            let own = KeyGroupRange::of_subtask(subtask, marks.len() as u32, max_parallelism);
            (own.start.max(range.start), own.end.min(range.end), *mark)
        })
        .filter(|(start, end, _)| start < end)
        .collect();
    let least = parts.iter().map(|(.., mark)| *mark).min().flatten();
    let ahead = parts.iter().filter(|(.., mark)| *mark > least).filter_map(|(start, end, mark)| {
        Some(control::GroupsAhead {
            start: u32::from(*start),
            end: u32::from(*end),
            watermark: (*mark)?,
        })
    });
    (least, ahead.collect())
}

/// One subtask's share of an operator's state: segments with groups of its range, full ones of its
/// range even where they hold nothing of it, since they void what was before them; every n-th item.
/// Splits are handed out anew.
fn share(
    uid: &OperatorUid,
    stored: &OperatorCut,
    subtask: Subtask,
    subtasks: u32,
    range: KeyGroupRange,
) -> OperatorState {
    let (start, end) = (u32::from(range.start), u32::from(range.end));
    let voids = |s: &SegmentRef| s.full && s.range_start < end && start < s.range_end;
    let holds = |s: &SegmentRef| s.blocks.iter().any(|b| (start..end).contains(&b.group));
    let segments = stored.segments.iter().filter(|s| voids(s) || holds(s));
    let items = stored.items.iter().enumerate();
    let items = items.filter(|(i, _)| i % subtasks.max(1) as usize == subtask.0 as usize);
    OperatorState {
        uid: uid.0.clone(),
        segments: segments.cloned().collect(),
        items: items.map(|(_, item)| item.to_vec()).collect(),
        committables: Vec::new(),
        splits_json: Vec::new(),
        counts: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_groups_go_on_from_the_watermark_of_the_subtask_that_had_them() {
        let mark = Mark::Uneven(vec![Some(30), None, Some(10)]);
        let all = KeyGroupRange::all(24);
        let (least, ahead) = reached(&mark, all, 24);
        let ahead: Vec<_> = ahead.iter().map(|a| (a.start, a.end, a.watermark)).collect();
        assert_eq!((least, ahead), (None, vec![(0, 8, 30), (16, 24, 10)]));
        for (subtask, own) in [Some(30), None, Some(10)].into_iter().enumerate() {
            let range = KeyGroupRange::of_subtask(Subtask(subtask as u32), 3, 24);
            assert_eq!(reached(&mark, range, 24), (own, vec![]), "at the same parallelism");
        }
        assert_eq!(reached(&Mark::Even(7), all, 24), (Some(7), vec![]));
    }

    /// Else slices that were given out and are gone come back from the deltas before it.
    #[test]
    fn a_full_segment_that_holds_nothing_is_restored_where_it_voids_what_was_before() {
        let segment = |full, range_start, range_end, groups: &[u32]| SegmentRef {
            full,
            range_start,
            range_end,
            blocks: groups
                .iter()
                .map(|&group| control::BlockRef { group, ..control::BlockRef::default() })
                .collect(),
            ..SegmentRef::default()
        };
        let (old, void) = (segment(false, 12, 18, &[13, 17]), segment(true, 8, 16, &[]));
        let stored =
            OperatorCut { segments: vec![old.clone(), void.clone()], ..OperatorCut::default() };
        let restored = |subtask| {
            let range = KeyGroupRange::of_subtask(Subtask(subtask), 3, 24);
            share(&"counts".into(), &stored, Subtask(subtask), 3, range).segments
        };
        assert_eq!(restored(0), []);
        assert_eq!(restored(1), [old.clone(), void]);
        assert_eq!(restored(2), [old]);
    }

    /// Else a second failure before all have met lets windows open again that were given out.
    #[test]
    fn key_groups_that_a_rescale_left_ahead_are_ahead_at_the_next_cut_too() {
        let before = Mark::Uneven(vec![Some(30), Some(10)]);
        let now = keep_ahead(&[Some(10)], Some(&before), 4);
        assert_eq!(now, Some(Mark::Uneven(vec![Some(30), Some(30), Some(10), Some(10)])));
        let (least, ahead) = reached(now.as_ref().expect("a mark"), KeyGroupRange::all(4), 4);
        let ahead: Vec<_> = ahead.iter().map(|a| (a.start, a.end, a.watermark)).collect();
        assert_eq!((least, ahead), (Some(10), vec![(0, 1, 30), (1, 2, 30)]));

        let later = keep_ahead(&[Some(20)], now.as_ref(), 4);
        assert_eq!(later, Some(Mark::Uneven(vec![Some(30), Some(30), Some(20), Some(20)])));
        let met = keep_ahead(&[Some(40)], later.as_ref(), 4);
        assert_eq!(met, Some(Mark::Even(40)));
        let apart = keep_ahead(&[Some(50), Some(60)], met.as_ref(), 4);
        assert_eq!(apart, Some(Mark::Uneven(vec![Some(50), Some(60)])));
    }
}
