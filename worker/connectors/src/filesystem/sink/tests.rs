//! The sink against real files and buckets: what readers see, after any failure.

mod ends;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use weir_engine::graph::OperatorInfo;
use weir_engine::operator::{Committable, Restored, SnapshotRequest};
use weir_engine::sink::{CommitAnswer, CommitContext};
use weir_engine::source::SourcePoll;
use weir_engine::{Batch, EngineError, Operator, Output, Progress, RowKind};
use weir_protocol::{Attempt, Epoch};

use crate::filesystem::{sink_with, source_with};
use crate::table::{Place, SinkParts, Table};
use crate::testing::{MemoryStores, context, runtime, table};

fn cx() -> CommitContext {
    CommitContext { epoch: Epoch(1), lineage: "test".into() }
}

/// One sink table, its jobs and its readers.
struct Bench {
    io: tokio::runtime::Runtime,
    directory: tempfile::TempDir,
    stores: Arc<MemoryStores>,
    table: Table,
}

/// A running subtask of the sink.
struct Writer {
    cx: weir_engine::Context,
    operator: Box<dyn Operator>,
}

/// What a published manifest would hold.
#[derive(Clone, Default, Debug)]
struct Published {
    commits: Vec<Committable>,
    items: Vec<Bytes>,
}

const KINDS: [(&str, &str); 8] = [
    ("json", "out"),
    ("csv", "out"),
    ("parquet", "out"),
    ("json", "s3://b/out"),
    ("csv", "s3://b/out"),
    ("parquet", "s3://b/out"),
    ("avro", "out"),
    ("avro", "s3://b/out"),
];

impl Bench {
    fn new(format: &str, path: &str, more: &[(&str, &str)]) -> Self {
        let mut options = vec![("connector", "filesystem"), ("path", path), ("format", format)];
        options.extend_from_slice(more);
        Self {
            io: runtime(),
            directory: tempfile::tempdir().unwrap(),
            stores: Arc::new(MemoryStores::new()),
            table: table(&options, &[("id", DataType::Int64), ("to", DataType::Utf8)]),
        }
    }

    fn place(&self) -> Place {
        let operator = OperatorInfo { uid: "sink-uid-1".into(), ..OperatorInfo::default() };
        Place { base: self.directory.path().to_owned(), operator, ..Place::default() }
    }

    fn parts(&self) -> SinkParts {
        sink_with(&self.table, &self.place(), self.stores.clone()).unwrap()
    }

    fn writer(&self, term: u64, items: Vec<Bytes>) -> Writer {
        let mut cx = context(self.io.handle(), term, 0, 1);
        let mut operator = self.parts().factory.create(&cx).unwrap();
        if !items.is_empty() {
            operator.restore(&mut cx, Restored { items, ..Restored::default() }).unwrap();
        }
        Writer { cx, operator }
    }

    fn commit(&self, item: &Committable) -> CommitAnswer {
        let committer = self.parts().committer.unwrap();
        self.io.block_on(committer.commit(&cx(), item))
    }

    fn commit_all(&self, published: &Published) {
        for item in &published.commits {
            assert_eq!(self.commit(item), CommitAnswer::Committed);
        }
    }

    fn discard(&self, item: &Committable) -> CommitAnswer {
        let committer = self.parts().committer.unwrap();
        self.io.block_on(committer.discard(&cx(), item))
    }

    /// What our own source reads: visible rows, sorted.
    fn visible(&self) -> Vec<i64> {
        let parts = source_with(&self.table, &[0], &self.place(), self.stores.as_ref()).unwrap();
        let mut enumerator = parts.source.enumerator(None).unwrap();
        let Ok(splits) = self.io.block_on(enumerator.discover()) else {
            return Vec::new();
        };
        let mut cx = context(self.io.handle(), 1, 0, 1);
        let mut reader = parts.source.reader(&cx).unwrap();
        let mut left = splits.len();
        for (i, split) in splits.iter().enumerate() {
            assert!(split.size > 0);
            reader.add(&cx, i, split).unwrap();
        }
        let mut ids = Vec::new();
        while left > 0 {
            match reader.poll(&mut cx).unwrap() {
                SourcePoll::Rows { records, .. } => ids
                    .extend(records.column(0).as_primitive::<Int64Type>().values().iter().copied()),
                SourcePoll::Finished { .. } => left -= 1,
                other @ SourcePoll::Returned { .. } => panic!("{other:?}"),
                SourcePoll::Pending => std::thread::sleep(Duration::from_micros(200)),
            }
        }
        ids.sort_unstable();
        ids
    }

