//! Requests read as strictly as RFC 9112 lets anybody read them: what a gateway sends must not need any leniency.
//!
//! A reader of its own, which shares nothing with [`crate::wire`] or with the gateway's codec, so that a mistake of one is not
//! repeated by the other. It also refuses what only a careless intermediary would pass on: fields of one connection, framing fields
//! in trailers, two ways to say where the body ends.

mod upstream;

pub use upstream::{Seen, StrictUpstream};

/// Fields that belong to one connection and must not be passed on (RFC 9110 section 7.6.1).
const CONNECTION_FIELDS: [&str; 5] =
    ["keep-alive", "proxy-connection", "http2-settings", "proxy-authorization", "proxy-authenticate"];

/// Fields that must not come in a trailer section (RFC 9110 section 6.5.1): framing, routing, authentication.
const NOT_IN_TRAILERS: [&str; 9] = [
    "content-length",
    "transfer-encoding",
    "host",
    "authorization",
    "connection",
    "te",
    "trailer",
    "content-type",
    "cookie",
];

/// A request that was read to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target, in origin form.
    pub target: String,
    /// The fields in order; names in lower case.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// The trailer fields.
    pub trailers: Vec<(String, Vec<u8>)>,
}

impl Request {
    /// The values of a field, by its name in lower case.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        values(&self.fields, name)
    }

    /// A field's only value as text; `None` without one.
    pub fn text(&self, name: &str) -> Option<String> {
        self.all(name).first().map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

/// How a request's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    After(usize),
    Chunked,
}

/// Reads a request from the start of some bytes: the request and its length in bytes, or `None` while it is not complete.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn request(bytes: &[u8]) -> Result<Option<(Request, usize)>, String> {
    let Some((mut request, end, head_bytes)) = head(bytes)? else { return Ok(None) };
    let rest = &bytes[head_bytes..];
    match end {
        End::After(length) => {
            let Some(body) = rest.get(..length) else { return Ok(None) };
            request.body = body.to_vec();
            Ok(Some((request, head_bytes + length)))
        }
        End::Chunked => {
            let Some((body, trailers, length)) = chunked(rest)? else { return Ok(None) };
            (request.body, request.trailers) = (body, trailers);
            Ok(Some((request, head_bytes + length)))
        }
    }
}

/// Reads only a request's head; its body is empty.
///
/// # Errors
///
/// As [`request`].
pub fn head_only(bytes: &[u8]) -> Result<Option<Request>, String> {
    Ok(head(bytes)?.map(|(request, ..)| request))
}

fn head(bytes: &[u8]) -> Result<Option<(Request, End, usize)>, String> {
    let Some((line, mut at)) = line(bytes)? else { return Ok(None) };
    let (method, target) = request_line(line)?;
    let Some((fields, fields_bytes)) = fields(&bytes[at..])? else { return Ok(None) };
    at += fields_bytes;
    check_host(&fields)?;
    check_connection(&fields)?;
    let end = end_of(&fields)?;
    Ok(Some((Request { method, target, fields, ..Request::default() }, end, at)))
}

/// A line up to its CRLF, without it, and where the next one starts.
fn line(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, String> {
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\r' => match bytes.get(at + 1) {
                Some(b'\n') => return Ok(Some((&bytes[..at], at + 2))),
                Some(_) => return Err(format!("a bare CR behind {}", shown(&bytes[..at]))),
                None => return Ok(None),
            },
            b'\n' => return Err(format!("a bare LF behind {}", shown(&bytes[..at]))),
            0 => return Err(format!("a NUL behind {}", shown(&bytes[..at]))),
            _ => {}
        }
    }
    Ok(None)
}

fn request_line(line: &[u8]) -> Result<(String, String), String> {
    let parts: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = parts[..] else {
        return Err(format!("a request line of {} parts: {}", parts.len(), shown(line)));
    };
    if !is_token(method) {
        return Err(format!("a method that is no token: {}", shown(method)));
    }
    let is_plain = |byte: &u8| (0x21..=0x7e).contains(byte) && *byte != b'#';
    let is_target = target == b"*" || (target.first() == Some(&b'/') && target.iter().all(is_plain));
    if !is_target {
        return Err(format!("a target that is not in origin form: {}", shown(target)));
    }
    if version != b"HTTP/1.1" {
        return Err(format!("the version {}", shown(version)));
    }
    Ok((text(method), text(target)))
}

type ReadFields = Vec<(String, Vec<u8>)>;

/// Field lines and the empty line behind them; how many bytes they are.
fn fields(bytes: &[u8]) -> Result<Option<(ReadFields, usize)>, String> {
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let Some((line, length)) = line(&bytes[at..])? else { return Ok(None) };
        at += length;
        if line.is_empty() {
            return Ok(Some((fields, at)));
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Err(format!("a field without a colon: {}", shown(line)));
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if !is_token(name) {
            return Err(format!("a field's name that is no token: {}", shown(line)));
        }
        if value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
            return Err(format!("a control character in a field's value: {}", shown(line)));
        }
        fields.push((text(name).to_ascii_lowercase(), value.to_vec()));
    }
}

