import { useState } from "preact/hooks";
import { objects } from "../api";
import { bytes, count, duration, parse } from "../format";
import { useLive, type Live, type Source, type Status } from "../live";
import { Empty, Key, Panel, Time } from "../parts/basics";
import { Lines, type Series } from "../parts/lines";
import { useSteady } from "../parts/steady";
import { State, StoryDialog } from "../parts/story";

const STEPS: { title: string; rest: string; work: string; waits?: string }[] = [
  { title: "Crawl", rest: "QUEUED", work: "CRAWLING" },
  { title: "Extract", rest: "CRAWLED", work: "EXTRACTING", waits: "WAITING" },
  { title: "Publish", rest: "EXTRACTED", work: "PUBLISHING" },
];
const ENDS = ["DONE", "QUARANTINED", "BACKOFF", "SKIPPED", "RETIRED", "RETIRING", "SUPERSEDED", "CANCELED"];
const MEANING: Record<string, string> = {
  QUEUED: "known and accepted; nothing was done yet",
  CRAWLED: "its table is in the data catalog",
  EXTRACTED: "its outputs are stored; the manifest is not",
  WAITING: "a SEVIR file whose rows the catalog does not have yet",
  DONE: "published",
  QUARANTINED: "it failed in a way that time will not mend",
  BACKOFF: "a stage failed in a way that time may mend",
  SKIPPED: "nothing in it is selected",
  RETIRED: "its object is gone, and so is what was made from it",
  RETIRING: "removing what was made from an object that is gone",
  SUPERSEDED: "a newer version of the object took its place",
  CANCELED: "an operator gave it up",
};

export function Pipeline() {
  const live = useLive();
  const [story, setStory] = useState<number | null>(null);
  return (
    <div class="pipeline">
      <Stages status={live.status} />
      <div class="two">
        <Rates live={live} />
        <Resources status={live.status} live={live} />
      </div>
      <div class="two">
        <Moves live={live} onJob={setStory} />
        <div class="stack">
          <Quarantine live={live} onJob={setStory} />
          <Sources live={live} />
        </div>
      </div>
      {story !== null && <StoryDialog key={story} job={story} onClose={() => setStory(null)} />}
    </div>
  );
}

function Stages({ status }: { status: Status | null }) {
  const jobs = status?.jobs ?? {};
  return (
    <Panel title="Stages" note="what rests before each stage, and what is in it">
      <ol class="stages">
        {STEPS.map((step) => (
          <li key={step.title} class={jobs[step.work] ? "stage at-work" : "stage"}>
            <h3>{step.title}</h3>
            <dl>
              <div title={MEANING[step.rest]}>
                <dt>{step.rest}</dt>
                <dd data-state={step.rest}>{count(jobs[step.rest])}</dd>
              </div>
              {step.waits && (
                <div title={MEANING[step.waits]}>
                  <dt>{step.waits}</dt>
                  <dd data-state={step.waits}>{count(jobs[step.waits])}</dd>
                </div>
              )}
              <div class="working">
                <dt>{step.work}</dt>
                <dd data-state={step.work}>{count(jobs[step.work])}</dd>
              </div>
            </dl>
          </li>
        ))}
        <li class="stage ends">
          <h3>Ends, and elsewhere</h3>
          <dl>
            {ENDS.map((name) => (
              <div key={name} title={MEANING[name]} class={jobs[name] ? `some end-${name.toLowerCase()}` : ""}>
                <dt>{name}</dt>
                <dd data-state={name}>{count(jobs[name])}</dd>
              </div>
            ))}
          </dl>
        </li>
      </ol>
    </Panel>
  );
}

function rate(live: Live, column: string): [Date, number | null][] {
  const samples = live.history ? objects(live.history.samples) : [];
  const points: [Date, number | null][] = [];
  for (let i = 1; i < samples.length; i++) {
    const seconds = (parse(samples[i].at).getTime() - parse(samples[i - 1].at).getTime()) / 1000;
    if (seconds < 1) continue;
    points.push([parse(samples[i].at), Math.max(0, (samples[i][column] - samples[i - 1][column]) / seconds)]);
  }
  return points;
}

