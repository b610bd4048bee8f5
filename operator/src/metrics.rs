//! Figures of the operator, as Prometheus reads them.

use std::time::Duration;

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use weir_crds::kube::StreamJobStatus;

/// The operator's figures.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: HistogramVec,
    errors: IntCounterVec,
    conditions: IntGaugeVec,
    leader: IntGauge,
}

/// The conditions of a job, each a series by its status.
const CONDITIONS: [&str; 7] = [
    "Ready",
    "Reconciling",
    "Stalled",
    "Degraded",
    "CheckpointHealthy",
    "SpecAccepted",
    "Complete",
];

impl Default for Metrics {
    #[expect(clippy::expect_used, reason = "names and labels are constants, checked by a test")]
    fn default() -> Self {
        let registry = Registry::new();
        let reconciles = HistogramVec::new(
            HistogramOpts::new(
                "weir_controller_reconcile_seconds",
                "Time that one round for one job took.",
            )
            .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]),
            &["result"],
        )
        .expect("valid by construction");
        let errors = IntCounterVec::new(
            Opts::new(
                "weir_controller_reconcile_errors_total",
                "Rounds that failed, by what failed.",
            ),
            &["reason"],
        )
        .expect("valid by construction");
        let conditions = IntGaugeVec::new(
            Opts::new(
                "weir_controller_condition",
                "Conditions of jobs: 1 for the status that each has, 0 for the others.",
            ),
            &["type", "status", "resource_namespace", "streamjob"],
        )
        .expect("valid by construction");
        let leader = IntGauge::new(
            "weir_controller_leader",
            "Whether this operator is the active one: 1 or 0.",
        )
        .expect("valid by construction");
        for collector in [
            Box::new(reconciles.clone()) as Box<dyn prometheus::core::Collector>,
            Box::new(errors.clone()),
            Box::new(conditions.clone()),
            Box::new(leader.clone()),
        ] {
            registry.register(collector).expect("each is registered once");
        }
        Self { registry, reconciles, errors, conditions, leader }
    }
}

impl Metrics {
    /// Counts a round.
    pub fn round(&self, took: Duration, error: Option<&'static str>) {
        let result = if error.is_some() { "error" } else { "ok" };
        self.reconciles.with_label_values(&[result]).observe(took.as_secs_f64());
        if let Some(reason) = error {
            self.errors.with_label_values(&[reason]).inc();
        }
    }

    /// Whether this operator is active.
    pub fn lead(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Shows a job's conditions.
    pub fn observe(&self, namespace: &str, name: &str, status: &StreamJobStatus) {
        // A job that rests is not Ready and not un-Ready: no alert is to wake anybody for it.
        if status.conditions.iter().all(|condition| condition.type_ != "Ready") {
            for value in ["True", "False", "Unknown"] {
                let labels = ["Ready", value, namespace, name];
                let _absent = self.conditions.remove_label_values(&labels);
            }
        }
        for condition in &status.conditions {
            for value in ["True", "False", "Unknown"] {
                let labels = [condition.type_.as_str(), value, namespace, name];
                let set = i64::from(condition.status == value);
                self.conditions.with_label_values(&labels).set(set);
            }
        }
    }

    /// Stops showing a job that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        for condition in CONDITIONS {
            for value in ["True", "False", "Unknown"] {
                // A series that was never shown is no error.
                let _absent =
                    self.conditions.remove_label_values(&[condition, value, namespace, name]);
            }
        }
    }

    /// The text that Prometheus reads.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            Ok(()) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => {
                tracing::error!(%error, "metrics cannot be written");
                String::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_registered_and_a_job_that_is_gone_leaves_none() {
        let metrics = Metrics::default();
        let status: StreamJobStatus = serde_json::from_value(serde_json::json!({"conditions": [{
            "type": "Ready", "status": "True", "reason": "Running", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]}))
        .unwrap();
        metrics.observe("default", "flights", &status);
        metrics.round(Duration::from_millis(3), Some("apply"));
        assert!(metrics.render().contains("streamjob=\"flights\""));
        assert!(metrics.render().contains("weir_controller_reconcile_errors_total"));
        metrics.forget("default", "flights");
        assert!(!metrics.render().contains("flights"));
    }
}
