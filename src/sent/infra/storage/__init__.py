"""Files of the product, by key: a local folder by default, S3, Google Cloud or Azure by URL."""

from sent.infra.storage.keys import check_key
from sent.infra.storage.store import StorageError, Store

__all__ = ["StorageError", "Store", "check_key"]
