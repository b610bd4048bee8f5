//! Seeded runs: three coordinators that know nothing of each other, each behind a store that
//! lies to it, stalling and dying as they go. In the end every row is visible exactly once.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::{Rig, SOON, Toy, job, request};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use weir_checkpoint::store::testing::{FaultRates, LyingStore, MemoryStore, Operation};
use weir_checkpoint::{Chain, ChainOptions, Nonces, PublishError, Steps, steps};

const SEEDS: u64 = 300;
const RUN: Duration = Duration::from_secs(600);

/// One process after the other in the same place: takes over, works, dies, comes back.
async fn live(chain: Chain, rig: Arc<Rig>, worker: u32, mut rng: StdRng) {
    let mut nap = move |most_ms: u64| Duration::from_millis(rng.random_range(1..=most_ms));
    loop {
        tokio::time::sleep(nap(20_000)).await;
        let Ok(writer) = chain.take_over(&request(worker), Duration::from_secs(60)).await else {
            continue;
        };
        let mut toy = Toy::on(writer, &rig.sink);
        if nap(4) > Duration::from_millis(3) {
            tokio::time::sleep(nap(30_000)).await;
        }
        toy.commit_all().await;
        for _ in 0..nap(30).as_millis() {
            tokio::time::sleep(nap(1_500)).await;
            if toy.writer.may_start_attempt() {
                toy.freeze(nap(3).as_millis() as u64);
                match toy.publish(nap(6_000)).await {
                    // Voided: the frozen rows stay and go into the next attempt.
                    Ok(_) | Err(PublishError::Voided { .. }) => {}
                    Err(PublishError::Fenced { .. }) => break,
                    Err(other) => panic!("{other}"),
                }
            }
            if nap(3) > Duration::from_millis(1) {
                toy.commit_all().await;
            }
            if nap(4) > Duration::from_millis(3) {
                toy.writer.collect().await.ok();
            }
            if nap(30) == Duration::from_millis(1) {
                tokio::time::sleep(nap(60_000)).await;
            }
        }
    }
}

type Histogram = (BTreeMap<&'static str, u64>, BTreeMap<(Operation, &'static str), u64>);

async fn run(seed: u64) -> (u64, Histogram) {
    let mut rng = StdRng::seed_from_u64(seed);
    let rig = Arc::new(Rig {
        memory: MemoryStore::new(),
        sink: common::Sink::default(),
        nonces: Nonces::seeded(seed),
    });
    let counted = Steps::counting();
    let mut clients = Vec::new();
    let mut tasks = Vec::new();
    for worker in 0..3 {
        let inner = Arc::new(rig.memory.clone());
        let lying = LyingStore::seeded(inner, rng.random(), FaultRates::default());
        let options = ChainOptions { steps: counted.clone(), ..rig.options() };
        let chain = Chain::attach(Arc::new(lying.clone()), &job(), options);
        clients.push(lying);
        let rng = StdRng::seed_from_u64(rng.random());
        tasks.push(tokio::spawn(live(chain, rig.clone(), worker, rng)));
    }
    tokio::time::sleep(RUN).await;
    for task in tasks {
        task.abort();
        if let Err(error) = task.await {
            assert!(error.is_cancelled(), "seed {seed}: {error}");
        }
    }
    // Whatever is still on its way lands; then a last process takes over.
    tokio::time::sleep(SOON * 6).await;
    let mut last = rig.recover(9).await;
    last.checkpoint(1).await;
    last.commit_all().await;
    last.writer.collect().await.unwrap();
    rig.sink.assert_exactly(last.position);
    let mut faults = BTreeMap::new();
    for (fault, n) in clients.iter().flat_map(LyingStore::hits) {
        *faults.entry(fault).or_default() += n;
    }
    (last.position, (counted.histogram(), faults))
}

#[test]
fn faulty_runs_show_every_row_once() {
    let (mut rows, mut all): (u64, Histogram) = Default::default();
    for seed in 0..SEEDS {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (position, (steps, faults)) = runtime.block_on(run(seed));
        rows += position;
        steps.into_iter().for_each(|(k, n)| *all.0.entry(k).or_default() += n);
        faults.into_iter().for_each(|(k, n)| *all.1.entry(k).or_default() += n);
    }
    println!("{rows} rows over {SEEDS} seeds\n{:#?}\n{:#?}", all.0, all.1);
    assert!(rows > SEEDS * 20, "somebody makes progress: {rows} rows");
    // A run that meets no problem shows nothing.
    for step in [
        steps::SEAL_LOST,
        steps::PUBLISH_READ_BACK,
        steps::PUBLISH_PUT_AGAIN,
        steps::VOIDED,
        steps::FENCED,
        steps::COLLECT_BEFORE_DELETE,
    ] {
        assert!(all.0.get(step).copied().unwrap_or_default() > 20, "{step} is hardly reached");
    }
    assert!(all.1.len() >= 17, "every fault of every call is met: {:?}", all.1);
}
