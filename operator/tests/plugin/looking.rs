//! Commands that look and change nothing.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};
use weir_protocol::view::{Finding, JobView, Severity, Snapshot, TotalsView};

use crate::fake::{Fake, coordinates, follows, job, pod};

/// `delays` as its coordinator sees it.
fn snapshot() -> Snapshot {
    let finding = Finding {
        severity: Severity::Warning,
        place: "kafka flights".into(),
        cause: "is held back".into(),
        ..Finding::default()
    };
    let job = JobView { name: "delays".into(), state: "Running".into(), ..JobView::default() };
    let totals = TotalsView { in_rate: 1_000.0, ..TotalsView::default() };
    Snapshot { job, totals, findings: vec![finding], ..Snapshot::default() }
}

fn with_pods() -> Fake {
    let pods = [pod(1, "Running"), pod(0, "Running"), pod(2, "Pending")];
    Fake::new().lists("*get pods*weir.dev/job=delays,*", &pods)
}

#[test]
fn status_finds_the_pod_that_coordinates_and_says_whether_the_job_is_well() {
    let snapshot = snapshot();
    let fake = with_pods()
        .forwards("delays-0123abcd-0", follows())
        .forwards("delays-0123abcd-1", coordinates(&snapshot, &[]))
        .forbids("*get pods*weir.dev/job=secret,*", "pods")
        .lists("*get pods*", &[]);
    let shown = fake.weir(&["status", "delays", "-n", "shop"]).well();
    assert!(shown.out.starts_with("delays   Running"), "{shown:?}");
    assert!(shown.out.contains("▲ kafka flights is held back"), "{shown:?}");
    assert_eq!(fake.weir(&["status", "delays", "--check"]).code, Some(4));
    let json = fake.weir(&["status", "delays", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Snapshot>(&json.out).unwrap(), snapshot);
    assert!(fake.calls()[0].starts_with("--namespace=shop get pods "), "{:?}", fake.calls());
    for (name, says) in [("none", "no pod of such a job runs"), ("secret", "pods is forbidden")] {
        let refused = fake.weir(&["status", name]);
        assert!(refused.code == Some(1) && refused.err.contains(says), "{refused:?}");
    }
    // A pod that cannot be reached is no reason not to ask the others.
    let one = with_pods()
        .does("*port-forward pod/delays-0123abcd-0 *", "echo 'no node' >&2; exit 1")
        .forwards("delays-0123abcd-1", coordinates(&snapshot, &[]));
    assert!(one.weir(&["status", "delays"]).well().out.starts_with("delays   Running"));
    let gone = with_pods().does("*port-forward *", "echo 'no node' >&2; exit 1");
    let gone = gone.weir(&["status", "delays"]);
    assert!(gone.err.contains("none of its 2 pods") && gone.err.contains("no node"), "{gone:?}");
    // Who may not reach a pod reaches none of them, and is told who can change that.
    let words = "error: error upgrading connection: pods \"delays-0123abcd-0\" is forbidden: User \
                 \"ann\" cannot create resource \"pods/portforward\"";
    let barred = with_pods().does("*port-forward *", &format!("echo '{words}' >&2; exit 1"));
    let barred = barred.weir(&["status", "delays"]).err;
    assert!(barred.contains("ClusterRole whose name ends in -pages"), "{barred}");
    assert!(!barred.contains("none of its 2 pods"), "{barred}");
    let alone = with_pods().forwards("*", follows()).weir(&["status", "delays"]);
    let says = "none of its 2 pods coordinates it now: coordinated by another";
    assert!(alone.err.contains(says), "{alone:?}");
}

#[test]
fn status_of_a_job_that_does_not_run_says_what_its_resource_says() {
    let mut asleep = job("delays", "Suspended", &[("SpecAccepted", "True", "")]);
    asleep["status"]["lastSavepoint"] = json!({"name": "op-1", "path": "s3://b/savepoints/op-1"});
    let fake =
        Fake::new().lists("get pods *", &[]).has("get streamjobs.weir.dev/delays *", &asleep);
    let shown = fake.weir(&["status", "delays", "--check"]).well();
    assert!(shown.out.starts_with("delays   Suspended   at rest\n"), "{shown:?}");
    assert!(shown.out.contains("savepoint    op-1  s3://b/savepoints/op-1\n"), "{shown:?}");
}

#[test]
fn a_list_has_the_worst_job_first_and_its_reason() {
    let jobs = [
        job("well", "Running", &[("Ready", "True", "")]),
        job("bad", "Running", &[("Stalled", "True", "sql:9:14: no column \"dist\"\n  9 | SELECT")]),
        job("asleep", "Suspended", &[("SpecAccepted", "True", "")]),
    ];
    let fake = Fake::new()
        .lists("*get streamjobs.weir.dev*", &jobs)
        .forwards("delays-0123abcd-1", coordinates(&snapshot(), &[]));
    let shown = fake.weir(&["list"]).well().out;
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("NAME     VERDICT   STATE"), "{shown}");
    assert!(lines[1].starts_with("bad      stalled   Running     2             1"), "{shown}");
    assert!(lines[1].ends_with("sql:9:14: no column \"dist\""), "{shown}");
    assert!(lines[2].starts_with("well     well ") && lines[3].starts_with("asleep   at rest"));
    assert!(!shown.contains('\x1b'), "no colours where nobody looks: {shown}");
    assert!(fake.weir(&["list", "--color=always"]).out.contains("\x1b[31mstalled\x1b[0m"));
    let names = fake.weir(&["list", "-A", "-o", "name"]).well().out;
    assert_eq!(names.lines().next(), Some("streamjob.weir.dev/bad"));
    assert!(fake.calls().last().unwrap().contains("--all-namespaces"), "{:?}", fake.calls());
    let json = fake.weir(&["list", "-o", "json", "--live"]).well().json();
    assert_eq!(json["items"][0]["verdict"], "stalled");
    assert_eq!(json["items"][1]["checkpoint"]["epoch"], 12);
    assert_eq!(json["items"][1]["live"]["rowsInPerSecond"], 1_000.0);
    let live = fake.weir(&["list", "--live", "-o", "wide"]).well().out;
    assert!(live.lines().nth(2).unwrap().ends_with("kafka flights is held back"), "{live}");
}

