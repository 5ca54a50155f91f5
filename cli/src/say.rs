//! What a program says on its two streams, when nobody may be listening.
//!
//! `println!` and `eprintln!` panic when their stream is gone: a reader like `head` that has seen enough, a terminal that
//! was closed, a full disk behind a redirection. A panic in the middle of an orderly end is the worst answer to that, so
//! nothing in this crate uses them (clippy holds it), and everything that is said goes through here.
//!
//! - Standard error is for people. When it is gone nobody is there to be told so, and the work goes on.
//! - Standard output bears results. When its reader went away, the command ends quietly as other tools do, with the code of
//!   SIGPIPE (141); when it cannot be written for another reason, that is said and is a failure.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use crate::table::visible;

/// Why a result did not reach whoever waits for it.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// The reader went away; it has seen what it wanted.
    #[error("the reader of standard output went away")]
    Gone,
    /// The stream cannot be written.
    #[error("cannot write to standard output: {0}")]
    Failed(io::Error),
}

/// Tells people a line, or several. What a terminal would obey (in a key that is named, say) is escaped.
pub fn people(line: impl Display) {
    let line = visible(&line.to_string(), &['\n', '\t']);
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Asks people something, on a line that their answer ends.
pub fn ask(question: impl Display) {
    let mut stderr = io::stderr().lock();
    let question = visible(&question.to_string(), &[]);
    let _ = write!(stderr, "{question} ").and_then(|()| stderr.flush());
}

/// Hands a result over; on a terminal it ends with its line.
///
/// # Errors
/// When it could not be handed over whole.
pub fn result(bytes: &[u8]) -> Result<(), Unheard> {
    let mut out = io::stdout().lock();
    let open_line = out.is_terminal() && !bytes.is_empty() && !bytes.ends_with(b"\n");
    let ending: &[u8] = if open_line { b"\n" } else { b"" };
    let written = out.write_all(bytes).and_then(|()| out.write_all(ending)).and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Unheard::Gone,
        _ => Unheard::Failed(error),
    })
}
