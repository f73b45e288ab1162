//! Text, and what begins with `#`.
//!
//! White space is where Velocity 1.7 has it: the `)` that closes a directive, `#else` and `#end` take the end of their line with
//! them, and `#set` the blanks before it, unless those belong to a text that begins earlier.

use super::cursor::Cursor;
use super::{Branch, Call, Expression, Foreach, Node, NodeKind, Reference, SyntaxError};

/// Directives that may be escaped by a backslash, beside macros.
const DIRECTIVES: [&str; 13] = [
    "if", "elseif", "else", "end", "set", "foreach", "include", "parse", "macro", "evaluate", "break", "define", "stop",
];

/// Directives whose names halve the backslashes before them even when they are not escaped.
const CONTROLS: [&str; 12] =
    ["if", "elseif", "else", "end", "foreach", "include", "parse", "macro", "evaluate", "break", "define", "stop"];

/// Reading ended early.
pub(super) struct Failed {
    /// Whether no other way of reading may be tried: that would take too long, or not help.
    pub(super) is_fatal: bool,
    pub(super) error: SyntaxError,
}

/// Where a block ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    Input,
    End,
    Else,
    ElseIf,
}

pub(super) struct Parser<'t> {
    pub(super) cursor: Cursor<'t>,
    pub(super) depth: usize,
    pub(super) macros: &'t [String],
}

/// What has been read of a block.
#[derive(Default)]
struct Block {
    nodes: Vec<Node>,
    text: String,
    text_line: u32,
}

impl Block {
    fn text(&mut self, line: u32, text: &str) {
        if self.text.is_empty() {
            self.text_line = line;
        }
        self.text.push_str(text);
    }

    fn push(&mut self, line: u32, kind: NodeKind) {
        self.flush();
        self.nodes.push(Node { line, kind });
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            let text = std::mem::take(&mut self.text);
            self.nodes.push(Node { line: self.text_line, kind: NodeKind::Text(text) });
        }
    }
}

