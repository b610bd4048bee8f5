//! The job's page in a real browser, beside a live job: numbers move, a rescale and a lost worker
//! show in what happened, a skewed key is named, other sites get nothing.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use weir_e2e::cache::tail;
use weir_e2e::job::{Job, Manifest};
use weir_e2e::page::{address, get, pictures, snapshot};
use weir_e2e::process::{signal, wait_for};
use weir_e2e::testbed::chromium::Browser;

const LIMIT: Duration = Duration::from_secs(30);

/// Two thousand clicks a second on pages, of which one has most.
const CLICKS: &str = "-- Clicks on pages, made up: nearly all of them on the first page.
CREATE TABLE clicks (
  page BIGINT, visitor BIGINT, at TIMESTAMP(3),
  WATERMARK FOR at AS at - INTERVAL '1' SECOND
) WITH (
  'connector' = 'datagen', 'rows-per-second' = '2000',
  'fields.page.min' = '1', 'fields.page.max' = '1',
  'fields.visitor.min' = '1', 'fields.visitor.max' = '5000'
);

CREATE TABLE newest (page BIGINT, clicks BIGINT, visitors BIGINT) WITH ('connector' = 'blackhole');
CREATE TABLE per_second (opened TIMESTAMP(3), visitor BIGINT, clicks BIGINT) WITH ('connector' = 'print');

INSERT INTO newest
  SELECT page, COUNT(*) AS clicks, COUNT(DISTINCT visitor) AS visitors FROM clicks GROUP BY page;

INSERT INTO per_second
  SELECT window_start, visitor, COUNT(*)
  FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '1' SECOND))
  GROUP BY window_start, window_end, visitor;
";

