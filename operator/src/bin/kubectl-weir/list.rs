//! `list`: all jobs, the worst first.

use std::collections::HashMap;

use clap::{Args, ValueEnum};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use weir_operator::clock::Clock;
use weir_page::words::{duration, on_one_line, rate};
use weir_protocol::view::{Severity, Snapshot};

use crate::ask::{Cluster, JOBS};
use crate::jobs::{Job, Verdict, sort};
use crate::out::{Colour, coloured, first_line, in_json, keep, print, table};

/// Pages of jobs that are asked at a time.
const AT_ONCE: usize = 8;
/// Characters of a reason in a list that is not wide.
const REASON: usize = 80;

/// `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Jobs of all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only jobs with these labels.
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// How to show them.
    #[arg(short, long, value_enum, default_value_t)]
    output: ListOutput,
    /// Also ask the jobs that run for their rates and what is wrong inside.
    #[arg(long)]
    live: bool,
    /// Look again every two seconds, until Ctrl-C.
    #[arg(short, long)]
    watch: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ListOutput {
    #[default]
    Table,
    Wide,
    Json,
    Name,
}

/// What a job that runs says itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Live {
    /// Rows that its sources read a second.
    pub(crate) in_rate: f64,
    /// Rows that its sinks take a second.
    pub(crate) out_rate: f64,
    /// Rows that its sources know of and have not read.
    pub(crate) backlog: u64,
    /// Seconds that its event time is behind the clock.
    pub(crate) behind_s: Option<f64>,
    /// The worst finding, and how bad it is.
    pub(crate) finding: Option<(Severity, String)>,
}

impl Live {
    /// What of a snapshot fits a line.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let chains = snapshot.vertices.iter().flat_map(|vertex| &vertex.operators);
        let finding = snapshot.findings.first();
        Self {
            in_rate: snapshot.totals.in_rate,
            out_rate: snapshot.totals.out_rate,
            backlog: chains.map(|operator| operator.backlog).sum(),
            behind_s: snapshot.totals.freshness_s,
            finding: finding.map(|it| (it.severity, format!("{} {}", it.place, it.cause))),
        }
    }

    fn json(&self) -> Value {
        json!({
            "rowsInPerSecond": self.in_rate,
            "rowsOutPerSecond": self.out_rate,
            "backlog": self.backlog,
            "behindSeconds": self.behind_s,
            "finding": self.finding.as_ref().map(|(_, text)| text),
        })
    }
}

/// Jobs of one namespace, or of all.
pub(crate) fn jobs(
    cluster: &Cluster,
    all: bool,
    selector: Option<&str>,
) -> anyhow::Result<Vec<Job>> {
    let selector = selector.map(|labels| format!("--selector={labels}"));
    let mut call = vec!["get", JOBS];
    call.extend(all.then_some("--all-namespaces"));
    call.extend(selector.as_deref());
    let mut jobs: Vec<Job> = cluster.list(&call)?.iter().map(Job::of).collect();
    sort(&mut jobs);
    Ok(jobs)
}

/// What the jobs that run say themselves, by position. One that does not answer says nothing.
pub(crate) fn live(cluster: &Cluster, jobs: &[Job]) -> HashMap<usize, Live> {
    let pod = |job: &Job| job.page_pod().map(str::to_owned);
    let running: Vec<_> = jobs
        .iter()
        .enumerate()
        .filter_map(|(at, job)| Some((at, cluster.within(&job.namespace), pod(job)?)))
        .collect();
    let mut said = HashMap::new();
    for some in running.chunks(AT_ONCE) {
        let asked: Vec<_> = some
            .iter()
            .cloned()
            .map(|(at, cluster, pod)| {
                std::thread::spawn(move || {
                    let way = cluster.page_of_pod(&pod).ok()?;
                    let snapshot = way.read::<Snapshot>("/v1/snapshot").ok()?;
                    Some((at, Live::of(&snapshot)))
                })
            })
            .collect();
        said.extend(asked.into_iter().filter_map(|thread| thread.join().ok().flatten()));
    }
    said
}

pub(crate) fn run(cluster: &Cluster, args: &ListArgs, colour: Colour) -> anyhow::Result<u8> {
    let look = || seen(cluster, args, colour);
    match args.watch {
        true => keep(look),
        false => look().and_then(|text| print(&text)).map(|()| 0),
    }
}

