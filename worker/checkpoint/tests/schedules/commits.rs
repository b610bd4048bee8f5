//! S5, S11: output that is published and not yet visible.

use weir_checkpoint::PublishError;

use crate::common::{NEVER, Rig, text, v};

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
