//! Which column of a table stands where in a message: in its value, its key, or beside them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::Rows;
use crate::formats::changes::with_kind;
use crate::formats::column::sql_type;
use crate::formats::metadata::{Type, Wanted};
use crate::formats::metadata_of;
use crate::options::Options;
use crate::table::Table;

/// What stands beside key and value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Metadata {
    /// The topic's name.
    Topic,
    /// The partition's number.
    Partition,
    /// The message's offset.
    Offset,
    /// The leader epoch under which it was written.
    LeaderEpoch,
    /// When it was written.
    Timestamp,
    /// By whose clock.
    TimestampType,
    /// Names and values that its producer gave it beside its value.
    Headers,
}

const KEYS: &[(&str, Metadata)] = &[
    ("topic", Metadata::Topic),
    ("partition", Metadata::Partition),
    ("offset", Metadata::Offset),
    ("leader-epoch", Metadata::LeaderEpoch),
    ("timestamp", Metadata::Timestamp),
    ("timestamp-type", Metadata::TimestampType),
    ("headers", Metadata::Headers),
];

impl Metadata {
    /// The type that it has by itself; a column of another type gets it cast.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Topic | Self::TimestampType => DataType::Utf8,
            Self::Partition | Self::LeaderEpoch => DataType::Int32,
            Self::Offset => DataType::Int64,
            // An instant; a column with a time zone shows the same one.
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
            Self::Headers => Type::BytesByText.data_type(),
        }
    }

    /// Whether a column of that type can hold it.
    fn fits(self, column: &DataType) -> bool {
        match self {
            Self::Headers => Type::BytesByText.fits(column),
            _ => arrow::compute::can_cast_types(&self.data_type(), column),
        }
    }
}

/// Where a column's values come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// The value, by index among the decoded columns.
    Value(usize),
    /// The key, by index among the decoded columns.
    Key(usize),
    /// Beside the columns of the value, by number; only while it is laid out.
    Record(usize),
    /// Beside them.
    Metadata(Metadata),
    /// Whether there is a value: the kind of the row.
    Kind,
}

/// Columns of a key or a value, of which some are wanted.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// All, as they stand in the message: formats without names count positions.
    pub(super) all: SchemaRef,
    /// Indices in `all`.
    pub(super) wanted: Vec<usize>,
    /// What is wanted of the format beside them.
    pub(super) metadata: Vec<Wanted>,
}

/// How messages become rows.
#[derive(Clone, Debug)]
pub(super) struct SourceLayout {
    /// What comes out.
    pub(super) schema: SchemaRef,
    /// By column of `schema`.
    pub(super) origins: Vec<Origin>,
    /// Columns to decode from the value.
    pub(super) value: Columns,
    /// Columns to decode from the key, named as in the key; absent when none is wanted.
    pub(super) key: Option<Columns>,
    /// Of upserts, a message without a value is a row that goes, by its key.
    pub(super) rows: Rows,
}

/// How rows become messages: column indices of the table.
#[derive(Clone, Debug)]
pub(super) struct SinkLayout {
    /// Columns of the table that make the value.
    pub(super) value_columns: Vec<usize>,
    /// Columns of the value.
    pub(super) value: Columns,
    /// Columns of the table that make the key.
    pub(super) key_columns: Vec<usize>,
    /// Columns of the key, named as in the key; absent when messages have no key.
    pub(super) key: Option<Columns>,
    /// The column that gives the message its timestamp.
    pub(super) timestamp: Option<usize>,
    /// The column that gives the message its headers.
    pub(super) headers: Option<usize>,
    /// Values say what becomes of rows.
    pub(super) has_kinds: bool,
    /// Of upserts, a row takes the place of the one of its key, and one that goes is a message
    /// without a value.
    pub(super) rows: Rows,
}

/// What the options say about keys.
struct KeyFields {
    /// Table columns in the key.
    columns: Vec<usize>,
    prefix: String,
    /// Whether the value holds them too.
    in_value: bool,
}

