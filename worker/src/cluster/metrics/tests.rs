use std::collections::BTreeSet;

use expect_test::expect_file;
use weir_protocol::control::{OperationKind, OperationOutcome, OperationReport};
use weir_protocol::view::{CheckpointTask, Finding, Severity, TotalsView};

use super::*;

/// Everything that a worker can say, of a job that has gone through much.
fn exposition() -> String {
    let job = Job::new("flights", "delays");
    let uids = [("a", ("airports".to_owned(), "source")), ("z", ("out".to_owned(), "sink"))];
    let settings = Settings {
        revision: "0011aabb".into(),
        state_limit: 1 << 20,
        interval_ms: 10_000,
        vertices: vec!["airports -> window".into(), "out".into()],
        ends: uids.into_iter().map(|(uid, end)| (uid.to_owned(), end)).collect(),
    };
    let operator = |uid: &str| OperatorStats { uid: uid.into(), ..OperatorStats::default() };
    let task = |vertex, subtask, uid| TaskStats {
        vertex,
        subtask,
        operators: vec![operator(uid)],
        watermark: Some(1_000),
        ..TaskStats::default()
    };
    let stats = [task(0, 0, "a"), task(0, 1, "a"), task(1, 0, "z"), task(1, 1, "z")];
    let report = CoordinatorReport { status: Some(status()), ..CoordinatorReport::default() };
    let records = [record(3, AttemptResult::Published), record(4, AttemptResult::Failed)];
    let finding = Finding { code: "skew".into(), place: "window".into(), ..Finding::default() };
    let snapshot = Snapshot {
        totals: TotalsView { freshness_s: Some(2.5), progress: Some(0.5), ..TotalsView::default() },
        findings: vec![Finding { severity: Severity::Warning, ..finding }],
        ..Snapshot::default()
    };
    worker(&job, &settings, true).expect("names are right");
    tasks(&job, &settings, &stats).expect("names are right");
    ends(&job, &settings, &stats).expect("names are right");
    coordinated(&job, &settings, &report).expect("names are right");
    checkpoints(&job, &report, &settings, records.iter()).expect("names are right");
    seen(&job, &snapshot).expect("names are right");
    job.text().expect("it encodes")
}

/// Two rescales, of which the second was refused.
fn status() -> JobStatus {
    let rescale = |number, outcome: OperationOutcome| OperationReport {
        number,
        kind: OperationKind::Rescale.into(),
        outcome: outcome.into(),
        at_ms: number * 1_000,
        total_ms: 600,
        pause_ms: number * 100,
        ..OperationReport::default()
    };
    let operations =
        vec![rescale(1, OperationOutcome::Done), rescale(2, OperationOutcome::Refused)];
    JobStatus { operations, ..JobStatus::default() }
}

fn record(attempt: u64, result: AttemptResult) -> CheckpointRecord {
    let task = |upload_us| CheckpointTask { upload_us, ..CheckpointTask::default() };
    CheckpointRecord {
        attempt,
        result,
        took_ms: 40,
        acknowledged_ms: 30,
        written_bytes: attempt,
        tasks: vec![task(2_000), task(7_000), task(1_000)],
        ..CheckpointRecord::default()
    }
}

#[test]
fn every_family_follows_the_naming_rules_and_is_exposed() {
    let text = exposition();
    for family in families::ALL {
        let name = family.name;
        let kind = if family.is_counter() { "counter" } else { "gauge" };
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "nothing exposes {name}");
        let prefix =
            ["task", "source", "sink", "state", "checkpoint", "job", "operation", "worker"];
        assert!(prefix.iter().any(|p| name.starts_with(&format!("weir_{p}_"))), "{name}");
        assert!(
            !["_ms", "_millis", "_us", "_kb", "_mb"].iter().any(|unit| name.contains(unit)),
            "{name}: base units only"
        );
        assert!(family.help.ends_with('.'), "{name} says in a sentence what it is");
    }
    let exposed = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!(exposed, families::ALL.len(), "a family is not in the table");
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        assert!(line.contains(r#"namespace="flights""#), "{line}");
        assert!(line.contains(r#"streamjob="delays""#), "{line}");
        assert!(!line.contains("job=\"\"") && !line.contains("{job="), "{line}");
    }
}

#[test]
fn the_newest_operation_and_checkpoint_are_what_is_shown() {
    let text = exposition();
    let of = r#"namespace="flights""#;
    for line in [
        format!("weir_operation_pause_seconds{{{of},streamjob=\"delays\",type=\"Rescale\"}} 0.2"),
        format!(
            "weir_operation_last_timestamp_seconds{{{of},result=\"done\",streamjob=\"delays\",type=\"Rescale\"}} 1"
        ),
        format!(
            "weir_operation_last_timestamp_seconds{{{of},result=\"refused\",streamjob=\"delays\",type=\"Rescale\"}} 2"
        ),
        format!("weir_checkpoint_written_bytes{{{of},streamjob=\"delays\"}} 3"),
        format!(
            "weir_checkpoint_phase_seconds{{{of},phase=\"upload\",streamjob=\"delays\"}} 0.007"
        ),
        format!(
            "weir_checkpoint_phase_seconds{{{of},phase=\"publish\",streamjob=\"delays\"}} 0.01"
        ),
        format!(
            "weir_job_finding{{code=\"skew\",{of},place=\"window\",severity=\"warning\",streamjob=\"delays\"}} 1"
        ),
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
}

#[test]
fn a_subtask_has_at_most_ten_series() {
    let text = exposition();
    let of_one = text
        .lines()
        .filter(|l| l.contains(r#"task="airports -> window""#) && l.contains(r#"subtask="1""#));
    let of_one: BTreeSet<&str> = of_one.collect();
    assert!((8..=10).contains(&of_one.len()), "{of_one:#?}");
}

/// `UPDATE_EXPECT=1` writes it.
#[test]
fn the_table_for_people_is_this_set() {
    let mut page = String::from(
        "# Metrics of a job\n\n\
         What every worker of a job answers at `/metrics` (port 7103, `http`); written by the tests of \
         `worker/src/cluster/metrics`. Every series has the labels `namespace` and `streamjob`. `weir_job_…`, \
         `weir_operation_…` and `weir_checkpoint_…` come from one worker at a time, the job's coordinator; \
         others add up over workers. Counters of tasks begin anew when tasks do, which \
         `rate()` knows. Shares of time are `rate()` of the counters in seconds. What looks after jobs has \
         [its own](../operator/METRICS.md).\n\n\
         | metric | says | in Flink |\n|---|---|---|\n",
    );
    for family in families::ALL {
        let labels = match family.labels {
            [] => String::new(),
            labels => format!("{{{}}}", labels.join(",")),
        };
        let flink = if family.flink.is_empty() { "–" } else { family.flink };
        page.push_str(&format!("| `{}{labels}` | {} | {flink} |\n", family.name, family.help));
    }
    page.push_str(
        "\nFlink's `pendingRecords` and the time lags of its sources have nothing like it here: \
         `weir_job_freshness_seconds` says how far behind a job is, and Kafka's own tools how many \
         records are left.\n",
    );
    expect_file!["../../../METRICS.md"].assert_eq(&page);
}
