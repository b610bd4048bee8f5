//! The dataflow as a picture: a card a chain, left to right, with a strip of its subtasks.

mod layout;

use weir_protocol::view::{EdgeView, Snapshot, SubtaskView, TimeShares, VertexView};

use crate::html::{Html, put};
use crate::words::{bytes, count, event_second, percent, rate};
use layout::{Layout, Placed};

const WIDTH: f64 = 330.0;
const ROW: f64 = 25.0;
const STRIP: f64 = 34.0;
const PAD: f64 = 12.0;
/// Cells of a strip; of more subtasks each cell shows the worst of several.
const CELLS: usize = 60;

/// Height of a chain's card.
fn height(vertex: &VertexView) -> f64 {
    PAD + ROW * vertex.operators.len() as f64 + STRIP + PAD
}

/// The picture.
pub(super) fn graph(snapshot: &Snapshot, open: Option<&str>) -> Html {
    let mut out = Html::new();
    let sizes: Vec<f64> = snapshot.vertices.iter().map(height).collect();
    let ends: Vec<(u32, u32)> = snapshot.edges.iter().map(|e| (e.from, e.to)).collect();
    let layout = Layout::of(&sizes, WIDTH, &ends);
    put!(
        out,
        "<div class=\"card\"><div class=\"bar\"><h2>Dataflow</h2><p class=\"legend\"><i class=\"idle\"></i>idle \
         <i class=\"busy\"></i>busy <i class=\"held\"></i>held back</p></div><div class=\"scroll\">\
         <svg class=\"graph\" viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" role=\"group\" \
         aria-label=\"Dataflow\"><defs><pattern id=\"hatch\" width=\"5\" height=\"5\" \
         patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><rect width=\"5\" height=\"5\" \
         class=\"h1\"/><rect width=\"2.5\" height=\"5\" class=\"h2\"/></pattern></defs>",
        layout.width,
        layout.height,
        layout.width,
        layout.height
    );
    for edge in &snapshot.edges {
        edge_line(&mut out, snapshot, edge, &layout);
    }
    for vertex in &snapshot.vertices {
        if let Some(at) = layout.placed.get(vertex.id as usize) {
            card(&mut out, snapshot, vertex, at, open);
        }
    }
    out.raw("</svg></div></div>");
    out
}

fn edge_line(out: &mut Html, snapshot: &Snapshot, edge: &EdgeView, layout: &Layout) {
    let (Some(from), Some(to)) =
        (layout.placed.get(edge.from as usize), layout.placed.get(edge.to as usize))
    else {
        return;
    };
    let (x1, y1) = (from.x + WIDTH, from.y + from.height / 2.0);
    let (x2, y2) = (to.x, to.y + to.height / 2.0);
    let operator = snapshot.operator(&edge.operator).map(|(_, o)| o);
    let rows = operator.map_or(0.0, |o| o.out_rate);
    let held = snapshot.vertices.get(edge.from as usize).map_or(0.0, |v| v.most(|t| t.held));
    let thick = 1.5 + (rows + 1.0).log10() * 0.7;
    let bend = (x2 - x1).max(40.0) * 0.5;
    put!(
        out,
        "<path class=\"edge{}\" d=\"M{} {}C{} {} {} {} {} {}\" stroke-width=\"{}\"><title>{}</title></path>",
        if held >= 0.5 { " held" } else { "" },
        px(x1),
        px(y1),
        px(x1 + bend),
        px(y1),
        px(x2 - bend),
        px(y2),
        px(x2),
        px(y2),
        px(thick),
        format!("{} rows/s, {}", rate(rows), exchange(edge)),
    );
    let (x, y) = ((x1 + x2) / 2.0, (y1 + y2) / 2.0);
    put!(
        out,
        "<text class=\"rate\" x=\"{}\" y=\"{}\">{}</text><text class=\"by\" x=\"{}\" y=\"{}\">{}</text>",
        px(x),
        px(y - 8.0),
        format!("{}/s", rate(rows)),
        px(x),
        px(y + 16.0),
        short(&exchange(edge), 18)
    );
}

fn exchange(edge: &EdgeView) -> String {
    match (edge.exchange.as_str(), edge.output.as_str()) {
        (_, "late") => "late rows".to_owned(),
        (_, "errors") => "errors".to_owned(),
        ("hash", _) => format!("by {}", edge.by.join(", ")),
        ("rebalance", _) => "in turn".to_owned(),
        ("broadcast", _) => "to all".to_owned(),
        ("single", _) => "to one".to_owned(),
        _ => String::new(),
    }
}

