//! What stands in for a table's source or sink where values of its options are withheld, so that
//! nobody can tell what it would be: the rest of the program is checked with it, and it never
//! runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use weir_engine::operator::{Context, Operator};
use weir_engine::source::{Assignment, Source, SourceReader, Split, SplitEnumerator};
use weir_engine::{EngineError, OperatorError};

use crate::table::{Guarantee, Problem, SinkParts, SourceParts, Table};

fn never() -> EngineError {
    EngineError::internal("a table was to run that was only to be checked: its values are withheld")
}

/// A source with the columns of the projection.
pub(crate) fn source(table: &Table, projection: &[usize]) -> Result<SourceParts, Vec<Problem>> {
    let schema = table.schema.project(projection).map_err(|error| {
        vec![Problem { at: None, message: format!("columns cannot be projected: {error}") }]
    })?;
    Ok(SourceParts {
        source: Arc::new(Withheld { schema: Arc::new(schema) }),
        idle_after: None,
        details: BTreeMap::new(),
    })
}

/// A sink.
pub(crate) fn sink() -> SinkParts {
    let factory = |_: &Context| -> Result<Box<dyn Operator>, OperatorError> { Err(never()) };
    SinkParts {
        factory: Arc::new(factory),
        committer: None,
        guarantee: Guarantee::None,
        single: false,
        details: BTreeMap::new(),
    }
}

struct Withheld {
    schema: SchemaRef,
}

impl Source for Withheld {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn is_bounded(&self) -> bool {
        false
    }

    fn assignment(&self) -> Assignment {
        Assignment::Eager
    }

    fn enumerator(
        &self,
        _snapshot: Option<Bytes>,
    ) -> Result<Box<dyn SplitEnumerator>, EngineError> {
        Ok(Box::new(Nothing))
    }

    fn reader(&self, _cx: &Context) -> Result<Box<dyn SourceReader>, EngineError> {
        Err(never())
    }
}

struct Nothing;

#[async_trait]
impl SplitEnumerator for Nothing {
    async fn discover(&mut self) -> Result<Vec<Split>, EngineError> {
        Err(never())
    }

    fn interval(&self) -> Option<Duration> {
        None
    }

    fn snapshot(&self) -> Bytes {
        Bytes::new()
    }
}
