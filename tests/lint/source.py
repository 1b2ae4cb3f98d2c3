"""What the checks read: the project's files, and C without its comments and strings."""

import os
import re
import subprocess
from pathlib import Path

SKIP = re.compile(r"^(build|\.venv|\.git/|demo/|.*__pycache__)")
TOKEN = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL
)


def blank(match):
    """Same length and lines, nothing to read; quotes stay, so that a string is still one."""
    text = match.group(0)
    inner = re.sub(r"[^\n]", " ", text)
    return text[0] + inner[1:-1] + text[-1] if text[0] in "\"'" else inner


class Function:
    def __init__(self, name, line, body):
        self.name, self.line, self.body = name, line, body
        self.length = body.count("\n") + 1


class File:
    def __init__(self, path, text):
        self.path, self.text = path, text
        self._code = None

    @property
    def code(self):
        if self._code is None:
            self._code = TOKEN.sub(blank, self.text)
        return self._code

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def functions(self):
        """Our form: the brace of a function stands alone at the start of a line, both times."""
        lines = self.code.split("\n")
        start = None
        for number, line in enumerate(lines):
            if line.rstrip() == "{":
                start = number
            elif line.rstrip() == "}" and start is not None:
                yield Function(self._name(lines, start), start + 1, "\n".join(lines[start:number]))
                start = None

    @staticmethod
    def _name(lines, brace):
        head = ""
        for number in range(brace - 1, max(brace - 12, -1), -1):
            head = lines[number] + " " + head
            found = re.findall(r"(\w+)\s*\(", head)
            if found and not lines[number].startswith((" ", "\t")):
                return next((name for name in found if not name.startswith("__")), found[-1])
        return "?"


class Tree:
    """`files` maps a path from the root to its File; text files of the project only."""

    def __init__(self, files, compiled=()):
        self.files = {path: File(path, text) for path, text in files.items()}
        self.compiled = set(compiled)
        self.root = None

    def match(self, pattern):
        wanted = re.compile(pattern)
        return [file for path, file in sorted(self.files.items()) if wanted.search(path)]

    @classmethod
    def read(cls, root, compiled=()):
        files = {}
        for path in listed(root):
            try:
                files[path] = (Path(root) / path).read_text(encoding="utf-8")
            except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
                continue
        tree = cls(files, compiled)
        tree.root = Path(root)
        return tree


def listed(root):
    """git's files, new ones too; in a tarball, whatever is not built."""
    answer = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    if answer.returncode == 0:
        return sorted({path for path in answer.stdout.decode().split("\0") if path})
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root)
            if not SKIP.match(path):
                found.append(path)
    return sorted(found)
