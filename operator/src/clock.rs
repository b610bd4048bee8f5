//! Time, in one place, so that tests decide when a deadline has passed.
//!
//! Two kinds: wall-clock time for what is compared with times written by others (a deletion, a
//! checkpoint), and monotonic time for what only this process measures (how long a node's lease
//! has stood still), which no clock adjustment can shorten.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

/// A source of time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's, with the moment that monotonic time is counted from.
    System(Instant),
    /// Stands still until it is advanced: milliseconds since 1970.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where the operator reads a clock")]
    pub fn system() -> Self {
        Self::System(Instant::now())
    }

    /// A clock that stands at `millis` since 1970.
    #[must_use]
    pub fn manual(millis: i64) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(millis)))
    }

    /// Moves a manual clock on; the machine's clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(millis) = self {
            millis.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System(_) => Timestamp::now(),
            Self::Manual(millis) => {
                Timestamp::from_millisecond(millis.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Time since this clock was made, which only grows.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        match self {
            Self::System(start) => start.elapsed(),
            Self::Manual(millis) => {
                Duration::from_millis(u64::try_from(millis.load(Ordering::SeqCst)).unwrap_or(0))
            }
        }
    }
}

/// How long ago `then` was; zero when it lies ahead.
#[must_use]
pub fn age(now: Timestamp, then: Timestamp) -> Duration {
    let millis = now.as_millisecond().saturating_sub(then.as_millisecond());
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
