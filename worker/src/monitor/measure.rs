//! From what a coordinator reports to what people look at: rates and shares over the last seconds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use weir_engine::graph::JobGraph;
use weir_engine::group_load;
use weir_engine::rows::MAX_ROWS;
use weir_protocol::control::{CoordinatorReport, JobStatus, OperatorShown, TaskStats};
use weir_protocol::view::{
    AttemptResult, CheckpointRecord, CheckpointView, EdgeView, JobView, KeyGroupOwner,
    KeyGroupView, KeyGroupsView, MemoryView, OperatorView, RowsView, Snapshot, SplitView,
    SubtaskView, TimeShares, TotalsView, VertexView,
};
use weir_protocol::{Counter, OperatorCounts};
use weir_sql::explain::explain;

/// Rates are over so long: reports come once a second, rows in bursts.
const WINDOW_US: u64 = 5_000_000;
/// A task that has not reported for so many looks, which come one to five times a second, does
/// nothing that is known.
const SILENT_LOOKS: u32 = 12;
/// What a checkpoint usually takes is said of so many.
const USUAL: usize = 10;
/// Event time of a live job is not older than this; that of a replay of old files is no freshness.
const FRESH_MS: i64 = 30 * 86_400_000;

/// What never changes of a job.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    namespace: String,
    name: String,
    manifest: String,
    max_parallelism: u32,
    plan_hash: String,
    interval_ms: u64,
    timeout_ms: u64,
    state_limit: u64,
    vertices: Vec<VertexView>,
    edges: Vec<EdgeView>,
}

impl Facts {
    pub(crate) fn of(job: &weir_crds::StreamJob, graph: &JobGraph) -> Self {
        let explained = explain(graph);
        let vertices = explained.chains.into_iter().zip(&graph.vertices).map(|(chain, vertex)| {
            let operators = chain.operators.into_iter().zip(&vertex.chain);
            let operators = operators.map(|(operator, (info, _))| OperatorView {
                connector: operator.details.get("connector").cloned().unwrap_or_default(),
                stateful: info.keeps_keys(),
                uid: operator.uid,
                name: operator.name,
                kind: operator.kind,
                ..OperatorView::default()
            });
            let (name, operators) = (vertex.name.clone(), operators.collect());
            VertexView { id: chain.id, name, operators, subtasks: Vec::new() }
        });
        let edges = explained.edges.into_iter().map(|edge| EdgeView {
            from: edge.from,
            operator: edge.operator,
            output: edge.output.to_owned(),
            to: edge.to,
            exchange: edge.exchange.to_owned(),
            by: edge.by,
        });
        let checkpoint = &job.spec.state.checkpoint;
        Self {
            namespace: job.metadata.namespace.clone(),
            name: job.metadata.name.clone(),
            manifest: String::new(),
            max_parallelism: graph.max_parallelism,
            plan_hash: graph.hash.clone(),
            interval_ms: checkpoint.interval.as_millis() as u64,
            timeout_ms: checkpoint.timeout.as_millis() as u64,
            state_limit: 0,
            vertices: vertices.collect(),
            edges: edges.collect(),
        }
    }

