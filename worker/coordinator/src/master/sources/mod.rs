//! The sources of the job: what their enumerators have found, and which reader gets it.
//!
//! Enters: a term begins, readers wait, an enumerator has looked, a reader has nothing left.
//! Leaves: what to tell readers and enumerators. What always holds: at a cut each split is its
//! reader's or the enumerator's ([`Sources::at_cut`]), never both.

mod splits;

use std::collections::BTreeMap;

use bytes::Bytes;
use weir_checkpoint::EnumeratorState;
use weir_engine::source::Split;
use weir_protocol::{Subtask, VertexId};

use super::event::Found;
pub(super) use splits::{SourceSplits, ToReader};

/// What happens to sources.
#[derive(Debug)]
pub(super) enum Event {
    /// A term begins from these.
    Restored(BTreeMap<VertexId, SourceSplits>),
    /// Every reader is deployed and waits.
    Started,
    /// An enumerator has looked.
    Found { vertex: VertexId, found: Found },
    /// An enumerator cannot look, and will try again.
    NotFound { vertex: VertexId, problem: String },
    /// A reader has nothing left, and gives splits back.
    Requested { vertex: VertexId, subtask: Subtask, returned: Vec<Split> },
}

/// What comes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// An enumerator is to be made; it looks unless everything has been found.
    Enumerate { vertex: VertexId, snapshot: Option<Bytes>, returned: Vec<Split>, look: bool },
    /// Splits are the enumerator's again.
    TakeBack { vertex: VertexId, splits: Vec<Split> },
    /// Readers are to be told.
    Tell { vertex: VertexId, told: Vec<ToReader> },
}

/// All sources in the newest term.
#[derive(Debug, Default)]
pub(super) struct Sources {
    splits: BTreeMap<VertexId, SourceSplits>,
    /// Why enumerators cannot look, while they cannot; also through a restart of the job.
    problems: BTreeMap<VertexId, String>,
    found: u64,
}

impl Sources {
    pub(super) fn on(&mut self, event: Event) -> Vec<Outcome> {
        match event {
            Event::Restored(splits) => {
                self.splits = splits;
                let enumerate = |(vertex, splits): (&VertexId, &SourceSplits)| Outcome::Enumerate {
                    vertex: *vertex,
                    snapshot: splits.snapshot(),
                    returned: splits.returned(),
                    look: !splits.is_complete(),
                };
                self.splits.iter().map(enumerate).collect()
            }
            Event::Started => {
                let splits = self.splits.iter_mut();
                splits.map(|(v, s)| Outcome::Tell { vertex: *v, told: s.start() }).collect()
            }
            Event::Found { vertex, found } => {
                self.problems.remove(&vertex);
                self.found += found.splits.iter().map(|split| split.size).sum::<u64>();
                let told = self.splits.get_mut(&vertex).map(|splits| splits.discovered(found));
                told.map(|told| Outcome::Tell { vertex, told }).into_iter().collect()
            }
            Event::NotFound { vertex, problem } => {
                self.problems.insert(vertex, problem);
                Vec::new()
            }
            Event::Requested { vertex, subtask, returned } => {
                let Some(splits) = self.splits.get_mut(&vertex) else { return Vec::new() };
                let told = splits.requested(subtask, returned.clone());
                let back = (!returned.is_empty())
                    .then_some(Outcome::TakeBack { vertex, splits: returned });
                back.into_iter().chain([Outcome::Tell { vertex, told }]).collect()
            }
        }
    }

    /// The enumerators' share of a cut, to be taken when `Trigger` is sent.
    #[must_use]
    pub(super) fn at_cut(&self) -> BTreeMap<VertexId, EnumeratorState> {
        self.splits.iter().map(|(vertex, splits)| (*vertex, splits.at_cut())).collect()
    }

    /// Bytes or rows of the splits that nobody reads yet.
    #[must_use]
    pub(super) fn unread(&self) -> u64 {
        self.splits.values().map(SourceSplits::unassigned_size).sum()
    }

    /// Bytes or rows of all splits that this coordinator has found.
    #[must_use]
    pub(super) fn found(&self) -> u64 {
        self.found
    }

    /// Why enumerators cannot look, one in a line; empty when they can.
    #[must_use]
    pub(super) fn problem(&self) -> String {
        let problems: Vec<&str> = self.problems.values().map(String::as_str).collect();
        problems.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use weir_engine::source::{Assignment, Pending};

    use super::super::plan::PlanSource;
    use super::*;

    const SOURCE: VertexId = VertexId(3);

    fn split(id: &str) -> Split {
        Split { id: id.into(), position: Bytes::new(), watermark: None, lower_bound: None, size: 5 }
    }

    fn running() -> Sources {
        let mut sources = Sources::default();
        let source = PlanSource { bounded: true, assignment: Assignment::Pull };
        let restored = [(SOURCE, SourceSplits::restore(source, 1, None))];
        let begun = sources.on(Event::Restored(restored.into()));
        assert!(matches!(begun[..], [Outcome::Enumerate { vertex: SOURCE, look: true, .. }]));
        sources.on(Event::Started);
        sources
    }

    fn found(splits: &[&str]) -> Event {
        let splits = splits.iter().map(|id| split(id)).collect();
        Event::Found { vertex: SOURCE, found: Found { splits, ..Found::default() } }
    }

    fn requested(returned: Vec<Split>) -> Event {
        Event::Requested { vertex: SOURCE, subtask: Subtask(0), returned }
    }

    #[test]
    fn an_enumerator_gets_a_split_back_before_its_reader_is_told() {
        let mut sources = running();
        sources.on(found(&["a"]));
        sources.on(requested(Vec::new()));
        let outcomes = sources.on(requested(vec![split("a")]));
        let [back, Outcome::Tell { told, .. }] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert_eq!(*back, Outcome::TakeBack { vertex: SOURCE, splits: vec![split("a")] });
        assert_eq!((told[0].1.taken_back, told[0].1.pending), (1, Pending::Above(i64::MIN)));
        assert_eq!(sources.at_cut()[&SOURCE].returned, [split("a")]);
    }

    #[test]
    fn a_problem_lasts_until_its_source_has_looked_also_through_a_restart() {
        let mut sources = running();
        let problem = "the folder is away".to_owned();
        sources.on(Event::NotFound { vertex: SOURCE, problem: problem.clone() });
        sources.on(Event::Restored(BTreeMap::new()));
        assert_eq!(sources.problem(), problem);
        sources.on(found(&["a", "b"]));
        assert_eq!((sources.problem().as_str(), sources.found()), ("", 10));
    }
}
