"""Message classes of manyhands.v1, made from the .proto files when this program starts.

Needs protoc 3.12 or newer (Debian: protobuf-compiler; grpc_tools of PyPI has one inside, that of Debian 12 is too old), or a
descriptor set that was made elsewhere, named by MANYHANDS_DESCRIPTORS:

    protoc -I proto --include_imports -o manyhands.desc proto/manyhands/v1/*.proto
"""

import glob
import os
import shutil
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "proto")


def descriptor_set() -> bytes:
    """All .proto files as one FileDescriptorSet. Raises SystemExit with what to install."""
    ready = os.environ.get("MANYHANDS_DESCRIPTORS")
    if ready:
        with open(ready, "rb") as file:
            return file.read()
    files = sorted(glob.glob(os.path.join(PROTO, "manyhands", "v1", "*.proto")))
    protoc = shutil.which("protoc")
    # protoc before 3.15 wants to be told that `optional` is meant.
    compiler = [protoc] if protoc else [sys.executable, "-m", "grpc_tools.protoc"]
    if subprocess.run([*compiler, "--version"], capture_output=True).returncode != 0:
        raise SystemExit("protoc is missing: apt-get install protobuf-compiler, or set MANYHANDS_DESCRIPTORS")
    compiler.append("--experimental_allow_proto3_optional")
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "manyhands.desc")
        subprocess.run([*compiler, "-I", PROTO, "--include_imports", "-o", target, *files], check=True)
        with open(target, "rb") as file:
            return file.read()


class Messages:
    """Message classes by their name in manyhands.v1: `messages.JobSpec`."""

    def __init__(self, encoded: bytes):
        self._pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(encoded).file:
            self._pool.Add(file)
        self._factory = message_factory.MessageFactory(self._pool)

    def __getattr__(self, name: str):
        found = self._pool.FindMessageTypeByName("manyhands.v1." + name)
        made = (
            message_factory.GetMessageClass(found)
            if hasattr(message_factory, "GetMessageClass")
            else self._factory.GetPrototype(found)
        )
        setattr(self, name, made)
        return made


messages = Messages(descriptor_set())
