"""Which devices can be reached, and where: bindings in memory, written behind to the database."""
