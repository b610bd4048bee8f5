//! The decoder against a naive model on `serde_json`, on well-formed, mutated and random input.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;

use super::*;

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    let field = |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
    Arc::new(Schema::new(fields.iter().map(field).collect::<Vec<_>>()))
}

fn bids() -> SchemaRef {
    schema(&[("auction", DataType::Int64), ("channel", DataType::Utf8), ("ok", DataType::Boolean)])
}

fn decoder(schema: &SchemaRef) -> JsonDecoder {
    JsonDecoder::new(schema.clone(), JsonOptions::default()).unwrap()
}

/// Cells as text, to compare and to show.
fn cells(batch: &RecordBatch) -> Vec<Vec<Option<String>>> {
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| {
            let text = arrow::compute::cast(column, &DataType::Utf8).unwrap();
            let text = text.as_string::<i32>().clone();
            text.iter().map(|value| value.map(str::to_owned)).collect::<Vec<_>>()
        })
        .collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|c| c[row].clone()).collect()).collect()
}

/// Feeds the data in pieces that end at the given places; a rest stays until its end comes.
fn decode_in_pieces(
    schema: &SchemaRef,
    options: JsonOptions,
    data: &[u8],
    cuts: &[usize],
    max_rows: usize,
) -> Result<(Rows, u64), usize> {
    let mut decoder = JsonDecoder::new(schema.clone(), options).unwrap();
    let mut rows = Vec::new();
    let mut start = 0;
    let mut ends: Vec<usize> = cuts.iter().map(|&cut| cut % (data.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(data.len());
    for (number, &end) in ends.iter().enumerate() {
        let last = number + 1 == ends.len();
        loop {
            // A copy of its own, so that reading past its end cannot go unnoticed.
            let piece: Box<[u8]> = data[start.min(end)..end].into();
            let decoded = decoder
                .decode(&piece, max_rows, last)
                .map_err(|error| start + error.record_in_data)?;
            start += decoded.consumed;
            let full = decoder.rows() == max_rows;
            rows.extend(cells(&decoder.finish().unwrap()));
            if !full {
                break;
            }
        }
    }
    assert_eq!(start, data.len(), "everything is consumed in the end");
    Ok((rows, decoder.skipped()))
}

/// What a row should be by Flink's rules for BIGINT, STRING and BOOLEAN; `None`: refused.
fn model_row(line: &[u8], ignore: bool) -> Option<Option<Vec<Option<String>>>> {
    use serde_json::Value;
    if line.iter().all(|b| b" \t\r\n".contains(b)) {
        return Some(None);
    }
    let value: Value = serde_json::from_slice(&without_control(line)?).ok()?;
    let object = value.as_object()?;
    let auction = match object.get("auction") {
        None | Some(Value::Null) => Some(None),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Some(Some(value)),
            (None, Some(float)) if number.is_f64() && float.abs() < 9.2e18 => {
                Some(Some(float.trunc() as i64))
            }
            _ => None,
        },
        Some(Value::String(text)) => text.trim().parse().ok().map(Some),
        Some(_) => None,
    };
    let ok = match object.get("ok") {
        None | Some(Value::Null) => Some(None),
        Some(Value::Bool(value)) => Some(Some(*value)),
        Some(Value::String(text)) => Some(Some(text.trim().eq_ignore_ascii_case("true"))),
        Some(Value::Number(_)) => Some(Some(false)),
        Some(_) => None,
    };
    let channel = match object.get("channel") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    let or_null = |bad: bool| if bad && !ignore { None } else { Some(()) };
    or_null(auction.is_none())?;
    or_null(ok.is_none())?;
    Some(Some(vec![
        auction.flatten().map(|value| value.to_string()),
        channel,
        ok.flatten().map(|value| value.to_string()),
    ]))
}

/// `serde_json` refuses control characters in strings, Jackson in Flink's setting does not: the
/// model sees them escaped. They stand only in strings, or the row is broken anyway.
fn without_control(line: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut inside, mut escaped) = (false, false);
    for &byte in line {
        if byte < b' ' && inside {
            if escaped {
                return None;
            }
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
            continue;
        }
        if byte == b'"' && !escaped {
            inside = !inside;
        }
        escaped = inside && byte == b'\\' && !escaped;
        out.push(byte);
    }
    Some(out)
}

