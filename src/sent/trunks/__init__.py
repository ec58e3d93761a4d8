"""Carriers: numbers, registration, health, what may be dialled through them and what it may cost."""
