//! The live rows of a table, key group by key group: what is exported is what is selected.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use weir_checkpoint::data::OpenTable;
use weir_protocol::{KeyGroup, KeyGroupRange};
use weir_state::merge::Input;
use weir_state::table::Groups;
use weir_state::table::rows::Rows;

use super::pick::Picked;

/// Rows that are handed on together, about.
const TOGETHER: usize = 4_096;

/// A place between rows: so many rows of this key group are behind it, and all groups before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct At {
    pub(crate) group: u16,
    pub(crate) rows: u64,
}

/// Rows of some key groups on their way out. One piece of the table is in memory: the key groups of
/// about 16 MB, or a single larger one.
pub(crate) struct LiveRows {
    picked: Arc<Picked>,
    schema: SchemaRef,
    table: OpenTable,
    /// Key groups of which nothing is read.
    left: KeyGroupRange,
    /// What is in memory, and its groups that no row was read of.
    piece: Vec<Input>,
    groups: KeyGroupRange,
    /// The group that is read, and where.
    current: Option<(At, Rows)>,
    /// Rows of the first group that are not given.
    skip: u64,
}

impl LiveRows {
    /// The rows of the key groups in `range`, from `at` on, which is in it.
    ///
    /// # Errors
    /// When a segment is missing or damaged.
    pub(crate) async fn open(
        picked: Arc<Picked>,
        range: KeyGroupRange,
        at: At,
    ) -> anyhow::Result<Self> {
        let left = KeyGroupRange { start: at.group.max(range.start), end: range.end };
        let table = picked.reader.open_table(&picked.references, left).await?;
        Ok(Self {
            schema: picked.schema(),
            picked,
            table,
            left,
            piece: Vec::new(),
            groups: KeyGroupRange { start: left.start, end: left.start },
            current: None,
            skip: at.rows,
        })
    }

    /// All rows.
    ///
    /// # Errors
    /// As [`LiveRows::open`].
    pub(crate) async fn all(picked: Arc<Picked>) -> anyhow::Result<Self> {
        let range = KeyGroupRange::all(picked.key_groups);
        Self::open(picked, range, At { group: 0, rows: 0 }).await
    }

    /// The next rows, and the place behind them; `None` after the last. They are always the same
    /// rows in the same order, since a version never changes.
    ///
    /// # Errors
    /// When a segment is missing, damaged, or has a schema that cannot be taken over.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<(RecordBatch, At)>> {
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut behind = None;
        let mut rows = 0;
        while rows < TOGETHER {
            let Some((batch, at)) = self.next_of_group().await? else { break };
            rows += batch.num_rows();
            behind = Some(at);
            batches.push(batch);
        }
        let Some(behind) = behind else { return Ok(None) };
        let together = match batches.as_slice() {
            [one] => one.clone(),
            several => concat_batches(&self.schema, several)?,
        };
        Ok(Some((together, behind)))
    }

    async fn next_of_group(&mut self) -> anyhow::Result<Option<(RecordBatch, At)>> {
        loop {
            if let Some((at, rows)) = &mut self.current {
                let Some(mut batch) = rows.next_batch()? else {
                    self.current = None;
                    continue;
                };
                let passed = self.skip.min(batch.num_rows() as u64);
                self.skip -= passed;
                at.rows += batch.num_rows() as u64;
                batch = batch.slice(passed as usize, batch.num_rows() - passed as usize);
                if batch.num_rows() > 0 {
                    return Ok(Some((batch, *at)));
                }
            } else if !self.groups.is_empty() {
                let group = self.groups.start;
                self.groups.start += 1;
                let range = KeyGroupRange { start: group, end: group + 1 };
                let groups = Groups { range, of: self.picked.key_groups };
                let inputs = OpenTable::of_group(&self.piece, KeyGroup(group));
                let rows = Rows::open(&self.picked.spec, groups, &inputs)?;
                self.current = Some((At { group, rows: 0 }, rows));
            } else if !self.left.is_empty() {
                self.piece.clear();
                self.groups = self.table.next_piece(self.left);
                self.left.start = self.groups.end;
                self.piece = self.table.read(self.groups).await?;
            } else {
                return Ok(None);
            }
        }
    }
}
