"""The registrar: bindings come, are refreshed and go, and only for who has the password."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.interop import needs, sipp
from tests.interop.product import Account, House
from tests.interop.sipp import header, steps

pytestmark = [pytest.mark.interop, needs.SIPP]

HERE = "<sip:phone@127.0.0.1:7001>"
THERE = "<sip:phone@127.0.0.1:7002;transport=tcp>"


async def bindings(house: House, folder: Path, *, account: Account | None = None, **wish: str | int) -> dict[str, int]:
    """What a REGISTER with ``wish`` is answered: seconds by contact."""
    account = account or house.alice
    step = steps.register(account.user, **wish)  # type: ignore[arg-type]  # what the caller wrote is what it takes
    seen = await sipp.run(folder, house.product, account, step)
    answer = seen.answer(200)
    found = re.findall(r"^Contact: (<[^>]*>);expires=(\d+)", answer, re.MULTILINE)
    assert len(found) == len(re.findall(r"^Contact:", answer, re.MULTILINE))
    return {contact: int(seconds) for contact, seconds in found}


async def test_a_binding_comes_is_refreshed_and_goes(house: House, tmp_path: Path) -> None:
    assert await bindings(house, tmp_path, contact=HERE, expires=600) == {HERE: 600}
    assert await bindings(house, tmp_path, contact=HERE, expires=120) == {HERE: 120}
    assert await bindings(house, tmp_path, contact=HERE, expires=0) == {}


async def test_a_device_may_have_several_bindings(house: House, tmp_path: Path) -> None:
    await bindings(house, tmp_path, contact=HERE, expires=600)
    both = await bindings(house, tmp_path, contact=THERE, expires=300)
    assert both.keys() == {HERE, THERE}
    assert await bindings(house, tmp_path, account=house.bob, contact=HERE) == {HERE: 600}, "another device's own"
    assert (await bindings(house, tmp_path, contact=f"{HERE};expires=0")).keys() == {THERE}
    assert await bindings(house, tmp_path, contact="*", expires=0) == {}


async def test_a_wish_that_is_too_short_is_423_with_the_least(house: House, tmp_path: Path) -> None:
    step = steps.register(house.alice.user, contact=HERE, expires=5, status=423)
    seen = await sipp.run(tmp_path, house.product, house.alice, step)
    least = int(header(seen.answer(423), "Min-Expires"))
    assert await bindings(house, tmp_path, contact=HERE, expires=least) == {HERE: least}


async def test_a_wish_that_is_too_long_is_cut(house: House, tmp_path: Path) -> None:
    granted = await bindings(house, tmp_path, contact=HERE, expires=10_000_000)
    assert 60 <= granted[HERE] <= 86_400


@pytest.mark.parametrize("user", ["its own", "nobody"])
async def test_a_wrong_password_gets_another_challenge(house: House, tmp_path: Path, user: str) -> None:
    name = house.alice.user if user == "its own" else "nobody-here"
    seen = await sipp.run(
        tmp_path, house.product, Account("101", name, "wrong"), steps.register(name, contact=HERE, status=401)
    )
    refused = seen.answer(401, "2 REGISTER")
    assert header(refused, "WWW-Authenticate")
    assert not header(refused, "Contact")


async def test_nobody_registers_for_another(house: House, tmp_path: Path) -> None:
    step = steps.register(house.bob.user, contact=HERE, status=403)
    await sipp.run(tmp_path, house.product, house.alice, step)
    assert (await bindings(house, tmp_path, account=house.bob, contact=THERE)).keys() == {THERE}
