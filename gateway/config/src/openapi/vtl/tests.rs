//! What templates become, and which are refused.

use super::{Translation, translate};

fn lua(template: &str) -> String {
    match translate(template) {
        Ok(Translation::Lua(script)) => script,
        other => panic!("{template}: {other:?}"),
    }
}

#[test]
fn text_without_references_stays_text() {
    let cases = [
        ("", ""),
        ("{\"statusCode\": 200}", "{\"statusCode\": 200}"),
        ("costs $5, or $ 6, or ${7} or $!", "costs $5, or $ 6, or ${7} or $!"),
        ("$.store.book[0]", "$.store.book[0]"),
        ("a { color: #333; background: #fade00 }&#39; # #m :m", "a { color: #333; background: #fade00 }&#39; # #m :m"),
        ("\\ \\\\ \\# \\$ C:\\new", "\\ \\\\ \\# \\$ C:\\new"),
        ("\\$input.body", "$input.body"),
        ("\\\\\\$util.urlEncode($input.body)!", "\\$util.urlEncode($input.body)!"),
        ("\\#end \\#set(1)", "#end #set(1)"),
        ("naïve ☕", "naïve ☕"),
    ];
    for (template, want) in cases {
        assert_eq!(translate(template), Ok(Translation::Text(want.to_owned())), "{template}");
    }
}

#[test]
fn references_become_lua() {
    let cases = [
        ("$input.body", "util.text(input.body)"),
        ("${input.body}", "util.text(input.body)"),
        ("$!input.body", "util.text(input.body)"),
        ("$!{input.body}", "util.text(input.body)"),
        ("$input.json('$')", "util.text(input.json(\"$\"))"),
        ("$input.json(\"$.a['b']\")", "util.text(input.json(\"$.a['b']\"))"),
        ("$input.path( '$.a[0]' )", "util.text(input.path(\"$.a[0]\"))"),
        ("$input.params('shard-id')", "util.text(input.params(\"shard-id\"))"),
        ("$input.params().header.Accept", "util.text(input.params().header[\"Accept\"])"),
        ("$input.params().header['X-Id']", "util.text(input.params().header[\"X-Id\"])"),
        ("$input.params().querystring.get('q')", "util.text(input.params().querystring[\"q\"])"),
        ("$input.params().path.id", "util.text(input.params().path[\"id\"])"),
        ("$context.requestId", "util.text(context.requestId)"),
        ("$context.identity.sourceIp", "util.text(context.identity.sourceIp)"),
        ("$context.authorizer.principalId", "util.text(context.authorizer and context.authorizer.principalId)"),
        (
            "$context.authorizer.claims['cognito:username']",
            "util.text(context.authorizer and context.authorizer.claims and context.authorizer.claims[\"cognito:username\"])",
        ),
        ("$context['stage']", "util.text(context.stage)"),
        ("$context.authorizer.end", "util.text(context.authorizer and context.authorizer[\"end\"])"),
        ("$stageVariables.host", "util.text(stageVariables.host)"),
        ("${stageVariables.host}", "util.text(stageVariables.host)"),
        ("$stageVariables['the host']", "util.text(stageVariables[\"the host\"])"),
        ("$util.escapeJavaScript($input.json('$.a'))", "util.escapeJavaScript(input.json(\"$.a\"))"),
        ("$util.urlEncode($util.base64Encode( ${input.body} ))", "util.urlEncode(util.base64Encode(input.body))"),
        ("$util.base64Decode('aGk=')", "util.base64Decode(\"aGk=\")"),
        ("$util.urlDecode($input.params('q'))", "util.urlDecode(input.params(\"q\"))"),
    ];
    for (template, want) in cases {
        assert_eq!(lua(template), format!("return {want}\n"), "{template}");
    }
}

#[test]
fn references_end_where_velocity_ends_them() {
    let cases = [
        ("$context.stage.", "return util.text(context.stage) .. \".\"\n"),
        ("${context.stage}Name", "return util.text(context.stage) .. \"Name\"\n"),
        ("${context.stage}[0]", "return util.text(context.stage) .. \"[0]\"\n"),
        ("$context.stage/pets", "return util.text(context.stage) .. \"/pets\"\n"),
        ("$$context.stage", "return \"$\" .. util.text(context.stage)\n"),
        ("\\\\$context.stage", "return \"\\\\\" .. util.text(context.stage)\n"),
        ("$context.stage$context.stage", "return util.text(context.stage) .. util.text(context.stage)\n"),
        // Velocity's names may hold hyphens.
        ("$context.a-b", "return util.text(context[\"a-b\"])\n"),
    ];
    for (template, want) in cases {
        assert_eq!(lua(template), want, "{template}");
    }
}

