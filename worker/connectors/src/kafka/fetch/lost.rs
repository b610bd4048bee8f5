//! Positions that a broker does not have.

/// What to do about a position outside of what the broker has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Lost {
    /// Go on there.
    Skip {
        /// The first offset that is left.
        to: i64,
    },
    /// Why the job cannot go on, and what to do.
    Refuse(String),
}

/// Decides about a position, given the first offset that the broker has and the next one that it
/// will give out. `skip`: rows that are gone may be gone.
pub(super) fn decide_lost(offset: i64, (low, high): (i64, i64), skip: bool) -> Lost {
    if offset < low {
        if skip {
            return Lost::Skip { to: low };
        }
        return Lost::Refuse(format!(
            "offset {offset} is gone: the topic now begins at {low}, so {} offsets were deleted before they were read; start the job afresh, keep rows for longer ('retention.ms' of the topic), or set 'scan.on-lost-position' = 'skip' to go on without them",
            low - offset
        ));
    }
    // Skipping would repeat or lose an unknown number of rows.
    Lost::Refuse(format!(
        "offset {offset} does not exist: the topic holds {low} to {high}, so it was truncated or created again; start the job afresh"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_gone_are_skipped_only_when_asked() {
        assert_eq!(decide_lost(5, (10, 20), true), Lost::Skip { to: 10 });
        let Lost::Refuse(why) = decide_lost(5, (10, 20), false) else { panic!("skipped") };
        assert!(
            why.starts_with("offset 5 is gone: the topic now begins at 10, so 5 offsets"),
            "{why}"
        );
    }

    #[test]
    fn a_topic_created_again_is_refused_in_any_case() {
        for skip in [false, true] {
            let Lost::Refuse(why) = decide_lost(50, (0, 20), skip) else { panic!("skipped") };
            assert!(why.contains("was truncated or created again"), "{why}");
        }
    }
}
