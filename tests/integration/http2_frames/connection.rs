//! Starting, frames as such, and errors (sections 3.4, 4.1, 4.2, 4.3, 5.4, 5.5, 7).

use moongate_tests::frames::{Frame, FrameConnection, PREFACE, code, flag, head, kind};
use moongate_tests::frames::{continuation, data, headers, ping, priority, reset, settings};

use crate::http2_frames::{Case, PATIENCE, Stage, Step, Want, case, get, get_on, join, post_on, run, steps};

#[test]
fn section_3_4_prefaces() {
    let stage = Stage::new();
    // The whole preface, cut at every byte: answered all the same.
    for cut in [1, 4, 10, 18, PREFACE.len() - 1] {
        let mut connection = FrameConnection::silent(stage.gateway.address());
        connection.send(&PREFACE[..cut]).expect("sent");
        connection.send([&PREFACE[cut..], &settings(&[]), &get_on(1)].concat()).expect("sent");
        let first = connection.hear_until(PATIENCE, |frame| frame.kind == kind::SETTINGS && !frame.has(flag::ACK));
        assert!(first && connection.frames()[0].kind == kind::SETTINGS, "cut at {cut}: SETTINGS come first");
        assert_eq!(connection.response(1, PATIENCE).map(|response| response.status), Some(200), "cut at {cut}");
    }
    // Not the preface: HTTP/1, and no good one, or the end.
    let wrong: [&[u8]; 5] = [
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n",
        b"PRJ * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0\0\0\x04\0\0\0\0\0\r\n\r\n",
    ];
    for bytes in wrong {
        let answer = stage.gateway.client().send_raw(bytes);
        assert!(answer.as_ref().map_or(true, |answer| matches!(answer.status, 400 | 505)), "{answer:?}");
    }
    // The preface is followed by SETTINGS and nothing else.
    for bytes in [
        get_on(1),
        ping([1; 8]),
        Frame::new(kind::SETTINGS, flag::ACK, 0, [0; 6]).bytes(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        let mut connection = FrameConnection::silent(stage.gateway.address());
        connection.send([PREFACE, &bytes].concat()).expect("sent");
        // Refused, or read over: in any case nothing is answered that was not asked.
        let _ = connection.is_alive(PATIENCE);
        assert!(
            connection.response_so_far(1).is_none_or(|(answer, _)| answer.status == 200),
            "{:?}",
            connection.frames()
        );
    }
}

#[test]
fn section_4_1_frames() {
    run(vec![
        case(
            "4.1",
            "an unknown type is ignored",
            join(&[Frame::new(0x16, 0, 0, [0; 8]).bytes(), get_on(1)]),
            Want::Answer(1, 200),
        ),
        case(
            "4.1",
            "an unknown type on a stream is ignored",
            join(&[post_on(1), Frame::new(0xff, 0xff, 1, [0; 8]).bytes(), data(1, flag::END_STREAM, b"x")]),
            Want::Answer(1, 200),
        ),
        case(
            "4.1",
            "undefined flags are ignored",
            Frame::new(kind::PING, 0x16, 0, [7; 8]).bytes(),
            Want::Check(|connection| {
                match connection.hear_until(PATIENCE, |frame| {
                    frame.kind == kind::PING && frame.has(flag::ACK) && frame.payload == [7; 8]
                }) {
                    true => Ok(()),
                    false => Err("the PING was not answered".to_owned()),
                }
            }),
        ),
        case(
            "4.1",
            "the reserved bit is ignored",
            Frame::new(kind::PING, 0, 1 << 31, [7; 8]).bytes(),
            Want::Check(|connection| {
                match connection.hear_until(PATIENCE, |frame| frame.kind == kind::PING && frame.has(flag::ACK)) {
                    true => Ok(()),
                    false => Err("the PING was not answered".to_owned()),
                }
            }),
        ),
        case(
            "4.1",
            "the reserved bit of a request's stream is ignored",
            headers(1 | 1 << 31, flag::END, &get()),
            Want::Answer(1, 200),
        ),
        case(
            "4.2",
            "DATA of 2^14 bytes",
            join(&[post_on(1), data(1, flag::END_STREAM, &[b'x'; 16_384])]),
            Want::Answer(1, 200),
        ),
        case(
            "4.2",
            "DATA beyond the largest frame",
            join(&[post_on(1), data(1, flag::END_STREAM, &[b'x'; 16_385])]),
            Want::Stream(1, &[code::FRAME_SIZE_ERROR]),
        ),
        case(
            "4.2",
            "HEADERS beyond the largest frame",
            headers(1, flag::END, &[get(), vec![0; 16_385]].concat()),
            Want::Connection(&[code::FRAME_SIZE_ERROR]),
        ),
        case(
            "4.2",
            "SETTINGS beyond the largest frame",
            Frame::new(kind::SETTINGS, 0, 0, vec![0; 16_386]).bytes(),
            Want::Connection(&[code::FRAME_SIZE_ERROR]),
        ),
        case(
            "4.2",
            "an unknown frame beyond the largest frame",
            Frame::new(0x20, 0, 0, vec![0; 16_385]).bytes(),
            Want::Connection(&[code::FRAME_SIZE_ERROR]),
        ),
        case(
            "4.2",
            "a head that claims 16 MiB",
            head(0xff_ffff, kind::DATA, 0, 1),
            Want::Connection(&[code::FRAME_SIZE_ERROR, code::PROTOCOL_ERROR]),
        ),
        case(
            "4.3",
            "a block that is none",
            headers(1, flag::END, b"\xff\xff\xff\xff\xff"),
            Want::Connection(&[code::COMPRESSION_ERROR]),
        ),
        case(
            "4.3",
            "PRIORITY inside a block",
            join(&[headers(1, flag::END_STREAM, &get()), priority(1, 0, 255), continuation(1, flag::END_HEADERS, b"")]),
            Want::Connection(&[code::PROTOCOL_ERROR]),
        ),
        case(
            "4.3",
            "another stream's HEADERS inside a block",
            join(&[headers(1, flag::END_STREAM, &get()), get_on(3), continuation(1, flag::END_HEADERS, b"")]),
            Want::Connection(&[code::PROTOCOL_ERROR]),
        ),
        case(
            "4.3",
            "PING inside a block",
            join(&[headers(1, flag::END_STREAM, &get()), ping([1; 8])]),
            Want::Connection(&[code::PROTOCOL_ERROR]),
        ),
        case(
            "4.3",
            "SETTINGS inside a block",
            join(&[headers(1, flag::END_STREAM, &get()), settings(&[])]),
            Want::Connection(&[code::PROTOCOL_ERROR]),
        ),
        case(
            "4.3",
            "an unknown frame inside a block",
            join(&[headers(1, flag::END_STREAM, &get()), Frame::new(0x16, 0, 0, [0; 8]).bytes()]),
            Want::Connection(&[code::PROTOCOL_ERROR]),
        ),
        case(
            "4.3",
            "RST_STREAM inside a block",
            join(&[headers(1, flag::END_STREAM, &get()), reset(1, code::CANCEL)]),
            Want::Connection(&[code::PROTOCOL_ERROR]),
        ),
    ]);
}

#[test]
fn section_5_4_errors() {
    let closes = |connection: &mut FrameConnection| {
        let last_stream =
            connection.frames().iter().find(|frame| frame.kind == kind::GOAWAY).map(|frame| frame.number_at(0));
        while !connection.is_closed() {
            if connection.hear(std::time::Instant::now() + PATIENCE) == moongate_tests::frames::Heard::Nothing {
                return Err("the connection goes on".to_owned());
            }
        }
        let last_stream = last_stream.or_else(|| {
            connection.frames().iter().find(|frame| frame.kind == kind::GOAWAY).map(|frame| frame.number_at(0))
        });
        // The last stream that was or might have been acted on.
        match last_stream {
            None | Some(0 | 1) => Ok(()),
            Some(other) => Err(format!("GOAWAY names stream {other}")),
        }
    };
    run(vec![
        case(
            "5.4.1",
            "an error of the connection closes it",
            Frame::new(kind::PING, 0, 3, [0; 8]).bytes(),
            Want::Check(closes),
        ),
        steps(
            "5.4.1",
            "GOAWAY names the last stream",
            vec![Step::Send(get_on(1)), Step::Answered(1), Step::Send(Frame::new(kind::PING, 0, 0, [0; 7]).bytes())],
            Want::Check(closes),
        ),
        steps(
            "5.4.2",
            "an error of a stream leaves the others",
            vec![Step::Send(join(&[
                headers(1, flag::END, &[get(), moongate_tests::frames::hpack::block(&[("connection", "x")])].concat()),
                get_on(3),
            ]))],
            Want::Answer(3, 200),
        ),
        case(
            "5.4.2",
            "a reset stream is not answered with a reset",
            join(&[post_on(1), reset(1, code::CANCEL), reset(1, code::CANCEL)]),
            Want::Check(|connection| {
                let is_alive = connection.is_alive(PATIENCE);
                let resets = connection.frames().iter().filter(|frame| frame.kind == kind::RST_STREAM).count();
                if is_alive && resets <= 1 { Ok(()) } else { Err(format!("alive: {is_alive}, {resets} resets")) }
            }),
        ),
        case(
            "5.5",
            "an extension frame",
            join(&[Frame::new(0x16, 0, 0, [0; 16]).bytes(), get_on(1)]),
            Want::Answer(1, 200),
        ),
        case("5.5", "an extension setting", join(&[settings(&[(0xffff, 1)]), get_on(1)]), Want::Answer(1, 200)),
        case(
            "7",
            "GOAWAY of an unknown code",
            Frame::new(kind::GOAWAY, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0xff]).bytes(),
            Want::Check(|connection| {
                // Goes on or closes; nothing more is said in the RFC.
                let _ = connection.is_alive(PATIENCE);
                match connection
                    .frames()
                    .iter()
                    .find(|frame| frame.kind == kind::GOAWAY)
                    .map(|frame| frame.number_at(4))
                {
                    None | Some(code::NO_ERROR) => Ok(()),
                    Some(code) => Err(format!("GOAWAY with {code}")),
                }
            }),
        ),
        case(
            "7",
            "RST_STREAM of an unknown code",
            join(&[post_on(1), reset(1, 0xff), get_on(3)]),
            Want::Answer(3, 200),
        ),
    ] as Vec<Case>);
}
