//! Keyed tables against a naive model.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a failure here is the test's")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field as ArrowField, Int64Type};
use common::cached::{Cached, ReadsThrough, layer};
use common::world::{Subject, World, steps};
use common::*;
use proptest::prelude::*;
use weir_protocol::KeyGroup;
use weir_state::hash::hash_columns;
use weir_state::key_table::ABSENT;
use weir_state::merge::Input;
use weir_state::table::{Expiry, Field, Groups, Keyed, Table, TableSpec};

fn spec(expiry: Expiry) -> TableSpec {
    let columns = vec![
        Field::new("n", DataType::Int64, false),
        Field::new("text", DataType::Utf8, true),
        Field::new("parts", parts([].into_iter()).data_type().clone(), true),
    ];
    TableSpec::keyed("rows", vec![Field::new("k", DataType::Int64, true)], columns)
        .with_expiry(expiry)
}

type Key = Option<i64>;
type RowOf = (i64, Option<String>);

fn keys(keys: &[Key]) -> Vec<ArrayRef> {
    vec![Arc::new(keys.iter().copied().collect::<Int64Array>())]
}

/// A ROW with what texts are made of: a length, a list of letters, a map; NULL where there is none.
fn parts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let texts: Vec<Option<&str>> = texts.collect();
    let lengths = texts.iter().map(|text| text.map(|text| -(text.len() as f64)));
    let lengths: ArrayRef = Arc::new(lengths.collect::<Float64Array>());
    let mut letters = ListBuilder::new(StringBuilder::new());
    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let mut counts = MapBuilder::new(Some(names), StringBuilder::new(), Int32Builder::new());
    for text in &texts {
        for letter in text.iter().flat_map(|text| text.chars().take(3)) {
            letters.values().append_value(letter.to_string());
            letters.values().append_null();
        }
        letters.append(text.is_some_and(|text| text.len() != 4));
        for key in ["z", "a"] {
            counts.keys().append_value(key);
            counts.values().append_option(text.map(|text| text.len() as i32));
        }
        counts.append(true).unwrap();
    }
    let columns: Vec<ArrayRef> =
        vec![lengths, Arc::new(letters.finish()), Arc::new(counts.finish())];
    let fields = ["length", "letters", "counts"].iter().zip(&columns);
    let fields = fields.map(|(name, c)| ArrowField::new(*name, c.data_type().clone(), true));
    let nulls = texts.iter().map(Option::is_some).collect();
    Arc::new(StructArray::new(fields.collect(), columns, Some(nulls)))
}

fn write(table: &mut Keyed, rows: &[(Key, RowOf)]) {
    let mut slots = Vec::new();
    let of: Vec<Key> = rows.iter().map(|row| row.0).collect();
    table.resolve(&keys(&of), rows.len(), &mut slots).unwrap();
    let mut n = table.column_mut::<i64>(0).unwrap();
    for (&slot, (_, row)) in slots.iter().zip(rows) {
        n.set(slot, row.0);
    }
    let text: ArrayRef =
        Arc::new(rows.iter().map(|(_, row)| row.1.clone()).collect::<StringArray>());
    table.write(1, &slots, &text).unwrap();
    let parts = parts(text.as_string::<i32>().iter());
    table.write(2, &slots, &parts).unwrap();
}

fn remove(table: &mut Keyed, of: &[Key]) {
    let mut slots = Vec::new();
    table.lookup(&keys(of), of.len(), &mut slots).unwrap();
    table.remove(&slots);
}

/// Everything that the table holds, by reading it and by looking each key up.
fn read(table: &mut Keyed) -> BTreeMap<Key, RowOf> {
    let slots: Vec<u32> = table.all().collect();
    let of = table.keys(&slots).unwrap();
    let (n, text) = (table.read(0, &slots).unwrap(), table.read(1, &slots).unwrap());
    assert_eq!(&table.read(2, &slots).unwrap(), &parts(text.as_string::<i32>().iter()));
    let mut found = Vec::new();
    table.lookup(&of, slots.len(), &mut found).unwrap();
    assert_eq!(found, slots);
    let of = of[0].as_primitive::<Int64Type>();
    let (n, text) = (n.as_primitive::<Int64Type>(), text.as_string::<i32>());
    (0..slots.len())
        .map(|i| {
            let key = of.is_valid(i).then(|| of.value(i));
            (key, (n.value(i), text.is_valid(i).then(|| text.value(i).to_owned())))
        })
        .collect()
}

fn group(key: Key) -> KeyGroup {
    KeyGroup::of_hash(hash_columns(&keys(&[key]), 1).value(0), GROUPS)
}