    /// Every name below the sink's path, staging included.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .io
            .block_on(self.stores.0.list(None).try_collect::<Vec<_>>())
            .unwrap()
            .into_iter()
            .map(|meta| meta.location.to_string())
            .collect();
        let mut open = vec![self.directory.path().to_owned()];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    names.push(
                        path.strip_prefix(self.directory.path())
                            .unwrap()
                            .to_str()
                            .unwrap()
                            .to_owned(),
                    );
                }
            }
        }
        names.sort();
        names
    }
}

impl Writer {
    fn write(&mut self, ids: std::ops::Range<i64>) {
        let to: StringArray =
            ids.clone().map(|id| Some(["A", "B"][id.rem_euclid(2) as usize])).collect();
        let schema = arrow::datatypes::Schema::new(vec![
            arrow::datatypes::Field::new("id", DataType::Int64, true),
            arrow::datatypes::Field::new("to", DataType::Utf8, true),
        ]);
        let records = RecordBatch::try_new(
            Arc::new(schema),
            vec![Arc::new(Int64Array::from_iter_values(ids)), Arc::new(to)],
        )
        .unwrap();
        while !self.operator.is_ready(&mut self.cx) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let done = self
            .operator
            .on_batch(&mut self.cx, 0, Batch::new(records), &mut Output::default())
            .unwrap();
        assert_eq!(done, Progress::Done);
    }

    fn try_barrier(&mut self, last: bool) -> Result<Published, EngineError> {
        let request = SnapshotRequest { attempt: Attempt(1), full: false, last };
        let snapshot = self.operator.on_barrier(&mut self.cx, request)?;
        assert!(snapshot.keyed.is_none() && snapshot.items.is_empty());
        let done = self.cx.io.clone().block_on(snapshot.pre_commit.unwrap())?;
        Ok(Published { commits: done.committables, items: done.items })
    }

    fn barrier(&mut self, last: bool) -> Published {
        self.try_barrier(last).unwrap()
    }

    fn wait(&mut self, time: Duration) {
        self.cx.clock.advance(time);
        self.operator.on_tick(&mut self.cx, &mut Output::default()).unwrap();
    }
}

#[test]
fn rows_are_visible_when_committed_and_only_once() {
    for (format, path) in KINDS {
        let bench = Bench::new(format, path, &[]);
        let mut writer = bench.writer(1, vec![]);
        writer.write(0..1000);
        writer.write(1000..1500);
        let published = writer.barrier(true);
        assert_eq!((published.commits.len(), published.items.len()), (1, 0));
        assert_eq!(published.commits[0].sink, "sink-uid-1".into());
        assert_eq!(bench.visible(), [] as [i64; 0], "{format} {path}: nothing before the commit");
        // Repeated, by other committers.
        for _ in 0..3 {
            bench.commit_all(&published);
            assert_eq!(bench.visible(), (0..1500).collect::<Vec<_>>(), "{format} {path}");
        }
        assert_eq!(bench.names().len(), 1, "{:?}", bench.names());
        assert_eq!(bench.stores.0.open_uploads(), 0);
    }
}

#[test]
fn an_epoch_without_rows_makes_no_file() {
    for (format, path) in KINDS {
        let bench = Bench::new(format, path, &[]);
        let mut writer = bench.writer(1, vec![]);
        writer.write(0..0);
        let published = writer.barrier(true);
        assert!(published.commits.is_empty() && published.items.is_empty());
        assert_eq!(bench.names(), [] as [&str; 0]);
    }
}

