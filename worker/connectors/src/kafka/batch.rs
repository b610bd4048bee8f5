//! Reading a whole batch of messages with one call into librdkafka.
//!
//! The only module of this crate with `unsafe` code. It exists because the safe binding hands
//! out one message per call, each through an event object of its own, which costs half as much
//! again per row as `rd_kafka_consume_batch_queue`. What is relied on, from librdkafka's header:
//!
//! - a consumer's handle may be used from any thread;
//! - a message belongs to the caller until `rd_kafka_message_destroy`, which may be called on any
//!   thread, and everything that it points to lives as long;
//! - handle and queues outlive the messages. [`Messages`] holds the consumer, and its fields
//!   are dropped in that order.
//!
//! Messages come from a queue of our own, to which the partitions' queues are forwarded. So log
//! lines and global errors stay on the consumer's queue, where the safe binding handles them.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

use super::client::Events;

/// A consumer with a queue for its messages.
pub(super) struct BatchConsumer {
    queue: NonNull<sys::rd_kafka_queue_t>,
    consumer: BaseConsumer<Events>,
}

// SAFETY: librdkafka's handles and queues may be used from any thread at the same time.
unsafe impl Send for BatchConsumer {}
// SAFETY: as above.
unsafe impl Sync for BatchConsumer {}

