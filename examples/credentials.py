"""Certificates, and keys for tokens, for a server that asks who calls."""

from pathlib import Path

import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


def make(directory: Path) -> None:
    """Writes PEM files: an authority, a server, a client, and a pair of keys for tokens.

    The server is called `holdfast.internal`, the client `shop.internal`, and `roles.toml`
    lets that client confirm.
    """
    directory.mkdir(exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    for name in ("holdfast", "shop"):
        certificate = authority.issue_cert(f"{name}.internal")
        certificate.private_key_pem.write_to_path(str(directory / f"{name}.key"))
        chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
        (directory / f"{name}.pem").write_bytes(chain)
    (directory / "roles.toml").write_text('"shop.internal" = "confirmer"\n')
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "tokens.key").write_bytes(private)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (directory / "tokens.pem").write_bytes(public)
