"""Every refusal of the system: a unique number, a key for its texts, and whether waiting can help. DESIGN §3, §4.

Numbers are never reused. A refusal says whose fault it is by its `blame`: the customer's object, this terminal's or
city's set-up ("we are misconfigured"), or a forgery. Texts (Thai and English, with a remedy) live in `texts/`.

Ranges: 1000 reading, 1100 issuer and allowance, 1200 wallet object, 1300 clock and freshness, 1400 repeats and
conflicts, 1500 limits and staleness, 1600 tariff, 1700 campaign and sale, 1800 coupons, 1900 the cashier's counter,
2000 storage, 2100 deny list, 3000 sync, 4000 city, 5000 settings and programs, 6000 devices, 7000 the bench:
heads, cards, enrolment, updates, record, self-test.
"""

from enum import Enum
from typing import ClassVar


class Blame(Enum):
    """Whose fault a refusal is; the screens and the operator's list keep them apart."""

    CUSTOMER = "customer"
    SETUP = "setup"
    FORGERY = "forgery"
    DEVICE = "device"


class Refusal(Exception):
    """Base of every numbered refusal. `detail` is for the journal and the operator, never for a screen."""

    number: ClassVar[int] = 0
    key: ClassVar[str] = ""
    waiting_helps: ClassVar[bool] = False
    blame: ClassVar[Blame] = Blame.CUSTOMER

    def __init__(self, detail: str = "") -> None:
        super().__init__(f"{self.number} {self.key}" + (f": {detail}" if detail else ""))
        self.detail = detail


# --- 1000 reading -----------------------------------------------------------------------------------------------


class TooLarge(Refusal):
    """The object is over its size cap; judged before any parsing."""

    number, key = 1001, "too_large"


class NotOurCode(Refusal):
    """A readable code that is not one of ours: a PromptPay code, a URL, a product barcode."""

    number, key = 1002, "not_our_code"


class CodeDamaged(Refusal):
    """Starts like ours but is cut short or garbled."""

    number, key, waiting_helps = 1003, "code_damaged", True


class Malformed(Refusal):
    """Not the CBOR shape that `wire.cddl` names: wrong types, missing or unknown keys."""

    number, key = 1004, "malformed"


class NotCanonical(Refusal):
    """Valid CBOR, but not the one deterministic encoding: a second spelling of the same thing is refused."""

    number, key = 1005, "not_canonical"


class DuplicateKey(Refusal):
    """A CBOR map names a key twice."""

    number, key = 1006, "duplicate_key"


class UnknownKey(Refusal):
    """A map key this version does not know; ignoring it could ignore a restriction."""

    number, key = 1007, "unknown_key"


class UnknownAlgorithm(Refusal):
    """The protected header names another algorithm than ES256."""

    number, key = 1008, "unknown_algorithm"
    blame = Blame.FORGERY


class TrailingBytes(Refusal):
    """Bytes after the end of the object."""

    number, key = 1009, "trailing_bytes"


class UnprotectedHeader(Refusal):
    """Something stands in the unprotected header, which nobody signed."""

    number, key = 1010, "unprotected_header"


class WrongCodeType(Refusal):
    """One of our codes, but not a kind that this terminal takes (a receipt, a payment request)."""

    number, key = 1011, "wrong_code_type"


class ValueOutOfRange(Refusal):
    """A field has the right type but a value outside its range."""

    number, key = 1012, "value_out_of_range"


class VersionUnknown(Refusal):
    """Object version this device cannot read yet; an update is needed."""

    number, key = 1013, "version_unknown"
    blame = Blame.SETUP


# --- 1100 issuer and allowance ----------------------------------------------------------------------------------


class UnknownCity(Refusal):
    """The allowance is of another city."""

    number, key = 1101, "unknown_city"


class UnknownIssuer(Refusal):
    """No key of our trust list has this key id: this terminal may be behind and must reconnect; not fraud."""

    number, key, waiting_helps = 1102, "unknown_issuer", True
    blame = Blame.SETUP


class AllowanceForged(Refusal):
    """The issuer's key id is known, but its signature does not fit."""

    number, key = 1103, "allowance_forged"
    blame = Blame.FORGERY


class IssuerRoleWrong(Refusal):
    """Signed by a city key that may not issue this object."""

    number, key = 1104, "issuer_role_wrong"
    blame = Blame.FORGERY


class AllowanceNotYetValid(Refusal):
    """The allowance begins later."""

    number, key, waiting_helps = 1105, "allowance_not_yet_valid", True


class AllowanceExpired(Refusal):
    """The wallet's offline allowance is past its last second; going online renews it."""

    number, key = 1106, "allowance_expired"


class IssuerKeyExpired(Refusal):
    """The issuing key was outside its validity when it signed."""

    number, key, waiting_helps = 1107, "issuer_key_expired", True
    blame = Blame.SETUP


class DeviceCertificateInvalid(Refusal):
    """A device certificate that does not verify, is expired, or is for another role."""

    number, key = 1108, "device_certificate_invalid"
    blame = Blame.SETUP


class TerminalRevoked(Refusal):
    """The city has revoked this terminal: nothing that it accepts from here on is paid."""

    number, key = 1109, "terminal_revoked"
    blame = Blame.SETUP


class DeviceRoleWrong(Refusal):
    """The city enrolled this device for another role (till, bus, training) than this program plays here."""

    number, key = 1110, "device_role_wrong"
    blame = Blame.SETUP


class IssuerKeyWithdrawn(Refusal):
    """The city has withdrawn the key that issued this allowance; its wallet gets a new one online. Nobody's fraud."""

    number, key = 1111, "issuer_key_withdrawn"
    blame = Blame.SETUP


# --- 1200 wallet object -----------------------------------------------------------------------------------------


class WalletSignatureWrong(Refusal):
    """The presentment or payment is not signed by the wallet that the allowance names."""

    number, key = 1201, "wallet_signature_wrong"
    blame = Blame.FORGERY


class AllowanceMismatch(Refusal):
    """The wallet object names another allowance than the one beside it."""

    number, key = 1202, "allowance_mismatch"
    blame = Blame.FORGERY


class WrongAudience(Refusal):
    """A code made for the bus at a shop, or the other way round."""

    number, key = 1203, "wrong_audience"


class NoSaleOpen(Refusal):
    """A shop code was shown before the cashier keyed in the amount."""

    number, key, waiting_helps = 1204, "no_sale_open", True


class AmountMismatch(Refusal):
    """In a shop the charge must equal the amount that the customer confirmed."""

    number, key = 1205, "amount_mismatch"
    confirmed_kgo: int | None = None
    """What the customer signed; None where that is not known."""
    asked_kgo: int | None = None
    """What the open sale asks."""


class RequestMismatch(Refusal):
    """A payment that answers another request, or none that is open here."""

    number, key = 1206, "request_mismatch"


class RequestExpired(Refusal):
    """The payment request is past its end."""

    number, key = 1207, "request_expired"


class CounterUsed(Refusal):
    """n is not above the last one seen of this allowance."""

    number, key = 1208, "counter_used"


class SumUnderstated(Refusal):
    """S is below what this wallet has authorised before: its own signatures contradict each other."""

    number, key = 1209, "sum_understated"
    blame = Blame.FORGERY


class RequestCancelled(Refusal):
    """The cashier cancelled this request; the amount returns at the next statement."""

    number, key = 1210, "request_cancelled"


class CardPurseTooSmall(Refusal):
    """The chip itself says that less is left under its allowance than is asked for; nothing was signed."""

    number, key = 1230, "card_purse_too_small"


class CardBlocked(Refusal):
    """The chip says that its applet is blocked: its store is damaged, or the city's desk locked it."""

    number, key = 1231, "card_blocked"


class CardWithoutAllowance(Refusal):
    """A card of ours on which no allowance stands: it is fresh from the desk, or was never made ready."""

    number, key = 1232, "card_without_allowance"


class CardAllowanceExpired(Refusal):
    """The chip says that its allowance ended before the time of this payment request."""

    number, key = 1233, "card_allowance_expired"


class CardAllowanceClosed(Refusal):
    """The chip has signed a closing of its allowance and has not been loaded since."""

    number, key = 1234, "card_allowance_closed"


class CardRequestWrong(Refusal):
    """The chip cannot read the payment request, or it names another card: another one was held to the reader."""

    number, key, waiting_helps = 1235, "card_request_wrong", True


# --- 1300 clock and freshness -----------------------------------------------------------------------------------------


class CodeTooOld(Refusal):
    """The one-way code is older than its freshness allows; a refreshed code helps, waiting does not."""

    number, key = 1301, "code_too_old"


class CodeFromFuture(Refusal):
    """The code's time is ahead of ours by more than skew: the phone's clock is wrong."""

    number, key = 1302, "code_from_future"


class ValidityTooLong(Refusal):
    """A presentment that claims more than the freshness time, or none at all."""

    number, key = 1303, "validity_too_long"
    blame = Blame.FORGERY


class FloorCountUsedUp(Refusal):
    """This terminal does not know the time and has taken its few one-way codes; it must reconnect."""

    number, key, waiting_helps = 1304, "floor_count_used_up", True
    blame = Blame.SETUP


class ClockBehind(Refusal):
    """This terminal knows only the earliest possible time, and the allowance begins later: it must reconnect."""

    number, key, waiting_helps = 1305, "clock_behind", True
    blame = Blame.SETUP


# --- 1400 repeats and conflicts ---------------------------------------------------------------------------------


class AlreadyAccepted(Refusal):
    """The same intent was taken here before; nothing is charged again."""

    number, key = 1401, "already_accepted"


class Conflict(Refusal):
    """The same counter with other content: both payloads are kept as proof."""

    number, key = 1402, "conflict"
    blame = Blame.FORGERY


class Denied(Refusal):
    """The pass is on the city's deny list."""

    number, key = 1403, "denied"


class PassBack(Refusal):
    """The same wallet asks for another ride within the pass-back window."""

    number, key, waiting_helps = 1404, "pass_back", True


class PaidOtherSale(Refusal):
    """In a shop: this very code has paid another sale; the sale that is open now is not paid by it."""

    number, key = 1405, "paid_other_sale"


class CodeCancelled(Refusal):
    """In a shop: the cashier cancelled the sale that this very code was for, before its green; the code pays none."""

    number, key = 1406, "code_cancelled"


class SaleWaits(Refusal):
    """The open sale was charged before a power cut: no other wallet pays it, only its own gets its green."""

    number, key = 1407, "sale_waits"


class PaidWaitingSale(Refusal):
    """As PaidOtherSale, but the sale that the code paid still waits for its green: a new code would end that."""

    number, key = 1408, "paid_waiting_sale"


# --- 1500 limits and staleness ----------------------------------------------------------------------------------------


class MustReconnect(Refusal):
    """Deny list or last sync is too old (H): this terminal must reconnect; the customer's code is not at fault."""

    number, key, waiting_helps = 1501, "must_reconnect", True
    blame = Blame.SETUP


class CapLoweredByAge(Refusal):
    """Within the full cap, but this terminal has been offline so long that its caps are lowered."""

    number, key, waiting_helps = 1502, "cap_lowered_by_age", True
    blame = Blame.SETUP


class OneWayCapExceeded(Refusal):
    """More than a one-way code may pay; the two-way payment can."""

    number, key = 1503, "one_way_cap_exceeded"


class TerminalCapExceeded(Refusal):
    """This allowance has reached what it may ever spend at one terminal (a)."""

    number, key = 1504, "terminal_cap_exceeded"


class TerminalValueUsedUp(Refusal):
    """This terminal holds its full offline value (F) and must sync first."""

    number, key, waiting_helps = 1505, "terminal_value_used_up", True
    blame = Blame.SETUP


class ReserveExceeded(Refusal):
    """S and the amount together are above the allowance's R; going online renews it."""

    number, key = 1506, "reserve_exceeded"


class AmountNotAuthorised(Refusal):
    """The charge is not within what the customer signed: above a bus code's cap, or not a shop code's very amount."""

    number, key = 1507, "amount_not_authorised"


# --- 1600 tariff ------------------------------------------------------------------------------------------------------


class TariffMalformed(Refusal):
    """A tariff bulletin whose body is not of the named shape or contradicts itself."""

    number, key = 1601, "tariff_malformed"
    blame = Blame.SETUP


class UnknownProductKind(Refusal):
    """A fare product of a kind that this version cannot reckon; an update is needed."""

    number, key = 1602, "unknown_product_kind"
    blame = Blame.SETUP


class NoFareForBoarding(Refusal):
    """No fare product covers this route on this day."""

    number, key = 1603, "no_fare_for_boarding"
    blame = Blame.SETUP


