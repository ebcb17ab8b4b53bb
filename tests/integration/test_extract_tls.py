"""Whom the client trusts, over real handshakes with odd certificates."""

import asyncio
import datetime
import hashlib
import ipaddress
import ssl
import time
from contextlib import contextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from etl.errors import NotAnAppliance, UntrustedCertificate
from etl.extract.client import ApplianceClient
from etl.extract.endpoint import Endpoint
from etl.simulator import Estate, simulate

ABOUT = "/api/v8/system/about"
LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


class Certificate:
    """A self-signed certificate without key identifiers, as older tools and appliances make them."""

    def __init__(self, folder, name, *, alternative_names=(LOOPBACK,), ca=None, days=(-1, 365), issuer=None):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        today = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today + datetime.timedelta(days=days[0]))
            .not_valid_after(today + datetime.timedelta(days=days[1]))
        )
        if alternative_names:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternative_names), critical=False)
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        signed = builder.sign(issuer.key if issuer else key, hashes.SHA256())
        self.key, self.subject = key, subject
        self.fingerprint = "sha256:" + hashlib.sha256(signed.public_bytes(serialization.Encoding.DER)).hexdigest()
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        self.key_file = folder / f"{name}.key"
        self.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def own(folder):
    return Certificate(folder, "own")


@pytest.fixture(scope="module")
def other(folder):
    return Certificate(folder, "other")


@contextmanager
def appliance_with(certificate):
    estate = Estate.from_items([], version="v8")
    with simulate(estate, version="v8", certfile=certificate.file, keyfile=certificate.key_file) as appliance:
        yield appliance
        # A handshake that the client broke off is not yet a connection that the server waits for at its end.
        time.sleep(0.1)


def about(url, **trust):
    async def session():
        endpoint = Endpoint("acme", url, "reporter", "simulated-password", retry_for=5, **trust)
        async with ApplianceClient(endpoint) as client:
            return (await client.get(ABOUT)).status

    return asyncio.run(session())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ca": True},
        {"ca": False},
        {"issuer": "authority"},  # the appliance's own certificate in the file, its issuer's nowhere
    ],
)
def test_a_certificate_without_key_identifiers_is_trusted_both_ways(folder, options):
    issuer = Certificate(folder, "authority", ca=True) if "issuer" in options else None
    certificate = Certificate(folder, "appliance", **(options | {"issuer": issuer}))
    with appliance_with(certificate) as appliance:
        assert about(appliance.url, ca_file=certificate.file) == 200
        assert about(appliance.url, tls_fingerprint=certificate.fingerprint) == 200


def test_an_authority_in_the_ca_file(folder):
    authority = Certificate(folder, "root", ca=True, alternative_names=())
    certificate = Certificate(folder, "leaf", issuer=authority)
    with appliance_with(certificate) as appliance:
        assert about(appliance.url, ca_file=authority.file) == 200


@pytest.mark.parametrize("how", ["upper case", "colons", "bare"])
def test_a_fingerprint_as_tools_print_it(own, how):
    digits = own.fingerprint.removeprefix("sha256:")
    written = {
        "upper case": own.fingerprint.upper(),
        "colons": "sha256:" + ":".join(digits[i : i + 2] for i in range(0, 64, 2)),
        "bare": digits,
    }[how]
    with appliance_with(own) as appliance:
        assert about(appliance.url, tls_fingerprint=written) == 200


def test_a_pinned_certificate_needs_neither_the_host_name_nor_time(folder):
    odd = Certificate(folder, "odd", alternative_names=[x509.DNSName("elsewhere.example")], days=(-9, -5))
    with appliance_with(odd) as appliance:
        assert about(appliance.url, tls_fingerprint=odd.fingerprint) == 200


@pytest.mark.parametrize("trust", ["nothing", "another ca file", "another fingerprint"])
def test_another_certificate_is_refused_with_its_fingerprint_and_not_tried_again(own, other, trust):
    chosen = {
        "nothing": {},
        "another ca file": {"ca_file": other.file},
        "another fingerprint": {"tls_fingerprint": other.fingerprint},
    }[trust]
    with appliance_with(own) as appliance:
        with pytest.raises(UntrustedCertificate) as caught:
            about(appliance.url, **chosen)
        assert appliance.requests == []
    message = str(caught.value)
    assert message.startswith("acme: ")
    assert f'tls_fingerprint = "{own.fingerprint}"' in message
    assert ("ca_file" in message) == (trust not in ("another fingerprint", "another ca file"))
    assert "\n" not in message


@pytest.mark.parametrize(
    "options",
    [
        {"alternative_names": [x509.DNSName("elsewhere.example")]},
        {"alternative_names": ()},
        {"days": (-9, -5)},
    ],
)
def test_a_ca_file_still_checks_host_name_and_time(folder, options):
    certificate = Certificate(folder, "wrong", **options)
    with appliance_with(certificate) as appliance:
        with pytest.raises(UntrustedCertificate, match=f'tls_fingerprint = "{certificate.fingerprint}"'):
            about(appliance.url, ca_file=certificate.file)
        assert appliance.requests == []


class Listener:
    """A TLS server that keeps every byte it is sent after the handshake."""

    def __init__(self, certificate):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate.file, certificate.key_file)
        self.heard = b""
        self.handshakes = 0

    async def serve(self, reader, writer):
        self.handshakes += 1
        try:
            self.heard += await reader.read(1000)
        except OSError:
            pass
        finally:
            writer.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("trust", ["nothing", "another fingerprint"])
def test_not_a_byte_is_sent_to_another_certificate(own, other, trust, version):
    async def session():
        listener = Listener(own)
        listener.context.maximum_version = listener.context.minimum_version = version
        server = await asyncio.start_server(listener.serve, "127.0.0.1", 0, ssl=listener.context)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        pinned = {"tls_fingerprint": other.fingerprint} if trust == "another fingerprint" else {}
        async with ApplianceClient(Endpoint("acme", url, "u", "p", retry_for=5, **pinned)) as client:
            with pytest.raises(UntrustedCertificate, match=own.fingerprint):
                await client.get(ABOUT)
        await asyncio.sleep(0.1)
        server.close()
        await asyncio.sleep(0.1)
        return listener

    assert asyncio.run(session()).heard == b""


def test_https_to_a_port_that_speaks_http():
    with (
        simulate(Estate.from_items([], version="v8"), version="v8") as appliance,
        pytest.raises(NotAnAppliance, match=r"acme: no TLS at .*port 443 and no path are expected"),
    ):
        about(appliance.url.replace("http:", "https:"))


def test_the_pin_holds_for_every_connection_not_only_the_first(own, other):
    """The certificate changes in mid-run: what connects anew is refused."""

    async def session():
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            body = b'{"access_token":"t"}'
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
            writer.close()
            context.load_cert_chain(other.file, other.key_file)

        context = Listener(own).context
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        endpoint = Endpoint("acme", url, "u", "p", retry_for=5, tls_fingerprint=own.fingerprint)
        async with ApplianceClient(endpoint) as client:
            with pytest.raises(UntrustedCertificate, match=other.fingerprint):
                await client.get(ABOUT)  # signs in over the first connection, asks over the second
        server.close()
        await asyncio.sleep(0.1)

    asyncio.run(session())
