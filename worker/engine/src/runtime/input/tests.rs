//! Watermarks, idleness and barriers over several inputs.

use super::*;

fn setup(n: usize) -> (Vec<Arc<Channel>>, Inputs) {
    let channels: Vec<_> = (0..n).map(|_| Arc::new(Channel::new(1 << 20))).collect();
    let inputs = Inputs::new(lanes(&channels, false), None);
    (channels, inputs)
}

/// Channels of one edge.
fn lanes(channels: &[Arc<Channel>], alike: bool) -> Vec<Lane> {
    let lane = |channel| Lane { channel: Arc::clone(channel), port: 0, edge: 0, alike };
    channels.iter().map(lane).collect()
}

fn send<const N: usize>(channel: &Channel, messages: [Message; N]) {
    messages.into_iter().for_each(|message| channel.push(message));
}

/// What a task would hear until nothing is left to read.
fn heard(inputs: &mut Inputs) -> Vec<String> {
    let shown = |event| match event {
        Event::Batch(..) => "rows".to_owned(),
        Event::Watermark(mark) => format!("{}", mark.0),
        Event::Idle => "idle".to_owned(),
        Event::Active => "active".to_owned(),
        Event::Round(source, round) => format!("round {} of {}", round.0, source.0),
        Event::Aligned(_) => "barrier".to_owned(),
        Event::End => "end".to_owned(),
    };
    std::iter::from_fn(|| inputs.next()).map(shown).collect()
}

const fn round(source: u32, round: u32) -> Message {
    Message::Round(VertexId(source), Round(round))
}

const fn mark(ms: i64) -> Message {
    Message::Watermark(Watermark(ms))
}

fn barrier(attempt: u64) -> Message {
    Message::Barrier(Barrier { attempt: Attempt(attempt), freeze: false, full: false, last: false })
}

#[test]
fn the_slowest_active_input_holds_the_watermark() {
    let (c, mut inputs) = setup(2);
    c[0].push(Message::Watermark(Watermark(10)));
    assert!(inputs.next().is_none());
    c[1].push(Message::Watermark(Watermark(4)));
    assert!(matches!(inputs.next(), Some(Event::Watermark(Watermark(4)))));
    c[1].push(Message::Idle);
    assert!(matches!(inputs.next(), Some(Event::Watermark(Watermark(10)))));
}

#[test]
fn all_idle_sends_the_furthest_watermark_and_then_idle_once() {
    let (c, mut inputs) = setup(2);
    c[0].push(mark(10));
    c[0].push(Message::Idle);
    assert!(inputs.next().is_none());
    c[1].push(Message::Idle);
    assert_eq!(heard(&mut inputs), ["10", "idle"]);
    c[1].push(Message::Idle);
    assert!(inputs.next().is_none());
}

#[test]
fn the_end_of_idleness_is_passed_on_even_when_the_watermark_stays() {
    let (c, mut inputs) = setup(2);
    for channel in &c {
        channel.push(mark(10));
        channel.push(Message::Idle);
    }
    assert_eq!(heard(&mut inputs), ["10", "idle"]);
    c[0].push(Message::Active);
    assert_eq!(heard(&mut inputs), ["active"]);
    c[0].push(Message::Idle);
    assert_eq!(heard(&mut inputs), ["idle"]);
}

/// A burst of files: the quick reader must not close windows that the slow one, which has not
/// yet heard of its file, is about to fill.
#[test]
fn a_reader_that_was_idle_holds_its_peers_until_it_has_heard_what_they_have() {
    let (c, mut inputs) = setup(2);
    for channel in &c {
        send(channel, [mark(10), Message::Idle, round(0, 1)]);
    }
    assert_eq!(heard(&mut inputs), ["10", "round 1 of 0", "idle"]);
    send(&c[0], [Message::Active, round(0, 2), mark(90)]);
    assert_eq!(heard(&mut inputs), ["active"]);
    send(&c[1], [Message::Active, round(0, 2), mark(40)]);
    assert_eq!(heard(&mut inputs), ["round 2 of 0", "40"]);
    c[1].push(Message::Idle);
    assert_eq!(heard(&mut inputs), ["90"]);
}

#[test]
fn a_reader_that_got_nothing_of_a_round_holds_nothing_once_it_has_heard_of_it() {
    let (c, mut inputs) = setup(2);
    c[1].push(Message::Idle);
    send(&c[0], [round(0, 2), mark(90)]);
    assert!(heard(&mut inputs).is_empty());
    c[1].push(round(0, 2));
    assert_eq!(heard(&mut inputs), ["round 2 of 0", "90"]);
}

