//! A job on one screen of a terminal: the same words and numbers as its page.

use std::fmt::Write as _;

use weir_protocol::view::{OperationView, Severity, Snapshot, VertexView};

use crate::words::{bytes, count, duration, in_lines, on_one_line, percent, rate, took};

/// Operations that are shown.
const OPERATIONS: usize = 3;
/// Before the second line of what one says.
const FURTHER: &str = "\n    ";

/// The screen; `operations` are the newest first.
#[must_use]
pub fn status(snapshot: &Snapshot, operations: &[OperationView]) -> String {
    let job = &snapshot.job;
    let mut out = String::new();
    let up = snapshot.at_ms.saturating_sub(job.began_at_ms) as f64 / 1e3;
    // Writing to a text succeeds.
    let _ = writeln!(
        out,
        "{}   {}   {} workers, parallelism {}   up {}   restarts {}",
        on_one_line(&job.name),
        on_one_line(&job.state),
        job.workers,
        job.parallelism,
        duration(up),
        job.restarts
    );
    for finding in &snapshot.findings {
        let mark = match finding.severity {
            Severity::Critical => '✕',
            Severity::Warning => '▲',
            Severity::Note => 'i',
        };
        let said = format!("{} {}: {}", finding.place, finding.cause, finding.evidence);
        let _ = writeln!(out, "{mark} {}", in_lines(&said, FURTHER));
        let _ = writeln!(out, "    {}", in_lines(&finding.fix, FURTHER));
        if let Some(command) = &finding.command {
            let _ = writeln!(out, "    {}", in_lines(command, FURTHER));
        }
    }
    out.push('\n');
    let wide = snapshot.vertices.iter().flat_map(|v| &v.operators).map(|o| o.name.chars().count());
    let wide = wide.max().unwrap_or(0).min(44);
    for vertex in &snapshot.vertices {
        operators(&mut out, vertex, wide);
    }
    checkpoints(&mut out, snapshot);
    for (at, done) in operations.iter().take(OPERATIONS).enumerate() {
        let ago = snapshot.at_ms.saturating_sub(done.at_ms) as f64 / 1e3;
        let word = if at == 0 { "operations" } else { "" };
        let said = format!("{} {}", done.kind, done.message);
        let _ = write!(out, "{word:<13}{}", in_lines(&said, FURTHER));
        let step = |name: &str, ms| format!("{} {}", on_one_line(name), took(ms));
        let steps = done.steps.iter().map(|it| step(&it.name, it.ms));
        let steps: Vec<String> = steps.collect();
        if !steps.is_empty() {
            let _ = write!(out, " ({})", steps.join(", "));
        }
        let _ = writeln!(out, "   {} ago", duration(ago));
    }
    out
}

fn operators(out: &mut String, vertex: &VertexView, wide: usize) {
    for (at, operator) in vertex.operators.iter().enumerate() {
        let rows = if operator.kind == "sink" { operator.in_rate } else { operator.out_rate };
        let name: String = on_one_line(&operator.name).chars().take(wide).collect();
        let pad = " ".repeat(wide - name.chars().count());
        let mut facts = vec![format!("{:>7} rows/s", rate(rows))];
        if operator.backlog > 0 {
            facts.push(format!("{} waiting", count(operator.backlog)));
        }
        if operator.stateful {
            facts.push(format!("state {}", bytes(operator.state_bytes)));
        }
        if at == 0 {
            facts.push(format!("busy {}", percent(vertex.most(|t| t.busy).min(1.0))));
            let held = vertex.most(|t| t.held);
            if held >= 0.05 {
                facts.push(format!("held back {}", percent(held.min(1.0))));
            }
        }
        let _ =
            writeln!(out, "{} {name}{pad}  {}", if at == 0 { '┌' } else { '│' }, facts.join("   "));
    }
}

