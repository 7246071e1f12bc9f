"""So: what the analysis recommends for each situation, in words."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from harness.analyse.advice import (
    Advice,
    CheapestInterpreter,
    CleanStop,
    Computing,
    FreeOnAllCores,
    LeastMemory,
    LibrariesThatBlock,
    MostlyIdle,
    NobodyLeftBehind,
    Outdone,
    ShortTail,
    SimplestCode,
    SmallPool,
    ThreadsThatWait,
    WaitingHandlers,
)
from harness.analyse.crossings import Place
from harness.analyse.rankings import Ranking
from harness.analyse.tables import Table
from harness.plan import by_name
from harness.report.blocks import Blocks, Heading, Text, points
from harness.report.wording import all_quantiles, counted, few, listed

MOST_NAMED: Final = 4


def choice_section(advice: Sequence[Advice]) -> Blocks:
    """Recommend a model for each situation of which the run can tell something."""
    if not advice:
        return []
    return [
        Heading("So"),
        *points(map(_line, advice)),
        Text(
            "Each line follows from the figures by a rule, and holds for this machine and these loads. It speaks of servers as usual, on the "
            "harness's own interpreter, pinned to one core and in service, unless it says otherwise. Servers named together were not told apart from the first of them, which is "
            "less than being equal: a noisy figure stays in the list. Of threads while handlers wait, each has been counted in those fields where it was given all clients."
        ),
    ]


def _line(advice: Advice) -> str:
    situation, why = in_words(advice)
    return f"**{situation}** → {chosen(advice)}: {why}."


def chosen(advice: Advice) -> str:
    """Name who is recommended, or who is not if that says more."""
    match advice:
        case CleanStop(everyone=True):
            return "any"
        case NobodyLeftBehind(but=but):
            return f"any but {listed(but)}"
        case ShortTail(of_hundreds=tail) if others := _the_few(tail.ranking, advice.servers):
            return f"any but {listed(others)}"
        case _:
            return few(advice.servers, MOST_NAMED)


def _the_few(found: Ranking, most: Sequence[str]) -> tuple[str, ...]:
    """Return those who are not of a long list, if they are fewer: then they are what it says."""
    others = tuple(server for server in found.estimates if server not in most)
    return others if len(most) > MOST_NAMED >= len(others) else ()


def in_words(advice: Advice) -> tuple[str, str]:  # noqa: C901, PLR0912 - a situation for each kind
    """Return the situation, and why these servers are chosen for it."""
    match advice:
        case SimplestCode():
            return "A few clients, the simplest code", _simplest(advice)
        case MostlyIdle():
            return "Many connections, mostly idle", _idle(advice)
        case ShortTail():
            return "A short tail with hundreds of clients", _short_tail(advice)
        case NobodyLeftBehind():
            return "No client left behind", _left_behind(advice)
        case Computing():
            return "Requests that compute", _computing(advice)
        case LibrariesThatBlock():
            return "Libraries that block", _blocking(advice)
        case WaitingHandlers():
            return "Handlers that wait for something else", _waiting(advice)
        case ThreadsThatWait():
            return "Threads, though handlers wait", _threads(advice)
        case SmallPool():
            return "Many clients, and few connections to what they wait for", _pool(advice)
        case LeastMemory(peak=found, each=each):
            best = found.first
            per_client = f", {each.mean(best):.1f} KiB for each" if each and best in each.estimates else ""
            return (
                "The least memory",
                f"`{best}` held {found.mean(best):,.0f} MiB at most with 500 clients{per_client}, `{found.last}` "
                f"{found.mean(found.last):,.0f} MiB{_if_not_apart(found)}",
            )
        case CleanStop(servers=clean, longest_s=longest_s, everyone=everyone):
            return (
                "A clean stop",
                f"told to stop under load, {'all' if everyone else 'only'} {len(clean)} that serve clients side by side answered "
                f"what they had received and ended with 0, within {longest_s * 1e3:,.0f} ms",
            )
        case CheapestInterpreter(servers=best, models=models, leading=leading):
            return (
                "An interpreter, for one core",
                f"with 64 clients on no other was a request shown to cost less CPU, in {leading[best[0]]} of {counted(models, 'model')}",
            )
        case FreeOnAllCores(found=found, pinned=pinned):
            return (
                "All cores, for one server",
                f"free on all, with 64 clients, `{found.first}` answered {found.mean(found.first):,.0f} requests/s, `{found.last}` "
                f"{found.mean(found.last):,.0f}{_if_not_apart(found)}{_beside_pinned(pinned)}",
            )
    raise NotImplementedError(type(advice).__name__)


def _if_not_apart(found: Ranking) -> str:
    return "" if found.tells_apart else " (not told apart)"


def _beside_pinned(pinned: Ranking | None) -> str:
    return (
        f"; pinned to one core `{pinned.first}` answered {pinned.mean(pinned.first):,.0f}" if pinned else ""
    )


def _waiting(advice: WaitingHandlers) -> str:
    most = max(advice.cheapest.values(), default=0)
    cheapest = sorted(server for server, count in advice.cheapest.items() if count == most)
    least = (
        f"; among those that take the least CPU in {most}: {few(cheapest, MOST_NAMED)}" if cheapest else ""
    )
    best = advice.servers[0]
    tied = advice.leading[best] - advice.first[best]
    told_apart = (
        f", and in {tied} more is not told apart from the best" if tied and len(advice.servers) == 1 else ""
    )
    whole = (
        f"of {advice.fields} fields of the map, in the {advice.apart} where any that serve all clients were told apart,"
        if advice.apart < advice.fields
        else f"of {advice.fields} fields of the map"
    )
    return f"{whole} {'each' if len(advice.servers) > 1 else 'it'} has the best figure in {advice.first[best]}{told_apart}{least}"


def _threads(advice: ThreadsThatWait) -> str:
    said = []
    if advice.as_good:
        said.append(
            f"one of them or all not told apart from who answers most {_everywhere(advice.as_good)}{_for_want_of_precision(advice.unsure)}"
        )
    if advice.not_as_good:
        worst = max(advice.not_as_good, key=lambda found: found.times)
        said.append(
            f"even the best of them answers less {_everywhere([each.place for each in advice.not_as_good])}: `{worst.first}` answers {worst.times:.2f} times "
            f"as much as `{worst.best}` with {field_in_words(worst.place)}"
        )
    if advice.failed:
        said.append(
            f"{listed(advice.at_fault)} left requests without the right answer {_everywhere(advice.failed)}"
        )
    if advice.unknown:
        said.append(f"too little is known of {counted(advice.unknown, 'field')}")
    return "; ".join(said)


def _for_want_of_precision(unsure: Sequence[Outdone]) -> str:
    """Name where not being told apart says little: the figures are far from each other."""
    if not unsure:
        return ""
    worst = max(unsure, key=lambda found: found.times)
    return (
        f" (of these {_everywhere([each.place for each in unsure])} for want of precision alone: `{worst.first}` has {worst.times:.2f} times "
        f"the requests/s of `{worst.best}` with {field_in_words(worst.place)})"
    )


def _everywhere(places: Sequence[Place]) -> str:
    shown = [field_in_words(place) for place in sorted(places)]
    if len(shown) > MOST_NAMED:
        return f"in {len(shown)} fields of the map"
    *first, last = (f"with {each}" for each in shown)
    return f"{', '.join(first)} and {last}" if first else last


def field_in_words(place: Place) -> str:
    """Say for how many clients, and how long, handlers wait."""
    wait_s, clients = place
    return f"{clients:,} clients and {wait_s * 1e3:g} ms"


def _pool(advice: SmallPool) -> str:
    tail, found, without = advice.tail
    shares = advice.share
    return (
        f"with {by_name(advice.workload).title} all wait for the pool, and who gets a freed connection decides the tail: {tail.share} of the "
        f"responses came within {_ms(found, found.first)} ms, at `{found.last}` within {_ms(found, found.last)} ms{_unranked(without)}; of "
        f"what the pool allows `{shares.first}` reached {shares.mean(shares.first):.0%}, `{shares.last}` {shares.mean(shares.last):.0%}"
    )


def _ms(found: Ranking, server: str) -> str:
    return f"{found.mean(server) / 1e3:.2f}"


def _simplest(advice: SimplestCode) -> str:
    shortest, speed = advice.shortest, advice.speed
    longer = "" if advice.next_lines is None else f", the next longer one {advice.next_lines}"
    lines = ", ".join(f"`{facts.label}` {facts.code_lines}" for facts in shortest)
    answers = (
        sorted(speed.mean(facts.label) for facts in shortest if facts.label in speed.estimates)
        if speed
        else []
    )
    span = dict.fromkeys(f"{each:,.0f}" for each in (answers[:1] + answers[-1:]))
    rates = f"; with {advice.clients:,} clients {' to '.join(span)} requests/s" if answers else ""
    return f"lines of code: {lines}{longer}{rates}{_fastest(speed)}"


def _fastest(speed: Ranking | None) -> str:
    if speed is None:
        return ""
    others = len(speed.leaders) - 1
    tied = f", not told apart from {others} more" if others else ""
    return f", the most of all {speed.mean(speed.first):,.0f} (`{speed.first}`{tied})"


def _idle(advice: MostlyIdle) -> str:
    memory, cpu = advice.memory, advice.cpu
    of_cpu = (
        f"; a request beside them cost {cpu.mean(cpu.first):.1f} (`{cpu.first}`) to {cpu.mean(cpu.last):.1f} µs (`{cpu.last}`) with 64 that ask{_if_not_apart(cpu)}"
        if cpu
        else ""
    )
    each = advice.each
    of_each = (
        f" at most (counted by themselves, with the kernel's part, {each[0].kib:.1f} KiB each at `{each[0].server}` to {each[-1].kib:.1f} at "
        f"`{each[-1].server}`)"
        if each
        else ""
    )
    unable = f"; {listed(advice.unable)} cannot hold them" if advice.unable else ""
    return (
        f"{advice.connections:,} silent connections took {memory.mean(memory.first):,.0f} MiB of the process at `{memory.first}`, {memory.mean(memory.last):,.0f} at "
        f"`{memory.last}`{_if_not_apart(memory)}{of_each}{of_cpu}{unable}"
    )


def _short_tail(advice: ShortTail) -> str:
    tail, found, without = advice.of_hundreds
    best = advice.servers[0]
    return (
        f"500 busy clients, by {tail.short}: `{best}` {_all(advice.table, best)}; {_the_longest(found, advice.table)}"
        f"{_unranked(without)}{_unknown(advice.unknown)}"
    )


def _the_longest(found: Ranking, table: Table) -> str:
    """Tell who has the longest tail, and whether it is known to be longer."""
    known = "the longest" if found.tells_apart else "the longest, not told apart"
    return f"{known}, `{found.last}`, {_all(table, found.last)}"


def _all(table: Table, server: str) -> str:
    return all_quantiles(table.row(server))


def _left_behind(advice: NobodyLeftBehind) -> str:
    found = advice.shares
    worst = _shares({server: found.mean(server) for server in advice.but})
    beyond = f", with {advice.crowd[0]:,} clients {_shares(advice.crowd[1])}" if advice.crowd else ""
    least = math.floor(100 * min(found.mean(server) for server in advice.servers))
    return (
        f"with 500 clients the one served worst got, of an equal share, on average {worst}{beyond}; at all others, with 500, "
        f"{least}% or more{_unknown(advice.unknown)}"
    )


def _shares(of: Mapping[str, float]) -> str:
    """Name servers, each with its share."""
    return ", ".join(f"{share:.0%} at `{server}`" for server, share in of.items())


def _computing(advice: Computing) -> str:
    tail, found, without = advice.light
    best = advice.servers[0]
    on_all = "".join(
        f"; `{each.row.server}`, with all cores, {all_quantiles(each.row)}"
        + (f" and {each.costly_rps:,.0f} costly ones a second" if each.costly_rps else "")
        for each in advice.on_all_cores
    )
    return (
        f"light requests beside costly ones, on one core, by {tail.short}: `{best}` {_all(advice.table, best)}; "
        f"{_the_longest(found, advice.table)}{_unranked(without)}{_price_of(best, advice.costly)}{on_all}"
    )


def _unranked(without: Sequence[str]) -> str:
    """Name those of whom too little is known."""
    return f"; too little is known of {few(without, MOST_NAMED)}" if without else ""


def _unknown(servers: Sequence[str]) -> str:
    """Name those of whom nothing is known there."""
    return f"; not known of {listed(servers)}, which have no figures there" if servers else ""


def _price_of(best: str, costly: Ranking | None) -> str:
    """Say how many costly requests were answered where the light ones waited the least, if elsewhere it is known to be more."""
    if costly is None or best not in costly.estimates or best in costly.leaders:
        return ""
    return (
        f"; the price: {costly.mean(best):,.0f} costly ones a second, and `{costly.first}` answered "
        f"{costly.mean(costly.first):,.0f}"
    )


def _blocking(advice: LibrariesThatBlock) -> str:
    best, change = advice.servers, advice.change
    until = (
        f"; `{change.few}` answers more than `{change.many}` with {change.up_to:,} busy clients, fewer with {change.beyond:,}"
        if change
        else ""
    )
    cost = (
        f"; of {listed(advice.own_thread)} it costs the least, {advice.cpu.mean(best[0]):.1f} µs a request"
        if advice.cpu and len(best) == 1
        else ""
    )
    return (
        f"with 64 clients {'each' if len(best) > 1 else 'it'} has {advice.threads} threads, so that a call that blocks holds "
        f"up nobody but its own client (by construction){cost}{until}"
    )
