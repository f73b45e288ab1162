//! Functions as real processes: what they answer, and what becomes of those that misbehave.

use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use moongate_function::local::{
    FunctionError, Functions, Invocation, InvokeError, Outcome, ResultBody, Runtime, Spec, Status,
};
use serde_json::{Value, json};

/// Functions in a folder of their own.
struct Bench {
    folder: tempfile::TempDir,
    functions: Functions,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let functions = Functions::start().expect("a thread");
        Self { folder: tempfile::tempdir().expect("a folder"), functions, runtime }
    }

    /// A function in Python with a handler `index.handler`.
    fn python(&self, code: &str) -> Spec {
        self.spec(Runtime::Python, "index.py", code)
    }

    fn spec(&self, runtime: Runtime, file: &str, code: &str) -> Spec {
        let path = self.folder.path().join(file);
        std::fs::write(&path, code).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
        Spec {
            name: "f".into(),
            folder: self.folder.path().to_owned(),
            runtime,
            handler: "index.handler".to_owned(),
            memory_bytes_max: 256 << 20,
            start_timeout: Duration::from_secs(20),
            timeout: Duration::from_secs(20),
            concurrency: NonZeroU32::MIN,
            idle: Duration::from_secs(60),
            environment: vec![("GREETING".to_owned(), "Hello".to_owned())],
            version: String::new(),
        }
    }

    fn declare(&self, spec: Spec) {
        self.runtime.block_on(self.functions.replace(vec![spec]));
    }

    fn invoke(&self, event: Value) -> Result<Outcome, InvokeError> {
        self.invoke_within(event, Duration::from_secs(30))
    }

    fn invoke_within(&self, event: Value, patience: Duration) -> Result<Outcome, InvokeError> {
        let invocation = invocation(&event, "id-1");
        self.runtime.block_on(self.functions.invoke(&"f".into(), invocation, Instant::now() + patience))
    }

    fn status(&self) -> Status {
        self.runtime.block_on(self.functions.status()).remove(0)
    }

    fn log(&self) -> String {
        let lines = self.runtime.block_on(self.functions.logs(&"f".into(), 1_000)).expect("a function");
        lines.iter().map(|line| format!("{}\n", line.text)).collect()
    }

    /// Waits for something that comes soon.
    fn wait_until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !holds(self) {
            assert!(Instant::now() < until, "{what}: {:?}\n{}", self.status(), self.log());
            std::thread::yield_now();
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.runtime.block_on(self.functions.stop());
    }
}

fn invocation(event: &Value, id: &str) -> Invocation {
    Invocation { request_id: id.into(), event: event.to_string().into(), trace_id: None, client_context: None }
}

fn whole(outcome: &Outcome) -> Value {
    let ResultBody::Whole(body) = &outcome.body else { panic!("a stream: {outcome:?}") };
    serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {body:?}"))
}

fn has_process(id: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // A zombie is as good as gone only once it was reaped: it does not count as gone here.
    !stat.is_empty()
}

#[test]
fn a_python_function_is_started_once_and_kept() {
    let bench = Bench::new();
    bench.declare(bench.python(
        "import os\ncount = 0\ndef handler(event, context):\n    global count\n    count += 1\n    print('working', count)\n    \
         return {'greeting': os.environ['GREETING'], 'name': event['name'], 'count': count, 'id': context.aws_request_id,\n            \
         'left': context.get_remaining_time_in_millis() > 1000, 'home': 'CARGO' in os.environ}\n",
    ));
    let first = bench.invoke(json!({"name": "Ada"})).expect("an outcome");
    assert_eq!(
        whole(&first),
        json!({"greeting": "Hello", "name": "Ada", "count": 1, "id": "id-1", "left": true, "home": false})
    );
    assert!(first.is_cold && first.error.is_none(), "{first:?}");
    let second = bench.invoke(json!({"name": "Bob"})).expect("an outcome");
    assert_eq!(whole(&second)["count"], 2);
    assert!(!second.is_cold);
    let Status { processes, busy, invocations, cold_starts, errors, .. } = bench.status();
    assert_eq!((processes, busy, invocations, cold_starts, errors), (1, 0, 2, 1, 0));
    bench.wait_until("its log", |bench| bench.log() == "working 1\nworking 2\n");
}

