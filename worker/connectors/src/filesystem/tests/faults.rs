//! Every way a file can go wrong: changed, malformed, damaged.

use super::*;
use weir_protocol::Counter;

#[test]
fn a_file_that_changed_is_refused() {
    let bench = Bench::new();
    for format in ["json", "parquet"] {
        let name = format!("data.{format}");
        bench.write(&name, &encoded(format, ""));
        let source = bench.simple(&name, format);
        let split = bench.splits(&source).remove(0);
        let mut position = Bytes::new();
        bench.read(&source, &split, |at, _| position = at.clone()).unwrap();
        let old = Split { position, ..split };

        let mut file = fs::OpenOptions::new().append(true).open(bench.path(&name)).unwrap();
        file.write_all(b" ").unwrap();
        assert!(
            bench
                .message(&source, &old)
                .starts_with(&format!("/{name}: the file changed after it was found (from "))
        );

        // The same size at another time.
        bench.write(&name, &encoded(format, ""));
        let message = bench.message(&source, &old);
        assert_eq!(
            message,
            format!(
                "/{name}: the file changed after it was found (its modification time is another); files must not change: write a new one beside it and move it into place"
            )
        );
        fs::remove_file(bench.path(&name)).unwrap();
        assert!(bench.message(&source, &old).contains("changed after it was found (it is gone)"));

        bench.put(&name, &encoded(format, ""));
        let source = bench.simple(&format!("s3://b/{name}"), format);
        let split = bench.splits(&source).remove(0);
        bench.put(&name, &encoded(format, ""));
        assert!(
            bench
                .message(&source, &split)
                .contains("changed after it was found (its ETag is another)")
        );
    }
}

#[test]
fn a_malformed_record_is_named_by_its_line_even_after_a_restore() {
    let bench = Bench::new();
    let mut content: Vec<String> =
        (0..20_000).map(|id| format!("{{\"id\":{id},\"name\":\"a\"}}")).collect();
    content[18_232] = r#"{"id":18232,"name":"a"#.to_owned();
    let content = content.join("\n");
    bench.write("flights.json", content.as_bytes());
    bench.write("flights.json.zst", &zstd::encode_all(content.as_bytes(), 1).unwrap());
    for name in ["flights.json", "flights.json.zst"] {
        let source = bench.simple(name, "json");
        let split = bench.splits(&source).remove(0);
        let mut cuts = vec![split.position.clone()];
        let error = bench.read(&source, &split, |at, _| cuts.push(at.clone())).unwrap_err();
        assert_eq!(cuts.len(), 3, "both whole batches come before the error");
        assert_eq!(error.fault, weir_engine::Fault::User);
        for position in cuts {
            let message = bench.message(&source, &Split { position, ..split.clone() });
            assert!(message.starts_with(&format!("/{name}:18233: ")), "{message}");
            assert!(message.contains("'json.ignore-parse-errors' = 'true'"), "{message}");
        }
    }
}

