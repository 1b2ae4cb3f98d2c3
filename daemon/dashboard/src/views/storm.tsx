import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { go, href, type Address } from "../address";
import { get, objects, objectUrl, Problem, type Row, type Rows } from "../api";
import { load, type Film } from "../film";
import { TYPE_NAMES, TYPES } from "../filter";
import { count, parse, percent, place, utc } from "../format";
import { useLive } from "../live";
import { Empty, Panel, Time, Trouble } from "../parts/basics";
import { ColorBar, type Colors } from "../parts/colorbar";
import { Lines } from "../parts/lines";
import type { Chart } from "../parts/sql";

interface TypeRow {
  img_type: string;
  file_name: string;
  file_index: number;
  time_utc: string;
  event_type: string;
  bbox: (number | null)[];
  pct_missing: number | null;
  object: string | null;
  frames: Row[];
  sheet: string | null;
  packed: string | null;
  csv: string | null;
  manifest: string | null;
}
interface Storm {
  id: string;
  types: TypeRow[];
  flashes: number[];
}

const STEPS = 49;
const MIDDLE = 24;

function minuteOf(step: number): number {
  return -120 + 5 * step;
}

export function StormView({ address }: { address: Address }) {
  const id = address.args.get("id") ?? "";
  return id ? <OneStorm key={id} id={id} address={address} /> : <Choose />;
}

/* ---- which ---- */

