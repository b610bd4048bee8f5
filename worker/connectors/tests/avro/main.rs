//! Avro by its public face: what is written is read, what another implementation wrote too, and
//! what nobody should have written is an error.

#![expect(clippy::unwrap_used, reason = "what is built for a test is right, or the test fails")]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray, MapArray, RecordBatch,
    StringArray, StructArray, Time32MillisecondArray, TimestampMicrosecondArray,
    TimestampMillisecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::util::display::array_value_to_string;
use weir_connectors::formats::avro::{AvroDecoder, AvroEncoder, AvroFile, AvroOptions, Codec};
use weir_connectors::formats::{DecodeError, RecordDecoder, RecordEncoder};

const CODECS: [Codec; 6] =
    [Codec::Null, Codec::Deflate, Codec::Snappy, Codec::Bzip2, Codec::Xz, Codec::Zstandard];
const CORRECT: AvroOptions = AvroOptions { codec: Codec::Snappy, legacy_timestamps: false };

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    let field = |(name, of): &(&str, DataType)| Field::new(*name, of.clone(), true);
    Arc::new(Schema::new(fields.iter().map(field).collect::<Vec<_>>()))
}

fn list(of: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", of, true)))
}

fn map(of: DataType) -> DataType {
    let pair = vec![Field::new("key", DataType::Utf8, false), Field::new("value", of, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair.into()), false)), false)
}

fn row(fields: &[(&str, DataType)]) -> DataType {
    DataType::Struct(fields.iter().map(|(n, of)| Field::new(*n, of.clone(), true)).collect())
}

fn timestamp(unit: TimeUnit, zone: bool) -> DataType {
    DataType::Timestamp(unit, zone.then(|| "UTC".into()))
}

/// Every type, with a NULL in the second of three rows of each, and one column NOT NULL.
fn everything() -> RecordBatch {
    let items = Int32Array::from(vec![Some(1), None, Some(-300), Some(i32::MIN)]);
    let nulls = NullBuffer::from(vec![true, false, true]);
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    let offsets = OffsetBuffer::new(vec![0, 3, 3, 4].into());
    let lists = ListArray::new(item, offsets.clone(), Arc::new(items), Some(nulls.clone()));
    let DataType::Map(entries, _) = map(list(DataType::Utf8)) else { unreachable!() };
    let DataType::Struct(pair) = entries.data_type() else { unreachable!() };
    let DataType::List(of_value) = pair[1].data_type() else { unreachable!() };
    let values = ListArray::new(
        Arc::clone(of_value),
        OffsetBuffer::new(vec![0, 1, 1, 1, 3].into()),
        Arc::new(StringArray::from(vec![Some("p"), None, Some("q")])),
        Some(NullBuffer::from(vec![true, true, false, true])),
    );
    let keys = StringArray::from(vec!["a", "", "ä", "a"]);
    let pairs = StructArray::new(pair.clone(), vec![Arc::new(keys), Arc::new(values)], None);
    let maps = MapArray::new(Arc::clone(&entries), offsets, pairs, Some(nulls.clone()), false);
    let inner: Fields = vec![
        Field::new("x", DataType::Int64, true),
        Field::new("deep", row(&[("y", DataType::Utf8)]), true),
    ]
    .into();
    let DataType::Struct(deep) = inner[1].data_type() else { unreachable!() };
    let deep = StructArray::new(
        deep.clone(),
        vec![Arc::new(StringArray::from(vec![Some("in"), None, None]))],
        Some(NullBuffer::from(vec![true, false, true])),
    );
    let rows = StructArray::new(
        inner,
        vec![Arc::new(Int64Array::from(vec![Some(7), None, None])), Arc::new(deep)],
        Some(nulls),
    );
    let decimal = |values: Vec<Option<i128>>, precision, scale| {
        Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap()
    };
    let widest = 10_i128.pow(38) - 1;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("i8", Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)]))),
        ("i16", Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(i16::MAX)]))),
        ("i32", Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)]))),
        ("i64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(-0.0), None, Some(f32::INFINITY)]))),
        ("f64", Arc::new(Float64Array::from(vec![Some(1.5e300), None, Some(f64::MIN)]))),
        ("dec", Arc::new(decimal(vec![Some(-128), None, Some(128)], 10, 2))),
        ("wide", Arc::new(decimal(vec![Some(widest), None, Some(-widest)], 38, 38))),
        ("s", Arc::new(StringArray::from(vec![Some("grün\n"), None, Some("")]))),
        ("y", Arc::new(BinaryArray::from(vec![Some(&[0_u8, 255][..]), None, Some(b"")]))),
        ("day", Arc::new(Date32Array::from(vec![Some(-1), None, Some(19_000)]))),
        ("t", Arc::new(Time32MillisecondArray::from(vec![Some(0), None, Some(86_399_999)]))),
        ("ms", Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None, Some(1 << 41)]))),
        ("list", Arc::new(lists)),
        ("map", Arc::new(maps)),
        ("row", Arc::new(rows)),
    ];
    let mut fields: Vec<Field> =
        columns.iter().map(|(n, c)| Field::new(*n, c.data_type().clone(), true)).collect();
    let mut columns: Vec<ArrayRef> = columns.into_iter().map(|(_, column)| column).collect();
    fields.push(Field::new("there", DataType::Int32, false));
    columns.push(Arc::new(Int32Array::from(vec![1, 2, 3])));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn messages(batch: &RecordBatch, options: AvroOptions) -> Vec<Vec<u8>> {
    let mut encoder = AvroEncoder::new(batch.schema(), options).unwrap();
    let (mut out, mut ends) = (Vec::new(), Vec::new());
    encoder.encode_rows(batch, &mut out, &mut ends).unwrap();
    let starts = [0].into_iter().chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| out[start..*end].to_vec()).collect()
}

