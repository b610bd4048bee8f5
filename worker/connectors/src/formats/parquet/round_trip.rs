//! What is written comes back, of every type that SQL has, at its ends.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int32Builder, Int64Array, ListArray, MapBuilder,
    MapFieldNames, RecordBatch, StringArray, StringBuilder, StructArray, Time32MillisecondArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat, concat_batches};
use arrow::datatypes::{Field, Schema};
use bytes::Bytes;
use parquet::file::metadata::ParquetMetaDataReader;

use super::{Codec, ParquetOptions, ParquetPlan, ParquetRows, RowPosition};

fn columns() -> Vec<ArrayRef> {
    const FIRST: i64 = -719_162 * 86_400;
    const LAST: i64 = 2_932_897 * 86_400 - 1;
    let decimal = |values: Vec<i128>, precision, scale| -> ArrayRef {
        let array = Decimal128Array::from(values).with_precision_and_scale(precision, scale);
        Arc::new(array.unwrap())
    };
    let ends = |digits: u32| 10i128.pow(digits) - 1;
    vec![
        Arc::new(BooleanArray::from(vec![true, false])),
        Arc::new(Int8Array::from(vec![i8::MIN, 0, i8::MAX])),
        Arc::new(Int16Array::from(vec![i16::MIN, 0, i16::MAX])),
        Arc::new(Int32Array::from(vec![i32::MIN, 0, i32::MAX])),
        Arc::new(Int64Array::from(vec![i64::MIN, 0, i64::MAX])),
        Arc::new(Float32Array::from(vec![-0.0, 0.0, f32::NAN, f32::MIN, f32::INFINITY, 1e-45])),
        Arc::new(Float64Array::from(vec![-0.0, 0.0, f64::NAN, f64::MIN, f64::INFINITY, 5e-324])),
        decimal(vec![-9, 0, 9], 1, 0),
        decimal(vec![-ends(9), -1, ends(9)], 9, 2),
        decimal(vec![-ends(10), -1, ends(10)], 10, 10),
        decimal(vec![-ends(18), -1, ends(18)], 18, 4),
        decimal(vec![-ends(19), -1, ends(19)], 19, 0),
        decimal(vec![-ends(38), -1, ends(38)], 38, 38),
        Arc::new(StringArray::from(vec!["", "a\0b", "ä€😀", " "])),
        Arc::new(BinaryArray::from(vec![&b""[..], b"\0\xff"])),
        Arc::new(Date32Array::from(vec![i32::MIN, -719_162, -1, 0, 2_932_896, i32::MAX])),
        Arc::new(Time32MillisecondArray::from(vec![0, 86_399_999])),
        Arc::new(TimestampSecondArray::from(vec![FIRST, -1, 0, LAST])),
        Arc::new(TimestampMillisecondArray::from(vec![i64::MIN, FIRST * 1_000, -1, i64::MAX])),
        Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN, FIRST * 1_000_000, -1, i64::MAX])),
        Arc::new(TimestampNanosecondArray::from(vec![i64::MIN, -1, 0, i64::MAX])),
        Arc::new(TimestampSecondArray::from(vec![FIRST, -1, LAST]).with_timezone("UTC")),
        Arc::new(TimestampMillisecondArray::from(vec![i64::MIN, -1]).with_timezone("UTC")),
        Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN, -1]).with_timezone("UTC")),
        Arc::new(TimestampNanosecondArray::from(vec![i64::MIN, -1]).with_timezone("UTC")),
        list(Arc::new(StringArray::from(vec![Some("a"), None, Some("")]))),
        list(Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None, Some(1)]))),
        row(vec![
            Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(1.5)])),
            list(decimal(vec![-1, 0, 1], 10, 2)),
        ]),
        list(row(vec![Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(1)]))])),
        map(),
    ]
}

/// Two elements, none, and no list; of three items.
fn list(items: ArrayRef) -> ArrayRef {
    let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([2, 0, 1]);
    Arc::new(ListArray::new(field, offsets, items, Some(vec![true, true, true].into())))
}

/// Two rows of these columns, which have three values, and NULL.
fn row(columns: Vec<ArrayRef>) -> ArrayRef {
    let fields = columns.iter().zip(["a", "b"]);
    let fields = fields.map(|(column, name)| Field::new(name, column.data_type().clone(), true));
    let fields = fields.collect();
    Arc::new(StructArray::new(fields, columns, Some(vec![true, true, false].into())))
}

fn map() -> ArrayRef {
    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let mut maps = MapBuilder::new(Some(names), StringBuilder::new(), Int32Builder::new());
    for entries in [&[("x", Some(1)), ("", None)][..], &[]] {
        for (key, value) in entries {
            maps.keys().append_value(key);
            maps.values().append_option(*value);
        }
        maps.append(true).unwrap();
    }
    maps.append(false).unwrap();
    Arc::new(maps.finish())
}

#[test]
fn every_value_comes_back_as_it_was_written() {
    for values in columns() {
        let data_type = values.data_type().clone();
        let null = new_null_array(&data_type, 1);
        let values = concat(&[&null, &values, &null]).unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("c", data_type.clone(), true)]));
        let rows = RecordBatch::try_new(Arc::clone(&schema), vec![values]).unwrap();
        for compression in [Codec::None, Codec::Snappy, Codec::Gzip, Codec::Zstd, Codec::Lz4] {
            let options = ParquetOptions { compression, ..ParquetOptions::default() };
            let mut writer = ParquetRows::new(&schema, &options).unwrap();
            writer.write(&rows).unwrap();
            writer.close_row_group().unwrap();
            writer.write(&rows).unwrap();
            let file = Bytes::from(writer.finish().unwrap());
            let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
            let plan = ParquetPlan::new(Arc::new(metadata), &schema, &[0]).unwrap();
            let reader = plan.reader(file, RowPosition::default(), 2, 3).unwrap();
            let read: Vec<_> = reader.map(|rows| plan.convert(&rows.unwrap()).unwrap()).collect();
            let read = concat_batches(&schema, &read).unwrap();
            let expected = concat_batches(&schema, [&rows, &rows]).unwrap();
            // Equal bits, so that NaN is itself and -0.0 is not 0.0.
            assert_eq!(read, expected, "{data_type} {compression:?}");
        }
    }
}