type Rows = Vec<Vec<Option<String>>>;

fn model(data: &[u8], ignore: bool) -> Result<(Rows, u64), usize> {
    let (mut rows, mut skipped, mut start) = (Vec::new(), 0, 0);
    for line in data.split_inclusive(|&b| b == b'\n') {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        match model_row(bare, ignore) {
            Some(row) => rows.extend(row),
            None if ignore => skipped += 1,
            None => return Err(start),
        }
        start += line.len();
    }
    Ok((rows, skipped))
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0u64..100_000_000).prop_map(|n| n.to_string()),
        2 => any::<i64>().prop_map(|n| n.to_string()),
        1 => prop::sample::select(vec![
            "null", "true", "false", "-0", "0", "1.5", "-2.75", "1e3", "1E-2", "\"7\"", "\" 8 \"",
            "\"\"", "\"true\"", "12345678901234567890", "1234567890123456", "12345678901234567",
        ]).prop_map(str::to_owned),
        3 => "[ -~é😀\t]{0,40}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        1 => prop::sample::select(vec![
            r#""\ud83d\ude00""#, r#""\/\b\f\n\r\t\\\"""#, r#""é""#, "\"a\tb\"", r#""x\\""#,
        ]).prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = String> {
    let nested = scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(("[a-c]", inner), 0..3).prop_map(|members| {
                let members: std::collections::BTreeMap<_, _> = members.into_iter().collect();
                let text: Vec<_> = members.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
                format!("{{{}}}", text.join(","))
            }),
        ]
    });
    prop_oneof![6 => scalar(), 1 => nested]
}

/// A number, so that `channel` is compared by value only where its text is defined by the model.
fn member() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        5 => ("auction|price|ok|extra|au\\\\u0063tion", scalar()),
        2 => Just("channel".to_owned()).prop_flat_map(|name| {
            (Just(name), "[ -~é]{0,20}".prop_map(|text| serde_json::to_string(&text).unwrap()))
        }),
        2 => ("price|extra|url", value()),
    ]
}

fn row() -> impl Strategy<Value = String> {
    let space = prop::sample::select(vec!["", "", "", " ", "\t "]);
    let fixed = (scalar(), "[a-z0-9\\\\]{0,30}", scalar(), scalar()).prop_map(
        |(auction, channel, price, ok)| {
            let channel = serde_json::to_string(&channel).unwrap();
            format!(
                r#"{{"auction":{auction},"price":{price},"channel":{channel},"ok":{ok},"n":[{{"k":1}}]}}"#
            )
        },
    );
    let free = (prop::collection::vec(member(), 0..5), space).prop_map(|(members, space)| {
        let text: Vec<_> =
            members.iter().map(|(k, v)| format!("{space}\"{k}\"{space}:{space}{v}")).collect();
        format!("{space}{{{}{space}}}{space}", text.join(","))
    });
    prop_oneof![4 => fixed, 2 => free, 1 => Just(String::new())]
}

fn rows() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(row(), 0..30), any::<bool>(), any::<bool>()).prop_map(
        |(rows, windows, end)| {
            let newline = if windows { "\r\n" } else { "\n" };
            let mut text = rows.join(newline);
            if end {
                text.push_str(newline);
            }
            text.into_bytes()
        },
    )
}

