//! A user who may look and change nothing, and `kubectl weir`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use weir_e2e::process::wait_for;
use weir_e2e::testbed::cluster::{Namespace, READY, RELEASE, Stage};
use weir_e2e::testbed::s3::S3;
use weir_e2e::{cache, page, programs};

use crate::flights::{Input, topic_to_hours};

/// What may not leave the cluster.
const CANARY: &str = "canary-of-a-manifest";
const SOON: Duration = Duration::from_secs(60);

pub(crate) fn who_may_only_look_sees_jobs_and_their_pages(stage: &Stage, name: &str) -> Result<()> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    let input = Input::new(20_000)?;
    input.feed(kafka, name, 20_000)?.finish()?;
    let sql = topic_to_hours(kafka, name, &home.sink("hourly"));
    home.apply_job(
        "hours",
        &sql,
        &json!({
            "parallelism": 2, "workers": {"env": [{"name": "GREETING", "value": CANARY}]},
        }),
    )?;
    home.wait_for_condition("hours", "Ready", READY)?;
    home.wait_for_rows("hourly", &Input::columns(), input.expected(), READY)?;

    let folder = tempfile::tempdir()?;
    let user = User::new(stage, &home, folder.path())?;
    let list = user.says(&["list"])?;
    ensure!(list.contains("hours") && list.contains("Running"), "{list}");

    // Kubernetes' own role lets nobody through to a pod: what the resource says is shown, and what is missing.
    let status = user.says(&["status", "hours"])?;
    ensure!(status.contains("Running") && status.contains("checkpoint"), "{status}");
    ensure!(
        status.contains("live figures are missing: ") && status.contains("ends in -pages"),
        "{status}"
    );
    for forbidden in [&["ui", "hours"][..], &["suspend", "hours"], &["scale", "hours", "3"]] {
        let output = user.run(forbidden)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success() && said.contains("forbidden"), "{forbidden:?}: {said}");
    }

    // The role of the chart for pages, which whoever manages the namespace gives.
    let role = format!("--clusterrole={}-weir-pages", RELEASE);
    let account = format!("--serviceaccount={name}:looker");
    home.kubectl.run(&["create", "rolebinding", "looker-pages", &role, &account])?;
    wait_for("the way to the page", SOON, || {
        Ok(!user.says(&["status", "hours"])?.contains("live figures are missing"))
    })?;
    let status = user.says(&["status", "hours", "-o", "json"])?;
    let snapshot: Value = serde_json::from_str(&status)?;
    ensure!(snapshot["job"]["parallelism"] == 2, "{status}");
    the_page_is_shown(&user)?;
    let again = user.run(&["suspend", "hours"])?;
    ensure!(!again.status.success(), "a page gives no right to change");

    let file = folder.path().join("report.tar.gz").display().to_string();
    user.says(&["report", "hours", "--output", &file])?;
    let report = cache::run(Command::new("tar").args(["-xzOf", &file]))?;
    ensure!(report.contains("GREETING") && report.contains("CREATE TABLE"), "{report}");
    let [_, (_, key)] = S3::credentials();
    for secret in [CANARY, key] {
        ensure!(!report.contains(secret), "{secret} is in the report");
    }
    home.delete()
}

/// `ui` prints where the page is, which is the job's.
fn the_page_is_shown(user: &User) -> Result<()> {
    let mut child = user.command(&["ui", "hours"])?.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().context("its output")?;
    let mut line = String::new();
    let read = BufReader::new(stdout).read_line(&mut line);
    let shown = read.map_err(anyhow::Error::from).and_then(|_| {
        let address = line.strip_prefix("http://").and_then(|rest| rest.split('/').next());
        let address = address.with_context(|| format!("no address: {line:?}"))?;
        let (first, body) = page::get(address, "/", &format!("Host: {address}\r\n"))?;
        ensure!(first.contains("200") && body.contains("hours"), "{first}\n{body}");
        Ok(())
    });
    child.kill()?;
    child.wait()?;
    shown
}

/// A service account with Kubernetes' own role `view` in a namespace, and the plugin.
struct User {
    kubeconfig: String,
    namespace: String,
    path: String,
}

impl User {
    fn new(stage: &Stage, home: &Namespace<'_>, folder: &Path) -> Result<Self> {
        let (kubectl, namespace) = (&home.kubectl, home.name());
        kubectl.run(&["create", "serviceaccount", "looker"])?;
        let account = format!("--serviceaccount={namespace}:looker");
        kubectl.run(&["create", "rolebinding", "looker", "--clusterrole=view", &account])?;
        let token = kubectl.run(&["create", "token", "looker"])?;
        let all =
            stage.cluster.kubectl().run(&["config", "view", "--raw", "--minify", "-o", "json"])?;
        let mut config: Value = serde_json::from_str(&all)?;
        config["users"][0]["user"] = json!({"token": token.trim()});
        let kubeconfig = folder.join("kubeconfig");
        std::fs::write(&kubeconfig, config.to_string())?;
        let before = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{before}", kubectl.on_path(folder)?.display());
        let kubeconfig = kubeconfig.display().to_string();
        Ok(Self { kubeconfig, namespace: namespace.to_owned(), path })
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(programs::plugin()?);
        command.args(["--kubeconfig", &self.kubeconfig, "--namespace", &self.namespace]);
        command.args(arguments).env("PATH", &self.path).env("NO_COLOR", "1").stdin(Stdio::null());
        Ok(command)
    }

    fn run(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.command(arguments)?.output()?)
    }

    fn says(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl weir {arguments:?}: {said}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
