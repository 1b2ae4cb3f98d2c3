"""The data library against numpy, h5py and Pillow: the same bytes in, the same numbers and pixels out."""

import io
import itertools
import os
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest

h5py = pytest.importorskip("h5py")
np = pytest.importorskip("numpy")
Image = pytest.importorskip("PIL.Image")

ROOT = Path(__file__).resolve().parents[2]
DRIVER = (
    ROOT / os.environ.get("SEVIRD_BUILD", "build-asan") / "tests" / "tools" / "data_driver"
).resolve()
REAL = ROOT.parent / "shared" / "data" / "sevir_vil_real_2x128x128x25.h5"
QS = [1, 10, 25, 50, 75, 90, 99]
THRESHOLDS = [16, 74, 133, 160, 181, 219]


def drive(*args, data=b""):
    done = subprocess.run([DRIVER, *map(str, args)], input=data, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


# Planes and statistics


def stats_of(array, scale=1.0, missing=None, areas=False):
    """`array` is (pixels, frames); a dictionary a frame."""
    pixels, frames = array.shape
    out = drive(
        "stats", array.dtype.name, pixels, frames, repr(scale), "-" if missing is None else missing,
        int(areas), data=np.ascontiguousarray(array).tobytes(),
    )
    rows = [[float(x) for x in line.split()] for line in out.decode().splitlines()]
    assert len(rows) == frames
    return [
        {"valid": int(r[0]), "exact": r[1:3] + r[5:12], "mean": r[3], "std": r[4], "area": r[12:]}
        for r in rows
    ]


def numpy_stats(codes, scale, missing):
    keep = ~np.isnan(codes) if codes.dtype.kind == "f" else np.ones(codes.shape, bool)
    if missing is not None:
        keep &= codes.astype("f8") != missing
    codes = codes[keep].astype("f8")
    values = codes * scale
    return codes, values


def same(a, b):
    return a == b or (np.isnan(a) and np.isnan(b))


def check_stats(array, scale=1.0, missing=None, areas=False):
    for frame, ours in enumerate(stats_of(array, scale, missing, areas)):
        codes, values = numpy_stats(array[:, frame], scale, missing)
        assert ours["valid"] == values.size
        if values.size == 0:
            assert all(np.isnan(x) for x in ours["exact"] + ours["area"] + [ours["mean"], ours["std"]])
            continue
        with np.errstate(all="ignore"):
            exact = [values.min(), values.max(), *np.percentile(values, QS)]
            mean, std = values.mean(), values.std()
        for name, a, b in zip(["min", "max", *QS], ours["exact"], exact):
            assert same(a, b), f"frame {frame} {name}: {a!r}, numpy {b!r}"
        # Where a mean is next to nothing beside its values, numpy's own is rounding noise.
        spread = np.abs(values[np.isfinite(values)]).max(initial=0.0)
        for name, a, b in (("mean", ours["mean"], mean), ("std", ours["std"], std)):
            assert same(a, b) or abs(a - b) <= 1e-9 * max(abs(b), 1e-6 * spread), (
                f"frame {frame} {name}: {a!r}, numpy {b!r}"
            )
        for threshold, a in zip(THRESHOLDS, ours["area"]):
            assert same(a, np.mean(codes >= threshold)) if areas else np.isnan(a)


def some_codes(dtype, shape, rng):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return (rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4)).astype(dtype)
    info = np.iinfo(dtype)
    if dtype.itemsize <= 2 and rng.integers(2):
        smooth = np.cumsum(rng.integers(-3, 4, shape), axis=0)
        return np.clip(smooth, info.min, info.max).astype(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_planes_are_the_transposed_pixels(dtype):
    rng = np.random.default_rng(1)
    for pixels, frames in [(1, 1), (1, 49), (64, 1), (5, 3), (64, 49), (1000, 25), (36864, 49), (4097, 17)]:
        array = some_codes(dtype, (pixels, frames), rng)
        out = drive("planes", dtype, pixels, frames, data=array.tobytes())
        assert out == np.ascontiguousarray(array.T).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 100, 101, 4099])
def test_statistics_are_numpys(dtype, pixels):
    rng = np.random.default_rng(pixels)
    for scale in (1.0, 1e-2, 1e-4):
        check_stats(some_codes(dtype, (pixels, 5), rng), scale)


