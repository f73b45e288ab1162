//! Tests of both readers: what is read, where it stands, what is refused.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::issue::Severity;

fn yaml(text: &str) -> Node {
    parse(text, "a.yaml").expect(text)
}

/// The code, message and marked text of every problem.
fn problems(text: &str, file: &str) -> Vec<(&'static str, String, String)> {
    let issues = parse(text, file).expect_err(text);
    issues
        .into_iter()
        .map(|issue| {
            assert_eq!((issue.severity, &*issue.file), (Severity::Error, file));
            let marked = issue.span.map_or("", |span| &text[span.start as usize..span.end as usize]);
            (issue.code, issue.message, marked.to_owned())
        })
        .collect()
}

#[test]
fn yaml_and_json_read_alike() {
    let want = json!({"a": [1, -2.5, true, null, "x"], "b": {"c": "200"}, "200": {}, "e": []});
    let block = "a:\n  - 1\n  - -2.5\n  - true\n  - ~\n  - x\nb:\n  c: '200'\n200: {}\ne: []\n";
    assert_eq!(yaml(block).to_json(), want);
    let text = want.to_string();
    assert_eq!(parse(&text, "a.json").expect("JSON").to_json(), want);
    assert_eq!(yaml(&text).to_json(), want);
}

#[test]
fn empty_files_are_empty_documents() {
    for text in ["", "\n", "# nothing\n", "---\n", "\u{feff}", "null"] {
        assert_eq!(yaml(text).value, Value::Null, "{text:?}");
    }
    assert_eq!(parse("", "a.json").expect("empty").value, Value::Null);
}

#[test]
fn values_know_where_they_stand() {
    let text =
        "\u{feff}# é\nname: \"日本\"\nlist: [ 1, {k: v} ]\nblock:\n  a: 1\n  b:\n    - x\n    - y z # c\nlast:\n";
    let node = yaml(text);
    let at = |pointer: &str| {
        let span = node.pointer(pointer).expect(pointer).span;
        &text[span.start as usize..span.end as usize]
    };
    assert_eq!(at("/name"), "\"日本\"");
    assert_eq!(at("/list"), "[ 1, {k: v} ]");
    assert_eq!(at("/list/1/k"), "v");
    assert_eq!(at("/block"), "a: 1\n  b:\n    - x\n    - y z");
    assert_eq!(at("/block/b/1"), "y z");
    assert_eq!(at("/last"), "");
    let key = node.span_of_key("block").expect("a key");
    assert_eq!(&text[key.start as usize..key.end as usize], "block");

    let text = "{ \"é\" : [ 12 , \"a\\nb\" ] }";
    let node = parse(text, "a.json").expect("JSON");
    let span = node.pointer("/é/1").expect("a value").span;
    assert_eq!(&text[span.start as usize..span.end as usize], "\"a\\nb\"");
    assert_eq!((node.span.start, node.span.end as usize), (0, text.len()));
}