#[test]
fn open_files_outlive_checkpoints_and_are_rolled_by_the_policy() {
    for (format, path) in KINDS {
        let bench =
            Bench::new(format, path, &[("sink.rolling-policy.rollover-interval", "10 min")]);
        let mut writer = bench.writer(1, vec![]);
        for epoch in 0..5 {
            writer.write(epoch * 10..epoch * 10 + 10);
            let published = writer.barrier(false);
            assert_eq!((published.commits.len(), published.items.len()), (0, 1), "{format} {path}");
        }
        writer.wait(Duration::from_secs(600));
        let published = writer.barrier(false);
        assert_eq!((published.commits.len(), published.items.len()), (1, 0), "{format} {path}");
        bench.commit_all(&published);
        assert_eq!(bench.visible(), (0..50).collect::<Vec<_>>());
        assert_eq!(bench.names().len(), 1, "what a restore needed is gone: {:?}", bench.names());
    }
}

#[test]
fn a_quiet_file_is_rolled() {
    let bench = Bench::new("json", "out", &[("sink.rolling-policy.inactivity-interval", "1 min")]);
    let mut writer = bench.writer(1, vec![]);
    writer.write(0..10);
    writer.wait(Duration::from_secs(59));
    assert_eq!(writer.barrier(false).commits.len(), 0);
    writer.wait(Duration::from_secs(1));
    assert_eq!(writer.barrier(false).commits.len(), 1, "a barrier looks too, not only the check");
}

#[test]
fn a_full_file_is_rolled_between_barriers() {
    for (format, path) in KINDS {
        let bench = Bench::new(format, path, &[("sink.rolling-policy.file-size", "20 kb")]);
        let mut writer = bench.writer(1, vec![]);
        for batch in 0..10 {
            writer.write(batch * 1000..batch * 1000 + 1000);
        }
        let published = writer.barrier(true);
        assert!(published.commits.len() >= 3, "{format} {path}: {}", published.commits.len());
        bench.commit_all(&published);
        assert_eq!(bench.visible(), (0..10_000).collect::<Vec<_>>());
    }
}

#[test]
fn large_files_are_staged_in_parts() {
    for (format, path) in KINDS {
        // Small pages would be dictionary-encoded away.
        let bench = Bench::new(
            format,
            path,
            &[("parquet.compression", "UNCOMPRESSED")][..usize::from(format == "parquet")],
        );
        let mut writer = bench.writer(1, vec![]);
        let (mut first, batch) = (0, 60_000);
        for _ in 0..12 {
            writer.write(first..first + batch);
            first += batch;
        }
        let held = writer.barrier(false);
        assert_eq!(held.commits.len(), 0);
        writer.write(first..first + batch);
        let published = writer.barrier(true);
        bench.commit_all(&published);
        assert_eq!(bench.visible(), (0..first + batch).collect::<Vec<_>>(), "{format} {path}");
        assert_eq!(bench.names().len(), 1, "{:?}", bench.names());
        // The same from the checkpoint, in another place.
        let bench = Bench::new(format, path, &[]);
        let mut writer = bench.writer(1, vec![]);
        (0..12).for_each(|i| writer.write(i * batch..i * batch + batch));
        let held = writer.barrier(false);
        writer.write(0..batch);
        let published = bench.writer(2, held.items).barrier(false);
        bench.commit_all(&published);
        assert_eq!(bench.visible(), (0..12 * batch).collect::<Vec<_>>(), "{format} {path}");
    }
}

#[test]
fn a_restore_has_exactly_the_rows_before_the_cut_whatever_a_zombie_does() {
    for (format, path) in KINDS {
        let bench = Bench::new(format, path, &[]);
        let mut zombie = bench.writer(1, vec![]);
        zombie.write(0..100);
        zombie.barrier(false);
        zombie.write(100..200);
        let cut = zombie.barrier(false);
        // Rows behind the cut belong to nobody.
        zombie.write(9000..9100);
        let mut successor = bench.writer(2, cut.items.clone());
        zombie.write(9100..9200);
        let unpublished = zombie.barrier(true);
        successor.write(200..300);
        let published = successor.barrier(true);
        bench.commit_all(&published);
        zombie.write(9200..9300);
        zombie.barrier(true);
        assert_eq!(bench.visible(), (0..300).collect::<Vec<_>>(), "{format} {path}");
        drop(unpublished);
        // Again from the same checkpoint, as after a roll-back: its rows are visible already.
        let again = bench.writer(3, cut.items).barrier(true);
        bench.commit_all(&again);
        assert_eq!(bench.visible(), (0..300).collect::<Vec<_>>(), "{format} {path}");
    }
}

