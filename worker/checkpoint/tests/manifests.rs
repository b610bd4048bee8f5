//! What is stored has a format: old manifests are read for ever, newer ones are refused.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::sync::Arc;

use common::{NEVER, Rig, Toy, job, request, v};
use weir_checkpoint::manifest::{FORMAT, Place, chain_name};
use weir_checkpoint::store::Scoped;
use weir_checkpoint::{
    ChainError, CheckpointBody, DataReader, DataWriter, Manifest, ManifestError, PublishError,
    Start, Steps, Store, TakeOverError, savepoint,
};
use weir_protocol::{KeyGroup, KeyGroupRange};
use weir_state::segment::{Segment, SegmentBuilder, SegmentKind};

const GOLDEN: &str = include_str!("golden/manifest-2.json");

#[test]
fn the_first_format_is_read_and_written_as_the_second() {
    let first = Manifest::decode("chain/7", include_bytes!("golden/manifest-1.json")).unwrap();
    assert_eq!((first.version, first.format), (v(7), FORMAT));
    let count = &first.operators[&"count".into()];
    assert_eq!(count.state.segments[0].blocks[1].len, 12);
    assert_eq!(&count.state.items[0].0[..], b"item");
    assert_eq!(&count.state.splits[0].position[..], b"17", "an array of numbers in the first");
    let snapshot = &count.enumerator.as_ref().unwrap().snapshot;
    assert_eq!(&snapshot.as_ref().unwrap().0[..], b"found");
    assert_eq!(&first.pending[0].committable.payload[..], b"{}");

    let second = Manifest::decode("chain/7", GOLDEN.as_bytes()).unwrap();
    assert_eq!(Manifest { weir: String::new(), ..second.clone() }, first);
    let again: serde_json::Value = serde_json::from_slice(&second.encode().unwrap()).unwrap();
    let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(again, golden, "a change of the format needs a new format number");
}

#[test]
fn a_field_that_this_version_does_not_know_is_refused_at_any_depth() {
    for (known, unknown) in [
        ("\"origin\"", "\"origins\": 1, \"origin\""),
        ("\"enumerator\": {", "\"enumerator\": {\"more\": 1, "),
        ("\"counts\": {", "\"counts\": {\"early\": 1, "),
        ("{\"id\": \"flights-0\"", "{\"host\": 1, \"id\": \"flights-0\""),
    ] {
        let newer = GOLDEN.replacen(known, unknown, 1);
        assert_ne!(newer, GOLDEN, "{known}");
        let error = Manifest::decode("chain/7", newer.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("(it was written by Weir 0.0.9)"), "{unknown}: {error}");
    }
}

#[tokio::test]
async fn a_newer_format_and_a_damaged_head_are_refused_and_nothing_older_is_used() {
    let rig = Rig::new();
    rig.recover(0).await.checkpoint(1).await;
    let chain = rig.chain();
    let newer = GOLDEN.replacen("\"format\": 2", "\"format\": 9", 1);
    chain.store().put(&chain_name(v(3)), newer.into_bytes().into()).await.unwrap();
    let error = chain.take_over(&request(1), NEVER).await.unwrap_err();
    let TakeOverError::Chain(ChainError::Manifest(error)) = error else { panic!("{error}") };
    assert!(matches!(error, ManifestError::NewerFormat { found: 9, .. }));
    assert!(error.to_string().contains("run the version of Weir that wrote it"), "{error}");
    let none = GOLDEN.replacen("\"format\": 2", "\"format\": 0", 1);
    let error = Manifest::decode("chain/7", none.as_bytes()).unwrap_err();
    assert!(matches!(error, ManifestError::Damaged { .. }), "{error}");
    chain.store().put(&chain_name(v(3)), b"{".to_vec().into()).await.unwrap();
    let error = chain.read_head().await.unwrap_err();
    assert!(error.to_string().starts_with("chain/00000000000000000003: not a manifest"), "{error}");
}

fn large(stamp: u8) -> Segment {
    let mut builder = SegmentBuilder::new(SegmentKind::Full, KeyGroupRange::all(128), 1);
    builder.push(KeyGroup(9), &vec![stamp; 100_000]);
    builder.finish()
}

async fn publish_segment(toy: &mut Toy, segment: Segment, pin: Option<&str>) {
    let chain = toy.writer.chain();
    let nonces = chain.options().nonces.clone();
    let writer = DataWriter::new(chain.store().clone(), toy.writer.term(), nonces);
    let refs = writer.write_segments(&"source".into(), &[segment]).await.unwrap();
    toy.freeze(2);
    let mut body = toy.body();
    body.operators.get_mut(&"source".into()).unwrap().state.segments = refs;
    body.pin = pin.map(str::to_owned);
    toy.writer.publish(body, NEVER).await.unwrap();
    toy.frozen.clear();
    toy.commit_all().await;
}

