//! PERCENTILE. Partial result: the values with how often each is there, in their order (less than
//! never for what went before it came), and which parts of them are asked for.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Float64Builder, Int64Array, Int64Builder, ListArray,
    ListBuilder,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use weir_state::chunked::Chunked;

use super::counted::{Counts, count, negated};
use crate::OperatorError;
use crate::aggregate::{
    Accumulator, Aggregate, AggregateFunction, Export, InputRows, Refusal, ResultType, Retraction,
    malformed,
};

/// `PERCENTILE(x, part [, how often])`: the value below which a part of the values lies, between two
/// of them in proportion; of several parts an array.
///
/// An aggregate has one argument. This one is `ROW(value DOUBLE, parts DOUBLE or ARRAY<DOUBLE>, how
/// often BIGINT)`, NULL where the row does not count. The parts are those of the first row.
#[derive(Debug)]
pub(super) struct Percentile;

const REFUSAL: Refusal = Refusal { takes: "a number" };

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

impl AggregateFunction for Percentile {
    fn name(&self) -> &'static str {
        "PERCENTILE"
    }

    fn resolve(&self, argument: Option<&DataType>) -> Result<ResultType, Refusal> {
        let Some(DataType::Struct(fields)) = argument else { return Err(REFUSAL) };
        let types: Vec<&DataType> = fields.iter().map(|field| field.data_type()).collect();
        match types[..] {
            [DataType::Float64, DataType::Float64, DataType::Int64] => {
                Ok(ResultType::Of(DataType::Float64))
            }
            [DataType::Float64, DataType::List(of), DataType::Int64]
                if *of.data_type() == DataType::Float64 =>
            {
                Ok(ResultType::Of(list_of(DataType::Float64)))
            }
            _ => Err(REFUSAL),
        }
    }

    fn compile(
        &self,
        argument: Option<&DataType>,
        _input: InputRows,
    ) -> Result<Arc<dyn Aggregate>, Refusal> {
        let output = self.resolve(argument)?.over(argument.ok_or(REFUSAL)?);
        Ok(Arc::new(Parts { output }))
    }
}

#[derive(Clone, Debug)]
struct Parts {
    /// DOUBLE, or a list of them.
    output: DataType,
}

impl Parts {
    fn are_several(&self) -> bool {
        self.output != DataType::Float64
    }
}

impl Aggregate for Parts {
    fn output(&self) -> &DataType {
        &self.output
    }

    fn state(&self) -> Vec<Field> {
        vec![
            Field::new("values", list_of(DataType::Float64), true),
            Field::new("counts", list_of(DataType::Int64), true),
            Field::new("parts", list_of(DataType::Float64), true),
        ]
    }

    fn partial(
        &self,
        values: Option<&ArrayRef>,
        _rows: usize,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let rows = values.and_then(|values| values.as_struct_opt());
        let rows = rows.ok_or_else(|| malformed("PERCENTILE"))?;
        let [values, parts, counts] = rows.columns() else {
            return Err(malformed("PERCENTILE"));
        };
        let values = values.as_primitive_opt::<Float64Type>();
        let counts = counts.as_primitive_opt::<Int64Type>();
        let (values, counts) = values.zip(counts).ok_or_else(|| malformed("PERCENTILE"))?;
        let mut out = Columns::default();
        for row in 0..rows.len() {
            if rows.is_valid(row) && counts.value(row) != 0 {
                out.entry(values.value(row), counts.value(row));
                match parts.as_list_opt::<i32>() {
                    Some(lists) => {
                        out.parts(lists.value(row).as_primitive::<Float64Type>().values())
                    }
                    None => out.parts(&[parts.as_primitive::<Float64Type>().value(row)]),
                }
            }
            out.end();
        }
        Ok(out.finish())
    }

    fn retraction(&self) -> Retraction {
        Retraction::Negated
    }

