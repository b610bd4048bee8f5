//! How long to wait before the next restart, and when to give up.

use weir_engine::Fault;

/// When and how often a failing job is restarted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RestartPolicy {
    /// Wait before the first restart after an error of the job's own.
    pub initial_ms: u64,
    /// The wait doubles up to this.
    pub max_ms: u64,
    /// A job that ran for so long starts counting anew.
    pub reset_after_ms: u64,
    /// Errors of the user's program or data after which the job fails for good; `None`: never,
    /// someone may mend the data or the options.
    pub max_user_errors: Option<u32>,
    /// Any failure of the tasks ends the job: somebody looks at its rows, which cannot be given
    /// once more.
    pub once: bool,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            initial_ms: 1_000,
            max_ms: 60_000,
            reset_after_ms: 600_000,
            max_user_errors: None,
            once: false,
        }
    }
}

/// What to do about a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Restart {
    /// Restart after this many milliseconds.
    After(u64),
    /// The job has failed.
    GiveUp,
}

/// A job that has run for so long since its last failure has got over it.
const CALM_MS: u64 = 60_000;

/// Counts failures in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    user_errors: u32,
    running_since: Option<u64>,
    /// The failures are no mere broken connection.
    failing: bool,
}

impl Backoff {
    /// The job's tasks run since `now_ms`.
    pub(crate) fn running(&mut self, now_ms: u64) {
        self.running_since = Some(now_ms);
    }

    /// A failure of the tasks. Failures from outside get one restart without waiting: most of
    /// them are a connection that broke.
    pub(crate) fn failed(&mut self, policy: &RestartPolicy, fault: Fault, now_ms: u64) -> Restart {
        self.rest(policy, now_ms);
        let before = self.failures;
        self.failures = self.failures.saturating_add(1);
        self.failing |= fault == Fault::User || self.failures > 1;
        if fault == Fault::User {
            self.user_errors += 1;
            if policy.max_user_errors.is_some_and(|max| self.user_errors >= max) {
                return Restart::GiveUp;
            }
        }
        if policy.once {
            return Restart::GiveUp;
        }
        let doublings = match fault {
            Fault::External if before == 0 => return Restart::After(0),
            Fault::External => before - 1,
            Fault::User | Fault::Internal => before,
        };
        let wait = policy.initial_ms.saturating_mul(1 << doublings.min(32));
        Restart::After(wait.min(policy.max_ms))
    }

    /// A worker was lost: survivors go on at once, whatever happened before.
    pub(crate) fn lost_worker(&mut self, policy: &RestartPolicy, now_ms: u64) -> Restart {
        self.rest(policy, now_ms);
        if policy.once { Restart::GiveUp } else { Restart::After(0) }
    }

    /// The newest failure from outside was the loss of a worker: it does not count.
    pub(crate) fn was_lost_worker(&mut self) {
        self.failures = self.failures.saturating_sub(1);
        self.failing &= self.user_errors > 0 || self.failures > 1;
    }

    /// Whether the tasks fail again and again, as far as one can tell. One failure from outside
    /// may be a connection that broke; one of the user's program or data comes again.
    #[must_use]
    pub(crate) fn is_failing(&self, now_ms: u64) -> bool {
        self.failing && !self.ran_for(CALM_MS, now_ms)
    }

    /// Errors of the user's that have been counted.
    #[must_use]
    pub(crate) fn user_errors(&self) -> u32 {
        self.user_errors
    }

    fn ran_for(&self, ms: u64, now_ms: u64) -> bool {
        self.running_since.is_some_and(|since| now_ms.saturating_sub(since) >= ms)
    }

    /// The tasks have stopped: what they got over while they ran is forgotten.
    fn rest(&mut self, policy: &RestartPolicy, now_ms: u64) {
        if self.ran_for(policy.reset_after_ms, now_ms) {
            *self = Self::default();
        }
        self.failing = self.is_failing(now_ms);
        self.running_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_run_once_is_given_up_whatever_fails() {
        let policy = RestartPolicy { once: true, ..RestartPolicy::default() };
        for fault in [Fault::User, Fault::External, Fault::Internal] {
            assert_eq!(Backoff::default().failed(&policy, fault, 0), Restart::GiveUp);
        }
        assert_eq!(Backoff::default().lost_worker(&policy, 0), Restart::GiveUp);
    }

    #[test]
    fn the_wait_doubles_to_a_minute_and_a_quiet_time_resets_it() {
        let policy = RestartPolicy::default();
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.failed(&policy, Fault::Internal, 0)).collect();
        let expected = [1, 2, 4, 8, 16, 32, 60, 60].map(|s| Restart::After(s * 1000));
        assert_eq!(waits, expected);
        backoff.running(1_000);
        assert_eq!(backoff.failed(&policy, Fault::Internal, 600_999), Restart::After(60_000));
        backoff.running(700_000);
        assert_eq!(backoff.failed(&policy, Fault::Internal, 1_300_000), Restart::After(1_000));
    }

    #[test]
    fn a_first_failure_from_outside_restarts_at_once() {
        let policy = RestartPolicy::default();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.failed(&policy, Fault::External, 0), Restart::After(0));
        assert_eq!(backoff.failed(&policy, Fault::External, 0), Restart::After(1_000));
        assert_eq!(backoff.failed(&policy, Fault::External, 0), Restart::After(2_000));
    }

    #[test]
    fn failures_are_told_from_the_second_on_and_until_the_job_has_run_for_a_minute() {
        let policy = RestartPolicy::default();
        let mut backoff = Backoff::default();
        backoff.failed(&policy, Fault::External, 0);
        assert!(!backoff.is_failing(0), "a connection broke");
        backoff.running(100);
        backoff.failed(&policy, Fault::External, 5_000);
        backoff.running(6_000);
        assert!(backoff.is_failing(65_999));
        assert!(!backoff.is_failing(66_000));
        backoff.lost_worker(&policy, 70_000);
        assert!(!backoff.is_failing(70_000), "it had got over them");
        backoff.failed(&policy, Fault::User, 71_000);
        assert!(backoff.is_failing(200_000), "it does not run");
    }

    #[test]
    fn a_lost_worker_is_no_failure_of_the_tasks() {
        let policy = RestartPolicy::default();
        let mut backoff = Backoff::default();
        backoff.failed(&policy, Fault::External, 0);
        backoff.failed(&policy, Fault::External, 0);
        backoff.was_lost_worker();
        assert!(!backoff.is_failing(0));
    }

    #[test]
    fn a_user_error_that_repeats_ends_the_job_where_that_is_asked() {
        let policy = RestartPolicy { max_user_errors: Some(3), ..RestartPolicy::default() };
        let mut backoff = Backoff::default();
        assert_eq!(backoff.failed(&policy, Fault::User, 0), Restart::After(1_000));
        assert_eq!(backoff.failed(&policy, Fault::External, 0), Restart::After(1_000));
        assert_eq!(backoff.failed(&policy, Fault::User, 0), Restart::After(4_000));
        assert_eq!(backoff.failed(&policy, Fault::User, 0), Restart::GiveUp);
    }
}
