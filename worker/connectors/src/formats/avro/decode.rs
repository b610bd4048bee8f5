//! Avro's records → columns: bare datums of messages, and blocks of files.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{SchemaRef, TimeUnit};

use super::container::{self, Head};
use super::cursor::{Cursor, Fail, wrong};
use super::resolve::{Branch, Plan, Row, Step, resolve};
use super::schema::{self, Schema};
use super::{AvroOptions, derive};
use crate::formats::column::{Column, Data, Refused, are_small, finish};
use crate::formats::time::Instant;
use crate::formats::{DecodeError, Decoded, RecordDecoder, TimestampFormat};

/// Values in one batch, from which on no block more is read into it.
const FULL_BYTES: usize = 256 << 20;
/// Records of a block after which it is looked at how much there is.
const LOOK_EVERY: usize = 1024;
/// Of a map with more pairs, a key is looked up, not looked for.
const FEW_PAIRS: usize = 16;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Reads records; see the module.
pub struct AvroDecoder {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    /// Of messages: the schema that follows from the table.
    message: Reading,
    /// Of the file that is being read.
    file: Option<(Head, Reading)>,
}

/// Records of one schema, and what becomes of them.
struct Reading {
    schema: Arc<Schema>,
    row: Row,
}

impl Reading {
    fn new(schema: Arc<Schema>, columns: &SchemaRef) -> Result<Self, String> {
        let row = resolve(&schema, columns.fields())?;
        Ok(Self { schema, row })
    }
}

impl AvroDecoder {
    /// A decoder of the columns `projection` of `table`.
    ///
    /// # Errors
    /// When a column of the table has no type of Avro; the message names column, cause and fix.
    pub fn new(
        table: &SchemaRef,
        projection: &[usize],
        options: AvroOptions,
    ) -> Result<Self, String> {
        let derived = derive::derive(table, options.legacy_timestamps)?;
        let derived = Schema::parse(derived.as_bytes())
            .map_err(|why| format!("the table's schema cannot be read: {why}; this is a bug"))?;
        let schema: SchemaRef =
            Arc::new(table.project(projection).map_err(|error| error.to_string())?);
        let columns = schema.fields().iter().map(Column::new).collect::<Result<_, _>>()?;
        let message = Reading::new(Arc::new(derived), &schema)?;
        Ok(Self { schema, columns, rows: 0, message, file: None })
    }

    /// Reads the beginning of a file; how long it is, or `None` when it is not all there.
    fn open(&mut self, data: &[u8], last: bool) -> Result<Option<usize>, DecodeError> {
        let failed = |message| DecodeError::at(data, 0, 0, message);
        let Some((head, length)) = container::head(data, last).map_err(failed)? else {
            return Ok(None);
        };
        let reading = Reading::new(Arc::clone(&head.schema), &self.schema).map_err(failed)?;
        self.file = Some((head, reading));
        Ok(Some(length))
    }

    fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }
}

impl RecordDecoder for AvroDecoder {
    /// Records are given out by whole blocks, so that reading can go on between any two calls.
    fn decode(&mut self, data: &[u8], max_rows: usize, last: bool) -> Result<Decoded, DecodeError> {
        let before = self.rows;
        let mut at = 0;
        if self.file.is_none() {
            match self.open(data, last)? {
                Some(length) => at = length,
                None => return Ok(Decoded::default()),
            }
        }
        while at < data.len() && self.rows < max_rows && self.bytes() < FULL_BYTES {
            let Some((head, reading)) = &self.file else { break };
            let failed = |message| DecodeError::at(data, at, at, message);
            let block = container::block(&data[at..], head, last).map_err(failed)?;
            let Some(block) = block else { break };
            let start = self.rows;
            let read = block_rows(&block, reading, &mut self.columns);
            if let Err(message) = read {
                self.columns.iter_mut().for_each(|column| column.truncate(start));
                return Err(failed(message));
            }
            self.rows += block.count;
            at += block.length;
        }
        Ok(Decoded { consumed: at, rows: self.rows - before })
    }

    fn decode_message(&mut self, message: &[u8]) -> Result<bool, DecodeError> {
        let mut cursor = Cursor::new(message);
        let Reading { schema, row } = &self.message;
        let mut read = record(row, schema, &mut self.columns, &mut cursor);
        if read.is_ok() && cursor.left() > 0 {
            read = wrong(format!(
                "{} bytes follow the record; was it written with another schema than the table's?",
                cursor.left()
            ));
        }
        if let Err(why) = read {
            let rows = self.rows;
            self.columns.iter_mut().for_each(|column| column.truncate(rows));
            let mut told = why.message();
            if message.first() == Some(&0) && message.len() > 5 {
                told.push_str("; if a zero and four bytes stand before the record, it was written with a schema registry, whose 'avro-confluent' is not supported yet");
            }
            return Err(DecodeError::at(message, 0, cursor.at(), told));
        }
        self.rows += 1;
        Ok(true)
    }

    fn has_mark(&self) -> bool {
        false
    }

    fn has_lines(&self) -> bool {
        false
    }

    fn has_head(&self) -> bool {
        true
    }

