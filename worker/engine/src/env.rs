//! The environment: the one place where time and chance come from.
//!
//! Tokio's clock is used throughout, because a paused runtime lets the simulator own it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Wall-clock and monotonic time for the data plane.
///
/// The wall clock is only for display, file names and processing-time policies; no protocol
/// decision rests on it.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clocks.
    System,
    /// A clock that a test moves by hand; milliseconds since the epoch.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that starts at `now_ms` and moves only by [`Clock::advance`].
    #[must_use]
    pub fn manual(now_ms: i64) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now_ms)))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module is where time comes from")]
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::System => std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |d| d.as_millis() as i64),
            Self::Manual(now) => now.load(Ordering::Relaxed),
        }
    }

    /// Moves a manual clock; does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(now) = self {
            now.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
        }
    }
}

/// A monotonic instant for measuring durations; never part of a decision about correctness.
///
/// Two of them must be compared with each other, not with the time that passed since
/// (`Instant::elapsed`), wherever a decision rests on it: under a simulator it is simulated time.
#[must_use]
pub fn instant() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

/// Sixty-four bits by chance: for values that users ask for, never for a decision.
#[must_use]
pub fn entropy() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    static NEXT: std::sync::OnceLock<AtomicU64> = std::sync::OnceLock::new();
    // Keys of a map's hasher are all the chance that the standard library gives.
    let fresh = || AtomicU64::new(std::hash::RandomState::new().build_hasher().finish());
    let state = NEXT.get_or_init(fresh).fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    // SplitMix64 (Steele, Lea, Flood 2014): what follows each other looks unlike each other.
    let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

/// The result of work on another thread. Never, when the work was cancelled: only a runtime that
/// is shut down cancels what nobody can abort, and then whoever waits is about to be dropped too.
/// An error here would be told as a failure of the job in its last moments.
///
/// # Errors
/// When the work panics.
pub async fn joined<T>(work: tokio::task::JoinHandle<T>) -> Result<T, tokio::task::JoinError> {
    match work.await {
        Err(error) if error.is_cancelled() => std::future::pending().await,
        done => done,
    }
}

/// Runs work that may take long away from the tasks of the I/O runtime.
///
/// On a runtime of one thread, which is what the simulator has, it runs in place, so that a
/// seed decides everything.
///
/// # Errors
/// When the work panics.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    let flavor = tokio::runtime::Handle::current().runtime_flavor();
    if flavor == tokio::runtime::RuntimeFlavor::CurrentThread {
        return joined(tokio::spawn(async move { work() })).await;
    }
    joined(tokio::task::spawn_blocking(work)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_ends_with_its_runtime_fails_nobody() {
        let ending = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let handle = ending.handle().clone();
        ending.shutdown_background();
        // Cancelled at once, which is what would have been told.
        let work = handle.spawn_blocking(|| 5);
        let other = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        other.block_on(async {
            assert!(work.is_finished());
            let told = tokio::time::timeout(Duration::from_secs(9), joined(work)).await;
            assert!(told.is_err(), "{told:?}");
            let done = joined(tokio::spawn(async { 5 })).await;
            assert_eq!(done.unwrap(), 5);
        });
    }
}
