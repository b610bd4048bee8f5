//! What could stand at a place of a text that is being typed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::Schema;
use weir_connectors::options;
use weir_connectors::registry;
use weir_connectors::table::{OptionValue, Place, Position, Table};

use super::typed::{Token, TokenKind, WORDS, tokens};
use super::{OF_SESSION, RESULT_MODE};
use crate::bind::{Binder, KNOWN_SETTINGS};
use crate::catalog::Relation;
use crate::functions;
use crate::parse::RESERVED;

/// Names that could stand in a statement.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Tables and views with their columns.
    pub tables: Vec<(String, Vec<String>)>,
}

/// What could be completed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Completion {
    /// The first byte of what is replaced; it ends at the cursor.
    pub start: usize,
    /// What could stand there, the likeliest first.
    pub candidates: Vec<Candidate>,
}

/// What could stand somewhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Candidate {
    /// As it is written.
    pub text: String,
    /// What it is.
    pub what: &'static str,
}

/// Words behind which a table's name stands.
const BEFORE_TABLES: [&str; 9] =
    ["FROM", "JOIN", "INTO", "OVERWRITE", "TABLE", "VIEW", "DESCRIBE", "DESC", "UPDATE"];

impl Scope {
    pub(super) fn of(binder: &mut Binder<'_>) -> Self {
        let table = |(name, relation): (String, &Relation)| {
            let columns = match relation {
                Relation::Table(table) => {
                    table.columns.iter().map(|column| column.name.clone()).collect()
                }
                Relation::View(rel) => rel.fields.iter().map(|field| field.name.clone()).collect(),
                Relation::Broken => Vec::new(),
            };
            (name, columns)
        };
        let mut tables: Vec<(String, Vec<String>)> = binder.relations().map(table).collect();
        tables.sort();
        Self { tables }
    }

    /// What could stand at the end of `text`, in front of `rest` of the statement.
    #[must_use]
    pub fn complete(&self, text: &str, rest: &str) -> Completion {
        let parts = tokens(text);
        let of_statement = parts.iter().rposition(|part| &text[part.start..part.end] == ";");
        let parts = &parts[of_statement.map_or(0, |at| at + 1)..];
        let words: Vec<&str> = parts.iter().map(|part| &text[part.start..part.end]).collect();
        if let (Some(last), Some(word)) = (parts.last(), words.last())
            && last.kind == TokenKind::Text
            && (word.len() == 1 || !word.ends_with('\''))
        {
            return Completion { start: last.start + 1, candidates: options(parts, &words) };
        }
        // The word that is being typed, if there is one at the very end.
        let is_word = |part: &&Token| {
            part.end == text.len()
                && !matches!(part.kind, TokenKind::Sign | TokenKind::Text | TokenKind::Comment)
        };
        let typed = parts.last().filter(is_word).map_or("", |part| &text[part.start..part.end]);
        let before = &words[..words.len() - usize::from(!typed.is_empty())];
        let start = text.len() - typed.len();
        let mut candidates = Vec::new();
        if let [.., of, "."] = before {
            candidates.extend(self.columns_of(of, text, rest));
        } else if before.last().is_some_and(|word| is_one_of(word, &BEFORE_TABLES)) {
            candidates.extend(self.tables());
        } else {
            candidates.extend(self.columns(text, rest));
            if !typed.is_empty() {
                candidates.extend(self.tables());
                candidates.extend(calls(typed));
                candidates.extend(keywords(typed));
            }
        }
        let begins = |candidate: &Candidate| {
            let head = candidate.text.get(..typed.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(typed)) && candidate.text != typed
        };
        candidates.retain(begins);
        let mut seen = BTreeSet::new();
        candidates.retain(|candidate| seen.insert(candidate.text.clone()));
        Completion { start, candidates }
    }

    fn tables(&self) -> impl Iterator<Item = Candidate> {
        self.tables.iter().map(|(name, _)| Candidate { text: written(name), what: "table" })
    }

    /// Columns of the tables that a statement names.
    fn columns(&self, text: &str, rest: &str) -> Vec<Candidate> {
        let named = |name: &str| names(text, rest).any(|word| word == name);
        let tables = self.tables.iter().filter(|(name, _)| named(name));
        let columns = tables.flat_map(|(_, columns)| columns);
        columns.map(|name| Candidate { text: written(name), what: "column" }).collect()
    }

