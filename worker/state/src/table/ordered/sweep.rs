//! Giving memory back: of rows that expired, and of a table that has become mostly empty.

use std::cmp::Reverse;
use std::sync::Arc;

use super::Ordered;
use crate::sorted::order_word;
use crate::table::keyed::move_keys;
use crate::table::{ColumnError, Expiry, TableError};

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
            let spot = state.run.lower_bound(|slot| order_word(self.order(slot)) < bound);
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

    /// Moves these keys and their rows into new tables, and drops all others.
    pub(super) fn keep(&mut self, kept: &[u32]) -> Result<(), TableError> {
        let (keys, to) = move_keys(&self.keys, &self.spec, kept)?;
        let mut moved =
            Self::new(self.spec.clone(), self.groups).map_err(|_| ColumnError { column: 0 })?;
        moved.keys = keys;
        moved.add_states(|row| self.states[kept[row] as usize].group, &to);
        let mut rows = Vec::with_capacity(self.slots.occupied());
        for (&key, &to) in kept.iter().zip(&to) {
            let mut run = std::mem::take(&mut self.states[key as usize].run);
            run.renumber(|slot| {
                rows.push(slot);
                (rows.len() - 1) as u32
            });
            moved.change_run(to, |empty| *empty = run);
            moved.states[to as usize].resident = self.states[key as usize].resident;
            moved.states[to as usize].used = false;
        }
        moved.columns = self.columns.gather(&rows, &self.spec);
        moved.slots = self.slots.gather(&rows);
        moved.key_of.grow(rows.len());
        moved.orders.grow(rows.len());
        for (key, &to) in (0..).zip(&to) {
            let slots: Vec<u32> = moved.states[to as usize].run.iter().collect();
            for &slot in &slots {
                let order = self.orders.get(rows[slot as usize] as usize).clone();
                moved.order_heap += order.heap();
                *moved.orders.get_mut(slot as usize) = order;
                *moved.key_of.get_mut(slot as usize) = to;
                if moved.slots.is_dirty(slot) {
                    moved.touch_key(to);
                }
            }
            if let Some(&first) = slots.first()
                && self.spec.expiry == Expiry::ByOrder
            {
                let order = moved.order(first).to_vec();
                moved.enqueue(to, &order);
            }
            let from: u32 = kept[key];
            if self.cleared.contains(&from) {
                moved.cleared.insert(to);
                moved.touch_key(to);
            }
            if let Some(&age) = self.unpublished.get(&from) {
                moved.unpublished.insert(to, age);
            }
        }
        moved.read_through = self.read_through.take();
        if let Some(through) = &mut moved.read_through {
            through.renumber(&rows);
        }
        moved.bounds = std::mem::take(&mut self.bounds);
        moved.bounds_raised = self.bounds_raised;
        moved.clock = self.clock;
        moved.frozen = Arc::clone(&self.frozen);
        *self = moved;
        Ok(())
    }
}
