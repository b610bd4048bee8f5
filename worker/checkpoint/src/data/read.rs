//! Reading segments: from the cache what is there, the rest from the store.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use weir_protocol::{KeyGroup, KeyGroupRange};
use weir_state::segment::{BlockIndex, Segment};

use super::{DataError, wait_to_retry};
use crate::SegmentCache;
use crate::manifest::{Place, SegmentRef, is_foreign, plan_restore};
use crate::store::Store;

/// Blocks at most this far apart are fetched with one request.
const GAP_BYTES: u64 = 256 << 10;

/// Blocks of one segment are read in batches of about this size.
const BATCH_BYTES: u64 = 8 << 20;

/// Batches of one segment read at a time. With the size of a batch it bounds what a read holds
/// besides its result.
const BATCHES: usize = 4;

/// What bytes that lie in their reference are called.
pub(super) const INLINE: &str = "inline";

/// Reads segments.
#[derive(Clone, Debug)]
pub struct DataReader {
    store: Arc<dyn Store>,
    foreign: Vec<(String, Arc<dyn Store>)>,
    pub(super) cache: SegmentCache,
}

/// What a prefetch has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Prefetched {
    /// Bytes read from the store.
    pub bytes: u64,
    /// The cache is full; what is missing will be read when it is needed.
    pub full: bool,
}

/// One block, with where it came from.
struct Loaded {
    bytes: Bytes,
    /// Read from the store, and there was no room for it in the cache.
    passed_by: bool,
}

impl DataReader {
    /// `store` is the job's folder ([`Chain::store`](crate::Chain::store)).
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, foreign: Vec::new(), cache: SegmentCache::none() }
    }

    /// Looks into `cache` first, and keeps there what it reads.
    #[must_use]
    pub fn with_cache(mut self, cache: SegmentCache) -> Self {
        self.cache = cache;
        self
    }

    /// Where references below `url` are read from: the origin of a job that was started from a
    /// savepoint ([`Origin::url`](crate::manifest::Origin)).
    #[must_use]
    pub fn with_foreign(mut self, url: &str, store: Arc<dyn Store>) -> Self {
        self.foreign.push((format!("{}/", url.trim_end_matches('/')), store));
        self
    }

    /// The segments that hold what counts for the key groups in `range`, in the order in which
    /// they apply; blocks of other groups, and superseded ones, are absent.
    ///
    /// # Errors
    /// When an object is missing, or a block is damaged.
    pub async fn read(
        &self,
        references: &[SegmentRef],
        range: KeyGroupRange,
    ) -> Result<Vec<Segment>, DataError> {
        let mut segments = Vec::new();
        for (position, groups) in plan_restore(references, range) {
            if let Some(reference) = references.get(position) {
                segments.push(self.read_one(reference, &groups).await?);
            }
        }
        Ok(segments)
    }

    /// Reads into the cache what [`DataReader::read`] would read, as far as there is room.
    ///
    /// # Errors
    /// As `read`.
    pub async fn prefetch(
        &self,
        references: &[SegmentRef],
        range: KeyGroupRange,
    ) -> Result<Prefetched, DataError> {
        let mut done = Prefetched::default();
        if self.cache.is_none() {
            return Ok(Prefetched { full: true, ..done });
        }
        for (position, groups) in plan_restore(references, range) {
            let Some(reference) = references.get(position) else { continue };
            let Place::Object { path, offset } = &reference.place else { continue };
            if is_foreign(path) {
                continue;
            }
            // One batch after the other: the job runs meanwhile.
            let wanted = wanted(reference, &groups);
            for batch in batches(&wanted) {
                let (loaded, missed) = self.load(path, *offset, batch).await?;
                done.bytes += missed;
                if loaded.iter().any(|block| block.passed_by) {
                    return Ok(Prefetched { full: true, ..done });
                }
            }
        }
        Ok(done)
    }

    /// Some blocks of one segment.
    async fn read_one(
        &self,
        reference: &SegmentRef,
        groups: &BTreeSet<KeyGroup>,
    ) -> Result<Segment, DataError> {
        let wanted = wanted(reference, groups);
        let loaded: Vec<Bytes> = match &reference.place {
            Place::Inline(bytes) => inline_blocks(&bytes.0, &wanted)?,
            Place::Object { path, offset } => {
                let load = batches(&wanted).map(|batch| self.load(path, *offset, batch));
                // Boxed: a stream over borrowed batches is not known to be `Send` otherwise.
                let load = stream::iter(load.map(futures::FutureExt::boxed).collect::<Vec<_>>());
                let loaded: Vec<_> = load.buffered(BATCHES).try_collect().await?;
                loaded.into_iter().flat_map(|(blocks, _)| blocks).map(|b| b.bytes).collect()
            }
        };
        let mut bytes = BytesMut::with_capacity(loaded.iter().map(Bytes::len).sum());
        let mut blocks = Vec::with_capacity(wanted.len());
        for (block, loaded) in wanted.iter().zip(loaded) {
            blocks.push(BlockIndex { offset: bytes.len() as u64, ..*block });
            bytes.extend_from_slice(&loaded);
        }
        Ok(Segment {
            kind: reference.kind,
            range: reference.range,
            schema: reference.schema,
            blocks,
            bytes: bytes.freeze(),
        })
    }

    /// Blocks of a segment that begins at `base` of an object, each checked, and how many bytes
    /// of the store that took.
    async fn load(
        &self,
        path: &str,
        base: u64,
        wanted: &[BlockIndex],
    ) -> Result<(Vec<Loaded>, u64), DataError> {
        let pieces: Vec<Range<u64>> = wanted
            .iter()
            .map(|block| base + block.offset..base + block.offset + block.len)
            .collect();
        let cached = self.cache.get(path, &pieces).await;
        let mut blocks: Vec<Option<Loaded>> = wanted
            .iter()
            .zip(cached)
            .map(|(block, cached)| {
                let bytes = cached.filter(|bytes| block.check(bytes).is_ok())?;
                Some(Loaded { bytes, passed_by: false })
            })
            .collect();
        let hits = blocks.iter().flatten().map(|block| block.bytes.len() as u64).sum();
        let missing: Vec<(usize, BlockIndex)> = wanted
            .iter()
            .copied()
            .enumerate()
            .filter(|(at, _)| blocks.get(*at).is_some_and(Option::is_none))
            .collect();
        let mut misses = 0;
        for run in runs(&missing) {
            let (Some((_, first)), Some((_, last))) = (run.first(), run.last()) else { continue };
            let start = base + first.offset;
            let (store, name) = self.locate(path)?;
            let range = start..base + last.offset + last.len;
            let fetched = fetch_range(store.as_ref(), name, range).await?;
            misses += fetched.len() as u64;
            let passed_by = !self.cache.fill(path, start, fetched.clone()).await;
            for (at, block) in run {
                let from = (block.offset - first.offset) as usize;
                let bytes = part(&fetched, from, block.len as usize);
                check(path, block, &bytes)?;
                if let Some(place) = blocks.get_mut(*at) {
                    *place = Some(Loaded { bytes, passed_by });
                }
            }
        }
        self.cache.used(hits, misses);
        Ok((blocks.into_iter().flatten().collect(), misses))
    }

    pub(super) fn locate<'a>(
        &'a self,
        path: &'a str,
    ) -> Result<(&'a Arc<dyn Store>, &'a str), DataError> {
        if !is_foreign(path) {
            return Ok((&self.store, path));
        }
        self.foreign
            .iter()
            .find_map(|(url, store)| Some((store, path.strip_prefix(url.as_str())?)))
            .ok_or_else(|| DataError::UnknownPlace(path.to_owned()))
    }
}