#[test]
fn pointers_follow_rfc_6901() {
    let node = parse(r#"{"a/b": {"m~n": [10, 20]}, "": {"": 0}, "01": 1}"#, "a.json").expect("JSON");
    for (pointer, want) in [("/a~1b/m~0n/1", 20), ("//", 0), ("/01", 1)] {
        assert_eq!(node.pointer(pointer).and_then(Node::as_i64), Some(want), "{pointer}");
    }
    assert_eq!(node.pointer(""), Some(&node));
    for pointer in ["a", "/x", "/a~1b/m~0n/01", "/a~1b/m~0n/2", "/a~1b/m~0n/-", "/01/0", "/a~1b/m~0n/+1"] {
        assert_eq!(node.pointer(pointer), None, "{pointer}");
    }
    assert_eq!(pointer_to("/paths", "/a~b"), "/paths/~1a~0b");
}

#[test]
fn the_nearest_parent_stands_in_for_what_is_missing() {
    let mut text = "routes:\n  - match: GET /\n".to_owned();
    for at in 0..40 {
        text.push_str(&format!("key{at}: {{}}\n"));
    }
    let node = yaml(&text);
    let mut locator = Locator::new(&node);
    let mut shown = |pointer: &str| {
        let span = locator.span(pointer);
        text[span.start as usize..span.end as usize].to_owned()
    };
    assert_eq!(shown("/routes/0/match"), "GET /");
    assert_eq!(shown("/routes/0/integration/uri"), "match");
    assert_eq!(shown("/routes/7"), "routes");
    assert_eq!(shown("/key39/x"), "key39");
    assert_eq!(shown("/nothing"), "routes");
    assert_eq!(shown(""), "routes");
}

#[test]
fn quotes_and_tags_make_texts_and_plain_scalars_follow_the_schema() {
    let cases = [
        ("'true'", json!("true")),
        ("\"1\"", json!("1")),
        ("|\n  1", json!("1\n")),
        (">-\n  a\n  b", json!("a b")),
        ("!!str 1", json!("1")),
        ("! 1", json!("1")),
        ("!!int '7'", json!(7)),
        ("!!null ''", json!(null)),
        ("no", json!("no")),
        ("0o17", json!(15)),
        ("2024-01-01", json!("2024-01-01")),
    ];
    for (text, want) in cases {
        assert_eq!(yaml(&format!("a: {text}\n")).get("a").expect("a value").to_json(), want, "{text}");
    }
}

#[test]
fn keys_are_the_texts_they_were_written_as() {
    let node = yaml("200: a\n0x1F: b\ntrue: c\n~: d\n'q': e\n: f\n? long\n: g\n");
    let keys: Vec<&str> = node.entries().iter().map(|(key, _)| &*key.text).collect();
    assert_eq!(keys, ["200", "0x1F", "true", "~", "q", "", "long"]);
}

#[test]
fn aliases_repeat_values_and_stand_where_they_are_written() {
    let text = "a: &x {k: [1, 2]}\nb: *x\nc: &y text\nd: *y\n";
    let node = yaml(text);
    assert_eq!(node.to_json(), json!({"a": {"k": [1, 2]}, "b": {"k": [1, 2]}, "c": "text", "d": "text"}));
    let alias = node.get("b").expect("a value").span;
    assert_eq!(&text[alias.start as usize..alias.end as usize], "*x");
    assert_eq!(node.pointer("/b/k/0").expect("a value").span, node.pointer("/a/k/0").expect("a value").span);
}

#[test]
fn merge_keys_bring_what_the_mapping_does_not_have() {
    let cases = [
        ("b: &b {x: 1, y: 2}\nm: {<<: *b, y: 3}", json!({"y": 3, "x": 1})),
        ("b: &b {x: 1, y: 2}\nm:\n  y: 3\n  <<: *b\n  z: 4", json!({"x": 1, "y": 3, "z": 4})),
        ("b: &b {x: 1}\nc: &c {x: 2, y: 2}\nm: {<<: [*b, *c]}", json!({"x": 1, "y": 2})),
        ("b: &b {x: 1}\nc: &c {<<: *b, y: 2}\nm: {<<: *c}", json!({"x": 1, "y": 2})),
        ("m: {<<: {x: 1}, y: 2}", json!({"x": 1, "y": 2})),
        ("m: {\"<<\": 1}", json!({"<<": 1})),
    ];
    for (text, want) in cases {
        assert_eq!(yaml(text).get("m").expect("a value").to_json(), want, "{text}");
    }
    assert_eq!(problems("m: {<<: 1}", "a.yaml")[0].1, "`<<` takes a mapping or a list of mappings");
    assert_eq!(problems("b: &b {}\nm:\n  <<: *b\n  <<: *b\n", "a.yaml")[0].0, codes::DUPLICATE_KEY);
}

#[test]
fn bad_yaml_is_refused_where_it_stands() {
    let cases = [
        ("a: 1\n\tb: 2\n", codes::SYNTAX, "tab"),
        ("a: \"x\n", codes::SYNTAX, "never closed"),
        ("a: [1, 2\n", codes::SYNTAX, "`[` is never closed"),
        ("a: [1, 2}\n", codes::SYNTAX, "closes nothing"),
        ("a: {b: 1\n", codes::SYNTAX, "`{` is never closed"),
        ("a: [{b: 1 c: 2}]\n", codes::SYNTAX, ""),
        ("a: b: c\n", codes::SYNTAX, "`:` cannot stand here"),
        ("a: *nothing\n", codes::SYNTAX, "no anchor"),
        ("a: &x [*x]\n", codes::SYNTAX, "inside the value"),
        ("a: \"\\q\"\n", codes::SYNTAX, "unknown escape"),
        ("a: \"\\ud800\"\n", codes::SYNTAX, "surrogate"),
        ("a: @x\n", codes::SYNTAX, "cannot start a value"),
        ("a\nb: 1\n", codes::SYNTAX, ""),
        ("[1]\n[2]\n", codes::SYNTAX, "has ended above"),
        ("? [a]\n: b\n", codes::SYNTAX, "a key must be a text"),
        ("? {a: 1}\n: b\n", codes::SYNTAX, "a key must be a text"),
        ("a: &x k\n*x : 1\n", codes::SYNTAX, "an alias cannot be a key"),
        ("a: !Ref x\n", codes::SYNTAX, "`!Ref`"),
        ("a: !!binary aGk=\n", codes::SYNTAX, "binary"),
        ("a: !!int x\n", codes::SYNTAX, "`!!int`"),
        ("a: !!seq {}\n", codes::SYNTAX, "`!!seq`"),
        ("!Ref a: 1\n", codes::SYNTAX, "`!Ref`"),
        ("a: 1\n---\nb: 2\n", codes::SYNTAX, "one document"),
        ("a: 1\n...\nb: 2\n", codes::SYNTAX, "one document"),
        ("a: \u{0}\nb: 1\n", codes::SYNTAX, "NUL"),
        ("a: \u{1b}[31m\n", codes::SYNTAX, ""),
        ("a: 1e999\n", codes::LIMIT, "no value"),
        ("a: .inf\n", codes::LIMIT, "no value"),
    ];
    for (text, code, words) in cases {
        let found = problems(text, "a.yaml");
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert!(found[0].0 == code && found[0].1.contains(words), "{text:?}: {found:?}");
    }
}

#[test]
fn bad_json_is_refused_where_it_stands() {
    let cases = [
        ("{\"a\": 1,}", "}"),
        ("[1,]", "]"),
        ("[1 2]", "2"),
        ("{\"a\" 1}", "1"),
        ("{a: 1}", "a"),
        ("{\"a\": 1} x", "x"),
        ("[01]", "0"),
        ("[1.]", "1"),
        ("[1e]", "1"),
        ("[.5]", "."),
        ("[+1]", "+"),
        ("[-]", "-"),
        ("[1a]", "1"),
        ("[NaN]", "N"),
        ("[nul]", "n"),
        ("['x']", "'"),
        ("[\"x]", "\""),
        ("[\"\\x\"]", "\\"),
        ("[\"\\u12\"]", "\\"),
        ("[\"\\u12é\"]", "\\"),
        ("[\"\\ud800\"]", "\\"),
        ("[\"\\ud800\\u0041\"]", "\\"),
        ("[\"\\udc00\"]", "\\"),
        ("[\"a\tb\"]", "\t"),
        ("[\"a\u{0}b\"]", "\u{0}"),
        ("[\u{0}]", "\u{0}"),
        ("[// no\n1]", "/"),
        ("[é]", "é"),
        ("[", ""),
        ("{\"a\":", ""),
    ];
    for (text, marked) in cases {
        let found = problems(text, "a.json");
        assert!(found.len() == 1 && found[0].0 == codes::SYNTAX && found[0].2 == marked, "{text:?}: {found:?}");
    }
    assert_eq!(problems("[1e999]", "a.json")[0].0, codes::LIMIT);
}

#[test]
fn json_texts_and_numbers_keep_their_values() {
    let cases = [
        (r#"["\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t"]"#, json!(["é😀\"\\/\u{8}\u{c}\n\r\t"])),
        (r#"["\u0000"]"#, json!(["\u{0}"])),
        ("[-0, 0.5, 1E+2, 9223372036854775807]", json!([0, 0.5, 100.0, i64::MAX])),
        ("[18446744073709551615]", json!([18_446_744_073_709_551_615.0])),
    ];
    for (text, want) in cases {
        assert_eq!(parse(text, "a.json").expect(text).to_json(), want, "{text}");
    }
}

#[test]
fn every_duplicate_key_is_reported_at_its_second_place() {
    for file in ["a.json", "a.yaml"] {
        let text = "{\"a\": 1, \"b\": {\"c\": 1, \"c\": 2},\n \"a\": 3}";
        let issues = parse(text, file).expect_err("duplicates");
        let found: Vec<_> = issues.iter().map(|issue| (issue.code, issue.span, issue.label.as_deref())).collect();
        let want = [
            (codes::DUPLICATE_KEY, Some(span(23, 26)), Some("first on line 1")),
            (codes::DUPLICATE_KEY, Some(span(33, 36)), Some("first on line 1")),
        ];
        assert_eq!(found, want, "{file}");
    }
    let mut large: String = (0..5_000).map(|at| format!("k{at}: 1\n")).collect();
    large.push_str("k77: 2\n");
    assert_eq!(problems(&large, "a.yaml")[0].2, "k77");
    let many: String = "k: 1\n".repeat(5_000);
    assert!(parse(&many, "a.yaml").expect_err("duplicates").len() <= ISSUES_MAX + 1);
}

#[test]
fn nesting_has_a_limit_in_every_notation() {
    let deep = 100_000;
    let hostile = [
        ("a.json", "[".repeat(deep)),
        ("a.json", "{\"a\":".repeat(deep)),
        ("a.yaml", "[".repeat(deep)),
        ("a.yaml", "{a: ".repeat(deep)),
        ("a.yaml", "- ".repeat(deep)),
        ("a.yaml", (0..300).map(|at| format!("{}a:\n", " ".repeat(at))).collect()),
    ];
    for (file, text) in hostile {
        let found = problems(&text, file);
        assert_eq!((found.len(), found[0].0), (1, codes::LIMIT), "{}", &text[..20]);
    }
    for file in ["a.json", "a.yaml"] {
        let deepest = "[".repeat(DEPTH_MAX) + &"]".repeat(DEPTH_MAX);
        assert!(parse(&deepest, file).is_ok(), "{file}");
        let deeper = format!("[{deepest}]");
        assert_eq!(problems(&deeper, file)[0].0, codes::LIMIT, "{file}");
    }
    let half = DEPTH_MAX / 2 + 1;
    let stacked =
        format!("a: &a {}1{}\nb: {}*a{}\n", "[".repeat(half), "]".repeat(half), "[".repeat(half), "]".repeat(half));
    assert_eq!(problems(&stacked, "a.yaml")[0].0, codes::LIMIT);
}

#[test]
fn aliases_cannot_blow_a_document_up() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for at in 1..30 {
        let before = vec![format!("*a{}", at - 1); 9].join(", ");
        laughs.push_str(&format!("a{at}: &a{at} [{before}]\n"));
    }
    let found = problems(&laughs, "a.yaml");
    assert!(found.len() == 1 && found[0].0 == codes::LIMIT && found[0].1.contains("10 times"), "{found:?}");

    let long_text = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 10_000].join(", "));
    assert_eq!(problems(&long_text, "a.yaml")[0].0, codes::LIMIT);

    let merges = format!("a: &a {{{}}}\nb: [{}]\n", keys(2_000), vec!["{<<: *a}"; 2_000].join(", "));
    assert_eq!(problems(&merges, "a.yaml")[0].0, codes::LIMIT);

    let nested_anchors: String = (0..100).map(|at| format!("{}a{at}: &a{at}\n", " ".repeat(at))).collect();
    let wide = format!("{nested_anchors}{}x: [{}]\n", " ".repeat(100), vec!["1"; 200_000].join(", "));
    assert_eq!(problems(&wide, "a.yaml")[0].0, codes::LIMIT);

    let honest = format!("base: &b {{timeout: 1}}\nlist:\n{}", "  - *b\n".repeat(5_000));
    assert!(parse(&honest, "a.yaml").is_ok());
}

