//! The part of CEL that the rules of the definition are written in.
//!
//! - **In**: a rule's text; the value that it stands at. **Out**: whether it holds.
//! - **Always**: as an API server decides it, which a test makes sure of for every rule by asking
//!   another implementation. What is not understood is an error of the rule, never a guess.
//! - **Deliberately absent**: the rest of CEL. The crate of that name needs ANTLR's runtime.

use regex::Regex;
use serde_json::Value as Json;

use crate::parse_duration;

/// A rule, understood.
#[derive(Debug)]
pub(super) enum Expr {
    Text(String),
    Number(i64),
    Name(String),
    List(Vec<Expr>),
    Field(Box<Expr>, String),
    Has(Box<Expr>, String),
    Size(Box<Expr>),
    Duration(Box<Expr>),
    Matches(Box<Expr>, Regex),
    StartsWith(Box<Expr>, Box<Expr>),
    In(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Both(Box<Expr>, Box<Expr>),
    Either(Box<Expr>, Box<Expr>),
    Compare(Box<Expr>, Relation, Box<Expr>),
    /// `list.all(name, holds)` or, where it is not for every one, `list.exists(name, holds)`.
    Each {
        every: bool,
        list: Box<Expr>,
        name: String,
        holds: Box<Expr>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// It depends on a value that is at fault itself: null, in the tree of what was read.
    Faulty,
    /// A field is missing, or of another type than the rule takes it for.
    Broken,
}

#[derive(Clone, Debug, PartialEq)]
enum Value<'j> {
    Bool(bool),
    Number(i64),
    /// In milliseconds.
    Duration(u128),
    Text(&'j str),
    List(Vec<Value<'j>>),
    Tree(&'j Json),
}

type Answer<T> = Result<T, Unanswered>;

/// The names that a rule may use, the innermost last.
type Names<'n, 'j> = Vec<(&'n str, Value<'j>)>;

impl Expr {
    /// Whether the rule holds for `value`.
    pub(super) fn holds(&self, value: &Json) -> Answer<bool> {
        let value = Value::of(value)?;
        self.truth(&mut vec![("self", value)])
    }

    /// The first item for which the rule does not hold, if it is one about every item of a list.
    pub(super) fn first_broken(&self, value: &Json) -> Option<usize> {
        let Self::Each { every: true, name, holds, .. } = self else { return None };
        value.as_array()?.iter().position(|item| {
            let item = Value::of(item);
            item.is_ok_and(|item| holds.truth(&mut vec![(name, item)]) == Ok(false))
        })
    }

    fn truth<'j>(&'j self, names: &mut Names<'j, 'j>) -> Answer<bool> {
        match self {
            Self::Not(of) => Ok(!of.truth(names)?),
            Self::Both(a, b) => decide(false, [a.truth(names), b.truth(names)]),
            Self::Either(a, b) => decide(true, [a.truth(names), b.truth(names)]),
            Self::Has(of, field) => match of.value(names)? {
                Value::Tree(Json::Object(fields)) => Ok(fields.contains_key(field)),
                _ => Err(Unanswered::Broken),
            },
            Self::Matches(of, pattern) => Ok(pattern.is_match(of.text(names)?)),
            Self::StartsWith(of, prefix) => Ok(of.text(names)?.starts_with(prefix.text(names)?)),
            Self::In(item, list) => {
                let item = item.value(names)?;
                Ok(list.items(names)?.contains(&item))
            }
            Self::Compare(a, relation, b) => relation.holds(&a.value(names)?, &b.value(names)?),
            Self::Each { every, list, name, holds } => {
                let answers: Vec<_> = list
                    .items(names)?
                    .into_iter()
                    .map(|item| {
                        names.push((name, item));
                        let answer = holds.truth(names);
                        names.pop();
                        answer
                    })
                    .collect();
                decide(!every, answers)
            }
            _ => match self.value(names)? {
                Value::Bool(value) => Ok(value),
                _ => Err(Unanswered::Broken),
            },
        }
    }

    fn value<'j>(&'j self, names: &mut Names<'j, 'j>) -> Answer<Value<'j>> {
        Ok(match self {
            Self::Text(text) => Value::Text(text),
            Self::Number(number) => Value::Number(*number),
            Self::Name(name) => {
                let found = names.iter().rev().find(|(known, _)| known == name);
                found.ok_or(Unanswered::Broken)?.1.clone()
            }
            Self::List(items) => {
                Value::List(items.iter().map(|item| item.value(names)).collect::<Answer<_>>()?)
            }
            Self::Field(of, name) => match of.value(names)? {
                Value::Tree(tree) => Value::of(tree.get(name).ok_or(Unanswered::Broken)?)?,
                _ => return Err(Unanswered::Broken),
            },
            Self::Size(of) => {
                let size = match of.value(names)? {
                    Value::Text(text) => text.chars().count(),
                    Value::List(items) => items.len(),
                    _ => return Err(Unanswered::Broken),
                };
                Value::Number(i64::try_from(size).map_err(|_| Unanswered::Broken)?)
            }
            Self::Duration(of) => {
                let read = parse_duration(of.text(names)?);
                Value::Duration(read.map_err(|_| Unanswered::Broken)?.as_millis())
            }
            _ => Value::Bool(self.truth(names)?),
        })
    }

    fn text<'j>(&'j self, names: &mut Names<'j, 'j>) -> Answer<&'j str> {
        match self.value(names)? {
            Value::Text(text) => Ok(text),
            _ => Err(Unanswered::Broken),
        }
    }

    fn items<'j>(&'j self, names: &mut Names<'j, 'j>) -> Answer<Vec<Value<'j>>> {
        match self.value(names)? {
            Value::List(items) => Ok(items),
            _ => Err(Unanswered::Broken),
        }
    }
}

/// One answer of several that decides is enough, whatever the others are.
fn decide(decisive: bool, answers: impl IntoIterator<Item = Answer<bool>>) -> Answer<bool> {
    let mut unanswered = None;
    for answer in answers {
        match answer {
            Ok(answer) if answer == decisive => return Ok(decisive),
            Ok(_) => {}
            Err(why) => unanswered = Some(why),
        }
    }
    unanswered.map_or(Ok(!decisive), Err)
}

impl<'j> Value<'j> {
    fn of(json: &'j Json) -> Answer<Self> {
        Ok(match json {
            Json::Null => return Err(Unanswered::Faulty),
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Number(number.as_i64().ok_or(Unanswered::Broken)?),
            Json::String(text) => Self::Text(text),
            Json::Array(items) => Self::List(items.iter().map(Self::of).collect::<Answer<_>>()?),
            Json::Object(_) => Self::Tree(json),
        })
    }
}

impl Relation {
    fn holds(self, a: &Value<'_>, b: &Value<'_>) -> Answer<bool> {
        let order = match (a, b) {
            (Value::Number(a), Value::Number(b)) => a.cmp(b),
            (Value::Duration(a), Value::Duration(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            _ => return Err(Unanswered::Broken),
        };
        Ok(match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        })
    }
}
