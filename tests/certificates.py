"""Certificates as Strimzi writes them, of an authority that ends with the test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


@dataclass
class Authority:
    """One authority, and what it issues."""

    ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def certificate(self) -> str:
        """Its own, ca.crt."""
        return self.ca.cert_pem.bytes().decode()

    def user(self, name: str) -> Mapping[str, str]:
        """A client's files by their names."""
        leaf = self.ca.issue_cert(f"{name}@example.com", common_name=name)
        chain = "".join(part.bytes().decode() for part in leaf.cert_chain_pems)
        return {"user.crt": chain, "user.key": leaf.private_key_pem.bytes().decode()}

    def broker(self, *hosts: str) -> str:
        """A broker's key and certificate in one, for the names that it is reached by."""
        leaf = self.ca.issue_cert(*hosts, common_name="broker")
        key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
        plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return (plain + b"".join(part.bytes() for part in leaf.cert_chain_pems)).decode()

    def write(self, folder: Path, *users: str, host: str = "127.0.0.1") -> None:
        """All of it as files, a folder for each user and the broker's in the first."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca.crt").write_text(self.certificate)
        (folder / "broker.pem").write_text(self.broker(host))
        for user in users:
            (folder / user).mkdir()
            for name, text in self.user(user).items():
                (folder / user / name).write_text(text)
