//! Files of a watched directory that grow, pause, shrink, go and come back: every row once, or an
//! error that names the file.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use weir_engine::operator::Context;

use super::*;

/// An enumerator and one reader, as the engine drives them.
struct Watched<'a> {
    bench: &'a Bench,
    source: Arc<dyn Source>,
    enumerator: Box<dyn SplitEnumerator>,
    reader: Box<dyn SourceReader>,
    cx: Context,
    reading: BTreeMap<usize, Split>,
    next: usize,
    rows: Vec<(i64, String)>,
}

impl<'a> Watched<'a> {
    fn new(bench: &'a Bench, path: &str, format: &str, more: &[(&str, &str)]) -> Self {
        Self::of(&columns(), bench, path, format, more)
    }

    /// Of a table whose last column is text.
    fn of(
        columns: &[(&str, DataType)],
        bench: &'a Bench,
        path: &str,
        format: &str,
        more: &[(&str, &str)],
    ) -> Self {
        let mut options = vec![
            ("connector", "filesystem"),
            ("path", path),
            ("format", format),
            ("source.monitor-interval", "1 s"),
        ];
        options.extend(more);
        let source = bench.source(&table(&options, columns));
        let cx = context(bench.io.handle(), 1, 0, 1);
        Self {
            bench,
            enumerator: source.enumerator(None).unwrap(),
            reader: source.reader(&cx).unwrap(),
            source,
            cx,
            reading: BTreeMap::new(),
            next: 0,
            rows: Vec::new(),
        }
    }

    /// Looks once, and reads what there is; the number of files that were read.
    fn look(&mut self) -> Result<usize, String> {
        let plain = |error: EngineError| {
            error.message.replace(self.bench.directory.path().to_str().unwrap(), "")
        };
        let found = self.bench.discover(&mut self.enumerator).map_err(plain)?;
        let files = found.len();
        for split in found {
            self.add(split);
            while self.poll().map_err(|error| {
                error.message.replace(self.bench.directory.path().to_str().unwrap(), "")
            })? {}
        }
        Ok(files)
    }

    fn add(&mut self, split: Split) {
        self.reader.add(&self.cx, self.next, &split).unwrap();
        self.reading.insert(self.next, split);
        self.next += 1;
    }

    /// `false` when everything was read as far as it goes.
    fn poll(&mut self) -> Result<bool, EngineError> {
        match self.reader.poll(&mut self.cx)? {
            SourcePoll::Rows { records, .. } => {
                let ids = records.column(0).as_primitive_opt::<Int64Type>();
                let names = records.columns().last().unwrap().as_string::<i32>().iter();
                for (row, name) in names.enumerate() {
                    let id = ids.map_or(0, |ids| ids.value(row));
                    self.rows.push((id, name.unwrap_or_default().to_owned()));
                }
            }
            SourcePoll::Returned { split, position, left } => {
                let split = self.reading.remove(&split).unwrap();
                self.enumerator.take_back(Split { position, size: left, ..split }).unwrap();
            }
            SourcePoll::Finished { .. } => panic!("files of a watched directory may grow"),
            SourcePoll::Pending => std::thread::yield_now(),
        }
        Ok(!self.reading.is_empty())
    }

    /// Goes on with another enumerator and another reader, as after a restart.
    fn restart(&mut self) {
        assert!(self.reading.is_empty());
        let snapshot = self.enumerator.snapshot();
        self.enumerator = self.source.enumerator(Some(snapshot)).unwrap();
        self.reader = self.source.reader(&self.cx).unwrap();
    }

    fn ids(&self) -> Vec<i64> {
        self.rows.iter().map(|(id, _)| *id).collect()
    }
}

impl Bench {
    fn append(&self, name: &str, content: &[u8]) {
        let mut file = fs::OpenOptions::new().append(true).open(self.path(name)).unwrap();
        file.write_all(content).unwrap();
    }

