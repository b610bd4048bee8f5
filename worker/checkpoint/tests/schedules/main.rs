//! The schedules of PROTOCOL section 2, against the real chain. In each: nothing lost, nothing
//! twice, somebody makes progress.
#![allow(clippy::unwrap_used, clippy::panic)]

mod collection;
mod commits;
#[path = "../common/mod.rs"]
mod common;
mod publication;
mod roll_back;
mod writers;

use std::sync::Arc;

use common::{Rig, job};
use futures::future::BoxFuture;
use tokio::sync::Notify;
use weir_checkpoint::steps::Steps;
use weir_checkpoint::store::testing::LyingStore;
use weir_checkpoint::{Chain, ChainOptions};

/// A client that stops at the first arrival at `step` and goes on when told.
fn stalling(rig: &Rig, step: &'static str) -> (Chain, LyingStore, Arc<Notify>, Arc<Notify>) {
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (r, g) = (reached.clone(), go_on.clone());
    let first = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let hook = move |at: &'static str| -> BoxFuture<'static, ()> {
        let stop = at == step && first.swap(false, std::sync::atomic::Ordering::SeqCst);
        let (r, g) = (r.clone(), g.clone());
        Box::pin(async move {
            if stop {
                r.notify_one();
                g.notified().await;
            }
        })
    };
    let first_step_only =
        Steps::with_hook(Arc::new(
            move |at| {
                if at == step { hook(at) } else { Box::pin(async {}) }
            },
        ));
    let lying = LyingStore::new(Arc::new(rig.memory.clone()));
    let options = ChainOptions { steps: first_step_only, ..rig.options() };
    (Chain::attach(Arc::new(lying.clone()), &job(), options), lying, reached, go_on)
}

fn object(name: &str) -> String {
    format!("{}/{name}", job())
}
