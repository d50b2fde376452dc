"""The trip of a real validator: without one nobody is charged, and a power cut does not take it away. DESIGN §5."""

from pathlib import Path

from offline_ledger.errors import AmountNotAuthorised, TripNotSet
from offline_ledger.rules.tariff import Product
from simulators.demo.desk import is_light
from simulators.demo.processes import wait_until
from tests.processes.lone_bus import CHEAP_FARE, lone_bus, rider


def test_without_a_trip_it_is_out_of_service_and_charges_nobody(tmp_path: Path) -> None:
    with lone_bus(tmp_path, trip=None) as bus:
        bus.start()
        said = bus.program.wait_for(is_light, 0, "the light without a trip")
        assert (said["light"], said["refusal"]) == ("out_of_service", TripNotSet.number)
        assert said["remedy_th"] and "trip" in said["remedy_en"]
        held = rider(1)
        assert bus.tap(held)["refusal"] == TripNotSet.number

        def told() -> set[object]:  # a badge that changed by itself may have been said between question and answer
            return {one["refusal"] for one in bus.status()[1] if one["trouble"] == "trip"}

        wait_until(lambda: TripNotSet.number in told(), "the trouble among those that stand")
        mark = bus.program.mark()
        bus.set_trip("8 morning")
        bus.program.wait_for(lambda one: one.get("trouble_over") == "trip", mark, "the end of the trouble")
        bus.program.wait_for(lambda one: one.get("light") == "wait", mark, "the wait light")
        assert bus.tap(held)["sequence"] == 1
        assert bus.program.stop("quit") == 0
        rows, _events = bus.journal()
        assert len(rows) == 1


def test_the_trip_survives_a_power_cut(tmp_path: Path) -> None:
    """The same passenger's next code, for a companion on this trip, is no transfer after it: it pays its fare."""
    with lone_bus(tmp_path, trip=None) as bus:
        bus.start()
        assert bus.set_trip("สาย8 เช้า KKU") == {"trip": "เช้า", "route": "สาย8", "stop": "KKU"}
        assert bus.tap(rider(1))["light"] == "accepted_cash_due"
        bus.program.kill()
        bus.start()
        kept = bus.program.wait_for(lambda said: "trip" in said, 0, "the kept trip")
        assert kept == {"trip": "เช้า", "route": "สาย8", "stop": "KKU"}
        assert bus.tap(rider(2))["light"] == "accepted_cash_due"
        bus.set_trip("9 noon")
        bus.program.kill()
        bus.start()
        kept = bus.program.wait_for(lambda said: "trip" in said, 0, "the kept trip")
        assert kept == {"trip": "noon", "route": "9"}


def test_a_code_for_less_than_the_fare_gives_both_amounts(tmp_path: Path) -> None:
    fare: Product = CHEAP_FARE
    with lone_bus(tmp_path, fare=fare) as bus:
        bus.start()
        said = bus.tap(rider(1, 70))
        assert said["refusal"] == AmountNotAuthorised.number
        assert (said["confirmed_kgo"], said["asked_kgo"]) == (70, fare.kgo)
        assert all("0.70" in said[line] and "1.00" in said[line] for line in ("line_th", "line_en"))
