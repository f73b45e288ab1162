//! Field blocks (RFC 7541): every representation, and what is none.

use moongate_tests::frames::{FrameConnection, code, flag, hpack, setting};
use moongate_tests::frames::{headers, settings};

use crate::http2_frames::{Case, PATIENCE, Step, Want, case, get, join, run, steps};

const COMPRESSION: &[u32] = &[code::COMPRESSION_ERROR];

fn with(field: &[u8]) -> Vec<u8> {
    headers(1, flag::END, &[&get()[..], field].concat())
}

/// A field in one of the literal representations: high bits, and how many bits of an index follow them.
fn literal(high: u8, bits: u32, index: u64, name: Option<&[u8]>, value: &[u8]) -> Vec<u8> {
    let mut field = hpack::integer(high, bits, index);
    field.extend_from_slice(name.unwrap_or_default());
    field.extend_from_slice(value);
    field
}

#[test]
fn hpack_fields_in_every_representation() {
    let plain = hpack::string;
    let coded = hpack::coded_string;
    let mut cases: Vec<Case> = Vec::new();
    // With incremental indexing, without, and never (sections 6.2.1 to 6.2.3); 58 is `user-agent`.
    let names = [
        ("incremental, indexed name", 0x40, 6),
        ("without indexing, indexed name", 0x00, 4),
        ("never indexed, indexed name", 0x10, 4),
    ];
    for (name, high, bits) in names {
        cases.push(case(
            "RFC 7541 6.2",
            name,
            with(&literal(high, bits, 58, None, &plain(b"test"))),
            Want::Answer(1, 200),
        ));
        cases.push(case(
            "RFC 7541 6.2",
            name,
            with(&literal(high, bits, 58, None, &coded(b"test"))),
            Want::Answer(1, 200),
        ));
        cases.push(case(
            "RFC 7541 6.2",
            "a new name",
            with(&literal(high, bits, 0, Some(&plain(b"x-test")), &plain(b"test"))),
            Want::Answer(1, 200),
        ));
        cases.push(case(
            "RFC 7541 6.2",
            "a new name, coded",
            with(&literal(high, bits, 0, Some(&coded(b"x-test")), &coded(b"test"))),
            Want::Answer(1, 200),
        ));
    }
    let long = vec![b'v'; 300];
    let indexed =
        [&[0x82, 0x86][..], &literal(0x40, 6, 4, None, &coded(b"/f/get")), &literal(0x40, 6, 1, None, &plain(b"h"))]
            .concat();
    cases.extend([
        case("RFC 7541 6.1", "indexed", headers(1, flag::END, &indexed), Want::Answer(1, 200)),
        steps(
            "RFC 7541 6.1",
            "from the dynamic table",
            vec![
                Step::Send(headers(1, flag::END, &indexed)),
                Step::Answered(1),
                Step::Send(headers(3, flag::END, &[0x82, 0x86, 0xbe, 0xbf])),
            ],
            Want::Answer(3, 200),
        ),
        case(
            "RFC 7541 5.1",
            "integers of several bytes",
            with(&literal(0x00, 4, 0, Some(&plain(b"x-long")), &plain(&long))),
            Want::Answer(1, 200),
        ),
        case(
            "RFC 7541 6.3",
            "a size of 0",
            headers(1, flag::END, &join(&[hpack::table_size(0), get()])),
            Want::Answer(1, 200),
        ),
        case(
            "RFC 7541 6.3",
            "two sizes",
            headers(1, flag::END, &join(&[hpack::table_size(128), hpack::table_size(4096), get()])),
            Want::Answer(1, 200),
        ),
        steps(
            "RFC 7541 4.2",
            "after the gateway's table was made smaller",
            vec![
                Step::Send(settings(&[(setting::HEADER_TABLE_SIZE, 0)])),
                Step::Sync,
                Step::Send(headers(1, flag::END, &get())),
                Step::Answered(1),
                Step::Send(headers(3, flag::END, &get())),
            ],
            Want::Check(|connection: &mut FrameConnection| {
                // The harness's reader would fail on a reference to a table that must be empty.
                connection.response(3, PATIENCE).map(|_| ()).ok_or_else(|| "no answer".to_owned())
            }),
        ),
    ]);
    run(cases);
}

#[test]
fn hpack_blocks_that_are_none() {
    let name = hpack::string(b"x-test");
    let value = |bytes: &[u8]| with(&literal(0x00, 4, 0, Some(&name), bytes));
    run(vec![
        case("RFC 7541 2.3.3", "an index beyond the tables", with(&hpack::indexed(70)), Want::Connection(COMPRESSION)),
        case("RFC 7541 2.3.3", "an index far beyond", with(&hpack::indexed(1 << 40)), Want::Connection(COMPRESSION)),
        case(
            "RFC 7541 2.3.3",
            "a name's index beyond the tables",
            with(&literal(0x40, 6, 70, None, &hpack::string(b"x"))),
            Want::Connection(COMPRESSION),
        ),
        case(
            "RFC 7541 4.2",
            "a size at the end of a block",
            headers(1, flag::END, &join(&[get(), hpack::table_size(1)])),
            Want::Connection(COMPRESSION),
        ),
        case(
            "RFC 7541 6.3",
            "a size beyond what was agreed on",
            headers(1, flag::END, &join(&[hpack::table_size(4097), get()])),
            Want::Connection(COMPRESSION),
        ),
        case(
            "RFC 7541 6.3",
            "a size beyond everything",
            headers(1, flag::END, &join(&[hpack::table_size(1 << 60), get()])),
            Want::Connection(COMPRESSION),
        ),
        case("RFC 7541 6.1", "index 0", with(&[0x80]), Want::Connection(COMPRESSION)),
        case("RFC 7541 5.1", "an integer that is cut off", with(&[0xff]), Want::Connection(COMPRESSION)),
        case("RFC 7541 5.1", "an integer without end", with(&[0xff; 30]), Want::Connection(COMPRESSION)),
        case(
            "RFC 7541 5.1",
            "an integer that overflows",
            with(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
            Want::Connection(COMPRESSION),
        ),
        case("RFC 7541 5.2", "a string that is cut off", value(&[0x05, b'a']), Want::Connection(COMPRESSION)),
        case(
            "RFC 7541 5.2",
            "a string longer than memory",
            value(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f]),
            Want::Connection(COMPRESSION),
        ),
        // `test` and a whole byte of padding; padding of zeros; the end of a string inside it.
        case(
            "RFC 7541 5.2",
            "padding of 8 bits",
            value(&hpack::coded(&[0x49, 0x50, 0x9f, 0xff])),
            Want::Connection(COMPRESSION),
        ),
        case(
            "RFC 7541 5.2",
            "padding of zeros",
            value(&hpack::coded(&[0x49, 0x50, 0x90])),
            Want::Connection(COMPRESSION),
        ),
        case("RFC 7541 5.2", "the end of a string", value(&hpack::end_of_string()), Want::Connection(COMPRESSION)),
    ]);
}
