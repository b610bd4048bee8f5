//! What the job was like: small charts over one axis of time, with marks for what was done and what
//! went wrong.

use weir_protocol::view::{AttemptResult, History, JobPoint};

use super::graph::px;
use crate::html::{Html, put};
use crate::hub::Moment;
use crate::words::{bytes, count, duration, event_second, percent, rate, time_of_day, took};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 108.0;
/// Points of a line; of more the largest of each few is drawn.
const POINTS: usize = 240;

/// A young job is drawn over so long at least.
const SHORTEST_MS: u64 = 15_000;

/// The axis that all charts share.
struct Axis {
    from_ms: u64,
    to_ms: u64,
}

impl Axis {
    fn x(&self, at_ms: u64) -> f64 {
        let span = self.to_ms.saturating_sub(self.from_ms).max(1) as f64;
        (at_ms.saturating_sub(self.from_ms) as f64 / span).min(1.0) * WIDTH
    }
}

/// How a chart's values are written, and what a script reads them by.
#[derive(Clone, Copy)]
enum Unit {
    Rate,
    Seconds,
    Share,
    Millis,
    Bytes,
    Rows,
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Rate => rate(value),
            Self::Seconds => duration(value),
            Self::Share => percent(value),
            Self::Millis => took(value.round() as u64),
            Self::Bytes => bytes(value as u64),
            Self::Rows => count(value as u64),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Seconds => "seconds",
            Self::Share => "share",
            Self::Millis => "millis",
            Self::Bytes => "bytes",
            Self::Rows => "rows",
        }
    }
}

struct Series<'a> {
    name: &'a str,
    class: &'static str,
    points: Vec<(u64, f64)>,
}

/// All charts.
pub(super) fn charts(history: &History, moment: &Moment, by_minute: bool) -> Html {
    let mut out = Html::new();
    out.raw("<div class=\"card\"><div class=\"bar\"><h2>Over time</h2><p class=\"ranges\">");
    for (is_day, url, label) in [(false, "/", "10 min"), (true, "/?range=24h", "24 h")] {
        let here = if is_day == by_minute { "here" } else { "" };
        put!(out, "<a href=\"{}\" class=\"{}\">{}</a>", url, here, label);
    }
    out.raw("</p></div>");
    let now = moment.snapshot.at_ms;
    let span_ms = if by_minute { 86_400_000 } else { 600_000 };
    if history.job.len() < 2 {
        let wait = if by_minute {
            "The first point comes after a minute."
        } else {
            "The first points come in a moment."
        };
        put!(out, "<p class=\"quiet\">{}</p></div>", wait);
        return out;
    }
    // A young job fills the width with what there is.
    let first = history.job.first().map_or(now, |p| p.at_ms);
    let from_ms = first.max(now.saturating_sub(span_ms)).min(now.saturating_sub(SHORTEST_MS));
    let axis = Axis { from_ms, to_ms: now };
    let line = |value: fn(&JobPoint) -> f64| {
        history.job.iter().map(|p| (p.at_ms, value(p))).collect::<Vec<_>>()
    };
    out.raw("<div class=\"charts\">");
    chart(
        &mut out,
        &axis,
        moment,
        "Rows per second",
        Unit::Rate,
        &[
            Series { name: "in", class: "s1", points: line(|p| f64::from(p.in_rate)) },
            Series { name: "out", class: "s2", points: line(|p| f64::from(p.out_rate)) },
        ],
    );
    event_time(&mut out, &axis, moment, history);
    let worst = |value: fn(&weir_protocol::view::VertexPoint) -> f32| {
        let at = |i: usize| history.vertices.values().map(|v| value(&v[i])).fold(0.0, f32::max);
        let points = history.job.iter().enumerate();
        points.map(|(i, p)| (p.at_ms, f64::from(at(i)))).collect::<Vec<_>>()
    };
    chart(
        &mut out,
        &axis,
        moment,
        "Busiest and most held back subtask",
        Unit::Share,
        &[
            Series { name: "busy", class: "s1", points: worst(|v| v.busy) },
            Series { name: "held back", class: "s3", points: worst(|v| v.held) },
        ],
    );
    checkpoint_bars(&mut out, &axis, moment);
    if history.job.iter().any(|p| p.state_bytes > 0.0) {
        let state = line(|p| f64::from(p.state_bytes));
        chart(
            &mut out,
            &axis,
            moment,
            "State in memory",
            Unit::Bytes,
            &[Series { name: "state", class: "s2", points: state }],
        );
    }
    if history.job.iter().any(|p| p.backlog > 0.0) {
        let backlog = line(|p| f64::from(p.backlog));
        chart(
            &mut out,
            &axis,
            moment,
            "Waiting outside",
            Unit::Rows,
            &[Series { name: "not read yet", class: "s1", points: backlog }],
        );
    }
    out.raw("</div></div>");
    out
}

