"""asyncio sockets and timers that drive a SIP core: UDP, TCP, TLS; and RFC 3263 look-ups."""