class TripNotSet(Refusal):
    """The driver has not entered the trip: a fare, a transfer and the city's accounts all depend on it."""

    number, key = 1604, "trip_not_set"
    blame = Blame.SETUP


class TripWordWrong(Refusal):
    """A route, trip or stop longer than the journal keeps, or not printable; the trip before it goes on."""

    number, key = 1605, "trip_word_wrong"
    blame = Blame.SETUP


class RouteFileWrong(Refusal):
    """A route file that is none, is damaged, contradicts itself, or was not signed by the city."""

    number, key = 1610, "route_file_wrong"
    blame = Blame.SETUP


class RouteFileOutOfDate(Refusal):
    """The route file's days are over, or have not begun: it is used all the same, and this is said."""

    number, key = 1611, "route_file_out_of_date"
    blame = Blame.SETUP


class RouteUnknown(Refusal):
    """A route, direction, departure or stop that the route file does not have."""

    number, key = 1612, "route_unknown"
    blame = Blame.SETUP


class CrewFileWrong(Refusal):
    """A crew file that is none, is damaged, contradicts itself, or was not signed by the city."""

    number, key = 1613, "crew_file_wrong"
    blame = Blame.SETUP


class DriverPinWrong(Refusal):
    """No such driver, or another PIN; which of the two is not said."""

    number, key = 1614, "driver_pin_wrong"
    blame = Blame.SETUP


class DriverPinWait(Refusal):
    """Too many wrong PINs: the next try counts only after a while, also after a restart."""

    number, key, waiting_helps = 1615, "driver_pin_wait", True
    blame = Blame.SETUP


class DriverCardUnknown(Refusal):
    """A sound card, but of nobody in the crew file."""

    number, key = 1616, "driver_card_unknown"
    blame = Blame.SETUP


class NotSignedOn(Refusal):
    """Nobody has signed on at this validator."""

    number, key = 1617, "not_signed_on"
    blame = Blame.SETUP


class ValidatorLocked(Refusal):
    """The driver locked the validator and left; a PIN or driver card opens it."""

    number, key = 1618, "validator_locked"
    blame = Blame.SETUP


class NotAtThisMoment(Refusal):
    """What was asked for does not fit the state of the trip: none runs, or one runs already."""

    number, key = 1619, "not_at_this_moment"
    blame = Blame.SETUP


class NothingToAnnul(Refusal):
    """There is no boarding of this trip that is the last one here and was not annulled."""

    number, key = 1620, "nothing_to_annul"
    blame = Blame.SETUP


class AnnulTooLate(Refusal):
    """The last boarding is older than a driver may annul."""

    number, key = 1621, "annul_too_late"
    blame = Blame.SETUP


class BusMoving(Refusal):
    """The menu stays shut while the bus moves."""

    number, key, waiting_helps = 1622, "bus_moving", True
    blame = Blame.SETUP


class RouteFileMissing(Refusal):
    """The route file that the settings name is not there: no trip can be started, or after the next start none can."""

    number, key = 1623, "route_file_missing"
    blame = Blame.SETUP


class CrewFileMissing(Refusal):
    """The crew file that the settings name is not there: nobody can sign on, or after the next start nobody can."""

    number, key = 1624, "crew_file_missing"
    blame = Blame.SETUP


class TripNotKept(Refusal):
    """No run of the trip that was asked for is in this device's journal: never driven, mistyped, or pruned since."""

    number, key = 1625, "trip_not_kept"
    blame = Blame.SETUP


class WaybillNone(Refusal):
    """No trip with a driver runs, or none has ended yet: there is nothing to draw a waybill of."""

    number, key = 1626, "waybill_none"
    blame = Blame.SETUP


class CrewFileExposed(Refusal):
    """The crew file may be read by others on this machine: its PINs must count as known. Mended by its rights alone."""

    number, key = 1627, "crew_file_exposed"
    blame = Blame.SETUP


# --- 1700 campaign and sale -------------------------------------------------------------------------------------------


class CampaignMalformed(Refusal):
    """A campaign bulletin whose body is not of the named shape or contradicts itself."""

    number, key = 1701, "campaign_malformed"
    blame = Blame.SETUP


class AmountNotPositive(Refusal):
    """A sale of zero or less."""

    number, key = 1702, "amount_not_positive"


class AmountTooLong(Refusal):
    """More than ten digits: a barcode was read into the amount, or a finger stayed on the key."""

    number, key = 1703, "amount_too_long"


class KgoNegative(Refusal):
    """Fewer than zero KGO were chosen."""

    number, key = 1704, "kgo_negative"


class NoCampaign(Refusal):
    """No campaign gives a discount at this shop today."""

    number, key = 1705, "no_campaign"


class BillBelowMinimum(Refusal):
    """The campaign asks for a larger bill."""

    number, key = 1706, "bill_below_minimum"


class KgoAboveBillShare(Refusal):
    """More KGO than the campaign's share of the bill."""

    number, key = 1707, "kgo_above_bill_share"


class KgoAboveDailyCap(Refusal):
    """More KGO than this wallet may still use here today."""

    number, key = 1708, "kgo_above_daily_cap"


class KgoAboveWalletLimit(Refusal):
    """More KGO than the wallet's code allows."""

    number, key = 1709, "kgo_above_wallet_limit"


class TenderMismatch(Refusal):
    """The verified tender is negative or above what is due."""

    number, key = 1710, "tender_mismatch"


class SaleStillOpen(Refusal):
    """A second sale was keyed in while one is open: one key pressed twice opens no second sale."""

    number, key = 1711, "sale_still_open"


class NoSuchSale(Refusal):
    """The cashier named a sale that does not wait at this till."""

    number, key = 1712, "no_such_sale"


class NothingToCancel(Refusal):
    """`cancel` while no sale is open: nothing was cancelled, as the last one may have been paid a moment before."""

    number, key = 1713, "nothing_to_cancel"


class NotAnAmount(Refusal):
    """What was keyed in as an amount cannot be read as one, or could be misread."""

    number, key = 1714, "not_an_amount"


# --- 1800 coupons -----------------------------------------------------------------------------------------------


class CouponExpired(Refusal):
    """The last second of a paper coupon is past."""

    number, key = 1801, "coupon_expired"


class CouponOfOtherTerminal(Refusal):
    """A paper coupon that is pinned to another terminal; the detail names it."""

    number, key = 1802, "coupon_of_other_terminal"


class CouponOfOtherTrip(Refusal):
    """A paper coupon that is pinned to one trip, and this is another, or none has begun."""

    number, key = 1803, "coupon_of_other_trip"


class CouponUsed(Refusal):
    """This paper coupon was taken here before; the detail is the sequence of its voucher."""

    number, key = 1804, "coupon_used"


class CouponForged(Refusal):
    """A paper coupon that names a key of the city, and that key did not sign it, or may not."""

    number, key = 1805, "coupon_forged"
    blame = Blame.FORGERY


class CouponCancelled(Refusal):
    """The city took this paper coupon back: its sheet was lost or stolen, or the key that signed it."""

    number, key = 1806, "coupon_cancelled"


class CouponFromAfterKey(Refusal):
    """A paper coupon that is good for longer than any that its key can have signed."""

    number, key = 1807, "coupon_from_after_key"
    blame = Blame.FORGERY


# --- 1900 the cashier's counter ---------------------------------------------------------------------------------------


class NotToBeReturned(Refusal):
    """No sale of this terminal, one that it no longer has, or one whose customer never saw a green."""

    number, key = 1900, "not_to_be_returned"


class StaleScreen(Refusal):
    """The key was pressed on a picture that is no longer true: nothing was done."""

    number, key, waiting_helps = 1901, "stale_screen", True


class NothingLeftToReturn(Refusal):
    """All of the sale was given back before."""

    number, key = 1906, "nothing_left_to_return"


class ReturnTooLarge(Refusal):
    """More than is left of the sale."""

    number, key = 1907, "return_too_large"


class ReceiptNotOfSale(Refusal):
    """The receipt of another till is of no sale: KGO that were given back go back nowhere else."""

    number, key = 1930, "receipt_not_of_sale"


class ReceiptWithoutKgo(Refusal):
    """The receipt of another till took no KGO: money goes back there alone."""

    number, key = 1931, "receipt_without_kgo"


class ReceiptForged(Refusal):
    """A receipt in this till's own name that it never signed."""

    number, key = 1932, "receipt_forged"
    blame = Blame.FORGERY


class RefundAskedTooOften(Refusal):
    """As many refund requests were made at this till today as a shop has customers for."""

    number, key, waiting_helps = 1933, "refund_asked_too_often", True


class PrintQueueFull(Refusal):
    """So many receipts wait for the printer that no more are taken. The sale itself stands."""

    number, key, waiting_helps = 1970, "print_queue_full", True
    blame = Blame.DEVICE


class ReceiptNotKept(Refusal):
    """No receipt of this number is kept here, so it cannot be printed again."""

    number, key = 1971, "receipt_not_kept"


class ReceiptUnreadable(Refusal):
    """A stored receipt is not in the shape that this program writes, or too long to print."""

    number, key = 1972, "receipt_unreadable"
    blame = Blame.DEVICE


class WorkFailed(Refusal):
    """Something that the till does behind the cashier's back ended in a way that nobody foresaw: a fault of the program
    or of a file that was changed by hand. It goes on with the next; the trouble stands until the till starts again."""

    number, key = 1973, "work_failed"
    blame = Blame.DEVICE


class ItemWrong(Refusal):
    """An item that may not stand in the catalogue: no name, a price of zero, a barcode with a wrong check digit."""

    number, key = 1940, "item_wrong"


class BarcodeTaken(Refusal):
    """Another item has this barcode already; one code may mean one item alone."""

    number, key = 1941, "barcode_taken"


class ItemUnknown(Refusal):
    """No item has this code."""

    number, key = 1942, "item_unknown"


class GoodsFileWrong(Refusal):
    """A file of goods with mistakes: each is told with its line and column, and nothing of the file was taken."""

    number, key = 1943, "goods_file_wrong"


class CatalogueFull(Refusal):
    """More items or categories than a catalogue holds."""

    number, key = 1944, "catalogue_full"


class BasketFull(Refusal):
    """A basket has as many lines as it may have."""

    number, key = 1908, "basket_full"


class QuantityWrong(Refusal):
    """A quantity must be a whole number from 1 on."""

    number, key = 1909, "quantity_wrong"


class DiscountTooLarge(Refusal):
    """A discount may not take all of the bill, or more."""

    number, key = 1910, "discount_too_large"


class LineGone(Refusal):
    """The line is no longer in the basket."""

    number, key = 1911, "line_gone"


class BasketEmpty(Refusal):
    """There is nothing in the basket."""

    number, key = 1912, "basket_empty"


class NothingDue(Refusal):
    """All of it is paid already."""

    number, key = 1913, "nothing_due"


class TenderTooLarge(Refusal):
    """No change is given on this way to pay."""

    number, key = 1914, "tender_too_large"


class CashNotInDrawer(Refusal):
    """More cash than the drawer should hold."""

    number, key = 1915, "cash_not_in_drawer"


class ShiftShut(Refusal):
    """No shift is open: nothing is sold outside of one."""

    number, key = 1916, "shift_shut"


class ShiftOpen(Refusal):
    """A shift is open already."""

    number, key = 1917, "shift_open"


class NotNow(Refusal):
    """The action does not belong to this screen."""

    number, key = 1918, "not_now"


class NeedsApproval(Refusal):
    """Somebody with a higher role must sign for it."""

    number, key = 1919, "needs_approval"


class FieldWrong(Refusal):
    """What came with an action is missing, too long, or of another kind."""

    number, key = 1920, "field_wrong"


class NoSuchReceipt(Refusal):
    """No receipt of this till has this number, or it is no longer kept."""

    number, key = 1921, "no_such_receipt"


class BarcodeUnknown(Refusal):
    """No goods have this barcode."""

    number, key = 1922, "barcode_unknown"


class GoodsGone(Refusal):
    """The goods are not in the catalogue, or are no longer sold."""

    number, key = 1923, "goods_gone"


class PriceNeeded(Refusal):
    """The goods have an open price: somebody must say it."""

    number, key = 1924, "price_needed"


class NoPromptPay(Refusal):
    """The settings name no PromptPay account."""

    number, key = 1925, "no_promptpay"
    blame = Blame.SETUP


class SaleNotSettled(Refusal):
    """A sale is still being paid: it must end first."""

    number, key, waiting_helps = 1926, "sale_not_settled", True


