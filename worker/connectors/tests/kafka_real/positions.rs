//! Where reading begins, ends and goes on: transactions, lost offsets, timestamps.

use super::*;

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn a_bounded_read_ends_behind_the_marks_of_transactions() {
    let topic = Topic::new("marks", 1);
    topic.transaction(0..100, true);
    topic.transaction(100..150, false);
    let rows = read_all(&topic.io, &topic.table(&[EARLIEST, BOUNDED]));
    assert_eq!(rows, (0..100).collect::<Vec<_>>(), "aborted rows are no rows");
    // Committed, aborted, and the two marks.
    let (_, splits) =
        discover(&topic.io, &source(&topic.table(&[EARLIEST, BOUNDED]), &[0])).unwrap();
    assert_eq!(field(&splits[0].position, "end"), 152);
}

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn a_topic_that_holds_nothing_visible_is_read_to_its_end() {
    let topic = Topic::new("nothing", 2);
    topic.transaction(0..50, false);
    assert_eq!(read_all(&topic.io, &topic.table(&[EARLIEST, BOUNDED])), [0i64; 0]);
}

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn rows_of_an_open_transaction_are_after_the_latest_offset() {
    let topic = Topic::new("open", 1);
    topic.write(0, 0..10);
    let open = topic.open_transaction(10..20);
    topic.write(0, 20..30);
    let latest = topic.table(&[("scan.startup.mode", "latest-offset")]);
    let (_, splits) = discover(&topic.io, &source(&latest, &[0])).unwrap();
    assert_eq!(field(&splits[0].position, "offset"), 10);
    assert_eq!(
        read_all(&topic.io, &topic.table(&[EARLIEST, BOUNDED])),
        (0..10).collect::<Vec<_>>()
    );

    let latest = source(&latest, &[0]);
    let mut cx = context(&topic.io);
    let mut reader = latest.reader(&cx).unwrap();
    reader.add(&cx, 0, &splits[0]).unwrap();
    open.commit_transaction(WAIT).unwrap();
    let mut rows = Vec::new();
    poll_until(&mut *reader, &mut cx, |polled| {
        if let SourcePoll::Rows { records, .. } = polled {
            rows.extend(numbers(&records));
        }
        rows.len() == 20
    })
    .unwrap();
    assert_eq!(rows, (10..30).collect::<Vec<_>>());
}

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn lost_offsets_are_an_error_with_a_way_out_and_skipped_only_when_asked() {
    let topic = Topic::new("lost", 2);
    topic.write(0, 0..100);
    topic.write(1, 1000..1100);
    let io = &topic.io;
    let (_, splits) = discover(io, &source(&topic.table(&[EARLIEST]), &[0])).unwrap();
    topic.delete_before(0, 60);

    let mut cx = context(io);
    let strict = source(&topic.table(&[EARLIEST]), &[0]);
    let mut reader = strict.reader(&cx).unwrap();
    reader.add(&cx, 0, &splits[0]).unwrap();
    let error = poll_until(&mut *reader, &mut cx, |_| false).unwrap_err();
    assert_eq!(error.fault, Fault::User);
    let expected = format!(
        "table 't': '{}/0': offset 0 is gone: the topic now begins at 60, so 60 offsets",
        topic.name
    );
    assert!(error.message.starts_with(&expected), "{error}");
    assert!(error.message.contains("'scan.on-lost-position' = 'skip'"), "{error}");

    let lenient = source(&topic.table(&[EARLIEST, ("scan.on-lost-position", "skip")]), &[0]);
    let mut reader = lenient.reader(&cx).unwrap();
    reader.add(&cx, 0, &splits[0]).unwrap();
    reader.add(&cx, 1, &splits[1]).unwrap();
    let mut rows = [Vec::new(), Vec::new()];
    poll_until(&mut *reader, &mut cx, |polled| {
        if let SourcePoll::Rows { split, records } = polled {
            rows[split].extend(numbers(&records));
        }
        rows[0].len() + rows[1].len() == 140
    })
    .unwrap();
    assert_eq!(rows[0], (60..100).collect::<Vec<_>>());
    assert_eq!(rows[1], (1000..1100).collect::<Vec<_>>(), "other partitions repeat nothing");
}

