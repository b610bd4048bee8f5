//! Records of changes → rows with their kinds.
//!
//! A record is read as JSON into columns of its own ([`envelope`]); rows are then taken out of
//! them, all of a batch at once. Of an update in `old` also has to be known which fields stand
//! there, NULL or not: the record is read a second time, into the names of `old` alone.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, RecordBatchOptions, StringArray,
    StructArray, UInt8Array, UInt32Array,
};
use arrow::compute::{interleave, take};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use regex::Regex;
use weir_engine::batch::RowKind;

use super::metadata::{Broken, Columns};
use super::{ChangeOptions, Dialect, code, with_kind};
use crate::formats::json::JsonDecoder;
use crate::formats::metadata::Wanted;
use crate::formats::{DecodeError, Decoded, RecordDecoder};

/// Reads records of one dialect.
pub(crate) struct ChangeDecoder {
    dialect: Dialect,
    /// What comes out: the wanted columns, those of metadata, and the kinds.
    schema: SchemaRef,
    metadata: Columns,
    /// Records whose metadata cannot be read.
    broken: Broken,
    in_payload: bool,
    skips_broken: bool,
    records: JsonDecoder,
    /// Which fields of `old` are there.
    old: Option<JsonDecoder>,
    /// The records that count, by a member and what its text must match.
    filters: Vec<(&'static str, Regex)>,
    skipped: u64,
    /// Of which record each of the rows is that were taken last.
    records_of: Vec<u32>,
}

fn row_of(schema: &Schema) -> DataType {
    let nullable = |field: &Arc<Field>| Arc::new(field.as_ref().clone().with_nullable(true));
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().map(nullable).collect();
    if fields.is_empty() {
        // Whether the row is there has to be seen all the same.
        fields.push(Arc::new(Field::new("no column", DataType::Utf8, true)));
    }
    DataType::Struct(fields.into())
}

fn list_of(of: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", of, true)))
}

/// From the names of members to their values as text.
fn members() -> DataType {
    let entry = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false)
}

/// The columns of a record.
fn envelope(options: &ChangeOptions, row: &DataType, metadata: &Columns) -> Vec<Field> {
    let with = |mut fields: Vec<Field>, beside: bool| {
        for member in metadata.members(beside) {
            if fields.iter().all(|field| field.name() != member.name()) {
                fields.push(member);
            }
        }
        fields
    };
    let field = |name: &str, of: DataType| Field::new(name, of, true);
    let text = |name: &str| field(name, DataType::Utf8);
    let of = match options.dialect {
        Dialect::Debezium => {
            vec![field("before", row.clone()), field("after", row.clone()), text("op")]
        }
        Dialect::Ogg => {
            vec![field("before", row.clone()), field("after", row.clone()), text("op_type")]
        }
        Dialect::Maxwell => {
            vec![field("data", row.clone()), field("old", row.clone()), text("type")]
        }
        Dialect::Canal => vec![
            field("data", list_of(row.clone())),
            field("old", list_of(row.clone())),
            text("type"),
            text("database"),
            text("table"),
        ],
    };
    let of = with(of, false);
    let of = match options.schema_include {
        true => vec![field("payload", DataType::Struct(of.into()))],
        false => of,
    };
    with(of, true)
}

/// The names of a map, of `old`.
fn names_at(maps: &MapArray, at: usize) -> HashSet<&str> {
    let offsets = maps.value_offsets();
    let range = match (offsets.get(at), offsets.get(at + 1)) {
        (Some(&from), Some(&to)) if maps.is_valid(at) => from as usize..to as usize,
        _ => 0..0,
    };
    let keys = maps.keys().as_string::<i32>();
    range.map(|entry| keys.value(entry)).collect()
}

/// What a record says happens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Insert,
    Update,
    Delete,
    /// Of something else than rows.
    Nothing,
}

fn change(dialect: Dialect, said: &str) -> Option<Change> {
    Some(match (dialect, said) {
        (Dialect::Debezium, "c" | "r") | (Dialect::Ogg, "I") => Change::Insert,
        (Dialect::Debezium, "u") | (Dialect::Ogg, "U") => Change::Update,
        (Dialect::Debezium, "d") | (Dialect::Ogg, "D") => Change::Delete,
        (Dialect::Maxwell, "insert") | (Dialect::Canal, "INSERT") => Change::Insert,
        (Dialect::Maxwell, "update") | (Dialect::Canal, "UPDATE") => Change::Update,
        (Dialect::Maxwell, "delete") | (Dialect::Canal, "DELETE") => Change::Delete,
        // Of a table's definition.
        (Dialect::Canal, "CREATE") => Change::Nothing,
        _ => return None,
    })
}

