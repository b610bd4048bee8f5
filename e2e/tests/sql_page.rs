//! The SQL page in a real browser: the planner underlines while statements are written, completes
//! what they may say, runs them and ends them; who does not hold the token gets nothing.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_e2e::page::{get, pictures, post};
use weir_e2e::process::{Process, wait_for};
use weir_e2e::testbed::chromium::Browser;

const LIMIT: Duration = Duration::from_secs(30);

const BEGUN: &str = "-- Orders as they come, made up.
CREATE TABLE orders (
  item BIGINT, amount BIGINT, at TIMESTAMP(3),
  WATERMARK FOR at AS at - INTERVAL '1' SECOND
) WITH (
  'connector' = 'datagen', 'rows-per-second' = '400',
  'fields.item.min' = '1', 'fields.item.max' = '12',
  'fields.amount.min' = '1', 'fields.amount.max' = '500'
);

CREATE TABLE airports (code STRING, city STRING)
WITH ('connector' = 'filesystem', 'path' = 'airports.csv', 'format' = 'csv', 'csv.null-literal' = '');

SELECT item, COUNT(*) AS orders, SUM(amount) AS worth FROM orders GROUP BY item;
";

/// `weir sql --page` over a script in a folder, and the address that it says.
struct Page {
    process: Process,
    folder: TempDir,
    address: String,
    token: String,
}

