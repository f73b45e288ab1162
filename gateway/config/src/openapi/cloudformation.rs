//! CloudFormation functions in a document: `Fn::Sub`, `Fn::GetAtt`, `Fn::Join`, `Ref`, as AWS SAM templates hold them.
//!
//! A deployment replaces them by values. Here each becomes a text in which `${Name}` stands for what only a deployment knows, and
//! a warning says so; what cannot work with such a text (the host of an upstream) is found where it is compiled. `moongate
//! import --parameter Name=Value` fills them in. Other functions stay, and are refused where a value is needed.
//!
//! Source: AWS CloudFormation User Guide, "Intrinsic function reference".

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::issue::{Issue, quote};
use crate::source::{ISSUES_MAX, Key, Node, Value, pointer_to};

use super::codes;

/// The document with its functions replaced; itself where it has none.
pub(super) fn resolve<'n>(
    document: &'n Node,
    parameters: &BTreeMap<String, String>,
    file: &str,
    issues: &mut Vec<Issue>,
) -> Cow<'n, Node> {
    if !has_function(document) {
        return Cow::Borrowed(document);
    }
    let mut resolved = document.clone();
    let mut resolver = Resolver { parameters, file, issues, reported: 0 };
    resolver.node(&mut resolved, "");
    Cow::Owned(resolved)
}

fn has_function(node: &Node) -> bool {
    match &node.value {
        Value::Sequence(items) => items.iter().any(has_function),
        Value::Mapping(entries) => function(node).is_some() || entries.iter().any(|(_, value)| has_function(value)),
        _ => false,
    }
}

/// The function that a mapping is, by its only key, and its argument.
fn function(node: &Node) -> Option<(&str, &Node)> {
    let [(key, argument)] = node.entries() else { return None };
    let is_known = match &*key.text {
        "Fn::Sub" | "Fn::GetAtt" => matches!(argument.value, Value::String(_) | Value::Sequence(_)),
        "Fn::Join" => matches!(argument.value, Value::Sequence(_)),
        "Ref" => matches!(argument.value, Value::String(_)),
        _ => false,
    };
    is_known.then_some((&*key.text, argument))
}

struct Resolver<'r> {
    parameters: &'r BTreeMap<String, String>,
    file: &'r str,
    issues: &'r mut Vec<Issue>,
    reported: usize,
}

impl Resolver<'_> {
    /// Replaces the functions in a tree. Recursion is bounded by the depth the document was checked for.
    fn node(&mut self, node: &mut Node, pointer: &str) {
        if let Some((name, _)) = function(node)
            && let Some(text) = self.text(node)
        {
            if text.contains("${") && self.reported < ISSUES_MAX {
                self.reported += 1;
                let message = format!("the CloudFormation function `{name}` is kept as {}", quote(&text));
                let issue = Issue::warning(codes::CLOUDFORMATION_KEPT, self.file, pointer, message).at(node.span);
                self.issues
                    .push(issue.help("`moongate import --parameter NAME=VALUE` fills in what only a deployment knows"));
            }
            node.value = Value::String(text.into());
            return;
        }
        match &mut node.value {
            Value::Sequence(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &format!("{pointer}/{index}"));
                }
            }
            Value::Mapping(entries) => {
                for (key, value) in entries {
                    self.node(value, &pointer_to(pointer, &key.text));
                }
            }
            _ => {}
        }
    }

    /// What a scalar or a function gives as text; `None` for anything else.
    fn text(&self, node: &Node) -> Option<String> {
        if let Value::String(text) = &node.value {
            return Some(text.to_string());
        }
        let (name, argument) = function(node)?;
        match (name, &argument.value) {
            ("Ref", Value::String(name)) => Some(self.value(name, &[])),
            ("Fn::GetAtt", Value::String(name)) => Some(self.value(name, &[])),
            ("Fn::GetAtt", Value::Sequence(parts)) => {
                let parts: Option<Vec<&str>> = parts.iter().map(Node::as_str).collect();
                Some(self.value(&parts?.join("."), &[]))
            }
            ("Fn::Sub", Value::String(text)) => Some(self.filled(text, &[])),
            ("Fn::Sub", Value::Sequence(items)) => match &**items {
                [text, variables] => Some(self.filled(text.as_str()?, variables.entries())),
                [text] => Some(self.filled(text.as_str()?, &[])),
                _ => None,
            },
            ("Fn::Join", Value::Sequence(items)) => {
                let [separator, parts] = &**items else { return None };
                let parts: Option<Vec<String>> = parts.items().iter().map(|part| self.text(part)).collect();
                Some(parts?.join(separator.as_str()?))
            }
            _ => None,
        }
    }

    fn value(&self, name: &str, local: &[(Key, Node)]) -> String {
        let own = local.iter().find(|(key, _)| &*key.text == name).and_then(|(_, value)| self.text(value));
        own.or_else(|| self.parameters.get(name).cloned()).unwrap_or_else(|| format!("${{{name}}}"))
    }

    /// A text with its `${Name}`s filled in as far as they are known; `${!Name}` is `${Name}` (an escape).
    fn filled(&self, text: &str, local: &[(Key, Node)]) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let Some(length) = rest[start..].find('}') else { break };
            filled.push_str(&rest[..start]);
            let name = &rest[start + 2..start + length];
            match name.strip_prefix('!') {
                Some(escaped) => filled.push_str(&format!("${{{escaped}}}")),
                // API Gateway's own, which no deployment touches.
                None if name.starts_with("stageVariables.") => filled.push_str(&rest[start..=start + length]),
                None => filled.push_str(&self.value(name.trim(), local)),
            }
            rest = &rest[start + length + 1..];
        }
        filled.push_str(rest);
        filled
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::node;
    use super::*;

    #[test]
    fn functions_become_texts() {
        let document = node(&json!({
            "sub": {"Fn::Sub": "arn:${AWS::Region}:${Name}:${!Kept}:${stageVariables.a}"},
            "with": {"Fn::Sub": ["'${Key}'", {"Key": {"Ref": "Other"}}]},
            "attribute": {"Fn::GetAtt": ["Role", "Arn"]},
            "join": {"Fn::Join": ["/", ["a", {"Ref": "Name"}]]},
            "other": {"Fn::If": ["x", 1, 2]},
            "property": {"Ref": {"type": "string"}},
        }));
        let parameters = BTreeMap::from([("Name".to_owned(), "orders".to_owned())]);
        let mut issues = Vec::new();
        let resolved = resolve(&document, &parameters, "a.yaml", &mut issues).to_json();
        assert_eq!(resolved["sub"], "arn:${AWS::Region}:orders:${Kept}:${stageVariables.a}");
        assert_eq!(resolved["with"], "'${Other}'");
        assert_eq!(resolved["attribute"], "${Role.Arn}");
        assert_eq!(resolved["join"], "a/orders");
        assert_eq!(resolved["other"], json!({"Fn::If": ["x", 1, 2]}));
        assert_eq!(resolved["property"], json!({"Ref": {"type": "string"}}));
        assert_eq!(issues.len(), 3, "{issues:?}");
    }
}
