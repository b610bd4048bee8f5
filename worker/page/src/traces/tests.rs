use std::collections::BTreeSet;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weir_protocol::view::Step;

use super::export::{Endpoint, body};
use super::*;

fn record(tasks: u32) -> CheckpointRecord {
    let task = |subtask| CheckpointTask {
        vertex: 1,
        subtask,
        trigger_us: 2_000,
        align_us: 1_000,
        freeze_us: 500,
        upload_us: u64::from(subtask) * 1_000,
        bytes: 10,
    };
    CheckpointRecord {
        attempt: 7,
        epoch: 5,
        at_ms: 10_000,
        took_ms: 40,
        acknowledged_ms: 30,
        written_bytes: 99,
        purpose: "interval".into(),
        tasks: (0..tasks).map(task).collect(),
        ..CheckpointRecord::default()
    }
}

fn traced(record: &CheckpointRecord) -> Vec<Span> {
    of_checkpoint("default/flights", record, |vertex| format!("chain {vertex}"))
}

#[test]
fn the_parts_of_a_checkpoint_stand_where_they_were() {
    let spans = traced(&record(40));
    let root = spans.last().unwrap();
    assert_eq!((root.parent, root.begin_us, root.end_us), (0, 9_960_000, 10_000_000));
    let tasks: Vec<&Span> = spans.iter().filter(|span| span.name == "task").collect();
    assert_eq!(tasks.len(), MAX_TASKS, "the slowest of many");
    assert!(tasks[0].attributes.contains(&("weir.subtask", "39".to_owned())));
    assert!(tasks[0].attributes.contains(&("weir.task", "chain 1".to_owned())));
    let parts: Vec<&Span> = spans.iter().filter(|span| span.parent == tasks[0].id).collect();
    let places: Vec<_> = parts
        .iter()
        .map(|p| (p.name.as_str(), p.begin_us - root.begin_us, p.end_us - root.begin_us))
        .collect();
    assert_eq!(
        places,
        [
            ("trigger", 0, 2_000),
            ("align", 2_000, 3_000),
            ("freeze", 3_000, 3_500),
            ("upload", 3_500, 42_500)
        ]
    );
    let publish = spans.iter().find(|span| span.name == "publish").unwrap();
    assert_eq!((publish.begin_us, publish.end_us), (9_990_000, 10_000_000));

    let ids: BTreeSet<u64> = spans.iter().map(|span| span.id).collect();
    assert_eq!(ids.len(), spans.len(), "each has an id of its own");
    assert!(spans.iter().all(|span| span.trace == root.trace));
    assert_eq!(traced(&record(40)), spans, "sent twice it is the same");
    let next = CheckpointRecord { attempt: 8, at_ms: 11_000, ..record(40) };
    assert_ne!(traced(&next).last().unwrap().trace, root.trace);
}

#[test]
fn what_failed_says_why() {
    let failed = CheckpointRecord {
        result: AttemptResult::Failed,
        problem: "disk full".into(),
        ..record(0)
    };
    let written = body("weir", &traced(&failed));
    let spans = written["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 1, "nothing was published");
    assert_eq!(spans[0]["status"]["message"], "disk full");
    let refused = OperationView {
        kind: "Rescale".into(),
        outcome: "refused".into(),
        message: "no slots".into(),
        ..OperationView::default()
    };
    assert_eq!(of_operation("a/b", &refused).last().unwrap().problem, "no slots");
}

#[test]
fn the_steps_of_an_operation_end_with_it() {
    let step = |name: &str, ms| Step { name: name.into(), ms };
    let done = OperationView {
        at_ms: 5_000,
        total_ms: 100,
        pause_ms: 30,
        steps: vec![step("checkpoint", 50), step("restore", 20)],
        ..OperationView::default()
    };
    let spans = of_operation("a/b", &done);
    let places: Vec<_> = spans.iter().map(|s| (s.name.as_str(), s.begin_us, s.end_us)).collect();
    assert_eq!(
        places,
        [
            ("checkpoint", 4_930_000, 4_980_000),
            ("restore", 4_980_000, 5_000_000),
            ("operation", 4_900_000, 5_000_000)
        ]
    );
}

#[test]
fn an_address_is_what_the_standard_says() {
    let parse = |url: &str| Endpoint::parse(url, "/v1/traces").map(|e| (e.address, e.path));
    let at = |address: &str, path: &str| Ok((address.to_owned(), path.to_owned()));
    assert_eq!(parse("http://otel:4318"), at("otel:4318", "/v1/traces"));
    assert_eq!(parse("http://otel/base/"), at("otel:80", "/base/v1/traces"));
    assert_eq!(parse("http://[::1]:4318/"), at("[::1]:4318", "/v1/traces"));
    assert!(parse("https://otel:4318").unwrap_err().contains("by http alone"));
    assert!(parse("http://").unwrap_err().contains("names no host"));
}

/// One request: its head and its body.
async fn request(stream: &mut TcpStream) -> (String, Value) {
    let mut text = Vec::new();
    loop {
        let mut more = [0; 4096];
        let length = stream.read(&mut more).await.unwrap();
        text.extend_from_slice(&more[..length]);
        let read = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = read.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            return (head.to_owned(), body);
        }
        assert!(length > 0, "the request ends in its middle: {read}");
    }
}

#[tokio::test]
async fn a_collector_gets_what_was_done_also_after_it_was_away() {
    let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", collector.local_addr().unwrap());
    let exporter = Exporter::start(Endpoint::parse(&url, "/v1/traces").unwrap(), "weir");
    for (attempt, answer) in [(1, "503 Service Unavailable"), (2, "200 OK")] {
        exporter.send(traced(&CheckpointRecord { attempt, ..record(2) }));
        let (mut stream, _) = collector.accept().await.unwrap();
        let (head, body) = request(&mut stream).await;
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("Content-Type: application/json"), "{head}");
        let of_weir = &body["resourceSpans"][0];
        assert_eq!(of_weir["resource"]["attributes"][0]["value"]["stringValue"], "weir");
        let spans = of_weir["scopeSpans"][0]["spans"].as_array().unwrap();
        let root = spans.last().unwrap();
        assert_eq!(root["name"], "checkpoint");
        assert_eq!(root["startTimeUnixNano"], "9960000000");
        assert_eq!(root["traceId"].as_str().unwrap().len(), 32);
        assert!(root.get("parentSpanId").is_none());
        let task = spans.iter().find(|span| span["name"] == "task").unwrap();
        assert_eq!(task["parentSpanId"], root["spanId"]);
        let number = &root["attributes"][1];
        assert_eq!(
            (&number["key"], &number["value"]["stringValue"]),
            (&"weir.attempt".into(), &attempt.to_string().into())
        );
        stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await.unwrap();
    }
}
