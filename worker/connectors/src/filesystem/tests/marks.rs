//! Files that begin with a byte order mark, and lines of more rows than a batch.

use super::*;

#[test]
fn the_mark_of_utf_8_is_no_part_of_the_first_row_however_often_a_file_is_begun() {
    let bench = Bench::new();
    for format in ["json", "csv"] {
        let name = format!("{format}/data.{format}");
        let content = [b"\xef\xbb\xbf", &encoded(format, "")[..]].concat();
        bench.write(&name, &content);
        resumes_everywhere(&bench, &bench.simple(&name, format));
    }
    for (name, content) in [("only.csv", &b"\xef\xbb\xbf"[..]), ("part.csv", b"\xef\xbb")] {
        bench.write(name, content);
        let source = bench.simple(name, "csv");
        let read = bench.read(&source, &bench.splits(&source)[0], |_, _| {});
        assert_eq!(read.is_ok_and(|batches| batches.is_empty()), name == "only.csv", "{name}");
    }
}

#[test]
fn files_in_utf_16_are_refused_by_name() {
    let bench = Bench::new();
    for format in ["json", "csv"] {
        let name = format!("wide.{format}");
        bench.write(&name, b"\xff\xfe1\0,\0x\0\n\0");
        let source = bench.simple(&name, format);
        assert_eq!(
            bench.message(&source, &bench.splits(&source)[0]),
            format!(
                "/{name}:1: the file begins with the byte order mark of UTF-16; only UTF-8 can be \
                 read: convert the data, for example with `iconv -f UTF-16 -t UTF-8`"
            )
        );
    }
}

#[test]
fn a_line_with_more_objects_than_a_batch_has_rows_keeps_its_files_name() {
    let bench = Bench::new();
    let objects: Vec<_> = (0..20_000).map(|id| format!("{{\"id\":{id}}}")).collect();
    bench.write("array.json", format!("[{}]\n", objects.join(",")).as_bytes());
    let mut array = table(
        &[("connector", "filesystem"), ("path", "array.json"), ("format", "json")],
        &[("id", DataType::Int64), ("file", DataType::Utf8)],
    );
    array.metadata = [(1, "file.name".to_owned())].into();
    let source = bench.source(&array);
    let read = joined(&bench.read(&source, &bench.splits(&source)[0], |_, _| {}).unwrap());
    let ids = read.column(0).as_primitive::<Int64Type>().values().iter().copied();
    assert!(ids.eq(0..20_000));
    assert!(read.column(1).as_string::<i32>().iter().all(|name| name == Some("array.json")));
}
