//! DNS messages (RFC 1035 section 4): one question out, an answer in.
//!
//! Whatever a server sends is taken apart with bounds on everything: names are at most 255 bytes, pointers only lead back, records
//! are counted. A message that does not fit is an error, never a panic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// IPv4 addresses.
    A = 1,
    /// IPv6 addresses (RFC 3596).
    Aaaa = 28,
    /// Servers of a service (RFC 2782).
    Srv = 33,
}

/// Largest message taken over UDP, in bytes: fits every path without fragments (source: DNS Flag Day 2020).
pub(super) const UDP_BYTES_MAX: u16 = 1_232;

/// Most records looked at in one message.
const RECORDS_MAX: usize = 1_024;
/// Longest name, in bytes (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 255;
/// Most aliases followed within one message.
const ALIASES_MAX: usize = 16;

const HEADER_BYTES: usize = 12;
const CLASS_IN: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_SOA: u16 = 6;
const TYPE_OPT: u16 = 41;

/// Why bytes are not the answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MessageError {
    /// A name cannot be asked for.
    #[error("not a name that can be asked for")]
    Name,
    /// Not a message, or cut off.
    #[error("not a DNS message")]
    Malformed,
    /// A message, but not the answer to this question.
    #[error("the answer to another question")]
    NotOurs,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// Whether it did not fit and must be asked for over TCP (RFC 1035 section 4.2.1).
    pub(super) is_truncated: bool,
    /// The response code (RFC 1035 section 4.1.1, RFC 6895): 0 is success, 3 "no such name".
    pub(super) code: u8,
    /// What was asked for, at the end of all aliases.
    pub(super) records: Vec<Record>,
    /// The name at the end of the aliases, when that has no record of the kind in this message.
    pub(super) alias: Option<String>,
    /// How long the answer holds, in seconds: the shortest of all records used; for "no", what the zone says (RFC 2308 section 5).
    pub(super) ttl: Option<u32>,
}

/// A record that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// An address.
    Address(IpAddr),
    /// A server of a service.
    Server(Server),
}

/// A server of a service (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    pub(super) host: String,
}

/// A question as bytes.
///
/// # Errors
///
/// [`MessageError::Name`] when a label is empty or too long.
pub(super) fn question(id: u16, name: &str, kind: Kind) -> Result<Vec<u8>, MessageError> {
    let mut message = Vec::with_capacity(HEADER_BYTES + name.len() + 18);
    message.extend_from_slice(&id.to_be_bytes());
    // Recursion desired; one question, one additional record.
    message.extend_from_slice(&[0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1]);
    let name = name.strip_suffix('.').unwrap_or(name);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length));
        message.push(length.ok_or(MessageError::Name)?);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    if message.len() - HEADER_BYTES > NAME_BYTES_MAX {
        return Err(MessageError::Name);
    }
    message.extend_from_slice(&(kind as u16).to_be_bytes());
    message.extend_from_slice(&CLASS_IN.to_be_bytes());
    // EDNS(0) (RFC 6891 section 6.1.2): how much we take over UDP.
    message.push(0);
    message.extend_from_slice(&TYPE_OPT.to_be_bytes());
    message.extend_from_slice(&UDP_BYTES_MAX.to_be_bytes());
    message.extend_from_slice(&[0; 6]);
    Ok(message)
}

