"""One figure for each question: what to take from it, why it is so, and where all of it stands."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from harness.analyse.advice import Computing
from harness.analyse.analysis import Analysis
from harness.analyse.changing_places import PlaceChange, by_clients
from harness.analyse.crossings import Place
from harness.analyse.rankings import Ranking
from harness.analyse.relays import RelayMap
from harness.analyse.samples.validity import BUSY
from harness.analyse.tables import Table
from harness.plan import RELAY, WORKLOADS, by_name
from harness.report.blocks import Blocks, Heading, Picture, Text
from harness.report.sections.relays import map_picture
from harness.report.wording import all_quantiles, few, in_ms, span

MOST_NAMED: Final = 3
USUAL_WAIT_S: Final = RELAY.load.upstream.wait_s if RELAY.load.upstream else 0.0


@dataclass(frozen=True)
class View:
    """A figure and what belongs to it.

    Attributes:
        picture: with what it shows.
        question: that it answers.
        taken: the sentence to take away.
        why: by the figures, or by a rule; empty if none named it.
        page: where all of it stands.
    """

    picture: Picture
    question: str
    taken: str
    why: str
    page: str


def views_section(analysis: Analysis, drawn: Collection[str]) -> Blocks:
    """Show those figures that are there."""
    views = (
        *_spare(analysis),
        *_clients(analysis),
        *_waiting(analysis),
        *_computing(analysis),
        *_memory(analysis),
    )
    return [block for view in views if view.picture.name in drawn for block in _blocks(view)]


def _blocks(view: View) -> Blocks:
    why = f" Why: {view.why}." if view.why else " No rule names a cause for it."
    return [Heading(view.question), view.picture, Text(f"**{view.taken}**{why} [More]({view.page}).")]


def _spare(analysis: Analysis) -> list[View]:
    found = analysis.answer.spare
    if found is None:
        return []
    least, most = (pick(found.cores, key=lambda server: found.cores[server]) for pick in (min, max))
    tail, ranking, _ = found.tail
    tells = (
        "models differ more in the core that they take than in time"
        if found.tells_cores_apart
        and found.cores[most] / found.cores[least] > ranking.mean(ranking.last) / ranking.mean(ranking.first)
        else "models differ by the core that they take"
        if found.tells_cores_apart
        else "no models were told apart by the core that they take"
    )
    taken = f"At {found.rate_rps:,.0f} requests/s {tells}: {found.cores[least]:.0%} of it at `{least}`, {found.cores[most]:.0%} at `{most}`; {tail.share} of the responses came within {in_ms(ranking.mean(ranking.first))} to {in_ms(ranking.mean(ranking.last))} ms."
    picture = Picture(
        "spare.svg", f"Tail of the responses, and CPU of a request: {by_name(found.workload).title}"
    )
    dearer = next(filter(None, (_dearer_when_idle(analysis, server) for server in (least, most))), "")
    why = _joined(dearer, _cause(analysis, "waking up", found.cores, found.workload))
    return [View(picture, "With a core to spare", taken, why, "workloads.md")]


def _dearer_when_idle(analysis: Analysis, server: str) -> str:
    """Say what a request costs a server that has little to do, and what one that is busy; nothing if either is not known."""
    busy = next((each for each in analysis.answer.models if each.row.server == server), None)
    cpu = busy.row.estimates["cpu_us_per_request"] if busy else None
    if busy is None or cpu is None or not busy.spare_cpu_us or busy.spare_cpu_us <= cpu.mean:
        return ""
    return (
        f"a request costs `{server}` {busy.spare_cpu_us:.0f} µs of CPU here and {cpu.mean:.1f} when it is busy with "
        f"{by_name(analysis.answer.workload).title}: who has nothing to do sleeps, and is woken"
    )


def _clients(analysis: Analysis) -> list[View]:
    found = analysis.answer.saturated
    if found is None:
        return []
    if found.turning:
        first = found.turning[0]
        taken = f"`{first.few}` answers more than `{first.many}` with {first.up_to:,} clients, and less with {first.beyond:,}."
        why = _growing_cost(analysis, first)
    else:
        fewest, most = min(found.most), max(found.most)
        leaders = (
            f"{few(found.most[clients].leaders, MOST_NAMED)} with {clients:,}"
            for clients in dict.fromkeys((fewest, most))
        )
        taken = f"Most requests/s: {', '.join(leaders)} clients."
        table = analysis.one_core.tables[by_clients(analysis.one_core.tables)[most]]
        why = _joined(
            _limited_by_its_core(table, found.most[most], most), _price(analysis, found.most[most].last)
        )
    picture = Picture("clients.svg", "Requests per second, and tail of the responses, against clients")
    return [View(picture, "With few clients, and with many", taken, why, "workloads.md")]


def _limited_by_its_core(table: Table, found: Ranking, clients: int) -> str:
    """Say what a request costs the first and the last, if the last one's core is the limit in most launches; nothing otherwise."""
    costs, last = _costs_of_both(table, found), table.row(found.last)
    if costs is None or 2 * last.limits.get("server", 0) <= last.valid:
        return ""
    cheap, dear = costs
    return (
        f"with {clients:,} clients `{found.last}` is limited by its core, and a request costs it {dear:.1f} µs of CPU, "
        f"`{found.first}` {cheap:.1f}"
    )