fn event(kind: &str, name: &str, at: &str, reason: &str) -> Value {
    json!({
        "involvedObject": {"kind": kind, "name": name}, "lastTimestamp": at, "reason": reason,
        "type": "Normal", "message": format!("{reason} happened"), "metadata": {},
    })
}

#[test]
fn events_are_those_of_the_job_and_its_pods_in_order() {
    let events = [
        event("Pod", "delays-0123abcd-0", "2026-01-01T00:00:02Z", "Started"),
        event("Pod", "other-0123abcd-0", "2026-01-01T00:00:02Z", "Elsewhere"),
        event("StreamJob", "delays", "2026-01-01T00:00:07Z", "Rescaled"),
        event("StreamJob", "delays", "2026-01-01T00:00:01Z", "Recovered"),
    ];
    let fake = Fake::new().lists("*get events*", &events);
    let shown = fake.weir(&["events", "delays"]).well().out;
    let reasons: Vec<&str> =
        shown.lines().skip(1).filter_map(|line| line.split_whitespace().nth(4)).collect();
    assert_eq!(reasons, ["Recovered", "Started", "Rescaled"], "{shown}");
    let json = fake.weir(&["events", "delays", "-o", "json"]).well().json();
    assert_eq!(json["items"].as_array().map(Vec::len), Some(3));
}

