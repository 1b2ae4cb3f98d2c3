"""The jailed helper against h5py: what it says of files of every kind, of files that are broken, and of
files that were made to break it. h5_dump is its client with a store in memory.
"""

import json
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from conftest import BUILD

H5_DUMP = BUILD / "daemon" / "h5probe" / "h5_dump"
DEADLINE_MS = 20000

# What libhdf5 1.10 reads: h5py here may be newer and would by itself write what it cannot.
LIBVERS = {"sb0": ("earliest", "v110"), "sb2": ("v108", "v110"), "sb3": ("v110", "v110")}


def dump(*args, deadline=DEADLINE_MS, parallel=2):
    """One object a file, in the order of the files."""
    done = subprocess.run(
        [H5_DUMP, "--deadline", str(deadline), "--parallel", str(parallel), *map(str, args)],
        capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def layout_of(path):
    """The same from near and from far away."""
    answer, = dump(path)
    assert "error" not in answer, answer
    for far in 1, 2:
        other, = dump("--far", far, path)
        assert {**other, "asked": None} == {**answer, "asked": None}
    layout = answer["layout"]
    layout["by_name"] = {item["name"]: item | answer["more"][item["name"]] for item in layout["datasets"]}
    return layout


def error_of(path, **options):
    answer, = dump(path, **options)
    assert "error" in answer, answer
    return answer


def rows_of(path, dataset, first, count, dtype, tmp_path, how="--rows"):
    out = tmp_path / "rows.bin"
    answer, = dump(how, dataset, first, count, out, path)
    return np.frombuffer(out.read_bytes(), dtype) if "rows" in answer else answer


def dtype_text(dtype):
    """numpy's spelling as the layout has it."""
    if dtype.byteorder == ">":
        return dtype.str
    return dtype.str[1:] if dtype.kind in "SV" else dtype.name


def chunk_table(dataset):
    """Address, size and mask by cell of the grid, in C order, as libhdf5 lists them."""
    grid = [-(-size // step) for size, step in zip(dataset.shape, dataset.chunks)]
    table = [[-1, 0, 0] for _ in range(int(np.prod(grid)))]

    def note(info):
        cell = np.ravel_multi_index([o // c for o, c in zip(info.chunk_offset, dataset.chunks)], grid)
        table[cell] = [info.byte_offset, info.size, info.filter_mask]

    dataset.id.chunk_iter(note)
    return table


def expect_same(path):
    """The whole layout is what h5py says."""
    layout = layout_of(path)
    assert layout["file_size"] == os.path.getsize(path)
    with h5py.File(path) as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert sorted(layout["by_name"]) == sorted(names, key=str.encode)
        for name in names:
            dataset, item = file[name], layout["by_name"][name]

            assert item["shape"] == list(dataset.shape if dataset.shape is not None else (0,)), name
            if dataset.chunks is not None:
                table = chunk_table(dataset)
                assert item["storage"] == "chunked"
                assert item["chunks"] == table, name
                assert item["stored_bytes"] == sum(size for _, size, _ in table)
            elif item["storage"] == "contiguous":
                written = dataset.id.get_storage_size() > 0
                assert item.get("offset") == (dataset.id.get_offset() if written else None), name
    return layout


def noise(shape, dtype, seed=1):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(0, 100, shape).astype(dtype)


def write_everything(path, libver, userblock=0):
    """A file with one of each kind that h5py makes."""
    with h5py.File(path, "w", libver=LIBVERS[libver], userblock_size=userblock) as file:
        data = noise((7, 20, 18, 9), "u1")
        file["contiguous"] = data
        file.create_dataset("gzip", data=data, chunks=(1, 20, 18, 9), compression="gzip")
        file.create_dataset("gzip_shuffle", data=data.astype("<i2"), chunks=(2, 7, 18, 4),
                            compression="gzip", shuffle=True)
        file.create_dataset("checksum", data=data, chunks=(3, 10, 9, 9), fletcher32=True)
        file.create_dataset("lzf", data=data, chunks=(1, 20, 18, 9), compression="lzf")
        file.create_dataset("scaleoffset", data=data, chunks=(1, 20, 18, 9), scaleoffset=0)
        file.create_dataset("no_filter", data=data, chunks=(2, 20, 18, 9))
        file.create_dataset("one_chunk", data=data, chunks=data.shape)
        file.create_dataset("growing", data=data, chunks=(2, 20, 18, 9), maxshape=(None, 20, 18, 9))
        file.create_dataset("growing_both", data=data, chunks=(2, 6, 18, 9), compression="gzip",
                            maxshape=(None, None, 18, 9))
        sparse = file.create_dataset("sparse", (40, 10), "<i4", chunks=(4, 5), fillvalue=-7)
        sparse[8:12, 5:] = 3
        file.create_dataset("never_written", (5, 6), "<f4", fillvalue=1.5)
        file.create_dataset("never_chunked", (50, 6), "<f4", chunks=(5, 6))
        file.create_dataset("empty_rows", (0, 5), "<f8")
        file["scalar"] = np.float64(2.5)
        for kind in "<i1 <i2 <i4 <i8 <u1 <u2 <u4 <u8 <f2 <f4 <f8 >i2 >u4 >i8 >f2 >f4 >f8".split():
            file["types/" + kind.replace("<", "le_").replace(">", "be_")] = noise((3, 4), kind)
        file["types/strings"] = np.array([b"S728503", b"S797364"], "S10")
        file["types/bool"] = np.array([True, False])
        file["types/compound"] = np.zeros(3, [("a", "<i4"), ("b", "<f8")])
        file.create_dataset("types/text", data=["a", "bcd"], dtype=h5py.string_dtype())
        file.create_dataset("types/ragged", (2,), dtype=h5py.vlen_dtype(np.int32))
        file.create_dataset("types/reference", (2,), dtype=h5py.ref_dtype)
        file.create_dataset("types/void", data=np.zeros(2, "V5"))
        file["types/null"] = h5py.Empty("f4")
        file["a/b/c/deep"] = data[0]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((4, 5))
        compact = h5py.h5d.create(file.id, b"compact", h5py.h5t.STD_I16LE, space, plist)
        compact.write(h5py.h5s.ALL, h5py.h5s.ALL, noise((4, 5), "<i2"))


@pytest.mark.parametrize("userblock", [0, 1024])
@pytest.mark.parametrize("libver", LIBVERS)
def test_every_kind_of_dataset_is_where_h5py_finds_it(tmp_path, libver, userblock):
    path = tmp_path / "everything.h5"
    write_everything(path, libver, userblock)
    layout = expect_same(path)
    items = layout["by_name"]

    assert layout["skipped"] == 0
    assert items["gzip_shuffle"]["filters"] == ["shuffle", "deflate"]
    assert items["checksum"]["filters"] == ["fletcher32"]
    assert items["sparse"]["fill"] == [249, 255, 255, 255, 0, 0, 0, 0]
    assert "offset" not in items["never_written"]
    assert items["never_written"]["fill"] == list(struct.pack("<f", 1.5)) + [0] * 4
    assert items["compact"]["storage"] == "compact"
    assert items["types/null"]["shape"] == [0]
    direct = {name for name, item in items.items() if item["direct"]}
    assert {"contiguous", "gzip", "gzip_shuffle", "checksum", "no_filter", "sparse"} <= direct
    assert not direct & {"lzf", "scaleoffset", "compact", "types/text", "types/compound", "types/bool"}
    with h5py.File(path) as file:
        for name in ("le_i1 le_i2 le_i4 le_i8 le_u1 le_u2 le_u4 le_u8 le_f2 le_f4 le_f8 be_i2 be_u4 be_i8 "
                     "be_f2 be_f4 be_f8 strings bool compound text ragged reference void").split():
            name = "types/" + name
            assert items[name]["dtype"] == dtype_text(file[name].dtype), name
            numbers = file[name].dtype.kind in "iufS"
            assert items[name]["plain"] == numbers, name


@pytest.mark.parametrize("libver", LIBVERS)
def test_rows_are_the_arrays_that_h5py_reads(tmp_path, libver):
    path = tmp_path / "everything.h5"
    write_everything(path, libver)
    with h5py.File(path) as file:
        for name in ("contiguous gzip gzip_shuffle checksum scaleoffset no_filter one_chunk growing growing_both "
                     "sparse never_written never_chunked compact types/be_f8 types/be_i2 types/le_f2 types/be_f2 "
                     "types/strings").split():
            dataset = file[name]
            native = dataset.dtype.newbyteorder("=")
            first, count = 1, dataset.shape[0] - 1
            want = dataset[first:first + count].astype(native)
            for how in "--rows", "--libhdf5-rows":
                got = rows_of(path, name, first, count, native, tmp_path, how)
                assert isinstance(got, np.ndarray), (name, how, got)
                assert np.array_equal(got.reshape(want.shape), want), (name, how)


def test_rows_of_types_that_no_cpu_has_are_converted(tmp_path):
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w", libver=LIBVERS["sb0"]) as file:
        for name, base, bits in ("twelve", h5py.h5t.STD_I16LE, 12), ("five", h5py.h5t.STD_U8LE, 5):
            kind = base.copy()
            kind.set_precision(bits)
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_chunk((2, 10))
            plist.set_filter(5)  # nbit
            dataset = h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple((6, 10)), plist)
            dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(60, dtype="i2").reshape(6, 10) % 31)
    items = expect_same(path)["by_name"]
    assert not items["twelve"]["plain"] and not items["five"]["plain"]
    for name, dtype in ("twelve", "i2"), ("five", "u1"):
        rows = rows_of(path, name, 1, 4, dtype, tmp_path)
        assert np.array_equal(rows, np.arange(10, 50) % 31), rows


def test_a_missing_filter_is_named(tmp_path):
    path = tmp_path / "lzf.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("vil", data=noise((4, 50), "u1"), chunks=(1, 50), compression="lzf")
    answer = rows_of(path, "vil", 0, 4, "u1", tmp_path)
    assert answer["class"] == "UNSUPPORTED"
    assert "lzf" in answer["error"] and "32000" in answer["error"]


def test_attributes_are_shown_as_text_and_cut(tmp_path):
    path = tmp_path / "attributes.h5"
    with h5py.File(path, "w", libver=LIBVERS["sb0"]) as file:
        file.attrs["title"] = "Vertically Integrated Liquid — ÄÖ"
        file.attrs["fixed"] = np.bytes_(b"padded   ")
        file.attrs["version"] = np.int16(-3)
        file.attrs["big"] = np.uint64(2**64 - 1)
        dataset = file.create_dataset("vil", data=np.zeros(3, "u1"))
        dataset.attrs["scale"] = 0.1
        dataset.attrs["half"] = np.float16(1.5)
        dataset.attrs["levels"] = np.array([16, 31, 59], ">i4")
        dataset.attrs["names"] = ["a", "b"]
        dataset.attrs["long"] = "é" * 1000
        dataset.attrs["many"] = np.arange(500)
        dataset.attrs["nothing"] = h5py.Empty("f4")
        dataset.attrs["missing"] = np.nan
        dataset.attrs["record"] = np.zeros(2, [("a", "i4")])
    layout = layout_of(path)
    root = {item["name"]: item["value"] for item in layout["attributes"]}
    attrs = {item["name"]: item["value"] for item in layout["by_name"]["vil"]["attributes"]}

    assert root == {"title": "Vertically Integrated Liquid — ÄÖ", "fixed": "padded", "version": "-3",
                    "big": "18446744073709551615"}
    assert attrs["scale"] == "0.1" and attrs["half"] == "1.5" and attrs["missing"] == "nan"
    assert attrs["levels"] == "[16, 31, 59]" and attrs["names"] == "[a, b]"
    assert attrs["long"] == "é" * 128
    assert attrs["many"].startswith("[0, 1, 2, ") and len(attrs["many"]) <= 256
    assert attrs["nothing"] == "(empty)" and attrs["record"] == "(2 elements)"


def test_links_that_lead_elsewhere_are_counted_not_followed(tmp_path):
    path = tmp_path / "links.h5"
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.arange(3)
    with h5py.File(path, "w", libver=LIBVERS["sb0"]) as file:
        file["a/data"] = np.arange(5)
        file["hard"] = file["a/data"]
        file["soft"] = h5py.SoftLink("/a/data")
        file["dangling"] = h5py.SoftLink("/nowhere")
        file["external"] = h5py.ExternalLink("other.h5", "/secret")
        file["a/up"] = file["/"]
        file["a/self"] = file["a"]
    layout = layout_of(path)
    assert list(layout["by_name"]) == ["a/data", "hard"]
    assert layout["by_name"]["hard"]["offset"] == layout["by_name"]["a/data"]["offset"]
    assert layout["skipped"] == 5


def test_virtual_and_external_datasets_are_named_but_not_read(tmp_path):
    path = tmp_path / "virtual.h5"
    with h5py.File(tmp_path / "source.h5", "w") as source:
        source["x"] = np.arange(10)
    with h5py.File(path, "w", libver=LIBVERS["sb3"]) as file:
        layout = h5py.VirtualLayout((4, 10), "i8", maxshape=(None, 10))
        layout[0] = h5py.VirtualSource(str(tmp_path / "source.h5"), "x", (10,))
        layout[1] = h5py.VirtualSource("relative.h5", "x", (10,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("outside", (5,), "u1", external=[(str(tmp_path / "raw.bin"), 0, 5)])
        endless = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        target = h5py.h5s.create_simple((1, 10), (h5py.h5s.UNLIMITED, 10))
        target.select_hyperslab((0, 0), (h5py.h5s.UNLIMITED, 1), block=(1, 10))
        endless.set_virtual(target, b"source-%b.h5", b"x", h5py.h5s.create_simple((1, 10)))
        h5py.h5d.create(file.id, b"endless", h5py.h5t.STD_I64LE,
                        h5py.h5s.create_simple((1, 10), (h5py.h5s.UNLIMITED, 10)), endless)
    items = layout_of(path)["by_name"]
    assert [items[name]["storage"] for name in ("endless", "outside", "virtual")] == ["virtual"] * 3
    assert items["virtual"]["shape"] == [4, 10]
    for name in items:
        for how in "--rows", "--libhdf5-rows":
            answer = rows_of(path, name, 0, 1, "u1", tmp_path, how)
            assert answer["class"] == "UNSUPPORTED", answer


@pytest.mark.parametrize("libver", LIBVERS)
def test_a_table_of_thousands_of_chunks_is_exact(tmp_path, libver):
    path = tmp_path / "chunks.h5"
    with h5py.File(path, "w", libver=LIBVERS[libver]) as file:
        dataset = file.create_dataset("vil", (130, 12, 12, 49), "u1", chunks=(1, 12, 12, 1), compression="gzip",
                                      maxshape=(None, 12, 12, 49))
        dataset[:128] = noise((128, 12, 12, 49), "u1")
    item = expect_same(path)["by_name"]["vil"]
    assert len(item["chunks"]) == 6370


MAKE_EDGES = """
import ctypes, sys
library, path = sys.argv[1:]
h5 = ctypes.CDLL(library)
i64, ptr = ctypes.c_int64, ctypes.c_void_p
for name in "H5Pcreate H5Fcreate H5Screate_simple H5Dcreate2".split():
    getattr(h5, name).restype = i64
h5.H5open()
id_of = lambda name: i64(i64.in_dll(h5, name).value)
two = lambda a, b: (ctypes.c_uint64 * 2)(a, b)
access = i64(h5.H5Pcreate(id_of("H5P_CLS_FILE_ACCESS_ID_g")))
assert h5.H5Pset_libver_bounds(access, 2, 2) >= 0
file = i64(h5.H5Fcreate(path.encode(), 2, i64(0), access))
made = i64(h5.H5Pcreate(id_of("H5P_CLS_DATASET_CREATE_ID_g")))
assert h5.H5Pset_chunk(made, 2, two(2, 4)) >= 0 and h5.H5Pset_deflate(made, 6) >= 0
assert h5.H5Pset_chunk_opts(made, 2) >= 0  # H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS
space = i64(h5.H5Screate_simple(2, two(5, 7), None))
kind = id_of("H5T_STD_I32LE_g")
data = i64(h5.H5Dcreate2(file, b"x", kind, space, i64(0), made, i64(0)))
assert h5.H5Dwrite(data, kind, i64(0), i64(0), i64(0), (ctypes.c_int32 * 35)(*range(1000, 1035))) >= 0
assert h5.H5Dclose(data) >= 0 and h5.H5Fclose(file) >= 0
"""


def test_edge_chunks_that_are_exempt_from_filters_say_so(tmp_path):
    """h5py cannot make such a file, but the system's libhdf5 can."""
    libraries = sorted(Path("/usr/lib").glob("*/libhdf5*serial.so*"))
    if not libraries:
        pytest.skip("no libhdf5 to make such a file with")
    path = tmp_path / "edges.h5"
    subprocess.run([sys.executable, "-c", MAKE_EDGES, libraries[0], path], check=True)
    item = layout_of(path)["by_name"]["x"]
    assert [mask != 0 for _, _, mask in item["chunks"]] == [False, True, False, True, True, True]
    for how in "--rows", "--libhdf5-rows":
        assert np.array_equal(rows_of(path, "x", 0, 5, "<i4", tmp_path, how), np.arange(1000, 1035)), how


def test_eighty_thousand_chunks_take_seconds(tmp_path):
    path = tmp_path / "many.h5"
    with h5py.File(path, "w", libver=LIBVERS["sb0"]) as file:
        file.create_dataset("vil", data=noise((80000, 4), "u1"), chunks=(1, 4))
    item = expect_same(path)["by_name"]["vil"]
    assert len(item["chunks"]) == 80000


@pytest.mark.parametrize("libver", LIBVERS)
def test_the_few_chunks_of_a_sparse_dataset_are_found(tmp_path, libver):
    path = tmp_path / "sparse.h5"
    with h5py.File(path, "w", libver=LIBVERS[libver]) as file:
        dataset = file.create_dataset("vil", (500, 100), "u1", chunks=(1, 1), compression="gzip")
        dataset[5, 5] = dataset[90, 7] = dataset[499, 99] = 3
    chunks = expect_same(path)["by_name"]["vil"]["chunks"]
    assert len(chunks) == 50000 and sum(address >= 0 for address, _, _ in chunks) == 3


def test_ten_thousand_datasets_are_listed(tmp_path):
    path = tmp_path / "lght.h5"
    with h5py.File(path, "w", libver=LIBVERS["sb0"]) as file:
        for i in range(10000):
            file.create_dataset(f"R{i:05}", data=np.zeros((i % 3, 5)))
    assert len(expect_same(path)["by_name"]) == 10000


# Reads from far away


def asked_of(path, *how):
    answer, = dump(*how, path)
    assert "error" not in answer, answer
    return answer["asked"]


def spread(path, chunks, **options):
    """A file whose chunk index lies scattered among its data."""
    with h5py.File(path, "w", libver=LIBVERS["sb0"]) as file:
        file.create_dataset("vil", (chunks, 4096), "u1", chunks=(1, 4096), **options)
        for i in range(chunks):
            file["vil"][i] = noise(4096, "u1", i)
            if i % 8 == 7:
                file.flush()


def test_the_nodes_of_a_chunk_index_come_together(tmp_path):
    path = tmp_path / "spread.h5"
    spread(path, 3000)
    near, far = asked_of(path), asked_of(path, "--far", 1)
    assert near["trips"] == near["reads"] > 50
    assert far["trips"] < 8, (near, far)  # the head, a level of the tree each, and what is left over
    assert far["reads"] <= near["reads"] and far["bytes"] < near["bytes"] / 4, (near, far)
    known = asked_of(path, "--far", 2)
    assert known["bytes"] == far["bytes"] - 65536 and known["trips"] == far["trips"] - 1
    expect_same(path)


def test_the_names_of_a_group_come_together(tmp_path):
    path = tmp_path / "lght.h5"
    with h5py.File(path, "w", libver=LIBVERS["sb0"]) as file:
        for i in range(300):
            file[f"S{i:06}"] = noise((300 + 40 * i % 900, 5), "f8", i)
    near, far = asked_of(path), asked_of(path, "--far", 1)
    assert near["trips"] == near["reads"] > 50
    assert far["trips"] < near["trips"] / 4 and far["bytes"] < near["bytes"] / 4, (near, far)
    assert far["reads"] < 1.2 * near["reads"], (near, far)
    expect_same(path)


def test_metadata_that_lies_together_takes_no_more_reads_from_far_away(tmp_path):
    path = tmp_path / "many.h5"
    for libver in LIBVERS:
        with h5py.File(path, "w", libver=LIBVERS[libver]) as file:
            for i in range(2000):
                file.create_dataset(f"R{i:05}", data=np.zeros((i % 3, 5)))
        with open(path, "ab") as file:
            file.truncate(path.stat().st_size + (8 << 20))  # not a small one
        near, far = asked_of(path), asked_of(path, "--far", 1)
        assert far["trips"] <= near["trips"] + 10, (libver, near, far)  # what it takes to notice
        assert far["reads"] <= near["reads"] + 16, (libver, near, far)
        assert far["bytes"] <= 1.1 * near["bytes"], (libver, near, far)


def test_an_index_that_leads_anywhere_costs_little(tmp_path):
    """Each node of the tree names 64 children all over the file, which are no nodes."""
    path = tmp_path / "lies.h5"
    spread(path, 3000)
    data, rng = bytearray(path.read_bytes()), random.Random(5)
    at, nodes = data.find(b"TREE\x01"), 0
    while at >= 0:
        if data[at + 5] > 0:
            nodes += 1
            struct.pack_into("<H", data, at + 6, 64)
            for i in range(64):
                struct.pack_into("<Q", data, at + 24 + 32 + i * 40, rng.choice(
                    [rng.randrange(len(data)), rng.getrandbits(64), len(data) - 1, 2**64 - 1]))
        at = data.find(b"TREE\x01", at + 1)
    assert nodes > 0
    path.write_bytes(data)
    near, far = dump(path) + dump("--far", 1, path)
    assert near["class"] == far["class"] == "CORRUPT", (near, far)


# Broken files


def small_files(tmp_path):
    """Small files, so that a flipped bit hits something that matters."""
    for libver in LIBVERS:
        for name, options in {"plain": {}, "gzip": {"chunks": (1, 8, 6), "compression": "gzip", "shuffle": True},
                              "sum": {"chunks": (2, 4, 6), "fletcher32": True, "maxshape": (None, 8, 6)}}.items():
            path = tmp_path / f"{libver}-{name}.h5"
            with h5py.File(path, "w", libver=LIBVERS[libver]) as file:
                file.create_dataset("vil", data=noise((4, 8, 6), "u1"), **options)
                file["id"] = np.array([b"S1", b"S2", b"S3", b"S4"])
                file["group/lght"] = np.zeros((2, 5))
                file.attrs["title"] = "text"
                file["vil"].attrs["units"] = np.arange(4.0)
            yield path.read_bytes()


def mutate(data, others, rng):
    data = bytearray(data)
    kind = rng.randrange(5)
    if kind == 0:
        del data[rng.randrange(len(data)):]
    elif kind == 1:
        for _ in range(rng.choice([1, 1, 2, 8])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 2:  # a length, a count, an address
        at = rng.randrange(len(data) - 8)
        data[at:at + 8] = struct.pack("<Q", rng.choice([0, 1, 2**16, 2**31, 2**32 - 1, 2**63, 2**64 - 1,
                                                       rng.randrange(len(data)), rng.getrandbits(64)]))
    elif kind == 3:  # spliced
        other = rng.choice(others)
        at, size = rng.randrange(len(data)), rng.randrange(1, 512)
        data[at:at + size] = other[at:at + size]
    else:  # moved within itself
        at, to, size = rng.randrange(len(data)), rng.randrange(len(data)), rng.randrange(1, 256)
        piece = data[at:at + size]
        data[to:to + len(piece)] = piece
    return bytes(data)


def test_a_thousand_mutations_each_end_with_a_layout_or_a_reason(tmp_path):
    seed = int(os.environ.get("SEVIRD_SEED", "2019"))
    count = int(os.environ.get("SEVIRD_MUTATIONS", "1000"))
    rng = random.Random(seed)
    originals = list(small_files(tmp_path))
    paths = [], []
    for i in range(count):
        path = tmp_path / f"mutant-{i}.h5"
        far = i % 2  # also from the store, where it shows: the head is read as a whole
        path.write_bytes(far * bytes(1 << 17) + mutate(rng.choice(originals), originals, rng))
        paths[far].append(path)
    answers = dump(*paths[0], deadline=5000) + dump("--far", 1, *paths[1], deadline=5000)
    assert len(answers) == count  # h5_dump ended by itself: every call did, and none left a process
    kinds = {}
    for answer in answers:
        kind = answer.get("class", "layout")
        kinds[kind] = kinds.get(kind, 0) + 1
        if kind != "layout":
            assert answer["error"] and answer["error"].isprintable(), answer
            assert kind in {"CORRUPT", "UNSUPPORTED", "INVALID", "CRASHED", "TIMEOUT"}, answer
            assert "forbidden" not in answer["error"], answer
    assert kinds["layout"] > 0 and kinds["CORRUPT"] > 0, kinds
    print(kinds)


def test_rows_of_mutated_files_end_too(tmp_path):
    rng = random.Random(7)
    originals = list(small_files(tmp_path))
    for i in range(60):
        path = tmp_path / "mutant.h5"
        path.write_bytes(mutate(rng.choice(originals), originals, rng))
        for how in "--rows", "--libhdf5-rows":
            rows_of(path, "vil", 0, 4, "u1", tmp_path, how)


def test_files_that_are_not_hdf5_are_said_to_be_that(tmp_path):
    for content in b"", b"id,file_name\n" * 100, b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(5000):
        path = tmp_path / "no.h5"
        path.write_bytes(content)
        answer = error_of(path)
        assert answer["class"] in {"INVALID", "CORRUPT", "UNSUPPORTED"}, answer


def test_a_file_cut_short_is_corrupt(tmp_path):
    path = tmp_path / "cut.h5"
    write_everything(path, "sb0")
    path.write_bytes(path.read_bytes()[:-4000])
    answer = error_of(path)
    assert answer["class"] == "CORRUPT" and "truncated" in answer["error"]


# Crafted files


def test_shapes_beyond_all_memory_are_told_not_allocated(tmp_path):
    path = tmp_path / "huge.h5"
    with h5py.File(path, "w", libver=LIBVERS["sb0"]) as file:
        file.create_dataset("sparse", (2**40, 2**10), "u1", chunks=(1024, 1024))
        file.create_dataset("unwritten", (2**40, 2**10), "u1")
        file["good"] = np.arange(4)
    items = layout_of(path)["by_name"]
    assert items["sparse"]["shape"] == [2**40, 2**10]
    assert not items["sparse"]["direct"] and items["good"]["direct"]
    # A table that was left out does not stop libhdf5.
    assert np.array_equal(rows_of(path, "sparse", 5, 2, "u1", tmp_path), np.zeros(2048, "u1"))


def test_an_element_larger_than_the_memory_is_not_tried_again(tmp_path):
    path = tmp_path / "row.h5"
    with h5py.File(path, "w", libver=LIBVERS["sb0"]) as file:
        file.create_dataset("row", (2, 2**31), "u1", chunks=(1, 2**31 - 1), scaleoffset=0, compression="gzip")
        file["row"].id.write_direct_chunk((0, 0), bytes(100))
    answer = rows_of(path, "row", 0, 1, "u1", tmp_path)
    assert answer["class"] in {"UNSUPPORTED", "CORRUPT"}, answer


def test_hundreds_of_attributes_are_cut(tmp_path):
    path = tmp_path / "attributes.h5"
    with h5py.File(path, "w", libver=LIBVERS["sb2"]) as file:
        for i in range(3000):
            file.attrs[f"a{i:04}"] = i
    assert len(layout_of(path)["attributes"]) == 256


def test_groups_nested_without_end_are_skipped_below_a_depth(tmp_path):
    path = tmp_path / "deep.h5"
    with h5py.File(path, "w", libver=LIBVERS["sb0"]) as file:
        group = file
        for _ in range(200):
            group["x"] = np.arange(2)
            group = group.create_group("g")
    layout = layout_of(path)
    assert len(layout["datasets"]) == 65 and layout["skipped"] == 1


def find_all(data, needle):
    at = data.find(needle)
    while at >= 0:
        yield at
        at = data.find(needle, at + 1)


def test_a_chunk_index_that_contains_itself_ends(tmp_path):
    path = tmp_path / "loop.h5"
    with h5py.File(path, "w", libver=LIBVERS["sb0"]) as file:
        file.create_dataset("vil", data=noise((300, 4), "u1"), chunks=(1, 4))
    original = path.read_bytes()
    nodes = [at for at in find_all(original, b"TREE") if original[at + 4] == 1]
    root = max(nodes, key=lambda at: original[at + 5])
    assert original[root + 5] > 0  # has levels
    key = 8 + 8 * 3
    for target in (root, nodes[0], nodes[-1]):
        data = bytearray(original)
        for child in range(struct.unpack_from("<H", data, root + 6)[0]):
            struct.pack_into("<Q", data, root + 24 + child * (key + 8) + key, target)
        path.write_bytes(data)
        answer, = dump(path, deadline=5000)
        assert "layout" in answer or answer["class"] in {"CORRUPT", "CRASHED", "TIMEOUT"}, answer


def test_a_group_index_that_contains_itself_ends(tmp_path):
    path = tmp_path / "loop.h5"
    with h5py.File(path, "w", libver=LIBVERS["sb0"]) as file:
        for i in range(400):
            file[f"d{i}"] = i
    original = path.read_bytes()
    nodes = [at for at in find_all(original, b"TREE") if original[at + 4] == 0 and original[at + 5] > 0]
    assert nodes
    data = bytearray(original)
    for child in range(struct.unpack_from("<H", data, nodes[0] + 6)[0]):
        struct.pack_into("<Q", data, nodes[0] + 24 + child * 16 + 8, nodes[0])
    path.write_bytes(data)
    answer, = dump(path, deadline=5000)
    assert answer["class"] in {"CORRUPT", "CRASHED", "TIMEOUT"}, answer


def test_names_that_no_terminal_should_see_are_skipped(tmp_path):
    path = tmp_path / "names.h5"
    with h5py.File(path, "w", libver=LIBVERS["sb0"]) as file:
        file["good"] = 1
        file["\x1b[2Jevil"] = 2
        h5py.h5d.create(file.id, b"latin-\xe9", h5py.h5t.STD_I16LE, h5py.h5s.create(h5py.h5s.SCALAR))
    layout = layout_of(path)
    assert list(layout["by_name"]) == ["good"] and layout["skipped"] == 2
