//! Workers of a cluster as real processes: who coordinates, what they answer, how they end.

mod pods;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;
use weir_protocol::control::{
    CoordinatorReport, DrainRequest, OperationKind, OperationOutcome, RescaleRequest, RunState,
    SavepointRequest, job_end, operation,
};

use pods::{Pods, eventually, manifest, pod_uid};

/// At 1,500 a second enough for what a test does meanwhile: a silent coordinator takes longest, 7 s.
const ROWS: u64 = 20_000;

fn kill(process: i32, signal: Signal) {
    kill_process(Pid::from_raw(process).expect("a process"), signal).expect("it runs");
}

fn runs(report: &CoordinatorReport) -> bool {
    report.status.as_ref().is_some_and(|s| s.state() == RunState::Running && s.epoch > 0)
}

/// Waits for a file that was not there at `before`.
async fn new_output(pods: &Pods, before: usize) -> Duration {
    let began = Instant::now();
    let found =
        eventually("new output", async || (pods.files().len() > before).then_some(())).await;
    found.expect("output goes on");
    began.elapsed()
}

/// Waits for the first checkpoint that another coordinator publishes.
async fn first_checkpoint(pods: &Pods, coordinator: usize) -> Duration {
    let began = Instant::now();
    pods.until(coordinator, "a checkpoint", |c| c.published > 0).await;
    began.elapsed()
}

async fn ends_with_every_row_once(pods: &Pods, coordinator: usize) {
    let end = pods.until(coordinator, "the end", |c| c.end.is_some()).await.end.expect("an end");
    assert_eq!(end.kind(), job_end::Kind::Finished, "{}", end.message);
    let numbers = pods.numbers();
    assert_eq!(numbers.len() as u64, ROWS, "rows lost or repeated");
    assert!(numbers.iter().copied().eq(1..=ROWS));
}

