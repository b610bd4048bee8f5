//! The chart's alerts, judged by Prometheus itself: every one fires, in its own words, and a calm job
//! is let alone.

use std::process::Command;

use anyhow::Result;
use weir_e2e::cache;
use weir_e2e::job::repository;
use weir_e2e::testbed::prometheus::promtool;

#[test]
fn alerts_fire_when_they_should_and_not_otherwise() -> Result<()> {
    let promtool = promtool()?;
    let rules = repository().join("charts/weir/files/alerts.yaml");
    cache::run(Command::new(&promtool).args(["check", "rules"]).arg(&rules))?;
    let tests = repository().join("e2e/prometheus/alerts_test.yaml");
    let mut test = Command::new(&promtool);
    cache::run(test.args(["test", "rules"]).arg(&tests)).map(drop)
}
