//! Connectors that exist only as names.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use weir_connectors::table::{Guarantee, Place, Problem, SinkParts, SourceParts, Table};
use weir_engine::source::{Assignment, Source, SourceReader, SplitEnumerator};
use weir_engine::{Context, EngineError, Operator, OperatorError};

use crate::Parts;

pub(crate) struct Fake;

const CONNECTORS: [&str; 5] = ["filesystem", "kafka", "datagen", "print", "blackhole"];

impl Parts for Fake {
    fn source(
        &self,
        table: &Table,
        projection: &[usize],
        _: &Place,
    ) -> Result<SourceParts, Vec<Problem>> {
        check(table)?;
        let schema = Arc::new(table.schema.project(projection).map_err(|_| Vec::new())?);
        let bounded = table.options["connector"].value.shown() == "filesystem";
        let read: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let details = BTreeMap::from([("reads".to_owned(), read.join(", "))]);
        Ok(SourceParts {
            source: Arc::new(FakeSource { schema: schema.clone(), bounded }),
            idle_after: None,
            details,
        })
    }

    fn sink(&self, table: &Table, _: &Place) -> Result<SinkParts, Vec<Problem>> {
        check(table)?;
        let guarantee = match table.options["connector"].value.shown() {
            "filesystem" => Guarantee::ExactlyOnce,
            "kafka" => Guarantee::AtLeastOnce,
            _ => Guarantee::None,
        };
        let factory = |_: &Context| -> Result<Box<dyn Operator>, OperatorError> {
            Err(EngineError::internal("a fake sink writes nothing"))
        };
        Ok(SinkParts {
            factory: Arc::new(factory),
            committer: None,
            guarantee,
            details: BTreeMap::new(),
        })
    }
}

fn check(table: &Table) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    let connector = &table.options["connector"];
    if !CONNECTORS.contains(&connector.value.shown()) {
        problems.push(Problem {
            at: Some(connector.at),
            message: format!("connector '{}' is unknown", connector.value),
        });
    }
    for (key, option) in &table.options {
        if key.starts_with("bad") {
            problems.push(Problem {
                at: Some(option.at),
                message: format!("option '{key}' is unknown for connector '{}'", connector.value),
            });
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

struct FakeSource {
    schema: SchemaRef,
    bounded: bool,
}

impl Source for FakeSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        self.bounded
    }

    fn assignment(&self) -> Assignment {
        Assignment::Pull
    }

    fn enumerator(&self, _: Option<Bytes>) -> Result<Box<dyn SplitEnumerator>, EngineError> {
        Err(EngineError::internal("a fake source has no splits"))
    }

    fn reader(&self, _: &Context) -> Result<Box<dyn SourceReader>, EngineError> {
        Err(EngineError::internal("a fake source has no rows"))
    }
}
