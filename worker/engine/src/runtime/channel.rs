//! Channels: ordered, bounded in bytes, from one producing to one consuming subtask.
//!
//! A channel never refuses a message: the producer looks at [`Channel::has_room`] before it is
//! stepped, and one step's output is bounded, so a channel holds at most its capacity and one
//! step more. Control messages queue behind data and so keep their order.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::Message;
use crate::operator::Waker;

/// Called with the bytes that a consumer took: grants credit to a remote producer.
type Release = Box<dyn Fn(usize) + Send + Sync>;

/// A queue of messages between two subtasks of one process, or between a subtask and a
/// connection.
pub(crate) struct Channel {
    queue: Mutex<VecDeque<(Message, usize)>>,
    bytes: AtomicUsize,
    capacity: usize,
    consumer: OnceLock<Waker>,
    producer: OnceLock<Waker>,
    release: OnceLock<Release>,
}

impl Channel {
    /// An empty channel with room for `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            queue: Mutex::new(VecDeque::new()),
            bytes: AtomicUsize::new(0),
            capacity,
            consumer: OnceLock::new(),
            producer: OnceLock::new(),
            release: OnceLock::new(),
        }
    }

    /// Who is woken when a message arrives.
    pub(crate) fn set_consumer(&self, waker: Waker) {
        let _ = self.consumer.set(waker);
    }

    /// Who is woken when there is room again.
    pub(crate) fn set_producer(&self, waker: Waker) {
        let _ = self.producer.set(waker);
    }

    /// What is told how many bytes were taken.
    pub(crate) fn set_release(&self, release: Release) {
        let _ = self.release.set(release);
    }

    /// Whether the producer may be stepped.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Acquire) < self.capacity
    }

    /// Appends a message and wakes the consumer.
    pub(crate) fn push(&self, message: Message) {
        let bytes = match &message {
            Message::Data(batch) => batch.bytes(),
            _ => 0,
        };
        self.push_costing(message, bytes);
    }

    /// Appends a message whose size was fixed by its sender, so that both ends of a connection
    /// count the same credit.
    pub(crate) fn push_costing(&self, message: Message, bytes: usize) {
        {
            let mut queue = self.queue.lock();
            queue.push_back((message, bytes));
            self.bytes.fetch_add(bytes, Ordering::AcqRel);
        }
        if let Some(consumer) = self.consumer.get() {
            consumer.wake();
        }
    }

    /// Whether nothing waits to be taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.lock().is_empty()
    }

    /// Takes the oldest message; wakes the producer when this made room.
    pub(crate) fn pop(&self) -> Option<Message> {
        self.pop_costing().map(|(message, _)| message)
    }

    /// As [`Channel::pop`], with the size that was counted for the message.
    pub(crate) fn pop_costing(&self) -> Option<(Message, usize)> {
        let (message, bytes) = self.queue.lock().pop_front()?;
        if bytes > 0 {
            let before = self.bytes.fetch_sub(bytes, Ordering::AcqRel);
            if before >= self.capacity
                && before - bytes < self.capacity
                && let Some(producer) = self.producer.get()
            {
                producer.wake();
            }
            if let Some(release) = self.release.get() {
                release(bytes);
            }
        }
        Some((message, bytes))
    }

    /// Whether the oldest message needs credit to travel, `None` when there is no message.
    pub(crate) fn front_needs_credit(&self) -> Option<bool> {
        self.queue.lock().front().map(|(message, _)| matches!(message, Message::Data(_)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};

    use super::*;
    use crate::Batch;

    fn rows(n: i64) -> Message {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..n));
        let records = RecordBatch::try_from_iter([("a", column)]).expect("one column");
        Message::Data(Batch::new(records))
    }

    #[test]
    fn a_producer_is_woken_once_when_room_appears() {
        let channel = Channel::new(1000);
        let woken = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&woken);
        channel.set_producer(Waker::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        channel.push(rows(100));
        channel.push(rows(100));
        assert!(!channel.has_room());
        channel.pop();
        channel.pop();
        assert!(channel.has_room());
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }
}
