//! JSON, one object per line or per message.
//!
//! ```text
//! bytes ─ 16 KiB ─▶ simd: index of quotes and newlines
//!                     │
//!                     ▼            no match
//!                   layout ───────────────────▶ scan: full walk, learns a layout
//!                     │ spans of wanted values     │
//!                     └──────────────┬─────────────┘
//!                                    ▼
//!                                  value ─▶ column
//! ```
//!
//! What always holds: a row is accepted or refused alike on both ways; a newline ends a record
//! wherever it stands, so a broken row never takes its neighbour with it.

mod array;
mod encode;
mod layout;
mod scan;
mod simd;
#[cfg(test)]
mod tests;
mod value;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use self::layout::Layout;
use self::scan::{Broken, Notes, Token};
use self::simd::Index;
use self::value::{Converter, Fields, Problem, Row};
use super::column::{Column, finish};
use super::{DecodeError, Decoded, RecordDecoder, TimestampFormat, encoding};

pub use encode::JsonEncoder;
pub(in crate::formats) use encode::member_names;

/// Indexed at a time: small enough that the window is still in the first caches when its rows
/// are matched.
const WINDOW: usize = 16 << 10;
/// Text in one batch; far below what 32-bit offsets hold.
const FULL_BYTES: usize = 256 << 20;
/// Layouts kept: variants of rows, such as with and without an optional field.
const LAYOUTS: usize = 4;
/// After so many rows in a row that no layout fitted, learning pauses …
const MISSES: u32 = 32;
/// … for so many rows.
const PAUSE: u32 = 2_000;

/// The `json.*` options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct JsonOptions {
    /// `json.fail-on-missing-field`: a missing field is an error instead of NULL.
    pub fail_on_missing_field: bool,
    /// `json.ignore-parse-errors`: broken rows are skipped, broken values become NULL.
    pub ignore_parse_errors: bool,
    /// `json.timestamp-format.standard`.
    pub timestamp_format: TimestampFormat,
    /// `json.encode.decimal-as-plain-number`: never an exponent.
    pub decimal_as_plain_number: bool,
    /// `json.encode.ignore-null-fields`: NULL fields are left out.
    pub ignore_null_fields: bool,
}

/// Decodes JSON objects; see the module.
pub struct JsonDecoder {
    /// The format whose options an error speaks of.
    format: &'static str,
    schema: SchemaRef,
    fields: Fields,
    columns: Vec<Column>,
    rows: usize,
    skipped: u64,
    converter: Converter,
    index: Index,
    predictor: Predictor,
    /// One per wanted field, at any depth, and one for values that nobody wants.
    tokens: Vec<Token>,
}

/// The layouts and when to learn another.
#[derive(Default)]
struct Predictor {
    layouts: Vec<Layout>,
    /// The one that fitted last.
    current: usize,
    /// The one that the next to be learnt replaces.
    oldest: usize,
    misses: u32,
    pause: u32,
    notes: Notes,
}

impl Predictor {
    #[inline]
    fn find(
        &mut self,
        window: &[u8],
        index: &Index,
        entry: usize,
        start: usize,
        tokens: &mut [Token],
    ) -> Option<usize> {
        let count = self.layouts.len();
        for turn in 0..count {
            let candidate = (self.current + turn) % count;
            let layout = self.layouts.get(candidate)?;
            if let Some(newline) = layout.find(window, index, entry, start, tokens) {
                self.current = candidate;
                self.misses = 0;
                return Some(newline);
            }
        }
        None
    }

    /// Whether the row that no layout fitted should be learnt.
    fn wants_to_learn(&mut self) -> bool {
        if self.pause > 0 {
            self.pause -= 1;
            return false;
        }
        self.misses += 1;
        if self.misses > MISSES {
            (self.misses, self.pause) = (0, PAUSE);
        }
        true
    }

    fn keep(&mut self, layout: Layout) {
        if self.layouts.len() < LAYOUTS {
            self.current = self.layouts.len();
            self.layouts.push(layout);
        } else if let Some(place) = self.layouts.get_mut(self.oldest) {
            *place = layout;
            self.current = self.oldest;
            self.oldest = (self.oldest + 1) % LAYOUTS;
        }
    }
}

/// Where a row stands for an error: offsets relative to the window.
struct Failure {
    at: usize,
    message: String,
    /// The record itself is not JSON, as opposed to a value that a column does not take.
    broken: bool,
}

