"""Kamailio as a carrier: a registrar and proxy with digest, that hands calls to a phone of the carrier's and calls
from that phone to whoever registered."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.interop.ports import free_port_block

PROGRAM = shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin")
REALM = "carrier.test"

_CONFIGURATION = """#!KAMAILIO
debug=1
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
mpath="{modules}"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "auth.so"
modparam("auth", "qop", "auth")
modparam("auth", "nonce_count", 1)
modparam("rr", "enable_full_lr", 1)
modparam("registrar", "default_expires", 60)
modparam("registrar", "max_expires", {expires})

request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (has_totag()) {{ loose_route(); t_relay(); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("{realm}", "{password}", "0")) {{ www_challenge("{realm}", "1"); exit; }}
        save("location");
        exit;
    }}
    if (!is_method("INVITE")) {{ sl_send_reply("405", "Method Not Allowed"); exit; }}
    record_route();
    if ($sp == {phone_port}) {{
        $rU = "{user}";
        if (!lookup("location")) {{ sl_send_reply("480", "Customer Not Registered"); exit; }}
        append_hf("P-Called-Party-ID: <sip:{number}@{realm}>\\r\\n");
        t_relay();
        exit;
    }}
{silence}    if (!pv_proxy_authenticate("{realm}", "{password}", "0")) {{ proxy_challenge("{realm}", "1"); exit; }}
    consume_credentials();
{faults}    $du = "sip:127.0.0.1:{phone_port}";
    t_relay();
}}
"""
_FAULTS = """    if ($rU =~ "403$") {
        append_to_reply("Reason: Q.850;cause=21;text=\\"number barred by the carrier\\"\\r\\n");
        sl_send_reply("403", "Forbidden");
        exit;
    }
    if ($rU =~ "503$") { sl_send_reply("503", "Service Unavailable"); exit; }
"""
_SILENCE = """    if ($rU =~ "000$") exit;
"""


@dataclass(frozen=True, slots=True)
class Carrier:
    """``phone_port`` is where the carrier's own phone must listen: it gets all calls, and its calls go to the customer.

    Unless ``faultless``, numbers that end in 403 and 503 are refused so, and those in 000 meet silence.
    """

    port: int
    phone_port: int
    user: str
    password: str
    number: str


@contextlib.asynccontextmanager
async def kamailio(
    folder: Path, *, phone_port: int, user: str = "customer", password: str = "carrier-secret",
    number: str = "+12025550100", expires: int = 60, faultless: bool = False,
) -> AsyncIterator[Carrier]:  # fmt: skip
    assert PROGRAM is not None
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port_block(2)
    modules = next(iter(Path("/usr/lib").glob("*/kamailio/modules")))
    configuration = folder / "kamailio.cfg"
    configuration.write_text(
        _CONFIGURATION.format(
            port=port, modules=modules, realm=REALM, password=password, phone_port=phone_port, user=user,
            number=number, expires=expires, faults="" if faultless else _FAULTS,
            silence="" if faultless else _SILENCE,
        )
    )  # fmt: skip
    log = (folder / "kamailio.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "-f", str(configuration), "-DD", "-E", "-m", "32", "-M", "4", "-Y", str(folder),
        stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        async with asyncio.timeout(15):
            while True:
                if process.returncode is not None:
                    raise RuntimeError(f"Kamailio stopped: {(folder / 'kamailio.log').read_text()[-2000:]}")
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield Carrier(port, phone_port, user, password, number)
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
        log.close()
