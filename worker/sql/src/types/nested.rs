//! Types of values that are made of others.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field};

use super::Kind;

/// A type of values that are made of others. Each of these may be NULL, whatever is declared: a
/// key of a map aside, which Flink lets be NULL only where it makes no sense.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Nested {
    Array(Kind),
    /// Keys and values.
    Map(Kind, Kind),
    /// Values, each as often as it is there: a map to how often.
    Multiset(Kind),
    /// Names and types of fields.
    Row(Vec<(String, Kind)>),
}

impl Nested {
    /// The kind of this type. Each type is kept once, for as long as the process lives, so that a
    /// kind is a word: a program has few.
    pub(crate) fn kind(self) -> Kind {
        static KNOWN: Mutex<Option<HashSet<&'static Nested>>> = Mutex::new(None);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        if let Some(same) = known.get(&self) {
            return Kind::Nested(same);
        }
        let kept: &'static Self = Box::leak(Box::new(self));
        known.insert(kept);
        Kind::Nested(kept)
    }

    /// The kind of this type, which is kept already.
    pub(crate) fn kind_of(&self) -> Kind {
        self.clone().kind()
    }

    /// `ARRAY<of>`.
    pub(crate) fn array(of: Kind) -> Kind {
        Self::Array(of).kind()
    }

    pub(super) fn arrow(&self) -> DataType {
        match self {
            Self::Array(of) => DataType::List(Arc::new(Field::new("item", of.arrow(), true))),
            Self::Map(key, value) => map(*key, *value),
            Self::Multiset(of) => map(*of, Kind::Int),
            Self::Row(fields) => {
                let fields = fields.iter().map(|(name, of)| Field::new(name, of.arrow(), true));
                DataType::Struct(fields.collect())
            }
        }
    }

    /// The types that it is made of.
    pub(super) fn parts(&self) -> Vec<Kind> {
        match self {
            Self::Array(of) | Self::Multiset(of) => vec![*of],
            Self::Map(key, value) => vec![*key, *value],
            Self::Row(fields) => fields.iter().map(|(_, of)| *of).collect(),
        }
    }

    /// The types of the parts of two types of one form; empty where they have other forms.
    pub(crate) fn parts_with(&self, other: &Self) -> Vec<(Kind, Kind)> {
        match (self, other) {
            (Self::Array(a), Self::Array(b)) => vec![(*a, *b)],
            (Self::Multiset(a), Self::Multiset(b)) => vec![(*a, *b), (Kind::Int, Kind::Int)],
            (Self::Map(ka, va), Self::Map(kb, vb)) => vec![(*ka, *kb), (*va, *vb)],
            (Self::Row(a), Self::Row(b)) if a.len() == b.len() => {
                a.iter().zip(b).map(|((_, a), (_, b))| (*a, *b)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// See [`Kind::common`]; rows have the names of the first.
    pub(super) fn common(&self, other: &Self) -> Option<&'static Self> {
        let common = match (self, other) {
            (Self::Array(a), Self::Array(b)) => Self::Array(a.common(*b)?),
            (Self::Multiset(a), Self::Multiset(b)) => Self::Multiset(a.common(*b)?),
            (Self::Map(ka, va), Self::Map(kb, vb)) => Self::Map(ka.common(*kb)?, va.common(*vb)?),
            (Self::Row(a), Self::Row(b)) if a.len() == b.len() => {
                let fields = a.iter().zip(b);
                let fields = fields.map(|((name, a), (_, b))| Some((name.clone(), a.common(*b)?)));
                Self::Row(fields.collect::<Option<_>>()?)
            }
            _ => return None,
        };
        match common.kind() {
            Kind::Nested(nested) => Some(nested),
            _ => None,
        }
    }
}

impl fmt::Display for Nested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array(of) => write!(f, "ARRAY<{of}>"),
            Self::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            Self::Multiset(of) => write!(f, "MULTISET<{of}>"),
            Self::Row(fields) => {
                f.write_str("ROW<")?;
                for (i, (name, of)) in fields.iter().enumerate() {
                    write!(f, "{}`{name}` {of}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str(">")
            }
        }
    }
}

fn map(key: Kind, value: Kind) -> DataType {
    let pair =
        vec![Field::new("key", key.arrow(), false), Field::new("value", value.arrow(), true)];
    let entries = Field::new("entries", DataType::Struct(pair.into()), false);
    DataType::Map(Arc::new(entries), false)
}