class GoodsNotHere(Refusal):
    """Something other than a KGO code was scanned on a screen that takes no goods."""

    number, key = 1966, "goods_not_here"


class ReceiptCodeUnreadable(Refusal):
    """A receipt's code was read, and is not whole: paper is creased, faded or wet."""

    number, key, waiting_helps = 1967, "receipt_code_unreadable", True


class KgoPaidAlready(Refusal):
    """This sale has its KGO; one voucher a sale."""

    number, key = 1927, "kgo_paid_already"


class PromptPayTargetMalformed(Refusal):
    """What the settings name as the shop's PromptPay account is none: 10, 13 or 15 digits of a known kind."""

    number, key = 1960, "promptpay_target_malformed"
    blame = Blame.SETUP


class PromptPayCheckDigit(Refusal):
    """The last digit of the thirteen does not fit the others: one was mistyped, and another person would be paid."""

    number, key = 1961, "promptpay_check_digit"
    blame = Blame.SETUP


class PromptPayAmountWrong(Refusal):
    """A PromptPay code can ask for 0.01 to 9,999,999,999.99 baht and no other amount."""

    number, key = 1962, "promptpay_amount_wrong"


class PromptPayTextUnfit(Refusal):
    """A reference or the shop's name has characters that a PromptPay code does not carry, or too many."""

    number, key = 1963, "promptpay_text_unfit"
    blame = Blame.SETUP


class PromptPayUnreadable(Refusal):
    """Not a PromptPay code for baht, or a damaged one: a wrong check sum, a field cut short or given twice."""

    number, key = 1964, "promptpay_unreadable"


class PinWrong(Refusal):
    """Code and PIN of a cashier do not go together; which of them is wrong is not said."""

    number, key = 1945, "pin_wrong"


class PinWait(Refusal):
    """Too many wrong PINs in a row for this cashier: the next one is looked at after the wait, whatever it is."""

    number, key, waiting_helps = 1946, "pin_wait", True


class PinWeak(Refusal):
    """A new PIN that anybody would try first."""

    number, key = 1947, "pin_weak"


class PinNotDigits(Refusal):
    """A new PIN that is not 4 to 8 digits: nothing, other signs, too short or too long."""

    number, key = 1958, "pin_not_digits"


class CashierCodeTaken(Refusal):
    """A cashier has this code, or had it: old receipts name them by it."""

    number, key = 1948, "cashier_code_taken"


class CashierUnknown(Refusal):
    """No cashier has this code."""

    number, key = 1949, "cashier_unknown"


class FirstCashierNotManager(Refusal):
    """The first cashier of a till is a manager: nobody else could make the others."""

    number, key = 1950, "first_cashier_not_manager"


class LastManager(Refusal):
    """The only manager cannot be retired: nobody could sign for anything any more."""

    number, key = 1951, "last_manager"


class AuditLogBroken(Refusal):
    """A row of the audit log was changed or taken out, or its end is missing; the rest can still be read."""

    number, key = 1952, "audit_log_broken"
    blame = Blame.DEVICE


class AuditLogRewritten(Refusal):
    """The audit log is sound in itself, and not the one whose head stands in the signed journal: rows were written
    anew, or the file was put back to an earlier one or an empty one."""

    number, key = 1955, "audit_log_rewritten"
    blame = Blame.DEVICE


class CashierWrong(Refusal):
    """A cashier's code is not 1 to 6 digits, or the name is empty, too long, or has signs that cannot be seen."""

    number, key = 1953, "cashier_wrong"


class CashiersFull(Refusal):
    """More cashiers than a till keeps, with those who have left."""

    number, key = 1954, "cashiers_full"


class TooManyParts(Refusal):
    """A sale is paid, or returned, in so many parts that only all of the rest may come next."""

    number, key = 1928, "too_many_parts"


class HeldFull(Refusal):
    """As many sales are put aside as the till keeps in view."""

    number, key = 1929, "held_full"


# --- 2000 storage -----------------------------------------------------------------------------------------------


class JournalInUse(Refusal):
    """Another program holds this journal; two writers would give one number to two sales."""

    number, key, waiting_helps = 2001, "journal_in_use", True
    blame = Blame.SETUP


class JournalOfOtherDevice(Refusal):
    """The journal in this place belongs to another device: a card was moved or cloned."""

    number, key = 2002, "journal_of_other_device"
    blame = Blame.SETUP


class StorageFull(Refusal):
    """The disk is full: nothing was written, sales are refused, syncing goes on and can free space."""

    number, key, waiting_helps = 2003, "storage_full", True
    blame = Blame.DEVICE


class StorageFailed(Refusal):
    """The disk reported an error. What was being written is UNKNOWN until the journal is reopened and verified."""

    number, key = 2004, "storage_failed"
    blame = Blame.DEVICE


class JournalDamaged(Refusal):
    """A row, a link or a page of the journal is not what was written; sound rows can still be exported."""

    number, key = 2005, "journal_damaged"
    blame = Blame.DEVICE


class JournalTooNew(Refusal):
    """The journal was written by a later version of this program."""

    number, key = 2006, "journal_too_new"
    blame = Blame.SETUP


class StorageLibraryUnsafe(Refusal):
    """The SQLite in use can corrupt a write-ahead log (before 3.51.3)."""

    number, key = 2007, "storage_library_unsafe"
    blame = Blame.SETUP


class JournalUnavailable(Refusal):
    """The journal file cannot be opened or made: wrong folder, no permission, not a journal."""

    number, key = 2008, "journal_unavailable"
    blame = Blame.SETUP


class JournalLost(Refusal):
    """This terminal had a journal, and it is gone or lacks its end: starting again would use numbers twice."""

    number, key = 2010, "journal_lost"
    blame = Blame.DEVICE


class OutOfOrder(Refusal):
    """A voucher that is not the next of the device's chain; the journal keeps its order whatever the caller says."""

    number, key = 2009, "out_of_order"
    blame = Blame.DEVICE


class ShopFileDamaged(Refusal):
    """`shop.db` is no shop's file, or a page of it is damaged; the journal is another file."""

    number, key = 2011, "shop_file_damaged"
    blame = Blame.DEVICE


class ShopFileInUse(Refusal):
    """Another program holds `shop.db`."""

    number, key, waiting_helps = 2012, "shop_file_in_use", True
    blame = Blame.SETUP


class ShopFileTooNew(Refusal):
    """`shop.db` was written by a newer program."""

    number, key = 2013, "shop_file_too_new"
    blame = Blame.SETUP


class ShopPeopleGone(Refusal):
    """`shop.db` has nobody who may sign in, and the journal knows that somebody worked here: the file is another, and
    whoever stands at the page is not made its manager."""

    number, key = 2014, "shop_people_gone"
    blame = Blame.SETUP


# --- 2100 deny list ---------------------------------------------------------------------------------------------


class DenyListDamaged(Refusal):
    """The deny list file or bytes do not hold together; the list in use stays."""

    number, key, waiting_helps = 2101, "deny_list_damaged", True
    blame = Blame.DEVICE


class DenyListTooLarge(Refusal):
    """More denied ids than a terminal keeps; judged before memory is taken."""

    number, key = 2102, "deny_list_too_large"
    blame = Blame.SETUP


class DenyListGap(Refusal):
    """A change that does not follow the list held: another base version, or a removal of an id not denied."""

    number, key, waiting_helps = 2103, "deny_list_gap", True
    blame = Blame.SETUP


class DenyListLost(Refusal):
    """The deny list's file is gone or cannot be read. A running terminal goes on with the list in memory."""

    number, key, waiting_helps = 2104, "deny_list_lost", True
    blame = Blame.DEVICE


# --- 3000 sync --------------------------------------------------------------------------------------------------


class CityUnreachable(Refusal):
    """No answer from the city's address; selling goes on offline."""

    number, key, waiting_helps = 3001, "city_unreachable", True
    blame = Blame.SETUP


class CityCertificateWrong(Refusal):
    """The server at the city's address has no certificate of our private CA."""

    number, key = 3002, "city_certificate_wrong"
    blame = Blame.SETUP


class AnswerInvalid(Refusal):
    """The city's answer does not verify; it is treated as not received."""

    number, key, waiting_helps = 3003, "answer_invalid", True
    blame = Blame.FORGERY


class BulletinRollback(Refusal):
    """A bulletin or trust list older than the one held."""

    number, key = 3004, "bulletin_rollback"
    blame = Blame.FORGERY


class BulletinSignatureWrong(Refusal):
    """A bulletin not signed by a key of that role."""

    number, key = 3005, "bulletin_signature_wrong"
    blame = Blame.FORGERY


class TrustChainBroken(Refusal):
    """A trust list without enough distinct root signatures, or not the next in the chain."""

    number, key = 3006, "trust_chain_broken"
    blame = Blame.FORGERY


class BulletinMissing(Refusal):
    """The terminal has no valid bulletin of a kind it needs."""

    number, key, waiting_helps = 3007, "bulletin_missing", True
    blame = Blame.SETUP


class CityRefused(Refusal):
    """The city answered with a refusal of its own (status and number in detail)."""

    number, key, waiting_helps = 3008, "city_refused", True
    blame = Blame.SETUP


class LedgerRestored(Refusal):
    """The ack we hold is ahead of the city's log: the city was restored from an older backup."""

    number, key, waiting_helps = 3009, "ledger_restored", True
    blame = Blame.SETUP


class TokenMistyped(Refusal):
    """An enrolment token with a character that no token has; it was not sent."""

    number, key = 3010, "token_mistyped"
    blame = Blame.SETUP


class EnrolmentRefused(Refusal):
    """The city does not enrol this device so: name, role or key are not what the operator named."""

    number, key = 3011, "enrolment_refused"
    blame = Blame.SETUP


class EnrolmentUnanswered(Refusal):
    """No usable answer of the city to the enrolment; whether it was made is UNKNOWN, and the same command finds out."""

    number, key, waiting_helps = 3012, "enrolment_unanswered", True
    blame = Blame.SETUP


class AnswerFileWrong(Refusal):
    """The file named is no enrolment answer of this city for this device."""

    number, key = 3013, "answer_file_wrong"
    blame = Blame.SETUP


class LogRewritten(Refusal):
    """The city's log does not extend the one that it acknowledged to us: rewritten, or begun anew unannounced."""

    number, key = 3020, "log_rewritten"
    blame = Blame.FORGERY


class RenewalWrong(Refusal):
    """The city sent a certificate that is not ours, not under its keys, or not newer; the one in use counts on."""

    number, key, waiting_helps = 3021, "renewal_wrong", True
    blame = Blame.SETUP


# --- 4000 city --------------------------------------------------------------------------------------------------


class BatchInvalid(Refusal):
    """The batch head, its chain or its counts do not verify."""

    number, key = 4001, "batch_invalid"
    blame = Blame.DEVICE


class UnknownDevice(Refusal):
    """No such device is enrolled."""

    number, key = 4002, "unknown_device"
    blame = Blame.SETUP


class DeviceBlocked(Refusal):
    """The device may upload, but its new vouchers are held."""

    number, key = 4003, "device_blocked"
    blame = Blame.DEVICE


class VoucherSignatureWrong(Refusal):
    """A voucher not signed by the device that the batch head names."""

    number, key = 4004, "voucher_signature_wrong"
    blame = Blame.DEVICE


class ExceedsAuthorisation(Refusal):
    """The voucher charges more than the wallet signed."""

    number, key = 4005, "exceeds_authorisation"
    blame = Blame.DEVICE


class TariffMismatch(Refusal):
    """The charge is not what the named tariff or campaign version gives."""

    number, key = 4006, "tariff_mismatch"
    blame = Blame.DEVICE


class UnknownAllowance(Refusal):
    """The voucher names an allowance that the city never issued and was not sent."""

    number, key, waiting_helps = 4007, "unknown_allowance", True
    blame = Blame.DEVICE


class WalletUnknown(Refusal):
    """No such wallet is registered."""

    number, key = 4008, "wallet_unknown"


class BalanceTooLow(Refusal):
    """The available balance does not reach for what was asked."""

    number, key = 4009, "balance_too_low"


class RecoveryNeeded(Refusal):
    """The ledger was restored from a backup and signs nothing until `kgo-city recover` has run."""

    number, key, waiting_helps = 4010, "recovery_needed", True
    blame = Blame.SETUP
    resume_at: "tuple[int, int, bytes] | None" = None
    """(sequence, event number, event head) that the ledger still has of the asking device."""


class AllowancesAtMost(Refusal):
    """At most two unexpired allowances per account."""

    number, key, waiting_helps = 4011, "allowances_at_most", True


