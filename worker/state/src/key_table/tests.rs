//! Keys and their slots, against a map of encoded keys.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::*;
use proptest::prelude::*;

use super::*;
use crate::hash::hash_columns;

fn types(columns: &[ArrayRef]) -> Vec<DataType> {
    columns.iter().map(|c| c.data_type().clone()).collect()
}

/// Resolves the rows in batches of `step` and checks slots, keys and lookups.
fn check(columns: &[ArrayRef], step: usize) {
    let rows = columns[0].len();
    let mut table = KeyTable::new(&types(columns)).unwrap();
    let mut by_key: HashMap<Vec<u8>, u32> = HashMap::new();
    let mut slots = Vec::new();
    let mut first = Vec::new();
    for start in (0..rows).step_by(step) {
        let len = step.min(rows - start);
        let part: Vec<ArrayRef> = columns.iter().map(|c| c.slice(start, len)).collect();
        let mut keys = Vec::new();
        encode_rows(&part, len, &mut Vec::new(), |key| {
            keys.push(key.clone());
            key.clear();
        })
        .unwrap();
        let mut known = Vec::new();
        table.lookup(&part, len, &mut known).unwrap();
        for (key, slot) in keys.iter().zip(&known) {
            assert_eq!(by_key.get(key).copied().unwrap_or(ABSENT), *slot);
        }
        table.resolve(&part, len, &mut slots).unwrap();
        for (row, (key, slot)) in keys.into_iter().zip(&slots).enumerate() {
            assert_eq!(*by_key.entry(key).or_insert(*slot), *slot);
            let unknown = first.len().max(*slot as usize + 1);
            first.resize(unknown, u32::MAX);
            let first = &mut first[*slot as usize];
            *first = (*first).min((start + row) as u32);
        }
    }
    assert_eq!(table.len(), by_key.len());
    let all: Vec<u32> = (0..table.len() as u32).collect();
    let frozen = table.freeze();
    for keys in [table.keys(&all).unwrap(), frozen.keys(&all).unwrap()] {
        let indices = UInt32Array::from(first.clone());
        let wanted: Vec<ArrayRef> =
            columns.iter().map(|c| arrow::compute::take(c, &indices, None).unwrap()).collect();
        // By hash, because a stored −0.0 comes back as 0.0.
        let rows = first.len();
        assert_eq!(hash_columns(&keys, rows), hash_columns(&wanted, rows));
        assert_eq!(types(&keys), types(columns));
    }
    let keys = all.len() as u32;
    let kept: Vec<u32> = (0..keys).filter(|slot| *slot as usize % 3 != step % 3).collect();
    let dropped: Vec<u32> = all.into_iter().filter(|slot| !kept.contains(slot)).collect();
    let (old, gone) = (table.keys(&kept).unwrap(), table.keys(&dropped).unwrap());
    table.keep(&kept);
    table.lookup(&gone, dropped.len(), &mut slots).unwrap();
    assert!(slots.iter().all(|&slot| slot == ABSENT));
    table.resolve(&old, kept.len(), &mut slots).unwrap();
    assert_eq!(slots, (0..kept.len() as u32).collect::<Vec<_>>());
    table.resolve(&gone, dropped.len(), &mut slots).unwrap();
    assert_eq!(table.len(), keys as usize);
    slots.sort_unstable();
    assert!(slots.into_iter().eq(kept.len() as u32..keys));
}

proptest! {
    #[test]
    fn every_key_has_one_slot_for_any_types_and_batches(
        rows in prop::collection::vec(
            (prop::option::of(-20_i64..20), prop::option::of(0_usize..30), prop::num::f64::ANY, prop::option::of(-3_i32..3)),
            1..700,
        ),
        step in 1_usize..400,
    ) {
        let text = |n: usize| "abcdefghijklmnopqrstuvwxyzäöü"[..].chars().take(n).collect::<String>();
        let ints: ArrayRef = Arc::new(rows.iter().map(|r| r.0).collect::<Int64Array>());
        let strings: ArrayRef = Arc::new(rows.iter().map(|r| r.1.map(text)).collect::<StringArray>());
        let views: ArrayRef = Arc::new(rows.iter().map(|r| r.1.map(text)).collect::<StringViewArray>());
        let floats: ArrayRef = Arc::new(rows.iter().map(|r| Some(r.2)).collect::<Float64Array>());
        let small: ArrayRef = Arc::new(rows.iter().map(|r| r.3).collect::<Int32Array>());
        let flags: ArrayRef = Arc::new(rows.iter().map(|r| r.0.map(|v| v > 0)).collect::<BooleanArray>());
        let wide: ArrayRef = Arc::new(rows.iter().map(|r| r.0.map(i128::from)).collect::<Decimal128Array>());
        check(&[Arc::clone(&ints)], step);
        check(&[Arc::clone(&strings)], step);
        check(&[Arc::clone(&views)], step);
        check(&[Arc::clone(&floats)], step);
        check(&[Arc::clone(&flags)], step);
        check(&[Arc::clone(&small), Arc::clone(&flags)], step);
        check(&[Arc::clone(&small), Arc::clone(&ints), views], step);
        check(&[wide], step);
        check(&[strings, floats], step);
    }
}

#[test]
fn no_key_column_is_one_key() {
    let mut table = KeyTable::new(&[]).unwrap();
    let mut slots = Vec::new();
    table.resolve(&[], 3, &mut slots).unwrap();
    assert_eq!((slots, table.len()), (vec![0, 0, 0], 1));
}

#[test]
fn many_keys_survive_growth() {
    let keys: ArrayRef = Arc::new(
        (0..200_000_i64)
            .map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64))
            .collect::<Int64Array>(),
    );
    let mut table = KeyTable::new(&[DataType::Int64]).unwrap();
    let (mut slots, mut again) = (Vec::new(), Vec::new());
    table.resolve(&[Arc::clone(&keys)], keys.len(), &mut slots).unwrap();
    table.resolve(&[Arc::clone(&keys)], keys.len(), &mut again).unwrap();
    assert_eq!(slots, (0..200_000).collect::<Vec<u32>>());
    assert_eq!(slots, again);
}
