"""`kgo-flash release …`: the words of the release officers' commands, and what they say. DESIGN §3."""

from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.flash.bench import OK, AddCommand, Bench, Run
from firmware.flash.typed_unseen import typed_unseen
from offline_ledger.errors import (
    ReleaseChangeUnfit,
    ReleaseDiskFull,
    ReleaseFileFailed,
    ReleaseKeyWrong,
    ReleasePassphraseUnfit,
    StorageFailed,
    StorageFull,
)
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Commands, Parser, whole

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey  # pyright: ignore[reportPrivateImportUsage]
    from tuf.api.metadata import Role  # pyright: ignore[reportPrivateImportUsage]

    from firmware.flash.release.keys import KeyFolders

KEYS_NAME = "release-keys"
CHANNELS = ("stable", "trial")
KEYS_MAX = 20
DAYS_MAX = 366
ROOT_OF_CHECKOUT = Path(__file__).parents[2]
PASSPHRASE_CHARACTERS_MIN = 12


def add(add_command: AddCommand) -> None:
    """`release` and its commands."""
    release = add_command("release", _never)
    todo = Commands(release, dest="what")

    def command(name: str, run: Run) -> Parser:
        made = todo.add(name)
        made.set_defaults(run=lambda bench, said: _on_the_officers_disk(lambda: run(bench, said)))
        return made

    _beginning_words(command)
    _publishing_words(command)
    _root_words(command)


def _on_the_officers_disk(act: Callable[[], int]) -> int:
    """The disk's refusals in the officer's words: a till's would tell him to take no KGO. Raises ReleaseDiskFull,
    ReleaseFileFailed."""
    try:
        return act()
    except StorageFull as full:
        raise ReleaseDiskFull(full.detail) from full
    except StorageFailed as failed:
        raise ReleaseFileFailed(failed.detail) from failed


def _never(_bench: Bench, _said: Namespace) -> int:
    raise AssertionError("argparse demands one of its commands")


def _beginning_words(command: Callable[[str, Run], Parser]) -> None:
    init = command("init", _init)
    few = whole(init.texts, 1, KEYS_MAX)
    init.add_argument("folder", type=Path, metavar="FOLDER")
    init.add_argument("--keys", type=Path, metavar="FOLDER")
    init.add_argument("--roots", type=few, default=3, metavar="N")
    init.add_argument("--threshold", type=few, default=2, metavar="M")
    init.add_argument("--channel-keys", type=few, default=1, metavar="N")
    init.add_argument("--channel-threshold", type=few, default=1, metavar="M")
    init.add_argument("--test-keys", action="store_true")
    key = command("key", _key)
    key.add_argument("file", type=Path, metavar="FILE.pem")
    key.add_argument("--test-keys", action="store_true")


def _publishing_words(command: Callable[[str, Run], Parser]) -> None:
    package = command("package", _package)
    package.add_argument("folder", type=Path, metavar="FOLDER")
    package.add_argument("--platform", choices=("aarch64", "x86_64"), default="aarch64")
    package.add_argument("--python", default="3.11", metavar="3.11")
    package.add_argument("--as-version", metavar="0.2.0")
    package.add_argument("--from-here", action="store_true")
    package.add_argument("--without-panel", action="store_true")
    package.add_argument("--wheel", type=Path, action="append", default=[], metavar="FILE.whl")
    package.add_argument("--requirements", type=Path, action="append", default=[], metavar="FILE.txt")
    publish = command("add", _add)
    publish.add_argument("folder", type=Path, metavar="FOLDER")
    publish.add_argument("package", type=Path, metavar="PACKAGE.zip")
    publish.add_argument("--channel", default=CHANNELS[0], metavar="NAME")
    _keys_option(publish)
    withdraw = command("withdraw", _withdraw)
    withdraw.add_argument("folder", type=Path, metavar="FOLDER")
    withdraw.add_argument("package", metavar="PACKAGE.zip")
    withdraw.add_argument("--channel", default=CHANNELS[0], metavar="NAME")
    _keys_option(withdraw)
    refresh = command("refresh", _refresh)
    refresh.add_argument("folder", type=Path, metavar="FOLDER")
    refresh.add_argument("--days", type=whole(refresh.texts, 1, DAYS_MAX), default=30, metavar="N")
    _keys_option(refresh)
    channel = command("channel", _channel)
    channel.add_argument("folder", type=Path, metavar="FOLDER")
    channel.add_argument("name", metavar="NAME")
    channel.add_argument("--add", type=Path, action="append", default=[], metavar="FILE.pub")
    channel.add_argument("--remove", action="append", default=[], metavar="KEYID")
    channel.add_argument("--threshold", type=whole(channel.texts, 1, KEYS_MAX), default=0, metavar="M")
    _keys_option(channel)
    show = command("show", _show)
    show.add_argument("folder", type=Path, metavar="FOLDER")
    _keys_option(show)