def test_statistics_of_a_full_size_frame_are_numpys():
    rng = np.random.default_rng(7)
    check_stats(rng.integers(0, 256, (384 * 384, 3)).astype("u1"), missing=255, areas=True)
    check_stats((rng.standard_normal((768 * 768, 2)) * 3000).astype("i2"), scale=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("where", ["everywhere", "nowhere", "only there", "here and there"])
def test_missing_codes_are_left_out_as_a_mask_would(dtype, where):
    rng = np.random.default_rng(3)
    missing = 100
    array = some_codes(dtype, (500, 4), rng)
    if where == "everywhere":
        array[:] = missing
    elif where == "nowhere":
        array[array == missing] = 99
    elif where == "only there":
        array[:, 1] = missing
    else:
        array[rng.random(array.shape) < 0.4] = missing
    check_stats(array, missing=missing, areas=True)


def test_nan_is_missing_and_infinities_are_as_in_numpy():
    rng = np.random.default_rng(4)
    for dtype, bad in itertools.product(["float32", "float64"], [np.nan, np.inf, -np.inf]):
        array = rng.standard_normal((400, 6)).astype(dtype)
        array[rng.random(array.shape) < 0.3] = bad
        array[:, 1] = bad
        array[7, 2] = np.nan
        check_stats(array)
        check_stats(array[:1])
        array[rng.random(array.shape) < 0.1] = -np.inf
        check_stats(array, scale=1e-2)


def test_values_whose_mean_cancels_keep_their_spread():
    base = np.array([1e6, -1e6] * 5000 + [1e-3]).reshape(-1, 1)
    check_stats(base)
    check_stats((base + 1e9).astype("f8"))


@pytest.mark.skipif(not REAL.exists(), reason="the real radar frames are not at hand")
def test_real_radar_frames_have_numpys_statistics():
    with h5py.File(REAL) as file:
        for event in file["vil"][:]:
            check_stats(event.reshape(-1, event.shape[-1]), missing=255, areas=True)


# Pictures


@pytest.mark.parametrize("colors", [1, 2, 3, 4, 5, 11, 16, 17, 118, 256])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (384, 384), (193, 767)])
@pytest.mark.parametrize("flip", [0, 1])
def test_pictures_have_the_pixels_and_the_palette_that_went_in(colors, shape, flip):
    rng = np.random.default_rng(colors)
    palette = rng.integers(0, 256, (colors, 3)).astype("u1")
    smooth = np.cumsum(rng.integers(-1, 2, shape), axis=1)
    index = (np.abs(smooth) % colors).astype("u1")
    png = drive("png", shape[1], shape[0], colors, flip, data=palette.tobytes() + index.tobytes())
    image = Image.open(io.BytesIO(png))
    image.load()
    assert image.mode == "P" and image.size == (shape[1], shape[0])
    expected = palette[index[::-1] if flip else index]
    assert np.array_equal(np.asarray(image.convert("RGB")), expected)


# Rows of files that libhdf5 wrote


def text(value):
    raw = value.encode()
    return struct.pack("<H", len(raw)) + raw