impl KeyFields {
    /// Table columns in the value.
    fn value_columns(&self, table: &Table) -> Vec<usize> {
        (0..table.schema.fields().len())
            .filter(|column| !table.metadata.contains_key(column))
            .filter(|column| self.in_value || !self.columns.contains(column))
            .collect()
    }

    fn schema(&self, table: &Table) -> SchemaRef {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|&column| {
                let field = table.schema.field(column);
                let name = field.name().strip_prefix(&self.prefix).unwrap_or(field.name());
                // A message without a key has NULL in all of its columns.
                field.clone().with_name(name).with_nullable(true)
            })
            .collect();
        Arc::new(Schema::new(fields))
    }
}

const FORMAT: &str = "key.format";
const FIELDS: &str = "key.fields";
const PREFIX: &str = "key.fields-prefix";
const INCLUDE: &str = "value.fields-include";

fn key_fields(rows: Rows, options: &mut Options<'_>) -> KeyFields {
    let prefix = options.reveal(PREFIX).unwrap_or_default().to_owned();
    let in_value = options.choice(INCLUDE, true, &[("ALL", true), ("EXCEPT_KEY", false)]);
    let columns = match rows {
        Rows::Told => named_key(options, &prefix, in_value),
        Rows::Upserts => primary_key(options, &prefix),
    };
    if !prefix.is_empty() && in_value {
        options.refuse(PREFIX, "'key.fields-prefix' needs 'value.fields-include' = 'EXCEPT_KEY': the value has no fields with that prefix");
    }
    KeyFields { columns, prefix, in_value }
}

/// The key of a table of upserts.
fn primary_key(options: &mut Options<'_>, prefix: &str) -> Vec<usize> {
    let table = options.table();
    if options.is_given(FIELDS) {
        options.allow(FIELDS);
        options.refuse(FIELDS, "'key.fields' is for connector 'kafka'; the key of an 'upsert-kafka' table is its PRIMARY KEY, so remove it");
    }
    if table.primary_key.is_empty() {
        options.refuse_table("an 'upsert-kafka' table needs PRIMARY KEY (…) NOT ENFORCED: the columns of the messages' key, by which a row takes the place of the one before");
    }
    for &column in &table.primary_key {
        let name = table.schema.field(column).name();
        if table.metadata.contains_key(&column) {
            options.refuse_table(format!("column '{name}' is a metadata column and cannot be in the PRIMARY KEY of an 'upsert-kafka' table"));
        } else if !name.starts_with(prefix) {
            let why = options.detail(PREFIX, format!("'{name}' of the PRIMARY KEY does not begin with 'key.fields-prefix' = '{prefix}'"));
            options.refuse(PREFIX, why);
        }
    }
    table.primary_key.clone()
}

/// The columns of `key.fields`, if there are any.
fn named_key(options: &mut Options<'_>, prefix: &str, in_value: bool) -> Vec<usize> {
    let table = options.table();
    let mut columns = Vec::new();
    match (options.reveal(FORMAT), options.reveal(FIELDS)) {
        (None, Some(_)) => {
            options.refuse(FIELDS, "'key.fields' needs 'key.format'; give it, such as 'json'");
        }
        (Some(_), None) => options.refuse(
            FORMAT,
            "'key.format' needs 'key.fields'; name the columns of the key, separated by ';'",
        ),
        (None, None) if !in_value => options.refuse(
            INCLUDE,
            "'value.fields-include' = 'EXCEPT_KEY' needs 'key.format' and 'key.fields'",
        ),
        (None, None) => {}
        (Some(_), Some(names)) => {
            for name in names.split(';').map(str::trim).filter(|name| !name.is_empty()) {
                match key_column(table, name, prefix, &columns) {
                    Ok(column) => columns.push(column),
                    Err(why) => {
                        let why = options.detail(FIELDS, why);
                        options.refuse(FIELDS, format!("'key.fields': {why}"));
                    }
                }
            }
            if names.split(';').all(|name| name.trim().is_empty()) {
                options.refuse(
                    FIELDS,
                    "'key.fields' is empty; name the columns of the key, separated by ';'",
                );
            }
        }
    }
    columns
}

