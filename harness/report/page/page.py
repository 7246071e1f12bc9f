"""The whole page: sections, style, script and what the script looks up, in one file that asks for nothing from elsewhere."""

import json
import shlex
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from harness.analyse.analysis import Analysis
from harness.analyse.answer import workers_of
from harness.record import Manifest
from harness.report.blocks import Blocks
from harness.report.page.asking import asking
from harness.report.page.blocks import as_html
from harness.report.page.latency import latency
from harness.report.page.looks import style
from harness.report.page.markup import Markup, code, joined, tag
from harness.report.page.matrix import matrix
from harness.report.page.quantiles import quantiles
from harness.report.page.syscalls import syscalls
from harness.report.page.trust import trust
from harness.report.page.waiting import waiting
from harness.report.sections.answer import first_screen
from harness.report.sections.choice import choice_section
from harness.report.sections.method import TITLE, heading
from harness.report.wording import counted, servers_counted

PAGE: Final = "report.html"
SECTIONS: Final = {
    "ask": "Answer",
    "decides": "What decides",
    "latency": "Response time",
    "quantiles": "Tails",
    "map": "Handlers that wait",
    "syscalls": "Syscalls",
    "conformance": "Conformance",
    "trust": "Validity",
}


def page(analysis: Analysis) -> str:
    """Return the page of a run."""
    _, missing, *screen = first_screen(analysis)
    ask, answers = asking(analysis)
    tails, curves = quantiles(analysis)
    conformance, cells = matrix(analysis)
    sections = {
        "ask": ask,
        "decides": _decides(screen, analysis),
        "latency": latency(analysis),
        "quantiles": tails,
        "map": waiting(analysis),
        "syscalls": syscalls(analysis),
        "conformance": conformance,
        "trust": trust(analysis),
    }
    labels = [facts.label for facts in analysis.results.manifest.servers]
    return fixed("page.html").format(
        title=TITLE,
        style=fixed("uPlot.min.css") + fixed("page.css") + style(labels),
        heading=as_html(heading(analysis)),
        measured=joined([_measured(analysis.results.manifest, workers_of(analysis.results)), as_html([missing])]),
        contents=tag("nav", *(tag("a", SECTIONS[name], href=f"#{name}") for name, each in sections.items() if each), aria_label="Sections"),
        sections=Markup("\n").join(each for each in sections.values() if each),
        data=in_script({"answers": answers, "tails": curves, "matrix": cells}),
        licence=fixed("uPlot.LICENSE"),
        plotting=fixed("uPlot.iife.min.js"),
        script=fixed("page.js"),
    )  # fmt: skip


def fixed(name: str) -> str:
    """Return a part of the page that is the same for every run."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def in_script(data: object) -> str:
    """Write data so that no text in it can end the element that it stands in."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _decides(screen: Blocks, analysis: Analysis) -> Markup:
    """Show what decides, and what to choose when, as the report does."""
    blocks = as_html([*screen, *choice_section(analysis.advice)])
    return tag("section", tag("h2", "What decides between the models"), blocks, id="decides")


def _measured(manifest: Manifest, workers: Sequence[str]) -> Markup:
    machine = manifest.environment
    whence = (
        f"load from {counted(len(workers), 'worker')} of a cluster"
        if workers
        else "server and load on one machine"
    )
    return tag(
        "p",
        joined(
            [
                tag("b", "Measured"),
                f" on {manifest.started} (UTC): {servers_counted([facts.label for facts in manifest.servers])}, "
                f"{counted(len(manifest.design.workloads), 'workload')}, by ",
                code(shlex.join(manifest.command)),
                f", on {machine.cores} cores of {machine.cpu}, {machine.kernel}, {machine.python}; {whence}.",
            ]
        ),
        class_="note",
    )
