//! COLLECT. Partial result: how often each value is there, which is less than never for what went
//! before it came.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, MapArray, StructArray, new_empty_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::kernels::numeric::neg_wrapping;
use arrow::compute::{filter, is_not_null};
use arrow::datatypes::{DataType, Field, Int64Type};
use weir_state::canonical::Shape;
use weir_state::chunked::Chunked;
use weir_state::sorted::Strings;
use weir_state::sorted::order::{decode_orders, encode_orders};
use weir_state::table::OrderField;

use crate::OperatorError;
use crate::aggregate::{
    Accumulator, Aggregate, AggregateFunction, Export, InputRows, Refusal, ResultType, Retraction,
    malformed,
};

/// `COLLECT(x)`: the values that are not NULL, each with how often it is there; nothing when there
/// was none. In the order of the values, so that equal results are equal to the bit.
#[derive(Debug)]
pub(super) struct Collect;

const REFUSAL: Refusal = Refusal { takes: "values that state can hold" };

impl AggregateFunction for Collect {
    fn name(&self) -> &'static str {
        "COLLECT"
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn resolve(&self, argument: Option<&DataType>) -> Result<ResultType, Refusal> {
        let argument = argument.filter(|of| Shape::of(of).is_ok()).ok_or(REFUSAL)?;
        Ok(ResultType::Of(counts_of(argument, DataType::Int32)))
    }

    fn compile(
        &self,
        argument: Option<&DataType>,
        _input: InputRows,
    ) -> Result<Arc<dyn Aggregate>, Refusal> {
        let argument = argument.ok_or(REFUSAL)?;
        let output = self.resolve(Some(argument))?.over(argument);
        Ok(Arc::new(Collected { value: OrderField::ascending("value", argument.clone()), output }))
    }
}

/// Values and how often each is there, as this type.
fn counts_of(value: &DataType, count: DataType) -> DataType {
    let pair = vec![Field::new("key", value.clone(), false), Field::new("value", count, true)];
    let entries = Field::new("entries", DataType::Struct(pair.into()), false);
    DataType::Map(Arc::new(entries), false)
}

fn maps(
    values: ArrayRef,
    counts: ArrayRef,
    lengths: impl Iterator<Item = usize>,
) -> Result<ArrayRef, OperatorError> {
    let of = counts_of(values.data_type(), counts.data_type().clone());
    let DataType::Map(entries, _) = of else { return Err(malformed("COLLECT")) };
    let DataType::Struct(pair) = entries.data_type() else { return Err(malformed("COLLECT")) };
    let pairs = StructArray::try_new(pair.clone(), vec![values, counts], None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(MapArray::try_new(entries, offsets, pairs, None, false)?))
}

#[derive(Clone, Debug)]
struct Collected {
    value: OrderField,
    output: DataType,
}

impl Aggregate for Collected {
    fn output(&self) -> &DataType {
        &self.output
    }

    fn state(&self) -> Vec<Field> {
        vec![Field::new("counts", counts_of(&self.value.field.data_type, DataType::Int64), true)]
    }

    fn partial(
        &self,
        values: Option<&ArrayRef>,
        _rows: usize,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let values = values.ok_or_else(|| malformed("COLLECT"))?;
        let items = match values.null_count() {
            0 => Arc::clone(values),
            _ => filter(values, &is_not_null(values)?)?,
        };
        let ones = Arc::new(Int64Array::from(vec![1; items.len()]));
        let lengths = (0..values.len()).map(|row| usize::from(values.is_valid(row)));
        Ok(vec![maps(items, ones, lengths)?])
    }

    fn retraction(&self) -> Retraction {
        Retraction::Negated
    }

    fn negated(&self, partial: &[ArrayRef]) -> Result<Vec<ArrayRef>, OperatorError> {
        let [counts] = partial else { return Err(malformed("COLLECT")) };
        let counts = counts.as_map_opt().ok_or_else(|| malformed("COLLECT"))?;
        let offsets = counts.value_offsets();
        let (first, last) = (offsets[0] as usize, offsets[counts.len()] as usize);
        let values = counts.keys().slice(first, last - first);
        let negated = neg_wrapping(&counts.values().slice(first, last - first))?;
        Ok(vec![maps(values, negated, counts.offsets().lengths())?])
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>, OperatorError> {
        Ok(Box::new(Counts { of: self.clone(), counts: Chunked::new(), pointed: 0 }))
    }
}

#[derive(Debug)]
struct Counts {
    of: Collected,
    /// By values, encoded in their order.
    counts: Chunked<BTreeMap<Box<[u8]>, i64>>,
    /// Memory of the values, in bytes.
    pointed: usize,
}

/// Memory of a value, in bytes.
fn size(value: &[u8]) -> usize {
    size_of::<(Box<[u8]>, i64)>() + value.len()
}

impl Counts {
    /// Values of these groups for which `wanted` holds of their count, and how many each group has.
    fn entries(
        &self,
        slots: &[u32],
        wanted: fn(i64) -> bool,
    ) -> Result<(ArrayRef, Vec<i64>, Vec<usize>), OperatorError> {
        let (mut values, mut counts, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for &slot in slots {
            let before = values.len();
            for (value, &count) in self.counts.get(slot as usize) {
                if wanted(count) {
                    values.push(&**value);
                    counts.push(count);
                }
            }
            lengths.push(values.len() - before);
        }
        let fields = std::slice::from_ref(&self.of.value);
        let column = decode_orders(fields, values.into_iter()).map_err(OperatorError::internal)?;
        let of = &self.of.value.field.data_type;
        let column = column.into_iter().next().unwrap_or_else(|| new_empty_array(of));
        Ok((column, counts, lengths))
    }
}

impl Export for Counts {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let (values, counts, lengths) = self.entries(slots, |_| true)?;
        Ok(vec![maps(values, Arc::new(Int64Array::from(counts)), lengths.into_iter())?])
    }
}

impl Accumulator for Counts {
    fn grow(&mut self, groups: usize) {
        self.counts.grow(groups);
    }

