//! The control protocol over gRPC.
//!
//! Both sides probe the connection each second: one that does not answer for three seconds is
//! broken, so a worker that is cut off ends its tasks when its coordinator gives them up.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use weir_protocol::control::control_client::ControlClient;
use weir_protocol::control::control_server::{Control, ControlServer};
use weir_protocol::control::worker_client::WorkerClient;
use weir_protocol::control::worker_server::{Worker, WorkerServer};
use weir_protocol::control::{FromWorker, ToWorker};

use crate::link::{Connect, ConnectError, MasterLink, QUEUE, WorkerLink};
use crate::master::CoordinatorHandle;

/// Time between probes of a connection.
const PROBE: Duration = Duration::from_secs(1);
/// A probe that is not answered by then breaks the connection.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// A deployment or an ack carries at most 64 KiB of state per worker, and references; a job of
/// 32,768 key groups and a hundred operators stays below this.
const MAX_MESSAGE: usize = 256 << 20;

/// Serves the coordinator's control protocol until the listener fails or the coordinator ends.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    coordinator: CoordinatorHandle,
) -> Result<(), tonic::transport::Error> {
    let ended = coordinator.clone();
    server()
        .add_service(control(Arc::new(coordinator)))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async move {
            ended.ended().await;
        })
        .await
}

/// Serves what every process of a cluster answers: the control protocol, for as long as `local`
/// has a coordinator, and the worker's own questions.
///
/// # Errors
/// When the listener fails.
pub async fn serve_process(
    listener: TcpListener,
    local: Arc<dyn LocalCoordinator>,
    worker: impl Worker,
) -> Result<(), tonic::transport::Error> {
    server()
        .add_service(control(local))
        .add_service(WorkerServer::new(worker).max_decoding_message_size(MAX_MESSAGE))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
}

fn server() -> Server {
    Server::builder()
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(PROBE))
        .http2_keepalive_timeout(Some(PROBE_TIMEOUT))
}

fn control(local: Arc<dyn LocalCoordinator>) -> ControlServer<Service> {
    ControlServer::new(Service { local })
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE)
}

/// Where a process's coordinator is, while it has one.
pub trait LocalCoordinator: Send + Sync + 'static {
    /// The coordinator.
    ///
    /// # Errors
    /// When this process does not coordinate; says who does, as far as known.
    fn holder(&self) -> Result<CoordinatorHandle, String>;
}

impl LocalCoordinator for CoordinatorHandle {
    fn holder(&self) -> Result<CoordinatorHandle, String> {
        Ok(self.clone())
    }
}

struct Service {
    local: Arc<dyn LocalCoordinator>,
}

impl Service {
    fn coordinator(&self) -> Result<CoordinatorHandle, Status> {
        self.local.holder().map_err(Status::failed_precondition)
    }
}

#[async_trait]
impl Control for Service {
    type AttachStream = BoxStream<'static, Result<ToWorker, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<FromWorker>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut incoming = request.into_inner();
        let (to_worker, outgoing) = mpsc::channel(QUEUE);
        let (to_master, from_worker) = mpsc::channel(QUEUE);
        let link = MasterLink { to: to_worker, from: from_worker };
        let attached = self.coordinator()?.attachments().attach(link).await;
        attached.map_err(|e| Status::unavailable(e.to_string()))?;
        tokio::spawn(async move {
            // Ends with the connection; the queue's end tells the coordinator.
            while let Some(Ok(message)) = incoming.next().await {
                if to_master.send(message).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(outgoing).map(Ok).boxed()))
    }
}

/// Connects members to a coordinator elsewhere.
#[derive(Clone, Debug)]
pub struct GrpcConnect {
    address: String,
}

impl GrpcConnect {
    /// `address` is `host:port` or an `http://` URL. The name is resolved at every connection.
    #[must_use]
    pub fn new(address: &str) -> Self {
        let address =
            if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        Self { address }
    }

    /// A client for what every process of a cluster answers.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn worker(&self) -> Result<WorkerClient<tonic::transport::Channel>, ConnectError> {
        let channel = self.channel().await?;
        Ok(WorkerClient::new(channel).max_decoding_message_size(MAX_MESSAGE))
    }

    async fn channel(&self) -> Result<tonic::transport::Channel, ConnectError> {
        let endpoint =
            Endpoint::from_shared(self.address.clone()).map_err(|e| self.error(&e.to_string()))?;
        endpoint
            .connect_timeout(Duration::from_secs(2))
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PROBE)
            .keep_alive_timeout(PROBE_TIMEOUT)
            .keep_alive_while_idle(true)
            .connect()
            .await
            .map_err(|e| ConnectError { refused: is_refused(&e), ..self.error(&describe(&e)) })
    }

    fn error(&self, problem: &str) -> ConnectError {
        let (address, problem) = (self.address.clone(), problem.to_owned());
        ConnectError { address, problem, refused: false }
    }
}

#[async_trait]
impl Connect for GrpcConnect {
    async fn connect(&self) -> Result<WorkerLink, ConnectError> {
        let mut client = ControlClient::new(self.channel().await?)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let (to_master, outgoing) = mpsc::channel(QUEUE);
        let attached = client.attach(ReceiverStream::new(outgoing)).await;
        let mut incoming = attached.map_err(|e| self.error(e.message()))?.into_inner();
        let (to_member, from_master) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            while let Some(Ok(message)) = incoming.next().await {
                if to_member.send(message).await.is_err() {
                    return;
                }
            }
        });
        Ok(WorkerLink::new(to_master, from_master))
    }
}

fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused)
    })
}

/// The innermost cause says what happened ("connection refused"); the outer ones only where.
fn describe(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
