//! How long to wait before a crashed worker is started again.

use std::time::Duration;

/// The first pause of a crash loop, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A worker that lived for so long was no part of a crash loop.
const HEALTHY: Duration = Duration::from_secs(30);

/// Counts crashes in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct CrashLoop {
    in_a_row: u32,
}

impl CrashLoop {
    /// The pause after a worker that lived for `lived`.
    pub(super) fn pause(&mut self, lived: Duration) -> Duration {
        if lived >= HEALTHY {
            self.in_a_row = 0;
        }
        let before = self.in_a_row;
        self.in_a_row += 1;
        match before.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => (PAUSES.0 * (1 << doublings.min(10))).min(PAUSES.1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_crash_costs_nothing_and_a_crash_loop_slows_down() {
        let mut crashes = CrashLoop::default();
        let short = Duration::from_millis(10);
        let pauses: Vec<u128> = (0..9).map(|_| crashes.pause(short).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(crashes.pause(HEALTHY), Duration::ZERO);
    }
}
