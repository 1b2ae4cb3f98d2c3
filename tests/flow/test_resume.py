"""upload and copy after an interruption: what S3 has is not sent again, and nobody else's is taken for it."""

import random
import signal
import subprocess
import time

import pytest

from conftest import SEVIRCTL, environment, tree
from sample import Sample
from test_s3_tools import copy, one_line, s3, states

MIB = 1 << 20
DENIED = {"kind": "error", "code": "AccessDenied"}
NOWHERE = {"kind": "error", "code": "NotImplemented", "status": 501}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    sample = Sample(tmp_path_factory.mktemp("raw"), size=40, frames=7)
    sample.add("vil", ["S1"])
    sample.write_catalog()
    sample.key = str(sample.files[0].relative_to(sample.root))
    sample.catalog = sample.root / "CATALOG.csv"
    return sample


@pytest.fixture
def big(tmp_path):
    path = tmp_path / "big.h5"
    path.write_bytes(random.Random(1).randbytes(60 * MIB))
    return path


def sparse(fake, raw, tmp_path, bucket, etag):
    """6 GiB, a hole: more than one request copies."""
    path = tmp_path / "sparse"
    with open(path, "wb") as f:
        f.truncate(6 << 30)
    fake.ask("object", {"bucket": bucket, "key": raw.key, "path": str(path), "etag": etag})


def streaming(fake):
    """Options by which the two ends are two S3s."""
    return "--source-endpoint-url", fake.endpoint


def stops_at(fake, operation, nth):
    fake.faults({"operation": operation, "nth": nth, "times": -1, "fault": DENIED})


def sent(fake, operation="UploadPart"):
    return len(fake.requests(f"s3.{operation}", status=200))


def killed(fake, tmp_path, *words, nth=4):
    """A run that was killed when part `nth` and those after it were under way."""
    fake.faults({"operation": "UploadPart", "nth": nth, "times": -1, "fault": {"kind": "silent"}})
    reports = tmp_path / "reports"
    reports.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [str(SEVIRCTL), *map(str, words)], stdin=subprocess.DEVNULL, env=environment(reports, fake.env)
    )
    fake.wait(operation="s3.UploadPart", count=nth - 1)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    fake.faults()


def test_an_upload_that_was_killed_sends_only_what_is_missing(fake, big, tmp_path):
    fake.bucket("raw")
    killed(fake, tmp_path, "upload", big, "s3://raw/")
    assert fake.uploads("raw") == ["big.h5"] and sent(fake) == 3
    s3(fake, "upload", big, "s3://raw/")
    assert fake.get("raw", "big.h5") == big.read_bytes() and not fake.uploads("raw")
    assert sent(fake) == 8


def test_a_stream_that_was_killed_sends_only_what_is_missing(fake, raw, big, tmp_path):
    fake.bucket("raw"), fake.bucket("mine")
    fake.put("raw", raw.key, big.read_bytes())
    words = "copy", "s3://raw/", "s3://mine/", "--catalog", raw.catalog, *streaming(fake)
    killed(fake, tmp_path, *words)
    s3(fake, *words)
    assert fake.get("mine", raw.key) == big.read_bytes() and not fake.uploads("mine")
    assert sent(fake) == 8


def test_a_copy_within_one_S3_goes_on(fake, raw, tmp_path):
    fake.bucket("raw"), fake.bucket("mine")
    sparse(fake, raw, tmp_path, "raw", "e1")
    words = "s3://raw/", "s3://mine/", "--catalog", raw.catalog
    stops_at(fake, "UploadPartCopy", 11)
    copy(fake, *words, check=1)
    fake.faults()
    assert states(copy(fake, *words)) == {"VIL": "copied"}
    assert sent(fake, "UploadPartCopy") == 48 and not fake.uploads("mine")


