//! MATCH_RECOGNIZE.

use expect_test::expect;

use super::check;

#[test]
fn a_match_with_conditions_and_measures() {
    check(
        "INSERT INTO names SELECT o || CAST(n AS STRING) FROM flights MATCH_RECOGNIZE (
  PARTITION BY origin ORDER BY `date`, delay DESC
  MEASURES LAST(B.destination) AS o, COUNT(B.delay) AS n
  AFTER MATCH SKIP TO LAST B
  PATTERN (A B{2,}? (C | A)) WITHIN INTERVAL '2' HOUR
  DEFINE A AS A.delay < 0, B AS B.distance > 10 AND B.delay > LAST(B.delay, 1), C AS AVG(B.delay) > PREV(C.delay))",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, distance, origin, destination
                reads: date, delay, distance, origin, destination
                watermark: date - 1 h
              select origin, date, delay, distance, destination
                calc 74652c6595c18ddd
                columns: origin, date, delay, distance, destination

            ══► by origin: select origin, date, delay, distance, destination
              match A B{2,}? (C | A) of each origin
                pattern 65078e21488c082d
                define: A AS A.delay < 0, B AS B.distance > 10 AND B.delay > LAST(B.delay, 1), C AS AVG(delay) of B > PREV(C.delay, 1)
                keys: origin
                measures: B.destination AS o, COUNT(delay) of B AS n
                order: date, delay DESC
                pattern: A B{2,}? (C | A)
                skip: to the last row of B
                within: 2 h
                table rows: origin utf8, by date timestamp(ms), delay int32, $arrival int64 → distance int32, destination utf8
                table due: origin utf8, by when it is due
                table known: origin utf8 → $before int64, $matches int64

            ──► match A B{2,}? (C | A) of each origin
              compute name
                calc 71c79e97d6c91a4f
                columns: o || CAST(n AS STRING) AS name
              print names
                sink 652389f0f48cff37
                guarantee: none
        "#]],
    );
}

#[test]
fn what_is_kept_and_how_it_is_searched_is_in_the_identity() {
    let uid = |pattern: &str, measures: &str, define: &str| {
        let planned = super::planned(&format!(
            "{}INSERT INTO names SELECT CAST(x AS STRING) FROM flights MATCH_RECOGNIZE (PARTITION BY origin ORDER BY `date` MEASURES {measures} AS x PATTERN ({pattern}) DEFINE {define})",
            super::FLIGHTS
        ));
        let vertices = planned.graph.vertices.iter().flat_map(|vertex| &vertex.chain);
        let found = vertices.map(|(info, _)| info).find(|info| info.kind == "pattern");
        found.expect("a pattern").uid.clone()
    };
    let first = uid("A B+ C", "A.delay", "B AS B.delay > 1");
    assert_eq!(first, uid("A B+ C", "LAST(A.delay)", "B AS B.delay > 1"), "the same rows are kept");
    assert_eq!(first, uid("X Y+ Z", "X.delay", "Y AS Y.delay > 1"), "names mean nothing");
    for other in [
        uid("A B* C", "A.delay", "B AS B.delay > 1"),
        uid("A B+ C", "A.delay", "B AS B.delay > 2"),
        uid("A B+ C", "A.distance", "B AS B.delay > 1"),
        uid("A B+ C", "PREV(A.delay)", "B AS B.delay > 1"),
        uid("A B+ C) WITHIN INTERVAL '1' HOUR SUBSET S = (A, B", "A.delay", "B AS B.delay > 1"),
    ] {
        assert_ne!(first, other);
    }
}
