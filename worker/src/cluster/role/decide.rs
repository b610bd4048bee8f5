//! Whose turn it is to coordinate, decided from facts alone (PROTOCOL section 3).
//!
//! The rules give progress: normally one process believes that it is its turn. They never give
//! safety; two that believe so at once are told apart by the chain.

use std::time::Duration;

use weir_checkpoint::chain::Authority;
use weir_protocol::{Version, WorkerId};

/// A coordinator that is silent for so long is replaced.
const SILENCE: Duration = Duration::from_secs(4);
/// One that has closed the connection and does not answer where it was, as when its pod is gone, is
/// replaced after so long. Where even nobody listens any more, its process has ended, and nothing is
/// waited for.
const CLOSED: Duration = Duration::from_millis(500);
/// Each living worker with a lower ordinal has this much longer to take over first.
const PRECEDENCE: Duration = Duration::from_millis(1_500);
/// A worker of the head's assignment, as it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Peer {
    pub(super) worker: WorkerId,
    /// It answers, and runs the same revision.
    pub(super) reached: bool,
    /// It is attached to a coordinator.
    pub(super) attached: bool,
}

impl Peer {
    pub(super) fn unreached(worker: WorkerId) -> Self {
        Self { worker, reached: false, attached: false }
    }
}

/// What the head says about the role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct HeadFacts {
    pub(super) version: Version,
    pub(super) revision: String,
    pub(super) holder: WorkerId,
    /// It is another job's; the chain decides whether it may be adopted.
    pub(super) foreign: bool,
}

/// Everything that a decision rests on; all of it has been read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Facts {
    pub(super) me: WorkerId,
    pub(super) revision: String,
    /// Revisions that the operator has ended in favour of this one.
    pub(super) supersedes: Vec<String>,
    /// Absent before the job's first manifest.
    pub(super) head: Option<HeadFacts>,
    /// The head's holder answers and coordinates.
    pub(super) holder_answers: bool,
    /// Nobody listens where the head's holder was.
    pub(super) holder_gone: bool,
    /// Another process of the holder's ordinal is there, in another place: its pod was replaced.
    pub(super) holder_replaced: bool,
    /// The head's holder has said that it ends, and that its role is free.
    pub(super) released: bool,
    /// How long this worker has not been attached.
    pub(super) silent: Duration,
    /// How long ago the coordinator's end closed the connection, if it did.
    pub(super) closed: Option<Duration>,
    /// Another process has just said that it is about to coordinate.
    pub(super) called: bool,
    /// The workers of the head's assignment.
    pub(super) peers: Vec<Peer>,
    /// The pod has not used its right to take the role once on its own account.
    pub(super) may_start: bool,
}

/// What follows from the facts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Decision {
    /// Somebody else is to act, or time has to pass.
    Wait,
    /// The job is not this process's to run; says why.
    NotMine(String),
    /// Take the role: alone, or with the consent of others.
    Coordinate { authority: Authority, alone: bool },
}

