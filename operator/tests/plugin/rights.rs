//! The table of rights in the help of each command, against the calls that it makes.

use std::collections::BTreeSet;

use serde_json::json;
use weir_protocol::view::Snapshot;

use crate::fake::{Fake, coordinates, job, pod};

type Rights = BTreeSet<(String, String)>;

fn right(resource: &str, verb: &str) -> (String, String) {
    (resource.to_owned(), verb.to_owned())
}

/// What kubectl needs for a call.
fn needed<'a>(call: &'a str) -> Rights {
    let words: Vec<&'a str> = call.split(' ').filter(|word| !word.starts_with("--n")).collect();
    let has = |flag: &str| words.contains(&flag);
    let of = |word: &'a str| word.split_once('/').map_or((word, None), |(r, n)| (r, Some(n)));
    let pairs: Vec<(&str, &str)> = match words[0] {
        "get" => {
            let (resource, name) = of(words[1]);
            assert!(words[2..].iter().all(|word| word.starts_with('-')), "a name alone: {call}");
            let mut pairs = vec![(resource, if name.is_some() { "get" } else { "list" })];
            if has("--watch") {
                pairs.push((resource, "watch"));
            }
            pairs
        }
        // It reads the object before it writes.
        "patch" => vec![(of(words[1]).0, "get"), (of(words[1]).0, "patch")],
        "apply" => {
            let resource = "streamjobs.weir.dev";
            vec![(resource, "get"), (resource, "patch"), (resource, "create")]
        }
        "create" => Vec::new(),
        "logs" => vec![("pods", "get"), ("pods/log", "get")],
        "port-forward" => vec![("pods", "get"), ("pods/portforward", "create")],
        _ => vec![("what does this need?", "unknown")],
    };
    pairs.into_iter().map(|(resource, verb)| right(resource, verb)).collect()
}

/// What the help of a command says.
fn said(fake: &Fake, command: &[&str]) -> Rights {
    let help = fake.weir(&[command, &["--help"]].concat()).well().out;
    let (_, table) = help.split_once("Rights").expect("a table of rights");
    let mut rights = Rights::new();
    for line in table.lines().skip(1) {
        let mut columns = line.trim().splitn(2, "  ");
        let resource = columns.next().unwrap_or_default();
        let verbs =
            columns.next().unwrap_or_default().trim().split("  ").next().unwrap_or_default();
        rights.extend(verbs.split(", ").map(|verb| right(resource, verb)));
    }
    rights
}

/// A cluster in which every command gets what it asks for.
fn cluster() -> Fake {
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "Running", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let done = |state: &str, more: &str| {
        let mut job = job("delays", state, &[]);
        job["metadata"]["generation"] = json!(4);
        job["status"]["observedGeneration"] = json!(4);
        job["status"]["conditions"] = json!([ready]);
        if more == "restarted" {
            job["status"]["revisions"] = json!({"current": "b", "target": "b"});
        }
        job.to_string()
    };
    // A watch that sees each state once: whichever is waited for comes.
    let all = [done("Suspended", ""), done("Drained", ""), done("Running", "restarted")].concat();
    let mut patched = job("delays", "Running", &[]);
    patched["metadata"]["generation"] = json!(4);
    let mut from_map = job("delays", "Running", &[]);
    from_map["spec"] = json!({
        "sqlFrom": {"configMapKeyRef": {"name": "programs", "key": "delays.sql"}}, "parallelism": 2,
    });
    from_map["metadata"]["annotations"] =
        json!({"weir.dev/resolved": "{\"image\":\"weir:1\",\"stateRoot\":\"s3://b\"}"});
    let mut asleep = job("asleep", "Suspended", &[]);
    asleep["spec"]["desiredState"] = json!("Suspended");
    let mut worker = pod(1, "Running");
    worker["status"]["containerStatuses"][0]["restartCount"] = json!(1);
    Fake::new()
        .prints("*get streamjobs.weir.dev/asleep --watch *", &all)
        .has("*get streamjobs.weir.dev/asleep *", &asleep)
        .prints("*get streamjobs.weir.dev/delays --watch *", &all)
        .has("*get configmaps/*", &json!({"data": {"delays.sql": "SELECT 1"}}))
        .does("*get streamjobs.weir.dev/delays --ignore-not-found --output=name", ":")
        .has("*get streamjobs.weir.dev/delays *", &from_map)
        .lists("*get streamjobs.weir.dev *", &[job("delays", "Running", &[])])
        .has("*create *", &from_map)
        .has("*apply *", &from_map)
        .has("*patch *", &patched)
        .does("*get events --watch *", "exit 1")
        .lists("*get events *", &[])
        .lists("*get pods *weir.dev/job=asleep*", &[])
        .lists("*get pods *", &[worker])
        .lists("*get *", &[])
        .prints("*logs *", "2026-01-01T00:00:00Z x\n")
        .forwards("*", coordinates(&Snapshot::default(), &[]))
}

#[test]
fn every_command_needs_the_rights_that_its_help_names_and_no_others() {
    let wait = ["--timeout", "5s"];
    let commands: [(&[&str], &[&[&str]]); 16] = [
        (&["list"], &[&[], &["--live"]]),
        (&["status"], &[&["delays"], &["asleep"]]),
        (&["events"], &[&["delays"], &["delays", "--watch"]]),
        (&["logs"], &[&["delays"]]),
        (&["plan"], &[&["-f", "job.yaml"]]),
        (&["suspend"], &[&["delays"]]),
        (&["resume"], &[&["asleep"]]),
        (&["drain"], &[&["delays"]]),
        (&["restart"], &[&["delays"]]),
        (&["scale"], &[&["delays", "4", "--no-wait"], &["delays", "2", "--watch"]]),
        (&["savepoint", "create"], &[&["delays", "--suspend"]]),
        (&["savepoint", "ls"], &[&[]]),
        (&["savepoint", "restore"], &[&["-f", "job.yaml", "--uid", "4be0"]]),
        (&["report"], &[&["delays", "-o", "/dev/null"]]),
        (&["version"], &[&[]]),
        (&["completion"], &[&["bash"]]),
    ];
    for (command, uses) in commands {
        let fake = cluster();
        let changes = ["suspend", "resume", "drain", "restart", "create", "restore"];
        for arguments in uses {
            let waits = changes.contains(command.last().unwrap());
            let wait: &[&str] = if waits { &wait } else { &[] };
            fake.weir(&[command, arguments, wait].concat());
        }
        let used: Rights = fake.calls().iter().flat_map(|call| needed(call)).collect();
        assert_eq!(said(&fake, command), used, "{command:?}: {:#?}", fake.calls());
    }
}

#[test]
fn what_is_looked_at_for_a_while_needs_what_its_help_names() {
    let expected = |pairs: &[(&str, &str)]| -> Rights {
        pairs.iter().map(|(resource, verb)| right(resource, verb)).collect()
    };
    let fake = Fake::new();
    let page = [("pods", "get"), ("pods", "list"), ("pods/portforward", "create")];
    assert_eq!(said(&fake, &["top"]), expected(&page));
    let all = [&page[..], &[("streamjobs.weir.dev", "list")]].concat();
    assert_eq!(said(&fake, &["ui"]), expected(&all));
}
