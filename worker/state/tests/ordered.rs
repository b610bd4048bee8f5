//! Ordered tables against a naive model.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a failure here is the test's")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use common::cached::{Cached, ReadsThrough};
use common::world::{Subject, World, steps};
use common::*;
use proptest::prelude::*;
use weir_protocol::KeyGroup;
use weir_state::hash::hash_columns;
use weir_state::key_table::ABSENT;
use weir_state::merge::Input;
use weir_state::table::{Expiry, Field, Groups, OrderField, Ordered, Scan, Table, TableSpec};

/// Key; order: a time, then a text; the row: a number.
type Key = String;
type OrderOf = (i64, Option<String>);
type Rows = BTreeMap<Key, BTreeMap<OrderOf, (Option<i64>, u32)>>;

fn spec(expiry: Expiry) -> TableSpec {
    let mut text = OrderField::ascending("text", DataType::Utf8);
    text.field.nullable = true;
    // As `Option` sorts in the model.
    text.nulls_first = true;
    let order = vec![OrderField::ascending("time", DataType::Int64), text];
    let columns = vec![Field::new("n", DataType::Int64, true)];
    TableSpec::ordered("rows", vec![Field::new("k", DataType::Utf8, false)], order, columns)
        .with_expiry(expiry)
}

fn keys<'a>(keys: impl Iterator<Item = &'a Key>) -> Vec<ArrayRef> {
    vec![Arc::new(keys.map(Some).collect::<StringArray>())]
}

fn orders<'a>(orders: impl Iterator<Item = &'a OrderOf> + Clone) -> Vec<ArrayRef> {
    vec![
        Arc::new(orders.clone().map(|order| Some(order.0)).collect::<Int64Array>()),
        Arc::new(orders.map(|order| order.1.clone()).collect::<StringArray>()),
    ]
}

fn group(key: &Key) -> KeyGroup {
    KeyGroup::of_hash(hash_columns(&keys(std::iter::once(key)), 1).value(0), GROUPS)
}

const KEYS: [&str; 4] = ["a", "b", "a key beyond fifteen bytes", "d"];

#[derive(Clone, Debug)]
enum Change {
    Put(Vec<(Key, OrderOf, Option<i64>)>),
    /// Adds to the number of rows that are there, in place.
    Add(Vec<(Key, OrderOf)>, i64),
    Remove(Vec<(Key, OrderOf)>),
    Clear(Vec<Key>),
    Expire(i64),
}

fn change() -> impl Strategy<Value = Change> {
    let key = || prop::sample::select(&KEYS).prop_map(str::to_owned);
    let text = || {
        prop_oneof![
            2 => Just(None),
            2 => Just(Some(String::new())),
            1 => Just(Some("\0".to_owned())),
            1 => Just(Some("an order that does not fit into a cell".to_owned())),
        ]
    };
    let order = || (-3_i64..12, text());
    let place = move || (key(), order());
    let row = (key(), order(), prop::option::of(-9_i64..9));
    prop_oneof![
        6 => prop::collection::vec(row, 1..30).prop_map(Change::Put),
        1 => (prop::collection::vec(place(), 1..9), 1_i64..9).prop_map(|(p, n)| Change::Add(p, n)),
        3 => prop::collection::vec(place(), 1..30).prop_map(Change::Remove),
        1 => prop::collection::vec(key(), 1..3).prop_map(Change::Clear),
        1 => (-3_i64..14).prop_map(Change::Expire),
    ]
}

/// Changes of hundreds of rows of many keys, so that tables become mostly empty.
fn bulk() -> impl Strategy<Value = Change> {
    let places = || {
        (0_i64..400, 1_i64..1_500, 0_i64..12).prop_map(|(start, len, time)| {
            let place = move |n: i64| {
                let text = (n % 5 > 0).then(|| "x".repeat(n as usize % 40));
                (format!("key {}", n % 400), (time + n / 400, text))
            };
            (start..start + len).map(place).collect::<Vec<_>>()
        })
    };
    let rows = places()
        .prop_map(|places| places.into_iter().map(|(k, o)| (k, o.clone(), Some(o.0))).collect());
    let keys = places().prop_map(|places| places.into_iter().map(|place| place.0).collect());
    prop_oneof![
        6 => rows.prop_map(Change::Put),
        2 => places().prop_map(Change::Remove),
        2 => keys.prop_map(Change::Clear),
        1 => (places(), 1_i64..9).prop_map(|(p, n)| Change::Add(p, n)),
        1 => (-3_i64..18).prop_map(Change::Expire),
    ]
}

#[derive(Clone, Default)]
struct Model {
    rows: Rows,
    bound: Option<i64>,
}