#[test]
fn a_term_that_dies_before_it_publishes_leaves_the_checkpoint_as_it_was() {
    for (format, path) in KINDS {
        let bench = Bench::new(format, path, &[]);
        let mut writer = bench.writer(1, vec![]);
        writer.write(0..100);
        let cut = writer.barrier(false);
        for term in 2..5 {
            let mut dies = bench.writer(term, cut.items.clone());
            dies.write(500..600);
            dies.barrier(false);
        }
        let published = bench.writer(5, cut.items).barrier(true);
        bench.commit_all(&published);
        assert_eq!(bench.visible(), (0..100).collect::<Vec<_>>(), "{format} {path}");
    }
}

#[test]
fn committed_output_of_a_closed_file_survives_going_back_before_its_end() {
    for (format, path) in KINDS {
        let bench = Bench::new(format, path, &[]);
        let mut writer = bench.writer(1, vec![]);
        writer.write(0..100);
        let cut = writer.barrier(false);
        writer.write(100..150);
        bench.commit_all(&writer.barrier(true));
        assert_eq!(bench.visible().len(), 150);
        let again = bench.writer(2, cut.items).barrier(true);
        bench.commit_all(&again);
        assert_eq!(bench.visible().len(), 150, "{format} {path}: the cut's rows do not come twice");
    }
}

#[test]
fn a_staged_file_that_is_gone_is_lost_by_name() {
    for (format, path) in [("json", "out"), ("json", "s3://b/out")] {
        let bench = Bench::new(format, path, &[]);
        let mut writer = bench.writer(1, vec![]);
        writer.write(0..100);
        let published = writer.barrier(true);
        // Somebody cleans up.
        let _ = std::fs::remove_dir_all(bench.directory.path().join("out/.staging"));
        bench.stores.0.forget_uploads();
        let CommitAnswer::Lost(why) = bench.commit(&published.commits[0]) else {
            panic!("not lost")
        };
        assert!(
            why.starts_with("SinkCommitLost: ") && why.contains("out/part-sinkuid1-0-0-1-"),
            "{why}"
        );
        assert!(
            why.contains("neither the file nor ") && why.contains("bring either back"),
            "{why}"
        );
    }
}

#[test]
fn a_final_name_that_somebody_else_wrote_is_never_overwritten() {
    for (format, path) in [("json", "out"), ("json", "s3://b/out")] {
        let bench = Bench::new(format, path, &[]);
        let mut writer = bench.writer(1, vec![]);
        writer.write(0..100);
        let published = writer.barrier(true);
        let target = target_of(&published.commits[0]);
        if let Some(key) = target.strip_prefix("s3://b/") {
            bench
                .io
                .block_on(bench.stores.0.put(&Key::from(key), PutPayload::from_static(b"theirs")))
                .unwrap();
        } else {
            std::fs::write(&target, b"theirs").unwrap();
        }
        let CommitAnswer::Lost(why) = bench.commit(&published.commits[0]) else {
            panic!("not lost")
        };
        assert!(
            why.contains("holds 6 bytes instead of") && why.contains("somebody else wrote it"),
            "{why}"
        );
    }
}

fn target_of(item: &Committable) -> String {
    match super::payload::decode(&item.payload).unwrap().0 {
        super::payload::Commit::Link { target, .. } => target,
        super::payload::Commit::Complete { bucket, key, .. } => format!("s3://{bucket}/{key}"),
        super::payload::Commit::Replace { .. } => panic!("a sink that adds rows replaces none"),
    }
}