impl JsonDecoder {
    /// A decoder of the columns of `schema`, which are fields of the object by name.
    ///
    /// # Errors
    /// When a column's type cannot be read from JSON; the message names it.
    pub fn new(schema: SchemaRef, options: JsonOptions) -> Result<Self, String> {
        let fields = schema.fields();
        let columns = fields.iter().map(Column::new).collect::<Result<Vec<_>, _>>()?;
        let fields = Fields::new(fields);
        Ok(Self {
            format: "json",
            tokens: vec![Token::MISSING; fields.slots + 1],
            fields,
            columns,
            rows: 0,
            skipped: 0,
            converter: Converter::new(options),
            index: Index::default(),
            predictor: Predictor::default(),
            schema,
        })
    }

    /// The same, as part of another format.
    pub(in crate::formats) fn of_format(self, format: &'static str) -> Self {
        Self { format, ..self }
    }

    /// Decodes the lines in the first `length` bytes, whose index is built; what follows is
    /// only loaded, never used. Returns the bytes consumed.
    fn window(
        &mut self,
        window: &[u8],
        length: usize,
        max_rows: usize,
    ) -> Result<usize, (usize, Failure)> {
        let mut unchecked = self.index.any_non_ascii;
        if unchecked && let Some(end) = memchr::memrchr(b'\n', &window[..length]) {
            // Once for all lines; line by line only where one of them is not UTF-8.
            unchecked = simdutf8::basic::from_utf8(&window[..end]).is_err();
        }
        let (mut at, mut entry) = (0, 0);
        while self.rows < max_rows {
            if !unchecked
                && let Some(newline) =
                    self.predictor.find(window, &self.index, entry, at, &mut self.tokens)
            {
                self.take_row(window).map_err(|failure| (at, failure))?;
                at = self.index.entries.get(newline).map_or(at, |&end| end as usize + 1);
                entry = newline + 1;
                continue;
            }
            let first = entry;
            let newline = loop {
                let Some(&position) = self.index.entries.get(entry) else { return Ok(at) };
                entry += 1;
                if window[position as usize] == b'\n' {
                    break position as usize;
                }
            };
            let learn = self.predictor.wants_to_learn();
            let walked = self.walk(&window[at..newline], unchecked, learn);
            if walked.is_err() && array::is_array(&window[at..newline]) {
                let record = &window[at..newline];
                self.take_array(record, window, at).map_err(|failure| (at, failure))?;
                at = newline + 1;
                continue;
            }
            self.settle(walked, window, at).map_err(|failure| (at, failure))?;
            if learn {
                self.learn(window, first, (at, newline));
            }
            at = newline + 1;
        }
        Ok(at)
    }

    fn learn(&mut self, window: &[u8], first: usize, row: (usize, usize)) {
        let notes = std::mem::take(&mut self.predictor.notes);
        if let Some(layout) = Layout::learn(window, &self.index, first, row, &notes) {
            self.predictor.keep(layout);
        }
        self.predictor.notes = notes;
    }

