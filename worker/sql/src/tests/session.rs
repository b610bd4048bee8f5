//! Statements that come one after the other.

use super::options;
use crate::session::{Answered, Outcome, RESULT_MODE, Session};

/// What each statement of a text comes to, until one is refused.
fn answers(session: &mut Session, text: &str) -> Result<Vec<Answered>, String> {
    let entries = session.read(text).map_err(|errors| session.render(&errors, None))?;
    let mut all = Vec::new();
    for entry in &entries {
        match session.answer(entry, &options()) {
            Ok(answered) => all.push(answered),
            Err(errors) => return Err(session.render(&errors, None)),
        }
    }
    Ok(all)
}

/// The names of all tables.
fn tables(session: &mut Session) -> Vec<String> {
    let answered = answers(session, "SHOW TABLES;").ok().and_then(|mut all| all.pop());
    match answered.map(|answered| answered.outcome) {
        Some(Outcome::Answer(answer)) => answer.rows.into_iter().flatten().flatten().collect(),
        _ => panic!("no list"),
    }
}

const FLIGHTS: &str = "CREATE TABLE flights (origin STRING, delay INT)
WITH ('connector' = 'filesystem', 'path' = 'f', 'format' = 'csv');
";

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let mut session = Session::new();
    let wrong = answers(&mut session, "CREATE TABLE flights (origin STRNG) WITH ('a' = 'b');");
    assert!(wrong.is_err());
    session.trim();
    answers(&mut session, FLIGHTS).map(drop).unwrap();
    session.trim();
    let wrong = answers(&mut session, "CREATE VIEW v AS SELECT dely FROM flights;").err();
    let expected =
        "sql:1:25: column \"dely\" not found in table \"flights\"; did you mean \"delay\"?";
    assert!(wrong.as_ref().is_some_and(|text| text.starts_with(expected)), "{wrong:?}");
    session.trim();
    assert_eq!(tables(&mut session), ["flights"]);
    let twice = answers(&mut session, FLIGHTS).err().unwrap_or_default();
    assert!(twice.contains("declared twice"), "{twice}");
}

#[test]
fn a_table_made_of_a_query_is_filled_once() {
    let mut session = Session::new();
    answers(&mut session, FLIGHTS).map(drop).unwrap();
    let made = "CREATE TABLE late WITH ('connector' = 'filesystem', 'path' = 'l', 'format' = 'csv')
AS SELECT origin, COUNT(*) AS n FROM flights GROUP BY origin;";
    assert!(answers(&mut session, made).is_err(), "it corrects rows");
    let made = "CREATE TABLE late WITH ('connector' = 'filesystem', 'path' = 'l', 'format' = 'csv')
AS SELECT origin, delay FROM flights WHERE delay > 0;";
    let all = answers(&mut session, made).unwrap();
    assert!(matches!(all[0].outcome, Outcome::Insert(_)));
    let all = answers(&mut session, "SELECT origin FROM late; DESCRIBE late;").unwrap();
    let Outcome::Query(planned, shown) = &all[0].outcome else { panic!("no query") };
    let sinks = planned.graph.vertices.iter().flat_map(|vertex| &vertex.chain);
    assert_eq!(sinks.filter(|(info, _)| info.kind == "sink").count(), 1, "the query's own");
    assert_eq!((shown.is_corrected, shown.columns[0].0.as_str()), (false, "origin"));
    let Outcome::Answer(columns) = &all[1].outcome else { panic!("no list") };
    assert_eq!(columns.rows.len(), 2);
}

#[test]
fn settings_hold_until_they_are_reset() {
    let mut session = Session::new();
    let mode = format!("SET '{RESULT_MODE}' = 'changelog'; SET 'table.exec.state.ttl' = '1 h';");
    answers(&mut session, &mode).map(drop).unwrap();
    assert_eq!(session.setting(RESULT_MODE), Some("changelog"));
    answers(&mut session, "RESET;").map(drop).unwrap();
    assert_eq!(session.setting(RESULT_MODE), None);
    let wrong = answers(&mut session, &format!("SET '{RESULT_MODE}' = 'page';")).err();
    assert!(wrong.is_some_and(|text| text.contains("use 'table', 'changelog' or 'tableau'")));
}

#[test]
fn a_declaration_is_shown_as_it_was_written_with_what_changed_it() {
    let mut session = Session::new();
    answers(&mut session, FLIGHTS).map(drop).unwrap();
    answers(&mut session, "ALTER TABLE flights RENAME TO trips;").map(drop).unwrap();
    let all = answers(&mut session, "SHOW CREATE TABLE trips;").unwrap();
    let Outcome::Text(text) = &all[0].outcome else { panic!("no text") };
    assert_eq!(*text, format!("{FLIGHTS}ALTER TABLE flights RENAME TO trips;\n"));
}
