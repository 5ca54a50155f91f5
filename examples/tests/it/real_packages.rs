//! The real `Packages` file that comes along, compressed and not.

use std::collections::BTreeSet;
use std::io::{BufReader, Cursor, Read, Write};
use std::path::Path;

use trine_examples::registry::release::{Release, releases};
use trine_examples::registry::source;

fn packages() -> Vec<Release> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/packages.gz");
    releases(source::open(&path).expect("the file is there")).collect::<Result<_, _>>().expect("Debian writes it well")
}

#[test]
fn all_3003_releases_are_read_and_no_two_share_a_key_or_an_archive() {
    let releases = packages();
    assert_eq!(releases.len(), 3003);
    let unique = |of: fn(&Release) -> String| releases.iter().map(of).collect::<BTreeSet<_>>().len();
    assert_eq!(unique(|release| release.package.clone()), 2981);
    assert_eq!(unique(Release::key), 3003);
    assert_eq!(unique(Release::idempotency_key), 3003);
}

#[test]
fn every_release_fits_what_a_cluster_takes() {
    use trine_protocol::limits::{IDEMPOTENCY_KEY_BYTES_MAX, KEY_BYTES_MAX, METADATA_BYTES_MAX, VALUE_BYTES_MAX};
    for release in packages() {
        let metadata: usize = release.metadata.iter().map(|(name, value)| name.len() + value.len() + 16).sum();
        assert!(release.key().len() <= KEY_BYTES_MAX && release.text.len() <= VALUE_BYTES_MAX, "{}", release.key());
        assert!(metadata <= METADATA_BYTES_MAX, "{}", release.key());
        assert!(release.idempotency_key().len() <= IDEMPOTENCY_KEY_BYTES_MAX, "{}", release.key());
    }
}

#[test]
fn compressed_input_is_recognised_by_its_first_bytes() {
    let text = "Package: hello\n";
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).expect("memory takes everything");
    for bytes in [packed.finish().expect("memory takes everything"), text.as_bytes().to_vec()] {
        let mut read = String::new();
        let mut input = source::unpack(BufReader::new(Cursor::new(bytes))).expect("readable");
        input.read_to_string(&mut read).expect("readable");
        assert_eq!(read, text);
    }
}

#[test]
fn a_truncated_file_is_an_error_and_not_an_end() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/packages.gz");
    let mut bytes = std::fs::read(path).expect("the file is there");
    bytes.truncate(bytes.len() / 2);
    let read: Vec<_> = releases(source::unpack(BufReader::new(Cursor::new(bytes))).expect("it begins well")).collect();
    let (last, before) = read.split_last().expect("something was read");
    assert!(before.iter().all(Result::is_ok) && before.len() > 1000);
    let error = last.as_ref().expect_err("the end is missing").to_string();
    assert!(error.starts_with("cannot be read at line "), "{error}");
}
