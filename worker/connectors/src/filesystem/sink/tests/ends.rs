//! What a job's end does: files that take the place of others, and partitions that are whole.

use arrow::array::ArrayRef;
use weir_engine::Watermark;

use super::*;
use crate::table::Output as Ending;

const PLACES: [(&str, &str); 3] = [("json", "out"), ("parquet", "out"), ("json", "s3://b/out")];

impl Bench {
    /// A table partitioned by `to`, of which a batch job overwrites what it has rows for, or the one
    /// partition.
    fn overwriting(mut self, partitioned: bool, only: Option<&str>) -> Self {
        if partitioned {
            self.table.partitioned_by = vec![1];
        }
        let only = only.map(|to| (1, Arc::new(StringArray::from(vec![to])) as ArrayRef));
        self.table.output = Ending { at_end: true, overwrites: Some(only.into_iter().collect()) };
        self
    }

    /// Names of files, of those that readers see and of marks.
    fn shown(&self) -> Vec<String> {
        let is_shown = |name: &String| !name.contains(".staging");
        self.names().into_iter().filter(is_shown).collect()
    }

    /// A subtask of another job, which adds files to the same place.
    fn adding(&self, term: u64) -> Writer {
        let table = Table { output: Ending::default(), ..self.table.clone() };
        let parts = sink_with(&table, &self.place(), self.stores.clone()).unwrap();
        let cx = context(self.io.handle(), term, 0, 1);
        Writer { operator: parts.factory.create(&cx).unwrap(), cx }
    }

    /// What is there before: rows -2 of A and -1 of B.
    fn with_old_rows(self) -> Self {
        let mut writer = self.adding(1);
        writer.write(-2..0);
        self.commit_all(&writer.barrier(true));
        assert_eq!(self.visible(), [-2, -1]);
        self
    }
}

impl Writer {
    fn end(&mut self) -> Published {
        self.pass(i64::MAX);
        self.barrier(true)
    }

    fn pass(&mut self, time_ms: i64) {
        let mark = Watermark(time_ms);
        let done = self.operator.on_watermark(&mut self.cx, mark, &mut Output::default());
        assert_eq!(done.unwrap(), Progress::Done);
    }
}

#[test]
fn old_files_go_when_the_new_ones_are_there_at_the_jobs_end() {
    for (format, path) in PLACES {
        let bench = Bench::new(format, path, &[("sink.rolling-policy.file-size", "1 kb")]);
        let bench = bench.overwriting(false, None).with_old_rows();
        let mut writer = bench.writer(2, vec![]);
        writer.write(0..300);
        let first = writer.barrier(false);
        assert!(first.commits.is_empty() && !first.items.is_empty(), "{format} {path}");
        // Stopped with a savepoint, and gone on with by another process.
        let saved = writer.barrier(true);
        assert!(saved.commits.is_empty());
        assert_eq!(bench.visible(), [-2, -1]);
        let mut writer = bench.writer(3, saved.items);
        writer.write(300..400);
        let ended = writer.end();
        assert!(ended.items.is_empty());
        let (replace, new) = ended.commits.split_last().unwrap();
        for item in new {
            assert_eq!(bench.commit(item), CommitAnswer::Committed);
        }
        let both: Vec<i64> = (-2..400).collect();
        assert_eq!(bench.visible(), both, "{format} {path}: old ones go last");
        // Repeated, and by a committer that comes late: what was written since stays.
        assert_eq!(bench.commit(replace), CommitAnswer::Committed);
        assert_eq!(bench.visible(), (0..400).collect::<Vec<_>>(), "{format} {path}");
        let bench =
            Bench { table: Table { output: Ending::default(), ..bench.table.clone() }, ..bench };
        let mut later = bench.writer(4, vec![]);
        later.write(500..501);
        bench.commit_all(&later.barrier(true));
        bench.commit_all(&ended);
        assert_eq!(bench.visible().last(), Some(&500), "{format} {path}");
        assert_eq!(bench.stores.0.open_uploads(), 0);
    }
}

