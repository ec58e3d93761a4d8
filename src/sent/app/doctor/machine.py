"""Clock, disk, open files and certificates."""

from __future__ import annotations

import ctypes
import resource
import shutil
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

from sent.app.certificates import expires_at
from sent.app.doctor.finding import Finding, broken, good, warning
from sent.app.settings import Settings

_TIME_ERROR = 5
"""adjtimex(2): the kernel's clock is not synchronised."""
_TIMEX_SIZE = 256
_GIB = 1 << 30
_FILES_NEEDED = 4_096


def check_clock(database_now: datetime | None, now: datetime) -> Iterator[Finding]:
    """The kernel says whether its clock is disciplined; an external database must agree with it."""
    if database_now is not None and abs(database_now - now) > timedelta(seconds=2):
        apart = abs((database_now - now).total_seconds())
        yield broken(
            "clock",
            f"this machine and the database are {apart:.0f} s apart: records would be out of order",
            "Synchronise both with NTP (for example `apt-get install systemd-timesyncd`).",
        )
        return
    if not sys.platform.startswith("linux"):
        yield good("clock", f"agrees with the database ({now:%Y-%m-%d %H:%M:%S} UTC)")
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.adjtimex(ctypes.create_string_buffer(_TIMEX_SIZE)) == _TIME_ERROR:
        yield warning(
            "clock",
            "nothing keeps this machine's clock right",
            "Turn NTP on (for example `apt-get install systemd-timesyncd`); TLS and records depend on the time.",
        )
    else:
        yield good("clock", f"is kept right by NTP ({now:%Y-%m-%d %H:%M:%S} UTC)")


def check_disk(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    words = f"{free / _GIB:.1f} GiB free for {settings.data_dir}"
    if free < _GIB:
        yield broken("disk", words, "Free some space: recordings stop under 100 MB, the database soon after.")
    elif free < 5 * _GIB:
        yield warning("disk", words, "A recorded hour takes about 60 MB; plan for more.")
    else:
        yield good("disk", words)


def check_open_files() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _FILES_NEEDED:
        yield warning(
            "open files",
            f"at most {hard} files may be open; each call takes four",
            "Raise the limit (LimitNOFILE= in the systemd unit, or `ulimit -n`).",
        )
    else:
        yield good("open files", f"{soft} now, SENT raises it by itself")


def check_certificate(settings: Settings, now: datetime) -> Iterator[Finding]:
    given = settings.tls_cert
    chain = given or settings.data_dir / "tls" / "certificate.pem"
    if not chain.is_file():
        if given is None:
            yield good("certificate", "a self-signed one will be made at the first start")
        else:
            yield broken("certificate", f"there is no file {chain}", "Correct SENT_TLS_CERT.")
        return
    try:
        end = expires_at(chain)
    except ValueError as error:
        yield broken("certificate", f"{chain} is no PEM certificate: {error}", "Correct SENT_TLS_CERT.")
        return
    kind = "self-signed certificate" if given is None else "certificate"
    if end < now:
        yield broken("certificate", f"the {kind} {chain} ran out on {end:%Y-%m-%d}", "Renew it and restart SENT.")
    elif end < now + timedelta(days=30):
        yield warning("certificate", f"the {kind} runs out on {end:%Y-%m-%d}", "Renew it and restart SENT.")
    else:
        yield good("certificate", f"the {kind} is valid until {end:%Y-%m-%d}")
