//! Reads a table's `WITH` options into values.
//!
//! Every getter makes its option known; [`Options::finish`] refuses what nobody asked for. No
//! problem ends the reading: all are reported at once, each at its option.
//!
//! Messages show options as they are written, so that no value of the environment stands in one.
//! An option whose value is withheld is taken to be right: numbers and choices have their
//! defaults, and what would be wrong with it is not reported.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use weir_engine::veil::Veil;

use crate::reference::OptionText;
use crate::table::{OptionValue, Position, Problem, Table};

thread_local! {
    /// Options that are made known on this thread, while somebody wants to hear them.
    static ASKED: RefCell<Option<BTreeMap<String, Vec<String>>>> = const { RefCell::new(None) };
}

/// All options that are asked for meanwhile, and the values that each can have where those are few.
/// What a table's options can be is said nowhere but by whoever reads them.
pub fn asked(read: impl FnOnce()) -> BTreeMap<String, Vec<String>> {
    ASKED.set(Some(BTreeMap::new()));
    read();
    ASKED.take().unwrap_or_default()
}

/// The options of one table, while its connector reads them.
pub struct Options<'a> {
    table: &'a Table,
    known: BTreeSet<String>,
    prefixes: Vec<String>,
    problems: Vec<Problem>,
    undecided: bool,
}

impl<'a> Options<'a> {
    /// Options of `table`; only `connector` is known so far.
    #[must_use]
    pub fn new(table: &'a Table) -> Self {
        Self {
            table,
            known: BTreeSet::from(["connector".to_owned()]),
            prefixes: Vec::new(),
            problems: Vec::new(),
            undecided: false,
        }
    }

