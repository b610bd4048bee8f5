//! Slices: the stretches of time that windows are merged from.
//!
//! A window `[end − size, end)` consists of `size / slide` slices `[slice_end − slide,
//! slice_end)`. A row that came behind its own split's watermark may count in some windows of
//! its slice and no longer in others; such rows live apart, under the end of the first window
//! that they count in: `visible_from`.

use super::spec::Window;
use crate::{EventTime, OperatorError};

/// The grid of slices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slices {
    size: i64,
    slide: i64,
    offset: i64,
    /// Windows begin where the longest does, instead of `size` before their end.
    cumulates: bool,
}

/// Where partial results are kept: a slice, and the first window they count in. Ordered by
/// `visible_from` first, which is the order in which they are needed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct SliceId {
    pub(super) visible_from: EventTime,
    pub(super) end: EventTime,
}

impl Slices {
    pub(super) fn new(window: Window) -> Result<Self, OperatorError> {
        let (size, slide, offset, cumulates) = match window {
            Window::Tumble { size, offset } => (size, size, offset, false),
            Window::Hop { size, slide, offset } => (size, slide, offset, false),
            Window::Cumulate { size, step, offset } => (size, step, offset, true),
        };
        if size <= 0 || slide <= 0 || size % slide != 0 {
            return Err(OperatorError::user(format!(
                "a window of {size} ms that starts every {slide} ms cannot be cut into slices: \
                 use a positive size that is a multiple of the slide"
            )));
        }
        let grid = if cumulates { size } else { slide };
        Ok(Self { size, slide, offset: offset.rem_euclid(grid), cumulates })
    }

    /// Start of the window that ends at `end`.
    pub(super) fn window_start(&self, end: EventTime) -> EventTime {
        if self.cumulates { self.cycle(end) } else { end.saturating_sub(self.size) }
    }

    /// Start of the longest of the windows that begin together, of which one ends at `end`.
    fn cycle(&self, end: EventTime) -> EventTime {
        let from_grid = i128::from(end) - 1 - i128::from(self.offset);
        let size = i128::from(self.size);
        let start = from_grid.div_euclid(size) * size + i128::from(self.offset);
        start.clamp(i128::from(EventTime::MIN), i128::from(EventTime::MAX)) as EventTime
    }

    /// Start of the slice that ends at `end`.
    pub(super) fn slice_start(&self, end: EventTime) -> EventTime {
        end.saturating_sub(self.slide)
    }

    /// End of the slice that holds `time`.
    pub(super) fn end_of(&self, time: EventTime) -> EventTime {
        let from_grid = i128::from(time) - i128::from(self.offset);
        let end = (from_grid.div_euclid(i128::from(self.slide)) + 1) * i128::from(self.slide)
            + i128::from(self.offset);
        end.clamp(i128::from(EventTime::MIN), i128::from(EventTime::MAX)) as EventTime
    }

    /// Number of the first slice of the window that ends at `end`.
    pub(super) fn first_number(&self, end: EventTime) -> i64 {
        self.number(self.window_start(end)) + 1
    }

    /// Number of slices in a window, at most.
    pub(super) fn per_window(&self) -> i64 {
        self.size / self.slide
    }

    /// Number of the slice that ends at `end`; neighbours differ by one.
    pub(super) fn number(&self, end: EventTime) -> i64 {
        let from_grid = i128::from(end) - i128::from(self.offset);
        from_grid.div_euclid(i128::from(self.slide)) as i64
    }

    /// End of the slice with this number.
    pub(super) fn end_of_number(&self, number: i64) -> EventTime {
        number.saturating_mul(self.slide).saturating_add(self.offset)
    }

    /// End of the last window that holds the slice.
    pub(super) fn last_window(&self, slice_end: EventTime) -> EventTime {
        if self.cumulates {
            self.cycle(slice_end).saturating_add(self.size)
        } else {
            slice_end.saturating_add(self.size - self.slide)
        }
    }

    /// The slice of a row that came when windows up to `done` were complete for it; `None` when
    /// all of its windows were.
    pub(super) fn behind(&self, end: EventTime, done: EventTime) -> Option<SliceId> {
        let visible_from = self.next_window(SliceId { visible_from: end, end }, done)?;
        Some(SliceId { visible_from, end })
    }

    /// End of the first window after `done` in which what is kept under `id` counts.
    pub(super) fn next_window(&self, id: SliceId, done: EventTime) -> Option<EventTime> {
        if id.visible_from > done {
            return Some(id.visible_from);
        }
        let steps =
            (i128::from(done) - i128::from(id.visible_from)).div_euclid(i128::from(self.slide)) + 1;
        let next = i128::from(id.visible_from) + steps * i128::from(self.slide);
        (next <= i128::from(self.last_window(id.end))).then_some(next as EventTime)
    }

    /// Whether what is kept under `id` counts in the window that ends at `window_end`.
    pub(super) fn counts_in(&self, id: SliceId, window_end: EventTime) -> bool {
        id.visible_from <= window_end
            && id.end <= window_end
            && id.end > self.window_start(window_end)
    }
}

impl SliceId {
    /// The id of rows that count in every window of their slice.
    pub(super) fn plain(end: EventTime) -> Self {
        Self { visible_from: end, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_belong_to_the_slice_that_they_open() {
        let slices = Slices::new(Window::Tumble { size: 10, offset: 0 }).unwrap();
        let ends = [-11, -10, -1, 0, 9, 10].map(|t| slices.end_of(t));
        assert_eq!(ends, [-10, 0, 0, 10, 10, 20]);
        let shifted = Slices::new(Window::Tumble { size: 10, offset: -3 }).unwrap();
        assert_eq!([-4, -3, 6, 7].map(|t| shifted.end_of(t)), [-3, 7, 7, 17]);
        assert_eq!(slices.end_of(i64::MAX), i64::MAX);
    }

    #[test]
    fn a_row_behind_counts_only_in_windows_that_were_open() {
        let slices = Slices::new(Window::Hop { size: 30, slide: 10, offset: 0 }).unwrap();
        let seen = |behind| slices.behind(10, behind).map(|id| id.visible_from);
        assert_eq!(seen(9), Some(10));
        assert_eq!(seen(10), Some(20));
        assert_eq!(seen(19), Some(20));
        assert_eq!(seen(29), Some(30));
        assert_eq!(seen(30), None);
        assert_eq!(seen(i64::MAX), None);
    }

    #[test]
    fn cumulating_windows_begin_together() {
        let slices = Slices::new(Window::Cumulate { size: 30, step: 10, offset: 5 }).unwrap();
        assert_eq!([15, 25, 35, 45].map(|end| slices.window_start(end)), [5, 5, 5, 35]);
        assert_eq!([15, 35, 45].map(|end| slices.last_window(end)), [35, 35, 65]);
        let counts = |end, window| slices.counts_in(SliceId::plain(end), window);
        assert_eq!([15, 25, 35, 45].map(|window| counts(25, window)), [false, true, true, false]);
        assert_eq!(slices.behind(15, 20).map(|id| id.visible_from), Some(25));
        assert_eq!(slices.behind(15, 35), None);
        assert_eq!(slices.first_number(35), slices.number(15));
    }

    #[test]
    fn a_size_that_is_no_multiple_of_the_slide_is_refused() {
        Slices::new(Window::Hop { size: 25, slide: 10, offset: 0 }).unwrap_err();
        Slices::new(Window::Tumble { size: 0, offset: 0 }).unwrap_err();
    }
}
