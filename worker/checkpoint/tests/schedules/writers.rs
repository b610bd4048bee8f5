//! S1, S7, S8, S10: who may coordinate.

use weir_checkpoint::manifest::chain_name;
use weir_checkpoint::{
    Authority, CollectError, PublishError, Refusal, Start, TakeOverError, steps,
};

use crate::common::{NEVER, Rig, Toy, request, v};
use crate::{object, stalling};

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
        new.writer.collect().await.unwrap();
    }
    assert!(rig.memory.bytes(&object(&chain_name(v(2)))).is_none(), "collected");
    go_on.notify_one();
    let (old, result) = sleeper.await.unwrap();
    assert!(matches!(result, Err(PublishError::Fenced { .. })), "{result:?}");
    assert!(matches!(old.writer.collect().await, Err(CollectError::Fenced { .. })));
    new.checkpoint(1).await;
    assert_eq!(rig.recover(2).await.position, 17);
    rig.sink.assert_exactly(17);
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
    assert_eq!(rig.head().await.term, new.writer.term());
    rig.sink.assert_exactly(3);
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
    let nothing = elsewhere.chain().take_over(&as_uid("uid-b", Some("uid-a")), NEVER).await;
    let nothing = nothing.unwrap_err().to_string();
    assert!(nothing.contains("the deleted job uid-a, and no manifest is at"), "{nothing}");
    let must = weir_checkpoint::SealRequest { must_exist: true, ..request(0) };
    let missing = elsewhere.chain().take_over(&must, NEVER).await;
    assert!(matches!(missing, Err(TakeOverError::Refused(Refusal::StateMissing { .. }))));
}

#[tokio::test(start_paused = true)]
async fn an_empty_chain_beside_what_a_job_has_left_is_refused() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    toy.checkpoint(3).await;
    toy.writer.collect().await.unwrap();
    let store = rig.chain().store().clone();
    for name in store.list("chain", None).await.unwrap() {
        store.delete(&name).await.unwrap();
    }
    let torn = rig.chain().take_over(&request(1), NEVER).await.unwrap_err();
    assert!(matches!(torn, TakeOverError::Refused(Refusal::StateTorn { .. })), "{torn}");
    let said = torn.to_string();
    assert!(said.contains("chain/ is empty or gone while head-hint is there"), "{said}");
    assert!(said.contains("bring chain/ back") && said.contains("--fresh"), "{said}");
    store.put("savepoints/a/manifest", "{}".into()).await.unwrap();
    store.put("data/00000000000000000001/x", "{}".into()).await.unwrap();
    let torn = rig.chain().take_over(&request(1), NEVER).await.unwrap_err().to_string();
    assert!(torn.contains("data/ and savepoints/ and head-hint"), "{torn}");
    let start = Start::Empty { token: "on purpose".into() };
    let over = weir_checkpoint::SealRequest { start, ..request(1) };
    assert_eq!(rig.chain().take_over(&over, NEVER).await.unwrap().head().version, v(1));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_gone_is_not_replaced_by_an_older_version() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    toy.checkpoint(3).await;
    let newest = toy.checkpoint(4).await.head.version;
    toy.writer.collect().await.unwrap();
    let store = rig.chain().store().clone();
    store.delete(&chain_name(newest)).await.unwrap();
    let gone = rig.chain().take_over(&request(1), NEVER).await.unwrap_err();
    let (gone, name) = (gone.to_string(), chain_name(newest));
    assert!(gone.contains(&format!("{name} is gone: it was the job's newest manifest")), "{gone}");
    // Whoever holds it goes on, and so the chain is whole again.
    toy.checkpoint(1).await;
    assert_eq!(rig.head().await.version, newest.next());
    store.delete(&chain_name(newest.next())).await.unwrap();
    store.delete("head-hint").await.unwrap();
    assert_eq!(rig.head().await.version, v(2), "a person has said so");
}

#[tokio::test(start_paused = true)]
async fn s10_an_empty_token_is_used_up_and_published_output_is_still_committed() {
    let rig = Rig::new();
    let first = rig.recover(0).await;
    let lineage = first.writer.head().lineage.clone();
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