function Rates({ live }: { live: Live }) {
  const [what, setWhat] = useState("done");
  const to = new Date();
  const from = new Date(to.getTime() - 3600_000);
  const minutes = live.history ? objects(live.history.minutes) : [];
  const at = (row: any) => parse(row.at);
  const choices: Record<string, { title: string; series: Series[]; format: (v: number) => string }> = {
    done: {
      title: "Jobs a minute",
      series: [
        { name: "done", color: "c1", bars: true, points: minutes.map((m) => [at(m), m.done]) },
        { name: "quarantined", color: "c-bad", bars: true, points: minutes.filter((m) => m.quarantined > 0).map((m) => [at(m), m.quarantined]) },
      ],
      format: (v) => count(v),
    },
    lag: {
      title: "Lag: object to DONE",
      series: [
        { name: "mean", color: "c2", points: minutes.map((m) => [at(m), m.lag_mean_s]) },
        { name: "longest", color: "c4", bars: true, points: minutes.map((m) => [at(m), m.lag_max_s]) },
      ],
      format: duration,
    },
    frames: { title: "Frames a second", series: [{ name: "frames", color: "c1", points: rate(live, "frames") }], format: (v) => count(v) },
    bytes: {
      title: "Bytes a second",
      series: [
        { name: "fetched", color: "c2", points: rate(live, "fetch_bytes") },
        { name: "put", color: "c1", points: rate(live, "put_bytes") },
      ],
      format: (v) => bytes(v),
    },
  };
  const chosen = choices[what];
  const done = minutes.reduce((sum, m) => sum + m.done, 0);
  const lags = minutes.filter((m) => m.lag_mean_s != null);
  const lag = lags.reduce((sum, m) => sum + m.lag_mean_s * m.done, 0) / (lags.reduce((sum, m) => sum + m.done, 0) || 1);
  return (
    <Panel
      title="The last hour"
      line={
        <>
          {count(done)} done{lags.length > 0 && <>, {duration(lag)} after they came on average</>}
        </>
      }
      tools={
        <div class="choice" role="group" aria-label="What to draw">
          {Object.entries({ done: "Jobs", lag: "Lag", frames: "Frames", bytes: "Bytes" }).map(([key, title]) => (
            <button key={key} type="button" aria-pressed={what === key} onClick={() => setWhat(key)}>
              {title}
            </button>
          ))}
        </div>
      }
    >
      <Lines label={`${chosen.title} over the last hour`} series={chosen.series} from={from} to={to} format={chosen.format} height={190} />
      <ul class="legend">
        {chosen.series.map((s) => (
          <li key={s.name} class={s.color}>
            {s.name}
          </li>
        ))}
        <li class="unit">{chosen.title}, UTC</li>
      </ul>
    </Panel>
  );
}

function Gauge({ label, value, most, text }: { label: string; value: number; most: number; text: string }) {
  return (
    <div class="gauge">
      <div class="gauge-head">
        <span>{label}</span>
        <span class="num">{text}</span>
      </div>
      <meter min={0} max={most || 1} value={Math.min(value, most || 1)} aria-label={`${label}: ${text}`}></meter>
    </div>
  );
}

function Resources({ status, live }: { status: Status | null; live: Live }) {
  const oldest = status?.oldest;
  return (
    <Panel title="Workers and memory">
      <Gauge
        label="Workers"
        value={status?.workers.running ?? 0}
        most={status?.workers.width ?? 1}
        text={status ? `${status.workers.running} of ${status.workers.width} at work, ${count(status.workers.queued)} queued` : "–"}
      />
      <Gauge
        label="Memory budget"
        value={status?.memory.granted ?? 0}
        most={status?.memory.limit ?? 1}
        text={status ? `${bytes(status.memory.granted)} of ${bytes(status.memory.limit)}, ${bytes(status.memory.waiting)} wait` : "–"}
      />
      <dl class="facts">
        <div>
          <dt>Oldest object in hand</dt>
          <dd>
            {oldest ? (
              <>
                {duration(oldest.age_s)} in <State name={oldest.state} />
              </>
            ) : (
              "none"
            )}
          </dd>
        </div>
        <div>
          <dt>Since the start</dt>
          <dd>
            {count(status?.totals.frames)} frames of {count(status?.totals.events)} events, {bytes(status?.totals.put_bytes)} put
          </dd>
        </div>
        <div>
          <dt>Running since</dt>
          <dd>
            <Time at={status?.started ?? null} /> <span class="note">{status ? `${duration(status.uptime_s)}, version ${status.version}` : ""}</span>
          </dd>
        </div>
        <div>
          <dt>Told</dt>
          <dd>{live.mode === "stream" ? "by the event stream" : "by looking every few seconds"}</dd>
        </div>
      </dl>
    </Panel>
  );
}

function JobButton({ job, onJob }: { job: number; onJob: (job: number) => void }) {
  return (
    <button type="button" class="link" onClick={() => onJob(job)} aria-label={`The story of job ${job}`}>
      {job}
    </button>
  );
}

