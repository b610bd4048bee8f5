//! BITMAP_…_AGG. Partial result: how many sets of numbers there are, and in how many of them each
//! number is, both less than none for what went before it came.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Int32Builder, Int64Array, Int64Builder, ListBuilder,
};
use arrow::compute::kernels::numeric::neg_wrapping;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type};
use weir_state::chunked::Chunked;

use super::counted::{Counts, count, negated};
use crate::aggregate::{
    Accumulator, Aggregate, AggregateFunction, Export, InputRows, Refusal, ResultType, Retraction,
    malformed,
};
use crate::{OperatorError, roaring};

/// `BITMAP_OR_AGG(set)` and its like: the numbers that are in some, all, or an odd number of the
/// sets that are not NULL, as a bitmap ([`roaring`]), or how many they are.
///
/// A set is an array of INT whose items differ and are not NULL; that of `BITMAP_BUILD_AGG(number)`
/// is one number.
#[derive(Debug)]
pub(super) struct Bitmap {
    name: &'static str,
    wanted: Wanted,
    /// Whether they are counted.
    counted: bool,
}

/// Which numbers are wanted.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// Those of any set.
    Any,
    /// Those of all.
    All,
    /// Those of an odd number of sets.
    Odd,
}

const fn bitmap(name: &'static str, wanted: Wanted) -> Bitmap {
    Bitmap { name, wanted, counted: false }
}

const fn cardinality(name: &'static str, wanted: Wanted) -> Bitmap {
    Bitmap { name, wanted, counted: true }
}

pub(super) const BUILD: Bitmap = bitmap("BITMAP_BUILD_AGG", Wanted::Any);
pub(super) const OR: Bitmap = bitmap("BITMAP_OR_AGG", Wanted::Any);
pub(super) const AND: Bitmap = bitmap("BITMAP_AND_AGG", Wanted::All);
pub(super) const XOR: Bitmap = bitmap("BITMAP_XOR_AGG", Wanted::Odd);
pub(super) const BUILD_CARDINALITY: Bitmap =
    cardinality("BITMAP_BUILD_CARDINALITY_AGG", Wanted::Any);
pub(super) const OR_CARDINALITY: Bitmap = cardinality("BITMAP_OR_CARDINALITY_AGG", Wanted::Any);
pub(super) const AND_CARDINALITY: Bitmap = cardinality("BITMAP_AND_CARDINALITY_AGG", Wanted::All);
pub(super) const XOR_CARDINALITY: Bitmap = cardinality("BITMAP_XOR_CARDINALITY_AGG", Wanted::Odd);

const REFUSAL: Refusal = Refusal { takes: "a bitmap, or INT to build one of" };

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

impl AggregateFunction for Bitmap {
    fn name(&self) -> &'static str {
        self.name
    }

    fn resolve(&self, argument: Option<&DataType>) -> Result<ResultType, Refusal> {
        match argument {
            Some(DataType::List(item)) if *item.data_type() == DataType::Int32 => {
                let result = if self.counted { DataType::Int64 } else { DataType::Binary };
                Ok(ResultType::Of(result))
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
        Ok(Arc::new(Of { wanted: self.wanted, output }))
    }
}

#[derive(Clone, Debug)]
struct Of {
    wanted: Wanted,
    /// BIGINT where numbers are counted.
    output: DataType,
}

impl Aggregate for Of {
    fn output(&self) -> &DataType {
        &self.output
    }

    fn state(&self) -> Vec<Field> {
        vec![
            Field::new("sets", DataType::Int64, true),
            Field::new("numbers", list_of(DataType::Int32), true),
            Field::new("counts", list_of(DataType::Int64), true),
        ]
    }

    fn partial(
        &self,
        values: Option<&ArrayRef>,
        _rows: usize,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let sets = values.and_then(|values| values.as_list_opt::<i32>()).ok_or_else(wrong)?;
        let numbers = sets.values().as_primitive_opt::<Int32Type>().ok_or_else(wrong)?;
        let mut out = Columns::default();
        for row in 0..sets.len() {
            let there = sets.is_valid(row);
            if there {
                let offsets = sets.value_offsets();
                for at in offsets[row] as usize..offsets[row + 1] as usize {
                    out.entry(numbers.value(at), 1);
                }
            }
            out.end(i64::from(there));
        }
        Ok(out.finish())
    }

    fn retraction(&self) -> Retraction {
        Retraction::Negated
    }

    fn negated(&self, partial: &[ArrayRef]) -> Result<Vec<ArrayRef>, OperatorError> {
        let [sets, numbers, counts] = partial else { return Err(wrong()) };
        Ok(vec![neg_wrapping(sets)?, Arc::clone(numbers), negated(counts, WHAT)?])
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>, OperatorError> {
        Ok(Box::new(Sets { of: self.clone(), groups: Chunked::new(), entries: 0 }))
    }
}

const WHAT: &str = "a bitmap";

fn wrong() -> OperatorError {
    malformed(WHAT)
}

/// Partial results, a row after the other.
#[derive(Debug)]
struct Columns {
    sets: Vec<i64>,
    numbers: ListBuilder<Int32Builder>,
    counts: ListBuilder<Int64Builder>,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            sets: Vec::new(),
            numbers: ListBuilder::new(Int32Builder::new()),
            counts: ListBuilder::new(Int64Builder::new()),
        }
    }
}

