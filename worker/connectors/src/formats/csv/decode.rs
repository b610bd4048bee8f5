//! CSV records to columns.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};

use super::CsvOptions;
use super::check;
use super::split::{Field, Split, split, unescape};
use crate::formats::column::{Column, Data, Refused, finish, shorten};
use crate::formats::{
    DecodeError, Decoded, RecordDecoder, TimestampFormat, encoding, number, time,
};

/// Text in one batch; far below what 32-bit offsets hold.
const FULL_BYTES: usize = 256 << 20;

/// Decodes CSV records; see the module.
pub struct CsvDecoder {
    schema: SchemaRef,
    options: CsvOptions,
    /// Fields that a record must have.
    arity: usize,
    /// Position in the record per column.
    positions: Vec<usize>,
    columns: Vec<Column>,
    rows: usize,
    skipped: u64,
    fields: Vec<Field>,
    scratch: Vec<u8>,
}

/// What is wrong with a record: offset and message.
struct Failure(usize, String);

impl CsvDecoder {
    /// A decoder of the columns `projection` of a table's physical columns.
    ///
    /// # Errors
    /// When a column's type cannot be read from CSV; the message names it.
    pub fn new(
        schema: &SchemaRef,
        projection: &[usize],
        options: CsvOptions,
    ) -> Result<Self, String> {
        let projected = schema.project(projection).map_err(|error| error.to_string())?;
        for field in projected.fields() {
            check(field)?;
        }
        let columns = projected.fields().iter().map(Column::new).collect::<Result<_, _>>()?;
        Ok(Self {
            schema: Arc::new(projected),
            options,
            arity: schema.fields().len(),
            positions: projection.to_vec(),
            columns,
            rows: 0,
            skipped: 0,
            fields: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Appends the record whose fields were found.
    fn take_record(&mut self, data: &[u8], start: usize, end: usize) -> Result<(), Failure> {
        let ignore = self.options.ignore_parse_errors;
        if let Err(error) = std::str::from_utf8(&data[start..end]) {
            return Err(Failure(start + error.valid_up_to(), "not UTF-8".to_owned()));
        }
        if let [.., last] = self.fields[..]
            && self.fields.len() == self.arity + 1
            && data[last.start..last.end].trim_ascii().is_empty()
        {
            // A delimiter behind the last field, as some producers write.
            self.fields.pop();
        }
        // Missing fields are broken values, fields too many a broken record: which of them are
        // the columns' cannot be known.
        if self.fields.len() > self.arity || (self.fields.len() < self.arity && !ignore) {
            return Err(Failure(
                start,
                format!(
                    "the table has {} columns, but the record has {} fields: `{}`",
                    self.arity,
                    self.fields.len(),
                    shorten(data[start..end].trim_ascii_end())
                ),
            ));
        }
        for (column, &position) in self.columns.iter_mut().zip(&self.positions) {
            let field = self.fields.get(position).copied();
            let text = match field {
                Some(field) if field.escaped => {
                    self.scratch.clear();
                    let raw = &data[field.start..field.end];
                    unescape(raw, field.quoted, &self.options, &mut self.scratch);
                    Some(self.scratch.as_slice())
                }
                Some(field) => Some(&data[field.start..field.end]),
                None => None,
            };
            // Of an ARRAY it stands for an element.
            let is_list = matches!(column.data, Data::List(..));
            let text = text.filter(|text| {
                is_list
                    || self
                        .options
                        .null_literal
                        .as_ref()
                        .is_none_or(|null| null.as_bytes() != *text)
            });
            push(column, text, &self.options).map_err(|why| {
                let text = text.unwrap_or_default();
                let mut message = column.refusal(why, text, TimestampFormat::Sql);
                if text.is_empty() && why == Refused::Type {
                    message = format!(
                        "column `{}`: the field is empty; to read that as NULL set \
                         'csv.null-literal' = ''",
                        column.field.name()
                    );
                }
                Failure(field.map_or(start, |field| field.start), message)
            })?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Reads one record, or what stands in its place; `None`: it is incomplete.
    fn step(&mut self, data: &[u8], at: usize, last: bool) -> Result<Option<usize>, DecodeError> {
        let mut fields = std::mem::take(&mut self.fields);
        let found = split(data, at, last, self.arity, &self.options, &mut fields);
        self.fields = fields;
        let (next, failure) = match found {
            Split::Incomplete => return Ok(None),
            Split::Nothing { next } => return Ok(Some(next)),
            Split::Broken { at: place, next, what } => (
                next,
                Failure(place, format!("{what}: `{}`", shorten(data[at..next].trim_ascii_end()))),
            ),
            Split::Record { next } => match self.take_record(data, at, next) {
                Ok(()) => return Ok(Some(next)),
                Err(failure) => (next, failure),
            },
        };
        for column in &mut self.columns {
            column.truncate(self.rows);
        }
        if self.options.ignore_parse_errors {
            self.skipped += 1;
            return Ok(Some(next));
        }
        let Failure(place, mut message) = failure;
        message.push_str("; to go on, correct the data or set 'csv.ignore-parse-errors' = 'true'");
        Err(DecodeError::at(data, at, place, message))
    }
}

fn push(column: &mut Column, text: Option<&[u8]>, options: &CsvOptions) -> Result<(), Refused> {
    let rows = column.len();
    let pushed = match text {
        None => column.push_null(),
        Some(text) if column.field.data_type().is_nested() => push_parts(column, text, options),
        Some(text) => {
            let text = match column.field.data_type() {
                DataType::Utf8 | DataType::Utf8View => text,
                DataType::Time32(_) => whole_seconds(number::trim(text)),
                _ => number::trim(text),
            };
            column.push_text(text, TimestampFormat::Sql)
        }
    };
    match pushed {
        Err(why) if options.ignore_parse_errors => {
            column.truncate(rows);
            column.push_null().map_err(|_| why)
        }
        pushed => pushed,
    }
}

/// The elements of an ARRAY, or the fields of a ROW.
fn push_parts(column: &mut Column, text: &[u8], options: &CsvOptions) -> Result<(), Refused> {
    let blank = text.trim_ascii().is_empty();
    let mut texts = elements(text, options.elements.as_bytes()).map(|text| {
        let is_null = options.null_literal.as_ref().is_some_and(|null| null.as_bytes() == text);
        (!is_null).then_some(text)
    });
    match &mut column.data {
        Data::List(_, item) => {
            if !blank {
                texts.try_for_each(|text| push(item, text, options))?;
            }
            column.close_list()
        }
        Data::Row(fields, _) => {
            let (given, wanted) = (if blank { 0 } else { texts.clone().count() }, fields.len());
            if given != wanted && !options.ignore_parse_errors {
                return Err(Refused::Type);
            }
            let mut texts = texts.take(given);
            for field in fields {
                push(field, texts.next().flatten(), options)?;
            }
            column.nulls.append_non_null();
            Ok(())
        }
        _ => Err(Refused::Type),
    }
}

/// A text cut at every delimiter.
fn elements<'a>(text: &'a [u8], delimiter: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + Clone {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match memchr::memmem::find(text, delimiter) {
            Some(at) => {
                rest = text.get(at + delimiter.len()..);
                text.get(..at)
            }
            None => rest.take(),
        }
    })
}

/// A time of day without its fraction: TIME has none, and Flink cuts it off here (not in JSON).
fn whole_seconds(text: &[u8]) -> &[u8] {
    match (time::parse_time(text), memchr::memchr(b'.', text)) {
        (Some(_), Some(point)) => &text[..point],
        _ => text,
    }
}

impl RecordDecoder for CsvDecoder {
    fn decode(&mut self, data: &[u8], max_rows: usize, last: bool) -> Result<Decoded, DecodeError> {
        let before = self.rows;
        let mut consumed = 0;
        let mut room =
            FULL_BYTES - self.columns.iter().map(Column::text_bytes).sum::<usize>().min(FULL_BYTES);
        while self.rows < max_rows && consumed < data.len() && room > 0 {
            let Some(next) = self.step(data, consumed, last)? else { break };
            room = room.saturating_sub(next - consumed);
            consumed = next;
        }
        Ok(Decoded { consumed, rows: self.rows - before })
    }

    fn decode_message(&mut self, message: &[u8]) -> Result<bool, DecodeError> {
        let before = self.rows;
        let start = match encoding::mark(message) {
            Ok(start) => start,
            Err(_) if self.options.ignore_parse_errors => {
                self.skipped += 1;
                return Ok(false);
            }
            Err(what) => {
                return Err(DecodeError::at(
                    message,
                    0,
                    0,
                    format!("the message begins with {what}"),
                ));
            }
        };
        match self.step(message, start, true)? {
            Some(next) if next < message.len() && self.rows > before => {
                for column in &mut self.columns {
                    column.truncate(before);
                }
                self.rows = before;
                if self.options.ignore_parse_errors {
                    self.skipped += 1;
                    return Ok(false);
                }
                let what = "the message goes on behind its record; one message is one record";
                Err(DecodeError::at(message, 0, next, what.to_owned()))
            }
            _ => Ok(self.rows > before),
        }
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn finish(&mut self) -> Result<RecordBatch, DecodeError> {
        finish(&mut self.columns, &self.schema, std::mem::take(&mut self.rows))
    }

    fn skipped(&self) -> u64 {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::{Field, Int64Type, Schema};
    use proptest::prelude::*;

    use super::*;
    use crate::formats::RecordEncoder;
    use crate::formats::csv::CsvEncoder;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("a", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
            Field::new("b", DataType::Utf8, true),
        ]))
    }

    fn decode(data: &[u8], options: CsvOptions) -> Result<RecordBatch, DecodeError> {
        let mut decoder = CsvDecoder::new(&schema(), &[0, 1, 2], options).unwrap();
        let decoded = decoder.decode(data, 1_000, true)?;
        assert_eq!(decoded.consumed, data.len());
        decoder.finish()
    }

    #[test]
    fn quotes_newlines_and_line_ends_are_understood() {
        let data = b"x,1,y\r\n\"a\"\"b\nc\",2,\n\n\"q\",3,\"r\"";
        let batch = decode(data, CsvOptions::default()).unwrap();
        let a: Vec<_> = batch.column(0).as_string::<i32>().iter().flatten().collect();
        let b: Vec<_> = batch.column(2).as_string::<i32>().iter().flatten().collect();
        assert_eq!(a, ["x", "a\"b\nc", "q"]);
        assert_eq!(b, ["y", "", "r"]);
        assert_eq!(batch.column(1).as_primitive::<Int64Type>().values(), &[1, 2, 3]);
    }

    #[test]
    fn only_the_projected_columns_are_built_in_their_order() {
        let mut decoder = CsvDecoder::new(&schema(), &[2, 1], CsvOptions::default()).unwrap();
        assert!(decoder.decode_message(b"x,7,y").unwrap());
        let batch = decoder.finish().unwrap();
        assert_eq!(batch.column(0).as_string::<i32>().value(0), "y");
        assert_eq!(batch.column(1).as_primitive::<Int64Type>().value(0), 7);
    }

    #[test]
    fn broken_records_are_errors_or_skipped_one_by_one() {
        let data = b"a,1,b\n\"x\"y,2,b\na,z,b\na,4\na,5,b\n";
        let error = decode(data, CsvOptions::default()).unwrap_err();
        assert_eq!((error.line_in_data, error.offset_in_data), (2, 9));
        let ignore = CsvOptions { ignore_parse_errors: true, ..CsvOptions::default() };
        let batch = decode(data, ignore).unwrap();
        let numbers: Vec<_> = batch.column(1).as_primitive::<Int64Type>().iter().collect();
        assert_eq!(numbers, [Some(1), None, Some(4), Some(5)]);
    }

    fn numbers(batch: &RecordBatch) -> Vec<Option<i64>> {
        batch.column(1).as_primitive::<Int64Type>().iter().collect()
    }

    #[test]
    fn a_delimiter_behind_the_last_field_is_no_field() {
        let batch = decode(b"a,1,b,\na,2,b, \r\na,3,,\n", CsvOptions::default()).unwrap();
        assert_eq!(numbers(&batch), [Some(1), Some(2), Some(3)]);
        assert!(decode(b"a,1,b,,\n", CsvOptions::default()).is_err());
    }

    #[test]
    fn a_record_with_too_many_fields_is_skipped_and_counted() {
        let ignore = CsvOptions { ignore_parse_errors: true, ..CsvOptions::default() };
        let mut decoder = CsvDecoder::new(&schema(), &[0, 1, 2], ignore).unwrap();
        decoder.decode(b"a,1,b\nSmith, John,2,b\na,3,b\na,4,b,,\n", 10, true).unwrap();
        assert_eq!(decoder.skipped(), 2);
        assert_eq!(numbers(&decoder.finish().unwrap()), [Some(1), Some(3)]);
    }

    #[test]
    fn an_empty_line_is_a_row_of_a_table_of_one_column() {
        let one = Arc::new(Schema::new(vec![Field::new("a", DataType::Utf8, true)]));
        let mut decoder = CsvDecoder::new(&one, &[0], CsvOptions::default()).unwrap();
        assert_eq!(decoder.decode(b"x\n\ny\r\n\r\n", 10, true).unwrap().rows, 4);
        let rows = decoder.finish().unwrap();
        let rows: Vec<_> = rows.column(0).as_string::<i32>().iter().flatten().collect();
        assert_eq!(rows, ["x", "", "y", ""]);
    }

    #[test]
    fn a_carriage_return_alone_ends_a_record_wherever_the_data_is_cut() {
        let data = b"a,1,b\r\"c\" ,2,d\re,3,f\r\ng,4,h\r";
        for cut in 0..data.len() {
            let mut decoder =
                CsvDecoder::new(&schema(), &[0, 1, 2], CsvOptions::default()).unwrap();
            let first = decoder.decode(&data[..cut], 10, false).unwrap().consumed;
            decoder.decode(&data[first..], 10, true).unwrap();
            let batch = decoder.finish().unwrap();
            assert_eq!(numbers(&batch), [Some(1), Some(2), Some(3), Some(4)], "cut at {cut}");
        }
    }

    #[test]
    fn an_empty_field_is_null_only_where_the_user_says_so() {
        let error = decode(b"a,,b\n", CsvOptions::default()).unwrap_err();
        assert!(error.message.contains("'csv.null-literal' = ''"), "{error}");
        let nulls = CsvOptions { null_literal: Some(String::new()), ..CsvOptions::default() };
        assert_eq!(decode(b"a,,b\n", nulls).unwrap().column(1).null_count(), 1);
    }

    fn nested() -> SchemaRef {
        let item = |of| Arc::new(Field::new_list_field(of, true));
        let fields = vec![
            Field::new("city", DataType::Utf8, true),
            Field::new("at", DataType::Float64, true),
        ];
        Arc::new(Schema::new(vec![
            Field::new("tags", DataType::List(item(DataType::Utf8)), true),
            Field::new("numbers", DataType::List(item(DataType::Int32)), true),
            Field::new("place", DataType::Struct(fields.into()), true),
        ]))
    }

    fn decode_nested(data: &str, options: &CsvOptions) -> Result<RecordBatch, DecodeError> {
        let mut decoder = CsvDecoder::new(&nested(), &[0, 1, 2], options.clone()).unwrap();
        decoder.decode(data.as_bytes(), 1_000, true)?;
        decoder.finish()
    }

    #[test]
    fn arrays_and_rows_are_fields_with_delimiters_within() {
        let options = CsvOptions { null_literal: Some("n/a".to_owned()), ..CsvOptions::default() };
        let data = "a;b;,1;2,Bonn;7.5\nn/a;\"x,y\",n/a;-1,n/a\n,n/a,Rome;n/a\n";
        let data = data.replace("n/a;\"x,y\"", "\"n/a;x,y\"");
        let batch = decode_nested(&data, &options).unwrap();
        let shown = |column: usize| -> Vec<String> {
            let column = batch.column(column);
            let options = arrow::util::display::FormatOptions::new().with_null("NULL");
            let shown = arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap();
            (0..column.len()).map(|row| shown.value(row).to_string()).collect()
        };
        assert_eq!(shown(0), ["[a, b, ]", "[NULL, x,y]", "[]"]);
        assert_eq!(shown(1), ["[1, 2]", "[NULL, -1]", "[NULL]"]);
        assert_eq!(shown(2), ["{city: Bonn, at: 7.5}", "NULL", "{city: Rome, at: NULL}"]);
        let mut again = Vec::new();
        let mut encoder = CsvEncoder::new(nested(), options.clone()).unwrap();
        encoder.encode(&batch, &mut again).unwrap();
        assert_eq!(String::from_utf8_lossy(&again), data);
        let other = CsvOptions { elements: " | ".to_owned(), ..options };
        let again = decode_nested("a | b,1 | 2,Bonn | 7.5\n", &other).unwrap();
        assert_eq!(again.column(1), &batch.column(1).slice(0, 1));
    }

    #[test]
    fn elements_that_are_no_values_are_errors_or_null() {
        let options = CsvOptions::default();
        for broken in ["a,1;x,Bonn;7.5\n", "a,1,Bonn\n", "a,1,Bonn;1;2\n"] {
            decode_nested(broken, &options).unwrap_err();
        }
        let ignore = CsvOptions { ignore_parse_errors: true, ..options };
        let batch = decode_nested("a,1;x,Bonn\n", &ignore).unwrap();
        assert_eq!(batch.column(1).as_list::<i32>().value(0).null_count(), 1);
        assert_eq!(batch.column(2).as_struct().column(1).null_count(), 1);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_however_it_is_cut(
            rows in prop::collection::vec(
                ("[a-c\",;\n\r\\\\# é]{0,12}", any::<i64>(), "[a-z,\" ]{0,40}"), 1..12),
            cuts in prop::collection::vec(any::<usize>(), 0..5),
            escape in any::<bool>(),
        ) {
            let options = CsvOptions { escape: escape.then_some(b'\\'), ..CsvOptions::default() };
            let batch = RecordBatch::try_new(schema(), vec![
                Arc::new(arrow::array::StringArray::from_iter_values(rows.iter().map(|r| &r.0))),
                Arc::new(arrow::array::Int64Array::from_iter_values(rows.iter().map(|r| r.1))),
                Arc::new(arrow::array::StringArray::from_iter_values(rows.iter().map(|r| &r.2))),
            ]).unwrap();
            let mut data = Vec::new();
            CsvEncoder::new(schema(), options.clone()).unwrap().encode(&batch, &mut data).unwrap();
            let mut ends: Vec<_> = cuts.iter().map(|cut| cut % data.len()).collect();
            ends.sort_unstable();
            ends.push(data.len());
            let mut decoder = CsvDecoder::new(&schema(), &[0, 1, 2], options).unwrap();
            let mut start = 0;
            for &end in &ends {
                let piece: Box<[u8]> = data[start.min(end)..end].into();
                start += decoder.decode(&piece, 1_000, end == data.len()).unwrap().consumed;
            }
            prop_assert_eq!(decoder.finish().unwrap(), batch, "{}", String::from_utf8_lossy(&data));
        }

        #[test]
        fn random_bytes_never_panic(
            data in prop::collection::vec(
                prop_oneof![prop::sample::select(b"\",\n\r\\#a1".to_vec()), any::<u8>()], 0..200),
            escape in any::<bool>(),
            last in any::<bool>(),
        ) {
            let options = CsvOptions {
                escape: escape.then_some(b'\\'),
                ignore_parse_errors: true,
                comments: true,
                ..CsvOptions::default()
            };
            let mut decoder = CsvDecoder::new(&schema(), &[1, 0], options).unwrap();
            let data: Box<[u8]> = data.into();
            let decoded = decoder.decode(&data, 1_000, last).unwrap();
            prop_assert!(decoded.consumed <= data.len());
            prop_assert!(!last || decoded.consumed == data.len());
            prop_assert_eq!(decoder.finish().unwrap().num_rows(), decoded.rows);
        }
    }
}
