//! A coordinator that says nothing any more, over a connection that does not end; and one whose
//! connection does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use weir_checkpoint::store::testing::MemoryStore;
use weir_coordinator::Member;
use weir_coordinator::link::{Attachments, MasterLink};
use weir_engine::source::Assignment;
use weir_protocol::Subtask;
use weir_protocol::control::{self, ToWorker, from_worker, to_worker};

use crate::fake::{FakeHost, World, graph};
use crate::job::{deploy, member_config};

async fn say(link: &MasterLink, kind: to_worker::Kind) {
    link.to.send(ToWorker { term: 1, kind: Some(kind) }).await.unwrap();
}

fn member(world: &Arc<World>) -> Member {
    let host = FakeHost { world: Arc::clone(world), pace: Duration::from_millis(10) };
    let program = graph(world, true, Assignment::Pull);
    Member::new(member_config(0, 1), program, Arc::new(host), Arc::new(MemoryStore::new()))
}

#[tokio::test(start_paused = true)]
async fn tasks_end_four_seconds_after_the_coordinator_was_last_heard() {
    let world = World::with_rows(1, 1);
    let member = member(&world);
    let (attachments, mut attached) = Attachments::new();
    tokio::spawn(async move { member.run(&attachments).await });

    let mut link = attached.recv().await.unwrap();
    let deploy = deploy(1, Subtask(0), &[]);
    say(&link, to_worker::Kind::Deploy(deploy)).await;
    let mut deployed = false;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        let message = timeout(Duration::from_secs(2), link.from.recv()).await.unwrap().unwrap();
        match message.kind {
            Some(from_worker::Kind::Deployed(_)) => deployed = true,
            Some(from_worker::Kind::Heartbeat(_)) => {
                say(&link, to_worker::Kind::Heard(control::Heard::default())).await;
            }
            _ => {}
        }
    }
    assert!(deployed);
    assert_eq!(world.stopped.load(Ordering::SeqCst), 0, "answers keep it going");

    let silent = Instant::now();
    let again = attached.recv().await;
    assert!(again.is_some(), "it connects anew");
    assert_eq!(world.stopped.load(Ordering::SeqCst), 1, "its tasks have ended before");
    let took = silent.elapsed();
    assert!(
        took >= Duration::from_millis(3_900) && took < Duration::from_millis(4_200),
        "{took:?}"
    );
    drop(link);
}

/// A member that finds its connection closed by the other end says so, whichever direction shows it
/// first: a coordinator that may only be slow or cut off is replaced later.
#[tokio::test(start_paused = true)]
async fn a_closed_connection_is_told_from_silence() {
    for (direction, closes) in [("to the worker", true), ("from it", true), ("none", false)] {
        let member = member(&World::with_rows(1, 1));
        let mut view = member.view();
        let (attachments, mut attached) = Attachments::new();
        let running = tokio::spawn(async move { member.run(&attachments).await });
        let MasterLink { to, from } = attached.recv().await.unwrap();
        view.wait_for(|view| view.attached).await.unwrap();
        let (mut to, mut from) = (Some(to), Some(from));
        match direction {
            "to the worker" => drop(to.take()),
            "from it" => drop(from.take()),
            _ => {}
        }
        drop(attached);
        let began = Instant::now();
        let lost = view.wait_for(|view| !view.attached).await.unwrap().clone();
        assert_eq!(lost.closed.is_some(), closes, "{direction}");
        assert_eq!(began.elapsed() < Duration::from_secs(2), closes, "{direction}");
        drop((to, from));
        running.abort();
    }
}