impl Columns {
    fn entry(&mut self, number: i32, count: i64) {
        self.numbers.values().append_value(number);
        self.counts.values().append_value(count);
    }

    /// The end of a row of so many sets.
    fn end(&mut self, sets: i64) {
        self.sets.push(sets);
        self.numbers.append(true);
        self.counts.append(true);
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from(self.sets)),
            Arc::new(self.numbers.finish()),
            Arc::new(self.counts.finish()),
        ]
    }
}

/// The sets of a group.
#[derive(Clone, Default, Debug)]
struct Group {
    sets: i64,
    /// In how many of them each number is; numbers in their order, which is that without a sign.
    counts: Counts<u32>,
}

impl Group {
    fn numbers(&self, wanted: Wanted) -> impl Iterator<Item = u32> {
        let is_wanted = move |count: i64| match wanted {
            Wanted::Any => count > 0,
            Wanted::All => count == self.sets,
            Wanted::Odd => count > 0 && count % 2 == 1,
        };
        let wanted = self.counts.iter().filter(move |(_, count)| is_wanted(**count));
        wanted.map(|(number, _)| *number)
    }
}

#[derive(Debug)]
struct Sets {
    of: Of,
    groups: Chunked<Group>,
    /// Numbers that groups hold.
    entries: usize,
}

impl Export for Sets {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let mut out = Columns::default();
        for &slot in slots {
            let group = self.groups.get(slot as usize);
            group.counts.iter().for_each(|(&number, &count)| out.entry(number as i32, count));
            out.end(group.sets);
        }
        Ok(out.finish())
    }
}

impl Accumulator for Sets {
    fn grow(&mut self, groups: usize) {
        self.groups.grow(groups);
    }

    fn merge(&mut self, slots: &[u32], partial: &[ArrayRef]) -> Result<(), OperatorError> {
        let [sets, numbers, counts] = partial else { return Err(wrong()) };
        let sets = sets.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
        let numbers = numbers.as_list_opt::<i32>().ok_or_else(wrong)?;
        let counts = counts.as_list_opt::<i32>().ok_or_else(wrong)?;
        let values = numbers.values().as_primitive_opt::<Int32Type>().ok_or_else(wrong)?;
        let by = counts.values().as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
        let (starts, ends) = (numbers.value_offsets(), counts.value_offsets());
        for (row, &slot) in slots.iter().enumerate().take(sets.len()) {
            let group = self.groups.get_mut(slot as usize);
            group.sets += sets.value(row);
            let own = starts[row] as usize..starts[row + 1] as usize;
            for (number, counted) in own.zip(ends[row] as usize..) {
                let by = by.value(counted);
                let number = values.value(number) as u32;
                count(&mut group.counts, number, by, &mut self.entries).ok_or_else(wrong)?;
            }
        }
        Ok(())
    }