impl BatchConsumer {
    /// Wraps a consumer; `None` when librdkafka gives no queue, which is when memory is out.
    pub(super) fn new(consumer: BaseConsumer<Events>) -> Option<Self> {
        // SAFETY: the handle is valid as long as `consumer`, which is kept beside the queue.
        let queue = unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) };
        Some(Self { queue: NonNull::new(queue)?, consumer })
    }

    /// The consumer, for everything else.
    pub(super) fn consumer(&self) -> &BaseConsumer<Events> {
        &self.consumer
    }

    /// Sends a partition's messages to the queue. To be called before it is assigned, since
    /// messages fetched earlier stay where they are. `false`: no such partition can be named.
    pub(super) fn forward(&self, topic: &str, partition: i32) -> bool {
        let Ok(topic) = CString::new(topic) else { return false };
        // SAFETY: the handle is valid, the name is NUL-terminated and copied by the callee. The
        // partition's queue is our reference and released here; forwarding holds its own.
        unsafe {
            let from = sys::rd_kafka_queue_get_partition(
                self.consumer.client().native_ptr(),
                topic.as_ptr(),
                partition,
            );
            if from.is_null() {
                return false;
            }
            sys::rd_kafka_queue_forward(from, self.queue.as_ptr());
            sys::rd_kafka_queue_destroy(from);
        }
        true
    }

    /// Appends up to `most` messages to `into`, waiting no longer than `wait` for the last of
    /// them. Messages of one partition keep their order.
    pub(super) fn consume(&self, most: usize, wait: Duration, into: &mut Vec<Message>) -> usize {
        let mut found: Vec<*mut sys::rd_kafka_message_t> = vec![ptr::null_mut(); most];
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is valid, and `found` has room for `most` pointers.
        let count = unsafe {
            sys::rd_kafka_consume_batch_queue(
                self.queue.as_ptr(),
                wait_ms,
                found.as_mut_ptr(),
                found.len(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        into.extend(found[..count].iter().filter_map(|&m| NonNull::new(m).map(Message)));
        count
    }
}

impl Drop for BatchConsumer {
    fn drop(&mut self) {
        // SAFETY: our reference, released once, while the consumer still lives: a type's own
        // drop runs before that of its fields.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// A message, or an error about a partition.
pub(super) struct Message(NonNull<sys::rd_kafka_message_t>);

// SAFETY: a message is owned by whoever holds it; librdkafka counts its references atomically.
unsafe impl Send for Message {}

/// How a message came by its timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TimestampType {
    /// It has none.
    Absent,
    /// From the producer.
    Create,
    /// From the broker.
    LogAppend,
}

impl TimestampType {
    /// The name that Kafka's clients use.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Absent => "NoTimestampType",
            Self::Create => "CreateTime",
            Self::LogAppend => "LogAppendTime",
        }
    }
}

impl Message {
    fn raw(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: the pointer is valid and unchanged until the message is destroyed in `drop`.
        unsafe { self.0.as_ref() }
    }

    /// The error that this is instead of a message.
    pub(super) fn error(&self) -> Option<RDKafkaErrorCode> {
        match self.raw().err {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => None,
            error => Some(error.into()),
        }
    }

    /// The error's text.
    pub(super) fn error_text(&self) -> String {
        // SAFETY: the message is valid, and so is the text as long as the message.
        unsafe {
            let text = sys::rd_kafka_message_errstr(self.0.as_ptr());
            if text.is_null() {
                String::new()
            } else {
                CStr::from_ptr(text).to_string_lossy().into_owned()
            }
        }
    }

    /// Where it comes from, cheap to compare; equal for all messages of a partition as long as
    /// the consumer lives.
    pub(super) fn source(&self) -> (usize, i32) {
        (self.raw().rkt.addr(), self.raw().partition)
    }

    /// The topic's name; empty for an error that concerns none.
    pub(super) fn topic(&self) -> String {
        let topic = self.raw().rkt;
        if topic.is_null() {
            return String::new();
        }
        // SAFETY: the topic lives as long as the message, and its name as long as the topic.
        unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(topic)).to_string_lossy().into_owned() }
    }

    /// The partition's number.
    pub(super) fn partition(&self) -> i32 {
        self.raw().partition
    }

    /// The message's offset; for an error about a position, that position.
    pub(super) fn offset(&self) -> i64 {
        self.raw().offset
    }

    /// The value; `None` for a tombstone.
    pub(super) fn value(&self) -> Option<&[u8]> {
        let raw = self.raw();
        // SAFETY: pointer and length describe one buffer that lives as long as the message.
        unsafe { bytes(raw.payload.cast(), raw.len) }
    }

    /// The key.
    pub(super) fn key(&self) -> Option<&[u8]> {
        let raw = self.raw();
        // SAFETY: as for the value.
        unsafe { bytes(raw.key.cast(), raw.key_len) }
    }

    /// Milliseconds since the epoch and what they are; `None` where the message has none.
    pub(super) fn timestamp(&self) -> (Option<i64>, TimestampType) {
        use sys::rd_kafka_timestamp_type_t as native;
        let mut kind = native::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid, `kind` is written during the call only.
        let ms = unsafe { sys::rd_kafka_message_timestamp(self.0.as_ptr(), &raw mut kind) };
        match kind {
            native::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => (None, TimestampType::Absent),
            native::RD_KAFKA_TIMESTAMP_CREATE_TIME => (Some(ms), TimestampType::Create),
            native::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => (Some(ms), TimestampType::LogAppend),
        }
    }

    /// Its headers, in order; a name that is no UTF-8 is shown as far as it is.
    pub(super) fn headers(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let mut all = std::ptr::null_mut();
        // SAFETY: the message is valid; `all` is written during the call only, and what it then
        // points to belongs to the message.
        let answer = unsafe { sys::rd_kafka_message_headers(self.0.as_ptr(), &raw mut all) };
        let mut headers = Vec::new();
        if answer != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return headers;
        }
        loop {
            let (mut name, mut value, mut length) = (std::ptr::null(), std::ptr::null(), 0);
            // SAFETY: `all` is the message's list of headers, and the others are written during the
            // call only.
            let answer = unsafe {
                sys::rd_kafka_header_get_all(
                    all,
                    headers.len(),
                    &raw mut name,
                    &raw mut value,
                    &raw mut length,
                )
            };
            if answer != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return headers;
            }
            // SAFETY: a header's name ends in zero, and its value has the length that was given; both
            // live as long as the message.
            let (name, value) =
                unsafe { (CStr::from_ptr(name), bytes(value.cast::<u8>(), length)) };
            headers.push((name.to_string_lossy().into_owned(), value.map(<[u8]>::to_vec)));
        }
    }

    /// The epoch of the leader that wrote it, where the broker tells.
    pub(super) fn leader_epoch(&self) -> Option<i32> {
        // SAFETY: the message is valid.
        let epoch = unsafe { sys::rd_kafka_message_leader_epoch(self.0.as_ptr()) };
        (epoch >= 0).then_some(epoch)
    }
}

/// # Safety
/// `start` is null, or the start of `length` bytes that live as long as `'a`.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    NonNull::new(start.cast_mut())
        .map(|start| unsafe { std::slice::from_raw_parts(start.as_ptr(), length) })
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: owned, and destroyed once.
        unsafe { sys::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

/// Messages of one partition in order, with the consumer that they live in.
pub(super) struct Messages {
    list: Vec<Message>,
    _consumer: Arc<BatchConsumer>,
}

impl Messages {
    /// Ties messages to their consumer.
    pub(super) fn new(list: Vec<Message>, consumer: Arc<BatchConsumer>) -> Self {
        Self { list, _consumer: consumer }
    }

    /// The messages.
    pub(super) fn list(&self) -> &[Message] {
        &self.list
    }
}
