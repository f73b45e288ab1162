//! Fuzz target of upstreams' answers; see `tests/fuzz/README.md`.

use std::hash::Hash;

use bytes::Bytes;
use moongate_fuzz::{Fuzz, behaviour};

use super::{AnswerBody, Chunked, Decoded, HeadReader};

/// What was read of an answer, in words, and roughly.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    said: String,
    shape: u64,
}

fn outcome(said: String, shape: &(impl Hash + ?Sized)) -> Outcome {
    Outcome { said, shape: behaviour(shape) }
}

fn read(bytes: &[u8], piece: usize) -> Outcome {
    let mut reader = HeadReader::default();
    let mut arrived = 0;
    let (head, length) = loop {
        arrived = (arrived + piece).min(bytes.len());
        match reader.read(&bytes[..arrived], false) {
            Err(error) => return outcome(format!("{error:?}"), &format!("{error:?}")),
            Ok(Some(read)) => break read,
            Ok(None) if arrived == bytes.len() => return outcome("more".to_owned(), "more"),
            Ok(None) => {}
        }
    };
    for (name, value) in &head.fields {
        assert!(!name.as_str().is_empty());
        assert!(!value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{name} holds an end of line");
    }
    for name in ["connection", "keep-alive", "transfer-encoding", "proxy-connection"] {
        assert!(!head.fields.contains_key(name), "{name} passes");
    }
    let said = format!("{} {:?} {:?} {}", head.status, head.fields, head.body, head.is_persistent);
    let kind = std::mem::discriminant(&head.body);
    let shape = (head.status.as_u16() / 100, head.fields.len().min(3), head.is_persistent);
    let body = &bytes[length..];
    if head.body == AnswerBody::Chunked {
        let (said_of_body, end) = read_chunks(body, piece);
        return outcome(format!("{said} {said_of_body}"), &(kind, shape, end));
    }
    outcome(said, &(kind, shape))
}

/// What was read of a body in chunks, and how it ended.
fn read_chunks(bytes: &[u8], piece: usize) -> (String, String) {
    let mut chunked = Chunked::default();
    let mut data = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (first, after) = rest.split_at(piece.min(rest.len()));
        rest = after;
        let mut input = Bytes::copy_from_slice(first);
        loop {
            match chunked.decode(&mut input) {
                Err(error) => return (format!("{data:?} {error:?}"), format!("{error:?}")),
                Ok(Decoded::Data(piece)) => {
                    assert!(!piece.is_empty());
                    data.extend_from_slice(&piece);
                }
                Ok(Decoded::More) => break,
                Ok(Decoded::End) => {
                    return (format!("{data:?} {}", rest.len() + input.len()), format!("end {}", data.is_empty()));
                }
                Ok(Decoded::Trailers(trailers)) => {
                    for name in ["content-length", "transfer-encoding", "host", "connection"] {
                        assert!(!trailers.contains_key(name), "{name} in trailers");
                    }
                    return (
                        format!("{data:?} {trailers:?} {}", rest.len() + input.len()),
                        format!("trailers {}", trailers.len().min(2)),
                    );
                }
            }
        }
    }
    (format!("{data:?} more"), "more".to_owned())
}

#[test]
fn fuzz_answer() {
    let tokens = &[
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 ",
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 103 Early Hints\r\n",
        "Content-Length: 5\r\n",
        "content-length:",
        "Transfer-Encoding: chunked\r\n",
        "chunked",
        "Connection: close\r\n",
        "connection: keep-alive, x\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n\n",
        "0\r\n\r\n",
        "5\r\nhello\r\n",
        ";x=\"y\"",
        "X: y\r\n",
        " folded",
        "Upgrade: x\r\n",
        "18446744073709551616",
        "ffffffffffffffff",
        "0x5",
        "+5",
        ", 5",
    ];
    Fuzz::new("answer").tokens(tokens).run(|bytes| {
        let whole = read(bytes, bytes.len().max(1));
        for piece in [1, 3, 7] {
            assert_eq!(read(bytes, piece), whole, "in pieces of {piece}");
        }
        whole.shape
    });
}
