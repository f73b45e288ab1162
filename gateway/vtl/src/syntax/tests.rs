//! What templates are read as, and which are refused.

use super::{Expression, NodeKind, SyntaxError, Template, parse};
use crate::{NESTING_MAX, TEMPLATE_BYTES_MAX};

fn read(text: &str) -> Template {
    parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// A template with its parts named: text as it is, everything else in angle brackets.
fn shown(text: &str) -> String {
    fn show(nodes: &[super::Node], out: &mut String) {
        for node in nodes {
            match &node.kind {
                NodeKind::Text(text) => out.push_str(text),
                NodeKind::Comment(_) => out.push_str("<comment>"),
                NodeKind::Reference(reference) => {
                    out.push_str(&format!("<{}", reference.name));
                    for accessor in &reference.accessors {
                        out.push_str(match accessor {
                            super::Accessor::Property(_) => ".",
                            super::Accessor::Index(_) => "[]",
                            super::Accessor::Method { .. } => "()",
                        });
                    }
                    out.push('>');
                }
                NodeKind::Set { .. } => out.push_str("<set>"),
                NodeKind::If { branches, otherwise } => {
                    for branch in branches {
                        out.push_str("<if>");
                        show(&branch.body, out);
                    }
                    if let Some(body) = otherwise {
                        out.push_str("<else>");
                        show(body, out);
                    }
                    out.push_str("<end>");
                }
                NodeKind::Foreach(foreach) => {
                    out.push_str("<foreach>");
                    show(&foreach.body, out);
                    out.push_str("<end>");
                }
                NodeKind::Macro { body, .. } | NodeKind::Define { body, .. } => {
                    out.push_str("<define>");
                    show(body, out);
                    out.push_str("<end>");
                }
                NodeKind::Call(call) => out.push_str(&format!("<call {} {}>", call.name, call.arguments.len())),
                other => {
                    let name = format!("{other:?}");
                    out.push_str(&format!("<{}>", name.split(['(', ' ']).next().unwrap_or_default()));
                }
            }
        }
    }
    let mut out = String::new();
    show(&read(text).nodes, &mut out);
    out
}

#[test]
fn text_stays_text() {
    for text in [
        "",
        "costs $5, or $ 6, or ${7} or $!",
        "$.store.book[0] $[0] $![",
        "a { color: #333; background: #fade00 }&#39; # #m :m #1",
        "\\ \\\\ \\# \\$ C:\\new",
        "#endless #elsewhere #ifx #set x #foo",
        "naïve ☕ \u{0}\u{7f}\r\n",
        "#unknown(1, 'a') #other ($x $y) #third (a b) #fourth (a + b",
    ] {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn references_end_where_velocity_ends_them() {
    let cases = [
        ("$a.", "<a>."),
        ("$a.1 $a._b $a.b.c", "<a>.1 <a>._b <a..>"),
        ("${a}Name ${a.b}.c", "<a>Name <a.>.c"),
        ("${a}[0] $a[0] $a['k'][1].b", "<a>[0] <a[]> <a[][].>"),
        ("$!a $!{a.b()} $a-b", "<a> <a()> <a-b>"),
        ("$$a $a$a/x", "$<a> <a><a>/x"),
        ("$a.b($c, 'x', [1, 2]).d()", "<a()()>"),
        ("$hello()", "<hello>()"),
        ("#[[ $a #if ]]#$a", " $a #if <a>"),
        ("\"$a\"", "\"<a>\""),
    ];
    for (text, want) in cases {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn backslashes_escape_what_would_be_carried_out() {
    let cases = [
        ("\\$a \\\\$a \\\\\\$a", "$a \\<a> \\$a"),
        ("\\${a.b} \\$!a", "${a.b} $!a"),
        ("\\#end \\#set(1) \\# end \\#{if} \\#nothing", "#end #set(1) \\# end #{if} \\#nothing"),
        ("\\\\#if($a)x#end", "\\<if>x<end>"),
        ("\\\\\\#if", "\\#if"),
        ("$\\!a $\\\\!a", "$!a $\\!a"),
    ];
    for (text, want) in cases {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn directives_take_the_end_of_their_line_with_them() {
    let cases = [
        ("a\n  #set($x = 1)  \nb", "a\n  <set>b"),
        ("#set($x = 1)\n  #set($y = 2)\nb", "<set><set>b"),
        ("#if($a)\n  x\n#else \n  y\n#end\nz", "<if>  x\n<else>  y\n<end>z"),
        ("#foreach($a in $b)\r\nx#end\r\ny", "<foreach>x<end>y"),
        ("#if($a) x #end y", "<if> x <end> y"),
        ("x ## note\ny", "x <comment>y"),
        ("x #* note\n *# y", "x <comment> y"),
        ("#if($a)1#{else}2#{end}3", "<if>1<else>2<end>3"),
        ("#if ( $a )\n1#elseif($b)2#end", "<if>1<if>2<end>"),
        ("#foreach($a in $b)#break#end#stop", "<foreach><Break><end><Stop>"),
        ("$a #set($b = 1) c", "<a><set> c"),
        ("x#evaluate('a$b')\ny", "xa<b>y"),
    ];
    for (text, want) in cases {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn macros_may_be_used_before_they_are_defined() {
    let text = "#m('a' $b)#m(1,2)#n #@w($x)in#end#macro(m $a $b)x#end\n#macro( n )y#end#macro(w $c)z#end";
    assert_eq!(shown(text), "<call m 2><call m 2><call n 0> <call w 1><define>x<end><define>y<end><define>z<end>");
}

#[test]
fn expressions_bind_as_in_velocity() {
    let value = |text: &str| {
        let template = read(&format!("#set($x = {text})"));
        let NodeKind::Set { value, .. } = &template.nodes[0].kind else { panic!("{template:?}") };
        plain(value)
    };
    let cases = [
        ("1 + 2 * 3", "(1 + (2 * 3))"),
        ("5 - 4 - 3", "((5 - 4) - 3)"),
        ("5 + 4 > 2", "((5 + 4) > 2)"),
        ("$a || $b && !$c", "(a || (b && !c))"),
        ("$a == 1 and $b ne 'x'", "((a == 1) && (b != \"x\"))"),
        ("not $a or $b", "(!a || b)"),
        ("-1 + .5 * 1.5e3", "(-1 + (0.5 * 1500.0))"),
        ("[1..3]", "[1..3]"),
        ("[ $a, 'b' , {'c' : [ ] } ]", "[a, \"b\", {\"c\": []}]"),
        ("'it''s'", "\"it's\""),
        ("\"say \"\"x\"\"\"", "\"say \"x\"\""),
        ("\"\\u0041\\n\"", "\"A\\n\""),
        ("true == false", "(true == false)"),
        ("($a)", "a"),
    ];
    for (text, want) in cases {
        assert_eq!(value(text), want, "{text}");
    }
}

fn plain(expression: &Expression) -> String {
    let sign = |operator| match operator {
        super::Operator::Or => "||",
        super::Operator::And => "&&",
        super::Operator::Equal => "==",
        super::Operator::NotEqual => "!=",
        super::Operator::Greater => ">",
        super::Operator::Add => "+",
        super::Operator::Subtract => "-",
        super::Operator::Multiply => "*",
        _ => "?",
    };
    let list = |items: Vec<String>| items.join(", ");
    match expression {
        Expression::Text(text) => format!("\"{text}\""),
        Expression::Interpolated(_) => "interpolated".to_owned(),
        Expression::Integer(number) => number.to_string(),
        Expression::Double(number) => format!("{number:?}"),
        Expression::Boolean(value) => value.to_string(),
        Expression::Reference(reference) => reference.name.clone(),
        Expression::List(items) => format!("[{}]", list(items.iter().map(plain).collect())),
        Expression::Map(pairs) => {
            format!(
                "{{{}}}",
                list(pairs.iter().map(|(key, value)| format!("{}: {}", plain(key), plain(value))).collect())
            )
        }
        Expression::Range(first, last) => format!("[{}..{}]", plain(first), plain(last)),
        Expression::Not(inner) => format!("!{}", plain(inner)),
        Expression::Binary(operator, left, right) => format!("({} {} {})", plain(left), sign(*operator), plain(right)),
    }
}

#[test]
fn what_is_no_template_is_refused_with_its_line() {
    let cases = [
        ("\n#if($a)", 2, "not closed by `#end`"),
        ("a#end", 1, "without a directive"),
        ("#else", 1, "without a directive"),
        ("#if", 1, "needs a `(`"),
        ("#if($a", 1, "not closed by `)`"),
        ("#if()", 1, "where a value is expected"),
        ("#set($a = null)", 1, "`null` is no value"),
        ("#set($a)", 1, "needs a `=`"),
        ("#set(a = 1)", 1, "needs a variable"),
        ("#set($a = 1 +)", 1, "where a value is expected"),
        ("#foreach($a of $b)x#end", 1, "needs an `in`"),
        ("#foreach($a.b in $b)x#end", 1, "without anything behind"),
        ("\r\n\r\n${AWS::Region}", 3, "not closed by `}`"),
        ("${a", 1, "not closed by `}`"),
        ("$a[see]", 1, "`see` is no value"),
        ("$a.b(", 1, "ends where a value"),
        ("#* never", 1, "not closed by `*#`"),
        ("#[[ never", 1, "not closed by `]]#`"),
        ("#set($a = \"never)", 1, "not closed"),
        ("#set($a = 'x)", 1, "not closed"),
        ("#macro()x#end", 1, "needs a name"),
        ("#define($a.b)x#end", 1, "without anything behind"),
        ("#set($a = \"#if($b)\")", 1, "not closed by `#end`"),
        ("\n#evaluate('#if($b)')", 2, "not closed by `#end`"),
    ];
    for (text, line, what) in cases {
        match parse(text) {
            Err(error) => assert!(error.line == line && error.what.contains(what), "{text:?}: {error}"),
            Ok(template) => panic!("{text:?}: {template:?}"),
        }
    }
}

#[test]
fn hostile_templates_end_quickly() {
    let mut texts: Vec<String> =
        ["$", "${", "$!{", "\\", "#", "#{", "'", "$a[", "$a.b(", "#if(", "(", "#a(\"", "#a('", "#macro(", "é$é#é\\é"]
            .iter()
            .map(|part| part.repeat(TEMPLATE_BYTES_MAX / part.len()))
            .collect();
    for (open, close) in [
        ("#if($a)", "#end"),
        ("#foreach($a in $b)", "#end"),
        ("#set($a = ([", "])"),
        ("$a[$a[", "]]"),
        ("$a.b($a.b(", "))"),
        ("#define($a)", "#end"),
        ("#macro(m)", "#end"),
    ] {
        texts.push(format!("{}{}", open.repeat(5_000), close.repeat(5_000)));
    }
    texts.push(format!("#set($a = {}1)", "1+".repeat(50_000)));
    texts.push(format!("#set($a = {}1)", "!".repeat(50_000)));
    texts.push(format!("#set($a = {}", "\"\"\"".repeat(50_000)));
    texts.push("#x(1 2 3 ".repeat(30_000));
    let start = std::time::Instant::now();
    for text in &texts {
        let _ = parse(text);
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
    let deep = |count: usize| format!("{}{}", "#if($a)".repeat(count), "#end".repeat(count));
    assert!(parse(&deep(NESTING_MAX)).is_ok());
    let SyntaxError { what, .. } = parse(&deep(NESTING_MAX + 1)).expect_err("too deep");
    assert!(what.contains("nested more than"), "{what}");
    assert!(parse(&"x".repeat(TEMPLATE_BYTES_MAX + 1)).is_err());
}
