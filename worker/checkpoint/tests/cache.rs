//! The worker's cache of segments, in memory and in a folder: never wrong, never too large.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a failure here is the test's")]

use std::sync::Arc;

use weir_checkpoint::store::testing::MemoryStore;
use weir_checkpoint::{DataReader, DataWriter, Nonces, SegmentCache, SegmentRef, Store};
use weir_protocol::{KeyGroup, KeyGroupRange, Term};
use weir_state::segment::{Segment, SegmentBuilder, SegmentKind};

const GROUPS: u32 = 8;
const BLOCK: usize = 100_000;
const SEGMENT: u64 = GROUPS as u64 * BLOCK as u64;

fn all() -> KeyGroupRange {
    KeyGroupRange::all(GROUPS)
}

fn segment(stamp: u8) -> Segment {
    let mut builder = SegmentBuilder::new(SegmentKind::Delta, all(), 1);
    for group in 0..GROUPS as u16 {
        builder.push(KeyGroup(group), &vec![stamp + group as u8; BLOCK]);
    }
    builder.finish()
}

struct Job {
    store: MemoryStore,
    writer: DataWriter,
}

impl Job {
    fn new(cache: &SegmentCache) -> Self {
        let store = MemoryStore::new();
        let shared: Arc<dyn Store> = Arc::new(store.clone());
        let writer = DataWriter::new(shared, Term(1), Nonces::seeded(1)).with_cache(cache.clone());
        Self { store, writer }
    }

    async fn write(&self, stamp: u8) -> Vec<SegmentRef> {
        self.writer.write_segments(&"count".into(), &[segment(stamp)]).await.unwrap()
    }

    async fn read(&self, cache: &SegmentCache, refs: &[SegmentRef], range: KeyGroupRange) -> bool {
        let reader = DataReader::new(Arc::new(self.store.clone())).with_cache(cache.clone());
        match reader.read(refs, range).await {
            Ok(read) => {
                let wanted =
                    refs.iter().map(|r| r.blocks.iter().filter(|b| range.contains(b.group)));
                assert_eq!(read.len(), refs.len());
                for (segment, wanted) in read.iter().zip(wanted) {
                    let blocks: Result<Vec<_>, _> = segment.blocks_in(range).collect();
                    assert_eq!(blocks.unwrap().len(), wanted.count());
                }
                true
            }
            Err(_) => false,
        }
    }

    async fn prefetch(
        &self,
        cache: &SegmentCache,
        refs: &[SegmentRef],
        range: KeyGroupRange,
    ) -> (u64, bool) {
        let reader = DataReader::new(Arc::new(self.store.clone())).with_cache(cache.clone());
        let done = reader.prefetch(refs, range).await.unwrap();
        (done.bytes, done.full)
    }

    /// What is not cached can no longer be read.
    async fn empty_the_store(&self) {
        for name in self.store.names() {
            self.store.delete(&name).await.unwrap();
        }
    }
}

