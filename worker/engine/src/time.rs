//! Event time and watermarks (PROTOCOL section 7).

use std::fmt;

/// Event time in milliseconds since the epoch, as Flink's `TIMESTAMP(3)` rowtime.
pub type EventTime = i64;

/// A promise: no later row has an event time below this value. Every test for finality is a
/// strict `<`: a window `[start, end)` is complete once `watermark >= end`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Watermark(pub EventTime);

impl Watermark {
    /// Nothing is promised yet.
    pub const MIN: Self = Self(i64::MIN);
    /// Nothing follows: every window is complete. Sent before `End`.
    pub const MAX: Self = Self(i64::MAX);

    /// The watermark this many milliseconds earlier; the first and the last stay.
    #[must_use]
    pub fn held_back(self, ms: i64) -> Self {
        match self {
            Self::MIN | Self::MAX => self,
            Self(at) => Self(at.saturating_sub(ms.max(0)).min(i64::MAX - 1)),
        }
    }

    /// The last event time that it has passed: all rows of that time are there.
    #[must_use]
    pub fn last_passed(self) -> EventTime {
        match self {
            Self::MAX => self.0,
            Self(at) => at.saturating_sub(1),
        }
    }

    /// Whether a window that ends (exclusively) at `end` is complete.
    #[must_use]
    pub fn completes(self, end: EventTime) -> bool {
        self.0 >= end
    }
}

impl fmt::Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MIN => f.write_str("-inf"),
            Self::MAX => f.write_str("+inf"),
            Self(ms) => write!(f, "{ms} ms"),
        }
    }
}
