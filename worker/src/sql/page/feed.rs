//! The rows of one statement for whoever looks at them: what is there after every change, and the
//! last changes. Nobody is waited for; who is slow gets the newest.
//!
//! Of rows that are there at most [`MOST`] are kept, of at most half of [`MOST_BYTES`]; of changes as
//! much. Rows that only come need not be known when they are not kept; of those that may be taken back
//! a mark stays, so that no row is shown that is not there.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;
use weir_connectors::print::{Console, Printed, cell};
use weir_engine::RowKind;
use weir_page::sql::view::{Cells, Change, KeyedRow, RowsUpdate};
use weir_page::words::grouped;
use weir_sql::session::Shown;

/// Rows that are kept, and as many changes.
pub(super) const MOST: usize = 1_000;
/// What rows and changes that are kept may take together.
pub(super) const MOST_BYTES: usize = 8 << 20;
/// Changes: rows that are not kept any more stand among them as well.
const LOGGED: usize = 2 * MOST;
/// Rows that may be taken back and are not kept.
const MARKED: usize = 1_000_000;
/// Bytes of a value that are shown.
const VALUE: usize = 2_000;

/// Which rows are kept of more than there is room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Keep {
    /// Those that came first: of a result that has an end.
    First,
    /// Those that came last.
    Newest,
}

/// The same for rows with the same values.
type Mark = (u64, u64);

/// See the module.
pub(super) struct Feed {
    /// What is known of a query; lines that are printed have one text each otherwise.
    shown: Option<Shown>,
    keep: Keep,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// By key, which counts up.
    rows: BTreeMap<u64, (Mark, Cells)>,
    bytes: usize,
    places: HashMap<Mark, Vec<u64>>,
    /// Of those that came first one had no place: none that comes later is kept, or there would be
    /// holes between them.
    is_closed: bool,
    /// Rows that are there and not kept.
    marked: HashMap<Mark, u32>,
    /// Rows that were taken back before they came: subtasks do not wait for each other.
    owed: HashMap<Mark, u32>,
    /// Changes with their numbers.
    log: VecDeque<(u64, Change)>,
    log_bytes: usize,
    /// Of the changes up to this number, some of rows that are kept, or were, are not in the log: who
    /// knows of none later has to begin anew.
    forgotten: u64,
    /// Of the changes up to this number, some are not in the log, maybe only of rows that were never
    /// kept.
    missing: u64,
    number: u64,
    next_key: u64,
    there: u64,
    changes: u64,
}

/// How many rows there are.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) changes: u64,
    pub(super) there: u64,
    pub(super) kept: usize,
}

impl Feed {
    /// Of the rows of a query.
    pub(super) fn of_query(shown: &Shown, keep: Keep) -> Self {
        Self { shown: Some(shown.clone()), keep, inner: Mutex::default() }
    }

    /// Of lines that are printed.
    pub(super) fn of_lines() -> Self {
        Self { shown: None, keep: Keep::Newest, inner: Mutex::default() }
    }