fn card(out: &mut Html, snapshot: &Snapshot, vertex: &VertexView, at: &Placed, open: Option<&str>) {
    let worst = snapshot.findings.iter().find(|f| f.vertex == Some(vertex.id));
    let class = worst.map_or("", |finding| match finding.severity {
        weir_protocol::view::Severity::Critical => " critical",
        weir_protocol::view::Severity::Warning => " warning",
        weir_protocol::view::Severity::Note => "",
    });
    put!(
        out,
        "<g class=\"node{}\" transform=\"translate({} {})\"><rect class=\"box\" width=\"{}\" height=\"{}\" rx=\"10\"/>",
        class,
        px(at.x),
        px(at.y),
        px(WIDTH),
        px(at.height)
    );
    for (row, operator) in vertex.operators.iter().enumerate() {
        let y = PAD + ROW * row as f64;
        let is_open = open == Some(operator.uid.as_str());
        let rows = if operator.kind == "sink" { operator.in_rate } else { operator.out_rate };
        put!(
            out,
            "<a class=\"op{}\" href=\"/operators/{}\" data-operator=\"{}\"><title>{}</title>\
             <rect x=\"6\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"5\"/>\
             <text class=\"glyph\" x=\"20\" y=\"{}\">{}</text><text class=\"name\" x=\"34\" y=\"{}\">{}</text>\
             <text class=\"num\" x=\"{}\" y=\"{}\">{}</text></a>",
            if is_open { " open" } else { "" },
            operator.uid,
            operator.uid,
            format!("{} ({}): {} rows/s", operator.name, operator.kind, rate(rows)),
            px(y - 2.0),
            px(WIDTH - 12.0),
            px(ROW),
            px(y + 14.5),
            glyph(&operator.kind),
            px(y + 14.5),
            short(&operator.name, 33),
            px(WIDTH - 14.0),
            px(y + 14.5),
            format!("{}/s", rate(rows))
        );
    }
    let y = PAD + ROW * vertex.operators.len() as f64 + 4.0;
    strip(out, &vertex.subtasks, (PAD, y), WIDTH - 2.0 * PAD, 14.0);
    let mut facts = Vec::new();
    if vertex.state_bytes() > 0 {
        facts.push(format!("state {}", bytes(vertex.state_bytes())));
    }
    if let Some(behind) = behind(snapshot, vertex) {
        facts.push(behind);
    }
    let backlog: u64 = vertex.operators.iter().map(|o| o.backlog).sum();
    if backlog > 0 && !snapshot.job.bounded {
        facts.push(format!("{} waiting", count(backlog)));
    }
    let busy = format!("{} busy", percent(vertex.most(|t| t.busy).min(1.0)));
    put!(
        out,
        "<text class=\"fact\" x=\"{}\" y=\"{}\">{}</text><text class=\"fact end\" x=\"{}\" y=\"{}\">{}</text></g>",
        px(PAD),
        px(y + 27.0),
        facts.join(" · "),
        px(WIDTH - PAD),
        px(y + 27.0),
        busy
    );
}

/// How far a chain's event time is behind the sources', or where it is.
fn behind(snapshot: &Snapshot, vertex: &VertexView) -> Option<String> {
    let mark = vertex.watermark().filter(|mark| *mark != i64::MAX)?;
    let newest = snapshot.vertices.iter().filter(|v| v.is_source());
    let newest = newest.filter_map(VertexView::watermark).filter(|mark| *mark != i64::MAX).max();
    match newest.map(|newest| newest.saturating_sub(mark)) {
        Some(behind) if behind > 0 && !vertex.is_source() => {
            Some(format!("+ {} here", crate::words::duration(behind as f64 / 1e3)))
        }
        _ if vertex.is_source() => Some(format!("at {}", event_second(mark))),
        _ => None,
    }
}

fn glyph(kind: &str) -> &'static str {
    match kind {
        "source" => "▶",
        "sink" => "■",
        _ if kind.contains("window") || kind.contains("session") => "◷",
        _ if kind.contains("join") => "⋈",
        _ if kind.contains("agg") || kind.contains("group") => "Σ",
        _ => "ƒ",
    }
}

/// A cell a subtask, or the worst of several in one: busy from below, held back on top of it.
pub(super) fn strip(
    out: &mut Html,
    subtasks: &[SubtaskView],
    (x, y): (f64, f64),
    width: f64,
    height: f64,
) {
    let cells = subtasks.len().clamp(1, CELLS);
    let step = width / cells as f64;
    let gap = if step > 6.0 { 2.0 } else { 0.5 };
    for cell in 0..cells {
        let (from, to) = (cell * subtasks.len() / cells, (cell + 1) * subtasks.len() / cells);
        let group = subtasks.get(from..to).unwrap_or_default();
        let worst = group.iter().max_by(|a, b| load(&a.time).total_cmp(&load(&b.time)));
        let time = worst.map(|s| s.time).unwrap_or_default();
        let (busy, held) = (time.busy.clamp(0.0, 1.0), time.held.clamp(0.0, 1.0));
        let left = x + step * cell as f64;
        let title = match worst {
            Some(s) => format!(
                "subtask {}: {} busy, {} held back, {} rows/s",
                s.subtask,
                percent(busy),
                percent(held),
                rate(s.in_rate.max(s.out_rate))
            ),
            None => "nothing is known yet".to_owned(),
        };
        put!(
            out,
            "<g class=\"cell\"><title>{}</title><rect class=\"c0\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"2\"/>",
            title,
            px(left),
            px(y),
            px(step - gap),
            px(height)
        );
        let bar = |out: &mut Html, class: &str, from: f64, share: f64| {
            if share * height >= 0.3 {
                put!(
                    out,
                    "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                    class,
                    px(left),
                    px(y + height * (1.0 - from - share)),
                    px(step - gap),
                    px(height * share)
                );
            }
        };
        bar(out, "c1", 0.0, busy);
        bar(out, "c2", busy, held.min(1.0 - busy));
        out.raw("</g>");
    }
}

fn load(time: &TimeShares) -> f64 {
    time.busy + time.held
}

/// A text of at most so many letters.
pub(super) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A coordinate with a decimal.
pub(super) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}
