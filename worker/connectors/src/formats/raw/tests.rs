use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{Field, SchemaRef};

use super::*;
use crate::formats::{RecordDecoder, RecordEncoder};

fn batch(values: ArrayRef) -> RecordBatch {
    let field = Field::new("v", values.data_type().clone(), true);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![values]).unwrap()
}

fn decoder(schema: &SchemaRef, options: RawOptions) -> RawDecoder {
    RawDecoder::new(schema, &[0], options).unwrap()
}

/// The messages of the rows; nothing of NULL.
fn messages(batch: &RecordBatch, options: RawOptions) -> Vec<Option<Vec<u8>>> {
    let mut encoder = RawEncoder::new(&batch.schema(), options).unwrap();
    let (mut out, mut ends) = (Vec::new(), Vec::new());
    encoder.encode_rows(batch, &mut out, &mut ends).unwrap();
    let there = encoder.there(batch);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let message = |(row, (start, &end)): (usize, (usize, &usize))| {
        there.as_ref().is_none_or(|there| there.is_valid(row)).then(|| out[start..end].to_vec())
    };
    starts.zip(&ends).enumerate().map(message).collect()
}

/// Every type, two values and NULL.
fn every_type() -> Vec<ArrayRef> {
    vec![
        Arc::new(StringArray::from(vec![Some("né"), Some(""), None])),
        Arc::new(BinaryArray::from(vec![Some(&[0u8, 10, 255][..]), Some(&[]), None])),
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        Arc::new(Int8Array::from(vec![Some(-2), Some(10), None])),
        Arc::new(Int16Array::from(vec![Some(258), Some(-2), None])),
        Arc::new(Int32Array::from(vec![Some(0x0102_0304), Some(-1), None])),
        Arc::new(Int64Array::from(vec![Some(1), Some(i64::MIN), None])),
        Arc::new(Float32Array::from(vec![Some(1.5), Some(-0.0), None])),
        Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::INFINITY), None])),
    ]
}

#[test]
fn what_is_written_is_read_back_whatever_the_type_and_the_order_of_bytes() {
    for values in every_type() {
        for little_endian in [false, true] {
            let options = RawOptions { little_endian, ..RawOptions::default() };
            let written = batch(Arc::clone(&values));
            let mut decoder = decoder(&written.schema(), options);
            for message in messages(&written, options) {
                match message {
                    Some(message) => assert!(decoder.decode_message(&message).unwrap()),
                    None => decoder.decode_null().unwrap(),
                }
            }
            assert_eq!(decoder.finish().unwrap(), written);
        }
    }
}

#[test]
fn numbers_have_the_bytes_that_flink_gives_them() {
    let big = RawOptions::default();
    let little = RawOptions { little_endian: true, ..big };
    let ints = batch(Arc::new(Int32Array::from(vec![0x0102_0304])));
    assert_eq!(messages(&ints, big), [Some(vec![1, 2, 3, 4])]);
    assert_eq!(messages(&ints, little), [Some(vec![4, 3, 2, 1])]);
    let doubles = batch(Arc::new(Float64Array::from(vec![1.0])));
    assert_eq!(messages(&doubles, big), [Some(vec![0x3f, 0xf0, 0, 0, 0, 0, 0, 0])]);
    let flags = batch(Arc::new(BooleanArray::from(vec![true])));
    assert_eq!(messages(&flags, little), [Some(vec![1])]);
    let schema = flags.schema();
    let mut decoder = decoder(&schema, big);
    decoder.decode_message(&[7]).unwrap();
    assert!(decoder.finish().unwrap().column(0).as_boolean().value(0), "not 0 is true");
}

#[test]
fn a_file_gives_a_value_a_line_in_pieces_of_any_size() {
    let schema = batch(Arc::new(StringArray::from(vec![""]))).schema();
    let data = b"one\r\n\ntwo \nthree\r";
    for piece in 1..=data.len() {
        let mut decoder = decoder(&schema, RawOptions::default());
        let (mut at, mut end) = (0, 0);
        while at < data.len() {
            end = (end + piece).min(data.len());
            at += decoder.decode(&data[at..end], 100, end == data.len()).unwrap().consumed;
        }
        let rows = decoder.finish().unwrap();
        let texts: Vec<_> = rows.column(0).as_string::<i32>().iter().flatten().collect();
        assert_eq!(texts, ["one", "", "two ", "three"], "pieces of {piece}");
    }
}

#[test]
fn rows_are_counted_where_nobody_wants_the_column() {
    let schema = batch(Arc::new(Int32Array::from(vec![1]))).schema();
    let mut decoder = RawDecoder::new(&schema, &[], RawOptions::default()).unwrap();
    decoder.decode_message(&[0, 0, 0, 1]).unwrap();
    decoder.decode_null().unwrap();
    let rows = decoder.finish().unwrap();
    assert_eq!((rows.num_rows(), rows.num_columns()), (2, 0));
    assert_eq!(decoder.finish().unwrap().num_rows(), 0);
}