/// Both kinds of cache with this budget; the folder lives as long as the guard.
fn caches(budget: u64) -> (tempfile::TempDir, [SegmentCache; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let files = SegmentCache::in_folder(folder.path(), budget).unwrap();
    (folder, [SegmentCache::in_memory(budget), files])
}

#[tokio::test]
async fn what_was_written_is_read_without_the_store() {
    let (_guard, caches) = caches(10 * SEGMENT);
    for cache in caches {
        let job = Job::new(&cache);
        let refs = job.write(1).await;
        job.empty_the_store().await;
        assert!(job.read(&cache, &refs, all()).await);
        let usage = cache.usage();
        assert_eq!((usage.held, usage.hits, usage.misses), (SEGMENT, SEGMENT, 0));
        assert!(!job.read(&SegmentCache::none(), &refs, all()).await, "the store is empty");
    }
}

#[tokio::test]
async fn a_prefetch_reads_only_what_is_missing_and_the_read_after_it_nothing() {
    let (_guard, caches) = caches(10 * SEGMENT);
    for cache in caches {
        let job = Job::new(&SegmentCache::none());
        let refs = job.write(1).await;
        let some = KeyGroupRange { start: 2, end: 4 };
        assert_eq!(job.prefetch(&cache, &refs, some).await, (2 * BLOCK as u64, false));
        assert_eq!(job.prefetch(&cache, &refs, some).await, (0, false));
        // Groups 0 and 1, and 4 and 5, lie on either side of what is there.
        let more = KeyGroupRange { start: 0, end: 6 };
        let (bytes, full) = job.prefetch(&cache, &refs, more).await;
        assert!((4 * BLOCK as u64..=6 * BLOCK as u64).contains(&bytes) && !full, "{bytes}");
        job.empty_the_store().await;
        assert!(job.read(&cache, &refs, more).await);
        assert!(!job.read(&cache, &refs, all()).await, "groups 6 and 7 were never asked for");
    }
}

#[tokio::test]
async fn new_objects_push_out_old_ones_and_objects_that_are_read_push_out_nothing() {
    let (_guard, caches) = caches(3 * SEGMENT);
    for cache in caches {
        let job = Job::new(&cache);
        let mut refs = Vec::new();
        for stamp in 0..4 {
            refs.push(job.write(stamp).await);
            assert!(cache.usage().held <= 3 * SEGMENT);
        }
        let (bytes, full) = job.prefetch(&cache, &refs[0], all()).await;
        assert!(full && bytes > 0, "the first one was pushed out, and there is no room for it");
        job.empty_the_store().await;
        for (n, refs) in refs.iter().enumerate() {
            assert_eq!(job.read(&cache, refs, all()).await, n > 0, "object {n}");
        }
    }
}

#[tokio::test]
async fn what_the_head_no_longer_lists_makes_room() {
    let (_guard, caches) = caches(2 * SEGMENT);
    for cache in caches {
        let job = Job::new(&cache);
        let (first, second) = (job.write(1).await, job.write(2).await);
        let name = first[0].object().unwrap().to_owned();
        cache.forget(&[name, "data/1/never/here".to_owned()]).await;
        assert_eq!(cache.usage().held, SEGMENT);
        job.empty_the_store().await;
        assert!(!job.read(&cache, &first, all()).await);
        assert!(job.read(&cache, &second, all()).await);
    }
}

#[tokio::test]
async fn an_object_larger_than_the_budget_is_not_kept() {
    let (_guard, caches) = caches(SEGMENT - 1);
    for cache in caches {
        let job = Job::new(&cache);
        let refs = job.write(1).await;
        assert_eq!(cache.usage().held, 0);
        assert!(job.read(&cache, &refs, all()).await, "the store has it");
    }
}

#[tokio::test]
async fn a_folder_outlives_its_process_and_what_was_torn_in_it_is_a_miss() {
    let folder = tempfile::tempdir().unwrap();
    let cache = SegmentCache::in_folder(folder.path(), 10 * SEGMENT).unwrap();
    let job = Job::new(&cache);
    let (refs, torn, holed) = (job.write(1).await, job.write(2).await, job.write(3).await);
    drop(cache);
    let file =
        |refs: &[SegmentRef]| folder.path().join(refs[0].object().unwrap().replace('/', "~"));
    std::fs::OpenOptions::new().write(true).open(file(&torn)).unwrap().set_len(150_000).unwrap();
    let mut bytes = std::fs::read(file(&holed)).unwrap();
    bytes[BLOCK * 3..BLOCK * 4].fill(0);
    std::fs::write(file(&holed), bytes).unwrap();

    let cache = SegmentCache::in_folder(folder.path(), 10 * SEGMENT).unwrap();
    assert!(cache.usage().held > 2 * SEGMENT, "{:?}", cache.usage());
    for refs in [&refs, &torn, &holed] {
        assert!(job.read(&cache, refs, all()).await);
    }
    let missed = GROUPS as u64 * BLOCK as u64;
    assert_eq!(cache.usage().misses, missed, "seven blocks behind the tear and one hole");
    job.empty_the_store().await;
    for refs in [&refs, &torn, &holed] {
        assert!(job.read(&cache, refs, all()).await, "the misses have mended it");
    }
    // What an earlier process left is the first to go, and nothing of it if there is no room.
    let small = SegmentCache::in_folder(folder.path(), SEGMENT).unwrap();
    assert!(small.usage().held <= SEGMENT);
}
