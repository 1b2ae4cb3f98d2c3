import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { go, href, type Address } from "../address";
import { get, objects, Problem, type Row } from "../api";
import { any, apply, LEVELS, read, toggled, TYPE_NAMES, TYPES, write, type Filter } from "../filter";
import { bytes, count, parse, percent } from "../format";
import { useLive } from "../live";
import { Bars } from "../parts/bars";
import { Empty, Panel, Time, Trouble } from "../parts/basics";
import { Lines } from "../parts/lines";
import { BoxFields, EventMap } from "../parts/map";
import { ChartTools, type Chart } from "../parts/sql";

type Charts = Record<string, Chart>;

const AREA_KM2 = 384 * 384;

function useCharts(query: string): { charts: Charts | null; shown: string; trouble: string; busy: boolean; again: () => void } {
  const [charts, setCharts] = useState<Charts | null>(null);
  const [shown, setShown] = useState("-");
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(true);
  const [turn, setTurn] = useState(0);
  const { published } = useLive();
  const latest = useRef(0);
  useEffect(() => {
    const mine = ++latest.current;
    const stop = new AbortController();
    setBusy(true);
    get<{ charts: Charts }>(`/v1/data?${query}`, stop.signal).then(
      (answer) => {
        if (mine !== latest.current) return;
        setCharts(answer.charts);
        setShown(query);
        setTrouble("");
        setBusy(false);
      },
      (error: Problem) => {
        if (mine !== latest.current || stop.signal.aborted) return;
        setTrouble(error.message);
        setBusy(false);
      },
    );
    return () => stop.abort();
  }, [query, turn, published]);
  return { charts, shown, trouble, busy, again: () => setTurn(turn + 1) };
}

export function Data({ address }: { address: Address }) {
  const filter = read(address.args);
  const query = write(filter).toString();
  const { charts, shown, trouble, busy, again } = useCharts(query);
  const set = (part: Partial<Filter>) => apply(address, part);
  const rows = (name: string): Row[] => (charts ? objects(charts[name].data) : []);
  const tools = (name: string) => <ChartTools name={name} query={query} chart={charts?.[name]} />;
  const open = (id: string) => go("storm", { id });
  const tiles = rows("tiles")[0];
  const empty = charts !== null && tiles?.events === 0;
  return (
    <div class={`data ${busy ? "busy" : ""}`} aria-busy={busy} data-shown={shown}>
      <Filters filter={filter} set={set} names={rows("event_types").map((row) => String(row.event_type))} />
      {trouble && (
        <div class="banner">
          <Trouble text={trouble} again={again} />
        </div>
      )}
      <Tiles tiles={tiles} tools={tools("tiles")}>
        {!empty ? (
          <>
            <Time at={tiles?.since ?? null} seconds={false} /> to <Time at={tiles?.until ?? null} seconds={false} />
          </>
        ) : any(filter) ? (
          <>
            No event matches. <a href={href("data")}>Show all</a>
          </>
        ) : (
          <>There is no catalog yet: put SEVIR's CATALOG.csv into the raw store.</>
        )}
      </Tiles>
      <div class="grid3">
        <Types rows={rows("types")} filter={filter} set={set} tools={tools("types")} />
        <EventTypes rows={rows("event_types")} filter={filter} set={set} tools={tools("event_types")} />
        <Months rows={rows("months")} filter={filter} set={set} tools={tools("months")} />
      </div>
      <div class="two">
        <Panel title="Where" note="squares by number of events, boxes of the strongest; drag to filter" tools={<>{tools("cells")}</>}>
          <EventMap cells={rows("cells")} boxes={rows("boxes")} bbox={filter.bbox} onBox={(bbox) => set({ bbox })} onEvent={open} />
          <BoxFields bbox={filter.bbox} onBox={(bbox) => set({ bbox })} />
        </Panel>
        <div class="stack">
          <Strongest rows={rows("strongest")} filter={filter} set={set} tools={tools("strongest")} />
          <Coverage rows={rows("coverage")} tools={tools("coverage")} />
        </div>
      </div>
      <OverTime first={rows("strongest")[0]?.id ?? rows("events")[0]?.id} address={address} />
      <Events rows={rows("events")} total={tiles?.events} tools={tools("events")} filter={filter} set={set} />
    </div>
  );
}

/* ---- filters ---- */

