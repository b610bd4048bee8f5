//! ARRAY_AGG. Partial result: the values in their order, and where rows are taken out those that
//! went before they came.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, StringArray, StringBuilder, StructArray,
    new_empty_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{filter, is_not_null, nullif};
use arrow::datatypes::{DataType, Field};
use weir_state::canonical::{Form, Shape, nested_from_bytes, nested_to_bytes};
use weir_state::chunked::Chunked;

use super::listagg::parts;
use crate::OperatorError;
use crate::aggregate::{
    Accumulator, Aggregate, AggregateFunction, Export, InputRows, Refusal, ResultType, Retraction,
    malformed,
};

/// `ARRAY_AGG(x)`: all values, NULL among them, in the order in which rows come; NULL when there was
/// no row. One that goes is taken out where it is first.
///
/// An aggregate's argument is NULL in rows that do not count. This one is a ROW of the value, so that
/// a value that is NULL counts.
#[derive(Debug)]
pub(super) struct ArrayAgg;

const REFUSAL: Refusal = Refusal { takes: "a ROW of one value that state can hold" };

impl AggregateFunction for ArrayAgg {
    fn name(&self) -> &'static str {
        "ARRAY_AGG"
    }

    fn resolve(&self, argument: Option<&DataType>) -> Result<ResultType, Refusal> {
        match argument {
            Some(row @ DataType::Struct(fields)) if fields.len() == 1 && Shape::of(row).is_ok() => {
                Ok(ResultType::Of(list_of(fields[0].data_type())))
            }
            _ => Err(REFUSAL),
        }
    }

    fn compile(
        &self,
        argument: Option<&DataType>,
        input: InputRows,
    ) -> Result<Arc<dyn Aggregate>, Refusal> {
        let argument = argument.ok_or(REFUSAL)?;
        let output = self.resolve(Some(argument))?.over(argument);
        let retracted = input == InputRows::Retracted;
        let gives = Gives::Array;
        Ok(Arc::new(Listed { item: argument.clone(), output, retracted, gives }))
    }
}

/// What is made of values in the order in which they came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gives {
    /// An array, of ROWs of values.
    Array,
    /// One of them, of values that are not NULL.
    First,
    Last,
    /// A text, of items of LISTAGG that are not NULL.
    Joined,
}

/// An aggregate that keeps values which may go again, in the order in which they came.
pub(super) fn in_order(item: DataType, output: DataType, gives: Gives) -> Arc<dyn Aggregate> {
    let item = DataType::Struct(vec![Field::new("value", item, true)].into());
    Arc::new(Listed { item, output, retracted: true, gives })
}

/// A list of values of this type.
fn list_of(item: &DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item.clone(), true)))
}

fn lists(
    items: ArrayRef,
    lengths: impl Iterator<Item = usize>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, OperatorError> {
    let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
    let lengths: Vec<usize> = lengths.collect();
    let all: usize = lengths.iter().sum();
    if i32::try_from(all).is_err() {
        return Err(OperatorError::user(format!(
            "the arrays of ARRAY_AGG of a batch have {all} elements together, more than 2^31; filter rows, or group by more"
        )));
    }
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(field, offsets, items, nulls)?))
}

#[derive(Clone, Debug)]
struct Listed {
    /// A ROW of one value.
    item: DataType,
    output: DataType,
    retracted: bool,
    gives: Gives,
}

impl Listed {
    /// The values as ROWs, NULL where they do not count.
    fn rows(&self, values: &ArrayRef) -> Result<ArrayRef, OperatorError> {
        let DataType::Struct(fields) = &self.item else { return Err(malformed("ARRAY_AGG")) };
        if self.gives == Gives::Array {
            return Ok(Arc::clone(values));
        }
        let nulls = values.logical_nulls();
        Ok(Arc::new(StructArray::try_new(fields.clone(), vec![Arc::clone(values)], nulls)?))
    }
}

impl Aggregate for Listed {
    fn output(&self) -> &DataType {
        &self.output
    }

