"""Runs a Lambda handler in Python: AWS's own runtime client where it is installed, else this one.

Source: AWS, "Using the Lambda runtime API for custom runtimes", version 2018-06-01.
"""
import os
import sys

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
HANDLER = sys.argv[1]
sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])

try:
    from awslambdaric.__main__ import main as client
except ImportError:
    client = None


def main():
    import http.client
    import importlib
    import json
    import time
    import traceback

    connection = http.client.HTTPConnection(API)

    def call(method, path, body=None, headers=()):
        connection.request(method, "/2018-06-01/runtime/" + path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.headers, response.read()

    def report(path, error, request_id=""):
        frames = traceback.format_tb(error.__traceback__)
        document = {
            "errorMessage": str(error),
            "errorType": type(error).__name__,
            "requestId": request_id,
            "stackTrace": frames,
        }
        print("[ERROR] %s: %s\n%s" % (type(error).__name__, error, "".join(frames)), flush=True)
        call("POST", path, json.dumps(document), {"Lambda-Runtime-Function-Error-Type": type(error).__name__})

    class Context:
        function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        identity = None
        client_context = None

        def __init__(self, headers):
            self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
            self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
            self._deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])
            if headers.get("Lambda-Runtime-Client-Context"):
                self.client_context = json.loads(headers["Lambda-Runtime-Client-Context"])

        def get_remaining_time_in_millis(self):
            return max(0, self._deadline_ms - int(time.time() * 1000))

    try:
        module, _, name = HANDLER.rpartition(".")
        if not module:
            raise ValueError("Bad handler '%s': it is written `module.function`" % HANDLER)
        handler = getattr(importlib.import_module(module.replace("/", ".")), name)
    except BaseException as error:
        report("init/error", error)
        sys.exit(1)

    while True:
        _, headers, event = call("GET", "invocation/next")
        request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        if headers.get("Lambda-Runtime-Trace-Id"):
            os.environ["_X_AMZN_TRACE_ID"] = headers["Lambda-Runtime-Trace-Id"]
        try:
            result = json.dumps(handler(json.loads(event), Context(headers)), ensure_ascii=False)
        except Exception as error:
            report("invocation/%s/error" % request_id, error, request_id)
            continue
        call("POST", "invocation/%s/response" % request_id, result.encode(), {"Content-Type": "application/json"})


if client:
    client(["awslambdaric", HANDLER])
else:
    main()
