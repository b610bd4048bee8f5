//! Java's regular expressions, as Flink's functions use them, on the `regex` crate.
//!
//! The crate finds what Java finds, first alternative first, in time linear in the text; but it
//! reads many signs otherwise: `\d`, `\w`, `\s` and `(?i)` mean ASCII in Java, `.` leaves out five
//! line ends, `$` stands before the last of them too, classes have another grammar. So a pattern
//! is read as Java reads it ([`parse`]) and written in the crate's language ([`write`]). What the
//! crate cannot do is refused when the pattern is read: lookaround, back references, possessive
//! quantifiers, `^` and `$` of single lines, repetitions whose groups would hold something else.

mod class;
mod parse;
mod write;

use ::regex::{Regex, RegexBuilder};

/// Largest compiled expression, so that a pattern cannot exhaust the memory.
pub(super) const MAX_COMPILED: usize = 1 << 20;

/// A pattern that means what Java means by it.
#[derive(Debug)]
pub(super) struct JavaRegex {
    regex: Regex,
    /// The crate's number of each of the pattern's groups; the first is the whole.
    groups: Vec<usize>,
    /// Groups that hold the line end that a `$` looked at: it is not part of what was found.
    tails: Vec<usize>,
}

/// What was found: the place of each group.
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    groups: Vec<Option<(usize, usize)>>,
}

impl Found {
    /// A group's place; `None` for one that took no part, or that the pattern does not have.
    pub(super) fn group(&self, number: usize) -> Option<(usize, usize)> {
        match number {
            0 => Some((self.start, self.end)),
            _ => self.groups.get(number).copied().flatten(),
        }
    }
}

impl JavaRegex {
    /// Reads a pattern that is searched for.
    ///
    /// # Errors
    /// What is wrong with it, or not supported.
    pub(super) fn find(pattern: &str) -> Result<Self, String> {
        Self::of(pattern, false)
    }

    /// Reads a pattern that a whole text has to match.
    ///
    /// # Errors
    /// What is wrong with it, or not supported.
    pub(super) fn whole(pattern: &str) -> Result<Self, String> {
        Self::of(pattern, true)
    }

    fn of(pattern: &str, whole: bool) -> Result<Self, String> {
        let written = write::write(&parse::parse(pattern)?, whole)?;
        let regex = RegexBuilder::new(&written.text).size_limit(MAX_COMPILED).build();
        let regex = regex.map_err(|error| match error {
            ::regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            error => last_line(&error.to_string()),
        })?;
        Ok(Self { regex, groups: written.groups, tails: written.tails })
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The first match from a place on.
    pub(super) fn find_at(&self, text: &str, from: usize) -> Option<Found> {
        let found = self.regex.captures_at(text, from)?;
        let whole = found.get(0)?;
        let tail = self.tails.iter().find_map(|&tail| found.get(tail));
        let end = tail.map_or(whole.end(), |tail| tail.start());
        let start = whole.start();
        let place = |group: usize| found.get(group).map(|g| (g.start(), g.end().min(end)));
        let groups = self.groups.iter().map(|&group| place(group)).collect();
        Some(Found { start, end, groups })
    }

    /// Calls `on` with every match. Right behind a match there may be an empty one.
    pub(super) fn each(&self, text: &str, mut on: impl FnMut(&Found)) {
        let mut from = 0;
        while let Some(found) = self.find_at(text, from) {
            on(&found);
            from = found.end;
            if found.start == found.end {
                match text[found.end..].chars().next() {
                    Some(c) => from += c.len_utf8(),
                    None => break,
                }
            }
        }
    }

    /// What stands between matches; nothing at the end that is empty, as Java splits.
    pub(super) fn split<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let mut parts = Vec::new();
        let mut from = 0;
        self.each(text, |found| {
            // An empty match at the beginning parts nothing.
            if found.end > 0 {
                parts.push(&text[from..found.start]);
                from = found.end;
            }
        });
        parts.push(&text[from..]);
        while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        parts
    }

    /// Number of groups.
    pub(super) fn groups(&self) -> usize {
        self.groups.len().saturating_sub(1)
    }

    /// Every match replaced by the same text.
    pub(super) fn replace_all(&self, text: &str, with: &str) -> String {
        let mut result = String::with_capacity(text.len());
        let mut copied = 0;
        self.each(text, |found| {
            result.push_str(&text[copied..found.start]);
            result.push_str(with);
            copied = found.end;
        });
        result.push_str(&text[copied..]);
        result
    }
}

fn last_line(text: &str) -> String {
    text.lines()
        .last()
        .unwrap_or("it cannot be read")
        .trim()
        .trim_start_matches("error: ")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(pattern: &str) -> String {
        JavaRegex::find(pattern).err().unwrap_or_else(|| format!("{pattern} is read"))
    }

    #[test]
    fn what_cannot_be_done_as_java_does_it_is_refused_with_its_name() {
        for (pattern, part) in [
            (r"(a)\1", "back references"),
            (r"\k<x>", "back references"),
            ("a(?=b)", "lookahead"),
            ("a(?!b)", "lookahead"),
            ("(?<=a)b", "lookbehind"),
            ("(?<!a)b", "lookbehind"),
            ("(?>a)", "atomic"),
            ("a++", "possessive"),
            ("a*+b", "possessive"),
            ("(?m)^a", "(?m)"),
            ("(?m)a$", "(?m)"),
            ("a$b", "'$'"),
            ("(a$)*", "'$'"),
            (r"\Ga", r"\G"),
            (r"\X", r"\X"),
            ("(?x) a", "(?x)"),
            ("(?iu)é", "(?u)"),
            ("(?U)é", "(?U)"),
            (r"\p{InGreek}", "InGreek"),
            (r"\p{javaLowerCase}", "javaLowerCase"),
            (r"(?i)\p{Lu}", "(?i)"),
            (r"\N{DIGIT ONE}", r"\N"),
            ("(a*)*", "empty"),
            ("(|a)*", "empty"),
            ("[^a&&b]", "&&"),
            ("(b", "not closed"),
            ("b)", "')'"),
            ("a{", "'{'"),
            ("{", "'{'"),
            ("a**", "'*'"),
            ("+a", "'+'"),
            ("[b-a]", "range"),
            ("[a", "not closed"),
            (r"\y", r"\y"),
            ("a\\", "ends"),
            ("a{3,2}", "'{'"),
        ] {
            let found = refusal(pattern);
            assert!(found.contains(part), "{pattern}: {found}");
        }
    }

    #[test]
    fn a_dollar_stands_before_the_last_line_end_and_leaves_it_out() {
        let found = |pattern: &str, text: &str| {
            let regex = JavaRegex::find(pattern).unwrap();
            regex.find_at(text, 0).map(|f| (f.start, f.end))
        };
        assert_eq!(found("a$", "a\n"), Some((0, 1)));
        assert_eq!(found("a$", "a\r\n"), Some((0, 1)));
        assert_eq!(found("a$", "a\u{2028}"), Some((0, 1)));
        assert_eq!(found("a$", "a\n\n"), None);
        assert_eq!(found(r"a\z", "a\n"), None);
        assert_eq!(found(r"a\Z", "a\n"), Some((0, 1)));
        assert_eq!(found("x|(a$|b)", "a\n"), Some((0, 1)));
        let regex = JavaRegex::find("$").unwrap();
        assert_eq!(regex.replace_all("a\n", "X"), "aX\nX");
    }
}