class RequestTooLarge(Refusal):
    """A request body above its cap."""

    number, key = 4012, "request_too_large"


class EnrolmentInvalid(Refusal):
    """An enrolment request that does not prove its key, or repeats one."""

    number, key = 4013, "enrolment_invalid"
    blame = Blame.SETUP


class StoreInvalid(Refusal):
    """The ledger's file is missing, already there, or of another version."""

    number, key = 4030, "store_invalid"
    blame = Blame.SETUP


class BatchOutOfOrder(Refusal):
    """The batch begins after vouchers or events that have not arrived yet."""

    number, key, waiting_helps = 4031, "batch_out_of_order", True
    blame = Blame.DEVICE


class ObjectMismatch(Refusal):
    """The voucher names another wallet object than the one beside it, or brings none."""

    number, key = 4032, "object_mismatch"
    blame = Blame.DEVICE


class DeviceRevoked(Refusal):
    """The voucher stands after the last sequence that this device's revocation accepts."""

    number, key = 4033, "device_revoked"
    blame = Blame.DEVICE


class AccountFrozen(Refusal):
    """The account signed a contradiction and waits for a person's review."""

    number, key = 4034, "account_frozen"


class ClosingInvalid(Refusal):
    """A closing not signed by the allowance's wallet key, or that contradicts what was posted."""

    number, key = 4035, "closing_invalid"


class DuplicateIntent(Refusal):
    """The same intent was accepted at two terminals; it is charged once until a person decides."""

    number, key = 4036, "duplicate_intent"


class Overspent(Refusal):
    """Reserve, balance and risk fund do not cover what was accepted; it waits for the operator."""

    number, key = 4037, "overspent"


class RefundInvalid(Refusal):
    """The refund names no posted original, or is more than what is left of it."""

    number, key = 4038, "refund_invalid"
    blame = Blame.DEVICE


class RefundOfOtherOwner(Refusal):
    """A till asks for the KGO of a sale that another merchant made."""

    number, key = 4130, "refund_of_other_owner"
    blame = Blame.DEVICE


class RefundOriginalUnknown(Refusal):
    """No terminal of this city made the voucher that a refund request names, or it said something else."""

    number, key = 4131, "refund_original_unknown"
    blame = Blame.FORGERY


class RefundOfNoSale(Refusal):
    """A refund request names a voucher that is no sale, or one that the city rejected."""

    number, key = 4132, "refund_of_no_sale"
    blame = Blame.DEVICE


class RefundAboveRest(Refusal):
    """A refund request asks for more KGO than the sale took, or than is left of them."""

    number, key = 4133, "refund_above_rest"


class RefundOriginalNotHere(Refusal):
    """The sale that a refund request names has not come to the city yet, or is held."""

    number, key, waiting_helps = 4134, "refund_original_not_here", True


class RefundRequestUnknown(Refusal):
    """No refund request has this number, or several begin with it."""

    number, key = 4135, "refund_request_unknown"
    blame = Blame.SETUP


class RefundRequestDecided(Refusal):
    """A refund request was decided before."""

    number, key = 4136, "refund_request_decided"
    blame = Blame.SETUP


class RefundRequestsTooMany(Refusal):
    """More refund requests of one terminal wait than a shop has customers for."""

    number, key = 4137, "refund_requests_too_many"
    blame = Blame.DEVICE


class RewardLimited(Refusal):
    """The day's or the budget's reward was used up; only what was left is posted."""

    number, key = 4039, "reward_limited"


class Reconsidered(Refusal):
    """The operator took a posted payment, or one that was refused, back into suspense, to decide again."""

    number, key = 4046, "reconsidered"


class AllowanceClosed(Refusal):
    """The wallet object goes beyond what its own closing ended."""

    number, key = 4040, "allowance_closed"


class CouponInvalid(Refusal):
    """A coupon that no issuer key signed, for another terminal, expired, or posted before."""

    number, key = 4041, "coupon_invalid"
    blame = Blame.FORGERY


class TimeAhead(Refusal):
    """The voucher's time lies further ahead of the city's than clocks may differ; its money waits for the operator."""

    number, key = 4042, "time_ahead"
    blame = Blame.DEVICE


class RequestStale(Refusal):
    """A signed request whose time is too far from the city's."""

    number, key = 4050, "request_stale"


class RequestReplayed(Refusal):
    """A signed request whose nonce was used before."""

    number, key = 4051, "request_replayed"


class CityFault(Refusal):
    """The city's service failed inside; it is in its log."""

    number, key, waiting_helps = 4052, "city_fault", True
    blame = Blame.SETUP


class GrantInvalid(Refusal):
    """The file of grants has mistakes; nothing of it was posted."""

    number, key = 4053, "grant_invalid"
    blame = Blame.SETUP


class TokenInvalid(Refusal):
    """An enrolment token that is unknown, used, too old, or for another device."""

    number, key = 4054, "token_invalid"
    blame = Blame.SETUP


class CityExists(Refusal):
    """A file that `init` would make is there already; nothing is ever overwritten."""

    number, key = 4055, "city_exists"
    blame = Blame.SETUP


class NoSuchAddress(Refusal):
    """The service has nothing at this address, or not by this method."""

    number, key = 4056, "no_such_address"
    blame = Blame.SETUP


class AddressInUse(Refusal):
    """Another program listens at the service's address, or the system forbids it."""

    number, key, waiting_helps = 4057, "address_in_use", True
    blame = Blame.SETUP


class OwnerUnknown(Refusal):
    """No such merchant or operator."""

    number, key = 4058, "owner_unknown"
    blame = Blame.SETUP


class AlreadyOtherwise(Refusal):
    """What a command says about an owner or a wallet contradicts what is registered; nothing is changed."""

    number, key = 4094, "already_otherwise"
    blame = Blame.SETUP


class LedgerDamaged(Refusal):
    """The ledger's file is not of one piece: its tables contradict each other, as after a mixed restore."""

    number, key = 4096, "ledger_damaged"
    blame = Blame.DEVICE


class CopyUnusable(Refusal):
    """The copy that a restore was given is no ledger, or not this city's; nothing was changed."""

    number, key = 4101, "copy_unusable"
    blame = Blame.SETUP


class TrustListOvertaken(Refusal):
    """Another command added the next trust list while this one was being signed; nothing was changed."""

    number, key, waiting_helps = 4100, "trust_list_overtaken", True
    blame = Blame.SETUP


class CouponDeviceUnfit(Refusal):
    """Coupons for a device that takes none: no shop terminal or validator, blocked, revoked, or out of certificate."""

    number, key = 4120, "coupon_device_unfit"
    blame = Blame.SETUP


class CouponProductUnknown(Refusal):
    """Coupons for a fare product that the newest tariff does not have, or that cannot be chosen for the operator."""

    number, key = 4121, "coupon_product_unknown"
    blame = Blame.SETUP


class CouponSheetUnknown(Refusal):
    """No such sheet of coupons."""

    number, key = 4122, "coupon_sheet_unknown"
    blame = Blame.SETUP


class CouponsLarge(Refusal):
    """A coupon, or a sheet of them, worth more than they usually are, or than the device may take."""

    number, key = 4123, "coupons_large"
    blame = Blame.SETUP


class PrintImpossible(Refusal):
    """This computer cannot draw the sheet: no Thai shaping, or no font. Nothing was issued."""

    number, key = 4124, "print_impossible"
    blame = Blame.SETUP


class LedgerInUse(Refusal):
    """Another `serve` runs on this ledger, or one that must not run does."""

    number, key, waiting_helps = 4097, "ledger_in_use", True
    blame = Blame.SETUP


class CityBusy(Refusal):
    """As many connections are open, in all or from one address, as the city's settings allow."""

    number, key, waiting_helps = 4098, "city_busy", True
    blame = Blame.SETUP


class CityClockWrong(Refusal):
    """The city's clock was set by more than it may drift, or stands before what the ledger has posted."""

    number, key, waiting_helps = 4099, "city_clock_wrong", True
    blame = Blame.SETUP


class OutputLost(Refusal):
    """Standard output of a command is full or closed: nobody has seen what it said."""

    number, key = 4095, "output_lost"
    blame = Blame.SETUP


class RequestUnreadable(Refusal):
    """An HTTP request whose address, header or body cannot be read."""

    number, key = 4059, "request_unreadable"
    blame = Blame.SETUP


class EquivocationUnknown(Refusal):
    """No proof has this number."""

    number, key = 4060, "equivocation_unknown"
    blame = Blame.SETUP


class DayNotOver(Refusal):
    """Only a civil day that is past in Bangkok can be closed."""

    number, key, waiting_helps = 4070, "day_not_over", True
    blame = Blame.SETUP


class DepositBound(Refusal):
    """Something unreleased still leans on the deposit: a reserve, a review, or money in suspense."""

    number, key, waiting_helps = 4071, "deposit_bound", True


class CampaignUnknown(Refusal):
    """No published campaign has this name."""

    number, key = 4072, "campaign_unknown"
    blame = Blame.SETUP


class JoinInvalid(Refusal):
    """The first account is no stand-in of a restored ledger, or the second is one too."""

    number, key = 4073, "join_invalid"
    blame = Blame.SETUP


class NotInLog(Refusal):
    """A proof was asked for log sizes that the log does not have, or in the wrong order."""

    number, key = 4090, "not_in_log"
    blame = Blame.SETUP


class KeyWaits(Refusal):
    """A new key of this role is named already, and waits until every device holds the trust list that names it."""

    number, key, waiting_helps = 4091, "key_waits", True
    blame = Blame.SETUP


class KeyEndsSoon(Refusal):
    """A notice: a key in force, or the trust list of the roots, ends within 30 days or has ended."""

    number, key = 4093, "key_ends_soon"
    blame = Blame.SETUP


class RoleNotHere(Refusal):
    """A training city enrols training devices only, and no other city enrols one."""

    number, key = 4092, "role_not_here"
    blame = Blame.SETUP


class AccountKeyWrong(Refusal):
    """What was typed as a wallet's account key is none."""

    number, key = 4061, "account_key_wrong"
    blame = Blame.SETUP


class BulletinFileWrong(Refusal):
    """The file of a tariff, campaigns or configuration has mistakes; `problems` lists all of them with their places."""

    number, key = 4062, "bulletin_file_wrong"
    blame = Blame.SETUP

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class FeedWrong(BulletinFileWrong):
    """A GTFS feed with mistakes; `problems` lists all of them with file and line."""

    number, key = 4110, "feed_wrong"


class FeedTooLarge(Refusal):
    """A feed or one of its files beyond what the desk unpacks or a validator can carry."""

    number, key = 4111, "feed_too_large"
    blame = Blame.SETUP


class CrewListWrong(BulletinFileWrong):
    """The operator's list of drivers has mistakes; `problems` lists all of them with their lines."""

    number, key = 4112, "crew_list_wrong"


class InvitationNeeded(Refusal):
    """This city opens accounts only with a one-time invitation code."""

    number, key = 4063, "invitation_needed"


class InvitationInvalid(Refusal):
    """An invitation code that is unknown, used, withdrawn or past its last day."""

    number, key = 4064, "invitation_invalid"


class RegisteringFull(Refusal):
    """As many accounts were opened in this hour or day as the city's settings allow."""

    number, key, waiting_helps = 4065, "registering_full", True


class RegisteringFullHere(Refusal):
    """As many accounts were opened from this network address within a day as the city's settings allow."""

    number, key, waiting_helps = 4066, "registering_full_here", True


class AskedTooOften(Refusal):
    """One account sent more signed requests within a minute than the city answers."""

    number, key, waiting_helps = 4074, "asked_too_often", True


class ReportTooLong(Refusal):
    """More rows than one report shows; a shorter period fits."""

    number, key = 4067, "report_too_long"
    blame = Blame.SETUP


class InvitationBatchUnknown(Refusal):
    """No batch of invitations has this number."""

    number, key = 4069, "invitation_batch_unknown"
    blame = Blame.SETUP


class NothingToReview(Refusal):
    """No rejected, late or forked voucher stands open at this place."""

    number, key = 4068, "nothing_to_review"
    blame = Blame.SETUP


# --- 5000 settings and programs ---------------------------------------------------------------------------------


class SettingsInvalid(Refusal):
    """The settings file has mistakes; `problems` lists all of them, each with its line and remedy."""

    number, key = 5001, "settings_invalid"
    blame = Blame.SETUP

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class KeyFileUnsafe(Refusal):
    """The key file is missing, unreadable, or readable by others (must be 0600)."""

    number, key = 5002, "key_file_unsafe"
    blame = Blame.SETUP


