//! Lines and columns of byte offsets.

/// Distance of the places where line numbers are remembered: small enough to count through, large enough that a text of
/// 64 MiB made of empty lines needs a 64 KiB table, not one entry per line.
const STEP_BYTES: usize = 4096;

/// Finds the lines of a text.
pub(crate) struct Lines<'a> {
    text: &'a str,
    /// Line breaks before each multiple of [`STEP_BYTES`].
    breaks_before: Vec<u32>,
}

/// A place as people count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
}

impl<'a> Lines<'a> {
    /// Cost: the length of the text.
    pub(crate) fn new(text: &'a str) -> Self {
        let chunks = text.as_bytes().chunks(STEP_BYTES).map(count_breaks);
        let sums = chunks.scan(0_u32, |sum, breaks| {
            *sum = sum.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX));
            Some(*sum)
        });
        Self { text, breaks_before: std::iter::once(0).chain(sums).collect() }
    }

    /// The position of a byte; places beyond the text are moved to its end. Cost: the length of the line.
    pub(crate) fn position(&self, at: usize) -> Position {
        let at = self.text.floor_char_boundary(at.min(self.text.len()));
        let step = at / STEP_BYTES;
        let breaks = self.breaks_before[step] as usize + count_breaks(&self.text.as_bytes()[step * STEP_BYTES..at]);
        let (start, _) = self.bounds(at);
        let is_first_byte = |byte: &&u8| (**byte & 0xC0) != 0x80;
        let column = 1 + self.text.as_bytes()[start..at].iter().filter(is_first_byte).count();
        Position { line: breaks + 1, column }
    }

    /// Where the line around a byte starts and ends, its line break excluded. Cost: the length of the line.
    pub(crate) fn bounds(&self, at: usize) -> (usize, usize) {
        let at = self.text.floor_char_boundary(at.min(self.text.len()));
        let start = self.text[..at].rfind('\n').map_or(0, |line_break| line_break + 1);
        let end = self.text[at..].find('\n').map_or(self.text.len(), |line_break| at + line_break);
        let has_return = self.text[start..end].ends_with('\r');
        (start, end - usize::from(has_return))
    }

    /// The text.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }
}

fn count_breaks(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        let lines = Lines::new("ab\r\né=1\n\nend");
        for (at, line, column) in
            [(0, 1, 1), (3, 1, 4), (4, 2, 1), (5, 2, 1), (6, 2, 2), (9, 3, 1), (10, 4, 1), (99, 4, 4)]
        {
            assert_eq!(lines.position(at), Position { line, column }, "byte {at}");
        }
        assert_eq!(lines.bounds(0), (0, 2));
        assert_eq!(lines.bounds(5), (4, 8));
        assert_eq!(lines.bounds(99), (10, 13));
    }

    #[test]
    fn an_empty_text_has_one_line() {
        let lines = Lines::new("");
        assert_eq!(lines.position(7), Position { line: 1, column: 1 });
        assert_eq!(lines.bounds(1), (0, 0));
    }

    #[test]
    fn line_numbers_hold_across_the_remembered_places() {
        let text = "x\n".repeat(3 * STEP_BYTES);
        let lines = Lines::new(&text);
        for at in [0, STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1, 5 * STEP_BYTES + 3, text.len()] {
            assert_eq!(lines.position(at), Position { line: at / 2 + 1, column: at % 2 + 1 }, "byte {at}");
        }
    }
}