    fn negated(&self, partial: &[ArrayRef]) -> Result<Vec<ArrayRef>, OperatorError> {
        let [values, counts, parts] = partial else { return Err(malformed("PERCENTILE")) };
        Ok(vec![Arc::clone(values), negated(counts, "PERCENTILE")?, Arc::clone(parts)])
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>, OperatorError> {
        Ok(Box::new(Ranked { of: self.clone(), groups: Chunked::new(), entries: 0 }))
    }
}

/// Partial results, a row after the other.
#[derive(Debug)]
struct Columns {
    values: ListBuilder<Float64Builder>,
    counts: ListBuilder<Int64Builder>,
    parts: ListBuilder<Float64Builder>,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            values: ListBuilder::new(Float64Builder::new()),
            counts: ListBuilder::new(Int64Builder::new()),
            parts: ListBuilder::new(Float64Builder::new()),
        }
    }
}

impl Columns {
    fn entry(&mut self, value: f64, count: i64) {
        self.values.values().append_value(value);
        self.counts.values().append_value(count);
    }

    fn parts(&mut self, parts: &[f64]) {
        self.parts.values().append_slice(parts);
    }

    /// The end of a row.
    fn end(&mut self) {
        self.values.append(true);
        self.counts.append(true);
        self.parts.append(true);
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.values.finish()),
            Arc::new(self.counts.finish()),
            Arc::new(self.parts.finish()),
        ]
    }
}

/// A number whose order is that of the value's, NaN last.
fn rank_of(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

fn value_of(rank: i64) -> f64 {
    f64::from_bits((rank ^ (((rank >> 63) as u64) >> 1) as i64) as u64)
}

/// The values of a group.
#[derive(Clone, Default, Debug)]
struct Group {
    /// By [`rank_of`].
    counts: Counts<i64>,
    parts: Vec<f64>,
}

impl Group {
    /// The value at a part of the way from the first to the last of all; `None` if there is none.
    fn at(&self, part: f64) -> Option<f64> {
        let there = || self.counts.iter().filter(|(_, count)| **count > 0);
        // Each of the counts is a BIGINT, all of them together may be more.
        let all: i128 = there().map(|(_, count)| i128::from(*count)).sum();
        // Counted from 1, as Flink does, whose weights are those of these numbers.
        let place = (all.checked_sub(1).filter(|last| *last >= 0)?) as f64 * part + 1.0;
        let (low, high) = (place.floor(), place.ceil());
        let (mut before, mut below) = (0_i128, None);
        for (&rank, &count) in there() {
            before += i128::from(count);
            if below.is_none() && before as f64 >= low {
                below = Some(value_of(rank));
            }
            if before as f64 >= high {
                let (below, above) = (below?, value_of(rank));
                let whole = low == high || below == above;
                return Some(if whole {
                    below
                } else {
                    (high - place) * below + (place - low) * above
                });
            }
        }
        below
    }
}

fn too_often() -> OperatorError {
    OperatorError::user(
        "PERCENTILE counts a value more often than a BIGINT holds; give smaller frequencies",
    )
}

#[derive(Debug)]
struct Ranked {
    of: Parts,
    groups: Chunked<Group>,
    /// Numbers that groups hold.
    entries: usize,
}

impl Export for Ranked {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let mut out = Columns::default();
        for &slot in slots {
            let group = self.groups.get(slot as usize);
            group.counts.iter().for_each(|(&rank, &count)| out.entry(value_of(rank), count));
            out.parts(&group.parts);
            out.end();
        }
        Ok(out.finish())
    }
}

impl Accumulator for Ranked {
    fn grow(&mut self, groups: usize) {
        self.groups.grow(groups);
    }

