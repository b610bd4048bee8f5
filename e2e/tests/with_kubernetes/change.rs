//! Edits of a running job: its parallelism, its program.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::time::Instant;
use weir_e2e::process::wait_for;
use weir_e2e::sql;
use weir_e2e::testbed::cluster::{READY, Stage, condition};

use crate::figures::{Figure, tries};
use crate::flights::{Input, ROLLING, topic_to_hours, topic_to_hours_by_numbers};

const CHANGED: Duration = Duration::from_secs(90);

pub(crate) fn kubectl_scale_rescales_a_running_job(stage: &Stage, name: &str) -> Result<()> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    let input = Input::new(1_500_000)?;
    let mut feed = input.feed(kafka, name, 10_000)?;
    let sql = topic_to_hours_by_numbers(kafka, name, &home.sink("hourly"));
    // Often enough for pauses to show in what is committed.
    let spec = json!({"parallelism": 2, "state": {"checkpoint": {"interval": "200ms"}}});
    home.apply_job("hours", &sql, &spec)?;
    home.wait_for_condition("hours", "Ready", READY)?;
    home.wait_for_new_output("hourly", CHANGED)?;
    let mut rescaled = Figure::new("kubectl scale → rescaled");
    let mut pause = Figure::new("longest time without a commit, over a rescale");
    let mut calm = Figure::new("longest time without a commit, in 3 s of calm");
    for parallelism in [4, 3, 1, 4, 2, 1, 3, 4, 1, 2].into_iter().take(tries().max(4)) {
        let before = now();
        wait_for("3 s of calm", CHANGED, || Ok(before.elapsed()? > Duration::from_secs(3)))?;
        home.wait_for_new_output("hourly", CHANGED)?;
        let (edit, start) = (now(), Instant::now());
        home.kubectl.run(&["scale", "sj/hours", &format!("--replicas={parallelism}")])?;
        home.kubectl.wait_until("sj", "hours", "rescaled", CHANGED, |job| {
            job["status"]["parallelism"]["actual"] == parallelism
                && job["status"]["state"] == "Running"
        })?;
        rescaled.add(start.elapsed());
        home.wait_for_new_output("hourly", CHANGED)?;
        ensure!(feed.is_under_way()?, "the load ended before the changes");
        let commits = home.commit_times("hourly")?;
        calm.add(longest_gap(&commits, before, edit)?);
        pause.add(longest_gap(&commits, edit, now())?);
    }
    [rescaled, pause, calm].into_iter().for_each(Figure::done);
    feed.finish()?;
    home.wait_for_rows("hourly", &Input::columns(), input.expected(), CHANGED)?;
    home.delete()
}

/// The clock that files carry the times of.
#[expect(clippy::disallowed_methods, reason = "compared with times of files, which are real")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The longest time between two commits that follow each other, of which the later one is within
/// a span of time.
fn longest_gap(commits: &[SystemTime], from: SystemTime, to: SystemTime) -> Result<Duration> {
    let ends = commits.windows(2).filter(|pair| (from..=to).contains(&pair[1]));
    let gaps = ends.filter_map(|pair| pair[1].duration_since(pair[0]).ok());
    gaps.max().with_context(|| format!("no commit between {from:?} and {to:?}"))
}

pub(crate) fn a_changed_program_goes_on_from_a_savepoint(stage: &Stage, name: &str) -> Result<()> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    let input = Input::new(1_000_000)?;
    let mut feed = input.feed(kafka, name, 4_000)?;
    let program = topic_to_hours(kafka, name, &home.sink("hourly"));
    home.apply_job("hours", &program, &json!({"parallelism": 2}))?;
    home.wait_for_condition("hours", "Ready", READY)?;
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
    let mut figure = Figure::new("program changed → output of the new one");
    for round in 0..tries() {
        ensure!(feed.is_under_way()?, "the load ended before the changes");
        let job = home.kubectl.get(&["sj", "hours"])?;
        let revision = job["status"]["revisions"]["current"].clone();
        let term = home.newest_term("hourly")?;
        let start = Instant::now();
        home.patch_job("hours", &json!({"sql": format!("-- change {round}\n{changed}")}))?;
        home.wait_for_output_after("hourly", term, CHANGED)?;
        figure.add(start.elapsed());
        home.kubectl.wait_until("sj", "hours", "of the new revision", CHANGED, |job| {
            let current = &job["status"]["revisions"]["current"];
            !current.is_null() && *current != revision && job["status"]["state"] == "Running"
        })?;
        home.wait_for_new_output("long_delays", CHANGED)?;
    }
    figure.done();
    feed.finish()?;
    home.wait_for_rows("hourly", &Input::columns(), input.expected(), CHANGED)?;
    home.delete()
}

/// Another image plans the program in a pod of its own, whose word counts before anything stops.
pub(crate) fn a_changed_image_plans_the_program_before_the_old_one_stops(
    stage: &Stage,
    name: &str,
) -> Result<()> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    let input = Input::new(200_000)?;
    let mut feed = input.feed(kafka, name, 4_000)?;
    let program = topic_to_hours(kafka, name, &home.sink("hourly"));
    home.apply_job("hours", &program, &json!({"parallelism": 2}))?;
    home.wait_for_condition("hours", "Ready", READY)?;
    home.wait_for_new_output("hourly", CHANGED)?;
    let term = home.newest_term("hourly")?;

    let image = stage.load_worker_image_as("weir.test/weir:next")?;
    home.patch_job("hours", &json!({"image": image, "sql": "INSERT INTO nowhere SELECT 1;"}))?;
    let refused = home.wait_for_condition("hours", "Stalled", CHANGED)?;
    let said = condition(&refused, "Stalled").context("it is there")?;
    let message = said["message"].as_str().unwrap_or_default();
    ensure!(message.contains("nowhere") && message.contains("keeps running"), "{said}");
    home.wait_for_new_output("hourly", CHANGED)?;
    ensure!(home.newest_term("hourly")? == term, "what the new image refuses has stopped the job");

    home.patch_job("hours", &json!({"image": image, "sql": program}))?;
    home.wait_for_output_after("hourly", term, CHANGED)?;
    ensure!(feed.is_under_way()?, "the load ended before the changes");
    home.wait_for_condition("hours", "Ready", CHANGED)?;
    let images = "jsonpath={.items[*].spec.containers[0].image}";
    wait_for("the old image's pods to go", CHANGED, || {
        let pods = ["get", "pods", "-l", "weir.dev/job=hours", "-o", images];
        Ok(home.kubectl.run(&pods)?.split_whitespace().all(|it| it == image))
    })?;
    let events = home.kubectl.run(&["get", "events", "-o", "name"])?;
    let planned = events.lines().filter(|event| event.contains("hours-plan-")).count();
    ensure!(planned > 0, "no pod has planned: {events}");
    feed.finish()?;
    home.wait_for_rows("hourly", &Input::columns(), input.expected(), CHANGED)?;
    home.delete()
}
