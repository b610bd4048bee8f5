//! Windows by definition: all rows at once.

use std::collections::BTreeMap;

use arrow::array::TimestampMillisecondArray;

pub(super) use crate::aggregate::testing::*;
use crate::operators::window::spec::{Window, WindowAggregate};

use super::run::Event;

pub(super) const GROUPS: u32 = 24;

pub(super) fn windows_of(window: Window, ts: i64) -> Vec<(i64, i64)> {
    let (size, slide, offset) = match window {
        Window::Tumble { size, offset } => (size, size, offset),
        Window::Hop { size, slide, offset } => (size, slide, offset),
        Window::Cumulate { size, step, offset } => {
            let start = (ts - offset).div_euclid(size) * size + offset;
            let ends = (1..=size / step).map(|n| start + n * step);
            return ends.filter(|end| *end > ts).map(|end| (start, end)).collect();
        }
    };
    let first = (ts - size - offset).div_euclid(slide);
    (first..)
        .map(|n| n * slide + offset)
        .skip_while(|start| start + size <= ts)
        .take_while(|&start| start <= ts)
        .map(|start| (start, start + size))
        .collect()
}

/// What must come out, whatever the batches, barriers and kills: the rows decide.
pub(super) fn model(
    spec: &WindowAggregate,
    sources: usize,
    events: &[Event],
) -> (Vec<Vec<String>>, u64) {
    let mut watermarks = vec![i64::MIN; sources];
    let mut cells: BTreeMap<(Vec<String>, i64, i64), Vec<&Row>> = BTreeMap::new();
    let mut late = 0;
    for event in events {
        match event {
            Event::Watermark(source, mark) => {
                watermarks[*source] = watermarks[*source].max(*mark);
            }
            Event::Data(source, rows) => {
                for row in rows {
                    let mark = watermarks[*source];
                    let all = windows_of(spec.window, row.ts);
                    let open: Vec<_> =
                        all.into_iter().filter(|w| row.ts >= mark || w.1 > mark).collect();
                    late += u64::from(open.is_empty());
                    for (start, end) in open {
                        cells.entry((key_of(row, &spec.keys), start, end)).or_default().push(row);
                    }
                }
            }
            _ => {}
        }
    }
    let mut results: Vec<Vec<String>> = cells
        .into_iter()
        .map(|((mut columns, start, end), rows)| {
            columns.extend(expected(&rows));
            let time = |ms| show::<TimestampMillisecondArray, _>(Some(ms));
            columns.extend([time(start), time(end), time(end - 1)]);
            columns
        })
        .collect();
    results.sort();
    (results, late)
}

pub(super) fn spec(window: Window, keys: &[&str]) -> WindowAggregate {
    let input = schema();
    WindowAggregate {
        time: 0,
        window,
        keys: keys.iter().map(|k| input.index_of(k).unwrap()).collect(),
        aggregates: aggregates(),
        input,
    }
}
