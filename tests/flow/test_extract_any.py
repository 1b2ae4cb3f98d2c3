"""Whatever libhdf5 can write that workers decode, the whole daemon reads as numpy does; what is damaged is
refused by name.

Cases are drawn from a seed, SEVIRD_SEED (default: 1), as many as SEVIRD_CASES says (default: 60).
"""

import os
import zlib

import h5py
import numpy as np
import pytest

from sample import Sample
from test_extract import check_event, check_manifests, frames_of

SEED = int(os.environ.get("SEVIRD_SEED", "1"))
CASES = int(os.environ.get("SEVIRD_CASES", "60"))
DTYPES = "u1 i1 <u2 >u2 <i2 >i2 <u4 >u4 <i4 >i4 <u8 >u8 <i8 >i8 <f4 >f4 <f8 >f8".split()
TYPES = ("vil", "ir069", "ir107", "vis")


def some_shape(rng):
    """(N, H, W, T): often one pixel, one frame, one event."""
    one = rng.random(4) < 0.2
    n, h, w, t = (int(rng.integers(1, most)) for most in (6, 40, 70, 20))
    return tuple(1 if alone else size for alone, size in zip(one, (n, h, w, t)))


def some_layout(rng, shape):
    how = rng.integers(5)
    if how == 0:
        return {}
    options = dict(chunks=True if how == 1 else tuple(int(rng.integers(1, s + 1)) for s in shape))
    if how == 2:
        options["chunks"] = (1, *shape[1:])
    for name, odds, value in (
        ("compression", 0.7, "gzip"), ("shuffle", 0.5, True), ("fletcher32", 0.3, True)
    ):
        if rng.random() < odds:
            options[name] = value
    return options


