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

    /// Whether this operator is active. One that is not knows nothing of jobs.
    pub fn lead(&self, leads: bool) {
        self.leader.set(i64::from(leads));
        if !leads {
            self.conditions.reset();
        }
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
    use expect_test::expect_file;

    use super::*;

    /// An active operator with a job that runs and one whose program was refused.
    fn metrics() -> Metrics {
        let metrics = Metrics::default();
        let status = |ready: &str, stalled: &str| -> StreamJobStatus {
            let condition = |type_: &str, status: &str| {
                serde_json::json!({"type": type_, "status": status, "reason": "Because",
                    "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"})
            };
            let conditions = [
                condition("Ready", ready),
                condition("Stalled", stalled),
                condition("SpecAccepted", ready),
            ];
            serde_json::from_value(serde_json::json!({"conditions": conditions})).unwrap()
        };
        metrics.lead(true);
        metrics.observe("default", "flights", &status("True", "False"));
        metrics.observe("default", "refused", &status("False", "True"));
        metrics.round(Duration::from_millis(3), None);
        metrics.round(Duration::from_millis(700), Some("apply"));
        metrics
    }

    #[test]
    fn a_job_that_is_gone_leaves_no_series_and_who_does_not_lead_shows_none() {
        let metrics = metrics();
        assert!(metrics.render().contains("streamjob=\"flights\""));
        metrics.forget("default", "flights");
        assert!(!metrics.render().contains("flights"));
        assert!(metrics.render().contains("streamjob=\"refused\""));
        metrics.lead(false);
        assert!(!metrics.render().contains("weir_controller_condition{"));
    }

    /// What stands in for an operator where dashboards are asked beside a real Prometheus
    /// (`e2e/tests/dashboards.rs`). `UPDATE_EXPECT=1` writes it.
    #[test]
    fn what_an_operator_exposes_is_what_dashboards_are_tested_with() {
        expect_file!["../../e2e/prometheus/operator.txt"].assert_eq(&metrics().render());
    }

    /// What an operator for Flink calls each figure.
    const IN_FLINK: [(&str, &str); 4] = [
        ("weir_controller_condition", "FlinkDeployment.Lifecycle.State.….Count"),
        ("weir_controller_leader", ""),
        ("weir_controller_reconcile_errors_total", ""),
        ("weir_controller_reconcile_seconds", "JOSDK reconciliations"),
    ];

    /// `UPDATE_EXPECT=1` writes it.
    #[test]
    fn the_table_for_people_is_this_set() {
        let mut page = String::from(
            "# Metrics of the operator\n\n\
             What an operator answers at `/metrics` (port 8080, `http`); written by the tests of \
             `operator/src/metrics.rs`. What is about a job names it by `resource_namespace` and \
             `streamjob`, and comes from the active operator alone. What jobs say of themselves is \
             [theirs](../worker/METRICS.md).\n\n\
             | metric | says | in Flink's operator |\n|---|---|---|\n",
        );
        let families = metrics().registry.gather();
        assert_eq!(families.len(), IN_FLINK.len());
        for (family, (name, flink)) in families.iter().zip(IN_FLINK) {
            assert_eq!(family.name(), name);
            let labels: Vec<&str> =
                family.get_metric()[0].get_label().iter().map(|label| label.name()).collect();
            let labels = match labels.as_slice() {
                [] => String::new(),
                labels => format!("{{{}}}", labels.join(",")),
            };
            let flink = if flink.is_empty() { "–" } else { flink };
            page.push_str(&format!("| `{name}{labels}` | {} | {flink} |\n", family.help()));
        }
        expect_file!["../METRICS.md"].assert_eq(&page);
    }
}
