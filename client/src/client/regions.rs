//! Which regions there are, and which one an append belongs to.
//!
//! A region's ledger knows its own keys only. "Append if the key is absent" and "this is the same append as before" are
//! questions about one ledger: asked of the nearest region today and of another tomorrow, they are answered "yes" twice. So
//! an append that bears a precondition or an idempotency key of the caller's stays in the region that the client was told,
//! and fails when that one cannot be reached; with several regions and none named it is refused. (Keys that this library
//! draws for its own retries live for one call, which never changes the region once its fate is unknown.)
//!
//! A region's name with a letter missing must not lead elsewhere either, so it is compared with those that the cluster has:
//! by the genesis, otherwise by asking once.

use trine_crdt::RegionId;
use trine_protocol::Request;
use trine_protocol::reply::Reply;
use trine_protocol::request::Append;

use super::Client;
use super::views::expect_reply;
use crate::error::{BuildError, ClientError};
use crate::{Builder, CallOptions};

/// Refuses a region that the genesis does not have.
pub(super) fn check(settings: &Builder) -> Result<(), BuildError> {
    if let Some(region) = &settings.region_wrong {
        return Err(BuildError::Region { region: region.clone(), known: Vec::new() });
    }
    let (Some(region), Some(genesis)) = (&settings.region, &settings.genesis) else { return Ok(()) };
    if genesis.region(region).is_some() {
        return Ok(());
    }
    let known = genesis.regions.iter().map(|known| known.id.clone()).collect();
    Err(BuildError::Region { region: region.to_string(), known })
}

impl Client {
    /// The only region that a request may be asked of, if it is bound to one.
    pub(super) async fn bound_to(
        &self,
        call: &CallOptions,
        request: &Request,
    ) -> Result<Option<RegionId>, ClientError> {
        // What is asked below must not ask again, and one node is one region.
        if matches!(request, Request::RegionList) || self.inner.settings.pinned {
            return Ok(None);
        }
        let settings = &self.inner.settings;
        if let (Some(region), None) = (&settings.region, &settings.genesis) {
            let known = self.known_regions(call).await?;
            if !known.contains(region) {
                return Err(ClientError::UnknownRegion { region: region.clone(), known });
            }
        }
        let stays = settings.region_writes && settings.region.is_some() && request.writes();
        if !stays && !counts_in_one_ledger(request) {
            return Ok(None);
        }
        if let Some(region) = &settings.region {
            return Ok(Some(region.clone()));
        }
        match <[RegionId; 1]>::try_from(self.known_regions(call).await?) {
            Ok([only]) => Ok(Some(only)),
            Err(known) => Err(ClientError::RegionNeeded { known }),
        }
    }

    async fn known_regions(&self, call: &CallOptions) -> Result<Vec<RegionId>, ClientError> {
        if let Some(genesis) = &self.inner.settings.genesis {
            return Ok(genesis.regions.iter().map(|region| region.id.clone()).collect());
        }
        let ask = || async {
            let call = CallOptions { deadline: call.deadline, ..CallOptions::default() };
            let answer = Box::pin(self.request(&call, Request::RegionList)).await?;
            let views = expect_reply!(answer, "region list", Reply::Regions(views) => views)?;
            Ok::<_, ClientError>(views.into_iter().map(|view| view.id).collect())
        };
        self.inner.regions.get_or_try_init(ask).await.cloned()
    }
}

fn counts_in_one_ledger(request: &Request) -> bool {
    matches!(request, Request::Append(Append { idempotency_key, if_match, .. }) if idempotency_key.is_some() || if_match.is_some())
}