/// Takes the answer to a question apart.
///
/// # Errors
///
/// [`MessageError::NotOurs`] when id or question are not the ones asked: somebody guesses, or an old answer came late.
pub(super) fn reply(bytes: &[u8], id: u16, name: &str, kind: Kind) -> Result<Reply, MessageError> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let mut reader = Reader { bytes, at: 0 };
    let got = reader.u16()?;
    let flags = reader.u16()?;
    let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?].map(usize::from);
    if got != id || flags & 0x8000 == 0 || counts[0] != 1 {
        return Err(MessageError::NotOurs);
    }
    if reader.name()? != name || reader.u16()? != kind as u16 || reader.u16()? != CLASS_IN {
        return Err(MessageError::NotOurs);
    }
    let (is_truncated, code) = (flags & 0x0200 != 0, (flags & 0x000f) as u8);
    let mut reply = Reply { is_truncated, code, records: Vec::new(), alias: None, ttl: None };
    if is_truncated {
        // The rest is asked for again, whole.
        return Ok(reply);
    }
    if counts[1] + counts[2] > RECORDS_MAX {
        return Err(MessageError::Malformed);
    }
    let mut found = Vec::new();
    let mut aliases = Vec::new();
    for _ in 0..counts[1] {
        let record = reader.record()?;
        match record.data {
            Data::Alias(target) => aliases.push((record.name, record.ttl, target)),
            Data::Found(data) if record.kind == kind as u16 => found.push((record.name, record.ttl, data)),
            _ => {}
        }
    }
    let mut name = name;
    for _ in 0..ALIASES_MAX {
        let Some((_, ttl, target)) = aliases.iter().find(|(owner, ..)| *owner == name) else { break };
        reply.ttl = Some(reply.ttl.map_or(*ttl, |shortest| shortest.min(*ttl)));
        name.clone_from(target);
        reply.alias = Some(name.clone());
    }
    for (owner, ttl, data) in found {
        if owner == name {
            reply.ttl = Some(reply.ttl.map_or(ttl, |shortest| shortest.min(ttl)));
            reply.records.push(data);
        }
    }
    if !reply.records.is_empty() {
        reply.alias = None;
        return Ok(reply);
    }
    for _ in 0..counts[2] {
        let record = reader.record()?;
        if let Data::Authority(minimum) = record.data {
            reply.ttl = Some(record.ttl.min(minimum));
            reply.alias = None;
        }
    }
    Ok(reply)
}

struct RawRecord {
    name: String,
    kind: u16,
    ttl: u32,
    data: Data,
}

enum Data {
    Found(Record),
    Alias(String),
    /// The zone's word on how long "no" holds.
    Authority(u32),
    Other,
}

