"""SENT: a team's phone system and team chat in one program. Start with ARCHITECTURE.md."""
