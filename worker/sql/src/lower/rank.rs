//! Top-N and deduplication.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use weir_engine::aggregate::InputRows;
use weir_engine::graph::{Exchange, Node, OperatorInfo};
use weir_engine::operator::{OperatorFactory, OutputTag, TableSpec};
use weir_engine::operators::dedup::{self, spec::Dedup, spec::Keep};
use weir_engine::operators::rank;
use weir_engine::operators::rank::spec::{RankFunction, SortColumn, TopN};

use super::{Flow, Flows, Lowering, identity, schema_of};
use crate::error::SqlError;
use crate::rel::{Field, Rank, Rel};

/// An operator that rows are exchanged for by key.
pub(super) struct Keyed {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) details: BTreeMap<String, String>,
    pub(super) keys: Vec<usize>,
    pub(super) factory: Arc<dyn OperatorFactory>,
    pub(super) tables: Vec<TableSpec>,
    pub(super) nondeterministic: Option<String>,
}

impl Lowering<'_> {
    pub(super) fn rank(&mut self, rel: &Rel, rank: &Rank) -> Option<Flow> {
        let identity = identity::full(rel, true);
        if let Some(flow) = self.made.get(&identity) {
            return Some(flow.clone());
        }
        let flows = self.rel(&rank.input, None)?;
        let input = flows.first()?.schema.clone();
        let fields = &rank.input.fields;
        let shows_rank = rel.fields.len() > fields.len();
        let ttl = self.ttl_seconds();
        let mut details = BTreeMap::new();
        if !rank.partition.is_empty() {
            let keys: Vec<&str> = rank.partition.iter().map(|&k| fields[k].name.as_str()).collect();
            details.insert("keys".to_owned(), keys.join(", "));
        }
        if !rank.order.is_empty() {
            details.insert("order".to_owned(), order_text(&rank.order, fields));
        }
        let keep = rank.dedup();
        let (kind, made) = match keep {
            Some(keep) => {
                let time = Some(rank.order.first()?.column);
                let spec = Dedup { input, keys: rank.partition.clone(), time, keep, ttl };
                let which = if keep == Keep::First { "the first row" } else { "the last row" };
                details.insert("keeps".to_owned(), which.to_owned());
                (
                    "deduplication",
                    dedup::operator(&spec).and_then(|f| Ok((f, dedup::tables(&spec)?))),
                )
            }
            None => {
                let spec = TopN {
                    input,
                    input_rows: match rank.input.corrected_by() {
                        Some(_) => InputRows::Retracted,
                        None => InputRows::Appended,
                    },
                    keys: rank.partition.clone(),
                    order: rank.order.clone(),
                    function: rank.function,
                    from: rank.from,
                    to: rank.to,
                    rank: shows_rank.then(|| rel.fields.last().map(|f| f.name.clone())).flatten(),
                    window_end: rank.window_end(),
                    at_end: rank.at_end,
                    // A window ends by itself.
                    ttl: ttl.filter(|_| rank.window_end().is_none() && !rank.at_end),
                };
                details.insert("rows".to_owned(), ranks_text(rank));
                let kind = match (rank.at_end, rank.window_end()) {
                    (true, _) if rank.to == u64::MAX => "final rows",
                    (true, _) => "final top n",
                    (false, Some(_)) => "window top n",
                    (false, None) => "top n",
                };
                (kind, rank::operator(&spec).and_then(|f| Ok((f, rank::tables(&spec)?))))
            }
        };
        let (factory, tables) = match made {
            Ok(made) => made,
            Err(error) => {
                self.errors.push(SqlError::new(rank.span, error.message));
                return None;
            }
        };
        let changes = match rel.corrected_by() {
            Some(_) => "rows are corrected: +I, -U, +U, -D",
            None => "rows only come: +I",
        };
        details.insert("changes".to_owned(), changes.to_owned());
        let nondeterministic = match rank.window_end() {
            Some(_) => None,
            None if rank.at_end => None,
            None if shows_rank => {
                self.forgets("ranked rows of a key are forgotten", "after its last change")
            }
            None => self.forgets("rows are forgotten", "after they were written"),
        };
        let operator = Keyed {
            kind,
            name: name(rank, keep, fields),
            details,
            keys: rank.partition.clone(),
            factory,
            tables,
            nondeterministic,
        };
        let uid = format!("{kind} {} {}", identity::full(rel, false), stored_names(fields));
        let flow = self.keyed(&rel.fields, &flows, operator, &uid);
        let flow = Flow { open: self.needs.uses(&identity) <= 1, ..flow };
        self.made.insert(identity, flow.clone());
        Some(flow)
    }

    /// Adds an operator behind an exchange by its keys, with the columns that leave.
    pub(super) fn keyed(
        &mut self,
        fields: &[Field],
        flows: &Flows,
        operator: Keyed,
        identity: &str,
    ) -> Flow {
        let info = OperatorInfo {
            uid: self.uid(identity),
            name: operator.name,
            kind: operator.kind,
            details: operator.details,
            state: None,
            tables: operator.tables,
            nondeterministic: operator.nondeterministic,
        };
        let vertex = self.vertex(info, Node::Operator(operator.factory));
        for (input, flow) in flows.iter().enumerate() {
            let exchange = Exchange::Hash { columns: operator.keys.clone(), reuse: false };
            self.edge(flow, vertex, input, exchange);
        }
        let (output, schema) = (OutputTag::Main, schema_of(fields));
        Flow { vertex, operator: 0, output, schema, open: true }
    }

    /// `table.exec.state.ttl` in whole seconds.
    pub(super) fn ttl_seconds(&self) -> Option<u32> {
        self.state_ttl.map(seconds)
    }

    /// How long state is kept for which a hint may say so: zero is for ever.
    pub(super) fn ttl_or(&self, hint: Option<Duration>) -> Option<Duration> {
        hint.map_or(self.state_ttl, |ttl| Some(ttl).filter(|ttl| !ttl.is_zero()))
    }

    /// Why results depend on the clock, if state expires.
    pub(super) fn forgets(&self, what: &str, since: &str) -> Option<String> {
        forgotten(self.state_ttl, what, since)
    }
}

