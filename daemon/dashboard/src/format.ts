/** Numbers, bytes and times for people. Times are UTC; what hovers over them is local. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function count(value: number | null | undefined): string {
  return value == null || !Number.isFinite(value) ? "–" : whole.format(value);
}

export function number(value: number | null | undefined, digits = 3): string {
  if (value == null || !Number.isFinite(value)) return "–";
  return new Intl.NumberFormat("en", { maximumSignificantDigits: digits }).format(value);
}

export function percent(value: number | null | undefined, digits = 1): string {
  return value == null || !Number.isFinite(value) ? "–" : `${(100 * value).toFixed(digits)} %`;
}

/** Decimal units, as S3 consoles print them. */
export function bytes(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? whole.format(value) : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

export function duration(seconds: number | null | undefined): string {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** "2019-05-12 18:30:00" of either form in which the daemon writes a time. */
export function utc(text: string, seconds = true): string {
  return text.replace("T", " ").slice(0, seconds ? 19 : 16);
}

export function parse(text: string): Date {
  const iso = text.includes("T") ? text : text.replace(" ", "T");
  return new Date(iso.endsWith("Z") ? iso : `${iso}Z`);
}

export function local(text: string): string {
  const date = parse(text);
  return Number.isNaN(date.getTime())
    ? text
    : `${date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" })} (your time)`;
}

/** "26.1° N 97.3° W" */
export function place(lat: number, lon: number): string {
  return `${Math.abs(lat).toFixed(1)}° ${lat < 0 ? "S" : "N"} ${Math.abs(lon).toFixed(1)}° ${lon < 0 ? "W" : "E"}`;
}