/// Two watched folders, read side by side: to have heard as often is not to have heard the same.
#[test]
fn a_reader_of_two_sources_has_heard_what_its_peers_have_of_each() {
    let (c, mut inputs) = setup(2);
    for channel in &c {
        channel.push(mark(10));
        channel.push(Message::Idle);
    }
    assert_eq!(heard(&mut inputs), ["10", "idle"]);
    send(&c[0], [Message::Active, round(0, 1), mark(90)]);
    c[1].push(round(1, 1));
    assert_eq!(heard(&mut inputs), ["active"]);
    send(&c[1], [Message::Active, round(0, 1), mark(40)]);
    assert_eq!(heard(&mut inputs), ["round 1 of 0", "40"]);
}

/// Of what comes over two edges, each has its own rounds: none waits for the other's.
#[test]
fn a_round_is_passed_on_when_all_have_heard_of_it_that_the_source_feeds() {
    let channels: Vec<_> = (0..3).map(|_| Arc::new(Channel::new(1 << 20))).collect();
    let mut lanes = lanes(&channels, false);
    lanes[2].edge = 1;
    let mut inputs = Inputs::new(lanes, None);
    channels[0].push(round(0, 1));
    channels[2].push(round(1, 4));
    assert_eq!(heard(&mut inputs), ["round 4 of 1"]);
    channels[1].push(Message::End);
    assert_eq!(heard(&mut inputs), ["round 1 of 0"]);
}

/// Behind an exchange all subtasks hear the same, but one may be slower to work on it.
#[test]
fn a_subtask_that_is_idle_beside_an_active_peer_holds_it_until_both_are_active() {
    let channels: Vec<_> = (0..2).map(|_| Arc::new(Channel::new(1 << 20))).collect();
    let mut inputs = Inputs::new(lanes(&channels, true), None);
    for channel in &channels {
        channel.push(mark(10));
        channel.push(Message::Idle);
    }
    assert_eq!(heard(&mut inputs), ["10", "idle"]);
    channels[0].push(Message::Active);
    channels[0].push(mark(90));
    assert_eq!(heard(&mut inputs), ["active"]);
    channels[1].push(Message::Active);
    channels[1].push(mark(90));
    assert_eq!(heard(&mut inputs), ["90"]);
}

/// Which is why each subtask's own watermark is stored: the same messages in front of the same
/// barrier, in another order, and one subtask has passed a watermark that the other has not.
#[test]
fn where_inputs_are_idle_subtasks_may_differ_at_the_same_barrier() {
    let stands_at = |order: [usize; 2]| {
        let (c, mut inputs) = setup(2);
        for from in order {
            let said: &[Message] = match from {
                0 => &[mark(90)],
                _ => &[mark(10), Message::Idle, Message::Active],
            };
            for message in said {
                c[from].push(message.clone());
                heard(&mut inputs);
            }
        }
        for channel in &c {
            channel.push(barrier(1));
        }
        assert_eq!(heard(&mut inputs), ["barrier"]);
        inputs.watermark()
    };
    assert_eq!(stands_at([0, 1]), Watermark(90));
    assert_eq!(stands_at([1, 0]), Watermark(10));
}

#[test]
fn the_end_of_time_on_one_input_does_not_pass_another_that_is_idle_already() {
    let (c, mut inputs) = setup(2);
    c[1].push(mark(10));
    c[1].push(Message::Idle);
    assert!(heard(&mut inputs).is_empty());
    c[0].push(Message::Watermark(Watermark::MAX));
    c[0].push(Message::End);
    assert_eq!(heard(&mut inputs), ["10", "idle"]);
    assert_eq!(inputs.watermark(), Watermark(10));
}

/// An aligned barrier holds what came behind it. When all have come, the rows of the one wait as
/// those of the other do, and neither may close windows that the other fills.
#[test]
fn what_waits_on_an_idle_input_behind_a_barrier_is_not_passed_by_its_peers() {
    for edge in [0, 1] {
        let channels: Vec<_> = (0..2).map(|_| Arc::new(Channel::new(1 << 20))).collect();
        let mut lanes = lanes(&channels, false);
        lanes[1].edge = edge;
        let mut inputs = Inputs::new(lanes, None);
        for channel in &channels {
            channel.push(mark(10));
            channel.push(Message::Idle);
        }
        assert_eq!(heard(&mut inputs), ["10", "idle"]);
        for message in [barrier(1), Message::Active, mark(40)] {
            channels[1].push(message);
        }
        assert!(heard(&mut inputs).is_empty());
        for message in [barrier(1), Message::Active, mark(90)] {
            channels[0].push(message);
        }
        assert_eq!(heard(&mut inputs), ["barrier", "active", "40"]);
    }
}

