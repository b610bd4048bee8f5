//! `logs`: what all pods of a job write, in one stream, each line with its pod.

use std::collections::HashSet;
use std::io::{BufRead, IsTerminal};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::Value;
use weir_page::words::on_one_line;

use crate::ask::{Cluster, name_of, named, status_of};
use crate::out::{Colour, coloured, print};

/// How often new pods are looked for.
const LOOK: Duration = Duration::from_secs(2);
/// Of pods, in turn.
const COLOURS: [u8; 6] = [36, 35, 34, 33, 32, 31];

/// `logs`.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Its name.
    #[arg(value_parser = crate::ask::job_name)]
    job: String,
    /// Go on with what is written from now on, also by new pods, until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    /// Only lines that are younger than this, such as 10m.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// The last lines of each pod.
    #[arg(long, value_name = "N")]
    tail: Option<u64>,
    /// Lines of the process before the last restart of each pod.
    #[arg(short, long, conflicts_with = "follow")]
    previous: bool,
    /// Lines as the pods write them, without a prefix's colour or a readable form.
    #[arg(long)]
    raw: bool,
}

/// A pod whose lines are read.
#[derive(Clone, Debug)]
struct Pod {
    name: String,
    /// Which process of it: another one after a restart.
    process: String,
    /// Its process has begun, and so there is something to be read.
    has_begun: bool,
    /// What its lines begin with.
    prefix: String,
    colour: u8,
}

fn pods(cluster: &Cluster, job: &str) -> anyhow::Result<Vec<Pod>> {
    let coordinator = cluster.job(job).ok().and_then(|job| status_of(&job).coordinator);
    let coordinator = coordinator.map(|it| it.pod).unwrap_or_default();
    let listed = cluster.workers(job)?;
    let short = |name: &str| {
        let rest = name.strip_prefix(job).and_then(|rest| rest.strip_prefix('-'));
        let mark = if name == coordinator { "*" } else { " " };
        format!("{}{mark}", rest.unwrap_or(name))
    };
    let wide = listed.iter().map(|pod| short(name_of(pod)).len()).max().unwrap_or(0);
    let pods = listed.iter().enumerate().map(|(at, pod)| {
        let name = name_of(pod);
        let containers = pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
        let begun = |container: &Value| {
            let was = container["restartCount"].as_u64() > Some(0);
            was || ["running", "terminated"].iter().any(|it| container["state"][it].is_object())
        };
        let restarts = containers.iter().filter_map(|container| container["restartCount"].as_u64());
        Pod {
            name: name.to_owned(),
            process: format!("{}-{}", pod["metadata"]["uid"], restarts.sum::<u64>()),
            has_begun: containers.iter().any(begun),
            prefix: format!("{:<wide$}", on_one_line(&short(name))),
            colour: COLOURS[at % COLOURS.len()],
        }
    });
    Ok(pods.collect())
}

/// A line as people read it: the workers write JSON. What it says is somebody else's, and has no
/// effect on a terminal.
fn readable(line: &str) -> String {
    on_one_line(&told(line).unwrap_or_else(|| line.to_owned()))
}

fn told(line: &str) -> Option<String> {
    let said: Value = serde_json::from_str(line).ok()?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields = said.get("fields").and_then(Value::as_object)?;
    let time = said.get("timestamp").map(text).unwrap_or_default();
    // "2026-01-21T14:00:07.123456Z": the day of what is followed is today's.
    let time = time.get(11..23).unwrap_or(&time).to_owned();
    let level = said.get("level").map(text).unwrap_or_default();
    let message = fields.get("message").map(text).unwrap_or_default();
    let mut out = format!("{time} {level:<5} {message}");
    for (name, value) in fields.iter().filter(|(name, _)| *name != "message") {
        out.push_str(&format!(" {name}={}", text(value)));
    }
    Some(out)
}

