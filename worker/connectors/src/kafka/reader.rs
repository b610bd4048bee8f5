//! The source: its enumerator's and readers' maker, and the reader in a task.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use rdkafka::config::ClientConfig;
use weir_engine::EngineError;
use weir_engine::operator::Context;
use weir_engine::source::{Assignment, Source, SourcePoll, SourceReader, Split, SplitEnumerator};
use weir_protocol::Counter;

use super::client::{Cluster, Subject};
use super::enumerator::{Enumerator, Memory, Plan};
use super::fetch::{FetchPlan, Fetched, Fetcher};
use super::layout::SourceLayout;
use super::offsets::{Bound, Position};
use super::rows::{DecoderFactory, RowDecoder};

/// A Kafka table that is read.
pub(super) struct KafkaSource {
    pub(super) plan: Arc<Plan>,
    pub(super) layout: Arc<SourceLayout>,
    pub(super) subject: Arc<Subject>,
    /// Settings of the enumerator's client.
    pub(super) cluster: ClientConfig,
    /// Settings of a reader's client.
    pub(super) config: ClientConfig,
    pub(super) skip_lost: bool,
    pub(super) value: DecoderFactory,
    pub(super) key: Option<DecoderFactory>,
}

impl Source for KafkaSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.layout.schema)
    }

    fn is_bounded(&self) -> bool {
        self.plan.bound != Bound::Unbounded
    }

    fn assignment(&self) -> Assignment {
        Assignment::Eager
    }

    fn enumerator(&self, snapshot: Option<Bytes>) -> Result<Box<dyn SplitEnumerator>, EngineError> {
        let memory = match snapshot {
            Some(stored) => Memory::decode(&stored)?,
            None => Memory::default(),
        };
        let cluster = Cluster::new(&self.cluster, Arc::clone(&self.subject))?;
        let (plan, subject) = (Arc::clone(&self.plan), Arc::clone(&self.subject));
        Ok(Box::new(Enumerator::new(plan, cluster, subject, memory)))
    }

    fn reader(&self, cx: &Context) -> Result<Box<dyn SourceReader>, EngineError> {
        let plan = FetchPlan {
            config: self.config.clone(),
            subject: Arc::clone(&self.subject),
            skip_lost: self.skip_lost,
        };
        Ok(Box::new(Reader {
            table: self.subject.table.clone(),
            fetcher: Fetcher::start(plan, cx.waker.clone())?,
            decoder: RowDecoder::new(Arc::clone(&self.layout), &self.value, self.key.as_ref())?,
            skipped: 0,
            splits: BTreeMap::new(),
            empty: VecDeque::new(),
        }))
    }
}

struct Reader {
    table: String,
    fetcher: Fetcher,
    decoder: RowDecoder,
    /// Broken records that are already counted.
    skipped: u64,
    splits: BTreeMap<usize, Position>,
    /// Splits that had nothing left when they were added.
    empty: VecDeque<usize>,
}

impl SourceReader for Reader {
    fn add(&mut self, _: &Context, index: usize, split: &Split) -> Result<(), EngineError> {
        let position = Position::decode(&split.id, &split.position)?;
        if position.at_end() {
            self.empty.push_back(index);
        } else {
            self.fetcher.add(index, position.clone());
        }
        self.splits.insert(index, position);
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context) -> Result<SourcePoll, EngineError> {
        if let Some(split) = self.empty.pop_front() {
            return Ok(SourcePoll::Finished { split });
        }
        loop {
            let (split, messages, bytes) = match self.fetcher.take()? {
                None => return Ok(SourcePoll::Pending),
                Some(Fetched::End { split }) => {
                    if let Some(position) = self.splits.get_mut(&split) {
                        // What is left holds nothing that can be seen.
                        position.offset =
                            position.end.unwrap_or(position.offset).max(position.offset);
                    }
                    return Ok(SourcePoll::Finished { split });
                }
                Some(Fetched::Reached { split, offset }) => {
                    if let Some(position) = self.splits.get_mut(&split) {
                        position.offset = offset.max(position.offset);
                    }
                    continue;
                }
                Some(Fetched::Messages { split, messages, bytes }) => (split, messages, bytes),
            };
            let (Some(position), Some(last)) =
                (self.splits.get_mut(&split), messages.list().last())
            else {
                continue;
            };
            let records = self
                .decoder
                .decode(&position.topic, position.partition, messages.list())
                .map_err(|error| error.at(format!("table '{}'", self.table)))?;
            position.offset = last.offset() + 1;
            position.leader_epoch = last.leader_epoch();
            let skipped = self.decoder.skipped();
            cx.metrics.add(Counter::Malformed, (skipped - self.skipped) as usize);
            self.skipped = skipped;
            cx.metrics.add(Counter::Bytes, bytes);
            if records.num_rows() > 0 {
                return Ok(SourcePoll::Rows { split, records });
            }
        }
    }

    fn position(&self, index: usize) -> Bytes {
        self.splits.get(&index).map_or_else(Bytes::new, Position::encode)
    }

    fn place(&self, _: &Context, index: usize, row: usize) -> Option<String> {
        let Position { topic, partition, .. } = self.splits.get(&index)?;
        let offset = self.decoder.offset(row)?;
        Some(format!("'{topic}/{partition}', message at offset {offset}"))
    }

    /// Fetched messages wait behind those of other partitions; what the broker still has, nobody
    /// knows before it comes.
    fn owes(&self, index: usize) -> bool {
        self.fetcher.holds(index)
    }

    fn remaining(&self, index: usize) -> u64 {
        self.splits.get(&index).map_or(0, Position::remaining)
    }
}
