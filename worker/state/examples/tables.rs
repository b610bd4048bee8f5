//! What tables cost: `cargo run --release -p weir-state --example tables`.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "measures; a failure ends it")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::DataType;
use bytes::Bytes;
use weir_protocol::{Attempt, KeyGroup, KeyGroupRange, Term};
use weir_state::canonical::encode_rows;
use weir_state::hash::hash_columns;
use weir_state::key_table::KeyTable;
use weir_state::merge::{Compaction, Input};
use weir_state::sorted::{Age, Stored, Strings, prefix};
use weir_state::table::{
    Field, Frozen, Groups, Keyed, Layer, OrderField, Ordered, Scan, Table, TableSpec,
};

const GROUPS: Groups = Groups { range: KeyGroupRange { start: 0, end: 128 }, of: 128 };
const BATCH: usize = 8_192;

/// The row of the design's figures: a key, three numbers, a short string.
fn columns() -> Vec<Field> {
    vec![
        Field::new("a", DataType::Int64, false),
        Field::new("b", DataType::Int64, false),
        Field::new("c", DataType::Int64, false),
        Field::new("s", DataType::Utf8, false),
    ]
}

fn key_field() -> Vec<Field> {
    vec![Field::new("k", DataType::Int64, false)]
}

/// Keys in an order that no cache foresees.
fn scattered(i: usize, of: usize) -> i64 {
    (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11) as i64 % of as i64
}

fn batch(start: usize, of: usize) -> ArrayRef {
    Arc::new((start..start + BATCH).map(|i| Some(scattered(i, of))).collect::<Int64Array>())
}

fn age(attempt: u64) -> Age {
    Age { term: Term(1), attempt: Attempt(attempt) }
}

/// Runs `run` for `times` and gives the best time of one in nanoseconds.
fn best(times: usize, mut run: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..times {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_nanos() as f64);
    }
    best
}

fn line(what: &str, value: String) {
    println!("| {what} | {value} |");
}

fn filled(keys: usize) -> Keyed {
    let mut table = Keyed::new(TableSpec::keyed("rows", key_field(), columns()), GROUPS).unwrap();
    let mut slots = Vec::new();
    for start in (0..keys).step_by(BATCH) {
        let len = BATCH.min(keys - start);
        let k: ArrayRef =
            Arc::new((start as i64..(start + len) as i64).map(Some).collect::<Int64Array>());
        table.resolve(&[k], len, &mut slots).unwrap();
        for column in 0..3 {
            let mut cells = table.column_mut::<i64>(column).unwrap();
            for &slot in &slots {
                cells.set(slot, i64::from(slot) * (column as i64 + 1));
            }
        }
        let text: ArrayRef =
            Arc::new(slots.iter().map(|s| Some(format!("{s:012}"))).collect::<StringArray>());
        table.write(3, &slots, &text).unwrap();
    }
    table
}

fn keyed(keys: usize, name: &str) {
    let mut table = filled(keys);
    let rounds = (keys / BATCH).clamp(16, 128);
    let batches: Vec<ArrayRef> = (0..rounds).map(|i| batch(i * BATCH, keys)).collect();
    let mut slots = Vec::new();
    let resolve = best(5, || {
        for keys in &batches {
            table.resolve(std::slice::from_ref(keys), BATCH, &mut slots).unwrap();
            black_box(&slots);
        }
    });
    line(
        &format!("resolve, hot, {name} keys"),
        format!("{:.1} ns/row", resolve / (rounds * BATCH) as f64),
    );
    let mut plain = KeyTable::new(&[DataType::Int64]).unwrap();
    let all: ArrayRef = Arc::new((0..keys as i64).map(Some).collect::<Int64Array>());
    plain.resolve(&[all], keys, &mut slots).unwrap();
    let bare = best(5, || {
        for keys in &batches {
            plain.resolve(std::slice::from_ref(keys), BATCH, &mut slots).unwrap();
            black_box(&slots);
        }
    });
    drop(plain);
    line(
        &format!("of which a key table alone, {name} keys"),
        format!("{:.1} ns/row", bare / (rounds * BATCH) as f64),
    );
    let sum = best(5, || {
        for keys in &batches {
            table.resolve(std::slice::from_ref(keys), BATCH, &mut slots).unwrap();
            let mut cells = table.column_mut::<i64>(0).unwrap();
            for &slot in &slots {
                cells.set(slot, cells.get(slot).unwrap_or_default() + 1);
            }
        }
    });
    line(
        &format!("resolve and add to a cell, {name} keys"),
        format!("{:.1} ns/row", sum / (rounds * BATCH) as f64),
    );
    let start = Instant::now();
    let frozen = table.freeze(age(1));
    line(
        &format!("freeze of all {name} rows"),
        format!("{:.0} µs", start.elapsed().as_secs_f64() * 1e6),
    );
    let bytes = encode(frozen, name, keys);
    table.published(age(1));
    let one: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    table.resolve(&[one], 1, &mut slots).unwrap();
    let start = Instant::now();
    let frozen = table.freeze(age(2));
    line(
        &format!("freeze of one row of {name}"),
        format!("{:.0} µs", start.elapsed().as_secs_f64() * 1e6),
    );
    drop(frozen);
    let memory = table.memory();
    line(
        &format!("memory, {name} keys"),
        format!(
            "{:.0} B/row, {:.0} of them index",
            memory.total() as f64 / keys as f64,
            memory.index as f64 / keys as f64
        ),
    );
    if keys >= 1_000_000 {
        cold(&bytes, keys);
        read_through(&bytes, keys);
        compact(&bytes, &mut table);
        let input = Input::new(open(&bytes));
        let start = Instant::now();
        let restored = Keyed::restore(table.spec().clone(), GROUPS, &[input]).unwrap();
        line(
            "restore into memory",
            format!("{:.2} µs/row", start.elapsed().as_secs_f64() * 1e6 / keys as f64),
        );
        drop(restored);
    }
}

