//! The typed columns of a table's rows, by slot.

use std::any::Any;

use arrow::array::ArrayRef;

use crate::chunked::Chunked;
use crate::sorted::Value;

use super::blob::Blob;
use super::slots::Slots;
use super::{CellKind, TableError, TableSpec, build_array};

#[derive(Debug)]
pub(crate) enum Column {
    Bool(Chunked<bool>),
    Int(Chunked<i32>),
    Long(Chunked<i64>),
    Double(Chunked<f64>),
    Wide(Chunked<i128>),
    Bytes(Chunked<Blob>),
}

/// Applies an expression to the values of a column of any kind.
macro_rules! each {
    ($column:expr, $values:ident => $apply:expr) => {
        match $column {
            Column::Bool($values) => $apply,
            Column::Int($values) => $apply,
            Column::Long($values) => $apply,
            Column::Double($values) => $apply,
            Column::Wide($values) => $apply,
            Column::Bytes($values) => $apply,
        }
    };
}

/// A type that cells have, held as it is: `bool`, `i32`, `i64`, `f64`, `i128`.
pub trait Cell: Copy + Default + sealed::Sealed + 'static {}

impl Cell for bool {}
impl Cell for i32 {}
impl Cell for i64 {}
impl Cell for f64 {}
impl Cell for i128 {}

mod sealed {
    pub trait Sealed {}

    impl Sealed for bool {}
    impl Sealed for i32 {}
    impl Sealed for i64 {}
    impl Sealed for f64 {}
    impl Sealed for i128 {}
}

impl Column {
    fn of<T: Cell>(&self) -> Option<&Chunked<T>> {
        each!(self, values => (values as &dyn Any).downcast_ref())
    }

    fn of_mut<T: Cell>(&mut self) -> Option<&mut Chunked<T>> {
        each!(self, values => (values as &mut dyn Any).downcast_mut())
    }
}

/// A column that does not exist, or holds another type than it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("column {column} of a state table does not exist or is not of the type it was used with")]
pub struct ColumnError {
    /// Position among the row's columns.
    pub column: usize,
}

/// Where a nullable column's bit is: in which of the words of a row, and which.
#[derive(Clone, Copy, Debug)]
struct NullBit {
    word: usize,
    mask: u64,
}

/// The cells of rows, and when these were written.
#[derive(Debug)]
pub(crate) struct Columns {
    columns: Vec<Column>,
    null_bits: Vec<Option<NullBit>>,
    /// Per row a bit for each nullable column, set if NULL; 64 to a word.
    nulls: Vec<Chunked<u64>>,
    stamps: Option<Chunked<u32>>,
    /// Memory of long strings, in bytes.
    heap: usize,
}

