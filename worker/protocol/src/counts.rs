//! What operators count. One table: a counter's name in manifests, messages and metrics, and what is
//! known of it, stand in one line, so that one more touches this line and the place that counts.

use std::collections::HashMap;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Index};

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal, loses: $loses:literal, at_cut: $at_cut:literal;)*) => {
        /// Something that an operator counts.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Counter { $($(#[$doc])* $name,)* }

        impl Counter {
            /// All of them.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$name),*];

            /// Its name wherever it is written.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Whether what it counts was read and went nowhere.
            #[must_use]
            pub const fn loses(self) -> bool {
                match self { $(Self::$name => $loses,)* }
            }

            /// Whether it says something at a cut: what travels in the background does not.
            #[must_use]
            pub const fn is_known_at_cut(self) -> bool {
                match self { $(Self::$name => $at_cut,)* }
            }
        }
    };
}

counters! {
    /// Rows taken in.
    RowsIn = "rows_in", loses: false, at_cut: true;
    /// Rows given out.
    RowsOut = "rows_out", loses: false, at_cut: true;
    /// Rows dropped because every window they belong to was complete.
    Late = "late", loses: true, at_cut: true;
    /// Input records that could not be read and were skipped as asked.
    Malformed = "malformed", loses: true, at_cut: true;
    /// Splits that a source has read to their ends, or as far as they went.
    Splits = "splits", loses: false, at_cut: true;
    /// Bytes read or written by a connector.
    Bytes = "bytes", loses: false, at_cut: false;
}

impl Counter {
    /// The counter of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|counter| counter.name() == name)
    }
}

/// What an operator has counted up to some moment: one of its tasks, or all of a job's so far.
/// Written as a map of what is not zero, since most operators count nothing but rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OperatorCounts([u64; Counter::ALL.len()]);

impl OperatorCounts {
    /// These, with another value of one counter.
    #[must_use]
    pub fn with(mut self, counter: Counter, n: u64) -> Self {
        self.0[counter as usize] = n;
        self
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Without what says nothing at a cut.
    #[must_use]
    pub fn known_at_cut(&self) -> Self {
        self.iter().filter(|(counter, _)| counter.is_known_at_cut()).collect()
    }

    /// What is not zero.
    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        Counter::ALL.into_iter().map(|counter| (counter, self[counter])).filter(|(_, n)| *n > 0)
    }
}

impl Index<Counter> for OperatorCounts {
    type Output = u64;

    fn index(&self, counter: Counter) -> &u64 {
        &self.0[counter as usize]
    }
}

impl FromIterator<(Counter, u64)> for OperatorCounts {
    fn from_iter<I: IntoIterator<Item = (Counter, u64)>>(counts: I) -> Self {
        counts.into_iter().fold(Self::default(), |all, (counter, n)| all.with(counter, n))
    }
}

impl Add for OperatorCounts {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Counter::ALL.into_iter().map(|counter| (counter, self[counter] + more[counter])).collect()
    }
}

impl Sum for OperatorCounts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::add)
    }
}

impl Serialize for OperatorCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (counter, n) in self.iter() {
            map.serialize_entry(counter.name(), &n)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for OperatorCounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counts;
        impl<'de> Visitor<'de> for Counts {
            type Value = OperatorCounts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of counters")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<OperatorCounts, M::Error> {
                let mut counts = OperatorCounts::default();
                while let Some((name, n)) = map.next_entry::<String, u64>()? {
                    // Not dropped: a manifest is repeated under the next term.
                    let counter = Counter::named(&name)
                        .ok_or_else(|| M::Error::custom(format!("unknown counter `{name}`")))?;
                    counts = counts.with(counter, n);
                }
                Ok(counts)
            }
        }
        deserializer.deserialize_map(Counts)
    }
}

impl From<OperatorCounts> for HashMap<String, u64> {
    fn from(counts: OperatorCounts) -> Self {
        counts.iter().map(|(counter, n)| (counter.name().to_owned(), n)).collect()
    }
}

/// What a process of another version counts beside these is for those that know it.
impl From<&HashMap<String, u64>> for OperatorCounts {
    fn from(counts: &HashMap<String, u64>) -> Self {
        counts.iter().filter_map(|(name, n)| Some((Counter::named(name)?, *n))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_by_name_without_zeros_and_an_unknown_name_is_refused() {
        let counts = OperatorCounts::default().with(Counter::Late, 3).with(Counter::RowsIn, 7);
        let text = serde_json::to_string(&counts).unwrap();
        assert_eq!(text, r#"{"rows_in":7,"late":3}"#);
        assert_eq!(serde_json::from_str::<OperatorCounts>(&text).unwrap(), counts);
        let unknown = serde_json::from_str::<OperatorCounts>(r#"{"early":1}"#);
        assert!(unknown.unwrap_err().to_string().contains("unknown counter `early`"));
        let sum: OperatorCounts = [counts, counts].into_iter().sum();
        assert_eq!((sum[Counter::RowsIn], sum[Counter::Late], sum[Counter::Bytes]), (14, 6, 0));
        assert_eq!(OperatorCounts::from(&HashMap::from(sum)), sum);
    }
}