    /// `namespace/name`.
    pub(super) fn job(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// What a chain is called.
    pub(super) fn vertex(&self, id: u32) -> String {
        self.vertices.get(id as usize).map_or_else(|| id.to_string(), |vertex| vertex.name.clone())
    }

    /// Which statements of the program each operator comes from.
    pub(crate) fn places(&self, sql: &str) -> BTreeMap<String, Vec<std::ops::Range<usize>>> {
        weir_page::places(sql, &self.vertices, &self.edges)
    }

    /// The file that is watched for edits.
    pub(crate) fn with_manifest(mut self, manifest: &std::path::Path) -> Self {
        self.manifest = manifest.display().to_string();
        self
    }

    /// What one worker's state may take.
    pub(crate) fn with_state_limit(mut self, asked: Option<&str>) -> Self {
        self.state_limit = crate::memory::state_bytes(asked).unwrap_or(0) as u64;
        self
    }
}

type TaskKey = (u32, u32);

/// What a task had counted when it was so old.
#[derive(Clone, Debug, Default)]
struct Sample {
    /// Microseconds since the task began: what its time went into, all of it.
    age_us: u64,
    time: [u64; 4],
    operators: Vec<OperatorCounts>,
}

impl Sample {
    fn of(task: &TaskStats) -> Self {
        let time = [task.busy_us, task.backpressured_us, task.idle_us, task.aligning_us];
        let operators = task.operators.iter().map(|o| (&o.counts).into()).collect();
        Self { age_us: time.iter().sum(), time, operators }
    }
}

#[derive(Clone, Debug, Default)]
struct Track {
    samples: VecDeque<Sample>,
    /// Looks since the last report that was a new one.
    silent: u32,
}

/// Rates of a task over the last seconds.
#[derive(Clone, Debug, Default)]
struct Rates {
    time: TimeShares,
    /// By operator: rows in, rows out, rows that came too late.
    operators: Vec<(f64, f64, f64)>,
}

/// What tasks have done in the last seconds, by the time that they have seen themselves: reports
/// that come late or together change no rate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    term: u64,
    tracks: BTreeMap<TaskKey, Track>,
}

impl Meter {
    /// Takes the next status.
    pub(crate) fn take(&mut self, status: &JobStatus) {
        if status.term != self.term {
            // New tasks count from nothing.
            self.tracks.clear();
            self.term = status.term;
        }
        self.tracks.values_mut().for_each(|track| track.silent += 1);
        for task in &status.tasks {
            let track = self.tracks.entry((task.vertex, task.subtask)).or_default();
            let sample = Sample::of(task);
            match track.samples.back() {
                Some(last) if sample.age_us == last.age_us => continue,
                // The task was begun again.
                Some(last) if sample.age_us < last.age_us => track.samples.clear(),
                _ => {}
            }
            let oldest = sample.age_us.saturating_sub(WINDOW_US);
            while track.samples.get(1).is_some_and(|second| second.age_us <= oldest) {
                track.samples.pop_front();
            }
            track.silent = 0;
            track.samples.push_back(sample);
        }
    }

    fn rates(&self, key: TaskKey) -> Rates {
        let Some(track) = self.tracks.get(&key).filter(|t| t.silent < SILENT_LOOKS) else {
            return Rates::default();
        };
        let Some(last) = track.samples.back() else { return Rates::default() };
        // A task that has reported once has been at work since it began.
        let nothing = Sample::default();
        let first =
            track.samples.front().filter(|first| first.age_us < last.age_us).unwrap_or(&nothing);
        let span = (last.age_us - first.age_us).max(1) as f64;
        let share =
            |slot: usize| (last.time[slot] - first.time[slot].min(last.time[slot])) as f64 / span;
        let time =
            TimeShares { busy: share(0), held: share(1), idle: share(2), aligning: share(3) };
        let none = OperatorCounts::default();
        let operators = last.operators.iter().enumerate().map(|(at, now)| {
            let then = first.operators.get(at).unwrap_or(&none);
            let rate =
                |counter: Counter| now[counter].saturating_sub(then[counter]) as f64 * 1e6 / span;
            (rate(Counter::RowsIn), rate(Counter::RowsOut), rate(Counter::Late))
        });
        Rates { time, operators: operators.collect() }
    }

    /// Rows a second that these operators give out.
    pub(crate) fn out_rate(&self, status: &JobStatus, uids: &[String]) -> f64 {
        let tasks = status.tasks.iter().map(|task| (self.rates((task.vertex, task.subtask)), task));
        let each = tasks.flat_map(|(rates, task)| {
            let operators = task.operators.iter().zip(rates.operators);
            operators
                .filter(|(o, _)| uids.contains(&o.uid))
                .map(|(_, rates)| rates.1)
                .collect::<Vec<_>>()
        });
        each.sum()
    }
}

