//! The thread: asks librdkafka, sorts messages by split, and waits where the queue is full.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use weir_engine::EngineError;
use weir_engine::env::instant;
use weir_engine::operator::Waker;

use super::lost::{Lost, decide_lost};
use super::{FetchPlan, Fetched, QUEUE_BYTES, Shared};
use crate::kafka::batch::{BatchConsumer, Message, Messages};
use crate::kafka::client::{Events, Meaning, explain, explain_set_up, meaning};
use crate::kafka::offsets::{Followed, Position};

/// Messages of one batch: what one call to the source's `poll` decodes.
const BATCH_ROWS: usize = 8192;
/// How long the thread sleeps at most while nothing arrives.
const IDLE: Duration = Duration::from_millis(50);
/// How long it waits for a batch to fill up once something has arrived.
const FILL: Duration = Duration::from_millis(2);
/// How often positions are looked at while messages keep coming.
const FOLLOW: Duration = Duration::from_millis(20);
/// Requests about lost positions, which are asked while others wait.
const ASK: Duration = Duration::from_secs(10);

struct Reading {
    /// The next offset, as handed out.
    position: Position,
}

/// What the thread holds.
pub(super) struct Thread {
    plan: FetchPlan,
    shared: Arc<Shared>,
    waker: Waker,
    consumer: Option<Arc<BatchConsumer>>,
    splits: BTreeMap<usize, Reading>,
    /// Which split a message's source is, filled as messages come.
    sources: HashMap<(usize, i32), usize>,
}

/// What woke the thread up.
enum Next {
    Stop,
    Read,
}

impl Thread {
    /// A thread that is connected to nothing yet.
    pub(super) fn new(plan: FetchPlan, shared: Arc<Shared>, waker: Waker) -> Self {
        let (splits, sources) = (BTreeMap::new(), HashMap::new());
        Self { plan, shared, waker, consumer: None, splits, sources }
    }

