//! From the `WITH` clause to a format: option names, their values, and what is wrong with them; for
//! every connector that has a `format`.

use arrow::datatypes::SchemaRef;

use super::avro::{self, AvroDecoder, AvroEncoder, AvroOptions};
use super::changes::{ChangeDecoder, ChangeEncoder, ChangeOptions, Dialect, Known};
use super::csv::{CsvDecoder, CsvEncoder, CsvOptions};
use super::json::{JsonDecoder, JsonEncoder, JsonOptions};
use super::metadata::Wanted;
use super::parquet::{Codec, ParquetOptions};
use super::raw::{Charset, RawDecoder, RawEncoder, RawOptions, check_lines};
use super::{RecordDecoder, RecordEncoder, TimestampFormat};
use crate::options::Options;

/// A format with its options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Format {
    /// `'format' = 'json'`.
    Json(JsonOptions),
    /// `'format' = 'csv'`.
    Csv(CsvOptions),
    /// `'format' = 'parquet'`.
    Parquet(ParquetOptions),
    /// `'format' = 'raw'`.
    Raw(RawOptions),
    /// `'format' = 'avro'`.
    Avro(AvroOptions),
    /// `'format' = 'debezium-json'` and other formats of changes.
    Changes(ChangeOptions),
}

/// Formats of the keys of messages.
pub const KEYS: [&str; 4] = ["json", "csv", "raw", "avro"];

/// Formats of single records, such as messages are.
pub const RECORDS: [&str; 8] =
    ["json", "csv", "raw", "avro", "debezium-json", "ogg-json", "maxwell-json", "canal-json"];

/// Formats of files.
pub const FILES: [&str; 9] = [
    "json",
    "csv",
    "parquet",
    "raw",
    "avro",
    "debezium-json",
    "ogg-json",
    "maxwell-json",
    "canal-json",
];

/// Formats of Flink that are not here, so that the message can say so.
const ABSENT: [&str; 7] = [
    "avro-confluent",
    "debezium-avro-confluent",
    "protobuf",
    "orc",
    "upsert-json",
    "json-registry",
    "testcsv",
];

/// The smallest `parquet.block.size`.
const LEAST_ROW_GROUP: u64 = 64 << 10;

