//! The program: its text with the part of an operator lit, and its plan.

use std::ops::Range;

use weir_protocol::view::Snapshot;

use crate::html::{Html, put};
use crate::hub::Program;

/// Words that are set off; what is none of the language's important ones stays plain.
const WORDS: [&str; 72] = [
    "ALL",
    "AND",
    "ANTI",
    "ARRAY",
    "AS",
    "ASC",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CREATE",
    "CROSS",
    "DESC",
    "DESCRIPTOR",
    "DISTINCT",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "FALSE",
    "FETCH",
    "FILTER",
    "FIRST",
    "FOR",
    "FROM",
    "FULL",
    "GROUP",
    "GROUPING",
    "HAVING",
    "IF",
    "IN",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PARTITIONED",
    "PRIMARY",
    "RIGHT",
    "ROW",
    "ROWS",
    "SELECT",
    "SET",
    "STATEMENT",
    "SYSTEM_TIME",
    "TABLE",
    "TEMPORARY",
    "THEN",
    "TRUE",
    "UNION",
    "UNNEST",
    "VALUES",
    "VIEW",
    "WATERMARK",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Text and plan side by side.
pub(super) fn program(program: &Program, snapshot: &Snapshot, lit: Option<&str>) -> Html {
    let mut out = Html::new();
    out.raw("<div class=\"pair\"><div class=\"card\"><h2>Program</h2>");
    if !program.places.is_empty() {
        out.raw("<p class=\"chips\">");
        for operator in snapshot.vertices.iter().flat_map(|v| &v.operators) {
            if program.places.contains_key(&operator.uid) {
                let here = if lit == Some(operator.uid.as_str()) { "here" } else { "" };
                put!(
                    out,
                    "<a class=\"{}\" href=\"/program?operator={}\">{}</a>",
                    here,
                    operator.uid,
                    operator.name
                );
            }
        }
        out.raw("</p>");
    }
    out.raw("<pre class=\"sql numbered\" tabindex=\"0\">");
    let places = lit.and_then(|uid| program.places.get(uid)).map(Vec::as_slice).unwrap_or_default();
    highlight(&mut out, &program.sql, places);
    out.raw("</pre></div><div class=\"card\"><h2>Plan</h2>");
    put!(out, "<pre class=\"plan\" tabindex=\"0\">{}</pre></div></div>", program.plan);
    out
}

/// SQL with its words, texts and comments set off, and these places lit.
pub(super) fn highlight(out: &mut Html, sql: &str, lit: &[Range<usize>]) {
    let is_lit = |at: usize| lit.iter().any(|place| place.contains(&at));
    let mut marked = false;
    for (at, token) in tokens(sql) {
        if is_lit(at) != marked {
            out.raw(if marked { "</mark>" } else { "<mark>" });
            marked = !marked;
        }
        let class = class(token);
        match class {
            "" => put!(out, "{}", token),
            class => put!(out, "<span class=\"{}\">{}</span>", class, token),
        }
    }
    if marked {
        out.raw("</mark>");
    }
}

fn class(token: &str) -> &'static str {
    if token.starts_with("--") || token.starts_with("/*") {
        return "comment";
    }
    if token.starts_with('\'') {
        return "text";
    }
    let upper = token.to_ascii_uppercase();
    if WORDS.binary_search(&upper.as_str()).is_ok() {
        return "word";
    }
    if token.starts_with(|c: char| c.is_ascii_digit()) { "digits" } else { "" }
}

/// Pieces with where they begin; together they are the text.
pub(crate) fn tokens(sql: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let until = |end: &str, from: usize| {
            rest.get(from..).and_then(|r| r.find(end)).map_or(rest.len(), |i| from + i + end.len())
        };
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => until("*/", 2),
            '\'' => until("'", 1),
            '`' => until("`", 1),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        tokens.push((at, &rest[..length]));
        at += length;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_in_order_so_that_they_are_found() {
        assert!(WORDS.is_sorted());
    }

    #[test]
    fn every_letter_of_a_program_is_shown_once_and_places_are_lit() {
        let sql = "SELECT `a`, 'it''s <b>' -- why\nFROM t /* é */ WHERE x > 12";
        let whole: String = tokens(sql).into_iter().map(|(_, token)| token).collect();
        assert_eq!(whole, sql);
        let mut out = Html::new();
        highlight(&mut out, sql, &[0..6, 7..11]);
        let html = out.into_string();
        assert!(
            html.starts_with("<mark><span class=\"word\">SELECT</span></mark> <mark>`a`,</mark>"),
            "{html}"
        );
        assert!(html.contains("<span class=\"comment\">-- why</span>"), "{html}");
        assert!(html.contains("&lt;b&gt;") && !html.contains("<b>"), "{html}");
        for cut in ["'open", "/* open", "`open", "-- open"] {
            assert_eq!(tokens(cut).len(), 1, "{cut}");
        }
    }
}
