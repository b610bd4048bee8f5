//! Positions: where reading starts and ends, as the options say it and as a split stores it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_engine::EngineError;

/// Where partitions start that exist when the job starts for the first time. Partitions found
/// later start at their first offset, since their rows are all newer than the job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Startup {
    /// The first offset that the broker has.
    Earliest,
    /// After the last row that is visible now.
    Latest,
    /// Where the consumer group stands; the reset says what to do without a position.
    Group(GroupReset),
    /// The first row whose timestamp is not smaller; the end where there is none.
    Timestamp(i64),
    /// Given by partition; others as the group, or at their first offset.
    Specific(BTreeMap<i32, i64>),
}

/// What `group-offsets` does for a partition that the group has no position in
/// (`properties.auto.offset.reset`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum GroupReset {
    /// Refuse.
    None,
    /// The first offset.
    Earliest,
    /// The end.
    Latest,
}

/// Where a bounded source ends; the offset itself is not read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Bound {
    /// Never.
    Unbounded,
    /// After the last row that is visible when the job starts.
    Latest,
    /// Before the first row whose timestamp is not smaller.
    Timestamp(i64),
    /// Given by partition.
    Specific(BTreeMap<i32, i64>),
}

/// Where a split goes on: everything a reader needs to know, as stored in a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Position {
    /// Version of this encoding.
    v: u32,
    /// The topic.
    pub(super) topic: String,
    /// The partition.
    pub(super) partition: i32,
    /// The next offset to read, behind marks of transactions and aborted rows; always a number,
    /// so that no restore can skip rows.
    pub(super) offset: i64,
    /// The first offset not to read, in a bounded source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<i64>,
    /// Epoch of the leader that wrote the last row read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) leader_epoch: Option<i32>,
}

/// Where a position goes on with its consumer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Followed {
    /// The consumer is no further.
    Nowhere,
    /// To this offset.
    To(i64),
    /// The bounded split has been read.
    ToTheEnd,
}

const POSITION_VERSION: u32 = 1;

impl Position {
    /// A first position.
    pub(super) fn new(topic: &str, partition: i32, offset: i64, end: Option<i64>) -> Self {
        let topic = topic.to_owned();
        Self { v: POSITION_VERSION, topic, partition, offset, end, leader_epoch: None }
    }

    /// The split's id.
    pub(super) fn split_id(&self) -> String {
        format!("{}/{}", self.topic, self.partition)
    }

    /// Rows left, as far as offsets tell; 0 when the source has no end.
    pub(super) fn remaining(&self) -> u64 {
        self.end.map_or(0, |end| u64::try_from(end - self.offset).unwrap_or(0))
    }

    /// Whether nothing is left to read.
    pub(super) fn at_end(&self) -> bool {
        self.end.is_some_and(|end| self.offset >= end)
    }

    /// Where to go on, given where the consumer stands; it may know no position. Offsets between
    /// hold nothing visible, since every row that the consumer gave out was counted before.
    ///
    /// A position that stayed behind the marks of transactions would be lost with them: once a
    /// topic's rows have been kept for long enough, all of them, an idle partition begins behind
    /// its last mark.
    pub(super) fn follow(&self, stands: Option<i64>) -> Followed {
        let offset = self.offset.max(stands.unwrap_or(self.offset));
        match self.end {
            // Also a split that had nothing to read from the start.
            Some(end) if offset >= end => Followed::ToTheEnd,
            _ if offset > self.offset => Followed::To(offset),
            _ => Followed::Nowhere,
        }
    }

