//! The key groups of an operator as a strip: upwards the rows of state that each holds, downwards the
//! rows that come for it, lines between the subtasks that own them, and which one is hot.

use weir_protocol::view::{KeyGroupsView, OperatorView};

use super::graph::px;
use crate::html::{Html, put};
use crate::words::{count, percent, rate};

const WIDTH: f64 = 600.0;
/// Height of either half.
const HALF: f64 = 30.0;
/// Bars: of more key groups one stands for several, and shows the largest of them.
const BARS: usize = 240;
/// Lines between subtasks, if there are not more of them: they would be all that is seen.
const MAX_LINES: usize = 64;
/// A key group is hot with so many times the mean, and so much of all rows.
const TIMES: f64 = 8.0;
const SHARE: f64 = 0.05;

/// The strip of an operator that keeps state by key.
pub(super) fn strip(out: &mut Html, operator: &OperatorView, groups: Option<&KeyGroupsView>) {
    out.raw("<h3>Key groups</h3>");
    let Some(groups) = groups.filter(|groups| groups.at_ms > 0) else {
        out.raw("<p class=\"quiet\">Its workers are being asked …</p>");
        return;
    };
    let rates: Vec<f64> = groups.in_rates.iter().map(|rate| f64::from(*rate)).collect();
    let rows: Vec<f64> = groups.state_rows.iter().map(|rows| *rows as f64).collect();
    let many = rates.len().max(rows.len());
    if many == 0 {
        out.raw("<p class=\"quiet\">It keeps no rows by key.</p>");
        return;
    }
    let hot = hot(&rates);
    put!(
        out,
        "<svg class=\"groups\" viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"Rows of state, and rows that come, by key group\">",
        WIDTH,
        HALF * 2.0 + 1.0
    );
    if groups.owners.len() <= MAX_LINES {
        for owner in groups.owners.iter().skip(1) {
            let x = px(f64::from(owner.first) / many as f64 * WIDTH);
            put!(
                out,
                "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"0\" y2=\"{}\"/>",
                x,
                x,
                HALF * 2.0 + 1.0
            );
        }
    }
    bars(out, "rows", &rows, many, |height| (HALF - height, height), None);
    bars(out, "come", &rates, many, |height| (HALF + 1.0, height), hot);
    out.raw("</svg>");
    words(out, operator, groups, (&rows, &rates), hot);
}

/// A bar for each of these, or for several in one; `place` gives top and height of one.
fn bars(
    out: &mut Html,
    class: &'static str,
    values: &[f64],
    many: usize,
    place: impl Fn(f64) -> (f64, f64),
    hot: Option<usize>,
) {
    let top = values.iter().copied().fold(0.0, f64::max);
    if top <= 0.0 {
        return;
    }
    let bars = many.clamp(1, BARS);
    let step = WIDTH / bars as f64;
    let bar = |at: usize| {
        let (from, to) = (at * many / bars, (at + 1) * many / bars);
        let most = values.get(from..to.min(values.len())).unwrap_or_default();
        let height = most.iter().copied().fold(0.0, f64::max) / top * HALF;
        let is_hot = hot.is_some_and(|hot| (from..to).contains(&hot));
        // What is there is seen, however little it is beside others.
        (if height > 0.0 { height.max(0.7) } else { 0.0 }, is_hot)
    };
    let mut path = Html::new();
    for at in 0..bars {
        let (height, is_hot) = bar(at);
        let (y, height) = place(height);
        let (x, width) = (step * at as f64, (step * 0.86).max(step - 1.0));
        if is_hot {
            put!(
                out,
                "<rect class=\"hot\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                px(x),
                px(y),
                px(width.max(2.0)),
                px(height)
            );
        } else if height > 0.0 {
            put!(path, "M{} {}h{}v{}h-{}z", px(x), px(y), px(width), px(height), px(width));
        }
    }
    put!(out, "<path class=\"{}\" d=\"", class);
    out.add(&path);
    out.raw("\"/>");
}

/// The key group for which far more rows come than for others.
fn hot(rates: &[f64]) -> Option<usize> {
    let all: f64 = rates.iter().sum();
    let (group, most) = rates.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    // Of few key groups none can have many times the mean.
    let many = (TIMES / rates.len().max(1) as f64).clamp(SHARE, 0.5);
    (all > 0.0 && *most >= many * all).then_some(group)
}

fn words(
    out: &mut Html,
    operator: &OperatorView,
    groups: &KeyGroupsView,
    (rows, rates): (&[f64], &[f64]),
    hot: Option<usize>,
) {
    let (all_rows, all_rates): (f64, f64) = (rows.iter().sum(), rates.iter().sum());
    if let Some(hot) = hot {
        let owner = groups.owners.iter().find(|o| (o.first..o.end).contains(&(hot as u32)));
        put!(
            out,
            "<p class=\"hotgroup\"><b>Key group {} is hot</b>: {} rows/s, {} of all, for subtask {}. A key group \
             is the smallest part of the work that can be moved.</p>",
            hot,
            rate(rates.get(hot).copied().unwrap_or(0.0)),
            percent(rates.get(hot).copied().unwrap_or(0.0) / all_rates),
            owner.map_or_else(|| "?".to_owned(), |owner| owner.subtask.to_string())
        );
    }
    let used = rows.iter().filter(|rows| **rows > 0.0).count();
    put!(
        out,
        "<p class=\"quiet legend\"><i class=\"rows\"></i>upwards: {} rows of state in memory, in {} of {} key groups",
        count(all_rows as u64),
        used,
        rows.len().max(rates.len())
    );
    if all_rates > 0.0 {
        put!(out, "<i class=\"come\"></i>downwards: {} rows/s that come", rate(all_rates));
    }
    if rows.len().max(rates.len()) > BARS {
        put!(out, "; a bar is the largest of {}", rows.len().max(rates.len()).div_ceil(BARS));
    }
    put!(out, " · <a href=\"/v1/operators/{}/key-groups\">JSON</a></p>", operator.uid);
}
