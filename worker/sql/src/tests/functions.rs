//! What one row cannot show of expressions: columns, laziness, places of errors.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};

use crate::bind::expr::{Scope, bind_plain};
use crate::error::Span;
use crate::expr::program::Program;
use crate::expr::{Col, render};
use crate::parse::parse_expr;
use crate::rel::{Field, Role};
use crate::types::{Kind, SqlType};

#[test]
fn the_clock_is_named_as_nondeterministic() {
    for sql in ["CURRENT_TIMESTAMP", "NOW()", "PROCTIME()", "UNIX_TIMESTAMP()", "CURRENT_DATE"] {
        let scope =
            Scope { fields: &[], qualifier: None, place: "nothing", aliases: &[], joined: None };
        let bound = bind_plain(&parse_expr(sql).unwrap(), &scope, "").unwrap();
        assert!(bound.nondeterministic().is_some(), "{sql}");
    }
}

/// Evaluates over the columns `n INT` and `s STRING`.
fn rows(sql: &str) -> Result<Vec<String>, String> {
    let field = |name: &str, kind: Kind| Field {
        name: name.to_owned(),
        ty: SqlType::nullable(kind),
        role: Role::Plain,
    };
    let fields = [field("n", Kind::Int), field("s", Kind::STRING)];
    let scope = Scope { fields: &fields, qualifier: None, place: "t", aliases: &[], joined: None };
    let bound = bind_plain(&parse_expr(sql).unwrap(), &scope, "").map_err(|e| e.message)?;
    let n: ArrayRef = Arc::new(Int32Array::from(vec![Some(0), Some(2), None, Some(-3)]));
    let s: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("2"), Some("x,y")]));
    let batch = RecordBatch::try_from_iter(vec![("n", n), ("s", s)]).unwrap();
    let kind = bound.kind();
    let values = Program::new(&[bound]).evaluate(&batch).map_err(|e| e.message)?;
    let col = Col::Array(values[0].clone());
    Ok((0..4).map(|r| render::value(&col, kind, r).unwrap_or_else(|| "NULL".to_owned())).collect())
}

#[test]
fn columns_and_values_mix() {
    let cases = [
        ("n + 1", "1 3 NULL -2"),
        ("10 / NULLIF(n, 0)", "NULL 5 NULL -3"),
        ("n > 0", "FALSE TRUE NULL FALSE"),
        ("COALESCE(s, '-')", "a - 2 x,y"),
        ("UPPER(s) || CAST(n AS STRING)", "A0 NULL NULL X,Y-3"),
        ("SPLIT_INDEX(s, ',', 1)", "NULL NULL NULL y"),
        ("TRY_CAST(s AS INT)", "NULL NULL 2 NULL"),
        ("-n", "0 -2 NULL 3"),
        ("n IS NULL", "FALSE FALSE TRUE FALSE"),
        ("1 + 1", "2 2 2 2"),
        ("n IN (0, 2)", "TRUE TRUE NULL FALSE"),
        ("GREATEST(n, 1)", "1 2 NULL 1"),
    ];
    for (sql, expected) in cases {
        assert_eq!(rows(sql).map(|r| r.join(" ")), Ok(expected.to_owned()), "{sql}");
    }
}

#[test]
fn what_is_not_chosen_is_not_computed() {
    assert_eq!(rows("CASE WHEN n <> 0 THEN 10 / n ELSE -1 END").unwrap(), ["-1", "5", "-1", "-3"]);
    assert_eq!(rows("n <> 0 AND 10 / n > 4").unwrap(), ["FALSE", "TRUE", "NULL", "FALSE"]);
    assert_eq!(rows("n = 0 OR 10 / n > 4").unwrap(), ["TRUE", "TRUE", "NULL", "FALSE"]);
    assert_eq!(rows("IF(s = '2', CAST(s AS INT), 7)").unwrap(), ["7", "7", "2", "7"]);
}

