//! Flow control (sections 5.2, 6.9).

use std::time::Instant;

use moongate_tests::frames::{Frame, FrameConnection, Heard, code, flag, hpack, kind, setting};
use moongate_tests::frames::{data, headers, settings, window_update};

use crate::http2_frames::{LARGE_BYTES, PATIENCE, Step, Want, case, get_on, join, post_on, run, steps};

const FLOW: &[u32] = &[code::FLOW_CONTROL_ERROR];
const PROTOCOL: &[u32] = &[code::PROTOCOL_ERROR];

fn large_on(stream: u32) -> Vec<u8> {
    headers(stream, flag::END, &hpack::request("GET", "/f/large", "h"))
}

/// Bytes of DATA on a stream so far; hears until there is nothing more to be heard behind a PING.
fn received(connection: &mut FrameConnection, stream: u32) -> usize {
    // The first PING comes back when the frames before it were looked at, the second when what they set off was sent.
    for _ in 0..2 {
        assert!(connection.is_alive(PATIENCE), "the connection ended");
    }
    connection
        .frames()
        .iter()
        .filter(|frame| frame.kind == kind::DATA && frame.stream == stream)
        .map(|frame| frame.payload.len())
        .sum()
}

/// Hears until a stream has so many bytes, and checks that it gets no more.
fn exactly(connection: &mut FrameConnection, stream: u32, bytes: usize) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    let sum = |connection: &FrameConnection| -> usize {
        connection
            .frames()
            .iter()
            .filter(|frame| frame.kind == kind::DATA && frame.stream == stream)
            .map(|frame| frame.payload.len())
            .sum()
    };
    while sum(connection) < bytes {
        if !matches!(connection.hear(until), Heard::Frame(_)) {
            return Err(format!("{} of {bytes} bytes came", sum(connection)));
        }
    }
    match received(connection, stream) {
        got if got == bytes => Ok(()),
        got => Err(format!("{got} bytes came where the window is {bytes}")),
    }
}

#[test]
fn section_6_9_window_update() {
    run(vec![
        case("6.9", "of the connection", join(&[window_update(0, 1), get_on(1)]), Want::Answer(1, 200)),
        case(
            "6.9",
            "of a stream",
            join(&[post_on(1), window_update(1, 1), data(1, flag::END_STREAM, b"x")]),
            Want::Answer(1, 200),
        ),
        case("6.9", "of 0 on the connection", window_update(0, 0), Want::Connection(PROTOCOL)),
        case("6.9", "of 0 on a stream", join(&[post_on(1), window_update(1, 0)]), Want::Stream(1, PROTOCOL)),
        case(
            "6.9",
            "of 3 bytes",
            Frame::new(kind::WINDOW_UPDATE, 0, 0, [0, 0, 1]).bytes(),
            Want::Connection(&[code::FRAME_SIZE_ERROR]),
        ),
        case(
            "6.9",
            "of 5 bytes",
            Frame::new(kind::WINDOW_UPDATE, 0, 0, [0, 0, 0, 0, 1]).bytes(),
            Want::Connection(&[code::FRAME_SIZE_ERROR]),
        ),
        case(
            "6.9",
            "the reserved bit is ignored",
            join(&[window_update(0, 1 | 1 << 31), get_on(1)]),
            Want::Answer(1, 200),
        ),
    ]);
}

