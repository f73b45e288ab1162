//! A name server on 127.0.0.1, over UDP and TCP on one port, that says what a test wants, and misbehaves when told to.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;

const NO_SUCH_NAME: u16 = 3;
const SERVER_FAILURE: u16 = 2;

/// How long a socket waits before it looks whether the server is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// A running name server. Names that it was not told are "no such name", for a second.
pub struct DnsServer {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    names: Mutex<HashMap<String, Name>>,
    questions: Mutex<Vec<Question>>,
    is_stopping: AtomicBool,
}

/// A question as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name, in lower case.
    pub name: String,
    /// `A`, `AAAA`, `SRV` or the number.
    pub kind: String,
    /// Whether it came over TCP.
    pub is_tcp: bool,
}

/// What is said about a name.
#[derive(Clone, Debug, Default)]
pub struct Name {
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
    services: Vec<(u16, u16, u16, String)>,
    ttl: u32,
    manner: Manner,
}

/// How it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// As it should be.
    #[default]
    Proper,
    /// Not at all.
    Silent,
    /// With a server failure.
    Failing,
    /// Cut off over UDP, whole over TCP.
    Truncated,
    /// After garbage, an answer with a wrong id, one to another name, and an echo of the question: the first three name 127.0.0.9.
    Spoofed,
    /// With bytes that are no message.
    Garbage,
}

impl Name {
    /// A name with IPv4 addresses.
    pub fn v4<const N: usize>(ttl: u32, addresses: [&str; N]) -> Self {
        let v4 = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        Self { v4, ttl, ..Self::default() }
    }

    /// The same with IPv6 addresses too.
    #[must_use]
    pub fn and_v6<const N: usize>(mut self, addresses: [&str; N]) -> Self {
        self.v6 = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        self
    }

    /// A service: priority, weight, port and host of each server.
    pub fn service<const N: usize>(ttl: u32, servers: [(u16, u16, u16, &str); N]) -> Self {
        let services = servers.map(|(priority, weight, port, host)| (priority, weight, port, host.to_owned()));
        Self { services: services.into(), ttl, ..Self::default() }
    }

    /// The same, said in another manner.
    #[must_use]
    pub fn manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }
}

impl Default for DnsServer {
    fn default() -> Self {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            // The same port may be taken for UDP: then another is tried.
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("a bound socket has an address")) {
                break (tcp, udp);
            }
        };
        let address = tcp.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State::default());
        udp.set_read_timeout(Some(LOOK)).expect("a socket of ours");
        let (for_udp, for_tcp) = (Arc::clone(&state), Arc::clone(&state));
        thread::spawn(move || serve_udp(&udp, &for_udp));
        thread::spawn(move || serve_tcp(&tcp, &for_tcp));
        Self { address, state }
    }
}

impl DnsServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says this about a name from now on.
    pub fn set(&self, name: &str, says: Name) {
        self.state.names.lock().expect("no thread panics").insert(name.to_owned(), says);
    }

    /// Everything it was asked.
    pub fn questions(&self) -> Vec<Question> {
        self.state.questions.lock().expect("no thread panics").clone()
    }

    /// How often it was asked for a kind of record of a name.
    pub fn asked(&self, name: &str, kind: &str) -> usize {
        self.questions().iter().filter(|question| question.name == name && question.kind == kind).count()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.state.is_stopping.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn serve_udp(socket: &UdpSocket, state: &State) {
    let mut buffer = [0; 2_048];
    while !state.is_stopping.load(Ordering::SeqCst) {
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
        for message in state.answers(&buffer[..length], false) {
            drop(socket.send_to(&message, peer));
        }
    }
}

fn serve_tcp(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        let (false, Ok(mut stream)) = (state.is_stopping.load(Ordering::SeqCst), stream) else { return };
        let mut length = [0; 2];
        if stream.read_exact(&mut length).is_err() {
            continue;
        }
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut message).is_err() {
            continue;
        }
        for answer in state.answers(&message, true) {
            let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
            drop(stream.write_all(&framed));
        }
    }
}