def _costs_of_both(table: Table, found: Ranking) -> tuple[float, float] | None:
    """Return the CPU in µs that a request costs the first and the last; None if they were not told apart, or one is not known."""
    first, last = (table.row(server).estimates["cpu_us_per_request"] for server in (found.first, found.last))
    return (first.mean, last.mean) if first and last and found.tells_apart else None


def _growing_cost(analysis: Analysis, found: PlaceChange) -> str:
    """Say what a request costs the two where one is ahead and where the other is; and that no rule tells why that changes."""
    tables = {clients: analysis.one_core.tables[each.workload] for clients, each in found.ratios.items()}

    def costs(server: str) -> str:
        of = (
            f"{cpu.mean:.1f} with {clients:,}"
            for clients in (found.up_to, found.beyond)
            if (cpu := tables[clients].row(server).estimates["cpu_us_per_request"])
        )
        return " and ".join(of)

    switches = tables[found.beyond].row(found.few).estimates["switches_per_request"]
    woken = f"; with {found.beyond:,} each with {switches.mean:.2f} context switches" if switches else ""
    return (
        f"a request costs `{found.few}` {costs(found.few)} clients (µs of CPU{woken}), `{found.many}` {costs(found.many)}. "
        "Why these change as they do no rule here tells"
    )


def _waiting(analysis: Analysis) -> list[View]:
    views = []
    for found in analysis.relays.maps[:1]:
        place = _told_of(found)
        most = found.fields[place].most
        answered = (
            f"{few(most.leaders, MOST_NAMED)} answered most, {span(most)} requests/s"
            if most.tells_apart
            else "none were told apart in requests/s"
        )
        taken = f"With {place[1]:,} clients and {place[0] * 1e3:g} ms {answered}."
        why = _core_used_up(analysis.one_core.tables[found.fields[place].workload], most)
        views.append(View(map_picture(found), "When handlers wait", taken, why, "relays.md"))
    return views


def _told_of(found: RelayMap) -> Place:
    """Choose the field of a map that is told of: where handlers wait as in every run, that of the most clients with a first one."""
    usual = [place for place in found.fields if place[0] == USUAL_WAIT_S]
    apart = [place for place in usual if found.fields[place].most.tells_apart]
    return max(apart or usual or found.fields)


def _core_used_up(table: Table, found: Ranking) -> str:
    """Say whose core is the limit, if it is that of the last one; nothing otherwise."""
    costs = _costs_of_both(table, found)
    ahead, behind = (table.row(server).estimates["core_share"] for server in (found.first, found.last))
    if costs is None or ahead is None or behind is None or behind.mean < BUSY:
        return ""
    cheap, dear = costs
    return (
        f"`{found.last}` has no core left ({behind.mean:.0%} busy, {dear:.0f} µs of CPU for a request) where `{found.first}` has used {ahead.mean:.0%} of it "
        f"({cheap:.0f} µs)"
    )


def _computing(analysis: Analysis) -> list[View]:
    found = next((each for each in analysis.advice if isinstance(each, Computing)), None)
    if found is None:
        return []
    ranking = found.light.ranking
    first, last = (
        f"`{server}` {all_quantiles(found.table.row(server))}" for server in (ranking.first, ranking.last)
    )
    apart = "" if ranking.tells_apart else " (not told apart)"
    taken = f"Beside requests that compute, light ones take least, by {found.light.tail.short}, at {first}; most at {last}{apart}."
    picture = Picture("beside.svg", "Tail of the responses beside other clients")
    why = _cause(analysis, "head-of-line blocking", (ranking.last,))
    return [
        View(
            picture,
            "Beside others: requests that compute, idle crowds, slow readers, a flood",
            taken,
            why,
            "workloads.md",
        )
    ]


def _memory(analysis: Analysis) -> list[View]:
    found = analysis.answer.memory
    if len(found) < 2:
        return []
    crowd = max(each.held for each in found)
    holding = [each for each in found if each.held == crowd]
    least, most = holding[0], holding[-1]
    if least is most:
        return []
    taken = (
        f"Of servers of one core on their usual interpreter that hold {crowd:,}, `{least.server}` takes {least.kib * crowd / 1024:,.0f} MiB for them and "
        f"`{most.server}` {most.kib * crowd / 1024:,.0f}."
    )
    why = _cause(analysis, "a thread for each client", (most.server,))
    picture = Picture("memory.svg", "Memory of a connected, silent client, of the process and of the kernel")
    return [View(picture, "Memory of a connection", taken, why, "costs.md")]


def _price(analysis: Analysis, server: str) -> str:
    """Say what a request costs a server that asks no more of the kernel than another one, if it costs more."""
    prices = (_cause(analysis, effect, (server,)) for effect in ("price of a loop", "price of a scheduler"))
    return next(filter(None, prices), "")


def _joined(*causes: str) -> str:
    return "; ".join(filter(None, causes))


def _cause(analysis: Analysis, effect: str, of: Collection[str], workload: str = "") -> str:
    """Say what a rule found, of one of these servers and under this workload if any are given; nothing if it found nothing."""
    found = (
        each
        for each in analysis.causes
        if each.effect == effect and (not of or each.servers[0] in of) and workload in {"", each.workload}
    )
    cause = next(found, None)
    if cause is None:
        return ""
    titles = {workload.name: workload.title for workload in WORKLOADS}
    under = f", {titles[cause.workload]}" if cause.workload in titles else ""
    return f"at `{cause.servers[0]}`{under}, {cause.sentence} ({cause.source})"
