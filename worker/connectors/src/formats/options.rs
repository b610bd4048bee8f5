//! From the `WITH` clause to a format: option names, their values, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::SchemaRef;

use super::csv::{CsvDecoder, CsvEncoder, CsvOptions};
use super::json::{JsonDecoder, JsonEncoder, JsonOptions};
use super::parquet::{Codec, ParquetOptions};
use super::{RecordDecoder, RecordEncoder, TimestampFormat};
use crate::table::{OptionValue, Problem};

/// A format with its options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Format {
    /// `'format' = 'json'`.
    Json(JsonOptions),
    /// `'format' = 'csv'`.
    Csv(CsvOptions),
    /// `'format' = 'parquet'`.
    Parquet(ParquetOptions),
}

/// What reading the options came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FormatOptions {
    /// The format; `None` when it is not given or not known.
    pub format: Option<Format>,
    /// Everything that is wrong with the format's options, unknown ones included.
    pub problems: Vec<Problem>,
    /// The keys that are given and are a format's: the connector need not know them.
    pub keys: BTreeSet<String>,
}

const NAMES: [&str; 3] = ["json", "csv", "parquet"];

/// Formats of Flink that are not here, so that the message can say so.
const ABSENT: [&str; 13] = [
    "avro",
    "avro-confluent",
    "debezium-json",
    "debezium-avro-confluent",
    "canal-json",
    "maxwell-json",
    "ogg-json",
    "protobuf",
    "raw",
    "orc",
    "upsert-json",
    "json-registry",
    "testcsv",
];

const JSON: [&str; 8] = [
    "fail-on-missing-field",
    "ignore-parse-errors",
    "timestamp-format.standard",
    "map-null-key.mode",
    "map-null-key.literal",
    "encode.decimal-as-plain-number",
    "encode.ignore-null-fields",
    "decode.json-parser.enabled",
];

const CSV: [&str; 9] = [
    "field-delimiter",
    "disable-quote-character",
    "quote-character",
    "allow-comments",
    "ignore-parse-errors",
    "array-element-delimiter",
    "escape-character",
    "null-literal",
    "write-bigdecimal-in-scientific-notation",
];

const PARQUET: [&str; 3] = ["compression", "utc-timezone", "block.size"];

impl Format {
    /// Reads `{prefix}format` and the format's own options, such as `{prefix}json.…`. The
    /// prefix is empty, `key.` or `value.`.
    #[must_use]
    pub fn from_options(options: &BTreeMap<String, OptionValue>, prefix: &str) -> FormatOptions {
        let mut reader = Reader { options, prefix, name: "", found: FormatOptions::default() };
        reader.read();
        reader.found
    }

    /// The format's name in `'format' = '…'`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Json(_) => "json",
            Self::Csv(_) => "csv",
            Self::Parquet(_) => "parquet",
        }
    }

    /// A decoder of the columns `projection` of a table's physical columns, in that order.
    ///
    /// # Errors
    /// When a column's type cannot be read from the format, or the format has no records; the
    /// message names column, cause and fix.
    pub fn decoder(
        &self,
        schema: &SchemaRef,
        projection: &[usize],
    ) -> Result<Box<dyn RecordDecoder>, String> {
        match self {
            Self::Json(options) => {
                let projected = schema.project(projection).map_err(|error| error.to_string())?;
                Ok(Box::new(JsonDecoder::new(projected.into(), *options)?))
            }
            Self::Csv(options) => {
                Ok(Box::new(CsvDecoder::new(schema, projection, options.clone())?))
            }
            Self::Parquet(_) => Err(no_records()),
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
        }
    }
}

fn no_records() -> String {
    "'parquet' is a format of whole files, not of single records; use 'json' or 'csv'".to_owned()
}

/// The known name that was probably meant.
fn meant<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 5)
        .min()
        .map(|(_, name)| name)
}