    fn begin(&mut self, head: &[u8], last: bool) -> Result<bool, DecodeError> {
        Ok(self.open(head, last)?.is_some())
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn finish(&mut self) -> Result<RecordBatch, DecodeError> {
        let rows = std::mem::take(&mut self.rows);
        finish(&mut self.columns, &self.schema, rows)
    }

    fn skipped(&self) -> u64 {
        0
    }
}

fn block_rows(
    block: &container::Block<'_>,
    reading: &Reading,
    columns: &mut [Column],
) -> Result<(), String> {
    let mut cursor = Cursor::new(&block.records);
    for number in 0..block.count {
        let before = cursor.at();
        record(&reading.row, &reading.schema, columns, &mut cursor)
            .and_then(|()| cursor.count_empty(before))
            .map_err(|why| format!("record {} of its block: {}", number + 1, why.message()))?;
        if number % LOOK_EVERY == LOOK_EVERY - 1 {
            are_small(columns)?;
        }
    }
    match cursor.left() {
        0 => Ok(()),
        left => Err(format!("{left} bytes follow the last record of a block; the file is damaged")),
    }
}

fn record(
    row: &Row,
    schema: &Schema,
    columns: &mut [Column],
    cursor: &mut Cursor<'_>,
) -> Result<(), Fail> {
    for step in &row.steps {
        match step {
            Step::Read(at, plan) => value(plan, schema, &mut columns[*at], cursor)?,
            Step::Skip(of) => schema.skip(*of, cursor)?,
        }
    }
    for at in &row.missing {
        null(&mut columns[*at])?;
    }
    Ok(())
}

fn null(column: &mut Column) -> Result<(), Fail> {
    column.push_null().map_err(|why| refused(column, why, b""))
}

fn refused(column: &Column, why: Refused, shown: &[u8]) -> Fail {
    Fail::Wrong(column.refusal(why, shown, TimestampFormat::Sql))
}

fn out_of_range(column: &Column, value: &impl ToString) -> Fail {
    refused(column, Refused::Range, value.to_string().as_bytes())
}

fn bug(column: &Column) -> Fail {
    Fail::Wrong(format!("column `{}` is read as another type; this is a bug", column.field.name()))
}

/// Reads a value into a column.
fn value(
    plan: &Plan,
    schema: &Schema,
    column: &mut Column,
    cursor: &mut Cursor<'_>,
) -> Result<(), Fail> {
    match plan {
        Plan::Null => return null(column),
        Plan::Union(branches) => {
            return match schema::branch(branches, cursor)? {
                Branch::Read(plan) => value(plan, schema, column, cursor),
                Branch::Wrong(why) => wrong(why.as_str()),
            };
        }
        Plan::Int => return integer(column, cursor.int()?.into()),
        Plan::Long => return integer(column, cursor.long()?),
        Plan::Boolean => match &mut column.data {
            Data::Boolean(values) => values.append(cursor.boolean()?),
            _ => return Err(bug(column)),
        },
        Plan::Float => match &mut column.data {
            Data::Float32(values) => values.push(cursor.float()?),
            Data::Float64(values) => values.push(cursor.float()?.into()),
            _ => return Err(bug(column)),
        },
        Plan::Double => match &mut column.data {
            Data::Float64(values) => values.push(cursor.double()?),
            _ => return Err(bug(column)),
        },
        Plan::Bytes => return bytes(column, cursor.bytes()?),
        Plan::Fixed(size) => return bytes(column, cursor.take(*size)?),
        Plan::Enum(of) => return bytes(column, schema.symbol(*of, cursor)?.as_bytes()),
        Plan::Decimal { size, zeros } => {
            let digits = match size {
                Some(size) => cursor.take(*size)?,
                None => cursor.bytes()?,
            };
            return decimal(column, digits, *zeros);
        }
        Plan::Date => match &mut column.data {
            Data::Date(values) => values.push(cursor.int()?),
            _ => return Err(bug(column)),
        },
        Plan::Time(unit) => return time(column, *unit, cursor),
        Plan::Timestamp(from) => {
            let given = cursor.long()?;
            let Data::Timestamp(values, unit, _) = &mut column.data else {
                return Err(bug(column));
            };
            let found = match unit == from {
                true => Some(given),
                false => Instant::from_unit(given, *from).in_unit(*unit),
            };
            match found {
                Some(found) => values.push(found),
                None => return Err(out_of_range(column, &given)),
            }
        }
        Plan::Row(row) => match &mut column.data {
            Data::Row(children, _) => record(row, schema, children, cursor)?,
            _ => return Err(bug(column)),
        },
        Plan::List(plan) => return list(plan, schema, column, cursor),
        Plan::Map(plan, of) => return map(plan, *of, schema, column, cursor),
    }
    column.nulls.append_non_null();
    Ok(())
}

fn integer(column: &mut Column, value: i64) -> Result<(), Fail> {
    match &mut column.data {
        // Avro's rules have them become the nearest.
        Data::Float32(values) => values.push(value as f32),
        Data::Float64(values) => values.push(value as f64),
        _ => {
            return column.push_i64(value).map_err(|why| match why {
                Refused::Range => out_of_range(column, &value),
                _ => bug(column),
            });
        }
    }
    column.nulls.append_non_null();
    Ok(())
}

fn bytes(column: &mut Column, value: &[u8]) -> Result<(), Fail> {
    let pushed = match &mut column.data {
        Data::Text(text) | Data::TextView(text) => {
            if simdutf8::basic::from_utf8(value).is_err() {
                return wrong(format!(
                    "column `{}`: text that is not UTF-8; declare it as BYTES",
                    column.field.name()
                ));
            }
            text.push(value)
        }
        Data::Binary(values) => values.push(value),
        _ => return Err(bug(column)),
    };
    pushed.map_err(|why| refused(column, why, value))?;
    column.nulls.append_non_null();
    Ok(())
}

/// The number of digits that are two's complement, the highest byte first.
fn decimal(column: &mut Column, digits: &[u8], zeros: u32) -> Result<(), Fail> {
    let Some(first) = digits.first() else {
        return wrong(format!("column `{}`: a decimal of no bytes", column.field.name()));
    };
    let sign = if first & 0x80 == 0 { 0 } else { 0xff };
    let Data::Decimal(values, precision, _) = &mut column.data else { return Err(bug(column)) };
    let beyond = digits.len().saturating_sub(16);
    let (more, low) = digits.split_at(beyond);
    let mut whole = [sign; 16];
    whole[16 - low.len()..].copy_from_slice(low);
    let fits = more.iter().all(|byte| *byte == sign) && (whole[0] ^ sign) & 0x80 == 0;
    let value = fits.then(|| i128::from_be_bytes(whole));
    let value = value.and_then(|value| value.checked_mul(10_i128.checked_pow(zeros)?));
    let most = 10_i128.checked_pow(u32::from(*precision)).unwrap_or(i128::MAX);
    match value.filter(|value| *value < most && *value > -most) {
        Some(value) => values.push(value),
        None => return Err(out_of_range(column, &format!("a number of {} bytes", digits.len()))),
    }
    column.nulls.append_non_null();
    Ok(())
}

fn time(column: &mut Column, from: TimeUnit, cursor: &mut Cursor<'_>) -> Result<(), Fail> {
    let (given, per_ms) = match from {
        TimeUnit::Microsecond => (cursor.long()?, 1_000),
        _ => (cursor.int()?.into(), 1),
    };
    let ms = given.div_euclid(per_ms);
    if !(0..DAY_MS).contains(&ms) {
        return Err(out_of_range(column, &given));
    }
    let Data::Time32(values, unit) = &mut column.data else { return Err(bug(column)) };
    let value = if *unit == TimeUnit::Second { ms / 1_000 } else { ms };
    // A day has so few.
    values.push(i32::try_from(value).unwrap_or_default());
    column.nulls.append_non_null();
    Ok(())
}

fn list(
    plan: &Plan,
    schema: &Schema,
    column: &mut Column,
    cursor: &mut Cursor<'_>,
) -> Result<(), Fail> {
    loop {
        let (count, _) = cursor.block()?;
        if count == 0 {
            break;
        }
        let Data::List(_, child) = &mut column.data else { return Err(bug(column)) };
        for _ in 0..count {
            let before = cursor.at();
            value(plan, schema, child, cursor)?;
            cursor.count_empty(before)?;
            child.has_room().map_err(|why| refused(child, why, b""))?;
        }
    }
    column.close_list().map_err(|why| refused(column, why, b""))
}

/// Of pairs with one key the last counts, so values are looked at before they are read.
fn map(
    plan: &Plan,
    of: schema::Id,
    schema: &Schema,
    column: &mut Column,
    cursor: &mut Cursor<'_>,
) -> Result<(), Fail> {
    let mut pairs: Vec<(&[u8], usize)> = Vec::new();
    let mut known: HashMap<&[u8], usize> = HashMap::new();
    loop {
        let (count, _) = cursor.block()?;
        if count == 0 {
            break;
        }
        for _ in 0..count {
            let key = cursor.bytes()?;
            let at = cursor.at();
            schema.skip(of, cursor)?;
            let before = match pairs.len() <= FEW_PAIRS {
                true => pairs.iter().position(|(other, _)| *other == key),
                false => {
                    if known.is_empty() {
                        known = pairs.iter().enumerate().map(|(at, (key, _))| (*key, at)).collect();
                    }
                    known.get(key).copied()
                }
            };
            match before {
                Some(before) => pairs[before].1 = at,
                None => {
                    if !known.is_empty() {
                        known.insert(key, pairs.len());
                    }
                    pairs.push((key, at));
                }
            }
        }
    }
    let end = cursor.at();
    let Data::Map(_, keys, values, _) = &mut column.data else { return Err(bug(column)) };
    for (key, at) in pairs {
        bytes(keys, key)?;
        cursor.set(at);
        value(plan, schema, values, cursor)?;
        values.has_room().map_err(|why| refused(values, why, b""))?;
    }
    cursor.set(end);
    column.close_list().map_err(|why| refused(column, why, b""))
}
