"""The screen of ``top``: panes, keys, and a look at the node each second in the background.

The screen never waits for the node: whoever asks it does so in a worker thread, and there is one
look under way at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import App
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Footer, Input, Static

from cli.looking import name_of, walk
from cli.top.pane import Pane
from cli.top.poll import Poller, View
from cli.top.rows import (
    ACTOR_COLUMNS,
    AGENT_HEADINGS,
    BUSY_HEADINGS,
    DEAD_HEADINGS,
    PROCESS_HEADINGS,
    Cell,
    Order,
    actor_rows,
    agent_rows,
    busy_rows,
    dead_rows,
    heading,
    process_rows,
)
from cli.top.screens import Details, Events, Help, Question
from transport.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

NOTHING_TOLD = "this node does not tell"
_WIDE = 146
_SIDE = ("agents", "busy", "processes", "dead")
_DONE = {"kill": "killed", "restart": "restarted", "suspend": "suspended", "resume": "resumed"}

CSS = """
#heading { height: 2; padding: 0 1; background: $panel;
           text-wrap: nowrap; text-overflow: ellipsis; }
#panes { height: 1fr; }
#side { width: 64; }
Pane { border: round $primary 60%; border-title-color: $accent; border-title-style: bold;
       border-subtitle-color: $warning; height: 1fr; background: $surface; scrollbar-size: 1 1; }
Pane:focus { border: round $accent; }
.pane--heading { background: $panel; color: $foreground; text-style: bold; }
.pane--odd { background: $foreground 4%; }
.pane--cursor { background: $primary 60%; }
#actors { width: 1fr; }
#agents { height: 10; }
#filter { dock: bottom; height: 1; border: none; padding: 0 1; display: none; }
#filter.-open { display: block; }
.-narrow #heading { height: 3; }
.-narrow #panes { layout: vertical; }
.-narrow #side { width: 1fr; height: 10; }
.-narrow #side Pane { display: none; }
.-narrow #side Pane.-chosen { display: block; height: 1fr; }
ModalScreen { align: center middle; }
VerticalScroll { scrollbar-size: 1 1; }
#window { width: 90%; height: 85%; border: round $accent; padding: 0 1; background: $surface; }
#question { width: auto; max-width: 90%; height: auto; border: round $error; padding: 1 2;
            background: $surface; }
