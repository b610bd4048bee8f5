//! S2, S3, S4, S6: what became of a publication.

use std::time::Duration;

use weir_checkpoint::manifest::chain_name;
use weir_checkpoint::store::testing::{Fault, Operation};
use weir_checkpoint::{DataWriter, ManifestKind, PublishError, steps};
use weir_protocol::Version;

use crate::common::{NEVER, Rig, SOON, Toy, large_segment, request, t, v};
use crate::{object, stalling};

#[tokio::test(start_paused = true)]
async fn s02_numbers_stay_dense_over_given_up_attempts_and_a_seal_between() {
    let rig = Rig::new();
    let (lying, chain) = rig.client();
    let mut old = Toy::start(&chain, &rig.sink, &request(0)).await.unwrap();
    old.checkpoint(3).await;
    old.freeze(2);
    // The store takes nothing for a while: the attempt is voided, the next one counts.
    for _ in 0..12 {
        lying.inject(Operation::Create, "chain", Fault::FailBefore);
    }
    let voided = old.publish(Duration::from_millis(500)).await;
    assert!(matches!(voided, Err(PublishError::Voided { version: Version(3) })), "{voided:?}");
    assert_eq!(rig.head().await.kind, ManifestKind::Void);
    let mut new = rig.recover(1).await;
    old.freeze(4);
    let fenced = old.publish(NEVER).await;
    assert!(matches!(fenced, Err(PublishError::Fenced { .. })));
    let head = new.checkpoint(6).await.head;
    assert_eq!((head.version, head.term, head.parent), (v(5), t(2), Some(v(4))));
    new.commit_all().await;
    rig.sink.assert_exactly(9);
}

#[tokio::test(start_paused = true)]
async fn s03_a_put_that_lands_20_s_late_is_recognised_or_was_voided() {
    for give_up in [NEVER, Duration::from_secs(5)] {
        let rig = Rig::new();
        let (lying, chain) = rig.client();
        let mut toy = Toy::start(&chain, &rig.sink, &request(0)).await.unwrap();
        let late = Duration::from_secs(20);
        lying.inject(Operation::Create, &chain_name(v(2)), Fault::AppliedLater(late));
        for _ in 0..40 {
            lying.inject(Operation::Create, &chain_name(v(2)), Fault::FailBefore);
        }
        toy.freeze(4);
        // Whether the late original or the void wins the name, the rows appear once.
        match toy.publish(give_up).await {
            Ok(published) => assert_eq!(published.head.kind, ManifestKind::Checkpoint),
            Err(PublishError::Voided { .. }) => panic!("the original landed first"),
            Err(other) => panic!("{other}"),
        }
        assert!(lying.hits()[&(Operation::Create, "applied later")] == 1);
        lying.heal();
        toy.checkpoint(3).await;
        toy.commit_all().await;
        rig.sink.assert_exactly(7);
    }
    // And with a store that recovers before the late PUT lands, the void wins.
    let rig = Rig::new();
    let (lying, chain) = rig.client();
    let mut toy = Toy::start(&chain, &rig.sink, &request(0)).await.unwrap();
    let late = Duration::from_secs(20);
    lying.inject(Operation::Create, &chain_name(v(2)), Fault::AppliedLater(late));
    toy.freeze(4);
    let voided = toy.publish(Duration::ZERO).await;
    assert!(matches!(voided, Err(PublishError::Voided { .. })), "{voided:?}");
    tokio::time::sleep(2 * late).await;
    assert_eq!(rig.head().await.kind, ManifestKind::Void, "the late PUT found the name taken");
    toy.checkpoint(3).await;
    toy.commit_all().await;
    rig.sink.assert_exactly(7);
}

