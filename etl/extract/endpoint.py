"""Where an appliance is and how to sign in to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an appliance is and how to sign in to it.

    `name` stands in every message. `url` is `https://host[:port]`; a trailing slash is fine.
    `tls_fingerprint` is `sha256:` and the hex digits of the certificate's DER form; colons and upper case
    are fine. `retry_for` is in seconds: how long one request is tried again.
    """

    name: str
    url: str
    username: str
    password: str = field(repr=False)
    tls_fingerprint: str | None = None
    ca_file: Path | None = None
    retry_for: float = 120.0
