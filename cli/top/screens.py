"""What opens above the panes: a question, the details of an actor, the events, the help."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from cli.event_lines import COLOURS
from cli.top.poll import UNKNOWN
from transport.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from textual.app import ComposeResult
    from textual.binding import BindingType

    Ask = Callable[..., dict[str, Any]]

EVENTS_AT_ONCE = 100
EVENTS_KEPT = 500
_LONG_LISTS = ("children",)

HELP = """\
[b]Looking[/b]
  [b]↑ ↓ PgUp PgDn[/b]   move; [b]Tab[/b] goes to the next pane
  [b]1 … 9, 0[/b]        sort the actors by that column; again: the other way round; again: the tree
  [b]/[/b]               filter by words in name, state or error; [b]Esc[/b] clears it
  [b]Enter[/b]           all there is to know of the actor
  [b]e[/b]               events, as they come
  [b]p[/b]               next pane on the side, where there is room for one only

[b]Steering[/b] the actor under the cursor
  [b]k[/b]               kill it; its supervisor decides what follows
  [b]R[/b]               restart it
  [b]s[/b]  [b]r[/b]            suspend it, resume it

[b]left[/b] is how many restarts a supervisor may still make before it gives up itself.
Times of agents are of the last seconds, as those who ask them see them; of several bidders, of the
slowest. [b]fallback[/b] is the share of questions that a stand-in had to answer.

[b]q[/b] ends this.  [b]Esc[/b] closes a window.
"""


class Window(ModalScreen[bool]):
    """A window that Escape closes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(False)", "close"),
    ]


class Question(Window):
    """Asks before something is done that cannot be taken back.

    Args:
        text: What is asked.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "yes"),
        Binding("n", "dismiss(False)", "no"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Show the question and the two answers."""
        with Vertical(id="question"):
            yield Static(Text(self._text))
            yield Static("[b]y[/b] yes   [b]n[/b] no", id="answers")


class Help(Window):
    """Tells the keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "dismiss(False)", "close")]

    def compose(self) -> ComposeResult:
        """Show the text."""
        with VerticalScroll(id="window"):
            yield Static(HELP)

    def on_mount(self) -> None:
        """Name the window."""
        self.query_one("#window").border_title = "Keys"


class Details(Window):
    """All there is to know of one actor, asked of the node once.

    Args:
        ask: Asks the node.
        node: What the tree tells of it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "dismiss(False)", "close")]

    def __init__(self, ask: Ask, node: Mapping[str, Any]) -> None:
        super().__init__()
        self._ask = ask
        self._node = node

    def compose(self) -> ComposeResult:
        """Show what the tree tells; the rest comes when the node has answered."""
        with VerticalScroll(id="window"):
            yield Static(told({"node": self._node}), id="facts")

    def on_mount(self) -> None:
        """Ask the node, in the background."""
        name = str(self._node.get("name"))
        window = self.query_one("#window")
        window.border_title = str(self._node.get("address") or name)
        window.border_subtitle = "asking ..."
        self.run_worker(lambda: self._look(name), thread=True, group="details")

    def _look(self, name: str) -> None:
        try:
            answer: dict[str, Any] = self._ask("show", name=name)
            hint = ""
        except ControlError as error:
            answer = {"node": self._node}
            hint = "this node tells no more" if error.code == UNKNOWN else str(error)
        self.app.call_from_thread(self._show, answer, hint)

    def _show(self, answer: Mapping[str, Any], hint: str) -> None:
        self.query_one("#facts", Static).update(told(answer))
        self.query_one("#window").border_subtitle = hint


class Events(Window):
    """The node's events, as they come.

    Args:
        ask: Asks the node.
        interval_s: How often.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("e", "dismiss(False)", "close")]

    def __init__(self, ask: Ask, interval_s: float) -> None:
        super().__init__()
        self._ask = ask
        self._interval_s = interval_s
        self._cursor: str | None = None
        self._asking = False
        self._lines: deque[Text] = deque(maxlen=EVENTS_KEPT)

    def compose(self) -> ComposeResult:
        """Show an empty list."""
        with VerticalScroll(id="window"):
            yield Static(id="events")

    def on_mount(self) -> None:
        """Ask at once, and again and again."""
        window = self.query_one("#window")
        window.border_title, window.border_subtitle = "Events", "asking ..."
        self.set_interval(self._interval_s, self.look)
        self.look()

    def look(self) -> None:
        """Ask for what is new, in the background; not while a question is open."""
        if not self._asking:
            self._asking = True
            self.run_worker(self._ask_for_news, thread=True, group="events")

    def _ask_for_news(self) -> None:
        args = {} if self._cursor is None else {"cursor": self._cursor}
        try:
            answer = self._ask("events", limit=EVENTS_AT_ONCE, **args)
            hint = ""
        except ControlError as error:
            answer = {}
            hint = "this node keeps no events" if error.code == UNKNOWN else str(error)
        self.app.call_from_thread(self._show, answer, hint)

    def _show(self, answer: Mapping[str, Any], hint: str) -> None:
        self._asking = False
        self._cursor = answer.get("cursor", self._cursor)
        window = self.query_one("#window", VerticalScroll)
        window.border_subtitle = hint
        news = answer.get("events", ())
        if news:
            reads_on = window.is_vertical_scroll_end
            self._lines.extend(map(event_line, news))
            self.query_one("#events", Static).update(Text("\n").join(self._lines))
            if reads_on:
                window.scroll_end(animate=False)


def event_line(event: Mapping[str, Any]) -> Text:
    """Return an event as one line, and its traceback below it."""
    kind = str(event.get("kind", "?"))
    line = Text.assemble(
        (f"{str(event.get('ts', ''))[11:23]:<13}", "dim"),
        (f"{kind:<15}", f"bold {COLOURS.get(kind, 'white')}"),
        f"{event.get('address', '')}  ",
        (" ".join(str(event.get("reason") or "").split()), "yellow"),
    )
    detail = str(event.get("detail") or "").strip()
    return line.append(f"\n{detail}", "dim") if detail else line


def told(answer: Mapping[str, Any]) -> Text:
    """Return an answer of the node as lines of names and values, parts under headings."""
    text = Text()
    for part, value in answer.items():
        if value in (None, "", [], {}):
            continue
        text.append(f"{part.replace('_', ' ')}\n", "bold cyan")
        for name, inner in _facts(value):
            text.append(f"  {name:<20}", "dim")
            text.append(f"{inner}\n")
    return text


def _facts(value: Any) -> list[tuple[str, str]]:
    if isinstance(value, list):
        return [("", event_line(each).plain) for each in value if isinstance(each, dict)]
    if not isinstance(value, dict):
        return [("", str(value))]
    facts = []
    for name, inner in value.items():
        if name in _LONG_LISTS:
            facts.append((name, str(len(inner))))
        elif isinstance(inner, dict):
            facts += [(f"{name}.{below}", _plain(found)) for below, found in inner.items()]
        else:
            facts.append((name, _plain(inner)))
    return facts


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
