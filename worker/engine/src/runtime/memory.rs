//! Memory pools: what state may hold, accounted per task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use weir_protocol::Attempt;

use crate::EngineError;

/// Above this part of a pool, in hundredths, rows leave memory that segments hold as they are, and
/// then as many that the second part is in use.
const TRIM: (usize, usize) = (75, 60);

/// Above this part a checkpoint is asked for: what is not published cannot leave memory.
const UNPUBLISHED: usize = 30;

/// Above this part tasks that keep tables wait for a checkpoint to be published, as long as so much
/// is not that waiting can help.
const TIGHT: (usize, usize) = (80, 20);

/// This part may be held until a checkpoint is published, which then frees most of it.
const OVERDRAWN: usize = 125;

/// So many bytes more may be held while a barrier is on its way, and then until what is behind it is
/// published: rows in front of it cannot wait, and channels hold few of them.
const IN_FRONT: usize = 16 << 20;

/// A task reads no more than this part of a pool of stored rows at once, or so many bytes.
const READ_PART: usize = 64;
const LEAST_READ: usize = 256 << 10;

/// A limit that several tasks share.
#[derive(Debug)]
pub struct Pool {
    name: &'static str,
    used: AtomicUsize,
    unpublished: AtomicUsize,
    /// Of what is used, what is held beside the tasks.
    beside: AtomicUsize,
    limit: usize,
    trim_above: usize,
    read_bytes: usize,
    /// The newest attempt whose barrier has left a source of this process.
    attempt: AtomicU64,
}

impl Pool {
    /// A pool of `limit` bytes.
    #[must_use]
    pub fn new(name: &'static str, limit: usize) -> Self {
        Self {
            name,
            used: AtomicUsize::new(0),
            unpublished: AtomicUsize::new(0),
            beside: AtomicUsize::new(0),
            limit,
            trim_above: limit / 100 * TRIM.0,
            read_bytes: (limit / READ_PART).max(LEAST_READ),
            attempt: AtomicU64::new(0),
        }
    }

    /// Has rows leave memory above so many bytes, and be read back a few at a time, as tests want it.
    #[must_use]
    pub fn trimmed_above(self, bytes: usize) -> Self {
        Self { trim_above: bytes, read_bytes: bytes.clamp(LEAST_READ / 64, LEAST_READ), ..self }
    }

    /// Puts what someone holds now in place of what they held; gives what all hold.
    fn replace(&self, before: Held, now: Held) -> Held {
        let replace = |sum: &AtomicUsize, before, now| {
            sum.fetch_add(now, Ordering::Relaxed);
            sum.fetch_sub(before, Ordering::Relaxed) - before
        };
        Held {
            bytes: replace(&self.used, before.bytes, now.bytes),
            unpublished: replace(&self.unpublished, before.unpublished, now.unpublished),
        }
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes of stored rows that a task may read at once.
    pub(crate) fn read_bytes(&self) -> usize {
        self.read_bytes
    }

    /// The limit in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Counts bytes that are held beside the tasks. Nobody is refused here: tasks make room.
    #[must_use]
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Hold {
        Hold::new(self, Held { bytes, unpublished: 0 })
    }

    /// The same of state on its way to the store.
    #[must_use]
    pub fn hold_unpublished(self: &Arc<Self>, bytes: usize) -> Hold {
        Hold::new(self, Held { bytes, unpublished: bytes })
    }
}

/// Bytes that are held beside the tasks; given back when this is dropped.
#[derive(Debug)]
pub struct Hold {
    pool: Arc<Pool>,
    held: Held,
}

impl Hold {
    fn new(pool: &Arc<Pool>, held: Held) -> Self {
        pool.replace(Held::default(), held);
        pool.beside.fetch_add(held.bytes, Ordering::Relaxed);
        Self { pool: Arc::clone(pool), held }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.pool.replace(self.held, Held::default());
        self.pool.beside.fetch_sub(self.held.bytes, Ordering::Relaxed);
    }
}

/// Bytes that something holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Held {
    pub(crate) bytes: usize,
    /// Those of them that are of rows which no published checkpoint holds.
    pub(crate) unpublished: usize,
}

