//! Splits on their way from a reader back to the enumerator.
//!
//! What always holds: they are in every cut exactly once. The coordinator takes its part of a cut
//! when it sends the trigger, and messages to a worker keep their order; so a split is the task's
//! in every cut whose trigger comes before the word that it was taken back, and the enumerator's
//! in every later one.

use std::collections::VecDeque;

use crate::Watermark;
use crate::source::Split;

#[derive(Default)]
pub(crate) struct Returned {
    /// Not known to be taken back, in order.
    splits: VecDeque<Split>,
    /// How many of them, from the front, were sent.
    sent: usize,
    /// How many left the front.
    taken_back: u64,
}

impl Returned {
    pub(crate) fn push(&mut self, split: Split) {
        self.splits.push_back(split);
    }

    /// Those that the coordinator has not been told of.
    pub(crate) fn send(&mut self) -> Vec<Split> {
        let unsent = self.splits.iter().skip(self.sent).cloned().collect();
        self.sent = self.splits.len();
        unsent
    }

    /// The coordinator has taken so many back since the term began.
    pub(crate) fn taken_back(&mut self, count: u64) {
        while self.taken_back < count && self.splits.pop_front().is_some() {
            self.taken_back += 1;
            self.sent = self.sent.saturating_sub(1);
        }
    }

    /// Their positions are the task's to store.
    pub(crate) fn splits(&self) -> impl Iterator<Item = Split> + '_ {
        self.splits.iter().cloned()
    }

    /// Rows that are known to come hold the watermark.
    pub(crate) fn held(&self) -> Option<Watermark> {
        let owed = self.splits.iter().filter(|split| split.size > 0);
        owed.map(|split| split.watermark.map_or(Watermark::MIN, Watermark)).min()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn split(id: &str, size: u64, watermark: Option<i64>) -> Split {
        Split { id: id.into(), position: Bytes::new(), watermark, lower_bound: None, size }
    }

    fn ids(splits: impl IntoIterator<Item = Split>) -> Vec<String> {
        splits.into_iter().map(|split| split.id).collect()
    }

    #[test]
    fn a_split_is_the_tasks_until_it_is_known_to_be_taken_back() {
        let mut returned = Returned::default();
        returned.push(split("a", 0, None));
        assert_eq!(ids(returned.send()), ["a"]);
        assert_eq!(ids(returned.send()), [""; 0], "it is sent once");
        returned.push(split("b", 0, None));
        assert_eq!(ids(returned.splits()), ["a", "b"]);
        returned.taken_back(1);
        returned.taken_back(1);
        assert_eq!(ids(returned.splits()), ["b"], "the count is of all, not of new ones");
        assert_eq!(ids(returned.send()), ["b"]);
        returned.taken_back(2);
        assert_eq!(returned.splits().count(), 0);
    }

    #[test]
    fn what_is_owed_holds_the_watermark_on_the_way() {
        let mut returned = Returned::default();
        returned.push(split("read", 0, Some(1)));
        assert_eq!(returned.held(), None);
        returned.push(split("line without an end", 5, Some(7)));
        assert_eq!(returned.held(), Some(Watermark(7)));
        returned.push(split("no row yet", 5, None));
        assert_eq!(returned.held(), Some(Watermark::MIN));
        returned.taken_back(3);
        assert_eq!(returned.held(), None);
    }
}
