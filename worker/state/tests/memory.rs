//! What tables say of their memory, against what the allocator gave them.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a failure here is the test's")]

mod common;

use std::alloc::System;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::DataType;
use common::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use weir_state::table::{
    Expiry, Field, Keyed, Memory, OrderField, Ordered, Table, TableSpec, Timers,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const BATCH: i64 = 4_096;

fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Compares what a table says with what has been allocated since `before`.
fn check(what: &str, memory: Memory, before: usize) {
    let real = allocated() - before;
    let said = memory.total();
    // Below: 5 %, and the scratch of a batch. Above: room that the count is allowed to guess.
    assert!(said + said / 20 + 300_000 >= real, "{what}: says {memory:?}, has {real}");
    assert!(said <= real + real / 4 + 300_000, "{what}: says {memory:?}, has {real}");
}

fn text(n: i64) -> String {
    format!("{n} {}", "text ".repeat(n as usize % 12))
}

fn strings(rows: std::ops::Range<i64>) -> ArrayRef {
    Arc::new(rows.map(|n| Some(text(n))).collect::<StringArray>())
}

fn numbers(rows: std::ops::Range<i64>) -> ArrayRef {
    Arc::new(rows.map(Some).collect::<Int64Array>())
}

fn fields(fields: &[(&str, DataType)]) -> Vec<Field> {
    fields.iter().map(|(name, data_type)| Field::new(name, data_type.clone(), true)).collect()
}

fn fill_keyed(table: &mut Keyed, rows: i64) {
    let mut slots = Vec::new();
    for start in (0..rows).step_by(BATCH as usize) {
        let (keys, texts) = (strings(start..start + BATCH), strings(start + 5..start + 5 + BATCH));
        table.resolve(&[keys], BATCH as usize, &mut slots).unwrap();
        table.write(0, &slots, &numbers(start..start + BATCH)).unwrap();
        table.write(1, &slots, &texts).unwrap();
    }
}

fn keyed() {
    let columns = fields(&[("n", DataType::Int64), ("text", DataType::Utf8)]);
    let key = fields(&[("k", DataType::Utf8)]);
    let spec = TableSpec::keyed("rows", key, columns).with_expiry(Expiry::Ttl(10));
    let before = allocated();
    let mut table = Keyed::new(spec, all_groups()).unwrap();
    fill_keyed(&mut table, 50 * BATCH);
    check("keyed, filled", table.memory(), before);
    assert_eq!(table.memory().clean, 0);
    let frozen = table.freeze(age(1));
    assert_eq!(table.memory().dirty, 0);
    // Written over while frozen: every chunk is there twice.
    fill_keyed(&mut table, 50 * BATCH);
    check("keyed, frozen and written over", table.memory(), before);
    let encoded = frozen.encode(1).unwrap();
    assert_eq!(table.memory().frozen, 0);
    drop(encoded);
    check("keyed, encoded", table.memory(), before);
    let full = allocated() - before;
    // Nine tenths expire: what is written at 8 lives on at 12, what was written at 0 does not.
    table.set_clock(8);
    fill_keyed(&mut table, 5 * BATCH);
    table.set_clock(12);
    let gone = table.sweep(usize::MAX);
    assert_eq!(gone, 45 * BATCH as usize);
    check("keyed, mostly expired", table.memory(), before);
    assert!((allocated() - before) * 5 < full, "{full} bytes became {}", allocated() - before);
    assert_eq!(table.all().count(), 5 * BATCH as usize);
    drop(table.freeze(age(2)));
}

fn ordered() {
    let columns = fields(&[("n", DataType::Int64), ("text", DataType::Utf8)]);
    let key = fields(&[("k", DataType::Int64)]);
    let order = vec![
        OrderField::ascending("t", DataType::Int64),
        OrderField::ascending("s", DataType::Utf8),
    ];
    let spec = TableSpec::ordered("rows", key, order, columns).with_expiry(Expiry::ByOrder);
    let before = allocated();
    let mut table = Ordered::new(spec, all_groups()).unwrap();
    let rows = 40 * BATCH;
    for start in (0..rows).step_by(BATCH as usize) {
        let range = start..start + BATCH;
        // Most keys have a few rows, one has very many.
        let keys = range.clone().map(|n| Some(if n % 4 == 0 { 0 } else { n % 9_001 }));
        let keys: ArrayRef = Arc::new(keys.collect::<Int64Array>());
        let order = [numbers(range.clone()), strings(range.clone())];
        let columns = [numbers(range.clone()), strings(range)];
        table.put(&[keys], &order, &columns, BATCH as usize).unwrap();
    }
    check("ordered, filled", table.memory(), before);
    let frozen = table.freeze(age(1));
    drop(frozen.encode(1).unwrap());
    table.published(age(1));
    check("ordered, published", table.memory(), before);
    let full = allocated() - before;
    table.expire_below(rows - BATCH);
    let mut gone = 0;
    while let more @ 1.. = table.sweep(5_000) {
        gone += more;
    }
    assert_eq!(gone as i64, rows - BATCH);
    check("ordered, mostly expired", table.memory(), before);
    assert!((allocated() - before) * 5 < full, "{full} bytes became {}", allocated() - before);
    assert_eq!(table.all().count(), BATCH as usize);
}

fn timers() {
    let spec = TableSpec::timers("timers", fields(&[("k", DataType::Utf8)]));
    let before = allocated();
    let mut timers = Timers::new(spec, all_groups()).unwrap();
    for start in (0..30 * BATCH).step_by(BATCH as usize) {
        // In an order that no tree foresees.
        let times: Int64Array =
            (start..start + BATCH).map(|n| Some(n.wrapping_mul(0x9E37_79B9) % 1_000_003)).collect();
        timers.set(&[strings(start..start + BATCH)], &times).unwrap();
    }
    check("timers, set", timers.memory(), before);
    let frozen = timers.freeze(age(1));
    check("timers, frozen", timers.memory(), before);
    drop(frozen);
    check("timers, encoded", timers.memory(), before);
    while !timers.due(i64::MAX, 1_000).unwrap().1.is_empty() {}
    drop(timers.freeze(age(2)));
    check("timers, all due", timers.memory(), before);
}

/// One test, because the allocator is everyone's.
#[test]
fn tables_say_what_memory_they_hold_and_give_back_what_expired() {
    keyed();
    ordered();
    timers();
}
