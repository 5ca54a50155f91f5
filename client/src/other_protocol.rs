//! What listens at an address where no node could be spoken to.
//!
//! A node has three ports, and people name the one they know. Its HTTP port answers libp2p's first bytes with silence or with
//! an error of HTTP, of which the dial's failure says nothing useful. So after a failure, and only then, the address is asked
//! the way HTTP and TLS are asked.

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::limits::OTHER_PROTOCOL_TIMEOUT;

/// What else than libp2p is spoken at an address of an IP and a TCP port, as far as it shows.
pub(crate) async fn spoken_at(address: &Multiaddr) -> Option<&'static str> {
    let (mut ip, mut port) = (None, None);
    for part in address {
        match part {
            Protocol::Ip4(address) => ip = Some(address.into()),
            Protocol::Ip6(address) => ip = Some(std::net::IpAddr::from(address)),
            Protocol::Tcp(number) => port = Some(number),
            _ => {}
        }
    }
    let (ip, port) = (ip?, port?);
    tokio::time::timeout(OTHER_PROTOCOL_TIMEOUT, ask(ip, port)).await.ok()?
}

async fn ask(ip: std::net::IpAddr, port: u16) -> Option<&'static str> {
    let mut stream = TcpStream::connect((ip, port)).await.ok()?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.ok()?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.ok()?;
    match answer {
        [b'H', b'T', b'T', b'P', b'/'] => Some("HTTP"),
        // An alert of TLS, or a record of its handshake, in any version.
        [0x15 | 0x16, 3, _, _, _] => Some("TLS"),
        _ => None,
    }
}
