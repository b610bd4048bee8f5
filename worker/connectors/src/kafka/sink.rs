//! The sink: rows become messages, each at least once.
//!
//! A barrier passes at once; the checkpoint waits until everything written before it has
//! arrived. After a failure the rows since the last checkpoint are written again.
//!
//! Of upserts a batch gives one message per key: the row that is there behind it, or none.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, MapArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::TimestampMillisecondType;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use weir_engine::batch::RowKind;
use weir_engine::operator::{
    Context, Operator, OperatorFactory, Output, PreCommitted, Progress, Snapshot, SnapshotRequest,
};
use weir_engine::{Batch, OperatorError};
use weir_protocol::Counter;

use super::Rows;
use super::client::Subject;
use super::delivery::{Outgoing, Sender};
use super::layout::{Metadata, SinkLayout};
use super::settings::Partitioner;
use crate::formats::changes::records_with_kinds;
use crate::formats::metadata::cast_metadata;
use crate::formats::{EncodeError, RecordEncoder};

/// Makes encoders of one format and schema.
pub(super) type EncoderFactory =
    Arc<dyn Fn() -> Result<Box<dyn RecordEncoder>, String> + Send + Sync>;

/// Bytes that may be on their way before the job is held back.
pub(super) const IN_FLIGHT_BYTES: u64 = 32 << 20;
/// An encoding buffer larger than this is given back after use.
const KEEP_BYTES: usize = 8 << 20;

/// Makes the writers of a Kafka table.
pub(super) struct SinkMaker {
    pub(super) subject: Arc<Subject>,
    pub(super) topic: String,
    pub(super) config: ClientConfig,
    pub(super) layout: Arc<SinkLayout>,
    pub(super) partitioner: Partitioner,
    pub(super) flush: bool,
    pub(super) limit: usize,
    pub(super) value: EncoderFactory,
    pub(super) key: Option<EncoderFactory>,
}

impl OperatorFactory for SinkMaker {
    fn create(&self, cx: &Context) -> Result<Box<dyn Operator>, OperatorError> {
        let broken =
            |error: String| OperatorError::user(format!("table '{}': {error}", self.subject.table));
        let sender = Sender::start(
            &self.config,
            Arc::clone(&self.subject),
            &self.topic,
            self.limit,
            cx.waker.clone(),
            &cx.io,
        )?;
        Ok(Box::new(Writer {
            table: self.subject.table.clone(),
            sender,
            layout: Arc::clone(&self.layout),
            partitioner: self.partitioner,
            flush: self.flush,
            next: i64::from(cx.subtask.0),
            subtask: i64::from(cx.subtask.0),
            values: Encoded::new((self.value)().map_err(broken)?),
            keys: self
                .key
                .as_ref()
                .map(|key| key().map(Encoded::new))
                .transpose()
                .map_err(broken)?,
        }))
    }
}

/// Rows encoded one after the other.
struct Encoded {
    encoder: Box<dyn RecordEncoder>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The rows that have bytes; `None`: all.
    there: Option<NullBuffer>,
}

impl Encoded {
    fn new(encoder: Box<dyn RecordEncoder>) -> Self {
        Self { encoder, bytes: Vec::new(), ends: Vec::new(), there: None }
    }

    fn fill(&mut self, rows: &RecordBatch) -> Result<(), EncodeError> {
        self.bytes.clear();
        self.bytes.shrink_to(KEEP_BYTES);
        self.ends.clear();
        self.there = self.encoder.there(rows);
        self.encoder.encode_rows(rows, &mut self.bytes, &mut self.ends)
    }

    fn row(&self, row: usize) -> Option<&[u8]> {
        if self.there.as_ref().is_some_and(|there| there.is_null(row)) {
            return None;
        }
        let start = if row == 0 { 0 } else { *self.ends.get(row - 1)? };
        self.bytes.get(start..*self.ends.get(row)?)
    }
}

struct Writer {
    table: String,
    sender: Sender,
    layout: Arc<SinkLayout>,
    partitioner: Partitioner,
    flush: bool,
    /// Rows written, from the subtask's number on, so that subtasks begin apart.
    next: i64,
    subtask: i64,
    values: Encoded,
    keys: Option<Encoded>,
}

impl Writer {
    fn partition(&mut self) -> Option<i32> {
        let partitions = i64::from(self.sender.shared().partitions().max(1));
        let chosen = match self.partitioner {
            Partitioner::Default => return None,
            Partitioner::Fixed => self.subtask % partitions,
            Partitioner::RoundRobin => {
                self.next += 1;
                (self.next - 1) % partitions
            }
        };
        i32::try_from(chosen).ok()
    }

    fn check(&self) -> Result<(), OperatorError> {
        self.sender.shared().failed().map_or(Ok(()), Err)
    }

