"""The driver of kafka-python: obeys docs/driver-contract.md on stdin and stdout.

Written on the kit (docker/clients/kit-python); each client has a thread of its own. One source for
2.0.2 and later. Options that take an object of Python are given by name (`settings.py`):

    partition_assignment_strategy   names of the client's assignors, in a list: range, sticky, ..
    partitioner                     a class of `kafka.partitioner`: StickyPartitioner
    sasl_oauth_token_provider       unsecured:SUBJECT, tokens that nobody signed
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path

if importlib.util.find_spec("driverkit") is None:  # run straight from the checkout
    sys.path.append(str(Path(__file__).resolve().parents[1] / "kit-python"))

import driverkit
import kafka
from client import KafkaPythonClient
from consumer import ConsumerClient
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, codec
from kafka.coordinator.consumer import ConsumerCoordinator
from producer import ProducerClient
from settings import ASSIGNORS

ROLES: dict[str, type[KafkaPythonClient]] = {"producer": ProducerClient, "consumer": ConsumerClient}


def capabilities() -> list[str]:
    """What the loaded version can do."""
    producer, consumer = KafkaProducer.DEFAULT_CONFIG, KafkaConsumer.DEFAULT_CONFIG
    found = {
        "idempotence": "enable_idempotence" in producer,
        "transactions": hasattr(KafkaProducer, "init_transactions"),
        "cooperative": "cooperative-sticky" in ASSIGNORS,
        "kip848": "group_protocol" in consumer,
        "static-membership": "group_instance_id" in consumer,
        "compression-snappy": codec.has_snappy(),
        "compression-lz4": codec.has_lz4(),
        "compression-zstd": hasattr(codec, "has_zstd") and codec.has_zstd(),
        # Up to 2.3 a consumer that closes does not call its listener.
        "silent-close": not hasattr(ConsumerCoordinator, "_on_close_prepare_async"),
    }
    always = [
        "produce",
        "consume",
        "pause",
        "seek",
        "headers",
        "repeated-headers",
        "generation",
        "position",
        "commit-sync",
        "commit-async",
        "auto-commit",
        "loop-produce",
        "loop-consume-poll",
        "loop-consume-batch",
        "loop-consume-stream",
        "compression-gzip",
        "tls",
        "sasl-plain",
        "sasl-scram",
        "oauthbearer",
        "connects-on-open",
        "key-or-value",
    ]
    return [*always, *(name for name, has in found.items() if has)]


def main() -> int:
    """Run until the end of stdin or SIGTERM, then close every client."""
    # The client logs what it reports nowhere else; by itself it is silent.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    about = driverkit.About(
        driver="kafka-python",
        client="kafka-python",
        version=kafka.__version__,
        library="kafka-python, in Python alone",
        capabilities=capabilities(),
    )
    roles = dict(ROLES)
    # Earlier versions cannot say where a partition ends, or what one group has.
    if hasattr(KafkaAdminClient, "list_partition_offsets"):
        from admin import AdminRole

        roles["admin"] = AdminRole
        about.capabilities.append("admin")
    return driverkit.main(about, roles)


if __name__ == "__main__":
    sys.exit(main())
