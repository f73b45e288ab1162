//! One value out of a JSON text, without reading the rest into memory.
//!
//! Only what has to be read to find the value is read, and only that is checked. Of several members with one name the last
//! one counts, as it does when the whole text is read: a text must not mean two things.

use std::ops::Range;

use super::scan::{self, Fault, RawText};

/// The members of an object or the elements of a list, in the order of the text. Other values have none.
#[derive(Clone, Debug)]
pub(crate) struct Children<'text> {
    text: &'text [u8],
    at: usize,
    close: u8,
    is_first: bool,
}

/// A child: its name in an object, and where its value is.
pub(crate) type Child<'text> = (Option<RawText<'text>>, Range<usize>);

impl<'text> Children<'text> {
    /// The children of the value at `at`.
    pub(crate) fn of(text: &'text [u8], at: usize) -> Self {
        let close = match text.get(at) {
            Some(b'{') => b'}',
            Some(b'[') => b']',
            _ => 0,
        };
        Self { text, at: if close == 0 { at } else { at + 1 }, close, is_first: true }
    }

    pub(crate) fn is_map(&self) -> bool {
        self.close == b'}'
    }

    pub(crate) fn is_list(&self) -> bool {
        self.close == b']'
    }

    /// The next child, or `None` behind the last one.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Child<'text>>, Fault> {
        if self.close == 0 {
            return Ok(None);
        }
        let text = self.text;
        let mut at = scan::space(text, self.at);
        match text.get(at) {
            Some(&byte) if byte == self.close && self.is_first => return Ok(self.finish(at + 1)),
            Some(&byte) if byte == self.close => return Ok(self.finish(at + 1)),
            Some(b',') if !self.is_first => at = scan::space(text, at + 1),
            Some(_) if self.is_first => {}
            _ => return Err(Fault::new(at, if self.is_map() { "expected `,` or `}`" } else { "expected `,` or `]`" })),
        }
        self.is_first = false;
        let mut name = None;
        if self.is_map() {
            if text.get(at) != Some(&b'"') {
                return Err(Fault::new(at, "expected a name in quotes"));
            }
            let (raw, end) = scan::string(text, at + 1)?;
            name = Some(raw);
            at = scan::space(text, end);
            if text.get(at) != Some(&b':') {
                return Err(Fault::new(at, "expected `:`"));
            }
            at = scan::space(text, at + 1);
        }
        let end = scan::skip(text, at)?;
        self.at = end;
        Ok(Some((name, at..end)))
    }

    fn finish(&mut self, end: usize) -> Option<Child<'text>> {
        self.at = end;
        self.close = 0;
        None
    }

    /// The position behind the value, once `next` has answered `None`.
    fn end(&self) -> usize {
        self.at
    }
}

/// The value of a member, of the object at `at`.
pub(crate) fn member(text: &[u8], at: usize, name: &[u8]) -> Result<Option<Range<usize>>, Fault> {
    let mut children = Children::of(text, at);
    let mut found = None;
    if !children.is_map() {
        check_end(text, at, scan::skip(text, at)?)?;
        return Ok(None);
    }
    while let Some((key, value)) = children.next()? {
        if key.is_some_and(|key| key.is(name)) {
            found = Some(value);
        }
    }
    check_end(text, at, children.end())?;
    Ok(found)
}

/// An element of the list at `at`, counted from 0; from the end when `index` is negative.
pub(crate) fn element(text: &[u8], at: usize, index: i64) -> Result<Option<Range<usize>>, Fault> {
    let mut children = Children::of(text, at);
    if !children.is_list() {
        check_end(text, at, scan::skip(text, at)?)?;
        return Ok(None);
    }
    let mut wanted = index;
    if index < 0 {
        let mut counting = children.clone();
        while counting.next()?.is_some() {
            wanted += 1;
        }
    }
    let mut found = None;
    let mut place = 0;
    while let Some((_, value)) = children.next()? {
        if place == wanted {
            found = Some(value);
        }
        place += 1;
    }
    check_end(text, at, children.end())?;
    Ok(found)
}

/// Where the members of a text's outermost object are: found once, for several questions about one text.
#[derive(Debug, Default)]
pub(crate) struct Index {
    state: IndexState,
    members: Vec<Member>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum IndexState {
    #[default]
    Unknown,
    Known,
    /// No object, or one with too many members to remember.
    Useless,
}

#[derive(Debug)]
struct Member {
    name: Range<usize>,
    is_escaped: bool,
    value: Range<usize>,
}

/// Most members that are remembered. Comparing names one by one pays up to about here.
const INDEXED_MEMBERS_MAX: usize = 64;

impl Index {
    /// Forgets the text: the next question is about another one.
    pub(crate) fn clear(&mut self) {
        self.state = IndexState::Unknown;
        self.members.clear();
    }

    /// The value of a member, of the object at `at`, which is the outermost one of the text. Same as [`member`].
    pub(crate) fn member(&mut self, text: &[u8], at: usize, name: &[u8]) -> Result<Option<Range<usize>>, Fault> {
        if self.state == IndexState::Unknown {
            self.state = IndexState::Useless;
            if self.fill(text, at)? {
                self.state = IndexState::Known;
            }
        }
        if self.state == IndexState::Useless {
            return member(text, at, name);
        }
        let is_wanted = |member: &&Member| {
            let bytes = &text[member.name.clone()];
            RawText { bytes, at: member.name.start, is_escaped: member.is_escaped }.is(name)
        };
        Ok(self.members.iter().rfind(is_wanted).map(|member| member.value.clone()))
    }

