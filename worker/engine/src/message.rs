//! What travels on a channel, in order.

use serde::{Deserialize, Serialize};
use weir_protocol::{Attempt, VertexId};

use crate::{Batch, Watermark};

/// One try at a checkpoint passing through the dataflow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Barrier {
    /// The coordinator's number of the try.
    pub attempt: Attempt,
    /// Whether tasks stay frozen after it until they are resumed or ended (rescale, savepoint
    /// and stop): no timer, watermark, idle mark, late answer or flush passes.
    pub freeze: bool,
    /// Whether operators write all of their keyed state instead of what changed.
    pub full: bool,
    /// Whether the job stops or hands over after it: open files are rolled.
    pub last: bool,
}

/// How often more splits of one source were found, as far as the sender has heard.
///
/// Readers of one source hear of new splits one after the other. A reader that was idle may be
/// about to read some while the watermark of another, quicker one is already past their rows: so
/// its idleness counts only beside readers that had heard of no later round than itself.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Round(pub u32);

/// The only things that channels carry.
#[derive(Clone, Debug)]
pub enum Message {
    /// Rows.
    Data(Batch),
    /// No later row on this channel has an event time below it.
    Watermark(Watermark),
    /// Nothing is to be expected for a while: the channel no longer holds back the watermark.
    Idle,
    /// The end of idleness, sent before anything else that follows it.
    Active,
    /// All readers of a source in front of this channel have heard of a round. Those that got
    /// splits of it have said before that they are active.
    Round(VertexId, Round),
    /// A checkpoint's cut through the channel.
    Barrier(Barrier),
    /// Nothing follows.
    End,
}