impl Format {
    /// Reads `{prefix}format`, one of `names`, and the format's own options, such as
    /// `{prefix}json.…`. The prefix is empty, `key.` or `value.`. `None` when it is not given, or is
    /// none of them, which then stands among the problems.
    pub fn read(options: &mut Options<'_>, prefix: &str, names: &[&'static str]) -> Option<Self> {
        let key = format!("{prefix}format");
        let given = options.text(&key)?;
        let name = if ABSENT.contains(&given.shown()) {
            // Their messages hold the number of a schema alone.
            let why = match given.shown().ends_with("avro-confluent") {
                true => ", because no schema registry is asked here",
                false => "",
            };
            let message = format!(
                "'{key}' = {} is not supported yet{why}; use {}",
                given.quoted(),
                list(names)
            );
            options.refuse(&key, message);
            ""
        } else {
            let choices: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
            options.choice(&key, "", &choices)
        };
        refuse_others(options, prefix, name);
        let mut reader = Reader { options, of: format!("{prefix}{name}") };
        match name {
            "json" => Some(Self::Json(reader.json())),
            "csv" => Some(Self::Csv(reader.csv())),
            "parquet" => Some(Self::Parquet(reader.parquet())),
            "raw" => Some(Self::Raw(reader.raw())),
            "avro" => Some(Self::Avro(reader.avro(names.contains(&"parquet")))),
            name => {
                let (_, dialect) = Dialect::ALL.into_iter().find(|(known, _)| *known == name)?;
                Some(Self::Changes(reader.changes(dialect)))
            }
        }
    }

    /// The format's name in `'format' = '…'`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Json(_) => "json",
            Self::Csv(_) => "csv",
            Self::Parquet(_) => "parquet",
            Self::Raw(_) => "raw",
            Self::Avro(_) => "avro",
            Self::Changes(options) => options.dialect.name(),
        }
    }

    /// A decoder of the columns `projection` of a table's physical columns, in that order, and behind
    /// them of metadata.
    ///
    /// # Errors
    /// When a column's type cannot be read from the format, or the format has no records; the
    /// message names column, cause and fix.
    pub fn decoder(
        &self,
        schema: &SchemaRef,
        projection: &[usize],
        metadata: &[Wanted],
    ) -> Result<Box<dyn RecordDecoder>, String> {
        if let (Some(wanted), false) = (metadata.first(), self.has_kinds()) {
            return Err(format!("'{}' has no metadata '{}'", self.name(), wanted.key));
        }
        match self {
            Self::Json(options) => {
                let projected = schema.project(projection).map_err(|error| error.to_string())?;
                Ok(Box::new(JsonDecoder::new(projected.into(), *options)?))
            }
            Self::Csv(options) => {
                Ok(Box::new(CsvDecoder::new(schema, projection, options.clone())?))
            }
            Self::Parquet(_) => Err(no_records()),
            Self::Raw(options) => Ok(Box::new(RawDecoder::new(schema, projection, *options)?)),
            Self::Avro(options) => Ok(Box::new(AvroDecoder::new(schema, projection, *options)?)),
            Self::Changes(options) => {
                let projected = schema.project(projection).map_err(|error| error.to_string())?;
                Ok(Box::new(ChangeDecoder::new(&projected.into(), metadata, options)?))
            }
        }
    }

    /// An encoder of the columns of `schema`.
    ///
    /// # Errors
    /// When a column's type cannot be written in the format, or the format has no records; the
    /// message names column, cause and fix.
    pub fn encoder(&self, schema: SchemaRef) -> Result<Box<dyn RecordEncoder>, String> {
        match self {
            Self::Json(options) => Ok(Box::new(JsonEncoder::new(schema, *options)?)),
            Self::Csv(options) => Ok(Box::new(CsvEncoder::new(schema, options.clone())?)),
            Self::Parquet(_) => Err(no_records()),
            Self::Raw(options) => Ok(Box::new(RawEncoder::new(&schema, *options)?)),
            Self::Avro(options) => Ok(Box::new(AvroEncoder::new(schema, *options)?)),
            Self::Changes(options) => {
                Ok(Box::new(ChangeEncoder::new(schema, options.dialect, options.json)?))
            }
        }
    }

    /// Whether records of these columns can be lines of files.
    ///
    /// # Errors
    /// When one cannot; the message names column, cause and fix.
    pub fn check_lines(&self, schema: &SchemaRef) -> Result<(), String> {
        match self {
            Self::Raw(options) => check_lines(schema, *options),
            _ => Ok(()),
        }
    }

    /// Whether records say what becomes of rows, so that kinds of rows are read and written.
    #[must_use]
    pub fn has_kinds(&self) -> bool {
        matches!(self, Self::Changes(_))
    }
}

/// Whether a format has kinds of rows, by its name in `'format' = '…'`.
#[must_use]
pub fn has_kinds(format: &str) -> bool {
    Dialect::ALL.iter().any(|(known, _)| *known == format)
}

/// The metadata that records of a format have beside their rows, by the format's name.
pub(crate) fn metadata_of(format: &str) -> &'static [Known] {
    let dialect = Dialect::ALL.iter().find(|(known, _)| *known == format);
    dialect.map_or(&[], |(_, dialect)| dialect.metadata())
}

fn no_records() -> String {
    "'parquet' is a format of whole files, not of single records; use 'json' or 'csv'".to_owned()
}

