//! Templates to pieces.

use super::lex::{Cursor, begins_reference, is_name_start};
use super::{Expression, ParameterPlace, Piece, Unsupported, UtilFunction};

/// Velocity's directives, and AppSync's `return`.
const DIRECTIVES: [&str; 14] = [
    "set", "if", "elseif", "else", "end", "foreach", "break", "stop", "macro", "parse", "include", "define",
    "evaluate", "return",
];

/// How deep `$util` calls may stand in one another.
const CALLS_DEPTH_MAX: usize = 8;

/// Reads a template. Neighbouring texts are one piece; no piece is empty.
pub(super) fn parse(template: &str) -> Result<Vec<Piece>, Unsupported> {
    let mut parser = Parser { template, cursor: Cursor::new(template), pieces: Vec::new(), text: String::new() };
    parser.run().map_err(|problem| problem.locate(template))?;
    parser.flush();
    Ok(parser.pieces)
}

/// What cannot be carried over, and the byte it begins at.
struct Problem {
    position: usize,
    what: String,
}

impl Problem {
    fn locate(self, template: &str) -> Unsupported {
        let (before, after) = template.split_at(self.position);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = after.find('\n').map_or(template.len(), |newline| self.position + newline);
        let text = template[line_start..line_end].trim_end_matches('\r').to_owned();
        Unsupported { line: before.matches('\n').count() + 1, text, what: self.what }
    }
}

struct Parser<'t> {
    template: &'t str,
    cursor: Cursor<'t>,
    pieces: Vec<Piece>,
    text: String,
}