/// Decides whether this process takes the role.
pub(super) fn decide(facts: &Facts) -> Decision {
    let first = facts.me == WorkerId(0);
    let own = Decision::Coordinate { authority: Authority::Own, alone: true };
    let Some(head) = &facts.head else {
        return if first { own } else { Decision::Wait };
    };
    if head.foreign {
        return if first { own } else { Decision::Wait };
    }
    if head.revision != facts.revision {
        if !facts.supersedes.contains(&head.revision) {
            return Decision::NotMine(format!(
                "revision {} coordinates this job; revision {} waits for the operator's word",
                head.revision, facts.revision
            ));
        }
        // The operator has ended the head's revision before it made this one.
        let authority = Authority::Activate { expected: head.version };
        return if first {
            Decision::Coordinate { authority, alone: true }
        } else {
            Decision::Wait
        };
    }
    if facts.holder_answers || facts.called {
        return Decision::Wait;
    }
    // The head that this was decided on: whoever was faster is not fenced for nothing.
    let authority = Authority::TakeOver { expected: head.version };
    let own = Decision::Coordinate { authority, alone: true };
    // The process that held the role was this pod's, or its predecessor's of the same ordinal.
    if head.holder == facts.me && (first || !facts.may_start) {
        return own;
    }
    let (waited, patience) = match facts.closed {
        _ if facts.released || facts.holder_replaced => (facts.silent, Duration::ZERO),
        Some(closed) if facts.holder_gone => (closed, Duration::ZERO),
        Some(closed) => (closed, CLOSED),
        None => (facts.silent, SILENCE),
    };
    if waited < patience {
        return Decision::Wait;
    }
    if first && facts.may_start {
        return own;
    }
    let assigned = facts.peers.iter().any(|p| p.worker == facts.me);
    let with_me = |p: &&Peer| p.worker == facts.me || (p.reached && !p.attached);
    let votes = facts.peers.iter().filter(with_me).count();
    // A majority is there so that nobody replaces a coordinator that others still follow. One that
    // has given its role up is followed by nobody.
    let consent = facts.released || votes * 2 > facts.peers.len();
    if !assigned || !consent {
        return Decision::Wait;
    }
    let before = facts.peers.iter().filter(|p| p.reached && p.worker < facts.me).count();
    if waited < patience + PRECEDENCE * u32::try_from(before).unwrap_or(u32::MAX) {
        return Decision::Wait;
    }
    Decision::Coordinate { authority, alone: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Decision = Decision::Coordinate { authority: Authority::Own, alone: true };
    const SEEN: Authority = Authority::TakeOver { expected: Version(7) };
    const OWN: Decision = Decision::Coordinate { authority: SEEN, alone: true };
    const TOGETHER: Decision = Decision::Coordinate { authority: SEEN, alone: false };

    fn peer(worker: u32, reached: bool) -> Peer {
        Peer { worker: WorkerId(worker), reached, attached: false }
    }

    /// Three workers; 0 held the role and is gone.
    fn lost(me: u32, silent_ms: u64) -> Facts {
        Facts {
            me: WorkerId(me),
            revision: "r1".into(),
            supersedes: Vec::new(),
            head: Some(HeadFacts {
                version: Version(7),
                revision: "r1".into(),
                holder: WorkerId(0),
                foreign: false,
            }),
            holder_answers: false,
            holder_gone: false,
            holder_replaced: false,
            released: false,
            silent: Duration::from_millis(silent_ms),
            closed: None,
            called: false,
            peers: vec![peer(0, false), peer(1, true), peer(2, true)],
            may_start: true,
        }
    }

    #[test]
    fn a_job_without_state_is_started_by_ordinal_0_alone() {
        let empty = |me| decide(&Facts { head: None, ..lost(me, 60_000) });
        assert_eq!((empty(0), empty(1)), (FIRST, Decision::Wait));
    }

    #[test]
    fn the_lowest_living_ordinal_takes_over_after_four_seconds() {
        assert_eq!(decide(&lost(1, 3_900)), Decision::Wait);
        assert_eq!(decide(&lost(1, 4_000)), TOGETHER);
        assert_eq!(decide(&lost(2, 4_000)), Decision::Wait);
        assert_eq!(decide(&lost(2, 5_500)), TOGETHER, "in case worker 1 cannot");
    }

    #[test]
    fn one_whose_process_is_gone_is_replaced_soon() {
        let closed = |me, ms| {
            let mut facts = lost(me, ms + 900);
            facts.closed = Some(Duration::from_millis(ms));
            facts
        };
        assert_eq!(decide(&closed(1, 400)), Decision::Wait, "it may be back in a moment");
        assert_eq!(decide(&closed(1, 500)), TOGETHER);
        assert_eq!(decide(&closed(2, 500)), Decision::Wait, "the lowest ordinal goes first");
        assert_eq!(decide(&closed(2, 2_000)), TOGETHER, "in case worker 1 cannot");
        let ended = |me, ms| Facts { holder_gone: true, ..closed(me, ms) };
        assert_eq!(decide(&ended(1, 0)), TOGETHER, "its process is no more");
        assert_eq!(decide(&ended(2, 0)), Decision::Wait, "the lowest ordinal goes first");
        let unheard = Facts { holder_gone: true, ..lost(1, 3_000) };
        assert_eq!(decide(&unheard), Decision::Wait, "it never closed the connection");
        let lives = Facts { holder_answers: true, ..closed(1, 60_000) };
        assert_eq!(decide(&lives), Decision::Wait, "only the connection is gone");
        let mut alone = closed(1, 60_000);
        alone.peers[2].reached = false;
        assert_eq!(decide(&alone), Decision::Wait, "a minority");
    }

    #[test]
    fn a_minority_never_takes_over() {
        let mut facts = lost(1, 600_000);
        facts.peers = vec![peer(0, false), peer(1, true), peer(2, false)];
        assert_eq!(decide(&facts), Decision::Wait);
        facts.peers = vec![peer(0, false), peer(1, true)];
        assert_eq!(decide(&facts), Decision::Wait, "half is no majority");
    }

    #[test]
    fn workers_that_still_hear_their_coordinator_give_no_majority() {
        let mut facts = lost(1, 600_000);
        facts.peers[2].attached = true;
        assert_eq!(decide(&facts), Decision::Wait);
    }

    #[test]
    fn a_coordinator_that_was_killed_goes_on_at_once() {
        assert_eq!(decide(&lost(0, 0)), OWN);
    }

    #[test]
    fn ordinal_0_takes_a_silent_holders_role_once_a_pod() {
        let mut facts = lost(0, 4_000);
        facts.head.as_mut().expect("a head").holder = WorkerId(2);
        facts.peers = Vec::new();
        assert_eq!(decide(&facts), OWN);
        facts.may_start = false;
        assert_eq!(decide(&facts), Decision::Wait);
    }

    #[test]
    fn a_holder_whose_pod_was_replaced_is_not_waited_for() {
        let replaced = |me| Facts { holder_replaced: true, ..lost(me, 0) };
        let mut first = replaced(0);
        first.head.as_mut().expect("a head").holder = WorkerId(2);
        assert_eq!(decide(&first), OWN, "all pods are new");
        first.may_start = false;
        assert_eq!(decide(&first), TOGETHER, "it asks the others, as everybody does");
        assert_eq!(decide(&replaced(1)), TOGETHER);
        assert_eq!(decide(&replaced(2)), Decision::Wait, "the lowest ordinal goes first");
        let lives = Facts { holder_answers: true, ..replaced(1) };
        assert_eq!(decide(&lives), Decision::Wait, "whoever asks in its name");
    }

    #[test]
    fn a_role_that_was_handed_over_is_taken_at_once() {
        let released = |me, silent_ms| Facts { released: true, ..lost(me, silent_ms) };
        assert_eq!(decide(&released(1, 0)), TOGETHER);
        assert_eq!(decide(&released(2, 0)), Decision::Wait, "the lowest ordinal goes first");
        assert_eq!(decide(&released(2, 1_500)), TOGETHER, "in case worker 1 cannot");
        let mut last = released(1, 0);
        last.peers = vec![peer(0, false), peer(1, true), peer(2, false), peer(3, false)];
        assert_eq!(decide(&last), TOGETHER, "by a minority, too: nobody coordinates");
        last.peers.remove(1);
        assert_eq!(decide(&last), Decision::Wait, "but by nobody from outside");
        assert_eq!(decide(&Facts { called: true, ..released(1, 0) }), Decision::Wait);
    }

    #[test]
    fn another_revision_waits_for_the_operators_word() {
        let mut facts = Facts { revision: "r2".into(), ..lost(0, 600_000) };
        assert!(matches!(decide(&facts), Decision::NotMine(why) if why.contains("revision r1")));
        facts.supersedes = vec!["r1".into()];
        let authority = Authority::Activate { expected: Version(7) };
        assert_eq!(decide(&facts), Decision::Coordinate { authority, alone: true });
        facts.me = WorkerId(1);
        assert_eq!(decide(&facts), Decision::Wait);
    }

    #[test]
    fn whoever_is_about_to_coordinate_is_given_the_time() {
        let facts = Facts { called: true, ..lost(1, 600_000) };
        assert_eq!(decide(&facts), Decision::Wait);
    }

    #[test]
    fn a_living_holder_is_left_alone() {
        let facts = Facts { holder_answers: true, ..lost(0, 600_000) };
        assert_eq!(decide(&facts), Decision::Wait);
    }
}
