import pytest

from kafkalab.cluster.broker_log import ALLOWED, CRASH, ERROR, Allowed, errors, last_start, tail

INFO = "2026-11-21 08:26:18.176 [main] INFO kafka.server.KafkaRaftServer - ERROR is only a word"
WARN = "2026-11-21 08:26:18.176 [main] WARN kafka.server.KafkaRaftServer - careful"
BROKEN = "2026-11-21 08:26:19.000 [data-plane-1] ERROR kafka.server.KafkaApis - unexpected error"
TRACE = ["java.lang.IllegalStateException: no", "\tat kafka.server.KafkaApis.handle(KafkaApis:1)"]


def log(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def test_a_quiet_log_has_no_findings() -> None:
    assert errors(log(INFO, WARN, "   ERROR in a continuation line")) == []


def test_an_error_is_found_with_its_place_and_trace() -> None:
    (finding,) = errors(log(INFO, BROKEN, *TRACE, INFO))

    assert finding.claim == ERROR
    assert finding.line == 2
    assert finding.time == "2026-11-21 08:26:19.000"
    assert finding.detail == "\n".join(TRACE)
    assert "unexpected error" in str(finding)


def test_kafkas_own_line_format_is_understood() -> None:
    line = "[2026-11-21 08:26:19,000] ERROR Shutdown broker because of error (kafka.log.LogManager)"

    assert [f.claim for f in errors(log(line))] == [ERROR]


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-21 08:26:19.000 [main] FATAL kafka.Kafka - no more",
        "Terminating due to java.lang.OutOfMemoryError: Java heap space",
        "# A fatal error has been detected by the Java Runtime Environment:",
        'Exception in thread "main" java.lang.NoClassDefFoundError: kafka/Kafka',
        "OpenJDK 64-Bit Server VM warning: There is insufficient memory for the Java Runtime",
        "Error: Could not find or load main class kafka.Kafka",
    ],
)
def test_a_jvm_that_ends_is_a_crash(line: str) -> None:
    assert [f.claim for f in errors(log(INFO, line))] == [CRASH]


def test_an_allowed_error_does_not_count_and_only_that_one() -> None:
    allow = [Allowed("IllegalStateException: no", "planned")]
    other = BROKEN.replace("unexpected", "another")

    assert [f.text for f in errors(log(BROKEN, *TRACE, other), allow)] == [other]


def test_every_allowed_error_says_why() -> None:
    assert all(each.why for each in ALLOWED)


def test_the_race_of_3_9_at_shutdown_is_allowed() -> None:
    head = BROKEN.replace("unexpected error", "[ControllerApis nodeId=3] Unexpected error handling")
    cause = (
        'java.lang.NullPointerException: Cannot invoke "kafka.raft.KafkaRaftManager.client()" '
        'because the return value of "kafka.server.ControllerServer.raftManager()" is null'
    )

    assert errors(log(head, cause)) == []
    assert len(errors(log(head, cause), allow=())) == 1


def test_the_two_requests_that_an_election_may_overtake_are_allowed_and_no_other() -> None:
    said = (
        "[ControllerApis nodeId=3] Unexpected error handling request RequestHeader(apiKey=%s, ..."
    )
    head = BROKEN.replace("unexpected error", said)
    trace = [
        "java.util.concurrent.CompletionException: wrapped",
        "Caused by: org.apache.kafka.common.errors.NotControllerException: The active controller "
        "appears to be node 2.",
    ]

    assert errors(log(head % "CONTROLLER_REGISTRATION", *trace)) == []
    assert len(errors(log(head % "CONTROLLER_REGISTRATION", *TRACE))) == 1
    assert len(errors(log(head % "CREATE_TOPICS", *trace))) == 1

    said = "[Controller 3] %s: unable to start processing because of %s."
    head = BROKEN.replace("unexpected error", said)
    assert errors(log(head % ("createTopics", "NotControllerException"))) == []
    assert len(errors(log(head % ("createTopics", "TimeoutException")))) == 1
    assert len(errors(log(head % ("deleteTopics", "NotControllerException")))) == 1


def test_tail_says_when_a_log_is_empty() -> None:
    assert tail("") == "(its log is empty)"
    assert tail("a\nb\nc\n", 2) == "b\nc"


def test_the_last_start_is_told_by_the_jvms_first_words() -> None:
    version = 'openjdk version "21.0.8" 2025-07-15 LTS'

    assert last_start(log(version, BROKEN, version, INFO)) == log(version, INFO)
    assert last_start(log(INFO)) == log(INFO)
