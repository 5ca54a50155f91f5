//! Where clients are: in their region's network, beyond the ocean from the others.
//!
//! Sockets belong to the network of the thread that makes them. So the clients of each region have a runtime of their
//! own, whose threads have entered that region's clients' namespace.

use std::collections::BTreeMap;

use anyhow::Context;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::arena::network::{CLIENTS, Network};

/// A runtime for the clients of each region.
#[derive(Debug, Default)]
pub struct Places {
    runtimes: BTreeMap<String, Runtime>,
}

impl Places {
    /// All clients where the program itself is: outside of the regions.
    #[must_use]
    pub fn outside() -> Self {
        Self::default()
    }

    /// The clients of each region in that region.
    ///
    /// # Errors
    /// When there is no thread or descriptor to be had.
    pub fn in_regions(network: &Network) -> anyhow::Result<Self> {
        let mut runtimes = BTreeMap::new();
        for site in network.map().sites().iter().filter(|site| site.name != CLIENTS) {
            let door = network.space(&site.name).with_context(|| format!("no network of {}", site.name))?.door()?;
            let enter = move || {
                if let Err(error) = door.enter() {
                    tracing::error!("a client stays outside of its region: {error}");
                }
            };
            let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().on_thread_start(enter).build();
            runtimes.insert(site.name.clone(), runtime.with_context(|| format!("clients of {}", site.name))?);
        }
        Ok(Self { runtimes })
    }

    /// Where the clients of a region run.
    #[must_use]
    pub fn of(&self, region: &str) -> Handle {
        self.runtimes.get(region).map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }

    /// The same of all regions that have a place of their own.
    #[must_use]
    pub fn handles(&self) -> BTreeMap<String, Handle> {
        self.runtimes.iter().map(|(region, runtime)| (region.clone(), runtime.handle().clone())).collect()
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // Not waited for: this may run where waiting is not allowed.
        std::mem::take(&mut self.runtimes).into_values().for_each(Runtime::shutdown_background);
    }
}
