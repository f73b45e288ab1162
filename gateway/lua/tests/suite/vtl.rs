//! Translated Velocity templates, beside what the evaluator makes of the originals.

use std::time::Duration;

use bytes::Bytes;
use moongate_exchange::Exchange;
use moongate_lua::{Bank, ErrorKind, Kind, Limits, ScriptError, ScriptSet, json_at};
use moongate_vtl::evaluate::{self, Rendering, Sample};
use moongate_vtl::{Content, parse, translate};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::fixture::{exchange, generous};

const BODY: &str = r#"{
    "s": "Hello World", "e": "", "i": 7, "neg": -3, "d": 2.5, "whole": 5.0, "big": 12345678901234567890, "t": true, "f": false,
    "n": null, "l": [3, "x", null, {"k": "v"}, [1, 2.0]], "m": {"b": 1, "a": "two", "z": {"y": [true]}}, "uni": "Grüße 😀",
    "orders": [{"id": 1, "sku": "A-1"}, {"id": 2, "sku": "B-2"}, {"id": 3, "sku": "C-3"}]
}"#;

/// Begins every template below: the body's members as variables.
const PRELUDE: &str =
    "#set($b = $input.path('$'))#set($s = $b.s)#set($i = $b.i)#set($d = $b.d)#set($l = $b.l)#set($m = $b.m)";

/// What the exchange of the fixture looks like to the evaluator.
fn sample(body: &str) -> Sample {
    let texts =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let context = json!({
        "stage": "prod", "httpMethod": "POST", "resourcePath": "/pets/{id}", "apiId": "a1b2c3",
        "identity": {"apiKeyId": "key-9", "sourceIp": "192.0.2.7", "userAgent": "curl/8.0"},
        "authorizer": {"principalId": "user-1", "plan": "gold", "level": 3, "beta": true},
    });
    let Value::Object(context) = context else { unreachable!("an object") };
    Sample {
        body: body.to_owned(),
        path: texts(&[("id", "caf%C3%A9")]),
        querystring: texts(&[("q", "two words"), ("flag", ""), ("x y", "z"), ("x-token", "query")]),
        header: texts(&[
            ("host", "shop.example.com:8080"),
            ("user-agent", "curl/8.0"),
            ("content-type", "application/json"),
            ("x-token", "tok-7"),
            ("x-many", "last"),
        ]),
        context,
        stage_variables: texts(&[("backend", "b.internal"), ("empty", "")]),
    }
}

fn original(template: &str, body: &str) -> Result<Rendering, evaluate::Error> {
    let parsed = parse(template).unwrap_or_else(|error| panic!("{template:?}: {error}"));
    evaluate::render(&parsed, &sample(body), &|body, path| json_at(body.as_bytes(), path))
}

fn script(template: &str) -> String {
    let parsed = parse(template).unwrap_or_else(|error| panic!("{template:?}: {error}"));
    match translate(&parsed).unwrap_or_else(|problems| panic!("{template:?}: {problems:?}")).content {
        Content::Lua(script) => script,
        Content::Text(text) => format!("return {text:?}"),
    }
}

fn run(script: &str, body: &str, limits: Limits, exchange: &mut Exchange) -> Result<String, ScriptError> {
    let mut set = ScriptSet::new();
    let id = set.add(Kind::Template, "template.vtl", script)?;
    let bank = Bank::build(&set, 1, limits)?;
    let mapped = bank.vm().map_request(id, exchange, &Bytes::copy_from_slice(body.as_bytes()))?;
    Ok(String::from_utf8_lossy(&mapped.body).into_owned())
}