#[tokio::test(start_paused = true)]
async fn s04_taken_by_nobody_and_ones_own_lost_success() {
    for fault in [Fault::TakenByNobody, Fault::WinsButTaken, Fault::AnswerLost, Fault::FailBefore] {
        let rig = Rig::new();
        let (lying, chain) = rig.client();
        lying.inject(Operation::Create, "chain", fault);
        let mut toy = Toy::start(&chain, &rig.sink, &request(0)).await.unwrap();
        assert_eq!(toy.writer.term(), t(1), "{fault:?} for the seal");
        lying.inject(Operation::Create, "chain", fault);
        lying.inject(Operation::Get, "chain", Fault::FailBefore);
        lying.inject(Operation::List, "chain", Fault::FailBefore);
        let published = toy.checkpoint(3).await;
        assert_eq!(published.head.version, v(2), "{fault:?}");
        assert_eq!(lying.hits()[&(Operation::Create, fault.name())], 2);
        toy.commit_all().await;
        assert_eq!(rig.recover(1).await.position, 3);
        rig.sink.assert_exactly(3);
    }
}

#[tokio::test(start_paused = true)]
async fn s06_rows_of_a_declined_attempt_are_in_the_next_manifest() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    toy.freeze(3); // declined by some task: never published
    toy.freeze(4);
    toy.publish(NEVER).await.unwrap();
    drop(toy);
    assert_eq!(rig.recover(1).await.position, 7);
    rig.sink.assert_exactly(7);
}

#[tokio::test(start_paused = true)]
async fn a_publication_whose_future_was_dropped_is_settled_before_the_next() {
    let rig = Rig::new();
    let (chain, _, reached, _go_on) = stalling(&rig, steps::PUBLISH_AFTER_PUT);
    let mut toy = Toy::start(&chain, &rig.sink, &request(0)).await.unwrap();
    toy.freeze(3);
    let body = toy.body();
    tokio::select! {
        _ = toy.writer.publish(body, NEVER) => panic!("it stalls"),
        () = reached.notified() => {}
    }
    assert!(!toy.writer.may_start_attempt());
    let second = toy.writer.publish(toy.body(), NEVER).await;
    assert!(matches!(second, Err(PublishError::Undecided { version: Version(2) })));
    let settled = toy.writer.settle(SOON).await.unwrap().unwrap();
    assert_eq!(settled.head.version, v(2));
    assert!(toy.writer.settle(SOON).await.is_none());
    toy.frozen.clear();
    toy.commit_all().await;
    rig.sink.assert_exactly(3);
}

/// Rule 5: the manifest that a stalled writer put was adopted, so everything it lists is its
/// successor's, although the writer is told that it does not count.
#[tokio::test(start_paused = true)]
async fn a_fenced_writer_leaves_every_object_to_the_successor_that_adopted_it() {
    let rig = Rig::new();
    let (chain, _, reached, go_on) = stalling(&rig, steps::PUBLISH_AFTER_PUT);
    let mut first = Toy::start(&chain, &rig.sink, &request(0)).await.unwrap();
    let writer = DataWriter::new(chain.store().clone(), first.writer.term(), rig.nonces.clone());
    let state = large_segment(&writer).await;
    first.freeze(3);
    let mut body = first.body();
    for entry in body.operators.values_mut() {
        entry.state.segments = vec![state.clone()];
    }
    let fenced = tokio::spawn(async move {
        let result = first.writer.publish(body, NEVER).await;
        (first, result)
    });
    reached.notified().await;
    // Adopted, and not committed yet.
    let next = Toy::on(rig.chain().take_over(&request(1), NEVER).await.unwrap(), &rig.sink);
    assert_eq!((next.position, next.writer.pending().len()), (3, 1));
    go_on.notify_one();
    let (first, result) = fenced.await.unwrap();
    assert!(matches!(result, Err(PublishError::Fenced { .. })), "{result:?}");
    assert!(first.writer.collect().await.is_err());
    drop(first);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let object = object(state.object().unwrap());
    assert!(rig.memory.bytes(&object).is_some(), "{object} is gone");
    next.commit_all().await;
    rig.sink.assert_exactly(3);
}
