//! The calls over gRPC. Connections are not kept: pods come and go, and a poll every few seconds
//! is cheaper than knowing which connection still means the same process.

use std::time::Duration;

use async_trait::async_trait;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use weir_protocol::control::worker_client::WorkerClient;

use super::{BeginReply, CallError, Operation, PlanReply, TerminateReply, WorkerReport, Workers};
use crate::names::CONTROL_PORT;

/// An unreachable pod must not hold up a round.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A worker under load still answers from its own thread.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// Planning starts a process and may look at schemas of sources.
const PLAN_TIMEOUT: Duration = Duration::from_secs(20);

/// Calls workers over the network.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcWorkers;

impl GrpcWorkers {
    /// Plans a manifest at this address, `host:port`, beside the job that runs there.
    ///
    /// # Errors
    /// Nobody answers there, or has other work.
    pub async fn plan_at(address: String, manifest: &str) -> Result<PlanReply, CallError> {
        let (address, mut client) = Self::connect_to(address, PLAN_TIMEOUT).await?;
        let request = weir_protocol::control::PlanRequest { manifest: manifest.to_owned() };
        let reply = client.plan(request).await;
        reply.map(tonic::Response::into_inner).map_err(|status| failed(&address, &status))
    }

    async fn connect(
        ip: &str,
        timeout: Duration,
    ) -> Result<(String, WorkerClient<Channel>), CallError> {
        Self::connect_to(address(ip), timeout).await
    }

    async fn connect_to(
        address: String,
        timeout: Duration,
    ) -> Result<(String, WorkerClient<Channel>), CallError> {
        let silent = |cause: String| CallError::Silent { address: address.clone(), cause };
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| silent(error.to_string()))?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout);
        let channel = tokio::time::timeout(CONNECT_TIMEOUT * 2, endpoint.connect())
            .await
            .map_err(|_| silent("no connection in time".to_owned()))?
            .map_err(|error| silent(error.to_string()))?;
        Ok((address, WorkerClient::new(channel)))
    }
}

/// Of a pod's control port.
fn address(ip: &str) -> String {
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    format!("{host}:{CONTROL_PORT}")
}

fn failed(address: &str, status: &tonic::Status) -> CallError {
    let address = address.to_owned();
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
            CallError::Silent { address, cause: status.message().to_owned() }
        }
        _ => CallError::Refused { address, message: status.message().to_owned() },
    }
}

#[async_trait]
impl Workers for GrpcWorkers {
    async fn report(&self, ip: &str) -> Result<WorkerReport, CallError> {
        let (address, mut client) = Self::connect(ip, CALL_TIMEOUT).await?;
        let reply = client.report(weir_protocol::control::ReportRequest::default()).await;
        reply.map(tonic::Response::into_inner).map_err(|status| failed(&address, &status))
    }

    async fn begin(&self, ip: &str, operation: Operation) -> Result<BeginReply, CallError> {
        let (address, mut client) = Self::connect(ip, CALL_TIMEOUT).await?;
        let reply = client.begin(operation).await;
        reply.map(tonic::Response::into_inner).map_err(|status| failed(&address, &status))
    }

    async fn plan(&self, ip: &str, manifest: &str) -> Result<PlanReply, CallError> {
        Self::plan_at(address(ip), manifest).await
    }

    async fn terminate(&self, ip: &str, pod_uid: &str) -> Result<TerminateReply, CallError> {
        let (address, mut client) = Self::connect(ip, CALL_TIMEOUT).await?;
        let request = weir_protocol::control::TerminateRequest { pod_uid: pod_uid.to_owned() };
        let reply = client.terminate(request).await;
        reply.map(tonic::Response::into_inner).map_err(|status| failed(&address, &status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pod_that_cannot_be_reached_is_silent_and_holds_nobody_up() {
        // Nothing listens on this port of the loopback network.
        let began = tokio::time::Instant::now();
        let Err(error) = GrpcWorkers.report("127.0.0.77").await else { panic!("who was that?") };
        assert!(error.to_string().starts_with("127.0.0.77:7101 does not answer"), "{error}");
        assert!(began.elapsed() < CONNECT_TIMEOUT * 3);
    }
}
