//! How long a row of JSON takes to decode, beside arrow-json.
//!
//! `cargo run --release -p weir-connectors --example json_decode [MiB [only]]`
//!
//! Rows are like Nexmark's bids, about 200 bytes, all different; two of seven fields are wanted.

use std::hint::black_box;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use rand::{Rng, SeedableRng, rngs::StdRng};
use weir_connectors::formats::RecordDecoder;
use weir_connectors::formats::json::{JsonDecoder, JsonOptions};

const BATCH: usize = 8_192;
const ROUNDS: usize = 5;

fn main() {
    let mebibytes: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(64);
    let (data, rows) = bids(mebibytes << 20);
    let only = std::env::args().nth(2).unwrap_or_default();
    let pieces: Vec<&[u8]> = data.split(|&b| b == b'\n').filter(|row| !row.is_empty()).collect();
    println!("{rows} rows, {} bytes a row", data.len() / rows);
    let ms = DataType::Timestamp(TimeUnit::Millisecond, None);
    let cases: [(&str, Vec<(&str, DataType)>); 3] = [
        ("auction, dateTime", vec![("auction", DataType::Int64), ("dateTime", ms.clone())]),
        ("auction, price", vec![("auction", DataType::Int64), ("price", DataType::Int64)]),
        (
            "all seven",
            vec![
                ("auction", DataType::Int64),
                ("bidder", DataType::Int64),
                ("price", DataType::Int64),
                ("channel", DataType::Utf8),
                ("url", DataType::Utf8),
                ("dateTime", ms),
                ("extra", DataType::Utf8),
            ],
        ),
    ];
    for (name, fields) in cases {
        let schema: SchemaRef = Arc::new(Schema::new(
            fields.into_iter().map(|(name, t)| Field::new(name, t, true)).collect::<Vec<_>>(),
        ));
        println!("{name}");
        let report = |name: &str, run: &dyn Fn() -> usize| {
            if name.contains(&only) {
                report(name, rows, run);
            }
        };
        report("weir, file", &|| lines(&schema, &data));
        report("weir, messages", &|| messages(&schema, &pieces));
        report("arrow-json", &|| arrow_json(&schema, &data));
    }
}

/// The best of some rounds.
#[allow(clippy::disallowed_methods)] // A benchmark is about the real clock.
fn report(name: &str, rows: usize, run: impl Fn() -> usize) {
    let round = || {
        let start = std::time::Instant::now();
        assert_eq!(black_box(run()), rows);
        start.elapsed().as_nanos() as f64 / rows as f64
    };
    let mut times: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    times.sort_by(f64::total_cmp);
    println!("  {name:<16} {:6.1} ns a row (worst round {:.1})", times[0], times[ROUNDS - 1]);
}

fn lines(schema: &SchemaRef, data: &[u8]) -> usize {
    let mut decoder = JsonDecoder::new(schema.clone(), JsonOptions::default()).expect("types");
    let (mut at, mut rows) = (0, 0);
    // As a connector does it: a megabyte at a time.
    while at < data.len() {
        let end = data.len().min(at + (1 << 20));
        let decoded = decoder.decode(&data[at..end], BATCH, end == data.len()).expect("rows");
        at += decoded.consumed;
        rows += decoded.rows;
        if decoder.rows() >= BATCH || at == data.len() {
            black_box(decoder.finish().expect("a batch"));
        }
    }
    rows
}

fn messages(schema: &SchemaRef, pieces: &[&[u8]]) -> usize {
    let mut decoder = JsonDecoder::new(schema.clone(), JsonOptions::default()).expect("types");
    let mut rows = 0;
    for message in pieces {
        rows += usize::from(decoder.decode_message(message).expect("a row"));
        if decoder.rows() == BATCH {
            black_box(decoder.finish().expect("a batch"));
        }
    }
    rows
}

fn arrow_json(schema: &SchemaRef, data: &[u8]) -> usize {
    let mut decoder = arrow_json::ReaderBuilder::new(schema.clone())
        .with_batch_size(BATCH)
        .build_decoder()
        .expect("types");
    let (mut at, mut rows) = (0, 0);
    loop {
        let read = decoder.decode(&data[at..]).expect("rows");
        at += read;
        match decoder.flush().expect("a batch") {
            Some(batch) => rows += black_box(batch).num_rows(),
            None if at == data.len() => return rows,
            None => {}
        }
    }
}

/// Rows until there are `bytes` bytes.
fn bids(bytes: usize) -> (Vec<u8>, usize) {
    use std::io::Write as _;
    let mut random = StdRng::seed_from_u64(1);
    let mut data = Vec::with_capacity(bytes + 300);
    let mut rows = 0;
    while data.len() < bytes {
        let channel: u16 = random.random_range(0..10_000);
        let millis = rows as u64 * 7 % 86_400_000;
        let extra: String = (0..random.random_range(10..40))
            .map(|_| char::from(random.random_range(b'a'..=b'z')))
            .collect();
        writeln!(
            data,
            "{{\"auction\":{},\"bidder\":{},\"price\":{},\"channel\":\"channel-{channel}\",\
             \"url\":\"https://www.nexmark.com/item.htm?query=1&channel_id={channel}\",\
             \"dateTime\":\"2015-07-15 {:02}:{:02}:{:02}.{:03}\",\"extra\":\"{extra}\"}}",
            random.random_range(1_000u64..1_000_000_000_000),
            random.random_range(1_000u32..10_000_000),
            10u32.pow(random.random_range(2..8)) + random.random_range(0..100),
            millis / 3_600_000,
            millis / 60_000 % 60,
            millis / 1_000 % 60,
            millis % 1_000,
        )
        .expect("writing to memory");
        rows += 1;
    }
    (data, rows)
}
