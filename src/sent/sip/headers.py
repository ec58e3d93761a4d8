"""The header fields of one message: in order, raw, found by name without case and in compact form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from sent.sip.errors import LocalProtocolError, RemoteProtocolError
from sent.sip.grammar import is_token, split_list

T = TypeVar("T")

# RFC 3261 §7.3.3 and the registry of compact forms.
_COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

_CANONICAL = """
    Accept Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authentication-Info Authorization Call-ID
    Call-Info Contact Content-Disposition Content-Encoding Content-Language Content-Length Content-Type CSeq Date
    Diversion Error-Info Event Expires Flow-Timer From Geolocation History-Info Identity In-Reply-To Join
    Max-Forwards MIME-Version Min-Expires Min-SE Organization P-Access-Network-Info P-Asserted-Identity
    P-Associated-URI P-Called-Party-ID P-Charging-Vector P-Early-Media P-Preferred-Identity Path Priority Privacy
    Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason Record-Route Refer-To Referred-By
    Remote-Party-ID Replaces Reply-To Require Retry-After Route RSeq Server Service-Route Session-Expires SIP-ETag
    SIP-If-Match Subject Subscription-State Supported Target-Dialog Timestamp To Unsupported User-Agent User-to-User
    Via Warning WWW-Authenticate
"""

# Where a comma separates values that could as well stand in header fields of their own (RFC 3261 §7.3.1).
_LISTS = """
    accept accept-encoding accept-language alert-info allow allow-events call-info contact content-encoding
    content-language diversion error-info history-info in-reply-to p-asserted-identity p-associated-uri
    p-preferred-identity path proxy-require reason record-route require route service-route supported unsupported
    via warning
"""
LIST_HEADERS = frozenset(_LISTS.split())

MAX_LIST_VALUES = 512

# From the spellings that are met to the key; anything else takes the slow way through `_key`.
KNOWN_KEYS = {name: name.lower() for name in _CANONICAL.split()}
KNOWN_KEYS |= {name.lower(): name.lower() for name in _CANONICAL.split()}
KNOWN_KEYS |= _COMPACT | {short.upper(): full for short, full in _COMPACT.items()}


def header_key(name: str) -> str:
    """The one spelling by which header fields are compared: the full name in lower case."""
    key = KNOWN_KEYS.get(name)
    if key is None:
        key = name.lower()
        key = _COMPACT.get(key, key)
    return key


class Headers:
    """A list of header fields. Values hold no line ends; those that were received are otherwise untouched.

    Values that we set are checked: text with a line end would become a header field of its own
    (`LocalProtocolError`).
    """

    __slots__ = ("_fields", "_index", "_typed")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: list[tuple[str, str, str]] = []
        self._index: dict[str, list[str]] | None = None
        self._typed: dict[str, object] = {}
        for name, value in fields:
            self.add(name, value)

    @classmethod
    def from_wire(cls, fields: list[tuple[str, str, str]]) -> Headers:
        """For the parser: (key, name as received, value) that are known to be well-formed."""
        headers = cls()
        headers._fields = fields
        return headers

    def _values(self) -> dict[str, list[str]]:
        index = self._index
        if index is None:
            index = self._index = {}
            for key, _, value in self._fields:
                if key in index:
                    index[key].append(value)
                else:
                    index[key] = [value]
        return index

    def _changed(self) -> None:
        self._index = None
        self._typed.clear()

    @staticmethod
    def _field(name: str, value: str) -> tuple[str, str, str]:
        if not is_token(name):
            raise LocalProtocolError("a header name is not a token")
        if "\r" in value or "\n" in value:
            raise LocalProtocolError("a header value holds a line end")
        return header_key(name), name, value

    def get(self, name: str) -> str | None:
        """The first value, whole; None where there is none."""
        values = self._values().get(header_key(name))
        return values[0] if values else None

    def get_all(self, name: str) -> list[str]:
        """All values in order, lists split at their commas. Empty elements are kept (the typed parsers reject them)."""
        key = header_key(name)
        values = self._values().get(key)
        if values is None:
            return []
        if key not in LIST_HEADERS or not any("," in value for value in values):
            return list(values)
        split = [part for value in values for part in split_list(value)]
        if len(split) > MAX_LIST_VALUES:
            raise RemoteProtocolError("too many values in one header field")
        return split

    def count(self, name: str) -> int:
        """How many header fields of this name there are."""
        return len(self._values().get(header_key(name), ()))

    def repeated(self) -> list[str]:
        """The keys of the names that stand in more than one header field."""
        index = self._values()
        return [key for key in index if len(index[key]) > 1] if len(index) < len(self._fields) else []

    def has(self, name: str) -> bool:
        return header_key(name) in self._values()

    def add(self, name: str, value: str) -> None:
        self._fields.append(self._field(name, value))
        self._changed()

    def prepend(self, name: str, value: str) -> None:
        """Put it before all others, as Via and Record-Route want it."""
        self._fields.insert(0, self._field(name, value))
        self._changed()

    def set(self, name: str, value: str) -> None:
        """Leave one field of this name, where the first one stood."""
        field = self._field(name, value)
        fields = [old for old in self._fields if old[0] != field[0]]
        position = next((at for at, old in enumerate(self._fields) if old[0] == field[0]), len(fields))
        fields.insert(position, field)
        self._fields = fields
        self._changed()

    def remove(self, name: str) -> None:
        key = header_key(name)
        self._fields = [field for field in self._fields if field[0] != key]
        self._changed()

    def items(self) -> list[tuple[str, str]]:
        """(name as received or given, value), in order."""
        return [(name, value) for _, name, value in self._fields]

    def fields(self) -> list[tuple[str, str, str]]:
        """(key, name, value), in order; the key is `header_key` of the name."""
        return list(self._fields)

    def copy(self) -> Headers:
        return Headers.from_wire(self.fields())

    def typed(self, key: str, parse: Callable[[], T]) -> T:
        """``parse()``, remembered under ``key`` until a header field changes. What it raises is not remembered."""
        if key in self._typed:
            return self._typed[key]  # type: ignore[return-value]  # one key is only ever used with one parser
        value = self._typed[key] = parse()
        return value

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items())

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return [(key, value) for key, _, value in self._fields] == [(key, value) for key, _, value in other._fields]

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Headers({[name for _, name, _ in self._fields]})"  # values may hold credentials and numbers
