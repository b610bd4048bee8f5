//! Queries that are combined: UNION, INTERSECT, EXCEPT. NULL is one value here, equal to itself.
//!
//! UNION ALL passes rows on. UNION is each of its rows once. INTERSECT and EXCEPT count how often a
//! row is on either side, so that rows that are taken back are taken from these counts; with ALL they
//! give it as often as the counts say.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array};
use weir_engine::aggregate::functions;
use weir_engine::operators::unnest::spec::Elements;

use super::aggregate::{name_of_call, unique};
use super::expr::{arithmetic, cast_to, choose, compare_op, logical};
use super::query::Ctes;
use super::{Binder, Reported};
use crate::ast::{self, BinaryOp, SetOp};
use crate::error::Span;
use crate::expr::Expr;
use crate::rel::{Aggregate, AggregateCall, Field, Rel, RelKind, Role, Unnest, calc, identity};
use crate::types::{Kind, SqlType};

/// Queries that were brought to the same columns.
struct Branches {
    rels: Vec<Arc<Rel>>,
    fields: Vec<Field>,
}

impl Binder<'_> {
    pub(super) fn union(
        &mut self,
        branches: &[ast::Query],
        ctes: &Ctes<'_>,
    ) -> Result<Arc<Rel>, Reported> {
        let branches: Vec<&ast::Query> = branches.iter().collect();
        Ok(self.branches(&branches, "UNION ALL", ctes)?.together())
    }

    pub(super) fn set_operation(
        &mut self,
        op: SetOp,
        all: bool,
        sides: [&ast::Query; 2],
        span: Span,
        ctes: &Ctes<'_>,
    ) -> Result<Arc<Rel>, Reported> {
        let branches = self.branches(&sides, op.name(), ctes)?;
        let width = branches.fields.len();
        let names = branches.fields.clone();
        if op == SetOp::Union {
            let distinct = grouped(branches.together(), width, Vec::new(), span);
            return Ok(calc(&distinct, None, first(&distinct, width), plain(&names)));
        }
        let marked = branches.marked(span);
        let counts = (0..2).map(|side| {
            let filter = &marked.fields[width + side].name;
            AggregateCall {
                function: functions::COUNT,
                input: None,
                filter: Some(width + side),
                distinct: false,
                kind: Kind::BigInt,
                name: name_of_call(functions::COUNT, false, None, Some(filter)),
            }
        });
        let counted = grouped(marked.clone(), width, counts.collect(), span);
        if all {
            return self.as_often(op, &counted, names, span);
        }
        let zero = || -> Expr {
            let zero: ArrayRef = Arc::new(Int64Array::from(vec![0]));
            Expr::literal(zero, Kind::BigInt, span)
        };
        let count = |side: usize| Expr::column(width + side, SqlType::not_null(Kind::BigInt), span);
        let on_the_right = if op == SetOp::Except { BinaryOp::Eq } else { BinaryOp::Greater };
        let left = compare_op(count(0), BinaryOp::Greater, zero(), span);
        let right = compare_op(count(1), on_the_right, zero(), span);
        let (left, right) = (self.keep(left)?, self.keep(right)?);
        let both = logical(BinaryOp::And, left, right, span);
        Ok(calc(&counted, Some(both), first(&counted, width), plain(&names)))
    }

    /// Rows by how often they are on either side: each as often as the operation has it.
    fn as_often(
        &mut self,
        op: SetOp,
        counted: &Arc<Rel>,
        names: Vec<Field>,
        span: Span,
    ) -> Result<Arc<Rel>, Reported> {
        let width = names.len();
        let count = |side: usize| Expr::column(width + side, SqlType::not_null(Kind::BigInt), span);
        let more = compare_op(count(0), BinaryOp::Greater, count(1), span);
        let more = self.keep(more)?;
        let (filter, times) = if op == SetOp::Except {
            let times = arithmetic(count(0), BinaryOp::Subtract, count(1), span);
            (Some(more), self.keep(times)?)
        } else {
            let least = choose(vec![more], vec![count(1), count(0)], "the counts", span);
            (None, self.keep(least)?)
        };
        let mut fields = plain(&names);
        let (name, ty) = ("$times".to_owned(), SqlType::not_null(Kind::BigInt));
        fields.push(Field { name, ty, role: Role::Plain });
        let exprs = first(counted, width).into_iter().chain([times]).collect();
        let unnest = Unnest {
            input: calc(counted, filter, exprs, unique(fields)),
            column: width,
            elements: Elements::Times,
            kept: (0..width).collect(),
            outer: false,
            on: None,
            ordinality: false,
            span,
        };
        Ok(Arc::new(Rel { kind: RelKind::Unnest(unnest), fields: plain(&names) }))
    }

    /// Binds queries and brings their columns to types that hold the values of all.
    fn branches(
        &mut self,
        branches: &[&ast::Query],
        name: &str,
        ctes: &Ctes<'_>,
    ) -> Result<Branches, Reported> {
        let bound: Vec<_> = branches.iter().map(|b| self.query(b, ctes)).collect();
        let rels = bound.into_iter().collect::<Result<Vec<_>, _>>()?;
        let first = &rels[0];
        let mut kinds: Vec<Kind> = first.fields.iter().map(|f| f.ty.kind).collect();
        for (rel, branch) in rels.iter().zip(branches).skip(1) {
            if rel.fields.len() != kinds.len() {
                return self.fail(
                    branch.span,
                    format!(
                        "this query gives {} columns, the first of {name} gives {}",
                        rel.fields.len(),
                        kinds.len()
                    ),
                );
            }
            for (kind, field) in kinds.iter_mut().zip(&rel.fields) {
                match kind.common(field.ty.kind) {
                    Some(common) => *kind = common,
                    None => return self.fail(branch.span, format!("column \"{}\" is {} here, but {kind} in the first query of {name}; CAST one of them", field.name, field.ty.kind)),
                }
            }
        }
        let fields: Vec<Field> = first
            .fields
            .iter()
            .enumerate()
            .map(|(i, field)| {
                let all = |is: fn(&Role) -> bool| rels.iter().all(|r| is(&r.fields[i].role));
                Field {
                    name: field.name.clone(),
                    ty: SqlType {
                        kind: kinds[i],
                        nullable: rels.iter().any(|r| r.fields[i].ty.nullable),
                    },
                    role: if all(Role::is_rowtime) {
                        Role::Rowtime
                    } else if all(|role| *role == Role::Proctime) {
                        Role::Proctime
                    } else {
                        Role::Plain
                    },
                }
            })
            .collect();
        let mut inputs = Vec::new();
        for (rel, branch) in rels.iter().zip(branches) {
            let exprs = identity(rel)
                .into_iter()
                .zip(&kinds)
                .map(|(expr, kind)| cast_to(expr, *kind, branch.span))
                .collect::<Result<Vec<_>, _>>();
            let exprs = self.keep(exprs)?;
            inputs.push(calc(rel, None, exprs, fields.clone()));
        }
        Ok(Branches { rels: inputs, fields })
    }
}

