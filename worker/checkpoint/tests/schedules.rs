//! The schedules of PROTOCOL section 2, against the real chain. In each: nothing lost, nothing
//! twice, somebody makes progress.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{NEVER, Rig, SOON, Toy, job, request, t, text, v};
use futures::future::BoxFuture;
use tokio::sync::Notify;
use weir_checkpoint::manifest::chain_name;
use weir_checkpoint::steps::{self, Steps};
use weir_checkpoint::store::testing::{Fault, LyingStore, Operation};
use weir_checkpoint::{
    Authority, Chain, ChainOptions, CollectError, DataWriter, Destroyed, ManifestKind,
    PublishError, Refusal, RollBackEnd, Start, TakeOverError,
};
use weir_protocol::{KeyGroup, KeyGroupRange, Version};
use weir_state::segment::{SegmentBuilder, SegmentKind};

/// A client that stops at the first arrival at `step` and goes on when told.
fn stalling(rig: &Rig, step: &'static str) -> (Chain, LyingStore, Arc<Notify>, Arc<Notify>) {
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (r, g) = (reached.clone(), go_on.clone());
    let first = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let hook = move |at: &'static str| -> BoxFuture<'static, ()> {
        let stop = at == step && first.swap(false, std::sync::atomic::Ordering::SeqCst);
        let (r, g) = (r.clone(), g.clone());
        Box::pin(async move {
            if stop {
                r.notify_one();
                g.notified().await;
            }
        })
    };
    let first_step_only =
        Steps::with_hook(Arc::new(
            move |at| {
                if at == step { hook(at) } else { Box::pin(async {}) }
            },
        ));
    let lying = LyingStore::new(Arc::new(rig.memory.clone()));
    let options = ChainOptions { steps: first_step_only, ..rig.options() };
    (Chain::attach(Arc::new(lying.clone()), &job(), options), lying, reached, go_on)
}

fn object(name: &str) -> String {
    format!("{}/{name}", job())
}

#[tokio::test(start_paused = true)]
async fn s01_a_writer_that_slept_through_collection_is_fenced() {
    let rig = Rig::new();
    let (chain, _, reached, go_on) = stalling(&rig, steps::PUBLISH_BEFORE_PUT);
    let mut old = Toy::start(&chain, &rig.sink, &request(0)).await.unwrap();
    old.freeze(5);
    let sleeper = tokio::spawn(async move {
        let result = old.publish(NEVER).await;
        (old, result)
    });
    reached.notified().await;
    // The name that it is about to put is taken, superseded and collected meanwhile.
    let mut new = rig.recover(1).await;
    for _ in 0..8 {
        new.checkpoint(2).await;
        new.commit_all().await;
        new.reign.collect().await.unwrap();
    }
    assert!(rig.memory.bytes(&object(&chain_name(v(2)))).is_none(), "collected");
    go_on.notify_one();
    let (old, result) = sleeper.await.unwrap();
    assert!(matches!(result, Err(PublishError::Fenced { .. })), "{result:?}");
    assert!(matches!(old.reign.collect().await, Err(CollectError::Fenced { .. })));
    new.checkpoint(1).await;
    assert_eq!(rig.recover(2).await.position, 17);
    rig.sink.assert_exactly(17);
}

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
        assert_eq!(toy.reign.term(), t(1), "{fault:?} for the seal");
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
async fn s05_a_slow_commit_is_listed_until_it_is_acknowledged() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    toy.checkpoint(3).await;
    toy.checkpoint(4).await;
    // The commit of the first is still on its way when the process dies.
    let slow = toy.reign.pending()[0].clone();
    drop(toy);
    assert_eq!(rig.head().await.pending.len(), 2, "the head alone suffices");
    let mut next = rig.recover(1).await;
    rig.sink.assert_exactly(7);
    rig.sink.commit(&text(&slow)).unwrap();
    rig.sink.assert_exactly(7);
    let head = next.checkpoint(1).await.head;
    assert_eq!(head.pending.len(), 1, "what was acknowledged is dropped");
    assert_eq!(head.committed_through, Some(v(3)));
}

