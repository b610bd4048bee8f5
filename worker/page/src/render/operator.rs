//! One operator: its subtasks, what it reads, what it is.

use weir_protocol::Counter;
use weir_protocol::view::{OperatorView, Snapshot, SubtaskView, VertexView};

use super::graph::strip;
use super::{View, key_groups, rows};
use crate::html::{Html, put};
use crate::hub::{Hub, Looked};
use crate::words::{bytes, count, duration, event_second, grouped, percent, rate};

/// Rows of the table of subtasks: those with most to do.
const SUBTASKS: usize = 64;
/// Rows of the table of splits: those that are furthest behind.
const SPLITS: usize = 64;

/// Everything of an operator.
pub(super) fn operator(hub: &Hub, snapshot: &Snapshot, uid: &str, view: &View) -> Html {
    let mut out = Html::new();
    let Some((vertex, operator)) = snapshot.operator(uid) else {
        put!(
            out,
            "<div class=\"card\"><p class=\"quiet\">The job has no operator {} any more.</p></div>",
            uid
        );
        return out;
    };
    put!(
        out,
        "<div class=\"card\"><a class=\"close\" href=\"/\" data-close=\"1\" aria-label=\"Close\">✕</a>\
         <p class=\"kind\">{}</p><h2>{}</h2>",
        operator.kind,
        operator.name
    );
    for finding in snapshot.findings.iter().filter(|f| f.vertex == Some(vertex.id)) {
        put!(
            out,
            "<p class=\"problem\"><b>{}</b> {}: {}</p>",
            finding.place,
            finding.cause,
            finding.evidence
        );
    }
    facts(&mut out, operator);
    let rows = view.rows && hub.program.shows_rows;
    // Workers are asked for what is shown alone.
    let looks = operator.stateful || rows;
    let looked = looks.then(|| hub.look(uid, rows)).flatten();
    if looks && looked.is_none() {
        out.raw(
            "<p class=\"problem\">As many operators are looked at as may be: close one to see more of this one.</p>",
        );
    }
    if let Some(looked) = looked.or_else(|| (!looks).then(Looked::default)) {
        if operator.stateful {
            key_groups::strip(&mut out, operator, looked.groups.as_deref());
        }
        rows::newest(&mut out, hub, (snapshot, operator), view, looked.rows.as_deref());
    }
    subtasks(&mut out, vertex);
    if vertex.is_source() && operator.kind == "source" {
        splits(&mut out, vertex);
    }
    if let Some(details) = hub.program.details.get(uid).filter(|details| !details.is_empty()) {
        out.raw("<h3>What it is</h3><dl class=\"details\">");
        for (name, value) in details {
            put!(out, "<dt>{}</dt><dd>{}</dd>", name, value);
        }
        out.raw("</dl>");
    }
    fragment(&mut out, hub, uid);
    put!(
        out,
        "<p class=\"quiet\">uid <code>{}</code> · <a href=\"/operators/{}\">own page</a> · <a href=\"/operators/{}?format=json\">JSON</a></p></div>",
        uid,
        uid,
        uid
    );
    out
}

fn facts(out: &mut Html, operator: &OperatorView) {
    let mut facts = vec![
        (
            "rows in",
            format!("{} ({}/s)", grouped(operator.counts[Counter::RowsIn]), rate(operator.in_rate)),
        ),
        (
            "rows out",
            format!(
                "{} ({}/s)",
                grouped(operator.counts[Counter::RowsOut]),
                rate(operator.out_rate)
            ),
        ),
    ];
    if operator.kind == "source" {
        facts.remove(0);
    }
    if operator.kind == "sink" {
        facts.truncate(1);
    }
    if operator.stateful {
        facts.push(("state in memory", bytes(operator.state_bytes)));
    }
    for (counter, name) in [
        (Counter::Late, "late"),
        (Counter::Malformed, "malformed"),
        (Counter::Splits, "splits read"),
    ] {
        if operator.counts[counter] > 0 {
            facts.push((name, grouped(operator.counts[counter])));
        }
    }
    if operator.counts[Counter::Bytes] > 0 {
        facts.push(("bytes", bytes(operator.counts[Counter::Bytes])));
    }
    if operator.backlog > 0 {
        facts.push(("not read yet", count(operator.backlog)));
    }
    out.raw("<dl class=\"facts\">");
    for (name, value) in facts {
        put!(out, "<div><dt>{}</dt><dd>{}</dd></div>", name, value);
    }
    out.raw("</dl>");
}

