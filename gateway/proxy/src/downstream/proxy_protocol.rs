//! The PROXY protocol: a line (version 1) or a block (version 2) in front of a connection in which a load balancer that passes TCP
//! on says whose connection it is.
//!
//! Source: HAProxy, "The PROXY protocol", versions 1 and 2. On a listener that has it switched on, every connection must begin with
//! it: guessing would let any client claim any address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest line of version 1, in bytes, with its CR LF.
const LINE_BYTES_MAX: usize = 107;

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Head of version 2: signature, version and command, family and protocol, length.
const BLOCK_HEAD_BYTES: usize = 16;

/// Longest block of version 2 behind its head, in bytes: addresses, and what senders add about TLS.
const BLOCK_BYTES_MAX: usize = 4 * 1024;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proxied {
    /// The client.
    pub(super) peer: SocketAddr,
    /// The address it reached.
    pub(super) local: SocketAddr,
}

/// Why a connection cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the connection does not begin with the PROXY protocol")]
    Missing,
    #[error("its PROXY header is malformed")]
    Malformed,
    #[error("its PROXY header is too long")]
    TooLong,
    #[error("it ended within its PROXY header")]
    Cut,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads the header. `None` when it speaks for the load balancer itself (its health checks), or does not know the client. What was
/// read behind it is given back too.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(Option<Proxied>, BytesMut), Error> {
    let mut bytes = BytesMut::with_capacity(512);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(Error::Cut);
        }
        if let Some((proxied, length)) = parse(&bytes)? {
            return Ok((proxied, bytes.split_off(length)));
        }
    }
}

/// Reads a header from what has come so far: what it says and how long it is, or `None` while it is not complete.
fn parse(bytes: &[u8]) -> Result<Option<(Option<Proxied>, usize)>, Error> {
    let starts_like = |start: &[u8]| {
        let known = bytes.len().min(start.len());
        bytes[..known] == start[..known]
    };
    if starts_like(SIGNATURE) {
        return parse_block(bytes);
    }
    if !starts_like(b"PROXY ") {
        return Err(Error::Missing);
    }
    match bytes.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n') {
        Some(feed) => Ok(Some((parse_line(&bytes[..feed])?, feed + 1))),
        None if bytes.len() >= LINE_BYTES_MAX => Err(Error::TooLong),
        None => Ok(None),
    }
}

/// Version 1: `PROXY TCP4 192.0.2.7 198.51.100.1 4711 443`.
fn parse_line(line: &[u8]) -> Result<Option<Proxied>, Error> {
    let line = line.strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok()).ok_or(Error::Malformed)?;
    let mut words = line.split(' ').skip(1);
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Ok(None);
    }
    let (Some(source), Some(destination), Some(source_port), Some(destination_port), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Error::Malformed);
    };
    let address = |ip: &str, port: &str| -> Option<SocketAddr> {
        let ip = match family {
            Some("TCP4") => IpAddr::V4(ip.parse().ok()?),
            Some("TCP6") => IpAddr::V6(ip.parse().ok()?),
            _ => return None,
        };
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        Some(SocketAddr::new(ip, port.parse().ok().filter(|_| is_number)?))
    };
    match (address(source, source_port), address(destination, destination_port)) {
        (Some(peer), Some(local)) => Ok(Some(Proxied { peer, local })),
        _ => Err(Error::Malformed),
    }
}

/// Version 2.
fn parse_block(bytes: &[u8]) -> Result<Option<(Option<Proxied>, usize)>, Error> {
    let Some((head, rest)) = bytes.split_first_chunk::<BLOCK_HEAD_BYTES>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if length > BLOCK_BYTES_MAX {
        return Err(Error::TooLong);
    }
    let is_local = match head[12] {
        0x20 => true,
        0x21 => false,
        _ => return Err(Error::Malformed),
    };
    let Some(block) = rest.get(..length) else { return Ok(None) };
    let proxied = match head[13] {
        _ if is_local => None,
        0x11 => Some(addresses_v4(block).ok_or(Error::Malformed)?),
        0x21 => Some(addresses_v6(block).ok_or(Error::Malformed)?),
        // Unspecified, datagrams, unix sockets: nothing that the client of a web API could have.
        _ => None,
    };
    Ok(Some((proxied, BLOCK_HEAD_BYTES + length)))
}

