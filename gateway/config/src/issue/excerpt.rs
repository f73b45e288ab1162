//! One line of a text with carets under a span of it: cut to a readable width, safe to print.

use crate::issue::Span;
use crate::issue::lines::Lines;

/// Most columns shown before the span. Deep indentation and a long key still fit.
const BEFORE_COLUMNS_MAX: usize = 72;
/// Most columns shown of the span itself.
const SPAN_COLUMNS_MAX: usize = 72;
/// Most columns of the whole line, unless there is less than [`AFTER_COLUMNS_MIN`] left behind the span.
const LINE_COLUMNS_MAX: usize = 112;
/// Columns that are always shown after the span.
const AFTER_COLUMNS_MIN: usize = 24;
/// Most characters of each part, since combining marks take no columns.
const PART_CHARS_MAX: usize = 288;
/// Columns that a tab is shown as.
const TAB_COLUMNS: usize = 4;
/// What stands for the parts left out.
const CUT: &str = "...";

/// A line to print and what to print below it.
pub(super) struct Excerpt {
    /// The line.
    pub(super) line: String,
    /// The space before the carets.
    pub(super) indent: String,
    /// At least one caret.
    pub(super) carets: String,
}

/// The first line of a span. Cost: the length of the line, or of what is shown of it.
pub(super) fn cut(lines: &Lines<'_>, span: Span) -> Excerpt {
    let text = lines.text();
    let start = text.floor_char_boundary((span.start as usize).min(text.len()));
    let (line_start, line_end) = lines.bounds(start);
    // A span may start at the line break, which is not shown.
    let start = start.min(line_end);
    let end = text.floor_char_boundary((span.end as usize).min(line_end)).max(start);

    let mut line = String::new();
    let before = tail(&text[line_start..start]);
    if before.len() < start - line_start {
        line.push_str(CUT);
    }
    push_shown(&mut line, before);
    let indent = columns(&line);

    let spanned = head(&text[start..end], SPAN_COLUMNS_MAX);
    push_shown(&mut line, spanned);
    let width = columns(&line) - indent;
    let room = LINE_COLUMNS_MAX.saturating_sub(indent + width).max(AFTER_COLUMNS_MIN);
    let after = if spanned.len() == end - start { head(&text[end..line_end], room) } else { "" };
    push_shown(&mut line, after);
    if start + spanned.len() + after.len() < line_end {
        line.push_str(CUT);
    }
    line.truncate(line.trim_end().len());
    Excerpt { line, indent: " ".repeat(indent), carets: "^".repeat(width.max(1)) }
}

/// The end of a text that fits in front of the span.
fn tail(text: &str) -> &str {
    let mut room = BEFORE_COLUMNS_MAX;
    for (count, (at, c)) in text.char_indices().rev().enumerate() {
        let Some(left) = room.checked_sub(width(c)).filter(|_| count < PART_CHARS_MAX) else {
            return &text[at + c.len_utf8()..];
        };
        room = left;
    }
    text
}

/// The beginning of a text that fits into some columns.
fn head(text: &str, columns: usize) -> &str {
    let mut room = columns;
    for (count, (at, c)) in text.char_indices().enumerate() {
        let Some(left) = room.checked_sub(width(c)).filter(|_| count < PART_CHARS_MAX) else { return &text[..at] };
        room = left;
    }
    text
}

fn push_shown(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\t' => out.extend([' '; TAB_COLUMNS]),
            c if is_unsafe(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
}

fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// Whether a character acts on the terminal or reorders or hides what is around it.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// How many columns a character takes when shown. Coarse: the scripts that people write configuration in.
fn width(c: char) -> usize {
    match c {
        ' '..='~' => 1,
        '\t' => TAB_COLUMNS,
        c if is_unsafe(c) => c.escape_unicode().count(),
        // Combining marks, joiners and variation selectors.
        '\u{300}'..='\u{36f}'
        | '\u{483}'..='\u{489}'
        | '\u{591}'..='\u{5bd}'
        | '\u{64b}'..='\u{65f}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}'
        | '\u{200c}'..='\u{200d}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{fe20}'..='\u{fe2f}' => 0,
        // East Asian wide and fullwidth, Hangul, emoji (Unicode Standard Annex 11).
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f900}'..='\u{1f9ff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, marked: &str) -> (String, String) {
        let start = text.find(marked).expect("the marked part");
        let span = Span { start: start as u32, end: (start + marked.len()) as u32 };
        let excerpt = cut(&Lines::new(text), span);
        (excerpt.line, excerpt.indent + &excerpt.carets)
    }

    #[test]
    fn carets_stand_under_the_span() {
        let cases = [
            ("a: b", "b", "a: b", "   ^"),
            ("\ta: b", "b", "    a: b", "       ^"),
            ("x\n  \"日本\": b # c\n", "b", "  \"日本\": b # c", "          ^"),
            ("e\u{301}a: bad", "bad", "e\u{301}a: bad", "    ^^^"),
            ("one: [\n two ]", "[\n two ]", "one: [", "     ^"),
            ("a: \u{1b}[31mred", "red", "a: \\u{1b}[31mred", "             ^^^"),
            ("a: \u{202e}txt", "txt", "a: \\u{202e}txt", "           ^^^"),
        ];
        for (text, marked, line, carets) in cases {
            assert_eq!(shown(text, marked), (line.to_owned(), carets.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn long_lines_are_cut_around_the_span() {
        let (line, carets) = shown(&format!("{}bad{}", "x".repeat(10_000), "y".repeat(10_000)), "bad");
        assert_eq!(line, format!("...{}bad{}...", "x".repeat(72), "y".repeat(34)));
        assert_eq!(carets, format!("{}^^^", " ".repeat(75)));

        let (line, carets) = shown(&format!("a: {}", "z".repeat(10_000)), &"z".repeat(10_000));
        assert_eq!(line, format!("a: {}...", "z".repeat(72)));
        assert_eq!(carets, format!("   {}", "^".repeat(72)));
    }

    #[test]
    fn places_outside_of_the_text_are_shown_at_its_end() {
        let excerpt = cut(&Lines::new("a: b"), Span { start: 90, end: 99 });
        assert_eq!((&*excerpt.line, &*excerpt.carets), ("a: b", "^"));
        let excerpt = cut(&Lines::new(""), Span::default());
        assert_eq!((&*excerpt.line, &*excerpt.carets), ("", "^"));
    }
}
