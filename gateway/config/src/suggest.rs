//! "Did you mean": the known name that a misspelled one was probably meant to be.

/// Longest name worth comparing, in bytes. The names we know are far shorter, and comparing costs the product of lengths.
const NAME_BYTES_MAX: usize = 128;

/// Most candidates compared: with more names than that a person does not remember one by heart.
const CANDIDATES_MAX: usize = 2_000;

/// The candidate nearest to a name, if one is near enough: a third of its letters may differ, case and `_`, `-` never count.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let wanted = letters(name);
    let candidates = candidates.into_iter().take(CANDIDATES_MAX).filter(|candidate| candidate.len() <= NAME_BYTES_MAX);
    let near = candidates.filter_map(|candidate| {
        let known = letters(candidate);
        let allowed = (wanted.len().max(known.len()) / 3).max(1);
        if wanted.len().abs_diff(known.len()) > allowed {
            return None;
        }
        let distance = distance(&wanted, &known);
        // One differing letter of one or two is no resemblance.
        (distance <= allowed && distance < wanted.len().min(known.len()).max(1)).then_some((distance, candidate))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// What is compared of a name: `timeoutMs`, `timeout-ms` and `timeout_ms` are the same.
fn letters(name: &str) -> Vec<char> {
    name.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

/// Fewest insertions, deletions, replacements and swaps of neighbours between two names (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(from != to);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let known = ["upstream", "integration", "timeout_ms", "name", "api", "uri", "passthrough_behavior"];
        let cases = [
            ("upsteam", Some("upstream")),
            ("upstraem", Some("upstream")),
            ("Integration", Some("integration")),
            ("timeout", Some("timeout_ms")),
            ("timeoutMs", Some("timeout_ms")),
            ("passthroughBehavior", Some("passthrough_behavior")),
            ("url", Some("uri")),
            ("apu", Some("api")),
            ("a", None),
            ("", None),
            ("authorizer", None),
        ];
        for (name, want) in cases {
            assert_eq!(closest(name, known), want, "{name}");
        }
        assert_eq!(closest(&"x".repeat(1_000_000), known), None);
    }

    #[test]
    fn distances_count_swaps_as_one() {
        let cases = [("", "", 0), ("abc", "", 3), ("abc", "acb", 1), ("abc", "abd", 1), ("kitten", "sitting", 3)];
        for (a, b, want) in cases {
            assert_eq!(distance(&letters(a), &letters(b)), want, "{a} {b}");
        }
    }
}