struct Reader<'bytes> {
    bytes: &'bytes [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], MessageError> {
        let end = self.at.checked_add(count).ok_or(MessageError::Malformed)?;
        let taken = self.bytes.get(self.at..end).ok_or(MessageError::Malformed)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        self.take(N)?.try_into().map_err(|_| MessageError::Malformed)
    }

    fn u16(&mut self) -> Result<u16, MessageError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, MessageError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A name in lower case, pointers followed (RFC 1035 section 4.1.4).
    fn name(&mut self) -> Result<String, MessageError> {
        let mut name = String::new();
        let mut at = self.at;
        let mut end = None;
        loop {
            let length = usize::from(*self.bytes.get(at).ok_or(MessageError::Malformed)?);
            match length {
                0 => {
                    self.at = end.unwrap_or(at + 1);
                    return Ok(name);
                }
                1..=63 => {
                    let label = self.bytes.get(at + 1..at + 1 + length).ok_or(MessageError::Malformed)?;
                    // Hosts are ASCII; what is not cannot be a name we asked for, nor one that we can go on asking for.
                    let label = std::str::from_utf8(label).map_err(|_| MessageError::Malformed)?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.push_str(&label.to_ascii_lowercase());
                    if name.len() > NAME_BYTES_MAX {
                        return Err(MessageError::Malformed);
                    }
                    at += 1 + length;
                }
                192.. => {
                    let low = usize::from(*self.bytes.get(at + 1).ok_or(MessageError::Malformed)?);
                    let target = (length & 0x3f) << 8 | low;
                    end = end.or(Some(at + 2));
                    // Only back: then there is no circle.
                    if target >= at {
                        return Err(MessageError::Malformed);
                    }
                    at = target;
                }
                _ => return Err(MessageError::Malformed),
            }
        }
    }

    fn record(&mut self) -> Result<RawRecord, MessageError> {
        let name = self.name()?;
        let (kind, class) = (self.u16()?, self.u16()?);
        // The highest bit is not part of a time to live (RFC 2181 section 8).
        let ttl = self.u32()?;
        let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
        let length = usize::from(self.u16()?);
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or(MessageError::Malformed)?;
        let data = match kind {
            _ if class != CLASS_IN => Data::Other,
            1 if length == 4 => Data::Found(Record::Address(Ipv4Addr::from(self.array::<4>()?).into())),
            28 if length == 16 => Data::Found(Record::Address(Ipv6Addr::from(self.array::<16>()?).into())),
            33 => {
                let (priority, weight, port) = (self.u16()?, self.u16()?, self.u16()?);
                Data::Found(Record::Server(Server { priority, weight, port, host: self.name()? }))
            }
            TYPE_CNAME => Data::Alias(self.name()?),
            TYPE_SOA => {
                self.name()?;
                self.name()?;
                self.take(16)?;
                Data::Authority(self.u32()?)
            }
            _ => Data::Other,
        };
        self.at = end;
        Ok(RawRecord { name, kind, ttl, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply to `a.example A` with records behind the question.
    fn message(flags: u16, answers: &[&[u8]], authorities: &[&[u8]]) -> Vec<u8> {
        let mut bytes = question(7, "a.example", Kind::A).expect("a name");
        bytes.truncate(HEADER_BYTES + 11 + 4);
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        bytes[7] = answers.len() as u8;
        bytes[9] = authorities.len() as u8;
        bytes[11] = 0;
        answers.iter().chain(authorities).for_each(|record| bytes.extend_from_slice(record));
        bytes
    }

    /// `a.example A 10.0.0.1`, 60 seconds; the name is a pointer to the question's.
    const ADDRESS: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1];

    #[test]
    fn an_answer_is_taken_apart() {
        let got = reply(&message(0x8180, &[ADDRESS], &[]), 7, "A.Example.", Kind::A).expect("an answer");
        let records = vec![Record::Address(Ipv4Addr::new(10, 0, 0, 1).into())];
        assert_eq!(got, Reply { is_truncated: false, code: 0, records, alias: None, ttl: Some(60) });
        let no = [
            0xc0, 14, 0, 6, 0, 1, 0, 0, 0, 90, 0, 22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
        ];
        let got = reply(&message(0x8183, &[], &[&no]), 7, "a.example", Kind::A);
        // The zone's record is taken as far as it reads; a pointer into the middle of a label is refused.
        assert!(got.is_err() || got.is_ok_and(|reply| reply.code == 3));
    }

    #[test]
    fn an_alias_is_followed_and_the_shortest_time_holds() {
        let alias = [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 5, 0, 3, 1, b'b', 0];
        let there = [1, b'b', 0, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 2];
        let got = reply(&message(0x8180, &[&alias, &there], &[]), 7, "a.example", Kind::A).expect("an answer");
        assert_eq!((got.records.len(), got.ttl), (1, Some(5)));
        let got = reply(&message(0x8180, &[&alias], &[]), 7, "a.example", Kind::A).expect("an answer");
        assert_eq!(got.alias.as_deref(), Some("b"));
    }

    #[test]
    fn other_answers_are_not_ours() {
        let good = message(0x8180, &[ADDRESS], &[]);
        for (id, name, kind) in [(8, "a.example", Kind::A), (7, "b.example", Kind::A), (7, "a.example", Kind::Aaaa)] {
            assert_eq!(reply(&good, id, name, kind), Err(MessageError::NotOurs), "{id} {name} {kind:?}");
        }
        // A question that comes back is no answer.
        let echoed = message(0x0100, &[], &[]);
        assert_eq!(reply(&echoed, 7, "a.example", Kind::A), Err(MessageError::NotOurs));
    }

    #[test]
    fn hostile_messages_are_refused_without_a_panic() {
        let good = message(0x8180, &[ADDRESS], &[]);
        for length in 0..good.len() {
            assert!(reply(&good[..length], 7, "a.example", Kind::A).is_err(), "{length} bytes");
        }
        let circle = [0xc0, 27, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1];
        assert_eq!(
            reply(&message(0x8180, &[&circle], &[]), 7, "a.example", Kind::A),
            Err(MessageError::Malformed),
            "a pointer to itself"
        );
        // Every byte changed in every way that a bit can be: nothing panics.
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                let _ = reply(&bytes, 7, "a.example", Kind::A);
            }
        }
    }

    #[test]
    fn names_that_cannot_be_asked_for_are_refused() {
        for name in ["", "a..b", &"a".repeat(64), &"a.".repeat(130)] {
            assert_eq!(question(1, name, Kind::A), Err(MessageError::Name), "{name}");
        }
    }
}
