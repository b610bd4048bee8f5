//! Rows of state tables on their way into memory, before the batch that needs them is taken.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use weir_state::sorted::BlockRef;
use weir_state::table::Announced;

use super::chain::Link;
use crate::EngineError;
use crate::operator::{Context, TableKeys};

/// Where blocks of the segments of tables are read from.
#[async_trait]
pub trait SegmentSource: Send + Sync {
    /// Blocks by the id of their segment, in the order asked for. Only segments of a table's layers
    /// are asked for.
    ///
    /// # Errors
    /// When one cannot be read or is damaged.
    async fn read(&self, blocks: Vec<(u128, BlockRef)>) -> Result<Vec<Bytes>, EngineError>;
}

/// Where no state table is stored.
#[async_trait]
impl SegmentSource for () {
    async fn read(&self, _: Vec<(u128, BlockRef)>) -> Result<Vec<Bytes>, EngineError> {
        Err(EngineError::internal("rows of a state table were asked for where none are stored"))
    }
}

type Blocks = Vec<(u128, u32, Bytes)>;

/// What was announced to the tables of an operator, and is being read.
pub(crate) struct Reading {
    /// Position of the operator in its chain.
    pub(crate) at: usize,
    /// Bytes of the blocks, read or not.
    pub(crate) bytes: usize,
    wanted: Vec<(TableKeys, Announced)>,
    read: Arc<Mutex<Option<Result<Blocks, EngineError>>>>,
}

/// Whether rows have to be read.
pub(crate) enum Begun {
    /// All are in memory.
    InMemory,
    Reading(Reading),
    /// It would be so many bytes at once: nothing is being read.
    TooMuch(usize),
}

impl Reading {
    /// Announces keys to an operator's tables, and begins to read what is not in memory, if it is not
    /// more than `most` bytes.
    pub(crate) fn begin(
        at: usize,
        Link { operator, cx }: &mut Link,
        source: &Arc<dyn SegmentSource>,
        keys: Vec<TableKeys>,
        most: Option<usize>,
    ) -> Result<Begun, EngineError> {
        let mut wanted = Vec::new();
        let mut tables = operator.tables();
        for keys in keys {
            let table = tables.get_mut(keys.table).ok_or_else(|| {
                EngineError::internal(format!("the operator has no table {}", keys.table))
            })?;
            if let Some(announced) = table.announce(&keys.keys, keys.rows)? {
                if announced.is_ready() {
                    table.install(&announced)?;
                } else {
                    wanted.push((keys, announced));
                }
            }
        }
        if wanted.is_empty() {
            return Ok(Begun::InMemory);
        }
        let mut reading = Self { at, bytes: 0, wanted, read: Arc::default() };
        reading.count();
        if most.is_some_and(|most| reading.bytes > most) {
            return Ok(Begun::TooMuch(reading.bytes));
        }
        reading.spawn(cx, source);
        Ok(Begun::Reading(reading))
    }

    fn count(&mut self) {
        self.bytes = self.wanted.iter().map(|(_, announced)| announced.bytes()).sum();
    }

    /// Reads what is missing.
    fn spawn(&self, cx: &Context, source: &Arc<dyn SegmentSource>) {
        let mut blocks: Vec<(u128, BlockRef)> =
            self.wanted.iter().flat_map(|(_, announced)| announced.missing()).collect();
        blocks.sort_unstable();
        blocks.dedup();
        let (done, source, waker) = (Arc::clone(&self.read), Arc::clone(source), cx.waker.clone());
        cx.io.spawn(async move {
            let result = source.read(blocks.clone()).await.map(|bytes| {
                let blocks = blocks.into_iter().zip(bytes);
                blocks.map(|((segment, block), bytes)| (segment, block.number, bytes)).collect()
            });
            *done.lock() = Some(result);
            waker.wake();
        });
    }

    /// Puts what was read into the tables, or reads on where that was not enough; `None` while
    /// something is still being read.
    pub(crate) fn finish(
        &mut self,
        Link { operator, cx }: &mut Link,
        source: &Arc<dyn SegmentSource>,
    ) -> Result<Option<()>, EngineError> {
        let Some(read) = self.read.lock().take() else { return Ok(None) };
        let blocks = read?;
        for (segment, number, bytes) in &blocks {
            for (_, announced) in &mut self.wanted {
                announced.put(*segment, *number, bytes).map_err(EngineError::external)?;
            }
        }
        if !self.wanted.iter().all(|(_, announced)| announced.is_ready()) {
            self.count();
            self.spawn(cx, source);
            return Ok(None);
        }
        let mut tables = operator.tables();
        for (keys, announced) in &self.wanted {
            let Some(table) = tables.get_mut(keys.table) else { continue };
            if !table.install(announced)? {
                return Err(EngineError::internal(format!(
                    "rows of state table {} were read for nothing: its segments changed meanwhile",
                    table.spec().name
                )));
            }
        }
        Ok(Some(()))
    }
}
