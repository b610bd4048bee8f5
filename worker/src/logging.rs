//! Logs: to standard error, quiet for people, JSON on request.
//!
//! Values that the process covers ([`weir_engine::veil`]) never stand in a line, whoever wrote it.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};

use parking_lot::Mutex;
use serde_json::Value;
use tracing_subscriber::EnvFilter;
use weir_engine::veil;

use crate::run::terminal;

/// Starts logging; `WEIR_LOG` chooses levels (`info,weir_coordinator=debug`), `WEIR_LOG_FORMAT=json`
/// the form. Without it only warnings are shown. Colours are for terminals, unless `plain`.
pub(crate) fn start(plain: bool) {
    let filter = EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let json = std::env::var("WEIR_LOG_FORMAT").is_ok_and(|format| format == "json");
    let plain = plain || std::env::var_os("NO_COLOR").is_some();
    let colours = !plain && std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(move || Veiled { to: Shared, json });
    // A second start (in tests) keeps the first one's settings.
    let _ = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
    let covered = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    for (name, value) in covered.iter().filter_map(|name| Some((name, std::env::var(name).ok()?))) {
        veil::cover(name, &value);
    }
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let text = format!("thread '{}' {panic}", thread.name().unwrap_or("<unnamed>"));
        let trace = std::backtrace::Backtrace::capture();
        let asked = trace.status() == std::backtrace::BacktraceStatus::Captured;
        let trace = if asked { format!("\n{trace}") } else { String::new() };
        eprintln!("{}", veil::hide(&format!("{text}{trace}")));
    }));
}

/// Standard error, which the progress line of a terminal shares, and the last lines for the page.
struct Shared;

impl Write for Shared {
    fn write(&mut self, lines: &[u8]) -> std::io::Result<usize> {
        terminal::above(|| std::io::stderr().write_all(lines))?;
        let mut recent = RECENT.lock();
        for line in String::from_utf8_lossy(lines).lines() {
            if recent.1.len() >= MAX_RECENT {
                recent.1.pop_front();
            }
            recent.0 += 1;
            recent.1.push_back(line.to_owned());
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Lines that are kept for people.
const MAX_RECENT: usize = 200;

/// How many lines were written, and the last of them.
static RECENT: Mutex<(u64, VecDeque<String>)> = Mutex::new((0, VecDeque::new()));

/// The lines that were written after `seen` of them, without colours, and how many there are now.
pub(crate) fn since(seen: u64) -> (u64, Vec<String>) {
    let recent = RECENT.lock();
    let fresh = usize::try_from(recent.0.saturating_sub(seen)).unwrap_or(usize::MAX);
    let skip = recent.1.len().saturating_sub(fresh);
    (recent.0, recent.1.iter().skip(skip).map(|line| without_colours(line)).collect())
}

fn without_colours(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    text
}

/// Writes lines without what is covered. Each call holds whole lines.
struct Veiled<W> {
    to: W,
    /// Lines are JSON, and stay so.
    json: bool,
}

impl<W: Write> Write for Veiled<W> {
    fn write(&mut self, lines: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(lines);
        let hidden = veil::hide(&text);
        if hidden == text {
            self.to.write_all(lines)?;
        } else if let (true, Ok(mut value)) = (self.json, serde_json::from_str(&text)) {
            hide_in(&mut value);
            writeln!(self.to, "{value}")?;
        } else {
            self.to.write_all(hidden.as_bytes())?;
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// Hides what is covered in every text of a value. Numbers stay: a covered one among them is
/// a coincidence.
fn hide_in(value: &mut Value) {
    match value {
        Value::String(text) => *text = veil::hide(text).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(hide_in),
        Value::Object(fields) => fields.values_mut().for_each(hide_in),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_the_page_have_no_colours() {
        assert_eq!(
            without_colours("\x1b[2m12:00\x1b[0m \x1b[33m WARN\x1b[0m no"),
            "12:00  WARN no"
        );
    }

    fn written(line: &str, json: bool) -> String {
        let mut out = Veiled { to: Vec::new(), json };
        out.write_all(line.as_bytes()).expect("a buffer takes everything");
        String::from_utf8(out.to).expect("UTF-8")
    }

    #[test]
    fn no_line_of_a_log_shows_what_is_covered() {
        veil::cover("PLANTED_IN_LOGS", "quo\"ted 123456789");
        assert_eq!(
            written("WARN user=u password=quo\"ted 123456789\n", false),
            "WARN user=u password=${env:PLANTED_IN_LOGS}\n"
        );
        let line = r#"{"fields":{"message":"no quo\"ted 123456789","n":123456789}}"#;
        let shown = written(&format!("{line}\n"), true);
        let value: Value = serde_json::from_str(&shown).expect("still JSON");
        assert_eq!(value["fields"]["message"], "no ${env:PLANTED_IN_LOGS}");
        assert_eq!(value["fields"]["n"], 123_456_789);
        assert_eq!(written("INFO nothing\n", false), "INFO nothing\n");
    }
}
