/** The data view's filter: it lives in the address, and every chart is asked with it. */
import { go, type Address } from "./address";

export const TYPES = ["vis", "ir069", "ir107", "vil", "lght"] as const;
export const TYPE_NAMES: Record<string, string> = {
  vis: "visible",
  ir069: "water vapour, 6.9 µm",
  ir107: "infrared, 10.7 µm",
  vil: "vertically integrated liquid",
  lght: "lightning",
};
export const LEVELS = [16, 74, 133, 160, 181, 219];

export interface Filter {
  from: string;
  to: string;
  types: string[];
  eventTypes: string[];
  bbox: number[] | null;
  q: string;
  level: number;
}

export function read(args: URLSearchParams): Filter {
  const bbox = (args.get("bbox") ?? "").split(",").map(Number);
  return {
    from: args.get("from") ?? "",
    to: args.get("to") ?? "",
    types: (args.get("type") ?? "").split(",").filter((t) => (TYPES as readonly string[]).includes(t)),
    eventTypes: args.getAll("event_type"),
    bbox: bbox.length === 4 && bbox.every(Number.isFinite) && bbox[0] <= bbox[2] && bbox[1] <= bbox[3] ? bbox : null,
    q: args.get("q") ?? "",
    level: LEVELS.includes(Number(args.get("level"))) ? Number(args.get("level")) : 133,
  };
}

export function write(filter: Filter): URLSearchParams {
  const args = new URLSearchParams();
  if (filter.from) args.set("from", filter.from);
  if (filter.to) args.set("to", filter.to);
  if (filter.types.length) args.set("type", filter.types.join(","));
  filter.eventTypes.forEach((name) => args.append("event_type", name));
  if (filter.bbox) args.set("bbox", filter.bbox.map((n) => String(Math.round(n * 100) / 100)).join(","));
  if (filter.q) args.set("q", filter.q);
  if (filter.level !== 133) args.set("level", String(filter.level));
  return args;
}

export function apply(address: Address, part: Partial<Filter>) {
  go("data", write({ ...read(address.args), ...part }));
}

export function any(filter: Filter): boolean {
  return Boolean(filter.from || filter.to || filter.types.length || filter.eventTypes.length || filter.bbox || filter.q);
}

export function toggled(list: string[], item: string): string[] {
  return list.includes(item) ? list.filter((other) => other !== item) : [...list, item];
}
