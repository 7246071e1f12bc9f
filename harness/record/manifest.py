"""What a run was meant to do, where and when, and of which servers."""

from dataclasses import dataclass, field

from harness.plan import ONE_CORE


@dataclass(frozen=True)
class ServerFacts:
    """What is known of a server besides its figures.

    Attributes:
        code_lines: lines of code, without blank lines, comments and docstrings.
        code_branches: places where its code branches; `environment.code_branches` says what counts.
        factors: what besides its model has a share in its figures, by name: event loop, API level, ...
        regime: "one core" or "all cores".
        most_clients: how many it can serve at once, if that is known to be limited.
    """

    label: str
    model: str
    declares: tuple[str, ...]
    command: str
    file: str
    code_lines: int
    source_hash: str
    code_branches: int = 0
    factors: dict[str, str] = field(default_factory=dict)
    regime: str = ONE_CORE
    most_clients: int | None = None


@dataclass(frozen=True)
class Environment:
    """Where a run was made."""

    python: str
    libraries: dict[str, str]
    kernel: str
    cpu: str
    cores: int
    server_cores: tuple[int, ...]
    generator_cores: tuple[int, ...]
    memory_bytes: int
    open_files_limit: tuple[int, int]


@dataclass(frozen=True)
class Manifest:
    """What a run was meant to do, where and when.

    Attributes:
        complete: every cell of the plan was measured.
        blocks: of the workload that has the most.
        planned_cells: launches, those not counted that were made again.
        seconds: how long it took, the conformance gate included; of several sittings together, if it was resumed.
        precision, precision_of, within_minutes: the half-width that was asked for, of which metric, and the time for
            it; None and empty if the number of blocks was given.
        blocks_of: of each workload, as planned; empty if all were to have the same.
        harness_hash: of the harness's own sources.
        resumed: how often it was interrupted, and gone on with.
        twin_of, twin: a server that was measured under two names, and the second name; empty if none was.
        remark: what else a reader has to know of how this run came about.
    """

    schema: int
    started: str
    command: tuple[str, ...]
    revision: str
    servers: tuple[ServerFacts, ...]
    workloads: tuple[str, ...]
    blocks: int
    warmup_s: float
    duration_s: float
    seed: int
    planned_cells: int
    environment: Environment
    complete: bool
    seconds: float
    precision: float | None = None
    precision_of: str = ""
    within_minutes: float | None = None
    blocks_of: dict[str, int] = field(default_factory=dict)
    harness_hash: str = ""
    remark: str = ""
    resumed: int = 0
    twin_of: str = ""
    twin: str = ""
