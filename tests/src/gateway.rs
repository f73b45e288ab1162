//! A gateway under test: `moongate dev` on a project of the test's own.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, Response};
use crate::http2::Http2Client;
use crate::port::ReservedPort;
use crate::process::{Ended, Process};
use crate::project::Project;
use crate::wait::SOON;

/// A gateway that is ready. It is killed, and its project removed, when the value is dropped.
pub struct Gateway {
    process: Process,
    project: Project,
    api: SocketAddr,
    api_tls: Option<SocketAddr>,
    health: SocketAddr,
    admin: Option<SocketAddr>,
}

/// A gateway to be started.
#[derive(Default)]
pub struct Builder {
    project: Project,
    port: Option<ReservedPort>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    admin: bool,
}

impl Gateway {
    /// A gateway with an empty project.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A gateway with one API, written in place, that is ready.
    #[track_caller]
    pub fn with_api(yaml: &str) -> Self {
        Self::builder().file("apis/api.yaml", yaml).start()
    }

    /// Where APIs are served.
    pub fn address(&self) -> SocketAddr {
        self.api
    }

    /// Where APIs are served over TLS.
    ///
    /// # Panics
    ///
    /// When they are not.
    pub fn tls_address(&self) -> SocketAddr {
        self.api_tls.expect("the gateway listens for TLS")
    }

    /// Where health and metrics are served.
    pub fn health_address(&self) -> SocketAddr {
        self.health
    }

    /// Where the management API is served, when it is.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// A client of the APIs.
    pub fn client(&self) -> Client {
        Client::new(self.api)
    }

    /// An HTTP/2 connection to the APIs, without TLS.
    pub fn http2(&self) -> Http2Client {
        Http2Client::plain(self.api)
    }

    /// What the binary under test prints when it is run in the project's folder.
    ///
    /// # Panics
    ///
    /// When it fails.
    #[track_caller]
    pub fn moongate(&self, arguments: &[&str]) -> String {
        let command = std::process::Command::new(crate::binary::moongate())
            .args(arguments)
            .current_dir(self.project.path())
            .output()
            .expect("the binary can be run");
        let text = format!("{}{}", String::from_utf8_lossy(&command.stdout), String::from_utf8_lossy(&command.stderr));
        assert!(command.status.success(), "moongate {arguments:?}: {text}");
        text
    }

    /// `GET` of an API's URL, path and query.
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.client().get(target)
    }

    /// One request to an API; see [`Client::request`].
    #[track_caller]
    pub fn request(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.client().request(method, target, headers, body)
    }

    /// `GET` on the health listener: `/healthz`, `/readyz`, `/metrics`.
    #[track_caller]
    pub fn health(&self, target: &str) -> Response {
        Client::new(self.health).get(target)
    }

    /// The value of a metric: the sum over all its label sets that hold every one of `labels`, as `name="value"`.
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.health("/metrics").expect_status(200).text();
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (set, value) = rest.rsplit_once(' ')?;
            let is_this = (set.is_empty() || set.starts_with('{')) && labels.iter().all(|label| set.contains(label));
            if is_this { value.parse::<f64>().ok() } else { None }
        });
        values.sum()
    }

    /// Replaces a file of the project; the gateway notices by itself.
    pub fn edit_file(&self, path: &str, text: &str) {
        self.project.write(path, text);
    }

    /// Replaces a file and waits until the gateway has taken it or refused it; the event that says which.
    #[track_caller]
    pub fn edit_and_wait(&self, path: &str, text: &str) -> Value {
        let mark = self.process.mark();
        self.edit_file(path, text);
        self.process.wait_for_event_since(mark, "reloaded or reload_failed", SOON, |event| {
            event["event"] == "reloaded" || event["event"] == "reload_failed"
        })
    }

    /// Waits for an event, looking at those from the start too.
    ///
    /// # Panics
    ///
    /// When it does not come; the message holds all that the gateway said.
    #[track_caller]
    pub fn wait_for_event(&self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        self.process.wait_for_event_since(0, what, SOON, matches)
    }

    /// The process, for signals, memory and everything it said.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Resident memory now, in KiB.
    pub fn rss_kib(&self) -> u64 {
        self.process.rss_kib()
    }

    /// Ends it by a signal (`TERM` drains, `INT` is quick) and waits for its end.
    #[track_caller]
    pub fn stop(self, signal: &str) -> Ended {
        self.process.signal(signal);
        self.process.wait_for_end(SOON)
    }
}

