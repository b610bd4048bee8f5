//! A Top-N, compiled.
//!
//! A key's rows are one ordered table: by the columns that they are sorted by, then by `$arrival`,
//! which tells rows apart that are equal in those. The other columns are the row's.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use weir_state::table::{self, Expiry, OrderField, TableSpec};

use super::spec::{RankFunction, TopN};
use crate::OperatorError;
use crate::aggregate::InputRows;

/// Where a column of the input is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Key(usize),
    Order(usize),
    Row(usize),
}

/// The compiled Top-N.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) spec: TopN,
    /// The columns of the order but `$arrival`, as numbers of the input's.
    pub(super) order: Vec<usize>,
    /// The columns of a row, as numbers of the input's.
    pub(super) row: Vec<usize>,
    /// Per column of the input where it is kept.
    pub(super) places: Vec<Place>,
    pub(super) table: TableSpec,
    pub(super) output: SchemaRef,
    /// Compares whole rows.
    pub(super) whole: RowConverter,
}

impl Plan {
    pub(super) fn new(spec: &TopN) -> Result<Self, OperatorError> {
        let field = |column: usize| {
            spec.input.fields().get(column).cloned().ok_or_else(|| {
                OperatorError::internal(format!(
                    "a Top-N reads column {column}, which is not there"
                ))
            })
        };
        if spec.from == 0 || spec.to < spec.from {
            return Err(OperatorError::user(format!(
                "a Top-N of the ranks {} to {} is empty; ranks begin with 1",
                spec.from, spec.to
            )));
        }
        let mut keys: Vec<table::Field> = Vec::new();
        for &key in &spec.keys {
            let field = field(key)?;
            keys.push(table::Field::new(field.name(), field.data_type().clone(), true));
        }
        let (mut order, mut order_fields) = (Vec::new(), Vec::new());
        for sort in &spec.order {
            // A column orders nothing within a key that it is part of, nor a second time.
            if spec.keys.contains(&sort.column) || order.contains(&sort.column) {
                continue;
            }
            let field = field(sort.column)?;
            order.push(sort.column);
            order_fields.push(OrderField {
                field: table::Field::new(field.name(), field.data_type().clone(), true),
                descending: sort.descending,
                nulls_first: sort.nulls_first,
            });
        }
        order_fields.push(OrderField::ascending("$arrival", DataType::Int64));
        let (mut places, mut row, mut columns) = (Vec::new(), Vec::new(), Vec::new());
        for (column, field) in spec.input.fields().iter().enumerate() {
            let key = spec.keys.iter().position(|&key| key == column).map(Place::Key);
            let sorted = order.iter().position(|&by| by == column).map(Place::Order);
            places.push(key.or(sorted).unwrap_or(Place::Row(row.len())));
            if key.or(sorted).is_none() {
                row.push(column);
                columns.push(table::Field::new(field.name(), field.data_type().clone(), true));
            }
        }
        let expiry = spec.ttl.map_or(Expiry::Never, Expiry::Ttl);
        let table = TableSpec::ordered("rows", keys, order_fields, columns).with_expiry(expiry);
        let mut output: Vec<Arc<Field>> = spec.input.fields().iter().cloned().collect();
        if let Some(name) = &spec.rank {
            output.push(Arc::new(Field::new(name, DataType::Int64, true)));
        }
        let types = spec.input.fields().iter().map(|f| SortField::new(f.data_type().clone()));
        Ok(Self {
            spec: spec.clone(),
            order,
            row,
            places,
            table,
            output: Arc::new(Schema::new(output)),
            whole: RowConverter::new(types.collect())?,
        })
    }

    /// The fields of the order but `$arrival`.
    pub(super) fn order_fields(&self) -> &[OrderField] {
        self.table.order_fields().get(..self.order.len()).unwrap_or_default()
    }

    /// Whether rows that are out of the first ranks never come back.
    pub(super) fn trims(&self) -> bool {
        self.spec.input_rows == InputRows::Appended
    }

    /// The rank of the row behind `rows` others, the last of which has the rank `last` and is
    /// equal to it or not.
    pub(super) fn next_rank(&self, rows: u64, last: u64, equal: bool) -> u64 {
        match self.spec.function {
            RankFunction::RowNumber => rows + 1,
            RankFunction::Rank | RankFunction::DenseRank if equal => last,
            RankFunction::Rank => rows + 1,
            RankFunction::DenseRank => last + 1,
        }
    }

    /// The input's columns of rows that are kept in parts.
    pub(super) fn join(
        &self,
        keys: &[ArrayRef],
        orders: &[ArrayRef],
        rows: &[ArrayRef],
    ) -> Vec<ArrayRef> {
        let place = |place: &Place| match *place {
            Place::Key(at) => Arc::clone(&keys[at]),
            Place::Order(at) => Arc::clone(&orders[at]),
            Place::Row(at) => Arc::clone(&rows[at]),
        };
        self.places.iter().map(place).collect()
    }

    /// Ranks as a column.
    pub(super) fn ranks(ranks: impl Iterator<Item = u64>) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            ranks.map(|rank| i64::try_from(rank).unwrap_or(i64::MAX)),
        ))
    }
}