impl<'t> Parser<'t> {
    fn run(&mut self) -> Result<(), Problem> {
        loop {
            let text = self.cursor.eat_until(&['$', '#', '\\']);
            self.text.push_str(text);
            match self.cursor.rest().as_bytes().first() {
                None => return Ok(()),
                Some(b'$') => self.dollar(0)?,
                Some(b'#') => self.hash()?,
                Some(_) => self.backslashes()?,
            }
        }
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(std::mem::take(&mut self.text)));
        }
    }

    /// Backslashes escape a reference or a directive, two of them one backslash; before anything else they are text.
    fn backslashes(&mut self) -> Result<(), Problem> {
        let start = self.cursor.position();
        let count = self.cursor.eat_run('\\');
        if self.cursor.is_at("$") {
            return self.dollar(count);
        }
        let mut after = self.cursor;
        let is_directive = after.eat("#") && directive(&mut after).is_some();
        if is_directive && count > 1 {
            return Err(Problem { position: start, what: "backslashes before a directive".to_owned() });
        }
        if is_directive {
            self.cursor.eat("#");
            self.text.push('#');
        } else {
            self.text.extend(std::iter::repeat_n('\\', count));
        }
        Ok(())
    }

    /// A `$` behind some backslashes.
    fn dollar(&mut self, backslashes: usize) -> Result<(), Problem> {
        let start = self.cursor.position();
        if !begins_reference(self.cursor.rest()) {
            self.text.extend(std::iter::repeat_n('\\', backslashes));
            self.cursor.eat("$");
            self.text.push('$');
            return Ok(());
        }
        let expression = self.reference()?;
        self.text.extend(std::iter::repeat_n('\\', backslashes / 2));
        if backslashes % 2 == 1 {
            self.text.push_str(self.cursor.since(start));
        } else {
            self.flush();
            self.pieces.push(Piece::Value(expression));
        }
        Ok(())
    }

    fn hash(&mut self) -> Result<(), Problem> {
        let position = self.cursor.position();
        let problem = |what: String| Err(Problem { position, what });
        self.cursor.eat("#");
        for (sign, what) in
            [("#", "a `##` comment"), ("*", "a `#*` comment"), ("[[", "a `#[[` literal"), ("@", "a `#@` macro")]
        {
            if self.cursor.is_at(sign) {
                return problem(what.to_owned());
            }
        }
        let mut after = self.cursor;
        if let Some(name) = directive(&mut after) {
            return problem(format!("the directive `#{name}`"));
        }
        let mut after = self.cursor;
        if let Some(name) = after.eat_name() {
            after.eat_blanks();
            if after.is_at("(") {
                return problem(format!("the macro `#{name}`"));
            }
        }
        self.text.push('#');
        Ok(())
    }

    /// A reference, from its `$` to its end.
    fn reference(&mut self) -> Result<Expression, Problem> {
        self.reference_within(0)
    }

    fn reference_within(&mut self, depth: usize) -> Result<Expression, Problem> {
        let start = self.cursor.position();
        self.cursor.eat("$");
        self.cursor.eat("!");
        let is_braced = self.cursor.eat("{");
        let root = self.cursor.eat_name().unwrap_or_default();
        let expression = match root {
            "input" => self.input(),
            "context" => self.context(),
            "stageVariables" => self.accessor().map(|name| Expression::StageVariable(name.to_owned())),
            "util" => self.util(depth)?,
            _ => None,
        };
        let is_closed = if is_braced { self.cursor.eat("}") } else { !self.goes_on() };
        match expression {
            Some(expression) if is_closed => Ok(expression),
            _ => Err(self.unsupported_reference(start)),
        }
    }

    /// Whether a reference goes on with what we did not read: a property, an index or arguments.
    fn goes_on(&self) -> bool {
        let rest = self.cursor.rest();
        rest.starts_with(['[', '(']) || rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(is_name_start))
    }

    /// Names a reference by what of it reads like a name.
    fn unsupported_reference(&self, start: usize) -> Problem {
        let text = &self.template[start..];
        let is_end = |c: char| !(c.is_ascii_alphanumeric() || "$!{._-".contains(c));
        let name = &text[..text.find(is_end).unwrap_or(text.len()).min(60)];
        Problem { position: start, what: format!("the reference `{}`", name.trim_end_matches('.')) }
    }

    fn input(&mut self) -> Option<Expression> {
        self.cursor.eat(".").then_some(())?;
        let member = self.cursor.eat_name()?;
        if member == "body" {
            return Some(Expression::Body);
        }
        self.cursor.eat("(").then_some(())?;
        self.cursor.eat_blanks();
        if member == "params" && self.cursor.eat(")") {
            return self.parameter_in();
        }
        let argument = self.cursor.eat_quoted()?.to_owned();
        self.cursor.eat_blanks();
        self.cursor.eat(")").then_some(())?;
        match member {
            "json" => Some(Expression::Json(argument)),
            "path" => Some(Expression::Path(argument)),
            "params" => Some(Expression::Parameter(argument)),
            _ => None,
        }
    }

    /// `.header.name` behind `$input.params()`.
    fn parameter_in(&mut self) -> Option<Expression> {
        let place = self.accessor()?;
        let place = ParameterPlace::ALL.into_iter().find(|known| known.as_str() == place)?;
        let mut getter = self.cursor;
        let name = if getter.eat(".get(") {
            self.cursor = getter;
            self.cursor.eat_blanks();
            let name = self.cursor.eat_quoted()?;
            self.cursor.eat_blanks();
            self.cursor.eat(")").then_some(())?;
            name
        } else {
            self.accessor()?
        };
        Some(Expression::ParameterIn(place, name.to_owned()))
    }

    fn context(&mut self) -> Option<Expression> {
        let mut names: Vec<String> = vec![self.accessor()?.to_owned()];
        while self.goes_on() {
            if !is_context_group(&names) {
                return None;
            }
            names.push(self.accessor()?.to_owned());
        }
        Some(Expression::Context(names))
    }

    /// `.urlEncode(...)`. `Err` when what cannot be carried over is in the argument.
    fn util(&mut self, depth: usize) -> Result<Option<Expression>, Problem> {
        let Some(function) = self.util_function().filter(|_| depth < CALLS_DEPTH_MAX) else {
            return Ok(None);
        };
        let argument = if begins_reference(self.cursor.rest()) {
            self.reference_within(depth + 1)?
        } else if let Some(text) = self.cursor.eat_quoted() {
            Expression::Literal(text.to_owned())
        } else {
            return Ok(None);
        };
        self.cursor.eat_blanks();
        let is_closed = self.cursor.eat(")");
        Ok(is_closed.then(|| Expression::Util(function, Box::new(argument))))
    }

    /// `.urlEncode(`, up to the argument.
    fn util_function(&mut self) -> Option<UtilFunction> {
        self.cursor.eat(".").then_some(())?;
        let name = self.cursor.eat_name()?;
        self.cursor.eat("(").then_some(())?;
        self.cursor.eat_blanks();
        UtilFunction::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// `.name` or `['name']`.
    fn accessor(&mut self) -> Option<&'t str> {
        if self.cursor.eat("[") {
            self.cursor.eat_blanks();
            let name = self.cursor.eat_quoted()?;
            self.cursor.eat_blanks();
            return self.cursor.eat("]").then_some(name);
        }
        self.cursor.eat(".").then_some(())?;
        self.cursor.eat_name()
    }
}

/// The directive that stands behind a `#`, if one does: `set`, `{else}`. Words that merely begin with `end` or `else` count,
/// since Velocity versions disagree about them.
fn directive<'t>(cursor: &mut Cursor<'t>) -> Option<&'t str> {
    cursor.eat("{");
    let name = cursor.eat_name()?;
    let is_one = DIRECTIVES.contains(&name) || name.starts_with("end") || name.starts_with("else");
    is_one.then_some(name)
}

/// Whether `$context` has a group of values under these names (source: API Gateway mapping template reference). Whatever
/// else `$context` holds is text, whose properties a template must not ask for.
fn is_context_group(names: &[String]) -> bool {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    matches!(
        names[..],
        ["authorizer" | "error" | "identity" | "requestOverride" | "responseOverride"]
            | ["authorizer", "claims"]
            | ["identity", "clientCert"]
            | ["identity", "clientCert", "validity"]
            | ["requestOverride", "header" | "path" | "querystring"]
            | ["responseOverride", "header"]
    )
}
