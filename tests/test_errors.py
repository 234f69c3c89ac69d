"""Messages and exit statuses of errors."""

import pytest

from carppcap.errors import CarpError, ConfigError, LinkError, PasswordError, on_error


@pytest.mark.parametrize(
    ("kind", "exit_status"),
    [(CarpError, 1), (ConfigError, 1), (PasswordError, 2), (LinkError, 2)],
    ids=["any", "config", "password", "link"],
)
def test_exit_status(kind: type[CarpError], exit_status: int) -> None:
    """1 for a wrong setting, 2 for a link, a file or a password that fails."""
    assert kind("x").exit_status == exit_status
    assert issubclass(kind, CarpError)


def test_message_is_a_template_and_its_values() -> None:
    """The template can be translated; `str` gives the English sentence."""
    error = ConfigError("vhid {vhid} on {interface}", vhid=300, interface="eth0")

    assert error.template == "vhid {vhid} on {interface}"
    assert error.values == {"vhid": 300, "interface": "eth0"}
    assert str(error) == "vhid 300 on eth0"


def test_braces_in_a_value_are_text() -> None:
    """Braces in a value are not part of the template."""
    assert str(LinkError("[{name}]", name="{0}{x}")) == "[{0}{x}]"


def test_on_error() -> None:
    """The call that undoes is made once, and only after an error."""
    calls: list[str] = []
    with on_error(lambda: calls.append("without")):
        pass
    with pytest.raises(OSError, match="no"), on_error(lambda: calls.append("with")):
        raise OSError("no")

    assert calls == ["with"]
