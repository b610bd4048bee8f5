//! `events`: what happened to a job, its sets and its pods, in the order in which it happened.

use std::collections::{HashMap, VecDeque};

use anyhow::Context;
use clap::Args;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use weir_operator::clock::Clock;
use weir_page::words::time_of_day;

use crate::Output;
use crate::ask::Cluster;
use crate::out::{Colour, coloured, in_json, print, print_json, safe, table};
use crate::watch::Watch;

/// Events of a job that are known to have been shown; Kubernetes forgets them after an hour.
const REMEMBERED: usize = 10_000;
/// Digits of a revision.
const REVISION: usize = 8;

/// `events`.
#[derive(Debug, Args)]
pub(crate) struct EventArgs {
    /// Its name.
    #[arg(value_parser = crate::ask::job_name)]
    job: String,
    /// Go on with what happens from now on, until Ctrl-C.
    #[arg(short, long)]
    watch: bool,
    /// Only warnings.
    #[arg(long)]
    warnings: bool,
    /// How to show them.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Whether an object of this kind and name is the job or one of its own: everything that it runs by
/// is named after it and a revision.
fn concerns(job: &str, kind: &str, name: &str) -> bool {
    if kind == "StreamJob" {
        return name == job;
    }
    let Some(rest) = name.strip_prefix(job).and_then(|rest| rest.strip_prefix('-')) else {
        return false;
    };
    let one_shot = ["plan-", "state-"].iter().find_map(|word| rest.strip_prefix(word));
    let rest = one_shot.unwrap_or(rest);
    if ["workers", "coordinator"].contains(&rest) {
        return true;
    }
    let (revision, ordinal) = rest.split_once('-').map_or((rest, None), |(r, o)| (r, Some(o)));
    revision.len() == REVISION
        && revision.bytes().all(|b| b.is_ascii_hexdigit())
        && ordinal.is_none_or(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit()))
}

fn is_of(job: &str, event: &Value) -> bool {
    let object = &event["involvedObject"];
    let text = |key: &str| object[key].as_str().unwrap_or_default();
    concerns(job, text("kind"), text("name"))
}

/// When it happened last.
fn at(event: &Value) -> Timestamp {
    let times = [
        &event["series"]["lastObservedTime"],
        &event["lastTimestamp"],
        &event["eventTime"],
        &event["firstTimestamp"],
        &event["metadata"]["creationTimestamp"],
    ];
    let time = times.into_iter().find_map(|time| time.as_str()?.parse().ok());
    time.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Events of a job and what belongs to it, the oldest first.
pub(crate) fn of_job(cluster: &Cluster, job: &str) -> anyhow::Result<Vec<Value>> {
    let mut events = cluster.list(&["get", "events"])?;
    events.retain(|event| is_of(job, event));
    events.sort_by_key(at);
    Ok(events)
}

fn row(event: &Value, now: Timestamp) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &event["involvedObject"];
    let kind = match text(&object["kind"]).as_str() {
        "StreamJob" => "job".to_owned(),
        other => format!("{}/{}", other.to_lowercase(), text(&object["name"])),
    };
    let times = event["series"]["count"].as_u64().or(event["count"].as_u64()).unwrap_or(1);
    let mut message = text(&event["message"]);
    if times > 1 {
        message.push_str(&format!(" (×{times})"));
    }
    let millis = |time: Timestamp| u64::try_from(time.as_millisecond()).unwrap_or(0);
    let when = time_of_day(millis(at(event)), millis(now));
    vec![when, text(&event["type"]), text(&event["reason"]), kind, message]
}

