//! Tests of decoding: every problem once, with its place, and nothing that only follows from another.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::api::ApiConfig;
use crate::source::parse;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Outer {
    name: Name,
    #[serde(default)]
    inner: Vec<Inner>,
    #[serde(default)]
    by_name: BTreeMap<Name, Inner>,
    #[serde(default)]
    by_number: BTreeMap<u16, bool>,
    shape: Option<Shape>,
    pair: Option<(u8, String)>,
    #[serde(default)]
    any: serde_json::Value,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Inner {
    number: u8,
    #[serde(default)]
    word: Option<Word>,
    #[serde(default)]
    ratio: f64,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Word {
    FirstWord,
    Other,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Shape {
    Empty,
    Size(u8),
    Sides { a: u8 },
}

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
struct Name(String);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with('x') { Err(format!("`{text}` starts with x")) } else { Ok(Self(text)) }
    }
}

fn outer(text: &str) -> (Option<Outer>, Vec<(&'static str, String, String)>) {
    let mut issues = Vec::new();
    let decoded = decode(&parse(text, "a.yaml").expect(text), "a.yaml", &mut issues);
    let found = issues.into_iter().map(|issue| (issue.code, issue.pointer, issue.message)).collect();
    (decoded, found)
}

#[test]
fn a_faultless_document_is_decoded_whole() {
    let text = "name: n\ninner: [{number: 1, word: other, ratio: 2}]\nby_name: {k: {number: 2, ratio: 0.5}}\nby_number: {200: true}\n\
                shape: {sides: {a: 3}}\npair: [1, x]\nany: {b: [1, 2.5, null]}\n";
    let (decoded, issues) = outer(text);
    assert_eq!(issues, []);
    let want = Outer {
        name: Name("n".to_owned()),
        inner: vec![Inner { number: 1, word: Some(Word::Other), ratio: 2.0 }],
        by_name: BTreeMap::from([(Name("k".to_owned()), Inner { number: 2, word: None, ratio: 0.5 })]),
        by_number: BTreeMap::from([(200, true)]),
        shape: Some(Shape::Sides { a: 3 }),
        pair: Some((1, "x".to_owned())),
        any: json!({"b": [1, 2.5, null]}),
    };
    assert_eq!(decoded, Some(want));
    for (text, want) in [("empty", Shape::Empty), ("{size: 4}", Shape::Size(4))] {
        let (decoded, _) = outer(&format!("name: n\nshape: {text}\n"));
        assert_eq!(decoded.and_then(|outer| outer.shape), Some(want), "{text}");
    }
}

#[test]
fn every_problem_is_found_once() {
    let text = "name: xylophone\nother: 1\ninner:\n  - {number: 1}\n  - {number: many, word: fist_word, ratio: [], extra: 1}\n  - 7\n  \
                - {number: 300}\n  - {}\n  - {number: 2}\nby_name:\n  a: {number: true}\n  xa: {number: 1}\n  b: {}\n\
                by_number: {200: true, many: false, 300: 1, 70000: true}\nshape: {size: big}\npair: [1]\n";
    let (decoded, mut issues) = outer(text);
    assert_eq!(decoded, None);
    issues.sort_by(|a, b| a.1.cmp(&b.1));
    let found: Vec<_> = issues.iter().map(|(code, pointer, message)| (*code, &**pointer, &**message)).collect();
    let want = [
        (codes::WRONG_TYPE, "/by_name/a/number", "expected a whole number, found the truth value `true`"),
        (codes::MISSING_FIELD, "/by_name/b", "missing field `number`"),
        (codes::REFUSED_VALUE, "/by_name/xa", "`xa` starts with x"),
        (codes::WRONG_TYPE, "/by_number/300", "expected `true` or `false`, found the number `1`"),
        (codes::WRONG_TYPE, "/by_number/70000", "expected a whole number from 0 to 65535, found the number `70000`"),
        (codes::WRONG_TYPE, "/by_number/many", "expected a whole number as key, found the text `many`"),
        (codes::UNKNOWN_FIELD, "/inner/1/extra", "unknown field `extra`"),
        (codes::WRONG_TYPE, "/inner/1/number", "expected a whole number, found the text `many`"),
        (codes::WRONG_TYPE, "/inner/1/ratio", "expected a number, found a list"),
        (codes::UNKNOWN_VALUE, "/inner/1/word", "unknown value `fist_word`"),
        (codes::WRONG_TYPE, "/inner/2", "expected a mapping, found the number `7`"),
        (codes::WRONG_TYPE, "/inner/3/number", "expected a whole number from 0 to 255, found the number `300`"),
        (codes::MISSING_FIELD, "/inner/4", "missing field `number`"),
        (codes::REFUSED_VALUE, "/name", "`xylophone` starts with x"),
        (codes::UNKNOWN_FIELD, "/other", "unknown field `other`"),
        (codes::WRONG_TYPE, "/pair", "expected a list of 2 items, found a list"),
        (codes::WRONG_TYPE, "/shape/size", "expected a whole number, found the text `big`"),
    ];
    assert_eq!(found, want);
}

#[test]
fn what_follows_from_another_problem_is_not_reported() {
    let cases = [
        // A required field that is wrong is not also missing.
        ("name: []\n", vec!["/name"]),
        // Nor one that is misspelled.
        ("nmae: n\n", vec!["/nmae"]),
        // A pair of which a half is wrong has the right length.
        ("name: n\npair: [x, y]\n", vec!["/pair/0", "/pair/1"]),
        // A misspelled variant has no contents.
        ("name: n\nshape: {sids: {a: 1}}\n", vec!["/shape"]),
        ("name: n\nshape: {sides: {a: x}}\n", vec!["/shape/sides/a"]),
    ];
    for (text, want) in cases {
        let (_, issues) = outer(text);
        let pointers: Vec<&str> = issues.iter().map(|(_, pointer, _)| &**pointer).collect();
        assert_eq!(pointers, want, "{text}: {issues:?}");
    }
}

#[test]
fn unknown_fields_are_left_out_and_the_rest_is_decoded() {
    let (decoded, issues) = outer("name: n\nnam: 1\ninner: [{number: 1, numbr: 2}]\n");
    assert_eq!(decoded.map(|outer| outer.inner.len()), Some(1));
    assert_eq!(issues.len(), 2);
}

#[test]
fn suggestions_never_name_a_field_that_is_there() {
    let mut issues = Vec::new();
    let node = parse("name: n\nnamee: m\nshap: empty\n", "a.yaml").expect("YAML");
    let _ = decode::<Outer>(&node, "a.yaml", &mut issues);
    let found: Vec<_> = issues.iter().map(|issue| (issue.label.as_deref(), issue.help.is_some())).collect();
    assert_eq!(found, [(None, true), (Some("did you mean `shape`?"), false)]);
}

#[test]
fn a_document_of_another_type_is_one_problem() {
    for text in ["", "- a", "text", "7"] {
        let (decoded, issues) = outer(text);
        assert!(decoded.is_none() && issues.len() == 1, "{text}: {issues:?}");
    }
    let mut issues = Vec::new();
    let node = parse("size: big\n", "a.yaml").expect("YAML");
    assert_eq!(decode::<Shape>(&node, "a.yaml", &mut issues), None);
    assert_eq!(issues.len(), 1, "{issues:?}");
}

#[test]
fn the_list_of_problems_ends() {
    let item = "  - {match: [], upstream: http://h:1}\n  - {upstream: 1}\n  - {match: GET /, upsteam: x}\n";
    let text = format!("api: a\nroutes:\n{}", item.repeat(10_000));
    let mut issues = Vec::new();
    let node = parse(&text, "a.yaml").expect("YAML");
    assert!(decode::<ApiConfig>(&node, "a.yaml", &mut issues).is_none());
    assert_eq!(issues.len(), ISSUES_MAX + 1);
    assert_eq!(issues.last().map(|issue| issue.code), Some(codes::TOO_MANY));
}

#[test]
fn problems_far_down_a_long_list_are_found_without_starting_over() {
    let good = "  - {match: GET /, upstream: 'http://h:1'}\n".repeat(5_000);
    let bad = "  - {match: GET /, upstream: [], name: [], description: [], plugins: [1, 2, 3]}\n".repeat(28);
    let text = format!("api: a\nroutes:\n{good}{bad}models: {{m: {{schema: {{}}, description: []}}}}\n");
    let mut issues = Vec::new();
    let node = parse(&text, "a.yaml").expect("YAML");
    assert!(decode::<ApiConfig>(&node, "a.yaml", &mut issues).is_none());
    assert_eq!(issues.len(), 28 * 6 + 1);
    let last = issues.last().map(|issue| &*issue.pointer);
    assert_eq!(last, Some("/models/m/description"));
}

#[test]
fn messages_stay_readable_whatever_the_document_holds() {
    let long = "x".repeat(1_000_000);
    let (_, issues) = outer(&format!("name: {long}\nshape: {long}\npair: {long}\n"));
    assert_eq!(issues.len(), 3);
    assert!(issues.iter().all(|(_, _, message)| message.len() < 500), "{issues:?}");
}