def test_a_copy_does_not_go_on_with_that_of_another_source(fake, raw, tmp_path):
    """Which is no newer, of the same size, and goes to the same key."""
    for bucket in ("other", "raw", "mine"):
        fake.bucket(bucket)
    sparse(fake, raw, tmp_path, "other", "e2")
    sparse(fake, raw, tmp_path, "raw", "e1")
    time.sleep(1.1)  # of times in whole seconds, which are to differ
    stops_at(fake, "UploadPartCopy", 11)
    copy(fake, "s3://raw/", "s3://mine/", "--catalog", raw.catalog, check=1)
    fake.faults()
    copy(fake, "s3://other/", "s3://mine/", "--catalog", raw.catalog)
    assert sent(fake, "UploadPartCopy") == 10 + 48 and not fake.uploads("mine")


def test_a_stream_does_not_mix_two_versions(fake, raw):
    """The newer one's upload began before the copy of the older did: S3 tells that time as its own."""
    old, new = (random.Random(seed).randbytes(40 * MIB) for seed in (3, 4))
    fake.bucket("raw"), fake.bucket("mine")
    client, where = fake.client("s3"), {"Bucket": "raw", "Key": raw.key}
    upload = {**where, "UploadId": client.create_multipart_upload(**where)["UploadId"]}
    fake.put("raw", raw.key, old)
    words = "s3://raw/", "s3://mine/", "--catalog", raw.catalog, *streaming(fake)
    stops_at(fake, "UploadPart", 3)
    copy(fake, *words, check=1)
    fake.faults()
    parts = []
    for n in range(1, 6):
        body = new[(n - 1) * 8 * MIB : n * 8 * MIB]
        part = client.upload_part(**upload, PartNumber=n, Body=body)
        parts.append({"PartNumber": n, "ETag": part["ETag"]})
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert states(copy(fake, *words)) == {"VIL": "copied"}
    assert fake.get("mine", raw.key) == new and not fake.uploads("mine")


def test_another_file_is_uploaded_anew(fake, big):
    fake.bucket("raw")
    stops_at(fake, "UploadPart", 4)
    s3(fake, "upload", big, "s3://raw/", check=1)
    fake.faults()
    big.write_bytes(big.read_bytes()[: -8 * MIB] + bytes(8 * MIB))
    s3(fake, "upload", big, "s3://raw/")
    assert fake.get("raw", "big.h5") == big.read_bytes() and not fake.uploads("raw")


def test_an_unfinished_upload_of_somebody_else_is_left_alone(fake, raw, big, tmp_path):
    """That of another tool has other checksums, and S3 refuses ours there."""
    fake.bucket("raw"), fake.bucket("mine")
    client = fake.client("s3")
    for where in ({"Bucket": "raw", "Key": "big.h5"}, {"Bucket": "mine", "Key": raw.key}):
        upload = client.create_multipart_upload(**where)["UploadId"]
        client.upload_part(**where, UploadId=upload, PartNumber=1, Body=bytes(8 * MIB))
    s3(fake, "upload", big, "s3://raw/")
    assert fake.get("raw", "big.h5") == big.read_bytes() and fake.uploads("raw") == ["big.h5"]
    fake.put("raw", raw.key, big.read_bytes())
    words = "s3://raw/", "s3://mine/", "--catalog", raw.catalog, *streaming(fake)
    assert states(copy(fake, *words)) == {"VIL": "copied"}
    assert fake.get("mine", raw.key) == big.read_bytes() and fake.uploads("mine") == [raw.key]


@pytest.mark.parametrize("refusal", [DENIED, NOWHERE])
def test_who_may_not_list_uploads_may_write_large_files(fake, raw, big, tmp_path, refusal):
    """s3:PutObject alone. What was cut short begins anew, and the parts that were sent are removed."""
    blind = [{"operation": operation, "agent": "sevir", "times": -1, "fault": refusal}
             for operation in ("ListMultipartUploads", "ListParts")]  # fmt: skip
    fake.bucket("raw"), fake.bucket("mine")
    fake.put("raw", raw.key, big.read_bytes())
    across = ["copy", "s3://raw/", "s3://mine/", "--catalog", raw.catalog, *streaming(fake)]
    for words in (["upload", big, "s3://mine/"], across):
        fake.faults({"operation": "UploadPart", "nth": 4, "times": -1, "fault": DENIED}, *blind)
        s3(fake, *words, check=1)
        fake.faults(*blind)
        s3(fake, *words)
    assert fake.struck()["s3.ListParts.error"] == 2
    assert set(fake.objects("mine").values()) == {big.read_bytes()} and len(fake.keys("mine")) == 2
    assert not fake.uploads("mine")
    sparse(fake, raw, tmp_path, "raw", "e1")
    assert states(copy(fake, *across[1:5])) == {"VIL": "copied"}