    /// Takes rows of texts that are there already.
    pub(super) fn texts(&self, rows: &[Vec<Option<String>>]) {
        let mut inner = self.inner.lock();
        for row in rows {
            inner.append(marked(row.clone()), self.keep);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let inner = self.inner.lock();
        Counts { changes: inner.changes, there: inner.there, kept: inner.rows.len() }
    }

    /// What has happened since a change with this number, or all that is kept; and the number of the
    /// last change. Nothing where nothing has happened.
    pub(super) fn since(&self, number: Option<u64>) -> Option<(RowsUpdate, u64)> {
        let inner = self.inner.lock();
        let last = inner.number;
        if number.map_or(last == 0, |number| number == last) {
            return None;
        }
        let known = number.filter(|number| *number >= inner.forgotten);
        // Whoever has nothing yet misses nothing.
        let missed = number.is_some_and(|number| number < inner.missing);
        let reset = known.is_none().then(|| {
            let row = |(key, (_, cells)): (&u64, &(Mark, Cells))| KeyedRow {
                key: *key,
                row: cells.clone(),
            };
            inner.rows.iter().map(row).collect()
        });
        let news = inner.log.partition_point(|(number, _)| known.is_some_and(|k| *number <= k));
        // Nobody shows more of the others.
        let shown = inner.log.len().saturating_sub(MOST);
        let changes = inner.log.iter().enumerate().skip(news);
        let changes = changes
            .filter(|(at, (_, change))| *at >= shown || known.is_some() && change.key.is_some());
        let changes = changes.map(|(_, (_, change))| change.clone()).collect();
        Some((RowsUpdate { statement: 0, reset, missed, changes }, last))
    }
}

impl Console for Feed {
    fn rows(&self, printed: &Printed<'_>) -> Result<(), String> {
        let Some(shown) = &self.shown else {
            let lines = String::from_utf8_lossy(printed.lines);
            let lines: Vec<&str> = lines.lines().collect();
            let mut inner = self.inner.lock();
            inner.pass(lines.len().saturating_sub(MOST));
            for line in &lines[lines.len().saturating_sub(MOST)..] {
                inner.append(marked(vec![Some((*line).to_owned())]), self.keep);
            }
            return Ok(());
        };
        let records = shown.on_the_clock(printed.records);
        let row = |at: usize| {
            marked(records.columns().iter().map(|column| cell(column.as_ref(), at)).collect())
        };
        let rows = records.num_rows();
        let mut inner = self.inner.lock();
        if !shown.is_corrected {
            // Of rows that only come those are read that will be looked at.
            let tail = rows.saturating_sub(MOST);
            let room = match self.keep {
                Keep::First => MOST.saturating_sub(inner.rows.len()).min(tail),
                Keep::Newest => 0,
            };
            let mut read = 0;
            while read < room && !inner.is_closed {
                inner.append(row(read), self.keep);
                read += 1;
            }
            inner.pass(tail - read);
            (tail..rows).for_each(|at| inner.append(row(at), self.keep));
            return Ok(());
        }
        // Where a row was that the next one replaces.
        let mut free = None;
        for at in 0..rows {
            let kind = printed.kinds.map_or(RowKind::Insert, |kinds| kinds[at]);
            free = inner.take(kind, row(at), free, self.keep);
        }
        if inner.marked.len() + inner.owed.len() > MARKED {
            return Err(format!(
                "more than {} rows that may still change are too many to be kept in mind for a page; write them with INSERT INTO",
                grouped(MARKED as u64)
            ));
        }
        Ok(())
    }
}

impl Inner {
    /// A row that comes and is never taken back.
    fn append(&mut self, (mark, cells): (Mark, Cells), keep: Keep) {
        self.there += 1;
        let size = size(&cells);
        while self.is_full(size) {
            match (keep, self.rows.pop_first()) {
                (Keep::Newest, Some((key, (_, old)))) => self.left(key, &old),
                (_, first) => {
                    self.rows.extend(first);
                    self.is_closed = true;
                    return self.note("+I", None, cells);
                }
            }
        }
        let key = self.key();
        self.bytes += size;
        self.rows.insert(key, (mark, cells.clone()));
        self.note("+I", Some(key), cells);
    }

    /// Rows that nobody will look at. More than are shown of changes follow them.
    fn pass(&mut self, rows: usize) {
        self.there += rows as u64;
        self.changes += rows as u64;
        self.number += rows as u64;
        if rows > 0 {
            self.missing = self.number;
        }
    }

    /// Whether a row of this size has no place beside those that are kept. One has always.
    fn is_full(&self, size: usize) -> bool {
        let is_large = self.bytes + size > MOST_BYTES / 2;
        self.is_closed || self.rows.len() >= MOST || is_large && !self.rows.is_empty()
    }

    /// A row is not kept any more, and still there.
    fn left(&mut self, key: u64, cells: &Cells) {
        self.bytes -= size(cells);
        self.log("x", Some(key), Cells(Arc::from([])));
    }

