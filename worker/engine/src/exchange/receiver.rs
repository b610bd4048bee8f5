//! The receiving end: accepts connections of the running term and fills its channels.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use weir_protocol::{Term, WorkerId};

use super::codec;
use super::frame::{ChannelKey, Credit, Handshake, Header, Kind, Welcome};
use super::transport::{Listener, Stream, Transport};
use crate::runtime::Channel;
use crate::task::TaskEvent;
use crate::{EngineError, Message};

/// How long a connection may wait for its term to be deployed here.
const DEPLOY_WAIT: Duration = Duration::from_secs(30);

/// Channels of one term that other workers feed.
pub(crate) struct Inbound {
    pub(crate) term: Term,
    pub(crate) credit: u64,
    pub(crate) channels: BTreeMap<ChannelKey, (Arc<Channel>, arrow::datatypes::SchemaRef)>,
    pub(crate) events: tokio::sync::mpsc::UnboundedSender<TaskEvent>,
    /// Becomes true when the term's tasks end; connections then close.
    pub(crate) ended: watch::Receiver<bool>,
}

/// Listens for other workers. One per worker process, for all its terms.
pub struct ExchangeServer {
    address: String,
    job: String,
    current: watch::Sender<Option<Arc<Inbound>>>,
    accepting: JoinHandle<()>,
}

impl ExchangeServer {
    /// Starts listening at `address`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(
        transport: &dyn Transport,
        address: &str,
        job: &str,
    ) -> io::Result<Arc<Self>> {
        let listener = transport.listen(address).await?;
        let (current, _) = watch::channel(None);
        Ok(Arc::new(Self {
            address: listener.address(),
            job: job.to_owned(),
            accepting: tokio::spawn(accept_all(listener, job.to_owned(), current.subscribe())),
            current,
        }))
    }

    /// Where other workers reach it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The job it serves.
    #[must_use]
    pub fn job(&self) -> &str {
        &self.job
    }

    /// Lets connections of this term in, and those of other terms no longer.
    pub(crate) fn serve(&self, inbound: Arc<Inbound>) {
        self.current.send_replace(Some(inbound));
    }
}