/// Rows that are taken out of records: each with its kind and, by column, whether from the newer
/// or the older of two rows, and which of them.
#[derive(Default)]
struct Taken {
    kinds: Vec<u8>,
    /// The record of each.
    records: Vec<u32>,
    from: Vec<Vec<(usize, usize)>>,
}

const NEW: usize = 0;
const OLD: usize = 1;

impl Taken {
    fn new(columns: usize) -> Self {
        Self { from: vec![Vec::new(); columns], ..Self::default() }
    }

    fn row(&mut self, record: usize, kind: RowKind, from: impl Fn(usize) -> (usize, usize)) {
        self.kinds.push(code(kind));
        self.records.push(record as u32);
        for (column, places) in self.from.iter_mut().enumerate() {
            places.push(from(column));
        }
    }
}

/// A record that is no change of a row.
struct Wrong {
    record: usize,
    message: String,
}

/// Names of one record would stand beside another.
fn disagree() -> DecodeError {
    DecodeError {
        offset_in_data: 0,
        record_in_data: 0,
        line_in_data: 1,
        message: "'old' was read where the record was not, or the reverse; this is a bug"
            .to_owned(),
    }
}

/// What cannot be: the columns are those that were asked for.
fn bug(error: impl std::fmt::Display) -> Wrong {
    Wrong { record: 0, message: format!("{error}; this is a bug") }
}

impl ChangeDecoder {
    /// Of the columns of `schema`, which are members of a record's rows by name, and behind them of
    /// metadata.
    ///
    /// # Errors
    /// When a column cannot be read from JSON, or an option is no regular expression; the message
    /// names it.
    pub(crate) fn new(
        schema: &SchemaRef,
        metadata: &[Wanted],
        options: &ChangeOptions,
    ) -> Result<Self, String> {
        let row = row_of(schema);
        let metadata = Columns::new(options.dialect, metadata)?;
        let records = Arc::new(Schema::new(envelope(options, &row, &metadata)));
        let fields: Vec<_> = schema.fields().iter().cloned().chain(metadata.fields()).collect();
        let names = match options.dialect {
            Dialect::Debezium | Dialect::Ogg => None,
            Dialect::Maxwell => Some(members()),
            Dialect::Canal => Some(list_of(members())),
        };
        let old = names.map(|of| Arc::new(Schema::new(vec![Field::new("old", of, true)])));
        let pattern = |(member, given): (&'static str, &Option<String>)| {
            given.as_ref().map(|given| match Regex::new(&format!("^(?:{given})$")) {
                Ok(pattern) => Ok((member, pattern)),
                Err(error) => Err(format!("'canal-json.{member}.include': {error}")),
            })
        };
        let filters = [("database", &options.database), ("table", &options.table)];
        Ok(Self {
            dialect: options.dialect,
            schema: with_kind(&Schema::new(fields)),
            metadata,
            broken: Broken::new(),
            in_payload: options.schema_include,
            skips_broken: options.json.ignore_parse_errors,
            records: JsonDecoder::new(records, options.json)?.of_format(options.dialect.name()),
            old: old.map(|schema| JsonDecoder::new(schema, options.json)).transpose()?,
            filters: filters.into_iter().filter_map(pattern).collect::<Result<_, _>>()?,
            skipped: 0,
            records_of: Vec::new(),
        })
    }

