//! Which files a path stands for, in which order, and when they are looked for again.

use super::*;

#[test]
fn files_come_in_the_order_of_their_paths_without_hidden_and_empty_ones() {
    let bench = Bench::new();
    for name in [
        "in/b.json",
        "in/a.json",
        "in/d/c.json",
        "in/.hidden.json",
        "in/_SUCCESS",
        "in/.staging/x.json",
        "in/x.csv",
    ] {
        bench.write(name, b"{\"id\":1}\n");
        bench.put(name, b"{\"id\":1}\n");
    }
    bench.write("in/empty.json", b"");
    let base = bench.directory.path().to_str().unwrap();
    for (root, shown) in [("in", format!("{base}/")), ("s3://b/in", "s3://b/".to_owned())] {
        for (pattern, expected) in [
            ("", &["in/a.json", "in/b.json", "in/d/c.json", "in/x.csv"][..]),
            ("/*.json", &["in/a.json", "in/b.json"]),
            ("/**/*.json", &["in/a.json", "in/b.json", "in/d/c.json"]),
            ("/b.json", &["in/b.json"]),
        ] {
            let source = bench.simple(&format!("{root}{pattern}"), "json");
            let found: Vec<_> =
                bench.splits(&source).into_iter().map(|s| s.id.replace(&shown, "")).collect();
            assert_eq!(found, expected, "{root}{pattern}");
        }
    }
    let options = [
        ("connector", "filesystem"),
        ("path", "in"),
        ("format", "json"),
        ("source.path.regex-pattern", ".*/[ab]\\.json"),
    ];
    let source = bench.source(&table(&options, &columns()));
    assert_eq!(bench.splits(&source).len(), 2);
}

#[test]
fn a_watched_directory_gives_each_file_once_even_after_a_restore() {
    let bench = Bench::new();
    let options = [
        ("connector", "filesystem"),
        ("path", "in"),
        ("format", "json"),
        ("source.monitor-interval", "1 s"),
    ];
    let source = bench.source(&table(&options, &columns()));
    assert!(!source.is_bounded());
    let mut enumerator = source.enumerator(None).unwrap();
    assert_eq!(enumerator.interval(), Some(Duration::from_secs(1)));
    assert_eq!(bench.discover(&mut enumerator).unwrap(), [], "the directory may come later");
    let names = |splits: Vec<Split>| -> Vec<String> {
        splits.into_iter().map(|s| s.id.rsplit('/').next().unwrap().to_owned()).collect()
    };
    bench.write("in/b.json", b"{}");
    assert_eq!(names(bench.discover(&mut enumerator).unwrap()), ["b.json"]);
    bench.write("in/a.json", b"{}");
    let mut restored = source.enumerator(Some(enumerator.snapshot())).unwrap();
    assert_eq!(names(bench.discover(&mut restored).unwrap()), ["a.json"]);
    assert_eq!(names(bench.discover(&mut enumerator).unwrap()), ["a.json"]);
    assert_eq!(bench.discover(&mut restored).unwrap(), []);
}

#[test]
fn a_bounded_source_lists_once() {
    let bench = Bench::new();
    bench.write("in/a.json", b"{}");
    let source = bench.simple("in", "json");
    let mut enumerator = source.enumerator(None).unwrap();
    assert_eq!(bench.discover(&mut enumerator).unwrap().len(), 1);
    bench.write("in/b.json", b"{}");
    assert_eq!(bench.discover(&mut enumerator).unwrap(), []);
    let mut restored = source.enumerator(Some(enumerator.snapshot())).unwrap();
    assert_eq!(bench.discover(&mut restored).unwrap(), []);
}

#[test]
fn a_path_without_files_is_an_error_with_the_fix() {
    let bench = Bench::new();
    fs::create_dir(bench.path("in")).unwrap();
    for (path, expected) in [
        (
            "nothing",
            "/nothing: there is no such file or directory; check 'path', which is relative to the manifest's directory",
        ),
        (
            "in/*.json",
            "/in/*.json: no file matches; check 'path' and 'source.path.regex-pattern' (names that begin with '.' or '_' are ignored)",
        ),
    ] {
        let source = bench.simple(path, "json");
        let error = bench.discover(&mut source.enumerator(None).unwrap()).unwrap_err();
        assert_eq!(error.message.replace(bench.directory.path().to_str().unwrap(), ""), expected);
    }
}
