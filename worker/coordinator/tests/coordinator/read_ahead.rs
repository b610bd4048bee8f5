//! What a worker makes of a `Prefetch`: it reads what will be its own, and nothing that goes
//! wrong with that is anything but time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;
use weir_checkpoint::store::testing::{Fault, LyingStore, MemoryStore, Operation};
use weir_checkpoint::{
    DataWriter, Nonces, OperatorState, SegmentCache, SegmentRef, Store, SubtaskRestore,
};
use weir_coordinator::Member;
use weir_coordinator::link::{Attachments, MasterLink};
use weir_engine::source::Assignment;
use weir_protocol::control::{self, ToWorker, from_worker, to_worker};
use weir_protocol::{KeyGroup, KeyGroupRange, Subtask, Term};
use weir_state::segment::{SegmentBuilder, SegmentKind};

use crate::fake::{FakeHost, MAX_PARALLELISM, World, graph};
use crate::job::{deploy, member_config};
use crate::script::json;
use crate::slow::{SlowStore, read};

/// Further apart than one request spans, so that what is between two blocks is not read.
const BLOCK: u64 = 300_000;

/// A worker whose coordinator is the test.
struct Scene {
    world: Arc<World>,
    truth: MemoryStore,
    /// Between the worker and the truth.
    lying: LyingStore,
    slow: SlowStore,
    cache: SegmentCache,
    link: MasterLink,
}

impl Scene {
    async fn new() -> Self {
        let world = World::with_state(1, 1, [BLOCK as usize - 8; 2]);
        let truth = MemoryStore::new();
        let lying = LyingStore::new(Arc::new(truth.clone()));
        let slow = SlowStore::new(Arc::new(lying.clone()));
        let cache = SegmentCache::in_memory(1 << 30);
        let config = member_config(0, 1);
        let host = FakeHost { world: world.clone(), pace: Duration::from_millis(10) };
        let program = graph(&world, true, Assignment::Pull);
        let member = Member::new(config, program, Arc::new(host), Arc::new(slow.clone()))
            .with_cache(cache.clone());
        let (attachments, mut attached) = Attachments::new();
        tokio::spawn(async move { member.run(&attachments).await });
        let link = attached.recv().await.unwrap();
        Self { world, truth, lying, slow, cache, link }
    }

    /// An object that another worker has written, with a block for each key group.
    async fn segment(&self) -> SegmentRef {
        let mut builder =
            SegmentBuilder::new(SegmentKind::Full, KeyGroupRange::all(MAX_PARALLELISM), 1);
        for group in 0..MAX_PARALLELISM as u16 {
            builder.push(KeyGroup(group), &vec![1; BLOCK as usize]);
        }
        let writer = DataWriter::new(Arc::new(self.truth.clone()), Term(1), Nonces::random());
        let written = writer.write_segments(&"counter".into(), &[builder.finish()]).await.unwrap();
        written.into_iter().next().unwrap()
    }

    async fn empty_the_store(&self) {
        for name in self.truth.names() {
            self.truth.delete(&name).await.unwrap();
        }
    }

    async fn say(&self, kind: to_worker::Kind) {
        self.link.to.send(ToWorker { term: 1, kind: Some(kind) }).await.unwrap();
    }

    async fn prefetch(&self, id: u64, restores: Vec<SubtaskRestore>) {
        let restore_json = restores.iter().map(json).collect();
        let prefetch = control::Prefetch { id, parallelism: 4, restore_json };
        self.say(to_worker::Kind::Prefetch(prefetch)).await;
    }

    async fn deploy(&self, restore: SubtaskRestore) {
        self.say(to_worker::Kind::Deploy(deploy(4, restore.subtask, &[restore]))).await;
    }

    /// What the worker says next, besides that it is there.
    async fn heard(&mut self) -> from_worker::Kind {
        loop {
            let message = timeout(Duration::from_secs(60), self.link.from.recv()).await;
            match message.expect("the worker says something").expect("it stays").kind {
                Some(from_worker::Kind::Heartbeat(_)) => {
                    self.say(to_worker::Kind::Heard(control::Heard::default())).await;
                }
                Some(from_worker::Kind::Hello(_)) | None => {}
                Some(kind) => return kind,
            }
        }
    }

    async fn prefetched(&mut self) -> (u64, u64) {
        match self.heard().await {
            from_worker::Kind::Prefetched(done) => (done.id, done.bytes),
            other => panic!("{other:?}"),
        }
    }

