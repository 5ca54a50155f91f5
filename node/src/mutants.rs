//! Deliberate defects of the daemon: see [`trine_probe::mutants`]. The environment variable `TRINE_MUTANT`
//! names one of this process.

trine_probe::mutants! {
    of a program;
    FloorIgnored "floor-of-rows-ignored" "a database that lost synced rows is opened"
    RowChecksumIgnored "row-checksum-ignored" "a row whose checksum does not match is read"
    JournalForgottenEarly "journal-forgotten-early" "files of the journal are removed before their rows are in the table"
    FullLeaderStays "full-leader-stays" "a leader whose disk is full goes on leading"
    BellSilent "bell-silent" "the driver is not woken when a batch is on disk"
}

/// Chooses what the environment names, for the whole process.
///
/// # Errors
/// When there is no such defect.
#[cfg(feature = "mutants")]
pub fn choose() -> Result<(), String> {
    let name = std::env::var(trine_probe::mutants::VARIABLE).ok();
    let programs = [trine_journal::mutants::ALL, trine_raft::mutants::ALL, ALL];
    trine_probe::mutants::choose(name.as_deref(), &[trine_replica::mutants::CORE, &programs].concat())?;
    if let Some(name) = name {
        tracing::warn!(name, "this node is broken on purpose");
    }
    Ok(())
}
