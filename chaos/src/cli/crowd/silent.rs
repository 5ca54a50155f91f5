//! The crowd: connections that say nothing, and come again when they are sent away.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long one waits to be let in.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How often those who stand are looked at.
const ROUND: Duration = Duration::from_millis(200);

/// The crowd; it leaves when this is dropped.
pub struct Silent {
    leaves: Arc<AtomicBool>,
    threads: Vec<JoinHandle<(Vec<TcpStream>, usize)>>,
}

impl Silent {
    /// This many at each port, at once; of those sent away this many come again in a second.
    pub fn start(ports: &[SocketAddr], silent: usize, again: usize) -> Self {
        let leaves = Arc::new(AtomicBool::new(false));
        let threads = ports.iter().map(|port| {
            let (port, leaves) = (*port, Arc::clone(&leaves));
            std::thread::spawn(move || stand(port, silent, again, &leaves))
        });
        Self { threads: threads.collect(), leaves }
    }

    /// How many stood in the end, and how many were sent away before.
    pub fn leave(mut self) -> (usize, usize) {
        self.leaves.store(true, Ordering::Relaxed);
        let crowds: Vec<_> = self.threads.drain(..).filter_map(|thread| thread.join().ok()).collect();
        crowds.iter().fold((0, 0), |(stood, away), (standing, sent)| (stood + standing.len(), away + sent))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.leaves.store(true, Ordering::Relaxed);
    }
}

fn stand(port: SocketAddr, silent: usize, again: usize, leaves: &AtomicBool) -> (Vec<TcpStream>, usize) {
    let (mut standing, mut away): (Vec<TcpStream>, usize) = (Vec::new(), 0);
    let rounds_per_s = usize::try_from(1000 / ROUND.as_millis()).unwrap_or(1);
    let mut come = silent;
    while !leaves.load(Ordering::Relaxed) {
        let before = standing.len();
        standing.retain_mut(stands);
        away += before - standing.len();
        while standing.len() < silent && come > 0 && !leaves.load(Ordering::Relaxed) {
            come -= 1;
            let Ok(stream) = TcpStream::connect_timeout(&port, CONNECT_MAX) else { break };
            if stream.set_nonblocking(true).is_ok() {
                standing.push(stream);
            }
        }
        come = again.div_ceil(rounds_per_s);
        std::thread::sleep(ROUND);
    }
    standing.retain_mut(stands);
    (standing, away)
}

/// Whether the node has not closed it.
fn stands(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}
