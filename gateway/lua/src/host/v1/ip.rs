//! `gate.ip`: addresses and networks.

use std::net::IpAddr;

use moongate_exchange::Cidr;

use crate::host::function::{PhaseSet, any, function, text};
use crate::host::{Answer, Answered, Call, Noun};
use crate::stack::{StackFull, Value};

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.ip",
    about: "Addresses and networks in CIDR notation. IPv4 addresses in IPv6 clothing (`::ffff:192.0.2.1`) count as IPv4.",
    functions: &[
        function("version", PhaseSet::ALL, version)
            .about("4 or 6; nil when the text is not an address.")
            .takes(&[text("address", "the text")])
            .gives("number?")
            .example("gate.ip.version('2001:db8::1') --> 6\ngate.ip.version('192.0.2') --> nil"),
        function("matches", PhaseSet::ALL, matches)
            .about("Whether an address belongs to a network, or to one of a list.")
            .takes(&[text("address", "the address"), any("networks", "`10.0.0.0/8`, an address, or a list of such")])
            .gives("boolean")
            .fails("raises on networks that are none; what is not an address belongs to none")
            .costs("about 50 ns per network; `key` and `range` serve for long lists")
            .example("gate.ip.matches('10.1.2.3', '10.0.0.0/8') --> true\n\
                      gate.ip.matches('2001:db8::1', { '10.0.0.0/8', '2001:db8::/32' }) --> true"),
        function("key", PhaseSet::ALL, key)
            .about("An address as 32 hexadecimal digits that sort as addresses do, IPv4 in IPv6 clothing: for searching sorted \
                    lists.")
            .takes(&[text("address", "the address")])
            .gives("string?")
            .example("gate.ip.key('9.0.0.1') < gate.ip.key('10.0.0.1') --> true\ngate.ip.key('x') --> nil"),
        function("range", PhaseSet::ALL, range)
            .about("The first and the last address of a network, as `key` gives them.")
            .takes(&[text("network", "`10.0.0.0/8` or an address")])
            .gives("({ first: string, last: string }?, string?)")
            .fails("returns nil and a reason when the text is not a network")
            .example("gate.ip.range('10.0.0.0/30').last == gate.ip.key('10.0.0.3') --> true\ngate.ip.range('x') --> nil"),
    ],
    fields: &[],
    is_open: false,
};

fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn version<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    Ok(match address(call.text(1, "gate.ip.version")?) {
        Some(IpAddr::V4(_)) => Answer::Number(4.0),
        Some(IpAddr::V6(_)) => Answer::Number(6.0),
        None => Answer::Nil,
    })
}

/// Why a network cannot be used.
struct BadNetwork(String);

impl From<StackFull> for BadNetwork {
    fn from(StackFull: StackFull) -> Self {
        Self("the Lua stack is full".to_owned())
    }
}

fn network(value: Value<'_>) -> Result<Cidr, BadNetwork> {
    let Value::Text(text) = value else {
        return Err(BadNetwork(format!("a network is a string, not {}", value.type_name())));
    };
    String::from_utf8_lossy(text).parse().map_err(|error: moongate_exchange::cidr::Error| BadNetwork(error.to_string()))
}

fn matches<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.ip.matches";
    let Some(address) = address(call.text(1, FUNCTION)?) else { return Ok(Answer::Boolean(false)) };
    let search = || -> Result<bool, BadNetwork> {
        let Value::Table(list) = call.arguments.get(2) else {
            return Ok(network(call.arguments.get(2))?.contains(address));
        };
        for place in 1..=list.len() {
            if place % 1024 == 0 && call.run.ticket.is_due() {
                return Err(BadNetwork("the run was stopped".to_owned()));
            }
            if list.element(place, network)?.contains(address) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let found = search();
    found.map(Answer::Boolean).map_err(|BadNetwork(why)| call.run.refuse(format_args!("{FUNCTION}: {why}")))
}

fn key<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let Some(address) = address(call.text(1, "gate.ip.key")?) else { return Ok(Answer::Nil) };
    let output = &mut call.run.buffers.output;
    output.clear();
    write_key(address, output);
    Ok(Answer::Output)
}

fn write_key(address: IpAddr, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(
        octets(address).iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
    );
}

fn range<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let text = call.text(1, "gate.ip.range")?;
    let run = call.run;
    let (first, last) = match network(Value::Text(text)) {
        Ok(network) => network.range(),
        Err(BadNetwork(why)) => return Ok(run.fail(format_args!("{why}"))),
    };
    let output = &mut run.buffers.output;
    output.clear();
    output.extend_from_slice(b"{\"first\":\"");
    write_key(first, output);
    output.extend_from_slice(b"\",\"last\":\"");
    write_key(last, output);
    output.extend_from_slice(b"\"}");
    Ok(Answer::OutputJson)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_compare_as_their_bytes_do() {
        let ordered =
            ["0.0.0.0", "9.255.255.255", "10.0.0.0", "255.255.255.255", "2001:db8::", "2001:db8::1", "ff02::1"];
        let bytes: Vec<_> = ordered.iter().map(|text| octets(address(text.as_bytes()).expect(text))).collect();
        assert!(bytes.is_sorted());
    }
}
