"""The settings that a till has beside every terminal's."""

from offline_ledger.settings_file import SettingField, path

SETTINGS = (SettingField("files.shop", path(), "shop.db"),)
