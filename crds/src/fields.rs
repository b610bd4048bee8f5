//! Reading typed fields out of a tree, gathering every fault on the way.

use std::time::Duration;

use crate::ManifestError;
use crate::duration::{format_duration, parse_duration};
use crate::limits;
use crate::scalar::Meaning;
use crate::yaml::{Node, Scalar, Value, shorten};

/// The faults found so far in one file.
pub(crate) struct Faults<'f> {
    file: &'f str,
    found: Vec<ManifestError>,
}

/// The entries of one mapping whose keys are known fields.
pub(crate) struct Fields<'n> {
    path: String,
    line: usize,
    entries: Vec<(&'n str, usize, &'n Node)>,
}

/// One field that is present: its path, its line, its value.
pub(crate) struct Field<'n> {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) node: &'n Node,
}

impl<'f> Faults<'f> {
    pub(crate) fn new(file: &'f str) -> Self {
        Self { file, found: Vec::new() }
    }

    pub(crate) fn add(&mut self, line: usize, path: &str, message: impl Into<String>) {
        self.found.push(ManifestError {
            file: self.file.to_owned(),
            line,
            path: path.to_owned(),
            message: message.into(),
        });
    }

    /// Every fault in the order of the lines.
    pub(crate) fn into_sorted(mut self) -> Vec<ManifestError> {
        self.found.sort_by_key(|fault| fault.line);
        self.found
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Opens a mapping: reports what is no mapping, unknown and repeated fields.
    pub(crate) fn fields<'n>(
        &mut self,
        node: &'n Node,
        line: usize,
        path: &str,
        known: &[&str],
    ) -> Option<Fields<'n>> {
        let Value::Mapping(entries) = &node.value else {
            let example = known.first().copied().unwrap_or("field");
            self.add(
                line,
                path,
                format!("expected a mapping such as '{example}: …', found {}", node.describe()),
            );
            return None;
        };
        let mut fields = Fields { path: path.to_owned(), line, entries: Vec::new() };
        for (key, value) in entries {
            let at = fields.path_of(&key.name);
            if !known.contains(&key.name.as_str()) {
                self.add(key.line, &at, unknown_field(&key.name, known));
            } else if let Some((_, first, _)) =
                fields.entries.iter().find(|(name, ..)| *name == key.name)
            {
                let message = format!("is given twice, first in line {first}; keep one");
                self.add(key.line, &at, message);
            } else {
                fields.entries.push((&key.name, key.line, value));
            }
        }
        Some(fields)
    }

    pub(crate) fn scalar<'n>(&mut self, field: &Field<'n>, wanted: &str) -> Option<&'n Scalar> {
        match &field.node.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => {
                self.expected(field, wanted);
                None
            }
        }
    }

    /// A text. A number or boolean without quotes is refused, as an API server refuses it.
    pub(crate) fn text<'n>(&mut self, field: &Field<'n>) -> Option<&'n Scalar> {
        let scalar = self.scalar(field, "text")?;
        if scalar.meaning() != Meaning::Text {
            let found = field.node.describe();
            let message = format!("expected text, found {found}; write \"{}\"", scalar.text);
            self.add(field.line, &field.path, message);
            return None;
        }
        Some(scalar)
    }

    pub(crate) fn integer(&mut self, field: &Field<'_>) -> Option<i64> {
        let scalar = self.scalar(field, "a whole number")?;
        let parsed = match scalar.meaning() {
            Meaning::Whole(number) => i64::try_from(number).ok(),
            _ => None,
        };
        if let Some(message) = parsed.and_then(|number| another_notation(&scalar.text, number)) {
            self.add(field.line, &field.path, message);
            return None;
        }
        if parsed.is_none() {
            match scalar.text.trim().parse::<i64>() {
                Ok(number) if scalar.style != saphyr_parser::ScalarStyle::Plain => {
                    let message = format!(
                        "expected a whole number, found the text \"{}\"; write {number} without quotes",
                        scalar.text
                    );
                    self.add(field.line, &field.path, message);
                }
                _ => self.expected(field, "a whole number"),
            }
        }
        parsed
    }

    pub(crate) fn integer_within(&mut self, field: &Field<'_>, low: u32, high: u32) -> Option<u32> {
        let number = self.integer(field)?;
        match u32::try_from(number) {
            Ok(number) if (low..=high).contains(&number) => Some(number),
            _ => {
                let message =
                    format!("{number} is out of range; {} can be {low} to {high}", field.name());
                self.add(field.line, &field.path, message);
                None
            }
        }
    }

    pub(crate) fn duration(&mut self, field: &Field<'_>) -> Option<Duration> {
        let scalar = self.scalar(field, "a duration such as 10s")?;
        match parse_duration(&scalar.text) {
            Ok(value) if value < limits::MIN_DURATION => {
                let least = format_duration(limits::MIN_DURATION);
                let message = format!("{} is too short; the least is {least}", scalar.text);
                self.add(field.line, &field.path, message);
                None
            }
            Ok(value) if value > limits::MAX_DURATION => {
                let most = format_duration(limits::MAX_DURATION);
                let message = format!("{} is too long; the most is {most}", scalar.text);
                self.add(field.line, &field.path, message);
                None
            }
            Ok(value) => Some(value),
            Err(message) => {
                self.add(field.line, &field.path, message);
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        field: &Field<'_>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let text = &self.text(field)?.text;
        let chosen = choices.iter().find(|(word, _)| word == text).map(|(_, value)| *value);
        if chosen.is_none() {
            let shown = shorten(text);
            let message = match (closest(text, &words), words.as_slice()) {
                (Some(close), _) => format!("'{shown}' is not known; did you mean {close}?"),
                (None, [only]) => format!("'{shown}' is not known; write {only}"),
                (None, _) => {
                    format!("'{shown}' is not known; here can stand {}", words.join(", "))
                }
            };
            self.add(field.line, &field.path, message);
        }
        chosen
    }

    pub(crate) fn boolean(&mut self, field: &Field<'_>) -> Option<bool> {
        let scalar = self.scalar(field, "true or false")?;
        if let Meaning::Bool(value) = scalar.meaning() {
            return Some(value);
        }
        match scalar.text.to_lowercase().as_str() {
            word @ ("true" | "false") => {
                let message =
                    format!("expected true or false, found text; write {word} without quotes");
                self.add(field.line, &field.path, message);
                None
            }
            _ => {
                self.expected(field, "true or false");
                None
            }
        }
    }

    /// The items of a list, each as a field of its own, or `None` and a fault.
    pub(crate) fn list<'n>(&mut self, field: &Field<'n>, example: &str) -> Option<Vec<Field<'n>>> {
        let Value::Sequence(items) = &field.node.value else {
            self.expected(field, &format!("a list such as {example}"));
            return None;
        };
        if items.len() > limits::LIST_LEN {
            let message = format!("{} entries; at most {}", items.len(), limits::LIST_LEN);
            self.add(field.line, &field.path, message);
            return None;
        }
        let item = |(index, node): (usize, &'n Node)| Field {
            path: format!("{}[{index}]", field.path),
            line: node.line,
            node,
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    pub(crate) fn expected(&mut self, field: &Field<'_>, wanted: &str) {
        let message = format!("expected {wanted}, found {}", field.node.describe());
        self.add(field.line, &field.path, message);
    }
}

impl<'n> Fields<'n> {
    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The field, if it is there and not null: like an API server, we read null as absent.
    pub(crate) fn get(&self, name: &str) -> Option<Field<'n>> {
        let (_, line, node) = self.entries.iter().find(|(known, ..)| *known == name)?;
        (!node.is_null()).then(|| Field { path: self.path_of(name), line: *line, node })
    }

    /// The field, or a fault that says what belongs there.
    pub(crate) fn require(
        &self,
        faults: &mut Faults<'_>,
        name: &str,
        fix: &str,
    ) -> Option<Field<'n>> {
        let field = self.get(name);
        if field.is_none() {
            let null = self.entries.iter().find(|(known, ..)| *known == name);
            let (line, what) = match null {
                Some((_, line, _)) => (*line, "is empty"),
                None => (self.line, "is missing"),
            };
            faults.add(line, &self.path_of(name), format!("{what}; {fix}"));
        }
        field
    }
}

