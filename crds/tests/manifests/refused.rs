//! What is not taken, and how that is said.

use super::*;

#[test]
fn a_file_must_hold_one_job() {
    check(
        "",
        expect![[r#"
        job.yaml:1 the file is empty; a manifest begins with 'kind: StreamJob'
    "#]],
    );
    check(
        "# nothing\n",
        expect![[r#"
        job.yaml:1 the file is empty; a manifest begins with 'kind: StreamJob'
    "#]],
    );
    check(
        "just text",
        expect![[r#"
        job.yaml:1 expected a mapping such as 'apiVersion: …', found 'just text'
    "#]],
    );
    check(
        "- a\n- b\n",
        expect![[r#"
        job.yaml:1 expected a mapping such as 'apiVersion: …', found a list
    "#]],
    );
    check(
        &format!("{}---\n{}", with_spec(""), with_spec("")),
        expect![[r#"
            job.yaml:8 the file holds 2 documents; keep one StreamJob per file
        "#]],
    );
    check(
        "apiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n",
        expect![[r#"
            job.yaml:2 kind: 'ConfigMap' cannot be run; the kind must be StreamJob
        "#]],
    );
    check(
        "kind: Streamjob\nspec: {sql: SELECT 1}\n",
        expect![[r#"
        job.yaml:1 apiVersion: is missing; write 'apiVersion: weir.dev/v1alpha1'
        job.yaml:1 kind: 'Streamjob' is not known; write StreamJob
        job.yaml:1 metadata: is missing; a job needs a name: 'metadata: {name: my-job}'
    "#]],
    );
    check(
        "apiVersion: weir.dev/v1\nkind: StreamJob\nmetadata: {name: a}\nspec: {sql: a}\n",
        expect![[r#"
            job.yaml:1 apiVersion: 'weir.dev/v1' is not known; write weir.dev/v1alpha1
        "#]],
    );
}

#[test]
fn broken_yaml_names_its_line() {
    check(
        "apiVersion: weir.dev/v1alpha1\nkind: [StreamJob\n",
        expect![[r#"
            job.yaml:3 not YAML: while parsing a flow sequence, expected ',' or ']' (column 1)
        "#]],
    );
    check(
        "apiVersion: weir.dev/v1alpha1\n\tkind: StreamJob\n",
        expect![[r#"
            job.yaml:1 not YAML: while scanning a plain scalar, found a tab (column 13)
        "#]],
    );
    check(
        "kind: StreamJob\nspec:\n  sql: |\n    a\n  parallelism: 1\n parallelism: 2\n",
        expect![[r#"
            job.yaml:6 not YAML: while parsing a block mapping, did not find expected key (column 2)
        "#]],
    );
    check(
        "metadata: *nobody\n",
        expect![[r#"
        job.yaml:1 not YAML: while parsing node, found unknown anchor (column 11)
    "#]],
    );
    check(
        "? {a: b}\n: c\n",
        expect![[r#"
        job.yaml:1 a key must be plain text
    "#]],
    );
    check(
        &format!("spec: {}1{}\n", "[".repeat(40), "]".repeat(40)),
        expect![[r#"
            job.yaml:1 values are nested more than 32 deep
        "#]],
    );
}

#[test]
fn what_is_missing_says_what_to_write() {
    check(
        "kind: StreamJob\n",
        expect![[r#"
        job.yaml:1 apiVersion: is missing; write 'apiVersion: weir.dev/v1alpha1'
        job.yaml:1 metadata: is missing; a job needs a name: 'metadata: {name: my-job}'
        job.yaml:1 spec: is missing; a job needs at least 'spec: {sql: …}'
    "#]],
    );
    check(
        "apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata: {}\nspec:\n  parallelism: 2\n",
        expect![[r#"
            job.yaml:3 metadata.name: is missing; give the job a name such as 'my-job'
            job.yaml:4 spec.sql: is missing; write the job's program as 'sql: |' and the statements below it
        "#]],
    );
    check(
        "apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata:\nspec:\n  sql:\n",
        expect![[r#"
            job.yaml:3 metadata: is empty; a job needs a name: 'metadata: {name: my-job}'
            job.yaml:5 spec.sql: is empty; write the job's program as 'sql: |' and the statements below it
        "#]],
    );
}

#[test]
fn names_are_dns_labels() {
    check(
        &with_metadata("{name: Airport_Delays}"),
        expect![[r#"
        job.yaml:3 metadata.name: 'Airport_Delays' contains 'A'; use a to z, 0 to 9 and '-' only
    "#]],
    );
    check(
        &with_metadata("{name: 7-days}"),
        expect![[r#"
        job.yaml:3 metadata.name: '7-days' must start with a letter
    "#]],
    );
    check(
        &with_metadata("{name: delays-}"),
        expect![[r#"
        job.yaml:3 metadata.name: 'delays-' must end with a letter or digit
    "#]],
    );
    check(
        &with_metadata("{name: ''}"),
        expect![[r#"
        job.yaml:3 metadata.name: is empty; give it a name such as 'my-job'
    "#]],
    );
    check(
        &with_metadata(&format!("{{name: {}}}", "a".repeat(41))),
        expect![[r#"
            job.yaml:3 metadata.name: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…' has 41 characters; at most 40
        "#]],
    );
    check(
        &with_metadata("{name: 42}"),
        expect![[r#"
        job.yaml:3 metadata.name: expected text, found the number 42; write "42"
    "#]],
    );
    check(
        &with_metadata("{name: job, namespace: -x}"),
        expect![[r#"
        job.yaml:3 metadata.namespace: '-x' must start with a letter or digit
    "#]],
    );
    check(
        &with_metadata("{name: job, labels: [a]}"),
        expect![[r#"
        job.yaml:3 metadata.labels: expected a mapping such as 'team: airports', found a list
    "#]],
    );
    check(
        &with_metadata("{name: job, annotations: {enabled: true}}"),
        expect![[r#"
            job.yaml:3 metadata.annotations.enabled: expected text, found the boolean true; write "true"
        "#]],
    );
    check(
        &with_metadata("{name: job, uid: x}"),
        expect![[r#"
        job.yaml:3 metadata.uid: unknown field; here can stand name, namespace, labels, annotations
    "#]],
    );
}

#[test]
fn parallelism_is_one_to_max_parallelism() {
    check(
        &with_spec("parallelism: 2000"),
        expect![[r#"
        job.yaml:7 spec.parallelism: 2000 is above maxParallelism 720; parallelism can be 1 to 720 for this job
    "#]],
    );
    check(
        &with_spec("parallelism: 0"),
        expect![[r#"
            job.yaml:7 spec.parallelism: 0 would do no work; parallelism is at least 1; to pause the job write desiredState: Suspended
        "#]],
    );
    check(
        &with_spec("parallelism: -2"),
        expect![[r#"
        job.yaml:7 spec.parallelism: -2 is below 1; parallelism can be 1 to 720 for this job
    "#]],
    );
    check(
        &with_spec("parallelism: two"),
        expect![[r#"
        job.yaml:7 spec.parallelism: expected a whole number, found 'two'
    "#]],
    );
    check(
        &with_spec("parallelism: \"2\""),
        expect![[r#"
        job.yaml:7 spec.parallelism: expected a whole number, found the text "2"; write 2 without quotes
    "#]],
    );
    check(
        &with_spec("parallelism: 2.5"),
        expect![[r#"
        job.yaml:7 spec.parallelism: expected a whole number, found the number 2.5
    "#]],
    );
    check(
        &with_spec("parallelism: [2]"),
        expect![[r#"
        job.yaml:7 spec.parallelism: expected a whole number, found a list
    "#]],
    );
    check(
        &with_spec("parallelism: 99999999999999999999"),
        expect![[r#"
        job.yaml:7 spec.parallelism: expected a whole number, found the number 99999999999999999999
    "#]],
    );
    check(
        &with_spec("maxParallelism: 32769\nparallelism: 7"),
        expect![[r#"
            job.yaml:7 spec.maxParallelism: 32769 is out of range; maxParallelism can be 1 to 32768
        "#]],
    );
    check(
        &with_spec("maxParallelism: 4\nparallelism: 5"),
        expect![[r#"
        job.yaml:8 spec.parallelism: 5 is above maxParallelism 4; parallelism can be 1 to 4 for this job
    "#]],
    );
}

#[test]
fn sql_is_text_and_not_empty() {
    let head = "apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: job}\nspec:\n";
    check(
        &format!("{head}  sql: ''\n"),
        expect![[r#"
        job.yaml:5 spec.sql: is empty; a job needs at least one INSERT INTO
    "#]],
    );
    check(
        &format!("{head}  sql: 1\n"),
        expect![[r#"
        job.yaml:5 spec.sql: expected text, found the number 1; write "1"
    "#]],
    );
    check(
        &format!("{head}  sql: {{file: a.sql}}\n"),
        expect![[r#"
        job.yaml:5 spec.sql: expected text, found a mapping
    "#]],
    );
    check(
        &format!("{head}  sql: '{}'\n", "x".repeat(131_073)),
        expect![[r#"
            job.yaml:5 spec.sql: 131073 bytes; at most 131072
        "#]],
    );
}

#[test]
fn misspelt_fields_are_recognised() {
    check(
        &with_spec("paralelism: 2"),
        expect![[r#"
        job.yaml:7 spec.paralelism: unknown field; did you mean 'parallelism'?
    "#]],
    );
    check(
        &with_spec("max_parallelism: 2"),
        expect![[r#"
        job.yaml:7 spec.max_parallelism: unknown field; did you mean 'maxParallelism'?
    "#]],
    );
    check(
        &with_spec("checkpoint: {interval: 10s}"),
        expect![[r#"
            job.yaml:7 spec.checkpoint: unknown field; here can stand sql, sqlFrom, image, parallelism, maxParallelism, desiredState, restartToken, state, upgrade, restart, nodeLostTimeout, deletion, workers, networkPolicy
        "#]],
    );
    check(
        &with_spec("state:\n  checkpoint:\n    intervall: 10s\n    retain: 3"),
        expect![[r#"
            job.yaml:9 spec.state.checkpoint.intervall: unknown field; did you mean 'interval'?
            job.yaml:10 spec.state.checkpoint.retain: unknown field; did you mean 'retained'?
        "#]],
    );
    check(
        &with_spec("parallelism: 1\nparallelism: 2"),
        expect![[r#"
        job.yaml:8 spec.parallelism: is given twice, first in line 7; keep one
    "#]],
    );
}

#[test]
fn state_and_restart_have_ranges() {
    check(
        &with_spec("state: {root: gs://bucket/x}"),
        expect![[r#"
        job.yaml:7 spec.state.root: stores of the kind 'gs://' are not supported; write a directory or s3://bucket/prefix
    "#]],
    );
    check(
        &with_spec("state: {root: s3://b}"),
        expect![[r#"
        job.yaml:7 spec.state.root: 's3://b' names no bucket of at least 3 characters; write s3://bucket/prefix
    "#]],
    );
    check(
        &with_spec("state: {root: file://here}"),
        expect![[r#"
        job.yaml:7 spec.state.root: 'file://here' is not an absolute path; write file:///path or just the path
    "#]],
    );
    check(
        &with_spec("state: {root: ''}"),
        expect![[r#"
        job.yaml:7 spec.state.root: is empty; write a directory or s3://bucket/prefix
    "#]],
    );
    check(
        &with_spec("state: {root: '  '}"),
        expect![[r#"
        job.yaml:7 spec.state.root: is empty; write a directory or s3://bucket/prefix
    "#]],
    );
    check(
        &with_spec("state: /data"),
        expect![[r#"
        job.yaml:7 spec.state: expected a mapping such as 'root: …', found '/data'
    "#]],
    );
    check(
        &with_spec("state: {checkpoint: {interval: 10}}"),
        expect![[r#"
            job.yaml:7 spec.state.checkpoint.interval: 10 has no unit; write it as 10s, 5m, 1h30m or 250ms
        "#]],
    );
    check(
        &with_spec("state: {checkpoint: {interval: 1ms}}"),
        expect![[r#"
            job.yaml:7 spec.state.checkpoint.interval: 1ms is too short; the least is 10ms
        "#]],
    );
    check(
        &with_spec("state: {checkpoint: {interval: 10 seconds, timeout: 9000h}}"),
        expect![[r#"
            job.yaml:7 spec.state.checkpoint.interval: '10 seconds' is not a duration; write it as 10s, 5m, 1h30m or 250ms
            job.yaml:7 spec.state.checkpoint.timeout: 9000h is too long; the most is 8760h
        "#]],
    );
    check(
        &with_spec("state: {checkpoint: {retained: 0}}"),
        expect![[r#"
            job.yaml:7 spec.state.checkpoint.retained: 0 is out of range; retained can be 1 to 100
        "#]],
    );
    check(
        &with_spec("state: {allowDroppedState: hourly}"),
        expect![[r#"
            job.yaml:7 spec.state.allowDroppedState: expected a list such as ["hourly count by origin"], found 'hourly'
        "#]],
    );
    check(
        &with_spec("state: {allowDroppedState: [1]}"),
        expect![[r#"
        job.yaml:7 spec.state.allowDroppedState[0]: expected text, found the number 1; write "1"
    "#]],
    );
    check(
        &with_spec("restart: {backoff: {initial: 2m, max: 1m}}"),
        expect![[r#"
            job.yaml:7 spec.restart.backoff: initial 2m is longer than max 1m; raise max or lower initial
        "#]],
    );
    check(
        &with_spec("workers: {slots: 2}"),
        expect![[r#"
            job.yaml:7 spec.workers.slots: unknown field; here can stand resources, serviceAccountName, env, envFrom, volumes, volumeMounts, nodeSelector, tolerations, podTemplate, disruptionBudget, showRows
        "#]],
    );
}

#[test]
fn every_fault_is_told_at_once() {
    check(
        "apiVersion: weir.dev/v1beta1
kind: StreamJob
metadata:
  name: Delays
spec:
  paralelism: 2
  parallelism: 2000
  state:
    checkpoint: {interval: 5, timeout: soon}
    root: hdfs://x/y
  restart: {resetAfter: 0s}
",
        expect![[r#"
            job.yaml:1 apiVersion: 'weir.dev/v1beta1' is not known; write weir.dev/v1alpha1
            job.yaml:4 metadata.name: 'Delays' contains 'D'; use a to z, 0 to 9 and '-' only
            job.yaml:5 spec.sql: is missing; write the job's program as 'sql: |' and the statements below it
            job.yaml:6 spec.paralelism: unknown field; did you mean 'parallelism'?
            job.yaml:7 spec.parallelism: 2000 is above maxParallelism 720; parallelism can be 1 to 720 for this job
            job.yaml:9 spec.state.checkpoint.interval: 5 has no unit; write it as 10s, 5m, 1h30m or 250ms
            job.yaml:9 spec.state.checkpoint.timeout: 'soon' is not a duration; write it as 10s, 5m, 1h30m or 250ms
            job.yaml:10 spec.state.root: stores of the kind 'hdfs://' are not supported; write a directory or s3://bucket/prefix
            job.yaml:11 spec.restart.resetAfter: 0s is too short; the least is 10ms
        "#]],
    );
}

/// kubectl reads YAML 1.1 in most of its traps; what people may read otherwise is refused.
#[test]
fn a_number_in_another_notation_is_refused_with_both_readings() {
    check(
        &with_spec("parallelism: 010"),
        expect![[r#"
            job.yaml:7 spec.parallelism: 010 is 8 to kubectl, which reads a leading zero as octal, and 10 to most others; write 8 or 10
        "#]],
    );
    check(
        &with_spec("parallelism: 0x10\nmaxParallelism: 1_000"),
        expect![[r#"
            job.yaml:7 spec.parallelism: 0x10 is 16 to kubectl, and no number to some others; write 16
            job.yaml:8 spec.maxParallelism: 1_000 is 1000 to kubectl, and no number to some others; write 1000
        "#]],
    );
    check(
        &with_spec("parallelism: 0o10\nmaxParallelism: 1:30"),
        expect![[r#"
            job.yaml:7 spec.parallelism: 0o10 is 8 to kubectl, and no number to some others; write 8
            job.yaml:8 spec.maxParallelism: expected a whole number, found '1:30'
        "#]],
    );
    check(
        &with_spec("parallelism: .5\nmaxParallelism: 08"),
        expect![[r#"
            job.yaml:7 spec.parallelism: expected a whole number, found the number .5
            job.yaml:8 spec.maxParallelism: expected a whole number, found the number 08
        "#]],
    );
}

#[test]
fn a_word_that_is_no_text_to_kubectl_needs_quotes() {
    check(
        "apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata:
  name: y
  labels: {team: no, size: 1_000, on: call, tier: ~, day: 2024-01-01, at: 1:30}
spec: {sql: SELECT 1, restartToken: Off}
",
        expect![[r#"
            job.yaml:4 metadata.name: expected text, found the boolean y; write "y"
            job.yaml:5 metadata.labels.team: expected text, found the boolean no; write "no"
            job.yaml:5 metadata.labels.size: expected text, found the number 1_000; write "1_000"
            job.yaml:5 metadata.labels.on: the key on is true to kubectl; write "on"
            job.yaml:5 metadata.labels.tier: expected text, found nothing; write "~"
            job.yaml:6 spec.restartToken: expected text, found the boolean Off; write "Off"
        "#]],
    );
}

mod any_text {
    use proptest::prelude::*;
    use weir_crds::StreamJob;

    proptest! {
        #[test]
        fn never_panics(text in "(\\PC|[\\n\\t:{}\\[\\]&*|>'\" -]){0,80}") {
            let _ = StreamJob::from_yaml(&text, "job.yaml");
        }

        #[test]
        fn a_fault_in_a_good_manifest_never_panics(at in 0usize..400, with in "\\PC{0,3}") {
            let good = include_str!("../../examples/airport-delays.yaml");
            let at = good.char_indices().map(|(i, _)| i).nth(at).unwrap_or(0);
            let text = format!("{}{with}{}", &good[..at], &good[at..]);
            if let Err(faults) = StreamJob::from_yaml(&text, "job.yaml") {
                prop_assert!(!faults.is_empty());
                prop_assert!(faults.iter().all(|fault| fault.line >= 1));
            }
        }
    }
}

#[test]
fn a_comment_that_takes_in_the_lines_below_it_is_not_taken() {
    let head = "apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: job}\nspec:\n";
    check(
        &format!("{head}  sql: >\n    SELECT '--'\n    -- the rest\n    FROM t\n"),
        expect![[r#"
            job.yaml:7 spec.sql: the comment that begins with -- on this line takes in the lines below it, because `sql: >` joins them to one; write `sql: |`, which keeps lines
        "#]],
    );
    check(
        &format!("{head}  sql: \"SELECT a -- one\n    FROM t\"\n"),
        expect![[r#"
            job.yaml:5 spec.sql: the comment that begins with -- on this line takes in the lines below it, because a text that is no block joins them to one; write `sql: |`, which keeps lines
        "#]],
    );
    for kept in [
        "  sql: |\n    SELECT 1\n    -- kept\n    FROM t\n",
        "  sql: >\n    SELECT 1 -- kept by the empty line\n\n    FROM t\n",
        "  sql: >\n    SELECT\n      1 -- kept by its indent\n    FROM t\n",
        "  sql: >\n    SELECT '-- a' /* -- b\n    -- c */ FROM t\n",
        "  sql: >\n    SELECT 1\n    -- the last\n",
        "  sql: >\n    SELECT 1\n    -- the last\n  parallelism: 2\n",
    ] {
        read(&format!("{head}{kept}"));
    }
}
