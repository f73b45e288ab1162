use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use super::*;

const DESCRIPTION: &str =
    "name = 'stamp'\nversion = '1.0.0'\nsummary = 'Stamps messages.'\nphases = ['request', 'response']\n";
const SCHEMA: &str =
    r#"{"additionalProperties": false, "properties": {"mark": {"type": "string", "default": "here"}}}"#;
const HANDLER: &str = r#"
    return {
        request = function(config)
            if request.header("x-stop") then
                response.exit(403, { why = "stopped" }, { ["x-mark"] = config.mark })
                return
            end
            if request.header("x-fail") then error("no mercy") end
            request.set_header("x-mark", config.mark)
            request.remove_header("x-secret")
            log.info("marked", config.mark)
        end,
        response = function(config)
            response.set_header("x-mark", config.mark)
            response.add_header("x-id", context.requestId)
        end,
    }
"#;

fn folder(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = [("plugin.toml", DESCRIPTION), ("schema.json", SCHEMA), ("handler.lua", HANDLER)];
    let files = own.iter().chain(files);
    files.map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

/// The differences of the only case of a spec; none when it passed.
fn differences(case: &str) -> Vec<String> {
    let report =
        run_specs(&folder(&[("spec/a_spec.lua", &format!("return {{ {{ name = 'case', {case} }} }}"))]), "stamp");
    assert_eq!(report.passed + report.failed.len(), 1, "{report}");
    report.failed.into_iter().flat_map(|failure| failure.differences).collect()
}

#[test]
fn every_bundled_plugin_does_what_its_specs_say() {
    let mut failed = Vec::new();
    for name in crate::bundled_names() {
        let report = run_specs(&read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name)), name);
        // Straight to the terminal: one line for each plugin, also when all is well.
        writeln!(io::stderr(), "plugin {name}: {report}").expect("standard error is open");
        if report.passed == 0 || !report.failed.is_empty() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "specs failed or missing: {}", failed.join(", "));
}

fn read_folder(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (prefix, folder) in [("", folder.to_owned()), ("spec/", folder.join("spec"))] {
        for entry in fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("the folder is readable").path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if path.is_file() {
                files.insert(format!("{prefix}{name}"), fs::read_to_string(&path).expect("the file is text"));
            }
        }
    }
    files
}

#[test]
fn cases_that_go_as_expected_pass() {
    let cases = [
        "expect = { request = { method = 'GET', path = '/', headers = { ['x-mark'] = 'here' }, body = '' } }",
        "config = { mark = 'M' }, expect = { response = { status = 200, headers = { ['X-Mark'] = 'M' }, exit = false } }",
        "request = { headers = { ['x-secret'] = 's', a = { '1', '2' } } },
         expect = { request = { headers = { ['x-secret'] = false, a = { '1', '2' }, ['x-mark'] = true } } }",
        "request = { method = 'POST', path = '/a?b=c', body = { n = 1 } },
         expect = { request = { method = 'POST', path = '/a?b=c', body = { n = 1 } } }",
        "request = { path = '/a', headers = { a = '1' } }, integration = { method = 'PUT', path = '/b', body = 'x' },
         expect = { request = { method = 'PUT', path = '/b', headers = { a = false, ['x-mark'] = 'here' }, body = 'x' } }",
        "upstream = { status = 418, body = 'tea', headers = { ['x-id'] = 'theirs' } },
         expect = { response = { status = 418, body = 'tea', headers = { ['x-id'] = { 'theirs', '{request_id}' } } } }",
        "request = { headers = { ['x-stop'] = '1' } },
         expect = { response = { status = 403, exit = true, body = { why = 'stopped' }, headers = { ['x-id'] = '{request_id}' } } }",
        "request = { headers = { ['x-fail'] = '1' } }, expect = { error = 'no mercy' }",
        "config = { mark = 1, wrong = 2 }, expect = { refused = { '/wrong', '/mark' } }",
        "expect = { log = { 'marked' } }",
    ];
    for case in cases {
        assert_eq!(differences(case), Vec::<String>::new(), "{case}");
    }
}

