//! NULL where a table says NOT NULL: told with the place of the record, whatever reads the column.

use std::fs;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::said;

/// What a job says of an input: `columns` are the input's, `query` reads table `t`.
fn run(columns: &str, table: &str, sink: &str, query: &str, input: (&str, &str)) -> (i32, String) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join(input.0);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, input.1).expect("written");
    let manifest = format!(
        "apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {{name: strict}}
spec:
  parallelism: 1
  sql: |
    CREATE TABLE t ({columns}) {table};
    CREATE TABLE o ({sink}) WITH ('connector' = 'print');
    INSERT INTO o {query};
"
    );
    fs::write(folder.path().join("job.yaml"), manifest).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(["run", "--no-color", "--retries", "1", "--state", "st", "job.yaml"]);
    command.current_dir(folder.path()).stdin(Stdio::null());
    let (code, text) = said(&command.output().expect("weir starts"));
    let root = folder.path().canonicalize().expect("it is there");
    (code, text.replace(&format!("{}/", root.display()), ""))
}

#[test]
fn null_in_a_not_null_column_is_told_with_its_record_whatever_reads_it() {
    let json = "WITH ('connector' = 'filesystem', 'path' = 'in.json', 'format' = 'json')";
    let ignoring = "WITH ('connector' = 'filesystem', 'path' = 'in.json', 'format' = 'json', 'json.ignore-parse-errors' = 'true')";
    let parted =
        "PARTITIONED BY (n) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'json')";
    let strict = "k STRING, n INT NOT NULL";
    let (plain, all) = ("k STRING, n INT", "SELECT k, n FROM t");
    let second = ("in.json", "{\"k\":\"a\",\"n\":1}\n{\"k\":\"b\"}\n");
    let marked = ("in.json", "\u{feff}{\"k\":\"b\",\"n\":null}\n");
    let broken = ("in.json", "\n{\"k\":\"b\",\"n\":\"x\"}\n");
    let directory = ("in/n=__HIVE_DEFAULT_PARTITION__/a.json", "{\"k\":\"a\"}\n");
    let cases = [
        (json, strict, all, second, "in.json:2: "),
        (json, plain, all, marked, "in.json:1: "),
        (json, "n INT", "SELECT n + 1 FROM t WHERE n IS NOT NULL", second, "in.json:2: "),
        (ignoring, strict, all, broken, "in.json:2: "),
        (parted, strict, all, directory, "in/n=__HIVE_DEFAULT_PARTITION__/a.json:1: "),
    ];
    for (table, sink, query, input, place) in cases {
        let (code, text) = run(strict, table, sink, query, input);
        let expected = format!(
            "{place}column \"n\" of table \"t\" is NOT NULL, but the record has no value for it, or none that can be read; correct the record, or declare the column without NOT NULL"
        );
        assert!(code != 0 && text.contains(&expected), "{query} {input:?}: {code}: {text}");
    }
    let keyed = "k STRING, n INT, PRIMARY KEY (n) NOT ENFORCED";
    let (code, text) = run(keyed, json, "k STRING", "SELECT k FROM t WHERE n > 0", second);
    let expected = "in.json:2: column \"n\" of table \"t\" is in its PRIMARY KEY and so NOT NULL, but the record has no value for it, or none that can be read; correct the record, or leave the column out of the key";
    assert!(code != 0 && text.contains(expected), "{code}: {text}");
}

#[test]
fn null_in_a_not_null_column_that_nobody_reads_is_nobodys_business() {
    let json = "WITH ('connector' = 'filesystem', 'path' = 'in.json', 'format' = 'json')";
    let input = ("in.json", "{\"k\":\"b\"}\n");
    let (code, text) = run("k STRING, n INT NOT NULL", json, "k STRING", "SELECT k FROM t", input);
    assert_eq!(code, 0, "{text}");
}
