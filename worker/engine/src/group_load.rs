//! How many rows come for each key group, from a sample of them: which key is hot, at no cost that
//! could be measured.
//!
//! Of about every 64th row the key group is counted. The distance from one to the next varies, since
//! keys that come in turns would else be seen always or never; it is computed, not drawn by chance,
//! so that two runs of the same rows count the same.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use weir_protocol::{KeyGroup, KeyGroupRange};

use crate::env::instant;

/// Key groups of an operator that are told of without being asked for.
pub const HOTTEST: usize = 3;

/// One row of so many is counted, on average.
const EVERY: u32 = 64;
/// Rates are of about so long.
const LATELY: Duration = Duration::from_secs(5);
/// Whoever looks again sooner gets what the one before got.
const SOONEST: Duration = Duration::from_millis(500);

/// The rows that come for the key groups of one subtask's operator. Takes 12 bytes for each of the
/// subtask's key groups.
#[derive(Debug)]
pub struct GroupLoad {
    range: KeyGroupRange,
    /// Key groups of the job.
    of: u32,
    /// Rows that were counted, by key group of the range. Only the task writes.
    counts: Box<[AtomicU32]>,
    /// Rows until the next one is counted.
    next: AtomicU32,
    /// What the distance after that comes from.
    seed: AtomicU32,
    lately: Mutex<Lately>,
}

#[derive(Debug)]
struct Lately {
    at: Instant,
    is_first: bool,
    before: Box<[u32]>,
    /// Rows a second.
    rates: Box<[f32]>,
}

impl GroupLoad {
    /// No row has come for any of the key groups of `range`, of `of` in the job.
    #[must_use]
    pub fn new(range: KeyGroupRange, of: u32) -> Self {
        let lately = Lately {
            at: instant(),
            is_first: true,
            before: vec![0; range.len()].into(),
            rates: vec![0.0; range.len()].into(),
        };
        Self {
            range,
            of,
            counts: (0..range.len()).map(|_| AtomicU32::new(0)).collect(),
            next: AtomicU32::new(EVERY / 2),
            // Subtasks begin at different distances.
            seed: AtomicU32::new(u32::from(range.start)),
            lately: Mutex::new(lately),
        }
    }

    /// Samples rows by their key hashes. Called by the task alone.
    #[inline]
    pub fn count(&self, hashes: &[u64]) {
        let mut at = self.next.load(Ordering::Relaxed) as usize;
        while let Some(&hash) = hashes.get(at) {
            at += self.counted(hash) as usize;
        }
        // At most the largest distance.
        self.next.store((at - hashes.len()) as u32, Ordering::Relaxed);
    }

    /// Counts a row; gives how far the next one is.
    fn counted(&self, hash: u64) -> u32 {
        let group = KeyGroup::of_hash(hash, self.of).0;
        if let Some(count) = self.counts.get(usize::from(group.wrapping_sub(self.range.start))) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let seed = self.seed.load(Ordering::Relaxed);
        // Numerical Recipes' generator; its upper bits are the good ones.
        let seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.seed.store(seed, Ordering::Relaxed);
        1 + (seed >> 16) % (2 * EVERY - 1)
    }

    /// The key groups.
    #[must_use]
    pub fn range(&self) -> KeyGroupRange {
        self.range
    }

    /// Rows a second that come lately, by key group of the range.
    #[must_use]
    pub fn rates(&self, now: Instant) -> Vec<f32> {
        self.lately(now, <[f32]>::to_vec)
    }

    /// The key groups for which most rows come lately, at most so many, the hottest first, with rows
    /// a second; those for which none come are left out.
    #[must_use]
    pub fn hottest(&self, now: Instant, most: usize) -> Vec<(KeyGroup, f32)> {
        let mut hottest: Vec<(KeyGroup, f32)> = Vec::with_capacity(most + 1);
        self.lately(now, |rates| {
            for (group, &rate) in (self.range.start..).zip(rates) {
                let is_full = hottest.len() >= most;
                if rate <= 0.0 || is_full && hottest.last().is_none_or(|(_, least)| rate <= *least)
                {
                    continue;
                }
                let at = hottest.partition_point(|(_, other)| *other >= rate);
                hottest.insert(at, (KeyGroup(group), rate));
                hottest.truncate(most);
            }
        });
        hottest
    }

