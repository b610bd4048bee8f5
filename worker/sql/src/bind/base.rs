//! What GROUP BY stands on: the rows below a window function, with everything between as
//! expressions over them, or the rows of FROM as they are.

use std::sync::Arc;

use weir_engine::operators::window::spec::Window;

use super::query::From;
use super::{Binder, Reported};
use crate::error::{Span, Warning};
use crate::expr::{Call, Col, Expr, Node, Style};
use crate::rel::{Aggregate, Field, Join, Near, Rel, RelKind, Role, WindowId, Windows, identity};
use crate::types::{Kind, SqlType};
use crate::zone::Zone;

const NEEDS_WINDOW: &str = "window_start and window_end do not come from a window function here; select window_start, window_end and window_time unchanged";

/// What an aggregation stands on.
pub(super) struct Base {
    pub(super) rel: Arc<Rel>,
    /// FROM's columns over `rel`'s; those from `width` on are the window's.
    pub(super) exprs: Vec<Expr>,
    pub(super) filter: Option<Expr>,
    pub(super) windowed: Option<Windowed>,
    pub(super) width: usize,
}

/// The windows that rows are grouped by.
pub(super) struct Windowed {
    /// Over the base's columns.
    pub(super) time: Expr,
    pub(super) window: Windows,
    /// Whose clock shows `time`.
    pub(super) zone: Zone,
    /// The columns of `rel` by which sessions are told apart.
    pub(super) partition: Vec<usize>,
    /// Set where windows of HOP or CUMULATE are grouped once more: their start follows from the end.
    pub(super) again: Option<Window>,
}

impl Binder<'_> {
    /// The window that keys stand for, if they do.
    pub(super) fn window_of(
        &mut self,
        keys: &[Expr],
        from: &From,
        at: Span,
    ) -> Result<Option<WindowId>, Reported> {
        let roles = || keys.iter().filter_map(|k| Some(&from.rel.fields.get(k.as_column()?)?.role));
        let start = roles().find_map(|role| match role {
            Role::WindowStart(id) => Some(id),
            _ => None,
        });
        let end = roles().find_map(|role| match role {
            Role::WindowEnd(id) => Some(id),
            _ => None,
        });
        match (start, end) {
            (Some(start), Some(end)) if start == end => Ok(Some(start.clone())),
            (Some(_), Some(_)) => {
                self.fail(at, "window_start and window_end are of different windows")
            }
            _ => {
                let is_bound = |f: &Field| matches!(f.role, Role::WindowStart(_));
                if from.rel.fields.iter().any(is_bound) {
                    self.warnings.push(Warning {
                        span: at,
                        message: "GROUP BY lacks window_start or window_end: results do not wait for the end of a window, and are corrected for ever; add both for results per window".to_owned(),
                    });
                }
                Ok(None)
            }
        }
    }

    /// The relation under the window function, and everything between as expressions over it.
    pub(super) fn below_window(
        &mut self,
        from: &From,
        filter: Option<Expr>,
        id: &WindowId,
        at: Span,
    ) -> Result<Base, Reported> {
        let mut rel = from.rel.clone();
        let mut exprs = identity(&rel);
        let mut filter = filter;
        loop {
            let below = match &rel.kind {
                RelKind::Calc { input, filter: below, exprs: inner } => {
                    let replace = |i: usize| inner[i].clone();
                    exprs = exprs.iter().map(|e| e.substitute(&replace)).collect();
                    filter = crate::rel::and(below.clone(), filter.map(|f| f.substitute(&replace)));
                    input.clone()
                }
                RelKind::Window { input, time, id: own, .. } if own == id => {
                    let time_field = &input.fields[*time];
                    let time = Expr::column(*time, time_field.ty, Span::default());
                    let time = self.keep(super::expr::cast_to(time, Kind::Timestamp(3), at))?;
                    let mut base = Base {
                        rel: input.clone(),
                        exprs,
                        filter: None,
                        windowed: Some(Windowed {
                            time,
                            window: id.window,
                            zone: id.zone,
                            partition: id.partition.clone(),
                            again: None,
                        }),
                        width: input.fields.len(),
                    };
                    base.filter = match filter {
                        Some(filter) => Some(self.below(&filter, &base)?),
                        None => None,
                    };
                    return Ok(base);
                }
                RelKind::Aggregate(
                    Aggregate { over: Some(_), .. } | Aggregate { ends: Some(_), .. },
                )
                | RelKind::Join(Join { near: Some(Near { windows: true, .. }), .. })
                | RelKind::Join(Join { as_of: Some(_), .. }) => {
                    if !id.zone.is_utc() {
                        return self.fail(at, "results of windows over a TIMESTAMP_LTZ cannot be grouped by their windows once more with a 'table.local-time-zone' other than UTC; group by window_end alone, or by all that is wanted at first");
                    }
                    // The same windows once more: results of a window fall into one slice of it.
                    let Windows::Grid(own) = id.window else {
                        return self.fail(at, "the results of sessions cannot be grouped by their sessions once more; group by window_end alone, or by all that is wanted at first");
                    };
                    let (window, again) = match own {
                        Window::Hop { slide: step, offset, .. }
                        | Window::Cumulate { step, offset, .. } => {
                            (Window::Tumble { size: step, offset }, Some(own))
                        }
                        Window::Tumble { .. } => (own, None),
                    };
                    let window = Windows::Grid(window);
                    let column = |is: fn(&Role) -> bool| {
                        let column = rel.fields.iter().position(|f| is(&f.role))?;
                        Some(Expr::column(column, rel.fields[column].ty, Span::default()))
                    };
                    // Of a join either may be missing; a window's last time is before its end.
                    let time = column(|role| matches!(role, Role::WindowTime(_))).or_else(|| {
                        let end = column(|role| matches!(role, Role::WindowEnd(_)))?;
                        Some(moved(end, -1, Span::default()))
                    });
                    let Some(time) = time else {
                        return self.fail(at, NEEDS_WINDOW);
                    };
                    let width = rel.fields.len();
                    let partition = Vec::new();
                    let zone = id.zone;
                    let windowed = Some(Windowed { time, window, zone, partition, again });
                    return Ok(Base { rel, exprs, filter, windowed, width });
                }
                _ => return self.fail(at, NEEDS_WINDOW),
            };
            rel = below;
        }
    }

    /// An expression over FROM's columns as one over the base's.
    pub(super) fn onto(&mut self, expr: &Expr, base: &Base) -> Result<Expr, Reported> {
        let expr = expr.substitute(&|i| base.exprs[i].clone());
        self.below(&expr, base)
    }

    /// Replaces the window's own columns, which do not exist below it.
    fn below(&mut self, expr: &Expr, base: &Base) -> Result<Expr, Reported> {
        let mut used = std::collections::BTreeSet::new();
        expr.columns(&mut used);
        let Some(bound) = used.iter().copied().find(|i| *i >= base.width) else {
            return Ok(expr.clone());
        };
        let Some(Windowed { time, window, zone, .. }) = &base.windowed else {
            return Ok(expr.clone());
        };
        let Windows::Grid(Window::Tumble { size, offset }) = *window else {
            let name = ["window_start", "window_end", "window_time"][(bound - base.width).min(2)];
            let (of, why) = match window {
                Windows::Grid(Window::Hop { .. }) => ("HOP", "a row is in several windows"),
                Windows::Grid(_) => ("CUMULATE", "a row is in several windows"),
                Windows::Session { .. } => ("SESSION", "it is not known before all rows are"),
            };
            return self.fail(expr.span, format!("{name} of {of} cannot be used before the aggregation, as {why}; filter with HAVING, or around the query"));
        };
        let start = window_start(time.clone(), size, offset);
        let mut last = moved(start.clone(), size - 1, Span::default());
        if !zone.is_utc() {
            last = self.keep(super::expr::cast_to(last, Kind::TimestampLtz(3), expr.span))?;
        }
        Ok(expr.substitute(&|i| {
            if i < base.width {
                return Expr::column(i, base.rel.fields[i].ty, Span::default());
            }
            match i - base.width {
                0 => start.clone(),
                1 => moved(start.clone(), size, Span::default()),
                _ => last.clone(),
            }
        }))
    }
}

