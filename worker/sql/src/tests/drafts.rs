//! Texts that are being written.

use super::options;
use crate::Span;
use crate::session::{Kind, Session, statement_at_end};

const FLIGHTS: &str = "CREATE TABLE flights (origin STRING, delay INT)
WITH ('connector' = 'filesystem', 'path' = 'f', 'format' = 'csv');
";

/// What is wrong with a text behind what was declared before: line, column and cause.
fn wrong(before: &str, text: &str) -> Vec<(u32, u32, String)> {
    let mut session = Session::new();
    let entries = session.read(before).unwrap();
    entries.iter().for_each(|entry| drop(session.answer(entry, &options()).map(drop)));
    let draft = session.draft(text, &options());
    let place = |span: Span| session.in_last(span).map(|span| (span.line, span.column));
    let errors = draft.errors.into_iter().map(|error| {
        let (line, column) = place(error.span).unwrap();
        (line, column, error.message)
    });
    errors.collect()
}

#[test]
fn what_is_wrong_is_said_once_and_not_again_of_what_follows_from_it() {
    let table = FLIGHTS.replace("INT)", "IMT)");
    let text = format!("{table}SELECT delay FROM flights;\nSELECT dely FROM flights;\nSELECT 1;");
    let found = wrong("", &text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, found[0].1), (1, 44));
    let two = format!("{FLIGHTS}SELECT dely FROM flights;\nSELECT orign FROM flights;");
    let found = wrong("", &two);
    assert_eq!(found.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), [3, 4]);
    assert!(found[0].2.contains("did you mean \"delay\"?"), "{found:?}");
}

#[test]
fn a_wrong_option_is_found_before_anything_reads_the_table() {
    let table = FLIGHTS.replace("'path'", "'bad' = 'x', 'path'");
    let found = wrong("", &table);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].2.starts_with("option 'bad' is unknown for connector 'filesystem'"));
    // Said once, whoever else says it.
    assert_eq!(wrong("", &format!("{table}SELECT origin FROM flights;")).len(), 1);
    // What only some tables can be is no error.
    for options in ["'connector' = 'datagen'", "'connector' = 'print'"] {
        assert!(wrong("", &format!("CREATE TABLE t (a INT) WITH ({options});")).is_empty());
    }
}

#[test]
fn what_stands_in_front_of_what_cannot_be_read_is_judged() {
    let text = "SELECT dely FROM flights;\nSELECT FROM;\nSELECT a FROM nowhere;";
    let found = wrong(FLIGHTS, text);
    assert_eq!(found.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), [1, 2], "{found:?}");
    // Places are those of the text, whatever was declared before it.
    assert_eq!(found[0].1, 8);
    assert_eq!(wrong(FLIGHTS, "SELECT 'open").len(), 1);
    assert!(wrong(FLIGHTS, "").is_empty() && wrong(FLIGHTS, "-- all").is_empty());
}

#[test]
fn statements_have_plans_and_columns_and_nothing_of_them_stays() {
    let mut session = Session::new();
    let text = format!(
        "{FLIGHTS}SET 'table.exec.state.ttl' = '1 h';\nSELECT origin, COUNT(*) AS n FROM flights GROUP BY origin;\nSHOW TABLES;\nCREATE TABLE o (a STRING) WITH ('connector' = 'print'); INSERT INTO o SELECT origin FROM flights;"
    );
    let draft = session.draft(&text, &options());
    assert!(draft.errors.is_empty(), "{:?}", draft.errors);
    let kinds: Vec<Kind> = draft.statements.iter().map(|drafted| drafted.kind).collect();
    use Kind::{Declares, Insert, Query, Told};
    assert_eq!(kinds, [Declares, Declares, Query, Told, Declares, Insert]);
    let shown = draft.statements[2].shown.as_ref().unwrap();
    let columns: Vec<(&str, &str)> =
        shown.columns.iter().map(|(name, ty)| (name.as_str(), ty.as_str())).collect();
    assert_eq!(columns, [("origin", "STRING"), ("n", "BIGINT")]);
    assert!(shown.is_corrected);
    let is_job = |at: usize| draft.statements[at].planned.is_some();
    assert_eq!((0..6).map(is_job).collect::<Vec<_>>(), [false, false, true, false, false, true]);
    assert!(session.declared().is_empty() && session.setting("table.exec.state.ttl").is_none());
}

#[test]
fn names_are_those_in_front_of_the_statement_that_is_written() {
    let mut session = Session::new();
    let entries = session.read(FLIGHTS).unwrap();
    session.answer(&entries[0], &options()).map(drop).unwrap();
    let text = "CREATE VIEW late AS SELECT origin FROM flights;\nSELECT FROM;\nCREATE VIEW w AS SELECT x FROM y;\nSELECT o";
    let begins = statement_at_end(text);
    assert_eq!(&text[begins..], "\nSELECT o");
    let scope = session.scope_behind(&text[..begins], &options());
    let names: Vec<&str> = scope.tables.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"flights") && names.contains(&"late"), "{names:?}");
    assert_eq!(session.declared(), FLIGHTS);
}
