//! Edits of a running job: its parallelism, its program.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tokio::time::Instant;
use weir_e2e::sql;
use weir_e2e::testbed::cluster::{READY, Stage};

use crate::flights::{Input, ROLLING, topic_to_hours};

const CHANGED: Duration = Duration::from_secs(90);

pub(crate) fn kubectl_scale_rescales_a_running_job(stage: &Stage, name: &str) -> Result<()> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    let input = Input::new(200_000)?;
    let feed = input.feed(kafka, name, 2_500)?;
    let sql = topic_to_hours(kafka, name, &home.sink("hourly"));
    home.apply_job("hours", &sql, &json!({"parallelism": 2}))?;
    home.wait_for_condition("hours", "Ready", READY)?;
    for parallelism in [4, 3, 1, 4] {
        home.wait_for_new_output("hourly", CHANGED)?;
        let start = Instant::now();
        home.kubectl.run(&["scale", "sj/hours", &format!("--replicas={parallelism}")])?;
        home.kubectl.wait_until("sj", "hours", "rescaled", CHANGED, |job| {
            job["status"]["parallelism"]["actual"] == parallelism
                && job["status"]["state"] == "Running"
        })?;
        println!("  to {parallelism}: {:.1} s", start.elapsed().as_secs_f64());
    }
    feed.finish()?;
    home.wait_for_rows("hourly", &Input::columns(), input.expected(), CHANGED)?;
    home.delete()
}

pub(crate) fn a_changed_program_goes_on_from_a_savepoint(stage: &Stage, name: &str) -> Result<()> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    let input = Input::new(100_000)?;
    let feed = input.feed(kafka, name, 2_500)?;
    let program = topic_to_hours(kafka, name, &home.sink("hourly"));
    home.apply_job("hours", &program, &json!({"parallelism": 2}))?;
    let job = home.wait_for_condition("hours", "Ready", READY)?;
    let revision = job["status"]["revisions"]["current"].clone();
    home.wait_for_new_output("hourly", CHANGED)?;
    // A second result beside the first, whose windows must not lose what they hold.
    let (tables, insert) = program.split_once("INSERT INTO").unwrap_or((&program, ""));
    let changed = format!(
        "{tables}CREATE TABLE long_delays ({}) WITH ('connector' = 'filesystem', 'path' = '{}',
  'format' = 'json', {ROLLING});
EXECUTE STATEMENT SET BEGIN
INSERT INTO{insert}{}END;
",
        sql::LONG_DELAYS_COLUMNS,
        home.sink("long_delays"),
        sql::LONG_DELAYS
    );
    let start = Instant::now();
    home.patch_job("hours", &json!({"sql": changed}))?;
    home.kubectl.wait_until("sj", "hours", "of the new revision", CHANGED, |job| {
        let current = &job["status"]["revisions"]["current"];
        !current.is_null() && *current != revision && job["status"]["state"] == "Running"
    })?;
    println!("  running again after {:.1} s", start.elapsed().as_secs_f64());
    home.wait_for_new_output("long_delays", CHANGED)?;
    feed.finish()?;
    home.wait_for_rows("hourly", &Input::columns(), input.expected(), CHANGED)?;
    home.delete()
}
