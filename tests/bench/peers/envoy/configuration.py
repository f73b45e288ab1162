"""Envoy's bootstrap document: one listener, one cluster, and a scenario's filters."""

import pathlib

from harness.model import Json
from harness.peer import NotOffered, Stand
from peers.envoy.filters import FILTERS

TYPES = "type.googleapis.com/envoy"
EXTENSIONS = f"{TYPES}.extensions"
ENTRY = {
    "time": "%START_TIME%",
    "id": "%REQ(X-REQUEST-ID)%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "status": "%RESPONSE_CODE%",
    "bytes": "%BYTES_SENT%",
    "milliseconds": "%DURATION%",
    "agent": "%REQ(USER-AGENT)%",
}


def bootstrap(stand: Stand) -> Json:
    """The whole document. Raises NotOffered when there are no filters for a scenario."""
    filters = FILTERS.get(stand.scenario.name)
    if filters is None:
        raise NotOffered(f"it has no filters for {stand.scenario.name} without a service of its own beside it")
    router = {
        "name": "router",
        "typed_config": {"@type": f"{EXTENSIONS}.filters.http.router.v3.Router", "suppress_envoy_headers": True},
    }
    manager: dict[str, Json] = {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": routes(),
        "http_filters": [*filters(stand.values), router],
    }
    if stand.scenario.has_access_log:
        manager["access_log"] = [access_log(stand.directory)]
    chain: dict[str, Json] = {"filters": [{"name": "http", "typed_config": manager}]}
    if stand.scenario.is_tls:
        chain["transport_socket"] = transport_socket(str(stand.values["CERTIFICATE"]), str(stand.values["KEY"]))
    listener = {"name": "clients", "address": address(stand.port), "filter_chains": [chain]}
    upstream_port = int(str(stand.values["UPSTREAM_PORT"]))
    return {"static_resources": {"listeners": [listener], "clusters": [cluster(upstream_port)]}}


def address(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def routes() -> Json:
    route = {"match": {"prefix": "/bench/"}, "route": {"cluster": "upstream", "prefix_rewrite": "/", "timeout": "0s"}}
    return {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}


def cluster(port: int) -> Json:
    endpoint = {"endpoint": {"address": address(port)}}
    most = {"max_connections": 16384, "max_pending_requests": 16384, "max_requests": 16384}
    return {
        "name": "upstream",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [endpoint]}]},
        "circuit_breakers": {"thresholds": [most]},
    }


def access_log(directory: pathlib.Path) -> Json:
    kind = f"{EXTENSIONS}.access_loggers.file.v3.FileAccessLog"
    return {
        "name": "file",
        "typed_config": {"@type": kind, "path": str(directory / "access.log"), "log_format": {"json_format": ENTRY}},
    }


def transport_socket(certificate: str, key: str) -> Json:
    pair = {"certificate_chain": {"filename": certificate}, "private_key": {"filename": key}}
    context = {
        "@type": f"{EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificates": [pair]},
    }
    return {"name": "tls", "typed_config": context}
