//! Memory pools: what state may hold, accounted per task.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::EngineError;

/// A limit that several tasks share.
#[derive(Debug)]
pub struct Pool {
    name: &'static str,
    used: AtomicUsize,
    limit: usize,
    /// Above this, rows leave memory that segments hold as they are.
    trim_above: usize,
}

/// Rows leave memory above this part of a pool, in hundredths, and then as many that this part is
/// in use.
const TRIM: (usize, usize) = (75, 60);

impl Pool {
    /// A pool of `limit` bytes.
    #[must_use]
    pub fn new(name: &'static str, limit: usize) -> Self {
        let trim_above = limit / 100 * TRIM.0;
        Self { name, used: AtomicUsize::new(0), limit, trim_above }
    }

    /// Has rows leave memory above so many bytes, as tests want it.
    #[must_use]
    pub fn trimmed_above(self, bytes: usize) -> Self {
        Self { trim_above: bytes, ..self }
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The limit in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }
}

/// One task's part of a pool; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    pool: std::sync::Arc<Pool>,
    bytes: usize,
}

impl Share {
    pub(crate) fn new(pool: std::sync::Arc<Pool>) -> Self {
        Self { pool, bytes: 0 }
    }

    /// How many of the bytes that the task holds now should leave memory, if any should: each task
    /// gives up the same part.
    pub(crate) fn surplus(&self, bytes: usize) -> Option<usize> {
        let Pool { limit, trim_above, .. } = *self.pool;
        let used = self.pool.used() - self.bytes + bytes;
        let goal = trim_above.min(limit / 100 * TRIM.1);
        (used > trim_above).then(|| {
            let part = (used - goal) as f64 / used as f64;
            (bytes as f64 * part) as usize
        })
    }

    /// Sets what the task holds now.
    ///
    /// # Errors
    /// When all tasks together hold more than the pool's limit.
    pub(crate) fn set(&mut self, bytes: usize) -> Result<(), EngineError> {
        self.pool.used.fetch_add(bytes, Ordering::Relaxed);
        let used = self.pool.used.fetch_sub(self.bytes, Ordering::Relaxed) - self.bytes;
        let grew = bytes > self.bytes;
        self.bytes = bytes;
        if grew && used > self.pool.limit {
            return Err(EngineError::user(format!(
                "{} needs {} MiB, above its limit of {} MiB; give the job more memory, more workers, or windows and keys that hold less",
                self.pool.name,
                used >> 20,
                self.pool.limit >> 20
            )));
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pool.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
