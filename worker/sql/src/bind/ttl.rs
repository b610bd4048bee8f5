//! `/*+ STATE_TTL('t' = '1 d') */`: how long a join keeps the rows of a table, and an aggregation its
//! groups. Zero is for ever.

use std::time::Duration;

use weir_connectors::options::parse_duration;

use super::query::From;
use super::{Binder, Reported};
use crate::ast::{self, Relation, RelationKind};
use crate::error::did_you_mean;

/// Names of FROM, and how long what they stand for is kept.
#[derive(Clone, Default)]
pub(super) struct Lasting(Vec<(String, Duration)>);

impl Lasting {
    fn of(&self, name: &str) -> Option<Duration> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, ttl)| *ttl)
    }
}

/// The name that a relation alone is known by.
fn name(relation: &Relation) -> Option<&str> {
    match (&relation.alias, &relation.kind) {
        (_, RelationKind::Join(_)) => None,
        (Some(alias), _) => Some(&alias.text),
        (None, RelationKind::Table(name, _)) => Some(name.alone()),
        (None, _) => None,
    }
}

impl Binder<'_> {
    /// Binds a part of a SELECT as its hints say how long its tables last.
    pub(super) fn with_lasting<T>(
        &mut self,
        select: &ast::Select,
        bind: impl FnOnce(&mut Self) -> Result<T, Reported>,
    ) -> Result<T, Reported> {
        let lasting = self.lasting_of(select)?;
        let outer = std::mem::replace(&mut self.lasting, lasting);
        let bound = bind(self);
        self.lasting = outer;
        bound
    }

    /// What the hints of a SELECT say.
    fn lasting_of(&mut self, select: &ast::Select) -> Result<Lasting, Reported> {
        let names = select.from.as_ref().map(Relation::names).unwrap_or_default();
        let mut lasting = Lasting::default();
        for hint in &select.state_ttl {
            if !names.contains(&hint.key.as_str()) {
                let meant = did_you_mean(&hint.key, names.iter().copied(), '\'');
                let message = format!(
                    "the hint STATE_TTL is for '{}', which this FROM does not have{meant}; give a table's alias, or its name where it has none",
                    hint.key
                );
                return self.fail(hint.key_span, message);
            }
            match parse_duration(&hint.value) {
                Some(ttl) => lasting.0.push((hint.key.clone(), ttl)),
                None => {
                    let message = format!(
                        "STATE_TTL of '{}' is a length of time, such as '12 h', not '{}'",
                        hint.key, hint.value
                    );
                    return self.fail(hint.value_span, message);
                }
            }
        }
        Ok(lasting)
    }

    /// How long either side of a join is kept.
    pub(super) fn ttl_of_sides(&self, sides: [&Relation; 2]) -> [Option<Duration>; 2] {
        sides.map(|side| name(side).and_then(|name| self.lasting.of(name)))
    }

    /// How long groups of one relation are kept.
    pub(super) fn ttl_of_groups(&self, from: &From) -> Option<Duration> {
        let name = match &from.joined {
            Some(joined) => joined.only_name(),
            None => from.qualifier.as_deref(),
        };
        name.and_then(|name| self.lasting.of(name))
    }
}
