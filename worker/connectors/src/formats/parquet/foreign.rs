//! Files of other writers, with the types and values that Weir itself does not write.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType as ParquetType, FixedLenByteArray, FixedLenByteArrayType,
    Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::{ParquetPlan, RowPosition};
use weir_engine::RowKind;

/// A file of one column `c`, which may be NULL; behind ` | ` is what makes it
/// another one of its type.
pub(super) fn file<T: ParquetType>(column: &str, values: &[Option<T::T>]) -> Bytes {
    let column = column.split(" | ").next().unwrap_or(column);
    let schema = parse_message_type(&format!("message m {{ optional {column}; }}")).unwrap();
    let properties = Arc::new(WriterProperties::new());
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut chunk = group.next_column().unwrap().unwrap();
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let present: Vec<T::T> = values.iter().flatten().cloned().collect();
    chunk.typed::<T>().write_batch(&present, Some(&levels), None).unwrap();
    chunk.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap().into()
}

fn table(data_type: DataType) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("c", data_type, true)]))
}

pub(super) fn read(file: &Bytes, data_type: DataType) -> Result<RecordBatch, String> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(file).unwrap();
    let plan = ParquetPlan::new(Arc::new(metadata), &table(data_type), &[0])?;
    let reader = plan.reader(file.clone(), RowPosition::default(), 1, 100).unwrap();
    let batches = reader.map(|batch| plan.convert(&batch.map_err(|error| error.to_string())?));
    let batches = batches.collect::<Result<Vec<_>, String>>()?;
    Ok(concat_batches(plan.schema(), &batches).unwrap())
}

/// As `print` shows it.
pub(super) fn shown(batch: &RecordBatch) -> Vec<String> {
    let row = |row: usize| {
        let mut text = Vec::new();
        crate::print::value::write_row(&mut text, RowKind::Insert, batch.columns(), row);
        let text = String::from_utf8(text).unwrap();
        text[3..text.len() - 1].to_owned()
    };
    (0..batch.num_rows()).map(row).collect()
}

fn timestamp(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, None)
}

/// Days since 1970 and nanoseconds of the day, as INT96 holds them.
pub(super) fn int96(days: i64, nanos: u64) -> Option<Int96> {
    let julian = u32::try_from(days + 2_440_588).unwrap();
    let mut value = Int96::new();
    value.set_data(u32::try_from(nanos & 0xffff_ffff).unwrap(), (nanos >> 32) as u32, julian);
    Some(value)
}

#[test]
fn int96_is_read_in_every_year() {
    const DAY: u64 = 86_400_000_000_000;
    let values = [
        int96(11_356, 14_706_789_123_456),
        int96(-1, DAY - 1),
        int96(2_932_896, DAY - 1_000_000_000),
        int96(-719_162, 0),
        int96(-135_140, 0),
        // The ends of what 64-bit nanoseconds hold, and the days beyond.
        int96(106_751, DAY - 1),
        int96(106_752, 0),
        int96(-106_752, 0),
        None,
    ];
    let file = file::<Int96Type>("int96 c", &values);
    let millis = read(&file, timestamp(TimeUnit::Millisecond)).unwrap();
    assert_eq!(
        shown(&millis),
        [
            "2001-02-03T04:05:06.789",
            "1969-12-31T23:59:59.999",
            "9999-12-31T23:59:59",
            "0001-01-01T00:00",
            "1600-01-01T00:00",
            "2262-04-11T23:59:59.999",
            "2262-04-12T00:00",
            "1677-09-21T00:00",
            "null"
        ]
    );
    let micros = read(&file, timestamp(TimeUnit::Microsecond)).unwrap();
    assert_eq!(shown(&micros)[..2], ["2001-02-03T04:05:06.789123", "1969-12-31T23:59:59.999999"]);
    assert_eq!(shown(&micros)[3..5], ["0001-01-01T00:00", "1600-01-01T00:00"]);
    let refused = read(&file, timestamp(TimeUnit::Nanosecond)).unwrap_err();
    expect_test::expect!["column `c`: a timestamp 253402300799 s from 1970 is out of the range of TIMESTAMP(9); declare the column with 6 digits or fewer"].assert_eq(&refused);
    let near = self::file::<Int96Type>("int96 c", &values[..2]);
    let nanos = read(&near, timestamp(TimeUnit::Nanosecond)).unwrap();
    assert_eq!(shown(&nanos), ["2001-02-03T04:05:06.789123456", "1969-12-31T23:59:59.999999999"]);
    // 64 bits of microseconds hold some 292,000 years: what is beyond must not come out as another.
    let far = self::file::<Int96Type>("int96 c", &[int96(106_751_992, 0), int96(-2_440_588, 0)]);
    let refused = read(&far, timestamp(TimeUnit::Microsecond)).unwrap_err();
    expect_test::expect!["column `c`: a timestamp 9223372108800 s from 1970 is out of the range of TIMESTAMP(6); declare the column with 3 digits or fewer"].assert_eq(&refused);
    let seconds = read(&far, timestamp(TimeUnit::Second)).unwrap();
    assert_eq!(shown(&seconds), ["+294247-01-11T00:00", "-4713-11-24T00:00"]);
}

