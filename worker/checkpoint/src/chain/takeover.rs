//! Who may seal over what, and what the seal holds: rules 3, 9 and 11.

use std::collections::BTreeSet;

use weir_protocol::{Term, Version};

use crate::manifest::{Assignment, CommitId, Manifest, Member};

/// On whose word a coordinator takes over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Authority {
    /// Its own: only where the head's revision is its own.
    Own,
    /// The operator's, for the same revision, expecting this head.
    TakeOver {
        /// The head that the operator saw.
        expected: Version,
    },
    /// The operator's, for another revision than the head's, expecting this head.
    Activate {
        /// The head that the operator saw.
        expected: Version,
    },
}

/// Which state the new term starts from.
#[derive(Clone, PartialEq, Debug)]
pub enum Start {
    /// The head's; new state where there is no chain.
    Latest,
    /// New state, once per token; with a used token the same as `Latest`.
    Empty {
        /// Chosen by the user.
        token: String,
    },
    /// A savepoint, once per token; with a used token the same as `Latest`.
    Savepoint {
        /// Chosen by the caller, for example the savepoint's path and the spec's generation.
        token: String,
        /// As [`savepoint::fetch`](crate::savepoint::fetch) has it.
        savepoint: Box<crate::savepoint::Savepoint>,
    },
    /// A version that the head retains, once per token.
    Version {
        /// Chosen by the caller.
        token: String,
        /// The version.
        version: Version,
        /// Go back although output published since was committed, and will be repeated.
        repeat_output: bool,
    },
}

impl Start {
    pub(super) fn token(&self) -> Option<&str> {
        match self {
            Self::Latest => None,
            Self::Empty { token } | Self::Savepoint { token, .. } | Self::Version { token, .. } => {
                Some(token)
            }
        }
    }
}

/// What a coordinator says about itself when it takes over.
#[derive(Clone, PartialEq, Debug)]
pub struct SealRequest {
    /// UID of the Kubernetes object; absent outside Kubernetes.
    pub job_uid: Option<String>,
    /// UID of the deleted job whose state it may take over.
    pub adopt: Option<String>,
    /// Its revision.
    pub revision: String,
    /// On whose word it acts.
    pub authority: Authority,
    /// Of its job graph.
    pub plan_hash: String,
    /// Itself.
    pub coordinator: Member,
    /// Who will run what.
    pub assignment: Assignment,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// Which state it starts from.
    pub start: Start,
    /// The job has published before, so its chain cannot be empty.
    pub must_exist: bool,
    /// Output that this process has seen committed in its term before: where the seal repeats the
    /// head, it lists it no more. Empty for a process that has not held the chain.
    pub acknowledged: BTreeSet<CommitId>,
    /// Milliseconds since 1970, for display.
    pub created_ms: i64,
}

/// A take-over that is not allowed. Trying again without a change helps only where the message
/// says so.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The state is another job's.
    #[error(
        "state at {place} belongs to a deleted job of the same name (uid {uid}); set state.adopt: {uid} to go on from it, or remove it with `weir state delete {place} --uid {uid}` to start over"
    )]
    ForeignUid {
        /// Where.
        place: String,
        /// Of the other job.
        uid: String,
    },
    /// There should be a chain.
    #[error(
        "state at {place} is gone: the job has published checkpoints but no manifest is there, and to start empty would read and write everything again; check state.root, or bring chain/ back from a backup of the store; to start over on purpose create the job anew under another name"
    )]
    StateMissing {
        /// Where.
        place: String,
    },
    /// There is nothing to take over.
    #[error(
        "state.adopt names the state of the deleted job {uid}, and no manifest is at {place}; check state.root, or remove state.adopt to start empty"
    )]
    NothingToAdopt {
        /// Where.
        place: String,
        /// Of the other job.
        uid: String,
    },
    /// There was a chain.
    #[error(
        "state at {place} is damaged: chain/ is empty or gone while {left} is there, so the job has published checkpoints, and to start empty would read and write everything again; bring chain/ back from a backup of the store, or remove what is left there (`weir run --fresh` does) to start over"
    )]
    StateTorn {
        /// Where.
        place: String,
        /// What is there.
        left: String,
    },
    /// Another revision holds the chain.
    #[error(
        "revision {head} coordinates this job since term {term}; revision {mine} waits for the operator's word"
    )]
    OtherRevision {
        /// The head's.
        head: String,
        /// The head's.
        term: Term,
        /// The caller's.
        mine: String,
    },
    /// The head is not the one that the operator saw.
    #[error(
        "the chain is at version {head}, not at {expected} as the operator saw it; it will look again"
    )]
    HeadMoved {
        /// What it is.
        head: Version,
        /// What it was.
        expected: Version,
    },
    /// Key groups cannot be renumbered.
    #[error(
        "the job's state has maxParallelism {head}, the job asks for {mine}; set it back to {head}, or start over under another name (`weir run --fresh` under the same one)"
    )]
    MaxParallelism {
        /// The state's.
        head: u32,
        /// The caller's.
        mine: u32,
    },
    /// Not in the retained set.
    #[error("version {version} can no longer be restored; the chain retains {retained}")]
    NotRetained {
        /// What was asked for.
        version: Version,
        /// What there is.
        retained: String,
    },
    /// A roll-back would repeat output.
    #[error(
        "going back to version {to} would repeat output that was committed up to version {committed}; hold, or say that output may be repeated"
    )]
    OutputCommitted {
        /// Where to.
        to: Version,
        /// The newest epoch with committed output.
        committed: Version,
    },
}

