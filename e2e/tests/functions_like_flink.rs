//! The recording that the SQL front end's functions are tested against is what Flink says.
//!
//! `worker/sql/src/tests/cases.tsv` holds expressions with Flink's values and types; the unit
//! test `functions_give_what_flink_gives` holds Weir against it in a second. This test runs every
//! expression on a real Flink over the same row, and fails where the recording is not its answer.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use weir_e2e::oracle::flink;

const CASES: &str = include_str!("../../worker/sql/src/tests/cases.tsv");
const RUNNER: &str = include_str!("../flink/FlinkExpressions.java");

/// The row of the unit test's `fixture()`.
const ROW: &str = r#"{"i":7,"z":0,"b":5000000123,"d":2.5,"f":1.1,"nan":"NaN","dc":12.35,"big":99999999999999999999999999999999999999,"s":"7","word":"hello","bo":true,"ts":"2001-02-03 04:05:06.789","past":"1969-12-31 22:58:57.250","ltz":"2001-02-03 04:05:06.789Z","dt":"2001-02-03","tm":"04:05:06","ni":null,"ns":null,"nb":null}"#;

const COLUMNS: &str = "i INT, z INT, b BIGINT, d DOUBLE, f FLOAT, nan DOUBLE, dc DECIMAL(10, 2), \
    big DECIMAL(38, 0), s STRING, word STRING, bo BOOLEAN, ts TIMESTAMP(3), past TIMESTAMP(3), \
    ltz TIMESTAMP_LTZ(3), dt DATE, tm TIME, ni INT, ns STRING, nb BOOLEAN";

#[test]
fn the_recording_of_functions_is_what_flink_says() -> Result<()> {
    let recorded: Vec<Vec<&str>> = CASES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
        .map(|line| line.split('\t').collect())
        .collect();
    ensure!(recorded.len() > 400, "the recording is there");
    let answers = ask_flink(&recorded)?;
    let mut wrong = Vec::new();
    for case in &recorded {
        let (value, kind) =
            answers.get(case[0]).with_context(|| format!("no answer for {}", case[0]))?;
        // What fails has no type; a recorded one is that of Weir's own value.
        let same = value == case[1] && (value == "ERROR" || *kind == case[2]);
        if !same {
            wrong.push(format!(
                "{}\n  Flink      {value} {kind}\n  recorded   {} {}",
                case[0], case[1], case[2]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Value and type by expression.
fn ask_flink(recorded: &[Vec<&str>]) -> Result<BTreeMap<String, (String, String)>> {
    // What is recorded to fail is marked, so that it does not take a whole job with it.
    let expressions = recorded.iter().map(|case| {
        let mark = if case[1] == "ERROR" { "!" } else { "" };
        format!("{mark}{}", case[0])
    });
    let scratch = tempfile::tempdir()?;
    let at = |name: &str| scratch.path().join(name);
    fs::write(at("row.json"), ROW)?;
    fs::write(at("expressions"), expressions.collect::<Vec<_>>().join("\n"))?;
    fs::write(
        at("table.sql"),
        format!(
            "CREATE TABLE fixture ({COLUMNS}) WITH ('connector' = 'filesystem', \
             'path' = 'file://{}', 'format' = 'json')",
            at("row.json").display()
        ),
    )?;
    let given = ["table.sql", "expressions", "answers"];
    flink::run_java("FlinkExpressions.java", RUNNER, scratch.path(), &given)?;
    let text = fs::read_to_string(at("answers"))?;
    let answer = |line: &str| {
        let mut parts = line.split('\t').map(str::to_owned);
        Some((parts.next()?, (parts.next()?, normal_type(&parts.next()?))))
    };
    Ok(text.lines().filter_map(answer).collect())
}

/// Flink's name of a type as the recording has it: without nullability and lengths of strings.
fn normal_type(name: &str) -> String {
    let mut name = name.replace(" NOT NULL", "");
    for kind in ["VARCHAR(", "CHAR("] {
        while let Some(start) = name.find(kind) {
            let end = name[start..].find(')').map_or(name.len(), |end| start + end + 1);
            name.replace_range(start..end, "STRING");
        }
    }
    match name.as_str() {
        "TIME(0)" => "TIME".to_owned(),
        "INTERVAL SECOND(3)" => "INTERVAL DAY TO SECOND".to_owned(),
        "INTERVAL MONTH" => "INTERVAL YEAR TO MONTH".to_owned(),
        _ => name,
    }
}
