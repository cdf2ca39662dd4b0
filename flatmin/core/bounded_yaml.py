"""YAML whose aliases stand for little and whose values are not nested without end.

An alias makes a value appear again for three bytes, and an alias of aliases makes it appear a billion times; nesting
ends in Python's own limit, at some later place. Both end here, at the line.
"""

from typing import Any

from yaml import YAMLError
from yaml.composer import Composer, ComposerError
from yaml.events import AliasEvent
from yaml.nodes import Node

MOST_REPEATED = 10_000
"""Values that all aliases of a document may stand for."""
MOST_NESTED = 50
"""Lists and sections inside one another."""


class Bounded(Composer):
    """What a loader derives from first, to refuse such documents."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sizes: dict[Node, int] = {}
        self.size = self.repeated = self.depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        """Compose as ever, and count.

        Raises:
            ComposerError: If the document repeats itself too much.
            YAMLError: If it is nested too deeply.
        """
        event: Any = self.peek_event()  # type: ignore[attr-defined]
        mark, before = event.start_mark, self.size
        if self.depth == MOST_NESTED:
            raise YAMLError(f"it is nested more than {MOST_NESTED} levels deep")
        self.depth += 1
        node: Node | None = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(event, AliasEvent):
            if node not in self.sizes:
                problem = f"alias {event.anchor!r} stands for a value that it is a part of"
                raise ComposerError(None, None, problem, mark)
            self.repeated += self.sizes[node]
            self.size += self.sizes[node]
            if self.repeated > MOST_REPEATED:
                problem = f"its aliases stand for more than {MOST_REPEATED:,} values; write them out"
                raise ComposerError(None, None, problem, mark)
        elif node is not None:
            self.size += 1
            self.sizes[node] = self.size - before
        return node
