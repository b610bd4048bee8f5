//! Timers against a naive model.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a failure here is the test's")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use common::world::{Subject, World, steps};
use common::*;
use proptest::prelude::*;
use weir_protocol::KeyGroup;
use weir_state::hash::hash_columns;
use weir_state::merge::Input;
use weir_state::table::{Field, Groups, Table, TableSpec, Timers};

type Timer = (i64, String);

fn spec() -> TableSpec {
    TableSpec::timers("timers", vec![Field::new("k", DataType::Utf8, false)])
}

fn columns<'a>(timers: impl Iterator<Item = &'a Timer> + Clone) -> (Vec<ArrayRef>, Int64Array) {
    let keys: StringArray = timers.clone().map(|(_, key)| Some(key)).collect();
    (vec![Arc::new(keys)], timers.map(|(time, _)| Some(*time)).collect())
}

fn group(key: &str) -> KeyGroup {
    let keys: ArrayRef = Arc::new(StringArray::from(vec![key]));
    KeyGroup::of_hash(hash_columns(&[keys], 1).value(0), GROUPS)
}

#[derive(Clone, Debug)]
enum Change {
    Set(Vec<Timer>),
    Cancel(Vec<Timer>),
    Due(i64),
}

fn change() -> impl Strategy<Value = Change> {
    let timers = || {
        let key = (0_usize..6).prop_map(|i| "key ".repeat(i * 2));
        prop::collection::vec((prop_oneof![-4_i64..4, any::<i64>()], key), 1..12)
    };
    prop_oneof![
        3 => timers().prop_map(Change::Set),
        2 => timers().prop_map(Change::Cancel),
        1 => (-5_i64..5).prop_map(Change::Due),
    ]
}

fn due(timers: &mut Timers, now: i64, limit: usize) -> Vec<Timer> {
    let mut all = Vec::new();
    loop {
        let (keys, times) = timers.due(now, limit).unwrap();
        let keys = keys[0].as_string::<i32>();
        all.extend(times.values().iter().zip(keys).map(|(t, k)| (*t, k.unwrap().to_owned())));
        if times.len() < limit {
            return all;
        }
    }
}

impl Subject for Timers {
    type Change = Change;
    type Model = BTreeSet<Timer>;
    type Seen = BTreeSet<Timer>;

    fn empty(spec: &TableSpec, groups: Groups) -> Self {
        Self::new(spec.clone(), groups).unwrap()
    }

    fn restore(spec: &TableSpec, groups: Groups, inputs: &[Input]) -> Self {
        Self::restore(spec.clone(), groups, inputs).unwrap()
    }

    fn table(&mut self) -> &mut dyn Table {
        self
    }

    fn change(&mut self, groups: Groups, change: &Change) {
        let here = |timer: &&Timer| groups.range.contains(group(&timer.1));
        match change {
            Change::Set(timers) => {
                let (keys, times) = columns(timers.iter().filter(here));
                self.set(&keys, &times).unwrap();
            }
            Change::Cancel(timers) => {
                let (keys, times) = columns(timers.iter().filter(here));
                self.cancel(&keys, &times).unwrap();
            }
            Change::Due(now) => {
                let next = self.next();
                let due = due(self, *now, 3);
                assert!(due.is_sorted_by_key(|(time, _)| *time));
                assert_eq!(due.first().map(|(time, _)| *time), next.filter(|time| time <= now));
            }
        }
    }

    fn change_model(_: &TableSpec, model: &mut Self::Model, _: u32, change: &Change) {
        match change {
            Change::Set(timers) => model.extend(timers.iter().cloned()),
            Change::Cancel(timers) => model.retain(|timer| !timers.contains(timer)),
            Change::Due(now) => model.retain(|(time, _)| time > now),
        }
    }

    fn see(&mut self, groups: Groups) -> Self::Seen {
        let mut all = BTreeSet::new();
        for timer in self.all() {
            let (keys, times) = timer.unwrap();
            let key = keys[0].as_string::<i32>().value(0).to_owned();
            assert!(groups.range.contains(group(&key)));
            assert!(all.insert((times, key)));
        }
        all
    }

    fn see_model(_: &TableSpec, model: &Self::Model, _: u32) -> Self::Seen {
        model.clone()
    }

    fn see_rows(rows: &[RecordBatch]) -> Self::Seen {
        let each = rows.iter().flat_map(|rows| {
            let keys = rows.column(0).as_string::<i32>().iter().map(|key| key.unwrap().to_owned());
            rows.column(1).as_primitive::<Int64Type>().values().iter().copied().zip(keys)
        });
        each.collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_timer_is_due_once_unless_it_is_cancelled_whatever_happens_between(
        steps in steps(change()),
    ) {
        World::<Timers>::run(spec(), &steps);
    }
}