    fn merge(&mut self, slots: &[u32], partial: &[ArrayRef]) -> Result<(), OperatorError> {
        let [values, counts, parts] = partial else { return Err(malformed("PERCENTILE")) };
        let list = |column: &ArrayRef| {
            column.as_list_opt::<i32>().cloned().ok_or_else(|| malformed("PERCENTILE"))
        };
        let (values, counts, parts) = (list(values)?, list(counts)?, list(parts)?);
        let numbers = values.values().as_primitive_opt::<Float64Type>();
        let by = counts.values().as_primitive_opt::<Int64Type>();
        let asked = parts.values().as_primitive_opt::<Float64Type>();
        let (Some(numbers), Some(by), Some(asked)) = (numbers, by, asked) else {
            return Err(malformed("PERCENTILE"));
        };
        let range = |of: &ListArray, row: usize| {
            let offsets = of.value_offsets();
            offsets[row] as usize..offsets[row + 1] as usize
        };
        for (row, &slot) in slots.iter().enumerate().take(values.len()) {
            let (own, counted) = (range(&values, row), range(&counts, row));
            if own.is_empty() {
                continue;
            }
            let group = self.groups.get_mut(slot as usize);
            if group.parts.is_empty() {
                group.parts = asked.values()[range(&parts, row)].to_vec();
                self.entries += group.parts.len();
            }
            for (value, counted) in own.zip(counted) {
                let (rank, by) = (rank_of(numbers.value(value)), by.value(counted));
                count(&mut group.counts, rank, by, &mut self.entries).ok_or_else(too_often)?;
            }
        }
        Ok(())
    }

    fn reset(&mut self, slots: &[u32]) {
        for &slot in slots {
            let old = std::mem::take(self.groups.get_mut(slot as usize));
            self.entries -= old.counts.len() + old.parts.len();
        }
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        let groups = slots.iter().map(|&slot| self.groups.get(slot as usize));
        if !self.of.are_several() {
            let one = |group: &Group| group.parts.first().and_then(|part| group.at(*part));
            return Ok(Arc::new(groups.map(one).collect::<Float64Array>()));
        }
        let mut lists = ListBuilder::new(Float64Builder::new());
        for group in groups {
            let is_there = group.counts.values().any(|count| *count > 0);
            if is_there {
                group.parts.iter().for_each(|part| lists.values().append_option(group.at(*part)));
            }
            lists.append(is_there);
        }
        Ok(Arc::new(lists.finish()))
    }

    fn freeze(&mut self, _full: bool) -> Box<dyn Export> {
        Box::new(Self { of: self.of.clone(), groups: self.groups.freeze(), entries: 0 })
    }

    fn bytes(&self) -> usize {
        self.groups.bytes() + self.entries * size_of::<(i64, i64)>()
    }
}

