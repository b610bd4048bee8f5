//! `OVER`: which functions stand over which windows, what is computed below them and what above.
//!
//! A call is a column of its own from [`OVER`] on until everything of the SELECT is bound. Then
//! what lies below all calls becomes one relation, every window an operator above it, and the
//! SELECT list a projection above these.

use std::sync::Arc;

use weir_engine::aggregate::functions as aggregates;
use weir_engine::operators::over::spec::{Frame, FrameUnit};
use weir_engine::operators::rank::spec::SortColumn;

use super::aggregate::{Keys, name_of_call, same, unique};
use super::below::{Below, literal};
use super::expr::{ExprBinder, cast_to};
use super::query::{From, short_name};
use super::{Binder, Reported};
use crate::ast::{self, FrameBound};
use crate::error::{Span, SqlError};
use crate::expr::{Expr, Node};
use crate::rel::{
    Field, Over, OverCall, OverFunction, Rel, RelKind, Role, calc, identity, role_of, timed,
};
use crate::types::{Kind, SqlType};

/// The column of the first call.
pub(crate) const OVER: usize = 1 << 24;

/// The calls of a SELECT.
#[derive(Default)]
pub(crate) struct OverCalls {
    /// The WINDOW clause.
    named: Vec<ast::NamedWindow>,
    windows: Vec<Window>,
    calls: Vec<Found>,
    /// Whether rows leave together when everything has come, so that functions may reach behind one.
    at_once: bool,
}

struct Window {
    partition: Vec<Expr>,
    order: Vec<Sorted>,
    span: Span,
}

#[derive(Clone)]
struct Sorted {
    expr: Expr,
    descending: bool,
    nulls_first: bool,
}

struct Found {
    window: usize,
    function: OverFunction<Expr>,
    frame: Frame,
    ty: SqlType,
}

/// A SELECT whose clauses are bound.
pub(super) struct Clauses<'a> {
    pub(super) select: &'a ast::Select,
    pub(super) from: &'a From,
    pub(super) filter: Option<Expr>,
    /// Keys, aggregates and HAVING, if it groups.
    pub(super) grouped: Option<Grouped>,
    pub(super) items: Vec<(Expr, String)>,
    pub(super) qualify: Option<Expr>,
}

pub(super) struct Grouped {
    pub(super) keys: Keys,
    pub(super) aggregates: Vec<super::expr::FoundAggregate>,
    pub(super) having: Option<(Expr, Span)>,
}

fn fail<T>(span: Span, message: impl Into<String>) -> Result<T, SqlError> {
    Err(SqlError::new(span, message))
}

