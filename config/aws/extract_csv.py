"""The Glue job of sevird: CSV files, typed and cleaned, as the daemon's own engine writes them.

sevird starts a run with two arguments and reads what it left when it has ended:

    --token  T      sevird's own name for the run
    --plan   URI    {"token": T, "result": URI,
                     "objects": [{"bucket", "key", "version", "etag", "output": URI}, ...]}

and writes to `result`:

    {"token": T, "objects": [{"key", "etag", "rows", "bytes", "sha256", "quoted",
                              "columns": [{"name", "type"}]}
                             or {"key", "etag", "error": {"class", "text"}}, ...]}

A file is a task: Spark spreads the files over the workers, and a file of any size streams through one
of them twice (once to learn its types, once to write). Types and text are those of the daemon
(daemon/catalog/catalog_types.c): tests/flow/test_extract_csv.py holds the two against each other, byte
for byte. Without Spark, `python3 extract_csv.py --local PLAN.json` does the same one file after another.
"""

import csv
import datetime
import hashlib
import io
import itertools
import json
import math
import re
import sys
import zlib

NULL_WORDS = {"nan", "na", "n/a", "null", "none"}
EXACT = 1 << 53  # integers up to this size survive a double
SCALAR_MAX = 400
HEADER_FIELD_MAX = 255
NAME_MAX = 128
COLUMNS_MAX = 1900
SAMPLE_BYTES = 65536
ROWS_LOOKED_AT = 200
INFLATED_MAX = 64 << 20
INFLATED_RATIO = 250
PIECE = 1 << 20
PART = 16 << 20

# In the order of widening; timestamp widens to string only.
NONE, BIGINT, DOUBLE, TIMESTAMP, STRING = range(5)
TYPE_NAMES = ["", "bigint", "double", "timestamp", "string"]

DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][+-]?[0-9]+)?\Z")
TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[ Tt]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"(?:[Zz]|([+-])([0-9]{2}):?([0-9]{2}))?)?\Z"
)


class Refused(Exception):
    """The file breaks a rule; `kind` is the daemon's class of it."""

    def __init__(self, text, kind="INVALID"):
        super().__init__(text)
        self.kind = kind


# ---- types -------------------------------------------------------------------------------------


def is_decimal(text):
    """(is it, is it an integer)"""
    found = DECIMAL.match(text)
    if not found:
        return False, False
    whole, fraction, exponent = found.groups()
    if not whole and len(fraction or "") < 2:
        return False, False  # "-", ".", "e5"
    return True, fraction is None and exponent is None


def to_double(text):
    value = float(text)
    return value if math.isfinite(value) else None


def parse_time(text):
    """(datetime in UTC, digits of the fraction) or None"""
    found = TIME.match(text)
    if not found:
        return None
    date, minutes, seconds, fraction, sign, zone_h, zone_m = found.groups()
    try:
        when = datetime.datetime.strptime(
            f"{date} {minutes or '00:00'}:{seconds or '00'}", "%Y-%m-%d %H:%M:%S"
        )
        if sign:
            if int(zone_h) > 14 or int(zone_m) > 59:
                return None
            away = datetime.timedelta(hours=int(zone_h), minutes=int(zone_m))
            when = when - away if sign == "+" else when + away
    except (ValueError, OverflowError):
        return None
    return when, fraction or ""


def type_of(field):
    """(type, whether a double could hold it exactly)"""
    text = field.strip(" \t")
    if not text or text.lower() in NULL_WORDS:
        return NONE, True
    if len(text.encode(errors="surrogateescape")) >= SCALAR_MAX:
        return STRING, True
    decimal, integer = is_decimal(text)
    if decimal and integer:
        value = int(text)
        if -(1 << 63) <= value < 1 << 63:
            return BIGINT, -EXACT <= value <= EXACT
        return STRING, True
    if decimal:
        return (DOUBLE if to_double(text) is not None else STRING), True
    return (TIMESTAMP if parse_time(text) else STRING), True


def widen(a, b):
    if a == b or b == NONE:
        return a
    if a == NONE:
        return b
    return DOUBLE if max(a, b) <= DOUBLE else STRING


def format_double(value):
    """As C's %.15g to %.17g: the shortest of them that reads back."""
    least = 1 if abs(value) < sys.float_info.min else 15
    for digits in range(least, 18):
        text = f"{value:.{digits}g}"
        if float(text) == value:
            return text
    raise AssertionError(value)


