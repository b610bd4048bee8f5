//! What was answered when this process asked or wrote, for as long as that may be relied on. The
//! next round observes it like everything else, so that a decision rests on facts alone.
//!
//! - **Always**: losing an answer loses nothing: it is asked for again, or the write is made again.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::decide::{NotBegun, POLL, PlanCheck};
use crate::validate::Refusal;

/// A check of a program is asked for again after this time: what it refers to may have changed.
const CHECK_HOLDS: Duration = Duration::from_secs(60);
/// A write that was refused is made again after this time: what forbids it may have changed.
const REFUSAL_HOLDS: Duration = POLL;
/// Answers of one kind that are remembered.
const MOST: usize = 10_000;

/// What the cluster did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusedWrite {
    /// What the spec makes of the job itself or of its pods.
    Spec(Refusal),
    /// Another object that the job needs.
    Child(Refusal),
}

/// The newest answers.
#[derive(Debug, Default)]
pub struct Answers {
    checks: Remembered<PlanCheck>,
    refused: Remembered<RefusedWrite>,
    begun: Remembered<NotBegun>,
}

impl Answers {
    /// What was said about the program of a job's revision.
    #[must_use]
    pub fn check(&self, uid: &str, revision: &str, now: Duration) -> PlanCheck {
        let known = self.checks.get(&format!("{uid}/{revision}"), now, CHECK_HOLDS);
        known.unwrap_or(PlanCheck::Unknown)
    }

    /// This was said about the program of a job's revision.
    pub fn remember_check(&self, uid: &str, revision: &str, check: PlanCheck, now: Duration) {
        self.checks.put(format!("{uid}/{revision}"), check, now);
    }

    /// What the cluster did not take of the last writes for this generation of a job.
    #[must_use]
    pub fn refused(&self, uid: &str, generation: i64, now: Duration) -> Option<RefusedWrite> {
        self.refused.get(&format!("{uid}/{generation}"), now, REFUSAL_HOLDS)
    }

    /// The cluster did not take this. True when nothing was known to be refused.
    pub fn remember_refused(
        &self,
        uid: &str,
        generation: i64,
        refused: RefusedWrite,
        now: Duration,
    ) -> bool {
        let news = self.refused(uid, generation, now).is_none();
        self.refused.put(format!("{uid}/{generation}"), refused, now);
        news
    }

    /// The operation that the job's coordinator did not begin when it was asked last.
    #[must_use]
    pub fn not_begun(&self, uid: &str, now: Duration) -> Option<NotBegun> {
        self.begun.get(uid, now, CHECK_HOLDS)
    }

    /// What came of asking for an operation: none when it was begun.
    pub fn remember_begun(&self, uid: &str, refused: Option<NotBegun>, now: Duration) {
        match refused {
            Some(refused) => self.begun.put(uid.to_owned(), refused, now),
            None => self.begun.forget(uid),
        }
    }
}

/// Answers by what they are about, each with the time it was given at.
#[derive(Debug)]
struct Remembered<T>(Mutex<HashMap<String, (T, Duration)>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Remembered<T> {
    fn get(&self, key: &str, now: Duration, holds: Duration) -> Option<T> {
        let known = self.0.lock();
        let (answer, at) = known.get(key)?;
        (now.saturating_sub(*at) < holds).then(|| answer.clone())
    }

    fn put(&self, key: String, answer: T, now: Duration) {
        let mut known = self.0.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, (answer, now));
    }

    fn forget(&self, key: &str) {
        self.0.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_relied_on_for_a_while_and_a_refusal_is_news_once() {
        let answers = Answers::default();
        let secs = Duration::from_secs;
        answers.remember_check("4be0", "aa", PlanCheck::Fits, secs(1));
        assert_eq!(answers.check("4be0", "aa", secs(60)), PlanCheck::Fits);
        assert_eq!(answers.check("4be0", "aa", secs(61)), PlanCheck::Unknown);
        assert_eq!(answers.check("4be0", "bb", secs(2)), PlanCheck::Unknown);
        let refused = RefusedWrite::Child(Refusal::new("Refused", "no"));
        assert!(answers.remember_refused("4be0", 1, refused.clone(), secs(1)));
        assert!(!answers.remember_refused("4be0", 1, refused.clone(), secs(5)), "it is known");
        assert_eq!(answers.refused("4be0", 1, secs(9)), Some(refused.clone()));
        assert_eq!(answers.refused("4be0", 2, secs(9)), None, "an edit may have put it right");
        assert_eq!(answers.refused("4be0", 1, secs(10)), None, "it is tried again");
        assert!(answers.remember_refused("4be0", 1, refused, secs(10)));
    }
}
