//! Steady load: connections that send one request after the other until they are told to stop.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::client::{Client, Response};
use crate::wait::{SOON, wait_until};

/// Running load. It stops when the value is dropped.
pub struct Load {
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    is_stopping: AtomicBool,
    completed: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

/// What a finished load says.
#[derive(Clone, Debug)]
pub struct Report {
    /// Requests that were sent and answered, rightly or wrongly.
    pub completed: usize,
    /// Those that were answered wrongly or not at all, in words.
    pub failures: Vec<String>,
}

impl Load {
    /// Starts so many keep-alive connections that each `GET` a target again and again. `check` says what is wrong with a
    /// response, if anything.
    pub fn start(
        client: Client,
        target: &str,
        connections: usize,
        check: impl Fn(&Response) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let state = Arc::new(State::default());
        let check = Arc::new(check);
        let threads = (0..connections).map(|_| {
            let (state, check, target) = (Arc::clone(&state), Arc::clone(&check), target.to_owned());
            thread::spawn(move || run(client, &target, &state, &*check))
        });
        Self { threads: threads.collect(), state }
    }

    /// Requests completed so far.
    pub fn completed(&self) -> usize {
        self.state.completed.load(Ordering::SeqCst)
    }

    /// Waits until so many more are completed than now.
    #[track_caller]
    pub fn wait_for_more(&self, count: usize) {
        let target = self.completed() + count;
        wait_until("load to go on", SOON, || self.completed() >= target);
    }

    /// Lets every connection finish its request, and reports.
    pub fn stop(mut self) -> Report {
        self.end();
        Report {
            completed: self.completed(),
            failures: self.state.failures.lock().expect("no connection panics").clone(),
        }
    }

    fn end(&mut self) {
        self.state.is_stopping.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.join().expect("no connection panics");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(client: Client, target: &str, state: &State, check: &dyn Fn(&Response) -> Option<String>) {
    let mut connection = None;
    // Every connection sends at least one request, however late its thread comes to run.
    loop {
        let used = match connection.take() {
            Some(open) => Ok(open),
            None => client.try_connect(),
        };
        let outcome = used.and_then(|mut open| {
            open.send_request("GET", target, &[], b"")?;
            let response = open.response_to("GET")?;
            // A connection the server announced to close is replaced; one it closes without a word is a failure.
            if !response.headers.all("connection").contains(&"close") {
                connection = Some(open);
            }
            Ok(response)
        });
        let failure = match &outcome {
            Ok(response) => check(response),
            Err(error) => Some(error.to_string()),
        };
        if let Some(failure) = failure {
            state.failures.lock().expect("no connection panics").push(failure);
        }
        state.completed.fetch_add(1, Ordering::SeqCst);
        if state.is_stopping.load(Ordering::SeqCst) {
            return;
        }
    }
}
