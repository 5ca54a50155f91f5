//! What once broke something, and must not again.

use std::path::{Path, PathBuf};

use trine_chaos::sim::case::Case;

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let entries = std::fs::read_dir(directory).expect("the cases are there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn every_case_holds() {
    let files = cases();
    assert!(!files.is_empty(), "no cases were found");
    for file in files {
        let case = Case::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(file.file_name().and_then(|name| name.to_str()), Some(case.file_name().as_str()));
        let outcome = case.run();
        assert!(outcome.failures.is_empty(), "{}: {:#?}", file.display(), outcome.failures);
        assert!(outcome.left_out.is_empty(), "{}: no model of {:?}", file.display(), outcome.left_out);
    }
}
