//! Commands that change a job: each sets the one field that a user would edit, and watches what the
//! operator makes of it.

mod goal;
pub(crate) mod savepoint;

use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use serde_json::Value;
use weir_crds::kube::StreamJobStatus;
use weir_operator::clock::Clock;
use weir_page::words::{in_lines, on_one_line};
use weir_protocol::view::{OperationView, took};

pub(crate) use goal::Goal;
use goal::{Progress, token};

use crate::JobName;
use crate::ask::{Cluster, Forwarded, JOBS, is_not_found, named, namespace_of, status_of};
use crate::exit::TIMED_OUT;
use crate::out::{print, tell};
use crate::watch::Watch;

/// How far to go with a change.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Care {
    /// Only show what would change, after the cluster has checked it.
    #[arg(long)]
    dry_run: bool,
    /// Do not wait until the operator has done it.
    #[arg(long, conflicts_with = "dry_run")]
    no_wait: bool,
    /// How long to wait for it, such as 90s; then the code is 124, and it goes on.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = weir_crds::parse_duration)]
    timeout: Duration,
}

/// `suspend`, `resume`, `drain`, `restart`.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    #[command(flatten)]
    job: JobName,
    #[command(flatten)]
    care: Care,
}

/// `scale`.
#[derive(Debug, Args)]
pub(crate) struct ScaleArgs {
    #[command(flatten)]
    job: JobName,
    /// Subtasks of every operator that can be divided, and so pods.
    parallelism: u32,
    /// Also show what each step took, from the job's page.
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    care: Care,
}

/// What is to become of a job that exists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    Suspend,
    Resume,
    Drain,
    Restart,
}

pub(crate) fn run(cluster: &Cluster, args: &ChangeArgs, wish: Wish) -> anyhow::Result<u8> {
    let goal = match wish {
        Wish::Suspend => Goal::Suspend,
        Wish::Resume => Goal::Resume,
        Wish::Drain => Goal::Drain,
        Wish::Restart => Goal::Restart(token(Clock::system().now())),
    };
    carry_out(cluster, &args.job.job, &goal, args.care)
}

pub(crate) fn scale(cluster: &Cluster, args: &ScaleArgs) -> anyhow::Result<u8> {
    let name = &args.job.job;
    let code = carry_out(cluster, name, &Goal::Scale(args.parallelism), args.care)?;
    if args.watch && code == 0 && !args.care.dry_run && !args.care.no_wait {
        let done = |way: Forwarded| way.read::<Vec<OperationView>>("/v1/operations");
        match cluster.page_of(name, None).and_then(done) {
            Ok(operations) => print(&steps(&operations))?,
            Err(error) => tell(&format!("what each step took is not known: {error:#}")),
        }
    }
    Ok(code)
}

/// What the newest rescale took, step by step.
fn steps(operations: &[OperationView]) -> String {
    let Some(newest) = operations.iter().find(|it| it.kind == "Rescale") else {
        return String::new();
    };
    let line = |name: &str, ms| format!("  {:<20} {}\n", on_one_line(name), took(ms));
    let lines = newest.steps.iter().map(|step| line(&step.name, step.ms));
    format!("{}\n{}", in_lines(&newest.message, "\n"), lines.collect::<String>())
}

/// Sets the field, and waits until the job is where it is to be.
pub(crate) fn carry_out(
    cluster: &Cluster,
    name: &str,
    goal: &Goal,
    care: Care,
) -> anyhow::Result<u8> {
    let before = cluster.job(name)?;
    let change = goal.change(&before);
    let patch = goal.patch().to_string();
    let flag = format!("--patch={patch}");
    let object = named(JOBS, name)?;
    let mut call = vec!["patch", &object, "--type=merge", &flag];
    if care.dry_run {
        call.push("--dry-run=server");
        cluster.json::<Value>(&call)?;
        let change = change.unwrap_or_else(|| "nothing would change".to_owned());
        print(&format!(
            "{name}  {} (dry run)\n  kubectl patch sj/{name} --type=merge -p '{patch}'\n",
            on_one_line(&change)
        ))?;
        return Ok(0);
    }
    let clock = Clock::system();
    let wanted = match &change {
        Some(change) => {
            let changed: Value = cluster.json(&call)?;
            tell(&format!("{name}  {change}"));
            changed["metadata"]["generation"].as_i64().unwrap_or(0)
        }
        None => before["metadata"]["generation"].as_i64().unwrap_or(0),
    };
    if care.no_wait {
        let word = if change.is_some() { "is asked for" } else { "was asked for already" };
        return print(&format!(
            "{name}  it {word}; `kubectl weir status {name}` shows how it does\n"
        ))
        .map(|()| 0);
    }
    let cluster = cluster.within(namespace_of(&before));
    wait(&cluster, name, goal, &status_of(&before), wanted, care.timeout, &clock)
}

/// Watches the job until the goal is reached; the code is the process's.
pub(crate) fn wait(
    cluster: &Cluster,
    name: &str,
    goal: &Goal,
    before: &StreamJobStatus,
    wanted: i64,
    timeout: Duration,
    clock: &Clock,
) -> anyhow::Result<u8> {
    let begun = clock.elapsed();
    let so_far = || {
        let millis = clock.elapsed().saturating_sub(begun).as_millis();
        took(u64::try_from(millis).unwrap_or(u64::MAX))
    };
    let mut told = String::new();
    let mut watch = Watch::new(cluster, &[&named(JOBS, name)?]);
    loop {
        let left = (begun + timeout).saturating_sub(clock.elapsed());
        let seen = watch.next(Some(left)).map_err(|why| match is_not_found(&why) {
            true => anyhow!("{name}: it has been deleted"),
            false => anyhow!(
                "{name}: it cannot be watched ({why:#}); what was asked for goes on all the same"
            ),
        })?;
        let Some(job) = seen else {
            tell(&format!("{name}  not within {}: {told}; it goes on all the same", so_far()));
            return Ok(TIMED_OUT);
        };
        match goal.progress(before, &job, wanted) {
            Progress::Reached(what) => {
                print(&format!("{name}  {}; it took {}\n", in_lines(&what, "\n"), so_far()))?;
                return Ok(0);
            }
            Progress::Failed(why) => bail!("{name}: {why}"),
            Progress::Waits(on) if on != told => {
                tell(&format!("  {:>8}  {on}", so_far()));
                told = on;
            }
            Progress::Waits(_) => {}
        }
    }
}