impl Builder {
    /// Adds a file to the project: `apis/shop.yaml`, `lua/auth.lua`.
    #[must_use]
    pub fn file(self, path: &str, text: &str) -> Self {
        self.project.write(path, text);
        self
    }

    /// Starts on a copy of a folder of the repository, `deploy/examples/hello`, instead of an empty project. Where the folder's
    /// files name the default port 8080, they get the port that the gateway gets.
    #[must_use]
    pub fn copy_of(mut self, place: &str) -> Self {
        let port = self.port.get_or_insert_default().port;
        self.project = Project::copy_of(place, port);
        self
    }

    /// Adds arguments behind `moongate dev DIR --listen 127.0.0.1:0 --health-listen 127.0.0.1:0 --output json`.
    #[must_use]
    pub fn args<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.arguments.extend(arguments.map(str::to_owned));
        self
    }

    /// Sets an environment variable of the gateway's process.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs the control plane too; see [`crate::control::Control::of`].
    #[must_use]
    pub fn with_admin(mut self) -> Self {
        self.admin = true;
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it is not ready in time, with all that it said.
    #[track_caller]
    pub fn start(self) -> Gateway {
        let gateway = self.start_unready();
        let health = Client::new(gateway.health).timeout(Duration::from_secs(5));
        let until = Instant::now() + SOON;
        while !health.send_raw(READY).is_ok_and(|response| response.status == 200) {
            let is_refused = gateway.process.events().iter().any(|event| event["event"] == "reload_failed");
            assert!(
                !is_refused && Instant::now() < until,
                "the gateway does not become ready\n{}",
                gateway.process.said()
            );
            thread::sleep(Duration::from_millis(2));
        }
        gateway
    }

    /// Starts it and waits only until it listens: its project has errors, and it waits for them to be mended.
    ///
    /// # Panics
    ///
    /// When it does not listen in time.
    #[track_caller]
    pub fn start_unready(self) -> Gateway {
        let process = self.spawn();
        let listening = process.wait_for_event_since(0, "listening", SOON, |event| event["event"] == "listening");
        let address = |name: &str| listening[name].as_str().and_then(|text| text.parse::<SocketAddr>().ok());
        let api = address("api").unwrap_or_else(|| panic!("no address of the APIs in {listening}"));
        let health = address("health").unwrap_or_else(|| panic!("no address of the health listener in {listening}"));
        Gateway { process, project: self.project, api, api_tls: address("api_tls"), health, admin: address("admin") }
    }

    fn spawn(&self) -> Process {
        let port = self.port.as_ref().map_or(0, |reserved| reserved.port);
        let (place, listen) = (self.project.place().display().to_string(), format!("127.0.0.1:{port}"));
        let admin = if self.admin { "127.0.0.1:0" } else { "none" };
        let fixed = [
            "dev",
            &place,
            "--listen",
            &listen,
            "--health-listen",
            "127.0.0.1:0",
            "--admin-listen",
            admin,
            "--output",
            "json",
        ];
        let arguments = fixed.into_iter().chain(self.arguments.iter().map(String::as_str));
        Process::start(self.project.working_folder(), arguments, &self.environment)
    }
}

const READY: &str = "GET /readyz HTTP/1.1\r\nHost: health\r\nConnection: close\r\n\r\n";
