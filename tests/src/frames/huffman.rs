//! The string code of HPACK (RFC 7541 section 5.2 and appendix B).
//!
//! The code is canonical: symbols sorted by the length of their codes, then by value, have consecutive codes. So the lengths alone
//! are enough.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Bits of each symbol's code, by symbol; 256 is the end of a string.
const BITS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
];

/// The end-of-string symbol.
const END: usize = 256;

/// Each symbol's code.
static CODES: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut order: Vec<usize> = (0..BITS.len()).collect();
    order.sort_by_key(|symbol| (BITS[*symbol], *symbol));
    let mut codes = vec![0; BITS.len()];
    let (mut code, mut bits) = (0_u32, BITS[order[0]]);
    for (place, symbol) in order.into_iter().enumerate() {
        if place > 0 {
            code = (code + 1) << (BITS[symbol] - bits);
        }
        bits = BITS[symbol];
        codes[symbol] = code;
    }
    codes
});

/// Symbols by the length of their code and the code.
static SYMBOLS: LazyLock<HashMap<(u8, u32), usize>> =
    LazyLock::new(|| CODES.iter().enumerate().map(|(symbol, code)| ((BITS[symbol], *code), symbol)).collect());

/// Writes a string in the code, padded with ones.
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    let mut bits = Bits::default();
    for byte in text {
        bits.push(CODES[usize::from(*byte)], BITS[usize::from(*byte)]);
    }
    bits.end()
}

/// The end-of-string symbol, which must not stand in a string (RFC 7541 section 5.2).
pub(super) fn end_of_string() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.push(CODES[END], BITS[END]);
    bits.end()
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn push(&mut self, code: u32, bits: u8) {
        for bit in (0..bits).rev() {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if code >> bit & 1 == 1
                && let Some(last) = self.bytes.last_mut()
            {
                *last |= 0x80 >> (self.count % 8);
            }
            self.count += 1;
        }
    }

    fn end(mut self) -> Vec<u8> {
        while !self.count.is_multiple_of(8) {
            self.push(1, 1);
        }
        self.bytes
    }
}

/// Reads a string; `None` where it is no code.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let (mut code, mut bits) = (0_u32, 0_u8);
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1)) {
        (code, bits) = (code << 1 | u32::from(bit), bits + 1);
        if let Some(symbol) = SYMBOLS.get(&(bits, code)) {
            text.push(u8::try_from(*symbol).ok()?);
            (code, bits) = (0, 0);
        } else if bits > 30 {
            return None;
        }
    }
    (bits < 8).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfc_s_example_is_read_and_written() {
        // RFC 7541 appendix C.4.1.
        let coded = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(encode(b"www.example.com"), coded);
        assert_eq!(decode(&coded).as_deref(), Some(&b"www.example.com"[..]));
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Some(all));
        assert_eq!(end_of_string(), [0xff; 4]);
        assert_eq!(decode(&end_of_string()), None);
    }
}
