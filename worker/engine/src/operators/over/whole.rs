//! Functions of all rows of a key, which are there together: frames that reach behind the current
//! row or go by a value, and places counted from the end.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, TimeUnit};

use super::sequence::{Sequence, Span};
use crate::OperatorError;

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// A frame whose rows are all there.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    /// Where it begins and ends, counted from the current row, backward below zero; `None` is the
    /// first or the last row.
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    pub(super) by: By,
}

/// What the distances of a frame count.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    Rows,
    /// There are none: the current row stands for all that are equal in the order.
    Equals,
    Values(Value),
}

/// A column that rows are sorted by, and by whose values distances count: its unit, milliseconds of
/// a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) column: usize,
    pub(super) descending: bool,
}

/// Values of one column as numbers of one unit, NULL where they are.
enum Numbers {
    Exact(Vec<Option<i128>>, i128),
    Float(Vec<Option<f64>>),
}

/// Whether distances between values of this type are known.
pub(super) fn has_distance(of: &DataType) -> bool {
    of.is_numeric() || matches!(of, DataType::Timestamp(..) | DataType::Date32)
}

fn numbers(column: &ArrayRef) -> Result<Numbers> {
    let unknown = || OperatorError::internal("a frame goes by values without distances");
    let exact = |column: &ArrayRef, unit: i128| -> Result<Numbers> {
        let values = cast(column, &DataType::Int64)?;
        let values = values.as_primitive_opt::<Int64Type>().ok_or_else(unknown)?;
        Ok(Numbers::Exact(values.iter().map(|v| v.map(i128::from)).collect(), unit))
    };
    match column.data_type() {
        DataType::Float32 | DataType::Float64 => {
            let values = cast(column, &DataType::Float64)?;
            let values = values.as_primitive_opt::<Float64Type>().ok_or_else(unknown)?;
            Ok(Numbers::Float(values.iter().collect()))
        }
        DataType::Decimal128(_, scale) => {
            let values = column.as_primitive_opt::<Decimal128Type>().ok_or_else(unknown)?;
            let unit = 10_i128.pow(u32::try_from(*scale).unwrap_or_default());
            Ok(Numbers::Exact(values.iter().collect(), unit))
        }
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Millisecond => exact(column, 1),
            TimeUnit::Microsecond => exact(column, 1_000),
            TimeUnit::Nanosecond => exact(column, 1_000_000),
            TimeUnit::Second => {
                let values = cast(column, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
                exact(&values, 1)
            }
        },
        DataType::Date32 => {
            let days = cast(column, &DataType::Int32)?;
            let Numbers::Exact(days, _) = exact(&days, 1)? else { return Err(unknown()) };
            let ms = days.into_iter().map(|day| day.map(|day| day * 86_400_000));
            Ok(Numbers::Exact(ms.collect(), 1))
        }
        of if of.is_integer() => exact(column, 1),
        _ => Err(unknown()),
    }
}

impl Numbers {
    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Exact(values, _) => values[row].is_none(),
            Self::Float(values) => values[row].is_none(),
        }
    }

    /// Whether a value is before another one moved by a distance, in the order of rows.
    fn is_before(&self, row: usize, of: usize, by: i64, descending: bool, inclusive: bool) -> bool {
        let by = if descending { -i128::from(by) } else { i128::from(by) };
        let order = match self {
            Self::Exact(values, unit) => {
                let edge = values[of].map(|value| value.saturating_add(by.saturating_mul(*unit)));
                values[row].cmp(&edge)
            }
            Self::Float(values) => {
                let value = |row: usize| values[row].unwrap_or_default();
                value(row).total_cmp(&(value(of) + by as f64))
            }
        };
        let order = if descending { order.reverse() } else { order };
        order.is_lt() || inclusive && order.is_eq()
    }
}

