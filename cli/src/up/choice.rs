//! Which of the clusters on this machine a command means when it is not told.
//!
//! It must never be "whichever was started last": then a `trine up` in one terminal redirects the writes of all others. So
//! the place decides, as with other tools, and a choice is made by a person:
//!
//! 1. the nearest directory upwards from the working directory that holds a cluster, or holds one in `trine-data`;
//! 2. the one chosen with `trine use DIR`;
//! 3. the only one that `trine up` has started here and that is still there.
//!
//! With several and no choice there is none, and the command says so. Where the answer came from is told to people.
//!
//! ```text
//! $XDG_STATE_HOME/trine/current      the directory chosen, or that of ~/.local/state
//! $XDG_STATE_HOME/trine/clusters     directories that `trine up` has started clusters in, the latest first
//! ```

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::cluster::{CLUSTER_FILE, Cluster, ClusterFileError};
use super::limits::CLUSTERS_REMEMBERED_MAX;

/// Where `trine up` keeps a cluster unless told otherwise.
pub const DATA_DEFAULT: &str = "trine-data";

/// Why it is this cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is the nearest upwards from the working directory.
    Nearest,
    /// `trine use` chose it.
    Chosen,
    /// It is the only one known.
    Only,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nearest => "the nearest from this directory upwards",
            Self::Chosen => "chosen with `trine use`",
            Self::Only => "the only one started here",
        })
    }
}

/// A cluster and where it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The cluster.
    pub cluster: Cluster,
    /// Its directory.
    pub directory: PathBuf,
    /// Why this one.
    pub why: Why,
}

/// The cluster that is meant here, if there is one and only one.
///
/// # Errors
/// [`ClusterFileError`] when its file cannot be read.
pub fn find() -> Result<Option<Found>, ClusterFileError> {
    let working = std::env::current_dir().unwrap_or_default();
    find_from(&working, state().as_deref())
}

/// As [`find`], from a working directory and with the directory of what is remembered as arguments.
///
/// # Errors
/// As [`find`].
pub fn find_from(working: &Path, state: Option<&Path>) -> Result<Option<Found>, ClusterFileError> {
    let found = |directory: PathBuf, why| Ok(Some(Found { cluster: Cluster::read(&directory)?, directory, why }));
    if let Some(directory) = nearest(working) {
        return found(directory, Why::Nearest);
    }
    let Some(state) = state else { return Ok(None) };
    if let Some(directory) = chosen(state)? {
        return found(directory, Why::Chosen);
    }
    match <[PathBuf; 1]>::try_from(known_in(state)) {
        Ok([only]) => found(only, Why::Only),
        Err(_) => Ok(None),
    }
}

/// The nearest directory upwards that is a cluster's, or holds one in `trine-data`.
#[must_use]
pub fn nearest(working: &Path) -> Option<PathBuf> {
    let there = |directory: &PathBuf| directory.join(CLUSTER_FILE).is_file();
    working.ancestors().flat_map(|above| [above.to_owned(), above.join(DATA_DEFAULT)]).find(there)
}

/// The directories of the clusters that were started here and are still there, the latest first.
#[must_use]
pub fn known() -> Vec<PathBuf> {
    state().map(|state| known_in(&state)).unwrap_or_default()
}

fn known_in(state: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(list(state)).unwrap_or_default();
    text.lines().map(PathBuf::from).filter(|directory| directory.join(CLUSTER_FILE).is_file()).collect()
}

fn chosen(state: &Path) -> Result<Option<PathBuf>, ClusterFileError> {
    let pointer = state.join("current");
    match std::fs::read_to_string(&pointer) {
        Ok(directory) => Ok(Some(PathBuf::from(directory.trim_end_matches('\n')))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ClusterFileError::Io { path: pointer, error }),
    }
}

/// Remembers that a cluster was started in a directory. It becomes nobody's choice by that.
///
/// # Errors
/// [`ClusterFileError`] when that cannot be written.
pub fn remember(directory: &Path) -> Result<(), ClusterFileError> {
    let Some(state) = state() else { return Ok(()) };
    remember_in(&state, directory)
}

/// As [`remember`] in a given directory.
///
/// # Errors
/// As [`remember`].
pub fn remember_in(state: &Path, directory: &Path) -> Result<(), ClusterFileError> {
    let write = || {
        let directory = std::path::absolute(directory)?;
        let mut all = known_in(state);
        all.retain(|known| *known != directory);
        all.insert(0, directory);
        all.truncate(CLUSTERS_REMEMBERED_MAX);
        let text: String = all.iter().map(|known| format!("{}\n", known.display())).collect();
        std::fs::create_dir_all(state)?;
        std::fs::write(list(state), text)
    };
    write().map_err(|error| ClusterFileError::Io { path: list(state), error })
}

/// Chooses a cluster for all terminals, or none again.
///
/// # Errors
/// [`ClusterFileError`] when the directory holds none, or the choice cannot be written.
pub fn choose(directory: Option<&Path>) -> Result<(), ClusterFileError> {
    let Some(state) = state() else { return Ok(()) };
    choose_in(&state, directory)
}

/// As [`choose`] in a given directory.
///
/// # Errors
/// As [`choose`].
pub fn choose_in(state: &Path, directory: Option<&Path>) -> Result<(), ClusterFileError> {
    let pointer = state.join("current");
    let Some(directory) = directory else {
        return match std::fs::remove_file(&pointer) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ClusterFileError::Io { path: pointer, error }),
            _ => Ok(()),
        };
    };
    Cluster::read(directory)?;
    let write = || {
        std::fs::create_dir_all(state)?;
        std::fs::write(&pointer, format!("{}\n", std::path::absolute(directory)?.display()))
    };
    write().map_err(|error| ClusterFileError::Io { path: pointer.clone(), error })?;
    remember_in(state, directory)
}

fn list(state: &Path) -> PathBuf {
    state.join("clusters")
}

/// `$XDG_STATE_HOME/trine`, or that of `~/.local/state`.
fn state() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME").filter(|path| !path.is_empty())?).join(".local/state"));
    Some(state.or_else(home)?.join("trine"))
}