/// What the seal does to the state.
#[derive(Clone, PartialEq, Debug)]
pub enum SealPlan {
    /// The first manifest of a job.
    First,
    /// Repeats the head.
    Repeat,
    /// New state on the same chain.
    StartOver,
    /// A savepoint's state on the same chain.
    FromSavepoint,
    /// An older version's state.
    GoBack(Version),
}

/// Decides whether a coordinator may begin a chain where there is no manifest. `left` names what
/// else of a job is there: nobody writes any of it before the first manifest.
///
/// # Errors
/// When it may not: a job that ever published never starts empty by itself.
pub fn decide_first(
    place: &str,
    left: &[&'static str],
    request: &SealRequest,
) -> Result<SealPlan, Refusal> {
    if request.must_exist {
        return Err(Refusal::StateMissing { place: place.to_owned() });
    }
    if request.start != Start::Latest {
        return Ok(SealPlan::First);
    }
    if let Some(uid) = &request.adopt {
        return Err(Refusal::NothingToAdopt { place: place.to_owned(), uid: uid.clone() });
    }
    if !left.is_empty() {
        let left = left.join(" and ");
        return Err(Refusal::StateTorn { place: place.to_owned(), left });
    }
    Ok(SealPlan::First)
}

/// Decides whether and how a coordinator may seal over `head`. Every fact has been read.
///
/// # Errors
/// When it may not.
pub fn decide_take_over(
    place: &str,
    head: &Manifest,
    request: &SealRequest,
) -> Result<SealPlan, Refusal> {
    let fresh_token = request.start.token().is_some_and(|t| !head.used_tokens.contains(t));
    let starts_over = fresh_token && matches!(request.start, Start::Empty { .. });

    let other_uid = match (&head.job_uid, &request.job_uid) {
        (Some(theirs), Some(mine)) => (theirs != mine).then_some(theirs),
        // State that a laptop wrote belongs to whoever finds it; the reverse does not hold.
        (Some(theirs), None) => Some(theirs),
        (None, _) => None,
    };
    if let Some(uid) = other_uid
        && request.adopt.as_ref() != Some(uid)
        && !starts_over
    {
        return Err(Refusal::ForeignUid { place: place.to_owned(), uid: uid.clone() });
    }
    match request.authority {
        Authority::Own => {
            // Another job's revision has no meaning for this one.
            if head.revision != request.revision && other_uid.is_none() {
                return Err(Refusal::OtherRevision {
                    head: head.revision.clone(),
                    term: head.term,
                    mine: request.revision.clone(),
                });
            }
        }
        Authority::TakeOver { expected } | Authority::Activate { expected } => {
            if head.version != expected {
                return Err(Refusal::HeadMoved { head: head.version, expected });
            }
            if matches!(request.authority, Authority::TakeOver { .. })
                && head.revision != request.revision
            {
                return Err(Refusal::OtherRevision {
                    head: head.revision.clone(),
                    term: head.term,
                    mine: request.revision.clone(),
                });
            }
        }
    }
    if head.roll_back.is_some() {
        // Some of its output may be destroyed already: it is finished before anything else.
        return Ok(SealPlan::Repeat);
    }
    if starts_over {
        return Ok(SealPlan::StartOver);
    }
    if head.max_parallelism != request.max_parallelism {
        return Err(Refusal::MaxParallelism {
            head: head.max_parallelism,
            mine: request.max_parallelism,
        });
    }
    match &request.start {
        Start::Savepoint { .. } if fresh_token => Ok(SealPlan::FromSavepoint),
        Start::Version { version, repeat_output, .. } if fresh_token => {
            decide_go_back(head, *version, *repeat_output)
        }
        _ => Ok(SealPlan::Repeat),
    }
}

fn decide_go_back(head: &Manifest, to: Version, repeat: bool) -> Result<SealPlan, Refusal> {
    if head.state_of == Some(to) {
        return Ok(SealPlan::Repeat);
    }
    if head.retained(to).is_none() {
        let retained: Vec<String> = head.retained.iter().map(|r| r.version.to_string()).collect();
        return Err(Refusal::NotRetained { version: to, retained: retained.join(", ") });
    }
    match head.committed_through {
        Some(committed) if committed > to && !repeat => {
            Err(Refusal::OutputCommitted { to, committed })
        }
        _ => Ok(SealPlan::GoBack(to)),
    }
}
