"""Fingerprints, CA files, versions and their spellings, and a representation without secrets."""

import hashlib

import pytest

from etl.catalogue import COLLECTIONS
from etl.errors import ConfigError, NotServed
from etl.extract.endpoint import Endpoint
from etl.extract.tls import canonical_fingerprint, fingerprint, tls_context
from etl.extract.versions import API_VERSIONS, path_of, spellings

HEX = hashlib.sha256(b"certificate").hexdigest()


@pytest.mark.parametrize(
    "written",
    [
        f"sha256:{HEX}",
        HEX,
        f"SHA256:{HEX.upper()}",
        ":".join(HEX[i : i + 2] for i in range(0, 64, 2)),
        "sha256:" + ":".join(HEX.upper()[i : i + 2] for i in range(0, 64, 2)),
        f"  sha256: {HEX} ",
    ],
)
def test_a_fingerprint_is_taken_as_tools_print_it(written):
    assert canonical_fingerprint(written) == fingerprint(b"certificate") == f"sha256:{HEX}"


@pytest.mark.parametrize("written", ["", "sha256:", HEX[:-1], HEX + "0", "g" + HEX[1:], f"sha1:{HEX[:40]}", "…"])
def test_what_is_no_fingerprint_is_a_configuration_error(written):
    with pytest.raises(ConfigError, match="tls_fingerprint"):
        canonical_fingerprint(written)


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\x30\x82\x01"])
def test_a_ca_file_that_cannot_be_used_is_named(tmp_path, content):
    ca_file = tmp_path / "appliance.pem"
    if content is not None:
        ca_file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"acme: ca_file .*appliance\.pem"):
        tls_context(Endpoint("acme", "https://vba", "u", "p", ca_file=ca_file))


@pytest.mark.parametrize("version", API_VERSIONS)
def test_paths_and_spellings(version):
    old = version in ("v1", "v2", "v3")
    assert path_of(version, COLLECTIONS["vm"]) == f"/api/{version}/restorePoints" + ("" if old else "/virtualMachines")
    first, second = spellings(version)
    assert (first.offset, first.limit) == (("offset", "limit") if version == "v1" else ("Offset", "Limit"))
    assert {first.limit, second.limit} == {"limit", "Limit"}


@pytest.mark.parametrize(("version", "collection"), [("v9", "vm"), ("", "vm"), ("v2", "sql")])
def test_what_no_version_serves(version, collection):
    with pytest.raises(NotServed):
        path_of(version, COLLECTIONS[collection])


def test_an_endpoint_does_not_show_its_password():
    assert "s3cret" not in repr(Endpoint("acme", "https://vba", "reporter", "s3cret"))
