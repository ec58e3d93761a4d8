"""The tables of `recordings`, by class."""

TENANT: tuple[str, ...] = ("recordings",)
EPHEMERAL: tuple[str, ...] = ()
PLATFORM: dict[str, str] = {}
