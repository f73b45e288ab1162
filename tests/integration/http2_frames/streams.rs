//! Streams: states, identifiers, how many at once, priorities (sections 5.1, 5.1.1, 5.1.2, 5.3).

use moongate_tests::frames::{FrameConnection, code, flag, hpack, kind, setting};
use moongate_tests::frames::{continuation, data, headers, priority, reset, window_update};

use crate::http2_frames::{Case, PATIENCE, Step, Want, case, get, get_on, join, post, post_on, run, steps};

const CLOSED: &[u32] = &[code::STREAM_CLOSED];
const CLOSED_OR_PROTOCOL: &[u32] = &[code::STREAM_CLOSED, code::PROTOCOL_ERROR];
const PROTOCOL: &[u32] = &[code::PROTOCOL_ERROR];

#[test]
fn section_5_1_idle_streams() {
    run(vec![
        case("5.1", "idle: DATA", data(1, flag::END_STREAM, b"x"), Want::Connection(CLOSED_OR_PROTOCOL)),
        case("5.1", "idle: RST_STREAM", reset(1, code::CANCEL), Want::Connection(PROTOCOL)),
        case("5.1", "idle: WINDOW_UPDATE", window_update(1, 100), Want::Connection(PROTOCOL)),
        case("5.1", "idle: CONTINUATION", continuation(1, flag::END_HEADERS, &get()), Want::Connection(PROTOCOL)),
        case("5.1", "idle: PRIORITY", join(&[priority(1, 0, 16), get_on(1)]), Want::Answer(1, 200)),
        case("5.1", "idle: DATA far ahead", data(1_001, flag::END_STREAM, b"x"), Want::Connection(CLOSED_OR_PROTOCOL)),
        case("5.1", "idle: RST_STREAM of a server's stream", reset(2, code::CANCEL), Want::Connection(PROTOCOL)),
        case("5.1", "idle: WINDOW_UPDATE of a server's stream", window_update(2, 1), Want::Connection(PROTOCOL)),
    ]);
}

#[test]
fn section_5_1_half_closed_and_closed_streams() {
    let ended = |bytes: Vec<u8>| vec![Step::Send(get_on(1)), Step::Answered(1), Step::Send(bytes)];
    run(vec![
        case(
            "5.1",
            "half-closed (remote): DATA",
            join(&[get_on(1), data(1, flag::END_STREAM, b"x")]),
            Want::Stream(1, CLOSED),
        ),
        case("5.1", "half-closed (remote): HEADERS", join(&[get_on(1), get_on(1)]), Want::Stream(1, CLOSED)),
        case(
            "5.1",
            "half-closed (remote): CONTINUATION",
            join(&[get_on(1), continuation(1, flag::END_HEADERS, &get())]),
            Want::Connection(CLOSED_OR_PROTOCOL),
        ),
        case(
            "5.1",
            "half-closed (remote): WINDOW_UPDATE",
            join(&[get_on(1), window_update(1, 1)]),
            Want::Answer(1, 200),
        ),
        case("5.1", "half-closed (remote): PRIORITY", join(&[get_on(1), priority(1, 0, 255)]), Want::Answer(1, 200)),
        case(
            "5.1",
            "half-closed (remote): RST_STREAM",
            join(&[get_on(1), reset(1, code::CANCEL), get_on(3)]),
            Want::Answer(3, 200),
        ),
        case(
            "5.1",
            "half-closed (remote) after DATA: DATA",
            join(&[post_on(1), data(1, flag::END_STREAM, b"x"), data(1, 0, b"y")]),
            Want::Stream(1, CLOSED),
        ),
        case(
            "5.1",
            "half-closed (remote) after trailers: DATA",
            join(&[post_on(1), headers(1, flag::END, &hpack::block(&[("x", "y")])), data(1, 0, b"y")]),
            Want::Stream(1, CLOSED),
        ),
        case(
            "5.1",
            "closed by RST_STREAM: DATA",
            join(&[post_on(1), reset(1, code::CANCEL), data(1, flag::END_STREAM, b"x")]),
            Want::Stream(1, CLOSED),
        ),
        case(
            "5.1",
            "closed by RST_STREAM: HEADERS",
            join(&[post_on(1), reset(1, code::CANCEL), get_on(1)]),
            Want::Stream(1, CLOSED_OR_PROTOCOL),
        ),
        case(
            "5.1",
            "closed by RST_STREAM: CONTINUATION",
            join(&[post_on(1), reset(1, code::CANCEL), continuation(1, flag::END_HEADERS, b"")]),
            Want::Connection(CLOSED_OR_PROTOCOL),
        ),
        case(
            "5.1",
            "closed by RST_STREAM: PRIORITY",
            join(&[post_on(1), reset(1, code::CANCEL), priority(1, 0, 1), get_on(3)]),
            Want::Answer(3, 200),
        ),
        steps("5.1", "closed: DATA", ended(data(1, flag::END_STREAM, b"x")), Want::Stream(1, CLOSED)),
        steps("5.1", "closed: HEADERS", ended(get_on(1)), Want::Connection(CLOSED_OR_PROTOCOL)),
        steps(
            "5.1",
            "closed: CONTINUATION",
            ended(continuation(1, flag::END_HEADERS, b"")),
            Want::Connection(CLOSED_OR_PROTOCOL),
        ),
        steps("5.1", "closed: WINDOW_UPDATE", ended(join(&[window_update(1, 1), get_on(3)])), Want::Answer(3, 200)),
        steps("5.1", "closed: RST_STREAM", ended(join(&[reset(1, code::CANCEL), get_on(3)])), Want::Answer(3, 200)),
        steps("5.1", "closed: PRIORITY", ended(join(&[priority(1, 0, 1), get_on(3)])), Want::Answer(3, 200)),
    ]);
}

