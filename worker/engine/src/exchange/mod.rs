//! Exchange between worker processes: one connection per pair and direction.
//!
//! ```text
//!  task ─► channel ─► sender ══ frames ══► receiver ─► channel ─► task
//!                        ◄══ credits (bytes taken) ══
//! ```
//!
//! - The handshake carries job, term and worker; a stale term is refused.
//! - A frame carries its channel, a sequence number of the connection and a checksum. A gap or a
//!   wrong checksum fails the attempt.
//! - Credits are granted by the receiver per channel, in bytes: a slow channel parks itself,
//!   never the connection, and control messages need none but keep their order.
//! - A connection is flushed when nothing is left to send, never by a timer.
//!
//! Deliberately absent: retries. A broken connection ends the term's tasks; the coordinator
//! decides what comes next.

mod codec;
mod frame;
mod receiver;
mod sender;
mod transport;

pub(crate) use frame::{ChannelKey, Handshake};
pub use receiver::ExchangeServer;
pub(crate) use receiver::Inbound;
pub(crate) use sender::{Outbound, send_all};
pub use transport::{Listener, Stream, TcpTransport, Transport};