#[test]
fn node_functions_may_be_modules_promises_or_callbacks() {
    let cases = [
        ("index.mjs", "export const handler = async (event) => ({ said: event.say });"),
        ("index.js", "exports.handler = async (event) => ({ said: event.say });"),
        (
            "index.cjs",
            "exports.handler = (event, context, done) => setTimeout(() => done(null, { said: event.say }), 1);",
        ),
    ];
    for (file, code) in cases {
        let bench = Bench::new();
        bench.declare(bench.spec(Runtime::Node, file, code));
        let outcome = bench.invoke(json!({"say": "moon"})).expect("an outcome");
        assert_eq!(whole(&outcome), json!({"said": "moon"}), "{file}: {outcome:?}\n{}", bench.log());
    }
}

#[test]
fn what_a_function_raises_is_its_outcome_and_it_goes_on() {
    let bench = Bench::new();
    bench.declare(bench.python("def handler(event, context):\n    return 1 / event['by']\n"));
    let failed = bench.invoke(json!({"by": 0})).expect("an outcome");
    assert_eq!(failed.error, Some(FunctionError::Failed { error_type: "ZeroDivisionError".into() }));
    let document = whole(&failed);
    assert_eq!(
        (&document["errorType"], &document["errorMessage"]),
        (&json!("ZeroDivisionError"), &json!("division by zero"))
    );
    assert_eq!(whole(&bench.invoke(json!({"by": 2})).expect("an outcome")), json!(0.5));
    assert_eq!(bench.status().processes, 1);
}

#[test]
fn code_that_cannot_be_loaded_fails_the_event_and_not_for_ever() {
    let bench = Bench::new();
    bench.declare(bench.python("def handler(event, context:\n"));
    for _ in 0..2 {
        let outcome = bench.invoke(json!({})).expect("an outcome");
        assert_eq!(outcome.error, Some(FunctionError::Failed { error_type: "SyntaxError".into() }), "{outcome:?}");
        assert_eq!(whole(&outcome)["errorType"], "SyntaxError");
    }
    bench.declare(Spec {
        version: "2".to_owned(),
        ..bench.python("def handler(event, context):\n    return 'mended'\n")
    });
    assert_eq!(whole(&bench.invoke(json!({})).expect("an outcome")), json!("mended"));
}

#[test]
fn a_command_that_does_not_exist_is_said_so() {
    let bench = Bench::new();
    bench.declare(bench.spec(Runtime::Command(vec!["/no/such/program".to_owned()]), "x", ""));
    let outcome = bench.invoke(json!({})).expect("an outcome");
    assert!(matches!(outcome.error, Some(FunctionError::NotStarted(_))), "{outcome:?}");
    assert!(whole(&outcome)["errorMessage"].as_str().is_some_and(|text| text.contains("No such file")), "{outcome:?}");
}

#[test]
fn a_function_that_hangs_is_ended_at_its_timeout_with_all_it_started() {
    let bench = Bench::new();
    let code = "import subprocess, time\ndef handler(event, context):\n    child = subprocess.Popen(['sleep', '1000'])\n    \
                print(child.pid, flush=True)\n    time.sleep(1000)\n";
    bench.declare(Spec { timeout: Duration::from_millis(700), ..bench.python(code) });
    let outcome = bench.invoke(json!({})).expect("an outcome");
    assert_eq!(outcome.error, Some(FunctionError::TimedOut { timeout: Duration::from_millis(700) }));
    assert_eq!(whole(&outcome)["errorMessage"], "RequestId: id-1 Task timed out after 0.70 seconds");
    let child: u64 = bench.log().trim().parse().expect("the child's id");
    bench.wait_until("its child to be gone", |_| !has_process(child));
    assert_eq!(bench.status().timeouts, 1);
}

#[test]
fn a_process_that_exits_is_replaced() {
    let bench = Bench::new();
    bench.declare(bench.python(
        "import os\ndef handler(event, context):\n    if event.get('exit'): os._exit(3)\n    return os.getpid()\n",
    ));
    let before = whole(&bench.invoke(json!({})).expect("an outcome"));
    let outcome = bench.invoke(json!({"exit": true})).expect("an outcome");
    assert_eq!(outcome.error, Some(FunctionError::Exited("exit status: 3".into())));
    assert_eq!(whole(&outcome)["errorMessage"], "RequestId: id-1 Error: Runtime exited with error: exit status: 3");
    let after = whole(&bench.invoke(json!({})).expect("an outcome"));
    assert_ne!(before, after);
}

#[test]
fn a_function_that_takes_too_much_memory_is_ended() {
    let bench = Bench::new();
    let code = "def handler(event, context):\n    hoard = []\n    while True: hoard.append(bytearray(1 << 20))\n";
    bench.declare(Spec { memory_bytes_max: 64 << 20, ..bench.python(code) });
    let outcome = bench.invoke(json!({})).expect("an outcome");
    assert_eq!(outcome.error, Some(FunctionError::OutOfMemory { bytes_max: 64 << 20 }));
    bench.wait_until("its end", |bench| bench.status().processes == 0);
}