#[test]
fn a_file_that_comes_while_the_job_runs_stays_since_nobody_has_read_it() {
    for (format, path) in PLACES {
        let bench = Bench::new(format, path, &[]).overwriting(false, None).with_old_rows();
        let mut writer = bench.writer(2, vec![]);
        writer.write(0..2);
        // Gone on with by another process, which finds more than the first one.
        let saved = writer.barrier(true);
        let mut other = bench.adding(9);
        other.write(70..71);
        bench.commit_all(&other.barrier(true));
        let mut writer = bench.writer(3, saved.items);
        writer.write(2..3);
        let ended = writer.end();
        bench.commit_all(&ended);
        assert_eq!(bench.visible(), [0, 1, 2, 70], "{format} {path}");
    }
}

#[test]
fn a_file_that_the_source_may_have_missed_stays_although_the_sink_found_it() {
    let bench = Bench::new("json", "out", &[]).overwriting(false, None).with_old_rows();
    let cx = context(bench.io.handle(), 2, 0, 1);
    // Planned, and the source has listed its files.
    let parts = bench.parts();
    let late = bench.directory.path().join("out/late.json");
    std::fs::write(&late, b"{\"id\":7}\n").unwrap();
    let modified = std::time::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    std::fs::File::options().write(true).open(&late).unwrap().set_modified(modified).unwrap();
    let mut writer = Writer { operator: parts.factory.create(&cx).unwrap(), cx };
    writer.write(0..2);
    bench.commit_all(&writer.end());
    assert_eq!(bench.visible(), [0, 1, 7]);
}

#[test]
fn a_file_that_is_written_anew_is_not_taken_for_the_old_one() {
    let bench = Bench::new("json", "out", &[]).overwriting(false, None);
    let (out, name) = (bench.directory.path().join("out"), "data.json");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join(name), b"{\"id\":7}\n").unwrap();
    let mut writer = bench.writer(1, vec![]);
    writer.write(0..2);
    let ended = writer.end();
    std::fs::write(out.join(name), b"{\"id\":70}\n").unwrap();
    bench.commit_all(&ended);
    assert_eq!(bench.visible(), [0, 1, 70]);
}

#[test]
fn nothing_goes_where_the_new_files_were_taken_back() {
    for (format, path) in PLACES {
        let bench = Bench::new(format, path, &[]).overwriting(false, None).with_old_rows();
        let mut writer = bench.writer(2, vec![]);
        writer.write(0..3);
        let ended = writer.end();
        for item in &ended.commits {
            assert_eq!(bench.discard(item), CommitAnswer::Committed);
        }
        // A committer that does not know of it.
        let answers: Vec<_> = ended.commits.iter().map(|item| bench.commit(item)).collect();
        assert!(
            answers.iter().all(|answer| matches!(answer, CommitAnswer::Lost(_))),
            "{answers:?}"
        );
        assert_eq!(bench.visible(), [-2, -1], "{format} {path}");
    }
}

#[test]
fn old_files_stay_where_a_late_commit_brings_nothing_that_was_taken_back() {
    let cases = PLACES.iter().flat_map(|place| [(place, 0), (place, 300)]);
    for ((format, path), rows) in cases {
        let bench = Bench::new(format, path, &[("sink.rolling-policy.file-size", "1 kb")]);
        let bench = bench.overwriting(false, None).with_old_rows();
        let mut writer = bench.writer(2, vec![]);
        if rows > 0 {
            writer.write(0..rows);
            // An earlier checkpoint has all of them, so that uploads outlive a roll-back to it.
            assert!(writer.barrier(false).commits.is_empty());
        }
        let ended = writer.end();
        let discarded: Vec<_> = ended.commits.iter().map(|item| bench.discard(item)).collect();
        assert!(discarded.iter().all(|answer| *answer == CommitAnswer::Committed), "{discarded:?}");
        let answers: Vec<_> = ended.commits.iter().map(|item| bench.commit(item)).collect();
        assert!(
            matches!(answers.last(), Some(CommitAnswer::Lost(_))),
            "{format} {path} {answers:?}"
        );
        assert!(bench.visible().starts_with(&[-2, -1]), "{format} {path} of {rows} rows");
    }
}