    /// A change, which may fill the place that the one before has left `free`; the place that it
    /// leaves free itself.
    fn take(
        &mut self,
        kind: RowKind,
        (mark, cells): (Mark, Cells),
        free: Option<u64>,
        keep: Keep,
    ) -> Option<u64> {
        let op = kind.short();
        match kind {
            RowKind::Insert | RowKind::UpdateAfter => {
                let place = free.filter(|_| kind == RowKind::UpdateAfter);
                let key = match settle(&mut self.owed, mark) {
                    true => None,
                    false => {
                        self.there += 1;
                        self.place(mark, &cells, place, keep)
                    }
                };
                self.note(op, key, cells);
                None
            }
            RowKind::Delete | RowKind::UpdateBefore => {
                let key = self.places.get_mut(&mark).and_then(Vec::pop);
                if let Some(key) = key {
                    if let Some((_, cells)) = self.rows.remove(&key) {
                        self.bytes -= size(&cells);
                    }
                    self.tidy(mark);
                }
                if key.is_some() || settle(&mut self.marked, mark) {
                    self.there -= 1;
                } else {
                    *self.owed.entry(mark).or_default() += 1;
                }
                self.note(op, key, cells);
                key.filter(|_| kind == RowKind::UpdateBefore)
            }
        }
    }

    /// Keeps a row, or a mark of it; its key where it is kept.
    fn place(&mut self, mark: Mark, cells: &Cells, place: Option<u64>, keep: Keep) -> Option<u64> {
        let size = size(cells);
        while self.is_full(size) {
            match (keep, self.rows.pop_first()) {
                (Keep::Newest, Some((key, (old, cells)))) => {
                    if let Some(places) = self.places.get_mut(&old) {
                        places.retain(|place| *place != key);
                    }
                    self.tidy(old);
                    *self.marked.entry(old).or_default() += 1;
                    self.left(key, &cells);
                }
                (_, first) => {
                    self.rows.extend(first);
                    *self.marked.entry(mark).or_default() += 1;
                    return None;
                }
            }
        }
        let key = place.unwrap_or_else(|| self.key());
        self.bytes += size;
        self.places.entry(mark).or_default().push(key);
        self.rows.insert(key, (mark, cells.clone()));
        Some(key)
    }

    fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }

    fn tidy(&mut self, mark: Mark) {
        if self.places.get(&mark).is_some_and(Vec::is_empty) {
            self.places.remove(&mark);
        }
    }

    fn note(&mut self, op: &'static str, key: Option<u64>, row: Cells) {
        self.changes += 1;
        self.log(op, key, row);
    }

    fn log(&mut self, op: &'static str, key: Option<u64>, row: Cells) {
        self.number += 1;
        self.log_bytes += size(&row);
        self.log.push_back((self.number, Change { op, key, row }));
        while self.log.len() > LOGGED || self.log_bytes > MOST_BYTES / 2 && self.log.len() > 1 {
            let Some((number, change)) = self.log.pop_front() else { return };
            self.log_bytes -= size(&change.row);
            self.missing = self.missing.max(number);
            if change.key.is_some() {
                self.forgotten = number;
            }
        }
    }
}

/// Memory of a row, about.
fn size(cells: &Cells) -> usize {
    let values = cells.0.iter().map(|value| value.as_ref().map_or(0, String::len));
    64 + cells.0.len() * size_of::<Option<String>>() + values.sum::<usize>()
}

/// Takes one away where there is one.
fn settle(counts: &mut HashMap<Mark, u32>, mark: Mark) -> bool {
    let Some(count) = counts.get_mut(&mark) else { return false };
    *count -= 1;
    if *count == 0 {
        counts.remove(&mark);
    }
    true
}

