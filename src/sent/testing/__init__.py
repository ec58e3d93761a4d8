"""The test kit that ships: virtual clock, Wire, a fake media engine, phones on a Wire."""
