//! The rows of a stored table as data, for whoever looks at state from outside of its operator.
//!
//! What enters: a table's spec, and the segments that count for some key groups. What leaves: rows as
//! Arrow columns, or how many of them differ between two versions. Which rows there are is decided
//! where a restore decides it ([`crate::merge`]): the youngest segment wins, and what a tombstone
//! hides, what has expired and what is below an expiry bound is not there.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef};

use super::restore::{Batch, Batches, check_groups};
use super::spec::numbered;
use super::{Field, Groups, Order, RestoreError, TableError, TableSpec, build_array};
use crate::canonical::decode_rows;
use crate::merge::{Hit, Input, Merge};
use crate::sorted::order::decode_orders;
use crate::sorted::order_time;

/// The column that says when a timer is due: event time in milliseconds, or what the operator's
/// clock counts.
pub const DUE: &str = "due";

/// The columns that the rows of a table have: those of the key, then what the rows of a key are sorted
/// by, then the row's own. Of columns that are called alike all but the first get a number, as in
/// [`TableSpec::keyed`].
#[must_use]
pub fn row_schema(spec: &TableSpec) -> SchemaRef {
    let due = [Field::new(DUE, DataType::Int64, false)];
    let order: Vec<Field> = match &spec.order {
        Order::None => Vec::new(),
        Order::By(fields) => fields.iter().map(|order| order.field.clone()).collect(),
        Order::Due => due.to_vec(),
    };
    // Keys and orders are not checked for NULL where they are written.
    let place = spec.key.iter().cloned().chain(order).map(|f| Field { nullable: true, ..f });
    let fields = numbered(place.chain(spec.columns.iter().cloned()).collect());
    let fields = fields.into_iter().map(|f| ArrowField::new(f.name, f.data_type, f.nullable));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The live rows of some key groups, a batch at a time.
pub struct Rows {
    spec: TableSpec,
    schema: SchemaRef,
    batches: Batches,
}

impl Rows {
    /// The rows of `groups` in these segments, which are all that count for them.
    ///
    /// # Errors
    /// When a segment cannot be read, has a schema that cannot be taken over, or is of a job with
    /// another number of key groups.
    pub fn open(
        spec: &TableSpec,
        groups: Groups,
        segments: &[Input],
    ) -> Result<Self, RestoreError> {
        let batches = Batches::new(spec, groups, segments)?;
        Ok(Self { spec: spec.clone(), schema: row_schema(spec), batches })
    }

    /// The next rows, under [`row_schema`], sorted by key group; `None` after the last.
    ///
    /// # Errors
    /// When a segment cannot be read, or holds what does not fit the table's types.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, RestoreError> {
        let Some(batch) = self.batches.next()? else { return Ok(None) };
        let mut columns = self.places(&batch)?;
        for (column, field) in self.spec.columns.iter().enumerate() {
            let values = (0..batch.len()).map(|row| batch.value(row, column));
            columns.push(build_array(&field.data_type, values).map_err(TableError::from)?);
        }
        let records = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        Ok(Some(records.map_err(TableError::from)?))
    }

    /// Keys, and what is behind them in the order.
    fn places(&self, batch: &Batch) -> Result<Vec<ArrayRef>, RestoreError> {
        let types = self.spec.key_types();
        let orders = || (0..batch.len()).map(|row| batch.order(row));
        if self.spec.order == Order::Due {
            // A timer's key stands behind its time.
            let keys = decode_rows(&types, batch.len(), |each| {
                orders().for_each(|order| each(order.get(8..).unwrap_or_default()));
            });
            let mut columns = keys?;
            columns.push(Arc::new(orders().map(order_time).collect::<Int64Array>()));
            return Ok(columns);
        }
        let mut columns = batch.keys(&types)?;
        let order = decode_orders(self.spec.order_fields(), orders());
        columns.extend(order.map_err(TableError::from)?);
        Ok(columns)
    }
}

/// How many rows differ between two versions of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Difference {
    /// Rows whose key and order only the later version has.
    pub added: u64,
    /// Rows whose key and order only the earlier version has.
    pub removed: u64,
    /// Rows of both with other values.
    pub changed: u64,
    /// Rows of both with the same values.
    pub same: u64,
}

impl Difference {
    /// Counts others, too.
    pub fn add(&mut self, more: Self) {
        self.added += more.added;
        self.removed += more.removed;
        self.changed += more.changed;
        self.same += more.same;
    }
}

/// What became of the rows of `groups` between two versions, both read under `table`: what the
/// earlier one holds in columns that are gone does not count.
///
/// # Errors
/// When a segment cannot be read, has a schema that cannot be taken over, or is of a job with another
/// number of key groups.
pub fn difference(
    table: &TableSpec,
    groups: Groups,
    before: &[Input],
    after: &[Input],
) -> Result<Difference, RestoreError> {
    check_groups(table, groups.of, before)?;
    check_groups(table, groups.of, after)?;
    let mut before = Merge::new(table, before, groups.range, true)?;
    let mut after = Merge::new(table, after, groups.range, true)?;
    let mut found = Difference::default();
    before.advance()?;
    after.advance()?;
    loop {
        let side = match (before.current(), after.current()) {
            (None, None) => return Ok(found),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => {
                let side = compare(&a, &b);
                if side.is_eq() {
                    let same = a
                        .evolution
                        .values(|column| a.block.value(a.row, column))
                        .eq(b.evolution.values(|column| b.block.value(b.row, column)));
                    *(if same { &mut found.same } else { &mut found.changed }) += 1;
                }
                side
            }
        };
        if side.is_lt() {
            found.removed += 1;
        } else if side.is_gt() {
            found.added += 1;
        }
        if side.is_le() {
            before.advance()?;
        }
        if side.is_ge() {
            after.advance()?;
        }
    }
}

/// By key and order.
fn compare(a: &Hit<'_>, b: &Hit<'_>) -> Ordering {
    let (prefix, key, order) = (b.block.prefix(b.row), b.block.key(b.row), b.block.order(b.row));
    a.block.compare(a.row, prefix, key, order)
}
