"""What `restorepoints.toml` may say, and the sentence for each thing that it may not."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import trustme

from etl.catalogue import WORKLOADS
from etl.config import (
    ApplianceConfig,
    Config,
    appliance_from_options,
    find_config,
    load_config,
    starter_config,
    warehouse_url,
)
from etl.errors import ConfigError

FILE = Path("restorepoints.toml")
ACME = '[appliances.acme]\nurl = "https://vba.example.net"\nusername = "reporter"\n'
DIGITS = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in a directory of its own, in which the file has the short name that messages show."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str) -> Config:
    FILE.write_text(text, encoding="utf-8")
    return load_config(FILE)


def test_the_shortest_file_and_its_defaults(here: Path) -> None:
    assert load(ACME) == Config(
        path=FILE,
        warehouse=f"sqlite:///{here}/restorepoints.db",
        retry_for=120.0,
        appliances={
            "acme": ApplianceConfig(
                name="acme",
                url="https://vba.example.net",
                username="reporter",
                password_file=None,
                password_env=None,
                keyring=False,
                tls_fingerprint=None,
                ca_file=None,
                api_version="auto",
                workloads=WORKLOADS,
                tenant=None,
                time_zone=None,
            )
        },
    )


def test_every_key(here: Path) -> None:
    trustme.CA().cert_pem.write_to_path("ca.pem")
    config = load(
        'warehouse = "postgresql://reporter@db.example.net/history"\nretry_for = "1h30m"\n'
        "[appliances.acme-north]\n"
        'url = "https://10.0.0.4:8443/"\nusername = "reporter"\npassword_file = "secret"\nca_file = "ca.pem"\n'
        'api_version = "v8.1"\nworkloads = ["vm"]\ntenant = "acme"\ntime_zone = "Europe/Berlin"\n'
        + ACME.replace("acme", '"Zürich-★"')
        + f'keyring = true\ntls_fingerprint = "SHA256:{DIGITS.upper()}"\n'
        + ACME.replace("acme", "third")
        + "password_env = 'THIRD'\n"
    )
    north, zurich, third = config.appliances.values()
    assert (config.warehouse, config.retry_for) == (
        "postgresql+psycopg://reporter@db.example.net/history",
        5400.0,
    )
    assert north == ApplianceConfig(
        name="acme-north",
        url="https://10.0.0.4:8443/",
        username="reporter",
        password_file=here / "secret",
        ca_file=here / "ca.pem",
        api_version="v8.1",
        workloads=("vm",),
        tenant="acme",
        time_zone="Europe/Berlin",
    )
    assert (zurich.name, zurich.keyring, zurich.tls_fingerprint) == ("Zürich-★", True, f"sha256:{DIGITS}")
    assert (third.name, third.password_env) == ("third", "THIRD")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "no appliance is configured; add a table [appliances.NAME] with url and username."),
        (
            "[appliances]\n",
            "no appliance is configured; add a table [appliances.NAME] with url and username.",
        ),
        ("appliances = 3\n", "`appliances` must be a table."),
        (
            '[appliances]\nurl = "https://vba.example.net"\n',
            "`appliances.url` is no table; an appliance's settings stand below a line [appliances.NAME].",
        ),
        ("retry_for = \n", "this is not TOML: Invalid value (at line 1, column 13)."),
        (f"{ACME}x\n", "this is not TOML: Expected '=' after a key in a key/value pair (at line 4, column 2)."),
        (ACME + ACME, "this is not TOML: Cannot declare ('appliances', 'acme') twice (at line 4, column 17)."),
        # keys
        (f"warehuose = 'x'\n{ACME}", "`warehuose` is no key that is known; did you mean warehouse?"),
        (
            '[appliance.acme]\nurl = "https://vba.example.net"\n',
            "`appliance` is no key that is known; did you mean appliances?",
        ),
        (
            f"qqq = 1\n{ACME}",
            "`qqq` is no key that is known; the keys here are warehouse, retry_for, appliances.",
        ),
        (
            f"username = 'reporter'\n{ACME}",
            "`username` is no key that is known; it belongs below a line [appliances.NAME].",
        ),
        (f"{ACME}usernme = 'x'\n", "`appliances.acme.usernme` is no key that is known; did you mean username?"),
        (
            f"{ACME}warehouse = 'x'\n",
            "`appliances.acme.warehouse` is no key that is known; it belongs above the first [appliances.NAME].",
        ),
        (f'{ACME}"a\\u0007b" = 1\n', "a key with a control character is no key that is known; the keys here are"),
        (f"{ACME}name = 'x'\n", "`appliances.acme.name` is no key that is known; "),
        # passwords
        (
            f"{ACME}password = 'Tr0ub4dor'\n",
            "`appliances.acme.password` would keep the password in this file; say where it is instead, by "
            'password_file = "PATH", password_env = "NAME" or keyring = true.',
        ),
        (f"Password = 'Tr0ub4dor'\n{ACME}", "`Password` would keep the password in this file; say where it is"),
        (
            f"{ACME}password_file = 'a'\nkeyring = true\n",
            "`appliances.acme.password_file` and keyring exclude each other; keep one of them.",
        ),
        (
            f"{ACME}password_env = 'A'\nkeyring = true\n",
            "`appliances.acme.password_env` and keyring exclude each other; keep one of them.",
        ),
        (f"{ACME}password_env = ''\n", "`appliances.acme.password_env` is empty."),
        # types
        (f"warehouse = 3\n{ACME}", "`warehouse` must be text in quotes."),
        (f"retry_for = true\n{ACME}", '`retry_for` must be a duration like "2m" or a number of seconds.'),
        (f"{ACME}tenant = 3\n", "`appliances.acme.tenant` must be text in quotes."),
        (f"{ACME}api_version = 8.1\n", "`appliances.acme.api_version` must be text in quotes."),
        (f"{ACME}password_file = 2026-11-24\n", "`appliances.acme.password_file` must be text in quotes."),
        (f"{ACME}keyring = 'yes'\n", "`appliances.acme.keyring` must be true or false."),
        (f"{ACME}workloads = 'vm'\n", '`appliances.acme.workloads` must be a list like ["vm"].'),
        (f"{ACME}workloads = [1]\n", '`appliances.acme.workloads` must be a list like ["vm"].'),
        ("[appliances.acme]\nusername = 'reporter'\n", "`appliances.acme.url` is missing."),
        ("[appliances.acme]\nurl = 'https://vba.example.net'\n", "`appliances.acme.username` is missing."),
        # values
        (f"warehouse = ' '\n{ACME}", "`warehouse` is empty."),
        (ACME.replace("reporter", " "), "`appliances.acme.username` is empty."),
        (ACME.replace("reporter", "a\\u0000b"), "`appliances.acme.username` holds a control character."),
        (ACME.replace("acme", '"acme\\u001b[2J"'), 'the name in [appliances."acme?[2J"] holds a control character.'),
        (ACME.replace("acme", '""'), 'the name in [appliances.""] is empty.'),
        (
            f"{ACME}tls_fingerprint = 'sha256:{DIGITS[1:]}'\n",
            '`appliances.acme.tls_fingerprint` is no certificate fingerprint; write "sha256:" and the 64 '
            "hexadecimal digits of its SHA-256.",
        ),
        (
            f"{ACME}tls_fingerprint = 'sha1:{DIGITS[:40]}'\n",
            "`appliances.acme.tls_fingerprint` is no certificate fingerprint; ",
        ),
        (
            f"{ACME}tls_fingerprint = '{DIGITS}'\n",
            "`appliances.acme.tls_fingerprint` is no certificate fingerprint; ",
        ),
        (
            f"{ACME}tls_fingerprint = 'sha256:{DIGITS}'\nca_file = 'ca.pem'\n",
            "`appliances.acme.tls_fingerprint` and ca_file exclude each other; keep one of them.",
        ),
        (
            f"{ACME}ca_file = '/nowhere/ca.pem'\n",
            "`appliances.acme.ca_file` names /nowhere/ca.pem, which cannot be read: No such file or directory.",
        ),
        (
            f"{ACME}ca_file = '/'\n",
            "`appliances.acme.ca_file` names /, which cannot be read: Is a directory.",
        ),
        (
            f"{ACME}ca_file = '/etc/hostname'\n",
            "`appliances.acme.ca_file` names /etc/hostname, which holds no certificate in PEM form.",
        ),
        (
            f"{ACME}api_version = '8.1'\n",
            "`appliances.acme.api_version` is '8.1', which is none of auto, v1, v2, v3, v4, v5, v6, v7, "
            "v8, v8.1; did you mean v8.1?",
        ),
        (
            f"{ACME}workloads = ['vm', 'tape']\n",
            "`appliances.acme.workloads` names 'tape', which is no workload; there are vm, sql, file_share, vnet, "
            "cosmos_db, cosmos_db_continuous.",
        ),
        (
            f"{ACME}workloads = []\n",
            "`appliances.acme.workloads` names no workload; leave it out to read all of them.",
        ),
        (
            f"{ACME}time_zone = 'Europe/Berlni'\n",
            "`appliances.acme.time_zone` is 'Europe/Berlni', which is no IANA time zone; did you mean Europe/Berlin?",
        ),
        (
            f"{ACME}time_zone = 'Europe'\n",
            "`appliances.acme.time_zone` is 'Europe', which is no IANA time zone; did you mean ",
        ),
        (
            f"{ACME}time_zone = '/etc/passwd'\n",
            "`appliances.acme.time_zone` is '/etc/passwd', which is no IANA time zone; such a name is Europe/Berlin.",
        ),
    ],
)
def test_what_a_file_may_not_say(content: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(content)
    message = str(raised.value)
    assert raised.value.exit_code == 2
    assert message.startswith(f"restorepoints.toml: {sentence}")
    assert message.endswith((".", "?"))
    assert "Tr0ub4dor" not in message


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (ACME.encode("utf-16"), "restorepoints.toml: this is not UTF-8 text; save the file as UTF-8."),
        (None, "restorepoints.toml: the configuration cannot be read: No such file or directory."),
    ],
)
def test_a_file_that_is_no_text(content: bytes | None, sentence: str) -> None:
    if content is not None:
        FILE.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        load_config(FILE)


def test_a_directory_is_no_configuration(here: Path) -> None:
    with pytest.raises(ConfigError, match=r"the configuration cannot be read: Is a directory\."):
        load_config(here)


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    FILE.write_bytes(b"\xef\xbb\xbf" + ACME.replace("\n", "\r\n").encode())
    assert list(load_config(FILE).appliances) == ["acme"]


@pytest.mark.parametrize(
    "url",
    [
        "https://vba.example.net",
        "https://vba.example.net/",
        "HTTPS://VBA.example.net:9419",
        "https://vba.example.net/api/v8",
        "https://[2001:db8::1]:443",
        "http://localhost:8080",
        "http://LOCALHOST",
        "http://127.0.0.1:8000",
        "http://127.8.9.10",
        "http://[::1]:8000",
    ],
)
def test_urls_that_may_be_asked(url: str) -> None:
    assert load(ACME.replace("https://vba.example.net", url)).appliances["acme"].url == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("vba.example.net", "has no scheme; write https:// before the host."),
        ("vba.example.net:443", "has no scheme; write https:// before the host."),
        ("https:/vba.example.net", "has no scheme; write https:// before the host."),
        ("ftp://vba.example.net", "has a scheme other than https://."),
        ("://vba.example.net", "has a scheme other than https://."),
        ("https://", "names no host; write https://host or https://host:port."),
        ("https:///path", "names no host; write https://host or https://host:port."),
        ("https://:443", "names no host; write https://host or https://host:port."),
        ("https://[::1", "names no host; write https://host or https://host:port."),
        ("https://vba.example.net:0", "has no port between 1 and 65535."),
        ("https://vba.example.net:70000", "has no port between 1 and 65535."),
        ("https://vba.example.net:https", "has no port between 1 and 65535."),
        ("https://vba example.net", "holds a blank."),
        ("https://vba.example.net\\n", "holds a control character."),
        ("https://vba.example.net?x=1", "has a query or a fragment; write https://host or https://host:port."),
        ("https://vba.example.net/#", "has a query or a fragment; write https://host or https://host:port."),
        (
            "https://reporter:Tr0ub4dor@vba.example.net",
            "holds a user name or a password; the URL is no place for them.",
        ),
        ("https://reporter@vba.example.net", "holds a user name or a password; the URL is no place for them."),
        (
            "http://vba.example.net",
            "would send the password unprotected; write https:// (http:// is for this machine's own addresses).",
        ),
        ("http://10.0.0.1", "would send the password unprotected; "),
        ("http://0.0.0.0", "would send the password unprotected; "),
        ("http://127.0.0.1.example.net", "would send the password unprotected; "),
        ("http://localhost.example.net", "would send the password unprotected; "),
    ],
)
def test_urls_that_may_not_be_asked(url: str, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(ACME.replace("https://vba.example.net", url))
    assert str(raised.value).startswith(f"restorepoints.toml: `appliances.acme.url` {problem}")
    assert "Tr0ub4dor" not in str(raised.value)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ('"2m"', 120.0),
        ('"90s"', 90.0),
        ('"1h30m"', 5400.0),
        ('"1h0m5s"', 3605.0),
        ("45", 45.0),
        ("1", 1.0),
        ("1.5", 1.5),
    ],
)
def test_durations(written: str, seconds: float) -> None:
    assert load(f"retry_for = {written}\n{ACME}").retry_for == seconds


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        *[
            (written, 'is no duration; write "90s", "2m", "1h30m" or a number of seconds.')
            for written in ('"2 minutes"', '"m"', '"90"', '"1m1h"', '"-2m"', '"1.5m"', '"٣m"')
        ],
        *[
            (written, "is no time to answer in: a request needs a second at least.")
            for written in ("-1", "0", "0.9", "inf", "nan", f"1{400 * '0'}", '"999999h"')
        ],
    ],
)
def test_what_is_no_duration(written: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"restorepoints.toml: `retry_for` {problem}")):
        load(f"retry_for = {written}\n{ACME}")


@pytest.mark.parametrize(
    ("url", "chosen"),
    [
        ("sqlite:///restorepoints.db", "sqlite:///{here}/restorepoints.db"),
        ("sqlite:///../kept/x.db", "sqlite:///{parent}/kept/x.db"),
        ("sqlite+pysqlite:///x.db", "sqlite:///{here}/x.db"),
        ("sqlite:////var/lib/x.db", "sqlite:////var/lib/x.db"),
        ("postgresql://u:p@h:5432/d?sslmode=require", "postgresql+psycopg://u:p@h:5432/d?sslmode=require"),
        ("postgres://h/d", "postgresql+psycopg://h/d"),
        ("postgresql+psycopg://u@/d?host=/run/postgresql", "postgresql+psycopg://u@/d?host=/run/postgresql"),
    ],
)
def test_warehouses(here: Path, url: str, chosen: str) -> None:
    assert warehouse_url(url, {}, None) == chosen.format(here=here, parent=here.parent)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "is empty."),
        ("restorepoints.db", "is a path; write it as a URL: sqlite:///restorepoints.db"),
        ("/var/lib/x.db", "is a path; write it as a URL: sqlite:////var/lib/x.db"),
        ("C:\\kept\\x.db", "is a path; write it as a URL: sqlite:///C:/kept/x.db"),
        ("C:/kept/x.db", "is a path; write it as a URL: sqlite:///C:/kept/x.db"),
        ("sqlite:x.db", "is no URL; write postgresql://user@host/database or sqlite:///restorepoints.db"),
        ("u:Tr0ub4dor@h/d", "is no URL; write postgresql://user@host/database or sqlite:///restorepoints.db"),
        ("sqlite://x.db", "needs three slashes before the file name: sqlite:///restorepoints.db"),
        ("sqlite://", "names no file; a warehouse is kept: sqlite:///restorepoints.db"),
        ("sqlite:///:memory:", "names no file; a warehouse is kept: sqlite:///restorepoints.db"),
        ("sqlite:///file:x.db?uri=true", "names no file; a warehouse is kept: sqlite:///restorepoints.db"),
        ("sqlite:///b?x.db", "has a question mark; a warehouse on SQLite is a file, without parameters."),
        ("sqlite:///x.db?mode=ro", "has a question mark; a warehouse on SQLite is a file, without parameters."),
        ("sqlite+aiosqlite:///x.db", "asks for the driver aiosqlite; write sqlite:///."),
        (
            "postgresql+psycopg2://u:Tr0ub4dor@h/d",
            "asks for the driver psycopg2; write postgresql:// (psycopg is the driver).",
        ),
        (
            "mysql://u:Tr0ub4dor@h/d",
            "is a mysql URL; a warehouse is on PostgreSQL (postgresql://) or SQLite (sqlite:///).",
        ),
    ],
)
def test_what_is_no_warehouse(url: str, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        warehouse_url(url, {}, None)
    assert str(raised.value) == f"`--warehouse` {problem}"


def test_a_directory_that_no_sqlite_url_can_say(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("what?").mkdir()
    monkeypatch.chdir("what?")
    with pytest.raises(ConfigError, match=r"^The default warehouse is below a directory with a question mark"):
        warehouse_url(None, {}, None)


def test_which_warehouse_goes_before_which(here: Path) -> None:
    Path("etc").mkdir()
    file = Path("etc", "restorepoints.toml")
    file.write_text(f'warehouse = "sqlite:///file.db"\n{ACME}')
    config = load_config(file)
    environ = {"RESTOREPOINTS_WAREHOUSE": "sqlite:///environment.db"}
    assert warehouse_url("sqlite:///option.db", environ, config) == f"sqlite:///{here}/option.db"
    assert warehouse_url(None, environ, config) == f"sqlite:///{here}/environment.db"
    assert warehouse_url(None, {"RESTOREPOINTS_WAREHOUSE": ""}, config) == f"sqlite:///{here}/etc/file.db"
    assert warehouse_url(None, {}, None) == f"sqlite:///{here}/restorepoints.db"
    file.write_text(ACME)
    assert warehouse_url(None, {}, load_config(file)) == f"sqlite:///{here}/etc/restorepoints.db"
    with pytest.raises(ConfigError, match=r"^`\$RESTOREPOINTS_WAREHOUSE` is a path; "):
        warehouse_url(None, {"RESTOREPOINTS_WAREHOUSE": "x.db"}, config)


def test_a_warehouse_password_is_not_in_the_repr() -> None:
    config = load(f'warehouse = "postgresql://u:Tr0ub4dor@h/d"\n{ACME}')
    assert "Tr0ub4dor" in config.warehouse
    assert "Tr0ub4dor" not in repr(config)


def test_which_file_goes_before_which() -> None:
    environ = {"RESTOREPOINTS_CONFIG": "elsewhere/other.toml"}
    assert find_config(Path("given.toml"), environ) == Path("given.toml")
    assert find_config(None, environ) == Path("elsewhere/other.toml")
    assert find_config(None, {"RESTOREPOINTS_CONFIG": ""}) is None
    assert find_config(None, {}) is None
    FILE.write_text(ACME)
    assert find_config(None, {}) == FILE


def test_an_appliance_from_options(here: Path) -> None:
    trustme.CA().cert_pem.write_to_path("ca.pem")
    assert appliance_from_options(
        "acme=https://vba.example.net/a=b", "reporter", "v3", ca_file=Path("ca.pem")
    ) == ApplianceConfig(
        name="acme",
        url="https://vba.example.net/a=b",
        username="reporter",
        api_version="v3",
        ca_file=here / "ca.pem",
    )
    pinned = appliance_from_options("acme=https://h", "reporter", tls_fingerprint=f"sha256:{DIGITS}")
    assert (pinned.tls_fingerprint, pinned.api_version) == (f"sha256:{DIGITS}", "auto")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"option": "https://h"}, "`--appliance` wants a name and a URL: --appliance NAME=https://host"),
        ({"option": "=https://h"}, "The name in `--appliance` is empty."),
        ({"option": "a="}, "The URL in `--appliance` is empty."),
        ({"option": "a=vba"}, "The URL in `--appliance` has no scheme; write https:// before the host."),
        ({"username": ""}, "`--username` is empty."),
        ({"api_version": "v9"}, "`--api-version` is 'v9', which is none of auto, v1, v2, v3, v4, v5, v6, v7, v8, v8.1"),
        ({"tls_fingerprint": "sha256:0"}, "`--tls-fingerprint` is no certificate fingerprint; "),
        ({"ca_file": Path("ca.pem")}, "`--ca-file` names {here}/ca.pem, which cannot be read: No such file"),
        (
            {"ca_file": Path("ca.pem"), "tls_fingerprint": "sha256:0"},
            "`--tls-fingerprint` and ca_file exclude each other; keep one of them.",
        ),
    ],
)
def test_what_options_may_not_say(here: Path, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        appliance_from_options(**{"option": "acme=https://h", "username": "reporter", **options})
    assert str(raised.value).startswith(sentence.format(here=here))


def test_the_starter_file_as_it_is(here: Path) -> None:
    config = load(starter_config())
    assert list(config.appliances) == ["my-appliance"]
    assert config.warehouse == f"sqlite:///{here}/restorepoints.db"


def test_the_starter_file_explains_every_key() -> None:
    switched_on = re.sub(r"^# (?=\w+ = )", "", starter_config(), flags=re.MULTILINE)
    (appliance,) = tomllib.loads(switched_on)["appliances"].values()
    assert ["name", *appliance] == list(ApplianceConfig.__struct_fields__)
    trustme.CA().cert_pem.write_to_path("appliance-ca.pem")
    for left_out in ("password_file|password_env|tls_fingerprint", "keyring|password_env|ca_file"):
        load(re.sub(rf"^({left_out}) = .*", "", switched_on, flags=re.MULTILINE))


def test_the_import_is_light() -> None:
    heavy = ("pandas", "numpy", "sqlalchemy", "httpx", "psycopg", "keyring", "rich", "typer")
    imported = subprocess.run(
        [sys.executable, "-c", "import sys, etl.config, etl.passwords; print(*sys.modules)"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "etl.config" in imported
    assert not set(heavy) & set(imported)