#[tokio::test(start_paused = true)]
async fn s05_nine_versions_without_a_commit_are_not_published() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    for _ in 0..8 {
        assert!(toy.reign.may_start_attempt());
        toy.checkpoint(1).await;
    }
    assert!(!toy.reign.may_start_attempt());
    toy.freeze(1);
    let refused = toy.publish(NEVER).await;
    assert!(matches!(refused, Err(PublishError::TooManyUncommitted { versions: 8 })));
    toy.commit_all().await;
    assert!(toy.reign.may_start_attempt());
    toy.publish(NEVER).await.unwrap();
    toy.commit_all().await;
    rig.sink.assert_exactly(9);
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
async fn s07_of_two_living_coordinators_one_goes_on() {
    let rig = Rig::new();
    let mut a = rig.recover(0).await;
    let mut b = rig.recover(1).await;
    a.freeze(5);
    b.freeze(2);
    assert!(matches!(a.publish(NEVER).await, Err(PublishError::Fenced { .. })));
    b.publish(NEVER).await.unwrap();
    // Both at once: exactly one seal counts.
    let (x, y) = tokio::join!(async { rig.chain().take_over(&request(2), NEVER).await }, async {
        rig.chain().take_over(&request(3), NEVER).await
    });
    assert_eq!(usize::from(x.is_ok()) + usize::from(y.is_ok()), 1);
    let lost = x.as_ref().err().or(y.as_ref().err());
    assert!(matches!(lost, Some(TakeOverError::Lost { head: Some(_) })), "{lost:?}");
    assert_eq!(rig.recover(4).await.position, 2);
    rig.sink.assert_exactly(2);
}

#[tokio::test(start_paused = true)]
async fn s08_an_old_revision_does_not_take_over_by_itself() {
    let rig = Rig::new();
    let mut old = rig.recover(0).await;
    let head = old.checkpoint(3).await.head;
    let activate = Authority::Activate { expected: head.version };
    let new_revision = |authority| weir_checkpoint::SealRequest {
        revision: "77aa".into(),
        authority,
        ..request(0)
    };
    let refused = rig.chain().take_over(&new_revision(Authority::Own), NEVER).await;
    assert!(matches!(refused, Err(TakeOverError::Refused(Refusal::OtherRevision { .. }))));
    let new = Toy::start(&rig.chain(), &rig.sink, &new_revision(activate)).await.unwrap();
    // The old coordinator's pod restarts; the operator is dead.
    for _ in 0..3 {
        let refused = rig.chain().take_over(&request(0), NEVER).await;
        assert!(matches!(refused, Err(TakeOverError::Refused(Refusal::OtherRevision { .. }))));
    }
    // Nor does a word spoken about an older head count.
    let stale = weir_checkpoint::SealRequest { authority: activate, ..request(0) };
    let refused = rig.chain().take_over(&stale, NEVER).await;
    assert!(matches!(refused, Err(TakeOverError::Refused(Refusal::HeadMoved { .. }))));
    assert_eq!(rig.head().await.term, new.reign.term());
    rig.sink.assert_exactly(3);
}

/// A checkpoint with a full segment that is too large to travel inline.
async fn with_segment(toy: &mut Toy, chain: &Chain) -> String {
    let range = KeyGroupRange::all(128);
    let mut segment = SegmentBuilder::new(SegmentKind::Full, range, 1);
    segment.push(KeyGroup(3), &vec![toy.position as u8; 70_000]);
    let writer =
        DataWriter::new(chain.store().clone(), toy.reign.term(), chain.options().nonces.clone());
    let refs = writer.write(&"source".into(), &[segment.finish()]).await.unwrap();
    let name = refs[0].object().unwrap().to_owned();
    toy.freeze(1);
    let mut body = toy.body();
    body.operators.get_mut(&"source".into()).unwrap().segments = refs;
    toy.reign.publish(body, NEVER).await.unwrap();
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
    let retained: Vec<u64> = old.reign.head().retained.iter().map(|r| r.version.0).collect();
    assert_eq!(retained, [4, 5], "three with the head");
    let reign = old.reign.clone();
    let collector = tokio::spawn(async move { reign.collect().await });
    reached.notified().await;
    // Meanwhile the job is set back to version 4 by a new term, and writes new segments.
    let back = weir_checkpoint::SealRequest {
        start: Start::Version { token: "x".into(), version: v(4), repeat_output: false },
        ..request(1)
    };
    let chain = rig.chain();
    let reign = chain.take_over(&back, NEVER).await.unwrap();
    let new = Toy::on(reign, &rig.sink);
    let outcomes = new.discard();
    assert_eq!(outcomes.len(), 2, "the output of 5 and 6 is destroyed");
    let end = new.reign.finish_roll_back(&outcomes).await.unwrap().unwrap();
    assert!(matches!(end, RollBackEnd::Restored(_)));
    let mut new = Toy::on(new.reign, &rig.sink);
    assert_eq!(new.position, 3);
    new.commit_all().await;
    let unpublished = DataWriter::new(chain.store().clone(), new.reign.term(), rig.nonces.clone())
        .stage(&"source".into(), vec![1; 10].into())
        .await
        .unwrap();
    go_on.notify_one();
    let done = collector.await.unwrap().unwrap();
    assert!(done.deleted > 0, "it does delete what it had dropped");
    let alive = |name: &str| rig.memory.bytes(&object(name)).is_some();
    assert!(alive(&names[2]), "the restored segment");
    assert!(alive(&unpublished), "a segment on its way into a manifest");
    assert!(!alive(&names[0]), "what its own manifest dropped");
    new.checkpoint(4).await;
    new.commit_all().await;
    new.reign.collect().await.unwrap();
    assert!(alive(&names[2]) && alive(&unpublished) && !alive(&names[4]));
    rig.sink.assert_exactly(7);
}

