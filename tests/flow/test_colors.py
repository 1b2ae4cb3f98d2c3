"""The colours in PNGs, code by code: against the reference tables when they are at hand, and against
values known from SEVIR's own code always."""

import json

import h5py
import numpy as np
import pytest
from PIL import Image

from conftest import ROOT, ctl

REFERENCE = ROOT.parent / "shared" / "reference" / "colormaps.json"

SPOTS = {
    "vil": [(0, "4d4d4d"), (15, "4d4d4d"), (16, "4d4d4d"), (31, "28be28"), (59, "199619")]
    + [(74, "0a690a"), (100, "0a4b0a"), (132, "0a4b0a"), (133, "f5f500"), (160, "edac00")]
    + [(181, "f06e00"), (218, "f06e00"), (219, "a00000"), (254, "a00000"), (255, "000000")],
    "vis": [(-31, "000000"), (0, "000000"), (200, "0a0a0a"), (5000, "a0a0a0"), (9000, "fafafa")]
    + [(32767, "fafafa")],
    "ir069": [(-32768, "ff0000"), (-8000, "ff0000"), (-1000, "ffffff"), (9000, "ffffff")],
    "ir107": [(-7000, "000080"), (-32768, "000080"), (2000, "800000"), (32767, "800000")],
}


def rendered(tmp_path, img_type, codes):
    """The colours that `render --each` gives to codes, as rows of (r, g, b)."""
    codes = np.asarray(codes)
    path = tmp_path / f"{img_type}.h5"
    with h5py.File(path, "w") as f:
        f[img_type] = codes.reshape(1, 1, -1, 1)
        f["id"] = np.array(["S1"], dtype="S10")
    ctl("render", path, "--index", 0, "--each", "-o", tmp_path / "out", check=0)
    picture = Image.open(tmp_path / "out" / "f00.png")
    assert picture.mode == "P"
    return np.asarray(picture.convert("RGB"))[0]


def all_codes(img_type):
    return np.arange(256, dtype=np.uint8) if img_type == "vil" else np.arange(
        -32768, 32768, dtype=np.int16
    )


def rgb(text):
    return [int(text.lstrip("#")[i : i + 2], 16) for i in (0, 2, 4)]


@pytest.mark.parametrize("img_type", SPOTS)
def test_known_codes_have_known_colours(tmp_path, img_type):
    codes = [code for code, _ in SPOTS[img_type]]
    got = rendered(tmp_path, img_type, np.array(codes, dtype=all_codes(img_type).dtype))
    assert got.tolist() == [rgb(color) for _, color in SPOTS[img_type]]


def by_reference(table, codes, missing=None):
    """A colour map as matplotlib applies it, from its description alone."""
    values = codes.astype(np.float64)
    colors = np.array([rgb(c) for c in table["colors"]], dtype=np.uint8)
    if "levels_encoded" in table:
        place = np.searchsorted(table["levels_encoded"], values, side="right") - 1
        out = colors[np.clip(place, 0, len(colors) - 1)]
        out[place < 0] = rgb(table["under"])
        out[place >= len(colors)] = rgb(table["over"])
    else:
        share = (values - table["vmin"]) / (table["vmax"] - table["vmin"])
        out = colors[np.clip(np.floor(share * len(colors)), 0, len(colors) - 1).astype(int)]
    if missing is not None:
        out[codes == missing] = rgb(table.get("bad", "#000000"))
    return out


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference tables are not at hand")
@pytest.mark.parametrize("img_type", SPOTS)
def test_every_code_has_the_colour_of_the_reference(tmp_path, img_type):
    table = json.loads(REFERENCE.read_text())[img_type]
    codes = all_codes(img_type)
    want = by_reference(table, codes, 255 if img_type == "vil" else None)
    got = rendered(tmp_path, img_type, codes)
    wrong = np.flatnonzero((got != want).any(axis=1))
    assert wrong.size == 0, [(int(codes[i]), got[i], want[i]) for i in wrong[:5]]


@pytest.mark.parametrize("dtype", ["<f4", ">f8"])
def test_nan_is_black_and_other_floats_are_as_integers(tmp_path, dtype):
    codes = np.array([-7000, 0, 2000, np.nan], dtype=dtype)
    got = rendered(tmp_path, "ir107", codes)
    want = rendered(tmp_path, "ir107", codes[:3].astype(np.int16))
    assert got[:3].tolist() == want.tolist()
    assert got[3].tolist() == [0, 0, 0]


def test_vil_codes_beyond_the_missing_one_are_over(tmp_path):
    got = rendered(tmp_path, "vil", np.array([254, 255, 256, 40000], dtype=np.uint16))
    assert got.tolist() == [rgb("a00000"), rgb("000000"), rgb("e700ff"), rgb("e700ff")]