fn keys(count: usize) -> String {
    (0..count).map(|at| format!("k{at}: 1")).collect::<Vec<_>>().join(", ")
}

#[test]
fn texts_and_values_have_limits() {
    let huge = " ".repeat(TEXT_BYTES_MAX + 1);
    let issues = parse(&huge, "a.yaml").expect_err("too large");
    assert_eq!((issues[0].code, issues[0].span), (codes::LIMIT, None));

    let many = format!("[{}1]", "1,".repeat(NODES_MAX));
    let issues = parse(&many, "a.json").expect_err("too many values");
    assert_eq!(issues[0].code, codes::LIMIT);
}

#[test]
fn large_and_awkward_documents_are_read_in_one_pass() {
    let key = "k".repeat(1_000);
    let routes: String = (0..20_000).map(|at| format!("  - match: GET /r{at}\n    upstream: http://h:1\n")).collect();
    let cases = [
        ("a.json", format!("{{\"{}\": 1}}", "k".repeat(5_000_000))),
        ("a.json", format!("[{}\"\"]", "\"\\n\",".repeat(200_000))),
        ("a.yaml", format!("{key}: 1\n")),
        ("a.yaml", format!("a: {}\n", "x".repeat(5_000_000))),
        ("a.yaml", format!("a: |\n{}", "  line\n".repeat(100_000))),
        ("a.yaml", format!("a: \"{}\"\n", "x\n  ".repeat(100_000))),
        ("a.yaml", "# comment\n".repeat(100_000)),
        ("a.yaml", format!("api: a\nroutes:\n{routes}")),
    ];
    for (file, text) in cases {
        assert!(parse(&text, file).is_ok(), "{}", &text[..30]);
    }
    // A YAML key ends within 1024 characters (YAML 1.2.2 section 7.4.2); longer ones need `? `.
    assert_eq!(problems(&format!("{}: 1\n", "k".repeat(2_000_000)), "a.yaml")[0].0, codes::SYNTAX);
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic_and_places_lie_within_it(text in texts(), is_json in any::<bool>()) {
        let file = if is_json { "a.json" } else { "a.yaml" };
        match parse(&text, file) {
            Ok(node) => check_places(&node, &text)?,
            Err(issues) => {
                prop_assert!(!issues.is_empty());
                for issue in issues {
                    check_span(issue.span.expect("small texts have places"), &text)?;
                }
            }
        }
    }

    #[test]
    fn json_reads_as_serde_json_does(text in json_texts()) {
        let ours = parse(&text, "a.json").map(|node| node.to_json());
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        // Ours also refuses duplicate keys, which the generator does not make.
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}", text);
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            prop_assert_eq!(ours, theirs);
        }
    }
}

