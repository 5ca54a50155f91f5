//! Whether a node serves, and its figures: `GET /readyz` and `/metrics` on its own loopback, asked from inside its namespace.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::layout::NodeLayout;
use crate::arena::network::Network;

const PATIENCE: Duration = Duration::from_millis(300);

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// Whether the node answers 200.
#[must_use]
pub fn is_ready(network: &Network, node: &NodeLayout) -> bool {
    ask(network, node, "/readyz", 12).is_some_and(|answer| answer.ends_with(" 200"))
}

/// One of the node's figures, without labels.
#[must_use]
pub fn figure(network: &Network, node: &NodeLayout, name: &str) -> Option<f64> {
    let answer = ask(network, node, "/metrics", ANSWER_BYTES_MAX)?;
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The beginning of the node's answer.
fn ask(network: &Network, node: &NodeLayout, path: &str, bytes_max: u64) -> Option<String> {
    let space = network.space(&node.name)?;
    let address = node.http.parse::<SocketAddr>().ok()?;
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.take(bytes_max).read_to_string(&mut answer)?;
        Ok(answer)
    };
    space.run(ask).ok()
}