fn key_column(table: &Table, name: &str, prefix: &str, taken: &[usize]) -> Result<usize, String> {
    let Ok(column) = table.schema.index_of(name) else {
        let names: Vec<_> = table.schema.fields().iter().map(|f| f.name().as_str()).collect();
        return Err(format!(
            "table '{}' has no column '{name}'; it has {}",
            table.name,
            names.join(", ")
        ));
    };
    if table.metadata.contains_key(&column) {
        return Err(format!("'{name}' is a metadata column and cannot be in the key"));
    }
    if taken.contains(&column) {
        return Err(format!("'{name}' is named twice"));
    }
    if !name.starts_with(prefix) {
        return Err(format!("'{name}' does not begin with 'key.fields-prefix' = '{prefix}'"));
    }
    Ok(column)
}

/// A metadata column.
#[derive(Clone, Debug)]
enum Beside {
    /// Of messages.
    Message(Metadata),
    /// Of records in the value's format, by its name there.
    Record(&'static str, Type),
}

/// What a metadata column is; `format` is the value's.
fn metadata(table: &Table, column: usize, format: &str) -> Option<Result<Beside, String>> {
    let key = table.metadata.get(&column)?;
    let name = table.schema.field(column).name();
    if let Some((_, metadata)) = KEYS.iter().find(|(known, _)| known == key) {
        return Some(Ok(Beside::Message(*metadata)));
    }
    let of_format = metadata_of(format);
    let in_value = key.strip_prefix("value.");
    Some(match of_format.iter().find(|known| Some(known.key) == in_value) {
        Some(known) => Ok(Beside::Record(known.key, known.of)),
        None => {
            let names = KEYS.iter().map(|(name, _)| (*name).to_owned());
            let of_format = of_format.iter().map(|known| format!("value.{}", known.key));
            let names: Vec<_> = names.chain(of_format).collect();
            Err(format!(
                "column '{name}': Kafka has no metadata '{key}'; it has {}",
                names.join(", ")
            ))
        }
    })
}

/// The format of values.
fn value_format<'a>(options: &mut Options<'a>) -> &'a str {
    let mut given = ["format", "value.format"].into_iter();
    given.find_map(|key| options.reveal(key)).unwrap_or_default()
}

