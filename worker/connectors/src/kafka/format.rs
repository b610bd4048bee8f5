//! Formats by name: `format`, `value.format` and `key.format` with their own options.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use super::layout::Columns;
use super::rows::DecoderFactory;
use super::sink::EncoderFactory;
use super::{Part, Wanted};
use crate::formats::{Format, KEYS, RECORDS};
use crate::options::Options;

/// The decoder of a part; `None` when something is wrong, which stands among the problems.
pub(super) fn decoder(
    part: Part,
    wanted: Wanted<'_>,
    options: &mut Options<'_>,
) -> Option<DecoderFactory> {
    let (option, format) = read(part, options)?;
    let Columns { all, wanted, metadata } = wanted?.clone();
    let all = as_declared(&format, part, &all, &option, options)?;
    let factory: DecoderFactory = Arc::new(move || format.decoder(&all, &wanted, &metadata));
    // Made once here, so that a column that the format cannot hold is told in time.
    match factory() {
        Ok(_) => Some(factory),
        Err(why) => {
            options.refuse(&option, why);
            None
        }
    }
}

/// The encoder of a part.
pub(super) fn encoder(
    part: Part,
    wanted: Wanted<'_>,
    options: &mut Options<'_>,
) -> Option<EncoderFactory> {
    let (option, format) = read(part, options)?;
    let schema = as_declared(&format, part, &wanted?.all, &option, options)?;
    let factory: EncoderFactory = Arc::new(move || format.encoder(Arc::clone(&schema)));
    match factory() {
        Ok(_) => Some(factory),
        Err(why) => {
            options.refuse(&option, why);
            None
        }
    }
}

/// The columns with NOT NULL as it is declared, where a message can only be understood by whoever
/// knows that: Avro's messages have a mark before a value that may be NULL, and none before others.
fn as_declared(
    format: &Format,
    part: Part,
    all: &SchemaRef,
    option: &str,
    options: &mut Options<'_>,
) -> Option<SchemaRef> {
    if !matches!(format, Format::Avro(_)) {
        return Some(Arc::clone(all));
    }
    let table = options.table();
    let prefix = match part {
        Part::Key => options.reveal("key.fields-prefix").unwrap_or_default().to_owned(),
        Part::Value | Part::Upsert => String::new(),
    };
    let mut refused = None;
    let fields: Vec<FieldRef> = all
        .fields()
        .iter()
        .map(|field| {
            let column = table.schema.index_of(&format!("{prefix}{}", field.name())).ok();
            let is_in = |columns: &[usize]| column.is_some_and(|column| columns.contains(&column));
            if is_in(&table.part_not_null) {
                refused.get_or_insert_with(|| field.name().clone());
            }
            let nullable = !is_in(&table.not_null);
            Arc::new(field.as_ref().clone().with_nullable(nullable))
        })
        .collect();
    if let Some(name) = refused {
        options.refuse(
            option,
            format!(
                "column `{name}`: a part of its type is NOT NULL, which is not kept here, and messages of 'avro' can only be read by whoever knows it; use 'json', or have it written as a part that may be NULL"
            ),
        );
        return None;
    }
    Some(Arc::new(Schema::new(fields)))
}

