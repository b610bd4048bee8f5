//! Whether a program can go on from a manifest: what of the stored state has a place in it.
//!
//! `weir plan --against` and a coordinator that starts ask the same functions, so that what the
//! one accepts the other does not refuse.

use std::collections::BTreeSet;

use weir_checkpoint::{Manifest, OperatorEntry};
use weir_engine::source::Assignment;
use weir_protocol::{OperatorUid, StateSchema, Version};
use weir_state::table::{EvolveError, TableSpec, evolve};

use super::plan::{Plan, PlanSource};

/// Refusal to go on from a manifest.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreRefused {
    /// The program has no place for some state.
    #[error(
        "operator \"{name}\" ({uid}) has state in version {version} that this program has no place \
         for; put it back, or drop its state with state.allowDroppedState: [\"{name}\"]"
    )]
    WouldDrop {
        /// Its stable name.
        uid: OperatorUid,
        /// Its name for people.
        name: String,
        /// The manifest.
        version: Version,
    },
    /// The program's operator cannot read the state.
    #[error(
        "operator \"{name}\" ({uid}) has state in version {version} that operator \"{now}\" of this \
         program cannot read, since {why}; put it back as it was, or \
         drop its state and begin anew with state.allowDroppedState: [\"{name}\"]"
    )]
    Changed {
        /// Its stable name.
        uid: OperatorUid,
        /// Its name for people when it was stored.
        name: String,
        /// Its name for people in this program.
        now: String,
        /// What differs.
        why: String,
        /// The manifest.
        version: Version,
    },
    /// Key groups cannot be counted anew.
    #[error(
        "the state in version {version} has {stored} key groups, this program {wanted}; \
         maxParallelism cannot change, set it back to {stored}"
    )]
    KeyGroups {
        /// The manifest.
        version: Version,
        /// What is stored.
        stored: u32,
        /// What the program wants.
        wanted: u32,
    },
    /// A source with an end does not remember what to go on from behind it.
    #[error(
        "source \"{name}\" had an end in version {version}, which does not say what was read beyond \
         it, and this program reads it for ever; give it its end back, or start over under another \
         name (`weir run --fresh` under the same one)"
    )]
    Ended {
        /// Its name for people.
        name: String,
        /// The manifest.
        version: Version,
    },
    /// Staged output would never become visible.
    #[error(
        "operator \"{name}\" has output in version {version} that is not committed yet and this \
         program has no such sink; run the program that wrote it until its output is committed"
    )]
    UncommittedSink {
        /// The sink's name for people.
        name: String,
        /// The manifest.
        version: Version,
    },
}

/// An operator of a program, as far as its state goes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reads {
    /// Its name for people.
    pub name: String,
    /// The keyed state that it keeps beside tables, if it keeps any.
    pub state: Option<StateSchema>,
    /// Its state tables.
    pub tables: Vec<TableSpec>,
}

/// An operator that cannot read what is stored in its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// The operator's name for people.
    pub name: String,
    /// What differs between what is stored and what it keeps.
    pub why: String,
}

/// State in a manifest that a program would drop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dropped {
    /// Of the operator that wrote it.
    pub uid: OperatorUid,
    /// Its name for people when it was stored.
    pub name: String,
    /// The program's operator that has its place and cannot read it; absent where there is none.
    pub now: Option<Unreadable>,
    /// The program's author says that it may be dropped.
    pub allowed: bool,
}

/// Everything of `head` that a program would drop. `reads` finds its operators; `allowed` are
/// those whose state may go, by the name that they had, the name that they have, or uid.
pub fn find_dropped(
    head: &Manifest,
    reads: impl Fn(&OperatorUid) -> Option<Reads>,
    allowed: &[String],
) -> Vec<Dropped> {
    let dropped = head.operators.iter().filter_map(|(uid, stored)| {
        let now = match reads(uid) {
            None if stored.holds_state() => None,
            None => return None,
            Some(planned) => {
                let why = find_unreadable(stored, &planned, allowed)?;
                Some(Unreadable { name: planned.name, why })
            }
        };
        let (uid, name) = (uid.clone(), stored.name.clone());
        let allowed = allowed.iter().any(|a| {
            *a == name || a == uid.as_str() || now.as_ref().is_some_and(|now| now.name == *a)
        });
        Some(Dropped { uid, name, now, allowed })
    });
    dropped.collect()
}

