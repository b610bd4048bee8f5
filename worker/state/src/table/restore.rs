//! Tables from segments.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use super::{Bounds, Evolution, Groups, SpecError, TableError, TableSpec};
use crate::UnsupportedType;
use crate::canonical::{DecodeError, decode_rows};
use crate::merge::{Input, Merge, MergeError};
use crate::sorted::{Block, Value};

/// Rows that are installed together.
const ROWS: usize = 1_024;

/// A table that cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// What the operator declares.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The segments.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// Stored keys that are not of the table's types.
    #[error(transparent)]
    Key(#[from] DecodeError),
    /// A key of a type that state cannot hold.
    #[error(transparent)]
    Type(#[from] UnsupportedType),
    /// Segments of a job with another number of key groups: keys would be in other groups.
    #[error(
        "the state of table {table} was written with {stored} key groups, the job has {wanted}; restore with maxParallelism {stored}"
    )]
    Groups {
        /// The table's name.
        table: String,
        /// Of the segments.
        stored: u32,
        /// Of the job.
        wanted: u32,
    },
    /// Columns of the segments.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Indexes alone of a table that is always in memory, which is a bug.
    #[error("table {0} is always in memory and was not read as a whole")]
    InMemory(String),
}

/// Some rows on their way into a table.
pub(crate) struct Batch {
    evolutions: Arc<[Evolution]>,
    blocks: Vec<(usize, Block)>,
    /// Block and number of each row.
    rows: Vec<(u32, u32)>,
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    fn at(&self, row: usize) -> (&Block, usize, usize) {
        let (block, number) = self.rows[row];
        let (source, block) = &self.blocks[block as usize];
        (block, number as usize, *source)
    }

    /// The key columns of all rows.
    pub(crate) fn keys(&self, types: &[DataType]) -> Result<Vec<ArrayRef>, DecodeError> {
        decode_rows(types, self.len(), |each| {
            for row in 0..self.len() {
                let (block, number, _) = self.at(row);
                each(block.key(number));
            }
        })
    }

    pub(crate) fn prefix(&self, row: usize) -> u64 {
        let (block, number, _) = self.at(row);
        block.prefix(number)
    }

    pub(crate) fn order(&self, row: usize) -> &[u8] {
        let (block, number, _) = self.at(row);
        block.order(number)
    }

    pub(crate) fn stamp(&self, row: usize) -> u32 {
        let (block, number, _) = self.at(row);
        block.stamp(number)
    }

    /// The values of a row under the table's schema.
    pub(crate) fn values(&self, row: usize) -> impl Iterator<Item = Value<'_>> {
        let (block, number, source) = self.at(row);
        self.evolutions[source].values(move |column| block.value(number, column))
    }

    /// One of them.
    pub(crate) fn value(&self, row: usize, column: usize) -> Value<'_> {
        let (block, number, source) = self.at(row);
        self.evolutions[source].value(column, |stored| block.value(number, stored))
    }
}

/// The rows of segments that count, some at a time.
pub(crate) struct Batches {
    merge: Merge,
    evolutions: Arc<[Evolution]>,
    /// The block that each source's last row was in: its place in the batch and its number.
    last: Vec<Option<(u32, u32)>>,
}

impl Batches {
    pub(crate) fn new(
        table: &TableSpec,
        groups: Groups,
        segments: &[Input],
    ) -> Result<Self, RestoreError> {
        check_groups(table, groups.of, segments)?;
        let merge = Merge::new(table, segments, groups.range, true)?;
        let evolutions: Arc<[Evolution]> = merge.evolutions().into();
        let last = vec![None; evolutions.len()];
        Ok(Self { merge, evolutions, last })
    }

    /// The next rows, in order; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Batch>, RestoreError> {
        let evolutions = Arc::clone(&self.evolutions);
        let mut batch = Batch { evolutions, blocks: Vec::new(), rows: Vec::new() };
        self.last.fill(None);
        while batch.rows.len() < ROWS {
            let Some(hit) = self.merge.advance()? else { break };
            let number = hit.block.number();
            let block = match self.last[hit.source] {
                Some((at, same)) if same == number => at,
                _ => {
                    batch.blocks.push((hit.source, hit.block.clone()));
                    let at = (batch.blocks.len() - 1) as u32;
                    self.last[hit.source] = Some((at, number));
                    at
                }
            };
            batch.rows.push((block, hit.row as u32));
        }
        Ok((!batch.rows.is_empty()).then_some(batch))
    }
}

/// Keys of a job with another number of key groups would be in other groups.
pub(crate) fn check_groups(
    table: &TableSpec,
    of: u32,
    segments: &[Input],
) -> Result<(), RestoreError> {
    for segment in segments {
        let stored = segment.stored.reader().meta().groups;
        if stored != of {
            return Err(RestoreError::Groups { table: table.name.clone(), stored, wanted: of });
        }
    }
    Ok(())
}

/// Hands every row of the groups to `install`, batch by batch, in order; gives the clock and the
/// bounds of the segments.
pub(crate) fn restore(
    table: &TableSpec,
    groups: Groups,
    segments: &[Input],
    mut install: impl FnMut(&Batch) -> Result<(), RestoreError>,
) -> Result<(u32, Bounds), RestoreError> {
    let mut batches = Batches::new(table, groups, segments)?;
    while let Some(batch) = batches.next()? {
        install(&batch)?;
    }
    Ok((batches.merge.clock(), batches.merge.bounds().clone()))
}