pub(crate) fn run(cluster: &Cluster, args: &EventArgs, colour: Colour) -> anyhow::Result<u8> {
    let wanted = |event: &Value| !args.warnings || event["type"] == "Warning";
    let mut events = of_job(cluster, &args.job)?;
    let mut seen = Shown::default();
    events.retain(|event| seen.is_news(event) && wanted(event));
    let now = Clock::system().now();
    if args.output == Output::Json && !args.watch {
        print_json(&json!({"apiVersion": "v1", "kind": "List", "items": events}))?;
        return Ok(0);
    }
    if args.output == Output::Json {
        for event in &events {
            print(&format!("{}\n", in_json(&event.to_string())))?;
        }
    } else if events.is_empty() {
        let job = &args.job;
        eprintln!(
            "{job}: nothing is known to have happened; Kubernetes forgets events after an hour"
        );
    } else {
        let rows: Vec<_> = events.iter().map(|event| row(event, now)).collect();
        let text = table(&["TIME (UTC)", "TYPE", "REASON", "OBJECT", "MESSAGE"], &rows);
        let warning = coloured("Warning", 33, colour.is_on());
        print(&text.replace("   Warning   ", &format!("   {warning}   ")))?;
    }
    if !args.watch {
        return Ok(0);
    }
    // It begins with what there is, so that nothing is missed that happened meanwhile.
    let mut watch = Watch::new(cluster, &["events"]);
    loop {
        let Some(event) = watch.next(None).context("events cannot be watched")? else { continue };
        if !is_of(&args.job, &event) || !seen.is_news(&event) || !wanted(&event) {
            continue;
        }
        match args.output {
            Output::Json => print(&format!("{}\n", in_json(&event.to_string())))?,
            Output::Text => {
                print(&format!("{}\n", safe(&row(&event, Clock::system().now())).join("   ")))?
            }
        }
    }
}

/// Events that were shown, the oldest first: by their UID, and in which version.
#[derive(Debug, Default)]
struct Shown {
    versions: HashMap<String, String>,
    order: VecDeque<String>,
}

impl Shown {
    /// Whether this is another one, or has happened once more. From now on it is none.
    fn is_news(&mut self, event: &Value) -> bool {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let of = &event["metadata"];
        let id = text(&of["uid"]).unwrap_or_else(|| event.to_string());
        let version = text(&of["resourceVersion"]).unwrap_or_default();
        match self.versions.insert(id.clone(), version.clone()) {
            Some(before) => before != version,
            None => {
                self.order.push_back(id);
                if self.order.len() > REMEMBERED
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.versions.remove(&oldest);
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_a_job_are_those_of_what_is_named_after_it_and_a_revision() {
        for (kind, name) in [
            ("StreamJob", "delays"),
            ("StatefulSet", "delays-0123abcd"),
            ("Pod", "delays-0123abcd-12"),
            ("Pod", "delays-plan-0123abcd"),
            ("PodDisruptionBudget", "delays-workers"),
        ] {
            assert!(concerns("delays", kind, name), "{name}");
        }
        for (kind, name) in [
            ("StreamJob", "delays-0123abcd"),
            ("Pod", "delays"),
            ("Pod", "delays-web-0"),
            ("Pod", "delays-0123abcd-89abcdef-0"),
            ("Pod", "delays2-0123abcd-0"),
            ("Pod", "delays-0123abcd-"),
        ] {
            assert!(!concerns("delays", kind, name), "{name}");
        }
    }

    #[test]
    fn an_event_happened_when_it_was_seen_last() {
        let event = json!({
            "eventTime": "2026-01-01T00:00:00.5Z", "lastTimestamp": null, "type": "Warning",
            "series": {"count": 4, "lastObservedTime": "2026-01-01T00:02:07Z"},
            "reason": "BackOff", "message": "restarting", "metadata": {},
            "involvedObject": {"kind": "Pod", "name": "delays-0123abcd-0"},
        });
        let now = "2026-01-01T09:00:00Z".parse().unwrap();
        let shown = row(&event, now).join("|");
        assert_eq!(shown, "00:02:07|Warning|BackOff|pod/delays-0123abcd-0|restarting (×4)");
    }
}