#[tokio::test]
async fn another_worker_takes_over_when_the_coordinators_process_is_killed() {
    let mut pods = Pods::new(3, |folder| manifest(folder, 3, 1_500, Some(ROWS)));
    pods.start_all("worker");
    let first = pods.until(0, "a running job", |c| runs(c) && c.assigned == [0, 1, 2]).await;
    let ready = eventually("readiness", async || (pods.get(2, "/readyz").0 == 200).then_some(()));
    ready.await.expect("a worker that works is ready");
    let began = Instant::now();
    pods.kill(0);
    let before = pods.files().len();
    let took = new_output(&pods, before).await;
    println!("killed coordinator to first new output of another worker: {took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    let second = pods.until(1, "a running job", runs).await;
    let (was, is) = (first.status.expect("a status"), second.status.expect("a status"));
    assert!(is.term > was.term && second.restored_epoch >= was.epoch && second.head > first.head);
    assert_eq!(second.lineage, first.lineage);
    assert_eq!(second.assigned, [1, 2], "survivors take more than one subtask");
    assert!(began.elapsed() < Duration::from_secs(20));

    // The one that was killed comes back, follows, and gets its share.
    pods.start(0, "worker");
    pods.until(1, "its share given back", |c| runs(c) && c.assigned == [0, 1, 2]).await;
    let report = pods.report(0).await.expect("it answers");
    assert!(report.attached && report.coordinating.is_none());
    assert_eq!(report.coordinator, pods.control(1));
    let refused = pods
        .begin(0, "x", report.term, operation::Kind::Rescale(RescaleRequest { parallelism: 1 }))
        .await;
    assert!(refused.contains(&pods.control(1)), "{refused}");
    ends_with_every_row_once(&pods, 1).await;
    assert_eq!(pods.get(0, "/readyz").0, 200, "the job has ended as it should");
    assert_eq!(pods.get(0, "/livez").0, 200);
}

#[tokio::test]
async fn a_killed_worker_comes_back_under_its_supervisor_and_coordinates_at_once() {
    let mut pods = Pods::new(2, |folder| manifest(folder, 2, 3_000, Some(ROWS)));
    pods.start_all("pod");
    let first = pods.until(0, "a running job", |c| runs(c) && c.assigned == [0, 1]).await;
    kill(pods.worker_below(0).expect("a worker"), Signal::KILL);
    let before = pods.files().len();
    let took = new_output(&pods, before).await;
    println!("killed coordinator to first new output, under its supervisor: {took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    let second = pods.until(0, "a running job", runs).await;
    assert!(second.status.expect("a status").term > first.status.expect("a status").term);
    ends_with_every_row_once(&pods, 0).await;
    let (code, metrics) = pods.get(0, "/metrics");
    assert_eq!(code, 200);
    assert!(
        metrics.contains("weir_job_state") && metrics.contains(r#"state="Finished""#),
        "{metrics}"
    );
    kill(pods.process(0), Signal::TERM);
    assert_eq!(pods.ended(0).await.code(), Some(0), "SIGTERM is handed on");
}

#[tokio::test]
async fn a_coordinator_that_is_told_to_end_hands_over_at_once() {
    let mut pods = Pods::new(3, |folder| manifest(folder, 3, 1_500, Some(ROWS)));
    pods.start_all("pod");
    let first = pods.until(0, "a running job", |c| runs(c) && c.assigned == [0, 1, 2]).await;
    kill(pods.process(0), Signal::TERM);
    let took = first_checkpoint(&pods, 1).await;
    println!("coordinator told to end to first checkpoint of another worker: {took:?}");
    assert!(took < Duration::from_millis(3_500), "as long as waiting for its silence: {took:?}");
    assert_eq!(pods.ended(0).await.code(), Some(0));
    let second = pods.until(1, "a running job", runs).await;
    let (was, is) = (first.status.expect("a status"), second.status.expect("a status"));
    assert!(is.term > was.term && second.restored_epoch >= was.epoch);
    assert_eq!(second.assigned, [1, 2]);
    ends_with_every_row_once(&pods, 1).await;
}

#[tokio::test]
async fn a_worker_that_is_told_to_end_takes_leave() {
    let mut pods = Pods::new(3, |folder| manifest(folder, 3, 1_500, Some(ROWS)));
    pods.start_all("pod");
    pods.until(0, "a running job", |c| runs(c) && c.assigned == [0, 1, 2]).await;
    let began = Instant::now();
    kill(pods.process(2), Signal::TERM);
    let gone = |c: &CoordinatorReport| runs(c) && c.assigned == [0, 1];
    let report = pods.until(0, "its tasks given to others", gone).await;
    println!("worker told to end to a running job without it: {:?}", began.elapsed());
    assert_eq!(pods.ended(2).await.code(), Some(0));
    let failure = report.status.expect("a status").failure;
    assert_eq!(failure, "worker 2 was lost: its process was told to end");
    ends_with_every_row_once(&pods, 0).await;
}

/// Told of their deletion before the kubelet ends them: they hand their work on at once, and their pods
/// neither end nor begin anew until they are ended. Who is left goes on, although it is a minority.
#[tokio::test]
async fn workers_whose_pods_are_deleted_take_leave_before_they_are_ended() {
    let mut pods = Pods::new(3, |folder| manifest(folder, 3, 1_500, Some(ROWS)));
    pods.start_all("pod");
    pods.until(0, "a running job", |c| runs(c) && c.assigned == [0, 1, 2]).await;
    let refused = pods.terminate(0, &pod_uid(1)).await;
    assert_eq!(refused, "this is pod pod-0, not pod-1");
    assert_eq!(pods.terminate(0, &pod_uid(0)).await, "");
    // Its successor is told when it has begun to take over.
    pods.until(1, "a successor", |_| true).await;
    assert_eq!(pods.terminate(1, &pod_uid(1)).await, "");
    let took = first_checkpoint(&pods, 2).await;
    println!("two of three told that their pods are deleted to first checkpoint: {took:?}");
    assert!(took < Duration::from_millis(3_500), "as long as waiting for its silence: {took:?}");
    pods.until(2, "their tasks taken over", |c| runs(c) && c.assigned == [2]).await;
    for pod in [0, 1] {
        assert_eq!(pods.worker_below(pod), None, "it is not started again");
        kill(pods.process(pod), Signal::TERM);
        assert_eq!(pods.ended(pod).await.code(), Some(0));
    }
    ends_with_every_row_once(&pods, 2).await;
}

/// The head's coordinator is gone, and so are two of the other three workers, which come back
/// elsewhere: nobody reaches a majority of the addresses that the head lists.
#[tokio::test]
async fn workers_that_come_back_elsewhere_have_their_voices() {
    let mut pods = Pods::new(4, |folder| manifest(folder, 4, 1_500, Some(ROWS)));
    pods.start_all("worker");
    pods.until(0, "a running job", |c| runs(c) && c.assigned == [0, 1, 2, 3]).await;
    for pod in [0, 2, 3] {
        pods.kill(pod);
    }
    for pod in [2, 3] {
        pods.replace(pod, "worker");
    }
    let report = pods.until(1, "another coordinator", runs).await;
    assert!(report.assigned.iter().all(|worker| *worker > 0), "{report:?}");
    ends_with_every_row_once(&pods, 1).await;
}

#[tokio::test]
async fn a_silent_coordinator_is_replaced_and_never_coordinates_again() {
    let mut pods = Pods::new(3, |folder| manifest(folder, 3, 1_500, Some(ROWS)));
    pods.start_all("pod");
    pods.until(0, "a running job", |c| runs(c) && c.assigned == [0, 1, 2]).await;
    let asleep = pods.worker_below(0).expect("a worker");
    kill(asleep, Signal::STOP);
    pods.until(1, "another coordinator", runs).await;
    kill(asleep, Signal::CONT);
    let back = eventually("its return as a member", async || {
        let report = pods.report(0).await?;
        (report.attached && report.coordinating.is_none()).then_some(report)
    });
    let back = back.await.expect("it follows");
    assert_eq!(back.coordinator, pods.control(1));
    ends_with_every_row_once(&pods, 1).await;
}

#[tokio::test]
async fn operations_are_begun_once_and_what_came_of_them_is_reported() {
    let mut pods = Pods::new(2, |folder| manifest(folder, 1, 500, None));
    pods.start(0, "worker");
    let report = pods.until(0, "a running job", runs).await;
    assert!(!report.bounded && report.end.is_none());
    assert!(report.checkpoint_path.contains("/state/default/numbers/chain/"), "{report:?}");
    assert!(report.checkpoint_at_ms > 1_700_000_000_000, "{report:?}");
    let term = report.status.expect("a status").term;
    let rescale = |parallelism| operation::Kind::Rescale(RescaleRequest { parallelism });
    let stale = pods.begin(0, "op-0", term + 7, rescale(2)).await;
    assert!(stale.contains(&format!("term {term}, not {}", term + 7)), "{stale}");

    pods.start(1, "worker");
    for _ in 0..3 {
        assert_eq!(pods.begin(0, "op-1", term, rescale(2)).await, "");
    }
    let done = |id: &'static str| {
        move |c: &CoordinatorReport| {
            c.status.as_ref().is_some_and(|s| s.operations.iter().any(|o| o.id == id))
        }
    };
    let status = pods.until(0, "a rescaled job", done("op-1")).await.status.expect("a status");
    assert_eq!((status.parallelism, status.operations.len()), (2, 1), "{:?}", status.operations);
    let operation = &status.operations[0];
    assert_eq!(operation.kind(), OperationKind::Rescale);
    assert_eq!(operation.outcome(), OperationOutcome::Done);
    assert!(operation.at_ms > 1_700_000_000_000);
    assert_eq!(pods.begin(0, "op-1", term, rescale(2)).await, "", "asked again, in another term");

    let savepoint = SavepointRequest { name: "lunch".into(), stop: false };
    let savepoint = operation::Kind::Savepoint(savepoint);
    assert_eq!(pods.begin(0, "op-2", status.term, savepoint).await, "");
    let status = pods.until(0, "a savepoint", done("op-2")).await.status.expect("a status");
    let saved = status.operations.last().expect("a report");
    assert!(saved.message.contains("savepoints/lunch"), "{saved:?}");

    let drain = operation::Kind::Drain(DrainRequest { name: "the-end".into() });
    assert_eq!(pods.begin(0, "op-3", status.term, drain).await, "");
    let report = pods.until(0, "the end", |c| c.end.is_some()).await;
    let end = report.end.expect("an end");
    assert_eq!(end.kind(), job_end::Kind::Stopped, "{}", end.message);
    assert!(end.savepoint == "the-end" && end.path.ends_with("savepoints/the-end"), "{end:?}");
    assert!(report.status.expect("a status").operations.iter().any(|o| o.id == "op-3"));
    let numbers = pods.numbers();
    assert!(!numbers.is_empty());
    let other = pods.report(1).await.expect("it stays");
    assert!(other.problem.is_empty(), "{other:?}");
}

/// Rows per hour of files that come into a folder.
fn hours(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {{name: hours}}
spec:
  parallelism: 2
  state:
    root: {folder}/state
    checkpoint: {{interval: 300ms}}
  sql: |
    CREATE TABLE events (at TIMESTAMP(3), WATERMARK FOR at AS at) WITH (
      'connector' = 'filesystem', 'path' = '{folder}/in', 'format' = 'csv',
      'source.monitor-interval' = '100 ms');
    CREATE TABLE counts (n BIGINT) WITH (
      'connector' = 'filesystem', 'path' = '{folder}/out', 'format' = 'json',
      'sink.rolling-policy.rollover-interval' = '200 ms',
      'sink.rolling-policy.check-interval' = '100 ms');
    INSERT INTO counts SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(at), INTERVAL '1' HOUR))
      GROUP BY window_start, window_end;
"
    )
}

