//! Markup in which every value is escaped: the only way to put a text in is [`put!`], and the only
//! way around escaping is a value that is markup already.

use std::fmt::{self, Display, Write};

/// Markup.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Html(String);

impl Html {
    /// None.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Markup that stands in this program's source.
    pub(crate) fn raw(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// More markup.
    pub(crate) fn add(&mut self, more: &Self) {
        self.0.push_str(&more.0);
    }

    /// Formats; the arguments have to be wrapped by [`put!`].
    #[doc(hidden)]
    pub(crate) fn write(&mut self, arguments: fmt::Arguments<'_>) {
        // Writing to a text succeeds.
        let _ = self.0.write_fmt(arguments);
    }

    /// As a text.
    #[must_use]
    pub(crate) fn into_string(self) -> String {
        self.0
    }

    /// As a text.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value as a text, or as part of an attribute in double quotes.
pub(crate) struct Text<T>(pub(crate) T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (plain, special) = rest.split_at(at);
            self.0.write_str(plain)?;
            self.0.write_str(match special.as_bytes()[0] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &special[1..];
        }
        self.0.write_str(rest)
    }
}

/// `put!(out, "<b>{}</b>", name)`: the arguments are escaped, the form is not.
macro_rules! put {
    ($out:expr, $form:literal $(, $value:expr)* $(,)?) => {
        $out.write(format_args!($form $(, $crate::html::Text(&$value))*))
    };
}
pub(crate) use put;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_never_becomes_markup() {
        let mut out = Html::new();
        put!(out, "<b title=\"{}\">{}</b>", "\"><script>", "a & b < 'c'");
        let expected = "<b title=\"&quot;&gt;&lt;script&gt;\">a &amp; b &lt; &#39;c&#39;</b>";
        assert_eq!(out.as_str(), expected);
    }
}