    /// The table that the options belong to.
    #[must_use]
    pub fn table(&self) -> &'a Table {
        self.table
    }

    /// Makes an option known that somebody else reads.
    pub fn allow(&mut self, key: &str) {
        self.known.insert(key.to_owned());
        offer(key, &[]);
    }

    /// Makes every option known that begins with `prefix`, and returns those that are given.
    pub fn prefixed(&mut self, prefix: &str) -> Vec<(&'a str, &'a OptionValue)> {
        self.prefixes.push(prefix.to_owned());
        let given = self.table.options.iter().filter(|(key, _)| key.starts_with(prefix));
        given.map(|(key, value)| (key.as_str(), value)).collect()
    }

    /// Whether the option is given; does not make it known.
    #[must_use]
    pub fn is_given(&self, key: &str) -> bool {
        self.table.options.contains_key(key)
    }

    /// The place of an option that is given.
    #[must_use]
    pub fn at(&self, key: &str) -> Option<Position> {
        self.table.options.get(key).map(|option| option.at)
    }

    /// Some option decides what others mean, and its value is withheld: what seems wrong with the
    /// table may be right.
    pub fn leave_undecided(&mut self) {
        self.undecided = true;
    }

    /// Records a problem with an option, at its place.
    pub fn refuse(&mut self, key: &str, message: impl Into<String>) {
        let at = self.at(key);
        self.problems.push(Problem { at, message: message.into() });
    }

    /// Records a problem with the table as a whole.
    pub fn refuse_table(&mut self, message: impl Into<String>) {
        self.problems.push(Problem { at: None, message: message.into() });
    }

    /// Takes over problems that somebody else found.
    pub fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    /// An option that is only used together with another: refused when given.
    pub fn only_with(&mut self, key: &str, condition: &str) {
        self.allow(key);
        if self.is_given(key) {
            self.refuse(
                key,
                format!("'{key}' is only used with {condition}; remove it, or set that"),
            );
        }
    }

    /// Text.
    pub fn text(&mut self, key: &str) -> Option<&'a OptionText> {
        self.allow(key);
        self.table.options.get(key).map(|option| &option.value)
    }

    /// The value of a text, for whoever acts on it; a withheld one's reference stands in for it.
    /// Messages show [`Options::quoted`].
    pub fn reveal(&mut self, key: &str) -> Option<&'a str> {
        self.text(key).map(OptionText::stand_in)
    }

    /// How a message shows the option: as it is written, in quotes.
    #[must_use]
    pub fn quoted(&self, key: &str) -> String {
        self.table.options.get(key).map(|option| option.value.quoted()).unwrap_or_default()
    }

    /// How a message or a plan shows what was read of an option: as the option is written where
    /// its value is the environment's, else as `read`.
    #[must_use]
    pub fn detail(&self, key: &str, read: impl ToString) -> String {
        let option = self.table.options.get(key).filter(|option| !option.value.is_literal());
        option.map_or_else(|| read.to_string(), |option| option.value.shown().to_owned())
    }

    /// Takes the values of the table's references out of texts.
    #[must_use]
    pub fn veil(&self) -> Veil {
        let mut veil = Veil::default();
        self.table.options.values().for_each(|option| option.value.veil(&mut veil));
        veil
    }

    /// A text's value, where it is known.
    fn known(&mut self, key: &str) -> Option<&'a str> {
        self.text(key)?.reveal()
    }

    /// Text that must be given and not be empty; `hint` says what.
    pub fn required(&mut self, key: &str, hint: &str) -> Option<&'a OptionText> {
        match self.text(key) {
            None => {
                self.refuse_table(format!("'{key}' is missing; {hint}"));
                None
            }
            Some(value) if value.stand_in().trim().is_empty() => {
                self.refuse(key, format!("'{key}' is empty; {hint}"));
                None
            }
            given => given,
        }
    }

    /// `true` or `false`.
    pub fn bool(&mut self, key: &str, default: bool) -> bool {
        offer(key, &["true", "false"]);
        let Some(value) = self.decisive(key) else {
            return default;
        };
        if value.eq_ignore_ascii_case("true") {
            true
        } else if value.eq_ignore_ascii_case("false") {
            false
        } else {
            self.refuse(key, format!("'{key}' is {}; give 'true' or 'false'", self.quoted(key)));
            default
        }
    }

    /// The value of an option that others depend on, where it is known.
    fn decisive(&mut self, key: &str) -> Option<&'a str> {
        let text = self.text(key)?;
        self.undecided |= text.is_withheld();
        text.reveal().map(str::trim)
    }

    /// A value that `FromStr` reads; `example` shows one.
    pub fn parsed<T: std::str::FromStr>(&mut self, key: &str, example: &str) -> Option<T> {
        match self.known(key)?.trim().parse() {
            Ok(parsed) => Some(parsed),
            Err(_) => {
                let given = self.quoted(key);
                self.refuse(key, format!("'{key}' is {given}; give a value such as '{example}'"));
                None
            }
        }
    }

    /// A whole number that is not negative.
    pub fn number(&mut self, key: &str) -> Option<u64> {
        match self.known(key)?.trim().parse() {
            Ok(number) => Some(number),
            Err(_) => {
                let given = self.quoted(key);
                self.refuse(key, format!("'{key}' is {given}; give a whole number from 0"));
                None
            }
        }
    }

    /// Flink's `scan.parallelism` or `sink.parallelism`: taken, and without effect, since a job has
    /// one parallelism; what a plan says of it.
    pub fn parallelism(&mut self, key: &str) -> Option<(String, String)> {
        self.parallelism_beside(key, "the job's")
    }

    /// The same where something else than the job's parallelism is in force.
    pub fn parallelism_beside(&mut self, key: &str, real: &str) -> Option<(String, String)> {
        let given = self.number(key)?;
        let shown = self.detail(key, given);
        if given == 0 {
            self.refuse(
                key,
                format!("'{key}' is {shown}; give a whole number from 1, or remove it"),
            );
        }
        Some(("parallelism".to_owned(), format!("{real}; '{key}' = '{shown}' changes nothing")))
    }

    /// A duration as Flink writes it: `10 s`, `1min`; without a unit milliseconds.
    pub fn duration(&mut self, key: &str) -> Option<Duration> {
        let parsed = parse_duration(self.known(key)?);
        if parsed.is_none() {
            let given = self.quoted(key);
            self.refuse(
                key,
                format!("'{key}' is {given}; give a duration such as '10 s', '30 min' or '500 ms'"),
            );
        }
        parsed
    }

    /// A size in bytes as Flink writes it: `128MB`, `64 kb`; units count in 1024.
    pub fn memory(&mut self, key: &str) -> Option<u64> {
        let parsed = parse_memory(self.known(key)?);
        if parsed.is_none() {
            let given = self.quoted(key);
            self.refuse(
                key,
                format!("'{key}' is {given}; give a size such as '128 MB' or '64 kb'"),
            );
        }
        parsed
    }

    /// One of several names.
    pub fn choice<T: Copy>(&mut self, key: &str, default: T, choices: &[(&str, T)]) -> T {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        offer(key, &names);
        let Some(value) = self.decisive(key) else {
            return default;
        };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == value) {
            return *choice;
        }
        // What is near to a value tells of it.
        let literal = self.table.options.get(key).is_some_and(|option| option.value.is_literal());
        let meant = did_you_mean(value, names.iter().copied()).filter(|_| literal);
        let hint = meant.map_or_else(
            || format!("give one of: {}", names.join(", ")),
            |name| format!("did you mean '{name}'?"),
        );
        let given = self.quoted(key);
        self.refuse(key, format!("'{key}' = {given} is not known; {hint}"));
        default
    }

    /// All problems, those of unknown options included. None where only a withheld value could
    /// tell; messages show references in place of values, whoever wrote them.
    #[must_use]
    pub fn finish(mut self) -> Vec<Problem> {
        if self.undecided {
            return Vec::new();
        }
        let connector = self.table.options.get("connector").map_or("", |c| c.value.shown());
        for (key, option) in &self.table.options {
            let known = self.known.contains(key)
                || self.prefixes.iter().any(|prefix| key.starts_with(prefix.as_str()));
            if known {
                continue;
            }
            let hint = did_you_mean(key, self.known.iter().map(String::as_str)).map_or_else(
                || {
                    let known: Vec<_> = self.known.iter().map(String::as_str).collect();
                    format!("remove it; known are: {}", known.join(", "))
                },
                |name| format!("did you mean '{name}'?"),
            );
            let message = format!("option '{key}' is unknown for connector '{connector}'; {hint}");
            self.problems.push(Problem { at: Some(option.at), message });
        }
        let withheld = self.table.options.values().filter(|option| option.value.is_withheld());
        let withheld: BTreeSet<Position> = withheld.map(|option| option.at).collect();
        let veil = self.veil();
        let mut problems = self.problems;
        problems.retain(|problem| problem.at.is_none_or(|at| !withheld.contains(&at)));
        for problem in &mut problems {
            problem.message = veil.hide(&problem.message).into_owned();
        }
        problems.sort_by_key(|problem| problem.at);
        problems
    }
}