/// The job now.
pub(crate) fn snapshot(
    facts: &Facts,
    meter: &Meter,
    (report, status): (&CoordinatorReport, &JobStatus),
    checkpoints: &[Arc<CheckpointRecord>],
    now_ms: u64,
) -> Snapshot {
    let vertices: Vec<VertexView> =
        facts.vertices.iter().map(|vertex| measured(vertex, meter, status)).collect();
    let mut by_worker: BTreeMap<u32, u64> = BTreeMap::new();
    for task in &status.tasks {
        let bytes: u64 = task.operators.iter().map(|o| o.state_bytes).sum();
        *by_worker.entry(task.worker).or_default() += bytes;
    }
    Snapshot {
        at_ms: now_ms,
        job: job(facts, report, status),
        totals: totals(&vertices, report, status, now_ms),
        checkpoint: checkpoint(facts, report, status, checkpoints),
        memory: MemoryView {
            limit_bytes: facts.state_limit,
            most_bytes: by_worker.values().copied().max().unwrap_or(0),
            state_bytes: by_worker.values().sum(),
        },
        vertices,
        edges: facts.edges.clone(),
        ..Snapshot::default()
    }
}

fn job(facts: &Facts, report: &CoordinatorReport, status: &JobStatus) -> JobView {
    JobView {
        namespace: facts.namespace.clone(),
        name: facts.name.clone(),
        state: status.state().name().to_owned(),
        term: status.term,
        parallelism: status.parallelism,
        max_parallelism: facts.max_parallelism,
        workers: status.workers,
        restarts: status.restarts,
        bounded: report.bounded,
        plan_hash: facts.plan_hash.clone(),
        failure: status.failure.clone(),
        task_problem: report.task_problem.clone(),
        source_problem: report.source_problem.clone(),
        manifest: facts.manifest.clone(),
        ..JobView::default()
    }
}

fn measured(vertex: &VertexView, meter: &Meter, status: &JobStatus) -> VertexView {
    let mut vertex = vertex.clone();
    for operator in &mut vertex.operators {
        if let Some(before) = status.counted_before.get(&operator.uid) {
            operator.counts = (&before.counts).into();
        }
    }
    let is_source = vertex.is_source();
    let mut tasks: Vec<&TaskStats> =
        status.tasks.iter().filter(|task| task.vertex == vertex.id).collect();
    tasks.sort_by_key(|task| task.subtask);
    for task in tasks {
        let rates = meter.rates((task.vertex, task.subtask));
        for (at, stats) in task.operators.iter().enumerate() {
            let Some(operator) = vertex.operators.iter_mut().find(|o| o.uid == stats.uid) else {
                continue;
            };
            operator.counts = operator.counts + (&stats.counts).into();
            operator.state_bytes += stats.state_bytes;
            operator.hottest.extend(stats.hottest.iter().map(|hot| KeyGroupView {
                group: hot.group,
                subtask: task.subtask,
                in_rate: f64::from(hot.rate),
            }));
            if let Some((rows_in, rows_out, late)) = rates.operators.get(at) {
                operator.in_rate += rows_in;
                operator.out_rate += rows_out;
                operator.late_rate += late;
            }
        }
        if let Some(source) = vertex.operators.first_mut().filter(|_| is_source) {
            source.backlog += task.remaining;
        }
        vertex.subtasks.push(subtask(task, &rates, is_source));
    }
    for operator in &mut vertex.operators {
        operator.hottest.sort_by(|a, b| b.in_rate.total_cmp(&a.in_rate));
        operator.hottest.truncate(group_load::HOTTEST);
    }
    vertex
}

