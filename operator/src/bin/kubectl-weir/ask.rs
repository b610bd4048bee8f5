//! The user's `kubectl`, and a pod's page over a port that it forwards.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Where a pod has its page, on its loopback.
const PAGE_PORT: u16 = 7104;
/// A page answers sooner, or not at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// A namespace of a cluster, as `kubectl` reaches it.
pub(crate) struct Cluster {
    arguments: Vec<String>,
}

impl Cluster {
    pub(crate) fn new(namespace: Option<&str>, context: Option<&str>) -> Self {
        let flag = |name: &str, value: Option<&str>| value.map(|value| format!("--{name}={value}"));
        let flags = [flag("namespace", namespace), flag("context", context)];
        Self { arguments: flags.into_iter().flatten().collect() }
    }

    fn kubectl(&self) -> Command {
        let mut command = Command::new("kubectl");
        command.args(&self.arguments);
        command
    }

    /// Names of the job's pods that run, the one first that most often coordinates.
    pub(crate) fn pods(&self, job: &str) -> Result<Vec<String>> {
        let selector = format!("weir.dev/job={job},app.kubernetes.io/component=worker");
        let asked =
            self.kubectl().args(["get", "pods", "--selector", &selector, "--output=json"]).output();
        let asked = asked.context("kubectl cannot be started; it has to be in PATH")?;
        ensure!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr).trim());
        let listed: Value = serde_json::from_slice(&asked.stdout).context("kubectl get pods")?;
        let pods = listed["items"].as_array().cloned().unwrap_or_default();
        let running = pods.iter().filter(|pod| pod["status"]["phase"] == "Running");
        let names = running.filter_map(|pod| pod["metadata"]["name"].as_str());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort_by_key(|name| (name.len(), name.clone()));
        Ok(names)
    }

    /// Opens a way to a pod's page.
    pub(crate) fn forward(&self, pod: &str, port: Option<u16>) -> Result<Forwarded> {
        let ports =
            format!("{}:{PAGE_PORT}", port.map_or_else(String::new, |port| port.to_string()));
        let mut command = self.kubectl();
        command.args(["port-forward", &format!("pod/{pod}"), &ports]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().context("kubectl's output")?);
        stdout.read_line(&mut line)?;
        // "Forwarding from 127.0.0.1:34567 -> 7104"
        let address =
            line.strip_prefix("Forwarding from ").and_then(|rest| rest.split(" -> ").next());
        let Some(address) = address.map(str::to_owned) else {
            let mut why = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                stderr.read_to_string(&mut why)?;
            }
            child.wait()?;
            bail!("kubectl port-forward pod/{pod}: {}", why.trim());
        };
        // It must not stop because nobody reads what it says.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        if let Some(mut stderr) = child.stderr.take() {
            std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        }
        Ok(Forwarded { child, address })
    }
}

/// A way to a pod's page, which closes when this is dropped.
pub(crate) struct Forwarded {
    child: Child,
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

    /// Until `kubectl` ends.
    pub(crate) fn wait(mut self) -> Result<()> {
        let ended = self.child.wait()?;
        ensure!(ended.success(), "the way to the page has closed: kubectl ended with {ended}");
        Ok(())
    }
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