#[test]
fn partitions_are_overwritten_that_have_rows_or_are_named() {
    for (format, path) in PLACES {
        // Rows for B alone.
        let bench = Bench::new(format, path, &[]).overwriting(true, None).with_old_rows();
        let mut writer = bench.writer(2, vec![]);
        writer.write(1..2);
        bench.commit_all(&writer.end());
        assert_eq!(bench.visible(), [-2, 1], "{format} {path}");
        // The one that is named, of which there is no row.
        let bench = Bench::new(format, path, &[]).overwriting(true, Some("A")).with_old_rows();
        let mut writer = bench.writer(2, vec![]);
        bench.commit_all(&writer.end());
        assert_eq!(bench.visible(), [-1], "{format} {path}");
        // A table without partitions, of no rows.
        let bench = Bench::new(format, path, &[]).overwriting(false, None).with_old_rows();
        let mut writer = bench.writer(2, vec![]);
        bench.commit_all(&writer.end());
        assert_eq!(bench.visible(), [] as [i64; 0], "{format} {path}");
    }
}

const SUCCESS: (&str, &str) = ("sink.partition-commit.policy.kind", "success-file");

fn marks(bench: &Bench) -> Vec<String> {
    let is_mark = |name: &String| name.ends_with("_SUCCESS");
    bench.shown().into_iter().filter(is_mark).collect()
}

#[test]
fn a_partition_is_said_to_be_whole_behind_its_rows() {
    for (format, path) in PLACES {
        let mut bench =
            Bench::new(format, path, &[SUCCESS, ("sink.partition-commit.delay", "1 s")]);
        bench.table.partitioned_by = vec![1];
        assert!(bench.parts().single);
        let mut writer = bench.writer(1, vec![]);
        writer.write(0..2);
        let early = writer.barrier(false);
        bench.commit_all(&early);
        assert_eq!(marks(&bench), [] as [&str; 0], "{format} {path}");
        // Gone on with from there; its first rows came before.
        let mut writer = bench.writer(2, early.items);
        writer.wait(Duration::from_millis(1500));
        writer.write(2..3);
        let due = writer.barrier(false);
        assert_eq!(bench.visible().len(), 0, "{format} {path}");
        let (mark, rows): (Vec<_>, Vec<_>) = due
            .commits
            .iter()
            .partition(|item| String::from_utf8_lossy(&item.payload).contains("_SUCCESS"));
        assert_eq!(mark.len(), 2, "{format} {path}: A and B");
        assert_eq!(due.commits[due.commits.len() - 1], *mark[1], "behind rows");
        for item in rows {
            assert_eq!(bench.commit(item), CommitAnswer::Committed);
        }
        assert_eq!(bench.visible(), [0, 1, 2], "{format} {path}");
        bench.commit_all(&due);
        let directory = path.rsplit('/').next().unwrap();
        let expected = ["A", "B"].map(|to| format!("{directory}/to={to}/_SUCCESS"));
        assert_eq!(marks(&bench), expected, "{format} {path}");
        // Rows that come later are shown, and it is said again, which changes nothing.
        writer.wait(Duration::from_millis(10));
        writer.write(4..5);
        writer.wait(Duration::from_secs(2));
        bench.commit_all(&writer.barrier(false));
        assert_eq!(bench.visible(), [0, 1, 2, 4], "{format} {path}");
        // A roll-back takes it away with the rows.
        due.commits.iter().for_each(|item| {
            bench.discard(item);
        });
        assert_eq!(marks(&bench), [] as [&str; 0], "{format} {path}");
    }
}

