"""The driver of confluent-kafka: obeys docs/driver-contract.md on stdin and stdout.

Written on the kit (docker/clients/kit-python); each client has a thread of its own. Roles are in
ROLES: a wrapper of this driver may pass its own to `main`. No option of this client that takes a
function can be set from outside.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

if importlib.util.find_spec("driverkit") is None:  # run straight from the checkout
    sys.path.append(str(Path(__file__).resolve().parents[1] / "kit-python"))

import confluent_kafka
import driverkit
from client import RdkafkaClient
from consumer import ConsumerClient
from producer import ProducerClient

_KIP848 = 0x020C0000  # the librdkafka since which the new group protocol is for production
CAPABILITIES = [
    "produce",
    "consume",
    "idempotence",
    "transactions",
    "cooperative",
    "static-membership",
    "pause",
    "seek",
    "position",
    "commit-sync",
    "commit-async",
    "auto-commit",
    "loop-produce",
    "loop-consume-poll",
    "loop-consume-batch",
    "headers",
    "null-headers",
    "repeated-headers",
    "buffered-records",
]
_BUILT_IN = {  # of librdkafka's builtin.features
    "gzip": "compression-gzip",
    "snappy": "compression-snappy",
    "lz4": "compression-lz4",
    "zstd": "compression-zstd",
    "ssl": "tls",
    "sasl_plain": "sasl-plain",
    "sasl_scram": "sasl-scram",
    "sasl_oauthbearer": "oauthbearer",
}

ROLES: dict[str, type[RdkafkaClient]] = {"producer": ProducerClient, "consumer": ConsumerClient}
try:
    from admin import AdminRole
except ImportError:  # this version's AdminClient lacks what the contract needs of an admin
    pass
else:
    ROLES["admin"] = AdminRole
    CAPABILITIES.append("admin")
if confluent_kafka.libversion()[1] >= _KIP848:
    CAPABILITIES.append("kip848")


def built_with(feature: str) -> bool:
    """Whether librdkafka has a feature.

    It refuses `builtin.features` that it was not built with, and says so by that name; where it
    has the feature it refuses the next key, so no client is made.
    """
    try:
        confluent_kafka.Producer({"builtin.features": feature, "no.such.property": ""})
    except confluent_kafka.KafkaException as refusal:
        return "builtin.features" not in str(refusal)
    raise AssertionError("librdkafka took a property that it does not have")


CAPABILITIES += [name for feature, name in _BUILT_IN.items() if built_with(feature)]


def main(roles: Mapping[str, type[RdkafkaClient]] = ROLES) -> int:
    """Run until the end of stdin or SIGTERM, then close every client."""
    about = driverkit.About(
        driver="confluent-kafka",
        client="confluent-kafka",
        version=confluent_kafka.__version__,
        library=f"librdkafka {confluent_kafka.libversion()[0]}",
        capabilities=CAPABILITIES,
    )
    return driverkit.main(about, roles)


if __name__ == "__main__":
    sys.exit(main())