#[tokio::test(start_paused = true)]
async fn a_savepoint_is_complete_and_starts_another_job_that_then_stands_alone() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    publish_segment(&mut toy, large(1), Some("before-upgrade")).await;
    let pinned = toy.writer.head();
    // The job runs on; the pinned version outlives retention.
    for n in 2..8 {
        publish_segment(&mut toy, large(n), None).await;
        toy.writer.collect().await.unwrap();
    }
    let store = rig.chain().store().clone();
    let committed = |p: &weir_checkpoint::PendingCommit| toy.writer.is_committed(p.id());
    let steps = Steps::none();
    let copy = || savepoint::copy(&store, &pinned, "before-upgrade", committed, &steps);
    let unfinished = savepoint::copy(&store, &pinned, "x", |_| false, &Steps::none()).await;
    assert!(matches!(unfinished, Err(savepoint::SavepointError::Uncommitted { count: 1, .. })));
    let first = copy().await.unwrap();
    assert_eq!(copy().await.unwrap(), first, "repeating it changes nothing");
    let taken =
        savepoint::copy(&store, &toy.writer.head(), "before-upgrade", |_| true, &Steps::none())
            .await;
    assert!(matches!(taken, Err(savepoint::SavepointError::Taken { .. })));
    toy.writer.unpin("before-upgrade");
    for n in 8..12 {
        publish_segment(&mut toy, large(n), None).await;
        toy.writer.collect().await.unwrap();
    }
    let old_object = pinned.own_objects().into_iter().next().unwrap();
    assert!(store.get(&old_object).await.unwrap().is_none(), "unpinned and collected");

    // Another job, another root.
    let other = Rig::new();
    let folder: Arc<dyn Store> = Arc::new(Scoped::new(store.clone(), "savepoints/before-upgrade"));
    let savepoint = savepoint::fetch(folder.as_ref()).await.unwrap();
    let start = Start::Savepoint { token: "s".into(), savepoint: Box::new(savepoint.clone()) };
    let from = weir_checkpoint::SealRequest { start, ..request(0) };
    let mut new = Toy::start(&other.chain(), &other.sink, &from).await.unwrap();
    assert_eq!(new.position, 2);
    let head = new.writer.head();
    assert_eq!(head.operators_to_write_full(), ["source".into()]);
    let reader =
        DataReader::new(other.chain().store().clone()).with_foreign(&savepoint.url, folder);
    let entry = &head.operators[&"source".into()];
    let read = reader.read(&entry.state.segments, KeyGroupRange::all(128)).await.unwrap();
    assert_eq!(read[0].bytes, large(1).bytes);
    let refused = new.writer.publish(new.body(), NEVER).await;
    assert!(matches!(refused, Err(PublishError::Foreign { .. })), "a delta on foreign state");
    publish_segment(&mut new, large(7), None).await;
    assert!(new.writer.head().foreign_operators().is_empty());
    // The same spec again: the token is used up.
    let again = Toy::start(&other.chain(), &other.sink, &from).await.unwrap();
    assert_eq!(again.position, 4);
}

#[tokio::test(start_paused = true)]
async fn of_an_operator_that_begins_anew_nothing_goes_on() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    publish_segment(&mut toy, large(1), None).await;
    let mut body = toy.body();
    body.renewed.insert("source".into());
    assert!(body.differs_from(&toy.writer.head(), 0));
    toy.writer.publish(body, NEVER).await.unwrap();
    assert!(toy.writer.head().own_objects().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_would_break_a_rule_is_not_put() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    publish_segment(&mut toy, large(1), None).await;
    let mut body = toy.body();
    let mut stray = toy.writer.head().operators[&"source".into()].state.segments[0].clone();
    stray.place = Place::Object { path: "data/00000000000000000000/source/x".into(), offset: 0 };
    body.operators.get_mut(&"source".into()).unwrap().state.segments = vec![stray];
    let refused = toy.writer.publish(body, NEVER).await;
    assert!(matches!(refused, Err(PublishError::Broken { .. })), "{refused:?}");
    toy.checkpoint(1).await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_in_which_nothing_changed_says_nothing_new() {
    let rig = Rig::new();
    let mut toy = rig.recover(0).await;
    let changes = |toy: &Toy, body: &CheckpointBody| {
        body.differs_from(&toy.writer.head(), toy.writer.pending().len())
    };
    toy.checkpoint(2).await;
    assert!(!changes(&toy, &toy.body()));
    toy.commit_all().await;
    assert!(changes(&toy, &toy.body()), "commits are to be dropped");
    let pinned = CheckpointBody { pin: Some("s".into()), ..toy.body() };
    assert!(changes(&toy, &pinned));
    toy.publish(NEVER).await.unwrap();
    assert!(!changes(&toy, &toy.body()));
    let watermarks = [("source".into(), 7.into())].into();
    assert!(!changes(&toy, &CheckpointBody { watermarks, ..toy.body() }), "that alone is no news");
    toy.freeze(1);
    assert!(changes(&toy, &toy.body()));
}

#[tokio::test(start_paused = true)]
async fn the_store_holds_no_more_than_the_head_names() {
    let rig = Rig::new();
    for worker in 0..4 {
        let mut toy = rig.recover(worker).await;
        // Uploaded, and the term ends before it is in a manifest.
        let chain = rig.chain();
        let writer = DataWriter::new(chain.store().clone(), toy.writer.term(), rig.nonces.clone());
        writer.write_segments(&"orphan".into(), &[large(0)]).await.unwrap();
        for n in 0..5 {
            publish_segment(&mut toy, large(n), None).await;
            toy.writer.collect().await.unwrap();
        }
    }
    let toy = rig.recover(9).await;
    toy.writer.collect().await.unwrap();
    let head = toy.writer.head();
    let prefix = format!("{}/", job());
    let names = rig.memory.names();
    let data: std::collections::BTreeSet<String> = names
        .iter()
        .filter_map(|n| n.strip_prefix(&prefix))
        .filter(|n| n.starts_with("data/"))
        .map(str::to_owned)
        .collect();
    assert_eq!(data, head.live_objects());
    let chain = names.iter().filter(|n| n.contains("/chain/")).count();
    assert_eq!(chain, head.retained.len() + 1);
}