fn file(batch: &RecordBatch, options: AvroOptions) -> Vec<u8> {
    let mut file = AvroFile::new(batch.schema(), options).unwrap();
    file.write(batch).unwrap();
    file.end_block().unwrap();
    file.take()
}

/// All rows of a file, of which `step` bytes more are there each time.
fn read(
    bytes: &[u8],
    table: &SchemaRef,
    projection: &[usize],
    step: usize,
) -> Result<RecordBatch, DecodeError> {
    let mut decoder = AvroDecoder::new(table, projection, AvroOptions::default())
        .or_else(|_| AvroDecoder::new(table, projection, CORRECT))
        .unwrap();
    let (mut at, mut end) = (0, 0);
    let mut batches = Vec::new();
    loop {
        let last = end == bytes.len();
        if at < end {
            at += decoder.decode(&bytes[at..end], 1000, last)?.consumed;
            if decoder.rows() > 0 {
                batches.push(decoder.finish()?);
                continue;
            }
        }
        if last {
            assert_eq!(at, end, "all of it is read, or an error says why not");
            break;
        }
        end = (end + step).min(bytes.len());
    }
    let schema = table.project(projection).unwrap();
    Ok(concat_batches(&Arc::new(schema), &batches).unwrap())
}

fn lines(batch: &RecordBatch) -> String {
    let cell = |(field, column): (&Arc<Field>, &ArrayRef), row| {
        let value = match column.is_null(row) {
            true => "NULL".to_owned(),
            // Arrow shows no zones here: the bare number.
            false => match column.as_any().downcast_ref::<TimestampMillisecondArray>() {
                Some(at) if at.timezone().is_some() => at.value(row).to_string(),
                _ => array_value_to_string(column, row).unwrap(),
            },
        };
        format!("{}={value}", field.name())
    };
    let line = |row| {
        let cells = batch.schema_ref().fields().iter().zip(batch.columns());
        cells.map(|pair| cell(pair, row)).collect::<Vec<_>>().join(" ")
    };
    (0..batch.num_rows()).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_type_comes_back_from_messages_and_files_of_every_codec() {
    let batch = everything();
    let all: Vec<usize> = (0..batch.num_columns()).collect();
    let mut decoder = AvroDecoder::new(&batch.schema(), &all, AvroOptions::default()).unwrap();
    for message in messages(&batch, AvroOptions::default()) {
        assert!(decoder.decode_message(&message).unwrap());
    }
    assert_eq!(decoder.finish().unwrap(), batch);
    for codec in CODECS {
        let bytes = file(&batch, AvroOptions { codec, ..AvroOptions::default() });
        for step in [1, 7, bytes.len()] {
            assert_eq!(read(&bytes, &batch.schema(), &all, step).unwrap(), batch, "{codec:?}");
        }
        let some = [17, 14, 3];
        assert_eq!(
            read(&bytes, &batch.schema(), &some, 99).unwrap(),
            batch.project(&some).unwrap(),
            "others are passed over"
        );
        assert_eq!(read(&bytes, &batch.schema(), &[], 99).unwrap().num_rows(), 3);
    }
}

#[test]
fn timestamps_have_the_logical_type_that_the_option_says() {
    let micros = TimestampMicrosecondArray::from(vec![Some(-1), None, Some(1 << 50)]);
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("local", Arc::new(micros.clone()) as ArrayRef, true),
        ("at", Arc::new(micros.with_timezone("UTC")) as ArrayRef, true),
    ])
    .unwrap();
    assert_eq!(read(&file(&batch, CORRECT), &batch.schema(), &[0, 1], 99).unwrap(), batch);
    let text = String::from_utf8_lossy(&file(&batch, CORRECT)).into_owned();
    let start = text.find("{\"type").unwrap();
    let end = text.find("]}").unwrap() + 2;
    assert_eq!(
        &text[start..end],
        r#"{"type":"record","name":"record","namespace":"org.apache.flink.avro.generated","fields":[{"name":"local","type":["null",{"type":"long","logicalType":"local-timestamp-micros"}],"default":null},{"name":"at","type":["null",{"type":"long","logicalType":"timestamp-micros"}],"default":null}]}"#
    );
}

