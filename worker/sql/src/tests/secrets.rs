//! Values of the environment: never in a message, a plan, a name or a hash.

use std::sync::Arc;

use crate::{BuiltIn, PlanOptions, Variable, explain, plan, render};

/// The built-in connectors, and an environment in which every variable has this value.
fn options(value: Option<&str>) -> PlanOptions {
    let value = value.map(str::to_owned);
    PlanOptions {
        env: Box::new(move |_| Some(value.clone().map_or(Variable::Withheld, Variable::Value))),
        parts: Arc::new(BuiltIn),
        ..super::options()
    }
}

const PROGRAM: &str = "
CREATE TABLE bids (price INT) WITH (
  'connector' = 'kafka', 'topic' = '${env:A}', 'format' = 'json',
  'properties.bootstrap.servers' = '${env:B}:9092', 'scan.startup.mode' = 'earliest-offset',
  'properties.security.protocol' = 'SASL_SSL', 'properties.sasl.mechanism' = 'PLAIN',
  'properties.sasl.jaas.config' =
    'PlainLoginModule required username=\"${env:C}\" password=\"${env:D}\";');
CREATE TABLE made (price INT) WITH ('connector' = 'datagen', 'seed' = '${env:N}',
  'rows-per-second' = '${env:N}', 'number-of-rows' = '${env:N}');
CREATE TABLE files (price INT) WITH (
  'connector' = 'filesystem', 'path' = '${env:E}/in', 'format' = 'csv');
CREATE TABLE out (price INT) WITH (
  'connector' = 'filesystem', 'path' = 's3://${env:F}/out', 'format' = 'json');
INSERT INTO out SELECT price FROM bids;
INSERT INTO out SELECT price FROM made;
INSERT INTO out SELECT price FROM files;
";

#[test]
fn a_plan_its_uids_and_its_hash_do_not_depend_on_values() {
    let explained = |value| {
        let planned = plan(PROGRAM, &options(value));
        let planned = planned.unwrap_or_else(|errors| panic!("{}", render(&errors, PROGRAM)));
        let text = explain::text(&planned.graph);
        format!("{text}{}", serde_json::to_string(&explain::explain(&planned.graph)).unwrap())
    };
    let first = explained(Some("918273"));
    assert!(!first.contains("918273"), "{first}");
    assert!(first.contains("${env:B}:9092") && first.contains("s3://${env:F}/out"), "{first}");
    assert_eq!(first, explained(Some("546372")), "a value that is rotated changes no identity");
}

#[test]
fn a_program_is_checked_without_values() {
    let found = plan(PROGRAM, &options(None)).map(|planned| planned.warnings.len());
    assert_eq!(found.map_err(|errors| render(&errors, PROGRAM)), Ok(0));
    let wrong = PROGRAM.replace("SELECT price FROM made", "SELECT prize FROM made");
    let errors = plan(&wrong, &options(None)).err().expect("refused");
    assert!(render(&errors, &wrong).contains("column \"prize\" not found"), "{errors:?}");
}

#[test]
fn an_option_that_cannot_be_used_is_told_without_its_value() {
    let program =
        PROGRAM.replace("'rows-per-second' = '${env:N}'", "'rows-per-second' = '${env:KEY}'");
    let mut options = options(Some("5"));
    options.env = Box::new(|name| {
        let value = if name == "KEY" { "wJalrXUtnFEMI/K7MDENG" } else { "5" };
        Some(Variable::Value(value.to_owned()))
    });
    let errors = plan(&program, &options).err().expect("refused");
    let said = render(&errors, &program);
    assert!(!said.contains("wJalrXUtnFEMI"), "{said}");
    assert!(
        said.contains(
            "'rows-per-second' is '${env:KEY}' (its value is not shown); give a whole number from 0"
        ),
        "{said}"
    );
}
