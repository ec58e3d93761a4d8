"""The tables of this module, by class (compared with the catalogue by a test)."""

TENANT: tuple[str, ...] = ("trunks", "trunk_numbers")
EPHEMERAL: tuple[str, ...] = ("trunk_status",)
PLATFORM: dict[str, str] = {}
