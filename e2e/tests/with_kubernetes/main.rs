//! Weir's promises on a real Kubernetes: `cargo test -p weir-e2e --test with_kubernetes`.
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
mod bursts;
mod change;
mod chart;
mod checks;
mod faults;
mod figures;
mod flights;
mod lifecycle;
mod look;
mod nodes;
mod readme;
mod start;
mod wrong;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use tokio::time::Instant;
use weir_e2e::testbed::cluster::{RELEASE, Stage};

/// A scenario by its name, which is also its namespace.
struct Scenario {
    name: &'static str,
    needs: Needs,
    run: fn(&Stage, &str) -> Result<()>,
}

/// What has to be there before a scenario begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Cluster,
    /// A cluster of its own, whose nodes and containers it may take away.
    Nodes,
    Operator,
    OperatorAndNodes,
}

impl Needs {
    fn operator(self) -> bool {
        matches!(self, Self::Operator | Self::OperatorAndNodes)
    }

    fn nodes(self) -> bool {
        matches!(self, Self::Nodes | Self::OperatorAndNodes)
    }
}

macro_rules! scenarios {
    ($($needs:ident $module:ident::$name:ident,)*) => {
        &[$(Scenario {
            name: stringify!($name),
            needs: Needs::$needs,
            run: $module::$name,
        }),*]
    };
}

const SCENARIOS: &[Scenario] = scenarios![
    Cluster alone::pods_of_both_nodes_find_each_other_and_the_store,
    Cluster chart::the_chart_is_what_the_operator_needs,
    Cluster checks::the_chart_passes_the_checks_of_others,
    Cluster readme::the_commands_of_the_readme_work_in_their_order,
    Nodes alone::another_cluster_is_taken_by_its_kubeconfig,
    Operator start::a_job_is_ready_and_writes_what_the_oracle_says,
    Operator start::a_program_that_does_not_plan_says_where,
    Operator start::a_job_is_ready_soon,
    Operator checks::prometheus_flux_and_argo_understand_jobs,
    Operator wrong::what_is_refused_at_once_is_told_by_kubectl,
    Operator wrong::what_is_accepted_and_wrong_is_told_in_a_condition_and_an_event,
    Operator change::kubectl_scale_rescales_a_running_job,
    Operator change::a_changed_program_goes_on_from_a_savepoint,
    Operator change::a_changed_image_plans_the_program_before_the_old_one_stops,
    OperatorAndNodes faults::whatever_is_killed_costs_no_row,
    Operator faults::pods_killed_at_once_cost_no_row,
    Operator faults::a_killed_operator_costs_nothing,
    OperatorAndNodes nodes::a_lost_node_costs_no_row,
    OperatorAndNodes bursts::bursts_and_silence_cost_no_row,
    Operator look::who_may_only_look_sees_jobs_and_their_pages,
    Operator lifecycle::a_suspended_job_resumes,
    Operator lifecycle::a_drained_job_writes_every_result,
    Operator lifecycle::deletion_keeps_state_or_removes_it,
    Operator lifecycle::a_deleted_namespace_keeps_the_state,
    Operator chart::the_chart_stays_while_jobs_exist,
];

/// Scenarios that run only where they are named: each takes minutes.
const ON_DEMAND: &[&str] = &["bursts_and_silence_cost_no_row"];

/// How the scenarios ended.
#[derive(Default)]
struct Ended {
    passed: usize,
    failed: usize,
    ignored: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let chosen: Vec<_> = SCENARIOS
        .iter()
        .filter(|each| match &words[..] {
            [] => !ON_DEMAND.contains(&each.name),
            words => words.iter().any(|word| each.name.contains(*word)),
        })
        .collect();
    if arguments.iter().any(|word| word == "--list") {
        chosen.iter().for_each(|each| println!("{}: test", each.name));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    if chosen.is_empty() {
        println!(
            "\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; {} filtered out\n",
            SCENARIOS.len()
        );
        return ExitCode::SUCCESS;
    }
    let start = Instant::now();
    let ended = match Stage::start() {
        Ok(Some(stage)) => {
            println!("cluster, S3 and images are up after {:.1} s", start.elapsed().as_secs_f64());
            let mut ended = run(&stage, &chosen);
            if let Err(error) = stage.cluster.leave() {
                println!("the cluster keeps what the scenarios installed: {error:#}");
                ended.failed += 1;
            }
            let start = Instant::now();
            figures::print_all();
            drop(stage);
            println!("cluster is down after {:.1} s", start.elapsed().as_secs_f64());
            ended
        }
        Ok(None) => {
            println!("WEIR_E2E_NO_CLUSTER is set: none of them runs");
            Ended { ignored: chosen.len(), ..Ended::default() }
        }
        Err(error) => {
            println!("no cluster: {error:#}");
            Ended { failed: chosen.len(), ..Ended::default() }
        }
    };
    println!(
        "\ntest result: {}. {} passed; {} failed; {} ignored; 0 measured; {} filtered out; \
         finished in {:.2}s\n",
        if ended.failed == 0 { "ok" } else { "FAILED" },
        ended.passed,
        ended.failed,
        ended.ignored,
        SCENARIOS.len() - chosen.len(),
        start.elapsed().as_secs_f64()
    );
    if ended.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(stage: &Stage, chosen: &[&Scenario]) -> Ended {
    let mut ended = Ended::default();
    let mut installed = false;
    for scenario in chosen {
        if scenario.needs.nodes() && !stage.cluster.is_own() {
            println!("test {} ... ignored, needs a cluster of its own", scenario.name);
            ended.ignored += 1;
            continue;
        }
        let start = Instant::now();
        // A namespace's name has at most 63 characters, and no underscores.
        let namespace = scenario.name.replace('_', "-");
        let result = catch_unwind(AssertUnwindSafe(|| {
            if scenario.needs.operator() && !installed {
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
            Ok(()) => {
                ended.passed += 1;
                println!("test {} ... ok ({took:.1} s)", scenario.name);
            }
            Err(error) => {
                ended.failed += 1;
                println!("test {} ... FAILED ({took:.1} s)\n{error:#}", scenario.name);
                println!("{}", stage.describe(&namespace));
                if scenario.needs.operator() {
                    println!("{}", stage.describe(RELEASE));
                }
                println!("--- state in the store\n{}", stage.chain(&namespace));
                // What is left of it must not take the room of those that follow.
                if let Err(error) = stage.clear(&namespace) {
                    println!("{error:#}");
                }
            }
        }
    }
    ended
}