def _root_words(command: Callable[[str, Run], Parser]) -> None:
    rotate = command("rotate-root", _rotate_root)
    pair = _pair(rotate.texts)
    rotate.add_argument("folder", type=Path, metavar="FOLDER")
    rotate.add_argument("--add", type=pair, action="append", default=[], metavar="ROLE=FILE.pub")
    rotate.add_argument("--remove", type=pair, action="append", default=[], metavar="ROLE=KEYID")
    rotate.add_argument("--threshold", type=pair, action="append", default=[], metavar="ROLE=M")
    sign = command("sign-root", _sign_root)
    sign.add_argument("proposal", type=Path, metavar="FOLDER")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE.pem")
    publish = command("publish-root", _publish_root)
    publish.add_argument("folder", type=Path, metavar="FOLDER")
    publish.add_argument("copies", type=Path, nargs="*", metavar="COPY")


def _keys_option(parser: Parser) -> None:
    parser.add_argument("--keys", type=Path, action="append", default=[], metavar="FOLDER")


def _pair(texts: Texts) -> Callable[[str], tuple[str, str]]:
    """ROLE=VALUE."""

    def pair(text: str) -> tuple[str, str]:
        role, equals, value = text.partition("=")
        if not (role and equals and value):
            raise ArgumentTypeError(texts.get("usage.pair", text=text[:40]))
        return role, value

    return pair


# --- the commands; what they need is loaded when one of them is asked for


def _init(bench: Bench, said: Namespace) -> int:
    from firmware.flash.release.beginning import Beginning, Thresholds, begin
    from firmware.flash.release.keys import TEST_PREFIX, no_passphrase

    keys = said.keys or said.folder.parent / KEYS_NAME
    prefix, ask = (TEST_PREFIX, no_passphrase) if said.test_keys else ("", lambda file: _new_passphrase(bench, file))
    asked = Beginning(
        Thresholds(said.roots, said.threshold), Thresholds(said.channel_keys, said.channel_threshold), CHANNELS, prefix
    )
    begin(said.folder, keys, asked, ask, bench.now_s())
    bench.say("release.begun", folder=said.folder, keys=keys, roots=said.roots, threshold=said.threshold)
    bench.say("release.root_for_terminals", file=said.folder / "metadata" / "1.root.json")
    return OK


def _key(bench: Bench, said: Namespace) -> int:
    from firmware.flash.release.keys import PUBLIC, key_file, make_key, refuse_if_there

    file = key_file(said.file, is_test=said.test_keys)
    refuse_if_there(file)  # told before anybody types
    key = make_key(file, "" if said.test_keys else _new_passphrase(bench, file))
    bench.say("release.key_made", file=file, public=file.with_suffix(PUBLIC), keyid=key.keyid[:16])
    return OK


def _package(bench: Bench, said: Namespace) -> int:
    from firmware.flash.release.making import LOCKS, Making, make, usual_locks
    from firmware.flash.release.packages import sha256_of
    from firmware.flash.release.wheels import own_version

    version = said.as_version or own_version(ROOT_OF_CHECKOUT)
    platform = f"linux_{said.platform}"
    usual = usual_locks(ROOT_OF_CHECKOUT, platform, is_from_here=said.from_here)
    locks = said.requirements or (usual[: len(LOCKS)] if said.without_panel else usual)
    asked = Making(
        ROOT_OF_CHECKOUT, version, platform, said.python, locks, said.wheel, said.from_here
    )  # fmt: skip
    with bench.progress() as bars:
        task = bars.add_task(bench.texts.get("flash.release.packing"), total=None)
        file = make(asked, said.folder)
        bars.update(task, total=1, completed=1)
    size = file.stat().st_size
    bench.say("release.packed", file=file, mib=f"{size >> 20}.{(size % (1 << 20)) * 10 >> 20}", sha256=sha256_of(file))
    return OK


def _add(bench: Bench, said: Namespace) -> int:
    from firmware.flash.release.packages import add as publish
    from firmware.flash.release.repository import Releases

    releases, keys = Releases(said.folder), _keys(bench, said)
    name, is_new, newest = publish(releases, said.package, said.channel, keys, bench.now_s())
    bench.say("release.added" if is_new else "release.there_already", package=name, channel=said.channel)
    if newest != name:
        bench.say("release.newer_there", newest=newest, channel=said.channel)
    return OK


def _withdraw(bench: Bench, said: Namespace) -> int:
    from firmware.flash.release.packages import withdraw
    from firmware.flash.release.repository import Releases

    withdraw(Releases(said.folder), said.package, said.channel, _keys(bench, said), bench.now_s())
    bench.say("release.withdrawn", package=said.package, channel=said.channel)
    return OK


def _refresh(bench: Bench, said: Namespace) -> int:
    from firmware.flash.release.renewing import refresh
    from firmware.flash.release.repository import Releases

    done = refresh(Releases(said.folder), _keys(bench, said), bench.now_s(), said.days)
    bench.say("release.renewed", roles=", ".join(done.renewed), days=said.days)
    if done.ending:
        bench.say("release.ending", roles=", ".join(done.ending))
    return OK