function Moves({ live, onJob }: { live: Live; onJob: (job: number) => void }) {
  const { box, list, release } = useSteady<HTMLDivElement, HTMLTableSectionElement>(live.moves);
  return (
    <Panel title="Recent moves" className="tall" note="newest first; a number opens the job's story">
      <div class="scroll" tabIndex={0} role="region" aria-label="Recent moves" ref={box} onMouseLeave={release} onBlur={release}>
        <table class="moves">
          <thead>
            <tr>
              <th>UTC</th>
              <th class="num">Job</th>
              <th>State</th>
              <th>Object</th>
            </tr>
          </thead>
          <tbody ref={list}>
            {live.moves.map((move) => (
              <tr key={`${move.id} ${move.at}`} data-job={move.data.job}>
                <td>
                  <time dateTime={move.at} title={new Date(move.at).toLocaleString()}>
                    {move.at.slice(11, 19)}
                  </time>
                </td>
                <td class="num">
                  <JobButton job={move.data.job} onJob={onJob} />
                </td>
                <td>
                  <State name={move.kind === "sighting" ? "QUEUED" : move.data.to} />
                </td>
                <td>
                  <Key>{String(move.data.key)}</Key>
                  {move.data.reason && <span class={move.data.class ? "reason" : "note block"}>{move.data.reason}</span>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {live.moves.length === 0 && <Empty>Nothing has moved since the daemon's start.</Empty>}
      </div>
    </Panel>
  );
}

function Quarantine({ live, onJob }: { live: Live; onJob: (job: number) => void }) {
  const total = live.status?.jobs.QUARANTINED ?? 0;
  const { box, list, release } = useSteady<HTMLDivElement, HTMLUListElement>(live.quarantined);
  return (
    <Panel title="Quarantine" line={total > 0 ? `${count(total)} failed in a way that time will not mend` : ""}>
      <div class="quarantine scroll" tabIndex={0} role="region" aria-label="Quarantined jobs" ref={box} onMouseLeave={release} onBlur={release}>
        {live.quarantined.length + live.messages.length === 0 && <Empty>Nothing is in quarantine.</Empty>}
        <ul ref={list}>
          {live.quarantined.map((job) => (
            <li key={job.id}>
              <div>
                <JobButton job={job.id} onJob={onJob} /> <Key>{job.key}</Key>
              </div>
              <div class="reason">{job.reason}</div>
              <div class="note">
                <Time at={job.since} />, {String(job.class).toLowerCase()}
              </div>
            </li>
          ))}
          {live.messages.map((message) => (
            <li key={`m${message.id}`}>
              <div>
                Message <Key>{message.message}</Key> of <Key>{message.queue}</Key>
              </div>
              <div class="reason">{message.reason}</div>
              <div class="note">
                <Time at={message.last} />, received {count(message.receives)} times
              </div>
            </li>
          ))}
        </ul>
      </div>
    </Panel>
  );
}

function lookOf(source: Source) {
  if (source.name === "watch") return source.on ? `${count(source.watches)} folders watched, ${count(source.overflows)} overflows` : "off";
  const counts = source.counts;
  if (!counts) return source.looking ? "looking for the first time" : "has not looked yet";
  return `${count(counts.listed)} listed, ${count(counts.queued)} new, ${count(counts.gone)} gone${counts.refused ? `, ${count(counts.refused)} refused` : ""}`;
}

function Sources({ live }: { live: Live }) {
  const sources = live.sources;
  return (
    <Panel title="Sources">
      <div class="scroll found" tabIndex={0} role="region" aria-label="Sources">
        <table class="sources">
          <thead>
            <tr>
              <th>Source</th>
              <th>Last look</th>
              <th>What it found</th>
            </tr>
          </thead>
          <tbody>
            {(sources?.sources ?? []).map((source) => (
              <tr key={source.name}>
                <td>{source.name}</td>
                <td>
                  <Time at={source.ended} />
                </td>
                <td>
                  {lookOf(source)}
                  {source.error && <span class="reason">{source.error}</span>}
                </td>
              </tr>
            ))}
            {(live.status?.queues ?? []).map((queue) => (
              <tr key={queue.url}>
                <td title={queue.url}>queue {queue.url.split("/").pop()}</td>
                <td>
                  <Time at={queue.last_receive} />
                </td>
                <td>
                  {count(queue.received)} messages, {count(queue.unread)} unreadable, {count(queue.lost)} leases lost
                  {queue.error && <span class="reason">{queue.error}</span>}
                </td>
              </tr>
            ))}
            <tr>
              <td>reconcile</td>
              <td>
                <Time at={sources?.reconciled?.at ?? null} />
              </td>
              <td>
                {sources?.reconciled
                  ? `${count(sources.reconciled.listed)} listed, ${count(sources.reconciled.missing)} had been missed, ${count(sources.reconciled.gone)} gone`
                  : "not since the start"}
              </td>
            </tr>
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
