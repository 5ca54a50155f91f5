//! What programs keep where they are run holds keys, and must not be committed by mistake.

use std::path::{Path, PathBuf};

const DEFAULT: &str = "default_value = \"trine-";

/// The directories that the command lines below a path name when nobody does.
fn defaults(below: PathBuf, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            defaults(path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let names = text.split(DEFAULT).skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(names.map(|name| format!("trine-{name}")));
        }
    }
}

#[test]
fn directories_that_programs_make_by_themselves_are_not_committed() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    ["chaos/src", "node/src"].into_iter().for_each(|of| defaults(top.join(of), &mut found));
    assert!(found.len() > 3, "{found:?}");
    let ignored = std::fs::read_to_string(top.join(".gitignore")).unwrap();
    let missing: Vec<_> = found.iter().filter(|name| !ignored.lines().any(|line| line == format!("{name}/"))).collect();
    assert!(missing.is_empty(), "write these into .gitignore: {missing:?}");
}
