//! S5, S11: output that is published and not yet visible.

use weir_checkpoint::{ManifestKind, PublishError};

use crate::common::{NEVER, Rig, request, text, v};

#[tokio::test(start_paused = true)]
async fn s05_a_slow_commit_is_listed_until_it_is_acknowledged() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    toy.checkpoint(3).await;
    toy.checkpoint(4).await;
    // The commit of the first is still on its way when the process dies.
    let slow = toy.writer.pending()[0].clone();
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
        assert!(toy.writer.may_start_attempt());
        toy.checkpoint(1).await;
    }
    assert!(!toy.writer.may_start_attempt());
    toy.freeze(1);
    let refused = toy.publish(NEVER).await;
    assert!(matches!(refused, Err(PublishError::TooManyUncommitted { versions: 8 })));
    toy.commit_all().await;
    assert!(toy.writer.may_start_attempt());
    toy.publish(NEVER).await.unwrap();
    toy.commit_all().await;
    rig.sink.assert_exactly(9);
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
    assert!(old.writer.collect().await.is_err());
    new.checkpoint(1).await;
    new.commit_all().await;
    rig.sink.assert_exactly(6);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_stops_tells_the_chain_what_was_committed_and_has_no_news_then() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    assert!(toy.writer.publish_acknowledged(NEVER).await.unwrap().is_none(), "nothing is listed");
    let before = toy.checkpoint(3).await.head;
    assert!(toy.writer.publish_acknowledged(NEVER).await.unwrap().is_none(), "nor acknowledged");
    toy.commit_all().await;
    let told = toy.writer.publish_acknowledged(NEVER).await.unwrap().expect("news").head;
    assert!(toy.writer.publish_acknowledged(NEVER).await.unwrap().is_none(), "it is told once");
    let head = rig.head().await;
    assert_eq!((&*told, head.version), (&head, before.version.next()));
    assert!(head.pending.is_empty());
    assert_eq!((head.kind, head.state_of), (ManifestKind::Void, before.state_of));
    assert_eq!((&head.operators, head.committed_through), (&before.operators, before.state_of));
    // Whoever goes on has nothing to commit: what became of the output since then is its own affair.
    let next = rig.recover(1).await;
    assert!(next.writer.pending().is_empty());
    toy.freeze(1);
    assert!(matches!(toy.publish(NEVER).await, Err(PublishError::Fenced { .. })));
    assert!(
        matches!(toy.writer.publish_acknowledged(NEVER).await, Ok(None)),
        "and nobody who is fenced says anything"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pin_that_is_taken_off_as_the_writer_stops_is_off() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    toy.freeze(2);
    let mut body = toy.body();
    body.pin = Some("s".into());
    toy.writer.publish(body, NEVER).await.unwrap();
    toy.writer.unpin("s");
    toy.writer.publish_acknowledged(NEVER).await.unwrap().expect("news");
    let head = rig.head().await;
    assert!(head.pinned_by.is_none() && head.retained.iter().all(|r| r.pinned_by.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_seal_of_the_same_process_lists_no_more_what_it_has_seen_committed() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    toy.checkpoint(3).await;
    toy.commit_all().await;
    toy.checkpoint(2).await;
    let acknowledged = toy.writer.acknowledged();
    assert!(acknowledged.is_empty(), "the checkpoint has said so");
    let slow = toy.writer.pending()[0].clone();
    let mut again = request(0);
    again.acknowledged = [slow.id()].into();
    rig.sink.commit(&text(&slow)).unwrap();
    let writer = rig.chain().take_over(&again, NEVER).await.unwrap();
    assert!(writer.head().pending.is_empty());
    assert_eq!(writer.head().committed_through, Some(slow.epoch));
    rig.sink.assert_exactly(5);
}