#[test]
fn messages_have_the_bytes_of_the_specification() {
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("n", Arc::new(Int64Array::from(vec![Some(-65), None])) as ArrayRef, true),
        ("s", Arc::new(StringArray::from(vec!["ab", ""])) as ArrayRef, false),
        ("d", Arc::new(Decimal128Array::from(vec![Some(-129), Some(0)])) as ArrayRef, true),
    ])
    .unwrap();
    assert_eq!(
        messages(&batch, AvroOptions::default()),
        [&b"\x02\x81\x01\x04ab\x02\x04\xff\x7f"[..], b"\x00\x00\x02\x02\x00"]
    );
}

#[test]
fn a_file_of_another_implementation_is_read_whatever_packs_it() {
    let table = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("s", DataType::Utf8, true),
        Field::new("i", DataType::Int8, true),
        Field::new("b", DataType::Boolean, true),
        Field::new("f", DataType::Float64, true),
        Field::new("d", DataType::Float64, true),
        Field::new("y", DataType::Binary, true),
        Field::new("x", DataType::Binary, true),
        Field::new("suit", DataType::Utf8, true),
        Field::new("dec", DataType::Decimal128(24, 5), true),
        Field::new("fix", DataType::Decimal128(9, 2), true),
        Field::new("day", DataType::Date32, true),
        Field::new("t", DataType::Time32(TimeUnit::Millisecond), true),
        Field::new("tu", DataType::Time32(TimeUnit::Millisecond), true),
        Field::new("ms", timestamp(TimeUnit::Microsecond, false), true),
        Field::new("us", timestamp(TimeUnit::Millisecond, true), true),
        Field::new("local", timestamp(TimeUnit::Millisecond, false), true),
        Field::new("list", list(DataType::Int64), true),
        Field::new("map", map(DataType::Int64), true),
        Field::new(
            "row",
            row(&[
                ("p", list(row(&[("y", DataType::Float64), ("x", DataType::Int32)]))),
                ("q", DataType::Utf8),
                ("absent", DataType::Utf8),
            ]),
            true,
        ),
        Field::new("choice", DataType::Int64, true),
        Field::new("absent", list(DataType::Utf8), true),
    ]));
    let all: Vec<usize> = (0..table.fields().len()).collect();
    let golden = |codec: &str| {
        let path =
            format!("{}/tests/avro/golden/fastavro_{codec}.avro", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).unwrap()
    };
    let rows = read(&golden("null"), &table, &all, 100).unwrap();
    for codec in ["deflate", "snappy", "bzip2", "xz"] {
        assert_eq!(read(&golden(codec), &table, &all, 1000).unwrap(), rows, "{codec}");
    }
    expect_test::expect_file!["golden/rows.txt"].assert_eq(&lines(&rows));
}