/// The start of the window that ends there.
pub(super) fn start_of(window: Window, end: Expr, span: Span) -> Expr {
    match window {
        Window::Tumble { size, .. } | Window::Hop { size, .. } => moved(end, -size, span),
        Window::Cumulate { size, offset, .. } => window_start(moved(end, -1, span), size, offset),
    }
}

/// A time moved by a fixed number of milliseconds.
pub(crate) fn moved(time: Expr, ms: i64, span: Span) -> Expr {
    let ty = time.ty;
    map_time(time, format!("MOVE[{ms}]"), ty, span, move |t| t.saturating_add(ms))
}

/// The start of the tumbling window that a time falls into.
pub(crate) fn window_start(time: Expr, size: i64, offset: i64) -> Expr {
    let span = time.span;
    let ty = SqlType { kind: Kind::Timestamp(3), nullable: time.ty.nullable };
    map_time(time, format!("WINDOW_START[{size},{offset}]"), ty, span, move |t| {
        t - (t - offset).rem_euclid(size)
    })
}

fn map_time(
    time: Expr,
    name: String,
    ty: SqlType,
    span: Span,
    f: impl Fn(i64) -> i64 + Send + Sync + 'static,
) -> Expr {
    use arrow::array::AsArray;
    use arrow::datatypes::TimestampMillisecondType;
    let call = Call {
        name,
        args: vec![time],
        kind: ty.kind,
        kernel: Arc::new(move |args, _| {
            let times = args[0].values();
            let moved = times
                .as_primitive::<TimestampMillisecondType>()
                .unary::<_, TimestampMillisecondType>(&f);
            Ok(Col::of(Arc::new(moved.with_data_type(times.data_type().clone())), args))
        }),
        fallible: false,
        nondeterministic: None,
        style: Style::Function,
    };
    Expr::new(Node::Call(call), ty, span)
}
