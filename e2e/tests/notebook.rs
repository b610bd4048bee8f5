//! `%%sql` in a notebook: the example is executed without a browser, by a kernel into which the package
//! was installed from the tree; then what a person does beside running cells, such as interrupting.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use weir_e2e::cache;
use weir_e2e::job::repository;
use weir_e2e::process::{Process, is_alive, wait_for};
use weir_e2e::programs;

/// What executes notebooks. All run on every Python from 3.10 on.
const PACKAGES: [&str; 5] = [
    "nbclient==0.10.2",
    "ipykernel==6.30.1",
    "pandas==2.3.3",
    "matplotlib==3.10.7",
    "flit_core==3.12.0",
];
const LIMIT: Duration = Duration::from_secs(240);

/// A Python into which the package was installed, and which leaves nothing in anybody's home.
struct Python {
    home: PathBuf,
    folder: TempDir,
}

impl Python {
    fn new() -> Result<Self> {
        let home = cache::python("python-notebook-1", &PACKAGES)?;
        let folder = TempDir::new()?;
        // Beside the environment, which other trees share.
        cache::run(
            Command::new(home.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check", "--no-build-isolation"])
                .args(["--no-deps", "--target"])
                .arg(folder.path().join("packages"))
                .arg(package()),
        )?;
        Ok(Self { home, folder })
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(self.home.join("bin/python"));
        command.env("PYTHONPATH", self.folder.path().join("packages"));
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("WEIR_BIN", programs::weir()?);
        for name in ["IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"]
        {
            command.env(name, self.folder.path().join(name));
        }
        // Which fonts there are takes seconds to find out.
        command.env("MPLCONFIGDIR", self.home.join("matplotlib"));
        Ok(command)
    }
}

fn package() -> PathBuf {
    repository().join("worker/python")
}

/// A cell that was executed.
struct Cell<'a>(&'a Value);

impl Cell<'_> {
    fn outputs(&self) -> impl Iterator<Item = &Value> {
        self.0["outputs"].as_array().into_iter().flatten()
    }

    /// What its outputs of one form hold: `text/html`, `image/png`; `stream` is what was printed.
    fn all(&self, form: &str) -> Vec<String> {
        let text = |output: &Value| match form {
            "stream" => output["text"].as_str().map(str::to_owned),
            _ => output["data"][form].as_str().map(str::to_owned),
        };
        self.outputs().filter_map(text).collect()
    }

    /// Everything that it says in words.
    fn said(&self) -> String {
        [self.all("stream"), self.all("text/plain")].concat().join("\n")
    }

    /// The lines of its error, if it failed.
    fn error(&self) -> Option<String> {
        let error = self.outputs().find(|output| output["output_type"] == "error")?;
        let lines = error["traceback"].as_array().into_iter().flatten();
        Some(lines.filter_map(Value::as_str).collect::<Vec<_>>().join("\n"))
    }

    fn seconds(&self) -> f64 {
        self.0["seconds"].as_f64().unwrap_or(f64::NAN)
    }
}

/// The cells of a notebook, after they were executed.
struct Executed(Vec<Value>);

impl Executed {
    fn of(python: &Python, notebook: &Path) -> Result<Self> {
        let out = python.folder.path().join("cells.json");
        let script = repository().join("e2e/tests/notebook/execute.py");
        let mut command = python.command()?;
        command.arg(script).arg(notebook).arg(&out).stdin(Stdio::null());
        let status = Process::start("the notebook", &mut command)?.wait(LIMIT)?;
        ensure!(status.success(), "the notebook ended with {status}");
        Ok(Self(serde_json::from_slice(&std::fs::read(&out)?)?))
    }

    fn cell(&self, part: &str) -> Result<Cell<'_>> {
        let has = |cell: &&Value| cell["source"].as_str().is_some_and(|text| text.contains(part));
        self.0.iter().find(has).map(Cell).with_context(|| format!("no cell with {part}"))
    }

    /// What a cell says that does not fail.
    fn said(&self, part: &str) -> Result<String> {
        let cell = self.cell(part)?;
        ensure!(cell.error().is_none(), "{part} fails: {}", cell.0);
        Ok(cell.said())
    }

    /// How a cell fails: with lines of which none is Python's.
    fn fails(&self, part: &str, words: &[&str]) -> Result<()> {
        let cell = self.cell(part)?;
        let error = cell.error().with_context(|| format!("{part} does not fail: {}", cell.0))?;
        for word in words {
            ensure!(error.contains(word), "{part} does not say {word}:\n{error}");
        }
        for word in ["Traceback", ".py", "SqlError"] {
            ensure!(!error.contains(word), "{part} says {word}:\n{error}");
        }
        Ok(())
    }
}

#[test]
fn the_example_and_what_a_person_does_beside_it() -> Result<()> {
    let python = Python::new()?;
    let example = package().join("examples/flights_and_bids.ipynb");
    let executed = Executed::of(&python, &example)?;
    bounded_queries(&executed)?;
    queries_without_an_end(&executed)?;
    mistakes(&executed)?;
    let pid = executed.said("_session._process.pid")?;
    let pid: u32 = pid.trim().parse().with_context(|| format!("{pid} is no process"))?;
    wait_for("the end of weir", Duration::from_secs(20), || Ok(!is_alive(pid)))
}

