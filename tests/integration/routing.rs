//! Which route, stage and API a request reaches.

use moongate_tests::{Answer, Gateway, Response, Upstream};

/// An upstream that answers with the target it was asked for: routes lead to targets that name them.
fn naming() -> Upstream {
    Upstream::recording(|request| Answer::text(request.target.clone()))
}

fn route(key: &str, upstream: &Upstream, name: &str) -> String {
    format!("  - match: {key}\n    integration: {{ type: http_proxy, uri: \"{}/{name}\" }}\n", upstream.url())
}

/// The name of the route that answered, or the status where none did.
fn taken(response: &Response) -> String {
    match response.status {
        200 => response.text().trim_start_matches('/').to_owned(),
        status => status.to_string(),
    }
}

#[test]
fn the_most_specific_route_answers_whatever_the_order_of_declaration() {
    let upstream = naming();
    let keys = [
        ("$default", "default"),
        ("GET /files/{path+}", "file"),
        ("GET /files/{folder}/index", "index"),
        ("ANY /pets/{id}/toys", "toys-any"),
        ("POST /pets/{id}/toys", "toys-post"),
        ("GET /pets/{id}", "one"),
        ("GET /pets/mine", "mine"),
        ("GET /pets", "list"),
        ("ANY /pets/{rest+}", "rest"),
    ];
    let routes: String = keys.iter().map(|(key, name)| route(key, &upstream, name)).collect();
    let gateway = Gateway::with_api(&format!("api: shop\nroutes:\n{routes}"));
    let cases = [
        ("GET", "/shop/pets", "list"),
        ("GET", "/shop/pets/", "list"),
        ("GET", "/shop//pets", "list"),
        ("GET", "/shop/x/../pets", "list"),
        ("GET", "/shop/%70ets", "list"),
        ("GET", "/shop/pets/7", "one"),
        ("GET", "/shop/pets/a%2Fb", "one"),
        ("GET", "/shop/pets/mine", "mine"),
        ("GET", "/shop/pets/Mine", "one"),
        ("POST", "/shop/pets/7/toys", "toys-post"),
        ("DELETE", "/shop/pets/7/toys", "toys-any"),
        ("PATCH", "/shop/pets/7", "rest"),
        ("GET", "/shop/pets/7/8/9", "rest"),
        ("GET", "/shop/files/a/b", "file"),
        ("GET", "/shop/files/a/index", "index"),
        ("GET", "/shop/files", "default"),
        ("GET", "/shop/", "default"),
        ("GET", "/shop", "default"),
    ];
    for (method, target, want) in cases {
        assert_eq!(taken(&gateway.request(method, target, &[], b"")), want, "{method} {target}");
    }
}

#[test]
fn unknown_paths_and_methods_are_told_apart() {
    let upstream = naming();
    let routes = route("GET /pets", &upstream, "list") + &route("PUT /pets", &upstream, "put");
    let gateway = Gateway::with_api(&format!("api: shop\nroutes:\n{routes}"));
    for target in ["/shop/cats", "/shop/pets/7", "/shop", "/other/pets", "/", "/shopping/pets"] {
        let response = gateway.get(target).expect_status(404);
        assert_eq!(response.json()["error"], "no_route", "{target}");
        assert_eq!(response.json()["request_id"].as_str(), response.header("x-request-id"), "{target}");
    }
    let response = gateway.request("DELETE", "/shop/pets", &[], b"").expect_status(405);
    assert_eq!(response.json()["error"], "method_not_allowed");
    let allow = response.header("allow").expect("RFC 9110 section 15.5.6 demands it");
    assert!(allow.contains("GET") && allow.contains("PUT") && !allow.contains("DELETE"), "{allow}");
    assert!(upstream.requests().is_empty());
}

#[test]
fn aws_habits_answer_403_for_both() {
    let upstream = naming();
    let gateway = Gateway::with_api(&format!(
        "api: shop\nprotocol: rest\ncompat: aws\nroutes:\n{}",
        route("GET /pets", &upstream, "list")
    ));
    for (method, target) in [("GET", "/shop/cats"), ("DELETE", "/shop/pets")] {
        let response = gateway.request(method, target, &[], b"").expect_status(403);
        assert_eq!(response.json()["message"], "Missing Authentication Token", "{method} {target}");
        assert_eq!(response.header("x-amzn-errortype"), Some("MissingAuthenticationTokenException"));
    }
}

