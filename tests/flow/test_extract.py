"""What comes out equals what h5py, numpy and PIL make of the same file."""

import csv
import hashlib
import io
import json
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from conftest import ROOT, tree
from sample import SCALE, storm

PERCENTILES = (1, 10, 25, 50, 75, 90, 99)
THRESHOLDS = (16, 74, 133, 160, 181, 219)
VIL_LEVELS = (16, 31, 59, 74, 100, 133, 160, 181, 219, 255)
VIL_COLORS = "4d4d4d 28be28 199619 0a690a 0a4b0a f5f500 edac00 f06e00 a00000".split()
# 0.14 as a code is a little more than 1400, which display.py keeps below the level.
VIS_LEVELS = [0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.2, 0.24, 0.28, 0.32, 0.36, 0.4]
VIS_LEVELS += [0.44, 0.48, 0.52, 0.56, 0.6, 0.64, 0.68, 0.72, 0.76, 0.8, 0.9, 1.0]
VIS_LEVELS = [level * 1e4 for level in VIS_LEVELS]
SHARED = ROOT.parent / "shared"


def rgb(text):
    return tuple(int(text[i : i + 2], 16) for i in (0, 2, 4))


def color_image(img_type, codes):
    """(H, W) codes to (H, W, 3), row 0 still south; None where no independent table is at hand."""
    flat = np.asarray(codes, dtype=np.float64).ravel()
    if img_type == "vil":
        table = [rgb("4d4d4d")] + [rgb(c) for c in VIL_COLORS] + [rgb("e700ff")]
        index = np.searchsorted(VIL_LEVELS, flat, side="right")
        out = np.array(table, dtype=np.uint8)[index]
        out[flat == 255] = rgb("000000")
    elif img_type == "vis":
        greys = [(10 * i,) * 3 for i in range(26)]
        table = [rgb("000000")] + greys + [rgb("fafafa")]
        out = np.array(table, dtype=np.uint8)[np.searchsorted(VIS_LEVELS, flat, side="right")]
    else:
        path = SHARED / "reference" / "colormaps.json"
        if not path.exists():
            return None
        known = json.loads(path.read_text())[img_type]
        low, high, colors = known["vmin"], known["vmax"], known["colors"]
        place = np.floor((flat - low) / (high - low) * len(colors))
        index = np.clip(np.nan_to_num(place), 0, len(colors) - 1).astype(int)
        out = np.array([rgb(c.lstrip("#")) for c in colors], dtype=np.uint8)[index]
    out[np.isnan(flat)] = rgb("000000")
    return out.reshape(*codes.shape, 3)


def read_csv(path):
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


def number(text):
    return None if text == "" else float(text)


def check_statistics(row, img_type, codes):
    codes = np.asarray(codes, dtype=np.float64)
    missing = np.isnan(codes) | ((codes == 255) if img_type == "vil" else False)
    kept = codes[~missing]
    values = kept * SCALE[img_type] if img_type != "vil" else kept
    assert float(row["valid"]) == kept.size / codes.size
    if kept.size == 0:
        assert all(row[name] == "" for name in ("min", "max", "mean", "std", "p01", "p99", "a16"))
        return
    assert float(row["min"]) == values.min() and float(row["max"]) == values.max()
    assert float(row["mean"]) == pytest.approx(values.mean(), rel=1e-9, abs=1e-12)
    assert float(row["std"]) == pytest.approx(values.std(), rel=1e-9, abs=1e-9)
    for p in PERCENTILES:
        assert float(row[f"p{p:02d}"]) == np.percentile(values, p), p
    for t in THRESHOLDS:
        want = float((kept >= t).sum() / kept.size) if img_type == "vil" else None
        assert number(row[f"a{t}"]) == want


def check_event(processed, rows, catalog_row, data):
    """`data` is (H, W, T); `rows` the event's lines of frames, in order."""
    img_type = catalog_row["img_type"]
    height, width, frames = data.shape
    assert [int(r["frame"]) for r in rows] == list(range(frames))
    offsets = [int(o) for o in str(catalog_row["minute_offsets"]).split(":")]
    start = datetime.fromisoformat(catalog_row["time_utc"])
    for frame, row in enumerate(rows):
        assert (int(row["size_y"]), int(row["size_x"])) == (height, width)
        assert int(row["file_index"]) == int(catalog_row["file_index"])
        assert row["file_name"] == catalog_row["file_name"]
        if frame < len(offsets):
            assert int(row["minute_offset"]) == offsets[frame]
            assert row["time_utc"] == str(start + timedelta(minutes=offsets[frame]))
        check_statistics(row, img_type, data[:, :, frame])
        want = color_image(img_type, data[:, :, frame])
        picture = Image.open(processed / row["image"])
        assert picture.mode == "P" and picture.size == (width, height)
        if want is not None:
            assert np.array_equal(np.asarray(picture.convert("RGB")), want[::-1])


