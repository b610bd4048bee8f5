use std::sync::Arc;

use weir_checkpoint::Nonces;
use weir_checkpoint::store::Store;
use weir_checkpoint::store::testing::{Fault, LyingStore, MemoryStore, Operation};
use weir_engine::operator::Frozen as FrozenState;
use weir_protocol::{KeyGroup, KeyGroupRange, Term};
use weir_state::segment::{SegmentBuilder, SegmentKind};

use super::*;

const TASK: TaskId = (VertexId(1), Subtask(0));

struct Delta(Segment);

impl FrozenState for Delta {
    fn encode(self: Box<Self>) -> Result<Vec<Segment>, EngineError> {
        Ok(vec![self.0])
    }
}

/// A keyed delta that can be told by its length.
async fn delta(attempt: u64) -> Prepared {
    let range = KeyGroupRange { start: 0, end: 4 };
    let mut segment = SegmentBuilder::new(SegmentKind::Delta, range, 1);
    segment.push(KeyGroup(1), &vec![7; 100 * attempt as usize]);
    let keyed: Box<dyn FrozenState> = Box::new(Delta(segment.finish()));
    let snapshot = Snapshot { keyed: Some(keyed), ..Snapshot::default() };
    let frozen = FrozenTask {
        attempt: Attempt(attempt),
        vertex: TASK.0,
        subtask: TASK.1,
        operators: vec![("counts".into(), snapshot)],
        counts: Vec::new(),
        splits: None,
        watermark: None,
        align_us: 0,
        freeze_us: 0,
    };
    let pool = Arc::new(Pool::new("state", 1 << 30));
    prepare(Arc::new(JobGraph::default()), Nonces::seeded(2), pool, frozen).await.unwrap()
}

/// The attempts whose deltas an acknowledgement carries, in order.
fn attempts_in(acks: Vec<control::Ack>) -> Vec<u64> {
    let snapshots = acks.iter().map(|ack| serde_json::from_slice(&ack.snapshot_json).unwrap());
    let operators = snapshots.flat_map(|snapshot: TaskSnapshot| snapshot.operators);
    operators.flat_map(|(_, state)| state.segments).map(|segment| segment.len / 100).collect()
}

fn writer(store: Arc<dyn Store>) -> DataWriter {
    DataWriter::new(store, Term(1), Nonces::seeded(1)).with_inline_limit(1)
}

#[tokio::test(start_paused = true)]
async fn an_ack_carries_the_keyed_deltas_of_every_attempt_that_was_given_up_oldest_first() {
    let writer = writer(Arc::new(MemoryStore::new()));
    let mut frozen = Frozen::new([TASK].into(), StoredTables::default());
    // Stored and acknowledged, but declined elsewhere.
    let first = frozen.add(delta(1).await).unwrap().unwrap();
    assert_eq!(attempts_in(first.store(&writer).await.unwrap()), [1]);
    frozen.abandon(Attempt(1));
    // Given up before it was stored.
    frozen.add(delta(2).await).unwrap().unwrap();
    frozen.abandon(Attempt(2));
    // Given up before it was prepared.
    frozen.abandon(Attempt(3));
    assert!(frozen.add(delta(3).await).unwrap().is_none());
    let fourth = frozen.add(delta(4).await).unwrap().unwrap();
    assert_eq!(attempts_in(fourth.store(&writer).await.unwrap()), [1, 2, 3, 4]);
    frozen.published(Attempt(4));
    let fifth = frozen.add(delta(5).await).unwrap().unwrap();
    assert_eq!(attempts_in(fifth.store(&writer).await.unwrap()), [5], "the chain has the others");
}

#[tokio::test(start_paused = true)]
async fn a_delta_that_the_store_did_not_take_is_in_the_next_ack() {
    let lying = LyingStore::new(Arc::new(MemoryStore::new()));
    let writer = writer(Arc::new(lying.clone()));
    let mut frozen = Frozen::new([TASK].into(), StoredTables::default());
    for _ in 0..100 {
        lying.inject(Operation::Create, "data", Fault::FailBefore);
        lying.inject(Operation::Put, "data", Fault::FailBefore);
    }
    let first = frozen.add(delta(1).await).unwrap().unwrap();
    assert!(first.store(&writer).await.is_err());
    frozen.abandon(Attempt(1));
    lying.heal();
    let second = frozen.add(delta(2).await).unwrap().unwrap();
    assert_eq!(attempts_in(second.store(&writer).await.unwrap()), [1, 2]);
}
