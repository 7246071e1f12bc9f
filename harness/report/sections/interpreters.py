"""What the interpreter makes of each model: requests/s and CPU side by side, and what no longer holds without its lock."""

from collections.abc import Iterator, Sequence
from typing import Final

from harness.analyse.analysis import Analysis
from harness.analyse.comparisons import BETTER, WORSE, Comparison
from harness.analyse.interpreters import Freed, InterpreterGroup, OfInterpreters, OnInterpreter
from harness.plan import by_name
from harness.record import Manifest
from harness.report.blocks import Blocks, Column, Heading, Text, grid, numbers, points, words
from harness.report.wording import capital, interval

RPS: Final = "throughput_rps"
CPU: Final = "cpu_us_per_request"
LETTERS: Final = Column("")


def interpreters_page(analysis: Analysis) -> Blocks:
    """Show each model on all its interpreters; nothing if servers ran on the harness's own alone."""
    manifest = analysis.results.manifest
    if not manifest.interpreters:
        return []
    return [
        Heading("On other interpreters", 1),
        *_interpreters(manifest),
        *points(f"`{facts.label}` is N/A: {facts.refusal}." for facts in manifest.servers if facts.refusal),
        *_without_the_lock(analysis.interpreters),
        *_groups(analysis.interpreters.groups),
        *_freed(analysis.interpreters.freed),
    ]


def _interpreters(manifest: Manifest) -> Blocks:
    rows = (
        (
            f"`{each.label}`",
            each.python,
            each.build.features,
            each.build.compiler,
            ", ".join(f"{library} {told}" for library, told in each.libraries.items()),
        )
        for each in manifest.interpreters
    )
    return [
        grid(words("`@`", "interpreter", "built", "by", "libraries"), rows),
        Text(
            "PGO and LTO are what an interpreter's `configure` was told: whoever builds it otherwise, as Debian does with both, leaves no word of it."
        ),
    ]


def _without_the_lock(found: OfInterpreters) -> Blocks:
    """Say which models gain by more cores without a lock, and do not with one."""
    with_it: dict[Freed, list[Freed]] = {}
    for locked, unlocked in found.no_longer_holds:
        with_it.setdefault(unlocked, []).append(locked)
    lines = [
        f"{capital(by_name(unlocked.workload).title)}, `{unlocked.named.model}`: free on all cores it answered so many times as much as pinned "
        f"to one: {', '.join(map(_on, locked))}; and {_on(unlocked)}."
        for unlocked, locked in with_it.items()
    ]
    return [Heading("What no longer holds without the lock"), *points(lines)] if lines else []


def _on(freed: Freed) -> str:
    return f"{_ratio(freed.found)} on {_interpreter(freed)}"


def _interpreter(freed: Freed) -> str:
    return f"`{freed.named.interpreter}`" if freed.named.interpreter else "the harness's own interpreter"


def _groups(groups: Sequence[InterpreterGroup]) -> Blocks:
    if not groups:
        return []
    columns = (
        *words("workload", "server", "interpreter"),
        *numbers("requests/s", "ratio"),
        LETTERS,
        *numbers("CPU µs per request", "ratio"),
        LETTERS,
    )
    return [
        Heading("Each model by interpreter"),
        Text(
            "Measured in the same blocks. Ratios are to the first interpreter of a model; those of one model that share a letter "
            "were not told apart."
        ),
        grid(columns, (row for group in groups for row in _rows(group))),
    ]


def _rows(group: InterpreterGroup) -> Iterator[tuple[str, ...]]:
    name = "+".join((group.model, *group.ways))
    for each in group.servers:
        yield (
            capital(by_name(group.workload).title),
            f"`{name}`",
            f"`{each.named.interpreter}`" if each.named.interpreter else "its own",
            *_figures(each, RPS, "{:,.0f}"),
            *_figures(each, CPU, "{:.1f}"),
        )


def _figures(each: OnInterpreter, name: str, form: str) -> tuple[str, str, str]:
    ratio = each.ratios.get(name)
    return (
        interval(each.row.estimates[name], form),
        _ratio(ratio) if ratio else "",
        each.letters.get(name, ""),
    )


def _ratio(found: Comparison) -> str:
    return f"{found.ratio:.2f} ({found.ci_low:.2f}–{found.ci_high:.2f})"


def _freed(freed: Sequence[Freed]) -> Blocks:
    if not freed:
        return []
    rows = (
        (
            capital(by_name(each.workload).title),
            f"`{each.named.model}`",
            f"`{each.named.interpreter}`" if each.named.interpreter else "its own",
            "yes" if each.locked else "no",
            _ratio(each.found),
            {BETTER: "more", WORSE: "less"}.get(each.found.verdict, each.found.verdict),
        )
        for each in freed
    )
    return [
        Heading("Free on all cores, against pinned to one"),
        Text("Requests/s of the same server; the generator's core is among those that it is free on."),
        grid(
            (
                *words("workload", "server", "interpreter", "lock"),
                *numbers("free / pinned"),
                *words("which is"),
            ),
            rows,
        ),
    ]
