//! What this process may do with namespaces, found out once, before any thread starts.
//!
//! With the right to make network namespaces (root), clients on the machine itself reach the nodes. Without it we
//! ask the kernel for a user namespace and become root in there; then everything, clients included, runs inside
//! one private tree (`trine-chaos exec`), because a device in the machine's own namespace is not ours to make.

use std::fs;

use anyhow::{Context, bail};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

/// How the arena came by its namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// The machine's own: clients outside reach the nodes.
    Machine,
    /// A network of its own: clients must be started by `trine-chaos exec`.
    OwnNetwork,
    /// A user namespace with a network of its own: clients must be started by `trine-chaos exec`.
    UserNamespace,
}

/// Finds out, and enters a user namespace where that is needed. To be called before any thread starts.
///
/// # Errors
/// When neither is possible, with what to do about it.
pub fn acquire() -> anyhow::Result<Privilege> {
    if may_make_namespaces() {
        return Ok(Privilege::Machine);
    }
    let (user, group) = (geteuid(), getegid());
    if let Err(errno) = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET) {
        bail!(
            "cannot make network namespaces ({errno}). Run as root, or allow user namespaces \
             (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0; in a container: \
             --cap-add SYS_ADMIN,NET_ADMIN --device /dev/net/tun)"
        );
    }
    fs::write("/proc/self/setgroups", "deny").context("set up the user namespace (setgroups)")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1")).context("set up the user namespace (uid_map)")?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1")).context("set up the user namespace (gid_map)")?;
    Ok(Privilege::UserNamespace)
}

/// The same, with a network of this process's own, so that several arenas can stand side by side; nobody outside
/// reaches the nodes then. To be called before any thread starts.
///
/// # Errors
/// When neither is possible, with what to do about it.
pub fn acquire_private() -> anyhow::Result<Privilege> {
    let privilege = acquire()?;
    if privilege != Privilege::Machine {
        return Ok(privilege);
    }
    unshare(CloneFlags::CLONE_NEWNET).context("make a network namespace for the clients")?;
    Ok(Privilege::OwnNetwork)
}

/// Tries it on a thread of its own, which takes the namespace with it when it ends.
fn may_make_namespaces() -> bool {
    std::thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET).is_ok()).join().unwrap_or(false)
}
