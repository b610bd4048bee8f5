//! MATCH_RECOGNIZE: when the watermark has passed what decides a match.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Field as ArrowField;
use weir_engine::EngineError;
use weir_engine::operators::pattern::{self, spec};

use super::rank::{Keyed, order_text, stored_names};
use super::{Flow, Lowering, identity, names, schema_of};
use crate::bind::pattern::{shape_text, value_name};
use crate::error::SqlError;
use crate::expr::program::{Program, truth};
use crate::expr::render;
use crate::rel::{Check, Measure, Pattern, Rel};

impl Lowering<'_> {
    pub(super) fn pattern(&mut self, rel: &Rel, pattern: &Pattern) -> Option<Flow> {
        let identity = identity::full(rel, true);
        if let Some(flow) = self.made.get(&identity) {
            return Some(flow.clone());
        }
        let fields = &pattern.input.fields;
        let flows = self.rel(&pattern.input, None)?;
        let variable = |variable: &crate::rel::Variable| spec::Variable {
            name: variable.name.clone(),
            checks: variable.checks.iter().map(check).collect(),
        };
        let output = pattern.output.iter().zip(&rel.fields);
        let spec = spec::Pattern {
            input: flows.first()?.schema.clone(),
            keys: pattern.partition.clone(),
            time: pattern.order.first()?.column,
            order: pattern.order.get(1..)?.to_vec(),
            variables: pattern.variables.iter().map(variable).collect(),
            shape: pattern.shape.clone(),
            skip: pattern.skip.clone(),
            within: pattern.within,
            measures: measures(pattern),
            all_rows: pattern.all_rows,
            output: output
                .map(|(of, field)| spec::OutputColumn { name: field.name.clone(), of: *of })
                .collect(),
        };
        let made = pattern::operator(&spec)
            .and_then(|made| Ok((made, pattern::tables(&spec)?, pattern::holds_back(&spec)?)));
        let (factory, tables, holds_back) = match made {
            Ok(made) => made,
            Err(error) => {
                self.errors.push(SqlError::new(pattern.span, error.message));
                return None;
            }
        };
        let details = details(pattern);
        let columns = format!("{} {}", identity::full(&pattern.input, false), stored_names(fields));
        let uid = format!("pattern {} {columns}", identity::rows(rel, false));
        let chance = pattern.measures.iter().find_map(|measure| measure.expr.nondeterministic());
        let operator = Keyed {
            kind: "pattern",
            name: name(pattern),
            details,
            keys: pattern.partition.clone(),
            factory,
            tables,
            nondeterministic: chance.map(str::to_owned),
        };
        let flow = self.keyed(&rel.fields, &flows, operator, &uid);
        // What stands behind a watermark that is held back is a task of its own.
        let flow = Flow { open: !holds_back && self.needs.uses(&identity) <= 1, ..flow };
        debug_assert_eq!(flow.schema, schema_of(&rel.fields));
        self.made.insert(identity, flow.clone());
        Some(flow)
    }
}

fn check(check: &Check) -> spec::Check {
    let program = Program::new(std::slice::from_ref(&check.condition));
    let test = move |values: &RecordBatch| {
        let holds = program.evaluate(values)?;
        let holds =
            holds.first().ok_or_else(|| EngineError::internal("a condition gives nothing"))?;
        truth(holds.as_boolean())
    };
    spec::Check {
        values: check.values.clone(),
        may_fail: check.condition.fallible(),
        test: Arc::new(test),
    }
}

fn measures(pattern: &Pattern) -> spec::Measures {
    let exprs: Vec<_> = pattern.measures.iter().map(|measure| measure.expr.clone()).collect();
    let program = Program::new(&exprs);
    let field = |measure: &Measure| ArrowField::new(&measure.name, measure.ty.kind.arrow(), true);
    spec::Measures {
        values: pattern.values.clone(),
        fields: pattern.measures.iter().map(field).collect(),
        compute: Arc::new(move |values| program.evaluate(values)),
    }
}

/// All that `weir plan` shows.
fn details(pattern: &Pattern) -> BTreeMap<String, String> {
    let fields = &pattern.input.fields;
    let mut details = BTreeMap::new();
    let keys: Vec<&str> = pattern.partition.iter().map(|&k| fields[k].name.as_str()).collect();
    if !keys.is_empty() {
        details.insert("keys".to_owned(), keys.join(", "));
    }
    details.insert("order".to_owned(), order_text(&pattern.order, fields));
    details.insert("pattern".to_owned(), shape_text(&pattern.shape, &pattern.variables));
    let of = |check: &Check| {
        let name =
            |at: usize| check.values.get(at).map_or(String::new(), |v| value_name(v, pattern));
        render::sql(&check.condition, &name)
    };
    let define: Vec<String> = pattern
        .variables
        .iter()
        .filter(|variable| !variable.checks.is_empty())
        .map(|variable| {
            let checks: Vec<String> = variable.checks.iter().map(of).collect();
            format!("{} AS {}", variable.name, checks.join(" AND "))
        })
        .collect();
    if !define.is_empty() {
        details.insert("define".to_owned(), define.join(", "));
    }
    let value =
        |at: usize| pattern.values.get(at).map_or(String::new(), |v| value_name(v, pattern));
    let measures: Vec<String> = pattern
        .measures
        .iter()
        .map(|measure| format!("{} AS {}", render::sql(&measure.expr, &value), measure.name))
        .collect();
    if !measures.is_empty() {
        details.insert("measures".to_owned(), measures.join(", "));
    }
    let names = |variables: &[usize]| {
        let names = variables.iter().map(|&v| pattern.variables[v].name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let skip = match &pattern.skip {
        spec::Skip::PastLastRow => "past the last row".to_owned(),
        spec::Skip::ToNextRow => "to the next row".to_owned(),
        spec::Skip::ToFirst(of) => format!("to the first row of {}", names(of)),
        spec::Skip::ToLast(of) => format!("to the last row of {}", names(of)),
    };
    details.insert("skip".to_owned(), skip);
    if let Some(within) = pattern.within {
        details.insert("within".to_owned(), names::duration(within));
    }
    if pattern.all_rows {
        details.insert("gives".to_owned(), "all rows of each match".to_owned());
    }
    details
}

/// `match A B+ C of each user`.
fn name(pattern: &Pattern) -> String {
    let fields = &pattern.input.fields;
    let keys: Vec<&str> = pattern.partition.iter().map(|&k| fields[k].name.as_str()).collect();
    let of = if keys.is_empty() { String::new() } else { format!(" of each {}", keys.join(", ")) };
    names::cut(format!("match {}{of}", shape_text(&pattern.shape, &pattern.variables)))
}
