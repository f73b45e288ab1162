//! The codes of problems that an import finds, and what each means.

use crate::issue::codes::{Code, codes};

/// What a code of the import means; `None` for codes of other parts.
pub fn explain(code: &str) -> Option<&'static str> {
    CODES.iter().find(|entry| entry.code == code).map(|entry| entry.explanation)
}

codes! {
    /// The document is no OpenAPI document.
    NOT_OPENAPI = "E200": "The file was to be read as OpenAPI but is not: its top level must be a mapping with \
        `openapi: 3.0.x`, `openapi: 3.1.x` or `swagger: \"2.0\"`.";
    /// A version that cannot be imported.
    VERSION = "E201": "The document is written in a version that cannot be imported. OpenAPI 3.0 and 3.1 and \
        Swagger 2.0 can; convert older documents to one of those first.";
    /// A reference to nothing.
    REF_MISSING = "E202": "A `$ref` names a place that is not in the document. Mind that keys in a reference are \
        escaped: `/` is `~1`, `~` is `~0` (RFC 6901).";
    /// A reference out of the document.
    REF_REMOTE = "E203": "A `$ref` leads to another file or a URL. Imports read one document and fetch nothing: \
        bundle the files into one with an OpenAPI bundler first.";
    /// References that lead in a circle.
    REF_CYCLE = "E204": "References lead in a circle, or through more than 32 others, without reaching a value. \
        Schemas may refer to themselves inside their properties; a reference that is nothing but itself means \
        nothing.";
    /// A value of the wrong shape.
    SHAPE = "E205": "A value has another shape than OpenAPI gives it, such as a text where a list belongs.";
    /// A CloudFormation function in place of a value.
    CLOUDFORMATION = "E206": "The document stands in, or comes from, an AWS SAM or CloudFormation template: a value \
        is a function such as `Fn::If` that only a deployment replaces. Export the deployed API (`aws apigateway \
        get-export`), or write the value itself.";
    /// An extension of Moongate's that does not exist.
    EXTENSION_UNKNOWN = "E207": "There is no such `x-moongate-*` extension. This is an error rather than a warning \
        because a misspelt `x-moongate-authorizer` would leave a route open.";
    /// An extension of Moongate's in the wrong place.
    EXTENSION_PLACE = "E208": "The extension exists but has no effect where it stands. The message names its \
        places.";
    /// A route that nothing answers.
    NO_INTEGRATION = "E209": "Nothing answers the route: neither the operation, its path nor the document has \
        `x-moongate-upstream` or `x-moongate-integration`, the operation has no `x-amazon-apigateway-integration`, \
        and the first of the `servers` is not an absolute http or https URL.";
    /// A mapping template that cannot be carried over.
    TEMPLATE = "E210": "A mapping template is no VTL, or uses a part of it that cannot be translated to Lua: \
        `#include` and `#parse`, `#evaluate` of computed text, `#set` of a macro's parameter, regular expressions with \
        look-around, `$util` functions that API Gateway does not have. Rather than guess, the import stops: change the \
        template, or write it in Lua. `moongate vtl translate FILE` shows the translation of a template.";
    /// A security scheme that nothing enforces, on a route that nothing else guards.
    SCHEME_UNENFORCED = "E211": "The document says that callers must authenticate with this scheme, but nothing \
        says how Moongate checks it, and the routes have no other guard. Attach an authorizer to the scheme \
        (`x-moongate-authorizer`), or state that the operations are open (`x-moongate-authorizer: none`).";
    /// A security scheme that does not exist.
    SCHEME_UNKNOWN = "E212": "A security requirement names a scheme that the document does not define.";
    /// Several authorizers on one operation.
    AUTHORIZERS_SEVERAL = "E213": "An operation's security requirements lead to more than one authorizer. A route \
        has one: say which with `x-moongate-authorizer` on the operation, or write one authorizer that does the \
        work of both.";
    /// An authorizer of unknown type.
    AUTHORIZER_TYPE = "E214": "An `x-amazon-apigateway-authorizer` has no type, or one that API Gateway does not \
        have.";
    /// An authorizer's name that is taken or reserved.
    AUTHORIZER_NAME = "E215": "Authorizers are named after their security schemes, and two have the same name, or \
        one is called `none`, which is what routes write to be open.";
    /// An operation that asks for an authorizer and names none.
    AUTH_WITHOUT_AUTHORIZER = "E216": "`x-amazon-apigateway-auth` asks for a custom or Cognito authorizer, but \
        `security` names no scheme that has one.";
    /// A resource policy that would be ignored.
    POLICY = "E217": "The API has a resource policy (`x-amazon-apigateway-policy`) that keeps some callers out. \
        Moongate does not evaluate resource policies yet, and an import that ignored one would open the API. \
        Policies that allow everybody are passed over.";
    /// A document that becomes too large.
    EXPANSION = "E218": "Parts that are referred to from many places would make the imported API larger than 128 \
        MiB. Documents written by people stay far below this.";
    /// A document that is nested too deeply.
    TOO_DEEP = "E219": "Mappings and lists stand in one another more than 128 deep.";
    /// A newer version, read as an older one.
    VERSION_NEWER = "W200": "The document's OpenAPI version is newer than 3.1. What newer versions add has no \
        effect.";
    /// A key that is no method.
    METHOD_SKIPPED = "W201": "A key of a path is not a method that routes can have (get, put, post, delete, \
        options, head, patch, x-moongate-any-method), so no route was made of it.";
    /// What stands beside a reference.
    REF_SIBLINGS = "W202": "A path is a `$ref`, and other keys stand beside it. Only what the reference leads to is \
        used.";
    /// An extension of AWS's that does not exist.
    EXTENSION_AWS_UNKNOWN = "W203": "There is no such `x-amazon-apigateway-*` extension; AWS ignores it too.";
    /// A field of an integration without effect yet.
    INTEGRATION_FIELD_UNSUPPORTED = "W204": "The field means something in AWS that Moongate does not do yet, such \
        as caching, VPC links or execution roles. The route works without it.";
    /// A field of an integration that does not exist.
    INTEGRATION_FIELD_UNKNOWN = "W205": "An integration has a field that API Gateway does not have. It is probably \
        misspelt.";
    /// Mappings on a proxy integration.
    INTEGRATION_MAPPING_IGNORED = "W206": "Proxy integrations pass bodies and answers on unchanged, in AWS as well: \
        templates and response mappings on them never run.";
    /// A parameter mapping without a source.
    MAPPING_DROPPED = "W207": "A parameter mapping's right side is not a text, so it names no source. AWS drops \
        such mappings with a warning, too.";
    /// A security scheme that nothing enforces, beside one that is.
    SCHEME_SKIPPED = "W208": "A security scheme is not enforced because nothing says how, but the routes that \
        require it have another guard. Attach `x-moongate-authorizer` to the scheme to have it enforced.";
    /// Security alternatives that are all enforced.
    ALTERNATIVES_ENFORCED = "W209": "The security requirements are alternatives, of which a caller needs one. \
        Moongate enforces an authorizer and an API key together, as AWS does, so callers need all of them.";
    /// Fields of an authorizer without effect yet.
    AUTHORIZER_FIELD_UNSUPPORTED = "W210": "Some fields of an AWS authorizer have no counterpart yet and are left \
        out. The message names them.";
    /// A setting of the API without effect yet.
    SETTING_UNSUPPORTED = "W211": "A setting of the whole API means something in AWS that Moongate does not do \
        yet.";
    /// A field of a setting that does not exist.
    SETTING_UNKNOWN = "W212": "An AWS setting has a field that API Gateway does not have. It is probably \
        misspelt.";

    /// A requirement of an open operation names a scheme that does not exist.
    SCHEME_UNKNOWN_IGNORED = "W213": "A security requirement names a scheme that the document does not define, on an \
        operation whose `x-amazon-apigateway-auth` says that it is open. The requirement is ignored, as AWS does.";
    /// A CloudFormation function that became a text.
    CLOUDFORMATION_KEPT = "W214": "The document comes from an AWS SAM or CloudFormation template. The function became a text in \
        which `${Name}` stands for what only a deployment knows; `moongate import --parameter Name=Value` fills it in. A route \
        whose upstream's host depends on it answers 500 until then.";
    /// A parameter that shares its segment.
    SEGMENT_WIDENED = "W215": "OpenAPI lets a path parameter be a part of a segment (`/compare/{base}...{head}`); a route's \
        parameter is a whole one, as in AWS. The route takes every value of that segment, so more requests than the document \
        describes; the upstream gets the path as it came and judges it.";
    /// A template that probably does not do what it should.
    TEMPLATE_DOUBTFUL = "W216": "A mapping template was translated, but something in it gives nothing, as in AWS: a \
        method that no value has, a macro with too few arguments. It is probably misspelt.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_explained_once_in_order_and_in_whole_sentences() {
        for pair in CODES.windows(2) {
            assert!(pair[0].code < pair[1].code, "{}", pair[1].code);
        }
        for Code { code, explanation } in CODES {
            assert!(explanation.ends_with('.') && !explanation.contains("  "), "{code}: {explanation}");
            assert_eq!(explain(code), Some(*explanation));
        }
        assert_eq!(explain("E999"), None);
    }
}
