//! A log file that is set aside when it is large or old, and of which a number is kept.
//!
//! ```text
//!   node.log      the one that is written
//!   node.log.1    the one before
//!   node.log.2    …
//! ```
//!
//! A file's age counts from when it was made, over restarts. Files are renamed, never copied, so that setting one aside costs
//! nothing; one that is moved away or deleted by somebody else is written on until then.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The file, and when the next one is due.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    bytes_max: u64,
    age_max: Duration,
    kept: u16,
    file: File,
    bytes: u64,
    made: SystemTime,
}

impl LogFile {
    /// Goes on with the file at `path`, or makes it. An `age_max` of zero sets none.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(path: &Path, bytes_max: u64, age_max: Duration, kept: u16) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let metadata = file.metadata()?;
        // Not every file system knows when a file was made.
        let made = metadata.created().unwrap_or_else(|_| SystemTime::now());
        Ok(Self { path: path.to_owned(), bytes_max, age_max, kept, file, bytes: metadata.len(), made })
    }

    /// Whether [`Self::open`] would do, without making the file.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn check(path: &Path) -> io::Result<()> {
        use nix::unistd::{AccessFlags, access};
        match OpenOptions::new().append(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened.map(|_| ()),
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(access(parent, AccessFlags::W_OK | AccessFlags::X_OK)?)
    }

    /// Writes a line, into a new file when it is time.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let large = self.bytes > 0 && self.bytes.saturating_add(line.len() as u64) > self.bytes_max;
        let old = !self.age_max.is_zero() && self.made.elapsed().is_ok_and(|age| age >= self.age_max);
        if large || (old && self.bytes > 0) {
            // Where no new file can be made the old one goes on.
            if let Err(error) = self.set_aside() {
                let _ = self.file.write_all(format!("this file cannot be set aside: {error}\n").as_bytes());
                self.bytes = 0;
                self.made = SystemTime::now();
            }
        }
        self.file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn set_aside(&mut self) -> io::Result<()> {
        for number in (1..self.kept).rev() {
            match std::fs::rename(self.aside(number), self.aside(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.kept == 0 {
            std::fs::remove_file(&self.path)?;
        } else {
            std::fs::rename(&self.path, self.aside(1))?;
        }
        let next = Self::open(&self.path, self.bytes_max, self.age_max, self.kept)?;
        *self = Self { made: SystemTime::now(), ..next };
        Ok(())
    }

    fn aside(&self, number: u16) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).expect("readable");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_large_file_is_set_aside_and_the_oldest_goes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("node.log");
        for line in 0..20 {
            // Opened anew for each line, as by a node that restarts.
            let mut file = LogFile::open(&path, 10, Duration::ZERO, 2).expect("opens");
            file.write(format!("line {line:02}\n").as_bytes()).expect("written");
        }
        assert_eq!(names(directory.path()), ["node.log", "node.log.1", "node.log.2"]);
        let text = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect("text");
        assert_eq!(
            (text("node.log"), text("node.log.1"), text("node.log.2")),
            ("line 19\n".into(), "line 18\n".into(), "line 17\n".into())
        );
    }

    #[test]
    fn an_old_file_is_set_aside_and_an_empty_one_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("node.log");
        let mut file = LogFile::open(&path, u64::MAX, Duration::from_secs(60), 3).expect("opens");
        file.write(b"young\n").expect("written");
        file.made -= Duration::from_secs(61);
        file.write(b"new\n").expect("written");
        assert_eq!(names(directory.path()), ["node.log", "node.log.1"]);
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "new\n");
        file.bytes = 0;
        file.made -= Duration::from_secs(61);
        file.write(b"and another\n").expect("written");
        assert_eq!(names(directory.path()).len(), 2);
    }

    #[test]
    fn none_is_kept_where_none_is_wanted() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("node.log");
        let mut file = LogFile::open(&path, 5, Duration::ZERO, 0).expect("opens");
        (0..3).for_each(|_| file.write(b"line\n").expect("written"));
        assert_eq!(names(directory.path()), ["node.log"]);
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "line\n");
    }
}