    /// Sets the modification time, to seconds that are never those of now.
    fn touch(&self, name: &str, seconds: u64) {
        let file = fs::File::options().append(true).open(self.path(name)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }
}

const FIX: &str = "; what was read of a file must not change: give another file another name, and it is read from its beginning";

#[test]
fn a_line_without_its_end_waits_for_it() {
    let bench = Bench::new();
    bench.write("in/a.csv", b"1,x1000\n2,x12");
    let mut watched = Watched::new(&bench, "in", "csv", &[]);
    assert_eq!((watched.look(), watched.ids()), (Ok(1), vec![1]));
    assert_eq!(watched.enumerator.held(), Some(i64::MIN), "what is owed holds the watermark");
    assert_eq!(watched.look(), Ok(0), "nothing changed");
    bench.append("in/a.csv", b"34\n3,x3000\n");
    assert_eq!(watched.look(), Ok(1));
    let names: Vec<_> = watched.rows.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["x1000", "x1234", "x3000"]);
    assert_eq!((watched.look(), watched.enumerator.held()), (Ok(0), None));
}

#[test]
fn every_cut_of_every_format_gives_every_row_once_through_restarts() {
    let bench = Bench::new();
    let json =
        "{\"id\":1,\"name\":\"ä\"}\n{\"id\":2,\"name\":\"b\\nb\"}\r\n\n{\"id\":3,\"name\":\"\"}\n";
    let csv = "1,\"a\n\nä\"\"\"\r\n2,\"b,\n\"\n\n3,c\n";
    let mut cases = Vec::new();
    for (format, plain) in [("json", json.as_bytes()), ("csv", csv.as_bytes())] {
        cases.push((format, "", plain.to_vec()));
        let mut gz = Vec::new();
        for part in [&plain[..7], &plain[7..]] {
            let mut encoder = flate2::write::GzEncoder::new(gz, flate2::Compression::fast());
            encoder.write_all(&part[..part.len() / 2]).unwrap();
            encoder.flush().unwrap();
            encoder.write_all(&part[part.len() / 2..]).unwrap();
            gz = encoder.finish().unwrap();
        }
        cases.push((format, ".gz", gz));
        let mut zst = zstd::encode_all(&plain[..11], 1).unwrap();
        zst.extend(zstd::encode_all(&plain[11..], 1).unwrap());
        cases.push((format, ".zst", zst));
        let mut bz2 = Vec::new();
        let mut xz = Vec::new();
        for part in [&plain[..9], &plain[9..]] {
            let mut packed = bzip2::write::BzEncoder::new(bz2, bzip2::Compression::fast());
            packed.write_all(part).unwrap();
            bz2 = packed.finish().unwrap();
            let options = lzma_rust2::XzOptions::with_preset(0);
            let mut packed = lzma_rust2::XzWriter::new(xz, options).unwrap();
            packed.write_all(part).unwrap();
            xz = packed.finish().unwrap();
        }
        cases.push((format, ".bz2", bz2));
        cases.push((format, ".xz", xz));
    }
    for (format, packing, content) in cases {
        let name = format!("in/a.{format}{packing}");
        bench.write(&name, &content);
        let mut calm = Watched::new(&bench, &name, format, &[]);
        calm.look().unwrap();
        assert_eq!(calm.ids(), [1, 2, 3]);
        for cut in 1..content.len() {
            fs::remove_file(bench.path(&name)).unwrap();
            bench.write(&name, &content[..cut]);
            let mut watched = Watched::new(&bench, &name, format, &[]);
            assert_eq!(watched.look(), Ok(1), "{name} at {cut}");
            watched.restart();
            // Somewhere between, so that a position is carried twice.
            let middle = cut + (content.len() - cut) / 2;
            bench.append(&name, &content[cut..middle]);
            watched.look().unwrap();
            watched.restart();
            bench.append(&name, &content[middle..]);
            watched.look().unwrap();
            assert_eq!(watched.rows, calm.rows, "{name} cut at {cut} and {middle}");
            assert_eq!((watched.look(), watched.enumerator.held()), (Ok(0), None));
        }
    }
}

#[test]
fn a_writer_that_pauses_between_flushes_loses_nothing() {
    let bench = Bench::new();
    let content = encoded("csv", "");
    bench.write("in/a.csv", b"");
    let mut watched = Watched::new(&bench, "in", "csv", &[]);
    assert_eq!(watched.look(), Ok(0), "there is nothing in it");
    for (i, flush) in content.chunks(8192 * 3).enumerate() {
        bench.append("in/a.csv", flush);
        watched.look().unwrap();
        if i % 7 == 0 {
            watched.restart();
        }
    }
    assert_eq!(watched.ids(), (0..ROWS as i64).collect::<Vec<_>>());
}

