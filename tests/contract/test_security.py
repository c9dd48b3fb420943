"""Encrypted and authenticated connections: capabilities `tls`, `sasl-plain`, `sasl-scram`,
`oauthbearer`.

The portable configuration has no words for these; each client has its own, which are given as
`options`. A client that declares one of the capabilities has its options in OPTIONS.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (
    AdminClient,
    NewTopic,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kafkalab.cluster import resources
from kafkalab.cluster.process import ProcessEngine
from kafkalab.model.cluster import ClusterSpec
from kafkalab.runtime import pins
from kafkalab.runtime.lease import Lease

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]

USER, PASSWORD = "alice", "wonderland-4711"
MECHANISMS = {
    "sasl-plain": "PLAIN",
    "sasl-scram": "SCRAM-SHA-512",
    "oauthbearer": "OAUTHBEARER",
}
_JAVA_LOGIN = {
    "PLAIN": "plain.PlainLoginModule",
    "SCRAM-SHA-512": "scram.ScramLoginModule",
    "OAUTHBEARER": "oauthbearer.OAuthBearerLoginModule",
}


@dataclass(frozen=True)
class Secure:
    """A broker with a listener for TLS, and one for SASL over TLS."""

    plain: str
    tls: str
    sasl: str
    authority: Path  # certificate, PEM

    def topic(self) -> str:
        name = f"s-{uuid.uuid4().hex[:8]}"
        admin = AdminClient({"bootstrap.servers": self.plain})
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
        return name


def _kafka_clients(secure: Secure, mechanism: str | None, password: str) -> dict[str, Any]:
    trusted = {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(secure.authority)}
    if mechanism is None:
        return {"security.protocol": "SSL", **trusted}
    login = f"org.apache.kafka.common.security.{_JAVA_LOGIN[mechanism]} required "
    if mechanism == "OAUTHBEARER":
        login += f'unsecuredLoginStringClaim_sub="{USER}";'
    else:
        login += f'username="{USER}" password="{password}";'
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": mechanism,
        "sasl.jaas.config": login,
        **trusted,
    }


def _librdkafka(secure: Secure, mechanism: str | None, password: str) -> dict[str, Any]:
    trusted = {"ssl.ca.location": str(secure.authority)}
    if mechanism is None:
        return {"security.protocol": "ssl", **trusted}
    given = {"sasl.username": USER, "sasl.password": password}
    if mechanism == "OAUTHBEARER":
        given = {
            "enable.sasl.oauthbearer.unsecure.jwt": "true",
            "sasl.oauthbearer.config": f"principal={USER}",
        }
    return {"security.protocol": "sasl_ssl", "sasl.mechanism": mechanism, **given, **trusted}


def _sarama(secure: Secure, mechanism: str | None, password: str) -> dict[str, Any]:
    trusted = {"Net.TLS.Enable": True, "Net.TLS.Config.RootCAs": str(secure.authority)}
    if mechanism is None:
        return trusted
    given = {"Net.SASL.User": USER, "Net.SASL.Password": password}
    if mechanism == "OAUTHBEARER":
        given = {"Net.SASL.TokenProvider": f"unsecured:{USER}"}
    if mechanism.startswith("SCRAM-"):
        given["Net.SASL.SCRAMClientGeneratorFunc"] = mechanism.removeprefix("SCRAM-")
    return {"Net.SASL.Enable": True, "Net.SASL.Mechanism": mechanism, **given, **trusted}


def _franz_go(secure: Secure, mechanism: str | None, password: str) -> dict[str, Any]:
    trusted = {"DialTLSConfig": {"RootCAs": str(secure.authority)}}
    if mechanism is None:
        return trusted
    name = {"PLAIN": "plain", "SCRAM-SHA-512": "scram.Sha512", "OAUTHBEARER": "oauth"}[mechanism]
    given = {"User": USER, "Pass": password}
    if mechanism == "OAUTHBEARER":
        given = {"Token": f"unsecured:{USER}"}
    return {"SASL": [{name: given}], **trusted}


def _platformatic(secure: Secure, mechanism: str | None, password: str) -> dict[str, Any]:
    trusted = {"tls": {"ca": secure.authority.read_text(encoding="ascii")}}
    if mechanism is None:
        return trusted
    given = {"username": USER, "password": password}
    if mechanism == "OAUTHBEARER":
        given = {"token": _unsecured_token()}
    return {"sasl": {"mechanism": mechanism, **given}, **trusted}


def _aiokafka(secure: Secure, mechanism: str | None, password: str) -> dict[str, Any]:
    trusted = {"ssl_context": {"cafile": str(secure.authority)}}
    if mechanism is None:
        return {"security_protocol": "SSL", **trusted}
    given = {"sasl_plain_username": USER, "sasl_plain_password": password}
    if mechanism == "OAUTHBEARER":
        given = {"sasl_oauth_token_provider": f"unsecured:{USER}"}
    return {"security_protocol": "SASL_SSL", "sasl_mechanism": mechanism, **given, **trusted}


def _kafka_python(secure: Secure, mechanism: str | None, password: str) -> dict[str, Any]:
    options = _aiokafka(secure, mechanism, password)
    del options["ssl_context"]
    return options | {"ssl_cafile": str(secure.authority)}


def _unsecured_token() -> str:
    """A JSON web token that nobody signed (RFC 7519, section 6), good for an hour."""
    now = int(time.time())
    parts = {"alg": "none"}, {"sub": USER, "iat": now, "exp": now + 3600}
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return ".".join([*(part.rstrip("=") for part in encoded), ""])


OPTIONS = {
    "kafka-clients": _kafka_clients,
    "confluent-kafka": _librdkafka,
    "sarama": _sarama,
    "franz-go": _franz_go,
    "platformatic-kafka": _platformatic,
    "aiokafka": _aiokafka,
    "kafka-python": _kafka_python,
}


def _certificates(folder: Path) -> tuple[Path, Path]:
    """An authority, and the broker's key with its certificate; both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    authority, store = folder / "authority.pem", folder / "broker.pem"
    authority.write_bytes(public)
    store.write_bytes(private + public)
    return authority, store


