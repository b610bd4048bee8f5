//! Every type of Parquet, read as every type of SQL: the values, or that it is refused.

use std::fmt::Write as _;

use arrow::datatypes::{DataType, TimeUnit};
use bytes::Bytes;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    FloatType, Int32Type, Int64Type, Int96Type,
};

use super::foreign::{file, int96, read, shown};
use crate::formats::column::sql_type;

fn sql_types() -> Vec<DataType> {
    let utc = || Some("UTC".into());
    vec![
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(5, 2),
        DataType::Decimal128(20, 0),
        DataType::Decimal128(38, 10),
        DataType::Utf8,
        DataType::Binary,
        DataType::Date32,
        DataType::Time32(TimeUnit::Millisecond),
        DataType::Timestamp(TimeUnit::Second, None),
        DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Nanosecond, None),
        DataType::Timestamp(TimeUnit::Millisecond, utc()),
    ]
}

fn some<T>(values: impl IntoIterator<Item = T>) -> Vec<Option<T>> {
    values.into_iter().map(Some).chain([None]).collect()
}

fn int32(column: &'static str, values: &[i32]) -> (&'static str, Bytes) {
    (column, file::<Int32Type>(column, &some(values.iter().copied())))
}

fn int64(column: &'static str, values: &[i64]) -> (&'static str, Bytes) {
    (column, file::<Int64Type>(column, &some(values.iter().copied())))
}

fn bytes(column: &'static str, values: &[&[u8]]) -> (&'static str, Bytes) {
    let values = values.iter().map(|value| ByteArray::from(value.to_vec()));
    (column, file::<ByteArrayType>(column, &some(values)))
}

fn fixed(column: &'static str, values: &[&[u8]]) -> (&'static str, Bytes) {
    let values =
        values.iter().map(|value| FixedLenByteArray::from(ByteArray::from(value.to_vec())));
    (column, file::<FixedLenByteArrayType>(column, &some(values)))
}