    fn merge(&mut self, slots: &[u32], partial: &[ArrayRef]) -> Result<(), OperatorError> {
        let [maps] = partial else { return Err(malformed("COLLECT")) };
        let maps = maps.as_map_opt().ok_or_else(|| malformed("COLLECT"))?;
        let counts = maps.values().as_primitive_opt::<Int64Type>();
        let counts = counts.ok_or_else(|| malformed("COLLECT"))?;
        let (offsets, rows) = (maps.value_offsets(), maps.len());
        let (first, last) = (offsets[0] as usize, offsets[rows] as usize);
        let mut values = Strings::with_capacity(last - first, 16);
        let keys = [maps.keys().slice(first, last - first)];
        let fields = std::slice::from_ref(&self.of.value);
        encode_orders(fields, &keys, last - first, &mut values).map_err(OperatorError::internal)?;
        for (row, &slot) in slots.iter().enumerate().take(rows) {
            for at in offsets[row] as usize..offsets[row + 1] as usize {
                let (value, by) = (values.get(at - first), counts.value(at));
                let group = self.counts.get_mut(slot as usize);
                match group.get_mut(value) {
                    Some(count) if *count + by != 0 => *count += by,
                    Some(_) => {
                        group.remove(value);
                        self.pointed -= size(value);
                    }
                    None if by != 0 => {
                        group.insert(value.into(), by);
                        self.pointed += size(value);
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }

    fn reset(&mut self, slots: &[u32]) {
        for &slot in slots {
            let old = std::mem::take(self.counts.get_mut(slot as usize));
            self.pointed -= old.keys().map(|value| size(value)).sum::<usize>();
        }
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        let (values, counts, lengths) = self.entries(slots, |count| count > 0)?;
        let counts = counts.into_iter().map(|count| i32::try_from(count).unwrap_or(i32::MAX));
        maps(values, Arc::new(Int32Array::from_iter_values(counts)), lengths.into_iter())
    }

    fn freeze(&mut self, _full: bool) -> Box<dyn Export> {
        Box::new(Self { of: self.of.clone(), counts: self.counts.freeze(), pointed: 0 })
    }

    fn bytes(&self) -> usize {
        self.counts.bytes() + self.pointed
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;
    use crate::aggregate::testing::shown;

    #[test]
    fn values_are_counted_as_they_come_and_go() {
        let values = |of: &[Option<&str>]| -> ArrayRef { Arc::new(StringArray::from(of.to_vec())) };
        let came = values(&[Some("b"), None, Some("a"), Some("b")]);
        let aggregate = Collect.compile(Some(came.data_type()), InputRows::Retracted).unwrap();
        let mut counts = aggregate.accumulator().unwrap();
        counts.grow(2);
        counts.merge(&[0; 4], &aggregate.partial(Some(&came), 4).unwrap()).unwrap();
        assert_eq!(shown(&counts.finish(&[0, 1]).unwrap()), ["{a: 1, b: 2}", "{}"]);
        // `a` goes, `c` goes before it comes, and all of it is stored in between.
        let gone = aggregate.partial(Some(&values(&[Some("a"), Some("c"), None])), 3).unwrap();
        let gone = aggregate.negated(&gone).unwrap();
        counts.merge(&[0, 0, 0], &gone).unwrap();
        let stored = counts.export(&[0, 1]).unwrap();
        counts.reset(&[0, 1]);
        counts.merge(&[0, 1], &stored).unwrap();
        assert_eq!(shown(&counts.finish(&[0]).unwrap()), ["{b: 2}"]);
        let late = aggregate.partial(Some(&values(&[Some("c"), Some("c")])), 2).unwrap();
        counts.merge(&[0, 0], &late).unwrap();
        assert_eq!(shown(&counts.finish(&[0]).unwrap()), ["{b: 2, c: 1}"]);
        counts.reset(&[0]);
        assert_eq!(shown(&counts.finish(&[0]).unwrap()), ["{}"]);
    }
}
