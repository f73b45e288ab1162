//! AWS mapping templates in VTL, carried over to Lua where that is certain to mean the same.
//!
//! The subset: text, references to `$input`, `$context` and `$stageVariables`, and `$util`'s encoders around them; no
//! directive. [`lex`] reads the template's characters, [`parse`] makes the [`Piece`]s below of them, [`emit`] writes Lua.
//! Whatever else a template does is [`Unsupported`]: a template that nearly means the same is worse than none.
//!
//! Sources: the API Gateway mapping template reference, and the Velocity 1.7 user guide for escapes and names. AWS prints
//! a reference without a value as nothing, where Velocity prints the reference itself.

mod emit;
mod lex;
mod parse;

/// Longest template, in bytes (source: API Gateway quotas).
pub(super) const TEMPLATE_BYTES_MAX: usize = 300 * 1024;

/// What a template becomes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Translation {
    /// The template refers to nothing: its text, escapes resolved.
    Text(String),
    /// A Lua script that returns the body.
    Lua(String),
}

/// What in a template cannot be carried over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unsupported {
    /// The template's line it stands in, from 1.
    pub(super) line: usize,
    /// That line.
    pub(super) text: String,
    /// What it is: ``the directive `#set` ``.
    pub(super) what: String,
}

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// Printed as it is.
    Text(String),
    /// Printed as what it refers to.
    Value(Expression),
}

/// What a reference means.
#[derive(Debug, PartialEq, Eq)]
enum Expression {
    /// `$input.body`
    Body,
    /// `$input.json('$.path')`
    Json(String),
    /// `$input.path('$.path')`
    Path(String),
    /// `$input.params('name')`
    Parameter(String),
    /// `$input.params().header.name`
    ParameterIn(ParameterPlace, String),
    /// `$context.a.b`
    Context(Vec<String>),
    /// `$stageVariables.name`
    StageVariable(String),
    /// `'text'`, as an argument
    Literal(String),
    /// `$util.urlEncode(...)`
    Util(UtilFunction, Box<Expression>),
}

/// Where a request's parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParameterPlace {
    Path,
    Querystring,
    Header,
}

/// `$util`'s functions from text to text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UtilFunction {
    EscapeJavaScript,
    UrlEncode,
    UrlDecode,
    Base64Encode,
    Base64Decode,
}

impl ParameterPlace {
    const ALL: [Self; 3] = [Self::Path, Self::Querystring, Self::Header];

    fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Querystring => "querystring",
            Self::Header => "header",
        }
    }
}

impl UtilFunction {
    const ALL: [Self; 5] =
        [Self::EscapeJavaScript, Self::UrlEncode, Self::UrlDecode, Self::Base64Encode, Self::Base64Decode];

    fn as_str(self) -> &'static str {
        match self {
            Self::EscapeJavaScript => "escapeJavaScript",
            Self::UrlEncode => "urlEncode",
            Self::UrlDecode => "urlDecode",
            Self::Base64Encode => "base64Encode",
            Self::Base64Decode => "base64Decode",
        }
    }
}

/// Translates a template.
///
/// # Errors
/// The first thing in it that cannot be carried over.
pub(super) fn translate(template: &str) -> Result<Translation, Unsupported> {
    if template.len() > TEMPLATE_BYTES_MAX {
        let what = format!("its size of {} bytes, where AWS allows {TEMPLATE_BYTES_MAX}", template.len());
        return Err(Unsupported { line: 1, text: String::new(), what });
    }
    let pieces = parse::parse(template)?;
    Ok(match <[Piece; 1]>::try_from(pieces) {
        Ok([Piece::Text(text)]) => Translation::Text(text),
        Ok(pieces) => Translation::Lua(emit::script(&pieces)),
        Err(pieces) if pieces.is_empty() => Translation::Text(String::new()),
        Err(pieces) => Translation::Lua(emit::script(&pieces)),
    })
}

#[cfg(test)]
mod tests;
