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
        let mark = mark(finding.severity);
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
    let _ = writeln!(out, "\n{}", checkpoints(snapshot));
    if let Some(behind) = snapshot.totals.freshness_s {
        let _ = writeln!(out, "event time   {} behind the clock", duration(behind));
    }
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

/// Checkpoints on one line of a terminal.
#[must_use]
pub fn checkpoints(snapshot: &Snapshot) -> String {
    let it = &snapshot.checkpoint;
    let mut text = format!("checkpoints  every {}", took(it.interval_ms));
    if it.at_ms > 0 {
        let ago = snapshot.at_ms.saturating_sub(it.at_ms) as f64 / 1e3;
        let (age, took, size) = (duration(ago), took(it.took_ms), bytes(it.bytes));
        let _ = write!(text, "   last {age} ago, {took}, {size}");
    }
    let _ = write!(text, "   {} failed", it.failed);
    if !it.problem.is_empty() {
        let _ = write!(text, "   {}", on_one_line(&it.problem));
    }
    text
}

/// What a finding begins with on a terminal.
#[must_use]
pub fn mark(severity: Severity) -> char {
    match severity {
        Severity::Critical => '✕',
        Severity::Warning => '▲',
        Severity::Note => 'i',
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use weir_protocol::view::Step;

    use super::*;
    use crate::example::airport_delays;

    #[test]
    fn a_job_fits_one_screen() {
        let snapshot = airport_delays();
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
            ▲ hourly count is the bottleneck: 97 % busy
                run it at a higher parallelism

            ┌ kafka flights        112 k rows/s   1,204 waiting   busy 30 %   held back 80 %
            ┌ hourly count         1,900 rows/s   state 48.0 MB   busy 97 %
            │ filesystem delays    1,900 rows/s

            checkpoints  every 10 s   last 2.0 s ago, 38 ms, 1.2 MB   0 failed
            event time   4.0 s behind the clock
            operations   Rescale 2 → 4 in 2.91 s (checkpoint 400 ms, restore 510 ms)   2 h 0 min ago
        "]];
        expected.assert_eq(&status(&snapshot, &operations));
    }
}