impl OverCalls {
    pub(super) fn of(select: &ast::Select, at_once: bool) -> Self {
        Self { named: select.windows.clone(), at_once, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The window's definition with everything that it takes over from others by name.
    fn definition(&self, over: &ast::Over) -> Result<ast::WindowSpec, SqlError> {
        let named = |name: &ast::Ident, before: usize| {
            let found = self.named[..before].iter().rposition(|w| w.name.text == name.text);
            match found {
                Some(found) => Ok(found),
                None => fail(
                    name.span,
                    format!(
                        "the window \"{}\" is not defined; write WINDOW {} AS (…) behind FROM, WHERE and GROUP BY",
                        name.text, name.text
                    ),
                ),
            }
        };
        let (mut spec, mut before) = match over {
            ast::Over::Named(name) => {
                let found = named(name, self.named.len())?;
                (self.named[found].spec.clone(), found)
            }
            ast::Over::Spec(spec) => ((**spec).clone(), self.named.len()),
        };
        while let Some(base) = spec.base.take() {
            before = named(&base, before)?;
            let below = self.named[before].spec.clone();
            if !spec.partition.is_empty() {
                return fail(
                    spec.span,
                    format!(
                        "the window \"{}\" has its rows parted already; leave PARTITION BY out here",
                        base.text
                    ),
                );
            }
            if !below.order.is_empty() && !spec.order.is_empty() {
                return fail(
                    spec.span,
                    format!(
                        "the window \"{}\" has an order already; leave ORDER BY out here",
                        base.text
                    ),
                );
            }
            spec.partition = below.partition;
            if spec.order.is_empty() {
                spec.order = below.order;
            }
            spec.frame = spec.frame.or(below.frame);
            spec.base = below.base;
        }
        Ok(spec)
    }
}

impl ExprBinder<'_> {
    /// A call with OVER.
    pub(super) fn over(
        &mut self,
        call: &ast::Call,
        over: &ast::Over,
        span: Span,
    ) -> Result<Expr, SqlError> {
        let Some(calls) = self.over.take() else {
            return fail(
                span,
                "OVER has its place in SELECT and QUALIFY; name the result in a subquery and use it around that",
            );
        };
        let found = self.over_call(call, over, span, calls);
        let result = found.map(|found| {
            let ty = found.ty;
            calls.calls.push(found);
            Expr::column(OVER + calls.calls.len() - 1, ty, span)
        });
        self.over = Some(calls);
        result
    }

    fn over_call(
        &mut self,
        call: &ast::Call,
        over: &ast::Over,
        span: Span,
        calls: &mut OverCalls,
    ) -> Result<Found, SqlError> {
        let spec = calls.definition(over)?;
        let partition =
            spec.partition.iter().map(|expr| self.bind(expr)).collect::<Result<Vec<_>, _>>()?;
        let order =
            spec.order.iter().map(|item| self.sorted(item)).collect::<Result<Vec<_>, _>>()?;
        let (function, ty) = self.over_function(call, calls.at_once, span)?;
        let frame = match &spec.frame {
            Some(frame) => self.frame(frame, &order, calls.at_once)?,
            None => Frame::RUNNING,
        };
        if let (Some(written), false) = (&spec.frame, function.has_frame()) {
            let name = call.name.text.to_ascii_uppercase();
            return fail(
                written.span,
                format!("{name} is of a row's place and takes no frame; leave it out"),
            );
        }
        let equal = |known: &Window| {
            known.partition.len() == partition.len()
                && known.partition.iter().zip(&partition).all(|(a, b)| same(a, b))
                && known.order.len() == order.len()
                && known.order.iter().zip(&order).all(|(a, b)| {
                    same(&a.expr, &b.expr)
                        && (a.descending, a.nulls_first) == (b.descending, b.nulls_first)
                })
        };
        let window = calls.windows.iter().position(equal).unwrap_or_else(|| {
            calls.windows.push(Window { partition, order, span: spec.span });
            calls.windows.len() - 1
        });
        Ok(Found { window, function, frame, ty })
    }

    fn sorted(&mut self, item: &ast::OrderItem) -> Result<Sorted, SqlError> {
        let expr = self.bind(&item.expr)?;
        has_order(expr.kind()).map_err(|message| SqlError::new(item.expr.span, message))?;
        let descending = item.descending;
        Ok(Sorted { expr, descending, nulls_first: item.nulls_first.unwrap_or(!descending) })
    }

    fn over_function(
        &mut self,
        call: &ast::Call,
        at_once: bool,
        span: Span,
    ) -> Result<(OverFunction<Expr>, SqlType), SqlError> {
        let name = call.name.text.to_ascii_uppercase();
        let place = SqlType::not_null(Kind::BigInt);
        let no_arguments = |function| {
            if call.args.is_empty() && !call.star {
                let is_part =
                    matches!(function, OverFunction::PercentRank | OverFunction::CumeDist);
                let ty = if is_part { SqlType::not_null(Kind::Double) } else { place };
                return Ok((function, ty));
            }
            fail(span, format!("{name} takes no arguments; its order stands in OVER"))
        };
        match name.as_str() {
            "ROW_NUMBER" => return no_arguments(OverFunction::RowNumber),
            "RANK" => return no_arguments(OverFunction::Rank),
            "DENSE_RANK" => return no_arguments(OverFunction::DenseRank),
            "LAG" | "LEAD" => return self.lag(call, name == "LEAD", at_once, span),
            "PERCENT_RANK" if at_once => return no_arguments(OverFunction::PercentRank),
            "CUME_DIST" if at_once => return no_arguments(OverFunction::CumeDist),
            "NTILE" if at_once => return self.ntile(call, span),
            "FIRST_VALUE" | "LAST_VALUE" => {
                let [input] = call.args.as_slice() else {
                    return fail(span, format!("{name} takes one argument"));
                };
                let input = self.bind(input)?;
                let ty = SqlType::nullable(input.kind());
                let first = name == "FIRST_VALUE";
                let function =
                    if first { OverFunction::FirstValue } else { OverFunction::LastValue };
                return Ok((function(input), ty));
            }
            "NTILE" | "PERCENT_RANK" | "CUME_DIST" => {
                return fail(
                    span,
                    format!(
                        "{name} needs to know how many rows will come, which a stream does not tell; a job that ends does, with SET 'execution.runtime-mode' = 'batch'"
                    ),
                );
            }
            _ => {}
        }
        let Some(function) = aggregates::find(&name) else {
            return fail(
                call.name.span,
                format!(
                    "{name} does not stand over a window; aggregates, ROW_NUMBER, RANK, DENSE_RANK, LAG, FIRST_VALUE and LAST_VALUE do"
                ),
            );
        };
        let found = self.aggregate_call(function, &name, call, span)?;
        let ty = SqlType { kind: found.kind, nullable: function.is_nullable() };
        let (input, filter, distinct) = (found.arg, found.filter, found.distinct);
        Ok((OverFunction::Aggregate { function, input, filter, distinct }, ty))
    }

    /// `LAG(value [, offset [, default]])`.
    fn lag(
        &mut self,
        call: &ast::Call,
        lead: bool,
        at_once: bool,
        span: Span,
    ) -> Result<(OverFunction<Expr>, SqlType), SqlError> {
        let name = if lead { "LEAD" } else { "LAG" };
        let (Some(input), true) = (call.args.first(), call.args.len() <= 3) else {
            return fail(
                span,
                format!(
                    "{name} takes a value, how many rows away it is, and what stands for it where there is no such row"
                ),
            );
        };
        let input = self.bind(input)?;
        let offset = match call.args.get(1) {
            None => 1,
            Some(offset) => {
                let bound = self.bind(offset)?;
                match literal(&bound).and_then(|value| u32::try_from(value).ok()) {
                    Some(offset) => offset,
                    None => {
                        return fail(
                            offset.span,
                            format!("the second argument of {name} is a number of rows, such as 1"),
                        );
                    }
                }
            }
        };
        let kind = input.kind();
        let default = match call.args.get(2) {
            None => None,
            Some(default) => {
                let bound = self.bind(default)?;
                Some(cast_to(bound, kind, default.span)?)
            }
        };
        if lead && at_once {
            let lead = OverFunction::Lead { input, offset, default };
            return Ok((lead, SqlType::nullable(kind)));
        }
        if lead && offset > 0 {
            return fail(
                call.name.span,
                "LEAD needs rows that have not come yet, which is not supported; write LAG over the opposite order, or join the rows",
            );
        }
        Ok((OverFunction::Lag { input, offset, default }, SqlType::nullable(kind)))
    }

    /// `NTILE(parts)`.
    fn ntile(
        &mut self,
        call: &ast::Call,
        span: Span,
    ) -> Result<(OverFunction<Expr>, SqlType), SqlError> {
        let [parts] = call.args.as_slice() else {
            return fail(span, "NTILE takes the number of parts");
        };
        let bound = self.bind(parts)?;
        let number = literal(&bound).filter(|_| bound.kind().is_integer());
        match number.and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0) {
            Some(number) => Ok((OverFunction::Ntile(number), SqlType::not_null(Kind::Int))),
            None => fail(parts.span, "NTILE takes a number of parts, such as 4"),
        }
    }

