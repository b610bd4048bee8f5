use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, StringArray, UInt8Array};
use arrow::datatypes::Int64Type;

use super::*;
use crate::formats::metadata::Wanted;
use crate::formats::{RecordDecoder, RecordEncoder};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
    ]))
}

fn options(dialect: Dialect) -> ChangeOptions {
    let json = JsonOptions::default();
    ChangeOptions { dialect, json, schema_include: false, database: None, table: None }
}

/// Rows as `+I 1 ann`, and of which records they are.
fn shown(decoder: &mut ChangeDecoder) -> Result<(Vec<String>, Vec<u32>), String> {
    let rows = decoder.finish().map_err(|error| error.message)?;
    let (ids, names) =
        (rows.column(0).as_primitive::<Int64Type>(), rows.column(1).as_string::<i32>());
    let kinds = kinds_of(rows.column(2))?;
    let row = |i: usize| {
        let kind = ["+I", "-U", "+U", "-D"][kinds[i] as usize];
        let id = if ids.is_valid(i) { ids.value(i).to_string() } else { "null".to_owned() };
        let name = if names.is_valid(i) { names.value(i) } else { "null" };
        format!("{kind} {id} {name}")
    };
    let records = decoder.records_of().unwrap_or_default().to_vec();
    Ok(((0..rows.num_rows()).map(row).collect(), records))
}

fn read(options: &ChangeOptions, lines: &str) -> Result<(Vec<String>, Vec<u32>), String> {
    let mut decoder = ChangeDecoder::new(&schema(), &[], options)?;
    let decoded = decoder.decode(lines.as_bytes(), 100, true).map_err(|e| e.message)?;
    assert_eq!(decoded.consumed, lines.len());
    let whole = shown(&mut decoder)?;
    // As messages one by one it is the same.
    let mut decoder = ChangeDecoder::new(&schema(), &[], options)?;
    for line in lines.lines() {
        decoder.decode_message(line.as_bytes()).map_err(|e| e.message)?;
    }
    assert_eq!(shown(&mut decoder)?, whole);
    Ok(whole)
}

#[test]
fn whole_rows_before_and_after() {
    let lines = r#"{"before":null,"after":{"id":1,"name":"ann"},"op":"c"}
{"before":null,"after":{"id":2,"name":"bob"},"op":"r","source":{"db":"x"}}
{"before":{"id":1,"name":"ann"},"after":{"id":1,"name":null},"op":"u"}
{"before":{"id":2,"name":"bob"},"after":null,"op":"d"}
"#;
    let rows = ["+I 1 ann", "+I 2 bob", "-U 1 ann", "+U 1 null", "-D 2 bob"];
    let expected = (rows.map(str::to_owned).to_vec(), vec![0, 1, 2, 2, 3]);
    assert_eq!(read(&options(Dialect::Debezium), lines), Ok(expected.clone()));
    let ogg = lines
        .replace("\"op\":\"c\"", "\"op_type\":\"I\"")
        .replace("\"op\":\"r\"", "\"op_type\":\"I\"")
        .replace("\"op\":\"u\"", "\"op_type\":\"U\"")
        .replace("\"op\":\"d\"", "\"op_type\":\"D\"");
    assert_eq!(read(&options(Dialect::Ogg), &ogg), Ok(expected.clone()));
    let payload: String =
        lines.lines().map(|line| format!("{{\"schema\":{{}},\"payload\":{line}}}\n")).collect();
    let included = ChangeOptions { schema_include: true, ..options(Dialect::Debezium) };
    assert_eq!(read(&included, &payload), Ok(expected));
}

