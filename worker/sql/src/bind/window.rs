//! Window functions in FROM.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use weir_engine::operators::window::spec::Window;

use super::expr::{Scope, bind_plain};
use super::query::{Ctes, From};
use super::subquery::scope_of;
use super::{Binder, Reported};
use crate::ast::{self, WindowKind};
use crate::error::{SqlError, did_you_mean};
use crate::rel::{Field, Rel, RelKind, Role, WindowId, Windows, timed};
use crate::types::{Kind, SqlType};
use crate::zone::{self, Zone};

impl Binder<'_> {
    pub(super) fn window(
        &mut self,
        call: &ast::WindowCall,
        ctes: &Ctes<'_>,
    ) -> Result<From, Reported> {
        let from = self.from(&call.data, ctes);
        let size_name = if call.kind == WindowKind::Session { "GAP" } else { "SIZE" };
        let size = self.window_interval(&call.size, call, size_name);
        let step_name = if call.kind == WindowKind::Hop { "SLIDE" } else { "STEP" };
        let step = match &call.step {
            Some(step) => self.window_interval(step, call, step_name).map(Some),
            None => Ok(None),
        };
        let offset = match &call.offset {
            Some(offset) => self.window_interval(offset, call, "OFFSET"),
            None => Ok(0),
        };
        let (from, size, step, offset) = (from?, size?, step?, offset?);
        let name = call.function.text.to_ascii_uppercase();
        let what = if call.kind == WindowKind::Session { "gap" } else { "size" };
        if size <= 0 {
            return self
                .fail(call.size.span, format!("the {what} of {name} must be longer than nothing"));
        }
        let hop = call.kind == WindowKind::Hop;
        let window = match step {
            None if call.kind == WindowKind::Session => Windows::Session { gap: size },
            None => Windows::Grid(Window::Tumble { size, offset }),
            Some(step) if step <= 0 => {
                let what = step_name.to_ascii_lowercase();
                return self.fail(
                    call.size.span,
                    format!("the {what} of {name} must be longer than nothing"),
                );
            }
            Some(step) if size % step != 0 => {
                let what = step_name.to_ascii_lowercase();
                let hint = if step % size == 0 {
                    format!(
                        "; the {what} comes before the size: {name}(TABLE t, DESCRIPTOR(ts), {what}, size)"
                    )
                } else {
                    String::new()
                };
                return self.fail(
                    call.size.span,
                    format!("the size of {name} must be a multiple of its {what}{hint}"),
                );
            }
            Some(slide) if hop => Windows::Grid(Window::Hop { size, slide, offset }),
            Some(step) => Windows::Grid(Window::Cumulate { size, step, offset }),
        };
        let time = self.named_column(&from, &call.time)?;
        let mut partition = Vec::new();
        for path in &call.partition {
            partition.push(self.named_column(&from, path)?);
        }
        let time_span = call.time.last().map_or(call.function.span, |name| name.span);
        let rel = timed(&from.rel, time);
        let fields = &rel.fields;
        let time_name = fields[time].name.clone();
        // Without watermarks any time will do.
        let any = self.batch
            && matches!(fields[time].ty.kind, Kind::Timestamp(_) | Kind::TimestampLtz(_));
        if !fields[time].role.is_rowtime() && !any {
            let message = match fields.iter().find(|f| f.role.is_rowtime()) {
                Some(other) => format!(
                    "\"{}\" is no event time of {}; its event time is \"{}\"",
                    time_name, from.place, other.name
                ),
                None => match &from.rel.kind {
                    RelKind::Scan(_) => format!(
                        "\"{}\" is no event time: {} has no WATERMARK; declare WATERMARK FOR `{}` AS `{}` - INTERVAL '5' SECOND",
                        time_name, from.place, time_name, time_name
                    ),
                    _ if from.rel.gives_late_matches() => format!(
                        "\"{}\" is no event time: with this PATTERN matches may leave long after their last row, and would be late; end it with a variable that is there once, or add WITHIN",
                        time_name
                    ),
                    _ => format!(
                        "\"{}\" is no event time: {} does not pass one on; select the event-time column (or window_time) unchanged",
                        time_name, from.place
                    ),
                },
            };
            return self.fail(time_span, message);
        }
        let zone = match fields[time].ty.kind {
            Kind::TimestampLtz(_) => zone::current(),
            _ => Zone::Utc,
        };
        self.windows += 1;
        let in_group_by = call.in_group_by;
        let id = WindowId { number: self.windows, window, partition, zone, in_group_by };
        let time_kind = match fields[time].ty.kind {
            Kind::TimestampLtz(_) => Kind::TimestampLtz(3),
            _ => Kind::Timestamp(3),
        };
        let mut fields = fields.clone();
        for field in &mut fields {
            // A window's columns are the only event time that may follow.
            if !matches!(field.role, Role::Plain | Role::Proctime) {
                field.role = Role::Plain;
            }
        }
        let taken = |name: &str| !in_group_by && fields.iter().any(|f| f.name == name);
        if let Some(clash) =
            ["window_start", "window_end", "window_time"].into_iter().find(|n| taken(n))
        {
            // In Flink nothing can speak of the new column then.
            return self.fail(call.data.span, format!("{} has a column \"{clash}\" already, which {name} adds; give it another name with AS", from.place));
        }
        let own = [
            ("window_start", Role::WindowStart(id.clone()), Kind::Timestamp(3)),
            ("window_end", Role::WindowEnd(id.clone()), Kind::Timestamp(3)),
            ("window_time", Role::WindowTime(id.clone()), time_kind),
        ];
        for (name, role, kind) in own {
            let name = match in_group_by {
                // Nobody writes it.
                true => format!("${name}"),
                false => name.to_owned(),
            };
            fields.push(Field { name, ty: SqlType::not_null(kind), role });
        }
        let span = call.function.span;
        let kind = RelKind::Window { input: rel, time, id, span };
        // What was written in GROUP BY stands beside the tables of FROM, whose names stay.
        let joined = from.joined.filter(|_| in_group_by);
        let rel = Arc::new(Rel { kind, fields });
        Ok(From { rel, qualifier: None, place: from.place, joined })
    }

    /// The column of a name in what a window is over.
    fn named_column(&mut self, from: &From, path: &[ast::Ident]) -> Result<usize, Reported> {
        let (Some(first), Some(last)) = (path.first(), path.last()) else { return Err(Reported) };
        let fields = &from.rel.fields;
        if from.joined.is_none() {
            return match fields.iter().position(|field| field.name == last.text) {
                Some(column) => Ok(column),
                None => {
                    let names = fields.iter().map(|field| field.name.as_str());
                    let hint = did_you_mean(&last.text, names, '"');
                    let message =
                        format!("column \"{}\" not found in {}{hint}", last.text, from.place);
                    Err(self.report(SqlError::of_a_name(last.span, message)))
                }
            };
        }
        let span = first.span.to(last.span);
        let name = ast::Expr { kind: ast::ExprKind::Column(path.to_vec()), span, height: 1 };
        let bound = bind_plain(&name, &scope_of(from), "has no place in a window's arguments");
        match self.keep(bound)?.as_column() {
            Some(column) => Ok(column),
            None => self.fail(span, "a window takes a column as it is"),
        }
    }

    /// A fixed length of time in milliseconds.
    fn window_interval(
        &mut self,
        expr: &ast::Expr,
        call: &ast::WindowCall,
        what: &str,
    ) -> Result<i64, Reported> {
        let scope = Scope {
            fields: &[],
            qualifier: None,
            place: "a window's arguments",
            aliases: &[],
            joined: None,
        };
        let bound = bind_plain(expr, &scope, "has no place in a window's arguments");
        let bound = self.keep(bound)?;
        let name = call.function.text.to_ascii_uppercase();
        match (bound.kind(), bound.as_literal()) {
            (Kind::IntervalMillis, Some(value)) if value.is_valid(0) => Ok(value.as_primitive::<Int64Type>().value(0)),
            (Kind::IntervalMonths, _) => self.fail(expr.span, format!("the {what} of {name} has a fixed length; months and years have not: use DAY and shorter units")),
            _ => self.fail(expr.span, format!("the {what} of {name} is an interval, such as INTERVAL '1' HOUR")),
        }
    }
}
