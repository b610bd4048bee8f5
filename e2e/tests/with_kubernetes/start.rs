//! One manifest is the whole job.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::time::Instant;
use weir_e2e::testbed::cluster::{READY, Stage, condition};

use crate::figures::{Figure, tries};
use crate::flights::{Input, topic_to_hours};

pub(crate) fn a_job_is_ready_and_writes_what_the_oracle_says(
    stage: &Stage,
    name: &str,
) -> Result<()> {
    let home = stage.namespace(name)?;
    let input = Input::new(200_000)?;
    input.upload(stage, name)?;
    let start = Instant::now();
    let sql = input.files_to_hours(name, &home.sink("hourly"));
    home.apply_job("hours", &sql, &json!({"parallelism": 2}))?;
    home.wait_for_condition("hours", "SpecAccepted", READY)?;
    let job = home.wait_for_condition("hours", "Complete", READY)?;
    println!("  apply to Complete {:.1} s", start.elapsed().as_secs_f64());
    ensure!(job["status"]["state"] == "Finished", "{}", job["status"]);
    input.expected().check("hourly", &home.rows("hourly", &Input::columns())?)?;
    // What is finished needs no pods.
    home.kubectl.wait_until("sj", "hours", "without pods", Duration::from_secs(60), |_| {
        home.pods("hours").is_ok_and(|pods| pods.is_empty())
    })?;
    home.delete()
}

/// From `kubectl apply` to the first checkpoint published, images present.
pub(crate) fn a_job_is_ready_soon(stage: &Stage, name: &str) -> Result<()> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    let input = Input::new(20_000)?;
    input.feed(kafka, name, 20_000)?.finish()?;
    let mut figure = Figure::new("apply → Ready");
    for round in 0..tries() {
        let job = format!("hours-{round}");
        let sql = topic_to_hours(kafka, name, &home.sink(&job));
        let start = Instant::now();
        home.apply_job(&job, &sql, &json!({"parallelism": 2}))?;
        home.wait_for_condition(&job, "Ready", READY)?;
        figure.add(start.elapsed());
        home.wait_for_rows(&job, &Input::columns(), input.expected(), READY)?;
        home.kubectl.run(&["delete", "sj", &job, "--timeout=120s"])?;
    }
    figure.done();
    home.delete()
}

pub(crate) fn a_program_that_does_not_plan_says_where(stage: &Stage, name: &str) -> Result<()> {
    let home = stage.namespace(name)?;
    home.apply_job("wrong", "CREATE TABLE t (a BIGINT) WITH ('connector' = 'datagen');\nINSERT INTO nowhere SELECT a FROM t;", &json!({}))?;
    let job = home.kubectl.wait_until("sj", "wrong", "refused", READY, |job| {
        condition(job, "SpecAccepted").is_some_and(|accepted| accepted["status"] == "False")
    })?;
    let message = condition(&job, "SpecAccepted").map(|c| c["message"].to_string());
    let message = message.unwrap_or_default();
    ensure!(message.contains("2:") && message.contains("nowhere"), "no place, no cause: {message}");
    ensure!(
        condition(&job, "Stalled").is_some_and(|stalled| stalled["status"] == "True"),
        "a refused spec must be Stalled: {}",
        job["status"]
    );
    home.delete()
}
