//! Which rows are meant: an operator of a manifest, and one of its tables.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use weir_checkpoint::{DataReader, OperatorEntry, TableSegment};
use weir_connectors::options::did_you_mean;
use weir_protocol::OperatorUid;
use weir_sql::{StateAsked, StateColumns, StatePart, StateProblem};
use weir_state::table::TableSpec;
use weir_state::table::rows::row_schema;

use super::place::{Stored, find};

/// A table of an operator at one version.
#[derive(Clone, Debug)]
pub(crate) struct Picked {
    /// What was asked for, with nothing left open.
    pub(crate) asked: StateAsked,
    /// The operator's name.
    pub(crate) operator: String,
    pub(crate) spec: TableSpec,
    pub(crate) references: Vec<TableSegment>,
    /// Of the job.
    pub(crate) key_groups: u32,
    pub(crate) reader: DataReader,
}

/// Finds the rows that are asked for.
///
/// # Errors
/// When something of it is not there, with what is.
pub(crate) async fn pick(asked: &StateAsked) -> Result<Arc<Picked>, StateProblem> {
    let stored = find(&asked.place, asked.version).await?;
    let (uid, entry) = operator_of(&stored, &asked.operator)?;
    let spec = table_of(uid, entry, asked.table.as_deref())?;
    let own = entry.state.tables.iter().filter(|segment| segment.table == spec.name);
    Ok(Arc::new(Picked {
        asked: StateAsked {
            place: asked.place.clone(),
            operator: uid.to_string(),
            table: Some(spec.name.clone()),
            version: Some(stored.manifest.version.0),
        },
        operator: entry.name.clone(),
        spec: spec.clone(),
        references: own.cloned().collect(),
        key_groups: stored.manifest.max_parallelism,
        reader: stored.reader.clone(),
    }))
}

impl Picked {
    /// The columns of its rows.
    pub(crate) fn schema(&self) -> SchemaRef {
        row_schema(&self.spec)
    }

    /// What it is to a planner.
    pub(crate) fn columns(&self) -> StateColumns {
        StateColumns {
            asked: self.asked.clone(),
            operator: self.operator.clone(),
            schema: self.schema(),
        }
    }
}

fn operator_of<'a>(
    stored: &'a Stored,
    asked: &str,
) -> Result<(&'a OperatorUid, &'a OperatorEntry), StateProblem> {
    let operators = &stored.manifest.operators;
    let uid = operators.iter().find(|(uid, _)| uid.as_str() == asked);
    let named: Vec<_> = operators.iter().filter(|(_, entry)| entry.name == asked).collect();
    let problem = |message| Err(StateProblem { part: StatePart::Operator, message });
    match (uid, named.as_slice()) {
        (Some(found), _) => Ok(found),
        (None, [found]) => Ok(*found),
        (None, []) => {
            let known = operators.iter();
            let known = known.flat_map(|(uid, entry)| [entry.name.as_str(), uid.as_str()]);
            let hint = match did_you_mean(asked, known) {
                Some(meant) => format!("did you mean '{meant}'?"),
                None => {
                    let tables = operators.iter().filter(|(_, entry)| !entry.tables.is_empty());
                    let listed: Vec<String> = tables.map(|(uid, e)| shown(uid, e)).collect();
                    match listed.is_empty() {
                        true => "none of the job's operators keeps tables".to_owned(),
                        false => format!("those that keep tables are {}", listed.join(", ")),
                    }
                }
            };
            problem(format!(
                "{}: version {} has no operator '{asked}'; {hint}",
                stored.place, stored.manifest.version
            ))
        }
        (None, several) => {
            let uids: Vec<&str> = several.iter().map(|(uid, _)| uid.as_str()).collect();
            problem(format!(
                "{}: {} operators are named '{asked}'; give the uid of one: {}",
                stored.place,
                several.len(),
                uids.join(", ")
            ))
        }
    }
}

fn shown(uid: &OperatorUid, entry: &OperatorEntry) -> String {
    format!("'{}' ({uid})", entry.name)
}

fn table_of<'a>(
    uid: &OperatorUid,
    entry: &'a OperatorEntry,
    asked: Option<&str>,
) -> Result<&'a TableSpec, StateProblem> {
    let operator = shown(uid, entry);
    if entry.tables.is_empty() {
        let message = format!("operator {operator} has no table to read: {}", kept_by(entry));
        return Err(StateProblem { part: StatePart::Operator, message });
    }
    let names = || entry.tables.iter().map(|table| table.name.as_str());
    let listed = || names().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let problem = |message| Err(StateProblem { part: StatePart::Table, message });
    let Some(asked) = asked else {
        // Timers stand beside the rows that they are of.
        let rows: Vec<&TableSpec> = entry.tables.iter().filter(|t| !t.is_in_memory()).collect();
        return match (rows.as_slice(), entry.tables.as_slice()) {
            ([only], _) => Ok(*only),
            (_, [only]) => Ok(only),
            _ => {
                problem(format!("operator {operator} has several tables; name one of {}", listed()))
            }
        };
    };
    match entry.tables.iter().find(|table| table.name == asked) {
        Some(table) => Ok(table),
        None => {
            let hint = match did_you_mean(asked, names()) {
                Some(meant) => format!("did you mean '{meant}'?"),
                None => format!("it has {}", listed()),
            };
            problem(format!("operator {operator} has no table '{asked}'; {hint}"))
        }
    }
}

/// Why an operator without tables has no rows to give.
fn kept_by(entry: &OperatorEntry) -> &'static str {
    let state = &entry.state;
    if !entry.schema.columns.is_empty() || !state.segments.is_empty() {
        "it keeps partial results of open windows in an encoding of its own, of which only the program that wrote it knows the order of columns; the windows' rows are what it gives out when they end"
    } else if entry.enumerator.is_some() || !state.splits.is_empty() {
        "it is a source, which keeps how far its splits were read; `weir state show` lists them, `weir state diff` says which have moved"
    } else if !state.items.is_empty() {
        "it keeps values that are not keyed and that only it can read"
    } else {
        "it keeps no state"
    }
}
