"""What can go wrong, sorted by who has to act.

    CarpError
    ├── ConfigError        the caller asked for something impossible: exit status 1
    │   └── PasswordError  the password cannot be a key: exit status 2, as it was
    └── LinkError          the interface, the capture or a file failed us: status 2

Bad frames are not here: they are normal input and become a `Rejection`.

A message is a template and its values, kept apart so that the shell can translate
the template; `str()` gives the English sentence.
"""


def N_(text: str) -> str:
    """Mark `text` for translation, which happens where it is shown."""
    return text


class CarpError(Exception):
    """Something the person who runs us must know, in one line.

    `template` is a `str.format` template, `values` fill it; `exit_status` is what
    the process should end with.
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
