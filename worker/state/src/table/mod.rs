//! Tables: the state of an operator, held in memory, stored in sorted segments.
//!
//! ```text
//!  keys ──resolve──► slots ──► typed cells, read and written in place
//!                       freeze(age) ──► Frozen ──encode, elsewhere──► segment ──► chain
//!                                          restore ◄── segments of any subtasks ◄──┘
//! ```
//!
//! An operator declares tables ([`TableSpec`]) and works on them batch by batch; it never
//! encodes, restores, counts bytes, or hears of deltas and tombstones. There are three kinds:
//! [`Keyed`] (key → a row), [`Ordered`] (key → rows by order), [`Timers`] (key, time). What they
//! have in common with the engine is [`Table`].
//!
//! What always holds:
//! - The state at a checkpoint is what the segments published with it, youngest first, say.
//!   Nothing else is ever stored.
//! - Freezing costs O(changed chunks), never O(table); encoding happens on another thread.
//! - What was frozen is never frozen again: whoever declines an attempt hands the same bytes to
//!   the next one (PROTOCOL rule 6).
//! - A slot is good for one batch: [`Table::sweep`] and [`Table::trim`] may move rows, and only
//!   they.
//! - A table takes over what is stored of it either as a whole, then everything is in memory, or
//!   the indexes of its segments alone, then rows are read ahead of a batch that needs them
//!   ([`Announced`]). Either way rows that segments hold can leave memory again. Timers are always
//!   in memory.
//! - Time comes from outside and stands still during a batch.

mod blob;
mod bounds;
mod cells;
mod columns;
mod evolve;
mod frozen;
mod keyed;
mod ordered;
mod read_through;
mod restore;
pub mod rows;
mod run;
mod scan;
mod slots;
mod spec;
mod timers;
mod type_text;

use arrow::array::ArrayRef;
pub use bounds::Bounds;
pub use cells::CellKind;
pub(crate) use cells::{Cells, build_array};
pub use columns::{Cell, ColumnError, Reader, Writer};
pub use evolve::{Evolution, EvolveError, Source, evolve};
pub use frozen::{EncodeError, Encoded, Frozen};
pub use keyed::Keyed;
pub use ordered::Ordered;
pub use read_through::{Announced, Layer};
pub use restore::RestoreError;
pub use scan::{Edge, Scan};
pub use spec::{Expiry, Field, Order, OrderField, Scalar, SpecError, TableSpec};
pub use timers::Timers;
use weir_protocol::{KeyGroup, KeyGroupRange};

use crate::UnsupportedType;
use crate::canonical::DecodeError;
use crate::merge::{Input, MergeError};
use crate::sorted::Age;

/// The key groups that a subtask's tables hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Groups {
    /// Those of the subtask.
    pub range: KeyGroupRange,
    /// How many the job has: its maximal parallelism.
    pub of: u32,
}

/// Bytes of memory, by what would free them. Capacity counts, not content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// Rows with their keys that no published checkpoint holds: freed by one.
    pub dirty: usize,
    /// Frozen rows that are not encoded yet and were written since: those are there twice.
    pub frozen: usize,
    /// Rows that segments hold as they are, and room for more.
    pub clean: usize,
    /// What finds rows: indexes, runs, marks.
    pub index: usize,
}

impl Memory {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> usize {
        self.dirty + self.frozen + self.clean + self.index
    }

    /// What rows that no published checkpoint holds take, with what finds them.
    #[must_use]
    pub fn unpublished(&self) -> usize {
        self.dirty + self.frozen + self.finds(self.dirty)
    }

    /// What would be free without the rows that segments hold as they are, with what finds them: of
    /// narrow rows that is most.
    #[must_use]
    pub fn evictable(&self) -> usize {
        self.clean + self.finds(self.clean)
    }

    /// What finds these of the rows.
    fn finds(&self, rows: usize) -> usize {
        let all = (self.dirty + self.clean).max(1);
        (self.index as u128 * rows as u128 / all as u128) as usize
    }
}

/// What is stored of a table when it begins.
#[derive(Debug)]
pub enum StoredTable {
    /// Its segments with all that they hold for it: every row comes into memory.
    Whole(Vec<Input>),
    /// Their indexes alone: rows come into memory when they are needed.
    Layers(Vec<Layer>),
}

/// What the engine does with every table, whatever its kind.
pub trait Table {
    /// What the operator declared.
    fn spec(&self) -> &TableSpec;

    /// Makes an empty table what is stored of it, before it is used.
    ///
    /// # Errors
    /// When a segment cannot be read, or was written under a schema that cannot be taken over.
    fn take_over(&mut self, stored: StoredTable) -> Result<(), RestoreError>;

    /// Sets the clock of the next batch, in seconds; event or processing time, as the operator
    /// likes. It never goes back: an earlier time than before changes nothing, so that what has
    /// expired stays so, also after a restore.
    fn set_clock(&mut self, now: u32);