impl std::ops::Add for Held {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self { bytes: self.bytes + more.bytes, unpublished: self.unpublished + more.unpublished }
    }
}

/// One task's part of a pool; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    pool: Arc<Pool>,
    held: Held,
    /// The newest attempt whose barrier the task has passed on.
    passed: Attempt,
    /// Whether rows in front of a barrier took more than else they could.
    overdrew: bool,
}

impl Share {
    pub(crate) fn new(pool: Arc<Pool>) -> Self {
        Self { pool, held: Held::default(), passed: Attempt(0), overdrew: false }
    }

    /// How many of the bytes that the task holds now should leave memory, if any should: each task
    /// gives up the same part.
    pub(crate) fn surplus(&self, now: Held) -> Option<usize> {
        let Pool { limit, trim_above, .. } = *self.pool;
        let used = (self.pool.used() + now.bytes).saturating_sub(self.held.bytes);
        let goal = trim_above.min(limit / 100 * TRIM.1);
        (used > trim_above).then(|| {
            let part = (used - goal) as f64 / used as f64;
            (now.bytes as f64 * part) as usize
        })
    }

    /// The barrier of an attempt is on its way.
    pub(crate) fn attempt_began(&self, attempt: Attempt) {
        self.pool.attempt.fetch_max(attempt.0, Ordering::Relaxed);
    }

    /// The task has passed on the barrier of an attempt.
    pub(crate) fn barrier_passed(&mut self, attempt: Attempt) {
        self.passed = attempt;
    }

    /// Whether a barrier is on its way to the task.
    fn awaits_barrier(&self) -> bool {
        self.passed.0 < self.pool.attempt.load(Ordering::Relaxed)
    }

    /// Whether the task should wait for what is behind its last barrier to be published. Never while a
    /// barrier is on its way to the task: what is in front of it is bounded, and nothing would be
    /// published without it.
    pub(crate) fn should_wait(&self) -> bool {
        let Pool { used, unpublished, limit, .. } = &*self.pool;
        let part = |hundredths: usize| limit / 100 * hundredths;
        used.load(Ordering::Relaxed) > part(TIGHT.0)
            && unpublished.load(Ordering::Relaxed) > part(TIGHT.1)
            && !self.awaits_barrier()
    }