fn wanted(reference: &SegmentRef, groups: &BTreeSet<KeyGroup>) -> Vec<BlockIndex> {
    reference.blocks.iter().filter(|b| groups.contains(&b.group)).copied().collect()
}

fn inline_blocks(bytes: &Bytes, wanted: &[BlockIndex]) -> Result<Vec<Bytes>, DataError> {
    let block = |block: &BlockIndex| {
        let found = part(bytes, block.offset as usize, block.len as usize);
        check(INLINE, block, &found).map(|()| found)
    };
    wanted.iter().map(block).collect()
}

/// As much of `len` bytes from `start` on as there is.
fn part(bytes: &Bytes, start: usize, len: usize) -> Bytes {
    let start = start.min(bytes.len());
    bytes.slice(start..start.saturating_add(len).min(bytes.len()))
}

fn check(object: &str, block: &BlockIndex, bytes: &[u8]) -> Result<(), DataError> {
    block.check(bytes).map_err(|damage| DataError::Damaged { object: object.to_owned(), damage })
}

/// Blocks in batches of about [`BATCH_BYTES`]; a larger block has one of its own.
fn batches(blocks: &[BlockIndex]) -> impl Iterator<Item = &[BlockIndex]> {
    let mut held = 0;
    blocks.chunk_by(move |a, b| {
        held += a.len;
        let together = held + b.len <= BATCH_BYTES;
        if !together {
            held = 0;
        }
        together
    })
}

/// Neighbours that one request fetches.
fn runs(blocks: &[(usize, BlockIndex)]) -> impl Iterator<Item = &[(usize, BlockIndex)]> {
    blocks.chunk_by(|(_, a), (_, b)| b.offset.saturating_sub(a.offset + a.len) <= GAP_BYTES)
}

pub(super) async fn fetch_range(
    store: &dyn Store,
    name: &str,
    range: Range<u64>,
) -> Result<Bytes, DataError> {
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    let mut tries = 0;
    loop {
        match store.get_range(name, range.clone()).await {
            Ok(bytes) => return Ok(bytes),
            Err(error) => wait_to_retry(error, &mut tries).await?,
        }
    }
}

pub(super) async fn fetch_ranges(
    store: &dyn Store,
    name: &str,
    ranges: &[Range<u64>],
) -> Result<Vec<Bytes>, DataError> {
    let mut tries = 0;
    loop {
        match store.get_ranges(name, ranges).await {
            Ok(parts) => return Ok(parts),
            Err(error) => wait_to_retry(error, &mut tries).await?,
        }
    }
}

/// A segment's bytes, unchecked, and what to call where they lie.
pub(super) async fn fetch_whole<'a>(
    store: &dyn Store,
    place: &'a Place,
    len: u64,
) -> Result<(Bytes, &'a str), DataError> {
    Ok(match place {
        Place::Inline(bytes) => (bytes.0.clone(), INLINE),
        Place::Object { path, offset } => {
            (fetch_range(store, path, *offset..offset + len).await?, path)
        }
    })
}

/// All of a segment's bytes, checked block by block.
pub(crate) async fn fetch_segment(
    store: &dyn Store,
    reference: &SegmentRef,
) -> Result<Bytes, DataError> {
    let (bytes, object) = fetch_whole(store, &reference.place, reference.len).await?;
    for block in &reference.blocks {
        check(object, block, &part(&bytes, block.offset as usize, block.len as usize))?;
    }
    Ok(bytes)
}
