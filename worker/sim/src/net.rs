//! A network inside one process: named addresses, ordered byte streams, links that break.
//!
//! A stream is a pair of bounded pipes. Cutting an address breaks its streams at once, as a
//! killed process does; holding it leaves streams open and silent, as a partition does.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;
use weir_engine::exchange::{Listener, Stream, Transport};

use crate::signal::Signal;

/// Bytes that a pipe holds before its writer waits.
const PIPE_BYTES: usize = 64 << 10;

/// How an address is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    Open,
    Held,
    Cut,
}

/// All addresses of a simulated cluster.
#[derive(Clone, Default)]
pub struct Net {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    listeners: BTreeMap<String, mpsc::Sender<Box<dyn Stream>>>,
    reach: BTreeMap<String, Arc<Signal<Reach>>>,
    next: u32,
}

impl Net {
    /// A transport for the process that listens at `host`.
    #[must_use]
    pub fn transport(&self, host: &str) -> Arc<dyn Transport> {
        let open = Arc::new(Signal::new(Reach::Open));
        self.shared.lock().reach.insert(host.to_owned(), open);
        Arc::new(Host { net: self.clone(), host: host.to_owned() })
    }

    /// Breaks every stream of a host, and all that it opens later.
    pub fn cut(&self, host: &str) {
        self.set(host, Reach::Cut);
    }

    /// Lets nothing through to or from a host; nothing is lost.
    pub fn hold(&self, host: &str) {
        self.set(host, Reach::Held);
    }

    /// Lets everything through again.
    pub fn release(&self, host: &str) {
        self.set(host, Reach::Open);
    }

    fn set(&self, host: &str, reach: Reach) {
        if let Some(signal) = self.shared.lock().reach.get(host) {
            signal.set(reach);
        }
    }

    fn watch(&self, host: &str) -> io::Result<Arc<Signal<Reach>>> {
        let signal = self.shared.lock().reach.get(host).cloned();
        signal.ok_or_else(|| io::Error::other("no such host"))
    }
}

struct Host {
    net: Net,
    host: String,
}

struct Acceptor {
    address: String,
    incoming: tokio::sync::Mutex<mpsc::Receiver<Box<dyn Stream>>>,
}

fn host_of(address: &str) -> &str {
    address.split_once(':').map_or(address, |(host, _)| host)
}

#[async_trait]
impl Transport for Host {
    async fn connect(&self, address: &str) -> io::Result<Box<dyn Stream>> {
        let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, address.to_owned());
        let listener =
            self.net.shared.lock().listeners.get(address).cloned().ok_or_else(refused)?;
        let ends = [self.net.watch(&self.host)?, self.net.watch(host_of(address))?];
        if ends.iter().any(|end| end.get() == Reach::Cut) {
            return Err(refused());
        }
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        listener.send(Box::new(Pipe::new(far, ends.clone()))).await.map_err(|_| refused())?;
        Ok(Box::new(Pipe::new(near, ends)))
    }

    async fn listen(&self, _: &str) -> io::Result<Box<dyn Listener>> {
        let (sender, incoming) = mpsc::channel(16);
        let mut shared = self.net.shared.lock();
        shared.next += 1;
        let address = format!("{}:{}", self.host, shared.next);
        shared.listeners.insert(address.clone(), sender);
        Ok(Box::new(Acceptor { address, incoming: tokio::sync::Mutex::new(incoming) }))
    }
}

#[async_trait]
impl Listener for Acceptor {
    fn address(&self) -> String {
        self.address.clone()
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self.incoming.lock().await.recv().await {
            Some(stream) => Ok(stream),
            None => std::future::pending().await,
        }
    }
}

/// One end of a stream; looks at both hosts before each read or write.
struct Pipe {
    inner: DuplexStream,
    ends: [Arc<Signal<Reach>>; 2],
    changed: [Option<Pin<Box<dyn Future<Output = ()> + Send>>>; 2],
}

impl Pipe {
    fn new(inner: DuplexStream, ends: [Arc<Signal<Reach>>; 2]) -> Self {
        Self { inner, ends, changed: [None, None] }
    }

    /// Ready when both hosts are open, an error when one is cut, pending while one is held. In
    /// every case the task is woken when that changes.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for (end, changed) in self.ends.iter().zip(&mut self.changed) {
            let future = changed.get_or_insert_with(|| Box::pin(Arc::clone(end).changed()));
            if future.as_mut().poll(cx).is_ready() {
                *changed = None;
                cx.waker().wake_by_ref();
            }
        }
        let reach = [self.ends[0].get(), self.ends[1].get()];
        if reach.contains(&Reach::Cut) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if reach.contains(&Reach::Held) { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.poll_open(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.inner).poll_read(cx, buf),
            other => other,
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.poll_open(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.inner).poll_write(cx, buf),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
