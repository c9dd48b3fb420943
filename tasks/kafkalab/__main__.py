"""The command line: steps for containers and tasks, and commands for people.

Exit codes: 0 pass, 1 fail, 2 usage or configuration, 3 unknown, 130 interrupted and cleaned up.
With `--json` one object stands on stdout and nothing else; progress and logs go to stderr. Modules
are imported where they are used, so that each command starts as fast as what it needs.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from kafkalab import __version__
from kafkalab.model.errors import ExitCode, LabError

app = typer.Typer(
    name="kafkalab",
    help="Nightly and per-merge evidence that a Kafka client or broker still keeps its promises.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_ENGINES = "auto, process or docker."
_SEED = "0: draw one and print it."

Subjects = Annotated[list[str] | None, typer.Option("--subject", help="NAME@VERSION, repeatable.")]
Scenarios = Annotated[list[str] | None, typer.Option("--scenario", help="Such as C01, repeatable.")]
Brokers = Annotated[list[str] | None, typer.Option("--broker", help="oldest, pinned or newest.")]
EngineName = Annotated[str, typer.Option("--engine", help=_ENGINES)]
Seed = Annotated[int, typer.Option("--seed", help=_SEED)]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="KEY=VALUE", help="Any other parameter of it, repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
RunUri = Annotated[str, typer.Option("--run", help="URI of the run in the store.")]
Attempt = Annotated[int, typer.Option("--attempt", min=1)]


@app.command("run")
def run_command(
    dag: Annotated[str, typer.Argument(help="DAG id, such as kafka_smoke.")],
    subject: Subjects = None,
    scenario: Scenarios = None,
    broker: Brokers = None,
    engine: Annotated[str | None, typer.Option(help=f"{_ENGINES} Default: auto.")] = None,
    seed: Annotated[int | None, typer.Option(help=f"{_SEED} Default: 0.")] = None,
    param: Params = None,
    json_output: Json = False,
) -> None:
    """Execute a DAG through Airflow on this host, live, and end with its verdict."""
    from kafkalab.cli import run

    options = {
        "subjects": subject,
        "scenarios": scenario,
        "brokers": broker,
        "engine": engine,
        "seed": seed,
    }
    given = {name: value for name, value in options.items() if value not in (None, [])}
    _exit(run.run(dag, given, param or [], json_output))


@app.command("try")
def try_command(
    scenario: Annotated[str, typer.Argument(help="Scenario id, such as C01.")],
    client: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME@VERSION, NAME@path:DIR, NAME@git:REPO#REF, NAME@image:REF or defect:KIND. "
            "Repeat it for a group of several. Default: confluent-kafka@pinned."
        ),
    ] = None,
    broker: Annotated[str, typer.Option(help="kafka@VERSION.")] = "kafka@pinned",
    engine: EngineName = "auto",
    seed: Seed = 0,
    profile: Annotated[str, typer.Option(help="Load profile: smoke or nightly.")] = "smoke",
    json_output: Json = False,
) -> None:
    """Provision, run one cell, judge, tear down; without Airflow."""
    from kafkalab.cli import single

    clients = tuple(client or ["confluent-kafka@pinned"])
    wanted = single.Wanted(scenario, clients, broker, engine, seed, profile)
    _exit(single.run(wanted, json_output))


@app.command("check")
def check_command(
    history: Annotated[str, typer.Argument(help="A history.parquet; --format jepsen: an .edn.")],
    claims: Annotated[
        str, typer.Option(help="By comma; default: as the verdict.json beside it, else all.")
    ] = "",
    form: Annotated[
        str, typer.Option("--format", help="lab, or jepsen: of Jepsen's Kafka workload.")
    ] = "lab",
    memory: Annotated[
        str, typer.Option(metavar="SIZE", help="Such as 8GiB; what needs more spills to disk.")
    ] = "",
    spill: Annotated[
        str, typer.Option(metavar="DIR", help="Where to; default: the temporary folder.")
    ] = "",
    shrink: Annotated[
        str, typer.Option(metavar="OUT.parquet", help="Write the smallest part that is as red.")
    ] = "",
    json_output: Json = False,
) -> None:
    """Judge a recorded history."""
    from kafkalab.cli import check

    wanted = tuple(c for c in claims.split(",") if c)
    _exit(check.run(history, wanted, json_output, check.Options(form, memory, spill, shrink)))


@app.command("replay")
def replay_command(
    cell: Annotated[str, typer.Argument(metavar="RUN/CELL", help="As a red cell names it.")],
    json_output: Json = False,
) -> None:
    """Repeat one cell of an earlier run: same scenario, load, subjects, engine and seed."""
    from kafkalab.cli import single

    _exit(single.replay(cell, json_output))


@app.command("report")
def report_command(
    run: Annotated[str, typer.Argument(help="Run id, prefix, URI, or a part that is unique.")],
    json_output: Json = False,
) -> None:
    """Show a run's verdicts again and where its report is."""
    from kafkalab.cli import summary

    _exit(summary.show(run, json_output))


