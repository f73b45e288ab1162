//! HTTP/2 frame by frame (RFC 9113): every byte is the test's, so that whatever a client must not do can be done.
//!
//! [`Frame`] is a frame as it stands on the wire, [`hpack`] writes and reads field blocks, [`FrameConnection`] sends bytes and collects
//! the frames that come back. Nothing here checks what it sends.

mod connection;
pub mod hpack;
mod huffman;

pub use connection::{FrameConnection, Heard};

/// The connection preface (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The kinds of frames (RFC 9113 section 6).
pub mod kind {
    #![expect(missing_docs, reason = "the names are RFC 9113's")]
    pub const DATA: u8 = 0x0;
    pub const HEADERS: u8 = 0x1;
    pub const PRIORITY: u8 = 0x2;
    pub const RST_STREAM: u8 = 0x3;
    pub const SETTINGS: u8 = 0x4;
    pub const PUSH_PROMISE: u8 = 0x5;
    pub const PING: u8 = 0x6;
    pub const GOAWAY: u8 = 0x7;
    pub const WINDOW_UPDATE: u8 = 0x8;
    pub const CONTINUATION: u8 = 0x9;
}

/// Flags (RFC 9113 section 6).
pub mod flag {
    #![expect(missing_docs, reason = "the names are RFC 9113's")]
    pub const END_STREAM: u8 = 0x1;
    pub const ACK: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
    /// A whole request without a body.
    pub const END: u8 = END_STREAM | END_HEADERS;
}

/// Error codes (RFC 9113 section 7).
pub mod code {
    #![expect(missing_docs, reason = "the names are RFC 9113's")]
    pub const NO_ERROR: u32 = 0x0;
    pub const PROTOCOL_ERROR: u32 = 0x1;
    pub const FLOW_CONTROL_ERROR: u32 = 0x3;
    pub const SETTINGS_TIMEOUT: u32 = 0x4;
    pub const STREAM_CLOSED: u32 = 0x5;
    pub const FRAME_SIZE_ERROR: u32 = 0x6;
    pub const REFUSED_STREAM: u32 = 0x7;
    pub const CANCEL: u32 = 0x8;
    pub const COMPRESSION_ERROR: u32 = 0x9;
    pub const ENHANCE_YOUR_CALM: u32 = 0xb;
}

/// Settings (RFC 9113 section 6.5.2).
pub mod setting {
    #![expect(missing_docs, reason = "the names are RFC 9113's")]
    pub const HEADER_TABLE_SIZE: u16 = 0x1;
    pub const ENABLE_PUSH: u16 = 0x2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub const MAX_FRAME_SIZE: u16 = 0x5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 0x6;
}

/// A frame as it stands on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; the highest bit is the reserved one.
    pub stream: u32,
    /// What follows its head.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame of parts.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The frame's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = head(self.payload.len(), self.kind, self.flags, self.stream);
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The number at a place of the payload; 0 where it is too short.
    pub fn number_at(&self, at: usize) -> u32 {
        self.payload.get(at..at + 4).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap_or_default()))
    }
}

/// A frame's first nine bytes, with a length that need not be true.
pub fn head(length: usize, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let mut bytes = (length as u32).to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes
}

/// DATA.
pub fn data(stream: u32, flags: u8, bytes: &[u8]) -> Vec<u8> {
    Frame::new(kind::DATA, flags, stream, bytes).bytes()
}

/// HEADERS with a block.
pub fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    Frame::new(kind::HEADERS, flags, stream, block).bytes()
}

/// CONTINUATION with a block.
pub fn continuation(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    Frame::new(kind::CONTINUATION, flags, stream, block).bytes()
}

/// PRIORITY: depends on a stream, not exclusively.
pub fn priority(stream: u32, depends_on: u32, weight: u8) -> Vec<u8> {
    let mut payload = depends_on.to_be_bytes().to_vec();
    payload.push(weight);
    Frame::new(kind::PRIORITY, 0, stream, payload).bytes()
}

/// RST_STREAM.
pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    Frame::new(kind::RST_STREAM, 0, stream, code.to_be_bytes()).bytes()
}

/// SETTINGS.
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (name, value) in values {
        payload.extend_from_slice(&name.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    Frame::new(kind::SETTINGS, 0, 0, payload).bytes()
}

/// SETTINGS that acknowledge.
pub fn settings_ack() -> Vec<u8> {
    Frame::new(kind::SETTINGS, flag::ACK, 0, []).bytes()
}

/// PING.
pub fn ping(data: [u8; 8]) -> Vec<u8> {
    Frame::new(kind::PING, 0, 0, data).bytes()
}

/// WINDOW_UPDATE; the increment's highest bit is the reserved one.
pub fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    Frame::new(kind::WINDOW_UPDATE, 0, stream, increment.to_be_bytes()).bytes()
}
