//! `gate`: the table of all nouns, and what belongs to none of them: secrets and meters.

use crate::coroutine::PARALLEL_MAX;
use crate::host::function::{PhaseSet, function, number, parallel, table, text};
use crate::host::options::BadOption;
use crate::host::{Answer, Answered, Call, Noun};
use crate::operation::Operation;
use crate::stack::Value;

/// Longest name of a meter, in bytes.
const METER_BYTES_MAX: usize = 64;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate",
    about: "Everything a script may ask of the gateway. The nouns `request`, `response`, `context`, `json`, `log` and those of \
            mapping templates are globals as well.",
    functions: &[
        function("secret", PhaseSet::ALL, secret)
            .about("The value of a secret. Plugins name it as their settings do (`env:NAME`, `file:PATH` in a setting that the \
                    schema marks `\"format\": \"secret\"`); other scripts by its name in the API's `secrets`. The value comes from \
                    the gateway, never from the configuration.")
            .takes(&[text("reference", "what the setting holds, or the name")])
            .gives("string")
            .fails("raises for what was not given to this script: other plugins' and APIs' secrets cannot be asked for")
            .example("gate.secret('env:SIGNING_KEY') --> 'example-secret'"),
        function("meter", PhaseSet::ALL, meter)
            .about("Adds to a counter that the gateway keeps by API, plugin and this name for as long as it runs.")
            .takes(&[
                text("name", "`[a-z0-9_]`, at most 64 bytes, of a closed set: never a part of a request"),
                number("amount", "what to add, not negative; default 1").optional(),
            ])
            .fails("raises on other names and on a script's 65th meter")
            .example("gate.meter('cache_misses')\ngate.meter('bytes_saved', 512)"),
        parallel("parallel", PhaseSet::WAITING, in_parallel)
            .about("Calls several functions at once: while one waits, the others go on. Gives a table with the first result of each \
                    under its key, when all have ended.")
            .takes(&[table("functions", "1 to 16 functions without arguments, in a list or under names")])
            .gives("{ [any]: any }")
            .fails("raises what the first function raised that failed, when all have ended")
            .example(
                "gate.parallel({ a = function() return 1 end, b = function() return gate.store.get('none') end }).a --> 1\n\
                 local both = gate.parallel({\n\
                     user = function() return gate.http.get('https://users.example/v1/me') end,\n\
                     plan = function() return gate.http.get('https://plans.example/v1/mine') end,\n\
                 })",
            ),
    ],
    fields: &[],
    is_open: false,
};

fn secret<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let reference = call.text(1, "gate.secret")?;
    let run = call.run;
    let value = std::str::from_utf8(reference).ok().and_then(|name| run.tenant.secrets.get(name));
    let Some(value) = value else {
        // The text may be a secret itself, so it is not repeated.
        return Err(run.refuse(format_args!("gate.secret: this script was given no secret of that name")));
    };
    run.buffers.output.clear();
    run.buffers.output.extend_from_slice(value.as_bytes());
    Ok(Answer::Output)
}

fn meter<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let name = call.text(1, "gate.meter")?;
    let amount = match call.arguments.get(2) {
        Value::Number(amount) => amount,
        _ => 1.0,
    };
    let run = call.run;
    let is_name = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= METER_BYTES_MAX && !name.is_empty());
    let Some(name) = name.filter(|name| name.bytes().all(|byte| is_name(&byte))) else {
        return Err(run
            .refuse(format_args!("gate.meter: a name has 1 to {METER_BYTES_MAX} lower-case letters, digits and `_`")));
    };
    if amount < 0.0 {
        return Err(run.refuse(format_args!("gate.meter: the amount must not be negative")));
    }
    match run.services.meters.add(&run.tenant.name, name, amount) {
        Ok(()) => Ok(Answer::Nothing),
        Err(_) => Err(run.refuse(format_args!("gate.meter: there are too many meters for `{name}`"))),
    }
}

/// Checks what `coroutine.rs` then makes coroutines of.
fn in_parallel<'call>(call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.parallel";
    let Value::Table(functions) = call.arguments.get(1) else { return Ok(Answer::Nil) };
    let mut count = 0;
    let checked = functions.for_each(|_, value| {
        count += 1;
        match value {
            _ if count > PARALLEL_MAX => Err(BadOption(format!("there are more than {PARALLEL_MAX} functions"))),
            Value::Other("function") => Ok(()),
            other => Err(BadOption(format!("a member must be a function, not {}", other.type_name()))),
        }
    });
    if let Err(BadOption(why)) = checked {
        return Err(call.run.refuse(format_args!("{FUNCTION}: {why}")));
    }
    if count == 0 {
        return Err(call.run.refuse(format_args!("{FUNCTION}: there is no function to call")));
    }
    if call.run.is_child {
        return Err(call.run.refuse(format_args!("{FUNCTION} cannot be called inside of itself")));
    }
    call.wait(FUNCTION, Operation::Parallel)
}
