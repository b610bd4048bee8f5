//! Comments that take in what was to be run.
//!
//! YAML joins the lines of `sql: >`, so that a comment (`--`) in the middle goes on to the end of
//! the program. Who reads the manifest sees that; a program that comes through Kubernetes has been
//! joined already, and only its looks tell.

use crate::error::Span;

/// What a statement begins with.
const STATEMENTS: [&str; 4] = ["INSERT INTO ", "CREATE TABLE ", "CREATE VIEW ", "SELECT "];

/// Comments behind code of their line that hold a statement.
pub(crate) fn with_statements(sql: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut quote: Option<char> = None;
    let mut block = false;
    for (number, line) in sql.lines().enumerate() {
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            match quote {
                Some(open) if c == open => quote = None,
                Some(_) => {}
                None if block => block = !rest.starts_with("*/"),
                None if rest.starts_with("/*") => block = true,
                None if matches!(c, '\'' | '`') => quote = Some(c),
                None if rest.starts_with("--") => {
                    let before = &line[..line.len() - rest.len()];
                    let comment = rest.to_ascii_uppercase();
                    if !before.trim().is_empty() && STATEMENTS.iter().any(|s| comment.contains(s)) {
                        let (line, column) = (number as u32 + 1, before.chars().count() as u32 + 1);
                        let end_column = column + 1;
                        found.push(Span { line, column, end_line: line, end_column });
                    }
                    break;
                }
                None => {}
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    found
}

/// What to say of such a comment.
pub(crate) const MESSAGE: &str = "the comment that begins here goes on to the end of its line, and holds a statement, which is not run; if the manifest has `sql: >`, its lines were joined: write `sql: |`";