#[test]
fn cases_that_go_otherwise_tell_the_difference() {
    let cases = [
        ("expect = { request = { method = 'PUT' } }", "request method: expected \"PUT\", got \"GET\""),
        ("expect = { request = { path = '/b' } }", "request path: expected \"/b\", got \"/\""),
        (
            "expect = { request = { headers = { ['x-mark'] = 'there' } } }",
            "request header `x-mark`: expected \"there\", got \"here\"",
        ),
        (
            "expect = { request = { headers = { ['x-mark'] = false } } }",
            "request header `x-mark`: expected none, got \"here\"",
        ),
        (
            "expect = { request = { headers = { other = true } } }",
            "request header `other`: expected any value, got none",
        ),
        ("expect = { response = { headers = { other = 'x' } } }", "response header `other`: expected \"x\", got none"),
        (
            "expect = { response = { headers = { ['a b'] = 'x' } } }",
            "the expected response header `a b` is not a header name",
        ),
        ("expect = { response = { status = 201 } }", "response status: expected 201, got 200"),
        ("expect = { response = { body = 'x' } }", "response body: expected \"x\", got \"\""),
        (
            "upstream = { body = 'x' }, expect = { response = { body = { a = 1 } } }",
            "response body: expected the JSON {\"a\":1}, got \"x\"",
        ),
        (
            "expect = { response = { exit = true } }",
            "expected the plugin to answer by itself, but the upstream was asked",
        ),
        (
            "request = { headers = { ['x-stop'] = '1' } }, expect = { response = { exit = false } }",
            "expected the upstream to be asked, but the plugin answered by itself",
        ),
        (
            "request = { headers = { ['x-stop'] = '1' } }, expect = { request = {} }",
            "expected a request to the upstream, but the plugin answered by itself",
        ),
        (
            "request = { headers = { ['x-fail'] = '1' } }, expect = { response = {} }",
            "the plugin failed: handler.lua:8: no mercy",
        ),
        ("expect = { error = 'no mercy' }", "expected an error with \"no mercy\", but there was none"),
        (
            "request = { headers = { ['x-fail'] = '1' } }, expect = { error = 'pity' }",
            "expected an error with \"pity\", got: handler.lua:8: no mercy",
        ),
        ("config = { mark = 1 }, expect = { request = {} }", "the settings do not fit: `/mark` must be a text"),
        ("expect = { refused = { '/mark' } }", "expected the settings to be refused at `/mark`"),
        (
            "config = { wrong = 1 }, expect = { refused = json.array() }",
            "the settings are refused at `/wrong` too: there is no setting `wrong`; there are `mark`",
        ),
        ("expect = { log = { 'unmarked' } }", "log: expected a line with \"unmarked\", got \"info: marked\\there\""),
        ("expect = {}", "the case expects nothing"),
    ];
    for (case, want) in cases {
        assert_eq!(differences(case), [want], "{case}");
    }
}

#[test]
fn cases_that_cannot_be_played_say_why() {
    let cases = [
        ("expct = {}", "the case is malformed: unknown field `expct`"),
        ("config = {}", "the case is malformed: missing field `expect`"),
        ("expect = { response = { statsu = 200 } }", "the case is malformed: unknown field `statsu`"),
        ("expect = { response = { headers = { a = 1 } } }", "an expected field must be a string"),
        ("request = { headers = { a = 1 } }, expect = { request = {} }", "a field's value must be a string"),
        ("request = { method = 'G T' }, expect = { request = {} }", "the case cannot be played: `G T` is not a method"),
        ("request = { path = 'x' }, expect = { request = {} }", "the case cannot be played: `x` is not a path"),
        ("request = { headers = { ['a b'] = '' } }, expect = { request = {} }", "`a b` is not a header name"),
        ("request = { headers = { a = '\\n' } }, expect = { request = {} }", "the value of `a` cannot be sent"),
        ("upstream = { status = 99 }, expect = { request = {} }", "99 is not a status"),
        ("caller = { context = { a = {} } }, expect = { request = {} }", "the caller's `a` must be a string"),
    ];
    for (case, want) in cases {
        let got = differences(case);
        assert!(got.len() == 1 && got[0].contains(want), "{case}: {got:?} should contain {want}");
    }
}

