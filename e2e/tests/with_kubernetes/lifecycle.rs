//! Stopping in every way that there is, and what is left.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use weir_e2e::process::wait_for;
use weir_e2e::testbed::cluster::{READY, Stage};

use crate::flights::{Input, topic_to_hours};

const STOPPED: Duration = Duration::from_secs(120);

pub(crate) fn a_suspended_job_resumes(stage: &Stage, name: &str) -> Result<()> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    let input = Input::new(100_000)?;
    let feed = input.feed(kafka, name, 4_000)?;
    let sql = topic_to_hours(kafka, name, &home.sink("hourly"));
    home.apply_job("hours", &sql, &json!({"parallelism": 2}))?;
    home.wait_for_condition("hours", "Ready", READY)?;
    home.wait_for_new_output("hourly", STOPPED)?;
    home.patch_job("hours", &json!({"desiredState": "Suspended"}))?;
    home.wait_for_state("hours", "Suspended", STOPPED)?;
    wait_for("its pods to go", STOPPED, || Ok(home.pods("hours")?.is_empty()))?;
    let committed = home.committed_files("hourly")?;
    // More comes in meanwhile, none of which may be lost or be written by a zombie.
    feed.finish()?;
    ensure!(home.committed_files("hourly")? == committed, "a suspended job writes");
    home.patch_job("hours", &json!({"desiredState": "Running"}))?;
    home.wait_for_condition("hours", "Ready", READY)?;
    home.wait_for_rows("hourly", &Input::columns(), input.expected(), STOPPED)?;
    home.delete()
}

pub(crate) fn a_drained_job_writes_every_result(stage: &Stage, name: &str) -> Result<()> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    let input = Input::new(50_000)?;
    input.feed(kafka, name, 25_000)?.finish()?;
    let sql = topic_to_hours(kafka, name, &home.sink("hourly"));
    home.apply_job("hours", &sql, &json!({"parallelism": 2}))?;
    // Everything is read when all windows but that of the year 2100 are closed.
    home.wait_for_rows("hourly", &Input::columns(), input.expected(), READY)?;
    home.patch_job("hours", &json!({"desiredState": "Drained"}))?;
    home.wait_for_state("hours", "Drained", STOPPED)?;
    wait_for("its pods to go", STOPPED, || Ok(home.pods("hours")?.is_empty()))?;
    // Draining closes the open window as well: one row more, of the made-up airport.
    let rows = home.rows("hourly", &Input::columns())?;
    ensure!(input.expected().within(&rows), "rows got lost");
    ensure!(rows.len() == input.expected().len() + 1, "{} rows", rows.len());
    ensure!(rows.distinct().any(|row| row.contains("XXX")), "the open window was not written");
    home.delete()
}

pub(crate) fn deletion_keeps_state_or_removes_it(stage: &Stage, name: &str) -> Result<()> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    let input = Input::new(200_000)?;
    let feed = input.feed(kafka, name, 3_000)?;
    let mut uids = Vec::new();
    // In the foreground as Argo CD deletes, which waits for no savepoint of what has an owner.
    for (job, retention, cascade) in
        [("kept", "Retain", "foreground"), ("gone", "Delete", "background")]
    {
        let sql = topic_to_hours(kafka, name, &home.sink(job));
        home.apply_job(job, &sql, &json!({"deletion": {"stateRetention": retention}}))?;
        uids.push(uid(&home.wait_for_condition(job, "Ready", READY)?));
        home.wait_for_new_output(job, STOPPED)?;
        let cascade = format!("--cascade={cascade}");
        home.kubectl.run(&["delete", "sj", job, &cascade, "--timeout=120s"])?;
        let events = home.kubectl.run(&["get", "events", "--field-selector=reason=Savepoint"])?;
        ensure!(events.contains(&format!("streamjob/{job}")), "no savepoint of {job}: {events}");
        wait_for("its pods to go", STOPPED, || Ok(home.pods(job)?.is_empty()))?;
        let left = stage.chain(name).lines().filter(|file| file.contains(job)).count();
        match retention {
            "Retain" => ensure!(left > 0, "a state that was to be kept is gone"),
            _ => ensure!(left == 0, "{left} files left:\n{}", stage.chain(name)),
        }
        ensure!(home.rows(job, &Input::columns())?.within(input.expected()), "wrong rows of {job}");
    }
    // What was kept goes on where it stood, for the job that names it.
    let sql = topic_to_hours(kafka, name, &home.sink("kept"));
    home.apply_job("kept", &sql, &json!({"state": {"adopt": uids[0]}}))?;
    home.wait_for_condition("kept", "Ready", READY)?;
    feed.finish()?;
    home.wait_for_rows("kept", &Input::columns(), input.expected(), STOPPED)?;
    home.delete()
}

pub(crate) fn a_deleted_namespace_keeps_the_state(stage: &Stage, name: &str) -> Result<()> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    let input = Input::new(200_000)?;
    let feed = input.feed(kafka, name, 3_000)?;
    let sql = topic_to_hours(kafka, name, &home.sink("hourly"));
    // Even what asks for the removal of its state: nothing can be started here that removes it.
    let deletion = json!({"stateRetention": "Delete"});
    home.apply_job("hours", &sql, &json!({"parallelism": 2, "deletion": deletion}))?;
    let uid = uid(&home.wait_for_condition("hours", "Ready", READY)?);
    home.wait_for_new_output("hourly", STOPPED)?;
    home.delete()?;
    ensure!(!stage.chain(name).is_empty(), "the state went with the namespace");

    let home = stage.namespace(name)?;
    ensure!(home.rows("hourly", &Input::columns())?.within(input.expected()), "wrong rows");
    home.apply_job("hours", &sql, &json!({"parallelism": 2, "state": {"adopt": uid}}))?;
    home.wait_for_condition("hours", "Ready", READY)?;
    feed.finish()?;
    home.wait_for_rows("hourly", &Input::columns(), input.expected(), STOPPED)?;
    home.delete()
}

fn uid(job: &Value) -> String {
    job["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
}
