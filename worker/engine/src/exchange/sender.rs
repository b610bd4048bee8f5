//! The sending end: drains channels into one connection as far as their credit goes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::io::{AsyncRead, AsyncWriteExt, BufWriter};
use tokio::sync::Notify;

use super::codec::encode;
use super::frame::{ChannelKey, Credit, Handshake, Header, Kind, Welcome};
use super::transport::Transport;
use crate::operator::Waker;
use crate::runtime::Channel;
use crate::{EngineError, Message};

/// Channels that lead to one worker.
pub(crate) struct Outbound {
    channels: Vec<(ChannelKey, Arc<Channel>, AtomicI64)>,
    wanted: Arc<Notify>,
}

impl Outbound {
    /// Becomes the consumer of the channels.
    pub(crate) fn new(channels: Vec<(ChannelKey, Arc<Channel>)>) -> Self {
        let wanted = Arc::new(Notify::new());
        for (_, channel) in &channels {
            let wanted = Arc::clone(&wanted);
            channel.set_consumer(Waker::new(move || wanted.notify_one()));
        }
        let channels =
            channels.into_iter().map(|(key, channel)| (key, channel, AtomicI64::new(0))).collect();
        Self { channels, wanted }
    }
}

/// Connects, then sends until the connection breaks; only ever returns with the reason.
pub(crate) async fn send_all(
    transport: &dyn Transport,
    address: &str,
    handshake: &Handshake,
    outbound: &Outbound,
) -> EngineError {
    match try_send_all(transport, address, handshake, outbound).await {
        Ok(never) => match never {},
        Err(error) => EngineError::external(format!("exchange with {address}: {error}")),
    }
}

enum Never {}

async fn try_send_all(
    transport: &dyn Transport,
    address: &str,
    handshake: &Handshake,
    outbound: &Outbound,
) -> io::Result<Never> {
    let mut stream = transport.connect(address).await?;
    handshake.write(&mut stream).await?;
    let credit = match Welcome::read(&mut stream).await? {
        Welcome::Accepted { credit } => credit,
        Welcome::Refused => {
            return Err(io::Error::other(format!("it does not run term {}", handshake.term)));
        }
    };
    for (_, _, granted) in &outbound.channels {
        granted.store(credit as i64, Ordering::Release);
    }
    let (reader, writer) = tokio::io::split(stream);
    tokio::select! {
        biased;
        result = take_credits(reader, outbound) => result,
        result = write_frames(writer, outbound) => result,
    }
}

async fn take_credits(
    mut reader: impl AsyncRead + Unpin,
    outbound: &Outbound,
) -> io::Result<Never> {
    let positions: BTreeMap<ChannelKey, usize> =
        outbound.channels.iter().enumerate().map(|(i, (key, _, _))| (*key, i)).collect();
    loop {
        let credit = Credit::read(&mut reader).await?;
        let Some(&position) = positions.get(&credit.channel) else {
            return Err(io::Error::other("credit for a channel that does not exist"));
        };
        outbound.channels[position].2.fetch_add(credit.bytes as i64, Ordering::AcqRel);
        outbound.wanted.notify_one();
    }
}

async fn write_frames(
    writer: impl tokio::io::AsyncWrite + Unpin,
    outbound: &Outbound,
) -> io::Result<Never> {
    let mut writer = BufWriter::with_capacity(256 << 10, writer);
    let mut sequence = 0;
    let mut body = Vec::new();
    loop {
        let mut wrote = false;
        for (key, channel, credit) in &outbound.channels {
            // One message per channel and round, so that no channel starves its neighbours.
            match channel.front_needs_credit() {
                None => continue,
                Some(true) if credit.load(Ordering::Acquire) <= 0 => continue,
                Some(_) => {}
            }
            let Some((message, cost)) = channel.pop_costing() else { continue };
            body.clear();
            let kind = match &message {
                Message::Data(batch) => {
                    credit.fetch_sub(cost as i64, Ordering::AcqRel);
                    encode(batch, &mut body).map_err(io::Error::other)?;
                    Kind::Data { cost: cost as u64 }
                }
                Message::Watermark(mark) => Kind::Watermark(*mark),
                Message::Idle => Kind::Idle,
                Message::Active => Kind::Active,
                Message::Round(source, round) => Kind::Round(*source, *round),
                Message::Barrier(barrier) => Kind::Barrier(*barrier),
                Message::End => Kind::End,
            };
            let length = u32::try_from(body.len())
                .map_err(|_| io::Error::other("a batch is too large to send"))?;
            let crc = crc32c::crc32c(&body);
            let header = Header { channel: *key, kind, sequence, body: length, crc };
            sequence += 1;
            writer.write_all(&header.encode()).await?;
            writer.write_all(&body).await?;
            wrote = true;
        }
        if !wrote {
            writer.flush().await?;
            outbound.wanted.notified().await;
        }
    }
}
