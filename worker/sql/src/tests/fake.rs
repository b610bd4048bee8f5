//! Connectors that exist only as names.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use weir_connectors::table::{Guarantee, Place, Problem, SinkParts, SourceParts, Table};
use weir_engine::source::{Assignment, Source, SourceReader, SplitEnumerator};
use weir_engine::{Context, EngineError, Operator, OperatorError};

use crate::{Parts, StateAsked, StateColumns, StatePart, StateProblem};

pub(crate) struct Fake;

const CONNECTORS: [&str; 6] = ["filesystem", "kafka", "datagen", "print", "blackhole", "state"];

impl Parts for Fake {
    fn source(
        &self,
        table: &Table,
        projection: &[usize],
        _: &Place,
    ) -> Result<SourceParts, Vec<Problem>> {
        check(table)?;
        let schema = Arc::new(table.schema.project(projection).map_err(|_| Vec::new())?);
        let bounded = ["filesystem", "state"].contains(&table.options["connector"].value.shown());
        let read: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let details = BTreeMap::from([("reads".to_owned(), read.join(", "))]);
        Ok(SourceParts {
            source: Arc::new(FakeSource { schema: schema.clone(), bounded }),
            idle_after: None,
            details,
        })
    }

    fn state(&self, asked: &StateAsked, _: &Path) -> Result<StateColumns, StateProblem> {
        stored(asked)
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
            single: false,
            details: BTreeMap::new(),
        })
    }
}

/// What a job that counts has stored.
fn stored(asked: &StateAsked) -> Result<StateColumns, StateProblem> {
    let wrong = |part, what: &str| Err(StateProblem { part, message: format!("no {what}") });
    let table = asked.table.as_deref().unwrap_or("groups");
    match (asked.place.as_str(), asked.operator.as_str(), table, asked.version) {
        ("st/ns/counts", "count", "groups" | "seen", None | Some(7)) => {}
        ("st/ns/counts", "count", "groups" | "seen", _) => {
            return wrong(StatePart::Version, "version");
        }
        ("st/ns/counts", "count", ..) => return wrong(StatePart::Table, "table"),
        ("st/ns/counts", ..) => return wrong(StatePart::Operator, "operator"),
        _ => return wrong(StatePart::Place, "place"),
    }
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = vec![
        Field::new("k", DataType::Utf8View, true),
        Field::new("$rows", DataType::Int64, false),
        Field::new("large", DataType::UInt64, true),
        Field::new("at", time, true),
    ];
    let (table, version) = (Some(table.to_owned()), Some(7));
    Ok(StateColumns {
        asked: StateAsked { table, version, ..asked.clone() },
        operator: "count by k".to_owned(),
        schema: Arc::new(Schema::new(fields)),
    })
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
