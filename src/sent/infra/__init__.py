"""What every product stands on: database, jobs, storage, vault, telemetry, HTTP. No product noun in here."""
