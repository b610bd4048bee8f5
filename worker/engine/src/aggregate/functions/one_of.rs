//! MIN, MAX, FIRST_VALUE and LAST_VALUE: one of a group's values. Partial result: the value in its
//! own type, NULL when there was none.

use std::cmp::Ordering;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type, Field, Float32Type};
use weir_state::canonical::{
    BytesColumn, Form, Shape, from_bytes, from_words, nested_from_bytes, nested_to_bytes, to_words,
};
use weir_state::chunked::Chunked;

use super::array_agg::{Gives, in_order};
use crate::OperatorError;
use crate::aggregate::{
    Accumulator, Aggregate, AggregateFunction, Export, InputRows, Pick, Refusal, ResultType,
    Retraction, malformed,
};

/// One of the values that are not NULL; NULL when there was none.
#[derive(Debug)]
pub(super) struct OneOf {
    name: &'static str,
    which: Which,
}

/// Which of a group's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    Least,
    Greatest,
    /// In the order in which rows come.
    First,
    Last,
}

impl Which {
    fn is_by_arrival(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }

    /// Whether a value takes the place of the one that is kept; `order` compares it to that one.
    fn replaces(self, order: impl FnOnce() -> Ordering) -> bool {
        match self {
            Self::Least => order() == Ordering::Less,
            Self::Greatest => order() == Ordering::Greater,
            Self::First => false,
            Self::Last => true,
        }
    }
}

pub(super) static MIN: OneOf = OneOf { name: "MIN", which: Which::Least };
pub(super) static MAX: OneOf = OneOf { name: "MAX", which: Which::Greatest };
pub(super) static FIRST_VALUE: OneOf = OneOf { name: "FIRST_VALUE", which: Which::First };
pub(super) static LAST_VALUE: OneOf = OneOf { name: "LAST_VALUE", which: Which::Last };

const REFUSAL: Refusal = Refusal { takes: "a number, a string, a BOOLEAN, a date or a time" };

impl AggregateFunction for OneOf {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_by_arrival(&self) -> bool {
        self.which.is_by_arrival()
    }

    fn resolve(&self, argument: Option<&DataType>) -> Result<ResultType, Refusal> {
        let argument = argument.ok_or(REFUSAL)?;
        let ordered = argument.is_numeric()
            || argument.is_string()
            || argument.is_temporal()
            || *argument == DataType::Boolean;
        let taken = ordered || self.is_by_arrival();
        if taken && Shape::of(argument).is_ok() { Ok(ResultType::OfArgument) } else { Err(REFUSAL) }
    }

    fn compile(
        &self,
        argument: Option<&DataType>,
        input: InputRows,
    ) -> Result<Arc<dyn Aggregate>, Refusal> {
        let output = self.resolve(argument)?.over(argument.ok_or(REFUSAL)?);
        let which = self.which;
        if self.is_by_arrival() && input == InputRows::Retracted {
            // Which one is the first when that goes, only all of them say.
            let gives = if which == Which::First { Gives::First } else { Gives::Last };
            return Ok(in_order(output.clone(), output, gives));
        }
        Ok(match Shape::of(&output).map_err(|_| REFUSAL)? {
            Shape::Word { .. } => Arc::new(Of::<Word> { output, which, kept: PhantomData }),
            Shape::Wide { .. } => Arc::new(Of::<Wide> { output, which, kept: PhantomData }),
            Shape::Bytes { .. } => Arc::new(Of::<Text> { output, which, kept: PhantomData }),
            Shape::Nested { .. } => Arc::new(Of::<Parts> { output, which, kept: PhantomData }),
        })
    }
}

/// One of the values of a type that are kept as `O` says.
#[derive(Debug)]
struct Of<O> {
    output: DataType,
    which: Which,
    kept: PhantomData<O>,
}

impl<O: Ordered> Aggregate for Of<O> {
    fn output(&self) -> &DataType {
        &self.output
    }

