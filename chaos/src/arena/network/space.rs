//! One port's network namespace with its TUN device, and how to run something in it.
//!
//! A thread leaves the process's network namespace, sets the new one up, hands out its descriptor and ends. The
//! namespace then lives by that descriptor.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

use anyhow::Context;
use nix::sched::{CloneFlags, setns, unshare};

use super::device::{Settings, open_tun};
use super::limits::DEVICE_QUEUE_PACKETS;
use super::map::{CLIENTS, Map, Port};

const DEVICE: &str = "trine0";
const CLIENT_DEVICE: &str = "trine-clients";
/// Linux's default. BBR, which some machines choose, sends no more than four packets for 200 ms in every ten seconds
/// (draft-cardwell-iccrg-bbr-congestion-control, ProbeRTT), which costs whatever is on its way then a round trip.
const CONGESTION_CONTROL: &str = "cubic";

/// A network namespace.
#[derive(Debug)]
pub struct Space {
    name: String,
    namespace: File,
}

impl Space {
    /// Makes a port's namespace (clients from outside stay in ours) and its device.
    ///
    /// # Errors
    /// When the kernel refuses something, with what it was.
    pub fn create(map: &Map, port: &Port, mtu_bytes: u16) -> anyhow::Result<(Self, File)> {
        let [a, b] = map.prefix();
        let all = (Ipv4Addr::new(a, b, 0, 0), Ipv4Addr::new(255, 255, 0, 0));
        std::thread::scope(|scope| {
            scope
                .spawn(|| -> anyhow::Result<(Self, File)> {
                    let clients = port.name == CLIENTS;
                    if !clients {
                        unshare(CloneFlags::CLONE_NEWNET).context("make a network namespace")?;
                    }
                    if !clients {
                        choose_congestion_control();
                    }
                    let device = set_up(port.address, all, mtu_bytes, clients)?;
                    let namespace = File::open("/proc/thread-self/ns/net").context("open the network namespace")?;
                    Ok((Self { name: port.name.clone(), namespace }, device))
                })
                .join()
                .map_err(|_| anyhow::anyhow!("the thread that sets up {} panicked", port.name))?
                .with_context(|| format!("set up the network of {}", port.name))
        })
    }

    /// Whose it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where another process finds the namespace, as long as this one lives.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd()).into()
    }

    /// A way in, for threads that are to stay there.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn door(&self) -> anyhow::Result<Door> {
        let namespace = self.namespace.try_clone().with_context(|| format!("the network of {}", self.name))?;
        Ok(Door { namespace })
    }

    /// Runs `body` on a thread inside the namespace and waits for it. Sockets made there stay there.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or `body` fails.
    pub fn run<T: Send>(&self, body: impl FnOnce() -> io::Result<T> + Send) -> anyhow::Result<T> {
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    setns(self.namespace.as_fd(), CloneFlags::CLONE_NEWNET)?;
                    body()
                })
                .join()
                .map_err(|_| anyhow::anyhow!("a thread inside {} panicked", self.name))?
                .with_context(|| format!("inside the network of {}", self.name))
        })
    }
}

/// A way into a network namespace.
#[derive(Debug)]
pub struct Door {
    namespace: File,
}

impl Door {
    /// Takes the calling thread in, for good.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self) -> io::Result<()> {
        Ok(setns(self.namespace.as_fd(), CloneFlags::CLONE_NEWNET)?)
    }
}

/// Chooses the congestion control of the calling thread's namespace, so that runs on different machines compare: a
/// new namespace starts with the machine's. Where the kernel does not let us, that one stays.
fn choose_congestion_control() {
    if let Err(error) = std::fs::write("/proc/sys/net/ipv4/tcp_congestion_control", CONGESTION_CONTROL) {
        tracing::debug!(%error, "the machine's congestion control stays");
    }
}

/// The device, its address and routes, in the calling thread's namespace.
fn set_up(address: Ipv4Addr, all: (Ipv4Addr, Ipv4Addr), mtu_bytes: u16, clients: bool) -> anyhow::Result<File> {
    let name = if clients { CLIENT_DEVICE } else { DEVICE };
    let device = open_tun(name)?;
    let settings = Settings::open()?;
    let single = Ipv4Addr::BROADCAST;
    settings.set_address(name, address, single)?;
    settings.set_sizes(name, mtu_bytes, DEVICE_QUEUE_PACKETS)?;
    settings.set_up(name)?;
    if clients {
        settings.add_route(name, all.0, all.1)?;
    } else {
        settings.set_up("lo")?;
        settings.add_route(name, Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED)?;
    }
    Ok(device)
}