/// The names after `#macro(`, wherever they stand: a macro may be used before it is defined.
pub(super) fn macro_names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (at, _) in text.match_indices("macro") {
        let before = text[..at].trim_end_matches('{');
        let after = text[at + 5..].trim_start_matches('}').trim_start();
        let Some(after) = after.strip_prefix('(').filter(|_| before.ends_with('#')) else { continue };
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        names.push(after[..end].to_owned());
    }
    names.sort_unstable();
    names.dedup();
    names
}

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str, first_line: u32, depth: usize, macros: &'t [String]) -> Self {
        Self { cursor: Cursor::new(text, first_line), depth, macros }
    }

    /// Reads to the end of the text.
    pub(super) fn run(mut self) -> Result<Vec<Node>, SyntaxError> {
        let (nodes, end) = self.block().map_err(|failed| failed.error)?;
        let name = match end {
            Closing::Input => return Ok(nodes),
            Closing::End => "#end",
            Closing::Else => "#else",
            Closing::ElseIf => "#elseif",
        };
        let what = format!("`{name}` without a directive that it belongs to");
        Err(self.fail(self.cursor.at.saturating_sub(1), what).error)
    }

    pub(super) fn fail(&self, at: usize, what: impl Into<String>) -> Failed {
        Failed { is_fatal: false, error: SyntaxError { line: self.cursor.line_at(at), what: what.into() } }
    }

    pub(super) fn fatal(&self, at: usize, what: impl Into<String>) -> Failed {
        Failed { is_fatal: true, ..self.fail(at, what) }
    }

    /// Everything up to an `#end`, `#else` or `#elseif`, or to the end of the text.
    fn block(&mut self) -> Result<(Vec<Node>, Closing), Failed> {
        let mut block = Block::default();
        let mut end = Closing::Input;
        while !self.cursor.is_at_end() {
            let start = self.cursor.at;
            match self.cursor.peek() {
                Some('\\') => self.backslashes(&mut block)?,
                Some('$') => self.dollar(&mut block)?,
                Some('#') => {
                    if let Some(found) = self.hash(&mut block)? {
                        end = found;
                        break;
                    }
                }
                _ if self.eat_blanks_before_set() => {}
                _ => {
                    let text = self.cursor.eat_while(|c| !matches!(c, '\\' | '$' | '#'));
                    block.text(self.cursor.line_at(start), text);
                }
            }
        }
        block.flush();
        Ok((block.nodes, end))
    }

    fn eat_blanks_before_set(&mut self) -> bool {
        let start = self.cursor.at;
        let blanks = self.cursor.eat_while(|c| matches!(c, ' ' | '\t'));
        if !blanks.is_empty() && self.is_at_set() {
            return true;
        }
        self.cursor.at = start;
        false
    }

    fn is_at_set(&self) -> bool {
        let rest = self.cursor.rest();
        let rest = rest.strip_prefix("#set").or_else(|| rest.strip_prefix("#{set}"));
        rest.is_some_and(|rest| rest.trim_start_matches(' ').starts_with('('))
    }

    /// A run of backslashes, which may escape a reference or a directive behind it.
    fn backslashes(&mut self, block: &mut Block) -> Result<(), Failed> {
        let start = self.cursor.at;
        let line = self.cursor.line_at(start);
        let run = self.cursor.eat_while(|c| c == '\\');
        let (count, halved) = (run.len(), &run[..run.len() / 2]);
        if self.cursor.is_at("$") {
            let dollar = self.cursor.at;
            let Some(reference) = self.reference()? else {
                block.text(line, run);
                return self.dollar(block);
            };
            block.text(line, halved);
            if count % 2 == 1 {
                block.text(line, self.cursor.since(dollar));
            } else {
                block.push(line, NodeKind::Reference(reference));
            }
            return Ok(());
        }
        if self.cursor.is_at("#") {
            let mut ahead = self.cursor.clone();
            ahead.eat("#");
            let name = ahead.eat_directive_name().unwrap_or_default();
            let is_macro = self.macros.iter().any(|known| known == name);
            if count % 2 == 1 && !name.is_empty() {
                let is_escape = is_macro || DIRECTIVES.contains(&name);
                block.text(line, if is_escape { halved } else { run });
                block.text(line, ahead.since(self.cursor.at));
                self.cursor.at = ahead.at;
                return Ok(());
            }
            let is_control = count % 2 == 0 && (is_macro || CONTROLS.contains(&name));
            block.text(line, if is_control { halved } else { run });
            if count % 2 == 1 {
                block.text(line, "#");
                self.cursor.eat("#");
            }
            return Ok(());
        }
        block.text(line, run);
        Ok(())
    }

    fn dollar(&mut self, block: &mut Block) -> Result<(), Failed> {
        let start = self.cursor.at;
        let line = self.cursor.line_at(start);
        if let Some(reference) = self.reference()? {
            block.push(line, NodeKind::Reference(reference));
            return Ok(());
        }
        self.cursor.eat("$");
        // `$\!name` is a text, and loses one backslash.
        let rest = self.cursor.rest();
        let slashes = rest.len() - rest.trim_start_matches('\\').len();
        block.text(line, "$");
        if slashes > 0 && rest[slashes..].starts_with('!') {
            block.text(line, &rest[1..=slashes]);
            self.cursor.at += slashes + 1;
        }
        Ok(())
    }

    /// A comment, a directive, or a `#` that is nothing but a character. The answer says that the block ends here.
    fn hash(&mut self, block: &mut Block) -> Result<Option<Closing>, Failed> {
        let start = self.cursor.at;
        let line = self.cursor.line_at(start);
        if self.cursor.eat("##") {
            let comment = self.cursor.eat_while(|c| !matches!(c, '\n' | '\r')).to_owned();
            let _end = self.cursor.eat("\r\n") || self.cursor.eat("\n") || self.cursor.eat("\r");
            block.push(line, NodeKind::Comment(comment));
            return Ok(None);
        }
        if self.cursor.eat("#*") {
            let comment = self.cursor.eat_through("*#");
            let comment = comment.ok_or_else(|| self.fatal(start, "a comment is not closed by `*#`"))?.to_owned();
            block.push(line, NodeKind::Comment(comment));
            return Ok(None);
        }
        if self.cursor.eat("#[[") {
            let text = self.cursor.eat_through("]]#");
            let text = text.ok_or_else(|| self.fatal(start, "a `#[[` is not closed by `]]#`"))?;
            block.text(line, text);
            return Ok(None);
        }
        self.cursor.eat("#");
        let Some(name) = self.cursor.eat_directive_name() else {
            block.text(line, "#");
            return Ok(None);
        };
        match name {
            "end" | "else" => {
                self.cursor.eat_line_end();
                return Ok(Some(if name == "end" { Closing::End } else { Closing::Else }));
            }
            "elseif" => return Ok(Some(Closing::ElseIf)),
            _ => {}
        }
        let has_arguments = self.cursor.rest().trim_start_matches([' ', '\t', '\r', '\n']).starts_with('(');
        let kind = match name {
            "if" => self.conditional(start)?,
            "set" if self.cursor.rest().trim_start_matches(' ').starts_with('(') => self.set(start)?,
            "foreach" => self.foreach(start)?,
            "macro" => self.macro_definition(start)?,
            "define" => self.define(start)?,
            "evaluate" => match self.only_argument(start, name)? {
                Expression::Text(text) => {
                    let inner = self.nested(start, |parser| {
                        let inner = Parser::new(&text, line, parser.depth, parser.macros);
                        inner.run().map_err(|error| Failed { is_fatal: true, error })
                    })?;
                    block.flush();
                    block.nodes.extend(inner);
                    return Ok(None);
                }
                text => NodeKind::Evaluate(text),
            },
            "return" if has_arguments && !self.is_macro("return") => {
                let value = self.only_argument(start, name)?;
                // AppSync's, and no directive of Velocity: the end of its line stays.
                self.uneat_line_end();
                NodeKind::Return(value)
            }
            "include" | "parse" if has_arguments => {
                self.arguments(start)?;
                NodeKind::Include { name: if name == "parse" { "parse" } else { "include" } }
            }
            "break" | "stop" => {
                if has_arguments {
                    self.arguments(start)?;
                }
                if name == "break" { NodeKind::Break } else { NodeKind::Stop }
            }
            _ => return self.call(block, start, name, has_arguments).map(|()| None),
        };
        block.push(line, kind);
        Ok(None)
    }

    fn is_macro(&self, name: &str) -> bool {
        self.macros.iter().any(|known| known == name)
    }

    /// A macro, or a name that only looks like one.
    fn call(&mut self, block: &mut Block, start: usize, name: &str, has_arguments: bool) -> Result<(), Failed> {
        let line = self.cursor.line_at(start);
        let after_name = self.cursor.at;
        let (is_block, name) = name.strip_prefix('@').map_or((false, name), |name| (true, name));
        let is_macro = self.is_macro(name);
        if !has_arguments {
            if is_macro && !is_block {
                block.push(line, NodeKind::Call(Call { name: name.to_owned(), arguments: Vec::new(), body: None }));
            } else {
                block.text(line, self.cursor.since(start));
            }
            return Ok(());
        }
        let name = name.to_owned();
        match self.arguments(start) {
            Ok(arguments) if is_macro => {
                let body = if is_block { Some(self.nested(start, |parser| parser.body(start, "#@"))?) } else { None };
                block.push(line, NodeKind::Call(Call { name, arguments, body }));
            }
            // Velocity prints an unknown macro as it was written.
            Ok(_) => block.text(line, self.cursor.since(start)),
            Err(failed) if is_macro || failed.is_fatal => return Err(failed),
            Err(_) => {
                self.cursor.at = after_name;
                block.text(line, self.cursor.since(start));
            }
        }
        Ok(())
    }

    /// A block that has to end with `#end`.
    fn body(&mut self, start: usize, name: &str) -> Result<Vec<Node>, Failed> {
        match self.block()? {
            (nodes, Closing::End) => Ok(nodes),
            (_, Closing::Input) => Err(self.fatal(start, format!("`{name}` is not closed by `#end`"))),
            (_, Closing::Else | Closing::ElseIf) => Err(self.fatal(start, format!("`#else` in `{name}`"))),
        }
    }

    fn conditional(&mut self, start: usize) -> Result<NodeKind, Failed> {
        let mut branches = Vec::new();
        let mut branch_start = start;
        loop {
            let condition = self.only_argument(branch_start, "if")?;
            let line = self.cursor.line_at(branch_start);
            let (body, end) = self.nested(branch_start, Self::block)?;
            branches.push(Branch { line, condition, body });
            branch_start = self.cursor.at.saturating_sub(1);
            match end {
                Closing::End => return Ok(NodeKind::If { branches, otherwise: None }),
                Closing::ElseIf => {}
                Closing::Else => {
                    let otherwise = self.nested(branch_start, |parser| parser.body(start, "#if"))?;
                    return Ok(NodeKind::If { branches, otherwise: Some(otherwise) });
                }
                Closing::Input => return Err(self.fatal(start, "`#if` is not closed by `#end`")),
            }
        }
    }

    fn set(&mut self, start: usize) -> Result<NodeKind, Failed> {
        self.open(start, "set")?;
        let target = self.variable(start, "set")?;
        self.cursor.eat_space();
        if !self.cursor.eat("=") {
            return Err(self.fatal(start, "`#set` needs a `=`"));
        }
        let value = self.expression()?;
        self.close(start, "set")?;
        Ok(NodeKind::Set { target, value })
    }

    fn foreach(&mut self, start: usize) -> Result<NodeKind, Failed> {
        self.open(start, "foreach")?;
        let variable = self.plain_variable(start, "foreach")?;
        self.cursor.eat_space();
        if self.cursor.eat_word() != Some("in") {
            return Err(self.fatal(start, "`#foreach` needs an `in`"));
        }
        let items = self.expression()?;
        self.close(start, "foreach")?;
        let body = self.nested(start, |parser| parser.body(start, "#foreach"))?;
        Ok(NodeKind::Foreach(Foreach { variable, items, body }))
    }

    fn macro_definition(&mut self, start: usize) -> Result<NodeKind, Failed> {
        self.open(start, "macro")?;
        self.cursor.eat_space();
        let Some(name) = self.cursor.eat_word().map(str::to_owned) else {
            return Err(self.fatal(start, "`#macro` needs a name"));
        };
        let mut parameters = Vec::new();
        loop {
            self.cursor.eat_space();
            self.cursor.eat(",");
            self.cursor.eat_space();
            if self.cursor.is_at(")") {
                break;
            }
            parameters.push(self.plain_variable(start, "macro")?);
        }
        self.close(start, "macro")?;
        let body = self.nested(start, |parser| parser.body(start, "#macro"))?;
        Ok(NodeKind::Macro { name, parameters, body })
    }

    fn define(&mut self, start: usize) -> Result<NodeKind, Failed> {
        self.open(start, "define")?;
        let name = self.plain_variable(start, "define")?;
        self.close(start, "define")?;
        let body = self.nested(start, |parser| parser.body(start, "#define"))?;
        Ok(NodeKind::Define { name, body })
    }

    fn variable(&mut self, start: usize, directive: &str) -> Result<Reference, Failed> {
        self.cursor.eat_space();
        let reference = if self.cursor.is_at("$") { self.reference()? } else { None };
        reference.ok_or_else(|| self.fatal(start, format!("`#{directive}` needs a variable")))
    }

    fn plain_variable(&mut self, start: usize, directive: &str) -> Result<String, Failed> {
        let reference = self.variable(start, directive)?;
        if reference.is_plain() {
            return Ok(reference.name);
        }
        Err(self.fatal(start, format!("`#{directive}` needs a variable without anything behind its name")))
    }

    fn only_argument(&mut self, start: usize, directive: &str) -> Result<Expression, Failed> {
        self.open(start, directive)?;
        let value = self.nested(start, Self::expression).map_err(|failed| Failed { is_fatal: true, ..failed })?;
        self.close(start, directive)?;
        Ok(value)
    }

    /// What a macro is given: values with blanks or commas between them.
    fn arguments(&mut self, start: usize) -> Result<Vec<Expression>, Failed> {
        self.open(start, "macro")?;
        let mut arguments = Vec::new();
        loop {
            self.cursor.eat_space();
            self.cursor.eat(",");
            self.cursor.eat_space();
            if self.cursor.eat(")") {
                self.cursor.eat_line_end();
                return Ok(arguments);
            }
            arguments.push(self.nested(start, Self::primary)?);
        }
    }

    fn open(&mut self, start: usize, directive: &str) -> Result<(), Failed> {
        self.cursor.eat_space();
        if self.cursor.eat("(") { Ok(()) } else { Err(self.fatal(start, format!("`#{directive}` needs a `(`"))) }
    }

    fn close(&mut self, start: usize, directive: &str) -> Result<(), Failed> {
        self.cursor.eat_space();
        if !self.cursor.eat(")") {
            return Err(self.fatal(start, format!("the arguments of `#{directive}` are not closed by `)`")));
        }
        self.cursor.eat_line_end();
        Ok(())
    }

    /// Steps back behind the `)` that was stepped over last.
    fn uneat_line_end(&mut self) {
        self.cursor.step_back_over_space();
    }
}
