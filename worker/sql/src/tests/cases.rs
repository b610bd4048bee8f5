//! Expressions against what Flink answers.
//!
//! `cases.tsv` is the recording: an expression, Flink's value and Flink's type, and where Weir
//! means to differ its own value and the reason. The end-to-end test `functions_like_flink` holds
//! the recording against a real Flink; this one holds Weir against the recording.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray, Time32MillisecondArray, TimestampMillisecondArray,
};

use crate::bind::expr::{Scope, bind_plain};
use crate::expr::program::Program;
use crate::expr::{Col, render};
use crate::parse::parse_expr;
use crate::rel::{Field, Role};
use crate::types::{Kind, SqlType};

const CASES: &str = include_str!("cases.tsv");

/// One row of every type: the row that the end-to-end test gives to Flink.
fn fixture() -> (Vec<Field>, RecordBatch) {
    let times = |ms: i64| TimestampMillisecondArray::from(vec![ms]);
    let decimal = |value: i128, p: u8, s: i8| {
        Decimal128Array::from(vec![value]).with_precision_and_scale(p, s).unwrap()
    };
    const NOON: i64 = 981_173_106_789;
    let columns: Vec<(&str, Kind, ArrayRef)> = vec![
        ("i", Kind::Int, Arc::new(Int32Array::from(vec![7]))),
        ("z", Kind::Int, Arc::new(Int32Array::from(vec![0]))),
        ("b", Kind::BigInt, Arc::new(Int64Array::from(vec![5_000_000_123]))),
        ("d", Kind::Double, Arc::new(Float64Array::from(vec![2.5]))),
        ("f", Kind::Float, Arc::new(Float32Array::from(vec![1.1]))),
        ("nan", Kind::Double, Arc::new(Float64Array::from(vec![f64::NAN]))),
        ("dc", Kind::Decimal(10, 2), Arc::new(decimal(1235, 10, 2))),
        ("big", Kind::Decimal(38, 0), Arc::new(decimal(10i128.pow(38) - 1, 38, 0))),
        ("s", Kind::STRING, Arc::new(StringArray::from(vec!["7"]))),
        ("word", Kind::STRING, Arc::new(StringArray::from(vec!["hello"]))),
        ("bo", Kind::Boolean, Arc::new(BooleanArray::from(vec![true]))),
        ("ts", Kind::Timestamp(3), Arc::new(times(NOON))),
        ("past", Kind::Timestamp(3), Arc::new(times(-3_662_750))),
        ("ltz", Kind::TimestampLtz(3), Arc::new(times(NOON).with_timezone("UTC"))),
        ("dt", Kind::Date, Arc::new(Date32Array::from(vec![11_356]))),
        ("tm", Kind::Time(0), Arc::new(Time32MillisecondArray::from(vec![14_706_000]))),
        ("ni", Kind::Int, Arc::new(Int32Array::from(vec![None]))),
        ("ns", Kind::STRING, Arc::new(StringArray::from(vec![None::<&str>]))),
        ("nb", Kind::Boolean, Arc::new(BooleanArray::from(vec![None]))),
    ];
    let fields = columns
        .iter()
        .map(|(name, kind, _)| Field {
            name: (*name).to_owned(),
            ty: SqlType::nullable(*kind),
            role: Role::Plain,
        })
        .collect();
    let batch = columns.into_iter().map(|(name, _, array)| (name, array, true));
    (fields, RecordBatch::try_from_iter_with_nullable(batch).unwrap())
}

/// Value and type of an expression; the value `ERROR` and the message when it has none.
fn evaluate(sql: &str, fields: &[Field], row: &RecordBatch) -> (String, String) {
    let error = |message: String| ("ERROR".to_owned(), message);
    let scope = Scope { fields, qualifier: None, place: "fixture", aliases: &[], joined: None };
    let parsed = match parse_expr(sql) {
        Ok(parsed) => parsed,
        Err(found) => return error(found.message),
    };
    let bound = match bind_plain(&parsed, &scope, "") {
        Ok(bound) => bound,
        Err(found) => return error(found.message),
    };
    let kind = bound.kind();
    match Program::new(&[bound]).evaluate(row) {
        Ok(values) => {
            let value = render::value(&Col::Array(values[0].clone()), kind, 0);
            (value.unwrap_or_else(|| "NULL".to_owned()), name_of(kind))
        }
        Err(found) => error(found.message),
    }
}

/// A type as the recording names it. Lengths of strings are left out: Weir does not derive them,
/// since no value depends on them but that of CAST, which names its own.
fn name_of(kind: Kind) -> String {
    match kind {
        Kind::Char(_) | Kind::VarChar(_) => "STRING".to_owned(),
        other => other.to_string(),
    }
}

#[test]
fn functions_give_what_flink_gives() {
    let (fields, row) = fixture();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in CASES.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        count += 1;
        let parts: Vec<&str> = line.split('\t').collect();
        let (expected, kind) = match parts[..] {
            [_, value, kind] => (value, kind),
            [_, value, kind, ours, reason] => {
                assert!(!reason.is_empty() && ours != value, "no difference: {line}");
                (ours, kind)
            }
            _ => panic!("a case has three parts, or five: {line}"),
        };
        let (value, found) = evaluate(parts[0], &fields, &row);
        if value != expected || value != "ERROR" && found != kind {
            wrong.push(format!(
                "{}\n  gives  {value} {found}\n  not    {expected} {kind}",
                parts[0]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 400, "the recording is there");
}
