//! Field blocks (RFC 7541): written as plainly as possible, read completely.

use std::collections::VecDeque;

use super::huffman;

/// The static table (RFC 7541 appendix A), from index 1.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// A field's name and value.
pub type Field = (Vec<u8>, Vec<u8>);

/// A block of literal fields that are not indexed (RFC 7541 section 6.2.2), names written out.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(name.as_bytes(), value.as_bytes())).collect()
}

/// The block of a request's pseudo-header fields, over plain TCP.
pub fn request(method: &str, path: &str, authority: &str) -> Vec<u8> {
    block(&[(":method", method), (":scheme", "http"), (":path", path), (":authority", authority)])
}

/// A literal field that is not indexed, of any bytes.
pub fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0x00][..], &string(name), &string(value)].concat()
}

/// A literal field that is added to the dynamic table (RFC 7541 section 6.2.1).
pub fn indexed_literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0x40][..], &string(name), &string(value)].concat()
}

/// A field of a table (RFC 7541 section 6.1); the dynamic table starts at 62.
pub fn indexed(index: u64) -> Vec<u8> {
    integer(0x80, 7, index)
}

/// A new size of the dynamic table (RFC 7541 section 6.3).
pub fn table_size(bytes: u64) -> Vec<u8> {
    integer(0x20, 5, bytes)
}

/// A string without code (RFC 7541 section 5.2).
pub fn string(bytes: &[u8]) -> Vec<u8> {
    [integer(0, 7, bytes.len() as u64), bytes.to_vec()].concat()
}

/// A string in the Huffman code.
pub fn coded_string(bytes: &[u8]) -> Vec<u8> {
    coded(&huffman::encode(bytes))
}

/// A string of which the test chooses the coded bytes.
pub fn coded(bytes: &[u8]) -> Vec<u8> {
    [integer(0x80, 7, bytes.len() as u64), bytes.to_vec()].concat()
}

/// A string that holds the end-of-string symbol, which is an error.
pub fn end_of_string() -> Vec<u8> {
    coded(&huffman::end_of_string())
}

/// An integer behind the high bits of a byte (RFC 7541 section 5.1).
pub fn integer(high: u8, prefix_bits: u32, value: u64) -> Vec<u8> {
    let largest = (1_u64 << prefix_bits) - 1;
    if value < largest {
        return vec![high | value as u8];
    }
    let mut bytes = vec![high | largest as u8];
    let mut rest = value - largest;
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

/// Reads field blocks of one connection.
#[derive(Debug, Default)]
pub struct Decoder {
    dynamic: VecDeque<Field>,
    bytes_max: usize,
}

impl Decoder {
    /// With a table of the size that holds as long as nothing else is agreed on.
    pub fn new() -> Self {
        Self { dynamic: VecDeque::new(), bytes_max: 4096 }
    }

    /// Reads a block.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn block(&mut self, mut bytes: &[u8]) -> Result<Vec<Field>, String> {
        let mut fields = Vec::new();
        while let Some(first) = bytes.first().copied() {
            let rest = &mut bytes;
            if first & 0x80 != 0 {
                let index = read_integer(rest, 7)?;
                fields.push(self.entry(index)?);
            } else if first & 0xe0 == 0x20 {
                self.bytes_max = read_integer(rest, 5)?;
                self.evict();
            } else {
                let is_kept = first & 0xc0 == 0x40;
                let index = read_integer(rest, if is_kept { 6 } else { 4 })?;
                let name = if index == 0 { read_string(rest)? } else { self.entry(index)?.0 };
                let field = (name, read_string(rest)?);
                fields.push(field.clone());
                if is_kept {
                    self.dynamic.push_front(field);
                    self.evict();
                }
            }
        }
        Ok(fields)
    }

    fn entry(&self, index: usize) -> Result<Field, String> {
        let missing = || format!("there is no field {index} in the tables");
        let place = index.checked_sub(1).ok_or_else(missing)?;
        match STATIC.get(place) {
            Some((name, value)) => Ok((name.as_bytes().to_vec(), value.as_bytes().to_vec())),
            None => self.dynamic.get(place - STATIC.len()).cloned().ok_or_else(missing),
        }
    }

    fn evict(&mut self) {
        let size =
            |fields: &VecDeque<Field>| fields.iter().map(|(name, value)| name.len() + value.len() + 32).sum::<usize>();
        while size(&self.dynamic) > self.bytes_max {
            let _: Option<Field> = self.dynamic.pop_back();
        }
    }
}

fn read_integer(bytes: &mut &[u8], prefix_bits: u32) -> Result<usize, String> {
    let cut_off = || "an integer was cut off".to_owned();
    let largest = (1_usize << prefix_bits) - 1;
    let (first, mut rest) = bytes.split_first().ok_or_else(cut_off)?;
    let mut value = usize::from(*first) & largest;
    if value == largest {
        for shift in (0..28).step_by(7) {
            let (byte, after) = rest.split_first().ok_or_else(cut_off)?;
            rest = after;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *bytes = rest;
    Ok(value)
}

fn read_string(bytes: &mut &[u8]) -> Result<Vec<u8>, String> {
    let is_coded = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let length = read_integer(bytes, 7)?;
    if bytes.len() < length {
        return Err("a string was cut off".to_owned());
    }
    let (string, rest) = bytes.split_at(length);
    *bytes = rest;
    if !is_coded {
        return Ok(string.to_vec());
    }
    huffman::decode(string).ok_or_else(|| "a string is no Huffman code".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfc_s_examples_are_read() {
        // RFC 7541 appendix C.4: three requests on one connection.
        let blocks: [(&[u8], &str); 3] = [
            (
                &[0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff],
                "",
            ),
            (&[0x82, 0x86, 0x84, 0xbe, 0x58, 0x86, 0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
            (
                &[
                    0x82, 0x87, 0x85, 0xbf, 0x40, 0x88, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f, 0x89, 0x25,
                    0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf,
                ],
                "custom-value",
            ),
        ];
        let mut decoder = Decoder::new();
        for (bytes, last) in blocks {
            let fields = decoder.block(bytes).expect("a block");
            assert_eq!(fields[3], (b":authority".to_vec(), b"www.example.com".to_vec()));
            assert_eq!(fields.get(4).map_or("", |(_, value)| std::str::from_utf8(value).expect("text")), last);
        }
    }

    #[test]
    fn integers_and_blocks_are_read_as_they_are_written() {
        assert_eq!(integer(0, 5, 1337), [31, 154, 10]);
        let mut decoder = Decoder::new();
        let bytes = [literal(b"a", b"b"), indexed_literal(b"c", &[b'd'; 300]), indexed(62)].concat();
        let fields = decoder.block(&bytes).expect("a block");
        assert_eq!(fields[0], (b"a".to_vec(), b"b".to_vec()));
        assert_eq!(fields[1], fields[2]);
    }
}
