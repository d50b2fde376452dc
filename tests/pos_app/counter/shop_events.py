"""Shop events by chance, as a till could have written them, for what folds and keeps them."""

from hypothesis import strategies as st

from offline_ledger.protocol.shop_event import SaleSums, ShopEvent, ShopEventKind

AMOUNTS = st.integers(0, 10**9)
SALES = st.builds(
    lambda kgo, kgo_satang, coupon, cash, promptpay, vat, pieces, off: SaleSums(
        kgo_satang + coupon + cash + promptpay, kgo, kgo_satang, coupon, cash, promptpay, vat, pieces, off
    ),
    *(AMOUNTS,) * 8,
)


def event_of(what: int, sums: tuple[int, ...], after: int) -> ShopEvent:
    """One, in shift 3."""
    return ShopEvent(what, 1_795_000_000, 2, 3, "01", after, 0, sums, "")


def _event(what: ShopEventKind, sale: SaleSums, satang: int, after: int) -> ShopEvent:
    if what is ShopEventKind.SALE_CLOSED:
        return event_of(what, tuple(sale), after)
    if what is ShopEventKind.RETURNED:
        return event_of(what, tuple(sale._replace(is_void=satang % 2)), after)
    return event_of(what, (satang, satang), after)


EVENTS = st.lists(
    st.builds(
        _event,
        st.sampled_from([one for one in ShopEventKind if one is not ShopEventKind.SHIFT_OPENED]),
        SALES,
        AMOUNTS,
        st.integers(0, 10**6),
    ),
    max_size=40,
)
