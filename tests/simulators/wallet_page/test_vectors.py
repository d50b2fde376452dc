"""The page's own readers and writers against the project's vectors, byte for byte, in the browser. docs/protocol.md."""

import json
from pathlib import Path
from random import Random
from typing import Any

from playwright.sync_api import Browser, Page

from offline_ledger.errors import Refusal
from offline_ledger.protocol import base45, cbor
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX
from simulators.wallet_page.lan import demo_tls
from simulators.wallet_page.serve import WalletPage

VECTORS = Path(__file__).parents[2] / "vectors"
NOWHERE = "https://127.0.0.1:9"
BENT, BYTES_BENT_MAX = 300, 3
"""So many changed payloads, each in up to so many bytes."""
CHECK = """async ({ objects, bundles }) => {
    const [cbor, cose, layouts, qr] = await Promise.all(
        ["./cbor.js", "./cose.js", "./objects.js", "./qr_text.js"].map((name) => import(name)));
    const wrong = [];
    const isSame = (name, found, hex) => cose.toHex(found) === hex || wrong.push(`${name}: ${cose.toHex(found)}`);
    for (const { name, kind, aad, point, value, object, payload, to_be_signed, identity } of objects) {
        const under = cbor.encode(aad);
        const signed = await cose.parseSign1(cose.fromHex(object), under, cose.CITY_OBJECT_BYTES_MAX);
        isSame(`${name} payload`, signed.payload, payload);
        isSame(`${name} to be signed`, signed.toBeSigned, to_be_signed);
        isSame(`${name} identity`, signed.identity, identity);
        isSame(`${name} again`, cbor.encode(cbor.decode(signed.payload, 262144)), payload);
        if (!(await cose.isSignatureOf(signed, cose.fromHex(point)))) wrong.push(`${name}: signature`);
        const elsewhere = await cose.parseSign1(cose.fromHex(object), cose.externalAad(aad[0] + 1, aad[2]), 262144);
        if (await cose.isSignatureOf(elsewhere, cose.fromHex(point))) wrong.push(`${name}: good as another kind`);
        const layout = layouts[kind.toUpperCase()];
        if (!layout) continue;
        const read = layout.decode(signed.payload, 262144);
        isSame(`${name} by layout`, layout.encode(read), payload);
        const own = { secret: (await cose.newKey()).secret, point: cose.fromHex(point) };
        const made = await cose.sign1(signed.payload, under, own);
        isSame(`${name} signed here`, made.identity, identity);
    }
    for (const { text, cbor: hex } of bundles) {
        if ("ED".includes(text[4])) {  // an enrolment is no wallet's business
            try { qr.decode(text); wrong.push(`${text[4]}: read`); }
            catch (error) { if (error.key !== "wrong_code_type") wrong.push(`${text[4]}: ${error}`); }
            continue;
        }
        const { type, objects: inside } = qr.decode(text);
        isSame(`${type} list`, cbor.encode(inside), hex);
        if (qr.encode(type, ...inside) !== text) wrong.push(`${type}: another text`);
    }
    return { wrong, layouts: objects.filter(({ kind }) => layouts[kind.toUpperCase()]).length };
}"""
READ = """async (all) => {
    const names = ["./cbor.js", "./cose.js", "./base45.js"];
    const [cbor, cose, base45] = await Promise.all(names.map((name) => import(name)));
    const key = (read) => { try { read(); return "read"; } catch (error) { return error.key; } };
    return [all.cbor.map((hex) => key(() => cbor.decode(cose.fromHex(hex), 1024))),
            all.base45.map((text) => key(() => base45.decode(text)))];
}"""


def test_it_reads_and_writes_every_vector_to_the_byte(chromium: Browser, rng: Random) -> None:
    ours, theirs = _vectors("ours"), _vectors("theirs")
    wanted = ("payload", "to_be_signed", "identity")
    bare = {name: {key: one[key] for key in wanted} for name, one in ours.items()}
    objects = [{**one, **bare[name], "name": name} for found in (ours, theirs) for name, one in found.items()]
    bundles = json.loads((VECTORS / "ours" / "bundles.json").read_text())["qr"]
    with demo_tls(("127.0.0.1",)) as tls, WalletPage(NOWHERE, tls.ca) as served:
        page = chromium.new_page()
        page.goto(served.url)
        found: dict[str, Any] = page.evaluate(CHECK, {"objects": objects, "bundles": list(bundles.values())})
        assert found["wrong"] == []
        assert len(objects) == 40 and found["layouts"] == 20, "every kind of both makers, and each that a wallet reads"
        what_is_bent_is_refused_as_the_terminals_refuse_it(
            page, rng, [bytes.fromhex(one["payload"]) for one in objects]
        )


def _vectors(folder: str) -> dict[str, dict[str, Any]]:
    files = sorted((VECTORS / folder).glob("*.json"))
    return {path.stem: json.loads(path.read_text()) for path in files if path.stem != "bundles"}


def what_is_bent_is_refused_as_the_terminals_refuse_it(page: Page, rng: Random, payloads: list[bytes]) -> None:
    """Whatever is read here is read there and the other way round; and by one name, where there is one mistake."""
    bent = [_bent(rng.choice(payloads), rng) for _ in range(BENT)]
    known = ["", "a0", "a10001", "a1000118", "1817", "1b0000000000000001", "a201010001", "a201010102", "f90000", "c101"]
    cases = [
        bytes.fromhex(hexed) for hexed in (*known, "a1200a", "9f01ff", "5f4101ff", "6161", "61ff", "a0a0", "f6", "fb")
    ]
    texts = ["", "A", "BB8", ":::", "GGW", "FGW", "%69 VD92EX0", "a", "ก11", "::"]
    asked = {"cbor": [one.hex() for one in (*cases, *bent)], "base45": texts}
    here, codes = page.evaluate(READ, asked)
    for data, key in zip((*cases, *bent), here, strict=True):
        there = _refused(lambda data=data: cbor.decode(data, OBJECT_BYTES_MAX))
        assert (key == "read") == (there == "read") or key == "value_out_of_range", (data.hex(), key, there)
    assert codes == [_refused(lambda text=text: base45.decode(text)) for text in texts]


def _bent(payload: bytes, rng: Random) -> bytes:
    changed = bytearray(payload)
    for _ in range(rng.randint(1, BYTES_BENT_MAX)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed[: rng.choice((len(changed), rng.randrange(len(changed))))])


def _refused(read: Any) -> str:
    try:
        read()
    except Refusal as refusal:
        return refusal.key
    return "read"
