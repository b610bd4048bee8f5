//! Kill any process, pod or container: no row is lost or repeated.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::Instant;
use weir_e2e::process;
use weir_e2e::testbed::cluster::{Namespace, READY, RELEASE, Stage};

use crate::flights::{Feed, Input, topic_to_hours};

const RECOVERED: Duration = Duration::from_secs(90);

/// How often each fault strikes: `WEIR_E2E_KILLS`, otherwise 2.
fn kills() -> usize {
    std::env::var("WEIR_E2E_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(2)
}

/// A job under a steady load that lasts for all faults.
fn running<'a>(
    stage: &'a Stage,
    name: &str,
    seconds: usize,
) -> Result<(Namespace<'a>, Input, Feed)> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    let input = Input::new((2_500 * seconds).min(3_000_000))?;
    let feed = input.feed(kafka, name, 2_500)?;
    let sql = topic_to_hours(kafka, name, &home.sink("hourly"));
    home.apply_job("hours", &sql, &json!({"parallelism": 3}))?;
    home.wait_for_condition("hours", "Ready", READY)?;
    home.wait_for_new_output("hourly", RECOVERED)?;
    Ok((home, input, feed))
}

/// All rows are there once, and the job is well.
fn all_is_well(home: Namespace<'_>, input: &Input, feed: Feed) -> Result<()> {
    feed.finish()?;
    home.wait_for_rows("hourly", &Input::columns(), input.expected(), RECOVERED)?;
    home.wait_for_condition("hours", "Ready", RECOVERED)?;
    home.delete()
}

pub(crate) fn killed_workers_cost_no_row(stage: &Stage, name: &str) -> Result<()> {
    let (home, input, mut feed) = running(stage, name, 30 + 2 * kills() * 15)?;
    // The coordinator's pod is that of ordinal 0.
    for (what, ordinal) in [("worker", 1), ("coordinator", 0)] {
        for _ in 0..kills() {
            ensure!(feed.is_under_way()?, "the load ended before the faults");
            let pods = home.pods("hours")?;
            let suffix = format!("-{ordinal}");
            let pod = pods.iter().find(|pod| pod.ends_with(&suffix)).context("no such pod")?;
            let start = Instant::now();
            home.kubectl.run(&[
                "delete",
                "pod",
                pod,
                "--grace-period=0",
                "--force",
                "--wait=false",
            ])?;
            home.wait_for_new_output("hourly", RECOVERED)?;
            println!("  {what} killed: output after {:.1} s", start.elapsed().as_secs_f64());
            home.wait_for_ready_pods("hours", 3, RECOVERED)?;
            home.wait_for_condition("hours", "Ready", RECOVERED)?;
        }
    }
    all_is_well(home, &input, feed)
}

pub(crate) fn a_worker_and_the_coordinator_killed_at_once_cost_no_row(
    stage: &Stage,
    name: &str,
) -> Result<()> {
    let (home, input, feed) = running(stage, name, 60)?;
    let pods = home.pods("hours")?;
    for suffix in ["-1", "-0"] {
        let pod = pods.iter().find(|pod| pod.ends_with(suffix)).context("no such pod")?;
        home.kubectl.run(&["delete", "pod", pod, "--grace-period=0", "--force", "--wait=false"])?;
    }
    let start = Instant::now();
    home.wait_for_new_output("hourly", RECOVERED)?;
    println!("  output after {:.1} s", start.elapsed().as_secs_f64());
    all_is_well(home, &input, feed)
}

pub(crate) fn a_killed_container_costs_no_row(stage: &Stage, name: &str) -> Result<()> {
    let (home, input, mut feed) = running(stage, name, 30 + 2 * kills() * 15)?;
    for ordinal in [1, 0] {
        for _ in 0..kills() {
            ensure!(feed.is_under_way()?, "the load ended before the faults");
            let pods = home.pods("hours")?;
            let suffix = format!("-{ordinal}");
            let pod = pods.iter().find(|pod| pod.ends_with(&suffix)).context("no such pod")?;
            // As an OOM kill does where cgroups are of version 2: all processes at once.
            let processes = stage.cluster.container_processes(home.name(), pod)?;
            ensure!(processes.len() >= 2, "supervisor and worker: {processes:?}");
            let start = Instant::now();
            for id in &processes {
                // One that the end of another has ended already is gone.
                let _ = process::signal(*id, Signal::KILL);
            }
            home.wait_for_new_output("hourly", RECOVERED)?;
            println!(
                "  container {ordinal} killed: output after {:.1} s",
                start.elapsed().as_secs_f64()
            );
            home.wait_for_ready_pods("hours", 3, RECOVERED)?;
            home.wait_for_condition("hours", "Ready", RECOVERED)?;
        }
    }
    all_is_well(home, &input, feed)
}

pub(crate) fn a_killed_operator_costs_nothing(stage: &Stage, name: &str) -> Result<()> {
    let (home, input, mut feed) = running(stage, name, 30 + kills() * 30)?;
    let operators = stage.cluster.kubectl().in_namespace(RELEASE);
    for round in 0..kills() {
        ensure!(feed.is_under_way()?, "the load ended before the faults");
        // In the middle of a change, both replicas at once.
        let parallelism = if round % 2 == 0 { 2 } else { 3 };
        home.patch_job("hours", &json!({"parallelism": parallelism}))?;
        operators.run(&[
            "delete",
            "pods",
            "-l",
            "app.kubernetes.io/name=weir-operator",
            "--grace-period=0",
            "--force",
        ])?;
        home.wait_for_new_output("hourly", RECOVERED)?;
        home.kubectl.wait_until("sj", "hours", "rescaled", RECOVERED, |job| {
            job["status"]["parallelism"]["actual"] == parallelism
                && job["status"]["state"] == "Running"
        })?;
    }
    all_is_well(home, &input, feed)
}