def clean(kind, field):
    """The field as it is written, or None when it is not of that type."""
    if kind in (STRING, NONE):
        return field
    text = field.strip(" \t")
    if not text or text.lower() in NULL_WORDS:
        return ""
    if len(text.encode(errors="surrogateescape")) >= SCALAR_MAX:
        return None
    if kind == TIMESTAMP:
        parsed = parse_time(text)
        if parsed is None:
            return None
        when, fraction = parsed
        fraction = fraction.rstrip("0")
        whole = f"{when.year:04}-{when:%m-%d %H:%M:%S}"
        return whole + ("." + fraction if fraction else "")
    decimal, integer = is_decimal(text)
    if not decimal:
        return None
    if kind == BIGINT:
        value = int(text) if integer else 1 << 64
        return str(value) if -(1 << 63) <= value < 1 << 63 else None
    value = to_double(text)
    return None if value is None else format_double(value)


# ---- bytes to rows -----------------------------------------------------------------------------


def inflate(pieces):
    """gzip, all of its members, under a bound; what is not gzip as it is."""
    head = b""
    pieces = iter(pieces)
    for piece in pieces:
        head += piece
        if len(head) >= 2:
            break
    if head[:2] != b"\x1f\x8b":
        yield head
        yield from pieces
        return
    stream, packed, inflated, data = zlib.decompressobj(31), 0, 0, head
    while True:
        packed += len(data)
        while data:
            if stream.eof:
                data = data.lstrip(b"\0")  # padding after a member is no other one
                if not data:
                    break
                stream = zlib.decompressobj(31)
            try:
                out = stream.decompress(data, PIECE)
            except zlib.error as error:
                raise Refused(f"damaged gzip data: {error}", "CORRUPT") from error
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
            inflated += len(out)
            if inflated > INFLATED_MAX and inflated > INFLATED_RATIO * packed:
                raise Refused(f"gzip data that inflates {inflated // packed} times is refused")
            yield out
        data = next(pieces, None)
        if data is None:
            break
    if not stream.eof:
        raise Refused("damaged gzip data: it is cut short", "CORRUPT")


def split_by(delimiter, text, whole):
    """(delimiters in the header, rows, rows with as many)"""
    header = rows = even = count = 0
    quoted, begins, begun = False, True, False
    for i in range(len(text) + 1):
        if rows >= ROWS_LOOKED_AT:
            break
        end = i == len(text)
        c = "\n" if end else text[i]
        if end and not whole and rows > 0:
            break  # the last row may be cut
        if not end and quoted:
            quoted = c != '"'
            begins = not quoted
            continue
        if c in "\r\n":
            if begun:
                header = count if rows == 0 else header
                even += count == header
                rows += 1
            count, begun, begins = 0, False, True
            continue
        begun = True
        quoted = c == '"' and begins
        begins = c == delimiter
        count += c == delimiter
    return header, rows, even


def detect_delimiter(text, whole):
    best, best_score = ",", 0.0
    for delimiter in ",;\t|":
        header, rows, even = split_by(delimiter, text, whole)
        share = even / rows if rows else 0.0
        if share * share * header > best_score:
            best, best_score = delimiter, share * share * header
    return best


def checked(pieces):
    """Text without its byte-order mark; what is no text is refused."""
    head = b""
    pieces = iter(pieces)
    for piece in pieces:
        head += piece
        if len(head) >= 3:
            break
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Refused("line 1: the text is UTF-16; save it as UTF-8")
    piece = head.removeprefix(b"\xef\xbb\xbf")
    while piece is not None:
        if b"\0" in piece:
            raise Refused("a NUL byte; this is not a text file")
        yield piece
        piece = next(pieces, None)


class Stream(io.RawIOBase):
    """An iterator of bytes as a file."""

    def __init__(self, pieces):
        self.pieces, self.kept = iter(pieces), b""

    def readable(self):
        return True

    def readinto(self, buffer):
        while not self.kept:
            self.kept = next(self.pieces, None)
            if self.kept is None:
                self.kept = b""
                return 0
        size = min(len(buffer), len(self.kept))
        buffer[:size], self.kept = self.kept[:size], self.kept[size:]
        return size


def sample_of(pieces):
    """(the first bytes, whether they are all, all of the pieces again)"""
    kept, size = [], 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size >= SAMPLE_BYTES:
            return b"".join(kept)[:SAMPLE_BYTES], False, itertools.chain(kept, pieces)
    return b"".join(kept), True, iter(kept)


class Lines:
    """The lines of a file, which remembers those of the row being read."""

    def __init__(self, text):
        self.text, self.row = text, []

    def __iter__(self):
        return self

    def __next__(self):
        line = next(self.text)
        self.row.append(line)
        return line

    def take(self):
        row, self.row = "".join(self.row), []
        return row


