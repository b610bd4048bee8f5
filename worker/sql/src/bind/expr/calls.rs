//! Calls of functions and aggregates.

use arrow::datatypes::DataType;
use weir_engine::aggregate::{
    Arguments, Function as Aggregation, ResultType, functions as aggregates,
};

use super::{Bound, ExprBinder, FoundAggregate, condition, fail};
use crate::ast::{self, ExprKind};
use crate::bind::asked::only_value;
use crate::bind::grouping::{grouping, is_grouping};
use crate::bind::over::has_order;
use crate::error::{Span, SqlError};
use crate::expr::{Call, Expr, Kernel, Style};
use crate::functions::{self, Arg};
use crate::types::{Kind, Nested, SqlType};

/// The aggregate that fails where there is more than one value.
pub(crate) const SINGLE_VALUE: &str = "SINGLE_VALUE";

impl ExprBinder<'_> {
    pub(super) fn function(&mut self, call: &ast::Call, span: Span) -> Bound {
        if let Some(over) = &call.over {
            return self.over(call, over, span);
        }
        if self.matching.is_some() {
            return match self.of_match(call, span)? {
                Some(value) => Ok(value),
                None => self.plain_function(call, span),
            };
        }
        self.plain_function(call, span)
    }

    fn plain_function(&mut self, call: &ast::Call, span: Span) -> Bound {
        let name = call.name.text.to_ascii_uppercase();
        if is_grouping(&name) && self.aggregates.is_some() {
            if (name == "GROUP_ID") != call.args.is_empty() {
                let takes = if name == "GROUP_ID" { "no arguments" } else { "columns of GROUP BY" };
                return fail(span, format!("{name} takes {takes}"));
            }
            let args = call.args.iter().map(|arg| self.bind(arg)).collect::<Result<_, _>>()?;
            return Ok(grouping(args, span));
        }
        if crate::bind::watermarks::is_it(&name) {
            return self.current_watermark(call, span);
        }
        if name == "APPROX_COUNT_DISTINCT" {
            // Counted exactly, which is as near as can be.
            let count = ast::Ident { text: "COUNT".to_owned(), span: call.name.span };
            let call = ast::Call { name: count, distinct: true, ..call.clone() };
            return self.aggregate(aggregates::COUNT, &name, &call, span);
        }
        if name == SINGLE_VALUE {
            return self.single_value(call, span);
        }
        if let Some(function) = aggregates::find(&name) {
            return self.aggregate(function, &name, call, span);
        }
        if let Some(filter) = &call.filter {
            return fail(filter.span, format!("FILTER belongs to aggregates, and {name} is none"));
        }
        if call.distinct {
            return fail(span, format!("DISTINCT belongs to aggregates, and {name} is none"));
        }
        if call.star {
            return fail(span, no_star(&name));
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

    /// `SINGLE_VALUE(value)`: of the one row of a group, whose job fails where it has more.
    fn single_value(&mut self, call: &ast::Call, span: Span) -> Bound {
        if call.distinct {
            return fail(span, format!("{SINGLE_VALUE} is of one row; remove DISTINCT"));
        }
        let value = self.aggregate(aggregates::MIN, SINGLE_VALUE, call, span)?;
        if has_order(value.kind()).is_err() {
            let message = format!(
                "{SINGLE_VALUE} of {} is not supported; take FIRST_VALUE, or its parts one by one",
                value.kind()
            );
            return fail(span, message);
        }
        let name = ast::Ident { text: "COUNT".to_owned(), span: call.name.span };
        let count = ast::Call { name, star: true, args: Vec::new(), ..call.clone() };
        let rows = self.aggregate(aggregates::COUNT, SINGLE_VALUE, &count, span)?;
        only_value(value, rows, "a group has", span)
    }

    /// A call of `function`, which the program calls `name`.
    fn aggregate(
        &mut self,
        function: Aggregation,
        name: &str,
        call: &ast::Call,
        span: Span,
    ) -> Bound {
        let Some(found) = self.aggregates.take() else {
            return fail(span, format!("{name} is an aggregate, which {}", self.no_aggregates));
        };
        // Arguments cannot hold aggregates themselves.
        self.no_aggregates = "cannot stand inside another aggregate";
        let bound = self.aggregate_call(function, name, call, span);
        let result = bound.map(|aggregate| {
            let ty = SqlType { kind: aggregate.kind, nullable: function.is_nullable() };
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

    pub(crate) fn aggregate_call(
        &mut self,
        function: Aggregation,
        name: &str,
        call: &ast::Call,
        span: Span,
    ) -> Result<FoundAggregate, SqlError> {
        let takes_star = function.arguments() == Arguments::OneOrStar;
        let filter = match &call.filter {
            Some(filter) => Some(condition(self, filter, "FILTER (WHERE …)")?),
            None => None,
        };
        if call.star {
            if !takes_star {
                return fail(span, no_star(name));
            }
            if let Some(of) = call.args.first() {
                return fail(of.span, format!("{name} of all columns is written {name}(*)"));
            }
            let kind = result_kind(function, name, None, span)?;
            return Ok(FoundAggregate { function, arg: None, filter, distinct: false, kind });
        }
        if let Some(item) = functions::item_of(function.name()) {
            let args = call.args.iter().map(|arg| self.bind(arg).map(Arg::Expr));
            let args = args.collect::<Result<Vec<_>, _>>()?;
            let arg = functions::bind(item, args, call.name.span, span)?;
            let kind = result_kind(function, name, Some(arg.kind()), arg.span)?;
            let distinct = call.distinct;
            return Ok(FoundAggregate { function, arg: Some(arg), filter, distinct, kind });
        }
        if let (true, [arg]) = (function == aggregates::ARRAY_AGG, call.args.as_slice()) {
            let arg = self.bind(arg)?;
            let kind = Nested::array(arg.kind());
            // A value that is NULL counts, where a row that FILTER leaves out does not.
            let row = functions::bind("ROW", vec![Arg::Expr(arg)], call.name.span, span)?;
            result_type(function, name, Some(row.kind()), span)?;
            let distinct = call.distinct;
            return Ok(FoundAggregate { function, arg: Some(row), filter, distinct, kind });
        }
        let of_several = (takes_star && call.args.len() > 1).then(|| row_of_all(&call.args, span));
        let arg = match (&of_several, call.args.as_slice()) {
            (Some(row), _) => row,
            (None, [arg]) => arg,
            (None, _) => return fail(span, format!("{name} takes one argument")),
        };
        let arg = self.bind(arg)?;
        let kind = result_kind(function, name, Some(arg.kind()), arg.span)?;
        // COUNT of what is never NULL is COUNT(*), and keeps no column.
        let arg = (!takes_star || call.distinct || arg.ty.nullable).then_some(arg);
        Ok(FoundAggregate { function, arg, filter, distinct: call.distinct, kind })
    }
}

/// The row of some values; NULL if one of them is.
fn row_of_all(values: &[ast::Expr], span: Span) -> ast::Expr {
    let height = values.iter().map(|value| value.height).max().unwrap_or_default();
    let node = |kind: ExprKind, above: usize| {
        let above = u16::try_from(above).unwrap_or(u16::MAX);
        ast::Expr { kind, span, height: height.saturating_add(above) }
    };
    let known = |value: &ast::Expr| {
        node(ExprKind::IsNull { of: Box::new(value.clone()), negated: true }, 1)
    };
    let all = values.iter().map(known).reduce(|left, right| {
        let (left, right) = (Box::new(left), Box::new(right));
        let above = values.len() + 1;
        node(ExprKind::Binary { op: ast::BinaryOp::And, left, right }, above)
    });
    let name = ast::Ident { text: "ROW".to_owned(), span };
    let row = node(ExprKind::Call(Box::new(ast::Call::of(name, values.to_vec()))), 1);
    let whens = all.into_iter().map(|all| (all, row.clone())).collect();
    node(ExprKind::Case { operand: None, whens, otherwise: None }, values.len() + 2)
}

fn no_star(name: &str) -> String {
    let takes_star = |f: &&Aggregation| f.arguments() == Arguments::OneOrStar;
    let those = aggregates::ALL.iter().filter(takes_star).map(|f| f.name());
    format!("only {} takes '*', not {name}", those.collect::<Vec<_>>().join(" or "))
}

pub(super) fn same_call(a: &FoundAggregate, b: &FoundAggregate) -> bool {
    let text = |e: &Option<Expr>| e.as_ref().map(|e| e.canonical(&|i| format!("#{i}")));
    a.function == b.function
        && a.distinct == b.distinct
        && a.kind == b.kind
        && text(&a.arg) == text(&b.arg)
        && text(&a.filter) == text(&b.filter)
}

/// An aggregate's result over an argument of this kind; `None` is `*`.
fn result_kind(
    function: Aggregation,
    name: &str,
    argument: Option<Kind>,
    span: Span,
) -> Result<Kind, SqlError> {
    let kind = match (result_type(function, name, argument, span)?, argument) {
        (Some(_), Some(kind)) if function == aggregates::COLLECT => {
            Some(Nested::Multiset(kind).kind())
        }
        (Some(ResultType::Of(DataType::Binary)), _) if function.name().starts_with("BITMAP_") => {
            Some(Kind::Bitmap)
        }
        (Some(ResultType::OfArgument), kind) => kind,
        (Some(ResultType::Of(data_type)), _) => Kind::of_arrow(&data_type),
        (None, _) => None,
    };
    kind.map_or_else(|| fail(span, format!("{name} has no result that a column can hold")), Ok)
}

/// What a function says of its result's type.
fn result_type(
    function: Aggregation,
    name: &str,
    argument: Option<Kind>,
    span: Span,
) -> Result<Option<ResultType>, SqlError> {
    // A value as it is has any type that values are kept in.
    let as_it_is = matches!(function.name(), "FIRST_VALUE" | "LAST_VALUE");
    let of = argument.map(|kind| match as_it_is && kind.is_interval() {
        true => kind.arrow(),
        false => kind.exact_arrow(),
    });
    match (function.resolve(of.as_ref()), argument) {
        (Ok(result), _) => Ok(Some(result)),
        (Err(refusal), Some(kind)) => {
            fail(span, format!("{name} needs {}, not {kind}", refusal.takes))
        }
        (Err(_), None) => Ok(None),
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
