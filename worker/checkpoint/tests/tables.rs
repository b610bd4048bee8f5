//! Segments of state tables: stored, read back by key groups, copied into savepoints.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};
use common::{NEVER, Rig, Toy, request};
use weir_checkpoint::data::OpenTable;
use weir_checkpoint::store::Scoped;
use weir_checkpoint::store::testing::MemoryStore;
use weir_checkpoint::{
    DataError, DataReader, DataWriter, Nonces, SegmentCache, Start, Steps, Store, TableSegment,
    savepoint,
};
use weir_protocol::{Attempt, KeyGroup, KeyGroupRange, Term};
use weir_state::merge::Input;
use weir_state::sorted::Age;
use weir_state::table::rows::Rows;
use weir_state::table::{Field, Groups, Keyed, Table, TableSpec};

const GROUPS: u32 = 128;

fn spec() -> TableSpec {
    let number = |name: &str| Field::new(name, DataType::Int64, false);
    TableSpec::keyed("counts", vec![number("key")], vec![number("n")])
}

fn groups(start: u16, end: u16) -> Groups {
    Groups { range: KeyGroupRange { start, end }, of: GROUPS }
}

fn all() -> KeyGroupRange {
    KeyGroupRange::all(GROUPS)
}

/// What a table freezes that holds `n` for each of the first `keys` keys.
async fn write(writer: &DataWriter, attempt: u64, keys: i64, n: i64) -> TableSegment {
    let mut table = Keyed::new(spec(), groups(0, GROUPS as u16)).unwrap();
    let of: ArrayRef = Arc::new((0..keys).collect::<Int64Array>());
    let mut slots = Vec::new();
    table.resolve(&[of], keys as usize, &mut slots).unwrap();
    let mut cells = table.column_mut::<i64>(0).unwrap();
    slots.iter().for_each(|&slot| cells.set(slot, n));
    let age = Age { term: Term(1), attempt: Attempt(attempt) };
    let encoded = table.freeze(age).encode(writer.nonces().draw().0).unwrap();
    let places = writer.write(&"count".into(), &[encoded.bytes]).await.unwrap();
    TableSegment::new("counts", &encoded.footer, places.into_iter().next().unwrap())
}

/// Keys and values that references hold for key groups.
async fn read(
    reader: &DataReader,
    references: &[TableSegment],
    range: KeyGroupRange,
) -> Result<Vec<(i64, i64)>, DataError> {
    let inputs = reader.read_table(references, range).await?;
    let table = Keyed::restore(spec(), Groups { range, of: GROUPS }, &inputs).unwrap();
    let slots: Vec<u32> = table.all().collect();
    let keys = table.keys(&slots).unwrap().remove(0);
    let keys = keys.as_primitive::<Int64Type>().values().to_vec();
    let cells = table.column::<i64>(0).unwrap();
    let mut rows: Vec<_> =
        keys.into_iter().zip(slots.iter().map(|&slot| cells.get(slot).unwrap())).collect();
    rows.sort_unstable();
    Ok(rows)
}

fn writer(store: &MemoryStore) -> DataWriter {
    DataWriter::new(Arc::new(store.clone()), Term(1), Nonces::seeded(3))
}

#[tokio::test]
async fn the_shares_of_subtasks_are_what_was_stored_and_the_youngest_row_counts() {
    let store = MemoryStore::new();
    let writer = writer(&store);
    // Inline and in objects.
    let references = [write(&writer, 1, 40_000, 1).await, write(&writer, 2, 100, 2).await];
    assert!(references[0].place.object().is_some() && references[1].place.object().is_none());
    let reader = DataReader::new(Arc::new(store));
    let mut rows = Vec::new();
    for (start, end) in [(0, 50), (50, 51), (51, 128)] {
        let range = KeyGroupRange { start, end };
        rows.extend(read(&reader, &references, range).await.unwrap());
    }
    rows.sort_unstable();
    let expected = (0..40_000).map(|key| (key, if key < 100 { 2 } else { 1 }));
    assert!(rows.into_iter().eq(expected));
}

/// The rows of one piece, each key group read by itself.
fn of_piece(inputs: &[Input], piece: KeyGroupRange) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    for group in (piece.start..piece.end).map(KeyGroup) {
        let own = OpenTable::of_group(inputs, group);
        let mut rows = Rows::open(&spec(), groups(group.0, group.0 + 1), &own).unwrap();
        while let Some(rows) = rows.next_batch().unwrap() {
            let number = |column: usize| rows.column(column).as_primitive::<Int64Type>().values();
            found.extend(number(0).iter().copied().zip(number(1).iter().copied()));
        }
    }
    found
}

#[tokio::test]
async fn pieces_of_a_table_are_the_table_however_large_they_are() {
    let store = MemoryStore::new();
    let writer = writer(&store);
    let references = [write(&writer, 1, 40_000, 1).await, write(&writer, 2, 100, 2).await];
    let reader = DataReader::new(Arc::new(store));
    let expected = read(&reader, &references, all()).await.unwrap();
    for (bytes, least, most) in [(0, 128, 128), (50_000, 3, 60), (u64::MAX, 1, 1)] {
        let table = reader.open_table(&references, all()).await.unwrap().with_pieces_of(bytes);
        let (mut rows, mut pieces, mut left) = (Vec::new(), 0, all());
        while !left.is_empty() {
            let piece = table.next_piece(left);
            left.start = piece.end;
            pieces += 1;
            rows.extend(of_piece(&table.read(piece).await.unwrap(), piece));
        }
        rows.sort_unstable();
        assert_eq!(rows, expected);
        assert!((least..=most).contains(&pieces), "{pieces} pieces of {bytes} bytes");
    }
}

