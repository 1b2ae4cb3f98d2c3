/** Horizontal bars, each a button that filters by it. */
import type { ComponentChildren } from "preact";

export interface Bar {
  key: string;
  label: ComponentChildren;
  name: string;
  parts: { value: number; color: string; name: string }[];
  text: string;
  chosen?: boolean;
  faded?: boolean;
}

export function Bars({ bars, onPick, most, label }: { bars: Bar[]; onPick?: (key: string) => void; most?: number; label: string }) {
  const high = most ?? Math.max(1, ...bars.map((bar) => bar.parts.reduce((sum, part) => sum + part.value, 0)));
  return (
    <ul class="bars" aria-label={label}>
      {bars.map((bar) => {
        const inner = (
          <>
            <span class="bar-label">{bar.label}</span>
            <svg class="bar-track" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
              {
                bar.parts.reduce<{ x: number; rects: any[] }>(
                  (so, part) => {
                    const width = (100 * part.value) / high;
                    so.rects.push(<rect key={part.name} class={part.color} x={so.x} y={0} width={Math.max(width, part.value > 0 ? 0.4 : 0)} height={10} fill="currentColor" />);
                    return { x: so.x + width, rects: so.rects };
                  },
                  { x: 0, rects: [] },
                ).rects
              }
            </svg>
            <span class="bar-text num">{bar.text}</span>
          </>
        );
        return (
          <li key={bar.key} class={bar.faded ? "faded" : ""}>
            {onPick ? (
              <button type="button" class="bar-row" aria-pressed={bar.chosen ?? false} onClick={() => onPick(bar.key)} aria-label={`${bar.name}: ${bar.text}`} title={bar.parts.map((p) => `${p.name}: ${p.value.toLocaleString("en")}`).join("\n")}>
                {inner}
              </button>
            ) : (
              <div class="bar-row">{inner}</div>
            )}
          </li>
        );
      })}
    </ul>
  );
}
