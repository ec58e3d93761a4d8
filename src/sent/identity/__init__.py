"""Organizations, users, devices, roles and the audit of what they do."""