/// A row as it is shown, and the mark of all of it.
fn marked(row: Vec<Option<String>>) -> (Mark, Cells) {
    let mut hashers = [DefaultHasher::new(), DefaultHasher::new()];
    for (salt, hasher) in hashers.iter_mut().enumerate() {
        (salt, &row).hash(hasher);
    }
    let cut = |text: String| match text.len() > VALUE {
        true => format!("{}…", &text[..text.floor_char_boundary(VALUE)]),
        false => text,
    };
    let cells: Vec<Option<String>> = row.into_iter().map(|value| value.map(cut)).collect();
    ((hashers[0].finish(), hashers[1].finish()), Cells(Arc::from(cells)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use RowKind::{Delete, Insert, UpdateAfter, UpdateBefore};

    fn row(text: &str) -> (Mark, Cells) {
        marked(vec![Some(text.to_owned()), None])
    }

    /// Changes of a live query, in one batch.
    fn take(inner: &mut Inner, keep: Keep, changes: &[(RowKind, &str)]) {
        let mut free = None;
        for (kind, text) in changes {
            free = inner.take(*kind, row(text), free, keep);
        }
    }

    fn texts(inner: &Inner) -> Vec<(u64, &str)> {
        let rows = inner.rows.iter();
        rows.map(|(key, (_, cells))| (*key, cells.0[0].as_deref().unwrap_or_default())).collect()
    }

    #[test]
    fn a_row_that_replaces_another_has_its_key_and_place() {
        let mut inner = Inner::default();
        take(&mut inner, Keep::Newest, &[(Insert, "a1"), (Insert, "b1"), (Insert, "b1")]);
        take(&mut inner, Keep::Newest, &[(UpdateBefore, "a1"), (UpdateAfter, "a2")]);
        assert_eq!(texts(&inner), [(1, "a2"), (2, "b1"), (3, "b1")]);
        take(&mut inner, Keep::Newest, &[(Delete, "b1")]);
        assert_eq!((texts(&inner), inner.there), (vec![(1, "a2"), (2, "b1")], 2));
        let ops: Vec<_> = inner.log.iter().map(|(_, c)| (c.op, c.key)).collect();
        assert_eq!(ops[3..], [("-U", Some(1)), ("+U", Some(1)), ("-D", Some(3))]);
    }

    #[test]
    fn a_row_that_is_not_there_is_never_shown() {
        for keep in [Keep::First, Keep::Newest] {
            let mut inner = Inner::default();
            let names: Vec<String> = (0..MOST + 2).map(|n| n.to_string()).collect();
            let all: Vec<_> = names.iter().map(|name| (Insert, name.as_str())).collect();
            take(&mut inner, keep, &all);
            assert_eq!((inner.rows.len(), inner.there), (MOST, MOST as u64 + 2));
            // One is taken back that is not kept, and one before it comes.
            let hidden = if keep == Keep::First { names[MOST + 1].as_str() } else { "0" };
            take(&mut inner, keep, &[(Delete, hidden), (Delete, "early"), (Insert, "early")]);
            assert_eq!((inner.rows.len(), inner.there), (MOST, MOST as u64 + 1));
            assert!(texts(&inner).iter().all(|(_, text)| *text != "early" && *text != hidden));
            assert!(inner.owed.is_empty());
        }
    }

    #[test]
    fn who_is_behind_by_more_than_is_kept_begins_anew() {
        let feed = Feed::of_lines();
        assert!(feed.since(None).is_none());
        feed.texts(&[vec![Some("a".into())]]);
        let (first, number) = feed.since(None).unwrap();
        assert_eq!((first.reset.unwrap().len(), first.changes.len()), (1, 1));
        assert!(feed.since(Some(number)).is_none());
        feed.texts(&[vec![Some("b".into())]]);
        let (next, number) = feed.since(Some(number)).unwrap();
        assert!(next.reset.is_none() && next.changes.len() == 1 && next.changes[0].op == "+I");
        let many: Vec<_> = (0..3 * MOST).map(|n| vec![Some(n.to_string())]).collect();
        feed.texts(&many);
        let (all, _) = feed.since(Some(number)).unwrap();
        assert_eq!(all.reset.unwrap().len(), MOST);
        assert_eq!(feed.counts().there, 3 * MOST as u64 + 2);
    }

    #[test]
    fn rows_that_are_not_kept_do_not_send_those_again_that_are() {
        let feed = Feed { shown: None, keep: Keep::First, inner: Mutex::default() };
        // As of a large batch: what there is room for, those that nobody looks at, and the last ones.
        let batch = |from: usize, keep: usize, pass: usize| {
            let mut inner = feed.inner.lock();
            (from..from + keep).for_each(|n| inner.append(row(&n.to_string()), Keep::First));
            inner.pass(pass);
            let last = from + keep + pass;
            (last..last + MOST).for_each(|n| inner.append(row(&n.to_string()), Keep::First));
        };
        batch(0, MOST, 5_000);
        let (first, number) = feed.since(None).unwrap();
        assert_eq!((first.reset.map(|rows| rows.len()), first.changes.len()), (Some(MOST), MOST));
        batch(7_000, 0, 5_000);
        let (next, later) = feed.since(Some(number)).unwrap();
        assert!(next.reset.is_none(), "the rows are the same");
        assert!(next.missed, "there were more changes than are kept");
        assert!(next.changes.len() == MOST && next.changes.iter().all(|c| c.key.is_none()));
        assert_eq!(next.changes[MOST - 1].row.0[0].as_deref(), Some("12999"));
        // Few enough: nothing is missed.
        feed.inner.lock().append(row("one more"), Keep::First);
        let (one, _) = feed.since(Some(later)).unwrap();
        assert!(!one.missed && one.reset.is_none() && one.changes.len() == 1);
        let counts = feed.counts();
        assert_eq!((counts.there, counts.kept), (13_001, MOST));
    }

    #[test]
    fn rows_that_came_first_have_no_holes_between_them() {
        let mut inner = Inner::default();
        let large = |name: &str| marked(vec![Some(name.repeat(VALUE)); 1_500]);
        inner.append(row("a"), Keep::First);
        inner.append(large("b"), Keep::First);
        // It has no place, and what is small enough would stand where it is missing.
        inner.append(large("c"), Keep::First);
        inner.append(row("d"), Keep::First);
        assert_eq!((inner.rows.len(), inner.there, inner.changes), (2, 4, 4));
        assert!(inner.is_closed);
    }

    #[test]
    fn wide_rows_are_kept_as_far_as_there_are_bytes_for_them() {
        let wide = |n: usize| marked(vec![Some(format!("{n:0>1900}")); 50]);
        for keep in [Keep::First, Keep::Newest] {
            let (mut only_come, mut corrected) = (Inner::default(), Inner::default());
            for n in 0..200 {
                only_come.append(wide(n), keep);
                corrected.take(Insert, wide(n), None, keep);
            }
            // Each is taken back, whether it is kept or not, and one is replaced by a larger one.
            for inner in [&only_come, &corrected] {
                let kept: usize = inner.rows.values().map(|(_, cells)| size(cells)).sum();
                let logged: usize = inner.log.iter().map(|(_, change)| size(&change.row)).sum();
                assert_eq!((inner.bytes, inner.log_bytes), (kept, logged));
                assert!(kept <= MOST_BYTES / 2 && logged <= MOST_BYTES / 2, "{kept} {logged}");
                assert!((30..50).contains(&inner.rows.len()), "{}", inner.rows.len());
                assert_eq!(inner.there, 200);
            }
            let free = corrected.take(UpdateBefore, wide(199), None, keep);
            corrected.take(UpdateAfter, marked(vec![Some("y".repeat(1_999)); 1_000]), free, keep);
            assert!(corrected.bytes <= MOST_BYTES / 2 && !corrected.rows.is_empty());
            for n in 0..199 {
                corrected.take(Delete, wide(n), None, keep);
            }
            assert_eq!(corrected.there, 1);
            assert!(
                corrected.owed.is_empty() && corrected.rows.len() + corrected.marked.len() == 1
            );
        }
        // One is always shown, however large.
        let mut inner = Inner::default();
        inner.append(marked(vec![Some("y".repeat(1_999)); 5_000]), Keep::Newest);
        assert_eq!((inner.rows.len(), inner.log.len()), (1, 1));
    }
}
