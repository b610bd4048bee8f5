//! What every scenario stands on: a cluster with an S3 server, a Kafka broker when one is asked
//! for, the chart installed, and a namespace of its own for each scenario.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Cluster, Kubectl, OPERATOR_IMAGE, WORKER_IMAGE, Wanted, images, is_true};
use crate::cache;
use crate::data::Format;
use crate::job::{read_output, repository, visible_files};
use crate::process::wait_for;
use crate::programs;
use crate::rows::Rows;
use crate::testbed::kafka::Kafka;
use crate::testbed::s3::S3;

/// The namespace of the operator, and its release.
pub const RELEASE: &str = "weir";
/// How long a job may take to become ready, images present. The goal is 6 s; the limit leaves
/// room for a loaded machine.
pub const READY: Duration = Duration::from_secs(90);

/// A cluster with all that scenarios need.
#[derive(Debug)]
pub struct Stage {
    kafka: OnceLock<Kafka>,
    /// The store, reachable from pods.
    pub s3: S3,
    /// The cluster; dropped last, since servers may stand in its nodes.
    pub cluster: Cluster,
}

impl Stage {
    /// Brings all up; `None` when no cluster is wanted.
    ///
    /// # Errors
    /// When a part cannot be started.
    pub fn start() -> Result<Option<Self>> {
        if Wanted::from_environment() != Wanted::Nothing {
            // Built before a cluster takes the machine's time.
            programs::weir()?;
            programs::operator()?;
        }
        let Some(cluster) = Cluster::start()? else { return Ok(None) };
        let s3 = S3::start_at(cluster.server_place()?)?;
        cluster.load_images()?;
        Ok(Some(Self { kafka: OnceLock::new(), s3, cluster }))
    }

