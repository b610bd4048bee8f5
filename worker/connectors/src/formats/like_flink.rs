//! Records through the formats, held against what Flink makes of them.
//!
//! `like_flink/cases.tsv` holds records with Flink's answers: what its `print` shows of the
//! rows, and the rows as JSON and as CSV. A case where Weir means to differ has Weir's answer
//! and a word behind them, which the table in the formats' module page explains. The test
//! `the_recording_of_formats_is_what_flink_says` of the end-to-end tests asks a real Flink for
//! every answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use weir_engine::RowKind;

use super::csv::{CsvEncoder, CsvOptions};
use super::json::{JsonEncoder, JsonOptions};
use super::{FILES, Format, RecordDecoder, RecordEncoder, encoding};
use crate::options::Options;
use crate::print::value::write_row;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/formats/like_flink/cases.tsv");
const PAGE: &str = include_str!("mod.rs");

/// `%41` → `A`.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        let byte = if *first == b'%' {
            let hex = std::str::from_utf8(&more[..2]).unwrap();
            rest = &more[2..];
            u8::from_str_radix(hex, 16).unwrap()
        } else {
            *first
        };
        out.push(byte);
    }
    out
}

/// The other way round.
fn shown(bytes: &[u8]) -> String {
    let byte = |&byte: &u8| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    bytes.iter().map(byte).collect()
}