    /// A frame; `order`: what rows are sorted by that leave together.
    fn frame(
        &mut self,
        frame: &ast::Frame,
        order: &[Sorted],
        at_once: bool,
    ) -> Result<Frame, SqlError> {
        let unit = if frame.rows { FrameUnit::Rows } else { FrameUnit::Range };
        // What distances are between: those of a stream are event times.
        let of = match at_once {
            true => order.first().map(|sorted| sorted.expr.kind()),
            false => Some(Kind::Timestamp(3)),
        };
        let preceding = match &frame.from {
            FrameBound::UnboundedPreceding => None,
            FrameBound::CurrentRow => Some(0),
            FrameBound::Preceding(by) => Some(self.distance(frame, by, of)?),
            FrameBound::Following(by) if at_once => Some(-self.distance(frame, by, of)?),
            FrameBound::UnboundedFollowing if at_once => {
                return fail(frame.span, "a frame does not begin with UNBOUNDED FOLLOWING");
            }
            FrameBound::Following(_) | FrameBound::UnboundedFollowing => {
                return fail(
                    frame.span,
                    "frames that begin behind the current row are not supported: those rows have not come yet",
                );
            }
        };
        let following = match &frame.to {
            FrameBound::CurrentRow => Some(0),
            FrameBound::UnboundedPreceding if at_once => {
                return fail(frame.span, "a frame does not end with UNBOUNDED PRECEDING");
            }
            FrameBound::Preceding(by) if at_once => Some(-self.distance(frame, by, of)?),
            FrameBound::Following(by) if at_once => Some(self.distance(frame, by, of)?),
            FrameBound::UnboundedFollowing if at_once => None,
            FrameBound::UnboundedPreceding | FrameBound::Preceding(_) => {
                return fail(
                    frame.span,
                    "frames that end before the current row are not supported; end it with CURRENT ROW",
                );
            }
            FrameBound::Following(_) | FrameBound::UnboundedFollowing => {
                return fail(
                    frame.span,
                    "frames that reach behind the current row are not supported: those rows have not come yet; end it with CURRENT ROW",
                );
            }
        };
        let measures = [preceding, following].into_iter().flatten().any(|by| by != 0);
        if !frame.rows && measures && order.len() != 1 {
            return fail(
                frame.span,
                "a frame of RANGE with a distance goes by one column of ORDER BY; sort by that alone, or count ROWS",
            );
        }
        Ok(Frame { unit, preceding, following })
    }

