"""What all data that is kept or sent has in common."""

import msgspec


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Data that does not change, and that is read back by its types alone: nothing missing, nothing too many.

    Each subclass says `frozen=True` again: types are checked by what a class itself says.
    """
