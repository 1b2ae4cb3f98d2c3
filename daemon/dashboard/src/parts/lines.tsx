/** Lines over time, drawn in place: the axes keep their size, so nothing jumps while data comes. */
import { area, line } from "d3-shape";
import { scaleLinear, scaleUtc } from "d3-scale";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

export interface Series {
  name: string;
  color: string; // a class of app.css: "c1", "c2", ...
  points: [Date, number | null][];
  band?: [Date, number, number][];
  bars?: boolean;
}

export function useWidth(start = 600): [preact.RefObject<HTMLDivElement>, number] {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(start);
  useLayoutEffect(() => {
    const element = ref.current!;
    const observer = new ResizeObserver(() => setWidth(Math.max(200, element.clientWidth)));
    observer.observe(element);
    setWidth(Math.max(200, element.clientWidth));
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

const clock = (date: Date) => date.toISOString().slice(11, 16);

export function Lines(props: {
  label: string;
  series: Series[];
  height?: number;
  from?: Date;
  to?: Date;
  format: (value: number) => string;
  cursor?: Date;
  onPick?: (at: Date) => void;
  zero?: boolean;
  none?: string;
}) {
  const [ref, width] = useWidth();
  const height = props.height ?? 160;
  const box = { left: 56, right: 8, top: 8, bottom: 22 };
  const all = props.series.flatMap((s) => s.points).filter((p) => p[1] != null) as [Date, number][];
  const bands = props.series.flatMap((s) => s.band ?? []);
  const times = all.map((p) => p[0].getTime());
  const from = props.from ?? new Date(Math.min(...times, Date.now()));
  const to = props.to ?? new Date(Math.max(...times, from.getTime() + 60000));
  const highs = [...all.map((p) => p[1]), ...bands.map((b) => b[2])];
  const lows = [...all.map((p) => p[1]), ...bands.map((b) => b[1])];
  const empty = all.length === 0 || (props.series.every((s) => s.bars) && all.every((p) => p[1] === 0));
  const high = empty ? 1 : Math.max(...highs, props.zero === false ? -Infinity : 0);
  const low = empty ? 0 : props.zero === false ? Math.min(...lows) : Math.min(0, ...lows);
  const x = scaleUtc([from, to], [box.left, width - box.right]);
  const y = scaleLinear(high === low ? [low, low + 1] : [low, high], [height - box.bottom, box.top]).nice(4);
  const path = line<[Date, number | null]>((p) => x(p[0]), (p) => y(p[1]!)).defined((p) => p[1] != null);
  const ribbon = area<[Date, number, number]>((p) => x(p[0]), (p) => y(p[1]), (p) => y(p[2]));
  const pick = (event: MouseEvent) => {
    const rect = (event.currentTarget as Element).getBoundingClientRect();
    props.onPick?.(x.invert(event.clientX - rect.left));
  };
  return (
    <div class="lines" ref={ref}>
      <svg width={width} height={height} role="img" aria-label={props.label} onClick={pick} class={props.onPick ? "pick" : ""}>
        {y.ticks(4).map((tick) => (
          <g key={tick} class="grid">
            <line x1={box.left} x2={width - box.right} y1={y(tick)} y2={y(tick)} />
            <text x={box.left - 6} y={y(tick)} dy="0.32em" text-anchor="end">
              {empty ? "" : props.format(tick)}
            </text>
          </g>
        ))}
        {x.ticks(Math.max(2, width / 110)).filter((tick) => x(tick) < width - 20 && x(tick) > box.left + 12).map((tick) => (
          <g key={tick.getTime()} class="grid">
            <text x={x(tick)} y={height - 6} text-anchor="middle">
              {clock(tick)}
            </text>
          </g>
        ))}
        {props.series.map((series) => (
          <g key={series.name} class={series.color}>
            {series.band && <path class="band" d={ribbon(series.band) ?? ""} />}
            {series.bars ? (
              series.points.map(
                (p) =>
                  p[1] != null && (
                    <line key={p[0].getTime()} class="bar" x1={x(p[0])} x2={x(p[0])} y1={y(0)} y2={y(p[1])}>
                      <title>{`${p[0].toISOString().slice(0, 16).replace("T", " ")} UTC: ${props.format(p[1])}`}</title>
                    </line>
                  ),
              )
            ) : (
              <path class="line" d={path(series.points) ?? ""} />
            )}
          </g>
        ))}
        {props.cursor && <line class="cursor" x1={x(props.cursor)} x2={x(props.cursor)} y1={box.top} y2={height - box.bottom} />}
        {empty && (
          <text class="none" x={width / 2} y={height / 2} text-anchor="middle">
            {props.none ?? "nothing yet"}
          </text>
        )}
      </svg>
    </div>
  );
}