impl Field<'_> {
    fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }
}

/// What stands in the field, or the default where there is none; `None` after a fault.
pub(crate) fn or_default<'n, T>(
    field: Option<Field<'n>>,
    default: T,
    read: impl FnOnce(&Field<'n>) -> Option<T>,
) -> Option<T> {
    match field {
        Some(field) => read(&field),
        None => Some(default),
    }
}

/// The fault of a number that people read otherwise than kubectl, or do not take for one.
fn another_notation(text: &str, number: i64) -> Option<String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let decimal = digits.chars().all(|c| c.is_ascii_digit());
    if decimal && (digits.len() == 1 || !digits.starts_with('0')) {
        return None;
    }
    Some(match text.parse::<i64>() {
        Ok(other) if other != number => format!(
            "{text} is {number} to kubectl, which reads a leading zero as octal, and {other} to most others; write {number} or {other}"
        ),
        _ => format!("{text} is {number} to kubectl, and no number to some others; write {number}"),
    })
}

fn unknown_field(name: &str, known: &[&str]) -> String {
    match closest(name, known) {
        Some(close) => format!("unknown field; did you mean '{close}'?"),
        None => format!("unknown field; here can stand {}", known.join(", ")),
    }
}

/// The known word that a misspelt one most probably stands for.
pub(crate) fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = word.to_lowercase();
    known
        .iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, candidate)| *distance <= (1 + candidate.len() / 5).min(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| *candidate)
}
