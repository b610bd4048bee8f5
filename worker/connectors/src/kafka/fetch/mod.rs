//! Fetching on a thread of its own: librdkafka's calls block, and a task must not.
//!
//! What enters: partitions to read. What leaves: messages of one partition at a time, in order,
//! through a queue that is bounded in bytes. The task wakes the thread by taking, the thread
//! wakes the task by adding. Reading goes by `assign`, never by `subscribe`: the coordinator
//! decides who reads what, and no group protocol gets a say.

mod lost;
mod thread;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rdkafka::config::ClientConfig;
use weir_engine::EngineError;
use weir_engine::operator::Waker;

use super::batch::Messages;
use super::client::Subject;
use super::offsets::Position;
use thread::Thread;

/// Bytes of keys and values that may wait for the task. librdkafka holds as much again.
const QUEUE_BYTES: usize = 16 << 20;

/// Something for the task.
pub(super) enum Fetched {
    /// Messages of one split.
    Messages {
        /// The split's index.
        split: usize,
        /// They, in order.
        messages: Messages,
        /// Bytes of their keys and values.
        bytes: usize,
    },
    /// What is below this offset of the split has been given out before, or holds nothing that
    /// can be seen: marks of transactions, and rows of aborted ones.
    Reached {
        /// The split's index.
        split: usize,
        /// The next offset to read.
        offset: i64,
    },
    /// The split has been read to its end; nothing of it follows.
    End {
        /// The split's index.
        split: usize,
    },
}

#[derive(Default)]
struct State {
    fetched: VecDeque<Fetched>,
    /// How many of them are messages, by split.
    waiting: BTreeMap<usize, usize>,
    bytes: usize,
    added: Vec<(usize, Position)>,
    failed: Option<EngineError>,
    stop: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds [`Fetched::Reached`], behind everything of the split that waits. Two in a row are
    /// one, so that a task that does not take does not let them pile up.
    fn reach(&self, split: usize, offset: i64) {
        let mut state = self.lock();
        if state.stop {
            return;
        }
        let of_split = |fetched: &&mut Fetched| match fetched {
            Fetched::Messages { split: of, .. }
            | Fetched::Reached { split: of, .. }
            | Fetched::End { split: of } => *of == split,
        };
        match state.fetched.iter_mut().rev().find(of_split) {
            Some(Fetched::Reached { offset: last, .. }) => *last = offset,
            _ => state.fetched.push_back(Fetched::Reached { split, offset }),
        }
    }
}

/// The task's end of the queue. Dropping it stops the thread without waiting for it.
pub(super) struct Fetcher {
    shared: Arc<Shared>,
}

/// How to fetch.
pub(super) struct FetchPlan {
    /// The client's settings.
    pub(super) config: ClientConfig,
    /// For messages.
    pub(super) subject: Arc<Subject>,
    /// Go on at the first offset that is left when a position is gone.
    pub(super) skip_lost: bool,
}

impl Fetcher {
    /// Starts the thread. It connects to nothing before there is something to read.
    pub(super) fn start(plan: FetchPlan, waker: Waker) -> Result<Self, EngineError> {
        let shared = Arc::new(Shared::default());
        let thread = Thread::new(plan, Arc::clone(&shared), waker);
        std::thread::Builder::new()
            .name("kafka-fetch".into())
            .spawn(move || thread.run())
            .map_err(|error| EngineError::external(format!("cannot start a thread: {error}")))?;
        Ok(Self { shared })
    }

    /// Another split to read.
    pub(super) fn add(&self, split: usize, position: Position) {
        self.shared.lock().added.push((split, position));
        self.shared.changed.notify_one();
    }

    /// The next messages; none when there are none yet, and then the waker will be called.
    pub(super) fn take(&self) -> Result<Option<Fetched>, EngineError> {
        let mut state = self.shared.lock();
        match state.fetched.pop_front() {
            Some(fetched) => {
                if let Fetched::Messages { split, bytes, .. } = &fetched {
                    state.bytes -= bytes;
                    if let Some(waiting) = state.waiting.get_mut(split) {
                        *waiting -= 1;
                    }
                }
                drop(state);
                self.shared.changed.notify_one();
                Ok(Some(fetched))
            }
            None => match state.failed.clone() {
                Some(error) => Err(error),
                None => Ok(None),
            },
        }
    }

    /// Whether messages of a split wait to be taken.
    pub(super) fn holds(&self, split: usize) -> bool {
        self.shared.lock().waiting.get(&split).is_some_and(|&waiting| waiting > 0)
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        // Messages go first, so that the thread is the last to hold the consumer: closing it
        // takes time that a task does not have.
        let fetched = {
            let mut state = self.shared.lock();
            state.stop = true;
            std::mem::take(&mut state.fetched)
        };
        drop(fetched);
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reached_is_told_once_and_behind_what_was_read() {
        let shared = Arc::new(Shared::default());
        shared.lock().fetched.push_back(Fetched::End { split: 7 });
        for (split, offset) in [(0, 5), (1, 9), (0, 6), (7, 1)] {
            shared.reach(split, offset);
        }
        let fetcher = Fetcher { shared };
        let mut told = Vec::new();
        while let Some(fetched) = fetcher.take().unwrap() {
            told.push(match fetched {
                Fetched::Reached { split, offset } => (split, Some(offset)),
                Fetched::End { split } | Fetched::Messages { split, .. } => (split, None),
            });
        }
        assert_eq!(told, [(7, None), (0, Some(6)), (1, Some(9)), (7, Some(1))]);
    }
}