/// How far event time is behind; of event times of long ago, how far apart splits are.
fn event_time(out: &mut Html, axis: &Axis, moment: &Moment, history: &History) {
    if history.job.iter().any(|p| p.freshness_s.is_some()) {
        let points = history.job.iter().filter_map(|p| Some((p.at_ms, f64::from(p.freshness_s?))));
        let series = Series { name: "behind", class: "s1", points: points.collect() };
        chart(out, axis, moment, "Watermark behind the clock", Unit::Seconds, &[series]);
        return;
    }
    let apart = history.job.iter().filter_map(|p| {
        let (least, most) = p.watermarks?;
        Some((p.at_ms, most.saturating_sub(least) as f64 / 1e3))
    });
    let points: Vec<_> = apart.collect();
    if points.is_empty() {
        return;
    }
    let title = match moment.snapshot.totals.watermark {
        Some(mark) => format!("Event time of splits apart (now {})", event_second(mark)),
        None => "Event time of splits apart".to_owned(),
    };
    let series = Series { name: "apart", class: "s1", points };
    chart(out, axis, moment, &title, Unit::Seconds, &[series]);
}

fn chart(
    out: &mut Html,
    axis: &Axis,
    moment: &Moment,
    title: &str,
    unit: Unit,
    series: &[Series<'_>],
) {
    let most = series.iter().flat_map(|s| &s.points).map(|(_, v)| *v).fold(0.0, f64::max);
    let top = match unit {
        Unit::Share => 1.0,
        _ => nice(most),
    };
    open(out, axis, title, unit, top, series.iter().map(|s| (s.name, s.class)));
    marks(out, axis, moment);
    for series in series {
        let thinned = thin(&series.points);
        let points = thinned.iter().map(|(at, value)| {
            format!("{},{}", px(axis.x(*at)), px(HEIGHT - value / top * (HEIGHT - 6.0)))
        });
        put!(
            out,
            "<polyline class=\"line {}\" data-name=\"{}\" points=\"{}\"/>",
            series.class,
            series.name,
            points.collect::<Vec<_>>().join(" ")
        );
    }
    close(out, axis, moment, unit, top);
}

fn open<'a>(
    out: &mut Html,
    axis: &Axis,
    title: &str,
    unit: Unit,
    top: f64,
    legend: impl Iterator<Item = (&'a str, &'static str)>,
) {
    put!(out, "<figure><figcaption>{}", title);
    for (name, class) in legend {
        put!(out, "<span class=\"key {}\">{}</span>", class, name);
    }
    put!(
        out,
        "<output></output></figcaption><svg class=\"chart\" viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" \
         role=\"img\" aria-label=\"{}\" data-from=\"{}\" data-to=\"{}\" data-top=\"{}\" data-unit=\"{}\">",
        WIDTH,
        HEIGHT,
        title,
        axis.from_ms,
        axis.to_ms,
        top,
        unit.name()
    );
    for share in [0.0, 0.5, 1.0] {
        let y = HEIGHT - share * (HEIGHT - 6.0) - 0.5;
        put!(
            out,
            "<line class=\"grid\" x1=\"0\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>",
            WIDTH,
            px(y),
            px(y)
        );
    }
}

fn close(out: &mut Html, axis: &Axis, moment: &Moment, unit: Unit, top: f64) {
    let now = moment.snapshot.at_ms;
    let middle = (axis.from_ms + axis.to_ms) / 2;
    put!(out, "</svg><span class=\"top\">{}</span><div class=\"times\">", unit.text(top));
    for at in [axis.from_ms, middle, axis.to_ms] {
        put!(out, "<time data-at=\"{}\" data-short=\"1\">{}</time>", at, time_of_day(at, now));
    }
    out.raw("</div></figure>");
}