#[test]
fn section_5_1_1_identifiers() {
    run(vec![
        case("5.1.1", "an even number", get_on(2), Want::Connection(PROTOCOL)),
        case("5.1.1", "a smaller number", join(&[get_on(5), get_on(3)]), Want::Connection(CLOSED_OR_PROTOCOL)),
        case("5.1.1", "numbers may be left out", join(&[get_on(1), get_on(101)]), Want::Answer(101, 200)),
        case(
            "5.1.1",
            "a number that was left out is closed",
            join(&[get_on(7), data(5, 0, b"x")]),
            Want::Stream(5, CLOSED),
        ),
        case("5.1.1", "the largest number", get_on(0x7fff_ffff), Want::Answer(0x7fff_ffff, 200)),
        case("5.1.1", "HEADERS on stream 0", get_on(0), Want::Connection(PROTOCOL)),
    ]);
}

#[test]
fn section_5_1_2_streams_at_once() {
    let too_many: Vec<u8> = (0..129).flat_map(|number| post_on(2 * number + 1)).collect();
    let again: Vec<u8> = (0..100).flat_map(|number| post_on(2 * number + 1)).collect();
    let ended: Vec<u8> = (0..100).flat_map(|number| data(2 * number + 1, flag::END_STREAM, b"x")).collect();
    run(vec![
        case(
            "5.1.2",
            "one more than allowed",
            too_many,
            Want::Check(|connection: &mut FrameConnection| {
                let stated =
                    connection.frames().iter().filter(|frame| frame.kind == kind::SETTINGS && !frame.has(flag::ACK));
                let limit = stated.flat_map(|frame| frame.payload.chunks(6)).find_map(|entry| {
                    let is_it = entry[..2] == setting::MAX_CONCURRENT_STREAMS.to_be_bytes();
                    is_it.then(|| u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]))
                });
                if limit != Some(128) {
                    return Err(format!("the limit is stated as {limit:?}"));
                }
                match connection.hear_until(PATIENCE, |frame| {
                    frame.kind == kind::RST_STREAM
                        && frame.stream == 257
                        && [code::REFUSED_STREAM, code::PROTOCOL_ERROR].contains(&frame.number_at(0))
                }) {
                    true => Ok(()),
                    false => Err("stream 257 was not refused".to_owned()),
                }
            }),
        ),
        steps(
            "5.1.2",
            "ended streams make room",
            vec![Step::Send(join(&[again, ended])), Step::Answered(199), Step::Send(get_on(201))],
            Want::Answer(201, 200),
        ),
    ]);
}

#[test]
fn section_5_3_priorities_are_read_over() {
    let with_priority = |flags: u8, depends_on: u32, weight: u8, block: &[u8]| {
        let payload = [&depends_on.to_be_bytes()[..], &[weight], block].concat();
        headers(1, flags | flag::PRIORITY, &payload)
    };
    run(vec![
        case("5.3", "HEADERS with a priority", with_priority(flag::END, 0, 255, &get()), Want::Answer(1, 200)),
        case("5.3", "an exclusive dependency", with_priority(flag::END, 1 << 31 | 3, 0, &get()), Want::Answer(1, 200)),
        case(
            "5.3.1",
            "HEADERS that depend on themselves",
            with_priority(flag::END, 1, 255, &get()),
            Want::AnswerOr(1, PROTOCOL),
        ),
        case(
            "5.3.1",
            "PRIORITY that depends on itself",
            join(&[priority(3, 3, 255), get_on(5)]),
            Want::AnswerOr(5, PROTOCOL),
        ),
        case(
            "5.3.1",
            "an open stream's PRIORITY that depends on itself",
            join(&[post_on(1), priority(1, 1, 255), data(1, flag::END_STREAM, b"x")]),
            Want::AnswerOr(1, PROTOCOL),
        ),
        case("5.3.2", "PRIORITY of weight 1", join(&[priority(1, 0, 0), get_on(1)]), Want::Answer(1, 200)),
        case("5.3.2", "PRIORITY of weight 256", join(&[priority(1, 0, 255), get_on(1)]), Want::Answer(1, 200)),
        case("5.3", "PRIORITY on an idle stream", join(&[priority(99, 0, 16), get_on(1)]), Want::Answer(1, 200)),
        case(
            "5.3",
            "PRIORITY that depends on an idle stream",
            join(&[priority(1, 77, 16), get_on(1)]),
            Want::Answer(1, 200),
        ),
        case("5.3", "an exclusive PRIORITY", join(&[priority(1, 1 << 31 | 3, 16), get_on(1)]), Want::Answer(1, 200)),
        case(
            "5.3",
            "a cycle of dependencies",
            join(&[priority(1, 3, 1), priority(3, 5, 1), priority(5, 1, 1), get_on(7)]),
            Want::Answer(7, 200),
        ),
        case(
            "5.3",
            "a priority before a body",
            join(&[with_priority(flag::END_HEADERS, 0, 16, &post()), data(1, flag::END_STREAM, b"x")]),
            Want::Answer(1, 200),
        ),
    ] as Vec<Case>);
}
