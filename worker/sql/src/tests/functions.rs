//! Expressions against values from Flink's documentation and its own tests.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::Schema;

use crate::bind::expr::{Scope, bind_plain};
use crate::error::Span;
use crate::expr::program::Program;
use crate::expr::{Col, Expr, render};
use crate::parse::parse_expr;
use crate::rel::{Field, Role};
use crate::types::{Kind, SqlType};

/// The value and type of an expression, or its error.
fn eval(sql: &str) -> (String, String) {
    let parsed = parse_expr(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let scope = Scope { fields: &[], qualifier: None, place: "nothing", aliases: &[] };
    let bound: Expr = match bind_plain(&parsed, &scope, "") {
        Ok(bound) => bound,
        Err(error) => return (error.message, "error".to_owned()),
    };
    let one = RecordBatchOptions::new().with_row_count(Some(1));
    let nothing =
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &one).unwrap();
    let kind = bound.kind();
    match Program::new(&[bound]).evaluate(&nothing) {
        Ok(values) => {
            let value = render::value(&Col::Array(values[0].clone()), kind, 0);
            (value.unwrap_or_else(|| "NULL".to_owned()), kind.to_string())
        }
        Err(error) => (error.message, "error".to_owned()),
    }
}

fn check(cases: &[(&str, &str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(sql, value, kind)| {
            let (found, found_kind) = eval(sql);
            let same = found == *value && (kind.is_empty() || found_kind == *kind);
            (!same)
                .then(|| format!("{sql}\n  is     {found} {found_kind}\n  not    {value} {kind}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn integers_keep_their_type_and_wrap() {
    check(&[
        ("1 + 2", "3", "INT"),
        ("2147483647 + 1", "-2147483648", "INT"),
        ("-2147483648 - 1", "2147483647", "INT"),
        ("2147483648 + 1", "2147483649", "BIGINT"),
        ("65536 * 65536", "0", "INT"),
        ("CAST(65536 AS BIGINT) * 65536", "4294967296", "BIGINT"),
        ("7 / 2", "3", "INT"),
        ("-7 / 2", "-3", "INT"),
        ("7 % 3", "1", "INT"),
        ("-7 % 3", "-1", "INT"),
        ("MOD(-7, 3)", "-1", "INT"),
        ("MOD(CAST(7 AS BIGINT), 4)", "3", "INT"),
        ("CAST(127 AS TINYINT) + CAST(1 AS TINYINT)", "-128", "TINYINT"),
        ("CAST(1 AS SMALLINT) + 1", "2", "INT"),
        ("-CAST(5 AS BIGINT)", "-5", "BIGINT"),
        ("-2147483648 / -1", "-2147483648", "INT"),
        ("1 / 0", "division by zero; guard it with NULLIF(divisor, 0) or CASE", "error"),
        ("1 % 0", "division by zero; guard it with NULLIF(divisor, 0) or CASE", "error"),
    ]);
}

#[test]
fn floats_follow_java() {
    check(&[
        ("1E0 / 0", "Infinity", "DOUBLE"),
        ("0E0 / 0", "NaN", "DOUBLE"),
        ("1 + 1E0", "2.0", "DOUBLE"),
        ("CAST(1 AS FLOAT) + 1", "2.0", "FLOAT"),
        ("CAST(1 AS FLOAT) + CAST(1 AS DOUBLE)", "2.0", "DOUBLE"),
        ("CAST(1.5 AS FLOAT) * 1.0", "1.5", "DOUBLE"),
        ("1E10", "1.0E10", "DOUBLE"),
        ("1234567.0E0", "1234567.0", "DOUBLE"),
        ("12345678.0E0", "1.2345678E7", "DOUBLE"),
        ("0.001E0", "0.001", "DOUBLE"),
        ("0.0001E0", "1.0E-4", "DOUBLE"),
        ("-0.5E0", "-0.5", "DOUBLE"),
        ("0E0 / 0 = 0E0 / 0", "FALSE", "BOOLEAN"),
        ("0E0 = -0E0", "TRUE", "BOOLEAN"),
    ]);
}

#[test]
fn decimals_have_the_precision_that_calcite_derives() {
    check(&[
        ("1.5", "1.5", "DECIMAL(2, 1)"),
        ("0.05", "0.05", "DECIMAL(2, 2)"),
        ("1.5 + 1.25", "2.75", "DECIMAL(4, 2)"),
        ("1.5 - 2", "-0.5", "DECIMAL(12, 1)"),
        ("1.5 * 2.25", "3.375", "DECIMAL(5, 3)"),
        ("1.0 / 3", "0.333333333333", "DECIMAL(13, 12)"),
        ("10.0 / 4.0", "2.500000", "DECIMAL(9, 6)"),
        ("-1.0 / 3", "-0.333333333333", "DECIMAL(13, 12)"),
        ("7.5 % 2", "1.5", "DECIMAL(2, 1)"),
        ("1.0 / 0", "division by zero; guard it with NULLIF(divisor, 0) or CASE", "error"),
        ("CAST(1 AS DECIMAL(38, 18)) * CAST(1 AS DECIMAL(38, 18))", "1.000000", "DECIMAL(38, 6)"),
        (
            "CAST(99999999999999999999999999999999999999 AS DECIMAL(38, 0)) + 1",
            "NULL",
            "DECIMAL(38, 0)",
        ),
        ("CAST(123.456 AS DECIMAL(5, 1))", "123.5", "DECIMAL(5, 1)"),
        ("CAST(-0.05 AS DECIMAL(5, 1))", "-0.1", "DECIMAL(5, 1)"),
        ("CAST(123456 AS DECIMAL(5, 1))", "NULL", "DECIMAL(5, 1)"),
        ("1.0 = 1", "TRUE", "BOOLEAN"),
    ]);
}

#[test]
fn casts_are_flinks() {
    check(&[
        ("CAST('1.9' AS INT)", "1", "INT"),
        ("CAST(' 12 ' AS INT)", "12", "INT"),
        ("CAST('abc' AS INT)", "cannot cast 'abc' to INT; TRY_CAST gives NULL instead", "error"),
        ("TRY_CAST('abc' AS INT)", "NULL", "INT"),
        ("TRY_CAST('3000000000' AS INT)", "NULL", "INT"),
        ("CAST(3000000000 AS INT)", "-1294967296", "INT"),
        ("CAST(1.9E0 AS INT)", "1", "INT"),
        ("CAST(-1.9E0 AS INT)", "-1", "INT"),
        ("CAST(1E30 AS INT)", "2147483647", "INT"),
        ("CAST(1.9 AS INT)", "1", "INT"),
        ("CAST('1.5' AS DOUBLE)", "1.5", "DOUBLE"),
        ("CAST('1.555' AS DECIMAL(4, 2))", "1.56", "DECIMAL(4, 2)"),
        ("CAST(TRUE AS STRING)", "TRUE", "STRING"),
        ("CAST('yes' AS BOOLEAN)", "TRUE", "BOOLEAN"),
        ("CAST('F' AS BOOLEAN)", "FALSE", "BOOLEAN"),
        ("CAST(2 AS BOOLEAN)", "TRUE", "BOOLEAN"),
        ("CAST(TRUE AS INT)", "1", "INT"),
        ("CAST(1.50 AS STRING)", "1.50", "STRING"),
        ("CAST(1E0 AS STRING)", "1.0", "STRING"),
        ("CAST('abcdef' AS CHAR(3))", "abc", "CHAR(3)"),
        ("CAST('ab' AS CHAR(4)) || '|'", "ab  |", "STRING"),
        ("CAST('abcdef' AS VARCHAR(3))", "abc", "VARCHAR(3)"),
        ("CAST('2001-01-02' AS DATE)", "2001-01-02", "DATE"),
        ("CAST('2001-1-2' AS DATE)", "2001-01-02", "DATE"),
        ("CAST('2001-01-02 03:04:05' AS TIMESTAMP(3))", "2001-01-02 03:04:05.000", "TIMESTAMP(3)"),
        (
            "CAST('2001-01-02 03:04:05.123456' AS TIMESTAMP)",
            "2001-01-02 03:04:05.123456",
            "TIMESTAMP(6)",
        ),
        (
            "CAST('2001-13-02' AS DATE)",
            "cannot cast '2001-13-02' to DATE; TRY_CAST gives NULL instead",
            "error",
        ),
        ("CAST(TIMESTAMP '2001-01-02 03:04:05.678' AS DATE)", "2001-01-02", "DATE"),
        ("CAST(TIMESTAMP '2001-01-02 03:04:05.678' AS TIME)", "03:04:05", "TIME"),
        (
            "CAST(TIMESTAMP '2001-01-02 03:04:05.678' AS TIMESTAMP(0))",
            "2001-01-02 03:04:05",
            "TIMESTAMP(0)",
        ),
        ("CAST(DATE '2001-01-02' AS TIMESTAMP(3))", "2001-01-02 00:00:00.000", "TIMESTAMP(3)"),
        ("CAST(TIMESTAMP '2001-01-02 03:04:05.6' AS STRING)", "2001-01-02 03:04:05.6", "STRING"),
        ("CAST(NULL AS INT)", "NULL", "INT"),
        ("CAST(DATE '1969-12-31' AS STRING)", "1969-12-31", "STRING"),
    ]);
}

#[test]
fn comparisons_and_logic_know_null() {
    check(&[
        ("1 = NULL", "NULL", "BOOLEAN"),
        ("NULL IS NULL", "TRUE", "BOOLEAN"),
        ("1 IS DISTINCT FROM NULL", "TRUE", "BOOLEAN"),
        ("NULL IS NOT DISTINCT FROM NULL", "TRUE", "BOOLEAN"),
        ("TRUE AND NULL", "NULL", "BOOLEAN"),
        ("FALSE AND NULL", "FALSE", "BOOLEAN"),
        ("TRUE OR NULL", "TRUE", "BOOLEAN"),
        ("NOT CAST(NULL AS BOOLEAN)", "NULL", "BOOLEAN"),
        ("(1 = NULL) IS UNKNOWN", "TRUE", "BOOLEAN"),
        ("(1 = 1) IS NOT FALSE", "TRUE", "BOOLEAN"),
        ("5 BETWEEN 1 AND 5", "TRUE", "BOOLEAN"),
        ("5 NOT BETWEEN 1 AND 4", "TRUE", "BOOLEAN"),
        ("3 BETWEEN SYMMETRIC 5 AND 1", "TRUE", "BOOLEAN"),
        ("2 IN (1, 2, 3)", "TRUE", "BOOLEAN"),
        ("4 IN (1, NULL)", "NULL", "BOOLEAN"),
        ("4 NOT IN (1, 2)", "TRUE", "BOOLEAN"),
        ("'a' < 'b'", "TRUE", "BOOLEAN"),
        ("DATE '2001-01-02' > '2001-01-01'", "TRUE", "BOOLEAN"),
        ("1 = 1.0E0", "TRUE", "BOOLEAN"),
        ("CASE WHEN 1 > 2 THEN 'a' WHEN 2 > 1 THEN 'bc' END", "bc", "VARCHAR(2)"),
        ("CASE 3 WHEN 1 THEN 10 WHEN 3 THEN 30 ELSE 0 END", "30", "INT"),
        ("CASE WHEN FALSE THEN 1 END", "NULL", "INT"),
        ("CASE WHEN TRUE THEN 1 ELSE 2.5 END", "1.0", "DECIMAL(11, 1)"),
        ("COALESCE(NULL, 5)", "5", "INT"),
        ("IFNULL(CAST(NULL AS INT), 5)", "5", "INT"),
        ("NULLIF(5, 5)", "NULL", "INT"),
        ("NULLIF(5, 0)", "5", "INT"),
        ("IF(5 > 3, 'yes', 'no')", "yes", "VARCHAR(3)"),
        ("GREATEST(1, 3, 2)", "3", "INT"),
        ("LEAST(1, 3, 2)", "1", "INT"),
        ("GREATEST(1, NULL, 2)", "NULL", "INT"),
    ]);
}

#[test]
fn strings_are_flinks() {
    check(&[
        ("UPPER('aBc')", "ABC", "STRING"),
        ("LOWER('aBc')", "abc", "STRING"),
        ("TRIM('  a ')", "a", "STRING"),
        ("TRIM(BOTH 'x' FROM 'xxaxx')", "a", ""),
        ("TRIM(LEADING 'x' FROM 'xxaxx')", "axx", ""),
        ("TRIM(TRAILING FROM 'a  ')", "a", ""),
        ("LTRIM('  This is a test String.')", "This is a test String.", ""),
        ("RTRIM('This is a test String. ')", "This is a test String.", ""),
        ("CHAR_LENGTH('Zürich')", "6", "INT"),
        ("CHARACTER_LENGTH('')", "0", "INT"),
        ("CONCAT('AA', 'BB', 'CC')", "AABBCC", "STRING"),
        ("CONCAT('AA', NULL)", "NULL", ""),
        ("CONCAT_WS('~', 'AA', NULL, 'BB', '', 'CC')", "AA~BB~~CC", ""),
        ("CONCAT_WS(CAST(NULL AS STRING), 'AA')", "NULL", ""),
        ("SUBSTRING('hello' FROM 2 FOR 3)", "ell", "STRING"),
        ("SUBSTRING('hello', 2)", "ello", ""),
        ("SUBSTRING('hello', 0, 2)", "he", ""),
        ("SUBSTR('hello', -3, 2)", "ll", ""),
        ("SUBSTR('hello', -9, 2)", "", ""),
        ("SUBSTR('hello', 1, -1)", "NULL", ""),
        ("POSITION('ll' IN 'hello')", "3", "INT"),
        ("POSITION('x' IN 'hello')", "0", "INT"),
        ("LOCATE('ll', 'hello')", "3", "INT"),
        ("INSTR('hello', 'l')", "3", "INT"),
        ("REPLACE('hello world', 'world', 'flink')", "hello flink", ""),
        ("REPLACE('ababab', 'abab', 'z')", "zab", ""),
        ("SPLIT_INDEX('a,b,,d', ',', 2)", "", ""),
        ("SPLIT_INDEX('a,b', ',', 5)", "NULL", ""),
        ("SPLIT_INDEX('a,b', ',', -1)", "NULL", ""),
        ("LPAD('hi', 4, '??')", "??hi", ""),
        ("LPAD('hi', 1, '??')", "h", ""),
        ("RPAD('hi', 4, '??')", "hi??", ""),
        ("RPAD('hi', 4, '')", "NULL", ""),
        ("REVERSE('hello')", "olleh", ""),
        ("INITCAP('hello wORLD 2nd-day')", "Hello World 2nd-Day", ""),
        ("'a' || 'b' || 'c'", "abc", "STRING"),
        ("'a' || NULL", "NULL", "STRING"),
        ("LEFT('hello', 2)", "he", ""),
        ("RIGHT('hello', 2)", "lo", ""),
        ("REPEAT('This is a test String.', 2)", "This is a test String.This is a test String.", ""),
        ("ASCII('abc')", "97", "INT"),
        ("CHR(97)", "a", ""),
        ("STARTSWITH('hello', 'he')", "TRUE", ""),
        ("ENDSWITH('hello', 'he')", "FALSE", ""),
        ("'It''s'", "It's", ""),
    ]);
}

#[test]
fn patterns_match_whole_strings() {
    check(&[
        ("'hello' LIKE 'h%o'", "TRUE", "BOOLEAN"),
        ("'hello' LIKE 'h_o'", "FALSE", ""),
        ("'hello' NOT LIKE 'x%'", "TRUE", ""),
        ("'a.c' LIKE 'a.c'", "TRUE", ""),
        ("'abc' LIKE 'a.c'", "FALSE", ""),
        ("'50%' LIKE '50!%' ESCAPE '!'", "TRUE", ""),
        ("'505' LIKE '50!%' ESCAPE '!'", "FALSE", ""),
        ("CAST(NULL AS STRING) LIKE 'a'", "NULL", ""),
        ("'abc' SIMILAR TO '(a|b)%c'", "TRUE", ""),
        ("'abc' SIMILAR TO 'b'", "FALSE", ""),
        ("REGEXP('foobar', 'o+b')", "TRUE", ""),
        ("REGEXP_REPLACE('foobar', 'oo|ar', '')", "fb", "STRING"),
        ("REGEXP_REPLACE('ab12', '([a-z]+)([0-9]+)', '$2-$1')", "12-ab", ""),
        ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2)", "bar", ""),
        ("REGEXP_EXTRACT('foothebar', 'x')", "NULL", ""),
        ("REGEXP_EXTRACT('foothebar', 'the')", "the", ""),
        ("REGEXP_REPLACE('a', '(', '')", "the pattern '(' cannot be read: unclosed group", "error"),
    ]);
}

#[test]
fn numbers_are_flinks() {
    check(&[
        ("ABS(-5)", "5", "INT"),
        ("ABS(-2.5)", "2.5", "DECIMAL(2, 1)"),
        ("SIGN(-5)", "-1", "INT"),
        ("SIGN(2.50)", "1.00", "DECIMAL(3, 2)"),
        ("CEIL(1.2)", "2", "DECIMAL(2, 0)"),
        ("CEIL(-1.2)", "-1", "DECIMAL(2, 0)"),
        ("FLOOR(-1.2)", "-2", "DECIMAL(2, 0)"),
        ("CEIL(1.2E0)", "2.0", "DOUBLE"),
        ("FLOOR(7)", "7", "INT"),
        ("ROUND(2.5)", "3", "DECIMAL(2, 0)"),
        ("ROUND(-2.5)", "-3", "DECIMAL(2, 0)"),
        ("ROUND(646.646, 2)", "646.65", "DECIMAL(6, 2)"),
        ("ROUND(123.456, 5)", "123.456", "DECIMAL(6, 3)"),
        ("ROUND(125, -1)", "130", "INT"),
        ("ROUND(1.005E0, 2)", "1.01", "DOUBLE"),
        ("ROUND(2.5E0)", "3.0", "DOUBLE"),
        ("TRUNCATE(42.345, 2)", "42.340", "DECIMAL(5, 3)"),
        ("TRUNCATE(42.324E0)", "42.0", "DOUBLE"),
        ("TRUNCATE(-42.99E0, 1)", "-42.9", "DOUBLE"),
        ("TRUNCATE(127, -1)", "120", "INT"),
        ("POWER(2, 10)", "1024.0", "DOUBLE"),
        ("SQRT(16)", "4.0", "DOUBLE"),
        ("LN(1)", "0.0", "DOUBLE"),
        ("LOG10(1000)", "3.0", "DOUBLE"),
        ("LOG2(8)", "3.0", "DOUBLE"),
        ("LOG(10, 100)", "2.0", "DOUBLE"),
        ("EXP(0)", "1.0", "DOUBLE"),
        ("PI()", "3.141592653589793", "DOUBLE"),
    ]);
}

#[test]
fn times_are_flinks() {
    check(&[
        ("EXTRACT(DAY FROM DATE '2006-06-05')", "5", "BIGINT"),
        ("YEAR(DATE '1994-09-27')", "1994", "BIGINT"),
        ("QUARTER(DATE '1994-09-27')", "3", ""),
        ("MONTH(DATE '1994-09-27')", "9", ""),
        ("WEEK(DATE '1994-09-27')", "39", ""),
        ("DAYOFYEAR(DATE '1994-09-27')", "270", ""),
        ("DAYOFMONTH(DATE '1994-09-27')", "27", ""),
        ("DAYOFWEEK(DATE '1994-09-27')", "3", ""),
        ("HOUR(TIMESTAMP '1994-09-27 13:14:15')", "13", ""),
        ("MINUTE(TIMESTAMP '1994-09-27 13:14:15')", "14", ""),
        ("SECOND(TIMESTAMP '1994-09-27 13:14:15')", "15", ""),
        ("HOUR(TIME '23:59:00')", "23", ""),
        ("HOUR(TIMESTAMP '1969-12-31 23:00:00')", "23", ""),
        ("EXTRACT(EPOCH FROM TIMESTAMP '1970-01-02 00:00:00')", "86400", ""),
        ("FLOOR(TIME '12:44:31' TO MINUTE)", "12:44:00", "TIME"),
        ("CEIL(TIME '12:44:31' TO MINUTE)", "12:45:00", "TIME"),
        ("FLOOR(TIMESTAMP '2001-03-15 12:44:31' TO MONTH)", "2001-03-01 00:00:00", "TIMESTAMP(0)"),
        ("CEIL(TIMESTAMP '2001-03-15 12:44:31' TO YEAR)", "2002-01-01 00:00:00", ""),
        ("FLOOR(DATE '2001-05-15' TO QUARTER)", "2001-04-01", "DATE"),
        ("FLOOR(TIMESTAMP '1969-12-31 23:30:00' TO HOUR)", "1969-12-31 23:00:00", ""),
        (
            "DATE_FORMAT(TIMESTAMP '2001-02-03 04:05:06.789', 'yyyy/MM/dd HH:mm:ss.SSS')",
            "2001/02/03 04:05:06.789",
            "STRING",
        ),
        (
            "DATE_FORMAT(TIMESTAMP '2001-02-03 16:05:06', 'd MMM yy, h:mm a')",
            "3 Feb 01, 4:05 PM",
            "",
        ),
        ("DATE_FORMAT(TIMESTAMP '2001-02-03 16:05:06', 'EEEE ''at'' H')", "Saturday at 16", ""),
        ("DATE_FORMAT('2001-02-03 04:05:06', 'yyyyMMdd')", "20010203", ""),
        ("TO_TIMESTAMP('2001-02-03 04:05:06')", "2001-02-03 04:05:06.000", "TIMESTAMP(3)"),
        ("TO_TIMESTAMP('03.02.2001 04:05', 'dd.MM.yyyy HH:mm')", "2001-02-03 04:05:00.000", ""),
        ("TO_TIMESTAMP('20010203040506', 'yyyyMMddHHmmss')", "2001-02-03 04:05:06.000", ""),
        ("TO_TIMESTAMP('nonsense')", "NULL", ""),
        ("TO_DATE('2001-02-03')", "2001-02-03", "DATE"),
        ("TO_DATE('3/2/2001', 'd/M/yyyy')", "2001-02-03", "DATE"),
        ("TO_TIMESTAMP_LTZ(100, 0)", "1970-01-01 00:01:40.000", "TIMESTAMP_LTZ(3)"),
        ("TO_TIMESTAMP_LTZ(1000, 3)", "1970-01-01 00:00:01.000", "TIMESTAMP_LTZ(3)"),
        ("TO_TIMESTAMP_LTZ(-1, 3)", "1969-12-31 23:59:59.999", ""),
        ("UNIX_TIMESTAMP('1970-01-01 00:01:40')", "100", "BIGINT"),
        ("UNIX_TIMESTAMP('nonsense')", "-9223372036854775", ""),
        ("FROM_UNIXTIME(44)", "1970-01-01 00:00:44", "STRING"),
        ("FROM_UNIXTIME(44, 'HH:mm:ss')", "00:00:44", ""),
        ("TIMESTAMPADD(WEEK, 1, DATE '2003-01-02')", "2003-01-09", "DATE"),
        ("TIMESTAMPADD(MONTH, 1, DATE '2003-01-31')", "2003-02-28", "DATE"),
        ("TIMESTAMPADD(HOUR, 25, TIMESTAMP '2003-01-02 00:00:00')", "2003-01-03 01:00:00", ""),
        (
            "TIMESTAMPDIFF(DAY, TIMESTAMP '2003-01-02 10:00:00', TIMESTAMP '2003-01-03 10:00:00')",
            "1",
            "INT",
        ),
        ("TIMESTAMPDIFF(MONTH, DATE '2003-01-31', DATE '2003-02-28')", "0", ""),
        ("TIMESTAMPDIFF(YEAR, DATE '2003-01-31', DATE '2000-01-31')", "-3", ""),
        (
            "TIMESTAMPDIFF(SECOND, TIMESTAMP '2003-01-02 00:01:00', TIMESTAMP '2003-01-02 00:00:00')",
            "-60",
            "",
        ),
        ("TIMESTAMP '2001-01-31 00:00:00' + INTERVAL '1' MONTH", "2001-02-28 00:00:00", ""),
        (
            "TIMESTAMP '2001-01-01 00:00:00' - INTERVAL '1:30' HOUR TO MINUTE",
            "2000-12-31 22:30:00",
            "",
        ),
        (
            "TIMESTAMP '2001-01-01 00:00:00' + INTERVAL '1 02:03:04.5' DAY TO SECOND",
            "2001-01-02 02:03:04",
            "",
        ),
        ("DATE '2001-01-01' + INTERVAL '1' DAY", "2001-01-02", "DATE"),
        ("INTERVAL '2' DAY * 3 + INTERVAL '1' HOUR", "+6 01:00:00.000", "INTERVAL DAY TO SECOND"),
        ("DATE '2001-01-01' + 2 * INTERVAL '1-1' YEAR TO MONTH", "2003-03-01", ""),
        ("-INTERVAL '1' HOUR", "-0 01:00:00.000", ""),
        ("TIME '23:30:00' + INTERVAL '1' HOUR", "00:30:00", "TIME"),
    ]);
}

#[test]
fn digests_are_hexadecimal() {
    check(&[
        ("MD5('Test')", "0cbc6611f5540bd0809a388dc95a615b", "STRING"),
        ("SHA256('abc')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", ""),
        ("SHA224('abc')", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7", ""),
    ]);
}

#[test]
fn the_clock_is_named_as_nondeterministic() {
    for sql in ["CURRENT_TIMESTAMP", "NOW()", "PROCTIME()", "UNIX_TIMESTAMP()", "CURRENT_DATE"] {
        let scope = Scope { fields: &[], qualifier: None, place: "nothing", aliases: &[] };
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
    let scope = Scope { fields: &fields, qualifier: None, place: "t", aliases: &[] };
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
    assert_eq!(Span::default().to_string(), "sql:0:0");
}
