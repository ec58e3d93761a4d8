"""The tables of `calls`, by class. A test compares all modules' lists with the catalogue."""

TENANT: tuple[str, ...] = ("calls", "call_legs", "call_ladder")
EPHEMERAL: tuple[str, ...] = ()
PLATFORM: dict[str, str] = {
    "node_leases": "which node is alive, so that another may close its open call records; nodes belong to no one",
}
