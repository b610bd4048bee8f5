//! Steps tasks: on a fixed number of threads, or one step at a time under a simulator's seed.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::mpsc::UnboundedSender;

use super::task::{Blocked, Task, TaskHandle, Turn};
use crate::EngineError;
use crate::operator::Waker;
use crate::task::TaskEvent;

/// A turn on a thread.
const ON_A_THREAD: Turn = Turn::For(Duration::from_millis(2));
/// A turn under a simulator.
const STEPPED: Turn = Turn::Steps(8);

/// Nothing to do until somebody wakes it.
const RESTING: u8 = 0;
/// In the queue.
const QUEUED: u8 = 1;
/// On a thread.
const RUNNING: u8 = 2;
/// On a thread, and woken meanwhile.
const RUNNING_AND_WOKEN: u8 = 3;
/// Never to be stepped again.
const STOPPED: u8 = 4;

/// A task and where it stands with the executor.
pub(crate) struct Cell {
    state: AtomicU8,
    pub(crate) handle: Arc<TaskHandle>,
    task: Mutex<Option<Task>>,
    events: UnboundedSender<TaskEvent>,
}

/// The tasks that want to be stepped, and who steps them.
#[derive(Clone)]
pub struct Executor {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<VecDeque<Arc<Cell>>>,
    wanted: Condvar,
    closed: AtomicBool,
    turn: Turn,
}

impl Executor {
    /// An executor with `threads` threads of its own.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn threaded(threads: usize) -> std::io::Result<Self> {
        let executor = Self::with_turns(ON_A_THREAD);
        for n in 0..threads.max(1) {
            let shared = Arc::clone(&executor.shared);
            std::thread::Builder::new().name(format!("weir-task-{n}")).spawn(move || {
                while let Some(cell) = shared.wait_for_one() {
                    shared.step(&cell);
                }
            })?;
        }
        Ok(executor)
    }

    /// An executor without threads: whoever holds it calls [`Executor::step_one`].
    #[must_use]
    pub fn stepped() -> Self {
        Self::with_turns(STEPPED)
    }

    fn with_turns(turn: Turn) -> Self {
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::new(VecDeque::new()),
                wanted: Condvar::new(),
                closed: AtomicBool::new(false),
                turn,
            }),
        }
    }

    /// How many tasks want to be stepped.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.shared.queue.lock().len()
    }

    /// Gives a turn to the `choice`-th (modulo their number) of the tasks that want one;
    /// `false` when there is none.
    pub fn step_one(&self, choice: usize) -> bool {
        let cell = {
            let mut queue = self.shared.queue.lock();
            let n = queue.len();
            if n == 0 { None } else { queue.remove(choice % n) }
        };
        let Some(cell) = cell else { return false };
        self.shared.step(&cell);
        true
    }

    /// A cell for a task that does not exist yet: its waker is needed to build it.
    pub(crate) fn cell(
        &self,
        handle: Arc<TaskHandle>,
        events: UnboundedSender<TaskEvent>,
    ) -> Arc<Cell> {
        Arc::new(Cell { state: AtomicU8::new(RUNNING), handle, task: Mutex::new(None), events })
    }

    /// Wakes the cell's task.
    pub(crate) fn waker(&self, cell: &Arc<Cell>) -> Waker {
        let shared = Arc::clone(&self.shared);
        // Weak: a task holds its own waker through its channels.
        let cell = Arc::downgrade(cell);
        Waker::new(move || {
            if let Some(cell) = cell.upgrade() {
                shared.wake(&cell);
            }
        })
    }

    /// Puts the task into its cell and gives it a first turn.
    pub(crate) fn start(&self, cell: &Arc<Cell>, task: Task) {
        *cell.task.lock() = Some(task);
        cell.state.store(RESTING, Ordering::Release);
        self.shared.wake(cell);
    }

    /// Wakes a task from outside.
    pub(crate) fn wake(&self, cell: &Arc<Cell>) {
        self.shared.wake(cell);
    }

    /// Ends a task: waits for its turn to be over, then drops it.
    pub(crate) fn stop(&self, cell: &Arc<Cell>) {
        cell.state.store(STOPPED, Ordering::Release);
        drop(cell.task.lock().take());
    }

    /// Lets the threads end once they have nothing to do.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.wanted.notify_all();
    }
}

impl Shared {
    fn wait_for_one(&self) -> Option<Arc<Cell>> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(cell) = queue.pop_front() {
                return Some(cell);
            }
            if self.closed.load(Ordering::Acquire) {
                return None;
            }
            self.wanted.wait(&mut queue);
        }
    }

    fn wake(&self, cell: &Arc<Cell>) {
        let changed = cell.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |s| match s {
            RESTING => Some(QUEUED),
            RUNNING => Some(RUNNING_AND_WOKEN),
            _ => None,
        });
        if changed == Ok(RESTING) {
            self.enqueue(cell);
        }
    }

    fn enqueue(&self, cell: &Arc<Cell>) {
        self.queue.lock().push_back(Arc::clone(cell));
        self.wanted.notify_one();
    }

    fn step(&self, cell: &Arc<Cell>) {
        let mut slot = cell.task.lock();
        if cell
            .state
            .compare_exchange(QUEUED, RUNNING, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            return;
        }
        let Some(task) = slot.as_mut() else { return };
        // A panic in a kernel or a user's function ends the attempt, not the process.
        let turn = || task.run(self.turn);
        let (why, alive) = catch_unwind(AssertUnwindSafe(turn)).unwrap_or_else(|panic| {
            let what = panic
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            let _ = cell.events.send(TaskEvent::Failed {
                vertex: cell.handle.vertex,
                subtask: cell.handle.subtask,
                error: EngineError::internal(format!("a task broke off: {what}")),
            });
            (Blocked::Idle, false)
        });
        drop(slot);
        if !alive {
            cell.state.store(STOPPED, Ordering::Release);
            return;
        }
        let again = why == Blocked::Yielded;
        let next = cell.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |s| match s {
            RUNNING if !again => Some(RESTING),
            RUNNING | RUNNING_AND_WOKEN => Some(QUEUED),
            _ => None,
        });
        match next {
            Ok(RUNNING) if !again => {}
            Ok(_) => self.enqueue(cell),
            Err(_) => {}
        }
    }
}