/// What tasks show of the key groups of an operator, put together; nothing while none does.
pub(super) fn key_groups(
    facts: &Facts,
    uid: &str,
    shown: &[OperatorShown],
    now_ms: u64,
) -> Option<KeyGroupsView> {
    let mut parts: Vec<&OperatorShown> = shown.iter().filter(|part| part.uid == uid).collect();
    if parts.is_empty() {
        return None;
    }
    parts.sort_by_key(|part| part.first_group);
    // What keeps no state tables has nothing to say of any.
    let has_groups = parts.iter().any(|p| !(p.rates.is_empty() && p.state_rows.is_empty()));
    let many = if has_groups { facts.max_parallelism as usize } else { 0 };
    let mut view = KeyGroupsView {
        uid: uid.to_owned(),
        at_ms: now_ms,
        in_rates: vec![0.0; many],
        state_rows: vec![0; many],
        owners: Vec::with_capacity(parts.len()),
    };
    for part in parts {
        let first = part.first_group as usize;
        put(&mut view.in_rates, first, &part.rates);
        put(&mut view.state_rows, first, &part.state_rows);
        let many = part.rates.len().max(part.state_rows.len()) as u32;
        let (subtask, first) = (part.subtask, part.first_group);
        // As with what it says of them: no group is behind the last.
        let last = view.in_rates.len() as u32;
        let end = first.saturating_add(many).min(last);
        view.owners.push(KeyGroupOwner { subtask, first: first.min(last), end });
    }
    Some(view)
}

/// The newest rows of an operator that tasks show; nothing where no row has passed any of them since
/// they were looked at before.
pub(super) fn newest_rows(uid: &str, shown: &[OperatorShown]) -> Option<RowsView> {
    let parts = shown.iter().filter(|part| part.uid == uid && !part.rows_json.is_empty());
    // A worker of another version may show what this one does not know: then there is nothing.
    let mut parts: Vec<RowsView> =
        parts.filter_map(|part| serde_json::from_slice(&part.rows_json).ok()).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.at_ms));
    let newest = parts.first()?;
    let mut view = RowsView { uid: uid.to_owned(), rows: Vec::new(), ..newest.clone() };
    for part in &parts {
        let room = MAX_ROWS.saturating_sub(view.rows.len());
        let from = part.rows.len().saturating_sub(room);
        // The newest last.
        view.rows.splice(0..0, part.rows.iter().skip(from).cloned());
    }
    Some(view)
}

/// Puts values where they belong; what a worker says of key groups that there are not is dropped.
fn put<T: Copy>(all: &mut [T], first: usize, values: &[T]) {
    for (slot, value) in all.iter_mut().skip(first).zip(values) {
        *slot = *value;
    }
}

fn subtask(task: &TaskStats, rates: &Rates, is_source: bool) -> SubtaskView {
    let first = rates.operators.first().copied().unwrap_or_default();
    let last = rates.operators.last().copied().unwrap_or_default();
    let counter = if is_source { Counter::RowsOut } else { Counter::RowsIn };
    let rows = task.operators.first().and_then(|o| o.counts.get(counter.name()).copied());
    let splits = task.splits.iter().map(|split| SplitView {
        id: split.id.clone(),
        watermark: split.watermark,
        silent_ms: split.silent_ms,
        idle: split.idle,
        backlog: split.remaining,
    });
    SubtaskView {
        subtask: task.subtask,
        worker: task.worker,
        in_rate: if is_source { first.1 } else { first.0 },
        out_rate: last.1,
        rows: rows.unwrap_or(0),
        time: rates.time,
        watermark: task.watermark,
        state_bytes: task.operators.iter().map(|o| o.state_bytes).sum(),
        backlog: task.remaining,
        splits: splits.collect(),
    }
}

