//! Clients that take what they can get: slow ones by the hundred, and floods of HTTP/2 frames. They are gone by their deadlines or
//! stopped at their limits, memory and processor time stay bounded, and other clients are served meanwhile.

mod http2;
mod slow;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use moongate_tests::{Client, Gateway};

/// Longest that a request of another client may take at the 99th percentile. Generous: the attackers of these tests, and other tests,
/// take their share of the same few processors.
const NOTICEABLE: Duration = Duration::from_millis(1_500);

/// Another client, which asks for something again and again while an attack goes on.
struct Neighbour {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Neighbour {
    /// Starts to ask, until told to stop.
    fn start(gateway: &Gateway, target: &'static str) -> Self {
        let client = gateway.client();
        let is_over = Arc::new(AtomicBool::new(false));
        let for_thread = Arc::clone(&is_over);
        let thread = thread::spawn(move || Self::ask(client, target, &for_thread));
        Self { is_over, thread }
    }

    /// Asks on one connection, with a breath between requests.
    fn ask(client: Client, target: &str, is_over: &AtomicBool) -> Vec<Duration> {
        let mut connection = client.connect();
        let mut times = Vec::new();
        // At least once, however late this thread comes to run: an attack may be over sooner.
        loop {
            let start = Instant::now();
            connection.request("GET", target, &[], b"").expect_status(200);
            times.push(start.elapsed());
            if is_over.load(Ordering::SeqCst) {
                return times;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Stops, and checks that the attack was hardly felt.
    #[track_caller]
    fn expect_unharmed(self, attack: &str) {
        self.is_over.store(true, Ordering::SeqCst);
        let mut times = self.thread.join().unwrap_or_else(|_| panic!("{attack}: other clients were not served"));
        let waited = percentile_99(&mut times);
        assert!(!times.is_empty() && waited <= NOTICEABLE, "{attack}: others waited {waited:?}");
    }
}

fn percentile_99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len().saturating_sub(1 + times.len() / 100)).copied().unwrap_or_default()
}
