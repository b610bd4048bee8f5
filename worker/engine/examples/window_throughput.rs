//! Rows per CPU-second of the keyed tumbling count, in process, over batches built beforehand.
//!
//! `cargo run --release -p weir-engine --example window_throughput [keys rows_per_key windows]`

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use weir_engine::aggregate::{AggregateCall, functions};
use weir_engine::env::{Clock, instant};
use weir_engine::operator::{Context, OperatorMetrics, SnapshotRequest, Waker};
use weir_engine::operators::window::spec::{Window, WindowAggregate};
use weir_engine::operators::window::{global, local};
use weir_engine::{Batch, EngineError, Operator, Output, Progress, Watermark};
use weir_protocol::{Attempt, KeyGroupRange, OperatorUid, Subtask, Term};

const ROWS: usize = 8192;
const SIZE: i64 = 10_000;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), false),
        Field::new("k", DataType::Int64, false),
    ]))
}

/// CPU time of this thread in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let ns = stat.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    ns.map_or(0.0, |ns| ns / 1e9)
}

fn scramble(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x7FB5_D329_728E_A185);
    (n ^ (n >> 27)).wrapping_mul(0x81DA_DEF4_BC2D_D44D)
}

/// One window's rows: every key about `per_key` times, in random order, 64-bit keys.
fn window(keys: u64, per_key: u64, number: u64) -> Result<Vec<Batch>, EngineError> {
    let rows = keys * per_key;
    let mut batches = Vec::new();
    let mut row = 0;
    while row < rows {
        let end = (row + ROWS as u64).min(rows);
        let key = |r: u64| scramble(scramble(number * rows + r) % keys) as i64;
        let time = |r: u64| number as i64 * SIZE + (r * SIZE as u64 / rows) as i64;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampMillisecondArray::from_iter_values((row..end).map(time))),
            Arc::new(Int64Array::from_iter_values((row..end).map(key))),
        ];
        batches.push(Batch::new(RecordBatch::try_new(schema(), columns)?));
        row = end;
    }
    Ok(batches)
}

struct Task {
    cx: Context,
    operator: Box<dyn Operator>,
}

impl Task {
    /// Runs a call to its end, handing on what it puts out.
    fn drive(
        &mut self,
        call: impl FnOnce(&mut Context, &mut dyn Operator, &mut Output) -> Result<Progress, EngineError>,
        then: &mut dyn FnMut(Batch) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut out = Output::default();
        let mut progress = call(&mut self.cx, self.operator.as_mut(), &mut out)?;
        loop {
            for (_, batch) in out.take() {
                then(batch)?;
            }
            if progress == Progress::Done {
                return Ok(());
            }
            progress = self.operator.resume(&mut self.cx, &mut out)?;
        }
    }
}

fn measure(
    io: &tokio::runtime::Runtime,
    window_of: Window,
    keys: u64,
    per_key: u64,
    windows: u64,
    checkpoints: bool,
) -> Result<(), EngineError> {
    let spec = WindowAggregate {
        input: schema(),
        time: 0,
        window: window_of,
        keys: vec![1],
        aggregates: vec![AggregateCall {
            function: functions::COUNT,
            input: None,
            filter: None,
            distinct: false,
            name: "n".to_owned(),
        }],
    };
    let cx = || Context {
        uid: OperatorUid::from("window"),
        name: "window".into(),
        subtask: Subtask(0),
        parallelism: 1,
        max_parallelism: 720,
        key_groups: KeyGroupRange::all(720),
        term: Term(1),
        clock: Clock::System,
        io: io.handle().clone(),
        waker: Waker::none(),
        metrics: Arc::new(OperatorMetrics::default()),
    };
    let mut before = Task { operator: local(&spec)?.create(&cx())?, cx: cx() };
    let mut behind = Task { operator: global(&spec)?.create(&cx())?, cx: cx() };
    let (mut cpu_time, mut rows, mut counted, mut groups) = (0.0, 0_u64, 0_u64, 0);
    let (mut pause, mut encode, mut stored) = (0.0_f64, 0.0, 0);
    for number in 0..windows {
        let batches = window(keys, per_key, number)?;
        let start = cpu();
        let merge = |behind: &mut Task, batch: Batch| {
            behind.drive(|cx, op, out| op.on_batch(cx, 0, batch, out), &mut |_| Ok(()))
        };
        for batch in batches {
            rows += batch.num_rows() as u64;
            before.drive(|cx, op, out| op.on_batch(cx, 0, batch, out), &mut |batch| {
                merge(&mut behind, batch)
            })?;
        }
        if checkpoints {
            before.drive(|cx, op, out| op.flush(cx, out), &mut |b| merge(&mut behind, b))?;
            let request = SnapshotRequest { attempt: Attempt(1), full: false, last: false };
            let at = instant();
            let snapshot = behind.operator.on_barrier(&mut behind.cx, request)?;
            pause = pause.max(at.elapsed().as_secs_f64());
            if let Some(frozen) = snapshot.keyed {
                let at = instant();
                stored += frozen.encode()?.iter().map(|s| s.bytes.len()).sum::<usize>();
                encode += at.elapsed().as_secs_f64();
            }
        }
        let mark = Watermark((number + 1) as i64 * SIZE);
        before
            .drive(|cx, op, out| op.on_watermark(cx, mark, out), &mut |b| merge(&mut behind, b))?;
        behind.drive(|cx, op, out| op.on_watermark(cx, mark, out), &mut |batch| {
            groups += batch.num_rows();
            let counts = batch.records().column(1).to_data();
            counted += counts.buffers()[0].typed_data::<i64>()[counts.offset()..][..counts.len()]
                .iter()
                .sum::<i64>() as u64;
            Ok(())
        })?;
        // The first window warms up.
        if number > 0 {
            cpu_time += cpu() - start;
        } else {
            rows = 0;
        }
    }
    println!(
        "{window_of:?} {keys:>8} keys x {per_key:>3}: {:>6.1} M rows/s per core, {groups} groups, {counted} counted{}",
        rows as f64 / cpu_time / 1e6,
        if checkpoints {
            format!(
                ", pause at most {:.2} ms, encoded {:.0} MB in {:.0} ms",
                pause * 1e3,
                stored as f64 / 1e6,
                encode * 1e3
            )
        } else {
            String::new()
        }
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let io = tokio::runtime::Builder::new_current_thread().build()?;
    let tumble = Window::Tumble { size: SIZE, offset: 0 };
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    if let [keys, per_key, windows] = numbers[..] {
        measure(&io, tumble, keys, per_key, windows, false)?;
        return Ok(());
    }
    measure(&io, tumble, 10_000, 400, 8, false)?;
    measure(&io, tumble, 1_000_000, 4, 5, false)?;
    measure(&io, tumble, 1_000_000, 40, 3, false)?;
    measure(&io, tumble, 1_000_000, 4, 4, true)?;
    let hop = Window::Hop { size: 6 * SIZE, slide: SIZE, offset: 0 };
    measure(&io, hop, 10_000, 40, 20, false)?;
    let day = Window::Hop { size: 1440 * SIZE, slide: SIZE, offset: 0 };
    measure(&io, day, 1_000, 40, 3_000, false)?;
    Ok(())
}