#[test]
fn a_head_request_is_answered_by_the_get_route() {
    let upstream = naming();
    let gateway = Gateway::with_api(&format!("api: shop\nroutes:\n{}", route("GET /pets", &upstream, "list")));
    let response = gateway.request("HEAD", "/shop/pets", &[], b"").expect_status(200);
    assert_eq!(response.header("content-length"), Some("5"));
    assert_eq!(upstream.only_request().method, "HEAD");
}

#[test]
fn stages_and_domains_lead_to_their_apis() {
    let upstream = naming();
    let url = upstream.url();
    let shop = format!(
        "api: shop
routes:
  - match: ANY /{{path+}}
    integration: {{ type: http_proxy, uri: \"{url}/${{stageVariables.where}}\" }}
stages:
  - {{ name: dev, variables: {{ where: shop-dev }} }}
  - {{ name: prod, variables: {{ where: shop-prod }} }}
default_stage: prod
"
    );
    let plain = format!("api: plain\nroutes:\n{}", route("ANY /{path+}", &upstream, "plain"));
    let domain = "domain: api.example.com
mappings:
  - { base_path: /shop, api: shop, stage: dev }
  - { base_path: /shop/v2, api: shop }
  - { api: plain }
";
    let wildcard = "domain: \"*.example.org\"\nmappings:\n  - { api: plain }\n";
    let gateway = Gateway::builder()
        .file("apis/shop.yaml", &shop)
        .file("apis/plain.yaml", &plain)
        .file("apis/domain.yaml", domain)
        .file("apis/wildcard.yaml", wildcard)
        .start();
    let cases = [
        ("127.0.0.1", "/shop/x", "shop-prod"),
        ("localhost:8080", "/plain/x", "plain"),
        ("shop.execute-api.localhost", "/dev/x", "shop-dev"),
        ("shop.execute-api.localhost:8080", "/prod/x", "shop-prod"),
        ("SHOP.Execute-API.localhost", "/prod/x", "shop-prod"),
        ("shop.execute-api.localhost", "/test/x", "404"),
        ("plain.execute-api.localhost", "/x", "plain"),
        ("nobody.execute-api.localhost", "/x", "404"),
        ("api.example.com", "/shop/x", "shop-dev"),
        ("API.example.com:443", "/shop/v2/x", "shop-prod"),
        ("api.example.com", "/shop/v3/x", "shop-dev"),
        ("api.example.com", "/shopping/x", "plain"),
        ("a.example.org", "/x", "plain"),
        ("a.b.example.org", "/x", "404"),
    ];
    for (host, target, want) in cases {
        assert_eq!(taken(&gateway.request("GET", target, &[("Host", host)], b"")), want, "{host} {target}");
    }
}

#[test]
fn http2_requests_are_routed_alike() {
    let upstream = naming();
    let gateway = Gateway::with_api(&format!("api: shop\nroutes:\n{}", route("GET /pets/{id}", &upstream, "one")));
    let mut client = gateway.http2();
    assert_eq!(taken(&client.request("GET", "/shop/pets/7", &[], b"")), "one");
    assert_eq!(taken(&client.request("GET", "/shop/cats", &[], b"")), "404");
    assert_eq!(client.request("GET", "/shop/pets/7", &[], b"").version, "HTTP/2.0");
}

#[test]
fn every_answer_carries_a_request_id_of_its_own() {
    let upstream = naming();
    let gateway = Gateway::with_api(&format!("api: shop\nroutes:\n{}", route("GET /pets", &upstream, "list")));
    let mut seen = std::collections::HashSet::new();
    for target in ["/shop/pets", "/shop/pets", "/shop/none", "/none"] {
        let response = gateway.get(target);
        let id = response.header("x-request-id").expect("every response carries one").to_owned();
        assert!(seen.insert(id.clone()), "{id} was given twice");
        let event = gateway.wait_for_event("the request's line", |event| event["request_id"] == id.as_str());
        assert_eq!((event["event"].as_str(), event["path"].as_str()), (Some("request"), Some(target)));
        assert_eq!(event["status"], response.status);
    }
    let sent: Vec<String> =
        upstream.requests().iter().filter_map(|request| request.header("x-request-id").map(str::to_owned)).collect();
    assert!(sent.len() == 2 && sent.iter().all(|id| seen.contains(id)), "{sent:?}");
}