/// A file of each type, with its ends and what stands close to them.
fn files() -> Vec<(&'static str, Bytes)> {
    const DAY: i64 = 86_400;
    /// 0001-01-01 and 9999-12-31T23:59:59 in seconds since 1970.
    const FIRST: i64 = -719_162 * DAY;
    const LAST: i64 = 2_932_897 * DAY - 1;
    vec![
        ("boolean c", file::<BoolType>("boolean c", &some([true, false]))),
        int32("int32 c", &[i32::MIN, -1, i32::MAX]),
        int32("int32 c (INTEGER(8,true))", &[-128, 127]),
        int32("int32 c (INTEGER(8,true)) | beyond", &[300]),
        int32("int32 c (INT_16)", &[-32_768, 32_767]),
        int32("int32 c (INTEGER(16,true)) | beyond", &[-40_000]),
        int32("int32 c (INTEGER(32,true))", &[i32::MIN, i32::MAX]),
        int32("int32 c (INTEGER(8,false))", &[0, 255]),
        int32("int32 c (UINT_8) | beyond", &[-1]),
        int32("int32 c (INTEGER(16,false))", &[0, 65_535]),
        int32("int32 c (INTEGER(32,false))", &[0, -1]),
        int32("int32 c (DATE)", &[-719_162, -1, 0, 2_932_896, i32::MIN, i32::MAX]),
        int32("int32 c (TIME(MILLIS,true))", &[0, 86_399_999]),
        int32("int32 c (TIME(MILLIS,true)) | beyond", &[86_400_000]),
        int32("int32 c (DECIMAL(5,2))", &[-99_999, -1, 0, 99_999]),
        int64("int64 c", &[i64::MIN, -1, i64::MAX]),
        int64("int64 c (INTEGER(64,false))", &[0, -1]),
        int64("int64 c (DECIMAL(18,4))", &[-999_999_999_999_999_999, -1, 999_999_999_999_999_999]),
        int64("int64 c (TIME(MICROS,true))", &[0, 86_399_999_999]),
        int64("int64 c (TIME(MICROS,true)) | beyond", &[-1]),
        int64("int64 c (TIME(NANOS,false))", &[1, 86_399_999_999_999]),
        int64("int64 c (TIMESTAMP(MILLIS,true))", &[FIRST * 1_000, -1, 0, LAST * 1_000 + 999]),
        int64("int64 c (TIMESTAMP_MILLIS)", &[-1]),
        int64(
            "int64 c (TIMESTAMP(MICROS,false))",
            &[FIRST * 1_000_000, -1, 1_500_000_000_123_456, LAST * 1_000_000 + 999_999],
        ),
        int64("int64 c (TIMESTAMP(NANOS,false))", &[i64::MIN, -1, 1, i64::MAX]),
        (
            "int96 c",
            file::<Int96Type>(
                "int96 c",
                &[
                    int96(-719_162, 0),
                    int96(-1, 86_399_999_999_999),
                    int96(0, 1),
                    int96(2_932_896, 86_399_999_999_999),
                    None,
                ],
            ),
        ),
        ("int96 c | beyond", file::<Int96Type>("int96 c", &[int96(106_751_992, 0)])),
        (
            "float c",
            file::<FloatType>("float c", &some([-0.0, f32::MIN_POSITIVE, f32::MAX, f32::NAN])),
        ),
        (
            "double c",
            file::<DoubleType>(
                "double c",
                &some([-0.0, 0.1, f64::MAX, f64::NAN, f64::NEG_INFINITY]),
            ),
        ),
        fixed("fixed_len_byte_array(2) c (FLOAT16)", &[&[0, 0x80], &[0xff, 0x7b], &[0, 0x7e]]),
        bytes("binary c", &[b"", b"a \xc3\xa9"]),
        bytes("binary c | not UTF-8", &[b"\xff"]),
        bytes("binary c (UTF8)", &[b"", b"a \xc3\xa9"]),
        bytes("binary c (UTF8) | not UTF-8", &[b"\xff"]),
        bytes("binary c (JSON)", &[b"{}"]),
        bytes("binary c (BSON)", &[b"{}"]),
        bytes("binary c (ENUM)", &[b"RED"]),
        bytes("binary c (DECIMAL(5,2))", &[b"\xff", b"\x01\x86\x9f"]),
        bytes("binary c (DECIMAL(5,2)) | in many bytes", &[&[0xff; 40], &[0; 17], b"\0\xff"]),
        bytes("binary c (DECIMAL(5,2)) | beyond", &[&[0x7f; 17]]),
        bytes("binary c (DECIMAL(5,2)) | without bytes", &[b""]),
        fixed("fixed_len_byte_array(3) c", &[b"a\xffb"]),
        fixed("fixed_len_byte_array(16) c (UUID)", &[&[0x11; 16]]),
        fixed("fixed_len_byte_array(3) c (DECIMAL(5,2))", &[b"\xff\xff\xff", b"\x01\x86\x9f"]),
        fixed("fixed_len_byte_array(16) c (DECIMAL(38,10))", &[&[0xff; 16]]),
        fixed("fixed_len_byte_array(17) c (DECIMAL(5,2))", &[&[0xff; 17]]),
        fixed("fixed_len_byte_array(32) c (DECIMAL(40,2))", &[&[0xff; 32]]),
        fixed("fixed_len_byte_array(12) c (INTERVAL)", &[&[1; 12]]),
        int32("int32 c (UNKNOWN)", &[]),
    ]
}

#[test]
fn every_type_of_parquet_is_read_as_what_holds_it_or_refused() {
    let mut found = String::new();
    for (name, file) in files() {
        let _ = writeln!(found, "{name}");
        let mut last: Option<(String, Vec<String>)> = None;
        for data_type in sql_types() {
            let field = arrow::datatypes::Field::new("c", data_type.clone(), true);
            let values = match read(&file, data_type) {
                Ok(rows) => shown(&rows).join(", "),
                Err(why) if why.contains("without loss") => continue,
                Err(why) => why,
            };
            match &mut last {
                Some((known, types)) if *known == values => types.push(sql_type(&field)),
                _ => {
                    tell(&mut found, last.take());
                    last = Some((values, vec![sql_type(&field)]));
                }
            }
        }
        tell(&mut found, last);
    }
    expect_test::expect_file!["matrix.txt"].assert_eq(&found);
}

fn tell(found: &mut String, told: Option<(String, Vec<String>)>) {
    if let Some((values, types)) = told {
        let _ = writeln!(found, "  {}: {values}", types.join(", "));
    }
}
