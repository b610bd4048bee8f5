//! What this connector's tests share: a cluster in the process, and a format of plain numbers.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use weir_engine::env::instant;
use weir_engine::operator::Context;
use weir_engine::source::{SourcePoll, SourceReader, Split, SplitEnumerator};
use weir_engine::{EngineError, source::Source};

use super::layout::Columns;
use super::rows::DecoderFactory;
use super::sink::EncoderFactory;
use super::{build_sink, build_source};
use crate::formats::{DecodeError, Decoded, EncodeError, RecordDecoder, RecordEncoder};
use crate::table::{Place, Problem, SinkParts, SourceParts, Table};
use crate::testing::table;

/// A cluster in this process.
pub(super) type Mock = MockCluster<'static, DefaultProducerContext>;

/// A cluster with one topic.
pub(super) fn cluster(topic: &str, partitions: i32) -> Mock {
    let mock = MockCluster::new(1).expect("a cluster can be made");
    mock.create_topic(topic, partitions, 1).expect("a topic can be made");
    mock
}

/// Writes numbers to a partition.
pub(super) fn write(mock: &Mock, topic: &str, partition: i32, numbers: std::ops::Range<i64>) {
    write_records(mock, topic, partition, numbers.map(|n| (None, Some(n.to_string()))).collect());
}

/// Writes keys and values to a partition.
pub(super) fn write_records(
    mock: &Mock,
    topic: &str,
    partition: i32,
    records: Vec<(Option<String>, Option<String>)>,
) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", mock.bootstrap_servers())
        .create()
        .expect("a producer can be made");
    for (key, value) in &records {
        let mut record = BaseRecord::<str, str>::to(topic).partition(partition);
        record.key = key.as_deref();
        record.payload = value.as_deref();
        producer.send(record).map_err(|(error, _)| error).expect("it is queued");
    }
    producer.flush(Duration::from_secs(10)).expect("it arrives");
}

/// A message is a number; columns of it all hold that number.
struct Numbers {
    schema: SchemaRef,
    numbers: Vec<i64>,
}

impl RecordDecoder for Numbers {
    fn decode(&mut self, _: &[u8], _: usize, _: bool) -> Result<Decoded, DecodeError> {
        unreachable!("messages are not files")
    }

    fn decode_message(&mut self, message: &[u8]) -> Result<bool, DecodeError> {
        let text = std::str::from_utf8(message).unwrap_or("?");
        if text == "skip" {
            return Ok(false);
        }
        let number = text.parse().map_err(|_| DecodeError {
            offset_in_data: 0,
            record_in_data: 0,
            line_in_data: 1,
            message: format!("'{text}' is not a number"),
        })?;
        self.numbers.push(number);
        Ok(true)
    }

    fn rows(&self) -> usize {
        self.numbers.len()
    }

    fn finish(&mut self) -> Result<RecordBatch, DecodeError> {
        let column: ArrayRef = Arc::new(Int64Array::from(std::mem::take(&mut self.numbers)));
        let rows = column.len();
        let columns = self.schema.fields().iter().map(|_| Arc::clone(&column)).collect();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| DecodeError::columns(&error))
    }

    fn skipped(&self) -> u64 {
        0
    }
}

impl RecordEncoder for Numbers {
    fn each_row(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        end: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<(), EncodeError> {
        for number in batch.column(0).as_primitive::<Int64Type>().values() {
            out.extend(number.to_string().bytes());
            end(out);
        }
        Ok(())
    }
}

fn decoder(columns: &Columns) -> DecoderFactory {
    let schema = Arc::new(columns.all.project(&columns.wanted).expect("columns are in range"));
    Arc::new(move || Ok(Box::new(Numbers { schema: Arc::clone(&schema), numbers: Vec::new() })))
}

fn encoder(columns: &Columns) -> EncoderFactory {
    let schema = Arc::clone(&columns.all);
    Arc::new(move || Ok(Box::new(Numbers { schema: Arc::clone(&schema), numbers: Vec::new() })))
}

/// A table `t` with a column `n`, on this cluster.
pub(super) fn numbers(servers: &str, options: &[(&str, &str)]) -> Table {
    let mut all = vec![("connector", "kafka"), ("properties.bootstrap.servers", servers)];
    all.extend_from_slice(options);
    table(&all, &[("n", DataType::Int64)])
}

/// The table as a source.
pub(super) fn source(table: &Table, projection: &[usize]) -> Result<SourceParts, Vec<Problem>> {
    let place = Place { job: "ns/job".into(), ..Place::default() };
    build_source(table, super::Rows::Told, projection, &place, &|_, columns, _| {
        columns.map(decoder)
    })
}

/// The table as a sink.
pub(super) fn sink(table: &Table) -> Result<SinkParts, Vec<Problem>> {
    build_sink(table, super::Rows::Told, &Place::default(), &|_, columns, _| columns.map(encoder))
}

/// Finds splits, as a new job or from a snapshot.
pub(super) fn discover(
    io: &tokio::runtime::Runtime,
    source: &Arc<dyn Source>,
    snapshot: Option<bytes::Bytes>,
) -> Result<(Box<dyn SplitEnumerator>, Vec<Split>), EngineError> {
    let mut enumerator = source.enumerator(snapshot)?;
    let splits = io.block_on(enumerator.discover())?;
    Ok((enumerator, splits))
}

/// What a reader gave, by split.
#[derive(Default, Debug)]
pub(super) struct Read {
    /// Batches by index of the split.
    pub(super) batches: Vec<(usize, RecordBatch)>,
    /// Splits that were finished.
    pub(super) finished: Vec<usize>,
}

impl Read {
    /// The numbers of a split.
    pub(super) fn numbers(&self, split: usize) -> Vec<i64> {
        let batches = self.batches.iter().filter(|(index, _)| *index == split);
        batches
            .flat_map(|(_, b)| b.column(0).as_primitive::<Int64Type>().values().to_vec())
            .collect()
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.batches.iter().map(|(_, batch)| batch.num_rows()).sum()
    }
}

/// Polls until `enough`, for at most 20 s.
pub(super) fn read_until(
    reader: &mut dyn SourceReader,
    cx: &mut Context,
    read: &mut Read,
    enough: impl Fn(&Read) -> bool,
) -> Result<(), EngineError> {
    let start = instant();
    while !enough(read) {
        assert!(start.elapsed() < Duration::from_secs(20), "nothing more came: {read:?}");
        match reader.poll(cx)? {
            SourcePoll::Rows { split, records } => read.batches.push((split, records)),
            SourcePoll::Finished { split } => read.finished.push(split),
            other @ SourcePoll::Returned { .. } => panic!("{other:?}"),
            SourcePoll::Pending => std::thread::sleep(Duration::from_millis(2)),
        }
    }
    Ok(())
}