#[tokio::test]
async fn a_drained_job_that_runs_again_counts_what_comes_then() {
    let mut pods = Pods::new(2, hours);
    let give = |pods: &Pods, name: &str, times: &[&str]| {
        let rows = times.iter().map(|time| format!("2001-01-01 {time}\n")).collect::<String>();
        let folder = pods.folder.path().join("in");
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::write(pods.folder.path().join("new"), rows).expect("written");
        std::fs::rename(pods.folder.path().join("new"), folder.join(name)).expect("moved");
    };
    give(&pods, "a.csv", &["00:10:00", "00:20:00", "01:10:00"]);
    pods.start_all("worker");
    let first = pods.until(0, "a running job", runs).await;
    let counted = eventually("the first hour", async || (pods.numbers() == [2]).then_some(()));
    counted.await.expect("it is closed by the row of the next one");
    let drain = operation::Kind::Drain(DrainRequest { name: "the-end".into() });
    let term = first.status.expect("a status").term;
    assert_eq!(pods.begin(0, "op-1", term, drain).await, "");
    let end = pods.until(0, "the end", |c| c.end.is_some()).await.end.expect("an end");
    assert_eq!(end.kind(), job_end::Kind::Stopped, "{}", end.message);
    assert_eq!(pods.numbers(), [1, 2], "the second hour was closed too");
    (0..2).for_each(|pod| pods.kill(pod));

    pods.start_all("worker");
    pods.until(0, "a running job", runs).await;
    // An hour that the drain had closed early, and one that is new.
    give(&pods, "b.csv", &["01:20:00", "01:30:00", "01:40:00", "02:10:00", "03:00:00"]);
    let counted =
        eventually("later rows", async || (pods.numbers() == [1, 1, 2, 3]).then_some(())).await;
    assert!(counted.is_some(), "{:?}: each row counts once", pods.numbers());
}

