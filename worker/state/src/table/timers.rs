//! Timers: keys that are due at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arrow::array::{ArrayRef, Int64Array};
use weir_protocol::KeyGroup;
use xxhash_rust::xxh3::xxh3_64;

use super::blob::Blob;
use super::frozen::{Body, FrozenTimer, Held};
use super::restore::{Batch, RestoreError, restore};
use super::{
    Bounds, Frozen, Groups, Memory, Order, SpecError, StoredTable, Table, TableError, TableSpec,
};
use crate::canonical::{Shape, decode_rows, encode_rows};
use crate::merge::Input;
use crate::sorted::{Age, Meta, order_time};

/// When, and whose: what timers are sorted by.
type Timer = (i64, Blob);

/// Memory of a map's entry, in bytes, when nodes are as full as after insertions in any order.
const ENTRY: usize = (size_of::<Timer>() + 2) * 3 / 2;

/// A set of (key, time). Setting and cancelling read nothing, so that neither waits for anything;
/// an operator that wants one timer per key keeps its time in the key's row.
///
/// Stored as an ordered table with one run per key group: sorted by time, then by key, so that
/// what is due first is read first.
#[derive(Debug)]
pub struct Timers {
    spec: TableSpec,
    groups: Groups,
    /// All timers; whether a segment holds it.
    timers: BTreeMap<Timer, bool>,
    /// Since the last freeze: set, or cancelled although a segment holds it.
    changed: BTreeMap<Timer, bool>,
    /// Memory of long keys, in bytes; a timer that is in both maps has one.
    heap: usize,
    clock: u32,
    frozen: Arc<AtomicUsize>,
}

impl Timers {
    /// No timers.
    ///
    /// # Errors
    /// When the spec cannot be, or is not one of timers.
    pub fn new(spec: TableSpec, groups: Groups) -> Result<Self, SpecError> {
        spec.check()?;
        let wrong = |problem: String| SpecError { table: spec.name.clone(), problem };
        if spec.order != Order::Due || !spec.columns.is_empty() {
            return Err(wrong("timers have the order `due` and no columns".to_owned()));
        }
        for field in &spec.key {
            Shape::of(&field.data_type).map_err(|error| wrong(error.to_string()))?;
        }
        Ok(Self {
            spec,
            groups,
            timers: BTreeMap::new(),
            changed: BTreeMap::new(),
            heap: 0,
            clock: 0,
            frozen: Arc::default(),
        })
    }

    /// The timers that these segments hold, which may come from any subtasks.
    ///
    /// # Errors
    /// When a segment cannot be read, or has keys of other types.
    pub fn restore(
        spec: TableSpec,
        groups: Groups,
        segments: &[Input],
    ) -> Result<Self, RestoreError> {
        let mut timers = Self::new(spec, groups)?;
        let spec = timers.spec.clone();
        let (clock, _) = restore(&spec, groups, segments, |batch: &Batch| {
            for row in 0..batch.len() {
                let order = batch.order(row);
                let key = Blob::new(order.get(8..).unwrap_or_default());
                timers.heap += key.heap();
                timers.timers.insert((order_time(order), key), true);
            }
            Ok(())
        })?;
        timers.clock = clock;
        Ok(timers)
    }

    /// Sets a timer per key and time; one that is set already stays.
    ///
    /// # Errors
    /// When the columns are of other types than the key's.
    pub fn set(&mut self, keys: &[ArrayRef], times: &Int64Array) -> Result<(), TableError> {
        self.each(keys, times, |timers, timer| {
            if timers.timers.contains_key(&timer) {
                return;
            }
            // Cancelled since the last freeze: the segment that holds it is right again.
            let stored = timers.changed.remove(&timer).is_some();
            if !stored {
                timers.heap += timer.1.heap();
                timers.changed.insert(timer.clone(), true);
            }
            timers.timers.insert(timer, stored);
        })
    }

    /// Cancels timers; those that are not set stay so.
    ///
    /// # Errors
    /// When the columns are of other types than the key's.
    pub fn cancel(&mut self, keys: &[ArrayRef], times: &Int64Array) -> Result<(), TableError> {
        self.each(keys, times, |timers, timer| {
            if let Some(stored) = timers.timers.remove(&timer) {
                timers.gone(timer, stored);
            }
        })
    }

    /// A timer that was taken out of the set.
    fn gone(&mut self, timer: Timer, stored: bool) {
        if stored {
            self.changed.insert(timer, false);
        } else {
            self.heap -= timer.1.heap();
            self.changed.remove(&timer);
        }
    }

