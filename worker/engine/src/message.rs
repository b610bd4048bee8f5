//! What travels on a channel, in order.

use weir_protocol::Attempt;

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

/// The only things that channels carry.
#[derive(Clone, Debug)]
pub enum Message {
    /// Rows.
    Data(Batch),
    /// No later row on this channel has an event time below it.
    Watermark(Watermark),
    /// Nothing is to be expected for a while: the channel no longer holds back the watermark.
    /// Any later `Data` or `Watermark` ends the idleness.
    Idle,
    /// A checkpoint's cut through the channel.
    Barrier(Barrier),
    /// Nothing follows.
    End,
}
