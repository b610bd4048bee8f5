//! `status`: one screen that says whether a job is well.

use clap::Args;
use serde_json::json;
use weir_operator::clock::Clock;
use weir_page::words::{duration, in_lines, on_one_line};
use weir_protocol::view::{OperationView, Severity, Snapshot};

use crate::ask::Cluster;
use crate::exit::NOT_WELL;
use crate::jobs::{Job, Verdict};
use crate::out::{in_json, keep, print};
use crate::{JobName, Output};

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    job: JobName,
    /// How to show it; JSON is what `/v1/snapshot` answers, or what the resource says of a job that
    /// does not run.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// End with code 4 when it is not.
    #[arg(long)]
    check: bool,
    /// Look again every two seconds, until Ctrl-C.
    #[arg(short, long, conflicts_with = "check")]
    watch: bool,
}

pub(crate) fn run(cluster: &Cluster, args: &StatusArgs) -> anyhow::Result<u8> {
    if args.watch {
        return keep(|| seen(cluster, args).map(|(text, _)| text));
    }
    let (text, is_well) = seen(cluster, args)?;
    print(&text)?;
    Ok(if args.check && !is_well { NOT_WELL } else { 0 })
}

/// What is shown now, and whether the job is well.
fn seen(cluster: &Cluster, args: &StatusArgs) -> anyhow::Result<(String, bool)> {
    let name = &args.job.job;
    let way = match cluster.page_of(name, None) {
        Ok(way) => way,
        // A job that does not run has a resource all the same, which says why.
        Err(silent) => {
            let Ok(job) = cluster.job(name) else { return Err(silent) };
            let job = Job::of(&job);
            let text = match args.output {
                Output::Json => {
                    let summary = json!({
                        "apiVersion": "cli.weir.dev/v1", "kind": "JobSummary",
                        "job": job.json(Clock::system().now()),
                    });
                    format!("{}\n", in_json(&serde_json::to_string_pretty(&summary)?))
                }
                Output::Text => at_rest(&job, &format!("{silent:#}")),
            };
            return Ok((text, job.verdict == Verdict::AtRest));
        }
    };
    let text = way.get("/v1/snapshot")?;
    let snapshot: Snapshot = serde_json::from_str(&text)?;
    let runs = ["Running", "Rescaling", "Finished"].contains(&snapshot.job.state.as_str());
    let is_well = runs && snapshot.findings.iter().all(|f| f.severity == Severity::Note);
    let text = match args.output {
        Output::Json => format!("{}\n", in_json(&text)),
        Output::Text => {
            let operations: Vec<OperationView> = way.read("/v1/operations")?;
            weir_page::status(&snapshot, &operations)
        }
    };
    Ok((text, is_well))
}

/// What the resource says of a job that nobody coordinates.
fn at_rest(job: &Job, silent: &str) -> String {
    let now = Clock::system().now();
    let name = on_one_line(&job.name);
    let mut text = format!("{name}   {}   {}\n", job.state(), job.verdict.word());
    if !job.reason.is_empty() {
        text.push_str(&format!("{}\n", in_lines(&job.reason, "\n")));
    }
    if let Some(checkpoint) = &job.status.last_checkpoint {
        let ago = job.checkpoint_age(now).map(|age| format!(", {} ago", duration(age)));
        text.push_str(&format!(
            "checkpoint   epoch {}{}\n",
            checkpoint.epoch,
            ago.unwrap_or_default()
        ));
    }
    if let Some(savepoint) = &job.status.last_savepoint {
        let place = savepoint.path.clone().unwrap_or_default();
        let saved = on_one_line(&format!("{}  {place}", savepoint.name));
        text.push_str(&format!("savepoint    {saved}\n"));
    }
    if job.verdict != Verdict::AtRest {
        text.push_str(&format!("live figures are missing: {}\n", in_lines(silent, "\n")));
    }
    text
}
