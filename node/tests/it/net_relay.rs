//! A link through a relay that falls silent, as a network does when it is cut.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::Multiaddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, sleep_until};
use trine_crdt::NodeId;

use crate::net_world::World;

/// Forwards TCP to a port while it is open, each byte after a delay; nothing is closed when it is not, bytes just go no
/// further.
pub struct Relay {
    pub port: u16,
    pub open: watch::Sender<bool>,
}

impl Relay {
    pub async fn to(port: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let own = listener.local_addr().expect("bound").port();
        let open = watch::Sender::new(true);
        let gate = Arc::new(open.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let gate = gate.clone();
                tokio::spawn(async move {
                    // While cut, a new connection gets nowhere at all; otherwise its first round trip is TCP's.
                    if !*gate.borrow() {
                        std::future::pending::<()>().await;
                    }
                    sleep(2 * delay).await;
                    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    let (_, _) = (near.set_nodelay(true), far.set_nodelay(true));
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    tokio::spawn(pump(near_in, far_out, gate.subscribe(), delay));
                    pump(far_in, near_out, gate.subscribe(), delay).await;
                });
            }
        });
        Self { port: own, open }
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut open: watch::Receiver<bool>, delay: Duration) {
    let (under_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let sending = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(bytes) = from.read(&mut buffer).await {
            if bytes == 0 || under_way.send((Instant::now() + delay, buffer[..bytes].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let arrival = async move {
        while let Some((due, bytes)) = arriving.recv().await {
            sleep_until(due.into()).await;
            if open.wait_for(|open| *open).await.is_err() || to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(sending, arrival);
}

/// Two nodes, each of which reaches the other through a relay only.
/// The first speaks to the second after each heal; both links and dials were caught by the cut.
async fn cut_and_heal(one_way: Duration) {
    let world = World::new();
    let bundles = [world.node_bundle("left-a"), world.node_bundle("right-a")];
    let ports = [free_port(), free_port()];
    let relays = [Relay::to(ports[0], one_way).await, Relay::to(ports[1], one_way).await];
    let peers = [bundles[0].key.peer(), bundles[1].key.peer()];
    let [left, right] = bundles;
    let through =
        |place: usize| -> Multiaddr { at(relays[place].port).with_p2p(peers[place]).expect("no peer id yet") };
    let mut one = world.node_of(1, left, &[through(1)], Some(at(ports[0]))).await;
    let mut two = world.node_of(2, right, &[through(0)], Some(at(ports[1]))).await;
    one.up(two.id).await;
    two.up(one.id).await;

    for round in 0..3 {
        let cut = Instant::now();
        for relay in &relays {
            relay.open.send_replace(false);
        }
        one.down(two.id).await;
        two.down(one.id).await;
        let noticed = cut.elapsed();
        // The cut lasts longer than any dial, so that all that were begun have failed.
        sleep(Duration::from_millis(3100 + 70 * round)).await;

        let heal = Instant::now();
        for relay in &relays {
            relay.open.send_replace(true);
        }
        // As a core does, the first speaks whenever a link stands: one that was caught half made by the cut may come
        // first and be gone at once.
        let speaking = async {
            loop {
                one.up(NodeId(2)).await;
                one.say(NodeId(2), "still here");
            }
        };
        let (from, said) = tokio::select! {
            heard = two.heard() => heard,
            () = speaking => unreachable!("it never ends"),
        };
        let crossed = heal.elapsed();
        println!("{one_way:?} one way, round {round}: noticed after {noticed:?}, crossed {crossed:?} after the heal");
        assert_eq!((from, said), (NodeId(1), Bytes::from("still here")));
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port()
}

fn at(port: u16) -> Multiaddr {
    format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_message_crosses_within_a_second_of_the_heal() {
    cut_and_heal(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_message_crosses_half_the_earth_within_a_second_of_the_heal() {
    cut_and_heal(Duration::from_millis(110)).await;
}