#[tokio::test]
async fn a_manifest_is_planned_beside_the_running_job() {
    let mut pods = Pods::new(1, |folder| manifest(folder, 1, 500, None));
    pods.start(0, "worker");
    pods.until(0, "a running job", runs).await;
    let folder = pods.folder.path().to_path_buf();
    let same = pods.plan(0, &manifest(&folder, 1, 500, None)).await;
    assert!(same.errors.is_empty() && same.dropped.is_empty(), "{same:?}");
    assert!(same.plan_hash.len() >= 12, "{same:?}");
    assert!(same.kept.iter().any(|name| name.contains("numbers")), "{same:?}");

    let wrong = manifest(&folder, 1, 500, None).replace("SELECT n FROM", "SELECT m FROM");
    let refused = pods.plan(0, &wrong).await;
    let [error] = &refused.errors[..] else { panic!("{refused:?}") };
    assert!(error.starts_with("sql:8:25: "), "line and column as its author counts them: {error}");
    assert!(refused.plan_hash.is_empty());

    let files =
        format!("'connector' = 'filesystem', 'format' = 'json', 'path' = '{}'", folder.display());
    let another = manifest(&folder, 1, 500, None);
    let options = another.find("'connector' = 'datagen'").expect("options");
    let end = another[options..].find(");").expect("their end") + options;
    let another = format!("{}{files}{}", &another[..options], &another[end..]);
    let dropped = pods.plan(0, &another).await;
    assert!(dropped.errors.is_empty(), "{dropped:?}");
    assert!(dropped.dropped.iter().any(|name| name.contains("numbers")), "{dropped:?}");
    assert!(dropped.allowed.is_empty(), "{dropped:?}");
    let may_go = another.replacen(
        "  state:\n",
        "  state:\n    allowDroppedState: [datagen numbers, filesystem seen]\n",
        1,
    );
    assert_ne!(may_go, another);
    let allowed = pods.plan(0, &may_go).await;
    assert!(allowed.errors.is_empty() && allowed.dropped.is_empty(), "{allowed:?}");
    // A sink holds state only while it has a file open.
    assert!(allowed.allowed.iter().any(|name| name.contains("numbers")), "{allowed:?}");
}