/// Texts made of the pieces that both formats give a meaning to, and arbitrary ones.
fn texts() -> impl Strategy<Value = String> {
    let pieces = [
        "{", "}", "[", "]", ":", ": ", ",", "- ", "? ", "\n", "\n  ", "\n    ", "\"", "'", "\\", "\\u", "d83d",
        "\\ude00", "&a ", "*a", "<<", "!!str ", "!x ", "#", "|", ">", "---", "...", "%YAML", "\t", "\r\n", "1", "-",
        ".", "e9", "true", "null", "~", "a", "é", "日本", "😀", "\u{feff}", "\u{0}", "\u{85}", "\u{2028}",
    ];
    let soup = prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..40).prop_map(|pieces| pieces.concat());
    prop_oneof![soup, any::<String>()]
}

/// JSON, perhaps with one character changed.
fn json_texts() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        ".{0,6}".prop_map(|value| json!(value)),
    ];
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
            prop::collection::btree_map("[a-z]{0,3}", inner, 0..4).prop_map(|fields| json!(fields)),
        ]
    });
    let change =
        (any::<prop::sample::Index>(), prop::sample::select(vec!['{', '}', '[', ']', ',', ':', '"', '\\', '0', ' ']));
    (value, prop::option::of(change)).prop_map(|(value, change)| {
        // In a list, so that the JSON reader is chosen whatever the value is.
        let text = format!("[{value}]");
        let Some((at, with)) = change else { return text };
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        if at > 0 {
            chars[at] = with;
        }
        chars.into_iter().collect()
    })
}

fn check_places(node: &Node, text: &str) -> Result<(), TestCaseError> {
    check_span(node.span, text)?;
    for item in node.items() {
        check_places(item, text)?;
    }
    for (key, value) in node.entries() {
        check_span(key.span, text)?;
        check_places(value, text)?;
    }
    Ok(())
}

fn check_span(span: Span, text: &str) -> Result<(), TestCaseError> {
    let marked = text.get(span.start as usize..span.end as usize);
    prop_assert!(marked.is_some(), "{:?} in {:?}", span, text);
    Ok(())
}
