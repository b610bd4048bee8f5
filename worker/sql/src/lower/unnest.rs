//! UNNEST: a stateless step of the chain that its input is in.

use std::collections::BTreeMap;

use weir_engine::graph::OperatorInfo;
use weir_engine::operators::unnest;

use super::join::condition;
use super::{Flows, Lowering, identity, names};
use crate::error::SqlError;
use crate::expr::render;
use crate::rel::{Rel, Unnest, calc, identity as columns, names as columns_named};

impl Lowering<'_> {
    pub(super) fn unnest(&mut self, rel: &Rel, unnest: &Unnest) -> Option<Flows> {
        let input = &unnest.input;
        // A scan gives the columns that are read, by other numbers; a projection of it these.
        let flows = self.rel(&calc(input, None, columns(input), input.fields.clone()), None)?;
        let own = rel.fields[unnest.kept.len()..].iter().map(|field| field.name.clone());
        let spec = unnest::spec::Unnest {
            input: flows.first()?.schema.clone(),
            column: unnest.column,
            elements: unnest.elements,
            kept: unnest.kept.clone(),
            names: own.collect(),
            outer: unnest.outer,
            condition: unnest.on.as_ref().map(condition),
            ordinality: unnest.ordinality,
        };
        let made = unnest::operator(&spec)
            .and_then(|factory| Ok((factory, unnest::output_schema(&spec)?)));
        let (factory, schema) = match made {
            Ok(made) => made,
            Err(error) => {
                self.errors.push(SqlError::new(unnest.span, error.message));
                return None;
            }
        };
        let of = &input.fields[unnest.column];
        let mut details = BTreeMap::new();
        details.insert("of".to_owned(), format!("{} {}", of.name, of.ty.kind));
        details.insert("columns".to_owned(), spec.names.join(", "));
        if unnest.outer {
            details.insert("keeps".to_owned(), "rows without elements".to_owned());
        }
        if let Some(on) = &unnest.on {
            details.insert("where".to_owned(), render::sql(on, &columns_named(&rel.fields)));
        }
        let info = OperatorInfo {
            uid: self.uid(&format!("unnest {}", identity::full(rel, false))),
            name: names::cut(format!("unnest {}", of.name)),
            kind: "unnest",
            details,
            state: None,
            tables: Vec::new(),
            nondeterministic: None,
        };
        Some(vec![self.append(&flows, info, factory, schema)])
    }
}
