//! Debian's control format, as `Packages` files use it: stanzas of fields, separated by blank lines.
//!
//! ```text
//! Package: hello
//! Description: says hello
//!  in more than one line,                  a line that begins with a space goes on with the field above it
//!  .
//!  and paragraphs                          a dot alone stands for an empty line
//! ```
//!
//! Input is read a stanza at a time and bounded: a line or stanza beyond its bound is refused, not gathered. Every error
//! says at which line, counted from 1 through the whole input. Source: Debian policy manual, 5.1.

use std::io::{self, BufRead, Read};

use super::limits::{LINE_BYTES_MAX, STANZA_BYTES_MAX};

/// Why input is not a sequence of stanzas.
#[derive(Debug, thiserror::Error)]
pub enum StanzaError {
    /// It cannot be read.
    #[error("cannot be read at line {line}: {error}")]
    Io {
        /// Where.
        line: u64,
        /// Why.
        error: io::Error,
    },
    /// A line goes on with a field, and there is none.
    #[error("line {line} goes on with a field, but none precedes it in its stanza")]
    Continuation {
        /// Where.
        line: u64,
    },
    /// A line is no field.
    #[error("line {line} is no field such as `Package: hello`")]
    Field {
        /// Where.
        line: u64,
    },
    /// A field stands twice in a stanza.
    #[error("line {line} gives {name} a second time in its stanza")]
    Twice {
        /// Where.
        line: u64,
        /// The field.
        name: String,
    },
    /// A line is not UTF-8.
    #[error("line {line} is not UTF-8")]
    Text {
        /// Where.
        line: u64,
    },
    /// A line or a stanza is too long.
    #[error("line {line}: more than {limit} bytes in one {what}")]
    TooLong {
        /// Where.
        line: u64,
        /// The line or the stanza.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
}

/// One stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// Its first line's number.
    pub line: u64,
    /// Its lines as they stood, each with its newline.
    pub text: String,
    fields: Vec<(String, String)>,
}

impl Stanza {
    /// A field's value; the names of fields are the same in upper and lower case. Further lines of a folded field are
    /// separated by newlines, without the space that folded them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn take(&mut self, line: &str, number: u64) -> Result<(), StanzaError> {
        if let Some(more) = line.strip_prefix([' ', '\t']) {
            let (_, value) = self.fields.last_mut().ok_or(StanzaError::Continuation { line: number })?;
            value.push('\n');
            value.push_str(if more.trim_end() == "." { "" } else { more.trim_end() });
        } else {
            let (name, value) = line.split_once(':').ok_or(StanzaError::Field { line: number })?;
            if !is_name(name) {
                return Err(StanzaError::Field { line: number });
            }
            if self.get(name).is_some() {
                return Err(StanzaError::Twice { line: number, name: name.to_owned() });
            }
            self.fields.push((name.to_owned(), value.trim().to_owned()));
        }
        self.text.push_str(line);
        self.text.push('\n');
        if self.text.len() > STANZA_BYTES_MAX {
            return Err(StanzaError::TooLong { line: number, what: "stanza", limit: STANZA_BYTES_MAX });
        }
        Ok(())
    }
}

/// Printable ASCII without a colon, not beginning like a comment or an option.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(['#', '-']) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The stanzas of an input, one after the other; ends with the first error.
#[derive(Debug)]
pub struct Stanzas<R> {
    input: R,
    line: u64,
    over: bool,
}

impl<R: BufRead> Stanzas<R> {
    /// Reads stanzas from an input.
    pub fn new(input: R) -> Self {
        Self { input, line: 0, over: false }
    }

    /// The next line without its end; none at the input's end.
    fn line(&mut self) -> Result<Option<String>, StanzaError> {
        let line = self.line + 1;
        let mut bytes = Vec::new();
        let mut bounded = Read::take(&mut self.input, LINE_BYTES_MAX as u64 + 1);
        if bounded.read_until(b'\n', &mut bytes).map_err(|error| StanzaError::Io { line, error })? == 0 {
            return Ok(None);
        }
        self.line = line;
        if bytes.len() > LINE_BYTES_MAX {
            return Err(StanzaError::TooLong { line, what: "line", limit: LINE_BYTES_MAX });
        }
        let end = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let end = end.strip_suffix(b"\r").unwrap_or(end).len();
        bytes.truncate(end);
        String::from_utf8(bytes).map(Some).map_err(|_| StanzaError::Text { line })
    }

    fn stanza(&mut self) -> Result<Option<Stanza>, StanzaError> {
        let mut stanza: Option<Stanza> = None;
        while let Some(line) = self.line()? {
            if line.trim().is_empty() {
                if stanza.is_some() {
                    return Ok(stanza);
                }
            } else {
                let number = self.line;
                let new = || Stanza { line: number, text: String::new(), fields: Vec::new() };
                stanza.get_or_insert_with(new).take(&line, number)?;
            }
        }
        self.over = true;
        Ok(stanza)
    }
}

impl<R: BufRead> Iterator for Stanzas<R> {
    type Item = Result<Stanza, StanzaError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let stanza = self.stanza();
        self.over |= stanza.is_err();
        stanza.transpose()
    }
}
