//! Weir's promises on a real Kubernetes: `cargo test -p weir-e2e --features cluster --test cluster`.
//!
//! All scenarios share one cluster and run one after the other, because two cores carry one
//! cluster; so this is a program of its own rather than the usual test harness. Arguments are
//! those of the usual one as far as they make sense: words that names must contain, `--list`.
//! On failure it prints the jobs, pods, events, logs and chains of the scenario's namespace.
//!
//! ```text
//!   up ──► the cluster alone ──► helm install ──► scenario, scenario, … ──► helm uninstall ──► down
//! ```

mod alone;
mod change;
mod chart;
mod faults;
mod flights;
mod lifecycle;
mod readme;
mod start;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use tokio::time::Instant;
use weir_e2e::testbed::cluster::{RELEASE, Stage};

/// A scenario by its name, which is also its namespace.
struct Scenario {
    name: &'static str,
    /// Whether the operator has to be there.
    operator: bool,
    run: fn(&Stage, &str) -> Result<()>,
}

macro_rules! scenarios {
    ($($operator:literal $module:ident::$name:ident,)*) => {
        &[$(Scenario {
            name: stringify!($name),
            operator: $operator,
            run: $module::$name,
        }),*]
    };
}

const SCENARIOS: &[Scenario] = scenarios![
    false alone::pods_of_both_nodes_find_each_other_and_the_store,
    false alone::a_node_cut_off_comes_back,
    false chart::the_chart_is_what_the_operator_needs,
    false readme::the_commands_of_the_readme_work_in_their_order,
    true start::a_job_is_ready_and_writes_what_the_oracle_says,
    true start::a_program_that_does_not_plan_says_where,
    true change::kubectl_scale_rescales_a_running_job,
    true change::a_changed_program_goes_on_from_a_savepoint,
    true faults::killed_workers_cost_no_row,
    true faults::a_worker_and_the_coordinator_killed_at_once_cost_no_row,
    true faults::a_killed_container_costs_no_row,
    true faults::a_killed_operator_costs_nothing,
    true lifecycle::a_suspended_job_resumes,
    true lifecycle::a_drained_job_writes_every_result,
    true lifecycle::deletion_keeps_state_or_removes_it,
    true chart::the_chart_stays_while_jobs_exist,
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let chosen: Vec<_> = SCENARIOS
        .iter()
        .filter(|each| words.is_empty() || words.iter().any(|word| each.name.contains(*word)))
        .collect();
    if arguments.iter().any(|word| word == "--list") {
        chosen.iter().for_each(|each| println!("{}: test", each.name));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let start = Instant::now();
    let failed = match Stage::start() {
        Ok(Some(stage)) => {
            println!("cluster, S3 and images are up after {:.1} s", start.elapsed().as_secs_f64());
            let failed = run(&stage, &chosen);
            let start = Instant::now();
            drop(stage);
            println!("cluster is down after {:.1} s", start.elapsed().as_secs_f64());
            failed
        }
        Ok(None) => {
            println!("WEIR_E2E_NO_CLUSTER is set: none of them runs");
            println!("\ntest result: ok. 0 passed; 0 failed; {} ignored", chosen.len());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            println!("no cluster: {error:#}");
            chosen.len()
        }
    };
    println!(
        "\ntest result: {}. {} passed; {failed} failed; 0 ignored; 0 measured; {} filtered out; \
         finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        chosen.len() - failed,
        SCENARIOS.len() - chosen.len(),
        start.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the scenarios and returns how many failed.
fn run(stage: &Stage, chosen: &[&Scenario]) -> usize {
    let mut failed = 0;
    let mut installed = false;
    for scenario in chosen {
        let start = Instant::now();
        // A namespace's name has at most 63 characters, and no underscores.
        let namespace = scenario.name.replace('_', "-");
        let result = catch_unwind(AssertUnwindSafe(|| {
            if scenario.operator && !installed {
                stage.install_chart()?;
                installed = true;
            }
            (scenario.run)(stage, &namespace)
        }));
        let result = result.unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().cloned();
            Err(anyhow!(words.unwrap_or_else(|| "it panicked".to_owned())))
        });
        let took = start.elapsed().as_secs_f64();
        match result {
            Ok(()) => println!("test {} ... ok ({took:.1} s)", scenario.name),
            Err(error) => {
                failed += 1;
                println!("test {} ... FAILED ({took:.1} s)\n{error:#}", scenario.name);
                println!("{}", stage.describe(&namespace));
                if scenario.operator {
                    println!("{}", stage.describe(RELEASE));
                }
                println!("--- state in the store\n{}", stage.chain(&namespace));
            }
        }
    }
    failed
}
