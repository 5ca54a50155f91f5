//! Measures the network itself: do packets arrive when they should, how many go through, does a cut hold?
//!
//! An echo in each region answers datagrams; round trips from every other region, less twice the delay, are the
//! network's own error. Then one region sends to another as fast as asked, and the router's processor time over
//! the packets that it moved is their price. Last, a cut must stop everything and a heal let it through.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;

use super::map::CLIENTS;
use super::{Cut, Network};
use crate::plan::Topology;

const PORT: u16 = 7999;
const PAYLOAD_BYTES: usize = 200;

/// Round trips between two places.
#[derive(Debug, Clone, Serialize)]
pub struct RoundTrips {
    /// From where.
    pub from: String,
    /// To where and back.
    pub to: String,
    /// What the delays add up to, in milliseconds.
    pub expected_ms: f64,
    /// The median above it, in microseconds.
    pub late_p50_us: f64,
    /// The 99th percentile above it.
    pub late_p99_us: f64,
    /// The worst above it.
    pub late_max_us: f64,
    /// How many came back before they could; must be 0.
    pub early: usize,
    /// How many were sent.
    pub sent: usize,
    /// How many came back.
    pub back: usize,
}

/// What a flood came to.
#[derive(Debug, Clone, Serialize)]
pub struct Flood {
    /// Packets a second that arrived.
    pub packets_per_second: f64,
    /// The share that did not arrive.
    pub missing: f64,
    /// The share of one processor that the router's thread took.
    pub cpu: f64,
    /// The same per 10,000 packets a second.
    pub cpu_per_10k: f64,
}

/// Everything measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Between every two places.
    pub round_trips: Vec<RoundTrips>,
    /// From the first region to the second.
    pub flood: Option<Flood>,
    /// Datagrams that crossed a cut; must be 0.
    pub crossed_cut: usize,
    /// Datagrams that came back after the heal, of ten.
    pub crossed_heal: usize,
}

/// Measures.
///
/// # Errors
/// When a socket cannot be made, or a region has no node address to answer from.
pub fn run(network: &Network, pings: usize, flood_packets: u64) -> anyhow::Result<Report> {
    let places: Vec<String> = network.map().sites().iter().map(|site| site.name.clone()).collect();
    ensure!(places.len() >= 3, "two regions at least are needed");
    let stop = AtomicBool::new(false);
    let counted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let mut echoes = Vec::new();
        for place in places.iter().filter(|place| *place != CLIENTS) {
            let address = network.address(place, 0).context("a region without nodes")?;
            let node = Topology::node(place, 0);
            let space = network.space(&node).context("a region without network")?;
            let echo = space.run(|| UdpSocket::bind((address, PORT)))?;
            echo.set_read_timeout(Some(Duration::from_millis(100)))?;
            echoes.push((place.clone(), SocketAddr::from((address, PORT))));
            let (stop, counted) = (&stop, &counted);
            scope.spawn(move || serve(&echo, stop, counted));
        }
        let report = measure(network, &places, &echoes, pings, flood_packets, &counted);
        stop.store(true, Ordering::Release);
        report
    })
}

fn measure(
    network: &Network,
    places: &[String],
    echoes: &[(String, SocketAddr)],
    pings: usize,
    flood_packets: u64,
    counted: &AtomicU64,
) -> anyhow::Result<Report> {
    let mut round_trips = Vec::new();
    for from in places {
        for (to, address) in echoes.iter().filter(|(to, _)| to != from) {
            round_trips.push(ping(network, from, to, *address, pings)?);
        }
    }
    let [(first, _), (_, second), ..] = echoes else { anyhow::bail!("two regions at least are needed") };
    let flood = if flood_packets > 0 { Some(pour(network, first, *second, flood_packets, counted)?) } else { None };
    let socket = socket_in(network, first)?;
    network.router().cut(Cut { places: vec![first.clone()], ..Cut::default() })?;
    let crossed_cut = volley(&socket, *second, 10)?;
    network.router().heal(None)?;
    let crossed_heal = volley(&socket, *second, 10)?;
    Ok(Report { round_trips, flood, crossed_cut, crossed_heal })
}

