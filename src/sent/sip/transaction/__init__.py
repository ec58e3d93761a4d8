"""RFC 3261 §17 with the corrections of RFC 6026: four state machines, and the layer that runs them.

``client_invite``, ``client_non_invite``, ``server_invite`` and ``server_non_invite`` are pure tables. ``client`` and
``server`` carry out what the tables order; ``layer`` finds the transaction that a message belongs to.
"""
