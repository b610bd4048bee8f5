//! Calls of functions and aggregates.

use weir_engine::operators::window::spec::Function as Aggregation;

use super::{Bound, ExprBinder, FoundAggregate, condition, fail};
use crate::ast::{self, ExprKind};
use crate::error::{Span, SqlError};
use crate::expr::{Call, Expr, Kernel, Style};
use crate::functions::{self, Arg};
use crate::types::{Kind, SqlType};

impl ExprBinder<'_> {
    pub(super) fn function(&mut self, call: &ast::Call, span: Span) -> Bound {
        let name = call.name.text.to_ascii_uppercase();
        if functions::AGGREGATES.contains(&name.as_str()) {
            return self.aggregate(&name, call, span);
        }
        if let Some(filter) = &call.filter {
            return fail(filter.span, format!("FILTER belongs to aggregates, and {name} is none"));
        }
        if call.distinct {
            return fail(span, format!("DISTINCT belongs to aggregates, and {name} is none"));
        }
        if call.star {
            return fail(span, format!("only COUNT takes '*', not {name}"));
        }
        let args = call
            .args
            .iter()
            .map(|arg| match &arg.kind {
                ExprKind::Unit(unit) => Ok(Arg::Unit(*unit, arg.span)),
                _ => self.bind(arg).map(Arg::Expr),
            })
            .collect::<Result<Vec<_>, _>>()?;
        functions::bind(&call.name.text, args, call.name.span, span)
    }

    pub(super) fn aggregate(&mut self, name: &str, call: &ast::Call, span: Span) -> Bound {
        let Some(found) = self.aggregates.take() else {
            return fail(span, format!("{name} is an aggregate, which {}", self.no_aggregates));
        };
        // Arguments cannot hold aggregates themselves.
        self.no_aggregates = "cannot stand inside another aggregate";
        let bound = self.aggregate_call(name, call, span);
        let result = bound.map(|aggregate| {
            let ty = SqlType {
                kind: aggregate.kind,
                nullable: aggregate.function != Aggregation::Count,
            };
            let position = found.iter().position(|known| same_call(known, &aggregate));
            let position = position.unwrap_or_else(|| {
                found.push(aggregate);
                found.len() - 1
            });
            Expr::column(self.scope.fields.len() + position, ty, span)
        });
        self.aggregates = Some(found);
        result
    }

    pub(super) fn aggregate_call(
        &mut self,
        name: &str,
        call: &ast::Call,
        span: Span,
    ) -> Result<FoundAggregate, SqlError> {
        let function = match name {
            "COUNT" => Aggregation::Count,
            "SUM" => Aggregation::Sum,
            "AVG" => Aggregation::Avg,
            "MIN" => Aggregation::Min,
            _ => Aggregation::Max,
        };
        let filter = match &call.filter {
            Some(filter) => Some(condition(self, filter, "FILTER (WHERE …)")?),
            None => None,
        };
        if call.star {
            if function != Aggregation::Count {
                return fail(span, format!("only COUNT takes '*', not {name}"));
            }
            return Ok(FoundAggregate {
                function,
                arg: None,
                filter,
                distinct: false,
                kind: Kind::BigInt,
            });
        }
        let [arg] = call.args.as_slice() else {
            if function == Aggregation::Count && call.args.len() > 1 {
                return fail(
                    span,
                    "COUNT of several columns is not supported; concatenate them, or count each",
                );
            }
            return fail(span, format!("{name} takes one argument"));
        };
        let arg = self.bind(arg)?;
        let kind = aggregate_kind(function, &arg, name)?;
        // COUNT of what is never NULL is COUNT(*), and keeps no column.
        let arg = if function == Aggregation::Count && !call.distinct && !arg.ty.nullable {
            None
        } else {
            Some(arg)
        };
        Ok(FoundAggregate { function, arg, filter, distinct: call.distinct, kind })
    }
}

pub(super) fn same_call(a: &FoundAggregate, b: &FoundAggregate) -> bool {
    let text = |e: &Option<Expr>| e.as_ref().map(|e| e.canonical(&|i| format!("#{i}")));
    a.function == b.function
        && a.distinct == b.distinct
        && a.kind == b.kind
        && text(&a.arg) == text(&b.arg)
        && text(&a.filter) == text(&b.filter)
}

/// An aggregate's result type, as Flink derives it.
pub(super) fn aggregate_kind(
    function: Aggregation,
    arg: &Expr,
    name: &str,
) -> Result<Kind, SqlError> {
    let kind = arg.kind();
    match function {
        Aggregation::Count => Ok(Kind::BigInt),
        Aggregation::Sum | Aggregation::Avg => match kind {
            Kind::Decimal(_, s) if function == Aggregation::Sum => Ok(Kind::Decimal(38, s)),
            Kind::Decimal(_, s) => Ok(Kind::Decimal(38, s.max(6))),
            kind if kind.is_numeric() => Ok(kind),
            _ => fail(arg.span, format!("{name} needs a number, not {kind}")),
        },
        Aggregation::Min | Aggregation::Max => {
            if kind.is_numeric() || kind.is_text() || kind.is_temporal() {
                Ok(kind)
            } else {
                fail(
                    arg.span,
                    format!("{name} needs a number, a string, a date or a time, not {kind}"),
                )
            }
        }
    }
}

/// A typed call, folded when all of its arguments are values.
pub(crate) fn call(
    name: &str,
    args: Vec<Expr>,
    kernel: Kernel,
    ty: SqlType,
    style: Style,
    span: Span,
) -> Bound {
    call_with(name, args, kernel, ty, style, false, span)
}

pub(crate) fn call_with(
    name: &str,
    args: Vec<Expr>,
    kernel: Kernel,
    ty: SqlType,
    style: Style,
    fallible: bool,
    span: Span,
) -> Bound {
    let name = name.to_owned();
    let call = Call { name, args, kind: ty.kind, kernel, fallible, nondeterministic: None, style };
    Expr::call(call, ty, span).map_err(|message| SqlError::new(span, message))
}
