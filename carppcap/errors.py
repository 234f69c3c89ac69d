"""The errors that end the process or are logged.

    CarpError
    ├── ConfigError        the user asked for something impossible: exit status 1
    │   └── PasswordError  the password cannot be a key: exit status 2, as with ucarp
    └── LinkError          the interface, the capture or a file failed: exit status 2

No error is raised for a bad frame: frames are input, and a bad one is a `Rejection`.

An error holds a template and the values for its placeholders, so that the template can
be translated when the error is shown.  `str()` returns the English sentence.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


def N_(text: str) -> str:
    """Return `text` unchanged.

    The call tells Babel that `text` is to be translated; `i18n.translate` does that
    when the text is shown.
    """
    return text


class CarpError(Exception):
    """An error that is shown to the administrator in one line.

    `template` is a `str.format` template, and `values` are for its placeholders.
    `exit_status` is the exit status of a process that the error ends.
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
    """A password that cannot be a key: it is empty, too long, or has a zero byte."""

    exit_status = 2


class LinkError(CarpError):
    """An interface, a capture handle or a file that cannot be used."""

    exit_status = 2


@contextmanager
def link_errors(template: str, **values: object) -> Iterator[None]:
    """Turn an `OSError` in the `with` block into a `LinkError`.

    `template` and `values` are for the `LinkError`.  `template` may also have the
    placeholders `why`, for the text of the `OSError`, and `number`, for its number.
    """
    try:
        yield
    except OSError as error:
        raise LinkError(
            template, why=error.strerror, number=error.errno, **values
        ) from None


@contextmanager
def on_error(undo: Callable[[], object]) -> Iterator[None]:
    """Call `undo` if the `with` block raises an error, and raise the error again."""
    try:
        yield
    except BaseException:
        undo()
        raise
