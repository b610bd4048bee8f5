//! A live rescale of a job with much state, over a store that takes its time.
//!
//! While output pauses, workers read from the store what the last checkpoint has written and
//! nothing else: the rest was read while the job ran. So the pause does not grow with the state.

use std::sync::Arc;
use std::time::Duration;

use weir_checkpoint::store::testing::MemoryStore;
use weir_engine::source::Assignment;

use crate::fake::World;
use crate::job::{Job, end, local, until};
use crate::slow::{Call, RATE, SlowStore, read, written};

/// State of a key group that rows change, and of one that they do not.
const PADDING: [usize; 2] = [100_000, 4_000_000];
/// All of it.
const STATE: u64 = 4 * (PADDING[0] + PADDING[1]) as u64;

/// What a rescale from 2 to 4 workers has cost.
#[derive(Debug)]
struct Cost {
    /// Written by the checkpoint behind which the tasks froze.
    delta: u64,
    /// Read from that checkpoint on, until output has come at the new parallelism.
    read: u64,
    pause_ms: u64,
}

async fn rescale(cache_bytes: u64, prefetch_ms: u64) -> Cost {
    let world = World::with_state(8, 500, PADDING);
    let store = SlowStore::new(Arc::new(MemoryStore::new()));
    let mut job = Job::new(&world, 2, true, Assignment::Eager);
    job.store = Arc::new(store.clone());
    job.cache_bytes = cache_bytes;
    job.config.master.checkpoint_interval_ms = 200;
    job.config.master.prefetch_ms = prefetch_ms;
    let handle = job.start();
    let _workers: Vec<_> = (0..4).map(|n| job.worker(n, 1, local(&handle))).collect();
    until(&handle, |s| s.epoch >= 3).await;
    let rescaled = handle.rescale(4).await.unwrap();
    let before = store.calls();
    let visible = world.rows().len();
    let output = async {
        while world.rows().len() == visible {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), output).await.expect("output comes again");
    let calls = store.calls();

    // The newest manifest at the end of the rescale is the seal, the one before it the cut.
    let manifest = |call: &Call| matches!(call, Call::Created(name) if name.contains("/chain/"));
    let mut manifests: Vec<usize> = (0..before.len()).filter(|at| manifest(&before[*at])).collect();
    manifests.pop();
    let (cut, earlier) = (manifests.pop().unwrap(), manifests.pop().unwrap());
    let cost = Cost {
        delta: written(&calls[earlier..cut]),
        read: read(&calls[cut..]),
        pause_ms: rescaled.pause_ms,
    };

    let _ = end(&handle).await;
    assert_eq!(world.rows(), world.expected());
    assert_eq!(job.counted().await, 4_000);
    cost
}

#[tokio::test(start_paused = true)]
async fn a_pause_reads_what_the_last_checkpoint_wrote_however_much_state_there_is() {
    let cost = rescale(10 * STATE, 60_000).await;
    println!("{cost:?}");
    assert!(cost.delta > 0 && cost.delta < STATE / 40, "{cost:?} of {STATE}");
    assert!(cost.read <= cost.delta, "{cost:?}");
    let whole = STATE / 2 / 2 / RATE;
    assert!(cost.pause_ms < whole, "{cost:?}, and what moves takes each worker {whole} ms");
}

#[tokio::test(start_paused = true)]
async fn a_pause_reads_what_moves_where_nothing_was_read_ahead() {
    for (cache_bytes, prefetch_ms, least) in [(10 * STATE, 0, STATE / 2), (0, 60_000, STATE)] {
        let cost = rescale(cache_bytes, prefetch_ms).await;
        println!("{cost:?}");
        assert!(cost.read >= least, "{cost:?} with {cache_bytes} bytes of cache");
        assert!(cost.pause_ms > STATE / 4 / RATE, "{cost:?}");
    }
}
