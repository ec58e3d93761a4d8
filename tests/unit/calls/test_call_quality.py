from __future__ import annotations

from sent.calls.quality import from_statistics, silence_words
from sent.media.types import LegStatistics


def test_received_and_sent_are_not_confused():
    q = from_statistics(LegStatistics(loss_percent=1.5, remote_loss_percent=2.5, remote=("192.0.2.1", 4000)))
    assert (q.loss_received_percent, q.loss_sent_percent, q.remote) == (1.5, 2.5, "192.0.2.1:4000")


def test_words_for_silence():
    assert silence_words("Bob", 5000, None) == "Nothing was heard from Bob for 5 s."
    words = silence_words("Bob", 5000, LegStatistics(packets_sent=9, packets_received=3, remote=("192.0.2.1", 4000)))
    assert words == "Nothing was heard from Bob for 5 s: 9 packets were sent to it and 3 received, from 192.0.2.1:4000."
    words = silence_words("Bob", 30_000, LegStatistics(packets_sent=9, strangers=7, srtp_failures=2))
    assert "7 packets from an address outside the negotiation were dropped" in words
    assert "2 packets could not be decrypted" in words
