"""The tables of `identity`, by class."""

TENANT: tuple[str, ...] = ("users", "devices")
EPHEMERAL: tuple[str, ...] = ()
PLATFORM: dict[str, str] = {
    "organizations": "each row is an organization: its policy compares id, and only the system creates them",
}
