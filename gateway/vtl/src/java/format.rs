//! `String.format`.

use super::{Error, Plain, TEXT_BYTES_MAX, double_to_string};

/// Widest field and longest fraction.
const WIDTH_MAX: usize = 1000;

/// One `%...` of a format.
#[derive(Default)]
struct Specifier {
    argument: Option<usize>,
    is_left: bool,
    is_zero_padded: bool,
    has_sign: bool,
    has_groups: bool,
    width: usize,
    precision: Option<usize>,
}

/// A text with arguments in it, as `java.lang.String.format` makes it. Understood: `%s %S %d %f %e %x %X %o %c %b %n %%`, with the
/// flags `- 0 + ,`, a width, a precision and `1$`.
///
/// # Errors
///
/// [`Error::Format`] where Java throws, or what is asked for is not listed above; [`Error::TooLong`].
pub fn format(format: &str, arguments: &[Plain]) -> Result<String, Error> {
    let wrong = || Error::Format(format.chars().take(60).collect());
    let mut out = String::new();
    let mut next = 0;
    out.push_str(&format[..format.find('%').unwrap_or(format.len())]);
    let mut rest = format.find('%').map(|at| &format[at + 1..]);
    while let Some(text) = rest {
        let (specifier, text) = specifier(text).ok_or_else(wrong)?;
        let conversion = text.chars().next().ok_or_else(wrong)?;
        let field = match conversion {
            '%' => "%".to_owned(),
            'n' => "\n".to_owned(),
            _ => {
                let place = specifier.argument.unwrap_or_else(|| {
                    next += 1;
                    next
                });
                let argument = place.checked_sub(1).and_then(|place| arguments.get(place)).ok_or_else(wrong)?;
                convert(conversion, &specifier, argument).ok_or_else(wrong)?
            }
        };
        pad(&mut out, &field, &specifier);
        let text = &text[conversion.len_utf8()..];
        let end = text.find('%');
        out.push_str(&text[..end.unwrap_or(text.len())]);
        if out.len() > TEXT_BYTES_MAX {
            return Err(Error::TooLong);
        }
        rest = end.map(|end| &text[end + 1..]);
    }
    Ok(out)
}

fn digits(text: &str) -> Option<(usize, &str)> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..end].parse().ok().filter(|number| *number <= WIDTH_MAX)?;
    Some((number, &text[end..]))
}

fn specifier(mut text: &str) -> Option<(Specifier, &str)> {
    let mut specifier = Specifier::default();
    if let Some((number, rest)) = digits(text)
        && let Some(rest) = rest.strip_prefix('$')
    {
        specifier.argument = Some(number);
        text = rest;
    }
    loop {
        let flag = match text.chars().next()? {
            '-' => &mut specifier.is_left,
            '0' => &mut specifier.is_zero_padded,
            '+' => &mut specifier.has_sign,
            ',' => &mut specifier.has_groups,
            _ => break,
        };
        *flag = true;
        text = &text[1..];
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        (specifier.width, text) = digits(text)?;
    }
    if let Some(rest) = text.strip_prefix('.') {
        let (precision, rest) = digits(rest)?;
        specifier.precision = Some(precision);
        text = rest;
    }
    Some((specifier, text))
}

