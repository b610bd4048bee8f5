//! `kubectl weir`: a job at a glance, and its page, by nothing but the user's own rights.
//!
//! Everything goes through the user's `kubectl`, and so through its configuration, contexts and
//! credentials. What is needed in the job's namespace: `pods list` and `pods/portforward create`.

mod ask;

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use weir_protocol::view::{OperationView, Severity, Snapshot};

use ask::{Cluster, Forwarded};

/// The job is not well: `status --check`.
const NOT_WELL: u8 = 4;

/// Streaming jobs at a glance.
///
/// For example: `kubectl weir status airport-delays`
#[derive(Debug, Parser)]
#[command(name = "kubectl-weir", bin_name = "kubectl weir", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One screen that says whether a job is well.
    Status {
        #[command(flatten)]
        job: Job,
        /// How to show it; JSON is what `/v1/snapshot` answers.
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        output: Output,
        /// End with code 4 when it is not.
        #[arg(long)]
        check: bool,
    },
    /// Open the way to a job's page until Ctrl-C.
    Ui {
        #[command(flatten)]
        job: Job,
        /// Where the page is then, on 127.0.0.1.
        #[arg(long, default_value_t = 8081)]
        port: u16,
    },
}

/// Which job.
#[derive(Debug, Args)]
struct Job {
    /// Its name.
    name: String,
    /// Its namespace; that of the current context otherwise.
    #[arg(short, long)]
    namespace: Option<String>,
    /// The context of the kubeconfig.
    #[arg(long)]
    context: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<u8> {
    match cli.command {
        Command::Status { job, output, check } => {
            let way = way_to(&job, None)?;
            let text = way.get("/v1/snapshot")?;
            let snapshot: Snapshot = serde_json::from_str(&text).context("the job's snapshot")?;
            if output == Output::Json {
                println!("{text}");
            } else {
                let operations = way.get("/v1/operations")?;
                let operations: Vec<OperationView> = serde_json::from_str(&operations)?;
                print!("{}", weir_page::status(&snapshot, &operations));
            }
            let runs = ["Running", "Rescaling", "Finished"].contains(&snapshot.job.state.as_str());
            let is_well = runs && snapshot.findings.iter().all(|f| f.severity == Severity::Note);
            Ok(if check && !is_well { NOT_WELL } else { 0 })
        }
        Command::Ui { job, port } => {
            let way = way_to(&job, Some(port))?;
            println!("http://{}/   (Ctrl-C closes the way to it)", way.address());
            way.wait()?;
            Ok(0)
        }
    }
}

/// A way to the pod that coordinates the job; from this port of this machine, or any.
fn way_to(job: &Job, port: Option<u16>) -> anyhow::Result<Forwarded> {
    let cluster = Cluster::new(job.namespace.as_deref(), job.context.as_deref());
    let pods = cluster.pods(&job.name)?;
    if pods.is_empty() {
        bail!("{}: no pod of such a job runs; `kubectl get sj` lists the jobs", job.name);
    }
    let mut said = String::new();
    for pod in &pods {
        let way = cluster.forward(pod, port)?;
        match way.get("/v1/snapshot") {
            Ok(_) => return Ok(way),
            Err(why) => said = why.to_string(),
        }
    }
    bail!("{}: none of its {} pods coordinates it now: {said}", job.name, pods.len())
}
