"""Keys, ids, signatures and certificates, as docs/protocol.md has them under "Channel" and "Bytes that are fixed"."""

import datetime
import hashlib
import os

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

MAIN_ID_WORK_BITS = 16


def raw_key(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def node_id(public_key: bytes, nonce: bytes) -> bytes:
    return hashlib.sha256(public_key + nonce).digest()[:20]


def id_work(public_key: bytes, nonce: bytes) -> int:
    """Leading zero bits that the network `main` asks 16 of."""
    digest = hashlib.sha256(b"manyhands.v1.id-work" + public_key + nonce).digest()
    return 256 - int.from_bytes(digest, "big").bit_length()


def verify(public_key: bytes, tag: str, content: bytes, signature: bytes) -> bool:
    try:
        covered = b"manyhands.v1." + tag.encode() + b"\0" + content
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, covered)
        return True
    except (InvalidSignature, ValueError):
        return False


class Network:
    """A network is a name and an optional secret; everybody in it can derive the key of its CA."""

    def __init__(self, name: str, secret: str = ""):
        self.name = name
        self.id_work_bits = MAIN_ID_WORK_BITS if name == "main" and not secret else 0
        seed = hashlib.scrypt(
            secret.encode(), salt=f"manyhands|{name}".encode(), n=2**15, r=8, p=1, maxmem=64 * 2**20, dklen=32
        )
        self.ca_key = Ed25519PrivateKey.from_private_bytes(seed)
        self.ca_name = "manyhands " + hashlib.sha256(raw_key(self.ca_key)).hexdigest()[:16]
        self.ca_pem = _certificate(self.ca_key, self.ca_name, self.ca_key, self.ca_name, None)


class Identity:
    """A key with the nonce that makes its id, kept in a file of 40 bytes."""

    def __init__(self, network: Network, file: str):
        stored = b""
        if os.path.exists(file):
            with open(file, "rb") as opened:
                stored = opened.read()
        if len(stored) != 40:
            key = Ed25519PrivateKey.generate()
            seed = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
            nonce = os.urandom(8)
            while id_work(raw_key(key), nonce) < network.id_work_bits:
                nonce = os.urandom(8)
            stored = seed + nonce
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
                opened.write(stored)
        self.key = Ed25519PrivateKey.from_private_bytes(stored[:32])
        self.nonce = stored[32:]
        self.public_key = raw_key(self.key)
        self.node_id = node_id(self.public_key, self.nonce)
        self.key_pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.certificate_pem = _certificate(
            self.key, self.nonce.hex(), network.ca_key, network.ca_name, self.node_id.hex()
        )

    def sign(self, tag: str, content: bytes) -> bytes:
        return self.key.sign(b"manyhands.v1." + tag.encode() + b"\0" + content)


def peer_of(der: bytes, network: Network) -> bytes:
    """Node id of whoever holds a certificate: by its key and the nonce in its subject, whatever else it names."""
    certificate = x509.load_der_x509_certificate(der)
    key = certificate.public_key()
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("the key of the peer is not an Ed25519 key")
    public_key = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    nonce = bytes.fromhex(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    if len(nonce) != 8 or id_work(public_key, nonce) < network.id_work_bits:
        raise ValueError("the id of the peer is not one of this network")
    return node_id(public_key, nonce)


def _certificate(key: Ed25519PrivateKey, name: str, issuer_key: Ed25519PrivateKey, issuer: str, alternative) -> bytes:
    def common_name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name(name))
        .issuer_name(common_name(issuer))
        .public_key(key.public_key())
        .serial_number(1 if alternative is None else x509.random_serial_number())
        .not_valid_before(datetime.datetime(2020, 1, 1))
        .not_valid_after(datetime.datetime(9999, 12, 31, 23, 59, 59))
        .add_extension(x509.BasicConstraints(ca=alternative is None, path_length=None), critical=True)
    )
    if alternative is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(alternative)]), critical=False)
    return builder.sign(issuer_key, None).public_bytes(Encoding.PEM)
