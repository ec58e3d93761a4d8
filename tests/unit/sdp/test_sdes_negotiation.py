"""SRTP keys in offer and answer (RFC 4568 §5.1)."""

from __future__ import annotations

import pytest
from tests.unit.sdp.sdp_texts import PCMU, SHA32, SHA80, THEIR_KEY, THEIR_LINE, offered, ours

from sent.sdp.answer import answer, read_answer
from sent.sdp.capabilities import Encryption
from sent.sdp.crypto import Crypto
from sent.sdp.description import Direction
from sent.sdp.errors import NoCommonCodec
from sent.sdp.offer import make_offer


class TestSrtp:
    SECURE = ours((PCMU,), encryption=Encryption.OPTIONAL, cryptos=(SHA80, SHA32))
    REQUIRED = ours((PCMU,), encryption=Encryption.REQUIRED, cryptos=(SHA80, SHA32))

    def test_savp_is_answered_with_the_tag_and_our_key(self) -> None:
        made = answer(offered("m=audio 5004 RTP/SAVP 0", THEIR_LINE), self.SECURE, session_id=1)
        line = made.description.media[0]
        assert line.protocol == "RTP/SAVP"
        assert line.get_all("crypto") == [str(Crypto(3, SHA80.suite, SHA80.key_salt))]
        assert made.negotiated.local_crypto is not None
        assert made.negotiated.local_crypto.key_salt == SHA80.key_salt
        assert made.negotiated.remote_crypto is not None
        assert made.negotiated.remote_crypto.tag == 3

    def test_best_effort(self) -> None:
        made = answer(offered("m=audio 5004 RTP/AVP 0", THEIR_LINE), self.SECURE, session_id=1)
        assert made.description.media[0].protocol == "RTP/AVP"
        assert made.negotiated.remote_crypto is not None
        plain = answer(offered("m=audio 5004 RTP/AVP 0", THEIR_LINE), ours((PCMU,)), session_id=1)
        assert plain.description.media[0].get("crypto") is None
        assert plain.negotiated.local_crypto is None

    @pytest.mark.parametrize(
        ("crypto", "words"),
        [
            ((), "has no a=crypto key"),
            (("a=crypto:1 AEAD_AES_256_GCM inline:AAAA",), "suite AEAD_AES_256_GCM is unknown"),
            ((f"{THEIR_LINE}|1:4",), "identifier is not supported"),
            ((f"a=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:{'A' * 60}ZQ==",), "no common suite"),
        ],
    )
    def test_savp_without_a_usable_key(self, crypto: tuple[str, ...], words: str) -> None:
        with pytest.raises(NoCommonCodec, match=words) as caught:
            answer(offered("m=audio 5004 RTP/SAVP 0", *crypto), self.SECURE, session_id=1)
        assert caught.value.warning == 302

    def test_plain_rtp_where_srtp_is_required(self) -> None:
        with pytest.raises(NoCommonCodec, match="SRTP is required"):
            answer(offered("m=audio 5004 RTP/AVP 0"), self.REQUIRED, session_id=1)

    def test_our_offer_and_what_comes_back(self) -> None:
        offer = make_offer(self.REQUIRED, session_id=1)
        assert offer.media[0].protocol == "RTP/SAVP"
        assert [value.split()[0] for value in offer.media[0].get_all("crypto")] == ["1", "2"]
        back = offered("m=audio 5004 RTP/SAVP 0", f"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{THEIR_KEY}")
        agreed = read_answer(offer, back)
        assert agreed.local_crypto is not None
        assert agreed.local_crypto.key_salt == SHA32.key_salt
        wrong_tag = offered("m=audio 5004 RTP/SAVP 0", f"a=crypto:9 AES_CM_128_HMAC_SHA1_32 inline:{THEIR_KEY}")
        for bad in (wrong_tag, offered("m=audio 5004 RTP/AVP 0")):
            with pytest.raises(NoCommonCodec, match="no usable a=crypto"):
                read_answer(offer, bad)

    def test_a_best_effort_offer_may_come_back_plain(self) -> None:
        offer = make_offer(self.SECURE, session_id=1)
        assert offer.media[0].protocol == "RTP/AVP"
        assert read_answer(offer, offered("m=audio 5004 RTP/AVP 0")).local_crypto is None

    def test_keys_stay_in_a_reoffer(self) -> None:
        made = answer(offered("m=audio 5004 RTP/SAVP 0", THEIR_LINE), self.SECURE, session_id=1)
        again = make_offer(self.SECURE, session_id=0, direction=Direction.SENDONLY, previous=made.description)
        assert again.media[0].protocol == "RTP/SAVP"
        assert again.media[0].get_all("crypto") == made.description.media[0].get_all("crypto")
