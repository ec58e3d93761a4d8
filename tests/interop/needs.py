"""What a test needs from the machine, as marks that skip with the Debian package to install."""

from __future__ import annotations

import pytest

from tests.interop import baresip, kamailio, sipp

BARESIP = pytest.mark.skipif(baresip.PROGRAM is None, reason="baresip is not there; Debian package baresip-core")
KAMAILIO = pytest.mark.skipif(kamailio.PROGRAM is None, reason="Kamailio is not there; Debian package kamailio")
SIPP = pytest.mark.skipif(sipp.PROGRAM is None, reason="SIPp is not there; Debian package sip-tester")
