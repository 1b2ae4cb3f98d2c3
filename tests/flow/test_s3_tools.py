"""sevirctl's tools on s3:// URIs: on moto, and on the fake, which counts bytes and fails as told."""

import csv
import io
import json
import os
import random

import h5py
import numpy as np
import pytest
from PIL import Image

from conftest import SEVIRCTL, ctl, environment, tree
from sample import Sample, storm
from test_ctl import on_a_terminal

IDS = ["S100", "S200", "R19010101017684", "S300"]
MIB = 1 << 20


def s3(world, *args, check=0, env=None, **options):
    return ctl(*args, check=check, env={**world.env, **(env or {})}, **options)


def one_line(done):
    assert done.stderr.startswith("sevirctl: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    sample = Sample(tmp_path_factory.mktemp("raw"), size=40, frames=7)
    sample.add("vil", IDS)
    sample.add("ir069", IDS, chunks=(1, 20, 20, 7), compression="gzip", shuffle=True)
    sample.add("vis", IDS, chunks=(1, 40, 40, 7), scaleoffset=0)
    sample.add("lght", IDS)
    sample.write_catalog()
    sample.path = {path.name.split("_")[1].lower(): path for path in sample.files}
    sample.key = {t: str(path.relative_to(sample.root)) for t, path in sample.path.items()}
    return sample


def fill(world, raw, bucket="raw", prefix=""):
    world.bucket(bucket)
    for key, data in tree(raw.root).items():
        world.put(bucket, prefix + key, data)
    return f"s3://{bucket}/{prefix}"


# -- what reads ------------------------------------------------------------------------------------


def test_what_is_read_of_a_bucket_is_what_is_read_of_a_disk(world, raw, tmp_path):
    where = fill(world, raw, prefix="in a/prefix=1/")
    catalog = where + "CATALOG.csv"
    for words in (
        ["inspect", "{vil}"],
        ["inspect", "{vis}"],
        ["select", "--catalog", "{catalog}", "--type", "ir069", "--type", "lght"],
    ):
        local = {**{t: raw.path[t] for t in raw.path}, "catalog": raw.root / "CATALOG.csv"}
        remote = {**{t: where + raw.key[t] for t in raw.key}, "catalog": catalog}
        here = ctl("--json", *[w.format(**local) for w in words], check=0).stdout
        assert s3(world, "--json", *[w.format(**remote) for w in words]).stdout == here
    for img_type in raw.key:
        for mode in ([], ["--each"], ["--animate"]):
            out = [tmp_path / side for side in ("here", "there")]
            ctl("render", raw.path[img_type], "--id", "S200", "--catalog", raw.root / "CATALOG.csv",
                *mode, "-o", out[0], check=0)  # fmt: skip
            s3(world, "render", where + raw.key[img_type], "--id", "S200", "--catalog", catalog,
               *mode, "-o", out[1])  # fmt: skip
            if mode == ["--each"]:
                assert tree(out[0]) == tree(out[1]) and tree(out[0])
                for side in out:
                    for path in side.iterdir():
                        path.unlink()
                    side.rmdir()
            else:
                assert out[0].read_bytes() == out[1].read_bytes()
                for side in out:
                    side.unlink()


@pytest.mark.parametrize("source", ["", "data/", "one"])
def test_a_subset_of_a_bucket(world, raw, tmp_path, source):
    where = fill(world, raw)
    source = where + (raw.key["vil"] if source == "one" else source)
    s3(world, "subset", source, "--catalog", where + "CATALOG.csv", "--type", "vil", "--id", "S300",
       "--id", "S200", "-o", tmp_path / "sub")  # fmt: skip
    made = next((tmp_path / "sub").rglob("*.h5"))
    with h5py.File(made) as f:
        assert f["id"][:].tolist() == [b"S200", b"S300"]
        np.testing.assert_array_equal(f["vil"][1], storm("vil", 3, 40, 7))


def test_a_picture_out_of_an_archive_in_a_bucket(world, daemon, tmp_path):
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    daemon.configure(extract={"images": "packed"})
    daemon.start()
    daemon.wait_idle()
    key = "images/img_type=vil/id=S1/frames.zip"
    world.bucket("processed")
    world.put("processed", key, (daemon.processed / key).read_bytes())
    s3(world, "render", f"s3://processed/{key}#f03.png", "-o", tmp_path / "one.png")
    s3(world, "render", f"s3://processed/{key}", "--animate", "-o", tmp_path / "film.png")
    ctl("render", f"{daemon.processed / key}#f03.png", "-o", tmp_path / "same.png", check=0)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "same.png").read_bytes()
    assert Image.open(tmp_path / "film.png").n_frames == 13


