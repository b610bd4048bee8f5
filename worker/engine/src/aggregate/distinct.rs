//! DISTINCT: the set of values of each group beside the aggregate of it.
//!
//! All groups' sets are one table of (slot, value) pairs, chained per slot. Entries are only
//! ever added, so a delta holds those added since the last freeze. Who keeps the sets in a state
//! table needs none of this, and merges what comes to a set into the aggregate itself.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{filter, is_not_null, take};
use arrow::datatypes::{DataType, Field};
use weir_state::chunked::Chunked;
use weir_state::key_table::{FrozenKeys, KeyTable};

use super::{Accumulator, Aggregate, Export, Retraction, malformed};
use crate::OperatorError;

/// An aggregate over each value once. Partial result: the values, as a list.
#[derive(Debug)]
pub(super) struct Distinct {
    /// The aggregate without DISTINCT, over rows that only come.
    pub(super) inner: Arc<dyn Aggregate>,
    pub(super) value_type: DataType,
}

impl Aggregate for Distinct {
    fn output(&self) -> &DataType {
        self.inner.output()
    }

    fn state(&self) -> Vec<Field> {
        vec![Field::new("values", list_of(&self.value_type), true)]
    }

    fn partial(
        &self,
        values: Option<&ArrayRef>,
        _rows: usize,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let values = values.ok_or_else(|| malformed("DISTINCT"))?;
        let lengths = (0..values.len()).map(|row| usize::from(values.is_valid(row)));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let items = if values.null_count() > 0 {
            filter(values, &is_not_null(values)?)?
        } else {
            Arc::clone(values)
        };
        list(&self.value_type, offsets, items)
    }

    /// Its sets do not count how often a value is there.
    fn retraction(&self) -> Retraction {
        self.inner.retraction()
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>, OperatorError> {
        let set = KeyTable::new(&[DataType::UInt32, self.value_type.clone()])
            .map_err(OperatorError::user)?;
        Ok(Box::new(Sets {
            inner: Arc::clone(&self.inner),
            value_type: self.value_type.clone(),
            aggregate: self.inner.accumulator()?,
            set,
            chains: Chains::default(),
            frozen: 0,
        }))
    }
}

/// The type of partial results over values of `value_type`.
fn list_of(value_type: &DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(value_type.clone(), true)))
}

fn list(
    value_type: &DataType,
    offsets: OffsetBuffer<i32>,
    values: ArrayRef,
) -> Result<Vec<ArrayRef>, OperatorError> {
    let field = Arc::new(Field::new_list_field(value_type.clone(), true));
    Ok(vec![Arc::new(ListArray::try_new(field, offsets, values, None)?)])
}

#[derive(Debug)]
struct Sets {
    inner: Arc<dyn Aggregate>,
    value_type: DataType,
    aggregate: Box<dyn Accumulator>,
    set: KeyTable,
    chains: Chains,
    frozen: u32,
}

#[derive(Debug, Default)]
struct Chains {
    /// Per slot the newest entry + 1; 0 is none.
    heads: Chunked<u32>,
    /// Per entry the one before it of the same slot, + 1.
    next: Chunked<u32>,
}

#[derive(Debug)]
struct Frozen {
    chains: Chains,
    set: FrozenKeys,
    from: u32,
    value_type: DataType,
}

impl Chains {
    /// Lists of the entries from `from` on, per slot, and their values.
    fn export(
        &self,
        slots: &[u32],
        from: u32,
        value_type: &DataType,
        values: impl FnOnce(&[u32]) -> Result<Vec<ArrayRef>, OperatorError>,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let (mut entries, mut lengths) = (Vec::new(), Vec::with_capacity(slots.len()));
        for &slot in slots {
            let before = entries.len();
            let mut at = *self.heads.get(slot as usize);
            while at > from {
                entries.push(at - 1);
                at = *self.next.get(at as usize - 1);
            }
            lengths.push(entries.len() - before);
        }
        let values = values(&entries)?.pop().ok_or_else(|| malformed("DISTINCT"))?;
        list(value_type, OffsetBuffer::from_lengths(lengths), values)
    }
}

impl Export for Sets {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        self.chains.export(slots, 0, &self.value_type, |entries| {
            self.set.keys(entries).map_err(OperatorError::internal)
        })
    }
}

impl Export for Frozen {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        self.chains.export(slots, self.from, &self.value_type, |entries| {
            self.set.keys(entries).map_err(OperatorError::internal)
        })
    }
}

impl Accumulator for Sets {
    fn grow(&mut self, groups: usize) {
        self.chains.heads.grow(groups);
        self.aggregate.grow(groups);
    }

    fn merge(&mut self, slots: &[u32], partial: &[ArrayRef]) -> Result<(), OperatorError> {
        let [list] = partial else {
            return Err(malformed("DISTINCT"));
        };
        let list = list.as_list_opt::<i32>().ok_or_else(|| malformed("DISTINCT"))?;
        let offsets = list.value_offsets();
        let mut owners = Vec::with_capacity(list.values().len());
        for (slot, pair) in slots.iter().zip(offsets.windows(2)) {
            owners.extend(std::iter::repeat_n(*slot, (pair[1] - pair[0]) as usize));
        }
        let values = list.values().slice(offsets[0] as usize, owners.len());
        let (mut entries, known) = (Vec::new(), self.set.len() as u32);
        let columns = [Arc::new(UInt32Array::from(owners.clone())) as ArrayRef, values];
        self.set.resolve(&columns, owners.len(), &mut entries).map_err(OperatorError::internal)?;
        let [_, values] = columns;
        let (mut slots, mut rows) = (Vec::new(), Vec::new());
        for (row, (&entry, &slot)) in entries.iter().zip(&owners).enumerate() {
            // Entries are numbered in the order of their first rows.
            if entry == known + rows.len() as u32 {
                let head = self.chains.heads.get_mut(slot as usize);
                self.chains.next.push(std::mem::replace(head, entry + 1));
                slots.push(slot);
                rows.push(row as u32);
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let added = take(&values, &UInt32Array::from(rows), None)?;
        self.aggregate.merge(&slots, &self.inner.partial(Some(&added), added.len())?)
    }

    fn reset(&mut self, _slots: &[u32]) {
        // Sets only grow, and what is stored of them is what was added: nothing to take back.
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        self.aggregate.finish(slots)
    }

    fn freeze(&mut self, full: bool) -> Box<dyn Export> {
        let from = if full { 0 } else { self.frozen };
        self.frozen = self.set.len() as u32;
        Box::new(Frozen {
            chains: Chains { heads: self.chains.heads.freeze(), next: self.chains.next.freeze() },
            set: self.set.freeze(),
            from,
            value_type: self.value_type.clone(),
        })
    }

    fn bytes(&self) -> usize {
        self.aggregate.bytes()
            + self.set.bytes()
            + self.chains.heads.bytes()
            + self.chains.next.bytes()
    }
}
