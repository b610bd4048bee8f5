//! How a worker finds the coordinator.
//!
//! In its own process; else where it was told last; else where the job's Service leads, which may
//! be a worker that only knows who coordinates. No name whose answer may be cached is waited for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use weir_coordinator::grpc::GrpcConnect;
use weir_coordinator::link::{Connect, ConnectError, WorkerLink};
use weir_protocol::Term;
use weir_protocol::control::{ReportRequest, WorkerReport, job_end};

use super::peers::Source;
use super::shared::Shared;

/// A worker that does not answer by then is taken for silent.
pub(crate) const ASK: Duration = Duration::from_secs(1);
/// Attaching to a coordinator takes one round trip.
const ATTACH: Duration = Duration::from_secs(3);

/// Why a process has not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unanswered {
    /// Nobody listens where it was: it has ended.
    Gone,
    /// It may be slow, or cut off.
    Silent,
}

/// Asks a process of the job who it is and whom it follows, and says who asks.
///
/// # Errors
/// When it does not answer `within` that time.
pub(crate) async fn ask(
    shared: &Shared,
    address: &str,
    within: Duration,
) -> Result<WorkerReport, Unanswered> {
    let asked = async {
        let connected = GrpcConnect::new(address).worker().await;
        let mut client = connected.map_err(|error| match error.refused {
            true => Unanswered::Gone,
            false => Unanswered::Silent,
        })?;
        let from = Some(shared.identity.candidate());
        let report = client.report(ReportRequest { from }).await;
        report.map(tonic::Response::into_inner).map_err(|_| Unanswered::Silent)
    };
    let report = timeout(within, asked).await.unwrap_or(Err(Unanswered::Silent))?;
    for candidate in &report.candidates {
        shared.note_candidate(candidate.clone(), Source::Another);
    }
    Ok(report)
}

/// Makes the member's connections.
pub(crate) struct Finder {
    shared: Arc<Shared>,
    /// Where to ask when nothing else is known.
    service: Option<String>,
}

impl Finder {
    pub(crate) fn new(shared: Arc<Shared>, service: Option<String>) -> Self {
        Self { shared, service }
    }

    /// Where the process at `address` says that the coordinator is: itself, or another.
    async fn lead(&self, address: &str) -> Option<String> {
        let report = ask(&self.shared, address, ASK).await.ok()?;
        let me = &self.shared.identity;
        if report.incarnation == me.incarnation {
            return None;
        }
        if let Some(coordinating) = report.coordinating {
            if let Some(end) = coordinating.end {
                // It has ended, and says how; one that was fenced has a successor.
                if end.kind() != job_end::Kind::Fenced {
                    self.shared.job_ended(end);
                }
                return None;
            }
            return Some(address.to_owned());
        }
        let elsewhere = report.coordinator;
        (!elsewhere.is_empty() && elsewhere != address && elsewhere != me.control)
            .then_some(elsewhere)
    }

    async fn try_connect(&self) -> Result<WorkerLink, ConnectError> {
        if let Some(handle) = self.shared.coordinator() {
            return handle.attachments().connect().await;
        }
        let known = self.shared.known();
        let candidates = [Some(known.address.clone()), self.service.clone()];
        for candidate in candidates.into_iter().flatten().filter(|c| !c.is_empty()) {
            let Some(mut address) = self.lead(&candidate).await else { continue };
            if address != candidate {
                // One hop: whoever was named has to coordinate itself.
                match self.lead(&address).await {
                    Some(confirmed) if confirmed == address => address = confirmed,
                    _ => continue,
                }
            }
            if let Ok(Ok(link)) = timeout(ATTACH, GrpcConnect::new(&address).connect()).await {
                self.shared.follow(Term(known.term), &address);
                return Ok(link);
            }
        }
        Err(self.nobody())
    }

    fn nobody(&self) -> ConnectError {
        let known = self.shared.known().address;
        let tried: Vec<&str> =
            [Some(known.as_str()), self.service.as_deref()].into_iter().flatten().collect();
        let problem = "nobody there coordinates".to_owned();
        ConnectError { address: tried.join(" or "), problem, refused: false }
    }
}

#[async_trait]
impl Connect for Finder {
    /// Starts anew at once when a coordinator says where it is: the places that are asked meanwhile
    /// may be those of the dead.
    async fn connect(&self) -> Result<WorkerLink, ConnectError> {
        loop {
            tokio::select! {
                biased;
                () = self.shared.news() => {}
                connected = self.try_connect() => return connected,
            }
        }
    }

    async fn news(&self) {
        self.shared.news().await;
    }
}
