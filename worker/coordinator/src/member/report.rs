//! What tasks say of themselves, as messages.

use weir_engine::env::instant;
use weir_engine::task::TaskReport;
use weir_engine::{EngineError, Fault};
use weir_protocol::control::{self, from_worker};

pub(super) fn failed_message(error: EngineError, peer: Option<u32>) -> from_worker::Kind {
    let fault = match error.fault {
        Fault::User => control::Fault::User,
        Fault::External => control::Fault::External,
        Fault::Internal => control::Fault::Internal,
    };
    from_worker::Kind::Failed(control::Failed { message: error.message, fault: fault.into(), peer })
}

pub(super) fn task_stats(report: &TaskReport) -> control::TaskStats {
    let operators =
        report.operators.iter().map(|(uid, metrics, state_bytes)| control::OperatorStats {
            uid: uid.0.clone(),
            counts: metrics.counts().into(),
            state_bytes: *state_bytes as u64,
        });
    let now = instant();
    let splits = report.splits.iter().map(|split| control::SplitStats {
        id: split.id.clone(),
        watermark: split.watermark.map(|w| w.0),
        silent_ms: now.saturating_duration_since(split.silent_since).as_millis() as u64,
        idle: split.idle,
        remaining: split.remaining,
    });
    control::TaskStats {
        vertex: report.vertex.0,
        subtask: report.subtask.0,
        operators: operators.collect(),
        watermark: report.watermark.map(|w| w.0),
        remaining: report.remaining,
        busy_us: report.time.busy,
        backpressured_us: report.time.backpressured,
        idle_us: report.time.idle,
        aligning_us: report.time.aligning,
        splits: splits.collect(),
        worker: 0,
    }
}
