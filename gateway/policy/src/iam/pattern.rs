//! Wildcards: `*` stands for any characters, `?` for one, across `/` and `:` too.

use super::Truth;

/// A list of patterns of which one (`Action`, `Resource`) or none (`NotAction`, `NotResource`) must match.
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    patterns: Box<[Box<str>]>,
    is_negated: bool,
}

impl Patterns {
    pub(super) fn new(patterns: Vec<Box<str>>, is_negated: bool) -> Self {
        Self { patterns: patterns.into(), is_negated }
    }

    pub(super) fn matches(&self, text: &str) -> Truth {
        self.any(|pattern| is_match(pattern, text, |a, b| a == b))
    }

    pub(super) fn match_ignoring_case(&self, text: &str) -> Truth {
        self.any(|pattern| is_match(pattern, text, |a, b| a.eq_ignore_ascii_case(&b)))
    }

    fn any(&self, is_match: impl Fn(&str) -> bool) -> Truth {
        let truth = if self.patterns.iter().any(|pattern| is_match(pattern)) {
            Truth::Yes
        } else if self.patterns.iter().any(|pattern| has_variable(pattern)) {
            Truth::Unknown
        } else {
            Truth::No
        };
        if self.is_negated { !truth } else { truth }
    }
}

/// Whether a pattern holds a policy variable (`${aws:username}`), whose value nobody knows here.
pub(super) fn has_variable(pattern: &str) -> bool {
    pattern.contains("${")
}

/// Whether the whole text matches a pattern, case and all.
pub(super) fn is_like(pattern: &str, text: &str) -> bool {
    is_match(pattern, text, |a, b| a == b)
}

/// Matches from left to right. On a mismatch only the last `*` takes one byte more: taking more at an earlier one could not
/// help, since the last one can take the same bytes. So the cost is the product of both lengths at worst, however many
/// wildcards there are.
fn is_match(pattern: &str, text: &str, is_same: impl Fn(u8, u8) -> bool) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut in_pattern, mut in_text) = (0, 0);
    // Behind the last `*`: the place in the pattern, and how far the text was when it took its last byte.
    let mut retry = None;
    while let Some(&byte) = text.get(in_text) {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                in_pattern += 1;
                retry = Some((in_pattern, in_text));
            }
            Some(&wanted) if wanted == b'?' || is_same(wanted, byte) => {
                in_pattern += 1;
                in_text += 1;
            }
            _ => {
                let Some((after_star, taken)) = retry else { return false };
                in_pattern = after_star;
                in_text = taken + 1;
                retry = Some((after_star, in_text));
            }
        }
    }
    pattern[in_pattern..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_whole_texts() {
        let cases = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b:c", true),
            ("**", "a", true),
            ("?", "", false),
            ("?", "a", true),
            ("?", "ab", false),
            ("a*", "ba", false),
            ("*a", "aab", false),
            ("*ab", "aab", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("*/GET/*", "x/GET/", true),
            ("h?llo*", "hello", true),
            ("h?llo*", "hllo", false),
            ("*?", "", false),
            ("*?x", "xx", true),
            ("A", "a", false),
            ("a.c", "abc", false),
            ("[a]", "a", false),
            ("*", "*", true),
            ("a*", "a*b", true),
        ];
        for (pattern, text, want) in cases {
            assert_eq!(is_like(pattern, text), want, "{pattern} {text}");
        }
        assert!(is_match("EXECUTE-api:inv*", "execute-api:Invoke", |a, b| a.eq_ignore_ascii_case(&b)));
    }

    #[test]
    fn many_wildcards_cost_no_more_than_the_product_of_the_lengths() {
        let pattern = format!("{}b", "*a".repeat(super::super::DOCUMENT_BYTES_MAX / 2));
        let text = "a".repeat(super::super::RESOURCE_BYTES_MAX);
        let comparisons = std::cell::Cell::new(0_usize);
        let counted = |a, b| {
            comparisons.set(comparisons.get() + 1);
            a == b
        };
        assert!(!is_match(&pattern, &text, counted));
        assert!(!is_match(&format!("*{text}b"), &text.repeat(2), counted));
        assert!(comparisons.get() <= 2 * pattern.len() * text.len() * 2, "{}", comparisons.get());
    }
}
