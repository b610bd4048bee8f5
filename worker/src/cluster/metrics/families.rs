//! The metric set: every family that a worker exposes, in one table.
//!
//! What always holds: base units; a name ends in `_total` if and only if it counts; every series
//! names its job by `namespace` and `streamjob`. `worker/METRICS.md` is this table for people.

/// Series of one name.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    /// Labels beside those of the job.
    pub(super) labels: &'static [&'static str],
    /// What Flink calls it, for the table; empty where it has nothing like it.
    #[cfg(test)]
    pub(super) flink: &'static str,
}

impl Family {
    pub(super) fn is_counter(&self) -> bool {
        self.name.ends_with("_total")
    }
}

macro_rules! families {
    ($($name:ident = $text:literal $labels:tt, $help:literal, $flink:literal;)*) => {
        $(pub(super) const $name: Family =
            Family { name: $text, help: $help, labels: &$labels, #[cfg(test)] flink: $flink };)*

        /// All of them.
        #[cfg(test)]
        pub(super) const ALL: [&Family; [$($text),*].len()] = [$(&$name),*];
    };
}

families! {
    JOB_INFO = "weir_job_info" ["revision", "version"],
        "1, with what the job runs.", "";
    JOB_STATE = "weir_job_state" ["state"],
        "1 for the state that the job is in.", "runningState, restartingState, …";
    JOB_FINDING = "weir_job_finding" ["code", "severity", "place"],
        "1 for everything that is wrong, in the words of the job's page.", "";
    JOB_FRESHNESS = "weir_job_freshness_seconds" [],
        "How far event time is behind the clock; only of jobs without an end whose event time is now.",
        "currentInputWatermark, subtracted by hand";
    JOB_PROGRESS = "weir_job_progress_ratio" [],
        "Share of the input that is read; only of jobs whose input has an end.", "";
    JOB_PARALLELISM = "weir_job_parallelism" [],
        "Subtasks of each operator that can be divided.", "";
    JOB_WORKERS = "weir_job_workers" [],
        "Workers that are attached.", "numRegisteredTaskManagers";
    JOB_TERM = "weir_job_term" [],
        "Term of the coordinator; grows with every take-over, recovery and rescale.", "";
    JOB_RESTARTS = "weir_job_restarts_total" [],
        "Restarts of the tasks since the coordinator began.", "numRestarts";
    OPERATION_AT = "weir_operation_last_timestamp_seconds" ["type", "result"],
        "When an operation of this type has last ended so.", "";
    OPERATION_DURATION = "weir_operation_duration_seconds" ["type"],
        "From the request of the last operation of this type to its end.", "";
    OPERATION_PAUSE = "weir_operation_pause_seconds" ["type"],
        "For so long nothing came out in the last operation of this type.", "";
    CHECKPOINT_EPOCH = "weir_checkpoint_epoch" [],
        "Number of the newest checkpoint.", "lastCompletedCheckpointId";
    CHECKPOINT_AT = "weir_checkpoint_last_success_timestamp_seconds" [],
        "When the newest checkpoint was published; 0: never.", "";
    CHECKPOINT_DURATION = "weir_checkpoint_duration_seconds" [],
        "From the trigger of the newest checkpoint to its publication.", "lastCheckpointDuration";
    CHECKPOINT_PHASE = "weir_checkpoint_phase_seconds" ["phase"],
        "What the slowest task took in each part of the newest checkpoint: trigger (until its first \
         barrier had come), align, freeze (the pause of the task), upload; and publish, after all.",
        "checkpointStartDelayNanos, checkpointAlignmentTime";
    CHECKPOINT_BYTES = "weir_checkpoint_bytes" [],
        "State that the newest checkpoint names.", "lastCheckpointFullSize";
    CHECKPOINT_WRITTEN = "weir_checkpoint_written_bytes" [],
        "What the newest checkpoint has written.", "lastCheckpointSize";
    CHECKPOINT_INTERVAL = "weir_checkpoint_interval_seconds" [],
        "Time between checkpoints, as configured.", "";
    CHECKPOINT_ATTEMPTS = "weir_checkpoint_attempts_total" ["result"],
        "Attempts at a checkpoint: published, failed, or unchanged, where nothing was new.",
        "numberOfCompletedCheckpoints, numberOfFailedCheckpoints";
    WORKER_ATTACHED = "weir_worker_attached" [],
        "1 while the worker holds a connection to the job's coordinator.", "";
    STATE_LIMIT = "weir_state_limit_bytes" [],
        "Memory that this worker's state may take.", "";
    STATE = "weir_state_bytes" ["task", "subtask"],
        "Memory that the task's state takes.", "rocksdb.…, where switched on";
    TASK_BUSY = "weir_task_busy_seconds_total" ["task", "subtask"],
        "Time spent on rows.", "busyTimeMsPerSecond";
    TASK_BACKPRESSURED = "weir_task_backpressured_seconds_total" ["task", "subtask"],
        "Time spent waiting for room downstream.", "backPressuredTimeMsPerSecond";
    TASK_IDLE = "weir_task_idle_seconds_total" ["task", "subtask"],
        "Time spent without anything to do.", "idleTimeMsPerSecond";
    TASK_ALIGNING = "weir_task_aligning_seconds_total" ["task", "subtask"],
        "Time in which inputs waited for a checkpoint's barrier.", "checkpointAlignmentTime";
    TASK_ROWS_IN = "weir_task_rows_in_total" ["task", "subtask"],
        "Rows that came into the task's first operator.", "numRecordsIn";
    TASK_ROWS_OUT = "weir_task_rows_out_total" ["task", "subtask"],
        "Rows that left the task's last operator.", "numRecordsOut";
    TASK_WATERMARK = "weir_task_watermark_timestamp_seconds" ["task", "subtask"],
        "Event time up to which the task has seen everything.", "currentInputWatermark";
    TASK_ROWS_DROPPED = "weir_task_rows_dropped_total" ["reason"],
        "Rows that went nowhere: late or malformed.", "numLateRecordsDropped, numRecordsInErrors";
    SOURCE_ROWS = "weir_source_rows_total" ["source"],
        "Rows read by this worker.", "numRecordsOut of the source";
    SOURCE_BYTES = "weir_source_bytes_total" ["source"],
        "Bytes read by this worker.", "numBytesIn of the source";
    SOURCE_SPLITS = "weir_source_splits_total" ["source"],
        "Files or partitions that this worker has read to their ends, or as far as they went.", "";
    SINK_ROWS = "weir_sink_rows_total" ["sink"],
        "Rows given to the sink by this worker.", "numRecordsSend";
    SINK_BYTES = "weir_sink_bytes_total" ["sink"],
        "Bytes given to the sink by this worker.", "numBytesSend";
}
