//! Each kind of frame, as it should be and as it should not (sections 6.1 to 6.5, 6.7, 6.8, 6.10).

use moongate_tests::frames::{Frame, FrameConnection, code, flag, hpack, kind, setting};
use moongate_tests::frames::{continuation, data, headers, ping, priority, reset, settings, settings_ack};

use crate::http2_frames::{PATIENCE, Step, Want, case, get, get_on, join, post, post_on, run, steps};

const PROTOCOL: &[u32] = &[code::PROTOCOL_ERROR];
const SIZE: &[u32] = &[code::FRAME_SIZE_ERROR];
const CLOSED_OR_PROTOCOL: &[u32] = &[code::STREAM_CLOSED, code::PROTOCOL_ERROR];

/// A payload with padding; how much is claimed may be a lie.
fn padded(claimed: u8, payload: &[u8], padding: usize) -> Vec<u8> {
    [&[claimed][..], payload, &vec![0; padding]].concat()
}

fn echoes(connection: &mut FrameConnection, body_bytes: usize) -> Result<(), String> {
    match connection.response(1, PATIENCE).map(|response| response.text()) {
        Some(text) if text == body_bytes.to_string() => Ok(()),
        other => Err(format!("the upstream was to get {body_bytes} bytes, and got {other:?}")),
    }
}

#[test]
fn section_6_1_data() {
    let end = flag::END_STREAM;
    let length = || headers(1, flag::END_HEADERS, &hpack::request("POST", "/f/length", "h"));
    run(vec![
        case("6.1", "one frame", join(&[post_on(1), data(1, end, b"x")]), Want::Answer(1, 200)),
        case(
            "6.1",
            "several frames",
            join(&[length(), data(1, 0, b"abc"), data(1, 0, b"de"), data(1, end, b"f")]),
            Want::Check(|connection| echoes(connection, 6)),
        ),
        case(
            "6.1",
            "padding is no part of it",
            join(&[length(), data(1, end | flag::PADDED, &padded(7, b"hello", 7))]),
            Want::Check(|connection| echoes(connection, 5)),
        ),
        case(
            "6.1",
            "nothing but padding",
            join(&[length(), data(1, flag::PADDED, &padded(255, b"", 255)), data(1, end, b"")]),
            Want::Check(|connection| echoes(connection, 0)),
        ),
        case(
            "6.1",
            "padding of no bytes",
            join(&[length(), data(1, end | flag::PADDED, &padded(0, b"hello", 0))]),
            Want::Check(|connection| echoes(connection, 5)),
        ),
        case(
            "6.1",
            "empty frames",
            join(&[length(), data(1, 0, b""), data(1, 0, b""), data(1, 0, b"x"), data(1, end, b"")]),
            Want::Check(|connection| echoes(connection, 1)),
        ),
        case("6.1", "on stream 0", data(0, end, b"x"), Want::Connection(PROTOCOL)),
        case(
            "6.1",
            "on a stream that is not open",
            join(&[get_on(1), data(1, end, b"x")]),
            Want::Stream(1, &[code::STREAM_CLOSED]),
        ),
        case(
            "6.1",
            "padding longer than the frame",
            join(&[post_on(1), data(1, end | flag::PADDED, &padded(6, b"hello", 0))]),
            Want::Connection(PROTOCOL),
        ),
        case(
            "6.1",
            "padding as long as the frame",
            join(&[post_on(1), data(1, end | flag::PADDED, &padded(200, b"", 100))]),
            Want::Connection(PROTOCOL),
        ),
        case(
            "6.1",
            "padded and empty",
            join(&[post_on(1), data(1, end | flag::PADDED, b"")]),
            Want::Connection(&[code::PROTOCOL_ERROR, code::FRAME_SIZE_ERROR]),
        ),
    ]);
}

