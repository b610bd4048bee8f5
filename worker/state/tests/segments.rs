//! Sorted segments: what was written is found, damage is found, old bytes are read.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a failure here is the test's")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use bytes::Bytes;
use common::*;
use proptest::prelude::*;
use weir_protocol::KeyGroup;
use weir_state::sorted::{
    Ages, Blocks, Cursor, Header, Meta, ReadError, Row, SegmentError, SegmentReader, SegmentWriter,
    Stored, Value, prefix,
};
use weir_state::table::{Bounds, Expiry, Field, OrderField, TableSpec};
use xxhash_rust::xxh3::xxh3_64;

fn spec() -> TableSpec {
    let key = vec![Field::new("k", DataType::Utf8, false)];
    let order = vec![OrderField::ascending("t", DataType::Int64)];
    let columns = vec![
        Field::new("flag", DataType::Boolean, true),
        Field::new("long", DataType::Int64, true),
        Field::new("double", DataType::Float64, false),
        Field::new("wide", DataType::Decimal128(38, 2), true),
        Field::new("text", DataType::Utf8, true),
        Field::new("time", DataType::Timestamp(TimeUnit::Millisecond, None), false),
    ];
    TableSpec::ordered("rows", key, order, columns).with_expiry(Expiry::Ttl(60))
}

/// A row that owns what it holds: prefix, key, order, stamp, tombstone, and a seed of its values.
type Owned = (u64, Vec<u8>, Vec<u8>, u32, bool, i64);

fn values(seed: i64, text: &[u8]) -> [Value<'_>; 6] {
    let or_null = |null: bool, value| if null { Value::Null } else { value };
    [
        or_null(seed % 5 == 0, Value::Word(seed as u64 & 1)),
        or_null(seed % 7 == 0, Value::Word(seed as u64)),
        Value::Word((seed as f64 / 3.0).to_bits()),
        or_null(seed % 3 == 0, Value::Wide(i128::from(seed) << (seed & 63))),
        or_null(seed % 4 == 0, Value::Bytes(text)),
        Value::Word(1_700_000_000_000 + (seed as u64 & 0xFFFF)),
    ]
}

fn text(seed: i64) -> String {
    "text ".repeat(seed.unsigned_abs() as usize % 9)
}

fn key(number: u32) -> (u64, Vec<u8>) {
    let key = format!("key {number}").into_bytes();
    let hash = xxh3_64(&key);
    (prefix(KeyGroup::of_hash(hash, GROUPS), hash), key)
}

fn header(id: u128) -> Header {
    let mut bounds = Bounds::default();
    bounds.raise(range(2, 5), -7);
    let meta = Meta { table: spec(), groups: GROUPS, clock: 1_000, bounds };
    Header { id, ages: Ages::at(age(3)), range: range(0, GROUPS as u16), meta }
}

fn write(id: u128, rows: &[Owned]) -> Bytes {
    let mut writer = SegmentWriter::new(header(id));
    for (prefix, key, order, stamp, tombstone, seed) in rows {
        let text = text(*seed);
        let values = values(*seed, text.as_bytes());
        writer
            .push(&Row {
                prefix: *prefix,
                key,
                order,
                stamp: *stamp,
                tombstone: *tombstone,
                values: if *tombstone { &[] } else { &values },
            })
            .unwrap();
    }
    let (bytes, footer) = writer.finish().unwrap();
    assert_eq!(footer.bytes(), bytes.len() as u64);
    bytes.into()
}

/// Rows of these keys, some with many orders, sorted.
fn rows(keys: impl Iterator<Item = (u32, u16)>) -> Vec<Owned> {
    let mut rows = BTreeMap::new();
    for (number, orders) in keys {
        let (prefix, key) = key(number);
        for i in 0..orders {
            let seed = i64::from(number) * 1_001 + i64::from(i);
            let order = if i == 0 { Vec::new() } else { i64::from(i).to_be_bytes().to_vec() };
            let tombstone = i == 0 || seed % 11 == 0;
            let row =
                (prefix, key.clone(), order.clone(), 900 + (seed % 99) as u32, tombstone, seed);
            rows.insert((prefix, key.clone(), order), row);
        }
    }
    rows.into_values().collect()
}

fn check_row(block: &weir_state::sorted::Block, at: usize, row: &Owned) {
    let mut found = Vec::new();
    let found = block.row(at, &mut found);
    assert_eq!(found.place(), (row.0, row.1.as_slice(), row.2.as_slice()));
    assert_eq!((found.stamp, found.tombstone), (row.3, row.4));
    if !row.4 {
        let text = text(row.5);
        assert_eq!(found.values, values(row.5, text.as_bytes()));
    }
}