impl Branches {
    /// The rows of all.
    fn together(self) -> Arc<Rel> {
        let mut inputs = Vec::new();
        for rel in self.rels {
            match &rel.kind {
                RelKind::Union(inner) => inputs.extend(inner.iter().cloned()),
                _ => inputs.push(rel),
            }
        }
        Arc::new(Rel { kind: RelKind::Union(inputs), fields: self.fields })
    }

    /// The rows of both, with two columns more: whether a row is of the first, and of the second.
    fn marked(mut self, span: Span) -> Arc<Rel> {
        self.fields = plain(&self.fields);
        for name in ["left", "right"] {
            let ty = SqlType::not_null(Kind::Boolean);
            self.fields.push(Field { name: name.to_owned(), ty, role: Role::Plain });
        }
        self.fields = unique(self.fields);
        for (side, rel) in self.rels.iter_mut().enumerate() {
            let mut exprs = identity(rel);
            exprs.extend([0, 1].map(|mark| {
                let mark: ArrayRef = Arc::new(BooleanArray::from(vec![mark == side]));
                Expr::literal(mark, Kind::Boolean, span)
            }));
            *rel = calc(rel, None, exprs, self.fields.clone());
        }
        self.together()
    }
}

/// Groups by the first columns.
pub(super) fn grouped(
    input: Arc<Rel>,
    keys: usize,
    calls: Vec<AggregateCall>,
    span: Span,
) -> Arc<Rel> {
    let mut fields = plain(&input.fields[..keys]);
    fields.extend(calls.iter().map(|call| Field {
        name: call.name.clone(),
        ty: SqlType { kind: call.kind, nullable: call.function.is_nullable() },
        role: Role::Plain,
    }));
    let keys = (0..keys).collect();
    let fields = unique(fields);
    Arc::new(Rel {
        kind: RelKind::Aggregate(Aggregate {
            input,
            over: None,
            ends: None,
            ttl: None,
            keys,
            calls,
            span,
        }),
        fields,
    })
}

fn first(rel: &Rel, width: usize) -> Vec<Expr> {
    identity(rel).into_iter().take(width).collect()
}

/// Columns that are no event time.
pub(super) fn plain(fields: &[Field]) -> Vec<Field> {
    fields.iter().map(|field| Field { role: Role::Plain, ..field.clone() }).collect()
}
