//! What is answered: one JSON object a line.

use std::borrow::Cow;

use serde::Serialize;
use weir_connectors::print::{self, Console};
use weir_engine::veil;

use crate::rows::results::write_out;

/// See the parent module.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Event<'a> {
    Hello { protocol: u32, weir: &'a str },
    Said { text: Cow<'a, str> },
    Warning { text: Cow<'a, str> },
    Error { text: Cow<'a, str> },
    Text { text: Cow<'a, str> },
    Printed { text: Cow<'a, str> },
    Progress { text: Cow<'a, str> },
    Columns { columns: Vec<Column<'a>>, bounded: bool, corrected: bool },
    Completions { start: usize, candidates: Vec<Candidate<'a>> },
    Done { ended: &'a str, rows: u64, seconds: f64 },
    End { code: u8 },
}

/// A column of a result.
#[derive(Serialize)]
pub(super) struct Column<'a> {
    pub(super) name: &'a str,
    #[serde(rename = "type")]
    pub(super) of: &'a str,
}

/// What could be completed.
#[derive(Serialize)]
pub(super) struct Candidate<'a> {
    pub(super) text: &'a str,
    pub(super) what: &'a str,
}

/// Writes an event.
pub(super) fn tell(event: &Event<'_>) {
    match serde_json::to_string(event) {
        Ok(line) => write_out(&format!("{line}\n")),
        // Texts and numbers can be written: the program would wait for its answer otherwise.
        Err(error) => tracing::error!(%error, "an event cannot be written"),
    }
}

pub(super) fn said(text: &str) {
    tell(&Event::Said { text: veil::hide(text) });
}

pub(super) fn error(text: &str) {
    tell(&Event::Error { text: veil::hide(text) });
}

/// Writes rows, each an array of JSON already. `total` is how many there are where these are only to
/// be looked at.
pub(super) fn rows(rows: &[&str], total: Option<u64>) {
    let rows = rows.join(",");
    write_out(&match total {
        Some(total) => format!("{{\"event\":\"table\",\"total\":{total},\"rows\":[{rows}]}}\n"),
        None => format!("{{\"event\":\"rows\",\"rows\":[{rows}]}}\n"),
    });
}

/// Takes the lines of tables of the connector `print`.
pub(super) struct Printed;

impl Console for Printed {
    fn rows(&self, printed: &print::Printed<'_>) -> Result<(), String> {
        tell(&Event::Printed { text: String::from_utf8_lossy(printed.lines) });
        Ok(())
    }
}
