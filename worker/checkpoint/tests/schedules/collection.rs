//! S9, S13, S14: what may be deleted, and names that come back.

use std::time::Duration;

use weir_checkpoint::manifest::chain_name;
use weir_checkpoint::store::testing::{Fault, Operation};
use weir_checkpoint::{Chain, DataWriter, PublishError, RollBackEnd, Start, TakeOverError, steps};
use weir_protocol::{KeyGroup, KeyGroupRange};
use weir_state::segment::{SegmentBuilder, SegmentKind};

use crate::common::{NEVER, Rig, Toy, large_segment, request, v};
use crate::{object, stalling};

/// A checkpoint with a full segment that is too large to travel inline.
async fn with_segment(toy: &mut Toy, chain: &Chain) -> String {
    let range = KeyGroupRange::all(128);
    let mut segment = SegmentBuilder::new(SegmentKind::Full, range, 1);
    segment.push(KeyGroup(3), &vec![toy.position as u8; 70_000]);
    let writer =
        DataWriter::new(chain.store().clone(), toy.writer.term(), chain.options().nonces.clone());
    let refs = writer.write_segments(&"source".into(), &[segment.finish()]).await.unwrap();
    let name = refs[0].object().unwrap().to_owned();
    toy.freeze(1);
    let mut body = toy.body();
    body.operators.get_mut(&"source".into()).unwrap().state.segments = refs;
    toy.writer.publish(body, NEVER).await.unwrap();
    toy.frozen.clear();
    name
}

#[tokio::test(start_paused = true)]
async fn s09_a_late_collector_deletes_nothing_that_can_be_restored() {
    let rig = Rig::new();
    let (chain, _, reached, go_on) = stalling(&rig, steps::COLLECT_LISTED);
    let mut old = Toy::start(&chain, &rig.sink, &request(0)).await.unwrap();
    let mut names = Vec::new();
    for _ in 0..5 {
        names.push(with_segment(&mut old, &chain).await);
    }
    let retained: Vec<u64> = old.writer.head().retained.iter().map(|r| r.version.0).collect();
    assert_eq!(retained, [4, 5], "three with the head");
    let writer = old.writer.clone();
    let collector = tokio::spawn(async move { writer.collect().await });
    reached.notified().await;
    // Meanwhile the job is set back to version 4 by a new term, and writes new segments.
    let back = weir_checkpoint::SealRequest {
        start: Start::Version { token: "x".into(), version: v(4), repeat_output: false },
        ..request(1)
    };
    let chain = rig.chain();
    let writer = chain.take_over(&back, NEVER).await.unwrap();
    let new = Toy::on(writer, &rig.sink);
    let outcomes = new.discard();
    assert_eq!(outcomes.len(), 2, "the output of 5 and 6 is destroyed");
    let end = new.writer.finish_roll_back(&outcomes).await.unwrap().unwrap();
    assert!(matches!(end, RollBackEnd::Restored(_)));
    let mut new = Toy::on(new.writer, &rig.sink);
    assert_eq!(new.position, 3);
    new.commit_all().await;
    let writer = DataWriter::new(chain.store().clone(), new.writer.term(), rig.nonces.clone());
    let unpublished = large_segment(&writer).await.object().unwrap().to_owned();
    go_on.notify_one();
    let done = collector.await.unwrap().unwrap();
    assert!(done.deleted > 0, "it does delete what it had dropped");
    let alive = |name: &str| rig.memory.bytes(&object(name)).is_some();
    assert!(alive(&names[2]), "the restored segment");
    assert!(alive(&unpublished), "a segment on its way into a manifest");
    assert!(!alive(&names[0]), "what its own manifest dropped");
    new.checkpoint(4).await;
    new.commit_all().await;
    new.writer.collect().await.unwrap();
    assert!(alive(&names[2]) && alive(&unpublished) && !alive(&names[4]));
    rig.sink.assert_exactly(7);
}

#[tokio::test(start_paused = true)]
async fn s13_a_late_put_on_a_collected_name_does_not_count() {
    let rig = Rig::new();
    let (chain, lying, reached, go_on) = stalling(&rig, steps::PUBLISH_AFTER_PUT);
    let mut first = Toy::start(&chain, &rig.sink, &request(0)).await.unwrap();
    first.freeze(3);
    // The PUT lands, its answer is lost, and the same PUT lands again much later.
    let name = chain_name(v(2));
    lying.inject(Operation::Create, &name, Fault::AppliedAgain(Duration::from_secs(60)));
    lying.inject(Operation::Get, &name, Fault::FailBefore);
    let writer = tokio::spawn(async move {
        let result = first.publish(NEVER).await;
        (first, result)
    });
    reached.notified().await;
    // Adopted by the next term, superseded and collected.
    let mut next = rig.recover(1).await;
    assert_eq!(next.position, 3, "adopted");
    for _ in 0..5 {
        next.checkpoint(1).await;
        next.commit_all().await;
        next.writer.collect().await.unwrap();
    }
    assert!(rig.memory.bytes(&object(&name)).is_none());
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert!(rig.memory.bytes(&object(&name)).is_some(), "the late PUT took the name again");
    go_on.notify_one();
    let (first, result) = writer.await.unwrap();
    assert!(matches!(result, Err(PublishError::Fenced { .. })), "{result:?}");
    // It may not destroy what its successor has committed.
    assert!(first.writer.collect().await.is_err());
    assert_eq!(rig.recover(2).await.position, 8);
    rig.sink.assert_exactly(8);
}

#[tokio::test(start_paused = true)]
async fn s14_a_seal_that_lands_on_a_collected_name_does_not_count() {
    let rig = Rig::new();
    let mut a = rig.recover(0).await;
    a.checkpoint(3).await;
    let (chain, _, reached, go_on) = stalling(&rig, steps::TAKE_OVER_LISTED);
    let sleeper = tokio::spawn(async move { chain.take_over(&request(1), NEVER).await });
    reached.notified().await;
    let mut c = rig.recover(2).await;
    for _ in 0..6 {
        c.checkpoint(1).await;
        c.commit_all().await;
        c.writer.collect().await.unwrap();
    }
    assert!(rig.memory.bytes(&object(&chain_name(v(3)))).is_none(), "its target is free again");
    go_on.notify_one();
    let lost = sleeper.await.unwrap();
    assert!(matches!(lost, Err(TakeOverError::Lost { head: Some(_) })), "{lost:?}");
    c.checkpoint(2).await;
    c.commit_all().await;
    c.writer.collect().await.unwrap();
    assert!(rig.memory.bytes(&object(&chain_name(v(3)))).is_none(), "the stray name is collected");
    assert_eq!(rig.recover(3).await.position, 11);
    rig.sink.assert_exactly(11);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_head_hint_misleads_nobody() {
    let hints =
        ["0", "1", "999999", "rubbish", "18446744073709551615", "1 a", "99 another-lineage"];
    for hint in hints {
        let rig = Rig::new();
        rig.recover(0).await.checkpoint(2).await;
        let chain = rig.chain();
        chain.store().put("head-hint", hint.to_owned().into_bytes().into()).await.unwrap();
        assert_eq!(chain.read_head().await.unwrap().unwrap().version, v(2), "{hint}");
    }
}