    fn state(&self) -> Vec<Field> {
        let name = match self.which {
            Which::Least => "min",
            Which::Greatest => "max",
            Which::First => "first",
            Which::Last => "last",
        };
        vec![Field::new(name, self.output.clone(), true)]
    }

    fn partial(
        &self,
        values: Option<&ArrayRef>,
        _rows: usize,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        Ok(vec![Arc::clone(values.ok_or_else(|| malformed("MIN or MAX"))?)])
    }

    /// By arrival nothing is ever taken out of it: where rows go, all values are kept.
    fn retraction(&self) -> Retraction {
        Retraction::OfValues(match self.which {
            Which::Greatest | Which::Last => Pick::Greatest,
            Which::Least | Which::First => Pick::Least,
        })
    }

    /// The least and the greatest of a set are those of its values, and the first that comes is
    /// the first of those that differ. The last is not.
    fn counts_duplicates(&self) -> bool {
        self.which == Which::Last
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>, OperatorError> {
        Ok(Box::new(Kept::<O> {
            data_type: self.output.clone(),
            which: self.which,
            values: Chunked::new(),
            pointed: 0,
        }))
    }
}

/// How values of a type are kept and compared.
trait Ordered: Send + Sync + Debug + 'static {
    /// A value, ordered as SQL orders the type.
    type Value: Clone + Send + Sync + Debug;
    /// A value where it lies in its column.
    type Read<'a>: Copy;

    /// Calls `each` with the row and value of everything that is not NULL.
    fn read(array: &ArrayRef, each: impl for<'a> FnMut(usize, Self::Read<'a>)) -> Option<()>;
    /// How a value compares to a kept one.
    fn compare(value: Self::Read<'_>, kept: &Self::Value) -> Ordering;
    /// The value, to be kept.
    fn keep(value: Self::Read<'_>) -> Self::Value;
    /// A column of values.
    fn write(
        data_type: &DataType,
        values: Vec<Option<Self::Value>>,
    ) -> Result<ArrayRef, OperatorError>;
    /// Memory that a value points to.
    fn bytes(_value: &Self::Value) -> usize {
        0
    }
}

#[derive(Debug)]
struct Kept<O: Ordered> {
    data_type: DataType,
    which: Which,
    values: Chunked<Option<O::Value>>,
    pointed: usize,
}

impl<O: Ordered> Export for Kept<O> {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        Ok(vec![self.finish(slots)?])
    }
}

impl<O: Ordered> Accumulator for Kept<O> {
    fn grow(&mut self, groups: usize) {
        self.values.grow(groups);
    }

    fn merge(&mut self, slots: &[u32], partial: &[ArrayRef]) -> Result<(), OperatorError> {
        let [values] = partial else {
            return Err(malformed("MIN or MAX"));
        };
        let which = self.which;
        let (kept, pointed) = (&mut self.values, &mut self.pointed);
        O::read(values, |row, value| {
            let slot = slots[row] as usize;
            // Read before it is written: a write copies a chunk that is frozen.
            let is_taken = match kept.get(slot) {
                Some(kept) => which.replaces(|| O::compare(value, kept)),
                None => true,
            };
            if is_taken {
                let value = O::keep(value);
                *pointed += O::bytes(&value);
                let old = kept.get_mut(slot).replace(value);
                *pointed -= old.as_ref().map_or(0, O::bytes);
            }
        })
        .ok_or_else(|| malformed("MIN or MAX"))
    }

    fn reset(&mut self, slots: &[u32]) {
        for &slot in slots {
            let old = self.values.get_mut(slot as usize).take();
            self.pointed -= old.as_ref().map_or(0, O::bytes);
        }
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        let values = slots.iter().map(|&s| self.values.get(s as usize).clone()).collect();
        O::write(&self.data_type, values)
    }

