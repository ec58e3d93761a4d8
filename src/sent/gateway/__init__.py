"""SIP phones and carriers as legs of a call: authentication, registrar, sessions with their media."""