#[derive(Clone, Debug)]
enum Mutation {
    Set(usize, u8),
    Delete(usize),
    Insert(usize, u8),
    Copy(usize, usize, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let byte = prop_oneof![
        4 => prop::sample::select(b"\"\\{}[],:\n\r\t 0129-.eEtfnu\xc3\xa9\x00\xff".to_vec()),
        1 => any::<u8>(),
    ];
    let at = any::<usize>();
    prop_oneof![
        3 => (at, byte.clone()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        1 => at.prop_map(Mutation::Delete),
        1 => (at, byte).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        1 => (at, at, 0usize..30).prop_map(|(from, to, n)| Mutation::Copy(from, to, n)),
    ]
}

fn mutate(data: &mut Vec<u8>, mutations: &[Mutation]) {
    for mutation in mutations {
        if data.is_empty() {
            return;
        }
        let length = data.len();
        match *mutation {
            Mutation::Set(at, byte) => data[at % length] = byte,
            Mutation::Delete(at) => drop(data.remove(at % length)),
            Mutation::Insert(at, byte) => data.insert(at % length, byte),
            Mutation::Copy(from, to, count) => {
                let from = from % length;
                let piece = data[from..(from + count).min(length)].to_vec();
                let to = to % length;
                data.splice(to..to, piece);
            }
        }
    }
}

/// Where a number is read as text, or a container, the model's spelling may differ: rows whose
/// `channel` is not a string in the model are compared without that cell.
fn comparable(line: &[u8]) -> bool {
    let Some(line) = without_control(line) else { return true };
    match serde_json::from_slice::<serde_json::Value>(&line) {
        Ok(value) => value
            .get("channel")
            .is_none_or(|channel| channel.is_string() || channel.is_null() || channel.is_boolean()),
        // Floats beyond f64 are an error to serde_json, though well-formed.
        Err(error) => {
            !error.to_string().contains("out of range") && !error.to_string().contains("recursion")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 700, ..ProptestConfig::default() })]

    #[test]
    fn rows_are_what_the_model_says_however_the_bytes_arrive(
        data in rows(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        max_rows in 1usize..12,
        ignore in any::<bool>(),
    ) {
        let options = JsonOptions { ignore_parse_errors: ignore, ..JsonOptions::default() };
        let decoded = decode_in_pieces(&bids(), options, &data, &cuts, max_rows);
        prop_assert_eq!(decoded, model(&data, ignore), "{}", String::from_utf8_lossy(&data));
    }

    #[test]
    fn mutated_rows_are_accepted_and_refused_as_by_the_model(
        data in rows(),
        mutations in prop::collection::vec(mutation(), 1..6),
        cuts in prop::collection::vec(any::<usize>(), 0..4),
        ignore in any::<bool>(),
    ) {
        let mut data = data;
        mutate(&mut data, &mutations);
        let options = JsonOptions { ignore_parse_errors: ignore, ..JsonOptions::default() };
        let decoded = decode_in_pieces(&bids(), options, &data, &cuts, 1_000);
        if data.split(|&b| b == b'\n').all(comparable) {
            prop_assert_eq!(decoded, model(&data, ignore), "{}", String::from_utf8_lossy(&data));
        }
    }

    #[test]
    fn messages_are_what_the_model_says(
        data in rows(),
        mutations in prop::collection::vec(mutation(), 0..4),
    ) {
        let mut data = data;
        mutate(&mut data, &mutations);
        let mut decoder = decoder(&bids());
        let mut pieces = decode_all(&data, &mut decoder);
        for line in data.split(|&b| b == b'\n').filter(|line| comparable(line)) {
            let line: Box<[u8]> = line.into();
            let row = decoder.decode_message(&line).ok().map(|there| {
                let rows = cells(&decoder.finish().unwrap());
                assert_eq!(rows.len(), usize::from(there));
                rows.into_iter().next()
            });
            prop_assert_eq!(&row, &model_row(&line, false), "{}", String::from_utf8_lossy(&line));
            pieces += 1;
        }
        prop_assert!(pieces < usize::MAX);
    }
}

/// Warms the predictor up with whatever rows come before the first broken one.
fn decode_all(data: &[u8], decoder: &mut JsonDecoder) -> usize {
    let _ = decoder.decode(data, 5, false);
    decoder.finish().unwrap().num_rows()
}

fn one(schema: &SchemaRef, row: &str) -> Result<RecordBatch, String> {
    let mut decoder = decoder(schema);
    decoder.decode(row.as_bytes(), 10, true).map_err(|error| error.message)?;
    Ok(decoder.finish().unwrap())
}

#[test]
fn a_learnt_layout_is_used_and_left_again() {
    let schema = bids();
    let mut decoder = decoder(&schema);
    let mut data = String::new();
    for number in 0..100 {
        let extra = if number % 3 == 0 { ",\"more\":null" } else { "" };
        data.push_str(&format!(
            "{{\"price\": -1.5e3, \"auction\": {number}, \"channel\": \"c{number}\"{extra}}}\r\n"
        ));
    }
    let decoded = decoder.decode(data.as_bytes(), 1_000, true).unwrap();
    assert_eq!(decoded, Decoded { consumed: data.len(), rows: 100 });
    assert_eq!(decoder.predictor.layouts.len(), 2, "one per variant, each learnt once");
    let batch = decoder.finish().unwrap();
    let auctions = batch.column(0).as_primitive::<Int64Type>();
    assert!(auctions.values().iter().copied().eq(0..100));
    assert_eq!(batch.column(1).as_string::<i32>().value(99), "c99");
    assert_eq!(batch.column(2).null_count(), 100);
}

#[test]
fn a_layout_never_accepts_what_the_walk_refuses() {
    let schema = bids();
    let good = r#"{"auction":12345,"channel":"apple","ok":true,"n":[1,{"x":"y"}]}"#;
    let filler = format!("{good}\n").repeat(3);
    // Every byte replaced by every byte that could matter, between good rows.
    for at in 0..good.len() {
        for byte in b"\"\\{}[],:\n 0-.et\x01\xc3x" {
            let mut row = good.as_bytes().to_vec();
            row[at] = *byte;
            let data = [filler.as_bytes(), &row, b"\n", filler.as_bytes()].concat();
            let options = JsonOptions { ignore_parse_errors: true, ..JsonOptions::default() };
            let decoded = decode_in_pieces(&schema, options, &data, &[], 1_000);
            if comparable(&row) {
                assert_eq!(decoded, model(&data, true), "{}", String::from_utf8_lossy(&row));
            }
        }
    }
}

#[test]
fn every_type_is_read() {
    let timestamp = |unit| DataType::Timestamp(unit, None);
    let schema = schema(&[
        ("t", DataType::Int8),
        ("f", DataType::Float32),
        ("d", DataType::Decimal128(10, 2)),
        ("day", DataType::Date32),
        ("time", DataType::Time32(TimeUnit::Millisecond)),
        ("ts3", timestamp(TimeUnit::Millisecond)),
        ("ts6", timestamp(TimeUnit::Microsecond)),
        ("ts9", timestamp(TimeUnit::Nanosecond)),
        ("ltz", DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into()))),
        ("view", DataType::Utf8View),
    ]);
    let row = r#"{"t":-128,"f":"1.5","d":12.345,"day":"2020-02-29","time":"01:02:03.5",
        "ts3":"2001-01-01 06:00:00.123","ts6":"2001-01-01 06:00:00.123456",
        "ts9":"2001-01-01 06:00:00.123456789","ltz":"2001-01-01 06:00:00Z","view":{"a" : [1, "\u0041"]}}"#;
    let batch = one(&schema, &row.replace('\n', " ")).unwrap();
    let expected = [
        "-128",
        "1.5",
        "12.35",
        "2020-02-29",
        "01:02:03.500",
        "2001-01-01T06:00:00.123",
        "2001-01-01T06:00:00.123456",
        "2001-01-01T06:00:00.123456789",
        "2001-01-01T06:00:00Z",
        r#"{"a":[1,"A"]}"#,
    ];
    let row: Vec<_> = cells(&batch).remove(0).into_iter().map(Option::unwrap).collect();
    assert_eq!(row, expected);
}