#[test]
fn section_6_9_1_windows_are_kept() {
    let largest = (1 << 31) - 1;
    run(vec![
        case("6.9.1", "a window of one byte", get_on(1), Want::Check(|connection| exactly(connection, 1, 1)))
            .settings(&[(setting::INITIAL_WINDOW_SIZE, 1)]),
        case("6.9.1", "a window of no byte", get_on(1), Want::Check(|connection| exactly(connection, 1, 0)))
            .settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]),
        case(
            "6.9.1",
            "the initial window of a stream",
            large_on(1),
            Want::Check(|connection| exactly(connection, 1, 65_535)),
        ),
        case(
            "6.9.1",
            "the initial window of the connection",
            large_on(1),
            Want::Check(|connection| exactly(connection, 1, 65_535)),
        )
        .settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 20)]),
        case(
            "6.9.1",
            "a window that is opened bit by bit",
            large_on(1),
            Want::Check(|connection| {
                exactly(connection, 1, 10)?;
                let _ = connection.send(window_update(1, 5));
                exactly(connection, 1, 15)?;
                let _ = connection.send(window_update(1, 1_000));
                exactly(connection, 1, 1_015)?;
                let _ = connection.send(join(&[window_update(1, 1 << 20), window_update(0, 1 << 20)]));
                exactly(connection, 1, LARGE_BYTES)
            }),
        )
        .settings(&[(setting::INITIAL_WINDOW_SIZE, 10)]),
        case(
            "6.9.1",
            "a full window of one stream does not hold the others",
            join(&[large_on(1), get_on(3)]),
            Want::Answer(3, 200),
        )
        .settings(&[(setting::INITIAL_WINDOW_SIZE, 10)]),
        case(
            "6.9.1",
            "the connection's window beyond 2^31 - 1",
            join(&[window_update(0, largest), window_update(0, largest)]),
            Want::Connection(FLOW),
        ),
        case(
            "6.9.1",
            "a stream's window beyond 2^31 - 1",
            join(&[post_on(1), window_update(1, largest), window_update(1, largest)]),
            Want::Stream(1, FLOW),
        ),
    ]);
}

#[test]
fn section_6_9_2_initial_windows_change() {
    run(vec![
        steps(
            "6.9.2",
            "of a stream that is open",
            vec![Step::Send(large_on(1)), Step::Sync, Step::Send(settings(&[(setting::INITIAL_WINDOW_SIZE, 1)]))],
            Want::Check(|connection| exactly(connection, 1, 1)),
        )
        .settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]),
        steps(
            "6.9.2",
            "to less than was sent",
            vec![Step::Send(large_on(1))],
            Want::Check(|connection| {
                exactly(connection, 1, 100)?;
                // 100 bytes were sent in a window of 50: 50 of the next 60 make good for that.
                let _ = connection.send(join(&[settings(&[(setting::INITIAL_WINDOW_SIZE, 50)]), window_update(1, 60)]));
                exactly(connection, 1, 110)
            }),
        )
        .settings(&[(setting::INITIAL_WINDOW_SIZE, 100)]),
        steps(
            "6.9.2",
            "to a negative window",
            vec![Step::Send(large_on(1))],
            Want::Check(|connection| {
                exactly(connection, 1, 3)?;
                let _ = connection.send(join(&[settings(&[(setting::INITIAL_WINDOW_SIZE, 2)]), window_update(1, 2)]));
                exactly(connection, 1, 4)
            }),
        )
        .settings(&[(setting::INITIAL_WINDOW_SIZE, 3)]),
        case(
            "6.9.2",
            "to more than 2^31 - 1",
            settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 31)]),
            Want::Connection(FLOW),
        ),
        case(
            "6.9.2",
            "so that a stream's window overflows",
            join(&[
                post_on(1),
                window_update(1, (1 << 31) - 1 - 65_535),
                settings(&[(setting::INITIAL_WINDOW_SIZE, 65_536)]),
            ]),
            Want::Stream(1, FLOW),
        ),
    ]);
}

#[test]
fn section_5_2_our_window_is_kept_by_the_client() {
    // More than any window the gateway has opened, with nobody reading: refused, or stopped by the window it announced.
    let flood: Vec<u8> = (0..300).flat_map(|_| data(1, 0, &[b'x'; 16_384])).collect();
    run(vec![case(
        "5.2",
        "DATA beyond the window",
        join(&[
            headers(1, flag::END_HEADERS, &hpack::request("POST", "/f/length", "h")),
            flood,
            data(1, flag::END_STREAM, b""),
        ]),
        Want::Check(|connection| {
            // Either the gateway was quick enough to open windows for all of it, or it says what was wrong.
            let is_over = connection
                .hear_until(PATIENCE, |frame| matches!(frame.kind, kind::GOAWAY | kind::RST_STREAM | kind::HEADERS));
            match connection.frames().iter().find(|frame| matches!(frame.kind, kind::GOAWAY | kind::RST_STREAM)) {
                Some(frame) if frame.kind == kind::GOAWAY && frame.number_at(4) == code::FLOW_CONTROL_ERROR => Ok(()),
                Some(frame) if frame.kind == kind::RST_STREAM && frame.number_at(0) == code::FLOW_CONTROL_ERROR => {
                    Ok(())
                }
                None if is_over || connection.is_closed() => Ok(()),
                other => Err(format!("{other:?}")),
            }
        }),
    )]);
}