    /// Puts the image of `weir` on every node under another name, which it returns.
    ///
    /// # Errors
    /// When it cannot be packed or imported.
    pub fn load_worker_image_as<'a>(&self, name: &'a str) -> Result<&'a str> {
        let archive = tempfile::NamedTempFile::new()?;
        images::pack(name, archive.path(), &programs::weir()?, "weir")?;
        self.cluster.load_image(archive.path())?;
        Ok(name)
    }

    /// The broker, reachable from pods; started at the first call.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn kafka(&self) -> Result<&Kafka> {
        if let Some(kafka) = self.kafka.get() {
            return Ok(kafka);
        }
        let kafka = Kafka::start_at(self.cluster.server_place()?)?;
        Ok(self.kafka.get_or_init(|| kafka))
    }

    /// The arguments of `helm install`, as README gives them, and the test's images.
    #[must_use]
    pub fn chart_values(&self) -> Vec<String> {
        let image = |at: &str, image: &str| {
            let (repository, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
            format!("{at}.repository={repository},{at}.tag={tag},{at}.pullPolicy=Never")
        };
        let values = [
            format!("state.root=s3://{}/weir", S3::BUCKET),
            format!("state.endpoint={}", self.s3.endpoint()),
            "state.region=us-east-1".to_owned(),
            image("worker.image", WORKER_IMAGE),
            image("image", OPERATOR_IMAGE),
        ];
        values.into_iter().flat_map(|value| ["--set".to_owned(), value]).collect()
    }

    /// Installs the chart, or upgrades it, and waits until the operator is there.
    ///
    /// # Errors
    /// What Helm says, and the operator's own words.
    pub fn install_chart(&self) -> Result<()> {
        let chart = repository().join("charts/weir").display().to_string();
        let mut arguments =
            vec!["upgrade", "--install", RELEASE, &chart, "-n", RELEASE, "--create-namespace"];
        let values = self.chart_values();
        arguments.extend(values.iter().map(String::as_str));
        arguments.extend(["--wait", "--timeout", "90s"]);
        let installed = self.cluster.helm(&arguments);
        installed.map(|_| ()).map_err(|error| error.context(self.describe(RELEASE)))
    }

    /// A namespace with the store's credentials, where the `restricted` standard is enforced.
    ///
    /// # Errors
    /// When it exists already.
    pub fn namespace(&self, name: &str) -> Result<Namespace<'_>> {
        let kubectl = self.cluster.kubectl();
        let data: serde_json::Map<_, _> = S3::credentials()
            .map(|(key, value)| (key.to_owned(), json!(value)))
            .into_iter()
            .collect();
        kubectl.apply(&format!(
            "{}\n---\n{}\n",
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels":
                {"pod-security.kubernetes.io/enforce": "restricted"}}}),
            json!({"apiVersion": "v1", "kind": "Secret", "stringData": data,
                "metadata": {"name": "weir-s3", "namespace": name}}),
        ))?;
        Ok(Namespace { stage: self, name: name.to_owned(), kubectl: kubectl.in_namespace(name) })
    }

    /// All that helps to understand a failure in a namespace: jobs, pods, events, logs.
    #[must_use]
    pub fn describe(&self, namespace: &str) -> String {
        let kubectl = self.cluster.kubectl().in_namespace(namespace);
        let mut text = String::new();
        let mut add = |title: &str, arguments: &[&str]| {
            let said = kubectl.run(arguments).unwrap_or_else(|error| format!("{error:#}"));
            if !said.trim().is_empty() {
                text.push_str(&format!("--- {namespace}: {title}\n{said}\n"));
            }
        };
        add("jobs", &["get", "streamjobs", "-o", "yaml"]);
        add("children", &["get", "sts,pods,svc,cm,pdb,netpol", "-o", "wide"]);
        add("events", &["get", "events", "--sort-by=.lastTimestamp"]);
        let pods = kubectl.run(&["get", "pods", "-o", "name"]).unwrap_or_default();
        for pod in pods.lines() {
            add(pod, &["get", pod, "-o", "jsonpath={.status}"]);
            for previous in ["--previous=true", "--previous=false"] {
                add(
                    &format!("log of {pod} {previous}"),
                    &["logs", pod, "--all-containers", "--tail=40", previous],
                );
            }
        }
        text
    }

    /// Deletes what a failed scenario left in its namespace, and the namespace.
    ///
    /// # Errors
    /// When something holds it.
    pub fn clear(&self, namespace: &str) -> Result<()> {
        let kubectl = self.cluster.kubectl();
        kubectl.run(&["delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s"])?;
        Ok(())
    }

    /// The files of a job's state: its chain and what that refers to.
    #[must_use]
    pub fn chain(&self, namespace: &str) -> String {
        let folder = self.s3.bucket_folder().join("weir").join(namespace);
        let mut names: Vec<String> = Vec::new();
        let mut open = vec![folder];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    open.push(entry.path());
                } else {
                    names.push(entry.path().display().to_string());
                }
            }
        }
        names.sort();
        names.join("\n")
    }
}

/// A scenario's namespace.
#[derive(Debug)]
pub struct Namespace<'a> {
    stage: &'a Stage,
    name: String,
    /// `kubectl` in it.
    pub kubectl: Kubectl,
}

