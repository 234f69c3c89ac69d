"""The errors that end the process or are logged, by what has to be fixed.

    CarpError
    ├── ConfigError        the caller asked for something impossible: exit status 1
    │   └── PasswordError  the password cannot be a key: exit status 2, as of ucarp
    └── LinkError          the interface, the capture or a file failed: status 2

Bad frames are normal input and become a `Rejection` instead.

A message is a template and its values, so that the template can be translated where it
is shown; `str()` gives the English sentence.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


def N_(text: str) -> str:
    """Return `text`, marked for translation where it is shown."""
    return text


class CarpError(Exception):
    """An error that the administrator must know of, in one line.

    `template` is a `str.format` template that `values` fill.  `exit_status` is that of
    the process.
    """

    exit_status = 1

    def __init__(self, template: str, **values: object) -> None:
        super().__init__(template)
        self.template = template
        self.values = values

    def __str__(self) -> str:
        return self.template.format(**self.values)


class ConfigError(CarpError):
    """A missing, impossible or misspelt setting."""


class PasswordError(ConfigError):
    """A password of an impossible length."""

    exit_status = 2


class LinkError(CarpError):
    """The interface, the capture handle or a file cannot be used."""

    exit_status = 2


@contextmanager
def link_errors(template: str, **values: object) -> Iterator[None]:
    """Raise a `LinkError` for an `OSError` of the block.

    `template` may name the reason (`why`) and its number (`number`).
    """
    try:
        yield
    except OSError as error:
        raise LinkError(
            template, why=error.strerror, number=error.errno, **values
        ) from None


@contextmanager
def on_error(undo: Callable[[], object]) -> Iterator[None]:
    """Call `undo` if the block raises an error, which goes on."""
    try:
        yield
    except BaseException:
        undo()
        raise
