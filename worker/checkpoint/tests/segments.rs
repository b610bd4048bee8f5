//! How segments add up, against a model that keeps every group's rows.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use weir_checkpoint::manifest::{Place, compose, plan_restore, share, should_compact};
use weir_checkpoint::store::testing::{Fault, LyingStore, MemoryStore, Operation};
use weir_checkpoint::{DataError, DataReader, DataWriter, FrozenLedger, Nonces, SegmentRef, Store};
use weir_protocol::{Attempt, KeyGroup, KeyGroupRange, Subtask, Term};
use weir_state::segment::{Segment, SegmentBuilder, SegmentKind};

const GROUPS: u32 = 12;

/// Publications of a job that is rescaled as it goes: a parallelism, and for each subtask what
/// it writes: full or delta, and the groups that it has something for.
fn history() -> impl Strategy<Value = Vec<(u32, Vec<(bool, u16)>)>> {
    let publication = (1..5_u32).prop_flat_map(|p| {
        (Just(p), prop::collection::vec((prop::bool::weighted(0.3), any::<u16>()), p as usize))
    });
    prop::collection::vec(publication, 1..12)
}

fn segment(kind: SegmentKind, range: KeyGroupRange, groups: u16, stamp: u8) -> Segment {
    let mut builder = SegmentBuilder::new(kind, range, 1);
    for g in range.start..range.end {
        if groups >> g & 1 == 1 {
            builder.push(KeyGroup(g), &[stamp]);
        }
    }
    builder.finish()
}