    /// Takes out at most `limit` timers that are due at `now`, first the earliest, then by key:
    /// their keys and times. Fewer than `limit` are all of them.
    ///
    /// # Errors
    /// When a key does not fit the table's types, which is a bug.
    pub fn due(
        &mut self,
        now: i64,
        limit: usize,
    ) -> Result<(Vec<ArrayRef>, Int64Array), TableError> {
        let mut due = Vec::new();
        while due.len() < limit
            && let Some(first) = self.timers.first_entry()
            && first.key().0 <= now
        {
            let (timer, stored) = first.remove_entry();
            due.push(timer.clone());
            self.gone(timer, stored);
        }
        let keys = decode_rows(&self.spec.key_types(), due.len(), |each| {
            due.iter().for_each(|(_, key)| each(key.as_bytes()));
        })?;
        Ok((keys, due.iter().map(|(time, _)| *time).collect()))
    }

    /// Every timer, the earliest first: its key and time.
    pub fn all(&self) -> impl Iterator<Item = Result<(Vec<ArrayRef>, i64), TableError>> {
        self.timers.keys().map(|(time, key)| {
            let types = self.spec.key_types();
            Ok((decode_rows(&types, 1, |each| each(key.as_bytes()))?, *time))
        })
    }

    /// When the next timer is due.
    #[must_use]
    pub fn next(&self) -> Option<i64> {
        self.timers.first_key_value().map(|((time, _), _)| *time)
    }

    /// Number of timers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }

    fn each(
        &mut self,
        keys: &[ArrayRef],
        times: &Int64Array,
        mut each: impl FnMut(&mut Self, Timer),
    ) -> Result<(), TableError> {
        if !keys.iter().map(|key| key.data_type()).eq(self.spec.key.iter().map(|f| &f.data_type)) {
            let (given, wanted) = (keys.len(), self.spec.key.len());
            return match keys
                .iter()
                .zip(&self.spec.key)
                .find(|(k, f)| *k.data_type() != f.data_type)
            {
                Some((key, _)) => Err(crate::UnsupportedType(key.data_type().clone()).into()),
                None => Err(TableError::Width { what: "a key", given, wanted }),
            };
        }
        let mut row = 0;
        encode_rows(keys, times.len(), &mut Vec::with_capacity(64), |key| {
            each(self, (times.value(row), Blob::new(key)));
            key.clear();
            row += 1;
        })?;
        Ok(())
    }
}

impl Table for Timers {
    fn spec(&self) -> &TableSpec {
        &self.spec
    }

    fn take_over(&mut self, stored: StoredTable) -> Result<(), RestoreError> {
        let inputs = match stored {
            StoredTable::Whole(inputs) => inputs,
            StoredTable::Layers(layers) if layers.is_empty() => Vec::new(),
            StoredTable::Layers(_) => return Err(RestoreError::InMemory(self.spec.name.clone())),
        };
        *self = Self::restore(self.spec.clone(), self.groups, &inputs)?;
        Ok(())
    }

    fn set_clock(&mut self, now: u32) {
        self.clock = self.clock.max(now);
    }

    fn is_dirty(&self) -> bool {
        !self.changed.is_empty()
    }

    fn freeze(&mut self, age: Age) -> Frozen {
        let changed = std::mem::take(&mut self.changed);
        let mut timers = Vec::with_capacity(changed.len());
        for (timer, is_set) in changed {
            if !is_set {
                self.heap -= timer.1.heap();
            }
            let group = KeyGroup::of_hash(xxh3_64(timer.1.as_bytes()), self.groups.of);
            let mut order = ((timer.0 ^ i64::MIN) as u64).to_be_bytes().to_vec();
            order.extend_from_slice(timer.1.as_bytes());
            timers.push(FrozenTimer { group, order, cancelled: !is_set });
            if is_set && let Some(stored) = self.timers.get_mut(&timer) {
                *stored = true;
            }
        }
        timers.sort_unstable_by(|a, b| (a.group, &a.order).cmp(&(b.group, &b.order)));
        let bytes = timers.iter().map(|t| size_of::<FrozenTimer>() + t.order.capacity()).sum();
        let (table, clock) = (self.spec.clone(), self.clock);
        Frozen {
            age,
            groups: self.groups,
            meta: Meta { table, groups: self.groups.of, clock, bounds: Bounds::default() },
            body: Body::Timers(timers),
            _held: Held::new(&self.frozen, bytes),
        }
    }

    fn published(&mut self, _: Age) {
        // All timers are in memory: nothing is read that a tombstone would have to hide.
    }

    fn sweep(&mut self, _: usize) -> usize {
        0
    }

    fn memory(&self) -> Memory {
        Memory {
            dirty: self.changed.len() * ENTRY,
            frozen: self.frozen.load(std::sync::atomic::Ordering::Relaxed),
            clean: self.timers.len() * ENTRY + self.heap,
            index: 0,
        }
    }
}
