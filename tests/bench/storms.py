"""Files in SEVIR's own shapes with weather-like pixels, the same every time: what run.sh measures on.

Fields of a power law that drift and mix; radar has speckle, clutter and, in some events, missing
frames. A few events are made, and turned and mirrored to as many as are wanted.
"""

import csv
import sys
import zlib
from multiprocessing import Pool
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "flow"))

from sample import COLUMNS, PROJ

FRAMES = 49
SIZES = {"vil": 384, "ir069": 192, "vis": 768}
DTYPES = {"vil": np.uint8, "ir069": np.int16, "vis": np.int16}
DISTINCT = {"vil": 8, "ir069": 8, "vis": 2}


def field(rng, size, slope):
    ky = np.fft.fftfreq(size)[:, None] * size
    kx = np.fft.rfftfreq(size)[None, :] * size
    stretch = rng.uniform(1, 2)
    k = np.hypot(ky * stretch, kx)
    k[0, 0] = 1
    waves = rng.standard_normal(k.shape) + 1j * rng.standard_normal(k.shape)
    waves *= k ** (-slope / 2 - 0.5) * (1 - np.exp(-((k / 3) ** 2)))
    waves[0, 0] = 0
    made = np.fft.irfft2(waves, s=(size, size))
    return (made / made.std()).astype(np.float32)


def drift(rng, size, slope):
    """Frames of two fields that move past and mix."""
    room = size // 4
    fields = [field(rng, size + room, slope) for _ in range(2)]
    speeds = rng.uniform(0, (room - 2) / FRAMES, (2, 2))
    turn = rng.uniform(0.01, 0.03)
    for t in range(FRAMES):
        frame = np.zeros((size, size), np.float32)
        for one, speed, weight in zip(fields, speeds, (np.cos(turn * t), np.sin(turn * t))):
            (y, fy), (x, fx) = (divmod(v * t, 1) for v in speed)
            y, x = int(y), int(x)
            part = one[y : y + size + 1, x : x + size + 1]
            rows = (1 - fy) * part[:-1] + fy * part[1:]
            frame += np.float32(weight) * ((1 - fx) * rows[:, :-1] + fx * rows[:, 1:]).astype(np.float32)
        yield frame


def event(job):
    kind, seed = job
    rng = np.random.default_rng([seed, len(kind)])
    size = SIZES[kind]
    out = np.empty((size, size, FRAMES), DTYPES[kind])
    above, gain = rng.normal(0.45, 0.3), rng.uniform(55, 95)
    for t, frame in enumerate(drift(rng, size, {"vil": 2.2, "ir069": 2.8, "vis": 2.3}[kind])):
        noise = rng.standard_normal(frame.shape, dtype=np.float32)
        if kind == "vil":
            rain = (frame - above) * gain
            codes = rain + (2 + 0.05 * np.maximum(rain, 0)) * noise
            codes[rain <= 0] = 0
            clutter = rng.random(frame.shape, dtype=np.float32) < 2e-4
            codes[clutter] = rng.integers(1, 40, int(clutter.sum()))
            out[:, :, t] = np.clip(codes, 0, 254)
        elif kind == "ir069":
            out[:, :, t] = np.clip(-3500 - 1500 * frame + 6 * noise, -9000, 3000)
        else:
            out[:, :, t] = np.clip(3000 + 1800 * frame + 25 * noise, 0, 11000)
    if kind == "vil" and seed % 8 == 5:
        out[:, :, 40:43] = 255
    return out


def turned(base, number):
    data = base[number % len(base)]
    number //= len(base)
    if number % 2:
        data = data[::-1]
    if number // 2 % 2:
        data = data[:, ::-1]
    return data.transpose(1, 0, 2) if number // 4 % 2 else data


LAYOUTS = {
    "contiguous": lambda shape: {},
    "gzip, an event a chunk": lambda shape: dict(chunks=(1, *shape[1:]), compression="gzip"),
    "gzip, a frame a chunk": lambda shape: dict(chunks=(1, *shape[1:3], 1), compression="gzip"),
    "gzip, h5py's own chunks": lambda shape: dict(chunks=True, compression="gzip"),
}