    fn state(&self) -> Vec<Field> {
        let names = if self.retracted { &["values", "missing"][..] } else { &["values"] };
        names.iter().map(|name| Field::new(*name, list_of(&self.item), true)).collect()
    }

    fn partial(
        &self,
        values: Option<&ArrayRef>,
        _rows: usize,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let values = &self.rows(values.ok_or_else(|| malformed("ARRAY_AGG"))?)?;
        let items = match values.null_count() {
            0 => Arc::clone(values),
            _ => filter(values, &is_not_null(values)?)?,
        };
        let rows = values.len();
        let mut partial =
            vec![lists(items, (0..rows).map(|row| usize::from(values.is_valid(row))), None)?];
        if self.retracted {
            let nothing = (0..rows).map(|_| 0);
            partial.push(lists(new_empty_array(&self.item), nothing, None)?);
        }
        Ok(partial)
    }

    fn retraction(&self) -> Retraction {
        Retraction::Negated
    }

    /// What came goes, and the other way around.
    fn negated(&self, partial: &[ArrayRef]) -> Result<Vec<ArrayRef>, OperatorError> {
        match partial {
            [values, missing] => Ok(vec![Arc::clone(missing), Arc::clone(values)]),
            _ => Err(malformed("ARRAY_AGG")),
        }
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>, OperatorError> {
        Ok(Box::new(Arrays { of: self.clone(), arrays: Chunked::new(), pointed: 0 }))
    }
}

/// A value as state holds it.
type Value = Arc<[u8]>;

#[derive(Clone, Default, Debug)]
struct Values {
    values: Vec<Value>,
    missing: Vec<Value>,
}

#[derive(Debug)]
struct Arrays {
    of: Listed,
    arrays: Chunked<Values>,
    /// Memory of the values, in bytes.
    pointed: usize,
}

impl Values {
    /// Adds a value, or what it was taken out for before.
    fn push(&mut self, value: &[u8]) {
        match self.missing.iter().position(|missing| **missing == *value) {
            Some(at) => drop(self.missing.remove(at)),
            None => self.values.push(value.into()),
        }
    }

    /// Takes a value out where it is first.
    fn take(&mut self, value: &[u8]) {
        match self.values.iter().position(|known| **known == *value) {
            Some(at) => drop(self.values.remove(at)),
            None => self.missing.push(value.into()),
        }
    }

    fn bytes(&self) -> usize {
        let of = |values: &Vec<Value>| {
            values.iter().map(|value| size_of::<Value>() + 16 + value.len()).sum::<usize>()
        };
        of(&self.values) + of(&self.missing)
    }
}

impl Arrays {
    /// ROWs of these values.
    fn items<'a>(
        &self,
        values: impl Iterator<Item = &'a Value>,
    ) -> Result<ArrayRef, OperatorError> {
        nested_from_bytes(&self.of.item, values.map(|value| Some(&**value)))
            .map_err(OperatorError::internal)
    }

    fn of<'a>(&'a self, slots: &'a [u32]) -> impl Iterator<Item = &'a Values> + Clone {
        slots.iter().map(|&slot| self.arrays.get(slot as usize))
    }

    fn column(
        &self,
        slots: &[u32],
        part: fn(&Values) -> &Vec<Value>,
    ) -> Result<ArrayRef, OperatorError> {
        let arrays = self.of(slots);
        let items = self.items(arrays.clone().flat_map(part))?;
        lists(items, arrays.map(|array| part(array).len()), None)
    }
}

impl Export for Arrays {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let mut columns = vec![self.column(slots, |array| &array.values)?];
        if self.of.retracted {
            columns.push(self.column(slots, |array| &array.missing)?);
        }
        Ok(columns)
    }
}

