//! Messages of one partition → rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, Int32Array, Int64Array, MapBuilder, MapFieldNames, RecordBatch,
    RecordBatchOptions, StringArray, StringBuilder, TimestampMillisecondArray, UInt32Array,
};
use arrow::compute::take;
use weir_engine::EngineError;
use weir_engine::batch::RowKind;

use super::Rows;
use super::batch::Message;
use super::layout::{Metadata, Origin, SourceLayout};
use crate::formats::changes::kinds_as_column;
use crate::formats::metadata::cast_metadata;
use crate::formats::{DecodeError, RecordDecoder};

/// Makes decoders of one format and schema.
pub(super) type DecoderFactory =
    Arc<dyn Fn() -> Result<Box<dyn RecordDecoder>, String> + Send + Sync>;

/// What a row is decoded from. Tests have their own.
pub(super) trait Record {
    /// The value; `None` for a tombstone.
    fn value(&self) -> Option<&[u8]>;
    /// The key.
    fn key(&self) -> Option<&[u8]>;
    /// The offset.
    fn offset(&self) -> i64;
    /// The leader's epoch.
    fn leader_epoch(&self) -> Option<i32>;
    /// Milliseconds since the epoch, and the name of their kind.
    fn timestamp(&self) -> (Option<i64>, &'static str);
    /// Headers, in order.
    fn headers(&self) -> Vec<(String, Option<Vec<u8>>)>;
}

impl Record for Message {
    fn value(&self) -> Option<&[u8]> {
        self.value()
    }

    fn key(&self) -> Option<&[u8]> {
        self.key()
    }

    fn offset(&self) -> i64 {
        self.offset()
    }

    fn leader_epoch(&self) -> Option<i32> {
        self.leader_epoch()
    }

    fn timestamp(&self) -> (Option<i64>, &'static str) {
        let (ms, kind) = self.timestamp();
        (ms, kind.name())
    }

    fn headers(&self) -> Vec<(String, Option<Vec<u8>>)> {
        self.headers()
    }
}

/// Decodes batches of messages.
pub(super) struct RowDecoder {
    layout: Arc<SourceLayout>,
    value: Box<dyn RecordDecoder>,
    key: Option<Box<dyn RecordDecoder>>,
    /// Offsets of the rows that were decoded last, for messages about them.
    offsets: Vec<i64>,
}

impl RowDecoder {
    /// A decoder for one reader.
    pub(super) fn new(
        layout: Arc<SourceLayout>,
        value: &DecoderFactory,
        key: Option<&DecoderFactory>,
    ) -> Result<Self, EngineError> {
        let made = |factory: &DecoderFactory| factory().map_err(EngineError::user);
        let key = key.filter(|_| layout.key.is_some()).map(made).transpose()?;
        Ok(Self { value: made(value)?, key, layout, offsets: Vec::new() })
    }

    /// Broken records that were skipped since the start.
    pub(super) fn skipped(&self) -> u64 {
        self.value.skipped() + self.key.as_ref().map_or(0, |key| key.skipped())
    }

    /// The offset of row `row` of the last rows.
    pub(super) fn offset(&self, row: usize) -> Option<i64> {
        self.offsets.get(row).copied()
    }

