//! Where sources, sinks and stateful operators come from.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use weir_connectors::registry;
use weir_connectors::table::{Place, Problem, SinkParts, SourceParts, Table};
use weir_engine::EngineError;
use weir_engine::operator::{OperatorFactory, StateSchema};
use weir_engine::operators::window;
use weir_engine::operators::window::spec::WindowAggregate;

/// A windowed aggregation's two halves.
pub struct WindowParts {
    /// Pre-aggregates before the exchange.
    pub local: Arc<dyn OperatorFactory>,
    /// Merges and gives results.
    pub global: Arc<dyn OperatorFactory>,
    /// Columns that travel between the two.
    pub between: SchemaRef,
    /// Which of them the exchange is by; the local half attaches their hashes.
    pub exchange: Vec<usize>,
    /// The global half's state.
    pub state: StateSchema,
}

/// What `STATE(…)` asks for: the rows of one table that an operator of some job keeps.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct StateAsked {
    /// `<root>/<namespace>/<name>` of the job, or the folder of a savepoint.
    pub place: String,
    /// The operator's uid, or its name.
    pub operator: String,
    /// Which of its tables; `None`: it has one.
    pub table: Option<String>,
    /// The version; `None`: the newest.
    pub version: Option<u64>,
}

/// What is there.
#[derive(Clone, Debug)]
pub struct StateColumns {
    /// The same with nothing left open, so that it means these rows for ever.
    pub asked: StateAsked,
    /// The operator's name, for people.
    pub operator: String,
    /// Columns of the key first.
    pub schema: SchemaRef,
}

/// The argument of `STATE(…)` that something is wrong with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatePart {
    /// The function itself.
    Call,
    /// [`StateAsked::place`].
    Place,
    /// [`StateAsked::operator`].
    Operator,
    /// [`StateAsked::table`].
    Table,
    /// [`StateAsked::version`].
    Version,
}

/// State that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StateProblem {
    /// Because of what.
    pub part: StatePart,
    /// Cause and fix.
    pub message: String,
}

impl StateAsked {
    /// Options that no program can give a table: names of this kind are refused.
    const OPTIONS: [&str; 4] =
        ["weir.state.place", "weir.state.operator", "weir.state.table", "weir.state.version"];

    /// As the options of a table that stands for it.
    pub(crate) fn options(&self) -> BTreeMap<String, String> {
        let [place, operator, table, version] = Self::OPTIONS.map(str::to_owned);
        let mut options =
            BTreeMap::from([(place, self.place.clone()), (operator, self.operator.clone())]);
        options.extend(self.table.clone().map(|name| (table, name)));
        options.extend(self.version.map(|number| (version, number.to_string())));
        options
    }

    /// What a table stands for that the planner made of `STATE(…)`; `None` for every other.
    #[must_use]
    pub fn of(table: &Table) -> Option<Self> {
        let option = |name: &str| Some(table.options.get(name)?.value.reveal()?.to_owned());
        let [place, operator, name, version] = Self::OPTIONS;
        Some(Self {
            place: option(place)?,
            operator: option(operator)?,
            table: option(name),
            version: option(version).and_then(|version| version.parse().ok()),
        })
    }
}

/// Everything that a plan is made of and that the planner does not make itself. Tests put
/// their own in.
pub trait Parts {
    /// A source that reads `projection`, indices in the table's schema.
    ///
    /// # Errors
    /// Everything that is wrong with the table.
    fn source(
        &self,
        table: &Table,
        projection: &[usize],
        place: &Place,
    ) -> Result<SourceParts, Vec<Problem>>;

    /// A sink.
    ///
    /// # Errors
    /// Everything that is wrong with the table.
    fn sink(&self, table: &Table, place: &Place) -> Result<SinkParts, Vec<Problem>>;

    /// What `STATE(…)` stands for; a local place that is relative is so to `base`. A table whose
    /// options are what this gave ([`StateAsked::of`]) is then asked of [`Parts::source`].
    ///
    /// # Errors
    /// When it cannot be read, with the names that there are.
    fn state(&self, asked: &StateAsked, base: &Path) -> Result<StateColumns, StateProblem> {
        let _ = (asked, base);
        let message = "STATE(…) reads what a job has stored while a statement is planned, which only `weir sql` does; a job that goes on reads tables".to_owned();
        Err(StateProblem { part: StatePart::Call, message })
    }

    /// A windowed aggregation: the engine's own, unless a test puts in another.
    ///
    /// # Errors
    /// When types or functions do not fit together.
    fn window(&self, aggregate: &WindowAggregate) -> Result<WindowParts, EngineError> {
        Ok(WindowParts {
            local: window::local(aggregate)?,
            global: window::global(aggregate)?,
            between: window::intermediate_schema(aggregate)?,
            exchange: window::exchange_columns(aggregate),
            state: window::state_schema(aggregate)?,
        })
    }
}

/// The connectors that are built in.
pub struct BuiltIn;

impl Parts for BuiltIn {
    fn source(
        &self,
        table: &Table,
        projection: &[usize],
        place: &Place,
    ) -> Result<SourceParts, Vec<Problem>> {
        registry::source(table, projection, place)
    }

    fn sink(&self, table: &Table, place: &Place) -> Result<SinkParts, Vec<Problem>> {
        registry::sink(table, place)
    }
}
