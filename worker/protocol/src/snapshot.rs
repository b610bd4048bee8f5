//! What tasks hand over at a cut, as every process and every manifest has it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{OperatorUid, Subtask, VertexId, WorkerId};

/// A part of a source that is read by one reader, with how far it was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Unique within the source and stable for ever: a file's path, `topic/partition`.
    pub id: String,
    /// Where to go on, in the connector's own versioned encoding (JSON), including everything
    /// the reader needs to know.
    #[serde(with = "crate::base64")]
    pub position: Bytes,
    /// The largest watermark that the split has produced, in milliseconds.
    pub watermark: Option<i64>,
    /// A known lower bound of the event times in it, in milliseconds, from statistics; holds the
    /// watermark while the split is not assigned.
    pub lower_bound: Option<i64>,
    /// Bytes (or rows) left, for progress bars; 0 when unknown.
    pub size: u64,
}

/// Output that is ready but not yet visible: committed by any worker, repeatably.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Committable {
    /// The sink that can commit it.
    pub sink: OperatorUid,
    /// The sink's own description of what to do, versioned by the sink. It must not refer to
    /// objects among the job's state, which are not kept for it.
    #[serde(with = "crate::base64")]
    pub payload: Bytes,
}

/// Names and types of an operator's keyed state, as shown by `weir plan`, kept in every manifest and
/// checked at a restore.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateSchema {
    /// Version of the encoding of segments; 0 where no keyed state is kept.
    pub version: u32,
    /// Column name → Arrow type, for people and for the check at restore.
    pub columns: BTreeMap<String, String>,
}

/// One subtask's place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Of the job graph.
    pub vertex: VertexId,
    /// Which of its instances.
    pub subtask: Subtask,
    /// Who runs it.
    pub worker: WorkerId,
}
