"""Finds an appliance's password: in a file, the environment, the keyring, or by asking for it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from etl.errors import SecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from etl.config import ApplianceConfig

KEYRING_SERVICE = "restorepoints"
LARGEST_FILE = 64 * 1024
"""Bytes; a secret is short, and a file that is not may be the wrong one."""

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"


def read_password(appliance: ApplianceConfig, environ: Mapping[str, str], prompt: Callable[[str], str] | None) -> str:
    """Give the password of an appliance.

    In this order: the appliance's own setting, $RESTOREPOINTS_PASSWORD, $RESTOREPOINTS_PASSWORD_FILE, and
    `prompt` (called with the question; None where there is no terminal). Raises `SecretError`.
    """
    name = appliance.name
    if appliance.password_file is not None:
        return _from_file(appliance.password_file, name)
    if appliance.password_env is not None:
        if not (password := environ.get(appliance.password_env)):
            raise SecretError(
                f"{name}: the environment variable {appliance.password_env}, which password_env names, is empty "
                "or not set."
            )
        return password
    if appliance.keyring:
        return _from_keyring(name)
    if password := environ.get("RESTOREPOINTS_PASSWORD"):
        return password
    if file := environ.get("RESTOREPOINTS_PASSWORD_FILE"):
        return _from_file(Path(file), name)
    if prompt is None:
        raise SecretError(
            f"{name}: no password, and no terminal to ask on. Set RESTOREPOINTS_PASSWORD or "
            "RESTOREPOINTS_PASSWORD_FILE,\nor password_file, password_env or keyring in the configuration."
        )
    if not (password := prompt(f"Password of {appliance.username} at {name}: ")):
        raise SecretError(f"{name}: an empty password was entered.")
    return password


def _from_file(path: Path, name: str) -> str:
    """The file's text without its byte-order mark and one line end; a blank at the end belongs to the secret."""
    where = f"{name}: the password file {path}"
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SecretError(f"{where} cannot be read: {reason}.") from error
    if len(content) > LARGEST_FILE:
        raise SecretError(f"{where} is larger than 64 kB; it must hold the password alone.")
    if content.startswith(_UTF16_MARKS) or b"\0" in content:
        raise SecretError(f"{where} is UTF-16 or binary; save it as UTF-8 text.")
    try:
        password = content.removeprefix(_UTF8_MARK).decode("utf-8")
    except UnicodeDecodeError:
        # The error holds the secret's bytes, so it is not chained.
        raise SecretError(f"{where} is not UTF-8; save it as UTF-8 text.") from None
    for line_end in ("\r\n", "\n", "\r"):
        if password.endswith(line_end):
            password = password.removesuffix(line_end)
            break
    if not password:
        raise SecretError(f"{where} is empty; write the password into it.")
    return password


def _from_keyring(name: str) -> str:
    try:
        import keyring
        import keyring.errors
    except ImportError as error:
        raise SecretError(
            f"{name}: keyring = true needs the keyring package: pip install 'restorepoints[keyring]'"
        ) from error
    try:
        password = keyring.get_password(KEYRING_SERVICE, name)
    except keyring.errors.KeyringError as error:
        raise SecretError(f"{name}: the keyring cannot be read: {error}") from error
    if not password:
        raise SecretError(
            f"{name}: the keyring holds no password of it; store one: keyring set {KEYRING_SERVICE} {shlex.quote(name)}"
        )
    return password