#[test]
fn what_was_read_must_stay_as_it_was() {
    let bench = Bench::new();
    let content = "1,aaaa\n2,bbbb\n";
    type Change = fn(&Bench);
    let cases: [(&str, Change, &str); 5] = [
        ("shorter", |b| b.write("in/a.csv", b"1,aaaa\n"), " (from 14 to 7 bytes)"),
        (
            "written anew, as long",
            |b| {
                b.write("in/a.csv", b"1,aaaa\n2,cccc\n");
                b.touch("in/a.csv", 9);
            },
            " (what stands before byte 14 is not what was read)",
        ),
        (
            "written anew, longer",
            |b| b.write("in/a.csv", b"9,aaaa\n2,bbbb\n3,c\n"),
            " (what stands before byte 14 is not what was read)",
        ),
        (
            "replaced by a longer one",
            |b| {
                b.write("b.csv", b"1,aaaa\n7,bbbb\n3,c\n");
                fs::rename(b.path("b.csv"), b.path("in/a.csv")).unwrap();
            },
            " (what stands before byte 14 is not what was read)",
        ),
        (
            "gone, then another",
            |b| fs::remove_file(b.path("in/a.csv")).unwrap(),
            " (from 14 to 9 bytes)",
        ),
    ];
    for (case, change, how) in cases {
        bench.write("in/a.csv", content.as_bytes());
        bench.write("in/b.csv", b"5,b\n");
        let mut watched = Watched::new(&bench, "in", "csv", &[]);
        assert_eq!(watched.look(), Ok(2), "{case}");
        change(&bench);
        if case.starts_with("gone") {
            assert_eq!(watched.look(), Ok(0), "files that were read may go");
            watched.restart();
            bench.write("in/a.csv", b"3,cccccc\n");
        }
        let message = watched.look().unwrap_err();
        assert_eq!(
            message,
            format!("/in/a.csv: the file changed after it was read{how}{FIX}"),
            "{case}"
        );
        assert_eq!(watched.ids(), [1, 2, 5], "{case}");
    }
}

#[test]
fn a_file_that_was_only_touched_or_moved_away_and_back_is_not_read_again() {
    let bench = Bench::new();
    bench.write("in/a.csv", b"1,a\n");
    bench.write("in/b.csv", b"2,b\n");
    let mut watched = Watched::new(&bench, "in", "csv", &[]);
    assert_eq!(watched.look(), Ok(2));
    bench.touch("in/a.csv", 7);
    assert_eq!(watched.look(), Ok(1), "it is compared");
    assert_eq!(watched.look(), Ok(0));
    fs::rename(bench.path("in/b.csv"), bench.path("b.csv")).unwrap();
    assert_eq!(watched.look(), Ok(0));
    watched.restart();
    fs::rename(bench.path("b.csv"), bench.path("in/b.csv")).unwrap();
    assert_eq!(watched.look(), Ok(0));
    bench.append("in/b.csv", b"3,c\n");
    assert_eq!(watched.look(), Ok(1));
    assert_eq!(watched.ids(), [1, 2, 3]);
}

#[test]
fn files_of_the_same_time_are_all_read() {
    let bench = Bench::new();
    bench.write("in/b.csv", b"1,a\n");
    bench.touch("in/b.csv", 7);
    let mut watched = Watched::new(&bench, "in", "csv", &[]);
    assert_eq!(watched.look(), Ok(1));
    for (name, seconds) in [("in/a.csv", 7), ("in/c.csv", 7), ("in/older.csv", 3)] {
        bench.write(name, b"2,a\n");
        bench.touch(name, seconds);
    }
    assert_eq!(watched.look(), Ok(3));
    assert_eq!(watched.ids(), [1, 2, 2, 2]);
}

#[test]
fn where_files_must_be_complete_growth_is_an_error_and_nothing_waits() {
    let bench = Bench::new();
    bench.write("in/a.csv", b"1,a\n2,b");
    let mut watched = Watched::new(&bench, "in", "csv", &[(GROWTH, "fail")]);
    assert_eq!((watched.look(), watched.ids()), (Ok(1), vec![1, 2]));
    bench.append("in/a.csv", b"\n3,c\n");
    let message = watched.look().unwrap_err();
    assert!(
        message.starts_with(
            "/in/a.csv: the file grew after it was read (from 7 to 12 bytes); write files elsewhere and move"
        ),
        "{message}"
    );
    bench.write("cut/a.csv.gz", &encoded("csv", ".gz")[..1000]);
    let mut watched = Watched::new(&bench, "cut", "csv", &[(GROWTH, "fail")]);
    assert!(watched.look().unwrap_err().contains("is damaged or cut off"));
}

