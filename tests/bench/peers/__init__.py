"""The peers, one folder each with an adapter and its configurations. A new one is a folder and a line here."""

from harness.peer import Peer
from peers.envoy import Envoy
from peers.haproxy import HAProxy
from peers.moongate import Moongate
from peers.nginx import Nginx

PEERS: dict[str, Peer] = {peer.name: peer for peer in (Moongate(), Nginx(), HAProxy(), Envoy())}