#[test]
fn events_that_are_watched_are_all_shown_once_over_several_watches() {
    let at = |id: u32, version: u32, reason: &str| {
        let mut event = event("StreamJob", "delays", "2026-01-01T00:01:00Z", reason);
        event["metadata"] = json!({"uid": id.to_string(), "resourceVersion": version.to_string()});
        event
    };
    let texts = |events: &[Value]| events.iter().map(Value::to_string).collect::<String>();
    let other = event("Pod", "other-0123abcd-0", "2026-01-01T00:00:02Z", "Elsewhere");
    let mut fake = Fake::new();
    // Meanwhile happened before it was begun; it ends, fails, and is begun again.
    let first = fake.file(&texts(&[at(1, 1, "Old"), at(2, 2, "Meanwhile"), other]));
    let then = fake.file(&texts(&[at(2, 2, "Meanwhile"), at(2, 3, "Again"), at(3, 4, "New")]));
    let times = fake.file("");
    let script = format!(
        "echo >>'{0}'; case $(wc -l <'{0}') in 1) cat '{1}';; 2) echo 'no route' >&2; exit 1;; \
         *) cat '{2}'; exec sleep 30;; esac",
        times.display(),
        first.display(),
        then.display()
    );
    let fake = fake
        .does("*get events --watch *", &script)
        .lists("*get events*", std::slice::from_ref(&at(1, 1, "Old")));
    let mut command = fake.command(&["events", "delays", "--watch"]);
    let mut watching = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines().skip(1).take(4);
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    let reasons: Vec<&str> =
        lines.iter().filter_map(|line| line.split_whitespace().nth(4)).collect();
    watching.kill().unwrap();
    let said = watching.wait_with_output().unwrap().stderr;
    assert_eq!(reasons, ["Old", "Meanwhile", "Again", "New"], "{lines:?}");
    assert!(String::from_utf8_lossy(&said).contains("asked again: no route"), "{said:?}");
    let never = Fake::new().lists("*get events --output*", &[]).forbids("*--watch*", "events");
    let said = never.weir(&["events", "delays", "--watch"]);
    assert!(said.code == Some(1) && said.err.contains("events cannot be watched"), "{said:?}");
}

#[test]
fn what_is_watched_is_looked_at_again_when_the_cluster_was_away() {
    let mut fake = Fake::new();
    let list = |job: Value| json!({"items": [job]}).to_string();
    let first = fake.file(&list(job("delays", "Starting", &[("Reconciling", "True", "")])));
    let then = fake.file(&list(job("delays", "Running", &[("Ready", "True", "")])));
    let times = fake.file("");
    let script = format!(
        "echo >>'{0}'; case $(wc -l <'{0}') in 1) cat '{1}';; 2) echo 'no route' >&2; exit 1;; \
         *) cat '{2}';; esac",
        times.display(),
        first.display(),
        then.display()
    );
    let fake = fake.does("get streamjobs.weir.dev *", &script);
    let mut command = fake.command(&["list", "-w"]);
    let mut watching = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines().take(4);
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(lines[1].contains("changing") && lines[3].contains("well"), "{lines:?}");
    watching.kill().unwrap();
    let said = watching.wait_with_output().unwrap().stderr;
    assert!(String::from_utf8_lossy(&said).contains("it is as it was: no route"), "{said:?}");
}

#[test]
fn logs_of_all_pods_are_merged_by_time_and_name_their_pod() {
    let line = |at: u32, text: &str| format!("2026-01-01T00:00:0{at}.000000000Z {text}\n");
    let said = r#"{"timestamp":"2026-01-01T00:00:02.500000Z","level":"INFO","fields":{"message":"published","epoch":7},"target":"weir"}"#;
    let fake = with_pods()
        .has("get streamjobs.weir.dev/delays *", &job("delays", "Running", &[]))
        .prints("logs pod/delays-0123abcd-0 *", &(line(1, "first") + &line(3, "third")))
        .prints("logs pod/delays-0123abcd-1 *", &line(2, said));
    let shown = fake.weir(&["logs", "delays", "--since=5m", "--tail", "9"]).well();
    let expected =
        "0123abcd-0  first\n0123abcd-1* 00:00:02.500 INFO  published epoch=7\n0123abcd-0  third\n";
    assert_eq!(shown.out, expected);
    assert_eq!(shown.err, "* coordinates the job\n");
    let calls = fake.calls();
    let logs: Vec<&String> = calls.iter().filter(|call| call.starts_with("logs ")).collect();
    assert_eq!(logs.len(), 2, "the third pod has not begun: {calls:?}");
    assert!(logs.iter().all(|call| call.ends_with("--timestamps --since=5m --tail=9")), "{logs:?}");
    assert!(fake.weir(&["logs", "delays", "--raw"]).out.contains(said));
    let none = Fake::new().lists("get pods *", &[]).weir(&["logs", "delays"]);
    assert!(
        none.code == Some(1) && none.err.contains("no pod of such a job has begun"),
        "{none:?}"
    );
}