def test_an_upload_that_is_gone_begins_anew(fake, big):
    fake.bucket("raw")
    stops_at(fake, "UploadPart", 4)
    s3(fake, "upload", big, "s3://raw/", check=1)
    fake.faults()
    client = fake.client("s3")
    for upload in client.list_multipart_uploads(Bucket="raw")["Uploads"]:
        client.abort_multipart_upload(Bucket="raw", Key="big.h5", UploadId=upload["UploadId"])
    s3(fake, "upload", big, "s3://raw/")
    assert fake.get("raw", "big.h5") == big.read_bytes() and not fake.uploads("raw")


def test_a_note_that_is_not_whole_is_none(fake, big, cache_home):
    """Half of one says nothing; an id that is not bound to this file is that of an upload to abort."""
    fake.bucket("raw")
    for n, spoil in enumerate((lambda text: text[:80], lambda text: "0" * 64 + text[64:])):
        stops_at(fake, "UploadPart", 4)
        s3(fake, "upload", big, f"s3://raw/{n}", check=1)
        fake.faults()
        (note,) = [path for path in cache_home.rglob("*") if path.is_file()]
        note.write_text(spoil(note.read_text()))
        s3(fake, "upload", big, f"s3://raw/{n}")
        assert fake.get("raw", str(n)) == big.read_bytes()
    assert fake.uploads("raw") == ["0"] and sent(fake) == 2 * (3 + 8)


def test_what_cannot_be_noted_is_not_left_behind(fake, raw, big, cache_home):
    fake.bucket("raw"), fake.bucket("mine")
    fake.put("raw", raw.key, big.read_bytes())
    cache_home.write_text("no folder")
    across = ["copy", "s3://raw/", "s3://mine/", "--catalog", raw.catalog, *streaming(fake)]
    for words in (["upload", big, "s3://mine/"], across):
        stops_at(fake, "UploadPart", 4)
        told = s3(fake, *words, check=1).stderr
        assert "begins anew" in told and "AccessDenied" in told, told
        assert not fake.uploads("mine")


def test_two_at_once_do_not_take_each_others_upload(fake, big, tmp_path):
    fake.bucket("raw")
    fake.faults({"operation": "UploadPart", "nth": 4, "times": 4, "fault": {"kind": "silent"}})
    process = subprocess.Popen(
        [str(SEVIRCTL), "upload", str(big), "s3://raw/"], env=environment(tmp_path, fake.env)
    )
    fake.wait(operation="s3.UploadPart", count=3)
    assert fake.happened(times=4)  # else a fault is left for the second
    s3(fake, "upload", big, "s3://raw/")
    assert fake.uploads("raw") == ["big.h5"]
    process.kill()
    process.wait(60)
    s3(fake, "upload", big, "s3://raw/")
    assert sent(fake) == 8 + 8 and not fake.uploads("raw")


def test_nothing_is_kept_of_what_is_done(fake, raw, big, tmp_path, cache_home):
    fake.bucket("raw")
    s3(fake, "upload", big, "s3://raw/")
    s3(fake, "copy", "s3://raw/", tmp_path / "here", "--catalog", raw.catalog, check=1)
    assert not [path for path in cache_home.rglob("*") if path.is_file()]
    stops_at(fake, "UploadPart", 4)
    one_line(s3(fake, "upload", big, "s3://raw/", check=1))
    notes = [path for path in cache_home.rglob("*") if path.is_file()]
    assert [path.parent for path in notes] == [cache_home / "sevird" / "transfers"]
    assert notes[0].stat().st_mode & 0o777 == 0o600
    fake.faults()
    s3(fake, "upload", big, "s3://raw/")
    assert not tree(cache_home)