/// The parts of `a, b<c, d>, e` that stand outside angles and parentheses.
fn parts(text: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            ',' if depth == 0 => {
                found.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(text[start..].trim());
    found
}

fn fields(text: &str) -> Fields {
    let field = |text: &str| {
        let (name, kind) = text.split_once(' ').unwrap();
        Field::new(name, data_type(kind), true)
    };
    parts(text).into_iter().map(field).collect::<Vec<_>>().into()
}

fn data_type(name: &str) -> DataType {
    let (word, inside) = match name.find(['<', '(']) {
        Some(at) => (&name[..at], &name[at + 1..name.len() - 1]),
        None => (name, ""),
    };
    let digits = || inside.split(',').map(|n| n.trim().parse::<u8>().unwrap()).collect::<Vec<_>>();
    let unit = || match digits()[0] {
        0..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    };
    match word {
        "TINYINT" => DataType::Int8,
        "SMALLINT" => DataType::Int16,
        "INT" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "BOOLEAN" => DataType::Boolean,
        "FLOAT" => DataType::Float32,
        "DOUBLE" => DataType::Float64,
        "STRING" => DataType::Utf8,
        "BYTES" => DataType::Binary,
        "DATE" => DataType::Date32,
        "TIME" => DataType::Time32(TimeUnit::Millisecond),
        "DECIMAL" => DataType::Decimal128(digits()[0], digits()[1].cast_signed()),
        "TIMESTAMP" => DataType::Timestamp(unit(), None),
        "TIMESTAMP_LTZ" => DataType::Timestamp(unit(), Some("UTC".into())),
        "ROW" => DataType::Struct(fields(inside)),
        "ARRAY" => DataType::List(Arc::new(Field::new("item", data_type(inside), true))),
        "MAP" => {
            let kinds = parts(inside);
            let pair = vec![
                Field::new("key", data_type(kinds[0]), false),
                Field::new("value", data_type(kinds[1]), true),
            ];
            let entries = Field::new("entries", DataType::Struct(pair.into()), false);
            DataType::Map(Arc::new(entries), false)
        }
        _ => panic!("the test knows no type {name}"),
    }
}

/// What the options say, under the names of the format.
fn format(words: &[&str]) -> Format {
    let name = words[0].trim_end_matches("-message");
    let given = words[1..].iter().map(|word| {
        let (key, value) = word.split_once('=').unwrap();
        (format!("{name}.{key}"), String::from_utf8(bytes(value)).unwrap())
    });
    let named = std::iter::once(("format".to_owned(), name.to_owned()));
    let given: Vec<_> = named.chain(given).collect();
    let given: Vec<_> = given.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let table = crate::testing::table(&given, &[]);
    let mut options = Options::new(&table);
    let format = Format::read(&mut options, "", &FILES);
    assert_eq!(options.finish(), []);
    format.unwrap()
}

/// A file as a connector reads it.
fn read_file(decoder: &mut dyn RecordDecoder, data: &[u8]) -> Result<(), String> {
    let mark = encoding::mark(data)?;
    let rest = &data[mark..];
    let decoded = decoder.decode(rest, 1_000, true).map_err(|error| error.message)?;
    assert_eq!(decoded.consumed, rest.len());
    Ok(())
}

fn encoded(encoder: &mut dyn RecordEncoder, batch: &RecordBatch, row: usize) -> Vec<u8> {
    let mut out = Vec::new();
    match encoder.each_row(&batch.slice(row, 1), &mut out, &mut |_| ()) {
        Ok(()) => out,
        Err(_) => b"ERROR".to_vec(),
    }
}

/// Reads a case's record and shows it in three ways, as the recorder does.
fn answer(format_name: &str, kind: &str, record: &str) -> Result<String, String> {
    let words: Vec<_> = format_name.split(';').collect();
    let json = words[0] == "json";
    let whole = kind.starts_with("ROW<");
    let schema: SchemaRef = Arc::new(Schema::new(match whole {
        true => fields(&kind[4..kind.len() - 1]),
        false => fields(&format!("f {kind}, e STRING")),
    }));
    let record = bytes(record);
    let data = match (whole, json) {
        (true, _) => record,
        (false, true) => [b"{\"f\":", &record[..], b",\"e\":\"x\"}"].concat(),
        (false, false) => [&record[..], b",x"].concat(),
    };
    let all: Vec<_> = (0..schema.fields().len()).collect();
    let mut decoder = format(&words).decoder(&schema, &all, &[])?;
    if words[0] == "csv" || (json && !data.contains(&b'\n')) {
        read_file(decoder.as_mut(), &data)?;
    } else {
        decoder.decode_message(&data).map_err(|error| error.message)?;
    }
    let batch = decoder.finish().map_err(|error| error.message)?;
    if json && batch.num_rows() == 1 && !data.contains(&b'\n') && !kind.starts_with("ROW<a") {
        // A message is what a line is, except that it is one object.
        assert_eq!(decoder.decode_message(&data), Ok(true));
        assert_eq!(decoder.finish().unwrap(), batch);
    }
    if batch.num_rows() == 0 {
        return Ok("NOTHING".to_owned());
    }
    let (mut printed, mut as_json, mut as_csv) = (Vec::new(), Vec::new(), Vec::new());
    let mut json_encoder = JsonEncoder::new(schema.clone(), JsonOptions::default());
    let mut csv_encoder = CsvEncoder::new(schema.clone(), CsvOptions::default());
    for row in 0..batch.num_rows() {
        let mut text = Vec::new();
        let columns = if whole { batch.columns() } else { &batch.columns()[..1] };
        write_row(&mut text, RowKind::Insert, columns, row);
        let text = if whole { text } else { text[3..text.len() - 1].to_vec() };
        printed.push(shown(&text));
        let text = json_encoder.as_mut().map_or(b"ERROR".to_vec(), |e| encoded(e, &batch, row));
        let text = shown(&text);
        let inside = |text: String| text[5..text.rfind(",\"e\":").unwrap()].to_owned();
        as_json.push(if whole || text == "ERROR" { text } else { inside(text) });
        let text = csv_encoder.as_mut().map_or(b"ERROR".to_vec(), |e| encoded(e, &batch, row));
        let text = shown(&text);
        let inside = |text: String| text[..text.rfind(',').unwrap()].to_owned();
        as_csv.push(if whole || text == "ERROR" { text } else { inside(text) });
    }
    Ok([printed, as_json, as_csv].map(|texts| texts.join(" | ")).join("\t"))
}

#[test]
fn records_give_what_flink_gives() {
    let mut wrong = Vec::new();
    let mut reasons = BTreeSet::new();
    let cases = std::fs::read_to_string(CASES).unwrap();
    for line in cases.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        let columns: Vec<_> = line.split('\t').collect();
        let [format, kind, record, flink @ ..] = &columns[..] else { panic!("{line}") };
        let (expected, reason) = match flink.iter().position(|text| text.starts_with("weir: ")) {
            Some(at) => (flink[at + 1..].join("\t"), flink[at].strip_prefix("weir: ")),
            None => (flink.join("\t"), None),
        };
        let found = answer(format, kind, record);
        let told = found.as_ref().err().map(|why| format!("\n    ({why})")).unwrap_or_default();
        let found = found.unwrap_or_else(|_| "ERROR".to_owned());
        if found != expected {
            wrong.push(format!("{line}\n    weir: ?\t{found}{told}"));
        }
        reasons.extend(reason);
    }
    let unexplained: Vec<_> =
        reasons.iter().filter(|word| !PAGE.contains(&format!("| {word} |"))).collect();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(unexplained.is_empty(), "no row in the module page for {unexplained:?}");
}