impl Drop for ExchangeServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept_all(
    listener: Box<dyn Listener>,
    job: String,
    current: watch::Receiver<Option<Arc<Inbound>>>,
) {
    loop {
        match listener.accept().await {
            Ok(stream) => {
                tokio::spawn(receive(stream, job.clone(), current.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "an exchange connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn receive(
    mut stream: Box<dyn Stream>,
    job: String,
    mut current: watch::Receiver<Option<Arc<Inbound>>>,
) {
    let Ok(handshake) = Handshake::read(&mut stream).await else { return };
    let found = if handshake.job == job {
        let wait = current.wait_for(|c| c.as_ref().is_some_and(|c| c.term >= handshake.term));
        match tokio::time::timeout(DEPLOY_WAIT, wait).await {
            Ok(Ok(inbound)) => inbound.clone().filter(|i| i.term == handshake.term),
            _ => None,
        }
    } else {
        None
    };
    let Some(inbound) = found else {
        let _ = Welcome::Refused.write(&mut stream).await;
        return;
    };
    if (Welcome::Accepted { credit: inbound.credit }).write(&mut stream).await.is_err() {
        return;
    }
    let mut ended = inbound.ended.clone();
    let error = tokio::select! {
        biased;
        result = pump(stream, &inbound, handshake.from) => match result {
            Ok(never) => match never {},
            Err(error) => error,
        },
        _ = ended.wait_for(|ended| *ended) => return,
    };
    let _ = inbound.events.send(TaskEvent::PeerLost {
        worker: handshake.from,
        error: EngineError::external(format!("exchange with worker {}: {error}", handshake.from)),
    });
}

enum Never {}

/// Bytes that were taken from channels and not yet granted back.
#[derive(Default)]
struct Owed {
    by_channel: Mutex<BTreeMap<ChannelKey, u64>>,
    wanted: Notify,
}

async fn pump(stream: Box<dyn Stream>, inbound: &Inbound, from: WorkerId) -> io::Result<Never> {
    let owed = Arc::new(Owed::default());
    let (mut reader, mut writer) = tokio::io::split(stream);
    let grant = async {
        loop {
            let credits = std::mem::take(&mut *owed.by_channel.lock());
            for (channel, bytes) in credits {
                writer.write_all(&Credit { channel, bytes }.encode()).await?;
            }
            writer.flush().await?;
            owed.wanted.notified().await;
        }
    };
    let fill = async {
        let mut expected = 0;
        let mut granting = BTreeSet::new();
        loop {
            let header = Header::read(&mut reader).await?;
            if header.sequence != expected {
                return Err(io::Error::other(format!(
                    "frame {expected} of worker {from} is missing, {} came instead",
                    header.sequence
                )));
            }
            expected += 1;
            let Some((channel, schema)) = inbound.channels.get(&header.channel) else {
                return Err(io::Error::other("a frame for a channel that does not exist"));
            };
            let message = match header.kind {
                Kind::Data { cost } => {
                    let mut body = codec::body(header.body as usize);
                    tokio::io::AsyncReadExt::read_exact(&mut reader, body.as_slice_mut()).await?;
                    if crc32c::crc32c(body.as_slice()) != header.crc {
                        return Err(io::Error::other("a frame's body is damaged"));
                    }
                    let batch = codec::decode(schema, body).map_err(io::Error::other)?;
                    if granting.insert(header.channel) {
                        let (key, owed) = (header.channel, Arc::clone(&owed));
                        channel.set_release(Box::new(move |bytes| {
                            *owed.by_channel.lock().entry(key).or_default() += bytes as u64;
                            owed.wanted.notify_one();
                        }));
                    }
                    channel.push_costing(Message::Data(batch), cost as usize);
                    continue;
                }
                Kind::Watermark(mark) => Message::Watermark(mark),
                Kind::Idle => Message::Idle,
                Kind::Active => Message::Active,
                Kind::Round(source, round) => Message::Round(source, round),
                Kind::Barrier(barrier) => Message::Barrier(barrier),
                Kind::End => Message::End,
            };
            channel.push(message);
        }
    };
    tokio::select! {
        biased;
        result = grant => result,
        result = fill => result,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};

    use super::*;
    use crate::Batch;

    /// Sends one batch with `damage` done to its body; tells why the connection ended, and how
    /// many rows came through.
    async fn receives(damage: impl FnOnce(&mut Vec<u8>)) -> (String, usize) {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let records = RecordBatch::try_from_iter([("n", column)]).expect("one column");
        let schema = records.schema();
        let mut body = Vec::new();
        codec::encode(&Batch::new(records), &mut body).expect("encodes");
        let key = ChannelKey { edge: 0, from: 0, to: 0 };
        let (kind, crc) = (Kind::Data { cost: 800 }, crc32c::crc32c(&body));
        let header = Header { channel: key, kind, sequence: 0, body: body.len() as u32, crc };
        damage(&mut body);

        let channel = Arc::new(Channel::new(1 << 20));
        let inbound = Inbound {
            term: Term(1),
            credit: 1 << 20,
            channels: BTreeMap::from([(key, (Arc::clone(&channel), schema))]),
            events: tokio::sync::mpsc::unbounded_channel().0,
            ended: watch::channel(false).1,
        };
        let (mut near, far) = tokio::io::duplex(64 << 10);
        near.write_all(&header.encode()).await.expect("there is room");
        near.write_all(&body).await.expect("there is room");
        drop(near);
        let Err(error) = pump(Box::new(far), &inbound, WorkerId(1)).await;
        let rows = std::iter::from_fn(|| channel.pop()).map(|message| match message {
            Message::Data(batch) => batch.num_rows(),
            _ => 0,
        });
        (error.to_string(), rows.sum())
    }

    #[tokio::test]
    async fn a_damaged_body_ends_the_connection_and_gives_no_rows() {
        let (_, rows) = receives(|_| {}).await;
        assert_eq!(rows, 100);
        // A value in the middle of a column: nothing but the checksum can tell.
        let (error, rows) = receives(|body| *body.last_mut().expect("a body") ^= 1).await;
        assert_eq!((error.as_str(), rows), ("a frame's body is damaged", 0));
        let (error, rows) = receives(|body| {
            let middle = body.len() - 400;
            body[middle] ^= 0x40;
        })
        .await;
        assert_eq!((error.as_str(), rows), ("a frame's body is damaged", 0));
    }
}