def name_of(kind, layout):
    tag = layout.replace(", ", "_").replace(" ", "_").replace("'", "")
    return f"{kind}_{tag}_2019.h5"


def write(job):
    path, kind, layout, count, base = job
    part = path.with_suffix(".part")
    shape = (count, *np.load(base, mmap_mode="r").shape[1:])
    with h5py.File(part, "w") as file:
        data = np.load(base, mmap_mode="r")
        made = file.create_dataset(kind, shape, data.dtype, **LAYOUTS[layout](shape))
        step = made.chunks[0] if made.chunks else 1
        for i in range(0, count, step):
            made[i : i + step] = np.stack([turned(data, k) for k in range(i, min(i + step, count))])
        file["id"] = np.array([f"S{800000 + i}".encode() for i in range(count)], "S10")
    part.rename(path)


def flashes(path, count):
    rng = np.random.default_rng(3)
    with h5py.File(path, "w") as file:
        for i in range(count):
            n = int(rng.integers(200, 4000))
            seconds = np.sort(rng.uniform(-7200, 7200, n))
            place = rng.normal(0, 1, (n, 2))
            file[f"S{800000 + i}"] = np.column_stack(
                [seconds, 36 + place[:, 0], -98 + place[:, 1], 24 + 8 * place[:, 1], 24 + 8 * place[:, 0]]
            )


def make(folder, wanted):
    """{(kind, layout): events} to {(kind, layout): path}; what is there is kept."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths, jobs = {}, []
    with Pool(2) as pool:
        for (kind, layout), count in wanted.items():
            path = paths[kind, layout] = folder / f"{count}_{name_of(kind, layout)}"
            if path.exists():
                continue
            if kind == "lght":
                flashes(path, count)
                continue
            base = folder / f"{kind}.npy"
            if not base.exists():
                np.save(base, np.stack(pool.map(event, [(kind, seed) for seed in range(DISTINCT[kind])], 1)))
            jobs.append((path, kind, layout, count, base))
        pool.map(write, jobs, 1)
    return paths


def large(path, layout, count, there):
    """A file of radar as large as SEVIR's. Contiguous: events that are not `there` are holes."""
    if path.exists():
        return
    part = path.with_suffix(".part")
    data = [event(("vil", seed)) for seed in range(3)]
    size = SIZES["vil"]
    shape = (count, size, size, FRAMES)
    with h5py.File(part, "w") as file:
        made = file.create_dataset("vil", shape, "u1", **LAYOUTS[layout](shape))
        if made.chunks:
            chunks = [zlib.compress(one.tobytes(), 4) for one in data]
            for i in range(count):
                made.id.write_direct_chunk((i, 0, 0, 0), chunks[i % len(chunks)])
        else:
            for i in there:
                made[i] = data[i % len(data)]
        file["id"] = np.array([f"S{800000 + i}".encode() for i in range(count)], "S10")
    part.rename(path)


def chunks_of(path, kind):
    """A line "OFFSET BYTES DEFLATED" an event, for kernels.c; None where an event is not one piece."""
    with h5py.File(path) as file:
        data = file[kind]
        size = int(np.prod(data.shape[1:])) * data.dtype.itemsize
        if data.chunks is None:
            start = data.id.get_offset()
            return [f"{start + i * size} {size} 0" for i in range(len(data))]
        if data.chunks != (1, *data.shape[1:]):
            return None
        infos = [data.id.get_chunk_info_by_coord((i, 0, 0, 0)) for i in range(len(data))]
        return [f"{info.byte_offset} {info.size} 1" for info in infos]


def write_catalog(path, kind, file_name, count):
    size = SIZES.get(kind, 48)
    offsets = "" if kind == "lght" else ":".join(str(5 * (f - FRAMES // 2)) for f in range(FRAMES))
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for i in range(count):
            writer.writerow(
                [f"S{800000 + i}", file_name, 0 if kind == "lght" else i, kind, "2019-06-12 12:00:00"]
                + [offsets, "138793.0", f"{800000 + i}.0", "Hail", 33.0, -100.0, 36.4, -95.9, PROJ]
                + [size, size, 384000.0, 384000.0, 0.0, 254.0, 0.0]
            )
