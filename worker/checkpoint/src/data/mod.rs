//! Segments to and from the store.
//!
//! A worker merges the segments of an attempt into one object under a fresh random name below
//! its term; less than [`INLINE_LIMIT`] in all travels in the references. A reader fetches only
//! the blocks that still count for the key groups it wants, and checks each. What either has in
//! its hands goes to the worker's [`SegmentCache`], too.

mod read;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use weir_protocol::{Blob, OperatorUid, Term};
use weir_state::segment::{DamagedBlock, Segment};

use crate::manifest::{INLINE_LIMIT, Place, SegmentRef};
use crate::store::{ErrorKind, Store, StoreError};
use crate::{Nonces, SegmentCache};

pub(crate) use read::fetch_whole;
pub use read::{DataReader, Prefetched};

/// Tries of one read or write before the error is handed up.
const TRIES: u32 = 5;

/// A segment that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A block does not hold what its index says.
    #[error("{object}: {damage}; restore an older version or a savepoint")]
    Damaged {
        /// The object, or `inline`.
        object: String,
        /// Which block and how.
        damage: DamagedBlock,
    },
    /// A URL for which no store was given.
    #[error("{0}: no store is open for this address")]
    UnknownPlace(String),
}

/// The name of a data object.
#[must_use]
pub fn data_name(term: Term, folder: &OperatorUid, nonces: &Nonces) -> String {
    // A user's hint may hold anything; a name in the store may not.
    let folder: String = folder
        .as_str()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' })
        .take(100)
        .collect();
    format!("data/{:020}/{folder}/{}", term.0, nonces.draw())
}

/// Writes the segments of one worker and term.
#[derive(Clone, Debug)]
pub struct DataWriter {
    store: Arc<dyn Store>,
    term: Term,
    nonces: Nonces,
    cache: SegmentCache,
    inline_limit: usize,
}

impl DataWriter {
    /// `store` is the job's folder ([`Chain::store`](crate::Chain::store)).
    #[must_use]
    pub fn new(store: Arc<dyn Store>, term: Term, nonces: Nonces) -> Self {
        Self { store, term, nonces, cache: SegmentCache::none(), inline_limit: INLINE_LIMIT }
    }

    /// Keeps what it writes in `cache`.
    #[must_use]
    pub fn with_cache(mut self, cache: SegmentCache) -> Self {
        self.cache = cache;
        self
    }

    /// Makes objects of what is larger than so many bytes together.
    #[must_use]
    pub fn with_inline_limit(mut self, bytes: usize) -> Self {
        self.inline_limit = bytes;
        self
    }

    /// Stores segments, of one operator or of several, as one object below `folder`; small ones
    /// stay in the references. The references come in the order of the segments; empty deltas
    /// are left out by whoever asks ([`Segment::is_empty_delta`]).
    ///
    /// # Errors
    /// When the store fails again and again.
    pub async fn write(
        &self,
        folder: &OperatorUid,
        segments: &[Segment],
    ) -> Result<Vec<SegmentRef>, DataError> {
        let total: usize = segments.iter().map(|s| s.bytes.len()).sum();
        if total < self.inline_limit {
            let inline = |s: &Segment| reference(s, Place::Inline(Blob(s.bytes.clone())));
            return Ok(segments.iter().map(inline).collect());
        }
        let path = data_name(self.term, folder, &self.nonces);
        let mut merged = BytesMut::with_capacity(total);
        let mut references = Vec::with_capacity(segments.len());
        for segment in segments {
            let offset = merged.len() as u64;
            references.push(reference(segment, Place::Object { path: path.clone(), offset }));
            merged.extend_from_slice(&segment.bytes);
        }
        let merged = merged.freeze();
        // Kept in any case: under a name that the store never took, nobody looks for it.
        let keep = self.cache.put(&path, merged.clone());
        futures::future::join(self.put(&path, merged), keep).await.0?;
        Ok(references)
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), DataError> {
        // The name is ours alone, so putting the same bytes again is harmless.
        let mut tries = 0;
        loop {
            match self.store.put(path, bytes.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) => wait_to_retry(error, &mut tries).await?,
            }
        }
    }
}

fn reference(segment: &Segment, place: Place) -> SegmentRef {
    SegmentRef {
        place,
        len: segment.bytes.len() as u64,
        schema: segment.schema,
        kind: segment.kind,
        range: segment.range,
        blocks: segment.blocks.clone(),
    }
}

async fn wait_to_retry(error: StoreError, tries: &mut u32) -> Result<(), StoreError> {
    *tries += 1;
    if error.kind != ErrorKind::Ambiguous || *tries >= TRIES {
        return Err(error);
    }
    tracing::debug!(%error, "trying again");
    tokio::time::sleep(std::time::Duration::from_millis(50 << *tries)).await;
    Ok(())
}
