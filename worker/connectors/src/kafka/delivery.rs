//! Sending messages and knowing when they have arrived.
//!
//! Every message belongs to a *generation*: those written between two barriers. A checkpoint
//! waits for its generation and all before it, while the next one is already being written. A
//! message that cannot be delivered fails the whole producer: the attempt ends, and what was
//! written since the last checkpoint is written again.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;
use weir_engine::EngineError;
use weir_engine::env::instant;
use weir_engine::operator::Waker;

use super::client::{
    Events, Meaning, PATIENCE, Subject, code_of, explain, explain_set_up, meaning,
};

/// What librdkafka and we keep per message besides its bytes; so that many empty messages
/// count as well.
const OVERHEAD: usize = 64;

/// Messages written between two barriers.
#[derive(Default)]
pub(super) struct Generation {
    open: AtomicU64,
    changed: Notify,
}

impl Generation {
    fn is_done(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }
}

/// What the producer's thread and the task share.
pub(super) struct Shared {
    events: Events,
    subject: Arc<Subject>,
    waker: Waker,
    /// Bytes on their way.
    bytes: AtomicUsize,
    /// Bytes that may be on their way while more is taken.
    limit: usize,
    failed: OnceLock<EngineError>,
    failure: Notify,
    /// Number of partitions, known once the cluster has been reached.
    partitions: OnceLock<i32>,
    topic: String,
    delivered: Mutex<Delivered>,
}

/// What has arrived; for the operator's counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Delivered {
    /// Messages.
    pub(super) rows: u64,
    /// Bytes of keys and values.
    pub(super) bytes: u64,
}

impl Shared {
    /// Fails for good; the first error counts.
    fn fail(&self, error: EngineError) {
        if self.failed.set(error).is_ok() {
            self.failure.notify_waiters();
            self.waker.wake();
        }
    }

    /// The error that ended it.
    pub(super) fn failed(&self) -> Option<EngineError> {
        self.failed.get().cloned()
    }

    /// Whether more may be sent: the cluster has been reached, and not too much is under way.
    pub(super) fn is_ready(&self) -> bool {
        self.partitions.get().is_some() && self.bytes.load(Ordering::Relaxed) < self.limit
    }

    /// Number of partitions of the topic; 1 before it is known.
    pub(super) fn partitions(&self) -> i32 {
        self.partitions.get().copied().unwrap_or(1)
    }

    fn explain(&self, doing: &str, error: &KafkaError) -> EngineError {
        let code = error.rdkafka_error_code();
        match self.events.last() {
            // What the client says of a message that it gave up on is only "timed out".
            Some((_, reason)) if code.is_none_or(|c| meaning(c) == Meaning::Passing) => {
                explain(&self.subject, doing, code, &format!("{error} ({reason})"))
            }
            _ => explain(&self.subject, doing, code, &error.to_string()),
        }
    }
}

/// Receives what becomes of messages.
struct Reports(Arc<Shared>);

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.events.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = code_of(&error, reason);
        if code.is_some_and(|code| meaning(code).is_refusal()) {
            let doing = format!("writing to topic '{}'", self.0.topic);
            self.0.fail(explain(&self.0.subject, &doing, code, reason));
        }
        self.0.events.error(error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Generation>;

    fn delivery(&self, result: &DeliveryResult<'_>, generation: Arc<Generation>) {
        let shared = &self.0;
        let message = match result {
            Ok(message) => message,
            Err((error, message)) => {
                let doing = format!("writing to topic '{}'", shared.topic);
                shared.fail(shared.explain(&doing, error));
                message
            }
        };
        let bytes = message.payload_len() + message.key_len();
        if result.is_ok() {
            let mut delivered = shared.delivered.lock().unwrap_or_else(PoisonError::into_inner);
            delivered.rows += 1;
            delivered.bytes += bytes as u64;
        }
        let weight = bytes + OVERHEAD;
        let before = shared.bytes.fetch_sub(weight, Ordering::AcqRel);
        if before >= shared.limit && before - weight < shared.limit {
            shared.waker.wake();
        }
        if generation.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            generation.changed.notify_waiters();
        }
    }
}

/// A message to send.
#[derive(Clone, Debug)]
pub(super) struct Outgoing<'a> {
    /// The key.
    pub(super) key: Option<&'a [u8]>,
    /// The value; `None` deletes the key.
    pub(super) value: Option<&'a [u8]>,
    /// A partition, when the client is not to choose one.
    pub(super) partition: Option<i32>,
    /// What stands beside the value.
    pub(super) headers: Option<OwnedHeaders>,
    /// Milliseconds since the epoch; the time of sending when absent.
    pub(super) timestamp_ms: Option<i64>,
}

/// Sends messages to one topic.
pub(super) struct Sender {
    /// Present until it is dropped, elsewhere.
    producer: Option<ThreadedProducer<Reports>>,
    shared: Arc<Shared>,
    current: Arc<Generation>,
    /// Generations that were closed by a barrier and perhaps still have messages under way.
    closed: Vec<Arc<Generation>>,
    io: tokio::runtime::Handle,
}

