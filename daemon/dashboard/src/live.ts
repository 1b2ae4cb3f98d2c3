/**
 * What the daemon is doing now: looked at again whenever its event stream says that something
 * happened, and every few seconds besides.
 *
 * A browser opens few connections to one host, and the daemon few streams. So the pages of one
 * browser share one stream: the page that holds a lock reads it and tells the others. Where there are
 * no locks (plain HTTP to another machine) each visible page has its own; where the daemon has no
 * stream left, a page lives on looks alone.
 */
import { useEffect, useState } from "preact/hooks";
import { get, type Rows } from "./api";

export interface Failure {
  job: number;
  key: string;
  to: string;
  at: string;
  reason: string;
  class: string;
}
export interface Status {
  version: string;
  pid: number;
  phase: string;
  paused: boolean;
  idle: boolean;
  started: string;
  uptime_s: number;
  raw: string;
  processed: string;
  jobs: Record<string, number>;
  working: number;
  refused: number;
  oldest: { state: string; age_s: number } | null;
  workers: { width: number; running: number; queued: number };
  memory: { limit: number; granted: number; waiting: number };
  totals: Record<string, number>;
  error: { text: string; time: string } | null;
  queues: { url: string; received: number; unread: number; lost: number; last_receive: string | null; error: string | null }[];
  last_errors: Failure[];
}
export interface Counts {
  listed: number;
  known: number;
  queued: number;
  gone: number;
  refused: number;
}
export interface Source {
  name: string;
  on: boolean;
  looking: boolean;
  looks: number;
  began: string | null;
  ended: string | null;
  watches: number;
  overflows: number;
  settling: number;
  counts: Counts | null;
  error: string | null;
  error_since: string | null;
}
export interface Sources {
  sources: Source[];
  reconciled: { at: string; listed: number; known: number; missing: number; gone: number; refused: number } | null;
}
export interface History {
  samples: Rows;
  minutes: Rows;
}
export interface Happening {
  id: number;
  kind: string;
  at: string;
  data: Record<string, any>;
}
export interface Live {
  status: Status | null;
  sources: Sources | null;
  history: History | null;
  quarantined: Record<string, any>[];
  messages: Record<string, any>[];
  moves: Happening[];
  /** Since when it does not answer; null while it does. */
  lost: Date | null;
  /** "stream": told at once. "looks": every few seconds. */
  mode: "stream" | "looks";
  /** Counts up when a job was published: what the catalog has may be new. */
  published: number;
}

const MOVES = 40;
const LOOK_MS = 4000;
const SLOW_LOOK_MS = 15000;
const SHOW_MS = 60;

let live: Live = {
  status: null,
  sources: null,
  history: null,
  quarantined: [],
  messages: [],
  moves: [],
  lost: null,
  mode: "looks",
  published: 0,
};
const listeners = new Set<(live: Live) => void>();

function change(part: Partial<Live>) {
  live = { ...live, ...part };
  listeners.forEach((listener) => listener(live));
}

export function useLive(): Live {
  const [state, setState] = useState(live);
  useEffect(() => {
    listeners.add(setState);
    setState(live);
    return () => void listeners.delete(setState);
  }, []);
  return state;
}

/* ---- looks ---- */

let looking = false;
let lookAgain = false;
let slowAt = 0;

async function look(everything: boolean) {
  if (looking) {
    lookAgain = true;
    return;
  }
  looking = true;
  try {
    const started = live.status?.started;
    const status = await get<Status>("/v1/status");
    const part: Partial<Live> = { status, lost: null };
    if (started && started !== status.started) part.moves = []; // another daemon, other ids
    const was = live.status;
    if (was && (status.totals.done !== was.totals.done || status.jobs.DONE !== was.jobs.DONE)) {
      part.published = live.published + 1;
    }
    const slow = everything || live.lost !== null || Date.now() - slowAt > SLOW_LOOK_MS;
    if (slow || status.jobs.QUARANTINED !== was?.jobs.QUARANTINED) {
      const bad = await get<any>("/v1/quarantine?limit=20");
      part.quarantined = bad.jobs;
      part.messages = bad.messages;
    }
    if (slow) {
      slowAt = Date.now();
      [part.sources, part.history] = await Promise.all([get<Sources>("/v1/sources"), get<History>("/v1/history")]);
    }
    change(part);
  } catch {
    change({ lost: live.lost ?? new Date() });
  } finally {
    looking = false;
    if (lookAgain) {
      lookAgain = false;
      lookSoon(false);
    }
  }
}