#[derive(Clone, Debug)]
enum Change {
    Write(Vec<(Key, RowOf)>),
    /// Writes only one column of rows that are there.
    Add(Vec<Key>, i64),
    Remove(Vec<Key>),
}

fn change() -> impl Strategy<Value = Change> {
    let key = || prop_oneof![1 => Just(None), 20 => (0_i64..30).prop_map(Some)];
    let text = prop::option::of(prop_oneof![Just(0_usize), 1..40_usize]);
    let row = (any::<i64>(), text.prop_map(|len| len.map(|len| "ß".repeat(len))));
    prop_oneof![
        3 => prop::collection::vec((key(), row), 1..20).prop_map(Change::Write),
        1 => (prop::collection::vec(key(), 1..6), any::<i64>()).prop_map(|(k, n)| Change::Add(k, n)),
        2 => prop::collection::vec(key(), 1..12).prop_map(Change::Remove),
    ]
}

/// Changes of thousands of rows, so that tables grow over many chunks and become mostly empty.
fn bulk() -> impl Strategy<Value = Change> {
    let range = || (0_i64..4_000, 1_i64..4_000).prop_map(|(start, len)| start..start + len);
    let row = |key: i64| {
        let text = (key % 3 > 0).then(|| "ß".repeat(key as usize % 30));
        (Some(key), (key * 7, text))
    };
    prop_oneof![
        2 => range().prop_map(move |keys| Change::Write(keys.map(row).collect())),
        1 => (range(), any::<i64>()).prop_map(|(k, n)| Change::Add(k.map(Some).collect(), n)),
        3 => range().prop_map(|keys| Change::Remove(keys.map(Some).collect())),
    ]
}

impl Subject for Keyed {
    type Change = Change;
    type Model = BTreeMap<Key, (RowOf, u32)>;
    type Seen = BTreeMap<Key, RowOf>;

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
        let here = |key: &Key| groups.range.contains(group(*key));
        match change {
            Change::Write(rows) => {
                let rows: Vec<_> = rows.iter().filter(|(key, _)| here(key)).cloned().collect();
                write(self, &rows);
            }
            Change::Add(of, by) => {
                let of: Vec<Key> = of.iter().copied().filter(here).collect();
                let mut slots = Vec::new();
                self.lookup(&keys(&of), of.len(), &mut slots).unwrap();
                slots.retain(|&slot| slot != ABSENT);
                self.touch(&slots);
                let mut n = self.column_mut::<i64>(0).unwrap();
                for slot in slots {
                    n.set(slot, n.get(slot).unwrap().wrapping_add(*by));
                }
            }
            Change::Remove(of) => {
                remove(self, &of.iter().copied().filter(here).collect::<Vec<_>>());
            }
        }
    }

    fn change_model(spec: &TableSpec, model: &mut Self::Model, clock: u32, change: &Change) {
        model.retain(|_, (_, stamp)| !spec.expiry.is_over(*stamp, clock));
        match change {
            Change::Write(rows) => {
                model.extend(rows.iter().map(|(key, row)| (*key, (row.clone(), clock))));
            }
            Change::Add(of, by) => {
                for key in of {
                    if let Some((row, stamp)) = model.get_mut(key) {
                        row.0 = row.0.wrapping_add(*by);
                        *stamp = clock;
                    }
                }
            }
            Change::Remove(of) => of.iter().for_each(|key| drop(model.remove(key))),
        }
    }

    fn see(&mut self, groups: Groups) -> Self::Seen {
        let rows = read(self);
        assert!(rows.keys().all(|key| groups.range.contains(group(*key))));
        rows
    }

    fn see_model(spec: &TableSpec, model: &Self::Model, clock: u32) -> Self::Seen {
        let visible = model.iter().filter(|(_, (_, stamp))| !spec.expiry.is_over(*stamp, clock));
        visible.map(|(key, (row, _))| (*key, row.clone())).collect()
    }

    fn see_rows(rows: &[RecordBatch]) -> Self::Seen {
        let mut all = BTreeMap::new();
        for rows in rows {
            let number = |column: usize| rows.column(column).as_primitive::<Int64Type>();
            let texts = rows.column(2).as_string::<i32>();
            assert_eq!(rows.column(3).as_ref(), parts(texts.iter()).as_ref());
            for row in 0..rows.num_rows() {
                let key = number(0).is_valid(row).then(|| number(0).value(row));
                let text = texts.is_valid(row).then(|| texts.value(row).to_owned());
                assert_eq!(all.insert(key, (number(1).value(row), text)), None, "twice");
            }
        }
        all
    }
}

