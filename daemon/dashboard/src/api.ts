/** Requests to the daemon that served this page; nothing here asks anybody else. */

export class Problem extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

async function problemOf(answer: Response): Promise<Problem> {
  try {
    const document = await answer.json();
    return new Problem(answer.status, String(document.detail ?? document.title));
  } catch {
    return new Problem(answer.status, `the daemon answered ${answer.status}`);
  }
}

/** JSON of a GET. Rejects with a Problem; status 0 when there was no answer at all. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const deadline = AbortSignal.timeout ? AbortSignal.timeout(20000) : undefined;
  let answer: Response;
  try {
    answer = await fetch(path, { signal: signal ?? deadline, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "the daemon does not answer");
  }
  if (!answer.ok) throw await problemOf(answer);
  return (await answer.json()) as T;
}

/** A table as the daemon sends them: names, then rows in their order. */
export interface Rows {
  columns: string[];
  rows: Cell[][];
}
export type Cell = string | number | null;

export type Row = Record<string, any>;

export function objects(rows: Rows): Row[] {
  return rows.rows.map((row) => Object.fromEntries(rows.columns.map((name, i) => [name, row[i]])));
}

/** The address of an object of the processed store; each part of its key is escaped. */
export function objectUrl(key: string): string {
  return "/v1/objects/" + key.split("/").map(encodeURIComponent).join("/");
}