    /// Sets what the task holds now. Gives whether a checkpoint is wanted for what is not published.
    ///
    /// # Errors
    /// When all tasks together hold more than the pool's limit, and more than a checkpoint makes up
    /// for.
    pub(crate) fn set(&mut self, now: Held) -> Result<bool, EngineError> {
        let limit = self.pool.limit;
        let all = self.pool.replace(self.held, now);
        let tasks = all.bytes.saturating_sub(self.pool.beside.load(Ordering::Relaxed));
        let grew = now.bytes > self.held.bytes;
        self.held = now;
        // What a checkpoint is going to free makes up for what a batch at hand adds.
        let passes = all.unpublished > limit / 100 * TIGHT.1;
        let overdrawn = limit / 100 * OVERDRAWN;
        self.overdrew = passes && tasks > overdrawn && (self.overdrew || self.awaits_barrier());
        let most = match (passes, self.overdrew) {
            (true, true) => overdrawn + IN_FRONT,
            (true, false) => overdrawn,
            (false, _) => limit,
        };
        if grew && tasks > most {
            return Err(EngineError::user(format!(
                "{} needs {} MiB, above its limit of {} MiB; give the job more memory, more workers, or windows and keys that hold less",
                self.pool.name,
                tasks >> 20,
                limit >> 20
            )));
        }
        Ok(now.unpublished > 0 && all.unpublished > limit / 100 * UNPUBLISHED)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pool.replace(self.held, Held::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn held(bytes: usize, unpublished: usize) -> Held {
        Held { bytes: bytes * MIB, unpublished: unpublished * MIB }
    }

    #[test]
    fn tasks_give_up_the_same_part_once_the_pool_is_three_quarters_full() {
        let pool = Arc::new(Pool::new("state", 100 * MIB));
        let (mut one, mut other) = (Share::new(Arc::clone(&pool)), Share::new(pool));
        one.set(held(20, 0)).expect("within the limit");
        assert_eq!(other.surplus(held(50, 0)), None);
        other.set(held(60, 0)).expect("within the limit");
        let part = |share: &Share, bytes| share.surplus(held(bytes, 0)).expect("too much") / MIB;
        assert_eq!((part(&one, 20), part(&other, 60)), (5, 15));
    }

    #[test]
    fn a_checkpoint_is_wanted_of_whoever_holds_what_is_not_published() {
        let pool = Arc::new(Pool::new("state", 100 * MIB));
        let (mut one, mut other) = (Share::new(Arc::clone(&pool)), Share::new(pool));
        assert_eq!(one.set(held(29, 29)), Ok(false));
        assert_eq!(other.set(held(10, 0)), Ok(false));
        assert_eq!(other.set(held(12, 2)), Ok(true));
        assert_eq!(one.set(held(29, 0)), Ok(false), "it is published");
    }

    #[test]
    fn the_limit_is_overdrawn_only_by_what_a_checkpoint_frees() {
        let pool = Arc::new(Pool::new("state", 100 * MIB));
        let mut share = Share::new(pool);
        share.set(held(120, 60)).expect("most of it can leave");
        assert!(share.set(held(126, 60)).is_err());
        share.set(held(90, 10)).expect("within the limit");
        assert!(share.set(held(101, 10)).is_err(), "nothing can leave");
    }

    #[test]
    fn rows_in_front_of_a_barrier_find_room_until_it_has_passed() {
        let pool = Arc::new(Pool::new("state", 100 * MIB));
        let mut share = Share::new(pool);
        share.attempt_began(Attempt(1));
        share.set(held(140, 60)).expect("the barrier comes, and most of it can leave");
        assert!(share.set(held(142, 60)).is_err(), "nothing is in front of it for ever");
        share.set(held(140, 60)).expect("within the limit");
        share.barrier_passed(Attempt(1));
        share.set(held(141, 60)).expect("until it is published");
        share.attempt_began(Attempt(2));
        share.set(held(90, 60)).expect("within the limit");
        share.barrier_passed(Attempt(2));
        assert!(share.set(held(126, 60)).is_err());
        share.attempt_began(Attempt(3));
        assert!(share.set(held(127, 10)).is_err(), "nothing can leave");
    }

    #[test]
    fn what_is_held_beside_tasks_makes_them_give_way_until_it_is_dropped() {
        let pool = Arc::new(Pool::new("state", 100 * MIB));
        let mut share = Share::new(Arc::clone(&pool));
        share.set(held(60, 0)).expect("within the limit");
        let merge = pool.hold(20 * MIB);
        assert!(share.surplus(held(60, 0)).is_some());
        let upload = pool.hold_unpublished(25 * MIB);
        assert!(share.should_wait(), "for the upload");
        drop(upload);
        assert!(!share.should_wait());
        drop(merge);
        assert_eq!(share.surplus(held(60, 0)), None);
        assert_eq!(pool.used(), 60 * MIB);
    }

    #[test]
    fn a_task_waits_for_memory_only_behind_the_barrier_of_the_newest_attempt() {
        let pool = Arc::new(Pool::new("state", 100 * MIB));
        let mut share = Share::new(pool);
        share.set(held(79, 79)).expect("within the limit");
        assert!(!share.should_wait(), "there is room");
        share.set(held(85, 85)).expect("within the limit");
        assert!(share.should_wait());
        share.attempt_began(Attempt(3));
        share.barrier_passed(Attempt(2));
        assert!(!share.should_wait(), "its barrier is on its way");
        share.barrier_passed(Attempt(3));
        assert!(share.should_wait());
        share.set(held(85, 10)).expect("within the limit");
        assert!(!share.should_wait(), "to wait would not help");
    }
}
