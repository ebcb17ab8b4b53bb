"""Whom to trust: the system's authorities, a CA file, or one certificate pinned by its fingerprint."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from typing import TYPE_CHECKING

import certifi

from etl.errors import ConfigError

if TYPE_CHECKING:
    from etl.extract.endpoint import Endpoint

_SHA256_HEX_DIGITS = 64


class WrongCertificate(ssl.SSLError):
    """The handshake showed another certificate than the pinned one; `seen` is its fingerprint."""

    def __init__(self, seen: str) -> None:
        super().__init__(ssl.SSL_ERROR_SSL, "the certificate is not the pinned one")
        self.seen = seen


def fingerprint(der: bytes) -> str:
    """Give a certificate's fingerprint as the configuration writes it: `sha256:` and 64 hex digits."""
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def canonical_fingerprint(written: str) -> str:
    """Give a fingerprint's canonical form; colons, blanks, upper case and a missing prefix are fine.

    Raises `ConfigError` if it is no SHA-256.
    """
    digits = written.strip().lower().removeprefix("sha256:").replace(":", "").replace(" ", "")
    if len(digits) != _SHA256_HEX_DIGITS or set(digits) - set("0123456789abcdef"):
        raise ConfigError(f"tls_fingerprint {written!r} is not sha256: and 64 hexadecimal digits.")
    return f"sha256:{digits}"


def tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    """Make the TLS settings that the endpoint asks for; verification is never off.

    Raises `ConfigError` for a fingerprint that is none and for a CA file that cannot be read.
    """
    if endpoint.tls_fingerprint is not None:
        return pinning_context(canonical_fingerprint(endpoint.tls_fingerprint))
    if endpoint.ca_file is not None:
        return _ca_file_context(endpoint)
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"]:
        # The system's store may be missing (a bare container) or a directory that OpenSSL reads only
        # when asked; certifi's authorities fill the first case and do no harm in the second.
        context.load_verify_locations(cafile=certifi.where())
    return context


def pinning_context(expected: str | None) -> ssl.SSLContext:
    """Trust the one certificate with this fingerprint, whoever signed it and whatever its host name.

    With None, trust nothing: any handshake ends in `WrongCertificate`, which tells what was shown.
    """

    class PinnedHandshake(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            # Checked before the handshake's last message leaves, so nothing is ever said to another peer.
            seen = fingerprint(self.getpeercert(binary_form=True) or b"")
            if expected is None or not hmac.compare_digest(seen, expected):
                raise WrongCertificate(seen)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # OpenSSL's own verdict; the pin above is the verification
    context.sslobject_class = PinnedHandshake
    return context


def _ca_file_context(endpoint: Endpoint) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(endpoint.ca_file))
    except OSError as error:  # an ssl.SSLError is one too
        raise ConfigError(
            f"{endpoint.name}: ca_file {endpoint.ca_file} cannot be read as certificates in PEM form "
            f"({error.strerror or error})."
        ) from error
    # Python 3.13's strict rules refuse certificates without key identifiers, which is what appliances and
    # `openssl req -x509` of some years ago make. The file names whom to trust: the strictness adds nothing.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # A file that holds the appliance's own certificate, but not its issuer's, is meant too.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
