//! Errors with a place in the program text.

use std::fmt;

use weir_connectors::options;
use weir_connectors::table::Position;

/// A stretch of the program text: first and last character, both from 1, both inclusive.
///
/// `{:#?}` of whatever holds places does not say where these are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span {
    /// Line of the first character.
    pub line: u32,
    /// Column of the first character.
    pub column: u32,
    /// Line of the last character.
    pub end_line: u32,
    /// Column of the last character.
    pub end_column: u32,
}

impl std::fmt::Debug for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, column, end_line, end_column } = self;
        match f.alternate() {
            true => f.write_str("Span"),
            false => write!(f, "{line}:{column} to {end_line}:{end_column}"),
        }
    }
}

impl Span {
    /// From the first character of `self` to the last of `other`.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        if self.line == 0 {
            return other;
        }
        if other.line == 0 {
            return self;
        }
        Self { end_line: other.end_line, end_column: other.end_column, ..self }
    }

    /// Where it begins.
    #[must_use]
    pub fn start(self) -> Position {
        Position { line: u64::from(self.line), column: u64::from(self.column) }
    }
}

impl From<Position> for Span {
    fn from(at: Position) -> Self {
        let (line, column) = (at.line as u32, at.column as u32);
        Self { line, column, end_line: line, end_column: column }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sql:{}:{}", self.line, self.column)
    }
}

/// Something that is wrong with a program: place, cause and fix.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SqlError {
    /// Where.
    pub span: Span,
    /// Cause and fix.
    pub message: String,
    /// It is about a name that stands for nothing where it is written.
    pub(crate) is_of_a_name: bool,
}

impl SqlError {
    /// An error at `span`.
    #[must_use]
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), is_of_a_name: false }
    }

    /// An error about a name that stands for nothing, where it may stand for something elsewhere.
    pub(crate) fn of_a_name(span: Span, message: impl Into<String>) -> Self {
        Self { is_of_a_name: true, ..Self::new(span, message) }
    }

    /// Line of the first wrong character, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.span.line
    }

    /// Column of the first wrong character, from 1.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.span.column
    }

    /// The error with the line it is about and carets below the wrong part.
    #[must_use]
    pub fn render(&self, sql: &str) -> String {
        let mut text = self.to_string();
        let Some(line) = sql.lines().nth((self.span.line as usize).saturating_sub(1)) else {
            return text;
        };
        let line = line.trim_end();
        let number = self.span.line.to_string();
        let width = line.chars().count();
        let from = (self.span.column as usize).saturating_sub(1).min(width);
        let to = if self.span.end_line == self.span.line {
            (self.span.end_column as usize).clamp(from + 1, width.max(from + 1))
        } else {
            width.max(from + 1)
        };
        let tabs: String =
            line.chars().take(from).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        text.push_str(&format!("\n  {number} | {line}\n  {:w$} | ", "", w = number.len()));
        text.push_str(&tabs);
        text.extend(std::iter::repeat_n('^', to - from));
        text
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.span, self.message)
    }
}

impl std::error::Error for SqlError {}

/// Something that works but that a user should know.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Warning {
    /// Where.
    pub span: Span,
    /// What, and what to do about it.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.span, self.message)
    }
}

/// Renders every error with its excerpt, in the order of the program.
#[must_use]
pub fn render(errors: &[SqlError], sql: &str) -> String {
    errors.iter().map(|e| e.render(sql)).collect::<Vec<_>>().join("\n")
}

/// `; did you mean "x"?` for the candidate nearest to `name`, or nothing.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    quote: char,
) -> String {
    // One that is written alike is meant otherwise.
    let others = candidates.into_iter().filter(|known| *known != name);
    options::did_you_mean(name, others)
        .map(|found| format!("; did you mean {quote}{found}{quote}?"))
        .unwrap_or_default()
}
