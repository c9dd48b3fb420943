"""The driver of aiokafka: obeys docs/driver-contract.md on stdin and stdout.

Written on the kit (docker/clients/kit-python); all clients live on one event loop. Options that are
functions are listed in settings.py.
"""

from __future__ import annotations

import importlib.util
import inspect
import logging
import platform
import sys
from pathlib import Path

if importlib.util.find_spec("driverkit") is None:  # run straight from the checkout
    sys.path.append(str(Path(__file__).resolve().parents[1] / "kit-python"))

import aiokafka
import driverkit
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from consumer import ConsumerClient
from driverkit import aio
from producer import ProducerClient

ROLES = {"producer": ProducerClient, "consumer": ConsumerClient}
CAPABILITIES = [
    "produce",
    "consume",
    "pause",
    "seek",
    "headers",
    "null-headers",
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
    "connects-on-open",
    "key-or-value",
    "silent-close",
]
_BY_ARGUMENT = {  # of the consumer or the producer of the loaded version
    "enable_idempotence": ("idempotence",),
    "transactional_id": ("transactions",),
    "group_instance_id": ("static-membership",),
    "ssl_context": ("tls",),
    "sasl_plain_username": ("sasl-plain", "sasl-scram"),
    "sasl_oauth_token_provider": ("oauthbearer",),
}


def capabilities() -> list[str]:
    """What the loaded version can do: by its arguments, and by the codecs that it finds."""
    arguments = {
        name
        for native in (AIOKafkaConsumer, AIOKafkaProducer)
        for name in inspect.signature(native.__init__).parameters
    }
    found = [name for key, names in _BY_ARGUMENT.items() if key in arguments for name in names]
    codecs = AIOKafkaProducer._COMPRESSORS  # noqa: SLF001 what it looks at itself, in every version
    found += [f"compression-{codec}" for codec, (has, _) in codecs.items() if has()]
    return [*CAPABILITIES, *found]


def main() -> int:
    """Run until the end of stdin or SIGTERM, then close every client."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")  # to stderr
    about = driverkit.About(
        driver="aiokafka",
        client="aiokafka",
        version=aiokafka.__version__,
        library=f"asyncio of Python {platform.python_version()}",
        capabilities=capabilities(),
    )
    return aio.main(about, ROLES)


if __name__ == "__main__":
    sys.exit(main())