#[test]
fn section_6_2_headers() {
    let with = |flags: u8, payload: &[u8]| headers(1, flag::END | flags, payload);
    run(vec![
        case("6.2", "one frame", get_on(1), Want::Answer(1, 200)),
        case("6.2", "padded", with(flag::PADDED, &padded(9, &get(), 9)), Want::Answer(1, 200)),
        case(
            "6.2",
            "padded, with a priority",
            with(flag::PADDED | flag::PRIORITY, &padded(9, &[&[0, 0, 0, 0, 16][..], &get()].concat(), 9)),
            Want::Answer(1, 200),
        ),
        case("6.2", "on stream 0", headers(0, flag::END, &get()), Want::Connection(PROTOCOL)),
        case(
            "6.2",
            "padding longer than the frame",
            with(flag::PADDED, &padded(255, &get(), 0)),
            Want::Connection(PROTOCOL),
        ),
        case(
            "6.2",
            "padding that leaves no room for the priority",
            with(flag::PADDED | flag::PRIORITY, &padded(4, &[0; 5], 0)),
            Want::Connection(&[code::PROTOCOL_ERROR, code::FRAME_SIZE_ERROR]),
        ),
        case(
            "6.2",
            "a priority that is cut off",
            with(flag::PRIORITY, &[0, 0, 0]),
            Want::Connection(&[code::PROTOCOL_ERROR, code::FRAME_SIZE_ERROR, code::COMPRESSION_ERROR]),
        ),
        case(
            "6.2",
            "a block without end, then PRIORITY",
            join(&[headers(1, flag::END_STREAM, &get()), priority(1, 0, 1)]),
            Want::Connection(PROTOCOL),
        ),
        case(
            "6.2",
            "a block without end, then HEADERS of another stream",
            join(&[headers(1, flag::END_STREAM, &get()), get_on(3)]),
            Want::Connection(PROTOCOL),
        ),
    ]);
}

#[test]
fn section_6_3_and_6_4_priority_and_rst_stream() {
    run(vec![
        case("6.3", "PRIORITY on stream 0", priority(0, 0, 1), Want::Connection(PROTOCOL)),
        case(
            "6.3",
            "PRIORITY of 4 bytes",
            join(&[post_on(1), Frame::new(kind::PRIORITY, 0, 1, [0; 4]).bytes()]),
            Want::Stream(1, SIZE),
        ),
        case(
            "6.3",
            "PRIORITY of 6 bytes",
            join(&[post_on(1), Frame::new(kind::PRIORITY, 0, 1, [0; 6]).bytes()]),
            Want::Stream(1, SIZE),
        ),
        case(
            "6.4",
            "RST_STREAM ends a stream",
            join(&[post_on(1), reset(1, code::CANCEL), get_on(3)]),
            Want::Answer(3, 200),
        ),
        case("6.4", "RST_STREAM on stream 0", reset(0, code::CANCEL), Want::Connection(PROTOCOL)),
        case("6.4", "RST_STREAM on an idle stream", reset(1, code::CANCEL), Want::Connection(PROTOCOL)),
        case(
            "6.4",
            "RST_STREAM of 3 bytes",
            join(&[post_on(1), Frame::new(kind::RST_STREAM, 0, 1, [0; 3]).bytes()]),
            Want::Connection(SIZE),
        ),
        case(
            "6.4",
            "RST_STREAM of 5 bytes",
            join(&[post_on(1), Frame::new(kind::RST_STREAM, 0, 1, [0; 5]).bytes()]),
            Want::Connection(SIZE),
        ),
    ]);
}