#[test]
fn a_success_file_that_somebody_else_has_written_says_the_same() {
    for (format, path) in PLACES {
        let mut bench = Bench::new(format, path, &[SUCCESS]);
        bench.table.partitioned_by = vec![1];
        let mut writer = bench.writer(1, vec![]);
        writer.write(0..1);
        let due = writer.end();
        let theirs = b"by another tool";
        match path.strip_prefix("s3://b/") {
            Some(key) => {
                let key = Key::from(format!("{key}/to=A/_SUCCESS"));
                let put = bench.stores.0.put(&key, PutPayload::from_static(theirs));
                bench.io.block_on(put).unwrap();
            }
            None => {
                let directory = bench.directory.path().join("out/to=A");
                std::fs::create_dir_all(&directory).unwrap();
                std::fs::write(directory.join("_SUCCESS"), theirs).unwrap();
            }
        }
        bench.commit_all(&due);
        bench.commit_all(&due);
        assert_eq!(bench.visible(), [0], "{format} {path}");
        assert_eq!(marks(&bench).len(), 1, "{format} {path}");
        assert_eq!(bench.stores.0.open_uploads(), 0);
        assert!(bench.names().iter().all(|name| !name.contains(".staging/_SUCCESS")));
    }
}

#[test]
fn a_partition_is_whole_when_the_watermark_is_behind_its_time() {
    let options = [
        SUCCESS,
        ("sink.partition-commit.trigger", "partition-time"),
        ("sink.partition-commit.delay", "1 h"),
        ("sink.partition-commit.success-file.name", ".done"),
        ("partition.time-extractor.timestamp-pattern", "1970-01-01 $hour:00:00"),
    ];
    let mut bench = Bench::new("json", "out", &options);
    let hour = arrow::datatypes::Field::new("hour", DataType::Utf8, true);
    let fields = [bench.table.schema.field(0).clone(), hour];
    bench.table.schema = Arc::new(arrow::datatypes::Schema::new(fields.to_vec()));
    bench.table.partitioned_by = vec![1];
    let mut writer = bench.writer(1, vec![]);
    let put = |writer: &mut Writer, hour: &str| {
        let columns: [ArrayRef; 2] =
            [Arc::new(Int64Array::from(vec![1])), Arc::new(StringArray::from(vec![hour]))];
        let records = RecordBatch::try_new(bench.table.schema.clone(), columns.to_vec()).unwrap();
        let (cx, out) = (&mut writer.cx, &mut Output::default());
        writer.operator.on_batch(cx, 0, Batch::new(records), out)
    };
    assert_eq!(put(&mut writer, "00").unwrap(), Progress::Done);
    assert_eq!(put(&mut writer, "01").unwrap(), Progress::Done);
    writer.pass(3_600_001);
    assert!(writer.barrier(false).commits.is_empty());
    writer.pass(3_600_002);
    bench.commit_all(&writer.barrier(false));
    let done = |bench: &Bench| -> Vec<String> {
        bench.shown().into_iter().filter(|name| name.ends_with(".done")).collect()
    };
    assert_eq!(done(&bench), ["out/hour=00/.done"]);
    // A stop is no end: the other one is not whole.
    let stopped = writer.barrier(true);
    bench.commit_all(&stopped);
    assert_eq!(done(&bench), ["out/hour=00/.done"]);
    let mut writer = bench.writer(2, stopped.items);
    bench.commit_all(&writer.end());
    assert_eq!(done(&bench), ["out/hour=00/.done", "out/hour=01/.done"]);
    let error = put(&mut writer, "x").unwrap_err();
    assert!(
        error.message.contains("partition 'hour=x': '1970-01-01 x:00:00' is no time"),
        "{error}"
    );
}

