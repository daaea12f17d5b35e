"""Command options made from the fields of a configuration: a field is an option."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from pipeline.cli.console import parse_settings
from pipeline.config.archive_config import ConfigModel, Flags
from pipeline.config.files import read_config, reasons_of
from quinr_lidar.errors import ProfileError

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

_FILE = "config_file"

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Settings from YAML or TOML; other options win over it."
    ),
]


def options_from(
    defaults: ConfigModel, parameter: str = "config", *, only: Collection[str] = (), file: bool
) -> Callable[[CommandT], CommandT]:
    """Give a command an option for every setting.

    Args:
        defaults: The settings, with the values that they have when neither option nor file says
            otherwise.
        parameter: The command's parameter that gets the model made of options and file.
        only: The fields that become options; all of them when empty.
        file: Whether there is an option ``--config`` as well.

    Returns:
        A decorator. The command that it makes raises a ProfileError for values out of range, which
        names the option or the file.
    """
    settings = [one for one in _settings(defaults) if not only or one.path[0] in only]

    def decorate(command: CommandT) -> CommandT:
        signature = inspect.signature(command, eval_str=True)
        options = [one.parameter() for one in settings]
        if file:
            kind = inspect.Parameter.KEYWORD_ONLY
            options.insert(0, inspect.Parameter(_FILE, kind, default=None, annotation=ConfigFile))

        @functools.wraps(command)
        def run(**given: Any) -> Any:
            path = given.pop(_FILE, None) if file else None
            chosen = {one: given.pop(one.name) for one in settings}
            given[parameter] = _model(defaults, path, chosen)
            return command(**given)

        own = [
            one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for one in signature.parameters.values()
        ]
        place = [one.name for one in own].index(parameter)
        shown = [*own[:place], *options, *own[place + 1 :]]
        run.__signature__ = signature.replace(parameters=shown)  # pyright: ignore[reportAttributeAccessIssue]
        run.__annotations__ = {one.name: one.annotation for one in shown}
        return run  # pyright: ignore[reportReturnType]

    return decorate


@dataclass(frozen=True)
class _Setting:
    """A field of a configuration, however deep.

    Attributes:
        path: Names of the fields that lead to it.
        default: Its value where nothing else is said.
        type: What the command line takes, without ``None``.
        flags: The option's names.
        metavar: What help calls the value.
        help: What the setting means.
    """

    path: tuple[str, ...]
    default: Any
    type: Any
    flags: tuple[str, ...]
    metavar: str | None
    help: str

    # By the path alone: defaults need not have a hash.
    def __hash__(self) -> int:
        return hash(self.path)

    @property
    def name(self) -> str:
        """Its parameter of the command."""
        return "_".join(self.path)

    def parameter(self) -> inspect.Parameter:
        """The option; ``None`` or an empty list where it is not given."""
        many = get_origin(self.type) is list
        option = typer.Option(
            *self.flags,
            metavar=self.metavar,
            help=self.help,
            show_default=False if self.default in (None, {}) else str(self.default),
        )
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=[] if many else None,
            annotation=Annotated[self.type if many else self.type | None, option],
        )


def _settings(defaults: BaseModel, path: tuple[str, ...] = ()) -> Iterator[_Setting]:
    for name, field in type(defaults).model_fields.items():
        value = getattr(defaults, name)
        if isinstance(value, BaseModel):
            yield from _settings(value, (*path, name))
        else:
            flags = next((one for one in field.metadata if isinstance(one, Flags)), Flags())
            names = flags.names or (f"--{name.replace('_', '-')}",)
            text = field.description or ""
            yield _Setting((*path, name), value, _type(field), names, flags.metavar, text)


def _type(field: FieldInfo) -> Any:
    """What the command line takes for a field: settings by name are a list of NAME=VALUE."""
    if get_origin(field.annotation) is dict:
        return list[str]
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    optional = NoneType in get_args(field.annotation)
    return kinds[0] if optional and len(kinds) == 1 else field.annotation


def _model(defaults: ConfigModel, file: Path | None, chosen: dict[_Setting, Any]) -> Any:
    """The model of a file and of options, which win.

    Raises:
        ProfileError: a value out of range or an unknown name; names the option or the file.
        StorageError: the file cannot be read.
    """
    values = defaults.model_dump(exclude_defaults=True)
    if file is not None:
        of_file = read_config(file)
        _check(type(defaults), of_file, lambda name: f"{file}: {name}")
        _merge(values, of_file)
    by_path = {}
    for setting, value in chosen.items():
        if value is None or value == []:
            continue
        given = parse_settings(value) if isinstance(value, list) else value
        for name in reversed(setting.path):
            given = {name: given}
        _merge(values, given)
        by_path[".".join(setting.path)] = setting.flags[0]
    return _check(type(defaults), values, lambda name: by_path.get(name, name))


def _check(model: type[ConfigModel], values: dict[str, Any], named: Callable[[str], str]) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        reasons = "; ".join(f"{named(name)}: {reason}" for name, reason in reasons_of(error))
        raise ProfileError(reasons) from error


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    """Change nested settings one by one, not whole groups."""
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(values.get(name), dict):
            _merge(values[name], value)
        else:
            values[name] = value
