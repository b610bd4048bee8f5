//! What a coordinator has done, told once: operations that it reports as ended, and that it took
//! the job over from one that was lost.

use super::coordinator::Coordinator;
use super::facts::Facts;
use super::plan::{Event, Plan};
use crate::workers::{OperationKind, OperationOutcome, OperationReport};

/// Adds what the coordinator of the running revision reports.
pub(super) fn of_the_coordinator(facts: &Facts, plan: &mut Plan) {
    let running = plan.view.running.as_deref();
    let Some(coordinator) = running.and_then(|revision| facts.coordinator(revision)) else {
        return;
    };
    let status = coordinator.view.status.as_ref();
    let done = status.into_iter().flat_map(|status| &status.operations).filter_map(ended);
    let told: Vec<Event> = done.chain(taken_over(facts, running, &coordinator)).collect();
    plan.events.extend(told);
}

fn ended(report: &OperationReport) -> Option<Event> {
    // A coordinator that took over places the same tasks anew, which is no news.
    if report.outcome() != OperationOutcome::Done {
        return None;
    }
    let reason = match report.kind() {
        OperationKind::Rescale => "Rescaled",
        OperationKind::Recovery => "Recovered",
        // A stop is told with its end, under its savepoint's name.
        _ => return None,
    };
    let key = format!("{}-{}", report.at_ms, report.id);
    Some(Event::normal(reason, &key, report.message.clone()))
}

/// The coordinator that the status shows is gone, and this one has restored the job.
fn taken_over(
    facts: &Facts,
    running: Option<&str>,
    coordinator: &Coordinator<'_>,
) -> Option<Event> {
    let before = facts.predecessor(running, coordinator)?;
    let failure = facts.last_failure.as_ref().filter(|failure| failure.pod == before.pod);
    let why = failure.map(|failure| format!(" ({})", failure.reason)).unwrap_or_default();
    let (lost, pod) = (&before.pod, coordinator.pod);
    let how = match lost == pod {
        true => format!("worker {pod}, which coordinates the job, was started again{why}"),
        false => format!("worker {lost}, which coordinated the job, is gone{why}; {pod} took over"),
    };
    let message = format!(
        "{how}, with term {}, and went on from epoch {}",
        coordinator.term, coordinator.view.restored_epoch
    );
    Some(Event::normal("Recovered", &format!("term-{}", coordinator.term), message))
}