/// `'json', 'csv' or 'parquet'`
fn list(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Options of another format than `name` have no meaning; where the format itself is refused, it is
/// unknown what has.
fn refuse_others(options: &mut Options<'_>, prefix: &str, name: &str) {
    let of = |key: &str| {
        let (of, _) = key.strip_prefix(prefix)?.split_once('.')?;
        FILES.into_iter().find(|format| *format == of && *format != name)
    };
    let others: Vec<_> =
        options.table().options.keys().filter(|key| of(key).is_some()).cloned().collect();
    for key in others {
        options.allow(&key);
        if !name.is_empty() {
            let message =
                format!("'{key}' has no meaning with '{prefix}format' = '{name}'; remove it");
            options.refuse(&key, message);
        }
    }
}

/// Reads the options of one format.
struct Reader<'a, 'b> {
    options: &'a mut Options<'b>,
    /// What stands in front of them, without the point.
    of: String,
}

impl Reader<'_, '_> {
    fn key(&self, option: &str) -> String {
        format!("{}.{option}", self.of)
    }

    fn is_given(&self, option: &str) -> bool {
        self.options.is_given(&self.key(option))
    }

    fn bool(&mut self, option: &str, default: bool) -> bool {
        self.options.bool(&self.key(option), default)
    }

    /// Records a problem with an option; `message` follows its name.
    fn refuse(&mut self, option: &str, message: impl std::fmt::Display) {
        let key = self.key(option);
        let message = format!("'{key}' {message}");
        self.options.refuse(&key, message);
    }

    fn json(&mut self) -> JsonOptions {
        let (missing, ignore) = ("fail-on-missing-field", "ignore-parse-errors");
        let standards = [("SQL", TimestampFormat::Sql), ("ISO-8601", TimestampFormat::Iso8601)];
        let standard = self.key("timestamp-format.standard");
        let options = JsonOptions {
            fail_on_missing_field: self.bool(missing, false),
            ignore_parse_errors: self.bool(ignore, false),
            timestamp_format: self.options.choice(&standard, TimestampFormat::Sql, &standards),
            decimal_as_plain_number: self.bool("encode.decimal-as-plain-number", false),
            ignore_null_fields: self.bool("encode.ignore-null-fields", false),
        };
        if options.fail_on_missing_field && options.ignore_parse_errors {
            let ignore = self.key(ignore);
            self.refuse(missing, format!("and '{ignore}' exclude each other; remove one"));
        }
        // Which of Flink's two parsers reads makes no difference here.
        self.bool("decode.json-parser.enabled", true);
        // A map has no NULL key here, whatever is to become of one: what would make one fails.
        let mode = self.key("map-null-key.mode");
        self.options.choice(&mode, (), &[("FAIL", ()), ("DROP", ()), ("LITERAL", ())]);
        let literal = self.key("map-null-key.literal");
        self.options.allow(&literal);
        options
    }

    fn changes(&mut self, dialect: Dialect) -> ChangeOptions {
        let json = self.json();
        let schema_include = dialect == Dialect::Debezium && self.bool("schema-include", false);
        let mut include = |option: &str| {
            let key = self.key(option);
            let given = (dialect == Dialect::Canal).then(|| self.options.reveal(&key)).flatten();
            given.map(str::to_owned)
        };
        let (database, table) = (include("database.include"), include("table.include"));
        ChangeOptions { dialect, json, schema_include, database, table }
    }

    fn csv(&mut self) -> CsvOptions {
        let arrays = "array-element-delimiter";
        let elements = self.options.text(&self.key(arrays)).and_then(|text| text.reveal());
        let elements = elements.unwrap_or(";").to_owned();
        if elements.is_empty() || elements.contains(['\n', '\r']) {
            self.refuse(
                arrays,
                "is empty or holds a line end; give text between elements, such as ';'",
            );
        }
        let unquoted = self.bool("disable-quote-character", false);
        let quote = self.character("quote-character");
        if unquoted && self.is_given("quote-character") {
            let other = self.key("disable-quote-character");
            self.refuse("quote-character", format!("and '{other}' exclude each other; remove one"));
        }
        let null_literal = self.key("null-literal");
        let options = CsvOptions {
            delimiter: self.character("field-delimiter").unwrap_or(b','),
            quote: (!unquoted).then_some(quote.unwrap_or(b'"')),
            escape: self.character("escape-character"),
            comments: self.bool("allow-comments", false),
            ignore_parse_errors: self.bool("ignore-parse-errors", false),
            null_literal: self.options.reveal(&null_literal).map(str::to_owned),
            elements,
            plain_decimals: !self.bool("write-bigdecimal-in-scientific-notation", true),
        };
        if options.quote == Some(options.delimiter) || options.escape == Some(options.delimiter) {
            self.refuse(
                "field-delimiter",
                "is the quote or escape character as well; give another",
            );
        }
        if options.escape.is_some() && options.escape == options.quote {
            self.refuse("escape-character", "is the quote character, which is doubled; remove it");
        }
        options
    }

    /// One ASCII character; Flink's notations for those that a string literal cannot hold.
    fn character(&mut self, option: &str) -> Option<u8> {
        let key = self.key(option);
        let given = self.options.text(&key)?;
        let Some(text) = given.reveal() else {
            self.options.leave_undecided();
            return None;
        };
        let text = match text {
            "\\t" => "\t",
            "\\\\" => "\\",
            text => text,
        };
        // U&'\0001' arrives as the character, '\u0001' as its six characters.
        let code = text.strip_prefix("\\u").and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let byte = match (text.as_bytes(), code) {
            (_, Some(code)) => code,
            (&[byte], _) => byte,
            _ => 0x80,
        };
        if byte >= 0x80 || matches!(byte, b'\n' | b'\r') {
            let message = format!(
                "is {}; give one ASCII character other than a line end, or '\\t'",
                given.quoted()
            );
            self.refuse(option, message);
            return None;
        }
        Some(byte)
    }

    fn raw(&mut self) -> RawOptions {
        let key = self.key("charset");
        let given = self.options.text(&key).and_then(|text| text.reveal());
        let charset = given.map_or(Some(Charset::default()), Charset::named);
        if charset.is_none() {
            let given = self.options.quoted(&key);
            let known = "UTF-8, US-ASCII, ISO-8859-1, UTF-16, UTF-16BE or UTF-16LE";
            self.refuse("charset", format!("is {given}, which is not supported; use {known}"));
        }
        let orders = [("big-endian", false), ("little-endian", true)];
        let endianness = self.key("endianness");
        let little_endian = self.options.choice(&endianness, false, &orders);
        RawOptions { charset: charset.unwrap_or_default(), little_endian }
    }

    /// `files`: of whole files, whose blocks are packed.
    fn avro(&mut self, files: bool) -> AvroOptions {
        let defaults = AvroOptions::default();
        let mut codec = defaults.codec;
        let packed = self.key("codec");
        if files {
            codec = self.options.choice(&packed, codec, &avro::Codec::NAMES);
        } else if self.is_given("codec") {
            self.refuse("codec", "has no meaning for messages, which are never packed; remove it");
        }
        let encoding = self.key("encoding");
        if self.options.choice(&encoding, false, &[("binary", false), ("json", true)]) {
            self.refuse(
                "encoding",
                "is 'json', which is not supported; use 'binary', or 'format' = 'json'",
            );
        }
        // How Flink's reader is built inside.
        self.bool("open.fastread", false);
        let legacy_timestamps = self.bool("timestamp_mapping.legacy", defaults.legacy_timestamps);
        AvroOptions { codec, legacy_timestamps }
    }

    fn parquet(&mut self) -> ParquetOptions {
        let defaults = ParquetOptions::default();
        // Both settings mean the same here: the process runs in UTC, and values are not moved.
        self.bool("utc-timezone", false);
        let given = self.options.text(&self.key("compression"));
        let compression = match given.and_then(|text| text.reveal()) {
            None => defaults.compression,
            Some(name) => match name.to_ascii_uppercase().as_str() {
                "UNCOMPRESSED" | "NONE" => Codec::None,
                "SNAPPY" => Codec::Snappy,
                "GZIP" => Codec::Gzip,
                "ZSTD" => Codec::Zstd,
                "LZ4" | "LZ4_RAW" => Codec::Lz4,
                _ => {
                    let given = given.map(|text| text.quoted()).unwrap_or_default();
                    let known = "SNAPPY, ZSTD, GZIP, LZ4_RAW or UNCOMPRESSED";
                    self.refuse("compression", format!("is {given}; use {known}"));
                    defaults.compression
                }
            },
        };
        let size = self.key("block.size");
        let row_group_bytes = match self.options.number(&size) {
            Some(bytes) if bytes < LEAST_ROW_GROUP => {
                self.refuse(
                    "block.size",
                    format!("is {bytes}; give {LEAST_ROW_GROUP} bytes or more"),
                );
                defaults.row_group_bytes
            }
            given => given.and_then(|n| n.try_into().ok()).unwrap_or(defaults.row_group_bytes),
        };
        ParquetOptions { compression, row_group_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Problem;
    use crate::testing::table;

    fn read(given: &[(&str, &str)], prefix: &str) -> (Option<Format>, Vec<Problem>) {
        let table = table(given, &[]);
        let mut options = Options::new(&table);
        let format = Format::read(&mut options, prefix, &FILES);
        (format, options.finish())
    }

    fn messages(given: &[(&str, &str)]) -> String {
        let line = |p: &Problem| format!("{}: {}", p.at.unwrap_or_default().line, p.message);
        read(given, "").1.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn options_are_read_under_flinks_names() {
        let given = [
            ("key.format", "csv"),
            ("key.csv.field-delimiter", "\\t"),
            ("key.csv.null-literal", ""),
        ];
        let expected = CsvOptions {
            delimiter: b'\t',
            null_literal: Some(String::new()),
            ..CsvOptions::default()
        };
        assert_eq!(read(&given, "key."), (Some(Format::Csv(expected)), vec![]));
        assert_eq!(read(&[], ""), (None, vec![]), "not given");
    }

    #[test]
    fn every_wrong_option_is_named_at_its_place_with_a_fix() {
        let text = [
            messages(&[
                ("format", "json"),
                ("json.ignore-parse-error", "true"),
                ("json.fail-on-missing-field", "yes"),
                ("csv.field-delimiter", ";"),
                ("json.timestamp-format.standard", "ISO"),
                ("json.map-null-key.mode", "KEEP"),
            ]),
            messages(&[("format", "jsn"), ("json.ignore-parse-errors", "true")]),
            messages(&[("format", "avro-confluent"), ("json.x", "1")]),
            messages(&[
                ("format", "json"),
                ("json.fail-on-missing-field", "true"),
                ("json.ignore-parse-errors", "true"),
            ]),
            messages(&[
                ("format", "csv"),
                ("csv.field-delimiter", "||"),
                ("csv.array-element-delimiter", ""),
                ("csv.quote-character", "'"),
                ("csv.disable-quote-character", "true"),
            ]),
            messages(&[
                ("format", "csv"),
                ("csv.field-delimiter", "|"),
                ("csv.escape-character", "|"),
            ]),
            messages(&[("format", "raw"), ("raw.charset", "EBCDIC"), ("raw.endianness", "middle")]),
            messages(&[
                ("format", "parquet"),
                ("parquet.compression", "brotli"),
                ("parquet.block.size", "100"),
            ]),
            messages(&[
                ("format", "avro"),
                ("avro.codec", "lzo"),
                ("avro.encoding", "json"),
                ("avro.timestamp_mapping.legacy", "no"),
                ("avro.ignore-parse-errors", "true"),
            ]),
        ];
        expect_test::expect![[r#"
            2: option 'json.ignore-parse-error' is unknown for connector ''; did you mean 'json.ignore-parse-errors'?
            3: 'json.fail-on-missing-field' is 'yes'; give 'true' or 'false'
            4: 'csv.field-delimiter' has no meaning with 'format' = 'json'; remove it
            5: 'json.timestamp-format.standard' = 'ISO' is not known; did you mean 'ISO-8601'?
            6: 'json.map-null-key.mode' = 'KEEP' is not known; give one of: FAIL, DROP, LITERAL
            --
            1: 'format' = 'jsn' is not known; did you mean 'json'?
            --
            1: 'format' = 'avro-confluent' is not supported yet, because no schema registry is asked here; use 'json', 'csv', 'parquet', 'raw', 'avro', 'debezium-json', 'ogg-json', 'maxwell-json' or 'canal-json'
            --
            2: 'json.fail-on-missing-field' and 'json.ignore-parse-errors' exclude each other; remove one
            --
            2: 'csv.field-delimiter' is '||'; give one ASCII character other than a line end, or '\t'
            3: 'csv.array-element-delimiter' is empty or holds a line end; give text between elements, such as ';'
            4: 'csv.quote-character' and 'csv.disable-quote-character' exclude each other; remove one
            --
            2: 'csv.field-delimiter' is the quote or escape character as well; give another
            --
            2: 'raw.charset' is 'EBCDIC', which is not supported; use UTF-8, US-ASCII, ISO-8859-1, UTF-16, UTF-16BE or UTF-16LE
            3: 'raw.endianness' = 'middle' is not known; give one of: big-endian, little-endian
            --
            2: 'parquet.compression' is 'brotli'; use SNAPPY, ZSTD, GZIP, LZ4_RAW or UNCOMPRESSED
            3: 'parquet.block.size' is 100; give 65536 bytes or more
            --
            2: 'avro.codec' = 'lzo' is not known; give one of: null, deflate, snappy, bzip2, xz, zstandard
            3: 'avro.encoding' is 'json', which is not supported; use 'binary', or 'format' = 'json'
            4: 'avro.timestamp_mapping.legacy' is 'no'; give 'true' or 'false'
            5: option 'avro.ignore-parse-errors' is unknown for connector ''; remove it; known are: avro.codec, avro.encoding, avro.open.fastread, avro.timestamp_mapping.legacy, connector, format"#]].assert_eq(&text.join("\n--\n"));
    }
}
