#!/usr/bin/env python3
"""What people write in Python: h5py, numpy, pandas, and matplotlib or Pillow. Peers of run.sh.

    peers.py imsave|pil|numpy FILE TYPE EVENTS PROCESSES COLORS COUNT DIR
    peers.py flashes FILE lght EVENTS PROCESSES - 0 DIR
    peers.py whole|fsspec URL vil EVENT,EVENT... 1 - 0 DIR     the pixels of some events over HTTP

imsave and pil take the statistics with numpy's own functions; numpy is tuned: transposed once, counted,
statistics from the counts. All make the pictures that sevird makes: the same colours, a sheet an event.
Prints the seconds it took, without the imports, and the largest resident size of a process in MiB.
"""

import os
import resource
import sys
import time
from multiprocessing import Pool

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import h5py
import numpy as np
import pandas as pd

HOW, FILE, TYPE, EVENTS, PROCESSES, COLORS, COUNT, DIR = sys.argv[1:9]
REMOTE = HOW in ("whole", "fsspec")
PROCESSES, COUNT = int(PROCESSES), int(COUNT)
EVENTS = [int(event) for event in EVENTS.split(",")] if REMOTE else int(EVENTS)
PERCENTILES = [1, 10, 25, 50, 75, 90, 99]
THRESHOLDS = [16, 74, 133, 160, 181, 219]
THUMB, COLUMNS = 192, 8

if COLORS != "-":
    with open(COLORS, "rb") as file:
        PALETTE = np.frombuffer(file.read(768), np.uint8).reshape(256, 3)
        INDEX = np.frombuffer(file.read(65536), np.uint8)

if HOW == "imsave":
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.colors import ListedColormap

    CMAP = ListedColormap(PALETTE[:COUNT] / 255)
elif COLORS != "-":
    from PIL import Image


def save(path, index):
    index = index[::-1]
    if HOW == "imsave":
        plt.imsave(path, index, cmap=CMAP, vmin=0, vmax=COUNT - 1)
        return
    image = Image.fromarray(np.ascontiguousarray(index))
    image.putpalette(PALETTE[:COUNT].tobytes())
    image.save(path)


def naive(codes):
    kept = codes[codes != 255] if TYPE == "vil" else codes
    row = {"valid": kept.size / codes.size}
    if kept.size == 0:
        return row
    row.update(min=kept.min(), max=kept.max(), mean=kept.mean(), std=kept.std())
    row.update(zip([f"p{p:02d}" for p in PERCENTILES], np.percentile(kept, PERCENTILES)))
    if TYPE == "vil":
        row.update((f"a{t}", (kept >= t).mean()) for t in THRESHOLDS)
    return row


def tuned(codes):
    if codes.dtype == np.uint8:
        counts, low = np.bincount(codes.ravel(), minlength=256), 0
        counts[255] = 0
    else:
        low = int(codes.min())
        counts = np.bincount((codes.ravel() - low).astype(np.uint16))
    total = np.cumsum(counts)
    n = total[-1]
    row = {"valid": n / codes.size}
    if n == 0:
        return row
    there, values = np.nonzero(counts)[0], np.arange(counts.size)
    mean = (counts * values).sum() / n
    row.update(min=there[0] + low, max=there[-1] + low, mean=mean + low)
    row["std"] = np.sqrt((counts * values * values).sum() / n - mean * mean)
    for p in PERCENTILES:
        row[f"p{p:02d}"] = int(np.searchsorted(total, p / 100 * (n - 1) + 1)) + low
    if TYPE == "vil":
        row.update((f"a{t}", 1 - total[t - 1] / n) for t in THRESHOLDS)
    return row


def extract(events):
    rows = []
    with h5py.File(FILE) as file:
        data = file[TYPE]
        ids = file["id"][:]
        for i in range(*events):
            event = data[i]
            height, width, frames = event.shape
            if HOW == "numpy":
                event = np.ascontiguousarray(event.transpose(2, 0, 1))
            step = max(1, max(height, width) // THUMB)
            cells = []
            for t in range(frames):
                codes = event[t] if HOW == "numpy" else event[:, :, t]
                rows.append(
                    {"id": ids[i].decode(), "frame": t, **(tuned if HOW == "numpy" else naive)(codes)}
                )
                index = INDEX[codes.view(np.uint16) if codes.dtype.itemsize == 2 else codes]
                save(f"{DIR}/{i}_{t:02d}.png", index)
                cells.append(index[::step, ::step])
            cells += [np.zeros_like(cells[0])] * (-len(cells) % COLUMNS)
            sheet = [np.hstack(cells[k : k + COLUMNS]) for k in range(0, len(cells), COLUMNS)]
            save(f"{DIR}/{i}_sheet.png", np.vstack(sheet[::-1]))
    return rows


def flashes(events):
    tables = []
    with h5py.File(FILE) as file:
        for name in list(file)[slice(*events)]:
            table = pd.DataFrame(file[name][:], columns=["t", "lat", "lon", "x", "y"])
            table.insert(0, "id", name)
            start = pd.Timestamp("2019-06-12 12:00:00")
            table.insert(1, "time_utc", (start + pd.to_timedelta(np.floor(table.t), unit="s")).dt.floor("s"))
            tables.append(table)
    return [pd.concat(tables)]


def remote():
    if HOW == "whole":
        import shutil
        import urllib.request

        began = time.perf_counter()
        with urllib.request.urlopen(FILE) as answer, open(f"{DIR}/whole.h5", "wb") as file:
            shutil.copyfileobj(answer, file, 1 << 20)
        opened = open(f"{DIR}/whole.h5", "rb")
    else:
        import fsspec

        began = time.perf_counter()
        opened = fsspec.filesystem("http").open(FILE, block_size=65536, cache_type="bytes")
    with h5py.File(opened) as file:
        for event in EVENTS:
            file[TYPE][event]
    print(f"{time.perf_counter() - began:.6f} 0")


def main():
    if REMOTE:
        remote()
        return
    began = time.perf_counter()
    parts = min(2 * PROCESSES, EVENTS)
    cuts = [(EVENTS * k // parts, EVENTS * (k + 1) // parts) for k in range(parts)]
    with Pool(PROCESSES) as pool:
        rows = sum(pool.map(flashes if HOW == "flashes" else extract, cuts, chunksize=1), [])
    table = pd.concat(rows) if HOW == "flashes" else pd.DataFrame(rows)
    table.to_csv(f"{DIR}/frames.csv", index=False)
    took = time.perf_counter() - began
    usage = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"{took:.6f} {usage / 1024:.0f}")


if __name__ == "__main__":
    main()
