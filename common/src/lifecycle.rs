//! How a server program begins and ends as its supervisor sees it: a file that says where it serves, and
//! the signals that stop it.

use std::{io, net::SocketAddr, path::Path};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `shutdown` at the first SIGINT or SIGTERM. Later ones change nothing: the end is bounded by
/// [`Limits::drain`](crate::serve::Limits::drain).
///
/// # Errors
/// When the system gives no signal handler.
pub fn stop_on_signals(shutdown: CancellationToken) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = shutdown.cancelled() => return,
        }
        tracing::info!("stopping; calls under way may finish");
        shutdown.cancel();
    });
    Ok(())
}

/// Where a program serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Nodes, hub and staff, over mutual TLS.
    pub listen: SocketAddr,
    /// Health and metrics, on this machine.
    pub admin: SocketAddr,
    /// Pages for browsers; `None`: there are none.
    pub console: Option<SocketAddr>,
}

/// Writes `{"listen":"ip:port","admin":"ip:port"}`, with `"console":"ip:port"` where there is one; of several programs in one process a list of
/// these. Whoever waits for the file never sees a part of it: it is written beside and renamed.
///
/// # Errors
/// When the file system refuses.
pub fn write_ready_file(path: &Path, served: &[Served]) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut all: Vec<Value> = served.iter().map(document).collect();
    let document = if let [_] = *all { all.remove(0) } else { Value::Array(all) };
    std::fs::write(&beside, format!("{document}\n"))
        .and_then(|()| std::fs::rename(&beside, path))
        .with_context(|| format!("can not write the ready file `{}`", path.display()))
}

fn document(served: &Served) -> Value {
    let Served { listen, admin, console } = served;
    let mut document = json!({ "listen": listen.to_string(), "admin": admin.to_string() });
    if let (Some(console), Some(document)) = (console, document.as_object_mut()) {
        document.insert("console".to_owned(), console.to_string().into());
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_file_is_one_document_and_replaces_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        std::fs::write(&path, "old").unwrap();
        let (listen, admin) = ("127.0.0.1:7000".parse().unwrap(), "[::1]:7001".parse().unwrap());
        let served = |console| Served { listen, admin, console };
        write_ready_file(&path, &[served(None)]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"admin\":\"[::1]:7001\",\"listen\":\"127.0.0.1:7000\"}\n");
        write_ready_file(&path, &[served(Some(admin))]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"console\":\"[::1]:7001\""), "{text}");
        write_ready_file(&path, &[served(None), served(None)]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("[{") && text.matches("listen").count() == 2, "{text}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_ready_file_that_can_not_be_written_is_named() {
        let address = "127.0.0.1:7000".parse().unwrap();
        let served = Served { listen: address, admin: address, console: None };
        let error = write_ready_file(Path::new("/nowhere/ready"), &[served]).unwrap_err();
        assert!(error.to_string().contains("/nowhere/ready"));
    }
}