/// A time to live in whole seconds.
pub(super) fn seconds(ttl: Duration) -> u32 {
    u32::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

/// Why results depend on the clock, if state expires.
pub(super) fn forgotten(ttl: Option<Duration>, what: &str, since: &str) -> Option<String> {
    ttl.map(|ttl| format!("{what} {} s {since}", ttl.as_secs_f64()))
}

/// The names under which columns are stored: rows of other names are other state.
pub(super) fn stored_names(fields: &[Field]) -> String {
    fields.iter().map(|field| format!("{:?}", field.name)).collect::<Vec<_>>().join(",")
}

/// `price DESC, name`.
pub(super) fn order_text(order: &[SortColumn], fields: &[Field]) -> String {
    let text = |sort: &SortColumn| {
        let direction = if sort.descending { " DESC" } else { "" };
        let nulls = match (sort.descending, sort.nulls_first) {
            (false, false) => " NULLS LAST",
            (true, true) => " NULLS FIRST",
            _ => "",
        };
        format!("{}{direction}{nulls}", fields[sort.column].name)
    };
    order.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn ranks_text(rank: &Rank) -> String {
    let of = match rank.function {
        RankFunction::RowNumber => "row number",
        RankFunction::Rank => "rank",
        RankFunction::DenseRank => "dense rank",
    };
    match (rank.from, rank.to) {
        (1, u64::MAX) => "all".to_owned(),
        (from, u64::MAX) => format!("{of} from {from}"),
        (from, to) if from == to => format!("{of} {to}"),
        (1, to) => format!("{of} up to {to}"),
        (from, to) => format!("{of} {from} to {to}"),
    }
}

/// `first 3 by price DESC of each origin`.
fn name(rank: &Rank, keep: Option<Keep>, fields: &[Field]) -> String {
    let what = match (keep, rank.from, rank.to) {
        (Some(Keep::First), ..) => "first row".to_owned(),
        (Some(Keep::Last | Keep::Newest), ..) => "last row".to_owned(),
        (None, 1, u64::MAX) if rank.order.is_empty() => return "rows at the end".to_owned(),
        (None, 1, u64::MAX) => "sort".to_owned(),
        (None, from, u64::MAX) => format!("rows from {from}"),
        (None, 1, to) => format!("first {to}"),
        (None, from, to) => format!("rows {from} to {to}"),
    };
    let by = match (keep, rank.order.is_empty()) {
        (None, false) => format!(" by {}", order_text(&rank.order, fields)),
        _ => String::new(),
    };
    let keys: Vec<&str> = rank.partition.iter().map(|&k| fields[k].name.as_str()).collect();
    let of = if keys.is_empty() { String::new() } else { format!(" of each {}", keys.join(", ")) };
    super::names::cut(format!("{what}{by}{of}"))
}
