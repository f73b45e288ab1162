//! The list of built-in policies, and how a name in a configuration becomes one of them.

use moongate_config::policy::PolicyAttachment;
use moongate_config::{issue, suggest};
use serde_json::Value;

use crate::{CompileContext, Compiled, api_key, codes, ip_access};

/// Every built-in policy, by name. This is the only list of them.
pub const POLICIES: &[Definition] = &[api_key::DEFINITION, ip_access::DEFINITION];

/// What a policy is, to all who are not the policy: compilers, forms, manuals, command lines.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// The name that configurations use: lower case and underscores, the same as its folder.
    pub name: &'static str,
    /// The stage of the pipeline it acts in.
    pub stage: Stage,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// The JSON Schema of its settings.
    pub schema: fn() -> Value,
    /// Makes a policy out of its settings. Reports every problem; `None` exactly when one of them is an error.
    pub compile: fn(&Value, &mut CompileContext<'_>) -> Option<Compiled>,
    /// Its page of the manual, in Markdown.
    pub readme: &'static str,
}

/// The stages of the pipeline that policies act in, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before anybody asks who calls.
    Guard,
    /// While finding out who calls.
    Authorize,
}

/// The policy of that name.
pub fn find(name: &str) -> Option<&'static Definition> {
    POLICIES.iter().find(|definition| definition.name == name)
}

/// Makes a policy out of one use of it. `cx` points at the attachment.
///
/// Reports every problem, an unknown name among them, and returns `None` when one of them is an error.
pub fn compile(attachment: &PolicyAttachment, cx: &mut CompileContext<'_>) -> Option<Compiled> {
    let name = &attachment.policy;
    let Some(definition) = find(name) else {
        let near = suggest::closest(name, POLICIES.iter().map(|definition| definition.name));
        let known: Vec<_> = POLICIES.iter().map(|definition| format!("`{}`", definition.name)).collect();
        let issue = cx.report(codes::UNKNOWN_POLICY, "/policy", format!("there is no policy {}", issue::quote(name)));
        issue.label = near.map(|near| format!("did you mean `{near}`?"));
        issue.help = Some(format!("the policies are {}", known.join(", ")));
        return None;
    };
    (definition.compile)(&attachment.config, &mut cx.below("/config"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeSecrets;

    #[test]
    fn every_definition_is_complete() {
        for definition in POLICIES {
            let name = definition.name;
            assert_eq!(POLICIES.iter().filter(|other| other.name == name).count(), 1, "{name} is listed twice");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!(
                definition.readme.starts_with(&format!("# `{name}`\n")),
                "{name}: the manual page opens with its name"
            );
            assert!(!definition.summary.is_empty() && !definition.summary.ends_with('.'), "{name}");
            let schema = (definition.schema)();
            assert_eq!(schema["type"], "object", "{name}");
            assert_eq!(schema["additionalProperties"], false, "{name}: unknown settings are refused");
            for (setting, schema) in schema["properties"].as_object().expect("settings") {
                assert!(schema["description"].is_string(), "{name}: `{setting}` is not described");
                assert!(
                    definition.readme.contains(&format!("`{setting}`")),
                    "{name}: the manual does not name `{setting}`"
                );
            }
        }
    }

    #[test]
    fn an_unknown_policy_is_an_issue_that_names_the_nearest() {
        let cases = [
            ("ip_acces", Some("did you mean `ip_access`?")),
            ("apiKey", Some("did you mean `api_key`?")),
            ("waf", None),
        ];
        for (name, label) in cases {
            let mut issues = Vec::new();
            let secrets = FakeSecrets::default();
            let mut cx = CompileContext::new("apis/a.yaml", "/policies/3", &mut issues, &secrets);
            let attachment = PolicyAttachment { policy: name.to_owned(), config: Value::Null };
            assert!(compile(&attachment, &mut cx).is_none());
            let [issue] = &issues[..] else { panic!("one issue: {issues:?}") };
            assert_eq!((issue.code, &*issue.pointer), (codes::UNKNOWN_POLICY, "/policies/3/policy"));
            assert_eq!(issue.message, format!("there is no policy `{name}`"));
            assert_eq!(issue.label.as_deref(), label);
            assert_eq!(issue.help.as_deref(), Some("the policies are `api_key`, `ip_access`"));
        }
    }
}
