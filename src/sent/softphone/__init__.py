"""Our own SIP phone without a screen: `sent dial`, the demo carrier's voice, and tests."""