#[test]
fn the_page_of_a_live_job_moves_and_tells_what_happens() -> Result<()> {
    let mut manifest = Manifest::new("clicks", CLICKS);
    manifest.parallelism = 2;
    let mut job = Job::new(manifest)?;
    let mut run = job.start(2)?;
    let address = address(&run, LIMIT)?;
    let page = format!("http://{address}");
    let pictures = pictures();

    // Other names and other sites get nothing, before anything is drawn.
    wait_for("a snapshot", LIMIT, || Ok(snapshot(&address).is_ok()))?;
    for headers in [
        "Host: evil.example\r\n".to_owned(),
        String::new(),
        format!("Host: {address}\r\nOrigin: https://evil.example\r\n"),
    ] {
        for path in ["/", "/v1/snapshot", "/v1/stream", "/v1/operators/x/sample"] {
            let (line, body) = get(&address, path, &headers)?;
            ensure!(
                line.contains("403") || line.contains("400"),
                "{headers} {path}: {line} {body}"
            );
            ensure!(!body.contains("clicks"), "{headers} {path}: {body}");
        }
    }

    let mut browser = Browser::start(1440, 1400)?;
    browser.prefer("light")?;
    let port = address.rsplit(':').next().unwrap_or_default();
    browser.open(&format!("http://evil.example:{port}/"))?;
    ensure!(browser.text("body")?.contains("open it as 127.0.0.1"), "{}", browser.text("body")?);

    browser.open(&page)?;
    ensure!(browser.text("h1")? == "clicks", "{}", browser.text("body")?);
    let read = "Number(/([\\d,]+) in all/.exec(document.querySelector('#numbers').textContent)?.[1].replaceAll(',', ''))";
    let before = browser.evaluate(read)?.as_u64().unwrap_or(0);
    wait_for("rows on the page", LIMIT, || {
        Ok(browser.evaluate(read)?.as_u64().unwrap_or(0) > before + 4_000)
    })
    .with_context(|| tail(&run.log()))?;
    ensure!(browser.text("#age")?.starts_with("data "), "{}", browser.text("#age")?);
    wait_for("the skew in the verdict", LIMIT, || {
        Ok(browser.text("#verdict")?.contains("has most of its rows in subtask"))
    })
    .with_context(|| tail(&run.log()))?;
    ensure!(
        browser.text("#verdict")?.contains("rows go to subtasks by page"),
        "{}",
        browser.text("#verdict")?
    );
    // All rows are of one key: its key group is named, and marked in its operator's strip.
    wait_for("the hot key group in the verdict", LIMIT, || {
        let verdict = browser.text("#verdict")?;
        Ok(verdict.contains("; key group ")
            && verdict.contains("no parallelism divides a key group"))
    })
    .with_context(|| browser.text("#verdict").unwrap_or_default())?;
    let (uid, hot) = hottest(&address)?;
    let path = format!("/v1/operators/{uid}/key-groups");
    let (line, body) = get(&address, &path, &format!("Host: {address}\r\n"))?;
    ensure!(line.contains("200"), "{line} {body}");
    let groups: serde_json::Value = serde_json::from_str(&body)?;
    let largest = |list: &str| {
        let all = groups[list].as_array().map(Vec::as_slice).unwrap_or_default().iter();
        all.enumerate()
            .max_by(|a, b| a.1.as_f64().unwrap_or(0.0).total_cmp(&b.1.as_f64().unwrap_or(0.0)))
            .map(|(group, _)| group as u64)
    };
    ensure!(largest("inRates") == Some(hot) && largest("stateRows") == Some(hot), "{hot}: {body}");
    browser.open(&format!("{page}/?operator={uid}"))?;
    wait_for("the strip of key groups", LIMIT, || {
        Ok(browser.text("#drawer")?.contains(&format!("Key group {hot} is hot")))
    })
    .with_context(|| browser.text("#drawer").unwrap_or_default())?;
    ensure!(
        browser.evaluate("document.querySelectorAll('#drawer svg.groups .hot').length")? == 1,
        "the hot key group is not marked"
    );
    browser.picture(&pictures.join("key-groups-light.png"))?;
    // Its newest rows, once somebody wants them.
    ensure!(!browser.text("#drawer")?.contains("Rows as JSON"), "rows that nobody asked for");
    browser.open(&format!("{page}/?operator={uid}&rows=1"))?;
    wait_for("rows in the drawer", LIMIT, || {
        Ok(browser
            .evaluate("document.querySelectorAll('#drawer table.rows tbody tr').length")?
            .as_u64()
            >= Some(2))
    })
    .with_context(|| browser.text("#drawer").unwrap_or_default())?;
    let drawer = browser.text("#drawer")?;
    ensure!(drawer.contains("A few of those that it gives at "), "{drawer}");
    let (line, body) =
        get(&address, &format!("/v1/operators/{uid}/sample"), &format!("Host: {address}\r\n"))?;
    ensure!(line.contains("200"), "{line} {body}");
    let rows: serde_json::Value = serde_json::from_str(&body)?;
    let kept = rows["rows"].as_array().context("rows")?;
    // Counts of the one page: each row takes the place of the one before.
    ensure!((1..=20).contains(&kept.len()), "{body}");
    ensure!(kept.iter().all(|row| row["values"][0] == "1"), "{body}");
    ensure!(kept.iter().any(|row| row["change"] == "+U"), "{body}");
    browser.picture(&pictures.join("rows-light.png"))?;
    let faults = browser.faults()?;
    ensure!(faults.is_empty(), "{faults:#?}");
    browser.press("Escape")?;
    wait_for("the drawer to close", LIMIT, || Ok(browser.text("#drawer")?.is_empty()))?;
    wait_for("charts", LIMIT, || {
        Ok(browser.evaluate("document.querySelectorAll('#charts polyline').length")?.as_u64()
            >= Some(4))
    })?;

    // A rescale and a worker that is lost.
    job.set_parallelism(3)?;
    wait_for("the rescale in what happened", LIMIT, || {
        let happened = browser.text("#happened")?;
        Ok(happened.contains("Rescale") && happened.contains("2 → 3"))
    })
    .with_context(|| tail(&run.log()))?;
    let lost = run.worker(1).context("a second worker")?;
    signal(lost, Signal::KILL)?;
    wait_for("the lost worker in what happened", LIMIT, || {
        let happened = browser.text("#happened")?;
        Ok(happened.contains("Recovery") && happened.contains("worker 1 was lost"))
    })
    .with_context(|| tail(&run.log()))?;
    browser.evaluate(
        "document.querySelectorAll('#happened details').forEach((d) => { d.open = true; })",
    )?;
    ensure!(
        browser.text("#happened")?.contains("restore"),
        "steps: {}",
        browser.text("#happened")?
    );
    // What the reader has opened stays open while the page goes on.
    let rows = browser.evaluate(read)?.as_u64().unwrap_or(0);
    wait_for("rows after the recovery", LIMIT, || {
        Ok(browser.evaluate(read)?.as_u64().unwrap_or(0) > rows + 6_000)
    })
    .with_context(|| tail(&run.log()))?;
    ensure!(
        browser.evaluate("document.querySelectorAll('#happened details[open]').length")?.as_u64()
            >= Some(2),
        "the steps have closed by themselves"
    );
    ensure!(
        browser.evaluate("document.querySelectorAll('#charts .pause').length")?.as_u64() > Some(0),
        "no notch"
    );
    for scheme in ["light", "dark"] {
        browser.prefer(scheme)?;
        browser.picture(&pictures.join(format!("job-{scheme}.png")))?;
        let faults = browser.faults()?;
        ensure!(faults.is_empty(), "{scheme}: {faults:#?}");
    }

    // An operator's drawer, by hand and by key.
    browser.evaluate("document.querySelector('a[data-operator] .name').parentElement.dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))")?;
    wait_for("the drawer", LIMIT, || {
        Ok(browser.text("#drawer")?.contains("Subtasks of its chain"))
    })?;
    ensure!(browser.text("#drawer")?.contains("What it reads"), "{}", browser.text("#drawer")?);
    browser.picture(&pictures.join("drawer-dark.png"))?;
    browser.prefer("light")?;
    browser.picture(&pictures.join("drawer-light.png"))?;
    browser.press("Escape")?;
    wait_for("the drawer to close", LIMIT, || Ok(browser.text("#drawer")?.is_empty()))?;

    for (path, holds) in [
        ("/checkpoints", "Tasks, the slowest first"),
        ("/program", "SELECT window_start, visitor"),
        ("/log", "Log"),
    ] {
        browser.open(&format!("{page}{path}"))?;
        ensure!(browser.text("main")?.contains(holds), "{path}: {}", browser.text("main")?);
        browser.picture(&pictures.join(format!("{}-light.png", &path[1..])))?;
        let faults = browser.faults()?;
        ensure!(faults.is_empty(), "{path}: {faults:#?}");
        let json = browser.evaluate(&format!(
            "fetch('{path}?format=json').then((r) => r.json()).then((j) => typeof j)"
        ))?;
        ensure!(json == "object", "{path}?format=json is {json}");
    }

    // The job ends: the page says so and is not believed any more.
    browser.open(&page)?;
    run.process.signal(Signal::INT)?;
    run.process.wait(LIMIT)?;
    wait_for("the page to turn grey", LIMIT, || {
        Ok(browser.evaluate("document.body.classList.contains('stale')")? == true)
    })?;
    ensure!(browser.text("#age")?.starts_with("no answer since "), "{}", browser.text("#age")?);

    // What happened is there when the job runs again, in another process.
    let run = job.start(0)?;
    let address = weir_e2e::page::address(&run, LIMIT)?;
    wait_for("what happened before", LIMIT, || {
        let (_, body) = get(&address, "/v1/operations", &format!("Host: {address}\r\n"))?;
        Ok(body.contains("2 → 3") && body.contains("Recovery") && body.contains("Rescale"))
    })
    .with_context(|| tail(&run.log()))?;
    let ledger = job.folder().join("state/default/clicks/ledger");
    ensure!(fs::read_dir(&ledger)?.count() >= 1, "no ledger in {}", ledger.display());
    Ok(())
}

/// The operator for whose hottest key group most rows come, and that key group.
fn hottest(address: &str) -> Result<(String, u64)> {
    let snapshot = snapshot(address)?;
    let vertices = snapshot["vertices"].as_array().context("chains")?;
    let operators = vertices.iter().filter_map(|vertex| vertex["operators"].as_array()).flatten();
    let rate =
        |operator: &serde_json::Value| operator["hottest"][0]["inRate"].as_f64().unwrap_or(0.0);
    let hottest = operators.max_by(|a, b| rate(a).total_cmp(&rate(b))).context("operators")?;
    let group = hottest["hottest"][0]["group"].as_u64().context("no key group is hot")?;
    Ok((hottest["uid"].as_str().unwrap_or_default().to_owned(), group))
}
