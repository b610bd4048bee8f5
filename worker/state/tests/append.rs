//! Rows that are appended behind equal ones, and removed by their slots, against a sorted list.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a failure here is the test's")]

mod common;

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use common::all_groups;
use proptest::prelude::*;
use weir_state::table::{Field, OrderField, Ordered, Scan, TableSpec};

const TEXTS: [&str; 6] = ["", "\0", "a", "a\0", "ab", "an order that does not fit into a cell"];

/// What rows are ordered by before they are numbered.
#[derive(Clone, Debug)]
struct By {
    data_type: DataType,
    nullable: bool,
    descending: bool,
    nulls_first: bool,
}

fn by() -> impl Strategy<Value = By> {
    let types = vec![DataType::Int64, DataType::Boolean, DataType::Utf8];
    (prop::sample::select(types), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(data_type, nullable, descending, nulls_first)| By {
            data_type,
            nullable,
            descending,
            nulls_first,
        },
    )
}

impl By {
    fn spec(&self) -> TableSpec {
        let mut first = OrderField::ascending("by", self.data_type.clone());
        first.field.nullable = self.nullable;
        (first.descending, first.nulls_first) = (self.descending, self.nulls_first);
        let order = vec![first, OrderField::ascending("arrival", DataType::Int64)];
        let row = vec![Field::new("n", DataType::Int64, false)];
        TableSpec::ordered("rows", vec![Field::new("k", DataType::Int64, false)], order, row)
    }

    /// The value of a number between 0 and 5; none of 5 where NULL can be.
    fn value(&self, of: usize) -> Option<usize> {
        (!self.nullable || of < 5).then_some(match self.data_type {
            DataType::Boolean => of % 2,
            _ => of,
        })
    }

    fn column(&self, of: &[usize]) -> ArrayRef {
        let values = of.iter().map(|&of| self.value(of));
        // Among them numbers that differ in their first or last byte alone, and the least and largest.
        let numbers = [i64::MIN, -1, 0, 1, 256, i64::MAX];
        match self.data_type {
            DataType::Boolean => {
                Arc::new(values.map(|v| v.map(|v| v == 1)).collect::<BooleanArray>())
            }
            DataType::Utf8 => {
                Arc::new(values.map(|v| v.map(|v| TEXTS[v])).collect::<StringArray>())
            }
            _ => Arc::new(values.map(|v| v.map(|v| numbers[v])).collect::<Int64Array>()),
        }
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        match (self.value(a), self.value(b)) {
            (Some(a), Some(b)) if self.descending => b.cmp(&a),
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) if self.nulls_first => a.is_some().cmp(&b.is_some()),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }
}

/// The slots of a key's rows, in order, and the numbers in them.
fn rows(table: &mut Ordered, key: i64) -> (Vec<u32>, Vec<i64>) {
    let mut keys = Vec::new();
    table.lookup(&[Arc::new(Int64Array::from(vec![key])) as ArrayRef], 1, &mut keys).unwrap();
    let (mut scan, mut slots) = (Scan::all(keys[0]), Vec::new());
    while table.scan(&mut scan, 7, &mut slots) {}
    let numbers = table.read(0, &slots).unwrap();
    (slots.clone(), numbers.as_primitive::<Int64Type>().values().to_vec())
}

proptest! {
    #[test]
    fn appended_rows_stand_behind_their_equals(
        by in by(),
        batches in prop::collection::vec(
            (prop::collection::vec((0_i64..3, 0_usize..6), 1..60), prop::collection::vec(any::<prop::sample::Index>(), 0..20)),
            1..12,
        ),
    ) {
        let mut table = Ordered::new(by.spec(), all_groups()).unwrap();
        // Key, value, number: in the order in which they came.
        let mut model: Vec<(i64, usize, i64)> = Vec::new();
        for (number, (batch, gone)) in (0..).zip(batches) {
            let (keys, values): (Vec<i64>, Vec<usize>) = batch.into_iter().unzip();
            let numbers: Vec<i64> = (number * 100..).take(keys.len()).collect();
            let columns = [Arc::new(Int64Array::from(numbers.clone())) as ArrayRef];
            let key_column = [Arc::new(Int64Array::from(keys.clone())) as ArrayRef];
            table.append(&key_column, &[by.column(&values)], &columns, keys.len()).unwrap();
            let rows_of = keys.into_iter().zip(values).zip(numbers);
            model.extend(rows_of.map(|((key, value), number)| (key, value, number)));
            for key in 0..3 {
                let mut wanted: Vec<_> = model.iter().filter(|row| row.0 == key).collect();
                wanted.sort_by(|a, b| by.compare(a.1, b.1));
                let (slots, found) = rows(&mut table, key);
                prop_assert_eq!(&found, &wanted.iter().map(|row| row.2).collect::<Vec<_>>());
                for pair in wanted.windows(2).zip(slots.windows(2)) {
                    let equal = table.order_before_last(pair.1[0]) == table.order_before_last(pair.1[1]);
                    prop_assert_eq!(equal, by.compare(pair.0[0].1, pair.0[1].1).is_eq());
                }
                if !slots.is_empty() {
                    let mut gone: Vec<usize> = gone.iter().map(|at| at.index(slots.len())).collect();
                    gone.sort_unstable();
                    gone.dedup();
                    table.remove_slots(&gone.iter().map(|&at| slots[at]).collect::<Vec<_>>());
                    model.retain(|row| !gone.iter().any(|&at| found[at] == row.2));
                }
            }
        }
    }
}

#[test]
fn nothing_is_appended_where_nothing_numbers_rows() {
    let order = vec![OrderField::descending("at", DataType::Int64)];
    let spec =
        TableSpec::ordered("rows", vec![Field::new("k", DataType::Int64, false)], order, vec![]);
    let mut table = Ordered::new(spec, all_groups()).unwrap();
    let keys = [Arc::new(Int64Array::from(vec![1])) as ArrayRef];
    assert!(table.append(&keys, &[], &[], 1).is_err());
}
