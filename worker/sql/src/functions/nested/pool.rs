//! The elements of several columns in one, so that a function of arrays says by number which of them
//! make its results, whatever they are.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::Field;
use arrow::row::{RowConverter, Rows, SortField};
use weir_engine::EngineError;

use crate::expr::Col;

/// Elements, numbered through all columns.
pub(super) struct Pool {
    values: ArrayRef,
    columns: Vec<Column>,
}

enum Column {
    /// Where the elements of each row are; `None` for NULL.
    Lists { ranges: Vec<Option<Range<u32>>>, scalar: bool },
    /// One element a row, from this number on.
    Items { from: u32, scalar: bool },
}

impl Pool {
    /// The elements of columns of arrays, and of `items`, columns of one element a row.
    pub(super) fn new(lists: &[Col], items: &[Col]) -> Result<Self, EngineError> {
        let mut values: Vec<ArrayRef> = Vec::new();
        let mut columns = Vec::new();
        let mut from = 0u32;
        for col in lists {
            let list = col.values().as_list::<i32>();
            let offset = |row: usize| from + list.value_offsets()[row] as u32;
            let range = |row: usize| list.is_valid(row).then(|| offset(row)..offset(row + 1));
            let ranges = (0..list.len()).map(range).collect();
            columns.push(Column::Lists { ranges, scalar: col.is_scalar() });
            values.push(list.values().clone());
            from += list.values().len() as u32;
        }
        for col in items {
            columns.push(Column::Items { from, scalar: col.is_scalar() });
            values.push(col.values().clone());
            from += col.values().len() as u32;
        }
        let parts: Vec<&dyn Array> = values.iter().map(|array| &**array).collect();
        Ok(Self { values: arrow::compute::concat(&parts)?, columns })
    }

    /// The elements of a row's array; `None` for NULL.
    pub(super) fn list(&self, column: usize, row: usize) -> Option<Range<u32>> {
        match self.columns.get(column)? {
            Column::Lists { ranges, scalar } => ranges.get(if *scalar { 0 } else { row })?.clone(),
            Column::Items { .. } => None,
        }
    }

    /// The element of a row.
    pub(super) fn item(&self, column: usize, row: usize) -> u32 {
        match self.columns.get(column) {
            Some(Column::Items { from, scalar: false }) => from + row as u32,
            Some(Column::Items { from, .. }) => *from,
            _ => 0,
        }
    }

    pub(super) fn is_null(&self, element: u32) -> bool {
        self.values.is_null(element as usize)
    }

    /// Elements that can be compared: equal bytes are equal values, NULL one of them, and their
    /// order is that of the values, NULL first.
    pub(super) fn comparable(&self) -> Result<Rows, EngineError> {
        let sort = SortField::new(self.values.data_type().clone());
        let converter = RowConverter::new(vec![sort])?;
        Ok(converter.convert_columns(std::slice::from_ref(&self.values))?)
    }

    /// Arrays of these elements.
    pub(super) fn lists(
        &self,
        rows: impl Iterator<Item = Option<Vec<u32>>>,
    ) -> Result<ArrayRef, EngineError> {
        let (mut indices, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            valid.push(row.is_some());
            let row = row.unwrap_or_default();
            lengths.push(row.len());
            indices.extend(row);
        }
        let values = take(&self.values, &UInt32Array::from(indices), None)?;
        let field = Arc::new(Field::new("item", values.data_type().clone(), true));
        let nulls = NullBuffer::from(valid);
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, nulls)?))
    }

    /// One of these elements a row.
    pub(super) fn elements(
        &self,
        rows: impl Iterator<Item = Option<u32>>,
    ) -> Result<ArrayRef, EngineError> {
        Ok(take(&self.values, &rows.collect::<UInt32Array>(), None)?)
    }
}