fn convert(conversion: char, specifier: &Specifier, argument: &Plain) -> Option<String> {
    let shown = |argument: &Plain| match argument {
        Plain::Null => "null".to_owned(),
        other => other.to_text(),
    };
    let cut = |text: String| match specifier.precision {
        Some(length) => text.chars().take(length).collect(),
        None => text,
    };
    match (conversion, argument) {
        ('s', argument) => Some(cut(shown(argument))),
        ('S', argument) => Some(cut(shown(argument).to_uppercase())),
        ('b', Plain::Boolean(value)) => Some(cut(value.to_string())),
        ('b', argument) => Some(cut((*argument != Plain::Null).to_string())),
        (_, Plain::Null) => Some("null".to_owned()),
        ('d', Plain::Integer(value)) => Some(signed(*value < 0, value.unsigned_abs().to_string(), specifier)),
        ('x', Plain::Integer(value)) => Some(match i32::try_from(*value) {
            Ok(value) => format!("{value:x}"),
            Err(_) => format!("{value:x}"),
        }),
        ('X', argument) => convert('x', specifier, argument).map(|text| text.to_uppercase()),
        ('o', Plain::Integer(value)) => Some(format!("{value:o}")),
        ('c', Plain::Integer(value)) => u32::try_from(*value).ok().and_then(char::from_u32).map(String::from),
        ('c', Plain::Text(text)) => Some(text.clone()).filter(|text| text.chars().count() == 1),
        ('f', Plain::Double(value)) if value.is_finite() => {
            let digits = format!("{:.*}", specifier.precision.unwrap_or(6), value.abs());
            Some(signed(value.is_sign_negative(), digits, specifier))
        }
        ('e', Plain::Double(value)) if value.is_finite() => {
            let text = format!("{:.*e}", specifier.precision.unwrap_or(6), value.abs());
            let (digits, power) = text.split_once('e')?;
            let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
            Some(signed(value.is_sign_negative(), format!("{digits}e{sign}{power:0>2}"), specifier))
        }
        ('f' | 'e', Plain::Double(value)) => Some(double_to_string(*value)),
        _ => None,
    }
}

/// Digits with what stands before and in them.
fn signed(is_negative: bool, digits: String, specifier: &Specifier) -> String {
    let sign = if is_negative {
        "-"
    } else if specifier.has_sign {
        "+"
    } else {
        ""
    };
    let (whole, fraction) =
        digits.split_once('.').map_or((&*digits, String::new()), |(whole, fraction)| (whole, format!(".{fraction}")));
    let mut number = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if specifier.has_groups && place > 0 && (whole.len() - place).is_multiple_of(3) {
            number.push(',');
        }
        number.push(digit);
    }
    number.push_str(&fraction);
    if specifier.is_zero_padded {
        let zeros = specifier.width.saturating_sub(sign.len() + number.len());
        number.insert_str(0, &"0".repeat(zeros));
    }
    format!("{sign}{number}")
}

fn pad(out: &mut String, field: &str, specifier: &Specifier) {
    let blanks = " ".repeat(specifier.width.saturating_sub(field.chars().count()));
    if specifier.is_left {
        out.push_str(field);
        out.push_str(&blanks);
    } else {
        out.push_str(&blanks);
        out.push_str(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_filled_in() {
        let text = |text: &str| Plain::Text(text.to_owned());
        let cases: [(&str, Vec<Plain>, Option<&str>); 16] = [
            ("", vec![], Some("")),
            ("100%%", vec![], Some("100%")),
            ("%s-%s", vec![text("a"), Plain::Integer(1)], Some("a-1")),
            ("%2$s %1$s", vec![text("a"), text("b")], Some("b a")),
            ("[%5s|%-5s]", vec![text("ab"), text("cd")], Some("[   ab|cd   ]")),
            ("%05d", vec![Plain::Integer(-42)], Some("-0042")),
            ("%,d", vec![Plain::Integer(1_234_567)], Some("1,234,567")),
            ("%.2f", vec![Plain::Double(1.23456)], Some("1.23")),
            ("%f", vec![Plain::Double(0.5)], Some("0.500000")),
            ("%e", vec![Plain::Double(12345.678)], Some("1.234568e+04")),
            ("%x %X", vec![Plain::Integer(255), Plain::Integer(-1)], Some("ff FFFFFFFF")),
            ("%s %b", vec![Plain::Null, Plain::Null], Some("null false")),
            ("%d", vec![text("x")], None),
            ("%s", vec![], None),
            ("%", vec![], None),
            ("%99999999s", vec![text("a")], None),
        ];
        for (pattern, arguments, want) in cases {
            assert_eq!(format(pattern, &arguments).ok().as_deref(), want, "{pattern}");
        }
    }
}
