//! The user's `kubectl`, and a pod's ports over ways that it opens.

use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use weir_crds::kube::StreamJobStatus;

use crate::kubectl::Running;

/// Where a pod has its page, on its loopback.
const PAGE_PORT: u16 = 7104;
/// What helps a user who is not let through to a pod.
const NO_WAY: &str = "pages need the right to create pods/portforward, which Kubernetes' own role \
     `view` lacks; the chart's ClusterRole whose name ends in -pages gives it";
/// A page answers sooner, or not at all.
const PATIENCE: Duration = Duration::from_secs(5);
/// The kind by its full name: a short one may be another group's too.
pub(crate) const JOBS: &str = "streamjobs.weir.dev";

/// How to reach the cluster, as `kubectl` calls it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Connection {
    /// The namespace; that of the current context otherwise.
    #[arg(short, long, global = true, help_heading = "Connection")]
    pub(crate) namespace: Option<String>,
    /// The context of the kubeconfig.
    #[arg(long, global = true, help_heading = "Connection")]
    context: Option<String>,
    /// The kubeconfig.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    kubeconfig: Option<String>,
    /// The user to act as.
    #[arg(long = "as", global = true, value_name = "USER", help_heading = "Connection")]
    impersonated: Option<String>,
    /// The longest that one request may take, such as 10s.
    #[arg(long, global = true, value_name = "TIME", help_heading = "Connection")]
    request_timeout: Option<String>,
}

/// A cluster, as `kubectl` reaches it.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    connection: Connection,
}