fn totals(
    vertices: &[VertexView],
    report: &CoordinatorReport,
    status: &JobStatus,
    now_ms: u64,
) -> TotalsView {
    let mut totals = TotalsView::default();
    for operator in vertices.iter().flat_map(|v| &v.operators) {
        totals.late += operator.counts[Counter::Late];
        totals.malformed += operator.counts[Counter::Malformed];
        match operator.kind.as_str() {
            "source" => {
                totals.rows_in += operator.counts[Counter::RowsOut];
                totals.in_rate += operator.out_rate;
            }
            "sink" => {
                totals.rows_out += operator.counts[Counter::RowsIn];
                totals.out_rate += operator.in_rate;
            }
            _ => {}
        }
    }
    totals.watermark = status.tasks.iter().filter_map(|task| task.watermark).min();
    let behind_ms = totals.watermark.map(|mark| (now_ms as i64).saturating_sub(mark));
    let is_live = |ms: &i64| !report.bounded && (-FRESH_MS..FRESH_MS).contains(ms);
    totals.freshness_s = behind_ms.filter(is_live).map(|ms| (ms as f64 / 1e3).max(0.0));
    if report.bounded && status.total > 0 {
        let left = status.remaining as f64 / status.total as f64;
        totals.progress = Some((1.0 - left).clamp(0.0, 1.0));
    }
    totals
}

fn checkpoint(
    facts: &Facts,
    report: &CoordinatorReport,
    status: &JobStatus,
    checkpoints: &[Arc<CheckpointRecord>],
) -> CheckpointView {
    let published = checkpoints.iter().rev().filter(|c| c.result == AttemptResult::Published);
    let newest: Vec<&CheckpointRecord> = published.take(USUAL).map(AsRef::as_ref).collect();
    let mean = |value: &dyn Fn(&CheckpointRecord) -> u64| {
        newest.iter().map(|c| value(c)).sum::<u64>() / newest.len().max(1) as u64
    };
    let longest = |c: &CheckpointRecord, phase: fn(&weir_protocol::view::CheckpointTask) -> u64| {
        c.tasks.iter().map(phase).max().unwrap_or(0) / 1000
    };
    CheckpointView {
        epoch: status.epoch,
        bytes: status.checkpoint_bytes,
        took_ms: status.checkpoint_ms,
        at_ms: report.checkpoint_at_ms,
        path: report.checkpoint_path.clone(),
        published: report.published,
        failed: status.failed_attempts,
        unchanged: report.unchanged,
        interval_ms: facts.interval_ms,
        timeout_ms: facts.timeout_ms,
        problem: report.checkpoint_problem.clone(),
        usual_ms: mean(&|c| c.took_ms),
        store_ms: mean(&|c| {
            c.took_ms.saturating_sub(c.acknowledged_ms) + longest(c, |task| task.upload_us)
        }),
        align_ms: mean(&|c| longest(c, |task| task.align_us)),
    }
}

#[cfg(test)]
mod tests {
    use weir_protocol::control::OperatorStats;
    use weir_protocol::view::RowView;

    use super::*;

    fn status(term: u64, age_us: u64, rows: u64) -> JobStatus {
        let counts = OperatorCounts::default().with(Counter::RowsOut, rows).into();
        let operator = OperatorStats { uid: "in".into(), counts, ..OperatorStats::default() };
        let task = TaskStats {
            operators: vec![operator],
            busy_us: age_us / 4,
            idle_us: age_us - age_us / 4,
            ..TaskStats::default()
        };
        JobStatus { term, tasks: vec![task], ..JobStatus::default() }
    }

    #[test]
    fn a_steady_rate_is_steady_however_reports_come() {
        let (mut meter, uids) = (Meter::default(), ["in".to_owned()]);
        // A thousand rows a second; looked at five times a second, reported about once a second.
        for look in 1u64..100 {
            let reported_us = look * 200_000 / 1_030_000 * 1_030_000;
            let status = status(1, reported_us.max(1), reported_us / 1_000);
            meter.take(&status);
            let rate = meter.out_rate(&status, &uids);
            assert!(look < 6 || (rate - 1_000.0).abs() < 2.0, "look {look}: {rate}");
        }
    }