#[tokio::test(start_paused = true)]
async fn s10_state_of_a_deleted_job_needs_its_uid_named_once() {
    let rig = Rig::new();
    rig.recover(0).await.checkpoint(3).await;
    let as_uid = |uid: &str, adopt: Option<&str>| weir_checkpoint::SealRequest {
        job_uid: Some(uid.into()),
        adopt: adopt.map(str::to_owned),
        ..request(0)
    };
    let refused = rig.chain().take_over(&as_uid("uid-b", None), NEVER).await.unwrap_err();
    assert!(refused.to_string().contains("set state.adopt: uid-a to go on from it"), "{refused}");
    // Two clusters adopt at once: one wins, and the other is refused from then on.
    let (chain_b, chain_c) = (rig.chain(), rig.chain());
    let (request_b, request_c) = (as_uid("uid-b", Some("uid-a")), as_uid("uid-c", Some("uid-a")));
    let (b, c) =
        tokio::join!(chain_b.take_over(&request_b, NEVER), chain_c.take_over(&request_c, NEVER));
    assert_eq!(usize::from(b.is_ok()) + usize::from(c.is_ok()), 1);
    let loser =
        if b.is_ok() { as_uid("uid-c", Some("uid-a")) } else { as_uid("uid-b", Some("uid-a")) };
    let again = rig.chain().take_over(&loser, NEVER).await;
    assert!(matches!(again, Err(TakeOverError::Refused(Refusal::ForeignUid { .. }))), "{again:?}");
    // The winner goes on; an empty root is refused to a job that has published.
    let winner = if b.is_ok() { as_uid("uid-b", None) } else { as_uid("uid-c", None) };
    let toy = Toy::start(&rig.chain(), &rig.sink, &winner).await.unwrap();
    assert_eq!(toy.position, 3);
    rig.sink.assert_exactly(3);
    let elsewhere = Rig::new();
    let must = weir_checkpoint::SealRequest { must_exist: true, ..request(0) };
    let missing = elsewhere.chain().take_over(&must, NEVER).await;
    assert!(matches!(missing, Err(TakeOverError::Refused(Refusal::StateMissing { .. }))));
}

#[tokio::test(start_paused = true)]
async fn s10_an_empty_token_is_used_up_and_published_output_is_still_committed() {
    let rig = Rig::new();
    let first = rig.recover(0).await;
    let lineage = first.reign.head().lineage.clone();
    let mut first = first;
    first.checkpoint(3).await;
    let over = weir_checkpoint::SealRequest {
        start: Start::Empty { token: "again".into() },
        ..request(0)
    };
    let fresh = rig.chain().take_over(&over, NEVER).await.unwrap();
    assert_eq!((fresh.head().version, fresh.head().parent), (v(3), None), "never steps back");
    assert_ne!(fresh.head().lineage, lineage);
    assert_eq!(fresh.pending()[0].lineage.as_ref(), Some(&lineage));
    let mut fresh = Toy::on(fresh, &rig.sink);
    fresh.commit_all().await;
    assert_eq!(fresh.position, 0);
    fresh.checkpoint(2).await;
    // The pod restarts with the same spec: the state is kept.
    let again = Toy::start(&rig.chain(), &rig.sink, &over).await.unwrap();
    assert_eq!(again.position, 2);
}