impl Namespace<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where a sink of this namespace writes: an S3 path, for SQL.
    #[must_use]
    pub fn sink(&self, table: &str) -> String {
        format!("s3://{}/out/{}/{table}", S3::BUCKET, self.name)
    }

    fn sink_folder(&self, table: &str) -> PathBuf {
        self.stage.s3.bucket_folder().join("out").join(&self.name).join(table)
    }

    /// The committed rows of a sink, in JSON.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn rows(&self, table: &str, columns: &[&str]) -> Result<Rows> {
        read_output(&self.sink_folder(table), Format::Json, columns)
    }

    /// How many files of a sink are committed.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn committed_files(&self, table: &str) -> Result<usize> {
        Ok(visible_files(&self.sink_folder(table))?.len())
    }

    /// The newest term that a sink's committed files were written in; 0 without a file.
    ///
    /// # Errors
    /// When a file's name holds no term.
    pub fn newest_term(&self, table: &str) -> Result<u64> {
        let files = visible_files(&self.sink_folder(table))?;
        files.iter().try_fold(0, |newest, file| Ok(newest.max(term_of(file)?)))
    }

    /// Waits for output of a term after this one: not of what had been computed before a fault.
    ///
    /// # Errors
    /// When none comes within `limit`.
    pub fn wait_for_output_after(&self, table: &str, term: u64, limit: Duration) -> Result<()> {
        let wish = format!("output of a term after {term}");
        wait_for(&wish, limit, || Ok(self.newest_term(table)? > term))
    }

    /// When each of a sink's committed files came to be, oldest first.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn commit_times(&self, table: &str) -> Result<Vec<SystemTime>> {
        let files = visible_files(&self.sink_folder(table))?;
        let mut times = Vec::with_capacity(files.len());
        for file in files {
            times.push(std::fs::metadata(file)?.modified()?);
        }
        times.sort_unstable();
        Ok(times)
    }

    /// Waits for output that is not there now.
    ///
    /// # Errors
    /// When none comes within `limit`.
    pub fn wait_for_new_output(&self, table: &str, limit: Duration) -> Result<()> {
        let before = self.committed_files(table)?;
        wait_for("new output", limit, || Ok(self.committed_files(table)? > before))
    }

    /// Waits until exactly these rows are committed: too few are waited for, a row too many
    /// fails at once.
    ///
    /// # Errors
    /// The difference.
    pub fn wait_for_rows(
        &self,
        table: &str,
        columns: &[&str],
        expected: &Rows,
        limit: Duration,
    ) -> Result<()> {
        let mut seen = 0;
        let waited = wait_for("all rows", limit, || {
            let files = self.committed_files(table)?;
            if files == seen {
                return Ok(false);
            }
            seen = files;
            let found = self.rows(table, columns)?;
            Ok(found == *expected || !found.within(expected))
        });
        expected.check(table, &self.rows(table, columns)?)?;
        waited
    }

    /// Applies a job; `spec` is merged over a checkpoint interval of a second.
    ///
    /// # Errors
    /// What the API server refuses.
    pub fn apply_job(&self, name: &str, sql: &str, spec: &Value) -> Result<()> {
        let mut whole = json!({"sql": sql, "state": {"checkpoint": {"interval": "1s"}},
            "restart": {"backoff": {"initial": "100ms", "max": "1s"}}});
        merge(&mut whole, spec);
        self.kubectl.apply(
            &json!({"apiVersion": "weir.dev/v1alpha1", "kind": "StreamJob",
                "metadata": {"name": name}, "spec": whole})
            .to_string(),
        )?;
        Ok(())
    }

    /// Changes fields of a job's spec.
    ///
    /// # Errors
    /// What the API server refuses.
    pub fn patch_job(&self, name: &str, spec: &Value) -> Result<()> {
        let patch = json!({ "spec": spec }).to_string();
        self.kubectl.run(&["patch", "sj", name, "--type=merge", "-p", &patch])?;
        Ok(())
    }

    /// Waits until a condition of a job is true for its newest spec.
    ///
    /// # Errors
    /// When it is not within `limit`.
    pub fn wait_for_condition(
        &self,
        name: &str,
        condition: &str,
        limit: Duration,
    ) -> Result<Value> {
        self.kubectl.wait_until("sj", name, condition, limit, |job| {
            is_current(job) && is_true(job, condition)
        })
    }

    /// Waits until a job's state is that word, for its newest spec.
    ///
    /// # Errors
    /// When it is not within `limit`.
    pub fn wait_for_state(&self, name: &str, state: &str, limit: Duration) -> Result<Value> {
        self.kubectl.wait_until("sj", name, state, limit, |job| {
            is_current(job) && job["status"]["state"] == state
        })
    }

    /// Waits until a job has that many pods and all are ready.
    ///
    /// # Errors
    /// When it has not within `limit`.
    pub fn wait_for_ready_pods(&self, job: &str, count: usize, limit: Duration) -> Result<()> {
        let selector = format!("weir.dev/job={job},weir.dev/revision");
        wait_for(&format!("{count} ready pods of {job}"), limit, || {
            let list = self.kubectl.get(&["pods", "-l", &selector])?;
            let pods = list["items"].as_array().context("a list")?;
            Ok(pods.len() == count && pods.iter().all(|pod| is_true(pod, "Ready")))
        })
    }

    /// Names of a job's pods, lowest ordinal first.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub fn pods(&self, job: &str) -> Result<Vec<String>> {
        Ok(self.pods_by_restarts(job)?.into_iter().map(|(name, _)| name).collect())
    }

    /// Names of a job's pods, in order, and how often the container of each was restarted.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub fn pods_by_restarts(&self, job: &str) -> Result<Vec<(String, u64)>> {
        let selector = format!("weir.dev/job={job},weir.dev/revision");
        let list = self.kubectl.get(&["pods", "-l", &selector])?;
        let items = list["items"].as_array().context("a list")?;
        let pod = |pod: &Value| {
            let restarts = pod["status"]["containerStatuses"][0]["restartCount"].as_u64();
            Some((pod["metadata"]["name"].as_str()?.to_owned(), restarts.unwrap_or(0)))
        };
        let mut pods: Vec<_> = items.iter().filter_map(pod).collect();
        pods.sort();
        Ok(pods)
    }

    /// The pod that coordinates a job, as the head of its chain in the store says.
    ///
    /// # Errors
    /// When there is no chain to read.
    pub fn coordinator(&self, job: &str) -> Result<String> {
        let place = self.stage.s3.bucket_folder().join("weir").join(&self.name).join(job);
        let mut show = Command::new(programs::weir()?);
        let shown = cache::run(show.args(["state", "show", "-o", "json"]).arg(place))?;
        let head: Value = serde_json::from_str(&shown)?;
        let revision = head["revision"].as_str().context("no revision in the head")?;
        let ordinal =
            head["coordinator"]["worker"].as_u64().context("no coordinator in the head")?;
        Ok(format!("{job}-{revision}-{ordinal}"))
    }

    /// Deletes the namespace with all that is in it and waits for its end.
    ///
    /// # Errors
    /// When something holds it.
    pub fn delete(self) -> Result<()> {
        self.stage.clear(&self.name)
    }
}