fn bounded_queries(executed: &Executed) -> Result<()> {
    let said = executed.said("CREATE TABLE flights")?;
    ensure!(said.contains("table \"flights\" is declared\n"), "{said}");
    let airports = executed.cell("%%sql airports")?;
    let html = airports.all("text/html").join("\n");
    ensure!(html.contains("<td>ATL</td>") && html.matches("<tr").count() == 6, "{html}");
    let charts = airports.all("image/png");
    ensure!(charts.len() == 1 && charts[0].starts_with("iVBOR"), "a chart: {}", airports.0);
    let shares = executed.said("airports[\"share\"]")?;
    ensure!(shares.contains("share"), "the frame goes on in Python: {shares}");
    // Independent of what weir counts.
    let file = repository().join("crds/examples/data/flights-2001-01.parquet");
    let sql = format!(
        "SELECT origin || '|' || COUNT(*) || '|' || COUNT(*) FILTER (WHERE delay > 15) FROM '{}' \
         WHERE origin = 'ATL' GROUP BY origin",
        file.display()
    );
    let rows = format!("{:?}", weir_e2e::oracle::duckdb::query(&sql)?);
    let line = shares.lines().find(|line| line.contains("ATL")).context("no row of ATL")?;
    let values: Vec<&str> = line.split_whitespace().skip(1).take(3).collect();
    ensure!(rows.contains(&values.join("|")), "{line} is not {rows}");

    ensure!(executed.said("CREATE VIEW")?.contains("view \"from_atlanta\" is declared"));
    let hours = executed.cell("--plot hour delay line")?;
    ensure!(hours.all("image/png").len() == 1, "a chart: {}", hours.0);
    let few = executed.said("%sql --limit 3 SELECT * FROM from_atlanta")?;
    ensure!(few.lines().count() == 4, "three rows under their names: {few}");
    ensure!(executed.said("SHOW TABLES")?.contains("from_atlanta"));
    let big = executed.cell("9007199254740993")?;
    ensure!(big.said().contains("9007199254740993"), "not a row's number is another: {}", big.0);
    for part in ["9007199254740993", "%sql --live --limit 900 SELECT '<script>"] {
        let html = executed.cell(part)?.all("text/html").join("\n");
        ensure!(!html.contains("<script>") && !html.contains("<b>"), "HTML from data: {html}");
        ensure!(html.contains("&lt;script&gt;") && html.contains("&lt;b&gt;"), "{html}");
    }
    Ok(())
}

fn queries_without_an_end(executed: &Executed) -> Result<()> {
    let limited = executed.cell("--limit 500")?;
    ensure!(limited.said().contains("500 rows in "), "{}", limited.0);
    ensure!(limited.all("text/html").join("").contains("500 rows × 2 columns"), "{}", limited.0);

    let timed = executed.cell("%%sql highest")?;
    ensure!((3.0..30.0).contains(&timed.seconds()), "it took {} s", timed.seconds());
    ensure!(timed.said().contains("5 rows in "), "{}", timed.0);
    ensure!(timed.all("image/png").len() == 1, "one chart, in its place: {}", timed.0);
    // The live table gave way to the result: five auctions under their names.
    ensure!(timed.all("text/html").join("").matches("<tr").count() == 6, "{}", timed.0);

    for part in ["%%sql endless", "%%sql counted"] {
        let said = executed.said(part)?;
        ensure!(said.contains(" until it was interrupted after "), "{part}: {said}");
    }
    let kept = executed.said("print(len(endless)")?;
    ensure!(kept.trim().ends_with(" ['auction', 'price'] True"), "{kept}");
    ensure!(!kept.starts_with("0 "), "rows came before the interrupt: {kept}");
    let written = executed.said("INSERT INTO kept")?;
    ensure!(written.contains("what was read until then is written"), "{written}");
    ensure!(executed.said("AS has_rows FROM kept")?.contains("True"));
    Ok(())
}

fn mistakes(executed: &Executed) -> Result<()> {
    // Lines count as in the cell.
    let place = "sql:2:17: column \"prise\" not found";
    let mark = "  2 | SELECT auction, prise\n    |                 ^^^^^";
    executed.fails("SELECT auction, prise", &[place, "did you mean \"price\"?", mark])?;
    executed
        .fails("SELECT COUNT(*) AS n FROM many", &["interrupted after ", "run the cell again"])?;
    executed.fails("%sql --limt 3", &["there is no option --limt; did you mean --limit?"])?;
    executed
        .fails("%%sql --plot auction prise", &["no column \"prise\"; did you mean \"price\"?"])?;
    let completed = executed.said("provisionalcompleter")?;
    ensure!(completed.contains("'price'"), "{completed}");
    Ok(())
}

#[test]
fn the_package_keeps_what_its_own_tests_say() -> Result<()> {
    let python = Python::new()?;
    let mut command = python.command()?;
    command.args(["-W", "error::ResourceWarning", "-m", "unittest", "--verbose"]);
    let output = command.current_dir(package()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", cache::tail(&said));
    ensure!(said.contains("\nOK") && !said.contains("skipped"), "{}", cache::tail(&said));
    Ok(())
}