    /// How far a frame reaches, between values of this kind where it does not count rows.
    fn distance(
        &mut self,
        frame: &ast::Frame,
        by: &ast::Expr,
        of: Option<Kind>,
    ) -> Result<i64, SqlError> {
        let bound = self.bind(by)?;
        let of_times = of.is_some_and(|of| of.is_timestamp() || of == Kind::Date);
        let of_numbers = of.is_some_and(Kind::is_numeric);
        let value = match (frame.rows, bound.kind()) {
            (true, kind) if kind.is_integer() => literal(&bound),
            (false, Kind::IntervalMillis) if of_times => literal(&bound),
            (false, kind) if kind.is_integer() && of_numbers => literal(&bound),
            _ => None,
        };
        match value.filter(|value| *value >= 0) {
            Some(value) => Ok(value),
            None if frame.rows => {
                fail(by.span, "a frame of ROWS reaches back a number of rows, such as 5")
            }
            None if of_numbers => {
                fail(by.span, "a frame of RANGE over numbers reaches a whole number, such as 10")
            }
            None => fail(
                by.span,
                "a frame of RANGE reaches back a length of time, such as INTERVAL '1' HOUR",
            ),
        }
    }
}

impl Binder<'_> {
    /// A SELECT with calls of OVER.
    pub(super) fn over(
        &mut self,
        clauses: Clauses<'_>,
        calls: OverCalls,
    ) -> Result<Arc<Rel>, Reported> {
        let Clauses { select, from, filter, grouped, items, qualify } = clauses;
        let fields = &from.rel.fields;
        let mut below = Below::default();
        let items: Vec<(Expr, String)> = items
            .into_iter()
            .map(|(expr, name)| {
                let plain = expr.as_column().is_none_or(|column| column < OVER);
                if plain && !matches!(*expr.node, Node::Literal(_)) && !has_call(&expr) {
                    let at = below.place(&expr, || name.clone());
                    return (Expr::column(at, expr.ty, expr.span), name);
                }
                (below.split(&expr, fields), name)
            })
            .collect();
        let qualify = qualify.map(|condition| below.split(&condition, fields));
        let mut place = |expr: &Expr| below.place(expr, || short_name(expr, fields));
        let windows: Vec<(Vec<usize>, Vec<SortColumn>, Span)> = calls
            .windows
            .iter()
            .map(|window| {
                let partition = window.partition.iter().map(&mut place).collect();
                let sort = |sorted: &Sorted| SortColumn {
                    column: place(&sorted.expr),
                    descending: sorted.descending,
                    nulls_first: sorted.nulls_first,
                };
                (partition, window.order.iter().map(sort).collect(), window.span)
            })
            .collect();
        let found: Vec<(usize, OverCall)> = calls
            .calls
            .iter()
            .map(|call| {
                let function = call.function.map(&mut place);
                let name = function_name(&call.function, fields);
                let (frame, ty) = (call.frame, call.ty);
                (call.window, OverCall { function, frame, ty, name })
            })
            .collect();
        if below.exprs.is_empty() {
            // Rows are counted by a column of them.
            let one = Arc::new(arrow::array::BooleanArray::from(vec![true]));
            below.exprs.push(Expr::literal(one, Kind::Boolean, select.span));
            below.names.push("row".to_owned());
        }
        let named = |(expr, name): (&Expr, &String)| Field {
            name: name.clone(),
            ty: expr.ty,
            role: role_of(expr, fields),
        };
        let below_fields = unique(below.exprs.iter().zip(&below.names).map(named).collect());
        let mut rel = match grouped {
            Some(Grouped { keys, aggregates, having }) => {
                let names = below_fields.into_iter().map(|f| f.name);
                let items = below.exprs.into_iter().zip(names).collect();
                self.aggregate(select, from, filter, keys, aggregates, items, having)?
            }
            None => calc(&from.rel, filter, below.exprs, below_fields),
        };
        if self.batch {
            rel = at_once(&self.final_rows(&rel), select.span);
        }
        let once = self.batch.then(|| rel.fields.len() - 1);
        let mut at = vec![0; found.len()];
        let of_clock: Vec<bool> = rel.fields.iter().map(|f| f.role == Role::Proctime).collect();
        for (number, (partition, mut order, span)) in windows.into_iter().enumerate() {
            // By processing time each row is by itself: there is none at the same time.
            let comes =
                order.first().is_some_and(|first| of_clock.get(first.column) == Some(&true));
            if let Some(first) = order.first() {
                rel = timed(&rel, first.column);
            }
            if let Some(column) = once {
                order.insert(0, SortColumn { column, descending: false, nulls_first: true });
            }
            let mut fields = rel.fields.clone();
            let mut own = Vec::new();
            for (call, (window, over)) in found.iter().enumerate() {
                if *window == number {
                    at[call] = fields.len();
                    let (name, ty) = (over.name.clone(), over.ty);
                    fields.push(Field { name, ty, role: Role::Plain });
                    let mut over = over.clone();
                    if comes && over.frame == Frame::RUNNING {
                        over.frame.unit = FrameUnit::Rows;
                    }
                    own.push(over);
                }
            }
            let fields = unique(fields);
            for (call, field) in own.iter_mut().zip(&fields[rel.fields.len()..]) {
                call.name.clone_from(&field.name);
            }
            let at_once = once.is_some();
            let over = Over { input: rel, partition, order, calls: own, at_once, span };
            rel = Arc::new(Rel { kind: RelKind::Over(over), fields });
        }
        let place = |column: usize| match column.checked_sub(OVER) {
            Some(call) => at[call],
            None => column,
        };
        let (mut exprs, mut fields) = (Vec::new(), Vec::new());
        for (expr, name) in &items {
            let expr = expr.renumber(&place);
            let role =
                expr.as_column().map_or(Role::Plain, |column| rel.fields[column].role.clone());
            fields.push(Field { name: name.clone(), ty: expr.ty, role });
            exprs.push(expr);
        }
        Ok(calc(&rel, qualify.map(|condition| condition.renumber(&place)), exprs, fields))
    }
}

