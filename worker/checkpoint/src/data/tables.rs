//! Reading segments of state tables: first what says what is where, then only the blocks that are
//! asked for. What the cache holds is checked like everything else; if it is damaged there, the
//! store is asked.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use weir_protocol::KeyGroupRange;
use weir_state::merge::Input;
use weir_state::sorted::{BlockRef, SegmentError, SegmentReader, Stored, Stretch};

use super::read::{INLINE, fetch_ranges, fetch_whole};
use super::{DataError, DataReader, Prefetched};
use crate::manifest::tables::counting;
use crate::manifest::{Place, TableSegment, is_foreign};
use crate::store::Store;

/// Blocks are read in stretches of about this size.
const STRETCH_BYTES: u64 = 8 << 20;

/// Stretches of one segment read at a time.
const STRETCHES: usize = 4;

impl DataReader {
    /// The segments of one table with what they hold for the key groups in `range`, in memory.
    ///
    /// # Errors
    /// When an object is missing, or a segment is damaged.
    pub async fn read_table(
        &self,
        references: &[TableSegment],
        range: KeyGroupRange,
    ) -> Result<Vec<Input>, DataError> {
        let mut inputs = Vec::new();
        for (reference, ranges) in counting(references, range) {
            let reader = Arc::new(self.open_table_segment(reference).await?);
            for range in ranges {
                inputs.push(self.read_table_rows(reference, &reader, range).await?);
            }
        }
        Ok(inputs)
    }

    /// What a segment holds for the key groups in `range`, in memory.
    ///
    /// # Errors
    /// When the object is missing, or a block is damaged.
    pub async fn read_table_rows(
        &self,
        reference: &TableSegment,
        reader: &Arc<SegmentReader>,
        range: KeyGroupRange,
    ) -> Result<Input, DataError> {
        let bytes = self.read_neighbours(reference, reader, reader.blocks_of(range)).await?;
        Ok(Input { stored: Stored::new(Arc::clone(reader), Arc::new(bytes)), range })
    }

    /// Single blocks of a segment, each checked, in the order asked for.
    ///
    /// # Errors
    /// When the object is missing, or a block is damaged.
    pub async fn read_table_blocks(
        &self,
        reference: &TableSegment,
        reader: &SegmentReader,
        blocks: &[BlockRef],
    ) -> Result<Vec<Bytes>, DataError> {
        let part = |block: &BlockRef| block.offset..block.offset + u64::from(block.len);
        let parts: Vec<Range<u64>> = blocks.iter().map(part).collect();
        let check =
            |at: usize, bytes: Bytes| reader.block(blocks[at].number, bytes.clone()).map(|_| bytes);
        Ok(self.read_parts(reference, &parts, check).await?.0)
    }

    /// Reads into the cache what [`DataReader::read_table`] would read, as far as there is room.
    ///
    /// # Errors
    /// As `read_table`.
    pub async fn prefetch_table(
        &self,
        references: &[TableSegment],
        range: KeyGroupRange,
    ) -> Result<Prefetched, DataError> {
        let mut done = Prefetched::default();
        if self.cache.is_none() {
            return Ok(Prefetched { full: true, ..done });
        }
        for (reference, ranges) in counting(references, range) {
            if reference.place.object().is_none_or(is_foreign) {
                continue;
            }
            let reader = self.open_table_segment(reference).await?;
            for blocks in ranges.into_iter().map(|range| reader.blocks_of(range)) {
                // One stretch after the other: the job runs meanwhile.
                for stretch in stretches(&reader, blocks) {
                    let (_, fetched) = self.read_stretch(reference, &reader, &stretch).await?;
                    done.bytes += fetched.bytes;
                    if fetched.full {
                        return Ok(Prefetched { full: true, ..done });
                    }
                }
            }
        }
        Ok(done)
    }

