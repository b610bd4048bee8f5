//! What happened: operations and failures, newest first, each with its steps.

use weir_protocol::view::{FailureView, OperationView, Snapshot};

use super::graph::px;
use super::time;
use crate::html::{Html, put};
use crate::hub::Moment;
use crate::words::{grouped, took};

/// Rows of the list.
const SHOWN: usize = 40;

enum Entry<'a> {
    Done(&'a OperationView),
    Failed(&'a FailureView),
}

impl Entry<'_> {
    fn at_ms(&self) -> u64 {
        match self {
            Self::Done(operation) => operation.at_ms,
            Self::Failed(failure) => failure.at_ms,
        }
    }
}

/// The list.
pub(super) fn happened(moment: &Moment) -> Html {
    let mut out = Html::new();
    let operations = moment.ledger.operations.iter().map(Entry::Done);
    let mut entries: Vec<Entry<'_>> =
        operations.chain(moment.ledger.failures.iter().map(Entry::Failed)).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at_ms()));
    out.raw("<div class=\"card\"><h2>What happened</h2>");
    if entries.is_empty() {
        out.raw("<p class=\"quiet\">Nothing yet: no rescale, no savepoint, no failure. This list is kept with the job’s state.</p>");
    }
    out.raw("<div class=\"events\">");
    for entry in entries.iter().take(SHOWN) {
        match entry {
            Entry::Done(done) => operation(&mut out, done, &moment.snapshot),
            Entry::Failed(failure) => self::failure(&mut out, failure, &moment.snapshot),
        }
    }
    out.raw("</div></div>");
    out
}

fn operation(out: &mut Html, done: &OperationView, snapshot: &Snapshot) {
    let class = if done.outcome == "refused" { "refused" } else { "done" };
    put!(
        out,
        "<details class=\"event {}\" id=\"o{}\"{}><summary><i></i>",
        class,
        format!("{}-{}", done.term, done.at_ms),
        ""
    );
    time(out, done.at_ms, snapshot);
    put!(out, "<b>{}</b><span>{}</span>", done.kind, done.message);
    if done.total_ms > 0 {
        put!(out, "<em>{}</em>", took(done.total_ms));
    }
    out.raw("</summary>");
    if done.steps.is_empty() {
        put!(out, "<p class=\"quiet\">{}, without steps to show.</p>", done.outcome);
    } else {
        steps(out, done);
    }
    out.raw("</details>");
}

/// A bar of the steps, and below it when nothing came out.
fn steps(out: &mut Html, done: &OperationView) {
    let all: u64 = done.steps.iter().map(|step| step.ms).sum::<u64>().max(1);
    let width = 600.0;
    put!(
        out,
        "<svg class=\"steps\" viewBox=\"0 0 {} 26\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Steps\">",
        width
    );
    let mut x = 0.0;
    for (i, step) in done.steps.iter().enumerate() {
        let share = step.ms as f64 / all as f64 * width;
        put!(
            out,
            "<rect class=\"step k{}\" x=\"{}\" y=\"0\" width=\"{}\" height=\"16\"><title>{}</title></rect>",
            i % 6,
            px(x),
            px((share - 1.0).max(0.8)),
            format!("{}: {}", step.name, took(step.ms))
        );
        x += share;
    }
    if done.pause_ms > 0 {
        let share = (done.pause_ms as f64 / all as f64).min(1.0) * width;
        put!(
            out,
            "<rect class=\"pause\" x=\"{}\" y=\"19\" width=\"{}\" height=\"5\"><title>{}</title></rect>",
            px(width - share),
            px(share),
            format!("output paused {}", took(done.pause_ms))
        );
    }
    out.raw("</svg><ul class=\"legend steps\">");
    for (i, step) in done.steps.iter().enumerate() {
        put!(out, "<li><i class=\"k{}\"></i>{} <b>{}</b></li>", i % 6, step.name, took(step.ms));
    }
    if done.pause_ms > 0 {
        put!(out, "<li><i class=\"pause\"></i>output paused <b>{}</b></li>", took(done.pause_ms));
    }
    out.raw("</ul>");
}

fn failure(out: &mut Html, failure: &FailureView, snapshot: &Snapshot) {
    put!(
        out,
        "<details class=\"event failed\" id=\"f{}\"><summary><i></i>",
        format!("{}-{}", failure.term, failure.first_at_ms)
    );
    time(out, failure.at_ms, snapshot);
    let first = failure.message.lines().next().unwrap_or_default();
    put!(out, "<b>Failure</b><span>{}</span>", first);
    if failure.times > 1 {
        put!(out, "<em>{} ×</em>", grouped(failure.times));
    }
    put!(out, "</summary><pre>{}</pre>", failure.message);
    if failure.times > 1 {
        out.raw("<p class=\"quiet\">First at ");
        time(out, failure.first_at_ms, snapshot);
        out.raw("</p>");
    }
    out.raw("</details>");
}
