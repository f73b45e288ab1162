// Runs a Lambda handler in JavaScript: `async (event, context)`, a promise or a callback; ES modules and CommonJS.
//
// Source: AWS, "Using the Lambda runtime API for custom runtimes", version 2018-06-01.
import http from "node:http";
import path from "node:path";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const env = process.env;
const [host, port] = env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const root = env.LAMBDA_TASK_ROOT;
const handlerName = process.argv[1] === "--" ? process.argv[2] : process.argv[1];

function call(method, suffix, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const options = { host, port, agent, method, path: "/2018-06-01/runtime/" + suffix, headers };
    if (body !== undefined) {
      body = Buffer.from(body);
      options.headers = { ...headers, "Content-Length": body.length };
    }
    const request = http.request(options, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(parts).toString() }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

function report(suffix, error, requestId = "") {
  const errorType = (error && error.name) || typeof error;
  const errorMessage = error && error.message !== undefined ? String(error.message) : String(error);
  const trace = error && error.stack ? error.stack.split("\n") : [];
  console.error("Invoke Error", JSON.stringify({ errorType, errorMessage, trace }));
  const document = JSON.stringify({ errorType, errorMessage, requestId, trace });
  return call("POST", suffix, document, { "Lambda-Runtime-Function-Error-Type": errorType });
}

async function load() {
  const dot = handlerName.lastIndexOf(".");
  if (dot < 1) {
    throw new Error(`Bad handler '${handlerName}': it is written \`module.function\``);
  }
  const file = path.resolve(root, handlerName.slice(0, dot));
  const found = [".mjs", ".js", ".cjs", ""].map((ending) => file + ending).find((name) => existsSync(name));
  if (!found) {
    throw Object.assign(new Error(`Cannot find module '${handlerName.slice(0, dot)}'`), { name: "Runtime.ImportModuleError" });
  }
  let module;
  try {
    module = found.endsWith(".mjs") ? await import(pathToFileURL(found)) : createRequire(found)(found);
  } catch (error) {
    if (error.code !== "ERR_REQUIRE_ESM") throw error;
    module = await import(pathToFileURL(found));
  }
  const name = handlerName.slice(dot + 1);
  const handler = module[name] ?? (module.default && module.default[name]);
  if (typeof handler !== "function") {
    throw Object.assign(new Error(`${handlerName} is undefined or not exported`), { name: "Runtime.HandlerNotFound" });
  }
  return handler;
}

function run(handler, event, context) {
  return new Promise((resolve, reject) => {
    const done = (error, result) => (error ? reject(error) : resolve(result));
    const returned = handler(event, context, done);
    if (returned && typeof returned.then === "function") {
      returned.then(resolve, reject);
    } else if (handler.length < 3) {
      resolve(returned);
    }
  });
}

let handler;
try {
  handler = await load();
} catch (error) {
  await report("init/error", error);
  process.exit(1);
}
for (;;) {
  const next = await call("GET", "invocation/next");
  const requestId = next.headers["lambda-runtime-aws-request-id"];
  const deadline = Number(next.headers["lambda-runtime-deadline-ms"]);
  if (next.headers["lambda-runtime-trace-id"]) {
    env._X_AMZN_TRACE_ID = next.headers["lambda-runtime-trace-id"];
  }
  const context = {
    awsRequestId: requestId,
    callbackWaitsForEmptyEventLoop: true,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    invokedFunctionArn: next.headers["lambda-runtime-invoked-function-arn"],
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
  try {
    const result = await run(handler, JSON.parse(next.body), context);
    const body = JSON.stringify(result === undefined ? null : result);
    await call("POST", `invocation/${requestId}/response`, body, { "Content-Type": "application/json" });
  } catch (error) {
    await report(`invocation/${requestId}/error`, error, requestId);
  }
}