/// The list as it is now.
fn seen(cluster: &Cluster, args: &ListArgs, colour: Colour) -> anyhow::Result<String> {
    let jobs = jobs(cluster, args.all_namespaces, args.selector.as_deref())?;
    let live = if args.live { live(cluster, &jobs) } else { HashMap::new() };
    let now = Clock::system().now();
    Ok(match args.output {
        ListOutput::Name => jobs
            .iter()
            .map(|job| format!("streamjob.weir.dev/{}\n", on_one_line(&job.name)))
            .collect(),
        ListOutput::Json => {
            let item = |(at, job): (usize, &Job)| {
                let mut item = job.json(now);
                if args.live {
                    item["live"] = live.get(&at).map_or(Value::Null, Live::json);
                }
                item
            };
            let items: Vec<Value> = jobs.iter().enumerate().map(item).collect();
            let list = json!({
                "apiVersion": "cli.weir.dev/v1", "kind": "JobSummaryList", "items": items,
            });
            format!("{}\n", in_json(&serde_json::to_string_pretty(&list)?))
        }
        ListOutput::Table | ListOutput::Wide if jobs.is_empty() => {
            let place = if args.all_namespaces { "in any namespace" } else { "in this namespace" };
            eprintln!(
                "no StreamJob {place}; -A looks in all, `kubectl apply -f job.yaml` makes one"
            );
            String::new()
        }
        ListOutput::Table | ListOutput::Wide => {
            let wide = args.output == ListOutput::Wide;
            let text = shown(&jobs, &live, args, wide, now);
            with_colours(&text, &jobs, colour.is_on())
        }
    })
}

fn shown(
    jobs: &[Job],
    live: &HashMap<usize, Live>,
    args: &ListArgs,
    wide: bool,
    now: Timestamp,
) -> String {
    let mut head = if args.all_namespaces { vec!["NAMESPACE"] } else { Vec::new() };
    head.extend(["NAME", "VERDICT", "STATE", "PARALLELISM", "RESTARTS", "CHECKPOINT", "AGE"]);
    if args.live {
        head.extend(["ROWS/S", "BEHIND"]);
    }
    if wide {
        head.extend(["READY", "REVISION", "SAVEPOINT"]);
    }
    head.push("WHY");
    let none = || "–".to_owned();
    let row = |(at, job): (usize, &Job)| {
        let status = &job.status;
        let mut row = if args.all_namespaces { vec![job.namespace.clone()] } else { Vec::new() };
        row.extend([
            job.name.clone(),
            job.verdict.word().to_owned(),
            job.state(),
            job.parallelism(),
            status.restarts.unwrap_or(0).to_string(),
            job.checkpoint_age(now).map_or_else(none, duration),
            job.age(now).map_or_else(none, duration),
        ]);
        let live = live.get(&at);
        if args.live {
            row.push(live.map_or_else(none, |live| rate(live.in_rate)));
            row.push(live.and_then(|live| live.behind_s).map_or_else(none, duration));
        }
        if wide {
            let workers = status.workers.as_ref();
            row.extend([
                workers.map_or_else(none, |it| format!("{}/{}", it.ready, it.replicas)),
                status.revisions.as_ref().and_then(|it| it.current.clone()).unwrap_or_else(none),
                status.last_savepoint.as_ref().map_or_else(none, |it| it.name.clone()),
            ]);
        }
        let found = live.and_then(|live| live.finding.as_ref()).map(|(_, text)| text.clone());
        let why = Some(job.reason.clone()).filter(|why| !why.is_empty()).or(found);
        let most = if wide { usize::MAX } else { REASON };
        row.push(first_line(&why.unwrap_or_default(), most));
        row
    };
    table(&head, &jobs.iter().enumerate().map(row).collect::<Vec<_>>())
}

/// The words of verdicts in their colours.
fn with_colours(text: &str, jobs: &[Job], is_on: bool) -> String {
    // Names before that column have characters of one byte.
    let column = text.find("VERDICT").unwrap_or(0);
    let verdicts = std::iter::once(None).chain(jobs.iter().map(|job| Some(job.verdict)));
    let line = |(line, verdict): (&str, Option<Verdict>)| {
        let word = verdict.map_or("", Verdict::word);
        let parts = line.split_at_checked(column);
        let parts = parts.and_then(|(before, rest)| Some((before, rest.strip_prefix(word)?)));
        match (parts, verdict) {
            (Some((before, rest)), Some(verdict)) => {
                format!("{before}{}{rest}\n", coloured(word, verdict.colour(), is_on))
            }
            _ => format!("{line}\n"),
        }
    };
    text.lines().zip(verdicts).map(line).collect()
}