#[test]
fn templates_mean_what_velocity_means() {
    let cases: &[(&str, &str)] = &[
        // Values as they print.
        ("$s|$i|$d|$b.whole|$b.big|$b.t|$b.n|$b.none|$!none", "Hello World|7|2.5|5.0|12345678901234567890|true|||"),
        ("$l", r#"[3,"x",null,{"k":"v"},[1,2.0]]"#),
        ("$m", "{b=1, a=two, z={y=[true]}}"),
        ("#set($x = [1, 'a', [2], {'k': 3}])$x", "[1, a, [2], {k=3}]"),
        ("#set($x = {'a': [1], 'b': $none})$x $x.toString()", "{a=[1], b=null} {a=[1], b=null}"),
        ("$m.entrySet() $m.keySet() $m.values()", r#"[b=1, a=two, z={y=[true]}] [b, a, z] [1, two, {y=[true]}]"#),
        // Following references.
        ("$l[0] $l[-1] $l[9]| $m['a'] $m.z.y[0] $l[3].k $l.get(1)", r#"3 [1,2.0] | two true v x"#),
        ("$b.orders[1].sku.toLowerCase().substring(0, 1)", "b"),
        ("$none.a.b.c|$s.a|$i.a|$l.a|$none[0]|$none.x()", "|||||"),
        // Conditions: only false is false.
        ("#if($none)1#end#if($b.n)2#end#if($b.e)3#end#if($b.f)4#end#if($b.t)5#end#if(!$none)6#end", "1235"),
        ("#if($none == $null)1#end#if($none == '')2#end#if($b.n == $null)3#end#if($l == '')4#end", "123"),
        ("#if($i == 7)1#end#if($i == 7.0)2#end#if($i == '7')3#end#if($b.t == 'true')4#end#if($s != 'x')5#end", "12345"),
        ("#if($i > 6 && $d < 3)1#end#if($s > 1)2#end#if($none < 1)3#end#if($d >= 2.5 || false)4#end", "14"),
        ("#if(false)1#elseif($i lt 8 and not $b.f)2#else 3#end#if($b.f)x#{else}y#end", "2y"),
        ("#set($x = $i == 7)$x|#set($x = !$x)$x|#set($x = $x && true)$x", "true|false|false"),
        // Arithmetic.
        ("#set($x = 7 / 2)$x#set($x = -7 / 2) $x#set($x = -7 % 3) $x#set($x = 7.0 / 2) $x", "3 -3 -1 3.5"),
        (
            "#set($x = .5 * .1)$x#set($x = 0.5 + 0.5) $x#set($x = 1e10 + 1) $x#set($x = 2.5 * 2) $x",
            "0.05 1.0 1.0000000001E10 5.0",
        ),
        (
            "#set($x = 9007199254740993 + 1)$x#set($x = 4611686018427387904 * 2) $x#set($x = $b.big - 1) $x",
            "9007199254740994 9223372036854775808 12345678901234567889",
        ),
        ("#set($x = $i / 0)[$x]#set($x = $s - 1)[$x]#set($x = 'a' + 1 + 2)$x#set($x = 1 + 2 + 'a')$x", "[][]a123a"),
        ("#set($x = $none + 1)$x", "1"),
        // Loops.
        ("#foreach($o in $b.orders)$foreach.count:$o.sku#if($foreach.hasNext),#end#end", "1:A-1,2:B-2,3:C-3"),
        (
            "#foreach($x in [1..3])$velocityCount$velocityHasNext#if($foreach.first)f#end#if($foreach.last)l#end #end",
            "1truef 2true 3falsel ",
        ),
        (
            "#foreach($v in $m)$v;#end#foreach($k in $m.keySet())$k#end#foreach($x in 'abc')$x#end#foreach($x in $none)$x#end",
            "1;two;{y=[true]};baz",
        ),
        (
            "#foreach($x in [1,2])#foreach($y in [1,2])$foreach.parent.count$foreach.count$foreach.topmost.index #end#end",
            "110 120 211 221 ",
        ),
        ("#foreach($x in [1..5])#if($x == 3)#break#end$x#end|$x|", "12||"),
        (
            "#set($x = 'kept')#foreach($x in [1])$x#end$x #foreach($e in $m.entrySet())$e.key=$e.value $e.getKey()#end",
            "1kept b=1 ba=two az={y=[true]} z",
        ),
        ("#set($q = [1])#foreach($x in $q)$q.add(2)#end$q", "true[1, 2]"),
        // Methods.
        (
            "$s.length() $s.indexOf('World') $s.contains('lo W') $s.replace('l', 'L') $s.split(' ').get(1) $s.toUpperCase()",
            "11 6 true HeLLo WorLd World HELLO WORLD",
        ),
        (
            "$s.replaceAll('[aeiou]', '<$0>') $s.matches('H.*') $s.equalsIgnoreCase('hello world') $s.equals($s) $s.charAt(0)",
            "H<e>ll<o> W<o>rld true true true H",
        ),
        ("$b.uni.length() $b.uni.substring(6) $b.uni.indexOf('😀') $b.uni.toUpperCase()", "8 😀 6 GRÜSSE 😀"),
        (
            "$l.size() $l.isEmpty() $l.contains('x') $l.contains(3) $l.indexOf('x') $l.subList(0, 2)",
            "5 false true true 1 [3, x]",
        ),
        (
            "#set($q = [])$q.add('a')$q.add(0, 'b')$q.set(1, 'c')$q.addAll([1, 2])$q.remove(0)$q.remove('c')$q",
            "trueatruebtrue[1, 2]",
        ),
        (
            "#set($q = {})$q.put('a', 1)$q.put('a', 2)$q.putIfAbsent('b', 3)$q.putAll({'c': 4})$q.remove('a')$q $q.containsKey('b') $q.get('c') $q.getOrDefault('x', 9) $q.size()",
            "12{b=3, c=4} true 4 9 2",
        ),
        (
            "#set($q = {})#set($q.x = 1)#set($q['y'] = {})#set($q.y.z = [1, 2])#set($q.y.z[0] = 'f')$q",
            "{x=1, y={z=[f, 2]}}",
        ),
        (
            "$i.toString().length() $i.equals(7) $d.intValue() $i.doubleValue() $i.parseInt('12') $b.t.toString() $i.compareTo(8)",
            "1 true 2 7.0 12 true -1",
        ),
        ("$s.format('%s has %05d', 'x', $i) $s.valueOf($i) $s.join('-', ['a', 'b'])", "x has 00007 7 a-b"),
        // Text in quotes.
        (
            "#set($x = \"$s: ${i}th #if($b.t)yes#end \"\"q\"\"\")$x|#set($x = '$s \"')$x|#set($x = \"$i\")$x.length()",
            "Hello World: 7th yes \"q\"|$s \"|1",
        ),
        // What is carried out later.
        ("#define($x)<$i>#end#set($i = 1)$x#set($i = 2)$x", "<1><2>"),
        ("#define($x)$foreach.index#end#foreach($y in [7, 8])$x#end[$x]", "01[]"),
        ("#macro(m $a $c)[$a/$c]#end#m($s 'x')#m(1, 2)#m([1], {'a': 1})", "[Hello World/x][1/2][[1]/{a=1}]"),
        ("#macro(m $a)#set($i = 1)$a#end#m($i)#m(\"v$i\")", "1v1"),
        (
            "#macro(outer $a)<#inner($a)>#end#macro(inner $a)$a#end#outer('x')#macro(w)($bodyContent)#end#@w()b$i#end",
            "<x>(b7)",
        ),
        ("#foreach($x in [1..3])#macro(stopAt $n)#if($x == $n)#stop#end$x#end#stopAt(2)#end never", "1"),
        ("a#stop b", "a"),
        // The request.
        (
            "$input.params('id') $input.params('q') $input.params('X-Token') $input.params('none')|",
            "caf%C3%A9 two words tok-7 |",
        ),
        (
            "$input.params().header.get('X-Token') $input.params().querystring.q #foreach($k in $input.params().path.keySet())$k#end",
            "tok-7 two words id",
        ),
        (
            "#set($p = $input.params())$p.keySet() $p.querystring.size() $p.get('path').get('id')",
            "[path, querystring, header] 4 caf%C3%A9",
        ),
        (
            "$input.json('$.m.z') $input.json('$.none') $input.path('$.orders[*].id') $input.path('$..sku')",
            r#"{"y":[true]} "" [1,2,3] ["A-1","B-2","C-3"]"#,
        ),
        (
            "$context.stage $context.identity.sourceIp $context.authorizer.plan $context.none|$context.authorizer.none|",
            "prod 192.0.2.7 gold ||",
        ),
        (
            "$stageVariables.backend $stageVariables['empty']|#foreach($k in $stageVariables.keySet())$k #end",
            "b.internal |backend empty ",
        ),
        ("#set($context.mine = {'a': 1})$context.mine.a#set($context.mine.b = 2)$context.mine", "1{a=1, b=2}"),
        (
            "$util.escapeJavaScript(\"it's\n\") $util.urlEncode('a b&c') $util.urlDecode('a+b%21') $util.base64Encode($s) $util.base64Decode('aGk=') $util.parseJson('{\"a\": [1]}').a[0]",
            "it\\'s\\n a+b%26c a b! SGVsbG8gV29ybGQ= hi 1",
        ),
        (
            "$util.escapeJavaScript($b.n)|$util.escapeJavaScript($none)|$util.urlEncode($none)|$util.escapeJavaScript($i)",
            "null|||7",
        ),
        ("$util.qr($m.put('q', 1))$m.q#return($m.z)", "1{\"y\":[true]}"),
        (
            "\\$s $$s ${s}x $s.toUpperCase().x #[[$s]]# $ ${ #x ## gone\n\\#if",
            "$s $Hello World Hello Worldx  $s $ ${ #x #if",
        ),
    ];
    for (template, want) in cases {
        let template = format!("{PRELUDE}{template}");
        let rendering = original(&template, BODY).unwrap_or_else(|error| panic!("{template}: {error}"));
        assert_eq!(rendering.text, *want, "the original: {template}");
        let script = script(&template);
        let got = run(&script, BODY, generous(), &mut exchange()).unwrap_or_else(|error| panic!("{error}\n{script}"));
        assert_eq!(got, *want, "{template}\n{script}");
    }
}

#[test]
fn overrides_reach_the_exchange() {
    let template = "#set($context.requestOverride.header.X-A = $input.path('$.i'))\
        #set($name = 'dyn')#set($context.requestOverride.querystring[$name] = \"v $name\")\
        #set($ignore = $context.requestOverride.path.put('p', 1))\
        #set($context.responseOverride.header['x-list'] = ['a', 'b'])#set($context.responseOverride.status = 404)\
        $context.requestOverride.querystring.dyn $context.responseOverride.status";
    let mut exchange = exchange();
    let text = run(&script(template), BODY, generous(), &mut exchange).expect("runs");
    let overrides = exchange.overrides.expect("overrides");
    assert_eq!(text, "v dyn 404");
    let pairs = |map: &indexmap::IndexMap<Box<str>, Box<str>>| -> Vec<(String, String)> {
        map.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    };
    let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    assert_eq!(pairs(&overrides.request_headers), pair("X-A", "7"));
    assert_eq!(pairs(&overrides.request_query), pair("dyn", "v dyn"));
    assert_eq!(pairs(&overrides.request_path), pair("p", "1"));
    assert_eq!(pairs(&overrides.response_headers), pair("x-list", "a,b"));
    assert_eq!(overrides.response_status.map(|status| status.as_u16()), Some(404));
}

#[test]
fn bodies_that_are_no_json() {
    let template = "$input.json('$.a')|$input.path('$')|$input.path('$.a')|$input.json('$')|$input.body";
    for (body, want) in [
        ("plain text", Some("\"\"|plain text||\"plain text\"|plain text")),
        ("", Some("\"\"|{}||{}|{}")),
        ("7", Some("\"\"|7||7|7")),
        ("{\"a\": ", None),
        ("[1,", None),
    ] {
        let rendering = original(template, body).map(|rendering| rendering.text);
        assert_eq!(rendering.as_deref().ok(), want, "the original on {body:?}");
        let got = run(&script(template), body, generous(), &mut exchange());
        match (got, want) {
            (Ok(got), Some(want)) => assert_eq!(got, want, "{body:?}"),
            (Err(error), None) => assert_eq!(error.kind, ErrorKind::BodyNotJson, "{error}"),
            (got, want) => panic!("{body:?}: {got:?}, not {want:?}"),
        }
    }
    let broken = Bytes::from_static(b"\xff\xfe{");
    let mut set = ScriptSet::new();
    let id = set.add(Kind::Template, "t", &script("$input.body.length() $input.path('$.a')|")).expect("compiles");
    let bank = Bank::build(&set, 1, generous()).expect("builds");
    let mapped = bank.vm().map_request(id, &mut exchange(), &broken).expect("a text of broken characters");
    assert_eq!(&mapped.body[..], b"3 |");
}

#[test]
fn hostile_templates_are_stopped() {
    let limits = Limits { cpu: Duration::from_millis(50), wall: Duration::from_secs(60), ..Limits::default() };
    let long = "x".repeat(60_000);
    let cases = [
        (
            "#foreach($a in [1..99999])#foreach($b in [1..99999])#set($c = $a)#end#end",
            vec![ErrorKind::CpuBudget, ErrorKind::MemoryBudget],
        ),
        ("#set($r = [1..50000])#foreach($a in $r)#foreach($b in $r)#set($c = $a)#end#end", vec![ErrorKind::CpuBudget]),
        ("#foreach($a in [1..999999999])x#end", vec![ErrorKind::Raised]),
        ("#macro(m)#m()#end#m()", vec![ErrorKind::Raised, ErrorKind::CpuBudget, ErrorKind::MemoryBudget]),
        ("#macro(m)#m()#m()#end#m()", vec![ErrorKind::Raised, ErrorKind::CpuBudget, ErrorKind::MemoryBudget]),
        ("#define($d)$d$d#end$d", vec![ErrorKind::Raised, ErrorKind::CpuBudget, ErrorKind::MemoryBudget]),
        (
            "#set($s = 'xxxxxxxxxx')#foreach($a in [1..60])#set($s = \"$s$s\")#end$s",
            vec![ErrorKind::MemoryBudget, ErrorKind::CpuBudget],
        ),
        ("#foreach($a in [1..99999])$input.body$input.body#end", vec![ErrorKind::MemoryBudget, ErrorKind::CpuBudget]),
        ("#set($l = [])#set($x = $l.add($l))$l", vec![ErrorKind::Raised]),
        ("#set($m = {})#set($m.m = $m)#if($m == {'m': $m})x#end$m", vec![ErrorKind::Raised]),
        ("#set($p = \"$input.body\")$p.replaceAll('(x+x+)+y', 'z')", vec![]),
        ("$input.body.repeat(100000000)", vec![ErrorKind::Raised]),
        ("#set($x = $input.body.format('%2000s', 1))$x", vec![ErrorKind::Raised]),
    ];
    for (template, kinds) in cases {
        let result = run(&script(template), &long, limits, &mut exchange());
        match result {
            Ok(text) => assert!(kinds.is_empty() && text.len() < 1 << 20, "{template}: {} bytes", text.len()),
            Err(error) => assert!(kinds.contains(&error.kind), "{template}: {error}"),
        }
        // A name or a number that is too large is told; nothing of this holds up the evaluator either.
        let _ = original(template, &long);
    }
}

/// A template in pieces, so that what is wrong with one can be made small.
fn template() -> impl Strategy<Value = String> {
    let variable =
        || prop::sample::select(vec!["$a", "$c", "$e", "$i", "$d", "$s", "$l", "$m", "$b.n", "$b.orders", "$none"]);
    let reference = || {
        let tail = prop::sample::select(vec![
            "",
            "",
            "",
            ".b",
            ".a",
            ".k",
            "[0]",
            "[1]",
            "[-1]",
            "['a']",
            ".z.y",
            ".size()",
            ".length()",
            ".get(0)",
            ".get('a')",
            ".keySet()",
            ".values()",
            ".entrySet()",
            ".isEmpty()",
            ".toString()",
            ".contains('x')",
            ".indexOf('l')",
            ".substring(1)",
            ".toUpperCase()",
            ".split(' ')",
            ".intValue()",
            ".replaceAll('l+', '_')",
            ".equals('x')",
            ".containsKey('b')",
            ".subList(0, 1)",
            ".empty",
        ]);
        (variable(), tail).prop_map(|(name, tail)| format!("{name}{tail}"))
    };
    let literal = prop::sample::select(vec![
        "1",
        "-2",
        "0",
        "2.5",
        "4.0",
        "'x'",
        "''",
        "'l'",
        "true",
        "false",
        "[1..3]",
        "[]",
        "{}",
        "'$a'",
        "\"<$a>\"",
        "1000000000000",
    ])
    .prop_map(str::to_owned);
    let leaf = prop_oneof![3 => literal, 4 => reference()];
    let expression = leaf.prop_recursive(3, 12, 3, |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||",
        ]);
        prop_oneof![
            3 => (inner.clone(), operator, inner.clone()).prop_map(|(left, sign, right)| format!("({left} {sign} {right})")),
            1 => inner.clone().prop_map(|inner| format!("!{inner}")),
            1 => (inner.clone(), inner.clone()).prop_map(|(first, second)| format!("[{first}, {second}]")),
            1 => (inner.clone(), inner).prop_map(|(first, second)| format!("{{'b': {first}, 'k': {second}}}")),
        ]
    });
    let target = || prop::sample::select(vec!["$a", "$c", "$e"]);
    let node = prop_oneof![
        prop::sample::select(vec!["text", " ", "\n", "\"", "a.b ", "#x ", "\\$a", "$ ", "## c\n"])
            .prop_map(str::to_owned),
        reference(),
        (target(), expression.clone()).prop_map(|(name, value)| format!("#set({name} = {value})")),
        (prop::sample::select(vec!["$a.b", "$m.k", "$a[0]", "$c['x']"]), expression.clone())
            .prop_map(|(name, value)| format!("#set({name} = {value})\n")),
        (target(), prop::sample::select(vec![".add(1)", ".put('b', 2)", ".remove('a')", ".remove(0)", ".clear()"]))
            .prop_map(|(name, call)| format!("{name}{call}")),
    ];
    let nodes = prop::collection::vec(node, 1..4).prop_map(|nodes| nodes.concat());
    nodes.prop_recursive(3, 20, 4, move |inner| {
        prop_oneof![
            (expression.clone(), inner.clone(), inner.clone())
                .prop_map(|(condition, yes, no)| format!("#if({condition})\n{yes}#else {no}#end\n")),
            (
                prop::sample::select(vec!["$x", "$a"]),
                prop::sample::select(vec!["$l", "$m", "[1..3]", "$b.orders", "$a", "$m.keySet()"]),
                inner.clone()
            )
                .prop_map(|(name, items, body)| format!(
                    "#foreach({name} in {items})\n{body}{name}$foreach.index#if($foreach.hasNext),#end#end"
                )),
            (inner.clone(), inner.clone()).prop_map(|(body, after)| format!("#define($e){body}#end{after}$s")),
            inner.clone().prop_map(|body| format!("#set($c = \"{}\")$c", body.replace('"', "\"\""))),
            (inner.clone(), inner).prop_map(|(first, second)| format!("{first}{second}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn random_templates_render_alike(template in template()) {
        let template = format!("{PRELUDE}{template}");
        let Ok(parsed) = parse(&template) else { return Ok(()) };
        let Ok(translation) = translate(&parsed) else { return Ok(()) };
        let Content::Lua(script) = translation.content else { return Ok(()) };
        let rendering = evaluate::render(&parsed, &sample(BODY), &|body, path| json_at(body.as_bytes(), path));
        let got = run(&script, BODY, generous(), &mut exchange());
        match (rendering, got) {
            // What holds itself prints differently, and is an error in the translation.
            (Ok(rendering), _) if rendering.text.contains("...") => {}
            (Ok(rendering), Ok(got)) => prop_assert_eq!(rendering.text, got, "{}\n{}", template, script),
            (Ok(_), Err(error)) => prop_assert!(false, "{}: {}\n{}", error, template, script),
            (Err(_), _) => {}
        }
    }
}

#[test]
fn the_sample_is_what_the_exchange_says() {
    let template = "$context.authorizer.keySet() $context.identity.keySet() $stageVariables.keySet() $input.params().header.keySet()";
    let want = original(template, BODY).expect("renders").text;
    assert_eq!(run(&script(template), BODY, generous(), &mut exchange()).expect("runs"), want);
    let _: Map<String, Value> = sample(BODY).context;
}
