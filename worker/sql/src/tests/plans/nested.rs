//! Rows beside the elements of their values, and what is made of counts.

use expect_test::expect;

use super::check;

#[test]
fn an_unnest_takes_the_columns_that_are_read_and_filters_rows_before_it() {
    check(
        "CREATE TABLE tagged (id BIGINT, more STRING, tags ARRAY<STRING>, other INT)
  WITH ('connector' = 'filesystem', 'path' = 'tagged', 'format' = 'json');
CREATE TABLE shown (id BIGINT, tag STRING, n INT) WITH ('connector' = 'print');
INSERT INTO shown SELECT id, tag, n FROM tagged CROSS JOIN UNNEST(tags) WITH ORDINALITY AS t (tag, n)
 WHERE other > 7 AND tag <> 'x';",
        expect![[r#"
            plan
              filesystem tagged
                source 86f8c9b75e0db8f3
                columns: id, tags, other
                reads: id, tags, other
              filter other > 7
                calc a760551bdb067421
                columns: id, tags
                filter: other > 7
              unnest tags
                unnest 5bb0d18e1e7f7862
                columns: tag, n
                of: tags ARRAY<STRING>
              filter tag <> 'x'
                calc ea781f428b82cb55
                columns: id, tag, n
                filter: tag <> 'x'
              print shown
                sink 26178000df89f89a
                guarantee: none
        "#]],
    );
}

#[test]
fn rows_without_elements_are_kept_and_a_computed_value_is_made_before() {
    check(
        "CREATE TABLE shown (origin STRING, part STRING) WITH ('connector' = 'print');
INSERT INTO shown SELECT origin, part FROM flights LEFT JOIN UNNEST(SPLIT(destination, '-')) AS t (part) ON TRUE;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, origin, destination
                reads: date, origin, destination
                watermark: date - 1 h
              compute origin, $unnested
                calc 064c03a573e10877
                columns: origin, SPLIT(destination, '-') AS $unnested
              unnest $unnested
                unnest e23f224d122bfcaa
                columns: part
                keeps: rows without elements
                of: $unnested ARRAY<STRING>
              print shown
                sink 752fc22ee9c40011
                guarantee: none
        "#]],
    );
}

#[test]
fn except_all_counts_rows_and_gives_each_as_often_as_is_left() {
    check(
        "INSERT INTO names SELECT origin FROM flights EXCEPT ALL SELECT destination FROM flights;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, origin, destination
                reads: date, origin, destination
                watermark: date - 1 h

            ──► filesystem flights
              compute origin, left, right
                calc fb6a9ea688e6cec1
                columns: origin, TRUE AS left, FALSE AS right

            ──► filesystem flights
              compute origin, left, right
                calc 7c231ba248b1a06f
                columns: destination AS origin, FALSE AS left, TRUE AS right

            ══► by origin: compute origin, left, right
            ══► by origin: compute origin, left, right
              count by origin
                group aggregate 024bc78835220b68
                aggregates: COUNT(*) FILTER (WHERE left), COUNT(*) FILTER (WHERE right)
                changes: rows are corrected: +I, -U, +U, -D
                keys: origin
                table groups: origin utf8 → COUNT(*) FILTER (WHERE left) d248d8b4$count int64, COUNT(*) FILTER (WHERE right) 1d97c21a$count int64
              filter COUNT(*) FILTER (WHERE left) > COUNT(*) FILTER (WHER…
                calc 5e4b4bdcd473ff4d
                columns: origin, COUNT(*) FILTER (WHERE left) - COUNT(*) FILTER (WHERE right) AS $times
                filter: COUNT(*) FILTER (WHERE left) > COUNT(*) FILTER (WHERE right)
              unnest $times
                unnest 7cca1b6de6d809a0
                columns: 
                of: $times BIGINT
              select name
                calc 384362829ff2692f
                columns: origin AS name
              print names
                sink 6afc8c43067bef7b
                guarantee: none
        "#]],
    );
}
