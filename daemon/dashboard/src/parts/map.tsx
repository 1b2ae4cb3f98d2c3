/** The events on the map: a square a degree by how many there are, boxes of the strongest, and a box
 * of one's own that filters. */
import { geoAlbers, geoPath } from "d3-geo";
import { scaleSqrt } from "d3-scale";
import { useMemo, useRef, useState } from "preact/hooks";
import { feature, mesh } from "topojson-client";
import atlas from "us-atlas/states-10m.json";
import type { Row } from "../api";
import { count, percent, place } from "../format";
import { useWidth } from "./lines";

let known: { land: any; borders: any } | undefined;

/** The 48 states below Canada, which are what SEVIR sees. Made when a map is first drawn. */
function country() {
  const topology = atlas as any;
  const states = {
    ...topology.objects.states,
    geometries: topology.objects.states.geometries.filter((g: any) => !["02", "15", "60", "66", "69", "72", "78"].includes(String(g.id))),
  };
  known ??= { land: feature(topology, states), borders: mesh(topology, states, (a, b) => a !== b) };
  return known;
}

/** A projection that fits a width, and the country in it: not for the width before the first measure. */
function drawing(width: number, height: number) {
  const { land, borders } = country();
  const projection = geoAlbers().fitExtent([[4, 4], [width - 4, height - 4]], land);
  const path = geoPath(projection);
  return { projection, path, ground: path(land) ?? "", lines: path(borders) ?? "" };
}

/** Counterclockwise on the sphere as d3-geo wants it: small, not all the rest of the world. */
function box(lat0: number, lon0: number, lat1: number, lon1: number): any {
  const top: number[][] = [];
  const bottom: number[][] = [];
  for (let i = 0; i <= 8; i++) {
    const lon = lon0 + ((lon1 - lon0) * i) / 8;
    bottom.push([lon, lat0]);
    top.push([lon, lat1]);
  }
  return { type: "Polygon", coordinates: [[...top, ...bottom.reverse(), top[0]]] };
}

interface MapProps {
  cells: Row[];
  boxes: Row[];
  bbox: number[] | null;
  onBox: (bbox: number[] | null) => void;
  onEvent: (id: string) => void;
}

export function EventMap(props: MapProps) {
  const [ref, width] = useWidth(0);
  return (
    <div class="map" ref={ref}>
      {width > 0 && <Drawn {...props} width={width} />}
    </div>
  );
}

function Drawn(props: MapProps & { width: number }) {
  const { width } = props;
  const svg = useRef<SVGSVGElement>(null);
  const [drag, setDrag] = useState<number[] | null>(null);
  const height = Math.round(width * 0.63);
  const { path, projection, ground, lines } = useMemo(() => drawing(width, height), [width, height]);
  const most = Math.max(1, ...props.cells.map((cell) => cell.events));
  const shade = scaleSqrt([0, most], [0, 0.75]);
  const cells = useMemo(
    () => props.cells.map((cell) => ({ cell, d: path(box(cell.lat, cell.lon, cell.lat + 1, cell.lon + 1)) })),
    [props.cells, path],
  );
  const few = props.boxes.length <= 60;
  const boxes = useMemo(() => props.boxes.slice(0, 250).map((row) => ({ row, d: path(box(row.lat0, row.lon0, row.lat1, row.lon1)) })), [props.boxes, path]);

  const at = (event: PointerEvent) => {
    const rect = svg.current!.getBoundingClientRect();
    return [event.clientX - rect.left, event.clientY - rect.top];
  };
  const corners = (drag: number[]) => {
    const points = [[drag[0], drag[1]], [drag[2], drag[1]], [drag[0], drag[3]], [drag[2], drag[3]]].map((p) => projection.invert!(p as [number, number])!);
    const lons = points.map((p) => p[0]);
    const lats = points.map((p) => p[1]);
    return [Math.min(...lats), Math.min(...lons), Math.max(...lats), Math.max(...lons)];
  };
  const chosen = props.bbox && path(box(props.bbox[0], props.bbox[1], props.bbox[2], props.bbox[3]));
  return (
    <svg
      ref={svg}
      width={width}
      height={height}
      role="img"
      aria-label={`Map: ${count(props.cells.reduce((sum, cell) => sum + cell.events, 0))} events by place. Drag a box to filter; the fields below do the same.`}
      onPointerDown={(event) => {
        if (event.pointerType === "touch") return; // a finger scrolls the page
        const [x, y] = at(event);
        setDrag([x, y, x, y]);
        svg.current!.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        if (drag) {
          const [x, y] = at(event);
          setDrag([drag[0], drag[1], x, y]);
        }
      }}
      onPointerUp={() => {
        if (drag && Math.abs(drag[2] - drag[0]) > 6 && Math.abs(drag[3] - drag[1]) > 6) props.onBox(corners(drag));
        setDrag(null);
      }}
    >
      <path class="land" d={ground} />
      {cells.map(({ cell, d }) => (
        <path key={`${cell.lat} ${cell.lon}`} class="cell" d={d ?? ""} fill-opacity={0.12 + shade(cell.events)}>
          <title>{`${place(cell.lat + 0.5, cell.lon + 0.5)}: ${count(cell.events)} events, ${count(cell.storms)} of them storms`}</title>
        </path>
      ))}
      <path class="borders" d={lines} />
      {boxes.map(({ row, d }) => (
        <path key={row.id} class={few ? "event-box" : "event-box many"} d={d ?? ""} onClick={() => few && props.onEvent(row.id)}>
          <title>{`${row.id}, ${row.event_type}, ${row.time_utc}${row.area != null ? `, area ${percent(row.area)}` : ""}`}</title>
        </path>
      ))}
      {chosen && <path class="chosen-box" d={chosen} />}
      {drag && <rect class="chosen-box" x={Math.min(drag[0], drag[2])} y={Math.min(drag[1], drag[3])} width={Math.abs(drag[2] - drag[0])} height={Math.abs(drag[3] - drag[1])} />}
    </svg>
  );
}

const SIDES = ["south", "west", "north", "east"];

/** The same box by keyboard. */
export function BoxFields({ bbox, onBox }: { bbox: number[] | null; onBox: (bbox: number[] | null) => void }) {
  const [wrong, setWrong] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const numbers = SIDES.map((side) => Number(String(data.get(side)).trim() || NaN));
    if (numbers.every(Number.isNaN)) {
      setWrong("");
      onBox(null);
    } else if (!numbers.every(Number.isFinite) || numbers[0] > numbers[2] || numbers[1] > numbers[3]) {
      setWrong("four numbers: south below north, west before east");
    } else {
      setWrong("");
      onBox(numbers);
    }
  };
  return (
    <form class="box-fields" onSubmit={submit} aria-label="Box on the map">
      {SIDES.map((side, i) => (
        <label key={side}>
          {side}
          <input key={bbox?.[i] ?? "none"} name={side} type="text" inputMode="decimal" size={6} defaultValue={bbox ? String(Math.round(bbox[i] * 100) / 100) : ""} />
        </label>
      ))}
      <button type="submit">Set box</button>
      {bbox && (
        <button type="button" onClick={() => onBox(null)}>
          Clear box
        </button>
      )}
      {wrong && (
        <span class="reason" role="alert">
          {wrong}
        </span>
      )}
    </form>
  );
}
