//! Parameters, bodies and models.

use serde_json::{Value, json};

use super::super::codes;
use super::super::testing::{import, import_clean};

const DRAFT_04: &str = "http://json-schema.org/draft-04/schema#";
const DRAFT_2020: &str = "https://json-schema.org/draft/2020-12/schema";

fn document(version: &str, path: &str, rest: &str) -> String {
    format!("{version}\ninfo: {{title: a}}\nx-moongate-upstream: http://h\npaths:\n  /a:\n{path}\n{rest}\n")
}

fn codes_of(document: &str) -> Vec<&'static str> {
    import(document).1.iter().map(|issue| issue.code).collect()
}

#[test]
fn parameters_of_path_and_operation_merge() {
    let native = import_clean(&document(
        "openapi: 3.0.0",
        "    parameters:
    - {name: id, in: path, required: true}
    - {name: q, in: query, required: true}
    - {name: page, in: query}
    get:
      x-amazon-apigateway-request-validator: own
      parameters:
      - {name: q, in: query}
      - $ref: '#/components/parameters/trace'
      - {name: session, in: cookie, required: true}
    put: {}",
        "x-amazon-apigateway-request-validator: all\ncomponents: {parameters: {trace: {name: X-Trace, in: header, required: true}}}",
    ));
    assert_eq!(
        native["routes"][0]["request_parameters"],
        json!({
            "method.request.path.id": true,
            "method.request.querystring.q": false,
            "method.request.querystring.page": false,
            "method.request.header.X-Trace": true,
        })
    );
    assert_eq!(native["routes"][0]["request_validator"], "own");
    assert_eq!(native["routes"][1]["request_parameters"]["method.request.querystring.q"], true);
    assert_eq!(native["routes"][1]["request_validator"], "all");
}

#[test]
fn broken_parameters_are_reported() {
    let cases = [
        ("{name: a}", codes::SHAPE),
        ("{name: a, in: body-ish}", codes::SHAPE),
        ("{in: query}", codes::SHAPE),
        ("{name: [], in: query}", codes::SHAPE),
        ("a", codes::SHAPE),
        ("{$ref: '#/components/parameters/none'}", codes::REF_MISSING),
        ("{$ref: 'common.yaml#/a'}", codes::REF_REMOTE),
    ];
    for (parameter, code) in cases {
        let text = document("openapi: 3.0.0", &format!("    get: {{parameters: [{parameter}]}}"), "");
        assert_eq!(codes_of(&text), [code], "{parameter}");
    }
}

#[test]
fn json_bodies_have_models() {
    let native = import_clean(&document(
        "openapi: 3.1.0",
        "    post:
      operationId: createOrder
      requestBody:
        content:
          application/json: {schema: {$ref: '#/components/schemas/Order'}}
          application/vnd.order+json: {schema: {type: object, required: [id]}}
          application/hal+json: {schema: {}}
          application/xml: {schema: {type: object}}
    put:
      requestBody: {$ref: '#/components/requestBodies/any'}",
        "components:
  schemas: {Order: {type: object, description: An order}}
  requestBodies: {any: {content: {application/json: {schema: {type: array}}}}}",
    ));
    assert_eq!(
        native["routes"][0]["request_models"],
        json!({"application/json": "Order", "application/vnd.order+json": "create-order-body"})
    );
    assert_eq!(native["routes"][1]["request_models"], json!({"application/json": "put-a-body"}));
    assert_eq!(
        native["models"],
        json!({
            "Order": {"description": "An order", "schema": {"$schema": DRAFT_2020, "type": "object", "description": "An order"}},
            "create-order-body": {"schema": {"$schema": DRAFT_2020, "type": "object", "required": ["id"]}},
            "put-a-body": {"schema": {"$schema": DRAFT_2020, "type": "array"}},
        })
    );
}