impl Page {
    fn start() -> Result<Self> {
        let folder = TempDir::with_prefix("weir-sql-page-")?;
        fs::write(folder.path().join("begun.sql"), BEGUN)?;
        fs::write(
            folder.path().join("airports.csv"),
            "ATL,Atlanta\nORD,\"Chicago, Ill.\"\nXXX,\n",
        )?;
        let said = folder.path().join("said");
        let log = fs::File::create(&said)?;
        let mut command = Command::new(weir_e2e::programs::weir()?);
        command
            .args(["sql", "--page", "127.0.0.1:0", "-f", "begun.sql"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let process = Process::start("weir", &mut command)?;
        let mut found = None;
        wait_for("the address of the page", LIMIT, || {
            let text = fs::read_to_string(&said)?;
            found = text.split_once("page http://").and_then(|(_, rest)| {
                let (address, rest) = rest.split_once("/sql#token=")?;
                Some((address.to_owned(), rest.split_once('\n')?.0.to_owned()))
            });
            Ok(found.is_some())
        })?;
        let (address, token) = found.context("an address")?;
        Ok(Self { process, folder, address, token })
    }

    /// The status and the answer to a POST with these headers more.
    fn post(&self, what: &str, headers: &str, body: &Value) -> Result<(String, Value)> {
        let headers = format!("Host: {}\r\n{headers}", self.address);
        let (line, body) =
            post(&self.address, &format!("/v1/sql/{what}"), &headers, &body.to_string())?;
        Ok((line, serde_json::from_str(&body).unwrap_or(Value::Null)))
    }

    fn proper(&self) -> String {
        format!(
            "Origin: http://{}\r\nX-Weir-Token: {}\r\nContent-Type: application/json\r\n",
            self.address, self.token
        )
    }
}

/// Something inside of the editor, which has a root of its own.
const EDITOR: &str = "document.querySelector('#editor').shadowRoot";

fn in_editor(browser: &mut Browser, script: &str) -> Result<Value> {
    browser.evaluate(&format!("((root) => {script})({EDITOR})"))
}

/// Types a text in the place of all that there is.
fn write(browser: &mut Browser, text: &str) -> Result<()> {
    in_editor(browser, "root.querySelector('.cm-content').focus()")?;
    browser.chord("a", "ctrl")?;
    browser.insert(text)
}

#[test]
fn statements_are_checked_completed_run_and_stopped_in_a_browser() -> Result<()> {
    let mut page = Page::start()?;
    let pictures = pictures();
    let mut browser = Browser::start(1440, 1000)?;
    browser.prefer("light")?;

    // Without what stands behind '#' it only looks.
    browser.open(&format!("http://{}/sql", page.address))?;
    wait_for("what is missing", LIMIT, || {
        Ok(browser.text("#notice")?.contains("without its token")
            || browser.text("#notice")?.contains("token of this process is missing"))
    })?;

    browser.open(&format!("http://{}/sql?anew#token={}", page.address, page.token))?;
    wait_for("the tables of the text", LIMIT, || {
        Ok(browser.text("#tables")?.contains("airports"))
    })?;
    ensure!(browser.evaluate("location.hash")? == "", "the token stays in the address");
    let text = in_editor(&mut browser, "root.querySelector('.cm-content').textContent")?;
    ensure!(text.as_str().is_some_and(|text| text.contains("CREATE TABLE orders")), "{text}");
    ensure!(browser.text("#problems")?.is_empty(), "{}", browser.text("#problems")?);
    let bold = in_editor(
        &mut browser,
        "[...root.querySelectorAll('.cm-content span')].filter((s) => s.textContent === 'CREATE' && getComputedStyle(s).fontWeight === '600').length",
    )?;
    ensure!(bold.as_u64() == Some(2), "keywords are not set off: {bold}");

    // A live query, corrected in place, until it is stopped.
    browser.click("#run")?;
    let read = "[...document.querySelectorAll('.result[data-kind=query] table:not(.log) tbody tr')].map((r) => [...r.cells].map((c) => c.textContent))";
    wait_for("twelve rows", LIMIT, || {
        Ok(browser.evaluate(read)?.as_array().map(Vec::len) == Some(12))
    })?;
    let sum = |rows: &Value| -> u64 {
        let rows = rows.as_array().into_iter().flatten();
        rows.filter_map(|row| row[1].as_str()?.parse::<u64>().ok()).sum()
    };
    let before = sum(&browser.evaluate(read)?);
    wait_for("rows that change in place", LIMIT, || {
        let rows = browser.evaluate(read)?;
        ensure!(rows.as_array().map(Vec::len) == Some(12), "{rows}");
        Ok(sum(&rows) > before + 1_000)
    })?;
    ensure!(browser.text(".result .state")? == "running", "{}", browser.text("#results")?);
    ensure!(browser.text(".result .counts")?.contains("rows/s"), "no rate");
    ensure!(browser.text(".result .bound")?.contains("keeps at most 1,000 rows"), "no bound");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme)?;
        browser.picture(&pictures.join(format!("sql-{scheme}.png")))?;
        let faults = browser.faults()?;
        ensure!(faults.is_empty(), "{scheme}: {faults:#?}");
    }
    let back = "getComputedStyle(document.body).backgroundColor";
    let dark = browser.evaluate(back)?;
    browser.prefer("light")?;
    ensure!(browser.evaluate(back)? != dark, "light is dark");
    browser.click(".choice [data-mode=changelog]")?;
    wait_for("changes", LIMIT, || {
        let ops = browser.evaluate("[...new Set([...document.querySelectorAll('.result .log .op')].map((c) => c.textContent))].sort().join()")?;
        Ok(ops == "+I,+U,-U" || ops == "+U,-U")
    })?;
    browser.picture(&pictures.join("sql-changelog.png"))?;
    browser.click("#stop")?;
    wait_for("the end", LIMIT, || Ok(browser.text(".result .state")? == "stopped"))?;
    ensure!(browser.text(".result .message")?.contains("stopped after"), "no word");
    let last = sum(&browser.evaluate(read)?);
    std::thread::sleep(Duration::from_millis(700));
    ensure!(sum(&browser.evaluate(read)?) == last, "it goes on");
    ensure!(browser.evaluate("document.querySelector('#run').disabled")? == false, "no new run");