/// Whoever reaches the control port may ask for a plan, of any program.
#[tokio::test]
async fn no_caller_of_the_control_port_learns_a_value() {
    const PLANTED: &str = "918273645";
    let mut pods = Pods::new(1, |folder| {
        manifest(folder, 1, 500, None).replace("/out', 'format'", "/${env:PLANTED}', 'format'")
    });
    pods.set("PLANTED", PLANTED);
    pods.start(0, "worker");
    pods.until(0, "a running job", runs).await;
    let folder = pods.folder.path().to_path_buf();
    let program =
        |option: &str| manifest(&folder, 1, 500, None).replace("'rows-per-second' = '500'", option);
    // Wrong, right and between: what is answered must not depend on the value.
    let mut answers = Vec::new();
    for option in [
        "'rows-per-second' = 'x${env:PLANTED}'",
        "'rows-per-second' = '${env:PLANTED}'",
        "'scan.splits' = '${env:PLANTED}'",
        "'fields.n.min' = '${env:PLANTED}', 'fields.n.max' = '5'",
        "'fields.n.max' = '${env:PLANTED}', 'fields.n.min' = '999999999'",
    ] {
        let program =
            program(option).replace("'fields.n.min' = '1', 'fields.n.max' = '9'", "'seed' = '1'");
        let reply = pods.plan(0, &program).await;
        assert!(!format!("{reply:?}").contains(PLANTED), "{option}: {reply:?}");
        assert_eq!(reply.errors, [""; 0], "{option}");
        answers.push(reply.warnings);
    }
    assert!(answers.iter().all(|warnings| warnings.is_empty()), "{answers:?}");
    let reply = pods.plan(0, &program("'rows-per-second' = '${env:NOBODY_SETS_THIS}'")).await;
    let [error] = &reply.errors[..] else { panic!("{reply:?}") };
    assert!(error.contains("the environment variable NOBODY_SETS_THIS is not set"), "{error}");
    let sets = program("'rows-per-second' = '${env:NEW}'")
        .replace("  sql: |", "  workers:\n    env: [{name: NEW, value: \"5\"}]\n  sql: |");
    assert_eq!(pods.plan(0, &sets).await.errors, [""; 0], "set by the program that is planned");
    let bucket = program("'rows-per-second' = '5'")
        .replace(&format!("'{}/out'", folder.display()), "'s3://${env:PLANTED}/out'");
    assert_eq!(pods.plan(0, &bucket).await.errors, [""; 0], "no AWS_* variable is needed");

    // Nor does anything else that comes out of the process.
    let report = format!("{:?}", pods.report(0).await.expect("it answers"));
    assert!(!report.contains(PLANTED), "{report}");
    let (_, metrics) = pods.get(0, "/metrics");
    assert!(!metrics.contains(PLANTED), "{metrics}");
    let log = std::fs::read_to_string(folder.join("0.log")).expect("a log");
    assert!(!log.contains(PLANTED), "{log}");
}