#[test]
fn the_place_of_a_row_is_its_line_in_any_batch() {
    let bench = Bench::new();
    let mut content: Vec<String> =
        (0..20_000).map(|id| format!("{{\"id\":{id},\"name\":\"a\"}}")).collect();
    content[3] = String::new();
    content[7] = "broken".to_owned();
    let json = content.join("\n");
    bench.write("a.json", json.as_bytes());
    bench.write("a.json.gz", &{
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(json.as_bytes()).unwrap();
        packed.finish().unwrap()
    });
    bench.write("a.csv", b"0,a\n1,\"x\ny\"\n2,b");
    let places = |name: &str, format: &str| {
        let ignore = format!("{format}.ignore-parse-errors");
        let options = [
            ("connector", "filesystem"),
            ("path", name),
            ("format", format),
            (ignore.as_str(), "true"),
        ];
        let source = bench.source(&table(&options, &columns()));
        let mut cx = context(bench.io.handle(), 1, 0, 1);
        let mut reader = source.reader(&cx).unwrap();
        reader.add(&cx, 7, &bench.splits(&source)[0]).unwrap();
        let base = format!("{}/", bench.directory.path().display());
        let mut found = BTreeMap::new();
        loop {
            match reader.poll(&mut cx).unwrap() {
                SourcePoll::Rows { records, .. } => {
                    let ids = records.column(0).as_primitive::<Int64Type>();
                    for row in [0, 1, 2, ids.len() - 1] {
                        let place = reader.place(&cx, 7, row).unwrap().replace(&base, "");
                        found.insert(ids.value(row), place);
                    }
                }
                SourcePoll::Finished { .. } => return found,
                _ => std::thread::yield_now(),
            }
        }
    };
    for name in ["a.json", "a.json.gz"] {
        let found = places(name, "json");
        assert!(found.len() >= 9, "{found:?}");
        for (id, place) in found {
            assert_eq!(place, format!("{name}:{}", id + 1));
        }
    }
    let found: Vec<_> = places("a.csv", "csv").into_values().collect();
    assert_eq!(found, ["a.csv:1", "a.csv:3", "a.csv:4"]);

    bench.write("a.parquet", &encoded("parquet", ""));
    let source = bench.simple("a.parquet", "parquet");
    let mut cx = context(bench.io.handle(), 1, 0, 1);
    let mut reader = source.reader(&cx).unwrap();
    reader.add(&cx, 7, &bench.splits(&source)[0]).unwrap();
    while !matches!(reader.poll(&mut cx).unwrap(), SourcePoll::Rows { .. }) {}
    let place = reader.place(&cx, 7, 2).unwrap();
    assert!(place.ends_with("/a.parquet: row 3 of row group 0"), "{place}");
}

#[test]
fn malformed_records_are_skipped_and_counted_when_asked() {
    let bench = Bench::new();
    bench.write("a.json", b"{\"id\":1}\nnonsense\n{\"id\":2}\n{\"id\":\n{\"id\":3}");
    let options = [
        ("connector", "filesystem"),
        ("path", "a.json"),
        ("format", "json"),
        ("json.ignore-parse-errors", "true"),
    ];
    let source = bench.source(&table(&options, &columns()));
    let split = bench.splits(&source).remove(0);
    let mut cx = context(bench.io.handle(), 1, 0, 1);
    let mut reader = source.reader(&cx).unwrap();
    reader.add(&cx, 0, &split).unwrap();
    let mut ids = Vec::new();
    loop {
        match reader.poll(&mut cx).unwrap() {
            SourcePoll::Rows { records, .. } => {
                ids.extend(records.column(0).as_primitive::<Int64Type>().values().iter().copied())
            }
            SourcePoll::Finished { .. } => break,
            other @ SourcePoll::Returned { .. } => panic!("{other:?}"),
            SourcePoll::Pending => std::thread::sleep(Duration::from_micros(200)),
        }
    }
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(cx.metrics.get(Counter::Malformed), 2);
}

#[test]
fn damaged_files_are_named() {
    let bench = Bench::new();
    let packed = encoded("json", ".gz");
    bench.write("cut.json.gz", &packed[..packed.len() / 2]);
    bench.write("bad.json.zst", b"this is not zstd");
    for packing in [".bz2", ".xz"] {
        let packed = encoded("json", packing);
        bench.write(&format!("cut.json{packing}"), &packed[..packed.len() / 2]);
    }
    bench.write("bad.json.xz", b"this is not xz");
    bench.write("bad.avro", b"this is not Avro");
    bench.write("bad.parquet", b"this is not Parquet either");
    for (name, format, expected) in [
        ("cut.json.gz", "json", "/cut.json.gz: the compressed content is damaged or cut off: "),
        ("cut.json.bz2", "json", "/cut.json.bz2: the compressed content is damaged or cut off: "),
        ("cut.json.xz", "json", "/cut.json.xz: the compressed content is damaged or cut off: "),
        ("bad.json.xz", "json", "/bad.json.xz: the compressed content is damaged or cut off: "),
        ("bad.json.zst", "json", "/bad.json.zst: the compressed content is damaged or cut off: "),
        ("bad.parquet", "parquet", "/bad.parquet: not readable as Parquet: "),
        ("bad.avro", "avro", "/bad.avro: byte 0: not an Avro file: "),
    ] {
        let source = bench.simple(name, format);
        let split = bench.splits(&source).remove(0);
        let message = bench.message(&source, &split);
        assert!(message.starts_with(expected), "{message}");
    }
}
