//! Runs by seed. `WEIR_SIM_SEEDS=5000 cargo test -p weir-sim --release --test seeds` runs more;
//! `WEIR_SIM_FIRST` says where to begin, `WEIR_SIM_INPUT` (`files`, `bursts`, `partitions`) what
//! all of them read instead of the three in turn.

use std::collections::BTreeMap;
use std::thread;

use weir_sim::bug::InjectedBug;
use weir_sim::run::{Outcome, RunSpec, Violation, run};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs seeds on all cores, in a lane each, until each lane's first failure. One of them is
/// returned and all are printed.
fn all(first: u64, count: u64, bug: InjectedBug) -> Result<Vec<Outcome>, Violation> {
    let threads = thread::available_parallelism().map_or(2, usize::from) as u64;
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..threads)
            .map(|lane| {
                scope.spawn(move || {
                    (first..first + count)
                        .filter(|seed| seed % threads == lane)
                        .map(|seed| run(RunSpec { seed, calm: false, bug }))
                        .map(|outcome| outcome.inspect_err(|found| eprintln!("{found}")))
                        .collect::<Result<Vec<_>, _>>()
                })
            })
            .collect();
        let mut outcomes = Vec::new();
        for lane in lanes {
            outcomes.extend(lane.join().expect("a lane runs to its end")?);
        }
        Ok(outcomes)
    })
}

#[test]
fn a_calm_run_shows_every_row_once() {
    for seed in 0..4 {
        run(RunSpec { seed, calm: true, bug: InjectedBug::None }).expect("a calm run is right");
    }
}

/// What is found once can be looked at again.
#[test]
fn a_seed_repeats_its_run() {
    for seed in 0..12 {
        let once = || {
            let outcome = run(RunSpec { seed, calm: false, bug: InjectedBug::None });
            outcome.expect("a run is right").histogram
        };
        assert_eq!(once(), once(), "seed {seed}");
    }
}

#[test]
fn two_hundred_runs_under_fire_equal_the_calm_one() {
    let count = setting("WEIR_SIM_SEEDS", 200);
    let first = setting("WEIR_SIM_FIRST", 0);
    let outcomes = all(first, count, InjectedBug::None).unwrap_or_else(|v| panic!("{v}"));
    let mut histogram: BTreeMap<String, u64> = BTreeMap::new();
    for (what, times) in outcomes.into_iter().flat_map(|o| o.histogram) {
        *histogram.entry(what).or_default() += times;
    }
    println!("{count} seeds");
    for (what, times) in &histogram {
        println!("{times:>8}  {what}");
    }
    if count < 200 {
        return;
    }
    for needed in [
        "worker killed",
        "worker stopped and continued",
        "coordinator killed",
        "coordinator stopped and continued",
        "prefetch",
        "bytes read from caches",
        "bytes read past caches",
        "objects pushed out of caches",
    ] {
        assert!(histogram.get(needed).is_some_and(|n| *n > 0), "{needed} never happened");
    }
}

#[test]
fn a_create_believed_without_the_listing_after_it_is_found() {
    let found = all(0, 200, InjectedBug::CreateBelieved);
    assert!(found.is_err(), "200 seeds did not find it");
}

#[test]
fn a_declined_attempt_that_drops_its_output_is_found() {
    let found = all(0, 200, InjectedBug::DeclinedDropsOutput);
    assert!(found.is_err(), "200 seeds did not find it");
}

#[test]
fn a_declined_attempt_that_drops_its_keyed_state_is_found() {
    let found = all(0, 200, InjectedBug::DeclinedDropsState);
    assert!(found.is_err(), "200 seeds did not find it");
}

#[test]
fn a_declined_attempt_that_drops_its_state_tables_is_found() {
    let found = all(0, 200, InjectedBug::DeclinedDropsTables);
    assert!(found.is_err(), "200 seeds did not find it");
}
