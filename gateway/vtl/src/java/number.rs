//! Numbers as Java writes them and calculates with them.

/// A double as `Double.toString` writes it: `1.0`, `0.05`, `1.0E10`.
pub fn double_to_string(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        // `Debug` writes as few digits as can be read back, and at least one behind the point.
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{power}")
}

#[derive(Clone, Copy)]
enum Number {
    Whole(i128),
    Double(f64),
}

fn number(text: &str) -> Option<Number> {
    if let Ok(whole) = text.parse() {
        return Some(Number::Whole(whole));
    }
    match text {
        "Infinity" => Some(Number::Double(f64::INFINITY)),
        "-Infinity" => Some(Number::Double(f64::NEG_INFINITY)),
        _ => text.parse().ok().map(Number::Double),
    }
}

/// The result of an operation (`+ - * / %`) on two numbers that are written as Java writes them. Whole numbers stay whole; one
/// double makes the result a double. `None` for what is no number, for a division by zero and beyond 128 bits.
///
/// Source: Velocity 1.7, `MathUtils`, `ASTDivNode`, `ASTModNode`.
pub fn calculate(operation: char, left: &str, right: &str) -> Option<String> {
    let (left, right) = (number(left)?, number(right)?);
    if let (Number::Whole(left), Number::Whole(right)) = (left, right) {
        let result = match operation {
            '+' => left.checked_add(right),
            '-' => left.checked_sub(right),
            '*' => left.checked_mul(right),
            '/' => left.checked_div(right),
            '%' => left.checked_rem(right),
            _ => None,
        };
        return result.map(|result| result.to_string());
    }
    let double = |number| match number {
        Number::Whole(whole) => whole as f64,
        Number::Double(double) => double,
    };
    let (left, right) = (double(left), double(right));
    let result = match operation {
        '+' => left + right,
        '-' => left - right,
        '*' => left * right,
        '/' if right != 0.0 => left / right,
        '%' if right != 0.0 => left % right,
        _ => return None,
    };
    Some(double_to_string(result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.05, "0.05"),
            (1990.19, "1990.19"),
            (0.001, "0.001"),
            (0.000_999, "9.99E-4"),
            (9_999_999.5, "9999999.5"),
            (1e7, "1.0E7"),
            (-1.25e-9, "-1.25E-9"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
        ];
        for (value, want) in cases {
            assert_eq!(double_to_string(value), want);
        }
    }

    #[test]
    fn whole_numbers_stay_whole() {
        let cases = [
            ('+', "1", "2", Some("3")),
            ('-', "1", "2.5", Some("-1.5")),
            ('*', "9007199254740993", "3", Some("27021597764222979")),
            ('/', "7", "-2", Some("-3")),
            ('/', "7", "2.0", Some("3.5")),
            ('/', "7", "0", None),
            ('/', "7.5", "0", None),
            ('%', "-7", "3", Some("-1")),
            ('+', "0.5", "0.5", Some("1.0")),
            ('+', "x", "1", None),
        ];
        for (operation, left, right, want) in cases {
            assert_eq!(calculate(operation, left, right).as_deref(), want, "{left} {operation} {right}");
        }
    }
}
