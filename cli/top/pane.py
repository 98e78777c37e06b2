"""A pane: a table that is told all its rows each second, and draws the lines that can be seen.

Textual's own table can do much more, and takes ten times the processor time for it: too much for
something that looks at a node on the machine where the node serves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType
    from textual.events import Click

    from cli.top.rows import Cell, Row

_LEAD = " "
_GAP = "  "
_HEADING = 1
"""Lines of the heading, which stays where it is."""


class Pane(ScrollView, can_focus=True):
    """A table with a title; the cursor stays on its row, whatever comes above it.

    Args:
        title: Shown in the border.
        headings: Of the columns.
        pane_id: The widget's id.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"pane--heading", "pane--odd", "pane--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "up", show=False),
        Binding("down", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "move(-1000000)", "top", show=False),
        Binding("end", "move(1000000)", "bottom", show=False),
        Binding("enter", "choose", "details", show=False),
    ]

    @dataclass
    class Chosen(Message):
        """Enter was pressed on a row; ``key`` is its."""

        key: str

    def __init__(self, title: str, headings: Sequence[str], pane_id: str) -> None:
        super().__init__(id=pane_id)
        self.border_title = title
        self._headings = tuple(headings)
        self._widths = [cell_len(heading) for heading in headings]
        self._rows: list[Row] = []
        self._drawn: dict[tuple[str, str], Style] = {}
        self.cursor = 0

    # -- what it shows ----------------------------------------------------------------------------

    def show(self, rows: Sequence[Row], hint: str = "") -> None:
        """Show these rows.

        Args:
            rows: All of them.
            hint: Told in the border; why there is nothing, for example.
        """
        self.border_subtitle = hint
        listed = list(rows)
        if listed == self._rows:
            return
        selected, before, widths = self.selected, self._rows, self._widths
        self._rows = listed
        keys = [row.key for row in listed]
        # Where keys repeat, as those of the dead do, the cursor stays where it is.
        if selected in keys and (self.cursor >= len(keys) or keys[self.cursor] != selected):
            self.cursor = keys.index(selected)
        self.cursor = max(0, min(self.cursor, len(keys) - 1))
        self._measure()
        if widths != self._widths or [row.key for row in before] != keys:
            self.refresh()
            return
        for index, (old, new) in enumerate(zip(before, listed, strict=True)):
            if old != new:
                self.refresh_line(index + _HEADING)

    def texts(self) -> list[list[str]]:
        """Return the cells as they are shown."""
        return [[text_of(cell) for cell in row.cells] for row in self._rows]

    @property
    def selected(self) -> str | None:
        """The key of the row under the cursor."""
        return self._rows[self.cursor].key if self.cursor < len(self._rows) else None

    def _measure(self) -> None:
        # Columns only grow: they would dance otherwise, and each step lays the whole screen out.
        columns = zip(self._widths, *(row.cells for row in self._rows), strict=True)
        self._widths = [
            max(width, *(cell_len(text_of(cell)) for cell in cells), 0) for width, *cells in columns
        ]
        width = len(_LEAD) + sum(self._widths) + len(_GAP) * (len(self._widths) - 1)
        self.virtual_size = Size(width, len(self._rows) + _HEADING)

    # -- the cursor -------------------------------------------------------------------------------

    def move_cursor(self, row: int) -> None:
        """Put the cursor on a row, and the row where it can be seen."""
        self.cursor = max(0, min(row, len(self._rows) - 1))
        # The heading hides the first line of what is scrolled to.
        line = Region(self.scroll_offset.x, self.cursor, 1, 1 + _HEADING)
        self.scroll_to_region(line, animate=False)
        self.refresh()

    def action_move(self, lines: int) -> None:
        """Move the cursor."""
        self.move_cursor(self.cursor + lines)

    def action_page(self, pages: int) -> None:
        """Move the cursor by what can be seen at once."""
        self.move_cursor(self.cursor + pages * max(1, self.size.height - _HEADING))

    def action_choose(self) -> None:
        """Tell that the row under the cursor was chosen."""
        if self.selected is not None:
            self.post_message(self.Chosen(self.selected))

    def on_click(self, event: Click) -> None:
        """Put the cursor where the mouse is; twice chooses the row."""
        offset = event.get_content_offset(self)
        if offset is not None and offset.y >= _HEADING:
            self.move_cursor(self.scroll_offset.y + offset.y - _HEADING)
            if event.chain > 1:
                self.action_choose()

    # -- drawing ----------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """Draw one line of what can be seen."""
        left, top = self.scroll_offset
        index = top + y - _HEADING
        if y < _HEADING:
            base = "pane--heading"
            strip = self._strip([(heading, "", False) for heading in self._headings], base)
        elif index < len(self._rows):
            base = "pane--odd" if index % 2 else ""
            base = "pane--cursor" if index == self.cursor and self.has_focus else base
            cells = self._rows[index].cells
            parts = [(text_of(cell), cell.style, is_number(cell)) for cell in cells]
            strip = self._strip(parts, base)
        else:
            return Strip.blank(self.size.width, self._style(""))
        return strip.crop_extend(left, left + self.size.width, self._style(base))

    def _strip(self, parts: Sequence[tuple[str, str, bool]], base: str) -> Strip:
        plain = self._style(base)
        segments = [Segment(_LEAD, plain)]
        for (text, style, right), width in zip(parts, self._widths, strict=True):
            blanks = " " * (width - cell_len(text))
            padded = f"{blanks}{text}{_GAP}" if right else f"{text}{blanks}{_GAP}"
            segments.append(Segment(padded, self._style(base, style)))
        return Strip(segments)

    def _style(self, base: str, style: str = "") -> Style:
        found = self._drawn.get((base, style))
        if found is None:
            ground = self.get_component_rich_style(base) if base else self.rich_style
            found = self._drawn[base, style] = ground + Style.parse(style)
        return found

    def notify_style_update(self) -> None:
        """Forget the colours of another theme or focus."""
        self._drawn.clear()
        super().notify_style_update()


def text_of(cell: Cell) -> str:
    """Return a cell as it is shown."""
    if cell.value is None:
        return ""
    return cell.value if isinstance(cell.value, str) else f"{cell.value:,}"


def is_number(cell: Cell) -> bool:
    """Tell whether a cell stands on the right."""
    return not isinstance(cell.value, str)
