//! The options of formats, by Flink's names, for every connector that has a `format`.

use crate::formats::TimestampFormat;
use crate::formats::csv::CsvOptions;
use crate::formats::json::JsonOptions;
use crate::options::Options;

/// Reads `json.*`, behind `prefix` (empty, `key.`, `value.`).
pub(crate) fn json(options: &mut Options<'_>, prefix: &str) -> JsonOptions {
    let name = |name: &str| format!("{prefix}json.{name}");
    let (missing, ignore) = (name("fail-on-missing-field"), name("ignore-parse-errors"));
    let fail_on_missing_field = options.bool(&missing, false);
    let ignore_parse_errors = options.bool(&ignore, false);
    if fail_on_missing_field && ignore_parse_errors {
        options
            .refuse(&missing, format!("'{missing}' and '{ignore}' exclude each other; remove one"));
    }
    let standard = name("timestamp-format.standard");
    JsonOptions {
        fail_on_missing_field,
        ignore_parse_errors,
        timestamp_format: options.choice(
            &standard,
            TimestampFormat::Sql,
            &[("SQL", TimestampFormat::Sql), ("ISO-8601", TimestampFormat::Iso8601)],
        ),
        ignore_null_fields: options.bool(&name("encode.ignore-null-fields"), false),
        decimal_as_plain_number: options.bool(&name("encode.decimal-as-plain-number"), false),
    }
}

/// Reads `csv.*`, behind `prefix`.
pub(crate) fn csv(options: &mut Options<'_>, prefix: &str) -> CsvOptions {
    let name = |name: &str| format!("{prefix}csv.{name}");
    let default = CsvOptions::default();
    let quote = character(options, &name("quote-character"));
    let disabled = options.bool(&name("disable-quote-character"), false);
    if disabled && quote.is_some() {
        let quote = name("quote-character");
        options.refuse(
            &quote,
            format!("'{quote}' is given, but quotes are disabled; remove one of the two options"),
        );
    }
    CsvOptions {
        delimiter: character(options, &name("field-delimiter")).unwrap_or(default.delimiter),
        quote: if disabled { None } else { quote.or(default.quote) },
        escape: character(options, &name("escape-character")),
        comments: options.bool(&name("allow-comments"), false),
        ignore_parse_errors: options.bool(&name("ignore-parse-errors"), false),
        null_literal: options.reveal(&name("null-literal")).map(str::to_owned),
        plain_decimals: !options.bool(&name("write-bigdecimal-in-scientific-notation"), true),
    }
}

/// One ASCII character, or an escape as Flink reads it.
fn character(options: &mut Options<'_>, key: &str) -> Option<u8> {
    let value = options.reveal(key)?;
    match value {
        "\\t" => return Some(b'\t'),
        "\\\\" => return Some(b'\\'),
        _ => {}
    }
    match value.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Some(*byte),
        _ => {
            let given = options.quoted(key);
            options.refuse(key, format!("'{key}' is {given}; give one ASCII character, or '\\t'"));
            None
        }
    }
}
