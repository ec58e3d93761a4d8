"""The certificate for SIP over TLS: the administrator's, or a self-signed one made at the first start."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sent.app.settings import Settings
from sent.kit.errors import BadInput
from sent.transport.addresses import is_wildcard
from sent.transport.settings import server_tls_context

_SELF_SIGNED_DAYS = 825
"""The longest that Apple's clients accept for a certificate that was installed by hand."""


@dataclass(frozen=True, slots=True)
class Certificate:
    chain: Path
    key: Path
    self_signed: bool


def ensure_certificate(settings: Settings, now: datetime) -> Certificate:
    """The certificate to serve with. Makes one under the data folder when none was given or it runs out in 30 days."""
    if settings.tls_cert is not None and settings.tls_key is not None:
        for file in (settings.tls_cert, settings.tls_key):
            if not file.is_file():
                raise BadInput("tls.no_file", f"There is no file {file}. Correct SENT_TLS_CERT or SENT_TLS_KEY.")
        return Certificate(settings.tls_cert, settings.tls_key, self_signed=False)
    folder = settings.data_dir / "tls"
    made = Certificate(folder / "certificate.pem", folder / "key.pem", self_signed=True)
    if not made.chain.is_file() or not made.key.is_file() or expires_at(made.chain) < now + timedelta(days=30):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_self_signed(made, _names(settings), now)
    return made


def expires_at(chain: Path) -> datetime:
    """When the first certificate of ``chain`` runs out."""
    from cryptography import x509

    return x509.load_pem_x509_certificate(chain.read_bytes()).not_valid_after_utc


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """TLS 1.2 or newer. Raises `BadInput` when chain and key do not fit."""
    try:
        return server_tls_context(str(certificate.chain), str(certificate.key))
    except (ssl.SSLError, OSError) as error:
        raise BadInput(
            "tls.unusable",
            f"The certificate {certificate.chain} and key {certificate.key} cannot be used together: {error}.",
        ) from error


def _names(settings: Settings) -> list[str]:
    names = [socket.gethostname(), "localhost", "127.0.0.1", "::1"]
    names += [address for address in (settings.bind, settings.advertise) if address]
    return list(dict.fromkeys(name for name in names if not is_wildcard(name)))


def _make_self_signed(target: Certificate, names: list[str], now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    alternatives: list[x509.GeneralName] = []
    for name in names:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - timedelta(hours=1))
        .not_valid_after(now.astimezone(UTC) + timedelta(days=_SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(target.key, pem, 0o600)
    _write(target.chain, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(file: Path, content: bytes, mode: int) -> None:
    temporary = file.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        os.fsync(descriptor)
    temporary.replace(file)