def encoded_dataset(name, dataset):
    """A dataset as lib/data/layout_encode.c describes it."""
    dtype, plist = dataset.dtype, dataset.id.get_create_plist()
    kind = {"i": 0, "u": 0, "f": 1, "S": 2}[dtype.kind]
    big = dtype.byteorder == ">"
    out = text(name) + struct.pack(
        "<BIB", kind, dtype.itemsize, (dtype.kind == "i") | big << 1 | 1 << 2
    )
    out += text(dtype.name) + struct.pack(f"<B{dataset.ndim}Q", dataset.ndim, *dataset.shape)
    fill = np.array(dataset.fillvalue, dtype).tobytes()[:8].ljust(8, b"\0")
    offset = dataset.id.get_offset()
    out += struct.pack(
        "<BQQ", 2 if dataset.chunks else 1, 2**64 - 1 if offset is None else offset,
        dataset.id.get_storage_size(),
    )
    out += fill + struct.pack("<I", 0)
    if dataset.chunks is None:
        return out
    out += struct.pack(f"<{dataset.ndim}Q", *dataset.chunks) + struct.pack("<B", plist.get_nfilters())
    for i in range(plist.get_nfilters()):
        code, _, _, words = plist.get_filter(i)
        out += struct.pack("<i", code) + text(words.decode()[:31])
    return out + encoded_chunks(dataset)


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def encoded_chunks(dataset):
    stored = {}
    for i in range(dataset.id.get_num_chunks()):
        info = dataset.id.get_chunk_info(i)
        stored[tuple(o // c for o, c in zip(info.chunk_offset, dataset.chunks))] = info
    grid = [-(-n // c) for n, c in zip(dataset.shape, dataset.chunks)]
    out, expected = struct.pack("<Q", int(np.prod(grid))), 0
    for place in itertools.product(*map(range, grid)):
        info = stored.get(place)
        if info is None:
            out += varint(1)
            continue
        distance = info.byte_offset - expected
        out += varint(info.size << 1) + varint(distance << 1 if distance >= 0 else (-distance << 1) - 1)
        out += varint(info.filter_mask)
        expected = info.byte_offset + info.size
    return out


def rows_of(path, name, first, count, gap, mode="rows"):
    with h5py.File(path) as file:
        layout = b"SVLY" + struct.pack("<HQII", 1, path.stat().st_size, 0, 0) + struct.pack("<I", 1)
        layout += encoded_dataset(name, file[name])
    layout_path = path.with_suffix(".layout")
    layout_path.write_bytes(layout)
    return drive(mode, layout_path, path, name, first, count, gap)


def check_rows(path, name="vil"):
    with h5py.File(path) as file:
        array = file[name][:]
    native = array.astype(array.dtype.newbyteorder("="))
    rng = np.random.default_rng(len(native))
    picks = [(0, len(native)), (len(native), 0), (0, min(1, len(native)))]
    for _ in range(2):
        first = int(rng.integers(0, len(native) + 1))
        picks.append((first, int(rng.integers(0, len(native) - first + 1))))
    for first, count in picks:
        gap = int(rng.integers(0, 5000))
        rows = native[first : first + count]
        assert rows_of(path, name, first, count, gap) == rows.tobytes()
        if rows.ndim == 4:
            frames = np.ascontiguousarray(np.moveaxis(rows, 3, 1)).tobytes()
            assert rows_of(path, name, first, count, gap, "frames") == frames


FILTERS = [
    {},
    {"compression": "gzip"},
    {"compression": "gzip", "shuffle": True},
    {"shuffle": True},
    {"fletcher32": True},
    {"compression": "gzip", "shuffle": True, "fletcher32": True},
]


@pytest.mark.parametrize("filters", FILTERS, ids=lambda f: "-".join(f) or "none")
@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", ">f4", "<f8"])
@pytest.mark.parametrize("chunks", [(1, 20, 30, 7), (1, 20, 30, 1), (3, 11, 13, 5), (2, 20, 30, 7), (16, 32, 32, 16), True])
def test_rows_of_chunked_files_are_what_libhdf5_reads(tmp_path, filters, dtype, chunks):
    rng = np.random.default_rng(11)
    array = rng.integers(0, 100, (10, 20, 30, 7)).astype(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset(
            "vil", array.shape, dtype, chunks=chunks, maxshape=(None,) * 4, fillvalue=42, **filters
        )
        made[:6] = array[:6]
        made[8:9, 5:] = array[8:9, 5:]
    check_rows(tmp_path / "a.h5")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 359, 360, 361, 719, 720, 721, 4001])
def test_checksums_are_libhdf5s_at_odd_sizes_too(tmp_path, size):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = np.random.default_rng(size).integers(0, 256, (3, size)).astype("u1")
        file.create_dataset("vil", data=data, chunks=(1, size), fletcher32=True)
    check_rows(tmp_path / "a.h5")


def test_a_chunk_whose_filter_was_skipped_is_read_as_its_mask_says(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset("vil", (4, 50), "<i4", chunks=(1, 50), compression="gzip", shuffle=True)
        made[:] = np.arange(200).reshape(4, 50)
        made.id.write_direct_chunk((2, 0), np.arange(50, dtype="<i4").tobytes(), filter_mask=3)
    check_rows(tmp_path / "a.h5")


@pytest.mark.parametrize("dtype", ["u1", ">i2", "<f4"])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_rows_of_contiguous_files_are_what_libhdf5_reads(tmp_path, dtype, libver):
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
        file["vil"] = np.random.default_rng(5).integers(0, 100, (7, 9, 9, 5)).astype(dtype)
        file.create_dataset("never", (7, 3), dtype, fillvalue=9)
        file.create_dataset("empty", (0, 5), dtype, maxshape=(None, 5))
        file["id"] = np.array([b"S797364", b"R18060207557859"])
    check_rows(tmp_path / "a.h5")
    check_rows(tmp_path / "a.h5", "never")
    check_rows(tmp_path / "a.h5", "empty")
    check_rows(tmp_path / "a.h5", "id")


# ZIP archives


@pytest.mark.parametrize(
    "count, at", [(0, 0), (3, 0), (65534, 0), (65535, 0), (70000, 0), (3, 5 << 30), (2, (1 << 32) - 33)]
)
def test_an_archive_of_any_size_is_read_by_python(tmp_path, count, at):
    """Behind a hole: places beyond 4 GiB, where ZIP64 begins."""
    path = tmp_path / "a.zip"
    with open(path, "wb") as f:
        f.seek(at)
        f.write(drive("zip", count, at))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [f"m{n}" for n in range(count)]
        for name in archive.namelist()[:: max(1, count // 20)]:
            assert archive.read(name) == name.encode()