#[test]
fn the_fields_that_were_otherwise() {
    let maxwell = r#"{"data":{"id":1,"name":"ann"},"type":"insert"}
{"data":{"id":1,"name":"eve"},"old":{"name":"ann"},"type":"update"}
{"data":{"id":1,"name":"joe"},"old":{"name":null},"type":"update"}
{"data":{"id":1,"name":"joe"},"type":"delete"}
"#;
    let rows = ["+I 1 ann", "-U 1 ann", "+U 1 eve", "-U 1 null", "+U 1 joe", "-D 1 joe"]
        .map(str::to_owned);
    let expected = (rows.to_vec(), vec![0, 1, 1, 2, 2, 3]);
    assert_eq!(read(&options(Dialect::Maxwell), maxwell), Ok(expected));
    let canal = r#"{"data":[{"id":1,"name":"ann"},{"id":2,"name":"bob"}],"type":"INSERT","database":"a","table":"t"}
{"data":null,"type":"CREATE","sql":"create table t","database":"a","table":"t"}
{"data":[{"id":1,"name":"eve"},{"id":3,"name":"bob"}],"old":[{"name":"ann"},{"id":2}],"type":"UPDATE","database":"a","table":"t"}
{"data":[{"id":3,"name":"bob"}],"type":"DELETE","database":"a","table":"u"}
"#;
    let rows = ["+I 1 ann", "+I 2 bob", "-U 1 ann", "+U 1 eve", "-U 2 bob", "+U 3 bob", "-D 3 bob"];
    let expected = (rows.map(str::to_owned).to_vec(), vec![0, 0, 2, 2, 2, 2, 3]);
    assert_eq!(read(&options(Dialect::Canal), canal), Ok(expected.clone()));
    let some = ChangeOptions { table: Some("t|v".to_owned()), ..options(Dialect::Canal) };
    let (mut rows, mut records) = expected;
    rows.truncate(6);
    records.truncate(6);
    assert_eq!(read(&some, canal), Ok((rows, records)));
}

