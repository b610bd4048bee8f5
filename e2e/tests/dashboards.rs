//! The chart's dashboards and alerts: they ask for what jobs and the operator really expose, in
//! Prometheus' language, and a real Prometheus beside a real job has an answer to every query.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use expect_test::expect_file;
use serde_json::{Value, json};
use weir_e2e::cache;
use weir_e2e::dashboards::{self, Query};
use weir_e2e::job::{Manifest, repository};
use weir_e2e::process::wait_looking;
use weir_e2e::promql;
use weir_e2e::testbed::prometheus::{Prometheus, Target, promtool};
use weir_e2e::workers::Workers;

/// `UPDATE_EXPECT=1` writes them.
#[test]
fn the_chart_has_the_dashboards_that_are_written_down() -> Result<()> {
    let all = dashboards::all()?;
    for dashboard in &all {
        expect_file![dashboard.file()].assert_eq(&dashboard.render());
    }
    let kept = fs::read_dir(repository().join("charts/weir/files/dashboards"))?.count();
    ensure!(kept == all.len(), "{kept} dashboards in the chart, {} written down", all.len());
    Ok(())
}

#[test]
fn prometheus_can_parse_every_query() -> Result<()> {
    let mut rules = Vec::new();
    for query in queries()? {
        let expr = query.of_job("default", "clicks", "1m");
        rules.push(
            json!({"record": "a:query", "expr": expr, "labels": {"n": rules.len().to_string()}}),
        );
    }
    ensure!(rules.len() > 60, "only {} queries", rules.len());
    let file = tempfile::NamedTempFile::with_suffix(".yaml")?;
    fs::write(file.path(), json!({"groups": [{"name": "all", "rules": rules}]}).to_string())?;
    cache::run(Command::new(promtool()?).args(["check", "rules"]).arg(file.path())).map(drop)
}

#[test]
fn queries_and_alerts_name_only_metrics_and_labels_that_exist() -> Result<()> {
    let known = exposed()?;
    ensure!(known.len() > 35, "only {known:?}");
    for query in queries()? {
        let grouped = check(&query.expr, &known).with_context(|| query.place.clone())?;
        for label in braced(&query.legend) {
            ensure!(grouped.contains(&label), "{}: {label} is not kept", query.place);
        }
    }
    let alerts = fs::read_to_string(repository().join("charts/weir/files/alerts.yaml"))?;
    let alerts: Value = serde_yaml_ng::from_str(&alerts)?;
    let rules = alerts["groups"].as_array().context("groups")?.iter();
    for rule in rules.flat_map(|group| group["rules"].as_array().into_iter().flatten()) {
        let expr = rule["expr"].as_str().context("an expression")?;
        check(expr, &known).with_context(|| rule["alert"].to_string())?;
    }
    for wrong in ["weir_nothing", "sum by (word) (weir_job_info)", "weir_job_info{task=\"a\"}"] {
        ensure!(check(wrong, &known).is_err(), "{wrong} passes");
    }
    Ok(())
}

/// Every query of every dashboard.
fn queries() -> Result<Vec<Query>> {
    Ok(dashboards::all()?.iter().flat_map(dashboards::Dashboard::queries).collect())
}

/// The labels that texts such as `{{task}}` name.
fn braced(text: &str) -> Vec<String> {
    let parts = text.split("{{").skip(1).filter_map(|part| part.split_once("}}"));
    parts.map(|(label, _)| label.trim().to_owned()).collect()
}

/// What is exposed, by name with its labels: the tables for people, which tests of the worker and of
/// the operator hold to what these do.
fn exposed() -> Result<BTreeMap<String, BTreeSet<String>>> {
    // Of Prometheus: from the pod that it asks, and what it says itself.
    let mut known = BTreeMap::from([(
        "ALERTS".to_owned(),
        set("alertname,alertstate,severity,streamjob,namespace"),
    )]);
    for (table, of_all) in [("worker", "namespace,streamjob,pod"), ("operator", "pod")] {
        let text = fs::read_to_string(repository().join(table).join("METRICS.md"))?;
        for line in text.lines().filter_map(|line| line.strip_prefix("| `")) {
            let (series, _) = line.split_once('`').context("a series")?;
            let (name, listed) = series.split_once('{').unwrap_or((series, ""));
            let mut labels = set(of_all);
            labels.extend(set(listed.trim_end_matches('}')));
            if table == "operator" && name.ends_with("_seconds") {
                labels.insert("le".to_owned());
                known.insert(format!("{name}_bucket"), labels.clone());
                known.insert(format!("{name}_count"), labels.clone());
            }
            known.insert(name.to_owned(), labels);
        }
    }
    Ok(known)
}

fn set(labels: &str) -> BTreeSet<String> {
    labels.split(',').filter(|label| !label.is_empty()).map(str::to_owned).collect()
}

