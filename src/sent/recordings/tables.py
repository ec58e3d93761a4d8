"""The tables of `recordings`, by class."""

TENANT: tuple[str, ...] = ("recordings", "recording_settings")
EPHEMERAL: tuple[str, ...] = ()
PLATFORM: dict[str, str] = {}
