//! Why a node ends: it is told to, or it must not go on.

use std::sync::{Mutex, PoisonError};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, oneshot};

/// A node with this variable in its environment stops when its standard input ends, as it does when whoever started it is
/// gone without a word.
pub const SUPERVISED: &str = "TRINE_SUPERVISED";

/// Why not to go on, if there is a reason.
#[derive(Default)]
pub(super) struct End {
    failure: Mutex<Option<String>>,
    left: Mutex<Option<String>>,
    bell: Notify,
}

impl End {
    /// The node must end, and not in peace.
    pub(super) fn fail(&self, reason: String) {
        tracing::error!(%reason, "the node may not go on");
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.bell.notify_one();
    }

    /// The node has left its region, and ends in order.
    pub(super) fn leave(&self, reason: String) {
        if self.left.lock().unwrap_or_else(PoisonError::into_inner).replace(reason.clone()).is_none() {
            tracing::warn!(%reason, "the node has left: stopping");
        }
        self.bell.notify_one();
    }

    /// Why it left, when it has.
    pub(super) fn left(&self) -> Option<String> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why it must end.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a signal, the end of a supervisor, or a failure.
    pub(super) async fn wait(&self, signals: &mut Signals) {
        tokio::select! {
            _ = signals.interrupt.recv() => tracing::info!("interrupted: stopping"),
            _ = signals.terminate.recv() => tracing::info!("asked to end: stopping"),
            () = orphaned() => tracing::info!("whoever started this node is gone: stopping"),
            () = self.bell.notified() => {}
        }
    }
}

/// The signals that end a node in order. They are taken before the node answers anybody: whoever has its answer may send one,
/// and untaken it would end the process where it stands.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on.
    pub(super) fn take() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }
}

/// The process ends here and now: nobody knows what the disk holds.
pub(super) fn die(reason: &str) -> ! {
    tracing::error!(%reason, "the node ends at once");
    super::telemetry::flush();
    std::process::exit(1)
}

async fn orphaned() {
    if std::env::var_os(SUPERVISED).is_none() {
        return std::future::pending().await;
    }
    let (gone, waiting) = oneshot::channel();
    let watch = move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = gone.send(());
    };
    match std::thread::Builder::new().name("trine-parent".to_owned()).spawn(watch) {
        Ok(_) => drop(waiting.await),
        Err(_) => std::future::pending().await,
    }
}