@pytest.mark.parametrize("img_type, shape, dtype", [
    ("vil", (851, 384, 384, 49), "u1"), ("ir069", (1700, 192, 192, 49), "i2"),
])  # fmt: skip
def test_of_a_large_file_little_more_than_the_event_is_fetched(fake, tmp_path, img_type, shape, dtype):
    """5.7 GiB, nearly all of it a hole."""
    path = tmp_path / "large.h5"
    count, event_bytes = shape[0], int(np.prod(shape[1:])) * np.dtype(dtype).itemsize
    with h5py.File(path, "w") as f:
        data = f.create_dataset(img_type, shape, dtype=dtype)
        data[0, 0, 0] = 7
        data[count - 2] = np.arange(event_bytes // np.dtype(dtype).itemsize).reshape(shape[1:]) % 250
        f["id"] = np.array([f"S{n:06}" for n in range(count)], dtype="S10")
    assert path.stat().st_size > 5.7 * (1 << 30)
    fake.bucket("sevir")
    fake.ask("object", {"bucket": "sevir", "key": "large.h5", "path": str(path), "etag": "e1"})
    wanted = ["--id", f"S{count - 2:06}", "--each"]
    s3(fake, "render", "s3://sevir/large.h5", *wanted, "-o", tmp_path / "there")
    ctl("render", path, *wanted, "-o", tmp_path / "here", check=0)
    assert tree(tmp_path / "there") == tree(tmp_path / "here")
    gets = fake.requests("s3.GetObject")
    assert sum(get["out"] for get in gets) <= 1.05 * event_bytes + 64 * 1024
    assert len(gets) <= 8 and len(fake.requests("s3.HeadObject")) == 1


# -- copy ------------------------------------------------------------------------------------------


def copy(world, *args, **options):
    done = s3(world, "--json", "copy", *args, **options)
    return json.loads(done.stdout)


def states(document):
    return {os.path.basename(f["uri"]).split("_")[1]: f["state"] for f in document["files"]}


def test_copy_within_one_s3_moves_no_bytes_through_us(world, raw):
    where = fill(world, raw)
    world.bucket("mine")
    words = (where, "s3://mine/kept/", "--catalog", where + "CATALOG.csv", "--type", "vil", "--type", "lght")
    assert states(copy(world, *words)) == {"VIL": "copied", "LGHT": "copied"}
    want = {"kept/" + raw.key[t]: raw.path[t].read_bytes() for t in ("vil", "lght")}
    assert world.objects("mine") == want
    assert states(copy(world, *words)) == {"VIL": "present", "LGHT": "present"}
    if hasattr(world, "requests"):
        assert len(world.requests("s3.CopyObject")) == 2
        assert all("CATALOG" in get["key"] for get in world.requests("s3.GetObject", status=200)
                   if get["bucket"] == "raw")  # fmt: skip


def test_copy_from_a_bucket_to_a_disk_and_back(world, raw, tmp_path):
    where = fill(world, raw)
    catalog = where + "CATALOG.csv"
    assert set(states(copy(world, where, tmp_path / "here", "--catalog", catalog)).values()) == {"copied"}
    want = {key: path for key, path in tree(raw.root).items() if key.endswith(".h5")}
    assert tree(tmp_path / "here") == want
    again = copy(world, where, tmp_path / "here", "--catalog", catalog)
    assert set(states(again).values()) == {"present"}
    world.bucket("back")
    copy(world, tmp_path / "here", "s3://back/", "--catalog", catalog)
    assert world.objects("back") == want
    assert not [name for name in os.listdir(tmp_path / "here") if name.startswith(".")]


def test_copy_from_one_s3_to_another_streams(moto, fake, raw):
    """The source's key, its endpoint, and the target's."""
    where = fill(fake, raw)
    big = random.Random(5).randbytes(40 * MIB + 3)
    fake.put("raw", raw.key["vil"], big)
    fake.put("raw", raw.key["lght"], b"")
    moto.bucket("mine")
    fake.ask("public", {"bucket": "raw"})
    words = (where, "s3://mine/", "--catalog", raw.root / "CATALOG.csv", "--endpoint-url", moto.endpoint,
             "--source-endpoint-url", fake.endpoint, "--source-no-sign-request")  # fmt: skip
    assert set(states(copy(moto, *words)).values()) == {"copied"}
    want = {key: data for key, data in tree(raw.root).items() if key.endswith(".h5")}
    assert moto.objects("mine") == {**want, raw.key["vil"]: big, raw.key["lght"]: b""}
    assert not fake.requests("s3.CopyObject") and not moto.uploads("mine")
    assert set(states(copy(moto, *words)).values()) == {"present"}


def test_a_copy_above_one_requests_limit_goes_in_parts(fake, raw):
    """6 GiB, a hole; each part is a range of the source, pinned to its etag."""
    fake.bucket("raw"), fake.bucket("mine")
    path = raw.root / ".sparse"
    with open(path, "wb") as f:
        f.truncate(6 << 30)
    fake.ask("object", {"bucket": "raw", "key": raw.key["vil"], "path": str(path), "etag": "e1"})
    done = copy(fake, "s3://raw/", "s3://mine/", "--catalog", raw.root / "CATALOG.csv", "--type", "vil")
    assert states(done) == {"VIL": "copied"} and done["bytes"] == 6 << 30
    assert len(fake.requests("s3.UploadPartCopy")) == 48 and not fake.requests("s3.GetObject")
    assert fake.client("s3").head_object(Bucket="mine", Key=raw.key["vil"])["ContentLength"] == 6 << 30


def test_what_the_source_lacks_is_told_and_the_rest_copied(world, raw):
    where = fill(world, raw)
    world.delete("raw", raw.key["vis"])
    world.bucket("mine")
    done = s3(world, "copy", where, "s3://mine/", "--catalog", where + "CATALOG.csv", check=1)
    assert "is not in 's3://raw" in done.stderr and len(world.keys("mine")) == 3


# -- upload ----------------------------------------------------------------------------------------


def test_upload_into_a_bucket(world, raw, tmp_path):
    world.bucket("raw")
    s3(world, "upload", raw.path["vil"], raw.path["lght"], "s3://raw/in/")
    s3(world, "upload", raw.root / "CATALOG.csv", "s3://raw/CATALOG.csv")
    s3(world, "upload", raw.path["ir069"], "s3://raw")
    assert world.objects("raw") == {
        "in/" + raw.path["vil"].name: raw.path["vil"].read_bytes(),
        "in/" + raw.path["lght"].name: raw.path["lght"].read_bytes(),
        "CATALOG.csv": (raw.root / "CATALOG.csv").read_bytes(),
        raw.path["ir069"].name: raw.path["ir069"].read_bytes(),
    }
    done = s3(world, "--json", "upload", "--skip-existing", raw.path["vil"], "s3://raw/in/")
    assert [f["state"] for f in json.loads(done.stdout)["files"]] == ["present"]
    one_line(s3(world, "upload", raw.path["vil"], raw.path["lght"], "s3://raw/key", check=2))


def test_an_upload_that_was_interrupted_sends_only_what_is_missing(fake, tmp_path):
    big = tmp_path / "big.h5"
    big.write_bytes(random.Random(1).randbytes(60 * MIB))
    fake.bucket("raw")
    denied = {"kind": "error", "code": "AccessDenied"}
    fake.faults({"operation": "UploadPart", "nth": 5, "times": -1, "fault": denied})
    assert "AccessDenied" in one_line(s3(fake, "upload", big, "s3://raw/", check=1))
    assert fake.uploads("raw") == ["big.h5"]
    sent = len(fake.requests("s3.UploadPart", status=200))
    fake.faults()
    s3(fake, "upload", big, "s3://raw/")
    assert sent == 4 and len(fake.requests("s3.UploadPart", status=200)) == 8
    assert fake.get("raw", "big.h5") == big.read_bytes() and not fake.uploads("raw")


def test_a_download_that_was_interrupted_fetches_only_what_is_missing(fake, raw, tmp_path):
    big = random.Random(2).randbytes(60 * MIB)
    fake.bucket("raw")
    fake.put("raw", raw.key["vil"], big)
    words = ("copy", "s3://raw/", tmp_path / "here", "--catalog", raw.root / "CATALOG.csv", "--type", "vil")
    denied = {"kind": "error", "code": "AccessDenied"}
    fake.faults({"operation": "GetObject", "nth": 6, "times": -1, "fault": denied})
    assert "AccessDenied" in one_line(s3(fake, *words, check=1))
    assert not tree(tmp_path / "here")
    before = sum(get["out"] for get in fake.requests("s3.GetObject", status=206))
    fake.faults()
    s3(fake, *words)
    assert tree(tmp_path / "here") == {raw.key["vil"]: big}
    fetched = sum(get["out"] for get in fake.requests("s3.GetObject", status=206))
    assert before == 40 * MIB and fetched == len(big)


# -- what goes wrong -------------------------------------------------------------------------------


def test_one_line_says_what_is_wrong(world, raw, tmp_path):
    where = fill(world, raw)
    out = tmp_path / "x.png"
    assert "NoSuchBucket" in one_line(s3(world, "inspect", "s3://no-such-bucket/x.h5", check=1))
    assert "NoSuchKey" in one_line(s3(world, "inspect", "s3://raw/none.h5", check=1))
    assert "is a bucket" in one_line(s3(world, "inspect", "s3://raw", check=1))
    assert "is a folder" in one_line(s3(world, "inspect", "s3://raw/data/", check=1))
    wrong, vil = {"AWS_SECRET_ACCESS_KEY": "wrong"}, raw.path["vil"]
    told = one_line(s3(world, "inspect", where + raw.key["vil"], env=wrong, check=1))
    assert "SignatureDoesNotMatch" in told and "with the key of environment" in told
    unknown = {"AWS_ACCESS_KEY_ID": "AKIDOFNOBODY"}
    told = one_line(s3(world, "inspect", where + raw.key["vil"], env=unknown, check=1))
    assert "InvalidAccessKeyId" in told and "with the key of environment" in told
    assert "NoSuchBucket" in one_line(s3(world, "upload", vil, "s3://no-such-bucket/", check=1))
    catalog = raw.root / "CATALOG.csv"
    for ends in (["s3://no-such-bucket/", "s3://raw/"], ["s3://raw/", "s3://no-such-bucket/"]):
        assert "NoSuchBucket" in one_line(s3(world, "copy", *ends, "--catalog", catalog, check=1))
    told = one_line(s3(world, "copy", where, "s3://raw/x/", "--catalog", catalog, env=wrong, check=1))
    assert "SignatureDoesNotMatch" in told
    told = one_line(s3(world, "subset", "s3://no-such-bucket/", "--catalog", catalog, "-o", out, check=1))
    assert "NoSuchBucket" in told
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    told = one_line(s3(world, "render", where + raw.key["vil"], "--index", 0, "-o", out, env=none, check=1))
    assert "no credentials" in told and "environment" in told
    one_line(s3(world, "inspect", where + raw.key["vil"], "--addressing", "sideways", check=1))
    one_line(s3(world, "inspect", where + raw.key["vil"], "--endpoint-url", "http://127.0.0.1:1", check=1))
    assert not out.exists()


def test_a_bucket_that_may_not_be_listed_may_be_read(moto, raw, tmp_path):
    fill(moto, raw)
    statement = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::raw/*"}
    reader = moto.user("reader", {"Version": "2012-10-17", "Statement": [statement]})
    env = {"AWS_ACCESS_KEY_ID": reader[0], "AWS_SECRET_ACCESS_KEY": reader[1]}
    s3(moto, "copy", "s3://raw/", tmp_path / "here", "--catalog", "s3://raw/CATALOG.csv", env=env)
    assert len(tree(tmp_path / "here")) == 4
    told = one_line(s3(moto, "upload", raw.path["vil"], "s3://raw/", env=env, check=1))
    assert "AccessDenied" in told


def test_who_may_not_list_is_denied_what_is_not_there_and_goes_on(fake, raw, tmp_path):
    """As AWS has it: HEAD of a key that is not there answers 403 then."""
    fake.bucket("raw"), fake.bucket("mine")
    for img_type in ("vil", "lght"):
        fake.put("raw", raw.key[img_type].removeprefix("data/"), raw.path[img_type].read_bytes())
    fake.put("raw", "CATALOG.csv", (raw.root / "CATALOG.csv").read_bytes())
    denied = {"kind": "error", "code": "AccessDenied"}
    fake.faults(
        {"operation": "HeadObject", "key": "^data/", "times": -1, "fault": denied},
        {"operation": "HeadObject", "bucket": "mine", "times": -1, "fault": denied},
        {"operation": "ListObjectsV2", "times": -1, "fault": denied},
    )
    select = ["--catalog", "s3://raw/CATALOG.csv", "--type", "vil", "--type", "lght"]
    assert states(copy(fake, "s3://raw/", "s3://mine/", *select)) == {"VIL": "copied", "LGHT": "copied"}
    s3(fake, "subset", "s3://raw/", *select, "-o", tmp_path / "sub")
    assert len(list((tmp_path / "sub").rglob("*.h5"))) == 2


def test_options_stand_for_the_environment(world, raw, tmp_path):
    where = fill(world, raw)
    profiles = tmp_path / "credentials"
    profiles.write_text(
        f"[mine]\naws_access_key_id = {world.key_id}\naws_secret_access_key = {world.secret}\n"
    )
    env = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null",
           "AWS_SHARED_CREDENTIALS_FILE": str(profiles)}  # fmt: skip
    for word in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"):
        env[word] = ""
    ctl("inspect", where + raw.key["vil"], "--profile", "mine", "--region", "us-east-1",
        "--endpoint-url", world.endpoint, "--addressing", "path", env=env, check=0)  # fmt: skip


def test_a_public_bucket_is_read_without_credentials(fake, raw):
    where = fill(fake, raw)
    fake.ask("public", {"bucket": "raw"})
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    done = s3(fake, "select", "--catalog", where + "CATALOG.csv", "--no-sign-request", env=none)
    assert len(list(csv.reader(io.StringIO(done.stdout)))) == 17


@pytest.mark.parametrize("fault", [
    {"kind": "error", "code": "SlowDown"}, {"kind": "reset"}, {"kind": "reset-body"},
    {"kind": "truncate"}, {"kind": "error", "code": "InternalError", "html": True},
])  # fmt: skip
def test_a_fault_that_passes_is_not_noticed(fake, raw, tmp_path, fault):
    where = fill(fake, raw)
    fake.faults({"operation": "GetObject", "nth": 2, "fault": fault})
    s3(fake, "render", where + raw.key["vil"], "--id", "S200", "--each", "-o", tmp_path / "there")
    ctl("render", raw.path["vil"], "--id", "S200", "--each", "-o", tmp_path / "here", check=0)
    assert tree(tmp_path / "there") == tree(tmp_path / "here") and fake.struck()


def test_who_may_read_objects_need_not_be_allowed_to_name_versions(fake, raw, tmp_path):
    """As a public bucket that keeps versions: s3:GetObject, and no s3:GetObjectVersion."""
    fake.bucket("raw", versioned=True), fake.bucket("mine")
    for key, data in tree(raw.root).items():
        fake.put("raw", key, data)
    fake.ask("seal", {"bucket": "raw"})
    select = ["--catalog", "s3://raw/CATALOG.csv", "--type", "vil"]
    assert states(copy(fake, "s3://raw/", "s3://mine/", *select)) == {"VIL": "copied"}
    assert states(copy(fake, "s3://raw/", tmp_path / "here", *select)) == {"VIL": "copied"}
    vil = "s3://raw/" + raw.key["vil"]
    s3(fake, "inspect", vil)
    s3(fake, "render", vil, "--id", "S200", "-o", tmp_path / "x.png")
    s3(fake, "subset", "s3://raw/", *select, "-o", tmp_path / "sub")
    s3(fake, "subset", vil, *select, "-o", tmp_path / "one")
    assert fake.objects("mine") == tree(tmp_path / "here") == {raw.key["vil"]: raw.path["vil"].read_bytes()}


# -- what takes long -------------------------------------------------------------------------------


def test_a_slow_bucket_is_shown_to_be_at_work(fake, raw, tmp_path):
    """A bar in bytes where the total is known; gone at the end; none for programs."""
    where = fill(fake, raw)
    slow = {"kind": "slow", "bytes": 4000, "delay_s": 0.1}  # 78400 bytes: two seconds
    fake.faults({"operation": "GetObject", "key": "VIL", "nth": 1, "times": -1, "fault": slow})
    env = environment(tmp_path, fake.env)
    words = [SEVIRCTL, "render", where + raw.key["vil"], "--index", "1", "-o", tmp_path / "x.png"]
    code, shown = on_a_terminal(list(map(str, words)), env)
    assert code == 0 and "VIL" in shown and " kB" in shown, shown
    assert shown.rstrip().splitlines()[-1].split("\r")[-1].startswith("\x1b[K"), shown
    code, shown = on_a_terminal([*map(str, words), "--no-progress"], env)
    assert code == 0 and "\x1b" not in shown


def test_a_copy_shows_its_bytes(fake, raw, tmp_path):
    where = fill(fake, raw)
    slow = {"kind": "slow", "bytes": 8000, "delay_s": 0.1}
    fake.faults({"operation": "GetObject", "key": "VIL", "nth": 1, "times": -1, "fault": slow})
    words = [SEVIRCTL, "copy", where, tmp_path / "here", "--catalog", raw.root / "CATALOG.csv"]
    code, shown = on_a_terminal(list(map(str, words)), environment(tmp_path, fake.env))
    assert code == 0 and "files looked at" in shown and " kB of " in shown, shown
    assert "copied 4 files" in shown