@app.command("clients")
def clients_command(
    subjects: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME@VERSION...]", help="Build these, too, and ask them."),
    ] = None,
    json_output: Json = False,
) -> None:
    """The clients that can be put under test, what is built here, and what each can do."""
    from kafkalab.cli import clients

    _exit(clients.run(tuple(subjects or ()), json_output))


@app.command("doctor")
def doctor_command(json_output: Json = False) -> None:
    """What this host can do, what it lacks, and how to get it."""
    from kafkalab.cli import doctor

    _exit(doctor.run(json_output))


@app.command("reap")
def reap_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would end.")] = False,
) -> None:
    """End what dead runs left: processes, containers and networks without a valid lease."""
    from kafkalab.cli import host

    _exit(host.reap(dry_run))


@app.command("up")
def up_command(
    port: Annotated[int, typer.Option(help="Of the UI; 0: 8080, or any free one.")] = 0,
) -> None:
    """Start Airflow (UI, scheduler) and the embedded store on this host."""
    from kafkalab.cli import host

    _exit(host.up(port))


@app.command("down")
def down_command() -> None:
    """Stop all that `up` started."""
    from kafkalab.cli import host

    _exit(host.down())


@app.command("setup", hidden=True)
def setup_command() -> None:
    """Fetch what a first run needs: brokers, drivers, the embedded store."""
    from kafkalab.cli import host

    _exit(host.setup())


@app.command("images")
def images_command(
    names: Annotated[list[str] | None, typer.Argument(help="NAME[@VERSION]; default: all.")] = None,
    base: Annotated[str, typer.Option(help="Base image for all; default: each Dockerfile's.")] = "",
) -> None:
    """Build the images of the docker engine."""
    from kafkalab.cli import host

    _exit(host.images(tuple(names or ()), base))


@app.command("plan", hidden=True)
def plan_command(
    workflow: Annotated[str, typer.Option()],
    run_id: Annotated[str, typer.Option("--run-id")],
    params: Annotated[str, typer.Option()] = "{}",
    attempt: Attempt = 1,
) -> None:
    """Step: plan a run and write run.json."""
    from kafkalab.steps import plan

    _exit(plan.step(workflow, run_id, params, attempt))


@app.command("baseline", hidden=True)
def baseline_command(
    run: Annotated[str, typer.Option(help="Run id, prefix or URI.")],
    accepted_by: Annotated[str, typer.Option()],
    why: Annotated[str, typer.Option()],
    lane: Annotated[str, typer.Option()] = "",
) -> None:
    """Step: accept the baseline that a run proposed."""
    from kafkalab.steps import baseline

    _exit(baseline.step(run, lane, accepted_by, why))


def _step(name: str) -> None:
    def command(
        run: RunUri,
        attempt: Attempt = 1,
        cell: Annotated[str, typer.Option()] = "",
        role: Annotated[str, typer.Option()] = "",
    ) -> None:
        from kafkalab.steps.frame import Request, execute
        from kafkalab.steps.registry import step_named

        ended = execute(Request(name, run, attempt, cell, role), step_named(name))
        typer.echo(ended.line())
        _exit(ended.code)

    app.command(name, hidden=True, help=f"Step: {name} of an existing run.")(command)


for _name in (
    "provision", "correctness", "backpressure", "memory", "benchmark", "compat", "teardown",
    "gate", "publish",
):  # fmt: skip
    _step(_name)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit(0)


def _exit(code: int) -> None:
    raise typer.Exit(int(code))


def main() -> None:
    """Entry point: turns every error into a sentence and an exit code."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    # A shell starts background jobs with SIGINT ignored; what is told to stop must stop then, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        code = ExitCode.INTERRUPTED
    except TyperException as error:  # an unknown option, a missing argument
        sys.stderr.write(f"kafkalab: {error.format_message()} See `kafkalab --help`.\n")
        code = ExitCode.USAGE
    except LabError as error:
        sys.stderr.write(f"kafkalab: {error}\n")
        code = error.exit_code
    sys.exit(int(code or 0))


if __name__ == "__main__":
    main()
