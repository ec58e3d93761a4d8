"""Settings and wiring: which implementation stands behind which port. The only place that knows all features."""