/// Items of LISTAGG one behind the other, so many for each group; NULL where there are none.
fn joined(
    items: &StringArray,
    lengths: impl Iterator<Item = usize>,
) -> Result<ArrayRef, OperatorError> {
    let (mut texts, mut at) = (StringBuilder::new(), 0);
    for length in lengths {
        let mut text = String::new();
        for row in at..at + length {
            let (separator, value) = parts(items.value(row)).ok_or_else(|| malformed("LISTAGG"))?;
            text.push_str(if row > at { separator } else { "" });
            text.push_str(value);
        }
        at += length;
        texts.append_option((length > 0).then_some(text));
    }
    Ok(Arc::new(texts.finish()))
}

/// Calls `each` with the row and bytes of every element of a column of lists.
fn each_item(lists: &ArrayRef, mut each: impl FnMut(usize, &[u8])) -> Result<(), OperatorError> {
    let lists = lists.as_list_opt::<i32>().ok_or_else(|| malformed("ARRAY_AGG"))?;
    let offsets = lists.value_offsets();
    let (first, last) = (offsets[0] as usize, offsets[lists.len()] as usize);
    let items = lists.values().slice(first, last - first);
    let items = nested_to_bytes(items.as_ref(), Form::Value).map_err(OperatorError::internal)?;
    for row in 0..lists.len() {
        for item in offsets[row] as usize..offsets[row + 1] as usize {
            each(row, items.value(item - first));
        }
    }
    Ok(())
}

impl Accumulator for Arrays {
    fn grow(&mut self, groups: usize) {
        self.arrays.grow(groups);
    }

    fn merge(&mut self, slots: &[u32], partial: &[ArrayRef]) -> Result<(), OperatorError> {
        let (values, missing) = match partial {
            [values] if !self.of.retracted => (values, None),
            [values, missing] if self.of.retracted => (values, Some(missing)),
            _ => return Err(malformed("ARRAY_AGG")),
        };
        let mut changes: Vec<(usize, bool, Value)> = Vec::new();
        each_item(values, |row, item| changes.push((row, false, item.into())))?;
        if let Some(missing) = missing {
            each_item(missing, |row, item| changes.push((row, true, item.into())))?;
            // In the order of rows: what a row adds, then what it takes.
            changes.sort_by_key(|(row, goes, _)| (*row, *goes));
        }
        for (row, goes, value) in &changes {
            let array = self.arrays.get_mut(slots[*row] as usize);
            let before = array.values.len() + array.missing.len();
            if *goes {
                array.take(value)
            } else {
                array.push(value)
            }
            let size = size_of::<Value>() + 16 + value.len();
            if array.values.len() + array.missing.len() > before {
                self.pointed += size;
            } else {
                self.pointed -= size;
            }
        }
        Ok(())
    }

    fn reset(&mut self, slots: &[u32]) {
        for &slot in slots {
            let old = std::mem::take(self.arrays.get_mut(slot as usize));
            self.pointed -= old.bytes();
        }
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        let arrays = self.of(slots);
        if let Gives::First | Gives::Last = self.of.gives {
            let one = |array: &Values| match self.of.gives {
                Gives::First => array.values.first().cloned(),
                _ => array.values.last().cloned(),
            };
            let found: Vec<Option<Value>> = arrays.map(one).collect();
            let rows = nested_from_bytes(&self.of.item, found.iter().map(Option::as_deref))
                .map_err(OperatorError::internal)?;
            let rows = rows.as_struct_opt().ok_or_else(|| malformed("ARRAY_AGG"))?;
            // Where there is none the ROW is NULL, and so is its value.
            let missing: BooleanArray = found.iter().map(|value| Some(value.is_none())).collect();
            return Ok(nullif(rows.column(0), &missing)?);
        }
        let rows = self.items(arrays.clone().flat_map(|array| &array.values))?;
        let rows: &StructArray = rows.as_struct_opt().ok_or_else(|| malformed("ARRAY_AGG"))?;
        if self.of.gives == Gives::Joined {
            let texts =
                rows.column(0).as_string_opt::<i32>().ok_or_else(|| malformed("LISTAGG"))?;
            return joined(texts, arrays.map(|array| array.values.len()));
        }
        let nulls: NullBuffer = arrays.clone().map(|array| !array.values.is_empty()).collect();
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        lists(Arc::clone(rows.column(0)), arrays.map(|array| array.values.len()), nulls)
    }