def well_quoted(delimiter):
    """What a row looks like whose quotes are all around fields, or doubled in them: Python's reader
    takes others too, and would lose what they were."""
    field = rf'(?:"[^"]*(?:""[^"]*)*"|[^"{re.escape(delimiter)}]*)'
    return re.compile(rf"{field}(?:{re.escape(delimiter)}{field})*[\r\n]*\Z")


def rows_of(pieces):
    """(line, fields) of each row; blank lines are none."""
    sample, whole, pieces = sample_of(checked(inflate(pieces)))
    # Bytes that are no UTF-8 pass as they are, as they do in the daemon. No line end is translated.
    text = io.TextIOWrapper(
        io.BufferedReader(Stream(pieces), PIECE), "utf-8", "surrogateescape", newline=""
    )
    delimiter = detect_delimiter(sample.decode("latin-1"), whole)
    lines, quotes = Lines(text), well_quoted(delimiter)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    csv.field_size_limit(4 << 20)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise Refused(f"line {line}: {error}") from error
        if row is None:
            return
        raw = lines.take()
        if '"' in raw and not quotes.match(raw):
            raise Refused(f"line {line}: a quote inside an unquoted field; double it in a quoted one")
        if row:
            yield line, row


# ---- rows to a schema --------------------------------------------------------------------------


def column_name(text, index):
    name = ""
    for c in text:
        if len(name) >= NAME_MAX:
            break
        if c.isascii() and c.isalnum():
            name += ("_" if not name and c.isdigit() else "") + c.lower()
        elif name and name[-1] != "_":
            name += "_"
    return name.rstrip("_") or f"column_{index + 1}"


def unique_names(texts):
    names = []
    for index, text in enumerate(texts):
        name = tried = column_name(text, index)
        n = 2
        while tried in names:
            tried, n = f"{name}_{n}", n + 1
        names.append(tried)
    return names


class Schema:
    """Names and types of a table, learnt from all of its rows."""

    def __init__(self, rows):
        self.first, self.rows = None, 0
        self.types, self.exact = [], []
        for line, row in rows:
            self.add(line, row)
        if self.first is None:
            raise Refused("it has no rows")
        self.settle()

    def add(self, line, row):
        if self.first is None:
            if len(row) > COLUMNS_MAX:
                raise Refused(
                    f"line {line} has {len(row)} columns, but a table at most {COLUMNS_MAX}",
                    "UNSUPPORTED",
                )
            self.first = row
            self.types, self.exact = [NONE] * len(row), [True] * len(row)
            return
        if len(row) != len(self.first):
            plural = "" if len(row) == 1 else "s"
            raise Refused(
                f"line {line} has {len(row)} field{plural}, but the first row has {len(self.first)}"
            )
        for i, field in enumerate(row):
            if self.types[i] != STRING:
                kind, exact = type_of(field)
                self.types[i] = widen(self.types[i], kind)
                self.exact[i] = self.exact[i] and exact
        self.rows += 1

    def settle(self):
        first = [type_of(field) for field in self.first]
        short = all(
            len(field.encode(errors="surrogateescape")) <= HEADER_FIELD_MAX for field in self.first
        )
        kinds = {kind for kind, _ in first}
        self.header = kinds <= {NONE, STRING} and STRING in kinds and short
        if not self.header:
            self.rows += 1
            self.types = [widen(t, kind) for t, (kind, _) in zip(self.types, first)]
            self.exact = [e and exact for e, (_, exact) in zip(self.exact, first)]
        self.types = [
            STRING if kind == DOUBLE and not exact else kind
            for kind, exact in zip(self.types, self.exact)
        ]
        self.names = unique_names(self.first if self.header else [""] * len(self.first))


# ---- a file ------------------------------------------------------------------------------------


def quote(field):
    if any(c in field for c in ',"\r\n') or field[:1] == " " or field[-1:] == " ":
        return '"' + field.replace('"', '""') + '"'
    return field


def write_rows(schema, rows, write):
    """The clean file, through `write(bytes)`; the header first."""
    write((",".join(quote(name) for name in schema.names) + "\n").encode())
    for number, (line, row) in enumerate(rows):
        if number == 0 and schema.header:
            continue
        fields = []
        for kind, name, field in zip(schema.types, schema.names, row):
            text = clean(kind, field)
            if text is None:
                raise Refused(
                    f"line {line} column '{name}': '{field:.60}' is no {TYPE_NAMES[kind]}"
                )
            fields.append(quote(text))
        write((",".join(fields) + "\n").encode(errors="surrogateescape"))


