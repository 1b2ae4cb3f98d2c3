"""Small stores in SEVIR's real layout, made with h5py and numpy, the same bytes every time.

    store = Sample(raw)                       # a directory
    store.add("vil", ["S1", "S2"], time="2019-01-10 12:00:00")
    store.write_catalog()
"""

import csv
import math
from pathlib import Path

import h5py
import numpy as np

COLUMNS = (
    "id,file_name,file_index,img_type,time_utc,minute_offsets,episode_id,event_id,event_type,"
    "llcrnrlat,llcrnrlon,urcrnrlat,urcrnrlon,proj,size_x,size_y,height_m,width_m,data_min,data_max,"
    "pct_missing"
).split(",")
PROJ = "+proj=laea +lat_0=38 +lon_0=-98 +units=m +a=6370997.0 +ellps=sphere "
DTYPES = {"vil": np.uint8, "ir069": np.int16, "ir107": np.int16, "vis": np.int16}
SCALE = {"vil": 1.0, "ir069": 1e-2, "ir107": 1e-2, "vis": 1e-4}
EVENT_TYPES = ("Hail", "Tornado", "Flash Flood", "Thunderstorm Wind")


def storm(img_type, number, size, frames):
    """One event, (size, size, frames): a storm that moves and grows, with missing pixels in vil."""
    y, x, t = np.meshgrid(
        np.arange(size), np.arange(size), np.arange(frames), indexing="ij", sparse=True
    )
    centre_x = size * (0.2 + 0.6 * t / max(frames - 1, 1))
    centre_y = size * (0.35 + 0.05 * (number % 5))
    width = size * (0.08 + 0.10 * t / max(frames - 1, 1)) + number % 3
    shape = np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / (2 * width**2))
    if img_type == "vil":
        codes = np.rint(shape * (200 + number % 55)).astype(np.uint8)
        codes[codes == 1] = 0
        codes[:2, :2, :] = 255
        if number % 4 == 3:
            codes[:, :, frames // 2] = 255
        return codes
    if img_type == "vis":
        return np.rint(shape * 9000 - 31).astype(np.int16)
    return np.rint(2000 - shape * 9000).astype(np.int16)


def flashes(number, count):
    """(count, 5): seconds, latitude, longitude, x, y on the 48 by 48 grid."""
    k = np.arange(count, dtype=np.float64)
    return np.stack(
        [
            -7200 + k * (14000 / max(count, 1)),
            36 + np.sin(k + number),
            -98 + np.cos(k + number),
            24 + 20 * np.sin(k),
            24 + 20 * np.cos(k),
        ],
        axis=1,
    )


class Sample:
    def __init__(self, root, size=48, frames=13):
        self.root = Path(root)
        self.size = size
        self.frames = frames
        self.rows = []
        self.files = []

    def add(self, img_type, ids, time="2019-01-10 12:00:00", file_name=None, **h5):
        """One HDF5 file with the events `ids` and their rows; returns its path."""
        year, month = time[:4], time[5:7]
        kind = "ALLEVENTS" if img_type == "lght" else "STORMEVENTS"
        file_name = file_name or (
            f"{img_type}/{year}/SEVIR_{img_type.upper()}_{kind}_{year}_{month}01_{month}28.h5"
        )
        path = self.root / "data" / file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name("." + path.name + ".part")  # appears whole, as an upload does
        with h5py.File(part, "w") as f:
            if img_type == "lght":
                for number, name in enumerate(ids):
                    f.create_dataset(name, data=flashes(number, 7 * number))
            else:
                data = np.stack(
                    [storm(img_type, n, self.size, self.frames) for n in range(len(ids))]
                )
                f.create_dataset(img_type, data=data, **h5)
                width = max(10, max(map(len, ids)))
                f.create_dataset("id", data=np.array(ids, dtype=f"S{width}"))
        part.rename(path)
        self.files.append(path)
        for index, name in enumerate(ids):
            self.rows.append(self.row(img_type, name, file_name, index, time))
        return path

    def row(self, img_type, name, file_name, index, time):
        is_flash = img_type == "lght"
        size = 48 if is_flash else self.size
        number = index % len(EVENT_TYPES)
        values = (0.0, 453187.0, 0.0)
        if not is_flash:
            data = storm(img_type, index, self.size, self.frames).astype(np.float64)
            missing = data == 255 if img_type == "vil" else np.zeros_like(data, dtype=bool)
            kept = data[~missing] * SCALE[img_type]
            values = (kept.min(), kept.max(), float(missing.mean()))
        first = -5 * (self.frames // 2)
        lat = 33.0 + index % 10
        lon = -100.0 + index % 10
        return dict(
            id=name,
            file_name=file_name,
            file_index=0 if is_flash else index,
            img_type=img_type,
            time_utc=time,
            minute_offsets=""
            if is_flash
            else ":".join(str(first + 5 * f) for f in range(self.frames)),
            episode_id="" if name.startswith("R") else "138793.0",
            event_id="" if name.startswith("R") else f"{800000 + index}.0",
            event_type="" if name.startswith("R") else EVENT_TYPES[number],
            llcrnrlat=lat,
            llcrnrlon=lon,
            urcrnrlat=lat + 3.4,
            urcrnrlon=lon + 4.1,
            proj=PROJ,
            size_x=size,
            size_y=size,
            height_m=384000.0,
            width_m=384000.0,
            data_min=values[0],
            data_max=values[1],
            pct_missing=values[2],
        )

    def write_catalog(self, name="CATALOG.csv", rows=None):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name("." + path.name + ".part")
        with open(part, "w", newline="") as f:
            writer = csv.DictWriter(f, COLUMNS, lineterminator="\n")
            writer.writeheader()
            for row in self.rows if rows is None else rows:
                writer.writerow(
                    {k: "" if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
                )
        part.rename(path)
        return path
