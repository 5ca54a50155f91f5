//! Host names, looked up anew each time: what a name stands for changes, and an address that is kept does not.
//!
//! The system's resolver blocks, for many seconds when its servers do not answer, and cannot be interrupted. So look-ups run on
//! threads that may block, only a number at a time, and nobody waits longer than a dial may take; one that hangs keeps its
//! place until it ends.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::limits::{LOOKUP_TIMEOUT, LOOKUPS_MAX};

static LOOKUPS: Semaphore = Semaphore::const_new(LOOKUPS_MAX);

/// The addresses that a name stands for now; an IP address stands for itself.
///
/// # Errors
/// When nobody knows the name, or says so in time.
pub async fn lookup(name: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(ip) = name.parse() {
        return Ok(vec![ip]);
    }
    let what = |why: String| io::Error::new(io::ErrorKind::NotFound, format!("the host name `{name}`: {why}"));
    let found = async {
        let place = LOOKUPS.acquire().await.map_err(io::Error::other)?;
        let owned = name.to_owned();
        tokio::task::spawn_blocking(move || {
            let _place = place;
            Ok((owned.as_str(), 0).to_socket_addrs()?.map(|socket| socket.ip()).collect::<Vec<_>>())
        })
        .await
        .map_err(io::Error::other)?
    };
    let mut found: Vec<IpAddr> = match timeout(LOOKUP_TIMEOUT, found).await {
        Ok(found) => found.map_err(|error: io::Error| what(error.to_string()))?,
        Err(_) => return Err(what("no answer in time".to_owned())),
    };
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Connects with `host:port`, the host a name or an IP address (IPv6 in brackets).
///
/// # Errors
/// When it is no such address, the name stands for nothing, or nobody listens there.
pub async fn connect(address: &str) -> io::Result<TcpStream> {
    if let Ok(socket) = address.parse::<SocketAddr>() {
        return TcpStream::connect(socket).await;
    }
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("`{address}` is no host:port"));
    let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
    let port: u16 = port.parse().map_err(|_| invalid())?;
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let found = lookup(host).await?;
    // One that does not answer leaves time for the others.
    let share = LOOKUP_TIMEOUT / u32::try_from(found.len().max(1)).unwrap_or(1);
    for ip in found {
        match timeout(share.max(Duration::from_millis(100)), TcpStream::connect((ip, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_and_addresses_lead_to_whoever_listens() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        for address in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
            connect(&address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        }
        assert_eq!(lookup("::1").await.expect("itself"), ["::1".parse::<IpAddr>().expect("an address")]);
        let unknown = connect("no-such-host.invalid:1").await.expect_err("nobody");
        assert!(unknown.to_string().contains("no-such-host.invalid"), "{unknown}");
        assert!(connect("localhost").await.is_err() && connect("localhost:http").await.is_err());
    }
}
