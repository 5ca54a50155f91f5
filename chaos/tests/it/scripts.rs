//! The scripts for a staging cluster, on machines that are network namespaces: `us` — `eu-a` — `eu-b`, the latter two in one region.
//!
//! The namespaces are those of threads and end with them; `nsenter` is what reaches them. Where they or iptables cannot be had, the
//! tests say so and pass.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, gettid};
use tempfile::TempDir;

use super::arena::PATIENCE;

/// Where each machine listens.
const PORT: u16 = 7421;
/// How long a connection is tried that should be cut off.
const IN_VAIN: Duration = Duration::from_millis(300);

/// A machine: a network namespace in which something listens.
struct Machine {
    namespace: String,
    _until_dropped: SyncSender<()>,
}

impl Machine {
    fn new() -> Result<Self, String> {
        let (place, placed) = sync_channel(1);
        let (until_dropped, dropped) = sync_channel::<()>(1);
        thread::spawn(move || {
            let listener = unshare(CloneFlags::CLONE_NEWNET)
                .map_err(io::Error::from)
                .and_then(|()| TcpListener::bind(("0.0.0.0", PORT)));
            let namespace = format!("/proc/{}/task/{}/ns/net", std::process::id(), gettid());
            let said = listener.as_ref().map(|_| namespace).map_err(|error| format!("no network namespace: {error}"));
            let _ = place.send(said);
            // Connections are made by the system; nobody has to accept them.
            let _ = dropped.recv();
        });
        let namespace = placed.recv().expect("the thread says how it went")?;
        Ok(Self { namespace, _until_dropped: until_dropped })
    }

    /// Runs a line of shell there; what it said when it failed.
    fn run(&self, line: &str) -> Result<(), String> {
        let net = format!("--net={}", self.namespace);
        let output =
            Command::new("nsenter").args([&net, "sh", "-ec", line]).output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("{line}: {said}")) }
    }

    fn connect(&self, address: &str, patience: Duration) -> io::Result<TcpStream> {
        let address = SocketAddr::new(address.parse().expect("an address"), PORT);
        let namespace = File::open(&self.namespace)?;
        let connect = move || {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            TcpStream::connect_timeout(&address, patience)
        };
        thread::spawn(connect).join().expect("the thread ends")
    }
}

/// A script and what it started, but for what it left on machines; killed when dropped.
struct Script(Child);

impl Script {
    fn end(&mut self, signal: Signal) {
        killpg(Pid::from_raw(i32::try_from(self.0.id()).expect("a pid")), signal).expect("it runs");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.end(Signal::SIGKILL);
        }
    }
}

struct Cluster {
    us: Machine,
    eu_a: Machine,
    eu_b: Machine,
    directory: TempDir,
}

impl Cluster {
    /// None, with the reason printed, where it cannot be had.
    fn find() -> Option<Self> {
        Self::make().map_err(|why| println!("passed over: {why}")).ok()
    }

    fn make() -> Result<Self, String> {
        let (us, eu_a, eu_b) = (Machine::new()?, Machine::new()?, Machine::new()?);
        us.run("command -v setsid bash; iptables -w -n -L")?;
        let link = |left: &Machine, right: &Machine, net: u8| {
            left.run(&format!("ip link add to-right type veth peer name to-left netns {}", right.namespace))?;
            left.run(&format!("ip addr add 10.97.{net}.1/24 dev to-right; ip link set to-right up"))?;
            right.run(&format!("ip addr add 10.97.{net}.2/24 dev to-left; ip link set to-left up"))
        };
        link(&us, &eu_a, 1)?;
        link(&eu_a, &eu_b, 2)?;
        let directory = tempfile::tempdir().expect("a directory");
        let hosts = [("us-a", &us, "10.97.1.1"), ("eu-a", &eu_a, "10.97.1.2 10.97.2.1"), ("eu-b", &eu_b, "10.97.2.2")]
            .map(|(name, machine, addresses)| {
                let region = &name[..2];
                format!("{name} {region} --net={} none none {addresses}\n", machine.namespace)
            });
        std::fs::write(directory.path().join("hosts"), hosts.concat()).expect("a file");
        Ok(Self { us, eu_a, eu_b, directory })
    }

    /// `split-region.sh eu SECONDS`, once it says that the region is cut off.
    fn split(&self, seconds: &str, spare: &str) -> Script {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/split-region.sh");
        let process = Command::new(script)
            .args(["eu", seconds])
            .envs([("RUN", "nsenter"), ("SUDO", ""), ("FETCH", "true"), ("SPARE", spare)])
            .env("HOSTS", self.directory.path().join("hosts"))
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("the script runs");
        let mut script = Script(process);
        let mut said = BufReader::new(script.0.stdout.as_mut().expect("its output")).lines().map_while(Result::ok);
        assert!(said.any(|line| line.contains("is cut off")), "the script ended before");
        script
    }

    fn is_cut_off(&self) -> bool {
        let outwards = self.eu_a.connect("10.97.1.1", IN_VAIN);
        let inwards = self.us.connect("10.97.1.2", IN_VAIN);
        [outwards, inwards].iter().all(|made| made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut))
    }

    fn is_healed(&self) -> bool {
        self.eu_a.connect("10.97.1.1", PATIENCE).is_ok() && self.us.connect("10.97.1.2", PATIENCE).is_ok()
    }
}

#[test]
fn a_region_is_cut_off_and_healed_when_the_script_is_interrupted() {
    let Some(cluster) = Cluster::find() else { return };
    assert!(cluster.is_healed(), "the network is up");
    let mut script = cluster.split("60", "60");
    assert!(cluster.is_cut_off());
    cluster.eu_b.connect("10.97.2.1", PATIENCE).expect("within the region all is well");
    script.end(Signal::SIGTERM);
    assert!(cluster.is_healed());
    cluster.eu_a.run("! iptables -w -S | grep trine").expect("nothing is left behind");
}

#[test]
fn a_region_heals_itself_when_the_script_is_killed() {
    let Some(cluster) = Cluster::find() else { return };
    let begun = Instant::now();
    let mut script = cluster.split("1", "1");
    script.end(Signal::SIGKILL);
    let was_cut_off = cluster.is_cut_off();
    assert!(was_cut_off || begun.elapsed() > Duration::from_secs(2), "it should last two seconds");
    // What is sent anew until it arrives arrives soon after the heal.
    assert!(cluster.is_healed(), "nobody healed, and the machines did not either");
}