    /// Neighbouring blocks of a segment, each checked.
    async fn read_neighbours(
        &self,
        reference: &TableSegment,
        reader: &SegmentReader,
        blocks: Range<u32>,
    ) -> Result<Stretch, DataError> {
        let wanted: Vec<BlockStretch> = stretches(reader, blocks).collect();
        let reads = wanted.iter().map(|stretch| self.read_stretch(reference, reader, stretch));
        // Boxed: a stream over borrowed stretches is not known to be `Send` otherwise.
        let reads = stream::iter(reads.map(FutureExt::boxed).collect::<Vec<_>>());
        let read: Vec<(Bytes, Prefetched)> = reads.buffered(STRETCHES).try_collect().await?;
        let offset = wanted.first().map_or(0, |first| first.bytes.start);
        if let [(bytes, _)] = read.as_slice() {
            return Ok(Stretch { offset, bytes: bytes.clone() });
        }
        let mut bytes = BytesMut::with_capacity(read.iter().map(|(bytes, _)| bytes.len()).sum());
        read.iter().for_each(|(read, _)| bytes.extend_from_slice(read));
        Ok(Stretch { offset, bytes: bytes.freeze() })
    }

    async fn read_stretch(
        &self,
        reference: &TableSegment,
        reader: &SegmentReader,
        stretch: &BlockStretch,
    ) -> Result<(Bytes, Prefetched), DataError> {
        self.read_part(reference, stretch.bytes.clone(), |bytes| {
            for number in stretch.blocks.clone() {
                let block = reader.block_ref(number);
                let start = (block.offset - stretch.bytes.start) as usize;
                let end = (start + block.len as usize).min(bytes.len());
                reader.block(number, bytes.slice(start.min(end)..end))?;
            }
            Ok(bytes)
        })
        .await
    }

    /// What says what is where in a segment, and what is not in it.
    ///
    /// # Errors
    /// When it cannot be read, or is not what the reference says.
    pub async fn open_table_segment(
        &self,
        reference: &TableSegment,
    ) -> Result<SegmentReader, DataError> {
        let mut reader = self.open_table_index(reference).await?;
        let (offset, len) = reader.filters_at();
        if len > 0 {
            let filters = offset..offset + u64::from(len);
            let check = |filters: Bytes| {
                let mut reader = reader.clone();
                reader.set_filters(filters).map(|()| reader)
            };
            (reader, _) = self.read_part(reference, filters, check).await?;
        }
        Ok(reader)
    }

    /// As [`DataReader::open_table_segment`], without filters: for whoever reads every row.
    pub(super) async fn open_table_index(
        &self,
        reference: &TableSegment,
    ) -> Result<SegmentReader, DataError> {
        let tail = reference.len.saturating_sub(reference.tail)..reference.len;
        let open = |tail: &Bytes| {
            let reader = SegmentReader::open(tail)?;
            check_identity(reference, &reader).map(|()| reader)
        };
        Ok(self.read_part(reference, tail, |tail| open(&tail)).await?.0)
    }

    /// Some bytes of a segment as `check` makes them out, from the cache if they are good there.
    async fn read_part<T>(
        &self,
        reference: &TableSegment,
        part: Range<u64>,
        check: impl Fn(Bytes) -> Result<T, SegmentError>,
    ) -> Result<(T, Prefetched), DataError> {
        let (read, fetched) = self
            .read_parts(reference, std::slice::from_ref(&part), |_, bytes| check(bytes))
            .await?;
        // Of one part one is read; of none there would be no byte.
        let read = read.into_iter().next().map_or_else(|| check(Bytes::new()), Ok);
        let object = reference.place.object().unwrap_or(INLINE);
        read.map(|read| (read, fetched)).map_err(damaged(object))
    }

