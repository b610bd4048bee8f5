//! S15: back to an older version, whose output a zombie may still hold.

use std::sync::Arc;

use weir_checkpoint::{
    Chain, ChainOptions, Destroyed, PublishError, Refusal, RollBackEnd, SealRequest, Start,
    TakeOverError,
};

use crate::common::{NEVER, Rig, Toy, job, request, text, v};

/// A coordinator whose version 2 is committed and whose version 3 is not.
async fn with_doomed_output(rig: &Rig) -> Toy {
    let mut old = rig.recover(0).await;
    old.checkpoint(3).await;
    old.commit_all().await;
    old.checkpoint(4).await;
    old
}

fn back_to_2(repeat_output: bool) -> SealRequest {
    let start = Start::Version { token: "back".into(), version: v(2), repeat_output };
    SealRequest { start, ..request(1) }
}

#[tokio::test(start_paused = true)]
async fn s15_output_dropped_by_a_roll_back_cannot_be_committed_by_a_zombie() {
    let rig = Rig::new();
    let old = with_doomed_output(&rig).await;
    let zombie = old.writer.pending();
    let back = back_to_2(false);
    let writer = rig.chain().take_over(&back, NEVER).await.unwrap();
    assert!(
        writer.pending().iter().all(|p| p.epoch == v(2)),
        "what is to be destroyed is not committed"
    );
    let refused = writer.publish(Toy::on(writer.clone(), &rig.sink).body(), NEVER).await;
    assert!(matches!(refused, Err(PublishError::RollingBack { .. })));
    // The process dies after destroying: its successor goes on destroying, never commits.
    Toy::on(writer, &rig.sink).discard();
    let writer = rig.chain().take_over(&request(2), NEVER).await.unwrap();
    let toy = Toy::on(writer, &rig.sink);
    assert!(toy.writer.pending().iter().all(|p| p.epoch == v(2)));
    let end = toy.writer.finish_roll_back(&toy.discard()).await.unwrap();
    assert!(matches!(end, Some(RollBackEnd::Restored(_))));
    assert_eq!(toy.writer.head().parent, Some(v(2)));
    // Now the old revision's coordinator wakes and commits.
    let lost = zombie.iter().filter(|p| p.epoch == v(3)).map(|p| rig.sink.commit(&text(p)));
    assert!(lost.into_iter().all(|r| r.is_err()), "what is destroyed stays destroyed");
    let mut toy = Toy::on(toy.writer, &rig.sink);
    assert_eq!(toy.position, 3);
    toy.commit_all().await;
    toy.checkpoint(5).await;
    toy.commit_all().await;
    rig.sink.assert_exactly(8);
}

#[tokio::test(start_paused = true)]
async fn s15_a_zombie_that_commits_before_the_destruction_sends_the_job_forward() {
    let rig = Rig::new();
    let old = with_doomed_output(&rig).await;
    let back = back_to_2(false);
    let toy = Toy::on(rig.chain().take_over(&back, NEVER).await.unwrap(), &rig.sink);
    old.commit_all().await;
    let outcomes = toy.discard();
    assert!(outcomes.iter().all(|(_, o)| *o == Destroyed::AlreadyVisible));
    let end = toy.writer.finish_roll_back(&outcomes).await.unwrap();
    assert!(matches!(end, Some(RollBackEnd::WentForward(_))));
    let mut toy = Toy::on(toy.writer, &rig.sink);
    toy.commit_all().await;
    toy.checkpoint(1).await;
    toy.commit_all().await;
    rig.sink.assert_exactly(8);
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_roll_back_is_finished_before_any_other_request_and_keeps_its_target() {
    let rig = Rig::new();
    let _old = with_doomed_output(&rig).await;
    let back = back_to_2(false);
    // The limit was lowered meanwhile.
    let options = ChainOptions { retained: 0, ..rig.options() };
    let chain = Chain::attach(Arc::new(rig.memory.clone()), &job(), options);
    let toy = Toy::on(chain.take_over(&back, NEVER).await.unwrap(), &rig.sink);
    toy.discard();
    let over = SealRequest { start: Start::Empty { token: "over".into() }, ..request(1) };
    let toy = Toy::on(chain.take_over(&over, NEVER).await.unwrap(), &rig.sink);
    toy.writer.collect().await.unwrap();
    assert!(toy.writer.head().roll_back.is_some());
    let end = toy.writer.finish_roll_back(&toy.discard()).await.unwrap();
    assert!(matches!(end, Some(RollBackEnd::Restored(_))));
    let toy = Toy::on(toy.writer, &rig.sink);
    assert_eq!(toy.position, 3);
    // Then the request is carried out.
    let toy = Toy::start(&chain, &rig.sink, &over).await.unwrap();
    assert_eq!(toy.position, 0);
    assert_eq!(toy.writer.head().used_tokens.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn committed_output_is_not_repeated_by_a_roll_back_unless_asked() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    for _ in 0..3 {
        toy.checkpoint(1).await;
        toy.commit_all().await;
    }
    let refused = rig.chain().take_over(&back_to_2(false), NEVER).await;
    assert!(matches!(refused, Err(TakeOverError::Refused(Refusal::OutputCommitted { .. }))));
    rig.chain().take_over(&back_to_2(true), NEVER).await.unwrap();
}