function Filters({ filter, set, names }: { filter: Filter; set: (part: Partial<Filter>) => void; names: string[] }) {
  const all = [...new Set([...filter.eventTypes, ...names])];
  return (
    <form class="filters" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
      <fieldset>
        <legend>Image type</legend>
        {TYPES.map((type) => (
          <button key={type} type="button" aria-pressed={filter.types.includes(type)} title={TYPE_NAMES[type]} onClick={() => set({ types: toggled(filter.types, type) })}>
            {type}
          </button>
        ))}
      </fieldset>
      <label>
        From
        <input type="date" value={filter.from.slice(0, 10)} onChange={(event) => set({ from: event.currentTarget.value })} />
      </label>
      <label>
        to
        <input type="date" value={filter.to.slice(0, 10)} onChange={(event) => set({ to: event.currentTarget.value })} />
      </label>
      <label>
        Event type
        <select value="" onChange={(event) => event.currentTarget.value && set({ eventTypes: toggled(filter.eventTypes, event.currentTarget.value) })}>
          <option value="">{filter.eventTypes.length ? `${filter.eventTypes.length} chosen` : "any"}</option>
          {all.map((name) => (
            <option key={name} value={name}>
              {filter.eventTypes.includes(name) ? "✓ " : ""}
              {name}
            </option>
          ))}
        </select>
      </label>
      <span class="chips">
        {!any(filter) && <span class="note">No filter: all events are shown.</span>}
        {filter.eventTypes.map((name) => (
          <button key={name} type="button" class="chip" onClick={() => set({ eventTypes: toggled(filter.eventTypes, name) })} aria-label={`Without ${name}`}>
            {name} ✕
          </button>
        ))}
        {filter.bbox && (
          <button type="button" class="chip" onClick={() => set({ bbox: null })} aria-label="Without the box">
            box {filter.bbox.map((n) => n.toFixed(1)).join(", ")} ✕
          </button>
        )}
        {filter.q && (
          <button type="button" class="chip" onClick={() => set({ q: "" })} aria-label="Without the id">
            id {filter.q}… ✕
          </button>
        )}
        {any(filter) && (
          <a class="clear" href={href("data")}>
            Show all
          </a>
        )}
      </span>
    </form>
  );
}

/* ---- charts ---- */

function Tiles({ tiles, tools, children }: { tiles: Row | undefined; tools: any; children: ComponentChildren }) {
  const list: [string, string, string, string][] = [
    ["events", "Events", count(tiles?.events), `${count(tiles?.storms)} of them storms`],
    ["rows", "Catalog rows", count(tiles?.rows), "one an event and image type"],
    ["frames", "Frames", count(tiles?.frames), "extracted"],
    ["bytes", "Imagery", bytes(tiles?.bytes), "pixels, as the files hold them"],
    ["storms_with_frames", "Storms with imagery", count(tiles?.storms_with_frames), `of ${count(tiles?.storms)}`],
    ["flashes", "Flashes", count(tiles?.flashes), "of lightning"],
    ["missing", "Missing", percent(tiles?.missing, 2), "mean share of pixels"],
  ];
  return (
    <section class="tiles-box" aria-label="In numbers">
      <dl class="tiles">
        {list.map(([key, name, value, note]) => (
          <div key={key} class="tile">
            <dt>{name}</dt>
            <dd class="value" data-tile={key} data-value={tiles?.[key] ?? ""}>
              {value}
            </dd>
            <dd class="note">{note}</dd>
          </div>
        ))}
      </dl>
      <div class="note tiles-note">
        <span>{children}</span>
        {tools}
      </div>
    </section>
  );
}

interface ChartProps {
  rows: Row[];
  filter: Filter;
  set: (part: Partial<Filter>) => void;
  tools: any;
}

function Types({ rows, filter, set, tools }: ChartProps) {
  return (
    <Panel title="Rows by image type" tools={tools}>
      <Bars
        label="Rows by image type"
        bars={rows.map((row) => ({
          key: row.img_type,
          name: `${row.img_type}, ${TYPE_NAMES[row.img_type]}`,
          label: row.img_type,
          text: count(row.rows),
          parts: [{ name: "rows", value: row.rows, color: "c2" }],
          chosen: filter.types.includes(row.img_type),
        }))}
        onPick={(key) => set({ types: toggled(filter.types, key) })}
      />
    </Panel>
  );
}

