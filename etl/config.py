"""Reads `restorepoints.toml`: which appliances there are, and where the warehouse is."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from etl import config_values
from etl.catalogue import WORKLOADS
from etl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONFIG_NAME = "restorepoints.toml"
DEFAULT_WAREHOUSE = "sqlite:///restorepoints.db"

_T = TypeVar("_T")


class ApplianceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One appliance as configured, checked; it names the password's place, never the password.

    `url` is https, or http to this machine; `tls_fingerprint` is "sha256:" and 64 lower-case hexadecimal
    digits; both files' paths are absolute, and `ca_file` was there; `time_zone` is a name that `zoneinfo` knows.
    """

    name: str
    url: str
    username: str
    password_file: Path | None = None
    password_env: str | None = None
    keyring: bool = False
    tls_fingerprint: str | None = None
    ca_file: Path | None = None
    api_version: str = "auto"
    workloads: tuple[str, ...] = WORKLOADS
    tenant: str | None = None
    time_zone: str | None = None
    resolve_machines: bool = False


class _Tables(msgspec.Struct, frozen=True):
    """The top level of the file."""

    warehouse: str = DEFAULT_WAREHOUSE
    retry_for: int | float | str = "2m"
    appliances: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration; `path` is its file, `retry_for` the seconds that one request is tried again."""

    path: Path | None
    warehouse: str = field(repr=False)  # its URL may hold a password
    retry_for: float
    appliances: dict[str, ApplianceConfig]


def find_config(explicit: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Choose the file: --config, $RESTOREPOINTS_CONFIG, ./restorepoints.toml if it is there; else none."""
    if explicit is not None:
        return explicit
    if named := environ.get("RESTOREPOINTS_CONFIG"):
        return Path(named)
    here = Path(CONFIG_NAME)
    return here if here.is_file() else None


def load_config(path: Path) -> Config:
    """Read and check a configuration file; `ConfigError` names the file and the line or key."""
    table = _read(path)
    beside = path.absolute().parent
    _refuse_unknown_keys(table, _keys(_Tables), str(path), "")

    def at(key: str) -> str:
        return f"{path}: `{key}`"

    tables = _typed(table, _Tables, at, beside)
    if not tables.appliances:
        raise ConfigError(f"{path}: no appliance is configured; add a table [appliances.NAME] with url and username.")
    return Config(
        path=path,
        warehouse=_checked(config_values.warehouse, tables.warehouse, at("warehouse"), beside),
        retry_for=_checked(config_values.seconds, tables.retry_for, at("retry_for")),
        appliances={name: _appliance_in_file(path, name, settings) for name, settings in tables.appliances.items()},
    )


def appliance_from_options(
    option: str,
    username: str,
    api_version: str = "auto",
    tls_fingerprint: str | None = None,
    ca_file: Path | None = None,
) -> ApplianceConfig:
    """Check an appliance given on the command line as NAME=URL; `ConfigError` names the option."""
    name, equals, url = option.partition("=")
    if not equals:
        raise ConfigError("`--appliance` wants a name and a URL: --appliance NAME=https://host")
    options = {"name": name, "url": url, "username": username, "api_version": api_version}
    if tls_fingerprint is not None:
        options["tls_fingerprint"] = tls_fingerprint
    if ca_file is not None:
        options["ca_file"] = str(ca_file)
    spelled = {"name": "The name in `--appliance`", "url": "The URL in `--appliance`"}
    return _appliance(options, lambda key: spelled.get(key, f"`--{key.replace('_', '-')}`"), Path.cwd())


def warehouse_url(explicit: str | None, environ: Mapping[str, str], config: Config | None) -> str:
    """Choose the warehouse: --warehouse, $RESTOREPOINTS_WAREHOUSE, the configuration, ./restorepoints.db.

    Gives a SQLAlchemy URL, which may hold a password: `sqlite:///` and an absolute path, or
    `postgresql+psycopg://`. Relative paths on the command line and in the environment are taken from the
    current directory. Raises `ConfigError`.
    """
    if explicit is not None:
        return _checked(config_values.warehouse, explicit, "`--warehouse`", Path.cwd())
    if named := environ.get("RESTOREPOINTS_WAREHOUSE"):
        return _checked(config_values.warehouse, named, "`$RESTOREPOINTS_WAREHOUSE`", Path.cwd())
    if config is not None:
        return config.warehouse
    return _checked(config_values.warehouse, DEFAULT_WAREHOUSE, "The default warehouse", Path.cwd())


