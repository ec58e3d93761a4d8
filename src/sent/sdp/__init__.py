"""SDP (RFC 8866), offer and answer (RFC 3264), SDES (RFC 4568). Pure."""