function Choose() {
  const [rows, setRows] = useState<Row[] | null>(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    get<Chart>("/v1/data/events?limit=60").then(
      (chart) => setRows(objects(chart.data)),
      (error: Problem) => setTrouble(error.message),
    );
  }, []);
  return (
    <Panel title="Which storm?">
      <Ask />
      {trouble && <Trouble text={trouble} />}
      {rows?.length === 0 && <Empty>There is no catalog yet: put SEVIR's CATALOG.csv into the raw store.</Empty>}
      <ul class="storm-list">
        {(rows ?? []).map((row) => (
          <li key={row.id}>
            <a href={href("storm", { id: row.id })}>{row.id}</a> <span>{row.event_type}</span>
            <Time at={row.time_utc} seconds={false} className="note" />
            <span class="note">{row.area != null ? `VIL area ${percent(row.area)}` : row.frames ? `${count(row.frames)} frames` : "not extracted"}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Ask({ id = "" }: { id?: string }) {
  const submit = (event: Event) => {
    event.preventDefault();
    const wanted = String(new FormData(event.currentTarget as HTMLFormElement).get("id")).trim();
    if (wanted) go("storm", { id: wanted });
  };
  return (
    <form class="ask" onSubmit={submit}>
      <label class="inline">
        Event id <input type="search" name="id" defaultValue={id} placeholder="S834603" size={16} />
      </label>
      <button type="submit">Show</button>
      {id && <a href={href("storm")}>Others</a>}
    </form>
  );
}

/* ---- one ---- */

function OneStorm({ id, address }: { id: string; address: Address }) {
  const [storm, setStorm] = useState<Storm | null>(null);
  const [colors, setColors] = useState<Record<string, Colors>>({});
  const [trouble, setTrouble] = useState("");
  const [turn, setTurn] = useState(0);
  const [step, setStep] = useState(() => Math.min(STEPS - 1, Math.max(0, Number(address.args.get("frame") ?? MIDDLE) || 0)));
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState(6);
  const { published } = useLive();
  useEffect(() => {
    const stop = new AbortController();
    get<any>(`/v1/storms/${encodeURIComponent(id)}`, stop.signal).then(
      (answer) => {
        setTrouble("");
        setStorm({ ...answer, types: answer.types.map((row: any) => ({ ...row, frames: objects(row.frames as Rows) })) });
      },
      (error: Problem) => !stop.signal.aborted && setTrouble(error.message),
    );
    return () => stop.abort();
  }, [id, turn, published]);
  useEffect(() => {
    get<Record<string, Colors>>("/v1/colors").then(setColors, () => undefined);
  }, []);
  useEffect(() => {
    if (!playing) {
      go("storm", { id, frame: String(step) }, true);
      return;
    }
    const timer = setInterval(() => setStep((at) => (at + 1) % STEPS), 1000 / speed);
    return () => clearInterval(timer);
  }, [playing, speed, playing ? 0 : step]);

  const first = storm?.types[0];
  return (
    <div class="storm-view">
      <div class="storm-head">
        <h2>{id}</h2>
        <div class="storm-what">
          {first && (
            <>
              {first.event_type || "random"} at <Time at={first.time_utc} /> UTC
              {first.bbox.every((n) => n != null) && <>, {place((first.bbox[0]! + first.bbox[2]!) / 2, (first.bbox[1]! + first.bbox[3]!) / 2)}</>}
            </>
          )}
          {trouble && <Trouble text={trouble} again={() => setTurn(turn + 1)} />}
        </div>
        <Ask id={id} />
      </div>
      <Controls step={step} setStep={setStep} playing={playing} setPlaying={setPlaying} speed={speed} setSpeed={setSpeed} time={first?.time_utc} />
      <div class="strip">
        {TYPES.map((type) => (
          <Cell key={type} id={id} type={type} rows={storm?.types.filter((row) => row.img_type === type)} step={step} start={first ? parse(first.time_utc).getTime() : 0} colors={colors[type]} flashes={storm?.flashes} />
        ))}
      </div>
      {storm && <Curves storm={storm} step={step} setStep={setStep} />}
      {storm && <Files storm={storm} />}
    </div>
  );
}

function Controls(props: {
  step: number;
  setStep: (step: number) => void;
  playing: boolean;
  setPlaying: (playing: boolean) => void;
  speed: number;
  setSpeed: (speed: number) => void;
  time: string | undefined;
}) {
  const { step, setStep, playing, setPlaying } = props;
  const minute = minuteOf(step);
  const at = props.time ? utc(new Date(parse(props.time).getTime() + 60000 * minute).toISOString(), false) : "";
  const to = (next: number) => {
    setPlaying(false);
    setStep((next + STEPS) % STEPS);
  };
  return (
    <div class="controls" role="group" aria-label="Playing">
      <button type="button" onClick={() => to(step - 1)} aria-label="One frame back">
        ◀︎
      </button>
      <button type="button" class="play" onClick={() => setPlaying(!playing)} aria-label={playing ? "Pause" : "Play"}>
        {playing ? "❚❚ Pause" : "▶︎ Play"}
      </button>
      <button type="button" onClick={() => to(step + 1)} aria-label="One frame on">
        ▶︎
      </button>
      <input
        type="range"
        min={0}
        max={STEPS - 1}
        value={step}
        aria-label="Frame"
        aria-valuetext={`frame ${step + 1} of ${STEPS}, ${minute} minutes`}
        onInput={(event) => to(Number(event.currentTarget.value))}
      />
      <output class="num" data-frame={step}>
        {step + 1} / {STEPS} · {minute > 0 ? "+" : ""}
        {minute} min{at && ` · ${at} UTC`}
      </output>
      <label class="inline">
        Speed
        <select value={props.speed} onChange={(event) => props.setSpeed(Number(event.currentTarget.value))}>
          {[2, 6, 12, 24].map((fps) => (
            <option key={fps} value={fps}>
              {fps}/s
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

/** Of the frames of one type, the one nearest in time: the types' minutes differ by a few. */
function frameAt(frames: Row[], step: number, total: number, start: number): number {
  const wanted = start + 60000 * minuteOf(step);
  const away = (frame: Row) => (frame.time_utc ? Math.abs(parse(frame.time_utc).getTime() - wanted) : Infinity);
  if (!frames.some((frame) => frame.time_utc)) return Math.min(step, Math.max(0, total - 1));
  return frames.reduce((best, frame, i) => (away(frame) < away(frames[best]) ? i : best), 0);
}

function Cell({ id, type, rows, step, start, colors, flashes }: { start: number; id: string; type: string; rows: TypeRow[] | undefined; step: number; colors: Colors | undefined; flashes: number[] | undefined }) {
  const [chosen, setChosen] = useState(0);
  const row = rows?.[Math.min(chosen, (rows?.length ?? 1) - 1)];
  const total = rows === undefined ? "" : rows.length === 0 ? "none" : "";
  return (
    <figure class="cell-box" data-type={type}>
      <figcaption>
        <strong>{type}</strong> <span class="note">{TYPE_NAMES[type]}</span>
        {rows && rows.length > 1 && (
          <select aria-label={`Which row of ${type}`} value={chosen} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
            {rows.map((r, i) => (
              <option key={i} value={i}>
                row {r.file_index}
              </option>
            ))}
          </select>
        )}
      </figcaption>
      {type === "lght" ? (
        <Flashes id={id} present={Boolean(row)} loaded={rows !== undefined} step={step} colors={colors} counts={flashes} />
      ) : (
        <Pictures key={`${row?.file_name} ${row?.file_index}`} id={id} type={type} row={row} loaded={rows !== undefined} step={step} start={start} />
      )}
      {total === "none" ? <div class="colorbar" /> : <ColorBar type={type} colors={colors} />}
    </figure>
  );
}

function Pictures({ id, type, row, loaded, step, start }: { start: number; id: string; type: string; row: TypeRow | undefined; loaded: boolean; step: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [film, setFilm] = useState<Film | null>(null);
  const [trouble, setTrouble] = useState("");
  const [turn, setTurn] = useState(0);
  const there = row && (row.object !== null || row.frames.some((frame) => frame.image));
  const index = frameAt(row?.frames ?? [], step, film?.frames.length ?? STEPS, start);
  useEffect(() => {
    if (!there) return;
    const stop = new AbortController();
    setTrouble("");
    const side = Math.min(384, Math.ceil((canvas.current?.clientWidth ?? 384) * Math.min(2, devicePixelRatio)));
    load(id, type, row, side, index, stop.signal, setFilm).catch((error: Error) => {
      if (!stop.signal.aborted) setTrouble(error.message);
    });
    return () => stop.abort();
  }, [id, type, row?.file_index, row?.object, row?.frames.length, turn]);
  const bitmap = film?.frames[index];
  useEffect(() => {
    const target = canvas.current;
    if (!bitmap || !target) return;
    if (target.width !== bitmap.width) {
      target.width = bitmap.width;
      target.height = bitmap.height;
    }
    target.getContext("2d")!.drawImage(bitmap, 0, 0);
    target.dataset.drawn = String(index);
  }, [bitmap]);
  const time = row?.frames[index]?.time_utc;
  const text = !loaded
    ? "looking…"
    : !row
      ? "the catalog has none of this event"
      : !there
        ? "its file is not in the raw store"
        : trouble || (film && film.ready > 0 ? "" : film?.made === "now" || row.frames.every((frame) => !frame.image) ? "being made from the raw object…" : "loading…");
  return (
    <div class="picture">
      <canvas ref={canvas} width={384} height={384} role="img" aria-label={`${type} of ${id}, frame ${index + 1}${time ? `, ${time} UTC` : ""}`}></canvas>
      {text && (
        <p class={trouble ? "over reason" : "over note"}>
          {text}{" "}
          {trouble && (
            <button type="button" onClick={() => setTurn(turn + 1)}>
              Try again
            </button>
          )}
        </p>
      )}
      <p class="note under">
        {film && film.ready > 0 ? `${utc(time ?? "").slice(11, 16)}${film.ready < film.frames.length ? ` · ${film.ready} of ${film.frames.length} loaded` : ""}${film.made === "now" ? " · made on demand" : ""}` : " "}
      </p>
    </div>
  );
}

function Flashes({ id, present, loaded, step, colors, counts }: { id: string; present: boolean; loaded: boolean; step: number; colors: Colors | undefined; counts: number[] | undefined }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [grid, setGrid] = useState<Row[] | null>(null);
  useEffect(() => {
    if (!present) return;
    get<Chart>(`/v1/data/flash_grid?${new URLSearchParams({ id })}`).then(
      (chart) => setGrid(objects(chart.data)),
      () => setGrid([]),
    );
  }, [id, present]);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !colors || !grid) return;
    context.fillStyle = colors.stops[0][1];
    context.fillRect(0, 0, 48, 48);
    for (const cell of grid) {
      if (cell.frame !== step) continue;
      context.fillStyle = colors.stops[Math.min(5, cell.flashes)][1];
      context.fillRect(cell.x, 47 - cell.y, 1, 1); // row 0 is south
    }
    canvas.current!.dataset.drawn = String(step);
  }, [grid, step, colors]);
  const text = !loaded ? "looking…" : !present ? "the catalog has none of this event" : grid === null ? "loading…" : grid.length === 0 ? "no flash is known" : "";
  return (
    <div class="picture">
      <canvas ref={canvas} width={48} height={48} class="coarse" role="img" aria-label={`Lightning of ${id}, frame ${step + 1}: ${counts?.[step] ?? 0} flashes`}></canvas>
      {text && <p class="over note">{text}</p>}
      <p class="note under">{present && counts ? `${count(counts[step])} flashes in 5 minutes` : " "}</p>
    </div>
  );
}

function Curves({ storm, step, setStep }: { storm: Storm; step: number; setStep: (step: number) => void }) {
  const start = parse(storm.types[0].time_utc).getTime();
  const at = (minute: number) => new Date(start + 60000 * minute);
  const vil = storm.types.find((row) => row.img_type === "vil" && row.frames.length > 0);
  const area = useMemo(
    () =>
      (["a74", "a133", "a160", "a219"] as const).map((name, i) => ({
        name: `VIL ≥ ${name.slice(1)}`,
        color: ["c2", "c3", "c-bad", "c4"][i],
        points: (vil?.frames ?? []).filter((f) => f.minute_offset != null).map((f) => [at(f.minute_offset), f[name]] as [Date, number | null]),
      })),
    [storm],
  );
  const pick = (when: Date) => setStep(Math.min(STEPS - 1, Math.max(0, Math.round(((when.getTime() - start) / 60000 + 120) / 5))));
  const common = { from: at(-122), to: at(124), cursor: at(minuteOf(step)), onPick: pick, height: 170 };
  return (
    <div class="two">
      <Panel title="VIL area" note="share of the picture at or above a code; click to go there">
        <Lines label="VIL area over time" series={area} format={(v) => percent(v, 0)} none="no VIL was extracted" {...common} />
        <ul class="legend">
          {area.map((s) => (
            <li key={s.name} class={s.color}>
              {s.name}
            </li>
          ))}
        </ul>
      </Panel>
      <Panel title="Flash rate" note="in five minutes">
        <Lines label="Flashes in five minutes over time" series={[{ name: "flashes", color: "c3", bars: true, points: storm.flashes.map((n, i) => [at(minuteOf(i)), n]) }]} format={(v) => count(v)} none="no flashes" {...common} />
      </Panel>
    </div>
  );
}

function Files({ storm }: { storm: Storm }) {
  const link = (key: string | null, name: string) =>
    key ? (
      <a href={objectUrl(key)} target="_blank" rel="noopener" title={key}>
        {name}
      </a>
    ) : (
      <span class="note">–</span>
    );
  return (
    <Panel title="Files" className="gap">
      <div class="scroll" tabIndex={0} role="region" aria-label="Files">
        <table>
          <thead>
            <tr>
              <th>Type</th>
              <th>In</th>
              <th class="num">Row</th>
              <th class="num">Frames</th>
              <th class="num">Missing</th>
              <th>Sheet</th>
              <th>Pictures</th>
              <th>CSV</th>
              <th>Manifest</th>
            </tr>
          </thead>
          <tbody>
            {storm.types.map((row) => (
              <tr key={`${row.img_type} ${row.file_name} ${row.file_index}`}>
                <td>{row.img_type}</td>
                <td>
                  <code class="key">{row.object ?? row.file_name}</code>
                </td>
                <td class="num">{count(row.file_index)}</td>
                <td class="num">{count(row.frames.length)}</td>
                <td class="num">{percent(row.pct_missing)}</td>
                <td>{link(row.sheet, "PNG")}</td>
                <td>{row.packed ? link(row.packed, "ZIP") : row.frames[0]?.image ? <span>{count(row.frames.length)} PNG</span> : <span class="note">{row.img_type === "lght" ? "–" : "on demand"}</span>}</td>
                <td>{link(row.csv, "CSV")}</td>
                <td>{link(row.manifest, "JSON")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="note">
        <a href={`/v1/data/frames?${new URLSearchParams({ id: storm.id, format: "csv" })}`} download={`${storm.id}-frames.csv`}>
          This event's frames as CSV
        </a>
        ,{" "}
        <a href={`/v1/data/flashes?${new URLSearchParams({ id: storm.id, format: "csv" })}`} download={`${storm.id}-flashes.csv`}>
          its flashes
        </a>
      </p>
    </Panel>
  );
}