    /// The rows of these records.
    fn rows_of(
        &mut self,
        records: &RecordBatch,
        old: Option<&RecordBatch>,
    ) -> Result<RecordBatch, Wrong> {
        let payload = self.in_payload.then(|| records.column(0).as_struct().clone());
        let member = |name: &str| match &payload {
            Some(payload) => payload.column_by_name(name).cloned(),
            None => records.column_by_name(name).cloned(),
        };
        let member = |name: &str| member(name).ok_or_else(|| bug(format!("no member '{name}'")));
        let (new_name, old_name, kind_name) = match self.dialect {
            Dialect::Debezium => ("after", "before", "op"),
            Dialect::Ogg => ("after", "before", "op_type"),
            Dialect::Maxwell | Dialect::Canal => ("data", "old", "type"),
        };
        let (new, older, said) = (member(new_name)?, member(old_name)?, member(kind_name)?);
        let said = said.as_string::<i32>();
        let counts = self.counts(records)?;
        let (beside, broken) = self.metadata.values(records, payload.as_ref()).map_err(bug)?;
        self.broken = broken;
        let columns = self.schema.fields().len() - beside.len() - 1;
        let mut taken = Taken::new(columns);
        let (new_rows, old_rows) = match self.dialect {
            Dialect::Canal => {
                let (new, older) = (new.as_list::<i32>(), older.as_list::<i32>());
                let names = old.map(|old| old.column(0).as_list::<i32>());
                self.take_lists(said, &counts, new, older, names, &mut taken)?;
                (new.values().as_struct().clone(), older.values().as_struct().clone())
            }
            Dialect::Maxwell => {
                let (new, older) = (new.as_struct().clone(), older.as_struct().clone());
                let names = old.map(|old| old.column(0).as_map());
                self.take_data(said, &new, &older, names, &mut taken)?;
                (new, older)
            }
            Dialect::Debezium | Dialect::Ogg => {
                let (new, older) = (new.as_struct().clone(), older.as_struct().clone());
                self.take_whole(said, payload.as_ref(), &new, &older, &mut taken)?;
                (new, older)
            }
        };
        let rows = taken.kinds.len();
        self.records_of = taken.records;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns + beside.len() + 1);
        for (column, places) in taken.from.iter().enumerate() {
            let of: [&dyn Array; 2] = [new_rows.column(column), old_rows.column(column)];
            arrays.push(interleave(&of, places).map_err(bug)?);
        }
        let of = UInt32Array::from(self.records_of.clone());
        for values in &beside {
            arrays.push(take(values, &of, None).map_err(bug)?);
        }
        arrays.push(Arc::new(UInt8Array::from(taken.kinds)));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options).map_err(bug)
    }

    /// Which records are of the databases and tables that were asked for.
    fn counts(&self, records: &RecordBatch) -> Result<Vec<bool>, Wrong> {
        let mut counts = vec![true; records.num_rows()];
        for (member, pattern) in &self.filters {
            let texts = records
                .column_by_name(member)
                .ok_or_else(|| bug(format!("no member '{member}'")))?
                .as_string::<i32>();
            for (counts, text) in counts.iter_mut().zip(texts) {
                *counts &= text.is_some_and(|text| pattern.is_match(text));
            }
        }
        Ok(counts)
    }

    /// What a record says; nothing of one that is passed over because it is broken.
    fn change(&mut self, said: &StringArray, record: usize) -> Result<Change, Wrong> {
        let text = said.is_valid(record).then(|| said.value(record));
        match text.and_then(|text| change(self.dialect, text)) {
            Some(Change::Nothing) => Ok(Change::Nothing),
            Some(change) => match self.broken.get(&record).cloned() {
                Some(message) => self.broken(record, message),
                None => Ok(change),
            },
            None => {
                let member = match self.dialect {
                    Dialect::Debezium => "op",
                    Dialect::Ogg => "op_type",
                    Dialect::Maxwell | Dialect::Canal => "type",
                };
                let found = text.map_or("NULL or missing".to_owned(), |text| format!("'{text}'"));
                self.broken(
                    record,
                    format!(
                        "'{member}' of a record is {found}, which is no change of a row in \
                     '{}'; choose the format that the records have",
                        self.dialect.name()
                    ),
                )
            }
        }
    }

    fn broken(&mut self, record: usize, message: String) -> Result<Change, Wrong> {
        if self.skips_broken {
            self.skipped += 1;
            return Ok(Change::Nothing);
        }
        Err(Wrong { record, message })
    }

    /// Both rows stand there whole.
    fn take_whole(
        &mut self,
        said: &StringArray,
        payload: Option<&StructArray>,
        new: &StructArray,
        older: &StructArray,
        taken: &mut Taken,
    ) -> Result<(), Wrong> {
        for record in 0..said.len() {
            if payload.is_some_and(|payload| payload.is_null(record)) {
                let message = "a record has no 'payload'; leave 'debezium-json.schema-include' out";
                self.broken(record, message.to_owned())?;
                continue;
            }
            let mut change = self.change(said, record)?;
            let needs = |change: Change| match change {
                Change::Insert => (true, false),
                Change::Update => (true, true),
                Change::Delete => (false, true),
                Change::Nothing => (false, false),
            };
            let (needs_new, needs_old) = needs(change);
            if needs_old && older.is_null(record) {
                change = self.broken(
                    record,
                    "an update or delete has no 'before'; let the database log whole rows (in \
                     PostgreSQL: ALTER TABLE … REPLICA IDENTITY FULL)"
                        .to_owned(),
                )?;
            } else if needs_new && new.is_null(record) {
                change = self.broken(record, "an insert or update has no 'after'".to_owned())?;
            }
            match change {
                Change::Insert => taken.row(record, RowKind::Insert, |_| (NEW, record)),
                Change::Update => {
                    taken.row(record, RowKind::UpdateBefore, |_| (OLD, record));
                    taken.row(record, RowKind::UpdateAfter, |_| (NEW, record));
                }
                Change::Delete => taken.row(record, RowKind::Delete, |_| (OLD, record)),
                Change::Nothing => {}
            }
        }
        Ok(())
    }

    /// `data` is the row, and `old` has the fields of it that were otherwise.
    fn take_data(
        &mut self,
        said: &StringArray,
        new: &StructArray,
        older: &StructArray,
        names: Option<&MapArray>,
        taken: &mut Taken,
    ) -> Result<(), Wrong> {
        for record in 0..said.len() {
            let mut change = self.change(said, record)?;
            if change != Change::Nothing && new.is_null(record) {
                change = self.broken(record, "a record has no 'data'".to_owned())?;
            } else if change == Change::Update && older.is_null(record) {
                change = self.broken(record, "an update has no 'old'".to_owned())?;
            }
            let there = names.filter(|_| change == Change::Update);
            let there = there.map(|names| names_at(names, record)).unwrap_or_default();
            self.take_change(record, change, [record, record], &there, taken);
        }
        Ok(())
    }

    /// As [`Self::take_data`], of several rows a record.
    fn take_lists(
        &mut self,
        said: &StringArray,
        counts: &[bool],
        new: &ListArray,
        older: &ListArray,
        names: Option<&ListArray>,
        taken: &mut Taken,
    ) -> Result<(), Wrong> {
        for record in (0..said.len()).filter(|&record| counts[record]) {
            let mut change = self.change(said, record)?;
            if change != Change::Nothing && new.is_null(record) {
                change = self.broken(record, "a record has no 'data'".to_owned())?;
            }
            let rows = new.value_length(record) as usize;
            let is_short = older.is_null(record) || (older.value_length(record) as usize) < rows;
            if change == Change::Update && is_short {
                change = self
                    .broken(record, "'old' of an update has fewer rows than 'data'".to_owned())?;
            }
            let first = |lists: &ListArray| lists.value_offsets()[record] as usize;
            let (first_new, first_old) = (first(new), first(older));
            let no_row = |row: usize| older.values().is_null(first_old + row);
            if change == Change::Update && (0..rows).any(no_row) {
                change =
                    self.broken(record, "a part of 'old' of an update is no row".to_owned())?;
            }
            for row in 0..rows {
                // The names were read by themselves: they have places of their own.
                let there = names
                    .filter(|_| change == Change::Update)
                    .map(|names| names_at(names.values().as_map(), first(names) + row));
                let there = there.unwrap_or_default();
                self.take_change(record, change, [first_new + row, first_old + row], &there, taken);
            }
        }
        Ok(())
    }

    /// Takes a row of `data` and what it was.
    fn take_change(
        &self,
        record: usize,
        change: Change,
        [new, older]: [usize; 2],
        there: &HashSet<&str>,
        taken: &mut Taken,
    ) {
        match change {
            Change::Insert => taken.row(record, RowKind::Insert, |_| (NEW, new)),
            Change::Delete => taken.row(record, RowKind::Delete, |_| (NEW, new)),
            Change::Update => {
                let fields = self.schema.fields();
                taken.row(record, RowKind::UpdateBefore, |column| {
                    match there.contains(fields[column].name().as_str()) {
                        true => (OLD, older),
                        false => (NEW, new),
                    }
                });
                taken.row(record, RowKind::UpdateAfter, |_| (NEW, new));
            }
            Change::Nothing => {}
        }
    }
}

