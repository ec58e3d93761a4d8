"""The programs that SENT is measured against, run as separate processes beside it."""