/// What another table says of a file with these columns.
fn as_other(written: &RecordBatch, fields: Vec<Field>) -> Result<RecordBatch, String> {
    let table: SchemaRef = Arc::new(Schema::new(fields));
    let all: Vec<usize> = (0..table.fields().len()).collect();
    read(&file(written, AvroOptions::default()), &table, &all, 1 << 20).map_err(|e| e.message)
}

#[test]
fn what_avro_lets_become_something_else_does_and_all_else_names_both_types() {
    let written = everything();
    let nullable = |name: &str, of| Field::new(name, of, true);
    let wider = as_other(
        &written,
        vec![
            nullable("row", row(&[("more", DataType::Int32), ("x", DataType::Float64)])),
            nullable("i32", DataType::Int64),
            nullable("i8", DataType::Float32),
            nullable("i64", DataType::Float64),
            nullable("f32", DataType::Float64),
            nullable("s", DataType::Binary),
            nullable("dec", DataType::Decimal128(20, 10)),
            nullable("new", row(&[("x", DataType::Int32)])),
            nullable("list", list(DataType::Int64)),
        ],
    );
    expect_test::expect![[r#"
        row={more: , x: 7.0} i32=-2147483648 i8=-128.0 i64=-9.223372036854776e18 f32=-0.0 s=6772c3bc6e0a dec=-1.2800000000 new=NULL list=[1, , -300]
        row=NULL i32=NULL i8=NULL i64=NULL f32=NULL s=NULL dec=NULL new=NULL list=NULL
        row={more: , x: } i32=2147483647 i8=127.0 i64=9.223372036854776e18 f32=inf s= dec=1.2800000000 new=NULL list=[-2147483648]"#]]
    .assert_eq(&lines(&wider.unwrap()));
    let message = |field: Field| as_other(&written, vec![field]).unwrap_err();
    let messages = [
        message(nullable("i64", DataType::Int32)),
        message(nullable("f64", DataType::Float32)),
        message(nullable("dec", DataType::Decimal128(10, 1))),
        message(nullable("i32", DataType::Date32)),
        message(nullable("ms", DataType::Date32)),
        message(nullable("list", list(DataType::Utf8))),
        message(nullable("row", row(&[("deep", row(&[("y", DataType::Int32)]))]))),
        message(nullable("i32", DataType::Int8)),
        message(Field::new("new", DataType::Int32, false)),
        message(Field::new("b", DataType::Boolean, false)),
        message(nullable("y", DataType::Utf8)),
    ];
    expect_test::expect_file!["golden/differ.txt"].assert_eq(&messages.join("\n"));
}

#[test]
fn columns_that_avro_has_no_type_for_are_refused_with_a_way_out() {
    let refused = |name: &str, of: DataType, options| {
        AvroDecoder::new(&schema(&[(name, of)]), &[0], options).err().unwrap()
    };
    let legacy = AvroOptions::default();
    let clash = row(&[("b", row(&[("x", DataType::Int32)]))]);
    let clash = schema(&[("a", clash), ("a_b", row(&[("x", DataType::Int32)]))]);
    let messages = [
        refused("ts", timestamp(TimeUnit::Microsecond, false), legacy),
        refused("ts", timestamp(TimeUnit::Millisecond, true), legacy),
        refused("ts", timestamp(TimeUnit::Nanosecond, true), CORRECT),
        refused("größe", DataType::Int32, legacy),
        refused("1st", DataType::Int32, legacy),
        refused("f", list(row(&[("a b", DataType::Int32)])), legacy),
        AvroEncoder::new(clash, legacy).err().unwrap(),
    ];
    expect_test::expect_file!["golden/refused.txt"].assert_eq(&messages.join("\n"));
}

#[test]
fn a_message_that_goes_on_behind_its_record_or_ends_in_it_is_an_error() {
    let table = schema(&[("n", DataType::Int64), ("s", DataType::Utf8)]);
    let mut decoder = AvroDecoder::new(&table, &[0], AvroOptions::default()).unwrap();
    assert!(decoder.decode_message(b"\x02\x02\x02\x02a").unwrap());
    let mut message = |bytes: &[u8]| {
        let error = decoder.decode_message(bytes).unwrap_err();
        assert_eq!(decoder.rows(), 1, "nothing of it is left");
        format!("{}: {}", error.offset_in_data, error.message)
    };
    let messages = [
        message(b""),
        message(b"\x02\x02\x02\x08a"),
        message(b"\x02\x02\x02\x02ab"),
        message(b"\x00\x00\x00\x00\x01\x02\x02\x02\x02a"),
        message(b"\x04\x02"),
        message(b"\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
        message(b"\x02\x02\x02\x01"),
    ];
    expect_test::expect_file!["golden/messages.txt"].assert_eq(&messages.join("\n"));
    assert_eq!(decoder.finish().unwrap().num_rows(), 1);
}

/// A generator of bytes.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

#[test]
fn damaged_bytes_are_an_error_or_rows_and_never_a_panic_or_much_memory() {
    let batch = everything();
    let all: Vec<usize> = (0..batch.num_columns()).collect();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut errors = 0;
    for codec in CODECS {
        let whole = file(&batch, AvroOptions { codec, ..AvroOptions::default() });
        for _ in 0..800 {
            let mut bytes = whole.clone();
            for _ in 0..=dice.below(4) {
                let at = dice.below(bytes.len());
                match dice.below(3) {
                    0 => bytes[at] = dice.below(256) as u8,
                    1 => bytes.truncate(at.max(1)),
                    _ => drop(bytes.splice(at..at, [0xff; 9])),
                }
            }
            errors += usize::from(read(&bytes, &batch.schema(), &all, 1 << 20).is_err());
        }
    }
    assert!(errors > 3_000, "{errors}");
    let messages = messages(&batch, AvroOptions::default());
    let mut decoder = AvroDecoder::new(&batch.schema(), &all, AvroOptions::default()).unwrap();
    for turn in 0..20_000 {
        let mut message = messages[turn % messages.len()].clone();
        for _ in 0..=dice.below(3) {
            let at = dice.below(message.len());
            message[at] = dice.below(256) as u8;
        }
        let rows = decoder.rows();
        match decoder.decode_message(&message) {
            Ok(_) => assert_eq!(decoder.rows(), rows + 1),
            Err(_) => assert_eq!(decoder.rows(), rows),
        }
    }
    // What was taken is rows, of which none is half there.
    decoder.finish().unwrap();
}

/// A file with this schema and one block.
fn hostile(schema: &str, count: i64, records: &[u8]) -> Vec<u8> {
    fn long(out: &mut Vec<u8>, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
    let mut out = b"Obj\x01".to_vec();
    long(&mut out, 1);
    for text in ["avro.schema", schema] {
        long(&mut out, text.len() as i64);
        out.extend_from_slice(text.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&[7; 16]);
    long(&mut out, count);
    long(&mut out, records.len() as i64);
    out.extend_from_slice(records);
    out.extend_from_slice(&[7; 16]);
    out
}

#[test]
fn hostile_files_are_refused_before_they_cost_anything() {
    let record = |fields: &str| format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#);
    let endless = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let nulls = record(r#"{"name":"a","type":{"type":"array","items":"null"}}"#);
    let unknown = record(r#"{"name":"b","type":{"type":"array","items":"null"}}"#);
    let itself = record(r#"{"name":"b","type":["null","r"]}"#);
    // Each record holds the one before it twice.
    let mut doubled = r#"{"type":"record","name":"x0","fields":[]}"#.to_owned();
    for n in 1..40 {
        doubled = format!(
            r#"{{"type":"record","name":"x{n}","fields":[{{"name":"a","type":{doubled}}},{{"name":"b","type":"x{}"}}]}}"#,
            n - 1
        );
    }
    let doubled = record(&format!(r#"{{"name":"b","type":{doubled}}}"#));
    let table = schema(&[("a", list(DataType::Int32))]);
    let message = |bytes: &[u8]| read(bytes, &table, &[0], 1 << 20).unwrap_err().message;
    let columns: Vec<_> = (0..20).map(|n| format!("c{n}")).collect();
    let wide: Vec<_> = columns.iter().map(|name| (name.as_str(), DataType::Int64)).collect();
    let wide = schema(&wide);
    let all: Vec<usize> = (0..20).collect();
    let long_list = record(r#"{"name":"a","type":{"type":"array","items":"int"}}"#);
    let messages = [
        message(&hostile(&nulls, 1, &endless)),
        message(&hostile(&unknown, 1, &endless)),
        message(&hostile(&itself, 1, &[2; 100])),
        message(&hostile(&doubled, 1, b"")),
        message(&hostile(&record(""), i64::MAX, b"")),
        message(&hostile(&record(""), -1, b"")),
        message(&hostile(&long_list, 1, &endless)),
        message(&hostile(r#""int""#, 1, b"\x02")),
        message(&hostile("{", 1, b"")),
        message(&hostile(&record(r#"{"name":"a","type":"nothing"}"#), 1, b"")),
        message(&hostile(&"[".repeat(100_000), 1, b"")),
        message(b"PAR1"),
        message(b"Ob"),
        message(&hostile(&nulls, 1, b"\x00")[..60]),
        message(&[&hostile(&nulls, 1, b"\x00")[..], &[7; 5]].concat()),
        message(&hostile(&nulls, 1, b"\x00\x00")),
        message(&hostile(&record(r#"{"name":"a","type":["int","int"]}"#), 1, b"")),
        message(&hostile(
            &record(&format!(r#"{{"name":"{}","type":"int"}}"#, "n".repeat(1_001))),
            1,
            b"",
        )),
        // A byte for each record, and of each column NULL.
        read(
            &hostile(&record(r#"{"name":"x","type":"int"}"#), 40_000_000, &[0; 40_000_000]),
            &wide,
            &all,
            99,
        )
        .unwrap_err()
        .message,
    ];
    expect_test::expect_file!["golden/hostile.txt"].assert_eq(&messages.join("\n"));
}

#[test]
fn of_pairs_with_one_key_the_last_counts() {
    let schema_of = r#"{"type":"record","name":"r","fields":[{"name":"a","type":{"type":"map","values":"int"}}]}"#;
    let mut pairs = vec![0x04, 0x02, b'k', 0x02, 0x02, b'k', 0x04];
    let mut expected = "{k: 2".to_owned();
    for n in 0..40_u8 {
        pairs.extend_from_slice(&[0x02, 0x02, b'A' + n, n * 2]);
        expected += &format!(", {}: {}", char::from(b'A' + n), if n == 25 { 90 } else { n });
    }
    pairs.extend_from_slice(&[0x01, 0x08, 0x02, b'Z', 0xb4, 0x01, 0x00]);
    let table = schema(&[("a", map(DataType::Int32))]);
    let found = read(&hostile(schema_of, 1, &pairs), &table, &[0], 99).unwrap();
    let found = array_value_to_string(found.column(0), 0).unwrap();
    assert_eq!(found, expected + "}");
}

#[test]
fn reading_goes_on_behind_every_block() {
    let rows = 30_000;
    let names = StringArray::from_iter_values((0..rows).map(|n| "x".repeat(n % 50)));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("n", Arc::new(Int64Array::from_iter_values(0..rows as i64)) as ArrayRef, true),
        ("s", Arc::new(names) as ArrayRef, true),
    ])
    .unwrap();
    let bytes = file(&batch, AvroOptions::default());
    let (mut at, mut done, mut blocks) = (0, 0, 0);
    while done < rows {
        let mut decoder =
            AvroDecoder::new(&batch.schema(), &[0, 1], AvroOptions::default()).unwrap();
        if at > 0 {
            assert!(!decoder.begin(&bytes[..20], false).unwrap());
            assert!(decoder.begin(&bytes[..2000], false).unwrap());
        }
        let decoded = decoder.decode(&bytes[at..], 1, true).unwrap();
        let found = decoder.finish().unwrap();
        assert_eq!(found, batch.slice(done, found.num_rows()));
        (at, done, blocks) = (at + decoded.consumed, done + found.num_rows(), blocks + 1);
    }
    assert_eq!((at, done), (bytes.len(), rows));
    assert!(blocks > 5, "{blocks}");
}
