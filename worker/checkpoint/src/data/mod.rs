//! Segments to and from the store.
//!
//! A worker merges the segments of an attempt into one object under a fresh random name below
//! its term, but for large ones, which have one each; less than [`INLINE_LIMIT`] in all travels in
//! the references. A reader fetches only the blocks that still count for the key groups it wants,
//! and checks each. What either has in its hands goes to the worker's [`SegmentCache`], too.

mod pieces;
mod read;
mod tables;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use weir_protocol::{Blob, OperatorUid, Term};
use weir_state::segment::DamagedBlock;
use weir_state::sorted::SegmentError;

use crate::manifest::{INLINE_LIMIT, Place};
use crate::store::{ErrorKind, Store, StoreError};
use crate::{Nonces, SegmentCache};

pub use pieces::OpenTable;
pub(crate) use read::fetch_segment;
pub use read::{DataReader, Prefetched};
pub(crate) use tables::fetch_table_segment;

/// Tries of one read or write before the error is handed up.
const TRIES: u32 = 5;

/// A segment of so many bytes has an object of its own: put together with others it would have to be
/// copied, which takes as much memory once more.
const OWN_OBJECT: usize = 4 << 20;

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
    /// A segment of a state table is not what its reference says.
    #[error("{object}: {damage}; restore an older version or a savepoint")]
    DamagedTable {
        /// The object, or `inline`.
        object: String,
        /// What of it and how.
        damage: SegmentError,
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

    /// Where its random names come from.
    #[must_use]
    pub fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    /// Stores segments, of one operator or of several, below `folder`: large ones each in an object
    /// of its own, the others together in one; where they are small altogether, they are for the
    /// references to hold. Gives the place of each, in order.
    ///
    /// # Errors
    /// When the store fails again and again.
    pub async fn write(
        &self,
        folder: &OperatorUid,
        segments: &[Bytes],
    ) -> Result<Vec<Place>, DataError> {
        let total: usize = segments.iter().map(Bytes::len).sum();
        if total < self.inline_limit {
            return Ok(segments.iter().map(|bytes| Place::Inline(Blob(bytes.clone()))).collect());
        }
        let together = data_name(self.term, folder, &self.nonces);
        let small = segments.iter().filter(|bytes| bytes.len() < OWN_OBJECT);
        let mut merged = BytesMut::with_capacity(small.map(Bytes::len).sum());
        let mut places = Vec::with_capacity(segments.len());
        for segment in segments {
            if segment.len() < OWN_OBJECT {
                let (path, offset) = (together.clone(), merged.len() as u64);
                places.push(Place::Object { path, offset });
                merged.extend_from_slice(segment);
            } else {
                let path = data_name(self.term, folder, &self.nonces);
                self.put(&path, segment.clone()).await?;
                places.push(Place::Object { path, offset: 0 });
            }
        }
        if !merged.is_empty() {
            self.put(&together, merged.freeze()).await?;
        }
        Ok(places)
    }

    /// Stores segments and gives the references to them, for tests.
    ///
    /// # Errors
    /// As [`DataWriter::write`].
    #[cfg(feature = "testing")]
    pub async fn write_segments(
        &self,
        folder: &OperatorUid,
        segments: &[weir_state::segment::Segment],
    ) -> Result<Vec<crate::SegmentRef>, DataError> {
        let bytes: Vec<Bytes> = segments.iter().map(|segment| segment.bytes.clone()).collect();
        let places = self.write(folder, &bytes).await?;
        let segments = segments.iter().zip(places);
        Ok(segments.map(|(segment, place)| crate::SegmentRef::new(segment, place)).collect())
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), DataError> {
        // Kept in any case: under a name that the store never took, nobody looks for it.
        let keep = self.cache.put(path, bytes.clone());
        futures::future::join(self.put_to_store(path, bytes), keep).await.0
    }

    async fn put_to_store(&self, path: &str, bytes: Bytes) -> Result<(), DataError> {
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

async fn wait_to_retry(error: StoreError, tries: &mut u32) -> Result<(), StoreError> {
    *tries += 1;
    if error.kind != ErrorKind::Ambiguous || *tries >= TRIES {
        return Err(error);
    }
    tracing::debug!(%error, "trying again");
    tokio::time::sleep(std::time::Duration::from_millis(50 << *tries)).await;
    Ok(())
}