fn inline(segment: &Segment) -> SegmentRef {
    SegmentRef {
        place: Place::Inline(segment.bytes.clone().into()),
        len: segment.bytes.len() as u64,
        schema: 1,
        kind: segment.kind,
        range: segment.range,
        blocks: segment.blocks.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Each group is restored from exactly the blocks since its last full segment, in order,
    /// whatever the ranges were when they were written and are when they are read.
    #[test]
    fn composed_segments_restore_what_was_written(history in history(), readers in 1..5_u32) {
        let mut refs: Vec<SegmentRef> = Vec::new();
        let mut model: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
        for (stamp, (parallelism, writes)) in history.iter().enumerate() {
            let mut new = Vec::new();
            for (subtask, &(full, groups)) in writes.iter().enumerate() {
                let range = KeyGroupRange::of_subtask(Subtask(subtask as u32), *parallelism, GROUPS);
                let kind = if full { SegmentKind::Full } else { SegmentKind::Delta };
                let written = segment(kind, range, groups, stamp as u8);
                for g in range.start..range.end {
                    let rows = model.entry(g).or_default();
                    if full { rows.clear(); }
                    if groups >> g & 1 == 1 { rows.push(stamp as u8); }
                }
                new.push(inline(&written));
            }
            refs = compose(&refs, new);
        }
        let reader = DataReader::new(Arc::new(MemoryStore::new()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for subtask in 0..readers {
            let range = KeyGroupRange::of_subtask(Subtask(subtask), readers, GROUPS);
            let mut found: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
            for segment in runtime.block_on(reader.read(&refs, range)).unwrap() {
                for block in segment.blocks_in(range) {
                    let (group, bytes) = block.unwrap();
                    found.entry(group.0).or_default().extend_from_slice(&bytes);
                }
            }
            let expected: BTreeMap<u16, Vec<u8>> = model
                .iter()
                .filter(|(g, rows)| range.contains(KeyGroup(**g)) && !rows.is_empty())
                .map(|(g, rows)| (*g, rows.clone()))
                .collect();
            prop_assert_eq!(found, expected);
            // What a subtask is given of them restores the same as all of them.
            let given = share(&refs, range);
            let blocks = |refs: &[SegmentRef]| -> Vec<(SegmentRef, BTreeSet<KeyGroup>)> {
                let plan = plan_restore(refs, range).into_iter();
                plan.map(|(at, groups)| (refs[at].clone(), groups)).collect()
            };
            prop_assert_eq!(blocks(&given), blocks(&refs));
            prop_assert_eq!(share(&given, range), given);
        }
        // And nothing is kept that no group needs, but for the marks that full segments are.
        let all = KeyGroupRange::all(GROUPS);
        let used: Vec<usize> = plan_restore(&refs, all).into_iter().map(|(at, _)| at).collect();
        for (at, r) in refs.iter().enumerate() {
            prop_assert!(r.is_full() || used.contains(&at));
        }
    }

    /// Whatever attempts fail, each frozen delta is published exactly once and in order.
    #[test]
    fn frozen_deltas_are_published_once(published in prop::collection::vec(any::<bool>(), 1..30)) {
        let mut ledger = FrozenLedger::new();
        let (uid, subtask) = ("count".into(), Subtask(0));
        let mut in_manifests = Vec::new();
        for (n, ok) in published.iter().enumerate() {
            let attempt = Attempt(n as u64);
            ledger.freeze(&uid, subtask, attempt, n);
            if *ok {
                in_manifests.extend(ledger.included(&uid, subtask, attempt));
                ledger.published(attempt);
            }
        }
        let until = published.iter().rposition(|ok| *ok).map_or(0, |at| at + 1);
        prop_assert_eq!(in_manifests, (0..until).collect::<Vec<_>>());
        prop_assert_eq!(ledger.is_empty(), until == published.len());
    }
}

#[test]
fn an_attempt_frozen_later_outlives_the_publication_of_an_earlier_one() {
    let mut ledger = FrozenLedger::new();
    let (uid, subtask) = ("count".into(), Subtask(0));
    ledger.freeze(&uid, subtask, Attempt(1), "a");
    ledger.freeze(&uid, subtask, Attempt(2), "b");
    ledger.published(Attempt(1));
    assert_eq!(ledger.included(&uid, subtask, Attempt(2)), ["b"]);
}

/// Else slices that were given out and are gone come back from the deltas before it, when the subtask
/// writes on top of what it was given.
#[test]
fn a_full_segment_that_holds_nothing_is_given_where_it_voids_what_was_before() {
    let range = |start, end| KeyGroupRange { start, end };
    let old = inline(&segment(SegmentKind::Delta, KeyGroupRange::all(GROUPS), 0b1000_0010_0000, 1));
    let void = inline(&segment(SegmentKind::Full, range(4, 8), 0, 2));
    let refs = [old.clone(), void.clone()];
    assert_eq!(share(&refs, range(0, 4)), []);
    assert_eq!(share(&refs, range(4, 8)), [void]);
    assert_eq!(share(&refs, range(8, 12)), [old]);
}

#[test]
fn compaction_is_due_by_depth_or_by_size() {
    let r = |kind, range: (u16, u16), len| SegmentRef {
        place: Place::Object { path: "data/1/x/y".into(), offset: 0 },
        len,
        schema: 1,
        kind,
        range: KeyGroupRange { start: range.0, end: range.1 },
        blocks: Vec::new(),
    };
    let full = |len| r(SegmentKind::Full, (0, 8), len);
    let delta = |range, len| r(SegmentKind::Delta, range, len);
    assert!(!should_compact(&[]));
    assert!(!should_compact(&[full(1 << 20), delta((0, 8), 1 << 19)]));
    assert!(should_compact(&[full(1 << 20), delta((0, 8), (1 << 19) + 1)]));
    let deep = |n| (0..n).map(|_| delta((0, 4), 1));
    assert!(!should_compact(&[full(1 << 20)].into_iter().chain(deep(8)).collect::<Vec<_>>()));
    assert!(should_compact(&[full(1 << 20)].into_iter().chain(deep(9)).collect::<Vec<_>>()));
    // Sixteen subtasks with one delta each are not deep.
    let wide: Vec<_> = (0..16).map(|s| delta((s, s + 1), 1 << 20)).collect();
    assert!(!should_compact(&wide));
}

fn large(stamp: u8) -> Segment {
    let mut builder = SegmentBuilder::new(SegmentKind::Full, KeyGroupRange::all(GROUPS), 3);
    for g in 0..GROUPS as u16 {
        builder.push(KeyGroup(g), &vec![stamp + g as u8; 300_000]);
    }
    builder.finish()
}

#[tokio::test(start_paused = true)]
async fn segments_are_merged_and_only_wanted_groups_are_fetched() {
    let memory = MemoryStore::new();
    let lying = LyingStore::new(Arc::new(memory.clone()));
    let store: Arc<dyn Store> = Arc::new(lying.clone());
    let writer = DataWriter::new(store.clone(), Term(4), Nonces::seeded(1));
    lying.inject(Operation::Put, "data", Fault::AnswerLost);
    let refs =
        writer.write_segments(&"count by key/1".into(), &[large(0), large(100)]).await.unwrap();
    assert_eq!(memory.names().len(), 1, "one object");
    assert!(memory.names()[0].starts_with("data/00000000000000000004/count_by_key_1/"));
    let range = KeyGroupRange { start: 4, end: 6 };
    lying.inject(Operation::Get, "data", Fault::FailBefore);
    let reader = DataReader::new(store);
    let got = reader.read(&refs[..1], range).await.unwrap();
    assert_eq!(got[0].bytes.len(), 600_000);
    assert_eq!(got[0].blocks_in(range).map(|b| b.unwrap().1[0]).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(reader.read(&refs, range).await.unwrap().len(), 1, "the later full one");

    let mut bytes = memory.bytes(&memory.names()[0]).unwrap().to_vec();
    bytes[300_000 * 5 + 7] ^= 1;
    memory.put(&memory.names()[0], bytes.into()).await.unwrap();
    let damaged = reader.read(&refs[..1], range).await;
    assert!(matches!(damaged, Err(DataError::Damaged { .. })), "{damaged:?}");
    assert!(reader.read(&refs[..1], KeyGroupRange { start: 0, end: 4 }).await.is_ok());
}

#[tokio::test]
async fn small_segments_travel_inline() {
    let memory = MemoryStore::new();
    let writer = DataWriter::new(Arc::new(memory.clone()), Term(4), Nonces::seeded(1));
    let small = segment(SegmentKind::Delta, KeyGroupRange::all(GROUPS), 0b1010, 9);
    let refs = writer.write_segments(&"count".into(), std::slice::from_ref(&small)).await.unwrap();
    assert!(memory.names().is_empty());
    let read = DataReader::new(Arc::new(memory)).read(&refs, KeyGroupRange::all(GROUPS)).await;
    assert_eq!(read.unwrap(), [small]);
}
