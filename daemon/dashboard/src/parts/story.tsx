/** A job's whole story, as `sevirctl explain` tells it, in a dialog. */
import { useEffect, useRef, useState } from "preact/hooks";
import { get, objectUrl, Problem } from "../api";
import { bytes, count, duration } from "../format";
import { Key, Time, Trouble } from "./basics";

interface Story {
  uri: string;
  key: string;
  verdict: string;
  object: { size: number; etag: string; live: boolean; first: string | null; modified: string | null } | null;
  sightings: { at: string; source: string; outcome: string; gone: boolean }[];
  jobs: {
    id: number;
    state: string;
    action: string;
    failures: number;
    transitions: { at: string; from: string; to: string; event: string; after_ms: number; actor: string; reason: string; class: string; request_ids: string }[];
  }[];
  output_count: number;
  outputs: { key: string; kind: string; bytes: number }[];
}

export function StoryDialog({ job, onClose }: { job: number; onClose: () => void }) {
  const ref = useRef<HTMLDialogElement>(null);
  const [story, setStory] = useState<Story | null>(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    ref.current!.showModal();
    get<Story>(`/v1/jobs/${job}`).then(setStory, (error: Problem) => setTrouble(error.message));
  }, [job]);
  return (
    <dialog ref={ref} class="story" aria-labelledby="story-title" onClose={onClose} onClick={(e) => e.target === ref.current && ref.current!.close()}>
      <div class="story-body">
        <header>
          <h2 id="story-title">Job {job}</h2>
          <button type="button" onClick={() => ref.current!.close()} aria-label="Close">
            ✕
          </button>
        </header>
        {trouble && <Trouble text={trouble} />}
        {!story && !trouble && <p class="empty">Asking the journal…</p>}
        {story && <Told story={story} />}
      </div>
    </dialog>
  );
}

function Told({ story }: { story: Story }) {
  return (
    <>
      <p>
        <Key>{story.uri}</Key>
      </p>
      {story.verdict && <p>{story.verdict}</p>}
      {story.object && (
        <p class="note">
          {bytes(story.object.size)}, etag <Key>{story.object.etag}</Key>, first seen <Time at={story.object.first} />,{" "}
          {story.object.live ? "still there" : "gone"}
        </p>
      )}
      {story.jobs.map((job) => (
        <div key={job.id}>
          <h3>
            Job {job.id}: {job.action} <State name={job.state} />
          </h3>
          <ol class="moves-list">
            {job.transitions.map((move, i) => (
              <li key={i}>
                <Time at={move.at} /> <State name={move.to} />
                {move.from && <span class="note"> after {duration(move.after_ms / 1000)}</span>}
                {move.actor !== "daemon" && <span class="note"> by {move.actor}</span>}
                {move.reason && <span class={move.class ? "reason" : "note block"}>{move.reason}</span>}
                {move.request_ids && <span class="note"> request {move.request_ids}</span>}
              </li>
            ))}
          </ol>
        </div>
      ))}
      {story.sightings.length > 0 && (
        <>
          <h3>Sightings</h3>
          <ul class="moves-list">
            {story.sightings.map((sighting, i) => (
              <li key={i}>
                <Time at={sighting.at} /> by {sighting.source}: {sighting.outcome}
                {sighting.gone ? " (gone)" : ""}
              </li>
            ))}
          </ul>
        </>
      )}
      {story.output_count > 0 && (
        <details>
          <summary>
            {count(story.output_count)} output{story.output_count === 1 ? "" : "s"}
          </summary>
          <ul class="outputs">
            {story.outputs.slice(0, 200).map((output) => (
              <li key={output.key}>
                <a href={objectUrl(output.key)} target="_blank" rel="noopener">
                  {output.key}
                </a>{" "}
                <span class="note">{bytes(output.bytes)}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

export function State({ name }: { name: string }) {
  return <span class={`state state-${name.toLowerCase()}`}>{name}</span>;
}
