//! The planner's way to stored rows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use weir_connectors::table::{Place, Problem, SinkParts, SourceParts, Table};
use weir_sql::{Parts, StateAsked, StateColumns, StatePart, StateProblem};

use super::pick::{Picked, pick};
use super::source;

/// Parts with `STATE(…)`, of one statement.
pub(crate) struct WithState<P> {
    inner: P,
    /// What the statement has asked for.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    picked: Vec<Arc<Picked>>,
    /// The version that was the newest when a place was first asked for.
    newest: BTreeMap<String, u64>,
}

impl Known {
    /// Of a job that goes on a statement sees one version, however often it asks: rows of two do not
    /// belong together.
    fn at_one_version(&self, asked: &StateAsked) -> StateAsked {
        let version = asked.version.or_else(|| self.newest.get(&asked.place).copied());
        StateAsked { version, ..asked.clone() }
    }
}

impl<P> WithState<P> {
    pub(crate) fn new(inner: P) -> Self {
        Self { inner, known: Mutex::default() }
    }

    /// What was picked before, or is now.
    fn picked(&self, asked: &StateAsked) -> Result<Arc<Picked>, StateProblem> {
        let asked = self.known.lock().at_one_version(asked);
        let known = self.known.lock().picked.iter().find(|it| it.asked == asked).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let picked = blocking(pick(&asked))?;
        let mut known = self.known.lock();
        if let (None, Some(version)) = (asked.version, picked.asked.version) {
            known.newest.insert(asked.place, version);
        }
        known.picked.push(Arc::clone(&picked));
        Ok(picked)
    }
}

impl<P: Parts> Parts for WithState<P> {
    fn source(
        &self,
        table: &Table,
        projection: &[usize],
        place: &Place,
    ) -> Result<SourceParts, Vec<Problem>> {
        let Some(asked) = StateAsked::of(table) else {
            return self.inner.source(table, projection, place);
        };
        let problem = |message: String| vec![Problem { at: None, message }];
        let picked = self.picked(&asked).map_err(|error| problem(error.message))?;
        source::parts(picked, table, projection).map_err(|error| problem(error.to_string()))
    }

    fn sink(&self, table: &Table, place: &Place) -> Result<SinkParts, Vec<Problem>> {
        self.inner.sink(table, place)
    }

    fn state(&self, asked: &StateAsked, base: &Path) -> Result<StateColumns, StateProblem> {
        let place = &asked.place;
        let is_path = !place.contains("://");
        let place = match is_path && base != Path::new(".") {
            true => base.join(place).to_string_lossy().into_owned(),
            false => place.clone(),
        };
        Ok(self.picked(&StateAsked { place, ..asked.clone() })?.columns())
    }
}

/// A planner asks, and waits.
fn blocking<T>(answer: impl Future<Output = Result<T, StateProblem>>) -> Result<T, StateProblem> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => tokio::task::block_in_place(|| runtime.block_on(answer)),
        Err(error) => Err(StateProblem { part: StatePart::Call, message: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_sees_one_version_of_a_job_unless_it_says_which() {
        let asked = |place: &str, version: Option<u64>| StateAsked {
            place: place.to_owned(),
            operator: "count".to_owned(),
            table: None,
            version,
        };
        let mut known = Known::default();
        assert_eq!(known.at_one_version(&asked("a", None)), asked("a", None));
        known.newest.insert("a".to_owned(), 7);
        assert_eq!(known.at_one_version(&asked("a", None)), asked("a", Some(7)));
        assert_eq!(known.at_one_version(&asked("a", Some(5))), asked("a", Some(5)));
        assert_eq!(known.at_one_version(&asked("b", None)), asked("b", None));
    }
}
