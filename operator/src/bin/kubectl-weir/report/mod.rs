//! `report`: everything that helps to understand what a job does, in one archive without secrets.

mod redact;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use weir_operator::clock::Clock;
use weir_operator::names;
use weir_page::words::bytes;

use crate::JobName;
use crate::ask::{Cluster, Forwarded, is_not_found, name_of, named};
use crate::events;
use crate::out::{first_line, print, tell};
use redact::Redactor;

/// Lines of each pod's log.
const LINES: &str = "--tail=5000";
/// What happened to a job, which outlives it for an hour.
const EVENTS: &str = "events.json";
/// What a job's page is asked for, and the file that holds the answer.
const ANSWERS: [(&str, &str); 5] = [
    ("/v1/snapshot", "snapshot.json"),
    ("/v1/operations", "operations.json"),
    ("/v1/failures", "failures.json"),
    ("/v1/checkpoints", "checkpoints.json"),
    ("/v1/history", "history.json"),
];

/// `report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    job: JobName,
    /// The archive (.tar.gz); named after the job and the time otherwise.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What was read, and what was not.
#[derive(Debug, Default)]
struct Found {
    objects: Vec<(String, Value)>,
    texts: Vec<(String, String)>,
    missing: Vec<String>,
    /// The cluster knows no such job.
    is_no_job: bool,
}

impl Found {
    /// Whether there is anything to be told of: the job, or what it left.
    fn has_something(&self) -> bool {
        let is_there = |object: &Value| object.as_array().is_none_or(|items| !items.is_empty());
        self.objects.iter().any(|(name, object)| name != EVENTS && is_there(object))
    }

    fn object(&mut self, name: &str, read: anyhow::Result<Value>) {
        match read {
            Ok(object) => self.objects.push((name.to_owned(), object)),
            Err(error) => self.miss(name, &error),
        }
    }

    fn miss(&mut self, name: &str, error: &anyhow::Error) {
        self.missing.push(format!("{name}: {}", first_line(&format!("{error:#}"), 300)));
    }
}

pub(crate) fn run(cluster: &Cluster, args: &ReportArgs) -> anyhow::Result<u8> {
    let job = &args.job.job;
    let found = collect(cluster, job);
    if !found.has_something() {
        let place = cluster.place();
        anyhow::ensure!(
            !found.is_no_job,
            "{job}: no such job is in {place}, and nothing of one; `kubectl weir list -A` lists the jobs of \
             all namespaces, --namespace chooses one"
        );
        let missing = found.missing.join("\n  ");
        anyhow::bail!("{job}: nothing of it could be read in {place}\n  {missing}");
    }
    let now = Clock::system().now();
    let file = args.output.clone().unwrap_or_else(|| {
        PathBuf::from(format!("weir-report-{job}-{}.tar.gz", now.strftime("%Y%m%d-%H%M%S")))
    });
    let files =
        redacted(&found, &format!("{job}, {now}, kubectl-weir {}", env!("CARGO_PKG_VERSION")));
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let folder = format!("weir-report-{job}");
    let archive = pack(&files, &folder, seconds).context("packing the report")?;
    let place = file.display();
    File::create(&file)
        .and_then(|mut to| to.write_all(&archive))
        .with_context(|| format!("{place} cannot be written"))?;
    for missing in &found.missing {
        tell(&format!("not read: {missing}"));
    }
    let size = bytes(archive.len() as u64);
    print(&format!(
        "{place}  {} files, {size}; secrets are taken out as far as they can be told: look before you \
         send it on\n",
        files.len()
    ))?;
    Ok(0)
}

fn collect(cluster: &Cluster, job: &str) -> Found {
    let mut found = Found::default();
    let label = format!("--selector={}={job}", names::JOB);
    let read = cluster.job(job);
    found.is_no_job = read.as_ref().is_err_and(is_not_found);
    found.object("job.json", read);
    let list = |what: &str| cluster.list(&["get", what, &label]).map(Value::from);
    found.object("pods.json", list("pods"));
    found.object("statefulsets.json", list("statefulsets.apps"));
    found.object(EVENTS, events::of_job(cluster, job).map(Value::from));
    match cluster.page_of(job, None) {
        Ok(way) => answers(&way, &mut found),
        Err(error) => found.miss("what the job says itself", &error),
    }
    let pods = found.objects.iter().find(|(name, _)| name == "pods.json");
    let pods = pods.and_then(|(_, pods)| pods.as_array().cloned()).unwrap_or_default();
    for pod in &pods {
        let name = name_of(pod).to_owned();
        let target = match named("pod", &name) {
            Ok(target) => target,
            Err(error) => {
                found.miss("a pod's log", &error);
                continue;
            }
        };
        let call = ["logs", &target, "--container=worker", "--timestamps", LINES];
        let file = format!("logs/{name}.log");
        match cluster.read(&call) {
            Ok(lines) => found.texts.push((file, String::from_utf8_lossy(&lines).into_owned())),
            Err(error) => found.miss(&file, &error),
        }
        let counts = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
        if counts.filter_map(|it| it["restartCount"].as_u64()).sum::<u64>() == 0 {
            continue;
        }
        let file = format!("logs/{name}.previous.log");
        let before = [&call[..], &["--previous"]].concat();
        match cluster.read(&before) {
            Ok(lines) => found.texts.push((file, String::from_utf8_lossy(&lines).into_owned())),
            Err(error) => found.miss(&file, &error),
        }
    }
    found
}

fn answers(way: &Forwarded, found: &mut Found) {
    for (path, file) in ANSWERS {
        found.object(file, way.read(path));
    }
}

/// Files by name, without what is secret.
fn redacted(found: &Found, about: &str) -> Vec<(String, String)> {
    let mut redactor = Redactor::default();
    found.objects.iter().for_each(|(_, object)| redactor.learn(object));
    let objects = found.objects.iter().map(|(name, object)| {
        let object = redactor.object(object);
        (name.clone(), serde_json::to_string_pretty(&object).unwrap_or_default())
    });
    let texts = found.texts.iter().map(|(name, text)| (name.clone(), redactor.log(text)));
    let index = json!({
        "apiVersion": "cli.weir.dev/v1", "kind": "Report", "about": about,
        "missing": found.missing.iter().map(|it| redactor.text(it)).collect::<Vec<_>>(),
    });
    let index = serde_json::to_string_pretty(&index).unwrap_or_default();
    objects.chain(texts).chain([("report.json".to_owned(), index)]).collect()
}

fn pack(files: &[(String, String)], folder: &str, seconds: u64) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(seconds);
        archive.append_data(&mut header, format!("{folder}/{name}"), text.as_bytes())?;
    }
    archive.into_inner()?.finish()
}
