"""What one value of the configuration may be: each function gives it checked, or says what is wrong.

What is wrong comes as a `ValueError` whose text continues a sentence that begins with the value's name.
No text repeats a URL that may hold a password.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import ssl
import unicodedata
import zoneinfo
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from etl.catalogue import WORKLOADS
from etl.extract.versions import API_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give the question to add to a sentence about an unknown word; empty when nothing is like it."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def line(text: str) -> str:
    """Text of one line, without control characters and not only blanks."""
    if not text.strip():
        raise ValueError("is empty.")
    if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in text):
        raise ValueError("holds a control character.")
    return text


def appliance_url(url: str) -> str:
    """An https URL of a host; http only where the host is this machine."""
    line(url)
    if " " in url:
        raise ValueError("holds a blank.")
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError("has no scheme; write https:// before the host.")
    if scheme.lower() not in ("https", "http"):
        raise ValueError("has a scheme other than https://.")
    if "@" in re.split(r"[/?#]", rest, maxsplit=1)[0]:
        raise ValueError("holds a user name or a password; the URL is no place for them.")
    if "?" in url or "#" in url:
        raise ValueError("has a query or a fragment; write https://host or https://host:port.")
    try:
        parts = urlsplit(url)
    except ValueError:  # a bracket without its other half
        parts = urlsplit("")
    if not parts.hostname:
        raise ValueError("names no host; write https://host or https://host:port.")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("has no port between 1 and 65535.")
    if parts.scheme == "http" and not _is_this_machine(parts.hostname):
        raise ValueError(
            "would send the password unprotected; write https:// (http:// is for this machine's own addresses)."
        )
    return url


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def fingerprint(text: str) -> str:
    """A certificate's SHA-256 as "sha256:" and 64 lower-case hexadecimal digits; colons and upper case given up."""
    algorithm, _, digits = text.partition(":")
    digits = digits.replace(":", "").lower()
    if algorithm.lower() != "sha256" or not re.fullmatch("[0-9a-f]{64}", digits):
        raise ValueError('is no certificate fingerprint; write "sha256:" and the 64 hexadecimal digits of its SHA-256.')
    return f"sha256:{digits}"


def certificates(path: Path) -> Path:
    """A file with at least one certificate in PEM form."""
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:  # an OSError too
        raise ValueError(f"names {path}, which holds no certificate in PEM form.") from error
    except OSError as error:
        raise ValueError(f"names {path}, which cannot be read: {error.strerror}.") from error
    return path


def api_version(text: str) -> str:
    """An API version, or "auto"."""
    known = ("auto", *API_VERSIONS)
    if text not in known:
        raise ValueError(f"is {text!r}, which is none of {', '.join(known)}{did_you_mean(text, known) or '.'}")
    return text


def workloads(names: tuple[str, ...]) -> tuple[str, ...]:
    """Workloads by their names; at least one."""
    if not names:
        raise ValueError("names no workload; leave it out to read all of them.")
    for name in names:
        if name not in WORKLOADS:
            raise ValueError(f"names {name!r}, which is no workload; there are {', '.join(WORKLOADS)}.")
    return tuple(dict.fromkeys(names))


def time_zone(name: str) -> str:
    """An IANA time zone's name."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        hint = did_you_mean(name, zoneinfo.available_timezones()) or "; such a name is Europe/Berlin."
        raise ValueError(f"is {name!r}, which is no IANA time zone{hint}") from error
    return name


def seconds(duration: float | str) -> float:
    """A duration in seconds, from "1h30m", "2m", "90s" or a number of seconds; from a second to 30 years."""
    if isinstance(duration, str):
        parts = re.fullmatch(r"(?=.)(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", duration, re.ASCII)
        if parts is None:
            raise ValueError('is no duration; write "90s", "2m", "1h30m" or a number of seconds.')
        hours, minutes, rest = (int(count or 0) for count in parts.groups())
        duration = 3600 * hours + 60 * minutes + rest
    if not 1 <= duration < 1e9:
        raise ValueError("is no time to answer in: a request needs a second at least.")
    return float(duration)


def warehouse(url: str, beside: Path) -> str:
    """A SQLAlchemy URL of a database that this program can write; a SQLite file as an absolute path.

    Relative SQLite paths are taken from the directory `beside`.
    """
    line(url)
    scheme, separator, rest = url.partition("://")
    dialect, _, driver = scheme.lower().partition("+")
    if not separator or len(scheme) == 1:
        raise ValueError(_no_url(url))
    if dialect in ("postgres", "postgresql"):
        if driver not in ("", "psycopg"):
            raise ValueError(f"asks for the driver {driver}; write postgresql:// (psycopg is the driver).")
        return f"postgresql+psycopg://{rest}"
    if dialect != "sqlite":
        raise ValueError(f"is a {dialect} URL; a warehouse is on PostgreSQL (postgresql://) or SQLite (sqlite:///).")
    if driver not in ("", "pysqlite"):
        raise ValueError(f"asks for the driver {driver}; write sqlite:///.")
    if not rest.startswith("/") and rest:
        raise ValueError("needs three slashes before the file name: sqlite:///restorepoints.db")
    file = rest[1:]
    if file in ("", ":memory:") or file.startswith("file:"):
        raise ValueError("names no file; a warehouse is kept: sqlite:///restorepoints.db")
    if "?" in file:
        raise ValueError("has a question mark; a warehouse on SQLite is a file, without parameters.")
    path = (beside / file).resolve()
    if "?" in str(path):
        raise ValueError("is below a directory with a question mark in its name, which no SQLite URL can say.")
    return f"sqlite:///{path.as_posix()}"


def _no_url(text: str) -> str:
    """What to say about a warehouse that is no URL: mostly somebody wrote a file's name."""
    if re.match(r"[a-zA-Z]:[\\/]|\\\\", text):
        return f"is a path; write it as a URL: sqlite:///{PureWindowsPath(text).as_posix()}"
    if "@" in text or ":" in text:
        return "is no URL; write postgresql://user@host/database or sqlite:///restorepoints.db"
    return f"is a path; write it as a URL: sqlite:///{text}"
