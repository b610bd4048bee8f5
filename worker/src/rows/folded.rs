//! Rows as they are after every change so far.

use std::cmp::Ordering;
use std::collections::HashMap;

use weir_engine::RowKind;

/// Holes are filled up once there are so many, and more than rows.
const HOLES: usize = 1_000;

/// A multiset of rows that remembers their order. A row that is replaced keeps its place.
#[derive(Default)]
pub(crate) struct Folded {
    /// In the order in which they came; none where one was taken back.
    rows: Vec<Option<Vec<String>>>,
    places: HashMap<Vec<String>, Vec<usize>>,
    holes: usize,
    /// Rows that are not kept.
    more: usize,
    /// Rows that were taken back before they came: subtasks do not wait for each other.
    owed: HashMap<Vec<String>, usize>,
}

impl Folded {
    /// Takes changes, of which at most so many rows are kept.
    pub(crate) fn take(&mut self, rows: Vec<Vec<String>>, kinds: Option<&[RowKind]>, most: usize) {
        // Where a row was that the next one replaces.
        let mut free = None;
        for (at, row) in rows.into_iter().enumerate() {
            match kinds.map_or(RowKind::Insert, |kinds| kinds[at]) {
                kind @ (RowKind::Insert | RowKind::UpdateAfter) => {
                    let place = free.take().filter(|_| kind == RowKind::UpdateAfter);
                    match place {
                        _ if self.is_owed(&row) => {}
                        Some(place) => self.put(place, row),
                        None if self.len() >= most => self.more += 1,
                        None => self.add(row),
                    }
                }
                kind @ (RowKind::Delete | RowKind::UpdateBefore) => {
                    let place = self.remove(&row);
                    free = place.filter(|_| kind == RowKind::UpdateBefore);
                    if place.is_none() && self.more > 0 {
                        self.more -= 1;
                    } else if place.is_none() {
                        *self.owed.entry(row).or_default() += 1;
                    }
                }
            }
        }
        if self.holes > HOLES.max(self.len()) {
            self.close_up();
        }
    }

    /// Whether a row that comes was taken back before; settles it.
    fn is_owed(&mut self, row: &[String]) -> bool {
        let Some(count) = self.owed.get_mut(row) else { return false };
        *count -= 1;
        if *count == 0 {
            self.owed.remove(row);
        }
        true
    }

    /// How many rows there are beside those that are kept.
    pub(crate) fn more(&self) -> usize {
        self.more
    }

    /// How many rows are kept.
    pub(crate) fn len(&self) -> usize {
        self.rows.len() - self.holes
    }

    /// The rows, in the order in which they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Vec<String>> {
        self.rows.iter().flatten()
    }

    pub(crate) fn add(&mut self, row: Vec<String>) {
        self.places.entry(row.clone()).or_default().push(self.rows.len());
        self.rows.push(Some(row));
    }

    /// Takes a row away; where it was.
    pub(crate) fn remove(&mut self, row: &[String]) -> Option<usize> {
        let places = self.places.get_mut(row)?;
        let place = places.pop()?;
        if places.is_empty() {
            self.places.remove(row);
        }
        self.rows[place] = None;
        self.holes += 1;
        Some(place)
    }

    /// Puts a row where one was taken away.
    fn put(&mut self, place: usize, row: Vec<String>) {
        self.places.entry(row.clone()).or_default().push(place);
        self.rows[place] = Some(row);
        self.holes -= 1;
    }

    fn close_up(&mut self) {
        self.rows.retain(Option::is_some);
        self.holes = 0;
        self.places.clear();
        for (place, row) in self.rows.iter().flatten().enumerate() {
            self.places.entry(row.clone()).or_default().push(place);
        }
    }
}

/// Numbers by value, everything else by text.
pub(crate) fn in_order(a: &[String], b: &[String]) -> Ordering {
    let each = a.iter().zip(b).map(|(a, b)| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    });
    each.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use RowKind::{Delete, Insert, UpdateAfter, UpdateBefore};

    fn rows(texts: &[&str]) -> Vec<Vec<String>> {
        texts.iter().map(|text| vec![(*text).to_owned()]).collect()
    }

    fn left(folded: &Folded) -> Vec<&str> {
        folded.iter().map(|row| row[0].as_str()).collect()
    }

    #[test]
    fn a_row_that_is_replaced_keeps_its_place_and_one_that_goes_leaves_none() {
        let mut folded = Folded::default();
        folded.take(rows(&["a1", "b1", "c1", "b1"]), None, 10);
        folded.take(rows(&["a1", "a2"]), Some(&[UpdateBefore, UpdateAfter]), 10);
        assert_eq!(left(&folded), ["a2", "b1", "c1", "b1"]);
        folded.take(rows(&["b1", "d1"]), Some(&[Delete, Insert]), 10);
        assert_eq!(left(&folded), ["a2", "b1", "c1", "d1"]);
        assert_eq!(folded.len(), 4);
    }

    #[test]
    fn what_is_not_kept_is_counted() {
        let mut folded = Folded::default();
        folded.take(rows(&["a", "b", "c", "d"]), None, 2);
        assert_eq!(folded.more(), 2);
        folded.take(rows(&["d"]), Some(&[Delete]), 2);
        assert_eq!((folded.more(), left(&folded)), (1, vec!["a", "b"]));
    }

    #[test]
    fn a_row_may_be_taken_back_before_it_comes() {
        let mut folded = Folded::default();
        folded.take(rows(&["a", "a"]), Some(&[Delete, Insert]), 2);
        assert_eq!(folded.len(), 0);
        folded.take(rows(&["a"]), None, 2);
        assert_eq!(left(&folded), ["a"]);
    }

    #[test]
    fn a_row_that_changes_for_ever_takes_no_more_room() {
        let mut folded = Folded::default();
        for n in 0..10_000 {
            folded.take(rows(&[&n.to_string()]), Some(&[Insert]), 10);
            folded.take(rows(&[&n.to_string()]), Some(&[Delete]), 10);
        }
        assert!(folded.rows.len() <= HOLES + 2 && folded.places.is_empty());
    }
}