class FileUnusable(Refusal):
    """A file named on the command line that cannot be read or written."""

    number, key = 5004, "file_unusable"
    blame = Blame.SETUP


class FileWithoutRoom(Refusal):
    """The disk or stick where a command's file is to lie is full: no half of it is left there."""

    number, key = 5013, "file_without_room"
    blame = Blame.SETUP


class FileTaken(Refusal):
    """The file that a command would write is there, or would be one of the terminal's own: nothing is overwritten."""

    number, key = 5010, "file_taken"
    blame = Blame.SETUP


class CertificateNameTaken(Refusal):
    """What lies under the certificate's name is none: it is not written over."""

    number, key = 5011, "certificate_name_taken"
    blame = Blame.SETUP


class NotProvisioned(Refusal):
    """The device has no certificate or trust list yet."""

    number, key = 5003, "not_provisioned"
    blame = Blame.SETUP


class KeyLost(Refusal):
    """This device was enrolled, and its key file is gone. The key is nowhere else."""

    number, key = 5005, "key_lost"
    blame = Blame.DEVICE


class CertificateLost(Refusal):
    """This device was enrolled, and its certificate's file is gone or cannot be read."""

    number, key = 5006, "certificate_lost"
    blame = Blame.DEVICE


class TrustListLost(Refusal):
    """This device was enrolled, and the file of the city's keys is gone or cannot be read."""

    number, key = 5007, "trust_list_lost"
    blame = Blame.DEVICE


class SettingsLost(Refusal):
    """The settings file went away under a running program, which goes on with what it read."""

    number, key = 5008, "settings_lost"
    blame = Blame.SETUP


class CaFileLost(Refusal):
    """The file of the city's own CA is gone or cannot be read: nothing can be sent, selling goes on."""

    number, key = 5009, "ca_file_lost"
    blame = Blame.SETUP


class CaFileToCome(Refusal):
    """An enrolment without the file of the city's own CA: nothing is asked, so the token stays good."""

    number, key = 5012, "ca_file_to_come"
    blame = Blame.SETUP


class UsageWrong(Refusal):
    """Words of a command that do not go together; `problems` says which."""

    number, key = 5020, "usage_wrong"
    blame = Blame.SETUP

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class CommandTooLong(Refusal):
    """A line on a terminal's standard input that is longer than any command: nothing of it was done."""

    number, key = 5021, "command_too_long"
    blame = Blame.SETUP


class CommandIncomplete(Refusal):
    """A command of a running terminal with too few words or too many: nothing was done."""

    number, key = 5022, "command_incomplete"
    blame = Blame.SETUP


class CommandUnknown(Refusal):
    """A word on a running terminal's standard input that is none of its commands: nothing was done."""

    number, key = 5023, "command_unknown"
    blame = Blame.SETUP


class PageNotOurs(Refusal):
    """Something that is not this till's own page asked its service: another site, another name or an old window."""

    number, key = 5024, "page_not_ours"
    blame = Blame.FORGERY


class PageTooLarge(Refusal):
    """What a page sent is longer than anything that it has to say."""

    number, key = 5025, "page_too_large"


class PageTooFast(Refusal):
    """More presses in a second than fingers and scanners make."""

    number, key, waiting_helps = 5026, "page_too_fast", True


class PageFormUnfit(Refusal):
    """A press names an action that the page does not have, or a field is not what its form holds."""

    number, key = 5027, "page_form_unfit"


class PagePortTaken(Refusal):
    """Another program listens where the page is to be served; often a second one of this kind."""

    number, key = 5028, "page_port_taken"
    blame = Blame.SETUP


class PageNotDrawn(Refusal):
    """The page could not be drawn from what the desk shows: a mistake of ours. Nothing that was paid is touched."""

    number, key, waiting_helps = 5029, "page_not_drawn", True
    blame = Blame.DEVICE


# --- 6000 devices -----------------------------------------------------------------------------------------------


class ScanTooLong(Refusal):
    """More came from the scanner, or stands in the picture, than any of our codes holds: dropped whole."""

    number, key = 6001, "scan_too_long"


class ScanIncomplete(Refusal):
    """The scanner's bytes stopped in mid-line: noise, a pulled cable, or a scanner set up without a suffix."""

    number, key, waiting_helps = 6002, "scan_incomplete", True
    blame = Blame.DEVICE


class ScannerLost(Refusal):
    """The scanner's port is not there or has gone; it is tried again until it returns."""

    number, key, waiting_helps = 6003, "scanner_lost", True
    blame = Blame.DEVICE


class DevicePortForbidden(Refusal):
    """The system does not let this program open the device's port."""

    number, key = 6004, "device_port_forbidden"
    blame = Blame.SETUP


class DevicePortInUse(Refusal):
    """Another program holds the device's port."""

    number, key, waiting_helps = 6005, "device_port_in_use", True
    blame = Blame.SETUP


class CameraLost(Refusal):
    """The camera's stream cannot be opened or has ended; it is tried again until it returns."""

    number, key, waiting_helps = 6011, "camera_lost", True
    blame = Blame.DEVICE


class CameraStalled(Refusal):
    """The camera's stream is open, but no whole picture came in time."""

    number, key, waiting_helps = 6012, "camera_stalled", True
    blame = Blame.DEVICE


class CodeUnreadable(Refusal):
    """A code is in view, but glare, blur or damage keeps it from being read."""

    number, key, waiting_helps = 6013, "code_unreadable", True


class DeviceSupportMissing(Refusal):
    """The library that this device needs is not installed."""

    number, key = 6014, "device_support_missing"
    blame = Blame.SETUP


class CameraProgramMissing(Refusal):
    """The command that gives the camera's pictures is not installed, or may not be run; it is tried again."""

    number, key = 6015, "camera_program_missing"
    blame = Blame.SETUP


class ClockSourceLost(Refusal):
    """The clock chip cannot be read or says nonsense; without another source time trust stays `floor`."""

    number, key, waiting_helps = 6021, "clock_source_lost", True
    blame = Blame.DEVICE


class ClockImpossible(Refusal):
    """The clock chip says a time that cannot be: 1970, before what the city signed, after our certificate's end."""

    number, key = 6022, "clock_impossible"
    blame = Blame.DEVICE


class ClockAtFloor(Refusal):
    """Only the earliest possible time is known: one-way codes are few, until the city or the network says the time."""

    number, key, waiting_helps = 6023, "clock_at_floor", True
    blame = Blame.SETUP


class ClockStepped(Refusal):
    """The clock was wrong and has been set right by more than it may drift; both times are journaled."""

    number, key = 6024, "clock_stepped"
    blame = Blame.DEVICE


class ControlUnavailable(Refusal):
    """The local socket by which `diagnose` and `do` reach the running program cannot be made."""

    number, key = 6033, "control_unavailable"
    blame = Blame.SETUP


class NotRunning(Refusal):
    """Nobody listens on the local socket: the program does not run, or its settings name another one."""

    number, key, waiting_helps = 6034, "not_running", True
    blame = Blame.SETUP


class CommandTakenBack(Refusal):
    """The running program had no turn for this command in time, and took it back: nothing of it was or will be done."""

    number, key, waiting_helps = 6035, "command_taken_back", True
    blame = Blame.DEVICE


class CommandUnsettled(Refusal):
    """The running program was given this command and did not answer to the end: it may be done, or be done yet."""

    number, key = 6036, "command_unsettled"
    blame = Blame.DEVICE


class LampLost(Refusal):
    """Nobody sees the lights any more: the reader of standard output is gone. The program ends rather than sell."""

    number, key = 6031, "lamp_lost"
    blame = Blame.DEVICE


class HeadLost(Refusal):
    """The reader head's port is not there, has gone, or nobody answers on it; it is tried again until it returns."""

    number, key, waiting_helps = 6041, "head_lost", True
    blame = Blame.DEVICE


class TwoHeads(Refusal):
    """More than one port matches the reader head's setting: a light on the wrong one would be seen by nobody."""

    number, key, waiting_helps = 6042, "two_heads", True
    blame = Blame.SETUP


class HeadUnfit(Refusal):
    """The reader head's firmware speaks no version of the cable's protocol that this program speaks."""

    number, key = 6043, "head_unfit"
    blame = Blame.SETUP


class HeadGarbled(Refusal):
    """Bytes come from the reader head's port, and no whole frame: a bad cable, another device, a damaged firmware."""

    number, key, waiting_helps = 6044, "head_garbled", True
    blame = Blame.DEVICE


class HeadScansLost(Refusal):
    """Bytes of the head's scanner were lost in the head: they came faster than the cable took them."""

    number, key, waiting_helps = 6045, "head_scans_lost", True
    blame = Blame.DEVICE


class CardReaderMissing(Refusal):
    """No card reader is connected (or none of the names in the settings); it is looked for until one comes."""

    number, key, waiting_helps = 6061, "card_reader_missing", True
    blame = Blame.DEVICE


class CardReaderLost(Refusal):
    """A card reader that was there has gone: its cable, or its power; it is looked for until it returns."""

    number, key, waiting_helps = 6062, "card_reader_lost", True
    blame = Blame.DEVICE


class CardServiceMissing(Refusal):
    """The system's card service (pcscd) does not run or has ended; it is asked again until it does."""

    number, key, waiting_helps = 6063, "card_service_missing", True
    blame = Blame.SETUP


class CardsTwo(Refusal):
    """Two cards at once: none is charged until one is alone."""

    number, key, waiting_helps = 6064, "cards_two", True


class ForeignBankCard(Refusal):
    """A bank card: it has a payment directory and no wallet of ours. Nothing of it is read."""

    number, key = 6065, "foreign_bank_card"


class ForeignTransitCard(Refusal):
    """A ticket of another transit system, or a storage card as such systems use."""

    number, key = 6066, "foreign_transit_card"


class ForeignIdCard(Refusal):
    """An identity card or passport. Nothing of it is read."""

    number, key = 6067, "foreign_id_card"


class ForeignCard(Refusal):
    """A card or phone that answers, but has no wallet of ours."""

    number, key = 6068, "foreign_card"


class CardTorn(Refusal):
    """The card left the reader before the end. Whether it has paid, its next tap tells: nothing is charged twice."""

    number, key, waiting_helps = 6069, "card_torn", True


class CardSilent(Refusal):
    """The card is there but does not answer in time: upside down, damaged, or a phone that is asleep."""

    number, key, waiting_helps = 6070, "card_silent", True


class CardVersionUnknown(Refusal):
    """The card's applet is of a version that this terminal does not know; the terminal needs an update."""

    number, key = 6071, "card_version_unknown"


class CardAnswerWrong(Refusal):
    """The card says it is ours, but what it answers is none of the answers that docs/card.md names."""

    number, key = 6072, "card_answer_wrong"


class CardReaderInUse(Refusal):
    """Another program of this machine holds the card."""

    number, key, waiting_helps = 6073, "card_reader_in_use", True
    blame = Blame.SETUP


class CardServiceForbidden(Refusal):
    """The card service runs, but does not let this program's user use it or its cards (polkit)."""

    number, key = 6074, "card_service_forbidden"
    blame = Blame.SETUP


class GpsLost(Refusal):
    """The GPS receiver's port is not there, or was pulled out."""

    number, key, waiting_helps = 6091, "gps_lost", True
    blame = Blame.DEVICE


class GpsNoFix(Refusal):
    """The receiver answers but sees too few satellites; stops are moved by hand until it does."""

    number, key, waiting_helps = 6092, "gps_no_fix", True
    blame = Blame.DEVICE


class GpsGarbled(Refusal):
    """What comes from the receiver is no NMEA: a wrong speed, a bad cable or another device."""

    number, key = 6093, "gps_garbled"
    blame = Blame.DEVICE


class GpsDateWrong(Refusal):
    """The receiver's date is impossible, as after a week rollover; its position is used, its time is not."""

    number, key = 6094, "gps_date_wrong"
    blame = Blame.DEVICE


class ScreenLost(Refusal):
    """The screen takes no pictures: unplugged, no such device, or its file cannot be written. It is tried again."""

    number, key, waiting_helps = 6081, "screen_lost", True
    blame = Blame.DEVICE


class ThaiShapingMissing(Refusal):
    """Pillow cannot place Thai marks (raqm with FriBiDi); without it Thai is unreadable, so nothing is drawn."""

    number, key = 6082, "thai_shaping_missing"
    blame = Blame.SETUP


class ScreenFontWrong(Refusal):
    """A font of the screen is missing, or is not the file that was looked at."""

    number, key = 6083, "screen_font_wrong"
    blame = Blame.SETUP


