//! Where sources, sinks and stateful operators come from.

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
