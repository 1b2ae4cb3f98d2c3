"""inspect, subset and render against h5py, numpy and PIL."""

import csv
import json
import os
import stat

import h5py
import numpy as np
import pytest
from PIL import Image

from conftest import ROOT, ctl, tree
from sample import Sample, flashes, storm

REAL = ROOT.parent / "shared" / "data" / "sevir_vil_real_2x128x128x25.h5"
IDS = ["S100", "S200", "R19010101017684", "S300"]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A store in which every type is stored in another way; vis so that only libhdf5 can read it."""
    sample = Sample(tmp_path_factory.mktemp("raw"), size=40, frames=7)
    sample.add("vil", IDS)
    sample.add("ir069", IDS, chunks=(1, 20, 20, 7), compression="gzip", shuffle=True, fletcher32=True)
    sample.add("ir107", IDS, chunks=(2, 40, 40, 3))
    sample.add("vis", IDS, chunks=(1, 40, 40, 7), scaleoffset=0)
    sample.add("lght", IDS)
    sample.write_catalog()
    sample.path = {path.name.split("_")[1].lower(): path for path in sample.files}
    return sample


def one_line(done):
    assert done.stdout == ""
    assert done.stderr.startswith("sevirctl: ") and done.stderr.count("\n") == 1
    return done.stderr


# -- inspect ---------------------------------------------------------------------------------------


def test_inspect_tells_type_shape_and_storage_of_every_dataset(raw):
    document = json.loads(ctl("--json", "inspect", raw.path["ir069"], check=0).stdout)
    assert document["file_size"] == raw.path["ir069"].stat().st_size
    found = {d["name"]: d for d in document["datasets"]}
    assert sorted(found) == ["id", "ir069"]
    assert found["ir069"]["dtype"] == "int16"
    assert found["ir069"]["shape"] == [4, 40, 40, 7]
    assert found["ir069"]["description"] == "chunked 1x20x20x7 filters shuffle,deflate,fletcher32"
    assert found["id"]["dtype"] == "S15"
    table = ctl("inspect", raw.path["vil"], check=0).stdout
    with h5py.File(raw.path["vil"]) as f:
        assert f"contiguous at {f['vil'].id.get_offset()}" in table
    assert "4x40x40x7" in table and "uint8" in table


def test_inspect_shows_attributes(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.attrs["made by"] = "hand"
        f["x"] = np.arange(3)
        f["x"].attrs["scale"] = 0.5
    told = ctl("inspect", tmp_path / "a.h5", check=0).stdout
    assert "made by" in told and "hand" in told and "scale" in told and "0.5" in told


@pytest.mark.parametrize("keep", [0, 7, 100, 0.5])
def test_inspect_of_a_broken_file_is_one_line(raw, tmp_path, keep):
    whole = raw.path["vil"].read_bytes()
    path = tmp_path / "cut.h5"
    path.write_bytes(whole[: keep if keep >= 1 or keep == 0 else int(len(whole) * keep)])
    assert "cut.h5" in one_line(ctl("inspect", path, check=1))


def test_what_is_no_file_is_one_line(tmp_path):
    assert "No such file" in one_line(ctl("inspect", tmp_path / "none.h5", check=1))
    assert "is a folder" in one_line(ctl("inspect", tmp_path, check=1))
    one_line(ctl("inspect", check=2))


def test_a_link_and_a_file_uri_name_the_same_file(raw, tmp_path):
    link = tmp_path / "link.h5"
    link.symlink_to(raw.path["vil"])
    plain = ctl("--json", "inspect", raw.path["vil"], check=0).stdout
    assert ctl("--json", "inspect", link, check=0).stdout == plain
    assert ctl("--json", "inspect", f"file://{raw.path['vil']}", check=0).stdout == plain


# -- render ----------------------------------------------------------------------------------------


def palette_of(picture, codes):
    """{code: colour}; fails when one code has two colours."""
    found = {}
    for code, color in zip(codes.ravel().tolist(), picture.reshape(-1, 3).tolist()):
        assert found.setdefault(code, color) == color, code
    return found


@pytest.mark.parametrize("img_type", ["vil", "ir069", "ir107", "vis"])
def test_each_frame_is_the_plane_of_its_codes_north_up(raw, tmp_path, img_type):
    ctl("render", raw.path[img_type], "--id", "S200", "--each", "-o", tmp_path / "out", check=0)
    data = storm(img_type, 1, 40, 7)
    assert sorted(os.listdir(tmp_path / "out")) == [f"f{n:02}.png" for n in range(7)]
    colors = {}
    for frame in range(7):
        picture = Image.open(tmp_path / "out" / f"f{frame:02}.png")
        assert picture.mode == "P" and picture.size == (40, 40)
        pixels = np.asarray(picture.convert("RGB"))
        for code, color in palette_of(pixels, data[::-1, :, frame]).items():
            assert colors.setdefault(code, color) == color
    assert len({tuple(c) for c in colors.values()}) > 5


def test_index_and_id_name_the_same_event(raw, tmp_path):
    ctl("render", raw.path["vil"], "--index", 3, "--each", "-o", tmp_path / "a", check=0)
    ctl("render", raw.path["vil"], "--id", "S300", "--each", "-o", tmp_path / "b", check=0)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_frames_chooses_frames(raw, tmp_path):
    done = ctl(
        "--json", "render", raw.path["vil"], "--index", 0, "--frames", "1,5", "--each", "-o",
        tmp_path / "out", check=0,
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert document["frames"] == [1, 5] and document["id"] == "S100"
    assert document["files"] == [str(tmp_path / "out" / n) for n in ("f01.png", "f05.png")]
    assert sorted(os.listdir(tmp_path / "out")) == ["f01.png", "f05.png"]


@pytest.mark.parametrize("img_type", ["vil", "ir069", "ir107", "vis", "lght"])
def test_a_sheet_is_one_indexed_picture_the_same_every_time(raw, tmp_path, img_type):
    catalog = raw.root / "CATALOG.csv"
    for name in ("a.png", "b.png"):
        ctl("render", raw.path[img_type], "--id", "S200", "--catalog", catalog, "-o",
            tmp_path / name, check=0)  # fmt: skip
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    picture = Image.open(tmp_path / "a.png")
    assert picture.mode == "P" and picture.text["Title"].startswith("S200   " + img_type)
    assert picture.width > 300 and picture.height > 200
    assert not picture.size == (40, 40)


def test_a_sheet_without_its_catalog_row_says_so_and_is_made(raw, tmp_path):
    sample = Sample(tmp_path)
    other = sample.write_catalog("OTHER.csv", [dict(raw.rows[0], file_name="vil/x.h5")])
    done = ctl(
        "render", raw.path["vil"], "--index", 0, "--catalog", other, "-o", tmp_path / "a.png", check=0
    )
    assert "no row for this event" in done.stderr
    assert Image.open(tmp_path / "a.png").text["Title"].startswith("S100")


def test_the_title_says_what_is_known(raw, tmp_path):
    def title(*words):
        ctl("render", raw.path["vil"], *words, "-o", tmp_path / "a.png", check=0)
        return Image.open(tmp_path / "a.png").text["Title"]

    catalog = raw.root / "CATALOG.csv"
    assert title("--id", "S200", "--catalog", catalog) == "S200   vil   " + raw.rows[1]["event_type"]
    assert title("--id", "S200") == "S200   vil   storm event"
    assert title("--id", IDS[2]) == IDS[2] + "   vil   random event"


@pytest.mark.parametrize("img_type", ["vil", "ir069", "ir107", "vis", "lght"])
def test_an_animation_plays_the_frames_of_each(raw, tmp_path, img_type):
    ctl("render", raw.path[img_type], "--id", "S200", "--each", "-o", tmp_path / "out", check=0)
    ctl("render", raw.path[img_type], "--id", "S200", "--animate", "-o", tmp_path / "a.png", check=0)
    frames = sorted((tmp_path / "out").iterdir())
    with Image.open(tmp_path / "a.png") as film:
        assert film.is_animated and film.n_frames == len(frames)
        assert film.info["loop"] == 0 and film.info["Title"].startswith("S200")
        for number, path in enumerate(frames):
            film.seek(number)
            assert film.info["duration"] == 200
            np.testing.assert_array_equal(
                np.asarray(film.convert("RGB")), np.asarray(Image.open(path).convert("RGB"))
            )


def test_an_animation_takes_frames_delay_and_loops(raw, tmp_path):
    ctl("render", raw.path["vil"], "--index", 0, "--animate", "--frames", "5,1", "--delay", "1s",
        "--loop", 3, "-o", tmp_path / "a.png", check=0)  # fmt: skip
    ctl("render", raw.path["vil"], "--index", 0, "--each", "-o", tmp_path / "out", check=0)
    with Image.open(tmp_path / "a.png") as film:
        assert film.n_frames == 2 and film.info["loop"] == 3
        for number, name in enumerate(("f05.png", "f01.png")):
            film.seek(number)
            assert film.info["duration"] == 1000
            want = np.asarray(Image.open(tmp_path / "out" / name).convert("RGB"))
            np.testing.assert_array_equal(np.asarray(film.convert("RGB")), want)


def test_flashes_are_counted_on_their_grid(tmp_path):
    table = np.array(
        [
            [-7200.0, 36, -98, 3.2, 5.9],
            [-7200.0, 36, -98, 3.9, 5.0],
            [0.0, 36, -98, 47.5, 47.5],
            [1e6, 36, -98, 0, 0],
            [0.0, 36, -98, 48, 0],
            [0.0, 36, -98, -0.1, 0],
        ]
    )
    with h5py.File(tmp_path / "l.h5", "w") as f:
        f["S1"] = table
        f["S2"] = np.zeros((0, 5), dtype="f4")
    for name in ("S1", "S2"):
        ctl("render", tmp_path / "l.h5", "--id", name, "--each", "-o", tmp_path / name, check=0)
    lit = {}
    for frame in range(49):
        picture = np.asarray(Image.open(tmp_path / "S1" / f"f{frame:02}.png").convert("RGB"))
        assert picture.shape == (48, 48, 3)
        for row, column in zip(*np.nonzero((picture != [11, 0, 0]).any(axis=2))):
            lit[frame, 47 - int(row), int(column)] = picture[row, column].tolist()
    assert sorted(lit) == [(0, 5, 3), (24, 47, 47), (48, 0, 0)]
    assert lit[24, 47, 47] == lit[48, 0, 0] != lit[0, 5, 3]
    dark = np.asarray(Image.open(tmp_path / "S2" / "f48.png").convert("RGB"))
    assert (dark == [11, 0, 0]).all()


@pytest.mark.parametrize(
    "words, code",
    [
        (["--index", 0], 2),
        (["-o", "x.png"], 2),
        (["--index", 0, "--id", "S100", "-o", "x.png"], 2),
        (["--index", 0, "--each", "--animate", "-o", "x.png"], 2),
        (["--index", 0, "--delay", "1s", "-o", "x.png"], 2),
        (["--index", 0, "--animate", "--delay", "70s", "-o", "x.png"], 2),
        (["--index", 0, "--animate", "--loop", "-1", "-o", "x.png"], 2),
        (["--index", 0, "--animate", "-o", "."], 1),
        (["--index", "-1", "-o", "x.png"], 2),
        (["--index", 4, "-o", "x.png"], 1),
        (["--id", "S999", "-o", "x.png"], 1),
        (["--index", 0, "--frames", "7", "-o", "x.png"], 1),
        (["--index", 0, "--frames", "1,,2", "-o", "x.png"], 2),
        (["--index", 0, "--frames", "x", "-o", "x.png"], 2),
        (["--index", 0, "--frames", "", "-o", "x.png"], 2),
        (["--index", 0, "-o", "/nowhere/x.png"], 1),
        (["--index", 0, "-o", "."], 1),
        (["--index", 0, "--catalog", "/nowhere", "-o", "x.png"], 1),
    ],
)
def test_a_wrong_render_is_one_line(raw, tmp_path, words, code):
    one_line(ctl("render", raw.path["vil"], *words, check=code, cwd=tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_file_without_sevirs_datasets_has_no_pictures(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as f:
        f["temperature"] = np.zeros((2, 3))
    told = one_line(ctl("render", tmp_path / "x.h5", "--index", 0, "-o", tmp_path / "a.png", check=1))
    assert "holds no dataset" in told


def test_a_file_is_never_drawn_over(raw, tmp_path):
    before = raw.path["vil"].read_bytes()
    one_line(ctl("render", raw.path["vil"], "--index", 0, "-o", raw.path["vil"], check=1))
    assert raw.path["vil"].read_bytes() == before


@pytest.mark.skipif(not REAL.exists(), reason="the real radar file is not at hand")
@pytest.mark.parametrize("way", ["--index 0 -o", "--index 0 --animate -o"])
def test_a_pipe_is_not_replaced_by_a_picture(raw, tmp_path, way):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for out in (pipe, link):
        done = ctl("render", raw.path["vil"], *way.split(), out, check=1)
        assert "not a file" in done.stderr and done.stderr.count("\n") == 1
    assert stat.S_ISFIFO(pipe.stat().st_mode) and link.is_symlink()


def test_the_real_radar_frames_are_drawn_as_they_are(tmp_path):
    ctl("render", REAL, "--index", 1, "--each", "-o", tmp_path / "out", check=0)
    with h5py.File(REAL) as f:
        data = f["vil"][1]
    for frame in range(25):
        picture = np.asarray(Image.open(tmp_path / "out" / f"f{frame:02}.png").convert("RGB"))
        colors = palette_of(picture, data[::-1, :, frame])
        assert colors[0] == [0x4D] * 3


# -- subset ----------------------------------------------------------------------------------------


def catalog_of(folder):
    with open(folder / "CATALOG.csv", newline="") as f:
        return list(csv.DictReader(f))


def subset(raw, out, *words, source=None, check=0, json_out=False):
    return ctl(*(["--json"] if json_out else []), "subset", source or raw.root, "--catalog",
               raw.root / "CATALOG.csv", *words, "-o", out, check=check)  # fmt: skip


def test_a_subset_holds_the_selected_events_and_nothing_else(raw, tmp_path):
    subset(raw, tmp_path / "sub", "--id", "S300", "--id", "S200")
    rows = catalog_of(tmp_path / "sub")
    assert len(rows) == 10
    for row in rows:
        with h5py.File(tmp_path / "sub" / row["file_name"]) as f:
            number = IDS.index(row["id"])
            if row["img_type"] == "lght":
                assert sorted(f) == ["S200", "S300"]
                np.testing.assert_array_equal(f[row["id"]][:], flashes(number, 7 * number))
                continue
            index = int(row["file_index"])
            assert sorted(f) == ["id", row["img_type"]]
            assert f["id"][:].tolist() == [b"S200", b"S300"] and f["id"].dtype == "S15"
            assert f["id"][index].decode() == row["id"]
            data = f[row["img_type"]]
            assert data.chunks is None and data.compression is None and not data.attrs
            want = storm(row["img_type"], number, 40, 7)
            assert data.dtype == want.dtype
            np.testing.assert_array_equal(data[index], want)


def test_a_subset_has_the_layout_of_sevirs_own_files(raw, tmp_path):
    subset(raw, tmp_path / "sub", "--type", "vil")
    path = next((tmp_path / "sub").rglob("*.h5"))
    with h5py.File(path) as f:
        assert f["vil"].id.get_offset() == 2048
        assert f["id"].id.get_offset() > 2048
    assert path.read_bytes()[8] == 0  # superblock version


def test_a_subset_is_the_same_every_time(raw, tmp_path):
    for name in ("a", "b"):
        subset(raw, tmp_path / name, "--events", "storm")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_a_subset_of_a_subset_needs_only_its_own_catalog(raw, tmp_path):
    subset(raw, tmp_path / "a", "--id", "S300", "--id", "S200")
    ctl("subset", tmp_path / "a", "--catalog", tmp_path / "a" / "CATALOG.csv", "--id", "S300",
        "-o", tmp_path / "b", check=0)  # fmt: skip
    rows = {row["img_type"]: row for row in catalog_of(tmp_path / "b")}
    assert len(rows) == 5
    with h5py.File(tmp_path / "b" / rows["lght"]["file_name"]) as f:
        assert len(f) == 1 and f["S300"].shape == (21, 5)


def test_a_subset_of_one_file_takes_the_rows_of_that_file(raw, tmp_path):
    done = subset(raw, tmp_path / "sub", source=raw.path["vis"], json_out=True)
    document = json.loads(done.stdout)
    assert [f["events"] for f in document["files"]] == [4] and document["missing"] == []
    assert {row["img_type"] for row in catalog_of(tmp_path / "sub")} == {"vis"}


def test_the_limit_counts_rows_of_the_catalog(raw, tmp_path):
    subset(raw, tmp_path / "sub", "--type", "vil", "--limit", 2)
    assert [row["id"] for row in catalog_of(tmp_path / "sub")] == IDS[:2]


def test_a_missing_file_is_told_and_the_others_are_made(raw, tmp_path):
    sample = Sample(tmp_path / "half", size=40, frames=7)
    sample.add("vil", IDS)
    done = subset(raw, tmp_path / "sub", "--id", "S100", source=sample.root, check=1)
    assert "4 of 5 files are missing" in done.stderr
    assert [row["img_type"] for row in catalog_of(tmp_path / "sub")] == ["vil"]


def test_a_catalog_of_other_files_is_noticed(raw, tmp_path):
    rows = [dict(row, file_index=(row["file_index"] + 1) % 4) for row in raw.rows[:4]]
    catalog = Sample(tmp_path).write_catalog("C.csv", rows)
    told = one_line(
        ctl("subset", raw.root, "--catalog", catalog, "-o", tmp_path / "sub", check=1)
    )
    assert "is it the catalog of this file?" in told
    assert not list((tmp_path / "sub").rglob("*.h5")) and not list((tmp_path / "sub").rglob("*.part"))


def test_what_is_read_is_never_written_over(raw, tmp_path):
    subset(raw, tmp_path / "a", "--type", "vil")
    before = tree(tmp_path / "a")
    one_line(ctl("subset", tmp_path / "a", "--catalog", raw.root / "CATALOG.csv", "--type", "vil",
                 "-o", tmp_path / "a", check=1))  # fmt: skip
    one_line(ctl("subset", raw.root, "--catalog", tmp_path / "a" / "CATALOG.csv",
                 "-o", tmp_path / "a", check=1))  # fmt: skip
    assert tree(tmp_path / "a") == before


def test_nothing_that_matches_is_an_error(raw, tmp_path):
    told = one_line(subset(raw, tmp_path / "sub", "--year", "1999", check=1))
    assert "no row of the catalog matches" in told
    one_line(ctl("subset", raw.root, "-o", tmp_path / "sub", check=2))
    one_line(ctl("subset", raw.root, "--catalog", raw.root / "CATALOG.csv", check=2))


def test_only_the_bytes_of_the_event_are_read_of_a_file_too_large_to_read(tmp_path):
    """14 GB, all but two events a hole."""
    sample = Sample(tmp_path / "raw", size=8, frames=3)
    path = sample.add("vil", ["S1"])
    count = 2000
    ids = [f"S{n}" for n in range(count)]
    with h5py.File(path, "w") as f:
        data = f.create_dataset("vil", (count, 384, 384, 49), dtype="u1")
        data[0, 0, 0] = 7
        data[count - 1] = np.arange(384 * 384 * 49, dtype=np.uint64).reshape(384, 384, 49) % 250
        f["id"] = np.array(ids, dtype="S10")
    rows = [dict(sample.rows[0], id=name, file_index=n) for n, name in enumerate(ids)]
    catalog = sample.write_catalog(rows=rows)
    ctl("subset", sample.root, "--catalog", catalog, "--id", ids[-1], "-o", tmp_path / "sub",
        check=0, timeout=60)  # fmt: skip
    made = next((tmp_path / "sub").rglob("*.h5"))
    assert made.stat().st_size < 8_000_000
    with h5py.File(made) as f:
        assert f["vil"].shape == (1, 384, 384, 49)
        assert int(f["vil"][0, 383, 383, 48]) == (384 * 384 * 49 - 1) % 250
