#!/bin/sh
# The first boot of a terminal. Started by the words that kgo-flash put into cmdline.txt (systemd.run=), at every start
# until its work is done; then those words are gone and the machine starts anew. docs/bench/terminal-card.md
here=$(dirname "$0")
exec /usr/bin/python3 -IBu "$here/first_boot.pyz" --boot "$here/.."
