//! `logs`: what all pods of a job write, in one stream, each line with its pod.

use std::collections::HashMap;
use std::io::{BufRead, IsTerminal};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use weir_operator::clock::Clock;
use weir_page::words::on_one_line;

use crate::ask::{Cluster, name_of, named, status_of};
use crate::out::{Colour, coloured, print, tell};

/// How often new pods, and streams that have ended, are looked for.
const LOOK: Duration = Duration::from_secs(2);
/// Lines of a pod that are read before they can be shown.
const QUEUE: usize = 1024;
/// Of pods, in turn.
const COLOURS: [u8; 6] = [36, 35, 34, 33, 32, 31];

/// `logs`.
#[derive(Clone, Debug, Args)]
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
    /// It has not ended, and so may write more.
    runs: bool,
    /// There was another before it.
    was_restarted: bool,
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
        let containers = pod["status"]["containerStatuses"].as_array();
        // Others stand beside it at times, whose lines nobody asked for.
        let worker = containers.and_then(|all| all.iter().find(|it| it["name"] == "worker"));
        let is = |state: &str| worker.is_some_and(|it| it["state"][state].is_object());
        let restarts = worker.and_then(|it| it["restartCount"].as_u64()).unwrap_or(0);
        Pod {
            name: name.to_owned(),
            process: format!("{}-{restarts}", pod["metadata"]["uid"]),
            has_begun: restarts > 0 || is("running") || is("terminated"),
            runs: is("running"),
            was_restarted: restarts > 0,
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

/// A line of a pod.
#[derive(Debug)]
struct Line {
    pod: Pod,
    /// When it was written, as the cluster says.
    time: String,
    text: String,
}

impl Line {
    /// Of a node in another zone it is another text.
    fn at(&self) -> Option<Timestamp> {
        self.time.parse().ok()
    }
}

/// Since which line on.
#[derive(Clone, Default, Debug)]
enum Since {
    /// As the command's flags say.
    #[default]
    Asked,
    /// Everything: of a process that began while we looked on all is news.
    Start,
    /// What was written after this, of which there may be more of the same moment.
    After(String),
}

/// Reads the lines of a pod and sends them on.
fn read(
    cluster: &Cluster,
    pod: &Pod,
    args: &LogArgs,
    since: &Since,
    mut send: impl FnMut(Line) -> bool,
) -> anyhow::Result<()> {
    let name = named("pod", &pod.name)?;
    let mut call = vec!["logs".to_owned(), name.clone(), "--container=worker".to_owned()];
    call.push("--timestamps".to_owned());
    call.extend(args.follow.then(|| "--follow".to_owned()));
    call.extend(args.previous.then(|| "--previous".to_owned()));
    match since {
        Since::Asked => {
            call.extend(args.since.as_ref().map(|since| format!("--since={since}")));
            call.extend(args.tail.map(|lines| format!("--tail={lines}")));
        }
        Since::Start => {}
        Since::After(time) => call.push(format!("--since-time={time}")),
    }
    let after = match since {
        Since::After(time) => time.parse::<Timestamp>().ok(),
        Since::Asked | Since::Start => None,
    };
    let call: Vec<&str> = call.iter().map(String::as_str).collect();
    let mut running = cluster.start(&call)?;
    for line in running.output()?.split(b'\n') {
        // A pod may write anything, also what is no text.
        let line = String::from_utf8_lossy(&line?).into_owned();
        let (time, text) = line.split_once(' ').unwrap_or(("", &line));
        let line = Line { pod: pod.clone(), time: time.to_owned(), text: text.to_owned() };
        if after.is_some() && line.at() <= after {
            continue;
        }
        if !send(line) {
            return Ok(());
        }
    }
    running.wait().with_context(|| format!("the lines of {name} could not be read"))
}

/// Shows a line.
struct Shows {
    colours: bool,
    is_terminal: bool,
    raw: bool,
}

impl Shows {
    fn line(&self, line: &Line) -> anyhow::Result<()> {
        let prefix = coloured(&line.pod.prefix, line.pod.colour, self.colours);
        let text = match self.raw {
            // A terminal would act upon what stands in it; a file is to hold it.
            true if self.is_terminal => on_one_line(&line.text),
            true => line.text.clone(),
            false => readable(&line.text),
        };
        print(&format!("{prefix} {text}\n"))
    }
}

pub(crate) fn run(cluster: &Cluster, args: &LogArgs, colour: Colour) -> anyhow::Result<u8> {
    let is_terminal = std::io::stdout().is_terminal();
    let shows = Shows { colours: colour.is_on(), is_terminal, raw: args.raw };
    let mut pods = pods(cluster, &args.job)?;
    let job = &args.job;
    anyhow::ensure!(
        args.follow || pods.iter().any(|pod| pod.has_begun),
        "{job}: no pod of such a job has begun; `kubectl weir list` lists the jobs, `kubectl weir events \
         {job}` may tell why"
    );
    if args.previous {
        pods.retain(|pod| pod.was_restarted);
        anyhow::ensure!(
            !pods.is_empty(),
            "{job}: no worker was restarted in its pod, so there are no lines from before; without \
             --previous there are those of the present ones"
        );
    }
    if pods.iter().any(|pod| pod.prefix.contains('*')) {
        tell("* coordinates the job");
    }
    match args.follow {
        true => follow(cluster, args, pods, &shows),
        false => {
            pods.retain(|pod| pod.has_begun);
            merge(cluster, args, pods, &shows)
        }
    }
}

/// Shows what there is, in the order of time. Lines of one pod keep theirs.
fn merge(cluster: &Cluster, args: &LogArgs, pods: Vec<Pod>, shows: &Shows) -> anyhow::Result<u8> {
    let begin = |pod: Pod| {
        let (cluster, args) = (cluster.clone(), args.clone());
        let (to, lines) = mpsc::sync_channel(QUEUE);
        let reading = std::thread::spawn(move || {
            read(&cluster, &pod, &args, &Since::Asked, |line| to.send(line).is_ok())
        });
        (lines, reading)
    };
    let (lines, reading): (Vec<_>, Vec<_>) = pods.into_iter().map(begin).unzip();
    let mut next: Vec<Option<Line>> = lines.iter().map(|lines| lines.recv().ok()).collect();
    let first = |next: &[Option<Line>]| {
        let times = next.iter().enumerate().filter_map(|(i, line)| Some((line.as_ref()?.at(), i)));
        times.min().map(|(_, i)| i)
    };
    while let Some(i) = first(&next) {
        if let Some(line) = std::mem::replace(&mut next[i], lines[i].recv().ok()) {
            shows.line(&line)?;
        }
    }
    let mut code = 0;
    for thread in reading {
        // The others were shown all the same.
        if let Ok(Err(why)) = thread.join() {
            tell(&format!("{why:#}"));
            code = 1;
        }
    }
    Ok(code)
}

/// What is known of a process whose lines are followed.
#[derive(Debug, Default)]
struct Followed {
    is_read: bool,
    /// From where it is read that has shown no line yet.
    begun: Since,
    /// How often it was read after it had ended.
    tries_after_end: u8,
    /// The time of its newest line.
    until: Option<String>,
    /// Why it could not be read, as it was told.
    told: String,
}

/// Tries to read what one that has ended wrote last.
const TRIES: u8 = 3;

/// Shows what is written from now on, also by pods that come later. The API server ends each stream
/// after some hours, and kubelet when it turns a log over: they go on where they ended.
fn follow(
    cluster: &Cluster,
    args: &LogArgs,
    mut pods: Vec<Pod>,
    shows: &Shows,
) -> anyhow::Result<u8> {
    enum News {
        Line(Line),
        Ended(String, anyhow::Result<()>),
    }
    let clock = Clock::system();
    let (to, news) = mpsc::sync_channel(QUEUE);
    let mut followed: HashMap<String, Followed> = HashMap::new();
    let mut since = Since::Asked;
    let mut silent = String::new();
    loop {
        for pod in pods.iter().filter(|pod| pod.has_begun) {
            let known = followed.get(&pod.process);
            // One that has ended was read to its end, unless that failed.
            let is_whole = |it: &Followed| it.told.is_empty() || it.tries_after_end >= TRIES;
            if known.is_some_and(|it| it.is_read || !pod.runs && is_whole(it)) {
                continue;
            }
            let it = followed
                .entry(pod.process.clone())
                .or_insert_with(|| Followed { begun: since.clone(), ..Followed::default() });
            it.is_read = true;
            it.tries_after_end += u8::from(!pod.runs);
            let since = it.until.clone().map_or(it.begun.clone(), Since::After);
            let (cluster, args, pod, to) = (cluster.clone(), args.clone(), pod.clone(), to.clone());
            std::thread::spawn(move || {
                let send = |line| to.send(News::Line(line)).is_ok();
                let ended = read(&cluster, &pod, &args, &since, send);
                // Nobody may listen any more.
                let _ = to.send(News::Ended(pod.process, ended));
            });
        }
        since = Since::Start;
        let until = clock.elapsed() + LOOK;
        loop {
            let left = until.saturating_sub(clock.elapsed());
            match news.recv_timeout(left) {
                Ok(News::Line(line)) => {
                    shows.line(&line)?;
                    if let Some(it) = followed.get_mut(&line.pod.process) {
                        it.until = Some(line.time).filter(|time| !time.is_empty());
                    }
                }
                Ok(News::Ended(process, ended)) => {
                    let Some(it) = followed.get_mut(&process) else { continue };
                    it.is_read = false;
                    let why = ended.err().map_or_else(String::new, |why| format!("{why:#}"));
                    if !why.is_empty() && why != it.told {
                        tell(&why);
                    }
                    it.told = why;
                }
                Err(_) => break,
            }
            // Lines that never cease must not keep us from looking.
            if left.is_zero() {
                break;
            }
        }
        match self::pods(cluster, &args.job) {
            Ok(found) => {
                pods = found;
                silent.clear();
                followed.retain(|process, it| {
                    it.is_read || pods.iter().any(|pod| pod.process == *process)
                });
            }
            // The streams may go on while the API server does not answer a question.
            Err(why) => {
                let why = format!("{why:#}");
                if why != silent {
                    tell(&format!("new pods are not seen: {why}"));
                }
                silent = why;
            }
        }
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