/// The term in the name of a sink's file: `part-UID-SUBTASK-NUMBER-TERM-RANDOM.ENDING`, or, of
/// what was staged of an open one, `…-RANDOM-rest.ENDING`.
fn term_of(file: &Path) -> Result<u64> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = stem.strip_suffix("-rest").unwrap_or(&stem);
    let term = name.rsplit('-').nth(1).and_then(|term| term.parse().ok());
    term.with_context(|| format!("{} holds no term in its name", file.display()))
}

/// Whether the status speaks about the spec that is there now.
fn is_current(job: &Value) -> bool {
    job["status"]["observedGeneration"] == job["metadata"]["generation"]
}

fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_beside_those_that_are_changed_stay() {
        let mut base = json!({"a": {"b": 1, "c": 2}, "d": 3});
        merge(&mut base, &json!({"a": {"c": 4}}));
        assert_eq!(base, json!({"a": {"b": 1, "c": 4}, "d": 3}));
    }

    #[test]
    fn a_file_says_in_which_term_it_was_written() {
        let file = Path::new("out/part-1f0c3a52-2-17-9-0123456789ab.json");
        assert_eq!(term_of(file).expect("a term"), 9);
        let file = Path::new("out/part-a9f6f3c5-2-2-1-40350c4b745e-rest.json");
        assert_eq!(term_of(file).expect("a term"), 1);
        assert!(term_of(Path::new("out/else.json")).is_err());
    }

    #[test]
    fn a_status_of_an_older_spec_is_not_believed() {
        let job = json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 1}});
        assert!(!is_current(&job));
    }
}
