//! What stands in the parentheses of directives and methods.

use crate::{NESTING_MAX, OPERATORS_MAX};

use super::template::{Failed, Parser};
use super::{Expression, Operator};

/// Operators as they are written. A sign that begins another one stands behind it.
const OPERATORS: [(&str, Operator); 13] = [
    ("||", Operator::Or),
    ("&&", Operator::And),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("+", Operator::Add),
    ("-", Operator::Subtract),
    ("*", Operator::Multiply),
    ("/", Operator::Divide),
    ("%", Operator::Remainder),
];

const WORDS: [(&str, Operator); 8] = [
    ("or", Operator::Or),
    ("and", Operator::And),
    ("eq", Operator::Equal),
    ("ne", Operator::NotEqual),
    ("le", Operator::LessOrEqual),
    ("ge", Operator::GreaterOrEqual),
    ("lt", Operator::Less),
    ("gt", Operator::Greater),
];

impl Parser<'_> {
    /// Anything that has a value. Blanks around it are stepped over.
    pub(super) fn expression(&mut self) -> Result<Expression, Failed> {
        self.binary(1)
    }

    /// Operators that bind at least so strongly, from the left.
    fn binary(&mut self, strength: u8) -> Result<Expression, Failed> {
        let mut left = self.unary()?;
        let mut count = 0;
        loop {
            self.cursor.eat_space();
            let start = self.cursor.at;
            let Some(operator) = self.operator().filter(|operator| operator.strength() >= strength) else {
                self.cursor.at = start;
                return Ok(left);
            };
            count += 1;
            if count > OPERATORS_MAX {
                return Err(self.fatal(start, format!("more than {OPERATORS_MAX} operators in a row")));
            }
            let right = self.nested(start, |parser| parser.binary(operator.strength() + 1))?;
            left = Expression::Binary(operator, Box::new(left), Box::new(right));
        }
    }

    fn operator(&mut self) -> Option<Operator> {
        if let Some((_, operator)) = OPERATORS.into_iter().find(|(sign, _)| self.cursor.eat(sign)) {
            return Some(operator);
        }
        let word = self.cursor.eat_word()?;
        WORDS.into_iter().find(|(known, _)| *known == word).map(|(_, operator)| operator)
    }

    fn unary(&mut self) -> Result<Expression, Failed> {
        self.cursor.eat_space();
        let start = self.cursor.at;
        let is_negated = self.cursor.eat("!") || self.cursor.eat_word() == Some("not");
        if is_negated {
            let inner = self.nested(start, Self::unary)?;
            return Ok(Expression::Not(Box::new(inner)));
        }
        self.cursor.at = start;
        self.primary()
    }

    /// A value without operators around it.
    pub(super) fn primary(&mut self) -> Result<Expression, Failed> {
        self.cursor.eat_space();
        let start = self.cursor.at;
        match self.cursor.peek() {
            Some('$') => match self.reference()? {
                Some(reference) => Ok(Expression::Reference(reference)),
                None => Err(self.fail(start, "a `$` without a name behind it")),
            },
            Some('"' | '\'') => self.string(),
            Some('[') => self.nested(start, Self::list_or_range),
            Some('{') => self.nested(start, Self::map),
            Some('(') => {
                self.cursor.eat("(");
                let inner = self.nested(start, Self::expression)?;
                self.cursor.eat_space();
                if self.cursor.eat(")") { Ok(inner) } else { Err(self.fail(start, "a `(` is not closed")) }
            }
            Some('-' | '.' | '0'..='9') => self.number(),
            Some(_) => match self.cursor.eat_word() {
                Some("true") => Ok(Expression::Boolean(true)),
                Some("false") => Ok(Expression::Boolean(false)),
                Some("null") => {
                    Err(self.fail(start, "`null` is no value in Velocity; a variable that is never set has none"))
                }
                Some(word) => Err(self.fail(start, format!("`{word}` is no value"))),
                None => {
                    let found = self.cursor.peek().unwrap_or_default();
                    Err(self.fail(start, format!("`{found}` where a value is expected")))
                }
            },
            None => Err(self.fail(start, "the template ends where a value is expected")),
        }
    }

    /// Runs a part of the parser one level deeper.
    pub(super) fn nested<R>(
        &mut self,
        start: usize,
        read: impl FnOnce(&mut Self) -> Result<R, Failed>,
    ) -> Result<R, Failed> {
        if self.depth >= NESTING_MAX {
            return Err(self.fatal(start, format!("nested more than {NESTING_MAX} deep")));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn number(&mut self) -> Result<Expression, Failed> {
        let start = self.cursor.at;
        self.cursor.eat("-");
        self.cursor.eat_while(|c| c.is_ascii_digit());
        // The dots of `[1..3]` belong to the range.
        let is_fraction = self.cursor.is_at(".") && !self.cursor.is_at("..");
        if is_fraction {
            self.cursor.eat(".");
            self.cursor.eat_while(|c| c.is_ascii_digit());
        }
        let is_power = self.exponent();
        let digits = self.cursor.since(start);
        if is_fraction || is_power {
            let number = digits.parse().ok().filter(|number: &f64| number.is_finite());
            return number.map(Expression::Double).ok_or_else(|| self.fail(start, format!("`{digits}` is no number")));
        }
        digits.parse().map(Expression::Integer).map_err(|_| self.fail(start, format!("`{digits}` is no number")))
    }

    fn exponent(&mut self) -> bool {
        let start = self.cursor.at;
        if self.cursor.eat("e") || self.cursor.eat("E") {
            let _sign = self.cursor.eat("-") || self.cursor.eat("+");
            if !self.cursor.eat_while(|c| c.is_ascii_digit()).is_empty() {
                return true;
            }
        }
        self.cursor.at = start;
        false
    }

    /// A text in quotes. A quote that is doubled stands for itself. In double quotes references and directives are carried
    /// out, and `\u0041` is a character.
    fn string(&mut self) -> Result<Expression, Failed> {
        let start = self.cursor.at;
        let quote = if self.cursor.eat("\"") { "\"" } else { "'" };
        if quote == "'" {
            self.cursor.eat("'");
        }
        let mut text = String::new();
        loop {
            let Some(part) = self.cursor.eat_through(quote) else {
                return Err(self.fatal(start, "a text in quotes is not closed"));
            };
            text.push_str(part);
            if !self.cursor.eat(quote) {
                break;
            }
            text.push_str(quote);
        }
        if quote == "'" {
            return Ok(Expression::Text(text));
        }
        let text = unescape(text);
        if !text.contains(['$', '#']) {
            return Ok(Expression::Text(text));
        }
        let line = self.cursor.line_at(start);
        let nodes = self.nested(start, |parser| {
            let inner = Parser::new(&text, line, parser.depth, parser.macros);
            inner.run().map_err(|error| Failed { is_fatal: true, error })
        })?;
        Ok(Expression::Interpolated(nodes))
    }

    fn list_or_range(&mut self) -> Result<Expression, Failed> {
        let start = self.cursor.at;
        self.cursor.eat("[");
        let mut items = Vec::new();
        self.cursor.eat_space();
        while !self.cursor.eat("]") {
            if !items.is_empty() && !self.cursor.eat(",") {
                return Err(self.fail(start, "a list is not closed by `]`"));
            }
            items.push(self.expression()?);
            self.cursor.eat_space();
            if items.len() == 1 && self.cursor.eat("..") {
                let last = self.expression()?;
                self.cursor.eat_space();
                let first = items.swap_remove(0);
                return if self.cursor.eat("]") {
                    Ok(Expression::Range(Box::new(first), Box::new(last)))
                } else {
                    Err(self.fail(start, "a range is not closed by `]`"))
                };
            }
        }
        Ok(Expression::List(items))
    }

    fn map(&mut self) -> Result<Expression, Failed> {
        let start = self.cursor.at;
        self.cursor.eat("{");
        let mut pairs = Vec::new();
        self.cursor.eat_space();
        while !self.cursor.eat("}") {
            if !pairs.is_empty() && !self.cursor.eat(",") {
                return Err(self.fail(start, "a map is not closed by `}`"));
            }
            let key = self.expression()?;
            self.cursor.eat_space();
            if !self.cursor.eat(":") {
                return Err(self.fail(start, "a key of a map has no `:` behind it"));
            }
            pairs.push((key, self.expression()?));
            self.cursor.eat_space();
        }
        Ok(Expression::Map(pairs))
    }
}

/// Replaces `\u0041` by the character. Halves of pairs that stand alone become the replacement character.
fn unescape(text: String) -> String {
    if !text.contains("\\u") {
        return text;
    }
    let mut units = Vec::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(c) = rest.chars().next() {
        let digits = rest.strip_prefix("\\u").and_then(|rest| rest.get(..4));
        let unit = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        if let Some(unit) = unit.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
            units.push(unit);
            rest = &rest[6..];
        } else {
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            rest = &rest[c.len_utf8()..];
        }
    }
    String::from_utf16_lossy(&units)
}
