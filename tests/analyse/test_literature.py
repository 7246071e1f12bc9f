"""What is said of effects: of each of them, and whether a rule met it in the servers' own figures."""

from harness.analyse.causes.evidence import Cause
from harness.analyse.literature import LITERATURE, met
from harness.experiments.effects.effects import EFFECTS
from harness.record import Arm, EffectResult

ARM = Arm("a side", {})


def test_of_each_effect_it_is_known_what_is_said() -> None:
    assert {effect.name for effect in EFFECTS} <= LITERATURE.keys()


def test_what_is_said_can_be_looked_up() -> None:
    assert [name for name, said in LITERATURE.items() if "](https://" not in said] == []


def test_an_effect_is_met_where_a_rule_finds_its_cause() -> None:
    causes = [
        Cause("waiting", (server,), workload, 1.0, "ms", "it waits", source, "")
        for server, workload, source in (
            ("a", "clients_8", "RFC 896"),
            ("a", "clients_64", "RFC 896"),
            ("b", "clients_8", "RFC 6298"),
        )
    ]
    effect = EffectResult("no-delay", "It waits", "ms", "ms", ARM, ARM, True, False, "so", "RFC 896", "")
    assert met(effect, causes) == ("a",)
    assert met(effect, causes[2:]) == ()
