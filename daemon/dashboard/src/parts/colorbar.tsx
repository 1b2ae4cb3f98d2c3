/** Colour bars in physical units, from the very colours of the pictures. */
import { number } from "../format";

export interface Colors {
  name: string;
  unit: string;
  boxes: boolean;
  scale: number;
  stops: [number, string][];
}

/** Of a VIL code, as SEVIR's tutorial has it. */
export function kgm2(code: number): number {
  if (code <= 5) return 0;
  return code <= 18 ? (code - 2) / 90.66 : Math.exp((code - 83.9) / 38.9);
}

function labelOf(type: string, colors: Colors, code: number): string {
  if (type === "vil") return code === 0 ? "0" : number(kgm2(code), 2);
  return number(code * colors.scale, 3);
}

export function ColorBar({ type, colors }: { type: string; colors: Colors | undefined }) {
  if (!colors) return <div class="colorbar" />;
  const unit = type === "vil" ? "kg/m²" : colors.unit;
  const stops = colors.stops;
  const labels = colors.boxes ? stops.map((_, i) => i).filter((i) => stops.length < 8 || i % 2 === 0) : [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * (stops.length - 1)));
  const width = 100 / stops.length;
  return (
    <div class="colorbar" role="img" aria-label={`Colours from ${labelOf(type, colors, stops[0][0])} to ${labelOf(type, colors, stops[stops.length - 1][0])} ${unit}`}>
      <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        {stops.map(([code, color], i) => (
          <rect key={code} x={i * width} y={0} width={width + 0.2} height={6} fill={color} />
        ))}
      </svg>
      <svg class="colorbar-labels" width="100%" height="16" aria-hidden="true">
        {labels.map((i) => (
          <text key={i} x={`${colors.boxes ? i * width : Math.min(Math.max((100 * i) / (stops.length - 1), 0), 100)}%`} y={12} text-anchor={i === 0 ? "start" : !colors.boxes && i === stops.length - 1 ? "end" : "middle"}>
            {type === "lght" && i === stops.length - 1 ? "5+" : labelOf(type, colors, stops[i][0])}
          </text>
        ))}
      </svg>
      <span class="note">{unit}</span>
    </div>
  );
}