#[test]
fn in_a_batch_job_partitions_are_whole_at_its_end_and_behind_what_they_replace() {
    let bench = Bench::new("json", "out", &[SUCCESS]).overwriting(true, None).with_old_rows();
    // What was said of the old rows.
    std::fs::remove_file(bench.directory.path().join("out/to=A/_SUCCESS")).unwrap();
    let mut writer = bench.writer(2, vec![]);
    writer.write(0..1);
    assert!(writer.barrier(false).commits.is_empty());
    let ended = writer.end();
    let names = ["rows", "_overwritten-", "\"replace\"", "_SUCCESS"];
    let kind = |payload: &[u8]| {
        let text = String::from_utf8_lossy(payload);
        names
            .iter()
            .skip(1)
            .rev()
            .find(|name| text.contains(**name))
            .unwrap_or(&names[0])
            .to_string()
    };
    let kinds: Vec<String> = ended.commits.iter().map(|item| kind(&item.payload)).collect();
    assert_eq!(kinds, names);
    bench.commit_all(&ended);
    assert_eq!(bench.visible(), [-1, 0]);
    assert_eq!(marks(&bench), ["out/to=A/_SUCCESS", "out/to=B/_SUCCESS"]);
}

#[test]
fn what_is_written_by_one_task_says_so_beside_another_parallelism() {
    let shown = |bench: &Bench| bench.parts().details["parallelism"].clone();
    let many = ("sink.parallelism", "3");
    let mut bench = Bench::new("json", "out", &[many, SUCCESS]);
    bench.table.partitioned_by = vec![1];
    assert_eq!(shown(&bench), "one task; 'sink.parallelism' = '3' changes nothing");
    let bench = Bench::new("json", "out", &[many]).overwriting(false, None);
    assert_eq!(shown(&bench), "one task; 'sink.parallelism' = '3' changes nothing");
    let bench = Bench::new("json", "out", &[many]);
    assert_eq!(shown(&bench), "the job's; 'sink.parallelism' = '3' changes nothing");
}

#[test]
fn what_cannot_be_said_of_partitions_is_refused() {
    let refused = |partitioned: bool, more: &[(&str, &str)]| -> Vec<String> {
        let mut bench = Bench::new("json", "out", more);
        if partitioned {
            bench.table.partitioned_by = vec![1];
        }
        let parts = sink_with(&bench.table, &bench.place(), bench.stores.clone());
        let problems = parts.err().unwrap_or_default();
        problems.into_iter().map(|problem| problem.message).collect()
    };
    let policy = |kind| [("sink.partition-commit.policy.kind", kind)];
    assert_eq!(refused(true, &policy("success-file")), [] as [&str; 0]);
    assert_eq!(
        refused(true, &policy("metastore,success-file")),
        [
            "'sink.partition-commit.policy.kind': 'metastore' is not supported: no metastore is told of partitions here; write 'success-file', and let what follows wait for that file"
        ]
    );
    assert_eq!(
        refused(false, &policy("success-file")),
        [
            "'sink.partition-commit.policy.kind': the table has no partitions that could be whole; add PARTITIONED BY (…), or remove the option"
        ]
    );
    let more = [
        SUCCESS,
        ("sink.partition-commit.success-file.name", "done"),
        ("sink.partition-commit.trigger", "partition-time"),
        ("sink.partition-commit.watermark-time-zone", "Asia/Shanghai"),
        ("partition.time-extractor.timestamp-pattern", "$day"),
        ("partition.time-extractor.timestamp-formatter", "EEE"),
    ];
    assert_eq!(
        refused(true, &more),
        [
            "'sink.partition-commit.success-file.name' is 'done': whoever reads the table would take the file for rows; begin the name with '_', and write no '/'",
            "'sink.partition-commit.watermark-time-zone' = 'Asia/Shanghai' is not supported: times of partitions are compared with watermarks as they are; take a TIMESTAMP column for WATERMARK, and remove the option",
            "'partition.time-extractor.timestamp-pattern' is '$day', and names no column of PARTITIONED BY; write such as '$day $hour:00:00'",
            "'partition.time-extractor.timestamp-formatter' is 'EEE'; it takes yyyy, MM, dd, HH, mm, ss and signs between them",
        ]
    );
}
