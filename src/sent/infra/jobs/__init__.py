"""Background jobs: put into the queue in the transaction that causes them, run in this process, retried.

queue.py    what modules use: register, defer, and the registry
worker.py   procrastinate; imported only when the worker starts, since that costs 0.3 s
"""

from sent.infra.jobs.queue import GiveUp, Jobs

__all__ = ["GiveUp", "Jobs"]
