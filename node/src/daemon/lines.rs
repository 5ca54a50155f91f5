//! Log lines on their way out, which stop nobody.
//!
//! Whoever reads a node's lines (a pipe, a journal, a disk) may be slow, stuck or gone. A thread that wrote to it directly
//! would wait for it, or fail with it; and it is the thread that keeps the region's log. So lines are queued, up to a bound,
//! and one thread of its own writes them. What finds no room is dropped and counted, and the count is the next line that
//! is written. A line that cannot be written is dropped, too: there is nobody left to tell.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use metrics::counter;
use tracing_subscriber::fmt::MakeWriter;

use super::limits::{LINES_BYTES_MAX, LINES_FLUSH_MAX};
use super::log_file::LogFile;

/// Where lines end up.
pub(super) enum Sink {
    /// Whoever reads this process' standard error.
    Stderr,
    /// A file, and those before it.
    File(LogFile),
}

/// The queue; clones share it.
#[derive(Clone)]
pub(super) struct Lines(Arc<Queue>);

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped: u64,
    /// The thread holds lines that are not written yet.
    busy: bool,
}

impl Lines {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// When there is none to be had.
    pub(super) fn start(sink: Sink) -> io::Result<Self> {
        let lines = Self(Arc::default());
        let queue = Arc::clone(&lines.0);
        std::thread::Builder::new().name("trine-lines".to_owned()).spawn(move || queue.write_all(sink))?;
        Ok(lines)
    }

    /// Waits until all that was said is written, but not for long: who does not read now may never.
    pub(super) fn flush(&self) {
        let pending = |state: &mut State| state.busy || !state.lines.is_empty();
        drop(self.0.changed.wait_timeout_while(self.0.lock(), LINES_FLUSH_MAX, pending));
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.bytes + line.len() > LINES_BYTES_MAX {
            state.dropped += 1;
            counter!("trine_log_lines_dropped_total").increment(1);
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line.to_owned());
        drop(state);
        self.changed.notify_all();
    }

    fn write_all(&self, mut sink: Sink) {
        loop {
            let mut state = self.lock();
            state.busy = false;
            self.changed.notify_all();
            while state.lines.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.busy = true;
            state.bytes = 0;
            let (lines, dropped) = (std::mem::take(&mut state.lines), std::mem::take(&mut state.dropped));
            drop(state);
            for line in &lines {
                sink.write(line);
            }
            if dropped > 0 {
                sink.write(
                    format!("{dropped} lines were dropped here: they came faster than they were read\n").as_bytes(),
                );
            }
        }
    }
}

impl Sink {
    fn write(&mut self, line: &[u8]) {
        let _ = match self {
            Self::Stderr => io::stderr().lock().write_all(line),
            Self::File(file) => file.write(line),
        };
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// Takes one line.
pub(super) struct Line<'a>(&'a Queue);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_finds_no_room_is_dropped_and_the_count_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        let queue = Arc::new(Queue::default());
        // Nobody writes yet: as if the reader were stuck.
        let line = vec![b'x'; LINES_BYTES_MAX / 4];
        (0..10).for_each(|_| queue.push(&line));
        assert_eq!(queue.lock().lines.len(), 4);
        assert!(queue.lock().bytes <= LINES_BYTES_MAX);
        let file = LogFile::open(&path, u64::MAX, Duration::ZERO, 1).expect("a file");
        let lines = Lines(Arc::clone(&queue));
        std::thread::spawn(move || queue.write_all(Sink::File(file)));
        lines.flush();
        let told = std::fs::read_to_string(&path).expect("text");
        assert!(told.ends_with("6 lines were dropped here: they came faster than they were read\n"));
    }
}
