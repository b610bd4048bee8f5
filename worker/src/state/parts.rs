//! The planner's way to stored rows.

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
    picked: Mutex<Vec<Arc<Picked>>>,
}

impl<P> WithState<P> {
    pub(crate) fn new(inner: P) -> Self {
        Self { inner, picked: Mutex::default() }
    }

    /// What was picked before, or is now.
    fn picked(&self, asked: &StateAsked) -> Result<Arc<Picked>, StateProblem> {
        let known = self.picked.lock().iter().find(|picked| picked.asked == *asked).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let picked = blocking(pick(asked))?;
        self.picked.lock().push(Arc::clone(&picked));
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