    fn freeze(&mut self, _full: bool) -> Box<dyn Export> {
        Box::new(Self {
            data_type: self.data_type.clone(),
            which: self.which,
            values: self.values.freeze(),
            pointed: 0,
        })
    }

    fn bytes(&self) -> usize {
        self.values.bytes() + self.pointed
    }
}

/// Numbers, dates and times of at most 64 bits, mapped to integers of the same order. NaN is
/// the largest float, as in Java.
#[derive(Debug)]
struct Word;

/// Float bits ↔ integers of the same order; its own inverse.
fn flip(bits: i64) -> i64 {
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

impl Ordered for Word {
    type Value = i64;
    type Read<'a> = i64;

    fn read(array: &ArrayRef, mut each: impl for<'a> FnMut(usize, Self::Read<'a>)) -> Option<()> {
        let words = match array.data_type() {
            // As 64 bits: one mapping for both widths.
            DataType::Float32 => {
                let wide: ArrayRef = Arc::new(
                    array
                        .as_primitive::<Float32Type>()
                        .unary::<_, arrow::datatypes::Float64Type>(f64::from),
                );
                to_words(wide.as_ref()).ok()?
            }
            _ => to_words(array.as_ref()).ok()?,
        };
        let order = |word: u64| match array.data_type() {
            DataType::Float32 | DataType::Float64 => flip(word as i64),
            DataType::UInt64 => (word ^ 1 << 63) as i64,
            _ => word as i64,
        };
        match array.nulls() {
            None => words.iter().enumerate().for_each(|(row, &w)| each(row, order(w))),
            Some(nulls) => nulls.valid_indices().for_each(|row| each(row, order(words[row]))),
        }
        Some(())
    }

    fn compare(value: i64, kept: &i64) -> Ordering {
        value.cmp(kept)
    }

    fn keep(value: i64) -> i64 {
        value
    }

    fn write(data_type: &DataType, values: Vec<Option<i64>>) -> Result<ArrayRef, OperatorError> {
        let nulls: NullBuffer = values.iter().map(Option::is_some).collect();
        let word = |value: i64| match data_type {
            DataType::Float64 => flip(value) as u64,
            DataType::Float32 => u64::from((f64::from_bits(flip(value) as u64) as f32).to_bits()),
            DataType::UInt64 => value as u64 ^ 1 << 63,
            _ => value as u64,
        };
        let words = values.into_iter().map(|v| v.map_or(0, word)).collect();
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        from_words(data_type, words, nulls).map_err(OperatorError::internal)
    }
}

/// DECIMAL.
#[derive(Debug)]
struct Wide;

impl Ordered for Wide {
    type Value = i128;
    type Read<'a> = i128;

    fn read(array: &ArrayRef, mut each: impl for<'a> FnMut(usize, Self::Read<'a>)) -> Option<()> {
        let values = array.as_primitive_opt::<Decimal128Type>()?;
        for (row, value) in values.iter().enumerate() {
            if let Some(value) = value {
                each(row, value);
            }
        }
        Some(())
    }

    fn compare(value: i128, kept: &i128) -> Ordering {
        value.cmp(kept)
    }

    fn keep(value: i128) -> i128 {
        value
    }

    fn write(data_type: &DataType, values: Vec<Option<i128>>) -> Result<ArrayRef, OperatorError> {
        Ok(Arc::new(Decimal128Array::from(values).with_data_type(data_type.clone())))
    }
}

/// Strings and bytes, in the order of their bytes.
#[derive(Debug)]
struct Text;

impl Ordered for Text {
    type Value = Arc<[u8]>;
    type Read<'a> = &'a [u8];

    fn read(array: &ArrayRef, mut each: impl FnMut(usize, &[u8])) -> Option<()> {
        let values = BytesColumn::of(array.as_ref())?;
        for row in 0..array.len() {
            if array.is_valid(row) {
                each(row, values.value(row));
            }
        }
        Some(())
    }

