//! What templates become, and which are refused.

use super::{Content, translate};
use crate::parse;

fn lua(template: &str) -> String {
    let parsed = parse(template).unwrap_or_else(|error| panic!("{template:?}: {error}"));
    match translate(&parsed) {
        Ok(translation) => match translation.content {
            Content::Lua(script) => script.split_once('\n').map(|(_, script)| script.to_owned()).unwrap_or_default(),
            Content::Text(text) => panic!("{template:?} is the text {text:?}"),
        },
        Err(problems) => panic!("{template:?}: {problems:?}"),
    }
}

#[test]
fn text_without_references_stays_text() {
    for (template, want) in [
        ("", ""),
        ("{\"statusCode\": 200}", "{\"statusCode\": 200}"),
        ("## note\n\\$input.body #[[$x]]#", "$input.body $x"),
    ] {
        let translation = translate(&parse(template).expect(template)).expect(template);
        assert_eq!(translation.content, Content::Text(want.to_owned()), "{template}");
    }
}

#[test]
fn references_become_lua() {
    let cases = [
        ("$input.body", "input.body"),
        ("$!{input.body}", "input.body"),
        ("$input.json('$')", "vtl.json(\"$\")"),
        ("$input.path( '$.a[0]' ).b", "vtl.text(vtl.get(vtl.path(\"$.a[0]\"), \"b\"))"),
        ("$input.params('shard-id')", "vtl.text(input.params(\"shard-id\"))"),
        ("$input.params().header['X-Id']", "vtl.text(vtl.param(\"header\", \"X-Id\"))"),
        ("$input.params().querystring.get('q')", "vtl.text(vtl.param(\"querystring\", \"q\"))"),
        ("$input.params().path", "vtl.text(vtl.params(\"path\"))"),
        ("$context.requestId", "vtl.text(context.requestId)"),
        ("$context.identity.sourceIp", "vtl.text(context.identity.sourceIp)"),
        ("$context.authorizer.claims.sub", "vtl.text(vtl.claim(\"sub\"))"),
        ("$context.authorizer.keySet()", "vtl.text(vtl.call(vtl.group(\"authorizer\"), \"keySet\"))"),
        ("$context.error.messageString", "vtl.text(context[\"error.messageString\"])"),
        ("$context.authorizer.end", "vtl.text(context.authorizer[\"end\"])"),
        ("$stageVariables['the host']", "vtl.text(stageVariables[\"the host\"])"),
        ("$stageVariables", "vtl.text(vtl.group(\"stageVariables\"))"),
        ("$util.escapeJavaScript($input.json('$.a'))", "util.escapeJavaScript(vtl.json(\"$.a\"))"),
        ("$util.escapeJavaScript($input.path('$.a'))", "util.escapeJavaScript(vtl.string(vtl.path(\"$.a\")))"),
        ("$util.urlEncode($util.base64Encode( ${input.body} ))", "util.urlEncode(util.base64Encode(input.body))"),
        ("$util.parseJson($input.body).a", "vtl.text(vtl.get(vtl.parse_json(input.body), \"a\"))"),
    ];
    for (template, want) in cases {
        assert_eq!(lua(template), format!("return {want}\n"), "{template}");
    }
}

#[test]
fn scripts_keep_lines_names_and_comments() {
    let template = r##"## Orders, as the old system wants them
#set($order = $input.path('$.order'))
{
  "id": "$order.id",
  "it's": [
#foreach($item in $order.items)
    {"sku": "$item.sku", "n": $foreach.count}#if($foreach.hasNext),#end

#end
  ]
}"##;
    let want = r##"local item, order
local out = {}
-- Orders, as the old system wants them
order = vtl.path("$.order")
table.insert(out, '{\
  "id": "' .. vtl.text(vtl.get(order, "id")) .. "\",\
  \"it's\": [\
")
local items = vtl.items(vtl.get(order, "items"))
for index, item in ipairs(items) do
    table.insert(out, '    {"sku": "' .. vtl.text(vtl.get(item, "sku")) .. '", "n": ' .. vtl.text(index) .. "}")
    if index < #items then
        table.insert(out, ",")
    end
    table.insert(out, "\
")
end
table.insert(out, "  ]\
}")
return table.concat(out)
"##;
    assert_eq!(lua(template), want);
}