    fn lately<T>(&self, now: Instant, look: impl FnOnce(&[f32]) -> T) -> T {
        let mut lately = self.lately.lock();
        let passed = now.saturating_duration_since(lately.at);
        if passed >= SOONEST {
            lately.take(&self.counts, passed);
            lately.at = now;
        }
        look(&lately.rates)
    }
}

impl Lately {
    fn take(&mut self, counts: &[AtomicU32], passed: Duration) {
        let seconds = passed.as_secs_f32();
        // What is long past weighs less and less.
        let weight = match std::mem::take(&mut self.is_first) {
            true => 1.0,
            false => 1.0 - (-seconds / LATELY.as_secs_f32()).exp(),
        };
        let scale = EVERY as f32 / seconds;
        for ((count, before), rate) in counts.iter().zip(&mut self.before).zip(&mut self.rates) {
            let count = count.load(Ordering::Relaxed);
            let now = count.wrapping_sub(*before) as f32 * scale;
            *before = count;
            *rate += weight * (now - *rate);
            // So that a key group for which rows came once is not listed for ever.
            if *rate < 1e-3 {
                *rate = 0.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hash `n` is of key group `n % 720`.
    fn load() -> (GroupLoad, Instant) {
        let load = GroupLoad::new(KeyGroupRange { start: 360, end: 720 }, 720);
        let began = load.lately.lock().at;
        (load, began)
    }

    #[test]
    fn the_rate_of_a_key_group_is_that_of_its_rows() {
        let (load, began) = load();
        // 100,000 rows a second: seven of ten for group 400, the others spread, in small batches.
        for second in 1..=10 {
            for batch in 0_u64..1_000 {
                let hashes: Vec<u64> = (0..100)
                    .map(|row| if row % 10 < 7 { 400 } else { 360 + (batch * 100 + row) % 360 })
                    .collect();
                load.count(&hashes);
            }
            drop(load.rates(began + Duration::from_secs(second)));
        }
        let now = began + Duration::from_secs(10);
        let hottest = load.hottest(now, 3);
        let (group, rate) = hottest[0];
        assert_eq!((hottest.len(), group), (3, KeyGroup(400)));
        assert!((rate - 70_000.0).abs() < 4_000.0, "{rate}");
        assert!(hottest[1].1 < 2_000.0 && hottest[1].1 >= hottest[2].1, "{hottest:?}");
        let all: f32 = load.rates(now).iter().sum();
        assert!((all - 100_000.0).abs() < 4_000.0, "{all}");
    }

    #[test]
    fn keys_that_come_in_turns_are_no_hot_ones() {
        let (load, began) = load();
        // With a fixed distance of 64, one of these would be all that is seen.
        let hashes: Vec<u64> = (0..640_000).map(|row| 400 + row % 64).collect();
        load.count(&hashes);
        let hottest = load.hottest(began + Duration::from_secs(1), 64);
        assert_eq!(hottest.len(), 64);
        assert!(hottest[0].1 < 2.0 * hottest[63].1, "{hottest:?}");
    }

    #[test]
    fn a_key_group_that_is_quiet_again_is_forgotten() {
        let (load, began) = load();
        load.count(&[700; 10_000]);
        let at = |second| began + Duration::from_secs(second);
        assert_eq!(load.hottest(at(1), 3)[0].0, KeyGroup(700));
        let soon = load.rates(at(1) + Duration::from_millis(1));
        assert_eq!(soon, load.rates(at(1)), "what is asked too soon is not counted anew");
        for second in 2..120 {
            drop(load.rates(at(second)));
        }
        assert_eq!(load.hottest(at(120), 3), []);
        // Rows of other subtasks' groups do not come, and would be no reason to fail.
        load.count(&[3; 1_000]);
    }
}
