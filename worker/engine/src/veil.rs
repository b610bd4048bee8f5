//! Values that must not be shown, taken out of texts that others have made.
//!
//! The second line: the first is not to put such values into texts. But clients repeat their
//! settings and URLs in errors, and a path or a topic that comes from the environment is in many
//! messages. So the process keeps one [`Veil`] of what it has read of its environment for a
//! program: every [`EngineError`](crate::EngineError) passes it, and so do logs and the words of
//! a panic (the program's business).
//!
//! Deliberately absent: rows. What a program writes is its own.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use parking_lot::RwLock;

/// Values that are shorter are not looked for: `10` or `true` would be found everywhere, and what
/// is that short guards nothing.
const LEAST: usize = 6;

/// What this process covers.
static PROCESS: LazyLock<RwLock<Veil>> = LazyLock::new(RwLock::default);

/// Covers a variable's value in everything that this process says from now on.
pub fn cover(name: &str, value: &str) {
    PROCESS.write().cover(name, value);
}

/// A text as this process may say it.
#[must_use]
pub fn hide(text: &str) -> Cow<'_, str> {
    PROCESS.read().hide(text)
}

/// Values, and what is shown instead of each.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Veil {
    /// Value → what is shown instead; longest values first, each once.
    covered: Vec<(String, String)>,
}

impl Veil {
    /// Covers a variable's value, unless it is so short that it would be found everywhere.
    pub fn cover(&mut self, name: &str, value: &str) {
        if value.len() >= LEAST {
            self.cover_as(value, &format!("${{env:{name}}}"));
        }
    }

    /// Covers a value of any length.
    pub fn cover_as(&mut self, value: &str, shown: &str) {
        // As it stands in URLs, in JSON and in texts that quote.
        let percent: String = value
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    char::from(byte).to_string()
                }
                byte => format!("%{byte:02X}"),
            })
            .collect();
        let debug = format!("{value:?}");
        let json = serde_json::to_string(value).unwrap_or_default();
        let inner = |quoted: &str| {
            quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')).unwrap_or("").to_owned()
        };
        for form in
            [value.to_owned(), value.trim().to_owned(), percent, inner(&debug), inner(&json)]
        {
            if !form.is_empty() && !self.covered.iter().any(|(known, _)| *known == form) {
                self.covered.push((form, shown.to_owned()));
            }
        }
        self.covered.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    }

    /// The text with every covered value replaced; of values that overlap the longest one that
    /// begins first.
    #[must_use]
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.covered.iter().any(|(value, _)| text.contains(value.as_str())) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        // One pass, so that nothing is found in what was put in.
        while let Some(first) = rest.chars().next() {
            match self.covered.iter().find(|(value, _)| rest.starts_with(value.as_str())) {
                Some((value, shown)) => {
                    out.push_str(shown);
                    rest = &rest[value.len()..];
                }
                None => {
                    out.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        Cow::Owned(out)
    }
}

impl fmt::Debug for Veil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.covered.iter().map(|(_, shown)| shown)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EngineError;

    const SECRET: &str = "tr0ub4dor&3";

    #[test]
    fn a_veil_finds_values_in_every_form() {
        let mut veil = Veil::default();
        veil.cover("SECRET", SECRET);
        veil.cover("SHORT", "10");
        veil.cover("LINES", "line 1\n\"line\" 2\n");
        for (said, shown) in [
            ("user=u, password=tr0ub4dor&3!", "user=u, password=${env:SECRET}!"),
            ("http://h/?k=tr0ub4dor%263&n=10", "http://h/?k=${env:SECRET}&n=10"),
            ("said \"line 1\\n\\\"line\\\" 2\\n\"", "said \"${env:LINES}\""),
            ("nothing", "nothing"),
            ("ünï tr0ub4dor&3tr0ub4dor&3", "ünï ${env:SECRET}${env:SECRET}"),
        ] {
            assert_eq!(veil.hide(said), shown);
        }
        assert!(!format!("{veil:?}").contains(SECRET));
    }

    #[test]
    fn nothing_is_found_in_what_was_put_in_and_the_longest_goes_first() {
        let mut veil = Veil::default();
        veil.cover("A", "secret");
        veil.cover("secret", "secret-and-more");
        assert_eq!(veil.hide("secret-and-more secret"), "${env:secret} ${env:A}");
    }

    #[test]
    fn what_the_process_covers_stands_in_no_error() {
        cover("PLANTED_IN_ERRORS", "correct horse battery staple");
        let said = "cannot log in as 'correct horse battery staple'";
        for error in [
            EngineError::user(said),
            EngineError::external(said),
            EngineError::internal(said),
            EngineError::user("no").at("/correct horse battery staple/a.json"),
        ] {
            assert!(error.message.contains("${env:PLANTED_IN_ERRORS}"), "{error}");
            assert!(!error.message.contains("correct horse"), "{error}");
        }
    }
}
