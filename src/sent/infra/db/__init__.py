"""PostgreSQL: embedded or external, migrations, and the three doors through which everything goes.

Start with `database.Database`.
"""

from sent.infra.db.actor import Actor, SystemReason
from sent.infra.db.database import Connection, Database
from sent.infra.db.settings import DatabaseSettings

__all__ = ["Actor", "Connection", "Database", "DatabaseSettings", "SystemReason"]