let soon: number | undefined;
function lookSoon(everything: boolean) {
  clearTimeout(soon);
  soon = window.setTimeout(() => look(everything), 200);
}

/* ---- the stream ---- */

let source: EventSource | null = null;
let last = 0;
const channel = "BroadcastChannel" in window ? new BroadcastChannel("sevird") : null;

/* Many come at once, and one drawing shows them all. */
let fresh: Happening[] = [];

function showFresh() {
  const moves = fresh.filter((happening) => happening.kind === "transition" || happening.kind === "sighting");
  fresh = [];
  if (moves.length > 0) change({ moves: [...moves, ...live.moves].slice(0, MOVES), mode: "stream" });
  lookSoon(false);
}

function heard(happening: Happening) {
  if ([...fresh, ...live.moves].some((move) => move.id === happening.id && move.at === happening.at)) return;
  if (fresh.length === 0) setTimeout(showFresh, SHOW_MS);
  fresh.unshift(happening);
}

function tell(kind: string, message: MessageEvent) {
  let data: Record<string, any>;
  try {
    data = JSON.parse(message.data);
  } catch {
    return;
  }
  const happening = { id: Number(message.lastEventId), kind, at: data.at ?? new Date().toISOString(), data };
  last = happening.id;
  heard(happening);
  channel?.postMessage({ happening });
}

function open() {
  if (source !== null) return;
  // The last events are still kept: a page that opens shows what has just happened.
  source = new EventSource(`/v1/events?after=${last}`);
  for (const kind of ["transition", "sighting", "source", "daemon"]) {
    source.addEventListener(kind, (event) => tell(kind, event as MessageEvent));
  }
  source.onopen = () => {
    change({ mode: "stream" });
    channel?.postMessage({ mode: "stream" });
    lookSoon(true);
  };
  source.onerror = () => {
    lookSoon(false);
    if (source?.readyState === EventSource.CLOSED) {
      close();
      change({ mode: "looks" }); // refused: too many streams, or it is on its way down
      setTimeout(() => wanted() && open(), SLOW_LOOK_MS);
    }
  };
}

function close() {
  source?.close();
  source = null;
}

let leads = false;
function wanted(): boolean {
  return leads && document.visibilityState === "visible";
}

/** Hold the lock while this page is seen; a page that is not lets another have it. */
function lead() {
  if (!("locks" in navigator) || channel === null) {
    leads = true;
    if (wanted()) open();
    return;
  }
  const giveUp = new AbortController();
  const onHidden = () => giveUp.abort();
  document.addEventListener("visibilitychange", onHidden, { once: true });
  navigator.locks
    .request("sevird-stream", { signal: giveUp.signal }, () => {
      document.removeEventListener("visibilitychange", onHidden);
      leads = true;
      open();
      return new Promise<void>((done) =>
        document.addEventListener("visibilitychange", () => {
          leads = false;
          close();
          done();
        }, { once: true }),
      );
    })
    .catch(() => undefined);
}

export function start() {
  channel?.addEventListener("message", ({ data }) => {
    if (data.mode) change({ mode: data.mode });
    if (data.happening) {
      last = data.happening.id;
      heard(data.happening);
    }
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") {
      lookSoon(true);
      lead();
    } else if (!("locks" in navigator)) {
      close();
    }
  });
  window.addEventListener("pagehide", close);
  setInterval(() => document.visibilityState === "visible" && look(false), LOOK_MS);
  look(true);
  lead();
}
