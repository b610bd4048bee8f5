//! DISTINCT: the set of values of each group beside the aggregate of it.
//!
//! All groups' sets are one table of (slot, value) pairs, chained per slot. Entries are only
//! ever added, so a delta holds those added since the last freeze.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field};
use weir_state::chunked::Chunked;
use weir_state::key_table::{FrozenKeys, KeyTable};

use super::{Accumulator, Call, Export, malformed};
use crate::OperatorError;

/// Partial result: the values, as a list.
#[derive(Debug)]
pub(super) struct Distinct {
    /// The aggregate without DISTINCT.
    call: Call,
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

/// The type of partial results over values of `value_type`.
pub(super) fn list_of(value_type: &DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(value_type.clone(), true)))
}

impl Distinct {
    pub(super) fn new(call: Call, value_type: &DataType) -> Result<Self, OperatorError> {
        let set =
            KeyTable::new(&[DataType::UInt32, value_type.clone()]).map_err(OperatorError::user)?;
        let aggregate = call.accumulator()?;
        Ok(Self { call, aggregate, set, chains: Chains::default(), frozen: 0 })
    }
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
        let field = Arc::new(Field::new_list_field(value_type.clone(), true));
        let list = ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, None)?;
        Ok(vec![Arc::new(list)])
    }
}

impl Export for Distinct {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let value_type = self.call.input_type()?;
        self.chains.export(slots, 0, value_type, |entries| {
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

impl Accumulator for Distinct {
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
        self.aggregate.merge(&slots, &self.call.partial_of(&added, added.len())?)
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
            value_type: self.call.input_type().cloned().unwrap_or(DataType::Null),
        })
    }

    fn bytes(&self) -> usize {
        self.aggregate.bytes()
            + self.set.bytes()
            + self.chains.heads.bytes()
            + self.chains.next.bytes()
    }
}