#[tokio::test]
async fn damage_in_the_store_is_an_error_and_in_the_cache_none() {
    let store = MemoryStore::new();
    let cache = SegmentCache::in_memory(1 << 30);
    let reference = write(&writer(&store).with_cache(cache.clone()), 1, 40_000, 1).await;
    let path = reference.place.object().unwrap().to_owned();
    let sound = store.bytes(&path).unwrap();
    let reader = DataReader::new(Arc::new(store.clone()));
    // Every section, and blocks here and there.
    let from_end = [1, 100, 200, 1_000, 5_000, 50_000];
    let places = (0..sound.len()).step_by(sound.len() / 50);
    for at in places.chain(from_end.map(|n| sound.len() - n)) {
        let mut bytes = sound.to_vec();
        bytes[at] ^= 1;
        store.put(&path, bytes.into()).await.unwrap();
        match read(&reader, std::slice::from_ref(&reference), all()).await {
            Err(DataError::DamagedTable { object, .. }) => assert_eq!(object, path),
            // Padding between sections holds nothing.
            Ok(rows) => assert_eq!(rows.len(), 40_000, "byte {at}"),
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    // Another segment under its name.
    let others = DataWriter::new(Arc::new(store.clone()), Term(1), Nonces::seeded(4));
    let other = write(&others, 1, 40_000, 7).await;
    let swapped = store.bytes(other.place.object().unwrap()).unwrap();
    store.put(&path, swapped).await.unwrap();
    let found = read(&reader, std::slice::from_ref(&reference), all()).await;
    assert!(matches!(found, Err(DataError::DamagedTable { .. })), "{found:?}");

    store.put(&path, sound.clone()).await.unwrap();
    let mut bytes = sound.to_vec();
    bytes[5_000] ^= 1;
    cache.put(&path, bytes.into()).await;
    let reader = reader.with_cache(cache);
    assert_eq!(read(&reader, &[reference], all()).await.unwrap().len(), 40_000);
}

#[tokio::test]
async fn what_was_prefetched_is_read_without_the_store() {
    let store = MemoryStore::new();
    let reference = write(&writer(&store), 1, 40_000, 1).await;
    let cache = SegmentCache::in_memory(1 << 30);
    let reader = DataReader::new(Arc::new(store.clone())).with_cache(cache.clone());
    let range = KeyGroupRange { start: 3, end: 40 };
    let references = [reference];
    let done = reader.prefetch_table(&references, range).await.unwrap();
    assert!(!done.full && done.bytes > 10_000, "{done:?}");
    store.delete(references[0].place.object().unwrap()).await.unwrap();
    let read_back = read(&reader, &references, range).await.unwrap();
    assert!(read_back.len() > 5_000);
    assert!(read(&reader, &references, all()).await.is_err());
}

/// Publishes a checkpoint with these references.
async fn publish(toy: &mut Toy, tables: Vec<TableSegment>, pin: Option<&str>) {
    toy.freeze(2);
    let mut body = toy.body();
    body.operators.get_mut(&"source".into()).unwrap().state.tables = tables;
    body.pin = pin.map(str::to_owned);
    toy.writer.publish(body, NEVER).await.unwrap();
    toy.frozen.clear();
    toy.commit_all().await;
}

#[tokio::test(start_paused = true)]
async fn a_savepoint_holds_tables_and_whoever_starts_from_it_copies_them() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    let store = rig.chain().store().clone();
    let writer = DataWriter::new(store.clone(), toy.writer.term(), rig.nonces.clone());
    let tables = vec![write(&writer, 1, 40_000, 1).await, write(&writer, 2, 100, 2).await];
    publish(&mut toy, tables, Some("s")).await;
    let pinned = toy.writer.head();
    savepoint::copy(&store, &pinned, "s", |_| true, &Steps::none()).await.unwrap();
    for object in pinned.own_objects() {
        store.delete(&object).await.unwrap();
    }

    let other = Rig::new();
    let folder: Arc<dyn Store> = Arc::new(Scoped::new(store, "savepoints/s"));
    let savepoint = savepoint::fetch(folder.as_ref()).await.unwrap();
    let start = Start::Savepoint { token: "s".into(), savepoint: Box::new(savepoint.clone()) };
    let from = weir_checkpoint::SealRequest { start, ..request(0) };
    let mut new = Toy::start(&other.chain(), &other.sink, &from).await.unwrap();
    let own = other.chain().store().clone();
    let reader = DataReader::new(own.clone()).with_foreign(&savepoint.url, folder);
    let found = new.writer.head().operators[&"source".into()].state.tables.clone();
    let rows = read(&reader, &found, all()).await.unwrap();
    assert_eq!((rows.len(), rows[0], rows[100]), (40_000, (0, 2), (100, 1)));
    assert!(found[0].place.is_foreign());
    // A copy speaks for the same ages, and is listed later.
    let writer = DataWriter::new(own, new.writer.term(), other.nonces.clone());
    let copy = TableSegment { place: write(&writer, 1, 40_000, 1).await.place, ..found[0].clone() };
    publish(&mut new, vec![copy.clone()], None).await;
    let head = new.writer.head();
    assert_eq!(head.operators[&"source".into()].state.tables, [found[1].clone(), copy]);
    assert!(head.foreign_operators().is_empty());
}