#[test]
fn logs_that_are_followed_go_on_with_pods_that_come_later() {
    let mut fake =
        Fake::new().has("get streamjobs.weir.dev/delays *", &job("delays", "Running", &[]));
    let list = |pods: &[Value]| json!({"items": pods}).to_string();
    let first = fake.file(&list(&[pod(0, "Running")]));
    let then = fake.file(&list(&[pod(0, "Running"), pod(1, "Running")]));
    let script = format!(
        "if [ -e '{0}.seen' ]; then cat '{1}'; else touch '{0}.seen'; cat '{0}'; fi",
        first.display(),
        then.display()
    );
    let fake = fake
        .does("get pods *", &script)
        .does("logs pod/delays-0123abcd-0 *", "echo '2026-01-01T00:00:00Z early'; exec sleep 30")
        .does("logs pod/delays-0123abcd-1 *", "echo '2026-01-01T00:00:00Z late'; exec sleep 30");
    let mut command = fake.command(&["logs", "delays", "-f", "--tail", "1"]);
    let mut following = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(following.stdout.take().unwrap()).lines().take(2);
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(lines, ["0123abcd-0  early", "0123abcd-1* late"]);
    following.kill().unwrap();
    following.wait().unwrap();
    let logs: Vec<String> = fake.calls().into_iter().filter(|it| it.starts_with("logs")).collect();
    assert!(logs[0].contains("--follow --tail=1"), "{logs:?}");
    assert!(logs.len() == 2 && !logs[1].contains("--tail"), "all of it is news: {logs:?}");
}

#[test]
fn logs_of_before_are_those_of_workers_that_were_restarted() {
    let mut again = pod(0, "Running");
    let sidecar = json!({"name": "proxy", "restartCount": 5, "state": {"running": {}}});
    let mut once = pod(1, "Running");
    for pod in [&mut again, &mut once] {
        pod["status"]["containerStatuses"].as_array_mut().unwrap().insert(0, sidecar.clone());
    }
    again["status"]["containerStatuses"][1]["restartCount"] = json!(1);
    let fake = Fake::new()
        .lists("get pods *job=calm,*", std::slice::from_ref(&once))
        .lists("get pods *", &[again, once])
        .prints("logs pod/delays-0123abcd-0 *--previous*", "2026-01-01T00:00:00Z before\n")
        .does("logs *", "echo 'previous terminated container not found' >&2; exit 1");
    let said = fake.weir(&["logs", "delays", "--previous"]).well();
    assert_eq!((said.out.as_str(), said.err.as_str()), ("0123abcd-0  before\n", ""), "{said:?}");
    let none = fake.weir(&["logs", "calm", "--previous"]);
    assert!(none.code == Some(1) && none.err.contains("no worker was restarted"), "{none:?}");
}

#[test]
fn logs_are_shown_whatever_bytes_they_hold_and_whatever_pod_cannot_be_read() {
    let bytes = r"printf '2026-01-01T00:00:01.5Z a\377b\n2026-01-01T02:00:03+02:00 c\n'";
    let fake = with_pods().does("logs pod/delays-0123abcd-0 *", bytes).does(
        "logs pod/delays-0123abcd-1 *",
        "echo '2026-01-01T00:00:02Z till here'; echo 'no node' >&2; exit 1",
    );
    let said = fake.weir(&["logs", "delays"]);
    assert_eq!(said.out, "0123abcd-0  a\u{fffd}b\n0123abcd-1  till here\n0123abcd-0  c\n");
    let says = "the lines of pod/delays-0123abcd-1 could not be read: no node\n";
    assert_eq!((said.code, said.err.as_str()), (Some(1), says), "{said:?}");
}

