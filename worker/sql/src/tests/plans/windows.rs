//! Windows, and aggregates over them.

use expect_test::expect;

use super::check;

#[test]
fn hop_with_every_aggregate() {
    check(
        "INSERT INTO names SELECT origin FROM TABLE(HOP(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR, INTERVAL '6' HOUR)) GROUP BY window_start, window_end, origin
HAVING COUNT(DISTINCT destination) > 1 AND SUM(delay) > 2 AND AVG(delay) > 3 AND MIN(distance) > 4 AND MAX(distance) > 5;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, distance, origin, destination
                reads: date, delay, distance, origin, destination
                watermark: date - 1 h
              6 h / 1 h distinct count, sum, avg, min, max by origin (local)
                local window aggregate aefa36dea37216dd-local
                aggregates: COUNT(DISTINCT destination), SUM(delay), AVG(delay), MIN(distance), MAX(distance)
                keys: origin
                time: date
                window: hop 6 h every 1 h

            ══► by origin: 6 h / 1 h distinct count, sum, avg, min, max by origin (local)
              6 h / 1 h distinct count, sum, avg, min, max by origin
                window aggregate aefa36dea37216dd
                aggregates: COUNT(DISTINCT destination), SUM(delay), AVG(delay), MIN(distance), MAX(distance)
                keys: origin
                time: date
                window: hop 6 h every 1 h
                state v1: $slice_end Int64, $visible_from Int64, AVG(delay)$count Int64, AVG(delay)$sum Int64, COUNT(DISTINCT destination)$values List(Utf8), MAX(distance)$max Int32, MIN(distance)$min Int32, SUM(delay)$sum Int64, origin Utf8
              filter ((((COUNT(DISTINCT destination) > 1) AND (SUM(delay)…
                calc 38e859c3f4395f21
                columns: origin AS name
                filter: ((((COUNT(DISTINCT destination) > 1) AND (SUM(delay) > 2)) AND (AVG(delay) > 3)) AND (MIN(distance) > 4)) AND (MAX(distance) > 5)
              print names
                sink 23676850b18cf916
                guarantee: none
        "#]],
    );
}

#[test]
fn named_arguments_and_an_offset() {
    check(
        "INSERT INTO names SELECT CAST(COUNT(*) AS STRING) FROM TABLE(TUMBLE(TIMECOL => DESCRIPTOR(`date`), DATA => TABLE flights, SIZE => INTERVAL '1' DAY, OFFSET => INTERVAL '8' HOUR)) GROUP BY window_start, window_end;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date
                reads: date
                watermark: date - 1 h
              daily count (local)
                local window aggregate 1860b3fc9817daeb-local
                aggregates: COUNT(*)
                time: date
                window: tumble 1 d, shifted by 8 h

            ══► to one subtask: daily count (local)
              daily count
                window aggregate 1860b3fc9817daeb
                aggregates: COUNT(*)
                time: date
                window: tumble 1 d, shifted by 8 h
                state v1: $slice_end Int64, $visible_from Int64, COUNT(*)$count Int64
              compute name
                calc 20fb573db74531c5
                columns: CAST(COUNT(*) AS STRING) AS name
              print names
                sink 5387548804eb64b1
                guarantee: none
        "#]],
    );
}

#[test]
fn keys_may_be_expressions() {
    check(
        "INSERT INTO pairs SELECT delay / 10 + 1, SUBSTRING(origin, 1, 1) FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, delay / 10, SUBSTRING(origin, 1, 1);",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h
              compute date, delay / 10, SUBSTRING(origin, 1, 1)
                calc f50f9d67e0a17ad7
                columns: date, delay / 10, SUBSTRING(origin, 1, 1)
              hourly groups by delay / 10, SUBSTRING(origin, 1, 1) (local)
                local window aggregate 81fcf4803cfd81ec-local
                keys: delay / 10, SUBSTRING(origin, 1, 1)
                time: date
                window: tumble 1 h

            ══► by delay / 10, SUBSTRING(origin, 1, 1): hourly groups by delay / 10, SUBSTRING(origin, 1, 1) (local)
              hourly groups by delay / 10, SUBSTRING(origin, 1, 1)
                window aggregate 81fcf4803cfd81ec
                keys: delay / 10, SUBSTRING(origin, 1, 1)
                time: date
                window: tumble 1 h
                state v1: $slice_end Int64, $visible_from Int64, SUBSTRING(origin, 1, 1) Utf8, delay / 10 Int32
              compute delay, b
                calc ad2e5297eda5a256
                columns: delay / 10 + 1 AS delay, SUBSTRING(origin, 1, 1) AS b
              blackhole pairs
                sink 806c84a03af43fa8
                guarantee: none
        "#]],
    );
}

#[test]
fn a_window_bound_is_an_expression_before_the_aggregation() {
    check(
        "INSERT INTO names SELECT origin FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) WHERE window_start > TIMESTAMP '2001-01-01 00:00:00' GROUP BY window_start, window_end, origin;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, origin
                reads: date, origin
                watermark: date - 1 h
              filter WINDOW_START[3600000,0](date) > TIMESTAMP '2001-01-0…
                calc d08ab72f978a5a34
                columns: date, origin
                filter: WINDOW_START[3600000,0](date) > TIMESTAMP '2001-01-01 00:00:00.000'
              hourly groups by origin (local)
                local window aggregate 4cdf1a269407e73b-local
                keys: origin
                time: date
                window: tumble 1 h

            ══► by origin: hourly groups by origin (local)
              hourly groups by origin
                window aggregate 4cdf1a269407e73b
                keys: origin
                time: date
                window: tumble 1 h
                state v1: $slice_end Int64, $visible_from Int64, origin Utf8
              select name
                calc 77806545aef70d09
                columns: origin AS name
              print names
                sink 8e2cfb2bd73c6db5
                guarantee: none
        "#]],
    );
}

#[test]
fn window_time_is_the_event_time_of_a_second_window() {
    check(
        "CREATE VIEW h AS SELECT window_time AS rt, origin, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, window_time, origin;
INSERT INTO delays SELECT window_start, origin, SUM(c), MAX(c) FROM TABLE(TUMBLE(TABLE h, DESCRIPTOR(rt), INTERVAL '1' DAY)) GROUP BY window_start, window_end, origin;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, origin
                reads: date, origin
                watermark: date - 1 h
              hourly count by origin (local)
                local window aggregate 2e4336b62aff461d-local
                aggregates: COUNT(*)
                keys: origin
                time: date
                window: tumble 1 h

            ══► by origin: hourly count by origin (local)
              hourly count by origin
                window aggregate 2e4336b62aff461d
                aggregates: COUNT(*)
                keys: origin
                time: date
                window: tumble 1 h
                state v1: $slice_end Int64, $visible_from Int64, COUNT(*)$count Int64, origin Utf8
              select rt, origin, c
                calc 75e698e7e8b44b65
                columns: window_time AS rt, origin, COUNT(*) AS c
              daily sum, max by origin (local)
                local window aggregate a838288291d39293-local
                aggregates: SUM(c), MAX(c)
                keys: origin
                time: rt
                window: tumble 1 d

            ══► by origin: daily sum, max by origin (local)
              daily sum, max by origin
                window aggregate a838288291d39293
                aggregates: SUM(c), MAX(c)
                keys: origin
                time: rt
                window: tumble 1 d
                state v1: $slice_end Int64, $visible_from Int64, MAX(c) 43163b52$max Int64, SUM(c) 8ae1463a$sum Int64, origin Utf8
              select window_start, origin, flights, late
                calc 23bee56f6d7aa48b
                columns: window_start, origin, SUM(c) AS flights, MAX(c) AS late
              filesystem delays
                sink 3fdacf47485b3b88
                guarantee: exactly once
        "#]],
    );
}

#[test]
fn a_hop_grouped_once_more_keeps_its_windows() {
    check(
        "CREATE VIEW h AS SELECT window_start, window_end, origin, COUNT(*) AS c FROM TABLE(HOP(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR, INTERVAL '2' HOUR)) GROUP BY window_start, window_end, origin;
INSERT INTO delays SELECT window_start, 'all', MAX(c), MIN(c) FROM h GROUP BY window_start, window_end;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, origin
                reads: date, origin
                watermark: date - 1 h
              2 h / 1 h count by origin (local)
                local window aggregate eb1dfd95772ee31a-local
                aggregates: COUNT(*)
                keys: origin
                time: date
                window: hop 2 h every 1 h

            ══► by origin: 2 h / 1 h count by origin (local)
              2 h / 1 h count by origin
                window aggregate eb1dfd95772ee31a
                aggregates: COUNT(*)
                keys: origin
                time: date
                window: hop 2 h every 1 h
                state v1: $slice_end Int64, $visible_from Int64, COUNT(*)$count Int64, origin Utf8
              select c, window_time
                calc 0cf7709e0aa4852b
                columns: COUNT(*) AS c, window_time
              hourly max, min (local)
                local window aggregate cb45d06cd98e7353-local
                aggregates: MAX(c), MIN(c)
                time: window_time
                window: tumble 1 h

            ══► to one subtask: hourly max, min (local)
              hourly max, min
                window aggregate cb45d06cd98e7353
                aggregates: MAX(c), MIN(c)
                time: window_time
                window: tumble 1 h
                state v1: $slice_end Int64, $visible_from Int64, MAX(c) 43163b52$max Int64, MIN(c) e3cc7191$min Int64
              compute window_start, origin, flights, late
                calc fcfb7f2a04e3453c
                columns: MOVE[-7200000](window_end) AS window_start, 'all' AS origin, MAX(c) AS flights, MIN(c) AS late
              filesystem delays
                sink 2d2f2e3c0377a7a8
                guarantee: exactly once
        "#]],
    );
}

#[test]
fn a_tumble_without_group_by_adds_columns() {
    check(
        "INSERT INTO delays SELECT window_start, origin, 1, 2 FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR));",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, distance, origin, destination
                reads: date, delay, distance, origin, destination
                watermark: date - 1 h
              compute date, delay, distance, origin, destination, window_…
                calc 87c4e6d5b4fb83d4
                columns: date, delay, distance, origin, destination, WINDOW_START[3600000,0](date) AS window_start, MOVE[3600000](WINDOW_START[3600000,0](date)) AS window_end, MOVE[3599999](WINDOW_START[3600000,0](date)) AS window_time
              compute window_start, origin, flights, late
                calc 170b416aa072104a
                columns: window_start, origin, 1 AS flights, 2 AS late
              filesystem delays
                sink 1945c3d8d8162aee
                guarantee: exactly once
        "#]],
    );
}

#[test]
fn a_hop_without_group_by_copies_rows() {
    check(
        "INSERT INTO delays SELECT window_start, origin, 1, 2 FROM TABLE(HOP(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR, INTERVAL '2' HOUR));",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, distance, origin, destination
                reads: date, delay, distance, origin, destination
                watermark: date - 1 h

            ──► filesystem flights
              compute date, delay, distance, origin, destination, window_…
                calc 52bb52abb7d06005
                columns: date, delay, distance, origin, destination, WINDOW_START[3600000,0](date) AS window_start, MOVE[7200000](WINDOW_START[3600000,0](date)) AS window_end, MOVE[7199999](WINDOW_START[3600000,0](date)) AS window_time

            ──► filesystem flights
              compute date, delay, distance, origin, destination, window_…
                calc 6628bfd037cca374
                columns: date, delay, distance, origin, destination, MOVE[-3600000](WINDOW_START[3600000,0](date)) AS window_start, MOVE[7200000](MOVE[-3600000](WINDOW_START[3600000,0](date))) AS window_end, MOVE[7199999](MOVE[-3600000](WINDOW_START[3600000,0](date))) AS window_time

            ──► compute date, delay, distance, origin, destination, window_…
            ──► compute date, delay, distance, origin, destination, window_…
              compute window_start, origin, flights, late
                calc df5ebb1f5a3cc549
                columns: window_start, origin, 1 AS flights, 2 AS late
              filesystem delays
                sink bbb7a2270f2ee489
                guarantee: exactly once
        "#]],
    );
}

#[test]
fn windows_that_grow_are_cut_into_steps() {
    check(
        "INSERT INTO delays SELECT window_start, origin, COUNT(*), SUM(delay)
 FROM TABLE(CUMULATE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR, INTERVAL '1' DAY)) GROUP BY window_start, window_end, origin;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h
              1 d by 1 h count, sum by origin (local)
                local window aggregate 7e143068197489b3-local
                aggregates: COUNT(*), SUM(delay)
                keys: origin
                time: date
                window: cumulate 1 d by 1 h

            ══► by origin: 1 d by 1 h count, sum by origin (local)
              1 d by 1 h count, sum by origin
                window aggregate 7e143068197489b3
                aggregates: COUNT(*), SUM(delay)
                keys: origin
                time: date
                window: cumulate 1 d by 1 h
                state v1: $slice_end Int64, $visible_from Int64, COUNT(*)$count Int64, SUM(delay)$sum Int64, origin Utf8
              compute window_start, origin, flights, late
                calc 76123993094d581d
                columns: window_start, origin, COUNT(*) AS flights, SUM(delay) AS late
              filesystem delays
                sink 261d0509bf5e73d3
                guarantee: exactly once
        "#]],
    );
}

#[test]
fn sessions_keep_a_table() {
    check(
        "INSERT INTO delays SELECT window_start, origin, COUNT(*), SUM(delay)
 FROM TABLE(SESSION(TABLE flights PARTITION BY origin, DESCRIPTOR(`date`), INTERVAL '30' MINUTE)) GROUP BY window_start, window_end, origin;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h

            ══► by origin: filesystem flights
              session count, sum by origin
                session aggregate 63198709b548be13
                aggregates: COUNT(*), SUM(delay)
                keys: origin
                time: date
                window: session with a gap of 30 min
                table sessions: origin utf8, by start int64 → $end int64, COUNT(*)$count int64, SUM(delay)$sum int64, $start int64
                table due: origin utf8, by when it is due
              compute window_start, origin, flights, late
                calc 1763bf6ab0a4412a
                columns: window_start, origin, COUNT(*) AS flights, SUM(delay) AS late
              filesystem delays
                sink e49b5734c6d70078
                guarantee: exactly once
        "#]],
    );
}

#[test]
fn grouping_sets_are_a_union_of_their_rows() {
    check(
        "INSERT INTO delays SELECT TUMBLE_START(`date`, INTERVAL '1' HOUR), origin, COUNT(*), SUM(delay)
 FROM flights GROUP BY TUMBLE(`date`, INTERVAL '1' HOUR), origin;
INSERT INTO delays SELECT window_start, origin, COUNT(*), SUM(distance)
 FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, GROUPING SETS ((origin), ());",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, distance, origin
                reads: date, delay, distance, origin
                watermark: date - 1 h

            ──► filesystem flights
              select date, delay, origin
                calc eb761f1e6f7aa8a6
                columns: date, delay, origin
              hourly count, sum by origin (local)
                local window aggregate 2e4336b62aff461d-local
                aggregates: COUNT(*), SUM(delay)
                keys: origin
                time: date
                window: tumble 1 h

            ══► by origin: hourly count, sum by origin (local)
              hourly count, sum by origin
                window aggregate 2e4336b62aff461d
                aggregates: COUNT(*), SUM(delay)
                keys: origin
                time: date
                window: tumble 1 h
                state v1: $slice_end Int64, $visible_from Int64, COUNT(*)$count Int64, SUM(delay)$sum Int64, origin Utf8
              compute window_start, origin, flights, late
                calc ac97955bc66fd0c9
                columns: window_start, origin, COUNT(*) AS flights, SUM(delay) AS late
              filesystem delays
                sink 5635ce715dad534e
                guarantee: exactly once

            ──► filesystem flights
              compute date, distance, origin, $set
                calc d118f659f0187508
                columns: date, distance, origin, 0 AS $set

            ──► filesystem flights
              compute date, distance, origin, $set
                calc c81f4658ce99530b
                columns: date, distance, NULL AS origin, 1 AS $set

            ──► compute date, distance, origin, $set
            ──► compute date, distance, origin, $set
              hourly count, sum by origin, $set (local)
                local window aggregate d33e6d9e1d2740cd-local
                aggregates: COUNT(*), SUM(distance)
                keys: origin, $set
                time: date
                window: tumble 1 h

            ══► by origin, $set: hourly count, sum by origin, $set (local)
              hourly count, sum by origin, $set
                window aggregate d33e6d9e1d2740cd
                aggregates: COUNT(*), SUM(distance)
                keys: origin, $set
                time: date
                window: tumble 1 h
                state v1: $set Int64, $slice_end Int64, $visible_from Int64, COUNT(*)$count Int64, SUM(distance) 14082195$sum Int64, origin Utf8
              compute window_start, origin, flights, late
                calc 7774de3dc9a2bd77
                columns: window_start, origin, COUNT(*) AS flights, SUM(distance) AS late
              filesystem delays
                sink 7f237d826d8d45cc
                guarantee: exactly once
        "#]],
    );
}
