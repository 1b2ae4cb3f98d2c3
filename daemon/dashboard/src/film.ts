/**
 * The pictures of an event's frames, from wherever they are: published one by one, published in one
 * archive, or made by the daemon on demand (an archive too). Kept small: as large as they are shown.
 */
import { objectUrl, Problem, type Row } from "./api";

/** The members of a ZIP whose members are stored, as the daemon writes it. */
export function unzip(bytes: ArrayBuffer): Map<string, Blob> {
  const view = new DataView(bytes);
  let end = bytes.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new Error("no archive");
  const found = new Map<string, Blob>();
  let at = view.getUint32(end + 16, true);
  for (let n = view.getUint16(end + 10, true); n > 0; n--) {
    if (view.getUint32(at, true) !== 0x02014b50 || view.getUint16(at + 10, true) !== 0) throw new Error("no archive of ours");
    const size = view.getUint32(at + 24, true);
    const nameLength = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(new Uint8Array(bytes, at + 46, nameLength));
    const local = view.getUint32(at + 42, true);
    const from = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    found.set(name, new Blob([new Uint8Array(bytes, from, size)], { type: "image/png" }));
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return found;
}

async function fetched(url: string, signal: AbortSignal, patience = 8): Promise<Response> {
  for (;;) {
    let answer: Response;
    try {
      answer = await fetch(url, { signal });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Problem(0, "the daemon does not answer");
    }
    if (answer.ok) return answer;
    let detail = `the daemon answered ${answer.status}`;
    try {
      detail = (await answer.json()).detail;
    } catch {
      // the status has to do
    }
    if (answer.status !== 503 || patience-- <= 0) throw new Problem(answer.status, detail);
    await new Promise((done) => setTimeout(done, 2000)); // its memory is in use; ask again
  }
}

export interface Film {
  frames: (ImageBitmap | undefined)[];
  ready: number;
  made: "published" | "packed" | "now";
}

async function shrunk(blob: Blob, side: number): Promise<ImageBitmap> {
  const whole = await createImageBitmap(blob);
  if (whole.width <= side && whole.height <= side) return whole;
  const small = await createImageBitmap(whole, { resizeWidth: side, resizeHeight: side, resizeQuality: "medium" });
  whole.close();
  return small;
}

/** From the middle outwards what is seen first. */
function order(count: number, first: number): number[] {
  return [...Array(count).keys()].sort((a, b) => Math.abs(a - first) - Math.abs(b - first));
}

export async function load(
  id: string,
  type: string,
  row: { file_index: number; frames: Row[] },
  side: number,
  first: number,
  signal: AbortSignal,
  tell: (film: Film) => void,
): Promise<void> {
  const images = row.frames.map((frame) => frame.image as string | null);
  const packed = images.find((image) => image?.includes("#"));
  const film: Film = { frames: [], ready: 0, made: "published" };
  const take = async (index: number, blob: Blob) => {
    film.frames[index] = await shrunk(blob, side);
    film.ready++;
    tell({ ...film });
  };
  if (images.length > 0 && !packed && images.every(Boolean)) {
    film.frames = Array(images.length).fill(undefined);
    const queue = order(images.length, first);
    const worker = async () => {
      for (let index = queue.shift(); index !== undefined; index = queue.shift()) {
        if (signal.aborted) return;
        await take(index, await (await fetched(objectUrl(images[index]!), signal)).blob());
      }
    };
    await Promise.all([worker(), worker()]);
    return;
  }
  film.made = packed ? "packed" : "now";
  const url = packed ? objectUrl(packed.split("#")[0]) : `/v1/storms/${encodeURIComponent(id)}/film?type=${type}&file_index=${row.file_index}`;
  const members = [...unzip(await (await fetched(url, signal)).arrayBuffer())].filter(([name]) => /^f\d+\.png$/.test(name));
  film.frames = Array(members.length).fill(undefined);
  for (const index of order(members.length, first)) {
    if (signal.aborted) return;
    await take(index, members[index][1]);
  }
}