def some_pixels(rng, dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        data = (rng.standard_normal(shape) * 10.0 ** rng.integers(0, 5)).astype(dtype)
    else:
        info = np.iinfo(dtype)
        low, high = (info.min, info.max) if rng.integers(2) else (max(info.min, -9000), min(info.max, 12000))
        data = rng.integers(low, high, shape, dtype=dtype.newbyteorder("="), endpoint=True).astype(dtype)
        if rng.integers(2):  # runs, as weather has them
            data[rng.random(shape) < 0.7] = 0
    return data


def set_missing(rng, data, img_type):
    """Nowhere, everywhere, in one event, in one frame, here and there, or nowhere else."""
    floats = data.dtype.kind == "f"
    missing = np.nan if floats else 255
    if not floats and (img_type != "vil" or np.iinfo(data.dtype).max < 255):
        return data
    how = rng.integers(6)
    where = np.zeros(data.shape, bool)
    if how == 0 and not floats:
        data[data == 255] = 254
    elif how == 1:
        where[:] = True
    elif how == 2:
        where[int(rng.integers(len(data)))] = True
    elif how == 3:
        where[..., int(rng.integers(data.shape[-1]))] = True
    elif how == 4:
        where = rng.random(data.shape) < 0.3
    elif how == 5:
        where[:] = True
        where.flat[int(rng.integers(where.size))] = False
    data[where] = missing
    return data


def write_case(daemon, number):
    """One file and its rows; what the daemon has to find in it."""
    rng = np.random.default_rng([SEED, number])
    img_type = TYPES[rng.integers(len(TYPES))]
    # Most of them as radar and infrared come, for which there are ways of their own.
    dtype = ("u1", "<i2")[rng.integers(2)] if rng.random() < 0.4 else DTYPES[number % len(DTYPES)]
    shape = some_shape(rng)
    data = set_missing(rng, some_pixels(rng, dtype, shape), img_type)
    layout = some_layout(rng, shape)
    name = f"{img_type}/2019/SEVIR_CASE_{number:04d}.h5"
    path = daemon.raw / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", libver=("earliest", ("v110", "v110"))[rng.integers(2)]) as file:
        made = file.create_dataset(img_type, shape, data.dtype, **layout)
        rows = slice(None)
        if layout and len(data) > 1 and rng.random() < 0.2:  # the rest was never written
            rows = slice(0, len(data) - 1)
            data[len(data) - 1] = 0
        made[rows] = data[rows]
    maker = Sample(daemon.raw, size=8, frames=shape[3])
    found = []
    for index in range(shape[0]):
        row = maker.row(img_type, f"S{number:04d}{index}", name, 0, "2019-03-31 23:50:00")
        row.update(file_index=index, size_x=shape[2], size_y=shape[1])
        daemon.sample.rows.append(row)
        found.append((row, data[index], f"case {number}: {img_type} {dtype} {shape} {layout}"))
    return found


def test_files_of_any_kind_equal_numpy(daemon):
    cases = [case for number in range(CASES) for case in write_case(daemon, number)]
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle(timeout=600)
    jobs = daemon.get("/v1/jobs?limit=1000")["jobs"]
    bad = [(job["key"], job["reason"]) for job in jobs if job["state"] != "DONE"]
    assert not bad, "\n".join(map(str, bad))
    found = {img_type: frames_of(daemon.processed, img_type) for img_type in TYPES}
    for row, data, case in cases:
        event = found[row["img_type"]].pop((row["id"], row["file_index"]))
        try:
            check_event(daemon.processed, event, row, data)
        except AssertionError as error:
            raise AssertionError(f"{case}, row {row['file_index']}: {error}") from error
    assert not any(found.values())
    check_manifests(daemon)


# ---- damage


def gzip_file(path, **options):
    with h5py.File(path, "w") as file:
        data = np.random.default_rng(1).integers(0, 40, (3, 24, 24, 5)).astype("u1")
        options = {"chunks": (1, 24, 24, 5), "compression": "gzip", **options}
        file.create_dataset("vil", data=data, **options)


def stored_chunk(path, row):
    with h5py.File(path) as file:
        info = file["vil"].id.get_chunk_info_by_coord((row, 0, 0, 0))
        return info.byte_offset, info.size


def cut_chunk(path):
    gzip_file(path)
    with h5py.File(path, "r+") as file:
        stream = zlib.compress(np.random.default_rng(2).integers(0, 40, 2880).astype("u1").tobytes())
        file["vil"].id.write_direct_chunk((1, 0, 0, 0), stream[: len(stream) // 2])


def replace_chunk(path, count):
    """The chunk inflates to another size than its shape has."""
    gzip_file(path)
    with h5py.File(path, "r+") as file:
        file["vil"].id.write_direct_chunk((1, 0, 0, 0), zlib.compress(bytes(count)))


def break_checksum(path):
    gzip_file(path, compression=None, fletcher32=True)
    offset, size = stored_chunk(path, 1)
    with open(path, "r+b") as file:
        file.seek(offset + 5)
        byte = file.read(1)[0]
        file.seek(offset + 5)
        file.write(bytes([byte ^ 1]))


def move_chunk(path):
    """Its entry in the B-tree points beyond the end."""
    gzip_file(path)
    offset, _ = stored_chunk(path, 1)
    content = path.read_bytes()
    entry = offset.to_bytes(8, "little")
    assert content.count(entry) == 1
    path.write_bytes(content.replace(entry, (1 << 40).to_bytes(8, "little")))


DAMAGE = {
    "a stream that ends early": (cut_chunk, "zlib stream"),
    "too little": (lambda path: replace_chunk(path, 24 * 24 * 5 - 1), "decodes to 2879 bytes, not 2880"),
    "too much": (lambda path: replace_chunk(path, 24 * 24 * 5 + 1), "inflates to more than its 2880"),
    "far too much": (lambda path: replace_chunk(path, 50_000_000), "inflates to more than its 2880"),
    "a checksum": (break_checksum, "fletcher32"),
    "an address": (move_chunk, "addr = 1099511627776"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_quarantined_with_dataset_and_chunk(daemon, what):
    damage, told = DAMAGE[what]
    daemon.sample.size, daemon.sample.frames = 24, 5
    path = daemon.sample.add("vil", ["S1", "S2", "S3"])
    good = daemon.sample.add("vil", ["S4", "S5"], time="2018-05-05 01:02:03")
    damage(path)
    daemon.sample.write_catalog()
    daemon.start()
    job = daemon.wait_state(str(path.relative_to(daemon.raw)), "QUARANTINED")
    where = "dataset 'vil' chunk 1 (1,0,0,0): ", "dataset 'vil': find the chunk at row 1: "
    assert job["reason"].startswith(where), job
    assert told in job["reason"], job
    daemon.wait_state(str(good.relative_to(daemon.raw)), "DONE")
    check_manifests(daemon)  # nothing of the other one is left