class ScreenSizeUnknown(Refusal):
    """The screen's size or pixel format is none that can be drawn for."""

    number, key = 6084, "screen_size_unknown"
    blame = Blame.SETUP


class PanelSupportMissing(Refusal):
    """A panel on SPI is named, and what drives a Raspberry Pi's SPI and pins is not installed; it is tried again."""

    number, key = 6085, "panel_support_missing"
    blame = Blame.SETUP


class WedgeForbidden(Refusal):
    """The system does not let this program open the scanner that is a keyboard."""

    number, key = 6105, "wedge_forbidden"
    blame = Blame.SETUP


class NotAKeyScanner(Refusal):
    """What the settings name as a keyboard scanner is none: no event node, or bytes that no keyboard sends."""

    number, key = 6106, "not_a_key_scanner"
    blame = Blame.SETUP


class WedgeKeysLost(Refusal):
    """The scanner typed faster than it was read, and the system dropped keys: that whole text is dropped."""

    number, key, waiting_helps = 6107, "wedge_keys_lost", True
    blame = Blame.DEVICE


class WedgeIncomplete(Refusal):
    """The scanner's keys stopped in mid-code: a pulled cable, one set up without Enter, or somebody typing on it."""

    number, key, waiting_helps = 6108, "wedge_incomplete", True
    blame = Blame.DEVICE


class PrinterAbsent(Refusal):
    """No printer at its address, or it went away while it printed. It is tried again."""

    number, key, waiting_helps = 6095, "printer_absent", True
    blame = Blame.DEVICE


class PrinterNoPaper(Refusal):
    """The paper roll is at its end: nothing prints until there is a new one."""

    number, key = 6096, "printer_no_paper"
    blame = Blame.DEVICE


class PrinterPaperLow(Refusal):
    """The paper roll is near its end. It still prints."""

    number, key = 6097, "printer_paper_low"
    blame = Blame.DEVICE


class PrinterCoverOpen(Refusal):
    """The printer's cover is open: nothing prints until it is closed."""

    number, key = 6098, "printer_cover_open"
    blame = Blame.DEVICE


class PrinterHanging(Refusal):
    """The printer is there and takes no bytes, or does not say how it is."""

    number, key, waiting_helps = 6099, "printer_hanging", True
    blame = Blame.DEVICE


class PrinterOffline(Refusal):
    """The printer says that it is offline, and no reason: paper is being fed by hand, or it was paused."""

    number, key, waiting_helps = 6100, "printer_offline", True
    blame = Blame.DEVICE


class PrinterFailed(Refusal):
    """The printer reports a fault of its own: the cutter is jammed, the head is too hot, or it needs repair."""

    number, key = 6101, "printer_failed"
    blame = Blame.DEVICE


class PrinterGarbled(Refusal):
    """What answers is no status of ESC/POS: another device is at this address, or the serial speed is wrong."""

    number, key = 6102, "printer_garbled"
    blame = Blame.SETUP


class DrawerStuck(Refusal):
    """The cash drawer was told to open, and its sensor says that it did not."""

    number, key = 6103, "drawer_stuck"
    blame = Blame.DEVICE


class PrinterNotSet(Refusal):
    """This till has no printer in its settings, and was asked to print or to open the drawer."""

    number, key = 6104, "printer_not_set"
    blame = Blame.SETUP


# --- 7000 the bench: boards of reader heads ----------------------------------------------------------------------


class BoardOfOtherChip(Refusal):
    """The board's chip is not the RP2040 that the firmware is built for."""

    number, key = 7001, "board_other_chip"
    blame = Blame.SETUP


class BaseDamaged(Refusal):
    """The base file is no UF2, or a UF2 with blocks that are missing, repeated or damaged."""

    number, key = 7002, "base_damaged"
    blame = Blame.SETUP


class BaseForOtherChip(Refusal):
    """The base is a good UF2, for another chip or another place in the flash."""

    number, key = 7003, "base_other_chip"
    blame = Blame.SETUP


class BaseHashWrong(Refusal):
    """The SHA-256 of the base file is not the one that was named."""

    number, key = 7004, "base_hash_wrong"
    blame = Blame.SETUP


class BaseNotNamed(Refusal):
    """A boot drive waits for a base, and no base file with its SHA-256 was named."""

    number, key = 7005, "base_not_named"
    blame = Blame.SETUP


class BaseUnreadable(Refusal):
    """The base file is not there, or cannot be read."""

    number, key = 7006, "base_unreadable"
    blame = Blame.SETUP


class BootDriveReadOnly(Refusal):
    """The board's boot drive takes no file: mounted read-only, or the user has no right to write there."""

    number, key = 7007, "boot_drive_read_only"
    blame = Blame.SETUP


class BootDriveFull(Refusal):
    """The board's boot drive has no room for the base."""

    number, key = 7008, "boot_drive_full"
    blame = Blame.SETUP


class BootDriveStays(Refusal):
    """The base was copied whole, and the boot drive did not go away: the chip did not take it."""

    number, key = 7009, "boot_drive_stays"
    blame = Blame.DEVICE


class BootDriveGone(Refusal):
    """The boot drive went away while the base was copied, and no board came in its place."""

    number, key, waiting_helps = 7010, "boot_drive_gone", True
    blame = Blame.DEVICE


class NoBoardFound(Refusal):
    """No board was found: no serial port of one, and no boot drive."""

    number, key, waiting_helps = 7011, "no_board_found", True
    blame = Blame.DEVICE


class BoardSilent(Refusal):
    """A port is there, and nothing on it answers: no reader head and no MicroPython prompt."""

    number, key, waiting_helps = 7012, "board_silent", True
    blame = Blame.DEVICE


class OtherMachine(Refusal):
    """What answers is MicroPython on something that is no Pico."""

    number, key = 7013, "other_machine"
    blame = Blame.SETUP


class OtherProgram(Refusal):
    """The board's main.py is not a reader head's, or its boot.py does something: somebody's program is on it."""

    number, key = 7014, "other_program"
    blame = Blame.SETUP


class BoardFull(Refusal):
    """The board's file system has no room for our files."""

    number, key = 7015, "board_full"
    blame = Blame.DEVICE


class FileDiffers(Refusal):
    """A file that was sent reads back otherwise: its SHA-256 is another."""

    number, key, waiting_helps = 7016, "file_differs", True
    blame = Blame.DEVICE


class FirmwareSilent(Refusal):
    """The new firmware was started and does not greet, or greets as another version."""

    number, key = 7017, "firmware_silent"
    blame = Blame.DEVICE


class MicroPythonTooOld(Refusal):
    """The board's MicroPython is older than the firmware needs, or reads another bytecode."""

    number, key = 7018, "micropython_too_old"
    blame = Blame.SETUP


class BoardPortForbidden(Refusal):
    """The system does not let this user open the board's port."""

    number, key = 7019, "board_port_forbidden"
    blame = Blame.SETUP


class BoardPortInUse(Refusal):
    """Another program holds the board's port."""

    number, key, waiting_helps = 7020, "board_port_in_use", True
    blame = Blame.SETUP


class BoardLost(Refusal):
    """The board went away in the middle, or its MicroPython answered with an error."""

    number, key, waiting_helps = 7021, "board_lost", True
    blame = Blame.DEVICE


class SeveralBoards(Refusal):
    """More than one board is there, and none was named."""

    number, key = 7022, "several_boards"
    blame = Blame.SETUP


class PromptNotGiven(Refusal):
    """The head's firmware knows no SERVICE message, or did not obey it."""

    number, key = 7023, "prompt_not_given"
    blame = Blame.DEVICE


class NoHeadThere(Refusal):
    """To blink, a running reader head is needed, and something else is on this port."""

    number, key = 7024, "no_head_there"
    blame = Blame.SETUP


class NoPort(Refusal):
    """What was named is there, and is neither a serial port nor a boot drive."""

    number, key = 7025, "no_port"
    blame = Blame.SETUP


class BoardPortOfRoot(Refusal):
    """The system gives the board's port to no group: only root may open it."""

    number, key = 7026, "board_port_of_root"
    blame = Blame.SETUP


# --- 7100 a terminal's card, and its first boot ----------------------------------------------------------------------


class CardNotBoot(Refusal):
    """The folder is no boot partition of a Raspberry Pi: files that each has are not in it."""

    number, key = 7100, "card_not_boot"
    blame = Blame.SETUP


class CardSystemUnknown(Refusal):
    """A boot partition, but of a system that a terminal is not made for."""

    number, key = 7101, "card_system_unknown"
    blame = Blame.SETUP


class CardReadOnly(Refusal):
    """The card takes no writing: its lock, how it is mounted, or whose it is."""

    number, key = 7102, "card_read_only"
    blame = Blame.DEVICE


class CardFull(Refusal):
    """The boot partition has no room for what belongs on it."""

    number, key = 7103, "card_full"
    blame = Blame.DEVICE


class CardGone(Refusal):
    """The card was pulled out while it was written or read."""

    number, key, waiting_helps = 7104, "card_gone", True
    blame = Blame.DEVICE


class CardOfAnother(Refusal):
    """The card is prepared for another device."""

    number, key = 7105, "card_of_another"
    blame = Blame.SETUP


class CardPackageWrong(Refusal):
    """The package is none, or is not for this card: its processor, its Python, its program."""

    number, key = 7106, "card_package_wrong"
    blame = Blame.SETUP


class CardSettingsUnchecked(Refusal):
    """The program in the package could not be asked whether the settings are good."""

    number, key = 7107, "card_settings_unchecked"
    blame = Blame.SETUP


class CardVerifyFailed(Refusal):
    """What was read back from the card is not what was written."""

    number, key = 7108, "card_verify_failed"
    blame = Blame.DEVICE


class CardInputWrong(Refusal):
    """A file that was named for the card is missing, or is not what it should be."""

    number, key = 7109, "card_input_wrong"
    blame = Blame.SETUP


class CardBootFileWrong(Refusal):
    """The card's cmdline.txt is not one line that names a root file system."""

    number, key = 7110, "card_boot_file_wrong"
    blame = Blame.SETUP


class CardInService(Refusal):
    """The first boot of this card is done: it is a terminal, with a key and perhaps with money."""

    number, key = 7111, "card_in_service"
    blame = Blame.SETUP


class CardFailed(Refusal):
    """The card answered with an error."""

    number, key = 7112, "card_failed"
    blame = Blame.DEVICE


class CardNotStarted(Refusal):
    """The card was not in a Raspberry Pi yet: there is no report of a first boot."""

    number, key, waiting_helps = 7113, "card_not_started", True
    blame = Blame.SETUP


class CardReportWrong(Refusal):
    """The report of the first boot is damaged, or belongs to another device."""

    number, key = 7114, "card_report_wrong"
    blame = Blame.DEVICE


class CardNameWrong(Refusal):
    """A name or password for the card cannot be one: host name, Wi-Fi, SSH key, token."""

    number, key = 7115, "card_name_wrong"
    blame = Blame.SETUP


class CardNotPrepared(Refusal):
    """The card was never prepared by the bench, or not to its end."""

    number, key = 7116, "card_not_prepared"
    blame = Blame.SETUP


class CardCustomised(Refusal):
    """Somebody else has set the card up: Raspberry Pi Imager's customisation, by a script or for cloud-init."""

    number, key = 7117, "card_customised"
    blame = Blame.SETUP


class CardReleaseRefused(Refusal):
    """No package out of these releases may go onto the card: a terminal with this root would take none of them."""

    number, key = 7130, "card_release_refused"
    blame = Blame.SETUP


class FirstBootFilesWrong(Refusal):
    """At the first boot the files on the card were not those that the bench wrote."""

    number, key = 7120, "first_boot_files_wrong"
    blame = Blame.DEVICE


class FirstBootMachineWrong(Refusal):
    """At the first boot the package turned out to be for another processor or Python."""

    number, key = 7121, "first_boot_machine_wrong"
    blame = Blame.SETUP


class FirstBootSystemPackages(Refusal):
    """At the first boot Debian packages were missing, and could not be had."""

    number, key, waiting_helps = 7122, "first_boot_system_packages", True
    blame = Blame.SETUP


class FirstBootInstallFailed(Refusal):
    """At the first boot the package could not be installed."""

    number, key = 7123, "first_boot_install_failed"
    blame = Blame.DEVICE


class FirstBootSettingsRefused(Refusal):
    """At the first boot the program refused its settings."""

    number, key = 7124, "first_boot_settings_refused"
    blame = Blame.SETUP