#[test]
fn directives_become_statements() {
    let cases = [
        ("#set($a = 1)x", "a = 1\n"),
        ("#set($a.b['c'] = $d)x", "vtl.set(vtl.get(a, \"b\"), \"c\", d)\n"),
        ("#set($end = 'e')$end", "end_ = \"e\"\n"),
        ("#set($a-b = 1)#set($a_b = 2)$a-b$a_b", "a_b_ = 1\n"),
        ("#if($a)x#elseif(!$b && $c == 1)y#{else}z#end", "elseif b == false and vtl.eq(c, 1) then\n"),
        ("#if($a > 1 || ($b and true))x#end", "if vtl.gt(a, 1) or (b ~= false and true) then\n"),
        ("#set($a = 5 / 2.0 + 1)x", "a = vtl.add(vtl.divide(5, vtl.number(\"2.0\")), 1)\n"),
        ("#set($a = \"x $b y\")x", "a = (\"x \" .. vtl.text(b) .. \" y\")\n"),
        ("#set($a = [1..$b])x", "a = vtl.range(1, b)\n"),
        ("#set($a = {'k': [1, $b]})x", "a = vtl.map({\"k\", vtl.list({1, b}, 2)}, 1)\n"),
        ("#foreach($a in $b)$a#end", "for _, a in ipairs(vtl.items(b)) do\n"),
        ("#foreach($a in $b)$b.add(1)#end", "for _, a in ipairs(vtl.copy(b)) do\n"),
        ("#foreach($a in $b)#break#end", "    do break end\n"),
        ("x#stop y", "do return table.concat(out) end\n"),
        ("#define($a)x$b#end$a", "a = function()\n    return \"x\" .. vtl.text(b)\nend\n"),
        ("#macro(m $a)<$a>#end#m('x')", "function m(out, a)\n"),
        ("#macro(m $a)<$a>#end#m('x')", "m(out, \"x\")\n"),
        ("#macro(m $a)<$a>#end#m($b.next())", "m(out, function() return vtl.call(b, \"next\") end)\n"),
        ("#set($context.responseOverride.status = 400)x", "context.responseOverride.status = vtl.field(400)\n"),
        (
            "#set($context.requestOverride.header['X-A'] = $a)x",
            "context.requestOverride.header[\"X-A\"] = vtl.field(a)\n",
        ),
        ("#set($context.responseOverride.header[$n] = 'v')x", "vtl.set(context.responseOverride.header, n, \"v\")\n"),
        ("#set($context.mine = 1)$context.mine", "context_mine = 1\n"),
        ("#evaluate('#set($a = 1)$b')$a", "a = 1\n"),
    ];
    for (template, want) in cases {
        let script = lua(template);
        assert!(script.contains(want), "{template}:\n{script}");
    }
}

#[test]
fn define_sees_the_loop_it_is_used_in() {
    let script = lua("#define($i)$foreach.index#end#foreach($x in [1, 2])$i#end");
    assert!(script.contains("vtl.text(vtl.get(foreach, \"index\"))"), "{script}");
    assert!(script.contains("foreach = vtl.loop(index, #items, before)"), "{script}");
    assert!(script.contains("\nforeach = before\n"), "{script}");
}

#[test]
fn literals_are_safe_in_lua() {
    let script = lua("]]\u{0}\u{7f}\r\n\t\\ --[[ \"'$context.stage");
    assert_eq!(script, "return \"]]\\x00\\x7f\\r\\\n\\t\\\\ --[[ \\\"'\" .. vtl.text(context.stage)\n");
    let script = lua("##[[ x\n#*\n]] a\n*#$a");
    assert!(script.contains("-- [[ x\n"), "{script}");
    assert!(script.contains("-- ]] a\n"), "{script}");
}

#[test]
fn many_variables_are_kept_in_a_table() {
    let template: String = (0..300).map(|n| format!("#set($v{n} = {n})$v{n}")).collect();
    let script = lua(&template);
    assert!(script.starts_with("local variables = {}\n"), "{}", &script[..100]);
    assert!(script.contains("variables.v299 = 299\n"));
}

#[test]
fn what_cannot_be_carried_over_is_refused_with_its_line() {
    let cases = [
        ("\n#parse('x')", 2, "`#parse`"),
        ("#include('x')", 1, "`#include`"),
        ("#evaluate($a)", 1, "`#evaluate`"),
        ("#evaluate(\"$a\")", 1, "`#evaluate`"),
        ("a\n\n$input", 3, "`$input` as a value"),
        ("$util.autoId()", 1, "`$util.autoId`"),
        ("$util.time.nowISO8601()", 1, "`$util`"),
        ("#set($a = $b.replaceAll('(?=x)', ''))", 1, "look-around"),
        ("#macro(m $a)\n#set($a = 1)#end#m($b)", 2, "`#set` of the parameter `$a`"),
        ("#set($input.x = 1)", 1, "`#set` of this part of `$input`"),
        ("#set($a.b() = 1)", 1, "`#set` of what the method `b` gives"),
    ];
    for (template, line, what) in cases {
        let problems = translate(&parse(template).expect(template)).expect_err(template);
        assert_eq!(problems[0].line, line, "{template}: {problems:?}");
        assert!(problems[0].what.contains(what), "{template}: {problems:?}");
    }
    let problems = translate(&parse("#parse('a')\n$input\n#include('b')").expect("a template")).expect_err("three");
    assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn doubtful_places_are_noted() {
    let translation = translate(&parse("x\n$a.frobnicate()").expect("a template")).expect("translates");
    assert_eq!(translation.notes.len(), 1);
    assert_eq!(translation.notes[0].line, 2);
    assert!(translation.notes[0].what.contains("`frobnicate`"), "{:?}", translation.notes);
}