    /// Decodes messages of one partition, in order. There may be fewer rows than messages:
    /// tombstones are no rows of a table that only grows, unless the format has them for NULL, and
    /// broken ones may be skipped. A
    /// message without a key has NULL in the key's columns, and is an error in a table of upserts.
    pub(super) fn decode<R: Record>(
        &mut self,
        topic: &str,
        partition: i32,
        messages: &[R],
    ) -> Result<RecordBatch, EngineError> {
        let broken = |part: &str, record: &R, error: &DecodeError| {
            EngineError::user(format!(
                "'{topic}/{partition}', {part} of the message at offset {}, byte {}: {}",
                record.offset(),
                error.offset_in_data,
                error.message
            ))
        };
        // Which messages gave a record, and where their keys are among the decoded ones.
        let mut kept: Vec<u32> = Vec::with_capacity(messages.len());
        let mut keys: Vec<Option<u32>> = Vec::new();
        // Of upserts also where their values are among the decoded ones.
        let mut values_at: Vec<Option<u32>> = Vec::new();
        let upserts = self.layout.rows == Rows::Upserts;
        for (index, message) in (0u32..).zip(messages) {
            let value = message.value();
            if value.is_none() && !upserts && !self.value.holds_null() {
                continue;
            }
            let rows = self.key.as_ref().map_or(0, |key| key.rows());
            let key = match (&mut self.key, message.key()) {
                (Some(decoder), Some(key)) => {
                    match decoder.decode_message(key).map_err(|e| broken("key", message, &e))? {
                        true => Some(rows as u32),
                        false => continue,
                    }
                }
                (Some(_), None) if upserts => {
                    return Err(EngineError::user(format!(
                        "'{topic}/{partition}', the message at offset {} has no key, which tells the rows of an 'upsert-kafka' table apart; write it with a key, or read the topic with connector 'kafka'",
                        message.offset()
                    )));
                }
                _ => None,
            };
            if upserts {
                values_at.push(value.map(|_| self.value.rows() as u32));
            }
            let is_row = match value {
                Some(value) => {
                    self.value.decode_message(value).map_err(|e| broken("value", message, &e))?
                }
                None => {
                    if !upserts {
                        self.value.decode_null().map_err(|e| broken("value", message, &e))?;
                    }
                    true
                }
            };
            if is_row {
                kept.push(index);
                if self.key.is_some() {
                    keys.push(key);
                }
            } else if upserts {
                values_at.pop();
            }
        }
        let failed = |error: &dyn std::fmt::Display| {
            EngineError::user(format!("'{topic}/{partition}': {error}"))
        };
        let values = self.value.finish();
        let offset_of = |record: u32| {
            let message = kept.get(record as usize).and_then(|&index| messages.get(index as usize));
            message.map_or(-1, Record::offset)
        };
        let values = match (values, self.value.records_of()) {
            (Ok(values), _) => values,
            (Err(error), Some(&[record])) => {
                let at = offset_of(record);
                let why = format!("the message at offset {at}: {}", error.message);
                return Err(failed(&why));
            }
            (Err(error), _) => return Err(failed(&error)),
        };
        if let Some(records) = self.value.records_of() {
            // A record of changes may be several rows, or none.
            let of = |record: &u32| *record as usize;
            if !keys.is_empty() {
                keys = records.iter().map(|record| keys[of(record)]).collect();
            }
            kept = records.iter().map(|record| kept[of(record)]).collect();
        }
        let keys = match &mut self.key {
            Some(decoder) => {
                Some((decoder.finish().map_err(|error| failed(&error))?, UInt32Array::from(keys)))
            }
            None => None,
        };
        let values_at = UInt32Array::from(values_at);
        let rows = kept.len();
        self.offsets.clear();
        self.offsets.extend(kept.iter().map(|&index| messages[index as usize].offset()));
        let columns = self
            .layout
            .origins
            .iter()
            .zip(self.layout.schema.fields())
            .map(|(origin, field)| match *origin {
                Origin::Value(column) if upserts => take(values.column(column), &values_at, None),
                Origin::Value(column) | Origin::Record(column) => {
                    Ok(Arc::clone(values.column(column)))
                }
                Origin::Kind => Ok(kinds_as_column(&kinds(&values_at))),
                Origin::Key(column) => match &keys {
                    Some((keys, at)) => take(keys.column(column), at, None),
                    None => Ok(arrow::array::new_null_array(field.data_type(), rows)),
                },
                Origin::Metadata(metadata) => {
                    let own = metadata_column(metadata, topic, partition, messages, &kept);
                    cast_metadata(&own, field.data_type())
                }
            })
            .collect::<Result<Vec<ArrayRef>, _>>()
            .map_err(|error| failed(&error))?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.layout.schema), columns, &options)
            .map_err(|error| failed(&error))
    }
}

/// A row that has a value comes; one without goes.
fn kinds(values_at: &UInt32Array) -> Vec<RowKind> {
    let kind = |value: Option<u32>| value.map_or(RowKind::Delete, |_| RowKind::Insert);
    values_at.iter().map(kind).collect()
}

fn metadata_column<R: Record>(
    metadata: Metadata,
    topic: &str,
    partition: i32,
    messages: &[R],
    kept: &[u32],
) -> ArrayRef {
    let kept_messages = kept.iter().map(|&index| &messages[index as usize]);
    match metadata {
        Metadata::Topic => {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(topic, kept.len())))
        }
        Metadata::Partition => Arc::new(Int32Array::from_value(partition, kept.len())),
        Metadata::Offset => {
            Arc::new(Int64Array::from_iter_values(kept_messages.map(Record::offset)))
        }
        Metadata::LeaderEpoch => {
            Arc::new(kept_messages.map(Record::leader_epoch).collect::<Int32Array>())
        }
        Metadata::Timestamp => {
            Arc::new(kept_messages.map(|m| m.timestamp().0).collect::<TimestampMillisecondArray>())
        }
        Metadata::TimestampType => {
            Arc::new(StringArray::from_iter_values(kept_messages.map(|m| m.timestamp().1)))
        }
        Metadata::Headers => headers_column(kept_messages),
    }
}

/// Of several headers of a name the last counts, as in Flink.
fn headers_column<'a, R: Record + 'a>(messages: impl Iterator<Item = &'a R>) -> ArrayRef {
    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let (keys, values) = (StringBuilder::new(), BinaryBuilder::new());
    let mut maps = MapBuilder::new(Some(names), keys, values);
    for message in messages {
        let last: BTreeMap<_, _> = message.headers().into_iter().collect();
        for (name, value) in last {
            maps.keys().append_value(name);
            maps.values().append_option(value);
        }
        // As many names as values.
        if maps.append(true).is_err() {
            continue;
        }
    }
    Arc::new(maps.finish())
}