    /// Columns of a table, by its name or what a statement calls it.
    fn columns_of(&self, of: &str, text: &str, rest: &str) -> Vec<Candidate> {
        let of = of.trim_matches('`');
        let words: Vec<&str> = names(text, rest).collect();
        let is_meant = |table: &str| {
            table == of
                || words.windows(2).any(|two| two == [table, of])
                || words.windows(3).any(|three| {
                    three[0] == table && three[1].eq_ignore_ascii_case("AS") && three[2] == of
                })
        };
        let tables = self.tables.iter().filter(|(name, _)| is_meant(name));
        let columns = tables.flat_map(|(_, columns)| columns);
        columns.map(|name| Candidate { text: written(name), what: "column" }).collect()
    }
}

/// The words of a statement without their quotes.
fn names<'a>(text: &'a str, rest: &'a str) -> impl Iterator<Item = &'a str> {
    [text, rest].into_iter().flat_map(|part| {
        let words = tokens(part).into_iter().filter(|token| token.kind != TokenKind::Text);
        words.map(|token| part[token.start..token.end].trim_matches('`'))
    })
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// A name as a statement has to write it.
fn written(name: &str) -> String {
    let mut letters = name.chars();
    let is_plain = letters.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && letters.all(|c| c.is_alphanumeric() || c == '_');
    if is_plain && !is_one_of(name, &RESERVED) { name.to_owned() } else { format!("`{name}`") }
}

/// In the case of what was typed so far.
fn in_case_of(typed: &str, word: &str) -> String {
    let is_small = typed.chars().all(|c| !c.is_uppercase());
    if is_small { word.to_lowercase() } else { word.to_owned() }
}

fn keywords(typed: &str) -> impl Iterator<Item = Candidate> {
    let mut words: Vec<&str> = RESERVED.into_iter().chain(WORDS).collect();
    words.sort_unstable();
    let text = |word: &str| in_case_of(typed, word);
    words.into_iter().map(move |word| Candidate { text: text(word), what: "keyword" })
}

fn calls(typed: &str) -> impl Iterator<Item = Candidate> {
    let mut names: Vec<&str> = functions::names().collect();
    names.sort_unstable();
    let text = |name: &str| format!("{}(", in_case_of(typed, name));
    names.into_iter().map(move |name| Candidate { text: text(name), what: "function" })
}

/// What could stand in the quotes that a statement ends in.
fn options(parts: &[Token], words: &[&str]) -> Vec<Candidate> {
    let (typed, before) = match words.split_last() {
        Some((last, before)) => (&last[1..], before),
        None => return Vec::new(),
    };
    let is_value = before.last() == Some(&"=");
    let found: Vec<(String, &'static str)> = match before.first() {
        Some(word) if is_one_of(word, &["SET", "RESET"]) => {
            if is_value && before.iter().any(|word| word.trim_matches('\'') == RESULT_MODE) {
                ["table", "changelog", "tableau"].map(|mode| (mode.to_owned(), "value")).into()
            } else if is_value {
                Vec::new()
            } else {
                let known = KNOWN_SETTINGS.into_iter().chain(OF_SESSION);
                known.map(|name| (name.to_owned(), "setting")).collect()
            }
        }
        Some(_) => {
            // In WITH (…) or a hint: what was given so far says what else there is.
            let given = given(parts, words);
            if is_value && before.iter().rev().nth(1) == Some(&"'connector'") {
                registry::connectors().map(|name| (name.to_owned(), "connector")).collect()
            } else if is_value {
                let key = before.iter().rev().nth(1).map_or("", |key| key.trim_matches('\''));
                // Some look at a value only where one is given.
                let begun = if typed.is_empty() { "?" } else { typed };
                let with: BTreeMap<String, String> =
                    given.into_iter().chain([(key.to_owned(), begun.to_owned())]).collect();
                let values = known(&with).remove(key).unwrap_or_default();
                values.into_iter().map(|value| (value, "value")).collect()
            } else {
                let known = known(&given).into_keys().filter(|name| !given.contains_key(name));
                known.map(|name| (name, "option")).collect()
            }
        }
        None => Vec::new(),
    };
    let found = found.into_iter().filter(|(text, _)| text.starts_with(typed));
    found.map(|(text, what)| Candidate { text: format!("{text}'"), what }).collect()
}

/// Options that stand whole in a statement.
fn given(parts: &[Token], words: &[&str]) -> BTreeMap<String, String> {
    let is_text = |at: usize| parts[at].kind == TokenKind::Text;
    let pairs =
        (2..words.len()).filter(|&at| is_text(at) && is_text(at - 2) && words[at - 1] == "=");
    let text = |at: usize| words[at].trim_matches('\'').to_owned();
    pairs.map(|at| (text(at - 2), text(at))).collect()
}

/// The options that a table with these knows, as a source or as a sink, with the values that each
/// can have where those are few.
fn known(given: &BTreeMap<String, String>) -> BTreeMap<String, Vec<String>> {
    let at = Position { line: 1, column: 1 };
    let option = |(key, value): (&String, &String)| {
        (key.clone(), OptionValue { value: value.as_str().into(), at })
    };
    let table = Table {
        name: "t".to_owned(),
        schema: Arc::new(Schema::empty()),
        metadata: Default::default(),
        primary_key: Vec::new(),
        partitioned_by: Vec::new(),
        declared: Vec::new(),
        not_null: Vec::new(),
        part_not_null: Vec::new(),
        event_time: None,
        options: given.iter().map(option).collect(),
        output: Default::default(),
    };
    let place = Place {
        job: "completion/completion".to_owned(),
        operator: Default::default(),
        base: ".".into(),
        first_row: None,
    };
    options::asked(|| {
        drop(registry::source(&table, &[], &place));
        drop(registry::sink(&table, &place));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let columns = ["origin", "delay", "my column"].map(str::to_owned);
        let scope = Scope {
            tables: vec![
                ("flights".to_owned(), columns.to_vec()),
                ("others".to_owned(), vec!["distance".to_owned()]),
            ],
        };
        let (before, after) = text.split_once('|').unwrap_or((text, ""));
        scope.complete(before, after).candidates.into_iter().map(|c| c.text).collect()
    }

    #[test]
    fn tables_columns_functions_and_words_are_completed_where_they_could_stand() {
        assert_eq!(texts("SELECT * FROM fl"), ["flights"]);
        assert_eq!(texts("SELECT * FROM "), ["flights", "others"]);
        assert_eq!(texts("SELECT d| FROM flights")[0], "delay");
        assert!(!texts("SELECT d| FROM flights").contains(&"distance".to_owned()));
        assert_eq!(texts("SELECT f.| FROM flights AS f"), ["origin", "delay", "`my column`"]);
        assert_eq!(texts("SELECT f.o| FROM flights f"), ["origin"]);
        assert_eq!(texts("SELECT json_va"), ["json_value("]);
        assert_eq!(texts("SELECT JSON_VA"), ["JSON_VALUE("]);
        assert_eq!(texts("SEL"), ["SELECT"]);
        assert_eq!(texts("sel"), ["select"]);
        assert_eq!(texts("SHOW TABLES; DESCRIBE o"), ["others"]);
    }

    #[test]
    fn options_are_those_of_the_connector_and_the_format_that_are_given() {
        let table = "CREATE TABLE t (a INT) WITH ('connector' = ";
        assert_eq!(texts(&format!("{table}'f")), ["filesystem'"]);
        let files = format!("{table}'filesystem', 'path' = 'a', 'format' = 'csv', ");
        assert!(
            texts(&format!("{files}'source.m")).contains(&"source.monitor-interval'".to_owned())
        );
        assert!(texts(&format!("{files}'csv.f")).contains(&"csv.field-delimiter'".to_owned()));
        assert!(!texts(&format!("{files}'")).contains(&"path'".to_owned()), "it is given");
        assert_eq!(
            texts("CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'scan.startup.mode' = 'e"),
            ["earliest-offset'"]
        );
        let format = "CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'format' = '";
        assert!(texts(format).contains(&"parquet'".to_owned()), "{:?}", texts(format));
        assert_eq!(texts(&format!("{files}'csv.ignore-parse-errors' = '")), ["true'", "false'"]);
        assert_eq!(texts("SET 'sql-client.execution.result-mode' = 'ch"), ["changelog'"]);
        assert!(texts("SET 'table.exec.s").contains(&"table.exec.state.ttl'".to_owned()));
    }
}