    /// The stored form.
    pub(super) fn encode(&self) -> Bytes {
        // A struct of strings and numbers has no way to fail.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Reads the stored form.
    pub(super) fn decode(split: &str, stored: &[u8]) -> Result<Self, EngineError> {
        let position: Self = serde_json::from_slice(stored).map_err(|error| {
            EngineError::internal(format!(
                "the stored position of split '{split}' is damaged: {error}"
            ))
        })?;
        if position.v != POSITION_VERSION {
            return Err(EngineError::user(format!(
                "the stored position of split '{split}' has version {}, and this release reads version {POSITION_VERSION}; run the release that wrote it, or a newer one",
                position.v
            )));
        }
        Ok(position)
    }
}

/// Reads `partition:0,offset:42;partition:1,offset:300`.
pub(super) fn parse_specific(text: &str) -> Result<BTreeMap<i32, i64>, String> {
    let mut offsets = BTreeMap::new();
    for pair in text.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (partition, offset) = parse_pair(pair).ok_or_else(|| {
            format!(
                "'{pair}' is not of the form 'partition:0,offset:42'; separate partitions by ';'"
            )
        })?;
        if offsets.insert(partition, offset).is_some() {
            return Err(format!("partition {partition} is named twice"));
        }
    }
    if offsets.is_empty() {
        return Err(
            "no partition is named; write 'partition:0,offset:42;partition:1,offset:300'".into()
        );
    }
    Ok(offsets)
}

fn parse_pair(pair: &str) -> Option<(i32, i64)> {
    let (partition, offset) = pair.split_once(',')?;
    let partition = partition.trim().strip_prefix("partition:")?.trim().parse().ok()?;
    let offset = offset.trim().strip_prefix("offset:")?.trim().parse().ok()?;
    (partition >= 0 && offset >= 0).then_some((partition, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specific_offsets_are_read_as_flink_writes_them() {
        let offsets = parse_specific("partition:0,offset:42;partition:1,offset:300").unwrap();
        assert_eq!(offsets, BTreeMap::from([(0, 42), (1, 300)]));
        assert_eq!(parse_specific(" partition:7 , offset:0 ;").unwrap(), BTreeMap::from([(7, 0)]));
    }

    #[test]
    fn wrong_specific_offsets_are_refused_with_the_piece_that_is_wrong() {
        for (text, part) in [
            ("", "no partition is named"),
            ("0:42", "'0:42' is not of the form"),
            ("partition:0,offset:-1", "'partition:0,offset:-1' is not of the form"),
            ("partition:0,offset:1;partition:0,offset:2", "partition 0 is named twice"),
            ("partition:0,offset:1,partition:1,offset:2", "is not of the form"),
        ] {
            let problem = parse_specific(text).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }

    #[test]
    fn a_position_survives_its_encoding() {
        let mut position = Position::new("bids", 3, 42, Some(100));
        position.leader_epoch = Some(5);
        assert_eq!(Position::decode("bids/3", &position.encode()).unwrap(), position);
        assert_eq!(
            std::str::from_utf8(&Position::new("bids", 3, 42, None).encode()).unwrap(),
            r#"{"v":1,"topic":"bids","partition":3,"offset":42}"#
        );
    }

    #[test]
    fn a_position_of_a_newer_release_is_refused() {
        let stored = br#"{"v":2,"topic":"t","partition":0,"offset":1}"#;
        let error = Position::decode("t/0", stored).unwrap_err();
        assert!(error.message.contains("has version 2"), "{error}");
    }

    #[test]
    fn a_position_follows_the_consumer_over_what_cannot_be_seen() {
        let unbounded = Position::new("t", 0, 90, None);
        for (stands, expected) in [
            (None, Followed::Nowhere),
            (Some(80), Followed::Nowhere),
            (Some(90), Followed::Nowhere),
            (Some(92), Followed::To(92)),
        ] {
            assert_eq!(unbounded.follow(stands), expected, "{stands:?}");
        }
        let bounded = Position::new("t", 0, 90, Some(93));
        assert_eq!(bounded.follow(Some(92)), Followed::To(92));
        assert_eq!(bounded.follow(Some(93)), Followed::ToTheEnd, "a mark is the last offset");
        assert_eq!(Position::new("t", 0, 90, Some(90)).follow(None), Followed::ToTheEnd);
    }

    #[test]
    fn a_bounded_position_knows_what_is_left() {
        let mut position = Position::new("t", 0, 90, Some(100));
        assert_eq!((position.remaining(), position.at_end()), (10, false));
        position.offset = 101;
        assert_eq!((position.remaining(), position.at_end()), (0, true));
        assert!(!Position::new("t", 0, 90, None).at_end());
    }
}