#[test]
fn a_hundred_megabytes_of_output_are_read_and_not_kept() {
    let bench = Bench::new();
    let code = "import sys\ndef handler(event, context):\n    line = 'x' * 1023 + '\\n'\n    \
                for _ in range(100): sys.stdout.write(line * 1024)\n    sys.stdout.write('y' * (1 << 20))\n    return 'done'\n";
    bench.declare(bench.python(code));
    assert_eq!(whole(&bench.invoke(json!({})).expect("an outcome")), json!("done"));
    assert!(bench.log().len() < 1 << 20, "{}", bench.log().len());
}

#[test]
fn a_result_larger_than_a_result_may_be_is_refused() {
    let bench = Bench::new();
    bench.declare(bench.python("def handler(event, context):\n    return 'x' * event['bytes']\n"));
    let outcome = bench.invoke(json!({"bytes": 7 << 20})).expect("an outcome");
    assert!(matches!(outcome.error, Some(FunctionError::TooLarge { .. })), "{:?}", outcome.error);
    assert_eq!(whole(&bench.invoke(json!({"bytes": 3})).expect("an outcome")), json!("xxx"));
}

/// A client of the Runtime API that does what no client should.
const RUDE: &str = r#"#!/usr/bin/env python3
import http.client, os, sys, time
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None, headers={}):
    api.request(method, "/2018-06-01/runtime/" + path, body, headers)
    answer = api.getresponse()
    return answer.status, answer.headers, answer.read()
if WAITS:
    time.sleep(1000)
while True:
    _, headers, event = call("GET", "invocation/next")
    id = headers["Lambda-Runtime-Aws-Request-Id"]
    print(call("GET", "invocation/next")[0])
    print(call("POST", "invocation/other/response", "1")[0])
    print(call("POST", "invocation/" + id + "/response", event)[0])
    print(call("POST", "invocation/" + id + "/response", "2")[0])
    print(call("POST", "invocation/" + id + "/error", "{}")[0])
    print(call("GET", "../../etc/passwd")[0], flush=True)
"#;

#[test]
fn a_client_that_breaks_the_rules_is_told_so_and_harms_nobody() {
    let bench = Bench::new();
    bench.declare(bench.spec(Runtime::Provided, "bootstrap", &RUDE.replace("WAITS", "False")));
    for number in 0..2 {
        let outcome = bench.invoke(json!({"number": number})).expect("an outcome");
        assert_eq!(whole(&outcome), json!({"number": number}));
    }
    bench.wait_until("its log", |bench| bench.log() == "403\n400\n202\n400\n400\n404\n".repeat(2));
}

#[test]
fn a_process_that_never_asks_for_an_event_is_given_up() {
    let bench = Bench::new();
    let spec = bench.spec(Runtime::Provided, "bootstrap", &RUDE.replace("WAITS", "True"));
    bench.declare(Spec { start_timeout: Duration::from_secs(1), ..spec });
    let refused = bench.invoke_within(json!({}), Duration::from_millis(500));
    assert_eq!(refused.err(), Some(InvokeError::Overloaded), "nobody waits longer than they wish to");
    bench.wait_until("its end", |bench| bench.status().processes == 0);
}

#[test]
fn no_more_processes_run_than_may_and_the_others_wait() {
    let bench = Bench::new();
    let code = "import os, time\ndef handler(event, context):\n    time.sleep(0.02)\n    return os.getpid()\n";
    bench.declare(Spec { concurrency: NonZeroU32::new(3).expect("not zero"), ..bench.python(code) });
    let calls: Vec<_> = (0..40)
        .map(|number| {
            let functions = bench.functions.clone();
            bench.runtime.spawn(async move {
                let deadline = Instant::now() + Duration::from_secs(30);
                functions.invoke(&"f".into(), invocation(&json!({}), &format!("id-{number}")), deadline).await
            })
        })
        .collect();
    let mut processes: Vec<u64> = Vec::new();
    for call in calls {
        let outcome = bench.runtime.block_on(call).expect("a task").expect("an outcome");
        processes.push(whole(&outcome).as_u64().expect("a process id"));
    }
    processes.sort_unstable();
    processes.dedup();
    assert!(processes.len() <= 3, "{processes:?}");
    assert!(bench.status().processes <= 3);
}

#[test]
fn processes_that_nobody_needs_end() {
    let bench = Bench::new();
    let spec = bench.python("def handler(event, context):\n    return 1\n");
    bench.declare(Spec { idle: Duration::from_millis(100), ..spec });
    bench.invoke(json!({})).expect("an outcome");
    bench.wait_until("scaling to zero", |bench| bench.status().processes == 0);
    assert!(bench.invoke(json!({})).expect("an outcome").is_cold);
}

