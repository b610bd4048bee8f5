//! Joins of rows that are near each other in event time, or in the same windows.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;

use super::{JoinKind, Rel, Role, equality};
use crate::expr::{Expr, Node, Style};
use crate::types::Kind;

/// How far apart in event time the rows of a pair may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Near {
    /// The event times: a column of the left side, and one of the right.
    pub(crate) left: usize,
    pub(crate) right: usize,
    /// Least and largest time of the right row less that of the left one, in milliseconds.
    pub(crate) within: [i64; 2],
    /// The times are the ends of the same windows.
    pub(crate) windows: bool,
}

/// A side's event time, moved by so many milliseconds.
struct Moved {
    column: usize,
    by: i64,
    /// Times are finer than a millisecond.
    fine: bool,
}

fn moved(expr: &Expr, is_time: &impl Fn(usize) -> bool) -> Option<Moved> {
    let kind = expr.kind();
    if let Some(column) = expr.as_column() {
        let fine = matches!(kind, Kind::Timestamp(p) | Kind::TimestampLtz(p) if p > 3);
        return is_time(column).then_some(Moved { column, by: 0, fine });
    }
    let Node::Call(call) = &*expr.node else { return None };
    match (call.name.as_str(), call.args.as_slice()) {
        (sign @ ("+" | "-"), [time, by]) if by.kind() == Kind::IntervalMillis => {
            let by = by.as_literal().filter(|by| by.is_valid(0))?;
            let by = by.as_primitive::<Int64Type>().value(0);
            let moved = moved(time, is_time)?;
            let by = if sign == "+" { by } else { by.checked_neg()? };
            Some(Moved { by: moved.by.checked_add(by)?, ..moved })
        }
        // To the other side's precision.
        (_, [time]) if call.style == Style::Hidden => {
            let alike = matches!(
                (kind, time.kind()),
                (Kind::Timestamp(_), Kind::Timestamp(_))
                    | (Kind::TimestampLtz(_), Kind::TimestampLtz(_))
            );
            moved(time, is_time).filter(|_| alike)
        }
        _ => None,
    }
}

/// How far apart the rows of a join's pairs may be, where it bounds that on both sides and rows
/// of either input only come.
pub(super) fn near(left: &Rel, right: &Rel, kind: JoinKind, on: &[Expr]) -> Option<Near> {
    if !kind.gives_pairs() || left.corrected_by().is_some() || right.corrected_by().is_some() {
        return None;
    }
    if let Some(near) = same_window(left, right, on) {
        return Some(near);
    }
    let width = left.fields.len();
    let is_time = |column: usize| {
        let field = match column.checked_sub(width) {
            None => left.fields.get(column),
            Some(column) => right.fields.get(column),
        };
        field.is_some_and(|field| field.role.is_rowtime())
    };
    let mut columns = None;
    let (mut least, mut most, mut fine) = (None::<i64>, None::<i64>, false);
    for on in on {
        let Node::Call(call) = &*on.node else { continue };
        let [a, b] = call.args.as_slice() else { continue };
        let (Some(a), Some(b)) = (moved(a, &is_time), moved(b, &is_time)) else { continue };
        // As a comparison of the left side's time with the right one's.
        let (left, right, turned) = match (a.column < width, b.column < width) {
            (true, false) => (a, b, false),
            (false, true) => (b, a, true),
            _ => continue,
        };
        let (is_least, is_most) = match (call.name.as_str(), turned) {
            ("<" | "<=", false) | (">" | ">=", true) => (true, false),
            (">" | ">=", false) | ("<" | "<=", true) => (false, true),
            ("=", _) => (true, true),
            _ => continue,
        };
        if *columns.get_or_insert((left.column, right.column)) != (left.column, right.column) {
            continue;
        }
        let apart = left.by.checked_sub(right.by)?;
        if is_least {
            least = Some(least.map_or(apart, |least| least.max(apart)));
        }
        if is_most {
            most = Some(most.map_or(apart, |most| most.min(apart)));
        }
        fine |= left.fine || right.fine;
    }
    let ((left, right), least, most) = (columns?, least?, most?);
    // Times are compared as they are; milliseconds alone may be one off.
    let more = i64::from(fine);
    let within = [least - more, most + more];
    Some(Near { left, right: right - width, within, windows: false })
}

/// Joins of rows of the same windows: both bounds of either side are equal.
fn same_window(left: &Rel, right: &Rel, on: &[Expr]) -> Option<Near> {
    let width = left.fields.len();
    let pairs: Vec<(usize, usize)> = on
        .iter()
        .filter_map(|on| {
            let equal = equality(on, width).filter(|equal| !equal.null_safe)?;
            Some((equal.left.as_column()?, equal.right.as_column()?))
        })
        .collect();
    pairs.iter().find_map(|&(l, r)| {
        let (Role::WindowEnd(a), Role::WindowEnd(b)) =
            (&left.fields[l].role, &right.fields[r].role)
        else {
            return None;
        };
        let begins = |&(l, r): &(usize, usize)| {
            let (l, r) = (&left.fields[l].role, &right.fields[r].role);
            *l == Role::WindowStart(a.clone()) && *r == Role::WindowStart(b.clone())
        };
        // Watermarks do not tell when a window of another clock has ended.
        let same =
            a.window == b.window && a.zone.is_utc() && b.zone.is_utc() && pairs.iter().any(begins);
        same.then_some(Near { left: l, right: r, within: [0, 0], windows: true })
    })
}