#question Static { width: auto; }
#answers { margin-top: 1; }
"""


class Top(App[None]):
    """The screen.

    Args:
        ask: Asks the node for an operation; raises a ControlError where it can't.
        clock: Monotonic seconds.
        interval_s: Between two looks.
    """

    CSS = CSS
    TITLE = "bidwright top"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_WIDE, "-wide")]  # noqa: RUF012 - as in App
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("escape", "clear", "clear filter", show=False),
        Binding("k", "certain('kill')", "kill"),
        Binding("R", "certain('restart')", "restart", key_display="R"),
        Binding("s", "do('suspend')", "suspend"),
        Binding("r", "do('resume')", "resume"),
        Binding("e", "events", "events"),
        Binding("p", "pane", "pane"),
        *(Binding(str((index + 1) % 10), f"sort({index})", show=False) for index in range(10)),
    ]

    def __init__(
        self, ask: Callable[..., dict[str, Any]], clock: Callable[[], float], interval_s: float
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self._ask = ask
        self._poller = Poller(ask, clock)
        self._interval_s = interval_s
        self._looking = False
        self._order = Order()
        self.view = View()

    # -- the screen -------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Lay the panes out."""
        yield Static(id="heading")
        with Horizontal(id="panes"):
            yield Pane("Actors", [column.heading for column in ACTOR_COLUMNS], "actors")
            with Vertical(id="side"):
                yield Pane("Agents, last seconds", AGENT_HEADINGS, "agents")
                yield Pane("Busiest", BUSY_HEADINGS, "busy")
                yield Pane("Processes", PROCESS_HEADINGS, "processes")
                yield Pane("Died last", DEAD_HEADINGS, "dead")
        yield Input(placeholder="words in name, state or error", id="filter", compact=True)
        yield Footer()

    def on_mount(self) -> None:
        """Look at once, and then each interval."""
        self.query_one("#agents").add_class("-chosen")
        self.query_one("#actors").focus()
        self.set_interval(self._interval_s, self.look)
        self.look()

    def look(self) -> None:
        """Look at the node in the background; not while a look is under way."""
        if not self._looking:
            self._looking = True
            self.run_worker(self._look_in_thread, thread=True, group="look")

    def _look_in_thread(self) -> None:
        view = self._poller.look()
        self.call_from_thread(self._show, view)

    def _show(self, view: View) -> None:
        self._looking = False
        self.view = view
        self.query_one("#heading", Static).update(self._heading(view), layout=False)
        if view.tree is None:
            return
        self._show_actors()
        agents = agent_rows(view.tree)
        self._pane("agents").show(agents, "" if agents else NOTHING_TOLD)
        self._pane("busy").show(busy_rows(view.tree))
        self._pane("processes").show(
            process_rows(view), NOTHING_TOLD if view.processes is None else ""
        )
        self._pane("dead").show(
            dead_rows(view.dead or ()), NOTHING_TOLD if view.dead is None else ""
        )

    def _heading(self, view: View) -> Text:
        """Return the lines on top: two where the window is wide, else three."""
        state, traffic, census = map(_assembled, heading(view))
        if self.size.width >= _WIDE:
            state, traffic = Text("   ").join((state, traffic)), Text()
        return Text("\n").join((state, traffic, census) if traffic.plain else (state, census))

    def _show_actors(self) -> None:
        if self.view.tree is None:
            return
        rows = actor_rows(self.view.tree, self._order)
        wanted = self._order.wanted
        hint = f"{len(rows)} with {wanted!r}; Esc shows all" if wanted else ""
        pane = self._pane("actors")
        pane.border_title = self._title()
        pane.show(rows, hint)

    def _title(self) -> str:
        if self._order.column is None:
            return "Actors"
        column = ACTOR_COLUMNS[self._order.column]
        return f"Actors by {column.heading} {'▼' if column.falling != self._order.turned else '▲'}"

    def _pane(self, name: str) -> Pane:
        return self.query_one(f"#{name}", Pane)

    # -- keys: looking ----------------------------------------------------------------------------

    def action_sort(self, column: int) -> None:
        """Sort the actors by a column."""
        self._order = self._order.pressed(column)
        self._show_actors()
        self._pane("actors").move_cursor(0)

    def action_filter(self) -> None:
        """Open the line for the words to filter by."""
        field = self.query_one("#filter", Input)
        field.add_class("-open")
        field.focus()

    def action_clear(self) -> None:
        """Show all actors again."""
        field = self.query_one("#filter", Input)
        field.value = ""
        field.remove_class("-open")
        self.query_one("#actors").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while the words are typed."""
        order = self._order
        self._order = Order(order.column, order.turned, event.value.strip())
        self._show_actors()

    def on_input_submitted(self) -> None:
        """Keep the filter, go back to the actors."""
        self.query_one("#filter").remove_class("-open")
        self.query_one("#actors").focus()

    def action_pane(self) -> None:
        """Show the next pane on the side, where there is room for one."""
        shown = next(name for name in _SIDE if self._pane(name).has_class("-chosen"))
        following = _SIDE[(_SIDE.index(shown) + 1) % len(_SIDE)]
        self._pane(shown).remove_class("-chosen")
        self._pane(following).add_class("-chosen")

    def on_pane_chosen(self, event: Pane.Chosen) -> None:
        """Open the details of the actor on which Enter was pressed."""
        node = self._node(event.key)
        if node is not None:
            self.push_screen(Details(self._ask, node))

    def action_events(self) -> None:
        """Open the events."""
        self.push_screen(Events(self._ask, self._interval_s))

    def action_help(self) -> None:
        """Tell the keys."""
        self.push_screen(Help())

    # -- keys: steering ---------------------------------------------------------------------------

    def action_certain(self, op: str) -> None:
        """Do something that can't be taken back, once it is confirmed."""
        name = self._selected()
        if name is None:
            return

        def answered(yes: bool | None) -> None:  # noqa: FBT001 - textual's callback
            if yes:
                self._do(op, name)

        self.push_screen(Question(f"{op} {self._address(name)}?"), answered)

    def action_do(self, op: str) -> None:
        """Do something to the actor under the cursor."""
        name = self._selected()
        if name is not None:
            self._do(op, name)

    def _do(self, op: str, name: str) -> None:
        self.run_worker(lambda: self._do_in_thread(op, name), thread=True, group="do")

    def _do_in_thread(self, op: str, name: str) -> None:
        try:
            self._ask(op, name=name)
        except ControlError as error:
            self.call_from_thread(self.notify, str(error), severity="error", markup=False)
        else:
            self.call_from_thread(self.notify, f"{_DONE[op]} {name}", markup=False)

    def _selected(self) -> str | None:
        """Return the name of the actor under the cursor of the pane that has the focus."""
        focused = self.focused
        name = (focused if isinstance(focused, Pane) else self._pane("actors")).selected
        node = self._node(name) if name is not None else None
        if node is None:
            self.notify("there is no actor under the cursor", severity="warning")
            return None
        return name_of(node)

    def _node(self, name: str) -> dict[str, Any] | None:
        if self.view.tree is None:
            return None
        return next((dict(each) for each in walk(self.view.tree) if name_of(each) == name), None)

    def _address(self, name: str) -> str:
        node = self._node(name) or {}
        return str(node.get("address") or name)


def _assembled(cells: Sequence[Cell]) -> Text:
    return Text.assemble(*((str(cell.value), cell.style) for cell in cells))
