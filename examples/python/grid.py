"""Reaching peers: TLS channels, and the lookup of the peers nearest to a key (docs/protocol.md, "Channel")."""

import socket
import ssl
import tempfile
import time

import grpc

from identity import Identity, Network, node_id, peer_of, verify
from protos import messages

MESSAGE_BYTES_MAX = 2**20
CALL_S = 5
# Kademlia: contacts in an answer, peers that must have answered, requests of one lookup at most.
NEAREST = 20
ASKED_MIN = 8
REQUESTS_MAX = 40
SHOWN_CALLS = {
    # method: (request, reply, whether the reply is a stream)
    "Overlay/FindNode": ("FindNodeRequest", "FindNodeReply", False),
    "Jobs/Submit": ("SubmitRequest", "SubmitReply", False),
    "Jobs/Show": ("ShowRequest", "ShowReply", False),
    "Jobs/Watch": ("ShowRequest", "ShowReply", True),
    "Jobs/Results": ("ResultsRequest", "ResultsReply", True),
    "Jobs/Output": ("OutputRequest", "Chunk", True),
}


class Unreachable(Exception):
    pass


class Grid:
    def __init__(self, network: Network, identity: Identity, join: str):
        self.network = network
        self.identity = identity
        self._credentials = grpc.ssl_channel_credentials(
            network.ca_pem, identity.key_pem, identity.certificate_pem
        )
        self._channels = {}
        address = join.split("#")[0]
        self._seed = (bytes.fromhex(join.split("#")[1]) if "#" in join else self._probe(address), address)

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()

    def call(self, peer, method: str, request, seconds: float = CALL_S):
        """One call to `peer`, a pair of node id and address. Raises grpc.RpcError."""
        request_name, reply_name, is_stream = SHOWN_CALLS[method]
        channel = self._channel(peer)
        make = channel.unary_stream if is_stream else channel.unary_unary
        return make(
            "/manyhands.v1." + method,
            request_serializer=getattr(messages, request_name).SerializeToString,
            response_deserializer=getattr(messages, reply_name).FromString,
        )(request, timeout=seconds)

    def owners(self, key: bytes, count: int):
        """The `count` peers that may own, nearest to `key` (20 bytes), nearest first. Raises Unreachable when nobody answers."""
        known = {self._seed[0]: (self._seed[1], False)}
        asked, answered = set(), 0
        for _ in range(REQUESTS_MAX):
            nearest = sorted(known, key=lambda peer: distance(peer, key))[:NEAREST]
            waiting = [peer for peer in nearest if peer not in asked]
            if not waiting or (answered >= ASKED_MIN and waiting[0] not in nearest[:ASKED_MIN]):
                break
            peer = waiting[0]
            asked.add(peer)
            try:
                reply = self.call((peer, known[peer][0]), "Overlay/FindNode", messages.FindNodeRequest(target=key))
            except grpc.RpcError:
                known.pop(peer)
                continue
            answered += 1
            for signed in [*reply.contacts[:NEAREST], reply.contact]:
                contact = self._contact(signed)
                if contact is None:
                    continue
                found, address, eligible = contact
                if found not in asked or found == peer:
                    known[found] = (address, eligible)
        if answered == 0:
            raise Unreachable(f"nobody answers at {self._seed[1]}")
        able = [peer for peer in known if known[peer][1]]
        return [(peer, known[peer][0]) for peer in sorted(able, key=lambda peer: distance(peer, key))[:count]]

    def _contact(self, signed):
        """Id, address and eligibility by a contact record; None when it is not to be believed."""
        try:
            record = messages.ContactRecord.FromString(signed.bytes)
        except Exception:
            return None
        if len(record.public_key) != 32 or len(record.id_nonce) != 8 or not record.addresses:
            return None
        if record.expires_at_ms < time.time() * 1000 or record.protocol_min > 1 or record.protocol_max < 1:
            return None
        if not verify(record.public_key, "contact", signed.bytes, signed.signature):
            return None
        return node_id(record.public_key, record.id_nonce), record.addresses[0], record.eligible

    def _channel(self, peer):
        channel = self._channels.get(peer)
        if channel is None:
            # The certificate of a peer names its id; gRPC compares it with this. Whoever wants to can forge such a name, so
            # this finds wrong addresses, not liars: what counts are the signatures of the evidence.
            options = [
                ("grpc.ssl_target_name_override", peer[0].hex()),
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                ("grpc.enable_http_proxy", 0),
            ]
            channel = grpc.secure_channel(peer[1], self._credentials, options)
            self._channels[peer] = channel
        return channel

    def _probe(self, address: str) -> bytes:
        """Which node answers at an address of which no id is known: the key that it proves to hold in a handshake."""
        host, port = address.rsplit(":", 1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(cadata=self.network.ca_pem.decode())
        context.set_alpn_protocols(["h2"])
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.identity.certificate_pem + self.identity.key_pem)
            file.flush()
            context.load_cert_chain(file.name)
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CALL_S) as plain:
            with context.wrap_socket(plain) as secured:
                return peer_of(secured.getpeercert(binary_form=True), self.network)


def distance(a: bytes, b: bytes) -> int:
    return int.from_bytes(a, "big") ^ int.from_bytes(b, "big")