#[test]
fn an_error_in_the_data_names_the_place_in_the_program() {
    assert_eq!(
        rows("10 / n").unwrap_err(),
        "sql:1:1: division by zero; guard it with NULLIF(divisor, 0) or CASE"
    );
    assert_eq!(
        rows("1 + CAST(s AS INT)").unwrap_err(),
        "sql:1:5: cannot cast 'a' to INT; TRY_CAST gives NULL instead"
    );
    assert_eq!(
        rows("CAST('abc' AS INT)").unwrap_err(),
        "cannot cast 'abc' to INT; TRY_CAST gives NULL instead"
    );
    assert_eq!(
        rows("REGEXP_REPLACE('a', '(', '')").unwrap_err(),
        "the pattern '(' cannot be read: a group in it is not closed"
    );
    assert_eq!(Span::default().to_string(), "sql:0:0");
}

#[test]
fn values_that_only_people_take_for_one_stay_two() {
    let fields =
        [Field { name: "s".to_owned(), ty: SqlType::nullable(Kind::STRING), role: Role::Plain }];
    let scope = Scope { fields: &fields, qualifier: None, place: "t", aliases: &[], joined: None };
    let row: ArrayRef = Arc::new(StringArray::from(vec!["abcdef"]));
    let batch = RecordBatch::try_from_iter(vec![("s", row)]).unwrap();
    for (sqls, expected) in [
        (["CAST(s AS VARCHAR(2))", "CAST(s AS VARCHAR(4))"], ["ab", "abcd"]),
        (["CAST(s AS CHAR(3))", "CAST(s AS CHAR(8))"], ["abc", "abcdef  "]),
        (["IF(s <> '', 'NULL', 'x')", "IF(s <> '', CAST(NULL AS CHAR(4)), 'x')"], ["NULL", "-"]),
    ] {
        let text = |sql: &str| {
            let bound = bind_plain(&parse_expr(sql).unwrap(), &scope, "").unwrap();
            // As when both go to columns of type STRING.
            crate::bind::expr::cast_to(bound, Kind::STRING, Span::default()).unwrap()
        };
        let values = Program::new(&sqls.map(text)).evaluate(&batch).unwrap();
        let found = values.iter().map(|v| {
            let value = render::value(&Col::Array(v.clone()), Kind::STRING, 0);
            value.unwrap_or_else(|| "-".to_owned())
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{sqls:?}");
    }
    let key = |sql: &str| {
        let bound = bind_plain(&parse_expr(sql).unwrap(), &scope, "").unwrap();
        bound.canonical(&|i| format!("#{i}"))
    };
    assert_ne!(key("TIME '00:00:00.123'"), key("TIME '00:00:00.456'"));
    assert_ne!(key("'NULL'"), key("CAST(NULL AS CHAR(4))"));
    let of_time = |p: u8| {
        let cast = format!("CAST(CAST(s AS TIMESTAMP(3)) AS TIMESTAMP({p}))");
        let bound = bind_plain(&parse_expr(&cast).unwrap(), &scope, "").unwrap();
        let wide = crate::bind::expr::cast_to(bound, Kind::Timestamp(3), Span::default());
        wide.unwrap().canonical(&|i| format!("#{i}"))
    };
    assert_ne!(of_time(0), of_time(1));
}

#[test]
fn a_pattern_in_the_data_that_cannot_be_used_stops_the_job() {
    for (sql, part) in [
        ("REGEXP('a', '(' || s)", "the pattern '(a' cannot be read: a group in it is not closed"),
        ("REGEXP_EXTRACT('a', s || '(?=b)')", "lookahead"),
        ("DATE_FORMAT(TIMESTAMP '2001-02-03 04:05:06', 'j' || s)", "the letter 'j'"),
        ("TO_TIMESTAMP('2001', '{' || s)", "'{' is reserved"),
        ("UNIX_TIMESTAMP('2001', 'X' || s)", "the letter 'X'"),
    ] {
        let error = rows(sql).unwrap_err();
        assert!(error.contains(part), "{sql}: {error}");
    }
}
