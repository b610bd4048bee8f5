//! Aggregates over sessions.

use weir_engine::aggregate::InputRows;
use weir_engine::operators::session::{self, spec::SessionAggregate};

use super::rank::Keyed;
use super::windows::{calls, details, late_corrections};
use super::{Flow, Lowering, identity, names};
use crate::clock::Way;
use crate::error::SqlError;
use crate::rel::{Aggregate, Rel, TimeWindow, Windows};

impl Lowering<'_> {
    pub(super) fn sessions(
        &mut self,
        rel: &Rel,
        aggregate: &Aggregate,
        over: TimeWindow,
        gap: i64,
    ) -> Option<Flow> {
        let time = over.time;
        let flows = self.rel(&aggregate.input, None)?;
        let schema = flows.first()?.schema.clone();
        let flows = self.on_clock(flows, over.zone, Way::There, schema.clone(), rel)?;
        let spec = SessionAggregate {
            input: schema,
            input_rows: match aggregate.input.corrected_by() {
                Some(_) => InputRows::Retracted,
                None => InputRows::Appended,
            },
            time,
            gap,
            keys: aggregate.keys.clone(),
            aggregates: calls(aggregate),
        };
        let made = session::operator(&spec).and_then(|made| Ok((made, session::tables(&spec)?)));
        let (factory, tables) = match made {
            Ok(made) => made,
            Err(error) => {
                self.errors.push(SqlError::new(aggregate.span, error.message));
                return None;
            }
        };
        let fields = &aggregate.input.fields;
        let mut details = details(aggregate, fields);
        details.insert("window".to_owned(), names::window(Windows::Session { gap }));
        details.insert("time".to_owned(), fields[time].name.clone());
        // Stored results say nothing of another aggregate, which would begin in their middle.
        let mut counted: Vec<String> = aggregate
            .calls
            .iter()
            .map(|call| identity::call_text(call, &aggregate.input, false))
            .collect();
        counted.sort();
        let uid = format!("session {} {}", identity::rows(rel, false), counted.join(","));
        let operator = Keyed {
            kind: "session aggregate",
            name: names::aggregate(aggregate, fields),
            details,
            keys: aggregate.keys.clone(),
            factory,
            tables,
            nondeterministic: late_corrections(&aggregate.input),
        };
        Some(self.keyed(&rel.fields, &flows, operator, &uid))
    }
}