def _channel(bench: Bench, said: Namespace) -> int:
    from firmware.flash.release.renewing import ChannelChange, change_channel
    from firmware.flash.release.repository import Releases

    change = ChannelChange([_added(file) for file in said.add], said.remove, said.threshold)
    change_channel(Releases(said.folder), said.name, change, _keys(bench, said), bench.now_s())
    bench.say("release.channel_changed", channel=said.name)
    return _show(bench, said)


def _rotate_root(bench: Bench, said: Namespace) -> int:
    from firmware.flash.release.repository import Releases
    from firmware.flash.release.roots import RootChange, propose

    add = [(role, _added(Path(file))) for role, file in said.add]
    thresholds = {role: _threshold(number) for role, number in said.threshold}
    folder = propose(Releases(said.folder), RootChange(add, said.remove, thresholds), bench.now_s())
    bench.say("release.proposed", folder=folder)
    return OK


def _added(file: Path) -> "SSlibKey":
    """The public half behind --add. Raises ReleaseChangeUnfit: it is none; ReleaseFileFailed."""
    from firmware.flash.release.keys import load_public

    try:
        return load_public(file)
    except ReleaseKeyWrong as wrong:
        raise ReleaseChangeUnfit(wrong.detail) from wrong


def _threshold(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 2):
        raise ReleaseChangeUnfit(f"threshold {text[:20]}")
    return int(text)


def _sign_root(bench: Bench, said: Namespace) -> int:
    from firmware.flash.release.roots import sign_proposal

    signed = sign_proposal(said.proposal, said.key, lambda file: _passphrase(bench, file))
    counts = {"old": signed.old, "old_threshold": signed.old_threshold}
    bench.say("release.root_signed", **counts, new=signed.new, new_threshold=signed.new_threshold)
    bench.say("release.root_ready" if signed.is_enough else "release.root_waits")
    return OK


def _publish_root(bench: Bench, said: Namespace) -> int:
    from firmware.flash.release.repository import Releases
    from firmware.flash.release.roots import publish_root

    bench.say("release.root_published", version=publish_root(Releases(said.folder), said.copies))
    return OK


def _show(bench: Bench, said: Namespace) -> int:
    from firmware.flash.release.keys import public_names
    from firmware.flash.release.repository import Releases

    state = Releases(said.folder).load()
    names = public_names(said.keys or [said.folder.parent / KEYS_NAME])
    for role in ("root", "timestamp", "snapshot", "targets"):
        asked, seen = state.root.signed.roles[role], getattr(state, role).signed
        _show_role(bench, role, seen.version, seen.expires, asked, names)
    for name, channel in state.channels.items():
        asked = state.targets.signed.get_delegated_role(name)
        _show_role(bench, name, channel.signed.version, channel.signed.expires, asked, names)
        for path, target in sorted(channel.signed.targets.items()):
            bench.print(f"    {path.partition('/')[2]}  {target.length}  {target.hashes['sha256']}")
    return OK


def _show_role(
    bench: Bench, role: str, version: int, expires: datetime, asked: "Role", names: Mapping[str, str]
) -> None:
    days = (expires - datetime.fromtimestamp(bench.now_s(), UTC)).days
    key = "release.role" if days >= 0 else "release.role_over"
    bench.say(key, role=role, version=version, day=f"{expires:%Y-%m-%d}", days=abs(days))
    keys = [keyid[:16] + (f" ({names[keyid]})" if keyid in names else "") for keyid in asked.keyids]
    bench.say("release.role_keys", threshold=asked.threshold, keys=" ".join(keys))


def _keys(bench: Bench, said: Namespace) -> "KeyFolders":
    from firmware.flash.release.keys import KeyFolders

    return KeyFolders(said.keys or [said.folder.parent / KEYS_NAME], lambda file: _passphrase(bench, file))


def _passphrase(bench: Bench, file: Path) -> str:
    return _typed(bench.texts.get("flash.release.passphrase", file=file.name), file)


def _new_passphrase(bench: Bench, file: Path) -> str:
    asked = bench.texts.get("flash.release.new_passphrase", file=file.name, low=PASSPHRASE_CHARACTERS_MIN)
    first = _typed(asked, file)
    if len(first) < PASSPHRASE_CHARACTERS_MIN:
        raise ReleasePassphraseUnfit(f"{file.name}: a passphrase has {PASSPHRASE_CHARACTERS_MIN} characters or more")
    if _typed(bench.texts.get("flash.release.passphrase_again"), file) != first:
        raise ReleasePassphraseUnfit(f"{file.name}: the two passphrases differ")
    return first


def _typed(prompt: str, file: Path) -> str:
    """What is typed unseen: never a word of the command line, where other users could read it. Raises
    ReleasePassphraseUnfit: nobody is there to type, or what was typed is no text."""
    try:
        return typed_unseen(prompt)
    except (EOFError, UnicodeDecodeError) as error:
        raise ReleasePassphraseUnfit(f"{file.name}: no passphrase was typed") from error
