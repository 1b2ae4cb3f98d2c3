"""The table that benchmarks print: the work, ours, the peer, the ratio, the goal, and whether it is met."""

import json
from pathlib import Path

COLUMNS = ("work", "ours", "peer", "ratio", "goal")


class Table:
    def __init__(self, **widths):
        """How wide the columns are: Table(work=48, ours=18, ...)."""
        self.widths, self.rows = [widths[name] for name in COLUMNS], []

    def line(self, cells, last):
        first, *others = (f"{cell:{'<' if at == 0 else '>'}{width}}"
                          for at, (cell, width) in enumerate(zip(cells, self.widths)))  # fmt: skip
        print(f"| {' | '.join([first, *others])} | {last:>3} |", flush=True)

    def head(self):
        self.line(COLUMNS, "met")
        rules = ["-" * width for width in self.widths]
        self.line([rules[0], *(rule[1:] + ":" for rule in rules[1:])], "---")

    def row(self, work, ours, peer="", ratio="", goal="", met=None):
        """`met` None: there is no goal."""
        self.rows.append(dict(work=work, ours=ours, peer=peer, ratio=ratio, goal=goal, met=met))
        self.line((work, ours, peer, ratio, goal), {True: "yes", False: "NO", None: ""}[met])

    def end(self, path=None, **more):
        """The last line; the rows, and what else there is, as JSON into `path`. Gives the exit status."""
        if path:
            Path(path).write_text(json.dumps({"rows": self.rows, **more}, indent=1))
        goals = [row["met"] for row in self.rows if row["met"] is not None]
        print(f"\n{goals.count(False)} of {len(goals)} goals are not met")
        return 1 if False in goals else 0