#[test]
fn scripts_keep_the_lines_of_their_template() {
    let template = "{\n    \"name\": \"$input.params('name')\",\n    \"it's\": $input.json('$')\n}";
    let want = r#"return table.concat({
    "{\n",
    '    "name": "', util.text(input.params("name")), '",\n',
    "    \"it's\": ", util.text(input.json("$")), "\n",
    "}",
})
"#;
    assert_eq!(lua(template), want);
    assert_eq!(lua("{\"a\": $input.body}\n"), "return '{\"a\": ' .. util.text(input.body) .. \"}\\n\"\n");
}

#[test]
fn long_templates_do_not_become_long_chains() {
    let script = lua(&"$input.body ".repeat(400));
    assert!(script.starts_with("return table.concat({\n") && !script.contains(".."));
}

#[test]
fn literals_are_safe_in_lua() {
    let script = lua("]]\u{0}\u{7f}\r\n\t\\ --[[ \"'$context.stage");
    assert_eq!(
        script,
        "return table.concat({\n    \"]]\\x00\\x7f\\r\\n\",\n    \"\\t\\\\ --[[ \\\"'\", util.text(context.stage),\n})\n"
    );
}

#[test]
fn what_is_not_certain_is_refused_with_its_line() {
    let cases = [
        ("a\nb #set($x = 1)\nc", 2, "the directive `#set`"),
        ("#foreach($e in $x)$e#end", 1, "the directive `#foreach`"),
        ("x#{else}y", 1, "the directive `#else`"),
        ("x #endless", 1, "the directive `#endless`"),
        ("## note", 1, "a `##` comment"),
        ("#* note *#", 1, "a `#*` comment"),
        ("#[[$x]]#", 1, "a `#[[` literal"),
        ("#@box()#end", 1, "a `#@` macro"),
        ("#shout ('x')", 1, "the macro `#shout`"),
        ("\\\\#end", 1, "backslashes before a directive"),
        ("\r\n\r\n$elem.data", 3, "the reference `$elem.data`"),
        ("$inputRoot", 1, "the reference `$inputRoot`"),
        ("$context", 1, "the reference `$context`"),
        ("$stageVariables", 1, "the reference `$stageVariables`"),
        ("$stageVariables.a.b", 1, "the reference `$stageVariables.a.b`"),
        ("$input", 1, "the reference `$input`"),
        ("$input.body.name", 1, "the reference `$input.body.name`"),
        ("$input.path('$.a').size()", 1, "the reference `$input.path`"),
        ("$input.path('$.a')[0]", 1, "the reference `$input.path`"),
        ("$input.json(\"$name\")", 1, "the reference `$input.json`"),
        ("$input.json($x)", 1, "the reference `$input.json`"),
        ("$input.json('it''s')", 1, "the reference `$input.json`"),
        ("$input.json('$", 1, "the reference `$input.json`"),
        ("$input.params()", 1, "the reference `$input.params`"),
        ("$input.params().cookie.a", 1, "the reference `$input.params`"),
        ("$input.params().header", 1, "the reference `$input.params`"),
        ("$context.requestId.length()", 1, "the reference `$context.requestId.length`"),
        ("$context.stage.name", 1, "the reference `$context.stage.name`"),
        ("$context.stage(1)", 1, "the reference `$context.stage`"),
        ("${context.stage", 1, "the reference `${context.stage`"),
        ("${AWS::Region}", 1, "the reference `${AWS`"),
        ("$util.parseJson($input.body)", 1, "the reference `$util.parseJson`"),
        ("$util.urlEncode(\n$x)", 2, "the reference `$x`"),
        ("$util.urlEncode($input.body, 1)", 1, "the reference `$util.urlEncode`"),
        ("$util.urlEncode()", 1, "the reference `$util.urlEncode`"),
    ];
    for (template, line, what) in cases {
        match translate(template) {
            Err(problem) => assert_eq!((problem.line, problem.what.as_str()), (line, what), "{template}"),
            Ok(translation) => panic!("{template}: {translation:?}"),
        }
    }
    let problem = translate("{\r\n  \"a\": $foo\r\n}").expect_err("unknown reference");
    assert_eq!(problem.text, "  \"a\": $foo");
}

#[test]
fn hostile_templates_end_quickly() {
    assert!(translate(&"$util.urlEncode(".repeat(10_000)).is_err());
    assert!(translate(&"x".repeat(super::TEMPLATE_BYTES_MAX + 1)).is_err());
    for text in ["$", "${", "$!{", "\\", "#", "#{", "'", "$input.json('", "é$é#é\\é"] {
        let _ = translate(&text.repeat(10_000));
    }
}