/// Which parts rows ask for, and what counts of them, as PERCENTILE takes it.
///
/// # Errors
/// When columns are of other lengths.
pub fn item(
    values: &Float64Array,
    parts: &ArrayRef,
    counts: &Int64Array,
) -> Result<ArrayRef, OperatorError> {
    use arrow::array::StructArray;
    use arrow::buffer::NullBuffer;
    let nulls = NullBuffer::union(values.nulls(), counts.nulls());
    let nulls = NullBuffer::union(nulls.as_ref(), parts.nulls());
    let field = |name: &str, of: &DataType| Field::new(name, of.clone(), true);
    let fields = vec![
        field("value", &DataType::Float64),
        field("parts", parts.data_type()),
        field("count", &DataType::Int64),
    ];
    let columns: Vec<ArrayRef> =
        vec![Arc::new(values.clone()), Arc::clone(parts), Arc::new(counts.clone())];
    Ok(Arc::new(StructArray::try_new(fields.into(), columns, nulls)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::testing::shown;

    fn rows(values: &[Option<f64>], counts: &[i64], parts: &[f64]) -> ArrayRef {
        let lists: ArrayRef = match parts {
            [one] => Arc::new(Float64Array::from(vec![*one; values.len()])),
            _ => {
                let list = || Some(parts.iter().copied().map(Some).collect::<Vec<_>>());
                let lists = values.iter().map(|_| list());
                Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(lists))
            }
        };
        item(&values.to_vec().into(), &lists, &counts.to_vec().into()).unwrap()
    }

    #[test]
    fn a_part_lies_between_two_values_in_proportion() {
        let values =
            rows(&[Some(4.0), None, Some(-1.0), Some(2.0)], &[1; 4], &[0.0, 0.5, 0.75, 1.0]);
        let aggregate = Percentile.compile(Some(values.data_type()), InputRows::Retracted).unwrap();
        let mut groups = aggregate.accumulator().unwrap();
        groups.grow(2);
        groups.merge(&[0; 4], &aggregate.partial(Some(&values), 4).unwrap()).unwrap();
        assert_eq!(shown(&groups.finish(&[0, 1]).unwrap()), ["[-1.0, 2.0, 3.0, 4.0]", "NULL"]);
        // 4 goes, 9 goes before it comes, and all of it is stored in between.
        let gone = rows(&[Some(4.0), Some(9.0)], &[1, 1], &[0.0, 0.5, 0.75, 1.0]);
        let gone = aggregate.negated(&aggregate.partial(Some(&gone), 2).unwrap()).unwrap();
        groups.merge(&[0, 0], &gone).unwrap();
        let stored = groups.export(&[0, 1]).unwrap();
        groups.reset(&[0, 1]);
        groups.merge(&[0, 1], &stored).unwrap();
        assert_eq!(shown(&groups.finish(&[0]).unwrap()), ["[-1.0, 0.5, 1.25, 2.0]"]);
        let late = rows(&[Some(9.0), Some(9.0)], &[1, 2], &[0.0, 0.5, 0.75, 1.0]);
        groups.merge(&[0, 0], &aggregate.partial(Some(&late), 2).unwrap()).unwrap();
        assert_eq!(shown(&groups.finish(&[0]).unwrap()), ["[-1.0, 5.5, 9.0, 9.0]"]);
        let before = groups.bytes();
        groups.reset(&[0]);
        assert!(groups.bytes() < before);
        assert_eq!(shown(&groups.finish(&[0]).unwrap()), ["NULL"]);
    }

    #[test]
    fn a_value_is_there_as_often_as_is_said() {
        let values = rows(&[Some(1.0), Some(5.0), Some(7.0)], &[3, 1, 0], &[0.5]);
        let aggregate = Percentile.compile(Some(values.data_type()), InputRows::Appended).unwrap();
        let mut groups = aggregate.accumulator().unwrap();
        groups.grow(1);
        groups.merge(&[0; 3], &aggregate.partial(Some(&values), 3).unwrap()).unwrap();
        assert_eq!(shown(&groups.finish(&[0]).unwrap()), ["1.0"]);
        assert!(Percentile.resolve(Some(&DataType::Float64)).is_err());
    }

    #[test]
    fn values_that_are_there_more_often_than_a_number_holds_are_told() {
        let often = |values: &[Option<f64>]| {
            let values = rows(values, &vec![i64::MAX; values.len()], &[0.5]);
            let aggregate =
                Percentile.compile(Some(values.data_type()), InputRows::Appended).unwrap();
            let mut groups = aggregate.accumulator().unwrap();
            groups.grow(1);
            let partial = aggregate.partial(Some(&values), values.len()).unwrap();
            groups.merge(&vec![0; values.len()], &partial)?;
            groups.finish(&[0])
        };
        assert_eq!(shown(&often(&[Some(1.0), Some(2.0), Some(3.0)]).unwrap()), ["2.0"]);
        let error = often(&[Some(1.0), Some(1.0)]).unwrap_err();
        assert!(error.message.contains("more often than a BIGINT holds"), "{error}");
    }

    #[test]
    fn ranks_are_in_the_order_of_values() {
        let values = [f64::NEG_INFINITY, -2.5, -0.0, 0.0, 1e-9, 3.0, f64::INFINITY, f64::NAN];
        assert!(values.map(rank_of).is_sorted());
        assert!(values.iter().all(|v| value_of(rank_of(*v)).to_bits() == v.to_bits()));
    }
}
