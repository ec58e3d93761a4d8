"""Sans-I/O SIP (RFC 3261 and companions): bytes and time in, bytes and events out."""
