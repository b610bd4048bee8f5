//! README's commands for Kubernetes work as written, in their order, where nothing is installed.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_e2e::cache;
use weir_e2e::job::repository;
use weir_e2e::testbed::cluster::{RELEASE, Stage, ensure_installed};
use weir_e2e::testbed::s3::S3;

const JOB: &str = "generated-bids";

pub(crate) fn the_commands_of_the_readme_work_in_their_order(
    stage: &Stage,
    name: &str,
) -> Result<()> {
    let text = std::fs::read_to_string(repository().join("README.md"))?;
    let section = text.split_once("## On Kubernetes").context("no section on Kubernetes")?.1;
    let block = section.split("```").nth(1).context("no commands")?;
    let commands: Vec<_> = block.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    ensure!(commands.len() >= 5, "only {commands:?}");
    ensure!(commands[0].starts_with("helm install "), "{}", commands[0]);

    // The images under test stand in for those that README has the reader pack.
    let values = stage.chart_values();
    let images: Vec<_> = values.iter().filter(|value| value.contains("image.")).collect();
    let images: String = images.iter().map(|value| format!(" --set {value}")).collect();
    let kubectl = stage.cluster.kubectl();
    kubectl.run(&["create", "namespace", name])?;
    kubectl.run(&["config", "set-context", "--current", &format!("--namespace={name}")])?;
    let result = commands.iter().try_for_each(|command| {
        let command = if command.starts_with("helm install ") {
            format!("{command}{images}")
        } else {
            (*command).to_owned()
        };
        let said = run(stage, &command)?;
        println!("  $ {command}");
        if command.starts_with("kubectl get sj") {
            ensure!(said.contains(JOB) && said.contains("Running"), "{said}");
        }
        Ok(())
    });
    kubectl.run(&["config", "set-context", "--current", "--namespace=default"])?;
    result?;

    let home = kubectl.in_namespace(name);
    home.wait_until("sj", JOB, "at parallelism 4", Duration::from_secs(90), |job| {
        job["status"]["parallelism"]["actual"] == 4
    })?;
    home.run(&["delete", "sj", JOB, "--timeout=120s"])?;
    kubectl.run(&["delete", "namespace", name, "--timeout=120s"])?;
    stage.cluster.helm(&["uninstall", RELEASE, "-n", RELEASE, "--wait", "--timeout", "60s"])?;
    Ok(())
}

/// Runs in the repository's root with the test bed's tools first on the path.
fn run(stage: &Stage, command: &str) -> Result<String> {
    let tools = ensure_installed(false)?;
    let helm = tools.helm.parent().context("helm is in no folder")?;
    let own = tempfile::tempdir()?;
    let kubectl = own.path().join("kubectl");
    let script = format!("#!/bin/sh\nexec '{}' kubectl \"$@\"\n", tools.kubernetes.display());
    std::fs::write(&kubectl, script)?;
    std::fs::set_permissions(&kubectl, std::fs::Permissions::from_mode(0o755))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut bash = Command::new("bash");
    bash.args(["-c", command])
        .current_dir(repository())
        .env("PATH", format!("{}:{}:{path}", own.path().display(), helm.display()))
        .env("KUBECONFIG", stage.cluster.kubeconfig())
        .env("STATE", format!("s3://{}/readme", S3::BUCKET))
        .env("ENDPOINT", stage.s3.endpoint())
        .envs(S3::credentials());
    cache::run(&mut bash).with_context(|| command.to_owned())
}