/// Why an operator cannot read what is stored, if it cannot.
fn find_unreadable(stored: &OperatorEntry, planned: &Reads, allowed: &[String]) -> Option<String> {
    let segments = !stored.state.segments.is_empty();
    if segments && !planned.state.as_ref().is_some_and(|now| is_same(&stored.schema, now)) {
        return Some("it keeps other keys or aggregates".to_owned());
    }
    let is_stored = |spec: &&TableSpec| stored.state.tables.iter().any(|t| t.table == spec.name);
    stored.tables.iter().filter(is_stored).find_map(|before| {
        let name = &before.name;
        let Some(now) = planned.tables.iter().find(|now| now.name == *name) else {
            return Some(format!("it keeps no table {name}"));
        };
        match evolve(before, now) {
            Err(EvolveError { refused, .. }) => {
                Some(format!("of its table {name} {}", refused.join("; ")))
            }
            Ok(evolution) => {
                let column = |column: &String| format!("{name}.{column}");
                let mut lost = evolution.dropped.iter().map(column);
                let lost = lost.find(|column| !allowed.contains(column))?;
                Some(format!(
                    "it no longer keeps {lost} (state.allowDroppedState: [\"{lost}\"] drops that \
                     column alone)"
                ))
            }
        }
    })
}

fn is_same(stored: &StateSchema, planned: &StateSchema) -> bool {
    // Nothing is known of the columns where none are named.
    let unnamed = stored.columns.is_empty() || planned.columns.is_empty();
    stored.version == planned.version && (unnamed || stored.columns == planned.columns)
}

impl Plan {
    fn reads(&self, uid: &OperatorUid) -> Option<Reads> {
        let (_, planned) = self.operator(uid)?;
        Some(Reads {
            name: planned.name.clone(),
            state: planned.state.clone(),
            tables: planned.tables.clone(),
        })
    }
}

/// Operators of the program that begin anew, since they cannot read what is stored for them.
pub(super) fn find_renewed(plan: &Plan, head: &Manifest, allowed: &[String]) -> Vec<OperatorUid> {
    let dropped = find_dropped(head, |uid| plan.reads(uid), allowed);
    dropped.into_iter().filter(|d| d.allowed && d.now.is_some()).map(|d| d.uid).collect()
}

/// Checks that a program can go on from a manifest without losing anything.
///
/// # Errors
/// When it cannot; says what to do.
pub fn validate_restore(
    plan: &Plan,
    head: &Manifest,
    committers: &BTreeSet<OperatorUid>,
    allow_dropped: &[String],
) -> Result<(), RestoreRefused> {
    let version = head.version;
    let stored = head.max_parallelism;
    let has_state = head.operators.values().any(OperatorEntry::holds_state);
    if has_state && stored != plan.max_parallelism {
        let wanted = plan.max_parallelism;
        return Err(RestoreRefused::KeyGroups { version, stored, wanted });
    }
    let dropped = find_dropped(head, |uid| plan.reads(uid), allow_dropped);
    if let Some(Dropped { uid, name, now, .. }) = dropped.into_iter().find(|d| !d.allowed) {
        return Err(match now {
            None => RestoreRefused::WouldDrop { uid, name, version },
            Some(Unreadable { name: now, why }) => {
                RestoreRefused::Changed { uid, name, now, why, version }
            }
        });
    }
    for (vertex, source) in plan.sources() {
        if head.operators.get(&vertex.head()).is_some_and(|s| has_forgotten(s, source)) {
            let name = vertex.operators.first().map(|o| o.name.clone()).unwrap_or_default();
            return Err(RestoreRefused::Ended { name, version });
        }
    }
    match head.pending.iter().find(|p| !committers.contains(&p.committable.sink)) {
        Some(orphan) => {
            let uid = orphan.committable.sink.clone();
            // Output may be older than the operators that the head still lists.
            let known = head.operators.get(&uid).filter(|entry| !entry.name.is_empty());
            let name = known.map_or(uid.0, |entry| entry.name.clone());
            Err(RestoreRefused::UncommittedSink { name, version })
        }
        None => Ok(()),
    }
}

/// Whether a source that now has no end had one. Files that were listed once are not remembered,
/// so that all would be read again; a partition that was read to its limit has no position any
/// more, so that nothing would.
fn has_forgotten(stored: &OperatorEntry, now: PlanSource) -> bool {
    let Some(enumerator) = stored.enumerator.as_ref().filter(|e| e.complete && !now.bounded) else {
        return false;
    };
    match now.assignment {
        Assignment::Pull => true,
        Assignment::Eager => stored.state.splits.is_empty() && enumerator.unassigned.is_empty(),
    }
}