#[test]
fn logs_that_are_followed_go_on_behind_an_ended_stream_and_beside_one_that_never_ceases() {
    let mut fake = Fake::new();
    let list = |pods: &[Value]| json!({"items": pods}).to_string();
    let first = fake.file(&list(&[pod(0, "Running"), pod(1, "Running")]));
    let all = [pod(0, "Running"), pod(1, "Running"), pod(2, "Running")];
    let then = fake.file(&list(&all));
    let script = format!(
        "if [ -e '{0}.seen' ]; then cat '{1}'; else touch '{0}.seen'; cat '{0}'; fi",
        first.display(),
        then.display()
    );
    let line = |at: u32, text: &str| format!("2026-01-01T00:00:0{at}.000000000Z {text}");
    let again = format!("printf '%s\\n' '{}' '{}'; exec sleep 30", line(1, "one"), line(2, "two"));
    let fake = fake
        .does("get pods *", &script)
        .does("logs pod/delays-0123abcd-0 *--since-time=2026-01-01T00:00:01.000000000Z*", &again)
        .does("logs pod/delays-0123abcd-0 *", &format!("echo '{}'; exit 1", line(1, "one")))
        .does(
            "logs pod/delays-0123abcd-1 *",
            "while :; do echo '2026-01-01T00:00:00Z on'; sleep 0.02; done",
        )
        .does("logs pod/delays-0123abcd-2 *", &format!("echo '{}'; exec sleep 30", line(3, "new")));
    let mut command = fake.command(&["logs", "delays", "-f", "--tail", "1"]);
    let mut following = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(following.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut seen = Vec::new();
    // At fifty lines a second: long before those are shown.
    for line in lines.take(1_000).filter(|line| !line.ends_with(" on")) {
        seen.push(line);
        if seen.len() == 3 {
            break;
        }
    }
    following.kill().unwrap();
    following.wait().unwrap();
    seen.sort();
    assert_eq!(seen, ["0123abcd-0  one", "0123abcd-0  two", "0123abcd-2  new"]);
}

#[test]
fn a_list_that_is_watched_is_printed_again_when_it_has_changed() {
    let mut fake = Fake::new();
    let list = |job: Value| json!({"items": [job]}).to_string();
    let first = fake.file(&list(job("delays", "Starting", &[("Reconciling", "True", "")])));
    let then = fake.file(&list(job("delays", "Running", &[("Ready", "True", "")])));
    let script = format!(
        "if [ -e '{0}.seen' ]; then cat '{1}'; else touch '{0}.seen'; cat '{0}'; fi",
        first.display(),
        then.display()
    );
    let fake = fake.does("get streamjobs.weir.dev *", &script);
    let mut command = fake.command(&["list", "-w"]);
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines().take(4);
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(lines[1].contains("changing") && lines[3].contains("well"), "{lines:?}");
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn what_the_cluster_says_has_no_effect_on_a_terminal() {
    let evil = "bad\u{1b}]0;title\u{7}\u{9b}2J\u{1b}[31m";
    let mut said = snapshot();
    said.findings[0].cause = evil.into();
    said.findings[0].command = Some(evil.into());
    said.job.name = evil.into();
    let mut bad = job("delays", "Running", &[("Stalled", "True", evil)]);
    bad["status"]["lastSavepoint"] = json!({"name": "op-1", "path": evil});
    let mut happened = event("StreamJob", "delays", "2026-01-01T00:00:07Z", evil);
    happened["type"] = json!(evil);
    let line = json!({"level": "INFO", "fields": {"message": evil}});
    let fake = || {
        let refused = format!("printf '%s\\n' 'Error: {evil}' >&2; exit 1");
        Fake::new()
            .has("*get streamjobs.weir.dev/delays *", &bad)
            .does("*get streamjobs.weir.dev/broken *", &refused)
            .lists("*get streamjobs.weir.dev *", std::slice::from_ref(&bad))
            .lists("*get events*", std::slice::from_ref(&happened))
            .does("logs pod/delays-0123abcd-2 *", &refused)
            .prints(
                "logs *",
                &format!("2026-01-01T00:00:00Z {line}\n2026-01-01T00:00:01Z {evil}\n"),
            )
    };
    let running = fake()
        .lists("*get pods*job=broken*", &[pod(2, "Running")])
        .lists("*get pods*", &[pod(1, "Running")]);
    let running = running.forwards("delays-0123abcd-1", coordinates(&said, &[]));
    let silent = fake().lists("*get pods*", &[]);
    for (fake, command) in [
        (&running, &["status", "delays"][..]),
        (&silent, &["status", "delays"]),
        (&running, &["list"]),
        (&running, &["list", "-o", "wide", "--live"]),
        (&running, &["events", "delays"]),
        (&running, &["logs", "delays"]),
        (&running, &["savepoint", "ls"]),
        (&running, &["suspend", "broken"]),
        (&running, &["logs", "broken"]),
    ] {
        let said = fake.weir(command);
        let all = format!("{}{}", said.out, said.err);
        assert!(all.contains("bad ]0;title"), "{command:?}: {all:?}");
        assert!(all.chars().all(|c| c == '\n' || !c.is_control()), "{command:?}: {all:?}");
    }
    for command in [
        &["status", "delays", "-o", "json"][..],
        &["list", "-o", "json"],
        &["events", "delays", "-o", "json"],
        &["savepoint", "ls", "-o", "json"],
    ] {
        let said = running.weir(command).well();
        assert!(said.json().to_string().contains('\u{9b}'), "it says the same: {said:?}");
        assert!(said.out.chars().all(|c| c == '\n' || !c.is_control()), "{command:?}: {said:?}");
    }
}

#[test]
fn version_shows_what_may_be_seen_and_says_what_may_not() {
    let operator = json!({
        "metadata": {
            "name": "weir", "namespace": "weir", "labels": {"app.kubernetes.io/version": "9.0.0"},
        },
        "spec": {"template": {"spec": {"containers": [{"image": "weir-operator:9.0.0"}]}}},
    });
    let client = env!("CARGO_PKG_VERSION");
    let fake = Fake::new()
        .lists("get deployments.apps *", &[operator])
        .lists("get pods *", &[pod(0, "Running"), pod(1, "Running")]);
    let shown = fake.weir(&["version", "-A"]).well().out;
    let expected = format!(
        "client    {client}\noperator  9.0.0  weir-operator:9.0.0  weir/weir   another version than \
         this program's\njobs      weir:0.1.0  shop/delays\n"
    );
    assert_eq!(shown, expected);
    let fake =
        Fake::new().forbids("get deployments.apps *", "deployments.apps").lists("get pods *", &[]);
    let shown = fake.weir(&["version"]).well().out;
    assert!(shown.contains("operator  not seen: Error from server (Forbidden)"), "{shown}");
    assert!(shown.contains("jobs      none runs here"), "{shown}");
    let fake = Fake::new();
    assert_eq!(fake.weir(&["version", "--client"]).well().out, format!("client    {client}\n"));
    assert_eq!(fake.calls(), [""; 0], "nobody was asked");
}

#[test]
fn completion_knows_the_shells_and_answers_kubectl_with_jobs() {
    let fake = Fake::new().prints(
        "--namespace=shop get streamjobs.weir.dev --output=name",
        "streamjob.weir.dev/delays\nstreamjob.weir.dev/bids\n",
    );
    for (shell, word) in
        [("bash", "complete -F"), ("zsh", "#compdef kubectl-weir"), ("fish", "complete -c")]
    {
        let script = fake.weir(&["completion", shell]).well().out;
        assert!(script.contains(word), "{shell}");
    }
    assert_eq!(fake.weir(&["completion", "tcsh"]).code, Some(2));
    // As kubectl's own completion calls it.
    let link = fake.folder().join("kubectl_complete-weir");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kubectl-weir"), &link).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plugin/bin:/usr/bin:/bin");
    let answered = std::process::Command::new(link)
        .args(["status", "-n", "shop", "de"])
        .env("PATH", path)
        .env("FAKE", fake.folder())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&answered.stdout), "delays\n:4\n");
}