fn subtasks(out: &mut Html, vertex: &VertexView) {
    out.raw("<h3>Subtasks of its chain</h3><svg class=\"wide\" viewBox=\"0 0 600 26\" preserveAspectRatio=\"none\">");
    strip(out, &vertex.subtasks, (0.0, 0.0), 600.0, 26.0);
    out.raw(
        "</svg><div class=\"scroll\"><table><thead><tr><th>subtask</th><th class=\"r\">rows/s in</th><th class=\"r\">out</th>\
         <th class=\"r\">busy</th><th class=\"r\">held back</th><th class=\"r\">aligning</th><th>watermark</th>\
         <th class=\"r\">state</th><th class=\"r\">worker</th></tr></thead><tbody>",
    );
    let mut shown: Vec<&SubtaskView> = vertex.subtasks.iter().collect();
    if shown.len() > SUBTASKS {
        let load = |s: &SubtaskView| s.time.busy + s.time.held;
        shown.sort_by(|a, b| load(b).total_cmp(&load(a)));
    }
    for subtask in shown.iter().take(SUBTASKS) {
        let mark = subtask.watermark.map_or_else(|| "–".to_owned(), event_second);
        put!(
            out,
            "<tr><td>{}</td><td class=\"r\">{}</td><td class=\"r\">{}</td><td class=\"r\">{}</td><td class=\"r\">{}</td>\
             <td class=\"r\">{}</td><td>{}</td><td class=\"r\">{}</td><td class=\"r\">{}</td></tr>",
            subtask.subtask,
            rate(subtask.in_rate),
            rate(subtask.out_rate),
            percent(subtask.time.busy),
            percent(subtask.time.held),
            percent(subtask.time.aligning),
            mark,
            bytes(subtask.state_bytes),
            subtask.worker
        );
    }
    out.raw("</tbody></table></div>");
    if shown.len() > SUBTASKS {
        put!(out, "<p class=\"quiet\">The {} with most to do, of {}.</p>", SUBTASKS, shown.len());
    }
}

fn splits(out: &mut Html, vertex: &VertexView) {
    let all =
        vertex.subtasks.iter().flat_map(|s| s.splits.iter().map(move |split| (s.subtask, split)));
    let mut all: Vec<_> = all.collect();
    out.raw("<h3>What it reads</h3>");
    if all.is_empty() {
        out.raw("<p class=\"quiet\">Nothing at the moment.</p>");
        return;
    }
    all.sort_by_key(|(_, split)| (split.idle, split.watermark));
    out.raw(
        "<div class=\"scroll\"><table><thead><tr><th>split</th><th class=\"r\">subtask</th><th>watermark</th>\
         <th class=\"r\">silent for</th><th class=\"r\">not read yet</th><th></th></tr></thead><tbody>",
    );
    for (subtask, split) in all.iter().take(SPLITS) {
        let mark = split.watermark.map_or_else(|| "–".to_owned(), event_second);
        put!(
            out,
            "<tr><td class=\"id\">{}</td><td class=\"r\">{}</td><td>{}</td><td class=\"r\">{}</td><td class=\"r\">{}</td><td>{}</td></tr>",
            split.id,
            subtask,
            mark,
            duration(split.silent_ms as f64 / 1e3),
            count(split.backlog),
            if split.idle { "idle" } else { "" }
        );
    }
    out.raw("</tbody></table></div>");
    if all.len() > SPLITS {
        put!(out, "<p class=\"quiet\">The {} that are furthest behind.</p>", SPLITS);
    }
}

/// The part of the program that it comes from.
fn fragment(out: &mut Html, hub: &Hub, uid: &str) {
    let places = hub.program.places.get(uid).map(Vec::as_slice).unwrap_or_default();
    let parts = places.iter().filter_map(|place| hub.program.sql.get(place.clone()));
    let parts: Vec<&str> = parts.collect();
    if parts.is_empty() {
        return;
    }
    out.raw("<h3>In the program</h3>");
    for part in parts {
        out.raw("<pre class=\"sql\" tabindex=\"0\">");
        super::program::highlight(out, part, &[]);
        out.raw("</pre>");
    }
    put!(out, "<p class=\"quiet\"><a href=\"/program?operator={}\">in its place</a></p>", uid);
}