#[test]
fn discarded_output_can_never_become_visible() {
    for (format, path) in KINDS {
        let bench = Bench::new(format, path, &[]);
        let mut writer = bench.writer(1, vec![]);
        writer.write(0..100);
        let cut = writer.barrier(false);
        writer.write(100..200);
        let dropped = writer.barrier(true);
        if path == "out" && format == "csv" {
            // The answer of a commit was lost: it had become visible after all.
            bench.commit_all(&dropped);
        }
        for _ in 0..2 {
            assert_eq!(bench.discard(&dropped.commits[0]), CommitAnswer::Committed);
        }
        // The zombie's commit comes late.
        assert!(
            matches!(bench.commit(&dropped.commits[0]), CommitAnswer::Lost(_)),
            "{format} {path}"
        );
        // The older checkpoint can still be restored.
        let mut writer = bench.writer(2, cut.items);
        writer.write(100..150);
        bench.commit_all(&writer.barrier(true));
        assert_eq!(bench.visible(), (0..150).collect::<Vec<_>>(), "{format} {path}");
    }
}

#[test]
fn a_discarded_upload_still_restores_its_older_parts() {
    let bench = Bench::new("csv", "s3://b/out", &[]);
    let batch = 60_000;
    let mut writer = bench.writer(1, vec![]);
    (0..24).for_each(|i| writer.write(i * batch..i * batch + batch));
    let cut = writer.barrier(false);
    writer.write(0..batch);
    let dropped = writer.barrier(true);
    assert_eq!(bench.stores.0.open_uploads(), 1, "the cut names an upload");
    assert_eq!(bench.discard(&dropped.commits[0]), CommitAnswer::Committed);
    assert!(
        matches!(bench.commit(&dropped.commits[0]), CommitAnswer::Retry(_)),
        "refused by its ETag"
    );
    bench.commit_all(&bench.writer(2, cut.items).barrier(true));
    assert_eq!(bench.visible(), (0..24 * batch).collect::<Vec<_>>());
}

#[test]
fn partitions_become_directories_and_come_back_as_columns() {
    for (format, path) in KINDS {
        let mut bench = Bench::new(format, path, &[]);
        bench.table.partitioned_by = vec![1];
        let mut writer = bench.writer(1, vec![]);
        writer.write(0..100);
        let published = writer.barrier(false);
        assert_eq!(published.items.len(), 2);
        writer.write(100..200);
        bench.commit_all(&writer.barrier(true));
        assert_eq!(bench.visible(), (0..200).collect::<Vec<_>>());
        let mut files: BTreeMap<String, usize> = BTreeMap::new();
        for name in bench.names() {
            *files.entry(name.rsplit_once('/').unwrap().0.to_owned()).or_default() += 1;
        }
        let expected = [("out/to=A".to_owned(), 1), ("out/to=B".to_owned(), 1)];
        assert_eq!(files, expected.into(), "{format} {path}");
    }
}

#[test]
fn an_open_file_that_is_gone_at_a_restore_is_lost_by_name() {
    let bench = Bench::new("json", "out", &[]);
    let mut writer = bench.writer(1, vec![]);
    writer.write(0..100);
    let cut = writer.barrier(false);
    let staging = bench.directory.path().join("out/.staging");
    let file = std::fs::read_dir(&staging).unwrap().next().unwrap().unwrap().path();
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(5).unwrap();
    let error = bench.writer(2, cut.items).try_barrier(true).unwrap_err();
    assert!(
        error.message.starts_with("SinkCommitLost: ")
            && error.message.contains("holds 5 bytes, the checkpoint says"),
        "{error}"
    );
}

