"""Where a password comes from, and what a file that holds one may be."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest

from etl.config import ApplianceConfig
from etl.errors import SecretError
from etl.passwords import read_password


def appliance(**place: object) -> ApplianceConfig:
    return ApplianceConfig(name="acme", url="https://vba.example.net", username="reporter", **place)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return tmp_path / "secret"


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"Tr0ub4dor", "Tr0ub4dor"),
        (b"Tr0ub4dor\n", "Tr0ub4dor"),
        (b"Tr0ub4dor\r\n", "Tr0ub4dor"),
        (b"Tr0ub4dor\r", "Tr0ub4dor"),
        (b"Tr0ub4dor\n\n", "Tr0ub4dor\n"),
        (b"Tr0ub4dor\n\r\n", "Tr0ub4dor\n"),
        (b"Tr0ub4dor \n", "Tr0ub4dor "),
        (b" Tr0ub4dor\t", " Tr0ub4dor\t"),
        (b" \n", " "),
        (b"\xef\xbb\xbfTr0ub4dor\r\n", "Tr0ub4dor"),
        ("pässwört★\n".encode(), "pässwört★"),
        (b"x" * 65536, "x" * 65536),
    ],
)
def test_what_a_file_holds(secret: Path, content: bytes, password: str) -> None:
    secret.write_bytes(content)
    assert read_password(appliance(password_file=secret), {}, None) == password


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("Tr0ub4dor\r\n".encode("utf-16"), "is UTF-16 or binary; save it as UTF-8 text."),
        (b"\xfe\xff" + "Tr0ub4dor".encode("utf-16-be"), "is UTF-16 or binary; save it as UTF-8 text."),
        ("Tr0ub4dor".encode("utf-16-le"), "is UTF-16 or binary; save it as UTF-8 text."),
        ("pässwört".encode("latin-1"), "is not UTF-8; save it as UTF-8 text."),
        (b"", "is empty; write the password into it."),
        (b"\n", "is empty; write the password into it."),
        (b"\r\n", "is empty; write the password into it."),
        (b"\xef\xbb\xbf\r\n", "is empty; write the password into it."),
        (b"x" * 65537, "is larger than 64 kB; it must hold the password alone."),
        (None, "cannot be read: No such file or directory."),
    ],
)
def test_files_that_hold_no_password(secret: Path, content: bytes | None, problem: str) -> None:
    if content is not None:
        secret.write_bytes(content)
    with pytest.raises(SecretError) as raised:
        read_password(appliance(password_file=secret), {}, None)
    assert raised.value.exit_code == 2
    assert str(raised.value) == f"acme: the password file {secret} {problem}"
    assert raised.value.__cause__ is None or isinstance(raised.value.__cause__, OSError)


def test_a_directory_holds_no_password(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=f"{tmp_path} cannot be read: Is a directory."):
        read_password(appliance(password_file=tmp_path), {}, None)


def test_a_pipe_may_hold_the_password(secret: Path) -> None:
    os.mkfifo(secret)
    writer = threading.Thread(target=secret.write_bytes, args=(b"Tr0ub4dor\n",))
    writer.start()
    assert read_password(appliance(password_file=secret), {}, None) == "Tr0ub4dor"
    writer.join()


def test_which_place_goes_before_which(secret: Path, tmp_path: Path) -> None:
    secret.write_text("of the appliance")
    shared = tmp_path / "shared"
    shared.write_text("of the shared file")
    environ = {
        "ACME_PASSWORD": "of the named variable",
        "RESTOREPOINTS_PASSWORD": "of the shared variable",
        "RESTOREPOINTS_PASSWORD_FILE": str(shared),
    }
    asked = []

    def prompt(question: str) -> str:
        asked.append(question)
        return "of the prompt"

    assert read_password(appliance(password_file=secret), environ, prompt) == "of the appliance"
    assert read_password(appliance(password_env="ACME_PASSWORD"), environ, prompt) == "of the named variable"
    assert read_password(appliance(), environ, prompt) == "of the shared variable"
    environ["RESTOREPOINTS_PASSWORD"] = ""
    assert read_password(appliance(), environ, prompt) == "of the shared file"
    assert asked == []
    assert read_password(appliance(), {}, prompt) == "of the prompt"
    assert asked == ["Password of reporter at acme: "]


@pytest.mark.parametrize("environ", [{}, {"ACME_PASSWORD": ""}])
def test_a_named_variable_that_is_not_set(environ: dict[str, str]) -> None:
    environ = {**environ, "RESTOREPOINTS_PASSWORD": "of all"}
    with pytest.raises(SecretError) as raised:
        read_password(appliance(password_env="ACME_PASSWORD"), environ, None)
    assert str(raised.value) == (
        "acme: the environment variable ACME_PASSWORD, which password_env names, is empty or not set."
    )


def test_no_password_and_no_terminal() -> None:
    with pytest.raises(SecretError) as raised:
        read_password(appliance(), {}, None)
    assert str(raised.value) == (
        "acme: no password, and no terminal to ask on. Set RESTOREPOINTS_PASSWORD or RESTOREPOINTS_PASSWORD_FILE,\n"
        "or password_file, password_env or keyring in the configuration."
    )


def test_an_empty_answer() -> None:
    with pytest.raises(SecretError, match=r"^acme: an empty password was entered\.$"):
        read_password(appliance(), {}, lambda _: "")


class Keyring(keyring.backend.KeyringBackend):
    """The smallest keyring that the package accepts."""

    priority = 1.0

    def __init__(self, kept: dict[tuple[str, str], str], problem: Exception | None = None) -> None:
        super().__init__()
        self.kept = kept
        self.problem = problem

    def get_password(self, service: str, username: str) -> str | None:
        if self.problem:
            raise self.problem
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


@pytest.fixture
def use_keyring() -> object:
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def test_the_keyring(use_keyring) -> None:
    use_keyring(Keyring({("restorepoints", "acme"): "Tr0ub4dor"}))
    assert read_password(appliance(keyring=True), {"RESTOREPOINTS_PASSWORD": "other"}, None) == "Tr0ub4dor"


def test_a_keyring_without_the_password(use_keyring) -> None:
    use_keyring(Keyring({}))
    with pytest.raises(SecretError) as raised:
        read_password(appliance(keyring=True), {}, None)
    assert str(raised.value) == ("acme: the keyring holds no password of it; store one: keyring set restorepoints acme")


def test_a_keyring_that_cannot_be_read(use_keyring) -> None:
    use_keyring(Keyring({}, keyring.errors.KeyringLocked("it is locked")))
    with pytest.raises(SecretError, match=r"^acme: the keyring cannot be read: it is locked$"):
        read_password(appliance(keyring=True), {}, None)


def test_without_the_keyring_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SecretError) as raised:
        read_password(appliance(keyring=True), {}, None)
    assert str(raised.value) == ("acme: keyring = true needs the keyring package: pip install 'restorepoints[keyring]'")