fn here<'a, T>(groups: Groups, key: impl Fn(&T) -> &Key + 'a) -> impl Fn(&&T) -> bool + 'a {
    move |item| groups.range.contains(group(key(item)))
}

impl Subject for Ordered {
    type Change = Change;
    type Model = Model;
    type Seen = BTreeMap<Key, Vec<(OrderOf, Option<i64>)>>;

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
        match change {
            Change::Put(rows) => {
                let rows: Vec<_> =
                    rows.iter().filter(here(groups, |row: &(Key, _, _)| &row.0)).collect();
                let n: ArrayRef = Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>());
                let (k, o) = (keys(rows.iter().map(|r| &r.0)), orders(rows.iter().map(|r| &r.1)));
                self.put(&k, &o, &[n], rows.len()).unwrap();
            }
            Change::Add(places, by) => {
                let places: Vec<_> =
                    places.iter().filter(here(groups, |p: &(Key, _)| &p.0)).collect();
                let (k, o) =
                    (keys(places.iter().map(|p| &p.0)), orders(places.iter().map(|p| &p.1)));
                let mut slots = Vec::new();
                self.find(&k, &o, places.len(), &mut slots).unwrap();
                slots.retain(|&slot| slot != ABSENT);
                self.touch(&slots);
                let mut n = self.column_mut::<i64>(0).unwrap();
                for slot in slots {
                    n.set(slot, n.get(slot).unwrap_or_default() + by);
                }
            }
            Change::Remove(places) => {
                let places: Vec<_> =
                    places.iter().filter(here(groups, |p: &(Key, _)| &p.0)).collect();
                let (k, o) =
                    (keys(places.iter().map(|p| &p.0)), orders(places.iter().map(|p| &p.1)));
                self.remove(&k, &o, places.len()).unwrap();
            }
            Change::Clear(of) => {
                let of: Vec<_> = of.iter().filter(here(groups, |key: &Key| key)).collect();
                self.clear(&keys(of.iter().copied()), of.len()).unwrap();
            }
            Change::Expire(bound) => self.expire_below(*bound),
        }
    }

    fn change_model(spec: &TableSpec, model: &mut Model, clock: u32, change: &Change) {
        for rows in model.rows.values_mut() {
            rows.retain(|_, (_, stamp)| !spec.expiry.is_over(*stamp, clock));
        }
        let bound = model.bound.unwrap_or(i64::MIN);
        match change {
            Change::Put(rows) => {
                for (key, order, n) in rows.iter().filter(|row| row.1.0 >= bound) {
                    let rows = model.rows.entry(key.clone()).or_default();
                    rows.insert(order.clone(), (*n, clock));
                }
            }
            Change::Add(places, by) => {
                for (key, order) in places {
                    let row = model.rows.get_mut(key).and_then(|rows| rows.get_mut(order));
                    if let Some((n, stamp)) = row {
                        (*n, *stamp) = (Some(n.unwrap_or_default() + by), clock);
                    }
                }
            }
            Change::Remove(places) => {
                for (key, order) in places {
                    model.rows.entry(key.clone()).or_default().remove(order);
                }
            }
            Change::Clear(of) => of.iter().for_each(|key| drop(model.rows.remove(key))),
            Change::Expire(to) if spec.expiry == Expiry::ByOrder => {
                let bound = bound.max(*to);
                model.bound = Some(bound);
                for rows in model.rows.values_mut() {
                    rows.retain(|(time, _), _| *time >= bound);
                }
            }
            Change::Expire(_) => {}
        }
    }

    /// Reads by scans in both directions, three rows at a time, and by looking each row up.
    fn see(&mut self, groups: Groups) -> Self::Seen {
        let (mut all, table) = (BTreeMap::new(), self);
        {
            let everything: Vec<u32> = table.all().collect();
            let of = table.keys(&everything).unwrap();
            let mut by_key: BTreeMap<Key, usize> = BTreeMap::new();
            for key in of[0].as_string::<i32>() {
                *by_key.entry(key.unwrap().to_owned()).or_default() += 1;
            }
            for (key, rows) in by_key {
                assert!(groups.range.contains(group(&key)));
                let mut slots = Vec::new();
                table.lookup(&keys(std::iter::once(&key)), 1, &mut slots).unwrap();
                let read = |mut scan: Scan| {
                    let mut found = Vec::new();
                    while table.scan(&mut scan, 3, &mut found) {}
                    found
                };
                let found = read(Scan::all(slots[0]));
                let mut backward = read(Scan::all(slots[0]).backward());
                backward.reverse();
                assert_eq!(found, backward);
                assert_eq!(found.len(), rows);
                let orders = table.orders(&found).unwrap();
                let mut again = Vec::new();
                let of = table.keys(&found).unwrap();
                table.find(&of, &orders, rows, &mut again).unwrap();
                assert_eq!(found, again);
                let n = table.read(0, &found).unwrap();
                let n = n.as_primitive::<Int64Type>();
                let (times, texts) =
                    (orders[0].as_primitive::<Int64Type>(), orders[1].as_string::<i32>());
                let rows = (0..rows).map(|i| {
                    let text = texts.is_valid(i).then(|| texts.value(i).to_owned());
                    ((times.value(i), text), n.is_valid(i).then(|| n.value(i)))
                });
                assert_eq!(all.insert(key, rows.collect()), None);
            }
        }
        all
    }

    fn see_model(spec: &TableSpec, model: &Model, clock: u32) -> Self::Seen {
        let seen = model.rows.iter().map(|(key, rows)| {
            let rows = rows.iter().filter(|(_, (_, stamp))| !spec.expiry.is_over(*stamp, clock));
            (key.clone(), rows.map(|(order, (n, _))| (order.clone(), *n)).collect::<Vec<_>>())
        });
        seen.filter(|(_, rows)| !rows.is_empty()).collect()
    }

    fn see_rows(rows: &[RecordBatch]) -> Self::Seen {
        let mut all = Self::Seen::new();
        for rows in rows {
            let names: Vec<&str> =
                rows.schema_ref().fields().iter().map(|f| f.name().as_str()).collect();
            assert_eq!(names, ["k", "time", "text", "n"]);
            let (keys, texts) =
                (rows.column(0).as_string::<i32>(), rows.column(2).as_string::<i32>());
            let number = |column: usize| rows.column(column).as_primitive::<Int64Type>();
            for row in 0..rows.num_rows() {
                let text = texts.is_valid(row).then(|| texts.value(row).to_owned());
                let n = number(3).is_valid(row).then(|| number(3).value(row));
                let own = all.entry(keys.value(row).to_owned()).or_default();
                own.push(((number(1).value(row), text), n));
            }
        }
        all
    }
}

