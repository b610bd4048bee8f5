//! The recording that the formats are tested against is what Flink says.
//!
//! `worker/connectors/src/formats/like_flink/cases.tsv` holds records with what Flink reads them
//! as and how it writes that; the unit test `records_give_what_flink_gives` holds Weir against it
//! in a second. This test has a real Flink read every record, and fails where the recording is not
//! its answer. With `UPDATE_EXPECT=1` it records instead; what stands behind an answer about Weir
//! is kept.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use weir_e2e::oracle::flink;

const CASES: &str = "../worker/connectors/src/formats/like_flink/cases.tsv";
const RUNNER: &str = include_str!("../flink/FlinkFormats.java");

#[test]
fn the_recording_of_formats_is_what_flink_says() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(CASES);
    let recorded = fs::read_to_string(&path)?;
    let scratch = tempfile::tempdir()?;
    fs::write(scratch.path().join("cases"), &recorded)?;
    flink::run_java("FlinkFormats.java", RUNNER, scratch.path(), &["cases", "answers"])?;
    let answers = fs::read_to_string(scratch.path().join("answers"))?;
    let mut answers = answers.lines();
    let mut anew = String::new();
    for line in recorded.lines() {
        if !line.is_empty() && !line.starts_with("# ") {
            anew.push_str(answers.next().context("an answer for every case")?);
            // What Weir does instead, and why.
            anew.extend(line.find("\tweir: ").map(|at| &line[at..]));
        } else {
            anew.push_str(line);
        }
        anew.push('\n');
    }
    ensure!(answers.next().is_none(), "a case for every answer");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, anew)?;
        return Ok(());
    }
    let differ = recorded.lines().zip(anew.lines()).filter(|(recorded, anew)| recorded != anew);
    let wrong: Vec<_> =
        differ.map(|(recorded, anew)| format!("recorded {recorded}\nFlink    {anew}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
