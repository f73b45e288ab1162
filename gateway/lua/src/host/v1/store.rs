//! `gate.store`: what is kept between requests, and shared by nodes where the operator has a backend for that.

use std::time::Duration;

use bytes::Bytes;

use crate::host::function::{Parameter, PhaseSet, number, text, waiting};
use crate::host::{Answer, Answered, Call, Noun, Refused};
use crate::operation::Operation;
use crate::stack::Value;
use crate::store::{Begun, KEY_BYTES_MAX, StoreAction, StoreOperation, StoreReply, TTL_MAX, VALUE_BYTES_MAX};

const KEY: Parameter = text("key", "1 to 512 bytes; every plugin and every API has keys of its own");
const TTL: Parameter = number("ttl_seconds", "how long it is kept, more than 0 and at most thirty days");
const ERRORS: &str =
    "raises when the store is full or cannot be reached, and on keys, values and times beyond their limits";

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.store",
    about: "Texts and numbers kept between requests, every one for a time that has to be said. Each plugin of an API has keys of its \
            own, and so have the API's other scripts together; nobody sees another's. In memory, a tenant has 64 MiB.",
    functions: &[
        waiting("get", PhaseSet::REQUEST, get)
            .about("The text kept under a key; numbers are written out.")
            .takes(&[KEY])
            .gives("string?")
            .fails(ERRORS)
            .example("gate.store.set('colour', 'blue', 60)\ngate.store.get('colour') --> 'blue'\ngate.store.get('none') --> nil"),
        waiting("set", PhaseSet::REQUEST, set)
            .about("Keeps a text under a key.")
            .takes(&[KEY, text("value", "at most 1 MiB"), TTL])
            .fails(ERRORS)
            .example("gate.store.set('colour', 'blue', 60)"),
        waiting("add", PhaseSet::REQUEST, add)
            .about("Keeps a text under a key unless there is one, and says whether it did. Of several at once one does.")
            .takes(&[KEY, text("value", "at most 1 MiB"), TTL])
            .gives("boolean")
            .fails(ERRORS)
            .example("gate.store.add('lock', 'me', 5) --> true\ngate.store.add('lock', 'me too', 5) --> false"),
        waiting("incr", PhaseSet::REQUEST, incr)
            .about("Adds to a number and gives it as it is then. One that is not there is 0, and is kept for the time given; one that \
                    is there keeps its time.")
            .takes(&[KEY, number("by", "what to add, which may be negative"), TTL])
            .gives("number")
            .fails("raises when there is a text that is no number; else as `set`")
            .example("gate.store.incr('visits', 1, 60) --> 1\ngate.store.incr('visits', 2, 60) --> 3"),
        waiting("expire", PhaseSet::REQUEST, expire)
            .about("Gives what is kept under a key another time, and says whether there was something.")
            .takes(&[KEY, TTL])
            .gives("boolean")
            .fails(ERRORS)
            .example("gate.store.expire('none', 60) --> false"),
        waiting("delete", PhaseSet::REQUEST, delete)
            .about("Removes what is kept under a key, and says whether there was something.")
            .takes(&[KEY])
            .gives("boolean")
            .fails(ERRORS)
            .example("gate.store.delete('none') --> false"),
    ],
    fields: &[],
    is_open: false,
};

/// The first argument as a key.
pub(super) fn key(call: &mut Call<'_, '_>, function: &str) -> Result<Bytes, Refused> {
    let key = call.text(1, function)?;
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(call.run.refuse(format_args!("{function}: a key has 1 to {KEY_BYTES_MAX} bytes")));
    }
    Ok(Bytes::copy_from_slice(key))
}

/// The second argument as a value.
pub(super) fn value(call: &mut Call<'_, '_>, function: &str) -> Result<Bytes, Refused> {
    let value = call.text(2, function)?;
    if value.len() > VALUE_BYTES_MAX {
        return Err(call.run.refuse(format_args!("{function}: a value has at most {VALUE_BYTES_MAX} bytes")));
    }
    Ok(Bytes::copy_from_slice(value))
}

/// An argument as a time to live.
pub(super) fn ttl(call: &mut Call<'_, '_>, function: &str, place: u8) -> Result<Duration, Refused> {
    let seconds = match call.arguments.get(place.into()) {
        Value::Number(seconds) if seconds > 0.0 && seconds <= TTL_MAX.as_secs_f64() => seconds,
        _ => {
            let most = TTL_MAX.as_secs();
            return Err(call
                .run
                .refuse(format_args!("{function}: the time must be more than 0 and at most {most} seconds")));
        }
    };
    Ok(Duration::from_secs_f64(seconds))
}

fn get<'call>(call: Call<'call, '_>) -> Answered<'call> {
    perform(call, "gate.store.get", |_| Ok(StoreAction::Get))
}

fn set<'call>(call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.store.set";
    perform(call, FUNCTION, |call| Ok(StoreAction::Set { value: value(call, FUNCTION)?, ttl: ttl(call, FUNCTION, 3)? }))
}

fn add<'call>(call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.store.add";
    perform(call, FUNCTION, |call| Ok(StoreAction::Add { value: value(call, FUNCTION)?, ttl: ttl(call, FUNCTION, 3)? }))
}

fn incr<'call>(call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.store.incr";
    perform(call, FUNCTION, |call| {
        let Value::Number(by) = call.arguments.get(2) else { return Err(Refused) };
        Ok(StoreAction::Increment { by, ttl: ttl(call, FUNCTION, 3)? })
    })
}

fn expire<'call>(call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.store.expire";
    perform(call, FUNCTION, |call| Ok(StoreAction::Expire { ttl: ttl(call, FUNCTION, 2)? }))
}

fn delete<'call>(call: Call<'call, '_>) -> Answered<'call> {
    perform(call, "gate.store.delete", |_| Ok(StoreAction::Delete))
}

/// Begins an operation: what is done at once is answered at once, the rest is waited for.
fn perform<'call, 'run>(
    mut call: Call<'call, 'run>,
    function: &str,
    action: impl FnOnce(&mut Call<'call, 'run>) -> Result<StoreAction, Refused>,
) -> Answered<'call> {
    let key = key(&mut call, function)?;
    let action = action(&mut call)?;
    let tenant = call.run.tenant.name.clone();
    match call.run.services.store.begin(StoreOperation { tenant, key, action }) {
        Begun::Waits(wait) => call.wait(function, Operation::Store(wait)),
        Begun::Done(Err(error)) => Err(call.run.refuse(format_args!("{function}: {error}"))),
        Begun::Done(Ok(reply)) => Ok(match reply {
            StoreReply::Nothing => Answer::Nothing,
            StoreReply::Flag(flag) => Answer::Boolean(flag),
            StoreReply::Number(number) => Answer::Number(number),
            StoreReply::Value(None) => Answer::Nil,
            StoreReply::Value(Some(value)) => {
                let output = &mut call.run.buffers.output;
                output.clear();
                output.extend_from_slice(&value);
                Answer::Output
            }
        }),
    }
}
