//! A PostgreSQL server of our own, from the system's package, in a temporary folder.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The folders where packages put the server's programs.
const PLACES: [&str; 3] = ["/usr/lib/postgresql", "/usr/pgsql", "/usr/local/pgsql"];

/// A running server. It is stopped when the last test of the process has ended: the child dies with its parent.
pub(crate) struct Server {
    port: u16,
    programs: PathBuf,
    _folder: TempDir,
}

static SERVER: OnceLock<Option<Server>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The URL of a new, empty database; `None` where there is no server to be had.
pub(crate) fn database() -> Option<String> {
    let server = SERVER.get_or_init(start).as_ref()?;
    let name = format!("test{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let made = Command::new(server.programs.join("psql"))
        .args(["-h", "127.0.0.1", "-p", &server.port.to_string(), "-U", "moongate", "-d", "postgres", "-qc"])
        .arg(format!("CREATE DATABASE {name}"))
        .status();
    assert!(made.is_ok_and(|status| status.success()), "psql cannot make a database");
    Some(format!("postgres://moongate@127.0.0.1:{}/{name}", server.port))
}

#[expect(clippy::zombie_processes, reason = "the server outlives this function, and the watcher ends it")]
fn start() -> Option<Server> {
    let Some(programs) = programs() else {
        eprintln!("skipped on PostgreSQL: its server is not installed");
        return None;
    };
    let folder = tempfile::Builder::new().prefix("moongate-postgres-").tempdir().expect("a temporary folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).expect("a folder of ours");
    let data = folder.path().join("data");
    let made = as_nobody(&programs.join("initdb"))
        .args(["-U", "moongate", "--auth=trust", "-N", "-E", "UTF8", "-D"])
        .arg(&data)
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .status();
    assert!(made.is_ok_and(|status| status.success()), "initdb failed");
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a port").port();
    let child = as_nobody(&programs.join("postgres"))
        .arg("-D")
        .arg(&data)
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=200", "-k"])
        .arg(folder.path())
        .args(["-p", &port.to_string()])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    end_with_us(&child, folder.path());
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let ready =
            Command::new(programs.join("pg_isready")).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q"]).status();
        if ready.is_ok_and(|status| status.success()) {
            return Some(Server { port, programs, _folder: folder });
        }
        assert!(Instant::now() < until, "the PostgreSQL server does not become ready");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Statics are not dropped: a shell that waits for the end of this process stops the server and removes its folder.
fn end_with_us(server: &Child, folder: &Path) {
    let script = "while kill -0 $1 2>/dev/null; do sleep 0.2; done; kill -INT $2; sleep 1; rm -rf \"$3\"";
    let watcher = Command::new("sh")
        .args(["-c", script, "sh", &std::process::id().to_string(), &server.id().to_string()])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    assert!(watcher.is_ok(), "nobody would stop the server");
}

/// The server refuses to run as root, so there it runs as the user its package made.
fn as_nobody(program: &Path) -> Command {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0"));
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

/// The newest version's programs.
fn programs() -> Option<PathBuf> {
    let versions = PLACES.iter().filter_map(|place| std::fs::read_dir(place).ok()).flatten().filter_map(Result::ok);
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    folders.retain(|folder| folder.join("initdb").exists() && folder.join("postgres").exists());
    folders.sort_unstable();
    folders.pop()
}
