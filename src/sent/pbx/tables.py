"""The tables of `pbx`, by class. A test compares all modules' lists with the catalogue."""

TENANT: tuple[str, ...] = ("extensions", "pbx_settings")
EPHEMERAL: tuple[str, ...] = ()
PLATFORM: dict[str, str] = {}
