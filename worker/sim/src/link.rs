//! The control protocol between the processes of a simulation.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use weir_coordinator::CoordinatorHandle;
use weir_coordinator::link::{Connect, ConnectError, MasterLink, WorkerLink, in_process};
use weir_protocol::control::{from_worker, to_worker};

use crate::bug::InjectedBug;
use crate::process::{Life, Process};

/// The way from a worker to whoever coordinates now: messages keep their order, take their
/// time, and stop with either process.
pub(crate) struct ControlLink {
    pub(crate) worker: Process,
    pub(crate) current: Arc<Mutex<Option<(Process, CoordinatorHandle)>>>,
    pub(crate) seed: u64,
    pub(crate) bug: InjectedBug,
}

#[async_trait]
impl Connect for ControlLink {
    async fn connect(&self) -> Result<WorkerLink, ConnectError> {
        self.worker.gate().await;
        let unreachable = || ConnectError {
            address: "the coordinator".to_owned(),
            problem: "nobody coordinates".to_owned(),
            refused: false,
        };
        let (master, handle) = self.current.lock().clone().ok_or_else(unreachable)?;
        if master.life() != Life::Alive {
            return Err(unreachable());
        }
        let (near, worker_side) = in_process();
        let (master_side, link) = in_process();
        handle.attachments().attach(link).await?;
        tokio::spawn(carry(
            worker_side,
            master_side,
            [self.worker.clone(), master],
            StdRng::seed_from_u64(self.seed),
            self.bug,
        ));
        Ok(near)
    }
}

/// Carries messages both ways until one side ends.
async fn carry(
    mut worker: MasterLink,
    mut master: WorkerLink,
    ends: [Process; 2],
    mut rng: StdRng,
    bug: InjectedBug,
) {
    let buggy = bug.over_link();
    loop {
        tokio::select! {
            biased;
            () = ends[0].death() => return,
            () = ends[1].death() => return,
            message = worker.from.recv() => {
                let Some(mut message) = message else { return };
                if !delay(&mut rng, &ends).await { return }
                let ack = matches!(message.kind, Some(from_worker::Kind::Ack(_)));
                if ack && rng.random_ratio(1, 30) {
                    tokio::time::sleep(LATE_ACK).await;
                }
                buggy.drop_earlier(&mut message);
                if master.send(message).is_err() { return }
            }
            message = master.receive() => {
                let Some(message) = message else { return };
                // Answers to heartbeats say nothing that a schedule could depend on, and draw
                // nothing: a seed's schedule is that of the messages that matter.
                let answer = matches!(message.kind, Some(to_worker::Kind::Heard(_)));
                if !answer && !delay(&mut rng, &ends).await { return }
                if worker.to.send(message).await.is_err() { return }
            }
        }
    }
}

/// An ack that comes after its attempt was given up: what was frozen for that, here and on other
/// workers, belongs to the next attempt.
const LATE_ACK: Duration = Duration::from_millis(1_200);

/// A connection whose other end does not answer for so long is given up, as keep-alive does.
const SILENCE: Duration = Duration::from_secs(3);

/// Waits as long as a message takes; `false` when the connection breaks meanwhile.
async fn delay(rng: &mut StdRng, ends: &[Process; 2]) -> bool {
    // Most messages are quick; a few are so late that others overtake them on other links.
    let ms =
        if rng.random_ratio(1, 50) { rng.random_range(0..300) } else { rng.random_range(0..3) };
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    for end in ends {
        if tokio::time::timeout(SILENCE, end.gate()).await.is_err() {
            return false;
        }
    }
    true
}