    // A column that is not there, and an option that is none.
    let wrong =
        BEGUN.replace("SUM(amount)", "SUM(amont)").replace("'rows-per-second'", "'rows-per-secnd'");
    write(&mut browser, &wrong)?;
    let lit = "[...root.querySelectorAll('.cm-lintRange-error')].map((s) => s.textContent)";
    wait_for("what is underlined", LIMIT, || {
        Ok(in_editor(&mut browser, lit)? == json!(["'rows-per-secnd'", "amont"]))
    })
    .with_context(|| browser.text("#problems").unwrap_or_default())?;
    let problems = browser.text("#problems")?;
    ensure!(problems.contains("did you mean \"amount\"?"), "{problems}");
    ensure!(problems.contains("did you mean 'rows-per-second'?"), "{problems}");
    browser.picture(&pictures.join("sql-wrong.png"))?;
    // A thousand changes would be looked at one by one.
    browser.click(".choice [data-mode=table]")?;
    let faults = browser.faults()?;
    ensure!(faults.is_empty(), "{faults:#?}");
    browser.click("#run")?;
    wait_for("the refusal", LIMIT, || Ok(browser.text("#notice")?.contains("Nothing was run")))?;

    // Names of options, their values, columns and tables are completed.
    let offered = "[...root.querySelectorAll('.cm-tooltip-autocomplete li .cm-completionLabel')].map((l) => l.textContent)";
    let offers = |browser: &mut Browser, wanted: &str| -> Result<()> {
        let mut seen = Value::Null;
        wait_for(&format!("{wanted} to be offered"), LIMIT, || {
            seen = in_editor(browser, offered)?;
            Ok(seen.as_array().is_some_and(|all| all.iter().any(|one| one == wanted)))
        })
        .with_context(|| format!("offered: {seen}"))?;
        // At first the editor takes no choice, so that nobody chooses what has just come up.
        std::thread::sleep(Duration::from_millis(300));
        Ok(())
    };
    write(&mut browser, "CREATE TABLE k (a INT) WITH (\n  'connector' = 'kafka', ")?;
    browser.type_keys("'scan.startup.m")?;
    offers(&mut browser, "scan.startup.mode")?;
    browser.picture(&pictures.join("sql-completion.png"))?;
    browser.press("Tab")?;
    browser.insert(" = ")?;
    browser.type_keys("'e")?;
    offers(&mut browser, "earliest-offset")?;
    browser.press("Enter")?;
    let text = in_editor(&mut browser, "root.querySelector('.cm-content').innerText")?;
    ensure!(
        text.as_str().is_some_and(
            |t| t.contains("'scan.startup.mode' = 'earliest-offset'") && !t.contains("''")
        ),
        "{text}"
    );
    write(&mut browser, &format!("{BEGUN}SELECT "))?;
    browser.insert("* FROM ")?;
    browser.type_keys("air")?;
    offers(&mut browser, "airports")?;
    browser.press("Enter")?;

    // Several statements, in order; a value is never markup.
    let several = format!(
        "{}\nSHOW TABLES;\nSELECT code, city, '<b>bold</b>' AS markup FROM airports;\nEXPLAIN SELECT code FROM airports;\n",
        BEGUN.split("\nSELECT item").next().unwrap_or_default()
    );
    write(&mut browser, &several)?;
    wait_for("nothing wrong", LIMIT, || Ok(browser.text("#problems")?.is_empty()))?;
    browser.click("#run")?;
    wait_for("all results", LIMIT, || {
        Ok(browser.evaluate(
            "[...document.querySelectorAll('.result .state')].map((s) => s.textContent)",
        )? == json!(["done", "done", "done"]))
    })?;
    let results = browser.text("#results")?;
    ensure!(results.contains("Chicago, Ill.") && results.contains("<b>bold</b>"), "{results}");
    ensure!(results.contains("NULL") && results.contains("airports"), "{results}");
    browser.picture(&pictures.join("sql-several.png"))?;