#[tokio::test(start_paused = true)]
async fn s11_a_zombie_that_commits_after_its_successor_changes_nothing() {
    let rig = Rig::new();
    let mut old = rig.recover(0).await;
    old.checkpoint(3).await;
    let mut new = rig.recover(1).await;
    new.checkpoint(2).await;
    new.commit_all().await;
    old.commit_all().await;
    rig.sink.assert_exactly(5);
    old.freeze(2);
    assert!(matches!(old.publish(NEVER).await, Err(PublishError::Fenced { .. })));
    assert!(old.reign.collect().await.is_err());
    new.checkpoint(1).await;
    new.commit_all().await;
    rig.sink.assert_exactly(6);
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
        next.reign.collect().await.unwrap();
    }
    assert!(rig.memory.bytes(&object(&name)).is_none());
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert!(rig.memory.bytes(&object(&name)).is_some(), "the late PUT took the name again");
    go_on.notify_one();
    let (first, result) = writer.await.unwrap();
    assert!(matches!(result, Err(PublishError::Fenced { .. })), "{result:?}");
    // It may not destroy what its successor has committed.
    assert!(first.reign.collect().await.is_err());
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
        c.reign.collect().await.unwrap();
    }
    assert!(rig.memory.bytes(&object(&chain_name(v(3)))).is_none(), "its target is free again");
    go_on.notify_one();
    let lost = sleeper.await.unwrap();
    assert!(matches!(lost, Err(TakeOverError::Lost { head: Some(_) })), "{lost:?}");
    c.checkpoint(2).await;
    c.commit_all().await;
    c.reign.collect().await.unwrap();
    assert!(rig.memory.bytes(&object(&chain_name(v(3)))).is_none(), "the stray name is collected");
    assert_eq!(rig.recover(3).await.position, 11);
    rig.sink.assert_exactly(11);
}

#[tokio::test(start_paused = true)]
async fn s15_output_dropped_by_a_roll_back_cannot_be_committed_by_a_zombie() {
    let rig = Rig::new();
    let mut old = rig.recover(0).await;
    old.checkpoint(3).await;
    old.commit_all().await;
    old.checkpoint(4).await;
    let zombie = old.reign.pending();
    let back = weir_checkpoint::SealRequest {
        start: Start::Version { token: "back".into(), version: v(2), repeat_output: false },
        ..request(1)
    };
    let reign = rig.chain().take_over(&back, NEVER).await.unwrap();
    assert!(reign.pending().iter().all(|p| p.epoch == v(2)), "the doomed are not committed");
    let refused = reign.publish(Toy::on(reign.clone(), &rig.sink).body(), NEVER).await;
    assert!(matches!(refused, Err(PublishError::RollingBack { .. })));
    // The process dies after destroying: its successor goes on destroying, never commits.
    Toy::on(reign, &rig.sink).discard();
    let reign = rig.chain().take_over(&request(2), NEVER).await.unwrap();
    let toy = Toy::on(reign, &rig.sink);
    assert!(toy.reign.pending().iter().all(|p| p.epoch == v(2)));
    let end = toy.reign.finish_roll_back(&toy.discard()).await.unwrap();
    assert!(matches!(end, Some(RollBackEnd::Restored(_))));
    assert_eq!(toy.reign.head().parent, Some(v(2)));
    // Now the old revision's coordinator wakes and commits.
    let lost = zombie.iter().filter(|p| p.epoch == v(3)).map(|p| rig.sink.commit(&text(p)));
    assert!(lost.into_iter().all(|r| r.is_err()), "what is destroyed stays destroyed");
    let mut toy = Toy::on(toy.reign, &rig.sink);
    assert_eq!(toy.position, 3);
    toy.commit_all().await;
    toy.checkpoint(5).await;
    toy.commit_all().await;
    rig.sink.assert_exactly(8);
}

