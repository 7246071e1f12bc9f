"""What a run was meant to do, where and when, and of which servers."""

from msgspec import field

from harness.plan import ONE_CORE, Record, Slicing


class ServerFacts(Record, frozen=True):
    """What is known of a server besides its figures.

    Attributes:
        code_lines: lines of code, without blank lines, comments and docstrings.
        code_branches: places where its code branches; `facts.code_branches` says what counts.
        factors: what besides its model has a share in its figures, by name: event loop, API level, ...
        regime: "one core" or "all cores".
        most_clients: how many it can serve at once, if that is known to be limited.
        loop: what makes the event loop that it runs on, if that is one of the caller's own.
        mistake: what it does wrong on purpose; empty for all others.
        refusal: why it cannot run at all on the interpreter that was chosen for it; "" if it can.
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
    loop: str = ""
    mistake: str = ""
    refusal: str = ""


class PythonBuild(Record, frozen=True):
    """How a Python was built, as far as that decides how fast it is.

    Attributes:
        profile_guided: the compiler knew from a trial run which ways are taken (PGO, `--enable-optimizations`).
        link_time: it optimised across files (LTO, `--with-lto`).
        debug: it checks itself (`--with-pydebug`).
        free_threaded: it has no global lock (`--disable-gil`).
        compiler: with its version.
        jit: it compiles while it runs.
    """

    profile_guided: bool
    link_time: bool
    debug: bool
    free_threaded: bool
    compiler: str
    jit: bool = False

    @property
    def features(self) -> str:
        """In a few words what decides how fast it is."""
        optimised = f"{_with(self.profile_guided)} PGO, {_with(self.link_time)} LTO"
        lock = f", {_with(not self.free_threaded)} the lock"
        return f"{optimised}{lock}{', with a JIT' * self.jit}{', with debug checks' * self.debug}"


def _with(there: bool) -> str:  # noqa: FBT001 - it is what is said
    return "with" if there else "without"


class InterpreterFacts(Record, frozen=True):
    """An interpreter that servers ran on, other than the harness's own.

    Attributes:
        label: what stands behind the `@` of its servers' names.
        python: what it is, and its version.
        libraries: those that servers need, with their versions, or with why they are not to be had there.
    """

    label: str
    python: str
    build: PythonBuild
    libraries: dict[str, str]


class Environment(Record, frozen=True):
    """Where a run was made.

    Attributes:
        python_build: None if that was not kept.
        cpu_mhz: the frequency when the run began; None where the kernel does not tell.
        cpu_governor: who decides on it, between which limits; "" likewise.
    """

    python: str
    libraries: dict[str, str]
    kernel: str
    cpu: str
    cores: int
    server_cores: tuple[int, ...]
    generator_cores: tuple[int, ...]
    memory_bytes: int
    open_files_limit: tuple[int, int]
    python_build: PythonBuild | None = None
    cpu_mhz: float | None = None
    cpu_governor: str = ""


class Design(Record, frozen=True, kw_only=True):
    """What was planned.

    Attributes:
        workloads: in their order.
        blocks: of the workload that has the most.
        blocks_of: of each workload, as planned; empty if all were to have the same.
        warmup_s, duration_s: of each launch, if its workload says nothing else.
        seed: it decides on the order.
        planned_cells: launches, those not counted that were made again.
        twin_of, twin: a server that was measured under two names, and the second name; empty if none was.
        slicing: how the servers of a block were loaded in turn; None if each was launched by itself.
        generators: how many processes loaded each server.
        gate_cases: the cases, or groups of them, that a server had to pass before; none for the whole suite.
        whole_s: the time that all was to take, whatever number of blocks that gives; None if that number was given.
    """

    workloads: tuple[str, ...]
    blocks: int
    blocks_of: dict[str, int] = field(default_factory=dict)
    warmup_s: float
    duration_s: float
    seed: int
    planned_cells: int
    twin_of: str = ""
    twin: str = ""
    slicing: Slicing | None = None
    whole_s: float | None = None
    generators: int = 1
    gate_cases: tuple[str, ...] = ()


class PrecisionGoal(Record, frozen=True):
    """A wanted precision, from which the number of blocks follows.

    Attributes:
        half_width: of the 95 % interval of every ratio of two servers, as a share: 0.03 for ±3 %.
        metric: of which.
        within_s: the time that measuring may take; the round that was begun by then is ended.
    """

    half_width: float
    metric: str
    within_s: float


class RunProgress(Record, frozen=True, kw_only=True):
    """How far a run has come.

    Attributes:
        complete: every cell of the plan was measured.
        seconds: how long it took, the conformance gate included; of several sittings together, if it was resumed.
        resumed: how often it was interrupted, and gone on with.
    """

    complete: bool = False
    seconds: float = 0.0
    resumed: int = 0


class Manifest(Record, frozen=True, kw_only=True):
    """What a run was meant to do, where and when.

    Attributes:
        schema: of the files of its folder.
        command: as the user gave it.
        harness_hash: of the harness's own sources.
        remark: what else a reader has to know of how this run came about.
        goal: the precision to reach; None if the number of blocks was given.
        states: for each part of the run, the hash of what it stands on.
        proved_by: of servers that an earlier run judged by exactly the same suite, in the same state and on the same machine:
            the folder of that run. Their verdicts are copies.
    """

    schema: int
    started: str
    command: tuple[str, ...]
    revision: str
    harness_hash: str = ""
    remark: str = ""
    servers: tuple[ServerFacts, ...]
    interpreters: tuple[InterpreterFacts, ...] = ()
    environment: Environment
    design: Design
    goal: PrecisionGoal | None = None
    progress: RunProgress = RunProgress()
    states: dict[str, str] = field(default_factory=dict)
    proved_by: dict[str, str] = field(default_factory=dict)
