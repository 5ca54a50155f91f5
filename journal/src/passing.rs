//! Errors of the disk that pass by themselves.

use std::io;

use nix::errno::Errno;

/// Whether an operation failed because no descriptor was left: it can be tried again when nothing was promised yet.
#[must_use]
pub fn exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE))
}

/// Whether an error of the disk passes by itself: there is no room, or no descriptor is left.
#[must_use]
pub fn passes(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::StorageFull || exhausted(error)
}