class FirstBootNoCity(Refusal):
    """At the first boot the city did not answer the enrolment."""

    number, key, waiting_helps = 7125, "first_boot_no_city", True
    blame = Blame.SETUP


class FirstBootEnrolmentRefused(Refusal):
    """At the first boot the enrolment was refused for good."""

    number, key = 7126, "first_boot_enrolment_refused"
    blame = Blame.SETUP


class FirstBootWaits(Refusal):
    """The first boot made its key and its request, and waits for the city's answer on the card."""

    number, key, waiting_helps = 7127, "first_boot_waits", True
    blame = Blame.SETUP


class FirstBootDiskFull(Refusal):
    """At the first boot the card had no room for the program."""

    number, key = 7128, "first_boot_disk_full"
    blame = Blame.DEVICE


class FirstBootStepFailed(Refusal):
    """A step of the first boot failed for a reason of its own."""

    number, key = 7129, "first_boot_step_failed"
    blame = Blame.DEVICE


# --- 7150 the device's key in a token, and provisioning -------------------------------------------------------------


class KeyModuleMissing(Refusal):
    """The PKCS #11 module that the settings name is not there, or is none that can be loaded here."""

    number, key = 7150, "key_module_missing"
    blame = Blame.SETUP


class KeyTokenMissing(Refusal):
    """No token of the name in the settings is plugged in; at power-on it may come a little later."""

    number, key, waiting_helps = 7151, "key_token_missing", True
    blame = Blame.DEVICE


class KeyPinWrong(Refusal):
    """The token does not take the PIN in the file; it is not tried again before the file is written anew."""

    number, key = 7152, "key_pin_wrong"
    blame = Blame.SETUP


class KeyPinFileUnsafe(Refusal):
    """The file with the token's PIN is missing, empty, no plain text, or readable by others."""

    number, key = 7153, "key_pin_file_unsafe"
    blame = Blame.SETUP


class KeyPinLocked(Refusal):
    """The token takes no PIN any more, or only one last: this program never spends the last one."""

    number, key = 7154, "key_pin_locked"
    blame = Blame.DEVICE


class KeyNotInToken(Refusal):
    """The token holds no key of the label in the settings."""

    number, key = 7155, "key_not_in_token"
    blame = Blame.DEVICE


class KeyOfAnother(Refusal):
    """The key found is not the one that the certificate was made for."""

    number, key = 7156, "key_of_another"
    blame = Blame.DEVICE


class KeyAmbiguous(Refusal):
    """Two tokens of one name, two keys of one label, or half a pair: which key is this device's cannot be told."""

    number, key = 7157, "key_ambiguous"
    blame = Blame.SETUP


class KeyMechanismMissing(Refusal):
    """The token cannot make or use keys on P-256 with ECDSA."""

    number, key = 7158, "key_mechanism_missing"
    blame = Blame.SETUP


class KeyTokenGone(Refusal):
    """The token went away or failed in the middle of work: nothing can be signed, so nothing is accepted."""

    number, key, waiting_helps = 7159, "key_token_gone", True
    blame = Blame.DEVICE


class AnswerPartForeign(Refusal):
    """A code that is no part of the answer that is being scanned: another device's, another answer's, or no part."""

    number, key = 7160, "answer_part_foreign"
    blame = Blame.SETUP


class AnswerPartDamaged(Refusal):
    """A part of an answer that is not as it was drawn."""

    number, key = 7161, "answer_part_damaged"
    blame = Blame.SETUP


class AnswerIncomplete(Refusal):
    """The scanning ended before every part of the answer was there; nothing was kept."""

    number, key, waiting_helps = 7162, "answer_incomplete", True
    blame = Blame.SETUP


class AnswerTooLong(Refusal):
    """The answer takes more codes than anybody scans: it must travel as a file."""

    number, key = 7163, "answer_too_long"
    blame = Blame.SETUP


class RequestPictureUnreadable(Refusal):
    """No enrolment request's code can be read in the picture or the text."""

    number, key = 7164, "request_picture_unreadable"
    blame = Blame.SETUP


class FirstBulletinRefused(Refusal):
    """A bulletin that came with the enrolment was not taken; the device is enrolled, and a sync brings it."""

    number, key, waiting_helps = 7165, "first_bulletin_refused", True
    blame = Blame.SETUP


class KeyPinUnmarked(Refusal):
    """Beside the PIN file nothing can be written: a PIN that the token refuses would be tried again at each start."""

    number, key, waiting_helps = 7166, "key_pin_unmarked", True
    blame = Blame.DEVICE


class AnswerOfAnother(Refusal):
    """The answer is not to the request that was carried: another device's, or another key's."""

    number, key = 7170, "answer_of_another"
    blame = Blame.SETUP


class DeviceRequestWrong(Refusal):
    """What came from the device is no enrolment request of this device, role and city."""

    number, key = 7171, "device_request_wrong"
    blame = Blame.SETUP


class DeviceDisagrees(Refusal):
    """The device says that it is provisioned, and what it holds is not what was verified: the alarm, nothing else."""

    number, key = 7172, "device_disagrees"
    blame = Blame.DEVICE


class DeviceUnreached(Refusal):
    """The command that `--via` names could not be run, or did not come to the device."""

    number, key = 7173, "device_unreached"
    blame = Blame.SETUP


class DeviceSaidNo(Refusal):
    """The device's own program refused, by a number of its own, and the same command would be refused again."""

    number, key = 7174, "device_said_no"
    blame = Blame.DEVICE


class DeviceSettingsWrong(Refusal):
    """The device's own program does not take its settings file, or the words of `--via` (exit code 2)."""

    number, key = 7175, "device_settings_wrong"
    blame = Blame.SETUP


class DeviceNotNow(Refusal):
    """The device's own program did not end in time, or says that the same command may work later."""

    number, key, waiting_helps = 7176, "device_not_now", True
    blame = Blame.DEVICE


class DeviceProgramOther(Refusal):
    """What `--via` ran is no terminal's program: it says neither a request nor who it is, and no number of ours."""

    number, key = 7177, "device_program_other"
    blame = Blame.SETUP


class SaidOtherwise(Refusal):
    """What a person typed as the device's word (`--said`) is not what the device should say: mistyped, if not worse."""

    number, key = 7178, "said_otherwise"
    blame = Blame.SETUP


class KeyTpmLocked(Refusal):
    """A TPM is in lockout: it counts each power cut after a use as a wrong PIN, and forgets them with time."""

    number, key, waiting_helps = 7179, "key_tpm_locked", True
    blame = Blame.SETUP


# --- 7200 signed releases ---------------------------------------------------------------------------------------------


class ReleaseTampered(Refusal):
    """A release's metadata is damaged or was changed: its bytes are not those that were signed."""

    number, key = 7200, "release_tampered"
    blame = Blame.FORGERY


class ReleasePackageTampered(Refusal):
    """The package is not the one that the release's metadata names: another length or other bytes."""

    number, key = 7201, "release_package_tampered"
    blame = Blame.FORGERY


class ReleaseExpired(Refusal):
    """The release's metadata was good until a time that has certainly passed: nobody renewed it, or it is held back."""

    number, key = 7202, "release_expired"
    blame = Blame.SETUP


class ReleaseRolledBack(Refusal):
    """The release's metadata is older than what this terminal has seen already."""

    number, key = 7203, "release_rolled_back"
    blame = Blame.FORGERY


class ReleaseUnsigned(Refusal):
    """Too few of the city's release keys have signed this metadata."""

    number, key = 7204, "release_unsigned"
    blame = Blame.FORGERY


class ReleaseChannelUnknown(Refusal):
    """The city's releases have no channel of this name."""

    number, key = 7205, "release_channel_unknown"
    blame = Blame.SETUP


class ReleasePlatformMissing(Refusal):
    """The channel has releases, and none of them for this kind of machine."""

    number, key = 7206, "release_platform_missing"
    blame = Blame.SETUP


class ReleaseInterrupted(Refusal):
    """The package's bytes stopped half way; what came is kept, and the next try goes on from there."""

    number, key, waiting_helps = 7207, "release_interrupted", True
    blame = Blame.DEVICE


class ReleasesMissing(Refusal):
    """No releases lie in this folder or at this address, or not all of their files can be read."""

    number, key = 7208, "releases_missing"
    blame = Blame.SETUP


class ReleaseRootWrong(Refusal):
    """The terminal has no release root, a damaged one, or one of another city than these releases."""

    number, key = 7209, "release_root_wrong"
    blame = Blame.SETUP


class ReleasePackageTooLarge(Refusal):
    """The package is larger than any package may be."""

    number, key = 7210, "release_package_too_large"
    blame = Blame.SETUP


class ReleaseKeyWrong(Refusal):
    """This key is none of the keys that may sign this."""

    number, key = 7211, "release_key_wrong"
    blame = Blame.SETUP


class ReleaseKeysTooFew(Refusal):
    """Fewer keys are here than must sign: nothing is published."""

    number, key = 7212, "release_keys_too_few"
    blame = Blame.SETUP


class ReleaseTaken(Refusal):
    """The channel has a package of this version and platform already, and it is another one."""

    number, key = 7213, "release_taken"
    blame = Blame.SETUP


class ReleasePackageUnfit(Refusal):
    """The file is no package of ours, or what is in it is not what it says."""

    number, key = 7214, "release_package_unfit"
    blame = Blame.SETUP


class ReleaseWheelMissing(Refusal):
    """A wheel that the package needs cannot be had: not downloaded, not installed here, or not built."""

    number, key = 7215, "release_wheel_missing"
    blame = Blame.SETUP


class ReleaseFolderWrong(Refusal):
    """The folder holds no releases, or something else where new releases are to begin."""

    number, key = 7216, "release_folder_wrong"
    blame = Blame.SETUP


class ReleaseRootUnfit(Refusal):
    """With this new root the terminals would take nothing more: it is not published."""

    number, key = 7217, "release_root_unfit"
    blame = Blame.SETUP


class ReleaseFolderBusy(Refusal):
    """Another `kgo-flash release` works in this folder."""

    number, key, waiting_helps = 7218, "release_folder_busy", True
    blame = Blame.SETUP


# --- 7220 the two slots of a terminal ---------------------------------------------------------------------------------


class UpdateForOther(Refusal):
    """The package is for another machine, another Python, or has not this program in it."""

    number, key = 7220, "update_for_other"
    blame = Blame.SETUP


class UpdateStoresTooNew(Refusal):
    """After this update the present version could read journal or shop file no more: there would be no way back."""

    number, key = 7221, "update_stores_too_new"
    blame = Blame.SETUP


class SlotNotMade(Refusal):
    """The new version could not be installed into its slot; the present one is untouched."""

    number, key, waiting_helps = 7222, "slot_not_made", True
    blame = Blame.DEVICE


class SlotDamaged(Refusal):
    """What was read back from a slot is not what was installed: the disk is failing, or somebody changed files."""

    number, key = 7223, "slot_damaged"
    blame = Blame.DEVICE


class NotInSlots(Refusal):
    """This program was not started from a slot: it cannot be updated this way."""

    number, key = 7224, "not_in_slots"
    blame = Blame.SETUP


class NothingStaged(Refusal):
    """No new version is installed that this terminal could switch to."""

    number, key = 7225, "nothing_staged"
    blame = Blame.SETUP


class SlotUnproved(Refusal):
    """The running version has not proved itself yet: until then the former one is kept."""

    number, key, waiting_helps = 7226, "slot_unproved", True
    blame = Blame.SETUP


class TerminalBusy(Refusal):
    """A sale, a trip or something else is open: versions change places only when nothing is."""

    number, key, waiting_helps = 7227, "terminal_busy", True
    blame = Blame.SETUP


class UpdateUndone(Refusal):
    """A new version did not prove itself here, or somebody went back: the former one runs."""

    number, key = 7228, "update_undone"
    blame = Blame.SETUP


class UpdateFailedHere(Refusal):
    """The newest version is the one that was given up here: it is not installed again by itself."""

    number, key = 7229, "update_failed_here"
    blame = Blame.SETUP


class NoWayBack(Refusal):
    """The other slot holds no version that has proved itself, or one that cannot read today's journal."""

    number, key = 7230, "no_way_back"
    blame = Blame.SETUP


class SelfTestFailed(Refusal):
    """The new version did not pass its own test in time; it ends, and the former one comes back."""

    number, key = 7231, "self_test_failed"
    blame = Blame.DEVICE


class UpdateInProgress(Refusal):
    """Another `update` works on this terminal."""

    number, key, waiting_helps = 7232, "update_in_progress", True
    blame = Blame.SETUP


# --- 7233 the release officer's own mistakes and disk -----------------------------------------------------------------


