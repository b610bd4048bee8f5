//! The wire format: handshake, frames, credits. All integers are little-endian.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use weir_protocol::{Attempt, Term, VertexId, WorkerId};

use crate::Watermark;
use crate::message::{Barrier, Round};

/// First bytes of a handshake; the last one is the protocol's version.
const MAGIC: [u8; 8] = *b"weir-ex\x03";
/// No frame is larger: a batch is bounded by what one step gives out.
const MAX_BODY: u32 = 1 << 30;
/// Length of a frame's header.
const HEADER: usize = 48;

/// Which channel of the job a frame belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ChannelKey {
    /// Position of the edge in the graph.
    pub(crate) edge: u32,
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// What a connecting worker says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Handshake {
    pub(crate) job: String,
    pub(crate) term: Term,
    pub(crate) from: WorkerId,
}

/// What the other side answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Welcome {
    /// Go on, with so many bytes of credit for each channel.
    Accepted { credit: u64 },
    /// That term is not (or no longer) running here.
    Refused,
}

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Its body holds a batch that counts `cost` bytes of credit.
    Data {
        cost: u64,
    },
    Watermark(Watermark),
    Idle,
    Active,
    Round(VertexId, Round),
    Barrier(Barrier),
    End,
}

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) channel: ChannelKey,
    pub(crate) kind: Kind,
    pub(crate) sequence: u64,
    pub(crate) body: u32,
    /// CRC-32C of the body.
    pub(crate) crc: u32,
}

fn bad(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

impl Handshake {
    pub(crate) async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.term.0.to_le_bytes());
        bytes.extend_from_slice(&self.from.0.to_le_bytes());
        let length =
            u16::try_from(self.job.len()).map_err(|_| bad("the job's name is too long"))?;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(self.job.as_bytes());
        to.write_all(&bytes).await?;
        to.flush().await
    }

    pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut magic = [0; 8];
        from.read_exact(&mut magic).await?;
        if magic != MAGIC {
            return Err(bad("not an exchange connection of this version of Weir"));
        }
        let term = Term(from.read_u64_le().await?);
        let worker = WorkerId(from.read_u32_le().await?);
        let mut job = vec![0; usize::from(from.read_u16_le().await?)];
        from.read_exact(&mut job).await?;
        let job = String::from_utf8(job).map_err(|_| bad("the job's name is not UTF-8"))?;
        Ok(Self { job, term, from: worker })
    }
}

impl Welcome {
    pub(crate) async fn write(self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let (tag, credit) = match self {
            Self::Accepted { credit } => (1, credit),
            Self::Refused => (0, 0),
        };
        to.write_u8(tag).await?;
        to.write_u64_le(credit).await?;
        to.flush().await
    }

    pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let tag = from.read_u8().await?;
        let credit = from.read_u64_le().await?;
        match tag {
            0 => Ok(Self::Refused),
            1 => Ok(Self::Accepted { credit }),
            _ => Err(bad("an answer that this version of Weir does not know")),
        }
    }
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let (tag, flags, value) = match self.kind {
            Kind::Data { cost } => (1_u8, 0_u8, cost),
            Kind::Watermark(mark) => (2, 0, mark.0 as u64),
            Kind::Idle => (3, 0, 0),
            Kind::Barrier(b) => {
                (4, u8::from(b.freeze) | u8::from(b.full) << 1 | u8::from(b.last) << 2, b.attempt.0)
            }
            Kind::End => (5, 0, 0),
            Kind::Active => (6, 0, 0),
            Kind::Round(source, round) => (7, 0, u64::from(source.0) << 32 | u64::from(round.0)),
        };
        bytes[0..4].copy_from_slice(&self.channel.edge.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.channel.from.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.channel.to.to_le_bytes());
        bytes[12] = tag;
        bytes[13] = flags;
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&value.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.body.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.crc.to_le_bytes());
        let own = crc32c::crc32c(&bytes[..40]);
        bytes[40..44].copy_from_slice(&own.to_le_bytes());
        bytes
    }

    pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut bytes = [0; HEADER];
        from.read_exact(&mut bytes).await?;
        let u32_at = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if crc32c::crc32c(&bytes[..40]) != u32_at(40) {
            return Err(bad("a frame's header is damaged"));
        }
        let value = u64_at(24);
        let flag = |bit: u8| bytes[13] & (1 << bit) != 0;
        let kind = match bytes[12] {
            1 => Kind::Data { cost: value },
            2 => Kind::Watermark(Watermark(value as i64)),
            3 => Kind::Idle,
            4 => Kind::Barrier(Barrier {
                attempt: Attempt(value),
                freeze: flag(0),
                full: flag(1),
                last: flag(2),
            }),
            5 => Kind::End,
            6 => Kind::Active,
            7 => Kind::Round(VertexId(u32_at(28)), Round(u32_at(24))),
            other => return Err(bad(format!("a frame of kind {other} is not known"))),
        };
        let body = u32_at(32);
        if body > MAX_BODY {
            return Err(bad(format!("a frame of {body} bytes is above the limit")));
        }
        Ok(Self {
            channel: ChannelKey { edge: u32_at(0), from: u32_at(4), to: u32_at(8) },
            kind,
            sequence: u64_at(16),
            body,
            crc: u32_at(36),
        })
    }
}

/// Credit that a receiver grants back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Credit {
    pub(crate) channel: ChannelKey,
    pub(crate) bytes: u64,
}

impl Credit {
    pub(crate) fn encode(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[0..4].copy_from_slice(&self.channel.edge.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.channel.from.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.channel.to.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.bytes.to_le_bytes());
        bytes
    }

    pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let edge = from.read_u32_le().await?;
        let source = from.read_u32_le().await?;
        let to = from.read_u32_le().await?;
        let bytes = from.read_u64_le().await?;
        Ok(Self { channel: ChannelKey { edge, from: source, to }, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn headers_survive_the_wire_and_damage_is_noticed() {
        let channel = ChannelKey { edge: 1, from: 2, to: 3 };
        let barrier = Barrier { attempt: Attempt(9), freeze: true, full: false, last: true };
        for kind in [
            Kind::Data { cost: 77 },
            Kind::Watermark(Watermark(-5)),
            Kind::Watermark(Watermark::MAX),
            Kind::Idle,
            Kind::Active,
            Kind::Round(VertexId(3), Round(u32::MAX)),
            Kind::Round(VertexId(u32::MAX), Round(3)),
            Kind::End,
            Kind::Barrier(barrier),
            Kind::End,
        ] {
            let header = Header { channel, kind, sequence: 4, body: 10, crc: 11 };
            let bytes = header.encode();
            assert_eq!(Header::read(&mut &bytes[..]).await.expect("reads"), header);
            for at in 0..44 {
                let mut damaged = bytes;
                damaged[at] ^= 1;
                assert!(Header::read(&mut &damaged[..]).await.is_err(), "byte {at}");
            }
        }
    }
}
