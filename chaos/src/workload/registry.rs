//! The package registry as a workload: the calls that `examples/registry` makes, by one client, one after the other.
//!
//! ```text
//!   publish   append   PACKAGE/VERSION        the release, under an idempotency key
//!             then     versions/PACKAGE       the version comes into the set of versions,
//!                      latest/PACKAGE         the register says what was released last and where its record stands,
//!                      downloads/PACKAGE      and the counter counts the first fetch
//!   find      read     latest/PACKAGE
//!             then     versions/PACKAGE       if there is such a package: its versions,
//!                      PACKAGE/VERSION        the record that the register names,
//!                      downloads/PACKAGE      one fetch more, and how many there were
//! ```
//!
//! What comes after an acknowledgement waits for it: an index never names a release that was not published. Who is cut
//! off in between leaves a release that no index names, as a publisher does that dies. Each is a call like all others, so
//! that the same checkers judge them.

use std::collections::VecDeque;

use crate::history::{Action, Call, Edit, Seen, Shown, View};

/// How many releases of unknown fate a client remembers: a repetition may yet tell it that they are published.
const RELEASES_MAX: usize = 64;
/// The most calls that are yet to be made for what was acknowledged; what comes beyond is never made.
const STEPS_MAX: usize = 64;

/// What one client has begun in the registry.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    /// Versions that it asked to publish, and has not been told of.
    releases: VecDeque<String>,
    /// What it asks next.
    steps: VecDeque<(String, Action)>,
}

impl Registry {
    /// Publishes a version of a package; no other release has the same.
    pub fn publish(&mut self, package: u64, version: String) -> (String, Action) {
        self.releases.push_back(version.clone());
        if self.releases.len() > RELEASES_MAX {
            self.releases.pop_front();
        }
        (format!("package-{package}/{version}"), Action::Append { value: version, only_after: None })
    }

    /// Looks a package up.
    #[must_use]
    pub fn find(package: u64) -> (String, Action) {
        (format!("latest/package-{package}"), Action::Read)
    }

    /// What comes next of what was begun.
    pub fn step(&mut self) -> Option<(String, Action)> {
        self.steps.pop_front()
    }

    /// Learns from a call of its client that was done.
    pub fn told(&mut self, call: &Call) {
        let Some((seen, (place, name))) = call.ok().zip(call.key.split_once('/')) else { return };
        match &call.action {
            Action::Append { value, .. } => {
                // A repetition tells the same again, and only the first time is news.
                let Some(at) = self.releases.iter().position(|version| version == value) else { return };
                self.releases.remove(at);
                let Some(record) = &seen.record else { return };
                let latest = format!("{value}@{}/{}", record.region, record.index);
                self.then(format!("versions/{place}"), Action::Edit(Edit::Add(value.clone())));
                self.then(format!("latest/{place}"), Action::Edit(Edit::Set(latest)));
                self.then(format!("downloads/{place}"), Action::Edit(Edit::Increment(1)));
            }
            Action::Read if place == "latest" => {
                let Some((version, _)) = register(seen).and_then(|latest| latest.split_once('@')) else { return };
                self.then(format!("versions/{name}"), Action::Read);
                self.then(format!("{name}/{version}"), Action::Latest);
                self.then(format!("downloads/{name}"), Action::Edit(Edit::Increment(1)));
                self.then(format!("downloads/{name}"), Action::Read);
            }
            _ => {}
        }
    }

    fn then(&mut self, key: String, action: Action) {
        if self.steps.len() < STEPS_MAX {
            self.steps.push_back((key, action));
        }
    }
}

/// The register that a read showed.
fn register(seen: &Seen) -> Option<&str> {
    let Some(Shown::Object(views)) = &seen.shown else { return None };
    views.iter().find_map(|view| if let View::Register(value) = view { Some(value.as_str()) } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;

    /// What is asked after these calls, as `key: what`.
    fn asked(registry: &mut Registry, story: &Story) -> Vec<String> {
        story.told().history.calls().iter().for_each(|call| registry.told(call));
        let words = |(key, action): (String, Action)| match action {
            Action::Edit(Edit::Add(element)) => format!("{key}: add {element}"),
            Action::Edit(Edit::Set(value)) => format!("{key}: set {value}"),
            Action::Edit(Edit::Increment(by)) => format!("{key}: {by} more"),
            Action::Latest => format!("{key}: latest"),
            Action::Read => format!("{key}: read"),
            action => format!("{key}: {action:?}"),
        };
        std::iter::from_fn(|| registry.step()).map(words).collect()
    }

    #[test]
    fn the_index_follows_the_acknowledged_release_and_is_written_once() {
        let mut registry = Registry::default();
        let (key, action) = registry.publish(2, "v1-7".to_owned());
        let mut story = Story::default();
        story.call(&key, action.clone()).unknown();
        assert_eq!(asked(&mut registry, &story), Vec::<String>::new());
        story.call(&key, action.clone()).at(5, 5);
        story.call(&key, action).at(5, 5);
        assert_eq!(
            asked(&mut registry, &story),
            ["versions/package-2: add v1-7", "latest/package-2: set v1-7@us-east-1/5", "downloads/package-2: 1 more"]
        );
    }

    #[test]
    fn a_package_that_is_found_is_looked_at_and_counted() {
        let mut registry = Registry::default();
        let (key, action) = Registry::find(2);
        let mut story = Story::default();
        story.call(&key, action.clone()).shows_nothing();
        assert_eq!(asked(&mut registry, &story), Vec::<String>::new());
        story.call(&key, action).shows(View::Register("v1-7@us-east-1/5".to_owned()));
        assert_eq!(
            asked(&mut registry, &story),
            [
                "versions/package-2: read",
                "package-2/v1-7: latest",
                "downloads/package-2: 1 more",
                "downloads/package-2: read"
            ]
        );
    }
}