impl ReadsThrough for Ordered {
    type Key = Key;

    fn columns(of: &[Key]) -> Vec<ArrayRef> {
        keys(of.iter())
    }

    fn keys_of(change: &Change) -> Vec<Key> {
        match change {
            Change::Put(rows) => rows.iter().map(|row| row.0.clone()).collect(),
            Change::Add(places, _) | Change::Remove(places) => {
                places.iter().map(|place| place.0.clone()).collect()
            }
            Change::Clear(of) => of.clone(),
            Change::Expire(_) => Vec::new(),
        }
    }

    fn needs_reading(change: &Change) -> bool {
        matches!(change, Change::Add(..))
    }

    fn all_keys() -> Vec<Key> {
        KEYS.iter().map(|key| (*key).to_owned()).collect()
    }

    fn is_in(groups: Groups, key: &Key) -> bool {
        groups.range.contains(group(key))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn keys_that_left_memory_are_read_back_around_what_was_written_since(
        steps in steps(change()),
    ) {
        World::<Cached<Ordered>>::run(spec(Expiry::Never), &steps);
    }

    #[test]
    fn rows_below_a_bound_are_not_read_back(steps in steps(change())) {
        World::<Cached<Ordered>>::run(spec(Expiry::ByOrder), &steps);
    }

    #[test]
    fn ordered_rows_that_expired_are_not_read_back(steps in steps(change())) {
        World::<Cached<Ordered>>::run(spec(Expiry::Ttl(5)), &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn ordered_rows_are_what_the_model_says_after_every_step(steps in steps(change())) {
        World::<Ordered>::run(spec(Expiry::Never), &steps);
    }

    #[test]
    fn rows_below_an_expiry_bound_never_come_back(steps in steps(change())) {
        World::<Ordered>::run(spec(Expiry::ByOrder), &steps);
    }

    #[test]
    fn ordered_rows_never_outlive_their_time_nor_come_back(steps in steps(change())) {
        World::<Ordered>::run(spec(Expiry::Ttl(5)), &steps);
    }

    #[test]
    fn a_scan_between_edges_gives_the_rows_between_them(
        rows in prop::collection::btree_set((-20_i64..20, 0_usize..3), 0..400),
        from in -21_i64..21, to in -21_i64..21, limit in 1_usize..50, exclusive in any::<bool>(),
    ) {
        let mut table = Ordered::new(spec(Expiry::Never), all_groups()).unwrap();
        let of: Vec<OrderOf> =
            rows.iter().map(|(time, len)| (*time, Some("\0".repeat(*len)))).collect();
        let key = "key".to_owned();
        let n: ArrayRef = Arc::new((0..of.len() as i64).map(Some).collect::<Int64Array>());
        table.put(&keys(of.iter().map(|_| &key)), &orders(of.iter()), &[n], of.len()).unwrap();
        let mut slots = Vec::new();
        table.lookup(&keys(std::iter::once(&key)), 1, &mut slots).unwrap();
        let edges: ArrayRef = Arc::new(Int64Array::from(vec![from, to]));
        let edges = table.edges(&[edges], 2).unwrap();
        let scan = Scan::all(slots[0]).from(&edges[0]);
        let scan = if exclusive { scan.before(&edges[1]) } else { scan.to(&edges[1]) };
        let wanted: Vec<i64> = (0..of.len() as i64)
            .filter(|&i| {
                let time = of[i as usize].0;
                from <= time && if exclusive { time < to } else { time <= to }
            })
            .collect();
        for backward in [false, true] {
            let mut scan = if backward { scan.clone().backward() } else { scan.clone() };
            let mut found = Vec::new();
            while table.scan(&mut scan, limit, &mut found) {}
            let n = table.read(0, &found).unwrap();
            let mut found = n.as_primitive::<Int64Type>().values().to_vec();
            if backward {
                found.reverse();
            }
            prop_assert_eq!(&found, &wanted);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn runs_that_come_and_go_by_hundreds_are_what_the_model_says(steps in steps(bulk())) {
        World::<Ordered>::run(spec(Expiry::Never), &steps);
    }

    #[test]
    fn hundreds_of_rows_below_a_bound_never_come_back(steps in steps(bulk())) {
        World::<Ordered>::run(spec(Expiry::ByOrder), &steps);
    }

    #[test]
    fn hundreds_of_ordered_rows_never_outlive_their_time(steps in steps(bulk())) {
        World::<Ordered>::run(spec(Expiry::Ttl(5)), &steps);
    }
}

/// Removed rows, cleared keys and changes that no segment holds must survive that a table is
/// moved together between two checkpoints.
#[test]
fn a_table_that_is_moved_together_forgets_nothing_that_was_not_frozen() {
    let key = |n: i64| format!("key {}", n % 100);
    let order = |n: i64| (n / 100, None);
    let mut table = Ordered::new(spec(Expiry::Never), all_groups()).unwrap();
    let all = all_groups();
    let rows = (0..5_000).map(|n| (key(n), order(n), Some(n))).collect();
    let mut chain = Chain::default();
    table.change(all, &Change::Put(rows));
    checkpoint(&mut table, &mut chain, age(1));
    // Most keys are cleared, of others a row is removed, one is written and one new.
    table.change(all, &Change::Clear((0..90).map(key).collect()));
    table.change(all, &Change::Remove(vec![(key(91), order(91)), (key(92), order(92))]));
    table.change(all, &Change::Add(vec![(key(93), order(93))], 7));
    table.change(all, &Change::Put(vec![(key(5), order(6_000), None)]));
    let before = table.memory().total();
    table.sweep(1);
    assert!(table.memory().total() * 2 < before, "it was not moved together");
    let seen = table.see(all);
    assert_eq!(seen.values().map(Vec::len).sum::<usize>(), 10 * 50 - 2 + 1);
    // Once more, with tombstones and markers that are frozen and not published.
    chain.add(table.freeze(age(2)));
    table.change(all, &Change::Clear((90..97).map(key).collect()));
    table.sweep(1);
    let seen = table.see(all);
    assert_eq!(seen.values().map(Vec::len).sum::<usize>(), 3 * 50 + 1);
    chain.add(table.freeze(age(3)));
    let mut restored = Ordered::restore(spec(Expiry::Never), all, &chain.inputs()).unwrap();
    assert_eq!(restored.see(all), seen);
}

#[test]
fn rows_are_told_of_by_the_key_group_of_their_key() {
    let mut table = Ordered::new(spec(Expiry::Never), all_groups()).unwrap();
    let put = |table: &mut Ordered, key: &str, times: std::ops::Range<i64>| {
        let of: Vec<Key> = times.clone().map(|_| key.to_owned()).collect();
        let order: Vec<OrderOf> = times.clone().map(|time| (time, None)).collect();
        let n: ArrayRef = Arc::new(Int64Array::from_iter_values(times));
        table.put(&keys(of.iter()), &orders(order.iter()), &[n], of.len()).unwrap();
    };
    put(&mut table, "a", 0..30);
    put(&mut table, "d", 0..5);
    let mut groups = BTreeMap::new();
    table
        .count_groups(1_000, &mut |group, rows| *groups.entry(group).or_insert(0) += rows)
        .unwrap();
    let mut expected = BTreeMap::new();
    for (key, rows) in [("a", 30), ("d", 5)] {
        *expected.entry(group(&key.to_owned())).or_insert(0) += rows;
    }
    assert_eq!(groups, expected);
}