function EventTypes({ rows, filter, set, tools }: ChartProps) {
  const types = TYPES.filter((type) => rows[0] && type in rows[0]);
  const most = Math.max(1, ...rows.flatMap((row) => types.map((type) => row[type])));
  return (
    <Panel title="Event type and image type" tools={tools}>
      <div class="scroll crossed" tabIndex={0} role="region" aria-label="Event type and image type">
        <table class="cross">
          <thead>
            <tr>
              <th>Event type</th>
              {types.map((type) => (
                <th key={type} class="num">
                  {type}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.event_type}>
                <th scope="row">
                  <button type="button" class="link" aria-pressed={filter.eventTypes.includes(row.event_type)} onClick={() => set({ eventTypes: toggled(filter.eventTypes, row.event_type) })}>
                    {row.event_type}
                  </button>
                </th>
                {types.map((type) => (
                  <td key={type} class="num heat" data-heat={Math.ceil((8 * row[type]) / most)}>
                    {count(row[type])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function lastDay(month: string): string {
  const [year, number] = month.split("-").map(Number);
  return `${month}-${String(new Date(Date.UTC(year, number, 0)).getUTCDate()).padStart(2, "0")}`;
}

function Months({ rows, filter, set, tools }: ChartProps) {
  const pick = (month: string) => {
    const same = filter.from === `${month}-01` && filter.to === lastDay(month);
    set(same ? { from: "", to: "" } : { from: `${month}-01`, to: lastDay(month) });
  };
  return (
    <Panel title="Events by month" tools={tools}>
      <div class="scroll months" tabIndex={0} role="region" aria-label="Events by month">
        <Bars
          label="Events by month"
          bars={rows.map((row) => ({
            key: row.month,
            name: row.month,
            label: row.month,
            text: count(row.storms + row.random),
            parts: [
              { name: "storms", value: row.storms, color: "c1" },
              { name: "random", value: row.random, color: "c4" },
            ],
            chosen: filter.from.startsWith(row.month) && filter.to.startsWith(row.month),
          }))}
          onPick={pick}
        />
      </div>
      <ul class="legend">
        <li class="c1">storms</li>
        <li class="c4">random</li>
      </ul>
    </Panel>
  );
}

function Strongest({ rows, filter, set, tools }: ChartProps) {
  return (
    <Panel
      title="Strongest by VIL area"
      tools={
        <>
          <label class="inline">
            VIL at least
            <select value={filter.level} onChange={(event) => set({ level: Number(event.currentTarget.value) })}>
              {LEVELS.map((level) => (
                <option key={level} value={level}>
                  {level}
                </option>
              ))}
            </select>
          </label>
          {tools}
        </>
      }
    >
      <div class="twelve">
        {rows.length === 0 ? (
          <Empty>No VIL was extracted of these.</Empty>
        ) : (
          <ol class="strongest">
            {rows.map((row) => (
              <li key={row.id}>
                <a href={href("storm", { id: row.id })}>{row.id}</a>
                <span class="what">
                  {row.event_type} <Time at={row.peak_utc} seconds={false} className="note" />
                </span>
                <meter min={0} max={Math.max(0.0001, rows[0].area)} value={row.area} aria-label={`${row.id}: ${percent(row.area)}`}></meter>
                <span class="num" title={`${count(row.area * AREA_KM2)} km²`}>
                  {percent(row.area)}
                </span>
              </li>
            ))}
          </ol>
        )}
      </div>
    </Panel>
  );
}

function Coverage({ rows, tools }: { rows: Row[]; tools: any }) {
  return (
    <Panel title="Coverage" note="which types how many events have" tools={tools}>
      <div class="scroll coverage" tabIndex={0} role="region" aria-label="Coverage">
        <table>
          <thead>
            <tr>
              {TYPES.map((type) => (
                <th key={type} class="tick">
                  {type}
                </th>
              ))}
              <th class="num">Events</th>
              <th class="num">Extracted</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row, i) => (
              <tr key={i}>
                {TYPES.map((type) => (
                  <td key={type} class={row[type] ? "tick yes" : "tick no"}>
                    {row[type] ? "●" : "·"}
                    <span class="hidden">{row[type] ? "yes" : "no"}</span>
                  </td>
                ))}
                <td class="num">{count(row.events)}</td>
                <td class="num">{count(row.with_frames)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

const STATS = ["mean", "max", "min", "std", "p01", "p10", "p25", "p50", "p75", "p90", "p99", "valid", ...LEVELS.map((level) => `a${level}`)];

function OverTime({ first, address }: { first: string | undefined; address: Address }) {
  const [stat, setStat] = useState("mean");
  const [type, setType] = useState("vil");
  const [typed, setTyped] = useState("");
  const [chart, setChart] = useState<Chart | null>(null);
  const [trouble, setTrouble] = useState("");
  const id = typed || first || "";
  const query = new URLSearchParams({ id, img_type: type, stat }).toString();
  useEffect(() => {
    if (!id) return;
    const stop = new AbortController();
    get<Chart>(`/v1/data/stat?${query}`, stop.signal).then(
      (answer) => (setChart(answer), setTrouble("")),
      (error: Problem) => !stop.signal.aborted && setTrouble(error.message),
    );
    return () => stop.abort();
  }, [query, address.args.toString()]);
  const rows = chart ? objects(chart.data) : [];
  const timed = rows.filter((row) => row.time_utc);
  const share = stat === "valid" || stat.startsWith("a");
  return (
    <Panel
      title="A statistic over time"
      className="gap"
      line={id ? <a href={href("storm", { id })}>{id}</a> : ""}
      tools={
        <>
          <label class="inline">
            Event
            <input type="text" size={16} placeholder={first} value={typed} onChange={(event) => setTyped(event.currentTarget.value.trim())} />
          </label>
          <label class="inline">
            Type
            <select value={type} onChange={(event) => setType(event.currentTarget.value)}>
              {TYPES.filter((t) => t !== "lght").map((t) => (
                <option key={t}>{t}</option>
              ))}
            </select>
          </label>
          <label class="inline">
            Statistic
            <select value={stat} onChange={(event) => setStat(event.currentTarget.value)}>
              {STATS.map((s) => (
                <option key={s}>{s}</option>
              ))}
            </select>
          </label>
          <ChartTools name="stat" query={query} chart={chart ?? undefined} />
        </>
      }
    >
      <Lines
        label={`${stat} of ${type} of event ${id} over time`}
        height={200}
        from={timed.length ? parse(timed[0].time_utc) : undefined}
        to={timed.length ? parse(timed[timed.length - 1].time_utc) : undefined}
        zero={share}
        format={share ? (v) => percent(v, 0) : (v) => String(Math.round(v * 1000) / 1000)}
        series={[
          {
            name: stat,
            color: "c2",
            points: timed.map((row) => [parse(row.time_utc), row.value]),
            band: share ? undefined : timed.filter((row) => row.p10 != null && row.p90 != null).map((row) => [parse(row.time_utc), row.p10, row.p90]),
          },
        ]}
      />
      <ul class="legend">
        <li class="c2">{stat}</li>
        {trouble ? (
          <li class="unit trouble" role="alert">
            {trouble}
          </li>
        ) : (
          !share && <li class="unit">band: p10 to p90</li>
        )}
      </ul>
    </Panel>
  );
}

function Events({ rows, total, tools, filter, set }: { rows: Row[]; total: number | undefined; tools: any; filter: Filter; set: (part: Partial<Filter>) => void }) {
  return (
    <Panel
      title="Events"
      className="gap"
      line={total !== undefined && total > rows.length ? `the first ${rows.length} of ${count(total)}, strongest first` : "strongest first"}
      tools={
        <>
          <label class="inline">
            Id begins with
            <input type="search" size={12} value={filter.q} onChange={(event) => set({ q: event.currentTarget.value.trim() })} />
          </label>
          {tools}
        </>
      }
    >
      <div class="scroll events" tabIndex={0} role="region" aria-label="Events">
        <table>
          <thead>
            <tr>
              <th>Id</th>
              <th>Time</th>
              <th>Event type</th>
              {TYPES.map((type) => (
                <th key={type} class="tick">
                  {type}
                </th>
              ))}
              <th class="num">Frames</th>
              <th class="num">Flashes</th>
              <th class="num">Area</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.id} data-id={row.id}>
                <td>
                  <a href={href("storm", { id: row.id })}>{row.id}</a>
                </td>
                <td>
                  <Time at={row.time_utc} seconds={false} />
                </td>
                <td>{row.event_type}</td>
                {TYPES.map((type) => (
                  <td key={type} class={row[type] ? "tick yes" : "tick no"}>
                    {row[type] ? "●" : "·"}
                    <span class="hidden">{row[type] ? "yes" : "no"}</span>
                  </td>
                ))}
                <td class="num">{count(row.frames)}</td>
                <td class="num">{count(row.flashes)}</td>
                <td class="num">{percent(row.area)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
