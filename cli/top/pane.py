"""A pane: a table that is told all its rows each second and draws only what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.widgets import DataTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.top.rows import Cell, Row


class Pane(DataTable[Text]):
    """A table with a title; the cursor stays on its row, whatever comes above it.

    Args:
        title: Shown in the border.
        headings: Of the columns.
        pane_id: The widget's id.
    """

    def __init__(self, title: str, headings: Sequence[str], pane_id: str) -> None:
        super().__init__(cursor_type="row", zebra_stripes=True, id=pane_id, cell_padding=1)
        self.show_cursor = False
        self.border_title = title
        self._headings = tuple(headings)
        self._shown: dict[str, tuple[Cell, ...]] = {}

    def on_mount(self) -> None:
        """Make the columns."""
        for heading in self._headings:
            self.add_column(heading, key=heading)

    def on_focus(self) -> None:
        """Show the cursor only where keys have their effect."""
        self.show_cursor = True

    def on_blur(self) -> None:
        """Hide the cursor; it keeps its place."""
        self.show_cursor = False

    def show(self, rows: Sequence[Row], hint: str = "") -> None:
        """Show these rows.

        Args:
            rows: All of them; where keys repeat, as those of the dead do, each is a row of its own.
            hint: Told in the border; why there is nothing, for example.
        """
        self.border_subtitle = hint
        keyed: dict[str, tuple[Cell, ...]] = {}
        for row in rows:
            keyed[row.key if row.key not in keyed else f"{row.key}#{len(keyed)}"] = row.cells
        if list(keyed) == list(self._shown):
            self._change(keyed)
        else:
            self._replace(keyed)
        self._shown = keyed

    @property
    def selected(self) -> str | None:
        """The key of the row under the cursor."""
        keys = list(self._shown)
        return keys[self.cursor_row] if 0 <= self.cursor_row < len(keys) else None

    def _change(self, keyed: dict[str, tuple[Cell, ...]]) -> None:
        for key, cells in keyed.items():
            for heading, cell, old in zip(self._headings, cells, self._shown[key], strict=True):
                if cell != old:
                    self.update_cell(key, heading, drawn(cell), update_width=True)

    def _replace(self, keyed: dict[str, tuple[Cell, ...]]) -> None:
        selected, scrolled = self.selected, self.scroll_y
        self.clear()
        for key, cells in keyed.items():
            self.add_row(*map(drawn, cells), key=key)
        if selected in keyed:
            self.move_cursor(row=list(keyed).index(selected), animate=False, scroll=False)
        self.scroll_to(y=scrolled, animate=False)


def drawn(cell: Cell) -> Text:
    """Return a cell as rich draws it."""
    value: Any = cell.value
    if value is None:
        return Text("")
    if isinstance(value, int | float):
        return Text(f"{value:,}", style=cell.style, justify="right")
    return Text(value, style=cell.style)
