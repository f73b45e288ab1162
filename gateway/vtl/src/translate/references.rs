//! References: variables, and what the gateway gives.

use crate::java;
use crate::syntax::{Accessor, Expression, Reference};

use super::{Translator, lua};

/// Most names that one call of `vtl.get` follows.
const STEPS_MAX: usize = 4;

/// Methods of lists, maps, numbers and truth values; those of texts are the ones of [`java::is_string_method`].
const METHODS: [&str; 41] = [
    "add",
    "addAll",
    "booleanValue",
    "byteValue",
    "clear",
    "contains",
    "containsAll",
    "containsKey",
    "containsValue",
    "doubleValue",
    "entrySet",
    "equals",
    "first",
    "floatValue",
    "get",
    "getClass",
    "getFirst",
    "getKey",
    "getLast",
    "getOrDefault",
    "getValue",
    "hashCode",
    "indexOf",
    "intValue",
    "isEmpty",
    "iterator",
    "keySet",
    "last",
    "lastIndexOf",
    "longValue",
    "put",
    "putAll",
    "putIfAbsent",
    "remove",
    "removeAll",
    "set",
    "size",
    "subList",
    "toArray",
    "toString",
    "values",
];

/// An expression of Lua.
pub(super) struct Code {
    pub(super) lua: String,
    /// Whether its value is always a text.
    pub(super) is_text: bool,
    /// Whether its value is always true or false.
    pub(super) is_truth: bool,
}

impl Code {
    fn any(lua: impl Into<String>) -> Self {
        Self { lua: lua.into(), is_text: false, is_truth: false }
    }

    fn text(lua: impl Into<String>) -> Self {
        Self { lua: lua.into(), is_text: true, is_truth: false }
    }
}