impl Columns {
    pub(crate) fn new(spec: &TableSpec) -> Self {
        let columns = spec.kinds().into_iter().map(|kind| match kind {
            CellKind::Bool => Column::Bool(Chunked::new()),
            CellKind::Int => Column::Int(Chunked::new()),
            CellKind::Long => Column::Long(Chunked::new()),
            CellKind::Double => Column::Double(Chunked::new()),
            CellKind::Wide => Column::Wide(Chunked::new()),
            CellKind::Bytes => Column::Bytes(Chunked::new()),
        });
        let mut nullable = 0;
        let null_bits = spec.columns.iter().map(|field| {
            field.nullable.then(|| {
                nullable += 1;
                NullBit { word: (nullable - 1) / 64, mask: 1 << ((nullable - 1) % 64) }
            })
        });
        let null_bits: Vec<_> = null_bits.collect();
        Self {
            columns: columns.collect(),
            null_bits,
            nulls: (0..nullable.div_ceil(64)).map(|_| Chunked::new()).collect(),
            stamps: spec.expiry.is_ttl().then(Chunked::new),
            heap: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    pub(crate) fn grow(&mut self, len: usize) {
        self.columns.iter_mut().for_each(|column| each!(column, values => values.grow(len)));
        self.nulls.iter_mut().for_each(|nulls| nulls.grow(len));
        self.stamps.iter_mut().for_each(|stamps| stamps.grow(len));
    }

    /// Makes a new row of the slot: NULL where that may be, else 0 or empty.
    #[inline]
    pub(crate) fn reset(&mut self, slot: u32) {
        for nulls in &mut self.nulls {
            *nulls.get_mut(slot as usize) = u64::MAX;
        }
        for column in &mut self.columns {
            match column {
                Column::Bytes(values) => {
                    let value = values.get_mut(slot as usize);
                    self.heap -= value.heap();
                    *value = Blob::default();
                }
                Column::Bool(values) => *values.get_mut(slot as usize) = false,
                Column::Int(values) => *values.get_mut(slot as usize) = 0,
                Column::Long(values) => *values.get_mut(slot as usize) = 0,
                Column::Double(values) => *values.get_mut(slot as usize) = 0.0,
                Column::Wide(values) => *values.get_mut(slot as usize) = 0,
            }
        }
    }

    /// Frees what a row holds beside its cells.
    pub(crate) fn release(&mut self, slot: u32) {
        for column in &mut self.columns {
            if let Column::Bytes(values) = column
                && values.get(slot as usize).heap() > 0
            {
                let value = values.get_mut(slot as usize);
                self.heap -= value.heap();
                *value = Blob::default();
            }
        }
    }

    #[inline]
    pub(crate) fn set(&mut self, slot: u32, column: usize, value: Value<'_>) {
        if let Some(bit) = self.null_bits[column] {
            let nulls = self.nulls[bit.word].get_mut(slot as usize);
            *nulls = if value == Value::Null { *nulls | bit.mask } else { *nulls & !bit.mask };
        }
        let slot = slot as usize;
        match (&mut self.columns[column], value) {
            (Column::Bool(values), Value::Word(word)) => *values.get_mut(slot) = word != 0,
            (Column::Int(values), Value::Word(word)) => *values.get_mut(slot) = word as i32,
            (Column::Long(values), Value::Word(word)) => *values.get_mut(slot) = word as i64,
            (Column::Double(values), Value::Word(word)) => {
                *values.get_mut(slot) = f64::from_bits(word);
            }
            (Column::Wide(values), Value::Wide(wide)) => *values.get_mut(slot) = wide,
            (Column::Bytes(values), Value::Bytes(bytes)) => {
                put(values.get_mut(slot), bytes, &mut self.heap);
            }
            // NULL: what stands there is not looked at.
            _ => {}
        }
    }

    #[inline]
    pub(crate) fn value(&self, slot: u32, column: usize) -> Value<'_> {
        let slot = slot as usize;
        if let Some(bit) = self.null_bits[column]
            && self.nulls[bit.word].get(slot) & bit.mask != 0
        {
            return Value::Null;
        }
        match &self.columns[column] {
            Column::Bool(values) => Value::Word(u64::from(*values.get(slot))),
            Column::Int(values) => Value::Word(i64::from(*values.get(slot)) as u64),
            Column::Long(values) => Value::Word(*values.get(slot) as u64),
            Column::Double(values) => Value::Word(values.get(slot).to_bits()),
            Column::Wide(values) => Value::Wide(*values.get(slot)),
            Column::Bytes(values) => Value::Bytes(values.get(slot).as_bytes()),
        }
    }

    #[inline]
    pub(crate) fn stamp(&self, slot: u32) -> u32 {
        self.stamps.as_ref().map_or(0, |stamps| *stamps.get(slot as usize))
    }

    #[inline]
    pub(crate) fn set_stamp(&mut self, slot: u32, stamp: u32) {
        if let Some(stamps) = &mut self.stamps {
            *stamps.get_mut(slot as usize) = stamp;
        }
    }

    pub(crate) fn reader<T: Cell>(&self, column: usize) -> Result<Reader<'_, T>, ColumnError> {
        let values = self.columns.get(column).and_then(Column::of).ok_or(ColumnError { column })?;
        let nulls = self.null_bits[column].map(|bit| (&self.nulls[bit.word], bit.mask));
        Ok(Reader { values, nulls })
    }