    fn fill(&mut self, text: &[u8], at: usize) -> Result<bool, Fault> {
        let mut children = Children::of(text, at);
        if !children.is_map() {
            return Ok(false);
        }
        while let Some((Some(key), value)) = children.next()? {
            if self.members.len() == INDEXED_MEMBERS_MAX {
                return Ok(false);
            }
            self.members.push(Member { name: key.at..key.at + key.bytes.len(), is_escaped: key.is_escaped, value });
        }
        check_end(text, at, children.end())?;
        Ok(true)
    }
}

/// Behind the whole text's own value there may be only white space.
fn check_end(text: &[u8], start: usize, end: usize) -> Result<(), Fault> {
    let is_whole = scan::space(text, 0) == start;
    let rest = scan::space(text, end);
    if is_whole && rest < text.len() { Err(Fault::new(rest, "text behind the value")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#" {"id": 7, "name" : "x\"y", "a\u0062c": [1, [2, 3], {"k": null}], "": {}, "id": 8} "#;

    fn text_of(found: Result<Option<Range<usize>>, Fault>, text: &str) -> Result<Option<&str>, &'static str> {
        found.map(|range| range.map(|range| &text[range])).map_err(|fault| fault.what)
    }

    #[test]
    fn members_are_found_whatever_their_spelling_and_the_last_one_counts() {
        let cases = [
            ("id", Some("8")),
            ("name", Some(r#""x\"y""#)),
            ("abc", Some(r#"[1, [2, 3], {"k": null}]"#)),
            ("", Some("{}")),
            ("k", None),
            ("ID", None),
        ];
        for (name, want) in cases {
            assert_eq!(text_of(member(BODY.as_bytes(), 1, name.as_bytes()), BODY), Ok(want), "{name}");
        }
    }

    #[test]
    fn elements_are_counted_from_either_end() {
        let list = "[10, [20], \"]\", {}]";
        let cases = [
            (0, Some("10")),
            (1, Some("[20]")),
            (2, Some("\"]\"")),
            (3, Some("{}")),
            (4, None),
            (-1, Some("{}")),
            (-4, Some("10")),
            (-5, None),
            (i64::MAX, None),
            (i64::MIN, None),
        ];
        for (index, want) in cases {
            assert_eq!(text_of(element(list.as_bytes(), 0, index), list), Ok(want), "{index}");
        }
    }

    #[test]
    fn an_index_answers_as_the_text_does() {
        let many: String = (0..200).map(|n| format!("\"m{n}\":{n},")).collect();
        let many = format!("{{{many}\"m7\":\"last\"}}");
        for text in [BODY, &many, "{}", "[1]", "7"] {
            let (at, mut index) = (scan::space(text.as_bytes(), 0), Index::default());
            for name in ["id", "name", "abc", "", "none", "m7", "m199", "id"] {
                let want = text_of(member(text.as_bytes(), at, name.as_bytes()), text);
                assert_eq!(text_of(index.member(text.as_bytes(), at, name.as_bytes()), text), want, "{name}");
            }
        }
        for text in ["{\"a\":1", "{\"a\":1} x", "{\"a\" 1}", "no json"] {
            let mut index = Index::default();
            for _ in 0..2 {
                assert!(index.member(text.as_bytes(), 0, b"a").is_err(), "{text}");
            }
        }
    }

    #[test]
    fn other_values_have_no_children() {
        for text in ["1", "\"{}\"", "null"] {
            assert_eq!(text_of(member(text.as_bytes(), 0, b"a"), text), Ok(None), "{text}");
            assert_eq!(text_of(element(text.as_bytes(), 0, 0), text), Ok(None), "{text}");
        }
        assert_eq!(text_of(member(b"[1]", 0, b"a"), "[1]"), Ok(None));
        assert_eq!(text_of(element(b"{}", 0, 0), "{}"), Ok(None));
    }

    #[test]
    fn what_is_read_is_checked() {
        let cases = [
            ("{\"a\":1", "expected `,` or `}`"),
            ("{\"a\" 1}", "expected `:`"),
            ("{a:1}", "expected a name in quotes"),
            ("{\"a\":1,}", "expected a name in quotes"),
            ("{,\"a\":1}", "expected a name in quotes"),
            ("{\"a\":}", "expected a value"),
            ("{\"b\":[", "the text ends inside a list or an object"),
            ("{\"a\":1} x", "text behind the value"),
            ("[1] x", "text behind the value"),
            ("1 x", "text behind the value"),
            ("no json", "expected a value"),
            ("", "the text ends where a value is expected"),
        ];
        for (text, want) in cases {
            assert_eq!(text_of(member(text.as_bytes(), 0, b"a"), text), Err(want), "{text}");
        }
        assert_eq!(text_of(element(b"[1 2]", 0, 0), "[1 2]"), Err("expected `,` or `]`"));
        assert_eq!(text_of(element(b"[,1]", 0, 0), "[,1]"), Err("expected a value"));
    }
}
