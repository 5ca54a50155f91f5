//! A link through a relay that falls silent, as a network does when it is cut.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::Multiaddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use trine_node::net::NetEvent;

use crate::net_world::World;

/// Forwards TCP to a port while it is open; nothing is closed when it is not, bytes just go no further.
struct Relay {
    port: u16,
    open: watch::Sender<bool>,
}

impl Relay {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let own = listener.local_addr().expect("bound").port();
        let open = watch::Sender::new(true);
        let gate = Arc::new(open.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let gate = gate.clone();
                tokio::spawn(async move {
                    // While cut, a new connection gets nowhere at all.
                    if !*gate.borrow() {
                        std::future::pending::<()>().await;
                    }
                    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    tokio::spawn(pump(near_in, far_out, gate.subscribe()));
                    pump(far_in, near_out, gate.subscribe()).await;
                });
            }
        });
        Self { port: own, open }
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut open: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(bytes) = from.read(&mut buffer).await {
        let go_on = open.wait_for(|open| *open).await.is_ok();
        if !go_on || bytes == 0 || to.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_link_is_given_up_and_the_first_message_crosses_within_a_second_of_the_heal() {
    let world = World::new();
    let mut one = world.node(1, "left-a", &[]).await;
    let port = one.handle.listening()[0]
        .iter()
        .find_map(|part| match part {
            libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
            _ => None,
        })
        .expect("a port");
    let relay = Relay::to(port).await;
    let through: Multiaddr = format!("/ip4/127.0.0.1/tcp/{}", relay.port).parse().expect("an address");
    let mut two = world.node(2, "right-a", &[through.with_p2p(one.handle.peer()).expect("no peer id")]).await;
    one.up(two.id).await;
    two.up(one.id).await;

    for round in 0..3 {
        let cut = Instant::now();
        relay.open.send_replace(false);
        one.down(two.id).await;
        two.down(one.id).await;
        let noticed = cut.elapsed();
        assert!(noticed > Duration::from_millis(1200), "given up after only {noticed:?}");
        assert!(noticed < Duration::from_secs(4), "noticed only after {noticed:?}");
        // The cut lasts longer than any dial, so that all that were begun have failed.
        tokio::time::sleep(Duration::from_millis(3100 + 70 * round)).await;

        let heal = Instant::now();
        relay.open.send_replace(true);
        one.up(two.id).await;
        one.say(two.id, "still here");
        two.wait(|event| match event {
            NetEvent::Message { message, .. } => {
                Some(assert_eq!(message, trine_replica::PeerMessage::Metadata(Bytes::from("still here"))))
            }
            _ => None,
        })
        .await;
        let crossed = heal.elapsed();
        println!("round {round}: noticed after {noticed:?}, crossed {crossed:?} after the heal");
        assert!(crossed < Duration::from_secs(1), "crossed only {crossed:?} after the heal");
    }
}