def frames_of(processed, img_type):
    rows = {}
    for path in sorted(processed.glob(f"frames/img_type={img_type}/*/*/*.csv")):
        for row in read_csv(path):
            rows.setdefault((row["id"], int(row["file_index"])), []).append(row)
    return rows


def check_file(daemon, img_type, path):
    found = frames_of(daemon.processed, img_type)
    with h5py.File(path) as f:
        data = f[img_type][...]
    ours = [r for r in daemon.sample.rows if path.as_posix().endswith(r["file_name"])]
    assert ours
    for row in ours:
        event = found.pop((row["id"], row["file_index"]))
        check_event(daemon.processed, event, row, data[row["file_index"]])
    assert not found


def check_manifests(daemon):
    """Every manifest is right about every output, and every output is in one manifest."""
    listed = {}
    for path in (daemon.processed / "_manifests").rglob("*.json"):
        manifest = json.loads(path.read_text())
        for output in manifest["outputs"]:
            assert output["key"] not in listed
            listed[output["key"]] = output
    there = {k: v for k, v in tree(daemon.processed).items() if not k.startswith("_manifests/")}
    assert set(there) == set(listed)
    for key, content in there.items():
        assert len(content) == listed[key]["bytes"]
        assert hashlib.sha256(content).hexdigest() == listed[key]["sha256"]
    return listed