#[test]
fn section_6_5_settings() {
    let acknowledged = |connection: &mut FrameConnection| match connection
        .hear_until(PATIENCE, |frame| frame.kind == kind::SETTINGS && frame.has(flag::ACK))
    {
        true => Ok(()),
        false => Err("no acknowledgement".to_owned()),
    };
    let set = |name: u16, value: u32| settings(&[(name, value)]);
    run(vec![
        case("6.5", "an empty frame", settings(&[]), Want::Check(acknowledged)),
        case(
            "6.5",
            "all of them",
            settings(&[(1, 4096), (2, 0), (3, 100), (4, 65_535), (5, 16_384), (6, 65_536)]),
            Want::Check(acknowledged),
        ),
        case(
            "6.5",
            "an acknowledgement with a payload",
            Frame::new(kind::SETTINGS, flag::ACK, 0, [0; 6]).bytes(),
            Want::Connection(SIZE),
        ),
        case(
            "6.5",
            "on a stream",
            Frame::new(kind::SETTINGS, 0, 1, [0, 3, 0, 0, 0, 100]).bytes(),
            Want::Connection(PROTOCOL),
        ),
        case("6.5", "of 3 bytes", Frame::new(kind::SETTINGS, 0, 0, [0, 3, 0]).bytes(), Want::Connection(SIZE)),
        case("6.5", "of 7 bytes", Frame::new(kind::SETTINGS, 0, 0, [0; 7]).bytes(), Want::Connection(SIZE)),
        case(
            "6.5",
            "an acknowledgement too many",
            join(&[settings_ack(), get_on(1)]),
            Want::Check(|connection| {
                // Nothing is said about it in the RFC but that acknowledgements answer something.
                let _ = connection.is_alive(PATIENCE);
                Ok(())
            }),
        ),
        case("6.5.2", "ENABLE_PUSH of 2", set(setting::ENABLE_PUSH, 2), Want::Connection(PROTOCOL)),
        case(
            "6.5.2",
            "INITIAL_WINDOW_SIZE of 2^31",
            set(setting::INITIAL_WINDOW_SIZE, 1 << 31),
            Want::Connection(&[code::FLOW_CONTROL_ERROR]),
        ),
        case(
            "6.5.2",
            "INITIAL_WINDOW_SIZE of 2^32 - 1",
            set(setting::INITIAL_WINDOW_SIZE, u32::MAX),
            Want::Connection(&[code::FLOW_CONTROL_ERROR]),
        ),
        case("6.5.2", "MAX_FRAME_SIZE of 2^14 - 1", set(setting::MAX_FRAME_SIZE, 16_383), Want::Connection(PROTOCOL)),
        case("6.5.2", "MAX_FRAME_SIZE of 2^24", set(setting::MAX_FRAME_SIZE, 1 << 24), Want::Connection(PROTOCOL)),
        case(
            "6.5.2",
            "MAX_FRAME_SIZE of 2^24 - 1",
            join(&[set(setting::MAX_FRAME_SIZE, (1 << 24) - 1), get_on(1)]),
            Want::Answer(1, 200),
        ),
        case("6.5.2", "an unknown one", join(&[set(0xff, 1), get_on(1)]), Want::Answer(1, 200)),
        case(
            "6.5.2",
            "HEADER_TABLE_SIZE of 0",
            join(&[set(setting::HEADER_TABLE_SIZE, 0), get_on(1), get_on(3)]),
            Want::Answer(3, 200),
        ),
        case(
            "6.5.2",
            "MAX_CONCURRENT_STREAMS of 0 concerns pushes",
            join(&[set(setting::MAX_CONCURRENT_STREAMS, 0), get_on(1)]),
            Want::Answer(1, 200),
        ),
        case(
            "6.5.2",
            "MAX_HEADER_LIST_SIZE is advice",
            join(&[set(setting::MAX_HEADER_LIST_SIZE, 1 << 16), get_on(1)]),
            Want::Answer(1, 200),
        ),
        case(
            "6.5.3",
            "the last of several values counts",
            join(&[settings(&[(setting::INITIAL_WINDOW_SIZE, 100), (setting::INITIAL_WINDOW_SIZE, 1)]), get_on(1)]),
            Want::Check(|connection| {
                let is_heard = connection.hear_until(PATIENCE, |frame| frame.kind == kind::DATA);
                match connection.frames().last().map(|frame| frame.payload.len()) {
                    Some(1) if is_heard => Ok(()),
                    other => Err(format!("the first DATA has {other:?} bytes")),
                }
            }),
        ),
        case(
            "6.5.3",
            "each is acknowledged",
            join(&[settings(&[]), settings(&[]), settings(&[])]),
            Want::Check(|connection| {
                let acknowledged = (0..3).filter(|_| {
                    connection.hear_until(PATIENCE, |frame| frame.kind == kind::SETTINGS && frame.has(flag::ACK))
                });
                if acknowledged.count() == 3 { Ok(()) } else { Err("not three acknowledgements".to_owned()) }
            }),
        ),
    ]);
}