fn addresses_v4(block: &[u8]) -> Option<Proxied> {
    let ip = |at: usize| Some(Ipv4Addr::from(*block.get(at..at + 4)?.first_chunk::<4>()?));
    Some(Proxied {
        peer: SocketAddr::from((ip(0)?, port(block, 8)?)),
        local: SocketAddr::from((ip(4)?, port(block, 10)?)),
    })
}

fn addresses_v6(block: &[u8]) -> Option<Proxied> {
    let ip = |at: usize| Some(Ipv6Addr::from(*block.get(at..at + 16)?.first_chunk::<16>()?));
    Some(Proxied {
        peer: SocketAddr::from((ip(0)?, port(block, 32)?)),
        local: SocketAddr::from((ip(16)?, port(block, 34)?)),
    })
}

fn port(block: &[u8], at: usize) -> Option<u16> {
    block.get(at..at + 2)?.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).expect("a short block").to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, addresses].concat()
    }

    fn proxied(peer: &str, local: &str) -> Option<Proxied> {
        Some(Proxied { peer: peer.parse().expect("an address"), local: local.parse().expect("an address") })
    }

    #[tokio::test]
    async fn headers_of_both_versions_are_read_and_nothing_behind_them() {
        let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb];
        let mut v6 = [0; 36];
        (v6[0], v6[1], v6[15], v6[31], v6[33], v6[35]) = (0x20, 0x01, 7, 1, 80, 81);
        let with_extras = [&v4[..], b"\x03\x00\x04abcd"].concat();
        let cases: [(Vec<u8>, Option<Proxied>); 8] = [
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n".to_vec(), proxied("192.0.2.7:4711", "198.51.100.1:443")),
            (b"PROXY TCP6 2001::7 ::1 80 81\r\n".to_vec(), proxied("[2001::7]:80", "[::1]:81")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN whatever else\r\n".to_vec(), None),
            (block(0x21, 0x11, &v4), proxied("192.0.2.7:4711", "198.51.100.1:443")),
            (block(0x21, 0x11, &with_extras), proxied("192.0.2.7:4711", "198.51.100.1:443")),
            (block(0x21, 0x21, &v6), proxied("[2001::7]:80", "[::1]:81")),
            (block(0x20, 0x00, &[]), None),
        ];
        for (header, want) in cases {
            let bytes = [&header[..], b"GET / "].concat();
            let (got, rest) = read(&mut &bytes[..]).await.expect("a header");
            assert_eq!((got, &rest[..]), (want, &b"GET / "[..]), "{}", header.escape_ascii());
            for cut in 0..header.len() {
                assert!(matches!(parse(&header[..cut]), Ok(None)), "{} at {cut}", header.escape_ascii());
            }
        }
    }

    #[tokio::test]
    async fn whatever_is_no_header_is_refused() {
        let cases: [&[u8]; 12] = [
            b"GET / HTTP/1.1\r\n",
            b"\x16\x03\x01",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 1\r\n",
            b"PROXY TCP4 2001::7 ::1 80 81\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 +80 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 80 70000\r\n",
            b"PROXY TCP5 192.0.2.7 198.51.100.1 80 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 80 443\n",
            b"PROXY ",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04abcd",
        ];
        for bytes in cases {
            assert!(read(&mut &*bytes).await.is_err(), "{}", bytes.escape_ascii());
        }
        let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
        assert!(matches!(parse(&long), Err(Error::TooLong)));
        assert!(matches!(parse(&block(0x21, 0x11, &[0; 5000])), Err(Error::TooLong)));
    }
}
