//! SQL comments in a text whose lines YAML joins.

use saphyr_parser::ScalarStyle;

use crate::yaml::Scalar;

/// The line of the text, from 0, whose comment (`--`) takes in the line below it, since both
/// become one: what stands there would silently not be run.
pub(super) fn swallowing_comment(scalar: &Scalar) -> Option<usize> {
    if scalar.style == ScalarStyle::Literal {
        return None;
    }
    let mut inside = Inside::Code;
    scalar.lines.iter().enumerate().find_map(|(i, line)| {
        // The first line may begin with a key, and with a quote of YAML's.
        let before = if i == 0 { scalar.indent } else { 0 };
        let code = line.char_indices().nth(before).map_or("", |(at, _)| &line[at..]);
        let comments = inside.read(code);
        let next = scalar.lines.get(i + 1)?;
        (comments && is_joined(scalar, line, next)).then_some(i)
    })
}

/// Whether YAML makes one line of two. Lines that stand further right than a block's first keep
/// their ends, as do empty ones.
fn is_joined(scalar: &Scalar, line: &str, next: &str) -> bool {
    let further = |line: &str| line.chars().take_while(|c| *c == ' ').count() > scalar.indent;
    let block = scalar.style == ScalarStyle::Folded;
    !next.trim().is_empty() && !(block && (further(line) || further(next)))
}

/// What the end of a line stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    Quotes(char),
    Comment,
}

impl Inside {
    /// Reads a line; whether it ends in a comment that goes on to the line's end.
    fn read(&mut self, line: &str) -> bool {
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            match *self {
                Self::Code if rest.starts_with("--") => return true,
                Self::Code if rest.starts_with("/*") => *self = Self::Comment,
                Self::Code if matches!(c, '\'' | '`') => *self = Self::Quotes(c),
                Self::Quotes(quote) if c == quote => *self = Self::Code,
                Self::Comment if rest.starts_with("*/") => *self = Self::Code,
                _ => {}
            }
            rest = &rest[c.len_utf8()..];
        }
        false
    }
}