impl Whole {
    /// Per row the frame's first row and the one behind its last.
    pub(super) fn frames(&self, rows: &Sequence) -> Result<Vec<(usize, usize)>> {
        let mut frames = vec![(0, 0); rows.slots.len()];
        let numbers = match self.by {
            By::Values(by) => Some((numbers(rows.records.column(by.column))?, by.descending)),
            By::Rows | By::Equals => None,
        };
        for span in &rows.spans {
            // Rows without a value are all in front, or all behind.
            let all = span.start..span.end;
            let known: Vec<usize> = match &numbers {
                Some((numbers, _)) => all.filter(|&row| !numbers.is_null(row)).collect(),
                None => Vec::new(),
            };
            let leaving = frames.iter_mut().enumerate().take(span.end).skip(span.leaving);
            for (row, frame) in leaving {
                *frame = match &numbers {
                    None if matches!(self.by, By::Equals) => {
                        let (first, behind) = rows.equal[row];
                        let start = self.from.map_or(span.start, |_| first);
                        (start, self.to.map_or(span.end, |_| behind))
                    }
                    None => self.by_rows(span, row),
                    Some((numbers, descending)) => {
                        self.by_values(span, row, rows.equal[row], &known, numbers, *descending)
                    }
                };
            }
        }
        Ok(frames)
    }

    fn by_rows(&self, span: &Span, row: usize) -> (usize, usize) {
        let at = |by: i64| {
            let row = i64::try_from(row).unwrap_or(i64::MAX).saturating_add(by);
            usize::try_from(row).unwrap_or(0)
        };
        let start = self.from.map_or(span.start, |by| at(by).clamp(span.start, span.end));
        let end = self.to.map_or(span.end, |by| {
            // Before the first row there is nothing.
            at(by.saturating_add(1)).clamp(span.start, span.end)
        });
        (start, end.max(start))
    }

    fn by_values(
        &self,
        span: &Span,
        row: usize,
        (first, behind): (usize, usize),
        known: &[usize],
        numbers: &Numbers,
        descending: bool,
    ) -> (usize, usize) {
        if numbers.is_null(row) {
            // NULL is as far from NULL as anything is from itself.
            return (self.from.map_or(span.start, |_| first), self.to.map_or(span.end, |_| behind));
        }
        let from = known.first().copied().unwrap_or(span.start);
        let place = |by: i64, inclusive: bool| {
            from + known
                .partition_point(|&other| numbers.is_before(other, row, by, descending, inclusive))
        };
        let start = self.from.map_or(span.start, |by| place(by, false));
        let end = self.to.map_or(span.end, |by| place(by, true));
        (start, end.max(start))
    }
}

/// Per row that leaves a number, given its place among those of its key and their number.
fn of_places<T>(rows: &Sequence, of: impl Fn(usize, usize, (usize, usize)) -> T) -> Vec<T> {
    let mut found = Vec::with_capacity(rows.len());
    for span in &rows.spans {
        let all = span.end - span.leaving;
        for row in span.leaving..span.end {
            let (first, behind) = rows.equal[row];
            let peers = (first - span.leaving, behind - span.leaving);
            found.push(of(row - span.leaving, all, peers));
        }
    }
    found
}

/// Which of so many parts a row is in, the first being 1; the first ones are longer by a row where
/// they are not of one length.
pub(super) fn ntile(rows: &Sequence, parts: u32) -> ArrayRef {
    let parts = parts as usize;
    let part = |place: usize, all: usize, _| {
        let (length, longer) = (all / parts, all % parts);
        let part = match place.checked_sub(longer * (length + 1)) {
            None => place / (length + 1),
            Some(place) => longer + place / length.max(1),
        };
        i32::try_from(part + 1).unwrap_or(i32::MAX)
    };
    Arc::new(Int32Array::from(of_places(rows, part)))
}

/// How many of the other rows are before a row and those that are equal to it, as a part of all.
pub(super) fn percent_rank(rows: &Sequence) -> ArrayRef {
    let rank = |_: usize, all: usize, (first, _): (usize, usize)| match all {
        0 | 1 => 0.0,
        all => first as f64 / (all - 1) as f64,
    };
    Arc::new(Float64Array::from(of_places(rows, rank)))
}

/// How many rows are not behind a row, as a part of all.
pub(super) fn cume_dist(rows: &Sequence) -> ArrayRef {
    let part = |_: usize, all: usize, (_, behind): (usize, usize)| behind as f64 / all as f64;
    Arc::new(Float64Array::from(of_places(rows, part)))
}