def extract(opener, write):
    """`opener()` gives the pieces of the object, twice. What the result says of it."""
    schema = Schema(rows_of(opener()))
    digest, size, quoted = hashlib.sha256(), 0, False

    def count(piece):
        nonlocal size, quoted
        digest.update(piece)
        size += len(piece)
        quoted = quoted or b'"' in piece  # quote() quotes whatever has a quote in it
        write(piece)

    write_rows(schema, rows_of(opener()), count)
    return {
        "rows": schema.rows,
        "bytes": size,
        "sha256": digest.hexdigest(),
        "quoted": quoted,
        "columns": [
            {"name": name, "type": TYPE_NAMES[kind] or "string"}
            for name, kind in zip(schema.names, schema.types)
        ],
    }


# ---- S3 ----------------------------------------------------------------------------------------


def split_uri(uri):
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


class Upload:
    """An object that appears whole or not at all: in parts when it is large."""

    def __init__(self, s3, uri):
        self.s3 = s3
        self.to = dict(zip(("Bucket", "Key"), split_uri(uri)))
        self.kept, self.id, self.parts = bytearray(), None, []

    def write(self, piece):
        self.kept += piece
        while len(self.kept) >= PART:
            self.send(bytes(self.kept[:PART]))
            del self.kept[:PART]

    def send(self, part):
        if self.id is None:
            self.id = self.s3.create_multipart_upload(ContentType="text/csv", **self.to)["UploadId"]
        number = len(self.parts) + 1
        done = self.s3.upload_part(UploadId=self.id, PartNumber=number, Body=part, **self.to)
        self.parts.append({"PartNumber": number, "ETag": done["ETag"]})

    def close(self):
        if self.id is None:
            self.s3.put_object(Body=bytes(self.kept), ContentType="text/csv", **self.to)
            return
        if self.kept:
            self.send(bytes(self.kept))
        self.s3.complete_multipart_upload(
            UploadId=self.id, MultipartUpload={"Parts": self.parts}, **self.to
        )

    def abort(self):
        if self.id is not None:
            self.s3.abort_multipart_upload(UploadId=self.id, **self.to)


def open_object(s3, item):
    """Its pieces, pinned to what was sighted."""
    pin = {"VersionId": item["version"]} if item.get("version") else {"IfMatch": f'"{item["etag"]}"'}
    body = s3.get_object(Bucket=item["bucket"], Key=item["key"], **pin)["Body"]
    return body.iter_chunks(PIECE)


def process(item, s3=None):
    """One object, start to end; a worker's task."""
    if s3 is None:
        import boto3  # on the worker

        s3 = boto3.client("s3")
    about = {"key": item["key"], "etag": item["etag"]}
    upload = Upload(s3, item["output"])
    try:
        about.update(extract(lambda: open_object(s3, item), upload.write))
        upload.close()
    except Refused as refusal:
        upload.abort()
        about["error"] = {"class": refusal.kind, "text": str(refusal)}
    except s3.exceptions.ClientError as error:
        upload.abort()
        code = error.response.get("Error", {}).get("Code", "")
        gone = code in ("NoSuchKey", "NoSuchVersion", "412", "PreconditionFailed", "404")
        about["error"] = {"class": "CHANGED" if gone else "NETWORK", "text": str(error)}
    return about


def run(plan, spread, s3):
    """`spread(function, items)` maps; the result is put whole, last."""
    result = {"token": plan["token"], "objects": list(spread(process, plan["objects"]))}
    bucket, key = split_uri(plan["result"])
    body = json.dumps(result, sort_keys=True).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    return result


def read_plan(s3, uri):
    bucket, key = split_uri(uri)
    return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def main(argv):
    import boto3

    s3 = boto3.client("s3")
    if argv[1:2] == ["--local"]:
        run(read_plan(s3, argv[2]), map, s3)
        return
    from awsglue.utils import getResolvedOptions
    from pyspark.context import SparkContext

    options = getResolvedOptions(argv, ["token", "plan"])
    plan = read_plan(s3, options["plan"])
    if plan["token"] != options["token"]:
        raise SystemExit(f"the plan is of '{plan['token']}', not of '{options['token']}'")
    context = SparkContext.getOrCreate()

    def spread(function, items):
        return context.parallelize(items, max(len(items), 1)).map(function).collect()

    run(plan, spread, s3)


if __name__ == "__main__":
    main(sys.argv)