    async fn deployed(&mut self) -> bool {
        matches!(self.heard().await, from_worker::Kind::Deployed(_))
    }
}

fn restore(uid: &str, subtask: u32, segment: &SegmentRef) -> SubtaskRestore {
    let state = OperatorState { segments: vec![segment.clone()], ..OperatorState::default() };
    SubtaskRestore {
        uid: uid.into(),
        subtask: Subtask(subtask),
        state,
        ..SubtaskRestore::default()
    }
}

fn object(segment: &SegmentRef) -> &str {
    segment.object().expect("it is large")
}

#[tokio::test(start_paused = true)]
async fn a_worker_reads_the_key_groups_to_come_and_restores_them_without_the_store() {
    let mut scene = Scene::new().await;
    let segment = scene.segment().await;
    let wanted = restore("counter", 1, &segment);
    // An operator that another program had is not this worker's to read.
    scene.prefetch(7, vec![restore("gone", 0, &segment), wanted.clone()]).await;
    assert_eq!(scene.prefetched().await, (7, 2 * BLOCK), "two of eight groups");
    assert_eq!(read(&scene.slow.calls()), 2 * BLOCK);
    scene.prefetch(8, vec![wanted.clone()]).await;
    assert_eq!(scene.prefetched().await, (8, 0), "they are there");
    scene.empty_the_store().await;
    scene.deploy(wanted).await;
    assert!(scene.deployed().await);
    assert_eq!(scene.world.restored.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_missing_segment_ends_the_prefetch_and_is_the_restores_to_report() {
    let mut scene = Scene::new().await;
    let (first, second) = (scene.segment().await, scene.segment().await);
    scene.truth.delete(object(&second)).await.unwrap();
    let wanted = vec![
        restore("counter", 1, &first),
        restore("counter", 2, &second),
        restore("counter", 3, &first),
    ];
    scene.prefetch(1, wanted).await;
    assert_eq!(scene.prefetched().await, (1, 2 * BLOCK), "what came before it");
    scene.deploy(restore("counter", 2, &second)).await;
    match scene.heard().await {
        from_worker::Kind::Failed(failed) => {
            assert!(failed.message.contains("counter"), "{}", failed.message);
            assert!(failed.message.contains(object(&second)), "{}", failed.message);
        }
        other => panic!("{other:?}"),
    }
    scene.deploy(restore("counter", 1, &first)).await;
    assert!(scene.deployed().await, "the worker is none the worse for it");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_leaves_everything_to_the_next_prefetch_or_the_restore() {
    let mut scene = Scene::new().await;
    let segment = scene.segment().await;
    let wanted = restore("counter", 0, &segment);
    for _ in 0..5 {
        scene.lying.inject(Operation::Get, object(&segment), Fault::FailBefore);
    }
    scene.prefetch(1, vec![wanted.clone()]).await;
    assert_eq!(scene.prefetched().await, (1, 0));
    assert_eq!(scene.lying.unmet(), 0, "it has tried more than once");
    scene.lying.inject(Operation::Get, object(&segment), Fault::FailBefore);
    scene.prefetch(2, vec![wanted.clone()]).await;
    assert_eq!(scene.prefetched().await, (2, 2 * BLOCK));
    scene.deploy(wanted).await;
    assert!(scene.deployed().await);
}

#[tokio::test(start_paused = true)]
async fn a_prefetch_that_is_called_off_is_not_answered_and_what_it_has_read_stays() {
    let mut scene = Scene::new().await;
    let (first, second) = (scene.segment().await, scene.segment().await);
    let wanted = |subtask, segment| restore("counter", subtask, segment);
    scene.lying.inject(Operation::Get, object(&second), Fault::Slow(Duration::from_secs(600)));
    scene.prefetch(1, vec![wanted(0, &first), wanted(1, &second)]).await;
    while scene.cache.usage().held < 2 * BLOCK {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A later one takes its place.
    scene.prefetch(2, vec![wanted(0, &first)]).await;
    assert_eq!(scene.prefetched().await, (2, 0), "nothing of the first is read again");
    // The rescale comes before its end, or another change does.
    scene.lying.inject(Operation::Get, object(&second), Fault::Slow(Duration::from_secs(600)));
    scene.prefetch(3, vec![wanted(1, &second)]).await;
    scene.deploy(wanted(0, &first)).await;
    assert!(scene.deployed().await);
    assert_eq!(read(&scene.slow.calls()), 2 * BLOCK, "the restore had no need of the store");
}
