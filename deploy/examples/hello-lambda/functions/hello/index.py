import json


def handler(event, context):
    print("request", context.aws_request_id)
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"message": "Hello from Lambda!"}),
    }