def starter_config() -> str:
    """Give the text of a commented `restorepoints.toml` to start from."""
    return Path(__file__).with_name("restorepoints.example.toml").read_text(encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: the configuration cannot be read: {error.strerror}.") from error
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: this is not UTF-8 text; save the file as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: this is not TOML: {error}.") from error


def _keys(table: type[msgspec.Struct]) -> list[str]:
    """The keys that a table of the file may have; an appliance's name is the table's own."""
    return [key for key in table.__struct_fields__ if key != "name"]


def _refuse_unknown_keys(table: Mapping[str, object], known: list[str], file: str, above: str) -> None:
    for key in table:
        if key in known:
            continue
        shown = f"`{above}{key}`" if key.isprintable() else "a key with a control character"
        if key.lower() == "password":
            raise ConfigError(
                f"{file}: {shown} would keep the password in this file; say where it is instead, by "
                'password_file = "PATH", password_env = "NAME" or keyring = true.'
            )
        if above and key in _keys(_Tables):
            hint = "; it belongs above the first [appliances.NAME]."
        elif not above and key in _keys(ApplianceConfig):
            hint = "; it belongs below a line [appliances.NAME]."
        else:
            hint = config_values.did_you_mean(key, known) or f"; the keys here are {', '.join(known)}."
        raise ConfigError(f"{file}: {shown} is no key that is known{hint}")


def _appliance_in_file(path: Path, name: str, settings: object) -> ApplianceConfig:
    printable = "".join(letter if letter.isprintable() else "?" for letter in name)
    table = f"appliances.{name}" if re.fullmatch(r"[\w-]+", name, re.ASCII) else f'appliances."{printable}"'
    if not isinstance(settings, dict):
        raise ConfigError(
            f"{path}: `{table}` is no table; an appliance's settings stand below a line [appliances.NAME]."
        )
    _refuse_unknown_keys(settings, _keys(ApplianceConfig), str(path), f"{table}.")

    def at(key: str) -> str:
        return f"{path}: the name in [{table}]" if key == "name" else f"{path}: `{table}.{key}`"

    return _appliance({"name": name, **settings}, at, path.absolute().parent)


# An appliance's keys with more to check than their type.
_CHECKS: dict[str, Callable[[Any], object]] = {
    "url": config_values.appliance_url,
    "tls_fingerprint": config_values.fingerprint,
    "ca_file": config_values.certificates,
    "api_version": config_values.api_version,
    "workloads": config_values.workloads,
    "time_zone": config_values.time_zone,
}


def _appliance(settings: dict[str, Any], at: Callable[[str], str], beside: Path) -> ApplianceConfig:
    given = _typed(settings, ApplianceConfig, at, beside)
    for exclusive in (("password_file", "password_env", "keyring"), ("tls_fingerprint", "ca_file")):
        if len(named := [key for key in exclusive if getattr(given, key)]) > 1:
            raise ConfigError(f"{at(named[0])} and {named[1]} exclude each other; keep one of them.")
    checked = {
        key: _checked(check, value, at(key))
        for key, check in _CHECKS.items()
        if (value := getattr(given, key)) is not None
    }
    return msgspec.structs.replace(given, **checked)


def _checked(check: Callable[..., _T], value: object, place: str, *more: object) -> _T:
    try:
        return check(value, *more)
    except ValueError as problem:
        raise ConfigError(f"{place} {problem}") from problem


def _typed(table: Mapping[str, Any], wanted: type[_T], at: Callable[[str], str], beside: Path) -> _T:
    """Give the table as `wanted`; paths are taken from the directory `beside`."""

    def path(_: type, value: object) -> Path:
        if not isinstance(value, str):
            raise TypeError(type(value))
        return beside / value

    for key, value in table.items():
        if isinstance(value, str):
            _checked(config_values.line, value, at(key))
    try:
        return msgspec.convert(table, wanted, dec_hook=path)
    except msgspec.ValidationError as error:
        if missing := re.search(r"missing required field `(\w+)`", str(error)):
            raise ConfigError(f"{at(missing[1])} is missing.") from error
        key = re.findall(r"\$\.(\w+)", str(error))[-1]
        raise ConfigError(f"{at(key)} must be {_TYPES.get(key, 'text in quotes')}.") from error


_TYPES = {
    "retry_for": 'a duration like "2m" or a number of seconds',
    "appliances": "a table",
    "keyring": "true or false",
    "resolve_machines": "true or false",
    "workloads": 'a list like ["vm"]',
}