impl ReadsThrough for Keyed {
    type Key = Key;

    fn columns(of: &[Key]) -> Vec<ArrayRef> {
        keys(of)
    }

    fn keys_of(change: &Change) -> Vec<Key> {
        match change {
            Change::Write(rows) => rows.iter().map(|row| row.0).collect(),
            Change::Add(of, _) | Change::Remove(of) => of.clone(),
        }
    }

    fn needs_reading(_: &Change) -> bool {
        true
    }

    fn all_keys() -> Vec<Key> {
        std::iter::once(None).chain((0..30).map(Some)).collect()
    }

    fn is_in(groups: Groups, key: &Key) -> bool {
        groups.range.contains(group(*key))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn rows_that_left_memory_are_read_back_as_they_were_whatever_comes_late(
        steps in steps(change()),
    ) {
        World::<Cached<Keyed>>::run(spec(Expiry::Never), &steps);
    }

    #[test]
    fn rows_that_expired_are_not_read_back(steps in steps(change())) {
        World::<Cached<Keyed>>::run(spec(Expiry::Ttl(5)), &steps);
    }

    #[test]
    fn keyed_rows_are_what_the_model_says_after_every_step(steps in steps(change())) {
        World::<Keyed>::run(spec(Expiry::Never), &steps);
    }

    #[test]
    fn rows_with_a_time_to_live_never_outlive_it_nor_come_back(steps in steps(change())) {
        World::<Keyed>::run(spec(Expiry::Ttl(5)), &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn tables_that_grow_and_shrink_by_thousands_are_what_the_model_says(steps in steps(bulk())) {
        World::<Keyed>::run(spec(Expiry::Never), &steps);
    }

    #[test]
    fn thousands_of_rows_with_a_time_to_live_never_outlive_it(steps in steps(bulk())) {
        World::<Keyed>::run(spec(Expiry::Ttl(5)), &steps);
    }
}

#[test]
fn what_was_written_frozen_and_encoded_is_there_after_a_restore() {
    let mut table = Keyed::new(spec(Expiry::Never), all_groups()).unwrap();
    let rows: Vec<(Key, RowOf)> = (0..5_000)
        .map(|i| {
            let text = (i % 3 > 0).then(|| "x".repeat(i as usize % 40));
            ((i != 7).then_some(i), (i * i, text))
        })
        .collect();
    write(&mut table, &rows);
    let mut chain = Chain::default();
    checkpoint(&mut table, &mut chain, age(1));
    assert!(!table.is_dirty());
    let model: BTreeMap<Key, RowOf> = rows.into_iter().collect();
    assert_eq!(read(&mut table), model);
    let mut restored = Keyed::restore(spec(Expiry::Never), all_groups(), &chain.inputs()).unwrap();
    assert!(!restored.is_dirty());
    assert_eq!(read(&mut restored), model);
    let mut slots = Vec::new();
    restored.lookup(&keys(&[Some(-1), Some(1)]), 2, &mut slots).unwrap();
    assert_eq!((slots[0], slots[1] == ABSENT), (ABSENT, false));
}

#[test]
fn only_what_segments_hold_as_it_is_leaves_memory() {
    let mut cached = <Cached<Keyed> as Subject>::empty(&spec(Expiry::Never), all_groups());
    let rows = |n: i64| (0..5_000).map(|i| (Some(i), (n, None))).collect::<Vec<_>>();
    let mut chain = Chain::default();
    write(&mut cached.table, &rows(1));
    assert_eq!(cached.table.trim(usize::MAX), 0, "rows that no segment holds are kept");
    chain.add(cached.table.freeze(age(1)));
    cached.table.trim(usize::MAX);
    assert_eq!(cached.table.all().count(), 5_000, "frozen is not published");
    cached.published(&chain.inputs(), age(1));
    write(&mut cached.table, &rows(2)[..100]);
    chain.add(cached.table.freeze(age(2)));
    write(&mut cached.table, &rows(3)[100..200]);
    let before = cached.table.memory().total();
    let freed = cached.table.trim(usize::MAX);
    assert_eq!(cached.table.all().count(), 200);
    assert_eq!(cached.table.memory().total(), before - freed);
    assert!(freed * 10 > before * 8, "{freed} of {before} bytes");
    // Rows that are used stay while others go, also of a table without a vacant slot.
    cached.published(&chain.inputs(), age(2));
    let hot: Vec<Key> = (300..400).map(Some).collect();
    let all: Vec<Key> = (0..5_000).map(Some).collect();
    cached.take(&all);
    cached.table.trim(0);
    assert_eq!(cached.table.all().count(), 5_000, "nothing has to go");
    let mut slots = Vec::new();
    cached.table.lookup(&keys(&hot), hot.len(), &mut slots).unwrap();
    cached.table.trim(1);
    cached.table.lookup(&keys(&hot), hot.len(), &mut slots).unwrap();
    assert!(!slots.contains(&ABSENT), "what is used stays");
    assert_eq!(cached.table.all().count(), 200);
}

#[test]
fn older_segments_are_read_only_for_keys_that_younger_ones_do_not_have() {
    let mut table = Keyed::new(spec(Expiry::Never), all_groups()).unwrap();
    let mut chain = Chain::default();
    for attempt in 1..=3 {
        let here = (10 * i64::from(attempt == 1)..20).filter(|key| key % 3 > 0 || attempt < 3);
        let rows: Vec<(Key, RowOf)> = here.map(|key| (Some(key), (attempt, None))).collect();
        write(&mut table, &rows);
        checkpoint(&mut table, &mut chain, age(attempt as u64));
    }
    remove(&mut table, &[Some(1)]);
    checkpoint(&mut table, &mut chain, age(4));
    // Of each key: how many segments are read, and what is found.
    for (key, segments, row) in [(1, 1, None), (2, 1, Some(3)), (3, 1, Some(2)), (99, 0, None)] {
        let layers = chain.inputs().iter().map(layer).collect();
        let mut table = Keyed::open(spec(Expiry::Never), all_groups(), layers).unwrap();
        let mut announced = table.announce(&keys(&[Some(key)]), 1).unwrap().unwrap();
        let mut read = 0;
        while let Some((segment, at)) = { announced.missing().next() } {
            let of_segment = |i: &&Input| i.stored.reader().footer().id == segment;
            let bytes = chain.inputs().iter().find(of_segment).unwrap().stored.read(at).unwrap();
            announced.put(segment, at.number, &bytes).unwrap();
            read += 1;
        }
        assert!(table.install(&announced).unwrap());
        assert_eq!(self::read(&mut table).get(&Some(key)).map(|row| row.0), row, "key {key}");
        assert_eq!(read, segments, "key {key}");
    }
}

#[test]
fn a_row_that_expired_or_was_removed_begins_anew() {
    let mut table = Keyed::new(spec(Expiry::Ttl(5)), all_groups()).unwrap();
    let text = Some("text".to_owned());
    write(&mut table, &[(Some(1), (7, text.clone())), (Some(2), (8, text))]);
    remove(&mut table, &[Some(2)]);
    table.set_clock(5);
    let mut slots = Vec::new();
    table.resolve(&keys(&[Some(1), Some(2)]), 2, &mut slots).unwrap();
    assert_eq!(read(&mut table), BTreeMap::from([(Some(1), (0, None)), (Some(2), (0, None))]));
}

#[test]
fn rows_are_told_of_by_key_group_exactly_when_they_are_few_and_about_when_they_are_many() {
    let mut table = Keyed::new(spec(Expiry::Never), all_groups()).unwrap();
    let counted = |table: &Keyed, most| {
        let mut groups = [0_u64; GROUPS as usize];
        table.count_groups(most, &mut |group, rows| groups[usize::from(group.0)] += rows).unwrap();
        groups
    };
    assert_eq!(counted(&table, 100), [0; GROUPS as usize]);
    let rows: Vec<(Key, RowOf)> = (0..4_000).map(|k| ((k > 0).then_some(k), (k, None))).collect();
    write(&mut table, &rows);
    let mut gone = Vec::new();
    table.lookup(&keys(&[Some(17), Some(18)]), 2, &mut gone).unwrap();
    table.remove(&gone);

    let mut exact = [0_u64; GROUPS as usize];
    let of: Vec<Key> =
        rows.iter().map(|row| row.0).filter(|k| !matches!(k, Some(17 | 18))).collect();
    for hash in hash_columns(&keys(&of), of.len()).values() {
        exact[usize::from(KeyGroup::of_hash(*hash, GROUPS).0)] += 1;
    }
    assert_eq!(counted(&table, 4_000), exact);
    // A tenth of them, each for ten.
    let about = counted(&table, 400);
    assert!(about.iter().sum::<u64>().abs_diff(3_998) <= 20, "{about:?}");
    assert!(about.iter().zip(exact).all(|(a, e)| a.abs_diff(e) < e / 2), "{about:?} of {exact:?}");
}
