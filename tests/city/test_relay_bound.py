"""What relays may cost over the whole life of an allowance: (K_w − 1)·a, whatever deposit there is. Decision 0044."""

from pathlib import Path
from random import Random

import pytest

from offline_ledger.money import KGO
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.rules.limits import Limits, loss_bound_kgo, relay_bound_kgo
from tests.town.in_process import open_town
from tests.town.test_loss_bound import FARE_KGO, Cheat, loss_kgo

LIMITS = Limits()


@pytest.mark.parametrize("deposit_kgo", [0, 250 * KGO])
@pytest.mark.parametrize("groups", [2, 3])
def test_screens_relayed_one_after_another_cost_cap_a_at_each_further_terminal(
    tmp_path: Path, rng: Random, groups: int, deposit_kgo: int
) -> None:
    with open_town(tmp_path, rng, 500 * KGO + deposit_kgo) as town:
        buses = [town.terminal(DeviceRole.VALIDATOR) for _ in range(groups)]
        cheat = Cheat(town, town.wallet("relay"))
        if deposit_kgo:
            town.put_down(cheat.phone, deposit_kgo)
        for _ in range(LIMITS.allowance_terminal_kgo_max // FARE_KGO):
            cheat.relay(buses)
        assert all(cheat.taken[bus.device] == LIMITS.allowance_terminal_kgo_max for bus in buses)
        cheat.relay(buses)
        assert cheat.taken_kgo == groups * LIMITS.allowance_terminal_kgo_max, "cap a ends it everywhere"
        town.sync()
        assert loss_kgo(town, cheat) == (groups - 1) * LIMITS.allowance_terminal_kgo_max
        assert loss_kgo(town, cheat) > max(relay_bound_kgo(LIMITS, groups), loss_bound_kgo(LIMITS, groups, deposit_kgo))
        assert not town.store.fetch("SELECT 1 FROM equivocations"), "a relay proves nothing against anybody"
        town.assert_sound()
