//! When rows become readable: bursts, one after the other.
//!
//! A burst can be read once every row of the bursts before it was read, and a pause has passed.
//! What was read is counted per term from the cut that the term began with: rows that a term has
//! to read again come again before what came after them. Within a burst, the watermark's delay
//! covers any order. So no row is ever found late because a split was idle, whatever fails, and
//! what every window must hold is known from the rows alone.
//!
//! For partitions that is not enough. The rows of one that was idle do not hold the watermark until
//! they reach the window: a peer that reads the next burst may overtake them in a channel, behind
//! an aligned barrier, or in a checkpoint that has the peer's rows and not theirs. Which rows are
//! late would be chance. So a burst into partitions waits for a published checkpoint of all rows
//! before it. Their number says that they are all there: none of a later burst can be among them.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use weir_protocol::Term;

/// What has arrived for a job to read.
pub struct Arrivals {
    /// Rows of each burst, and the pause before it.
    bursts: Vec<(u64, Duration)>,
    /// Whether a burst waits for the checkpoint of those before it.
    after_checkpoint: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    terms: BTreeMap<Term, Read>,
    deploying: Term,
    /// Rows that the newest checkpoint known to be published covers.
    published: u64,
}

/// What was read of all sources, as one term sees it.
struct Read {
    rows: u64,
    since: Instant,
}

impl Arrivals {
    pub(crate) fn new(bursts: Vec<(u64, Duration)>, after_checkpoint: bool) -> Self {
        Self { bursts, after_checkpoint, state: Mutex::default() }
    }

    /// Whether rows that wait could come once a newer checkpoint is known.
    pub(crate) fn wants_checkpoint(&self) -> bool {
        let state = self.state.lock();
        let read = state.terms.values().map(|read| read.rows).max();
        self.after_checkpoint && read.is_some_and(|rows| rows > state.published)
    }

    /// A published checkpoint covers so many rows.
    pub(crate) fn note_published(&self, rows: u64) {
        let mut state = self.state.lock();
        state.published = state.published.max(rows);
    }

    /// Tasks of a term are about to be built; readers made from now on are this term's.
    pub(crate) fn deploying(&self, term: Term) {
        self.state.lock().deploying = term;
    }

    /// Whether it is still unknown how many rows a term's cut covers.
    pub(crate) fn is_new(&self, term: Term) -> bool {
        !self.state.lock().terms.contains_key(&term)
    }

    /// The term goes on behind so many rows.
    pub(crate) fn begin(&self, term: Term, rows: u64) {
        let read = Read { rows, since: Instant::now() };
        self.state.lock().terms.entry(term).or_insert(read);
    }

    /// The term whose tasks were built last.
    pub(crate) fn term(&self) -> Term {
        self.state.lock().deploying
    }

    /// The newest term whose cut is known.
    pub(crate) fn newest(&self) -> Term {
        self.state.lock().terms.last_key_value().map_or(Term(0), |(term, _)| *term)
    }

    /// A reader of the term has given rows to its task.
    pub(crate) fn read(&self, term: Term, rows: u64) {
        if let Some(read) = self.state.lock().terms.get_mut(&term) {
            read.rows += rows;
            read.since = Instant::now();
        }
    }

    /// Whether a burst's rows can be read in a term.
    pub(crate) fn is_there(&self, term: Term, burst: usize) -> bool {
        let before: u64 = self.bursts.iter().take(burst).map(|(rows, _)| rows).sum();
        let pause = self.bursts.get(burst).map_or(Duration::ZERO, |(_, pause)| *pause);
        let state = self.state.lock();
        if self.after_checkpoint && state.published < before {
            return false;
        }
        let Some(read) = state.terms.get(&term) else { return before == 0 && pause.is_zero() };
        read.rows > before || (read.rows == before && read.since.elapsed() >= pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_term_that_reads_again_finds_bursts_in_order_again() {
        let pause = Duration::from_millis(50);
        let arrivals = Arrivals::new(vec![(10, Duration::ZERO), (5, pause), (5, pause)], false);
        arrivals.begin(Term(1), 0);
        let there = |term| (0..3).filter(|&burst| arrivals.is_there(Term(term), burst)).count();
        assert_eq!(there(1), 1);
        arrivals.read(Term(1), 10);
        assert_eq!(there(1), 1);
        tokio::time::advance(pause).await;
        assert_eq!(there(1), 2);
        arrivals.read(Term(1), 5);
        arrivals.begin(Term(2), 9);
        tokio::time::advance(pause).await;
        assert_eq!((there(1), there(2)), (3, 1));
        arrivals.read(Term(2), 1);
        tokio::time::advance(pause).await;
        assert_eq!(there(2), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_waits_for_the_checkpoint_of_those_before_it() {
        let arrivals = Arrivals::new(vec![(10, Duration::ZERO), (5, Duration::ZERO)], true);
        arrivals.begin(Term(1), 0);
        assert!(arrivals.is_there(Term(1), 0));
        arrivals.read(Term(1), 10);
        assert!(arrivals.wants_checkpoint());
        arrivals.note_published(9);
        assert!(!arrivals.is_there(Term(1), 1));
        arrivals.note_published(10);
        assert!(arrivals.is_there(Term(1), 1) && !arrivals.wants_checkpoint());
    }
}