#[test]
fn digits_that_a_column_lacks_are_cut_off_downwards_on_both_sides_of_1970() {
    let values = [Some(1_999_999), Some(-1), Some(-1_000), Some(-1_001), Some(i64::MIN), None];
    let file = file::<Int64Type>("int64 c (TIMESTAMP(MICROS,false))", &values);
    assert_eq!(
        shown(&read(&file, timestamp(TimeUnit::Millisecond)).unwrap()),
        [
            "1970-01-01T00:00:01.999",
            "1969-12-31T23:59:59.999",
            "1969-12-31T23:59:59.999",
            "1969-12-31T23:59:59.998",
            "-290308-12-21T19:59:05.224",
            "null"
        ]
    );
    let refused = read(&file, timestamp(TimeUnit::Nanosecond)).unwrap_err();
    expect_test::expect!["column `c`: a timestamp -9223372036855 s from 1970 is out of the range of TIMESTAMP(9); declare the column with 6 digits or fewer"].assert_eq(&refused);
}

#[test]
fn types_that_sql_lacks_are_read_by_a_wider_one_or_said_to_have_none() {
    let unsigned = file::<Int64Type>("int64 c (INTEGER(64,false))", &[Some(-1), Some(7)]);
    let read_as = read(&unsigned, DataType::Decimal128(20, 0)).unwrap();
    assert_eq!(shown(&read_as), ["18446744073709551615", "7"]);
    let half = FixedLenByteArray::from(ByteArray::from(vec![0x00, 0x3e]));
    let half = file::<FixedLenByteArrayType>("fixed_len_byte_array(2) c (FLOAT16)", &[Some(half)]);
    assert_eq!(shown(&read(&half, DataType::Float32).unwrap()), ["1.5"]);
    let short = file::<Int32Type>("int32 c (INTEGER(16,false))", &[Some(65_535)]);
    assert_eq!(shown(&read(&short, DataType::Int32).unwrap()), ["65535"]);
    let fixed = FixedLenByteArray::from(ByteArray::from(vec![0; 12]));
    let interval =
        file::<FixedLenByteArrayType>("fixed_len_byte_array(12) c (INTERVAL)", &[Some(fixed)]);
    let text = file::<ByteArrayType>("binary c (UTF8)", &[Some(ByteArray::from("x"))]);
    let time = file::<Int64Type>("int64 c (TIME(MICROS,true))", &[Some(1)]);
    let refused = [&unsigned, &half, &short, &interval, &text, &time]
        .map(|file| read(file, DataType::Int8).unwrap_err());
    expect_test::expect![[r#"
        column `c` is TINYINT in the table, but UINT_64 in the file, which cannot be read as TINYINT without loss; declare it as DECIMAL(20, 0) and CAST in the query
        column `c` is TINYINT in the table, but FLOAT16 in the file, which cannot be read as TINYINT without loss; declare it as FLOAT and CAST in the query
        column `c` is TINYINT in the table, but UINT_16 in the file, which cannot be read as TINYINT without loss; declare it as INT and CAST in the query
        column `c` is TINYINT in the table, but INTERVAL in the file, which cannot be read as TINYINT without loss; SQL has no type for it, so leave the column out of the table
        column `c` is TINYINT in the table, but STRING in the file, which cannot be read as TINYINT without loss; declare it as STRING and CAST in the query
        column `c` is TINYINT in the table, but TIME in the file, which cannot be read as TINYINT without loss; declare it as TIME and CAST in the query"#]]
    .assert_eq(&refused.join("\n"));
}
