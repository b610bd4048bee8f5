//! Checkpoints: the last hundred attempts as a strip, and one of them task by task.

use weir_protocol::view::{AttemptResult, CheckpointRecord, CheckpointTask};

use super::graph::{px, short};
use super::time;
use crate::html::{Html, put};
use crate::hub::Moment;
use crate::words::{bytes, took};

/// Tasks of the Gantt chart: the slowest ones.
const TASKS: usize = 32;
const STRIP: f64 = 90.0;
const SLOT: f64 = 12.0;

fn chosen(moment: &Moment, attempt: Option<u64>) -> Option<&CheckpointRecord> {
    let found = match attempt {
        Some(attempt) => moment.checkpoints.iter().find(|record| record.attempt == attempt),
        None => moment.checkpoints.last(),
    };
    found.map(AsRef::as_ref)
}

/// The last attempts: height is how long each took.
pub(super) fn strip(moment: &Moment, attempt: Option<u64>) -> Html {
    let mut out = Html::new();
    let state = &moment.snapshot.checkpoint;
    out.raw("<div class=\"card\"><h2>Checkpoints</h2>");
    if moment.checkpoints.is_empty() {
        put!(
            out,
            "<p class=\"quiet\">None yet in this run; one is due every {}.</p></div>",
            took(state.interval_ms)
        );
        return out;
    }
    put!(
        out,
        "<p class=\"quiet\">Every {}. {} published, {} failed, {} had nothing new. Height is how long an attempt took; choose one.</p>",
        took(state.interval_ms),
        state.published,
        state.failed,
        state.unchanged
    );
    let top = moment.checkpoints.iter().map(|c| c.took_ms).max().unwrap_or(1).max(1) as f64;
    let width = SLOT * moment.checkpoints.len().max(100) as f64;
    let open = chosen(moment, attempt).map(|c| c.attempt);
    put!(
        out,
        "<div class=\"scroll\"><svg class=\"attempts\" viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" role=\"group\" aria-label=\"Last attempts\">",
        width,
        STRIP,
        width,
        STRIP
    );
    for (i, record) in moment.checkpoints.iter().enumerate() {
        let height = (record.took_ms as f64 / top * (STRIP - 8.0)).max(3.0);
        let (class, what) = match record.result {
            AttemptResult::Published => ("good", format!("checkpoint {}", record.epoch)),
            AttemptResult::Failed => ("bad", "failed".to_owned()),
        };
        put!(
            out,
            "<a href=\"/checkpoints/{}\" class=\"attempt {}{}\" aria-label=\"{}\"><title>{}</title>\
             <rect class=\"hit\" x=\"{}\" y=\"0\" width=\"{}\" height=\"{}\"/><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"1.5\"/></a>",
            record.attempt,
            class,
            if open == Some(record.attempt) { " open" } else { "" },
            format!("{what}, {}", took(record.took_ms)),
            format!(
                "{what}: {}, {} ({})",
                took(record.took_ms),
                bytes(record.bytes),
                record.purpose
            ),
            px(SLOT * i as f64),
            px(SLOT),
            px(STRIP),
            px(SLOT * i as f64 + 1.5),
            px(STRIP - height),
            px(SLOT - 3.0),
            px(height)
        );
    }
    out.raw("</svg></div></div>");
    out
}

/// One attempt: its facts, and what each task took.
pub(super) fn detail(moment: &Moment, attempt: Option<u64>) -> Html {
    let mut out = Html::new();
    let Some(record) = chosen(moment, attempt) else { return out };
    let snapshot = &moment.snapshot;
    let title = match record.result {
        AttemptResult::Published => format!("Checkpoint {}", record.epoch),
        AttemptResult::Failed => format!("Attempt {} failed", record.attempt),
    };
    put!(out, "<div class=\"card\"><h2>{}</h2>", title);
    if !record.problem.is_empty() {
        put!(out, "<p class=\"problem\">{}</p>", record.problem);
    }
    out.raw("<dl class=\"facts\"><div><dt>at</dt><dd>");
    time(&mut out, record.at_ms, snapshot);
    out.raw("</dd></div>");
    let publish_ms = record.took_ms.saturating_sub(record.acknowledged_ms);
    for (name, value) in [
        ("for", record.purpose.clone()),
        ("took", took(record.took_ms)),
        ("all tasks stored after", took(record.acknowledged_ms)),
        ("publishing", took(publish_ms)),
        ("state", bytes(record.bytes)),
        ("written for it", bytes(record.written_bytes)),
    ] {
        put!(out, "<div><dt>{}</dt><dd>{}</dd></div>", name, value);
    }
    out.raw("</dl>");
    gantt(&mut out, moment, record);
    if record.result == AttemptResult::Published && snapshot.checkpoint.epoch == record.epoch {
        put!(out, "<p class=\"quiet\">Stored at <code>{}</code></p>", snapshot.checkpoint.path);
    }
    out.raw("</div>");
    out
}

