//! `gate.cache`: what is kept on this node to save work.

use super::store::{key, ttl, value};
use crate::host::function::{PhaseSet, function, number, text};
use crate::host::{Answer, Answered, Call, Noun};

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.cache",
    about: "Texts kept on this node to save work: 8 MiB per plugin, and per API for its other scripts. What is there may be gone the \
            next moment, and other nodes do not see it; what must not be lost belongs in `gate.store`.",
    functions: &[
        function("get", PhaseSet::REQUEST, get)
            .about("The text kept under a key, if it still is.")
            .takes(&[text("key", "1 to 512 bytes")])
            .gives("string?")
            .fails("raises on keys of another length")
            .example(
                "gate.cache.set('token', 'abc', 60)\ngate.cache.get('token') --> 'abc'\ngate.cache.get('none') --> nil",
            ),
        function("set", PhaseSet::REQUEST, set)
            .about("Keeps a text under a key for some time at most. Texts of more than 1 MiB are refused.")
            .takes(&[
                text("key", "1 to 512 bytes"),
                text("value", "at most 1 MiB"),
                number("ttl_seconds", "more than 0 and at most thirty days"),
            ])
            .fails("raises on keys, values and times beyond their limits")
            .example("gate.cache.set('token', 'abc', 60)"),
        function("delete", PhaseSet::REQUEST, delete)
            .about("Forgets what is kept under a key.")
            .takes(&[text("key", "1 to 512 bytes")])
            .fails("raises on keys of another length")
            .example("gate.cache.delete('token')\ngate.cache.get('token') --> nil"),
    ],
    fields: &[],
    is_open: false,
};

fn get<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let key = key(&mut call, "gate.cache.get")?;
    let run = call.run;
    match run.services.caches.get(&run.tenant.name, &key, run.services.clock.now()) {
        Some(value) => {
            run.buffers.output.clear();
            run.buffers.output.extend_from_slice(&value);
            Ok(Answer::Output)
        }
        None => Ok(Answer::Nil),
    }
}

fn set<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.cache.set";
    let (key, value) = (key(&mut call, FUNCTION)?, value(&mut call, FUNCTION)?);
    let ttl = ttl(&mut call, FUNCTION, 3)?;
    let run = call.run;
    run.services.caches.set(&run.tenant.name, key, value, run.services.clock.now(), ttl);
    Ok(Answer::Nothing)
}

fn delete<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let key = key(&mut call, "gate.cache.delete")?;
    call.run.services.caches.remove(&call.run.tenant.name, &key);
    Ok(Answer::Nothing)
}
