//! JSON values as YAML 1.2, block style. Strings are quoted as JSON strings, which YAML reads, unless they are plain
//! words that mean nothing else.

use serde_json::Value;

use super::table::obeyed;

/// The value as a YAML document.
#[must_use]
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// Writes a value that begins at the cursor; what needs lines of its own is indented by `depth`.
fn block(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (n, (name, value)) in fields.iter().enumerate() {
                if n > 0 {
                    indent(depth, out);
                }
                scalar(&Value::String(name.clone()), out);
                out.push(':');
                nested(value, depth + 1, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    indent(depth, out);
                }
                out.push_str("- ");
                block(item, depth + 1, out);
            }
        }
        _ => {
            scalar(value, out);
            out.push('\n');
        }
    }
}

/// Writes the value of a field: on the same line when it is one word, otherwise below.
fn nested(value: &Value, depth: usize, out: &mut String) {
    let below = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if below {
        out.push('\n');
        indent(depth, out);
    } else {
        out.push(' ');
    }
    block(value, depth, out);
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn scalar(value: &Value, out: &mut String) {
    match value {
        Value::String(text) if plain(text) => out.push_str(text),
        other => out.push_str(&escaped(&other.to_string())),
    }
}

/// A JSON text in which every character that YAML does not allow, or that a reader of lines or a terminal takes for more than
/// itself, is written as an escape. Such characters stand in strings only, and mean the same there.
#[must_use]
pub fn escaped(json: &str) -> String {
    // What is below a space JSON has escaped already, and what is left of it ends lines.
    let apart = |c: char| (c >= ' ' && obeyed(c)) || matches!(c, '\u{fffe}' | '\u{ffff}');
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if !apart(c) {
            text.push(c);
        } else {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
    }
    text
}

/// Whether YAML reads the text as this very string without quotes.
fn plain(text: &str) -> bool {
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte));
    let means_else =
        ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    word && !means_else
}