/// Answers what asks for it (first byte 1) and counts the rest.
fn serve(socket: &UdpSocket, stop: &AtomicBool, counted: &AtomicU64) {
    let mut bytes = [0; 2048];
    while !stop.load(Ordering::Acquire) {
        let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
        if bytes[0] == 1 {
            // A lost answer is what the probe counts.
            let _lost = socket.send_to(&bytes[..length], from).is_err();
        } else {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn socket_in(network: &Network, place: &str) -> anyhow::Result<UdpSocket> {
    let space = network.space(place).with_context(|| format!("no network of {place}"))?;
    let socket = space.run(|| UdpSocket::bind(("0.0.0.0", 0)))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    Ok(socket)
}

fn ping(network: &Network, from: &str, to: &str, address: SocketAddr, count: usize) -> anyhow::Result<RoundTrips> {
    let map = network.map();
    let (a, b) = (map.find(from)?, map.find(to)?);
    let rules = network.router().rules();
    let expected = rules.shape(a, b).delay + rules.shape(b, a).delay;
    let socket = socket_in(network, from)?;
    let receiver = socket.try_clone()?;
    let start = Instant::now();
    let mut late_us: Vec<f64> = std::thread::scope(|scope| -> io::Result<Vec<f64>> {
        let gathered = scope.spawn(move || {
            let (mut late, mut bytes) = (Vec::new(), [0; 2048]);
            while late.len() < count {
                let Ok((length, _)) = receiver.recv_from(&mut bytes) else { break };
                let Some(sent_ns) = bytes[..length].get(1..9).and_then(|b| b.try_into().ok()) else { continue };
                let trip = start.elapsed().saturating_sub(Duration::from_nanos(u64::from_be_bytes(sent_ns)));
                late.push((trip.as_secs_f64() - expected.as_secs_f64()) * 1e6);
            }
            late
        });
        let mut bytes = [1; PAYLOAD_BYTES];
        for number in 0..count {
            pace(start, number as f64 / 500.0);
            let sent_ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            bytes[1..9].copy_from_slice(&sent_ns.to_be_bytes());
            socket.send_to(&bytes, address)?;
        }
        Ok(gathered.join().unwrap_or_default())
    })?;
    late_us.sort_by(f64::total_cmp);
    let at = |share: f64| late_us.get(((late_us.len() as f64 - 1.0) * share) as usize).copied().unwrap_or(f64::NAN);
    Ok(RoundTrips {
        from: from.to_owned(),
        to: to.to_owned(),
        expected_ms: expected.as_secs_f64() * 1e3,
        late_p50_us: at(0.5),
        late_p99_us: at(0.99),
        late_max_us: at(1.0),
        early: late_us.iter().filter(|late| **late < 0.0).count(),
        sent: count,
        back: late_us.len(),
    })
}

/// Sends `total` packets at 60,000 a second.
fn pour(network: &Network, from: &str, to: SocketAddr, total: u64, counted: &AtomicU64) -> anyhow::Result<Flood> {
    const RATE: f64 = 60_000.0;
    let socket = socket_in(network, from)?;
    let settle = || std::thread::park_timeout(Duration::from_millis(400));
    settle();
    let (cpu_before, arrived_before) = (network.router().counts().cpu_us, counted.load(Ordering::Relaxed));
    let start = Instant::now();
    let bytes = [0; PAYLOAD_BYTES];
    for number in 0..total {
        if number % 32 == 0 {
            pace(start, number as f64 / RATE);
        }
        socket.send_to(&bytes, to)?;
    }
    let took = start.elapsed().as_secs_f64();
    settle();
    let arrived = counted.load(Ordering::Relaxed) - arrived_before;
    let cpu = (network.router().counts().cpu_us - cpu_before) as f64 / 1e6 / took;
    let packets_per_second = arrived as f64 / took;
    Ok(Flood {
        packets_per_second,
        missing: 1.0 - arrived as f64 / total as f64,
        cpu,
        cpu_per_10k: cpu / packets_per_second * 10_000.0,
    })
}

/// How many of `count` datagrams come back within a second.
fn volley(socket: &UdpSocket, to: SocketAddr, count: usize) -> anyhow::Result<usize> {
    for _ in 0..count {
        socket.send_to(&[1; PAYLOAD_BYTES], to)?;
    }
    let mut bytes = [0; 2048];
    Ok((0..count).take_while(|_| socket.recv_from(&mut bytes).is_ok()).count())
}

/// Waits until this many seconds after the start: the probe sends by the clock.
fn pace(start: Instant, seconds: f64) {
    let due = start + Duration::from_secs_f64(seconds);
    while let Some(wait) = due.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero()) {
        std::thread::park_timeout(wait);
    }
}