    fn compare(value: &[u8], kept: &Arc<[u8]>) -> Ordering {
        value.cmp(kept)
    }

    fn keep(value: &[u8]) -> Arc<[u8]> {
        value.into()
    }

    fn write(
        data_type: &DataType,
        values: Vec<Option<Arc<[u8]>>>,
    ) -> Result<ArrayRef, OperatorError> {
        Ok(from_bytes(data_type, values.iter().map(Option::as_deref))?)
    }

    fn bytes(value: &Arc<[u8]>) -> usize {
        value.len() + 16
    }
}

/// Values that are made of others, as state holds them. They have no order.
#[derive(Debug)]
struct Parts;

impl Ordered for Parts {
    type Value = Arc<[u8]>;
    type Read<'a> = &'a [u8];

    fn read(array: &ArrayRef, mut each: impl FnMut(usize, &[u8])) -> Option<()> {
        let values = nested_to_bytes(array.as_ref(), Form::Value).ok()?;
        for row in 0..array.len() {
            if values.is_valid(row) {
                each(row, values.value(row));
            }
        }
        Some(())
    }

    fn compare(_value: &[u8], _kept: &Arc<[u8]>) -> Ordering {
        Ordering::Equal
    }

    fn keep(value: &[u8]) -> Arc<[u8]> {
        value.into()
    }

    fn write(
        data_type: &DataType,
        values: Vec<Option<Arc<[u8]>>>,
    ) -> Result<ArrayRef, OperatorError> {
        nested_from_bytes(data_type, values.iter().map(Option::as_deref))
            .map_err(OperatorError::internal)
    }

    fn bytes(value: &Arc<[u8]>) -> usize {
        value.len() + 16
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, ListArray, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::aggregate::testing::shown;

    /// What is left of two batches of values, the state being stored in between.
    fn over(function: &OneOf, batches: [ArrayRef; 2]) -> String {
        let aggregate =
            function.compile(Some(batches[0].data_type()), InputRows::Appended).unwrap();
        let mut accumulator = aggregate.accumulator().unwrap();
        accumulator.grow(1);
        for values in batches {
            let partial = aggregate.partial(Some(&values), values.len()).unwrap();
            accumulator.merge(&vec![0; values.len()], &partial).unwrap();
            let stored = accumulator.export(&[0]).unwrap();
            accumulator.reset(&[0]);
            accumulator.merge(&[0], &stored).unwrap();
        }
        shown(&accumulator.finish(&[0]).unwrap()).remove(0)
    }

    #[test]
    fn the_first_and_the_last_are_those_that_came_so_and_are_not_null() {
        let texts =
            |values: &[Option<&str>]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
        let batches =
            || [texts(&[None, Some("m"), Some("z")]), texts(&[Some("a"), Some("k"), None])];
        let all = [&FIRST_VALUE, &LAST_VALUE, &MIN, &MAX].map(|f| over(f, batches()));
        assert_eq!(all, ["m", "k", "a", "z"]);
        assert_eq!(over(&LAST_VALUE, [texts(&[None]), texts(&[])]), "NULL");
        let flags = |values: &[bool]| -> ArrayRef { Arc::new(BooleanArray::from(values.to_vec())) };
        assert_eq!(over(&FIRST_VALUE, [flags(&[true]), flags(&[false])]), "true");
        let lists = |lists: Vec<Option<Vec<Option<i64>>>>| -> ArrayRef {
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))
        };
        let batches =
            || [lists(vec![None, Some(vec![None, Some(1)])]), lists(vec![Some(vec![]), None])];
        assert_eq!(over(&FIRST_VALUE, batches()), "[NULL, 1]");
        assert_eq!(over(&LAST_VALUE, batches()), "[]");
        assert_eq!(over(&MIN, [flags(&[true]), flags(&[false])]), "false");
        assert!(MAX.resolve(Some(batches()[0].data_type())).is_err());
    }
}