impl RecordDecoder for ChangeDecoder {
    fn decode(&mut self, data: &[u8], max_rows: usize, last: bool) -> Result<Decoded, DecodeError> {
        let decoded = self.records.decode(data, max_rows, last)?;
        if let Some(old) = &mut self.old {
            let names = old.decode(&data[..decoded.consumed], max_rows, last)?;
            if (names.rows, names.consumed) != (decoded.rows, decoded.consumed) {
                return Err(disagree());
            }
        }
        Ok(decoded)
    }

    fn decode_message(&mut self, message: &[u8]) -> Result<bool, DecodeError> {
        // Behind a delete stands an empty message, for Kafka alone.
        let is_row = !message.is_empty() && self.records.decode_message(message)?;
        if let Some(old) = self.old.as_mut().filter(|_| is_row)
            && !old.decode_message(message)?
        {
            return Err(disagree());
        }
        Ok(is_row)
    }

    fn rows(&self) -> usize {
        self.records.rows()
    }

    fn finish(&mut self) -> Result<RecordBatch, DecodeError> {
        let records = self.records.finish()?;
        let old = self.old.as_mut().map(RecordDecoder::finish).transpose()?;
        self.rows_of(&records, old.as_ref()).map_err(|Wrong { record, message }| {
            self.records_of = vec![record as u32];
            DecodeError { offset_in_data: 0, record_in_data: 0, line_in_data: 1, message }
        })
    }

    fn records_of(&self) -> Option<&[u32]> {
        Some(&self.records_of)
    }

    fn skipped(&self) -> u64 {
        self.records.skipped() + self.skipped
    }
}
