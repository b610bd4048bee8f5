//! What carries bytes between workers: TCP, or a simulator's network.

use std::io;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// An ordered, reliable stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Makes connections.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Connects to a worker's exchange address.
    async fn connect(&self, address: &str) -> io::Result<Box<dyn Stream>>;

    /// Listens at `address` (port 0: any).
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>>;
}

/// Accepts connections.
#[async_trait]
pub trait Listener: Send + Sync {
    /// Where others reach it.
    fn address(&self) -> String;

    /// The next connection.
    async fn accept(&self) -> io::Result<Box<dyn Stream>>;
}

/// Plain TCP without delay.
#[derive(Debug, Default, Clone, Copy)]
pub struct TcpTransport;

struct TcpAcceptor {
    listener: TcpListener,
    address: String,
}

#[async_trait]
impl Transport for TcpTransport {
    async fn connect(&self, address: &str) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?.to_string();
        Ok(Box::new(TcpAcceptor { listener, address }))
    }
}

#[async_trait]
impl Listener for TcpAcceptor {
    fn address(&self) -> String {
        self.address.clone()
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        let (stream, _) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
