//! How much memory this process has, by what its system says.

/// Resident bytes of this process that are no file's; none where the system does not tell.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_written_to_is_resident() {
        let Some(before) = resident_bytes() else { return };
        let written = vec![7_u8; 64 * 1024 * 1024];
        let after = resident_bytes().expect("told before");
        assert!(after >= before + written.len() as u64 / 2, "{before} bytes, then {after}");
    }
}