/// When something was done or went wrong.
fn marks(out: &mut Html, axis: &Axis, moment: &Moment) {
    let is_shown = |at: u64| at >= axis.from_ms && at <= axis.to_ms;
    for done in moment.ledger.operations.iter().filter(|o| is_shown(o.at_ms)) {
        if done.pause_ms > 0 {
            let (from, to) = (axis.x(done.at_ms.saturating_sub(done.pause_ms)), axis.x(done.at_ms));
            put!(
                out,
                "<rect class=\"pause\" x=\"{}\" y=\"0\" width=\"{}\" height=\"{}\"/>",
                px(from),
                px((to - from).max(1.5)),
                HEIGHT
            );
        }
        let x = px(axis.x(done.at_ms));
        put!(
            out,
            "<line class=\"mark\" x1=\"{}\" x2=\"{}\" y1=\"0\" y2=\"{}\"><title>{}</title></line>",
            x,
            x,
            HEIGHT,
            format!("{}: {}", done.kind, done.message)
        );
    }
    for failure in moment.ledger.failures.iter().filter(|f| is_shown(f.at_ms)) {
        let x = px(axis.x(failure.at_ms));
        put!(
            out,
            "<line class=\"mark bad\" x1=\"{}\" x2=\"{}\" y1=\"0\" y2=\"{}\"><title>{}</title></line>",
            x,
            x,
            HEIGHT,
            failure.message
        );
    }
}

/// How long each checkpoint took, where it ended.
fn checkpoint_bars(out: &mut Html, axis: &Axis, moment: &Moment) {
    let shown: Vec<_> = moment
        .checkpoints
        .iter()
        .filter(|c| c.at_ms >= axis.from_ms && c.at_ms <= axis.to_ms)
        .collect();
    let top = nice(shown.iter().map(|c| c.took_ms as f64).fold(1.0, f64::max));
    open(out, axis, "Checkpoints took", Unit::Millis, top, [("published", "s2")].into_iter());
    marks(out, axis, moment);
    let width = (WIDTH / shown.len().max(60) as f64 * 0.6).clamp(2.0, 8.0);
    for checkpoint in shown {
        let (x, height) =
            (axis.x(checkpoint.at_ms), checkpoint.took_ms as f64 / top * (HEIGHT - 6.0));
        let (class, what) = match checkpoint.result {
            AttemptResult::Published => ("bars s2", format!("checkpoint {}", checkpoint.epoch)),
            AttemptResult::Failed => ("bars bad", format!("failed: {}", checkpoint.problem)),
        };
        put!(
            out,
            "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>",
            class,
            px((x - width).max(0.0)),
            px(HEIGHT - height.max(1.5)),
            px(width),
            px(height.max(1.5)),
            format!("{what}: {}, {}", took(checkpoint.took_ms), bytes(checkpoint.bytes))
        );
    }
    close(out, axis, moment, Unit::Millis, top);
}

/// The next of 1, 2 and 5 times a power of ten.
fn nice(most: f64) -> f64 {
    if most <= 0.0 || !most.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf(most.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|top| *top >= most).unwrap_or(most)
}

/// The largest of each few points, where there are too many.
fn thin(points: &[(u64, f64)]) -> Vec<(u64, f64)> {
    let each = points.len().div_ceil(POINTS).max(1);
    let largest = |few: &[(u64, f64)]| few.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    points.chunks(each).filter_map(largest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number() {
        assert_eq!(
            (nice(0.0), nice(3.2), nice(1_000.0), nice(1_001.0)),
            (1.0, 5.0, 1_000.0, 2_000.0)
        );
    }

    #[test]
    fn a_peak_survives_thinning() {
        let points: Vec<(u64, f64)> =
            (0..600).map(|i| (i, if i == 311 { 9.0 } else { 1.0 })).collect();
        let thinned = thin(&points);
        assert!(thinned.len() <= POINTS && thinned.contains(&(311, 9.0)));
    }
}
