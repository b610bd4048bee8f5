//! Prometheus itself: its linter, and a server that scrapes what a test runs on loopback.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cache;
use crate::job::repository;
use crate::process::{Process, free_port, wait_for};

/// An answer takes no longer.
const LIMIT: Duration = Duration::from_secs(30);

/// Prometheus' linter.
///
/// # Errors
/// When its package cannot be fetched.
pub fn promtool() -> Result<PathBuf> {
    Ok(ensure_installed()?.join("promtool"))
}

/// Out of its package, which is not installed: that would start a server.
fn ensure_installed() -> Result<PathBuf> {
    cache::folder("prometheus", |folder| {
        cache::run(Command::new("apt-get").args(["update", "-qq"]))?;
        let mut download = Command::new("apt-get");
        cache::run(download.args(["download", "-qq", "prometheus"]).current_dir(folder))?;
        let package = std::fs::read_dir(folder)?.next().context("apt-get downloaded nothing")??;
        cache::run(Command::new("dpkg").arg("-x").arg(package.path()).arg(folder.join("all")))?;
        for program in ["prometheus", "promtool"] {
            let unpacked = folder.join("all/usr/bin").join(program);
            std::fs::rename(unpacked, folder.join(program))?;
        }
        std::fs::remove_dir_all(folder.join("all"))?;
        std::fs::remove_file(package.path())?;
        Ok(())
    })
}

/// Something to scrape, as prometheus-operator finds it.
#[derive(Clone, Debug)]
pub struct Target {
    /// `127.0.0.1:7103`.
    pub address: String,
    /// The pod that it is to be taken for.
    pub pod: String,
    /// Its own `namespace` counts: the chart's `honorLabels`.
    pub honors_labels: bool,
}

/// A running server, with the chart's alerts.
#[derive(Debug)]
pub struct Prometheus {
    server: Process,
    folder: TempDir,
    port: u16,
}

impl Prometheus {
    /// Starts a server that scrapes every second.
    ///
    /// # Errors
    /// When it cannot be fetched, or does not answer.
    pub fn start(targets: &[Target]) -> Result<Self> {
        let program = ensure_installed()?.join("prometheus");
        let folder = TempDir::with_prefix("weir-prometheus-")?;
        let jobs = targets.iter().enumerate().map(|(number, target)| {
            json!({
                "job_name": format!("target-{number}"),
                "honor_labels": target.honors_labels,
                "static_configs": [{
                    "targets": [target.address],
                    "labels": {"pod": target.pod, "namespace": "of-the-pod"},
                }],
            })
        });
        // JSON is YAML.
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [repository().join("charts/weir/files/alerts.yaml")],
            "scrape_configs": jobs.collect::<Vec<_>>(),
        });
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config.to_string())?;
        let port = free_port()?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let server = Process::start("prometheus", &mut command)?;
        let mut started = Self { server, folder, port };
        wait_for("Prometheus", LIMIT, || {
            if let Some(status) = started.server.poll()? {
                bail!("it ended with {status}");
            }
            Ok(started.get("/-/ready").is_ok())
        })
        .with_context(|| started.log())?;
        Ok(started)
    }

    /// What it has written of itself.
    #[must_use]
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        cache::tail(&text)
    }

    /// The series that answer a query now.
    ///
    /// # Errors
    /// When it cannot be parsed or evaluated.
    pub fn query(&self, expr: &str) -> Result<Vec<Value>> {
        let answer = self.get(&format!("/api/v1/query?query={}", encoded(expr)))?;
        let answer: Value = serde_json::from_str(&answer).context(answer)?;
        ensure!(answer["status"] == "success", "{expr}\n{}", answer["error"]);
        let result = &answer["data"]["result"];
        Ok(result.as_array().with_context(|| format!("{expr}: no series but {result}"))?.clone())
    }

    /// The body of an answer.
    fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(LIMIT))?;
        // The version before chunks and kept connections.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").context("an answer of HTTP")?;
        let first = head.lines().next().unwrap_or_default();
        // What is wrong with a query stands in the body.
        ensure!(first.contains(" 200 ") || body.starts_with('{'), "{path}: {first}\n{body}");
        Ok(body.to_owned())
    }
}

/// A text as part of an address.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
