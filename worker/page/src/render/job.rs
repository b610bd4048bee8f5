//! How the job is, in a sentence and in six numbers.

use weir_protocol::view::{Finding, Severity, Snapshot};

use crate::html::{Html, put};
use crate::words::{bytes, count, duration, event_time, grouped, percent, rate, took};

/// "Well", or what is wrong with it.
pub(super) fn verdict(snapshot: &Snapshot) -> Html {
    let mut out = Html::new();
    match snapshot.findings.split_first() {
        None => well(&mut out, snapshot),
        // What is only worth knowing does not make a job unwell.
        Some((worst, _)) if worst.severity == Severity::Note => {
            well(&mut out, snapshot);
            out.raw("<div class=\"more\">");
            snapshot.findings.iter().for_each(|note| finding(&mut out, note, false));
            out.raw("</div>");
        }
        Some((worst, others)) => {
            finding(&mut out, worst, true);
            if !others.is_empty() {
                out.raw("<div class=\"more\">");
                others.iter().for_each(|other| finding(&mut out, other, false));
                out.raw("</div>");
            }
        }
    }
    out
}

fn well(out: &mut Html, snapshot: &Snapshot) {
    let job = &snapshot.job;
    let (class, word, said) = match job.state.as_str() {
        "Running" => ("good", "Well", calm(snapshot)),
        "Finished" => ("calm", "Finished", job.ending.clone()),
        "Stopped" => ("calm", "Stopped", job.ending.clone()),
        other => ("busy", other, job.failure.clone()),
    };
    put!(
        out,
        "<div class=\"card verdict {}\"><h2><i></i>{}</h2><p>{}</p></div>",
        class,
        word,
        said
    );
}

/// Below this share of its time nobody waits.
const LITTLE: f64 = 0.05;

fn calm(snapshot: &Snapshot) -> String {
    let busiest = snapshot
        .vertices
        .iter()
        .map(|v| (v.most(|t| t.busy), v))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let held = snapshot.vertices.iter().map(|v| v.most(|t| t.held)).fold(0.0, f64::max);
    let mut said = Vec::new();
    if held < LITTLE {
        said.push("Nothing is held back.".to_owned());
    }
    if let Some((busy, vertex)) = busiest.filter(|(busy, _)| *busy > 0.005) {
        let name = vertex.operators.first().map_or("", |o| o.name.as_str());
        let left = percent(1.0 - busy.min(1.0));
        said.push(format!("The busiest chain, {name}, has {left} of its time left."));
    }
    said.join(" ")
}

fn finding(out: &mut Html, finding: &Finding, is_worst: bool) {
    let class = finding.severity.name();
    put!(out, "<div class=\"card finding {}\" data-code=\"{}\">", class, finding.code);
    let heading = if is_worst { "h2" } else { "h3" };
    put!(out, "<{}><i></i><b>{}</b> {}</{}>", heading, finding.place, finding.cause, heading);
    put!(out, "<p>{}</p><p class=\"fix\"><span>Fix</span> {}</p>", finding.evidence, finding.fix);
    if let Some(command) = &finding.command {
        put!(
            out,
            "<p class=\"command\"><code>{}</code> <button type=\"button\" data-copy=\"{}\">copy</button></p>",
            command,
            command
        );
    }
    out.raw("</div>");
}

/// Six numbers.
pub(super) fn numbers(snapshot: &Snapshot) -> Html {
    let mut out = Html::new();
    let (totals, checkpoint) = (&snapshot.totals, &snapshot.checkpoint);
    out.raw("<dl class=\"numbers\">");
    match (totals.freshness_s, totals.watermark, totals.progress) {
        (Some(behind), _, _) => {
            number(&mut out, "watermark behind", &duration(behind), "event time seen by every sink")
        }
        (None, Some(mark), _) => {
            number(&mut out, "event time", &event_time(mark), "up to which everything was seen")
        }
        (None, None, _) => {
            number(&mut out, "event time", "–", "the program has none, or no row yet")
        }
    }
    number(
        &mut out,
        "rows in /s",
        &rate(totals.in_rate),
        &format!("{} in all", grouped(totals.rows_in)),
    );
    number(
        &mut out,
        "rows out /s",
        &rate(totals.out_rate),
        &format!("{} in all", grouped(totals.rows_out)),
    );
    match totals.progress {
        Some(done) => {
            put!(
                out,
                "<div><dt>read</dt><dd>{}<progress max=\"1\" value=\"{}\"></progress></dd></div>",
                percent(done),
                format!("{done:.3}")
            );
        }
        None => {
            let backlog: u64 =
                snapshot.vertices.iter().flat_map(|v| &v.operators).map(|o| o.backlog).sum();
            let lost = totals.late + totals.malformed;
            match backlog {
                0 => number(
                    &mut out,
                    "rows lost",
                    &count(lost),
                    &format!("{} late, {} malformed", count(totals.late), count(totals.malformed)),
                ),
                _ => number(&mut out, "waiting outside", &count(backlog), "not read yet"),
            }
        }
    }
    out.raw("<div><dt>last checkpoint</dt><dd>");
    if checkpoint.at_ms > 0 {
        put!(
            out,
            "<span data-since=\"{}\">{}</span><small>{}, {}, number {}</small>",
            checkpoint.at_ms,
            duration(snapshot.at_ms.saturating_sub(checkpoint.at_ms) as f64 / 1e3),
            bytes(checkpoint.bytes),
            took(checkpoint.took_ms),
            checkpoint.epoch
        );
    } else {
        out.raw("none yet<small>&nbsp;</small>");
    }
    out.raw("</dd></div>");
    let restarts = match snapshot.job.restarts {
        0 => "no restarts".to_owned(),
        1 => "1 restart".to_owned(),
        n => format!("{n} restarts"),
    };
    let up = snapshot.at_ms.saturating_sub(snapshot.job.began_at_ms);
    put!(
        out,
        "<div><dt>up</dt><dd><span data-since=\"{}\">{}</span><small>{}, state {}</small></dd></div></dl>",
        snapshot.job.began_at_ms,
        duration(up as f64 / 1e3),
        restarts,
        bytes(snapshot.memory.state_bytes)
    );
    out
}

fn number(out: &mut Html, name: &str, value: &str, note: &str) {
    put!(out, "<div><dt>{}</dt><dd>{}<small>{}</small></dd></div>", name, value, note);
}