/// Lays out a source that gives the columns of `projection`, and of upserts whether each row comes or
/// goes.
pub(super) fn source(rows: Rows, options: &mut Options<'_>, projection: &[usize]) -> SourceLayout {
    let table = options.table();
    let format = value_format(options);
    let keys = key_fields(rows, options);
    // Also of columns that nobody reads: a table is right or wrong as a whole.
    for &column in table.metadata.keys() {
        if let Some(Err(message)) = metadata(table, column, format) {
            options.refuse_table(message);
        }
    }
    let value_columns = keys.value_columns(table);
    let mut value = Vec::new();
    let mut key = Vec::new();
    let mut beside = Vec::new();
    let mut origins = Vec::with_capacity(projection.len());
    for &column in projection {
        let field = table.schema.field(column);
        match metadata(table, column, format) {
            Some(Ok(Beside::Record(key, of))) => {
                if !of.fits(field.data_type()) {
                    options.refuse_table(format!(
                        "column '{}': the metadata 'value.{key}' is {}; declare the column as that",
                        field.name(),
                        of.sql()
                    ));
                }
                origins.push(Origin::Record(beside.len()));
                let field = Arc::clone(&table.schema.fields()[column]);
                beside.push(Wanted { key: key.to_owned(), field });
                continue;
            }
            Some(known) => {
                let metadata = match known {
                    Ok(Beside::Message(metadata)) => metadata,
                    // Refused above.
                    _ => Metadata::Offset,
                };
                if !metadata.fits(field.data_type()) {
                    let own = Field::new("", metadata.data_type(), true);
                    options.refuse_table(format!(
                        "column '{}': {} cannot be read as {}",
                        field.name(),
                        sql_type(&own),
                        sql_type(field)
                    ));
                }
                origins.push(Origin::Metadata(metadata));
                continue;
            }
            None => {}
        }
        let in_key = keys.columns.iter().position(|&c| c == column);
        let in_value = value_columns.iter().position(|&c| c == column);
        // The key is what tells upserts apart, and all that there is of a row that goes.
        let in_value = in_value.filter(|_| rows == Rows::Told || in_key.is_none());
        if let Some(at) = in_value {
            origins.push(Origin::Value(value.len()));
            value.push(at);
        } else if let Some(at) = in_key {
            origins.push(Origin::Key(key.len()));
            key.push(at);
        }
    }
    // The format gives them behind the columns of the value.
    for origin in &mut origins {
        if let Origin::Record(at) = *origin {
            *origin = Origin::Value(value.len() + at);
        }
    }
    let mut schema = chosen(table, projection);
    if rows == Rows::Upserts {
        origins.push(Origin::Kind);
        schema = with_kind(&schema);
    }
    SourceLayout {
        schema,
        origins,
        value: Columns { all: chosen(table, &value_columns), wanted: value, metadata: beside },
        key: (!key.is_empty()).then(|| Columns {
            all: keys.schema(table),
            wanted: key,
            metadata: Vec::new(),
        }),
        rows,
    }
}

impl SourceLayout {
    /// The kinds of rows, behind all columns of the value.
    pub(super) fn add_kinds(&mut self) {
        self.origins.push(Origin::Value(self.value.wanted.len() + self.value.metadata.len()));
        self.schema = with_kind(&self.schema);
    }
}

fn chosen(table: &Table, columns: &[usize]) -> SchemaRef {
    let fields: Fields = columns.iter().map(|&c| Arc::clone(&table.schema.fields()[c])).collect();
    Arc::new(Schema::new(fields))
}

