//! The segments of a worker's state tables that are open: what says what is where in each stays in
//! memory, rows are read when tasks need them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use weir_checkpoint::TableSegment;
use weir_checkpoint::data::{DataError, DataReader};
use weir_checkpoint::manifest::tables::counting;
use weir_engine::EngineError;
use weir_engine::runtime::SegmentSource;
use weir_protocol::KeyGroupRange;
use weir_state::sorted::{BlockRef, SegmentReader};
use weir_state::table::{Layer, StoredTable};

/// Segments read at a time for one batch.
const SEGMENTS: usize = 8;

/// Open segments of one worker and term.
pub(super) struct OpenSegments {
    reader: DataReader,
    open: Mutex<BTreeMap<u128, (TableSegment, Arc<SegmentReader>)>>,
}

impl OpenSegments {
    pub(super) fn new(reader: DataReader) -> Self {
        Self { reader, open: Mutex::default() }
    }

    async fn open(&self, reference: &TableSegment) -> Result<Arc<SegmentReader>, DataError> {
        let id = reference.id.0;
        if let Some((_, reader)) = self.open.lock().get(&id) {
            return Ok(Arc::clone(reader));
        }
        let reader = Arc::new(self.reader.open_table_segment(reference).await?);
        self.open.lock().insert(id, (reference.clone(), Arc::clone(&reader)));
        Ok(reader)
    }

    /// The segments of one table that count for a subtask's key groups.
    ///
    /// # Errors
    /// When one cannot be read, or is damaged.
    pub(super) async fn layers(
        &self,
        references: &[TableSegment],
        range: KeyGroupRange,
    ) -> Result<Vec<Layer>, DataError> {
        let mut layers = Vec::new();
        for (reference, ranges) in counting(references, range) {
            let reader = self.open(reference).await?;
            let layer = |range| Layer { reader: Arc::clone(&reader), range };
            layers.extend(ranges.into_iter().map(layer));
        }
        Ok(layers)
    }

    /// What is stored of one table: with its rows if they are always in memory or no more than so
    /// many bytes.
    ///
    /// # Errors
    /// When a segment cannot be read, or is damaged.
    pub(super) async fn stored(
        &self,
        references: &[TableSegment],
        range: KeyGroupRange,
        in_memory: bool,
        resident_bytes: u64,
    ) -> Result<StoredTable, DataError> {
        let counts = counting(references, range);
        let bytes: u64 = counts.iter().map(|(reference, _)| reference.len).sum();
        if !in_memory && bytes > resident_bytes {
            return Ok(StoredTable::Layers(self.layers(references, range).await?));
        }
        let mut inputs = Vec::new();
        for (reference, ranges) in counts {
            let reader = self.open(reference).await?;
            for range in ranges {
                inputs.push(self.reader.read_table_rows(reference, &reader, range).await?);
            }
        }
        Ok(StoredTable::Whole(inputs))
    }

    /// Closes those that no table goes by any more.
    pub(super) fn close_unused(&self) {
        self.open.lock().retain(|_, (_, reader)| Arc::strong_count(reader) > 1);
    }
}

#[async_trait]
impl SegmentSource for OpenSegments {
    async fn read(&self, blocks: Vec<(u128, BlockRef)>) -> Result<Vec<Bytes>, EngineError> {
        let mut by_segment: BTreeMap<u128, Vec<(usize, BlockRef)>> = BTreeMap::new();
        for (at, (segment, block)) in blocks.iter().enumerate() {
            by_segment.entry(*segment).or_default().push((at, *block));
        }
        let mut wanted = Vec::new();
        for (id, blocks) in by_segment {
            let open = self.open.lock().get(&id).cloned();
            let (reference, reader) = open.ok_or_else(|| {
                EngineError::internal(format!("segment {id:032x} of a state table is not open"))
            })?;
            wanted.push((reference, reader, blocks));
        }
        let reads = wanted.into_iter().map(|(reference, reader, blocks)| async move {
            let (places, blocks): (Vec<usize>, Vec<BlockRef>) = blocks.into_iter().unzip();
            let bytes = self.reader.read_table_blocks(&reference, &reader, &blocks).await;
            let bytes = bytes.map_err(|e| {
                EngineError::external(format!("reading state table {}: {e}", reference.table))
            })?;
            Ok::<_, EngineError>(places.into_iter().zip(bytes))
        });
        let mut read = vec![Bytes::new(); blocks.len()];
        let mut reads = std::pin::pin!(stream::iter(reads).buffer_unordered(SEGMENTS));
        while let Some(blocks) = reads.try_next().await? {
            for (at, bytes) in blocks {
                read[at] = bytes;
            }
        }
        Ok(read)
    }
}