impl State {
    /// The messages that answer a question.
    fn answers(&self, message: &[u8], is_tcp: bool) -> Vec<Vec<u8>> {
        let Some((name, kind, question_end)) = question(message) else { return Vec::new() };
        let kind_text = match kind {
            A => "A".to_owned(),
            AAAA => "AAAA".to_owned(),
            SRV => "SRV".to_owned(),
            other => other.to_string(),
        };
        let asked = Question { name: name.clone(), kind: kind_text, is_tcp };
        self.questions.lock().expect("no thread panics").push(asked);
        let known = self.names.lock().expect("no thread panics").get(&name).cloned();
        let head = Head { id: u16::from_be_bytes([message[0], message[1]]), question: &message[12..question_end] };
        let Some(known) = known else { return vec![head.message(NO_SUCH_NAME, false, &[])] };
        let right = head.message(0, false, &known.records(kind));
        match known.manner {
            Manner::Proper => vec![right],
            Manner::Silent => Vec::new(),
            Manner::Failing => vec![head.message(SERVER_FAILURE, false, &[])],
            Manner::Truncated if is_tcp => vec![right],
            Manner::Truncated => vec![head.message(0, true, &[])],
            Manner::Garbage => vec![vec![0xff; 40]],
            Manner::Spoofed => {
                let wrong = Name::v4(3_600, ["127.0.0.9"]).records(A);
                let other_id = Head { id: head.id.wrapping_add(1), ..head };
                let other_name = Head { question: b"\x05other\x04test\0\0\x01\0\x01", ..head };
                let echo = message.to_vec();
                vec![
                    vec![0xff; 40],
                    other_id.message(0, false, &wrong),
                    other_name.message(0, false, &wrong),
                    echo,
                    right,
                ]
            }
        }
    }
}

impl Name {
    /// Records as bytes, each with the question's name.
    fn records(&self, kind: u16) -> Vec<Vec<u8>> {
        let record = |data: &[u8]| {
            let mut bytes = vec![0xc0, 12];
            bytes.extend_from_slice(&kind.to_be_bytes());
            bytes.extend_from_slice(&[0, 1]);
            bytes.extend_from_slice(&self.ttl.to_be_bytes());
            bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
            bytes.extend_from_slice(data);
            bytes
        };
        match kind {
            A => self.v4.iter().map(|address| record(&address.octets())).collect(),
            AAAA => self.v6.iter().map(|address| record(&address.octets())).collect(),
            SRV => self
                .services
                .iter()
                .map(|(priority, weight, port, host)| {
                    let numbers = [*priority, *weight, *port].map(u16::to_be_bytes).concat();
                    record(&[numbers, labels(host)].concat())
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

#[derive(Clone, Copy)]
struct Head<'a> {
    id: u16,
    question: &'a [u8],
}

impl Head<'_> {
    fn message(&self, code: u16, is_truncated: bool, records: &[Vec<u8>]) -> Vec<u8> {
        let flags = 0x8180 | u16::from(is_truncated) << 9 | code;
        // "No" holds as long as the zone's record says (RFC 2308): a second.
        let authority: &[u8] = if records.is_empty() && !is_truncated {
            &[0, 0, 6, 0, 1, 0, 0, 0, 1, 0, 22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        } else {
            &[]
        };
        let counts = [1, records.len() as u16, u16::from(!authority.is_empty()), 0];
        let mut bytes = [self.id, flags].map(u16::to_be_bytes).concat();
        bytes.extend(counts.map(u16::to_be_bytes).concat());
        bytes.extend_from_slice(self.question);
        bytes.extend(records.concat());
        bytes.extend_from_slice(authority);
        bytes
    }
}

fn labels(host: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        host.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    bytes.push(0);
    bytes
}

/// The question's name, kind and end.
fn question(message: &[u8]) -> Option<(String, u16, usize)> {
    let mut at = 12;
    let mut name = String::new();
    loop {
        let length = usize::from(*message.get(at)?);
        let label = message.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            break;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
    }
    let kind = u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]);
    Some((name, kind, at + 4))
}