/// The option that names the format, and the format with its options. A key's are read whether
/// or not anybody wants the key, so that a wrong one is always refused.
fn read(part: Part, options: &mut Options<'_>) -> Option<(String, Format)> {
    let (option, prefix) = match part {
        Part::Key => ("key.format", "key."),
        Part::Upsert => {
            if !options.is_given("value.format") {
                options
                    .refuse_table("'value.format' is missing; give 'json', 'csv', 'raw' or 'avro'");
            }
            ("value.format", "value.")
        }
        Part::Value => match (options.is_given("format"), options.is_given("value.format")) {
            (true, true) => {
                options.refuse(
                    "value.format",
                    "'format' and 'value.format' exclude each other; remove one",
                );
                options.allow("format");
                ("value.format", "value.")
            }
            (_, true) => ("value.format", "value."),
            (true, false) => ("format", ""),
            (false, false) => {
                ["format", "value.format"].iter().for_each(|name| options.allow(name));
                options.refuse_table("'format' is missing; give 'json', 'csv', 'raw' or 'avro'");
                return None;
            }
        },
    };
    let names: &[&'static str] = match part {
        // Whether a row comes or goes is said by the message, not by its value.
        Part::Key | Part::Upsert => &KEYS,
        Part::Value => &RECORDS,
    };
    let format = Format::read(options, prefix, names)?;
    Some((option.to_owned(), format))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;
    use crate::testing::table;

    fn problems(pairs: &[(&str, &str)]) -> Vec<String> {
        let table = table(pairs, &[("a", DataType::Int64)]);
        let columns = Columns { all: table.schema.clone(), wanted: vec![0], metadata: Vec::new() };
        let mut options = Options::new(&table);
        decoder(Part::Value, Some(&columns), &mut options);
        decoder(Part::Key, None, &mut options);
        options.finish().into_iter().map(|p| p.message).collect()
    }

    #[test]
    fn options_stand_behind_the_name_of_their_format_and_part() {
        for pairs in [
            &[("format", "json"), ("json.ignore-parse-errors", "true")][..],
            &[("value.format", "csv"), ("value.csv.field-delimiter", "\\t")],
            &[("format", "json"), ("key.format", "csv"), ("key.csv.null-literal", "-")],
        ] {
            assert_eq!(problems(pairs), [""; 0]);
        }
    }

    #[test]
    fn avros_messages_have_not_null_as_it_is_declared() {
        let mut table = table(
            &[("format", "avro"), ("key.format", "avro"), ("key.fields-prefix", "k_")],
            &[("a", DataType::Int64), ("k_id", DataType::Int64)],
        );
        table.not_null = vec![0, 1];
        let schema = |names: &[&str]| -> SchemaRef {
            let field = |name: &&str| arrow::datatypes::Field::new(*name, DataType::Int64, true);
            Arc::new(Schema::new(names.iter().map(field).collect::<Vec<_>>()))
        };
        for (part, all) in [(Part::Value, schema(&["a"])), (Part::Key, schema(&["id"]))] {
            let columns = Columns { all, wanted: vec![0], metadata: Vec::new() };
            for (nulls, bytes) in [(vec![0, 1], &b"\x0e"[..]), (vec![], b"\x02\x0e")] {
                table.not_null = nulls;
                let mut options = Options::new(&table);
                let mut decoder = decoder(part, Some(&columns), &mut options).unwrap()().unwrap();
                assert!(decoder.decode_message(bytes).unwrap());
                let rows = decoder.finish().unwrap();
                let values = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(
                    rows.column(0),
                );
                assert_eq!(values.values(), &[7]);
                let mut options = Options::new(&table);
                let mut encoder = encoder(part, Some(&columns), &mut options).unwrap()().unwrap();
                let mut out = Vec::new();
                encoder.encode_rows(&rows, &mut out, &mut Vec::new()).unwrap();
                assert_eq!(out, bytes);
            }
        }
        table.part_not_null = vec![0];
        let columns = Columns { all: schema(&["a"]), wanted: vec![0], metadata: Vec::new() };
        let mut options = Options::new(&table);
        assert!(decoder(Part::Value, Some(&columns), &mut options).is_none());
        let problems = options.finish();
        assert!(
            problems
                .iter()
                .any(|p| p.message.starts_with("column `a`: a part of its type is NOT NULL")),
            "{problems:#?}"
        );
    }

    #[test]
    fn wrong_formats_and_options_are_refused() {
        for (pairs, expected) in [
            (&[("topic", "t")][..], "'format' is missing; give 'json', 'csv', 'raw' or 'avro'"),
            (&[("format", "jsn")], "'format' = 'jsn' is not known; did you mean 'json'?"),
            (
                &[("format", "json"), ("value.format", "json")],
                "'format' and 'value.format' exclude each other; remove one",
            ),
            (
                &[("format", "csv"), ("csv.field-delimiter", ";;")],
                "'csv.field-delimiter' is ';;'; give one ASCII character other than a line end, or '\\t'",
            ),
            (
                &[
                    ("format", "json"),
                    ("json.fail-on-missing-field", "true"),
                    ("json.ignore-parse-errors", "true"),
                ],
                "'json.fail-on-missing-field' and 'json.ignore-parse-errors' exclude each other; remove one",
            ),
            (
                &[("value.format", "json"), ("json.ignore-parse-errors", "true")],
                "option 'json.ignore-parse-errors' is unknown for connector ''; did you mean 'value.json.ignore-parse-errors'?",
            ),
        ] {
            let found = problems(pairs);
            assert!(found.iter().any(|m| m == expected), "{found:#?}");
        }
    }
}