#[tokio::test(start_paused = true)]
async fn s15_a_zombie_that_commits_before_the_destruction_sends_the_job_forward() {
    let rig = Rig::new();
    let mut old = rig.recover(0).await;
    old.checkpoint(3).await;
    old.commit_all().await;
    old.checkpoint(4).await;
    let back = weir_checkpoint::SealRequest {
        start: Start::Version { token: "back".into(), version: v(2), repeat_output: false },
        ..request(1)
    };
    let toy = Toy::on(rig.chain().take_over(&back, NEVER).await.unwrap(), &rig.sink);
    old.commit_all().await;
    let outcomes = toy.discard();
    assert!(outcomes.iter().all(|(_, o)| *o == Destroyed::AlreadyVisible));
    let end = toy.reign.finish_roll_back(&outcomes).await.unwrap();
    assert!(matches!(end, Some(RollBackEnd::WentForward(_))));
    let mut toy = Toy::on(toy.reign, &rig.sink);
    toy.commit_all().await;
    toy.checkpoint(1).await;
    toy.commit_all().await;
    rig.sink.assert_exactly(8);
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_roll_back_is_finished_before_any_other_request_and_keeps_its_target() {
    let rig = Rig::new();
    let mut old = rig.recover(0).await;
    old.checkpoint(3).await;
    old.commit_all().await;
    old.checkpoint(4).await;
    let start = |token: &str, start: fn(String) -> Start| weir_checkpoint::SealRequest {
        start: start(token.into()),
        ..request(1)
    };
    let back = start("back", |token| Start::Version { token, version: v(2), repeat_output: false });
    // The limit was lowered meanwhile.
    let options = ChainOptions { retained: 0, ..rig.options() };
    let chain = Chain::attach(Arc::new(rig.memory.clone()), &job(), options);
    let toy = Toy::on(chain.take_over(&back, NEVER).await.unwrap(), &rig.sink);
    toy.discard();
    let over = start("over", |token| Start::Empty { token });
    let toy = Toy::on(chain.take_over(&over, NEVER).await.unwrap(), &rig.sink);
    toy.reign.collect().await.unwrap();
    assert!(toy.reign.head().roll_back.is_some());
    let end = toy.reign.finish_roll_back(&toy.discard()).await.unwrap();
    assert!(matches!(end, Some(RollBackEnd::Restored(_))));
    let toy = Toy::on(toy.reign, &rig.sink);
    assert_eq!(toy.position, 3);
    // Then the request is carried out.
    let toy = Toy::start(&chain, &rig.sink, &over).await.unwrap();
    assert_eq!(toy.position, 0);
    assert_eq!(toy.reign.head().used_tokens.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn committed_output_is_not_repeated_by_a_roll_back_unless_asked() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    for _ in 0..3 {
        toy.checkpoint(1).await;
        toy.commit_all().await;
    }
    let back = |repeat_output| weir_checkpoint::SealRequest {
        start: Start::Version { token: "back".into(), version: v(2), repeat_output },
        ..request(1)
    };
    let refused = rig.chain().take_over(&back(false), NEVER).await;
    assert!(matches!(refused, Err(TakeOverError::Refused(Refusal::OutputCommitted { .. }))));
    rig.chain().take_over(&back(true), NEVER).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_publication_whose_future_was_dropped_is_settled_before_the_next() {
    let rig = Rig::new();
    let (chain, _, reached, _go_on) = stalling(&rig, steps::PUBLISH_AFTER_PUT);
    let mut toy = Toy::start(&chain, &rig.sink, &request(0)).await.unwrap();
    toy.freeze(3);
    let body = toy.body();
    tokio::select! {
        _ = toy.reign.publish(body, NEVER) => panic!("it stalls"),
        () = reached.notified() => {}
    }
    assert!(!toy.reign.may_start_attempt());
    let second = toy.reign.publish(toy.body(), NEVER).await;
    assert!(matches!(second, Err(PublishError::Undecided { version: Version(2) })));
    let settled = toy.reign.settle(SOON).await.unwrap().unwrap();
    assert_eq!(settled.head.version, v(2));
    assert!(toy.reign.settle(SOON).await.is_none());
    toy.frozen.clear();
    toy.commit_all().await;
    rig.sink.assert_exactly(3);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_head_hint_misleads_nobody() {
    for hint in ["0", "1", "999999", "rubbish", "18446744073709551615"] {
        let rig = Rig::new();
        rig.recover(0).await.checkpoint(2).await;
        let chain = rig.chain();
        chain.store().put("head-hint", hint.to_owned().into_bytes().into()).await.unwrap();
        assert_eq!(chain.read_head().await.unwrap().unwrap().version, v(2), "{hint}");
    }
}
