//! What the outside has of a task.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use weir_protocol::{Subtask, VertexId};

use crate::task::{OperatorShown, SplitReport, TaskCommand, TimeInState};

/// How long a task may go on before others get a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// On a thread: cheap steps are not worth a change of tasks.
    For(Duration),
    /// Where a seed decides everything, the speed of the machine must not.
    Steps(u32),
}

impl Turn {
    pub(super) fn is_over(self, steps: u32, began: std::time::Instant) -> bool {
        match self {
            Self::For(time) => began.elapsed() >= time,
            Self::Steps(most) => steps >= most,
        }
    }
}

/// What a task is told and what it shows, reachable while it is being stepped.
pub(crate) struct TaskHandle {
    pub(crate) vertex: VertexId,
    pub(crate) subtask: Subtask,
    pub(crate) commands: Mutex<VecDeque<TaskCommand>>,
    pub(crate) tick_due: AtomicBool,
    pub(crate) watermark: AtomicI64,
    pub(crate) remaining: AtomicU64,
    pub(crate) state_bytes: Mutex<Vec<usize>>,
    pub(crate) splits: Mutex<Vec<SplitReport>>,
    /// What somebody looks at; taken by whoever reports it.
    pub(crate) shown: Mutex<Vec<OperatorShown>>,
    time: Mutex<Spent>,
}

/// Where a task's time went.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    /// Microseconds by [`Slot`], up to where `current` begins.
    us: [u64; 4],
    /// What the task does or waits for, and since when.
    current: Option<(Instant, Slot)>,
}

/// What a task's time goes into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    Busy,
    Backpressured,
    Idle,
    Aligning,
}

impl TaskHandle {
    pub(crate) fn new(vertex: VertexId, subtask: Subtask) -> Self {
        Self {
            vertex,
            subtask,
            commands: Mutex::new(VecDeque::new()),
            tick_due: AtomicBool::new(false),
            watermark: AtomicI64::new(i64::MIN),
            remaining: AtomicU64::new(0),
            state_bytes: Mutex::new(Vec::new()),
            splits: Mutex::new(Vec::new()),
            shown: Mutex::new(Vec::new()),
            time: Mutex::default(),
        }
    }

    /// A turn begins: the task is busy, however long it takes.
    pub(crate) fn turn_began(&self, now: Instant) {
        self.enter(now, Some(Slot::Busy));
    }

    /// The turn is over; what the task waits for from now on.
    pub(crate) fn turn_ended(&self, now: Instant, then: Option<Slot>) {
        self.enter(now, then);
    }

    /// From now on time goes into `then`; what it went into until now is over.
    fn enter(&self, now: Instant, then: Option<Slot>) {
        let mut spent = self.time.lock();
        if let Some((since, slot)) = spent.current.take() {
            spent.us[slot as usize] += micros(now, since);
        }
        spent.current = then.map(|slot| (now, slot));
    }

    /// Where the task's time went until now.
    pub(crate) fn time_in_state(&self, now: Instant) -> TimeInState {
        let Spent { mut us, current } = *self.time.lock();
        if let Some((since, slot)) = current {
            us[slot as usize] += micros(now, since);
        }
        let [busy, backpressured, idle, aligning] = us;
        TimeInState { busy, backpressured, idle, aligning }
    }
}

fn micros(now: Instant, since: Instant) -> u64 {
    now.saturating_duration_since(since).as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::instant;

    #[test]
    fn what_a_task_waits_for_counts_while_it_waits() {
        let handle = TaskHandle::new(VertexId(0), Subtask(0));
        let (start, ms) = (instant(), Duration::from_millis);
        handle.turn_began(start);
        handle.turn_ended(start + ms(2), Some(Slot::Backpressured));
        let time = |at| handle.time_in_state(start + ms(at));
        assert_eq!((time(5).busy, time(5).backpressured), (2_000, 3_000));
        handle.turn_began(start + ms(9));
        // A turn counts while it is under way: one that never ends is seen.
        assert_eq!((time(20).busy, time(20).backpressured, time(20).idle), (13_000, 7_000, 0));
    }
}