    /// Writes the rows of a batch as messages of these columns.
    fn write(&mut self, batch: &Batch, records: &RecordBatch) -> Result<(), OperatorError> {
        let broken = |error: &dyn std::fmt::Display| {
            OperatorError::user(format!("table '{}': {error}", self.table))
        };
        let kinds = self.layout.has_kinds.then(|| records.num_columns() - 1);
        let value_columns = self.layout.value_columns.iter().copied().chain(kinds);
        let value_rows = records.project(&value_columns.collect::<Vec<_>>())?;
        self.values.fill(&value_rows).map_err(|error| broken(&error))?;
        if let (Some(keys), Some(key)) = (&mut self.keys, &self.layout.key) {
            let columns = self.layout.key_columns.iter();
            let columns = columns.map(|&c| Arc::clone(records.column(c))).collect();
            let key_rows = RecordBatch::try_new(Arc::clone(&key.all), columns)?;
            keys.fill(&key_rows).map_err(|error| broken(&error))?;
        }
        let timestamps = match self.layout.timestamp {
            None => None,
            Some(column) => {
                Some(cast_metadata(records.column(column), &Metadata::Timestamp.data_type())?)
            }
        };
        let timestamps = timestamps.as_ref().map(|t| t.as_primitive::<TimestampMillisecondType>());
        let headers = self.layout.headers.map(|column| records.column(column).as_map());
        let upserts = self.layout.rows == Rows::Upserts;
        let superseded = if upserts { self.superseded(records.num_rows()) } else { Vec::new() };
        for row in 0..records.num_rows() {
            if superseded.get(row) == Some(&true) {
                continue;
            }
            let partition = self.partition();
            self.sender.send(Outgoing {
                key: self.keys.as_ref().and_then(|keys| keys.row(row)),
                value: self.values.row(row).filter(|_| !upserts || !batch.kind(row).goes()),
                partition,
                headers: headers.and_then(|headers| headers_of(headers, row)),
                timestamp_ms: timestamps.filter(|t| t.is_valid(row)).map(|t| t.value(row)),
            })?;
        }
        Ok(())
    }

    /// Of each row whether a later one has its key.
    fn superseded(&self, rows: usize) -> Vec<bool> {
        let mut seen = HashSet::new();
        let key = |row: usize| self.keys.as_ref().and_then(|keys| keys.row(row));
        let mut superseded: Vec<bool> = (0..rows).rev().map(|row| !seen.insert(key(row))).collect();
        superseded.reverse();
        superseded
    }

    fn count(&self, cx: &Context) {
        let delivered = self.sender.take_delivered();
        cx.metrics.add(Counter::Bytes, usize::try_from(delivered.bytes).unwrap_or(0));
    }
}

/// The headers that a row gives its message; an entry that is NULL gives none, as in Flink.
fn headers_of(headers: &MapArray, row: usize) -> Option<OwnedHeaders> {
    if headers.is_null(row) {
        return None;
    }
    let entries = headers.value(row);
    let (names, values) =
        (entries.column(0).as_string::<i32>(), entries.column(1).as_binary::<i32>());
    let there = (0..entries.len()).filter(|&at| values.is_valid(at));
    let mut made = OwnedHeaders::new_with_capacity(entries.len());
    for at in there {
        made = made.insert(Header { key: names.value(at), value: Some(values.value(at)) });
    }
    Some(made)
}

impl Operator for Writer {
    fn is_ready(&mut self, _: &mut Context) -> bool {
        // A failure is told by the next call, which has to come.
        self.sender.shared().failed().is_some() || self.sender.shared().is_ready()
    }

    fn on_batch(
        &mut self,
        _: &mut Context,
        _: usize,
        batch: Batch,
        _: &mut Output,
    ) -> Result<Progress, OperatorError> {
        self.check()?;
        if self.layout.has_kinds {
            self.write(&batch, &records_with_kinds(&batch)?)?;
            return Ok(Progress::Done);
        }
        let told = self.layout.rows == Rows::Told;
        if told
            && batch.kinds().is_some_and(|kinds| kinds.iter().any(|kind| *kind != RowKind::Insert))
        {
            return Err(OperatorError::user(format!(
                "table '{}': the query changes rows that it has given out, and 'kafka' only takes new rows; aggregate in windows, or write to 'upsert-kafka'",
                self.table
            )));
        }
        self.write(&batch, batch.records())?;
        Ok(Progress::Done)
    }

    fn on_barrier(
        &mut self,
        cx: &mut Context,
        _: SnapshotRequest,
    ) -> Result<Snapshot, OperatorError> {
        self.check()?;
        self.count(cx);
        let arrived = self.sender.barrier();
        if !self.flush {
            return Ok(Snapshot::default());
        }
        let pre_commit = Box::pin(async move { arrived.await.map(|()| PreCommitted::default()) });
        Ok(Snapshot { pre_commit: Some(pre_commit), ..Snapshot::default() })
    }

    fn on_tick(&mut self, cx: &mut Context, _: &mut Output) -> Result<(), OperatorError> {
        self.count(cx);
        self.check()
    }

    fn state_bytes(&self) -> usize {
        self.values.bytes.capacity() + self.keys.as_ref().map_or(0, |keys| keys.bytes.capacity())
    }
}
