//! Giving memory back: of rows that expired, and of a table that has become mostly empty.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Ordered;
use crate::chunked::{CHUNK, Chunked};
use crate::sorted::order_word;
use crate::table::Expiry;
use crate::table::columns::Columns;

impl Ordered {
    /// Frees rows below the bound, at most about `limit`.
    pub(super) fn sweep_below_bound(&mut self, limit: usize) -> usize {
        let lowest = self.bounds.lowest(self.groups.range);
        let (mut gone, mut steps) = (0, 0);
        while gone < limit && steps < limit {
            let Some(&Reverse((time, key))) = self.queue.peek() else { break };
            if time >= lowest {
                break;
            }
            self.queue.pop();
            steps += 1;
            let state = &self.states[key as usize];
            // A row that came later but is older has queued the key again.
            if state.queued != time {
                continue;
            }
            let bound = self.bounds.word(state.group);
            let spot =
                state.run.lower_bound(0..=u64::MAX, |slot| order_word(self.order(slot)) < bound);
            let mut rows = Vec::new();
            self.change_run(key, |run| run.remove_before(spot, &mut rows));
            for &slot in &rows {
                self.slots.vacate(slot);
                self.free_row(slot);
            }
            gone += rows.len();
            self.states[key as usize].queued = i64::MAX;
            if let Some(first) = self.states[key as usize].run.first() {
                let order = self.order(first).to_vec();
                self.enqueue(key, &order);
            }
        }
        gone
    }

    /// Frees rows that have lived their time, looking at most at `limit`.
    pub(super) fn sweep_old(&mut self, limit: usize) -> usize {
        let (len, mut gone) = (self.slots.len() as u32, 0);
        for _ in 0..limit.min(len as usize) {
            let slot = self.hand;
            self.hand = (self.hand + 1) % len;
            if self.slots.is_live(slot)
                && self.spec.expiry.is_over(self.columns.stamp(slot), self.clock)
            {
                self.slots.vacate(slot);
                self.leave_run(slot);
                gone += 1;
            }
        }
        gone
    }

    pub(super) fn is_needed(&self, key: u32) -> bool {
        !self.states[key as usize].run.is_empty()
            || self.unpublished.contains_key(&key)
            || self.cleared.contains(&key)
    }

    /// The keys that something is known of.
    pub(super) fn needed(&self) -> Vec<u32> {
        (0..self.states.len() as u32).filter(|&key| self.is_needed(key)).collect()
    }

    /// Whether all that is known of the key can be read back as it is.
    pub(super) fn is_evictable(&self, key: u32) -> bool {
        let Some(through) = &self.read_through else { return false };
        !self.cleared.contains(&key)
            && !self.unpublished.contains_key(&key)
            && self.states[key as usize]
                .run
                .iter()
                .all(|slot| self.slots.is_clean(slot) && !through.is_in_flight(slot))
    }

    /// Drops all keys with their rows but these, which ascend and become 0, 1, 2, …
    pub(super) fn keep(&mut self, kept: &[u32]) {
        let runs = kept.iter().map(|&key| &self.states[key as usize].run);
        let mut rows: Vec<u32> = runs.flat_map(|run| run.iter()).collect();
        rows.sort_unstable();
        let mut place = vec![0_u32; self.slots.len()];
        (0..).zip(&rows).for_each(|(to, &from)| place[from as usize] = to);
        self.keys.keep(kept);
        self.columns = std::mem::replace(&mut self.columns, Columns::new(&self.spec)).keep(&rows);
        self.orders = std::mem::take(&mut self.orders).keep(&rows);
        self.slots = self.slots.keep(&rows);
        self.order_heap = (0..rows.len()).map(|slot| self.orders.get(slot).heap()).sum();
        self.key_of = Chunked::new();
        self.key_of.grow(rows.len());
        self.free = Vec::new();
        self.read_through.iter_mut().for_each(|through| through.renumber(&rows));
        self.move_states(kept, &place);
        self.hand = 0;
    }

    /// The part of [`Ordered::keep`] that is about keys; `place` is where each row has gone.
    fn move_states(&mut self, kept: &[u32], place: &[u32]) {
        let mut next = kept.iter().peekable();
        let states = (0..).zip(std::mem::take(&mut self.states));
        self.states = states.filter_map(|(key, s)| next.next_if_eq(&&key).map(|_| s)).collect();
        self.key_chunks = Vec::new();
        self.key_chunk_listed = vec![false; kept.len().div_ceil(CHUNK)];
        self.queue = BinaryHeap::new();
        let cleared = std::mem::take(&mut self.cleared);
        let unpublished = std::mem::take(&mut self.unpublished);
        self.run_bytes = 0;
        for (to, from) in (0..).zip(kept) {
            let state = &mut self.states[to as usize];
            state.run.renumber(|slot| place[slot as usize]);
            (state.used, state.queued) = (false, i64::MAX);
            self.run_bytes += state.run.bytes();
            let mut changed = cleared.contains(from);
            let first = state.run.first();
            for slot in state.run.iter() {
                *self.key_of.get_mut(slot as usize) = to;
                changed |= self.slots.is_dirty(slot);
            }
            if changed {
                self.touch_key(to);
            }
            if let Some(first) = first.filter(|_| self.spec.expiry == Expiry::ByOrder) {
                let order = self.order(first).to_vec();
                self.enqueue(to, &order);
            }
            if cleared.contains(from) {
                self.cleared.insert(to);
            }
            if let Some(&age) = unpublished.get(from) {
                self.unpublished.insert(to, age);
            }
        }
    }
}