#[test]
fn swagger_bodies_are_parameters() {
    let native = import_clean(&document(
        "swagger: '2.0'",
        "    post:
      consumes: [application/json, application/xml, application/vnd.a+json, application/json]
      parameters: [{in: body, name: b, schema: {type: string}}, {in: formData, name: f}]
    put:
      parameters: [{in: body, name: b, schema: {$ref: '#/definitions/Order'}}]",
        "definitions: {Order: {type: object}}",
    ));
    assert_eq!(
        native["routes"][0]["request_models"],
        json!({"application/json": "post-a-body", "application/vnd.a+json": "post-a-body"})
    );
    assert_eq!(native["routes"][1]["request_models"], json!({"application/json": "Order"}));
    assert_eq!(native["models"]["Order"], json!({"schema": {"$schema": DRAFT_04, "type": "object"}}));
}

fn models(version: &str, schemas: &str) -> Value {
    import_clean(&document(version, "    get: {}", &format!("components:\n  schemas:\n{schemas}")))["models"].take()
}

#[test]
fn references_between_schemas_become_references_between_models() {
    let models = models(
        "openapi: 3.1.0",
        "    Tree:
      $schema: https://json-schema.org/draft/2019-09/schema
      properties:
        left: {$ref: '#/components/schemas/Tree'}
        $ref: {type: string}
        leaf: {allOf: [{$ref: '#/components/schemas/a leaf'}]}
        first: {$ref: '#/components/schemas/Tree/properties/leaf'}
        again: {$ref: '#/components/schemas/Tree/properties/leaf'}
        aws: {$ref: 'https://apigateway.amazonaws.com/restapis/abc/models/Tree'}
      enum: [{$ref: kept}]
    a leaf: {type: string}",
    );
    assert_eq!(
        models["Tree"]["schema"],
        json!({
            "$schema": "https://json-schema.org/draft/2019-09/schema",
            "properties": {
                "left": {"$ref": "#/models/Tree"},
                "$ref": {"type": "string"},
                "leaf": {"allOf": [{"$ref": "#/models/a_leaf"}]},
                "first": {"$ref": "#/models/components_schemas_Tree_properties_leaf"},
                "again": {"$ref": "#/models/components_schemas_Tree_properties_leaf"},
                "aws": {"$ref": "#/models/Tree"},
            },
            "enum": [{"$ref": "kept"}],
        })
    );
    assert_eq!(
        models["components_schemas_Tree_properties_leaf"]["schema"],
        json!({"$schema": DRAFT_2020, "allOf": [{"$ref": "#/models/a_leaf"}]})
    );
}

#[test]
fn nullable_types_admit_null() {
    let models = models(
        "openapi: 3.0.3",
        "    A: {properties: {a: {type: string, nullable: true}, b: {nullable: true}, c: {type: string, nullable: false}}}",
    );
    assert_eq!(
        models["A"]["schema"]["properties"],
        json!({"a": {"type": ["string", "null"]}, "b": {"nullable": true}, "c": {"type": "string", "nullable": false}})
    );
}

#[test]
fn schema_references_that_lead_nowhere_are_reported() {
    let cases = [
        ("'#/components/schemas/None'", codes::REF_MISSING),
        ("'order.json'", codes::REF_REMOTE),
        ("'https://apigateway.amazonaws.com/restapis/abc/models/None'", codes::REF_MISSING),
        ("[]", codes::SHAPE),
    ];
    for (reference, code) in cases {
        let schemas = format!("components: {{schemas: {{A: {{items: {{$ref: {reference}}}}}}}}}");
        assert_eq!(codes_of(&document("openapi: 3.0.0", "    get: {}", &schemas)), [code], "{reference}");
        let body =
            format!("    post: {{requestBody: {{content: {{application/json: {{schema: {{$ref: {reference}}}}}}}}}}}");
        assert_eq!(codes_of(&document("openapi: 3.0.0", &body, "")), [code], "{reference}");
    }
}
