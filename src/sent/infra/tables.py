"""The tables of `infra`, by class. A test compares all modules' lists with the catalogue."""

TENANT: tuple[str, ...] = ("organization_keys",)
EPHEMERAL: tuple[str, ...] = ()
PLATFORM: dict[str, str] = {
    "migrations": "what ran on this database; only the owner reads and writes it",
    "server_login": "the login that the server becomes; only the owner reads it",
    "audit": "the audit log itself: its own policies for reading, written by functions of the owner alone",
    "audit_blocks": "seals over the audit rows of all organizations together",
    "audit_eras": "when transaction numbers began again after a restore",
}