#[tokio::test]
async fn a_program_that_does_not_plan_ends_the_pod_with_its_errors_as_last_words() {
    let mut pods = Pods::new(1, |folder| {
        manifest(folder, 1, 500, None).replace("SELECT n FROM", "SELECT m FROM")
    });
    pods.start(0, "pod");
    assert_eq!(pods.ended(0).await.code(), Some(2));
    let words = pods.last_words(0);
    assert!(words.contains("job.yaml:17") && words.contains("m"), "{words}");
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_reported_and_then_given_up() {
    let mut pods = Pods::new(1, |folder| {
        let local = format!("root: {}/state", folder.display());
        manifest(folder, 1, 500, None).replace(&local, "root: s3://nowhere/state")
    });
    for (name, value) in [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
        ("WEIR_STORE_PATIENCE_SECONDS", "6"),
    ] {
        pods.set(name, value);
    }
    pods.start(0, "pod");
    let problem = eventually("problem", async || {
        let report = pods.report(0).await?;
        (!report.problem.is_empty()).then_some(report.problem)
    });
    let problem = problem.await.expect("it says so");
    assert!(problem.contains("s3://nowhere") && problem.contains("AWS_ENDPOINT_URL"), "{problem}");
    assert_eq!(pods.get(0, "/livez").0, 200);
    assert_eq!(pods.get(0, "/readyz").0, 503);
    assert_eq!(pods.ended(0).await.code(), Some(1));
    assert!(pods.last_words(0).contains("AWS_ENDPOINT_URL"), "{}", pods.last_words(0));
}

#[tokio::test]
async fn state_is_deleted_for_its_owner_and_nobody_else() {
    let mut pods = Pods::new(1, |folder| manifest(folder, 1, 500, None));
    pods.start(0, "worker");
    pods.until(0, "a running job", runs).await;
    pods.kill(0);
    let place = format!("{}/state/default/numbers", pods.folder.path().display());
    let delete = |uid: &str| {
        let arguments = ["state", "delete", &place, "--uid", uid];
        let output = Command::new(env!("CARGO_BIN_EXE_weir")).args(arguments).output();
        let output = output.expect("weir runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        (output.status.code(), text)
    };
    let (code, text) = delete("uid-2");
    assert_eq!(code, Some(2));
    assert!(text.contains("belongs to the job with uid uid-1"), "{text}");
    let chain = std::path::Path::new(&place).join("chain");
    assert!(std::fs::read_dir(&chain).expect("it is there").count() > 0);
    assert_eq!(delete("uid-1").0, Some(0));
    let left = std::fs::read_dir(&chain).map_or(0, Iterator::count);
    assert_eq!(left, 0);
    assert_eq!(delete("uid-1").0, Some(0), "repeating it is harmless");
}

#[test]
fn plans_are_data_for_programs() {
    let pods = Pods::new(1, |folder| manifest(folder, 1, 500, None));
    let file = pods.folder.path().join("job.yaml");
    let plan = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        let output = command.arg("plan").arg(&file).args(["-o", "json"]).output();
        let output = output.expect("weir runs");
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), value)
    };
    let (code, value) = plan();
    assert_eq!(code, Some(0));
    assert!(value["hash"].as_str().is_some_and(|hash| hash.len() >= 12));
    assert!(value["warnings"].is_array() && value["bounded"] == false);
    let wrong =
        manifest(pods.folder.path(), 1, 500, None).replace("SELECT n FROM", "SELECT m FROM");
    std::fs::write(&file, wrong).expect("written");
    let (code, faults) = plan();
    assert_eq!(code, Some(2));
    assert_eq!((&faults[0]["line"], &faults[0]["column"]), (&17.into(), &29.into()), "{faults}");
    assert!(faults[0]["file"].as_str().is_some_and(|f| f.ends_with("job.yaml")));
    assert!(faults[0]["message"].as_str().is_some_and(|m| m.contains('m')));
}