#[test]
fn a_record_that_is_no_change_is_told_or_passed_over() {
    let cases = [
        (
            Dialect::Debezium,
            r#"{"before":null,"after":{"id":1,"name":"ann"},"op":"u"}"#,
            "an update or delete has no 'before'; let the database log whole rows (in PostgreSQL: ALTER TABLE … REPLICA IDENTITY FULL)",
        ),
        (
            Dialect::Debezium,
            r#"{"before":null,"after":null,"op":"c"}"#,
            "an insert or update has no 'after'",
        ),
        (
            Dialect::Debezium,
            r#"{"id":1,"name":"ann"}"#,
            "'op' of a record is NULL or missing, which is no change of a row in 'debezium-json'; choose the format that the records have",
        ),
        (
            Dialect::Ogg,
            r#"{"before":null,"after":{"id":1},"op_type":"T"}"#,
            "'op_type' of a record is 'T', which is no change of a row in 'ogg-json'; choose the format that the records have",
        ),
        (Dialect::Maxwell, r#"{"data":{"id":1},"type":"update"}"#, "an update has no 'old'"),
        (
            Dialect::Canal,
            r#"{"data":[{"id":1}],"old":[null],"type":"UPDATE"}"#,
            "a part of 'old' of an update is no row",
        ),
        (Dialect::Maxwell, r#"{"type":"delete"}"#, "a record has no 'data'"),
        (
            Dialect::Canal,
            r#"{"data":[{"id":1},{"id":2}],"old":[{}],"type":"UPDATE"}"#,
            "'old' of an update has fewer rows than 'data'",
        ),
    ];
    for (dialect, line, expected) in cases {
        let right = match dialect {
            Dialect::Debezium => r#"{"after":{"id":7},"op":"c"}"#,
            Dialect::Ogg => r#"{"after":{"id":7},"op_type":"I"}"#,
            Dialect::Maxwell => r#"{"data":{"id":7},"type":"insert"}"#,
            Dialect::Canal => r#"{"data":[{"id":7}],"type":"INSERT"}"#,
        };
        let lines = format!("{right}\n{line}\n{right}\n");
        assert_eq!(read(&options(dialect), &lines), Err(expected.to_owned()));
        let mut decoder = ChangeDecoder::new(&schema(), &[], &options(dialect)).unwrap();
        decoder.decode(lines.as_bytes(), 9, true).unwrap();
        assert!(decoder.finish().is_err());
        assert_eq!(decoder.records_of(), Some(&[1][..]), "{line}");
        let json = JsonOptions { ignore_parse_errors: true, ..JsonOptions::default() };
        let lenient = ChangeOptions { json, ..options(dialect) };
        let (rows, records) = read(&lenient, &lines).unwrap();
        assert_eq!((rows.len(), records), (2, vec![0, 2]), "{line}");
    }
}

#[test]
fn a_record_that_cannot_be_read_names_the_option_of_its_own_format() {
    assert_eq!(
        read(&options(Dialect::Debezium), "{\"after\":\"x\",\"op\":\"c\"}\n"),
        Err("column `after`: x is not a ROW; to go on, correct the data or set \
             'debezium-json.ignore-parse-errors' = 'true'"
            .to_owned())
    );
}

/// Where values of `old` cannot be read, names still stand beside their own row.
#[test]
fn what_changed_is_told_by_its_own_row_whatever_is_broken_before_it() {
    let json = JsonOptions { ignore_parse_errors: true, ..JsonOptions::default() };
    let lenient = ChangeOptions { json, ..options(Dialect::Canal) };
    let lines = r#"{"data":[{"id":1,"name":"b"}],"old":"x","type":"UPDATE"}
{"data":[{"id":1,"name":"b"}],"old":["x"],"type":"UPDATE"}
{"data":[{"id":1,"name":"b"}],"old":[{"id":{"a":1}},{"name":"z"}],"type":"UPDATE"}
{"data":[{"id":1,"name":"c"}],"old":[{"name":"b"}],"type":"UPDATE"}
"#;
    let (rows, records) = read(&lenient, lines).unwrap();
    assert_eq!(rows[rows.len() - 2..], ["-U 1 b".to_owned(), "+U 1 c".to_owned()]);
    assert_eq!(records[..], [2, 2, 3, 3]);
}

#[test]
fn rows_are_written_as_coming_and_going() {
    let rows = RecordBatch::try_new(
        with_kind(&schema()),
        vec![
            Arc::new(Int64Array::from(vec![1, 1, 1, 1])),
            Arc::new(StringArray::from(vec![Some("ann"), Some("ann"), None, None])),
            Arc::new(UInt8Array::from(vec![0, 1, 2, 3])),
        ],
    )
    .unwrap();
    for (dialect, first, second) in [
        (
            Dialect::Debezium,
            r#"{"before":null,"after":{"id":1,"name":"ann"},"op":"c"}"#,
            r#"{"before":{"id":1,"name":"ann"},"after":null,"op":"d"}"#,
        ),
        (
            Dialect::Ogg,
            r#"{"before":null,"after":{"id":1,"name":"ann"},"op_type":"I"}"#,
            r#"{"before":{"id":1,"name":"ann"},"after":null,"op_type":"D"}"#,
        ),
        (
            Dialect::Maxwell,
            r#"{"data":{"id":1,"name":"ann"},"type":"insert"}"#,
            r#"{"data":{"id":1,"name":"ann"},"type":"delete"}"#,
        ),
        (
            Dialect::Canal,
            r#"{"data":[{"id":1,"name":"ann"}],"type":"INSERT"}"#,
            r#"{"data":[{"id":1,"name":"ann"}],"type":"DELETE"}"#,
        ),
    ] {
        let mut encoder = ChangeEncoder::new(schema(), dialect, JsonOptions::default()).unwrap();
        let mut out = Vec::new();
        encoder.encode(&rows, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let nobody = |line: &str| line.replace("\"ann\"", "null");
        let expected = [first, second, &nobody(first), &nobody(second)].map(|l| format!("{l}\n"));
        assert_eq!(text, expected.concat());
        // What is written is read again, an update as a row that goes and one that comes.
        let (again, _) = read(&options(dialect), &text).unwrap();
        assert_eq!(again, ["+I 1 ann", "-D 1 ann", "+I 1 null", "-D 1 null"]);
    }
}

/// Each of the dialect's metadata by record of the rows, as text.
fn beside(options: &ChangeOptions, lines: &str) -> Result<Vec<(String, String)>, String> {
    let wanted: Vec<Wanted> = options
        .dialect
        .metadata()
        .iter()
        .map(|known| Wanted {
            key: known.key.to_owned(),
            field: Arc::new(Field::new(known.key, known.of.data_type(), true)),
        })
        .collect();
    let mut decoder = ChangeDecoder::new(&schema(), &wanted, options)?;
    decoder.decode(lines.as_bytes(), 100, true).map_err(|error| error.message)?;
    let rows = decoder.finish().map_err(|error| error.message)?;
    let shown = |column: usize| {
        let mut out = Vec::new();
        for row in 0..rows.num_rows() {
            out.extend_from_slice(if row > 0 { b"; " } else { b"" });
            crate::print::value::write_shown(&mut out, rows.column(column), row);
        }
        String::from_utf8(out).expect("text")
    };
    Ok(wanted.iter().enumerate().map(|(i, w)| (w.key.clone(), shown(i + 2))).collect())
}

fn told(said: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
    Ok(said.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect())
}

#[test]
fn a_record_says_whence_and_when_it_came_to_each_of_its_rows() {
    let lines = r#"{"before":{"id":1,"name":"a"},"after":{"id":1,"name":"b"},"op":"u","ts_ms":1589362330904,"source":{"db":"shop","schema":"public","table":"orders","ts_ms":1589362330123,"snapshot":false,"txId":null}}
{"before":null,"after":{"id":2,"name":"c"},"op":"c"}
"#;
    let properties =
        "{db=shop, schema=public, table=orders, ts_ms=1589362330123, snapshot=false, txId=NULL}";
    assert_eq!(
        beside(&options(Dialect::Debezium), lines),
        told(&[
            ("schema", "NULL; NULL; NULL"),
            ("ingestion-timestamp", "2020-05-13 09:32:10.904Z; 2020-05-13 09:32:10.904Z; NULL"),
            ("source.timestamp", "2020-05-13 09:32:10.123Z; 2020-05-13 09:32:10.123Z; NULL"),
            ("source.database", "shop; shop; NULL"),
            ("source.schema", "public; public; NULL"),
            ("source.table", "orders; orders; NULL"),
            ("source.properties", &format!("{properties}; {properties}; NULL")),
        ])
    );
    let canal = r#"{"data":[{"id":1,"name":"a"},{"id":2,"name":"b"}],"type":"INSERT","database":"shop","table":"orders","sqlType":{"id":-5},"pkNames":["id"],"ts":1589373560798,"es":1589373560000}
"#;
    assert_eq!(
        beside(&options(Dialect::Canal), canal),
        told(&[
            ("database", "shop; shop"),
            ("table", "orders; orders"),
            ("sql-type", "{id=-5}; {id=-5}"),
            ("pk-names", "[id]; [id]"),
            ("ingestion-timestamp", "2020-05-13 12:39:20.798Z; 2020-05-13 12:39:20.798Z"),
            ("event-timestamp", "2020-05-13 12:39:20Z; 2020-05-13 12:39:20Z"),
        ])
    );
    let maxwell = r#"{"data":{"id":1,"name":"a"},"type":"insert","database":"shop","table":"orders","ts":1589373560,"primary_key_columns":["id"]}
"#;
    assert_eq!(
        beside(&options(Dialect::Maxwell), maxwell),
        told(&[
            ("database", "shop"),
            ("table", "orders"),
            ("primary-key-columns", "[id]"),
            ("ingestion-timestamp", "2020-05-13 12:39:20Z"),
        ])
    );
    let ogg = r#"{"before":null,"after":{"id":1,"name":"a"},"op_type":"I","op_ts":"2020-05-13 15:40:06.000001","current_ts":"2020-05-13T15:40:07.000000","primary_keys":["id"],"table":"SHOP.ORDERS"}
"#;
    assert_eq!(
        beside(&options(Dialect::Ogg), ogg),
        told(&[
            ("table", "SHOP.ORDERS"),
            ("primary-keys", "[id]"),
            ("ingestion-timestamp", "2020-05-13 15:40:07Z"),
            ("event-timestamp", "2020-05-13 15:40:06.000001Z"),
        ])
    );
}

#[test]
fn metadata_that_cannot_be_read_make_a_record_broken() {
    let lines = r#"{"before":null,"after":{"id":1,"name":"a"},"op":"c","source":{"ts_ms":"soon"}}
{"before":null,"after":{"id":2,"name":"c"},"op":"c","source":{"ts_ms":5,"db":"d"}}
"#;
    assert_eq!(
        beside(&options(Dialect::Debezium), lines),
        Err("the metadata 'source.timestamp' of a record cannot be read: 'soon' is no time".into())
    );
    let mut skipping = options(Dialect::Debezium);
    skipping.json.ignore_parse_errors = true;
    let said = beside(&skipping, lines).expect("the second record");
    assert_eq!(said[3], ("source.database".to_owned(), "d".to_owned()));
}

#[test]
fn a_record_with_its_schema_has_it_beside_the_payload() {
    let with_schema = ChangeOptions { schema_include: true, ..options(Dialect::Debezium) };
    let line = r#"{"schema":{"type":"struct"},"payload":{"before":null,"after":{"id":1,"name":"a"},"op":"c","source":{"schema":"public"}}}
"#;
    let said = beside(&with_schema, line).expect("a row");
    assert_eq!(said[0], ("schema".to_owned(), r#"{"type":"struct"}"#.to_owned()));
    assert_eq!(said[4], ("source.schema".to_owned(), "public".to_owned()));
}