#[test]
fn a_new_version_takes_over_while_the_old_one_finishes() {
    let bench = Bench::new();
    let code = |version: &str| {
        format!("import time\ndef handler(event, context):\n    time.sleep(event['seconds'])\n    return '{version}'\n")
    };
    bench.declare(bench.python(&code("old")));
    assert_eq!(whole(&bench.invoke(json!({"seconds": 0})).expect("an outcome")), json!("old"));
    let functions = bench.functions.clone();
    let slow = bench.runtime.spawn(async move {
        functions
            .invoke(&"f".into(), invocation(&json!({"seconds": 1}), "slow"), Instant::now() + Duration::from_secs(30))
            .await
    });
    bench.wait_until("the slow one", |bench| bench.status().busy == 1);
    bench.declare(Spec { version: "2".to_owned(), ..bench.python(&code("new")) });
    assert_eq!(whole(&bench.invoke(json!({"seconds": 0})).expect("an outcome")), json!("new"));
    let slow = bench.runtime.block_on(slow).expect("a task").expect("an outcome");
    assert_eq!(whole(&slow), json!("old"));
}

#[test]
fn unknown_functions_are_unknown() {
    let bench = Bench::new();
    bench.runtime.block_on(bench.functions.replace(Vec::new()));
    assert_eq!(bench.invoke(json!({})).err(), Some(InvokeError::Unknown));
}

#[test]
fn a_streamed_result_comes_as_it_is_written() {
    let bench = Bench::new();
    let code = r#"#!/usr/bin/env python3
import http.client, os, socket
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
api = http.client.HTTPConnection(host, int(port))
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    answer = api.getresponse(); answer.read()
    id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
    out = socket.create_connection((host, int(port)))
    out.sendall(("POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
      "Lambda-Runtime-Function-Response-Mode: streaming\r\nTrailer: Lambda-Runtime-Function-Error-Type\r\n"
      "Content-Type: application/vnd.awslambda.http-integration-response\r\n\r\n" % id).encode())
    def chunk(data): out.sendall(b"%x\r\n%s\r\n" % (len(data), data))
    chunk(b'{"statusCode":201}'); chunk(b"\0" * 8 + b"one"); chunk(b"two")
    out.sendall(b"0\r\nLambda-Runtime-Function-Error-Type: Late\r\n\r\n"); out.recv(1000); out.close()
"#;
    bench.declare(bench.spec(Runtime::Provided, "bootstrap", code));
    let outcome = bench.invoke(json!({})).expect("an outcome");
    let ResultBody::Stream { prelude, mut pieces } = outcome.body else { panic!("not a stream: {outcome:?}") };
    assert_eq!(prelude.as_deref(), Some(&br#"{"statusCode":201}"#[..]));
    let received = bench.runtime.block_on(async move {
        let mut received = Vec::new();
        while let Some(piece) = pieces.next().await {
            received.push(piece);
        }
        received
    });
    let text: Vec<u8> = received.iter().flatten().flatten().copied().collect();
    assert_eq!(text, b"onetwo");
    assert_eq!(received.last(), Some(&Err(FunctionError::Failed { error_type: "Late".into() })));
    assert_eq!(bench.status().errors, 1);
}

#[test]
fn the_runtime_client_of_aws_runs_unmodified() {
    // Installed by the test command where the package registry can be reached.
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/awslambdaric/bin/python3");
    if !Path::new(python).exists() {
        eprintln!("skipped: awslambdaric is not installed in target/awslambdaric");
        return;
    }
    let bench = Bench::new();
    let command = [python, "-m", "awslambdaric", "{handler}"].map(str::to_owned).to_vec();
    let code = "def handler(event, context):\n    return {'id': context.aws_request_id, 'event': event}\n";
    bench.declare(bench.spec(Runtime::Command(command), "index.py", code));
    let outcome = bench.invoke(json!({"a": [1, "ü"]})).expect("an outcome");
    assert_eq!(whole(&outcome), json!({"id": "id-1", "event": {"a": [1, "ü"]}}), "{}", bench.log());
    bench.declare(Spec {
        handler: "index.none".to_owned(),
        ..bench.spec(
            Runtime::Command([python, "-m", "awslambdaric", "{handler}"].map(str::to_owned).to_vec()),
            "index.py",
            code,
        )
    });
    let outcome = bench.invoke(json!({})).expect("an outcome");
    assert_eq!(whole(&outcome)["errorType"], "Runtime.HandlerNotFound", "{outcome:?}");
}