fn encode(frozen: Frozen, name: &str, rows: usize) -> Bytes {
    let start = Instant::now();
    let encoded = frozen.encode(1).unwrap();
    let took = start.elapsed().as_secs_f64();
    // As the rows are in memory: 8 + 3 × 8 + 12.
    let raw = rows as f64 * 44.0;
    line(
        &format!("encode {name} rows of 44 B"),
        format!(
            "{:.0} MB/s, {:.0} ns/row, {:.1} B/row stored",
            raw / took / 1e6,
            took * 1e9 / rows as f64,
            encoded.bytes.len() as f64 / rows as f64
        ),
    );
    encoded.bytes
}

fn open(bytes: &Bytes) -> Stored {
    Stored::open(Arc::new(bytes.clone()), bytes.len() as u64).unwrap()
}

/// Looks keys up in a segment whose bytes are in memory, as if each block had just been read.
fn cold(bytes: &Bytes, keys: usize) {
    let start = Instant::now();
    let stored = open(bytes);
    line(
        "open a segment, filters included",
        format!(
            "{:.1} ms for {:.0} MB",
            start.elapsed().as_secs_f64() * 1e3,
            bytes.len() as f64 / 1e6
        ),
    );
    for (what, of) in [("there", 0), ("not there", keys as i64)] {
        let k: ArrayRef =
            Arc::new((0..BATCH).map(|i| Some(of + scattered(i, keys))).collect::<Int64Array>());
        let hashes = hash_columns(&[Arc::clone(&k)], BATCH);
        let mut canonical = Strings::default();
        encode_rows(&[k], BATCH, &mut Vec::new(), |key| {
            canonical.push(key);
            key.clear();
        })
        .unwrap();
        let mut found = 0;
        let took = best(5, || {
            found = 0;
            for row in 0..BATCH {
                let hash = hashes.value(row);
                let prefix = prefix(KeyGroup::of_hash(hash, GROUPS.of), hash);
                let hit = stored.find(prefix, canonical.get(row), &[]).unwrap();
                if let Some((block, at)) = hit {
                    for column in 0..4 {
                        black_box(block.value(at, column));
                    }
                    found += 1;
                }
            }
        });
        let ns = took / BATCH as f64;
        line(
            &format!("cold read of a key that is {what} ({found} of {BATCH} found)"),
            format!("{ns:.0} ns"),
        );
    }
}

/// Reads rows back that are not in memory, batch by batch, and drops them again.
fn read_through(bytes: &Bytes, keys: usize) {
    let stored = open(bytes);
    let layer = || Layer { reader: Arc::new(stored.reader().clone()), range: GROUPS.range };
    let spec = stored.reader().meta().table.clone();
    let mut table = Keyed::open(spec, GROUPS, vec![layer()]).unwrap();
    let (mut announce, mut fetch, mut install, mut rows) = (0.0, 0.0, 0.0, 0);
    for start in (0..200_000).step_by(BATCH) {
        let keys = [batch(start, keys)];
        let began = Instant::now();
        let mut announced = table.announce(&keys, BATCH).unwrap().unwrap();
        announce += began.elapsed().as_secs_f64();
        let began = Instant::now();
        let missing: Vec<_> = announced.missing().collect();
        for (segment, at) in missing {
            announced.put(segment, at.number, &stored.read(at).unwrap()).unwrap();
        }
        fetch += began.elapsed().as_secs_f64();
        let began = Instant::now();
        assert!(table.install(&announced).unwrap());
        install += began.elapsed().as_secs_f64();
        rows += BATCH;
    }
    let each = |seconds: f64| seconds * 1e9 / rows as f64;
    line(
        "read through a batch of cold keys, blocks in memory",
        format!(
            "{:.0} ns/row: {:.0} announce, {:.0} check blocks, {:.0} install",
            each(announce + fetch + install),
            each(announce),
            each(fetch),
            each(install)
        ),
    );
    let began = Instant::now();
    let hot = [batch(0, keys)];
    let announced = table.announce(&hot, BATCH).unwrap().unwrap();
    assert!(announced.is_ready());
    line(
        "announce a batch that is in memory",
        format!("{:.1} ns/row", began.elapsed().as_secs_f64() * 1e9 / BATCH as f64),
    );
    let resident = table.all().count();
    table.trim(0);
    let mut slots = Vec::new();
    table.lookup(&hot, BATCH, &mut slots).unwrap();
    let began = Instant::now();
    let freed = table.trim(1);
    line(
        &format!("trim {resident} rows to {}", table.all().count()),
        format!("{:.1} ms, {:.1} MB", began.elapsed().as_secs_f64() * 1e3, freed as f64 / 1e6),
    );
}

