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

/// The rows of what a statement lists.
fn list(session: &mut Session, text: &str) -> Vec<String> {
    let answered = answers(session, text).unwrap_or_else(|e| panic!("{text}: {e}")).pop();
    match answered.map(|answered| answered.outcome) {
        Some(Outcome::Answer(answer)) => {
            let row = |row: Vec<Option<String>>| {
                row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("|")
            };
            answer.rows.into_iter().map(row).collect()
        }
        _ => panic!("no list: {text}"),
    }
}

#[test]
fn databases_hold_tables_of_their_own_names() {
    let mut session = Session::new();
    let first = format!("CREATE DATABASE air; {FLIGHTS} USE air; SHOW TABLES;");
    assert_eq!(list(&mut session, &first), [] as [&str; 0]);
    session.trim();
    answers(&mut session, &FLIGHTS.replace("delay", "late")).map(drop).unwrap();
    assert_eq!(list(&mut session, "SHOW CURRENT DATABASE;"), ["air"]);
    assert_eq!(list(&mut session, "SHOW DATABASES;"), ["air", "default_database"]);
    assert_eq!(list(&mut session, "SHOW TABLES IN default_database;"), ["flights"]);
    assert_eq!(list(&mut session, "SHOW TABLES FROM default_catalog.air LIKE 'f%';"), ["flights"]);
    assert!(list(&mut session, "DESCRIBE flights;")[1].starts_with("late|"));
    assert!(list(&mut session, "DESCRIBE default_database.flights;")[1].starts_with("delay|"));
    let all = answers(&mut session, "SHOW CREATE TABLE default_database.flights;").unwrap();
    let Outcome::Text(text) = &all[0].outcome else { panic!("no text") };
    assert_eq!(*text, FLIGHTS);
    let wrong = answers(&mut session, "SHOW TABLES IN airs;").err().unwrap_or_default();
    assert!(wrong.contains("database \"airs\" not found; did you mean \"air\"?"), "{wrong}");
    answers(&mut session, "USE default_database; DROP DATABASE air CASCADE;").map(drop).unwrap();
    assert_eq!(list(&mut session, "SHOW DATABASES;"), ["default_database"]);
    assert_eq!(tables(&mut session), ["flights"]);
}

#[test]
fn catalogs_hold_databases_of_their_own_names() {
    let mut session = Session::new();
    let first = format!(
        "CREATE CATALOG air COMMENT 'it''s' WITH ('type' = 'generic_in_memory', 'default-database' = 'd'); {FLIGHTS} USE CATALOG air; SHOW TABLES;"
    );
    assert_eq!(list(&mut session, &first), [] as [&str; 0]);
    answers(&mut session, &FLIGHTS.replace("delay", "late")).map(drop).unwrap();
    assert_eq!(list(&mut session, "SHOW CATALOGS;"), ["air", "default_catalog"]);
    assert_eq!(list(&mut session, "SHOW CURRENT CATALOG;"), ["air"]);
    assert_eq!(list(&mut session, "SHOW CURRENT DATABASE;"), ["d"]);
    answers(&mut session, "CREATE DATABASE e; CREATE DATABASE air.f;").map(drop).unwrap();
    assert_eq!(list(&mut session, "SHOW DATABASES LIKE '_';"), ["d", "e", "f"]);
    assert_eq!(list(&mut session, "SHOW DATABASES FROM default_catalog;"), ["default_database"]);
    let tables = "SHOW TABLES IN default_catalog.default_database;";
    assert_eq!(list(&mut session, tables), ["flights"]);
    assert!(list(&mut session, "DESCRIBE flights;")[1].starts_with("late|"));
    let other = "DESCRIBE default_catalog.default_database.flights;";
    assert!(list(&mut session, other)[1].starts_with("delay|"));
    assert_eq!(list(&mut session, "DESC DATABASE e;")[..2], ["name|e", "catalog|air"]);
    assert_eq!(
        list(&mut session, "DESC CATALOG EXTENDED air;"),
        ["name|air", "type|generic_in_memory", "comment|it's", "option:default-database|d"]
    );
    let shown =
        |session: &mut Session, text: &str| match &answers(session, text).unwrap()[0].outcome {
            Outcome::Text(text) => text.clone(),
            _ => panic!("no text: {text}"),
        };
    assert_eq!(
        shown(&mut session, "SHOW CREATE CATALOG air;"),
        "CREATE CATALOG `air`\nCOMMENT 'it''s'\nWITH (\n  'type' = 'generic_in_memory',\n  'default-database' = 'd'\n);\n"
    );
    answers(&mut session, "USE CATALOG default_catalog;").map(drop).unwrap();
    let made = shown(&mut session, "SHOW CREATE TABLE air.d.flights;");
    assert_eq!(made, FLIGHTS.replace("delay", "late"));
    let wrong = answers(&mut session, "SHOW DATABASES IN airs;").err().unwrap_or_default();
    assert!(wrong.contains("there is no catalog \"airs\"; did you mean \"air\"?"), "{wrong}");
    answers(&mut session, "DROP CATALOG air;").map(drop).unwrap();
    assert_eq!(list(&mut session, "SHOW CATALOGS;"), ["default_catalog"]);
}

