"""HTML and SVG as text: what is put into an element is escaped, unless it is an element already."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

Value = str | float | bool | None
VOID: Final = {"br", "meta", "input", "circle", "line", "path", "polygon", "polyline", "rect", "use"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: Value) -> Markup:
    """Return an element.

    Args:
        name: of the element.
        children: elements, or text.
        attributes: `class_` for `class`, `data_by` for `data-by`; what is None or False is left out, what is True has no value.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID and not children:
        return Markup(f"<{name}{written}>" if name in {"br", "meta", "input"} else f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{joined(children)}</{name}>")


def _attribute(key: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(plain(value))}"'


def plain(value: str | float) -> str:
    """Write a value; of a coordinate no more digits than a screen shows."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def joined(children: Iterable[str]) -> Markup:
    """Return several elements, or texts, as one."""
    return Markup(
        "".join(each if isinstance(each, Markup) else escape(each, quote=False) for each in children)
    )


def code(text: str) -> Markup:
    """Return a name, as it is typed."""
    return tag("code", text)


def with_code(text: str) -> Markup:
    """Return text in which what stands between backticks is code."""
    return joined(code(part) if place % 2 else part for place, part in enumerate(text.split("`")))


def listed(names: Sequence[str]) -> Markup:
    """List names as a sentence does."""
    shown = [code(name) for name in names]
    return shown[0] if len(shown) == 1 else joined([Markup(", ".join(shown[:-1])), " and ", shown[-1]])


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], caption: str, *, text_columns: int = 1
) -> Markup:
    """Return a table that is scrolled by itself where it is too wide.

    Args:
        head: of the columns.
        rows: their cells; the first of each is the row's head.
        caption: what it shows.
        text_columns: so many from the left are text, and the others figures.
    """
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(
                tag("td", each, class_=None if at < text_columns else "n")
                for at, each in enumerate(row[1:], 1)
            ),
        )
        for row in rows
    ]
    columns = [
        tag("th", each, scope="col", class_=None if at < text_columns else "n")
        for at, each in enumerate(head)
    ]
    return scrolled(
        tag("table", tag("caption", caption), tag("thead", tag("tr", *columns)), tag("tbody", *body)), caption
    )


def scrolled(content: Markup, name: str) -> Markup:
    """Return what may be wider than the page, so that it can be scrolled, by keyboard, too."""
    return tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=name)


def behind(summary: str, *content: str, opened: bool = False, **attributes: str) -> Markup:
    """Return what is shown when it is asked for."""
    return tag("details", tag("summary", summary), *content, open=opened, **attributes)
