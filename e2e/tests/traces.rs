//! Traces of a running job reach whoever stands at the address that the environment names.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_e2e::cache::tail;
use weir_e2e::job::{Job, Manifest};
use weir_e2e::process::wait_for;

const NUMBERS: &str = "CREATE TABLE numbers (n BIGINT) WITH (
  'connector' = 'datagen', 'rows-per-second' = '200', 'fields.n.min' = '1', 'fields.n.max' = '9');
CREATE TABLE counts (n BIGINT, times BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO counts SELECT n, COUNT(*) FROM numbers GROUP BY n;
";

/// One request of an exporter, answered as a collector does.
fn take(stream: TcpStream) -> Result<Value> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(said) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = said.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    reader.into_inner().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")?;
    serde_json::from_slice(&body).context("a request in JSON")
}

fn attribute<'a>(span: &'a Value, name: &str) -> Option<&'a str> {
    let all = span["attributes"].as_array()?;
    all.iter().find(|one| one["key"] == name)?["value"]["stringValue"].as_str()
}

#[test]
fn checkpoints_and_operations_of_a_job_are_traced() -> Result<()> {
    let collector = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", collector.local_addr()?);
    let (sender, taken) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in collector.incoming() {
            // The test is over when nobody listens.
            if stream.is_err() || sender.send(stream.map(take)).is_err() {
                return;
            }
        }
    });
    let mut job = Job::new(Manifest::new("numbers", NUMBERS))?
        .with_environment(vec![("OTEL_EXPORTER_OTLP_ENDPOINT", url)]);
    let run = job.start(0)?;
    let mut spans: Vec<Value> = Vec::new();
    let mut is_asked = false;
    let limit = Duration::from_secs(60);
    let waited = wait_for("the trace of a rescale", limit, || {
        for request in taken.try_iter() {
            let request = request??;
            let of_weir = &request["resourceSpans"][0];
            ensure!(of_weir["resource"]["attributes"][0]["value"]["stringValue"] == "weir");
            let more = of_weir["scopeSpans"][0]["spans"].as_array().context("spans")?;
            spans.extend(more.iter().cloned());
        }
        let is_published = |span: &Value| attribute(span, "weir.epoch").is_some();
        if !is_asked && spans.iter().any(is_published) {
            job.set_parallelism(2)?;
            is_asked = true;
        }
        Ok(spans.iter().any(|span| attribute(span, "weir.type") == Some("Rescale")))
    });
    waited.with_context(|| format!("{spans:#?}\n{}", tail(&run.log())))?;

    let checkpoint = spans.iter().find(|span| attribute(span, "weir.epoch").is_some());
    let checkpoint = checkpoint.context("a checkpoint that was published")?;
    ensure!(attribute(checkpoint, "weir.job") == Some("default/numbers"), "{checkpoint:#}");
    let parts = |of: &Value| {
        let id = of["spanId"].clone();
        spans.iter().filter(move |span| span["parentSpanId"] == id).collect::<Vec<_>>()
    };
    let below = parts(checkpoint);
    let task = below.iter().find(|span| span["name"] == "task").context("a task")?;
    ensure!(below.iter().any(|span| span["name"] == "publish"), "{below:#?}");
    let names: Vec<_> = parts(task).iter().map(|span| span["name"].clone()).collect();
    ensure!(names == ["trigger", "align", "freeze", "upload"], "{names:?}");
    let rescale = spans.iter().find(|span| attribute(span, "weir.type") == Some("Rescale"));
    let rescale = rescale.context("a rescale")?;
    ensure!(!parts(rescale).is_empty(), "its steps are missing: {rescale:#}");
    let time = |name: &str| rescale[name].as_str().and_then(|text| text.parse::<u64>().ok());
    ensure!(time("startTimeUnixNano") < time("endTimeUnixNano"), "{rescale:#}");
    Ok(())
}
