//! The idle clock: how long the splits of a reader were asked in vain (PROTOCOL section 7).
//!
//! It runs while the reader is polled, whatever the poll brings: a split is silent beside a busy
//! one as much as alone. It stands while something holds the task up, since rows may wait outside
//! meanwhile that nobody asked for; and one gap between two polls, however long, counts for a part
//! of the limit only, so that no split is declared idle before it was asked several times.

use std::time::{Duration, Instant};

/// So many polls, at least, must find nothing of a split before it is idle.
const POLLS: u32 = 4;

/// Time that was spent polling, between one poll and the next.
#[derive(Debug)]
pub(crate) struct Silence {
    limit: Duration,
    /// Up to where it has counted; absent while it stands.
    counted_to: Option<Instant>,
    counted: Duration,
}

impl Silence {
    /// A clock for splits that are idle after `limit`.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, counted_to: None, counted: Duration::ZERO }
    }

    /// Something holds the task up: the clock stands until the next poll.
    pub(crate) fn held_up(&mut self, now: Instant) {
        if let Some(since) = self.counted_to.take() {
            self.counted += now.saturating_duration_since(since);
        }
    }

    /// The reader was polled: what a split that gave nothing adds to its silence.
    pub(crate) fn polled(&mut self, now: Instant) -> Duration {
        self.held_up(now);
        self.counted_to = Some(now);
        std::mem::take(&mut self.counted).min(self.limit / POLLS)
    }

    /// Whether a silence makes a split idle.
    pub(crate) fn is_over(&self, quiet: Duration) -> bool {
        quiet >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::instant;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn silence_is_the_time_between_polls() {
        let (start, mut clock) = (instant(), Silence::new(ms(1_000)));
        assert_eq!(clock.polled(start), ms(0));
        assert_eq!(clock.polled(start + ms(100)), ms(100));
        assert_eq!(clock.polled(start + ms(250)), ms(150));
        assert!(!clock.is_over(ms(999)) && clock.is_over(ms(1_000)));
    }

    #[test]
    fn what_holds_a_task_up_is_not_silence() {
        let (start, mut clock) = (instant(), Silence::new(ms(1_000)));
        clock.polled(start);
        clock.held_up(start + ms(30));
        clock.held_up(start + ms(500));
        assert_eq!(clock.polled(start + ms(900)), ms(30));
        assert_eq!(clock.polled(start + ms(910)), ms(10));
    }

    #[test]
    fn one_long_gap_makes_nothing_idle() {
        let (start, mut clock) = (instant(), Silence::new(ms(1_000)));
        clock.polled(start);
        assert_eq!(clock.polled(start + ms(60_000)), ms(250));
    }
}