class ReleaseFileFailed(Refusal):
    """A file that a release command was told of, or works on, is not there or cannot be read or written."""

    number, key = 7233, "release_file_failed"
    blame = Blame.SETUP


class ReleaseKeysMissing(Refusal):
    """The folder in which the release keys should lie is not there, or cannot be looked into."""

    number, key = 7234, "release_keys_missing"
    blame = Blame.SETUP


class ReleaseKeyPublic(Refusal):
    """The public half of a release key was named to sign with: it signs nothing."""

    number, key = 7235, "release_key_public"
    blame = Blame.SETUP


class ReleaseKeyUnsafe(Refusal):
    """A release key's file can be read by others, is another user's, or lies where no permissions are kept."""

    number, key = 7236, "release_key_unsafe"
    blame = Blame.SETUP


class ReleaseKeyThere(Refusal):
    """There is a release key of this name: a key is never overwritten."""

    number, key = 7237, "release_key_there"
    blame = Blame.SETUP


class ReleaseChannelAbsent(Refusal):
    """The officer named a channel that these releases do not have."""

    number, key = 7238, "release_channel_absent"
    blame = Blame.SETUP


class ReleaseNotInChannel(Refusal):
    """The package that is to be withdrawn is not in the channel, or not any more."""

    number, key = 7239, "release_not_in_channel"
    blame = Blame.SETUP


class ReleaseChannelUnfit(Refusal):
    """This cannot be the name of a channel: it is not of small letters, or the releases have a role of this name."""

    number, key = 7240, "release_channel_unfit"
    blame = Blame.SETUP


class ReleaseDiskFull(Refusal):
    """The disk on which the officer works has no room; terminals see what they saw."""

    number, key = 7241, "release_disk_full"
    blame = Blame.SETUP


class ReleasePassphraseUnfit(Refusal):
    """No passphrase was typed for a release key, or a new one that is too short or was typed in two ways."""

    number, key = 7242, "release_passphrase_unfit"
    blame = Blame.SETUP


class ReleaseNoProposal(Refusal):
    """No new root is proposed in this folder: it was published already, or the folder is another one."""

    number, key = 7243, "release_no_proposal"
    blame = Blame.SETUP


class ReleaseChangeUnfit(Refusal):
    """Keys or thresholds cannot be changed, or begun with, as the officer's words say: nothing was changed."""

    number, key = 7244, "release_change_unfit"
    blame = Blame.SETUP


# --- 7250 what an update finds beside it ------------------------------------------------------------------------------


class ReleaseWithdrawn(Refusal):
    """What waits in the other slot is not what the city releases now: it was withdrawn, or another followed it."""

    number, key = 7250, "release_withdrawn"
    blame = Blame.SETUP


class VersionNotStarted(Refusal):
    """The present version has not proved itself, and cannot: no program runs."""

    number, key = 7251, "version_not_started"
    blame = Blame.SETUP


# --- 7300 the bench: its record and its labels ----------------------------------------------------------------------


class RecordInUse(Refusal):
    """Another `kgo-flash` holds this record; it has one writer."""

    number, key, waiting_helps = 7300, "record_in_use", True
    blame = Blame.SETUP


class RecordDamaged(Refusal):
    """A page or a row of the record is not what was written."""

    number, key = 7301, "record_damaged"
    blame = Blame.DEVICE


class RecordForeign(Refusal):
    """The file in the record's place is no record of a bench."""

    number, key = 7302, "record_foreign"
    blame = Blame.SETUP


class RecordTooNew(Refusal):
    """The record was written by a newer `kgo-flash`."""

    number, key = 7303, "record_too_new"
    blame = Blame.SETUP


class RecordReadOnly(Refusal):
    """The record, or its folder, cannot be written: nothing is done to a device that could not be recorded."""

    number, key = 7304, "record_read_only"
    blame = Blame.SETUP


class RecordUnavailable(Refusal):
    """The record cannot be opened or made in this place: no such folder, or a file system without WAL or locks."""

    number, key = 7305, "record_unavailable"
    blame = Blame.SETUP


class RecordFull(Refusal):
    """The disk is full: what was to be recorded is not, so nothing more is done to a device."""

    number, key, waiting_helps = 7306, "record_full", True
    blame = Blame.DEVICE


class RecordFailed(Refusal):
    """The disk reported an error: the record is read afresh at the next call."""

    number, key = 7307, "record_failed"
    blame = Blame.DEVICE


class RecordNothing(Refusal):
    """The record has nothing about a device of this name."""

    number, key = 7308, "record_nothing"
    blame = Blame.SETUP


class LabelFactsMissing(Refusal):
    """Nothing that a label needs was verified about this device: it was never flashed or provisioned to the end."""

    number, key = 7310, "label_facts_missing"
    blame = Blame.SETUP


class LabelSizeWrong(Refusal):
    """The label does not hold what must stand on it, or is none that a printer or a sheet has."""

    number, key = 7311, "label_size_wrong"
    blame = Blame.SETUP


class LabelNotReadBack(Refusal):
    """The drawn label's code does not read back as what was drawn: it is not printed."""

    number, key = 7312, "label_not_read_back"
    blame = Blame.DEVICE


class LabelNotOurs(Refusal):
    """A readable code that is no device's label."""

    number, key = 7313, "label_not_ours"
    blame = Blame.SETUP


class LabelDamaged(Refusal):
    """A label's code that is cut short or garbled; its sum does not fit."""

    number, key = 7314, "label_damaged"
    blame = Blame.DEVICE


class LabelNotSeen(Refusal):
    """No code could be read in the picture, or none came from the scanner in time."""

    number, key, waiting_helps = 7315, "label_not_seen", True
    blame = Blame.SETUP


class LabelUnknown(Refusal):
    """The record knows no device of that label: another bench made it, or nobody did."""

    number, key = 7316, "label_unknown"
    blame = Blame.SETUP


class LabelOfOtherDevice(Refusal):
    """A sound label, and another device's than the one that was named."""

    number, key = 7317, "label_of_other_device"
    blame = Blame.SETUP


class LabelOfOtherCity(Refusal):
    """The label names another city than the record does for this device."""

    number, key = 7318, "label_of_other_city"
    blame = Blame.SETUP


class LabelSerialDiffers(Refusal):
    """The label names another board than the record: it was moved, or the board was changed."""

    number, key = 7319, "label_serial_differs"
    blame = Blame.SETUP


class LabelKeyDiffers(Refusal):
    """The label names another key than the record: the device got a new key, or is a copy."""

    number, key = 7320, "label_key_differs"
    blame = Blame.FORGERY


# --- 7330 the self-test ---------------------------------------------------------------------------------------------


class SelfTestWhileRunning(Refusal):
    """The terminal's own program runs, or another self-test: it holds the journal and the devices."""

    number, key, waiting_helps = 7330, "self_test_while_running", True
    blame = Blame.SETUP


class SelfTestTripOpen(Refusal):
    """A trip, a sale or an unfinished payment is open: no light of a test may be taken for theirs."""

    number, key = 7331, "self_test_trip_open"
    blame = Blame.SETUP


class ButtonSilent(Refusal):
    """The head never said that this button was pressed and let go."""

    number, key = 7332, "button_silent"
    blame = Blame.DEVICE


class ButtonStuck(Refusal):
    """The head says that a button is pressed that nobody was asked to press."""

    number, key = 7333, "button_stuck"
    blame = Blame.DEVICE


class CoverSilent(Refusal):
    """The head never said that its cover was opened, or closed again."""

    number, key = 7334, "cover_silent"
    blame = Blame.DEVICE


class RingWrong(Refusal):
    """A person saw another picture on the head's ring than the one that was asked about."""

    number, key = 7335, "ring_wrong"
    blame = Blame.DEVICE


class BuzzerWrong(Refusal):
    """A person did not hear the notes that the head was told to play."""

    number, key = 7336, "buzzer_wrong"
    blame = Blame.DEVICE


class LightUnconfirmed(Refusal):
    """The head did not say in time that a light is on."""

    number, key, waiting_helps = 7337, "light_unconfirmed", True
    blame = Blame.DEVICE


class CableNoisy(Refusal):
    """Frames between terminal and head were damaged or lost."""

    number, key = 7338, "cable_noisy"
    blame = Blame.DEVICE


class HeadMemoryLow(Refusal):
    """The head has less free memory than its firmware needs to run on."""

    number, key = 7339, "head_memory_low"
    blame = Blame.DEVICE


class HeadWasStuck(Refusal):
    """The head's watchdog restarted it: its program had stood still."""

    number, key, waiting_helps = 7340, "head_was_stuck", True
    blame = Blame.DEVICE


class ScannerMute(Refusal):
    """The scanner read nothing of the code that was held before it."""

    number, key = 7341, "scanner_mute"
    blame = Blame.DEVICE


class ScannerReadsWrong(Refusal):
    """The scanner gave another text than the code that was shown."""

    number, key = 7342, "scanner_reads_wrong"
    blame = Blame.DEVICE


class CardReaderMute(Refusal):
    """No card was read in time, though the reader is there."""

    number, key = 7343, "card_reader_mute"
    blame = Blame.DEVICE


class DisplayWrong(Refusal):
    """A person saw a wrong picture on the screen."""

    number, key = 7344, "display_wrong"
    blame = Blame.DEVICE


class PaperWrong(Refusal):
    """A person saw a wrong page come out of the printer."""

    number, key = 7345, "paper_wrong"
    blame = Blame.DEVICE


class GpsMute(Refusal):
    """The receiver's port is there, and no sentence came from it."""

    number, key = 7346, "gps_mute"
    blame = Blame.DEVICE


class ClockChipWrong(Refusal):
    """The clock chip says a time that is far from the city's or the system's."""

    number, key = 7347, "clock_chip_wrong"
    blame = Blame.DEVICE


class ClockChipStopped(Refusal):
    """The clock chip says the same second again and again, or runs at a wrong pace."""

    number, key = 7348, "clock_chip_stopped"
    blame = Blame.DEVICE


class SystemClockWrong(Refusal):
    """The system's clock is far from the city's signed time."""

    number, key = 7349, "system_clock_wrong"
    blame = Blame.SETUP


class DiskSlow(Refusal):
    """A small write takes longer to be durable than a customer can wait."""

    number, key = 7350, "disk_slow"
    blame = Blame.DEVICE


class DiskReadOnly(Refusal):
    """The file system of the journal can only be read: mounted so, or made so by the kernel after an error."""

    number, key = 7351, "disk_read_only"
    blame = Blame.DEVICE


class DiskWornOut(Refusal):
    """The storage itself says that its life is over or nearly so."""

    number, key = 7352, "disk_worn_out"
    blame = Blame.DEVICE


class DiskErrors(Refusal):
    """The file system has counted errors on this disk."""

    number, key = 7353, "disk_errors"
    blame = Blame.DEVICE


class CityNameUnknown(Refusal):
    """The name in `city.url` leads to no address."""

    number, key, waiting_helps = 7354, "city_name_unknown", True
    blame = Blame.DEVICE


class CityPortSilent(Refusal):
    """Nobody takes a connection at the city's address."""

    number, key, waiting_helps = 7355, "city_port_silent", True
    blame = Blame.DEVICE


class SyncStillWaiting(Refusal):
    """The exchange with the city ended well, and something still waits to be sent."""

    number, key, waiting_helps = 7356, "sync_still_waiting", True
    blame = Blame.DEVICE


class SelfTestBroken(Refusal):
    """A check of the self-test itself failed in a way that nobody foresaw."""

    number, key = 7357, "self_test_broken"
    blame = Blame.SETUP


class ReportUnfit(Refusal):
    """A file that is no whole self-test report, was changed after it was signed, or is signed by nobody."""

    number, key = 7358, "report_unfit"
    blame = Blame.FORGERY


class ReportOfAnother(Refusal):
    """A self-test report of another device, or signed by another key than the one that was expected."""

    number, key = 7359, "report_of_another"
    blame = Blame.FORGERY


class ReportTaken(Refusal):
    """A self-test report that the bench's record has already: it says nothing about how the device is now."""

    number, key = 7360, "report_taken"
    blame = Blame.SETUP


class ReportOlder(Refusal):
    """A self-test report from before one that the bench's record has: what the device was is no news of what it is."""

    number, key = 7361, "report_older"
    blame = Blame.SETUP


class ReportInPart(Refusal):
    """A self-test report in which nothing failed and not everything was tried: by `--alone`, by `--only`, or because
    somebody left it. It is in the record, as not passed."""

    number, key = 7362, "report_in_part"
    blame = Blame.SETUP