#[test]
fn an_end_that_is_quiet_for_long_is_taken_as_it_is_and_must_not_go_on() {
    let bench = Bench::new();
    let at_once = [(UNFINISHED, "0 s")];
    for (more, expected) in [
        ("\n3,c\n", Ok(vec![1, 2, 3])),
        ("\r\n3,c\n", Ok(vec![1, 2, 3])),
        (
            "34\n3,c\n",
            Err("its last line had no end and was read as it was, and now goes on at byte 7"),
        ),
    ] {
        bench.write("in/a.csv", b"1,a\n2,b");
        let mut watched = Watched::new(&bench, "in", "csv", &at_once);
        assert_eq!((watched.look(), watched.ids()), (Ok(1), vec![1]));
        assert_eq!((watched.look(), watched.ids()), (Ok(1), vec![1, 2]));
        assert_eq!((watched.look(), watched.enumerator.held()), (Ok(0), None));
        watched.restart();
        bench.append("in/a.csv", more.as_bytes());
        match (watched.look(), expected) {
            (Ok(_), Ok(ids)) => assert_eq!(watched.ids(), ids),
            (Err(message), Err(expected)) => {
                assert!(
                    message.starts_with("/in/a.csv: ") && message.contains(expected),
                    "{message}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    for (name, content, expected) in [
        (
            "cut/a.csv.gz",
            &encoded("csv", ".gz")[..1000],
            "the compressed content is damaged or cut off: ",
        ),
        ("cut/a.csv", b"1,\"never\nclosed", "the quoted field that begins here has no end"),
    ] {
        bench.write(name, content);
        let mut watched = Watched::new(&bench, name, "csv", &at_once);
        assert_eq!(watched.look(), Ok(1));
        let message = watched.look().unwrap_err();
        assert!(
            message.starts_with(&format!("/{name}:")) && message.contains(expected),
            "{message}"
        );
    }
}

/// In CSV of one column, an empty line is a record.
#[test]
fn the_end_of_a_line_that_was_taken_without_it_is_no_line_of_its_own() {
    let bench = Bench::new();
    let one = [("name", DataType::Utf8)];
    let cases = [
        ("csv", &one[..], ["a\nb", "c\n"]),
        ("csv", &columns()[..], ["1,a\n2,b", "3,c\n"]),
        ("json", &one[..], ["{\"name\":\"a\"}\n{\"name\":\"b\"}", "{\"name\":\"c\"}\n"]),
    ];
    let ends: [&[&str]; 5] = [&["\n"], &["\r\n"], &["\n", ""], &["\r", "\n"], &["\r\n", ""]];
    for (format, columns, [before, after]) in cases {
        for end in ends {
            for packing in ["", ".zst"] {
                let case = format!("{format} of {} columns{packing}, {end:?}", columns.len());
                let name = format!("in/a.{format}{packing}");
                let packed = |text: &str| match packing {
                    "" => text.as_bytes().to_vec(),
                    _ => zstd::encode_all(text.as_bytes(), 1).unwrap(),
                };
                bench.write(&name, &packed(before));
                let mut watched =
                    Watched::of(columns, &bench, &name, format, &[(UNFINISHED, "0 s")]);
                // As far as it is complete, and then as it is.
                while watched.look().unwrap() > 0 {}
                for part in end.iter().filter(|part| !part.is_empty()) {
                    watched.restart();
                    bench.append(&name, &packed(part));
                    if end.len() > 1 {
                        while watched.look().unwrap() > 0 {}
                    }
                }
                bench.append(&name, &packed(after));
                while watched.look().unwrap() > 0 {}
                let names: Vec<_> = watched.rows.iter().map(|(_, name)| name.as_str()).collect();
                assert_eq!(names, ["a", "b", "c"], "{case}");
                fs::remove_file(bench.path(&name)).unwrap();
            }
        }
    }
    bench.write("in/a.csv", b"a\nb");
    let mut watched = Watched::of(&one, &bench, "in", "csv", &[(UNFINISHED, "0 s")]);
    while watched.look().unwrap() > 0 {}
    bench.append("in/a.csv", b"\n\nc\n\"x\"y\n");
    let message = watched.look().unwrap_err();
    assert!(message.starts_with("/in/a.csv:5: "), "{message}");
}

#[test]
fn a_parquet_file_waits_for_its_footer_and_never_grows() {
    let bench = Bench::new();
    let content = encoded("parquet", "");
    bench.write("in/a.parquet", &content[..content.len() / 2]);
    let mut watched = Watched::new(&bench, "in", "parquet", &[]);
    assert_eq!((watched.look(), watched.rows.len()), (Ok(1), 0));
    assert_eq!(watched.enumerator.held(), Some(i64::MIN));
    watched.restart();
    bench.append("in/a.parquet", &content[content.len() / 2..content.len() - 1]);
    assert_eq!((watched.look(), watched.rows.len()), (Ok(1), 0));
    bench.append("in/a.parquet", &content[content.len() - 1..]);
    assert_eq!(watched.look(), Ok(1));
    assert_eq!(watched.ids(), (0..ROWS as i64).collect::<Vec<_>>());
    assert_eq!((watched.look(), watched.enumerator.held()), (Ok(0), None));
    watched.restart();
    bench.append("in/a.parquet", b"x");
    let message = watched.look().unwrap_err();
    assert!(message.contains(", where it cannot be read on)"), "{message}");

    bench.write("never/a.parquet", b"this is not Parquet");
    let mut watched = Watched::new(&bench, "never", "parquet", &[(UNFINISHED, "0 s")]);
    assert_eq!(watched.look(), Ok(1));
    let message = watched.look().unwrap_err();
    assert!(message.starts_with("/never/a.parquet: not readable as Parquet: "), "{message}");
}

#[test]
fn an_avro_file_is_read_as_far_as_its_blocks_go_through_restarts() {
    let bench = Bench::new();
    let content = encoded("avro", "");
    bench.write("in/a.avro", &content[..2]);
    let mut watched = Watched::new(&bench, "in", "avro", &[]);
    assert_eq!((watched.look(), watched.rows.len()), (Ok(1), 0));
    let mut written = 2;
    for step in [50, 400, 90_000, 1, 300_000, content.len()] {
        let end = (written + step).min(content.len());
        bench.append("in/a.avro", &content[written..end]);
        written = end;
        assert_eq!(watched.look(), Ok(1));
        watched.restart();
    }
    assert_eq!(watched.ids(), (0..ROWS as i64).collect::<Vec<_>>());
    assert_eq!((watched.look(), watched.enumerator.held()), (Ok(0), None));
    let mut another = AvroFile::new(rows().schema(), AvroOptions::default()).unwrap();
    another.write(&rows().slice(0, 1)).unwrap();
    another.end_block().unwrap();
    bench.append("in/a.avro", &another.take());
    let message = watched.look().unwrap_err();
    assert!(message.starts_with("/in/a.avro: byte "), "{message}");

    bench.write("cut/a.avro", &content[..content.len() - 1]);
    let mut watched = Watched::new(&bench, "cut", "avro", &[(UNFINISHED, "0 s")]);
    assert_eq!(watched.look(), Ok(1));
    let message = watched.look().unwrap_err();
    assert!(message.ends_with(": the file ends in the middle of a block"), "{message}");
}

#[test]
fn objects_are_complete_and_another_of_the_name_is_an_error() {
    let bench = Bench::new();
    bench.put("in/a.csv", b"1,a\n2,b");
    let mut watched = Watched::new(&bench, "s3://b/in", "csv", &[]);
    assert_eq!((watched.look(), watched.ids()), (Ok(1), vec![1, 2]), "the last line, too");
    watched.restart();
    assert_eq!(watched.look(), Ok(0));
    bench.put("in/a.csv", b"1,a\n2,b\n3,c\n");
    assert_eq!(
        watched.look().unwrap_err(),
        format!("s3://b/in/a.csv: the file changed after it was read (the object is another){FIX}")
    );
}

#[test]
fn a_file_may_grow_while_it_is_read_and_between_a_cut_and_its_restore() {
    let bench = Bench::new();
    let content = encoded("json", "");
    bench.write("in/a.json", &content);
    let mut watched = Watched::new(&bench, "in", "json", &[]);
    let split = bench.discover(&mut watched.enumerator).unwrap().remove(0);
    watched.add(split.clone());
    while watched.rows.is_empty() {
        watched.poll().unwrap();
    }
    let (position, seen) = (watched.reader.position(0), watched.rows.len());
    bench.append("in/a.json", b"{\"id\":-1,\"name\":\"\"}\n");
    // The cut is restored, and read on from the file as it was found.
    watched.reader = watched.source.reader(&watched.cx).unwrap();
    watched.reading.clear();
    watched.add(Split { position, ..split });
    while watched.poll().unwrap() {}
    assert_eq!(watched.ids(), (0..ROWS as i64).collect::<Vec<_>>(), "cut behind {seen}");
    assert_eq!((watched.look(), watched.ids()[ROWS..].to_vec()), (Ok(1), vec![-1]));
}

#[test]
fn what_is_no_longer_watched_is_read_to_its_end() {
    let bench = Bench::new();
    bench.write("in/a.csv", b"1,a\n2,b");
    let mut watched = Watched::new(&bench, "in", "csv", &[]);
    let split = bench.discover(&mut watched.enumerator).unwrap().remove(0);
    let rows = bench.read(&bench.simple("in", "csv"), &split, |_, _| {}).unwrap();
    assert_eq!(joined(&rows).num_rows(), 2);
}

#[test]
fn a_malformed_record_in_what_was_appended_is_named_by_its_line() {
    let bench = Bench::new();
    bench.write("in/a.json", b"{\"id\":1}\n{\"id\":2}\n{\"id\"");
    let mut watched = Watched::new(&bench, "in", "json", &[]);
    assert_eq!((watched.look(), watched.ids()), (Ok(1), vec![1, 2]));
    bench.append("in/a.json", b":3}\n{\"id\":x}\n");
    let message = watched.look().unwrap_err();
    assert!(message.starts_with("/in/a.json:4: "), "{message}");
}

#[test]
fn what_an_earlier_version_has_read_is_not_read_again_and_must_not_change() {
    let bench = Bench::new();
    bench.write("in/a.csv", b"1,a\n");
    bench.write("in/b.csv", b"2,b\n");
    let path = |name: &str| bench.path(name).to_str().unwrap().to_owned();
    let mut watched = Watched::new(&bench, "in", "csv", &[]);
    let golden = format!(
        r#"{{"v":1,"listed":true,"seen":["{}","{}"]}}"#,
        path("in/a.csv"),
        path("in/gone.csv")
    );
    watched.enumerator = watched.source.enumerator(Some(golden.into())).unwrap();
    assert_eq!((watched.look(), watched.ids()), (Ok(1), vec![2]));
    watched.restart();
    assert_eq!(watched.look(), Ok(0));
    bench.append("in/a.csv", b"3,c\n");
    let message = watched.look().unwrap_err();
    assert!(message.contains("(from 4 to 8 bytes, where it cannot be read on)"), "{message}");
    bench.write("in/a.csv", b"1,a\n");
    bench.write("in/gone.csv", b"4,d\n");
    assert!(watched.look().unwrap_err().contains(".csv: the file changed after it was read ("));
}

#[test]
fn options_of_growth_need_a_directory_that_is_watched() {
    let problems = |more: &[(&str, &str)]| -> Vec<String> {
        let mut options = vec![("connector", "filesystem"), ("path", "in"), ("format", "csv")];
        options.extend(more);
        let place = Place { base: Path::new("/").to_owned(), ..Place::default() };
        let refused = source(&table(&options, &columns()), &[0], &place).err().unwrap_or_default();
        refused.into_iter().map(|problem| problem.message).collect()
    };
    assert_eq!(
        problems(&[(GROWTH, "fail"), (UNFINISHED, "1 s")]),
        [
            "'source.file-growth' is only used with 'source.monitor-interval'; remove it, or set that",
            "'source.unfinished-file.timeout' is only used with 'source.monitor-interval'; remove it, or set that",
        ]
    );
    assert_eq!(
        problems(&[("source.monitor-interval", "1 s"), (GROWTH, "ignore")]),
        ["'source.file-growth' = 'ignore' is not known; give one of: continue, fail"]
    );
    assert_eq!(
        problems(&[("source.monitor-interval", "1 s"), (GROWTH, "fail"), (UNFINISHED, "1 s")]),
        [
            "'source.unfinished-file.timeout' has no meaning with 'source.file-growth' = 'fail'; remove one of them"
        ]
    );
}
