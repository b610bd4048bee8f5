//! The crash sweep: in every scenario the operator dies at each of its writes, and a fresh one
//! goes on. Each run comes to the same end as the calm one: no orphan, no lost savepoint, no
//! revision that takes a running one's place.

#![allow(clippy::unwrap_used, reason = "a test's way to fail")]

mod double;
mod model;

use double::Last;
use model::scenarios::{ALL, Scenario, for_each};
use model::stage::Stage;

/// Plays a scenario in which the operator dies once. Returns what is left, and its writes.
async fn run(scenario: Scenario, death: Option<(u64, Last)>) -> (String, u64) {
    let stage = Stage::new();
    let mut operator = stage.operator();
    let first = operator.connection.clone();
    if let Some((n, how)) = death {
        first.die_after(n, how);
    }
    scenario.play(&stage, &mut operator).await;
    assert_eq!(stage.model.violations(), Vec::<String>::new(), "{scenario:?} {death:?}");
    allowed(&first);
    (stage.summary(), first.writes())
}

/// Every call is one that `rbac.yaml` allows.
fn allowed(connection: &double::Connection) {
    let rules: serde_json::Value =
        serde_yaml_ng::from_str(include_str!("../rbac.yaml")).expect("rbac.yaml is YAML");
    for request in connection.requests() {
        let (group, resource, verb) = permission(&request.method, &request.uri);
        let has = |list: &serde_json::Value, wanted: &str| {
            list.as_array().is_some_and(|items| items.iter().any(|item| item == wanted))
        };
        let fits = rules["rules"].as_array().expect("a list of rules").iter().any(|rule| {
            has(&rule["apiGroups"], &group)
                && has(&rule["resources"], &resource)
                && has(&rule["verbs"], &verb)
        });
        assert!(fits, "{verb} {resource}.{group} is not in rbac.yaml: {}", request.uri);
    }
}

/// Group, resource (with subresource) and verb of a request, as an API server derives them.
fn permission(method: &str, uri: &str) -> (String, String, String) {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let group = if parts[0] == "api" { "" } else { parts[1] };
    parts.drain(..if parts[0] == "api" { 2 } else { 3 });
    if parts[0] == "namespaces" && parts.len() > 2 {
        parts.drain(..2);
    }
    let name = parts.get(1);
    let resource = match parts.get(2) {
        Some(sub) => format!("{}/{sub}", parts[0]),
        None => parts[0].to_owned(),
    };
    let verb = match (method, name) {
        ("GET", _) if query.contains("watch=true") => "watch",
        ("GET", Some(_)) => "get",
        ("GET", None) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        _ => "delete",
    };
    (group.to_owned(), resource, verb.to_owned())
}

#[tokio::test]
async fn every_scenario_comes_to_its_end() {
    for scenario in ALL {
        let (left, writes) = run(scenario, None).await;
        println!("{scenario:?}: {writes} writes\n{left}\n");
    }
}

/// Lets the operator die at each write of a scenario. Returns how many times it died.
async fn sweep(scenario: Scenario) -> usize {
    let (calm, writes) = run(scenario, None).await;
    let mut points = 0;
    for n in 1..=writes {
        for how in [Last::NotSent, Last::Lost] {
            let (left, _) = run(scenario, Some((n, how))).await;
            assert_eq!(left, calm, "{scenario:?}: died at write {n} ({how:?})");
            points += 1;
        }
    }
    println!("{scenario:?}: {writes} writes, {points} crash points");
    points
}

#[test]
fn a_death_at_any_write_changes_no_end() {
    let points = for_each(sweep);
    println!("crash points: {points}");
    assert!(points >= 300, "only {points} crash points");
}

/// Two operators that both believe to be the active one, taking turns at every round.
#[tokio::test]
async fn a_second_active_operator_changes_no_end() {
    for scenario in ALL {
        let (calm, _) = run(scenario, None).await;
        let mut stage = Stage::new();
        stage.second = Some(stage.operator());
        let mut operator = stage.operator();
        scenario.play(&stage, &mut operator).await;
        assert_eq!(stage.model.violations(), Vec::<String>::new(), "{scenario:?}");
        assert_eq!(stage.summary(), calm, "{scenario:?}");
    }
}

/// One request in twelve fails, reads and writes alike, each time in another way.
#[tokio::test]
async fn an_api_server_that_often_fails_changes_no_end() {
    for scenario in ALL {
        let (calm, _) = run(scenario, None).await;
        let stage = Stage::new();
        let mut operator = stage.operator();
        let mut random = 88_172_645_463_325_252_u64;
        operator.connection.refuse(move |_| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let code = [500, 409, 429, 503, 0][(random % 5) as usize];
            random.is_multiple_of(12).then_some(code)
        });
        scenario.play(&stage, &mut operator).await;
        assert_eq!(stage.model.violations(), Vec::<String>::new(), "{scenario:?}");
        assert_eq!(stage.summary(), calm, "{scenario:?}");
    }
}
