//! Values of the environment in a program: `${env:NAME}`.
//!
//! What enters: an option as it is written, and somebody who knows variables. What leaves: an
//! [`OptionText`], which shows what is written and gives its value only to who asks for it by
//! name ([`OptionText::reveal`]).
//!
//! What always holds: `Display` and `Debug` of everything here show references, never values. A
//! program can be checked by a process that has no values at all ([`Variable::Withheld`]). Names
//! and hashes are made of what is written, so a value that is rotated changes no identity.
//!
//! Deliberately absent: a job's positions. They name files and partitions as those are named, or
//! nobody could tell after a restore whether they are the same; what names data (`path`, `topic`)
//! is no place for a secret.

use std::fmt;

use weir_engine::veil::Veil;

const OPEN: &str = "${env:";

/// What is known of a variable that is set.
#[derive(Clone, PartialEq, Eq)]
pub enum Variable {
    /// Its value.
    Value(String),
    /// It is set, and this process is not to know to what: it checks a program for somebody who
    /// may not know it either.
    Withheld,
}

/// Why a text could not be resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unresolved {
    /// `${env:` without `}`.
    Open,
    /// The variable of this name is not set.
    NotSet(String),
}

/// A variable that a text refers to.
#[derive(Clone, PartialEq, Eq)]
struct Reference {
    name: String,
    value: Variable,
}

/// A text of the program in which `${env:NAME}` stands for values of the environment.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct OptionText {
    written: String,
    references: Vec<Reference>,
    /// `None`: some of it is withheld.
    value: Option<String>,
}

impl OptionText {
    /// Looks up the variables of a text.
    ///
    /// # Errors
    /// The first reference that is not closed or names a variable that is not set.
    pub fn resolve(
        written: &str,
        look_up: &dyn Fn(&str) -> Option<Variable>,
    ) -> Result<Self, Unresolved> {
        let mut references = Vec::new();
        let mut value = Some(String::new());
        let mut push = |part: Option<&str>| match (&mut value, part) {
            (Some(value), Some(part)) => value.push_str(part),
            _ => value = None,
        };
        let mut rest = written;
        while let Some(start) = rest.find(OPEN) {
            push(Some(&rest[..start]));
            let after = &rest[start + OPEN.len()..];
            let end = after.find('}').ok_or(Unresolved::Open)?;
            let name = &after[..end];
            let found = look_up(name).ok_or_else(|| Unresolved::NotSet(name.to_owned()))?;
            match &found {
                Variable::Value(value) => push(Some(value)),
                Variable::Withheld => push(None),
            }
            references.push(Reference { name: name.to_owned(), value: found });
            rest = &after[end + 1..];
        }
        push(Some(rest));
        Ok(Self { written: written.to_owned(), references, value })
    }

    /// The text as it is written, with references: for people.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.written
    }

    /// The text with values in place of references, for whoever acts on it: it must not be shown.
    /// `None` where a value is withheld.
    #[must_use]
    pub fn reveal(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// As [`OptionText::reveal`]; where a value is withheld its reference stands in for it.
    ///
    /// What is found wrong with a stand-in means nothing: `Options` drops such problems.
    #[must_use]
    pub fn stand_in(&self) -> &str {
        self.value.as_deref().unwrap_or(&self.written)
    }

    /// Whether a value is not known here.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        self.value.is_none()
    }

    /// Whether the text refers to nothing.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.references.is_empty()
    }

    /// The text in quotes, and why it is not what was used where it has references: for messages
    /// about values that cannot be used.
    #[must_use]
    pub fn quoted(&self) -> String {
        match self.is_literal() {
            true => format!("'{}'", self.written),
            false => format!("'{}' (its value is not shown)", self.written),
        }
    }

    /// `text`, made from this option's value, as it may be shown: what the option's own text is
    /// where it has references.
    #[must_use]
    pub fn detail(&self, text: impl Into<String>) -> String {
        if self.is_literal() { text.into() } else { self.written.clone() }
    }

    /// Adds what this text refers to.
    pub fn veil(&self, veil: &mut Veil) {
        for Reference { name, value } in &self.references {
            if let Variable::Value(value) = value {
                veil.cover(name, value);
            }
        }
    }
}

impl From<&str> for OptionText {
    /// A text that refers to nothing, whatever is in it.
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for OptionText {
    fn from(text: String) -> Self {
        Self { value: Some(text.clone()), written: text, references: Vec::new() }
    }
}

impl fmt::Display for OptionText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Debug for OptionText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "tr0ub4dor&3";

    fn known(name: &str) -> Option<Variable> {
        match name {
            "SECRET" => Some(Variable::Value(SECRET.to_owned())),
            "SHORT" => Some(Variable::Value("10".to_owned())),
            "ELSEWHERE" => Some(Variable::Withheld),
            _ => None,
        }
    }

    fn text(written: &str) -> OptionText {
        OptionText::resolve(written, &known).unwrap()
    }

    #[test]
    fn a_text_shows_references_and_gives_values_only_when_asked() {
        let password = text("u:${env:SECRET}@${env:SHORT}");
        assert_eq!(password.reveal(), Some("u:tr0ub4dor&3@10"));
        for shown in [
            password.to_string(),
            format!("{password:?}"),
            password.quoted(),
            password.detail("u:tr0ub4dor&3"),
        ] {
            assert!(shown.contains("u:${env:SECRET}@${env:SHORT}"), "{shown}");
            assert!(!shown.contains(SECRET), "{shown}");
        }
        let literal = text("a ${x} $env:{y}");
        assert_eq!((literal.reveal(), literal.is_literal()), (Some("a ${x} $env:{y}"), true));
        assert_eq!(literal.detail("b"), "b");
    }

    #[test]
    fn a_withheld_value_makes_the_text_unknown() {
        let path = text("s3://${env:ELSEWHERE}/${env:SHORT}");
        assert_eq!((path.reveal(), path.is_withheld()), (None, true));
        assert_eq!(path.stand_in(), "s3://${env:ELSEWHERE}/${env:SHORT}");
    }

    #[test]
    fn what_cannot_be_resolved_is_told_by_name() {
        let resolve = |written| OptionText::resolve(written, &known);
        assert_eq!(resolve("${env:A}"), Err(Unresolved::NotSet("A".into())));
        assert_eq!(resolve("x${env:SECRET"), Err(Unresolved::Open));
    }
}