    fn reset(&mut self, slots: &[u32]) {
        for &slot in slots {
            let old = std::mem::take(self.groups.get_mut(slot as usize));
            self.entries -= old.counts.len();
        }
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        let groups = slots.iter().map(|&slot| self.groups.get(slot as usize));
        let groups = groups.map(|group| Some(group).filter(|group| group.sets > 0));
        if self.of.output == DataType::Int64 {
            let count = |group: &Group| group.numbers(self.of.wanted).count() as i64;
            return Ok(Arc::new(groups.map(|group| group.map(count)).collect::<Int64Array>()));
        }
        let bytes = |group: &Group| {
            let numbers: Vec<u32> = group.numbers(self.of.wanted).collect();
            roaring::write(&numbers)
        };
        Ok(Arc::new(groups.map(|group| group.map(bytes)).collect::<BinaryArray>()))
    }

    fn freeze(&mut self, _full: bool) -> Box<dyn Export> {
        Box::new(Self { of: self.of.clone(), groups: self.groups.freeze(), entries: 0 })
    }

    fn bytes(&self) -> usize {
        self.groups.bytes() + self.entries * size_of::<(u32, i64)>()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, ListArray};

    use super::*;

    fn sets(of: &[Option<&[i32]>]) -> ArrayRef {
        let items = of.iter().map(|set| set.map(|set| set.iter().copied().map(Some)));
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(items))
    }

    /// The numbers of a result, NULL if it is that.
    fn numbers(counts: &dyn Accumulator, slot: u32) -> Option<Vec<u32>> {
        let found = counts.finish(&[slot]).unwrap();
        let found = found.as_binary::<i32>();
        found.is_valid(0).then(|| roaring::read(found.value(0)).unwrap())
    }

    #[test]
    fn numbers_come_and_go_with_their_sets() {
        let came = sets(&[Some(&[1, 2, -1]), None, Some(&[2]), Some(&[2, 5])]);
        for (function, [all, rest, stored]) in [
            (&OR, [vec![1, 2, 5, u32::MAX], vec![2, 5], vec![2, 5, 7]]),
            (&AND, [vec![2], vec![2], vec![]]),
            (&XOR, [vec![1, 2, 5, u32::MAX], vec![5], vec![5, 7]]),
        ] {
            let of = function.compile(Some(came.data_type()), InputRows::Retracted).unwrap();
            let mut groups = of.accumulator().unwrap();
            groups.grow(2);
            groups.merge(&[0; 4], &of.partial(Some(&came), 4).unwrap()).unwrap();
            assert_eq!(numbers(&*groups, 0), Some(all), "{}", function.name);
            assert_eq!(numbers(&*groups, 1), None, "{}", function.name);
            // The first set goes, another one before it comes, and all is stored in between.
            let gone = of.partial(Some(&sets(&[Some(&[1, 2, -1]), Some(&[9])])), 2).unwrap();
            groups.merge(&[0, 1], &of.negated(&gone).unwrap()).unwrap();
            assert_eq!(numbers(&*groups, 0), Some(rest), "{}", function.name);
            let kept = groups.export(&[0, 1]).unwrap();
            groups.reset(&[0, 1]);
            groups.merge(&[0, 1], &kept).unwrap();
            let more = of.partial(Some(&sets(&[Some(&[7]), Some(&[9])])), 2).unwrap();
            groups.merge(&[0, 1], &more).unwrap();
            assert_eq!(numbers(&*groups, 0), Some(stored), "{}", function.name);
            assert_eq!(numbers(&*groups, 1), None, "{}", function.name);
        }
    }

    #[test]
    fn numbers_are_counted() {
        let of = AND_CARDINALITY.compile(Some(sets(&[]).data_type()), InputRows::Appended).unwrap();
        let mut groups = of.accumulator().unwrap();
        groups.grow(2);
        let came = of.partial(Some(&sets(&[Some(&[1, 2]), Some(&[2, 3])])), 2).unwrap();
        groups.merge(&[0, 0], &came).unwrap();
        let found = groups.finish(&[0, 1]).unwrap();
        assert_eq!(found.as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(1), None]));
        assert!(OR.resolve(Some(Int32Array::from(vec![1]).data_type())).is_err());
    }
}