/// The name that was probably meant: few letters are wrong, or one begins with the other.
#[must_use]
pub fn did_you_mean<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.trim().to_lowercase();
    let near = names.into_iter().filter_map(|name| {
        let other = name.to_lowercase();
        let distance = strsim::damerau_levenshtein(&given, &other);
        let longest = given.chars().count().max(other.chars().count());
        let begins = (given.len() >= 3 && other.starts_with(&given))
            || (other.len() >= 3 && given.starts_with(&other));
        match distance * 5 <= longest * 2 {
            true => Some((distance, name)),
            false => begins.then_some((longest, name)),
        }
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Tells whoever wants to hear it of an option and of its values.
fn offer(key: &str, values: &[&str]) {
    ASKED.with_borrow_mut(|asked| {
        if let Some(asked) = asked {
            let known = asked.entry(key.to_owned()).or_default();
            let new = values.iter().filter(|value| !known.iter().any(|one| one == *value));
            let new: Vec<String> = new.map(|value| (*value).to_owned()).collect();
            known.extend(new);
        }
    });
}

/// Splits a leading whole number from its unit.
fn number_and_unit(text: &str) -> Option<(u64, String)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..digits].parse().ok()?, text[digits..].trim().to_ascii_lowercase()))
}

/// Reads Flink's durations: a whole number and a unit; without a unit milliseconds.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let ns: u64 = match unit.as_str() {
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => 1,
        "µs" | "micro" | "micros" | "microsecond" | "microseconds" => 1_000,
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
        "m" | "min" | "minute" | "minutes" => 60_000_000_000,
        "h" | "hour" | "hours" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000,
        _ => return None,
    };
    number.checked_mul(ns).map(Duration::from_nanos)
}