    pub(crate) fn writer<'a, T: Cell>(
        &'a mut self,
        column: usize,
        slots: &'a Slots,
    ) -> Result<Writer<'a, T>, ColumnError> {
        let values =
            self.columns.get_mut(column).and_then(Column::of_mut).ok_or(ColumnError { column })?;
        let nulls = self.null_bits[column].map(|bit| (&mut self.nulls[bit.word], bit.mask));
        Ok(Writer { values, nulls, slots })
    }

    /// The values of a column at these slots.
    pub(crate) fn read(
        &self,
        spec: &TableSpec,
        column: usize,
        slots: &[u32],
    ) -> Result<ArrayRef, TableError> {
        let field = spec.columns.get(column).ok_or(ColumnError { column })?;
        let values = slots.iter().map(|&slot| self.value(slot, column));
        Ok(build_array(&field.data_type, values)?)
    }

    /// These chunks alone, one after another. Long strings are shared until they are written
    /// over; of `of` chunks each is taken to have its share of them.
    pub(crate) fn freeze_chunks(&mut self, chunks: &[u32], of: usize) -> Self {
        let columns = self.columns.iter_mut().map(|column| match column {
            Column::Bool(values) => Column::Bool(values.freeze_chunks(chunks)),
            Column::Int(values) => Column::Int(values.freeze_chunks(chunks)),
            Column::Long(values) => Column::Long(values.freeze_chunks(chunks)),
            Column::Double(values) => Column::Double(values.freeze_chunks(chunks)),
            Column::Wide(values) => Column::Wide(values.freeze_chunks(chunks)),
            Column::Bytes(values) => Column::Bytes(values.freeze_chunks(chunks)),
        });
        Self {
            columns: columns.collect(),
            null_bits: self.null_bits.clone(),
            nulls: self.nulls.iter_mut().map(|nulls| nulls.freeze_chunks(chunks)).collect(),
            stamps: self.stamps.as_mut().map(|stamps| stamps.freeze_chunks(chunks)),
            heap: self.heap * chunks.len() / of.max(1),
        }
    }

    /// These slots, which ascend, as slots 0, 1, 2, … What is dropped is freed on the way.
    pub(crate) fn keep(self, slots: &[u32]) -> Self {
        let mut heap = 0;
        let columns = self.columns.into_iter().map(|column| match column {
            Column::Bool(values) => Column::Bool(values.keep(slots)),
            Column::Int(values) => Column::Int(values.keep(slots)),
            Column::Long(values) => Column::Long(values.keep(slots)),
            Column::Double(values) => Column::Double(values.keep(slots)),
            Column::Wide(values) => Column::Wide(values.keep(slots)),
            Column::Bytes(values) => {
                let values = values.keep(slots);
                heap += (0..values.len()).map(|slot| values.get(slot).heap()).sum::<usize>();
                Column::Bytes(values)
            }
        });
        Self {
            columns: columns.collect(),
            null_bits: self.null_bits,
            nulls: self.nulls.into_iter().map(|nulls| nulls.keep(slots)).collect(),
            stamps: self.stamps.map(|stamps| stamps.keep(slots)),
            heap,
        }
    }

    /// As [`Chunked::copied_bytes`], of all columns, with their part of the long strings: those are
    /// there twice as well once others are written over them.
    pub(crate) fn copied_bytes(&self) -> usize {
        let parts = self.columns.iter().map(|column| match column {
            Column::Bytes(values) => values.copied_part(),
            _ => 0.0,
        });
        let heap = (self.heap as f64 * parts.fold(0.0, f64::max)) as usize;
        let cells: usize = self
            .columns
            .iter()
            .map(|column| each!(column, values => values.copied_bytes()))
            .chain(self.nulls.iter().map(Chunked::copied_bytes))
            .chain(self.stamps.iter().map(Chunked::copied_bytes))
            .sum();
        cells + heap
    }

    /// As [`Chunked::forget_copies`], of all columns.
    pub(crate) fn forget_copies(&mut self) {
        self.columns.iter_mut().for_each(|column| each!(column, values => values.forget_copies()));
        self.nulls.iter_mut().for_each(Chunked::forget_copies);
        self.stamps.iter_mut().for_each(Chunked::forget_copies);
    }

    /// Memory of the cells in bytes, by capacity.
    pub(crate) fn bytes(&self) -> usize {
        self.columns.iter().map(|column| each!(column, values => values.bytes())).sum::<usize>()
            + self.nulls.iter().map(Chunked::bytes).sum::<usize>()
            + self.stamps.as_ref().map_or(0, Chunked::bytes)
            + self.heap
    }
}

#[inline]
fn put(cell: &mut Blob, bytes: &[u8], heap: &mut usize) {
    *heap -= cell.heap();
    *cell = Blob::new(bytes);
    *heap += cell.heap();
}

/// A column of rows, to be read by slot.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a, T> {
    values: &'a Chunked<T>,
    nulls: Option<(&'a Chunked<u64>, u64)>,
}

impl<T: Cell> Reader<'_, T> {
    /// The value in a slot; `None` is NULL.
    #[must_use]
    #[inline]
    pub fn get(&self, slot: u32) -> Option<T> {
        let slot = slot as usize;
        if self.nulls.is_some_and(|(nulls, mask)| nulls.get(slot) & mask != 0) {
            return None;
        }
        Some(*self.values.get(slot))
    }
}

/// A column of rows, to be read and written by slot.
///
/// Only slots that were resolved or touched in this batch may be written: others are not known
/// to have changed, so that no checkpoint would hold it.
#[derive(Debug)]
pub struct Writer<'a, T> {
    values: &'a mut Chunked<T>,
    nulls: Option<(&'a mut Chunked<u64>, u64)>,
    slots: &'a Slots,
}

impl<T: Cell> Writer<'_, T> {
    /// The value in a slot; `None` is NULL.
    #[must_use]
    #[inline]
    pub fn get(&self, slot: u32) -> Option<T> {
        let slot = slot as usize;
        if self.nulls.as_ref().is_some_and(|(nulls, mask)| nulls.get(slot) & *mask != 0) {
            return None;
        }
        Some(*self.values.get(slot))
    }

    /// Sets the value in a slot.
    #[inline]
    pub fn set(&mut self, slot: u32, value: T) {
        debug_assert!(self.slots.is_dirty(slot), "slot {slot} was neither resolved nor touched");
        if let Some((nulls, mask)) = &mut self.nulls {
            *nulls.get_mut(slot as usize) &= !*mask;
        }
        *self.values.get_mut(slot as usize) = value;
    }

    /// Sets the slot to NULL; where the column cannot be NULL, to the type's default.
    #[inline]
    pub fn set_null(&mut self, slot: u32) {
        self.set(slot, T::default());
        if let Some((nulls, mask)) = &mut self.nulls {
            *nulls.get_mut(slot as usize) |= *mask;
        }
    }
}
