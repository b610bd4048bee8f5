//! UNNEST in FROM: rows beside the elements of one of their values.

use std::sync::Arc;

use weir_engine::operators::unnest::spec::Elements;

use super::expr::bind_plain;
use super::join::Joined;
use super::query::From;
use super::subquery::scope_of;
use super::{Binder, Reported};
use crate::ast::{Call, Relation, UnnestCall};
use crate::expr::Expr;
use crate::rel::{Field, Rel, RelKind, Role, Unnest, calc, identity};
use crate::types::{Kind, Nested, SqlType};

/// The columns of an element.
type Columns = Vec<(String, Kind)>;

/// What values of a type are made of: the elements, and their columns, of which that of a plain
/// value has this name.
fn elements(kind: Kind, name: &str) -> Option<(Elements, Columns)> {
    let Kind::Nested(nested) = kind else { return None };
    let of = |kind: Kind| match kind {
        Kind::Nested(Nested::Row(fields)) => (true, fields.clone()),
        kind => (false, vec![(name.to_owned(), kind)]),
    };
    match nested {
        Nested::Array(kind) => {
            let (flat, columns) = of(*kind);
            Some((Elements::Items { flat }, columns))
        }
        Nested::Multiset(kind) => {
            let (flat, columns) = of(*kind);
            Some((Elements::Counted { flat }, columns))
        }
        Nested::Map(key, value) => {
            let columns = vec![("KEY".to_owned(), *key), ("VALUE".to_owned(), *value)];
            Some((Elements::Entries, columns))
        }
        Nested::Row(_) => None,
    }
}

impl Binder<'_> {
    /// The rows of `left`, each beside the elements of a value of it; `outer`: also those without.
    pub(super) fn unnested(
        &mut self,
        left: From,
        relation: &Relation,
        call: &UnnestCall,
        outer: bool,
    ) -> Result<From, Reported> {
        let value = bind_plain(&call.value, &scope_of(&left), "has no place in UNNEST");
        let value = self.keep(value)?;
        let alias = relation.alias.as_ref().map(|alias| alias.text.clone());
        let name = alias.clone().unwrap_or_else(|| "EXPR$0".to_owned());
        let Some((elements, mut columns)) = elements(value.kind(), &name) else {
            let message =
                format!("UNNEST takes an ARRAY, a MAP or a MULTISET, and this is {}", value.kind());
            return self.fail(call.value.span, message);
        };
        if call.ordinality {
            columns.push(("ORDINALITY".to_owned(), Kind::Int));
        }
        let names = &relation.columns;
        if !names.is_empty() && names.len() != columns.len() {
            let message = format!(
                "{} names for {} columns of UNNEST: {}",
                names.len(),
                columns.len(),
                columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
            );
            return self.fail(relation.span, message);
        }
        columns.iter_mut().zip(names).for_each(|((name, _), given)| name.clone_from(&given.text));

        let width = left.rel.fields.len();
        let (input, column) = match value.as_column() {
            Some(column) => (left.rel.clone(), column),
            None => {
                let mut fields = left.rel.fields.clone();
                let (name, ty) = ("$unnested".to_owned(), value.ty);
                fields.push(Field { name, ty, role: Role::Plain });
                let exprs = identity(&left.rel).into_iter().chain([value]).collect();
                (calc(&left.rel, None, exprs, fields), width)
            }
        };
        let mut fields = left.rel.fields.clone();
        let own = columns.iter().map(|(name, kind)| Field {
            name: name.clone(),
            ty: SqlType::nullable(*kind),
            role: Role::Plain,
        });
        fields.extend(own);
        let unnest = Unnest {
            input,
            column,
            elements,
            kept: (0..width).collect(),
            outer,
            on: None,
            ordinality: call.ordinality,
            span: relation.span,
        };
        let rel = Arc::new(Rel { kind: RelKind::Unnest(unnest), fields });
        let (of_left, of_right) =
            (Joined::of(&left), Joined::one(alias, "UNNEST".to_owned(), columns.len()));
        self.told_apart(&of_left, &of_right, relation.span)?;
        let joined = Some(of_left.and(of_right, width));
        Ok(From { rel, qualifier: None, place: "FROM".to_owned(), joined })
    }

    /// The elements of a value that speaks of no rows.
    pub(super) fn unnest_alone(
        &mut self,
        relation: &Relation,
        call: &UnnestCall,
    ) -> Result<From, Reported> {
        self.unnested(From::nothing(), relation, call, false)
    }

    /// `TABLE(f(x))`: there is none yet.
    pub(super) fn table_function(&mut self, call: &Call) -> Result<From, Reported> {
        let name = call.name.text.to_ascii_uppercase();
        let message = format!(
            "there is no table function {name}; UNNEST gives the elements of an ARRAY, MAP or MULTISET as rows, SPLIT makes an ARRAY of a string"
        );
        self.fail(call.name.span, message)
    }

    /// The columns of a relation and, behind them, these.
    pub(super) fn with_items(rel: &Arc<Rel>, width: usize, items: Vec<(Expr, String)>) -> Arc<Rel> {
        let mut exprs = identity(rel);
        exprs.truncate(width);
        let mut fields: Vec<Field> = rel.fields[..width].to_vec();
        for (expr, name) in items {
            let role = expr.as_column().map_or(Role::Plain, |c| rel.fields[c].role.clone());
            fields.push(Field { name, ty: expr.ty, role });
            exprs.push(expr);
        }
        calc(rel, None, exprs, fields)
    }
}
