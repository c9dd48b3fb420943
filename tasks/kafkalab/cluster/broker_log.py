"""What a broker's log says against the broker: errors that are not on the allow list, and crashes.

The claims `error-in-log` and `crash` rest on this. A log line is

    2026-11-21 08:26:18.176 [thread] LEVEL logger - message

(or Kafka's own `[time] LEVEL message (logger)`), followed by lines that belong to it, such as a
stack trace. An entry counts when its level is ERROR or FATAL, or when the JVM itself says that it
ends (out of memory, a fatal signal, an exception in the main thread). The allow list is data: each
pattern has the reason why its error says nothing against the broker. Faults that a scenario
injects add their own.

Not checked: WARN, and what a broker does wrong without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

CRASH = "crash"
ERROR = "error-in-log"

_HEAD = re.compile(
    r"^\[?(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]\d{3})\]?\s+"
    r"(?:\[(?P<thread>.*?)\] )?(?P<level>TRACE|DEBUG|INFO|WARN|ERROR|FATAL)\s+(?P<text>.*)$"
)
_JVM_ENDS = re.compile(
    r"^Terminating due to java\.lang\.OutOfMemoryError"
    r"|^# A fatal error has been detected by the Java Runtime"
    r"|^Exception in thread \"main\""
    r"|There is insufficient memory for the Java Runtime"
    r"|^Error: (?:Could not|A JNI error)"
)
_JVM_STARTS = re.compile(r"^(?:openjdk|java) version \"", re.MULTILINE)
_FOLLOWING_LINES = 20  # of a stack trace, as evidence


@dataclass(frozen=True)
class Allowed:
    """An error that says nothing against the broker."""

    pattern: str  # searched in the entry, head and following lines
    why: str


@dataclass(frozen=True)
class LogFinding:
    """One entry that counts against a broker."""

    claim: str  # error-in-log | crash
    time: str  # as the log has it; empty where the JVM wrote without one
    line: int  # 1-based
    text: str  # first line of the entry
    detail: str  # the lines after it, at most 20

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


ALLOWED: tuple[Allowed, ...] = (
    Allowed(
        r'KafkaRaftManager\.client\(\)" because the return value of .*raftManager\(\)" is null',
        "3.9: a node that shuts down still answers the quorum while its Raft manager is gone",
    ),
    Allowed(
        r"Unexpected error handling request RequestHeader\(apiKey=CONTROLLER_REGISTRATION[\s\S]*"
        r"NotControllerException: The active controller appears to be node",
        "3.9: a controller registers with one that another election has overtaken, and asks again",
    ),
    Allowed(
        r"createTopics: unable to start processing because of NotControllerException",
        "3.3: a topic is asked of a controller that another election has overtaken; who asked "
        "asks the new one",
    ),
)


def errors(log: str, allow: Sequence[Allowed] = ALLOWED) -> list[LogFinding]:
    """Entries of a log that count against its broker, in order.

    Args:
        log: everything that the broker logged.
        allow: errors that do not count; a scenario's faults bring their own.

    Raises:
        re.error: a pattern of the allow list is none.
    """
    patterns = [re.compile(each.pattern) for each in allow]
    findings = []
    for number, head, following in _entries(log.splitlines()):
        claim = _claim(head)
        whole = "\n".join((head, *following))
        if claim is None or any(pattern.search(whole) for pattern in patterns):
            continue
        match = _HEAD.match(head)
        findings.append(
            LogFinding(
                claim=claim,
                time=match["time"] if match else "",
                line=number,
                text=head.strip(),
                detail="\n".join(following[:_FOLLOWING_LINES]),
            )
        )
    return findings


def last_start(log: str) -> str:
    """The log since the broker was last started; all of it where no start can be told."""
    starts = [match.start() for match in _JVM_STARTS.finditer(log)]
    return log[starts[-1] :] if starts else log


def tail(log: str, lines: int = 15) -> str:
    """The last lines of a log, for an error message; says so when there are none."""
    last = log.splitlines()[-lines:]
    return "\n".join(last) if last else "(its log is empty)"


def _claim(head: str) -> str | None:
    if _JVM_ENDS.search(head):
        return CRASH
    match = _HEAD.match(head)
    if match and match["level"] == "FATAL":
        return CRASH
    return ERROR if match and match["level"] == "ERROR" else None


def _entries(lines: Sequence[str]) -> Iterator[tuple[int, str, list[str]]]:
    """Line number, first line and following lines of each entry."""
    start, head, following = 0, "", list[str]()
    for number, line in enumerate(lines, start=1):
        if _HEAD.match(line) or _JVM_ENDS.search(line):
            if start:
                yield start, head, following
            start, head, following = number, line, []
        elif start:
            following.append(line)
    if start:
        yield start, head, following


def summary(findings: Iterable[LogFinding]) -> str:
    """Findings for people, one a line."""
    return "\n".join(str(finding) for finding in findings)