/// Lays out a sink.
pub(super) fn sink(rows: Rows, options: &mut Options<'_>) -> SinkLayout {
    let table = options.table();
    let keys = key_fields(rows, options);
    let format = value_format(options);
    let (mut timestamp, mut headers) = (None, None);
    for &column in table.metadata.keys() {
        let field = table.schema.field(column);
        match metadata(table, column, format) {
            None => {}
            Some(Ok(Beside::Message(Metadata::Timestamp))) => {
                if !arrow::compute::can_cast_types(
                    field.data_type(),
                    &Metadata::Timestamp.data_type(),
                ) {
                    options.refuse_table(format!(
                        "column '{}': {} cannot be written as a timestamp",
                        field.name(),
                        sql_type(field)
                    ));
                }
                timestamp = Some(column);
            }
            Some(Ok(Beside::Message(Metadata::Headers))) => {
                if !Metadata::Headers.fits(field.data_type()) {
                    options.refuse_table(format!(
                        "column '{}': {} cannot be written as headers; declare the column as {}",
                        field.name(),
                        sql_type(field),
                        Type::BytesByText.sql()
                    ));
                }
                headers = Some(column);
            }
            Some(Ok(_)) => options.refuse_table(format!(
                "column '{}': the metadata '{}' cannot be written; declare the column VIRTUAL",
                field.name(),
                table.metadata[&column]
            )),
            Some(Err(message)) => options.refuse_table(message),
        }
    }
    let value_columns = keys.value_columns(table);
    let all_of = |all: SchemaRef| Columns {
        wanted: (0..all.fields().len()).collect(),
        all,
        metadata: Vec::new(),
    };
    SinkLayout {
        value: all_of(chosen(table, &value_columns)),
        value_columns,
        key: (!keys.columns.is_empty()).then(|| all_of(keys.schema(table))),
        key_columns: keys.columns,
        timestamp,
        headers,
        has_kinds: false,
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(options: &[(&str, &str)]) -> Table {
        let int = DataType::Int64;
        let mut table = crate::testing::table(
            options,
            &[
                ("k_id", int.clone()),
                ("price", int.clone()),
                ("at", DataType::Timestamp(TimeUnit::Millisecond, None)),
                ("k_zone", int),
            ],
        );
        table.metadata.insert(2, "timestamp".to_owned());
        table
    }

    fn laid_out<T>(table: &Table, lay_out: impl FnOnce(&mut Options<'_>) -> T) -> (T, Vec<String>) {
        let mut options = Options::new(table);
        let layout = lay_out(&mut options);
        (layout, options.finish().into_iter().map(|p| p.message).collect())
    }

    const KEYED: &[(&str, &str)] = &[
        ("key.format", "json"),
        ("key.fields", "k_id;k_zone"),
        ("key.fields-prefix", "k_"),
        ("value.fields-include", "EXCEPT_KEY"),
    ];

    fn names(schema: &Schema) -> Vec<&str> {
        schema.fields().iter().map(|f| f.name().as_str()).collect()
    }

    fn wanted(columns: &Columns) -> Vec<&str> {
        columns.wanted.iter().map(|&c| columns.all.field(c).name().as_str()).collect()
    }

    #[test]
    fn only_what_is_read_is_decoded() {
        let (layout, problems) = laid_out(&table(KEYED), |o| source(Rows::Told, o, &[3, 1, 2]));
        assert_eq!(problems, [""; 0]);
        assert_eq!(names(&layout.schema), ["k_zone", "price", "at"]);
        assert_eq!(wanted(&layout.value), ["price"]);
        assert_eq!(names(&layout.value.all), ["price"]);
        let key = layout.key.as_ref().unwrap();
        assert_eq!((wanted(key), names(&key.all)), (vec!["zone"], vec!["id", "zone"]));
        assert_eq!(
            layout.origins,
            [Origin::Key(0), Origin::Value(0), Origin::Metadata(Metadata::Timestamp)]
        );
        assert!(laid_out(&table(KEYED), |o| source(Rows::Told, o, &[1])).0.key.is_none());
    }

    #[test]
    fn key_columns_come_from_the_value_when_it_has_them() {
        let options = &[("key.format", "json"), ("key.fields", "k_id")];
        let (layout, problems) = laid_out(&table(options), |o| source(Rows::Told, o, &[0, 1]));
        assert_eq!(problems, [""; 0]);
        assert_eq!(layout.origins, [Origin::Value(0), Origin::Value(1)]);
        assert!(layout.key.is_none());
    }

    #[test]
    fn a_sink_splits_rows_into_key_value_and_time() {
        let (layout, problems) = laid_out(&table(KEYED), |o| sink(Rows::Told, o));
        assert_eq!(problems, [""; 0]);
        assert_eq!(layout.value_columns, [1]);
        assert_eq!(layout.key_columns, [0, 3]);
        assert_eq!(names(&layout.key.unwrap().all), ["id", "zone"]);
        assert_eq!(layout.timestamp, Some(2));
        let layout = laid_out(&table(&[]), |o| sink(Rows::Told, o)).0;
        assert_eq!((layout.value_columns.as_slice(), layout.key.is_none()), (&[0, 1, 3][..], true));
    }

    #[test]
    fn wrong_key_options_are_refused_with_the_fix() {
        for (options, expected) in [
            (
                &[("key.format", "json")][..],
                "'key.format' needs 'key.fields'; name the columns of the key, separated by ';'",
            ),
            (&[("key.fields", "k_id")], "'key.fields' needs 'key.format'; give it, such as 'json'"),
            (
                &[("key.format", "json"), ("key.fields", "id")],
                "'key.fields': table 't' has no column 'id'; it has k_id, price, at, k_zone",
            ),
            (
                &[("key.format", "json"), ("key.fields", "at")],
                "'key.fields': 'at' is a metadata column and cannot be in the key",
            ),
            (
                &[("value.fields-include", "SOME")],
                "'value.fields-include' = 'SOME' is not known; give one of: ALL, EXCEPT_KEY",
            ),
            (
                &[("value.fields-include", "EXCEPT_KEY")],
                "'value.fields-include' = 'EXCEPT_KEY' needs 'key.format' and 'key.fields'",
            ),
            (
                &[("key.format", "json"), ("key.fields", "k_id"), ("key.fields-prefix", "k_")],
                "'key.fields-prefix' needs 'value.fields-include' = 'EXCEPT_KEY': the value has no fields with that prefix",
            ),
        ] {
            assert_eq!(laid_out(&table(options), |o| source(Rows::Told, o, &[0])).1, [expected]);
        }
    }

    #[test]
    fn unknown_metadata_is_refused() {
        let mut wrong = table(&[]);
        wrong.metadata.insert(2, "value.source.table".into());
        wrong.metadata.insert(1, "ofset".into());
        assert_eq!(
            laid_out(&wrong, |o| source(Rows::Told, o, &[0])).1,
            [
                "column 'price': Kafka has no metadata 'ofset'; it has topic, partition, offset, leader-epoch, timestamp, timestamp-type, headers",
                "column 'at': Kafka has no metadata 'value.source.table'; it has topic, partition, offset, leader-epoch, timestamp, timestamp-type, headers",
            ]
        );
    }

    #[test]
    fn metadata_of_the_format_stands_behind_the_columns_of_the_value() {
        let mut table = table(&[("value.format", "canal-json")]);
        table.metadata.insert(3, "value.database".to_owned());
        let (_, problems) = laid_out(&table, |o| source(Rows::Told, o, &[3, 1, 2, 0]));
        assert_eq!(
            problems,
            [
                "column 'k_zone': the metadata 'value.database' is STRING; declare the column as that"
            ]
        );
        table.metadata.insert(3, "value.event-timestamp".to_owned());
        let mut fields: Vec<_> = table.schema.fields().to_vec();
        let instant = DataType::Timestamp(TimeUnit::Millisecond, None);
        fields[3] = Arc::new(Field::new("k_zone", instant, true));
        table.schema = Arc::new(Schema::new(fields));
        let (mut layout, problems) = laid_out(&table, |o| source(Rows::Told, o, &[3, 1, 2, 0]));
        assert_eq!(problems, [""; 0]);
        layout.add_kinds();
        let timestamp = Origin::Metadata(Metadata::Timestamp);
        let value = Origin::Value;
        assert_eq!(layout.origins, [value(2), value(0), timestamp, value(1), value(3)]);
        assert_eq!(layout.value.metadata[0].key, "event-timestamp");
    }

    #[test]
    fn a_time_zone_is_a_label() {
        use crate::formats::metadata::cast_metadata;
        use arrow::array::{
            Array, ArrayRef, AsArray, TimestampMicrosecondArray, TimestampMillisecondArray,
        };
        use arrow::datatypes::{TimestampMicrosecondType, TimestampMillisecondType};
        let at: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![Some(5), None]));
        let local = DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into()));
        let cast = cast_metadata(&at, &local).unwrap();
        assert_eq!(cast.data_type(), &local);
        assert_eq!(cast.as_primitive::<TimestampMicrosecondType>().value(0), 5000);
        assert!(cast.is_null(1));
        let back: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(vec![5000]).with_timezone("UTC"));
        let back = cast_metadata(&back, &Metadata::Timestamp.data_type()).unwrap();
        assert_eq!(back.as_primitive::<TimestampMillisecondType>().value(0), 5);
        assert!(cast_metadata(&back, &DataType::Utf8).is_ok());
    }
}
