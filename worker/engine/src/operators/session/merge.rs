//! Which rows and sessions become one session.

use crate::EventTime;

/// A session of a key: some that were stored, and rows of the batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Session {
    pub(super) start: EventTime,
    /// The last row's time and the gap.
    pub(super) end: EventTime,
    /// Stored ones that are part of it, by number.
    pub(super) stored: Vec<usize>,
    /// Rows of the batch.
    pub(super) rows: Vec<u32>,
}

/// The sessions of a key, in any order; no two of them touch that have not ended for all rows.
#[derive(Default, Debug)]
pub(super) struct Sessions(Vec<Session>);

impl Sessions {
    /// Adds one that is stored.
    pub(super) fn add_stored(&mut self, number: usize, start: EventTime, end: EventTime) {
        self.0.push(Session { start, end, stored: vec![number], rows: Vec::new() });
    }

    /// Adds a row; `false`: it is late, as its session would end at `done` or before.
    pub(super) fn add(&mut self, row: u32, time: EventTime, gap: i64, done: EventTime) -> bool {
        let (mut start, mut end) = (time, time.saturating_add(gap));
        // Sessions that only meet are one as well. None of the others touches another, so that
        // what the row touches is all there is to merge. One that has ended for this row is over,
        // whether it was given out already or not.
        let (from, to) = (start, end);
        let touches =
            |session: &Session| session.start <= to && from <= session.end && session.end > done;
        for session in self.0.iter().filter(|session| touches(session)) {
            start = start.min(session.start);
            end = end.max(session.end);
        }
        if end <= done {
            return false;
        }
        let (mut stored, mut rows) = (Vec::new(), Vec::new());
        self.0.retain_mut(|session| {
            let touches = touches(session);
            if touches {
                stored.append(&mut session.stored);
                rows.append(&mut session.rows);
            }
            !touches
        });
        rows.push(row);
        self.0.push(Session { start, end, stored, rows });
        true
    }

    /// Those that rows were added to.
    pub(super) fn changed(self) -> impl Iterator<Item = Session> {
        self.0.into_iter().filter(|session| !session.rows.is_empty())
    }
}
