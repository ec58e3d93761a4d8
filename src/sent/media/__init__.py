"""The typed face of the media engine. Everything above speaks `sent.media.port.MediaEngine`."""