/// Reads Flink's memory sizes: a whole number and a unit; without a unit bytes.
#[must_use]
pub fn parse_memory(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let shift = match unit.as_str() {
        "" | "b" | "byte" | "bytes" => 0,
        "k" | "kb" | "kib" | "kibibyte" | "kibibytes" => 10,
        "m" | "mb" | "mib" | "mebibyte" | "mebibytes" => 20,
        "g" | "gb" | "gib" | "gibibyte" | "gibibytes" => 30,
        "t" | "tb" | "tib" | "tebibyte" | "tebibytes" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::table;

    #[test]
    fn an_unknown_option_is_refused_with_the_name_that_was_meant() {
        let table = table(&[("connector", "kafka"), ("scan.startup.mod", "x"), ("zzz", "1")], &[]);
        let mut options = Options::new(&table);
        options.text("scan.startup.mode");
        let problems = options.finish();
        let messages: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "option 'scan.startup.mod' is unknown for connector 'kafka'; did you mean 'scan.startup.mode'?",
                "option 'zzz' is unknown for connector 'kafka'; remove it; known are: connector, scan.startup.mode",
            ]
        );
        assert_eq!(problems[0].at, Some(table.options["scan.startup.mod"].at));
    }

    #[test]
    fn every_wrong_value_is_reported_at_once_and_in_order() {
        let table = table(
            &[
                ("connector", "c"),
                ("a", "yes"),
                ("b", "-1"),
                ("d", "10 parsecs"),
                ("e", "1 XB"),
                ("f", "jsno"),
                ("g", " "),
            ],
            &[],
        );
        let mut options = Options::new(&table);
        assert!(!options.bool("a", false));
        assert_eq!(options.number("b"), None);
        assert_eq!(options.duration("d"), None);
        assert_eq!(options.memory("e"), None);
        assert_eq!(options.choice("f", 0, &[("json", 1), ("csv", 2)]), 0);
        assert_eq!(options.required("g", "name a thing"), None);
        assert_eq!(options.required("h", "name a thing"), None);
        let messages: Vec<_> = options.finish().into_iter().map(|p| p.message).collect();
        assert_eq!(
            messages,
            [
                "'h' is missing; name a thing",
                "'a' is 'yes'; give 'true' or 'false'",
                "'b' is '-1'; give a whole number from 0",
                "'d' is '10 parsecs'; give a duration such as '10 s', '30 min' or '500 ms'",
                "'e' is '1 XB'; give a size such as '128 MB' or '64 kb'",
                "'f' = 'jsno' is not known; did you mean 'json'?",
                "'g' is empty; name a thing",
            ]
        );
    }

    #[test]
    fn durations_and_sizes_are_read_as_flink_writes_them() {
        for (text, ms) in [
            ("10 s", 10_000),
            ("1min", 60_000),
            ("30 min", 1_800_000),
            ("5", 5),
            ("2 Days", 172_800_000),
            ("7ms", 7),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for (text, bytes) in
            [("128MB", 128 << 20), ("64 kb", 64 << 10), ("12", 12), ("1g", 1 << 30), ("3 bytes", 3)]
        {
            assert_eq!(parse_memory(text), Some(bytes), "{text}");
        }
        for text in ["", "s", "1.5 s", "-1 s", "1 fortnight", "99999999999 d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(parse_memory("99999999999 tb"), None);
    }
}
