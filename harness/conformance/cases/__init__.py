"""The cases: what must hold, by the specification's clauses."""