/// One segment of everything and one of a tenth of it into one.
fn compact(base: &Bytes, table: &mut Keyed) {
    let mut slots = Vec::new();
    let rows = table.all().count();
    for start in (0..rows / 10).step_by(BATCH) {
        table.resolve(&[batch(start, rows)], BATCH, &mut slots).unwrap();
    }
    let delta = table.freeze(age(3)).encode(2).unwrap().bytes;
    let inputs = [Input::new(open(base)), Input::new(open(&delta))];
    let start = Instant::now();
    let mut compaction =
        Compaction::new(table.spec(), &inputs, GROUPS.range, true, 16 << 20).unwrap();
    let (mut outputs, mut bytes) = (0, 0);
    while let Some(output) = compaction.write_next(3).unwrap() {
        outputs += 1;
        bytes += output.bytes.len();
    }
    let took = start.elapsed().as_secs_f64();
    let read = (base.len() + delta.len()) as f64;
    line(
        &format!(
            "compact {:.0} + {:.0} MB into {outputs} segments",
            base.len() as f64 / 1e6,
            delta.len() as f64 / 1e6
        ),
        format!("{:.0} MB/s in, {:.0} MB out", read / took / 1e6, bytes as f64 / 1e6),
    );
}

fn ordered(keys: usize, per_key: usize) {
    let spec = TableSpec::ordered(
        "rows",
        key_field(),
        vec![
            OrderField::ascending("t", DataType::Int64),
            OrderField::ascending("n", DataType::Int64),
        ],
        columns(),
    );
    let mut table = Ordered::new(spec, GROUPS).unwrap();
    let rows = keys * per_key;
    let text: ArrayRef = Arc::new(StringArray::from(vec!["twelve bytes"; BATCH]));
    let start = Instant::now();
    for from in (0..rows).step_by(BATCH) {
        let k = batch(from, keys);
        let n: ArrayRef =
            Arc::new((from as i64..(from + BATCH) as i64).map(Some).collect::<Int64Array>());
        let columns = [Arc::clone(&n), Arc::clone(&n), Arc::clone(&n), Arc::clone(&text)];
        table.put(&[k], &[Arc::clone(&n), n], &columns, BATCH).unwrap();
    }
    let name = format!("ordered, {keys} keys of {per_key} rows");
    line(
        &format!("{name}: put"),
        format!("{:.0} ns/row", start.elapsed().as_secs_f64() * 1e9 / rows as f64),
    );
    let all: ArrayRef = Arc::new((0..keys as i64).map(Some).collect::<Int64Array>());
    let mut key_slots = Vec::new();
    table.lookup(&[all], keys, &mut key_slots).unwrap();
    let mut found = 0;
    let took = best(3, || {
        found = 0;
        let mut slots = Vec::new();
        let cells = table.column::<i64>(0).unwrap();
        for &key in &key_slots {
            slots.clear();
            let mut scan = Scan::all(key);
            while table.scan(&mut scan, 4_096, &mut slots) {}
            for &slot in &slots {
                black_box(cells.get(slot));
            }
            found += slots.len();
        }
    });
    line(&format!("{name}: scan and read a cell"), format!("{:.0} ns/row", took / found as f64));
    let start = Instant::now();
    let frozen = table.freeze(age(1));
    line(
        &format!("{name}: freeze of all"),
        format!("{:.0} µs", start.elapsed().as_secs_f64() * 1e6),
    );
    encode(frozen, &name, table.all().count());
    let memory = table.memory();
    line(&format!("{name}: memory"), format!("{:.0} B/row", memory.total() as f64 / rows as f64));
}

fn main() {
    println!("| what | |\n|---|---|");
    keyed(10_000, "10 k");
    keyed(1_000_000, "1 M");
    ordered(100_000, 8);
    ordered(8, 100_000);
}
