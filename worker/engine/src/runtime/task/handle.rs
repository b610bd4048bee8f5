//! What the outside has of a task.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use weir_protocol::{Subtask, VertexId};

use crate::task::{TaskCommand, TimeInState};

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
    pub(crate) time: [AtomicU64; 4],
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
            time: Default::default(),
        }
    }

    pub(crate) fn time_in_state(&self) -> TimeInState {
        let [busy, backpressured, idle, aligning] = &self.time;
        TimeInState {
            busy: busy.load(Ordering::Relaxed),
            backpressured: backpressured.load(Ordering::Relaxed),
            idle: idle.load(Ordering::Relaxed),
            aligning: aligning.load(Ordering::Relaxed),
        }
    }
}