struct Reader<'a> {
    options: &'a BTreeMap<String, OptionValue>,
    prefix: &'a str,
    /// The format that is read.
    name: &'static str,
    found: FormatOptions,
}

impl<'a> Reader<'a> {
    fn read(&mut self) {
        let key = format!("{}format", self.prefix);
        let given = self.options.get(&key);
        if let Some(given) = given {
            self.found.keys.insert(key.clone());
            self.name =
                NAMES.into_iter().find(|name| *name == given.value.stand_in()).unwrap_or_default();
        }
        let known: &[&str] = match self.name {
            "json" => &JSON,
            "csv" => &CSV,
            "parquet" => &PARQUET,
            _ => &[],
        };
        self.check_keys(&key, known);
        let Some(given) = given else { return };
        self.found.format = match self.name {
            "json" => Some(Format::Json(self.json())),
            "csv" => Some(Format::Csv(self.csv())),
            "parquet" => Some(Format::Parquet(self.parquet())),
            _ => {
                let cause =
                    format!("'{key}' = {} is no format that Weir knows", given.value.quoted());
                // Only of what is written: what is near to a value tells of it.
                let name = given.value.shown();
                let fix = if ABSENT.contains(&name) {
                    "; it is not supported yet, use 'json', 'csv' or 'parquet'".to_owned()
                } else if let Some(name) = meant(&name.to_lowercase(), NAMES.into_iter()) {
                    format!("; did you mean '{name}'?")
                } else {
                    "; use 'json', 'csv' or 'parquet'".to_owned()
                };
                let at = Some(given.at);
                self.found.problems.push(Problem { at, message: cause + &fix });
                None
            }
        };
    }

    /// Takes every key of any format, and refuses those that the chosen one does not have.
    fn check_keys(&mut self, format_key: &str, known: &[&str]) {
        for (key, value) in self.options {
            let Some(rest) = key.strip_prefix(self.prefix) else { continue };
            let Some((of, option)) = rest.split_once('.') else { continue };
            if !NAMES.contains(&of) {
                continue;
            }
            self.found.keys.insert(key.clone());
            let message = if self.name.is_empty() {
                if self.options.contains_key(format_key) {
                    // The format itself is refused; what its options are is unknown.
                    continue;
                }
                format!("'{key}' needs '{format_key}' = '{of}'")
            } else if of != self.name {
                format!("'{key}' has no meaning with '{format_key}' = '{}'; remove it", self.name)
            } else if known.contains(&option) {
                continue;
            } else {
                let fix = match meant(option, known.iter().copied()) {
                    Some(name) => format!("did you mean '{}{of}.{name}'?", self.prefix),
                    None => {
                        let names: Vec<_> =
                            known.iter().map(|name| format!("'{of}.{name}'")).collect();
                        format!("the format has {}", names.join(", "))
                    }
                };
                format!("unknown option '{key}'; {fix}")
            };
            self.found.problems.push(Problem { at: Some(value.at), message });
        }
    }

    fn key(&self, option: &str) -> String {
        format!("{}{}.{option}", self.prefix, self.name)
    }