#[test]
fn plugins_and_specs_that_cannot_run_are_failures() {
    let loop_for_ever = "while true do end";
    let many = format!("local c = {{}} for i = 1, {} do c[i] = {{}} end return c", CASES_MAX + 1);
    /// Files, the file that is blamed, and what for.
    type Refused<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: [Refused<'_>; 10] = [
        (&[("spec/a_spec.lua", "return 1 +")], "spec/a_spec.lua", "spec/a_spec.lua:1: Expected identifier"),
        (&[("spec/a_spec.lua", "error('no')")], "spec/a_spec.lua", "no"),
        (&[("spec/a_spec.lua", loop_for_ever)], "spec/a_spec.lua", "CPU budget"),
        (&[("spec/a_spec.lua", "return 'text'")], "spec/a_spec.lua", "a list of cases"),
        (&[("spec/a_spec.lua", "return { name = 'x' }")], "spec/a_spec.lua", "a list of cases"),
        (&[("spec/a_spec.lua", &many)], "spec/a_spec.lua", "more than 1000 cases"),
        (&[("handler.lua", "return 5")], "handler.lua", "a plugin has to return"),
        (&[("handler.lua", "return {")], "handler.lua", "handler.lua:1: "),
        (&[("schema.json", "[]")], "schema.json", "the schema must be an object"),
        (
            &[("handler.lua", "return { request = function() end }")],
            "plugin.toml",
            "`phases` should say what the handler returns: request",
        ),
    ];
    for (files, file, want) in cases {
        let report = run_specs(&folder(files), "stamp");
        let [failure] = &report.failed[..] else { panic!("{want}: {report}") };
        assert_eq!((report.passed, failure.file.as_str(), &failure.case), (0, file, &None), "{want}");
        assert!(
            failure.differences.len() == 1 && failure.differences[0].contains(want),
            "{failure} should contain {want}"
        );
    }
    assert_eq!(run_specs(&BTreeMap::new(), "stamp").failed[0].file, "plugin.toml");
}

#[test]
fn a_handler_s_endless_loop_fails_its_case_only() {
    let handler = "return { request = function() while request.header('x-loop') do end end }";
    let spec = "return {
        { name = 'loops', request = { headers = { ['x-loop'] = '1' } }, expect = { request = {} } },
        { name = 'goes on', expect = { request = {} } },
    }";
    let description = "name = 'stamp'\nversion = '1.0.0'\nsummary = 'Stamps messages.'\n";
    let files = folder(&[("handler.lua", handler), ("plugin.toml", description), ("spec/a_spec.lua", spec)]);
    let report = run_specs(&files, "stamp");
    assert_eq!((report.passed, report.failed.len()), (1, 1), "{report}");
    assert!(report.failed[0].differences[0].contains("CPU budget"), "{report}");
}

#[test]
fn what_a_case_says_about_caller_and_stage_is_there() {
    let handler = "return { request = function()
        request.set_header('x-seen', table.concat({
            tostring(context.authorizer.principalId), tostring(context.authorizer.plan), tostring(context.identity.apiKeyId),
            tostring(stageVariables.colour), request.client_ip(),
        }, ' '))
    end }";
    let spec = "return {
        {
            name = 'all', caller = { principal = 'ann', context = { plan = 'gold' }, api_key_id = 'k1' },
            stage_variables = { colour = 'blue' }, client_ip = '2001:db8::1',
            expect = { request = { headers = { ['x-seen'] = 'ann gold k1 blue 2001:db8::1' } } },
        },
        { name = 'none', expect = { request = { headers = { ['x-seen'] = 'nil nil nil nil 192.0.2.10' } } } },
    }";
    let description = "name = 'stamp'\nversion = '1.0.0'\nsummary = 'Stamps messages.'\n";
    let files = folder(&[("handler.lua", handler), ("plugin.toml", description), ("spec/a_spec.lua", spec)]);
    let report = run_specs(&files, "stamp");
    assert_eq!((report.passed, &report.failed), (2, &vec![]), "{report}");
}

#[test]
fn reports_read_well() {
    let report = Report {
        passed: 2,
        failed: vec![Failure {
            file: "spec/a_spec.lua".to_owned(),
            case: Some("stamps".to_owned()),
            differences: vec!["response status: expected 201, got 200".to_owned()],
        }],
    };
    let want = "2 passed, 1 failed\nspec/a_spec.lua: stamps\n    response status: expected 201, got 200";
    assert_eq!(report.to_string(), want);
    assert_eq!(Report { passed: 3, failed: Vec::new() }.to_string(), "3 passed");
}
