//! TUN devices and the few things that the kernel wants to be told about a network by ioctl.
//!
//! The only module with `unsafe`: four ioctls and one `setpriority`, each with a pointer to a value that lives
//! through the call. Everything acts on the network namespace of the calling thread.

#![allow(unsafe_code, reason = "ioctls take raw pointers; nothing safe offers these")]

use std::fs::{File, OpenOptions};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::Context;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

mod call {
    use nix::libc;

    nix::ioctl_write_ptr_bad!(set_tun, nix::request_code_write!(b'T', 202, size_of::<libc::c_int>()), libc::ifreq);
    nix::ioctl_write_ptr_bad!(set_address, libc::SIOCSIFADDR, libc::ifreq);
    nix::ioctl_write_ptr_bad!(set_mask, libc::SIOCSIFNETMASK, libc::ifreq);
    nix::ioctl_write_ptr_bad!(set_flags, libc::SIOCSIFFLAGS, libc::ifreq);
    nix::ioctl_write_ptr_bad!(set_mtu, libc::SIOCSIFMTU, libc::ifreq);
    nix::ioctl_write_ptr_bad!(set_queue, libc::SIOCSIFTXQLEN, libc::ifreq);
    nix::ioctl_write_ptr_bad!(add_route, libc::SIOCADDRT, libc::rtentry);
}

/// Opens a new TUN device of this name; reads and writes do not block. The device lives as long as the file.
///
/// # Errors
/// When the kernel has no TUN, the name is taken, or the caller may not.
pub fn open_tun(name: &str) -> anyhow::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .context("open /dev/net/tun (is the kernel's tun module there?)")?;
    let flags = libc::IFF_TUN | libc::IFF_NO_PI;
    let request = request(name, libc::__c_anonymous_ifr_ifru { ifru_flags: flags as libc::c_short });
    // SAFETY: the descriptor is open and `request` is an initialised `ifreq` that outlives the call.
    unsafe { call::set_tun(file.as_raw_fd(), &request) }.with_context(|| format!("make the device {name}"))?;
    Ok(file)
}

/// Tells the kernel about the devices of this thread's network namespace.
#[derive(Debug)]
pub struct Settings(OwnedFd);

impl Settings {
    /// Opens the socket through which the kernel is told.
    ///
    /// # Errors
    /// When there is no IPv4.
    pub fn open() -> anyhow::Result<Self> {
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
            .context("open a socket to set up devices")?;
        Ok(Self(socket))
    }

    /// Gives a device (or an alias of one, `trine0:1`) an address.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_address(&self, name: &str, address: Ipv4Addr, mask: Ipv4Addr) -> anyhow::Result<()> {
        let of = |address| request(name, libc::__c_anonymous_ifr_ifru { ifru_addr: socket_address(address) });
        let (address_request, mask_request) = (of(address), of(mask));
        // SAFETY: the socket is open and both requests are initialised and outlive the calls.
        unsafe {
            call::set_address(self.0.as_raw_fd(), &address_request)
                .and_then(|_| call::set_mask(self.0.as_raw_fd(), &mask_request))
        }
        .with_context(|| format!("give {name} the address {address}"))?;
        Ok(())
    }

    /// Switches a device on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_up(&self, name: &str) -> anyhow::Result<()> {
        let flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let request = request(name, libc::__c_anonymous_ifr_ifru { ifru_flags: flags });
        // SAFETY: the socket is open and the request is initialised and outlives the call.
        unsafe { call::set_flags(self.0.as_raw_fd(), &request) }.with_context(|| format!("switch {name} on"))?;
        Ok(())
    }

    /// Sets a device's largest packet and, where the kernel lets us, the length of its queue: within a user namespace
    /// it does not, and the queue stays as short as the kernel makes it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_sizes(&self, name: &str, mtu_bytes: u16, queue_packets: u16) -> anyhow::Result<()> {
        let mtu = request(name, libc::__c_anonymous_ifr_ifru { ifru_mtu: mtu_bytes.into() });
        // The kernel reads the union's integer, which `libc` names only as an interface's number.
        let queue = request(name, libc::__c_anonymous_ifr_ifru { ifru_ifindex: queue_packets.into() });
        // SAFETY: the socket is open and the request is initialised and outlives the call.
        unsafe { call::set_mtu(self.0.as_raw_fd(), &mtu) }.with_context(|| format!("set the packet size of {name}"))?;
        // SAFETY: as above.
        match unsafe { call::set_queue(self.0.as_raw_fd(), &queue) } {
            Err(nix::errno::Errno::EPERM) => tracing::debug!("{name} keeps the kernel's own queue"),
            done => drop(done.with_context(|| format!("set the queue of {name}"))?),
        }
        Ok(())
    }

    /// Routes a network into a device.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn add_route(&self, name: &str, network: Ipv4Addr, mask: Ipv4Addr) -> anyhow::Result<()> {
        let mut device = device_name(name);
        let route = libc::rtentry {
            rt_pad1: 0,
            rt_dst: socket_address(network),
            rt_gateway: socket_address(Ipv4Addr::UNSPECIFIED),
            rt_genmask: socket_address(mask),
            rt_flags: libc::RTF_UP,
            rt_pad2: 0,
            rt_pad3: 0,
            rt_tos: 0,
            rt_class: 0,
            rt_pad4: Default::default(),
            rt_metric: 0,
            rt_dev: device.as_mut_ptr(),
            rt_mtu: 0,
            rt_window: 0,
            rt_irtt: 0,
        };
        // SAFETY: the socket is open; `route` and the NUL-terminated name that it points to outlive the call.
        unsafe { call::add_route(self.0.as_raw_fd(), &route) }
            .with_context(|| format!("route {network}/{mask} into {name}"))?;
        Ok(())
    }
}

/// Lets the calling thread run before others, as far as the kernel lets us; says whether it did.
pub fn prefer_this_thread(nice: i32) -> bool {
    // SAFETY: no pointers; 0 names the calling thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) == 0 }
}

fn request(name: &str, ifr_ifru: libc::__c_anonymous_ifr_ifru) -> libc::ifreq {
    libc::ifreq { ifr_name: device_name(name), ifr_ifru }
}

/// A name as the kernel takes it: at most 15 bytes and NUL.
fn device_name(name: &str) -> [libc::c_char; libc::IFNAMSIZ] {
    let mut bytes = [0; libc::IFNAMSIZ];
    for (to, from) in bytes.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = from as libc::c_char;
    }
    bytes
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let mut sa_data = [0; 14];
    for (to, from) in sa_data[2..6].iter_mut().zip(address.octets()) {
        *to = from as libc::c_char;
    }
    libc::sockaddr { sa_family: libc::AF_INET as libc::sa_family_t, sa_data }
}