    /// Whether anything changed since the last freeze: a row, or an expiry bound. The clock alone
    /// is no change, because after a restore the next batch brings a later one anyway.
    fn is_dirty(&self) -> bool;

    /// What changed since the last freeze, for another thread to encode. `age` must be above
    /// that of every freeze before, of this run and of the one it was restored from. If nothing
    /// is dirty the segment has no rows.
    fn freeze(&mut self, age: Age) -> Frozen;

    /// Everything that was frozen at this age or before is in a published checkpoint. Must be
    /// called for no age that has not been published: tombstones are forgotten here. A table that
    /// reads through goes by [`Table::follow`] instead.
    fn published(&mut self, up_to: Age);

    /// The segments that hold what was frozen up to this age: after a checkpoint was published, or
    /// segments were merged.
    ///
    /// # Errors
    /// When a segment has a schema that cannot be taken over.
    fn follow(&mut self, layers: Vec<Layer>, up_to: Age) -> Result<(), MergeError> {
        let _ = layers;
        self.published(up_to);
        Ok(())
    }

    /// Which blocks the keys of a batch need that is going to be taken; none if every row is in
    /// memory.
    ///
    /// # Errors
    /// When the columns are of other types than the key's.
    fn announce(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
    ) -> Result<Option<Announced>, TableError> {
        let _ = (keys, rows);
        Ok(None)
    }

    /// Puts what was announced into memory where nothing is known. `false`: the announcement is no
    /// longer good, or not ready, and nothing happened; the batch is to be announced again.
    ///
    /// # Errors
    /// When the columns of a key cannot be built.
    fn install(&mut self, announced: &Announced) -> Result<bool, TableError> {
        Ok(announced.is_ready())
    }

    /// Frees the memory of at most about `limit` rows that expired, and now and then moves the
    /// rows of a table that has become mostly empty together. Gives how many rows went. To be
    /// called between batches: slots are not good beyond it.
    fn sweep(&mut self, limit: usize) -> usize;

    /// Drops rows from memory that segments hold as they are, so that about `want` bytes become
    /// free: first those that were not used since the last trim, then others. Gives how many
    /// bytes did. To be called between batches, like [`Table::sweep`]; what was announced before
    /// is to be announced again. To drop 0 bytes is to begin anew with what counts as used. A
    /// table that does not read through keeps every row.
    fn trim(&mut self, want: usize) -> usize {
        let _ = want;
        0
    }

    /// Memory that the table holds.
    fn memory(&self) -> Memory;

    /// Tells of the rows in memory by key group: of at most about `most` of them, evenly spread, of
    /// which each stands for those that are left out. For people to look at; to be called between
    /// batches. Timers are not told of: whoever is due has a row, mostly, and a walk over all of
    /// them is long.
    ///
    /// # Errors
    /// When a key cannot be read, which is a bug.
    fn count_groups(
        &self,
        most: usize,
        count: &mut dyn FnMut(KeyGroup, u64),
    ) -> Result<(), TableError> {
        let _ = (most, count);
        Ok(())
    }
}

/// What can go wrong with columns that come in or go out.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A column of another type than the table's.
    #[error(transparent)]
    Type(#[from] UnsupportedType),
    /// A column that is not there.
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// Stored keys that do not fit the types of the table.
    #[error(transparent)]
    Key(#[from] DecodeError),
    /// Stored orders that do not fit the types of the table.
    #[error(transparent)]
    Order(#[from] crate::sorted::order::OrderError),
    /// An array that cannot be built.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// A NULL where the table's schema has none.
    #[error("column {0} of a state table holds a NULL, which its schema does not allow")]
    Null(String),
    /// Another number of columns than the table has.
    #[error("{what} of {given} columns was given, the state table has {wanted}")]
    Width {
        /// A key, order or row.
        what: &'static str,
        /// How many were given.
        given: usize,
        /// How many the table has.
        wanted: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Freezing, encoding, merging and reading ahead are each on a thread of their own.
    #[test]
    fn what_goes_to_another_thread_can() {
        fn check<T: Send>() {}
        check::<Frozen>();
        check::<Encoded>();
        check::<Announced>();
        check::<Layer>();
        check::<crate::merge::Compaction>();
        check::<Keyed>();
        check::<Ordered>();
        check::<Timers>();
    }

    #[test]
    fn of_narrow_rows_what_finds_them_is_most_of_what_they_free() {
        let memory = Memory { dirty: 1 << 20, frozen: 7, clean: 3 << 20, index: 16 << 20 };
        assert_eq!(memory.evictable(), 15 << 20);
        assert_eq!(memory.unpublished(), (5 << 20) + 7);
        assert_eq!(memory.evictable() + memory.unpublished(), memory.total());
        assert_eq!(Memory::default().evictable(), 0);
    }
}