    #[test]
    fn what_tasks_show_of_key_groups_is_put_in_its_place() {
        let facts = Facts { max_parallelism: 4, ..Facts::default() };
        let part = |uid: &str, subtask, first_group, rates: &[f32], state_rows: &[u64]| {
            let (rates, state_rows) = (rates.to_vec(), state_rows.to_vec());
            let uid = uid.into();
            let rows_json = Vec::new();
            OperatorShown { uid, subtask, first_group, rates, state_rows, rows_json }
        };
        let shown = [
            part("count", 1, 2, &[30.0, 0.0], &[3, 0]),
            part("count", 0, 0, &[1.0, 2.0], &[5, 6]),
            part("sum", 0, 0, &[7.0; 2], &[7; 2]),
            // Which there cannot be.
            part("wide", 0, 3, &[7.0; 9], &[7; 9]),
            part("out", 0, 0, &[], &[]),
        ];
        let view = key_groups(&facts, "count", &shown, 9).unwrap();
        assert_eq!((view.in_rates, view.state_rows), (vec![1.0, 2.0, 30.0, 0.0], vec![5, 6, 3, 0]));
        let owners = view.owners.iter().map(|o| (o.subtask, o.first, o.end));
        assert_eq!(owners.collect::<Vec<_>>(), [(0, 0, 2), (1, 2, 4)]);
        let wide = key_groups(&facts, "wide", &shown, 9).unwrap();
        assert_eq!(wide.in_rates, [0.0, 0.0, 0.0, 7.0]);
        let out = key_groups(&facts, "out", &shown, 9).unwrap();
        assert!(out.in_rates.is_empty() && out.state_rows.is_empty(), "no state by key");
        assert_eq!(key_groups(&facts, "elsewhere", &shown, 9), None);
    }

    #[test]
    fn the_newest_rows_of_all_tasks_are_shown_and_not_more_than_may_be() {
        let part = |uid: &str, at_ms, rows: std::ops::Range<u32>| {
            let row = |subtask| RowView { subtask, ..RowView::default() };
            let rows = RowsView { at_ms, rows: rows.map(row).collect(), ..RowsView::default() };
            let rows_json = serde_json::to_vec(&rows).unwrap();
            OperatorShown { uid: uid.into(), rows_json, ..OperatorShown::default() }
        };
        let nothing = OperatorShown { uid: "count".into(), ..OperatorShown::default() };
        let shown = [part("count", 5, 0..15), nothing.clone(), part("count", 9, 20..30)];
        let view = newest_rows("count", &shown).unwrap();
        let rows: Vec<u32> = view.rows.iter().map(|row| row.subtask).collect();
        let expected: Vec<u32> = (5..15).chain(20..30).collect();
        assert_eq!((view.at_ms, view.uid.as_str(), rows), (9, "count", expected));
        assert_eq!(newest_rows("count", &[nothing]), None);
        let strange = OperatorShown {
            uid: "count".into(),
            rows_json: b"[".to_vec(),
            ..OperatorShown::default()
        };
        assert_eq!(newest_rows("count", &[strange]), None);
    }

    #[test]
    fn shares_are_of_the_last_seconds_and_a_silent_task_does_nothing() {
        let mut meter = Meter::default();
        for second in 1..=10 {
            meter.take(&status(1, second * 1_000_000, second * 10));
        }
        let time = meter.rates((0, 0)).time;
        assert!((time.busy - 0.25).abs() < 0.01 && (time.idle - 0.75).abs() < 0.01, "{time:?}");
        for _ in 0..SILENT_LOOKS {
            meter.take(&status(1, 10_000_000, 100));
        }
        assert_eq!(meter.rates((0, 0)).time, TimeShares::default());
        // A new term's tasks count from nothing.
        meter.take(&status(2, 1_000_000, 7));
        assert!((meter.rates((0, 0)).operators[0].1 - 7.0).abs() < 0.01);
    }
}