    // A manifest of it.
    browser.evaluate("window.saved = ''; URL.createObjectURL = (blob) => { blob.text().then((t) => { window.saved = t; }); return '#'; }; null")?;
    browser.click("#keep")?;
    browser.evaluate("document.querySelector('#manifest-name').value = 'Not a name'; null")?;
    browser.click("#manifest-save")?;
    wait_for("what is wrong with the name", LIMIT, || {
        Ok(browser.text("#manifest-problem")?.contains("metadata.name"))
    })?;
    browser.picture(&pictures.join("sql-manifest.png"))?;
    let faults = browser.faults()?;
    ensure!(faults.is_empty(), "{faults:#?}");
    browser.click("#manifest-close")?;
    write(&mut browser, BEGUN)?;
    browser.click("#keep")?;
    browser.evaluate("document.querySelector('#manifest-name').value = 'orders'; null")?;
    browser.click("#manifest-save")?;
    wait_for("the manifest", LIMIT, || {
        Ok(browser.evaluate("window.saved")?.as_str().is_some_and(|text| !text.is_empty()))
    })?;
    let saved = browser.evaluate("window.saved")?;
    let file = page.folder.path().join("orders.yaml");
    fs::write(&file, saved.as_str().unwrap_or_default())?;
    let mut plan = Command::new(weir_e2e::programs::weir()?);
    let planned = plan.arg("plan").arg(&file).output()?;
    ensure!(planned.status.success(), "{saved}\n{}", String::from_utf8_lossy(&planned.stderr));

    // Nothing came from elsewhere, and nothing was tried that the page's policy forbids.
    let from = browser.evaluate(
        "[...new Set(performance.getEntriesByType('resource').map((e) => new URL(e.name).origin))]",
    )?;
    ensure!(from == json!([format!("http://{}", page.address)]), "{from}");
    let mut complaints = browser.complaints()?;
    // A browser says so of every answer that refuses: of the name, of the text, and without a token;
    // and of styles in attributes, which the policy keeps from taking effect.
    let known = ["status of 403", "status of 422", "Applying inline style violates"];
    complaints.retain(|it| !known.iter().any(|of| it.contains(of)));
    ensure!(complaints.is_empty(), "{complaints:#?}");

    // A run whose page is closed ends by itself, and Ctrl-C ends what runs.
    browser.click("#run")?;
    wait_for("rows", LIMIT, || Ok(browser.text(".result .state")? == "running"))?;
    page.process.signal(rustix::process::Signal::INT)?;
    page.process.wait(LIMIT)?;
    wait_for("a word of it", LIMIT, || Ok(browser.text("#status")?.contains("no answer")))?;
    Ok(())
}

#[test]
fn who_does_not_hold_the_token_runs_nothing() -> Result<()> {
    let page = Page::start()?;
    let check = json!({"text": "SELECT 1;"});
    let (line, answer) = page.post("check", &page.proper(), &check)?;
    ensure!(line.contains("200") && answer["statements"][0]["kind"] == "query", "{line} {answer}");
    let token = page.token.as_str();
    for (name, headers, expected) in [
        ("no token", page.proper().replace(token, ""), "403"),
        ("another token", page.proper().replace(token, &"0".repeat(token.len())), "403"),
        (
            "another site",
            page.proper().replace(&format!("http://{}", page.address), "https://evil.example"),
            "403",
        ),
        (
            "no origin",
            page.proper().replace(&format!("Origin: http://{}\r\n", page.address), ""),
            "403",
        ),
        (
            "a form",
            page.proper().replace("application/json", "application/x-www-form-urlencoded"),
            "415",
        ),
    ] {
        for what in ["check", "complete", "manifest", "run", "stop"] {
            let body =
                json!({"text": "SELECT 1;", "offset": 0, "name": "a", "parallelism": 1, "run": ""});
            let (line, answer) = page.post(what, &headers, &body)?;
            ensure!(line.contains(expected), "{name}: {what}: {line} {answer}");
        }
    }
    for host in ["evil.example", "10.0.0.1"] {
        for path in ["/sql", "/v1/sql/words"] {
            let (line, _) = get(&page.address, path, &format!("Host: {host}\r\n"))?;
            ensure!(line.contains("403"), "{host}: {line}");
        }
    }
    Ok(())
}