/// Reads the lines of a pod and sends them on, each with the time that the cluster gave it.
fn follow(
    cluster: &Cluster,
    pod: &Pod,
    args: &LogArgs,
    is_new: bool,
    to: &Sender<(Pod, String, String)>,
) -> anyhow::Result<()> {
    let name = named("pod", &pod.name)?;
    let since = args.since.as_ref().map(|since| format!("--since={since}"));
    let tail = args.tail.map(|lines| format!("--tail={lines}"));
    let mut call = vec!["logs", &name, "--container=worker", "--timestamps"];
    call.extend(args.follow.then_some("--follow"));
    call.extend(args.previous.then_some("--previous"));
    // Of a process that began while we looked on everything is news.
    call.extend(since.as_deref().filter(|_| !is_new));
    call.extend(tail.as_deref().filter(|_| !is_new));
    let mut running = cluster.start(&call)?;
    for line in running.output()?.lines() {
        let line = line?;
        let (time, text) = line.split_once(' ').unwrap_or(("", &line));
        if to.send((pod.clone(), time.to_owned(), text.to_owned())).is_err() {
            return Ok(());
        }
    }
    running.wait().with_context(|| format!("the lines of {name} could not be read"))
}

pub(crate) fn run(cluster: &Cluster, args: &LogArgs, colour: Colour) -> anyhow::Result<u8> {
    let (colours, is_terminal) = (colour.is_on(), std::io::stdout().is_terminal());
    let mut pods_now = pods(cluster, &args.job)?;
    anyhow::ensure!(
        args.follow || pods_now.iter().any(|pod| pod.has_begun),
        "{}: no pod of such a job has begun; `kubectl weir list` lists the jobs, `kubectl weir events \
         {}` may tell why",
        args.job,
        args.job
    );
    let shown = |(pod, _, text): &(Pod, String, String)| {
        let prefix = coloured(&pod.prefix, pod.colour, colours);
        let text = match args.raw {
            // A terminal would act upon what stands in it; a file is to hold it.
            true if is_terminal => on_one_line(text),
            true => text.clone(),
            false => readable(text),
        };
        print(&format!("{prefix} {text}\n"))
    };
    if pods_now.iter().any(|pod| pod.prefix.contains('*')) {
        eprintln!("* coordinates the job");
    }
    let (to, lines) = mpsc::channel();
    if !args.follow {
        let reading: Vec<_> = pods_now
            .into_iter()
            .filter(|pod| pod.has_begun)
            .map(|pod| {
                let (cluster, to) = (cluster.clone(), to.clone());
                // Borrowed arguments would not outlive the thread.
                let args = LogArgs { job: args.job.clone(), since: args.since.clone(), ..*args };
                std::thread::spawn(move || follow(&cluster, &pod, &args, false, &to))
            })
            .collect();
        drop(to);
        let mut lines: Vec<_> = lines.into_iter().collect();
        for thread in reading {
            thread.join().map_err(|_| anyhow::anyhow!("a pod's lines could not be read"))??;
        }
        // RFC 3339 in UTC: the order of texts is that of times. Lines of one pod keep theirs.
        lines.sort_by(|a, b| a.1.cmp(&b.1));
        return lines.iter().try_for_each(shown).map(|()| 0);
    }
    let mut followed = HashSet::new();
    let mut is_new = false;
    loop {
        for pod in pods_now.into_iter().filter(|pod| pod.has_begun) {
            if followed.insert(pod.process.clone()) {
                let (cluster, to) = (cluster.clone(), to.clone());
                let args = LogArgs { job: args.job.clone(), since: args.since.clone(), ..*args };
                // What cannot be read has said why; the others go on.
                std::thread::spawn(move || follow(&cluster, &pod, &args, is_new, &to));
            }
        }
        is_new = true;
        let mut patience = LOOK;
        while let Ok(line) = lines.recv_timeout(patience) {
            shown(&line)?;
            patience = patience.saturating_sub(Duration::from_millis(1));
        }
        pods_now = pods(cluster, &args.job)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_is_shown_as_people_read_it() {
        let line = r#"{"timestamp":"2026-01-21T14:00:07.123456Z","level":"INFO","fields":{"message":"published","epoch":7},"target":"weir"}"#;
        assert_eq!(readable(line), "14:00:07.123 INFO  published epoch=7");
        for line in ["thread 'main' panicked", "{\"a\": 1}", "[1]", "\"x\""] {
            assert_eq!(readable(line), line);
        }
        let evil = r#"{"level":"INFO","fields":{"message":"a\u001b[2Jb","x":"\u009b1m"}}"#;
        assert_eq!(readable(evil), " INFO  a [2Jb x= 1m");
        assert_eq!(readable("a\x1b]0;t\x07"), "a ]0;t ");
    }
}