/// The labels that a query groups by, all of which exist.
fn check(expr: &str, known: &BTreeMap<String, BTreeSet<String>>) -> Result<Vec<String>> {
    let names = promql::names(expr);
    ensure!(!names.selected.is_empty(), "it reads nothing: {expr}");
    let mut all = BTreeSet::new();
    for selected in &names.selected {
        let labels = known
            .get(&selected.metric)
            .with_context(|| format!("nothing exposes {}", selected.metric))?;
        for label in &selected.labels {
            ensure!(labels.contains(label), "{} has no label {label}", selected.metric);
        }
        all.extend(labels);
    }
    for label in &names.grouped {
        ensure!(all.contains(label), "nothing in it has the label {label}: {expr}");
    }
    Ok(names.grouped)
}

/// Clicks on pages without an end, nearly all on one, so that a finding names what is wrong.
const CLICKS: &str = "CREATE TABLE clicks (
  page BIGINT, visitor BIGINT, at TIMESTAMP(3), WATERMARK FOR at AS at - INTERVAL '1' SECOND
) WITH (
  'connector' = 'datagen', 'rows-per-second' = '1000',
  'fields.page.min' = '1', 'fields.page.max' = '1',
  'fields.visitor.min' = '1', 'fields.visitor.max' = '5000'
);
CREATE TABLE newest (page BIGINT, visitors BIGINT) WITH ('connector' = 'blackhole');
CREATE TABLE per_second (opened TIMESTAMP(3), clicks BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO newest SELECT page, COUNT(DISTINCT visitor) FROM clicks GROUP BY page;
INSERT INTO per_second
  SELECT window_start, COUNT(*)
  FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '1' SECOND))
  GROUP BY window_start, window_end, page;
";

/// Everything that is waited for comes within.
const LIMIT: Duration = Duration::from_secs(90);
/// Between two looks at everything.
const PAUSE: Duration = Duration::from_millis(500);

#[test]
fn prometheus_answers_every_query_beside_a_running_job() -> Result<()> {
    let mut manifest = Manifest::new("clicks", CLICKS);
    manifest.parallelism = 2;
    let mut workers = Workers::start(manifest)?;
    let mut targets: Vec<Target> = (0..workers.count())
        .map(|pod| Target {
            address: workers.http(pod),
            pod: workers.pod(pod),
            honors_labels: true,
        })
        .collect();
    targets.push(Target {
        address: serve_operator()?,
        pod: "weir-0".to_owned(),
        honors_labels: false,
    });
    let prometheus = Prometheus::start(&targets)?;

    let mut open = queries()?;
    let unanswered = |open: &mut Vec<Query>| -> Result<()> {
        let mut left = Vec::new();
        for query in open.drain(..) {
            // Short, since the test is.
            let series = prometheus.query(&query.of_job("default", "clicks", "6s"))?;
            let is_known = series.iter().any(|one| one["value"][1] != "NaN");
            if !is_known && query.quiet.is_none() {
                left.push(query);
            }
        }
        *open = left;
        Ok(())
    };
    let said = |open: &[Query], workers: &Workers| {
        let left: Vec<_> = open.iter().map(|q| format!("{}: {}", q.place, q.expr)).collect();
        format!("no answer to\n{}\n{}", left.join("\n"), workers.logs())
    };
    // What is known of operations comes with the first.
    let is_of_operations = |query: &Query| query.expr.contains("weir_operation_");
    let calm = wait_looking("answers", LIMIT, PAUSE, || {
        unanswered(&mut open)?;
        Ok(open.iter().all(is_of_operations))
    });
    calm.with_context(|| said(&open, &workers))?;
    ensure!(!open.is_empty(), "operations are known before there was one");

    workers.kill(1);
    wait_looking("the loss to be seen", LIMIT, PAUSE, || {
        Ok(!prometheus.query("up == 0")?.is_empty())
    })?;
    workers.restart(1)?;
    let after = wait_looking("answers about the recovery", LIMIT, PAUSE, || {
        unanswered(&mut open)?;
        Ok(open.is_empty())
    });
    after.with_context(|| said(&open, &workers))
}

/// Serves what an operator exposes, whose counters go on with every scrape. Returns where.
fn serve_operator() -> Result<String> {
    let text = fs::read_to_string(repository().join("e2e/prometheus/operator.txt"))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for (scrapes, stream) in listener.incoming().enumerate() {
            let body = text.lines().map(|line| grown(line, scrapes)).collect::<String>();
            // Prometheus says what it has not got.
            let _ = stream.and_then(|mut stream| {
                let _request = stream.read(&mut [0; 4096])?;
                write!(
                    stream,
                    "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n{body}"
                )
            });
        }
    });
    Ok(address)
}

/// A line of an exposition, so many times what it counts.
fn grown(line: &str, times: usize) -> String {
    let name = line.split(['{', ' ']).next().unwrap_or_default();
    let counts = ["_total", "_bucket", "_sum", "_count"].iter().any(|end| name.ends_with(end));
    match line.rsplit_once(' ').and_then(|(of, n)| Some((of, n.parse::<f64>().ok()?))) {
        Some((of, n)) if counts => format!("{of} {}\n", n * times as f64),
        _ => format!("{line}\n"),
    }
}