fn checkpoints(out: &mut String, snapshot: &Snapshot) {
    let checkpoint = &snapshot.checkpoint;
    let _ = write!(out, "\ncheckpoints  every {}   ", took(checkpoint.interval_ms));
    if checkpoint.at_ms > 0 {
        let ago = snapshot.at_ms.saturating_sub(checkpoint.at_ms) as f64 / 1e3;
        let _ = write!(
            out,
            "last {} ago, {}, {}   ",
            duration(ago),
            took(checkpoint.took_ms),
            bytes(checkpoint.bytes)
        );
    }
    let _ = writeln!(out, "{} failed", checkpoint.failed);
    if let Some(behind) = snapshot.totals.freshness_s {
        let _ = writeln!(out, "event time   {} behind the clock", duration(behind));
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use weir_protocol::view::{
        CheckpointView, Finding, JobView, OperatorView, Step, SubtaskView, TimeShares, TotalsView,
    };

    use super::*;

    #[test]
    fn a_job_fits_one_screen() {
        let operator = |name: &str, kind: &str, out_rate| OperatorView {
            name: name.into(),
            kind: kind.into(),
            out_rate,
            in_rate: 1_900.0,
            stateful: kind == "window aggregate",
            state_bytes: 48_000_000,
            backlog: if kind == "source" { 1_204 } else { 0 },
            ..OperatorView::default()
        };
        let chain = |operators| VertexView {
            operators,
            subtasks: vec![SubtaskView {
                time: TimeShares { busy: 0.31, held: 0.2, idle: 0.49, aligning: 0.0 },
                ..SubtaskView::default()
            }],
            ..VertexView::default()
        };
        let snapshot = Snapshot {
            at_ms: 11_520_000,
            job: JobView {
                name: "airport-delays".into(),
                state: "Running".into(),
                workers: 4,
                parallelism: 4,
                restarts: 1,
                ..JobView::default()
            },
            totals: TotalsView { freshness_s: Some(4.0), ..TotalsView::default() },
            checkpoint: CheckpointView {
                at_ms: 11_518_000,
                took_ms: 38,
                bytes: 1_234_567,
                interval_ms: 10_000,
                ..CheckpointView::default()
            },
            vertices: vec![
                chain(vec![operator("kafka flights", "source", 112_000.0)]),
                chain(vec![
                    operator("hourly count by origin", "window aggregate", 1_900.0),
                    operator("filesystem delays", "sink", 0.0),
                ]),
            ],
            findings: vec![Finding {
                place: "kafka flights".into(),
                cause: "has fewer splits than subtasks".into(),
                evidence: "3 of 4 subtasks have something to read".into(),
                fix: "give the topic more partitions".into(),
                severity: Severity::Warning,
                ..Finding::default()
            }],
            ..Snapshot::default()
        };
        let step = |name: &str, ms| Step { name: name.into(), ms };
        let operations = [OperationView {
            at_ms: 4_320_000,
            kind: "Rescale".into(),
            message: "2 → 4 in 2.91 s".into(),
            steps: vec![step("checkpoint", 400), step("restore", 510)],
            ..OperationView::default()
        }];
        let expected = expect![[r"
            airport-delays   Running   4 workers, parallelism 4   up 3 h 12 min   restarts 1
            ▲ kafka flights has fewer splits than subtasks: 3 of 4 subtasks have something to read
                give the topic more partitions

            ┌ kafka flights             112 k rows/s   1,204 waiting   busy 31 %   held back 20 %
            ┌ hourly count by origin    1,900 rows/s   state 48.0 MB   busy 31 %   held back 20 %
            │ filesystem delays         1,900 rows/s

            checkpoints  every 10 s   last 2.0 s ago, 38 ms, 1.2 MB   0 failed
            event time   4.0 s behind the clock
            operations   Rescale 2 → 4 in 2.91 s (checkpoint 400 ms, restore 510 ms)   2 h 0 min ago
        "]];
        expected.assert_eq(&status(&snapshot, &operations));
    }
}