#[test]
fn nested_types_are_read() {
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    let row = vec![
        Field::new("x", DataType::Int64, true),
        Field::new("list", DataType::List(item), true),
    ];
    let entries = Field::new(
        "entries",
        DataType::Struct(
            vec![
                Field::new("key", DataType::Utf8, false),
                Field::new("value", DataType::Int64, true),
            ]
            .into(),
        ),
        false,
    );
    let schema = schema(&[
        ("row", DataType::Struct(row.into())),
        ("map", DataType::Map(Arc::new(entries), false)),
    ]);
    let data = concat!(
        r#"{"row":{"x":1,"list":[1,null,3],"other":{}},"map":{"a":1,"b":null,"a":2}}"#,
        "\n",
        r#"{"row":null,"map":{}}"#,
        "\n",
        r#"{"row":{"list":[]}}"#,
        "\n",
    );
    let mut decoder = decoder(&schema);
    decoder.decode(data.as_bytes(), 10, true).unwrap();
    let batch = decoder.finish().unwrap();
    let mut out = Vec::new();
    let mut encoder = JsonEncoder::new(schema, JsonOptions::default()).unwrap();
    crate::formats::RecordEncoder::encode(&mut encoder, &batch, &mut out).unwrap();
    expect_test::expect![[r#"
        {"row":{"x":1,"list":[1,null,3]},"map":{"a":2,"b":null}}
        {"row":null,"map":{}}
        {"row":{"x":null,"list":[]},"map":null}
    "#]]
    .assert_eq(std::str::from_utf8(&out).unwrap());
}

/// Rows within rows, as JSON; how many were passed over.
fn read_rows_of_rows(lines: &[u8], ignore: bool) -> (Result<String, String>, u64, JsonDecoder) {
    let row = |fields: Vec<Field>| DataType::Struct(fields.into());
    let inner = row(vec![Field::new("z", DataType::Boolean, true)]);
    let fields = vec![
        Field::new("x", DataType::Int64, true),
        Field::new("s", DataType::Utf8, true),
        Field::new("q", inner, true),
    ];
    let schema = schema(&[("a", DataType::Int64), ("r", row(fields))]);
    let options = JsonOptions { ignore_parse_errors: ignore, ..JsonOptions::default() };
    let mut decoder = JsonDecoder::new(schema.clone(), options).unwrap();
    let read = decoder.decode(lines, 1_000, true).map_err(|error| error.message);
    let batch = decoder.finish().unwrap();
    let mut out = Vec::new();
    let mut encoder = JsonEncoder::new(schema, JsonOptions::default()).unwrap();
    crate::formats::RecordEncoder::encode(&mut encoder, &batch, &mut out).unwrap();
    let skipped = decoder.skipped();
    (read.map(|_| String::from_utf8(out).unwrap()), skipped, decoder)
}

#[test]
fn rows_of_rows_are_the_same_by_a_layout_and_by_the_walk() {
    let good = r#"{"a":12,"r":{"x":3,"s":"abc","q":{"z":true},"m":[{"x":9}]},"n":{"x":1}}"#;
    let (_, _, decoder) = read_rows_of_rows(format!("{good}\n{good}\n").as_bytes(), false);
    assert_eq!(decoder.predictor.layouts.len(), 1, "there is one to be used");

    let mut rows: Vec<Vec<u8>> = [
        r#"{"a":12,"r":{"x":3,"s":"abc","q":{"z":true}},"r":{"x":4},"n":{}}"#,
        r#"{"a":12,"r":{"x":3,"s":"abc","q":{"z":true}},"r":null}"#,
        r#"{"a":12,"r":null,"r":{"x":3,"q":{"z":true},"q":{}}}"#,
        r#"{"a":12,"r":{"x":3,"x":4,"s":null,"q":null,"m":[{"x":9}]},"n":{"x":1}}"#,
        r#"{"a":12,"r":{"x":"5","s":{"b":[1, 2]},"q":[true],"m":[{"x":9}]},"n":{"x":1}}"#,
        r#"{"a":12,"r":7,"n":{"x":1}}"#,
        r#"{"a":{},"r":{"x":{},"s":"abc","q":{"z":true}}}"#,
        r#"{"a":1,"r":{}}"#,
        r#"{"r":{"q":{}}}"#,
        r#"{"a":12,"r":{"x":3,"s":"a\"c","q":{"z":true},"m":[{"x":9}]},"n":{"x":1}}"#,
        r#"{"a":12,"r":{"x":3,"s":"abc","\u0071":{"z":true}}}"#,
    ]
    .map(|row| row.as_bytes().to_vec())
    .into();
    for at in 0..good.len() {
        for byte in b"\"\\{}[],: 0-.en\x01x" {
            let mut row = good.as_bytes().to_vec();
            row[at] = *byte;
            rows.push(row);
        }
    }
    let filler = format!("{good}\n").repeat(2);
    for row in rows {
        let shown = String::from_utf8_lossy(&row).into_owned();
        let (walked, skipped, _) = read_rows_of_rows(&row, true);
        let (known, _, _) = read_rows_of_rows(filler.as_bytes(), true);
        let between = [filler.as_bytes(), &row, b"\n", &row, b"\n", filler.as_bytes()].concat();
        let (read, passed, _) = read_rows_of_rows(&between, true);
        let (walked, known) = (walked.unwrap(), known.unwrap());
        assert_eq!(read.unwrap(), format!("{known}{walked}{walked}{known}"), "{shown}");
        assert_eq!(passed, 2 * skipped, "{shown}");
        // And of those that fail, it fails.
        let (alone, _, _) = read_rows_of_rows(&row, false);
        let (read, _, _) = read_rows_of_rows(&between, false);
        assert_eq!(read.is_err(), alone.is_err(), "{shown}");
    }
    let twice = r#"{"a":12,"r":{"x":3,"s":"abc","q":{"z":true}},"r":{"x":4,"q":{}}}"#;
    let (read, _, _) = read_rows_of_rows(twice.as_bytes(), false);
    let expected = "{\"a\":12,\"r\":{\"x\":4,\"s\":null,\"q\":{\"z\":null}}}\n";
    assert_eq!(read.unwrap(), expected, "the last one counts, with nothing of the first");
}

#[test]
fn errors_name_column_value_and_way_out() {
    let timestamps = schema(&[("ts", DataType::Timestamp(TimeUnit::Millisecond, None))]);
    let strict: SchemaRef = Arc::new(Schema::new(vec![Field::new("a", DataType::Int8, false)]));
    let messages = [
        one(&timestamps, r#"{"ts":"2001-01-01T06:00:00"}"#),
        one(&timestamps, r#"{"ts":1700000000000}"#),
        one(&strict, r#"{"a":300}"#),
        one(&strict, r#"{"b":1}"#),
        one(&strict, r#"{"a":1,"b":tru}"#),
        one(&strict, r#"{"a":1"#),
        one(&strict, r#"[{"a":1},2]"#),
    ]
    .map(Result::unwrap_err);
    expect_test::expect![[r#"
        column `ts`: 2001-01-01T06:00:00 is not a TIMESTAMP(3), whose form is "2001-01-31 06:30:00.123"; for a `T` between date and time set 'json.timestamp-format.standard' = 'ISO-8601'; to go on, correct the data or set 'json.ignore-parse-errors' = 'true'
        column `ts`: 1700000000000 is not a TIMESTAMP(3), whose form is "2001-01-31 06:30:00.123"; for a number declare the column BIGINT and compute TO_TIMESTAMP_LTZ(column, 3); to go on, correct the data or set 'json.ignore-parse-errors' = 'true'
        column `a`: 300 is out of the range of TINYINT; to go on, correct the data or set 'json.ignore-parse-errors' = 'true'
        column `a` is NOT NULL, but the record has no value; declare it without NOT NULL; to go on, correct the data or set 'json.ignore-parse-errors' = 'true'
        not a JSON object: expected `true`, `false` or `null`, at byte 11 of `{"a":1,"b":tru}`; to go on, correct the data or set 'json.ignore-parse-errors' = 'true'
        not a JSON object: the record ends before its object does, at byte 6 of `{"a":1`; to go on, correct the data or set 'json.ignore-parse-errors' = 'true'
        not a JSON object: expected an object in the array of a line, at byte 9 of `[{"a":1},2]`; to go on, correct the data or set 'json.ignore-parse-errors' = 'true'"#]].assert_eq(&messages.join("\n"));
}

#[test]
fn an_error_leaves_the_rows_before_it_and_nothing_else() {
    let schema = bids();
    let mut decoder = decoder(&schema);
    let data = b"{\"auction\":1}\n{\"auction\":2,\"channel\":\"x\"}\n{\"auction\":3,\"ok\":[]}\n";
    let error = decoder.decode(data, 10, true).unwrap_err();
    assert_eq!((error.line_in_data, error.record_in_data), (3, 42));
    assert_eq!(&data[error.offset_in_data..=error.offset_in_data], b"[");
    let batch = decoder.finish().unwrap();
    assert_eq!(batch.num_rows(), 2);
    assert_eq!(batch.column(2).len(), 2);
}

#[test]
fn a_line_longer_than_the_window_is_one_record() {
    let schema = bids();
    let long = "x".repeat(3 * WINDOW);
    let data =
        format!("{{\"auction\":1}}\n{{\"channel\":\"{long}\",\"auction\":2}}\n{{\"auction\":3}}");
    let rows = decode_in_pieces(
        &schema,
        JsonOptions::default(),
        data.as_bytes(),
        &[5, 70_000, 150_000],
        100,
    )
    .unwrap()
    .0;
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[1][1].as_deref(), Some(long.as_str()));
}

#[test]
fn a_line_that_is_an_array_has_a_row_of_each_object_or_none_at_all() {
    let schema = bids();
    let mut decoder = decoder(&schema);
    let data = b"\xef\xbb\xbf[{\"auction\":1}, {\"auction\":2}]\r\n{\"auction\":3}\n[]\n";
    let decoded = decoder.decode(data, 10, true).unwrap();
    assert_eq!(decoded, Decoded { consumed: data.len(), rows: 3 });
    let auctions = decoder.finish().unwrap().column(0).as_primitive::<Int64Type>().clone();
    assert_eq!(auctions.values(), &[1, 2, 3]);
    let data = b"{\"auction\":1}\n[{\"auction\":2},{\"auction\":\"x\"}]\n";
    let error = decoder.decode(data, 10, true).unwrap_err();
    assert_eq!((error.record_in_data, error.offset_in_data), (14, 41));
    assert_eq!(decoder.finish().unwrap().num_rows(), 1);
    let message = decoder.decode_message(b"[{\"auction\":1}]").unwrap_err();
    assert!(message.message.contains("expected an object"), "{message}");
}

#[test]
fn the_mark_of_utf_8_is_passed_and_that_of_utf_16_named() {
    let schema = bids();
    let mut decoder = decoder(&schema);
    // Joined files have one in the middle.
    let line = b"\xef\xbb\xbf{\"auction\":1}\n";
    let data = [&line[..], b"{\"auction\":2}\n", line].concat();
    assert_eq!(decoder.decode(&data, 10, true).unwrap().rows, 3);
    assert!(decoder.decode_message(line).unwrap());
    let error = decoder.decode_message(b"\xff\xfe{\0}\0").unwrap_err();
    assert!(error.message.contains("byte order mark of UTF-16"), "{error}");
}

#[test]
fn rows_without_wanted_columns_are_counted() {
    let schema: SchemaRef = Arc::new(Schema::empty());
    let batch = one(&schema, "{\"a\":1}\n\n{\"a\":2}\n").unwrap();
    assert_eq!((batch.num_rows(), batch.num_columns()), (2, 0));
}