impl Translator<'_> {
    /// What a reference refers to; `nil` for what is never set.
    pub(super) fn reference(&mut self, reference: &Reference) -> Code {
        let accessors = &reference.accessors[..];
        if let Some(parameter) = self.parameters.iter().find(|parameter| parameter.name == reference.name) {
            let base = if parameter.is_by_name { format!("{}()", parameter.lua) } else { parameter.lua.clone() };
            return self.follow(Code::any(base), accessors);
        }
        if !self.facts.is_built_in(&reference.name) {
            let base = self.names.variable(&reference.name);
            return self.follow(Code::any(base), accessors);
        }
        match &*reference.name {
            "input" => self.input(accessors),
            "context" => self.context(accessors),
            "stageVariables" => self.stage_variables(accessors),
            "util" => self.util(accessors),
            _ => self.about_loop(&reference.name, accessors),
        }
    }

    /// Goes on from a value.
    fn follow(&mut self, base: Code, accessors: &[Accessor]) -> Code {
        if accessors.is_empty() || base.lua == "nil" {
            return base;
        }
        let mut code = base.lua;
        let mut rest = accessors;
        while let [first, ..] = rest {
            let mut used = 1;
            code = match first {
                Accessor::Property(_) => {
                    let is_property = |accessor: &&Accessor| matches!(accessor, Accessor::Property(_));
                    used = rest.iter().take(STEPS_MAX).take_while(is_property).count();
                    let names: Vec<String> = rest[..used]
                        .iter()
                        .filter_map(|accessor| match accessor {
                            Accessor::Property(name) => Some(lua::quoted(name, false)),
                            _ => None,
                        })
                        .collect();
                    format!("vtl.get({code}, {})", names.join(", "))
                }
                Accessor::Index(index) => format!("vtl.at({code}, {})", self.value(index)),
                Accessor::Method { name, arguments } => self.method(&code, name, arguments),
            };
            rest = &rest[used..];
        }
        Code::any(code)
    }

    fn method(&mut self, base: &str, name: &str, arguments: &[Expression]) -> String {
        if METHODS.binary_search(&name).is_err() && !java::is_string_method(name) {
            self.note(format!("the method `{name}` is not known, and gives nothing"));
        }
        if let ("matches" | "replaceAll" | "replaceFirst" | "split", Some(Expression::Text(pattern))) =
            (name, arguments.first())
            && let Err(error) = java::pattern(pattern)
        {
            self.problem(error.to_string());
        }
        let mut code = format!("vtl.call({base}, {}", lua::quoted(name, false));
        for argument in arguments {
            code.push_str(", ");
            code.push_str(&self.value(argument));
        }
        code.push(')');
        code
    }

    fn input(&mut self, accessors: &[Accessor]) -> Code {
        let (base, rest) = match accessors {
            [Accessor::Property(name), rest @ ..] if name == "body" => (Code::text("input.body"), rest),
            [Accessor::Method { name, arguments }, rest @ ..] => match (&**name, &arguments[..]) {
                ("getBody", []) => (Code::text("input.body"), rest),
                ("params", []) => self.parameters(rest),
                ("params", [name]) => (Code::any(format!("input.params({})", self.text(name))), rest),
                ("path", [path]) => (Code::any(format!("vtl.path({})", self.path(path))), rest),
                ("json", [path]) => (Code::text(format!("vtl.json({})", self.path(path))), rest),
                _ => {
                    self.problem(format!("`$input.{name}` with {} arguments", arguments.len()));
                    return Code::any("nil");
                }
            },
            [] => {
                self.problem("`$input` as a value");
                return Code::any("nil");
            }
            [Accessor::Property(name), ..] => {
                self.note(format!("`$input` has no `{name}`, which therefore prints nothing"));
                return Code::any("nil");
            }
            [Accessor::Index(_), ..] => {
                self.problem("an index of `$input`");
                return Code::any("nil");
            }
        };
        self.follow(base, rest)
    }

    /// A JSON path, which is looked at now if it is known.
    fn path(&mut self, path: &Expression) -> String {
        self.text(path)
    }

    /// `$input.params()`, and where the name of a parameter is known just that one.
    fn parameters<'a>(&mut self, rest: &'a [Accessor]) -> (Code, &'a [Accessor]) {
        let place = rest
            .first()
            .and_then(Accessor::fixed_name)
            .filter(|place| matches!(*place, "path" | "querystring" | "header"));
        let Some(place) = place else { return (Code::any("vtl.params()"), rest) };
        match rest.get(1).and_then(Accessor::fixed_name) {
            Some(name) => {
                let (place, name) = (lua::quoted(place, false), lua::quoted(name, false));
                (Code::any(format!("vtl.param({place}, {name})")), &rest[2..])
            }
            None => (Code::any(format!("vtl.params({})", lua::quoted(place, false))), &rest[1..]),
        }
    }

    fn stage_variables(&mut self, accessors: &[Accessor]) -> Code {
        match accessors.first().and_then(Accessor::fixed_name) {
            Some(name) => self.follow(Code::any(format!("stageVariables{}", lua::field(name))), &accessors[1..]),
            None => self.follow(Code::any("vtl.group(\"stageVariables\")"), accessors),
        }
    }

    fn context(&mut self, accessors: &[Accessor]) -> Code {
        let Some(first) = accessors.first().and_then(Accessor::fixed_name) else {
            return self.follow(Code::any("vtl.group(\"context\")"), accessors);
        };
        let rest = &accessors[1..];
        let second = rest.first().and_then(Accessor::fixed_name);
        if let Some(variable) = self.names.context_member(first) {
            return self.follow(Code::any(variable), rest);
        }
        match (first, second) {
            ("requestOverride" | "responseOverride", second) => self.overrides(first, second, rest),
            ("authorizer", Some("claims")) if rest.len() > 1 => match rest.get(1).and_then(Accessor::fixed_name) {
                Some(claim) => {
                    let claim = lua::quoted(claim, false);
                    self.follow(Code::any(format!("vtl.claim({claim})")), &rest[2..])
                }
                None => self.follow(Code::any("vtl.group(\"authorizer\")"), rest),
            },
            ("authorizer", Some("claims")) | ("authorizer" | "identity", None) => {
                self.follow(Code::any(format!("vtl.group(\"{first}\")")), rest)
            }
            ("identity", Some("clientCert")) => self.follow(Code::any("vtl.group(\"identity\")".to_owned()), rest),
            ("authorizer" | "identity", Some(name)) => {
                self.follow(Code::any(format!("context.{first}{}", lua::field(name))), &rest[1..])
            }
            ("error" | "authorize" | "authenticate" | "waf" | "integration" | "customDomain", Some(name)) => {
                let name = format!("{first}.{name}");
                self.follow(Code::any(format!("context{}", lua::field(&name))), &rest[1..])
            }
            (name, _) => self.follow(Code::any(format!("context{}", lua::field(name))), rest),
        }
    }

    /// `$context.requestOverride.header.name` and its like: what was written before.
    fn overrides(&mut self, first: &str, second: Option<&str>, rest: &[Accessor]) -> Code {
        let base = format!("context.{first}");
        let Some(kind) = second.filter(|kind| is_override(first, kind)) else {
            return self.follow(Code::any(base), rest);
        };
        let base = format!("{base}.{kind}");
        match rest.get(1).and_then(Accessor::fixed_name) {
            Some(name) if kind != "status" => self.follow(Code::any(format!("{base}{}", lua::field(name))), &rest[2..]),
            _ => self.follow(Code::any(base), &rest[1..]),
        }
    }

    fn util(&mut self, accessors: &[Accessor]) -> Code {
        let [Accessor::Method { name, arguments }, rest @ ..] = accessors else {
            self.problem("`$util` without a function");
            return Code::any("nil");
        };
        let [argument] = &arguments[..] else {
            self.problem(format!("`$util.{name}` with {} arguments", arguments.len()));
            return Code::any("nil");
        };
        let base = match &**name {
            "urlEncode" | "urlDecode" | "base64Encode" | "base64Decode" => {
                Code::text(format!("util.{name}({})", self.text(argument)))
            }
            "escapeJavaScript" => {
                let text = match argument {
                    Expression::Reference(reference) => match self.reference(reference) {
                        code if code.is_text => code.lua,
                        code => format!("vtl.string({})", code.lua),
                    },
                    other => self.text(other),
                };
                Code::text(format!("util.escapeJavaScript({text})"))
            }
            "parseJson" => Code::any(format!("vtl.parse_json({})", self.text(argument))),
            // AppSync's: what is done is done, and nothing is printed.
            "qr" | "quiet" => Code::any(format!("vtl.quiet({})", self.value(argument))),
            _ => {
                self.problem(format!("the function `$util.{name}`"));
                return Code::any("nil");
            }
        };
        self.follow(base, rest)
    }

    /// `$foreach.index`, `$velocityCount` and their like.
    fn about_loop(&mut self, name: &str, accessors: &[Accessor]) -> Code {
        let mut loops = self.loops.len();
        let mut rest = accessors;
        if name == "foreach" {
            while let [Accessor::Property(step), after @ ..] = rest {
                match &**step {
                    "parent" if loops > 0 => loops -= 1,
                    "topmost" if loops > 0 => loops = 1,
                    _ => break,
                }
                rest = after;
            }
        }
        let Some(current) = loops.checked_sub(1).and_then(|at| self.loops.get(at)).cloned() else {
            return self.distant_loop(name, accessors);
        };
        let (index, items) = (&current.index, &current.items);
        let word = match (name, rest.first()) {
            ("velocityCount", _) => "count",
            ("velocityHasNext", _) => "hasNext",
            (_, Some(Accessor::Property(word))) => word,
            (_, Some(Accessor::Method { name, arguments })) if arguments.is_empty() => name,
            _ => return self.distant_loop(name, accessors),
        };
        let code = match word {
            "count" | "getCount" => index.clone(),
            "index" | "getIndex" => format!("({index} - 1)"),
            "hasNext" | "getHasNext" => format!("({index} < #{items})"),
            "first" | "isFirst" => format!("({index} == 1)"),
            "last" | "isLast" => format!("({index} == #{items})"),
            _ => {
                self.note(format!("`$foreach` has no `{word}`"));
                "nil".to_owned()
            }
        };
        let used = usize::from(name == "foreach");
        let is_truth = code.contains(['<', '=']);
        self.follow(Code { is_truth, ..Code::any(code) }, rest.get(used..).unwrap_or_default())
    }

    /// The loop that a macro or a `#define` is used in.
    fn distant_loop(&mut self, name: &str, accessors: &[Accessor]) -> Code {
        if !self.facts.has_loop_values {
            return Code::any("nil");
        }
        let base = match name {
            "velocityCount" => "vtl.get(foreach, \"count\")",
            "velocityHasNext" => "vtl.get(foreach, \"hasNext\")",
            _ => "foreach",
        };
        self.follow(Code::any(base), accessors)
    }
}

/// Whether there are overrides of a kind.
pub(super) fn is_override(first: &str, kind: &str) -> bool {
    matches!(
        (first, kind),
        ("requestOverride", "header" | "path" | "querystring") | ("responseOverride", "header" | "status")
    )
}

#[cfg(test)]
mod tests {
    use super::METHODS;

    #[test]
    fn the_list_of_methods_is_sorted() {
        assert!(METHODS.is_sorted());
    }
}