#[test]
fn what_there_is_none_of_is_an_empty_list() {
    let mut session = Session::new();
    answers(&mut session, FLIGHTS).map(drop).unwrap();
    for text in [
        "SHOW USER FUNCTIONS;",
        "SHOW JARS;",
        "SHOW JOBS;",
        "SHOW PROCEDURES LIKE 'a%';",
        "SHOW MODELS FROM default_database;",
        "SHOW PARTITIONS flights;",
    ] {
        assert_eq!(list(&mut session, text), [] as [&str; 0], "{text}");
    }
    assert_eq!(list(&mut session, "DESC DATABASE default_database;")[0], "name|default_database");
    assert_eq!(
        list(&mut session, "DESC CATALOG EXTENDED default_catalog;")[1],
        "type|generic_in_memory"
    );
    let upper = list(&mut session, "DESCRIBE FUNCTION upper;");
    assert_eq!(upper[..2], ["function name|upper", "usage|UPPER(string)"], "{upper:?}");
    answers(
        &mut session,
        "DROP FUNCTION IF EXISTS f; DROP TEMPORARY SYSTEM FUNCTION IF EXISTS db.f;",
    )
    .map(drop)
    .unwrap();
    let wrong =
        |session: &mut Session, text: &str| answers(session, text).err().unwrap_or_default();
    let said = wrong(&mut session, "EXECUTE PLAN 'p';");
    assert!(said.contains("EXECUTE stands in front of STATEMENT SET"), "{said}");
    let said = wrong(&mut session, "BEGIN; INSERT INTO flights SELECT 'a', 1; END;");
    assert!(said.contains("BEGIN stands in front of STATEMENT SET"), "{said}");
    let said =
        wrong(&mut session, "ALTER TABLE flights ADD DISTRIBUTION BY HASH(origin) INTO 4 BUCKETS;");
    assert!(said.contains("a distribution is not added"), "{said}");
    let all = answers(&mut session, "EXECUTE SELECT origin FROM flights; CLEAR; QUIT;").unwrap();
    assert!(
        matches!(all[0].outcome, Outcome::Query(..)) && matches!(all[2].outcome, Outcome::Quit)
    );
}

#[test]
fn columns_are_described_with_their_times_and_comments() {
    let mut session = Session::new();
    let table = "CREATE TABLE t (id INT CONSTRAINT pk PRIMARY KEY NOT ENFORCED COMMENT 'its number', ts TIMESTAMP(3),
  now AS PROCTIME(), at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector' = 'kafka');";
    answers(&mut session, table).map(drop).unwrap();
    assert_eq!(
        list(&mut session, "DESCRIBE t;"),
        [
            "id|INT|FALSE|PRI(id)|||its number",
            "ts|TIMESTAMP(3) *ROWTIME*|TRUE|||`ts` - INTERVAL '5' SECOND|",
            "now|TIMESTAMP_LTZ(3) *PROCTIME*|FALSE||AS PROCTIME()||",
            "at|TIMESTAMP_LTZ(3)|TRUE||METADATA FROM 'timestamp' VIRTUAL||",
        ]
    );
    answers(&mut session, "CREATE VIEW v AS SELECT ts, now FROM t;").map(drop).unwrap();
    assert_eq!(
        list(&mut session, "DESCRIBE v;"),
        ["ts|TIMESTAMP(3) *ROWTIME*|TRUE|||", "now|TIMESTAMP_LTZ(3) *PROCTIME*|FALSE|||"]
    );
}

#[test]
fn a_table_made_of_another_is_shown_whole() {
    let mut session = Session::new();
    let tables =
        "CREATE TABLE t (id INT NOT NULL, ts TIMESTAMP(3), next AS id + 1 COMMENT 'it''s next',
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector' = 'kafka', 'topic' = 'a');
CREATE TABLE u (`from` STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('topic' = 'b') LIKE t;
ALTER TABLE u ADD more BIGINT;
CREATE TABLE w WITH ('connector' = 'print') AS SELECT next FROM t;";
    answers(&mut session, tables).map(drop).unwrap();
    let mut shown = |name: &str| {
        let all = answers(&mut session, &format!("SHOW CREATE TABLE {name};")).unwrap();
        match &all[0].outcome {
            Outcome::Text(text) => text.clone(),
            _ => panic!("no text"),
        }
    };
    let expected = "CREATE TABLE `u` (
  `id` INT NOT NULL,
  `ts` TIMESTAMP(3),
  `next` AS id + 1 COMMENT 'it''s next',
  `from` STRING,
  `more` BIGINT,
  WATERMARK FOR `ts` AS ts - INTERVAL '5' SECOND,
  PRIMARY KEY (`id`) NOT ENFORCED
)
WITH (
  'connector' = 'kafka',
  'topic' = 'b'
);
";
    assert_eq!(shown("u"), expected);
    assert_eq!(
        shown("w"),
        "CREATE TABLE `w` (\n  `next` INT NOT NULL\n)\nWITH (\n  'connector' = 'print'\n);\n"
    );
}

#[test]
fn a_table_that_takes_the_place_of_another_is_filled_once() {
    let mut session = Session::new();
    answers(&mut session, FLIGHTS).map(drop).unwrap();
    let made = "CREATE OR REPLACE TABLE flights WITH ('connector' = 'filesystem', 'path' = 'l', 'format' = 'csv')
AS SELECT origin FROM flights;";
    let all = answers(&mut session, made).unwrap();
    assert!(matches!(all[0].outcome, Outcome::Insert(_)));
    assert_eq!(list(&mut session, "DESCRIBE flights;").len(), 1);
    let all = answers(&mut session, "SELECT * FROM flights;").unwrap();
    assert!(matches!(all[0].outcome, Outcome::Query(..)));
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