def _settings(ports: list[int], store: Path) -> dict[str, str]:
    names = {"CLIENT": 0, "BROKER": 1, "TLS": 3, "SASL": 4}
    addresses = {name: f"{name}://127.0.0.1:{ports[at]}" for name, at in names.items()}
    modules = "org.apache.kafka.common.security"
    return {
        "listeners": ",".join([*addresses.values(), f"CONTROLLER://127.0.0.1:{ports[2]}"]),
        "advertised.listeners": ",".join(addresses.values()),
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,"
        "TLS:SSL,SASL:SASL_SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
        "listener.name.sasl.sasl.enabled.mechanisms": ",".join(MECHANISMS.values()),
        "listener.name.sasl.plain.sasl.jaas.config": (
            f'{modules}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        ),
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": (
            f"{modules}.scram.ScramLoginModule required;"
        ),
        "listener.name.sasl.oauthbearer.sasl.jaas.config": (
            f"{modules}.oauthbearer.OAuthBearerLoginModule required "
            'unsecuredLoginStringClaim_sub="broker";'
        ),
    }


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """One broker of the pinned Kafka, with the lab's listeners beside the secure ones."""
    folder = tmp_path_factory.mktemp("secure")
    authority, store = _certificates(folder)
    ports = resources.free_ports(5)
    patch = pytest.MonkeyPatch()
    patch.setenv("KAFKALAB_HOME", str(folder / "home"))
    engine = ProcessEngine(ports=lambda count: ports[:count])
    version = pins.load().brokers["kafka"]["pinned"]
    lease = Lease.create(f"secure-{uuid.uuid4().hex[:8]}", 300)
    spec = ClusterSpec(version, nodes=1, settings=_settings(ports, store))
    info = engine.start(spec, lease.run_id, lease)
    try:
        _add_user(engine.driver_bootstrap(info))
        yield Secure(*(f"127.0.0.1:{ports[at]}" for at in (0, 3, 4)), authority)
    finally:
        engine.stop(info)
        lease.release()
        patch.undo()


def _add_user(bootstrap: str) -> None:
    """SCRAM's users live in the cluster, not in its configuration."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    user = UserScramCredentialUpsertion(USER, how, PASSWORD.encode())
    for done in admin.alter_user_scram_credentials([user], request_timeout=30).values():
        done.result(30)


def _options(session, secure, capability, password=PASSWORD) -> dict[str, Any]:
    name = session.subject.name
    assert name in OPTIONS, f"{name} declares {capability}: write down its options in OPTIONS"
    return OPTIONS[name](secure, MECHANISMS.get(capability), password)


@pytest.mark.parametrize("capability", ["tls", *MECHANISMS])
def test_records_go_in_and_out(session, needs, secure, capability):
    needs(capability)
    options = _options(session, secure, capability)
    bootstrap = secure.tls if capability == "tls" else secure.sasl
    roles = {role: f"{role}-{capability}" for role in ("producer", "consumer", "admin")}
    if "admin" not in session.driver.hello["capabilities"]:
        del roles["admin"]
    for role, name in roles.items():
        session.must("open", name, role=role, bootstrap=bootstrap, options=options)
    topic = secure.topic()
    session.must("send", roles["producer"], topic=topic, records=[[0, 7, 64]])
    session.must("assign", roles["consumer"], partitions=[[topic, 0, 0]])
    assert [record[3] for record in session.poll_all(roles["consumer"], 1)] == [7]
    if "admin" in roles:
        assert session.must("describe_cluster", roles["admin"]).raw["brokers"] == [1]
    for name in roles.values():
        session.must("close", name, timeout_ms=5000)


@pytest.mark.parametrize("capability", ["sasl-plain", "sasl-scram"])
def test_a_wrong_password_is_an_error_and_never_ok(session, needs, secure, capability):
    needs(capability)
    options = _options(session, secure, capability, "wrong")
    name = f"intruder-{capability}"
    settings = {"bootstrap": secure.sasl, "options": options}
    # some ask again for half a minute, then open nothing
    opened = session.submit("open", name, role="producer", **settings).result(60)
    if opened.type == "ok":  # most clients connect later
        sending = session.submit("send", name, topic="t", records=[[0, 1, 64]])
        session.wait_for(lambda e: e["type"] == "invoke" and e["id"] == sending.op_id)
        told = session.wait_for(
            lambda e: (
                e["type"] == "error" or (e["type"] in ("fail", "info") and e["id"] == sending.op_id)
            )
        )
        session.must("close", name, timeout_ms=500)
        assert sending.result(20).type in ("fail", "info")
    else:
        told = opened.raw
    assert told["error"]["message"]
