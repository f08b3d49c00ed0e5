"""Disks that hold names to be the same, or refuse them, emulated at the calls of the system.

A FAT, HFS+ or SMB disk cannot be mounted everywhere.
"""

import builtins
import errno
import io
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

ONE_PATH = ("stat", "lstat", "mkdir", "rmdir", "open", "listdir", "scandir", "unlink", "access")
TWO_PATHS = ("replace", "rename")


def exact(name: str) -> str:
    return name


def by_case(name: str) -> str:
    return name.casefold()


def by_form(name: str) -> str:
    """As HFS+, which does not tell NFC from NFD, and case."""
    return unicodedata.normalize("NFD", name).casefold()


def without_last_dots(name: str) -> str:
    """As FAT, which drops dots and spaces at the end."""
    return name.casefold().rstrip(". ")


class Disk:
    """A disk at a folder, from ``mount`` until the patches are undone.

    same: two names for which it is equal are one. refuses: whether a new name is refused, with
    which error.
    """

    def __init__(
        self,
        root: Path,
        same: Callable[[str], str] = exact,
        refuses: Callable[[str], bool] = lambda name: False,
        error: int = errno.EINVAL,
    ) -> None:
        self.root, self.same, self.refuses, self.error = root, same, refuses, error
        self._listdir = os.listdir

    def mount(self, monkeypatch) -> None:
        for name in ONE_PATH:
            monkeypatch.setattr(os, name, self._wrapped(getattr(os, name), 1, name == "mkdir"))
        for name in TWO_PATHS:
            monkeypatch.setattr(os, name, self._wrapped(getattr(os, name), 2, True))
        for module in (builtins, io):
            monkeypatch.setattr(module, "open", self._wrapped(module.open, 1, False))

    def _wrapped(self, call, count, makes):
        def on_disk(*arguments, **options):
            paths = [self._resolve(path) for path in arguments[:count]]
            target = Path(os.path.abspath(os.fsdecode(paths[-1]))) if makes else self.root
            if self.root in target.parents and self.refuses(target.name):
                raise OSError(self.error, os.strerror(self.error), str(target))
            return call(*paths, *arguments[count:], **options)

        return on_disk

    def _resolve(self, path):
        """The path of the entry that the disk holds to be meant, if there is one."""
        if isinstance(path, int) or not path:
            return path
        whole = Path(os.path.abspath(os.fsdecode(path)))
        if not whole.is_relative_to(self.root) or whole == self.root:
            return path
        resolved = str(self.root)
        for part in whole.relative_to(self.root).parts:
            try:
                entries = self._listdir(resolved)
            except OSError:
                entries = []
            found = [entry for entry in entries if self.same(entry) == self.same(part)]
            resolved = os.path.join(resolved, part if part in entries or not found else found[0])
        return resolved