#[test]
fn a_path_that_is_a_file_or_lies_below_one_is_the_users_to_mend() {
    for (file, path, expected) in [
        ("out", "out", "/out: is a file, and 'path' of a sink is a directory; "),
        ("a", "a/b/out", "/a/b/out: /a is a file, so no directory can be below it; "),
        // A partition's directory: before anything is staged that could not be made visible.
        ("out/to=A", "out", "/out: /out/to=A is a file, so no directory can be below it; "),
    ] {
        let mut bench = Bench::new("json", path, &[]);
        bench.table.partitioned_by = vec![1];
        let place = bench.directory.path().join(file);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, "I am a file").unwrap();
        let mut writer = bench.writer(1, vec![]);
        writer.write(0..10);
        let error = writer.try_barrier(true).unwrap_err();
        assert_eq!(error.fault, weir_engine::Fault::User);
        let message = error.message.replace(bench.directory.path().to_str().unwrap(), "");
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_result_that_updates_is_refused() {
    let bench = Bench::new("json", "out", &[]);
    let mut writer = bench.writer(1, vec![]);
    let records = RecordBatch::try_new(
        bench.table.schema.clone(),
        vec![Arc::new(Int64Array::from(vec![1])), Arc::new(StringArray::from(vec!["A"]))],
    )
    .unwrap();
    let batch = Batch::new(records).with_kinds(Some([RowKind::UpdateAfter].into()));
    let error =
        writer.operator.on_batch(&mut writer.cx, 0, batch, &mut Output::default()).unwrap_err();
    assert!(error.message.contains("only takes new rows"), "{error}");
}

#[test]
fn a_disk_that_refuses_ends_the_attempt_with_its_name() {
    let bench = Bench::new("json", "out", &[]);
    // A file where the sink's own directory should be.
    std::fs::create_dir(bench.directory.path().join("out")).unwrap();
    std::fs::write(bench.directory.path().join("out/.staging"), b"").unwrap();
    let mut writer = bench.writer(1, vec![]);
    writer.write(0..10);
    let error = writer.try_barrier(false).unwrap_err();
    assert_eq!(error.fault, weir_engine::Fault::External);
    assert!(error.message.contains("/out/.staging: cannot create the directory: "), "{error}");
    assert!(writer.operator.is_ready(&mut writer.cx), "so that the error is heard");
}

#[test]
fn what_says_which_files_hold_the_rows_or_whom_to_tell_is_taken_and_changes_nothing() {
    let options = [
        ("auto-compaction", "true"),
        ("compaction.file-size", "1 GB"),
        ("sink.partition-commit.delay", "1 h"),
        ("sink.partition-commit.trigger", "partition-time"),
        ("partition.time-extractor.timestamp-pattern", "$dt 00:00:00"),
        ("sink.parallelism", "2"),
    ];
    let bench = Bench::new("json", "out", &options);
    let parts = sink_with(&bench.table, &bench.place(), bench.stores.clone()).unwrap();
    assert_eq!(
        parts.details["settings without effect"],
        "auto-compaction, compaction.file-size, partition.time-extractor.timestamp-pattern, sink.partition-commit.delay, sink.partition-commit.trigger"
    );
    let policy = [("sink.partition-commit.policy.kind", "success-file"), ("auto-compaction", "x")];
    let bench = Bench::new("json", "out", &policy);
    let problems = sink_with(&bench.table, &bench.place(), bench.stores.clone()).err().unwrap();
    let messages: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
    assert!(messages[0].ends_with("add PARTITIONED BY (…), or remove the option"), "{messages:?}");
    assert_eq!(messages[1], "'auto-compaction' is 'x'; give 'true' or 'false'");
}

#[test]
fn wrong_options_are_refused_all_at_once() {
    let mut bench = Bench::new(
        "json",
        "out/*",
        &[("sink.rolling-policy.file-size", "0"), ("sink.rolling-policy.rolover-interval", "1 s")],
    );
    bench.table.metadata = [(0, "file.path".to_owned())].into();
    bench.table.partitioned_by = vec![0, 1];
    let problems = sink_with(&bench.table, &bench.place(), bench.stores.clone()).err().unwrap();
    let messages: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "column 'id': metadata 'file.path' of files cannot be written; make it VIRTUAL or remove it",
            "every column is in PARTITIONED BY; at least one must be written into the files",
            "'path' of a sink names one directory; remove '*' and '?'",
            "'sink.rolling-policy.file-size' is 0; give a size such as '128 MB'",
            "option 'sink.rolling-policy.rolover-interval' is unknown for connector 'filesystem'; did you mean 'sink.rolling-policy.rollover-interval'?",
        ]
    );
}
