"""Pure helpers that every layer may use: errors, ids, numbers, redaction. No I/O, no product noun."""
