//! The newest rows of an operator, where they may be shown and somebody wants to see them.

use weir_protocol::view::{OperatorView, RowsView, Snapshot};

use super::{Subject, View, time};
use crate::html::{Html, put};
use crate::hub::Hub;

/// Why rows are not shown, and how they are.
pub(crate) const ROWS_ARE_HIDDEN: &str = "rows are data, and whoever may forward a port to the job's pods would see them: set \
     spec.workers.showRows: true in the manifest to allow it (weir run shows them without)";

pub(super) fn newest(
    out: &mut Html,
    hub: &Hub,
    (snapshot, operator): (&Snapshot, &OperatorView),
    view: &View,
    rows: Option<&RowsView>,
) {
    out.raw("<h3>Newest rows</h3>");
    if !hub.program.shows_rows {
        put!(out, "<p class=\"quiet\">Not shown: {}.</p>", ROWS_ARE_HIDDEN);
        return;
    }
    let gives = if operator.kind == "sink" { "takes" } else { "gives" };
    if !view.rows {
        // A link, so that it works without a script; nothing is taken before somebody wants it.
        let path = match &view.subject {
            Subject::Operator(uid) => format!("/operators/{uid}?rows=1"),
            _ => format!("/?operator={}&rows=1", operator.uid),
        };
        put!(
            out,
            "<p><a href=\"{}\">Show a few of the rows that it {}</a></p><p class=\"quiet\">Taken while you look, kept nowhere.</p>",
            path,
            gives
        );
        return;
    }
    let Some(rows) = rows else {
        put!(out, "<p class=\"quiet\">None since you look.</p>");
        return;
    };
    table(out, rows);
    out.raw("<p class=\"quiet\">A few of those that it ");
    put!(out, "{} at ", gives);
    time(out, rows.at_ms, snapshot);
    if rows.more_columns > 0 {
        put!(out, ", without {} more columns", rows.more_columns);
    }
    put!(
        out,
        ". Taken while you look, kept nowhere.</p><p><a href=\"/v1/operators/{}/sample\">Rows as JSON</a></p>",
        operator.uid
    );
}

fn table(out: &mut Html, rows: &RowsView) {
    let changes = rows.rows.iter().any(|row| row.change != "+I");
    out.raw("<div class=\"scroll\" tabindex=\"0\"><table class=\"rows\"><thead><tr>");
    if changes {
        out.raw("<th>op</th>");
    }
    for name in &rows.columns {
        put!(out, "<th>{}</th>", name);
    }
    out.raw("</tr></thead><tbody>");
    for row in rows.rows.iter().rev() {
        out.raw("<tr>");
        if changes {
            put!(out, "<td>{}</td>", row.change);
        }
        for value in &row.values {
            match value {
                Some(value) => put!(out, "<td>{}</td>", value),
                None => out.raw("<td class=\"quiet\">NULL</td>"),
            }
        }
        out.raw("</tr>");
    }
    out.raw("</tbody></table></div>");
}
