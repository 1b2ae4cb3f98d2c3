"""The rules. A check takes a Tree and yields "path:line: what is wrong".

Each has examples beside it: `good` trees it must accept and `bad` ones it must refuse, so that a
check that cannot fail is seen.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

CHECKS = {}


def check(good, bad):
    def register(function):
        CHECKS[function.__name__] = (function, good, bad)
        return function

    return register


SOURCE = r"\.[ch]$"
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)

# Who may include whom (docs/architecture.md); its own folder always.
LIB = {
    "lib/base": [],
    "lib/run": ["lib/base"],
    "lib/db": ["lib/base", "lib/run"],
    "lib/net": ["lib/base", "lib/run"],
    "lib/aws": ["lib/base", "lib/run", "lib/net"],
    "lib/store": ["lib/base", "lib/run", "lib/net", "lib/aws"],
    "lib/data": ["lib/base"],
    "lib/sevir": ["lib/base", "lib/data"],
    "lib/h5": ["lib/base", "lib/run", "lib/data", "lib/store"],
}
SHARED = ["daemon/conf", "daemon/metrics.h", "daemon/services.h"]
STAGE = [*LIB, *SHARED, "daemon/job", "daemon/catalog", "daemon/intake"]
DAEMON = {
    "daemon/conf": [*LIB],
    "daemon/catalog": [*LIB, *SHARED],
    "daemon/job": [*LIB, *SHARED, "daemon/catalog"],
    "daemon/intake": [*LIB, *SHARED, "daemon/job", "daemon/catalog"],
    "daemon/source": STAGE,
    "daemon/crawl": STAGE,
    "daemon/etl": STAGE,
    "daemon/publish": STAGE,
    "daemon/glue": STAGE,
    "daemon/ops": [*STAGE, "daemon/daemon.h"],
    "daemon/h5probe": ["lib/base", "lib/data", "lib/h5"],
    "daemon/ctl": [*LIB, "daemon/conf"],
}
RULES = {**LIB, **DAEMON}
BASE_LIBRARIES = ("openssl/", "systemd/")
FOREIGN = re.compile(
    r"^(uv\.h|jansson|sqlite3|png|curl/|microhttpd|csv\.h|libdeflate|isa-l|hdf5|seccomp|expat|zlib"
    r"|utlist|uthash|utarray|openssl/|systemd/)"
)


def allowed(path, folder, included):
    if "/" not in path.removeprefix("daemon/"):  # main, daemon, pipeline: they see everything
        return included.startswith(("daemon/", "lib/"))
    targets = [folder, *RULES[folder]]
    return any(included == target or included.startswith(target + "/") for target in targets)


@check(
    good=[
        {"lib/db/a.c": '#include <sqlite3.h>\n#include "lib/run/work.h"\n'},
        {"daemon/etl/a.c": '#include "daemon/job/job.h"\n#include "lib/h5/x.h"\n'},
        {"daemon/pipeline.c": '#include "daemon/etl/etl.h"\n'},
        {"lib/base/a.c": "#include <openssl/evp.h>\n"},
    ],
    bad=[
        {"lib/base/a.c": '#include "lib/run/loop.h"\n'},
        {"lib/base/a.c": "#include <uv.h>\n"},
        {"lib/sevir/a.c": '#include "lib/store/store.h"\n'},
        {"lib/net/a.c": '#include "daemon/job/job.h"\n'},
        {"daemon/etl/a.c": '#include "daemon/crawl/crawl.h"\n'},
        {"daemon/ops/a.c": '#include "daemon/publish/publish.h"\n'},
        {"daemon/ctl/a.c": '#include "daemon/job/job.h"\n'},
        {"lib/run/a.c": '#include "loop.h"\n'},
        {"lib/new/a.c": '#include "lib/base/str.h"\n'},
        {"lib/run/a.c": '#include "tests/unit.h"\n'},
    ],
)
def include_rule(tree):
    for file in tree.match(r"^(lib|daemon)/.*" + SOURCE):
        folder = "/".join(file.path.split("/")[:2])
        top = folder.endswith((".c", ".h"))
        if not top and folder not in RULES:
            yield f"{file.path}:1: folder '{folder}' has no include rule; add one in checks.py"
            continue
        for found in INCLUDE.finditer(file.text):
            kind, included = found.groups()
            where = f"{file.path}:{file.line_of(found.start(1))}"
            if kind == '"' and included == "h5_paths.h":
                continue  # generated
            if kind == '"' and not allowed(file.path, folder, included):
                yield f"{where}: '{folder}' may not include '{included}'"
            elif kind == "<" and folder == "lib/base" and FOREIGN.match(included):
                if not included.startswith(BASE_LIBRARIES):
                    yield f"{where}: lib/base uses libc and OpenSSL only, not <{included}>"


BANNED = re.compile(
    r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atoll|atof|strtok|alloca"
    r"|system|popen|tmpnam|mktemp)\s*\("
)


@check(
    good=[
        {"lib/a.c": 'int f(void)\n{\n    snprintf(a, 1, "strcpy(");\n}\n'},
        {"lib/a.c": "/* never system( */\nint f(void)\n{\n    x.system(1);\n}\n"},
    ],
    bad=[
        {"lib/a.c": "int f(void)\n{\n    strcpy(a, b);\n}\n"},
        {"daemon/a.c": "int f(void)\n{\n    return atoi (b);\n}\n"},
        {"tests/unit/test_a.c": "int f(void)\n{\n    system(b);\n}\n"},
    ],
)
def banned_functions(tree):
    for file in tree.match(r"^(lib|daemon|tests)/.*" + SOURCE):
        for found in BANNED.finditer(file.code):
            line = file.line_of(found.start())
            yield f"{file.path}:{line}: {found.group(1)}() is banned"


@check(
    good=[{"lib/a.c": "void f(void)\n{\n    goto end;\nend:\n    return;\n}\n"}],
    bad=[
        {"lib/a.c": "void f(void)\n{\nagain:\n    goto again;\n}\n"},
        {"lib/a.c": "void f(void)\n{\n    goto a;\na:\n    goto b;\nb:\n    return;\n}\n"},
    ],
)
def goto_forward_to_one_label(tree):
    for file in tree.match(r"^(lib|daemon|tests)/.*\.c$"):
        for function in file.functions():
            labels = set()
            for found in re.finditer(r"\bgoto\s+(\w+)", function.body):
                label = found.group(1)
                labels.add(label)
                place = re.search(rf"^\s*{label}:(?!:)", function.body, re.MULTILINE)
                if place is None or place.start() < found.start():
                    yield f"{file.path}:{function.line}: {function.name}() jumps back to '{label}'"
            if len(labels) > 1:
                yield f"{file.path}:{function.line}: {function.name}() has {len(labels)} labels"


FUNCTION_LINES, FILE_LINES = 120, 800


@check(
    good=[{"lib/a.c": "void f(void)\n{\n" + "    x();\n" * 118 + "}\n"}],
    bad=[
        {"lib/a.c": "void f(void)\n{\n" + "    x();\n" * 120 + "}\n"},
        {"tests/unit/test_a.c": "int a;\n" * 801},
    ],
)
def sizes(tree):
    for file in tree.match(r"^(lib|daemon|tests)/.*" + SOURCE):
        lines = file.text.count("\n")
        if lines > FILE_LINES:
            yield f"{file.path}:1: {lines} lines, over {FILE_LINES}: is it one room?"
        for function in file.functions():
            if function.length > FUNCTION_LINES:
                yield (
                    f"{file.path}:{function.line}: {function.name}() has {function.length} lines, "
                    f"over {FUNCTION_LINES}"
                )


PROTOTYPE = re.compile(r"^(?!typedef|#|\s|static|struct \w+ \{|enum)[\w\s*]+?\b\w+\(", re.MULTILINE)
OPENING = re.compile(r"\A/\*\* @file\n.*?\*/", re.DOTALL)


@check(
    good=[
        {"lib/a.h": "/** @file\n * A thing.\n *\n * Thread:     any.\n */\n#pragma once\nint f(void);\n"},
        {"lib/a.h": "/** @file\n * Sums. Pure.\n */\n#pragma once\nint f(void);\n"},
        {"lib/a.h": "/** @file\n * Numbers.\n */\n#pragma once\nenum a { B };\n"},
    ],
    bad=[
        {"lib/a.h": "/** @file\n * A thing.\n */\n#pragma once\nint f(void);\n"},
        {"lib/a.h": "/** @file\n * A thing. Thread: any.\n */\nenum a { B };\n"},
        {"lib/a.h": "#pragma once\nenum a { B };\n"},
    ],
)
def headers_are_contracts(tree):
    for file in tree.match(r"^(lib|daemon)/.*\.h$"):
        opening = OPENING.match(file.text)
        if opening is None:
            yield f"{file.path}:1: does not open with its idea, '/** @file'"
            continue
        if "#pragma once" not in file.text:
            yield f"{file.path}:1: has no '#pragma once'"
        if file.path.endswith("_p.h"):
            continue  # shared inside one room, under its public header's contract
        promised = re.search(r"\bThreads?:|\b[Pp]ure\b", opening.group(0))
        if promised is None and PROTOTYPE.search(file.code):
            yield f"{file.path}:1: declares functions and does not say which thread may call them"


WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


@check(
    good=[{"lib/a.c": "/* What is to be done is an issue. */\n"}],
    bad=[{"lib/a.c": "/* TO" + "DO later */\n"}, {"docs/a.md": "FIX" + "ME\n"}],
)
def nothing_is_left_for_later(tree):
    for file in tree.match(r"\.(c|h|py|sh|md|build|def|json|js|html|css|in|service|socket)$"):
        if file.path.startswith("tests/lint/"):
            continue
        for found in WORDS.finditer(file.text):
            yield f"{file.path}:{file.line_of(found.start())}: '{found.group(1)}'"


@check(
    good=[{"lib/a.c": "int a;\n"}],
    bad=[{"lib/a.c": "int a; \n"}, {"lib/a.c": "\tint a;\n"}, {"README.md": "no end"}],
)
def whitespace(tree):
    for file in tree.match(r"\.(c|h|py|sh|md|build|def|css|js)$"):
        for number, line in enumerate(file.text.split("\n"), 1):
            if line != line.rstrip():
                yield f"{file.path}:{number}: blanks at the end of the line"
            if "\t" in line and not file.path.endswith(".md"):
                yield f"{file.path}:{number}: a tab"
        if file.text and not file.text.endswith("\n"):
            yield f"{file.path}:1: the last line has no end"


COMPILED = r"^(lib|daemon|tests)/.*\.c$"


@check(
    good=[({"lib/a.c": "", "tests/unit/lib/test_a.c": ""}, ["lib/a.c", "tests/unit/lib/test_a.c"])],
    bad=[
        ({"lib/a.c": "", "lib/b.c": ""}, ["lib/a.c"]),
        ({"tests/unit/lib/test_a.c": ""}, ["lib/a.c"]),
        ({"tests/fuzz/fuzz_a.c": ""}, ["lib/a.c"]),
    ],
)
def every_source_and_test_is_built(tree):
    for file in tree.match(COMPILED):
        if file.path not in tree.compiled:
            yield f"{file.path}:1: no meson.build names it"


@check(
    good=[{"tests/unit/test_a.c": "static void it_is(void **state)\n{\n}\nint x = TEST(it_is);\n"}],
    bad=[{"tests/unit/test_a.c": "static void it_is(void **state)\n{\n}\nint main(void)\n{\n}\n"}],
)
def every_unit_test_is_registered(tree):
    for file in tree.match(r"^tests/unit/.*test_\w+\.c$"):
        for found in re.finditer(r"^static void (\w+)\(void \*\*\w+\)", file.code, re.MULTILINE):
            name = found.group(1)
            if len(re.findall(rf"\b{name}\b", file.code)) < 2:
                yield f"{file.path}:{file.line_of(found.start())}: {name}() is never run"


@check(
    good=[{"tests/fuzz/fuzz_a.c": "", "tests/fuzz/corpus/a/one": "x"}],
    bad=[{"tests/fuzz/fuzz_a.c": ""}],
)
def every_fuzzer_has_a_corpus(tree):
    for file in tree.match(r"^tests/fuzz/fuzz_\w+\.c$"):
        name = file.path.removeprefix("tests/fuzz/fuzz_").removesuffix(".c")
        folder = f"tests/fuzz/corpus/{name}/"
        there = tree.root is not None and any((tree.root / folder).glob("*"))
        if not there and not tree.match("^" + re.escape(folder)):
            yield f"{file.path}:1: has no corpus in {folder}"


def run_tool(tree, files, command):
    """A tool that reads files; trees of the self-test have none yet, so they are written out."""
    if not files:
        return
    tool = shutil.which(command[0])
    if tool is None:
        yield f"{command[0]}: not installed; run 'sh config/setup.sh test'"
        return
    with tempfile.TemporaryDirectory() as made:
        root = tree.root
        if root is None:
            root = Path(made)
            (root / ".clang-format").write_text("BasedOnStyle: LLVM\nIndentWidth: 4\n")
            for file in files:
                (root / file.path).parent.mkdir(parents=True, exist_ok=True)
                (root / file.path).write_text(file.text)
        answer = subprocess.run(
            [tool, *command[1:], *[file.path for file in files]],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
    if answer.returncode != 0:
        output = (answer.stdout + answer.stderr).strip().splitlines()
        found = [line for line in output if re.match(r"\S+:\d+:", line)]
        yield from found or output or [f"{command[0]}: status {answer.returncode}"]


@check(good=[{"lib/a.c": "int a;\n"}], bad=[{"lib/a.c": "int   a;\n"}])
def clang_format(tree):
    files = tree.match(r"^(lib|daemon|tests)/.*" + SOURCE)
    yield from run_tool(tree, files, ["clang-format", "--style=file", "--dry-run", "-Werror"])


@check(
    good=[{"a.sh": "#!/bin/sh\necho hello\n"}],
    bad=[{"a.sh": "#!/bin/sh\nrm $1\n"}],
)
def shellcheck(tree):
    files = tree.match(r"\.sh$|^\.ci/run$")
    yield from run_tool(tree, files, ["shellcheck", "--format=gcc"])


@check(
    good=[{"a.py": "a = 1\n"}],
    bad=[{"a.py": "a = = 1\n"}],
)
def python_compiles(tree):
    for file in tree.match(r"\.py$"):
        try:
            compile(file.text, file.path, "exec")
        except SyntaxError as error:
            yield f"{file.path}:{error.lineno}: {error.msg}"