#[test]
fn texts_are_read_and_written_in_their_charset() {
    for (charset, bytes) in [
        (Charset::Utf8, &b"n\xc3\xa9"[..]),
        (Charset::Latin1, b"n\xe9"),
        (Charset::Utf16, b"\xfe\xff\0n\0\xe9"),
        (Charset::Utf16Be, b"\0n\0\xe9"),
        (Charset::Utf16Le, b"n\0\xe9\0"),
    ] {
        let options = RawOptions { charset, ..RawOptions::default() };
        let written = batch(Arc::new(StringArray::from(vec!["né"])));
        assert_eq!(messages(&written, options), [Some(bytes.to_vec())], "{charset:?}");
        let mut decoder = decoder(&written.schema(), options);
        decoder.decode_message(bytes).unwrap();
        assert_eq!(decoder.finish().unwrap(), written, "{charset:?}");
    }
    let mut text = Vec::new();
    assert_eq!(Charset::Utf16.decode(b"\xff\xfen\0", &mut text), Ok(()));
    assert_eq!((text.as_slice(), Charset::named("utf-16le")), (&b"n"[..], Some(Charset::Utf16Le)));
}

#[test]
fn what_is_no_value_is_an_error_and_leaves_nothing() {
    let schema = |values: ArrayRef| batch(values).schema();
    let (ints, texts) = (
        schema(Arc::new(Int32Array::from(vec![1]))),
        schema(Arc::new(StringArray::from(vec![""]))),
    );
    let mut ints = decoder(&ints, RawOptions::default());
    let error = ints.decode_message(&[1, 2, 3]).unwrap_err();
    assert_eq!(error.message, "column `v`: the record has 3 bytes, and INT has 4 in 'raw'");
    let mut utf8 = decoder(&texts, RawOptions::default());
    utf8.decode_message(b"a").unwrap();
    let error = utf8.decode_message(b"ab\xff").unwrap_err();
    assert_eq!((error.message.as_str(), error.offset_in_data), ("column `v`: not UTF-8", 2));
    let error = utf8.decode(b"ok\n\xff\n", 10, true).unwrap_err();
    assert_eq!((error.record_in_data, error.offset_in_data, error.line_in_data), (3, 3, 2));
    assert_eq!(utf8.finish().unwrap().num_rows(), 2);
    let ascii = RawOptions { charset: Charset::Ascii, ..RawOptions::default() };
    let rows = batch(Arc::new(StringArray::from(vec!["é"])));
    let mut encoder = RawEncoder::new(&rows.schema(), ascii).unwrap();
    let error = encoder.encode(&rows, &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.message,
        "column `v`: the character 'é' is not in US-ASCII; set 'raw.charset' = 'UTF-8'"
    );
    let nulls = batch(Arc::new(StringArray::from(vec![None::<&str>])));
    let mut encoder = RawEncoder::new(&nulls.schema(), RawOptions::default()).unwrap();
    let error = encoder.encode(&nulls, &mut Vec::new()).unwrap_err();
    assert!(error.message.starts_with("column `v`: NULL has no line in a file"), "{error}");
}

#[test]
fn other_columns_than_a_single_value_are_refused() {
    let field = |name: &str, of: DataType| Field::new(name, of, true);
    let refused = |fields: Vec<Field>| {
        RawDecoder::new(&Arc::new(Schema::new(fields)), &[0], RawOptions::default()).err().unwrap()
    };
    assert_eq!(
        refused(vec![field("a", DataType::Utf8), field("b", DataType::Int8)]),
        "'raw' is the format of a single value, and there are 2 columns to hold (a, b); declare one, or use 'json'"
    );
    assert_eq!(
        refused(vec![field("a", DataType::Date32)]),
        "column `a` has the type DATE, which 'raw' cannot hold; use STRING, BYTES, BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT or DOUBLE"
    );
    let ints = Schema::new(vec![field("a", DataType::Int32)]);
    assert!(check_lines(&ints, RawOptions::default()).unwrap_err().contains("has the type INT"));
    let wide = RawOptions { charset: Charset::Utf16Le, ..RawOptions::default() };
    let texts = Schema::new(vec![field("a", DataType::Utf8)]);
    assert!(check_lines(&texts, wide).unwrap_err().starts_with("'raw.charset' = 'UTF-16LE'"));
    assert_eq!(check_lines(&texts, RawOptions::default()), Ok(()));
}

#[test]
fn a_value_that_would_be_several_lines_is_no_line_of_a_file() {
    for value in ["a\nb", "\n", "a\r"] {
        let written = batch(Arc::new(StringArray::from(vec!["fine", value])));
        let mut encoder = RawEncoder::new(&written.schema(), RawOptions::default()).unwrap();
        let error = encoder.encode(&written, &mut Vec::new()).unwrap_err();
        assert!(error.message.contains("a line's end in it"), "{value:?}: {}", error.message);
        assert_eq!(messages(&written, RawOptions::default()).len(), 2, "messages have no lines");
    }
}