/// Every row is found by its key and order, and by walking, in the groups asked for.
fn check(stored: &Stored, rows: &[Owned]) {
    for row in rows {
        let (block, at) = stored.find(row.0, &row.1, &row.2).unwrap().unwrap();
        check_row(&block, at, row);
    }
    for (start, end) in [(0, GROUPS as u16), (2, 5), (7, 8), (3, 3)] {
        let inside = |row: &&Owned| (start..end).contains(&((row.0 >> 48) as u16));
        let mut cursor = Cursor::open(stored, range(start, end)).unwrap();
        for row in rows.iter().filter(inside) {
            let (block, at) = cursor.at().unwrap();
            check_row(block, at, row);
            cursor.advance().unwrap();
        }
        assert!(cursor.at().is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn fences_and_filters_never_hide_a_row(
        keys in prop::collection::btree_map(0_u32..500, prop_oneof![20 => 1_u16..20, 1 => 300_u16..900], 0..300),
        absent in prop::collection::vec(500_u32..9_000, 0..50),
    ) {
        let rows = rows(keys.into_iter());
        let stored = open(&write(9, &rows));
        check(&stored, &rows);
        for number in absent {
            let (prefix, key) = key(number);
            prop_assert!(stored.find(prefix, &key, &[]).unwrap().is_none());
        }
        let footer = stored.reader().footer();
        prop_assert_eq!(footer.rows, rows.len() as u64);
        prop_assert_eq!(footer.tombstones, rows.iter().filter(|row| row.4).count() as u64);
        prop_assert_eq!(footer.max_stamp, rows.iter().map(|row| row.3).max().unwrap_or_default());
        let orders = rows.iter().filter(|row| !row.2.is_empty());
        let orders = orders.map(|row| u64::from_be_bytes(row.2.as_slice().try_into().unwrap()));
        prop_assert_eq!(footer.orders.map(|o| o.max), orders.clone().max());
        prop_assert_eq!(footer.orders.map(|o| o.min), orders.min());
    }

    #[test]
    fn a_flipped_bit_anywhere_is_an_error_or_changes_nothing(
        keys in prop::collection::btree_map(0_u32..200, 1_u16..30, 1..60),
        place in any::<prop::sample::Index>(), bit in 0_u32..8,
    ) {
        let rows = rows(keys.into_iter());
        let bytes = write(9, &rows);
        let mut damaged = bytes.to_vec();
        damaged[place.index(bytes.len())] ^= 1_u8 << bit;
        let damaged = Bytes::from(damaged);
        let Ok(stored) = Stored::open(Arc::new(damaged.clone()), damaged.len() as u64) else {
            return Ok(());
        };
        for row in &rows {
            // Padding between blocks belongs to none of them.
            if let Ok(found) = stored.find(row.0, &row.1, &row.2) {
                let (block, at) = found.unwrap();
                check_row(&block, at, row);
            }
        }
    }
}

#[test]
fn a_segment_of_many_pages_is_read_like_a_small_one() {
    let rows = rows((0..60_000).map(|number| (number, if number == 7 { 4_000 } else { 2 })));
    let stored = open(&write(9, &rows));
    assert!(stored.reader().footer().blocks > 600, "{}", stored.reader().footer().blocks);
    check(&stored, &rows);
    let prefixes: Vec<u64> = (60_000..70_000).map(|number| key(number).0).collect();
    let planned = stored.reader().plan(&prefixes).len();
    assert!(planned < 200, "{planned} blocks were planned for keys that are not there");
    let all: Vec<u64> = rows.iter().map(|row| row.0).collect();
    assert_eq!(stored.reader().plan(&all).len(), stored.reader().footer().blocks as usize);
}

#[test]
fn blocks_are_about_eight_kilobytes_and_a_large_row_stands_alone() {
    let mut rows = rows((0..3_000).map(|number| (number, 3)));
    let at = rows.len() / 2;
    rows[at].5 = 0;
    let stored = open(&write(9, &rows));
    let blocks = stored.reader().footer().blocks;
    for number in 0..blocks - 1 {
        let len = stored.reader().block_ref(number).len;
        assert!((8_000..9_500).contains(&len), "block {number} has {len} bytes");
    }
    let mut writer = SegmentWriter::new(header(9));
    let small =
        |prefix| Row { prefix, key: b"k", order: b"o", stamp: 0, tombstone: true, values: &[] };
    writer.push(&small(1)).unwrap();
    let large = "x".repeat(100_000);
    let mut values = values(1, large.as_bytes());
    writer.push(&Row { tombstone: false, values: &values, ..small(2) }).unwrap();
    writer.push(&small(3)).unwrap();
    let huge = "x".repeat(17 << 20);
    values[4] = Value::Bytes(huge.as_bytes());
    let error = writer.push(&Row { tombstone: false, values: &values, ..small(4) }).unwrap_err();
    assert!(error.to_string().ends_with("its key is 6b"), "{error}");
    let stored = open(&writer.finish().unwrap().0.into());
    let rows: Vec<usize> = (0..3).map(|number| stored.reader().rows_of(number)).collect();
    assert_eq!(rows, [1, 1, 1]);
}

#[test]
fn rows_out_of_order_are_refused() {
    let rows = rows((0..10).map(|number| (number, 2)));
    let mut writer = SegmentWriter::new(header(9));
    let row = |row: &'static str| Row {
        prefix: 5,
        key: row.as_bytes(),
        order: b"",
        stamp: 0,
        tombstone: true,
        values: &[],
    };
    writer.push(&row("b")).unwrap();
    for late in ["b", "a"] {
        assert!(matches!(writer.push(&row(late)), Err(SegmentError::Unsorted)));
    }
    drop(rows);
}

/// Bytes of which two blocks have changed places, or one is from another segment.
struct Swapped(Bytes, BTreeMap<u64, Bytes>);

impl Blocks for Swapped {
    fn read(&self, offset: u64, len: u32) -> Result<Bytes, ReadError> {
        match self.1.get(&offset) {
            Some(other) => Ok(other.slice(..(len as usize).min(other.len()))),
            None => self.0.read(offset, len),
        }
    }
}

#[test]
fn a_right_block_in_a_wrong_place_is_an_error_that_names_segment_and_block() {
    let rows = rows((0..3_000).map(|number| (number, 2)));
    let bytes = write(0xAB, &rows);
    let other = write(0xCD, &rows);
    let reader = open(&bytes);
    let (first, second) = (reader.reader().block_ref(1), reader.reader().block_ref(2));
    let second_bytes = bytes.slice(second.offset as usize..);
    let foreign = other.slice(first.offset as usize..);
    for wrong in [second_bytes, foreign] {
        let swapped = Swapped(bytes.clone(), BTreeMap::from([(first.offset, wrong)]));
        let stored = Stored::open(Arc::new(swapped), bytes.len() as u64).unwrap();
        let error = stored.block(1).unwrap_err().to_string();
        assert_eq!(
            error,
            "block 1 of segment 000000000000000000000000000000ab is damaged: it is another block than the one that belongs there"
        );
    }
}

#[test]
fn a_segment_that_ends_early_or_is_of_another_kind_is_an_error() {
    let bytes = write(9, &rows((0..100).map(|number| (number, 2))));
    for len in (0..bytes.len()).step_by(7) {
        let cut = bytes.slice(..len);
        assert!(Stored::open(Arc::new(cut), len as u64).is_err());
    }
    // Also if a tail is given that is shorter than the index needs.
    let footer = open(&bytes).reader().footer().clone();
    let tail = bytes.slice(bytes.len() - footer.tail() as usize..);
    SegmentReader::open(&tail).unwrap();
    assert!(SegmentReader::open(&tail.slice(1..)).is_err());
}

/// The bytes of a segment as format 2 has them, for ever. `UPDATE_EXPECT=1` writes the file, which
/// is right only for a format that no release has written.
#[test]
fn a_segment_of_the_first_release_is_read_and_written_as_it_was() {
    let rows = rows((0..120).map(|number| (number, if number == 9 { 40 } else { 3 })));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/segment-2.bin");
    let bytes = write(0x0123_4567_89AB_CDEF_0011_2233_4455_6677, &rows);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &bytes).unwrap();
    }
    let golden = Bytes::from(fs::read(&path).unwrap());
    assert!(golden == bytes, "the format changed");
    let stored = open(&golden);
    check(&stored, &rows);
    let Header { meta, ages, range, id } = header(stored.reader().footer().id);
    assert_eq!((stored.reader().meta(), stored.reader().footer().id), (&meta, id));
    assert_eq!((stored.reader().footer().ages, stored.reader().footer().range), (ages, range));
}
