"""Checks of options that several of them share; each error names the option and its value."""

from graflow.exceptions import ConfigError


def named(what: str, name: object) -> str:
    """Return a name, if it is a text with something in it.

    Raises:
        ConfigError: If it is not.
    """
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{what} is {name!r}; it must be a text with something in it")
    return name


def whole(what: str, number: object, *, least: int) -> int:
    """Return a number, if it is a whole one and not too small.

    Raises:
        ConfigError: If it is not.
    """
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise ConfigError(f"{what} is {number!r}; it must be a whole number from {least}")
    return number


def seconds(what: str, number: object) -> float:
    """Return a number of seconds, if it is one above 0.

    Raises:
        ConfigError: If it is not.
    """
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not number > 0:
        raise ConfigError(f"{what} is {number!r}; it must be a number of seconds above 0")
    return number


def at_least(what: str, number: object, least: float) -> float:
    """Return a number, if it is not too small.

    Raises:
        ConfigError: If it is.
    """
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not number >= least:
        raise ConfigError(f"{what} is {number!r}; it must be a number from {least}")
    return number
