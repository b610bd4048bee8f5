//! `savepoint`: taken where a job stops, which is when Weir takes them; listed; and gone on from.

use std::path::PathBuf;

use anyhow::Context;
use clap::{ArgGroup, Args, Subcommand};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use weir_crds::kube::StreamJobStatus;
use weir_operator::clock::{Clock, age};
use weir_page::words::{duration, on_one_line};

use super::goal::{Goal, token};
use super::{Care, carry_out, wait};
use crate::ask::{Cluster, JOBS, name_of, named, namespace_of};
use crate::exit::REFUSED;
use crate::list::jobs;
use crate::out::{print, print_json, table, tell};
use crate::plan::read_manifest;
use crate::{JobName, Output};

/// `savepoint`.
#[derive(Debug, Subcommand)]
pub(crate) enum SavepointCommand {
    /// Save a job. Weir saves a job where it stops, so say what is to follow.
    Create(CreateArgs),
    /// The newest savepoint of each job.
    Ls(LsArgs),
    /// Make a job that goes on from the state of a deleted one. (A suspended job goes on from its
    /// savepoint by `resume`.)
    Restore(RestoreArgs),
}

/// `savepoint create`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("then").required(true).args(["restart", "suspend"])))]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    job: JobName,
    /// Begin again from it at once: results pause for as long as that takes.
    #[arg(long)]
    restart: bool,
    /// Stay stopped; `resume` goes on from it.
    #[arg(long)]
    suspend: bool,
    #[command(flatten)]
    care: Care,
}

/// `savepoint ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Only of this job.
    #[arg(value_parser = crate::ask::job_name)]
    job: Option<String>,
    /// Of jobs of all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// How to show them.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// `savepoint restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The manifest of the job to make.
    #[arg(short, long, value_name = "FILE")]
    filename: PathBuf,
    /// UID of the deleted job whose state it takes over: `state.adopt`. A job that is refused for
    /// state of a deleted one names it.
    #[arg(long)]
    uid: String,
    #[command(flatten)]
    care: Care,
}

pub(crate) fn run(cluster: &Cluster, command: &SavepointCommand) -> anyhow::Result<u8> {
    match command {
        SavepointCommand::Create(args) => {
            let goal = match args.restart {
                true => Goal::Restart(token(Clock::system().now())),
                false => Goal::Suspend,
            };
            carry_out(cluster, &args.job.job, &goal, args.care)
        }
        SavepointCommand::Ls(args) => list(cluster, args),
        SavepointCommand::Restore(args) => restore(cluster, args),
    }
}

fn list(cluster: &Cluster, args: &LsArgs) -> anyhow::Result<u8> {
    let mut jobs = jobs(cluster, args.all_namespaces, None)?;
    jobs.retain(|job| args.job.as_ref().is_none_or(|name| *name == job.name));
    let saved = jobs.iter().filter_map(|job| Some((job, job.status.last_savepoint.as_ref()?)));
    let saved: Vec<_> = saved.collect();
    if args.output == Output::Json {
        let item = |(job, savepoint): &(&crate::jobs::Job, _)| json!({"namespace": job.namespace, "job": job.name, "savepoint": savepoint});
        let items: Vec<Value> = saved.iter().map(item).collect();
        print_json(&json!({
            "apiVersion": "cli.weir.dev/v1", "kind": "SavepointList", "items": items,
        }))?;
        return Ok(0);
    }
    if saved.is_empty() {
        eprintln!(
            "no savepoint; jobs are saved when they are suspended, drained, restarted or upgraded"
        );
        return Ok(0);
    }
    let now: Timestamp = Clock::system().now();
    let row = |(job, savepoint): &(&crate::jobs::Job, &weir_crds::kube::SavepointStatus)| {
        let ago = savepoint.time.as_ref().map(|Time(at)| duration(age(now, *at).as_secs_f64()));
        let none = || "–".to_owned();
        vec![
            format!("{}/{}", job.namespace, job.name),
            savepoint.name.clone(),
            ago.unwrap_or_else(none),
            job.state(),
            savepoint.path.clone().unwrap_or_else(none),
        ]
    };
    let rows: Vec<_> = saved.iter().map(row).collect();
    print(&table(&["JOB", "SAVEPOINT", "AGE", "STATE", "PLACE"], &rows))?;
    Ok(0)
}

fn restore(cluster: &Cluster, args: &RestoreArgs) -> anyhow::Result<u8> {
    let file = args.filename.display().to_string();
    let mut job = read_manifest(cluster, &file)?;
    let (name, namespace) = (name_of(&job).to_owned(), namespace_of(&job).to_owned());
    let cluster = cluster.within(&namespace);
    let object = named(JOBS, &name)?;
    let there = cluster.read(&["get", &object, "--ignore-not-found", "--output=name"])?;
    if !there.is_empty() {
        eprintln!(
            "{name}: a job of this name is there, and has state of its own; give the manifest another \
             name, or delete it first (its state is kept under its UID)"
        );
        return Ok(REFUSED);
    }
    let goal = Goal::Adopt(args.uid.clone());
    let change = goal.change(&job).unwrap_or_else(|| "as the manifest says".to_owned());
    adopt(&mut job, &args.uid).with_context(|| file.clone())?;
    let text = job.to_string();
    let mut call = vec!["apply", "--filename=-", "--output=json"];
    call.extend(args.care.dry_run.then_some("--dry-run=server"));
    let clock = Clock::system();
    let applied = cluster.read_with(&call, Some(&text))?;
    let applied: Value = serde_json::from_slice(&applied).context("kubectl apply")?;
    if args.care.dry_run {
        print(&format!("{name}  {} (dry run)\n", on_one_line(&change)))?;
        return Ok(0);
    }
    tell(&format!("{name}  {change}"));
    if args.care.no_wait {
        print(&format!("{name}  it is made; `kubectl weir status {name}` shows how it does\n"))?;
        return Ok(0);
    }
    let wanted = applied["metadata"]["generation"].as_i64().unwrap_or(1);
    let none = StreamJobStatus::default();
    wait(&cluster, &name, &goal, &none, wanted, args.care.timeout, &clock)
}

/// Has a manifest, whose author may have written anything, take over the state of a deleted job.
fn adopt(job: &mut Value, uid: &str) -> anyhow::Result<()> {
    let spec = job.get_mut("spec").and_then(Value::as_object_mut);
    let spec = spec.context("spec: a job has fields here, such as sql")?;
    let state = spec.entry("state").or_insert(Value::Null);
    if state.is_null() {
        *state = json!({});
    }
    let state = state.as_object_mut().context("spec.state: it has fields, such as root")?;
    state.insert("adopt".to_owned(), json!(uid));
    Ok(())
}
