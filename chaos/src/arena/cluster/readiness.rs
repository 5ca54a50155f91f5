//! Whether a node serves: `GET /readyz` on its own loopback, asked from inside its namespace.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::layout::NodeLayout;
use crate::arena::network::Network;

const PATIENCE: Duration = Duration::from_millis(300);

/// Whether the node answers 200.
#[must_use]
pub fn is_ready(network: &Network, node: &NodeLayout) -> bool {
    let Some(space) = network.space(&node.name) else { return false };
    let Ok(address) = node.http.parse::<SocketAddr>() else { return false };
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    space.run(ask).unwrap_or(false)
}
