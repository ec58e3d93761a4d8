"""The tables of this module, by class (compared with the catalogue by a test)."""

TENANT: tuple[str, ...] = ()
EPHEMERAL: tuple[str, ...] = ("bindings",)
PLATFORM: dict[str, str] = {}