    /// Walks a record in full; `false` for an empty one. Tokens are relative to the record.
    fn walk(&mut self, record: &[u8], unchecked: bool, learn: bool) -> Result<bool, Broken> {
        let notes = &mut self.predictor.notes;
        notes.clear();
        if record.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')) {
            notes.unfit = true;
            return Ok(false);
        }
        if unchecked && let Err(error) = std::str::from_utf8(record) {
            notes.unfit = true;
            // Files are looked at once where they begin; a message has only its record.
            let what = encoding::mark(record).err().unwrap_or("not UTF-8");
            return Err(Broken { at: error.valid_up_to(), what });
        }
        let tokens = self.tokens.get_mut(..self.fields.slots).unwrap_or_default();
        let names = &self.fields.names;
        let walked = scan::object(record, names, tokens, learn.then_some(&mut *notes));
        if walked.is_err() {
            notes.unfit = true;
        }
        walked.map(|()| true)
    }

    /// Appends the row that was walked at `at`, or handles that it was broken.
    fn settle(
        &mut self,
        walked: Result<bool, Broken>,
        window: &[u8],
        at: usize,
    ) -> Result<(), Failure> {
        match walked {
            Ok(false) => Ok(()),
            Ok(true) => {
                for token in &mut self.tokens {
                    token.start += at;
                    token.end += at;
                }
                self.take_row(window)
            }
            Err(_) if self.converter.options.ignore_parse_errors => {
                self.skipped += 1;
                Ok(())
            }
            Err(broken) => {
                Err(Failure { at: at + broken.at, message: broken.what.to_owned(), broken: true })
            }
        }
    }

    /// Appends the row whose values the tokens tell.
    #[inline]
    fn take_row(&mut self, window: &[u8]) -> Result<(), Failure> {
        let row = Row { data: window, tokens: &self.tokens };
        for (column, field) in self.columns.iter_mut().zip(&self.fields.fields) {
            if let Err(problem) = self.converter.push(column, &field.shape, row, field.slot) {
                return self.revoke_row(problem);
            }
        }
        self.rows += 1;
        Ok(())
    }

    #[cold]
    fn revoke_row(&mut self, problem: Problem) -> Result<(), Failure> {
        for column in &mut self.columns {
            column.truncate(self.rows);
        }
        if self.converter.options.ignore_parse_errors {
            self.skipped += 1;
            return Ok(());
        }
        Err(Failure { at: problem.at, message: problem.message, broken: false })
    }

    /// Decodes one record of any length, without the index.
    fn record(&mut self, record: &[u8], is_line: bool) -> Result<(), Failure> {
        let walked = self.walk(record, true, false);
        if is_line && walked.is_err() && array::is_array(record) {
            return self.take_array(record, record, 0);
        }
        self.settle(walked, record, 0)
    }

    fn error(&self, data: &[u8], record: usize, failure: Failure) -> DecodeError {
        // A missing field has no place of its own; the record's has to do.
        let at = failure.at.max(record);
        let end = memchr::memchr(b'\n', &data[record..]).map_or(data.len(), |n| record + n);
        let mut message = failure.message;
        if failure.broken {
            message = format!(
                "not a JSON object: {message}, at byte {} of `{}`",
                at - record,
                super::column::shorten(&data[record..end])
            );
        }
        message.push_str(&format!(
            "; to go on, correct the data or set '{}.ignore-parse-errors' = 'true'",
            self.format
        ));
        DecodeError::at(data, record, at, message)
    }

    fn is_full(&self) -> bool {
        self.columns.iter().map(Column::text_bytes).sum::<usize>() > FULL_BYTES
    }
}

impl RecordDecoder for JsonDecoder {
    fn decode(&mut self, data: &[u8], max_rows: usize, last: bool) -> Result<Decoded, DecodeError> {
        let before = self.rows;
        let mut consumed = 0;
        while self.rows < max_rows && consumed < data.len() && !self.is_full() {
            let rest = &data[consumed..];
            let length = rest.len().min(WINDOW);
            self.index.build(&rest[..length]);
            let read = self.window(rest, length, max_rows).map_err(|(record, failure)| {
                let failure = Failure { at: consumed + failure.at, ..failure };
                self.error(data, consumed + record, failure)
            })?;
            consumed += read;
            if read > 0 {
                continue;
            }
            // No line ends in the window: a long line, or the last one.
            let end = match memchr::memchr(b'\n', &rest[length..]) {
                Some(found) => length + found,
                None if last => rest.len(),
                None => break,
            };
            self.record(&rest[..end], true).map_err(|failure| {
                let failure = Failure { at: consumed + failure.at, ..failure };
                self.error(data, consumed, failure)
            })?;
            consumed += (end + 1).min(rest.len());
        }
        Ok(Decoded { consumed, rows: self.rows - before })
    }

    fn decode_message(&mut self, message: &[u8]) -> Result<bool, DecodeError> {
        let before = self.rows;
        if message.len() > WINDOW {
            self.record(message, false).map_err(|failure| self.error(message, 0, failure))?;
            return Ok(self.rows > before);
        }
        self.short_message(message).map_err(|failure| self.error(message, 0, failure))?;
        Ok(self.rows > before)
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

impl JsonDecoder {
    /// A message that fits into a window.
    fn short_message(&mut self, message: &[u8]) -> Result<(), Failure> {
        self.index.build(message);
        // Where a line has its newline.
        self.index.entries.push(u32::try_from(message.len()).unwrap_or(u32::MAX));
        let unchecked = self.index.any_non_ascii && simdutf8::basic::from_utf8(message).is_err();
        if !unchecked {
            let found = self.predictor.find(message, &self.index, 0, 0, &mut self.tokens);
            // White space may hold newlines, but only the last one ends the message.
            if found.is_some_and(|end| end + 1 == self.index.entries.len()) {
                return self.take_row(message);
            }
        }
        let learn = self.predictor.wants_to_learn();
        let walked = self.walk(message, unchecked, learn);
        self.settle(walked, message, 0)?;
        // Lines of files could match a layout with newlines only by being something else.
        if learn && !message.contains(&b'\n') {
            self.learn(message, 0, (0, message.len()));
        }
        Ok(())
    }
}