    /// Fetches until the task's end is dropped, or until it cannot go on.
    pub(super) fn run(mut self) {
        // A thread that is gone would look like a topic without rows.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.serve()))
            .unwrap_or_else(|_| Err(EngineError::internal("the thread that reads Kafka panicked")));
        if let Err(error) = outcome {
            self.shared.lock().failed = Some(error);
            self.waker.wake();
            // Whoever reads the error drops the fetcher.
            let mut state = self.shared.lock();
            while !state.stop {
                state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn serve(&mut self) -> Result<(), EngineError> {
        let mut messages = Vec::with_capacity(BATCH_ROWS);
        let mut followed = instant();
        loop {
            match self.wait()? {
                Next::Stop => return Ok(()),
                Next::Read => {}
            }
            let Some(consumer) = self.consumer.clone() else { continue };
            self.serve_events(&consumer)?;
            let mut count = consumer.consume(BATCH_ROWS, Duration::ZERO, &mut messages);
            if count == 0 {
                count = consumer.consume(1, IDLE, &mut messages);
            }
            if count > 0 && count < BATCH_ROWS / 2 {
                consumer.consume(BATCH_ROWS - count, FILL, &mut messages);
            }
            if count > 0 {
                self.hand_out(&consumer, &mut messages)?;
            }
            // Also beside a partition that never rests. Another consumer knows no positions yet.
            let same = self.consumer.as_ref().is_some_and(|now| Arc::ptr_eq(now, &consumer));
            if same && (count == 0 || followed.elapsed() >= FOLLOW) {
                self.follow(&consumer)?;
                followed = instant();
            }
        }
    }

    /// Waits for room in the queue and takes on new splits.
    fn wait(&mut self) -> Result<Next, EngineError> {
        let added = {
            let mut state = self.shared.lock();
            loop {
                if state.stop {
                    return Ok(Next::Stop);
                }
                let room = state.bytes < QUEUE_BYTES && !self.splits.is_empty();
                if room || !state.added.is_empty() {
                    break std::mem::take(&mut state.added);
                }
                state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        };
        if !added.is_empty() {
            for (split, position) in &added {
                self.splits.insert(*split, Reading { position: position.clone() });
            }
            self.assign(added.into_iter().map(|(split, _)| split).collect())?;
        }
        Ok(Next::Read)
    }

    fn consumer(&mut self) -> Result<Arc<BatchConsumer>, EngineError> {
        if let Some(consumer) = &self.consumer {
            return Ok(Arc::clone(consumer));
        }
        let subject = &self.plan.subject;
        let consumer = self
            .plan
            .config
            .create_with_context(Events::new(Arc::clone(subject)))
            .map_err(|error| explain_set_up(subject, "consumer", &self.plan.config, &error))?;
        let consumer = BatchConsumer::new(consumer).ok_or_else(|| {
            explain(subject, "setting up a Kafka consumer", None, "out of memory")
        })?;
        let consumer = Arc::new(consumer);
        self.consumer = Some(Arc::clone(&consumer));
        Ok(consumer)
    }

    fn assign(&mut self, splits: Vec<usize>) -> Result<(), EngineError> {
        let consumer = self.consumer()?;
        let mut list = TopicPartitionList::with_capacity(splits.len());
        for split in splits {
            let Some(Reading { position }) = self.splits.get(&split) else { continue };
            let (topic, partition) = (&position.topic, position.partition);
            let named = consumer.forward(topic, partition);
            let added =
                list.add_partition_offset(topic, partition, Offset::Offset(position.offset));
            if !named || added.is_err() {
                return Err(EngineError::internal(format!(
                    "table '{}': '{}' at {} cannot be assigned",
                    self.plan.subject.table,
                    position.split_id(),
                    position.offset
                )));
            }
        }
        consumer.consumer().incremental_assign(&list).map_err(|error| {
            explain(
                &self.plan.subject,
                "assigning partitions",
                error.rdkafka_error_code(),
                &error.to_string(),
            )
        })
    }

    /// Log lines and errors that concern no partition.
    fn serve_events(&self, consumer: &BatchConsumer) -> Result<(), EngineError> {
        for _ in 0..64 {
            match consumer.consumer().poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => {
                    drop(message);
                    // Would be lost: partitions are forwarded before they are assigned.
                    return Err(EngineError::internal(
                        "a Kafka message came in by the wrong queue",
                    ));
                }
                // Reading needs no group: only showing positions does.
                Some(Err(error))
                    if error.rdkafka_error_code()
                        == Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {}
                Some(Err(error)) => {
                    let code = error.rdkafka_error_code();
                    match code.map_or(Meaning::End, meaning) {
                        Meaning::Passing | Meaning::End | Meaning::Other => {
                            tracing::debug!(target: "weir::kafka", "{error}");
                        }
                        Meaning::Credentials
                        | Meaning::Tls
                        | Meaning::Forbidden
                        | Meaning::Missing
                        | Meaning::LostPosition => {
                            let last = consumer.consumer().client().context().last();
                            let reason = last.map_or_else(|| error.to_string(), |(_, why)| why);
                            return Err(explain(&self.plan.subject, "reading", code, &reason));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Sorts messages by split and passes them on, in order.
    fn hand_out(
        &mut self,
        consumer: &Arc<BatchConsumer>,
        messages: &mut Vec<Message>,
    ) -> Result<(), EngineError> {
        let mut groups: Vec<(usize, Vec<Message>)> = Vec::new();
        let mut ended = Vec::new();
        let mut lost = false;
        let mut last = None;
        for message in messages.drain(..) {
            if message.error().is_some() {
                match self.on_error(consumer, &message)? {
                    Errored::Ignored => {}
                    Errored::Ended(split) => ended.push(split),
                    Errored::Moved => lost = true,
                }
                continue;
            }
            let source = message.source();
            let split = match last {
                Some((known, split)) if known == source => Some(split),
                _ => self.split_of(&message),
            };
            // A split that has ended may still have rows on the way.
            let Some(split) = split else { continue };
            last = Some((source, split));
            match groups.iter_mut().find(|(known, _)| *known == split) {
                Some((_, group)) => group.push(message),
                None => groups.push((split, vec![message])),
            }
        }
        for (split, group) in groups {
            if self.pass_on(consumer, split, group) {
                ended.push(split);
            }
        }
        for split in ended {
            self.end(consumer, split)?;
        }
        if lost {
            self.start_over()?;
        }
        Ok(())
    }

    fn split_of(&mut self, message: &Message) -> Option<usize> {
        if let Some(split) = self.sources.get(&message.source()) {
            return Some(*split);
        }
        let split = self.split_named(&message.topic(), message.partition())?;
        self.sources.insert(message.source(), split);
        Some(split)
    }

    fn split_named(&self, topic: &str, partition: i32) -> Option<usize> {
        self.splits
            .iter()
            .find(|(_, r)| r.position.partition == partition && r.position.topic == topic)
            .map(|(split, _)| *split)
    }

    /// Puts a split's messages into the queue; whether its end has been reached.
    fn pass_on(
        &mut self,
        consumer: &Arc<BatchConsumer>,
        split: usize,
        mut group: Vec<Message>,
    ) -> bool {
        let Some(Reading { position }) = self.splits.get_mut(&split) else { return false };
        let beyond = position.end.and_then(|end| group.iter().position(|m| m.offset() >= end));
        if let Some(beyond) = beyond {
            group.truncate(beyond);
        }
        if let Some(message) = group.last() {
            position.offset = message.offset() + 1;
        }
        let ended = beyond.is_some() || position.at_end();
        if !group.is_empty() {
            let bytes = group
                .iter()
                .map(|m| m.value().map_or(0, <[u8]>::len) + m.key().map_or(0, <[u8]>::len))
                .sum();
            let messages = Messages::new(group, Arc::clone(consumer));
            self.push(Fetched::Messages { split, messages, bytes });
        }
        ended
    }

    fn push(&self, fetched: Fetched) {
        let mut state = self.shared.lock();
        if state.stop {
            return;
        }
        if let Fetched::Messages { split, bytes, .. } = &fetched {
            state.bytes += bytes;
            *state.waiting.entry(*split).or_default() += 1;
        }
        state.fetched.push_back(fetched);
        drop(state);
        self.waker.wake();
    }

    fn end(&mut self, consumer: &BatchConsumer, split: usize) -> Result<(), EngineError> {
        let Some(Reading { position }) = self.splits.remove(&split) else { return Ok(()) };
        self.sources.retain(|_, known| *known != split);
        let mut list = TopicPartitionList::new();
        list.add_partition(&position.topic, position.partition);
        consumer.consumer().incremental_unassign(&list).map_err(|error| {
            explain(
                &self.plan.subject,
                "releasing a partition",
                error.rdkafka_error_code(),
                &error.to_string(),
            )
        })?;
        self.push(Fetched::End { split });
        Ok(())
    }

    /// Goes on with the consumer to where it stands: aborted transactions and the marks of
    /// transactions move its position without a message. Bounded splits may end there.
    ///
    /// All messages that the consumer has given out have been passed on before.
    fn follow(&mut self, consumer: &BatchConsumer) -> Result<(), EngineError> {
        let positions = consumer.consumer().position().map_err(|error| {
            explain(
                &self.plan.subject,
                "asking for positions",
                error.rdkafka_error_code(),
                &error.to_string(),
            )
        })?;
        let mut stands: BTreeMap<usize, i64> = BTreeMap::new();
        for element in positions.elements() {
            // Partitions of which nothing has come yet have no position.
            if let Offset::Offset(offset) = element.offset()
                && let Some(split) = self.split_named(element.topic(), element.partition())
            {
                stands.insert(split, offset);
            }
        }
        let mut ended = Vec::new();
        for (split, Reading { position }) in &mut self.splits {
            match position.follow(stands.get(split).copied()) {
                Followed::Nowhere => {}
                Followed::To(offset) => {
                    position.offset = offset;
                    self.shared.reach(*split, offset);
                    self.waker.wake();
                }
                Followed::ToTheEnd => ended.push(*split),
            }
        }
        for split in ended {
            self.end(consumer, split)?;
        }
        Ok(())
    }

    fn on_error(
        &mut self,
        consumer: &BatchConsumer,
        message: &Message,
    ) -> Result<Errored, EngineError> {
        let Some(code) = message.error() else { return Ok(Errored::Ignored) };
        let (topic, partition) = (message.topic(), message.partition());
        let Some(split) = self.split_named(&topic, partition) else {
            tracing::debug!(target: "weir::kafka", "{}", message.error_text());
            return Ok(Errored::Ignored);
        };
        match meaning(code) {
            Meaning::End => {
                let end = self.splits.get(&split).and_then(|r| r.position.end);
                Ok(match end {
                    Some(end) if message.offset() >= end => Errored::Ended(split),
                    _ => Errored::Ignored,
                })
            }
            Meaning::Passing => {
                let table = &self.plan.subject.table;
                tracing::debug!(target: "weir::kafka", table, "{}", message.error_text());
                Ok(Errored::Ignored)
            }
            Meaning::LostPosition => self.on_lost(consumer, split).map(|()| Errored::Moved),
            Meaning::Credentials
            | Meaning::Tls
            | Meaning::Forbidden
            | Meaning::Missing
            | Meaning::Other => Err(explain(
                &self.plan.subject,
                &format!("reading '{topic}/{partition}'"),
                Some(code),
                &message.error_text(),
            )),
        }
    }

    /// A position that the broker no longer has, or does not have yet.
    fn on_lost(&mut self, consumer: &BatchConsumer, split: usize) -> Result<(), EngineError> {
        let Some(Reading { position }) = self.splits.get_mut(&split) else { return Ok(()) };
        let subject = &self.plan.subject;
        let name = position.split_id();
        let range = consumer.consumer().fetch_watermarks(&position.topic, position.partition, ASK);
        let (low, high) = range.map_err(|error| {
            let doing = format!("asking for the offsets of '{name}'");
            explain(subject, &doing, error.rdkafka_error_code(), &error.to_string())
        })?;
        match decide_lost(position.offset, (low, high), self.plan.skip_lost) {
            Lost::Skip { to } => {
                tracing::warn!(
                    target: "weir::kafka",
                    table = subject.table,
                    "'{name}': offsets {} to {to} are gone and were skipped, as asked by 'scan.on-lost-position'",
                    position.offset
                );
                position.offset = to;
                Ok(())
            }
            Lost::Refuse(why) => {
                let table = &subject.table;
                Err(EngineError::user(format!("table '{table}': '{name}': {why}")))
            }
        }
    }

    /// Reads on with a fresh consumer: an assignment that has failed cannot be moved.
    fn start_over(&mut self) -> Result<(), EngineError> {
        self.consumer = None;
        self.sources.clear();
        self.assign(self.splits.keys().copied().collect())
    }
}

enum Errored {
    Ignored,
    Ended(usize),
    Moved,
}
