"""What the program says about itself: logs (redacted) and metrics (few labels)."""

from sent.infra.telemetry.logs import configure_logging, get_logger
from sent.infra.telemetry.metrics import Metrics

__all__ = ["Metrics", "configure_logging", "get_logger"]
