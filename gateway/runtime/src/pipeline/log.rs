//! Stage 11, log: exactly once for every request, whatever happened to it.
//!
//! *Reads* everything. *Writes* one [`AccessRecord`] to whoever listens, and the stage's counters. *May end with* nothing. *Limits*: no allocation beyond
//! the record; listeners must not block.

use std::time::Duration;

use moongate_exchange::{Exchange, Kind};

/// What is known about a request when it is over.
#[derive(Clone, Debug)]
pub struct AccessRecord<'exchange> {
    /// The exchange itself.
    pub exchange: &'exchange Exchange,
    /// From the complete head to the last byte of the answer.
    pub duration: Duration,
    /// The status; `None` when the client left before there was one.
    pub status: Option<u16>,
    /// What kind of rejection, if it was one.
    pub rejection: Option<Kind>,
}

/// Ends an exchange: reports it to `listen`. Call it once, when the response was sent or given up.
pub fn finish(exchange: &mut Exchange, listen: &dyn Fn(&AccessRecord<'_>)) {
    if let Some(at_end) = exchange.at_end.take() {
        at_end.run(exchange);
    }
    let exchange = &*exchange;
    let duration = exchange.arrived.elapsed();
    if let (Some(matched), Some(status)) = (&exchange.matched, exchange.outcome.status) {
        matched.stage.counters.count(status.as_u16(), duration);
    }
    let record = AccessRecord {
        exchange,
        duration,
        status: exchange.outcome.status.map(|status| status.as_u16()),
        rejection: exchange.outcome.rejection,
    };
    listen(&record);
}
