"""Commands whose modules are imported only when they run, so that a command starts at once."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


class LazyCommand(TyperCommand):
    """A command, or a group of them, that is loaded when it runs.

    Args:
        name: The word by which it is called.
        target: ``module:attribute`` of the function, or of the ``typer.Typer`` of a group.
        summary: The first line of its help, for the list of commands.
        extra: The extra that installs all it needs; ``None`` if the base install does.
    """

    def __init__(self, name: str, target: str, summary: str, extra: str | None = None) -> None:
        super().__init__(name, help=summary)
        self.target, self.extra = target, extra

    def load(self) -> Any:
        """The command itself."""
        module, _, attribute = self.target.partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            command = get_group(found)
        else:
            app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
            app.command()(found)
            command = get_command(app)
        command.name = self.name
        return command

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """The context of the loaded command, which then runs in place of this one."""
        return self.load().make_context(*args, **kwargs)


def lazy_group(commands: Sequence[LazyCommand]) -> type[TyperGroup]:
    """The ``cls`` of a ``typer.Typer`` that has these commands, in this order."""

    class Group(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            for command in commands:
                self.add_command(command)

    return Group
