"""Inside numbers: who is behind an extension, and what a call to it does. Decides with a `Plan`; executes nothing."""