impl Cluster {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self { connection: connection.clone() }
    }

    /// The same cluster, in this namespace.
    pub(crate) fn within(&self, namespace: &str) -> Self {
        let namespace = Some(namespace.to_owned()).filter(|name| !name.is_empty());
        Self { connection: Connection { namespace, ..self.connection.clone() } }
    }

    /// Where it looks, in words.
    pub(crate) fn place(&self) -> String {
        match &self.connection.namespace {
            Some(name) => format!("namespace {name}"),
            None => "the namespace of the current context".to_owned(),
        }
    }

    fn kubectl(&self) -> Command {
        let Connection { namespace, context, kubeconfig, impersonated, request_timeout } =
            &self.connection;
        let flags = [
            ("namespace", namespace),
            ("context", context),
            ("kubeconfig", kubeconfig),
            ("as", impersonated),
            ("request-timeout", request_timeout),
        ];
        let mut command = Command::new("kubectl");
        for (name, value) in flags.into_iter().filter_map(|(n, v)| Some((n, v.as_ref()?))) {
            command.arg(format!("--{name}={value}"));
        }
        command
    }

    /// What a call prints; what it says instead is the error.
    pub(crate) fn read(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        self.read_with(arguments, None)
    }

    /// The same, of a call that reads `input`.
    pub(crate) fn read_with(&self, arguments: &[&str], input: Option<&str>) -> Result<Vec<u8>> {
        let mut running = Running::start(self.kubectl().args(arguments), input)?;
        let mut printed = Vec::new();
        running.output()?.read_to_end(&mut printed)?;
        running.wait()?;
        Ok(printed)
    }

    /// What a call prints, as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        let mut all = arguments.to_vec();
        all.push("--output=json");
        let printed = self.read(&all)?;
        serde_json::from_slice(&printed).with_context(|| format!("kubectl {}", all.join(" ")))
    }

    /// The objects that a `get` lists.
    pub(crate) fn list(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let mut listed: Value = self.json(arguments)?;
        match listed["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    /// A call whose output is read while it runs.
    pub(crate) fn start(&self, arguments: &[&str]) -> Result<Running> {
        Running::start(self.kubectl().args(arguments), None)
    }

    /// A job as the API server holds it.
    pub(crate) fn job(&self, name: &str) -> Result<Value> {
        self.json(&["get", &named(JOBS, name)?])
    }

    /// The job's worker pods.
    pub(crate) fn workers(&self, job: &str) -> Result<Vec<Value>> {
        let selector = format!("--selector={}", weir_operator::names::worker_selector(job));
        let mut pods = self.list(&["get", "pods", &selector])?;
        let key = |pod: &Value| {
            let name = name_of(pod);
            (name.len(), name.to_owned())
        };
        pods.sort_by_key(key);
        Ok(pods)
    }

    /// Names of the job's pods that run, the one first that most often coordinates.
    fn running(&self, job: &str) -> Result<Vec<String>> {
        let pods = self.workers(job)?;
        let running = pods.iter().filter(|pod| pod["status"]["phase"] == "Running");
        Ok(running.map(|pod| name_of(pod).to_owned()).collect())
    }

    /// Opens a way to a port of a pod, from this port of this machine, or any.
    pub(crate) fn forward(&self, pod: &str, from: Option<u16>, to: u16) -> Result<Forwarded> {
        let ports = format!("{}:{to}", from.map_or_else(String::new, |port| port.to_string()));
        let call = ["port-forward", &named("pod", pod)?, &ports];
        let mut running = Running::start(self.kubectl().args(call), None)?;
        let mut line = String::new();
        let mut output = running.output()?;
        output.read_line(&mut line)?;
        // "Forwarding from 127.0.0.1:34567 -> 7104"
        let address =
            line.strip_prefix("Forwarding from ").and_then(|rest| rest.split(" -> ").next());
        let Some(address) = address.map(str::to_owned) else {
            let why = running.wait().err().map_or_else(|| line.clone(), |why| why.to_string());
            bail!("kubectl port-forward pod/{pod}: {}", why.trim());
        };
        // It must not stop because nobody reads what it says.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Ok(Forwarded { running, address })
    }

    /// A way to the page of the pod that coordinates the job; from this port of this machine, or
    /// any.
    pub(crate) fn page_of(&self, job: &str, from: Option<u16>) -> Result<Forwarded> {
        let pods = self.running(job)?;
        if pods.is_empty() {
            bail!("{job}: no pod of such a job runs; `kubectl weir list` lists the jobs");
        }
        let mut said: Vec<String> = Vec::new();
        for pod in &pods {
            // One that cannot be reached, as on a node that is gone, says nothing of the others.
            let way = self.forward(pod, from, PAGE_PORT).and_then(|way| {
                way.get("/v1/snapshot")?;
                Ok(way)
            });
            match way {
                Ok(way) => return Ok(way),
                // The same right is missing for each of them.
                Err(why) if is_forbidden(&why) => {
                    bail!("{job}: {why:#}; {NO_WAY}");
                }
                Err(why) => said.push(format!("{why:#}")),
            }
        }
        said.dedup();
        bail!("{job}: none of its {} pods coordinates it now: {}", pods.len(), said.join("; "))
    }

    /// A way to the page of the pod that coordinates the job as its status says.
    pub(crate) fn page_of_pod(&self, pod: &str) -> Result<Forwarded> {
        self.forward(pod, None, PAGE_PORT)
    }
}

/// An object as kubectl takes it, `TYPE/NAME`: a name that stood alone would be a flag where it
/// begins like one, and a manifest or a status may say anything.
pub(crate) fn named(kind: &str, name: &str) -> Result<String> {
    let is_name = name.len() <= 253 && name.split('.').all(is_label);
    ensure!(is_name, "{name:?} is no name that an object of Kubernetes can have");
    Ok(format!("{kind}/{name}"))
}

/// Whether this is a DNS label, as names of jobs and namespaces are.
pub(crate) fn is_label(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A job's name, as an argument of a command.
pub(crate) fn job_name(text: &str) -> Result<String, String> {
    match is_label(text) {
        true => Ok(text.to_owned()),
        false => Err("a job's name is of lower-case letters, digits and '-'".to_owned()),
    }
}

/// Whether the API server knows no such object.
pub(crate) fn is_not_found(error: &anyhow::Error) -> bool {
    error.to_string().contains("(NotFound)")
}

/// Whether the API server says that this user may not; of a way to a pod it says it without the code.
fn is_forbidden(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains(" is forbidden: User ")
}

/// An object's name.
pub(crate) fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// An object's namespace.
pub(crate) fn namespace_of(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or_default()
}

/// What the operator says about a job. What does not read, as of another version, is left out, and
/// takes nothing else with it: no other field, and of a list no other item.
pub(crate) fn status_of(job: &Value) -> StreamJobStatus {
    let Value::Object(fields) = &job["status"] else { return StreamJobStatus::default() };
    let alone = |name: &str, value: &Value| json!({name: value});
    let reads = |status: Value| serde_json::from_value::<StreamJobStatus>(status).is_ok();
    let mut kept = Map::new();
    for (name, value) in fields {
        if reads(alone(name, value)) {
            kept.insert(name.clone(), value.clone());
        } else if let Value::Array(items) = value {
            let items = items.iter().filter(|item| reads(alone(name, &json!([item]))));
            kept.insert(name.clone(), items.cloned().collect());
        }
    }
    serde_json::from_value(Value::Object(kept)).unwrap_or_default()
}

/// A way to a pod's port, which closes when this is dropped.
#[derive(Debug)]
pub(crate) struct Forwarded {
    running: Running,
    address: String,
}

impl Forwarded {
    /// `127.0.0.1:8081`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What the page answers; what else it says is the error.
    pub(crate) fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // An answer to 1.0 ends with its connection, and is in one piece.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("the pod has no page, or does not answer")?;
        let (head, body) = answer.split_once("\r\n\r\n").context("the pod has no page")?;
        let code = head.split(' ').nth(1).unwrap_or_default();
        ensure!(code == "200", "{}", body.trim());
        Ok(body.to_owned())
    }

    /// What the page answers, as a value.
    pub(crate) fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        serde_json::from_str(&self.get(path)?).with_context(|| format!("the page's {path}"))
    }

    /// Until `kubectl` ends.
    pub(crate) fn wait(mut self) -> Result<()> {
        self.running.wait().context("the way to the page has closed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_read_of_a_status_takes_nothing_else_with_it() {
        let condition = |type_: &str| {
            json!({
                "type": type_, "status": "True", "reason": "Why", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let status = status_of(&json!({"status": {
            "state": "Running", "restarts": "many", "lastCheckpoint": {"epoch": -1},
            "coordinator": {"pod": "delays-0123abcd-1", "more": 1}, "later": {"a": 1},
            "conditions": [condition("Ready"), {"type": 1}, condition("Degraded")],
        }}));
        assert_eq!(status.state, Some(weir_crds::kube::JobState::Running));
        assert_eq!(status.coordinator.map(|it| it.pod).as_deref(), Some("delays-0123abcd-1"));
        let types: Vec<&str> = status.conditions.iter().map(|it| it.type_.as_str()).collect();
        assert_eq!(types, ["Ready", "Degraded"]);
        assert_eq!((status.restarts, status.last_checkpoint), (None, None));
        assert_eq!(status_of(&json!({"status": 1})), StreamJobStatus::default());
    }
}