/// Rows that are all of one event time, in a column behind the others: whatever they are sorted by,
/// they leave together at the end.
fn at_once(rel: &Arc<Rel>, span: Span) -> Arc<Rel> {
    let (mut exprs, mut fields) = (identity(rel), rel.fields.clone());
    let epoch = Arc::new(arrow::array::TimestampMillisecondArray::from(vec![0]));
    let kind = Kind::Timestamp(3);
    exprs.push(Expr::literal(epoch, kind, span));
    let (name, ty) = ("$once".to_owned(), SqlType::not_null(kind));
    fields.push(Field { name, ty, role: Role::Rowtime });
    calc(rel, None, exprs, unique(fields))
}

fn has_call(expr: &Expr) -> bool {
    let mut columns = std::collections::BTreeSet::new();
    expr.columns(&mut columns);
    columns.iter().any(|column| *column >= OVER)
}

/// `SUM(price)`, for people.
fn function_name(function: &OverFunction<Expr>, fields: &[Field]) -> String {
    let name = |expr: &Expr| short_name(expr, fields);
    match function {
        OverFunction::RowNumber => "ROW_NUMBER()".to_owned(),
        OverFunction::Rank => "RANK()".to_owned(),
        OverFunction::DenseRank => "DENSE_RANK()".to_owned(),
        OverFunction::Lag { input, offset, .. } => format!("LAG({}, {offset})", name(input)),
        OverFunction::Lead { input, offset, .. } => format!("LEAD({}, {offset})", name(input)),
        OverFunction::Ntile(parts) => format!("NTILE({parts})"),
        OverFunction::PercentRank => "PERCENT_RANK()".to_owned(),
        OverFunction::CumeDist => "CUME_DIST()".to_owned(),
        OverFunction::FirstValue(input) => format!("FIRST_VALUE({})", name(input)),
        OverFunction::LastValue(input) => format!("LAST_VALUE({})", name(input)),
        OverFunction::Aggregate { function, input, filter, distinct } => {
            let (input, filter) = (input.as_ref().map(name), filter.as_ref().map(name));
            name_of_call(*function, *distinct, input.as_deref(), filter.as_deref())
        }
    }
}

/// Refuses to sort by values of this kind.
pub(super) fn has_order(kind: Kind) -> Result<(), String> {
    match kind {
        Kind::Nested(_) | Kind::Variant | Kind::Bitmap => Err(format!(
            "{kind} has no order to sort rows by; sort by its parts, or by a CAST of it AS STRING"
        )),
        _ => Ok(()),
    }
}
