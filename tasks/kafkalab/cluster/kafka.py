"""Apache Kafka as a Java program: its artifacts, JVM options and logging. Both engines use these.

Logging goes to the program's output through slf4j-simple, which all versions from 3.3 to 4.3
accept: one stream then has the broker's log and whatever the JVM says when it cannot go on. The
log4j backends that distributions ship cost half a second of CPU per start and split the log into
files.
"""

from __future__ import annotations

from kafkalab.runtime import pins

MAIN = "kafka.Kafka"
FORMAT_MAIN = "kafka.tools.StorageTool"

_LOGGING = {
    "defaultLogLevel": "info",
    "logFile": "System.out",
    "showDateTime": "true",
    "dateTimeFormat": "yyyy-MM-dd HH:mm:ss.SSS",
    # One line per partition and state change: hundreds per topic, in a file of its own elsewhere.
    "log.state.change.logger": "warn",
}


def coordinates(version: str) -> tuple[str, ...]:
    """Maven coordinates of a whole broker."""
    return (f"org.apache.kafka:kafka_2.13:{version}", pins.load().artifacts["slf4j"])


def jvm_options(heap_mb: int) -> tuple[str, ...]:
    """Options of a broker's JVM: small and quick to start rather than fast at its peak.

    Args:
        heap_mb: maximum heap in MiB.
    """
    logging = (f"-Dorg.slf4j.simpleLogger.{key}={value}" for key, value in _LOGGING.items())
    return (
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",  # a broker without memory must end, not linger
        "-XX:-UsePerfData",  # a mapped file in /tmp that kill -9 leaves behind
        "-Djava.awt.headless=true",
        "-showversion",  # the first words of every start, see `broker_log.last_start`
        *logging,
    )
