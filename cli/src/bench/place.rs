//! Where a bench writes: into namespaces of its own, unless told otherwise.
//!
//! Records can never be removed, and a bench makes tens of thousands. They must not stand among somebody's own.

use std::time::{Duration, Instant};

use futures::future::join_all;
use trine_client::{Client, ClientError};
use trine_protocol::request::NamespaceKind;
use trine_protocol::{Missing, RequestError};

use crate::args::Globals;
use crate::exit::{Exit, Failure};

/// How long to wait until a node is asked again whether it knows the namespace.
const BETWEEN: Duration = Duration::from_millis(50);

/// The namespace to write to: the one named, otherwise the bench's own, which is created when it is not there. All of `clients`
/// know it then.
///
/// # Errors
/// When it cannot be created, or is not known everywhere within the time-out.
pub async fn namespace(
    globals: &Globals,
    named: Option<&str>,
    kind: NamespaceKind,
    clients: &[Client],
) -> Result<String, Failure> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let name = match kind {
        NamespaceKind::Ledger => "bench-records",
        NamespaceKind::Objects => "bench-objects",
    };
    let first = clients.first().ok_or_else(Failure::unexpected)?;
    let id = match first.namespace(name).await {
        Ok(views) => views.first().map(|view| view.id.to_string()),
        Err(ClientError::Request(RequestError::NotFound { what: Missing::Namespace { .. } })) => None,
        Err(error) => return Err(error.into()),
    };
    let id = match id {
        Some(id) => id,
        None => {
            let created = first.namespace_create(name, kind, None).await;
            created
                .map_err(|error| Failure::from(error).hint("or name a namespace that is there with --namespace"))?
                .id
                .to_string()
        }
    };
    let until = Instant::now() + globals.timeout;
    let told = join_all(clients.iter().map(|client| knows(client, &id, until))).await;
    told.into_iter().collect::<Result<Vec<()>, Failure>>()?;
    Ok(id)
}

/// Waits until the node that a client asks has heard of a namespace.
async fn knows(client: &Client, id: &str, until: Instant) -> Result<(), Failure> {
    loop {
        match client.namespace(id).await {
            Ok(_) => return Ok(()),
            Err(ClientError::Request(RequestError::NotFound { what: Missing::Namespace { .. } }))
                if Instant::now() < until => {}
            Err(ClientError::Request(RequestError::NotFound { what: Missing::Namespace { .. } })) => {
                return Err(Failure::new(
                    Exit::TimedOut,
                    format!("the namespace {id} is not known everywhere in time"),
                ));
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(BETWEEN).await;
    }
}