impl Sender {
    /// Starts the producer and, on `io`, looks for the topic: until it has been found,
    /// [`Shared::is_ready`] is false.
    pub(super) fn start(
        config: &ClientConfig,
        subject: Arc<Subject>,
        topic: &str,
        limit: usize,
        waker: Waker,
        io: &tokio::runtime::Handle,
    ) -> Result<Self, EngineError> {
        let shared = Arc::new(Shared {
            events: Events::new(Arc::clone(&subject)),
            subject: Arc::clone(&subject),
            waker,
            bytes: AtomicUsize::new(0),
            limit,
            failed: OnceLock::new(),
            failure: Notify::new(),
            partitions: OnceLock::new(),
            topic: topic.to_owned(),
            delivered: Mutex::default(),
        });
        let producer: ThreadedProducer<Reports> = config
            .create_with_context(Reports(Arc::clone(&shared)))
            .map_err(|error| explain_set_up(&subject, "producer", config, &error))?;
        io.spawn_blocking({
            let (producer, shared) = (producer.clone(), Arc::clone(&shared));
            move || look_up(&producer, &shared)
        });
        Ok(Self {
            producer: Some(producer),
            shared,
            current: Arc::default(),
            closed: Vec::new(),
            io: io.clone(),
        })
    }

    /// What is shared with the producer's thread.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What has arrived since the last call.
    pub(super) fn take_delivered(&self) -> Delivered {
        std::mem::take(&mut self.shared.delivered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands a message over; its bytes are copied. Never blocks.
    pub(super) fn send(&self, message: Outgoing<'_>) -> Result<(), EngineError> {
        let Some(producer) = &self.producer else {
            return Err(EngineError::internal("a Kafka producer is used after its end"));
        };
        let generation = Arc::clone(&self.current);
        let mut record = BaseRecord::<[u8], [u8], Arc<Generation>>::with_opaque_to(
            &self.shared.topic,
            Arc::clone(&generation),
        );
        record.key = message.key;
        record.payload = message.value;
        record.partition = message.partition;
        record.timestamp = message.timestamp_ms;
        record.headers = message.headers;
        let weight =
            message.key.map_or(0, <[u8]>::len) + message.value.map_or(0, <[u8]>::len) + OVERHEAD;
        // Counted before it is handed over: its report may come before this call returns.
        generation.open.fetch_add(1, Ordering::AcqRel);
        self.shared.bytes.fetch_add(weight, Ordering::AcqRel);
        producer.send(record).map_err(|(error, _)| {
            generation.open.fetch_sub(1, Ordering::AcqRel);
            self.shared.bytes.fetch_sub(weight, Ordering::AcqRel);
            let doing = format!("writing to topic '{}'", self.shared.topic);
            let error = match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => EngineError::user(format!(
                    "table '{}': {doing}: a row of {} bytes is larger than 'properties.max.request.size' allows; raise it, and 'max.message.bytes' of the topic",
                    self.shared.subject.table,
                    weight - OVERHEAD
                )),
                _ => self.shared.explain(&doing, &error),
            };
            self.shared.fail(error.clone());
            error
        })
    }

    /// Closes the generation. The future ends when everything sent so far has arrived.
    pub(super) fn barrier(
        &mut self,
    ) -> impl Future<Output = Result<(), EngineError>> + Send + use<> {
        let generation = std::mem::take(&mut self.current);
        self.closed.retain(|generation| !generation.is_done());
        self.closed.push(generation);
        let waited = self.closed.clone();
        let shared = Arc::clone(&self.shared);
        async move {
            for generation in waited {
                loop {
                    // Registered before looking, or a change in between would be missed.
                    let changed = generation.changed.notified();
                    let failure = shared.failure.notified();
                    tokio::pin!(changed, failure);
                    changed.as_mut().enable();
                    failure.as_mut().enable();
                    if let Some(error) = shared.failed() {
                        return Err(error);
                    }
                    if generation.is_done() {
                        break;
                    }
                    tokio::select! {
                        () = changed => {}
                        () = failure => {}
                    }
                }
            }
            shared.failed().map_or(Ok(()), Err)
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // Ending a producer waits for its thread, which a task must not.
        if let Some(producer) = self.producer.take() {
            self.io.spawn_blocking(move || drop(producer));
        }
    }
}

fn look_up(producer: &ThreadedProducer<Reports>, shared: &Shared) {
    let start = instant();
    let doing = format!("looking for topic '{}'", shared.topic);
    loop {
        let answer =
            producer.client().fetch_metadata(Some(&shared.topic), Duration::from_millis(1500));
        let error = match &answer {
            Ok(metadata) => match metadata.topics().first() {
                Some(topic) => match topic.error() {
                    None => {
                        let count = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
                        if count > 0 {
                            // A second call never happens: this is the only place that sets it.
                            let _ = shared.partitions.set(count);
                            shared.waker.wake();
                            return;
                        }
                        KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable)
                    }
                    Some(error) => KafkaError::MetadataFetch(error.into()),
                },
                None => KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition),
            },
            Err(error) => error.clone(),
        };
        if shared.failed().is_some() {
            return;
        }
        let passing = error.rdkafka_error_code().is_none_or(|c| meaning(c) == Meaning::Passing);
        // A broker that creates topics on demand first says that there is none.
        let patience = if passing { PATIENCE } else { Duration::from_secs(3) };
        if start.elapsed() >= patience {
            shared.fail(shared.explain(&doing, &error));
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