    fn get(&self, option: &str) -> Option<&'a OptionValue> {
        self.options.get(&self.key(option))
    }

    fn refuse(&mut self, option: &str, message: impl std::fmt::Display) {
        let at = self.get(option).map(|value| value.at);
        let message = format!("'{}': {message}", self.key(option));
        self.found.problems.push(Problem { at, message });
    }

    fn bool(&mut self, option: &str, default: bool) -> bool {
        let Some(given) = self.get(option) else { return default };
        match given.value.stand_in().to_ascii_lowercase().as_str() {
            "true" => true,
            "false" => false,
            _ => {
                let given = given.value.quoted();
                self.refuse(option, format!("{given} is neither 'true' nor 'false'"));
                default
            }
        }
    }

    fn json(&mut self) -> JsonOptions {
        let options = JsonOptions {
            fail_on_missing_field: self.bool("fail-on-missing-field", false),
            ignore_parse_errors: self.bool("ignore-parse-errors", false),
            timestamp_format: self.timestamp_format(),
            decimal_as_plain_number: self.bool("encode.decimal-as-plain-number", false),
            ignore_null_fields: self.bool("encode.ignore-null-fields", false),
        };
        if options.fail_on_missing_field && options.ignore_parse_errors {
            let other = self.key("ignore-parse-errors");
            self.refuse(
                "fail-on-missing-field",
                format!("cannot be true together with '{other}'; set one of them to 'false'"),
            );
        }
        // Which of Flink's two parsers reads makes no difference here.
        self.bool("decode.json-parser.enabled", true);
        for option in ["map-null-key.mode", "map-null-key.literal"] {
            // FAIL is the default, and what happens: a map of Arrow has no null keys.
            if self.get(option).is_some_and(|given| given.value.stand_in() != "FAIL") {
                self.refuse(option, "maps with NULL keys are always refused; remove the option");
            }
        }
        options
    }

    fn timestamp_format(&mut self) -> TimestampFormat {
        let option = "timestamp-format.standard";
        let Some(given) = self.get(option) else { return TimestampFormat::Sql };
        match given.value.stand_in() {
            "SQL" => TimestampFormat::Sql,
            "ISO-8601" => TimestampFormat::Iso8601,
            _ => {
                let message = format!("{} is neither 'SQL' nor 'ISO-8601'", given.value.quoted());
                self.refuse(option, message);
                TimestampFormat::Sql
            }
        }
    }

    fn csv(&mut self) -> CsvOptions {
        if self.get("array-element-delimiter").is_some() {
            self.refuse(
                "array-element-delimiter",
                "arrays in CSV are not supported; declare the column STRING, or use \
                 'format' = 'json'",
            );
        }
        let unquoted = self.bool("disable-quote-character", false);
        if unquoted && self.get("quote-character").is_some() {
            let other = self.key("disable-quote-character");
            self.refuse("quote-character", format!("has no meaning with '{other}' = 'true'"));
        }
        let quote = self.character("quote-character").unwrap_or(b'"');
        let options = CsvOptions {
            delimiter: self.character("field-delimiter").unwrap_or(b','),
            quote: (!unquoted).then_some(quote),
            escape: self.character("escape-character"),
            comments: self.bool("allow-comments", false),
            ignore_parse_errors: self.bool("ignore-parse-errors", false),
            null_literal: self.get("null-literal").map(|given| given.value.stand_in().to_owned()),
            plain_decimals: !self.bool("write-bigdecimal-in-scientific-notation", true),
        };
        if options.quote == Some(options.delimiter) || options.escape == Some(options.delimiter) {
            self.refuse("field-delimiter", "is the quote or escape character as well");
        }
        if options.escape.is_some() && options.escape == options.quote {
            self.refuse("escape-character", "is the quote character; a quote is doubled anyway");
        }
        options
    }

    /// One ASCII character; Flink's notations for those that a string literal cannot hold.
    fn character(&mut self, option: &str) -> Option<u8> {
        let given = self.get(option)?;
        let text = match given.value.stand_in() {
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
                "{} is not one ASCII character other than a line end",
                given.value.quoted()
            );
            self.refuse(option, message);
            return None;
        }
        Some(byte)
    }

    fn parquet(&mut self) -> ParquetOptions {
        let defaults = ParquetOptions::default();
        // Both settings mean the same here: the process runs in UTC, and values are not moved.
        self.bool("utc-timezone", false);
        let compression = match self.get("compression") {
            None => defaults.compression,
            Some(given) => match given.value.stand_in().to_ascii_uppercase().as_str() {
                "UNCOMPRESSED" | "NONE" => Codec::None,
                "SNAPPY" => Codec::Snappy,
                "GZIP" => Codec::Gzip,
                "ZSTD" => Codec::Zstd,
                "LZ4" | "LZ4_RAW" => Codec::Lz4,
                _ => {
                    let message = format!(
                        "{} is not supported; use SNAPPY, ZSTD, GZIP, LZ4_RAW or UNCOMPRESSED",
                        given.value.quoted()
                    );
                    self.refuse("compression", message);
                    defaults.compression
                }
            },
        };
        let row_group_bytes =
            match self.get("block.size").map(|given| given.value.stand_in().trim().parse()) {
                None => defaults.row_group_bytes,
                Some(Ok(bytes)) if bytes >= 64 << 10 => bytes,
                Some(_) => {
                    self.refuse("block.size", "is not a number of bytes of at least 65536");
                    defaults.row_group_bytes
                }
            };
        ParquetOptions { compression, row_group_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Position;

    fn read(options: &[(&str, &str)], prefix: &str) -> FormatOptions {
        let value = |(number, (key, value)): (usize, &(&str, &str))| {
            let at = Position { line: number as u64 + 1, column: 1 };
            ((*key).to_owned(), OptionValue { value: (*value).into(), at })
        };
        Format::from_options(&options.iter().enumerate().map(value).collect(), prefix)
    }

    fn messages(options: &[(&str, &str)]) -> String {
        let mut problems = read(options, "").problems;
        problems.sort_by_key(|problem| problem.at);
        let line = |p: &Problem| format!("{}: {}", p.at.unwrap_or_default().line, p.message);
        problems.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn options_are_read_under_flinks_names() {
        let found = read(
            &[
                ("key.format", "csv"),
                ("key.csv.field-delimiter", "\\t"),
                ("key.csv.null-literal", ""),
                ("topic", "x"),
                ("value.format", "json"),
            ],
            "key.",
        );
        let expected = CsvOptions {
            delimiter: b'\t',
            null_literal: Some(String::new()),
            ..CsvOptions::default()
        };
        assert_eq!(found.format, Some(Format::Csv(expected)));
        assert_eq!(found.problems, []);
        assert_eq!(found.keys.len(), 3);
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
                ("json.map-null-key.mode", "DROP"),
            ]),
            messages(&[("format", "jsn")]),
            messages(&[("format", "avro"), ("json.x", "1")]),
            messages(&[("json.ignore-parse-errors", "true")]),
            messages(&[
                ("format", "json"),
                ("json.fail-on-missing-field", "true"),
                ("json.ignore-parse-errors", "true"),
            ]),
            messages(&[
                ("format", "csv"),
                ("csv.field-delimiter", "||"),
                ("csv.array-element-delimiter", ";"),
            ]),
            messages(&[("format", "parquet"), ("parquet.compression", "brotli")]),
        ];
        expect_test::expect![[r#"
            2: unknown option 'json.ignore-parse-error'; did you mean 'json.ignore-parse-errors'?
            3: 'json.fail-on-missing-field': 'yes' is neither 'true' nor 'false'
            4: 'csv.field-delimiter' has no meaning with 'format' = 'json'; remove it
            5: 'json.timestamp-format.standard': 'ISO' is neither 'SQL' nor 'ISO-8601'
            6: 'json.map-null-key.mode': maps with NULL keys are always refused; remove the option
            --
            1: 'format' = 'jsn' is no format that Weir knows; did you mean 'json'?
            --
            1: 'format' = 'avro' is no format that Weir knows; it is not supported yet, use 'json', 'csv' or 'parquet'
            --
            1: 'json.ignore-parse-errors' needs 'format' = 'json'
            --
            2: 'json.fail-on-missing-field': cannot be true together with 'json.ignore-parse-errors'; set one of them to 'false'
            --
            2: 'csv.field-delimiter': '||' is not one ASCII character other than a line end
            3: 'csv.array-element-delimiter': arrays in CSV are not supported; declare the column STRING, or use 'format' = 'json'
            --
            2: 'parquet.compression': 'brotli' is not supported; use SNAPPY, ZSTD, GZIP, LZ4_RAW or UNCOMPRESSED"#]].assert_eq(&text.join("\n--\n"));
    }
}