LAYOUTS = {
    "contiguous": {},
    "chunk_an_event_gzip": dict(chunks=(1, 48, 48, 13), compression="gzip"),
    "chunks_across_events_shuffle_gzip_fletcher": dict(
        chunks=(2, 20, 17, 5), compression="gzip", shuffle=True, fletcher32=True
    ),
    "chunk_a_frame": dict(chunks=(1, 48, 48, 1), compression="gzip", compression_opts=1),
    "scaleoffset_through_the_helper": dict(chunks=(2, 48, 48, 13), scaleoffset=0),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("img_type", ["vil", "ir069", "ir107", "vis"])
def test_frames_and_pictures_equal_numpy_and_pil(daemon, img_type, layout):
    path = daemon.sample.add(img_type, ["S100", "S101", "R102", "S103", "S104"], **LAYOUTS[layout])
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    check_file(daemon, img_type, path)
    check_manifests(daemon)


def test_a_chunk_that_events_share_is_fetched_once_even_where_memory_is_short(daemon):
    """Eight events take half of what one of two workers may have; with three copies, too much."""
    daemon.sample.size = 192
    path = daemon.sample.add(
        "vil", [f"S10{i}" for i in range(8)], chunks=(8, 48, 48, 7), compression="gzip"
    )
    daemon.sample.write_catalog()
    daemon.configure(extract={"memory": "16MiB", "workers": 2, "images": "none"}).start()
    daemon.wait_idle()
    metrics = daemon.metrics()
    with h5py.File(path) as file:
        stored = file["vil"].id.get_storage_size()
    assert metrics["sevird_fetch_needed_bytes_total"] == metrics["sevird_fetch_bytes_total"] == stored


def test_a_filter_that_libhdf5_lacks_is_named(daemon):
    path = daemon.sample.add("vil", ["S100"], chunks=(1, 48, 48, 13), compression="lzf")
    daemon.sample.write_catalog()
    daemon.start()
    job = daemon.wait_state(str(path.relative_to(daemon.raw)), "QUARANTINED")
    assert "lzf" in job["reason"] and "vil" in job["reason"]


@pytest.mark.parametrize(
    "dtype", ["u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "<u8", ">i8", "<f4", ">f4", "<f8", ">f8", "i1"]
)
def test_every_integer_and_float_type_and_byte_order(daemon, dtype):
    rng = np.random.default_rng(7)
    shape = (3, 21, 17, 7)
    info = None if "f" in dtype else np.iinfo(dtype)
    low, high = (-9000, 9000) if info is None else (max(info.min, -9000), min(info.max, 9000))
    data = rng.integers(low, high, size=shape).astype(dtype)
    if info is None:
        data[1, 3:9, :, 2] = np.nan
        data[2, :, :, 4] = np.nan
        data += rng.random(shape).astype(dtype)
    name = f"ir107/2019/SEVIR_IR107_{hashlib.md5(dtype.encode()).hexdigest()[:6]}.h5"
    path = daemon.raw / "data" / name
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as f:
        f.create_dataset("ir107", data=data, chunks=(2, 11, 17, 3), compression="gzip", shuffle=True)
    daemon.sample.frames, daemon.sample.size = 7, 21
    for index in range(3):
        daemon.sample.rows.append(
            daemon.sample.row("ir107", f"S20{index}", name, index, "2019-03-31 23:50:00")
        )
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    check_file(daemon, "ir107", path)


def write_odd(path, file_type, data, **options):
    """A dataset of a type that numpy has no name for."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if "nbit" in options:
        properties.set_chunk((1, 5, 7, 3))
        properties.set_filter(h5py.h5z.FILTER_NBIT)
    with h5py.File(path, "w") as f:
        space = h5py.h5s.create_simple(data.shape)
        made = h5py.h5d.create(f.id, b"ir069", file_type, space, properties)
        h5py.Dataset(made)[...] = data


def test_numbers_of_odd_precision_are_read_through_the_helper(daemon):
    """Nine bits of sixteen, packed or not, and twelve signed ones; libhdf5 alone knows how."""
    shape = (2, 12, 17, 5)
    rng = np.random.default_rng(3)
    nine, twelve = h5py.h5t.STD_U16LE.copy(), h5py.h5t.STD_I16BE.copy()
    nine.set_precision(9)
    nine.set_offset(3)
    twelve.set_precision(12)
    unsigned = rng.integers(0, 512, shape).astype("u2")
    signed = rng.integers(-2048, 2048, shape).astype("i2")
    files = {}
    for name, args in (
        ("NINE", (nine, unsigned)), ("TWELVE", (twelve, signed)), ("PACKED", (nine, unsigned))
    ):
        path = daemon.raw / "data/ir069/2019" / f"SEVIR_IR069_{name}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_odd(path, *args, **({"nbit": True} if name == "PACKED" else {}))
        for index in range(2):
            row = daemon.sample.row("ir069", f"S{name}{index}", str(path.relative_to(daemon.raw / "data")),
                                    index, "2019-03-31 23:50:00")
            daemon.sample.rows.append(row)
        with h5py.File(path) as f:
            files[path] = f["ir069"][...]
        assert (files[path] == args[1]).all()
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    found = frames_of(daemon.processed, "ir069")
    for row in daemon.sample.rows:
        data = files[daemon.raw / "data" / row["file_name"]][row["file_index"]]
        check_event(daemon.processed, found.pop((row["id"], row["file_index"])), row, data)
    assert not found


def test_a_long_user_block_is_passed_over(daemon):
    path = daemon.sample.add("vil", ["S100"])
    with h5py.File(path) as f:
        data = f["vil"][...]
    with h5py.File(path, "w", userblock_size=1 << 17) as f:
        f["vil"] = data
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    check_file(daemon, "vil", path)


def test_events_without_a_dataset_are_not_passed_over(daemon):
    """The catalog lists them, so a file that has none of them is no file of another kind."""
    folder = daemon.raw / "data/vil/2019"
    folder.mkdir(parents=True)
    pixels = np.zeros((2, 8, 8, 3), np.uint8)
    with h5py.File(folder / "link.h5", "w") as f:
        f["elsewhere/pixels"] = pixels
        f["vil"] = h5py.SoftLink("/elsewhere/pixels")
    with h5py.File(folder / "flat.h5", "w") as f:
        f["vil"] = pixels[..., 0]
    with h5py.File(folder / "half.h5", "w") as f:
        f["vil"] = pixels
    with h5py.File(folder / "flashes.h5", "w") as f:
        f["S7"] = np.zeros((3, 5))  # shorter than ids are
    with h5py.File(folder / "other.h5", "w") as f:
        f["vil"] = pixels[..., 0]
    for name, img_type, event in (
        ("link", "vil", "S1"), ("flat", "vil", "S2"), ("half", "vil", "S3"), ("half", "ir069", "S4"),
        ("flashes", "lght", "S7"),
    ):
        row = daemon.sample.row(img_type, event, f"vil/2019/{name}.h5", 0, "2019-03-31 23:50:00")
        daemon.sample.rows.append(row)
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    jobs = {Path(job["key"]).stem: job for job in daemon.get("/v1/jobs")["jobs"]}
    for name in ("link", "flat"):
        assert jobs[name]["state"] == "QUARANTINED" and jobs[name]["class"] == "INVALID"
        assert "no dataset 'vil' of shape (N, H, W, T)" in jobs[name]["reason"]
    assert [jobs[name]["state"] for name in ("half", "flashes", "other")] == ["DONE"] * 3
    notes = json.loads((daemon.processed / "_manifests/data/vil/2019/half.h5.json").read_text())["notes"]
    assert any("1 event of type ir069" in note for note in notes)
    assert len(read_csv(daemon.processed / "flashes/year=2019/month=03/flashes.csv")) == 3


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (4, 1, 1, 3), (2, 5, 9, 1), (3, 2, 300, 2)])
def test_odd_shapes(daemon, shape):
    data = np.random.default_rng(1).integers(0, 256, size=shape).astype(np.uint8)
    data[0] = 255
    name = "vil/2019/SEVIR_VIL_ODD.h5"
    path = daemon.raw / "data" / name
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as f:
        f["vil"] = data
    daemon.sample.frames = shape[3]
    for index in range(shape[0]):
        daemon.sample.rows.append(
            daemon.sample.row("vil", f"S30{index}", name, index, "2019-12-31 23:59:00")
        )
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    check_file(daemon, "vil", path)


def test_an_id_that_occurs_twice_keeps_both(daemon):
    daemon.sample.add("vil", ["S1", "S2", "S1"])
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    folders = sorted(p.name for p in (daemon.processed / "images" / "img_type=vil").iterdir())
    assert folders == ["id=S1", "id=S1.2", "id=S2"]
    rows = frames_of(daemon.processed, "vil")
    assert rows[("S1", 2)][0]["image"].startswith("images/img_type=vil/id=S1.2/")


def test_events_that_span_months_give_one_csv_a_month(daemon):
    path = daemon.sample.add("vil", ["S1", "S2", "S3"])
    daemon.sample.rows[1]["time_utc"] = "2019-02-01 00:30:00"
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    months = sorted(str(p.relative_to(daemon.processed)) for p in daemon.processed.glob("frames/*/*/*/*"))
    assert months == [
        f"frames/img_type=vil/year=2019/month=01/{path.stem}.csv",
        f"frames/img_type=vil/year=2019/month=02/{path.stem}.csv",
    ]
    check_file(daemon, "vil", path)


def test_flashes_equal_h5py(daemon):
    path = daemon.sample.add("lght", ["S10", "S11", "R1806020755"], time="2019-06-04 19:54:07")
    daemon.sample.rows[0]["id"] = daemon.sample.rows[0]["id"]
    daemon.sample.write_catalog()
    with h5py.File(path, "a") as f:  # names as the real files have them
        for old in list(f):
            if len(old) < 5:
                f.move(old, old + "00000")
    for row in daemon.sample.rows:
        row["id"] += "00000" if len(row["id"]) < 5 else ""
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    found = read_csv(daemon.processed / f"flashes/year=2019/month=06/{path.stem}.csv")
    want = []
    start = datetime.fromisoformat("2019-06-04 19:54:07")
    with h5py.File(path) as f:
        for row in daemon.sample.rows:
            for t, lat, lon, x, y in f[row["id"]][...].tolist():
                time = start + timedelta(seconds=int(np.floor(t)))
                want.append((row["id"], str(time), t, lat, lon, x, y))
    got = [
        (r["id"], r["time_utc"], *(float(r[c]) for c in ("t", "lat", "lon", "x", "y"))) for r in found
    ]
    assert sorted(got) == sorted(want) and len(got) == 7 + 14
    assert daemon.query("SELECT count(*) FROM flashes") == [[21]]


def test_sql_sees_what_was_published(daemon):
    daemon.sample.add("vil", ["S1", "S2"])
    daemon.sample.add("ir069", ["S1", "S2"])
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    assert daemon.query("SELECT img_type, count(*) FROM frames GROUP BY 1 ORDER BY 1") == [
        ["ir069", 26],
        ["vil", 26],
    ]
    rows = frames_of(daemon.processed, "vil")[("S1", 0)]
    got = daemon.query("SELECT mean, p50, image FROM frames WHERE id='S1' AND img_type='vil' ORDER BY frame")
    assert got == [[float(r["mean"]), float(r["p50"]), r["image"]] for r in rows]
    assert daemon.query("SELECT count(*) FROM events") == [[4]]
    listed = check_manifests(daemon)
    assert daemon.query("SELECT count(*) FROM outputs") == [[len(listed)]]
    partitions = [p["values"] for p in daemon.get("/v1/tables/frames")["partitions"]]
    assert sorted(partitions) == [
        "img_type=ir069/year=2019/month=01",
        "img_type=vil/year=2019/month=01",
    ]


def test_the_real_radar_file(daemon):
    source = SHARED / "data" / "sevir_vil_real_2x128x128x25.h5"
    if not source.exists():
        pytest.skip("the real radar frames are not at hand")
    name = "vil/2019/sevir_vil_real_2x128x128x25.h5"
    path = daemon.raw / "data" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(source.read_bytes())
    daemon.sample.frames, daemon.sample.size = 25, 128
    for index in range(2):
        daemon.sample.rows.append(
            daemon.sample.row("vil", f"S85896{index}", name, index, "2019-05-12 18:30:00")
        )
    daemon.sample.write_catalog()
    (daemon.raw / "real").mkdir()
    real = SHARED / "data" / "CATALOG_2019H1_subset.csv"
    (daemon.raw / "real" / "CATALOG.csv").write_bytes(real.read_bytes())
    daemon.start()
    daemon.wait_idle()
    check_file(daemon, "vil", path)
    assert daemon.query("SELECT count(*) FROM events") == [[3102 + 2]]


@pytest.mark.parametrize("images, names", [("none", set()), ("sheet", {"sheet.png"})])
def test_images_as_configured(daemon, images, names):
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    daemon.configure(extract={"images": images})
    daemon.start()
    daemon.wait_idle()
    assert {p.name for p in daemon.processed.glob("images/*/*/*")} == names
    assert {r["image"] for rows in frames_of(daemon.processed, "vil").values() for r in rows} == {""}


def check_render_of_packed(daemon, packed, plain):
    key = "images/img_type=vil/id=S2/frames.zip"
    archive, out = daemon.processed / key, daemon.dir / "out"
    made = {Path(k).name: v for k, v in plain.items() if "img_type=vil/id=S2/" in k}
    daemon.ctl("render", archive, "--each", "-o", out / "each", check=0)
    daemon.ctl("render", archive, "-o", out / "sheet.png", check=0)
    daemon.ctl("render", f"{archive}#f03.png", "-o", out / "one.png", check=0)
    daemon.ctl("render", archive, "--animate", "--frames", "3,4", "-o", out / "film.png", check=0)
    assert (out / "sheet.png").read_bytes() == made.pop("sheet.png")
    assert (out / "one.png").read_bytes() == made["f03.png"]
    assert tree(out / "each") == made
    with Image.open(out / "film.png") as film:
        assert film.n_frames == 2
    for words, code in (
        ([archive, "--id", "S2"], 2),
        ([archive, "--frames", "1"], 2),
        ([f"{archive}#f77.png"], 1),
        ([archive, "--each", "--frames", "13"], 1),
    ):
        assert daemon.ctl("render", *words, "-o", out / "x.png", check=code).stderr.count("\n") == 1
    cut = out / "cut.zip"
    at = packed[key].index(b"f05.png") + 60
    for data in (packed[key][:-30], packed[key][:at] + b"\xee" + packed[key][at + 1 :], b""):
        cut.write_bytes(data)
        done = daemon.ctl("render", cut, "--each", "-o", out / "cut", check=1)
        assert "cut.zip" in done.stderr and done.stderr.count("\n") == 1


def test_packed_pictures_are_those_of_frames_in_one_archive(make_daemon):
    """Read by Python's zipfile; every row names its picture in there."""
    trees = {}
    for images in ("frames", "packed"):
        daemon = make_daemon(images)
        daemon.sample.add("vil", ["S1", "S2"])
        daemon.sample.add("ir069", ["S1", "S1"], chunks=(2, 48, 48, 13))
        daemon.sample.write_catalog()
        daemon.configure(extract={"images": images})
        daemon.start()
        daemon.wait_idle()
        trees[images] = tree(daemon.processed)
    plain = {key: data for key, data in trees["frames"].items() if key.startswith("images/")}
    packed = {key: data for key, data in trees["packed"].items() if key.startswith("images/")}
    assert sorted(packed) == sorted({key.rsplit("/", 1)[0] + "/frames.zip" for key in plain})
    unpacked = {}
    for key, data in packed.items():
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None and archive.namelist()[0] == "sheet.png"
            for member in archive.infolist():
                assert member.compress_type == zipfile.ZIP_STORED
                assert member.date_time == (1980, 1, 1, 0, 0, 0)
                unpacked[key.replace("frames.zip", member.filename)] = archive.read(member)
    assert unpacked == plain
    check_render_of_packed(daemon, packed, plain)

    def split(row):
        archive, name = row["image"].split("#")
        return archive in packed and archive.replace("frames.zip", name)

    rows = [r for rows in frames_of(daemon.processed, "vil").values() for r in rows]
    assert len(rows) == 26 and all(split(row) in plain for row in rows)
    manifest = json.loads(next(iter((daemon.processed / "_manifests").rglob("*VIL*.json"))).read_text())
    kinds = [output["kind"] for output in manifest["outputs"]]
    assert manifest["made_by"]["images"] == "packed" and kinds.count("packed") == 2
    assert not {"image", "sheet"} & set(kinds)
    listed = {o["key"]: o["sha256"] for o in manifest["outputs"]}
    for key in (key for key in packed if "img_type=vil" in key):
        assert listed[key] == hashlib.sha256(packed[key]).hexdigest()


def test_pictures_that_are_packed_later_take_the_place_of_the_others(daemon):
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    assert len(list(daemon.processed.glob("images/*/*/*"))) == 14
    daemon.stop()
    daemon.configure(extract={"images": "packed"})
    daemon.sample.add("vil", ["S1"])  # a new version
    daemon.start()
    daemon.wait_idle()
    assert [p.name for p in daemon.processed.glob("images/*/*/*")] == ["frames.zip"]


@pytest.mark.parametrize("img_type", ["vil", "ir069", "ir107", "vis"])
def test_render_draws_the_very_bytes_of_extraction(daemon, tmp_path, img_type):
    path = daemon.sample.add(img_type, ["S1", "S2"])
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    daemon.ctl("render", path, "--id", "S2", "--each", "-o", tmp_path / "out", check=0)
    made = tree(daemon.processed / "images" / f"img_type={img_type}" / "id=S2")
    del made["sheet.png"]
    assert len(made) == 13 and tree(tmp_path / "out") == made


def test_the_selection_decides(daemon):
    daemon.sample.add("vil", ["S1", "R20190110", "S2"])
    daemon.sample.add("ir069", ["S1"])
    daemon.sample.add("vil", ["S7"], time="2018-01-10 12:00:00")
    daemon.sample.write_catalog()
    daemon.configure(select={"years": [2019], "months": [1], "types": ["vil"], "events": "storm"})
    daemon.start()
    daemon.wait_idle()
    assert set(frames_of(daemon.processed, "vil")) == {("S1", 0), ("S2", 2)}
    assert not frames_of(daemon.processed, "ir069")
    assert daemon.get("/v1/status")["jobs"]["SKIPPED"] == 2


def test_the_limit_counts_over_the_whole_catalog(daemon):
    daemon.sample.add("vil", ["S1", "S2"])
    daemon.sample.add("vil", ["S3", "S4"], time="2019-02-10 12:00:00")
    daemon.sample.write_catalog()
    daemon.configure(select={"limit": 3})
    daemon.start()
    daemon.wait_idle()
    assert set(frames_of(daemon.processed, "vil")) == {("S1", 0), ("S2", 1), ("S3", 0)}


def test_a_second_run_over_the_same_input_writes_the_same_bytes(daemon, make_daemon):
    daemon.sample.add("vil", ["S1", "S2"])
    daemon.sample.add("vis", ["S1"])
    daemon.sample.write_catalog()
    other = make_daemon("other")
    other.configure(raw={"uri": daemon.raw.as_uri()}, extract={"workers": 1, "memory": "64MiB"})
    daemon.start()
    other.start()
    daemon.wait_idle()
    other.wait_idle()
    first, second = tree(daemon.processed), tree(other.processed)
    assert len(first) > 40
    assert first == second