#[test]
fn section_6_7_and_6_8_ping_and_goaway() {
    let pong = |connection: &mut FrameConnection| match connection
        .hear_until(PATIENCE, |frame| frame.kind == kind::PING && frame.has(flag::ACK) && frame.payload == *b"12345678")
    {
        true => Ok(()),
        false => Err("no answer".to_owned()),
    };
    let goaway = |code: u32, more: &[u8]| {
        Frame::new(kind::GOAWAY, 0, 0, [&[0; 4][..], &code.to_be_bytes(), more].concat()).bytes()
    };
    run(vec![
        case("6.7", "PING is answered with its data", ping(*b"12345678"), Want::Check(pong)),
        case(
            "6.7",
            "an answer that nobody asked for is ignored",
            join(&[Frame::new(kind::PING, flag::ACK, 0, [9; 8]).bytes(), ping(*b"12345678")]),
            Want::Check(pong),
        ),
        case("6.7", "PING on a stream", Frame::new(kind::PING, 0, 1, [0; 8]).bytes(), Want::Connection(PROTOCOL)),
        case("6.7", "PING of 6 bytes", Frame::new(kind::PING, 0, 0, [0; 6]).bytes(), Want::Connection(SIZE)),
        case("6.7", "PING of 9 bytes", Frame::new(kind::PING, 0, 0, [0; 9]).bytes(), Want::Connection(SIZE)),
        case("6.7", "PING while a stream is open", join(&[post_on(1), ping(*b"12345678")]), Want::Check(pong)),
        case("6.8", "GOAWAY on a stream", Frame::new(kind::GOAWAY, 0, 1, [0; 8]).bytes(), Want::Connection(PROTOCOL)),
        case("6.8", "GOAWAY of 7 bytes", Frame::new(kind::GOAWAY, 0, 0, [0; 7]).bytes(), Want::Connection(SIZE)),
        case(
            "6.8",
            "requests before GOAWAY are answered",
            join(&[get_on(1), goaway(code::NO_ERROR, b"bye")]),
            Want::Answer(1, 200),
        ),
    ]);
}

#[test]
fn section_6_10_continuation() {
    let block = [get(), hpack::block(&[("x-a", "1"), ("x-b", "2")])].concat();
    let (first, rest) = block.split_at(10);
    let (second, third) = rest.split_at(10);
    let open = headers(1, flag::END_STREAM, first);
    let many: Vec<u8> = rest.iter().flat_map(|byte| continuation(1, 0, &[*byte])).collect();
    run(vec![
        case(
            "6.10",
            "one frame",
            join(&[open.clone(), continuation(1, flag::END_HEADERS, rest)]),
            Want::Answer(1, 200),
        ),
        case(
            "6.10",
            "several frames",
            join(&[open.clone(), continuation(1, 0, second), continuation(1, flag::END_HEADERS, third)]),
            Want::Answer(1, 200),
        ),
        case(
            "6.10",
            "empty frames",
            join(&[open.clone(), continuation(1, 0, b""), continuation(1, flag::END_HEADERS, rest)]),
            Want::Answer(1, 200),
        ),
        case(
            "6.10",
            "a frame per byte is an attack",
            join(&[open.clone(), many, continuation(1, flag::END_HEADERS, b"")]),
            Want::AnswerOr(1, &[code::ENHANCE_YOUR_CALM, code::PROTOCOL_ERROR]),
        ),
        case(
            "6.10",
            "DATA in between",
            join(&[open.clone(), data(1, flag::END_STREAM, b"x")]),
            Want::Connection(PROTOCOL),
        ),
        case(
            "6.10",
            "HEADERS in between",
            join(&[open.clone(), headers(1, flag::END, rest)]),
            Want::Connection(PROTOCOL),
        ),
        case(
            "6.10",
            "on stream 0",
            join(&[open.clone(), continuation(0, flag::END_HEADERS, rest)]),
            Want::Connection(PROTOCOL),
        ),
        case(
            "6.10",
            "on another stream",
            join(&[open.clone(), continuation(3, flag::END_HEADERS, rest)]),
            Want::Connection(PROTOCOL),
        ),
        case(
            "6.10",
            "behind a block that has ended",
            join(&[get_on(1), continuation(1, flag::END_HEADERS, b"")]),
            Want::Connection(CLOSED_OR_PROTOCOL),
        ),
        case(
            "6.10",
            "behind CONTINUATION that ended the block",
            join(&[open.clone(), continuation(1, flag::END_HEADERS, rest), continuation(1, flag::END_HEADERS, b"")]),
            Want::Connection(CLOSED_OR_PROTOCOL),
        ),
        case(
            "6.10",
            "behind DATA",
            join(&[post_on(1), data(1, 0, b"x"), continuation(1, flag::END_HEADERS, b"")]),
            Want::Connection(CLOSED_OR_PROTOCOL),
        ),
        case(
            "6.10",
            "as the first frame of a stream",
            continuation(1, flag::END_HEADERS, &get()),
            Want::Connection(PROTOCOL),
        ),
        steps(
            "6.10",
            "for trailers",
            vec![Step::Send(join(&[
                headers(1, flag::END_HEADERS, &post()),
                data(1, 0, b"x"),
                headers(1, flag::END_STREAM, b""),
                continuation(1, flag::END_HEADERS, &hpack::block(&[("x", "y")])),
            ]))],
            Want::Answer(1, 200),
        ),
    ]);
}