    fn freeze(&mut self, _full: bool) -> Box<dyn Export> {
        Box::new(Self { of: self.of.clone(), arrays: self.arrays.freeze(), pointed: 0 })
    }

    fn bytes(&self) -> usize {
        self.arrays.bytes() + self.pointed
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;
    use crate::aggregate::testing::shown;

    fn rows(values: &[Option<i64>], counts: &[bool]) -> ArrayRef {
        let values: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        let fields = vec![Field::new("EXPR$0", DataType::Int64, true)];
        let nulls = NullBuffer::from(counts.to_vec());
        Arc::new(StructArray::new(fields.into(), vec![values], Some(nulls)))
    }

    #[test]
    fn values_come_in_their_order_and_go_where_they_are_first() {
        let values =
            rows(&[Some(1), None, Some(2), Some(1), Some(9)], &[true, true, true, true, false]);
        let aggregate = ArrayAgg.compile(Some(values.data_type()), InputRows::Retracted).unwrap();
        let mut arrays = aggregate.accumulator().unwrap();
        arrays.grow(2);
        let partial = aggregate.partial(Some(&values), 5).unwrap();
        arrays.merge(&[0, 0, 0, 0, 0], &partial).unwrap();
        assert_eq!(shown(&arrays.finish(&[0, 1]).unwrap()), ["[1, NULL, 2, 1]", "NULL"]);
        // 1 goes, 7 goes before it comes, and all of it is stored in between.
        let gone = aggregate.partial(Some(&rows(&[Some(1), Some(7)], &[true, true])), 2).unwrap();
        arrays.merge(&[0, 0], &aggregate.negated(&gone).unwrap()).unwrap();
        let stored = arrays.export(&[0, 1]).unwrap();
        arrays.reset(&[0, 1]);
        arrays.merge(&[0, 1], &stored).unwrap();
        assert_eq!(shown(&arrays.finish(&[0]).unwrap()), ["[NULL, 2, 1]"]);
        let late = aggregate.partial(Some(&rows(&[Some(7), Some(8)], &[true, true])), 2).unwrap();
        arrays.merge(&[0, 0], &late).unwrap();
        assert_eq!(shown(&arrays.finish(&[0]).unwrap()), ["[NULL, 2, 1, 8]"]);
        let before = arrays.bytes();
        arrays.reset(&[0]);
        assert!(arrays.bytes() < before);
        assert_eq!(shown(&arrays.finish(&[0]).unwrap()), ["NULL"]);
    }

    #[test]
    fn the_first_value_is_another_when_the_first_goes() {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(1), Some(2), Some(1)]));
        let (first, last) = (Gives::First, Gives::Last);
        for (gives, wanted) in [(first, ["1", "2", "NULL"]), (last, ["1", "1", "NULL"])] {
            let aggregate = in_order(DataType::Int64, DataType::Int64, gives);
            let mut kept = aggregate.accumulator().unwrap();
            kept.grow(1);
            kept.merge(&[0; 4], &aggregate.partial(Some(&values), 4).unwrap()).unwrap();
            let mut shows = vec![shown(&kept.finish(&[0]).unwrap()).remove(0)];
            for gone in [vec![Some(1)], vec![Some(1), Some(2), None]] {
                let gone: ArrayRef = Arc::new(Int64Array::from(gone));
                let partial = aggregate.partial(Some(&gone), gone.len()).unwrap();
                let slots = vec![0; gone.len()];
                kept.merge(&slots, &aggregate.negated(&partial).unwrap()).unwrap();
                shows.push(shown(&kept.finish(&[0]).unwrap()).remove(0));
            }
            assert_eq!(shows, wanted);
        }
    }

    #[test]
    fn only_a_row_of_one_value_is_taken() {
        assert!(ArrayAgg.resolve(Some(&DataType::Int64)).is_err());
        assert!(ArrayAgg.resolve(None).is_err());
    }
}