fn total_us(task: &CheckpointTask) -> u64 {
    task.trigger_us + task.align_us + task.freeze_us + task.upload_us
}

fn gantt(out: &mut Html, moment: &Moment, record: &CheckpointRecord) {
    if record.tasks.is_empty() {
        out.raw("<p class=\"quiet\">What each task took is no longer kept.</p>");
        return;
    }
    let mut tasks: Vec<&CheckpointTask> = record.tasks.iter().collect();
    tasks.sort_by_key(|task| std::cmp::Reverse(total_us(task)));
    let longest =
        (record.took_ms * 1000).max(tasks.first().map_or(1, |t| total_us(t))).max(1) as f64;
    out.raw(
        "<h3>Tasks, the slowest first</h3><ul class=\"legend steps\"><li><i class=\"k0\"></i>barrier on its way</li>\
         <li><i class=\"k1\"></i>waits for the other inputs’ barriers</li><li><i class=\"k2\"></i>freezes (pause)</li>\
         <li><i class=\"k3\"></i>encodes and stores</li><li><i class=\"k5\"></i>publishes</li></ul><div class=\"scroll\"><table class=\"gantt\"><thead><tr>\
         <th>task</th><th>phases</th><th class=\"r\">in all</th><th class=\"r\">pause</th><th class=\"r\">wrote</th></tr></thead><tbody>",
    );
    let (stored, published) = (record.acknowledged_ms * 1000, record.took_ms * 1000);
    if record.result == AttemptResult::Published {
        put!(
            out,
            "<tr><td>the coordinator publishes</td><td><svg viewBox=\"0 0 600 16\" preserveAspectRatio=\"none\" \
             role=\"img\" aria-label=\"Publishing\"><rect class=\"step k5\" x=\"{}\" y=\"1\" width=\"{}\" height=\"14\"/></svg></td>\
             <td class=\"r\">{}</td><td class=\"r\"></td><td class=\"r\"></td></tr>",
            px(stored as f64 / longest * 600.0),
            px((published.saturating_sub(stored) as f64 / longest * 600.0).max(0.8)),
            micros(published.saturating_sub(stored))
        );
    }
    for task in tasks.iter().take(TASKS) {
        let name = moment.snapshot.vertices.get(task.vertex as usize);
        let name = name.map_or_else(|| format!("chain {}", task.vertex), |v| short(&v.name, 40));
        put!(out, "<tr><td title=\"{}\">{} <b>{}</b></td><td>", name, name, task.subtask);
        out.raw("<svg viewBox=\"0 0 600 16\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Phases\">");
        let mut x = 0.0;
        for (i, us) in
            [task.trigger_us, task.align_us, task.freeze_us, task.upload_us].into_iter().enumerate()
        {
            let width = us as f64 / longest * 600.0;
            if us > 0 {
                put!(
                    out,
                    "<rect class=\"step k{}\" x=\"{}\" y=\"1\" width=\"{}\" height=\"14\"><title>{}</title></rect>",
                    i,
                    px(x),
                    px(width.max(0.8)),
                    micros(us)
                );
            }
            x += width;
        }
        put!(
            out,
            "</svg></td><td class=\"r\">{}</td><td class=\"r\">{}</td><td class=\"r\">{}</td></tr>",
            micros(total_us(task)),
            micros(task.freeze_us),
            bytes(task.bytes)
        );
    }
    out.raw("</tbody></table></div>");
    let more = tasks.len().saturating_sub(TASKS);
    if more > 0 {
        put!(out, "<p class=\"quiet\">{} more tasks were faster.</p>", more);
    }
}

fn micros(us: u64) -> String {
    if us < 1_000 { format!("{us} µs") } else { took(us / 1000) }
}
