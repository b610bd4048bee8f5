//! Segments to and from the store.
//!
//! A worker merges the segments of an attempt into one object under a fresh random name below
//! its term; less than [`INLINE_LIMIT`] in all travels in the references. A reader fetches only
//! the blocks that still count for the key groups it wants, and checks each.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use weir_protocol::{KeyGroup, KeyGroupRange, OperatorUid, Term};
use weir_state::segment::{BlockIndex, DamagedBlock, Segment};

use crate::Nonces;
use crate::manifest::{Blob, INLINE_LIMIT, Place, SegmentRef, plan_restore};
use crate::store::{ErrorKind, Store, StoreError};

/// Blocks at most this far apart are fetched with one request.
const GAP_BYTES: u64 = 256 << 10;

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
}

impl DataWriter {
    /// `store` is the job's folder ([`Chain::store`](crate::Chain::store)).
    #[must_use]
    pub fn new(store: Arc<dyn Store>, term: Term, nonces: Nonces) -> Self {
        Self { store, term, nonces }
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
        if total < INLINE_LIMIT {
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
        self.put(&path, merged.freeze()).await?;
        Ok(references)
    }

    /// Stores bytes that a sink stages, and returns the object's name.
    ///
    /// # Errors
    /// When the store fails again and again.
    pub async fn stage(&self, folder: &OperatorUid, bytes: Bytes) -> Result<String, DataError> {
        let path = data_name(self.term, folder, &self.nonces);
        self.put(&path, bytes).await?;
        Ok(path)
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

/// Reads segments.
#[derive(Clone, Debug)]
pub struct DataReader {
    store: Arc<dyn Store>,
    foreign: Vec<(String, Arc<dyn Store>)>,
}

impl DataReader {
    /// `store` is the job's folder ([`Chain::store`](crate::Chain::store)).
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, foreign: Vec::new() }
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

    /// Some blocks of one segment.
    async fn read_one(
        &self,
        reference: &SegmentRef,
        groups: &BTreeSet<KeyGroup>,
    ) -> Result<Segment, DataError> {
        let wanted: Vec<BlockIndex> =
            reference.blocks.iter().filter(|b| groups.contains(&b.group)).copied().collect();
        let mut bytes = BytesMut::new();
        let mut blocks = Vec::with_capacity(wanted.len());
        for run in runs(&wanted) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else {
                continue;
            };
            let base = first.offset;
            let fetched = self.fetch(reference, base, last.offset + last.len).await?;
            for block in run {
                let start = (block.offset - base) as usize;
                let end = start + block.len as usize;
                let offset = bytes.len() as u64;
                bytes.extend_from_slice(fetched.get(start..end).unwrap_or_default());
                blocks.push(BlockIndex { offset, ..*block });
            }
        }
        let segment = Segment {
            kind: reference.kind,
            range: reference.range,
            schema: reference.schema,
            blocks,
            bytes: bytes.freeze(),
        };
        for block in segment.blocks_in(KeyGroupRange { start: 0, end: u16::MAX }) {
            block.map_err(|damage| DataError::Damaged {
                object: reference.object().unwrap_or("inline").to_owned(),
                damage,
            })?;
        }
        Ok(segment)
    }

    async fn fetch(
        &self,
        reference: &SegmentRef,
        start: u64,
        end: u64,
    ) -> Result<Bytes, DataError> {
        match &reference.place {
            Place::Inline(bytes) => {
                let len = bytes.0.len();
                Ok(bytes.0.slice((start as usize).min(len)..(end as usize).min(len)))
            }
            Place::Object { path, offset } => {
                let (store, name) = self.locate(path)?;
                fetch_range(store.as_ref(), name, offset + start..offset + end).await
            }
        }
    }

    fn locate<'a>(&'a self, path: &'a str) -> Result<(&'a Arc<dyn Store>, &'a str), DataError> {
        if !crate::manifest::is_foreign(path) {
            return Ok((&self.store, path));
        }
        self.foreign
            .iter()
            .find_map(|(url, store)| Some((store, path.strip_prefix(url.as_str())?)))
            .ok_or_else(|| DataError::UnknownPlace(path.to_owned()))
    }
}

/// Neighbours that one request fetches.
fn runs(blocks: &[BlockIndex]) -> impl Iterator<Item = &[BlockIndex]> {
    blocks.chunk_by(|a, b| b.offset.saturating_sub(a.offset + a.len) <= GAP_BYTES)
}

async fn fetch_range(
    store: &dyn Store,
    name: &str,
    range: std::ops::Range<u64>,
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

/// All of a segment's bytes, checked block by block.
pub(crate) async fn fetch_whole(
    store: &dyn Store,
    reference: &SegmentRef,
) -> Result<Bytes, DataError> {
    let (bytes, object) = match &reference.place {
        Place::Inline(bytes) => (bytes.0.clone(), "inline"),
        Place::Object { path, offset } => {
            (fetch_range(store, path, *offset..offset + reference.len).await?, path.as_str())
        }
    };
    let segment = Segment {
        kind: reference.kind,
        range: reference.range,
        schema: reference.schema,
        blocks: reference.blocks.clone(),
        bytes: bytes.clone(),
    };
    for block in segment.blocks_in(KeyGroupRange { start: 0, end: u16::MAX }) {
        block.map_err(|damage| DataError::Damaged { object: object.to_owned(), damage })?;
    }
    Ok(bytes)
}
