"""The figures of a report, by the names of their files: the same analysis gives the same bytes."""

import matplotlib as mpl

from harness.analyse.analysis import Analysis
from harness.analyse.changing_places import by_clients
from harness.plan import by_name
from harness.report.figures.latency import latencies
from harness.report.figures.maps import relay_maps
from harness.report.figures.panels import CPU, TAIL, THROUGHPUT, dots, growth, memory, side_by_side
from harness.report.figures.style import STYLE


def figures_of(analysis: Analysis) -> dict[str, str]:
    """Return all figures for which there are data."""
    with mpl.rc_context(STYLE):
        return {
            **_of_workloads(analysis),
            **({"memory.svg": memory(analysis.answer.memory)} if len(analysis.answer.memory) > 1 else {}),
            **relay_maps(analysis.relays.maps, [facts.label for facts in analysis.one_core.servers]),
        }


def _of_workloads(analysis: Analysis) -> dict[str, str]:
    """Draw what was measured of servers of one core; all workloads would be more than anybody looks at: the core ones stand for them."""
    regime, spare = analysis.one_core, analysis.answer.spare
    measured = [name for name, table in regime.tables.items() if table.rows and not by_name(name).relayed]
    core = [name for name in measured if by_name(name).core] or measured
    loaded = [name for name in core if by_name(name).load.clients > 1]
    beside = [name for name in measured if by_name(name).load.background]
    growing = by_clients(measured)
    drawn = {}
    if loaded:
        drawn["throughput.svg"] = dots(regime, loaded, THROUGHPUT)
        drawn["cpu.svg"] = dots(regime, loaded, CPU)
    if core:
        drawn["latency.svg"] = latencies(regime, core)
    if spare is not None:
        drawn["spare.svg"] = side_by_side(regime, spare.workload, (TAIL, CPU))
    if len(growing) > 2:
        drawn["clients.svg"] = growth(regime, growing)
    if beside:
        drawn["beside.svg"] = dots(regime, beside, TAIL)
    return drawn
