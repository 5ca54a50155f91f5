//! Nodes of this region that call and are of another Raft group: there are two, and an operator must know.

use std::collections::BTreeSet;

use tokio::sync::watch;

use super::limits::FOREIGN_MAX;

/// Their names; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Foreign(watch::Sender<BTreeSet<String>>);

impl Foreign {
    /// A node called, and was refused because it is of another group, or was not.
    pub fn called(&self, name: &str, refused: Option<&str>) {
        self.0.send_if_modified(|names| match refused {
            None => names.remove(name),
            Some(_) if names.len() >= FOREIGN_MAX => false,
            Some(reason) => {
                let news = names.insert(name.to_owned());
                if news {
                    tracing::warn!(peer = name, reason, "takes no part in another Raft group");
                }
                news
            }
        });
    }

    /// To be watched.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<BTreeSet<String>> {
        self.0.subscribe()
    }
}