/// The tail of an idle partition is marks and aborted rows; retention takes all of it.
#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn a_restart_behind_the_last_mark_loses_nothing_and_goes_on() {
    let topic = Topic::new("idle", 2);
    topic.transaction(0..100, true);
    topic.transaction(100..150, false);
    let io = &topic.io;
    let group = format!("g-{}", uuid::Uuid::new_v4());
    let source = source(&topic.table(&[EARLIEST, ("properties.group.id", &group)]), &[0]);
    let (mut enumerator, mut splits) = discover(io, &source).unwrap();
    let mut cx = context(io);
    let mut reader = source.reader(&cx).unwrap();
    for (index, split) in splits.iter().enumerate() {
        reader.add(&cx, index, split).unwrap();
    }
    // The other partition never rests.
    let busy = topic.producer(&[]);
    let start = instant();
    let (mut rows, mut n) = (Vec::new(), 1000);
    // 100 rows, 50 aborted ones, and the two marks.
    while field(&reader.position(0), "offset") < 152 {
        assert!(start.elapsed() < WAIT, "stays at {}", field(&reader.position(0), "offset"));
        topic.send(&busy, 1, n..n + 1, None);
        n += 1;
        match reader.poll(&mut cx).unwrap() {
            SourcePoll::Rows { split: 0, records } => rows.extend(numbers(&records)),
            SourcePoll::Pending => std::thread::sleep(Duration::from_millis(1)),
            _ => {}
        }
    }
    assert_eq!(rows, (0..100).collect::<Vec<_>>());
    splits[0].position = reader.position(0);
    drop(reader);

    // Whoever watches the group sees no lag.
    io.block_on(enumerator.on_published(&splits[..1]));
    let other: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers())
        .set("group.id", &group)
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition(&topic.name, 0);
    let found = other.committed_offsets(list, WAIT).unwrap();
    assert_eq!(found.elements()[0].offset(), Offset::Offset(152));

    topic.delete_before(0, 152);
    let mut reader = source.reader(&cx).unwrap();
    reader.add(&cx, 0, &splits[0]).unwrap();
    topic.write(0, 200..210);
    let mut rows = Vec::new();
    poll_until(&mut *reader, &mut cx, |polled| {
        if let SourcePoll::Rows { records, .. } = polled {
            rows.extend(numbers(&records));
        }
        rows.len() >= 10
    })
    .unwrap();
    assert_eq!(rows, (200..210).collect::<Vec<_>>());
}

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn a_position_that_does_not_exist_is_refused() {
    let topic = Topic::new("again", 1);
    topic.write(0, 0..10);
    let source = source(&topic.table(&[EARLIEST, ("scan.on-lost-position", "skip")]), &[0]);
    let (_, mut splits) = discover(&topic.io, &source).unwrap();
    let position = format!(r#"{{"v":1,"topic":"{}","partition":0,"offset":5000}}"#, topic.name);
    splits[0].position = position.into();
    let mut cx = context(&topic.io);
    let mut reader = source.reader(&cx).unwrap();
    reader.add(&cx, 0, &splits[0]).unwrap();
    let error = poll_until(&mut *reader, &mut cx, |_| false).unwrap_err();
    assert!(
        error.message.contains("offset 5000 does not exist: the topic holds 0 to 10"),
        "{error}"
    );
}

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn timestamps_choose_where_to_start_and_end() {
    let topic = Topic::new("times", 1);
    let producer = topic.producer(&[]);
    let base = 1_700_000_000_000;
    for n in 0..100 {
        topic.send(&producer, 0, n..n + 1, Some(base + n * 1000));
    }
    producer.flush(WAIT).unwrap();
    let (from, to) = ((base + 20_000).to_string(), (base + 70_000).to_string());
    let rows = read_all(
        &topic.io,
        &topic.table(&[
            ("scan.startup.mode", "timestamp"),
            ("scan.startup.timestamp-millis", &from),
            ("scan.bounded.mode", "timestamp"),
            ("scan.bounded.timestamp-millis", &to),
        ]),
    );
    assert_eq!(rows, (20..70).collect::<Vec<_>>());
}