#[test]
fn a_barrier_that_waits_on_an_idle_input_holds_its_peers_no_longer_than_it_waits() {
    let (c, mut inputs) = setup(2);
    c[0].push(mark(10));
    assert!(heard(&mut inputs).is_empty());
    c[1].push(Message::Idle);
    c[1].push(barrier(1));
    c[0].push(barrier(1));
    assert_eq!(heard(&mut inputs), ["barrier", "10"]);
    assert_eq!(inputs.watermark(), Watermark(10));
}

/// Subtasks store the watermark in front of a barrier, not the one that the barrier held back.
#[test]
fn a_watermark_that_a_waiting_barrier_held_back_comes_behind_it() {
    let (c, mut inputs) = setup(2);
    c[0].push(mark(10));
    c[0].push(barrier(1));
    c[1].push(Message::Idle);
    c[1].push(barrier(1));
    assert!(matches!(inputs.next(), Some(Event::Aligned(_))));
    assert_eq!(inputs.watermark(), Watermark::MIN);
    assert_eq!(heard(&mut inputs), ["10"]);
}

#[test]
fn the_end_of_time_does_not_pass_an_input_that_becomes_idle_before_the_end_has_come() {
    let (c, mut inputs) = setup(2);
    c[0].push(Message::Watermark(Watermark::MAX));
    assert!(heard(&mut inputs).is_empty());
    c[1].push(mark(10));
    c[1].push(Message::Idle);
    assert_eq!(heard(&mut inputs), ["10", "idle"]);
}

#[test]
fn an_input_that_ended_promises_nothing_for_one_that_is_idle() {
    let (c, mut inputs) = setup(2);
    c[0].push(Message::Watermark(Watermark::MAX));
    c[0].push(Message::End);
    c[1].push(mark(10));
    assert_eq!(heard(&mut inputs), ["10"]);
    c[1].push(Message::Idle);
    assert_eq!(heard(&mut inputs), ["idle"]);
    c[1].push(Message::Active);
    c[1].push(mark(20));
    assert_eq!(heard(&mut inputs), ["active", "20"]);
    c[1].push(Message::End);
    assert_eq!(heard(&mut inputs).last().map(String::as_str), Some("end"));
    assert_eq!(inputs.watermark(), Watermark::MAX);
}

#[test]
fn a_restored_watermark_holds_for_every_input_and_for_the_next_cut() {
    let channels: Vec<_> = (0..2).map(|_| Arc::new(Channel::new(1 << 20))).collect();
    let mut inputs = Inputs::new(lanes(&channels, false), Some(Watermark(50)));
    for channel in &channels {
        channel.push(mark(30));
        channel.push(barrier(1));
    }
    assert_eq!(heard(&mut inputs), ["barrier"]);
    assert_eq!(inputs.watermark(), Watermark(50));
    channels[0].push(mark(70));
    assert!(inputs.next().is_none(), "the other input still stands at 50");
    channels[1].push(mark(60));
    assert_eq!(heard(&mut inputs), ["60"]);
}

#[test]
fn an_input_that_delivered_its_barrier_is_not_read_until_all_have() {
    let (c, mut inputs) = setup(2);
    c[0].push(barrier(1));
    c[0].push(Message::Watermark(Watermark(7)));
    c[1].push(Message::Watermark(Watermark(3)));
    assert!(inputs.next().is_none());
    assert!(inputs.is_aligning());
    assert_eq!(inputs.watermark(), Watermark::MIN);
    c[1].push(barrier(1));
    assert!(matches!(inputs.next(), Some(Event::Aligned(b)) if b.attempt == Attempt(1)));
    assert!(matches!(inputs.next(), Some(Event::Watermark(Watermark(3)))));
}

#[test]
fn an_abandoned_attempt_releases_its_inputs_and_its_late_barriers_are_ignored() {
    let (c, mut inputs) = setup(2);
    c[0].push(barrier(1));
    assert!(inputs.next().is_none());
    inputs.abandon(Attempt(1));
    c[0].push(barrier(2));
    c[1].push(barrier(1));
    c[1].push(barrier(2));
    assert!(matches!(inputs.next(), Some(Event::Aligned(b)) if b.attempt == Attempt(2)));
}

#[test]
fn barriers_pass_ended_inputs() {
    let (c, mut inputs) = setup(2);
    c[0].push(Message::End);
    c[1].push(Message::End);
    assert_eq!(heard(&mut inputs), [Watermark::MAX.0.to_string(), "end".to_owned()]);
    c[0].push(barrier(3));
    c[1].push(barrier(3));
    assert!(matches!(inputs.next(), Some(Event::Aligned(_))));
}