fn check_host(fields: &ReadFields) -> Result<(), String> {
    match values(fields, "host")[..] {
        [host] if is_host(host) => Ok(()),
        ref hosts => Err(format!("Host: {:?}", hosts.iter().map(|host| shown(host)).collect::<Vec<_>>())),
    }
}

/// A name or an address, and a port: nothing that could be read in two ways.
fn is_host(host: &[u8]) -> bool {
    let text = text(host);
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse::<u16>().is_ok()),
        _ => (text.as_str(), true),
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    port && address.map_or_else(|| is_name(name), |address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

fn check_connection(fields: &ReadFields) -> Result<(), String> {
    let is_websocket = values(fields, "upgrade")[..] == [b"websocket"];
    for (name, value) in fields {
        let is_one_of = |words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()));
        let is_wrong = match name.as_str() {
            "connection" if is_websocket => !is_one_of(&["upgrade"]),
            "connection" => !is_one_of(&["keep-alive", "close"]),
            "upgrade" => !is_websocket,
            "te" => !is_one_of(&["trailers"]),
            other => CONNECTION_FIELDS.contains(&other),
        };
        if is_wrong {
            return Err(format!("a field of the client's connection was passed on: {name}: {}", shown(value)));
        }
    }
    Ok(())
}

fn end_of(fields: &ReadFields) -> Result<End, String> {
    match (&values(fields, "transfer-encoding")[..], &values(fields, "content-length")[..]) {
        ([], []) => Ok(End::After(0)),
        ([], [length]) => {
            let is_number = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let number = text(length).parse().ok().filter(|_| is_number);
            number.map(End::After).ok_or_else(|| format!("Content-Length: {}", shown(length)))
        }
        ([b"chunked"], []) => Ok(End::Chunked),
        (codings, lengths) => Err(format!(
            "an end that can be read in two ways: {} Transfer-Encoding, {} Content-Length",
            codings.len(),
            lengths.len()
        )),
    }
}

type ReadChunks = (Vec<u8>, ReadFields, usize);

fn chunked(bytes: &[u8]) -> Result<Option<ReadChunks>, String> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let Some((size, length)) = line(&bytes[at..])? else { return Ok(None) };
        at += length;
        if size.is_empty() || size.len() > 16 || !size.iter().all(u8::is_ascii_hexdigit) {
            return Err(format!("a chunk's size: {}", shown(size)));
        }
        let size = usize::from_str_radix(&text(size), 16).map_err(|error| error.to_string())?;
        if size == 0 {
            break;
        }
        let (Some(data), Some(end)) = (bytes.get(at..at + size), bytes.get(at + size..at + size + 2)) else {
            return Ok(None);
        };
        if end != b"\r\n" {
            return Err(format!("a chunk that ends with {}", shown(end)));
        }
        body.extend_from_slice(data);
        at += size + 2;
    }
    let Some((trailers, length)) = fields(&bytes[at..])? else { return Ok(None) };
    if let Some((name, _)) = trailers.iter().find(|(name, _)| NOT_IN_TRAILERS.contains(&name.as_str())) {
        return Err(format!("`{name}` in a trailer section"));
    }
    Ok(Some((body, trailers, at + length)))
}

fn values<'a>(fields: &'a ReadFields, name: &str) -> Vec<&'a [u8]> {
    fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_slice()).collect()
}

fn is_token(bytes: &[u8]) -> bool {
    let is_one = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_one)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Bytes for a message: escaped, and cut where they are many.
pub fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(300)];
    let more = if bytes.len() > cut.len() { format!("... ({} bytes)", bytes.len()) } else { String::new() };
    format!("`{}`{more}", cut.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_can_misread_is_read() {
        let good: [(&str, &str); 3] = [
            ("GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n", ""),
            ("POST /a HTTP/1.1\r\nHost: h\r\ncontent-length: 2\r\n\r\nhi", "hi"),
            ("POST /a HTTP/1.1\r\nHost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx: y\r\n\r\n", "hi"),
        ];
        for (text, body) in good {
            let (request, length) = request(text.as_bytes()).expect(text).expect("it is complete");
            assert_eq!((request.body.as_slice(), length), (body.as_bytes(), text.len()), "{text:?}");
            for end in 0..text.len() {
                assert_eq!(super::request(&text.as_bytes()[..end]), Ok(None), "{:?}", &text[..end]);
            }
        }
        let bad = [
            "GET /a HTTP/1.1\nHost: h\r\n\r\n",
            "GET  /a HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /a HTTP/1.0\r\nHost: h\r\n\r\n",
            "GET /a HTTP/1.1\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: [h\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: h:80:80\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: h\r\nX: y\r\n z\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nx",
            "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\nx\r\n0\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: x\r\n\r\n",
        ];
        for text in bad {
            assert!(request(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
