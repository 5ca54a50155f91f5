//! Deliberate defects in this process: see [`trine_crdt::mutants`]. The environment variable `TRINE_MUTANT` names one.
//!
//! Without the feature `mutants` the variable is not read, and its name is not in the binary.

pub use trine_crdt::mutants::Mutant;
#[cfg(not(feature = "mutants"))]
pub use trine_crdt::mutants::is;

/// Whether this defect was chosen. Reads the environment when it is asked first, for tests that start no daemon.
#[cfg(feature = "mutants")]
#[must_use]
pub fn is(mutant: Mutant) -> bool {
    static READ: std::sync::Once = std::sync::Once::new();
    READ.call_once(|| choose().expect("a mutant's name"));
    trine_crdt::mutants::is(mutant)
}

/// Chooses what the environment names, for the whole process.
///
/// # Errors
/// When there is no such defect.
#[cfg(feature = "mutants")]
pub fn choose() -> Result<(), String> {
    let name = std::env::var("TRINE_MUTANT").ok();
    trine_crdt::mutants::choose(name.as_deref())?;
    if let Some(name) = name {
        tracing::warn!(name, "this node is broken on purpose");
    }
    Ok(())
}