    /// Several parts of a segment, in the order asked for; those that the cache has not are read in
    /// one go.
    async fn read_parts<T>(
        &self,
        reference: &TableSegment,
        parts: &[Range<u64>],
        check: impl Fn(usize, Bytes) -> Result<T, SegmentError>,
    ) -> Result<(Vec<T>, Prefetched), DataError> {
        let (path, offset) = match &reference.place {
            Place::Inline(bytes) => {
                let cut = |part: &Range<u64>| {
                    let end = (part.end as usize).min(bytes.0.len());
                    bytes.0.slice((part.start as usize).min(end)..end)
                };
                let cut = parts.iter().enumerate().map(|(at, part)| check(at, cut(part)));
                let read = cut.collect::<Result<_, _>>().map_err(damaged(INLINE))?;
                return Ok((read, Prefetched::default()));
            }
            Place::Object { path, offset } => (path, *offset),
        };
        let places: Vec<Range<u64>> =
            parts.iter().map(|part| offset + part.start..offset + part.end).collect();
        let len = |at: usize| parts[at].end - parts[at].start;
        let cached = self.cache.get(path, &places).await.into_iter().enumerate();
        let mut read: Vec<Option<T>> = cached
            .map(|(at, bytes)| {
                let bytes = bytes.filter(|bytes| bytes.len() as u64 == len(at))?;
                check(at, bytes).ok()
            })
            .collect();
        let missing: Vec<usize> = (0..parts.len()).filter(|&at| read[at].is_none()).collect();
        let misses: u64 = missing.iter().map(|&at| len(at)).sum();
        self.cache.used((0..parts.len()).map(len).sum::<u64>() - misses, misses);
        let mut fetched = Prefetched::default();
        if !missing.is_empty() {
            let (store, name) = self.locate(path)?;
            let ranges: Vec<Range<u64>> = missing.iter().map(|&at| places[at].clone()).collect();
            let all = fetch_ranges(store.as_ref(), name, &ranges).await?;
            for (at, bytes) in missing.into_iter().zip(all) {
                // What is damaged in the store does not get into the cache.
                read[at] = Some(check(at, bytes.clone()).map_err(damaged(path))?);
                fetched.bytes += bytes.len() as u64;
                fetched.full |= !self.cache.fill(path, places[at].start, bytes).await;
            }
        }
        Ok((read.into_iter().flatten().collect(), fetched))
    }
}

/// Neighbouring blocks and where they lie in their segment.
struct BlockStretch {
    blocks: Range<u32>,
    bytes: Range<u64>,
}

/// Blocks of these numbers in stretches of about [`STRETCH_BYTES`].
fn stretches(reader: &SegmentReader, blocks: Range<u32>) -> impl Iterator<Item = BlockStretch> {
    let mut next = blocks.start;
    std::iter::from_fn(move || {
        let first = next;
        let start = (first < blocks.end).then(|| reader.block_ref(first).offset)?;
        let mut end = start;
        while next < blocks.end && end - start < STRETCH_BYTES {
            let block = reader.block_ref(next);
            end = block.offset + u64::from(block.len);
            next += 1;
        }
        Some(BlockStretch { blocks: first..next, bytes: start..end })
    })
}

fn damaged(object: &str) -> impl FnOnce(SegmentError) -> DataError {
    let object = object.to_owned();
    move |damage| DataError::DamagedTable { object, damage }
}

fn check_identity(reference: &TableSegment, reader: &SegmentReader) -> Result<(), SegmentError> {
    let footer = reader.footer();
    if footer.id == reference.id.0 && footer.bytes() == reference.len {
        return Ok(());
    }
    Err(SegmentError::Damaged {
        segment: footer.id,
        place: weir_state::sorted::Place::Footer,
        problem: "another segment lies where this one was stored",
    })
}

/// All of a table segment's bytes, checked part by part.
pub(crate) async fn fetch_table_segment(
    store: &dyn Store,
    reference: &TableSegment,
) -> Result<Bytes, DataError> {
    let (bytes, object) = fetch_whole(store, &reference.place, reference.len).await?;
    let checked = || {
        let stored = Stored::open(Arc::new(bytes.clone()), bytes.len() as u64)?;
        check_identity(reference, stored.reader())?;
        (0..stored.reader().footer().blocks).try_for_each(|block| stored.block(block).map(drop))
    };
    checked().map_err(damaged(object))?;
    Ok(bytes)
}
